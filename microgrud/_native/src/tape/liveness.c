/* The instructions of a batch for runs without a backward pass: a slot is reused for a later result once its last
 * reader is done.
 */
#include "tape/instructions.h"
#include "tape/lowering.h"

typedef struct {
    const Lowered *lowered;
    Code *code;
    uint8_t *kept; /* by varying slot: it keeps its number to the end */
    int32_t *last; /* the last instruction that reads it; -1 if there is none */
    int32_t *given; /* its new slot */
    Ints idle;      /* new slots that are free again */
    int32_t slots, scratch;
} Liveness;

enum { NOBODY = -1, RELEASED = -2 }; /* in place of the last instruction that reads a slot */

/* Return the number that is written for the first varying slot. */
static int32_t first_varying(const Liveness *l, Role role)
{
    return role == PLACE ? 0 : l->lowered->uniform;
}

/* Find the last instruction that reads each slot. */
static void find_last_reads(Liveness *l)
{
    for (int32_t slot = 0; slot < l->lowered->varying; slot++) {
        l->last[slot] = l->given[slot] = NOBODY;
    }
    for (size_t k = 0; k < l->code->starts.count; k++) {
        const int32_t *code = l->code->numbers.items + l->code->starts.items[k];
        Stretch stretches[MOST_STRETCHES];
        const size_t count = stretches_of(code, false, stretches);
        for (const Stretch *s = stretches + 1; s < stretches + count; s++) {
            for (size_t j = s->first; s->role != SCRATCH && j < s->first + s->count; j++) {
                const int32_t slot = code[j] - first_varying(l, s->role);
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

/* Rewrite an instruction. Its results get slots before those of its operands are freed, so that no instruction writes a
 * slot that it reads. */
static Built redirect(Liveness *l, size_t k)
{
    const int32_t uniform = l->lowered->uniform;
    int32_t *code = l->code->numbers.items + l->code->starts.items[k];
    Stretch stretches[MOST_STRETCHES];
    const size_t count = stretches_of(code, false, stretches);
    const size_t results = stretches[0].first, end = results + stretches[0].count;
    Built built = BUILT;
    for (size_t j = results; j < end; j++) {
        if (code[j] >= 0) {
            l->given[code[j] - uniform] = take_idle(l);
        }
    }
    if (code[0] == CODE_TANH) {
        l->scratch = l->scratch == NOBODY ? l->slots++ : l->scratch;
        code[4] = uniform + l->scratch;
    }
    for (const Stretch *s = stretches + 1; s < stretches + count; s++) {
        for (size_t j = s->first; s->role != SCRATCH && j < s->first + s->count && built == BUILT; j++) {
            const int32_t slot = code[j] - first_varying(l, s->role);
            if (slot < 0) {
                continue; /* uniform */
            }
            code[j] = l->given[slot] + first_varying(l, s->role);
            if (l->last[slot] == (int32_t)k) {
                l->last[slot] = RELEASED; /* it may be read twice here */
                built = release(l, slot);
            }
        }
    }
    for (size_t j = results; j < end && built == BUILT; j++) {
        if (code[j] >= 0) {
            const int32_t slot = code[j] - uniform;
            code[j] = uniform + l->given[slot];
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
    const Ints *numbers = &lowered->batch_code.numbers, *starts = &lowered->batch_code.starts;
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
