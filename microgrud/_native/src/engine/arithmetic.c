/* The operators, and comparisons. */
#include "engine/arithmetic.h"

PyObject *record_of(State *state, PyObject *self, Op op, PyObject *const *operands, size_t count)
{
    PyObject *operation = state->operations[op];
    if (is_plain_value(self)) {
        return record_any(state, operation, op, operands, count);
    }
    PyObject *record = PyObject_GetAttr(self, state->record_name);
    if (record == NULL) {
        return NULL;
    }
    PyObject *args[] = {operation, operands[0], count > 1 ? operands[1] : NULL};
    PyObject *result = PyObject_Vectorcall(record, args, count + 1, NULL);
    Py_DECREF(record);
    return result;
}

/* Return the result of an operator on anything; NotImplemented if an operand is not a number, so that an array's own
 * operator is called. */
static PyObject *operator_any(Op op, PyObject *left, PyObject *right)
{
    PyObject *self = plain_type(Py_TYPE(left)) != NULL ? left : right;
    State *state = state_of(self);
    PyObject *operands[2] = {left, right};
    for (int k = 0; k < 2; k++) {
        if (is_value(state, operands[k])) {
            continue;
        }
        PyObject *answer = PyObject_CallOneArg(state->is_number, operands[k]);
        int yes = answer == NULL ? -1 : PyObject_IsTrue(answer);
        Py_XDECREF(answer);
        if (yes < 0) {
            return NULL;
        }
        if (!yes) {
            Py_RETURN_NOTIMPLEMENTED;
        }
    }
    return record_of(state, self, op, operands, 2);
}

ALWAYS_INLINE PyObject *binary_operator(Op op, PyObject *left, PyObject *right)
{
    double x, y;
    Node *first, *second;
    if (!read_operand(left, &x, &first) || !read_operand(right, &y, &second) || (first == NULL && second == NULL)) {
        return operator_any(op, left, right);
    }
    double z = value_of(op, x, y, 0.0);
    if (!isfinite(z)) {
        return operator_any(op, left, right);
    }
    State *state = state_of(first != NULL ? left : right);
    return record_binary(state, op, z, first, x, second, y);
}

#define DEFINE_BINARY(slot, operation)                                                                                 \
    PyObject *value_##slot(PyObject *left, PyObject *right)                                                            \
    {                                                                                                                  \
        return binary_operator(OP_##operation, left, right);                                                           \
    }
BINARY_SLOTS(DEFINE_BINARY)

#define DEFINE_UNARY(slot, operation)                                                                                  \
    PyObject *value_##slot(PyObject *self)                                                                             \
    {                                                                                                                  \
        return unary_operator(OP_##operation, self);                                                                   \
    }
UNARY_SLOTS(DEFINE_UNARY)

PyObject *value_power(PyObject *base, PyObject *exponent, PyObject *modulus)
{
    if (modulus != Py_None) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    return binary_operator(OP_POW, base, exponent);
}

int value_bool(PyObject *self)
{
    State *state = state_of(self);
    if (!is_traced(state)) {
        return as_node(self)->data != 0.0;
    }
    PyObject *answer = PyObject_CallMethod(state->twin, "__bool__", "O", self);
    int is_true = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    return is_true;
}

PyObject *value_compare(PyObject *self, PyObject *other, int comparison)
{
    static const char *const names[] = {[Py_LT] = "__lt__", [Py_LE] = "__le__", [Py_EQ] = "__eq__",
                                        [Py_NE] = "__ne__", [Py_GT] = "__gt__", [Py_GE] = "__ge__"};
    State *state = state_of(self);
    double x = as_node(self)->data;
    if (!is_traced(state) && (PyFloat_CheckExact(other) || is_value(state, other))) {
        Py_RETURN_RICHCOMPARE(x, number_of(other), comparison);
    }
    if (is_traced(state) || !(PyLong_CheckExact(other) || PyFloat_Check(other))) {
        return PyObject_CallMethod(state->twin, names[comparison], "OO", self, other);
    }
    PyObject *number = PyFloat_FromDouble(x);
    PyObject *answer = number == NULL ? NULL : PyObject_RichCompare(number, other, comparison);
    Py_XDECREF(number);
    return answer;
}

Py_hash_t value_hash(PyObject *self)
{
    return PyBaseObject_Type.tp_hash(self);
}
