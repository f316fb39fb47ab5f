"""Float kernels of the normal distribution, and of the inverse error function.

Phi is the standard normal distribution function and phi its density. Everything in the lower tail is expressed by

    mills(k, x) = integral of t**k exp(x t - t**2/2) over t > 0,

the derivative of order k of Mills' ratio mills(0, x) = Phi(x)/phi(x): it is positive and nearly a power of x, where the
textbook formulas 1 + x Phi/phi, ... cancel (Abramowitz and Stegun 1964, 19.14, and 26.2.14 for the continued fraction).
"""

from __future__ import annotations

import math

from . import kernels

SQRT_TWO = 1.4142135623730951
SQRT_TWO_PI = 2.5066282746310002
_LOG_SQRT_TWO_PI = 0.9189385332046728
#: The logarithm of Phi is computed by Mills' ratio below this: Phi itself would lose digits to underflow.
_FAR = -20.0


def mills(k: float, x: float) -> float:
    """Return mills(k, x) by mills(k + 1) = x mills(k) + k mills(k - 1), for x < -1 in the form of a continued fraction.

    With r(k) = mills(k + 1) / mills(k) that is r(k - 1) = k / (r(k) - x), from a k at which r(k) hardly matters.
    """
    if not (k >= 0.0 and k.is_integer()):
        raise ValueError("expected a whole number k >= 0")
    if not -math.inf < x < -1.0:
        before, own = 0.0, kernels.divide(ndtr(x), kernels.normal_density(x)) if x > -math.inf else 0.0
        for n in range(int(k) if own else 0):
            before, own = own, x * own + (n * before if n else 1.0)
        return own
    start = int(k) + 40 + int(200.0 / (x * x))
    ratio, product = 0.5 * (math.sqrt(x * x + 4.0 * start) + x), 1.0
    for n in range(start, 0, -1):
        ratio = n / (ratio - x)
        if n <= k:
            product *= ratio
    return product / (ratio - x)


def ndtr(x: float) -> float:
    """Return Phi(x)."""
    if x < -30.0:
        return kernels.density_series(x, -1.0 / x, kernels.TAIL_SERIES)
    return kernels.normal_cdf(x)


def log_ndtr(x: float) -> float:
    """Return log(Phi(x)), without underflow and accurate where Phi is nearly 1."""
    if x > -1.0 or x != x:
        return math.log1p(-ndtr(-x))
    if x > _FAR:
        return math.log(ndtr(x))
    return math.log(mills(0.0, x)) - (0.5 * x * x + _LOG_SQRT_TWO_PI) if x > -1e300 else -math.inf


def _central(y: float, low: float = 0.0) -> float:
    """Return erfinv(y + low) for |y| <= 3/4: its series, improved by Halley's method."""
    u = math.pi * y * y
    z = 0.5 * math.sqrt(math.pi) * y * (1.0 + u * (1.0 / 12.0 + u * (7.0 / 480.0 + u * (127.0 / 40320.0))))
    for _ in range(3):
        step = (math.erf(z) - y - low) / (kernels.TWO_OVER_SQRT_PI * kernels.gaussian(z, 1.0))
        z -= step / (1.0 + z * step)
    return z


def _tail(p: float) -> float:
    """Return ndtri(p) for p < 1/8: Winitzki's approximation (2008), improved by Newton's method for log(Phi)."""
    logarithm = math.log(p)
    size = logarithm + math.log(4.0 - 4.0 * p)  # the logarithm of 1 - y**2 for the y of erfinv
    b = 2.0 / (0.147 * math.pi) + 0.5 * size
    z = -SQRT_TWO * math.sqrt(math.sqrt(b * b - size / 0.147) - b)
    for _ in range(3):
        z -= (log_ndtr(z) - logarithm) * mills(0.0, z)
    return z


def ndtri(p: float) -> float:
    """Return the x with Phi(x) = p."""
    if not 0.0 < p < 1.0:
        if p != p:
            return p
        raise ValueError
    if p > 0.5:
        return -ndtri(1.0 - p)  # exact
    y = 2.0 * p - 1.0
    return _tail(p) if p < 0.125 else SQRT_TWO * _central(y, 2.0 * p - (1.0 + y))


def erfinv(y: float) -> float:
    """Return the x with erf(x) = y."""
    if not -1.0 < y < 1.0:
        if y != y:
            return y
        raise ValueError
    if abs(y) <= 0.75:
        return _central(y)
    return math.copysign(_tail(0.5 * (1.0 - abs(y))) / SQRT_TWO, y)
