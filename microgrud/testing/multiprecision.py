"""The truth at 50 digits: differences of a function of mpmath numbers, with steps far below any rounding of floats.

With 60 digits a step of 1e-20 leaves a truncation error of about 1e-40, far below the precision of floats. The
precision is doubled, and the step squared, until two results agree, so that a term of 1 next to one of 1e300 counts as
well. The limits from either side are taken at points next to the given one, so that a jump (`floor` at an integer) has
the slopes of its two sides.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from mpmath import MPContext, mp, mpf

from ..common.forking import Lock
from .slopes import Slope

#: A function from mpmath numbers to an mpmath number.
Function = Callable[[Sequence[Any]], Any]

DIGITS = (60, 120, 240, 480, 960, 1920)
_AGREEMENT = 1e-14
#: Results below this size, which is below the least positive float, count as 0.
_NOTHING = mpf(10) ** -330


def _refuse(x: Any) -> NoReturn:
    raise TypeError("a number of many digits was about to be rounded to a float")


#: A context of mpmath whose numbers cannot be rounded to floats: `math.sin(x)` inside a function raises an error, and
#: does not act as a constant between one float and the next.
exact: Any = MPContext()
exact.mpf.__float__ = exact.mpf.__complex__ = _refuse
# Both contexts share one precision, so that the additional digits of `mpmath.diff(f, x)` are not rounded away.
exact._prec_rounding = mp._prec_rounding
exact.mpf._ctxdata[2] = exact.mpc._ctxdata[2] = exact.constant._ctxdata[2] = mp._prec_rounding


#: All threads share the precision of mpmath, so that only one may change it at a time.
_one_at_a_time = Lock()


@contextmanager
def digits_of(digits: int) -> Iterator[None]:
    """Compute with this many digits, in the context of this module and in that of `mpmath.sin` and the like."""
    with _one_at_a_time, exact.workdps(digits), mp.workdps(digits):
        yield


def is_exact(x: object) -> bool:
    """Return whether `x` is a real number of mpmath, in any context."""
    return hasattr(x, "_mpf_")


def _plain(x: Any) -> Any:
    """Return a result as a number of mpmath's own context, which can be rounded."""
    return mp.make_mpf(x._mpf_) if is_exact(x) else mpf(x)


def central(f: Function, point: Sequence[float], indices: Sequence[int], digits: int = DIGITS[0]) -> Any:
    """Compute the mixed partial derivative with respect to the inputs at `indices`, from points on both sides.

    Raises:
        ArithmeticError, ValueError: if the function is not defined on both sides.
    """
    with digits_of(_working_digits(point, indices, digits)):
        at = list(_exact(tuple(point)))
        return _plain(_nested(f, at, list(indices), _steps(at, list(indices), digits)))


@functools.lru_cache(maxsize=1)
def _exact(point: tuple[float, ...]) -> tuple[Any, ...]:
    """Convert a point once for all derivatives at it: this saves a third of the time with a thousand inputs."""
    return tuple(exact.mpf(x) for x in point)


