/* The loops of tape.c over blocks of samples, for one instruction set: included once for each, with
 *
 *     TAPE_TARGET        the attribute that asks for the instructions, or nothing
 *     TAPE_NAME(name)    the name of a function of this variant
 *     TAPE_HAS_FMA       whether fused multiply-adds are among them
 *
 * A slot that varies holds BLOCK numbers, one a sample: V[slot * BLOCK ...]; its adjoints are in A. U and G are the
 * numbers and the adjoints of the slots that are the same for all samples.
 */

/* --- sums of products --- */

/* out += the sum of w * x over pairs of a slot that varies and one that does not. */
TAPE_TARGET CONTRACTED static void TAPE_NAME(add_weighted)(double *restrict out, const double *restrict V,
                                                           const double *restrict U, const int32_t *v,
                                                           const int32_t *u, size_t n)
{
    PRAGMA_CONTRACTED
    Vec a0 = load(out), a1 = load(out + 8), a2 = load(out + 16), a3 = load(out + 24);
    Vec a4 = load(out + 32), a5 = load(out + 40), a6 = load(out + 48), a7 = load(out + 56);
    for (size_t j = 0; j < n; j++) {
        const double w = U[u[j]], *x = V + (size_t)v[j] * BLOCK;
        a0 += w * load(x), a1 += w * load(x + 8), a2 += w * load(x + 16), a3 += w * load(x + 24);
        a4 += w * load(x + 32), a5 += w * load(x + 40), a6 += w * load(x + 48), a7 += w * load(x + 56);
    }
    store(out, a0), store(out + 8, a1), store(out + 16, a2), store(out + 24, a3);
    store(out + 32, a4), store(out + 40, a5), store(out + 48, a6), store(out + 56, a7);
}

/* Four sums at a time over the same x, which are loaded once for all of them; half a block at a time, so that the sums
 * stay in registers. */
TAPE_TARGET CONTRACTED static void TAPE_NAME(four_rows)(double *const out[4], const double *restrict V,
                                                        const double *restrict U, const int32_t *v,
                                                        const int32_t *const u[4], size_t n)
{
    PRAGMA_CONTRACTED
    for (size_t c = 0; c < BLOCK; c += 32) {
        Vec s[4][4];
        for (int r = 0; r < 4; r++) {
            for (int k = 0; k < 4; k++) {
                s[r][k] = load(out[r] + c + 8 * k);
            }
        }
        for (size_t j = 0; j < n; j++) {
            const double *x = V + (size_t)v[j] * BLOCK + c;
            const Vec x0 = load(x), x1 = load(x + 8), x2 = load(x + 16), x3 = load(x + 24);
            for (int r = 0; r < 4; r++) {
                const double w = U[u[r][j]];
                s[r][0] += w * x0, s[r][1] += w * x1, s[r][2] += w * x2, s[r][3] += w * x3;
            }
        }
        for (int r = 0; r < 4; r++) {
            for (int k = 0; k < 4; k++) {
                store(out[r] + c + 8 * k, s[r][k]);
            }
        }
    }
}

TAPE_TARGET CONTRACTED static double TAPE_NAME(inner)(const double *restrict x, const double *restrict y)
{
    PRAGMA_CONTRACTED
    Vec a = load(x) * load(y), b = load(x + 8) * load(y + 8);
    for (size_t i = 16; i < BLOCK; i += 16) {
        a += load(x + i) * load(y + i);
        b += load(x + i + 8) * load(y + i + 8);
    }
    return total(a + b);
}

/* The inner products of four x with four y. */
TAPE_TARGET CONTRACTED static void TAPE_NAME(inner_4x4)(const double *const x[4], const double *const y[4],
                                                        double sums[4][4])
{
    PRAGMA_CONTRACTED
    Vec s[4][4];
    for (int r = 0; r < 4; r++) {
        for (int k = 0; k < 4; k++) {
            s[r][k] = load(x[r]) * load(y[k]);
        }
    }
    for (size_t i = 8; i < BLOCK; i += 8) {
        const Vec y0 = load(y[0] + i), y1 = load(y[1] + i), y2 = load(y[2] + i), y3 = load(y[3] + i);
        for (int r = 0; r < 4; r++) {
            const Vec xr = load(x[r] + i);
            s[r][0] += xr * y0, s[r][1] += xr * y1, s[r][2] += xr * y2, s[r][3] += xr * y3;
        }
    }
    for (int r = 0; r < 4; r++) {
        for (int k = 0; k < 4; k++) {
            sums[r][k] = total(s[r][k]);
        }
    }
}

