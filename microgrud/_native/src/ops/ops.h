/* The operation table, the twin of microgrud/engine/ops.py: a line for each operation.
 *
 * A line has the identifier, the name in ops.TABLE, the value and the local derivatives, as expressions in the operands
 * x, y, w and the result z. From these lines come the enumeration, the names, the kernels of the forward and the
 * backward pass, and the methods of a Value. `tests/test_parity.py` compares every entry with its twin, bit by bit.
 *
 * A value or a slope that is not finite is never used: the caller asks Python, which raises, or finds that infinity is
 * right. So nothing here checks for division by zero, for domains or for overflow.
 */
#ifndef MICROGRUD_OPS_H
#define MICROGRUD_OPS_H

#include "ops/gamma.h"
#include "ops/kernels.h"
#include "ops/powers.h"

/* X(identifier, name, value, slope) of one operand x. */
#define UNARY_OPERATIONS(X)                                                                                            \
    X(NEGATE, negate, -x, -1.0)                                                                                        \
    X(IDENTITY, identity, x, 1.0)                                                                                      \
    X(SECH_SQUARED, sech_squared, kernel_sech_squared(x), -2.0 * z * tanh(x))                                          \
    X(GELU_SLOPE, gelu_slope, kernel_gelu_slope(x), gelu_curvature(x))                                                 \
    X(LGAMMA, lgamma, kernel_lgamma(x), kernel_digamma(x))                                                             \
    X(DIGAMMA, digamma, kernel_digamma(x), kernel_polygamma(1.0, x))                                                   \
    X(GAMMA, gamma, kernel_gamma(x), gamma_slope(z, x))                                                                \
    X(I0, i0, BY_PYTHON, BY_PYTHON)                                                                                    \
    X(I1, i1, BY_PYTHON, BY_PYTHON)                                                                                    \
    X(ROUND, round, rint(x) + 0.0, NOTHING)                                                                            \
    X(LOGIT, logit, kernel_logit(x), 1.0 / (x * (1.0 - x)))                                                            \
    X(ENTR, entr, 0.0 - (x == 0.0 ? x : x * log(x)), entr_slope(x))                                                    \
    X(NDTR, ndtr, kernel_ndtr(x), ONE_OVER_SQRT_TWO_PI * kernel_gaussian(x, 0.5))                                      \
    X(LOG_NDTR, log_ndtr, BY_PYTHON, BY_PYTHON)                                                                        \
    X(NDTRI, ndtri, BY_PYTHON, BY_PYTHON)                                                                              \
    X(ERFINV, erfinv, BY_PYTHON, BY_PYTHON)                                                                            \
    X(SINC, sinc, BY_PYTHON, BY_PYTHON)                                                                                \
    UNARY_METHODS(X)

