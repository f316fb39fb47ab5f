/* The instructions of a batch for runs without a backward pass: a slot is reused for a later result once its last
 * reader is done.
 */
#include "builder/build.h"
#include "tape/instructions.h"

/* The results and the operands of an instruction, as indices into the code. */
typedef struct {
    size_t outs, out_count;
    struct {
        size_t place, count;
        int32_t first; /* the slot that is written as 0 there */
    } reads[3];
    size_t scratch; /* a slot that only the backward pass reads; 0 if there is none */
} References;

typedef struct {
    GivenInts starts;
    Ints numbers;
    int32_t uniform, varying;
    uint8_t *pinned; /* by varying slot: it keeps its number to the end */
    int32_t *last;   /* the last instruction that reads it; -1 if there is none */
    int32_t *given;  /* its new slot */
    Ints idle;       /* new slots that are free again */
    int32_t slots, scratch;
} Liveness;

enum { NOBODY = -1 };

/* Find the slots of an instruction. Return false if they do not fit its length. */
static bool find_references(const Liveness *l, size_t k, References *found)
{
    const size_t start = (size_t)l->starts.items[k];
    const size_t end = k + 1 < l->starts.count ? (size_t)l->starts.items[k + 1] : l->numbers.count;
    if (start >= end || end > l->numbers.count || end - start < 4) {
        return false;
    }
    const int32_t *code = l->numbers.items + start;
    const size_t length = end - start;
    *found = (References){start + 1, 1, {{end, 0, l->uniform}, {end, 0, l->uniform}, {end, 0, 0}}, 0};
    if (code[0] == CODE_LINEAR) {
        if (length < 6 || code[3] < 0 || code[4] < 0 || code[5] < 0) {
            return false;
        }
        const size_t plain = (size_t)code[3], weighted = (size_t)code[4], products = (size_t)code[5];
        found->reads[0].place = start + 6;
        found->reads[0].count = plain;
        found->reads[1].place = start + 6 + plain + 2 * weighted;
        found->reads[1].count = 2 * products;
        found->reads[2].place = start + 6 + plain;
        found->reads[2].count = weighted;
        return 6 + plain + 2 * weighted + 2 * products == length;
    }
    if (code[0] == CODE_MATRIX) {
        if (code[1] < 0 || code[2] < 0) {
            return false;
        }
        const size_t rows = (size_t)code[1], columns = (size_t)code[2];
        found->outs = start + 3;
        found->out_count = rows;
        found->reads[2].place = start + 3 + 2 * rows;
        found->reads[2].count = columns;
        return 3 + 2 * rows + columns + rows * columns == length;
    }
    if (code[0] == CODE_SOFTMAX || code[0] == CODE_LOG_SOFTMAX) {
        if (code[1] < 0) {
            return false;
        }
        found->outs = start + 2;
        found->out_count = (size_t)code[1];
        found->reads[0].place = start + 2 + (size_t)code[1];
        found->reads[0].count = (size_t)code[1];
        return 2 + 2 * (size_t)code[1] == length;
    }
    found->reads[0].place = start + 3;
    found->reads[0].count = length - 3;
    if (code[0] == CODE_TANH) {
        found->reads[0].count = 1;
        found->scratch = start + 4;
        return length == 5;
    }
    return true;
}

/* Find the last instruction that reads each slot. */
static Built find_last_reads(Liveness *l)
{
    for (int32_t slot = 0; slot < l->varying; slot++) {
        l->last[slot] = l->given[slot] = NOBODY;
    }
    for (size_t k = 0; k < l->starts.count; k++) {
        References found;
        if (!find_references(l, k, &found)) {
            return NOT_VALID;
        }
        for (int j = 0; j < 3; j++) {
            for (size_t i = 0; i < found.reads[j].count; i++) {
                const int64_t slot = (int64_t)l->numbers.items[found.reads[j].place + i] - found.reads[j].first;
                if (slot >= l->varying || (slot < 0 && (j == 2 || slot < -(int64_t)l->uniform))) {
                    return NOT_VALID;
                }
                if (slot >= 0) {
                    l->last[slot] = (int32_t)k;
                }
            }
        }
        for (size_t i = 0; i < found.out_count; i++) {
            const int64_t number = l->numbers.items[found.outs + i], slot = number - l->uniform;
            if (number != NOBODY && (slot < 0 || slot >= l->varying)) {
                return NOT_VALID;
            }
        }
    }
    return BUILT;
}

static int32_t take_idle(Liveness *l)
{
    return l->idle.count > 0 ? l->idle.items[--l->idle.count] : l->slots++;
}

static Built release(Liveness *l, int32_t slot)
{
    return l->pinned[slot] ? BUILT : push_int(&l->idle, l->given[slot]);
}

