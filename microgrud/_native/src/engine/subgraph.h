/* The part of a graph between inputs and outputs, and derivatives on it. */
#ifndef MICROGRUD_SUBGRAPH_H
#define MICROGRUD_SUBGRAPH_H

#include "engine/order.h"
#include "engine/terms.h"

/* In the place of a node that depends on no input. */
#define ABSENT UINT32_MAX

/* The twin is microgrud/autodiff/subgraph.py. */
typedef struct {
    PyObject_HEAD
    State *state;
    Nodes nodes;    /* the inputs and what depends on them, each after its operands; the object owns references */
    uint32_t *ends; /* where the places of a node's operands end, and those of the next one begin */
    size_t ends_capacity;
    uint32_t *places; /* of operands: the index in `nodes`, or ABSENT */
    size_t places_capacity;
    size_t widest; /* the largest number of operands of a node */
    uint32_t *outputs, *inputs; /* their places */
    size_t output_count, input_count;
    PyObject *outside;
} Subgraph;

/* Return where the places of the operands of a node begin. */
ALWAYS_INLINE size_t begin_of(const Subgraph *graph, size_t place)
{
    return place == 0 ? 0 : graph->ends[place - 1];
}

extern INTERNAL PyType_Spec subgraph_spec;

/* slopes.c */
/* Write the slopes of a node with respect to the operands that are wanted, by the rules of microgrud/engine/ops.py, as
 * nodes and plain numbers. Return 1 if that needs Python, -1 with an exception. */
INTERNAL int node_slopes(State *state, bool traced, Node *node, const bool *wanted, Term *slopes);
/* passes.c */
INTERNAL PyObject *subgraph_pull_back(PyObject *self, PyObject *const *args, Py_ssize_t nargs);
INTERNAL PyObject *subgraph_push_forward(PyObject *self, PyObject *const *args, Py_ssize_t nargs);

#endif
