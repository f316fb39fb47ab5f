/* The types Replay and Tree; microgrud/tape/replays.py makes them. */
#include "replay/replay.h"

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
    PyMem_Free(replay->leaf_slots);
    PyMem_Free(replay->parts);
    PyMem_Free(replay->arguments);
    PyMem_Free(replay->number_slots);
    PyMem_Free(replay->integers);
    PyMem_Free(replay->output_slots);
    PyMem_Free(replay->guards);
    PyMem_Free(replay->sorted_guards);
    PyMem_Free(replay->guard_numbers);
    PyMem_Free(replay->outcomes);
    PyMem_Free(replay->constants);
    Py_XDECREF(replay->leaves);
    Py_XDECREF(replay->array_type);
    Py_XDECREF(replay->zeros);
    Py_XDECREF((PyObject *)replay->uniform);
    Py_XDECREF((PyObject *)replay->batch);
    Py_XDECREF((PyObject *)replay->forward);
    type->tp_free(self);
    Py_DECREF(type);
}

/* Copy an array with items of `item` bytes. */
static int copy_array(PyObject *object, size_t item, void **numbers, size_t *count, const char *what)
{
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_CONTIG_RO) < 0) {
        return -1;
    }
    if ((size_t)view.itemsize > item || (size_t)view.len % item != 0) {
        PyErr_Format(PyExc_TypeError, "a damaged recording: %s: expected an array of items of %zu bytes", what, item);
        PyBuffer_Release(&view);
        return -1;
    }
    *count = (size_t)view.len / item;
    *numbers = PyMem_Malloc((size_t)view.len + 1);
    if (*numbers == NULL) {
        PyErr_NoMemory();
    } else {
        memcpy(*numbers, view.buf, (size_t)view.len);
    }
    PyBuffer_Release(&view);
    return *numbers == NULL ? -1 : 0;
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

