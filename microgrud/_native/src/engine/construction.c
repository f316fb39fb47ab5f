/* Value(...): the constructor. */
#include "engine/attributes.h"

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

static int init_node(State *state, Node *node, PyObject *data, PyObject *children, PyObject *op, PyObject *label)
{
    PyObject *number = NULL, *parents = NULL;
    int status = -1;
    if (PyFloat_CheckExact(data)) {
        number = Py_NewRef(data);
    } else {
        number = PyObject_CallFunction(state->as_float, "Os", data, "data");
    }
    if (number == NULL) {
        goto done;
    }
    parents = children == NULL || (PyTuple_CheckExact(children) && PyTuple_GET_SIZE(children) == 0)
                  ? PyTuple_New(0)
                  : PyObject_CallFunction(state->as_sequence, "Oss", children, "_children", "Values");
    if (parents == NULL) {
        goto done;
    }
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(parents); k++) {
        PyObject *child = PyTuple_GET_ITEM(parents, k);
        if (!is_value(state, child)) {
            PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(child), "__name__");
            if (name != NULL) {
                PyErr_Format(PyExc_TypeError, "_children: expected Values, got an object of type %U", name);
                Py_DECREF(name);
            }
            goto done;
        }
    }
    node->data = PyFloat_AS_DOUBLE(number);
    node->grad = 0.0;
    bool is_ready = give_operands(state, node, parents) == 0 && give_closure(node, NULL) == 0 &&
                    give_operation(state, node, op) == 0 && give_label(node, label) == 0;
    status = is_ready ? 0 : -1;
done:
    Py_XDECREF(number);
    Py_XDECREF(parents);
    return status;
}

int value_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"data", "_children", "_op", "label", NULL};
    State *state = state_of(self);
    PyObject *data, *children = NULL, *op = NULL, *label = NULL;
    bool parsed = PyArg_ParseTupleAndKeywords(args, kwargs, "O|OOO", names, &data, &children, &op, &label);
    if (!parsed || (op != NULL && !PyUnicode_Check(op))) {
        if (!parsed && !PyErr_ExceptionMatches(PyExc_TypeError)) {
            return -1;
        }
        PyErr_Clear(); /* local gradients, or an error: both are Python's */
        PyObject *method = PyObject_GetAttrString(state->twin, "__init__");
        PyObject *bound = method == NULL ? NULL : PyMethod_New(method, self);
        PyObject *result = bound == NULL ? NULL : PyObject_Call(bound, args, kwargs);
        Py_XDECREF(method);
        Py_XDECREF(bound);
        Py_XDECREF(result);
        return result == NULL ? -1 : 0;
    }
    return init_node(state, as_node(self), data, children, op, label);
}

/* Value(...); the frequent Value(2.0) needs no tuple of arguments. */
PyObject *value_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    if (nargs == 1 && names == NULL && PyFloat_CheckExact(args[0])) {
        return (PyObject *)new_node(state_of_type((PyTypeObject *)type), PyFloat_AS_DOUBLE(args[0]));
    }
    PyObject *self = NULL, *kwargs = NULL, *tuple = PyTuple_New(nargs);
    if (tuple == NULL) {
        return NULL;
    }
    for (Py_ssize_t k = 0; k < nargs; k++) {
        PyTuple_SET_ITEM(tuple, k, Py_NewRef(args[k]));
    }
    if (names != NULL) {
        kwargs = PyDict_New();
        for (Py_ssize_t k = 0; kwargs != NULL && k < PyTuple_GET_SIZE(names); k++) {
            if (PyDict_SetItem(kwargs, PyTuple_GET_ITEM(names, k), args[nargs + k]) < 0) {
                Py_CLEAR(kwargs);
            }
        }
        if (kwargs == NULL) {
            goto done;
        }
    }
    self = value_new((PyTypeObject *)type, NULL, NULL);
    if (self != NULL && value_init(self, tuple, kwargs) < 0) {
        Py_CLEAR(self);
    }
done:
    Py_DECREF(tuple);
    Py_XDECREF(kwargs);
    return self;
}
