/* The type Tapes: a program is checked, lowered and prepared; one method runs it. */
#include "tape/tape.h"

#include <structmember.h>

#include "tape/blocks.h"
#include "tape/instructions.h"
#include "tape/lowering.h"
#include "tape/run.h"

/* --- from a program to tapes --- */

static void free_tape(Tape *tape)
{
    PyMem_RawFree(tape->code);
    PyMem_RawFree(tape->starts);
    PyMem_Free(tape->input_slots);
    PyMem_Free(tape->output_slots);
    PyMem_Free(tape->guard_list);
    PyMem_Free(tape->first_writes);
    PyMem_Free(tape->cleared_slots);
    free(tape->spare);
    free_narrow(tape);
}

static void tapes_dealloc(PyObject *self)
{
    Tapes *tapes = (Tapes *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyMem_Free(tapes->uniform.constant_slots);
    PyMem_Free(tapes->uniform.is_constant);
    free_tape(&tapes->uniform);
    free_tape(&tapes->batch);
    free_tape(&tapes->reusing);
    Py_XDECREF(tapes->constants);
    Py_XDECREF(tapes->leaf_slots);
    Py_XDECREF(tapes->argument_slots);
    PyMem_Free(tapes->output_slots);
    PyMem_Free(tapes->guards);
    PyMem_Free(tapes->sorted_guards);
    PyMem_Free(tapes->guard_numbers);
    PyMem_Free(tapes->outcomes);
    type->tp_free(self);
    Py_DECREF(type);
}

bool is_tapes(PyObject *object)
{
    return Py_TYPE(object)->tp_dealloc == tapes_dealloc;
}

/* Return memory for `count` items, or NULL with an exception. */
static void *new_items(size_t count, size_t size)
{
    void *items = PyMem_Calloc(count + 1, size);
    if (items == NULL) {
        PyErr_NoMemory();
    }
    return items;
}

/* Return the new numbers of slots, or NULL with an exception. */
static int32_t *renumbered(const int32_t *slots, size_t count, const int32_t *new_slots)
{
    int32_t *numbers = new_items(count, sizeof *numbers);
    for (size_t k = 0; numbers != NULL && k < count; k++) {
        numbers[k] = new_slots[slots[k]];
    }
    return numbers;
}

/* Let a tape take over the arrays of a code. */
static void take_code(Tape *tape, Code *code)
{
    tape->code = code->numbers.items;
    tape->length = code->numbers.count;
    tape->starts = code->starts.items;
    tape->count = code->starts.count;
    memset(code, 0, sizeof *code);
    for (size_t k = 0; k < tape->count; k++) {
        const size_t length = length_of_sequence(tape->code + tape->starts[k]);
        tape->longest = length > tape->longest ? length : tape->longest;
    }
}

/* Make the tape of uniform slots, and give slots their final numbers. */
static bool make_uniform(Tapes *tapes, const Program *program, Lowered *lowered)
{
    Tape *tape = &tapes->uniform;
    const size_t uniform = (size_t)lowered->uniform, instructions = lowered->uniform_code.starts.count;
    tape->constant_slots = new_items(program->constant_slots.count + 1, sizeof *tape->constant_slots);
    tape->is_constant = new_items(uniform, sizeof *tape->is_constant);
    tapes->constants = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(uniform * sizeof(double)));
    int32_t *new_slots = new_items(uniform, sizeof *new_slots);
    bool ok =
        tape->constant_slots != NULL && tape->is_constant != NULL && tapes->constants != NULL && new_slots != NULL;
    if (ok) {
        tape->constants = program->constant_slots.count + 1;
        for (size_t k = 0; k < tape->constants; k++) {
            const int32_t slot =
                k == 0 ? lowered->uniform - 1 : lowered->slots.items[program->constant_slots.items[k - 1]];
            tape->constant_slots[k] = slot;
            tape->is_constant[slot] = true;
        }
        tape->uniform_count = lowered->uniform;
        take_code(tape, &lowered->uniform_code);
        ok = find_first_writes(tape) == 0 && widen(tape) == 0;
    }
    /* If some instructions are wide, reorder the slots, unless there is a batch: its code already has their numbers. */
    if (ok && tape->count < instructions && lowered->varying == 0) {
        reorder_slots(tape, new_slots);
        for (size_t k = 0; k < lowered->slots.count; k++) {
            lowered->slots.items[k] = new_slots[lowered->slots.items[k]];
        }
    }
    uint8_t *uses = lowered->varying == 0 ? new_items(uniform, sizeof *uses) : NULL;
    for (size_t k = 0; uses != NULL && k < program->outputs.count; k++) {
        uses[lowered->slots.items[program->outputs.items[k]]] = 1;
    }
    ok = ok && (uses != NULL || lowered->varying > 0) && find_rows(tape, uses) == 0;
    PyMem_Free(uses);
    if (ok) {
        double *constants = (double *)(void *)PyBytes_AS_STRING(tapes->constants);
        memset(constants, 0, uniform * sizeof *constants);
        for (size_t k = 0; k < tape->constants; k++) {
            constants[tape->constant_slots[k]] = k == 0 ? -0.0 : program->constants[k - 1];
        }
    }
    PyMem_Free(new_slots);
    return ok;
}

