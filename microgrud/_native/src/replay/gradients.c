#include "replay/gradients.h"

/* Return the next part that is not inside this one. */
static const ArgumentPart *end_of_part(const ArgumentPart *part)
{
    const ArgumentPart *next = part + 1;
    for (size_t k = 0; is_nested(part->kind) && k < part->count; k++) {
        next = end_of_part(next);
    }
    return next;
}

static bool has_integers(const ArgumentPart *part)
{
    const ArgumentPart *end = end_of_part(part);
    for (const ArgumentPart *own = part; own < end; own++) {
        if (is_integer(own->kind)) {
            return true;
        }
    }
    return false;
}

/* Return the part of the argument at a position, NULL without an exception if there is none. */
static const ArgumentPart *part_at(const Replay *replay, PyObject *object)
{
    const Py_ssize_t position = PyLong_AsSsize_t(object);
    if (position < 0 || (size_t)position >= replay->argument_count) {
        PyErr_Clear();
        return NULL;
    }
    return replay->parts + replay->arguments[position];
}

/* Return a new array with the shape of a part, after the axis of the samples for a batch, and a view of it. That of a
 * batch holds zeros, and any other array no numbers yet. */
static PyObject *new_array(const Call *call, const ArgumentPart *part, Py_buffer **view)
{
    const int before = is_batch(part->kind);
    Frame *frame = call->frames[0];
    PyObject *shape = PyTuple_New(part->axes + before);
    for (int axis = 0; shape != NULL && axis < part->axes + before; axis++) {
        PyObject *length = PyLong_FromSsize_t(axis < before ? frame->samples : part->shape[axis - before]);
        if (length == NULL) {
            Py_CLEAR(shape);
        } else {
            PyTuple_SET_ITEM(shape, axis, length);
        }
    }
    const Replay *replay = call->tree->replays[0];
    PyObject *array = shape == NULL ? NULL : PyObject_CallOneArg(before ? replay->zeros : replay->array_type, shape);
    Py_XDECREF(shape);
    *view = &frame->views[frame->view_count];
    if (array == NULL || PyObject_GetBuffer(array, *view, PyBUF_CONTIG) < 0) {
        Py_XDECREF(array);
        return NULL;
    }
    frame->view_count++;
    return array;
}

/* Return the array that the derivatives with respect to a batch will be written into, by all replays. */
static PyObject *gradient_of_batch(const Call *call, const ArgumentPart *part)
{
    Py_buffer *view;
    PyObject *array = new_array(call, part, &view);
    for (size_t p = 0; array != NULL && p < call->tree->count; p++) {
        for (size_t k = 0; k < part->count; k++) {
            const int32_t input = call->tree->replays[p]->number_slots[part->first + k];
            if (input >= 0) {
                call->frames[p]->gradients[input].numbers = (double *)view->buf + k;
                call->frames[p]->gradients[input].stride = part->count;
            }
        }
    }
    return array;
}

void write_gradients(const Call *call, size_t first, size_t count, int32_t row, double *sums)
{
    if (row >= 0 && call->tree->count == 1 && call->frames[0]->status_of_all == DONE) {
        memcpy(sums, call->frames[0]->G + row, count * sizeof *sums);
        return;
    }
    memset(sums, 0, count * sizeof *sums);
    for (size_t p = 0; p < call->tree->count; p++) {
        const int32_t *slots = call->tree->replays[p]->number_slots + first;
        const double *G = call->frames[p]->G;
        for (size_t k = 0; call->frames[p]->status_of_all == DONE && k < count; k++) {
            sums[k] += slots[k] < 0 ? 0.0 : G[slots[k]];
        }
    }
}

static PyObject *gradient_of_number(const Call *call, size_t place)
{
    double sum;
    write_gradients(call, place, 1, -1, &sum);
    return PyFloat_FromDouble(sum);
}

/* Return the derivatives with respect to a part that is not a batch; *next is then the next part. */
static PyObject *gradient_of_part(const Call *call, const ArgumentPart **next)
{
    const ArgumentPart *part = (*next)++;
    if (part->kind == NUMBER) {
        return gradient_of_number(call, part->first);
    }
    if (part->kind == ARRAY_OF_NUMBERS) {
        Py_buffer *view;
        PyObject *array = new_array(call, part, &view);
        if (array != NULL) {
            write_gradients(call, part->first, part->count, part->row, view->buf);
        }
        return array;
    }
    const bool nested = is_nested(part->kind), in_list = is_list(part->kind);
    const Py_ssize_t count = (Py_ssize_t)part->count;
    PyObject *items = part->kind == DICT ? PyDict_New() : in_list ? PyList_New(count) : PyTuple_New(count);
    for (Py_ssize_t k = 0; items != NULL && k < count; k++) {
        PyObject *item = nested ? gradient_of_part(call, next)
                                : gradient_of_number(call, part->first + (size_t)k);
        if (item == NULL) {
            Py_CLEAR(items);
        } else if (part->kind == DICT) {
            if (PyDict_SetItem(items, PyTuple_GET_ITEM(part->keys, k), item) < 0) {
                Py_CLEAR(items);
            }
            Py_DECREF(item);
        } else if (in_list) {
            PyList_SET_ITEM(items, k, item);
        } else {
            PyTuple_SET_ITEM(items, k, item);
        }
    }
    return items;
}

