/* A node of the graph: its layout, its birth and its death.
 *
 * A node with up to two operands is one block of 80 bytes with the collector's header: what the operand is, a node or a
 * number, stands in the flags, so that a number costs no object. What few nodes have (a label, a closure, an operation
 * of the user's, more than two operands) stands in a block of its own, the Details.
 */
#ifndef MICROGRUD_NODE_H
#define MICROGRUD_NODE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "ops.h"

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
    PyObject *operation;  /* of a node whose operation is not of the table: an Operation, or a name */
    PyObject *closure;    /* what a node built by hand does in the backward pass, or NULL */
    PyObject *operands[]; /* Values and floats */
} Details;

enum {
    FIRST_IS_NUMBER = 1,
    SECOND_IS_NUMBER = 2,
    DETAILED = 4,   /* operands and more are in details */
    BY_RULES = 8,   /* the backward pass asks the Operation, not the kernels */
    COLLECTED = 16, /* known to the garbage collector: it, or what it depends on, may be part of a cycle */
};

struct Node {
    PyObject_HEAD
    PyObject *weakrefs;
    double data;
    union {
        double grad;
        Node *link; /* while a walk or a deallocation is under way, which keep their lists in the nodes */
    };
    uint32_t progress; /* while a walk is under way: how many operands it has seen, plus 1; 0 before */
    uint8_t op;
    uint8_t flags;
    uint8_t count; /* of the operands in place; of those in details, 1 stands for one or more */
    union {
        Operand operands[2];
        struct {
            Details *details;
            size_t detailed_count;
        };
    };
};

/* What the module keeps for one interpreter. */
typedef struct {
    PyTypeObject *value_type, *function_type; /* borrowed from the module */
    PyObject *operations[OP_COUNT]; /* the entries of ops.TABLE */
    PyObject *indices;              /* from an Operation of the table to its Op, as an int */
    PyObject *recording, *switched; /* the context variable of recording.py, and a list that is empty until it is used */
    PyObject *empty;                /* "" */
    /* functions of the Python modules, for what is rare: conversions, errors, anomalies, copies */
    PyObject *as_float, *as_sequence, *is_number, *twin;
    PyObject *check_forward, *watching, *pass_on_checked;
    PyObject *copy_node, *deepcopy_graph, *reduce_graph, *topological_order;
    Node *free_nodes; /* dead nodes, linked, to be used again */
    size_t free_count, free_limit;
    Node **order; /* the buffer of the backward pass, kept between passes */
    size_t order_capacity;
} State;

static void value_dealloc(PyObject *self);

/* The type and the state of the first interpreter that loaded the module, which for nearly all is the only one: they
 * save two calls into Python a node. Others ask for their own. */
static PyTypeObject *first_type;
static State *first_state;

/* Nodes of the very type, and not of a subclass, are known by their destructor: that takes no look at the state. */
static inline bool is_plain_value(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    return type == first_type || type->tp_dealloc == value_dealloc;
}

static inline bool is_value(const State *state, PyObject *object)
{
    return is_plain_value(object) || PyType_IsSubtype(Py_TYPE(object), state->value_type);
}

/* The type of Values that an object is an instance of, itself or by inheritance; NULL if it is no Value. */
static inline PyTypeObject *plain_type(PyTypeObject *type)
{
    while (type != NULL && type->tp_dealloc != value_dealloc) {
        type = type->tp_base;
    }
    return type;
}

/* The state, from the type or a subclass of it. */
static inline State *state_of_type(PyTypeObject *type)
{
    if (type == first_type) {
        return first_state;
    }
    type = plain_type(type);
    return type == first_type ? first_state : PyType_GetModuleState(type);
}