def jumps(f: Function, point: Sequence[float], indices: Sequence[int]) -> bool:
    """Return whether the function jumps at the point: quotients across it grow like one over the step.

    Args:
        f: the function of mpmath numbers.
        point: the point.
        indices: the inputs to differentiate with respect to, as for `slope`.
    """
    try:
        first, second = (central(f, point, indices, digits) for digits in DIGITS[-2:])
    except (ArithmeticError, ValueError, TypeError):
        return False
    # Steps shrink with a third of the digits. An infinite slope, such as that of a root, grows with only a sixth.
    return bool(abs(second) > abs(first) * mpf(10) ** ((DIGITS[-1] - DIGITS[-2]) // 4) > 0)


def slope(f: Function, point: Sequence[float], indices: Sequence[int], method: str = "mpmath") -> Slope:
    """Find the limits of a partial derivative from below and from above, in the direction of the last of `indices`.

    Args:
        f: the function of mpmath numbers.
        point: the point.
        indices: the inputs to differentiate with respect to, in order: `[i]` for the first derivative with respect to
            input i.
        method: the name of the method in the result.
    """
    left = _limit(f, point, indices, -1)
    right = _limit(f, point, indices, 1)
    found = [abs(x) for x in (left, right) if x is not None and not mp.isinf(x)]
    error = float(max(found)) * _AGREEMENT if found else 0.0
    return Slope(left, right, error, method)


def _limit(f: Function, point: Sequence[float], indices: Sequence[int], side: int) -> Any:
    """Return the limit from one side; infinity if the derivative grows without bound, None if there is no limit.

    A limit needs two results that agree; or, at the greatest precisions, three of which each is a million times larger,
    or smaller, than the one before. At lower precisions the steps may still be too large for the function: for
    sin(1e200 x) they are small enough from 960 digits on.
    """
    previous, trend, before = None, 0, 0
    for digits in DIGITS:
        try:
            with digits_of(_working_digits(point, indices, digits)):
                found, noise = _derivative_near(f, list(_exact(tuple(point))), list(indices), digits, side)
                present = _plain(found)
        except (ArithmeticError, ValueError, TypeError):
            return None
        if abs(present) + _plain(noise) < _NOTHING:
            # More digits may show a slope: 1 + 1e-70 is 1 with 60 digits.
            previous, trend, before = mpf(0), 0, 0
            continue
        if _plain(noise) <= _AGREEMENT * abs(present):
            if previous:
                if abs(present - previous) <= _AGREEMENT * abs(present):
                    return present
                # A result a million times larger than the one before, or smaller, has the trend 1, or -1.
                before, trend = trend, (abs(present) > 1e6 * abs(previous)) - (abs(present) < 1e-6 * abs(previous))
            previous = present
    if trend and trend == before:
        return previous * mp.inf if trend > 0 else mpf(0)
    return previous if previous == 0 else None


def _derivative_near(f: Function, point: list[Any], indices: list[int], digits: int, side: int) -> tuple[Any, Any]:
    """Return the derivative at a point so close to the given one that it is the limit there, and its noise."""
    steps = _steps(point, indices, digits)
    point[indices[-1]] += 2 * side * steps[-1]
    noise = abs(_value(f, point)) * exact.mpf(10) ** (5 - exact.dps)
    for step in steps:
        noise /= step
    return _nested(f, point, indices, steps), noise


def _nested(f: Function, point: list[Any], indices: list[int], steps: list[Any]) -> Any:
    """Return the nested central differences, one for each of the indices."""
    if not indices:
        return _value(f, point)
    ends = []
    for sign in (1, -1):
        moved = list(point)
        moved[indices[0]] += sign * steps[0]
        ends.append(_nested(f, moved, indices[1:], steps[1:]))
    return (ends[0] - ends[1]) / (2 * steps[0])


def _working_digits(point: Sequence[float], indices: Sequence[int], digits: int) -> int:
    """Return the number of digits to compute with, so that steps are not lost next to large inputs."""
    largest = max(map(abs, point))
    before_the_point = math.ceil(math.log10(largest)) if largest > 1.0 else 0
    return (digits + before_the_point) * len(indices)


def _steps(point: list[Any], indices: list[int], digits: int) -> list[Any]:
    """Return a step for each index, a third of the digits below the input, or below 1 if the input is larger.

    Functions such as the sine and the floor vary over distances of 1 at 1e50 as well. The last step, in whose direction
    the limit is taken, is the largest, so that the other steps stay on one side of a kink or jump.
    """
    steps = []
    for outer, i in zip(reversed(range(len(indices))), indices):
        size = min(abs(point[i]), 1) or exact.mpf(1)
        steps.append(size * exact.mpf(10) ** (-(digits // 3) - (digits // 6) * outer))
    return steps


def _value(f: Function, point: list[Any]) -> Any:
    result = f(point)
    if not is_exact(result) and not isinstance(result, (int, float)):  # complex, where the function is not defined
        raise ValueError("expected a real result")
    return result