/* Return slots of the program as slots of the tapes, in bytes. */
static PyObject *lowered_slots(const Lowered *lowered, GivenInts slots)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(slots.count * sizeof(int32_t)));
    int32_t *numbers = bytes == NULL ? NULL : (int32_t *)(void *)PyBytes_AS_STRING(bytes);
    for (size_t k = 0; numbers != NULL && k < slots.count; k++) {
        numbers[k] = slots.items[k] < 0 ? -1 : lowered->slots.items[slots.items[k]];
    }
    return bytes;
}

static int compare_guards(const void *one, const void *other)
{
    const Guard *x = one, *y = other;
    return x->symbol != y->symbol ? x->symbol - y->symbol : x->outcome - y->outcome;
}

/* Sort the guards: those that compare varying slots go to the batch. */
static bool take_guards(Tapes *tapes, const Program *program, const Lowered *lowered)
{
    const size_t count = program->guards.count / 4;
    const Guard *given = (const Guard *)(const void *)program->guards.items;
    tapes->guards = new_items(count, sizeof *tapes->guards);
    tapes->sorted_guards = new_items(count, sizeof *tapes->guards);
    tapes->batch.guard_list = new_items(count, sizeof *tapes->guards);
    tapes->guard_numbers = new_items(count, sizeof *tapes->guard_numbers);
    tapes->outcomes = new_items(count, sizeof *tapes->outcomes);
    if (tapes->guards == NULL || tapes->sorted_guards == NULL || tapes->batch.guard_list == NULL ||
        tapes->guard_numbers == NULL || tapes->outcomes == NULL) {
        return false;
    }
    size_t number = 0;
    for (int varies = 0; varies < 2; varies++) {
        for (size_t k = 0; k < count; k++) {
            Guard guard = given[k];
            guard.x = lowered->slots.items[guard.x];
            guard.y = lowered->slots.items[guard.y];
            if ((guard.x >= lowered->uniform || guard.y >= lowered->uniform) == varies) {
                *(varies ? &tapes->batch.guard_list[tapes->batch.guards++] : &tapes->guards[tapes->guard_count++]) =
                    guard;
                tapes->guard_numbers[number++] = (int32_t)k + 1;
            }
            tapes->outcomes[k] = (uint8_t)guard.outcome;
        }
    }
    memcpy(tapes->sorted_guards, tapes->guards, tapes->guard_count * sizeof *tapes->guards);
    qsort(tapes->sorted_guards, tapes->guard_count, sizeof *tapes->guards, compare_guards);
    return true;
}

/* Return a tape with the uniform slots of another, and without instructions. */
static Tape tape_beside(const Tape *tape, int32_t varying)
{
    return (Tape){.uniform_count = tape->uniform_count,
                  .varying_count = varying,
                  .constant_slots = tape->constant_slots,
                  .constants = tape->constants,
                  .is_constant = tape->is_constant,
                  .blocks = tape->blocks};
}

