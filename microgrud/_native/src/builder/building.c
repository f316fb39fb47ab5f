/* The twin of microgrud/tape/building.py: from two graphs of one call to instructions.
 *
 * If the two agree, there are three passes, each linear in the number of operands. The first one gives each node a
 * slot: equal operations on equal operands share a slot, and a result of constants is a constant. The second one goes
 * from the last step to the first, and finds the slots whose exact bits decide a branch. The third one merges sums into
 * sums. Their terms are linked lists, so that a long sum is not copied when it grows at either end.
 */
#include "builder/build.h"

/* The roles of operations in a program. X(identifier, name) */
#define ROLES(X)                                                                                                       \
    X(ORDINARY, "ordinary")                                                                                            \
    X(IDENTITY, "identity")                                                                                            \
    X(MULTIPLY, "multiply")                                                                                            \
    X(ADD, "add")                                                                                                      \
    X(DOT, "dot")                                                                                                      \
    X(JUMP, "jump")                                                                                                    \
    X(WHERE, "where")                                                                                                  \
    X(TAKE, "take")

enum {
#define ENUMERATE(identifier, name) identifier,
    ROLES(ENUMERATE)
#undef ENUMERATE
};

PyObject *names_of_roles(void)
{
#define NAME(identifier, name) , name
#define FORMAT(identifier, name) "s"
    return Py_BuildValue("(" ROLES(FORMAT) ")" ROLES(NAME));
#undef NAME
#undef FORMAT
}

/* A term of a sum (y is -1), or a product. */
typedef struct {
    int32_t x, y, next;
} Cell;

typedef struct {
    int32_t first, last, count; /* of cells; -1 in an empty list */
} Terms;

typedef struct {
    Terms plain, pairs;
    bool is_form, has_merged; /* whether other steps were merged into it */
} Form;

typedef struct {
    const Graph *graph;
    Node *const *again; /* the nodes of the second graph; a leaf that the function makes is another object there */
    const uint8_t *roles; /* of the known operations */
    int32_t linear; /* the code of a sum of products: the last known operation */
    size_t outputs; /* number of ends that are outputs; the others are compared by guards */
    /* the first pass */
    int32_t slots;
    Ints slot_of_node; /* -1 before it has one */
    Ints slot_of_input; /* -1 for one that is not used */
    Ints slot_of_leaf; /* of a leaf that the function closes over, in order */
    Ints slot_of_end, step_of_slot; /* the step may be a negative STEP_ constant below */
    Ints constant_slots;
    Doubles constants;
    HashTable seen_constants, seen_steps;
    Ints step_codes, step_outs, step_starts, step_operands;
    /* the second */
    uint8_t *exact;
    /* the third */
    uint8_t *uses; /* up to 2 */
    uint8_t *dropped;
    Form *forms;
    Cell *cells;
    int32_t cell_count;
    /* the result */
    Ints out_codes, outs, out_starts, out_operands, plains;
} Building;

enum { STEP_CONSTANT = -1, STEP_GIVEN = -2 };

static inline int role_of(const Building *b, int32_t code)
{
    return (size_t)code < b->graph->known ? b->roles[code] : ORDINARY;
}

/* --- slots --- */

static Built new_slot(Building *b, int32_t step, int32_t *slot)
{
    *slot = b->slots++;
    return push_int(&b->step_of_slot, step);
}

/* Find the slot of a constant. 0.0 and -0.0 have different slots; all NaN have the same. */
static Built slot_of_constant(Building *b, double x, int32_t *slot)
{
    Built built = reserve_entry(&b->seen_constants);
    if (built != BUILT) {
        return built;
    }
    const double number = x == x ? x : (double)NAN;
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    Search search = search_for(&b->seen_constants, mixed(0, bits));
    int32_t k;
    while ((k = next_with_hash(&b->seen_constants, &search)) >= 0) {
        const double found = b->constants.items[k];
        if (memcmp(&found, &number, sizeof number) == 0 || (found != found && x != x)) {
            *slot = b->constant_slots.items[k];
            return BUILT;
        }
    }
    add_entry(&b->seen_constants, &search, b->constants.count);
    built = new_slot(b, STEP_CONSTANT, slot);
    if (built == BUILT && (built = push_int(&b->constant_slots, *slot)) == BUILT &&
        (built = reserve_doubles(&b->constants, 1)) == BUILT) {
        put_double(&b->constants, x);
    }
    return built;
}

