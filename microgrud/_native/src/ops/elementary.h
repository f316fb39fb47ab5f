/* Elementary functions of one double that compilers vectorise: exp, log, tanh, sigmoid, sin, cos.
 *
 * libm takes 4 to 10 ns per number, and is called for one number at a time. These functions have no branch and no call:
 * a plain loop over an array becomes a loop over vectors, and takes 0.6 to 1.0 ns per number with AVX-512, and 1.0 to
 * 1.5 with AVX2 (blocks of 128, GCC 12, a Zen 4 of 3.7 GHz). Only tanh and sigmoid have tables, of 32 numbers.
 *
 * The bits depend on the argument alone: not on the instruction set, the place in the array or the compiler, as long as
 * it does not contract x * y + z by itself (-ffp-contract=off). The code asks for fused multiply-adds by name. Without
 * the instruction they are computed in software: a function then takes 30 to 110 ns, and would take 1 to 2 microseconds
 * with libm's fma. The bits of a NaN are not promised; and sin and cos of more than 2**30 in size are those of the C
 * library.
 *
 * GCC vectorises the selections only with -fno-trapping-math. -ffast-math is an error.
 *
 * The worst errors of 40,000,000 arguments in each of four or more ranges, with random bits and densely in hard places
 * (tests/test_elementary.py tests some thousands, and the ends of the domains):
 *
 *     exp 0.88 ulp, log 0.86, tanh 1.97 (and its derivative 2.4), sigmoid 1.92, sin 0.79, cos 0.78
 *
 * The methods are those of the books: Cody and Waite, "Software Manual for the Elementary Functions" (1980), for the
 * reductions; Muller et al., "Handbook of Floating-Point Arithmetic" (2018), for sums and products with their errors.
 * The polynomials are minimax: Remez's exchange at 80 digits, then each coefficient rounded to a double; the errors
 * noted next to them are those of the rounded coefficients. They are summed in pairs (Estrin): by Horner's rule, where
 * each step waits for the one before, exp takes 12 % longer.
 */
#ifndef MICROGRUD_ELEMENTARY_H
#define MICROGRUD_ELEMENTARY_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "ops/elementary_tables.h"

#ifdef __FAST_MATH__
#error "elementary.h rounds to integers and keeps the errors of sums, which -ffast-math would optimise away"
#endif

#if defined(__GNUC__) || defined(__clang__)
#define LANE static inline __attribute__((always_inline))
#define INSTRUCTION_FMA __builtin_fma
#else
#define LANE static inline
#define INSTRUCTION_FMA fma
#endif

/* Tell whether code without a target attribute has the instruction for fused multiply-adds. */
#if defined(__FMA__) || defined(__FP_FAST_FMA) || defined(__aarch64__) || defined(_M_ARM64)
#define BASELINE_HAS_FMA true
#else
#define BASELINE_HAS_FMA false
#endif

LANE uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

LANE double of_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* All ones if the condition holds, and zero if not. The comparison gives a double, because SSE2 compares no integers of
 * 64 bits. Its users do not write `condition ? x : y`, because GCC joins the branches of several selections before it
 * vectorises, and turns the two comparisons that clamp an argument from both sides into six. */
LANE uint64_t mask_if(int condition)
{
    return bits_of(condition ? of_bits(~UINT64_C(0)) : 0.0);
}

/* lane_sin and lane_cos are right up to here; larger arguments, infinities and NaN are left to libm. */
#define CIRCLE_LIMIT 0x1p30

LANE int is_above_circle_limit(double x)
{
    return !(fabs(x) <= CIRCLE_LIMIT);
}

/* tanh and its derivative. */
typedef struct {
    double value, slope;
} Tanh;

/* Return TO_QUARTER plus the quarter for a magnitude. With a skew of 1/64, a quarter serves magnitudes from 7/64 below
 * it to 9/64 above it: tanh of such a magnitude is then farther from 0 than from tanh of the quarter, and errors of
 * that distance count less. A skew of -1/64 does the same for 1 - tanh. */
