"""Linear or logarithmic: which scale a range of numbers asks for, and the levels of contours on it."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np

from ..common.checks import one_of
from ..engine.vectors import Vector

__all__ = [
    "LARGEST",
    "Scale",
    "asks_for_log",
    "chosen_scale",
    "contour_levels",
    "drawable",
    "is_constant",
    "log_floor",
    "three_digits",
]

Scale: TypeAlias = Literal["linear", "log"]

#: What the label of a logarithmic axis says.
LOG_NOTE = " (logarithmic scale)"
#: The largest over the smallest number from which on a logarithmic scale shows more.
WIDE = 10.0
#: The largest number that is drawn: matplotlib adds margins to what it draws, and takes sums and differences, which
#: must not overflow. A walk that runs away passes by such numbers on its way to infinity.
LARGEST = 1e250
#: Likewise the smallest on a logarithmic scale, below which floats lose their digits.
_SMALLEST = 1e-250
#: The share of the smallest numbers that do not set the scale: the point of a grid that hits a minimum of 0, say.
_LOWEST = 0.005
#: What differs by a smaller part is the same.
_ROUNDING = 1e-12


def asks_for_log(numbers: Any) -> bool:
    """Tell whether numbers are better shown on a logarithmic scale: none negative, and over a wide range.

    >>> asks_for_log([1.0, 9.0]), asks_for_log([0.0, 0.01, 10.0]), asks_for_log([-1.0, 100.0])
    (False, True, False)
    """
    finite = _finite(numbers)
    if len(finite) == 0 or finite.min() < 0.0 or finite.max() == 0.0:
        return False
    return bool(finite.max() > WIDE * log_floor(finite))


def log_floor(numbers: Any) -> float:
    """Return where a logarithmic scale for these numbers begins: what lies below, zeros too, is shown as this."""
    positive = _finite(numbers)
    positive = positive[positive > 0.0]
    return max(float(np.quantile(positive, _LOWEST, method="lower")), _SMALLEST)


def chosen_scale(where: str, scale: str, numbers: Any) -> Scale:
    """Return the scale asked for, or for `"auto"` the one that the numbers ask for.

    Raises:
        ValueError: for another scale, and for a logarithmic one where there is nothing positive.
    """
    chosen = one_of("auto", "linear", "log")(f"{where}: scale", scale)
    if chosen == "auto":
        return "log" if asks_for_log(numbers) else "linear"
    if chosen == "log" and not np.any(_finite(numbers) > 0.0):
        raise ValueError(f"{where}: scale: expected 'linear' where no number is positive, got 'log'")
    return chosen  # type: ignore[no-any-return]


def contour_levels(numbers: Any, scale: Scale, count: int) -> Vector:
    """Return levels from the lowest to the highest finite number, evenly spaced on the scale.

    Args:
        numbers: what is to be drawn, with a finite number among them.
        scale: on a linear scale the levels are round numbers, the outermost beyond the numbers.
        count: how many levels, on a linear scale about.

    >>> contour_levels([1.0, 2.0, 100.0], "log", 3)
    array([  1.,  10., 100.])
    >>> contour_levels([0.03, 0.97], "linear", 6)
    array([0. , 0.2, 0.4, 0.6, 0.8, 1. ])
    >>> contour_levels([1.0, 1.0 + 1e-15], "linear", 6)
    array([0.9 , 0.95, 1.  , 1.05, 1.1 ])
    """
    from matplotlib.ticker import MaxNLocator

    finite = _finite(numbers)
    low, high = float(finite.min()), float(finite.max())
    constant = is_constant(finite)  # levels as close as such numbers would be labelled 1e-13+1
    if scale == "linear":
        if constant:
            around = 0.1 * abs(low) or 0.1
            return np.linspace(low - around, low + around, 5)
        return np.asarray(MaxNLocator(max(1, count - 1), min_n_ticks=2).tick_values(low, high), dtype=np.float64)
    low = log_floor(finite)
    high = max(high, low * (1.25 if constant else 1.001))
    levels = np.geomspace(low, high, count)
    levels[0], levels[-1] = low, high
    return levels


def drawable(numbers: Any) -> Vector:
    """Return numbers with those that are too large to be drawn, infinities aside, as the largest that can be.

    >>> drawable([1.0, -1.7e308, np.inf])
    array([ 1.e+000, -1.e+250,      inf])
    """
    array = np.asarray(numbers, dtype=np.float64)
    return np.where(np.isinf(array), array, np.clip(array, -LARGEST, LARGEST))


def is_constant(numbers: Any) -> bool:
    """Tell whether all finite numbers are the same but for rounding."""
    finite = _finite(numbers)
    return bool(finite.max() - finite.min() <= _ROUNDING * np.abs(finite).max())


def three_digits(x: float) -> str:
    """Write a number short, for a tick.

    >>> three_digits(1377.9), three_digits(0.0012345), three_digits(3.0)
    ('1380', '0.00123', '3')
    """
    return f"{float(f'{x:.3g}'):g}"


def _finite(numbers: Any) -> Vector:
    array = np.asarray(numbers, dtype=np.float64).ravel()
    return array[np.isfinite(array)]
