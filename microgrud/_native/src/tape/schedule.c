/* The order of the instructions of a batch: equal instructions that do not depend on each other come one after the
 * other, so that their results are consecutive slots, and spans.c can merge them.
 *
 * A recording has the order in which the graph is walked: `take, add, square` for each number of a sequence, say. The
 * order stays nearly as it was, because a number that is read soon is still in the nearest cache.
 */
#include "tape/schedule.h"

/* Equal instructions are looked for as far ahead as WINDOW, and at most MOST_PER_GROUP are taken: as many numbers as the
 * narrowest block has room for. */
enum { WINDOW = 64, MOST_PER_GROUP = 16, UNWRITTEN = INT32_MAX };

typedef struct {
    const Program *p;
    int32_t *groups; /* for each slot, the number from 1 of the group of instructions that writes it */
    uint8_t *done;   /* for each instruction */
    Ints *order;
    int32_t group;
} Schedule;

/* Tell whether all operands of an instruction are written before the current group. */
static bool is_ready(const Schedule *s, size_t k)
{
    for (int32_t j = s->p->starts.items[k]; j < s->p->starts.items[k + 1]; j++) {
        if (s->groups[s->p->operands.items[j]] >= s->group) {
            return false;
        }
    }
    return true;
}

static bool are_alike(const Program *p, size_t one, size_t other)
{
    const int32_t *starts = p->starts.items;
    return p->codes.items[one] == p->codes.items[other] && p->plains.items[one] == p->plains.items[other] &&
           starts[one + 1] - starts[one] == starts[other + 1] - starts[other];
}

static void take_next(Schedule *s, size_t k)
{
    s->done[k] = 1;
    s->groups[s->p->outs.items[k]] = s->group;
    put_int(s->order, (int32_t)k);
}

static void order_all(Schedule *s, const uint8_t *varies)
{
    const Program *p = s->p;
    const size_t count = p->codes.count;
    for (size_t k = 0; k < count; k++) {
        s->groups[p->outs.items[k]] = UNWRITTEN;
    }
    for (size_t k = 0; k < count; k++) {
        if (s->done[k]) {
            continue;
        }
        s->group++;
        take_next(s, k);
        size_t taken = 1;
        const size_t end = !varies[p->outs.items[k]] ? 0 : count - k > WINDOW ? k + WINDOW : count;
        for (size_t j = k + 1; j < end && taken < MOST_PER_GROUP; j++) {
            if (!s->done[j] && are_alike(p, k, j) && varies[p->outs.items[j]] && is_ready(s, j)) {
                take_next(s, j);
                taken++;
            }
        }
    }
}

Built schedule(const Program *program, const uint8_t *varies, Ints *order)
{
    Schedule s = {program, NULL, NULL, order, 0};
    s.groups = PyMem_RawCalloc(program->slots + 1, sizeof *s.groups);
    s.done = PyMem_RawCalloc(program->codes.count + 1, sizeof *s.done);
    Built built = s.groups == NULL || s.done == NULL ? NO_MEMORY : reserve_ints(order, program->codes.count);
    if (built == BUILT) {
        order_all(&s, varies);
    }
    PyMem_RawFree(s.groups);
    PyMem_RawFree(s.done);
    return built;
}
