/* Spans: equal instructions of a batch over consecutive slots become one.
 *
 * The slots of a block are as far apart as the block is wide: consecutive slots are one array. In a narrow block a span
 * runs as one loop over that array, and is decoded once. Wide blocks run the instructions as they are: they have enough
 * samples for a loop, and take 5 % longer with spans.
 */
#include "tape/instructions.h"

enum { FEWEST_PER_SPAN = 3 }; /* the code for fewer may be longer than theirs */

typedef struct {
    const Tape *tape;
    size_t first, n; /* instructions */
    const int32_t *code; /* of the first one */
    SpanKind kinds[3];
    unsigned assign; /* bits for operands: see first_writes */
} Candidate;

static const int32_t *code_of(const Tape *tape, size_t k)
{
    return tape->code + tape->starts[k];
}

static bool can_begin(const Candidate *c)
{
    return c->code[0] < OP_LAST_TERNARY || c->code[0] == CODE_TANH;
}

/* Find how operand j goes on in the instruction after those of the candidate; return false if it cannot. */
static bool find_kind(const Candidate *c, const int32_t *next, size_t j, SpanKind *kind)
{
    const Tape *tape = c->tape;
    const int32_t first = c->code[3 + j], slot = next[3 + j], uniform = tape->uniform_count;
    if (c->n > 1 && c->kinds[j] != SPAN_SAME) {
        *kind = c->kinds[j];
    } else if (slot == first) {
        *kind = SPAN_SAME;
    } else {
        *kind = first < uniform ? SPAN_LISTED : SPAN_STEP;
    }
    if (c->n > 1 && *kind != c->kinds[j]) {
        return false;
    }
    switch (*kind) {
    case SPAN_LISTED:
        return slot < uniform && tape->is_constant[slot] == tape->is_constant[first] && !is_power(c->code[0]);
    case SPAN_STEP: /* no result of the span is an operand of it */
        return slot == first + (int32_t)c->n && slot < c->code[1];
    default:
        return true;
    }
}

/* Tell whether varying operands, up to instruction n of a span, are apart or the same row: each operand is gone through
 * for the whole span before the next one, and an adjoint is assigned before others are added to it. */
static bool are_apart(const Candidate *c, const SpanKind kinds[3], int32_t n)
{
    for (int32_t i = 0; i < c->code[2]; i++) {
        for (int32_t j = 0; j < i; j++) {
            const int32_t x = c->code[3 + i], y = c->code[3 + j];
            const int32_t x_end = x + (kinds[i] == SPAN_STEP ? n : 0), y_end = y + (kinds[j] == SPAN_STEP ? n : 0);
            const bool same = x == y && kinds[i] == SPAN_STEP && kinds[j] == SPAN_STEP;
            if (x >= c->tape->uniform_count && y >= c->tape->uniform_count && !same && x <= y_end && y <= x_end) {
                return false;
            }
        }
    }
    return true;
}

/* Tell whether the backward pass writes the operands alike. Of a slot that is read again and again, it can assign only
 * the adjoint of the last instruction, which it runs first. */
static bool writes_alike(const Candidate *c, const SpanKind kinds[3], unsigned next)
{
    unsigned alike = ~0u;
    for (int32_t j = 0; j < c->code[2]; j++) {
        alike &= kinds[j] == SPAN_SAME ? ~(1u << j) : ~0u;
    }
    return (c->assign & alike) == (next & alike);
}

/* Add the next instruction to the candidate, if it fits. */
static bool extend(Candidate *c)
{
    const size_t k = c->first + c->n;
    const int32_t *next = k < c->tape->count ? code_of(c->tape, k) : NULL;
    if (next == NULL || next[0] != c->code[0] || next[1] != c->code[1] + (int32_t)c->n ||
        (next[0] == CODE_TANH && next[4] != c->code[4] + (int32_t)c->n)) {
        return false;
    }
    SpanKind kinds[3] = {SPAN_SAME, SPAN_SAME, SPAN_SAME};
    for (size_t j = 0; j < (size_t)c->code[2]; j++) {
        if (!find_kind(c, next, j, &kinds[j])) {
            return false;
        }
    }
    if (!are_apart(c, kinds, (int32_t)c->n) || !writes_alike(c, kinds, c->tape->first_writes[k])) {
        return false;
    }
    memcpy(c->kinds, kinds, sizeof kinds);
    c->assign = c->tape->first_writes[k];
    c->n++;
    return true;
}

static int32_t *write_span(const Candidate *c, int32_t *to)
{
    const int32_t *code = c->code;
    const int32_t head[SPAN_HEAD] = {CODE_SPAN, code[0], code[2], (int32_t)c->n, code[1],
                                     code[0] == CODE_TANH ? code[4] : -1,
                                     (int32_t)c->kinds[0] | (int32_t)c->kinds[1] << 2 | (int32_t)c->kinds[2] << 4};
    memcpy(to, head, sizeof head);
    to += SPAN_HEAD;
    for (size_t j = 0; j < (size_t)code[2]; j++) {
        for (size_t k = 0; k < (c->kinds[j] == SPAN_LISTED ? c->n : 1); k++) {
            *to++ = code_of(c->tape, c->first + k)[3 + j];
        }
    }
    return to;
}

static int32_t *copy_instruction(const Tape *tape, size_t k, int32_t *to)
{
    const size_t start = (size_t)tape->starts[k];
    const size_t end = k + 1 < tape->count ? (size_t)tape->starts[k + 1] : tape->length;
    memcpy(to, tape->code + start, (end - start) * sizeof *to);
    return to + (end - start);
}

/* Write the instructions again, merged. */
static void merge(const Tape *tape, Tape *narrow)
{
    int32_t *to = narrow->code;
    for (size_t k = 0; k < tape->count;) {
        Candidate c = {tape, k, 1, code_of(tape, k), {SPAN_SAME, SPAN_SAME, SPAN_SAME}, tape->first_writes[k]};
        while (can_begin(&c) && extend(&c)) {
        }
        const bool merges = c.n >= FEWEST_PER_SPAN;
        narrow->starts[narrow->count] = (int32_t)(to - narrow->code);
        narrow->first_writes[narrow->count++] = merges ? (uint8_t)c.assign : tape->first_writes[k];
        to = merges ? write_span(&c, to) : copy_instruction(tape, k, to);
        k += merges ? c.n : 1;
    }
    narrow->length = (size_t)(to - narrow->code);
}

int merge_spans(Tape *tape)
{
    Tape *narrow = tape->count < FEWEST_PER_SPAN ? NULL : PyMem_Malloc(sizeof *narrow);
    if (narrow == NULL) {
        return tape->count < FEWEST_PER_SPAN ? 0 : (PyErr_NoMemory(), -1);
    }
    *narrow = *tape;
    narrow->count = 0;
    narrow->code = PyMem_RawMalloc((tape->length + 1) * sizeof *narrow->code); /* spans are shorter */
    narrow->starts = PyMem_RawMalloc(tape->count * sizeof *narrow->starts);
    narrow->first_writes = PyMem_Malloc(tape->count);
    tape->narrow = narrow;
    if (narrow->code == NULL || narrow->starts == NULL || narrow->first_writes == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    merge(tape, narrow);
    if (narrow->count == tape->count) {
        free_narrow(tape);
    }
    return 0;
}

void free_narrow(Tape *tape)
{
    if (tape->narrow != NULL) {
        PyMem_RawFree(tape->narrow->code);
        PyMem_RawFree(tape->narrow->starts);
        PyMem_Free(tape->narrow->first_writes);
        PyMem_Free(tape->narrow);
        tape->narrow = NULL;
    }
}