static Built slot_of_operand(Building *b, int32_t operand, int32_t *slot)
{
    if (operand >= 0) {
        *slot = b->slot_of_node.items[operand];
        return BUILT;
    }
    return slot_of_constant(b, b->graph->numbers.items[-1 - operand], slot);
}

/* Find the slot of the step that was just written: that of an equal step, if there is one, which replaces it. */
static Built slot_of_step(Building *b, int32_t code, double data, int32_t *slot)
{
    const size_t step = b->step_codes.count, start = (size_t)b->step_starts.items[step];
    const size_t count = b->step_operands.count - start;
    const int32_t *places = b->step_operands.items + start;
    uint64_t hash = mixed((uint64_t)code, count);
    bool of_constants = true;
    int32_t last = 0;
    for (size_t k = 0; k < count; k++) {
        last = places[k] > last ? places[k] : last;
        hash = mixed(hash, (uint64_t)places[k]);
        of_constants &= b->step_of_slot.items[places[k]] == STEP_CONSTANT;
    }
    if (of_constants && role_of(b, code) != TAKE) {
        b->step_operands.count = start;
        return slot_of_constant(b, data, slot);
    }
    Search search = search_near(&b->seen_steps, hash, (size_t)last);
    int32_t k;
    while ((k = next_with_hash(&b->seen_steps, &search)) >= 0) {
        const size_t other = (size_t)b->step_starts.items[k];
        if (b->step_codes.items[k] == code && (size_t)b->step_starts.items[k + 1] - other == count &&
            memcmp(b->step_operands.items + other, places, count * sizeof *places) == 0) {
            b->step_operands.count = start;
            *slot = b->step_outs.items[k];
            return BUILT;
        }
    }
    add_entry(&b->seen_steps, &search, step);
    Built built;
    if ((built = new_slot(b, (int32_t)step, slot)) == BUILT && (built = push_int(&b->step_codes, code)) == BUILT &&
        (built = push_int(&b->step_outs, *slot)) == BUILT) {
        built = push_int(&b->step_starts, (int32_t)b->step_operands.count);
    }
    return built;
}

static Built slot_of_operation(Building *b, size_t node, int32_t *slot)
{
    const int32_t *operands = b->graph->operands.items + b->graph->starts.items[node];
    const size_t count = (size_t)(b->graph->starts.items[node + 1] - b->graph->starts.items[node]);
    const int32_t code = b->graph->codes.items[node];
    const int role = role_of(b, code);
    if (role == IDENTITY) {
        return slot_of_operand(b, operands[0], slot);
    }
    if ((role == MULTIPLY && count != 2) || (role == DOT && count % 2 != 1)) {
        return NOT_VALID; /* a node with operands that somebody has assigned */
    }
    Built built = reserve_ints(&b->step_operands, count);
    for (size_t k = 0; k < count && built == BUILT; k++) {
        int32_t place = 0;
        built = slot_of_operand(b, operands[k], &place);
        put_int(&b->step_operands, place);
    }
    return built == BUILT ? slot_of_step(b, code, b->graph->data.items[node], slot) : built;
}

/* Tell whether a node is a leaf that the function closes over: the same one in both graphs. */
static inline bool is_closed_over(const Building *b, size_t node)
{
    return b->graph->codes.items[node] == CODE_LEAF && b->graph->order[node] == b->again[node];
}

static Built slot_of_graph_leaf(Building *b, size_t node, int32_t *slot)
{
    if (!is_closed_over(b, node)) {
        return slot_of_constant(b, b->graph->data.items[node], slot);
    }
    Built built = new_slot(b, STEP_GIVEN, slot);
    return built == BUILT ? push_int(&b->slot_of_leaf, *slot) : built;
}