/* The same in the destructor, where the collector may have cleared the type already: then there is none. */
static inline State *state_left(PyTypeObject *type)
{
    type = plain_type(type);
    if (type == first_type) {
        return first_state;
    }
    PyObject *module = ((PyHeapTypeObject *)type)->ht_module;
    return module == NULL ? NULL : PyModule_GetState(module);
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

static inline void collect(Node *node)
{
    if (!(node->flags & COLLECTED)) {
        node->flags |= COLLECTED;
        if (!PyObject_GC_IsTracked((PyObject *)node)) {
            PyObject_GC_Track(node);
        }
    }
}

/* Make a leaf. Nodes that died lately are used again: with the allocator, and Python's count of what the
 * collector knows, an operation takes 33 ns more. */
static inline Node *new_node(State *state, double data)
{
    Node *node = state->free_nodes;
    if (node != NULL) {
        state->free_nodes = node->link;
        state->free_count--;
#if defined(Py_REF_DEBUG) || defined(Py_TRACE_REFS)
        _Py_NewReference((PyObject *)node);
#else
        Py_SET_REFCNT((PyObject *)node, 1); /* its reference to the type it has kept */
#endif
    } else {
        node = PyObject_GC_New(Node, state->value_type);
        if (node == NULL) {
            return NULL;
        }
    }
    node->data = data;
    node->grad = 0.0;
    node->progress = 0;
    node->op = OP_NONE;
    node->flags = 0;
    node->count = 0;
    node->weakrefs = NULL;
    return node;
}

static inline void set_detailed_count(Node *node, size_t count)
{
    node->detailed_count = count;
    node->count = count != 0;
}

static Details *new_details(size_t count)
{
    if (count > ((size_t)PY_SSIZE_T_MAX - sizeof(Details)) / sizeof(PyObject *)) {
        PyErr_NoMemory();
        return NULL;
    }
    Details *details = PyMem_Malloc(sizeof(Details) + count * sizeof(PyObject *));
    if (details == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    details->label = details->operation = details->closure = NULL;
    return details;
}

/* Return a new reference to operand k as an object: a Value or a float. */
static PyObject *operand_object(const Node *node, size_t k)
{
    double number = 0.0;
    Node *operand = operand_of(node, k, &number);
    if (operand == NULL) {
        return PyFloat_FromDouble(number);
    }
    return Py_NewRef(operand);
}

/* Return the operands as a tuple. Before Python 3.12 a collection may run while it is allocated, and with it code that
 * replaces the operands: then it begins anew. */
static PyObject *operands_of(const Node *node)
{
    for (;;) {
        size_t count = count_of(node);
        PyObject *operands = PyTuple_New((Py_ssize_t)count);
        if (operands == NULL || count == count_of(node)) {
            for (size_t k = 0; k < count && operands != NULL; k++) {
                PyObject *operand = operand_object(node, k);
                if (operand == NULL) {
                    Py_CLEAR(operands);
                } else {
                    PyTuple_SET_ITEM(operands, (Py_ssize_t)k, operand);
                }
            }
            return operands;
        }
        Py_DECREF(operands);
    }
}

/* Give a node Details, if it has none, and move its operands there. */
static Details *detailed(Node *node)
{
    if (node->flags & DETAILED) {
        return node->details;
    }
    size_t count = node->count;
    Details *details = new_details(count);
    if (details == NULL) {
        return NULL;
    }
    for (size_t k = 0; k < count; k++) {
        if (node->flags & (FIRST_IS_NUMBER << k)) {
            details->operands[k] = PyFloat_FromDouble(node->operands[k].number);
            if (details->operands[k] == NULL) {
                while (k-- > 0) {
                    if (node->flags & (FIRST_IS_NUMBER << k)) {
                        Py_DECREF(details->operands[k]);
                    }
                }
                PyMem_Free(details);
                return NULL;
            }
        } else {
            details->operands[k] = (PyObject *)node->operands[k].node; /* the reference moves */
        }
    }
    node->flags = (uint8_t)((node->flags & ~(FIRST_IS_NUMBER | SECOND_IS_NUMBER)) | DETAILED);
    node->details = details;
    set_detailed_count(node, count);
    return details;
}

/* Give up one reference to an operand; if it was the last one, put the operand on the list of the dying. */
static inline void release_operand(Node *operand, Node **dying)
{
    if (Py_REFCNT(operand) != 1 || !is_plain_value((PyObject *)operand)) {
        Py_DECREF(operand);
        return;
    }
    /* As Py_DECREF would leave it for its destructor, which is to be called by no one but the loop over the list. */
    if (operand->flags & COLLECTED) {
        PyObject_GC_UnTrack(operand);
    }
    Py_SET_REFCNT((PyObject *)operand, 0);
    if (operand->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)operand);
    }
    operand->link = *dying;
    *dying = operand;
}

