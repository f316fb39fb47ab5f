/* Operations over rows, which are consecutive slots of a program without a batch, for the instruction set of
 * blocks_body.h. All sets give the same bits: sums keep what their lanes have rounded, and no product is fused.
 */
#include "tape/blocks_wide.h"

/* A sum in eight lanes: `low` adds up what was rounded off in `high`. */
typedef struct {
    Vec high, low;
} RowSum;

#define NO_SUM ((RowSum){EIGHT_TIMES(-0.0), EIGHT_TIMES(0.0)})

LANE void add_vector(RowSum *sum, const Vec *numbers)
{
    const Vec x = *numbers, high = sum->high + x, part = high - sum->high;
    sum->low += (sum->high - (high - part)) + (x - part);
    sum->high = high;
}

/* Add eight numbers, or the squares of these numbers times `scale`. */
LANE void add_eight(RowSum *sum, const double *numbers, const bool squares, double scale)
{
    Vec x = *(const LooseVec *)numbers;
    if (squares) {
        x = (x * scale) * (x * scale);
    }
    add_vector(sum, &x);
}

/* Return `first` plus all lanes of a sum. */
LANE double total_of_row(const RowSum *sum, double first)
{
    double high = first, low = 0.0;
    for (int k = 0; k < 8; k++) {
        const double x = sum->high[k], next = high + x, part = next - high;
        low += ((high - (next - part)) + (x - part)) + sum->low[k];
        high = next;
    }
    return low == 0.0 ? high : high + low; /* a sum of only -0.0 is -0.0 */
}

/* Return the numbers of a piece of a row; where their count is no multiple of 8, in a buffer that is filled up. */
LANE const double *filled_up(const double *x, size_t count, double filler, double *restrict buffer)
{
    if (count % 8 == 0) {
        return x;
    }
    memcpy(buffer, x, count * sizeof *x);
    for (size_t i = count; i % 8 != 0; i++) {
        buffer[i] = filler;
    }
    return buffer;
}

LANE size_t piece_of_row(size_t n, size_t start)
{
    return n - start < BLOCK ? n - start : BLOCK;
}

/* Return the sum of a row, or the sum of the squares of its numbers times `scale`. */
LANE double sum_of_row(const double *x, size_t n, const bool squares, double scale)
{
    double buffer[BLOCK];
    RowSum sum = NO_SUM;
    for (size_t start = 0; start < n; start += BLOCK) {
        const size_t count = piece_of_row(n, start);
        const double *p = filled_up(x + start, count, -0.0, buffer);
        for (size_t i = 0; i < count; i += 8) {
            add_eight(&sum, p + i, squares, scale);
        }
    }
    return total_of_row(&sum, -0.0);
}

/* Compute a long sum; pieces of its terms and factors that are rows are read in place. */
TARGET static double long_sum(const int32_t *code, const double *U)
{
    const Sums sums = read_sums(code);
    double buffers[2][BLOCK], filled[BLOCK], products[BLOCK] ALIGNED;
    RowSum sum = NO_SUM;
    for (size_t start = 0; start < sums.plain; start += BLOCK) {
        const size_t count = piece_of_row(sums.plain, start);
        const double *x = numbers_of(U, sums.terms + start, count, buffers[0]);
        x = filled_up(x, count, -0.0, filled);
        for (size_t i = 0; i < count; i += 8) {
            add_eight(&sum, x + i, false, 1.0);
        }
    }
    for (size_t start = 0; start < sums.pairs; start += BLOCK) {
        const size_t count = piece_of_row(sums.pairs, start);
        const double *restrict x = numbers_of(U, sums.x + start, count, buffers[0]);
        const double *restrict y = numbers_of(U, sums.y + start, count, buffers[1]);
        for (size_t i = 0; i < BLOCK; i++) {
            products[i] = -0.0;
        }
        for (size_t i = 0; i < count; i++) {
            products[i] = x[i] * y[i];
        }
        for (size_t i = 0; i < count; i += 8) {
            add_eight(&sum, products + i, false, 1.0);
        }
    }
    return total_of_row(&sum, -0.0);
}