/* Give the inputs that are used the first slots. */
static Built give_inputs_slots(Building *b)
{
    const size_t nodes = b->graph->codes.count;
    Built built = reserve_ints(&b->slot_of_node, nodes);
    for (size_t node = 0; node < nodes && built == BUILT; node++) {
        put_int(&b->slot_of_node, -1);
    }
    for (size_t k = 0; k < b->graph->inputs.count && built == BUILT; k++) {
        const int32_t node = b->graph->inputs.items[k];
        int32_t slot = -1;
        if (node >= 0 && (built = new_slot(b, STEP_GIVEN, &slot)) == BUILT) {
            b->slot_of_node.items[node] = slot;
        }
        built = built == BUILT ? push_int(&b->slot_of_input, slot) : built;
    }
    return built;
}

static Built give_slots(Building *b)
{
    const Graph *g = b->graph;
    Built built = push_int(&b->step_starts, 0);
    built = built == BUILT ? table_of_size(&b->seen_steps, g->codes.count + 1) : built;
    built = built == BUILT ? give_inputs_slots(b) : built;
    for (size_t node = 0; node < g->codes.count && built == BUILT; node++) {
        int32_t *slot = &b->slot_of_node.items[node];
        if (*slot < 0) {
            built = g->codes.items[node] < 0 ? slot_of_graph_leaf(b, node, slot) : slot_of_operation(b, node, slot);
        }
    }
    for (size_t k = 0; k < b->graph->ends.count && built == BUILT; k++) {
        int32_t slot = 0;
        built = slot_of_operand(b, b->graph->ends.items[k], &slot);
        built = built == BUILT ? push_int(&b->slot_of_end, slot) : built;
    }
    return built;
}

/* --- the slots that decide a branch or a jump --- */

static void find_exact(Building *b)
{
    for (size_t k = b->outputs; k < b->graph->ends.count; k++) {
        b->exact[b->slot_of_end.items[k]] = 1;
    }
    for (size_t step = b->step_codes.count; step-- > 0;) {
        const int role = role_of(b, b->step_codes.items[step]);
        const size_t start = (size_t)b->step_starts.items[step], end = (size_t)b->step_starts.items[step + 1];
        if (b->exact[b->step_outs.items[step]] || role == JUMP) {
            for (size_t k = start; k < end; k++) {
                b->exact[b->step_operands.items[k]] = 1;
            }
        } else if (role == WHERE) {
            b->exact[b->step_operands.items[start]] = 1;
        }
    }
}

/* --- sums of products --- */

static void count_uses(Building *b)
{
    for (size_t k = 0; k < b->step_operands.count; k++) {
        uint8_t *uses = &b->uses[b->step_operands.items[k]];
        *uses = (uint8_t)(*uses + (*uses < 2));
    }
    for (size_t k = 0; k < b->graph->ends.count; k++) {
        b->uses[b->slot_of_end.items[k]] = 2; /* a result that is wanted is not merged */
    }
}

static void append_cell(Building *b, Terms *terms, int32_t x, int32_t y)
{
    const int32_t cell = b->cell_count++;
    b->cells[cell] = (Cell){x, y, -1};
    if (terms->count++ == 0) {
        terms->first = cell;
    } else {
        b->cells[terms->last].next = cell;
    }
    terms->last = cell;
}

static void append_terms(Building *b, Terms *terms, const Terms *others)
{
    if (terms->count == 0) {
        *terms = *others;
    } else if (others->count > 0) {
        b->cells[terms->last].next = others->first;
        terms->last = others->last;
        terms->count += others->count;
    }
}

static inline size_t count_of_step(const Building *b, size_t step)
{
    return (size_t)(b->step_starts.items[step + 1] - b->step_starts.items[step]);
}

/* Return the number of plain terms of a step that is a form, into which nothing was merged. */
static inline size_t plain_of_step(const Building *b, size_t step)
{
    const int role = role_of(b, b->step_codes.items[step]);
    return role == MULTIPLY ? 0 : role == DOT ? 1 : count_of_step(b, step);
}

/* Return the step whose result can be merged into a sum: it is used only there, and is a form. Return -1 if there is
 * none. */
static inline int32_t step_to_merge(const Building *b, int32_t slot)
{
    const int32_t step = b->step_of_slot.items[slot];
    return step >= 0 && b->uses[slot] == 1 && b->forms[step].is_form ? step : -1;
}

static void append_pairs(Building *b, Form *form, const int32_t *factors, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        append_cell(b, &form->pairs, factors[k], factors[count + k]);
    }
}

