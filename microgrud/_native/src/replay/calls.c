#include "replay/calls.h"
#include "replay/gradients.h"
#include "replay/results.h"
#include "replay/tree.h"

static PyObject *not_implemented_unless_error(int status)
{
    return status < 0 ? NULL : Py_NewRef(Py_NotImplemented);
}

/* Run a call without derivatives, and return what `make` makes of it. */
static PyObject *forward(PyObject *self, PyObject *args, PyObject *(*make)(const Call *))
{
    Call call;
    int status = begin_call(&call, (Tree *)self, args, NULL);
    status = status == 1 ? run_call(&call) : status;
    PyObject *result = status == 1 ? make(&call) : not_implemented_unless_error(status);
    end_call(&call);
    return result;
}

PyObject *replay_values(PyObject *self, PyObject *args)
{
    return forward(self, args, result_of);
}

PyObject *replay_map(PyObject *self, PyObject *args)
{
    return forward(self, args, rows_of);
}

PyObject *replay_backward(PyObject *self, PyObject *args)
{
    const Tree *tree = (Tree *)self;
    if (tree->replays[0]->tapes->outputs != 1) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    const double weight = 1.0;
    Call call;
    int status = begin_call(&call, tree, args, &weight);
    status = status == 1 ? run_call(&call) : status;
    PyObject *value = status == 1 ? result_of(&call) : not_implemented_unless_error(status);
    for (size_t p = 0; status == 1 && value != NULL && p < tree->count; p++) {
        const Replay *replay = tree->replays[p];
        for (size_t k = 0; call.frames[p]->status_of_all == DONE && k < replay->leaf_count; k++) {
            *number_of_leaf(replay, k, replay->grad_offset) += call.frames[p]->G[replay->leaf_slots[k]];
        }
    }
    end_call(&call);
    return value;
}

/* The weights of the outputs. */
typedef struct {
    const double *numbers;
    double *own; /* the memory of numbers that were read from a direction; else NULL */
    Py_buffer view;
} Weights;

static void release_weights(Weights *weights)
{
    PyMem_Free(weights->own);
    if (weights->view.obj != NULL) {
        PyBuffer_Release(&weights->view);
    }
}

/* Read weights: None, which is the weight 1 of a single output; a buffer with one for each output; or a tuple of
 * directions, one for each of the arguments at `positions`. Return 1, 0 if they do not fit, or -1 with an exception. */
