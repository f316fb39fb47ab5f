/* The numbers of a call: one room for each replay is kept for the next call. */
#include "replay/replay.h"

void free_room(Room *room)
{
    if (room != NULL) {
        PyMem_Free(room->U);
        PyMem_Free(room->G);
        PyMem_Free(room->alone);
        PyMem_Free(room->weights);
        PyMem_Free(room->columns);
        PyMem_Free(room->gradients);
        PyMem_Free(room->views);
        PyMem_Free(room->batches);
        PyMem_Free(room->arrays);
        PyMem_Free(room->outputs);
        PyMem_Free(room->status);
        PyMem_Free(room);
    }
}

static Room *new_room(const Replay *replay)
{
    const size_t uniform = (size_t)replay->alone->uniform_count, inputs = replay->batch->inputs;
    Room *room = PyMem_Calloc(1, sizeof *room);
    if (room == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    room->U = PyMem_Malloc((uniform + 1) * sizeof(double));
    room->G = PyMem_Malloc((uniform + 1) * sizeof(double));
    room->alone = PyMem_Malloc((3 * replay->alone->longest + 1) * sizeof(double));
    room->weights = PyMem_Malloc((replay->output_count + 1) * sizeof(double));
    room->columns = PyMem_Calloc(inputs + 1, sizeof(Column));
    room->gradients = PyMem_Calloc(inputs + 1, sizeof(GradientColumn));
    room->views = PyMem_Calloc(2 * replay->array_count + 1, sizeof(Py_buffer));
    room->batches = PyMem_Calloc(replay->part_count + 1, sizeof *room->batches);
    room->arrays = PyMem_Calloc(replay->part_count + 1, sizeof *room->arrays);
    if (room->U == NULL || room->G == NULL || room->alone == NULL || room->weights == NULL || room->columns == NULL ||
        room->gradients == NULL || room->views == NULL || room->batches == NULL || room->arrays == NULL) {
        free_room(room);
        PyErr_NoMemory();
        return NULL;
    }
    memcpy(room->U, replay->constants, uniform * sizeof(double));
    return room;
}

Room *take_room(Replay *replay)
{
    Room *room = replay->spare;
    replay->spare = NULL;
    return room != NULL ? room : new_room(replay);
}

void leave_room(Replay *replay, Room *room)
{
    while (room->view_count > 0) {
        PyBuffer_Release(&room->views[--room->view_count]);
    }
    if (room->capacity * (replay->batch->outputs + 1) > MOST_SPARE) {
        PyMem_Free(room->outputs);
        PyMem_Free(room->status);
        room->outputs = NULL;
        room->status = NULL;
        room->capacity = 0;
    }
    if (replay->spare == NULL) {
        replay->spare = room;
    } else {
        free_room(room);
    }
}

int make_room(const Replay *replay, Room *room, size_t samples)
{
    if (samples <= room->capacity) {
        return 0;
    }
    double *outputs = PyMem_Realloc(room->outputs, (replay->batch->outputs * samples + 1) * sizeof(double));
    if (outputs != NULL) {
        room->outputs = outputs;
    }
    int32_t *status = PyMem_Realloc(room->status, samples * sizeof(int32_t));
    if (status != NULL) {
        room->status = status;
    }
    if (outputs == NULL || status == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    room->capacity = samples;
    return 0;
}
