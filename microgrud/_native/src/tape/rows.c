/* Rows: an operation over consecutive slots of a program without a batch reads them in place, vector by vector. Of a
 * row in a wide instruction only the first slot is kept: the others would be read from far away, and took a fifth of
 * the time of Rosenbrock's function of 40,000 numbers.
 *
 * A log-sum-exp of 40,000 numbers with its gradient takes a twelfth of the time. Its exponentials are kept for the
 * backward pass, in place of copies of the numbers.
 */
#include "tape/instructions.h"

/* Shorter sequences are read number by number. */
enum { FEWEST_IN_ROW = 16 };

static bool are_consecutive(const int32_t *slots, size_t count)
{
    for (size_t k = 1; k < count; k++) {
        if (slots[k] != slots[k - 1] + 1) {
            return false;
        }
    }
    return true;
}

/* Return the operation over the operands of an instruction if they can be a row, and OP_NONE otherwise. */
static Op operation_of_row(const int32_t *code, const int32_t **slots, size_t *n)
{
    const bool is_softmax = code[0] == CODE_SOFTMAX || code[0] == CODE_LOG_SOFTMAX;
    const bool is_linear = code[0] == CODE_LINEAR;
    const bool is_reduction = code[0] == OP_SUM || code[0] == OP_MEAN || code[0] == OP_MAX || code[0] == OP_MIN ||
                              code[0] == OP_NORM || code[0] == OP_LOGSUMEXP;
    *n = (size_t)code[is_softmax ? 1 : 2];
    *slots = is_softmax ? read_softmax(code).x : code + (is_linear ? 4 : 3);
    if ((!is_softmax && !is_reduction && !(is_linear && code[3] == 0)) || *n < FEWEST_IN_ROW ||
        !are_consecutive(*slots, *n)) {
        return OP_NONE;
    }
    return is_linear ? OP_SUM : is_softmax ? OP_SOFTMAX : (Op)code[0];
}

static bool keeps_exponentials(Op op)
{
    return op == OP_LOGSUMEXP || op == OP_SOFTMAX;
}

/* Write the instruction for a row; return the place for the next. */
static int32_t *write_row(const int32_t *code, Op op, int32_t first, size_t n, size_t kept, bool alone, int32_t *to)
{
    if (op != OP_SOFTMAX) {
        const int32_t numbers[] = {CODE_ROW, code[1], (int32_t)op, (int32_t)n, first, (int32_t)kept, alone};
        memcpy(to, numbers, sizeof numbers);
        return to + 7;
    }
    const Softmax s = read_softmax(code);
    size_t used = 0;
    for (size_t k = 0; k < n; k++) {
        used += s.out[k] >= 0;
    }
    const int32_t head[] = {CODE_ROW_SOFTMAX, code[0], (int32_t)used, (int32_t)n, first, (int32_t)kept, alone};
    memcpy(to, head, sizeof head);
    int32_t *place = to + 7, *out = place + used;
    for (size_t k = 0; k < n; k++) {
        if (s.out[k] >= 0) {
            *place++ = (int32_t)k;
            *out++ = s.out[k];
        }
    }
    return out;
}

/* Write a wide instruction without the slots that its first ones tell; return the place for the next. */
static int32_t *write_shorter(const int32_t *code, int32_t *to)
{
    const int32_t arity = code[2], n = code[3], known = code[4] | code[5];
    memcpy(to, code, WIDE_HEAD * sizeof *to);
    to += WIDE_HEAD;
    for (int32_t k = 0; k <= arity; k++) {
        const size_t count = known >> k & 1 ? 1 : (size_t)n;
        memcpy(to, code + WIDE_HEAD + k * n, count * sizeof *to);
        to += count;
    }
    return to;
}

static void use(uint8_t *uses, int32_t slot)
{
    uses[slot] = (uint8_t)(uses[slot] + (uses[slot] < 2));
}

/* Count the instructions that read each slot, up to 2. */
static void count_uses(const Tape *tape, uint8_t *uses)
{
    for (size_t k = 0; k < tape->count; k++) {
        const int32_t *code = tape->code + tape->starts[k];
        Stretch stretches[MOST_STRETCHES];
        const size_t count = stretches_of(code, true, stretches);
        for (const Stretch *s = stretches + 1; s < stretches + count; s++) {
            const size_t length = s->role == ROW ? read_dots(code).length : 1;
            for (size_t j = s->first; j < s->first + s->count; j++) {
                for (size_t i = 0; code[j] >= 0 && i < length; i++) {
                    use(uses, code[j] + (int32_t)i);
                }
            }
        }
    }
}

/* Find the longest row that only one instruction reads: its adjoints are neither cleared nor added to. With them, and
 * with the exponentials in their place, log-sum-exp of 640,000 numbers goes through a third less memory. */
static void find_assigned(Tape *tape, uint8_t *uses)
{
    count_uses(tape, uses);
    for (size_t k = 0; k < tape->count; k++) {
        const int32_t *slots = NULL;
        size_t n = 0, alone = 0;
        if (operation_of_row(tape->code + tape->starts[k], &slots, &n) == OP_NONE || n <= tape->assigned) {
            continue;
        }
        while (alone < n && uses[slots[alone]] == 1) {
            alone++;
        }
        if (alone == n) {
            tape->assigned_first = (size_t)slots[0];
            tape->assigned = n;
        }
    }
}

int find_rows(Tape *tape, uint8_t *uses)
{
    if (uses != NULL) {
        find_assigned(tape, uses);
    }
    int32_t *code = PyMem_RawMalloc((tape->length + 8 * tape->count + 1) * sizeof *code), *to = code;
    if (code == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    tape->longest = 0;
    for (size_t k = 0; k < tape->count; k++) {
        const size_t start = (size_t)tape->starts[k];
        const size_t end = k + 1 < tape->count ? (size_t)tape->starts[k + 1] : tape->length;
        const int32_t *own = tape->code + start, *slots = NULL;
        size_t n = 0;
        const Op op = operation_of_row(own, &slots, &n);
        tape->starts[k] = (int32_t)(to - code);
        if (op != OP_NONE) {
            const bool alone = n == tape->assigned && (size_t)slots[0] == tape->assigned_first;
            to = write_row(own, op, slots[0], n, tape->kept, alone, to);
            tape->kept += !keeps_exponentials(op) ? 0 : alone ? 1 : n + 1;
            continue;
        }
        if (own[0] == CODE_WIDE) {
            to = write_shorter(own, to);
            continue;
        }
        tape->longest = length_of_sequence(own) > tape->longest ? length_of_sequence(own) : tape->longest;
        memcpy(to, own, (end - start) * sizeof *to);
        to += end - start;
    }
    PyMem_RawFree(tape->code);
    tape->length = (size_t)(to - code);
    int32_t *smaller = PyMem_RawRealloc(code, (tape->length + 1) * sizeof *code);
    tape->code = smaller != NULL ? smaller : code;
    return 0;
}
