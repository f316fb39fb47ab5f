"""Which learning rate: a sweep from rates that do nothing to rates that throw the parameters away."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine import Value
from ..operation import Interval
from ..optim.optimizer import Optimizer
from ..optim.packing import Vector, read_data, read_gradients, write_data, write_gradients
from ..optim.settings import FRACTION, POSITIVE, real, whole
from .axes import axes_for, png
from .bar import with_progress
from .paths import place_legend
from .scales import LOG_NOTE, asks_for_log, three_digits
from .style import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LearningRateRange", "learning_rate_range"]

#: The sweep ends where the smoothed loss is so many times its lowest, as far as that is from where it started.
_DIVERGED = 4.0
#: The share of the whole fall of the loss with which a rate begins to be good.
_BEGUN = 0.1
#: A fall of fewer times the usual change from step to step may be chance.
_NOISE = 3.0


@dataclass(frozen=True, eq=False, repr=False)
class LearningRateRange:
    """What a sweep of learning rates met; at the end of a notebook's cell it shows itself.

    Attributes:
        rates: the rates that were tried, ascending: those up to where the loss diverged.
        losses: the loss at each, before its step.
        smoothed: its exponential moving average.
        good: from which rate to which the loss falls; None if it never does.
        suggestion: the rate at which it falls most steeply; None if it never does.
        highest: the highest rate that was asked for.
        diverged: whether the sweep ended early because the loss ran away.
    """

    rates: Vector
    losses: Vector
    smoothed: Vector
    good: tuple[float, float] | None
    suggestion: float | None
    highest: float
    diverged: bool

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the loss over the rates, with the ranges that are too small, good, and too large, and the suggestion.

        Args:
            ax: the Axes to draw on; those of a new Figure, which show themselves in a notebook, if None.

        Returns:
            The Axes, labelled.

        Raises:
            TypeError: for anything but Axes.
            ImportError: without matplotlib.
        """
        ax = axes_for("LearningRateRange.plot", ax, 6.6, 4.2)
        ax.plot(self.rates, self.losses, color="#8a8a8a", linewidth=0.8, label="each step")
        ax.plot(self.rates, self.smoothed, color=style(0).color, linewidth=2.0, label="smoothed")
        ax.set_xscale("log")
        log = asks_for_log(self.smoothed)
        finite = self.smoothed[np.isfinite(self.smoothed)]
        if log:
            ax.set_yscale("log", nonpositive="mask")
        else:
            reach = float(finite.max() - finite.min()) or 1.0
            # A single step that ran away must not flatten the rest.
            ax.set_ylim(float(finite.min()) - 0.25 * reach, float(finite.max()) + 0.25 * reach)
        ax.set_xlim(self.rates[0], self.highest)
        self._mark_ranges(ax)
        if self.suggestion is not None:
            height = float(np.interp(math.log(self.suggestion), np.log(self.rates), self.smoothed))
            ax.plot(
                [self.suggestion], [height], linestyle="none", marker="*", markersize=16, color=style(1).color,
                markeredgecolor="white", label=f"suggested: {three_digits(self.suggestion)}", zorder=5,
            )  # fmt: skip
        ax.set(xlabel=f"learning rate{LOG_NOTE}", ylabel=f"loss{LOG_NOTE if log else ''}")
        curves = [np.column_stack([self.rates, line]) for line in (self.smoothed, self.losses)]
        names = np.column_stack([np.geomspace(self.rates[0], self.highest, 200), np.full(200, ax.get_ylim()[1])])
        curves.append(names)  # along the top
        place_legend(ax, ax.get_legend_handles_labels()[0], curves)
        return ax

    def _mark_ranges(self, ax: Axes) -> None:
        """Shade and name the ranges of rates, in a line above the curve."""
        if self.good is None:
            ranges = [(self.rates[0], self.highest, "no rate makes the loss fall", "", "#eeeeee")]
        else:
            begin, end = self.good
            beyond = "diverging" if self.diverged else "too large"
            ranges = [
                (self.rates[0], begin, "too small", "", "#eeeeee"),
                (begin, end, "good", "", style(2).tint),
                (end, self.highest, beyond, "///", "#ffffff"),
            ]
        width = math.log(self.highest / self.rates[0])
        for low, high, name, hatch, tint in ranges:
            if high <= low:
                continue
            ax.axvspan(low, high, facecolor=tint, edgecolor="#cfcfcf", hatch=hatch, linewidth=0.0, zorder=0)
            narrow = math.log(high / low) < 0.02 * len(name) * width
            ax.text(
                math.sqrt(low * high), 0.98, name, transform=ax.get_xaxis_transform(), ha="center", va="top",
                rotation=90 if narrow else 0, fontsize="small", weight="bold",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
            )  # fmt: skip

    def _repr_png_(self) -> bytes:
        return png(self.plot().figure)

    def __repr__(self) -> str:
        if self.good is None or self.suggestion is None:
            return f"LearningRateRange(no rate up to {self.rates[-1]:.3g} makes the loss fall)"
        low, high = self.good
        return f"LearningRateRange(good from {low:.3g} to {high:.3g}, suggested {self.suggestion:.3g})"


