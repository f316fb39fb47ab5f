/* The attributes of a Value. */
#include "engine/arithmetic.h"
#include "engine/attributes.h"

/* Refuse to set an attribute, or to delete it (object is NULL): a property of the Python class has the right error. */
static int refuse(PyObject *self, PyObject *object, const char *name)
{
    PyObject *property = PyObject_GetAttrString(state_of(self)->twin, name);
    if (property != NULL && Py_IS_TYPE(property, &PyProperty_Type)) {
        (void)PyProperty_Type.tp_descr_set(property, self, object);
    } else if (property != NULL) { /* a slot */
        PyErr_Format(PyExc_AttributeError, "can't delete attribute '%s'", name);
    }
    Py_XDECREF(property);
    return -1;
}

/* --- numbers --- */

typedef struct {
    const char *name;
    size_t offset;
    const char *read, *written; /* descriptions for a tracer; NULL if it need not know */
    bool is_raw;                /* the package itself may use the attribute */
} Number;

/* Report the use of an attribute to the tracer. Return -1 if that is refused. */
static int report(PyObject *self, const Number *number, const char *what)
{
    State *state = state_of(self);
    if (what == NULL || !is_traced(state)) {
        return 0;
    }
    PyObject *receiver = number->is_raw ? state->report_raw_read : state->report_read;
    PyObject *done = PyObject_CallFunction(receiver, "Os", self, what);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static double *place_of(PyObject *self, const Number *number)
{
    return (double *)((char *)self + number->offset);
}

static PyObject *get_number(PyObject *self, void *closure)
{
    const Number *number = closure;
    return report(self, number, number->read) < 0 ? NULL : PyFloat_FromDouble(*place_of(self, number));
}

static int set_number(PyObject *self, PyObject *object, void *closure)
{
    const Number *number = closure;
    if (report(self, number, number->written) < 0) {
        return -1;
    }
    return object == NULL ? refuse(self, NULL, number->name)
                          : read_number(state_of(self), object, number->name, place_of(self, number));
}

/* --- parts of a node --- */

PyObject *get_label(PyObject *self, void *Py_UNUSED(closure))
{
    Node *node = as_node(self);
    PyObject *label = node->flags & DETAILED ? node->details->label : NULL;
    return Py_NewRef(label != NULL ? label : state_of(self)->empty);
}

/* Put an object, or NULL, into a node's Details; the collector may have to track the node then. */
static int give_detail(Node *node, size_t offset, PyObject *object)
{
    if (object == NULL && !(node->flags & DETAILED)) {
        return 0;
    }
    Details *details = detailed(node);
    if (details == NULL) {
        return -1;
    }
    PyObject **field = (PyObject **)((char *)details + offset), *old = *field;
    *field = Py_XNewRef(object);
    if (object != NULL && PyObject_IS_GC(object)) { /* an object without references makes no cycle */
        collect_late(node);
    }
    Py_XDECREF(old); /* last, because it may run any code */
    return 0;
}

static bool is_empty_string(PyObject *object)
{
    return PyUnicode_CheckExact(object) && PyUnicode_GET_LENGTH(object) == 0;
}

int give_label(State *Py_UNUSED(state), Node *node, PyObject *label)
{
    return give_detail(node, offsetof(Details, label), is_empty_string(label) ? NULL : label);
}

static PyObject *get_closure(PyObject *self, void *Py_UNUSED(closure))
{
    Node *node = as_node(self);
    return Py_NewRef(has_closure(node) ? node->details->closure : Py_None);
}

static PyObject *get_backward(PyObject *self, void *Py_UNUSED(closure))
{
    return has_closure(as_node(self)) ? get_closure(self, NULL) : PyObject_GetAttrString(self, "_pass_on");
}

int give_closure(State *Py_UNUSED(state), Node *node, PyObject *closure)
{
    return give_detail(node, offsetof(Details, closure), closure == Py_None ? NULL : closure);
}

static PyObject *get_operation(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(operation_object(state_of(self), as_node(self)));
}

/* Let the rules, and not the kernels, serve a node with a wrong number of operands. */
static void check_arity(Node *node)
{
    Op op = (Op)node->op;
    PyObject *operation = node->flags & DETAILED ? node->details->operation : NULL;
    bool by_rules = op != OP_NONE ? !fits_arity(op, count_of(node)) : operation != NULL && !PyUnicode_Check(operation);
    node->flags = (uint8_t)(by_rules ? node->flags | BY_RULES : node->flags & ~BY_RULES);
}

int give_operation(State *state, Node *node, PyObject *operation)
{
    int op = op_of(state, operation);
    bool is_kept = op == OP_NONE && !is_empty_string(operation);
    if (op < 0 || give_detail(node, offsetof(Details, operation), is_kept ? operation : NULL) < 0) {
        return -1;
    }
    node->op = (uint8_t)op;
    check_arity(node);
    return 0;
}

static PyObject *get_operands(PyObject *self, void *Py_UNUSED(closure))
{
    return operands_of(as_node(self));
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
    if (PyTuple_GET_SIZE(operands) == 0 && node->count == 0) {
        return 0;
    }
    if (put_operands(node, operands) < 0) {
        return -1;
    }
    check_arity(node);
    collect_late(node); /* it may be part of a cycle from now on */
    return 0;
}

static PyObject *get_is_leaf(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(as_node(self)->count == 0);
}

typedef struct {
    const char *name;
    int (*give)(State *state, Node *node, PyObject *object);
} Part;

static int set_part(PyObject *self, PyObject *object, void *closure)
{
    const Part *part = closure;
    return object == NULL || part->give == NULL ? refuse(self, object, part->name)
                                                : part->give(state_of(self), as_node(self), object);
}

int value_setattro(PyObject *self, PyObject *name, PyObject *object)
{
    int status = PyObject_GenericSetAttr(self, name, object);
    if (status < 0 && object != NULL && PyErr_ExceptionMatches(PyExc_AttributeError) &&
        _PyType_Lookup(Py_TYPE(self), name) == NULL) { /* a read-only attribute has its own error */
        PyErr_Format(PyExc_AttributeError,
                     "'%.100s' object has no attribute '%U', and no room for it; use a class of your own, "
                     "class Value(microgrud.Value): pass, or a dict with Values as keys",
                     Py_TYPE(self)->tp_name, name);
    }
    return status;
}

/* --- methods --- */

/* Call the Python method, which raises the error for wrong arguments. */
static PyObject *call_twin(PyObject *self, const char *name, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    PyObject *method = PyObject_GetAttrString(state_of(self)->twin, name), *result = NULL;
    PyObject *bound = method == NULL ? NULL : PyMethod_New(method, self);
    if (bound != NULL) {
        result = PyObject_Vectorcall(bound, args, (size_t)nargs, names);
    }
    Py_XDECREF(method);
    Py_XDECREF(bound);
    return result;
}

/* Calls of a method descriptor take 7 to 9 ns less than those of a Function. */
#define DEFINE_METHOD(identifier, name, ...)                                                                           \
    static PyObject *value_##name(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)            \
    {                                                                                                                  \
        return nargs == 0 && names == NULL ? unary_operator(OP_##identifier, self)                                     \
                                           : call_twin(self, #name, args, nargs, names);                               \
    }
UNARY_METHODS(DEFINE_METHOD)

static PyObject *value_sizeof(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Node *node = as_node(self);
    size_t size = (size_t)Py_TYPE(self)->tp_basicsize;
    if (node->flags & DETAILED) {
        size += sizeof(Details) + node->detailed_count * sizeof(PyObject *);
    }
    return PyLong_FromSize_t(size);
}

#define NUMBER(name, field, doc, ...)                                                                                  \
    {name, get_number, set_number, doc, &(Number){name, offsetof(Node, field), __VA_ARGS__}}
#define PART(name, get, give, doc) {name, get, set_part, doc, &(Part){name, give}}

PyGetSetDef value_getset[] = {
    NUMBER("data", data, "The number.", "data", "data =", false),
    NUMBER("grad", grad,
           "Derivative of the last backward pass's root with respect to this node; a leaf accumulates it over passes.",
           "grad", "grad =", false),
    NUMBER("_data", data, "The number, as read by code inside the package.", "_data", "_data", true),
    NUMBER("_number", data, NULL, "_data", "_data", true), /* a slot in Python */
    NUMBER("_grad", grad, NULL, NULL, NULL, true),
    PART("label", get_label, give_label, NULL),
    PART("is_leaf", get_is_leaf, NULL,
         "True for a node without operands on record, made by the user, by `detach()` or inside `no_grad()`."),
    PART("_operands", get_operands, give_operands, NULL),
    PART("_operation", get_operation, give_operation, NULL),
    PART("_closure", get_closure, give_closure, NULL),
    PART("_backward", get_backward, give_closure,
         "The function that passes this node's grad on to its parents; assign one to a node built by hand."),
    {NULL, NULL, NULL, NULL, NULL},
};

PyMethodDef value_methods[] = {
#define METHOD(identifier, name, ...)                                                                                  \
    {#name, (PyCFunction)(void (*)(void))value_##name, METH_FASTCALL | METH_KEYWORDS,                                  \
     #name "($self)\n--\n\nReturn `microgrud." #name "` of this node."},
    UNARY_METHODS(METHOD)
#undef METHOD
    {"_record", (PyCFunction)(void (*)(void))value_record, METH_FASTCALL | METH_CLASS,
     "_record($type, operation, /, *operands)\n--\n\n"
     "Compute the result of an operation, and return it as a node that remembers its operands."},
    {"__sizeof__", value_sizeof, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
