"""Float kernels of the gamma function's relatives; `microgrud/_native/src/ops/gamma.h` has twins of the first three.

Every function computes on floats, and raises as `math.lgamma` does: ValueError at a pole. The sources of the formulas
are sections 5.4 to 5.17, 10.25 to 10.41 and 25.11 of the NIST Digital Library of Mathematical Functions. The rational
functions interpolate at Chebyshev nodes, computed at 60 digits; noted is the relative error of their rounded
coefficients. `tests/test_gamma.py` measures the kernels against mpmath.
"""

from __future__ import annotations

import math

from .kernels import power_ieee, two_product

Coefficients = tuple[float, ...]

# (lgamma(1 + t) / (t * (t - 1)) - 1/2) for 0 <= t <= 1.25; 1.3e-17.
_LGAMMA_ABOVE: Coefficients = (0.07721566490153287, 0.007748754258267134, -0.32279314493196165, -0.4309380403612767)
_LGAMMA_ABOVE += (-0.22212607330297277, -0.05031628796212826, -0.004537850588426525, -0.00011207665346333024)
_LGAMMA_BELOW: Coefficients = (1.0, 3.2765388098836996, 4.213500159071754, 2.6974938085539124)
_LGAMMA_BELOW += (0.9008376480567829, 0.15017498169923593, 0.01080081036207713, 0.00022847484730704397)
# (digamma(1 + t) / (1 + t - r) - 1) for 0 <= t <= 1, where r is the positive root of digamma; 1.4e-17.
_DIGAMMA_ABOVE: Coefficients = (0.2503801375034054, -0.30957408825968885, -0.6919409437403516, -0.35473150019898825)
_DIGAMMA_ABOVE += (-0.07115493979151359, -0.005519862186036254, -0.00011934204387003062)
_DIGAMMA_BELOW: Coefficients = (1.0, 2.1771665986671342, 1.6630736963665909, 0.5710455727133128)
_DIGAMMA_BELOW += (0.09111902253303285, 0.006100975692434821, 0.00012043151172286901)
_ROOT = 1.4616321449683622, 9.549995429965697e-17  # r as an unevaluated sum
_HALF_LOG_TWO_PI_LESS_HALF = 0.4189385332046727
_SQRT_TWO_PI = 2.5066282746310007
_LOG_PI = 1.1447298858494002
# The terms B(2k) / (2k (2k - 1)), B(2k) / (2k) and B(2k) / (2k)! of asymptotic series, k = 1, 2, ...; B(2k) are
# Bernoulli's numbers.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_DIGAMMA_SERIES = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12, -3617 / 8160)
_BERNOULLI: Coefficients = (
    1 / 12,
    -1 / 720,
    1 / 30240,
    -1 / 1209600,
    1 / 47900160,
    -691 / 1307674368000,
    1 / 74724249600,
)
_BERNOULLI += (-3617 / 10670622842880000.0, 43867 / 5109094217170944000.0, -174611 / 802857662698291200000.0)
_FAR = 10.0  # from here on asymptotic series have all digits
_MOST_ORDERS = 170.0  # 171! exceeds the range of floats
POLE = "expected x other than 0, -1, -2, ..."


def _polynomial(coefficients: Coefficients, x: float) -> float:
    result = 0.0
    for coefficient in reversed(coefficients):
        result = result * x + coefficient
    return result


def _offset(x: float) -> float:
    """Return the distance of a number below 0 from the nearest integer, where there is a pole."""
    offset = x - round(x)
    if offset == 0.0:
        raise ValueError(f"{POLE}, got {x}")
    return offset


def _stirling(x: float) -> float:
    """Return lgamma(x) - (x - 1/2) * log(x) + x - log(2 pi) / 2 for x >= 10."""
    r = 1.0 / x
    return r * _polynomial(_STIRLING, r * r)


def _lgamma_near_one(t: float) -> float:
    """Return lgamma(1 + t) for 0 <= t <= 1.25, with all digits around its roots."""
    return t * (t - 1.0) * (0.5 + _polynomial(_LGAMMA_ABOVE, t) / _polynomial(_LGAMMA_BELOW, t))


def _gamma_factors(x: float) -> tuple[float, float, float]:
    """Return three factors of gamma(x) for x >= 10, by Stirling's formula; the first two overflow later than gamma."""
    power = math.pow(x, x - 0.5) if x < 140.0 else math.pow(x, 0.5 * x - 0.25)
    scale = (_SQRT_TWO_PI * math.exp(_stirling(x))) * math.exp(-x)
    return power, scale, 1.0 if x < 140.0 else power


def _gamma_of_less(x: float) -> float:
    """Return gamma(x) for 0 < x < 10, and for x up to 23 if it is an integer: then the product is exact."""
    if x < 1.0:
        return math.exp(_lgamma_near_one(x)) / x
    product = 1.0
    while x > 2.25:
        x -= 1.0
        product *= x
    return product * math.exp(_lgamma_near_one(x - 1.0))


