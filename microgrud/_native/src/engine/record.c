/* Recording of any operands: numbers of all kinds, sequences, user-defined operations. */
#include "engine/record.h"

PyObject *report_result(const State *state, Op op, PyObject *node)
{
    bool is_total = state->is_total[op];
    /* a user-defined operation, or one of a recording */
    if (node != NULL && op == OP_NONE && as_node(node)->count != 0) {
        PyObject *total = PyObject_GetAttrString(as_node(node)->details->operation, "total");
        int answer = total == NULL ? -1 : PyObject_IsTrue(total);
        Py_XDECREF(total);
        if (answer < 0) {
            Py_DECREF(node);
            return NULL;
        }
        is_total = answer;
    }
    if (node != NULL && !is_total) {
        PyObject *done = PyObject_CallOneArg(state->report_result, node);
        if (done == NULL) {
            Py_DECREF(node);
            return NULL;
        }
        Py_DECREF(done);
    }
    return node;
}

Node *node_with(State *state, PyObject *operation, Op op, double data, PyObject *const *operands, size_t count)
{
    Details *details = new_details(count);
    if (details == NULL) {
        return NULL;
    }
    bool collected = op == OP_NONE; /* the user's rules may refer to nodes */
    for (size_t k = 0; k < count; k++) {
        details->operands[k] = Py_NewRef(operands[k]);
        if (!PyFloat_CheckExact(operands[k])) {
            as_node(operands[k])->flags |= USED;
            collected |= as_node(operands[k])->flags & COLLECTED;
        }
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
        if (checked == NULL) {
            Py_DECREF(node);
            return NULL;
        }
        Py_DECREF(checked);
    }
    int recording = is_recording(state);
    if (recording > 0) {
        return recording == TRACED ? report_result(state, (Op)node->op, (PyObject *)node) : (PyObject *)node;
    }
    Node *leaf = recording < 0 ? NULL : new_node(state, node->data);
    Py_DECREF(node);
    return (PyObject *)leaf;
}

/* Compute the value in Python, which raises where floats do. */
static int evaluate(PyObject *operation, PyObject *const *operands, size_t count, double *data)
{
    int status = -1;
    PyObject *xs = PyList_New((Py_ssize_t)count), *originals = PyTuple_New((Py_ssize_t)count), *result = NULL;
    if (xs == NULL || originals == NULL) {
        goto done;
    }
    for (size_t k = 0; k < count; k++) {
        PyObject *x;
        if (PyFloat_CheckExact(operands[k])) {
            x = Py_NewRef(operands[k]);
        } else {
            x = PyFloat_FromDouble(as_node(operands[k])->data);
            if (x == NULL) {
                goto done;
            }
        }
        PyList_SET_ITEM(xs, (Py_ssize_t)k, x);
        PyTuple_SET_ITEM(originals, (Py_ssize_t)k, Py_NewRef(operands[k]));
    }
    result = PyObject_CallMethod(operation, "evaluate", "OO", xs, originals);
    if (result != NULL) {
        *data = PyFloat_AsDouble(result);
        status = *data == -1.0 && PyErr_Occurred() ? -1 : 0;
    }
done:
    Py_XDECREF(xs);
    Py_XDECREF(originals);
    Py_XDECREF(result);
    return status;
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
        PyObject *operand = operands[k];
        numbers[k] = PyFloat_CheckExact(operand) ? PyFloat_AS_DOUBLE(operand) : as_node(operand)->data;
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

/* Return the result of an operation on as many Values and floats as it takes. */
static PyObject *record_ready(State *state, PyObject *operation, Op op, PyObject *const *operands, size_t count)
{
    double data = BY_PYTHON;
    if (op != OP_NONE && kernel_value(op, operands, count, &data) < 0) {
        return NULL;
    }
    if (!isfinite(data) && evaluate(operation, operands, count, &data) < 0) {
        return NULL;
    }
    return finished(state, node_with(state, operation, op, data, operands, count));
}

PyObject *record_any(State *state, PyObject *operation, Op op, PyObject *const *operands, size_t count)
{
    PyObject *few[8] = {NULL};
    PyObject **ready = few;
    PyObject *result = NULL, *name = NULL;
    size_t made = 0;
    if (count > 8) {
        ready = PyMem_New(PyObject *, count);
        if (ready == NULL) {
            return PyErr_NoMemory();
        }
    }
    for (; made < count; made++) {
        PyObject *operand = operands[made];
        if (PyFloat_CheckExact(operand) || is_value(state, operand)) {
            ready[made] = Py_NewRef(operand);
            continue;
        }
        if (name == NULL) {
            name = PyObject_GetAttrString(operation, "name");
            if (name == NULL) {
                goto done;
            }
        }
        ready[made] = PyObject_CallFunctionObjArgs(state->as_float, operand, name, NULL);
        if (ready[made] == NULL) {
            goto done;
        }
    }
    if (op != OP_NONE && (arity_of(op) != 0 ? arity_of(op) != count : count == 0)) {
        op = OP_NONE; /* a wrong number of operands: Python has the error */
    }
    result = record_ready(state, operation, op, ready, count);
done:
    while (made-- > 0) {
        Py_DECREF(ready[made]);
    }
    if (ready != few) {
        PyMem_Free(ready);
    }
    Py_XDECREF(name);
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
