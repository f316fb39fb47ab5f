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
    if (frame->capacity * (replay->tapes->batch.outputs + 1) > MOST_SPARE) {
        PyMem_Free(frame->outputs);
        PyMem_Free(frame->status);
        frame->outputs = NULL;
        frame->status = NULL;
        frame->capacity = 0;
    }
    if (replay->spare == NULL) {
        replay->spare = frame;
    } else {
        free_frame(frame);
    }
}

int reserve_samples(const Replay *replay, Frame *frame, size_t samples)
{
    if (samples <= frame->capacity) {
        return 0;
    }
    double *outputs = PyMem_Realloc(frame->outputs, (replay->tapes->batch.outputs * samples + 1) * sizeof(double));
    if (outputs != NULL) {
        frame->outputs = outputs;
    }
    int32_t *status = PyMem_Realloc(frame->status, samples * sizeof(int32_t));
    if (status != NULL) {
        frame->status = status;
    }
    if (outputs == NULL || status == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    frame->capacity = samples;
    return 0;
}