LANE double quarter_for(double magnitude, double skew)
{
    return (magnitude - skew) + TO_QUARTER;
}

#define TANH_SKEW 0x1p-6
#define SIGMOID_SKEW (-0x1p-6)

/* Tell whether a magnitude is beyond the tables; not for NaN. */
LANE int is_in_tail(double shifted)
{
    return shifted >= TO_QUARTER + 8.0;
}

LANE double choose(uint64_t mask, double x, double y)
{
    return of_bits((bits_of(x) & mask) | (bits_of(y) & ~mask));
}

LANE double with_sign(double magnitude, double x)
{
    return of_bits(bits_of(magnitude) | (bits_of(x) & UINT64_C(1) << 63));
}

#if FLT_EVAL_METHOD == 2 || FLT_EVAL_METHOD < 0
/* The coprocessor of 32-bit x86 keeps sums in more bits than a double has, and the code below would be wrong. */
#define BY_LIBM(name)                                                                                                  \
    LANE double lane_##name(double x, bool has_fma)                                                                    \
    {                                                                                                                  \
        (void)has_fma;                                                                                                 \
        return name(x);                                                                                                \
    }
BY_LIBM(exp)
BY_LIBM(log)
BY_LIBM(sin)
BY_LIBM(cos)
#undef BY_LIBM

LANE double lane_sigmoid_tail(double magnitude, bool has_fma)
{
    (void)has_fma;
    return exp(-magnitude) / (1.0 + exp(-magnitude));
}

LANE double lane_sigmoid_near(double half, double shifted, double rest, bool has_fma)
{
    (void)shifted, (void)rest;
    return lane_sigmoid_tail(2.0 * half, has_fma);
}

LANE Tanh lane_tanh_tail(double magnitude, bool has_fma)
{
    (void)has_fma;
    double t = exp(-2.0 * magnitude);
    Tanh both = {tanh(magnitude), 4.0 * t / ((1.0 + t) * (1.0 + t))};
    return both;
}

LANE Tanh lane_tanh_near(double magnitude, double shifted, double c, double d, bool has_fma)
{
    (void)shifted, (void)c, (void)d;
    return lane_tanh_tail(magnitude, has_fma);
}
#else

/* Return |x|, or the limit if that is less; NaN for NaN. */
LANE double clamp(double magnitude, double limit)
{
    return choose(mask_if(magnitude > limit), limit, magnitude);
}

/* The sum high + low of two doubles, where high is what the operation gives and low is its error. */
typedef struct {
    double high, low;
} Unrounded;

LANE Unrounded exact_sum(double x, double y)
{
    double sum = x + y, part = sum - x;
    Unrounded result = {sum, (x - (sum - part)) + (y - part)};
    return result;
}

LANE Unrounded exact_product(double x, double y)
{
    double t = 134217729.0 * x, x_high = t - (t - x), x_low = x - x_high; /* 2**27 + 1: two halves of 26 bits */
    t = 134217729.0 * y;
    double y_high = t - (t - y), y_low = y - y_high;
    double product = x * y;
    Unrounded result = {product, (((x_high * y_high - product) + x_high * y_low) + x_low * y_high) + x_low * y_low};
    return result;
}

/* Return x * y + z rounded once, without the instruction. The small parts of the sum are rounded to odd: the last bit
 * then records that digits were lost, so that the final rounding is right. Boldo and Melquiond, "Emulation of FMA and
 * correctly rounded sums: proved algorithms using rounding to odd" (2008). The result is right unless x or y is beyond
 * 2**996 or the error of their product is subnormal. That does not matter here: z, or the number that the result is
 * added to, is then greater by more than the digits of a double, or x and y are short. */