/* Make the tape of varying slots, and sort the arguments by whether they are its inputs. */
static bool make_batch(Tapes *tapes, const Program *program, Lowered *lowered)
{
    Tape *batch = &tapes->batch;
    int32_t *arguments = (int32_t *)(void *)PyBytes_AS_STRING(tapes->argument_slots);
    batch->input_slots = new_items(program->arguments.count, sizeof *batch->input_slots);
    batch->output_slots = new_items(tapes->outputs, sizeof *batch->output_slots);
    if (batch->input_slots == NULL || batch->output_slots == NULL) {
        return false;
    }
    for (size_t k = 0; k < program->arguments.count; k++) {
        if (arguments[k] >= lowered->uniform) {
            batch->input_slots[batch->inputs] = arguments[k];
            arguments[k] = (int32_t)batch->inputs++;
        }
    }
    for (size_t k = 0; k < tapes->outputs; k++) {
        if (tapes->output_slots[k] >= lowered->uniform) {
            batch->output_slots[batch->outputs++] = tapes->output_slots[k];
        }
    }
    return true;
}

/* Make the batch in fewer slots. */
static bool make_reusing(Tapes *tapes, const Lowered *lowered)
{
    const Tape *batch = &tapes->batch;
    Tape *tape = &tapes->reusing;
    Code code = {{NULL, 0, 0}, {NULL, 0, 0}};
    int32_t *slots = new_items((size_t)lowered->uniform + (size_t)lowered->varying, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    *tape = tape_beside(batch, 0);
    const Built built = reuse_slots(lowered, batch, &code, slots, &tape->varying_count);
    take_code(tape, &code);
    tape->inputs = batch->inputs;
    tape->outputs = batch->outputs;
    tape->guards = batch->guards;
    tape->input_slots = renumbered(batch->input_slots, batch->inputs, slots);
    tape->output_slots = renumbered(batch->output_slots, batch->outputs, slots);
    tape->guard_list = new_items(batch->guards, sizeof *tape->guard_list);
    for (size_t k = 0; k < batch->guards && tape->guard_list != NULL; k++) {
        const Guard guard = batch->guard_list[k];
        tape->guard_list[k] = (Guard){slots[guard.x], guard.symbol, slots[guard.y], guard.outcome};
    }
    PyMem_Free(slots);
    if (built != BUILT) {
        set_build_error(built);
    }
    return built == BUILT && tape->input_slots != NULL && tape->output_slots != NULL && tape->guard_list != NULL;
}

/* Make all tapes of a lowered program. Return false with an exception on error. */
static bool make_tapes(Tapes *tapes, const Program *program, Lowered *lowered, Py_ssize_t fewest)
{
    if (!make_uniform(tapes, program, lowered)) {
        return false;
    }
    tapes->batch = tape_beside(&tapes->uniform, lowered->varying);
    tapes->numbers = program->numbers;
    tapes->outputs = program->outputs.count;
    tapes->leaf_slots = lowered_slots(lowered, program->leaves);
    tapes->argument_slots = lowered_slots(lowered, program->arguments);
    tapes->output_slots = renumbered(program->outputs.items, tapes->outputs, lowered->slots.items);
    if (tapes->leaf_slots == NULL || tapes->argument_slots == NULL || tapes->output_slots == NULL ||
        !take_guards(tapes, program, lowered) || !make_batch(tapes, program, lowered)) {
        return false;
    }
    const bool reuses = lowered->varying >= fewest;
    tapes->forward = reuses ? &tapes->reusing : &tapes->batch;
    if (reuses && !make_reusing(tapes, lowered)) {
        return false;
    }
    take_code(&tapes->batch, &lowered->batch_code);
    return find_first_writes(&tapes->batch) == 0 && merge_spans(&tapes->batch) == 0;
}

/* Tapes(codes, ...): see NativeExecutor in microgrud/tape/executors.py. */
static PyObject *tapes_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    enum { CODES, OUTS, STARTS, OPERANDS, PLAINS, NATIVE_CODES, CONSTANT_SLOTS, CONSTANTS, LEAVES, ARGUMENTS, VARIES,
           OUTPUTS, GUARDS, VIEWS };
    Py_buffer v[VIEWS];
    Py_ssize_t slots, numbers, fewest;
    const char *variant = NULL;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*ny*y*y*y*ny*y*y*n|z:Tapes", &v[CODES], &v[OUTS], &v[STARTS], &v[OPERANDS],
                          &v[PLAINS], &v[NATIVE_CODES], &slots, &v[CONSTANT_SLOTS], &v[CONSTANTS], &v[LEAVES],
                          &v[ARGUMENTS], &numbers, &v[VARIES], &v[OUTPUTS], &v[GUARDS], &fewest, &variant)) {
        return NULL;
    }
    const Program program = {.codes = ints_of_view(&v[CODES]),
                             .outs = ints_of_view(&v[OUTS]),
                             .starts = ints_of_view(&v[STARTS]),
                             .operands = ints_of_view(&v[OPERANDS]),
                             .plains = ints_of_view(&v[PLAINS]),
                             .native_codes = ints_of_view(&v[NATIVE_CODES]),
                             .slots = (size_t)slots,
                             .constant_slots = ints_of_view(&v[CONSTANT_SLOTS]),
                             .constants = v[CONSTANTS].buf,
                             .leaves = ints_of_view(&v[LEAVES]),
                             .arguments = ints_of_view(&v[ARGUMENTS]),
                             .numbers = (size_t)numbers,
                             .varies = v[VARIES].buf,
                             .outputs = ints_of_view(&v[OUTPUTS]),
                             .guards = ints_of_view(&v[GUARDS])};
    const bool fits = slots >= 0 && numbers >= 0 && (size_t)numbers <= program.arguments.count &&
                      (size_t)v[CONSTANTS].len == program.constant_slots.count * sizeof(double) &&
                      (size_t)v[VARIES].len == program.arguments.count;
    Lowered lowered;
    memset(&lowered, 0, sizeof lowered);
    Built built = NOT_VALID;
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        built = lower(&program, &lowered);
        Py_END_ALLOW_THREADS
    }
    const Blocks *blocks = find_blocks(variant);
    Tapes *tapes = NULL;
    if (built != BUILT) {
        set_build_error(built);
    } else if (blocks == NULL) {
        PyErr_Format(PyExc_ValueError, "Tapes: this processor or build does not support the variant %s", variant);
    } else {
        tapes = (Tapes *)type->tp_alloc(type, 0);
    }
    if (tapes != NULL) {
        tapes->uniform.blocks = blocks;
        if (!make_tapes(tapes, &program, &lowered, fewest)) {
            Py_CLEAR(tapes);
        }
    }
    Ints *ints[] = {&lowered.slots, &lowered.uniform_code.numbers, &lowered.uniform_code.starts,
                    &lowered.batch_code.numbers, &lowered.batch_code.starts};
    for (size_t k = 0; k < sizeof ints / sizeof *ints; k++) {
        PyMem_RawFree(ints[k]->items);
    }
    for (int k = 0; k < VIEWS; k++) {
        PyBuffer_Release(&v[k]);
    }
    return (PyObject *)tapes;
}

