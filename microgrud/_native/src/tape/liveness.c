/* The instructions of a batch for runs without a backward pass: a slot is reused for a later result once its last
 * reader is done.
 */
#include "tape/instructions.h"
#include "tape/lowering.h"

/* The results and the operands of an instruction. */
typedef struct {
    int32_t *outs;
    size_t out_count;
    struct {
        int32_t *slots;
        size_t count;
        int32_t first; /* the slot that is written as 0 there */
    } reads[3];
    int32_t *scratch; /* a slot that only the backward pass reads; NULL if there is none */
} References;

typedef struct {
    const Lowered *lowered;
    Code *code;
    uint8_t *kept; /* by varying slot: it keeps its number to the end */
    int32_t *last; /* the last instruction that reads it; -1 if there is none */
    int32_t *given; /* its new slot */
    Ints idle;      /* new slots that are free again */
    int32_t slots, scratch;
} Liveness;

enum { NOBODY = -1 };

/* Return the slots of an instruction. */
static References references_of(const Liveness *l, size_t k)
{
    int32_t *code = l->code->numbers.items + l->code->starts.items[k];
    const int32_t uniform = l->lowered->uniform;
    References found = {code + 1, 1, {{code + 3, 0, uniform}, {NULL, 0, uniform}, {NULL, 0, 0}}, NULL};
    switch (code[0]) {
    case CODE_LINEAR: {
        const size_t plain = (size_t)code[3], weighted = (size_t)code[4];
        found.reads[0].slots = code + 6;
        found.reads[0].count = plain;
        found.reads[1].slots = code + 6 + plain + 2 * weighted;
        found.reads[1].count = 2 * (size_t)code[5];
        found.reads[2].slots = code + 6 + plain;
        found.reads[2].count = weighted;
        break;
    }
    case CODE_MATRIX:
        found.outs = code + 3;
        found.out_count = (size_t)code[1];
        found.reads[2].slots = code + 3 + 2 * found.out_count;
        found.reads[2].count = (size_t)code[2];
        break;
    case CODE_SOFTMAX:
    case CODE_LOG_SOFTMAX:
        found.outs = code + 2;
        found.out_count = found.reads[0].count = (size_t)code[1];
        found.reads[0].slots = code + 2 + found.out_count;
        break;
    default:
        found.reads[0].count = (size_t)code[2] + (code[0] == CODE_TAKE);
        found.scratch = code[0] == CODE_TANH ? code + 4 : NULL;
    }
    return found;
}

/* Find the last instruction that reads each slot. */
static void find_last_reads(Liveness *l)
{
    for (int32_t slot = 0; slot < l->lowered->varying; slot++) {
        l->last[slot] = l->given[slot] = NOBODY;
    }
    for (size_t k = 0; k < l->code->starts.count; k++) {
        const References found = references_of(l, k);
        for (int j = 0; j < 3; j++) {
            for (size_t i = 0; i < found.reads[j].count; i++) {
                const int32_t slot = found.reads[j].slots[i] - found.reads[j].first;
                if (slot >= 0) {
                    l->last[slot] = (int32_t)k;
                }
            }
        }
    }
}

static int32_t take_idle(Liveness *l)
{
    return l->idle.count > 0 ? l->idle.items[--l->idle.count] : l->slots++;
}

static Built release(Liveness *l, int32_t slot)
{
    return l->kept[slot] ? BUILT : push_int(&l->idle, l->given[slot]);
}

/* Rewrite an instruction. Its results get slots before those of its operands are freed: no instruction writes where it
 * reads. */
static Built redirect(Liveness *l, size_t k)
{
    const int32_t uniform = l->lowered->uniform;
    const References found = references_of(l, k);
    Built built = BUILT;
    for (size_t i = 0; i < found.out_count; i++) {
        if (found.outs[i] >= 0) {
            l->given[found.outs[i] - uniform] = take_idle(l);
        }
    }
    if (found.scratch != NULL) {
        l->scratch = l->scratch == NOBODY ? l->slots++ : l->scratch;
        *found.scratch = uniform + l->scratch;
    }
    for (int j = 0; j < 3; j++) {
        for (size_t i = 0; i < found.reads[j].count && built == BUILT; i++) {
            const int32_t slot = found.reads[j].slots[i] - found.reads[j].first;
            if (slot < 0) {
                continue; /* uniform */
            }
            found.reads[j].slots[i] = l->given[slot] + found.reads[j].first;
            if (l->last[slot] == (int32_t)k) {
                l->last[slot] = NOBODY - 1; /* it may be read twice here */
                built = release(l, slot);
            }
        }
    }
    for (size_t i = 0; i < found.out_count && built == BUILT; i++) {
        if (found.outs[i] >= 0) {
            const int32_t slot = found.outs[i] - uniform;
            found.outs[i] = uniform + l->given[slot];
            built = l->last[slot] == NOBODY ? release(l, slot) : BUILT;
        }
    }
    return built;
}

static void keep(Liveness *l, int32_t slot)
{
    if (slot >= l->lowered->uniform) {
        l->kept[slot - l->lowered->uniform] = 1;
    }
}

static Built reuse_all(Liveness *l, const Tape *batch)
{
    Built built = BUILT;
    find_last_reads(l);
    for (size_t k = 0; k < batch->outputs; k++) {
        keep(l, batch->output_slots[k]);
    }
    for (size_t k = 0; k < batch->guards; k++) {
        keep(l, batch->guard_list[k].x);
        keep(l, batch->guard_list[k].y);
    }
    for (size_t k = 0; k < batch->inputs; k++) {
        keep(l, batch->input_slots[k]);
        l->given[batch->input_slots[k] - l->lowered->uniform] = l->slots++;
    }
    for (size_t k = 0; k < l->code->starts.count && built == BUILT; k++) {
        built = redirect(l, k);
    }
    return built;
}

Built reuse_slots(const Lowered *lowered, const Tape *batch, Code *code, int32_t *slots, int32_t *varying)
{
    const size_t count = (size_t)lowered->varying;
    const Ints *numbers = &lowered->batch.numbers, *starts = &lowered->batch.starts;
    Liveness l = {lowered, code, NULL, NULL, slots + lowered->uniform, {NULL, 0, 0}, 0, NOBODY};
    l.kept = PyMem_RawCalloc(count + 1, 1);
    l.last = PyMem_RawMalloc((count + 1) * sizeof *l.last);
    Built built = l.kept == NULL || l.last == NULL ? NO_MEMORY : reserve_ints(&code->numbers, numbers->count);
    if (built == BUILT && (built = reserve_ints(&code->starts, starts->count)) == BUILT) {
        put_ints(&code->numbers, numbers->items, numbers->count);
        put_ints(&code->starts, starts->items, starts->count);
        built = reuse_all(&l, batch);
        for (int32_t slot = 0; slot < lowered->uniform + lowered->varying; slot++) {
            slots[slot] = slot < lowered->uniform ? slot : slots[slot] + lowered->uniform;
        }
        *varying = l.slots;
    }
    PyMem_RawFree(l.idle.items);
    PyMem_RawFree(l.kept);
    PyMem_RawFree(l.last);
    return built;
}
