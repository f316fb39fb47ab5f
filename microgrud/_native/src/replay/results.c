#include "replay/results.h"

/* --- the outputs of a call, in order --- */

/* Copies of what a call refers to: to follow its pointers for each output took 4 ns. */
typedef struct {
    PyObject *zeros;
    const int32_t *slots; /* of the next output, and of those after it */
    int32_t uniform;      /* how many slots are not those of samples */
    const double *U;
    const double *rows; /* of the next output, and of those after it, for each sample */
    bool together;      /* all outputs have rows, and not only those that vary by sample */
    bool mean;
    size_t samples;
} Outputs;

static Outputs outputs_of(const Call *call)
{
    const Replay *replay = call->tree->replays[0];
    const bool together = call->outputs != NULL;
    return (Outputs){replay->zeros,
                     replay->tapes->output_slots,
                     replay->tapes->uniform.uniform_count,
                     call->frames[0]->U,
                     together ? call->outputs : call->frames[0]->outputs,
                     together,
                     replay->mean,
                     call->samples};
}

/* Return the numbers of the next output: one for each sample, or with a stride of 0 one for all. */
static const double *next_numbers(Outputs *outputs, size_t *stride)
{
    const int32_t slot = *outputs->slots++;
    *stride = outputs->together || slot >= outputs->uniform;
    if (*stride == 0) {
        return &outputs->U[slot];
    }
    const double *numbers = outputs->rows;
    outputs->rows += outputs->samples;
    return numbers;
}

static double next_output(Outputs *outputs)
{
    size_t stride;
    const double *numbers = next_numbers(outputs, &stride);
    if (outputs->samples == 1) { /* 2 ns instead of 8 */
        return *numbers;
    }
    const double sum = sum_in_order(numbers, stride, outputs->samples);
    return outputs->mean ? sum / (double)outputs->samples : sum;
}

/* --- structures --- */

static ResultKind kind_of(PyObject *plan)
{
    return (ResultKind)PyLong_AsLong(PyTuple_GET_ITEM(plan, 0));
}

/* Add the numbers of a plan to *count. Return false if the object is not a plan. */
static bool count_numbers(PyObject *plan, size_t *count)
{
    if (plan == Py_None) {
        (*count)++;
        return true;
    }
    if (!PyTuple_Check(plan) || PyTuple_GET_SIZE(plan) < 2 || !PyLong_Check(PyTuple_GET_ITEM(plan, 0))) {
        return false;
    }
    const ResultKind kind = kind_of(plan);
    PyObject *items = PyTuple_GET_ITEM(plan, 1), *item;
    if (kind == DICT_RESULT) {
        bool fits = PyDict_CheckExact(items);
        for (Py_ssize_t position = 0; fits && PyDict_Next(items, &position, NULL, &item);) {
            fits = count_numbers(item, count);
        }
        return fits;
    }
    size_t size = 1;
    bool fits = PyTuple_Check(items);
    for (Py_ssize_t k = 0; fits && k < PyTuple_GET_SIZE(items); k++) {
        item = PyTuple_GET_ITEM(items, k);
        if (kind == ARRAY_RESULT) {
            const Py_ssize_t length = PyLong_Check(item) ? PyLong_AsSsize_t(item) : -1;
            fits = length >= 0;
            size *= fits ? (size_t)length : 0;
        } else {
            fits = count_numbers(item, count);
        }
    }
    *count += kind == ARRAY_RESULT ? size : 0;
    if (kind == NAMED_RESULT || kind == OTHER_RESULT) {
        PyObject *make = PyTuple_GET_SIZE(plan) == 3 ? PyTuple_GET_ITEM(plan, 2) : NULL;
        return fits && make != NULL && PyCallable_Check(make) &&
               (kind != NAMED_RESULT ||
                (PyType_Check(make) && PyType_IsSubtype((PyTypeObject *)make, &PyTuple_Type)));
    }
    return fits && kind >= 0 && kind < RESULT_KIND_COUNT;
}

bool is_plan(PyObject *object, size_t outputs)
{
    size_t count = 0;
    return count_numbers(object, &count) && count == outputs;
}

/* Return a new array of float64, zeros as yet, and a view of it. */
static PyObject *new_array(const Outputs *outputs, PyObject *shape, Py_buffer *view)
{
    PyObject *array = PyObject_CallOneArg(outputs->zeros, shape);
    if (array != NULL && PyObject_GetBuffer(array, view, PyBUF_CONTIG) < 0) {
        Py_CLEAR(array);
    }
    return array;
}

