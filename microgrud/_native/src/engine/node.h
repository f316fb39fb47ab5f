/* A node: how it is made, what it holds, and how it is freed. */
#ifndef MICROGRUD_NODE_H
#define MICROGRUD_NODE_H

#include "engine/pages.h"

enum { FEWEST_LATE = 10000 };

/* Let the collector track a node that can be part of a cycle. */
static inline void collect(Node *node)
{
    if (!(node->flags & COLLECTED)) {
        node->flags |= COLLECTED;
        if (!PyObject_GC_IsTracked((PyObject *)node)) {
            PyObject_GC_Track(node);
        }
    }
}

/* Return a new leaf; NULL with an exception. */
ALWAYS_INLINE Node *new_node(State *state, double data)
{
    Node *node = state->header_fits ? take_slot(state) : NULL;
    if (node != NULL) {
        Py_INCREF(state->value_type);
        Py_SET_TYPE((PyObject *)node, state->value_type);
#ifdef Py_REF_DEBUG
        _Py_NewReference((PyObject *)node);
#else
        Py_SET_REFCNT((PyObject *)node, 1);
#endif
    } else {
        node = state->header_fits ? NULL : PyObject_GC_New(Node, state->value_type);
        if (node == NULL) {
            return NULL;
        }
        node->place = 0;
    }
    node->data = data;
    node->grad = 0.0;
    node->progress = 0;
    node->op = OP_NONE;
    node->flags = 0;
    node->count = 0;
    node->weakrefs = NULL;
    if (node->place == 0) {
        collect(node); /* collect_late would not find it */
    }
    return node;
}

static inline void set_detailed_count(Node *node, size_t count)
{
    node->detailed_count = count;
    node->count = count != 0;
}

static inline bool has_closure(const Node *node)
{
    return (node->flags & DETAILED) && node->details->closure != NULL;
}

static inline PyObject *operation_object(const State *state, const Node *node)
{
    if (node->op != OP_NONE) {
        return state->operations[node->op];
    }
    PyObject *operation = node->flags & DETAILED ? node->details->operation : NULL;
    return operation != NULL ? operation : state->empty;
}

/* --- node.c --- */

/* Let the collector track a node that was given something, and may have become part of a cycle. If the node has
 * dependents, any node may be one of them, and all nodes become tracked. May run any code. */
INTERNAL void collect_late(Node *node);
/* Return Details with references to these operands. */
INTERNAL Details *new_details(PyObject *const *operands, size_t count);
/* Return the operands as a tuple. Before Python 3.12 the allocation of the tuple may run a collection, and code that
 * replaces the operands: then the tuple is made again. */
INTERNAL PyObject *operands_of(const Node *node);
/* Replace the operands of a node by those of a tuple, in its Details. Runs any code at the end. */
INTERNAL int put_operands(Node *node, PyObject *operands);
/* Return the Details of a node. If it has none, make them, and move its operands there. */
INTERNAL Details *detailed(Node *node);
/* Release what a node holds; operands that die are added to the list. The node is dying itself, or is a copy of a node
 * that holds other things by now, so that code which runs meanwhile finds a consistent node. */
INTERNAL void release_contents(const Node *node, Node **dying);
/* Free a list of nodes, and the nodes that die with them, which are added to it: a chain of any length without
 * recursion. */
INTERNAL void bury(Node *dying);
INTERNAL int value_traverse(PyObject *self, visitproc visit, void *arg);
/* Make a node a leaf, which breaks the cycles that it is part of. */
INTERNAL int value_clear(PyObject *self);

#endif
