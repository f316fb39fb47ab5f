/* Operations over a sequence, for all samples of a block at once, for the instruction set of blocks_body.h. A batch of
 * log-sum-exp takes a tenth of the time that it takes sample by sample.
 */
#include "tape/blocks_rows.h"

/* A sum for each sample: `low` adds up what was rounded off in `high`. */
typedef struct {
    double *high, *low;
} LaneSums;

/* Return sums in the workspace, after `used` numbers for each sample. */
TARGET static LaneSums begin_sums(const Block *block, size_t used, double first)
{
    const LaneSums sums = {block->scratch + used * BLOCK, block->scratch + (used + 1) * BLOCK};
    fill(block, sums.high, first);
    fill(block, sums.low, 0.0);
    return sums;
}

TARGET static void add_lanes(const Block *block, const LaneSums *sums, const double *numbers)
{
    for (size_t i = 0; i < block->width; i += 8) {
        const Vec x = load(numbers + i), before = load(sums->high + i), high = before + x, part = high - before;
        store(sums->low + i, load(sums->low + i) + ((before - (high - part)) + (x - part)));
        store(sums->high + i, high);
    }
}

/* Find the greatest number of each sample, or the least, or the greatest in size. NaN is passed over. */
TARGET static void extremes(const Block *block, const int32_t *code, const bool greatest, const bool in_size,
                            double *restrict best)
{
    const size_t width = WIDTH(block);
    double copy[BLOCK] ALIGNED;
    fill(block, best, in_size ? 0.0 : greatest ? -INFINITY : INFINITY);
    for (int32_t k = 0; k < code[2]; k++) {
        const double *restrict x = operand(block, code[3 + k], copy);
        for (size_t i = 0; i < width; i++) {
            const double own = in_size ? fabs(x[i]) : x[i];
            best[i] = (greatest ? own > best[i] : own < best[i]) ? own : best[i];
        }
    }
}

/* Write exp(x - top), the digits that the difference loses included; `sums` is the last in the workspace. */
TARGET static void exponentials(const Block *block, const LaneSums *sums, const double *restrict x,
                                const double *restrict top, double *restrict e)
{
    const size_t width = WIDTH(block);
    double *restrict difference = sums->low + BLOCK, lost[BLOCK] ALIGNED;
    for (size_t i = 0; i < width; i++) {
        const double d = x[i] - top[i], part = x[i] - d, error = (x[i] - (d + part)) + (part - top[i]);
        difference[i] = d;
        lost[i] = d - d == 0.0 ? error : 0.0;
    }
    FAST.exp(difference, e, width);
    EACH(e[i] += e[i] * lost[i])
}

TARGET static void logsumexp_of_lanes(const Block *block, const int32_t *code, double *restrict z)
{
    const size_t width = WIDTH(block);
    double top[BLOCK] ALIGNED, e[BLOCK] ALIGNED, copy[BLOCK] ALIGNED;
    extremes(block, code, true, false, top);
    const LaneSums others = begin_sums(block, 0, -1.0); /* without the exponential of the greatest */
    for (int32_t k = 0; k < code[2]; k++) {
        exponentials(block, &others, operand(block, code[3 + k], copy), top, e);
        add_lanes(block, &others, e);
    }
    EACH(e[i] = others.high[i] + others.low[i])
    EACH(copy[i] = 1.0 + e[i])
    log1p_of_lanes(block, e, copy, z);
    EACH(z[i] += top[i])
}

TARGET static void backward_logsumexp(const Block *block, const int32_t *code, const double *restrict g)
{
    const size_t width = WIDTH(block), n = (size_t)code[2];
    double top[BLOCK] ALIGNED, share[BLOCK] ALIGNED, copy[BLOCK] ALIGNED;
    extremes(block, code, true, false, top);
    const LaneSums sums = begin_sums(block, n, 0.0);
    for (size_t k = 0; k < n; k++) {
        double *e = block->scratch + k * BLOCK;
        exponentials(block, &sums, operand(block, code[3 + k], copy), top, e);
        add_lanes(block, &sums, e);
    }
    EACH(top[i] = g[i] / (sums.high[i] + sums.low[i]))
    for (size_t k = 0; k < n; k++) {
        const double *restrict e = block->scratch + k * BLOCK;
        EACH(share[i] = g[i] == 0.0 ? 0.0 : e[i] * top[i])
        add_shares(block, code[3 + k], share, false);
    }
}

TARGET static void sum_of_lanes(const Block *block, const int32_t *code, double *restrict z)
{
    const int32_t *slots = code + 3, uniform = block->tape->uniform_count;
    const double divisor = code[0] == OP_MEAN ? (double)code[2] : 1.0;
    for (size_t i = 0; i < block->width; i += 8) {
        RowSum sum = NO_SUM;
        for (int32_t k = 0; k < code[2]; k++) {
            const Vec x = slots[k] < uniform ? EIGHT_TIMES(block->U[slots[k]])
                                             : load(varying(block, block->V, slots[k]) + i);
            add_vector(&sum, &x);
        }
        for (size_t lane = 0; lane < 8; lane++) { /* a sum of only -0.0 is -0.0 */
            const double high = sum.high[lane], low = sum.low[lane];
            z[i + lane] = (low == 0.0 ? high : high + low) / divisor;
        }
    }
}

