"""Learning curves: the loss and other figures of a training run, by step and by epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..common.checks import instance, one_of
from ..train.history import History
from .axes import Axes, axes_for
from .scales import LARGEST, LOG_NOTE, chosen_scale, drawable
from .walks import draw_legend


def learning_curve(history: History, ax: Axes | None = None, *, what: str = "loss", scale: str = "auto") -> Axes:
    """Draw the course of a figure during training: at each step, its mean over each epoch, and on the validation data.

    The curves are those of `History.plot`. In addition, the Axes are independent of pyplot, the epochs stand along the
    top, the scale suits the numbers, and the best epoch of early stopping is marked.

    Args:
        history: the result of `fit`.
        ax: the Axes to draw on; those of a new Figure, which show themselves in a notebook, if None.
        what: `"loss"`, `"metric"`, `"learning_rate"` or `"gradient_norm"`.
        scale: `"linear"`, `"log"`, or `"auto"` to choose by the range of numbers.

    Returns:
        The Axes, labelled.

    Raises:
        TypeError, ValueError: for anything but a History with numbers to draw, and for invalid arguments.
        ImportError: without matplotlib.

    >>> history = History()
    >>> for loss in (1.0, 0.1, 0.01):
    ...     history.add_step(epoch=1, loss=loss, metric=None, learning_rate=0.1, gradient_norm=1.0)
    >>> ax = learning_curve(history)
    >>> ax.get_yscale(), ax.get_xlabel()
    ('log', 'step')
    """
    where = "learning_curve"
    instance(History, "the History that fit returns")(f"{where}: history", history)
    one_of("loss", "metric", "learning_rate", "gradient_norm")(f"{where}: what", what)
    ax = axes_for(where, ax)
    from matplotlib.ticker import MaxNLocator

    others = len(ax.get_lines())
    try:
        history.plot(ax, what)
    except ValueError as error:
        raise ValueError(str(error).replace("History.plot", where, 1)) from None  # names the function that was called
    curves = ax.get_lines()[others:]
    for curve in curves:
        heights = np.asarray(curve.get_ydata(), dtype=np.float64)
        if np.any(np.abs(heights) > LARGEST):
            curve.set_ydata(drawable(heights))
            ax.relim()
    values = drawable([x for x in getattr(history, what) if x is not None])
    if len(values) == 1:
        curves[0].set(marker="o", markersize=11)  # a line of one point is invisible
    if len(history) == 1:
        ax.set_xlim(0.0, 2.0)
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    if chosen_scale(where, scale, values) == "log":
        means = [getattr(record, what) for record in history.epochs] if what in ("loss", "metric") else []
        logarithmic_loss(ax, values, [mean for mean in means if mean is not None])
        ax.set_ylabel(f"{ax.get_ylabel()}{LOG_NOTE}")
    if history.best_epoch is not None:
        step = next(record.step for record in history.epochs if record.epoch == history.best_epoch)
        ink = ax.xaxis.label.get_color()  # black would be invisible on dark Axes
        ax.axvline(step, color=ink, linestyle=(0, (1, 2)), linewidth=1.2, label=f"best epoch ({history.best_epoch})")
    if ax.get_legend() is not None or history.best_epoch is not None:
        draw_legend(ax, ax.get_legend_handles_labels()[0])
    ax.grid(alpha=0.4, linewidth=0.6)
    _epochs_along_the_top(ax, history)
    return ax


def logarithmic_loss(ax: Axes, losses: Any, means: Any) -> None:
    """Set a logarithmic scale that a single small loss does not stretch.

    A last batch of one or two rows may have a loss near 0 by chance.

    Args:
        ax: the Axes with the losses.
        losses: the loss of each step.
        means: the mean loss of each epoch.
    """
    ax.set_yscale("log", nonpositive="mask")
    positive = [x for x in losses if x > 0.0]
    ax.set_ylim(bottom=0.7 * min(np.quantile(positive, 0.01), *(x for x in means if x > 0.0), np.inf))


def _epochs_along_the_top(ax: Axes, history: History) -> None:
    """Draw a second axis with the epochs if there are finished ones, and all have the same number of steps."""
    if not history.epochs:
        return
    per_epoch = history.epochs[0].step / history.epochs[0].epoch
    if any(record.step != record.epoch * per_epoch for record in history.epochs):
        return
    from matplotlib.ticker import MaxNLocator

    to_epochs_and_back = (lambda step: step / per_epoch, lambda epoch: epoch * per_epoch)
    top = ax.secondary_xaxis("top", functions=to_epochs_and_back)
    top.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    top.set_xlabel("epoch")
