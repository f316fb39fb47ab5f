/* The tape: recorded programs as objects of Python, and the module.
 *
 * A program is a list of instructions over numbered slots (microgrud/tape/lowering.py writes it). It runs without a
 * batch (alone.h), or over blocks of samples (blocks.h, run.h). A replay (replay.h) is one with all that
 * a call of a compiled function does.
 */
#if !defined(__GNUC__) && !defined(__clang__)
#error "The tape's interpreter takes the vector extensions of GCC or Clang; where it is not built, the one in NumPy runs."
#endif

#include "tape/tape.h"

#include "tape/blocks.h"

#include "tape/check.h"

#include "tape/fresh.h"

#include "tape/wide.h"

#include "tape/moves.h"

#include "tape/alone.h"

#include "tape/run.h"

static int read_ints(PyObject *object, int32_t **numbers, size_t *count, const char *what)
{
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_CONTIG_RO | PyBUF_FORMAT) < 0) {
        return -1;
    }
    if (view.itemsize != sizeof(int32_t) || view.format == NULL || strcmp(view.format, "i") != 0) {
        PyErr_Format(PyExc_TypeError, "Tape: %s: expected an array of int32", what);
        PyBuffer_Release(&view);
        return -1;
    }
    *count = (size_t)view.len / sizeof(int32_t);
    *numbers = PyMem_Malloc((size_t)view.len + sizeof(int32_t));
    if (*numbers == NULL) {
        PyBuffer_Release(&view);
        PyErr_NoMemory();
        return -1;
    }
    memcpy(*numbers, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return 0;
}

