"""Loggers: callbacks of `fit` that pass its figures on to TensorBoard, to MLflow, or to a CSV file.

The figures have the names of the columns of `History.save`: after each step `loss`, `metric`, `learning_rate` and
`gradient_norm`, after each epoch `epoch_loss`, `epoch_metric`, `validation_loss` and `validation_metric`, without those
that are None. Both are logged at the number of steps so far, which goes on in a resumed run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ..common.checks import flag, instance
from .events import TrainingEvent
from .history import FIGURES_OF_EPOCH, FIGURES_OF_STEP, History


def figures(event: TrainingEvent) -> dict[str, float]:
    """Return the figures of a step or of an epoch by name."""
    row = event.history.rows(len(event.history) - 1)[0]
    names = FIGURES_OF_STEP if event.kind == "step" else FIGURES_OF_EPOCH
    return {name: row[name] for name in names if row[name] is not None}


class TensorBoardLogger:
    """Log the figures of `fit` by `writer.add_scalar(name, figure, step)`.

    A run that is resumed after it was killed logs the steps since its last checkpoint again; `purge_step` of
    SummaryWriter drops the old ones.

    Args:
        writer: a `torch.utils.tensorboard.SummaryWriter`, one of tensorboardX, or any object with such an `add_scalar`.
        steps: whether to log after each step, or only after each epoch.

    Raises:
        TypeError: for an object without `add_scalar`.

    >>> from microgrud.losses import squared_error
    >>> from microgrud.nn import MLP
    >>> from microgrud.train import fit
    >>> class Writer:
    ...     def add_scalar(self, tag, value, step):
    ...         print(tag, step)
    >>> logger = TensorBoardLogger(Writer(), steps=False)
    >>> _ = fit(MLP(1, [1], rng=0), [[0.0], [1.0]], [0.0, 1.0], loss=squared_error, epochs=2, callbacks=logger)
    epoch_loss 1
    epoch_loss 2
    """

    def __init__(self, writer: Any, steps: bool = True) -> None:
        if not callable(getattr(writer, "add_scalar", None)):
            raise TypeError(
                "TensorBoardLogger: writer: expected an object with add_scalar(tag, value, step), such as a "
                f"SummaryWriter, got an object of type {type(writer).__name__}"
            )
        self.writer, self.steps = writer, flag("TensorBoardLogger: steps", steps)

    def __call__(self, event: TrainingEvent) -> None:
        """Log the figures of a step or of an epoch."""
        if self.steps or event.kind == "epoch":
            for name, figure in figures(event).items():
                self.writer.add_scalar(name, figure, event.step)


class MLflowLogger:
    """Log the figures of `fit` by `log_metrics(figures, step=step)`.

    Args:
        log_metrics: `mlflow.log_metrics`, or a function like it.
        steps: whether to log after each step, or only after each epoch.

    Raises:
        TypeError: if `log_metrics` is not a function.

    >>> from microgrud.losses import squared_error
    >>> from microgrud.nn import MLP
    >>> from microgrud.train import fit
    >>> logger = MLflowLogger(lambda figures, step: print(sorted(figures), step), steps=False)
    >>> _ = fit(MLP(1, [1], rng=0), [[0.0], [1.0]], [0.0, 1.0], loss=squared_error, epochs=1, callbacks=logger)
    ['epoch_loss'] 1
    """

    def __init__(self, log_metrics: Callable[..., Any], steps: bool = True) -> None:
        self.log_metrics = instance(Callable, "a function")("MLflowLogger: log_metrics", log_metrics)
        self.steps = flag("MLflowLogger: steps", steps)

    def __call__(self, event: TrainingEvent) -> None:
        """Log the figures of a step or of an epoch."""
        if self.steps or event.kind == "epoch":
            self.log_metrics(figures(event), step=event.step)


class CSVLogger:
    """Write the figures of `fit` to a CSV file, a row after each step: at each moment the file of `History.save`.

    A run replaces an existing file. A resumed run first writes the rows of the steps before it, so that the file is
    that of a run that was never stopped.

    Args:
        path: the file.

    Raises:
        TypeError: if `path` is not the path of a file.
        OSError: (from a call) if the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        name = os.fspath(path) if isinstance(path, os.PathLike) else path
        self.path: str = instance(str, "the path of a file")("CSVLogger: path", name)
        self._history: History | None = None
        self._start = self._end = 0  # of the last row, in bytes

    def __call__(self, event: TrainingEvent) -> None:
        """Add the row of a step, or add the figures of an epoch to the row of its last step."""
        history = event.history
        row = history.csv_rows(len(history) - 1)
        if history is not self._history or not os.path.exists(self.path):
            history.save(self.path)
            self._history, self._end = history, os.path.getsize(self.path)
            self._start = self._end - len(row)
            return
        if event.kind == "step":
            self._start = self._end
        with open(self.path, "r+b") as file:
            file.seek(self._start)
            file.write(row)
            file.truncate()
        self._end = self._start + len(row)
