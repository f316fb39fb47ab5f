/* The operations of the table, for the instruction set of blocks_body.h, and tables and sequences. */
#include "tape/blocks_matrices.h"

/* Return the numbers of an operand, one for each sample of a block. The number of a uniform slot is written to the
 * buffer once for each sample. */
TARGET static const double *operand(const Block *block, int32_t slot, double *buffer)
{
    if (slot >= block->tape->uniform_count) {
        return varying(block, block->V, slot);
    }
    fill(block, buffer, block->U[slot]);
    return buffer;
}

/* Add the shares of the samples to the adjoints of a varying slot, or assign them; add their sum to that of a uniform
 * slot. */
TARGET static void add_shares(const Block *block, int32_t slot, const double *restrict share, bool assign)
{
    if (slot < block->tape->uniform_count) {
        if (!block->tape->is_constant[slot]) {
            block->G[slot] += sum_of(block, share);
        }
        return;
    }
    const size_t width = WIDTH(block);
    double *restrict a = varying(block, block->A, slot);
    if (assign) {
        memcpy(a, share, width * sizeof(double));
        return;
    }
    EACH(a[i] += share[i])
}

/* Compute z = op(x, y, w) for `width` numbers: a loop for each operation. */
TARGET static void values_of(int op, int exponent, size_t width, const double *restrict xs, const double *restrict ys,
                             const double *restrict ws, double *restrict z)
{
    width &= ~(size_t)7;
    switch (op) {
#define FUNCTION(identifier, name)                                                                                     \
    case OP_##identifier:                                                                                              \
        FAST.name(xs, z, width);                                                                                       \
        return;
        FUNCTION(EXP, exp)
        FUNCTION(LOG, log)
        FUNCTION(TANH, tanh)
        FUNCTION(SIGMOID, sigmoid)
        FUNCTION(SIN, sin)
        FUNCTION(COS, cos)
#undef FUNCTION
    default:
        break;
    }
    switch (exponent == 2 ? OP_SQUARE : exponent == 1 ? OP_IDENTITY : op) {
#define LOOP(identifier, name, value, ...)                                                                             \
    case OP_##identifier:                                                                                              \
        for (size_t i = 0; i < width; i++) {                                                                           \
            const double x = xs[i], y = ys[i], w = ws[i];                                                              \
            z[i] = value;                                                                                              \
            (void)x, (void)y, (void)w;                                                                                 \
        }                                                                                                              \
        return;
        UNARY_OPERATIONS(LOOP) BINARY_OPERATIONS(LOOP) TERNARY_OPERATIONS(LOOP)
#undef LOOP
    default:
        return;
    }
}

/* Compute the wanted shares of an operation by its slopes: a loop for each operation and operand. */
TARGET static void usual_shares(int op, size_t width, const double *restrict g, const double *restrict zs,
                                const double *restrict xs, const double *restrict ys, const double *restrict ws,
                                unsigned wanted, double buffers[3][BLOCK])
{
    double *first = buffers[0], *second = buffers[1], *third = buffers[2];
    width &= ~(size_t)7;
    switch (op) {
#define LOOP(k, share, slope)                                                                                          \
    if (wanted >> k & 1) {                                                                                             \
        for (size_t i = 0; i < width; i++) {                                                                           \
            const double z = zs[i], x = xs[i], y = ys[i], w = ws[i];                                                   \
            share[i] = share_of(g[i], slope);                                                                          \
            (void)z, (void)x, (void)y, (void)w;                                                                        \
        }                                                                                                              \
    }
#define UNARY(identifier, name, value, slope)                                                                          \
    case OP_##identifier:                                                                                              \
        LOOP(0, first, slope)                                                                                          \
        return;
#define BINARY(identifier, name, value, slope_x, slope_y)                                                              \
    case OP_##identifier:                                                                                              \
        LOOP(0, first, slope_x)                                                                                        \
        LOOP(1, second, slope_y)                                                                                       \
        return;
#define TERNARY(identifier, name, value, slope_x, slope_y, slope_w)                                                    \
    case OP_##identifier:                                                                                              \
        LOOP(0, first, slope_x)                                                                                        \
        LOOP(1, second, slope_y)                                                                                       \
        LOOP(2, third, slope_w)                                                                                        \
        return;
        UNARY_OPERATIONS(UNARY) BINARY_OPERATIONS(BINARY) TERNARY_OPERATIONS(TERNARY)
#undef LOOP
#undef UNARY
#undef BINARY
#undef TERNARY
    default:
        return;
    }
}

