/* Wide instructions: many equal instructions of a program without a batch become one, with a loop over vectors.
 *
 * The level of an instruction is greater than the levels of all that it reads, so that instructions of one level do not
 * depend on each other. Instructions are sorted by level. FEWEST_PER_WIDE or more instructions of one level with the
 * same operation become one wide instruction, which is decoded once. A program that is a chain has few instructions at
 * each level, and stays as it is. The gradient of Rosenbrock's function of 1,000 numbers takes a third of the time,
 * together with reorder.c.
 */
#include "tape/instructions.h"

#define FEWEST_PER_WIDE 5
/* Sums of more terms than this are efficient without being merged. */
#define MOST_TERMS 8

typedef struct {
    int32_t level;
    int32_t code, first, second; /* equal in the instructions that are merged */
    int32_t place;               /* in the original order */
} Rank;

/* Return the rank of an instruction, and write the level of its results. */
static Rank rank_of(const Tape *tape, const int32_t *code, int32_t *levels)
{
    Rank rank = {0, code[0], 0, 0, 0};
    Stretch stretches[MOST_STRETCHES];
    const size_t count = stretches_of(code, true, stretches);
    for (const Stretch *s = stretches; s < stretches + count; s++) {
        for (size_t j = s->first; s->role != RESULT && j < s->first + s->count; j++) {
            for (int32_t k = 0; k < (s->role == ROW ? code[3] : 1); k++) {
                const int32_t level = levels[code[j] + k];
                rank.level = level > rank.level ? level : rank.level;
            }
        }
    }
    rank.level++;
    for (size_t j = stretches[0].first; j < stretches[0].first + stretches[0].count; j++) {
        if (code[j] >= 0) {
            levels[code[j]] = rank.level;
        }
    }
    if (code[0] == CODE_LINEAR) {
        rank.first = code[2];
        rank.second = code[3];
    } else if (code[0] == CODE_DOT) {
        rank.first = code[3];
    } else if (code[0] < OP_LAST_TERNARY) {
        const bool chooses = code[0] == OP_WHERE || code[0] == OP_GATE; /* by operand 0, which has no derivative */
        const unsigned wanted = wanted_slopes(tape, code + 3, (size_t)code[2]);
        rank.first = is_step(code[0]) ? 0 : (int32_t)(chooses ? wanted & ~1U : wanted);
        rank.second = is_power(code[0]) && tape->is_constant[code[4]] ? code[4] : -1; /* the exponent */
    }
    return rank;
}

static int compare_ranks(const void *one, const void *other)
{
    const int32_t *x = one, *y = other;
    for (size_t k = 0; k < sizeof(Rank) / sizeof(int32_t); k++) {
        if (x[k] != y[k]) {
            return x[k] < y[k] ? -1 : 1;
        }
    }
    return 0;
}

/* Write the ranks in order to `sorted`; `ends` has a zero for each level from 0 on, and one more. The ranks are
 * distributed to their levels, where most are in order then. */
static void sort_ranks(const Rank *ranks, size_t count, int32_t levels, size_t *ends, Rank *sorted)
{
    for (size_t k = 0; k < count; k++) {
        ends[ranks[k].level + 1]++;
    }
    for (int32_t level = 0; level <= levels; level++) {
        ends[level + 1] += ends[level];
    }
    for (size_t k = 0; k < count; k++) {
        sorted[ends[ranks[k].level]++] = ranks[k];
    }
    for (int32_t level = 0; level < levels; level++) {
        Rank *first = sorted + ends[level]; /* of the next level */
        const size_t own = ends[level + 1] - ends[level];
        size_t in_order = 1;
        while (in_order < own && compare_ranks(first + in_order - 1, first + in_order) < 0) {
            in_order++;
        }
        if (in_order < own) {
            qsort(first, own, sizeof *first, compare_ranks);
        }
    }
}

static bool can_be_wide(const Rank *rank)
{
    return rank->code < OP_LAST_TERNARY || rank->code == CODE_DOT ||
           (rank->code == CODE_LINEAR && rank->first + rank->second <= MOST_TERMS);
}

/* Return the number of instructions, from k on, that can be merged; 1 if instruction k cannot. */
static size_t count_equal_ranks(const Rank *ranks, size_t k, size_t count)
{
    size_t end = k + 1;
    while (end < count && can_be_wide(&ranks[k]) && ranks[end].level == ranks[k].level &&
           ranks[end].code == ranks[k].code && ranks[end].first == ranks[k].first &&
           ranks[end].second == ranks[k].second) {
        end++;
    }
    return end - k;
}

static bool have_step(const int32_t *slots, size_t n, int32_t step)
{
    for (size_t k = 1; k < n; k++) {
        if (slots[k] != slots[k - 1] + step) {
            return false;
        }
    }
    return true;
}

static bool are_constants(const Tape *tape, const int32_t *slots, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        if (!tape->is_constant[slots[k]]) {
            return false;
        }
    }
    return true;
}

/* Mark which slots of a wide instruction are consecutive, and which are the same slot n times. */
void mark_rows(int32_t *code)
{
    const bool linear = code[0] == CODE_WIDE_LINEAR;
    const int32_t operands = linear ? code[1] + 2 * code[2] : code[2];
    const size_t n = (size_t)code[3];
    code[4] = code[5] = 0;
    for (int32_t k = 0; k <= operands; k++) {
        const int32_t *slots = code + (linear ? WIDE_LINEAR_HEAD : WIDE_HEAD) + (size_t)k * n;
        code[4] |= (int32_t)have_step(slots, n, 1) << k;
        code[5] |= (int32_t)have_step(slots, n, 0) << k;
    }
}