/* Operations that are methods of a Value with the same name. */
#define UNARY_METHODS(X)                                                                                               \
    X(EXP, exp, exp(x), z)                                                                                             \
    X(EXPM1, expm1, expm1(x), exp(x))                                                                                  \
    X(LOG, log, log(x), 1.0 / x)                                                                                       \
    X(LOG1P, log1p, log1p(x), 1.0 / (1.0 + x))                                                                         \
    X(LOG2, log2, log2(x), 1.4426950408889634 / x)                                                                     \
    X(LOG10, log10, log10(x), 0.4342944819032518 / x)                                                                  \
    X(SQRT, sqrt, sqrt(x), 0.5 / (z + 0.0))                                                                            \
    X(CBRT, cbrt, kernel_cbrt(x), (1.0 / 3.0) / (z * z))                                                               \
    X(SQUARE, square, x * x, 2.0 * x)                                                                                  \
    X(RECIPROCAL, reciprocal, 1.0 / x, -z * z)                                                                         \
    X(SIN, sin, sin(x), cos(x))                                                                                        \
    X(COS, cos, cos(x), -sin(x))                                                                                       \
    X(TAN, tan, tan(x), 1.0 + z * z)                                                                                   \
    X(ASIN, asin, asin(x), 1.0 / sqrt(one_minus_square(x)))                                                            \
    X(ACOS, acos, acos(x), -1.0 / sqrt(one_minus_square(x)))                                                           \
    X(ATAN, atan, atan(x), over_one_and_square(x, false))                                                              \
    X(SINH, sinh, sinh(x), cosh(x))                                                                                    \
    X(COSH, cosh, cosh(x), sinh(x))                                                                                    \
    X(TANH, tanh, tanh(x), kernel_sech_squared(x))                                                                     \
    X(ASINH, asinh, asinh(x), over_one_and_square(x, true))                                                            \
    X(ACOSH, acosh, acosh(x), 1.0 / (sqrt(x - 1.0) * sqrt(x + 1.0)))                                                   \
    X(ATANH, atanh, atanh(x), 1.0 / one_minus_square(x))                                                               \
    X(ERF, erf, erf(x), TWO_OVER_SQRT_PI * kernel_gaussian(x, 1.0))                                                    \
    X(ERFC, erfc, erfc(x), -TWO_OVER_SQRT_PI * kernel_gaussian(x, 1.0))                                                \
    X(SIGMOID, sigmoid, kernel_sigmoid(x), 0.25 * kernel_sech_squared(0.5 * x))                                        \
    X(LOGSIGMOID, logsigmoid, -kernel_softplus(-x), kernel_sigmoid(-x))                                                \
    X(SOFTPLUS, softplus, kernel_softplus(x), kernel_sigmoid(x))                                                       \
    X(RELU, relu, x <= 0.0 ? 0.0 : x, x <= 0.0 ? NOTHING : 1.0)                                                        \
    X(GELU, gelu, kernel_gelu(x), kernel_gelu_slope(x))                                                                \
    X(SILU, silu, kernel_silu(x), silu_slope(x))                                                                       \
    X(SIGN, sign, sign_of(x), NOTHING)                                                                                 \
    X(FLOOR, floor, floor(x) + 0.0, NOTHING)                                                                           \
    X(CEIL, ceil, ceil(x) + 0.0, NOTHING)                                                                              \
    X(TRUNC, trunc, trunc(x) + 0.0, NOTHING)                                                                           \
    X(ABS, abs, fabs(x), sign_of(x))                                                                                   \
    X(DEGREES, degrees, x * 57.29577951308232, 57.29577951308232)                                                      \
    X(RADIANS, radians, x * 0.017453292519943295, 0.017453292519943295)

/* X(identifier, name, value, slope with respect to x, with respect to y) of two operands. */
#define BINARY_OPERATIONS(X)                                                                                           \
    X(ADD, add, x + y, 1.0, 1.0)                                                                                       \
    X(SUBTRACT, subtract, x - y, 1.0, -1.0)                                                                            \
    X(MULTIPLY, multiply, x * y, y, x)                                                                                 \
    X(DIVIDE, divide, x / y, 1.0 / y, quotient_by_divisor(z, x, y))                                                    \
    X(POW, pow, pow(x, y), power_by_base(x, y, 0.0), power_by_exponent(z, x, y))                                       \
    X(DIVIDE_IEEE, divide_ieee, x / y, 1.0 / y, -(z / y))                                                              \
    X(CHAIN, chain, x == 0.0 ? 0.0 : x * y, y, x)                                                                      \
    X(LESS, less, (double)(x < y), NOTHING, NOTHING)                                                                   \
    X(AT_MOST, at_most, (double)(x <= y), NOTHING, NOTHING)                                                            \
    X(EQUAL, equal, (double)(x == y), NOTHING, NOTHING)                                                                \
    X(UNEQUAL, unequal, (double)(x != y), NOTHING, NOTHING)                                                            \
    X(SAME, same, (double)has_won(x, y), NOTHING, NOTHING)                                                             \
    X(GATE, gate, x != 0.0 ? y : 0.0, NOTHING, x != 0.0 ? 1.0 : NOTHING)                                               \
    X(POLYGAMMA, polygamma, kernel_polygamma(x, y), NOTHING, kernel_polygamma(x + 1.0, y))                             \
    X(BETA, beta, BY_PYTHON, BY_PYTHON, BY_PYTHON)                                                                     \
    X(BETALN, betaln, BY_PYTHON, BY_PYTHON, BY_PYTHON)                                                                 \
    X(BESSEL_I, bessel_i, BY_PYTHON, NOTHING, BY_PYTHON)                                                               \
    X(FLOOR_DIVIDE, floor_divide, BY_PYTHON, NOTHING, NOTHING)                                                         \
    X(MODULO, modulo, BY_PYTHON, 1.0, BY_PYTHON)                                                                       \
    X(ROUND_DIGITS, round_digits, BY_PYTHON, NOTHING, NOTHING)                                                         \
    X(LEAKY_RELU, leaky_relu, x < 0.0 ? y * x : x, leaky_relu_slope(x, y), x < 0.0 ? x : NOTHING)                      \
    X(ELU, elu, x < 0.0 ? y * expm1(x) : x, elu_slope(x, y), x < 0.0 ? expm1(x) : NOTHING)                             \
    X(MAXIMUM, maximum, x >= y || x != x ? x : y, share(x, y, x > y), share(y, x, y > x))                              \
    X(MINIMUM, minimum, x <= y || x != x ? x : y, share(x, y, x < y), share(y, x, y < x))                              \
    X(ATAN2, atan2, atan2(x, y), over_square_of_length(x, y, false), -over_square_of_length(x, y, true))               \
    X(HYPOT, hypot, BY_PYTHON, over_length(z, x, y, true), over_length(z, x, y, false))                                \
    X(GAUSSIAN, gaussian, kernel_gaussian(x, y), gaussian_slope(z, x, y), -(x * x * z))                                \
    X(COPYSIGN, copysign, copysign(x, y), sign_of(x) * copysign(1.0, y), NOTHING)                                      \
    X(FMOD, fmod, fmod(x, y), 1.0, -(sign_of(x) * sign_of(y) * whole_quotient(fabs(x), fabs(y))))                      \
    X(XLOGY, xlogy, x == 0.0 && y == y ? x : x * log(y), log(y), y != 0.0 ? x / y : NOTHING)                           \
    X(XLOG1PY, xlog1py, x == 0.0 && y == y ? x : x * log1p(y), log1p(y), y != -1.0 ? x / (1.0 + y) : NOTHING)

