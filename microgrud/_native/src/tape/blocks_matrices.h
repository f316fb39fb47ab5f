/* Products with matrices, for the instruction set of blocks_body.h. */
#include "tape/blocks_sums.h"

/* Begin a sum that has a plain term. */
TARGET static void write_start(const Block *block, const Matrix *m, size_t r)
{
    double *z = varying(block, block->V, m->out[r]);
    const double *term = varying(block, block->V, m->terms[r]);
    const Vec base = EIGHT_TIMES(block->U[m->base[r]]);
    for (size_t i = 0; i < block->width; i += 8) {
        store(z + i, base + load(term + i));
    }
}

TARGET static void forward_matrix(const Block *block, const int32_t *code)
{
    const Matrix m = read_matrix(code);
    size_t r = 0;
    for (size_t k = 0; m.terms != NULL && k < m.rows; k++) {
        write_start(block, &m, k);
    }
    for (; r + 4 <= m.rows; r += 4) {
        double *out[4];
        const int32_t *u[4];
        for (size_t k = 0; k < 4; k++) {
            out[k] = varying(block, block->V, m.out[r + k]);
            u[k] = m.u + (r + k) * m.columns;
        }
        four_sums(block, out, block->V, m.v, 0, u, 1, m.columns, m.terms == NULL ? m.base + r : NULL, false);
    }
    for (; r < m.rows; r++) {
        double *out = varying(block, block->V, m.out[r]);
        if (m.terms == NULL) {
            fill(block, out, block->U[m.base[r]]);
        }
        add_weighted(block, out, m.v, m.u + r * m.columns, m.columns);
    }
    mark_all_suspicious(block, m.out, m.rows);
}

/* Add to the adjoints of the numbers that a matrix is multiplied by: the transposed product, whose rows are the
 * columns. */
TARGET static void add_transposed(const Block *block, const Matrix m, bool assign)
{
    const size_t width = WIDTH(block);
    double *A = block->A;
    size_t j = 0;
    for (; j + 4 <= m.columns; j += 4) {
        double *a[4];
        const int32_t *u[4];
        for (size_t k = 0; k < 4; k++) {
            a[k] = A + (size_t)m.v[j + k] * block->width;
            u[k] = m.u + j + k;
        }
        four_sums(block, a, A, m.out, block->tape->uniform_count, u, m.columns, m.rows, NULL, assign);
    }
    for (; j < m.columns; j++) {
        double *restrict a = A + (size_t)m.v[j] * block->width;
        if (assign) {
            fill(block, a, 0.0);
        }
        for (size_t r = 0; r < m.rows; r++) {
            const double *restrict g = varying(block, A, m.out[r]), w = block->U[m.u[r * m.columns + j]];
            EACH(a[i] = FUSED(w, g[i], a[i], HAS_FMA))
        }
    }
}

