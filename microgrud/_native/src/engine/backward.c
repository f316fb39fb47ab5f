/* Walks over the graph that change gradients: the backward pass and zero_grad.
 *
 * A walk goes depth first along the operands, from first to last, and finishes a node after its operands, as
 * microgrud/engine/value.py does. The number of visited operands is stored in each node: there is no set, and no
 * look-up. The backward pass, which clears the gradients anyway, links the nodes on its stack through them, and needs
 * memory only for the order. A walk and the pass over its nodes call no Python code but that of the user's own
 * operations, so that nobody sees a graph in the middle of them. Python handles a Ctrl-C after both, which take about
 * 30 ns per node; if the handler raises, the leaves get back the gradients that they had.
 */
#include "engine/backward.h"
#include "engine/record.h"

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

/* Find everything that root depends on, and set all gradients to 0. If there is no memory, the gradients of leaves are
 * unchanged, and those of other visited nodes are 0. */
static int walk_from(Walk *walk, Node *root)
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

static void begin(Walk *walk, State *state)
{
    memset(walk, 0, sizeof *walk);
    walk->state = state;
    take_spare(state, SPARE_ORDER, (void **)&walk->order, &walk->capacity);
}

/* Remove the marks and take references to all nodes, before Python code runs, which may walk or drop anything. */
static void hold_nodes(Walk *walk)
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

/* End a walk, and return None or NULL; after a failure the leaves have the gradients that they had before. */
static PyObject *end(Walk *walk, int status)
{
    if (status < 0) {
        restore_leaves(walk);
    }
    free_walk(walk);
    return status < 0 ? NULL : Py_NewRef(Py_None);
}

/* --- the chain rule --- */

/* Pass the adjoint on by a rule for all operands, or by one for each. As in Python's zip, surplus rules or operands are
 * ignored. */
static int pass_on_by_rules(Node *node, PyObject *operation)
{
    double adjoint = node->grad;
    PyObject *operands = operands_of(node), *iterator = NULL;
    PyObject *args = operands == NULL ? NULL : numbers_of(&node->data, operands);
    PyObject *rules = args == NULL ? NULL : PyObject_GetAttrString(operation, "partials");
    bool at_once = rules != NULL && PyCallable_Check(rules);
    if (at_once) {
        Py_SETREF(rules, PyObject_CallObject(rules, args));
    }
    iterator = rules == NULL ? NULL : PyObject_GetIter(rules);
    int status = iterator == NULL ? -1 : 0;
    for (Py_ssize_t k = 0; status == 0 && k < PyTuple_GET_SIZE(operands); k++) {
        PyObject *operand = PyTuple_GET_ITEM(operands, k), *slope = PyIter_Next(iterator);
        if (slope == NULL) {
            status = PyErr_Occurred() ? -1 : 0;
            break;
        }
        if (!PyFloat_CheckExact(operand)) {
            if (!at_once) {
                Py_SETREF(slope, PyObject_CallObject(slope, args));
            }
            if (slope != NULL && slope != Py_None) { /* None: there is no dependence */
                double number = PyFloat_AsDouble(slope);
                status = number == -1.0 && PyErr_Occurred() ? -1 : 0;
                as_node(operand)->grad += status == 0 ? adjoint * number : 0.0;
            }
            status = slope == NULL ? -1 : status;
        }
        Py_XDECREF(slope);
    }
    Py_XDECREF(operands);
    Py_XDECREF(args);
    Py_XDECREF(rules);
    Py_XDECREF(iterator);
    return status;
}

