"""The verdict on one derivative: the claim compared with the truth, within the errors of floats and of the truth.

A claim that is off by more than the tolerance may be wrong, or right and merely rounded: `rounding.py` estimates the
error by rounding. Rounding is not an error of the rule unless it leaves hardly a correct digit. Then the formula is
unstable: right on paper and useless in floating point.
"""

from __future__ import annotations

import functools
import math
import sys
from dataclasses import dataclass
from typing import Any, Literal

from . import differences
from .claims import GivenClaim, OwnClaim
from .slopes import UNDERFLOW, Slope
from .truths import Truth

_EPS = sys.float_info.epsilon
#: An error up to this many times the estimated rounding error is attributed to rounding.
_MOST_NOISE = 50.0
#: The error of a truth may be this many times its own estimate.
_SAFETY = 10.0
#: The largest error of a truth that refutes a claim, in proportion to the distance of the claim.
_KNOWN_TO_REFUTE = 0.1
#: The largest relative error of a truth that confirms a claim.
_KNOWN_TO_CONFIRM = 1e-6
#: The relative error by rounding above which a derivative is useless.
_USELESS = 1e-3
#: The largest relative change of the function that is negligible.
_NEGLIGIBLE = 64.0 * _EPS

Kind = Literal["right", "kink", "wrong", "unstable", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """The verdict on one derivative.

    Attributes:
        output: the place of the differentiated number in the result; empty if it is the whole result.
        inputs: the names of the inputs that it was differentiated with respect to, in order.
        claimed: the derivative under test.
        slope: the truth.
        kind: `"right"`; `"kink"`, a subgradient where there is no derivative; `"wrong"`; `"unstable"`, off by rounding
            alone, with hardly a correct digit; `"undecided"`, if the truth is not known well enough.
        reason: the reason for the kind, if it is not obvious.
    """

    output: str
    inputs: tuple[str, ...]
    claimed: float
    slope: Slope
    kind: Kind
    reason: str = ""

    @property
    def is_failure(self) -> bool:
        """True if the derivative is wrong or unstable."""
        return self.kind in ("wrong", "unstable")

    @property
    def relative_error(self) -> float:
        """The distance of the claim from the nearest limit, in proportion to it; infinite if that is 0."""
        nearest, difference = self._nearest()
        if not difference:
            return 0.0
        return float(difference / abs(nearest)) if nearest and not math.isinf(nearest) else math.inf

    @property
    def ulp_error(self) -> float:
        """The distance of the claim from the nearest limit, in units of the last place of the limit."""
        nearest, difference = self._nearest()
        return float(difference / math.ulp(float(nearest)))

    def _nearest(self) -> tuple[Any, Any]:
        """Return the limit nearest to the claim, and the distance between them; NaN if there is none."""
        if math.isnan(self.claimed):
            return math.nan, math.nan
        distances = ((side, abs(_difference(self.claimed, side))) for side in self.slope.sides)
        return min(distances, key=lambda pair: pair[1], default=(math.nan, math.nan))


@dataclass(frozen=True)
class Question:
    """One derivative to decide on.

    Attributes:
        output: the index of the differentiated number in the result.
        indices: the inputs that it was differentiated with respect to, in order.
        entry: the index of the derivative among those of the output.
        value: the number that was differentiated.
        claimed: the derivative under test.
    """

    output: int
    indices: tuple[int, ...]
    entry: int
    value: float
    claimed: float


class Judge:
    """Decisions on the derivatives that a claim has at its point; expensive evidence is computed on demand.

    Args:
        claim: the derivatives under test.
        truth: finds the true ones.
        rtol: the relative error to allow.
        atol: the absolute error to allow.
        strict: whether a kink, where there is no derivative, is an error.
    """

    #: Maximum number of failing entries that are also checked by differences, at some 400 calls each: a function that
    #: computes something else from floats shows it in the first ones.
    most_in_floats = 10

    def __init__(self, claim: OwnClaim | GivenClaim, truth: Truth, rtol: float, atol: float, strict: bool) -> None:
        self.claim, self.truth, self.rtol, self.atol, self.strict = claim, truth, rtol, atol, strict
        self.point = claim.subject.point
        self.noise = functools.cache(lambda: claim.noise(self.point))
        self.in_floats = 0

    def verdict(self, question: Question, output: str, inputs: tuple[str, ...]) -> Verdict:
        """Return the verdict on one derivative, with the names of its output and its inputs."""
        quick = self.truth.quick(question.output, self.point, question.indices)
        if quick is not None and self._looks_right(question.claimed, quick):
            return Verdict(output, inputs, question.claimed, Slope(quick, quick, 0.0, self.truth.method), "right")
        kind, slope, reason = self._decide(question)
        return Verdict(output, inputs, question.claimed, slope, kind, reason)

    def _looks_right(self, claimed: float, quick: float) -> bool:
        """Return whether a quick approximation of the truth confirms the claim."""
        if self.strict or not math.isfinite(claimed) or not math.isfinite(quick):
            return False
        return abs(claimed - quick) <= self.rtol * abs(quick) + self.atol

    def _decide(self, question: Question) -> tuple[Kind, Slope, str]:
        """Decide on one claim, and give the reason: check for an unknown truth first, then for jumps, then numbers."""
        output, indices = question.output, question.indices
        slope = self.truth.slope(output, self.point, indices)
        if math.isnan(question.value):
            return "undecided", slope, "the function is not a number here"
        if not slope.sides or not math.isfinite(slope.error):
            return "undecided", slope, "no method finds the true derivative here"
        if len(indices) == 1 and self.truth.jumps(output, self.point, indices):
            if self.strict:
                return "wrong", slope, "there is no derivative at a jump"
            return "undecided", slope, "the function jumps here, and has no derivative"
        kind, reason = self._compared(question, slope)
        if kind == "wrong" and self._floats_back(question, slope):
            return "undecided", slope, "the function computes something else from floats than from numbers of 50 digits"
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
        # A negligible error changes f by less than 64 eps of f if each input x moves by max(|x|, 1).
        sizes = (max(abs(self.point[i]), 1.0) for i in question.indices)
        negligible = abs(question.value) * _NEGLIGIBLE / math.prod(sizes)
        if off <= self.rtol * abs(true) + self.atol + known + UNDERFLOW:
            if off != 0 and known > max(_KNOWN_TO_CONFIRM * abs(true), self.atol, negligible):
                return "undecided", f"it agrees, but {slope.method} may be off by {slope.error:.1e}"
            return "right", ""
        if max(known, slope.doubt()) > _KNOWN_TO_REFUTE * off:
            return "undecided", self._doubted(slope)
        if off > _MOST_NOISE * self.noise()[question.output][question.entry]:
            return "wrong", ""
        if off <= max(_USELESS * float(abs(true)), self.atol, negligible):
            return "right", "rounding"
        return "unstable", "rounding alone causes the error, and leaves hardly a correct digit"

    def _doubted(self, slope: Slope) -> str:
        if _SAFETY * slope.error > slope.doubt():
            return f"{slope.method} may be off by {slope.error:.1e}"
        return f"floats are too coarse here for {slope.method} to refute it"

    def _at_kink(self, claimed: float, slope: Slope) -> tuple[Kind, str]:
        low, high = min(slope.sides), max(slope.sides)
        if self.strict:
            return "wrong", "there is no derivative here"
        tolerance = self.rtol * float(max(abs(low), abs(high))) + self.atol + _SAFETY * slope.error
        if slope.admits(claimed, tolerance):
            return "kink", "a subgradient at a kink"
        if slope.admits(claimed, tolerance + slope.doubt() / _KNOWN_TO_REFUTE):
            return "undecided", self._doubted(slope)
        return "wrong", f"it is not between {float(low):g} and {float(high):g}, as the subgradients at this kink are"

    def _floats_back(self, question: Question, slope: Slope) -> bool:
        """Return whether differences of floats confirm the claim, and contradict the truth at 50 digits."""
        self.in_floats += 1
        if len(question.indices) > 1 or not self.truth.is_exact or self.in_floats > self.most_in_floats:
            return False
        found = differences.slope(
            lambda numbers: self.claim.values(numbers)[question.output], self.point, question.indices[0]
        )
        if len(found.sides) < 2 or found.is_kink or not math.isfinite(question.claimed):
            return False
        near = _SAFETY * found.error + self.rtol * abs(found.value)
        return bool(abs(question.claimed - found.value) <= near and abs(slope.value - found.value) > 10.0 * near)


def _difference(claimed: float, side: object) -> float:
    if math.isinf(side) or math.isinf(claimed):  # type: ignore[arg-type]
        return 0.0 if claimed == side else math.inf
    return claimed - side  # type: ignore[operator]
