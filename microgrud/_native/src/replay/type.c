/* The types Replay and Tree; microgrud/tape/replays.py makes them. */
#include "replay/calls.h"
#include "replay/frame.h"

/* leaves of a subclass may refer to the compiled function */
static int replay_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Replay *)self)->leaves);
    return 0;
}

static void replay_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Replay *replay = (Replay *)self;
    PyTypeObject *type = Py_TYPE(self);
    free_frame(replay->spare);
    PyMem_Free(replay->parts);
    PyMem_Free(replay->arguments);
    PyMem_Free(replay->integers);
    Py_XDECREF(replay->leaves);
    Py_XDECREF(replay->array_type);
    Py_XDECREF(replay->zeros);
    Py_XDECREF((PyObject *)replay->tapes);
    type->tp_free(self);
    Py_DECREF(type);
}

/* Read a list of (kind, count, first, shape). */
static int read_parts(Replay *replay, PyObject *list)
{
    replay->part_count = (size_t)PyList_GET_SIZE(list);
    replay->parts = PyMem_Calloc(replay->part_count + 1, sizeof(ArgumentPart));
    if (replay->parts == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t k = 0; k < replay->part_count; k++) {
        ArgumentPart *part = &replay->parts[k];
        int kind;
        Py_ssize_t count, first;
        PyObject *shape, *entry = PyList_GET_ITEM(list, (Py_ssize_t)k);
        if (!PyTuple_Check(entry)) {
            PyErr_SetString(PyExc_TypeError, "a damaged recording: arguments: expected tuples");
            return -1;
        }
        if (!PyArg_ParseTuple(entry, "innO!", &kind, &count, &first, &PyTuple_Type, &shape)) {
            return -1;
        }
        if (kind < 0 || kind >= ARGUMENT_KIND_COUNT || count < 0 || first < 0 || PyTuple_GET_SIZE(shape) > MOST_AXES) {
            PyErr_SetString(PyExc_ValueError,
                            "a damaged recording: arguments: expected a kind, a count, a place and up to 8 axes");
            return -1;
        }
        part->kind = (ArgumentKind)kind;
        part->count = (size_t)count;
        part->first = (size_t)first;
        part->axes = (int)PyTuple_GET_SIZE(shape);
        for (int axis = 0; axis < part->axes; axis++) {
            part->shape[axis] = PyLong_AsSsize_t(PyTuple_GET_ITEM(shape, axis));
            if (part->shape[axis] < 0) {
                if (!PyErr_Occurred()) {
                    PyErr_SetString(PyExc_ValueError, "a damaged recording: arguments: expected lengths of axes");
                }
                return -1;
            }
        }
        replay->array_count += part->kind >= ARRAY_OF_NUMBERS;
    }
    return 0;
}

/* Check that a part, and the parts in it, name existing numbers and integers; *k is then the next part. Return -1 with
 * an exception. */
static int check_part(const Replay *replay, size_t *k)
{
    if (*k >= replay->part_count) {
        PyErr_SetString(PyExc_ValueError,
                        "a damaged recording: arguments: expected as many as the lists and tuples say");
        return -1;
    }
    const ArgumentPart *part = &replay->parts[(*k)++];
    const bool nested = is_nested(part->kind), whole = is_integer(part->kind);
    for (size_t item = 0; nested && item < part->count; item++) {
        if (check_part(replay, k) < 0) {
            return -1;
        }
    }
    const size_t count = whole ? replay->integer_count : replay->number_count;
    if (!nested && (part->first > count || part->count > count - part->first)) {
        PyErr_SetString(PyExc_ValueError, "a damaged recording: arguments: expected places of numbers that there are");
        return -1;
    }
    const int64_t bound = is_batch(part->kind) ? (int64_t)replay->batch->inputs : replay->uniform->uniform_count;
    for (size_t item = 0; !nested && item < part->count; item++) {
        const size_t place = part->first + item;
        const int64_t slot = whole ? replay->integers[place].slot : replay->number_slots[place];
        if (slot < -1 || slot >= bound) {
            PyErr_SetString(PyExc_ValueError, "a damaged recording: arguments: expected slots of the program");
            return -1;
        }
    }
    return 0;
}

