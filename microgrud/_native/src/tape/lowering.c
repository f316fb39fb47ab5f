/* Translate instructions to the interpreter's codes (tape/instructions.h).
 *
 * Instructions that depend only on uniform slots become a program of their own. In the program of the batch, sums over
 * the same numbers wait for each other, and become one product with a matrix.
 */
#include "tape/lowering.h"

#include "tape/blocks.h"
#include "tape/instructions.h"

/* The kinds of instructions, by the interpreter's codes of their operations. */
typedef enum { KIND_SIMPLE, KIND_SUM, KIND_TAKE, KIND_SOFTMAX, KIND_TANH } Kind;

/* The states of a slot of the program so far. */
typedef enum { UNKNOWN = 0, WRITTEN, CONSTANT, INDEX, COMPUTED } SlotState;

/* The smallest numbers that pay: of sums in a matrix, of terms in each sum, and of consecutive slots in a dot. */
enum { FEWEST_ROWS = 2, FEWEST_COLUMNS = 2, FEWEST_PER_DOT = 4 };

/* Sums over the same numbers, which become one matrix; each of them has a plain term, or none has. */
typedef struct {
    size_t count;
    Ints outs, bases, terms, weighted, weights; /* the weighted slots are the same for all rows */
} Rows;

/* All results of a softmax over the same numbers. */
typedef struct {
    int32_t first; /* index of the instruction of the first one */
    size_t outs;   /* where their slots begin in `softmax_outs`; -1 for one that is not used */
} Softmaxes;

typedef struct {
    Program p;
    Lowered *lowered;
    uint8_t *states; /* by slot of the program: a SlotState */
    uint8_t *varies; /* by slot of the program */
    Ints order;      /* of the instructions */
    int32_t zero, next_base;
    Code waiting;
    Rows rows;
    Ints terms, fixed, xs, ys, weighted, weights, fixed_xs, fixed_ys;
    int32_t *met; /* for each slot, the last sum in which it was weighted */
    int32_t sums;
    int32_t *waits; /* for each slot, the number from 1 of the rows that its instruction has waited for; or 0 */
    int32_t flushes;
    int32_t *constant_indices; /* for each slot of a constant, the constant as an index; -1 if it is none */
    Softmaxes *softmaxes; /* in the order of their first instructions */
    size_t softmax_count, softmax_capacity, next_softmax;
    Ints softmax_outs;
    HashTable seen;
} Lowering;

static inline Kind kind_of(const Lowering *l, int32_t code)
{
    switch (l->p.native_codes.items[code]) {
    case CODE_LINEAR:
        return KIND_SUM;
    case CODE_TAKE:
        return KIND_TAKE;
    case CODE_SOFTMAX:
    case CODE_LOG_SOFTMAX:
        return KIND_SOFTMAX;
    case OP_TANH:
        return KIND_TANH;
    default:
        return KIND_SIMPLE;
    }
}

static inline size_t operand_count(const Lowering *l, size_t k)
{
    return (size_t)(l->p.starts.items[k + 1] - l->p.starts.items[k]);
}

static inline const int32_t *operands_of(const Lowering *l, size_t k)
{
    return l->p.operands.items + l->p.starts.items[k];
}

static inline int32_t lowered_slot(const Lowering *l, int32_t slot)
{
    return l->lowered->slots.items[slot];
}

/* Begin an instruction of `count` numbers, which are then put there. */
static Built begin_instruction(Code *code, size_t count)
{
    Built built = reserve_ints(&code->numbers, count);
    return built == BUILT ? push_int(&code->starts, (int32_t)code->numbers.count) : built;
}

/* Return the code that an instruction over varying slots is appended to. While rows wait for a matrix, the instruction
 * waits too. */
static inline Code *code_of_batch(Lowering *l)
{
    return l->rows.count > 0 ? &l->waiting : &l->lowered->batch_code;
}

static void put_lowered(const Lowering *l, Ints *numbers, const int32_t *slots, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        put_int(numbers, lowered_slot(l, slots[k]));
    }
}

/* Put varying slots as indices among themselves. */
static void put_indices(const Lowering *l, Ints *numbers, const Ints *slots)
{
    for (size_t k = 0; k < slots->count; k++) {
        put_int(numbers, slots->items[k] - l->lowered->uniform);
    }
}