/* --- one block --- */

TAPE_TARGET static void TAPE_NAME(forward_linear)(const Tape *tape, const int32_t *code, double *V, const double *U,
                                                  double *restrict suspicious)
{
    const Linear f = read_linear(code);
    double *out = varying(tape, V, f.out);
    for (size_t i = 0; i < BLOCK; i++) {
        out[i] = U[f.base];
    }
    for (size_t j = 0; j < f.plain; j++) {
        const double *x = varying(tape, V, f.terms[j]);
        for (size_t i = 0; i < BLOCK; i++) {
            out[i] += x[i];
        }
    }
    TAPE_NAME(add_weighted)(out, V, U, f.v, f.u, f.weighted);
    for (size_t j = 0; j < f.products; j++) {
        const double *x = varying(tape, V, f.x[j]), *y = varying(tape, V, f.y[j]);
        for (size_t i = 0; i < BLOCK; i++) {
            out[i] = FUSED(x[i], y[i], out[i], TAPE_HAS_FMA);
        }
    }
    for (size_t i = 0; i < BLOCK; i++) {
        suspicious[i] += out[i] - out[i]; /* in another order it may not have overflowed */
    }
}

TAPE_TARGET static void TAPE_NAME(backward_linear)(const Tape *tape, const int32_t *code, const double *V, double *A,
                                                   const double *U, double *G)
{
    const Linear f = read_linear(code);
    const double *g = varying(tape, A, f.out);
    G[f.base] += sum_of(g);
    for (size_t j = 0; j < f.plain; j++) {
        double *a = varying(tape, A, f.terms[j]);
        for (size_t i = 0; i < BLOCK; i++) {
            a[i] += g[i];
        }
    }
    for (size_t j = 0; j < f.weighted; j++) {
        const double *x = V + (size_t)f.v[j] * BLOCK, w = U[f.u[j]];
        double *a = A + (size_t)f.v[j] * BLOCK;
        G[f.u[j]] += TAPE_NAME(inner)(x, g);
        for (size_t i = 0; i < BLOCK; i++) {
            a[i] = FUSED(w, g[i], a[i], TAPE_HAS_FMA);
        }
    }
    for (size_t j = 0; j < f.products; j++) {
        const double *x = varying(tape, (double *)V, f.x[j]), *y = varying(tape, (double *)V, f.y[j]);
        double *ax = varying(tape, A, f.x[j]), *ay = varying(tape, A, f.y[j]);
        for (size_t i = 0; i < BLOCK; i++) {
            const double xi = x[i], yi = y[i], gi = g[i];
            ax[i] = FUSED(gi, yi, ax[i], TAPE_HAS_FMA);
            ay[i] = FUSED(gi, xi, ay[i], TAPE_HAS_FMA);
        }
    }
}

TAPE_TARGET static void TAPE_NAME(forward_matrix)(const Tape *tape, const int32_t *code, double *V, const double *U,
                                                  double *restrict suspicious)
{
    const Matrix m = read_matrix(code);
    for (size_t r = 0; r < m.rows; r++) {
        double *out = varying(tape, V, m.out[r]);
        for (size_t i = 0; i < BLOCK; i++) {
            out[i] = U[m.base[r]];
        }
    }
    size_t r = 0;
    for (; r + 4 <= m.rows; r += 4) {
        double *out[4];
        const int32_t *u[4];
        for (size_t k = 0; k < 4; k++) {
            out[k] = varying(tape, V, m.out[r + k]);
            u[k] = m.u + (r + k) * m.columns;
        }
        TAPE_NAME(four_rows)(out, V, U, m.v, u, m.columns);
    }
    for (; r < m.rows; r++) {
        TAPE_NAME(add_weighted)(varying(tape, V, m.out[r]), V, U, m.v, m.u + r * m.columns, m.columns);
    }
    for (r = 0; r < m.rows; r++) {
        const double *out = varying(tape, V, m.out[r]);
        for (size_t i = 0; i < BLOCK; i++) {
            suspicious[i] += out[i] - out[i];
        }
    }
}