/* Add the adjoints of the weights: the outer product of two vectors, summed over the samples. */
TARGET static void add_outer(const Block *block, const Matrix m)
{
    double *V = block->V, *A = block->A, *G = block->G;
    size_t r = 0, j;
    for (; r + 4 <= m.rows; r += 4) {
        const double *g[4], *x[4];
        double sums[16];
        for (size_t k = 0; k < 4; k++) {
            g[k] = varying(block, A, m.out[r + k]);
        }
        for (j = 0; j + 2 <= m.columns;) {
            const size_t some = j + 4 <= m.columns ? 4 : 2;
            for (size_t k = 0; k < some; k++) {
                x[k] = V + (size_t)m.v[j + k] * block->width;
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
            G[m.u[(r + p) * m.columns + j]] += inner(block, g[p], V + (size_t)m.v[j] * block->width);
        }
    }
    for (; r < m.rows; r++) {
        for (j = 0; j < m.columns; j++) {
            const double *g = varying(block, A, m.out[r]), *x = V + (size_t)m.v[j] * block->width;
            G[m.u[r * m.columns + j]] += inner(block, g, x);
        }
    }
}

/* Write eight varying slots, from the index v[first] on, with the numbers of a sample side by side, and 16 numbers from
 * one sample to the next; zeros in place of slots beyond `count`. */
TARGET LANE void transpose_eight(const Block *block, const int32_t *v, size_t first, size_t count,
                                 double *restrict to)
{
    for (size_t i = 0; i < block->width; i += 8) {
        Vec x[8], pairs[8], fours[8];
        for (size_t k = 0; k < 8; k++) {
            x[k] = first + k < count ? load(block->V + (size_t)v[first + k] * block->width + i) : EIGHT_TIMES(0.0);
        }
        for (size_t k = 0; k < 8; k += 2) {
            pairs[k] = SHUFFLE(x[k], x[k + 1], 0, 8, 2, 10, 4, 12, 6, 14);
            pairs[k + 1] = SHUFFLE(x[k], x[k + 1], 1, 9, 3, 11, 5, 13, 7, 15);
        }
        for (size_t k = 0; k < 8; k++) {
            const size_t own = k / 4 * 4 + k % 2;
            fours[k] = k % 4 < 2 ? SHUFFLE(pairs[own], pairs[own + 2], 0, 1, 8, 9, 4, 5, 12, 13)
                                 : SHUFFLE(pairs[own], pairs[own + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
        for (size_t k = 0; k < 4; k++) {
            store(to + (i + k) * 16, SHUFFLE(fours[k], fours[k + 4], 0, 1, 2, 3, 8, 9, 10, 11));
            store(to + (i + k + 4) * 16, SHUFFLE(fours[k], fours[k + 4], 4, 5, 6, 7, 12, 13, 14, 15));
        }
    }
}

/* Add sums to the adjoints of at most eight weights. */
TARGET LANE void add_to_weights(double *restrict G, const int32_t *u, bool in_row, const Vec *sums, size_t count)
{
    if (in_row && count == 8) {
        *(LooseVec *)(G + u[0]) += *sums;
        return;
    }
    double buffer[8] ALIGNED;
    store(buffer, *sums);
    for (size_t k = 0; k < count; k++) {
        G[u[k]] += buffer[k];
    }
}

/* Do what add_outer does for a narrow block, for 16 columns at a time. The adjoints of eight weights are summed sample
 * by sample, which needs no totals of vectors. */
TARGET CONTRACTED static void add_narrow_outer(const Block *block, const Matrix m)
{
    PRAGMA_CONTRACTED
    double x[NARROW * 16] ALIGNED;
    const size_t width = WIDTH(block);
    for (size_t j = 0; j < m.columns; j += 16) {
        const size_t count = m.columns - j < 16 ? m.columns - j : 16;
        transpose_eight(block, m.v + j, 0, count, x);
        transpose_eight(block, m.v + j, 8, count, x + 8);
        for (size_t r = 0; r < m.rows; r += 4) {
            const double *g[4];
            Vec s[4][2];
            for (size_t k = 0; k < 4; k++) { /* repeat the last row */
                g[k] = varying(block, block->A, m.out[r + k < m.rows ? r + k : m.rows - 1]);
                s[k][0] = s[k][1] = EIGHT_TIMES(0.0);
            }
            for (size_t i = 0; i < width; i++) {
                const Vec first = load(x + i * 16), second = load(x + i * 16 + 8);
                for (size_t k = 0; k < 4; k++) {
                    s[k][0] += g[k][i] * first;
                    s[k][1] += g[k][i] * second;
                }
            }
            for (size_t k = 0; k < 4 && r + k < m.rows; k++) {
                const int32_t *u = m.u + (r + k) * m.columns + j;
                add_to_weights(block->G, u, m.in_rows, &s[k][0], count < 8 ? count : 8);
                if (count > 8) {
                    add_to_weights(block->G, u + 8, m.in_rows, &s[k][1], count - 8);
                }
            }
        }
    }
}

TARGET static void backward_matrix(const Block *block, const int32_t *code, bool assign)
{
    const Matrix m = read_matrix(code);
    const size_t width = WIDTH(block);
    for (size_t r = 0; r < m.rows; r++) {
        const double *restrict g = varying(block, block->A, m.out[r]);
        if (!block->tape->is_constant[m.base[r]]) {
            block->G[m.base[r]] += sum_of(block, g);
        }
        if (m.terms != NULL) {
            double *restrict a = varying(block, block->A, m.terms[r]);
            EACH(a[i] += g[i])
        }
    }
    bool wanted = false; /* usually all columns are inputs, or none */
    for (size_t k = 0; k < m.columns; k++) {
        wanted = wanted || m.v[k] >= block->unwanted;
    }
    if (wanted) {
        add_transposed(block, m, assign);
    }
    (block->width <= NARROW ? add_narrow_outer : add_outer)(block, m);
}