def gamma(x: float) -> float:
    """Return the gamma function; `math.gamma` has errors of up to 6 ulp."""
    if x > 0.0:
        if x < _FAR or (x <= 23.0 and x.is_integer()):
            result = _gamma_of_less(x)
        else:
            power, scale, other = _gamma_factors(x) if x < 172.0 else (x, 1.0, math.inf)
            result = power * scale * other
        if math.isinf(result) and not math.isinf(x):
            raise OverflowError
        return result
    if x == -math.inf:
        raise ValueError(f"{POLE}, got {x}")
    if x != x:
        return x
    sine = math.copysign(math.sin(math.pi * abs(_offset(x))), 1.0 if math.fmod(math.floor(x), 2.0) == 0.0 else -1.0)
    if x > -_FAR:
        result = math.pi / (sine * (math.exp(_lgamma_near_one(-x)) if x > -1.0 else -x * _gamma_of_less(-x)))
        if math.isinf(result):
            raise OverflowError
        return result
    if x < -200.0:
        return math.copysign(0.0, sine)
    power, scale, other = _gamma_factors(-x)
    return math.pi / (sine * -x) / power / scale / other


def lgamma(x: float) -> float:
    """Return log(abs(gamma(x))); `math.lgamma` loses digits around the roots 1 and 2."""
    if not math.isfinite(x):
        return abs(x)
    if -1e-20 < x < 1e-20 and x != 0.0:
        return -math.log(abs(x))
    if x <= 0.0:
        sine = math.sin(math.pi * abs(_offset(x)))
        return _LOG_PI - math.log(-x * sine) - lgamma(-x)
    if x < 1.0:
        return _lgamma_near_one(x) - math.log(x)
    if x < _FAR:
        product = 1.0
        while x > 2.25:
            x -= 1.0
            product *= x
        return math.log(product) + _lgamma_near_one(x - 1.0)
    result = (x - 0.5) * (math.log(x) - 1.0) + (_HALF_LOG_TWO_PI_LESS_HALF + _stirling(x))
    if math.isinf(result):
        raise OverflowError
    return result


def digamma(x: float) -> float:
    """Return the derivative of lgamma; like 1/x it is infinite where it overflows, and NaN at minus infinity."""
    if x <= 0.0:
        if math.isinf(x):
            return math.nan
        offset = _offset(x)
        if -0.25 <= offset <= 0.25:
            cotangent = 1.0 / math.tan(math.pi * offset)
        else:
            cotangent = math.copysign(math.tan(math.pi * (0.5 - abs(offset))), offset)
        return (digamma(1.0 - x) if x > -1.0 else digamma(-x) - 1.0 / x) - math.pi * cotangent
    if x < 1.0:
        return digamma(1.0 + x) - 1.0 / x
    if x < _FAR:
        total = 0.0
        while x > 2.0:
            x -= 1.0
            total += 1.0 / x
        t = x - 1.0
        slope = 1.0 + _polynomial(_DIGAMMA_ABOVE, t) / _polynomial(_DIGAMMA_BELOW, t)
        return total + ((x - _ROOT[0]) - _ROOT[1]) * slope
    r = 1.0 / x
    return math.log(x) - (0.5 * r + r * r * _polynomial(_DIGAMMA_SERIES, r * r))


def _zeta_term(n: float, x: float, y: float = math.inf) -> float:
    """Return n! * (zeta(n + 1, x) - zeta(n + 1, x + y)), Hurwitz's zeta function, for n >= 0, x > 0 and y > 0.

    Without y, and for n >= 1, this is |polygamma(n, x)|. The sum over k of (x + k)**-(n + 1) - (x + y + k)**-(n + 1) is
    computed relative to the first power, and its tail by Euler and Maclaurin's formula. All terms before the tail are
    positive, so that nothing cancels, and are added from small to large.
    """
    s = n + 1.0
    steps = max(math.ceil(_FAR + n - x), 0)
    far = x + steps
    factor, series = s / far, 0.0
    for k, coefficient in enumerate(_BERNOULLI):
        series += coefficient * factor * _lost(s + (2.0 * k + 1.0), far, y)
        factor *= (s + (2.0 * k + 1.0)) / far * ((s + (2.0 * k + 2.0)) / far)
    integral = far / n * _lost(n, far, y) if n > 0.0 else far * math.log1p(y / far)
    total = math.pow(x / far, s) * (integral + (0.5 * _lost(s, far, y) + series))
    for k in range(steps - 1, -1, -1):
        total += math.pow(x / (x + k), s) * _lost(s, x + k, y)
    for k in range(2, int(n) + 1):
        total *= k
    root = power_ieee(x, -0.5 * s)  # the power of x alone may under- or overflow
    return 0.0 if root < 1e-308 and n > 1.0 else total * root * root


