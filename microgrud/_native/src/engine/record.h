/* Recording: from operands to a node that remembers them. This file has the fast paths; record.c handles all other
 * operands.
 *
 * A result that is not finite is left to Python (`Operation.evaluate`), which raises what floats raise, or finds that
 * infinity is right.
 */
#ifndef MICROGRUD_RECORD_H
#define MICROGRUD_RECORD_H

#include "engine/node.h"

enum { TRACED = 2 };

/* Return 1 by default and inside enable_grad, 0 inside no_grad, -1 on error, and TRACED instead of 1 while a tracer
 * is active (which always enables recording, so that `switched` is not empty). */
ALWAYS_INLINE int is_recording(const State *state)
{
    if (PyList_GET_SIZE(state->switched) == 0) { /* recording was never switched: this saves 5 ns per operation */
        return 1;
    }
    PyObject *flag;
    if (PyContextVar_Get(state->recording, NULL, &flag) < 0) {
        return -1;
    }
    int recording = flag == Py_True;
    Py_XDECREF(flag);
    return recording && PyList_GET_SIZE(state->tracers) != 0 ? TRACED : recording;
}

/* --- record.c --- */

/* Report the result of an operation to the tracer if the operation raises for some operands. Return it, or NULL on
 * error. */
INTERNAL PyObject *report_result(const State *state, Op op, PyObject *node);
/* Return the numbers of a tuple of Values and floats, as a tuple that begins with *first unless that is NULL. */
INTERNAL PyObject *numbers_of(const double *first, PyObject *operands);
/* Compute the value of an operation on Values and floats with its kernel. Return -1 if there is no memory. */
INTERNAL int kernel_value(Op op, PyObject *const *operands, size_t count, double *data);
/* Return a node with Values and floats as operands; op is OP_NONE for a user-defined Operation. The operands may be
 * borrowed from a list: references are taken before anything is allocated that the collector counts, because before
 * Python 3.12 a collection, and so any code, may run then. */
INTERNAL Node *node_with(State *state, PyObject *operation, Op op, double data, PyObject *const *operands,
                         size_t count);
/* Return the result of an operation on anything: numbers of all kinds become floats, and whatever is not a number is
 * refused. */
INTERNAL PyObject *record_any(State *state, PyObject *operation, Op op, PyObject *const *operands, size_t count);
/* Return the Op of an Operation; OP_NONE if it is not in the table, -1 on error. */
INTERNAL int op_of(const State *state, PyObject *operation);
/* Value._record(operation, *operands) */
INTERNAL PyObject *value_record(PyObject *type, PyObject *const *args, Py_ssize_t nargs);

/* Tell whether an operation of the table takes `count` operands. */
static inline bool fits_arity(Op op, size_t count)
{
    return arity_of(op) != 0 ? arity_of(op) == count : count > 0;
}

/* --- the fast paths --- */

/* Read an operand that needs no conversion by Python: a node, a float, an int in range. Return false for others. */
ALWAYS_INLINE bool read_operand(PyObject *object, double *number, Node **node)
{
    if (PyFloat_CheckExact(object)) {
        *number = PyFloat_AS_DOUBLE(object);
        *node = NULL;
        return true;
    }
    if (is_plain_value(object)) {
        *node = as_node(object);
        *number = (*node)->data;
        return true;
    }
    if (PyLong_CheckExact(object)) {
        *number = PyLong_AsDouble(object);
        *node = NULL;
        if (*number == -1.0 && PyErr_Occurred()) {
            PyErr_Clear();
            return false;
        }
        return true;
    }
    return false;
}

/* Return the result of a unary operation on a node, from its value, which is finite. */
ALWAYS_INLINE PyObject *record_unary(State *state, Op op, double data, Node *operand)
{
    int recording = is_recording(state);
    Node *node = recording < 0 ? NULL : new_node(state, data);
    if (node != NULL && recording) {
        node->op = (uint8_t)op;
        node->count = 1;
        Py_INCREF(operand);
        node->operands[0].node = operand;
        operand->flags |= USED;
        if (operand->flags & COLLECTED) {
            collect(node);
        }
    }
    return recording == TRACED ? report_result(state, op, (PyObject *)node) : (PyObject *)node;
}

/* The same for a binary operation. An operand is a node, or, where that is NULL, the number. */
ALWAYS_INLINE PyObject *record_binary(State *state, Op op, double data, Node *first, double x, Node *second, double y)
{
    int recording = is_recording(state);
    Node *node = recording < 0 ? NULL : new_node(state, data);
    if (node != NULL && recording) {
        unsigned flags = 0, of_operands = 0;
        if (first != NULL) {
            Py_INCREF(first);
            node->operands[0].node = first;
            first->flags |= USED;
            of_operands |= first->flags;
        } else {
            node->operands[0].number = x;
            flags |= FIRST_IS_NUMBER;
        }
        if (second != NULL) {
            Py_INCREF(second);
            node->operands[1].node = second;
            second->flags |= USED;
            of_operands |= second->flags;
        } else {
            node->operands[1].number = y;
            flags |= SECOND_IS_NUMBER;
        }
        node->op = (uint8_t)op;
        node->flags |= (uint8_t)flags;
        node->count = 2;
        if (of_operands & COLLECTED) {
            collect(node);
        }
    }
    return recording == TRACED ? report_result(state, op, (PyObject *)node) : (PyObject *)node;
}

#endif
