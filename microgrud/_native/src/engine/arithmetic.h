/* The operators: the functions in the slots of the type. */
#ifndef MICROGRUD_ARITHMETIC_H
#define MICROGRUD_ARITHMETIC_H

#include "engine/record.h"

/* Return the result of an operation on `operands`, called as an operator or method of `self`, which is one of them. If
 * `self` is an instance of a subclass, its `_record` computes the result. */
INTERNAL PyObject *record_of(State *state, PyObject *self, Op op, PyObject *const *operands, size_t count);

ALWAYS_INLINE PyObject *unary_operator(Op op, PyObject *self)
{
    State *state = state_of(self);
    double z = value_of(op, as_node(self)->data, 0.0, 0.0);
    if (!isfinite(z) || !is_plain_value(self)) {
        return record_of(state, self, op, &self, 1);
    }
    return record_unary(state, op, z, as_node(self));
}

/* --- the slots of the type --- */

/* X(slot, operation): Py_nb_<slot> performs the operation. */
#define BINARY_SLOTS(X) X(add, ADD) X(subtract, SUBTRACT) X(multiply, MULTIPLY) X(true_divide, DIVIDE)
#define UNARY_SLOTS(X) X(negative, NEGATE) X(positive, IDENTITY) X(absolute, ABS)
#define DECLARE_BINARY(slot, operation) INTERNAL PyObject *value_##slot(PyObject *left, PyObject *right);
#define DECLARE_UNARY(slot, operation) INTERNAL PyObject *value_##slot(PyObject *self);
BINARY_SLOTS(DECLARE_BINARY)
UNARY_SLOTS(DECLARE_UNARY)
INTERNAL PyObject *value_power(PyObject *base, PyObject *exponent, PyObject *modulus);
INTERNAL int value_bool(PyObject *self);
/* Comparisons, including == and !=, compare the numbers. The hash depends on the identity of the object. */
INTERNAL PyObject *value_compare(PyObject *self, PyObject *other, int comparison);
INTERNAL Py_hash_t value_hash(PyObject *self);

#endif
