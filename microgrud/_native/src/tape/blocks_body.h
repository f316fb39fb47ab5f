/* The loops of the interpreter over blocks of samples, for one instruction set, whose settings (such as those of
 * ops/avx2.h) come before.
 */
#include "tape/blocks.h"
#include "tape/instructions.h"

#define FAST OF_SET(elementary)
#define WIDTH(block) ((block)->width & ~(size_t)7) /* tells the compiler that no samples are left over */
#define EIGHT_TIMES(x) ((Vec){(x), (x), (x), (x), (x), (x), (x), (x)})
#define EACH(expression)                                                                                               \
    for (size_t i = 0; i < width; i++) {                                                                               \
        expression;                                                                                                    \
    }

/* --- sums of products --- */

TARGET static double sum_of(const Block *block, const double *x)
{
    Vec sum = load(x);
    for (size_t i = 8; i < block->width; i += 8) {
        sum += load(x + i);
    }
    return total(sum);
}

/* Write the totals of 8 vectors, added in the order of `total`: each of three steps makes one vector of two. */
TARGET LANE void totals(const Vec v[8], double sums[8])
{
    Vec pairs[4], fours[2];
    for (int k = 0; k < 4; k++) {
        pairs[k] = SHUFFLE(v[2 * k], v[2 * k + 1], 0, 8, 2, 10, 4, 12, 6, 14) +
                   SHUFFLE(v[2 * k], v[2 * k + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int k = 0; k < 2; k++) {
        fours[k] = SHUFFLE(pairs[2 * k], pairs[2 * k + 1], 0, 1, 8, 9, 4, 5, 12, 13) +
                   SHUFFLE(pairs[2 * k], pairs[2 * k + 1], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    *(LooseVec *)sums = SHUFFLE(fours[0], fours[1], 0, 1, 2, 3, 8, 9, 10, 11) +
                        SHUFFLE(fours[0], fours[1], 4, 5, 6, 7, 12, 13, 14, 15);
}

/* out += the sum of w * x over pairs of a varying slot x and a uniform slot w. */
TARGET CONTRACTED static void add_weighted(const Block *block, double *restrict out, const int32_t *v,
                                                           const int32_t *u, size_t n)
{
    PRAGMA_CONTRACTED
    const double *restrict V = block->V, *restrict U = block->U;
    size_t c = 0;
    for (; c + 32 <= block->width; c += 32) {
        Vec a0 = load(out + c), a1 = load(out + c + 8), a2 = load(out + c + 16), a3 = load(out + c + 24);
        for (size_t j = 0; j < n; j++) {
            const double w = U[u[j]], *x = V + (size_t)v[j] * BLOCK + c;
            a0 += w * load(x), a1 += w * load(x + 8), a2 += w * load(x + 16), a3 += w * load(x + 24);
        }
        store(out + c, a0), store(out + c + 8, a1), store(out + c + 16, a2), store(out + c + 24, a3);
    }
    for (; c < block->width; c += 8) {
        Vec a = load(out + c);
        for (size_t j = 0; j < n; j++) {
            a += U[u[j]] * load(V + (size_t)v[j] * BLOCK + c);
        }
        store(out + c, a);
    }
}

/* Compute four sums over the same numbers, which are loaded once, for `vectors` times 8 samples from sample c on.
 * out[r] is a start plus the sum over j of U[u[r][j * step]] * numbers[slots[j]]. The start is U[base[r]]; without a
 * base it is 0 if `assign`, and otherwise the old out[r]. */
TARGET LANE void add_four_sums(double *const out[4], const double *restrict numbers,
                                                          const int32_t *slots, int32_t first_slot,
                                                          const double *restrict U, const int32_t *const u[4],
                                                          size_t step, size_t n, const int32_t *base, bool assign,
                                                          size_t c, const int vectors)
{
    PRAGMA_CONTRACTED
    Vec s[4][VECTORS];
    for (int r = 0; r < 4; r++) {
        for (int k = 0; k < vectors; k++) {
            s[r][k] = base != NULL ? EIGHT_TIMES(U[base[r]]) : assign ? EIGHT_TIMES(0.0) : load(out[r] + c + 8 * k);
        }
    }
    for (size_t j = 0; j < n; j++) {
        const double *x = numbers + (size_t)(slots[j] - first_slot) * BLOCK + c;
        for (int r = 0; r < 4; r++) {
            const double w = U[u[r][j * step]];
            for (int k = 0; k < vectors; k++) {
                s[r][k] += w * load(x + 8 * k);
            }
        }
    }
    for (int r = 0; r < 4; r++) {
        for (int k = 0; k < vectors; k++) {
            store(out[r] + c + 8 * k, s[r][k]);
        }
    }
}

TARGET CONTRACTED static void four_sums(const Block *block, double *const out[4], const double *numbers,
                                             const int32_t *slots, int32_t first_slot, const int32_t *const u[4],
                                             size_t step, size_t n, const int32_t *base, bool assign)
{
    size_t c = 0;
    for (; c + 8 * VECTORS <= block->width; c += 8 * VECTORS) {
        add_four_sums(out, numbers, slots, first_slot, block->U, u, step, n, base, assign, c,
                                 VECTORS);
    }
    for (; c < block->width; c += 8) {
        add_four_sums(out, numbers, slots, first_slot, block->U, u, step, n, base, assign, c,
                                 1);
    }
}

TARGET CONTRACTED static double inner(const Block *block, const double *restrict x,
                                                      const double *restrict y)
{
    PRAGMA_CONTRACTED
    Vec a = load(x) * load(y);
    for (size_t i = 8; i < block->width; i += 8) {
        a += load(x + i) * load(y + i);
    }
    return total(a);
}

/* Write the inner products of four x with `columns` y, four or two, to sums[r * columns + k]. */
TARGET LANE void inner_products(const Block *block, const double *const x[4],
                                                           const double *const y[4], const int columns, double sums[16])
{
    PRAGMA_CONTRACTED
    Vec s[16];
    for (int r = 0; r < 4; r++) {
        for (int k = 0; k < columns; k++) {
            s[r * columns + k] = load(x[r]) * load(y[k]);
        }
    }
    for (size_t i = 8; i < block->width; i += 8) {
        for (int r = 0; r < 4; r++) {
            const Vec xr = load(x[r] + i);
            for (int k = 0; k < columns; k++) {
                s[r * columns + k] += xr * load(y[k] + i);
            }
        }
    }
    for (int k = 0; k < 4 * columns; k += 8) {
        totals(s + k, sums + k);
    }
}

TARGET CONTRACTED static void inner_4x4(const Block *block, const double *const x[4], const double *const y[4],
                                             double sums[16])
{
    inner_products(block, x, y, 4, sums);
}

TARGET CONTRACTED static void inner_4x2(const Block *block, const double *const x[4], const double *const y[4],
                                             double sums[16])
{
    inner_products(block, x, y, 2, sums);
}

/* Add their shares of an adjoint g to eight x at once, and compute the inner products with g for their weights. */
TARGET CONTRACTED static void eight_weighted(const Block *block, const double *restrict g,
                                                             const int32_t *v, const int32_t *u, bool assign,
                                                             double sums[8])
{
    PRAGMA_CONTRACTED
    Vec s[8];
    for (int k = 0; k < 8; k++) {
        s[k] = EIGHT_TIMES(0.0);
    }
    for (size_t i = 0; i < block->width; i += 8) {
        const Vec gi = load(g + i);
        for (int k = 0; k < 8; k++) {
            double *a = block->A + (size_t)v[k] * BLOCK + i;
            s[k] += gi * load(block->V + (size_t)v[k] * BLOCK + i);
            store(a, (assign ? EIGHT_TIMES(0.0) : load(a)) + block->U[u[k]] * gi);
        }
    }
    totals(s, sums);
}

/* Mark samples with a number that is not finite: `suspicious` becomes NaN. */
TARGET static void suspect(const Block *block, const double *restrict z)
{
    double *restrict suspicious = block->suspicious;
    for (size_t i = 0; i < block->width; i += 8) {
        store(suspicious + i, load(suspicious + i) + (load(z + i) - load(z + i)));
    }
}

TARGET static void fill(const Block *block, double *restrict z, double number)
{
    const Vec all = EIGHT_TIMES(number);
    for (size_t i = 0; i < block->width; i += 8) {
        store(z + i, all);
    }
}

TARGET static void forward_linear(const Block *block, const int32_t *code)
{
    const Linear f = read_linear(code);
    const size_t width = WIDTH(block);
    double *restrict out = varying(block->tape, block->V, f.out);
    fill(block, out, block->U[f.base]);
    for (size_t j = 0; j < f.plain; j++) {
        const double *restrict x = varying(block->tape, block->V, f.terms[j]);
        EACH(out[i] += x[i])
    }
    add_weighted(block, out, f.v, f.u, f.weighted);
    for (size_t j = 0; j < f.products; j++) {
        const double *x = varying(block->tape, block->V, f.x[j]), *y = varying(block->tape, block->V, f.y[j]);
        EACH(out[i] = FUSED(x[i], y[i], out[i], HAS_FMA))
    }
    suspect(block, out); /* the eager sum, in another order, may be finite */
}

TARGET static void backward_linear(const Block *block, const int32_t *code, bool assign)
{
    const Linear f = read_linear(code);
    const size_t width = WIDTH(block);
    double *V = block->V, *A = block->A;
    const double *restrict g = varying(block->tape, A, f.out);
    block->G[f.base] += sum_of(block, g);
    for (size_t j = 0; j < f.plain; j++) {
        double *restrict a = varying(block->tape, A, f.terms[j]);
        EACH(a[i] += g[i])
    }
    size_t done = 0;
    for (; done + 8 <= f.weighted; done += 8) {
        double sums[8];
        eight_weighted(block, g, f.v + done, f.u + done, assign, sums);
        for (size_t k = 0; k < 8; k++) {
            block->G[f.u[done + k]] += sums[k];
        }
    }
    for (size_t j = done; j < f.weighted; j++) {
        const double *x = V + (size_t)f.v[j] * BLOCK, w = block->U[f.u[j]];
        double *restrict a = A + (size_t)f.v[j] * BLOCK;
        if (assign) {
            fill(block, a, 0.0);
        }
        if (!block->tape->is_constant[f.u[j]]) {
            block->G[f.u[j]] += inner(block, x, g);
        }
        EACH(a[i] = FUSED(w, g[i], a[i], HAS_FMA))
    }
    for (size_t j = 0; j < f.products; j++) {
        const double *x = varying(block->tape, V, f.x[j]), *y = varying(block->tape, V, f.y[j]);
        double *ax = varying(block->tape, A, f.x[j]), *ay = varying(block->tape, A, f.y[j]);
        for (size_t i = 0; i < width; i++) { /* x and y may be the same slot */
            ax[i] = FUSED(g[i], y[i], ax[i], HAS_FMA);
            ay[i] = FUSED(g[i], x[i], ay[i], HAS_FMA);
        }
    }
}

TARGET static void forward_matrix(const Block *block, const int32_t *code)
{
    const Matrix m = read_matrix(code);
    size_t r = 0;
    for (; r + 4 <= m.rows; r += 4) {
        double *out[4];
        const int32_t *u[4];
        for (size_t k = 0; k < 4; k++) {
            out[k] = varying(block->tape, block->V, m.out[r + k]);
            u[k] = m.u + (r + k) * m.columns;
        }
        four_sums(block, out, block->V, m.v, 0, u, 1, m.columns, m.base + r, true);
    }
    for (; r < m.rows; r++) {
        double *out = varying(block->tape, block->V, m.out[r]);
        fill(block, out, block->U[m.base[r]]);
        add_weighted(block, out, m.v, m.u + r * m.columns, m.columns);
    }
    for (r = 0; r < m.rows; r++) {
        suspect(block, varying(block->tape, block->V, m.out[r]));
    }
}

TARGET static void backward_matrix(const Block *block, const int32_t *code, bool assign)
{
    const Matrix m = read_matrix(code);
    const size_t width = WIDTH(block);
    double *V = block->V, *A = block->A, *G = block->G;
    for (size_t r = 0; r < m.rows; r++) {
        G[m.base[r]] += sum_of(block, varying(block->tape, A, m.out[r]));
    }
    /* The adjoints of x: the transposed product, whose rows are the columns. */
    size_t j = 0;
    for (; j + 4 <= m.columns; j += 4) {
        double *a[4];
        const int32_t *u[4];
        for (size_t k = 0; k < 4; k++) {
            a[k] = A + (size_t)m.v[j + k] * BLOCK;
            u[k] = m.u + j + k;
        }
        four_sums(block, a, A, m.out, block->tape->uniform_count, u, m.columns, m.rows,
                             NULL, assign);
    }
    for (; j < m.columns; j++) {
        double *restrict a = A + (size_t)m.v[j] * BLOCK;
        if (assign) {
            fill(block, a, 0.0);
        }
        for (size_t r = 0; r < m.rows; r++) {
            const double *restrict g = varying(block->tape, A, m.out[r]), w = block->U[m.u[r * m.columns + j]];
            EACH(a[i] = FUSED(w, g[i], a[i], HAS_FMA))
        }
    }
    /* The adjoints of the weights: the outer product, summed over the samples. */
    size_t r = 0;
    for (; r + 4 <= m.rows; r += 4) {
        const double *g[4], *x[4];
        double sums[16];
        for (size_t k = 0; k < 4; k++) {
            g[k] = varying(block->tape, A, m.out[r + k]);
        }
        for (j = 0; j + 2 <= m.columns;) {
            const size_t some = j + 4 <= m.columns ? 4 : 2;
            for (size_t k = 0; k < some; k++) {
                x[k] = V + (size_t)m.v[j + k] * BLOCK;
            }
            (some == 4 ? inner_4x4 : inner_4x2)(block, g, x, sums);
            for (size_t p = 0; p < 4; p++) {
                for (size_t q = 0; q < some; q++) {
                    G[m.u[(r + p) * m.columns + j + q]] += sums[p * some + q];
                }
            }
            j += some;
        }
        for (size_t p = 0; p < 4 && j < m.columns; p++) {
            G[m.u[(r + p) * m.columns + j]] += inner(block, g[p], V + (size_t)m.v[j] * BLOCK);
        }
    }
    for (; r < m.rows; r++) {
        for (j = 0; j < m.columns; j++) {
            const double *g = varying(block->tape, A, m.out[r]), *x = V + (size_t)m.v[j] * BLOCK;
            G[m.u[r * m.columns + j]] += inner(block, g, x);
        }
    }
}

/* --- without a batch: sums over neighbouring slots --- */

TARGET CONTRACTED static double dot(const double *x, const double *y, size_t n)
{
    PRAGMA_CONTRACTED
    Vec a = {-0.0, -0.0, -0.0, -0.0, -0.0, -0.0, -0.0, -0.0}, b = a;
    size_t j = 0;
    for (; j + 16 <= n; j += 16) {
        a += *(const LooseVec *)(x + j) * *(const LooseVec *)(y + j);
        b += *(const LooseVec *)(x + j + 8) * *(const LooseVec *)(y + j + 8);
    }
    if (j + 8 <= n) {
        a += *(const LooseVec *)(x + j) * *(const LooseVec *)(y + j);
        j += 8;
    }
    double rest = -0.0;
    for (; j < n; j++) {
        rest += x[j] * y[j];
    }
    return total(a + b) + rest;
}

/* to += g * x; the two may not overlap. */
TARGET CONTRACTED static void spread(double g, const double *restrict x, double *restrict to, size_t n)
{
    PRAGMA_CONTRACTED
    size_t j = 0;
    for (; j + 8 <= n; j += 8) {
        *(LooseVec *)(to + j) += g * *(const LooseVec *)(x + j);
    }
    for (; j < n; j++) {
        to[j] += g * x[j];
    }
}

/* --- one operation, number by number --- */

/* Return the numbers of an operand in a block; that of a uniform slot is written into a buffer as often. */
TARGET static const double *operand(const Block *block, int32_t slot, double *buffer)
{
    if (slot >= block->tape->uniform_count) {
        return varying(block->tape, block->V, slot);
    }
    fill(block, buffer, block->U[slot]);
    return buffer;
}

/* Add shares to the adjoint of an operand, or assign them; add their sum to the adjoint of a uniform slot. */
TARGET static void give(const Block *block, int32_t slot, const double *restrict share, bool assign)
{
    if (slot < block->tape->uniform_count) {
        if (!block->tape->is_constant[slot]) {
            block->G[slot] += sum_of(block, share);
        }
        return;
    }
    const size_t width = WIDTH(block);
    double *restrict a = varying(block->tape, block->A, slot);
    if (assign) {
        memcpy(a, share, width * sizeof(double));
        return;
    }
    EACH(a[i] += share[i])
}

/* --- softmax, and its logarithm --- */

/* Find the greatest x of each sample. */
TARGET static void greatest(const Block *block, const Softmax *s, double *copy, double *restrict most)
{
    const size_t width = WIDTH(block);
    for (size_t i = 0; i < width; i++) {
        most[i] = -INFINITY;
    }
    for (size_t k = 0; k < s->n; k++) {
        const double *x = operand(block, s->x[k], copy);
        for (size_t i = 0; i < width; i++) {
            most[i] = x[i] > most[i] ? x[i] : most[i];
        }
    }
}

TARGET static void forward_softmax(const Block *block, const int32_t *code)
{
    const Softmax s = read_softmax(code);
    const size_t width = WIDTH(block);
    double *e = block->scratch, *most = e + s.n * BLOCK, *others = most + BLOCK, *difference = others + BLOCK;
    uint8_t counted[BLOCK] = {0}; /* the greatest x was met, whose exponential is 1 */
    double copy[BLOCK] ALIGNED;
    for (size_t i = 0; i < width; i++) {
        others[i] = 0.0;
    }
    greatest(block, &s, copy, most);
    for (size_t k = 0; k < s.n; k++) {
        const double *x = operand(block, s.x[k], copy);
        for (size_t i = 0; i < width; i++) {
            difference[i] = x[i] - most[i];
        }
        FAST.exp(difference, e + k * BLOCK, width);
        for (size_t i = 0; i < width; i++) {
            const bool first = difference[i] == 0.0 && !counted[i];
            counted[i] |= first;
            others[i] += first ? 0.0 : e[k * BLOCK + i];
        }
    }
    if (code[0] == CODE_LOG_SOFTMAX) {
        for (size_t i = 0; i < width; i++) {
            others[i] = log1p(others[i]);
        }
    }
    for (size_t k = 0; k < s.n; k++) {
        if (s.out[k] < 0) {
            continue;
        }
        double *z = varying(block->tape, block->V, s.out[k]);
        const double *x = operand(block, s.x[k], copy);
        for (size_t i = 0; i < width; i++) {
            z[i] = code[0] == CODE_SOFTMAX ? e[k * BLOCK + i] / (1.0 + others[i]) : (x[i] - most[i]) - others[i];
        }
        suspect(block, z);
    }
}

TARGET static void backward_softmax(const Block *block, const int32_t *code)
{
    const Softmax s = read_softmax(code);
    const size_t width = WIDTH(block);
    double *share = block->scratch, *most = share + s.n * BLOCK, *sum = most + BLOCK, *weighted = sum + BLOCK;
    double copy[BLOCK] ALIGNED;
    for (size_t i = 0; i < width; i++) {
        sum[i] = 0.0;
    }
    greatest(block, &s, copy, most);
    for (size_t k = 0; k < s.n; k++) {
        const double *x = operand(block, s.x[k], copy);
        double *own = share + k * BLOCK;
        for (size_t i = 0; i < width; i++) {
            weighted[i] = x[i] - most[i];
        }
        FAST.exp(weighted, own, width);
        for (size_t i = 0; i < width; i++) {
            sum[i] += own[i];
        }
    }
    memset(weighted, 0, BLOCK * sizeof *weighted);
    for (size_t k = 0; k < s.n; k++) {
        double *own = share + k * BLOCK;
        const double *g = s.out[k] < 0 ? NULL : varying(block->tape, block->A, s.out[k]);
        for (size_t i = 0; i < width; i++) {
            own[i] /= sum[i];
            weighted[i] += g == NULL ? 0.0 : code[0] == CODE_SOFTMAX ? g[i] * own[i] : g[i];
        }
    }
    for (size_t k = 0; k < s.n; k++) {
        double *own = share + k * BLOCK;
        const double *g = s.out[k] < 0 ? NULL : varying(block->tape, block->A, s.out[k]);
        for (size_t i = 0; i < width; i++) {
            const double gi = g == NULL ? 0.0 : g[i];
            own[i] = code[0] == CODE_SOFTMAX ? own[i] * (gi - weighted[i]) : gi - own[i] * weighted[i];
        }
        give(block, s.x[k], own, false);
    }
}

TARGET static void tanh_and_slope(size_t width, const double *restrict x, double *restrict z,
                                                  double *restrict slope)
{
    uint64_t above = 0;
    for (size_t i = 0; i < width; i++) {
        const Tanh both = lane_tanh_and_slope(x[i], HAS_FMA);
        z[i] = both.value;
        slope[i] = both.slope;
        above |= mask_if(!(fabs(x[i]) <= TANH_LIMIT));
    }
    for (size_t i = 0; above != 0 && i < width; i++) {
        if (!(fabs(x[i]) <= TANH_LIMIT)) {
            slope[i] = kernel_sech_squared(x[i]);
        }
    }
}

/* Compute z = op(x, y, w) for `width` numbers. */
TARGET static void values_of(int op, int exponent, size_t width,
                                             const double *restrict x, const double *restrict y,
                                             const double *restrict w, double *restrict z)
{
    width &= ~(size_t)7;
    switch (op) {
    case OP_ADD:
        EACH(z[i] = x[i] + y[i])
        return;
    case OP_SUBTRACT:
        EACH(z[i] = x[i] - y[i])
        return;
    case OP_MULTIPLY:
        EACH(z[i] = x[i] * y[i])
        return;
    case OP_NEGATE:
        EACH(z[i] = -x[i])
        return;
    case OP_SQUARE:
        EACH(z[i] = x[i] * x[i])
        return;
    case OP_ABS:
        EACH(z[i] = fabs(x[i]))
        return;
    case OP_RELU:
        EACH(z[i] = x[i] <= 0.0 ? 0.0 : x[i])
        return;
    case OP_CHAIN:
        EACH(z[i] = x[i] == 0.0 ? 0.0 : x[i] * y[i])
        return;
    case OP_MAXIMUM:
        EACH(z[i] = x[i] >= y[i] || x[i] != x[i] ? x[i] : y[i])
        return;
    case OP_MINIMUM:
        EACH(z[i] = x[i] <= y[i] || x[i] != x[i] ? x[i] : y[i])
        return;
    case OP_TANH:
        FAST.tanh(x, z, width);
        return;
    case OP_SIGMOID:
        FAST.sigmoid(x, z, width);
        return;
    case OP_DIVIDE:
        EACH(z[i] = x[i] / y[i])
        return;
    case OP_RECIPROCAL:
        EACH(z[i] = 1.0 / x[i])
        return;
    case OP_SQRT:
        EACH(z[i] = sqrt(x[i]))
        return;
    case OP_EXP:
        FAST.exp(x, z, width);
        return;
    case OP_LOG:
        FAST.log(x, z, width);
        return;
    case OP_SIN:
        FAST.sin(x, z, width);
        return;
    case OP_COS:
        FAST.cos(x, z, width);
        return;
    default:
        break;
    }
    if (exponent == 2) {
        EACH(z[i] = x[i] * x[i])
    } else if (exponent == 1) {
        EACH(z[i] = x[i])
    } else {
        EACH(z[i] = value_of((Op)op, x[i], y[i], w[i]))
    }
}

/* Compute the shares of the operands that are wanted, share[k] of operand k, from the adjoints g of z = op(x, y, w). */
TARGET static void shares_of(int op, int exponent, size_t width,
                                             const double *restrict g, const double *restrict z,
                                             const double *restrict x, const double *restrict y,
                                             const double *restrict w, unsigned wanted, double buffers[3][BLOCK],
                                             const double *share[3])
{
    double *first = buffers[0], *second = buffers[1], *spare = second, *other = buffers[2];
    for (int k = 0; k < 3; k++) {
        share[k] = buffers[k];
    }
    width &= ~(size_t)7;
    switch (op) {
    case OP_ADD:
        share[0] = share[1] = g;
        return;
    case OP_SUBTRACT:
        share[0] = g;
        EACH(second[i] = -g[i])
        return;
    case OP_NEGATE:
        EACH(first[i] = -g[i])
        return;
    case OP_MULTIPLY:
        EACH(first[i] = g[i] * y[i]; second[i] = g[i] * x[i])
        return;
    case OP_CHAIN:
        EACH(first[i] = share_of(g[i], y[i]); second[i] = share_of(g[i], x[i]))
        return;
    case OP_SQUARE:
        EACH(first[i] = g[i] * (2.0 * x[i]))
        return;
    case OP_RELU:
        EACH(first[i] = x[i] <= 0.0 ? 0.0 : g[i])
        return;
    case OP_EXP:
        EACH(first[i] = g[i] * z[i])
        return;
    case OP_LOG:
        EACH(first[i] = g[i] / x[i])
        return;
    case OP_DIVIDE:
        EACH(first[i] = g[i] / y[i]; second[i] = share_of(g[i], quotient_by_divisor(z[i], x[i], y[i])))
        return;
    case OP_TANH:
        tanh_and_slope(width, x, other, spare);
        EACH(first[i] = g[i] * spare[i])
        return;
    case OP_SIGMOID:
        EACH(spare[i] = -fabs(x[i]))
        FAST.exp(spare, other, width);
        EACH(const double e = other[i]; first[i] = g[i] * (e / ((1.0 + e) * (1.0 + e))))
        return;
    case OP_SIN:
        FAST.cos(x, spare, width);
        EACH(first[i] = g[i] * spare[i])
        return;
    case OP_COS:
        FAST.sin(x, spare, width);
        EACH(first[i] = -(g[i] * spare[i]))
        return;
    default:
        break;
    }
    if (exponent == 2) {
        EACH(first[i] = g[i] * (2.0 * x[i]))
        return;
    }
    if (exponent == 1) {
        share[0] = g;
        return;
    }
    for (size_t i = 0; i < width; i++) {
        double slopes[3] = {0.0};
        slopes_of((Op)op, z[i], x[i], y[i], w[i], wanted, slopes);
        for (size_t k = 0; k < 3; k++) {
            buffers[k][i] = wanted >> k & 1 ? share_of(g[i], slopes[k]) : 0.0;
        }
    }
}

TARGET static void forward_simple(const Block *block, const int32_t *code)
{
    const size_t n = (size_t)code[2];
    const int32_t *slots = code + 3;
    double buffers[3][BLOCK] ALIGNED;
    const double *x = operand(block, slots[0], buffers[0]);
    const double *y = n > 1 ? operand(block, slots[1], buffers[1]) : x;
    const double *w = n > 2 ? operand(block, slots[2], buffers[2]) : x;
    double *z = varying(block->tape, block->V, code[1]);
    if (code[0] == CODE_TANH) { /* with the derivative, which the backward pass reads from a slot */
        tanh_and_slope(WIDTH(block), x, z, varying(block->tape, block->V, code[4]));
        return;
    }
    const int exponent = small_exponent(block->tape, code, block->U);
    values_of(code[0], exponent, block->width, x, y, w, z);
    if (!never_raises(code[0])) {
        suspect(block, z);
    }
}

TARGET static void backward_tanh(const Block *block, const int32_t *code, bool assign)
{
    const size_t width = WIDTH(block);
    const double *restrict g = varying(block->tape, block->A, code[1]);
    const double *restrict slope = varying(block->tape, block->V, code[4]);
    double *restrict a = varying(block->tape, block->A, code[3]);
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
    const double *z = varying(tape, block->V, code[1]), *g = varying(tape, block->A, code[1]), *share[3];
    const unsigned wanted = wanted_slopes(tape, slots, n);
    const int exponent = small_exponent(tape, code, block->U);
    shares_of(code[0], exponent, block->width, g, z, x, y, w, wanted, shares, share);
    for (size_t k = 0; k < n; k++) {
        if (wanted >> k & 1) {
            give(block, slots[k], share[k], assign >> k & 1);
        }
    }
}

/* --- single samples of a block --- */

static inline double number_at(const Block *block, int32_t slot, size_t i)
{
    const int32_t uniform = block->tape->uniform_count;
    return slot < uniform ? block->U[slot] : block->V[(size_t)(slot - uniform) * BLOCK + i];
}

static inline double *adjoint_at(const Block *block, int32_t slot, size_t i)
{
    const int32_t uniform = block->tape->uniform_count;
    return slot < uniform ? block->G + slot : block->A + (size_t)(slot - uniform) * BLOCK + i;
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
    double *z = varying(block->tape, block->V, code[1]);
    for (size_t i = 0; i < block->width; i++) {
        z[i] = number_at(block, code[4 + (size_t)number_at(block, code[3], i)], i);
    }
}

TARGET static void backward_take(const Block *block, const int32_t *code)
{
    const double *g = varying(block->tape, block->A, code[1]);
    for (size_t i = 0; i < block->width; i++) {
        *adjoint_at(block, code[4 + (size_t)number_at(block, code[3], i)], i) += g[i];
    }
}

/* --- operations over sequences, sample by sample --- */

TARGET static void forward_sequence(const Block *block, const int32_t *code)
{
    const size_t n = (size_t)code[2];
    const int32_t *slots = code + 3;
    double *z = varying(block->tape, block->V, code[1]), *xs = block->scratch;
    for (size_t i = 0; i < block->width; i++) {
        gather(block, slots, n, i, xs);
        z[i] = sequence_number((Op)code[0], xs, n, xs + n);
    }
    suspect(block, z);
}

TARGET static void backward_sequence(const Block *block, const int32_t *code)
{
    const size_t n = (size_t)code[2];
    const int32_t *slots = code + 3;
    const double *z = varying(block->tape, block->V, code[1]), *g = varying(block->tape, block->A, code[1]);
    double *xs = block->scratch, *slopes = xs + n, *rest = xs + 2 * n;
    for (size_t i = 0; i < block->width; i++) {
        if (g[i] == 0.0) {
            continue;
        }
        gather(block, slots, n, i, xs);
        sequence_slopes((Op)code[0], z[i], xs, n, slopes, rest);
        for (size_t k = 0; k < n; k++) {
            *adjoint_at(block, slots[k], i) += share_of(g[i], slopes[k]);
        }
    }
}

/* --- guards --- */

/* Put the number of a guard that does not hold into `failed`, unless an earlier one has failed. */
#define CHECK(comparison)                                                                                              \
    if (guard->outcome) {                                                                                              \
        EACH(failed[i] = failed[i] != 0.0 || (comparison) ? failed[i] : number)                                        \
    } else {                                                                                                           \
        EACH(failed[i] = failed[i] != 0.0 || !(comparison) ? failed[i] : number)                                       \
    }

TARGET static void check_guards(const Block *block, double *restrict failed)
{
    const size_t width = WIDTH(block);
    double buffers[2][BLOCK] ALIGNED;
    for (size_t k = 0; k < block->tape->guards; k++) {
        const Guard *guard = &block->tape->guard_list[k];
        const double *restrict x = operand(block, guard->x, buffers[0]);
        const double *restrict y = operand(block, guard->y, buffers[1]);
        const double number = (double)(k + 1);
        switch (guard->symbol) {
        case Py_LT:
            CHECK(x[i] < y[i])
            break;
        case Py_LE:
            CHECK(x[i] <= y[i])
            break;
        case Py_GT:
            CHECK(x[i] > y[i])
            break;
        case Py_GE:
            CHECK(x[i] >= y[i])
            break;
        case Py_EQ:
            CHECK(x[i] == y[i])
            break;
        default:
            CHECK(x[i] != y[i])
        }
    }
}
#undef CHECK

/* --- a block --- */

TARGET static void forward_block(const Block *block)
{
    const Tape *tape = block->tape;
    for (size_t k = 0; k < tape->count; k++) {
        const int32_t *code = tape->code + tape->starts[k];
        switch (code[0]) {
        case CODE_LINEAR:
            forward_linear(block, code);
            break;
        case CODE_MATRIX:
            forward_matrix(block, code);
            break;
        case CODE_TAKE:
            forward_take(block, code);
            break;
        case CODE_SOFTMAX:
        case CODE_LOG_SOFTMAX:
            forward_softmax(block, code);
            break;
        case CODE_DETACH:
            memcpy(varying(tape, block->V, code[1]), varying(tape, block->V, code[3]), block->width * sizeof(double));
            break;
        default:
            if (code[0] < OP_LAST_TERNARY || code[0] == CODE_TANH) {
                forward_simple(block, code);
            } else {
                forward_sequence(block, code);
            }
        }
    }
}

TARGET static void backward_block(const Block *block)
{
    const Tape *tape = block->tape;
    for (size_t k = tape->count; k-- > 0;) {
        const int32_t *code = tape->code + tape->starts[k];
        switch (code[0]) {
        case CODE_LINEAR:
            backward_linear(block, code, tape->first_writes[k]);
            break;
        case CODE_MATRIX:
            backward_matrix(block, code, tape->first_writes[k]);
            break;
        case CODE_TAKE:
            backward_take(block, code);
            break;
        case CODE_SOFTMAX:
        case CODE_LOG_SOFTMAX:
            backward_softmax(block, code);
            break;
        case CODE_DETACH:
            break;
        case CODE_TANH:
            backward_tanh(block, code, tape->first_writes[k]);
            break;
        default:
            if (code[0] < OP_LAST_TERNARY) {
                backward_simple(block, code, tape->first_writes[k]);
            } else {
                backward_sequence(block, code);
            }
        }
    }
}

/* --- without a batch: the same operation on many numbers --- */

/* Return `count` numbers, gathered in a buffer, where the last one is repeated up to a multiple of 8. Consecutive slots
 * are read in place. */
TARGET static const double *gathered(const double *numbers, const int32_t *slots, size_t count,
                                                     bool is_row, double *restrict buffer)
{
    if (is_row && count % 8 == 0) {
        return numbers + slots[0];
    }
    for (size_t i = 0; i < count; i++) {
        buffer[i] = numbers[slots[i]];
    }
    for (size_t i = count; i % 8 != 0; i++) {
        buffer[i] = numbers[slots[count - 1]];
    }
    return buffer;
}

/* A part of a wide instruction: at most BLOCK of its results. */
typedef struct {
    const int32_t *slots[4]; /* of the results, and of each operand */
    size_t count;
} Piece;

LANE Piece piece_of(const Wide *wide, size_t start)
{
    Piece piece = {{NULL}, wide->n - start < BLOCK ? wide->n - start : BLOCK};
    for (size_t k = 0; k <= wide->arity; k++) {
        piece.slots[k] = wide->slots + k * wide->n + start;
    }
    return piece;
}

/* Write out operands that are the same slot for all results, once for all pieces. */
TARGET static void spread_same(const Wide *wide, const double *U, double buffers[4][BLOCK])
{
    for (size_t k = 1; k <= wide->arity; k++) {
        for (size_t i = 0; i < BLOCK && wide->same >> k & 1; i++) {
            buffers[k][i] = U[wide->slots[k * wide->n]];
        }
    }
}

/* Return the numbers of operand k of a piece, from 1; 0 stands for the results. Operands that do not exist, and small
 * exponents, are not read. */
TARGET static const double *operand_of_piece(const Wide *wide, const Piece *piece,
                                                             const double *U, size_t k, double *buffer)
{
    if (k > wide->arity || wide->same >> k & 1 || (k == 2 && wide->exponent > 0)) {
        return buffer;
    }
    return gathered(U, piece->slots[k], piece->count, wide->rows >> k & 1, buffer);
}

TARGET static bool forward_wide(const int32_t *code, double *U)
{
    const Wide wide = read_wide(code, U);
    double buffers[4][BLOCK] ALIGNED;
    bool fine = true;
    spread_same(&wide, U, buffers);
    for (size_t start = 0; start < wide.n; start += BLOCK) {
        const Piece piece = piece_of(&wide, start);
        const double *x[3];
        for (size_t k = 0; k < 3; k++) {
            x[k] = operand_of_piece(&wide, &piece, U, k + 1, buffers[k + 1]);
        }
        const size_t width = (piece.count + 7) / 8 * 8;
        double *z = buffers[0];
        values_of(wide.op, wide.exponent, width, x[0], x[1], x[2], z);
        if (wide.rows & 1) {
            memcpy(U + piece.slots[0][0], z, piece.count * sizeof(double));
        } else {
            for (size_t i = 0; i < piece.count; i++) {
                U[piece.slots[0][i]] = z[i];
            }
        }
        if (!never_raises(wide.op)) {
            double doubt = 0.0;
            for (size_t i = 0; i < width; i++) {
                doubt += z[i] - z[i];
            }
            fine &= doubt == 0.0;
        }
    }
    return fine;
}

/* An adjoint of 0 passes nothing on. */
TARGET static void add_to_row(double *restrict a, const double *restrict g,
                                              const double *restrict share, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        a[i] += g[i] == 0.0 ? 0.0 : share[i];
    }
}

TARGET static void backward_wide(const int32_t *code, const double *U, double *G)
{
    const Wide wide = read_wide(code, U);
    double buffers[4][BLOCK] ALIGNED, adjoints[BLOCK] ALIGNED, shares[3][BLOCK] ALIGNED;
    spread_same(&wide, U, buffers);
    for (size_t start = 0; start < wide.n; start += BLOCK) {
        const Piece piece = piece_of(&wide, start);
        const double *x[4], *share[3];
        for (size_t k = 0; k < 4; k++) {
            x[k] = operand_of_piece(&wide, &piece, U, k, buffers[k]);
        }
        const double *g = gathered(G, piece.slots[0], piece.count, wide.rows & 1, adjoints);
        const size_t width = (piece.count + 7) / 8 * 8;
        shares_of(wide.op, wide.exponent, width, g, x[0], x[1], x[2], x[3], wide.wanted,
                             shares, share);
        for (size_t k = 0; k < wide.arity; k++) {
            if (!(wide.wanted >> k & 1)) {
                continue;
            }
            const int32_t *slots = piece.slots[k + 1];
            if (wide.rows >> (k + 1) & 1) {
                add_to_row(G + slots[0], g, share[k], piece.count);
            } else {
                for (size_t i = 0; i < piece.count; i++) {
                    G[slots[i]] += g[i] == 0.0 ? 0.0 : share[k][i]; /* an adjoint of 0 passes nothing on */
                }
            }
        }
    }
}

TARGET static bool forward_wide_linear(const int32_t *code, double *U)
{
    const WideLinear wide = read_wide_linear(code);
    double doubt = 0.0, z[BLOCK] ALIGNED;
    for (size_t start = 0; start < wide.n; start += BLOCK) {
        const size_t count = wide.n - start < BLOCK ? wide.n - start : BLOCK;
        const int32_t *slots = wide.slots + start, *out = slots;
        for (size_t i = 0; i < count; i++) {
            z[i] = -0.0;
        }
        for (size_t k = 0; k < wide.plain; k++) {
            slots += wide.n;
            for (size_t i = 0; i < count; i++) {
                z[i] += U[slots[i]];
            }
        }
        for (size_t k = 0; k < wide.pairs; k++) {
            const int32_t *x = slots + (k + 1) * wide.n, *y = x + wide.pairs * wide.n;
            for (size_t i = 0; i < count; i++) {
                z[i] += U[x[i]] * U[y[i]];
            }
        }
        for (size_t i = 0; i < count; i++) {
            U[out[i]] = z[i];
            doubt += z[i] - z[i];
        }
    }
    return doubt == 0.0;
}

TARGET CONTRACTED static bool forward_wide_dot(const int32_t *code, double *U)
{
    PRAGMA_CONTRACTED
    const WideDot wide = read_wide_dot(code);
    double doubt = 0.0;
    for (size_t r = 0; r < wide.n; r += 8) {
        const double *x[8], *y[8];
        const size_t some = wide.n - r < 8 ? wide.n - r : 8;
        Vec s[8];
        for (size_t k = 0; k < 8; k++) {
            const size_t row = r + (k < some ? k : some - 1); /* repeat the last row */
            x[k] = U + wide.x[row];
            y[k] = U + wide.y[row];
            s[k] = EIGHT_TIMES(-0.0);
        }
        size_t j = 0;
        for (; j + 8 <= wide.length; j += 8) {
            for (int k = 0; k < 8; k++) {
                s[k] += *(const LooseVec *)(x[k] + j) * *(const LooseVec *)(y[k] + j);
            }
        }
        double sums[8];
        totals(s, sums);
        for (size_t k = 0; k < some; k++) {
            double rest = U[wide.bias[r + k]];
            for (size_t i = j; i < wide.length; i++) {
                rest += x[k][i] * y[k][i];
            }
            const double z = sums[k] + rest;
            U[wide.out[r + k]] = z;
            doubt += z - z;
        }
    }
    return doubt == 0.0;
}

const Blocks OF_SET(blocks) = {
    .set = SET_NAME,
    .forward = forward_block,
    .backward = backward_block,
    .check_guards = check_guards,
    .forward_wide = forward_wide,
    .backward_wide = backward_wide,
    .forward_wide_linear = forward_wide_linear,
    .forward_wide_dot = forward_wide_dot,
    .dot = dot,
    .spread = spread,
};