/* X(identifier, name, value, slope with respect to x, to y, to w) of three operands. */
#define TERNARY_OPERATIONS(X)                                                                                          \
    X(CLIP, clip, kernel_clip(x, y, w), x <= y || x >= w ? NOTHING : 1.0, x < y ? 1.0 : NOTHING,                       \
      x > w ? 1.0 : NOTHING)                                                                                           \
    X(POLYGAMMA_DIFFERENCE, polygamma_difference, BY_PYTHON, NOTHING, BY_PYTHON, BY_PYTHON)                            \
    X(POWER_OVER, power_over, kernel_power_over(x, y, w), power_by_base(x, y, w), kernel_power_log(1.0, w, x, y),      \
      NOTHING)                                                                                                         \
    X(WHERE, where, x != 0.0 ? y : w, NOTHING, x != 0.0 ? 1.0 : NOTHING, x != 0.0 ? NOTHING : 1.0)

/* X(identifier, name, value) over a sequence xs of n >= 1 operands; `scratch` holds n numbers. sequence_slopes has the
 * local derivatives. */
#define SEQUENCE_OPERATIONS(X)                                                                                         \
    X(SUM, sum, kernel_total(xs, n))                                                                                   \
    X(MEAN, mean, kernel_mean(xs, n))                                                                                  \
    X(PROD, prod, kernel_prod(xs, n))                                                                                  \
    X(DOT, dot, n % 2 == 1 ? kernel_dot(xs, n) : BY_PYTHON)                                                            \
    X(NORM, norm, BY_PYTHON)                                                                                           \
    X(RADIAL, radial, kernel_radial(xs, n))                                                                            \
    X(POWER_LOG, power_log, n == 4 ? kernel_power_log(xs[0], xs[1], xs[2], xs[3]) : BY_PYTHON)                         \
    X(MAX, max, kernel_extreme(xs, n, true))                                                                           \
    X(MIN, min, kernel_extreme(xs, n, false))                                                                          \
    X(LOGSUMEXP, logsumexp, kernel_logsumexp(xs, n, scratch))                                                          \
    X(SOFTMAX, softmax, indexed_softmax(xs, n, scratch))                                                               \
    X(LOG_SOFTMAX, log_softmax, indexed_log_softmax(xs, n, scratch))                                                   \
    X(MILLS, mills, BY_PYTHON)                                                                                         \
    X(SINC_DERIVATIVE, sinc_derivative, BY_PYTHON)

