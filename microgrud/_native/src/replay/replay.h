/* What a replay knows of the arguments of a call: their structure, and the slots that their numbers go to. */
#ifndef MICROGRUD_REPLAY_H
#define MICROGRUD_REPLAY_H

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
    ARGUMENT_KINDS
} ArgumentKind;

#define MOST_AXES 8

typedef struct {
    ArgumentKind kind;
    int axes; /* of an array, without that of the samples */
    Py_ssize_t shape[MOST_AXES];
    size_t count; /* of parts or numbers */
    size_t first; /* number, or integer, among those of all arguments */
} ArgumentPart;

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
    double *scratch; /* for operations over sequences */
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
} Frame;

typedef struct {
    PyObject_HEAD
    Tape *uniform; /* the part that is the same for all samples */
    Tape *batch;
    Tape *forward; /* the batch, for runs without a backward pass; the same tape where that is as good */
    PyObject *leaves; /* a tuple of Values */
    int32_t *leaf_slots;
    size_t leaf_count;
    size_t data_offset, grad_offset; /* of the numbers in a Value */
    ArgumentPart *parts;
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
    Guard *sorted_guards;  /* the same, those with one comparison and one outcome together */
    size_t guard_count;
    int32_t *guard_numbers; /* of these, and then of those of the batch, among all, counted from 1 */
    uint8_t *outcomes;      /* of all guards */
    size_t outcome_count;
    double *constants;
    bool mean, ignore;
    size_t threads;
    PyObject *array_type, *zeros; /* NumPy's */
    Frame *spare;     /* from the last call, for the next */
} Replay;

static inline bool is_batch(ArgumentKind kind)
{
    return kind == BATCH_OF_NUMBERS || kind == BATCH_OF_INTEGERS;
}

/* Of integers, which belong to the recording, and not of numbers. */
static inline bool is_integer(ArgumentKind kind)
{
    return kind == INTEGER || kind == LIST_OF_INTEGERS || kind == TUPLE_OF_INTEGERS || kind == ARRAY_OF_INTEGERS ||
           kind == BATCH_OF_INTEGERS;
}

/* Made of other parts, which follow it. */
static inline bool is_nested(ArgumentKind kind)
{
    return kind == LIST || kind == TUPLE;
}

static inline bool fits_rule(const IntegerRule *rule, int64_t number)
{
    return !rule->fixed || number == rule->number;
}

static inline bool is_within(const IntegerRule *rule, int64_t number)
{
    return rule->limit < 0 || (number >= 0 && number < rule->limit);
}

static inline double *number_of_leaf(const Replay *replay, size_t k, size_t offset)
{
    return (double *)(void *)((char *)PyTuple_GET_ITEM(replay->leaves, (Py_ssize_t)k) + offset);
}

#define MOST_REPLAYS 256

typedef struct {
    PyObject_HEAD
    size_t count;
    Replay **replays; /* the first of them tells most of a sample */
} Tree;

/* --- frame.c: the numbers of a call, kept from one to the next --- */

INTERNAL void free_frame(Frame *frame);
INTERNAL Frame *take_frame(Replay *replay);
/* Let go of the arguments, and keep the room for the next call: but not what a very large batch took. */
INTERNAL void give_frame_back(Replay *replay, Frame *frame);
/* Make room for the outputs of so many samples. */
INTERNAL int reserve_samples(const Replay *replay, Frame *frame, size_t samples);

/* --- arguments.c --- */

/* Read the arguments of a call into a room. Return 1 if they are what the replay is for, 0 if they are not (and no
 * exception is set: the call goes the long way, which knows all kinds of arguments), and -1 with an exception. */
INTERNAL int read_arguments(const Replay *replay, Frame *frame, PyObject *args);

/* --- replay.c: one recording --- */

/* The sum of numbers[i * stride], in an order that depends on their count alone: the same bits for one number again and
 * again (a stride of 0) as for an array of it. It begins with -0.0, which changes no number: 0.0 would make 0.0 of -0.0. */
INTERNAL double sum_in_order(const double *numbers, size_t stride, size_t count);
INTERNAL PyObject *not_implemented_unless_error(int status);
INTERNAL double gradient_at(const Replay *replay, const Frame *frame, size_t place);
/* Have the derivatives by a batch written there. */
INTERNAL void direct_gradients(const Replay *replay, Frame *frame, const ArgumentPart *part, double *numbers);
/* Prepare derivatives by the arguments at `positions`: arrays for batches, None for the others yet. NULL without an
 * exception for arguments that have none. */
INTERNAL PyObject *prepare_gradients(const Replay *replay, Frame *frame, PyObject *positions);
INTERNAL int finish_gradients(const Replay *replay, Frame *frame, PyObject *positions, PyObject *gradients);
/* Return the weights of the outputs, of None those of one output; NULL if they do not fit. */
INTERNAL const double *read_weights(const Replay *replay, PyObject *object, Py_buffer *view);

/* The methods of the type Replay. */
INTERNAL PyObject *replay_values(PyObject *self, PyObject *args);
INTERNAL PyObject *replay_backward(PyObject *self, PyObject *args);
INTERNAL PyObject *replay_gradients(PyObject *self, PyObject *arguments);

/* --- tree.c: several recordings, and the methods of the type Tree --- */

INTERNAL PyObject *tree_values(PyObject *self, PyObject *args);
INTERNAL PyObject *tree_backward(PyObject *self, PyObject *args);
INTERNAL PyObject *tree_gradients(PyObject *self, PyObject *arguments);

/* --- type.c: both as objects of Python --- */

extern INTERNAL PyType_Spec replay_spec, tree_spec;

#endif
