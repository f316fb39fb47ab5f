/* Walks over the graph that change gradients. */
#include "engine/walk.h"

ALWAYS_INLINE int append_node(Walk *walk, Node *node)
{
    if (walk->count == walk->capacity && grow((void **)&walk->order, &walk->capacity, sizeof *walk->order) < 0) {
        return -1;
    }
    walk->order[walk->count++] = node;
    return 0;
}

ALWAYS_INLINE int append_leaf(Walk *walk, Node *node)
{
    if (walk->leaf_count == walk->leaf_capacity &&
        grow((void **)&walk->leaves, &walk->leaf_capacity, sizeof *walk->leaves) < 0) {
        return -1;
    }
    Leaf *leaf = &walk->leaves[walk->leaf_count++];
    leaf->node = node;
    leaf->before = node->grad;
    return 0;
}

/* Enter a leaf. It has no operands, but may pass something on if it has a closure, or is of a subclass. */
ALWAYS_INLINE int enter_leaf(Walk *walk, Node *node)
{
    if (append_leaf(walk, node) < 0) {
        return -1;
    }
    node->progress = 1;
    node->grad = 0.0;
    return has_closure(node) || !is_plain_value((PyObject *)node) ? append_node(walk, node) : 0;
}

static void restore_leaves(Walk *walk)
{
    for (size_t k = 0; k < walk->leaf_count; k++) {
        walk->leaves[k].node->grad = walk->leaves[k].before;
    }
}

/* Visit an operand of the node on top of the stack. Return 1 if the walk must go there first, 0 if not, -1 if there is
 * no memory. */
ALWAYS_INLINE int visit_operand(Walk *walk, Node **stack, Node *operand)
{
    if (operand->progress != 0) {
        return 0;
    }
    if (operand->count == 0) {
        return enter_leaf(walk, operand);
    }
    operand->progress = 1;
    operand->link = *stack;
    *stack = operand;
    return 1;
}

/* Continue with the operands of the node on top of the stack. Return as visit_operand does; 0 if all are done. */
ALWAYS_INLINE int visit_operands(Walk *walk, Node **stack)
{
    Node *node = *stack;
    uint32_t seen = node->progress - 1;
    unsigned flags = node->flags;
    int found = 0;
    if (!(flags & DETAILED)) {
        if (seen == 0 && !(flags & FIRST_IS_NUMBER)) {
            found = visit_operand(walk, stack, node->operands[0].node);
            node->progress = 2;
        }
        if (found == 0 && seen <= 1 && node->count == 2 && !(flags & SECOND_IS_NUMBER)) {
            found = visit_operand(walk, stack, node->operands[1].node);
            node->progress = 3;
        }
        return found;
    }
    PyObject **operands = node->details->operands;
    size_t count = node->detailed_count, k = seen;
    for (; k < count && found == 0; k++) {
        if (!PyFloat_CheckExact(operands[k])) {
            found = visit_operand(walk, stack, as_node(operands[k]));
        }
    }
    node->progress = (uint32_t)(k + 1);
    return found;
}

int walk_from(Walk *walk, Node *root)
{
    Node *stack = NULL;
    int status = 0;
    if (root->count == 0) {
        status = enter_leaf(walk, root);
    } else {
        root->progress = 1;
        root->link = NULL;
        stack = root;
    }
    while (stack != NULL && status == 0) {
        int found = visit_operands(walk, &stack);
        if (found < 0 || (found == 0 && append_node(walk, stack) < 0)) {
            status = -1;
        } else if (found == 0) {
            Node *node = stack;
            stack = node->link;
            node->grad = 0.0;
        }
    }
    walk->marked = walk->count;
    while (stack != NULL) { /* there was no memory */
        Node *node = stack;
        stack = node->link;
        node->progress = 0;
        node->grad = 0.0;
    }
    if (status < 0) {
        PyErr_NoMemory();
    }
    return status;
}

void begin_walk(Walk *walk, State *state)
{
    memset(walk, 0, sizeof *walk);
    walk->state = state;
    take_spare(state, SPARE_ORDER, (void **)&walk->order, &walk->capacity);
}

void hold_nodes(Walk *walk)
{
    if (walk->holds_nodes) {
        return;
    }
    walk->holds_nodes = true;
    walk->marked = 0;
    for (size_t k = 0; k < walk->count; k++) {
        walk->order[k]->progress = 0;
        Py_INCREF(walk->order[k]);
    }
    for (size_t k = 0; k < walk->leaf_count; k++) {
        walk->leaves[k].node->progress = 0;
        Py_INCREF(walk->leaves[k].node);
    }
}

static void free_walk(Walk *walk)
{
    State *state = walk->state;
    for (size_t k = 0; k < walk->marked; k++) {
        walk->order[k]->progress = 0;
    }
    for (size_t k = 0; k < walk->leaf_count; k++) {
        walk->leaves[k].node->progress = 0;
    }
    for (size_t k = 0; k < walk->leaf_count && walk->holds_nodes; k++) {
        Py_DECREF(walk->leaves[k].node);
    }
    for (size_t k = 0; k < walk->count && walk->holds_nodes; k++) {
        Py_DECREF(walk->order[k]);
    }
    PyMem_Free(walk->leaves);
    give_spare(state, SPARE_ORDER, walk->order, walk->capacity, sizeof *walk->order);
}

PyObject *end_walk(Walk *walk, int status)
{
    if (status < 0) {
        restore_leaves(walk);
    }
    free_walk(walk);
    return status < 0 ? NULL : Py_NewRef(Py_None);
}