/* Add the shares of the adjoint g of a long sum, which is not 0. */
TARGET static void add_shares_of_sum(const Tape *tape, const int32_t *code, double g, const double *U, double *G)
{
    const Sums sums = read_sums(code);
    double share[BLOCK], buffer[BLOCK];
    for (size_t i = 0; i < BLOCK; i++) {
        share[i] = g;
    }
    for (size_t start = 0; start < sums.plain; start += BLOCK) {
        add_to_slots(G, sums.terms + start, piece_of_row(sums.plain, start), share);
    }
    for (size_t start = 0; start < sums.pairs; start += BLOCK) {
        const int32_t *both[2] = {sums.x + start, sums.y + start};
        const size_t count = piece_of_row(sums.pairs, start);
        for (int own = 0; own < 2; own++) {
            if (is_one_constant(tape, both[own], count)) {
                continue;
            }
            const double *restrict other = numbers_of(U, both[1 - own], count, buffer);
            for (size_t i = 0; i < count; i++) {
                share[i] = g * other[i];
            }
            add_to_slots(G, both[own], count, share);
        }
    }
}

/* Return the greatest number of a row, the least or the greatest in size; NaN if one is not finite. The lanes of the
 * inner loop stay in registers. */
LANE double extreme_of_row(const double *restrict x, size_t n, const bool greatest, const bool in_size)
{
    enum { LANES = 32 };
    double best[LANES], doubts[LANES] = {0.0}, found = in_size ? fabs(x[0]) : x[0], doubt = 0.0;
    size_t k = 0;
    for (size_t i = 0; i < LANES; i++) {
        best[i] = found;
    }
#define MEET(own, best, doubt)                                                                                         \
    do {                                                                                                               \
        const double met = in_size ? fabs(own) : (own);                                                                \
        (best) = (greatest ? met > (best) : met < (best)) ? met : (best);                                              \
        (doubt) += met - met;                                                                                          \
    } while (false)
    for (; k + LANES <= n; k += LANES) {
        for (size_t i = 0; i < LANES; i++) {
            MEET(x[k + i], best[i], doubts[i]);
        }
    }
    for (; k < n; k++) {
        MEET(x[k], found, doubt);
    }
    for (size_t i = 0; i < LANES; i++) {
        MEET(best[i], found, doubt);
        doubt += doubts[i];
    }
#undef MEET
    return doubt == 0.0 ? found : doubt;
}

/* Write exp(x - top) for each number of a row into `e`, the digits that the difference loses included. Return the sum
 * of all but one of the numbers equal to `top`, whose exponential is 1. */
TARGET static double exponentials_of_row(const double *x, size_t n, double top, double *restrict e)
{
    double buffer[BLOCK], difference[BLOCK] ALIGNED, lost[BLOCK] ALIGNED, last[BLOCK];
    RowSum sum = NO_SUM;
    for (size_t start = 0; start < n; start += BLOCK) {
        const size_t count = piece_of_row(n, start), width = (count + 7) / 8 * 8;
        const double *restrict p = filled_up(x + start, count, -INFINITY, buffer);
        double *own = count == width ? e + start : last;
        for (size_t i = 0; i < width; i++) {
            const double d = p[i] - top, part = p[i] - d;
            const double error = (p[i] - (d + part)) + (part - top);
            difference[i] = d;
            lost[i] = d - d == 0.0 ? error : 0.0;
        }
        FAST.exp(difference, own, width);
        for (size_t i = 0; i < width; i += 8) {
            *(LooseVec *)(own + i) += *(LooseVec *)(own + i) * load(lost + i);
            add_eight(&sum, own + i, false, 1.0);
        }
        if (own == last) {
            memcpy(e + start, own, count * sizeof *e);
        }
    }
    return total_of_row(&sum, -1.0);
}

