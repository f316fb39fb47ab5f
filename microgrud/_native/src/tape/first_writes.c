/* First writes: where a backward pass can assign an adjoint instead of adding to it. Only the other adjoints have to be
 * cleared before the pass; clearing takes a twentieth of its time.
 *
 * An instruction is skipped if its adjoint is always 0, or if it depends on the inputs through steps alone. Most of
 * what leads to a selection is of this kind: the distances to all centres, of which the least is chosen.
 */
#include "tape/instructions.h"

typedef struct {
    Tape *tape;
    /* by index among the varying slots */
    bool *touched; /* their adjoints hold a number */
    bool *active;  /* they depend on inputs or leaves, and not through steps alone */
    bool *reached; /* an output depends on them so */
} Touches;

/* Return the operands, as bits, on which the result of a simple operation depends by a derivative. */
static unsigned differentiable(const int32_t *code)
{
    return is_step(code[0]) ? 0 : code[0] == OP_WHERE || code[0] == OP_GATE ? ~1u : ~0u;
}

static bool is_simple(const int32_t *code)
{
    return code[0] < OP_LAST_TERNARY || code[0] == CODE_TANH;
}

static bool is_active(const Touches *touches, int32_t slot)
{
    const int32_t own = slot - touches->tape->uniform_count;
    return own < 0 ? !touches->tape->is_constant[slot] : touches->active[own];
}

/* Tell whether the result of a sum depends on inputs or leaves. */
static bool sum_is_active(const Touches *touches, const int32_t *code)
{
    const Linear f = read_linear(code);
    bool active = is_active(touches, f.base);
    for (size_t k = 0; k < f.plain; k++) {
        active |= is_active(touches, f.terms[k]);
    }
    for (size_t k = 0; k < f.weighted; k++) {
        active |= touches->active[f.v[k]] || is_active(touches, f.u[k]);
    }
    for (size_t k = 0; k < f.products; k++) {
        active |= is_active(touches, f.x[k]) || is_active(touches, f.y[k]);
    }
    return active;
}

static void find_active(Touches *touches)
{
    const Tape *tape = touches->tape;
    for (size_t k = 0; k < tape->inputs; k++) {
        if (tape->input_slots[k] >= 0) {
            touches->active[tape->input_slots[k] - tape->uniform_count] = true;
        }
    }
    for (size_t k = 0; k < tape->count; k++) {
        const int32_t *code = tape->code + tape->starts[k];
        bool active = code[0] == CODE_LINEAR ? sum_is_active(touches, code) : code[0] != CODE_DETACH;
        if (is_simple(code)) {
            active = false;
            for (int32_t j = 0; j < code[2]; j++) {
                active |= (differentiable(code) >> j & 1) && is_active(touches, code[3 + j]);
            }
        }
        Stretch stretches[MOST_STRETCHES];
        stretches_of(code, false, stretches); /* the results come first */
        for (size_t j = 0; j < stretches[0].count; j++) {
            const int32_t slot = code[stretches[0].first + j];
            if (slot >= tape->uniform_count) {
                touches->active[slot - tape->uniform_count] = active;
            }
        }
    }
}

/* Note that an output depends on a slot, if the slot is active. */
static void reach(Touches *touches, int32_t slot)
{
    const int32_t own = slot - touches->tape->uniform_count;
    if (own >= 0 && touches->active[own]) {
        touches->reached[own] = true;
    }
}

/* Tell whether an output depends on a result of an instruction. If so, it depends on the operands. */
static bool passes_on(Touches *touches, const int32_t *code)
{
    const int32_t uniform = touches->tape->uniform_count;
    Stretch stretches[MOST_STRETCHES];
    const size_t count = stretches_of(code, false, stretches);
    bool passes = false;
    for (size_t k = 0; k < stretches[0].count; k++) {
        const int32_t slot = code[stretches[0].first + k];
        passes |= slot >= uniform && touches->reached[slot - uniform];
    }
    for (const Stretch *s = stretches + 1; passes && s < stretches + count; s++) {
        for (size_t k = 0; k < s->count; k++) {
            if (!is_simple(code) || (differentiable(code) >> k & 1)) {
                reach(touches, code[s->first + k] + (s->role == PLACE ? uniform : 0));
            }
        }
    }
    return passes;
}

