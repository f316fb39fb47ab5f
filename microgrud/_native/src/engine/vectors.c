/* Numbers of a list of Values to and from a vector of doubles, which optimizers read and write at every step. */
#include "engine/module.h"
#include "engine/node.h"

#include <float.h>
#include <math.h>

/* Get the buffer of a vector of doubles. Return -1 on error. */
int take_doubles(PyObject *vector, bool writable, Py_buffer *view)
{
    if (PyObject_GetBuffer(vector, view, PyBUF_ND | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0)) < 0) {
        return -1;
    }
    if (view->ndim != 1 || view->format == NULL || strcmp(view->format, "d") != 0) {
        PyErr_SetString(PyExc_ValueError, "expected a vector of doubles");
        PyBuffer_Release(view);
        return -1;
    }
    return 0;
}

/* Raise unless a vector has a number for each parameter. Return -1 if it has not. */
int check_size(const Py_buffer *view, PyObject *parameters)
{
    if (view->shape[0] == PySequence_Fast_GET_SIZE(parameters)) {
        return 0;
    }
    PyErr_Format(PyExc_ValueError, "expected a vector of %zd doubles", PySequence_Fast_GET_SIZE(parameters));
    return -1;
}

/* Raise a TypeError for an item of a list of parameters that is no Value. */
void refuse_item(PyObject *parameters, Py_ssize_t k)
{
    PyErr_Format(PyExc_TypeError, "expected Values, got an object of type %.200s at index %zd",
                 Py_TYPE(PySequence_Fast_GET_ITEM(parameters, k))->tp_name, k);
}

typedef enum { TO_VECTOR, FROM_VECTOR, ADDED } Direction;

/* Copy numbers in one pass, up to the first item that is no Value; return its index, or the size of the list. */
static Py_ssize_t copy_items(const State *state, PyObject *parameters, double *vector, Direction direction,
                             bool of_gradients)
{
    PyObject **items = PySequence_Fast_ITEMS(parameters);
    Py_ssize_t size = PySequence_Fast_GET_SIZE(parameters), k = 0;
    for (; k < size && is_value(state, items[k]); k++) {
        Node *node = as_node(items[k]);
        double *number = of_gradients ? &node->grad : &node->data;
        if (direction == ADDED) {
            *number += vector[k]; /* no other thread runs in between */
        } else if (direction == FROM_VECTOR) {
            *number = vector[k];
        } else {
            vector[k] = *number;
        }
    }
    return k;
}

static PyObject *copy_numbers(State *state, PyObject *const *args, Py_ssize_t nargs, Direction direction)
{
    if (nargs != 3) {
        return PyErr_Format(PyExc_TypeError, "expected parameters, of_gradients and vector, got %zd arguments", nargs);
    }
    int of_gradients = PyObject_IsTrue(args[1]);
    PyObject *parameters = of_gradients < 0 ? NULL : PySequence_Fast(args[0], "expected a list of Values");
    Py_buffer view;
    /* All this may run code that changes the list, and comes before the list is read. */
    if (parameters == NULL || take_doubles(args[2], direction == TO_VECTOR, &view) < 0) {
        Py_XDECREF(parameters);
        return NULL;
    }
    int status = check_size(&view, parameters);
    if (status == 0) {
        Py_ssize_t done = copy_items(state, parameters, view.buf, direction, of_gradients);
        if (done < PySequence_Fast_GET_SIZE(parameters)) {
            refuse_item(parameters, done);
            status = -1;
        }
    }
    PyBuffer_Release(&view);
    Py_DECREF(parameters);
    if (status < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* new_leaves(numbers): return a list of new leaves with the numbers of a vector of doubles. */
PyObject *new_leaves(PyObject *module, PyObject *numbers)
{
    State *state = state_of_module(module);
    Py_buffer view;
    if (PyObject_GetBuffer(numbers, &view, PyBUF_ND | PyBUF_FORMAT) < 0) {
        return NULL;
    }
    const bool fits = view.ndim == 1 && view.format != NULL && strcmp(view.format, "d") == 0;
    PyObject *leaves = fits ? PyList_New(view.shape[0]) : NULL;
    if (!fits) {
        PyErr_SetString(PyExc_ValueError, "expected a vector of doubles");
    }
    for (Py_ssize_t k = 0; leaves != NULL && k < PyList_GET_SIZE(leaves); k++) {
        PyObject *leaf = (PyObject *)new_node(state, ((const double *)view.buf)[k]);
        if (leaf == NULL) {
            Py_CLEAR(leaves);
        } else {
            PyList_SET_ITEM(leaves, k, leaf);
        }
    }
    PyBuffer_Release(&view);
    return leaves;
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

/* --- the norm of a vector --- */

/* Sum the squares pairwise: with n numbers, a square goes through at most 19 + log2(n / 32) roundings, at most 50. */
static long double sum_of_squares(const double *x, size_t n)
{
    if (n > 32) {
        const size_t half = n < 64 ? 32 : n / 64 * 32;
        return sum_of_squares(x, half) + sum_of_squares(x + half, n - half);
    }
    long double even = 0, odd = 0; /* two sums: an addition takes longer than it keeps others waiting */
    for (size_t k = 0; k + 1 < n; k += 2) {
        even += (long double)x[k] * (long double)x[k];
        odd += (long double)x[k + 1] * (long double)x[k + 1];
    }
    return even + odd + (n % 2 ? (long double)x[n - 1] * (long double)x[n - 1] : 0);
}

/* norm(vector): return the Euclidean norm; None if numbers of 80 bits, whose squares do not overflow, leave open how to
 * round it. */
PyObject *norm(PyObject *Py_UNUSED(module), PyObject *vector)
{
    Py_buffer view;
    if (take_doubles(vector, false, &view) < 0) {
        return NULL;
    }
#if LDBL_MANT_DIG >= 64
    const long double found = sqrtl(sum_of_squares(view.buf, (size_t)view.shape[0])), error = 0x1p-59L;
    const double low = (double)(found * (1 - error)), high = (double)(found * (1 + error));
    const bool is_sure = low == high;
#else
    const double low = 0.0;
    const bool is_sure = false;
#endif
    PyBuffer_Release(&view);
    if (!is_sure) {
        Py_RETURN_NONE;
    }
    return PyFloat_FromDouble(low);
}
