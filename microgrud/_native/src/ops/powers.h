/* Powers, powers times powers of a logarithm, and products of powers divided by a power of a norm: kernels, and rules
 * for their derivatives, which are of the same kinds. kernels.h names their twins.
 */
#ifndef MICROGRUD_POWERS_H
#define MICROGRUD_POWERS_H

#include "ops/kernels.h"

/* --- x**(y - n) * log(x)**k --- */

/* x**(y - n), corrected for the rounding error of y - n. */
static inline double kernel_power_over(double x, double y, double n)
{
    double exponent = y - n;
    if (exponent == 2.0) {
        return x * x;
    }
    double virtual_n = exponent - y;
    double error = (y - (exponent - virtual_n)) - (n + virtual_n);
    if (error == 0.0 || !isfinite(error) || x == 0.0 || !isfinite(x)) {
        return exponent == 1.0 ? x : pow(error != 0.0 ? x + 0.0 : x, exponent);
    }
    if (x < 0.0 && y != floor(y)) {
        return (double)NAN;
    }
    double power = pow(fabs(x), exponent);
    if (isfinite(power)) {
        power += power * (error * log(fabs(x)));
    }
    return x < 0.0 && fmod(fmod(y, 2.0) - n, 2.0) != 0.0 ? -power : power;
}

static inline bool is_power_count(double e)
{
    return e >= 0.0 && e <= 512.0 && e == floor(e);
}

static inline bool keeps_digits(double power)
{
    const double size = fabs(power);
    return 0x1p-400 <= size && size <= 0x1p400;
}

/* x**(y - n) * log(x)**k */
static inline double kernel_power_log(double k, double n, double x, double y)
{
    if (!is_power_count(k) || !(x >= 0.0) || y != y) {
        return BY_PYTHON;
    }
    if (x == 0.0) {
        return y > n || (y == n && n == 0.0) ? 0.0 : BY_PYTHON;
    }
    const double logarithm = log(x), power = kernel_power_over(x, y, n);
    double logarithms = 1.0;
    for (int j = (int)k; j > 0; j--) {
        logarithms *= logarithm;
    }
    if (keeps_digits(power)) {
        return power * logarithms;
    }
    const double root = kernel_power_over(x, 0.5 * y, 0.5 * n);
    return root * logarithms * root;
}

/* factor * x**(y - n) * log(x)**k */
static inline double times_power(double factor, double x, double y, double n, double k)
{
    const double power = k != 0.0 ? kernel_power_log(k, n, x, y) : kernel_power_over(x, y, n);
    if (keeps_digits(power) || x == 0.0 || power != power || factor == 0.0) {
        return factor == 0.0 ? 0.0 : factor * power;
    }
    const double size = x > 0.0 ? x : -x, sign = x > 0.0 ? 1.0 : copysign(1.0, power);
    const double root = kernel_power_over(size, 0.5 * y, 0.5 * n);
    return sign * factor * root * (k != 0.0 ? kernel_power_log(k, 0.5 * n, size, 0.5 * y) : root);
}

static inline double power_by_base(double x, double y, double n)
{
    return y == n ? NOTHING : times_power(y - n, x, y, n + 1.0, 0.0);
}

/* Return kernel_power_log(1, 0, x, y), given z = x**y. For y = 2, call that kernel, which computes the power as x * x.
 */
static inline double power_by_exponent(double z, double x, double y)
{
    return x > 0.0 && y != 2.0 && keeps_digits(z) ? z * log(x) : kernel_power_log(1.0, 0.0, x, y);
}

/* Write the derivatives of x**(y - n) * log(x)**k with respect to x and y; those with respect to k and n are NOTHING.
 */
static inline void power_log_slopes(double k, double n, double x, double y, double slopes[4])
{
    const double power = k > 1.0 ? kernel_power_log(k - 1.0, n + 1.0, x, y) : kernel_power_over(x, y, n + 1.0);
    slopes[0] = slopes[1] = NOTHING;
    slopes[2] = times_power(y - n, x, y, n + 1.0, k) + k * power;
    slopes[3] = kernel_power_log(k + 1.0, n, x, y);
}

/* --- x1**e1 * x2**e2 * ... / r**n --- */

/* The operands of x1**e1 * x2**e2 * ... / r**n, where r is the norm of all x. */
typedef struct {
    double n;
    const double *exponents, *xs;
    size_t count;
} Radial;

/* Return exponent k, plus `change` if k is `place`, plus 2 if k is `other`. Pass r->count as
 * `place` or `other` to match no exponent. */
static inline double changed_exponent(const Radial *r, size_t k, size_t place, double change, size_t other)
{
    return r->exponents[k] + (k == place ? change : 0.0) + (k == other ? 2.0 : 0.0);
}