static bool are_consecutive(const int32_t *slots, size_t count)
{
    for (size_t k = 1; k < count; k++) {
        if (slots[k] - slots[k - 1] != 1) {
            return false;
        }
    }
    return true;
}

/* Add a sum over uniform slots. Consecutive slots are read eight at a time, others one by one. */
static Built add_sum(Lowering *l, int32_t out, const Ints *plain, const Ints *xs, const Ints *ys)
{
    const size_t pairs = xs->count;
    Ints *numbers = &l->lowered->uniform_code.numbers;
    Built built = begin_instruction(&l->lowered->uniform_code, 6 + plain->count + 2 * pairs);
    if (built != BUILT) {
        return built;
    }
    if (pairs >= FEWEST_PER_DOT && plain->count < 2 && are_consecutive(xs->items, pairs) &&
        are_consecutive(ys->items, pairs) &&
        (xs->items[0] == ys->items[0] || (size_t)labs((long)xs->items[0] - ys->items[0]) >= pairs)) {
        const int32_t bias = plain->count > 0 ? plain->items[0] : l->zero;
        const int32_t dot[] = {CODE_DOT, out, bias, (int32_t)pairs, xs->items[0], ys->items[0]};
        put_ints(numbers, dot, 6);
        return BUILT;
    }
    const int32_t head[] = {CODE_LINEAR, out, (int32_t)plain->count, (int32_t)pairs};
    put_ints(numbers, head, 4);
    put_ints(numbers, plain->items, plain->count);
    put_ints(numbers, xs->items, pairs);
    put_ints(numbers, ys->items, pairs);
    return BUILT;
}

static Built add_simple(Lowering *l, Code *code, int32_t native, int32_t out, const int32_t *slots, size_t count,
                        bool is_take)
{
    Built built = begin_instruction(code, 3 + count);
    if (built == BUILT) {
        const int32_t head[] = {native, lowered_slot(l, out), (int32_t)count - is_take};
        put_ints(&code->numbers, head, 3);
        put_lowered(l, &code->numbers, slots, count);
    }
    return built;
}

/* Add a tanh, with one more slot for its derivative. */
static Built add_tanh(Lowering *l, int32_t out, int32_t x)
{
    Code *code = code_of_batch(l);
    Built built = begin_instruction(code, 5);
    if (built == BUILT) {
        const int32_t slope = l->lowered->uniform + l->lowered->varying++;
        const int32_t numbers[] = {CODE_TANH, lowered_slot(l, out), 1, lowered_slot(l, x), slope};
        put_ints(&code->numbers, numbers, 5);
    }
    return built;
}

/* --- softmax --- */

/* Find the group of softmax results over the same numbers. */
static Built group_of_softmax(Lowering *l, size_t k, int32_t *group)
{
    Built built = reserve_entry(&l->seen);
    if (built != BUILT) {
        return built;
    }
    const int32_t *xs = operands_of(l, k) + 1;
    const size_t count = operand_count(l, k) - 1;
    uint64_t hash = mixed((uint64_t)l->p.codes.items[k], count);
    for (size_t j = 0; j < count; j++) {
        hash = mixed(hash, (uint64_t)xs[j]);
    }
    Search search = search_for(&l->seen, hash);
    while ((*group = next_with_hash(&l->seen, &search)) >= 0) {
        const int32_t other = l->softmaxes[*group].first;
        if (l->p.codes.items[other] == l->p.codes.items[k] &&
            operand_count(l, (size_t)other) - 1 == count &&
            memcmp(operands_of(l, (size_t)other) + 1, xs, count * sizeof *xs) == 0) {
            return BUILT;
        }
    }
    built = reserve_ints(&l->softmax_outs, count);
    if (built == BUILT && l->softmax_count == l->softmax_capacity) {
        built = grow_items((void **)&l->softmaxes, &l->softmax_capacity, l->softmax_count + 1, sizeof *l->softmaxes);
    }
    if (built == BUILT) {
        add_entry(&l->seen, &search, l->softmax_count);
        *group = (int32_t)l->softmax_count;
        l->softmaxes[l->softmax_count++] = (Softmaxes){(int32_t)k, l->softmax_outs.count};
        for (size_t j = 0; j < count; j++) {
            put_int(&l->softmax_outs, -1);
        }
    }
    return built;
}