/* Prepare a softmax of a row: `e` then holds the exponentials, and *whole their sum. Write the greatest number, and
 * return the sum without its exponential; all are NaN if the greatest number is not finite. */
TARGET static double softmax_of_row(const double *x, size_t n, double *e, double *whole, double *top)
{
    *top = extreme_of_row(x, n, true, false);
    *top = *top - *top == 0.0 ? *top : kernel_extreme(x, n, true);
    double others = NAN;
    if (*top - *top == 0.0) {
        others = exponentials_of_row(x, n, *top, e);
    } else {
        for (size_t k = 0; k < n; k++) {
            e[k] = NAN;
        }
    }
    *whole = 1.0 + others;
    return others;
}

/* Return the norm of the numbers of a row times `scale`, a power of two for which no square overflows or vanishes. */
TARGET static double norm_of_row(const double *x, size_t n, double *scale)
{
    *scale = scale_of_norm(extreme_of_row(x, n, true, true));
    return sqrt(sum_of_row(x, n, true, *scale));
}

TARGET static double value_of_row(const Row *row, const double *x, double *e, double *whole)
{
    double top, scale;
    switch (row->op) {
    case OP_SUM:
        return sum_of_row(x, row->n, false, 1.0);
    case OP_MEAN:
        return sum_of_row(x, row->n, false, 1.0) / (double)row->n;
    case OP_MAX:
    case OP_MIN:
        return row->op == OP_MAX ? extreme_of_row(x, row->n, true, false) : extreme_of_row(x, row->n, false, false);
    case OP_NORM:
        return norm_of_row(x, row->n, &scale) / scale;
    default: { /* log-sum-exp */
        const double others = softmax_of_row(x, row->n, e, whole, &top);
        return top + log1p(others);
    }
    }
}

TARGET static bool forward_row(const int32_t *code, double *U, double *G, double *kept)
{
    const Row row = read_row(code);
    const double *x = U + row.first;
    double *e = exponentials_of(&row, G, kept), z = value_of_row(&row, x, e, kept + row.kept);
    if (z - z != 0.0) { /* a number is infinite or NaN, or a partial sum has overflowed; no use is made of `e` */
        z = sequence_number((Op)row.op, x, row.n, e);
    }
    U[row.out] = z;
    return z - z == 0.0;
}

/* Write or add shares of the adjoint g, which is not 0, to the adjoints of a row. */
#define SHARE(expression)                                                                                              \
    do {                                                                                                               \
        for (size_t k = 0; k < n && alone; k++) {                                                                      \
            a[k] = (expression) + 0.0; /* as if added to 0 */                                                          \
        }                                                                                                              \
        for (size_t k = 0; k < n && !alone; k++) {                                                                     \
            a[k] += (expression);                                                                                      \
        }                                                                                                              \
    } while (false)
TARGET static void add_shares_of_row(const Row *row, const double *x, double z, double g, const double *e,
                                     const double *whole, double *a)
{
    const size_t n = row->n;
    const bool alone = row->alone;
    size_t equal = 0;
    double each = g, scale = 1.0;
    switch (row->op) {
    case OP_SUM:
    case OP_MEAN:
        each = row->op == OP_SUM ? g : g * (1.0 / (double)n);
        SHARE(each);
        return;
    case OP_NORM:
        z = z < TINY ? norm_of_row(x, n, &scale) : z; /* a subnormal norm has few digits */
        SHARE(g * (z == 0.0 ? 0.0 : x[k] * scale / z));
        return;
    case OP_MAX:
    case OP_MIN:
        for (size_t k = 0; k < n; k++) {
            equal += has_won(x[k], z);
        }
        each = g * (1.0 / (double)equal);
        SHARE(has_won(x[k], z) ? each : 0.0);
        return;
    default:
        each = g / *whole;
        for (size_t k = 0; k < n && alone; k++) { /* the exponentials are there */
            a[k] = each * a[k] + 0.0;
        }
        for (size_t k = 0; k < n && !alone; k++) {
            a[k] += each * e[k];
        }
    }
}

