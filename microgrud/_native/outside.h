/* Whether a computation depends on a Value that somebody else holds: the twin of microgrud/outside.py, which says why.
 *
 * The uses of a node within the graph are counted in its `progress`, which is 0 outside of walks, and a node that depends
 * on a variable is marked in its flags. No Python code runs meanwhile.
 */
#ifndef MICROGRUD_OUTSIDE_H
#define MICROGRUD_OUTSIDE_H

#include "layout.h"

/* Count the uses of a node's operands; tell whether one of them depends on a variable. */
static bool use_operands(const Node *node)
{
    bool depends = false;
    for (size_t k = 0; k < count_of(node); k++) {
        double number = 0.0;
        Node *operand = operand_of(node, k, &number);
        if (operand != NULL) {
            operand->progress++;
            depends |= (operand->flags & VARIABLE) != 0;
        }
    }
    return depends;
}

/* held_outside(order, outputs, inputs): three lists of Values. */
static PyObject *held_outside(PyObject *module, PyObject *args)
{
    State *state = PyModule_GetState(module);
    PyObject *order, *lists[2];
    if (!PyArg_ParseTuple(args, "O!O!O!:held_outside", &PyList_Type, &order, &PyList_Type, &lists[0], &PyList_Type,
                          &lists[1])) {
        return NULL;
    }
    for (int j = -1; j < 2; j++) {
        PyObject *list = j < 0 ? order : lists[j];
        for (Py_ssize_t k = 0; k < PyList_GET_SIZE(list); k++) {
            if (!is_value(state, PyList_GET_ITEM(list, k))) {
                PyErr_SetString(PyExc_TypeError, "held_outside: expected lists of Values");
                return NULL;
            }
        }
    }
    PyObject *outputs = lists[0], *inputs = lists[1];
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(inputs); k++) {
        as_node(PyList_GET_ITEM(inputs, k))->flags |= VARIABLE;
    }
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(order); k++) {
        Node *node = as_node(PyList_GET_ITEM(order, k));
        node->progress++; /* the order's own reference */
        if (use_operands(node)) {
            node->flags |= VARIABLE;
        }
    }
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(outputs); k++) {
        as_node(PyList_GET_ITEM(outputs, k))->progress++;
    }
    bool found = false;
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(order); k++) {
        Node *node = as_node(PyList_GET_ITEM(order, k));
        found |= !(node->flags & VARIABLE) && Py_REFCNT(node) > (Py_ssize_t)node->progress;
    }
    for (int j = -1; j < 2; j++) {
        PyObject *list = j < 0 ? order : lists[j];
        for (Py_ssize_t k = 0; k < PyList_GET_SIZE(list); k++) {
            Node *node = as_node(PyList_GET_ITEM(list, k));
            node->progress = 0;
            node->flags &= (uint8_t)~VARIABLE;
        }
    }
    return PyBool_FromLong(found);
}

#endif
