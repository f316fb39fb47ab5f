/* The check of a program before it becomes a Tape.
 *
 * The loops of the interpreter do not check bounds. So this file refuses a program if an instruction has an unknown
 * code or a wrong length, if it names a slot that does not exist or is of the wrong kind, reads a varying slot before
 * something was written to it, writes to an input, or writes a slot twice (which programs that run forward only may
 * do). The ValueError says which instruction it is.
 *
 * A tape without varying slots is a program for run_alone, in which sums are written in another form than in those of a
 * batch.
 */
#include "tape/blocks.h"
#include "tape/instructions.h"

/* The state of a slot so far. A uniform slot may be UNKNOWN and hold a number: the caller gives it. */
typedef enum { UNKNOWN = 0, READ, WRITTEN, GIVEN } SlotState;

typedef struct {
    const Tape *tape;
    const int32_t *code; /* of the current instruction */
    size_t length;       /* of its code, in numbers */
    size_t k;            /* its index */
    uint8_t *states;     /* a SlotState for each slot */
    int64_t slots;
} Check;

static bool complain(const Check *check, const char *what, long long got)
{
    PyErr_Format(PyExc_ValueError, "Tape: instruction %zu: expected %s, got %lld", check->k, what, got);
    return false;
}

/* --- numbers of an instruction --- */

/* Check the length of an instruction, which follows from the counts in it. */
static bool has_length(const Check *check, size_t expected)
{
    if (check->length == expected) {
        return true;
    }
    PyErr_Format(PyExc_ValueError, "Tape: instruction %zu: expected %zu numbers, got %zu", check->k, expected,
                 check->length);
    return false;
}

static bool has_at_least(const Check *check, size_t least)
{
    return check->length >= least || has_length(check, least);
}

static bool counts(const Check *check, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (check->code[i] < 0) {
            return complain(check, "a count of 0 or more", check->code[i]);
        }
    }
    return true;
}

/* --- slots --- */

static bool is_uniform(const Check *check, int32_t slot)
{
    return slot >= 0 && slot < check->tape->uniform_count;
}

static bool reads(const Check *check, const int32_t *slots, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        if (slots[j] < 0 || slots[j] >= check->slots) {
            return complain(check, "an existing slot", slots[j]);
        }
        uint8_t *state = &check->states[slots[j]];
        if (*state == UNKNOWN && !is_uniform(check, slots[j])) {
            return complain(check, "a slot that has been written to", slots[j]);
        }
        *state = *state == UNKNOWN ? READ : *state;
    }
    return true;
}

static bool reads_uniform(const Check *check, const int32_t *slots, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        if (!is_uniform(check, slots[j])) {
            return complain(check, "a slot that is the same for all samples", slots[j]);
        }
    }
    return reads(check, slots, n);
}

static bool reads_varying(const Check *check, const int32_t *slots, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        if (is_uniform(check, slots[j])) {
            return complain(check, "a slot that varies", slots[j]);
        }
    }
    return reads(check, slots, n);
}

/* Read slots that are given as indices among the varying ones. */
static bool reads_indices(const Check *check, const int32_t *indices, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        if (indices[j] < 0 || indices[j] >= check->tape->varying_count) {
            return complain(check, "an index of a slot that varies", indices[j]);
        }
        const int32_t slot = indices[j] + check->tape->uniform_count;
        if (!reads(check, &slot, 1)) {
            return false;
        }
    }
    return true;
}

/* Read consecutive slots, from the first one on. */
static bool reads_row(const Check *check, int32_t first, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        const int64_t slot = (int64_t)first + (int64_t)j;
        if (slot < 0 || slot >= check->tape->uniform_count) {
            return complain(check, "a slot that is the same for all samples", slot);
        }
        const int32_t own = (int32_t)slot;
        if (!reads(check, &own, 1)) {
            return false;
        }
    }
    return true;
}

/* Write results: to varying slots, or to uniform slots in a program that has no others. */
static bool writes(const Check *check, const int32_t *slots, size_t n)
{
    const bool alone = check->tape->varying_count == 0;
    for (size_t j = 0; j < n; j++) {
        if (slots[j] < 0 || slots[j] >= check->slots || is_uniform(check, slots[j]) != alone) {
            return complain(check, "a slot for its result", slots[j]);
        }
        const uint8_t state = check->states[slots[j]];
        if (state == GIVEN || (state != UNKNOWN && !check->tape->forward_only)) {
            return complain(check, "an unused slot for its result", slots[j]);
        }
        check->states[slots[j]] = WRITTEN;
    }
    return true;
}

/* --- instructions --- */

