"""`residuals`: expected and predicted numbers, and a stick for each difference, which shrinks in training."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..common.arrays import unpacked
from ..common.checks import ANY, real
from ..common.numbers import as_sequence
from ..common.words import counted
from .charts import Axis, Legend, axis_of, chart, frame, line, marks, short
from .states import Model, Models, States, outputs, outputs_between

#: The number of places between the ends of the horizontal axis at which the prediction is evaluated.
_PLACES = 81
#: Predictions further outside of the expected numbers than their range times this leave the picture.
_REACH = 1.25
_LEGEND = (
    Legend(f'<path class="dot" d="{marks(0, [(4, 0)])}"/>', "expected"),
    Legend('<path class="c0" stroke-width="2.5" d="M-5 0h14"/>', "predicted"),
    Legend('<path class="c1" stroke-width="2.5" stroke-dasharray="4 2" d="M4 -8v16"/>', "residual"),
)


class Residuals(States):
    """The residuals of a model of one input: points, the prediction, and a stick for each difference.

    Attributes:
        xs: the inputs.
        ys: the expected numbers.
    """

    _label = "Expected and predicted numbers"

    def __init__(self, models: Models, xs: Iterable[float], ys: Iterable[float], labels: tuple[str, str]) -> None:
        self.xs = [real(ANY)("residuals: xs", unpacked(x)) for x in as_sequence(xs, "residuals: xs")]
        self.ys = [real(ANY)("residuals: ys", unpacked(y)) for y in as_sequence(ys, "residuals: ys")]
        if not self.xs or len(self.xs) != len(self.ys):
            raise ValueError(
                f"residuals: expected as many ys as xs, at least one of each, got {len(self.xs)} xs and "
                f"{len(self.ys)} ys"
            )
        self._labels = labels
        across = axis_of(self.xs)
        self._grid = [across.low + (across.high - across.low) * k / (_PLACES - 1) for k in range(_PLACES)]
        low, high = min(self.ys), max(self.ys)
        reach = _REACH * (high - low) or abs(low) or 1.0
        self._limits = low - reach, high + reach
        self._seen = [low, high]
        super().__init__("residuals", models)

    def errors(self, state: int = -1) -> list[float]:
        """Return the residuals of a state: for each point the prediction less the expected number.

        Args:
            state: the index of the state; the last one by default.
        """
        predicted, _ = self._states[state]
        return [p - y for p, y in zip(predicted, self.ys)]

    def mean_squared_error(self, state: int = -1) -> float:
        """Return the mean of the squared residuals of a state.

        Args:
            state: the index of the state; the last one by default.
        """
        squares = [error * error for error in self.errors(state)]
        return math.fsum(squares) / len(squares) if all(map(math.isfinite, squares)) else sum(squares)

    def _evaluate(self, model: Model) -> tuple[list[float], list[float]]:
        predicted = [self._number(model, x) for x in self.xs]
        curve = [outputs_between("residuals", model, x, 1)[0] for x in self._grid]
        low, high = self._limits
        seen = [*self._seen, *(max(low, min(high, p)) for p in (*predicted, *curve) if math.isfinite(p))]
        self._seen = [min(seen), max(seen)]
        return predicted, curve

    def _number(self, model: Model, x: float) -> float:
        found = outputs("residuals", model(x))
        if len(found) != 1:
            raise ValueError(f"residuals: expected a model of one output, got {len(found)} outputs at x = {x:g}")
        return found[0]

    def _words(self, state: int) -> str:
        words = f"{self._step(state)}mean squared error {short(self.mean_squared_error(state), 4)}"
        up = self._up()
        outside = sum(not up.low <= p <= up.high for p in self._states[state][0])
        return words + (f" ({counted(outside, 'prediction')} outside of the picture)" if outside else "")

    def _up(self) -> Axis:
        """Return the vertical scale, which shows the curves of all states; those far outside do not stretch it."""
        return axis_of(self._seen)

    def _axes(self, titled: bool) -> tuple[Axis, Axis]:
        up = self._up()
        left, right, top, bottom = frame(up, title=titled)
        return Axis(self._grid[0], self._grid[-1], left, right), up.moved(bottom, top)

    def _paths(self, state: int, titled: bool) -> tuple[str, str]:
        """Return the path of the prediction, and that of all sticks."""
        across, up = self._axes(titled)
        predicted, heights = self._states[state]
        curve = line((across(x), up(p)) if math.isfinite(p) else None for x, p in zip(self._grid, heights))
        sticks = [line([(across(x), up(y)), (across(x), up(p))]) for x, y, p in zip(self.xs, self.ys, predicted)
                  if not math.isnan(p)]  # fmt: skip
        return "".join(sticks), curve

    def _frame(self, state: int) -> list[str]:
        return list(self._paths(state, False))

    def _svg(self, state: int, titled: bool) -> str:
        across, up = self._axes(titled)
        sticks, curve = self._paths(state, titled)
        points = marks(0, [(across(x), up(y)) for x, y in zip(self.xs, self.ys)])
        inside = (
            f'<path class="c1" data-slot="d" stroke-width="2.5" stroke-dasharray="4 2" d="{sticks}"/>'
            f'<path class="c0" data-slot="d" fill="none" stroke-width="2.5" d="{curve}"/>'
            f'<path class="dot" d="{points}"/>'
        )
        words = self._words(state)
        return chart(
            across, up, inside, labels=self._labels, says=f"{self._label}: {words}", title=words if titled else None,
            legend=_LEGEND,
        )  # fmt: skip


def residuals(
    predict: Models, xs: Iterable[Any], ys: Iterable[Any], *, xlabel: str = "x", ylabel: str = "y"
) -> Residuals:
    """Draw expected and predicted numbers of one input: points, the prediction's line, and a stick for each residual.

    A picture of one model has one state, its present one; `record()` adds the state after a step of training, or pass
    the picture to `fit` as a callback. With several states, a notebook shows a player: the sticks shrink as the mean
    squared error falls. No state changes when the model does.

    Args:
        predict: a function from a number to a number or a Value, such as `lambda x: w * x + b`; or a network of one
            input and one output; or a list of such models, one for each state, or a dict of them by name.
        xs: the n inputs.
        ys: the n expected numbers.
        xlabel: the words below the horizontal axis.
        ylabel: the words above the vertical one.

    Returns:
        the picture; `.save("residuals.html")` writes it, and `print` prints the mean squared error of each state.

    Raises:
        TypeError, ValueError: for anything else, and for a list of functions that all read the same variables.

    >>> from microgrud import Value
    >>> w = Value(0.0)
    >>> picture = residuals(lambda x: w * x, [1.0, 2.0], [2.0, 4.0])
    >>> w.data = 1.5
    >>> picture.record()
    >>> print(picture)
    step 0 of 1: mean squared error 10
    step 1 of 1: mean squared error 0.625
    """
    return Residuals(predict, xs, ys, (str(xlabel), str(ylabel)))