/* Write n slots: of each instruction, the one at `position` in its numbers. Return the place for the next. */
static int32_t *write_slots(const Tape *tape, const Rank *ranks, size_t n, size_t position, int32_t *to)
{
    for (size_t k = 0; k < n; k++) {
        *to++ = tape->code[tape->starts[ranks[k].place] + (int32_t)position];
    }
    return to;
}

/* Write one instruction for n mergeable ones; return the place for the next. */
static int32_t *write_wide(const Tape *tape, const Rank *ranks, size_t n, int32_t *to)
{
    const int32_t *code = tape->code + tape->starts[ranks->place];
    if (code[0] == CODE_DOT) {
        *to++ = CODE_WIDE_DOT;
        *to++ = code[3];
        *to++ = (int32_t)n;
        for (size_t position = 1; position <= 5; position++) {
            to = position == 3 ? to : write_slots(tape, ranks, n, position, to);
        }
        return to;
    }
    if (code[0] == CODE_LINEAR) {
        int32_t *head = to, wanted = 0;
        to = write_slots(tape, ranks, n, 1, to + WIDE_LINEAR_HEAD);
        for (int32_t k = 0; k < code[2] + 2 * code[3]; k++) {
            const int32_t *slots = to;
            to = write_slots(tape, ranks, n, 4 + (size_t)k, to);
            wanted |= (int32_t)!are_constants(tape, slots, n) << (k + 1);
        }
        const int32_t numbers[WIDE_LINEAR_HEAD] = {CODE_WIDE_LINEAR, code[2], code[3], (int32_t)n, 0, 0, wanted};
        memcpy(head, numbers, sizeof numbers);
        mark_rows(head);
        return to;
    }
    const size_t arity = (size_t)code[2];
    int32_t *head = to;
    to = write_slots(tape, ranks, n, 1, to + WIDE_HEAD);
    for (size_t k = 0; k < arity; k++) {
        to = write_slots(tape, ranks, n, 3 + k, to);
    }
    const int32_t exponent = is_power(code[0]) ? ranks->second : -1;
    const int32_t numbers[WIDE_HEAD] = {CODE_WIDE, code[0], code[2], (int32_t)n, 0, 0, ranks->first, exponent};
    memcpy(head, numbers, sizeof numbers);
    mark_rows(head);
    return to;
}

/* Write the instructions in the order of their ranks, and merge what can be merged. */
static void rewrite(Tape *tape, const Rank *ranks, int32_t *code, int32_t *starts)
{
    int32_t *to = code;
    size_t count = 0;
    for (size_t k = 0; k < tape->count;) {
        const size_t equal = count_equal_ranks(ranks + k, 0, tape->count - k);
        starts[count++] = (int32_t)(to - code);
        if (equal >= FEWEST_PER_WIDE) {
            to = write_wide(tape, ranks + k, equal, to);
            k += equal;
            continue;
        }
        const size_t place = (size_t)ranks[k].place;
        const size_t start = (size_t)tape->starts[place];
        const size_t end = place + 1 < tape->count ? (size_t)tape->starts[place + 1] : tape->length;
        memcpy(to, tape->code + start, (end - start) * sizeof *to);
        to += end - start;
        k++;
    }
    PyMem_RawFree(tape->code);
    PyMem_RawFree(tape->starts);
    tape->code = code;
    tape->starts = starts;
    tape->length = (size_t)(to - code);
    tape->count = count;
}

int widen(Tape *tape)
{
    const size_t count = tape->count;
    if (tape->varying_count > 0 || count < FEWEST_PER_WIDE) {
        return 0;
    }
    int32_t *levels = PyMem_Calloc((size_t)tape->uniform_count + 1, sizeof *levels);
    Rank *ranks = PyMem_Malloc(2 * count * sizeof *ranks); /* and once more, sorted */
    /* wide instructions are shorter than what they replace */
    int32_t *code = PyMem_RawMalloc((tape->length + 1) * sizeof *code);
    int32_t *starts = PyMem_RawMalloc(count * sizeof *starts);
    int status = -1;
    if (levels == NULL || ranks == NULL || code == NULL || starts == NULL) {
        PyErr_NoMemory();
    } else {
        int32_t most = 0;
        for (size_t k = 0; k < count; k++) {
            ranks[k] = rank_of(tape, tape->code + tape->starts[k], levels);
            ranks[k].place = (int32_t)k;
            most = ranks[k].level > most ? ranks[k].level : most;
        }
        const bool pays = (size_t)most * FEWEST_PER_WIDE <= count;
        size_t *ends = pays ? PyMem_Calloc((size_t)most + 2, sizeof *ends) : NULL;
        if (ends != NULL) {
            sort_ranks(ranks, count, most, ends, ranks + count);
            rewrite(tape, ranks + count, code, starts);
            code = starts = NULL;
        } else if (pays) {
            PyErr_NoMemory();
        }
        status = pays && ends == NULL ? -1 : 0;
        PyMem_Free(ends);
    }
    PyMem_Free(levels);
    PyMem_Free(ranks);
    PyMem_RawFree(code);
    PyMem_RawFree(starts);
    return status;
}
