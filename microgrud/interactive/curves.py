"""`curves`: learning curves that differ in dashes as well as in colour, with names at their ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..common.arrays import unpacked
from ..common.checks import one_of
from ..common.numbers import as_float, as_sequence
from ..common.words import counted, shortened
from ..engine import Value
from .charts import (
    DASHES,
    LETTER,
    SERIES,
    Axis,
    End,
    Legend,
    asks_for_log,
    axis_of,
    chart,
    frame,
    line,
    marks,
    names_at_ends,
    pixel,
    short,
)
from .picture import Picture

if TYPE_CHECKING:
    from ..train.history import History

#: The widest name at the end of a curve, in letters.
_NAME = 14


class Curves(Picture):
    """Curves of a training run: one number for each epoch or step.

    Attributes:
        series: the numbers of each curve by its name; None where there is none.
        marked: the name of the curve whose lowest number is marked; None for none.
    """

    _label = "Learning curves"

    def __init__(
        self, series: dict[str, list[float | None]], xlabel: str, ylabel: str, scale: str, marked: str | None
    ) -> None:
        self.series, self.marked = series, marked
        numbers = [x for curve in series.values() for x in curve if x is not None and math.isfinite(x)]
        if not numbers:
            raise ValueError("curves: expected at least one finite number, got none")
        if scale == "log" and max(numbers) <= 0.0:
            raise ValueError("curves: scale: expected 'linear' or 'auto', since no number is positive, got 'log'")
        self._log = scale == "log" or (scale == "auto" and asks_for_log(numbers))
        self._numbers, self._xlabel, self._ylabel = numbers, xlabel, ylabel

    def lowest(self, name: str) -> tuple[int, float]:
        """Return the epoch (or step), counted from 1, with the lowest number of a curve, the first of equal ones.

        Raises:
            KeyError: if no curve has the name.
            ValueError: for a curve without a finite number.

        >>> curves({"validation": [3.0, 1.0, 2.0]}).lowest("validation")
        (2, 1.0)
        """
        known = [(x, k) for k, x in enumerate(self.series[name], 1) if x is not None and math.isfinite(x)]
        if not known:
            raise ValueError(f"curves: {name}: expected at least one finite number, got none")
        height, epoch = min(known)
        return epoch, height

    def _words(self, state: int) -> str:
        parts = []
        for name, curve in self.series.items():
            known = [x for x in curve if x is not None]
            course = f"{short(known[0], 3)} to {short(known[-1], 3)}" if known else "no number"
            if name == self.marked:
                epoch, height = self.lowest(name)
                course += f", lowest {short(height, 3)} at {self._xlabel} {epoch} of {len(curve)}"
            hidden = sum(not math.isfinite(x) or (self._log and x <= 0.0) for x in known)
            parts.append(f"{name}: {course}" + (f" ({counted(hidden, 'number')} not drawn)" if hidden else ""))
        return f"{self._ylabel}; {'; '.join(parts)}"

    def _axes(self) -> tuple[Axis, Axis]:
        up = axis_of(self._numbers, log=self._log)
        widest = max(len(shortened(name, _NAME)) for name in self.series)
        left, right, top, bottom = frame(up, right=48.0 + 1.3 * LETTER * widest)
        longest = max(map(len, self.series.values()))
        return Axis(1.0, max(longest, 2), left, right, whole=True), up.moved(bottom, top)

    def _svg(self, state: int, titled: bool) -> str:
        across, up = self._axes()
        inside, ends = [], []
        for k, (name, curve) in enumerate(self.series.items()):
            places = [
                (across(i), up(x)) if x is not None and math.isfinite(x) and (x > 0.0 or not self._log) else None
                for i, x in enumerate(curve, 1)
            ]
            look = f'class="c{k % SERIES}" fill="none" stroke-width="2.2" stroke-dasharray="{DASHES[k % SERIES]}"'
            inside.append(f'<path {look} d="{line(places)}"/>')
            known = [place for place in places if place is not None]
            if len(known) == 1:  # a line of one point is invisible
                inside.append(f'<path class="f{k % SERIES}" d="{marks(0, known)}"/>')
            if known:
                ends.append(End(known[-1], shortened(name, _NAME), look))
        mark, legend = self._mark(across, up)
        note = " (logarithmic scale)" if self._log else ""
        return chart(
            across, up, "".join(inside), labels=(self._xlabel, f"{self._ylabel}{note}"),
            says=f"{self._label}: {self._words(state)}", over=names_at_ends(ends, across.end, up) + mark, legend=legend,
        )  # fmt: skip

    def _mark(self, across: Axis, up: Axis) -> tuple[str, list[Legend]]:
        """Return a ring around the lowest number of the marked curve with a line to its epoch, and the words for it."""
        if self.marked is None:
            return "", []
        epoch, height = self.lowest(self.marked)
        ring = '<path class="ink" fill="none" stroke-width="2" d="{}"/>'
        place, words = (across(epoch), up(height)), f"lowest {self.marked}: {self._xlabel} {epoch}"
        down = f"M{pixel(place[0])} {pixel(place[1])}V{pixel(up.start)}"
        below = f'<path class="ink" fill="none" stroke-dasharray="1 4" d="{down}"/>'
        return below + ring.format(marks(0, [place], 6)), [Legend(ring.format(marks(0, [(0, 0)], 6)), words)]


def curves(
    series: Mapping[str, Sequence[Any]] | Sequence[Any] | History,
    *,
    xlabel: str = "epoch",
    ylabel: str = "loss",
    scale: str = "auto",
    marked: str | None = None,
) -> Curves:
    """Draw learning curves: the loss of each epoch, on the training and on the validation data.

    Args:
        series: for each curve its name and its numbers, one for each epoch or step; or the numbers of one curve; or the
            `History` that `fit` returned: its losses of each epoch, or of each step if no epoch is complete.
        xlabel: the unit of the horizontal axis, counted from 1.
        ylabel: the words above the vertical axis.
        scale: `"linear"`, `"log"`, or `"auto"` for a logarithmic scale if all numbers are positive and the largest is
            more than ten times the smallest.
        marked: the curve whose lowest number is marked; that named `"validation"`, if there is one, by default.

    Returns:
        the picture; `.save("curves.svg")` writes it, and `print` describes it.

    Raises:
        TypeError, ValueError: for anything else, and if no number is finite.

    >>> picture = curves({"train": [0.9, 0.4, 0.2], "validation": [0.8, 0.5, 0.6]})
    >>> print(picture)
    loss; train: 0.9 to 0.2; validation: 0.8 to 0.6, lowest 0.5 at epoch 2 of 3
    """
    one_of("auto", "linear", "log")("curves: scale", scale)
    given: Any = series
    if hasattr(given, "epochs"):  # a History; its class cannot be imported without NumPy
        given, xlabel = _of_history(given, xlabel)
    if not isinstance(given, Mapping):
        given = {ylabel: given}
    if not given:
        raise ValueError("curves: series: expected at least one curve, got an empty dict")
    named = {str(name): _numbers(str(name), numbers) for name, numbers in given.items()}
    if marked is None:
        marked = "validation" if any(x is not None and math.isfinite(x) for x in named.get("validation", ())) else None
    elif marked not in named:
        raise ValueError(f"curves: marked: expected one of {', '.join(map(repr, named))}, got {marked!r}")
    return Curves(named, str(xlabel), str(ylabel), scale, marked)


def _numbers(name: str, numbers: Any) -> list[float | None]:
    where = f"curves: {name}"
    found = [x.data if isinstance(x, Value) else x for x in map(unpacked, as_sequence(numbers, where))]
    return [None if x is None else as_float(x, where) for x in found]


def _of_history(history: History, xlabel: str) -> tuple[dict[str, list[float | None]], str]:
    """Return the curves of a training run, and their unit."""
    if not history.epochs:
        return {"train": list(history.loss)}, "step"
    found: dict[str, list[float | None]] = {"train": [record.loss for record in history.epochs]}
    validation = [record.validation_loss for record in history.epochs]
    return {**found, "validation": validation} if any(x is not None for x in validation) else found, xlabel