/* Find the norm of each sample times a scale, and the scale. */
TARGET static void norms_of_lanes(const Block *block, const int32_t *code, double *restrict norm,
                                  double *restrict scale)
{
    const size_t width = WIDTH(block);
    double square[BLOCK] ALIGNED, copy[BLOCK] ALIGNED;
    extremes(block, code, true, true, scale);
    for (size_t i = 0; i < width; i++) {
        scale[i] = 0x1p-400 < scale[i] && scale[i] < 0x1p400 ? 1.0 : scale_of_norm(scale[i]);
    }
    const LaneSums sums = begin_sums(block, 0, 0.0);
    for (int32_t k = 0; k < code[2]; k++) {
        const double *restrict x = operand(block, code[3 + k], copy);
        EACH(square[i] = (x[i] * scale[i]) * (x[i] * scale[i]))
        add_lanes(block, &sums, square);
    }
    EACH(norm[i] = sqrt(sums.high[i] + sums.low[i]))
}

TARGET static void backward_norm(const Block *block, const int32_t *code, const double *restrict g)
{
    const size_t width = WIDTH(block);
    double norm[BLOCK] ALIGNED, scale[BLOCK] ALIGNED, share[BLOCK] ALIGNED, copy[BLOCK] ALIGNED;
    norms_of_lanes(block, code, norm, scale);
    for (int32_t k = 0; k < code[2]; k++) {
        const double *restrict x = operand(block, code[3 + k], copy);
        EACH(share[i] = g[i] == 0.0 ? 0.0 : g[i] * (norm[i] == 0.0 ? 0.0 : x[i] * scale[i] / norm[i]))
        add_shares(block, code[3 + k], share, false);
    }
}

TARGET static void backward_extreme(const Block *block, const int32_t *code, const double *restrict z,
                                    const double *restrict g)
{
    const size_t width = WIDTH(block);
    double equal[BLOCK] ALIGNED = {0.0}, share[BLOCK] ALIGNED, copy[BLOCK] ALIGNED;
    for (int32_t k = 0; k < code[2]; k++) {
        const double *restrict x = operand(block, code[3 + k], copy);
        EACH(equal[i] += has_won(x[i], z[i]) ? 1.0 : 0.0)
    }
    for (int32_t k = 0; k < code[2]; k++) {
        const double *restrict x = operand(block, code[3 + k], copy);
        EACH(share[i] = g[i] != 0.0 && has_won(x[i], z[i]) ? g[i] * (1.0 / equal[i]) : 0.0)
        add_shares(block, code[3 + k], share, false);
    }
}

/* Compute an operation over a sequence for all samples; return false if it has no loop over the samples. */
TARGET static bool forward_lanes(const Block *block, const int32_t *code)
{
    const size_t width = WIDTH(block), n = (size_t)code[2];
    double *z = varying(block, block->V, code[1]), scale[BLOCK] ALIGNED;
    switch (code[0]) {
    case OP_LOGSUMEXP:
        logsumexp_of_lanes(block, code, z);
        break;
    case OP_SUM:
    case OP_MEAN:
        sum_of_lanes(block, code, z);
        break;
    case OP_MAX:
    case OP_MIN:
        extremes(block, code, code[0] == OP_MAX, false, z);
        for (size_t k = 0; k < n; k++) {
            const double *restrict x = operand(block, code[3 + k], scale);
            EACH(z[i] = x[i] == x[i] ? z[i] : x[i])
        }
        break;
    case OP_NORM:
        norms_of_lanes(block, code, z, scale);
        EACH(z[i] /= scale[i])
        break;
    default:
        return false;
    }
    for (size_t i = 0; i < width; i++) {
        if (z[i] - z[i] != 0.0) {
            gather(block, code + 3, n, i, block->scratch);
            z[i] = sequence_number((Op)code[0], block->scratch, n, block->scratch + n);
        }
    }
    mark_suspicious(block, z);
    return true;
}

TARGET static bool backward_lanes(const Block *block, const int32_t *code)
{
    const size_t width = WIDTH(block);
    const double *z = varying(block, block->V, code[1]), *g = varying(block, block->A, code[1]);
    double share[BLOCK] ALIGNED;
    switch (code[0]) {
    case OP_LOGSUMEXP:
        backward_logsumexp(block, code, g);
        return true;
    case OP_SUM:
    case OP_MEAN:
        EACH(share[i] = g[i] * (code[0] == OP_MEAN ? 1.0 / (double)code[2] : 1.0))
        for (int32_t k = 0; k < code[2]; k++) {
            add_shares(block, code[3 + k], share, false);
        }
        return true;
    case OP_MAX:
    case OP_MIN:
        backward_extreme(block, code, z, g);
        return true;
    case OP_NORM:
        backward_norm(block, code, g);
        return true;
    default:
        return false;
    }
}
