/* The functions of microgrud.functions as callables of C.
 *
 * A Function stands in front of a Python function, its twin. It serves Values, floats and lists of them, and delegates
 * everything else (other numbers, generators, keywords, mistakes) to the twin. So the signature, the docstring and the
 * errors are those of the twin.
 */
#include "engine/functions.h"
#include "engine/arithmetic.h"
#include "engine/backward.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *twin;
    Op op; /* OP_NONE for topological_order */
    PyObject *weakrefs;
} Function;

static inline Function *as_function(PyObject *object)
{
    return (Function *)object;
}

static inline State *state_of_function(PyObject *self)
{
    return PyType_GetModuleState(Py_TYPE(self));
}

static PyObject *call_twin(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    return PyObject_Vectorcall(as_function(self)->twin, args, nargsf, names);
}

static PyObject *call_unary(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    if (names == NULL && PyVectorcall_NARGS(nargsf) == 1) {
        Op op = as_function(self)->op;
        if (is_plain_value(args[0])) {
            return unary_operator(op, args[0]);
        }
        if (PyFloat_CheckExact(args[0])) {
            double z = value_of(op, PyFloat_AS_DOUBLE(args[0]), 0.0, 0.0);
            if (isfinite(z)) {
                return PyFloat_FromDouble(z);
            }
        }
    }
    return call_twin(self, args, nargsf, names);
}

static PyObject *call_binary(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    double x, y;
    Node *first, *second;
    if (names == NULL && PyVectorcall_NARGS(nargsf) == 2 && read_operand(args[0], &x, &first) &&
        read_operand(args[1], &y, &second)) {
        Op op = as_function(self)->op;
        double z = value_of(op, x, y, 0.0);
        if (isfinite(z)) {
            if (first == NULL && second == NULL) {
                return PyFloat_FromDouble(z);
            }
            State *state = state_of(first != NULL ? args[0] : args[1]);
            return record_binary(state, op, z, first, x, second, y);
        }
    }
    return call_twin(self, args, nargsf, names);
}

/* Tell whether all items are plain Values or floats; count the Values. */
static bool are_ready(PyObject *const *items, size_t count, size_t *values)
{
    for (size_t k = 0; k < count; k++) {
        if (is_plain_value(items[k])) {
            ++*values;
        } else if (!PyFloat_CheckExact(items[k])) {
            return false;
        }
    }
    return true;
}

/* Return the items of a list or a tuple; NULL for anything else. */
static PyObject *const *items_of(PyObject *sequence, size_t *count)
{
    if (!PyList_CheckExact(sequence) && !PyTuple_CheckExact(sequence)) {
        return NULL;
    }
    *count = (size_t)PySequence_Fast_GET_SIZE(sequence);
    return PySequence_Fast_ITEMS(sequence);
}

/* Return the result over plain Values and floats; `values` is the number of Values. Set *handled to false if the twin
 * must compute it. */
static PyObject *apply(PyObject *self, PyObject *const *operands, size_t count, size_t values, bool *handled)
{
    Op op = as_function(self)->op;
    State *state = state_of_function(self);
    double data;
    if (kernel_value(op, operands, count, &data) < 0) {
        return NULL;
    }
    if (!isfinite(data)) {
        *handled = false;
        return NULL;
    }
    if (values == 0) {
        return PyFloat_FromDouble(data);
    }
    int recording = is_recording(state);
    if (recording <= 0) {
        return recording < 0 ? NULL : (PyObject *)new_node(state, data);
    }
    PyObject *node = (PyObject *)node_with(state, NULL, op, data, operands, count);
    return recording == TRACED ? report_result(state, op, node) : node;
}

static PyObject *call_ternary(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    size_t values = 0;
    if (names == NULL && PyVectorcall_NARGS(nargsf) == 3 && are_ready(args, 3, &values)) {
        bool handled = true;
        PyObject *result = apply(self, args, 3, values, &handled);
        if (handled) {
            return result;
        }
    }
    return call_twin(self, args, nargsf, names);
}

static PyObject *call_sequence(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    size_t count = 0, values = 0;
    if (names == NULL && PyVectorcall_NARGS(nargsf) == 1) {
        PyObject *const *items = items_of(args[0], &count);
        if (items != NULL && count > 0 && are_ready(items, count, &values)) {
            bool handled = true;
            PyObject *result = apply(self, items, count, values, &handled);
            if (handled) {
                return result;
            }
        }
    }
    return call_twin(self, args, nargsf, names);
}

