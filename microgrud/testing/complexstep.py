"""The truth by the complex step: the imaginary part of f(x + ih), divided by h.

Nothing is subtracted, so that h can be so small that no term of the series but the first is seen (Squire and Trapp
1998). It holds for analytic functions alone: `abs`, a comparison or a conjugate inside `f` spoils it. Therefore what
it finds is believed only where differences find the same.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .slopes import Slope

#: A function of complex numbers to one of them.
Function = Callable[[Sequence[complex]], Any]


def slope(f: Function, point: Sequence[float], index: int) -> Slope | None:
    """Find the partial derivative by one input; None where the function does not take complex numbers.

    Args:
        f: the function.
        point: where.
        index: the input to differentiate by.
    """
    h = 1e-100 * (abs(point[index]) or 1.0)
    if h < sys.float_info.min:  # a subnormal step has lost digits
        return None
    moved: list[complex] = [complex(x) for x in point]
    moved[index] += complex(0.0, h)
    try:
        result = f(moved)
    except (TypeError, ValueError, ArithmeticError, AttributeError):
        return None
    if not isinstance(result, complex):
        return None
    derivative = result.imag / h
    if not math.isfinite(derivative) or not math.isfinite(result.real):
        return None
    return Slope(derivative, derivative, 1e-13 * abs(derivative), "complex step")