LANE double fused_by_hand(double x, double y, double z)
{
    Unrounded product = exact_product(x, y);
    Unrounded lower = exact_sum(z, product.low), upper = exact_sum(product.high, lower.high);
    Unrounded rest = exact_sum(lower.low, upper.low);
    uint64_t bits = bits_of(rest.high), is_even = (bits & 1) - 1;
    uint64_t step = 1 - ((bits ^ bits_of(rest.low)) >> 63 << 1); /* away from zero, or towards it */
    return upper.high + of_bits(bits + (mask_if(rest.low != 0.0) & is_even & step));
}

/* x * y + z, where `has_fma` is known when it is compiled. */
#define fused(x, y, z) (has_fma ? INSTRUCTION_FMA(x, y, z) : fused_by_hand(x, y, z))

/* A constant that leaves the nearest integer in the last bits of its sum with a number below 2**51. */
#define TO_INTEGER 0x1.8p52
/* The same for 2**n: the exponent of the power is then in the last bits, and shifted to where it belongs. */
#define TO_POWER (0x1.8p52 + 1023.0)

LANE double power_of_two(double shifted)
{
    return of_bits(bits_of(shifted) << 52);
}

/* exp(x) = 2**n * (1 + r + tail), with |r| <= log(2) / 2. */
typedef struct {
    double shifted; /* n + TO_POWER */
    double n, r, tail;
} Exponential;

LANE Exponential reduce_exponential(double x, bool has_fma)
{
    Exponential e;
    e.shifted = fused(x, 0x1.71547652b82fep+0, TO_POWER); /* 1 / log(2) */
    e.n = e.shifted - TO_POWER;
    /* log(2) in two parts. The first step is exact: r is a multiple of the last bit of both, and below 1/2. */
    double r = fused(e.n, -0x1.62e42fefa39efp-1, x);
    r = fused(e.n, -0x1.abc9e3b39803fp-56, r);
    /* p = (exp(r) - 1 - r) / r**2, to 2**-54.3 of exp(r) - 1 and 2**-56 of exp(r). */
    double r2 = r * r, r4 = r2 * r2;
    double p0 = fused(0x1.5555555555558p-3, r, 0x1.0000000000001p-1);
    double p2 = fused(0x1.111111110f807p-7, r, 0x1.5555555553d67p-5);
    double p4 = fused(0x1.a01a01b00a1cap-13, r, 0x1.6c16c1788a242p-10);
    double p6 = fused(0x1.71ddf6b9f098bp-19, r, 0x1.a019b913e687bp-16);
    double p8 = fused(0x1.af631f741441bp-26, r, 0x1.28917d47fca8dp-22);
    double p = fused(fused(fused(p8, r2, p6), r2, p4), r4, fused(p2, r2, p0));
    e.r = r;
    e.tail = r2 * p;
    return e;
}

/* Two powers of two whose product is 2**n, for n from -1083 to 1083. A number near 1, multiplied by the first and
 * then by the second, is rounded only once even if the result is subnormal, and overflows only where it must. */
typedef struct {
    double first, second;
} Halves;

LANE Halves halves_of_power(double n, bool has_fma)
{
    double shifted = fused(n, 0.5, TO_POWER);
    Halves s = {power_of_two(shifted), power_of_two((n - (shifted - TO_POWER)) + TO_POWER)};
    return s;
}

/* exp(x) = near_one * first * second, which is rounded only once if one multiplies in this order. */
typedef struct {
    double near_one, first, second;
} Factors;

LANE Factors factors_of_exp(double x, bool has_fma)
{
    /* Beyond 750 the result is 0 or infinity, even times 4; the limit keeps n within what can be shifted. */
    Exponential e = reduce_exponential(with_sign(clamp(fabs(x), 750.0), x), has_fma);
    Halves s = halves_of_power(e.n, has_fma);
    double one_r = 1.0 + e.r;
    Factors f = {one_r + (((1.0 - one_r) + e.r) + e.tail), s.first, s.second};
    return f;
}

LANE double lane_exp(double x, bool has_fma)
{
    Factors f = factors_of_exp(x, has_fma);
    return f.near_one * f.first * f.second;
}

