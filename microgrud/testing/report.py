"""The result of a check: a report, and an error with hints for a beginner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .verdicts import Verdict

_MOST_SHOWN = 3
_MOST_NUMBERS = 12


class GradientError(AssertionError):
    """Raised for a gradient that is not the derivative of its function; `report` has the details, or is None."""

    def __init__(self, message: str, report: GradientReport | None = None) -> None:
        super().__init__(message)
        self.report = report


@dataclass(frozen=True, repr=False)
class GradientReport:
    """The result of a check: true in a condition if every derivative is right.

    Attributes:
        function: the name of the function under test.
        point: the arguments, as text.
        order: the number of differentiations.
        method: the source of the truth.
        verdicts: a verdict for each derivative.
        blamed: a line for each operation whose local derivative is off; None if there is no graph to search.
    """

    function: str
    point: str
    order: int
    method: str
    verdicts: list[Verdict]
    blamed: list[str] | None = None

    @property
    def failures(self) -> list[Verdict]:
        """The derivatives that are wrong."""
        return [verdict for verdict in self.verdicts if verdict.is_failure]

    @property
    def undecided(self) -> list[Verdict]:
        """The derivatives whose truth is not known well enough."""
        return [verdict for verdict in self.verdicts if verdict.kind == "undecided"]

    @property
    def decided(self) -> bool:
        """True if every derivative was found right or wrong."""
        return not self.undecided

    def __bool__(self) -> bool:
        """Return whether every derivative was found right."""
        return not self.failures and not self.undecided

    def __repr__(self) -> str:
        return f"<{self}>"  # pytest shows this for a failing `assert check_gradients(...)`

    def __str__(self) -> str:
        failures, undecided = self.failures, self.undecided
        count = len(self.verdicts)
        what = "gradient" if self.order == 1 else f"derivative of order {self.order}"
        if not failures:
            text = f"the {what} of {self.function} is right in {count - len(undecided)} of {count} entries"
            text += f" ({self.method})"
            if undecided:
                text += "; the others are undecided here\n" + "\n".join(map(_undecided, undecided[:_MOST_SHOWN]))
            return text
        kinds = {verdict.kind for verdict in failures}
        how = "unstable" if kinds == {"unstable"} else "wrong"
        worst = sorted(failures, key=lambda verdict: -_rank(verdict))[:_MOST_SHOWN]
        lines = [
            f"the {what} of {self.function} is {how} in {len(failures)} of {count} entries",
            f"  at {self.point}",
            *(line for verdict in worst for line in ["", *self._explained(verdict)]),
        ]
        if len(failures) > len(worst):
            lines += ["", f"  ... and {len(failures) - len(worst)} more"]
        if self.blamed:
            lines += ["", "to blame:", *(f"  {line}" for line in self.blamed)]
        elif self.blamed is not None and how == "unstable":
            lines += [
                "",
                "every operation in the graph has the right local derivative: it is the formula that loses digits",
            ]
        return "\n".join(lines)

    def _explained(self, verdict: Verdict) -> list[str]:
        slope = verdict.slope
        lines = [
            f"  {derivative(verdict)}",
            f"    claimed  {verdict.claimed!r}",
            f"    true     {_true(verdict)}  ({slope.method}{_accuracy(verdict)})",
        ]
        if math.isfinite(verdict.relative_error) and not slope.is_kink:
            ulps = f"{verdict.ulp_error:.3g} units in the last place"
            lines.append(f"    off by   {verdict.relative_error:.3g} of the truth, {ulps}")
        hint = verdict.reason or _hint(verdict, self.verdicts)
        return [*lines, f"    {hint}"] if hint else lines


def derivative(verdict: Verdict) -> str:
    """Return the name of a derivative: `d f / d x[0]`, `d2 f / d x[0] d x[1]`."""
    order = len(verdict.inputs)
    power = "" if order == 1 else str(order)
    return f"d{power} f{verdict.output} / {' '.join(f'd {name}' for name in verdict.inputs)}"


def shown_point(names: Sequence[str], point: Sequence[float]) -> str:
    """Write a point as assignments that Python can read, shortened if there are many."""
    text = ", ".join(f"{name} = {x!r}" for name, x in list(zip(names, point))[:_MOST_NUMBERS])
    return text + (f", ... {len(point)} numbers in all" if len(point) > _MOST_NUMBERS else "")


def _true(verdict: Verdict) -> str:
    sides = [float(side) for side in verdict.slope.sides]
    if verdict.slope.is_kink:
        return f"{sides[0]!r} from below, {sides[1]!r} from above"
    return repr(float(verdict.slope.value))


def _accuracy(verdict: Verdict) -> str:
    return ", 50 digits" if "mpmath" in verdict.slope.method else f", give or take {verdict.slope.error:.1e}"


def _rank(verdict: Verdict) -> float:
    error = verdict.relative_error
    return math.inf if math.isnan(error) else error


def _hint(verdict: Verdict, all_verdicts: Sequence[Verdict]) -> str:
    """Describe a wrong number: one of the wrong sign, a multiple, or the derivative of another input."""
    true, claimed = float(verdict.slope.value), verdict.claimed
    if not math.isfinite(claimed) or not math.isfinite(true) or true == 0.0:
        return ""
    if claimed == 0.0:
        return "it is missing: 0 is claimed"
    ratio = claimed / true
    for factor, words in (
        (-1.0, "it has the wrong sign"),
        (2.0, "it is twice the truth"),
        (0.5, "it is half the truth"),
    ):
        if math.isclose(ratio, factor, rel_tol=1e-6):
            return words
    for other in all_verdicts:
        theirs = float(other.slope.value)
        if other is not verdict and theirs != true and math.isclose(claimed, theirs, rel_tol=1e-9):
            return f"it is the one that {derivative(other)} should be"
    return f"it is {ratio:.10g} times the truth"


def _undecided(verdict: Verdict) -> str:
    return f"  {derivative(verdict)}: claimed {verdict.claimed!r}; {verdict.reason}"