/* --- runs --- */

/* The arrays of a run. */
typedef struct {
    size_t samples;
    double *U, *inputs, *seeds, *outputs, *G, *gradients; /* a row for each input or output; `seeds` may be NULL */
    int32_t *status;
} Run;

/* Run the batch. `rows` has room for the outputs that vary and for their seeds. */
static bool run_varying(Tapes *tapes, const Run *run, double *rows, size_t threads, bool ignore)
{
    Tape *batch = run->seeds == NULL ? tapes->forward : &tapes->batch;
    const size_t n = run->samples, uniform = (size_t)batch->uniform_count;
    double *seeds = run->seeds == NULL ? NULL : rows + batch->outputs * n;
    Column *columns = new_items(batch->inputs, sizeof *columns);
    GradientColumn *gradients = new_items(batch->inputs, sizeof *gradients);
    bool ok = columns != NULL && gradients != NULL;
    for (size_t k = 0; ok && k < batch->inputs; k++) {
        columns[k] = (Column){run->inputs + k * n, 1, false};
        gradients[k] = (GradientColumn){run->gradients + k * n, 1};
    }
    size_t row = 0;
    for (size_t k = 0; seeds != NULL && k < tapes->outputs; k++) {
        if (tapes->output_slots[k] >= (int32_t)uniform) {
            memcpy(seeds + row++ * n, run->seeds + k * n, n * sizeof *seeds);
        }
    }
    const Batch own = {.inputs = columns, .gradients = gradients, .U = run->U, .seeds = seeds, .outputs = rows,
                       .status = run->status, .samples = n, .ignore = ignore};
    ok = ok && run_batch(batch, &own, threads, run->G) == 0;
    row = 0;
    for (size_t k = 0; ok && k < tapes->outputs; k++) {
        if (tapes->output_slots[k] >= (int32_t)uniform) {
            memcpy(run->outputs + k * n, rows + row++ * n, n * sizeof *rows);
        }
    }
    for (size_t i = 0; ok && i < n; i++) {
        if (run->status[i] > 0) {
            run->status[i] = tapes->guard_numbers[tapes->guard_count + (size_t)run->status[i] - 1];
        }
    }
    PyMem_Free(columns);
    PyMem_Free(gradients);
    return ok;
}

