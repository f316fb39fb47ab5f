"""The truth by the complex step: the imaginary part of f(x + ih), divided by h.

Nothing is subtracted, so that h can be small enough for all terms of the series but the first to vanish (Squire and
Trapp 1998). The imaginary part is smaller still, and it or an intermediate result may underflow. Therefore two steps
must agree. The method holds for analytic functions only: `abs`, a comparison or a conjugate inside `f` spoils it.
Therefore its result counts only where differences find the same.

The result is the derivative at the rounded operands of each operation, not at the exact ones: for cos(x**3) at 2000 it
is off by the last digit of x**3 times the curvature. So its error is at least its change where the inputs move by a
last digit.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .rounding import moved_by_last_digits
from .slopes import Slope

#: A function from complex numbers to a complex number.
Function = Callable[[Sequence[complex]], Any]

#: The steps in proportion to the input.
_STEPS = (1e-100, 1e-60, 1e-30)
#: Smaller imaginary parts may have lost digits to underflow.
_LEAST = 1e-290
_AGREEMENT = 1e-13


def slope(f: Function, point: Sequence[float], index: int) -> Slope | None:
    """Find the partial derivative with respect to one input; None if no two steps agree, or `f` takes no complex ones.

    Args:
        f: the function.
        point: the point.
        index: the input to differentiate with respect to.
    """
    found = ((h := step * (abs(point[index]) or 1.0), _at_step(f, point, index, h)) for step in _STEPS)
    for (h, smaller), (_, larger) in itertools.pairwise(found):
        if smaller is not None and larger is not None and abs(larger - smaller) <= _AGREEMENT * abs(smaller):
            moved = [_at_step(f, at, index, h) for at in moved_by_last_digits(point)]
            changes = [abs(slope - smaller) for slope in moved if slope is not None]
            return Slope(smaller, smaller, max(_AGREEMENT * abs(smaller), *changes, 0.0), "complex step")
    return None


def _at_step(f: Function, point: Sequence[float], index: int, h: float) -> float | None:
    """Return the imaginary part over the step; None if one of them is too small, or the quotient is not finite."""
    if h < sys.float_info.min:  # a subnormal step has lost digits
        return None
    moved: list[complex] = [complex(x) for x in point]
    moved[index] += complex(0.0, h)
    try:
        result = f(moved)
    except (TypeError, ValueError, ArithmeticError, AttributeError):
        return None
    if not isinstance(result, complex) or not math.isfinite(result.real) or abs(result.imag) < _LEAST:
        return None
    derivative = result.imag / h
    return derivative if math.isfinite(derivative) else None