/* To four x at once their share of the adjoints of all sums. */
TAPE_TARGET CONTRACTED static void TAPE_NAME(four_columns)(const Tape *tape, double *A, const double *restrict U,
                                                           const Matrix *m, size_t j)
{
    PRAGMA_CONTRACTED
    double *a[4];
    for (size_t k = 0; k < 4; k++) {
        a[k] = A + (size_t)m->v[j + k] * BLOCK;
    }
    for (size_t c = 0; c < BLOCK; c += 32) {
        Vec s[4][4];
        for (int k = 0; k < 4; k++) {
            for (int i = 0; i < 4; i++) {
                s[k][i] = load(a[k] + c + 8 * i);
            }
        }
        for (size_t r = 0; r < m->rows; r++) {
            const double *g = varying(tape, A, m->out[r]) + c;
            const int32_t *u = m->u + r * m->columns + j;
            const Vec g0 = load(g), g1 = load(g + 8), g2 = load(g + 16), g3 = load(g + 24);
            for (int k = 0; k < 4; k++) {
                const double w = U[u[k]];
                s[k][0] += w * g0, s[k][1] += w * g1, s[k][2] += w * g2, s[k][3] += w * g3;
            }
        }
        for (int k = 0; k < 4; k++) {
            for (int i = 0; i < 4; i++) {
                store(a[k] + c + 8 * i, s[k][i]);
            }
        }
    }
}

TAPE_TARGET static void TAPE_NAME(backward_matrix)(const Tape *tape, const int32_t *code, const double *V, double *A,
                                                   const double *U, double *G)
{
    const Matrix m = read_matrix(code);
    for (size_t r = 0; r < m.rows; r++) {
        G[m.base[r]] += sum_of(varying(tape, A, m.out[r]));
    }
    /* To the x: the transposed product, whose rows are the columns. */
    for (size_t j = 0; j < m.columns; j += 4) {
        const size_t some = m.columns - j < 4 ? m.columns - j : 4;
        if (some == 4) {
            TAPE_NAME(four_columns)(tape, A, U, &m, j);
        } else {
            for (size_t k = j; k < m.columns; k++) {
                double *a = A + (size_t)m.v[k] * BLOCK;
                for (size_t r = 0; r < m.rows; r++) {
                    const double *g = varying(tape, A, m.out[r]), w = U[m.u[r * m.columns + k]];
                    for (size_t i = 0; i < BLOCK; i++) {
                        a[i] = FUSED(w, g[i], a[i], TAPE_HAS_FMA);
                    }
                }
            }
        }
    }
    /* To the weights: the outer product, summed over the samples. */
    for (size_t r = 0; r < m.rows; r += 4) {
        for (size_t j = 0; j < m.columns; j += 4) {
            if (r + 4 <= m.rows && j + 4 <= m.columns) {
                const double *g[4], *x[4];
                double sums[4][4];
                for (size_t k = 0; k < 4; k++) {
                    g[k] = varying(tape, A, m.out[r + k]);
                    x[k] = V + (size_t)m.v[j + k] * BLOCK;
                }
                TAPE_NAME(inner_4x4)(g, x, sums);
                for (size_t p = 0; p < 4; p++) {
                    for (size_t q = 0; q < 4; q++) {
                        G[m.u[(r + p) * m.columns + j + q]] += sums[p][q];
                    }
                }
                continue;
            }
            for (size_t p = r; p < r + 4 && p < m.rows; p++) {
                for (size_t q = j; q < j + 4 && q < m.columns; q++) {
                    G[m.u[p * m.columns + q]] +=
                        TAPE_NAME(inner)(varying(tape, A, m.out[p]), V + (size_t)m.v[q] * BLOCK);
                }
            }
        }
    }
}