/* X(identifier, name, value, ...) of all operations. */
#define OPERATIONS(X) UNARY_OPERATIONS(X) BINARY_OPERATIONS(X) TERNARY_OPERATIONS(X) SEQUENCE_OPERATIONS(X)

/* X(number, operator) of each comparison. */
#define COMPARISONS(X) X(Py_LT, <) X(Py_LE, <=) X(Py_EQ, ==) X(Py_NE, !=) X(Py_GT, >) X(Py_GE, >=)

#define ENUMERATE(identifier, ...) OP_##identifier,
typedef enum {
    OP_NONE, /* a leaf, or a node whose operation is a Python object */
    UNARY_OPERATIONS(ENUMERATE) OP_LAST_UNARY,
    BINARY_OPERATIONS(ENUMERATE) OP_LAST_BINARY,
    TERNARY_OPERATIONS(ENUMERATE) OP_LAST_TERNARY,
    SEQUENCE_OPERATIONS(ENUMERATE) OP_COUNT,
} Op;
#undef ENUMERATE

/* The names of the operations in ops.TABLE; NULL for numbers that are not operations. */
static const char *const OPERATION_NAMES[OP_COUNT] = {
#define NAME(identifier, name, ...) [OP_##identifier] = #name,
    OPERATIONS(NAME)
#undef NAME
};

/* Tell whether C has all rules of an operation. For an operation over a sequence, a rule for some lengths suffices: it
 * ends in ": BY_PYTHON", and a rule that begins with BY_PYTHON has no part in C. */
static inline bool is_in_c(Op op)
{
    static const char *const rules[OP_COUNT] = {
#define RULES(identifier, name, ...) [OP_##identifier] = #__VA_ARGS__,
        OPERATIONS(RULES)
#undef RULES
    };
    const char *left = rules[op] == NULL ? NULL : strstr(rules[op], "BY_PYTHON");
    return rules[op] != NULL && (left == NULL || (op > OP_LAST_TERNARY && left != rules[op]));
}

/* Tell whether the result depends on no operand by a derivative, as that of a step. */
static inline bool is_step(int op)
{
    return (op >= OP_LESS && op <= OP_SAME) || (op >= OP_SIGN && op <= OP_TRUNC);
}

/* Return how many operands an operation takes; 0 for any number of them, at least one. */
static inline unsigned arity_of(Op op)
{
    return op < OP_LAST_UNARY ? 1 : op < OP_LAST_BINARY ? 2 : op < OP_LAST_TERNARY ? 3 : 0;
}

/* Return the value of an operation on one to three operands. The compiler turns the switch into a jump. */
ALWAYS_INLINE double value_of(Op op, double x, double y, double w)
{
    switch (op) {
#define VALUE(identifier, name, value, ...)                                                                            \
    case OP_##identifier:                                                                                              \
        return value;
        UNARY_OPERATIONS(VALUE) BINARY_OPERATIONS(VALUE) TERNARY_OPERATIONS(VALUE)
#undef VALUE
    default:
        return BY_PYTHON;
    }
}

/* Write the local derivatives with respect to the operands whose bit is set in `wanted`: 1 for x, 2 for y, 4 for w. */
ALWAYS_INLINE void slopes_of(Op op, double z, double x, double y, double w, unsigned wanted, double slopes[3])
{
    switch (op) {
#define UNARY(identifier, name, value, slope)                                                                          \
    case OP_##identifier:                                                                                              \
        slopes[0] = slope;                                                                                             \
        return;
#define BINARY(identifier, name, value, slope_x, slope_y)                                                              \
    case OP_##identifier:                                                                                              \
        if (wanted & 1) {                                                                                              \
            slopes[0] = slope_x;                                                                                       \
        }                                                                                                              \
        if (wanted & 2) {                                                                                              \
            slopes[1] = slope_y;                                                                                       \
        }                                                                                                              \
        return;
#define TERNARY(identifier, name, value, slope_x, slope_y, slope_w)                                                    \
    case OP_##identifier:                                                                                              \
        slopes[0] = slope_x;                                                                                           \
        slopes[1] = slope_y;                                                                                           \
        slopes[2] = slope_w;                                                                                           \
        return;
        UNARY_OPERATIONS(UNARY) BINARY_OPERATIONS(BINARY) TERNARY_OPERATIONS(TERNARY)
#undef UNARY
#undef BINARY
#undef TERNARY
    default:
        slopes[0] = slopes[1] = slopes[2] = BY_PYTHON;
    }
}

