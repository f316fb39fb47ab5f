/* all_identical: tell whether containers hold the same objects as before; see microgrud/engine/identity.py.
 *
 * fit asks that before each step about everything that a recording depends on. In Python that takes 30 us for a network
 * of 337 parameters, a third of the step. No other code runs here, and no reference counts change.
 */
#include "engine/module.h"

#include <Python.h>
#include <stdbool.h>
#include <string.h>

static bool holds_exactly(PyObject *container, PyObject *contents)
{
    const Py_ssize_t count = PyTuple_GET_SIZE(contents);
    PyObject *const *before = &PyTuple_GET_ITEM(contents, 0);
    if (PyDict_CheckExact(container)) {
        Py_ssize_t place = 0, i = 0;
        PyObject *key, *value;
        if (2 * PyDict_GET_SIZE(container) != count) {
            return false;
        }
        while (PyDict_Next(container, &place, &key, &value)) {
            if (key != before[i] || value != before[i + 1]) {
                return false;
            }
            i += 2;
        }
        return true;
    }
    if (!PyList_CheckExact(container) && !PyTuple_CheckExact(container)) {
        return false;
    }
    return PySequence_Fast_GET_SIZE(container) == count &&
           (count == 0 ||
            memcmp(PySequence_Fast_ITEMS(container), before, (size_t)count * sizeof(PyObject *)) == 0);
}

PyObject *all_identical(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2 || !PyList_CheckExact(args[0]) || !PyList_CheckExact(args[1]) ||
        PyList_GET_SIZE(args[0]) != PyList_GET_SIZE(args[1])) {
        PyErr_SetString(PyExc_TypeError, "all_identical: expected two lists of the same length");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(args[0]); i++) {
        PyObject *contents = PyList_GET_ITEM(args[1], i);
        if (!PyTuple_CheckExact(contents)) {
            PyErr_SetString(PyExc_TypeError, "all_identical: expected tuples of what the containers held");
            return NULL;
        }
        if (!holds_exactly(PyList_GET_ITEM(args[0], i), contents)) {
            Py_RETURN_FALSE;
        }
    }
    Py_RETURN_TRUE;
}
