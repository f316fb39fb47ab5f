/* The twin of microgrud/tape/building.py: from a flattened graph to instructions.
 *
 * There are three passes, each linear in the number of operands. The first one gives each node a slot: equal operations
 * on equal operands share a slot, and a result of constants is a constant. The second one goes from the last step to
 * the first, and finds the slots whose exact bits decide a branch. The third one merges sums into sums. Their terms are
 * linked lists, so that a long sum is not copied when it grows at either end.
 */
#include "builder/build.h"

/* The roles of operations, as in building.py. */
enum { ORDINARY, IDENTITY, MULTIPLY, ADD, DOT, JUMP, WHERE, TAKE };

enum { SLOT_OF_LEAF = -1, SLOT_OF_CONSTANT = -2 }; /* in place of the slot of an argument */

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
    /* the recording */
    GivenInts codes, starts, operands, leaf_slots, ends;
    const double *numbers, *data;
    size_t number_count;
    const int8_t *roles;
    size_t role_count;
    int32_t linear; /* the code of a sum of products */
    size_t outputs; /* number of ends that are outputs; the others are compared by guards */
    /* the first pass */
    int32_t slots;
    Ints slot_of_node, slot_of_leaf, slot_of_end, step_of_slot; /* -1: a constant, -2: a leaf or an argument */
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
    return (size_t)code < b->role_count ? b->roles[code] : ORDINARY;
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
    return slot_of_constant(b, b->numbers[-1 - operand], slot);
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
    const int32_t *operands = b->operands.items + b->starts.items[node];
    const size_t count = (size_t)(b->starts.items[node + 1] - b->starts.items[node]);
    const int32_t code = b->codes.items[node];
    if (role_of(b, code) == IDENTITY) {
        return slot_of_operand(b, operands[0], slot);
    }
    Built built = reserve_ints(&b->step_operands, count);
    for (size_t k = 0; k < count && built == BUILT; k++) {
        int32_t place = 0;
        built = slot_of_operand(b, operands[k], &place);
        put_int(&b->step_operands, place);
    }
    return built == BUILT ? slot_of_step(b, code, b->data[node], slot) : built;
}

static Built slot_of_given_leaf(Building *b, size_t node, int32_t given, int32_t *slot)
{
    *slot = given;
    Built built = given == SLOT_OF_LEAF       ? new_slot(b, STEP_GIVEN, slot)
                  : given == SLOT_OF_CONSTANT ? slot_of_constant(b, b->data[node], slot)
                                              : BUILT;
    return built == BUILT ? push_int(&b->slot_of_leaf, *slot) : built;
}

static Built give_slots(Building *b)
{
    Built built = push_int(&b->step_starts, 0);
    built = built == BUILT ? table_of_size(&b->seen_steps, b->codes.count + 1) : built;
    for (size_t k = 0; k < b->leaf_slots.count && built == BUILT; k++) { /* those of the arguments come first */
        int32_t slot;
        if (b->leaf_slots.items[k] >= 0) {
            built = new_slot(b, STEP_GIVEN, &slot);
        }
    }
    size_t leaf = 0;
    for (size_t node = 0; node < b->codes.count && built == BUILT; node++) {
        int32_t slot = 0;
        built = b->codes.items[node] < 0 ? slot_of_given_leaf(b, node, b->leaf_slots.items[leaf++], &slot)
                                         : slot_of_operation(b, node, &slot);
        built = built == BUILT ? push_int(&b->slot_of_node, slot) : built;
    }
    for (size_t k = 0; k < b->ends.count && built == BUILT; k++) {
        int32_t slot = 0;
        built = slot_of_operand(b, b->ends.items[k], &slot);
        built = built == BUILT ? push_int(&b->slot_of_end, slot) : built;
    }
    return built;
}

/* --- the slots that decide a branch or a jump --- */

