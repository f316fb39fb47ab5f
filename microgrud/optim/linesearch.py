"""Line search for the strong Wolfe conditions: the length of a step along a direction in which the loss falls.

A step `t` is accepted if the loss has fallen enough, and no longer falls (or rises) steeply:

    f(t) <= f(0) + c1 t f'(0)        and        |f'(t)| <= c2 |f'(0)|

Nocedal & Wright, "Numerical optimization", 2nd edition 2006, algorithms 3.5 (bracket) and 3.6 (zoom).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import NamedTuple

from ..engine.vectors import Vector


class Point(NamedTuple):
    """The loss at one step along the line, its slope along the line, and its gradient there."""

    step: float
    value: float
    slope: float
    gradient: Vector | None = None

    @property
    def finite(self) -> bool:
        """True if loss and slope are finite numbers."""
        return math.isfinite(self.value) and math.isfinite(self.slope)


EPSILON = sys.float_info.epsilon

Line = Callable[[float], Point]


def strong_wolfe(
    line: Line, start: Point, step: float, c1: float = 1e-4, c2: float = 0.9, max_evaluations: int = 25
) -> Point | None:
    """Find a point along a line that meets the strong Wolfe conditions.

    The bracketing phase lengthens the step until an interval holds such a point; zooming then shrinks the interval,
    trying the minimum of the cubic that matches value and slope at both ends. A loss that is not finite means that
    the step is too long.

    Args:
        line: evaluates the loss at a step.
        start: the point at step 0, where the slope is negative.
        step: the first step to try, above 0.
        c1: the part of the predicted decrease to require.
        c2: the part of the initial slope to allow; 0 < c1 < c2 < 1.
        max_evaluations: the largest number of evaluations of the line.

    Returns:
        The point; the lowest point seen if the evaluations ran out or rounding hides the decrease; None if that is
        the start.

    >>> def line(t):  # f(t) = (t - 2)^2
    ...     return Point(t, (t - 2) ** 2, 2 * (t - 2))
    >>> round(strong_wolfe(line, line(0.0), step=0.01, c2=0.1).step, 9)
    2.0
    """
    return _Search(line, start, c1, c2, max_evaluations).bracket(step)


class _Search:
    """One search: the line with its evaluations counted, the conditions, and the lowest point seen."""

    def __init__(self, line: Line, start: Point, c1: float, c2: float, max_evaluations: int) -> None:
        self.line, self.start, self.c1, self.c2, self.left = line, start, c1, c2, max_evaluations
        self.lowest: Point | None = None

    def at(self, step: float) -> Point:
        self.left -= 1
        point = self.line(step)
        if point.finite and point.value < (self.lowest or self.start).value:
            self.lowest = point
        return point

    def too_high(self, point: Point) -> bool:
        """Return True if the first condition fails."""
        return not point.finite or point.value > self.start.value + self.c1 * point.step * self.start.slope

    def flat(self, point: Point) -> bool:
        """Return True if the second condition holds."""
        return abs(point.slope) <= self.c2 * abs(self.start.slope)

    def bracket(self, step: float) -> Point | None:
        """Lengthen the step until the interval from the last to the present one must hold a good point."""
        previous = self.start
        while self.left > 0:
            point = self.at(step)
            if self.too_high(point) or (previous is not self.start and point.value >= previous.value):
                return self.zoom(previous, point)
            if self.flat(point):
                return point
            if point.slope >= 0.0:
                return self.zoom(point, previous)
            guess = cubic_minimum(previous, point)
            # Go further, but not so far that one bad fit leaves the region in which the loss is known.
            step = min(max(guess, 2.0 * step), 10.0 * step) if math.isfinite(guess) else 2.0 * step
            previous = point
        return self.lowest

    def zoom(self, low: Point, high: Point) -> Point | None:
        """Shrink the interval between the lowest good point and one that is too far, in either direction."""
        while self.left > 0 and abs(high.step - low.step) > EPSILON * max(low.step, high.step):
            point = self.at(_inside(low, high))
            # Where the values differ only by rounding, the slope decides.
            if self.too_high(point) or point.value > low.value + 4.0 * EPSILON * abs(low.value):
                high = point
                continue
            if self.flat(point):
                return point
            if point.slope * (high.step - low.step) >= 0.0:
                high = low
            low = point
        return self.lowest


def _inside(low: Point, high: Point) -> float:
    """Return the next step between two points: the cubic's minimum, at least a tenth of the interval from its ends."""
    width = high.step - low.step
    if not high.finite:
        return low.step + 0.1 * width
    guess = cubic_minimum(low, high)
    if not math.isfinite(guess):
        return low.step + 0.5 * width
    near, far = sorted((low.step + 0.1 * width, high.step - 0.1 * width))
    return min(max(guess, near), far)


def cubic_minimum(a: Point, b: Point) -> float:
    """Return the step at which the cubic through two points with their slopes is lowest, NaN if it has no minimum.

    Nocedal & Wright, equation 3.59; where that is nearly 0/0, the other formula for a root of the slope.

    >>> cubic_minimum(Point(0.0, 4.0, -4.0), Point(1.0, 1.0, -2.0))  # (t - 2)^2
    2.0
    """
    width = b.step - a.step
    if width == 0.0:
        return math.nan
    d1 = a.slope + b.slope - 3.0 * (b.value - a.value) / width
    square = d1 * d1 - a.slope * b.slope
    if not 0.0 <= square < math.inf:
        return math.nan
    d2 = math.copysign(math.sqrt(square), width)
    denominator = b.slope - a.slope + 2.0 * d2
    if abs(denominator) > 1e-9 * (abs(a.slope) + abs(b.slope) + 2.0 * abs(d2)):
        return b.step - width * (b.slope + d2 - d1) / denominator
    # From a the slope is a.slope - 2 (a.slope + d1) s + ..., with s from 0 to 1; it rises through its root.
    divisor = a.slope + d1 - d2
    return a.step + width * a.slope / divisor if divisor != 0.0 else math.nan