/* Return tanh(q + r) - tanh(q) = d t / (1 + c t) with t = tanh(r), c = tanh(q), d = 1 - c**2. There is one division,
 * because t is a quotient p / n too. With a polynomial for t, tanh takes a fifth longer. */
LANE double step_from_quarter(double magnitude, double shifted, double c, double d, bool has_fma)
{
    double r = magnitude - (shifted - TO_QUARTER), z = r * r;
    double p = r * fused(fused(TANH_P2, z, TANH_P1), z, TANH_P0);
    double n = fused(fused(TANH_N2, z, TANH_N1), z, TANH_P0);
    return p * d / fused(c, p, n);
}

/* The arguments are |x|, its quarter, and the numbers of the tables TANH and SECH_SQUARED. */
LANE Tanh lane_tanh_near(double magnitude, double shifted, double c, double d, bool has_fma)
{
    double step = step_from_quarter(magnitude, shifted, c, d, has_fma), value = c + step;
    Tanh both = {value, fused(-step, c + value, d)}; /* d - (value**2 - c**2) */
    return both;
}

LANE Tanh lane_tanh_tail(double magnitude, bool has_fma)
{
    /* With t = exp(-2|x|), the value is (1 - t) / (1 + t), and the derivative 4 t / (1 + t)**2. */
    Factors f = factors_of_exp(-2.0 * magnitude, has_fma);
    double t = f.near_one * f.first * f.second;
    double series = fused(t, fused(3.0, t, -2.0), 1.0);
    Tanh both = {fused(-2.0 * t, 1.0 - t, 1.0), f.near_one * series * (4.0 * f.first) * f.second};
    return both;
}

/* Return sigmoid(-|x|) = (1 - tanh(|x| / 2)) / 2 from |x| / 2, its quarter, and the number of ONE_MINUS_TANH. */
LANE double lane_sigmoid_near(double half, double shifted, double rest, bool has_fma)
{
    double c = 1.0 - rest;
    return 0.5 * (rest - step_from_quarter(half, shifted, c, fused(rest, c, rest), has_fma));
}

LANE double lane_sigmoid_tail(double magnitude, bool has_fma)
{
    Factors f = factors_of_exp(-magnitude, has_fma);
    double t = f.near_one * f.first * f.second;
    return f.near_one * fused(t, t - 1.0, 1.0) * f.first * f.second; /* t / (1 + t) */
}

LANE double lane_log(double x, bool has_fma)
{
    /* The bits give x = 2**k * (1 + f), with 1 + f from sqrt(1/2) to sqrt(2). A subnormal x is scaled by 2**54. */
    const uint64_t one = UINT64_C(0x3ff0000000000000), sqrt_half = UINT64_C(0x3fe6a09e667f3bcd);
    uint64_t subnormal = mask_if(x < 0x1p-1022);
    double scaled = x * of_bits(one + (subnormal & UINT64_C(54) << 52));
    uint64_t bits = bits_of(scaled) + (one - sqrt_half);
    double k = of_bits(bits >> 52 | UINT64_C(0x4330000000000000)) - (0x1p52 + 1023.0);
    k -= of_bits(subnormal & UINT64_C(0x404b000000000000)); /* 54 */
    double f = of_bits((bits & UINT64_C(0x000fffffffffffff)) + sqrt_half) - 1.0;
    /* log(1 + f) = 2s + s**3 p = f - (f**2 / 2 - s (f**2 / 2 + s**2 p)) with s = f / (2 + f), |s| < 0.172. */
    double s = f / (2.0 + f), z = s * s, z2 = z * z;
    /* p to 2**-57.8 of log(1 + f). */
    double p0 = fused(0x1.9999999989ac6p-2, z, 0x1.555555555556fp-1);
    double p2 = fused(0x1.c71c5792ab39bp-3, z, 0x1.2492493a5cc2bp-2);
    double p4 = fused(0x1.39baac9449168p-3, z, 0x1.74653475aa02cp-3);
    double p = fused(fused(fused(0x1.2e1991cb03a80p-3, z2, p4), z2, p2), z2, p0);
    double square = 0.5 * f * f;
    /* log(2) in two parts; the first has 32 bits, so that its product with k is exact. */
    double sum = fused(k, 0x1.62e42fee00000p-1, f), sum_low = f - (sum - k * 0x1.62e42fee00000p-1);
    double low = fused(k, 0x1.a39ef35793c76p-33, sum_low);
    double result = sum - (square - fused(s, fused(z, p, square), low));
    /* Arguments that are not positive and finite: log(0) is -infinity, log(infinity) is infinity, others give NaN. */
    double other = choose(mask_if(x > 0.0), x, choose(mask_if(x == 0.0), -(double)INFINITY, (double)NAN));
    return choose(mask_if(x > 0.0) & mask_if(x < (double)INFINITY), result, other);
}