static void tape_dealloc(PyObject *self)
{
    Tape *tape = (Tape *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyMem_Free(tape->code);
    PyMem_Free(tape->starts);
    PyMem_Free(tape->input_slots);
    PyMem_Free(tape->output_slots);
    PyMem_Free(tape->guard_list);
    PyMem_Free(tape->constant_slots);
    PyMem_Free(tape->is_constant);
    PyMem_Free(tape->fresh);
    PyMem_Free(tape->moved);
    PyMem_Free(tape->cleared_slots);
    free(tape->spare);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *tape_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    int uniform_count, varying_count;
    PyObject *code, *starts, *inputs, *outputs, *guards, *constants;
    const char *variant = NULL;
    int forward_only = 0, movable = 0;
    if (!PyArg_ParseTuple(args, "iiOOOOOO|zpp:Tape", &uniform_count, &varying_count, &code, &starts, &inputs, &outputs,
                          &guards, &constants, &variant, &forward_only, &movable)) {
        return NULL;
    }
    Tape *tape = (Tape *)type->tp_alloc(type, 0);
    if (tape == NULL) {
        return NULL;
    }
    tape->uniform_count = uniform_count;
    tape->varying_count = varying_count;
    tape->forward_only = forward_only != 0;
    size_t guard_numbers;
    int32_t *guard_list = NULL;
    if (read_ints(code, &tape->code, &tape->length, "code") < 0 ||
        read_ints(starts, &tape->starts, &tape->count, "starts") < 0 ||
        read_ints(inputs, &tape->input_slots, &tape->inputs, "inputs") < 0 ||
        read_ints(outputs, &tape->output_slots, &tape->outputs, "outputs") < 0 ||
        read_ints(guards, &guard_list, &guard_numbers, "guards") < 0 ||
        read_ints(constants, &tape->constant_slots, &tape->constants, "constants") < 0) {
        Py_DECREF(tape);
        return NULL;
    }
    tape->guard_list = (Guard *)guard_list;
    tape->guards = guard_numbers / 4;
    if (!check_tape(tape, guard_numbers)) {
        Py_DECREF(tape);
        return NULL;
    }
    tape->is_constant = PyMem_Calloc((size_t)uniform_count + 1, sizeof(bool));
    if (tape->is_constant == NULL) {
        Py_DECREF(tape);
        return PyErr_NoMemory();
    }
    for (size_t k = 0; k < tape->constants; k++) {
        if (tape->constant_slots[k] < 0 || tape->constant_slots[k] >= uniform_count) {
            PyErr_SetString(PyExc_ValueError, "Tape: constants: expected slots that are the same for all samples");
            Py_DECREF(tape);
            return NULL;
        }
        tape->is_constant[tape->constant_slots[k]] = true;
    }
    for (size_t k = 0; k < tape->count; k++) {
        const int32_t *instruction = tape->code + tape->starts[k];
        const bool softmax = instruction[0] == CODE_SOFTMAX || instruction[0] == CODE_LOG_SOFTMAX;
        const size_t length = instruction[0] < OP_COUNT ? (size_t)instruction[2] : softmax ? (size_t)instruction[1] : 0;
        if (length > tape->longest) {
            tape->longest = length;
        }
    }
    if (!choose_variant(tape, variant)) {
        PyErr_Format(PyExc_ValueError, "Tape: the variant %s does not run here", variant);
        Py_DECREF(tape);
        return NULL;
    }
    if (find_fresh_adjoints(tape) < 0 || widen(tape) < 0 ||
        (movable && move_slots(tape) < 0)) {
        Py_DECREF(tape);
        return NULL;
    }
    return (PyObject *)tape;
}

/* Read an array of doubles of at least so many; NULL for None where that is allowed. Return -1 on error. */
static int read_doubles(PyObject *object, Py_buffer *view, double **numbers, size_t least, int flags, const char *what)
{
    *numbers = NULL;
    view->obj = NULL;
    if (object == Py_None) {
        return 0;
    }
    if (PyObject_GetBuffer(object, view, flags | PyBUF_FORMAT) < 0) {
        return -1;
    }
    if (view->itemsize != sizeof(double) || view->format == NULL || strcmp(view->format, "d") != 0 ||
        (size_t)view->len < least * sizeof(double)) {
        PyErr_Format(PyExc_ValueError, "Tape: %s: expected an array of %zu doubles", what, least);
        return -1;
    }
    *numbers = view->buf;
    return 0;
}

/* run(samples, inputs, uniform, seeds, outputs, gradients, uniform_gradients, status, ignore, threads) */
static PyObject *tape_run(PyObject *self, PyObject *args)
{
    Tape *tape = (Tape *)self;
    Py_ssize_t samples, threads;
    PyObject *objects[6], *status_object;
    int ignore;
    if (!PyArg_ParseTuple(args, "nOOOOOOOpn:run", &samples, &objects[0], &objects[1], &objects[2], &objects[3],
                          &objects[4], &objects[5], &status_object, &ignore, &threads)) {
        return NULL;
    }
    if (samples < 1 || threads < 1 || tape->varying_count == 0) {
        PyErr_SetString(PyExc_ValueError, "Tape: run: expected at least one sample, one thread, and slots that vary");
        return NULL;
    }
    static const char *const names[] = {"inputs", "uniform", "seeds", "outputs", "gradients", "uniform_gradients"};
    const size_t n = (size_t)samples, uniform = (size_t)tape->uniform_count;
    const size_t least[] = {tape->inputs * n, uniform, tape->outputs * n, tape->outputs * n, tape->inputs * n, uniform};
    Py_buffer views[7];
    double *numbers[6];
    memset(views, 0, sizeof views);
    bool ok = true;
    for (int k = 0; ok && k < 6; k++) {
        ok = read_doubles(objects[k], &views[k], &numbers[k], least[k], k < 3 ? PyBUF_CONTIG_RO : PyBUF_CONTIG,
                          names[k]) == 0;
    }
    ok = ok && PyObject_GetBuffer(status_object, &views[6], PyBUF_CONTIG) == 0;
    if (ok && ((size_t)views[6].len < n * sizeof(int32_t) || views[6].itemsize != sizeof(int32_t))) {
        PyErr_SetString(PyExc_ValueError, "Tape: status: expected an int32 a sample");
        ok = false;
    }
    if (ok && (numbers[0] == NULL || numbers[1] == NULL || numbers[3] == NULL ||
               (numbers[2] != NULL && (numbers[4] == NULL || numbers[5] == NULL)))) {
        PyErr_SetString(PyExc_TypeError, "Tape: run: expected arrays");
        ok = false;
    }
    if (ok && tape->forward_only && numbers[2] != NULL) {
        PyErr_SetString(PyExc_ValueError, "Tape: run: expected no seeds for a program that runs forward only");
        ok = false;
    }
    Column *columns = ok ? PyMem_Calloc(tape->inputs + 1, sizeof *columns) : NULL;
    GradientColumn *gradients = ok ? PyMem_Calloc(tape->inputs + 1, sizeof *gradients) : NULL;
    if (ok && (columns == NULL || gradients == NULL)) {
        PyErr_NoMemory();
        ok = false;
    }
    for (size_t k = 0; ok && k < tape->inputs; k++) {
        const Column column = {numbers[0] + k * n, 1, false};
        columns[k] = column;
        gradients[k].numbers = numbers[4] == NULL ? NULL : numbers[4] + k * n;
        gradients[k].stride = 1;
    }
    if (ok) {
        const Batch batch = {NULL, columns, gradients, numbers[1], numbers[2], NULL, numbers[3], views[6].buf, n, ignore != 0};
        ok = run_batch(tape, &batch, (size_t)threads, numbers[5]) == 0;
    }
    PyMem_Free(columns);
    PyMem_Free(gradients);
    for (int k = 0; k < 7; k++) {
        if (views[k].obj != NULL) {
            PyBuffer_Release(&views[k]);
        }
    }
    if (!ok) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* run_alone(uniform, gradients): forward, or with gradients backward, without a batch. */
static PyObject *tape_run_alone(PyObject *self, PyObject *args)
{
    const Tape *tape = (Tape *)self;
    PyObject *uniform_object, *gradients_object;
    if (!PyArg_ParseTuple(args, "OO:run_alone", &uniform_object, &gradients_object)) {
        return NULL;
    }
    if (tape->varying_count > 0) {
        PyErr_SetString(PyExc_ValueError, "Tape: run_alone: expected a program of which nothing varies");
        return NULL;
    }
    Py_buffer views[2];
    double *U, *G = NULL;
    memset(views, 0, sizeof views);
    const size_t n = (size_t)tape->uniform_count;
    int fine = -1;
    if (read_doubles(uniform_object, &views[0], &U, n, PyBUF_CONTIG, "uniform") == 0 &&
        read_doubles(gradients_object, &views[1], &G, n, PyBUF_CONTIG, "gradients") == 0) {
        double *room = PyMem_RawMalloc((3 * tape->longest + 2 * n + 1) * sizeof(double));
        if (room == NULL || U == NULL) {
            PyErr_NoMemory();
        } else {
            double *numbers = room, *adjoints = numbers + n, *rest = adjoints + n;
            Py_BEGIN_ALLOW_THREADS
            move_numbers(tape, U, numbers, false);
            fine = 1;
            if (G == NULL) {
                fine = forward_alone(tape, numbers, rest);
                move_numbers(tape, numbers, U, true);
            } else {
                move_numbers(tape, G, adjoints, false);
                backward_alone(tape, numbers, adjoints, rest);
                move_numbers(tape, adjoints, G, true);
            }
            Py_END_ALLOW_THREADS
        }
        PyMem_RawFree(room);
    }
    for (int k = 0; k < 2; k++) {
        if (views[k].obj != NULL) {
            PyBuffer_Release(&views[k]);
        }
    }
    return fine < 0 ? NULL : PyBool_FromLong(fine);
}

static PyMethodDef tape_methods[] = {
    {"run", tape_run, METH_VARARGS,
     "run($self, samples, inputs, uniform, seeds, outputs, gradients, uniform_gradients, status, ignore, threads, /)\n"
     "--\n\n"
     "Run the program over a batch; without seeds forward alone."},
    {"run_alone", tape_run_alone, METH_VARARGS,
     "run_alone($self, uniform, gradients, /)\n--\n\nRun it without a batch: forward, or with gradients backward."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot tape_slots[] = {
    {Py_tp_doc, "Tape(uniform_count, varying_count, code, starts, inputs, outputs, guards, constants, "
                "variant=None, forward_only=False, movable=False, /)\n--\n\n"
                "A program for the interpreter."},
    {Py_tp_new, tape_new},
    {Py_tp_dealloc, tape_dealloc},
    {Py_tp_methods, tape_methods},
    {0, NULL},
};

static PyType_Spec tape_spec = {
    .name = "microgrud._native.tape.Tape",
    .basicsize = sizeof(Tape),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = tape_slots,
};

#include "replay/type.h"

/* The number of each operation of the table that C has rules for, by its name. */
static PyObject *operation_codes(void)
{
    PyObject *codes = PyDict_New();
    for (int op = 0; codes != NULL && op < OP_COUNT; op++) {
        if (OPERATION_NAMES[op] == NULL || is_left_to_python(op)) {
            continue;
        }
        PyObject *number = PyLong_FromLong(op);
        if (number == NULL || PyDict_SetItemString(codes, OPERATION_NAMES[op], number) < 0) {
            Py_CLEAR(codes);
        }
        Py_XDECREF(number);
    }
    return codes;
}

static PyObject *variant_names(void)
{
    PyObject *names = PyList_New(0);
    for (size_t k = 0; names != NULL && k < ELEMENTARY_VARIANT_COUNT; k++) {
        if (!can_run(&ELEMENTARY_VARIANTS[k])) {
            continue;
        }
        PyObject *name = PyUnicode_FromString(ELEMENTARY_VARIANTS[k].name);
        if (name == NULL || PyList_Append(names, name) < 0) {
            Py_CLEAR(names);
        }
        Py_XDECREF(name);
    }
    return names;
}

static int add(PyObject *module, const char *name, PyObject *object)
{
    int status = object == NULL ? -1 : PyModule_AddObjectRef(module, name, object);
    Py_XDECREF(object);
    return status;
}

static int add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    int status = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);
    Py_XDECREF(type);
    return status;
}

static int execute(PyObject *module)
{
    if (add_type(module, &tape_spec) < 0 || add_type(module, &replay_spec) < 0 || add_type(module, &tree_spec) < 0) {
        return -1;
    }
    if (add(module, "OPERATION_CODES", operation_codes()) < 0 || add(module, "VARIANTS", variant_names()) < 0 ||
        PyModule_AddIntMacro(module, CODE_LINEAR) < 0 || PyModule_AddIntMacro(module, CODE_MATRIX) < 0 ||
        PyModule_AddIntMacro(module, CODE_DOT) < 0 || PyModule_AddIntMacro(module, CODE_SOFTMAX) < 0 ||
        PyModule_AddIntMacro(module, CODE_LOG_SOFTMAX) < 0 || PyModule_AddIntMacro(module, CODE_TANH) < 0 ||
        PyModule_AddIntMacro(module, CODE_TAKE) < 0 || PyModule_AddIntMacro(module, CODE_DETACH) < 0 ||
        PyModule_AddIntMacro(module, BLOCK) < 0) {
        return -1;
    }
    return 0;
}

/* total(numbers): their sum, in the order in which replays add. */
static PyObject *total_of_array(PyObject *Py_UNUSED(module), PyObject *object)
{
    Py_buffer view;
    double *numbers;
    if (read_doubles(object, &view, &numbers, 0, PyBUF_CONTIG_RO, "numbers") < 0) {
        if (view.obj != NULL) {
            PyBuffer_Release(&view);
        }
        return NULL;
    }
    const double sum = numbers == NULL ? 0.0 : sum_in_order(numbers, 1, (size_t)view.len / sizeof(double));
    if (view.obj != NULL) {
        PyBuffer_Release(&view);
    }
    return PyFloat_FromDouble(sum);
}

static PyMethodDef module_methods[] = {
    {"total", total_of_array, METH_O, "total($module, numbers, /)\n--\n\nReturn the sum of an array of doubles."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, execute},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "microgrud._native.tape",
    .m_doc = "The tape's interpreter in C.",
    .m_size = 0,
    .m_methods = module_methods,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit_tape(void)
{
    return PyModuleDef_Init(&definition);
}