/* Read the numbers of a direction, an object with the structure of a part that is not a batch, to *numbers and behind
 * it. Return false if it has another structure; *next is then undefined, otherwise the next part. */
static bool read_direction(const Replay *replay, const ArgumentPart **next, PyObject *x, double **numbers)
{
    const ArgumentPart *part = (*next)++;
    if (part->kind == NUMBER) {
        if (!PyFloat_Check(x)) {
            return false;
        }
        *(*numbers)++ = PyFloat_AS_DOUBLE(x);
        return true;
    }
    if (part->kind == ARRAY_OF_NUMBERS) {
        Py_buffer view;
        if ((PyObject *)Py_TYPE(x) != replay->array_type ||
            PyObject_GetBuffer(x, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) < 0) {
            PyErr_Clear();
            return false;
        }
        const bool fits = view.format != NULL && strcmp(view.format, "d") == 0 && view.ndim == part->axes &&
                          (part->axes == 0 ||
                           memcmp(view.shape, part->shape, (size_t)part->axes * sizeof *part->shape) == 0);
        if (fits) {
            memcpy(*numbers, view.buf, part->count * sizeof(double));
            *numbers += part->count;
        }
        PyBuffer_Release(&view);
        return fits;
    }
    bool fits = is_container(part, x);
    Py_ssize_t position = 0;
    for (size_t k = 0; fits && k < part->count; k++) {
        PyObject *item = next_item(part, x, &position, k);
        fits = item != NULL && (is_nested(part->kind) || PyFloat_Check(item));
        if (fits && is_nested(part->kind)) {
            fits = read_direction(replay, next, item, numbers);
        } else if (fits) {
            *(*numbers)++ = PyFloat_AS_DOUBLE(item);
        }
    }
    return fits;
}

bool read_directions(const Replay *replay, PyObject *positions, PyObject *directions, double *numbers)
{
    const Py_ssize_t count = PyTuple_GET_SIZE(positions);
    size_t total = 0;
    bool fits = PyTuple_GET_SIZE(directions) == count;
    for (Py_ssize_t k = 0; k < count && fits; k++) {
        const ArgumentPart *part = part_at(replay, PyTuple_GET_ITEM(positions, k));
        fits = part != NULL && !is_batch(part->kind) && !has_integers(part);
        for (const ArgumentPart *own = part; fits && own < end_of_part(part); own++) {
            total += is_nested(own->kind) ? 0 : own->count;
        }
        fits = fits && total <= replay->tapes->outputs &&
               read_direction(replay, &part, PyTuple_GET_ITEM(directions, k), &numbers);
    }
    return fits && total == replay->tapes->outputs;
}

PyObject *prepare_gradients(const Call *call, PyObject *positions)
{
    const Replay *replay = call->tree->replays[0];
    const Py_ssize_t count = PyTuple_GET_SIZE(positions);
    PyObject *gradients = PyTuple_New(count);
    for (Py_ssize_t k = 0; gradients != NULL && k < count; k++) {
        const Py_ssize_t position = PyLong_AsSsize_t(PyTuple_GET_ITEM(positions, k));
        bool fits = position >= 0 && (size_t)position < replay->argument_count;
        for (Py_ssize_t before = 0; before < k && fits; before++) {
            fits = PyLong_AsSsize_t(PyTuple_GET_ITEM(positions, before)) != position;
        }
        const ArgumentPart *part = fits ? replay->parts + replay->arguments[position] : NULL;
        PyObject *gradient = NULL;
        if (fits && !has_integers(part)) {
            gradient = is_batch(part->kind) ? gradient_of_batch(call, part) : Py_NewRef(Py_None);
        }
        if (gradient == NULL) {
            Py_CLEAR(gradients);
            break;
        }
        PyTuple_SET_ITEM(gradients, k, gradient);
    }
    return gradients;
}

int finish_gradients(const Call *call, PyObject *positions, PyObject *gradients)
{
    const Replay *replay = call->tree->replays[0];
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(positions); k++) {
        const Py_ssize_t position = PyLong_AsSsize_t(PyTuple_GET_ITEM(positions, k));
        const ArgumentPart *part = replay->parts + replay->arguments[position];
        if (!is_batch(part->kind)) {
            PyObject *gradient = gradient_of_part(call, &part);
            if (gradient == NULL) {
                return -1;
            }
            Py_DECREF(PyTuple_GET_ITEM(gradients, k)); /* None */
            PyTuple_SET_ITEM(gradients, k, gradient);
        }
    }
    return 0;
}
