/* What a replay knows of the arguments of a call: their structure, and the slots that their numbers go to. */
#ifndef MICROGRUD_REPLAY_LAYOUT_H
#define MICROGRUD_REPLAY_LAYOUT_H

#include "tape/run.h"

/* Arguments taken apart, in the order in which they are read: what follows a LIST or a TUPLE is in it. */
typedef enum {
    NUMBER,
    INTEGER,
    LIST,
    TUPLE,
    LIST_OF_NUMBERS,
    TUPLE_OF_NUMBERS,
    LIST_OF_INTEGERS,
    TUPLE_OF_INTEGERS,
    ARRAY_OF_NUMBERS,
    ARRAY_OF_INTEGERS,
    BATCH_OF_NUMBERS, /* its first axis is that of the samples */
    BATCH_OF_INTEGERS,
    PART_KINDS
} PartKind;

#define MOST_AXES 8

typedef struct {
    PartKind kind;
    int axes; /* of an array, without that of the samples */
    Py_ssize_t shape[MOST_AXES];
    size_t count; /* of parts or numbers */
    size_t first; /* number, or integer, among those of all arguments */
} Part;

/* What an integer has to be, and where it goes. */
typedef struct {
    int64_t slot;   /* or -1 */
    int64_t fixed;  /* whether the recording holds for `number` alone */
    int64_t number;
    int64_t limit; /* of an index: how many items the smallest table has; -1 for none */
} IntegerRule;

/* Numbers of one call at a time. */
typedef struct {
    double *U, *G;
    double *alone; /* room for operations over sequences */
    double *weights;
    Column *columns;
    GradientColumn *gradients;
    Py_buffer *views;
    size_t view_count;
    double *outputs;
    int32_t *status;
    size_t capacity; /* samples that `outputs` and `status` have room for */
    Py_ssize_t samples; /* of the call; -1 without a batch */
    const int64_t **batches; /* of each part that is a batch of integers, the first */
    double **arrays;         /* of each part that is a batch, where derivatives by it go; NULL for nowhere */
    double *of_numbers;      /* derivatives by the numbers that are no batch, if these are not in G */
    bool lenient; /* integers that the recording is not for are no reason to stop reading: */
    bool unfit;   /* then this says that there are some, other than in a batch */
} Room;

typedef struct {
    PyObject_HEAD
    Tape *alone, *batch;
    Tape *forward; /* the batch, for runs without a backward pass; the same tape where that is as good */
    PyObject *leaves; /* a tuple of Values */
    int32_t *leaf_slots;
    size_t leaf_count;
    size_t data_offset, grad_offset; /* of the numbers in a Value */
    Part *parts;
    size_t part_count, array_count;
    size_t *arguments; /* at which part each begins */
    size_t argument_count;
    int32_t *number_slots; /* of a number of a batch the input; of another the slot; -1 if it is not used */
    size_t number_count;
    IntegerRule *integers;
    size_t integer_count;
    int32_t *output_slots;
    size_t output_count;
    Guard *guards; /* those that are the same for all samples */
    Guard *alike;  /* the same, those with one comparison and one outcome together */
    size_t guard_count;
    int32_t *guard_numbers; /* of these, and then of those of the batch, among all, counted from 1 */
    uint8_t *outcomes;      /* of all guards */
    size_t outcome_count;
    double *constants;
    bool mean, ignore;
    size_t threads;
    PyObject *array_type, *zeros; /* NumPy's */
    Room *spare;     /* from the last call, for the next */
} Replay;

static bool is_batch(PartKind kind)
{
    return kind == BATCH_OF_NUMBERS || kind == BATCH_OF_INTEGERS;
}

/* Of integers, which belong to the recording, and not of numbers. */
static bool is_whole(PartKind kind)
{
    return kind == INTEGER || kind == LIST_OF_INTEGERS || kind == TUPLE_OF_INTEGERS || kind == ARRAY_OF_INTEGERS ||
           kind == BATCH_OF_INTEGERS;
}

/* Made of other parts, which follow it. */
static bool is_nested(PartKind kind)
{
    return kind == LIST || kind == TUPLE;
}

static void free_room(Room *room)
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

static Room *take_room(Replay *replay)
{
    Room *room = replay->spare;
    replay->spare = NULL;
    return room != NULL ? room : new_room(replay);
}

/* Let go of the arguments, and keep the room for the next call: but not what a very large batch took. */
static void leave_room(Replay *replay, Room *room)
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

/* Make room for the outputs of so many samples. */
static int make_room(const Replay *replay, Room *room, size_t samples)
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

#endif