/* Tell whether operand 0 is the index of a result. The index is a number, and has no derivative. */
static inline bool has_index(Op op)
{
    return op == OP_SOFTMAX || op == OP_LOG_SOFTMAX;
}

/* Return the index in operand 0, or n if it is not an index of the n numbers that follow. */
static inline size_t index_in(double x, size_t n)
{
    return x >= 0.0 && x < (double)n ? (size_t)x : n;
}

/* Return one result of softmax over the numbers that follow its index. */
static inline double indexed_softmax(const double *xs, size_t n, double *scratch)
{
    const size_t i = index_in(xs[0], n - 1);
    if (i == n - 1) {
        return BY_PYTHON;
    }
    kernel_softmax(xs + 1, n - 1, scratch);
    return scratch[i];
}

static inline double indexed_log_softmax(const double *xs, size_t n, double *scratch)
{
    const size_t i = index_in(xs[0], n - 1);
    return i == n - 1 ? BY_PYTHON : kernel_log_softmax(xs + 1, n - 1, i, scratch);
}

/* Return the value over a sequence of n >= 1 operands; scratch holds n numbers. */
static inline double sequence_value(Op op, const double *xs, size_t n, double *scratch)
{
    switch (op) {
#define SEQUENCE(identifier, name, value)                                                                              \
    case OP_##identifier:                                                                                              \
        return value;
        SEQUENCE_OPERATIONS(SEQUENCE)
#undef SEQUENCE
    default:
        return BY_PYTHON;
    }
}

/* Write the local derivatives with respect to n >= 1 operands; scratch holds n numbers. */
static inline void sequence_slopes(Op op, double z, const double *xs, size_t n, double *slopes, double *scratch)
{
    switch (op) {
    case OP_SUM:
    case OP_MEAN:
        for (size_t k = 0; k < n; k++) {
            slopes[k] = op == OP_SUM ? 1.0 : 1.0 / (double)n;
        }
        return;
    case OP_PROD:
        prod_slopes(xs, n, slopes);
        return;
    case OP_DOT:
        if (n % 2 == 1) {
            size_t half = (n - 1) / 2;
            slopes[0] = 1.0;
            memcpy(slopes + 1, xs + 1 + half, half * sizeof *xs);
            memcpy(slopes + 1 + half, xs + 1, half * sizeof *xs);
            return;
        }
        break;
    case OP_NORM:
        norm_slopes(z, xs, n, slopes);
        return;
    case OP_RADIAL:
        if (n % 2 == 1 && n > 1) {
            radial_slopes(xs, n, slopes);
            return;
        }
        break;
    case OP_POWER_LOG:
        if (n == 4) {
            power_log_slopes(xs[0], xs[1], xs[2], xs[3], slopes);
            return;
        }
        break;
    case OP_MAX:
    case OP_MIN:
        extreme_slopes(z, xs, n, slopes);
        return;
    case OP_LOGSUMEXP:
        kernel_softmax(xs, n, slopes);
        return;
    case OP_SOFTMAX:
    case OP_LOG_SOFTMAX: {
        size_t i = index_in(xs[0], n - 1);
        if (i == n - 1) {
            break;
        }
        const double log_share = op == OP_LOG_SOFTMAX ? z : kernel_log_softmax(xs + 1, n - 1, i, scratch);
        log_softmax_slopes(log_share, xs + 1, n - 1, i, slopes + 1);
        slopes[0] = 0.0;
        if (op == OP_SOFTMAX) {
            for (size_t k = 1; k < n; k++) {
                slopes[k] = z * slopes[k];
            }
        }
        return;
    }
    default:
        break;
    }
    for (size_t k = 0; k < n; k++) {
        slopes[k] = BY_PYTHON;
    }
}

#endif
