/* A replay of one recording.
 *
 * It serves the frequent case. For other arguments, another branch or a number that is not finite it returns
 * NotImplemented and leaves no trace; Python (tape/evaluation.py) then evaluates the call, which takes 80 microseconds
 * more.
 */
#include "replay/replay.h"
#include "tape/blocks.h"

double sum_in_order(const double *numbers, size_t stride, size_t count)
{
    double sums[8] = {-0.0, -0.0, -0.0, -0.0, -0.0, -0.0, -0.0, -0.0};
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        for (size_t k = 0; k < 8; k++) {
            sums[k] += numbers[(i + k) * stride];
        }
    }
    double rest = count > 0 ? -0.0 : 0.0;
    for (; i < count; i++) {
        rest += numbers[i * stride];
    }
    return total(sums) + rest;
}

#define ALL_HOLD(comparison)                                                                                           \
    for (; k < end; k++) {                                                                                             \
        const double x = U[guards[k].x], y = U[guards[k].y];                                                           \
        wrong |= (comparison) != outcome;                                                                              \
    }                                                                                                                  \
    break

/* Tell whether all guards hold. A recorded gradient has some for each node: the loops have no branches. */
static bool all_hold(const Guard *guards, size_t count, const double *U)
{
    bool wrong = false;
    for (size_t k = 0; k < count && !wrong;) {
        const int32_t symbol = guards[k].symbol;
        const bool outcome = guards[k].outcome;
        size_t end = k + 1;
        while (end < count && guards[end].symbol == symbol && guards[end].outcome == guards[k].outcome) {
            end++;
        }
        switch (symbol) {
        case Py_LT:
            ALL_HOLD(x < y);
        case Py_LE:
            ALL_HOLD(x <= y);
        case Py_GT:
            ALL_HOLD(x > y);
        case Py_GE:
            ALL_HOLD(x >= y);
        case Py_EQ:
            ALL_HOLD(x == y);
        default:
            ALL_HOLD(x != y);
        }
    }
    return !wrong;
}
#undef ALL_HOLD

/* Run the program forward, and with `weights` of the outputs backward. Return as read_arguments does. */
static int run_replay(Replay *replay, Frame *frame, const double *weights)
{
    Tape *tape = replay->uniform, *batch = replay->batch;
    const size_t samples = frame->samples < 0 ? 1 : (size_t)frame->samples;
    const double each = replay->mean ? 1.0 / (double)samples : 1.0;
    if (reserve_samples(replay, frame, samples) < 0) {
        return -1;
    }
    for (size_t k = 0; k < replay->leaf_count; k++) {
        frame->U[replay->leaf_slots[k]] = *number_of_leaf(replay, k, replay->data_offset);
    }
    bool fine;
    Py_BEGIN_ALLOW_THREADS
    fine = forward_uniform(tape, frame->U, frame->scratch) || replay->ignore;
    fine = fine && all_hold(replay->sorted_guards, replay->guard_count, frame->U);
    if (weights != NULL) {
        memset(frame->G, 0, (size_t)tape->uniform_count * sizeof(double));
    }
    Py_END_ALLOW_THREADS
    if (!fine) {
        return 0;
    }
    size_t varying_outputs = 0;
    for (size_t k = 0; k < replay->output_count && weights != NULL; k++) {
        if (replay->output_slots[k] < tape->uniform_count) {
            const double weight = weights[k] * each;
            frame->G[replay->output_slots[k]] += sum_in_order(&weight, 0, samples);
        } else {
            frame->weights[varying_outputs++] = weights[k] * each;
        }
    }
    if (batch->varying_count > 0) {
        const Batch own = {NULL, frame->columns, frame->gradients, frame->U, NULL,
                           weights == NULL ? NULL : frame->weights, frame->outputs, frame->status, samples,
                           replay->ignore};
        double *sums = frame->G;
        const size_t uniform = (size_t)tape->uniform_count;
        double *uniform_outputs = NULL;
        /* set aside their adjoints until the batch has run */
        if (weights != NULL && varying_outputs < replay->output_count) {
            uniform_outputs = PyMem_Malloc(uniform * sizeof(double));
            if (uniform_outputs == NULL) {
                PyErr_NoMemory();
                return -1;
            }
            memcpy(uniform_outputs, sums, uniform * sizeof(double));
            memset(sums, 0, uniform * sizeof(double));
        }
        int status = run_batch(weights == NULL ? replay->forward : batch, &own, replay->threads, sums);
        for (size_t k = 0; k < uniform && uniform_outputs != NULL; k++) {
            sums[k] += uniform_outputs[k];
        }
        PyMem_Free(uniform_outputs);
        if (status < 0) {
            return -1;
        }
        for (size_t i = 0; i < samples; i++) {
            if (frame->status[i] != DONE) {
                return 0;
            }
        }
    }
    if (weights == NULL) {
        return 1;
    }
    Py_BEGIN_ALLOW_THREADS
    backward_uniform(tape, frame->U, frame->G, frame->scratch);
    fine = replay->ignore || all_finite(frame->G, (size_t)tape->uniform_count);
    Py_END_ALLOW_THREADS
    return fine;
}