static bool check_linear_uniform(const Check *check)
{
    const int32_t *code = check->code;
    if (!has_at_least(check, 4) || !counts(check, 2, 4)) {
        return false;
    }
    const size_t slots = (size_t)code[2] + 2 * (size_t)code[3];
    return has_length(check, 4 + slots) && reads(check, code + 4, slots) && writes(check, code + 1, 1);
}

static bool check_linear(const Check *check)
{
    const int32_t *code = check->code;
    if (!has_at_least(check, 6) || !counts(check, 3, 6)) {
        return false;
    }
    const size_t plain = (size_t)code[3], weighted = (size_t)code[4], products = (size_t)code[5];
    const int32_t *v = code + 6 + plain, *u = v + weighted, *x = u + weighted;
    return has_length(check, 6 + plain + 2 * weighted + 2 * products) && reads_uniform(check, code + 2, 1) &&
           reads_varying(check, code + 6, plain) && reads_indices(check, v, weighted) &&
           reads_uniform(check, u, weighted) && reads_varying(check, x, 2 * products) && writes(check, code + 1, 1);
}

static bool check_matrix(const Check *check)
{
    const int32_t *code = check->code;
    if (!has_at_least(check, 3) || !counts(check, 1, 3)) {
        return false;
    }
    const size_t rows = (size_t)code[1], columns = (size_t)code[2];
    if (rows > check->length || columns > check->length) { /* so that no product below is too large */
        return complain(check, "as many numbers as rows and columns say", (long long)check->length);
    }
    const int32_t *base = code + 3 + rows, *v = base + rows, *u = v + columns;
    return has_length(check, 3 + 2 * rows + columns + rows * columns) && reads_uniform(check, base, rows) &&
           reads_indices(check, v, columns) && reads_uniform(check, u, rows * columns) && writes(check, code + 3, rows);
}

static bool check_dot(const Check *check)
{
    const int32_t *code = check->code;
    return has_length(check, 6) && counts(check, 3, 4) && reads(check, code + 2, 1) &&
           reads_row(check, code[4], (size_t)code[3]) && reads_row(check, code[5], (size_t)code[3]) &&
           writes(check, code + 1, 1);
}

static bool check_softmax(const Check *check)
{
    const int32_t *code = check->code;
    if (!has_at_least(check, 2)) {
        return false;
    }
    if (code[1] < 1) {
        return complain(check, "a count of 1 or more", code[1]);
    }
    const size_t n = (size_t)code[1];
    if (!has_length(check, 2 + 2 * n) || !reads(check, code + 2 + n, n)) {
        return false;
    }
    for (size_t j = 0; j < n; j++) { /* -1 for a result that is not used */
        if (code[2 + j] != -1 && !writes(check, code + 2 + j, 1)) {
            return false;
        }
    }
    return true;
}

/* The index of a table. It has to be an argument, because the caller compares it with the number of items. */
static bool check_take(const Check *check)
{
    const int32_t *code = check->code;
    if (!has_at_least(check, 5)) {
        return false;
    }
    if (code[2] < 1) {
        return complain(check, "a count of 1 or more", code[2]);
    }
    if (!has_length(check, 4 + (size_t)code[2]) || !reads(check, code + 3, 1)) {
        return false;
    }
    if (check->states[code[3]] != (is_uniform(check, code[3]) ? READ : GIVEN)) {
        return complain(check, "an index that is an argument", code[3]);
    }
    return reads(check, code + 4, (size_t)code[2]) && writes(check, code + 1, 1);
}

/* A tanh with one more slot, for its derivative. */
static bool check_tanh(const Check *check)
{
    const int32_t *code = check->code;
    if (!has_length(check, 5)) {
        return false;
    }
    if (code[2] != 1) {
        return complain(check, "one operand", code[2]);
    }
    return reads(check, code + 3, 1) && writes(check, code + 1, 1) && writes(check, code + 4, 1);
}

/* An operation of the table: its result, the number of its operands, and these. */
static bool check_operation(const Check *check)
{
    const int32_t *code = check->code;
    const size_t arity = code[0] == CODE_DETACH ? 1 : arity_of((Op)code[0]);
    if (!has_at_least(check, 4)) {
        return false;
    }
    if (arity == 0 ? code[2] < 1 : code[2] != (int32_t)arity) {
        return complain(check, "as many operands as the operation takes", code[2]);
    }
    return has_length(check, 3 + (size_t)code[2]) && reads(check, code + 3, (size_t)code[2]) &&
           writes(check, code + 1, 1);
}