/* --- without a batch: sums over neighbouring slots --- */

TAPE_TARGET CONTRACTED static double TAPE_NAME(dot)(const double *x, const double *y, size_t n)
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
TAPE_TARGET CONTRACTED static void TAPE_NAME(spread)(double g, const double *restrict x, double *restrict to, size_t n)
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

/* Read an operand: BLOCK numbers, those of a slot that is the same for all samples written out. */
TAPE_TARGET static const double *TAPE_NAME(operand)(const Tape *tape, int32_t slot, const double *V, const double *U,
                                                    double *room)
{
    if (slot >= tape->uniform_count) {
        return varying(tape, (double *)V, slot);
    }
    for (size_t i = 0; i < BLOCK; i++) {
        room[i] = U[slot];
    }
    return room;
}

/* Add shares to the adjoint of an operand; to that of one that is the same for all samples, their sum. */
TAPE_TARGET static void TAPE_NAME(give)(const Tape *tape, int32_t slot, const double *restrict share, double *A, double *G)
{
    if (slot < tape->uniform_count) {
        G[slot] += sum_of(share);
        return;
    }
    double *restrict a = varying(tape, A, slot);
    for (size_t i = 0; i < BLOCK; i++) {
        a[i] += share[i];
    }
}

/* --- softmax, and its logarithm --- */

/* The greatest x of each sample. */
TAPE_TARGET static void TAPE_NAME(greatest)(const Tape *tape, const Softmax *s, const double *V, const double *U,
                                            double *copy, double *restrict most)
{
    for (size_t i = 0; i < BLOCK; i++) {
        most[i] = -INFINITY;
    }
    for (size_t k = 0; k < s->n; k++) {
        const double *x = TAPE_NAME(operand)(tape, s->x[k], V, U, copy);
        for (size_t i = 0; i < BLOCK; i++) {
            most[i] = x[i] > most[i] ? x[i] : most[i];
        }
    }
}

TAPE_TARGET static void TAPE_NAME(forward_softmax)(const Tape *tape, const int32_t *code, double *V, const double *U,
                                                   double *room, double *restrict suspicious)
{
    const Softmax s = read_softmax(code);
    double *e = room, *most = room + s.n * BLOCK, *others = most + BLOCK, *difference = others + BLOCK;
    uint8_t counted[BLOCK] = {0}; /* the greatest, whose exponential is 1 */
    double copy[BLOCK] ALIGNED;
    for (size_t i = 0; i < BLOCK; i++) {
        others[i] = 0.0;
    }
    TAPE_NAME(greatest)(tape, &s, V, U, copy, most);
    for (size_t k = 0; k < s.n; k++) {
        const double *x = TAPE_NAME(operand)(tape, s.x[k], V, U, copy);
        for (size_t i = 0; i < BLOCK; i++) {
            difference[i] = x[i] - most[i];
        }
        tape->elementary->exp(difference, e + k * BLOCK, BLOCK);
        for (size_t i = 0; i < BLOCK; i++) {
            const bool first = difference[i] == 0.0 && !counted[i];
            counted[i] |= first;
            others[i] += first ? 0.0 : e[k * BLOCK + i];
        }
    }
    if (code[0] == CODE_LOG_SOFTMAX) {
        for (size_t i = 0; i < BLOCK; i++) {
            others[i] = log1p(others[i]);
        }
    }
    for (size_t k = 0; k < s.n; k++) {
        if (s.out[k] < 0) {
            continue;
        }
        double *z = varying(tape, V, s.out[k]);
        const double *x = TAPE_NAME(operand)(tape, s.x[k], V, U, copy);
        for (size_t i = 0; i < BLOCK; i++) {
            z[i] = code[0] == CODE_SOFTMAX ? e[k * BLOCK + i] / (1.0 + others[i]) : (x[i] - most[i]) - others[i];
            suspicious[i] += z[i] - z[i];
        }
    }
}

