/* Float kernels: the twins of microgrud/engine/kernels.py and of the longer rules of microgrud/engine/ops.py.
 *
 * Each kernel does the same operations in the same order as its twin, so that the bits agree. The twin documents the
 * reasons for a formula, its accuracy and its sources. Where the twin would raise, a kernel returns infinity or NaN,
 * and the caller lets Python raise: only Python has the error messages.
 */
#ifndef MICROGRUD_KERNELS_H
#define MICROGRUD_KERNELS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#else
#define ALWAYS_INLINE static inline
#endif

/* INTERNAL marks a name that the files of an extension share and that the extension does not export. */
#if defined(__GNUC__) && !defined(_WIN32)
#define INTERNAL __attribute__((visibility("hidden")))
#else
#define INTERNAL
#endif

/* NOTHING stands for None in ops.py: the result does not depend on the operand. It is a NaN with a bit pattern that no
 * other NaN here has. */
static inline double nothing(void)
{
    const uint64_t bits = UINT64_C(0x7ff86d6963726f67);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline bool is_nothing(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits == UINT64_C(0x7ff86d6963726f67);
}

#define NOTHING nothing()
/* A value or a slope that Python must compute. An example is `hypot`: Python does not use libm's, and its own differs
 * between versions. */
#define BY_PYTHON ((double)NAN)

static const double TINY = 0x1p-960;
static const double SCALE = 0x1p600;
static const double TWO_OVER_SQRT_PI = 1.1283791670955126;
static const double ONE_OVER_SQRT_TWO_PI = 0.3989422804014327;

typedef struct {
    double high, low;
} TwoFloats;

static inline TwoFloats two_product(double a, double b)
{
    const double splitter = 134217729.0;
    double product = a * b;
    double t = splitter * a;
    double a_high = t - (t - a), a_low = a - a_high;
    t = splitter * b;
    double b_high = t - (t - b), b_low = b - b_high;
    TwoFloats result = {product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low};
    return result;
}

static inline double kernel_cbrt(double x)
{
    if (x == 0.0 || !isfinite(x)) {
        return x;
    }
    double root = copysign(pow(fabs(x), 1.0 / 3.0), x);
    return root - (root - (x / root) / root) / 3.0;
}

static inline double kernel_gaussian(double x, double scale)
{
    if (fabs(x) > 1e6 || x != x) {
        return x == x ? 0.0 : x;
    }
    TwoFloats square = two_product(x, x);
    double value = exp(-scale * square.high);
    return value - value * (scale * square.low);
}

static inline double kernel_sech_squared(double x)
{
    double e = exp(-2.0 * fabs(x));
    return 4.0 * e / ((1.0 + e) * (1.0 + e));
}

static inline double kernel_sigmoid(double x)
{
    if (x >= 0.0) {
        return 1.0 / (1.0 + exp(-x));
    }
    double e = exp(x);
    return e / (1.0 + e);
}

static inline double kernel_softplus(double x)
{
    return x > 0.0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static inline double kernel_silu(double x)
{
    if (x < -700.0) {
        double half = exp(0.5 * x);
        return isinf(x) ? 0.0 : (x * half) * half;
    }
    return x * kernel_sigmoid(x);
}

static inline double normal_cdf(double x)
{
    const double sqrt_half[2] = {0.7071067811865476, -4.833646656726457e-17};
    double t = -x * sqrt_half[0];
    if (fabs(t) > 30.0) {
        return 0.5 * erfc(t);
    }
    TwoFloats product = two_product(-x, sqrt_half[0]);
    product.low -= x * sqrt_half[1];
    return 0.5 * (erfc(product.high) - product.low * TWO_OVER_SQRT_PI * kernel_gaussian(product.high, 1.0));
}

static inline double normal_density(double x)
{
    return ONE_OVER_SQRT_TWO_PI * kernel_gaussian(x, 0.5);
}

static inline double density_series(double x, double factor, const double coefficients[8])
{
    if (x < -40.0) {
        return 0.0;
    }
    double u = 1.0 / (x * x);
    double total = 0.0;
    for (int k = 7; k >= 0; k--) {
        total = total * u + coefficients[k];
    }
    if (x > -37.5) {
        return factor * normal_density(x) * total;
    }
    double half = kernel_gaussian(x, 0.25);
    return (half * (factor * ONE_OVER_SQRT_TWO_PI * total)) * half;
}

static const double TAIL_SERIES[8] = {1.0, -1.0, 3.0, -15.0, 105.0, -945.0, 10395.0, -135135.0};

static inline double kernel_gelu(double x)
{
    return x < -30.0 ? density_series(x, -1.0, TAIL_SERIES) : x * normal_cdf(x);
}

static inline double kernel_ndtr(double x)
{
    return x < -30.0 ? density_series(x, -1.0 / x, TAIL_SERIES) : normal_cdf(x);
}

/* NaN, which asks Python, outside the domain. */
static inline double kernel_logit(double x)
{
    return x > 0.25 && x < 0.75 ? 2.0 * atanh(2.0 * x - 1.0) : log(x / (1.0 - x));
}

static inline double entr_slope(double x)
{
    const double one_over_e[2] = {0.36787944117144233, -1.2428753672788363e-17};
    const double e = 2.718281828459045;
    return x > 0.25 && x < 0.5 ? -log1p(((x - one_over_e[0]) - one_over_e[1]) * e) : -(1.0 + log(x));
}

static inline double sign_of(double x)
{
    return x == x ? (double)((x > 0.0) - (x < 0.0)) : x;
}

/* x // y, as Python computes it, of positive numbers. */
static inline double whole_quotient(double x, double y)
{
    const double quotient = (x - fmod(x, y)) / y;
    const double whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1.0 : whole;
}

static inline double kernel_gelu_slope(double x)
{
    static const double tail[8] = {1.0, -1.0, 1.0, -3.0, 15.0, -105.0, 945.0, -10395.0};
    static const double series[] = {
        0.0, 0.4314939923140469, 0.388284982990552, -0.018199676398671087,
        -0.1140082332972217, -0.014771522148244337, 0.019421679838189067, 0.004539228379125415,
        -0.002239538068073497, -0.0007448268386746817, 0.00018633974623233514, 8.615947861116571e-05,
        -1.121438018842664e-05, -7.74846130700372e-06, 4.3284506257392273e-07, 5.702764979242107e-07,
        -1.6044265494246427e-09, -3.5459866461783865e-08, -1.396942086426202e-09, 1.90319840501314e-09,
        1.4506418938779426e-10, -8.950037692726255e-11, -9.950340824808053e-12, 3.725967039270119e-12,
        5.482292964742324e-13, -1.3820118240601056e-13, -2.5871508475507507e-14, 4.578167824271334e-15,
        1.0789662518230159e-15, -1.3507094681149317e-16, -4.0514385281601486e-17, 3.508210778008599e-18,
    };
    if (x < -30.0) {
        return density_series(x, x, tail);
    }
    double offset = (x - -0.7517915246935645) - 1.4956759177009883e-17;
    if (fabs(offset) < 0.8) {
        double total = 0.0;
        for (int k = (int)(sizeof series / sizeof series[0]) - 1; k >= 0; k--) {
            total = total * offset + series[k];
        }
        return total;
    }
    return normal_cdf(x) + (isfinite(x) ? x * normal_density(x) : 0.0);
}

/* --- rules of ops.py that take more than a line --- */

static inline double quotient_by_divisor(double z, double x, double y)
{
    if (-TINY < z && z < TINY && -1.0 < y && y < 1.0 && z != 0.0) {
        return -(x * SCALE / y / y) / SCALE;
    }
    return -z / y;
}

static inline double least_slope(double slope)
{
    return slope <= 0.0 ? 0.0 : slope < 1.0 ? slope : 1.0;
}

static inline double leaky_relu_slope(double x, double slope)
{
    return x == 0.0 ? least_slope(slope) : x < 0.0 ? slope : 1.0;
}

static inline double elu_slope(double x, double alpha)
{
    if (x == 0.0) {
        return least_slope(alpha);
    }
    if (x < -700.0) {
        return alpha * exp(0.5 * x) * exp(0.5 * x);
    }
    return x < 0.0 ? alpha * exp(x) : 1.0;
}

static inline double share(double x, double other, bool wins)
{
    if (x == other || (x != x && other != other)) {
        return 0.5;
    }
    if (x != x || other != other) {
        return x != x ? 1.0 : NOTHING;
    }
    return wins ? 1.0 : NOTHING;
}

static inline double one_minus_square(double x)
{
    return -0.5 <= x && x <= 0.5 ? 1.0 - x * x : (1.0 - x) * (1.0 + x);
}

static inline double silu_slope(double x)
{
    if (x > 760.0 || x < -760.0) {
        return x > 0.0 ? 1.0 : 0.0;
    }
    if (x > 700.0) {
        return 1.0 + (x - 1.0) * exp(-0.5 * x) * exp(-0.5 * x);
    }
    if (x >= -0.5) {
        return kernel_sigmoid(x) * (1.0 + x * kernel_sigmoid(-x));
    }
    double offset = (x - -1.2784645427610737) - -1.0946994183093437e-16;
    double factor = offset + 0.2784645427610738 * expm1(offset);
    if (x < -700.0) {
        return exp(0.5 * x) * factor * exp(0.5 * x);
    }
    double e = exp(x);
    return e * factor / ((1.0 + e) * (1.0 + e));
}

static inline double gelu_curvature(double x)
{
    if (-0.5 <= x && x <= 0.5) {
        return (2.0 - x * x) * (ONE_OVER_SQRT_TWO_PI * kernel_gaussian(x, 0.5));
    }
    const double sqrt_two[2] = {1.4142135623730951, -9.667293313452913e-17};
    const double left = (sqrt_two[0] - x) + sqrt_two[1], right = (sqrt_two[0] + x) + sqrt_two[1];
    if (x < -37.0 || x > 37.0) {
        const double root = kernel_gaussian(x, 0.25);
        return left * (ONE_OVER_SQRT_TWO_PI * root) * (right * root);
    }
    return left * right * (ONE_OVER_SQRT_TWO_PI * kernel_gaussian(x, 0.5));
}

static inline double gaussian_slope(double z, double x, double scale)
{
    if (z < TINY) {
        double root = kernel_gaussian(x, 0.5 * scale);
        return (x * root) * (-2.0 * scale * root);
    }
    return -2.0 * scale * x * z;
}

static inline double kernel_clip(double x, double low, double high)
{
    if (low > high) {
        return BY_PYTHON;
    }
    return x < low ? low : x > high ? high : x;
}

/* --- kernels over a sequence of n >= 1 numbers --- */

/* Return the correctly rounded sum if two doubles tell it, and NaN if not. `high` is the rounded sum, and `low` adds up
 * what was rounded off, to an error of n**2 2**-106 times the sum of the sizes; the bound is four times that, for the
 * roundings of its own. All numbers within it round to one double, save for a sum that cancels or lies next to the
 * middle of two. */
static inline double total_in_two(const double *xs, size_t n)
{
    double high = 0.0, low = 0.0, size = 0.0;
    for (size_t k = 0; k < n; k++) {
        const double x = xs[k], sum = high + x, part = sum - high;
        low += (high - (sum - part)) + (x - part);
        high = sum;
        size += fabs(x);
    }
    const double bound = (double)n * 0x1p-53 * ((double)n * 0x1p-51) * size;
    const double least = high + (low - bound), greatest = high + (low + bound);
    return least == greatest && n < (size_t)1 << 24 && (size >= 0x1p-900 || size == 0.0) ? least : NAN;
}

/* Return the correctly rounded sum (Shewchuk 1997); `partials` holds the running sum as floats that do not overlap.
 * Return BY_PYTHON if a partial sum is not finite, or if `partials` is full: numbers of very different sizes can fill
 * it. */
static inline double kernel_total(const double *xs, size_t n)
{
    const double total = total_in_two(xs, n); /* takes a ninth of the time */
    if (isfinite(total)) {
        return total;
    }
    double partials[64];
    size_t count = 0;
    for (size_t k = 0; k < n; k++) {
        double x = xs[k];
        size_t kept = 0;
        for (size_t j = 0; j < count; j++) {
            double y = partials[j];
            double larger = fabs(x) < fabs(y) ? y : x, smaller = fabs(x) < fabs(y) ? x : y;
            double high = larger + smaller;
            double low = smaller - (high - larger);
            if (low != 0.0) {
                partials[kept++] = low;
            }
            x = high;
        }
        if (!isfinite(x)) {
            return BY_PYTHON;
        }
        count = kept;
        if (x != 0.0) {
            if (count == sizeof partials / sizeof partials[0]) {
                return BY_PYTHON;
            }
            partials[count++] = x;
        }
    }
    if (count == 0) {
        return 0.0;
    }
    double sum = partials[--count], rest = 0.0;
    while (count > 0 && rest == 0.0) {
        double y = partials[--count], before = sum;
        sum = before + y;
        rest = y - (sum - before);
    }
    /* If `sum` was rounded from halfway between two floats, the sign of the next partial decides the rounding. */
    if (count > 0 && ((rest < 0.0 && partials[count - 1] < 0.0) || (rest > 0.0 && partials[count - 1] > 0.0))) {
        double twice = rest * 2.0, moved = sum + twice;
        if (moved - sum == twice) {
            sum = moved;
        }
    }
    return sum;
}

static inline double kernel_mean(const double *xs, size_t n)
{
    return kernel_total(xs, n) / (double)n;
}

static inline double kernel_prod(const double *xs, size_t n)
{
    double product = 1.0;
    for (size_t k = 0; k < n; k++) {
        product *= xs[k];
    }
    return product;
}

/* `xs` holds the bias, then all the x, then all the y. */
static inline double kernel_dot(const double *xs, size_t n)
{
    double sum = xs[0];
    size_t half = (n - 1) / 2;
    for (size_t k = 1; k <= half; k++) {
        sum += xs[k] * xs[k + half];
    }
    return sum;
}

/* Return the greatest of the numbers, or the least; BY_PYTHON if one of them is NaN. */
static inline double kernel_extreme(const double *xs, size_t n, bool greatest)
{
    double best = xs[0];
    for (size_t k = 0; k < n; k++) {
        if (xs[k] != xs[k]) {
            return BY_PYTHON;
        }
        if (greatest ? xs[k] > best : xs[k] < best) {
            best = xs[k];
        }
    }
    return best;
}

static inline double shifted_exponential(double x, double shift)
{
    double difference = x - shift;
    double virtual_shift = x - difference;
    double error = isfinite(difference) ? (x - (difference + virtual_shift)) + (virtual_shift - shift) : 0.0;
    double e = exp(difference);
    return e + e * error;
}

/* Return the sum of exp(x - top) over all x except the first one equal to top; `scratch` has room for n numbers. */
static inline double rest_of_exponentials(const double *xs, size_t n, double top, double *scratch)
{
    size_t kept = 0;
    bool skipped = false;
    for (size_t k = 0; k < n; k++) {
        if (!skipped && xs[k] == top) {
            skipped = true;
        } else {
            scratch[kept++] = shifted_exponential(xs[k], top);
        }
    }
    return kernel_total(scratch, kept);
}

static inline double kernel_logsumexp(const double *xs, size_t n, double *scratch)
{
    double top = kernel_extreme(xs, n, true);
    if (!isfinite(top)) {
        return BY_PYTHON;
    }
    return top + log1p(rest_of_exponentials(xs, n, top, scratch));
}

/* Write the softmax of xs into shares; NaN everywhere if the greatest is not finite. */
static inline void kernel_softmax(const double *xs, size_t n, double *shares)
{
    double top = kernel_extreme(xs, n, true);
    if (!isfinite(top)) {
        for (size_t k = 0; k < n; k++) {
            shares[k] = BY_PYTHON;
        }
        return;
    }
    for (size_t k = 0; k < n; k++) {
        shares[k] = shifted_exponential(xs[k], top);
    }
    double whole = kernel_total(shares, n);
    for (size_t k = 0; k < n; k++) {
        shares[k] /= whole;
    }
}

static inline double kernel_log_softmax(const double *xs, size_t n, size_t i, double *scratch)
{
    double top = kernel_extreme(xs, n, true);
    if (!isfinite(top)) {
        return BY_PYTHON;
    }
    return (xs[i] - top) - log1p(rest_of_exponentials(xs, n, top, scratch));
}

/* Write the slopes of log(s_i), where s is the softmax of xs: 1 - s_i with respect to x_i, -s_j with respect to any
 * other x_j. */
static inline void log_softmax_slopes(double log_share, const double *xs, size_t n, size_t i, double *slopes)
{
    kernel_softmax(xs, n, slopes);
    for (size_t k = 0; k < n; k++) {
        slopes[k] = -slopes[k];
    }
    slopes[i] = -expm1(log_share);
}

static inline void prod_slopes(const double *xs, size_t n, double *slopes)
{
    slopes[0] = 1.0;
    for (size_t k = 1; k < n; k++) {
        slopes[k] = slopes[k - 1] * xs[k - 1];
    }
    double after = 1.0;
    for (size_t k = n; k-- > 0;) {
        slopes[k] = slopes[k] * after;
        after = xs[k] * after;
    }
}

/* Tell whether x equals the extreme z, where NaN counts as equal to NaN. */
static inline bool has_won(double x, double z)
{
    return x == z || (x != x && z != z);
}

static inline void extreme_slopes(double z, const double *xs, size_t n, double *slopes)
{
    size_t chosen = 0;
    for (size_t k = 0; k < n; k++) {
        chosen += has_won(xs[k], z);
    }
    for (size_t k = 0; k < n; k++) {
        slopes[k] = has_won(xs[k], z) ? 1.0 / (double)chosen : NOTHING;
    }
}

#endif
