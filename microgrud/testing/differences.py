"""The truth by differences of floats, with an estimate of its own error.

Quotients at steps that shrink by half are extrapolated to step zero (Richardson 1911; the tableau and its error
estimate are those of Ridders 1982). Large steps may skip over a kink or a whole period of the function; small steps
drown in rounding. So the search begins with the smallest steps, whose error is the noise of the function over the step,
and continues with larger ones as long as each new estimate lies within the error of the one before.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import sys
from collections.abc import Callable, Sequence

from .rounding import error_of, moved_by_last_digits
from .slopes import Slope

#: A function of floats to a float.
Function = Callable[[Sequence[float]], float]

_EPS = sys.float_info.epsilon
#: Steps are the size of the input times this factor and 2**-k. It is not a power of two, since such steps would be
#: whole periods of functions that repeat by powers of two, as the digits of floats do.
_FACTOR = 0.7390851332151607
#: The k at which tableaus begin, and the number of their rows.
_STARTS = (43, 39, 35, 31, 27, 23, 19, 15, 11, 7, 3)
_ROWS = 8
#: Noise above this part of the values hides a relative error of 1e-6 in a slope, whatever the step.
_ROUGH = 1e-7
#: Jumps above this part of the values belong to the function, not to its intermediate results.
_STAIRS = 1e-5
#: An error above this part of a slope that does not come from noise shows that the function is not smooth here.
_UNSURE = 1e-3
#: No result is known better than to the least positive float.
_LEAST = math.ulp(0.0)
#: An input below this many last digits of another one may be lost when the two are added.
_LOST = 1e3
#: A constant function may be off by this many last digits: its input may be added to a larger constant, and a root
#: turns the last digit of 1 into 1e-8, as in acos(cos(1e-9)).
_HIDDEN = 1e8
#: The most that an underflow in an intermediate result may take from a value: the fourth root of the least float.
_UNDERFLOW = 1e-80
#: Two limits that differ by less than this part of the slopes around are an unresolved curve, not a kink.
_SLIGHT = 1e-6
_UNKNOWN = Slope(None, None, math.inf, "differences")


def slope(f: Function, point: Sequence[float], index: int) -> Slope:
    """Find the limits of the partial derivative with respect to one input, from below and from above, and their error.

    Args:
        f: the function.
        point: the point.
        index: the input to differentiate with respect to.
    """
    along = _Line(f, point, index)
    if along.is_rough():
        return _UNKNOWN
    found = _limits(along)
    return dataclasses.replace(found, doubt=lambda: max(found.doubt(), along.doubt()))


def _limits(along: _Line) -> Slope:
    middle, error = _estimate(along, 0)
    sides = {side: _estimate(along, side) for side in (-1, 1)}
    known = {side: (value, e) for side, (value, e) in sides.items() if math.isfinite(e)}
    # If a kink lies within a few floats, only one side has a limit, and central differences give the mean of this limit
    # and the slope beyond the kink.
    agree = all(abs(value - middle) <= 4.0 * (e + error) for value, e in known.values())
    apart = abs(sides[1][0] - sides[-1][0]) if len(known) == 2 else 0.0
    sides_agree = apart <= 4.0 * sum(e for _, e in known.values())
    if math.isfinite(error) and sides_agree and agree:
        # A kink may be as large as the error of the better known side.
        return Slope(middle, middle, error, "differences", lambda: min(e for _, e in sides.values()))
    if (
        (math.isfinite(error) and sides_agree)
        or any(side not in known and along.is_defined(side) for side in sides)
        or (len(known) == 2 and apart < _SLIGHT * along.steepest)
    ):
        return _UNKNOWN
    left, right = (known[side][0] if side in known else None for side in sides)
    return Slope(left, right, max((e for _, e in known.values()), default=math.inf), "differences")


class _Line:
    """The function along one input, with a cache of its values: tableaus of different sizes share points."""

    def __init__(self, f: Function, point: Sequence[float], index: int) -> None:
        self.f, self.point = f, list(point)
        self.x = self.point[index]
        self.size = abs(self.x) or 1.0
        self.steepest = 0.0
        #: The value at a number in the place of the input.
        self.value = functools.cache(lambda x: self._at([*self.point[:index], x, *self.point[index + 1 :]]))
        #: The difference quotient: central for side 0, otherwise between the point and one on that side.
        self.quotient = functools.cache(self._quotient)
        self.is_flat = self.grows = False
        self.noise = self._noise()
        # Rounding of intermediate results may change smoothly with x over the steps and show no jump.
        self.unseen = max(self.noise, self._change_by_last_digits())

    def _at(self, point: Sequence[float]) -> float:
        try:
            return float(self.f(point))
        except (ValueError, ArithmeticError, TypeError):  # a root of Python may become complex
            return math.nan

    def _quotient(self, step: float, side: int) -> float:
        step = (self.x + step) - self.x  # the step after rounding
        if step == 0.0 or not math.isfinite(step):
            return math.nan
        low = self.x - step if side <= 0 else self.x
        high = self.x + step if side >= 0 else self.x
        found = (self.value(high) - self.value(low)) / (high - low)
        if math.isfinite(found):
            self.steepest = max(self.steepest, abs(found))
        return found

    def is_defined(self, side: float) -> bool:
        """Return whether the function has values on one side of the point."""
        return any(math.isfinite(self.value(self.x + side * self.size * 2.0**-k)) for k in (43, 27, 11))

    def is_rough(self) -> bool:
        """Return whether neighbouring values jump too much for differences.

        A function that oscillates within a few floats looks like noise, and steps that skip over the oscillations give
        slopes that agree by chance.
        """
        return self.noise > max(_ROUGH * self._reach(), _EPS)

    def _reach(self) -> float:
        """Return the greatest size of the values around the point."""
        steps = [self.size * _FACTOR * 2.0**-k for k in (0, 3, 7, 20, 43)]
        reach = [abs(self.value(self.x + sign * step)) for step in steps for sign in (1.0, -1.0)]
        return max(filter(math.isfinite, reach), default=0.0)

    def doubt(self) -> float:
        """Return the largest slope that the values may hide at all steps taken.

        A term is lost if it is added to a larger number: to another input, to a number computed from one (a last digit
        of the inputs then moves the value), to a constant (the values are then constant), or, if the spacing of floats
        exceeds the periods of a function, to the value itself. Terms that underflow are lost as well, as in
        maximum(x, sqrt(x * x * x)) at 1e-200.
        """
        if self.size < _LOST * _EPS * max(map(abs, self.point)):
            return math.inf
        hidden = max(self.unseen, _HIDDEN * self.noise if self.is_flat else 0.0)
        underflow = _UNDERFLOW / self.size
        # Values that jump within a few floats may be the function itself, next to a pole or a root.
        unresolved = self.grows or (not self.is_flat and self.noise > _ROUGH * self._reach())
        scale = min(1.0, self.size * (217.0 * _EPS if unresolved else 1.0))
        return max(40.0 * hidden / scale, underflow, 40.0 * self._stairs()) if scale else math.inf

    def _change_by_last_digits(self) -> float:
        """Return the greatest change of the value when all inputs move by a last digit."""
        value, greatest = self.value(self.x), 0.0
        for moved in moved_by_last_digits(self.point):
            change = abs(self._at(moved) - value)
            greatest = max(greatest, change) if change == change else greatest
        return greatest

    def _noise(self) -> float:
        """Estimate the error of a value from third differences of values a few floats apart (More and Wild 2011).

        Rounding makes neighbouring values jump; the function itself hardly changes over such a distance. If it is so
        flat that even rounded values are equal, jumps show only in values further apart. If there are none, the
        contribution of the input may be lost in a sum with a number of the size of 1, as in log(1 + exp(-40)).
        """
        value = abs(self.value(self.x))
        least, plateau = max(_EPS * value, _LEAST), _EPS * max(value, 1.0)
        for side in (1.0, -1.0):
            spacing = 7.0 * _EPS * self.size
            while 0.0 < spacing < 1e-3 * self.size:  # the spacing is 0 next to subnormal numbers
                values = [self.value(self.x + side * i * spacing) for i in range(7)]
                if not all(map(math.isfinite, values)):
                    break
                if any(value != values[0] for value in values):
                    # Rounded values may lie on a straight line by chance, but hardly at three distances.
                    near, further, apart = (self._jumps(side * spacing * factor) for factor in (1.0, 5.0, 31.0))
                    # Rounding errors are equal at all distances; jumps that grow belong to the function.
                    self.grows = apart > 8.0 * further > 64.0 * max(least, near)
                    return max(least, near, further, apart)
                spacing *= 16.0
            else:
                self.is_flat = True
                return plateau
        return math.inf  # not defined at neighbouring floats, on either side

    def _stairs(self) -> float:
        """Return the steepness that jumps of intermediate results may hide between values further apart.

        An intermediate result that hardly changes with the input, such as x - hypot(x, 1e-3), is constant over many
        floats. Until it jumps, x * (x - hypot(x, 1e-3)) is a straight line of another slope. Such jumps have one size
        at any distance, as do the waves of x + 1e-9 * sin(1e9 * x). Differences that grow with the distance (by 64 at a
        kink, by 64**3 in a curve) do not count, and neither do large ones.
        """
        largest, steepest = _STAIRS * self._reach(), 0.0
        for side in (1.0, -1.0):
            distances = [side * 10.0 * _FACTOR * _EPS * self.size * 64.0**k for k in range(7)]
            sizes = [self._jumps(distance) for distance in distances]
            for distance, near, far in zip(distances, sizes[1:], sizes[2:]):
                if 8.0 * self.noise < near <= largest and far <= 16.0 * near:
                    steepest = max(steepest, near / abs(distance))
            if any(sizes):
                break
        return steepest

    def _jumps(self, spacing: float) -> float:
        """Estimate the error of values with this spacing; 0 if they are not finite."""
        size = error_of([self.value(self.x + i * spacing) for i in range(7)])
        return size if math.isfinite(size) else 0.0


def _estimate(along: _Line, side: int) -> tuple[float, float]:
    """Return the best estimate of a limit and its error, from small steps to large ones.

    The error is infinite if no other steps confirm the estimate, since even a few last digits may be too large a step
    for the function. It is also infinite if larger steps agree on another estimate, since some part of the function may
    be so flat that it is constant between rounded values.
    """
    best, least, confirmed = math.nan, math.inf, False
    others: list[tuple[float, float]] = []
    for start in _STARTS:
        value, error = _tableau(along, along.size * _FACTOR * 2.0**-start, side)
        if not math.isfinite(error):
            if math.isfinite(least):
                break  # larger steps leave the domain
            continue
        if others or (math.isfinite(least) and abs(value - best) > 2.0 * (least + error)):
            others.append((value, error))
            continue
        confirmed = math.isfinite(least)
        if error < least:
            best, least = value, error
    if confirmed and not any(_contradict(best, least, *pair) for pair in itertools.pairwise(others)):
        return best, least
    return math.nan, math.inf


def _contradict(best: float, least: float, one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Return whether two estimates from larger steps agree with each other, but not with the best one."""
    agree = abs(one[0] - other[0]) <= 2.0 * (one[1] + other[1])
    return agree and all(abs(value - best) > 10.0 * (least + error) for value, error in (one, other))