/* sin and cos of an angle reduced by n quarters of the circle. */
typedef struct {
    uint64_t n; /* in the last bits */
    double sin, cos;
} Circle;

LANE Circle reduce_circle(double magnitude, bool has_fma)
{
    Circle circle;
    double shifted = fused(magnitude, 0x1.45f306dc9c883p-1, TO_INTEGER); /* 2 / pi */
    double n = shifted - TO_INTEGER;
    circle.n = bits_of(shifted);
    /* pi/2 in three parts of 53 bits: what is left out of n * pi/2 is below 2**-130, and no double up to the limit
     * comes nearer to a multiple than 2**-60.5 (by its continued fraction). The first step is exact; the errors of
     * the second step are kept. In `first - second`, one number is a multiple of the last bit of the other, so that two
     * subtractions give the error whichever is larger. */
    double first = fused(n, -0x1.921fb54442d18p+0, magnitude);
    double second = n * 0x1.1a62633145c07p-54, second_low = fused(n, 0x1.1a62633145c07p-54, -second);
    double r = first - second;
    double r_low = fused(n, 0x1.f1976b7ed8fbcp-110, ((first - r) - second) - second_low);
    double z = r * r, z2 = z * z, half = 0.5 * z, rest = 1.0 - half;
    /* sin(r) = r + r**3 p, to 2**-57.8. */
    double p0 = fused(0x1.111111110fc40p-7, z, -0x1.555555555554cp-3);
    double p2 = fused(0x1.71de35c27bf14p-19, z, -0x1.a01a019c758b4p-13);
    double p4 = fused(0x1.5da0957dd46cbp-33, z, -0x1.ae5e9a1b093b1p-26);
    double p = fused(fused(p4, z2, p2), z2, p0);
    circle.sin = r + fused(z * r, p, r_low * rest);
    /* cos(r) = 1 - r**2 / 2 + r**4 q, to 2**-60. */
    double q0 = fused(-0x1.6c16c16c15243p-10, z, 0x1.555555555554cp-5);
    double q2 = fused(-0x1.27e4f81106adbp-22, z, 0x1.a01a019cbf6c9p-16);
    double q4 = fused(-0x1.8fafe03df5031p-37, z, 0x1.1ee9ef5cf8d53p-29);
    double q = fused(fused(q4, z2, q2), z2, q0);
    circle.cos = rest + fused(z2, q, fused(-r, r_low, (1.0 - rest) - half));
    return circle;
}

LANE double lane_sin(double x, bool has_fma)
{
    Circle circle = reduce_circle(fabs(x), has_fma);
    double y = choose((uint64_t)0 - (circle.n & 1), circle.cos, circle.sin);
    return of_bits(bits_of(y) ^ (circle.n & 2) << 62 ^ (bits_of(x) & UINT64_C(1) << 63));
}

LANE double lane_cos(double x, bool has_fma)
{
    Circle circle = reduce_circle(fabs(x), has_fma);
    double y = choose((uint64_t)0 - (circle.n & 1), circle.sin, circle.cos);
    return of_bits(bits_of(y) ^ ((circle.n + 1) & 2) << 62);
}

#undef fused
#endif /* FLT_EVAL_METHOD */
#endif
