/* The attributes of a Value. */
#include "engine/attributes.h"
#include "engine/record.h"

/* --- parts of a node --- */

/* Set a property of the Python class, which refuses with the right error; closure has its name. */
static int set_through_twin(PyObject *self, PyObject *object, void *closure)
{
    PyObject *property = PyObject_GetAttrString(state_of(self)->twin, (const char *)closure);
    if (property == NULL) {
        return -1;
    }
    descrsetfunc set = Py_TYPE(property)->tp_descr_set;
    int status = -1;
    if (set != NULL) {
        status = set(property, self, object);
    } else {
        PyErr_Format(PyExc_AttributeError, "%s: not to be set", (const char *)closure);
    }
    Py_DECREF(property);
    return status;
}

/* Refuse to delete an attribute that is a slot in Python. */
static int refuse_deletion(void *closure)
{
    PyErr_Format(PyExc_AttributeError, "can't delete attribute '%s'", (const char *)closure);
    return -1;
}

static int set_number(PyObject *self, double *field, PyObject *number, void *closure)
{
    const char *name = closure;
    if (number == NULL) {
        return name[0] == '_' ? refuse_deletion(closure) : set_through_twin(self, NULL, closure);
    }
    if (PyFloat_CheckExact(number)) {
        *field = PyFloat_AS_DOUBLE(number);
        return 0;
    }
    PyObject *converted = PyObject_CallFunction(state_of(self)->as_float, "Os", number, name);
    if (converted == NULL) {
        return -1;
    }
    *field = PyFloat_AS_DOUBLE(converted);
    Py_DECREF(converted);
    return 0;
}