def _lost(p: float, x: float, y: float) -> float:
    """Return the part of x**-p by which (x + y)**-p is less: 1 - (x / (x + y))**p."""
    return 1.0 if y == math.inf else -math.expm1(-p * math.log1p(y / x))


def _check_order(n: float) -> None:
    if not (0.0 <= n <= _MOST_ORDERS and n.is_integer()):
        raise ValueError(f"expected a whole order from 0 to {_MOST_ORDERS:g}")


def polygamma(n: float, x: float) -> float:
    """Return the derivative of order n of digamma; like 1/x it is infinite where it overflows.

    For x < 0 it is a sum over the poles at both sides of x, less those beyond 0.
    """
    _check_order(n)
    if n == 0.0:
        return digamma(x)
    is_even = math.fmod(n, 2.0) == 0.0
    if not math.isfinite(x):
        return 0.0 if x > 0.0 else math.nan
    if x > 0.0:
        return -_zeta_term(n, x) if is_even else _zeta_term(n, x)
    offset = _offset(x)
    right, left = (offset, 1.0 - offset) if offset > 0.0 else (1.0 + offset, -offset)
    beyond = _zeta_term(n, 1.0 - x)
    if is_even:
        return _zeta_term(n, left) - _zeta_term(n, right) - beyond
    return _zeta_term(n, left) + _zeta_term(n, right) - beyond


def polygamma_difference(n: float, x: float, y: float) -> float:
    """Return polygamma(n, x) - polygamma(n, x + y), without cancellation; for n = 0 a difference of digamma."""
    _check_order(n)
    if x <= 0.0 or y <= 0.0:
        raise ValueError
    if x != x or y != y:
        return math.nan
    if math.isinf(x):
        return 0.0
    difference = _zeta_term(n, x, y)
    return difference if math.fmod(n, 2.0) == 1.0 else -difference


# --- the beta function ---


def betaln(x: float, y: float) -> float:
    """Return lgamma(x) + lgamma(y) - lgamma(x + y); the difference of two large terms is that of Stirling's series."""
    if x <= 0.0 or y <= 0.0:
        raise ValueError
    if math.isinf(x) or math.isinf(y) or x != x or y != y:
        return -math.inf if x == x and y == y else math.nan
    x, y = min(x, y), max(x, y)
    if x >= _FAR:
        series = _stirling(x) + _stirling(y) - _stirling(x + y)
        logarithms = (x - 0.5) * math.log1p(y / x) + y * math.log1p(x / y)
        return (series + (_HALF_LOG_TWO_PI_LESS_HALF + 0.5) - 0.5 * math.log(y)) - logarithms
    if y <= 2.25:
        total = x + y
        error = x - (total - y)
        return lgamma(x) + lgamma(y) - lgamma(total) - error * digamma(total)
    steps = max(math.ceil(_FAR - y), 0)
    moved = math.fsum([math.log1p(x / (y + k)) for k in range(steps)])
    y += steps
    ratio = -(y - 0.5) * math.log1p(x / y) - x * (math.log(x + y) - 1.0) + (_stirling(y) - _stirling(x + y))
    return lgamma(x) + (ratio + moved)


def _power_of_share(x: float, y: float, exponent: float) -> float:
    """Return (x / (x + y))**exponent; the exponent multiplies the rounding errors of sum and quotient (900 ulp)."""
    total = x + y
    error = min(x, y) - (total - max(x, y))
    share = x / total
    product, low = two_product(share, total)
    relative = ((x - product) - low - share * error) / product
    return math.pow(share, exponent) * math.exp(exponent * relative)


def beta(x: float, y: float) -> float:
    """Return gamma(x) * gamma(y) / gamma(x + y), by Stirling's series where x or y is large."""
    if x <= 0.0 or y <= 0.0:
        raise ValueError
    if math.isinf(x) or math.isinf(y) or x != x or y != y:
        return 0.0 if x == x and y == y else math.nan
    x, y = min(x, y), max(x, y)
    if y < _FAR:
        total = x + y
        error = x - (total - y)
        return gamma(x) * (gamma(y) / gamma(total)) * (1.0 - error * digamma(total))
    if x < _FAR:
        total = x + y
        error = x - (total - y)
        powers = math.pow(total, -x) * math.exp(_stirling(y) - _stirling(total) - x * (error / total))
        if y < 1e100:
            powers *= _power_of_share(y, x, y - 0.5) * math.exp(x)
        return gamma(x) * powers
    if y > 1e100:
        return 0.0
    series = math.exp(_stirling(x) + _stirling(y) - _stirling(x + y))
    root = math.sqrt(2.0 * math.pi * (1.0 / x + 1.0 / y))
    return root * series * _power_of_share(x, y, x) * _power_of_share(y, x, y)
