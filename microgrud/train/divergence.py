"""Divergence of training: its error, and the last parameters with finite loss and gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from ..engine import Value
from ..engine.vectors import Vector, euclidean_norm, read_data, restored, write_data
from ..optim.clipping import gradient_norm
from ..optim.optimizer import Optimizer


class TrainingDivergedError(ArithmeticError):
    """The loss, its gradient or the parameters are no longer finite numbers.

    The model has the last parameters for which they were finite.

    Attributes:
        where: the epoch and batch.
        reason: the number that is not finite, or the operation that failed.
        learning_rate: the rate of the first parameter group at that step.
    """

    def __init__(self, where: str, reason: str, learning_rate: float) -> None:
        self.where, self.reason, self.learning_rate = where, reason, learning_rate
        super().__init__(where, reason, learning_rate)

    def __str__(self) -> str:
        return (
            f"fit: training diverged at {self.where}: {self.reason}. The model has the last parameters with which loss "
            f"and gradient were finite. Try a lower learning rate (it was {self.learning_rate:g}), clip_norm, or "
            "inputs scaled to about -1 to 1"
        )


class DivergenceGuard:
    """Keeps the last good parameters of a training run, and restores them when the numbers are no longer finite.

    Args:
        parameters: the parameters of the model and the optimizer.
        optimizer: the optimizer, which changes them.
    """

    def __init__(self, parameters: Sequence[Value], optimizer: Optimizer) -> None:
        self.parameters = parameters
        self.optimizer = optimizer
        self.initial = self.good = read_data(parameters)

    def check(self, loss: float, known: tuple[Vector, Vector] | None) -> float:
        """Return the norm of the gradient and keep the parameters; raise unless it and the loss are finite.

        Args:
            loss: the loss.
            known: the numbers of the parameters, and the gradient, if they have been read already.

        Raises:
            ArithmeticError: if either is not finite.
        """
        groups = [group["params"] for group in self.optimizer.param_groups]
        if known is None:
            norm = gradient_norm(groups[0] if len(groups) == 1 else self.optimizer.parameters())
        else:
            norm = euclidean_norm(known[1])
        check_finite("the loss", loss)
        check_finite("the norm of the gradient", norm)
        self.good = read_data(self.parameters) if known is None else known[0]
        return norm

    @contextmanager
    def watch(self, where: str, attempt: Callable[[], object]) -> Iterator[None]:
        """Convert an arithmetic error inside to one that says where it happened, and restore the good parameters.

        A ValueError (the logarithm of a negative number, say) may also be a mistake in the data or in the loss. It is
        one if it happens with the initial parameters of the run too; then it is raised unchanged.

        Args:
            where: the epoch and batch.
            attempt: repeats the computation inside.

        Raises:
            TrainingDivergedError: if arithmetic failed or gave a number that is not finite.
        """
        try:
            yield
        except (ArithmeticError, ValueError) as error:
            if isinstance(error, ValueError) and self._fails_at_the_start(attempt):
                raise
            write_data(self.parameters, self.good)
            raise self._diverged(where, str(error)) from error

    @contextmanager
    def step(self, where: str) -> Iterator[None]:
        """Undo the optimizer's step unless it succeeds and the new parameters are finite.

        Raises:
            TrainingDivergedError: if the new parameters are not finite.
        """
        try:
            yield
        except BaseException:
            write_data(self.parameters, self.good)
            raise
        if self._are_known_to_be_finite():
            return
        finite = np.isfinite(read_data(self.parameters))
        if not finite.all():
            i = int(np.argmin(finite))
            reason = f"the step makes {self.parameters[i].label or f'parameter {i}'} {self.parameters[i].data}"
            write_data(self.parameters, self.good)
            raise self._diverged(where, reason)

    def _are_known_to_be_finite(self) -> bool:
        """Return whether the step was that of the base class, of all parameters, and has found them finite."""
        own_step = getattr(self.optimizer.step, "__func__", None) is not Optimizer.step
        sizes = [len(group["params"]) for group in self.optimizer.param_groups]
        return not own_step and bool(self.optimizer.made_finite) and sum(sizes) == len(self.parameters)

    def _fails_at_the_start(self, attempt: Callable[[], object]) -> bool:
        with restored(self.parameters, data=True):
            write_data(self.parameters, self.initial)
            try:
                attempt()
            except (ArithmeticError, ValueError):
                return True
        return False

    def _diverged(self, where: str, reason: str) -> TrainingDivergedError:
        return TrainingDivergedError(where, reason, self.optimizer.param_groups[0]["lr"])


def check_finite(what: str, number: float) -> None:
    """Raise an ArithmeticError unless a number is finite."""
    if not math.isfinite(number):
        raise ArithmeticError(f"{what} is {number}")
