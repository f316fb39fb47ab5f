/* All functions return as read_arguments does. */
#include "replay/arguments.h"

static int read_number(const Replay *replay, Frame *frame, size_t place, PyObject *x)
{
    if (!PyFloat_Check(x)) {
        return 0;
    }
    const int32_t slot = replay->number_slots[place];
    if (slot >= 0) {
        frame->U[slot] = PyFloat_AS_DOUBLE(x);
    }
    return 1;
}

static int place_integer(const Replay *replay, Frame *frame, size_t place, int64_t number)
{
    const IntegerRule *rule = &replay->integers[place];
    if (!fits_rule(rule, number) || !is_within(rule, number)) {
        frame->unfit = true;
        return frame->lenient;
    }
    if (replay->integer_slots[place] >= 0) {
        frame->U[replay->integer_slots[place]] = (double)number;
    }
    return 1;
}

static int read_integer(const Replay *replay, Frame *frame, size_t place, PyObject *x)
{
    if (!PyLong_CheckExact(x)) {
        return 0;
    }
    int overflow;
    const long long number = PyLong_AsLongLongAndOverflow(x, &overflow);
    return overflow ? 0 : place_integer(replay, frame, place, number);
}

/* Return the buffer of a contiguous array of doubles or int64 with the shape of a part, after `before` other axes; NULL
 * for anything else. Subclasses of NumPy's array are refused, because they may run code. */
static const Py_buffer *read_array(const Replay *replay, Frame *frame, const ArgumentPart *part, PyObject *x,
                                   int before, bool whole)
{
    if ((PyObject *)Py_TYPE(x) != replay->array_type) {
        return NULL;
    }
    Py_buffer *view = &frame->views[frame->view_count];
    if (PyObject_GetBuffer(x, view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) < 0) {
        PyErr_Clear();
        return NULL;
    }
    frame->view_count++;
    const bool kind = view->format != NULL && view->itemsize == 8 &&
                      (whole ? strcmp(view->format, "l") == 0 || strcmp(view->format, "q") == 0
                             : strcmp(view->format, "d") == 0);
    if (!kind || view->ndim != part->axes + before) {
        return NULL;
    }
    for (int axis = 0; axis < part->axes; axis++) {
        if (view->shape[axis + before] != part->shape[axis]) {
            return NULL;
        }
    }
    return view;
}

static int read_numbers_of_array(const Replay *replay, Frame *frame, const ArgumentPart *part, PyObject *x)
{
    const bool whole = part->kind == ARRAY_OF_INTEGERS;
    const Py_buffer *view = read_array(replay, frame, part, x, 0, whole);
    if (view == NULL) {
        return 0;
    }
    if (part->row >= 0) {
        memcpy(frame->U + part->row, view->buf, part->count * sizeof(double));
        return 1;
    }
    for (size_t k = 0; k < part->count; k++) {
        if (whole) {
            if (!place_integer(replay, frame, part->first + k, ((const int64_t *)view->buf)[k])) {
                return 0;
            }
        } else if (replay->number_slots[part->first + k] >= 0) {
            frame->U[replay->number_slots[part->first + k]] = ((const double *)view->buf)[k];
        }
    }
    return 1;
}

static int read_batch(const Replay *replay, Frame *frame, const ArgumentPart *part, PyObject *x)
{
    const bool whole = part->kind == BATCH_OF_INTEGERS;
    const Py_buffer *view = read_array(replay, frame, part, x, 1, whole);
    if (view == NULL || view->shape[0] < 1 || (frame->samples >= 0 && frame->samples != view->shape[0])) {
        return 0;
    }
    frame->samples = view->shape[0];
    if (whole) {
        frame->batches[part - replay->parts] = view->buf;
    }
    for (size_t k = 0; k < part->count; k++) {
        const size_t place = part->first + k;
        const int32_t input = (whole ? replay->integer_slots : replay->number_slots)[place];
        const int64_t *numbers = (const int64_t *)view->buf + k;
        for (size_t i = 0; whole && !frame->lenient && i < (size_t)frame->samples; i++) {
            const int64_t number = numbers[i * part->count];
            if (!fits_rule(&replay->integers[place], number) || !is_within(&replay->integers[place], number)) {
                return 0;
            }
        }
        if (input >= 0) {
            const char *first = (const char *)view->buf + k * 8;
            const Column column = {first, part->count, whole};
            frame->columns[input] = column;
        }
    }
    return 1;
}

/* Read a part, and the parts in it; *next is then the next one. */
static int read_part(const Replay *replay, Frame *frame, const ArgumentPart **next, PyObject *x)
{
    const ArgumentPart *part = (*next)++;
    const bool nested = is_nested(part->kind), whole = is_integer(part->kind);
    switch (part->kind) {
    case NUMBER:
        return read_number(replay, frame, part->first, x);
    case INTEGER:
        return read_integer(replay, frame, part->first, x);
    case ARRAY_OF_NUMBERS:
    case ARRAY_OF_INTEGERS:
        return read_numbers_of_array(replay, frame, part, x);
    case BATCH_OF_NUMBERS:
    case BATCH_OF_INTEGERS:
        return read_batch(replay, frame, part, x);
    default:
        break;
    }
    if (!is_container(part, x)) {
        return 0;
    }
    int status = 1;
    Py_ssize_t position = 0;
    for (size_t k = 0; k < part->count && status == 1; k++) {
        /* no other code runs meanwhile, so that the list stays as it is */
        PyObject *item = next_item(part, x, &position, k);
        status = item == NULL ? 0
                 : nested     ? read_part(replay, frame, next, item)
                 : whole ? read_integer(replay, frame, part->first + k, item)
                         : read_number(replay, frame, part->first + k, item);
    }
    return status;
}

int read_arguments(const Replay *replay, Frame *frame, PyObject *args)
{
    if (!PyTuple_Check(args) || (size_t)PyTuple_GET_SIZE(args) != replay->argument_count) {
        return 0;
    }
    frame->samples = -1;
    frame->unfit = false;
    const ArgumentPart *part = replay->parts;
    int status = 1;
    for (size_t k = 0; k < replay->argument_count && status == 1; k++) {
        status = read_part(replay, frame, &part, PyTuple_GET_ITEM(args, (Py_ssize_t)k));
    }
    return status;
}
