"""The choice of a learning rate: a sweep from rates that change nothing to rates that make training diverge."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.checks import FRACTION, POSITIVE, flag, instance, optional, real, whole
from ..common.numbers import Interval
from ..engine import Value, topological_order
from ..engine.grad_mode import without_graph
from ..engine.vectors import Vector, read_data, read_gradients, restored, write_data, write_gradients
from ..optim.optimizer import Optimizer
from ..train.progress import with_progress
from .axes import Axes, axes_for, png
from .scales import LOG_NOTE, asks_for_log, drawable, three_digits
from .style import style
from .walks import draw_legend

#: The sweep ends where the smoothed loss has risen above its lowest point by this many times its fall up to there, or
#: by this many times its size there.
_DIVERGED = 4.0
#: Good rates begin where this share of the whole fall of the loss is done.
_BEGUN = 0.1
#: A fall below this many times the usual change from step to step may be chance.
_NOISE = 3.0
#: A fall below this part of the loss is rounding; the moving average alone causes some.
_ROUNDING = 1e-9
#: The number of steps in a trial of one rate. A quarter above 2/L the loss along a direction of curvature L grows by
#: the factor 1.5**2 a step, so that 50 steps bring up a part that was 1e-17 of the loss.
_TRIAL = 50
#: A rate is good if this many times the rate passes its trial: just above the limit a walk diverges too slowly to tell.
_MARGIN = 1.25
#: The suggestion is at most this part of the highest good rate. On a bowl of curvature L walks diverge from 2/L on, and
#: 1/L, half of that, leads to the bottom at once.
_SAFE = 0.5
#: The number of losses evaluated before the first step, if they are those of random batches.
_EVALUATIONS = 10
#: The number of trials that a rate must pass if the batches are random: a walk may fail to diverge once by chance.
_BATCH_TRIALS = 3
#: A trial ends where the loss has risen by this many times its size.
_LOST = 100.0


@dataclass(frozen=True, eq=False, repr=False)
class LearningRateRange:
    """The result of a sweep of learning rates; at the end of a notebook's cell it shows itself.

    Attributes:
        rates: the rates that were tried, ascending, up to the one where the loss diverged.
        losses: the loss before the step of each rate.
        smoothed: the exponential moving average of the losses.
        good: the lowest and the highest rate at which the loss falls; None if it never does.
        suggestion: the rate at which the loss falls most steeply, at most half the highest good one; None if it never
            does.
        highest: the highest rate that was requested.
        diverged: whether the sweep ended early because the loss diverged.
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
        losses, smoothed = drawable(self.losses), drawable(self.smoothed)
        ax.plot(self.rates, losses, color="#8a8a8a", linewidth=0.8, label="each step")
        ax.plot(self.rates, smoothed, color=style(0).color, linewidth=2.0, label="smoothed")
        ax.set_xscale("log")
        log = asks_for_log(smoothed)
        finite = smoothed[np.isfinite(smoothed)]
        if log:
            ax.set_yscale("log", nonpositive="mask")
        else:
            reach = float(finite.max() - finite.min()) or 1.0
            # The limits are those of the smoothed loss: a single large loss must not flatten the rest.
            ax.set_ylim(float(finite.min()) - 0.25 * reach, float(finite.max()) + 0.25 * reach)
        ax.set_xlim(self.rates[0], self.highest)
        self._mark_ranges(ax)
        if self.suggestion is not None:
            height = float(np.interp(math.log(self.suggestion), np.log(self.rates), smoothed))
            ax.plot(
                [self.suggestion], [height], linestyle="none", marker="*", markersize=16, color=style(1).color,
                markeredgecolor="white", label=f"suggested: {three_digits(self.suggestion)}", zorder=5,
            )  # fmt: skip
        ax.set(xlabel=f"learning rate{LOG_NOTE}", ylabel=f"loss{LOG_NOTE if log else ''}")
        # The names of the ranges stand along the top.
        draw_legend(ax, ax.get_legend_handles_labels()[0], bbox_to_anchor=(0.0, 0.0, 1.0, 0.92))
        return ax

    def _mark_ranges(self, ax: Axes) -> None:
        """Shade the ranges of rates, and write their names above the curve."""
        if self.good is None:
            ranges = [(self.rates[0], self.highest, "no rate makes the loss fall", "", "#eeeeee")]
        else:
            begin, end = self.good
            ranges = [
                (self.rates[0], begin, "too small", "", "#eeeeee"),
                (begin, end, "good", "", style(2).tint),
                # Not "diverging": the loss of the sweep still falls at rates at which a walk from the start diverges.
                (end, self.highest, "too large", "///", "#ffffff"),
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
    """Try learning rates from low to high, one step each, and find those with which the loss falls.

    The rate of step `i` is `lowest * (highest/lowest)**(i/(steps - 1))`. The loss is smoothed by an exponential moving
    average, corrected for its start; the sweep ends where it is not finite, or has risen to four times its fall.

    The sweep alone cannot show where the good rates end: it reaches the rates that are too large only after the loss
    has come down, and takes many steps to climb again. So rates up to that of the lowest smoothed loss are tried, by
    bisection: 50 steps from the start, all with 1.25 times the rate, must not lead to a higher loss than that at the
    start. The highest rate that passes is the end of the good ones; on a bowl of curvature L, where gradient descent
    diverges from 2/L on, it lies below 2/L. The good rates begin where a tenth of the fall of the smoothed loss up to
    their end is done. The suggestion is the rate at which the loss falls most steeply over the logarithm of the rate,
    measured over a tenth of the steps on either side, but at most half the highest good rate.

    The parameters, the gradients of everything that the loss depends on, and the optimizer are restored to the bit,
    even after an error.

    Source: Smith, "Cyclical learning rates for training neural networks", WACV 2017, section 3.3 (2015 as a preprint).

    Args:
        loss: a function without arguments that computes the loss from the present parameters, a Value; if training uses
            mini-batches, the loss of the next one. It is called once per step, and some hundred times more in trials.
        optimizer: the optimizer that takes the steps; all its groups have the same rate.
        lowest: the first rate, above 0.
        highest: the last rate, above `lowest`.
        steps: the number of rates to try, at least 2.
        smoothing: the part of the average to keep at each step, from 0 to below 1.
        progress: whether to show a progress bar; by default after two seconds in a terminal or a notebook.

    Returns:
        A `LearningRateRange`: its `plot()` draws it, its `suggestion` is a rate.

    Raises:
        TypeError, ValueError: for invalid arguments.
        Exception: any error of the loss at its first call.

    >>> from microgrud.optim import SGD
    >>> x = Value(1.0)
    >>> result = learning_rate_range(lambda: 50 * x * x, SGD([x]), lowest=1e-4, highest=1.0, steps=60)
    >>> 0.001 < result.suggestion < result.good[1] <= 0.02, x.data    # from 0.02 on it diverges
    (True, 1.0)
    """
    where = "learning_rate_range"
    instance(Callable, "a function without arguments")(f"{where}: loss", loss)
    instance(Optimizer, "an Optimizer")(f"{where}: optimizer", optimizer)
    low = real(POSITIVE)(f"{where}: lowest", lowest)
    high = real(Interval(low, math.inf, low_open=True, high_open=True))(f"{where}: highest", highest)
    rates = np.geomspace(low, high, whole(2)(f"{where}: steps", steps))
    keep = real(FRACTION)(f"{where}: smoothing", smoothing)
    progress = optional(flag)(f"{where}: progress", progress)
    sweep = _Sweep(loss, optimizer)
    try:
        losses, smoothed, diverged = sweep.rising(rates, keep, progress)
        rates = rates[: len(losses)]
        highest_good = sweep.highest_that_passes(rates, smoothed, progress) if _falls(smoothed) else 0
    finally:
        sweep.restore()
    good, suggestion = _judged(rates, smoothed, highest_good)
    return LearningRateRange(rates, losses, smoothed, good, suggestion, high, diverged)


class _Sweep:
    """Steps of an optimizer with chosen rates, and the restoring of its former state."""

    def __init__(self, loss: Callable[[], Any], optimizer: Optimizer) -> None:
        self._loss = loss
        self._optimizer = optimizer
        self._parameters = optimizer.parameters()
        self._own = set(self._parameters)
        self._data, self._gradients = read_data(self._parameters), read_gradients(self._parameters)
        self._state = optimizer.state_dict()

    def restore(self) -> None:
        """Restore the parameters, the gradients and the optimizer."""
        self._optimizer.load_state_dict(self._state)
        write_data(self._parameters, self._data)
        write_gradients(self._parameters, self._gradients)

    def rising(self, rates: Vector, keep: float, progress: bool | None) -> tuple[Vector, Vector, bool]:
        """Take a step with each rate; return the losses before the steps, their average, and whether they diverged."""
        losses: list[float] = []
        smoothed: list[float] = []
        total, lowest = 0.0, math.inf
        diverged = True
        for rate in with_progress("learning_rate_range", rates.tolist(), progress, "rate"):
            try:
                height = self._closure().data
                if not math.isfinite(height):
                    break
                losses.append(height)
                total = keep * total + (1.0 - keep) * height
                smoothed.append(total / (1.0 - keep ** len(losses)))  # corrected for the start from 0
                lowest = min(lowest, smoothed[-1])
                if smoothed[-1] > lowest + _DIVERGED * max(smoothed[0] - lowest, abs(lowest)):
                    break
                self._step(rate)
            except (ArithmeticError, ValueError):
                if not losses:
                    raise  # the sweep cannot begin: the loss, or the start, is wrong
                break
        else:
            diverged = False
        if not losses:
            raise ValueError("learning_rate_range: loss: expected a finite loss to start from, got none")
        return np.array(losses), np.array(smoothed), diverged

    def highest_that_passes(self, rates: Vector, smoothed: Vector, progress: bool | None) -> int:
        """Return the index of the highest rate, up to that of the lowest loss, that passes its trials with a margin."""
        self.restore()
        start, spread = self._at_the_start()
        size = max(abs(start), float(smoothed[0] - smoothed.min()))
        passing, failing = 0, int(smoothed.argmin()) + 1
        trials = list(range((failing - 1).bit_length()))
        for _ in with_progress("learning_rate_range", trials, progress, "trial"):
            middle = (passing + failing) // 2
            if middle == passing:
                break
            rate = _MARGIN * float(rates[middle])
            passes = all(self._passes(rate, start, spread, size) for _ in range(_BATCH_TRIALS if spread else 1))
            passing, failing = (middle, failing) if passes else (passing, middle)
        return passing

    def _at_the_start(self) -> tuple[float, float]:
        """Return the mean loss at the start, and its standard deviation from batch to batch."""

        def losses_of(count: int) -> list[float]:
            return without_graph(lambda: [self._loss().data for _ in range(count)])

        losses = losses_of(2)
        if losses[0] != losses[1]:
            losses += losses_of(_EVALUATIONS - 2)
        return float(np.mean(losses)), float(np.std(losses))

    def _passes(self, rate: float, start: float, spread: float, size: float) -> bool:
        """Return whether steps from the start with one rate lead to a loss that is no higher, apart from chance."""
        self.restore()
        losses: list[float] = []
        try:
            for _ in range(_TRIAL):
                losses.append(self._closure().data)
                if not losses[-1] <= start + _LOST * size:
                    return False
                self._step(rate)
            losses.append(self._closure().data)
        except (ArithmeticError, ValueError):
            return False
        end = losses[-(_TRIAL // 3) :]
        chance = _NOISE * spread * math.sqrt(1 / len(end) + 1 / _EVALUATIONS)
        return float(np.mean(end)) <= start + chance + 1e-12 * size

    def _step(self, rate: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step(self._closure if self._optimizer.needs_closure else None)

    def _closure(self) -> Value:
        self._optimizer.zero_grad()
        result: Value = instance(Value, "it to return a Value")("learning_rate_range: loss", self._loss())
        # Values that the optimizer does not train, such as frozen layers, would add up the gradients of all steps.
        others = [node for node in topological_order(result) if node not in self._own]
        with restored(others):
            result.backward()
        return result


def _start(smoothed: Vector) -> float:
    """Return the loss at the start: the median of the first losses, since those of mini-batches vary."""
    return float(np.median(smoothed[: _window(smoothed)]))


def _window(smoothed: Vector) -> int:
    return max(1, len(smoothed) // 10)


def _falls(smoothed: Vector) -> bool:
    """Return whether the loss falls by more than chance and rounding can explain."""
    lowest = int(smoothed.argmin())
    fall = _start(smoothed) - float(smoothed[lowest])
    noise = float(np.median(np.abs(np.diff(smoothed)))) if len(smoothed) > 1 else 0.0
    return lowest >= 2 and fall > max(_NOISE * noise, _ROUNDING * abs(_start(smoothed)))


def _judged(rates: Vector, smoothed: Vector, highest: int) -> tuple[tuple[float, float] | None, float | None]:
    """Return the range of good rates and the suggestion, both None if the loss never falls.

    Args:
        rates: the rates, ascending.
        smoothed: the smoothed loss at each rate.
        highest: the index of the highest rate that passed its trials.
    """
    if not _falls(smoothed):
        return None, None
    window, start = _window(smoothed), _start(smoothed)
    end = min(highest, int(smoothed.argmin()))
    fall = start - float(smoothed[end])
    if end < 1 or fall <= 0.0:
        return None, None
    begin = 1 + int(np.flatnonzero(smoothed[:end] > start - _BEGUN * fall).max(initial=0))
    # Half the highest good rate is good as well, even if the loss of the sweep began to fall later.
    safe = max(0, int(np.searchsorted(rates, _SAFE * rates[end], side="right")) - 1)
    begin = min(begin, safe)
    places = np.arange(begin, safe + 1)
    before, after = np.maximum(places - window, 0), np.minimum(places + window, end)
    slopes = (smoothed[after] - smoothed[before]) / (after - before)
    return (float(rates[begin]), float(rates[end])), float(rates[places[int(np.argmin(slopes))]])
