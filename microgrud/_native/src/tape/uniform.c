/* Programs without a batch: one number for each slot, forward and backward. */
#include "tape/blocks.h"
#include "tape/instructions.h"
#include "tape/run.h"

/* Tell whether a sum pays for vectors. */
static bool is_long(const int32_t *code)
{
    return code[2] + code[3] >= 64;
}

/* Return the value of a sum. There are four partial sums, because each step of a single one would wait for the step
 * before. */
static double linear_of(const int32_t *code, const double *U)
{
    const Sums sums = read_sums(code);
    const size_t plain = sums.plain, pairs = sums.pairs;
    const int32_t *terms = sums.terms, *x = sums.x, *y = sums.y;
    double s0 = -0.0, s1 = -0.0, s2 = -0.0, s3 = -0.0; /* so that a sum of only -0.0 is -0.0 */
    size_t j = 0;
    for (; j < plain; j++) {
        s0 += U[terms[j]];
    }
    for (j = 0; j + 4 <= pairs; j += 4) {
        s0 += U[x[j]] * U[y[j]];
        s1 += U[x[j + 1]] * U[y[j + 1]];
        s2 += U[x[j + 2]] * U[y[j + 2]];
        s3 += U[x[j + 3]] * U[y[j + 3]];
    }
    for (; j < pairs; j++) {
        s1 += U[x[j]] * U[y[j]];
    }
    return (s0 + s1) + (s2 + s3);
}

/* The exponential of the greatest number is 1, and is left out of the sum: log(softmax) of the greatest then has all
 * its digits, however near to 0 it is. */
static bool forward_softmax_uniform(const int32_t *code, double *U, double *e)
{
    const Softmax s = read_softmax(code);
    size_t first = 0;
    for (size_t k = 1; k < s.n; k++) {
        first = U[s.x[k]] > U[s.x[first]] ? k : first;
    }
    const double most = U[s.x[first]];
    double others = most - most; /* 0, or NaN if the greatest number is infinite */
    for (size_t k = 0; k < s.n; k++) {
        e[k] = k == first ? 1.0 : exp(U[s.x[k]] - most);
        others += k == first ? 0.0 : e[k];
    }
    const double log_sum = code[0] == CODE_LOG_SOFTMAX ? log1p(others) : 0.0;
    bool fine = true;
    for (size_t k = 0; k < s.n; k++) {
        const double z = code[0] == CODE_SOFTMAX ? e[k] / (1.0 + others) : (U[s.x[k]] - most) - log_sum;
        fine &= z - z == 0.0;
        if (s.out[k] >= 0) {
            U[s.out[k]] = z;
        }
    }
    return fine;
}

static void backward_softmax_uniform(const int32_t *code, const double *U, double *G, double *share)
{
    const Softmax s = read_softmax(code);
    double most = -INFINITY, sum = 0.0, weighted = 0.0;
    LargeShare large = {0.0, 0.0, 0.0};
    bool any = false;
    for (size_t k = 0; k < s.n; k++) {
        most = U[s.x[k]] > most ? U[s.x[k]] : most;
    }
    for (size_t k = 0; k < s.n; k++) {
        share[k] = exp(U[s.x[k]] - most);
        sum += share[k];
    }
    for (size_t k = 0; k < s.n; k++) {
        share[k] /= sum;
        const double g = s.out[k] < 0 ? 0.0 : G[s.out[k]];
        const double term = code[0] == CODE_SOFTMAX ? g * share[k] : g;
        const bool is_large = share[k] > 0.5;
        weighted += term;
        large.adjoint = is_large ? g : large.adjoint;
        large.rest += is_large ? 0.0 : share[k];
        large.others += is_large ? 0.0 : term;
        any |= g != 0.0;
    }
    if (!any) { /* adjoints of 0 pass nothing on */
        return;
    }
    for (size_t k = 0; k < s.n; k++) {
        const double g = s.out[k] < 0 ? 0.0 : G[s.out[k]];
        G[s.x[k]] += share[k] > 0.5              ? adjoint_at_large_share(&large, share[k], code[0] == CODE_LOG_SOFTMAX)
                     : code[0] == CODE_SOFTMAX ? share[k] * (g - weighted)
                                               : g - share[k] * weighted;
    }
}