static Built group_softmaxes(Lowering *l)
{
    Built built = BUILT;
    for (size_t j = 0; j < l->order.count && built == BUILT; j++) {
        const size_t k = (size_t)l->order.items[j];
        if (kind_of(l, l->p.codes.items[k]) != KIND_SOFTMAX) {
            continue;
        }
        const int32_t slot = *operands_of(l, k), index = l->constant_indices[slot];
        if (l->states[slot] != CONSTANT) {
            return NOT_LOWERED;
        }
        if (index < 0 || index >= l->p.starts.items[k + 1] - l->p.starts.items[k] - 1) {
            return NOT_VALID;
        }
        int32_t group = 0;
        if ((built = group_of_softmax(l, k, &group)) == BUILT) {
            int32_t *out = l->softmax_outs.items + l->softmaxes[group].outs + index;
            built = *out < 0 ? BUILT : NOT_LOWERED; /* an instruction has one slot for each result */
            *out = l->p.outs.items[k];
        }
    }
    return built;
}

/* Write one instruction for all results over the same numbers if step k is the first of them, and none otherwise. */
static Built add_softmax(Lowering *l, size_t k, Code *code)
{
    if (l->next_softmax == l->softmax_count || (size_t)l->softmaxes[l->next_softmax].first != k) {
        return BUILT;
    }
    const int32_t *xs = operands_of(l, k) + 1;
    const int32_t *outs = l->softmax_outs.items + l->softmaxes[l->next_softmax++].outs;
    const size_t count = operand_count(l, k) - 1;
    Built built = begin_instruction(code, 2 + 2 * count);
    if (built == BUILT) {
        put_int(&code->numbers, l->p.native_codes.items[l->p.codes.items[k]]);
        put_int(&code->numbers, (int32_t)count);
        for (size_t j = 0; j < count; j++) {
            put_int(&code->numbers, outs[j] < 0 ? -1 : lowered_slot(l, outs[j]));
        }
        put_lowered(l, &code->numbers, xs, count);
    }
    return built;
}

/* --- sums that vary --- */

static Built write_linear(const Lowering *l, Code *code, int32_t out, int32_t base, const Ints *terms,
                          const Ints *weighted, const int32_t *weights, const Ints *xs, const Ints *ys)
{
    Built built = begin_instruction(code, 6 + terms->count + 2 * weighted->count + 2 * xs->count);
    if (built == BUILT) {
        const int32_t head[] = {CODE_LINEAR, out, base, (int32_t)terms->count, (int32_t)weighted->count,
                                (int32_t)xs->count};
        put_ints(&code->numbers, head, 6);
        put_ints(&code->numbers, terms->items, terms->count);
        put_indices(l, &code->numbers, weighted);
        put_ints(&code->numbers, weights, weighted->count);
        put_ints(&code->numbers, xs->items, xs->count);
        put_ints(&code->numbers, ys->items, ys->count);
    }
    return built;
}

static Built write_matrix(Lowering *l)
{
    const Rows *rows = &l->rows;
    Ints *numbers = &l->lowered->batch_code.numbers;
    const size_t count = MATRIX_HEAD + 2 * rows->count + rows->terms.count + rows->weighted.count + rows->weights.count;
    Built built = begin_instruction(&l->lowered->batch_code, count);
    if (built == BUILT) {
        const int32_t *weights = rows->weights.items;
        const size_t columns = rows->weighted.count;
        bool in_rows = true;
        for (size_t r = 0; r < rows->count; r++) {
            in_rows = in_rows && are_consecutive(weights + r * columns, columns);
        }
        const int32_t head[MATRIX_HEAD] = {CODE_MATRIX, (int32_t)rows->count, (int32_t)columns, rows->terms.count > 0,
                                           in_rows};
        put_ints(numbers, head, MATRIX_HEAD);
        put_ints(numbers, rows->outs.items, rows->count);
        put_ints(numbers, rows->bases.items, rows->count);
        put_ints(numbers, rows->terms.items, rows->terms.count);
        put_indices(l, numbers, &rows->weighted);
        put_ints(numbers, rows->weights.items, rows->weights.count);
    }
    return built;
}

