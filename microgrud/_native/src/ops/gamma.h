/* Float kernels of lgamma, digamma and polygamma: the twins of microgrud/engine/gamma_kernels.py, which documents the
 * formulas. At a pole they return BY_PYTHON. */
#ifndef MICROGRUD_GAMMA_H
#define MICROGRUD_GAMMA_H

#include "ops/kernels.h"

static const double PI = 3.141592653589793;
static const double FAR_OUT = 10.0;

static inline double polynomial(const double *coefficients, size_t count, double x)
{
    double result = 0.0;
    while (count > 0) {
        result = result * x + coefficients[--count];
    }
    return result;
}

#define POLYNOMIAL(coefficients, x) polynomial(coefficients, sizeof(coefficients) / sizeof *(coefficients), x)

static inline double stirling(double x)
{
    static const double series[] = {1. / 12, -1. / 360, 1. / 1260, -1. / 1680, 1. / 1188, -691. / 360360, 1. / 156};
    double r = 1.0 / x;
    return r * POLYNOMIAL(series, r * r);
}

static inline double lgamma_near_one(double t)
{
    static const double above[] = {0.07721566490153287,  0.007748754258267134, -0.32279314493196165,
                                   -0.4309380403612767,  -0.22212607330297277, -0.05031628796212826,
                                   -0.004537850588426525, -0.00011207665346333024};
    static const double below[] = {1.0, 3.2765388098836996, 4.213500159071754, 2.6974938085539124,
                                   0.9008376480567829, 0.15017498169923593, 0.01080081036207713,
                                   0.00022847484730704397};
    return t * (t - 1.0) * (0.5 + POLYNOMIAL(above, t) / POLYNOMIAL(below, t));
}

static inline double gamma_of_less(double x)
{
    if (x < 1.0) {
        return exp(lgamma_near_one(x)) / x;
    }
    double product = 1.0;
    while (x > 2.25) {
        x -= 1.0;
        product *= x;
    }
    return product * exp(lgamma_near_one(x - 1.0));
}

static inline double kernel_gamma(double x)
{
    if (!isfinite(x) || x >= 172.0) {
        return BY_PYTHON;
    }
    if (x > 0.0 && (x < FAR_OUT || (x <= 23.0 && x == floor(x)))) {
        return gamma_of_less(x);
    }
    const double size = fabs(x), offset = x - rint(x);
    double power = 0.0, scale = 0.0, other = 1.0;
    if (size >= FAR_OUT) {
        power = pow(size, size < 140.0 ? size - 0.5 : 0.5 * size - 0.25);
        scale = (2.5066282746310007 * exp(stirling(size))) * exp(-size);
        other = size < 140.0 ? 1.0 : power;
    }
    if (x > 0.0) {
        return power * scale * other;
    }
    if (offset == 0.0) {
        return BY_PYTHON;
    }
    const double sine = copysign(sin(PI * fabs(offset)), fmod(floor(x), 2.0) == 0.0 ? 1.0 : -1.0);
    if (x > -FAR_OUT) {
        return PI / (sine * (x > -1.0 ? exp(lgamma_near_one(-x)) : -x * gamma_of_less(-x)));
    }
    return x < -200.0 ? copysign(0.0, sine) : PI / (sine * -x) / power / scale / other;
}

static inline double lgamma_of_positive(double x)
{
    if (x < 1.0) {
        return lgamma_near_one(x) - log(x);
    }
    if (x < FAR_OUT) {
        double product = 1.0;
        while (x > 2.25) {
            x -= 1.0;
            product *= x;
        }
        return log(product) + lgamma_near_one(x - 1.0);
    }
    return (x - 0.5) * (log(x) - 1.0) + (0.4189385332046727 + stirling(x));
}

static inline double kernel_lgamma(double x)
{
    if (!isfinite(x)) {
        return fabs(x);
    }
    if (x > -1e-20 && x < 1e-20 && x != 0.0) {
        return -log(fabs(x));
    }
    if (x <= 0.0) {
        double offset = x - rint(x);
        if (offset == 0.0) {
            return BY_PYTHON;
        }
        double sine = sin(PI * fabs(offset));
        return 1.1447298858494002 - log(-x * sine) - lgamma_of_positive(-x);
    }
    return lgamma_of_positive(x);
}