static PyObject *array_of(Outputs *outputs, PyObject *shape)
{
    Py_buffer view;
    PyObject *array = new_array(outputs, shape, &view);
    if (array != NULL) {
        for (size_t k = 0; k < (size_t)view.len / sizeof(double); k++) {
            ((double *)view.buf)[k] = next_output(outputs);
        }
        PyBuffer_Release(&view);
    }
    return array;
}

static PyObject *built(Outputs *outputs, PyObject *plan);

/* A copy of the dict of plans has the keys in their order, and need not grow. */
static PyObject *dict_of(Outputs *outputs, PyObject *plans)
{
    PyObject *dict = PyDict_Copy(plans), *key, *plan;
    for (Py_ssize_t position = 0; dict != NULL && PyDict_Next(plans, &position, &key, &plan);) {
        PyObject *item = built(outputs, plan);
        if (item == NULL || PyDict_SetItem(dict, key, item) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(item);
    }
    return dict;
}

static PyObject *items_of(Outputs *outputs, PyObject *plans, bool in_list)
{
    const Py_ssize_t count = PyTuple_GET_SIZE(plans);
    PyObject *items = in_list ? PyList_New(count) : PyTuple_New(count);
    for (Py_ssize_t k = 0; items != NULL && k < count; k++) {
        PyObject *item = built(outputs, PyTuple_GET_ITEM(plans, k));
        if (item == NULL) {
            Py_CLEAR(items);
        } else if (in_list) {
            PyList_SET_ITEM(items, k, item);
        } else {
            PyTuple_SET_ITEM(items, k, item);
        }
    }
    return items;
}

/* Return a named tuple, as its `_make` does. */
static PyObject *named_of(PyObject *items, PyTypeObject *type)
{
    PyObject *args = items == NULL ? NULL : PyTuple_Pack(1, items);
    PyObject *named = args == NULL ? NULL : PyTuple_Type.tp_new(type, args, NULL);
    Py_XDECREF(args);
    Py_XDECREF(items);
    return named;
}

static PyObject *made_of(PyObject *items, PyObject *make)
{
    PyObject *made = items == NULL ? NULL : PyObject_CallOneArg(make, items);
    Py_XDECREF(items);
    return made;
}

/* Return what a plan describes, of the next outputs. */
static PyObject *built(Outputs *outputs, PyObject *plan)
{
    if (plan == Py_None) {
        return PyFloat_FromDouble(next_output(outputs));
    }
    PyObject *items = PyTuple_GET_ITEM(plan, 1);
    switch (kind_of(plan)) {
    case ARRAY_RESULT:
        return array_of(outputs, items);
    case DICT_RESULT:
        return dict_of(outputs, items);
    case NAMED_RESULT:
        return named_of(items_of(outputs, items, false), (PyTypeObject *)PyTuple_GET_ITEM(plan, 2));
    case OTHER_RESULT:
        return made_of(items_of(outputs, items, true), PyTuple_GET_ITEM(plan, 2));
    default:
        return items_of(outputs, items, kind_of(plan) == LIST_RESULT);
    }
}

PyObject *result_of(const Call *call)
{
    Outputs outputs = outputs_of(call);
    return built(&outputs, call->tree->replays[0]->result);
}

double weighted_output(const Call *call)
{
    Outputs outputs = outputs_of(call);
    double total = -0.0; /* a start at 0.0 would turn a result of -0.0 into 0.0 */
    for (size_t k = 0; k < call->tree->replays[0]->tapes->outputs; k++) {
        const double output = next_output(&outputs);
        total += call->weights[k] != 0.0 ? call->weights[k] * output : -0.0;
    }
    return total;
}

void write_rows(const Call *call, double *to)
{
    Outputs outputs = outputs_of(call);
    for (size_t k = 0; k < call->tree->replays[0]->tapes->outputs; k++) {
        size_t stride;
        const double *numbers = next_numbers(&outputs, &stride);
        for (size_t i = 0; i < call->samples; i++) {
            *to++ = numbers[i * stride];
        }
    }
}

PyObject *rows_of(const Call *call)
{
    const Outputs outputs = outputs_of(call);
    const size_t count = call->tree->replays[0]->tapes->outputs;
    PyObject *shape = Py_BuildValue("(nn)", (Py_ssize_t)count, (Py_ssize_t)call->samples);
    Py_buffer view;
    PyObject *array = shape == NULL ? NULL : new_array(&outputs, shape, &view);
    Py_XDECREF(shape);
    if (array != NULL) {
        write_rows(call, view.buf);
        PyBuffer_Release(&view);
    }
    return array;
}
