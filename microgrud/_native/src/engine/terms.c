#include "engine/terms.h"

int record_terms(State *state, Op op, Term first, Term second, Term *result)
{
    PyObject *operands[2] = {boxed(first), boxed(second)};
    PyObject *self = (PyObject *)(first.node != NULL ? first.node : second.node);
    *result = plain(0.0);
    if (operands[0] != NULL && operands[1] != NULL) {
        result->node = (Node *)record_of(state, self, op, operands, 2);
    }
    Py_XDECREF(operands[0]);
    Py_XDECREF(operands[1]);
    return result->node == NULL ? -1 : 0;
}
