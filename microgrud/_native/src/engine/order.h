/* A walk over a graph that leaves its gradients alone. */
#ifndef MICROGRUD_ORDER_H
#define MICROGRUD_ORDER_H

#include "engine/pages.h"

typedef struct {
    Node **items;
    size_t count, capacity;
} Nodes;

ALWAYS_INLINE int append_to(Nodes *nodes, Node *node)
{
    if (nodes->count == nodes->capacity && grow((void **)&nodes->items, &nodes->capacity, sizeof *nodes->items) < 0) {
        return -1;
    }
    nodes->items[nodes->count++] = node;
    return 0;
}

/* Return the next operand of a node to visit before it, or NULL if all are visited. */
ALWAYS_INLINE Node *next_operand(Node *node)
{
    size_t count = count_of(node), k = node->progress - 1;
    Node *operand = NULL;
    double number = 0.0;
    for (; k < count && operand == NULL; k++) {
        operand = operand_of(node, k, &number);
        operand = operand != NULL && operand->progress == 0 ? operand : NULL;
    }
    node->progress = (uint32_t)(k + 1);
    return operand;
}

/* Finish every node that root depends on, each after its operands, and root last. Nodes whose `progress` is not 0 are
 * left out, and the operands of nodes older than a generation, together with those that only they depend on. `finish`
 * leaves another number than 0 in `progress`, unless it returns -1. Return -1, without an exception, if there is no
 * memory. */
ALWAYS_INLINE int walk_order(State *state, Node *root, uint64_t generation, int (*finish)(void *walk, Node *node),
                             void *walk)
{
    Nodes stack = {NULL, 0, 0};
    int status = 0;
    take_spare(state, SPARE_STACK, (void **)&stack.items, &stack.capacity);
    if (root->progress == 0) {
        status = append_to(&stack, root);
        root->progress = status == 0;
    }
    while (status == 0 && stack.count > 0) {
        Node *node = stack.items[stack.count - 1];
        Node *operand = is_older(node, generation) ? NULL : next_operand(node);
        if (operand == NULL) {
            status = finish(walk, node);
            stack.count -= status == 0;
        } else {
            operand->progress = 1;
            status = operand->count == 0 ? finish(walk, operand) : append_to(&stack, operand);
            operand->progress = status == 0 ? operand->progress : 0;
        }
    }
    for (size_t k = 0; k < stack.count; k++) { /* there was no memory */
        stack.items[k]->progress = 0;
    }
    give_spare(state, SPARE_STACK, stack.items, stack.capacity, sizeof *stack.items);
    return status;
}

/* Return the topological order as a list, with the leaves. */
INTERNAL PyObject *topological_order_of(Node *root);

#endif
