/* The construction of a Subgraph: a walk from the outputs, which ends at the inputs.
 *
 * While it goes on, nodes that depend on an input have the flag VARIABLE, and, once finished, their place plus 1 in
 * `progress`; for other nodes `progress` is the number of uses within the graph plus 1. No Python code runs, so that
 * nobody sees these marks.
 */
#include "engine/subgraph.h"

static Node *item(PyObject *list, Py_ssize_t k)
{
    return as_node(PyList_GET_ITEM(list, k));
}

typedef struct {
    Subgraph *graph;
    uint64_t generation; /* nodes that are older depend on no input */
    Nodes others; /* visited nodes that depend on no input */
} Walk;

/* Give a node that depends on an input its place, once its operands have theirs. */
static int place_node(Subgraph *graph, Node *node, size_t end)
{
    if (graph->nodes.count >= ABSENT || end >= ABSENT || append_to(&graph->nodes, node) < 0) {
        return -1;
    }
    size_t count = graph->nodes.count;
    if (count > graph->ends_capacity && grow((void **)&graph->ends, &graph->ends_capacity, sizeof *graph->ends) < 0) {
        graph->nodes.count--;
        return -1;
    }
    graph->ends[count - 1] = (uint32_t)end;
    node->flags |= VARIABLE;
    node->progress = (uint32_t)count;
    return 0;
}

/* Finish a node: note the places of its operands, and count the uses of those that depend on no input. */
static int finish(void *context, Node *node)
{
    Walk *walk = context;
    Subgraph *graph = walk->graph;
    size_t begin = begin_of(graph, graph->nodes.count);
    size_t count = is_older(node, walk->generation) ? 0 : count_of(node);
    bool depends = (node->flags & VARIABLE) != 0;
    while (begin + count > graph->places_capacity) {
        if (grow((void **)&graph->places, &graph->places_capacity, sizeof *graph->places) < 0) {
            return -1;
        }
    }
    for (size_t k = 0; k < count; k++) {
        double number = 0.0;
        Node *operand = operand_of(node, k, &number);
        bool operand_depends = operand != NULL && (operand->flags & VARIABLE);
        graph->places[begin + k] = operand_depends ? operand->progress - 1 : ABSENT;
        depends |= operand_depends;
        if (operand != NULL && !operand_depends) {
            operand->progress++;
        }
    }
    if (!depends) {
        node->progress = 1;
        return append_to(&walk->others, node);
    }
    graph->widest = count > graph->widest ? count : graph->widest;
    return place_node(graph, node, begin + count);
}

/* Return the first of the other nodes with more references than uses, which are `progress` less 1. */
static Node *find_outside(const Nodes *others, PyObject *outputs)
{
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(outputs); k++) {
        Node *output = item(outputs, k);
        output->progress += !(output->flags & VARIABLE); /* the reference of the list */
    }
    for (size_t k = 0; k < others->count; k++) {
        if (Py_REFCNT(others->items[k]) >= (Py_ssize_t)others->items[k]->progress) {
            return others->items[k];
        }
    }
    return NULL;
}

/* Return the places of the nodes of a list. */
static uint32_t *places_of(PyObject *list)
{
    uint32_t *places = PyMem_New(uint32_t, (size_t)PyList_GET_SIZE(list));
    for (Py_ssize_t k = 0; places != NULL && k < PyList_GET_SIZE(list); k++) {
        Node *node = item(list, k);
        places[k] = node->flags & VARIABLE && node->progress != 0 ? node->progress - 1 : ABSENT;
    }
    return places;
}

/* Find the nodes. Return -1, without an exception, if there is no memory. */
static int find_nodes(Walk *walk, PyObject *outputs, PyObject *inputs, bool ends_at_inputs)
{
    Subgraph *graph = walk->graph;
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(inputs); k++) {
        Node *input = item(inputs, k);
        bool is_new = !(input->flags & VARIABLE);
        input->flags |= VARIABLE;
        if (ends_at_inputs && is_new && place_node(graph, input, 0) < 0) {
            return -1;
        }
    }
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(outputs); k++) {
        if (walk_order(graph->state, item(outputs, k), walk->generation, finish, walk) < 0) {
            return -1;
        }
    }
    graph->outside = Py_XNewRef(find_outside(&walk->others, outputs));
    graph->outputs = places_of(outputs);
    graph->inputs = places_of(inputs);
    graph->output_count = (size_t)PyList_GET_SIZE(outputs);
    graph->input_count = (size_t)PyList_GET_SIZE(inputs);
    return graph->outputs == NULL || graph->inputs == NULL ? -1 : 0;
}