static inline double digamma_of_positive(double x)
{
    static const double above[] = {0.2503801375034054,   -0.30957408825968885,  -0.6919409437403516,
                                   -0.35473150019898825, -0.07115493979151359, -0.005519862186036254,
                                   -0.00011934204387003062};
    static const double below[] = {1.0, 2.1771665986671342, 1.6630736963665909, 0.5710455727133128,
                                   0.09111902253303285, 0.006100975692434821, 0.00012043151172286901};
    static const double series[] = {1. / 12, -1. / 120, 1. / 252, -1. / 240, 1. / 132, -691. / 32760, 1. / 12,
                                    -3617. / 8160};
    if (x < FAR_OUT) {
        double total = 0.0;
        while (x > 2.0) {
            x -= 1.0;
            total += 1.0 / x;
        }
        double t = x - 1.0;
        double slope = 1.0 + POLYNOMIAL(above, t) / POLYNOMIAL(below, t);
        return total + ((x - 1.4616321449683622) - 9.549995429965697e-17) * slope;
    }
    double r = 1.0 / x;
    return log(x) - (0.5 * r + r * r * POLYNOMIAL(series, r * r));
}

static inline double kernel_digamma(double x)
{
    if (!(x <= 0.0)) {
        return x < 1.0 ? digamma_of_positive(1.0 + x) - 1.0 / x : digamma_of_positive(x);
    }
    const double offset = x - rint(x);
    if (isinf(x) || offset == 0.0) {
        return BY_PYTHON;
    }
    const bool is_near = offset >= -0.25 && offset <= 0.25;
    double cotangent = is_near ? 1.0 / tan(PI * offset) : copysign(tan(PI * (0.5 - fabs(offset))), offset);
    return (x > -1.0 ? digamma_of_positive(1.0 - x) : digamma_of_positive(-x) - 1.0 / x) - PI * cotangent;
}

static inline double zeta_term(double n, double x)
{
    static const double bernoulli[] = {1. / 12, -1. / 720, 1. / 30240, -1. / 1209600, 1. / 47900160,
                                       -691. / 1307674368000, 1. / 74724249600, -3617. / 10670622842880000.,
                                       43867. / 5109094217170944000., -174611. / 802857662698291200000.};
    const double s = n + 1.0, lacking = FAR_OUT + n - x;
    const int steps = lacking > 0.0 ? (int)ceil(lacking) : 0;
    const double y = x + steps;
    double factor = s / y, series = 0.0;
    for (size_t k = 0; k < sizeof bernoulli / sizeof *bernoulli; k++) {
        series += bernoulli[k] * factor;
        factor *= (s + (2.0 * (double)k + 1.0)) / y * ((s + (2.0 * (double)k + 2.0)) / y);
    }
    double total = pow(x / y, s) * (y / n + (0.5 + series));
    for (int k = steps - 1; k >= 0; k--) {
        total += pow(x / (x + k), s);
    }
    for (double k = 2.0; k <= n; k++) {
        total *= k;
    }
    double root = pow(x, -0.5 * s);
    return root < 1e-308 && n > 1.0 ? 0.0 : total * root * root;
}

static inline double kernel_polygamma(double n, double x)
{
    if (n == 0.0) {
        return kernel_digamma(x);
    }
    if (!(n >= 1.0 && n <= 170.0) || n != floor(n) || !isfinite(x)) {
        return BY_PYTHON;
    }
    const bool is_even = fmod(n, 2.0) == 0.0;
    if (x > 0.0) {
        return is_even ? -zeta_term(n, x) : zeta_term(n, x);
    }
    double offset = x - rint(x);
    if (offset == 0.0) {
        return BY_PYTHON;
    }
    double right = offset > 0.0 ? offset : 1.0 + offset, left = offset > 0.0 ? 1.0 - offset : -offset;
    double from_left = zeta_term(n, left), from_right = zeta_term(n, right);
    return (is_even ? from_left - from_right : from_left + from_right) - zeta_term(n, 1.0 - x);
}

/* The derivative of gamma; Python has the rule for a gamma(x) that has lost digits to underflow. */
static inline double gamma_slope(double z, double x)
{
    return fabs(z) < TINY ? BY_PYTHON : z * kernel_digamma(x);
}

#endif
