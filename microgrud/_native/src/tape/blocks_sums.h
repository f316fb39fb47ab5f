/* Sums of products, for the instruction set of blocks_body.h: linear instructions, and the parts of matrices. */
#include "tape/blocks_vectors.h"

TARGET static double sum_of(const Block *block, const double *x)
{
    Vec sum = load(x);
    for (size_t i = 8; i < block->width; i += 8) {
        sum += load(x + i);
    }
    return total(sum);
}

/* Write the totals of 8 vectors, added in the order of `total`: each of three steps combines vectors in pairs. */
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
TARGET CONTRACTED static void add_weighted(const Block *block, double *restrict out, const int32_t *v, const int32_t *u,
                                           size_t n)
{
    PRAGMA_CONTRACTED
    const double *restrict V = block->V, *restrict U = block->U;
    size_t c = 0;
    for (; c + 32 <= block->width; c += 32) {
        Vec a0 = load(out + c), a1 = load(out + c + 8), a2 = load(out + c + 16), a3 = load(out + c + 24);
        for (size_t j = 0; j < n; j++) {
            const double w = U[u[j]], *x = V + (size_t)v[j] * block->width + c;
            a0 += w * load(x), a1 += w * load(x + 8), a2 += w * load(x + 16), a3 += w * load(x + 24);
        }
        store(out + c, a0), store(out + c + 8, a1), store(out + c + 16, a2), store(out + c + 24, a3);
    }
    for (; c < block->width; c += 8) {
        Vec a = load(out + c);
        for (size_t j = 0; j < n; j++) {
            a += U[u[j]] * load(V + (size_t)v[j] * block->width + c);
        }
        store(out + c, a);
    }
}

/* Compute four sums over the same numbers, which are loaded once, for `vectors` times 8 samples from sample c on.
 * out[r] is a start plus the sum over j of U[u[r][j * step]] * numbers[slots[j]]. The start is U[base[r]]; without a
 * base it is 0 if `assign`, and otherwise the old out[r]. */
TARGET LANE void add_four_sums(double *const out[4], const double *restrict numbers, const int32_t *slots,
                               int32_t first_slot, const double *restrict U, const int32_t *const u[4], size_t step,
                               size_t n, const int32_t *base, bool assign, size_t width, size_t c,
                               const int vectors)
{
    PRAGMA_CONTRACTED
    Vec s[4][VECTORS];
    for (int r = 0; r < 4; r++) {
        for (int k = 0; k < vectors; k++) {
            s[r][k] = base != NULL ? EIGHT_TIMES(U[base[r]]) : assign ? EIGHT_TIMES(0.0) : load(out[r] + c + 8 * k);
        }
    }
    for (size_t j = 0; j < n; j++) {
        const double *x = numbers + (size_t)(slots[j] - first_slot) * width + c;
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
        add_four_sums(out, numbers, slots, first_slot, block->U, u, step, n, base, assign, block->width, c, VECTORS);
    }
    for (; c < block->width; c += 8) {
        add_four_sums(out, numbers, slots, first_slot, block->U, u, step, n, base, assign, block->width, c, 1);
    }
}

TARGET CONTRACTED static double inner(const Block *block, const double *restrict x, const double *restrict y)
{
    PRAGMA_CONTRACTED
    Vec a = load(x) * load(y);
    for (size_t i = 8; i < block->width; i += 8) {
        a += load(x + i) * load(y + i);
    }
    return total(a);
}

/* Write the inner products of four x with `columns` y to sums[r * columns + k]; `columns` is 4 or 2. */
TARGET LANE void inner_products(const Block *block, const double *const x[4], const double *const y[4],
                                const int columns, double sums[16])
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

/* Add the shares of an adjoint g to the adjoints of eight x at once. Compute the inner products of these x with g: the
 * shares of their weights. */
TARGET CONTRACTED static void eight_weighted(const Block *block, const double *restrict g, const int32_t *v,
                                             const int32_t *u, bool assign, double sums[8])
{
    PRAGMA_CONTRACTED
    Vec s[8];
    for (int k = 0; k < 8; k++) {
        s[k] = EIGHT_TIMES(0.0);
    }
    for (size_t i = 0; i < block->width; i += 8) {
        const Vec gi = load(g + i);
        for (int k = 0; k < 8; k++) {
            double *a = block->A + (size_t)v[k] * block->width + i;
            s[k] += gi * load(block->V + (size_t)v[k] * block->width + i);
            store(a, (assign ? EIGHT_TIMES(0.0) : load(a)) + block->U[u[k]] * gi);
        }
    }
    totals(s, sums);
}

TARGET static void forward_linear(const Block *block, const int32_t *code)
{
    const Linear f = read_linear(code);
    const size_t width = WIDTH(block);
    double *restrict out = varying(block, block->V, f.out);
    fill(block, out, block->U[f.base]);
    for (size_t j = 0; j < f.plain; j++) {
        const double *restrict x = varying(block, block->V, f.terms[j]);
        EACH(out[i] += x[i])
    }
    add_weighted(block, out, f.v, f.u, f.weighted);
    for (size_t j = 0; j < f.products; j++) {
        const double *x = varying(block, block->V, f.x[j]), *y = varying(block, block->V, f.y[j]);
        EACH(out[i] = FUSED(x[i], y[i], out[i], HAS_FMA))
    }
    mark_suspicious(block, out); /* the eager sum, in another order, may be finite */
}

/* Add the shares of the products of two varying slots, which may be the same slot. */
TARGET CONTRACTED static void add_products(const Block *block, const Linear *f)
{
    PRAGMA_CONTRACTED
    for (size_t i = 0; i < block->width; i += 8) {
        const Vec g = load(varying(block, block->A, f->out) + i);
        for (size_t j = 0; j < f->products; j++) {
            double *ax = varying(block, block->A, f->x[j]) + i, *ay = varying(block, block->A, f->y[j]) + i;
            store(ax, load(ax) + g * load(varying(block, block->V, f->y[j]) + i));
            store(ay, load(ay) + g * load(varying(block, block->V, f->x[j]) + i));
        }
    }
}

TARGET static void backward_linear(const Block *block, const int32_t *code, bool assign)
{
    const Linear f = read_linear(code);
    const size_t width = WIDTH(block);
    double *V = block->V, *A = block->A;
    const double *restrict g = varying(block, A, f.out);
    if (!block->tape->is_constant[f.base]) {
        block->G[f.base] += sum_of(block, g);
    }
    for (size_t j = 0; j < f.plain; j++) {
        double *restrict a = varying(block, A, f.terms[j]);
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
        const double *x = V + (size_t)f.v[j] * block->width, w = block->U[f.u[j]];
        double *restrict a = A + (size_t)f.v[j] * block->width;
        if (assign) {
            fill(block, a, 0.0);
        }
        if (!block->tape->is_constant[f.u[j]]) {
            block->G[f.u[j]] += inner(block, x, g);
        }
        EACH(a[i] = FUSED(w, g[i], a[i], HAS_FMA))
    }
    add_products(block, &f);
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
        rest = FUSED(x[j], y[j], rest, HAS_FMA);
    }
    return total(a + b) + rest;
}

/* to += g * x; the two may not overlap. */
TARGET CONTRACTED static void add_scaled(double g, const double *restrict x, double *restrict to, size_t n)
{
    PRAGMA_CONTRACTED
    size_t j = 0;
    for (; j + 8 <= n; j += 8) {
        *(LooseVec *)(to + j) += g * *(const LooseVec *)(x + j);
    }
    for (; j < n; j++) {
        to[j] = FUSED(g, x[j], to[j], HAS_FMA);
    }
}