/* dot(xs, ys, bias=0.0): the operands are the bias, then all the x, then all the y. */
static PyObject *call_dot(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    size_t nargs = (size_t)PyVectorcall_NARGS(nargsf), width = 0, height = 0, values = 0;
    bool bias_is_named = names != NULL && PyTuple_GET_SIZE(names) == 1 &&
                         PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "bias") == 0;
    size_t given = nargs + (bias_is_named ? 1 : 0);
    if (nargs < 2 || given > 3 || (names != NULL && !bias_is_named)) {
        return call_twin(self, args, nargsf, names);
    }
    PyObject *const *xs = items_of(args[0], &width);
    PyObject *const *ys = items_of(args[1], &height);
    if (xs == NULL || ys == NULL || width != height || (given == 3 && !are_ready(args + 2, 1, &values)) ||
        !are_ready(xs, width, &values) || !are_ready(ys, width, &values)) {
        return call_twin(self, args, nargsf, names);
    }
    PyObject *few[65], *zero = NULL, *bias = given == 3 ? args[2] : NULL, *result = NULL;
    PyObject **operands = few;
    size_t count = 1 + 2 * width;
    bool handled = true;
    if (bias == NULL) {
        bias = zero = PyFloat_FromDouble(0.0);
        if (zero == NULL) {
            return NULL;
        }
    }
    if (count > 65) {
        operands = PyMem_New(PyObject *, count);
        if (operands == NULL) {
            Py_XDECREF(zero);
            return PyErr_NoMemory();
        }
    }
    operands[0] = bias;
    memcpy(operands + 1, xs, width * sizeof *operands);
    memcpy(operands + 1 + width, ys, width * sizeof *operands);
    result = apply(self, operands, count, values, &handled);
    if (operands != few) {
        PyMem_Free(operands);
    }
    Py_XDECREF(zero);
    return handled ? result : call_twin(self, args, nargsf, names);
}

/* topological_order(root, known=()), if nothing is known. */
static PyObject *call_topological_order(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    State *state = state_of_function(self);
    if (names == NULL && nargs >= 1 && nargs <= 2 && is_value(state, args[0])) {
        int knows = nargs == 2 ? PyObject_IsTrue(args[1]) : 0;
        if (knows < 0) {
            return NULL;
        }
        if (!knows) {
            return topological_order_of(as_node(args[0]));
        }
    }
    return call_twin(self, args, nargsf, names);
}

static vectorcallfunc call_for(Op op)
{
    if (op == OP_NONE) {
        return call_topological_order;
    }
    if (op == OP_DOT) {
        return call_dot;
    }
    if (has_index(op)) {
        return call_twin; /* which returns a list */
    }
    static const vectorcallfunc calls[] = {call_sequence, call_unary, call_binary, call_ternary};
    return calls[arity_of(op)];
}

/* --- the type --- */

PyObject *function_new(State *state, PyObject *twin, Op op)
{
    Function *self = (Function *)state->function_type->tp_alloc(state->function_type, 0);
    if (self != NULL) {
        self->vectorcall = call_for(op);
        self->twin = Py_NewRef(twin);
        self->op = op;
        self->weakrefs = NULL;
    }
    return (PyObject *)self;
}

static void function_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (as_function(self)->weakrefs != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    Py_CLEAR(as_function(self)->twin);
    type->tp_free(self);
    Py_DECREF(type);
}

static int function_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(as_function(self)->twin);
    return 0;
}

/* Get an attribute; those that are missing here come from the twin: __name__, __defaults__, __annotations__. */
static PyObject *function_getattr(PyObject *self, PyObject *name)
{
    PyObject *found = PyObject_GenericGetAttr(self, name);
    if (found == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        found = PyObject_GetAttr(as_function(self)->twin, name);
    }
    return found;
}

static PyObject *function_of_twin(PyObject *self, void *name)
{
    return PyObject_GetAttrString(as_function(self)->twin, name);
}

static PyObject *function_wrapped(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(as_function(self)->twin);
}

static PyObject *function_repr(PyObject *self)
{
    return PyObject_Repr(as_function(self)->twin);
}

/* Become a method of the object whose class has this function, as Python functions do. */
static PyObject *function_bind(PyObject *self, PyObject *object, PyObject *Py_UNUSED(type))
{
    return object == NULL || object == Py_None ? Py_NewRef(self) : PyMethod_New(self, object);
}

static PyObject *function_reduce(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyObject_GetAttrString(as_function(self)->twin, "__qualname__");
}

static PyMethodDef function_methods[] = {
    {"__reduce__", function_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef function_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Function, vectorcall), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Function, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef function_getset[] = {
    {"__doc__", function_of_twin, NULL, NULL, "__doc__"},
    {"__module__", function_of_twin, NULL, NULL, "__module__"},
    {"__wrapped__", function_wrapped, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot function_slots[] = {
    {Py_tp_dealloc, function_dealloc},
    {Py_tp_traverse, function_traverse},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_getattro, function_getattr},
    {Py_tp_repr, function_repr},
    {Py_tp_descr_get, function_bind},
    {Py_tp_methods, function_methods},
    {Py_tp_members, function_members},
    {Py_tp_getset, function_getset},
    {0, NULL},
};

PyType_Spec function_spec = {
    .name = "microgrud._native.engine.Function",
    .basicsize = sizeof(Function),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = function_slots,
};