static bool check_instruction(const Check *check)
{
    const bool alone = check->tape->varying_count == 0;
    const int32_t op = check->code[0];
    switch (op) {
    case CODE_LINEAR:
        return alone ? check_linear_uniform(check) : check_linear(check);
    case CODE_MATRIX:
        return alone ? complain(check, "an instruction without a batch", op) : check_matrix(check);
    case CODE_TANH:
        return alone ? complain(check, "an instruction without a batch", op) : check_tanh(check);
    case CODE_DOT:
        return alone ? check_dot(check) : complain(check, "an instruction of a batch", op);
    case CODE_TAKE:
        return check_take(check);
    case CODE_SOFTMAX:
    case CODE_LOG_SOFTMAX:
        return check_softmax(check);
    case CODE_DETACH: /* in a batch, of a varying slot */
        return check_operation(check) && (alone || reads_varying(check, check->code + 3, 1));
    default:
        if (op < 0 || op >= OP_COUNT || OPERATION_NAMES[op] == NULL || is_left_to_python((Op)op)) {
            return complain(check, "the number of an instruction", op);
        }
        return check_operation(check);
    }
}

/* --- a tape --- */

static bool check_code(Check *check)
{
    const Tape *tape = check->tape;
    const size_t length = tape->length;
    if (tape->count == 0 ? length != 0 : tape->starts[0] != 0) {
        PyErr_SetString(PyExc_ValueError, "Tape: starts: expected one for each instruction, the first of them 0");
        return false;
    }
    for (check->k = 0; check->k < tape->count; check->k++) {
        const int64_t start = tape->starts[check->k];
        const int64_t end = check->k + 1 < tape->count ? tape->starts[check->k + 1] : (int64_t)length;
        if (end <= start || end > (int64_t)length) {
            PyErr_Format(PyExc_ValueError, "Tape: starts: expected instruction %zu to end within %zu numbers, got %lld",
                         check->k, length, (long long)end);
            return false;
        }
        check->code = tape->code + start;
        check->length = (size_t)(end - start);
        if (!check_instruction(check)) {
            return false;
        }
    }
    return true;
}

/* Check the slots of inputs, which are written without an instruction, or those of outputs. */
static bool check_ends(const Check *check, const int32_t *slots, size_t n, bool write, const char *what)
{
    for (size_t j = 0; j < n; j++) {
        const bool varies = slots[j] >= check->tape->uniform_count && slots[j] < check->slots;
        if (!varies || (check->states[slots[j]] == UNKNOWN) != write) {
            PyErr_Format(PyExc_ValueError, "Tape: %s: expected %s, got %ld", what,
                         write ? "distinct varying slots" : "varying slots that are written to", (long)slots[j]);
            return false;
        }
        check->states[slots[j]] = write ? GIVEN : WRITTEN;
    }
    return true;
}

static bool check_guards(const Check *check, size_t numbers)
{
    if (numbers % 4 != 0) {
        PyErr_Format(PyExc_ValueError, "Tape: guards: expected four numbers for each, got %zu", numbers);
        return false;
    }
    for (size_t j = 0; j < check->tape->guards; j++) {
        const Guard *guard = &check->tape->guard_list[j];
        for (int side = 0; side < 2; side++) {
            const int32_t slot = side == 0 ? guard->x : guard->y;
            if (slot < 0 || slot >= check->slots ||
                (!is_uniform(check, slot) && check->states[slot] == UNKNOWN)) {
                PyErr_Format(PyExc_ValueError, "Tape: guards: expected slots that are written to, got %ld", (long)slot);
                return false;
            }
        }
        if (guard->symbol < Py_LT || guard->symbol > Py_GE || guard->outcome < 0 || guard->outcome > 1) {
            PyErr_Format(PyExc_ValueError, "Tape: guards: expected a comparison and 0 or 1, got %ld and %ld",
                         (long)guard->symbol, (long)guard->outcome);
            return false;
        }
    }
    return true;
}

bool check_tape(const Tape *tape, size_t guard_numbers)
{
    const int64_t slots = (int64_t)tape->uniform_count + tape->varying_count;
    if (tape->uniform_count < 0 || tape->varying_count < 0 || slots > INT32_MAX ||
        (uint64_t)slots > SIZE_MAX / (8 * BLOCK * sizeof(double))) {
        PyErr_Format(PyExc_ValueError, "Tape: expected numbers of slots, got %ld and %ld", (long)tape->uniform_count,
                     (long)tape->varying_count);
        return false;
    }
    Check check = {tape, NULL, 0, 0, PyMem_Calloc((size_t)slots + 1, 1), slots};
    if (check.states == NULL) {
        PyErr_NoMemory();
        return false;
    }
    const bool fine = check_ends(&check, tape->input_slots, tape->inputs, true, "inputs") && check_code(&check) &&
                      check_ends(&check, tape->output_slots, tape->outputs, false, "outputs") &&
                      check_guards(&check, guard_numbers);
    PyMem_Free(check.states);
    return fine;
}