/* Finish the backward pass with the uniform slots. `numbers` has room for one number per sample. */
static void finish_run(const Tapes *tapes, const Run *run, double *numbers, double *scratch)
{
    for (size_t k = 0; k < tapes->outputs; k++) {
        if (tapes->output_slots[k] < tapes->uniform.uniform_count) {
            size_t done = 0;
            for (size_t i = 0; i < run->samples; i++) {
                if (run->status[i] == DONE) {
                    numbers[done++] = run->seeds[k * run->samples + i];
                }
            }
            run->G[tapes->output_slots[k]] += sum_in_order(numbers, 1, done);
        }
    }
    backward_uniform(&tapes->uniform, run->U, run->G, scratch);
}

static bool run_all(Tapes *tapes, const Run *run, size_t threads, bool ignore)
{
    const size_t n = run->samples;
    double *scratch = new_items(scratch_of_uniform(&tapes->uniform), sizeof *scratch);
    double *rows = new_items((2 * tapes->batch.outputs + 1) * n, sizeof *rows);
    bool ok = scratch != NULL && rows != NULL;
    int32_t status = DONE;
    if (ok) {
        Py_BEGIN_ALLOW_THREADS
        status = forward_uniform(tapes, run->U, run->G, scratch, ignore);
        Py_END_ALLOW_THREADS
        for (size_t i = 0; i < n; i++) {
            run->status[i] = status;
        }
        if (status == DONE && tapes->batch.varying_count > 0) {
            ok = run_varying(tapes, run, rows, threads, ignore);
        }
        for (size_t k = 0; k < tapes->outputs; k++) {
            for (size_t i = 0; tapes->output_slots[k] < tapes->uniform.uniform_count && i < n; i++) {
                run->outputs[k * n + i] = run->U[tapes->output_slots[k]];
            }
        }
    }
    if (ok && status == DONE && run->seeds != NULL) {
        Py_BEGIN_ALLOW_THREADS
        finish_run(tapes, run, rows, scratch);
        Py_END_ALLOW_THREADS
    }
    PyMem_Free(scratch);
    PyMem_Free(rows);
    return ok;
}

/* Open an array whose items have this size, and one of these formats. Return false for any other object, with an
 * exception if it is no contiguous array at all. */
static bool open_array(PyObject *array, bool writable, size_t size, const char *formats, Py_buffer *view)
{
    return PyObject_GetBuffer(array, view, (writable ? PyBUF_CONTIG : PyBUF_CONTIG_RO) | PyBUF_FORMAT) == 0 &&
           (size_t)view->itemsize == size && view->format != NULL && strlen(view->format) == 1 &&
           strchr(formats, view->format[0]) != NULL;
}