/* Merge a step into a sum. */
static void merge_step(Building *b, Form *form, size_t step)
{
    Form *merged = &b->forms[step];
    if (merged->has_merged) {
        append_terms(b, &form->plain, &merged->plain);
        append_terms(b, &form->pairs, &merged->pairs);
    } else {
        const int32_t *operands = b->step_operands.items + b->step_starts.items[step];
        const size_t plain = plain_of_step(b, step);
        for (size_t k = 0; k < plain; k++) {
            append_cell(b, &form->plain, operands[k], -1);
        }
        append_pairs(b, form, operands + plain, (count_of_step(b, step) - plain) / 2);
    }
    merged->is_form = false;
    b->dropped[step] = 1;
}

/* Make a step a form, a sum of plain terms and products, and merge operands that are used only here into it. A form
 * without merged operands has the terms of its step, and takes no cells. */
static void make_form(Building *b, size_t step)
{
    const int role = role_of(b, b->step_codes.items[step]);
    if (role != MULTIPLY && role != ADD && role != DOT) {
        return;
    }
    const int32_t *operands = b->step_operands.items + b->step_starts.items[step];
    const size_t plain = plain_of_step(b, step);
    Form form = {{-1, -1, 0}, {-1, -1, 0}, true, false};
    for (size_t k = 0; k < plain; k++) {
        form.has_merged |= step_to_merge(b, operands[k]) >= 0;
    }
    if (form.has_merged) {
        for (size_t k = 0; k < plain; k++) {
            const int32_t from = step_to_merge(b, operands[k]);
            if (from >= 0) {
                merge_step(b, &form, (size_t)from);
            } else {
                append_cell(b, &form.plain, operands[k], -1);
            }
        }
        append_pairs(b, &form, operands + plain, (count_of_step(b, step) - plain) / 2);
    }
    b->forms[step] = form;
}

static void make_forms(Building *b)
{
    count_uses(b);
    for (size_t step = 0; step < b->step_codes.count; step++) {
        if (!b->exact[b->step_outs.items[step]]) {
            make_form(b, step);
        }
    }
}

/* Tell whether a step is written unchanged: a product, or a sum of two numbers without merged operands. */
static bool is_kept(const Building *b, size_t step)
{
    const Form *form = &b->forms[step];
    return !form->is_form || role_of(b, b->step_codes.items[step]) == MULTIPLY ||
           (count_of_step(b, step) == 2 && !form->has_merged);
}

static Built write_instruction(Building *b, size_t step)
{
    const Form *form = &b->forms[step];
    const bool as_it_is = is_kept(b, step);
    const size_t plain = as_it_is ? 0 : form->has_merged ? (size_t)form->plain.count : plain_of_step(b, step);
    const size_t count = form->has_merged ? plain + 2 * (size_t)form->pairs.count : count_of_step(b, step);
    Built built = push_int(&b->out_codes, as_it_is ? b->step_codes.items[step] : b->linear);
    if (built != BUILT || (built = push_int(&b->outs, b->step_outs.items[step])) != BUILT ||
        (built = push_int(&b->plains, (int32_t)plain)) != BUILT ||
        (built = reserve_ints(&b->out_operands, count)) != BUILT) {
        return built;
    }
    if (!form->has_merged) {
        put_ints(&b->out_operands, b->step_operands.items + b->step_starts.items[step], count);
        return push_int(&b->out_starts, (int32_t)b->out_operands.count);
    }
    for (int32_t cell = form->plain.first; cell >= 0; cell = b->cells[cell].next) {
        put_int(&b->out_operands, b->cells[cell].x);
    }
    for (int32_t cell = form->pairs.first; cell >= 0; cell = b->cells[cell].next) {
        put_int(&b->out_operands, b->cells[cell].x);
    }
    for (int32_t cell = form->pairs.first; cell >= 0; cell = b->cells[cell].next) {
        put_int(&b->out_operands, b->cells[cell].y);
    }
    return push_int(&b->out_starts, (int32_t)b->out_operands.count);
}

static Built write_instructions(Building *b)
{
    Built built = push_int(&b->out_starts, 0);
    for (size_t step = 0; step < b->step_codes.count && built == BUILT; step++) {
        if (!b->dropped[step]) {
            built = write_instruction(b, step);
        }
    }
    return built;
}

