/* The search of a graph for nodes that depend on a variable, or on none, and that something outside of the graph refers
 * to. The twin is microgrud/autodiff/outside.py, which gives the reasons.
 *
 * Uses of a node within the graph are counted in its `progress`, which is 0 outside of walks. Nodes that depend on a
 * variable are marked in their flags. No Python code runs during the search.
 */
#include "engine/module.h"

/* Count one use more of each operand of a node. Tell whether one of the operands depends on a variable. */
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

/* Remove the marks of listed nodes. */
static void clear_marks(PyObject *list)
{
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(list); k++) {
        Node *node = as_node(PyList_GET_ITEM(list, k));
        node->progress = 0;
        node->flags &= (uint8_t)~VARIABLE;
    }
}

/* held_outside(order, holding, weight, inputs, dependent): see microgrud/autodiff/outside.py. The order must contain
 * the operands of all its nodes, because operands outside of it would keep their marks. */
PyObject *held_outside(PyObject *module, PyObject *args)
{
    State *state = PyModule_GetState(module);
    PyObject *order, *holding, *inputs;
    int weight, dependent;
    if (!PyArg_ParseTuple(args, "O!O!iO!p:held_outside", &PyList_Type, &order, &PyList_Type, &holding, &weight,
                          &PyList_Type, &inputs, &dependent) ||
        !is_list_of_values(state, order) || !is_list_of_values(state, holding) || !is_list_of_values(state, inputs)) {
        return NULL;
    }
    PyObject *found = PyList_New(0);
    if (found == NULL) {
        return NULL;
    }
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(inputs); k++) {
        Node *node = as_node(PyList_GET_ITEM(inputs, k));
        node->flags |= VARIABLE;
        node->progress++;
    }
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(order); k++) {
        Node *node = as_node(PyList_GET_ITEM(order, k));
        node->progress++; /* the order's own reference */
        if (use_operands(node)) {
            node->flags |= VARIABLE;
        }
    }
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(holding); k++) {
        as_node(PyList_GET_ITEM(holding, k))->progress += (uint32_t)weight;
    }
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(order) && found != NULL; k++) {
        Node *node = as_node(PyList_GET_ITEM(order, k));
        bool depends = (node->flags & VARIABLE) != 0;
        if (depends == (dependent != 0) && Py_REFCNT(node) > (Py_ssize_t)node->progress &&
            PyList_Append(found, (PyObject *)node) < 0) {
            Py_CLEAR(found);
        }
    }
    clear_marks(order);
    clear_marks(holding);
    clear_marks(inputs);
    return found;
}