/* Return output k; for a batch, its sum or mean over the samples. */
static PyObject *output_of(const Replay *replay, const Frame *frame, size_t k)
{
    const int32_t slot = replay->output_slots[k], uniform = replay->uniform->uniform_count;
    const double samples = frame->samples < 0 ? 1.0 : (double)frame->samples;
    const size_t count = frame->samples < 0 ? 1 : (size_t)frame->samples;
    size_t row = 0;
    for (size_t before = 0; before < k; before++) {
        row += replay->output_slots[before] >= uniform;
    }
    const double sum = slot < uniform ? sum_in_order(&frame->U[slot], 0, count)
                                      : sum_in_order(frame->outputs + row * count, 1, count);
    return PyFloat_FromDouble(replay->mean ? sum / samples : sum);
}

PyObject *not_implemented_unless_error(int status)
{
    return status < 0 ? NULL : Py_NewRef(Py_NotImplemented);
}

/* values(args): return the outputs, or NotImplemented. */
PyObject *replay_values(PyObject *self, PyObject *args)
{
    Replay *replay = (Replay *)self;
    Frame *frame = take_frame(replay);
    if (frame == NULL) {
        return NULL;
    }
    PyObject *values = NULL;
    int status = read_arguments(replay, frame, args);
    status = status == 1 ? run_replay(replay, frame, NULL) : status;
    if (status == 1) {
        values = PyList_New((Py_ssize_t)replay->output_count);
        for (size_t k = 0; values != NULL && k < replay->output_count; k++) {
            PyObject *output = output_of(replay, frame, k);
            if (output == NULL) {
                Py_CLEAR(values);
            } else {
                PyList_SET_ITEM(values, (Py_ssize_t)k, output);
            }
        }
    } else {
        values = not_implemented_unless_error(status);
    }
    give_frame_back(replay, frame);
    return values;
}

/* backward(args): return the only output, and add its derivatives to `grad` of the leaves; or return NotImplemented. */
PyObject *replay_backward(PyObject *self, PyObject *args)
{
    Replay *replay = (Replay *)self;
    if (replay->output_count != 1) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    Frame *frame = take_frame(replay);
    if (frame == NULL) {
        return NULL;
    }
    const double weight = 1.0;
    memset(frame->gradients, 0, replay->batch->inputs * sizeof(GradientColumn));
    int status = read_arguments(replay, frame, args);
    status = status == 1 ? run_replay(replay, frame, &weight) : status;
    PyObject *value = status == 1 ? output_of(replay, frame, 0) : not_implemented_unless_error(status);
    for (size_t k = 0; status == 1 && value != NULL && k < replay->leaf_count; k++) {
        *number_of_leaf(replay, k, replay->grad_offset) += frame->G[replay->leaf_slots[k]];
    }
    give_frame_back(replay, frame);
    return value;
}

/* --- derivatives with respect to the arguments --- */

double gradient_at(const Replay *replay, const Frame *frame, size_t place)
{
    const int32_t slot = replay->number_slots[place];
    return frame->number_gradients != NULL ? frame->number_gradients[place] : slot < 0 ? 0.0 : frame->G[slot];
}

/* Return the first part after a part and all that is in it. */
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

/* Return a new array of zeros with the shape of a part, after the axis of the samples for a batch, and a view of it. */
static PyObject *new_array(const Replay *replay, Frame *frame, const ArgumentPart *part, Py_buffer **view)
{
    const int before = is_batch(part->kind);
    PyObject *shape = PyTuple_New(part->axes + before);
    for (int axis = 0; shape != NULL && axis < part->axes + before; axis++) {
        PyObject *length = PyLong_FromSsize_t(axis < before ? frame->samples : part->shape[axis - before]);
        if (length == NULL) {
            Py_CLEAR(shape);
        } else {
            PyTuple_SET_ITEM(shape, axis, length);
        }
    }
    PyObject *array = shape == NULL ? NULL : PyObject_CallOneArg(replay->zeros, shape); /* of float64 */
    Py_XDECREF(shape);
    *view = &frame->views[frame->view_count];
    if (array == NULL || PyObject_GetBuffer(array, *view, PyBUF_CONTIG) < 0) {
        Py_XDECREF(array);
        return NULL;
    }
    frame->view_count++;
    return array;
}

void direct_gradients(const Replay *replay, Frame *frame, const ArgumentPart *part, double *numbers)
{
    for (size_t k = 0; k < part->count; k++) {
        const int32_t input = replay->number_slots[part->first + k];
        if (input >= 0) {
            frame->gradients[input].numbers = numbers + k;
            frame->gradients[input].stride = part->count;
        }
    }
}

/* Return the array that the derivatives with respect to a batch will be written into. */
static PyObject *gradient_of_batch(const Replay *replay, Frame *frame, const ArgumentPart *part)
{
    Py_buffer *view;
    PyObject *array = new_array(replay, frame, part, &view);
    if (array != NULL) {
        frame->arrays[part - replay->parts] = view->buf;
        direct_gradients(replay, frame, part, view->buf);
    }
    return array;
}