/* --- the three passes --- */

static Built build_all(Building *b)
{
    Built built = give_slots(b);
    if (built != BUILT) {
        return built;
    }
    const size_t slots = (size_t)b->slots + 1, steps = b->step_codes.count + 1;
    b->exact = PyMem_RawCalloc(slots, 1);
    b->uses = PyMem_RawCalloc(slots, 1);
    b->dropped = PyMem_RawCalloc(steps, 1);
    b->forms = PyMem_RawCalloc(steps, sizeof *b->forms);
    b->cells = PyMem_RawMalloc((b->step_operands.count + 1) * sizeof *b->cells);
    if (b->exact == NULL || b->uses == NULL || b->dropped == NULL || b->forms == NULL || b->cells == NULL) {
        return NO_MEMORY;
    }
    find_exact(b);
    make_forms(b);
    return write_instructions(b);
}

static void free_building(Building *b)
{
    Ints *ints[] = {&b->slot_of_node,   &b->slot_of_leaf, &b->slot_of_end,   &b->step_of_slot, &b->constant_slots,
                    &b->slot_of_input,  &b->step_codes,   &b->step_outs,     &b->step_starts,  &b->step_operands,
                    &b->out_codes,
                    &b->outs,           &b->out_starts,   &b->out_operands,  &b->plains};
    for (size_t k = 0; k < sizeof ints / sizeof *ints; k++) {
        PyMem_RawFree(ints[k]->items);
    }
    PyMem_RawFree(b->constants.items);
    PyMem_RawFree(b->seen_constants.cells);
    PyMem_RawFree(b->seen_steps.cells);
    PyMem_RawFree(b->exact);
    PyMem_RawFree(b->uses);
    PyMem_RawFree(b->dropped);
    PyMem_RawFree(b->forms);
    PyMem_RawFree(b->cells);
}

/* --- two graphs of one call --- */

static bool are_equal_ints(const Ints *x, const Ints *y)
{
    return x->count == y->count && (x->count == 0 || memcmp(x->items, y->items, x->count * sizeof *x->items) == 0);
}

static inline bool are_equal_numbers(double x, double y)
{
    return x == y || (x != x && y != y);
}

/* Tell whether two graphs have the same structure, the same numbers, and the same data in their leaves. */
static bool graphs_agree(const Graph *g, const Graph *h)
{
    bool equal = are_equal_ints(&g->codes, &h->codes) && are_equal_ints(&g->starts, &h->starts) &&
                 are_equal_ints(&g->operands, &h->operands) && are_equal_ints(&g->ends, &h->ends) &&
                 are_equal_ints(&g->inputs, &h->inputs) && g->numbers.count == h->numbers.count &&
                 g->operation_count == h->operation_count &&
                 memcmp(g->operations, h->operations, g->operation_count * sizeof(PyObject *)) == 0;
    for (size_t k = 0; k < g->numbers.count && equal; k++) {
        equal = are_equal_numbers(g->numbers.items[k], h->numbers.items[k]);
    }
    for (size_t node = 0; node < g->codes.count && equal; node++) {
        equal = g->codes.items[node] != CODE_LEAF || are_equal_numbers(g->data.items[node], h->data.items[node]);
    }
    return equal;
}

/* Return the last node that is in both graphs and is not a leaf: it is a result from before the recording. Return NULL
 * if there is none. */
static Node *result_from_outside(const Graph *g, const Graph *h)
{
    for (size_t node = g->codes.count; node-- > 0;) {
        if (g->codes.items[node] != CODE_LEAF && g->order[node] == h->order[node]) {
            return g->order[node];
        }
    }
    return NULL;
}

