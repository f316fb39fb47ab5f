/* The methods that Python code calls by name. */
#include "engine/arithmetic.h"
#include "engine/attributes.h"
#include "engine/backward.h"

/* Call the Python method, which raises the error for wrong arguments. */
static PyObject *call_twin_method(PyObject *self, const char *name, PyObject *const *args, Py_ssize_t nargs,
                                PyObject *names)
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

/* A method without arguments; Python refuses any that are given. */
#define WITHOUT_ARGUMENTS(name, call)                                                                                  \
    static PyObject *value_method_##name(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)     \
    {                                                                                                                  \
        return nargs == 0 && names == NULL ? call : call_twin_method(self, #name, args, nargs, names);                 \
    }
#define DEFINE_METHOD(identifier, name, value, slope)                                                                  \
    WITHOUT_ARGUMENTS(name, unary_operator(OP_##identifier, self))
UNARY_METHODS(DEFINE_METHOD)
#undef DEFINE_METHOD

PyObject *value_repr(PyObject *self)
{
    if (report_peek(self, "format") < 0) {
        return NULL;
    }
    PyObject *data = PyFloat_FromDouble(as_node(self)->data), *grad = get_derivative(self, NULL), *text = NULL;
    PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(self), "__name__");
    if (data != NULL && grad != NULL && name != NULL) {
        text = PyUnicode_FromFormat("%U(data=%R, grad=%R)", name, data, grad);
    }
    Py_XDECREF(data);
    Py_XDECREF(grad);
    Py_XDECREF(name);
    return text;
}

static PyObject *value_item(PyObject *self)
{
    return get_data(self, NULL);
}

static PyObject *value_detach(PyObject *self)
{
    State *state = state_of(self);
    if (is_traced(state)) {
        PyObject *instead = PyObject_CallOneArg(state->report_detach, self);
        if (instead != Py_None) {
            return instead;
        }
        Py_DECREF(instead);
    }
    Node *leaf = new_node(state, as_node(self)->data);
    PyObject *label = leaf == NULL ? NULL : get_label(self, NULL);
    if (label == NULL || give_label(leaf, label) < 0) {
        Py_CLEAR(leaf);
    }
    Py_XDECREF(label);
    return (PyObject *)leaf;
}

static PyObject *value_copy(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyObject_CallOneArg(state_of(self)->copy_node, self);
}

static PyObject *value_deepcopy(PyObject *self, PyObject *memo)
{
    State *state = state_of(self);
    PyObject *order = PyObject_CallFunctionObjArgs(state->topological_order, self, memo, NULL);
    if (order == NULL) {
        return NULL;
    }
    PyObject *copy = PyObject_CallFunctionObjArgs(state->deepcopy_graph, order, memo, NULL);
    Py_DECREF(order);
    return copy;
}

static PyObject *value_reduce_ex(PyObject *self, PyObject *Py_UNUSED(protocol))
{
    State *state = state_of(self);
    return PyObject_CallFunctionObjArgs(state->reduce_graph, self, state->topological_order, NULL);
}

WITHOUT_ARGUMENTS(backward, value_backward(self))
WITHOUT_ARGUMENTS(zero_grad, value_zero_grad(self))
WITHOUT_ARGUMENTS(_pass_on, value_pass_on(self))
WITHOUT_ARGUMENTS(item, value_item(self))
WITHOUT_ARGUMENTS(detach, value_detach(self))

static PyObject *value_sizeof(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Node *node = as_node(self);
    size_t size = (size_t)Py_TYPE(self)->tp_basicsize;
    if (node->flags & DETAILED) {
        size += sizeof(Details) + node->detailed_count * sizeof(PyObject *);
    }
    return PyLong_FromSize_t(size);
}

PyMethodDef value_methods[] = {
#define METHOD(identifier, name, value, slope)                                                                         \
    {#name, (PyCFunction)(void (*)(void))value_method_##name, METH_FASTCALL | METH_KEYWORDS,                           \
     #name "($self)\n--\n\nReturn `microgrud." #name "` of this node."},
    UNARY_METHODS(METHOD)
#undef METHOD
    {"_record", (PyCFunction)(void (*)(void))value_record, METH_FASTCALL | METH_CLASS,
     "_record($type, operation, /, *operands)\n--\n\n"
     "Compute the result of an operation, and return it as a node that remembers its operands."},
    {"backward", (PyCFunction)(void (*)(void))value_method_backward, METH_FASTCALL | METH_KEYWORDS,
     "backward($self)\n--\n\n"
     "Compute the derivative of this node with respect to every node it depends on, and store it in their `grad`.\n\n"
     "A leaf adds the new derivative to its `grad` (`zero_grad()` clears it before the next step). The nodes in\n"
     "between replace theirs, so that a second pass counts nothing twice. The pass takes time linear in the number of\n"
     "operands. If a rule raises, or Ctrl-C ends the pass, the leaves keep the gradients that they had before."},
    {"zero_grad", (PyCFunction)(void (*)(void))value_method_zero_grad, METH_FASTCALL | METH_KEYWORDS,
     "zero_grad($self)\n--\n\nSet the grad of this node and of everything it depends on to zero."},
    {"_pass_on", (PyCFunction)(void (*)(void))value_method__pass_on, METH_FASTCALL | METH_KEYWORDS,
     "_pass_on($self)\n--\n\n"
     "Add to each parent's grad this node's grad times the local derivative: the chain rule."},
    {"item", (PyCFunction)(void (*)(void))value_method_item, METH_FASTCALL | METH_KEYWORDS,
     "item($self)\n--\n\nReturn the number as a float, without its history."},
    {"detach", (PyCFunction)(void (*)(void))value_method_detach, METH_FASTCALL | METH_KEYWORDS,
     "detach($self)\n--\n\nReturn a leaf with the same number and label, through which no gradient flows."},
    {"__copy__", value_copy, METH_NOARGS, NULL},
    {"__deepcopy__", value_deepcopy, METH_O, NULL},
    {"__reduce_ex__", value_reduce_ex, METH_O, NULL},
    {"__sizeof__", value_sizeof, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
