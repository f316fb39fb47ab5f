/* Softmax and its logarithm, for the instruction set of blocks_body.h. */
#include "tape/blocks_operations.h"

/* Write the greatest x of each sample, and e[k * width + i] = exp(x[k][i] - most[i]). The exponentials of several slots
 * of a narrow block are computed at once: those of eight numbers take as long as those of sixteen. */
TARGET static void exponentials_of_softmax(const Block *block, const Softmax *s, double *restrict most,
                                           double *restrict e)
{
    const size_t width = WIDTH(block), slots = BLOCK / width;
    double copy[BLOCK] ALIGNED, difference[BLOCK] ALIGNED;
    fill(block, most, -INFINITY);
    for (size_t k = 0; k < s->n; k++) {
        const double *restrict x = operand(block, s->x[k], copy);
        EACH(most[i] = x[i] > most[i] ? x[i] : most[i])
    }
    for (size_t k = 0; k < s->n; k += slots) {
        const size_t some = s->n - k < slots ? s->n - k : slots;
        for (size_t j = 0; j < some; j++) {
            const double *restrict x = operand(block, s->x[k + j], copy);
            double *restrict own = difference + j * width;
            EACH(own[i] = x[i] - most[i])
        }
        FAST.exp(difference, e + k * width, some * width);
    }
}

TARGET static void forward_softmax(const Block *block, const int32_t *code)
{
    const Softmax s = read_softmax(code);
    const size_t width = WIDTH(block);
    double *e = block->scratch, most[BLOCK] ALIGNED, others[BLOCK] ALIGNED, copy[BLOCK] ALIGNED;
    double left_out[BLOCK] ALIGNED, whole[BLOCK] ALIGNED, log_sum[BLOCK] ALIGNED;
    exponentials_of_softmax(block, &s, most, e);
    fill(block, others, 0.0);
    fill(block, left_out, 1.0); /* the exponential of the greatest x, which is left out once */
    for (size_t k = 0; k < s.n; k++) {
        const double *restrict own = e + k * width;
        for (size_t i = 0; i < width; i++) {
            const double part = own[i] == 1.0 ? left_out[i] : 0.0;
            left_out[i] -= part;
            others[i] += own[i] - part;
        }
    }
    EACH(whole[i] = 1.0 + others[i])
    if (code[0] == CODE_LOG_SOFTMAX) {
        log1p_of_lanes(block, others, whole, log_sum);
    }
    for (size_t k = 0; k < s.n; k++) {
        if (s.out[k] < 0) {
            continue;
        }
        double *restrict z = varying(block, block->V, s.out[k]);
        if (code[0] == CODE_SOFTMAX) {
            const double *restrict own = e + k * width;
            EACH(z[i] = own[i] / whole[i])
        } else {
            const double *restrict x = operand(block, s.x[k], copy);
            EACH(z[i] = (x[i] - most[i]) - log_sum[i])
        }
    }
    mark_all_suspicious(block, s.out, s.n);
}

TARGET static void backward_softmax(const Block *block, const int32_t *code)
{
    const Softmax s = read_softmax(code);
    const size_t width = WIDTH(block);
    const bool is_log = code[0] == CODE_LOG_SOFTMAX;
    double *shares = block->scratch, none[BLOCK] ALIGNED, sum[BLOCK] ALIGNED, weighted[BLOCK] ALIGNED;
    double adjoint[BLOCK] ALIGNED, rest[BLOCK] ALIGNED, others[BLOCK] ALIGNED; /* see LargeShare */
    exponentials_of_softmax(block, &s, none, shares);
    double *const zeros[] = {none, sum, weighted, adjoint, rest, others};
    for (size_t k = 0; k < sizeof zeros / sizeof *zeros; k++) {
        fill(block, zeros[k], 0.0);
    }
    for (size_t k = 0; k < s.n; k++) {
        const double *restrict own = shares + k * width;
        EACH(sum[i] += own[i])
    }
    for (size_t k = 0; k < s.n; k++) {
        double *restrict own = shares + k * width;
        const double *restrict g = s.out[k] < 0 ? none : varying(block, block->A, s.out[k]);
        for (size_t i = 0; i < width; i++) {
            own[i] /= sum[i];
            const double term = is_log ? g[i] : g[i] * own[i];
            const bool is_large = own[i] > 0.5;
            weighted[i] += term;
            adjoint[i] = is_large ? g[i] : adjoint[i];
            rest[i] += is_large ? 0.0 : own[i];
            others[i] += is_large ? 0.0 : term;
        }
    }
    for (size_t k = 0; k < s.n; k++) {
        double *restrict own = shares + k * width;
        const double *restrict g = s.out[k] < 0 ? none : varying(block, block->A, s.out[k]);
        for (size_t i = 0; i < width; i++) {
            const LargeShare large = {adjoint[i], rest[i], others[i]};
            const double usual = is_log ? g[i] - own[i] * weighted[i] : own[i] * (g[i] - weighted[i]);
            own[i] = own[i] > 0.5 ? adjoint_at_large_share(&large, own[i], is_log) : usual;
        }
        add_shares(block, s.x[k], own, false);
    }
}
