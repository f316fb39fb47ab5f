/* The functions of microgrud.functions, and the methods of a Value, as callables of C.
 *
 * A Function stands in front of a Python function, its twin. It serves Values, floats and lists of them, and delegates
 * everything else (other numbers, generators, keywords, mistakes) to the twin. So the signature, the docstring and the
 * errors are those of the twin.
 */
#include "engine/functions.h"
#include "engine/arithmetic.h"
#include "engine/attributes.h"
#include "engine/backward.h"
#include "engine/order.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *twin;
    Op op; /* OP_NONE for a function without an operation */
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

/* Tell whether there are `count` arguments, and none by keyword. */
static inline bool are_given(Py_ssize_t count, size_t nargsf, PyObject *names)
{
    return names == NULL && PyVectorcall_NARGS(nargsf) == count;
}

/* --- operations --- */

static PyObject *call_unary(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    if (are_given(1, nargsf, names)) {
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
    if (are_given(2, nargsf, names) && read_operand(args[0], &x, &first) && read_operand(args[1], &y, &second)) {
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

/* Return the items of an array of objects with one axis, none of which is missing; NULL for anything else. */
static PyObject *const *items_of_array(PyObject *array, size_t *count, Py_buffer *view)
{
    /* A subclass, which may iterate in its own way, has another name; that of recordings does not. */
    const char *name = Py_TYPE(array)->tp_name;
    if (strcmp(name, "numpy.ndarray") != 0 && strcmp(name, "RecordedArray") != 0) {
        return NULL;
    }
    if (PyObject_GetBuffer(array, view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) < 0) {
        PyErr_Clear();
        return NULL;
    }
    if (view->ndim != 1 || view->format == NULL || strcmp(view->format, "O") != 0) {
        return NULL;
    }
    PyObject *const *items = view->buf;
    const size_t length = (size_t)view->shape[0];
    for (size_t k = 0; k < length; k++) {
        if (items[k] == NULL) {
            return NULL;
        }
    }
    *count = length;
    return items;
}

/* Return the items of a list, a tuple, or such an array; NULL for anything else. The caller releases the view. */
static inline PyObject *const *items_of(PyObject *sequence, size_t *count, Py_buffer *view)
{
    if (PyList_CheckExact(sequence) || PyTuple_CheckExact(sequence)) {
        *count = (size_t)PySequence_Fast_GET_SIZE(sequence);
        return PySequence_Fast_ITEMS(sequence);
    }
    return items_of_array(sequence, count, view);
}

/* Release a view, if there is one: a call and a cleared view took dot of two numbers 15 ns of 86. */
static inline void release(Py_buffer *view)
{
    if (view->obj != NULL) {
        PyBuffer_Release(view);
    }
}

/* Return the result over plain Values and floats; NULL, without an exception, if the twin must compute it. */
static PyObject *apply(PyObject *self, PyObject *const *operands, size_t count)
{
    Op op = as_function(self)->op;
    State *state = state_of_function(self);
    double data;
    bool is_recorded = false;
    for (size_t k = 0; k < count; k++) {
        bool is_node = is_plain_value(operands[k]);
        if (!is_node && !PyFloat_CheckExact(operands[k])) {
            return NULL;
        }
        is_recorded |= is_node;
    }
    if (kernel_value(op, operands, count, &data) < 0 || !isfinite(data)) {
        return NULL;
    }
    if (!is_recorded) {
        return PyFloat_FromDouble(data);
    }
    int recording = is_recording(state);
    if (recording <= 0) {
        return recording < 0 ? NULL : (PyObject *)new_node(state, data);
    }
    PyObject *node = (PyObject *)node_with(state, NULL, op, data, operands, count);
    return recording == TRACED ? report_result(state, op, node) : node;
}

/* Return a result, or, if it is NULL without an exception, that of the twin. */
static PyObject *result_or_twin(PyObject *result, PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    return result != NULL || PyErr_Occurred() ? result : call_twin(self, args, nargsf, names);
}

static PyObject *call_ternary(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    PyObject *result = are_given(3, nargsf, names) ? apply(self, args, 3) : NULL;
    return result_or_twin(result, self, args, nargsf, names);
}

static PyObject *call_sequence(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    size_t count = 0;
    Py_buffer view;
    view.obj = NULL;
    PyObject *const *items = are_given(1, nargsf, names) ? items_of(args[0], &count, &view) : NULL;
    PyObject *result = count > 0 ? apply(self, items, count) : NULL;
    release(&view);
    return result_or_twin(result, self, args, nargsf, names);
}

/* Return bias + xs . ys; NULL, without an exception, if the twin must compute it. */
static PyObject *apply_dot(PyObject *self, PyObject *const *xs, PyObject *const *ys, size_t width, PyObject *given)
{
    const size_t count = 1 + 2 * width;
    PyObject *few[65], **operands = count <= 65 ? few : PyMem_New(PyObject *, count);
    if (operands == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *bias = given != NULL ? Py_NewRef(given) : PyFloat_FromDouble(0.0), *result = NULL;
    if (bias != NULL) {
        operands[0] = bias;
        memcpy(operands + 1, xs, width * sizeof *operands);
        memcpy(operands + 1 + width, ys, width * sizeof *operands);
        result = apply(self, operands, count);
    }
    if (operands != few) {
        PyMem_Free(operands);
    }
    Py_XDECREF(bias);
    return result;
}

/* dot(xs, ys, bias=0.0): the operands are the bias, then all the x, then all the y. */
static PyObject *call_dot(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    size_t nargs = (size_t)PyVectorcall_NARGS(nargsf), width = 0, height = 0;
    bool bias_is_named = names != NULL && PyTuple_GET_SIZE(names) == 1 &&
                         PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "bias") == 0;
    size_t given = nargs + (bias_is_named ? 1 : 0);
    Py_buffer views[2];
    views[0].obj = views[1].obj = NULL;
    PyObject *const *xs = nargs < 2 ? NULL : items_of(args[0], &width, &views[0]);
    PyObject *const *ys = nargs < 2 ? NULL : items_of(args[1], &height, &views[1]);
    PyObject *result = NULL;
    if (xs != NULL && ys != NULL && width == height && given <= 3 && (names == NULL || bias_is_named)) {
        result = apply_dot(self, xs, ys, width, given == 3 ? args[2] : NULL);
    }
    release(&views[0]);
    release(&views[1]);
    return result_or_twin(result, self, args, nargsf, names);
}

static vectorcallfunc call_for(Op op)
{
    if (op == OP_DOT) {
        return call_dot;
    }
    if (has_index(op)) {
        return call_twin; /* which returns a list */
    }
    static const vectorcallfunc calls[] = {call_sequence, call_unary, call_binary, call_ternary};
    return calls[arity_of(op)];
}

/* --- walks, and methods that need no operation --- */

/* topological_order(root, known=()), if nothing is known. */
static PyObject *call_topological_order(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    int knows = 1;
    if (names == NULL && nargs >= 1 && nargs <= 2 && is_value(state_of_function(self), args[0])) {
        knows = nargs == 2 ? PyObject_IsTrue(args[1]) : 0;
    }
    return knows < 0 ? NULL : knows ? call_twin(self, args, nargsf, names) : topological_order_of(as_node(args[0]));
}

#define METHOD(name)                                                                                                   \
    static PyObject *call_##name(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)                \
    {                                                                                                                  \
        bool is_usual = are_given(1, nargsf, names) && is_value(state_of_function(self), args[0]);                     \
        return result_or_twin(is_usual ? value_##name(args[0]) : NULL, self, args, nargsf, names);                     \
    }
METHOD(backward)
METHOD(zero_grad)
METHOD(pass_on)
#undef METHOD

static PyObject *call_detach(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    State *state = state_of_function(self);
    if (!are_given(1, nargsf, names) || !is_value(state, args[0]) || is_traced(state)) {
        return call_twin(self, args, nargsf, names);
    }
    Node *leaf = new_node(state, as_node(args[0])->data);
    PyObject *label = leaf == NULL ? NULL : get_label(args[0], NULL);
    if (label == NULL || give_label(state, leaf, label) < 0) {
        Py_CLEAR(leaf);
    }
    Py_XDECREF(label);
    return (PyObject *)leaf;
}

static const struct {
    const char *name;
    vectorcallfunc call;
} OTHERS[] = {
    {"topological_order", call_topological_order}, {"backward", call_backward}, {"zero_grad", call_zero_grad},
    {"_pass_on", call_pass_on}, {"detach", call_detach},
};

/* accelerate(function, key): the key is an operation of the table, or the name of another function. */
PyObject *accelerate(PyObject *module, PyObject *args)
{
    State *state = state_of_module(module);
    PyObject *twin, *key;
    int op = PyArg_ParseTuple(args, "OO:accelerate", &twin, &key) ? op_of(state, key) : -1;
    if (op < 0) {
        return NULL;
    }
    vectorcallfunc call = op == OP_NONE ? NULL : call_for((Op)op);
    for (size_t k = 0; PyUnicode_Check(key) && k < Py_ARRAY_LENGTH(OTHERS); k++) {
        call = PyUnicode_CompareWithASCIIString(key, OTHERS[k].name) == 0 ? OTHERS[k].call : call;
    }
    if (call == NULL) { /* unknown to this engine */
        return Py_NewRef(twin);
    }
    Function *self = (Function *)state->function_type->tp_alloc(state->function_type, 0);
    if (self != NULL) {
        self->vectorcall = call;
        self->twin = Py_NewRef(twin);
        self->op = (Op)op;
        self->weakrefs = NULL;
    }
    return (PyObject *)self;
}

/* --- the type --- */

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
    {"__wrapped__", T_OBJECT_EX, offsetof(Function, twin), READONLY, NULL},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Function, vectorcall), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Function, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef function_getset[] = {
    {"__doc__", function_of_twin, NULL, NULL, "__doc__"},
    {"__module__", function_of_twin, NULL, NULL, "__module__"},
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