/* Append the instructions that have waited for the rows. */
static Built append_waiting(Lowering *l)
{
    Code *batch = &l->lowered->batch_code, *waiting = &l->waiting;
    const int32_t shift = (int32_t)batch->numbers.count;
    Built built = reserve_ints(&batch->numbers, waiting->numbers.count);
    if (built != BUILT || (built = reserve_ints(&batch->starts, waiting->starts.count)) != BUILT) {
        return built;
    }
    put_ints(&batch->numbers, waiting->numbers.items, waiting->numbers.count);
    for (size_t k = 0; k < waiting->starts.count; k++) {
        put_int(&batch->starts, waiting->starts.items[k] + shift);
    }
    waiting->numbers.count = waiting->starts.count = 0;
    return BUILT;
}

/* Write the waiting rows, as a matrix or as sums, and then the instructions that have waited for them. */
static Built flush(Lowering *l)
{
    Rows *rows = &l->rows;
    const Ints none = {NULL, 0, 0};
    Built built = BUILT;
    l->flushes++;
    if (rows->count >= FEWEST_ROWS) {
        built = write_matrix(l);
    } else {
        for (size_t r = 0; r < rows->count && built == BUILT; r++) {
            built = write_linear(l, &l->lowered->batch_code, rows->outs.items[r], rows->bases.items[r], &rows->terms,
                                 &rows->weighted, rows->weights.items + r * rows->weighted.count, &none, &none);
        }
    }
    rows->count = rows->outs.count = rows->bases.count = rows->terms.count = 0;
    rows->weighted.count = rows->weights.count = 0;
    return built == BUILT ? append_waiting(l) : built;
}

/* Let a sum wait for others over the same numbers. Its plain term must not wait itself (`is_late`). */
static Built add_row(Lowering *l, int32_t out, int32_t base, bool is_late)
{
    Rows *rows = &l->rows;
    Built built = BUILT;
    if (rows->count > 0 &&
        (is_late || rows->terms.count != rows->count * l->terms.count || rows->weighted.count != l->weighted.count ||
         memcmp(rows->weighted.items, l->weighted.items, l->weighted.count * sizeof *l->weighted.items) != 0)) {
        built = flush(l);
    }
    if (built == BUILT && rows->count == 0 && (built = reserve_ints(&rows->weighted, l->weighted.count)) == BUILT) {
        put_ints(&rows->weighted, l->weighted.items, l->weighted.count);
    }
    if (built != BUILT || (built = push_int(&rows->outs, out)) != BUILT ||
        (built = push_int(&rows->bases, base)) != BUILT ||
        (l->terms.count > 0 && (built = push_int(&rows->terms, l->terms.items[0])) != BUILT) ||
        (built = reserve_ints(&rows->weights, l->weights.count)) != BUILT) {
        return built;
    }
    put_ints(&rows->weights, l->weights.items, l->weights.count);
    rows->count++;
    return BUILT;
}

/* Find the slot of the uniform part of a sum. */
static Built base_of_sum(Lowering *l, int32_t *base)
{
    const size_t pairs = l->fixed_xs.count;
    if (pairs == 0 && l->fixed.count <= 1) {
        *base = l->fixed.count == 0 ? l->zero : l->fixed.items[0];
        return BUILT;
    }
    *base = l->next_base++;
    return add_sum(l, *base, &l->fixed, &l->fixed_xs, &l->fixed_ys);
}

