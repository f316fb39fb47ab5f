"""Linear and logarithmic scales: the choice of a scale for a range of numbers, and levels of contours on it."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np

from ..common.checks import one_of
from ..engine.vectors import Vector

Scale: TypeAlias = Literal["linear", "log"]

#: The end of the label of a logarithmic axis.
LOG_NOTE = " (logarithmic scale)"
#: A logarithmic scale shows more from this ratio of the largest to the smallest number on.
WIDE = 10.0
#: The largest number that is drawn: matplotlib adds margins to numbers, and takes sums and differences of them, which
#: must not overflow. A walk that diverges passes through such numbers on the way to infinity.
LARGEST = 1e250
#: The smallest number on a logarithmic scale, above those at which floats lose their digits.
_SMALLEST = 1e-250
#: The share of the smallest numbers that do not set the scale, such as a grid point that hits a minimum of 0.
_LOWEST = 0.005
#: Numbers that differ by a smaller part are equal apart from rounding.
_ROUNDING = 1e-12


def asks_for_log(numbers: Any) -> bool:
    """Return whether a logarithmic scale shows the numbers better: none is negative, and their range is wide.

    >>> asks_for_log([1.0, 9.0]), asks_for_log([0.0, 0.01, 10.0]), asks_for_log([-1.0, 100.0])
    (False, True, False)
    """
    finite = _finite(numbers)
    if len(finite) == 0 or finite.min() < 0.0 or finite.max() == 0.0:
        return False
    return bool(finite.max() > WIDE * log_floor(finite))


def log_floor(numbers: Any) -> float:
    """Return the lower end of a logarithmic scale for these numbers; smaller ones, also zeros, are drawn there."""
    positive = _finite(numbers)
    positive = positive[positive > 0.0]
    return max(float(np.quantile(positive, _LOWEST, method="lower")), _SMALLEST)


def chosen_scale(where: str, scale: str, numbers: Any) -> Scale:
    """Return the given scale after a check, or for `"auto"` the one that shows the numbers better.

    Raises:
        ValueError: for an unknown scale, and for a logarithmic one if no number is positive.
    """
    chosen = one_of("auto", "linear", "log")(f"{where}: scale", scale)
    if chosen == "auto":
        return "log" if asks_for_log(numbers) else "linear"
    if chosen == "log" and not np.any(_finite(numbers) > 0.0):
        raise ValueError(f"{where}: scale: expected 'linear' or 'auto', since no number is positive, got 'log'")
    return chosen  # type: ignore[no-any-return]


def contour_levels(numbers: Any, scale: Scale, count: int) -> Vector:
    """Return levels from the lowest to the highest finite number, evenly spaced on the scale.

    Args:
        numbers: the numbers to draw, at least one of them finite.
        scale: on a linear scale the levels are round numbers, and the outermost ones enclose the numbers.
        count: the number of levels, which a linear scale meets only roughly.

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
    constant = is_constant(finite)  # levels as close as such numbers would have labels such as 1e-13+1
    if scale == "linear":
        if constant:
            around = 0.1 * abs(low) or 0.1
            return np.linspace(low - around, low + around, 5)
        return np.asarray(MaxNLocator(max(1, count - 1), min_n_ticks=2).tick_values(low, high), dtype=np.float64)
    low = log_floor(finite)
    high = max(high, low * (1.25 if constant else 1.001))
    return np.geomspace(low, high, count)


def drawable(numbers: Any) -> Vector:
    """Return numbers with finite ones that are too large to be drawn replaced by the largest that can be.

    >>> drawable([1.0, -1.7e308, np.inf])
    array([ 1.e+000, -1.e+250,      inf])
    """
    array = np.asarray(numbers, dtype=np.float64)
    return np.where(np.isinf(array), array, np.clip(array, -LARGEST, LARGEST))


def finite_or_nan(numbers: Any) -> Vector:
    """Return numbers that can be drawn, and NaN for those that are not finite."""
    return drawable(np.where(np.isfinite(numbers), numbers, np.nan))


def is_constant(numbers: Any) -> bool:
    """Return whether all finite numbers are the same apart from rounding."""
    finite = _finite(numbers)
    return bool(finite.max() - finite.min() <= _ROUNDING * np.abs(finite).max())


def three_digits(x: float) -> str:
    """Write a number with three significant digits, for the label of a tick.

    >>> three_digits(1377.9), three_digits(0.0012345), three_digits(3.0)
    ('1380', '0.00123', '3')
    """
    return f"{float(f'{x:.3g}'):g}"


def _finite(numbers: Any) -> Vector:
    array = np.asarray(numbers, dtype=np.float64).ravel()
    return array[np.isfinite(array)]
