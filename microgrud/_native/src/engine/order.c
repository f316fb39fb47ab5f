#include "engine/order.h"

static int finish(void *order, Node *node)
{
    return append_to(order, node);
}

PyObject *topological_order_of(Node *root)
{
    State *state = state_of((PyObject *)root);
    Nodes order = {NULL, 0, 0};
    take_spare(state, SPARE_ORDER, (void **)&order.items, &order.capacity);
    int status = walk_order(state, root, 0, finish, &order);
    for (size_t k = 0; k < order.count; k++) {
        order.items[k]->progress = 0;
        Py_INCREF(order.items[k]); /* a collection may run when the list is made */
    }
    PyObject *list = status < 0 ? PyErr_NoMemory() : PyList_New((Py_ssize_t)order.count);
    for (size_t k = 0; k < order.count; k++) {
        if (list != NULL) {
            PyList_SET_ITEM(list, (Py_ssize_t)k, (PyObject *)order.items[k]);
        } else {
            Py_DECREF(order.items[k]);
        }
    }
    give_spare(state, SPARE_ORDER, order.items, order.capacity, sizeof *order.items);
    return list;
}
