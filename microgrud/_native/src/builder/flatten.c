/* The recorded graph as arrays.
 *
 * Nodes are numbered in topological order: depth first along the operands, from first to last, each node after its
 * operands, as in microgrud/engine/value.py. During the walk a node holds its number, so that the number of an operand
 * is found without a look-up: 25 ns per node. An operand that is a number is written as -1 minus its index among the
 * numbers.
 *
 * The walk calls no Python code. Whatever it has found is referenced before any Python code runs.
 */
#include "builder/build.h"
#include "engine/node.h"

#define ON_THE_WAY UINT32_MAX /* the mark of a node some of whose operands are not written */

enum { CODE_LEAF = -1, CODE_BY_HAND = -2 };

typedef struct {
    Node *node;
    size_t seen; /* operands */
} Step;

typedef struct {
    State *state;
    Node **order;
    size_t order_capacity;
    Step *stack;
    size_t depth, stack_capacity;
    Ints codes, starts, operands, ends, leaves;
    Doubles numbers, data;
    int32_t table_codes[OP_COUNT]; /* of the engine's operations; -1 if not known */
    PyObject **operations;         /* the known ones, and then others as they are met; borrowed */
    size_t operation_count, operation_capacity, known;
    HashTable seen; /* operations */
    bool cyclic;
} Flattening;

/* Write the code of an Operation to *code: its index among the known ones, or after them. */
static Built code_of_operation(Flattening *f, PyObject *operation, int32_t *code)
{
    Built built = reserve_entry(&f->seen);
    if (built != BUILT) {
        return built;
    }
    Search search = search_for(&f->seen, mixed(0, (uint64_t)(uintptr_t)operation));
    while ((*code = next_with_hash(&f->seen, &search)) >= 0) {
        if (f->operations[*code] == operation) {
            return BUILT;
        }
    }
    if (f->operation_count == f->operation_capacity) {
        built = grow_items((void **)&f->operations, &f->operation_capacity, f->operation_count + 1, sizeof(PyObject *));
        if (built != BUILT) {
            return built;
        }
    }
    add_entry(&f->seen, &search, f->operation_count);
    *code = (int32_t)f->operation_count;
    f->operations[f->operation_count++] = operation;
    return BUILT;
}

static Built code_of_node(Flattening *f, const Node *node, int32_t *code)
{
    if (node->count == 0) {
        *code = CODE_LEAF;
        return push_int(&f->leaves, (int32_t)f->codes.count);
    }
    *code = CODE_BY_HAND;
    if (has_closure(node)) {
        return BUILT;
    }
    if (node->op != OP_NONE && f->table_codes[node->op] >= 0) {
        *code = f->table_codes[node->op];
        return BUILT;
    }
    PyObject *operation = operation_object(f->state, node);
    return PyUnicode_Check(operation) ? BUILT : code_of_operation(f, operation, code);
}

/* Write a node whose operands are written. */
static Built write_node(Flattening *f, Node *node)
{
    const size_t count = count_of(node), number = f->codes.count;
    int32_t code;
    Built built = code_of_node(f, node, &code);
    if (number == f->order_capacity && built == BUILT) {
        built = grow_items((void **)&f->order, &f->order_capacity, number + 1, sizeof *f->order);
    }
    if (built != BUILT || (built = reserve_ints(&f->operands, count)) != BUILT ||
        (built = reserve_doubles(&f->numbers, count)) != BUILT || (built = reserve_doubles(&f->data, 1)) != BUILT ||
        (built = push_int(&f->starts, (int32_t)f->operands.count)) != BUILT ||
        (built = push_int(&f->codes, code)) != BUILT) {
        return built;
    }
    for (size_t k = 0; k < count; k++) {
        double x = 0.0;
        Node *operand = operand_of(node, k, &x);
        if (operand == NULL) {
            put_int(&f->operands, (int32_t)(-1 - (int64_t)f->numbers.count));
            put_double(&f->numbers, x);
            continue;
        }
        f->cyclic |= operand->progress == ON_THE_WAY;
        put_int(&f->operands, (int32_t)(operand->progress - 1));
    }
    put_double(&f->data, node->data);
    f->order[number] = node;
    node->progress = (uint32_t)number + 1;
    return BUILT;
}