/* Compute the wanted shares from the adjoints g of z = op(x, y, w): share[k] is that of operand k. */
TARGET static void shares_of(int op, int exponent, size_t width, const double *restrict g, const double *restrict z,
                             const double *restrict x, const double *restrict y, const double *restrict w,
                             unsigned wanted, double buffers[3][BLOCK], const double *share[3])
{
    double *first = buffers[0], *second = buffers[1], *spare = second, *other = buffers[2];
    for (int k = 0; k < 3; k++) {
        share[k] = buffers[k];
    }
    width &= ~(size_t)7;
    switch (exponent == 2 ? OP_SQUARE : op) {
    case OP_ADD:
        share[0] = share[1] = g;
        return;
    case OP_SUBTRACT:
        share[0] = g;
        EACH(second[i] = -g[i])
        return;
    case OP_TANH:
        FAST.tanh_and_slope(x, other, spare, width);
        EACH(first[i] = g[i] * spare[i])
        return;
    case OP_SIGMOID:
        EACH(spare[i] = -fabs(x[i])) /* sigmoid(x) (1 - sigmoid(x)) is even, and cancels only for x > 0 */
        FAST.sigmoid(spare, other, width);
        EACH(first[i] = g[i] * (other[i] * (1.0 - other[i])))
        return;
    case OP_SIN:
        FAST.cos(x, spare, width);
        EACH(first[i] = g[i] * spare[i])
        return;
    case OP_COS:
        FAST.sin(x, spare, width);
        EACH(first[i] = -(g[i] * spare[i]))
        return;
#define SHARES(identifier, expressions)                                                                                \
    case OP_##identifier:                                                                                              \
        EACH(expressions)                                                                                              \
        return;
        SHARES(NEGATE, first[i] = -g[i])
        SHARES(MULTIPLY, first[i] = g[i] * y[i]; second[i] = g[i] * x[i])
        SHARES(CHAIN, first[i] = share_of(g[i], y[i]); second[i] = share_of(g[i], x[i]))
        SHARES(SQUARE, first[i] = g[i] * (2.0 * x[i]))
        SHARES(RELU, first[i] = x[i] <= 0.0 ? 0.0 : g[i])
        SHARES(GATE, first[i] = 0.0; second[i] = x[i] != 0.0 ? g[i] : 0.0)
        SHARES(WHERE, first[i] = 0.0; second[i] = x[i] != 0.0 ? g[i] : 0.0; other[i] = x[i] != 0.0 ? 0.0 : g[i])
        SHARES(EXP, first[i] = g[i] * z[i])
        SHARES(LOG, first[i] = g[i] / x[i])
        SHARES(DIVIDE, first[i] = g[i] / y[i]; second[i] = share_of(g[i], quotient_by_divisor(z[i], x[i], y[i])))
#undef SHARES
    default:
        break;
    }
    if (exponent == 1) {
        share[0] = g;
        return;
    }
    if (op == OP_POW && wanted == 1) { /* from the result, without another power, where that keeps its digits */
        for (size_t i = 0; i < width; i++) {
            const bool easy = x[i] > 0.0 && keeps_digits(x[i]) && keeps_digits(y[i]) && keeps_digits(z[i]);
            first[i] = share_of(g[i], easy ? y[i] * z[i] / x[i] : power_by_base(x[i], y[i], 0.0));
        }
        return;
    }
    usual_shares(op, width, g, z, x, y, w, wanted, buffers);
}

TARGET static void forward_simple(const Block *block, const int32_t *code)
{
    const size_t n = (size_t)code[2];
    const int32_t *slots = code + 3;
    double buffers[3][BLOCK] ALIGNED;
    const double *x = operand(block, slots[0], buffers[0]);
    const double *y = n > 1 ? operand(block, slots[1], buffers[1]) : x;
    const double *w = n > 2 ? operand(block, slots[2], buffers[2]) : x;
    double *z = varying(block, block->V, code[1]);
    if (code[0] == CODE_TANH) { /* with the derivative, which the backward pass reads from a slot */
        FAST.tanh_and_slope(x, z, varying(block, block->V, code[4]), WIDTH(block));
        return;
    }
    const int exponent = small_exponent(block->tape, code[0], n > 1 ? slots[1] : 0, block->U);
    values_of(code[0], exponent, block->width, x, y, w, z);
    if (!never_raises[code[0]]) {
        mark_suspicious(block, z);
    }
}