/* Make a node a leaf without details, and put operands that die with it on the list. */
static inline void release_contents(Node *node, Node **dying)
{
    uint8_t flags = node->flags;
    if (flags & DETAILED) {
        Details *details = node->details;
        size_t count = node->detailed_count;
        node->flags = (uint8_t)(flags & ~(DETAILED | BY_RULES));
        node->count = 0;
        for (size_t k = 0; k < count; k++) {
            PyObject *operand = details->operands[k];
            if (PyFloat_CheckExact(operand)) {
                Py_DECREF(operand);
            } else {
                release_operand(as_node(operand), dying);
            }
        }
        PyObject *others[] = {details->label, details->operation, details->closure};
        for (int k = 0; k < 3; k++) {
            if (others[k] != NULL && is_plain_value(others[k])) { /* a node for a label, say */
                release_operand(as_node(others[k]), dying);
            } else {
                Py_XDECREF(others[k]);
            }
        }
        PyMem_Free(details);
        return;
    }
    unsigned count = node->count;
    node->count = 0;
    if (count > 0 && !(flags & FIRST_IS_NUMBER)) {
        release_operand(node->operands[0].node, dying);
    }
    if (count > 1 && !(flags & SECOND_IS_NUMBER)) {
        release_operand(node->operands[1].node, dying);
    }
}

/* Free the memory of a node that is nothing but memory any more; without a state nothing is kept. */
static inline void free_node(State *state, Node *node)
{
    PyTypeObject *type = Py_TYPE(node);
    if (state != NULL && type == state->value_type && state->free_count < state->free_limit) {
        node->link = state->free_nodes;
        state->free_nodes = node;
        state->free_count++;
        return;
    }
    type->tp_free(node);
    Py_DECREF(type);
}

/* Free the nodes of a list, and those that die with them, which join it: a chain of any length without recursion. */
static void bury(State *state, Node *dying)
{
    while (dying != NULL) {
        Node *node = dying;
        dying = node->link;
        release_contents(node, &dying);
        free_node(state, node);
    }
}

static void value_dealloc(PyObject *self)
{
    Node *node = as_node(self);
    if (node->flags & COLLECTED || !is_plain_value(self)) {
        PyObject_GC_UnTrack(self);
    }
    if (node->weakrefs != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    node->link = NULL;
    bury(state_left(Py_TYPE(self)), node);
}

static int value_traverse(PyObject *self, visitproc visit, void *arg)
{
    Node *node = as_node(self);
    Py_VISIT(Py_TYPE(self));
    if (node->flags & DETAILED) {
        Details *details = node->details;
        Py_VISIT(details->label);
        Py_VISIT(details->operation);
        Py_VISIT(details->closure);
        for (size_t k = 0; k < node->detailed_count; k++) {
            Py_VISIT(details->operands[k]);
        }
        return 0;
    }
    for (unsigned k = 0; k < node->count; k++) {
        if (!(node->flags & (FIRST_IS_NUMBER << k))) {
            Py_VISIT(node->operands[k].node);
        }
    }
    return 0;
}

/* Break the cycles that a node can be part of: all go through what the user gave it. */
static int value_clear(PyObject *self)
{
    Node *node = as_node(self);
    if (node->flags & DETAILED) {
        Py_CLEAR(node->details->label);
        Py_CLEAR(node->details->closure);
    }
    return 0;
}

static void free_the_free(State *state)
{
    state->free_limit = 0;
    while (state->free_nodes != NULL) {
        Node *node = state->free_nodes;
        state->free_nodes = node->link;
        PyTypeObject *type = Py_TYPE(node);
        PyObject_GC_Del(node);
        Py_DECREF(type);
    }
    state->free_count = 0;
}

#endif