/* Put a node on the stack, or write it if it has no operands. */
static Built visit(Flattening *f, Node *node)
{
    if (node->count == 0) {
        return write_node(f, node);
    }
    if (f->depth == f->stack_capacity) {
        Built built = grow_items((void **)&f->stack, &f->stack_capacity, f->depth + 1, sizeof *f->stack);
        if (built != BUILT) {
            return built;
        }
    }
    node->progress = ON_THE_WAY;
    f->stack[f->depth++] = (Step){node, 0};
    return BUILT;
}

static Built flatten_from(Flattening *f, Node *root)
{
    Built built = root->progress == 0 ? visit(f, root) : BUILT;
    while (f->depth > 0 && built == BUILT) {
        Step *step = &f->stack[f->depth - 1];
        const size_t count = count_of(step->node);
        Node *below = NULL;
        while (step->seen < count && below == NULL) {
            double number = 0.0;
            below = operand_of(step->node, step->seen++, &number);
            below = below != NULL && below->progress == 0 ? below : NULL;
        }
        if (below != NULL) {
            built = visit(f, below);
        } else {
            built = write_node(f, step->node);
            f->depth -= built == BUILT;
        }
    }
    return built;
}

static Built flatten_ends(Flattening *f, PyObject *ends)
{
    const Py_ssize_t count = PyTuple_GET_SIZE(ends);
    Built built = BUILT;
    for (Py_ssize_t k = 0; k < count && built == BUILT; k++) {
        PyObject *end = PyTuple_GET_ITEM(ends, k);
        built = PyFloat_CheckExact(end) ? BUILT : flatten_from(f, as_node(end));
    }
    if (built != BUILT || (built = push_int(&f->starts, (int32_t)f->operands.count)) != BUILT ||
        (built = reserve_ints(&f->ends, (size_t)count)) != BUILT) {
        return built;
    }
    for (Py_ssize_t k = 0; k < count && built == BUILT; k++) {
        PyObject *end = PyTuple_GET_ITEM(ends, k);
        if (!PyFloat_CheckExact(end)) {
            put_int(&f->ends, (int32_t)(as_node(end)->progress - 1));
        } else if ((built = reserve_doubles(&f->numbers, 1)) == BUILT) {
            put_int(&f->ends, (int32_t)(-1 - (int64_t)f->numbers.count));
            put_double(&f->numbers, PyFloat_AS_DOUBLE(end));
        }
    }
    return built;
}

/* Give the known operations their indices as codes. */
static Built add_known_operations(Flattening *f, PyObject *known)
{
    Built built = BUILT;
    for (int op = 0; op < OP_COUNT; op++) {
        f->table_codes[op] = -1;
    }
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(known) && built == BUILT; k++) {
        PyObject *operation = PyTuple_GET_ITEM(known, k);
        int32_t code;
        built = code_of_operation(f, operation, &code);
        for (int op = 0; op < OP_COUNT && built == BUILT; op++) {
            if (f->state->operations[op] == operation) {
                f->table_codes[op] = code;
            }
        }
    }
    f->known = f->operation_count;
    return built;
}

/* Return the first manually built node, borrowed; NULL if there is none. */
static Node *first_by_hand(const Flattening *f)
{
    for (size_t k = 0; k < f->codes.count; k++) {
        if (f->codes.items[k] == CODE_BY_HAND) {
            return f->order[k];
        }
    }
    return NULL;
}

/* Return a list of objects, which takes over their references. */
static PyObject *list_of_held(PyObject **objects, size_t count)
{
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t k = 0; k < count; k++) {
        if (list == NULL) {
            Py_DECREF(objects[k]);
        } else {
            PyList_SET_ITEM(list, (Py_ssize_t)k, objects[k]);
        }
    }
    return list;
}