/* Return the first manually built node; NULL if there is none. */
static Node *first_by_hand(const Graph *g)
{
    for (size_t node = 0; node < g->codes.count; node++) {
        if (g->codes.items[node] == CODE_BY_HAND) {
            return g->order[node];
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

/* Return a list of the leaves that the function closes over. All are held before any Python code runs. */
static PyObject *closed_over_leaves(const Building *b)
{
    PyObject **leaves = PyMem_RawMalloc((b->graph->codes.count + 1) * sizeof *leaves);
    size_t count = 0;
    if (leaves == NULL) {
        return PyErr_NoMemory();
    }
    for (size_t node = 0; node < b->graph->codes.count; node++) {
        if (is_closed_over(b, node)) {
            leaves[count++] = Py_NewRef((PyObject *)b->graph->order[node]);
        }
    }
    PyObject *list = list_of_held(leaves, count);
    PyMem_RawFree(leaves);
    return list;
}

static PyObject *instructions_of(Building *b)
{
    Built built;
    Py_BEGIN_ALLOW_THREADS
    built = build_all(b);
    Py_END_ALLOW_THREADS
    if (built != BUILT) {
        set_build_error(built);
        return NULL;
    }
    return Py_BuildValue("iNNNNNNNNNN", b->slots, bytes_of_ints(&b->slot_of_input), bytes_of_ints(&b->slot_of_leaf),
                         bytes_of_ints(&b->slot_of_end), bytes_of_ints(&b->constant_slots),
                         bytes_of_doubles(&b->constants), bytes_of_ints(&b->out_codes), bytes_of_ints(&b->outs),
                         bytes_of_ints(&b->out_starts), bytes_of_ints(&b->out_operands), bytes_of_ints(&b->plains));
}

/* Return the result of build() for two graphs that agree. The objects in them are held before any Python code runs. */
static PyObject *program_of(Building *b, const Graph *h)
{
    const Graph *g = b->graph;
    Node *outside = result_from_outside(g, h), *by_hand = first_by_hand(g);
    Py_XINCREF((PyObject *)outside);
    Py_XINCREF((PyObject *)by_hand);
    for (size_t k = g->known; k < g->operation_count; k++) {
        Py_INCREF(g->operations[k]);
    }
    PyObject *leaves = closed_over_leaves(b);
    PyObject *others = list_of_held(g->operations + g->known, g->operation_count - g->known);
    PyObject *instructions = leaves == NULL || others == NULL      ? NULL
                             : outside != NULL || by_hand != NULL ? Py_NewRef(Py_None)
                                                                  : instructions_of(b);
    return Py_BuildValue("NNNNnN", outside == NULL ? Py_NewRef(Py_None) : (PyObject *)outside,
                         by_hand == NULL ? Py_NewRef(Py_None) : (PyObject *)by_hand, others, leaves,
                         (Py_ssize_t)g->codes.count, instructions);
}

/* build(known, roles, ends, inputs, ends_again, inputs_again, outputs): see assemble() in building.py. */
PyObject *build_program(PyObject *module, PyObject *args)
{
    PyObject *ends, *inputs, *ends_again, *inputs_again, *known;
    Py_ssize_t outputs, role_count;
    const char *roles;
    if (!PyArg_ParseTuple(args, "O!y#O!O!O!O!n:build", &PyTuple_Type, &known, &roles, &role_count, &PyTuple_Type,
                          &ends, &PyTuple_Type, &inputs, &PyTuple_Type, &ends_again, &PyTuple_Type, &inputs_again,
                          &outputs)) {
        return NULL;
    }
    if (outputs < 0 || outputs > PyTuple_GET_SIZE(ends) || role_count < 1 || role_count != PyTuple_GET_SIZE(known)) {
        PyErr_SetString(PyExc_ValueError, "build: expected outputs among the ends, and a role for each operation");
        return NULL;
    }
    State *state = state_of_module(module);
    Graph graphs[2];
    memset(graphs, 0, sizeof graphs);
    PyObject *result = NULL;
    if (flatten(state, ends, inputs, known, &graphs[0]) &&
        flatten(state, ends_again, inputs_again, known, &graphs[1])) {
        Building b;
        memset(&b, 0, sizeof b);
        b.graph = &graphs[0];
        b.again = graphs[1].order;
        b.roles = (const uint8_t *)roles;
        b.linear = (int32_t)role_count - 1;
        b.outputs = (size_t)outputs;
        result = graphs_agree(&graphs[0], &graphs[1]) ? program_of(&b, &graphs[1]) : Py_NewRef(Py_None);
        free_building(&b);
    }
    free_graph(&graphs[0]);
    free_graph(&graphs[1]);
    return result;
}
