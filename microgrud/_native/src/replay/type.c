/* The types Replay and Tree; microgrud/tape/replays.py makes them. */
#include "replay/calls.h"
#include "replay/frame.h"
#include "replay/results.h"

/* Leaves of a subclass may refer to the compiled function. */
static int replay_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Replay *)self)->leaves);
    Py_VISIT(((Replay *)self)->result);
    return 0;
}

static void replay_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Replay *replay = (Replay *)self;
    PyTypeObject *type = Py_TYPE(self);
    free_frame(replay->spare);
    for (size_t k = 0; replay->parts != NULL && k < replay->part_count; k++) {
        Py_XDECREF(replay->parts[k].keys);
    }
    PyMem_Free(replay->parts);
    PyMem_Free(replay->arguments);
    Py_XDECREF(replay->leaves);
    Py_XDECREF(replay->rules);
    Py_XDECREF(replay->result);
    Py_XDECREF(replay->array_type);
    Py_XDECREF(replay->zeros);
    Py_XDECREF((PyObject *)replay->tapes);
    type->tp_free(self);
    Py_DECREF(type);
}

/* Read part k of a list of (kind, count, first, shape, keys), and the parts in it. Return the index of the next one, or -1
 * with an exception if they do not fit the tapes. */
static Py_ssize_t read_part(Replay *replay, PyObject *list, Py_ssize_t k)
{
    int kind;
    Py_ssize_t count, first;
    PyObject *shape, *keys, *entry = PyList_GetItem(list, k);
    if (entry == NULL || !PyArg_ParseTuple(entry, "innO!O!", &kind, &count, &first, &PyTuple_Type, &shape,
                                           &PyTuple_Type, &keys)) {
        return -1;
    }
    ArgumentPart *part = &replay->parts[k];
    *part = (ArgumentPart){(ArgumentKind)kind, (int)PyTuple_GET_SIZE(shape), {0}, (size_t)count, (size_t)first, -1,
                           Py_NewRef(keys)};
    bool fits = PyTuple_GET_SIZE(keys) == (kind == DICT ? count : 0);
    for (Py_ssize_t key = 0; fits && key < PyTuple_GET_SIZE(keys); key++) {
        fits = PyUnicode_CheckExact(PyTuple_GET_ITEM(keys, key));
    }
    fits = fits && kind >= 0 && kind < ARGUMENT_KIND_COUNT && part->axes <= MOST_AXES;
    for (int axis = 0; axis < part->axes && fits; axis++) {
        part->shape[axis] = PyLong_AsSsize_t(PyTuple_GET_ITEM(shape, axis));
        fits = part->shape[axis] >= 0;
    }
    const Tapes *tapes = replay->tapes;
    const bool nested = is_nested(part->kind), whole = is_integer(part->kind);
    const size_t places = whole ? replay->integer_count : replay->number_count;
    const int32_t *slots = whole ? replay->integer_slots : replay->number_slots;
    const int64_t bound = is_batch(part->kind) ? (int64_t)tapes->batch.inputs : tapes->uniform.uniform_count;
    fits = fits && count >= 0 && (nested || (part->first <= places && part->count <= places - part->first));
    for (size_t item = 0; fits && !nested && item < part->count; item++) {
        fits = slots[part->first + item] < bound;
    }
    if (!fits) {
        PyErr_SetString(PyExc_ValueError, "Replay: expected parts of arguments that fit the tapes");
        return -1;
    }
    replay->array_count += part->kind >= ARRAY_OF_NUMBERS;
    part->row = part->kind == ARRAY_OF_NUMBERS && count > 0 ? slots[part->first] : -1;
    for (size_t item = 1; part->row >= 0 && item < part->count; item++) {
        part->row = slots[part->first + item] == slots[part->first + item - 1] + 1 ? part->row : -1;
    }
    Py_ssize_t next = k + 1;
    for (Py_ssize_t item = 0; nested && item < count && next >= 0; item++) {
        next = read_part(replay, list, next);
    }
    return next;
}

/* Read the parts of all arguments. Return -1 with an exception on error. */
static int read_parts(Replay *replay, PyObject *list)
{
    replay->part_count = (size_t)PyList_GET_SIZE(list);
    replay->parts = PyMem_Calloc(replay->part_count + 1, sizeof *replay->parts);
    replay->arguments = PyMem_Calloc(replay->part_count + 1, sizeof *replay->arguments);
    if (replay->parts == NULL || replay->arguments == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t part = 0; part < PyList_GET_SIZE(list);) {
        replay->arguments[replay->argument_count++] = (size_t)part;
        part = read_part(replay, list, part);
        if (part < 0) {
            return -1;
        }
    }
    return 0;
}