/* Return the result. The marks are gone, and no Python code has run since the walk. */
static PyObject *flattened(Flattening *f)
{
    const size_t leaf_count = f->leaves.count, others = f->operation_count - f->known;
    PyObject **leaves = PyMem_RawMalloc((leaf_count + 1) * sizeof *leaves);
    if (leaves == NULL) {
        return PyErr_NoMemory();
    }
    for (size_t k = 0; k < leaf_count; k++) {
        leaves[k] = Py_NewRef(f->order[f->leaves.items[k]]);
    }
    for (size_t k = f->known; k < f->operation_count; k++) {
        Py_INCREF(f->operations[k]);
    }
    Node *node = first_by_hand(f);
    PyObject *by_hand = Py_NewRef(node == NULL ? Py_None : (PyObject *)node);
    PyObject *results[] = {
        list_of_held(leaves, leaf_count),
        list_of_held(f->operations + f->known, others),
        by_hand,
        bytes_of_ints(&f->codes),
        bytes_of_ints(&f->starts),
        bytes_of_ints(&f->operands),
        bytes_of_doubles(&f->numbers),
        bytes_of_doubles(&f->data),
        bytes_of_ints(&f->leaves),
        bytes_of_ints(&f->ends),
        PyBytes_FromStringAndSize((const char *)f->order, (Py_ssize_t)(f->codes.count * sizeof *f->order)),
    };
    enum { COUNT = sizeof results / sizeof *results };
    PyMem_RawFree(leaves);
    bool whole = true;
    for (int k = 0; k < COUNT; k++) {
        whole &= results[k] != NULL;
    }
    PyObject *tuple = whole ? PyTuple_New(COUNT) : NULL;
    for (int k = 0; k < COUNT; k++) {
        if (tuple != NULL) {
            PyTuple_SET_ITEM(tuple, k, results[k]);
        } else {
            Py_XDECREF(results[k]);
        }
    }
    return tuple;
}

/* flatten(ends, known): return the fields of microgrud.tape.graph.Graph as a tuple. */
PyObject *flatten(PyObject *module, PyObject *args)
{
    State *state = state_of_module(module);
    PyObject *ends, *known;
    if (!PyArg_ParseTuple(args, "O!O!:flatten", &PyTuple_Type, &ends, &PyTuple_Type, &known)) {
        return NULL;
    }
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(ends); k++) {
        PyObject *end = PyTuple_GET_ITEM(ends, k);
        if (!PyFloat_CheckExact(end) && !is_value(state, end)) {
            PyErr_Format(PyExc_TypeError, "flatten: expected Values and floats, got an object of type %.200s",
                         Py_TYPE(end)->tp_name);
            return NULL;
        }
    }
    Flattening f;
    memset(&f, 0, sizeof f);
    f.state = state;
    Built built = add_known_operations(&f, known);
    if (built == BUILT) {
        built = flatten_ends(&f, ends);
    }
    for (size_t k = 0; k < f.codes.count; k++) {
        f.order[k]->progress = 0;
    }
    for (size_t k = 0; k < f.depth; k++) {
        f.stack[k].node->progress = 0;
    }
    PyObject *result = NULL;
    if (built != BUILT) {
        set_build_error(built);
    } else if (f.cyclic) {
        PyErr_SetString(PyExc_ValueError, "compile: a node depends on itself; expected a graph without cycles");
    } else {
        result = flattened(&f);
    }
    PyMem_RawFree(f.order);
    PyMem_RawFree(f.stack);
    PyMem_RawFree(f.operations);
    PyMem_RawFree(f.seen.cells);
    Ints *ints[] = {&f.codes, &f.starts, &f.operands, &f.ends, &f.leaves};
    for (size_t k = 0; k < sizeof ints / sizeof *ints; k++) {
        PyMem_RawFree(ints[k]->items);
    }
    PyMem_RawFree(f.numbers.items);
    PyMem_RawFree(f.data.items);
    return result;
}