/* Return the derivatives with respect to a part that is not a batch; *next is then the next part. */
static PyObject *gradient_of_part(const Replay *replay, Frame *frame, const ArgumentPart **next)
{
    const ArgumentPart *part = (*next)++;
    if (part->kind == NUMBER) {
        return PyFloat_FromDouble(gradient_at(replay, frame, part->first));
    }
    if (part->kind == ARRAY_OF_NUMBERS) {
        Py_buffer *view;
        PyObject *array = new_array(replay, frame, part, &view);
        for (size_t k = 0; array != NULL && k < part->count; k++) {
            ((double *)view->buf)[k] = gradient_at(replay, frame, part->first + k);
        }
        return array;
    }
    const bool is_list = part->kind == LIST || part->kind == LIST_OF_NUMBERS;
    const bool nested = is_nested(part->kind);
    const Py_ssize_t count = (Py_ssize_t)part->count;
    PyObject *items = is_list ? PyList_New(count) : PyTuple_New(count);
    for (Py_ssize_t k = 0; items != NULL && k < count; k++) {
        PyObject *item = nested ? gradient_of_part(replay, frame, next)
                                : PyFloat_FromDouble(gradient_at(replay, frame, part->first + (size_t)k));
        if (item == NULL) {
            Py_CLEAR(items);
        } else if (is_list) {
            PyList_SET_ITEM(items, k, item);
        } else {
            PyTuple_SET_ITEM(items, k, item);
        }
    }
    return items;
}

PyObject *prepare_gradients(const Replay *replay, Frame *frame, PyObject *positions)
{
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
            gradient = is_batch(part->kind) ? gradient_of_batch(replay, frame, part) : Py_NewRef(Py_None);
        }
        if (gradient == NULL) {
            Py_CLEAR(gradients);
            break;
        }
        PyTuple_SET_ITEM(gradients, k, gradient);
    }
    return gradients;
}

int finish_gradients(const Replay *replay, Frame *frame, PyObject *positions, PyObject *gradients)
{
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(positions); k++) {
        const Py_ssize_t position = PyLong_AsSsize_t(PyTuple_GET_ITEM(positions, k));
        const ArgumentPart *part = replay->parts + replay->arguments[position];
        if (!is_batch(part->kind)) {
            PyObject *gradient = gradient_of_part(replay, frame, &part);
            if (gradient == NULL) {
                return -1;
            }
            Py_DECREF(PyTuple_GET_ITEM(gradients, k)); /* None */
            PyTuple_SET_ITEM(gradients, k, gradient);
        }
    }
    return 0;
}

const double *read_weights(const Replay *replay, PyObject *object, Py_buffer *view)
{
    static const double one = 1.0;
    view->obj = NULL;
    if (object == Py_None) {
        return replay->output_count == 1 ? &one : NULL;
    }
    if (PyObject_GetBuffer(object, view, PyBUF_CONTIG_RO | PyBUF_FORMAT) < 0) {
        PyErr_Clear();
        return NULL;
    }
    const bool fits = view->format != NULL && strcmp(view->format, "d") == 0 &&
                      (size_t)view->len == replay->output_count * sizeof(double);
    return fits ? view->buf : NULL;
}

/* gradients(args, positions, weights): return the first output, and a tuple of the derivatives of the weighted sum of
 * all outputs with respect to the arguments at these positions; or return NotImplemented. */
PyObject *replay_gradients(PyObject *self, PyObject *arguments)
{
    Replay *replay = (Replay *)self;
    PyObject *args, *positions, *weights_object;
    if (!PyArg_ParseTuple(arguments, "O!O!O:gradients", &PyTuple_Type, &args, &PyTuple_Type, &positions,
                          &weights_object)) {
        return NULL;
    }
    Py_buffer view;
    const double *weights = read_weights(replay, weights_object, &view);
    Frame *frame = weights == NULL ? NULL : take_frame(replay);
    PyObject *result = NULL;
    if (weights == NULL) {
        result = Py_NewRef(Py_NotImplemented);
    } else if (frame != NULL) {
        memset(frame->gradients, 0, replay->batch->inputs * sizeof(GradientColumn));
        int status = read_arguments(replay, frame, args);
        PyObject *gradients = status == 1 ? prepare_gradients(replay, frame, positions) : NULL;
        status = gradients != NULL ? run_replay(replay, frame, weights) : PyErr_Occurred() ? -1 : 0;
        if (status == 1 && finish_gradients(replay, frame, positions, gradients) == 0) {
            PyObject *value = replay->output_count > 0 ? output_of(replay, frame, 0) : Py_NewRef(Py_None);
            result = value == NULL ? NULL : PyTuple_Pack(2, value, gradients);
            Py_XDECREF(value);
        } else {
            result = not_implemented_unless_error(status == 1 ? -1 : status);
        }
        Py_XDECREF(gradients);
        give_frame_back(replay, frame);
    }
    if (view.obj != NULL) {
        PyBuffer_Release(&view);
    }
    return result;
}
