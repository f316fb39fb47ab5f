/* Value(...): the constructor. */
#include "engine/attributes.h"
#include "engine/record.h"

PyObject *value_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    State *state = state_of_type(type);
    if (type == state->value_type) {
        return (PyObject *)new_node(state, 0.0);
    }
    PyObject *self = type->tp_alloc(type, 0); /* zeroed, and tracked by the collector */
    if (self != NULL) {
        as_node(self)->flags = COLLECTED;
    }
    return self;
}

/* Tell whether children are a tuple of Values, which need no check by Python. */
static bool are_usual(const State *state, PyObject *children)
{
    bool usual = PyTuple_CheckExact(children);
    for (Py_ssize_t k = 0; usual && k < PyTuple_GET_SIZE(children); k++) {
        usual = is_value(state, PyTuple_GET_ITEM(children, k));
    }
    return usual;
}

int value_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"data", "_children", "_op", "label", NULL};
    State *state = state_of(self);
    Node *node = as_node(self);
    PyObject *data, *children = state->no_operands, *op = state->empty, *label = state->empty;
    double number;
    if (PyArg_ParseTupleAndKeywords(args, kwargs, "O|OOO", names, &data, &children, &op, &label) &&
        PyUnicode_Check(op) && are_usual(state, children)) {
        if (read_number(state, data, "data", &number) < 0) {
            return -1;
        }
        node->data = number;
        node->grad = 0.0;
        bool is_done = give_operands(state, node, children) == 0 && give_closure(state, node, Py_None) == 0 &&
                       give_operation(state, node, op) == 0 && give_label(state, node, label) == 0;
        return is_done ? 0 : -1;
    }
    PyErr_Clear(); /* local gradients, another sequence of children, or an error: all are Python's */
    PyObject *method = PyObject_GetAttrString(state->twin, "__init__");
    PyObject *bound = method == NULL ? NULL : PyMethod_New(method, self);
    PyObject *result = bound == NULL ? NULL : PyObject_Call(bound, args, kwargs);
    Py_XDECREF(method);
    Py_XDECREF(bound);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Value(...); the frequent Value(2.0) and Value(2) need no tuple of arguments. */
PyObject *value_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names)
{
    State *state = state_of_type((PyTypeObject *)type);
    double number;
    Node *node;
    if (PyVectorcall_NARGS(nargsf) == 1 && names == NULL && read_operand(args[0], &number, &node) && node == NULL) {
        return (PyObject *)new_node(state, number);
    }
    PyObject *bound = PyMethod_New(state->type_call, type);
    PyObject *self = bound == NULL ? NULL : PyObject_Vectorcall(bound, args, nargsf, names);
    Py_XDECREF(bound);
    return self;
}
