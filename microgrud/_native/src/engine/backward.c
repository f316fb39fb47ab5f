/* The backward pass, and zero_grad.
 *
 * A walk (walk.h) and the pass over its nodes call no Python code but that of the user's own operations, so that nobody
 * sees a graph in the middle of them. Python handles a Ctrl-C after both, which take about 30 ns per node; if the
 * handler raises, the leaves get back the gradients that they had.
 */
#include "engine/backward.h"
#include "engine/record.h"
#include "engine/walk.h"

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
    begin_walk(&walk, state);
    int status = walk_from(&walk, as_node(self));
    if (status == 0) {
        as_node(self)->grad = 1.0;
        status = pass_all_on(&walk, answer == Py_True);
        for (size_t k = 0; k < walk.leaf_count && status == 0; k++) {
            walk.leaves[k].node->grad += walk.leaves[k].before;
        }
    }
    return end_walk(&walk, status == 0 ? handle_interrupt(&walk) : status);
}

PyObject *value_zero_grad(PyObject *self)
{
    Walk walk;
    begin_walk(&walk, state_of(self));
    int status = walk_from(&walk, as_node(self));
    return end_walk(&walk, status == 0 ? handle_interrupt(&walk) : status);
}

PyObject *value_pass_on(PyObject *self)
{
    return has_closure(as_node(self)) || pass_on_by_kernel(as_node(self)) != 0 ? NULL : Py_NewRef(Py_None);
}