/* Rewrite an instruction. Its results get slots before those of its operands are freed: no instruction writes where it
 * reads. */
static Built redirect(Liveness *l, size_t k)
{
    References found;
    if (!find_references(l, k, &found)) {
        return NOT_VALID;
    }
    int32_t *numbers = l->numbers.items;
    for (size_t i = 0; i < found.out_count; i++) {
        if (numbers[found.outs + i] >= 0) {
            const int32_t slot = numbers[found.outs + i] - l->uniform;
            l->given[slot] = take_idle(l);
        }
    }
    if (found.scratch > 0) {
        l->scratch = l->scratch == NOBODY ? l->slots++ : l->scratch;
        numbers[found.scratch] = l->uniform + l->scratch;
    }
    for (int j = 0; j < 3; j++) {
        for (size_t i = 0; i < found.reads[j].count; i++) {
            int32_t *number = &numbers[found.reads[j].place + i];
            const int32_t slot = *number - found.reads[j].first;
            if (slot < 0) {
                continue; /* uniform */
            }
            if (l->given[slot] == NOBODY) {
                return NOT_VALID;
            }
            *number = l->given[slot] + found.reads[j].first;
            if (l->last[slot] == (int32_t)k) {
                l->last[slot] = NOBODY - 1; /* it may be read twice here */
                Built built = release(l, slot);
                if (built != BUILT) {
                    return built;
                }
            }
        }
    }
    for (size_t i = 0; i < found.out_count; i++) {
        if (numbers[found.outs + i] >= 0) {
            const int32_t slot = numbers[found.outs + i] - l->uniform;
            numbers[found.outs + i] = l->uniform + l->given[slot];
            Built built = l->last[slot] == NOBODY ? release(l, slot) : BUILT;
            if (built != BUILT) {
                return built;
            }
        }
    }
    return BUILT;
}

static Built reuse_all(Liveness *l, const GivenInts *inputs)
{
    Built built = find_last_reads(l);
    for (size_t k = 0; k < inputs->count && built == BUILT; k++) {
        const int32_t slot = inputs->items[k];
        if (slot < 0 || slot >= l->varying) {
            return NOT_VALID;
        }
        l->pinned[slot] = 1;
        l->given[slot] = l->slots++;
    }
    for (size_t k = 0; k < l->starts.count && built == BUILT; k++) {
        built = redirect(l, k);
    }
    for (int32_t slot = 0; slot < l->varying && built == BUILT; slot++) {
        l->given[slot] = l->pinned[slot] ? l->given[slot] : NOBODY;
    }
    return built;
}

/* reuse(numbers, starts, inputs, pinned, uniform): return the new numbers, the number of slots, and the new slot of
 * each varying slot; -1 for one that was reused. */
PyObject *reuse_slots(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer v[4];
    Liveness l;
    memset(&l, 0, sizeof l);
    if (!PyArg_ParseTuple(args, "y*y*y*y*i:reuse", &v[0], &v[1], &v[2], &v[3], &l.uniform)) {
        return NULL;
    }
    l.starts = ints_of_view(&v[1]);
    const GivenInts numbers = ints_of_view(&v[0]), inputs = ints_of_view(&v[2]);
    const size_t varying = (size_t)v[3].len;
    l.varying = (int32_t)varying;
    l.scratch = NOBODY;
    l.pinned = PyMem_RawMalloc(varying + 1);
    l.last = PyMem_RawMalloc((varying + 1) * sizeof *l.last);
    l.given = PyMem_RawMalloc((varying + 1) * sizeof *l.given);
    Built built = l.pinned == NULL || l.last == NULL || l.given == NULL ? NO_MEMORY
                  : l.uniform < 0 || varying + (size_t)l.uniform > MOST_ITEMS ? NOT_VALID
                                                                        : reserve_ints(&l.numbers, numbers.count);
    if (built == BUILT) {
        put_ints(&l.numbers, numbers.items, numbers.count);
        memcpy(l.pinned, v[3].buf, varying);
        Py_BEGIN_ALLOW_THREADS
        built = reuse_all(&l, &inputs);
        Py_END_ALLOW_THREADS
    }
    PyObject *result = NULL;
    if (built != BUILT) {
        set_build_error(built, "compile");
    } else {
        const Ints given = {l.given, varying, varying};
        result = Py_BuildValue("NiN", bytes_of_ints(&l.numbers), l.slots, bytes_of_ints(&given));
    }
    PyMem_RawFree(l.numbers.items);
    PyMem_RawFree(l.idle.items);
    PyMem_RawFree(l.pinned);
    PyMem_RawFree(l.last);
    PyMem_RawFree(l.given);
    for (int k = 0; k < 4; k++) {
        PyBuffer_Release(&v[k]);
    }
    return result;
}
