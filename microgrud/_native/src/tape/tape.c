/* The type Tape: a program is read, checked and prepared; two methods run it. */
#include "tape/tape.h"

#include "tape/blocks.h"
#include "tape/instructions.h"
#include "tape/run.h"

static int copy_ints(PyObject *object, int32_t **numbers, size_t *count, const char *what)
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
    PyMem_Free(tape->first_writes);
    PyMem_Free(tape->new_slots);
    PyMem_Free(tape->cleared_slots);
    free(tape->spare);
    type->tp_free(self);
    Py_DECREF(type);
}

bool is_tape(PyObject *object)
{
    return Py_TYPE(object)->tp_dealloc == tape_dealloc;
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
    if (copy_ints(code, &tape->code, &tape->length, "code") < 0 ||
        copy_ints(starts, &tape->starts, &tape->count, "starts") < 0 ||
        copy_ints(inputs, &tape->input_slots, &tape->inputs, "inputs") < 0 ||
        copy_ints(outputs, &tape->output_slots, &tape->outputs, "outputs") < 0 ||
        copy_ints(guards, &guard_list, &guard_numbers, "guards") < 0 ||
        copy_ints(constants, &tape->constant_slots, &tape->constants, "constants") < 0) {
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
            PyErr_SetString(PyExc_ValueError, "Tape: constants: expected uniform slots");
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
    tape->blocks = find_blocks(variant);
    if (tape->blocks == NULL) {
        PyErr_Format(PyExc_ValueError, "Tape: this processor or build does not support the variant %s", variant);
        Py_DECREF(tape);
        return NULL;
    }
    if (find_first_writes(tape) < 0 || widen(tape) < 0 || (movable && reorder_slots(tape) < 0)) {
        Py_DECREF(tape);
        return NULL;
    }
    return (PyObject *)tape;
}

int read_doubles(PyObject *object, Py_buffer *view, double **numbers, size_t least, int flags, const char *what)
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
        PyErr_SetString(PyExc_ValueError, "Tape: status: expected one int32 per sample");
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
        const Batch batch = {NULL, columns, gradients, numbers[1], numbers[2], NULL, numbers[3], views[6].buf, n,
                             ignore != 0};
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

/* run_alone(uniform, gradients): run a program without a batch forward, or with gradients backward. */
static PyObject *tape_run_alone(PyObject *self, PyObject *args)
{
    const Tape *tape = (Tape *)self;
    PyObject *uniform_object, *gradients_object;
    if (!PyArg_ParseTuple(args, "OO:run_alone", &uniform_object, &gradients_object)) {
        return NULL;
    }
    if (tape->varying_count > 0) {
        PyErr_SetString(PyExc_ValueError, "Tape: run_alone: expected a program without varying slots");
        return NULL;
    }
    Py_buffer views[2];
    double *U, *G = NULL;
    memset(views, 0, sizeof views);
    const size_t n = (size_t)tape->uniform_count;
    int fine = -1;
    if (read_doubles(uniform_object, &views[0], &U, n, PyBUF_CONTIG, "uniform") == 0 &&
        read_doubles(gradients_object, &views[1], &G, n, PyBUF_CONTIG, "gradients") == 0) {
        double *scratch = PyMem_RawMalloc((3 * tape->longest + 2 * n + 1) * sizeof(double));
        if (scratch == NULL || U == NULL) {
            PyErr_NoMemory();
        } else {
            double *numbers = scratch, *adjoints = numbers + n, *rest = adjoints + n;
            Py_BEGIN_ALLOW_THREADS
            reorder_numbers(tape, U, numbers, false);
            fine = 1;
            if (G == NULL) {
                fine = forward_uniform(tape, numbers, rest);
                reorder_numbers(tape, numbers, U, true);
            } else {
                reorder_numbers(tape, G, adjoints, false);
                backward_uniform(tape, numbers, adjoints, rest);
                reorder_numbers(tape, adjoints, G, true);
            }
            Py_END_ALLOW_THREADS
        }
        PyMem_RawFree(scratch);
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
     "Run the program over a batch; without seeds only forward."},
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

PyType_Spec tape_spec = {
    .name = "microgrud._native.tape.Tape",
    .basicsize = sizeof(Tape),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = tape_slots,
};