/* Sort the terms of a sum by which of their factors vary. *distinct tells whether no slot is weighted twice. */
static Built sort_terms(Lowering *l, size_t k, bool *distinct)
{
    const int32_t *operands = operands_of(l, k);
    const size_t count = operand_count(l, k), plain = (size_t)l->p.plains.items[k];
    const size_t pairs = (count - plain) / 2;
    Ints *lists[] = {&l->terms, &l->fixed, &l->xs, &l->ys, &l->weighted, &l->weights, &l->fixed_xs, &l->fixed_ys};
    for (size_t j = 0; j < sizeof lists / sizeof *lists; j++) {
        lists[j]->count = 0;
        Built built = reserve_ints(lists[j], j < 2 ? plain : pairs);
        if (built != BUILT) {
            return built;
        }
    }
    for (size_t j = 0; j < plain; j++) {
        put_int(l->varies[operands[j]] ? &l->terms : &l->fixed, lowered_slot(l, operands[j]));
    }
    *distinct = true;
    l->sums++;
    for (size_t j = 0; j < pairs; j++) {
        const int32_t first = operands[plain + j], second = operands[plain + pairs + j];
        const int32_t x = lowered_slot(l, first), y = lowered_slot(l, second);
        if (l->varies[first] && l->varies[second]) {
            put_int(&l->xs, x);
            put_int(&l->ys, y);
        } else if (l->varies[first] || l->varies[second]) {
            const int32_t slot = l->varies[first] ? first : second;
            *distinct &= l->met[slot] != l->sums;
            l->met[slot] = l->sums;
            put_int(&l->weighted, l->varies[first] ? x : y);
            put_int(&l->weights, l->varies[first] ? y : x);
        } else {
            put_int(&l->fixed_xs, x);
            put_int(&l->fixed_ys, y);
        }
    }
    return BUILT;
}

static Built add_linear(Lowering *l, size_t k, bool varies)
{
    const int32_t out = lowered_slot(l, l->p.outs.items[k]);
    bool distinct = false, is_late = false;
    int32_t base = 0;
    Built built = sort_terms(l, k, &distinct);
    for (int32_t j = 0; j < l->p.plains.items[k]; j++) {
        is_late |= l->waits[operands_of(l, k)[j]] > l->flushes;
    }
    if (built == BUILT && !varies) {
        return add_sum(l, out, &l->fixed, &l->fixed_xs, &l->fixed_ys);
    }
    if (built != BUILT || (built = base_of_sum(l, &base)) != BUILT) {
        return built;
    }
    if (l->terms.count <= 1 && l->xs.count == 0 && l->weighted.count >= FEWEST_COLUMNS && distinct) {
        return add_row(l, out, base, is_late);
    }
    return write_linear(l, code_of_batch(l), out, base, &l->terms, &l->weighted, l->weights.items, &l->xs, &l->ys);
}

/* --- slots and instructions --- */

/* Find the varying slots, and renumber all slots: uniform ones first; results of instructions last, in their order. */
static Built renumber(Lowering *l)
{
    size_t uniform = 0, bases = 0;
    for (size_t k = 0; k < l->p.codes.count; k++) {
        uint8_t *varies = &l->varies[l->p.outs.items[k]];
        *varies = 0;
        for (int32_t j = l->p.starts.items[k]; j < l->p.starts.items[k + 1]; j++) {
            *varies |= l->varies[l->p.operands.items[j]];
        }
        bases += *varies && kind_of(l, l->p.codes.items[k]) == KIND_SUM;
    }
    for (size_t slot = 0; slot < l->p.slots; slot++) {
        uniform += !l->varies[slot];
    }
    const size_t most = SIZE_MAX / (32 * BLOCK * sizeof(double)); /* the size of a block with its adjoints fits */
    if (l->p.slots + bases >= (most < MOST_ITEMS / 2 ? most : MOST_ITEMS / 2)) { /* a tanh has two slots */
        return TOO_LARGE;
    }
    l->next_base = (int32_t)uniform;
    l->lowered->uniform = (int32_t)(uniform + bases + 1);
    l->zero = l->lowered->uniform - 1;
    l->lowered->varying = (int32_t)(l->p.slots - uniform);
    int32_t counts[] = {0, l->lowered->uniform};
    Built built = schedule(&l->p, l->varies, &l->order);
    if (built != BUILT || (built = reserve_ints(&l->lowered->slots, l->p.slots)) != BUILT) {
        return built;
    }
    for (size_t slot = 0; slot < l->p.slots; slot++) {
        const bool is_result = l->varies[slot] && l->states[slot] == COMPUTED;
        put_int(&l->lowered->slots, is_result ? -1 : counts[l->varies[slot]]++);
    }
    for (size_t k = 0; k < l->order.count; k++) {
        const int32_t out = l->p.outs.items[l->order.items[k]];
        if (l->varies[out]) {
            l->lowered->slots.items[out] = counts[true]++;
        }
    }
    return BUILT;
}