/* An adjoint of 0 passes nothing on, here and below. */
static void backward_sum(const Tape *tape, const int32_t *code, const double *U, double *G)
{
    const Sums sum = read_sums(code);
    const double g = G[*sum.out];
    if (is_long(code) && g != 0.0) {
        tape->blocks->add_shares_of_sum(tape, code, g, U, G);
        return;
    }
    for (size_t k = 0; k < sum.plain && g != 0.0; k++) {
        G[sum.terms[k]] += g;
    }
    for (size_t k = 0; k < sum.pairs && g != 0.0; k++) {
        G[sum.x[k]] += g * U[sum.y[k]];
        G[sum.y[k]] += g * U[sum.x[k]];
    }
}

static void backward_dots(const Tape *tape, const int32_t *code, const double *U, double *G)
{
    const Dots dots = read_dots(code);
    for (size_t i = 0; i < dots.n; i++) {
        const double g = G[dots.out[i]];
        if (g != 0.0) {
            G[dots.bias[i]] += g;
            tape->blocks->add_scaled(g, U + dots.y[i], G + dots.x[i], dots.length);
            tape->blocks->add_scaled(g, U + dots.x[i], G + dots.y[i], dots.length);
        }
    }
}

/* Return the value of an operation of the engine. As a call it costs a long chain a tenth. */
ALWAYS_INLINE double value_of_operation(const Tape *tape, const int32_t *code, const double *U, double *scratch)
{
    const Op op = (Op)code[0];
    const size_t n = (size_t)code[2];
    const int32_t *slots = code + 3;
    if (op < OP_LAST_TERNARY) {
        const double x = U[slots[0]];
        const int exponent = small_exponent(tape, code[0], code[4], U);
        return exponent == 2   ? x * x
               : exponent == 1 ? x
                               : value_of(op, x, n > 1 ? U[slots[1]] : 0.0, n > 2 ? U[slots[2]] : 0.0);
    }
    for (size_t j = 0; j < n; j++) {
        scratch[j] = U[slots[j]];
    }
    return sequence_number(op, scratch, n, scratch + n);
}

/* Run the program. Tell whether all results are finite, except those of operations that never raise. */
static bool run_forward(const Tape *tape, double *U, double *G, double *scratch)
{
    double *kept = scratch + 3 * tape->longest;
    bool fine = true;
    for (size_t k = 0; k < tape->count; k++) {
        const int32_t *code = tape->code + tape->starts[k];
        double z;
        switch (code[0]) {
        case CODE_LINEAR:
            U[code[1]] = is_long(code) ? tape->blocks->long_sum(code, U) : linear_of(code, U);
            fine &= U[code[1]] - U[code[1]] == 0.0; /* the eager sum, in another order, may be finite */
            continue;
        case CODE_DOT: {
            const Dots d = read_dots(code);
            z = U[*d.bias] + tape->blocks->dot(U + *d.x, U + *d.y, d.length);
            U[*d.out] = z;
            fine &= z - z == 0.0;
            continue;
        }
        case CODE_SOFTMAX:
        case CODE_LOG_SOFTMAX:
            fine &= forward_softmax_uniform(code, U, scratch);
            continue;
        case CODE_TAKE:
            U[code[1]] = U[code[4 + (size_t)U[code[3]]]];
            continue;
        case CODE_DETACH:
            U[code[1]] = U[code[3]];
            continue;
        case CODE_ROW:
            fine &= tape->blocks->forward_row(code, U, G, kept);
            continue;
        case CODE_ROW_SOFTMAX:
            fine &= tape->blocks->forward_row_softmax(code, U, G, kept);
            continue;
        case CODE_WIDE:
            fine &= tape->blocks->forward_wide(code, U);
            continue;
        case CODE_WIDE_LINEAR:
            fine &= tape->blocks->forward_wide_linear(code, U);
            continue;
        case CODE_WIDE_DOT:
            fine &= tape->blocks->forward_wide_dot(code, U);
            continue;
        default:
            break;
        }
        z = value_of_operation(tape, code, U, scratch);
        U[code[1]] = z;
        fine &= never_raises[code[0]] || z - z == 0.0;
    }
    return fine;
}