/* Pass the adjoint of a node with Details on by its kernel. Return 1 if that needs Python, -1 on error. */
static int pass_on_detailed(Node *node)
{
    double few[3 * 64];
    double *xs = few;
    size_t count = node->detailed_count;
    PyObject **operands = node->details->operands;
    if (count == 0) {
        return 0;
    }
    if (count > 64) {
        xs = PyMem_New(double, 3 * count);
        if (xs == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    double *slopes = xs + count, *scratch = slopes + count;
    for (size_t k = 0; k < count; k++) {
        xs[k] = number_of(operands[k]);
    }
    Op op = (Op)node->op;
    if (op < OP_LAST_TERNARY) {
        double y = count > 1 ? xs[1] : 0.0, w = count > 2 ? xs[2] : 0.0, three[3];
        slopes_of(op, node->data, xs[0], y, w, 7, three);
        memcpy(slopes, three, (count < 3 ? count : 3) * sizeof *slopes);
    } else {
        sequence_slopes(op, node->data, xs, count, slopes, scratch);
    }
    int status = 0;
    for (size_t k = 0; k < count; k++) {
        if (!isfinite(slopes[k]) && !is_nothing(slopes[k]) && !PyFloat_CheckExact(operands[k])) {
            status = 1;
        }
    }
    double adjoint = node->grad;
    for (size_t k = 0; k < count && status == 0; k++) {
        if (!PyFloat_CheckExact(operands[k]) && !is_nothing(slopes[k])) {
            as_node(operands[k])->grad += adjoint * slopes[k];
        }
    }
    if (xs != few) {
        PyMem_Free(xs);
    }
    return status;
}

/* Pass the adjoint of a node on by its kernel: add it times the local derivative to the grad of each operand. Return 1
 * if that needs Python: for a closure, for user-defined or missing rules, for a slope that is infinite or NaN. */
ALWAYS_INLINE int pass_on_by_kernel(Node *node)
{
    unsigned flags = node->flags;
    if (flags & (DETAILED | BY_RULES)) {
        if (has_closure(node) || (flags & BY_RULES)) {
            return 1;
        }
        return node->op != OP_NONE ? pass_on_detailed(node) : count_of(node) != 0;
    }
    unsigned count = node->count;
    if (count == 0) {
        return 0;
    }
    Node *first = flags & FIRST_IS_NUMBER ? NULL : node->operands[0].node;
    Node *second = count == 1 || flags & SECOND_IS_NUMBER ? NULL : node->operands[1].node;
    double x = first != NULL ? first->data : node->operands[0].number;
    double y = second != NULL ? second->data : node->operands[1].number;
    double adjoint = node->grad, slopes[3] = {0.0, 0.0, 0.0};
    slopes_of((Op)node->op, node->data, x, y, 0.0, (first != NULL ? 1u : 0u) | (second != NULL ? 2u : 0u), slopes);
    if (isfinite(slopes[0]) && isfinite(slopes[1])) { /* unwanted slopes are 0 */
        if (first != NULL) {
            first->grad += adjoint * slopes[0];
        }
        if (second != NULL) {
            second->grad += adjoint * slopes[1];
        }
        return 0;
    }
    for (int k = 0; k < 2; k++) {
        if (!isfinite(slopes[k]) && !is_nothing(slopes[k])) {
            return 1;
        }
    }
    if (first != NULL && !is_nothing(slopes[0])) {
        first->grad += adjoint * slopes[0];
    }
    if (second != NULL && !is_nothing(slopes[1])) {
        second->grad += adjoint * slopes[1];
    }
    return 0;
}

/* Let a node pass its adjoint on through Python: by its closure, its rules or its method, with checks if anomalies are
 * detected. */
static int pass_on_by_python(const State *state, Node *node, bool checking)
{
    PyObject *closure = has_closure(node) ? Py_NewRef(node->details->closure) : NULL, *result;
    if (closure == NULL) {
        PyObject *operation = operation_object(state, node);
        if (!checking && is_plain_value((PyObject *)node) && !PyUnicode_Check(operation)) {
            Py_INCREF(operation); /* rules may run anything */
            int status = pass_on_by_rules(node, operation);
            Py_DECREF(operation);
            return status;
        }
        closure = PyObject_GetAttr((PyObject *)node, state->pass_on_name);
        if (closure == NULL) {
            return -1;
        }
    }
    result = checking ? PyObject_CallFunctionObjArgs(state->pass_on_checked, (PyObject *)node, closure, NULL)
                      : PyObject_CallNoArgs(closure);
    Py_DECREF(closure);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Let Python handle a Ctrl-C. Return -1 if the handler raises. */
static int handle_interrupt(Walk *walk)
{
    if (!PyOS_InterruptOccurred()) { /* which clears the flag */
        return 0;
    }
    hold_nodes(walk);
    PyErr_SetInterrupt();
    return PyErr_CheckSignals();
}

/* Let all nodes pass their adjoints on, from the root to the leaves. */
static int pass_all_on(Walk *walk, bool checking)
{
    for (size_t k = walk->count; k-- > 0;) {
        Node *node = walk->order[k];
        if (!walk->holds_nodes) {
            node->progress = 0;
            walk->marked = k;
        }
        if (node->grad == 0.0) {
            continue;
        }
        int status = checking || !is_plain_value((PyObject *)node) ? 1 : pass_on_by_kernel(node);
        if (status > 0) {
            hold_nodes(walk);
            status = pass_on_by_python(walk->state, node, checking);
        }
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

PyObject *value_backward(PyObject *self)
{
    Walk walk;
    State *state = state_of(self);
    PyObject *answer = PyObject_CallNoArgs(state->is_detecting);
    if (answer == NULL) {
        return NULL;
    }
    Py_DECREF(answer);
    begin(&walk, state);
    int status = walk_from(&walk, as_node(self));
    if (status == 0) {
        as_node(self)->grad = 1.0;
        status = pass_all_on(&walk, answer == Py_True);
        for (size_t k = 0; k < walk.leaf_count && status == 0; k++) {
            walk.leaves[k].node->grad += walk.leaves[k].before;
        }
    }
    return end(&walk, status == 0 ? handle_interrupt(&walk) : status);
}

PyObject *value_zero_grad(PyObject *self)
{
    Walk walk;
    begin(&walk, state_of(self));
    int status = walk_from(&walk, as_node(self));
    return end(&walk, status == 0 ? handle_interrupt(&walk) : status);
}

PyObject *value_pass_on(PyObject *self)
{
    return has_closure(as_node(self)) || pass_on_by_kernel(as_node(self)) != 0 ? NULL : Py_NewRef(Py_None);
}