static PyObject *replay_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    PyObject *tapes_object, *leaves, *parts, *rules, *result, *array_type, *zeros;
    PyTypeObject *value_type;
    Py_ssize_t threads, data_offset, grad_offset;
    int mean, ignore;
    if (!PyArg_ParseTuple(args, "OO!O!SOppnO!(nn)OO:Replay", &tapes_object, &PyTuple_Type, &leaves, &PyList_Type,
                          &parts, &rules, &result, &mean, &ignore, &threads, &PyType_Type, &value_type, &data_offset,
                          &grad_offset, &array_type, &zeros)) {
        return NULL;
    }
    Tapes *tapes = (Tapes *)tapes_object;
    bool fits = is_tapes(tapes_object) && threads > 0 &&
                PyBytes_GET_SIZE(tapes->leaf_slots) == PyTuple_GET_SIZE(leaves) * (Py_ssize_t)sizeof(int32_t);
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(leaves); k++) {
        fits = fits && PyObject_TypeCheck(PyTuple_GET_ITEM(leaves, k), value_type);
    }
    const size_t arguments = fits ? (size_t)PyBytes_GET_SIZE(tapes->argument_slots) / sizeof(int32_t) : 0;
    if (!fits || (size_t)PyBytes_GET_SIZE(rules) != (arguments - tapes->numbers) * sizeof(IntegerRule)) {
        PyErr_SetString(PyExc_TypeError, "Replay: expected tapes, a Value for each leaf, and a rule for each integer");
        return NULL;
    }
    if (!is_plan(result, tapes->outputs)) {
        PyErr_SetString(PyExc_ValueError, "Replay: expected the plan of a result with all outputs");
        return NULL;
    }
    Replay *replay = (Replay *)type->tp_alloc(type, 0);
    if (replay == NULL) {
        return NULL;
    }
    replay->itself = replay;
    replay->tree.replays = &replay->itself;
    replay->tree.count = 1;
    replay->tapes = (Tapes *)Py_NewRef(tapes_object);
    replay->leaves = Py_NewRef(leaves);
    replay->leaf_slots = (const int32_t *)(const void *)PyBytes_AS_STRING(tapes->leaf_slots);
    replay->leaf_count = (size_t)PyTuple_GET_SIZE(leaves);
    replay->data_offset = (size_t)data_offset;
    replay->grad_offset = (size_t)grad_offset;
    replay->number_slots = (const int32_t *)(const void *)PyBytes_AS_STRING(tapes->argument_slots);
    replay->number_count = tapes->numbers;
    replay->integer_slots = replay->number_slots + tapes->numbers;
    replay->integer_count = arguments - tapes->numbers;
    replay->rules = Py_NewRef(rules);
    replay->integers = (const IntegerRule *)(const void *)PyBytes_AS_STRING(rules);
    replay->result = Py_NewRef(result);
    replay->mean = mean != 0;
    replay->ignore = ignore != 0;
    replay->threads = (size_t)threads;
    replay->array_type = Py_NewRef(array_type);
    replay->zeros = Py_NewRef(zeros);
    if (read_parts(replay, parts) < 0) {
        Py_CLEAR(replay);
    }
    return (PyObject *)replay;
}