def _tableau(along: _Line, step: float, side: int) -> tuple[float, float]:
    """Extrapolate the quotients at steps h, h/2, h/4, ... to zero; return the best entry and its error.

    The error is infinite if it is large and does not come from noise, since the steps are too large then.
    """
    power = 4.0 if side == 0 else 2.0  # the error of a central quotient is of order h**2, of a one-sided one of order h
    best, least, of_noise = math.nan, math.inf, 0.0
    previous: list[float] = []
    for _ in range(_ROWS):
        entry = along.quotient(step, side)
        if not math.isfinite(entry):
            break
        row, factor, nearest, distance = [entry], power, math.nan, math.inf
        for above in previous:
            extrapolated = entry + (entry - above) / (factor - 1.0)
            apart = max(abs(extrapolated - entry), abs(extrapolated - above))
            if apart < distance:
                nearest, distance = extrapolated, apart
            entry = extrapolated
            row.append(entry)
            factor *= power
        last_digits = 4.0 * _EPS * abs(entry) + _LEAST
        error = 2.0 * distance + 4.0 * along.unseen / step + last_digits
        if error < least:
            best, least, of_noise = nearest, error, 4.0 * along.noise / step + last_digits
        previous = row
        step *= 0.5
    unsure = least > max(_UNSURE * abs(best), 16.0 * of_noise)
    return (math.nan, math.inf) if unsure else (best, least)
