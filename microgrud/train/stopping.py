"""Early stopping: stop a training run when its validation loss no longer falls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..common.checks import ANY, NOT_NEGATIVE, flag, numbers, optional, real, whole
from ..engine import Value
from ..engine.vectors import Vector, as_vector, write_data


class EarlyStopping:
    """Stop after `patience` epochs in a row without a loss lower than the best so far by more than `min_delta`.

    The loss watched is that on the validation data, or, without any, the mean training loss of the epoch. Prechelt,
    "Early stopping - but when?", 1998.

    Args:
        patience: the number of epochs to wait for a better one, at least 1.
        min_delta: the smallest decrease of the loss that counts as better, 0 or more.
        restore_best: whether the model ends with the parameters of the best epoch.

    Attributes:
        best: the lowest loss so far, None before the first epoch.
        best_epoch: the number of the epoch with the lowest loss.
        best_parameters: the parameters at the end of that epoch, as a vector.
        bad_epochs: the number of epochs since then.

    Raises:
        TypeError, ValueError: for invalid settings.

    >>> import numpy as np
    >>> stopping = EarlyStopping(patience=2)
    >>> for epoch, loss in enumerate([3.0, 1.0, 2.0, 1.5], start=1):
    ...     stopping.update(epoch, loss, np.array([loss]))
    >>> stopping.should_stop, stopping.best_epoch
    (True, 2)
    """

    def __init__(self, patience: int = 10, min_delta: float = 0.0, restore_best: bool = True) -> None:
        self.patience: int = whole(1)("EarlyStopping: patience", patience)
        self.min_delta: float = real(NOT_NEGATIVE)("EarlyStopping: min_delta", min_delta)
        self.restore_best: bool = flag("EarlyStopping: restore_best", restore_best)
        self.reset()

    def reset(self) -> None:
        """Return to the initial state; `fit` begins with this."""
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.best_parameters: Vector | None = None
        self.bad_epochs = 0

    def update(self, epoch: int, loss: float, parameters: Vector) -> None:
        """Record the loss of an epoch, and the parameters if it is the best."""
        if self.best is None or loss < self.best - self.min_delta:
            self.best, self.best_epoch, self.best_parameters = loss, epoch, parameters
            self.bad_epochs = 0
        else:
            self.bad_epochs += 1

    @property
    def should_stop(self) -> bool:
        """True if patience has run out."""
        return self.bad_epochs >= self.patience

    def restore(self, parameters: Sequence[Value]) -> None:
        """Set parameters to their numbers in the best epoch, if `restore_best` is True and there was one."""
        if self.restore_best and self.best_parameters is not None:
            write_data(parameters, self.best_parameters)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as numbers and lists, in a form that JSON can hold."""
        best = None if self.best_parameters is None else self.best_parameters.tolist()
        return {"best": self.best, "best_epoch": self.best_epoch, "parameters": best, "bad_epochs": self.bad_epochs}

    def load_state_dict(self, state: Mapping[str, Any], size: int | None = None) -> None:
        """Restore what `state_dict` returned; on an error nothing is changed.

        Args:
            state: the result of `state_dict`.
            size: the required number of parameters; any number if None.

        Raises:
            ValueError: if the state is damaged.
        """
        where = "EarlyStopping.load_state_dict"
        try:
            best = optional(real(ANY))(f"{where}: best", state["best"])
            best_epoch = optional(whole(1))(f"{where}: best_epoch", state["best_epoch"])
            bad_epochs = whole(0)(f"{where}: bad_epochs", state["bad_epochs"])
            parameters = state["parameters"]
            if parameters is not None:
                parameters = as_vector(
                    numbers(len(parameters) if size is None else size)(f"{where}: parameters", parameters)
                )
        except (KeyError, TypeError) as error:
            raise ValueError(f"{where}: expected what state_dict() returned, got a damaged one ({error!r})") from error
        self.best, self.best_epoch, self.bad_epochs, self.best_parameters = best, best_epoch, bad_epochs, parameters
