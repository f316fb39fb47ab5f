/* Numbers of a list of Values to and from a vector of doubles, which optimizers read and write at every step. */
#include "engine/module.h"
#include "engine/node.h"

/* Take (parameters, of_gradients, vector): return the Values as a list or tuple, and get the buffer of as many doubles.
 */
static PyObject *take_parameters(State *state, PyObject *const *args, Py_ssize_t nargs, int writable, Py_buffer *view)
{
    if (nargs != 3) {
        PyErr_Format(PyExc_TypeError, "expected parameters, of_gradients and vector, got %zd arguments", nargs);
        return NULL;
    }
    PyObject *parameters = PySequence_Fast(args[0], "expected a list of Values");
    if (parameters == NULL) {
        return NULL;
    }
    if (PyObject_GetBuffer(args[2], view, PyBUF_ND | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0)) < 0) {
        Py_DECREF(parameters);
        return NULL;
    }
    Py_ssize_t count = PySequence_Fast_GET_SIZE(parameters);
    bool fits = view->ndim == 1 && view->format != NULL && strcmp(view->format, "d") == 0 && view->shape[0] == count;
    if (!fits) {
        PyErr_Format(PyExc_ValueError, "expected a vector of %zd doubles", count);
    }
    for (Py_ssize_t k = 0; k < count && fits; k++) {
        PyObject *parameter = PySequence_Fast_GET_ITEM(parameters, k);
        if (!is_value(state, parameter)) {
            PyErr_Format(PyExc_TypeError, "expected Values, got an object of type %.200s at index %zd",
                         Py_TYPE(parameter)->tp_name, k);
            fits = false;
        }
    }
    if (!fits) {
        PyBuffer_Release(view);
        Py_CLEAR(parameters);
    }
    return parameters;
}

typedef enum { TO_VECTOR, FROM_VECTOR, ADDED } Direction;

static PyObject *copy_numbers(State *state, PyObject *const *args, Py_ssize_t nargs, Direction direction)
{
    Py_buffer view;
    /* This may run code that changes the list, and comes before the list is read. */
    int of_gradients = nargs == 3 ? PyObject_IsTrue(args[1]) : 0;
    PyObject *parameters = of_gradients < 0 ? NULL : take_parameters(state, args, nargs, direction == TO_VECTOR, &view);
    if (parameters == NULL) {
        return NULL;
    }
    double *vector = view.buf;
    for (Py_ssize_t k = 0; k < PySequence_Fast_GET_SIZE(parameters); k++) {
        Node *node = as_node(PySequence_Fast_GET_ITEM(parameters, k));
        double *number = of_gradients ? &node->grad : &node->data;
        if (direction == ADDED) {
            *number += vector[k]; /* no other thread runs in between */
        } else if (direction == FROM_VECTOR) {
            *number = vector[k];
        } else {
            vector[k] = *number;
        }
    }
    PyBuffer_Release(&view);
    Py_DECREF(parameters);
    Py_RETURN_NONE;
}

PyObject *read_numbers(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    return copy_numbers(state_of_module(module), args, nargs, TO_VECTOR);
}

PyObject *write_numbers(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    return copy_numbers(state_of_module(module), args, nargs, FROM_VECTOR);
}

PyObject *add_to_numbers(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    return copy_numbers(state_of_module(module), args, nargs, ADDED);
}
