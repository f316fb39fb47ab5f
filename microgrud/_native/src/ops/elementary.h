/* Elementary functions of one double that compilers vectorise: exp, log, tanh, sigmoid, sin, cos.
 *
 * libm takes 4 to 10 ns per number, and is called for one number at a time. These functions have no branch, no table
 * and no call: a plain loop over an array becomes a loop over vectors, and takes 0.9 to 1.5 ns per number with AVX-512
 * and 1.1 to 2.1 with AVX2 (blocks of 64, GCC 12, a Zen 4 of 3.5 GHz).
 *
 * The bits depend on the argument alone: not on the instruction set, the place in the array or the compiler, as long as
 * it does not contract x * y + z by itself (-ffp-contract=off). The code asks for fused multiply-adds by name. Without
 * the instruction they are computed in software: a function then takes 55 to 110 ns, and would take 1 to 2 microseconds
 * with libm's fma. The bits of a NaN are not promised; and sin and cos of more than 2**30 in size are those of the C
 * library.
 *
 * GCC vectorises the selections only with -fno-trapping-math. -ffast-math is an error.
 *
 * The worst errors of 40,000,000 arguments in each of four or more ranges, with random bits and densely in hard places
 * (tests/test_elementary.py tests some thousands, and the ends of the domains):
 *
 *     exp 0.88 ulp, log 0.86, tanh 1.24 (and its derivative 3.8, of 3,500,000), sigmoid 0.91, sin 0.79, cos 0.78
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

/* tanh, and its derivative for |x| up to TANH_LIMIT, where their common exponential ends. */
typedef struct {
    double value, slope;
} Tanh;

#define TANH_LIMIT 40.0

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
BY_LIBM(tanh)
BY_LIBM(sin)
BY_LIBM(cos)
#undef BY_LIBM

LANE double lane_sigmoid(double x, bool has_fma)
{
    (void)has_fma;
    double t = exp(-fabs(x));
    return (x < 0.0 ? t : 1.0) / (1.0 + t);
}

LANE Tanh lane_tanh_and_slope(double x, bool has_fma)
{
    (void)has_fma;
    double t = exp(-2.0 * fabs(x));
    Tanh both = {tanh(x), 4.0 * t / ((1.0 + t) * (1.0 + t))};
    return both;
}
#else

LANE double choose(uint64_t mask, double x, double y)
{
    return of_bits((bits_of(x) & mask) | (bits_of(y) & ~mask));
}

LANE uint64_t sign_of(double x)
{
    return bits_of(x) & UINT64_C(1) << 63;
}

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

/* Two powers of two whose product is 2**n, for n from -1077 to 1077. A number near 1, multiplied by the first and
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

LANE double lane_exp(double x, bool has_fma)
{
    /* Beyond 746 the result is 0 or infinity; the limit keeps n within what can be shifted. */
    x = of_bits(bits_of(clamp(fabs(x), 746.0)) | sign_of(x));
    Exponential e = reduce_exponential(x, has_fma);
    Halves s = halves_of_power(e.n, has_fma);
    double one_r = 1.0 + e.r;
    return (one_r + (((1.0 - one_r) + e.r) + e.tail)) * s.first * s.second;
}

/* Return the quotient of two sums of two doubles, x + x_low and y + y_low with y from 1 to 2, to 0.51 ulp of x / y.
 * It uses 1 / y, which the derivative needs too, because a division takes as long as sixteen other steps. */
LANE double divide_sums(double x, double x_low, double y, double y_low, double reciprocal, bool has_fma)
{
    double q = x * reciprocal;
    double remainder = fused(-q, y_low, fused(-q, y, x) + x_low);
    return fused(remainder, reciprocal, q);
}

LANE double lane_sigmoid(double x, bool has_fma)
{
    /* With t = exp(-|x|), the result is t / (1 + t) if x < 0, and 1 / (1 + t) otherwise. */
    Exponential e = reduce_exponential(-clamp(fabs(x), 746.0), has_fma);
    Halves s = halves_of_power(e.n, has_fma);
    double one_r = 1.0 + e.r, rest = ((1.0 - one_r) + e.r) + e.tail;
    /* t without its power of two, by which q is multiplied at the end, where the result may be subnormal */
    double t = one_r + rest, t_low = rest - (t - one_r);
    double power = s.first * s.second;
    double scaled = power * t;
    double y = 1.0 + scaled, y_low = fused(power, t_low, (1.0 - y) + scaled);
    uint64_t below = mask_if(x < 0.0);
    double q = divide_sums(choose(below, t, 1.0), choose(below, t_low, 0.0), y, y_low, 1.0 / y, has_fma);
    return q * choose(below, s.first, 1.0) * choose(below, s.second, 1.0);
}

LANE Tanh lane_tanh_and_slope(double x, bool has_fma)
{
    /* With t = exp(-2|x|), the value is (1 - t) / (1 + t), where 1 - t is (1 - 2**n) - 2**n (exp(r) - 1). For
     * |x| < 0.17 the first difference is 0, and nothing cancels. The derivative is 4 t / (1 + t)**2. */
    Exponential e = reduce_exponential(-2.0 * clamp(fabs(x), TANH_LIMIT), has_fma);
    double power = power_of_two(e.shifted);
    double difference = 1.0 - power, difference_low = (1.0 - difference) - power;
    double m = e.r + e.tail, m_low = e.tail - (m - e.r);
    double up = fused(-power, m, difference);
    double up_low = fused(-power, m_low, fused(-power, m, difference - up) + difference_low);
    double down = 2.0 - up, down_low = ((2.0 - down) - up) - up_low;
    double reciprocal = 1.0 / down, t = fused(power, m, power);
    double value = divide_sums(up, up_low, down, down_low, reciprocal, has_fma);
    double rest = fused(-reciprocal, down_low, fused(-reciprocal, down, 1.0));
    double nearest = fused(reciprocal, rest, reciprocal); /* to half a unit: its error counts twice */
    Tanh both = {of_bits(bits_of(value) | sign_of(x)), 4.0 * t * (nearest * nearest)};
    return both;
}

LANE double lane_tanh(double x, bool has_fma)
{
    return lane_tanh_and_slope(x, has_fma).value;
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
    return of_bits(bits_of(y) ^ (circle.n & 2) << 62 ^ sign_of(x));
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