static void find_exact(Building *b)
{
    for (size_t k = b->outputs; k < b->ends.count; k++) {
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
    for (size_t k = 0; k < b->ends.count; k++) {
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

/* --- all of it --- */

/* Tell whether the arrays are those of a recording: no index in them is out of bounds. */
static bool recording_is_valid(const Building *b)
{
    const size_t nodes = b->codes.count;
    size_t leaves = 0, arguments = 0;
    if (b->starts.count != nodes + 1 || b->starts.items[0] != 0 || b->outputs > b->ends.count ||
        (size_t)b->starts.items[nodes] != b->operands.count) {
        return false;
    }
    for (size_t node = 0; node < nodes; node++) {
        const int32_t start = b->starts.items[node], end = b->starts.items[node + 1];
        const int32_t code = b->codes.items[node];
        leaves += code < 0;
        if (end < start || (size_t)end > b->operands.count || (code < 0) != (start == end) || code < -1) {
            return false;
        }
        for (int32_t k = start; k < end; k++) {
            const int64_t operand = b->operands.items[k];
            if (operand >= (int64_t)node || -1 - operand >= (int64_t)b->number_count) {
                return false;
            }
        }
        const int role = code < 0 ? ORDINARY : role_of(b, code);
        if ((role == MULTIPLY && end - start != 2) || (role == DOT && (end - start) % 2 != 1)) {
            return false;
        }
    }
    for (size_t k = 0; k < b->leaf_slots.count; k++) {
        arguments += b->leaf_slots.items[k] >= 0;
    }
    for (size_t k = 0; k < b->leaf_slots.count; k++) {
        if (b->leaf_slots.items[k] < SLOT_OF_CONSTANT || b->leaf_slots.items[k] >= (int64_t)arguments) {
            return false;
        }
    }
    for (size_t k = 0; k < b->ends.count; k++) {
        const int64_t end = b->ends.items[k];
        if (end >= (int64_t)nodes || -1 - end >= (int64_t)b->number_count) {
            return false;
        }
    }
    return leaves == b->leaf_slots.count;
}

static Built build_all(Building *b)
{
    if (!recording_is_valid(b)) {
        return NOT_VALID;
    }
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
                    &b->step_codes,     &b->step_outs,    &b->step_starts,   &b->step_operands, &b->out_codes,
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

/* build(codes, starts, operands, numbers, data, leaf_slots, ends, roles, outputs, linear): see building.py. */
PyObject *build_program(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer v[8];
    Py_ssize_t outputs;
    int linear;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*y*y*ni:build", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7],
                          &outputs, &linear)) {
        return NULL;
    }
    Building b;
    memset(&b, 0, sizeof b);
    b.codes = ints_of_view(&v[0]);
    b.starts = ints_of_view(&v[1]);
    b.operands = ints_of_view(&v[2]);
    b.numbers = v[3].buf;
    b.number_count = (size_t)v[3].len / sizeof(double);
    b.data = v[4].buf;
    b.leaf_slots = ints_of_view(&v[5]);
    b.ends = ints_of_view(&v[6]);
    b.roles = v[7].buf;
    b.role_count = (size_t)v[7].len;
    b.outputs = (size_t)outputs;
    b.linear = linear;
    Built built = (size_t)v[4].len / sizeof(double) == b.codes.count ? BUILT : NOT_VALID;
    if (built == BUILT) {
        Py_BEGIN_ALLOW_THREADS
        built = build_all(&b);
        Py_END_ALLOW_THREADS
    }
    PyObject *result = NULL;
    if (built != BUILT) {
        set_build_error(built);
    } else {
        result = Py_BuildValue("iNNNNNNNNN", b.slots, bytes_of_ints(&b.slot_of_leaf), bytes_of_ints(&b.slot_of_end),
                               bytes_of_ints(&b.constant_slots), bytes_of_doubles(&b.constants),
                               bytes_of_ints(&b.out_codes), bytes_of_ints(&b.outs), bytes_of_ints(&b.out_starts),
                               bytes_of_ints(&b.out_operands), bytes_of_ints(&b.plains));
    }
    free_building(&b);
    for (int k = 0; k < 8; k++) {
        PyBuffer_Release(&v[k]);
    }
    return result;
}