/* Tell whether all guards hold. A recorded gradient has many guards, some for each node: the loops have no branches. */
static bool all_hold(const Guard *guards, size_t count, const double *U)
{
    bool wrong = false;
    for (size_t k = 0; k < count && !wrong;) {
        const int32_t symbol = guards[k].symbol;
        const bool outcome = guards[k].outcome;
        size_t end = k + 1;
        while (end < count && guards[end].symbol == symbol && guards[end].outcome == guards[k].outcome) {
            end++;
        }
        switch (symbol) {
#define ALL_HOLD(own, operator)                                                                                        \
    case own:                                                                                                          \
        for (; k < end; k++) {                                                                                         \
            wrong |= (U[guards[k].x] operator U[guards[k].y]) != outcome;                                              \
        }                                                                                                              \
        break;
            COMPARISONS(ALL_HOLD)
#undef ALL_HOLD
        }
    }
    return !wrong;
}

void clear_uniform_adjoints(const Tape *tape, double *G)
{
    const size_t first = tape->assigned_first, end = first + tape->assigned;
    memset(G, 0, first * sizeof *G);
    memset(G + end, 0, ((size_t)tape->uniform_count - end) * sizeof *G);
}

bool uniform_adjoints_are_finite(const Tape *tape, const double *G)
{
    const size_t end = tape->assigned_first + tape->assigned;
    return all_finite(G, tape->assigned_first) && all_finite(G + end, (size_t)tape->uniform_count - end);
}

int32_t forward_uniform(const Tapes *tapes, double *U, double *G, double *scratch, bool ignore)
{
    const bool fine = run_forward(&tapes->uniform, U, G, scratch) || ignore;
    if (all_hold(tapes->sorted_guards, tapes->guard_count, U)) {
        return fine ? DONE : SUSPICIOUS;
    }
    size_t k = 0;
    while (all_hold(&tapes->guards[k], 1, U)) {
        k++;
    }
    return tapes->guard_numbers[k];
}

/* Add the shares of an adjoint g to the adjoints of the operands of an operation; inline for the same reason. */
ALWAYS_INLINE void pass_on(const Tape *tape, const int32_t *code, double g, const double *U, double *G, double *scratch)
{
    const Op op = (Op)code[0];
    const size_t n = (size_t)code[2];
    const int32_t *slots = code + 3;
    const double z = U[code[1]];
    double few[3];
    double *slopes = few;
    if (op < OP_LAST_TERNARY) {
        const unsigned wanted = wanted_slopes(tape, slots, n);
        const int exponent = small_exponent(tape, code[0], code[4], U);
        if (exponent > 0) {
            few[0] = exponent == 2 ? 2.0 * U[slots[0]] : 1.0;
        } else {
            slopes_of(op, z, U[slots[0]], n > 1 ? U[slots[1]] : 0.0, n > 2 ? U[slots[2]] : 0.0, wanted, few);
        }
        for (size_t j = 0; j < n; j++) {
            few[j] = wanted >> j & 1 ? few[j] : 0.0;
        }
    } else {
        slopes = scratch + n;
        for (size_t j = 0; j < n; j++) {
            scratch[j] = U[slots[j]];
        }
        slopes_of_sequence(op, z, scratch, n, slopes, scratch + 2 * n);
    }
    for (size_t j = 0; j < n; j++) {
        G[slots[j]] += share_of(g, slopes[j]);
    }
}

void backward_uniform(const Tape *tape, const double *U, double *G, double *scratch)
{
    double *kept = scratch + 3 * tape->longest;
    for (size_t k = tape->count; k-- > 0;) {
        const int32_t *code = tape->code + tape->starts[k];
        switch (code[0]) {
        case CODE_SOFTMAX:
        case CODE_LOG_SOFTMAX:
            backward_softmax_uniform(code, U, G, scratch);
            continue;
        case CODE_ROW:
            tape->blocks->backward_row(code, U, G, kept);
            continue;
        case CODE_ROW_SOFTMAX:
            tape->blocks->backward_row_softmax(code, G, kept);
            continue;
        case CODE_WIDE:
            tape->blocks->backward_wide(code, U, G);
            continue;
        case CODE_WIDE_LINEAR:
            tape->blocks->backward_wide_linear(code, U, G);
            continue;
        case CODE_LINEAR:
            backward_sum(tape, code, U, G);
            continue;
        case CODE_DOT:
        case CODE_WIDE_DOT:
            backward_dots(tape, code, U, G);
            continue;
        case CODE_DETACH:
            continue;
        default:
            break;
        }
        const double g = G[code[1]];
        if (g == 0.0) {
            continue;
        }
        if (code[0] == CODE_TAKE) {
            G[code[4 + (size_t)U[code[3]]]] += g;
            continue;
        }
        pass_on(tape, code, g, U, G, scratch);
    }
    clear_adjoints_of_constants(tape, G);
}
