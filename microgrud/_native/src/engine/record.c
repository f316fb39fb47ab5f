/* Recording of any operands: numbers of all kinds, sequences, user-defined operations. */
#include "engine/record.h"

PyObject *report_result(const State *state, Op op, PyObject *node)
{
    int is_total = node == NULL || state->is_total[op];
    /* a user-defined operation, or one of a recording */
    if (node != NULL && op == OP_NONE && as_node(node)->count != 0) {
        PyObject *total = PyObject_GetAttrString(as_node(node)->details->operation, "total");
        is_total = total == NULL ? -1 : PyObject_IsTrue(total);
        Py_XDECREF(total);
    }
    PyObject *done = is_total == 0 ? PyObject_CallOneArg(state->report_result, node) : NULL;
    if (is_total < 0 || (is_total == 0 && done == NULL)) {
        Py_CLEAR(node);
    }
    Py_XDECREF(done);
    return node;
}

Node *node_with(State *state, PyObject *operation, Op op, double data, PyObject *const *operands, size_t count)
{
    Details *details = new_details(operands, count);
    if (details == NULL) {
        return NULL;
    }
    bool collected = op == OP_NONE; /* the user's rules may refer to nodes */
    for (size_t k = 0; k < count; k++) {
        collected |= !PyFloat_CheckExact(operands[k]) && (as_node(operands[k])->flags & COLLECTED);
    }
    Node *node = new_node(state, data);
    if (node == NULL) {
        for (size_t k = 0; k < count; k++) {
            Py_DECREF(details->operands[k]);
        }
        PyMem_Free(details);
        return NULL;
    }
    node->op = (uint8_t)op;
    node->flags |= DETAILED;
    node->details = details;
    set_detailed_count(node, count);
    if (op == OP_NONE) {
        details->operation = Py_NewRef(operation);
        node->flags |= BY_RULES;
    }
    if (collected) {
        collect(node);
    }
    return node;
}

/* Finish a node whose data may be infinite or NaN: check for anomalies, and drop the history inside no_grad. */
static PyObject *finished(State *state, Node *node)
{
    if (node == NULL) {
        return NULL;
    }
    if (!isfinite(node->data)) {
        PyObject *checked = PyObject_CallOneArg(state->check_forward, (PyObject *)node);
        Py_XDECREF(checked);
        if (checked == NULL) {
            Py_DECREF(node);
            return NULL;
        }
    }
    int recording = is_recording(state);
    if (recording > 0) {
        return recording == TRACED ? report_result(state, (Op)node->op, (PyObject *)node) : (PyObject *)node;
    }
    Node *leaf = recording < 0 ? NULL : new_node(state, node->data);
    Py_DECREF(node);
    return (PyObject *)leaf;
}

PyObject *numbers_of(const double *first, PyObject *operands)
{
    Py_ssize_t given = first != NULL, count = PyTuple_GET_SIZE(operands);
    PyObject *numbers = PyTuple_New(given + count);
    for (Py_ssize_t k = 0; numbers != NULL && k < given + count; k++) {
        PyObject *number = PyFloat_FromDouble(k < given ? *first : number_of(PyTuple_GET_ITEM(operands, k - given)));
        if (number == NULL) {
            Py_CLEAR(numbers);
        } else {
            PyTuple_SET_ITEM(numbers, k, number);
        }
    }
    return numbers;
}

/* Compute the value in Python, which raises where floats do. */
static int evaluate(PyObject *operation, PyObject *operands, double *data)
{
    PyObject *xs = numbers_of(NULL, operands);
    PyObject *result = xs == NULL ? NULL : PyObject_CallMethod(operation, "evaluate", "OO", xs, operands);
    *data = result == NULL ? -1.0 : PyFloat_AsDouble(result);
    Py_XDECREF(xs);
    Py_XDECREF(result);
    return *data == -1.0 && PyErr_Occurred() ? -1 : 0;
}

int kernel_value(Op op, PyObject *const *operands, size_t count, double *data)
{
    double few[2 * 32 + 2];
    double *numbers = few;
    if (count > 32) {
        numbers = PyMem_New(double, 2 * count);
        if (numbers == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    for (size_t k = 0; k < count; k++) {
        numbers[k] = number_of(operands[k]);
    }
    if (op < OP_LAST_TERNARY) {
        numbers[count] = numbers[count + 1] = 0.0; /* operands that the operation does not have */
        *data = value_of(op, numbers[0], numbers[1], numbers[2]);
    } else {
        *data = sequence_value(op, numbers, count, numbers + count);
    }
    if (numbers != few) {
        PyMem_Free(numbers);
    }
    return 0;
}

/* Return the operands as a tuple of Values and floats. */
static PyObject *ready_operands(const State *state, PyObject *operation, PyObject *const *operands, size_t count)
{
    PyObject *ready = PyTuple_New((Py_ssize_t)count), *name = NULL;
    for (size_t k = 0; ready != NULL && k < count; k++) {
        PyObject *operand = operands[k];
        if (PyFloat_CheckExact(operand) || is_value(state, operand)) {
            Py_INCREF(operand);
        } else {
            name = name != NULL ? name : PyObject_GetAttrString(operation, "name");
            operand = name == NULL ? NULL : PyObject_CallFunctionObjArgs(state->as_operand, operand, name, NULL);
        }
        if (operand == NULL) {
            Py_CLEAR(ready);
        } else {
            PyTuple_SET_ITEM(ready, (Py_ssize_t)k, operand);
        }
    }
    Py_XDECREF(name);
    return ready;
}

PyObject *record_any(State *state, PyObject *operation, Op op, PyObject *const *operands, size_t count)
{
    PyObject *ready = ready_operands(state, operation, operands, count), *result = NULL;
    double data = BY_PYTHON;
    if (ready == NULL) {
        return NULL;
    }
    if (op != OP_NONE && !fits_arity(op, count)) {
        op = OP_NONE; /* Python has the error */
    }
    PyObject *const *items = &PyTuple_GET_ITEM(ready, 0);
    bool is_computed = op == OP_NONE || kernel_value(op, items, count, &data) == 0;
    /* For isfinite(BY_PYTHON), gcc -O1 has an instruction that raises the "invalid" flag, of which NumPy warns. */
    if (is_computed && ((data == data && isfinite(data)) || evaluate(operation, ready, &data) == 0)) {
        result = finished(state, node_with(state, operation, op, data, items, count));
    }
    Py_DECREF(ready);
    return result;
}

int op_of(const State *state, PyObject *operation)
{
    if (Py_TYPE(operation) != Py_TYPE(state->operations[OP_ADD])) { /* it may have no hash */
        return OP_NONE;
    }
    PyObject *index = PyDict_GetItemWithError(state->indices, operation);
    if (index == NULL) {
        return PyErr_Occurred() ? -1 : OP_NONE;
    }
    return (int)PyLong_AsLong(index);
}

PyObject *value_record(PyObject *type, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = state_of_type((PyTypeObject *)type);
    if (nargs < 1) {
        PyErr_SetString(PyExc_TypeError, "Value._record() missing 1 required positional argument: 'operation'");
        return NULL;
    }
    int op = op_of(state, args[0]);
    if (op < 0) {
        return NULL;
    }
    return record_any(state, args[0], (Op)op, args + 1, (size_t)nargs - 1);
}
