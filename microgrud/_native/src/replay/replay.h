/* Replays: the whole call of a compiled function in C, from its arguments to its result.
 *
 * A Replay is one recording, for arguments of one structure. A Tree has several of them, and runs each sample by the
 * recording whose branches it takes; a Replay is a Tree of one recording. By file:
 *
 *   - arguments.c reads the numbers of a call into the slots of the tapes;
 *   - frame.c keeps the numbers of a call, and their memory for the next call;
 *   - tree.c runs the programs of uniform slots and the batches, and checks the guards;
 *   - gradients.c makes derivatives with respect to the arguments;
 *   - results.c makes the result, in the structure that the function returns;
 *   - calls.c has the methods: they read, run, and return values or derivatives;
 *   - type.c has the types.
 */
#ifndef MICROGRUD_REPLAY_H
#define MICROGRUD_REPLAY_H

#include "tape/run.h"

/* The kinds of the parts that arguments are made of. They are in the order of reading: the parts of a LIST, a TUPLE or a
 * DICT follow it. The first axis of a batch is that of the samples. X(identifier, name) */
#define ARGUMENT_KINDS(X)                                                                                              \
    X(NUMBER, "number")                                                                                                \
    X(INTEGER, "integer")                                                                                              \
    X(LIST, "list")                                                                                                    \
    X(TUPLE, "tuple")                                                                                                  \
    X(DICT, "dict")                                                                                                    \
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

/* The kinds of structures that results are made of; see results.h. X(identifier, name) */
#define RESULT_KINDS(X)                                                                                                \
    X(LIST_RESULT, "list")                                                                                             \
    X(TUPLE_RESULT, "tuple")                                                                                           \
    X(DICT_RESULT, "dict")                                                                                             \
    X(ARRAY_RESULT, "array")                                                                                           \
    X(NAMED_RESULT, "named tuple")                                                                                     \
    X(OTHER_RESULT, "other")

typedef enum {
#define ENUMERATE(identifier, name) identifier,
    RESULT_KINDS(ENUMERATE) RESULT_KIND_COUNT
#undef ENUMERATE
} ResultKind;

typedef struct {
    ArgumentKind kind;
    int axes; /* of an array, without the axis of the samples */
    Py_ssize_t shape[MOST_AXES];
    size_t count; /* of its parts, or of its numbers */
    size_t first; /* index of its first number, or integer, among those of all arguments */
    int32_t row;  /* the slot of the first number of an array, if the others have the slots after it; else -1 */
    PyObject *keys; /* of a dict: a tuple of strings; else an empty tuple */
} ArgumentPart;

/* The condition on an integer argument. */
typedef struct {
    int64_t fixed; /* 1 if the recording holds only for `number` */
    int64_t number;
    int64_t limit; /* of an index, the length of its smallest table; -1 for none */
} IntegerRule;

#define MOST_REPLAYS 256

typedef struct Replay Replay;
typedef struct Frame Frame;

/* Both types begin with this. */
typedef struct {
    PyObject_HEAD
    size_t count;
    Replay **replays; /* the first one stands for the structure of all */
} Tree;

struct Replay {
    Tree tree;    /* of `itself` */
    Replay *itself;
    Tapes *tapes;
    PyObject *leaves;          /* a tuple of Values */
    const int32_t *leaf_slots; /* of `tapes` */
    size_t leaf_count;
    size_t data_offset, grad_offset; /* of the numbers in a Value, in bytes */
    ArgumentPart *parts;
    size_t part_count, array_count;
    size_t *arguments; /* the first part of each argument */
    size_t argument_count;
    const int32_t *number_slots; /* the input of a number in a batch, the slot of any other; -1 if it is not used */
    size_t number_count;
    const int32_t *integer_slots; /* likewise */
    size_t integer_count;
    PyObject *rules;             /* a bytes object that owns `integers` */
    const IntegerRule *integers; /* the rules, a view into `rules` */
    PyObject *result;            /* a plan; see results.h */
    bool mean, ignore;
    size_t threads;
    PyObject *array_type, *zeros; /* NumPy's */
    Frame *spare;     /* kept for the next call */
};

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
    return kind == LIST || kind == TUPLE || kind == DICT;
}

static inline bool is_list(ArgumentKind kind)
{
    return kind == LIST || kind == LIST_OF_NUMBERS || kind == LIST_OF_INTEGERS;
}

/* Return a borrowed reference to the next item of the list, tuple or dict that a part stands for. *position begins at 0
 * and *k counts the items. Return NULL, without an exception, if a dict has another key. No other code runs. */
static inline PyObject *next_item(const ArgumentPart *part, PyObject *x, Py_ssize_t *position, size_t k)
{
    if (part->kind != DICT) {
        return PySequence_Fast_GET_ITEM(x, (Py_ssize_t)k);
    }
    PyObject *key, *item, *wanted = PyTuple_GET_ITEM(part->keys, (Py_ssize_t)k);
    if (!PyDict_Next(x, position, &key, &item)) {
        return NULL;
    }
    const bool same = key == wanted || (PyUnicode_CheckExact(key) && PyUnicode_Compare(key, wanted) == 0);
    return same ? item : NULL;
}

/* Tell whether an object is a list, tuple or dict of as many items as a part. */
static inline bool is_container(const ArgumentPart *part, PyObject *x)
{
    if (part->kind == DICT) {
        return PyDict_CheckExact(x) && (size_t)PyDict_GET_SIZE(x) == part->count;
    }
    return (is_list(part->kind) ? PyList_CheckExact(x) : PyTuple_CheckExact(x)) &&
           (size_t)PySequence_Fast_GET_SIZE(x) == part->count;
}

static inline double *number_of_leaf(const Replay *replay, size_t k, size_t offset)
{
    return (double *)(void *)((char *)PyTuple_GET_ITEM(replay->leaves, (Py_ssize_t)k) + offset);
}

/* type.c */
extern INTERNAL PyType_Spec replay_spec, tree_spec;

#endif
