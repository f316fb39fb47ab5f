/* The recorded graph as arrays.
 *
 * Nodes are numbered in topological order: depth first along the operands, from first to last, each node after its
 * operands, as in microgrud/engine/value.py. During the walk a node holds its number, so that the number of an operand
 * is found without a look-up: 25 ns per node.
 *
 * The walk calls no Python code. The caller takes references to the objects that the walk has found before any
 * Python code runs.
 */
#include "builder/build.h"

#define ON_THE_WAY UINT32_MAX /* marks a node that still has operands to be written */

typedef struct {
    Node *node;
    size_t seen; /* operands */
} Step;

typedef struct {
    State *state;
    Graph *graph;
    Step *stack;
    size_t depth, stack_capacity;
    int32_t table_codes[OP_COUNT]; /* of the engine's operations; -1 if not known */
    bool cyclic;
} Flattening;

/* Write the code of an Operation to *code: its index among the known ones, or after them. */
static Built code_of_operation(Graph *g, PyObject *operation, int32_t *code)
{
    Built built = reserve_entry(&g->seen);
    if (built != BUILT) {
        return built;
    }
    Search search = search_for(&g->seen, mixed(0, (uint64_t)(uintptr_t)operation));
    while ((*code = next_with_hash(&g->seen, &search)) >= 0) {
        if (g->operations[*code] == operation) {
            return BUILT;
        }
    }
    if (g->operation_count == g->operation_capacity) {
        built = grow_items((void **)&g->operations, &g->operation_capacity, g->operation_count + 1, sizeof(PyObject *));
        if (built != BUILT) {
            return built;
        }
    }
    add_entry(&g->seen, &search, g->operation_count);
    *code = (int32_t)g->operation_count;
    g->operations[g->operation_count++] = operation;
    return BUILT;
}

static Built code_of_node(Flattening *f, const Node *node, int32_t *code)
{
    if (node->count == 0) {
        *code = CODE_LEAF;
        return BUILT;
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
    return PyUnicode_Check(operation) ? BUILT : code_of_operation(f->graph, operation, code);
}

/* Write a node whose operands are written. */
static Built write_node(Flattening *f, Node *node)
{
    Graph *g = f->graph;
    const size_t count = count_of(node), number = g->codes.count;
    int32_t code;
    Built built = code_of_node(f, node, &code);
    if (number == g->order_capacity && built == BUILT) {
        built = grow_items((void **)&g->order, &g->order_capacity, number + 1, sizeof *g->order);
    }
    if (built != BUILT || (built = reserve_ints(&g->operands, count)) != BUILT ||
        (built = reserve_doubles(&g->numbers, count)) != BUILT || (built = reserve_doubles(&g->data, 1)) != BUILT ||
        (built = push_int(&g->starts, (int32_t)g->operands.count)) != BUILT ||
        (built = push_int(&g->codes, code)) != BUILT) {
        return built;
    }
    for (size_t k = 0; k < count; k++) {
        double x = 0.0;
        Node *operand = operand_of(node, k, &x);
        if (operand == NULL) {
            put_int(&g->operands, (int32_t)(-1 - (int64_t)g->numbers.count));
            put_double(&g->numbers, x);
            continue;
        }
        f->cyclic |= operand->progress == ON_THE_WAY;
        put_int(&g->operands, (int32_t)(operand->progress - 1));
    }
    put_double(&g->data, node->data);
    g->order[number] = node;
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

static Built flatten_ends(Flattening *f, PyObject *ends, PyObject *inputs)
{
    Graph *g = f->graph;
    const Py_ssize_t count = PyTuple_GET_SIZE(ends);
    Built built = BUILT;
    for (Py_ssize_t k = 0; k < count && built == BUILT; k++) {
        PyObject *end = PyTuple_GET_ITEM(ends, k);
        built = PyFloat_CheckExact(end) ? BUILT : flatten_from(f, as_node(end));
    }
    if (built != BUILT || (built = push_int(&g->starts, (int32_t)g->operands.count)) != BUILT ||
        (built = reserve_ints(&g->ends, (size_t)count)) != BUILT) {
        return built;
    }
    for (Py_ssize_t k = 0; k < count && built == BUILT; k++) {
        PyObject *end = PyTuple_GET_ITEM(ends, k);
        if (!PyFloat_CheckExact(end)) {
            put_int(&g->ends, (int32_t)(as_node(end)->progress - 1));
        } else if ((built = reserve_doubles(&g->numbers, 1)) == BUILT) {
            put_int(&g->ends, (int32_t)(-1 - (int64_t)g->numbers.count));
            put_double(&g->numbers, PyFloat_AS_DOUBLE(end));
        }
    }
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(inputs) && built == BUILT; k++) {
        built = push_int(&g->inputs, (int32_t)((int64_t)as_node(PyTuple_GET_ITEM(inputs, k))->progress - 1));
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
        built = code_of_operation(f->graph, operation, &code);
        for (int op = 0; op < OP_COUNT && built == BUILT; op++) {
            if (f->state->operations[op] == operation) {
                f->table_codes[op] = code;
            }
        }
    }
    f->graph->known = f->graph->operation_count;
    return built;
}

static bool are_values(State *state, PyObject *objects, bool or_floats)
{
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(objects); k++) {
        PyObject *object = PyTuple_GET_ITEM(objects, k);
        if (!is_value(state, object) && !(or_floats && PyFloat_CheckExact(object))) {
            PyErr_Format(PyExc_TypeError, "build: expected Values and floats, got an object of type %.200s",
                         Py_TYPE(object)->tp_name);
            return false;
        }
    }
    return true;
}

bool flatten(State *state, PyObject *ends, PyObject *inputs, PyObject *known, Graph *graph)
{
    if (!are_values(state, ends, true) || !are_values(state, inputs, false)) {
        return false;
    }
    Flattening f;
    memset(&f, 0, sizeof f);
    f.state = state;
    f.graph = graph;
    Built built = add_known_operations(&f, known);
    built = built == BUILT ? flatten_ends(&f, ends, inputs) : built;
    for (size_t k = 0; k < graph->codes.count; k++) {
        graph->order[k]->progress = 0;
    }
    for (size_t k = 0; k < f.depth; k++) {
        f.stack[k].node->progress = 0;
    }
    PyMem_RawFree(f.stack);
    if (built != BUILT) {
        set_build_error(built);
    } else if (f.cyclic) {
        PyErr_SetString(PyExc_ValueError, "compile: a node depends on itself; expected a graph without cycles");
    }
    return built == BUILT && !f.cyclic;
}

void free_graph(Graph *graph)
{
    Ints *ints[] = {&graph->codes, &graph->starts, &graph->operands, &graph->ends, &graph->inputs};
    for (size_t k = 0; k < sizeof ints / sizeof *ints; k++) {
        PyMem_RawFree(ints[k]->items);
    }
    PyMem_RawFree(graph->order);
    PyMem_RawFree(graph->operations);
    PyMem_RawFree(graph->seen.cells);
    PyMem_RawFree(graph->numbers.items);
    PyMem_RawFree(graph->data.items);
}
