"""Float kernels: functions that Python's `math` lacks, computed so that they stay accurate in the tails.

Every function takes and returns floats. Errors stay below 4 units in the last place (ulp) where the underlying C
library's stay below 2; `tests/test_accuracy.py` measures them against mpmath.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

_SPLITTER = 134217729.0  # 2**27 + 1: splits a double into two halves of 26 bits (Dekker 1971)
_SQRT_HALF = 0.7071067811865476, -4.833646656726457e-17  # sqrt(1/2) as an unevaluated sum of two floats
TWO_OVER_SQRT_PI = 1.1283791670955126
ONE_OVER_SQRT_TWO_PI = 0.3989422804014327


def two_product(a: float, b: float) -> tuple[float, float]:
    """Return the rounded product and its exact rounding error (Dekker 1971)."""
    product = a * b
    t = _SPLITTER * a
    a_high = t - (t - a)
    a_low = a - a_high
    t = _SPLITTER * b
    b_high = t - (t - b)
    b_low = b - b_high
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def divide(x: float, y: float) -> float:
    """Return x / y by the rules of IEEE 754: infinity or NaN where Python raises ZeroDivisionError."""
    if y == 0.0:
        return math.nan if x == 0.0 or math.isnan(x) else math.copysign(math.inf, x) * math.copysign(1.0, y)
    return x / y


def multiply_zero_wins(x: float, y: float) -> float:
    """Return x * y, and 0 for x = 0 whatever y is: a zero adjoint passes nothing on."""
    return 0.0 if x == 0.0 else x * y


def power(x: float, y: float) -> float:
    """Return x ** y; a negative base with a fractional exponent is a domain error, never a complex number."""
    if x < 0.0 and math.isfinite(x) and math.isfinite(y) and not y.is_integer():
        raise ValueError("expected an integer exponent for a negative base")
    return float(x**y)


def power_ieee(x: float, y: float) -> float:
    """Return x ** y by the rules of IEEE 754: infinity where Python raises, and NaN outside the domain."""
    try:
        return power(x, y)
    except ValueError:
        return math.nan
    except (OverflowError, ZeroDivisionError):
        odd = math.fmod(y, 2.0) in (1.0, -1.0)
        return math.copysign(math.inf, x) if odd else math.inf


def power_over(x: float, y: float, n: float) -> float:
    """Return x**y / x**n, the power x**(y - n), by the rules of IEEE 754.

    The rounding error of y - n would be multiplied by log(x) (170 ulp at 1e300**1e-5). It is computed (Knuth's TwoSum)
    and added back.
    """
    exponent = y - n
    if exponent == 2.0:
        return x * x
    virtual = exponent - y
    error = (y - (exponent - virtual)) - (n + virtual)
    if error == 0.0 or not math.isfinite(error) or x == 0.0 or not math.isfinite(x):
        return power_ieee(x + 0.0 if error != 0.0 else x, exponent)
    if x < 0.0 and not y.is_integer():
        return math.nan
    power = power_ieee(abs(x), exponent)
    if math.isfinite(power):
        power += power * (error * math.log(abs(x)))
    return -power if x < 0.0 and math.fmod(math.fmod(y, 2.0) - n, 2.0) != 0.0 else power


def power_log(k: float, n: float, x: float, y: float) -> float:
    """Return x**(y - n) * log(x)**k, its limit at 0, and NaN for a negative x.

    At 0 with both y and n equal to 0 it is 0, because x**y counts as constant there.
    """
    if not (0.0 <= k <= _MOST_POWERS and k.is_integer()):
        raise ValueError(f"expected a whole exponent from 0 to {_MOST_POWERS:g} for the logarithm")
    if x == 0.0 and y == y:
        logarithm, power = (0.0, 0.0) if y > n or y == n == 0.0 else (-math.inf, math.inf)
    elif x > 0.0:
        logarithm, power = math.log(x), power_over(x, y, n)
    else:
        return math.nan
    logarithms = 1.0
    for _ in range(int(k)):
        logarithms *= logarithm
    if 2.0**-400 <= power <= 2.0**400 or x == 0.0:
        return power * logarithms
    root = power_over(x, 0.5 * y, 0.5 * n)  # the power may have lost digits to underflow, or overflowed
    return root * logarithms * root


_MOST_POWERS = 512.0  # to this power a number between 1/2 and 1 is not subnormal yet


def radial(n: float, *operands: float) -> float:
    """Return x1**e1 * x2**e2 * ... / r**n, where r is the norm of all x; the operands are all e, then all x.

    Powers of two are kept separately, so that only the result can overflow, and no digits are lost to underflow. At
    infinity the value is 0 where the denominator outgrows the numerator, and NaN elsewhere.
    """
    half = len(operands) // 2
    exponents, xs = operands[:half], operands[half:]
    if len(operands) % 2 or not half or not all(0.0 <= e <= _MOST_POWERS and e.is_integer() for e in (n, *exponents)):
        raise ValueError(f"expected whole exponents from 0 to {_MOST_POWERS:g}, one for each number")
    if not all(map(math.isfinite, xs)):
        degree = sum([e for e, x in zip(exponents, xs) if math.isinf(x)])
        return math.nan if degree >= n or any(map(math.isnan, xs)) else 0.0
    parts = [math.frexp(x) for x in xs]
    top = max([exponent for mantissa, exponent in parts if mantissa], default=0)
    squares, product, shift = 0.0, 1.0, -int(n) * top
    for (mantissa, exponent), e in zip(parts, exponents):
        scaled = math.ldexp(mantissa, exponent - top)
        squares += scaled * scaled
        shift += int(e) * exponent
        for _ in range(int(e)):
            product *= mantissa
    denominator = math.sqrt(squares) if n % 2.0 else 1.0
    for _ in range(int(n) // 2):
        denominator *= squares
    quotient = divide(product, denominator)
    try:
        return math.ldexp(quotient, shift)
    except OverflowError:
        return math.copysign(math.inf, quotient)


def cbrt(x: float) -> float:
    """Return the real cube root: the power 1/3, improved by one step of Newton's method."""
    if x == 0.0 or not math.isfinite(x):
        return x
    root = math.copysign(abs(x) ** (1.0 / 3.0), x)
    return root - (root - (x / root) / root) / 3.0


def gaussian(x: float, scale: float) -> float:
    """Return exp(-scale * x**2) for a scale that is a power of two.

    The rounding error of x**2 would be multiplied by x**2 (350 ulp at x = 26). It is computed and corrected for.
    """
    if abs(x) > 1e6 or x != x:
        return 0.0 if x == x else x
    square, error = two_product(x, x)
    value = math.exp(-scale * square)
    return value - value * (scale * error)


def sech_squared(x: float) -> float:
    """Return 1 / cosh(x)**2 = 4e / (1 + e)**2 with e = exp(-2|x|): accurate in the tails, where 1 - tanh(x)**2 is 0."""
    e = math.exp(-2.0 * abs(x))
    return 4.0 * e / ((1.0 + e) * (1.0 + e))


def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x)) without overflow."""
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


def softplus(x: float) -> float:
    """Return log(1 + exp(x)) without overflow."""
    if x > 0.0:
        return x + math.log1p(math.exp(-x))
    return math.log1p(math.exp(x))


def silu(x: float) -> float:
    """Return x * sigmoid(x)."""
    if x < -700.0:  # exp(x) is subnormal: two factors of exp(x/2) keep the digits
        half = math.exp(0.5 * x)
        return 0.0 if math.isinf(x) else (x * half) * half
    return x * sigmoid(x)


def normal_cdf(x: float) -> float:
    """Return the standard normal distribution function, 0.5 * erfc(-x / sqrt(2))."""
    t = -x * _SQRT_HALF[0]
    if abs(t) > 30.0:
        return 0.5 * math.erfc(t)
    product, error = two_product(-x, _SQRT_HALF[0])
    error -= x * _SQRT_HALF[1]
    return 0.5 * (math.erfc(product) - error * TWO_OVER_SQRT_PI * gaussian(product, 1.0))


def normal_density(x: float) -> float:
    """Return the standard normal density, exp(-x**2 / 2) / sqrt(2 pi)."""
    return ONE_OVER_SQRT_TWO_PI * gaussian(x, 0.5)


def density_series(x: float, factor: float, coefficients: tuple[float, ...]) -> float:
    """Return factor * density(x) * (c0 + c1/x**2 + c2/x**4 + ...): below -30, eight terms give every digit."""
    if x < -40.0:
        return 0.0
    u = 1.0 / (x * x)
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * u + coefficient
    if x > -37.5:
        return factor * normal_density(x) * total
    # The density is subnormal: its square root as two factors keeps the digits.
    half = gaussian(x, 0.25)
    return (half * (factor * ONE_OVER_SQRT_TWO_PI * total)) * half


#: The coefficients of density_series for the distribution function of x, times -x.
TAIL_SERIES = (1.0, -1.0, 3.0, -15.0, 105.0, -945.0, 10395.0, -135135.0)


def gelu(x: float) -> float:
    """Return x * normal_cdf(x), the exact Gaussian error linear unit."""
    if x < -30.0:
        return density_series(x, -1.0, TAIL_SERIES)
    return x * normal_cdf(x)


# Taylor coefficients of gelu' at its only root, computed with mpmath at 60 digits. Near the root the two terms of
# normal_cdf(x) + x * normal_density(x) cancel, and the series keeps the digits that they lose.
GELU_SLOPE_ROOT = -0.7517915246935645, 1.4956759177009883e-17
GELU_SLOPE_SERIES = (
    0.0, 0.4314939923140469, 0.388284982990552, -0.018199676398671087,
    -0.1140082332972217, -0.014771522148244337, 0.019421679838189067, 0.004539228379125415,
    -0.002239538068073497, -0.0007448268386746817, 0.00018633974623233514, 8.615947861116571e-05,
    -1.121438018842664e-05, -7.74846130700372e-06, 4.3284506257392273e-07, 5.702764979242107e-07,
    -1.6044265494246427e-09, -3.5459866461783865e-08, -1.396942086426202e-09, 1.90319840501314e-09,
    1.4506418938779426e-10, -8.950037692726255e-11, -9.950340824808053e-12, 3.725967039270119e-12,
    5.482292964742324e-13, -1.3820118240601056e-13, -2.5871508475507507e-14, 4.578167824271334e-15,
    1.0789662518230159e-15, -1.3507094681149317e-16, -4.0514385281601486e-17, 3.508210778008599e-18,
)  # fmt: skip


def gelu_slope(x: float) -> float:
    """Return the derivative of gelu, normal_cdf(x) + x * normal_density(x)."""
    if x < -30.0:
        return density_series(x, x, (1.0, -1.0, 1.0, -3.0, 15.0, -105.0, 945.0, -10395.0))
    offset = (x - GELU_SLOPE_ROOT[0]) - GELU_SLOPE_ROOT[1]
    if abs(offset) < 0.8:
        total = 0.0
        for coefficient in reversed(GELU_SLOPE_SERIES):
            total = total * offset + coefficient
        return total
    return normal_cdf(x) + (x * normal_density(x) if math.isfinite(x) else 0.0)


def _exact_total(xs: Sequence[float]) -> Fraction | float:
    """Return the sum as a fraction, or the infinity or NaN to which float addition adds up the non-finite numbers."""
    special = [x for x in xs if not math.isfinite(x)]
    result = 0.0
    for x in special:
        result += x
    return result if special else sum(map(Fraction, xs), Fraction(0))


def _round(exact: Fraction | float) -> float:
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def total(xs: Sequence[float]) -> float:
    """Return the correctly rounded sum, whatever the order; infinity and NaN as float addition gives them."""
    try:
        return math.fsum(xs)
    except (OverflowError, ValueError):  # fsum raises for intermediate overflow, and for inf - inf
        return _round(_exact_total(xs))


def mean(xs: Sequence[float]) -> float:
    """Return the mean, even where the sum overflows."""
    result = total(xs) / len(xs)
    return _round(_exact_total(xs) / len(xs)) if math.isinf(result) else result


def dot(bias: float, *operands: float) -> float:
    """Return bias + x1*y1 + x2*y2 + ..., added from left to right; the operands are all x, then all y."""
    half = len(operands) // 2
    # Not sum(): from Python 3.12 on it compensates for rounding, so that the bits would depend on the version.
    for x, y in zip(operands[:half], operands[half:]):
        bias += x * y
    return bias


def largest(xs: Sequence[float]) -> float:
    """Return the greatest of the numbers, or NaN if one of them is NaN."""
    return math.nan if any(map(math.isnan, xs)) else max(xs)


def smallest(xs: Sequence[float]) -> float:
    """Return the least of the numbers, or NaN if one of them is NaN."""
    return math.nan if any(map(math.isnan, xs)) else min(xs)


def _shifted_exponentials(xs: Sequence[float], shift: float) -> list[float]:
    """Return exp(x - shift) for each x, corrected for the rounding error of the difference."""
    result = []
    for x in xs:
        difference = x - shift
        virtual = x - difference
        error = (x - (difference + virtual)) + (virtual - shift) if math.isfinite(difference) else 0.0
        e = math.exp(difference)
        result.append(e + e * error)
    return result


def _rest(xs: Sequence[float], top: float) -> float:
    """Return the sum of exp(x - top) over all x except one that equals top."""
    exponentials = _shifted_exponentials(xs, top)
    del exponentials[list(xs).index(top)]
    return total(exponentials)


def logsumexp(xs: Sequence[float]) -> float:
    """Return log(exp(x1) + exp(x2) + ...) without overflow."""
    top = largest(xs)
    if not math.isfinite(top):
        return top
    return top + math.log1p(_rest(xs, top))


def softmax(xs: Sequence[float]) -> list[float]:
    """Return exp(x) / (exp(x1) + exp(x2) + ...) for each x, without overflow."""
    top = largest(xs)
    if not math.isfinite(top):
        return [math.nan] * len(xs)
    exponentials = _shifted_exponentials(xs, top)
    whole = total(exponentials)
    return [e / whole for e in exponentials]


def log_softmax(i: int, xs: Sequence[float]) -> float:
    """Return xs[i] - logsumexp(xs), without cancellation."""
    top = largest(xs)
    if not math.isfinite(top):
        return math.nan
    return (xs[i] - top) - math.log1p(_rest(xs, top))