static Built add_by_kind(Lowering *l, size_t k)
{
    const int32_t code = l->p.codes.items[k], out = l->p.outs.items[k], *operands = operands_of(l, k);
    const size_t count = operand_count(l, k);
    const bool varies = l->varies[out];
    switch (kind_of(l, code)) {
    case KIND_SUM:
        return add_linear(l, k, varies);
    case KIND_SOFTMAX:
        return add_softmax(l, k, varies ? code_of_batch(l) : &l->lowered->uniform_code);
    case KIND_TANH:
        if (varies) {
            return add_tanh(l, out, operands[0]);
        }
        break;
    default:
        break;
    }
    return add_simple(l, varies ? code_of_batch(l) : &l->lowered->uniform_code, l->p.native_codes.items[code], out,
                      operands, count, kind_of(l, code) == KIND_TAKE);
}

static Built add_instruction(Lowering *l, size_t k)
{
    const Built built = add_by_kind(l, k);
    const int32_t out = l->p.outs.items[k];
    l->waits[out] = l->varies[out] && l->rows.count > 0 ? l->flushes + 1 : 0;
    return built;
}

/* --- the check --- */

/* Tell whether slots exist and were written to. */
static bool are_read(const Lowering *l, const int32_t *slots, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        if (slots[k] < 0 || (size_t)slots[k] >= l->p.slots || l->states[slots[k]] == UNKNOWN) {
            return false;
        }
    }
    return true;
}

/* Mark slots as written. With `or_unused`, -1 stands for a slot that is not used. Return false if a slot does not
 * exist, or has been written to before. */
static bool mark_written(const Lowering *l, const int32_t *slots, size_t count, SlotState state, bool or_unused)
{
    for (size_t k = 0; k < count; k++) {
        if (slots[k] < (or_unused ? -1 : 0) || slots[k] >= (int64_t)l->p.slots ||
            (slots[k] >= 0 && l->states[slots[k]] != UNKNOWN)) {
            return false;
        }
        if (slots[k] >= 0) {
            l->states[slots[k]] = (uint8_t)state;
        }
    }
    return true;
}

/* Tell whether an operation takes `count` operands, which were all written to. */
static bool operands_fit(const Lowering *l, int32_t native, const int32_t *operands, size_t count, int32_t plain)
{
    const size_t arity = native == CODE_DETACH ? 1 : native < OP_COUNT ? arity_of((Op)native) : 0;
    switch (native) {
    case CODE_LINEAR:
        return plain >= 0 && (size_t)plain <= count && (count - (size_t)plain) % 2 == 0;
    case CODE_TAKE: /* the index is an argument: the caller checks no other index against the number of items */
        return count >= 2 && l->states[operands[0]] == INDEX;
    default:
        return arity == 0 || count == arity;
    }
}

/* Tell whether a number is -1, or the code of an operation that the tapes run: as in OPERATION_CODES of module.c. */
static bool is_native_code(int32_t code)
{
    switch (code) {
    case -1:
    case CODE_LINEAR:
    case CODE_TAKE:
    case CODE_DETACH:
    case CODE_SOFTMAX:
    case CODE_LOG_SOFTMAX:
        return true;
    default:
        return code >= 0 && code < OP_COUNT && runs_on_tapes((Op)code);
    }
}

static Built check_instruction(const Lowering *l, size_t k)
{
    const Program *p = &l->p;
    const int32_t code = p->codes.items[k], start = p->starts.items[k], end = p->starts.items[k + 1];
    const int32_t *operands = p->operands.items + start;
    if (code < 0 || start >= end || (size_t)end > p->operands.count || p->outs.items[k] < 0 ||
        !are_read(l, operands, (size_t)(end - start))) {
        return NOT_VALID;
    }
    if ((size_t)code >= p->native_codes.count || p->native_codes.items[code] < 0) {
        return NOT_LOWERED;
    }
    return operands_fit(l, p->native_codes.items[code], operands, (size_t)(end - start), p->plains.items[k]) &&
                   mark_written(l, p->outs.items + k, 1, COMPUTED, false)
               ? BUILT
               : NOT_VALID;
}

/* Check that the arrays are those of a program: every slot is written to once, before it is read, and operations fit
 * their operands. */