/* An adjoint of 0 passes nothing on. The shares are finite if g and the result are; if not, the adjoint of the result
 * becomes NaN, because the adjoints of a row that is alone are not looked at. */
TARGET static void backward_row(const int32_t *code, const double *U, double *G, double *kept)
{
    const Row row = read_row(code);
    const double g = G[row.out];
    if (g != 0.0) {
        G[row.out] = g + 0.0 * U[row.out];
        add_shares_of_row(&row, U + row.first, U[row.out], g, exponentials_of(&row, G, kept), kept + row.kept,
                          G + row.first);
    } else if (row.alone) {
        memset(G + row.first, 0, row.n * sizeof *G);
    }
}

TARGET static bool forward_row_softmax(const int32_t *code, double *U, double *G, double *kept)
{
    const RowSoftmax s = read_row_softmax(code);
    const double *x = U + s.row.first;
    double *e = exponentials_of(&s.row, G, kept), *whole = kept + s.row.kept, top;
    const double log_sum = log1p(softmax_of_row(x, s.row.n, e, whole, &top));
    bool fine = true;
    for (size_t j = 0; j < s.used; j++) {
        const size_t k = (size_t)s.places[j];
        const double z = s.is_log ? (x[k] - top) - log_sum : e[k] / *whole;
        U[s.out[j]] = z;
        fine &= z - z == 0.0;
    }
    return fine;
}

/* The adjoint of x_k is s_k (g_k - sum of g s) for softmax, and g_k - s_k (sum of g) for its logarithm. A share above 1/2
 * can only be that of the greatest number, whose exponential is 1. */
TARGET static void backward_row_softmax(const int32_t *code, double *G, double *kept)
{
    const RowSoftmax s = read_row_softmax(code);
    const double *e = exponentials_of(&s.row, G, kept), whole = kept[s.row.kept];
    const size_t n = s.row.n;
    const bool alone = s.row.alone;
    double weighted = 0.0, *a = G + s.row.first;
    LargeShare large = {0.0, 0.0, 0.0};
    size_t top = n;
    for (size_t k = 0; k < n && whole < 2.0; k++) {
        top = e[k] == 1.0 ? k : top;
        large.rest += e[k] == 1.0 ? 0.0 : e[k] / whole;
    }
    bool any = false;
    for (size_t j = 0; j < s.used; j++) {
        const double g = G[s.out[j]], term = s.is_log ? g : g * (e[s.places[j]] / whole);
        const bool is_large = (size_t)s.places[j] == top;
        weighted += term;
        large.adjoint = is_large ? g : large.adjoint;
        large.others += is_large ? 0.0 : term;
        any |= g != 0.0;
    }
    if (!any) { /* adjoints of 0 pass nothing on */
        memset(a, 0, alone ? n * sizeof *a : 0);
        return;
    }
    const double before = alone || top == n ? 0.0 : a[top];
    for (size_t j = 0; j < s.used && !s.is_log; j++) { /* before the exponentials are overwritten */
        G[s.out[j]] *= e[s.places[j]] / whole;
    }
    for (size_t k = 0; k < n && alone; k++) {
        a[k] = 0.0 - a[k] / whole * weighted;
    }
    for (size_t k = 0; k < n && !alone; k++) {
        a[k] -= e[k] / whole * weighted;
    }
    for (size_t j = 0; j < s.used; j++) {
        a[s.places[j]] += G[s.out[j]];
        G[s.out[j]] += 0.0 * (a[s.places[j]] + weighted / whole); /* NaN if a share is not finite, as above */
    }
    if (top < n) {
        a[top] = before + adjoint_at_large_share(&large, 1.0 / whole, s.is_log);
    }
}
#undef SHARE