/* Return the quotient with this n instead of r->n, and with the exponents that changed_exponent returns. */
static inline double radial_number(const Radial *r, double n, size_t place, double change, size_t other)
{
    double largest = 0.0, infinite_degree = 0.0;
    bool is_known = is_power_count(n);
    for (size_t k = 0; k < r->count; k++) {
        const double size = fabs(r->xs[k]), e = changed_exponent(r, k, place, change, other);
        is_known = is_known && size == size && is_power_count(e);
        largest = size > largest ? size : largest;
        infinite_degree += isinf(size) ? e : 0.0;
    }
    if (!is_known || (isinf(largest) && infinite_degree >= n)) {
        return BY_PYTHON;
    }
    if (isinf(largest)) {
        return 0.0;
    }
    int top, exponent;
    frexp(largest, &top);
    double squares = 0.0, product = 1.0;
    int shift = -(int)n * top;
    for (size_t k = 0; k < r->count; k++) {
        double mantissa = frexp(r->xs[k], &exponent), scaled = ldexp(mantissa, exponent - top);
        int e = (int)changed_exponent(r, k, place, change, other);
        squares += scaled * scaled;
        shift += e * exponent;
        for (; e > 0; e--) {
            product *= mantissa;
        }
    }
    double denominator = fmod(n, 2.0) != 0.0 ? sqrt(squares) : 1.0;
    for (int k = (int)n / 2; k > 0; k--) {
        denominator *= squares;
    }
    return ldexp(product / denominator, shift);
}

/* `xs` holds n, then all the exponents, then all the numbers. */
static inline Radial read_radial(const double *xs, size_t length)
{
    size_t half = (length - 1) / 2;
    Radial r = {xs[0], xs + 1, xs + 1 + half, half};
    return r;
}

static inline double kernel_radial(const double *xs, size_t length)
{
    Radial r = read_radial(xs, length);
    return length % 2 == 1 && length > 1 ? radial_number(&r, r.n, r.count, 0.0, r.count) : BY_PYTHON;
}

/* Tell whether x can be squared without scaling. A formula without scaling then gives the same bits as the kernel. */
static inline bool has_safe_square(double x)
{
    return (fabs(x) > 0x1p-400 && fabs(x) < 0x1p400) || x == 0.0;
}

/* a / (x**2 + y**2), where a is x or y */
static inline double over_square_of_length(double x, double y, bool of_x)
{
    if (has_safe_square(x) && has_safe_square(y) && (x != 0.0 || y != 0.0)) {
        return (of_x ? x : y) / (x * x + y * y);
    }
    const double operands[5] = {2.0, of_x, !of_x, x, y};
    return kernel_radial(operands, 5);
}

/* a / sqrt(x**2 + y**2), where a is x or y; 0 at the origin */
static inline double over_length(double z, double x, double y, bool of_x)
{
    if (z == 0.0) {
        return 0.0;
    }
    if (has_safe_square(x) && has_safe_square(y)) {
        return (of_x ? x : y) / sqrt(x * x + y * y);
    }
    const double operands[5] = {1.0, of_x, !of_x, x, y};
    return kernel_radial(operands, 5);
}

/* 1 / (1 + x**2), or its square root */
static inline double over_one_and_square(double x, bool root)
{
    if (fabs(x) < 0x1p511) {
        return 1.0 / (root ? sqrt(1.0 + x * x) : 1.0 + x * x);
    }
    const double operands[5] = {root ? 1.0 : 2.0, 0.0, 0.0, 1.0, x};
    return kernel_radial(operands, 5);
}

/* Write the derivatives of the norm of n numbers: BY_PYTHON if there are more than MOST_RADIAL numbers and their norm
 * is extremely small or large. */
static inline void norm_slopes(double z, const double *xs, size_t n, double *slopes)
{
    enum { MOST_RADIAL = 8 };
    double exponents[MOST_RADIAL] = {0.0};
    const Radial r = {1.0, exponents, xs, n};
    const bool in_range = TINY <= z && z <= 1.0 / TINY;
    for (size_t k = 0; k < n; k++) {
        if (z == 0.0) {
            slopes[k] = 0.0;
        } else if (n <= MOST_RADIAL) {
            slopes[k] = radial_number(&r, 1.0, k, 1.0, n);
        } else {
            slopes[k] = in_range ? xs[k] / z : BY_PYTHON;
        }
    }
}

/* Write the derivatives with respect to the numbers, each of them the sum that _radial_slope of ops.py builds; those
 * with respect to n and the exponents are NOTHING. */
static inline void radial_slopes(const double *xs, size_t length, double *slopes)
{
    const Radial r = read_radial(xs, length);
    for (size_t k = 0; k <= r.count; k++) {
        slopes[k] = NOTHING;
    }
    for (size_t i = 0; i < r.count; i++) {
        const double e = r.exponents[i];
        const bool has_terms = e != r.n || (e != 0.0 && r.count > 1);
        double sum = has_terms ? -0.0 : 0.0; /* -0.0 + x is x, for x = -0.0 too */
        if (e != r.n) {
            sum += (e - r.n) * radial_number(&r, r.n + 2.0, i, 1.0, r.count);
        }
        for (size_t j = 0; j < r.count && e != 0.0; j++) {
            if (j != i) {
                sum += e * radial_number(&r, r.n + 2.0, i, -1.0, j);
            }
        }
        slopes[1 + r.count + i] = sum;
    }
}

#endif