static PyObject *tapes_run(PyObject *self, PyObject *args)
{
    enum { UNIFORM, INPUTS, SEEDS, OUTPUTS, UNIFORM_GRADIENTS, GRADIENTS, STATUS, VIEWS };
    Tapes *tapes = (Tapes *)self;
    PyObject *arrays[VIEWS];
    Py_buffer v[VIEWS];
    Py_ssize_t threads;
    int ignore;
    memset(v, 0, sizeof v);
    if (!PyArg_ParseTuple(args, "OOOOOOOnp:run", &arrays[UNIFORM], &arrays[INPUTS], &arrays[SEEDS], &arrays[OUTPUTS],
                          &arrays[UNIFORM_GRADIENTS], &arrays[GRADIENTS], &arrays[STATUS], &threads, &ignore)) {
        return NULL;
    }
    bool ok = threads > 0 && open_array(arrays[STATUS], true, sizeof(int32_t), "il", &v[STATUS]) && v[STATUS].len > 0;
    const size_t n = (size_t)v[STATUS].len / sizeof(int32_t), uniform = (size_t)tapes->uniform.uniform_count;
    const size_t inputs = tapes->batch.inputs * n, outputs = tapes->outputs * n;
    const size_t counts[STATUS] = {uniform, inputs, outputs, outputs, uniform, inputs};
    for (int k = 0; k < STATUS && ok; k++) {
        ok = (k == SEEDS && arrays[k] == Py_None) ||
             (open_array(arrays[k], k != INPUTS && k != SEEDS, sizeof(double), "d", &v[k]) &&
              (size_t)v[k].len == counts[k] * sizeof(double));
    }
    if (ok) {
        const Run run = {.samples = n,
                         .U = v[UNIFORM].buf,
                         .inputs = v[INPUTS].buf,
                         .seeds = v[SEEDS].buf,
                         .outputs = v[OUTPUTS].buf,
                         .G = v[UNIFORM_GRADIENTS].buf,
                         .gradients = v[GRADIENTS].buf,
                         .status = v[STATUS].buf};
        ok = run_all(tapes, &run, (size_t)threads, ignore != 0);
    } else if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "Tapes: run: expected arrays of doubles of one program, an int32 for the "
                                          "status of each sample, and at least one thread");
    }
    for (int k = 0; k < VIEWS; k++) {
        PyBuffer_Release(&v[k]);
    }
    return ok ? Py_NewRef(Py_None) : NULL;
}

static PyMethodDef tapes_methods[] = {
    {"run", tapes_run, METH_VARARGS,
     "run($self, uniform, inputs, seeds, outputs, uniform_gradients, gradients, status, threads, ignore, /)\n--\n\n"
     "Run the program for all samples; forward only if seeds is None."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef tapes_members[] = {
    {"constants", T_OBJECT_EX, offsetof(Tapes, constants), READONLY, "The numbers of uniform slots before a call."},
    {"leaf_slots", T_OBJECT_EX, offsetof(Tapes, leaf_slots), READONLY, "The slots of the leaves."},
    {"argument_slots", T_OBJECT_EX, offsetof(Tapes, argument_slots), READONLY,
     "The row of an argument that varies, the slot of any other; -1 for one that is not used."},
    {"inputs", T_PYSSIZET, offsetof(Tapes, batch.inputs), READONLY, "The number of arguments that vary."},
    {"varying", T_INT, offsetof(Tapes, batch.varying_count), READONLY, "The number of varying slots."},
    {"reused", T_INT, offsetof(Tapes, reusing.varying_count), READONLY,
     "Their number in runs without a backward pass; 0 if it is the same."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot tapes_slots[] = {
    {Py_tp_doc, "Tapes(codes, outs, starts, operands, plain, native_codes, slots, constant_slots, constants, leaves, "
                "arguments, numbers, varies, outputs, guards, fewest_to_reuse, variant=None, /)\n--\n\n"
                "A program as it runs, for arguments of which some vary."},
    {Py_tp_new, tapes_new},
    {Py_tp_dealloc, tapes_dealloc},
    {Py_tp_methods, tapes_methods},
    {Py_tp_members, tapes_members},
    {0, NULL},
};

PyType_Spec tapes_spec = {
    .name = "microgrud._native.tape.Tapes",
    .basicsize = sizeof(Tapes),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = tapes_slots,
};
