"""The record of a walk over a loss surface: its places, and the loss, the gradient and the learning rate at each."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..common.checks import instance, whole
from ..common.numbers import as_float
from ..engine import Value
from ..engine.vectors import Vector, read_data
from ..nn.module import Module
from ..optim.clipping import gradient_norm
from ..optim.optimizer import Optimizer
from ..train.evaluation import number
from ..train.events import TrainingEvent
from .parameters import parameters_of


class Trajectory:
    """Record a walk: the parameters at each place, and the loss, the gradient's norm and the learning rate there.

    Pass it to `fit` as a callback (`fit(..., callbacks=trajectory)`), or call `record(loss)` in a loop of your own,
    after `backward()` and before `step()`. Make it before the walk starts, since it reads the start. It copies the
    numbers of one walk of one optimizer, to the bit.

    `fit` calls it after each step, with the loss and the gradient of the place where the step started. Nothing is
    measured at the place after the last step, so that its figures are NaN.

    Args:
        parameters: the parameters that walk: an optimizer, a Module, or a list of Values.
        every: record the first step of `fit`, and from there on every so many steps; the end is always recorded. A walk
            of s steps takes `8 * n * s / every` bytes.

    Attributes:
        parameters: the n Values that walk.
        every: the interval between the recorded steps of `fit`.

    Raises:
        TypeError, ValueError: for anything else.

    >>> from microgrud.optim import SGD
    >>> x, y = Value(4.0), Value(1.0)
    >>> optimizer = SGD([x, y], lr=0.25)
    >>> trajectory = Trajectory(optimizer)
    >>> for _ in range(3):
    ...     loss = x * x + y * y
    ...     optimizer.zero_grad()
    ...     loss.backward()
    ...     trajectory.record(loss)
    ...     _ = optimizer.step()
    >>> trajectory.positions.tolist()
    [[4.0, 1.0], [2.0, 0.5], [1.0, 0.25]]
    >>> trajectory.losses.tolist(), trajectory.learning_rates.tolist()
    ([17.0, 4.25, 1.0625], [0.25, 0.25, 0.25])
    """

    def __init__(self, parameters: Optimizer | Module | Iterable[Value], *, every: int = 1) -> None:
        self.parameters = parameters_of("Trajectory", parameters)
        self.every = whole(1)("Trajectory: every", every)
        self._optimizer = parameters if isinstance(parameters, Optimizer) else None
        self._here = read_data(self.parameters)  # the last known place
        self._positions: list[Vector] = []
        self._figures: list[tuple[float, float, float]] = []
        self._steps = 0  # the steps of `fit` whose start is known
        self._end: Vector | None = None  # the place after the last of them, where nothing was measured

    def record(self, loss: Any, learning_rate: float | None = None) -> None:
        """Record the present parameters and the norm of their gradient.

        Args:
            loss: the loss at this place, a Value or a number.
            learning_rate: the rate of the next step; that of the optimizer if None, and NaN without an optimizer.

        Raises:
            TypeError: for a loss or a rate that is not a number.
        """
        figure = as_float(number(loss), "Trajectory.record: loss")
        if learning_rate is not None:
            rate = as_float(learning_rate, "Trajectory.record: learning_rate")
        else:
            rate = math.nan if self._optimizer is None else float(self._optimizer.param_groups[0]["lr"])
        self._here = read_data(self.parameters)
        self._end = None
        self._positions.append(self._here)
        self._figures.append((figure, gradient_norm(self.parameters), rate))

    def __call__(self, event: TrainingEvent) -> None:
        """Record a step of `fit`: the figures of the place where it started, and the place where it ended."""
        if event.kind != "step":
            return
        resumed = not len(self) and event.step > 1  # the start of this step is unknown
        if not resumed:
            if self._steps % self.every == 0:
                history = event.history
                self._positions.append(self._here)
                self._figures.append((event.loss, history.gradient_norm[-1], history.learning_rate[-1]))
            self._steps += 1
        self._here = self._end = read_data(self.parameters)

    def of(self, parameters: Module | Iterable[Value]) -> Trajectory:
        """Return the walk as one of as many other parameters, such as those of a copy of the model that walked.

        Raises:
            TypeError, ValueError: for anything else.
        """
        found = parameters_of("Trajectory.of", parameters)
        if len(found) != len(self.parameters):
            raise ValueError(f"Trajectory.of: expected {len(self.parameters)} parameters, got {len(found)}")
        walk = copy.copy(self)
        walk.parameters = found
        return walk

    def __len__(self) -> int:
        """Return the number of places, including the start."""
        return len(self._positions) + (self._end is not None)

    @property
    def positions(self) -> Vector:
        """The parameters at each place, an array of shape (places, n)."""
        places = self._positions if self._end is None else [*self._positions, self._end]
        return np.array(places).reshape(len(self), len(self.parameters))

    @property
    def losses(self) -> Vector:
        """The loss at each place; NaN where it was not measured."""
        return self._column(0)

    @property
    def gradient_norms(self) -> Vector:
        """The Euclidean norm of the gradient at each place; NaN where it was not measured."""
        return self._column(1)

    @property
    def learning_rates(self) -> Vector:
        """The learning rate of the step that starts at each place; NaN if there is none, or if it is unknown."""
        return self._column(2)

    def _column(self, index: int) -> Vector:
        column = np.full(len(self), math.nan)
        column[: len(self._figures)] = [figures[index] for figures in self._figures]
        return column

    def __repr__(self) -> str:
        return f"Trajectory({len(self)} places of {len(self.parameters)} parameters)"


# --- walks as an argument ---


#: One walk, several by name, or None.
Trajectories: TypeAlias = Trajectory | Mapping[str, Trajectory] | None


def by_name(where: str, trajectory: Any) -> dict[str, Trajectory]:
    """Return walks by name; a single Trajectory gets the name `"walk"`.

    Raises:
        TypeError: for anything but a Trajectory or a mapping of them.
        ValueError: for a walk without places.
    """
    if trajectory is None:
        return {}
    walks = dict(trajectory) if isinstance(trajectory, Mapping) else {"walk": trajectory}
    for walk in walks.values():
        instance(Trajectory, "a Trajectory or a dict of them")(where, walk)
        if not len(walk):
            raise ValueError(f"{where}: expected a walk with at least one place, got {walk!r}; record one first")
    return {str(name): walk for name, walk in walks.items()}


def positions_of(trajectory: Trajectory, parameters: Sequence[Value]) -> Vector:
    """Return the places of a walk with its parameters in the given order; they must be the same Values."""
    instance(Trajectory, "a Trajectory")("trajectory", trajectory)
    indices = {id(p): i for i, p in enumerate(trajectory.parameters)}
    if len(indices) != len(parameters) or any(id(p) not in indices for p in parameters):
        raise ValueError(
            f"trajectory: expected a walk of the same {len(parameters)} parameters as the surface's, got {trajectory!r}"
        )
    return trajectory.positions[:, [indices[id(p)] for p in parameters]]
