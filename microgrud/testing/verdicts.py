"""The verdict on one derivative: is what is claimed the truth, as far as floats and the truth itself can tell?

A claim that is off by more than the tolerance may be wrong, or it may be right and merely rounded. Where the graph is
microgrud's, replays that round at random tell which; elsewhere points nearby: the error of a wrong rule changes
smoothly from one to the next, rounding jumps. Rounding is no error of the rule, unless it leaves hardly a digit: then
the formula is unstable, right on paper and useless in floating point.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from .slopes import Slope

_EPS = sys.float_info.epsilon
#: Neighbours to look at, and how far away they lie at the most, in proportion to each input.
_NEIGHBOURS = 33
_RADIUS = 1e-3
#: The squares of the steps from each error to the next, over those of their distances from the mean (von Neumann 1941):
#: 2 for noise, give or take 0.34 with so many neighbours, and near 0 for what is smooth.
_SMOOTH = 0.5
#: Below this floats lose their digits one by one.
UNDERFLOW = 1e-310
#: How many times the change that random rounding was seen to make is still put down to rounding.
_MOST_NOISE = 50.0
#: A relative error by rounding beyond which no one could use the derivative.
_USELESS = 1e-3
#: A derivative that changes the function by less than this part, where its input changes by as much as itself.
_NEGLIGIBLE = 64.0 * _EPS

Kind = Literal["right", "kink", "wrong", "unstable", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """What was found out about one derivative.

    Attributes:
        output: where the number that was differentiated stands in the result; empty if it is the result.
        inputs: the names of the inputs it was differentiated by, one after the other.
        claimed: the derivative under test.
        slope: the truth.
        kind: `"right"`; `"kink"`, a subgradient where there is no derivative; `"wrong"`; `"unstable"`, off by nothing
            but rounding, and hardly a digit left; `"undecided"`, where the truth is not known well enough.
        reason: why, where it is not plain.
    """

    output: str
    inputs: tuple[str, ...]
    claimed: float
    slope: Slope
    kind: Kind
    reason: str = ""

    @property
    def is_failure(self) -> bool:
        """Whether the derivative is not what it should be."""
        return self.kind in ("wrong", "unstable")

    @property
    def relative_error(self) -> float:
        """The distance of the claim from the nearest limit, in proportion to it; infinite if that is 0."""
        if not self.slope.sides or math.isnan(self.claimed):
            return math.nan
        nearest = min(self.slope.sides, key=lambda side: abs(_difference(self.claimed, side)))
        difference = abs(_difference(self.claimed, nearest))
        if difference == 0:
            return 0.0
        return float(difference / abs(nearest)) if nearest and not math.isinf(nearest) else math.inf

    @property
    def ulp_error(self) -> float:
        """The distance of the claim from the truth in units of its last place."""
        true = float(self.slope.value)
        if not math.isfinite(true) or not math.isfinite(self.claimed):
            return 0.0 if self.claimed == true else math.inf
        return float(abs(_difference(self.claimed, self.slope.value)) / math.ulp(true))


@dataclass(frozen=True)
class Judge:
    """Decides on the claims about one function at one point.

    Attributes:
        point: where.
        claims: the derivatives at a point, for each output in the order of `entry`.
        values: the number of each output at the point.
        noise: finds for each output and input how far rounding may take the derivative at a point, or None where that
            is not known.
        rtol: the relative error to allow.
        atol: the absolute error to allow.
        strict: whether a kink, where there is no derivative, is an error.
    """

    point: Sequence[float]
    claims: Callable[[Sequence[float]], list[list[float]]]
    values: Sequence[float]
    noise: Callable[[Sequence[float]], list[list[float]] | None]
    rtol: float
    atol: float
    strict: bool

    def looks_right(self, claimed: float, quick: float | None) -> bool:
        """Tell whether a first look at the truth settles it."""
        if self.strict or quick is None or not math.isfinite(claimed) or not math.isfinite(quick):
            return False
        return abs(claimed - quick) <= self.rtol * abs(quick) + self.atol

    def decide(
        self,
        output: int,
        entry: int,
        claimed: float,
        indices: Sequence[int],
        truth: Callable[[Sequence[float]], Slope],
        quick: float | None = None,
    ) -> tuple[Kind, Slope, str]:
        """Decide on one claim, and say why.

        Args:
            output: which number of the result.
            entry: where the claim stands among those for this output.
            claimed: the claim.
            indices: the inputs it is about.
            truth: finds the true derivative at a point.
            quick: the first look at it: a difference across the point, which is huge at a jump.
        """
        slope = truth(self.point)
        if not slope.sides or not math.isfinite(slope.error):
            return "undecided", slope, "the truth could not be found here"
        if math.isnan(claimed):
            if quick is not None and abs(quick) > 1e6 * max(1.0, *(abs(float(side)) for side in slope.sides)):
                return "kink", slope, "there is no derivative at a jump"
            return "wrong", slope, "it is not a number"
        if slope.is_kink:
            return self._at_kink(claimed, slope)
        true = slope.value
        known = 10.0 * slope.error
        if math.isinf(true) or math.isinf(claimed):
            if claimed != true and known > 0.1 * abs(true):
                return "undecided", slope, f"differences leave an error of {slope.error:.1e}"
            return ("right" if claimed == true else "wrong"), slope, ""
        off = abs(claimed - true)
        if off == 0:
            return "right", slope, ""
        floor = self._floor(output, indices)
        if off <= self.rtol * abs(true) + self.atol + known + UNDERFLOW:
            if known > max(1e-6 * abs(true), self.atol, floor):
                return "undecided", slope, f"it agrees, but differences leave an error of {slope.error:.1e}"
            return "right", slope, ""
        if known > 0.1 * off:
            return "undecided", slope, f"differences leave an error of {slope.error:.1e}"
        if true == 0 and off <= floor:
            return "right", slope, "rounding"
        return self._wrong_or_rounded(output, entry, float(off), slope, truth)

    def _at_kink(self, claimed: float, slope: Slope) -> tuple[Kind, Slope, str]:
        low, high = min(slope.sides), max(slope.sides)
        if self.strict:
            return "wrong", slope, "there is no derivative here"
        tolerance = self.rtol * float(max(abs(low), abs(high))) + self.atol + 10.0 * slope.error
        if slope.admits(claimed, tolerance):
            return "kink", slope, "a subgradient at a kink"
        return "wrong", slope, f"it is no subgradient: at this kink they lie between {float(low):g} and {float(high):g}"

    def _floor(self, output: int, indices: Sequence[int]) -> float:
        """What is nothing beside the value of the function, were each input to change by as much as itself."""
        size = abs(self.values[output]) * _NEGLIGIBLE
        for i in indices:
            size /= abs(self.point[i]) or max(map(abs, self.point)) or 1.0
        return size

    def _wrong_or_rounded(
        self,
        output: int,
        entry: int,
        off: float,
        slope: Slope,
        truth: Callable[[Sequence[float]], Slope],
    ) -> tuple[Kind, Slope, str]:
        size = abs(float(slope.value))
        noise = self.noise(self.point)
        if noise is not None:
            rounded = off <= _MOST_NOISE * noise[output][entry]
        else:
            errors = list(self._errors_nearby(output, entry, truth))
            enough = len(errors) >= _NEIGHBOURS // 2
            rounded = enough and not _is_systematic(errors) and off / (size or 1.0) <= 10.0 * max(map(abs, errors))
        if not rounded:
            return "wrong", slope, ""
        if off <= max(_USELESS * size, self.atol):
            return "right", slope, "rounding"
        return "unstable", slope, "it is off by rounding alone, which leaves it hardly a digit"

    def _errors_nearby(self, output: int, entry: int, truth: Callable[[Sequence[float]], Slope]) -> Iterator[float]:
        """Yield the relative errors (absolute ones where the truth is 0) at points on a line through this one."""
        rng = random.Random(0)
        direction = [rng.uniform(0.5, 1.0) * rng.choice((-1.0, 1.0)) * _RADIUS for _ in self.point]
        half = _NEIGHBOURS // 2
        for k in range(-half, half + 1):
            moved = [x * (1.0 + k / half * d) for x, d in zip(self.point, direction)]
            try:
                claimed = self.claims(moved)[output][entry]
                slope = truth(moved)
            except (ArithmeticError, ValueError):
                continue
            true = slope.value
            if not slope.is_kink and math.isfinite(claimed) and math.isfinite(true):
                yield float((claimed - true) / (abs(true) or 1))


def _is_systematic(errors: Sequence[float]) -> bool:
    """Tell the errors of a wrong rule, in order along a line, from those of rounding."""
    mean = statistics.fmean(errors)
    spread = math.fsum((e - mean) ** 2 for e in errors)
    steps = math.fsum((b - a) ** 2 for a, b in itertools.pairwise(errors))
    return abs(mean) >= math.sqrt(spread / len(errors)) or steps < _SMOOTH * spread


def _difference(claimed: float, side: object) -> float:
    if math.isinf(side) or math.isinf(claimed):  # type: ignore[arg-type]
        return 0.0 if claimed == side else math.inf
    return claimed - side  # type: ignore[operator]