static int read_weights(const Replay *replay, PyObject *object, PyObject *positions, Weights *weights)
{
    static const double one = 1.0;
    const size_t outputs = replay->tapes->outputs;
    *weights = (Weights){&one, NULL, {.obj = NULL}};
    if (object == Py_None) {
        return outputs == 1;
    }
    if (PyTuple_Check(object)) {
        weights->numbers = weights->own = PyMem_Malloc((outputs + 1) * sizeof(double));
        if (weights->own == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        return read_directions(replay, positions, object, weights->own);
    }
    if (PyObject_GetBuffer(object, &weights->view, PyBUF_CONTIG_RO | PyBUF_FORMAT) < 0) {
        PyErr_Clear();
        return 0;
    }
    weights->numbers = weights->view.buf;
    return weights->view.format != NULL && strcmp(weights->view.format, "d") == 0 &&
           (size_t)weights->view.len == outputs * sizeof(double);
}

PyObject *replay_gradients(PyObject *self, PyObject *arguments)
{
    const Tree *tree = (Tree *)self;
    PyObject *args, *positions, *weights_object;
    if (!PyArg_ParseTuple(arguments, "O!O!O:gradients", &PyTuple_Type, &args, &PyTuple_Type, &positions,
                          &weights_object)) {
        return NULL;
    }
    Weights weights;
    PyObject *result = NULL, *gradients = NULL;
    Call call;
    int status = read_weights(tree->replays[0], weights_object, positions, &weights);
    const bool begun = status == 1;
    status = begun ? begin_call(&call, tree, args, weights.numbers) : status;
    if (status == 1 && weights_object != Py_None) {
        call.slopes_only = true;
        PyMem_Free(call.outputs);
        call.outputs = NULL;
    }
    if (status == 1) {
        gradients = prepare_gradients(&call, positions);
        status = gradients != NULL ? run_call(&call) : PyErr_Occurred() ? -1 : 0;
    }
    if (status == 1) {
        status = finish_gradients(&call, positions, gradients) < 0 ? -1 : 1;
    }
    if (status == 1) {
        PyObject *value = weights_object == Py_None ? result_of(&call) : Py_NewRef(Py_None);
        result = value == NULL ? NULL : PyTuple_Pack(2, value, gradients);
        Py_XDECREF(value);
    } else {
        result = not_implemented_unless_error(status);
    }
    Py_XDECREF(gradients);
    if (begun) {
        end_call(&call);
    }
    release_weights(&weights);
    return result;
}

/* --- vectors in place of leaves --- */

/* Get the buffer of `count` doubles, or int64 for `places`; None has none, and gives NULL. Return 1, or -1 with an
 * exception. */
static int take_buffer(PyObject *object, size_t count, bool writable, bool places, Py_buffer *view, void **items)
{
    view->obj = NULL;
    *items = NULL;
    if (object == Py_None) {
        return 1;
    }
    if (PyObject_GetBuffer(object, view, (writable ? PyBUF_CONTIG : PyBUF_CONTIG_RO) | PyBUF_FORMAT) < 0) {
        return -1;
    }
    const char *format = view->format == NULL ? "" : view->format;
    const bool kind = places ? strcmp(format, "l") == 0 || strcmp(format, "q") == 0 : strcmp(format, "d") == 0;
    if (!kind || view->itemsize != 8 || (size_t)view->len != count * 8) {
        PyErr_Format(PyExc_ValueError, "expected %zu %s", count, places ? "int64" : "doubles");
        PyBuffer_Release(view);
        return -1;
    }
    *items = view->buf;
    return 1;
}

/* Write the derivatives with respect to the leaves of all replays; with places, add them to the vector. */
static void write_leaves(const Call *call, double *slopes)
{
    const int64_t *place = call->places;
    for (size_t p = 0; p < call->tree->count; p++) {
        const Replay *replay = call->tree->replays[p];
        const Frame *frame = call->frames[p];
        for (size_t k = 0; k < replay->leaf_count; k++) {
            const double slope = frame->status_of_all == DONE ? frame->G[replay->leaf_slots[k]] : 0.0;
            if (place == NULL) {
                *slopes++ = slope;
            } else if ((uint64_t)place[k] < call->length) {
                slopes[place[k]] += slope;
            }
        }
        place += place != NULL ? replay->leaf_count : 0;
    }
}

/* Write the derivatives with respect to the numbers outside of batches; leave those of numbers in batches as they are. */
static void write_numbers(const Call *call, double *numbers)
{
    const Replay *replay = call->tree->replays[0];
    for (size_t k = 0; k < replay->part_count; k++) {
        const ArgumentPart *part = &replay->parts[k];
        if (!is_nested(part->kind) && !is_integer(part->kind) && !is_batch(part->kind)) {
            write_gradients(call, part->first, part->count, part->row, numbers + part->first);
        }
    }
}

enum { LEAVES, SLOPES, OUTPUTS, WEIGHTS, NUMBERS, PLACES, BUFFERS };

/* Take the buffers of a call that has begun. Return 1, or -1 with an exception; *taken counts them. */
static int take_buffers(Call *call, PyObject *const *objects, Py_buffer *views, void **buffers, int *taken)
{
    const Tree *tree = call->tree;
    const size_t leaves = leaves_before(tree, tree->count), outputs = tree->replays[0]->tapes->outputs;
    Py_ssize_t length = objects[PLACES] == Py_None ? (Py_ssize_t)leaves : PyObject_Size(objects[LEAVES]);
    if (length < 0) {
        return -1;
    }
    call->length = (size_t)length;
    const size_t counts[BUFFERS] = {call->length, call->length, outputs * call->samples, outputs,
                                    tree->replays[0]->number_count, leaves};
    int status = 1;
    while (status == 1 && *taken < BUFFERS) {
        const int k = *taken;
        const bool writable = k == SLOPES || k == OUTPUTS || k == NUMBERS;
        status = take_buffer(objects[k], counts[k], writable, k == PLACES, &views[k], &buffers[k]);
        *taken += status == 1;
    }
    return status;
}

/* flat(args, leaves, slopes, outputs, weights=None, numbers=None, places=None) */
PyObject *replay_flat(PyObject *self, PyObject *arguments)
{
    const Tree *tree = (Tree *)self;
    PyObject *args, *objects[BUFFERS] = {NULL, NULL, NULL, Py_None, Py_None, Py_None}, *result = NULL;
    if (!PyArg_ParseTuple(arguments, "O!OOO|OOO:flat", &PyTuple_Type, &args, &objects[LEAVES], &objects[SLOPES],
                          &objects[OUTPUTS], &objects[WEIGHTS], &objects[NUMBERS], &objects[PLACES])) {
        return NULL;
    }
    const size_t outputs = tree->replays[0]->tapes->outputs;
    double *first = PyMem_Calloc(outputs + 1, sizeof *first);
    if (first == NULL) {
        return PyErr_NoMemory();
    }
    first[0] = 1.0;
    Call call;
    int status = outputs > 0 ? begin_call(&call, tree, args, first) : 0;
    Py_buffer views[BUFFERS];
    void *buffers[BUFFERS];
    int taken = 0;
    status = status == 1 ? take_buffers(&call, objects, views, buffers, &taken) : status;
    if (status == 1) {
        call.leaves = buffers[LEAVES];
        call.places = buffers[PLACES];
        const double *weights = buffers[WEIGHTS] != NULL ? buffers[WEIGHTS] : first;
        call.weights = buffers[SLOPES] == NULL && buffers[NUMBERS] == NULL ? NULL : weights;
        status = run_call(&call);
        call.weights = weights;
    }
    if (status == 1) {
        if (buffers[SLOPES] != NULL) {
            write_leaves(&call, buffers[SLOPES]);
        }
        if (buffers[NUMBERS] != NULL) {
            write_numbers(&call, buffers[NUMBERS]);
        }
        if (buffers[OUTPUTS] != NULL) {
            write_rows(&call, buffers[OUTPUTS]);
        }
        result = PyFloat_FromDouble(weighted_output(&call));
    } else {
        result = not_implemented_unless_error(status);
    }
    while (taken > 0) {
        PyBuffer_Release(&views[--taken]);
    }
    if (outputs > 0) {
        end_call(&call);
    }
    PyMem_Free(first);
    return result;
}
