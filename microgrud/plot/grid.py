"""The grid in a plane: its extent, and the loss at each of its points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.checks import pair, real
from ..common.numbers import Interval, as_float
from ..engine import Value
from ..engine.grad_mode import without_graph
from ..engine.vectors import Vector, restored, write_data
from ..train.evaluation import number
from ..train.progress import with_progress
from .planes import Plane
from .replayed_loss import replayed
from .scales import LARGEST

_BOUND = real(Interval(-LARGEST, LARGEST))


@dataclass(frozen=True, eq=False, repr=False)
class GridLosses:
    """The losses at the points of a grid in a plane, as `LossSurface` describes them."""

    x: Vector
    y: Vector
    losses: Vector
    plane: Plane


def default_extent(plane: Plane, center: Vector, paths: Sequence[Vector]) -> Any:
    """Return the two ranges of the box around the walks or, without walks, around the present parameters."""
    if paths:
        return around(np.concatenate(paths))
    (here,) = plane.project(center[None, :])
    if np.abs(here).max() > LARGEST:
        raise ValueError(f"loss_surface: parameters: expected numbers up to {LARGEST:g}, got {np.abs(here).max()}")
    reach = np.maximum(np.abs(here), 1.0)
    return np.array([here - reach, here + reach]).T


def around(places: Vector) -> Any:
    """Return the two ranges of the box around the finite places among those given, with a margin.

    Raises:
        ValueError: if no place is finite.

    >>> around(np.array([[0.0, 0.0], [1.0, 2.0]])).tolist()
    [[-0.4, 1.4], [-0.4, 2.4]]
    """
    finite = places[(np.abs(places) <= LARGEST).all(axis=1)]
    if not len(finite):
        raise ValueError("trajectory: expected a walk with at least one finite place, got none")
    low, high = finite.min(axis=0), finite.max(axis=0)
    widest = float(np.max(high - low)) or 1.0
    margin = 0.2 * widest
    # A walk along one axis runs through the middle of a box with a reasonable width.
    narrow = np.maximum(0.3 * widest - (high - low), 0.0) / 2.0
    return np.array([low - margin - narrow, high + margin + narrow]).T


def checked_extent(extent: Any) -> Any:
    """Return `(low, high)` for both axes, or a pair of such pairs, as a pair of pairs, after a check."""
    where = "loss_surface: extent"
    nested = isinstance(extent, Iterable) and any(isinstance(side, Iterable) for side in extent)
    sides = pair(pair(_BOUND))(where, extent) if nested else (pair(_BOUND)(where, extent),) * 2
    for low, high in sides:
        if not low < high:
            raise ValueError(f"{where}: expected (low, high) with low below high, got ({low:g}, {high:g})")
    return sides


def evaluate(
    loss: Callable[[], Any], parameters: list[Value], plane: Plane, x: Vector, y: Vector, progress: bool | None
) -> tuple[Vector, str | None]:
    """Return the loss at each point of the grid, and the first error that it raised at one."""
    losses = np.full((len(y), len(x)), np.nan)
    failure: Exception | None = None
    failures = 0
    loss = replayed(loss, losses.size)
    with restored(parameters, data=True):
        for j in with_progress("loss_surface", list(range(len(y))), progress, "row"):
            for i in range(len(x)):
                write_data(parameters, plane.point(x[i], y[j]))
                try:
                    height = without_graph(lambda: number(loss()))
                    losses[j, i] = as_float(height, "loss_surface: the loss that the function returned")
                except (ArithmeticError, ValueError) as error:  # overflow, or outside the domain of the loss
                    failure, failures = failure or error, failures + 1
    if failure is not None and failures == losses.size:
        raise failure  # a loss that fails at every point has a mistake, rather than points where it is undefined
    return losses, None if failure is None else f"{type(failure).__name__}: {failure}"