/* Tell whether a slot varies and its adjoint holds no number yet; mark that it holds one from now on. */
static bool touches_first(Touches *touches, int32_t slot)
{
    const int32_t own = slot - touches->tape->uniform_count;
    if (own < 0 || touches->touched[own]) {
        return false;
    }
    touches->touched[own] = true;
    return true;
}

/* Have an adjoint cleared before the pass, unless something is written to it earlier. */
static void clear_first(Touches *touches, int32_t slot)
{
    if (slot >= 0 && touches_first(touches, slot)) {
        touches->tape->cleared_slots[touches->tape->cleared++] = slot;
    }
}

static void clear_all_first(Touches *touches, const int32_t *slots, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        clear_first(touches, slots[k]);
    }
}

/* Return 1 if all of these slots, given as indices among the varying ones, are written here first, each of them once.
 */
static uint8_t all_first(Touches *touches, const int32_t *v, size_t n)
{
    const int32_t uniform = touches->tape->uniform_count;
    size_t first = 0;
    while (first < n && touches_first(touches, v[first] + uniform)) {
        first++;
    }
    if (first == n) {
        return 1;
    }
    for (size_t k = 0; k < first; k++) { /* undo the marks */
        touches->touched[v[k]] = false;
    }
    for (size_t k = 0; k < n; k++) {
        clear_first(touches, v[k] + uniform);
    }
    return 0;
}

static uint8_t first_writes_of(Touches *touches, const int32_t *code)
{
    if (!passes_on(touches, code)) {
        return SKIPPED;
    }
    uint8_t first = 0;
    if (is_simple(code)) {
        clear_first(touches, code[1]);
        for (int32_t k = 0; k < code[2]; k++) {
            const bool wanted = (differentiable(code) >> k & 1) && is_active(touches, code[3 + k]);
            first |= (uint8_t)(wanted ? touches_first(touches, code[3 + k]) << k : 1 << (k + UNWANTED));
        }
        return first;
    }
    Stretch stretches[MOST_STRETCHES];
    const size_t count = stretches_of(code, false, stretches);
    for (const Stretch *s = stretches; s < stretches + count; s++) {
        if (s->role == PLACE) {
            first = all_first(touches, code + s->first, s->count);
        } else {
            clear_all_first(touches, code + s->first, s->count);
        }
    }
    return first;
}

static int compare_slots(const void *one, const void *other)
{
    const int32_t x = *(const int32_t *)one, y = *(const int32_t *)other;
    return (x > y) - (x < y);
}

int find_first_writes(Tape *tape)
{
    const size_t slots = (size_t)tape->varying_count;
    bool *flags = PyMem_Calloc(3 * (slots + 1), sizeof(bool));
    Touches touches = {tape, flags, flags + slots + 1, flags + 2 * (slots + 1)};
    tape->first_writes = PyMem_Calloc(tape->count + 1, sizeof(uint8_t));
    tape->cleared_slots = PyMem_Malloc((slots + 1) * sizeof(int32_t));
    if (flags == NULL || tape->first_writes == NULL || tape->cleared_slots == NULL) {
        PyMem_Free(flags);
        PyErr_NoMemory();
        return -1;
    }
    if (slots > 0) { /* without a batch, the caller clears all adjoints */
        find_active(&touches);
        clear_all_first(&touches, tape->output_slots, tape->outputs);
        for (size_t k = 0; k < tape->outputs; k++) {
            reach(&touches, tape->output_slots[k]);
        }
        for (size_t k = tape->count; k-- > 0;) {
            tape->first_writes[k] = first_writes_of(&touches, tape->code + tape->starts[k]);
        }
        clear_all_first(&touches, tape->input_slots, tape->inputs);
        qsort(tape->cleared_slots, tape->cleared, sizeof *tape->cleared_slots, compare_slots);
    }
    PyMem_Free(flags);
    return 0;
}
