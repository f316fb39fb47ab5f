"""The events that `fit` passes to its callbacks, after each step and each epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ..optim.optimizer import Optimizer
from .history import History


@dataclass
class TrainingEvent:
    """The argument of a callback of `fit`, after each step and after each epoch.

    Attributes:
        kind: `"step"` or `"epoch"`.
        epoch: the number of the epoch, from 1.
        batch: the number of the batch in the epoch, from 1.
        batches: the number of batches in an epoch; None if fit is given batches, and not how many.
        step: the number of steps taken so far.
        loss: the loss of the step, or the mean over the epoch.
        metric: the metric of the step, or the mean over the epoch; None without one.
        validation_loss: the loss on the validation data, after an epoch; None for a step, and without such data.
        validation_metric: the metric on the validation data, likewise.
        model: the model that is being trained.
        optimizer: its optimizer.
        history: the history so far.
    """

    kind: Literal["step", "epoch"]
    epoch: int
    batch: int
    batches: int | None
    step: int
    loss: float
    metric: float | None
    validation_loss: float | None
    validation_metric: float | None
    model: Any
    optimizer: Optimizer
    history: History
    stop_requested: bool = False

    def stop(self) -> None:
        """Ask `fit` to return after this step or epoch."""
        self.stop_requested = True


Callback: TypeAlias = Callable[[TrainingEvent], Any]