int report_peek(PyObject *self, const char *what)
{
    State *state = state_of(self);
    if (!is_traced(state)) {
        return 0;
    }
    PyObject *done = PyObject_CallFunction(state->report_raw_read, "OOs", self, Py_None, what);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static PyObject *get_number(PyObject *self, void *Py_UNUSED(closure))
{
    return report_peek(self, "_data") < 0 ? NULL : PyFloat_FromDouble(as_node(self)->data);
}

static int set_raw_data(PyObject *self, PyObject *number, void *closure)
{
    return report_peek(self, "_data") < 0 ? -1 : set_number(self, &as_node(self)->data, number, closure);
}

/* Report the use of an attribute to the tracer. Return -1 if that is refused. */
static int report_access(PyObject *self, const char *what)
{
    State *state = state_of(self);
    if (!is_traced(state)) {
        return 0;
    }
    PyObject *done = PyObject_CallFunction(state->report_read, "Os", self, what);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

PyObject *get_data(PyObject *self, void *Py_UNUSED(closure))
{
    return report_access(self, "data") < 0 ? NULL : PyFloat_FromDouble(as_node(self)->data);
}

static int set_data(PyObject *self, PyObject *number, void *closure)
{
    return report_access(self, "data =") < 0 ? -1 : set_number(self, &as_node(self)->data, number, closure);
}

PyObject *get_derivative(PyObject *self, void *Py_UNUSED(closure))
{
    return PyFloat_FromDouble(as_node(self)->grad);
}

static PyObject *get_grad(PyObject *self, void *Py_UNUSED(closure))
{
    return report_access(self, "grad") < 0 ? NULL : get_derivative(self, NULL);
}

static int set_derivative(PyObject *self, PyObject *number, void *closure)
{
    return set_number(self, &as_node(self)->grad, number, closure);
}

static int set_grad(PyObject *self, PyObject *number, void *closure)
{
    return report_access(self, "grad =") < 0 ? -1 : set_derivative(self, number, closure);
}

PyObject *get_label(PyObject *self, void *Py_UNUSED(closure))
{
    Node *node = as_node(self);
    PyObject *label = node->flags & DETAILED ? node->details->label : NULL;
    return Py_NewRef(label != NULL ? label : state_of(self)->empty);
}

/* Put an object into a node's Details; the collector may have to track the node then. */
static void set_detail(Node *node, PyObject **field, PyObject *object)
{
    PyObject *old = *field;
    *field = Py_XNewRef(object);
    if (object != NULL && PyObject_IS_GC(object)) { /* an object without references makes no cycle */
        collect_late(node);
    }
    Py_XDECREF(old); /* last, because it may run any code */
}

int give_label(Node *node, PyObject *label)
{
    bool is_empty = label == NULL || (PyUnicode_CheckExact(label) && PyUnicode_GET_LENGTH(label) == 0);
    if (is_empty && !(node->flags & DETAILED)) {
        return 0;
    }
    Details *details = detailed(node);
    if (details != NULL) {
        set_detail(node, &details->label, is_empty ? NULL : label);
    }
    return details == NULL ? -1 : 0;
}

static int set_label(PyObject *self, PyObject *label, void *closure)
{
    return label == NULL ? refuse_deletion(closure) : give_label(as_node(self), label);
}

static PyObject *get_closure(PyObject *self, void *Py_UNUSED(closure))
{
    Node *node = as_node(self);
    return Py_NewRef(has_closure(node) ? node->details->closure : Py_None);
}

int give_closure(Node *node, PyObject *given)
{
    bool is_none = given == NULL || given == Py_None;
    if (is_none && !(node->flags & DETAILED)) {
        return 0;
    }
    Details *details = detailed(node);
    if (details != NULL) {
        set_detail(node, &details->closure, is_none ? NULL : given);
    }
    return details == NULL ? -1 : 0;
}

static int set_closure(PyObject *self, PyObject *given, void *closure)
{
    return given == NULL ? refuse_deletion(closure) : give_closure(as_node(self), given);
}

static int set_backward(PyObject *self, PyObject *given, void *closure)
{
    return given == NULL ? set_through_twin(self, NULL, closure) : give_closure(as_node(self), given);
}

static PyObject *get_backward(PyObject *self, void *Py_UNUSED(closure))
{
    Node *node = as_node(self);
    return has_closure(node) ? Py_NewRef(node->details->closure) : PyObject_GetAttrString(self, "_pass_on");
}

static PyObject *get_operation(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(operation_object(state_of(self), as_node(self)));
}

static PyObject *get_op(PyObject *self, void *Py_UNUSED(closure))
{
    PyObject *operation = Py_NewRef(operation_object(state_of(self), as_node(self)));
    if (PyUnicode_Check(operation)) {
        return operation;
    }
    PyObject *symbol = PyObject_GetAttrString(operation, "symbol");
    Py_DECREF(operation);
    return symbol;
}

/* Let the rules, and not the kernels, serve a node with a wrong number of operands. */
static void check_arity(Node *node)
{
    size_t count = count_of(node);
    Op op = (Op)node->op;
    bool fits = op == OP_NONE || (arity_of(op) != 0 ? arity_of(op) == count : count > 0);
    bool is_operation = op != OP_NONE || (node->flags & DETAILED && node->details->operation != NULL &&
                                          !PyUnicode_Check(node->details->operation));
    bool by_rules = is_operation && (op == OP_NONE || !fits);
    node->flags = (uint8_t)(by_rules ? node->flags | BY_RULES : node->flags & ~BY_RULES);
}

int give_operation(State *state, Node *node, PyObject *operation)
{
    int op = operation == NULL ? OP_NONE : op_of(state, operation);
    if (op < 0) {
        return -1;
    }
    bool is_empty = operation == NULL || (PyUnicode_CheckExact(operation) && PyUnicode_GET_LENGTH(operation) == 0);
    bool is_kept = op == OP_NONE && !is_empty;
    Details *details = is_kept ? detailed(node) : node->flags & DETAILED ? node->details : NULL;
    if (is_kept && details == NULL) {
        return -1;
    }
    PyObject *old = details != NULL ? details->operation : NULL;
    if (details != NULL) {
        details->operation = is_kept ? Py_NewRef(operation) : NULL;
    }
    node->op = (uint8_t)op;
    check_arity(node);
    if (is_kept && PyObject_IS_GC(operation)) {
        collect_late(node);
    }
    Py_XDECREF(old); /* last, because it may run any code */
    return 0;
}

static int set_operation(PyObject *self, PyObject *operation, void *closure)
{
    return operation == NULL ? refuse_deletion(closure) : give_operation(state_of(self), as_node(self), operation);
}

static PyObject *get_operands(PyObject *self, void *Py_UNUSED(closure))
{
    return operands_of(as_node(self));
}

static PyObject *get_parents(PyObject *self, void *Py_UNUSED(closure))
{
    if (as_node(self)->flags & BY_RULES) { /* perhaps a node with local gradients, which Python recognises */
        PyObject *property = PyObject_GetAttrString(state_of(self)->twin, "_prev");
        PyObject *found = property == NULL ? NULL : PyObject_CallMethod(property, "__get__", "O", self);
        Py_XDECREF(property);
        return found;
    }
    PyObject *operands = operands_of(as_node(self)), *parents = operands == NULL ? NULL : PyList_New(0);
    for (Py_ssize_t k = 0; parents != NULL && k < PyTuple_GET_SIZE(operands); k++) {
        PyObject *operand = PyTuple_GET_ITEM(operands, k);
        if (!PyFloat_CheckExact(operand) && PyList_Append(parents, operand) < 0) {
            Py_CLEAR(parents);
        }
    }
    PyObject *result = parents == NULL ? NULL : PyList_AsTuple(parents);
    Py_XDECREF(operands);
    Py_XDECREF(parents);
    return result;
}

/* Put up to two operands into a node that has none. */
static void put_in_place(Node *node, PyObject *operands)
{
    node->count = (uint8_t)PyTuple_GET_SIZE(operands);
    for (unsigned k = 0; k < node->count; k++) {
        PyObject *operand = PyTuple_GET_ITEM(operands, (Py_ssize_t)k);
        if (PyFloat_CheckExact(operand)) {
            node->operands[k].number = PyFloat_AS_DOUBLE(operand);
            node->flags |= (uint8_t)(FIRST_IS_NUMBER << k);
        } else {
            node->operands[k].node = (Node *)Py_NewRef(operand);
        }
    }
}

/* Replace the operands of a node by the Values and floats of a tuple. The node may be part of a cycle from then on. */
static int replace_operands(Node *node, PyObject *operands)
{
    Node before = *node, *dying = NULL;
    size_t count = (size_t)PyTuple_GET_SIZE(operands);
    bool in_place = count <= 2 && !(node->flags & DETAILED);
    Details *replacement = in_place ? NULL : new_details(count);
    if (!in_place && replacement == NULL) {
        return -1;
    }
    node->flags &= (uint8_t) ~(FIRST_IS_NUMBER | SECOND_IS_NUMBER);
    if (in_place) {
        put_in_place(node, operands);
    } else {
        for (size_t k = 0; k < count; k++) {
            replacement->operands[k] = Py_NewRef(PyTuple_GET_ITEM(operands, (Py_ssize_t)k));
        }
        if (node->flags & DETAILED) {
            Details *old = node->details;
            replacement->label = old->label;
            replacement->operation = old->operation;
            replacement->closure = old->closure;
            old->label = old->operation = old->closure = NULL;
        }
        node->flags |= DETAILED;
        node->details = replacement;
        set_detailed_count(node, count);
    }
    for (size_t k = 0; k < count; k++) {
        PyObject *operand = PyTuple_GET_ITEM(operands, (Py_ssize_t)k);
        if (!PyFloat_CheckExact(operand)) {
            as_node(operand)->flags |= USED;
        }
    }
    check_arity(node);
    collect_late(node);
    release_contents(&before, &dying); /* last, because it may run any code */
    bury(dying);
    return 0;
}

int give_operands(State *state, Node *node, PyObject *operands)
{
    if (!PyTuple_Check(operands)) {
        PyErr_SetString(PyExc_TypeError, "_operands: expected a tuple of Values and floats");
        return -1;
    }
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(operands); k++) {
        PyObject *operand = PyTuple_GET_ITEM(operands, k);
        if (!PyFloat_CheckExact(operand) && !is_value(state, operand)) {
            PyErr_Format(PyExc_TypeError, "_operands: expected Values and floats, got an object of type %.200s",
                         Py_TYPE(operand)->tp_name);
            return -1;
        }
    }
    return PyTuple_GET_SIZE(operands) == 0 && node->count == 0 ? 0 : replace_operands(node, operands);
}

static int set_operands(PyObject *self, PyObject *operands, void *closure)
{
    return operands == NULL ? refuse_deletion(closure) : give_operands(state_of(self), as_node(self), operands);
}

static PyObject *get_is_leaf(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(as_node(self)->count == 0);
}

int value_setattro(PyObject *self, PyObject *name, PyObject *object)
{
    int status = PyObject_GenericSetAttr(self, name, object);
    if (status < 0 && object != NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyObject *type, *error, *traceback;
        PyErr_Fetch(&type, &error, &traceback);
        if (PyObject_HasAttr((PyObject *)Py_TYPE(self), name)) { /* a read-only attribute has its own error */
            PyErr_Restore(type, error, traceback);
            return status;
        }
        Py_XDECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(traceback);
        PyErr_Format(PyExc_AttributeError,
                     "'%.100s' object has no attribute '%U', and no room for it; use a class of your own, "
                     "class Value(microgrud.Value): pass, or a dict with Values as keys",
                     Py_TYPE(self)->tp_name, name);
    }
    return status;
}

PyGetSetDef value_getset[] = {
    {"data", get_data, set_data, "The number.", "data"},
    {"grad", get_grad, set_grad,
     "Derivative of the last backward pass's root with respect to this node; a leaf accumulates it over passes.",
     "grad"},
    {"_data", get_number, set_raw_data, "The number, as read by code inside the package.", "_data"},
    {"_number", get_number, set_raw_data, NULL, "_number"}, /* a slot in Python */
    {"_grad", get_derivative, set_derivative, NULL, "_grad"},
    {"label", get_label, set_label, NULL, "label"},
    {"is_leaf", get_is_leaf, set_through_twin,
     "True if no operands are on record: the user, `detach()` or an operation inside `no_grad()` made the node.",
     "is_leaf"},
    {"_prev", get_parents, set_through_twin, "The parents in order, one entry per use: `(a, a)` for `a * a`.", "_prev"},
    {"_op", get_op, set_through_twin, "The short name of the operation that made the node, empty for a leaf.", "_op"},
    {"_operands", get_operands, set_operands, NULL, "_operands"},
    {"_operation", get_operation, set_operation, NULL, "_operation"},
    {"_closure", get_closure, set_closure, NULL, "_closure"},
    {"_backward", get_backward, set_backward,
     "The function that passes this node's grad on to its parents; assign one to a node built by hand.", "_backward"},
    {NULL, NULL, NULL, NULL, NULL},
};
