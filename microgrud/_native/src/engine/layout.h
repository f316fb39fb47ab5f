/* Nodes, the state of the module, and functions that find both from an object.
 *
 * A node with up to two operands is one block of 80 bytes, including the collector's header. The flags tell whether an
 * operand is a node or a number, so that a number needs no object of its own. The rest, which few nodes have (a label,
 * a closure, a user-defined operation, more than two operands), is in a separate block, the Details.
 */
#ifndef MICROGRUD_LAYOUT_H
#define MICROGRUD_LAYOUT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "ops/ops.h"

#ifdef Py_GIL_DISABLED
#error "The marks in the nodes are guarded by the GIL: on a free-threaded Python the engine in plain Python runs."
#endif

typedef struct Node Node;

typedef union {
    Node *node;
    double number;
} Operand;

typedef struct {
    PyObject *label;      /* NULL for the empty string */
    PyObject *operation;  /* an Operation that is not in the table, or a name */
    PyObject *closure;    /* the backward function of a manually built node, or NULL */
    PyObject *operands[]; /* Values and floats */
} Details;

enum {
    FIRST_IS_NUMBER = 1,
    SECOND_IS_NUMBER = 2,
    DETAILED = 4,   /* operands and more are in `details` */
    BY_RULES = 8,   /* the backward pass uses the rules of the Operation, not the kernels */
    COLLECTED = 16, /* tracked by the garbage collector: the node, or an operand, may be part of a cycle */
    USED = 32,      /* is or was an operand of another node */
    VARIABLE = 64,  /* depends on a variable; set only while outside.c or subgraph.c searches the graph */
    LISTED = 128,   /* already in the list of parameters; set only while parameters.c makes or checks that list */
};

struct Node {
    PyObject_HEAD
    PyObject *weakrefs;
    double data;
    union {
        double grad;
        Node *link; /* the next node of a list: the stack of a walk, the dying nodes, the free nodes of a page */
    };
    uint32_t progress; /* in a backward walk: number of visited operands, plus 1; a count in other walks; otherwise 0 */
    uint8_t op;
    uint8_t flags;
    uint8_t count; /* number of operands in this block; with `details`, 1 if the node has any operands, otherwise 0 */
    uint8_t place; /* in its page, from 1; 0 if the node is in no page */
    union {
        Operand operands[2];
        struct {
            Details *details;
            size_t detailed_count;
        };
    };
};

typedef struct Page Page; /* memory for nodes: pages.h */

/* Objects that cannot be part of a cycle. X(field, the object) */
#define OWN_OBJECTS(X)                                                                                                 \
    X(indices, PyDict_New()) /* from an Operation of the table to its Op, as an int */                                 \
    X(empty, PyUnicode_FromString(""))                                                                                 \
    X(no_operands, PyTuple_New(0))                                                                                     \
    X(type_call, PyObject_GetAttrString((PyObject *)&PyType_Type, "__call__"))                                         \
    X(switched, import_from("microgrud.engine.grad_mode", "_switched")) /* empty until recording is switched */        \
    X(tracers, import_from("microgrud.engine.tracing", "_tracers"))     /* empty unless a tracer is active */          \
    X(pass_on_name, PyUnicode_InternFromString("_pass_on"))                                                            \
    X(record_name, PyUnicode_InternFromString("_record"))                                                              \
    X(class_name, PyUnicode_InternFromString("__class__"))                                                             \
    X(module_name, PyUnicode_InternFromString("__module__"))                                                           \
    X(is_leaf_name, PyUnicode_InternFromString("is_leaf"))                                                             \
    X(parameters_name, PyUnicode_InternFromString("parameters"))                                                       \
    X(named_parameters_name, PyUnicode_InternFromString("named_parameters"))                                           \
    X(frozen_name, PyUnicode_InternFromString("_frozen"))

/* Objects of Python modules, which the engine uses for rare cases: conversions, errors, anomalies.
 * X(field, module, name) */
#define IMPORTED_OBJECTS(X)                                                                                            \
    X(table, "microgrud.engine.ops", "TABLE")                                                                          \
    X(operators, "microgrud.engine.operators", "Operators")                                                            \
    X(methods, "microgrud.engine.methods", "OperationMethods")                                                         \
    X(getsizeof, "sys", "getsizeof")                                                                                   \
    X(recording, "microgrud.engine.grad_mode", "_recording")                                                           \
    X(as_float, "microgrud.common.numbers", "as_float")                                                                \
    X(as_operand, "microgrud.engine.truth", "as_operand")                                                              \
    X(is_number, "microgrud.engine.operators", "_is_number")                                                           \
    X(check_forward, "microgrud.engine.anomaly", "check_forward")                                                      \
    X(is_detecting, "microgrud.engine.anomaly", "is_detecting")                                                        \
    X(pass_on_checked, "microgrud.engine.anomaly", "pass_on_checked")                                                  \
    X(report_read, "microgrud.engine.tracing", "report_read")                                                          \
    X(report_raw_read, "microgrud.engine.tracing", "report_raw_read")                                                  \
    X(report_result, "microgrud.engine.tracing", "report_result")                                                      \
    X(current_tracer, "microgrud.engine.tracing", "current")                                                           \
    X(slopes_of, "microgrud.engine.slopes", "slopes_of")

/* Memory of walks and passes, which is kept between them: new pages from the system cost half the time of a walk. */
typedef struct {
    void *items;
    size_t capacity;
} Spare;
enum { SPARE_ORDER, SPARE_STACK, SPARE_OTHERS, SPARE_ENDS, SPARE_PLACES, SPARE_TERMS, SPARE_COUNT };
enum { LARGEST_SPARE = 1 << 21 }; /* bytes */