TAPE_TARGET static void TAPE_NAME(backward_softmax)(const Tape *tape, const int32_t *code, const double *V, double *A,
                                                    const double *U, double *G, double *room)
{
    const Softmax s = read_softmax(code);
    double *share = room, *most = room + s.n * BLOCK, *sum = most + BLOCK, *weighted = sum + BLOCK;
    double copy[BLOCK] ALIGNED;
    for (size_t i = 0; i < BLOCK; i++) {
        sum[i] = 0.0;
    }
    TAPE_NAME(greatest)(tape, &s, V, U, copy, most);
    for (size_t k = 0; k < s.n; k++) {
        const double *x = TAPE_NAME(operand)(tape, s.x[k], V, U, copy);
        double *own = share + k * BLOCK;
        for (size_t i = 0; i < BLOCK; i++) {
            weighted[i] = x[i] - most[i];
        }
        tape->elementary->exp(weighted, own, BLOCK);
        for (size_t i = 0; i < BLOCK; i++) {
            sum[i] += own[i];
        }
    }
    memset(weighted, 0, BLOCK * sizeof *weighted);
    for (size_t k = 0; k < s.n; k++) {
        double *own = share + k * BLOCK;
        const double *g = s.out[k] < 0 ? NULL : varying(tape, A, s.out[k]);
        for (size_t i = 0; i < BLOCK; i++) {
            own[i] /= sum[i];
            weighted[i] += g == NULL ? 0.0 : code[0] == CODE_SOFTMAX ? g[i] * own[i] : g[i];
        }
    }
    for (size_t k = 0; k < s.n; k++) {
        double *own = share + k * BLOCK;
        const double *g = s.out[k] < 0 ? NULL : varying(tape, A, s.out[k]);
        for (size_t i = 0; i < BLOCK; i++) {
            const double gi = g == NULL ? 0.0 : g[i];
            own[i] = code[0] == CODE_SOFTMAX ? own[i] * (gi - weighted[i]) : gi - own[i] * weighted[i];
        }
        TAPE_NAME(give)(tape, s.x[k], own, A, G);
    }
}

#define EACH(expression)                                                                                               \
    for (size_t i = 0; i < BLOCK; i++) {                                                                               \
        expression;                                                                                                    \
    }

TAPE_TARGET static void TAPE_NAME(tanh_and_slope)(const double *restrict x, double *restrict z, double *restrict slope)
{
    uint64_t beyond = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        z[i] = lane_tanh(x[i], TAPE_HAS_FMA);
        slope[i] = lane_sech_squared(x[i], TAPE_HAS_FMA);
        beyond |= mask_if(!(fabs(x[i]) <= TANH_LIMIT));
    }
    for (size_t i = 0; beyond != 0 && i < BLOCK; i++) {
        if (!(fabs(x[i]) <= TANH_LIMIT)) {
            slope[i] = kernel_sech_squared(x[i]);
        }
    }
}

TAPE_TARGET static void TAPE_NAME(forward_simple)(const Tape *tape, const int32_t *code, double *V, const double *U,
                                                  double *restrict suspicious)
{
    const int op = code[0];
    const size_t n = (size_t)code[2];
    const int32_t *slots = code + 3;
    double room[3][BLOCK] ALIGNED;
    const double *restrict x = TAPE_NAME(operand)(tape, slots[0], V, U, room[0]);
    const double *restrict y = n > 1 ? TAPE_NAME(operand)(tape, slots[1], V, U, room[1]) : x;
    const double *restrict w = n > 2 ? TAPE_NAME(operand)(tape, slots[2], V, U, room[2]) : x;
    double *restrict z = varying(tape, V, code[1]);
    const ElementaryBlocks *fast = tape->elementary;
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
    case CODE_TANH: /* with the slope, which the backward pass finds in a slot of its own */
        TAPE_NAME(tanh_and_slope)(x, z, varying(tape, V, code[4]));
        return;
    case OP_SIGMOID:
        fast->sigmoid(x, z, BLOCK);
        return;
    case OP_DIVIDE:
        EACH(z[i] = x[i] / y[i])
        break;
    case OP_RECIPROCAL:
        EACH(z[i] = 1.0 / x[i])
        break;
    case OP_SQRT:
        EACH(z[i] = sqrt(x[i]))
        break;
    case OP_EXP:
        fast->exp(x, z, BLOCK);
        break;
    case OP_LOG:
        fast->log(x, z, BLOCK);
        break;
    case OP_SIN:
        fast->sin(x, z, BLOCK);
        break;
    case OP_COS:
        fast->cos(x, z, BLOCK);
        break;
    default:
        EACH(z[i] = value_of((Op)op, x[i], y[i], w[i]))
    }
    EACH(suspicious[i] += z[i] - z[i]) /* NaN where z is not finite: there the eager program may have raised */
}

