/* Spans: one operation over consecutive slots, for the instruction set of blocks_body.h. A piece of a span has as many
 * slots as there is room for in a buffer.
 */
#include "tape/blocks_sequences.h"

/* Return the numbers of operand k for `some` slots of a span, from number `start` on. */
TARGET static const double *operand_of_span(const Block *block, const Span *span, size_t k, size_t start, size_t some,
                                            double *restrict buffer)
{
    const size_t width = WIDTH(block);
    const int32_t first = span->slots[k][0];
    if (first >= block->tape->uniform_count) {
        const double *x = varying(block, block->V, first);
        if (span->kinds[k] == SPAN_STEP) {
            return x + start * width;
        }
        for (size_t j = 0; j < some && some > 1; j++) {
            memcpy(buffer + j * width, x, width * sizeof *x);
        }
        return some > 1 ? buffer : x;
    }
    for (size_t j = 0; j < some; j++) {
        fill(block, buffer + j * width, block->U[span->slots[k][span->kinds[k] == SPAN_LISTED ? start + j : 0]]);
    }
    return buffer;
}

static inline int exponent_of_span(const Block *block, const Span *span)
{
    return span->arity > 1 ? small_exponent(block->tape, span->op, span->slots[1][0], block->U) : 0;
}

TARGET static void mark_piece_suspicious(const Block *block, const double *restrict z, size_t some)
{
    for (size_t i = 0; i < block->width; i += 8) {
        Vec doubts = load(block->suspicious + i);
        for (size_t k = 0; k < some; k++) {
            const Vec own = load(z + k * block->width + i);
            doubts += own - own;
        }
        store(block->suspicious + i, doubts);
    }
}

TARGET static void forward_span(const Block *block, const int32_t *code)
{
    const Span span = read_span(code);
    const size_t width = WIDTH(block), slots = BLOCK / width;
    const int exponent = exponent_of_span(block, &span);
    double buffers[3][BLOCK] ALIGNED;
    for (size_t start = 0; start < span.n; start += slots) {
        const size_t some = span.n - start < slots ? span.n - start : slots;
        double *z = varying(block, block->V, span.out) + start * width;
        const double *x[3] = {buffers[0], buffers[0], buffers[0]};
        for (size_t k = 0; k < span.arity; k++) {
            x[k] = operand_of_span(block, &span, k, start, some, buffers[k]);
        }
        if (span.op == CODE_TANH) {
            FAST.tanh_and_slope(x[0], z, varying(block, block->V, span.slope) + start * width, some * width);
        } else {
            values_of(span.op, exponent, some * width, x[0], x[1], x[2], z);
        }
        if (span.op != CODE_TANH && !never_raises[span.op]) {
            mark_piece_suspicious(block, z, some);
        }
    }
}

/* Add the shares of a piece of a span to the adjoints of operand k, or assign them: from the end, as without spans, so
 * that a sample has the same bits in narrow and in wide blocks. */
TARGET static void add_shares_of_span(const Block *block, const Span *span, size_t k, size_t start, size_t some,
                                      const double *restrict share, bool assign)
{
    const size_t width = WIDTH(block);
    if (span->kinds[k] == SPAN_STEP) {
        double *restrict a = varying(block, block->A, span->slots[k][0]) + start * width;
        for (size_t i = 0; i < (some * width & ~(size_t)7); i++) {
            a[i] = assign ? share[i] : a[i] + share[i];
        }
        return;
    }
    for (size_t j = some; j-- > 0;) {
        const int32_t slot = span->slots[k][span->kinds[k] == SPAN_LISTED ? start + j : 0];
        add_shares(block, slot, share + j * width, assign && start + j == span->n - 1);
    }
}

TARGET static void backward_span(const Block *block, const int32_t *code, unsigned assign)
{
    const Span span = read_span(code);
    const size_t width = WIDTH(block), slots = BLOCK / width;
    const int exponent = exponent_of_span(block, &span);
    double buffers[3][BLOCK] ALIGNED, shares[3][BLOCK] ALIGNED;
    unsigned wanted = 0;
    for (size_t k = 0; k < span.arity; k++) {
        wanted |= wanted_slopes(block->tape, span.slots[k], 1) << k;
    }
    wanted &= ~(assign >> UNWANTED);
    for (size_t end = span.n, start; end > 0; end = start) {
        start = (end - 1) / slots * slots;
        const size_t some = end - start;
        const double *z = varying(block, block->V, span.out) + start * width;
        const double *g = varying(block, block->A, span.out) + start * width, *share[3];
        const double *x[3] = {buffers[0], buffers[0], buffers[0]};
        if (span.op == CODE_TANH) {
            const double *slope = varying(block, block->V, span.slope) + start * width;
            for (size_t i = 0; i < (some * width & ~(size_t)7); i++) {
                shares[0][i] = g[i] * slope[i];
            }
            share[0] = shares[0];
        } else {
            for (size_t k = 0; k < span.arity; k++) {
                x[k] = operand_of_span(block, &span, k, start, some, buffers[k]);
            }
            shares_of(span.op, exponent, some * width, g, z, x[0], x[1], x[2], wanted, shares, share);
        }
        for (size_t k = 0; k < span.arity; k++) {
            if (wanted >> k & 1) {
                add_shares_of_span(block, &span, k, start, some, share[k], assign >> k & 1);
            }
        }
    }
}