static Built check_program(const Lowering *l)
{
    const Program *p = &l->p;
    const size_t count = p->codes.count;
    if (p->outs.count != count || p->plains.count != count || p->starts.count != count + 1 ||
        p->starts.items[0] != 0 || (size_t)p->starts.items[count] != p->operands.count || p->guards.count % 4 != 0 ||
        !mark_written(l, p->constant_slots.items, p->constant_slots.count, CONSTANT, false) ||
        !mark_written(l, p->leaves.items, p->leaves.count, WRITTEN, false) ||
        !mark_written(l, p->arguments.items, p->numbers, WRITTEN, true) ||
        !mark_written(l, p->arguments.items + p->numbers, p->arguments.count - p->numbers, INDEX, true)) {
        return NOT_VALID;
    }
    Built built = BUILT;
    for (size_t k = 0; k < p->native_codes.count && built == BUILT; k++) {
        built = is_native_code(p->native_codes.items[k]) ? BUILT : NOT_VALID;
    }
    for (size_t k = 0; k < count && built == BUILT; k++) {
        built = check_instruction(l, k);
    }
    bool fine = are_read(l, p->outputs.items, p->outputs.count);
    for (size_t k = 0; k < p->guards.count && fine; k += 4) {
        const Guard *guard = (const Guard *)(const void *)(p->guards.items + k);
        fine = are_read(l, &guard->x, 1) && are_read(l, &guard->y, 1) && guard->symbol >= Py_LT &&
               guard->symbol <= Py_GE && (guard->outcome == 0 || guard->outcome == 1);
    }
    return built == BUILT && !fine ? NOT_VALID : built;
}

/* --- the whole program --- */

static Built lower_all(Lowering *l)
{
    const Program *p = &l->p;
    l->states = PyMem_RawCalloc(p->slots + 1, 1);
    l->varies = PyMem_RawCalloc(p->slots + 1, 1);
    l->met = PyMem_RawCalloc(p->slots + 1, sizeof *l->met);
    l->waits = PyMem_RawCalloc(p->slots + 1, sizeof *l->waits);
    l->constant_indices = PyMem_RawMalloc((p->slots + 1) * sizeof *l->constant_indices);
    if (l->states == NULL || l->varies == NULL || l->met == NULL || l->waits == NULL ||
        l->constant_indices == NULL) {
        return NO_MEMORY;
    }
    Built built = check_program(l);
    for (size_t k = 0; k < p->constant_slots.count && built == BUILT; k++) {
        const double x = p->constants[k];
        l->constant_indices[p->constant_slots.items[k]] = x >= 0.0 && x < MOST_ITEMS ? (int32_t)x : -1;
    }
    for (size_t k = 0; k < p->arguments.count && built == BUILT; k++) {
        if (p->arguments.items[k] >= 0) {
            l->varies[p->arguments.items[k]] = p->varies[k] != 0;
        }
    }
    built = built == BUILT ? renumber(l) : built;
    built = built == BUILT ? group_softmaxes(l) : built;
    for (size_t k = 0; k < l->order.count && built == BUILT; k++) {
        built = add_instruction(l, (size_t)l->order.items[k]);
    }
    return built == BUILT ? flush(l) : built;
}

Built lower(const Program *program, Lowered *lowered)
{
    Lowering l;
    memset(&l, 0, sizeof l);
    l.p = *program;
    l.lowered = lowered;
    const Built built = lower_all(&l);
    Ints *ints[] = {&l.waiting.numbers, &l.waiting.starts, &l.rows.outs,    &l.rows.bases,       &l.rows.terms,
                    &l.rows.weighted,   &l.rows.weights,   &l.terms,        &l.fixed,            &l.xs,
                    &l.ys,              &l.weighted,       &l.weights,      &l.fixed_xs,         &l.fixed_ys,
                    &l.softmax_outs,     &l.order};
    for (size_t k = 0; k < sizeof ints / sizeof *ints; k++) {
        PyMem_RawFree(ints[k]->items);
    }
    PyMem_RawFree(l.states);
    PyMem_RawFree(l.varies);
    PyMem_RawFree(l.met);
    PyMem_RawFree(l.waits);
    PyMem_RawFree(l.constant_indices);
    PyMem_RawFree(l.softmaxes);
    PyMem_RawFree(l.seen.cells);
    return built;
}
