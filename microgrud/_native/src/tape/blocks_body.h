/* The loops of the interpreter over blocks of samples, for one instruction set, whose settings (such as those of
 * ops/avx2.h) come before. Each of blocks_vectors.h, blocks_sums.h, blocks_matrices.h, blocks_operations.h,
 * blocks_softmax.h, blocks_wide.h, blocks_rows.h, blocks_sequences.h, blocks_spans.h and this file includes the one
 * before.
 */
#include "tape/blocks_spans.h"

/* Put the number of a guard that does not hold into `failed`, unless an earlier one has failed. */
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
#define CHECK(symbol, operator)                                                                                        \
    case symbol:                                                                                                       \
        if (guard->outcome) {                                                                                          \
            EACH(failed[i] = failed[i] != 0.0 || x[i] operator y[i] ? failed[i] : number)                              \
        } else {                                                                                                       \
            EACH(failed[i] = failed[i] != 0.0 || !(x[i] operator y[i]) ? failed[i] : number)                           \
        }                                                                                                              \
        break;
            COMPARISONS(CHECK)
#undef CHECK
        }
    }
}

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
        case CODE_SPAN:
            forward_span(block, code);
            break;
        case CODE_TAKE:
            forward_take(block, code);
            break;
        case CODE_SOFTMAX:
        case CODE_LOG_SOFTMAX:
            forward_softmax(block, code);
            break;
        case CODE_DETACH:
            memcpy(varying(block, block->V, code[1]), varying(block, block->V, code[3]), block->width * sizeof(double));
            break;
        default:
            if (code[0] < OP_LAST_TERNARY || code[0] == CODE_TANH) {
                forward_simple(block, code);
            } else if (!forward_lanes(block, code)) {
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
        if (tape->first_writes[k] & SKIPPED) {
            continue;
        }
        switch (code[0]) {
        case CODE_LINEAR:
            backward_linear(block, code, tape->first_writes[k]);
            break;
        case CODE_MATRIX:
            backward_matrix(block, code, tape->first_writes[k]);
            break;
        case CODE_SPAN:
            backward_span(block, code, tape->first_writes[k]);
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
            } else if (!backward_lanes(block, code)) {
                backward_sequence(block, code);
            }
        }
    }
}

const Blocks OF_SET(blocks) = {
    .set = SET_NAME,
    .forward = forward_block,
    .backward = backward_block,
    .check_guards = check_guards,
    .forward_wide = forward_wide,
    .backward_wide = backward_wide,
    .forward_wide_linear = forward_wide_linear,
    .backward_wide_linear = backward_wide_linear,
    .forward_wide_dot = forward_wide_dot,
    .forward_row = forward_row,
    .backward_row = backward_row,
    .forward_row_softmax = forward_row_softmax,
    .backward_row_softmax = backward_row_softmax,
    .long_sum = long_sum,
    .add_shares_of_sum = add_shares_of_sum,
    .dot = dot,
    .add_scaled = add_scaled,
};
