"""The truth by the complex step: the imaginary part of f(x + ih), divided by h.

Nothing is subtracted, so that h can be so small that no term of the series but the first is seen (Squire and Trapp
1998). The imaginary part is smaller still, and may underflow, also on the way to a result that does not: therefore two
steps have to agree. It holds for analytic functions alone: `abs`, a comparison or a conjugate inside `f` spoils it.
Therefore what it finds is believed only where differences find the same.

It is the derivative of each operation where its rounded operands are, not where they should be: that of cos(x**3) at
2000 is off by the last digit of x**3 times the curvature. So it is known no better than to what it changes where the
inputs move by a last digit.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .rounding import moved_by_last_digits
from .slopes import Slope

#: A function of complex numbers to one of them.
Function = Callable[[Sequence[complex]], Any]

#: Steps in proportion to the input.
_STEPS = (1e-100, 1e-60, 1e-30)
#: Imaginary parts below this may have lost digits to underflow.
_LEAST = 1e-290
_AGREEMENT = 1e-13


def slope(f: Function, point: Sequence[float], index: int) -> Slope | None:
    """Find the partial derivative by one input; None where no two steps agree, or complex numbers are not taken.

    Args:
        f: the function.
        point: where.
        index: the input to differentiate by.
    """
    found = ((h := step * (abs(point[index]) or 1.0), _at_step(f, point, index, h)) for step in _STEPS)
    for (h, smaller), (_, larger) in itertools.pairwise(found):
        if smaller is not None and larger is not None and abs(larger - smaller) <= _AGREEMENT * abs(smaller):
            moved = [_at_step(f, at, index, h) for at in moved_by_last_digits(point)]
            changes = [abs(slope - smaller) for slope in moved if slope is not None]
            return Slope(smaller, smaller, max(_AGREEMENT * abs(smaller), *changes, 0.0), "complex step")
    return None


def _at_step(f: Function, point: Sequence[float], index: int, h: float) -> float | None:
    """Return the imaginary part over the step; None where one of them is too small, or it is not finite."""
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