/* Remove the marks, and take references to the nodes of the graph. */
static void end_walk(Walk *walk, PyObject *inputs)
{
    for (size_t k = 0; k < walk->others.count; k++) {
        walk->others.items[k]->progress = 0;
    }
    Nodes *others = &walk->others;
    give_spare(walk->graph->state, SPARE_OTHERS, others->items, others->capacity, sizeof *others->items);
    for (size_t k = 0; k < walk->graph->nodes.count; k++) {
        Node *node = walk->graph->nodes.items[k];
        Py_INCREF(node);
        node->progress = 0;
        node->flags &= (uint8_t)~VARIABLE;
    }
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(inputs); k++) { /* those that the walk has not met */
        item(inputs, k)->flags &= (uint8_t)~VARIABLE;
    }
}

static PyObject *subgraph_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    State *state = PyType_GetModuleState(type);
    PyObject *outputs, *inputs;
    int ends_at_inputs;
    unsigned long long generation = 0;
    if (state == NULL ||
        !PyArg_ParseTuple(args, "O!O!p|K:Subgraph", &PyList_Type, &outputs, &PyList_Type, &inputs, &ends_at_inputs,
                          &generation) ||
        !is_list_of_values(state, outputs) || !is_list_of_values(state, inputs)) {
        return NULL;
    }
    Subgraph *self = (Subgraph *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->state = state;
    /* After a node was given operands, older ones may depend on an input through it. */
    Walk walk = {.graph = self, .generation = generation > state->mutated ? generation : 0};
    take_spare(state, SPARE_OTHERS, (void **)&walk.others.items, &walk.others.capacity);
    take_spare(state, SPARE_ORDER, (void **)&self->nodes.items, &self->nodes.capacity);
    take_spare(state, SPARE_ENDS, (void **)&self->ends, &self->ends_capacity);
    take_spare(state, SPARE_PLACES, (void **)&self->places, &self->places_capacity);
    int status = find_nodes(&walk, outputs, inputs, ends_at_inputs != 0);
    end_walk(&walk, inputs);
    if (status < 0) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    self->outside = self->outside != NULL ? self->outside : Py_NewRef(Py_None);
    return (PyObject *)self;
}

static void subgraph_dealloc(PyObject *object)
{
    Subgraph *self = (Subgraph *)object;
    PyTypeObject *type = Py_TYPE(object);
    for (size_t k = 0; k < self->nodes.count; k++) {
        Py_DECREF(self->nodes.items[k]);
    }
    Py_XDECREF(self->outside);
    give_spare(self->state, SPARE_ORDER, self->nodes.items, self->nodes.capacity, sizeof *self->nodes.items);
    give_spare(self->state, SPARE_ENDS, self->ends, self->ends_capacity, sizeof *self->ends);
    give_spare(self->state, SPARE_PLACES, self->places, self->places_capacity, sizeof *self->places);
    PyMem_Free(self->outputs);
    PyMem_Free(self->inputs);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef subgraph_methods[] = {
    {"pull_back", (PyCFunction)(void (*)(void))subgraph_pull_back, METH_FASTCALL,
     "pull_back($self, output, as_numbers, /)\n--\n\nReturn the derivative of an output with respect to each input."},
    {"push_forward", (PyCFunction)(void (*)(void))subgraph_push_forward, METH_FASTCALL,
     "push_forward($self, tangents, as_numbers, /)\n--\n\nReturn the tangent of each output."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef subgraph_members[] = {
    {"outside", T_OBJECT, offsetof(Subgraph, outside), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot subgraph_slots[] = {
    {Py_tp_doc, "Subgraph(outputs, inputs, ends_at_inputs, generation=0)\n--\n\n"
                "The nodes that outputs depend on and that depend on inputs; see microgrud.autodiff.subgraph."},
    {Py_tp_new, subgraph_new},
    {Py_tp_dealloc, subgraph_dealloc},
    {Py_tp_methods, subgraph_methods},
    {Py_tp_members, subgraph_members},
    {0, NULL},
};

PyType_Spec subgraph_spec = {
    .name = "microgrud._native.engine.Subgraph",
    .basicsize = sizeof(Subgraph),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = subgraph_slots,
};
