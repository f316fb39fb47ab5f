/* The builder translates a recorded graph to a program, in one call: build(). A call is recorded twice, to tell
 * the leaves that the function makes itself from those that it closes over.
 *
 *   - flatten.c writes a graph as arrays, in topological order;
 *   - building.c compares the two graphs, gives each node a slot, shares equal operations, and collects sums of
 *     products.
 *
 * The tape then lowers the program (tape/lowering.h).
 */
#ifndef MICROGRUD_BUILD_H
#define MICROGRUD_BUILD_H

#include "engine/node.h"
#include "ops/buffers.h"

/* In place of the code of an operation. */
enum { CODE_LEAF = -1, CODE_BY_HAND = -2 };

/* A graph as arrays. An operand is the number of a node, or -1 minus its index among the numbers. */
typedef struct {
    Node **order; /* borrowed */
    size_t order_capacity;
    Ints codes;    /* of the operations of nodes */
    Ints starts;   /* where the operands of each node begin, and at the end the number of all operands */
    Ints operands; /* of all nodes */
    Ints ends;     /* as operands */
    Ints inputs;   /* the node of each input; -1 if it is not used */
    Doubles numbers, data;
    PyObject **operations; /* the known ones, and then others as they are met; borrowed */
    size_t operation_count, operation_capacity, known;
    HashTable seen; /* operations */
} Graph;

/* flatten.c: write all nodes that `ends`, a tuple of Values and floats, depend on. Return false with an exception on
 * error. The caller frees the graph in any case. */
INTERNAL bool flatten(State *state, PyObject *ends, PyObject *inputs, PyObject *known, Graph *graph);
INTERNAL void free_graph(Graph *graph);

/* building.c: functions of the module microgrud._native.engine. */
INTERNAL PyObject *build_program(PyObject *module, PyObject *args);
INTERNAL PyObject *names_of_roles(void);

#endif
