/* The operators: the functions in the slots of the type. */
#ifndef MICROGRUD_ARITHMETIC_H
#define MICROGRUD_ARITHMETIC_H

#include "engine/record.h"

/* Return the result of an operator or a method of `self`, one of the operands, through `_record` if it is of a
 * subclass. */
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

INTERNAL PyObject *value_add(PyObject *left, PyObject *right);
INTERNAL PyObject *value_subtract(PyObject *left, PyObject *right);
INTERNAL PyObject *value_multiply(PyObject *left, PyObject *right);
INTERNAL PyObject *value_divide(PyObject *left, PyObject *right);
INTERNAL PyObject *value_power(PyObject *base, PyObject *exponent, PyObject *modulus);
INTERNAL PyObject *value_negate(PyObject *self);
INTERNAL PyObject *value_identity(PyObject *self);
INTERNAL PyObject *value_absolute(PyObject *self);
INTERNAL int value_bool(PyObject *self);
/* Comparisons, == and != too, compare the numbers; the hash is that of the object. */
INTERNAL PyObject *names_of_comparisons(void);
INTERNAL PyObject *value_compare(PyObject *self, PyObject *other, int comparison);
INTERNAL Py_hash_t value_hash(PyObject *self);

#endif