TARGET static void backward_tanh(const Block *block, const int32_t *code, bool assign)
{
    const size_t width = WIDTH(block);
    const double *restrict g = varying(block, block->A, code[1]);
    const double *restrict slope = varying(block, block->V, code[4]);
    double *restrict a = varying(block, block->A, code[3]);
    if (assign) {
        EACH(a[i] = g[i] * slope[i])
    } else {
        EACH(a[i] += g[i] * slope[i])
    }
}

TARGET static void backward_simple(const Block *block, const int32_t *code, unsigned assign)
{
    const Tape *tape = block->tape;
    const size_t n = (size_t)code[2];
    const int32_t *slots = code + 3;
    double buffers[3][BLOCK] ALIGNED, shares[3][BLOCK] ALIGNED;
    const double *x = operand(block, slots[0], buffers[0]);
    const double *y = n > 1 ? operand(block, slots[1], buffers[1]) : x;
    const double *w = n > 2 ? operand(block, slots[2], buffers[2]) : x;
    const double *z = varying(block, block->V, code[1]), *g = varying(block, block->A, code[1]), *share[3];
    const unsigned wanted = wanted_slopes(tape, slots, n) & ~(assign >> UNWANTED);
    const int exponent = small_exponent(tape, code[0], n > 1 ? slots[1] : 0, block->U);
    shares_of(code[0], exponent, block->width, g, z, x, y, w, wanted, shares, share);
    for (size_t k = 0; k < n; k++) {
        if (wanted >> k & 1) {
            add_shares(block, slots[k], share[k], assign >> k & 1);
        }
    }
}

/* --- single samples of a block --- */

static inline double number_at(const Block *block, int32_t slot, size_t i)
{
    const int32_t uniform = block->tape->uniform_count;
    return slot < uniform ? block->U[slot] : block->V[(size_t)(slot - uniform) * block->width + i];
}

static inline double *adjoint_at(const Block *block, int32_t slot, size_t i)
{
    const int32_t uniform = block->tape->uniform_count;
    return slot < uniform ? block->G + slot : block->A + (size_t)(slot - uniform) * block->width + i;
}

static inline void gather(const Block *block, const int32_t *slots, size_t n, size_t i, double *xs)
{
    for (size_t k = 0; k < n; k++) {
        xs[k] = number_at(block, slots[k], i);
    }
}

/* The caller has checked the index. */
TARGET static void forward_take(const Block *block, const int32_t *code)
{
    double *z = varying(block, block->V, code[1]);
    for (size_t i = 0; i < block->width; i++) {
        z[i] = number_at(block, code[4 + (size_t)number_at(block, code[3], i)], i);
    }
}

TARGET static void backward_take(const Block *block, const int32_t *code)
{
    const double *g = varying(block, block->A, code[1]);
    for (size_t i = 0; i < block->width; i++) {
        *adjoint_at(block, code[4 + (size_t)number_at(block, code[3], i)], i) += g[i];
    }
}

/* --- operations over sequences, sample by sample --- */

TARGET static void forward_sequence(const Block *block, const int32_t *code)
{
    const size_t n = (size_t)code[2];
    const int32_t *slots = code + 3;
    double *z = varying(block, block->V, code[1]), *xs = block->scratch;
    for (size_t i = 0; i < block->width; i++) {
        gather(block, slots, n, i, xs);
        z[i] = sequence_number((Op)code[0], xs, n, xs + n);
    }
    mark_suspicious(block, z);
}

TARGET static void backward_sequence(const Block *block, const int32_t *code)
{
    const size_t n = (size_t)code[2];
    const int32_t *slots = code + 3;
    const double *z = varying(block, block->V, code[1]), *g = varying(block, block->A, code[1]);
    double *xs = block->scratch, *slopes = xs + n, *rest = xs + 2 * n;
    for (size_t i = 0; i < block->width; i++) {
        if (g[i] == 0.0) {
            continue;
        }
        gather(block, slots, n, i, xs);
        slopes_of_sequence((Op)code[0], z[i], xs, n, slopes, rest);
        for (size_t k = 0; k < n; k++) {
            *adjoint_at(block, slots[k], i) += share_of(g[i], slopes[k]);
        }
    }
}