/* The state of the module in an interpreter. */
typedef struct {
    PyTypeObject *value_type, *function_type;
#define FIELD(field, ...) PyObject *field;
    OWN_OBJECTS(FIELD)
    /* Objects that can be part of a cycle. */
    PyObject *twin;                 /* the Python class */
    PyObject *operations[OP_COUNT]; /* entries of ops.TABLE; None for an Op that is no operation */
    IMPORTED_OBJECTS(FIELD)
#undef FIELD
    Page *pages; /* pages with free memory; the first one is being filled */
    Page *full_pages;
    size_t empty_pages;
    size_t freed_pages; /* since memory was last returned to the system */
    uint64_t generation; /* the number of transforms begun so far: nodes in it may depend on their variables */
    uint64_t mutated;    /* the generation in which a node with dependents was last given operands */
    size_t late, late_limit; /* number of nodes tracked late, and the number at which the collector runs */
    bool header_fits; /* the collector's header has the size that pages.h assumes */
    Spare spares[SPARE_COUNT];
    bool is_total[OP_COUNT]; /* never raises, whatever the operands */
} State;

INTERNAL void value_dealloc(PyObject *self); /* node.c */

/* The type and the state of the first interpreter that loaded the module, nearly always the only one: they save two
 * calls into Python for each node. Other interpreters look up their own. These are variables of the process, guarded by
 * its one GIL: interpreters with a GIL of their own cannot load the module. */
extern INTERNAL PyTypeObject *first_type;
extern INTERNAL State *first_state;

/* Tell whether the type of an object is Value, and not a subclass. The destructor identifies the type, so that the
 * state is not needed. */
static inline bool is_plain_value(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    return type == first_type || type->tp_dealloc == value_dealloc;
}

static inline bool is_value(const State *state, PyObject *object)
{
    return is_plain_value(object) || PyType_IsSubtype(Py_TYPE(object), state->value_type);
}

/* Tell whether all items of a list are Values; raise if not. */
static inline bool is_list_of_values(const State *state, PyObject *list)
{
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(list); k++) {
        if (!is_value(state, PyList_GET_ITEM(list, k))) {
            PyErr_SetString(PyExc_TypeError, "expected lists of Values");
            return false;
        }
    }
    return true;
}

/* Return the type Value, given itself or a type that inherits from it; NULL for any other type. */
static inline PyTypeObject *plain_type(PyTypeObject *type)
{
    while (type != NULL && type->tp_dealloc != value_dealloc) {
        type = type->tp_base;
    }
    return type;
}

/* Return the state, from the type Value or a subclass. */
static inline State *state_of_type(PyTypeObject *type)
{
    if (type == first_type) {
        return first_state;
    }
    type = plain_type(type);
    return type == first_type ? first_state : PyType_GetModuleState(type);
}

static inline State *state_of(PyObject *value)
{
    return state_of_type(Py_TYPE(value));
}

static inline Node *as_node(PyObject *object)
{
    return (Node *)object;
}

static inline size_t count_of(const Node *node)
{
    return node->flags & DETAILED ? node->detailed_count : node->count;
}

/* Return operand k, or NULL if it is a number, which is then in *number. */
static inline Node *operand_of(const Node *node, size_t k, double *number)
{
    if (node->flags & DETAILED) {
        PyObject *operand = node->details->operands[k];
        if (PyFloat_CheckExact(operand)) {
            *number = PyFloat_AS_DOUBLE(operand);
            return NULL;
        }
        return as_node(operand);
    }
    if (node->flags & (FIRST_IS_NUMBER << k)) {
        *number = node->operands[k].number;
        return NULL;
    }
    return node->operands[k].node;
}

/* Return the number of an operand, which is a Value or a float. */
static inline double number_of(PyObject *operand)
{
    return PyFloat_CheckExact(operand) ? PyFloat_AS_DOUBLE(operand) : as_node(operand)->data;
}

static inline State *state_of_module(PyObject *module)
{
    return PyModule_GetState(module);
}

static inline bool is_traced(const State *state)
{
    return PyList_GET_SIZE(state->tracers) != 0;
}

/* Grow an array to twice its size. Return -1, without an exception, if there is no memory. */
static inline int grow(void **items, size_t *capacity, size_t size)
{
    size_t wanted = *capacity == 0 ? 1024 : *capacity * 2;
    if (wanted > (size_t)PY_SSIZE_T_MAX / size) {
        return -1;
    }
    void *grown = PyMem_Realloc(*items, wanted * size);
    if (grown == NULL) {
        return -1;
    }
    *items = grown;
    *capacity = wanted;
    return 0;
}

/* Take over the memory that was kept, if any. A walk within another one gets its own. */
ALWAYS_INLINE void take_spare(State *state, int kind, void **items, size_t *capacity)
{
    *items = state->spares[kind].items;
    *capacity = state->spares[kind].capacity;
    state->spares[kind] = (Spare){NULL, 0};
}

/* Give memory back: keep it, or free it if it is large, or other memory is kept. */
static inline void give_spare(State *state, int kind, void *items, size_t capacity, size_t size)
{
    if (state->spares[kind].items == NULL && capacity <= LARGEST_SPARE / size) {
        state->spares[kind] = (Spare){items, capacity};
    } else {
        PyMem_Free(items);
    }
}

#endif
