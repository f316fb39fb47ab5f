/* The birth and the death of a node, and what it holds meanwhile: its operands and its Details. */
#ifndef MICROGRUD_NODE_H
#define MICROGRUD_NODE_H

#include "engine/pages.h"

enum { FEWEST_LATE = 10000 };

/* Let the collector know of a node that can be part of a cycle. */
static inline void collect(Node *node)
{
    if (!(node->flags & COLLECTED)) {
        node->flags |= COLLECTED;
        if (!PyObject_GC_IsTracked((PyObject *)node)) {
            PyObject_GC_Track(node);
        }
    }
}

/* Make a leaf. */
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

/* Let the collector know of a node that has become part of a cycle, perhaps, by what it was given. If others have been
 * computed from it, it has to know of these too; and any node may be one of them. May run anything. */
INTERNAL void collect_late(Node *node);
INTERNAL Details *new_details(size_t count);
/* Return the operands as a tuple. Before Python 3.12 a collection may run while it is allocated, and with it code that
 * replaces the operands: then it begins anew. */
INTERNAL PyObject *operands_of(const Node *node);
/* Give a node Details, if it has none, and move its operands there. */
INTERNAL Details *detailed(Node *node);
/* Give up what a node holds; operands that die with it are put on the list. The node is dying itself, or is a copy of
 * one that holds something else by now: the code that runs meanwhile finds nothing half done. */
INTERNAL void release_contents(const Node *node, Node **dying);
/* Free a list of nodes, and those that die with them, which join it: a chain of any length without recursion. */
INTERNAL void bury(Node *dying);
INTERNAL int value_traverse(PyObject *self, visitproc visit, void *arg);
/* Break the cycles that a node is part of: it becomes a leaf. */
INTERNAL int value_clear(PyObject *self);

#endif
