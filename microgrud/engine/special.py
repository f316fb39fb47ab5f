"""Entries of the operation table for special functions; `ops.py` explains how to read an entry.

`methods.py` imports this module, so that the table is complete before anything reads it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..common.numbers import Interval, Number
from . import kernels, normal, ops
from .operation import Operation
from .ops import DIVIDE_IEEE, GAUSSIAN, choose, define, define_over_sequence, given, nothing

OPEN_ZERO_TO_ONE = Interval(0.0, 1.0, low_open=True, high_open=True)

# --- angles, signs and remainders ----------------------------------------------------------------------------------

_DEGREES, _RADIANS = 180.0 / math.pi, math.pi / 180.0


def _fmod(fmod: Callable[[Any, Any], Number], x: Number, y: Number) -> Number:
    if y == 0 and x == x:
        raise ValueError("expected a divisor other than 0")
    return fmod(x, y)


def _truncated(mp: Number, x: Number, y: Number) -> Number:
    return mp.sign(x) * mp.sign(y) * mp.floor(abs(x) / abs(y))


DEGREES = define("degrees", math.degrees, lambda z, x: _DEGREES, total=True)
RADIANS = define("radians", math.radians, lambda z, x: _RADIANS, total=True)
COPYSIGN: Operation = define(
    "copysign",
    math.copysign,
    lambda z, x, y: ops.SIGN(x) * COPYSIGN(1.0, y),
    nothing,
    definition=lambda mp, x, y: abs(x) if y >= 0 else -abs(x),
    total=True,
)
FMOD = define(
    "fmod",
    lambda x, y: _fmod(math.fmod, x, y),
    lambda z, x, y: 1.0,
    lambda z, x, y: -(ops.SIGN(x) * ops.SIGN(y) * ops.FLOOR_DIVIDE(ops.ABS(x), ops.ABS(y))),
    definition=lambda mp, x, y: _fmod(lambda x, y: x - y * _truncated(mp, x, y), x, y),
)


# --- logarithms ----------------------------------------------------------------------------------------------------

_E, _ONE_OVER_E = 2.718281828459045, (0.36787944117144233, -1.2428753672788363e-17)  # 1/e as an unevaluated sum


def _logit(x: float) -> float:
    """log(x / (1 - x)) without cancellation: 2 x - 1 and, where it matters, 1 - x are exact."""
    if not 0.0 < x < 1.0 and x == x:
        raise ValueError
    return 2.0 * math.atanh(2.0 * x - 1.0) if 0.25 < x < 0.75 else math.log(x / (1.0 - x))


def _times_log(log: Callable[[Any], Number], x: Number, y: Number, low: float) -> Number:
    """x * log(y); 0 for x = 0, whatever number y is. `log` exists above `low`."""
    if x == 0 and y == y:
        return x
    if y <= low:
        raise ValueError(f"expected y > {low:g} where x is not 0, got {y}")
    return x * log(y)


def _log_or_limit(log: Callable[[Any], Number], y: Number, gap: Number) -> Number:
    """log(y) where `gap`, the distance from its singularity, is positive; minus infinity where it is 0; NaN below."""
    return choose(
        gap > 0.0,
        lambda: log(choose(gap > 0.0, y, 1.0)),
        lambda: -DIVIDE_IEEE(1.0, choose(gap < 0.0, math.nan, gap + 0.0)),  # its derivative has the right limit, too
    )


def _by_log_operand(x: Number, gap: Number) -> Number:
    """x / gap; where the gap is 0, so is x, and the product does not depend on the operand of the logarithm."""
    return given(gap != 0.0, x / choose(gap != 0.0, gap, 1.0))


def _entr_slope(z: Number, x: Number) -> Number:
    """-1 - log(x), around its root 1/e as log1p of the distance, which keeps its digits."""

    def near() -> Number:
        return ops.LOG1P(((choose(is_near, x, _ONE_OVER_E[0]) - _ONE_OVER_E[0]) - _ONE_OVER_E[1]) * _E)

    is_near = (x > 0.25) & (x < 0.5)
    return -choose(is_near, near, lambda: 1.0 + _log_or_limit(ops.LOG, x, x))


LOGIT = define(
    "logit",
    _logit,
    # Below 1e-20, 1 - x is 1; in a derivative of the product, 0 would meet infinity.
    lambda z, x: choose(x < 1e-20, lambda: 1.0 / x, lambda: 1.0 / (x * (1.0 - x))),
    definition=lambda mp, x: mp.log(x / (1 - x)),
    domain=OPEN_ZERO_TO_ONE,
)
XLOGY = define(
    "xlogy",
    lambda x, y: _times_log(math.log, x, y, 0.0),
    lambda z, x, y: _log_or_limit(ops.LOG, y, y),
    lambda z, x, y: _by_log_operand(x, y),
    definition=lambda mp, x, y: _times_log(mp.log, x, y, 0.0),
)
XLOG1PY = define(
    "xlog1py",
    lambda x, y: _times_log(math.log1p, x, y, -1.0),
    lambda z, x, y: _log_or_limit(ops.LOG1P, y, 1.0 + y),
    lambda z, x, y: _by_log_operand(x, 1.0 + y),
    definition=lambda mp, x, y: _times_log(mp.log1p, x, y, -1.0),
)
ENTR = define(
    "entr",
    lambda x: 0.0 - _times_log(math.log, x, x, 0.0),
    _entr_slope,
    definition=lambda mp, x: -_times_log(mp.log, x, x, 0.0),
    domain=ops.NONNEGATIVE,
)


# --- normal distribution -------------------------------------------------------------------------------------------


def _mills_definition(mp: Number, k: Number, x: Number) -> Number:
    with mp.extradps(int(2 * k * mp.log10(10 + abs(x)))):  # what the recurrence cancels
        before, own = 0, mp.ncdf(x) / mp.npdf(x)
        for n in range(int(k)):
            before, own = own, x * own + (n * before or 1)
        return own


def _log_ndtr_slope(z: Number, x: Number) -> Number:
    """phi(x) / Phi(x), which is MILLS(1) / MILLS(0) - x: the form in which nothing cancels in the lower tail."""
    return choose(
        x < 0.0,
        lambda: choose(x < -1e150, 0.0, lambda: DIVIDE_IEEE(MILLS(1.0, x), MILLS(0.0, x))) - x,
        lambda: DIVIDE_IEEE(kernels.ONE_OVER_SQRT_TWO_PI * GAUSSIAN(x, 0.5), NDTR(x)),
    )


def _quantile_slope(lower: Number, p: Number, central: Callable[[], Number]) -> Number:
    """1 / phi of a quantile: Mills' ratio / p in the tails, where rounding the quantile would change many digits.

    `lower` is the quantile of a lower tail with the probability p, and `central` computes the slope in the middle.
    """
    return choose(lower < -1.0, lambda: DIVIDE_IEEE(MILLS(0.0, lower), p), central)


def _ndtri_slope(z: Number, p: Number) -> Number:
    upper = p > 0.5
    return _quantile_slope(
        choose(upper, -z, z),
        choose(upper, 1.0 - p, p),
        lambda: DIVIDE_IEEE(normal.SQRT_TWO_PI, GAUSSIAN(z, 0.5)),
    )


def _erfinv_slope(z: Number, y: Number) -> Number:
    upper = y > 0.0
    return _quantile_slope(
        normal.SQRT_TWO * choose(upper, -z, z),
        normal.SQRT_TWO * choose(upper, 1.0 - y, 1.0 + y),
        lambda: DIVIDE_IEEE(1.0 / kernels.TWO_OVER_SQRT_PI, GAUSSIAN(z, 1.0)),
    )


def _ndtri_definition(mp: Number, p: Number) -> Number:
    """Solve log(Phi(x)) = log(p) by Newton's method, and by symmetry above 1/2."""
    if p >= 0.5:
        return -_ndtri_definition(mp, 1 - p) if p > 0.5 else mp.zero
    x, step = -mp.sqrt(-2 * mp.log(p)), mp.one  # the function is concave: it converges from below
    while abs(step) > mp.mpf(10) ** (-mp.dps // 2 - 2):  # the next error is the square of the step
        cdf = mp.ncdf(x)
        step = (mp.log(p) - mp.log(cdf)) * cdf / mp.npdf(x)
        x += step
    return x


# The derivatives of Mills' ratio, mills(k, x) of normal.py: k is a constant.
MILLS: Operation = define_over_sequence(
    "mills", normal.mills, lambda z, k, x: [None, MILLS(k + 1.0, x)], definition=_mills_definition
)
NDTR: Operation = define(
    "ndtr",
    normal.ndtr,
    lambda z, x: kernels.ONE_OVER_SQRT_TWO_PI * GAUSSIAN(x, 0.5),
    definition=lambda mp, x: mp.ncdf(x),
    total=True,
)
LOG_NDTR = define(
    "log_ndtr",
    normal.log_ndtr,
    _log_ndtr_slope,
    definition=lambda mp, x: mp.log1p(-mp.ncdf(-x)) if x > 0 else mp.log(mp.ncdf(x)),
    total=True,
)
NDTRI = define("ndtri", normal.ndtri, _ndtri_slope, definition=_ndtri_definition, domain=OPEN_ZERO_TO_ONE)
ERFINV = define("erfinv", normal.erfinv, _erfinv_slope, domain=ops.OPEN_UNIT)


# --- sinc ----------------------------------------------------------------------------------------------------------


def _sine_of_half_turns(x: float, quarters: int) -> float:
    """sin(pi x + quarters pi/2), with the multiples of pi/2 taken off before they are rounded."""
    x = math.fmod(x, 2.0)
    halves = round(2.0 * x)
    rest, quarters = math.pi * (x - 0.5 * halves), (quarters + halves) % 4
    value = math.cos(rest) if quarters % 2 else math.sin(rest)
    return -value if quarters >= 2 else value


def _sinc_derivative(k: float, x: float) -> float:
    """The derivative S(k) of sinc: its series near 0; beyond, x S(k) + k S(k - 1) is the derivative of sin(pi x)/pi."""
    if not (k >= 0.0 and k.is_integer()):
        raise ValueError("expected a whole number k >= 0")
    if not math.isfinite(x):
        return 0.0 if x == x else x
    order, t = int(k), math.pi * x
    if abs(t) > 1.0 + 0.5 * order:
        result = _sine_of_half_turns(x, 0) / t
        for n in range(1, order + 1):
            result = (math.pi ** (n - 1) * _sine_of_half_turns(x, n) - n * result) / x
        return result
    power = order % 2
    term = math.pi**order * t**power * (-1.0) ** ((order + 1) // 2)
    terms = []
    for n in range(order + power, order + power + 40 + 4 * order, 2):
        terms.append(term / (n + 1))
        term *= -t * t / ((power + 1) * (power + 2))
        power += 2
    return math.fsum(terms)


# The derivative of order k of sinc; k is a constant.
SINC_DERIVATIVE: Operation = define_over_sequence(
    "sinc_derivative",
    _sinc_derivative,
    lambda z, k, x: [None, SINC_DERIVATIVE(k + 1.0, x)],
    definition=lambda mp, k, x: mp.re((mp.pi * mp.j) ** k / (k + 1) * mp.hyp1f1(k + 1, k + 2, mp.pi * mp.j * x)),
)
SINC = define(
    "sinc",
    lambda x: _sinc_derivative(0.0, x),
    lambda z, x: SINC_DERIVATIVE(1.0, x),
    definition=lambda mp, x: mp.sinc(mp.pi * x),
    total=True,
)