static PyMethodDef replay_methods[] = {
    {"values", replay_values, METH_O, "values($self, args, /)\n--\n\nReturn the result, or NotImplemented."},
    {"map", replay_map, METH_O,
     "map($self, args, /)\n--\n\nReturn the outputs of all samples, a row for each output, or NotImplemented."},
    {"backward", replay_backward, METH_O,
     "backward($self, args, /)\n--\n\nReturn the result, and add to the gradients of the leaves; or NotImplemented."},
    {"gradients", replay_gradients, METH_VARARGS,
     "gradients($self, args, positions, weights, /)\n--\n\n"
     "Return the result (None with weights), and derivatives with respect to arguments at positions; or "
     "NotImplemented."},
    {"flat", replay_flat, METH_VARARGS,
     "flat($self, args, leaves, slopes, outputs, weights=None, numbers=None, places=None, /)\n--\n\n"
     "Return the weighted sum of the outputs, and write its derivatives and the outputs of the samples; or "
     "NotImplemented."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot replay_slots[] = {
    {Py_tp_doc, "Replay(tapes, leaves, parts, rules, result, mean, ignore, threads, value_type, offsets, array_type, "
                "zeros, /)\n--\n\n"
                "A recording with all that a call does."},
    {Py_tp_new, replay_new},
    {Py_tp_dealloc, replay_dealloc},
    {Py_tp_traverse, replay_traverse},
    {Py_tp_methods, replay_methods},
    {0, NULL},
};

PyType_Spec replay_spec = {
    .name = "microgrud._native.tape.Replay",
    .basicsize = sizeof(Replay),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = replay_slots,
};

/* --- trees --- */

static int tree_traverse(PyObject *self, visitproc visit, void *arg)
{
    const Tree *tree = (Tree *)self;
    Py_VISIT(Py_TYPE(self));
    for (size_t p = 0; p < tree->count; p++) {
        Py_VISIT((PyObject *)tree->replays[p]);
    }
    return 0;
}

static void tree_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Tree *tree = (Tree *)self;
    PyTypeObject *type = Py_TYPE(self);
    for (size_t p = 0; p < tree->count; p++) {
        Py_XDECREF((PyObject *)tree->replays[p]);
    }
    PyMem_Free(tree->replays);
    type->tp_free(self);
    Py_DECREF(type);
}

/* Tell whether two replays have arguments of the same structure and as many results. */
static bool have_same_structure(const Replay *one, const Replay *other)
{
    bool same = one->part_count == other->part_count && one->argument_count == other->argument_count &&
                 one->number_count == other->number_count && one->integer_count == other->integer_count &&
                 one->tapes->outputs == other->tapes->outputs && one->mean == other->mean;
    for (size_t k = 0; same && k < one->part_count; k++) {
        const ArgumentPart *x = &one->parts[k], *y = &other->parts[k];
        same = x->kind == y->kind && x->axes == y->axes && x->count == y->count && x->first == y->first &&
                memcmp(x->shape, y->shape, (size_t)x->axes * sizeof *x->shape) == 0 &&
                PyObject_RichCompareBool(x->keys, y->keys, Py_EQ) == 1; /* of strings, which raises nothing */
    }
    return same;
}

static PyObject *tree_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    PyObject *replays;
    if (!PyArg_ParseTuple(args, "O!:Tree", &PyTuple_Type, &replays)) {
        return NULL;
    }
    const Py_ssize_t count = PyTuple_GET_SIZE(replays);
    if (count < 1 || count > MOST_REPLAYS) {
        PyErr_Format(PyExc_ValueError, "Tree: expected from 1 to %d replays, got %zd", MOST_REPLAYS, count);
        return NULL;
    }
    Tree *tree = (Tree *)type->tp_alloc(type, 0);
    if (tree == NULL) {
        return NULL;
    }
    tree->replays = PyMem_Calloc((size_t)count, sizeof *tree->replays);
    if (tree->replays == NULL) {
        PyErr_NoMemory();
        Py_DECREF(tree);
        return NULL;
    }
    for (Py_ssize_t p = 0; p < count; p++) {
        PyObject *replay = PyTuple_GET_ITEM(replays, p);
        if (Py_TYPE(replay)->tp_dealloc != replay_dealloc ||
            (p > 0 && !have_same_structure(tree->replays[0], (Replay *)replay))) {
            PyErr_SetString(PyExc_TypeError, "Tree: expected replays for arguments of one structure");
            Py_DECREF(tree);
            return NULL;
        }
        tree->replays[tree->count++] = (Replay *)Py_NewRef(replay);
    }
    return (PyObject *)tree;
}

static PyType_Slot tree_slots[] = {
    {Py_tp_doc, "Tree(replays, /)\n--\n\n"
                "Recordings for arguments of one structure; each sample is run by the one whose branches it takes."},
    {Py_tp_new, tree_new},
    {Py_tp_dealloc, tree_dealloc},
    {Py_tp_traverse, tree_traverse},
    {Py_tp_methods, replay_methods},
    {0, NULL},
};

PyType_Spec tree_spec = {
    .name = "microgrud._native.tape.Tree",
    .basicsize = sizeof(Tree),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = tree_slots,
};