static int check_slots(const int32_t *slots, size_t count, int32_t least, int64_t bound, const char *what)
{
    for (size_t k = 0; k < count; k++) {
        if (slots[k] < least || slots[k] >= bound) {
            PyErr_Format(PyExc_ValueError,
                         "a damaged recording: %s: expected slots of the program, got %d", what, (int)slots[k]);
            return -1;
        }
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

static int check_replay(Replay *replay)
{
    const int32_t uniform = replay->uniform->uniform_count;
    const int64_t slots = (int64_t)uniform + replay->batch->varying_count;
    const Tape *batch = replay->batch, *forward = replay->forward;
    if (batch->uniform_count != uniform || replay->uniform->varying_count > 0 || batch->forward_only ||
        forward->uniform_count != uniform || forward->inputs != batch->inputs || forward->outputs != batch->outputs ||
        forward->guards != batch->guards) {
        PyErr_SetString(PyExc_ValueError, "a damaged recording: expected tapes of one program");
        return -1;
    }
    size_t outputs = 0;
    for (size_t k = 0; k < replay->output_count; k++) {
        outputs += replay->output_slots[k] >= uniform;
    }
    if (outputs != replay->batch->outputs) {
        PyErr_SetString(PyExc_ValueError, "a damaged recording: outputs: expected those of the batch among them");
        return -1;
    }
    for (size_t k = 0; k < replay->guard_count; k++) {
        const int32_t own[] = {replay->guards[k].x, replay->guards[k].y};
        if (check_slots(own, 2, 0, uniform, "guards") < 0) {
            return -1;
        }
    }
    size_t part = 0;
    for (size_t k = 0; k < replay->argument_count; k++) {
        replay->arguments[k] = part;
        if (check_part(replay, &part) < 0) {
            return -1;
        }
    }
    return check_slots(replay->leaf_slots, replay->leaf_count, 0, uniform, "leaves") < 0 ||
                   check_slots(replay->output_slots, replay->output_count, 0, slots, "outputs") < 0
               ? -1
               : 0;
}

static int check_guard_numbers(const Replay *replay, size_t count)
{
    bool fine = count == replay->outcome_count && count == replay->guard_count + replay->batch->guards;
    for (size_t k = 0; k < count && fine; k++) {
        fine = replay->guard_numbers[k] >= 1 && (size_t)replay->guard_numbers[k] <= count;
    }
    if (!fine) {
        PyErr_SetString(PyExc_ValueError, "a damaged recording: expected a number and an outcome for each guard");
    }
    return fine ? 0 : -1;
}

/* Use the slots of the uniform program's new order; return -1 with an exception on error. */
static int reorder_slots_of_replay(Replay *replay)
{
    const Tape *tape = replay->uniform;
    if (tape->new_slots == NULL) {
        return 0;
    }
    if (replay->batch->varying_count > 0 || replay->batch->inputs > 0) {
        PyErr_SetString(PyExc_ValueError,
                        "a damaged recording: expected slots in their own order in a recording with a batch");
        return -1;
    }
    const size_t uniform = (size_t)tape->uniform_count;
    double *constants = PyMem_Malloc((uniform + 1) * sizeof *constants);
    if (constants == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    reorder_numbers(tape, replay->constants, constants, false);
    PyMem_Free(replay->constants);
    replay->constants = constants;
    for (size_t k = 0; k < replay->leaf_count; k++) {
        replay->leaf_slots[k] = new_slot(tape, replay->leaf_slots[k]);
    }
    for (size_t k = 0; k < replay->number_count; k++) {
        replay->number_slots[k] = new_slot(tape, replay->number_slots[k]);
    }
    for (size_t k = 0; k < replay->integer_count; k++) {
        replay->integers[k].slot = new_slot(tape, (int32_t)replay->integers[k].slot);
    }
    for (size_t k = 0; k < replay->output_count; k++) {
        replay->output_slots[k] = new_slot(tape, replay->output_slots[k]);
    }
    for (size_t k = 0; k < replay->guard_count; k++) {
        replay->guards[k].x = new_slot(tape, replay->guards[k].x);
        replay->guards[k].y = new_slot(tape, replay->guards[k].y);
    }
    return 0;
}

static int compare_guards(const void *one, const void *other)
{
    const Guard *x = one, *y = other;
    return x->symbol != y->symbol ? x->symbol - y->symbol : x->outcome - y->outcome;
}

static int sort_guards(Replay *replay)
{
    replay->sorted_guards = PyMem_Malloc((replay->guard_count + 1) * sizeof *replay->sorted_guards);
    if (replay->sorted_guards == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(replay->sorted_guards, replay->guards, replay->guard_count * sizeof *replay->sorted_guards);
    qsort(replay->sorted_guards, replay->guard_count, sizeof *replay->sorted_guards, compare_guards);
    return 0;
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
    PyObject *uniform, *batch, *forward, *constants, *leaves, *leaf_slots, *parts, *number_slots, *integers, *outputs;
    PyObject *guards, *guard_numbers, *outcomes, *engine, *array_type, *zeros;
    Py_ssize_t argument_count, threads;
    int mean, ignore;
    if (!PyArg_ParseTuple(args, "OOOOO!OO!nOOOOOOppnOOO:Replay", &uniform, &batch, &forward, &constants, &PyTuple_Type,
                          &leaves, &leaf_slots, &PyList_Type, &parts, &argument_count, &number_slots, &integers,
                          &outputs, &guards, &guard_numbers, &outcomes, &mean, &ignore, &threads, &engine, &array_type,
                          &zeros)) {
        return NULL;
    }
    if (!is_tape(uniform) || !is_tape(batch) || !is_tape(forward) || threads < 1 || argument_count < 0) {
        PyErr_SetString(PyExc_TypeError, "a damaged recording: expected three tapes, and at least one thread");
        return NULL;
    }
    Replay *replay = (Replay *)type->tp_alloc(type, 0);
    if (replay == NULL) {
        return NULL;
    }
    replay->uniform = (Tape *)Py_NewRef(uniform);
    replay->batch = (Tape *)Py_NewRef(batch);
    replay->forward = (Tape *)Py_NewRef(forward);
    replay->leaves = Py_NewRef(leaves);
    replay->array_type = Py_NewRef(array_type);
    replay->zeros = Py_NewRef(zeros);
    replay->mean = mean != 0;
    replay->ignore = ignore != 0;
    replay->threads = (size_t)threads;
    replay->argument_count = (size_t)argument_count;
    replay->arguments = PyMem_Calloc(replay->argument_count + 1, sizeof(size_t));
    size_t constant_count, number_count;
    if (replay->arguments == NULL) {
        PyErr_NoMemory();
    } else if (copy_array(constants, 8, (void **)&replay->constants, &constant_count, "constants") == 0 &&
               copy_array(leaf_slots, 4, (void **)&replay->leaf_slots, &replay->leaf_count, "leaf_slots") == 0 &&
               copy_array(number_slots, 4, (void **)&replay->number_slots, &replay->number_count, "numbers") == 0 &&
               copy_array(integers, sizeof(IntegerRule), (void **)&replay->integers, &replay->integer_count,
                          "integers") == 0 &&
               copy_array(outputs, 4, (void **)&replay->output_slots, &replay->output_count, "outputs") == 0 &&
               copy_array(guards, sizeof(Guard), (void **)&replay->guards, &replay->guard_count, "guards") == 0 &&
               copy_array(guard_numbers, 4, (void **)&replay->guard_numbers, &number_count, "guard_numbers") == 0 &&
               copy_array(outcomes, 1, (void **)&replay->outcomes, &replay->outcome_count, "outcomes") == 0 &&
               check_guard_numbers(replay, number_count) == 0 &&
               read_parts(replay, parts) == 0 && check_replay(replay) == 0 && read_engine(replay, engine) == 0) {
        if (constant_count == (size_t)replay->uniform->uniform_count &&
            replay->leaf_count == (size_t)PyTuple_GET_SIZE(leaves)) {
            if (reorder_slots_of_replay(replay) == 0 && sort_guards(replay) == 0) {
                return (PyObject *)replay;
            }
        } else {
            PyErr_SetString(PyExc_ValueError,
                            "a damaged recording: expected a number for each slot, and a slot for each leaf");
        }
    }
    Py_DECREF(replay);
    return NULL;
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
    {Py_tp_doc, "Replay(uniform, batch, forward, constants, leaves, leaf_slots, parts, argument_count, number_slots, "
                "integers, outputs, guards, guard_numbers, outcomes, mean, ignore, threads, engine, array_type, zeros, /)"
                "\n--\n\n"
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

static PyMethodDef tree_methods_of_replays[] = {
    {"values", tree_values, METH_O, "values($self, args, /)\n--\n\nReturn the outputs, or NotImplemented."},
    {"backward", tree_backward, METH_O,
     "backward($self, args, /)\n--\n\nReturn the output, and add to the gradients of the leaves; or NotImplemented."},
    {"gradients", tree_gradients, METH_VARARGS,
     "gradients($self, args, positions, weights, /)\n--\n\n"
     "Return the first output, and derivatives with respect to arguments at positions; or NotImplemented."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot tree_slots[] = {
    {Py_tp_doc, "Tree(replays, /)\n--\n\nRecordings for arguments of one structure, from which each sample takes its own."},
    {Py_tp_new, tree_new},
    {Py_tp_dealloc, tree_dealloc},
    {Py_tp_traverse, tree_traverse},
    {Py_tp_methods, tree_methods_of_replays},
    {0, NULL},
};

PyType_Spec tree_spec = {
    .name = "microgrud._native.tape.Tree",
    .basicsize = sizeof(Tree),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = tree_slots,
};
