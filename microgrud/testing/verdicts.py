"""The verdict on one derivative: is what is claimed the truth, as far as floats and the truth itself can tell?

A claim that is off by more than the tolerance may be wrong, or it may be right and merely rounded: `rounding.py` says
how far rounding goes. Rounding is no error of the rule, unless it leaves hardly a digit: then the formula is unstable,
right on paper and useless in floating point.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from .slopes import Slope

_EPS = sys.float_info.epsilon
#: Below this floats lose their digits one by one.
UNDERFLOW = 1e-310
#: How many times the change that rounding was seen to make is still put down to rounding.
_MOST_NOISE = 50.0
#: How many times its own estimate the error of a truth may be.
_SAFETY = 10.0
#: What a truth may be off, in proportion to what it is to decide: whether a claim is wrong, whether it is right.
_KNOWN_TO_REFUTE = 0.1
_KNOWN_TO_CONFIRM = 1e-6
#: A relative error by rounding beyond which no one could use the derivative.
_USELESS = 1e-3
#: A derivative that changes the function by less than this part, where its input changes by as much as itself (by 1, if
#: it is smaller).
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
        """The distance of the claim from the nearest limit, in units of that one's last place."""
        if not self.slope.sides or math.isnan(self.claimed):
            return math.nan
        nearest = min(self.slope.sides, key=lambda side: abs(_difference(self.claimed, side)))
        return float(abs(_difference(self.claimed, nearest)) / math.ulp(float(nearest)))


@dataclass(frozen=True)
class Question:
    """One derivative to decide on, and who can be asked about it.

    Attributes:
        claimed: the derivative under test.
        value: the number that was differentiated.
        sizes: the sizes of the inputs that it was differentiated by.
        quick: a first look at the truth, if there is one.
        truth: finds the derivative.
        noise: finds how far rounding may take the claim.
        jumps: tells whether the function jumps here.
        in_floats: finds the derivative by differences of floats, where the truth comes from elsewhere.
    """

    claimed: float
    value: float
    sizes: Sequence[float]
    quick: float | None
    truth: Callable[[], Slope]
    noise: Callable[[], float]
    jumps: Callable[[], bool]
    in_floats: Callable[[], Slope | None]

    @property
    def negligible(self) -> float:
        """What is nothing beside the value of the function, were each input to change by as much as itself, or 1."""
        return abs(self.value) * _NEGLIGIBLE / math.prod(max(size, 1.0) for size in self.sizes)


@dataclass(frozen=True)
class Judge:
    """Decides on derivatives.

    Attributes:
        rtol: the relative error to allow.
        atol: the absolute error to allow.
        strict: whether a kink, where there is no derivative, is an error.
    """

    rtol: float
    atol: float
    strict: bool

    def looks_right(self, question: Question) -> bool:
        """Tell whether a first look at the truth settles it."""
        claimed, quick = question.claimed, question.quick
        if self.strict or quick is None or not math.isfinite(claimed) or not math.isfinite(quick):
            return False
        return abs(claimed - quick) <= self.rtol * abs(quick) + self.atol

    def decide(self, question: Question) -> tuple[Kind, Slope, str]:
        """Decide on one claim, and say why: first what cannot be known, then jumps, then the numbers."""
        slope = question.truth()
        if math.isnan(question.value):
            return "undecided", slope, "the function is not a number here"
        if not slope.sides or not math.isfinite(slope.error):
            return "undecided", slope, "the truth could not be found here"
        if len(question.sizes) == 1 and question.jumps():
            if self.strict:
                return "wrong", slope, "there is no derivative at a jump"
            return "undecided", slope, "the function jumps here, and has no derivative"
        kind, reason = self._compared(question, slope)
        if kind == "wrong" and self._floats_back(question, slope):
            return "undecided", slope, "the function does another thing with floats than with numbers of 50 digits"
        return kind, slope, reason

    def _compared(self, question: Question, slope: Slope) -> tuple[Kind, str]:
        claimed, known = question.claimed, _SAFETY * slope.error
        if math.isnan(claimed):
            return "wrong", "it is not a number"
        if slope.is_kink:
            return self._at_kink(claimed, slope)
        true = slope.value
        if math.isinf(true) or math.isinf(claimed):
            if claimed != true and max(known, slope.doubt()) > _KNOWN_TO_REFUTE * abs(true):
                return "undecided", self._doubted(slope)
            return ("right" if claimed == true else "wrong"), ""
        off = float(abs(claimed - true))
        if off <= self.rtol * abs(true) + self.atol + known + UNDERFLOW:
            if off != 0 and known > max(_KNOWN_TO_CONFIRM * abs(true), self.atol, question.negligible):
                return "undecided", f"it agrees, but {slope.method} may be off by {slope.error:.1e}"
            return "right", ""
        if max(known, slope.doubt()) > _KNOWN_TO_REFUTE * off:
            return "undecided", self._doubted(slope)
        if off > _MOST_NOISE * question.noise():
            return "wrong", ""
        if off <= max(_USELESS * float(abs(true)), self.atol, question.negligible):
            return "right", "rounding"
        return "unstable", "it is off by rounding alone, which leaves it hardly a digit"

    def _doubted(self, slope: Slope) -> str:
        if _SAFETY * slope.error > slope.doubt():
            return f"{slope.method} may be off by {slope.error:.1e}"
        return f"floats do not show the function here well enough to refute it by {slope.method}"

    def _at_kink(self, claimed: float, slope: Slope) -> tuple[Kind, str]:
        low, high = min(slope.sides), max(slope.sides)
        if self.strict:
            return "wrong", "there is no derivative here"
        tolerance = self.rtol * float(max(abs(low), abs(high))) + self.atol + _SAFETY * slope.error
        if slope.admits(claimed, tolerance):
            return "kink", "a subgradient at a kink"
        if slope.admits(claimed, tolerance + slope.doubt() / _KNOWN_TO_REFUTE):
            return "undecided", self._doubted(slope)
        return "wrong", f"it is no subgradient: at this kink they lie between {float(low):g} and {float(high):g}"

    def _floats_back(self, question: Question, slope: Slope) -> bool:
        """Tell whether differences of floats find what is claimed, and not what was found at 50 digits."""
        found = question.in_floats()
        if found is None or len(found.sides) < 2 or found.is_kink or not math.isfinite(question.claimed):
            return False
        near = _SAFETY * found.error + self.rtol * abs(found.value)
        return bool(abs(question.claimed - found.value) <= near and abs(slope.value - found.value) > 10.0 * near)


def _difference(claimed: float, side: object) -> float:
    if math.isinf(side) or math.isinf(claimed):  # type: ignore[arg-type]
        return 0.0 if claimed == side else math.inf
    return claimed - side  # type: ignore[operator]
