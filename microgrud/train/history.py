"""The history of a training run: figures for each step and each epoch, which can be plotted and saved."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain, takewhile
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from ..common.display import ShownInNotebooks
from ..common.files import write_atomically
from ..common.missing import what_to_install

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: The engine that evaluates the loss: recordings, replayed over a batch, or the model itself, sample by sample.
Engine: TypeAlias = Literal["tape", "eager"]

#: The figures that `History.plot` draws, with the labels of their axes.
_CURVES = {
    "loss": "loss",
    "metric": "metric",
    "learning_rate": "learning rate",
    "gradient_norm": "norm of the gradient",
}
#: The columns of a saved history: the figures of a step, and those of an epoch.
FIGURES_OF_STEP = tuple(_CURVES)
FIGURES_OF_EPOCH = ("epoch_loss", "epoch_metric", "validation_loss", "validation_metric")
_COLUMNS = ("step", "epoch", *FIGURES_OF_STEP, *FIGURES_OF_EPOCH)
#: The attributes that belong to the whole run.
_OF_RUN = ("stopped_by", "best_epoch", "engine", "eager_because")


@dataclass
class EpochRecord:
    """The figures of one epoch.

    Attributes:
        epoch: its number, from 1.
        step: the number of steps taken by its end.
        loss: the mean loss over the training samples, each measured when its batch was trained on.
        metric: the mean of the metric over the training samples in the same way; None without a metric.
        learning_rate: the rate of the first parameter group at the epoch's last step.
        validation_loss: the mean loss over the validation samples at its end; None without validation data.
        validation_metric: the metric over the validation samples at its end; None without them, or without a metric.
    """

    epoch: int
    step: int
    loss: float
    metric: float | None
    learning_rate: float
    validation_loss: float | None = None
    validation_metric: float | None = None


class RunningMeans:
    """The means of loss and metric over the samples of an epoch so far.

    Attributes:
        sums: the sum of the losses, the number of their samples or the sum of their weights, and the sum of the metric
            with the number of its samples.

    >>> means = RunningMeans()
    >>> means.add(2, loss=1.0, metric=None)
    >>> means.add(1, loss=4.0, metric=0.5)
    >>> means.loss, means.metric
    (2.0, 0.5)
    """

    def __init__(self, sums: Sequence[float] = (0.0, 0.0, 0.0, 0.0)) -> None:
        self.sums = list(sums)

    def add(self, samples: int, loss: float, metric: float | None, weight: float | None = None) -> None:
        """Add the means over some samples; their weight in the mean loss is their number if None."""
        weight = samples if weight is None else weight
        self.sums[0] += weight * loss
        self.sums[1] += weight
        if metric is not None:
            self.sums[2] += samples * metric
            self.sums[3] += samples

    @property
    def loss(self) -> float:
        """The mean loss."""
        return self.sums[0] / (self.sums[1] or 1.0)

    @property
    def metric(self) -> float | None:
        """The mean of the metric over the samples that have one, None if there are none."""
        return self.sums[2] / self.sums[3] if self.sums[3] else None


@dataclass(repr=False)
class History(ShownInNotebooks):
    """The course of a training run, step by step and epoch by epoch; a notebook shows the curve of the loss.

    Attributes:
        loss: the mean loss over the batch of each step, before the step.
        metric: the metric over that batch; None without a metric, and where it is not a finite number.
        learning_rate: the rate of the first parameter group at that step.
        gradient_norm: the Euclidean norm of the whole gradient at that step, before clipping.
        epoch: the number of the epoch, from 1, that the step belongs to.
        epochs: an `EpochRecord` for each completed epoch.
        stopped_by: the reason that the run ended before its last epoch: `"interrupt"`, `"callback"` or
            `"early stopping"`; None if it did not.
        best_epoch: the number of the epoch with the best validation (or else training) loss, with early stopping; None
            without.
        engine: `"tape"` if model and loss were recorded and replayed, `"eager"` if each sample was evaluated by the
            model itself; None before the first step.
        eager_because: the reason for `"eager"`.

    >>> history = History()
    >>> history.add_step(epoch=1, loss=0.5, metric=None, learning_rate=0.1, gradient_norm=2.0)
    >>> len(history), history.loss
    (1, [0.5])
    >>> history
    History(steps: 1, epochs: 0, loss: 0.5)
    """

    _drawn_by: ClassVar[str] = "plot"

    loss: list[float] = field(default_factory=list)
    metric: list[float | None] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    epoch: list[int] = field(default_factory=list)
    epochs: list[EpochRecord] = field(default_factory=list)
    stopped_by: str | None = None
    best_epoch: int | None = None
    engine: Engine | None = None
    eager_because: str | None = None

    @property
    def interrupted(self) -> bool:
        """True if Ctrl-C ended the run."""
        return self.stopped_by == "interrupt"

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.loss)

    def __repr__(self) -> str:
        """Return the length of the run, and each figure after the first and the last epoch: one line for any run."""
        parts = {"steps": str(len(self)), "epochs": str(len(self.epochs))}
        for name in ("loss", "metric", "validation_loss", "validation_metric"):
            course = [getattr(record, name) for record in self.epochs] or getattr(self, name, [])
            known = [f"{x:.4g}" for x in course if x is not None]
            if known:
                parts[name] = known[0] if len(known) == 1 else f"{known[0]} to {known[-1]}"
        parts |= {name: x for name in ("best_epoch", "stopped_by") if (x := getattr(self, name)) is not None}
        return f"History({', '.join(f'{name}: {part}' for name, part in parts.items())})"

    def add_step(
        self, epoch: int, loss: float, metric: float | None, learning_rate: float, gradient_norm: float
    ) -> None:
        """Add the figures of one step."""
        self.epoch.append(epoch)
        self.loss.append(loss)
        self.metric.append(metric)
        self.learning_rate.append(learning_rate)
        self.gradient_norm.append(gradient_norm)

    def plot(self, ax: Axes | None = None, what: str = "loss") -> Axes:
        """Plot one figure over the steps, with its means over the epochs and its validation figures if there are any.

        Args:
            ax: the axes to draw on; those of a new pyplot figure if None.
            what: `"loss"`, `"metric"`, `"learning_rate"` or `"gradient_norm"`.

        Returns:
            The axes, labelled.

        Raises:
            ValueError: for another name, or if there is nothing to plot.
            ImportError: without matplotlib.
        """
        if what not in _CURVES:
            raise ValueError(f"History.plot: what: expected one of {', '.join(map(repr, _CURVES))}, got {what!r}")
        points = [(i, y) for i, y in enumerate(getattr(self, what), start=1) if y is not None]
        if not points:
            raise ValueError(f"History.plot: expected at least one step with a {_CURVES[what]}, got none")
        ax = _new_axes() if ax is None else ax
        has_epochs = what in ("loss", "metric")
        faint = has_epochs and len(self.epochs) > 0
        label = "training, each batch" if has_epochs else _CURVES[what]
        ax.plot(*zip(*points), label=label, alpha=0.35 if faint else 1.0, linewidth=0.8 if faint else 1.5)
        if has_epochs:
            self._plot_epochs(ax, what, "training, each epoch", marker=".")
            self._plot_epochs(ax, f"validation_{what}", "validation", marker="s", markersize=4, linestyle="--")
            ax.legend()
        ax.set_xlabel("step")
        ax.set_ylabel(_CURVES[what])
        return ax

    def _plot_epochs(self, ax: Axes, what: str, label: str, **look: Any) -> None:
        points = [(record.step, getattr(record, what)) for record in self.epochs if getattr(record, what) is not None]
        if points:
            ax.plot(*zip(*points), label=label, **look)

    def rows(self, first: int = 0) -> list[dict[str, Any]]:
        """Return one dict per step; only the last step of an epoch has the figures of the epoch, others have None.

        Args:
            first: the number of steps to leave out.
        """
        ends = {record.step: record for record in takewhile(lambda each: each.step > first, reversed(self.epochs))}
        rows = []
        for i in range(first, len(self)):
            end = ends.get(i + 1)
            of_step = (i + 1, self.epoch[i], *(getattr(self, name)[i] for name in _CURVES))
            of_epoch = (end.loss, end.metric, end.validation_loss, end.validation_metric) if end else (None,) * 4
            rows.append(dict(zip(_COLUMNS, (*of_step, *of_epoch))))
        return rows

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the history as CSV: one row per step, exact numbers, empty cells for None.

        The columns are step, epoch, loss, metric, learning_rate, gradient_norm, and, in the last row of each epoch,
        epoch_loss, epoch_metric, validation_loss, validation_metric. The file appears whole or not at all.
        """
        write_atomically(path, ",".join(_COLUMNS).encode() + b"\n" + self.csv_rows())

    def csv_rows(self, first: int = 0) -> bytes:
        """Return the rows as CSV without the first line, that of the names, and without the first `first` steps."""
        text = io.StringIO(newline="")
        csv.DictWriter(text, _COLUMNS, lineterminator="\n").writerows(self.rows(first))
        return text.getvalue().encode("utf-8")

    def to_dict(self, steps: int = 0, epochs: int = 0) -> dict[str, Any]:
        """Return the history, without the first `steps` steps and `epochs` epochs, in a form that JSON can hold."""
        series = {name: getattr(self, name)[steps:] for name in ("epoch", *_CURVES)}
        records = [dict(vars(record)) for record in self.epochs[epochs:]]
        return {**series, "epochs": records, **{name: getattr(self, name) for name in _OF_RUN}}

    @classmethod
    def from_dict(cls, *saved: Mapping[str, Any]) -> History:
        """Restore a history from the parts that `to_dict` returned.

        Raises:
            ValueError: if a part is damaged.
        """
        try:
            series: dict[str, Any] = {
                name: list(chain.from_iterable(part[name] for part in saved)) for name in ("epoch", *_CURVES)
            }
            records = [EpochRecord(**record) for part in saved for record in part["epochs"]]
            history = cls(**series, epochs=records, **{name: saved[-1][name] for name in _OF_RUN})
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"History: expected what to_dict() returned, got a damaged one ({error!r})") from error
        if history.engine not in (None, "tape", "eager") or not isinstance(history.eager_because, (str, type(None))):
            raise ValueError(f"History: expected the engine 'tape' or 'eager', got {history.engine!r}")
        if len({len(column) for column in series.values()}) != 1:
            raise ValueError("History: expected the same number of figures of each kind, got different numbers")
        numbers = [x for column in series.values() for x in column]
        numbers += [getattr(record, f.name) for record in records for f in fields(record)]
        if not all(x is None or type(x) in (int, float) for x in numbers):
            raise ValueError("History: expected numbers, got something else among them")
        return history


def _new_axes() -> Axes:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(what_to_install("History.plot needs", "matplotlib")) from error
    return pyplot.subplots(layout="constrained")[1]