def learning_rate_range(
    loss: Callable[[], Any],
    optimizer: Optimizer,
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    smoothing: float = 0.8,
    progress: bool | None = None,
) -> LearningRateRange:
    """Try learning rates from low to high, a step each, and see with which ones the loss falls.

    The rate of step `i` is `lowest * (highest/lowest)**(i/(steps - 1))`. The loss is smoothed by an exponential moving
    average, corrected for its start. Rates are too small until a tenth of the whole fall of the smoothed loss is done,
    good from where it stays below that to its lowest point, and too large beyond; the suggestion is where it falls most
    steeply over the logarithm of the rate, taken over a tenth of the steps on either side. The sweep ends where the
    loss is not finite, or has risen to four times its fall.

    Parameters, gradients and the optimizer are put back as they were, to the bit, whatever happens on the way.

    Source: Smith, "Cyclical learning rates for training neural networks", WACV 2017, section 3.3 (2015 as a preprint).

    Args:
        loss: called without arguments, it computes the loss from the parameters as they are, a Value; of the next
            mini-batch, if training goes by mini-batches.
        optimizer: what takes the steps; all its groups have the rate.
        lowest: the first rate, above 0.
        highest: the last one, above `lowest`.
        steps: how many rates to try, at least 2.
        smoothing: how much of the average to keep at each step, from 0 to below 1.
        progress: whether to show a progress bar; by default where it takes more than two seconds and somebody looks
            on.

    Returns:
        A `LearningRateRange`: its `plot()` draws it, its `suggestion` is a rate.

    Raises:
        TypeError, ValueError: for invalid arguments. What the loss raises at the very start it raises here too.

    >>> from microgrud.optim import SGD
    >>> x = Value(1.0)
    >>> result = learning_rate_range(lambda: 50 * x * x, SGD([x]), lowest=1e-4, highest=1.0, steps=60)
    >>> 0.001 < result.suggestion < 0.02, result.diverged, x.data     # 0.02 is where it begins to diverge
    (True, True, 1.0)
    """
    where = "learning_rate_range"
    if not callable(loss):
        raise TypeError(f"{where}: loss: expected a function without arguments, got a {type(loss).__name__}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{where}: optimizer: expected an Optimizer, got an object of type {type(optimizer).__name__}")
    low = real(POSITIVE)(f"{where}: lowest", lowest)
    high = real(Interval(low, math.inf, low_open=True, high_open=True))(f"{where}: highest", highest)
    rates = np.geomspace(low, high, whole(2)(f"{where}: steps", steps))
    keep = real(FRACTION)(f"{where}: smoothing", smoothing)
    parameters = optimizer.parameters()
    data, gradients, state = read_data(parameters), read_gradients(parameters), optimizer.state_dict()
    try:
        losses = _sweep(loss, optimizer, rates, keep, progress)
    finally:
        optimizer.load_state_dict(state)
        write_data(parameters, data)
        write_gradients(parameters, gradients)
    smoothed = _smoothed(losses, keep)
    good, suggestion = _judged(rates[: len(losses)], smoothed)
    return LearningRateRange(
        rates[: len(losses)], losses, smoothed, good, suggestion, float(rates[-1]), len(losses) < len(rates)
    )


def _sweep(loss: Callable[[], Any], optimizer: Optimizer, rates: Vector, keep: float, progress: bool | None) -> Vector:
    """Take a step with each rate; return the loss before each, up to where it runs away."""

    def closure() -> Value:
        optimizer.zero_grad()
        result = loss()
        if not isinstance(result, Value):
            raise TypeError(f"learning_rate_range: loss: expected it to return a Value, got a {type(result).__name__}")
        result.backward()
        return result

    losses: list[float] = []
    for rate in with_progress("learning_rate_range", rates.tolist(), progress, "rate"):
        for group in optimizer.param_groups:
            group["lr"] = rate
        try:
            height = closure()
            if not math.isfinite(height.data):
                break
            losses.append(height.data)
            if _has_diverged(_smoothed(np.array(losses), keep)):
                break
            optimizer.step(closure if optimizer.needs_closure else None)
        except (ArithmeticError, ValueError):
            if not losses:
                raise  # it cannot even begin: the loss is wrong, or where it starts
            break
    if not losses:
        raise ValueError("learning_rate_range: loss: expected a finite loss to start from, got none")
    return np.array(losses)


def _has_diverged(smoothed: Vector) -> bool:
    """Tell whether the loss is further above its lowest than four times as far as it fell, or as its size at first."""
    lowest = float(smoothed.min())
    fall = max(float(smoothed[0]) - lowest, abs(lowest))
    return bool(smoothed[-1] > lowest + _DIVERGED * fall) and int(smoothed.argmin()) < len(smoothed) - 1


def _smoothed(losses: Vector, keep: float) -> Vector:
    """Return the exponential moving average of the losses, each as if the first had been there ever since.

    >>> _smoothed(np.array([1.0, 3.0]), 0.5).tolist()
    [1.0, 2.3333333333333335]
    """
    average, smoothed = 0.0, []
    for i, x in enumerate(losses.tolist(), start=1):
        average = keep * average + (1.0 - keep) * x
        smoothed.append(average / (1.0 - keep**i))
    return np.array(smoothed)


def _judged(rates: Vector, smoothed: Vector) -> tuple[tuple[float, float] | None, float | None]:
    """Return the range of good rates and the one to suggest, None each if the loss never falls."""
    lowest = int(smoothed.argmin())
    # A loss of mini-batches jumps about: where it starts is the middle of its first numbers.
    window = max(1, len(smoothed) // 10)
    start = float(np.median(smoothed[:window]))
    fall = start - float(smoothed[lowest])
    noise = float(np.median(np.abs(np.diff(smoothed)))) if len(smoothed) > 1 else 0.0
    if lowest < 2 or fall <= _NOISE * noise:
        return None, None
    begin = 1 + int(np.flatnonzero(smoothed[:lowest] > start - _BEGUN * fall).max(initial=0))
    places = np.arange(begin, lowest + 1)
    before, after = np.maximum(places - window, 0), np.minimum(places + window, lowest)
    slopes = (smoothed[after] - smoothed[before]) / (after - before)
    return (float(rates[begin]), float(rates[lowest])), float(rates[places[int(np.argmin(slopes))]])
