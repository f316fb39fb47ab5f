#include "replay/frame.h"

void free_frame(Frame *frame)
{
    if (frame != NULL) {
        PyMem_Free(frame->U);
        PyMem_Free(frame->G);
        PyMem_Free(frame->scratch);
        PyMem_Free(frame->weights);
        PyMem_Free(frame->columns);
        PyMem_Free(frame->gradients);
        PyMem_Free(frame->views);
        PyMem_Free(frame->batches);
        PyMem_Free(frame->outputs);
        PyMem_Free(frame->status);
        PyMem_Free(frame);
    }
}

static Frame *new_frame(const Replay *replay)
{
    const Tapes *tapes = replay->tapes;
    const size_t uniform = (size_t)tapes->uniform.uniform_count, inputs = tapes->batch.inputs;
    Frame *frame = PyMem_Calloc(1, sizeof *frame);
    if (frame == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    frame->U = PyMem_Malloc((uniform + 1) * sizeof(double));
    frame->G = PyMem_Malloc((uniform + 1) * sizeof(double));
    frame->scratch = PyMem_Malloc((scratch_of_uniform(&tapes->uniform) + 1) * sizeof(double));
    frame->weights = PyMem_Malloc((tapes->outputs + 1) * sizeof(double));
    frame->columns = PyMem_Calloc(inputs + 1, sizeof(Column));
    frame->gradients = PyMem_Calloc(inputs + 1, sizeof(GradientColumn));
    frame->views = PyMem_Calloc(2 * replay->array_count + 1, sizeof(Py_buffer));
    frame->batches = PyMem_Calloc(replay->part_count + 1, sizeof *frame->batches);
    if (frame->U == NULL || frame->G == NULL || frame->scratch == NULL || frame->weights == NULL ||
        frame->columns == NULL || frame->gradients == NULL || frame->views == NULL || frame->batches == NULL) {
        free_frame(frame);
        PyErr_NoMemory();
        return NULL;
    }
    memcpy(frame->U, PyBytes_AS_STRING(tapes->constants), uniform * sizeof(double));
    return frame;
}

Frame *take_frame(Replay *replay)
{
    Frame *frame = replay->spare;
    replay->spare = NULL;
    return frame != NULL ? frame : new_frame(replay);
}

void give_frame_back(Replay *replay, Frame *frame)
{
    while (frame->view_count > 0) {
        PyBuffer_Release(&frame->views[--frame->view_count]);
    }
    if (frame->capacity * replay->tapes->batch.outputs > MOST_SPARE) {
        PyMem_Free(frame->outputs);
        frame->outputs = NULL;
        frame->capacity = 0;
    }
    if (frame->status_capacity > MOST_SPARE) {
        PyMem_Free(frame->status);
        frame->status = NULL;
        frame->status_capacity = 0;
    }
    if (replay->spare == NULL) {
        replay->spare = frame;
    } else {
        free_frame(frame);
    }
}

int reserve_samples(const Replay *replay, Frame *frame, size_t samples, bool outputs)
{
    if (outputs && samples > frame->capacity) {
        const size_t count = replay->tapes->batch.outputs * samples + 1;
        double *larger = PyMem_Realloc(frame->outputs, count * sizeof(double));
        if (larger == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        frame->outputs = larger;
        frame->capacity = samples;
    }
    if (samples > frame->status_capacity) {
        int32_t *larger = PyMem_Realloc(frame->status, samples * sizeof(int32_t));
        if (larger == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        frame->status = larger;
        frame->status_capacity = samples;
    }
    return 0;
}
