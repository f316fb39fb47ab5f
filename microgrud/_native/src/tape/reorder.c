/* A new order of the slots of a program without a batch, in which a wide instruction reads and writes consecutive
 * slots: vectors are then loaded where numbers were gathered one by one.
 *
 * The results of wide instructions come last, in their order, and before them the constants, in the order in which wide
 * instructions read them. All other slots keep theirs.
 */
#include "tape/instructions.h"

/* The places of slots that are not known yet. */
enum { TO_STAY = 0, IN_ROW = 1, WIDE_RESULT = -1, MOVING_CONSTANT = -2 };

/* Find the stretches of a wide instruction; return 0 for other instructions. */
static size_t wide_stretches(const Tape *tape, size_t k, Stretch found[MOST_STRETCHES])
{
    const int32_t *code = tape->code + tape->starts[k];
    return code[0] >= CODE_WIDE ? stretches_of(code, true, found) : 0;
}

static bool is_row(const int32_t *new_slots, int32_t first, int32_t length)
{
    for (int32_t k = 1; k < length; k++) {
        if (new_slots[first + k] != new_slots[first] + k) {
            return false;
        }
    }
    return true;
}

/* Tell whether slots that are read as a row are still consecutive. */
static bool rows_stay(const Tape *tape, const int32_t *new_slots)
{
    for (size_t k = 0; k < tape->count; k++) {
        const int32_t *code = tape->code + tape->starts[k];
        if (code[0] != CODE_DOT && code[0] != CODE_WIDE_DOT) {
            continue;
        }
        const Dots dots = read_dots(code);
        for (size_t r = 0; r < dots.n; r++) {
            if (!is_row(new_slots, dots.x[r], (int32_t)dots.length) ||
                !is_row(new_slots, dots.y[r], (int32_t)dots.length)) {
                return false;
            }
        }
    }
    return true;
}

/* Mark the results of wide instructions, and the constants that are in no row. */
static void mark_moving(const Tape *tape, int32_t *new_slots)
{
    for (int32_t slot = 0; slot < tape->uniform_count; slot++) {
        new_slots[slot] = tape->is_constant[slot] ? MOVING_CONSTANT : TO_STAY;
    }
    for (size_t k = 0; k < tape->count; k++) {
        const int32_t *code = tape->code + tape->starts[k];
        Stretch found[MOST_STRETCHES];
        if (wide_stretches(tape, k, found) > 0) {
            for (size_t j = 0; j < found[0].count; j++) {
                new_slots[code[found[0].first + j]] = WIDE_RESULT;
            }
        }
        if (code[0] == CODE_DOT || code[0] == CODE_WIDE_DOT) {
            const Dots dots = read_dots(code);
            for (size_t j = 0; j < dots.n * dots.length; j++) {
                const size_t r = j / dots.length, place = j % dots.length;
                int32_t *both[] = {&new_slots[dots.x[r] + (int32_t)place], &new_slots[dots.y[r] + (int32_t)place]};
                *both[0] = *both[0] == MOVING_CONSTANT ? IN_ROW : *both[0];
                *both[1] = *both[1] == MOVING_CONSTANT ? IN_ROW : *both[1];
            }
        }
    }
}

static void find_new_slots(const Tape *tape, int32_t *new_slots)
{
    int32_t next = 0;
    mark_moving(tape, new_slots);
    for (int32_t slot = 0; slot < tape->uniform_count; slot++) {
        new_slots[slot] = new_slots[slot] < 0 ? new_slots[slot] : next++;
    }
    for (int32_t mark = MOVING_CONSTANT; mark <= WIDE_RESULT; mark++) {
        for (size_t k = 0; k < tape->count; k++) {
            const int32_t *code = tape->code + tape->starts[k];
            Stretch found[MOST_STRETCHES];
            const size_t count = wide_stretches(tape, k, found);
            for (size_t s = 0; s < count; s++) {
                for (size_t j = found[s].first; j < found[s].first + found[s].count; j++) {
                    if (code[j] >= 0 && new_slots[code[j]] == mark) {
                        new_slots[code[j]] = next++;
                    }
                }
            }
        }
        for (int32_t slot = 0; slot < tape->uniform_count; slot++) {
            new_slots[slot] = new_slots[slot] == mark ? next++ : new_slots[slot]; /* that no wide instruction reads */
        }
    }
}

/* Write the new slots into the code, and mark rows again. */
static void renumber(Tape *tape, const int32_t *new_slots)
{
    for (size_t k = 0; k < tape->count; k++) {
        int32_t *code = tape->code + tape->starts[k];
        Stretch stretches[MOST_STRETCHES];
        const size_t count = stretches_of(code, true, stretches);
        for (size_t s = 0; s < count; s++) {
            for (size_t j = stretches[s].first; j < stretches[s].first + stretches[s].count; j++) {
                code[j] = code[j] < 0 ? code[j] : new_slots[code[j]];
            }
        }
        if (code[0] == CODE_WIDE || code[0] == CODE_WIDE_LINEAR) {
            mark_rows(code);
        }
    }
    memset(tape->is_constant, 0, (size_t)tape->uniform_count * sizeof *tape->is_constant);
    for (size_t k = 0; k < tape->constants; k++) {
        tape->constant_slots[k] = new_slots[tape->constant_slots[k]];
        tape->is_constant[tape->constant_slots[k]] = true;
    }
}

void reorder_slots(Tape *tape, int32_t *new_slots)
{
    find_new_slots(tape, new_slots);
    if (rows_stay(tape, new_slots)) {
        renumber(tape, new_slots);
    } else {
        for (int32_t slot = 0; slot < tape->uniform_count; slot++) {
            new_slots[slot] = slot;
        }
    }
}
