/* First writes: where a backward pass can assign an adjoint instead of adding to it. Only the other adjoints have to be
 * cleared before the pass; clearing takes a twentieth of its time.
 */
#include "tape/instructions.h"

typedef struct {
    Tape *tape;
    bool *touched; /* by index among the varying slots: their adjoints hold a number */
} Touches;

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
    if (code[0] == CODE_DETACH || is_step(code[0])) { /* the pass does not touch it */
        return 0;
    }
    uint8_t first = 0;
    if (code[0] < OP_LAST_TERNARY || code[0] == CODE_TANH) {
        clear_first(touches, code[1]);
        for (int32_t k = 0; k < code[2]; k++) {
            first |= (uint8_t)(touches_first(touches, code[3 + k]) << k);
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

int find_first_writes(Tape *tape)
{
    const size_t slots = (size_t)tape->varying_count;
    Touches touches = {tape, PyMem_Calloc(slots + 1, sizeof(bool))};
    tape->first_writes = PyMem_Calloc(tape->count + 1, sizeof(uint8_t));
    tape->cleared_slots = PyMem_Malloc((slots + 1) * sizeof(int32_t));
    if (touches.touched == NULL || tape->first_writes == NULL || tape->cleared_slots == NULL) {
        PyMem_Free(touches.touched);
        PyErr_NoMemory();
        return -1;
    }
    if (slots > 0) { /* without a batch, the caller clears all adjoints */
        clear_all_first(&touches, tape->output_slots, tape->outputs);
        for (size_t k = tape->count; k-- > 0;) {
            tape->first_writes[k] = first_writes_of(&touches, tape->code + tape->starts[k]);
        }
        clear_all_first(&touches, tape->input_slots, tape->inputs);
    }
    PyMem_Free(touches.touched);
    return 0;
}
