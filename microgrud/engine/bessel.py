"""Modified Bessel functions of the first kind and of whole order, whose series are summed in integer arithmetic."""

from __future__ import annotations

import math

_BITS = 128
_TWO_PI = 0x6487ED5110B4611A62633145C06E0E689  # 2 pi * 2**_BITS, rounded down
_EXP_100 = 26881171418161354484126255515800135873611119
_MOST_ORDERS = 512.0


def bessel_i(n: float, x: float) -> float:
    """Return I_n(x), the sum over k of (x/2)**(n + 2k) / (k! (n + k)!); far out by its asymptotic series.

    The sum is that of fixed-point integers, so that it is rounded only once.
    """
    if not (0.0 <= n <= _MOST_ORDERS and n.is_integer()):
        raise ValueError(f"expected a whole order from 0 to {_MOST_ORDERS:g}")
    if x != x:
        return x
    size, order = abs(x), int(n)
    if math.isinf(size):
        result = size
    elif size < 20.0 + n * n:
        result = _series(order, *size.as_integer_ratio())
    else:
        result = _asymptotic_series(order, size)
    return -result if x < 0.0 and order % 2 else result


def _series(n: int, numerator: int, denominator: int) -> float:
    square = (numerator * numerator << _BITS) // (4 * denominator * denominator)
    total = term = 1 << _BITS
    k = 1
    while term:
        term = (term * square >> _BITS) // (k * (n + k))
        total += term
        k += 1
    return float(total * numerator**n / ((2 * denominator) ** n * math.factorial(n) << _BITS))


def _asymptotic_series(n: int, x: float) -> float:
    """Return exp(x) / sqrt(2 pi x) * (1 - (4 n**2 - 1) / (8 x) + (4 n**2 - 1) (4 n**2 - 9) / (2! (8 x)**2) - ...)."""
    numerator, denominator = x.as_integer_ratio()
    total = term = 1 << _BITS
    k = 1
    while abs(term) >> 60 and k < 40:  # at x = 20 later terms grow
        term = term * ((2 * k - 1) ** 2 - 4 * n * n) * denominator // (8 * k * numerator)
        total += term
        k += 1
    root = math.isqrt((_TWO_PI * numerator << _BITS) // denominator)
    if x < 700.0:
        return math.exp(x) * (total / root)
    result = math.exp(x - 100.0) * (total * _EXP_100 / root)  # exp(x) alone overflows earlier than the result
    if math.isinf(result):
        raise OverflowError
    return result
