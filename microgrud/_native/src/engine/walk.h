/* Walks over the graph that change gradients: find what a root depends on, and clear its gradients.
 *
 * A walk goes depth first along the operands, from first to last, and finishes a node after its operands, as
 * microgrud/engine/value.py does. The number of visited operands is stored in each node: there is no set, and no
 * look-up. Nodes on the stack are linked through the gradients, which are cleared anyway: a walk needs memory only for
 * the order. order.h has one that leaves gradients alone.
 */
#ifndef MICROGRUD_WALK_H
#define MICROGRUD_WALK_H

#include "engine/node.h"

typedef struct {
    Node *node;
    double before;
} Leaf;

/* The nodes that a root depends on: those that pass something on, each after its operands, and the leaves. */
typedef struct {
    State *state;
    Node **order;
    size_t count, capacity;
    size_t marked; /* number of these, from the first on, that still have their marks */
    Leaf *leaves;
    size_t leaf_count, leaf_capacity;
    bool holds_nodes; /* marks are removed and the nodes referenced: Python code may run */
} Walk;

INTERNAL void begin_walk(Walk *walk, State *state);

/* Find everything that root depends on, and set all gradients to 0. If there is no memory, the gradients of leaves are
 * unchanged, and those of other visited nodes are 0. */
INTERNAL int walk_from(Walk *walk, Node *root);

/* Remove the marks and take references to all nodes, before Python code runs, which may walk or drop anything. */
INTERNAL void hold_nodes(Walk *walk);

/* End a walk, and return None or NULL; after a failure the leaves have the gradients that they had before. */
INTERNAL PyObject *end_walk(Walk *walk, int status);

#endif
