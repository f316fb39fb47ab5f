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

PyObject *value_add(PyObject *left, PyObject *right)
{
    return binary_operator(OP_ADD, left, right);
}

PyObject *value_subtract(PyObject *left, PyObject *right)
{
    return binary_operator(OP_SUBTRACT, left, right);
}

PyObject *value_multiply(PyObject *left, PyObject *right)
{
    return binary_operator(OP_MULTIPLY, left, right);
}

PyObject *value_divide(PyObject *left, PyObject *right)
{
    return binary_operator(OP_DIVIDE, left, right);
}

PyObject *value_power(PyObject *base, PyObject *exponent, PyObject *modulus)
{
    if (modulus != Py_None) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    return binary_operator(OP_POW, base, exponent);
}

PyObject *value_negate(PyObject *self)
{
    return unary_operator(OP_NEGATE, self);
}

PyObject *value_identity(PyObject *self)
{
    return unary_operator(OP_IDENTITY, self);
}

PyObject *value_absolute(PyObject *self)
{
    return unary_operator(OP_ABS, self);
}

/* The symbols of comparisons, by Python's numbers for them. */
static const char *const symbols[] = {[Py_LT] = "<",  [Py_LE] = "<=", [Py_EQ] = "==",
                                      [Py_NE] = "!=", [Py_GT] = ">",  [Py_GE] = ">="};

PyObject *names_of_comparisons(void)
{
    return Py_BuildValue("ssssss", symbols[0], symbols[1], symbols[2], symbols[3], symbols[4], symbols[5]);
}

/* Report a comparison and its answer to the tracer. Return the answer, or NULL on error. */
static PyObject *report_comparison(State *state, PyObject *self, int comparison, PyObject *other, PyObject *answer)
{
    if (answer != NULL && answer != Py_NotImplemented) {
        PyObject *done =
            PyObject_CallFunction(state->report_comparison, "OsOO", self, symbols[comparison], other, answer);
        if (done == NULL) {
            Py_CLEAR(answer);
        }
        Py_XDECREF(done);
    }
    return answer;
}

int value_bool(PyObject *self)
{
    int answer = as_node(self)->data != 0.0;
    State *state = state_of(self);
    if (is_traced(state)) {
        PyObject *zero = PyFloat_FromDouble(0.0);
        PyObject *reported = zero == NULL ? NULL : report_comparison(state, self, Py_NE, zero, PyBool_FromLong(answer));
        Py_XDECREF(zero);
        Py_XDECREF(reported);
        return reported == NULL ? -1 : answer;
    }
    return answer;
}

static PyObject *compare_numbers(PyObject *self, PyObject *other, int comparison)
{
    double x = as_node(self)->data;
    if (PyFloat_CheckExact(other) || is_plain_value(other)) {
        double y = PyFloat_CheckExact(other) ? PyFloat_AS_DOUBLE(other) : as_node(other)->data;
        Py_RETURN_RICHCOMPARE(x, y, comparison);
    }
    PyObject *left = PyFloat_FromDouble(x), *right = NULL, *answer = NULL;
    if (left != NULL && is_value(state_of(self), other)) {
        right = PyFloat_FromDouble(as_node(other)->data);
    } else if (left != NULL) {
        right = Py_NewRef(other);
    }
    if (right != NULL) {
        answer = PyObject_RichCompare(left, right, comparison);
    }
    Py_XDECREF(left);
    Py_XDECREF(right);
    return answer;
}

/* Tell whether == and != compare nodes with an object: a Value, or a real number. Return -1 on error. */
static int is_comparable(State *state, PyObject *other)
{
    if (PyFloat_CheckExact(other) || PyLong_CheckExact(other) || is_value(state, other)) {
        return 1;
    }
    PyObject *answer = PyObject_CallOneArg(state->is_number, other);
    int yes = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    return yes;
}

PyObject *value_compare(PyObject *self, PyObject *other, int comparison)
{
    State *state = state_of(self);
    if (comparison == Py_EQ || comparison == Py_NE) {
        int comparable = is_comparable(state, other);
        if (comparable <= 0) {
            return comparable < 0 ? NULL : Py_NewRef(Py_NotImplemented);
        }
    }
    PyObject *answer = compare_numbers(self, other, comparison);
    return is_traced(state) ? report_comparison(state, self, comparison, other, answer) : answer;
}

Py_hash_t value_hash(PyObject *self)
{
    return PyBaseObject_Type.tp_hash(self);
}