/* Find the first part of each argument. Return -1 with an exception unless all parts fit the tapes. */
static int find_arguments(Replay *replay)
{
    replay->arguments = PyMem_Calloc(replay->part_count + 1, sizeof(size_t));
    if (replay->arguments == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t part = 0; part < replay->part_count;) {
        replay->arguments[replay->argument_count++] = part;
        if (check_part(replay, &part) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Read the rules of integers: three numbers for each, as in IntegerRule. Return -1 with an exception on error. */
static int read_rules(Replay *replay, const Py_buffer *view)
{
    const int64_t *numbers = view->buf;
    const int32_t *slots = replay->number_slots + replay->number_count;
    if ((size_t)view->len != replay->integer_count * 3 * sizeof *numbers) {
        PyErr_SetString(PyExc_ValueError, "a damaged recording: integers: expected three numbers for each");
        return -1;
    }
    replay->integers = PyMem_Calloc(replay->integer_count + 1, sizeof *replay->integers);
    if (replay->integers == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t k = 0; k < replay->integer_count; k++) {
        replay->integers[k] = (IntegerRule){slots[k], numbers[3 * k], numbers[3 * k + 1], numbers[3 * k + 2]};
    }
    return 0;
}

/* Refer to the arrays of the tapes. */
static void take_tapes(Replay *replay, Tapes *tapes)
{
    replay->tapes = (Tapes *)Py_NewRef((PyObject *)tapes);
    replay->uniform = &tapes->uniform;
    replay->batch = &tapes->batch;
    replay->forward = tapes->forward;
    replay->constants = (const double *)(const void *)PyBytes_AS_STRING(tapes->constants);
    replay->leaf_slots = (const int32_t *)(const void *)PyBytes_AS_STRING(tapes->leaf_slots);
    replay->leaf_count = (size_t)PyBytes_GET_SIZE(tapes->leaf_slots) / sizeof(int32_t);
    replay->number_slots = (const int32_t *)(const void *)PyBytes_AS_STRING(tapes->argument_slots);
    replay->number_count = tapes->numbers;
    replay->integer_count = (size_t)PyBytes_GET_SIZE(tapes->argument_slots) / sizeof(int32_t) - tapes->numbers;
    replay->output_slots = tapes->output_slots;
    replay->output_count = tapes->outputs;
    replay->guard_count = tapes->guard_count;
    replay->guard_numbers = tapes->guard_numbers;
    replay->outcomes = tapes->outcomes;
    replay->outcome_count = tapes->guard_count + tapes->batch.guards;
}

/* Ask the engine for the offsets of the numbers in a Value. Return -1 with an exception unless all leaves are Values.
 */
static int read_engine(Replay *replay, PyObject *engine)
{
    PyObject *type = PyObject_GetAttrString(engine, "Value");
    PyObject *offsets = type == NULL ? NULL : PyObject_GetAttrString(engine, "NUMBER_OFFSETS");
    int status = -1;
    Py_ssize_t data, grad;
    if (offsets != NULL && PyArg_ParseTuple(offsets, "nn", &data, &grad)) {
        replay->data_offset = (size_t)data;
        replay->grad_offset = (size_t)grad;
        status = 0;
    }
    for (Py_ssize_t k = 0; status == 0 && k < PyTuple_GET_SIZE(replay->leaves); k++) {
        PyObject *leaf = PyTuple_GET_ITEM(replay->leaves, k);
        status = PyObject_IsInstance(leaf, type) - 1;
        if (status == -1 && !PyErr_Occurred()) {
            PyErr_Format(PyExc_TypeError, "a damaged recording: leaves: expected Values, got an object of type %.200s",
                         Py_TYPE(leaf)->tp_name);
        }
    }
    Py_XDECREF(type);
    Py_XDECREF(offsets);
    return status < 0 ? -1 : 0;
}

static PyObject *replay_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    PyObject *tapes, *leaves, *parts, *engine, *array_type, *zeros;
    Py_buffer integers;
    Py_ssize_t threads;
    int mean, ignore;
    if (!PyArg_ParseTuple(args, "OO!O!y*ppnOOO:Replay", &tapes, &PyTuple_Type, &leaves, &PyList_Type, &parts, &integers,
                          &mean, &ignore, &threads, &engine, &array_type, &zeros)) {
        return NULL;
    }
    Replay *replay = NULL;
    if (!is_tapes(tapes) || threads < 1) {
        PyErr_SetString(PyExc_TypeError, "a damaged recording: expected tapes, and at least one thread");
    } else {
        replay = (Replay *)type->tp_alloc(type, 0);
    }
    if (replay != NULL) {
        replay->itself = replay;
        replay->tree.replays = &replay->itself;
        replay->tree.count = 1;
        take_tapes(replay, (Tapes *)tapes);
        replay->leaves = Py_NewRef(leaves);
        replay->array_type = Py_NewRef(array_type);
        replay->zeros = Py_NewRef(zeros);
        replay->mean = mean != 0;
        replay->ignore = ignore != 0;
        replay->threads = (size_t)threads;
        bool fine = replay->leaf_count == (size_t)PyTuple_GET_SIZE(leaves);
        if (!fine) {
            PyErr_SetString(PyExc_ValueError, "a damaged recording: expected a slot for each leaf");
        }
        fine = fine && read_rules(replay, &integers) == 0 && read_parts(replay, parts) == 0 &&
               find_arguments(replay) == 0 && read_engine(replay, engine) == 0;
        if (!fine) {
            Py_CLEAR(replay);
        }
    }
    PyBuffer_Release(&integers);
    return (PyObject *)replay;
}

static PyMethodDef replay_methods[] = {
    {"values", replay_values, METH_O, "values($self, args, /)\n--\n\nReturn the outputs, or NotImplemented."},
    {"backward", replay_backward, METH_O,
     "backward($self, args, /)\n--\n\nReturn the output, and add to the gradients of the leaves; or NotImplemented."},
    {"gradients", replay_gradients, METH_VARARGS,
     "gradients($self, args, positions, weights, /)\n--\n\n"
     "Return the first output, and derivatives with respect to arguments at positions; or NotImplemented."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot replay_slots[] = {
    {Py_tp_doc, "Replay(tapes, leaves, parts, integers, mean, ignore, threads, engine, array_type, zeros, /)\n--\n\n"
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
                 one->output_count == other->output_count && one->mean == other->mean;
    for (size_t k = 0; same && k < one->part_count; k++) {
        const ArgumentPart *x = &one->parts[k], *y = &other->parts[k];
        same = x->kind == y->kind && x->axes == y->axes && x->count == y->count && x->first == y->first &&
                memcmp(x->shape, y->shape, (size_t)x->axes * sizeof *x->shape) == 0;
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
    {Py_tp_doc, "Tree(replays, /)\n--\n\nRecordings for arguments of one structure, from which each sample takes its own."},
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
