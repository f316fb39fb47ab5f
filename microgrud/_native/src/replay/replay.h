/* Replays: all of a call of a compiled function in C, from its arguments to its result.
 *
 * A Replay is one recording, for arguments of one structure. It reads the numbers of a call into the slots of its tapes
 * (arguments.c), runs the program of uniform slots and the batch, checks the guards, and returns values or derivatives
 * (replay.c). The numbers of a call are in a Frame, which is kept for the next call (frame.c). A Tree has several
 * recordings for arguments of one structure, and runs each sample by the recording whose branches it takes (tree.c).
 */
#ifndef MICROGRUD_REPLAY_H
#define MICROGRUD_REPLAY_H

#include "tape/run.h"

/* The kinds of the parts that arguments are made of. They are in the order of reading: the parts of a LIST or a TUPLE
 * follow it. The first axis of a batch is that of the samples. X(identifier, name) */
#define ARGUMENT_KINDS(X)                                                                                              \
    X(NUMBER, "number")                                                                                                \
    X(INTEGER, "integer")                                                                                              \
    X(LIST, "list")                                                                                                    \
    X(TUPLE, "tuple")                                                                                                  \
    X(LIST_OF_NUMBERS, "list of numbers")                                                                              \
    X(TUPLE_OF_NUMBERS, "tuple of numbers")                                                                            \
    X(LIST_OF_INTEGERS, "list of integers")                                                                            \
    X(TUPLE_OF_INTEGERS, "tuple of integers")                                                                          \
    X(ARRAY_OF_NUMBERS, "array of numbers")                                                                            \
    X(ARRAY_OF_INTEGERS, "array of integers")                                                                          \
    X(BATCH_OF_NUMBERS, "batch of numbers")                                                                            \
    X(BATCH_OF_INTEGERS, "batch of integers")

typedef enum {
#define ENUMERATE(identifier, name) identifier,
    ARGUMENT_KINDS(ENUMERATE) ARGUMENT_KIND_COUNT
#undef ENUMERATE
} ArgumentKind;

#define MOST_AXES 8

typedef struct {
    ArgumentKind kind;
    int axes; /* of an array, without the axis of the samples */
    Py_ssize_t shape[MOST_AXES];
    size_t count; /* of its parts, or of its numbers */
    size_t first; /* index of its first number, or integer, among those of all arguments */
} ArgumentPart;

/* The condition on an integer argument, and its slot. */
typedef struct {
    int64_t slot;   /* -1 if it has none */
    int64_t fixed;  /* 1 if the recording holds only for `number` */
    int64_t number;
    int64_t limit; /* of an index, the length of its smallest table; -1 for none */
} IntegerRule;

/* The numbers of a call. */
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
    size_t capacity; /* of `outputs` and `status`, in samples */
    Py_ssize_t samples; /* of the call; -1 without a batch */
    const int64_t **batches; /* for each part that is a batch of integers, its first one */
    double **arrays; /* for each part that is a batch, the derivatives with respect to it; NULL if not wanted */
    double *number_gradients; /* with respect to the numbers outside of batches, if they are not in G */
    bool lenient; /* go on reading after an integer that the recording does not hold for, */
    bool unfit;   /* and say here that there was one outside of batches */
} Frame;

typedef struct {
    PyObject_HEAD
    Tapes *tapes;
    Tape *uniform, *batch, *forward; /* those of `tapes` */
    PyObject *leaves;                /* a tuple of Values */
    const int32_t *leaf_slots;       /* here and below: of `tapes` */
    size_t leaf_count;
    size_t data_offset, grad_offset; /* of the numbers in a Value, in bytes */
    ArgumentPart *parts;
    size_t part_count, array_count;
    size_t *arguments; /* the first part of each argument */
    size_t argument_count;
    const int32_t *number_slots; /* the input of a number in a batch, the slot of any other; -1 if it is not used */
    size_t number_count;
    IntegerRule *integers;
    size_t integer_count;
    const int32_t *output_slots;
    size_t output_count;
    const Guard *guards;  /* those of uniform slots */
    Guard *sorted_guards; /* the same, sorted by comparison and outcome */
    size_t guard_count;
    const int32_t *guard_numbers; /* the numbers, from 1, of these guards and then of those of the batch */
    const uint8_t *outcomes;      /* of all guards of the recording */
    size_t outcome_count;
    const double *constants;
    bool mean, ignore;
    size_t threads;
    PyObject *array_type, *zeros; /* NumPy's */
    Frame *spare;     /* kept for the next call */
} Replay;

static inline bool is_batch(ArgumentKind kind)
{
    return kind == BATCH_OF_NUMBERS || kind == BATCH_OF_INTEGERS;
}

/* Tell whether a part holds integers, which belong to the recording, and not numbers. */
static inline bool is_integer(ArgumentKind kind)
{
    return kind == INTEGER || kind == LIST_OF_INTEGERS || kind == TUPLE_OF_INTEGERS || kind == ARRAY_OF_INTEGERS ||
           kind == BATCH_OF_INTEGERS;
}

/* Tell whether a part is made of other parts, which follow it. */
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
    Replay **replays; /* the first one stands for the structure of all */
} Tree;

/* --- frame.c --- */

INTERNAL void free_frame(Frame *frame);
INTERNAL Frame *take_frame(Replay *replay);
/* Release the arguments, and keep the frame for the next call, without the memory of a very large batch. */
INTERNAL void give_frame_back(Replay *replay, Frame *frame);
/* Make room for the outputs of `samples` samples. */
INTERNAL int reserve_samples(const Replay *replay, Frame *frame, size_t samples);

/* --- arguments.c --- */

/* Read the arguments of a call into a frame. Return 1 if the replay holds for them, 0 if it does not, and -1 with an
 * exception. For 0 no exception is set: Python then evaluates the call, for any kind of arguments. */
INTERNAL int read_arguments(const Replay *replay, Frame *frame, PyObject *args);

/* --- replay.c: one recording --- */

/* Return the sum of numbers[i * stride]. The order depends only on the count, so that a number repeated (a stride of 0)
 * gives the same bits as an array of it. The sum begins with -0.0, which changes no number, where 0.0 would make 0.0 of
 * -0.0. */
INTERNAL double sum_in_order(const double *numbers, size_t stride, size_t count);
INTERNAL PyObject *not_implemented_unless_error(int status);
INTERNAL double gradient_at(const Replay *replay, const Frame *frame, size_t place);
/* Have the derivatives with respect to a batch written to `numbers`. */
INTERNAL void direct_gradients(const Replay *replay, Frame *frame, const ArgumentPart *part, double *numbers);
/* Prepare the derivatives with respect to the arguments at `positions`: an array for a batch, None for anything else
 * until finish_gradients. Return NULL, without an exception, for arguments that have no derivatives. */
INTERNAL PyObject *prepare_gradients(const Replay *replay, Frame *frame, PyObject *positions);
INTERNAL int finish_gradients(const Replay *replay, Frame *frame, PyObject *positions, PyObject *gradients);
/* Return the weights of the outputs; for None that of a single output. Return NULL if they do not fit. */
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