TAPE_TARGET static void TAPE_NAME(backward_simple)(const Tape *tape, const int32_t *code, const double *V, double *A,
                                                   const double *U, double *G)
{
    const int op = code[0];
    const size_t n = (size_t)code[2];
    const int32_t *slots = code + 3;
    double room[3][BLOCK] ALIGNED, shares[3][BLOCK] ALIGNED;
    const double *restrict x = TAPE_NAME(operand)(tape, slots[0], V, U, room[0]);
    const double *restrict y = n > 1 ? TAPE_NAME(operand)(tape, slots[1], V, U, room[1]) : x;
    const double *restrict w = n > 2 ? TAPE_NAME(operand)(tape, slots[2], V, U, room[2]) : x;
    const double *restrict z = varying(tape, (double *)V, code[1]);
    const double *restrict g = varying(tape, A, code[1]);
    double *restrict first = shares[0], *restrict second = shares[1];
    switch (op) {
    case OP_ADD:
        TAPE_NAME(give)(tape, slots[0], g, A, G);
        TAPE_NAME(give)(tape, slots[1], g, A, G);
        return;
    case OP_SUBTRACT:
        EACH(second[i] = -g[i])
        TAPE_NAME(give)(tape, slots[0], g, A, G);
        TAPE_NAME(give)(tape, slots[1], second, A, G);
        return;
    case OP_NEGATE:
        EACH(first[i] = -g[i])
        break;
    case OP_MULTIPLY:
        EACH(first[i] = g[i] * y[i]; second[i] = g[i] * x[i])
        break;
    case OP_SQUARE:
        EACH(first[i] = g[i] * (2.0 * x[i]))
        break;
    case OP_RELU:
        EACH(first[i] = x[i] <= 0.0 ? 0.0 : g[i])
        break;
    case OP_EXP:
        EACH(first[i] = g[i] * z[i])
        break;
    case OP_LOG:
        EACH(first[i] = g[i] / x[i])
        break;
    case OP_DIVIDE:
        EACH(first[i] = g[i] / y[i]; second[i] = share_of(g[i], quotient_by_divisor(z[i], x[i], y[i])))
        break;
    case CODE_TANH: {
        const double *restrict slope = varying(tape, (double *)V, code[4]);
        EACH(first[i] = g[i] * slope[i])
        break;
    }
    case OP_SIGMOID:
        EACH(room[1][i] = -fabs(x[i]))
        tape->elementary->exp(room[1], room[2], BLOCK);
        EACH(const double e = room[2][i]; first[i] = g[i] * (e / ((1.0 + e) * (1.0 + e))))
        break;
    case OP_SIN:
        tape->elementary->cos(x, room[1], BLOCK);
        EACH(first[i] = g[i] * room[1][i])
        break;
    case OP_COS:
        tape->elementary->sin(x, room[1], BLOCK);
        EACH(first[i] = -(g[i] * room[1][i]))
        break;
    default:
        for (size_t i = 0; i < BLOCK; i++) {
            double slopes[3];
            slopes_of((Op)op, z[i], x[i], y[i], w[i], 7, slopes);
            for (size_t k = 0; k < n; k++) {
                shares[k][i] = share_of(g[i], slopes[k]);
            }
        }
    }
    for (size_t k = 0; k < n; k++) {
        TAPE_NAME(give)(tape, slots[k], shares[k], A, G);
    }
}
#undef EACH

/* --- operations over sequences, sample by sample --- */

TAPE_TARGET static void TAPE_NAME(forward_sequence)(const Tape *tape, const int32_t *code, double *V, const double *U,
                                                    double *room, double *restrict suspicious)
{
    const size_t n = (size_t)code[2];
    const int32_t *slots = code + 3;
    double *z = varying(tape, V, code[1]);
    for (size_t i = 0; i < BLOCK; i++) {
        gather(tape, slots, n, V, U, i, room);
        z[i] = sequence_value((Op)code[0], room, n, room + n);
        suspicious[i] += z[i] - z[i];
    }
}

TAPE_TARGET static void TAPE_NAME(backward_sequence)(const Tape *tape, const int32_t *code, const double *V, double *A,
                                                     const double *U, double *G, double *room)
{
    const size_t n = (size_t)code[2];
    const int32_t *slots = code + 3;
    const double *z = varying(tape, (double *)V, code[1]), *g = varying(tape, A, code[1]);
    double *slopes = room + n, *scratch = room + 2 * n;
    for (size_t i = 0; i < BLOCK; i++) {
        if (g[i] == 0.0) {
            continue;
        }
        gather(tape, slots, n, V, U, i, room);
        sequence_slopes((Op)code[0], z[i], room, n, slopes, scratch);
        for (size_t k = 0; k < n; k++) {
            *adjoint_at(tape, slots[k], A, G, i) += share_of(g[i], slopes[k]);
        }
    }
}

/* --- a block --- */

TAPE_TARGET static void TAPE_NAME(forward_block)(const Tape *tape, double *V, const double *U, double *room,
                                                 double *suspicious)
{
    for (size_t k = 0; k < tape->count; k++) {
        const int32_t *code = tape->code + tape->starts[k];
        switch (code[0]) {
        case CODE_LINEAR:
            TAPE_NAME(forward_linear)(tape, code, V, U, suspicious);
            break;
        case CODE_MATRIX:
            TAPE_NAME(forward_matrix)(tape, code, V, U, suspicious);
            break;
        case CODE_TAKE:
            forward_take(tape, code, V, U);
            break;
        case CODE_SOFTMAX:
        case CODE_LOG_SOFTMAX:
            TAPE_NAME(forward_softmax)(tape, code, V, U, room, suspicious);
            break;
        case CODE_DETACH:
            memcpy(varying(tape, V, code[1]), varying(tape, V, code[3]), BLOCK * sizeof(double));
            break;
        default:
            if (code[0] < OP_LAST_TERNARY || code[0] == CODE_TANH) {
                TAPE_NAME(forward_simple)(tape, code, V, U, suspicious);
            } else {
                TAPE_NAME(forward_sequence)(tape, code, V, U, room, suspicious);
            }
        }
    }
}

TAPE_TARGET static void TAPE_NAME(backward_block)(const Tape *tape, const double *V, double *A, const double *U,
                                                  double *G, double *room)
{
    for (size_t k = tape->count; k-- > 0;) {
        const int32_t *code = tape->code + tape->starts[k];
        switch (code[0]) {
        case CODE_LINEAR:
            TAPE_NAME(backward_linear)(tape, code, V, A, U, G);
            break;
        case CODE_MATRIX:
            TAPE_NAME(backward_matrix)(tape, code, V, A, U, G);
            break;
        case CODE_TAKE:
            backward_take(tape, code, V, A, U, G);
            break;
        case CODE_SOFTMAX:
        case CODE_LOG_SOFTMAX:
            TAPE_NAME(backward_softmax)(tape, code, V, A, U, G, room);
            break;
        case CODE_DETACH:
            break;
        default:
            if (code[0] < OP_LAST_TERNARY || code[0] == CODE_TANH) {
                TAPE_NAME(backward_simple)(tape, code, V, A, U, G);
            } else {
                TAPE_NAME(backward_sequence)(tape, code, V, A, U, G, room);
            }
        }
    }
}

#undef TAPE_TARGET
#undef TAPE_NAME
#undef TAPE_HAS_FMA
