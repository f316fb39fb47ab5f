"""Planes through parameter space: a point, two directions, the names of the axes along them, and the choice of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.checks import instance, one_of
from ..engine import Value
from ..engine.vectors import Vector, read_data
from ..nn.module import Module
from .parameters import filters_of
from .scales import LARGEST
from .trajectory import Trajectory, positions_of


@dataclass(frozen=True, eq=False)
class Plane:
    """The points `origin + a * directions[0] + b * directions[1]` of parameter space.

    Attributes:
        origin: n numbers, the point with the coordinates (0, 0).
        directions: two vectors of n numbers, an array of shape (2, n).
        labels: the name of each axis.
        variance: the shares of a walk's variance along each direction; None unless the plane was made for a walk.
    """

    origin: Vector
    directions: Vector
    labels: tuple[str, str]
    variance: tuple[float, float] | None = None

    def point(self, a: float, b: float) -> Vector:
        """Return the n parameters at the coordinates (a, b)."""
        point: Vector = self.origin + a * self.directions[0] + b * self.directions[1]
        return point

    def project(self, points: Vector) -> Vector:
        """Return the coordinates of the places in the plane that are nearest to the given points.

        Args:
            points: an array of shape (m, n).

        Returns:
            An array of shape (m, 2).
        """
        with np.errstate(all="ignore"):  # the places of a diverging walk may overflow
            components = (points - self.origin) @ self.directions.T
        gram = self.directions @ self.directions.T
        projected: Vector = np.linalg.solve(gram, components.T).T
        return projected


def chosen_plane(
    source: Any, parameters: list[Value], directions: Any, walks: Mapping[str, Trajectory], seed: int
) -> Plane:
    """Return the plane for the arguments of `loss_surface`.

    Args:
        source: the Module or the list that holds the parameters.
        parameters: the n Values.
        directions: as given to `loss_surface`.
        walks: the walks by name.
        seed: the seed for random directions.

    Raises:
        TypeError, ValueError: if the arguments define no plane.
    """
    if len(parameters) < 2:
        raise ValueError(f"loss_surface: expected at least 2 parameters to span a plane, got {len(parameters)}")
    if directions is None:
        chosen = "principal" if len(walks) == 1 else "random"
        directions = tuple(parameters) if len(parameters) == 2 else chosen
    if isinstance(directions, (tuple, list)):
        return _through(source, parameters, directions)
    instance(str, "'random', 'principal' or a pair of parameters")("loss_surface: directions", directions)
    if one_of("random", "principal")("loss_surface: directions", directions) == "random":
        return filter_normalized_plane(read_center(parameters), filters_of(source, parameters), seed)
    if len(walks) != 1:
        raise ValueError(f"loss_surface: directions: expected one trajectory with 'principal', got {len(walks)}")
    (walk,) = walks.values()
    return principal_plane(walk, positions_of(walk, parameters))


def _through(source: Any, parameters: list[Value], directions: Sequence[Any]) -> Plane:
    """Return the plane of two parameters, given as Values, by label, or by name in the Module."""
    dotted = {p: name for name, p in source.named_parameters()} if isinstance(source, Module) else {}
    names = [p.label or dotted.get(p) or f"parameter {i}" for i, p in enumerate(parameters)]
    if len(directions) != 2:
        raise ValueError(f"loss_surface: directions: expected two parameters, got {len(directions)}")
    indices = []
    for chosen in directions:
        instance((Value, str), "Values, labels or names")("loss_surface: directions", chosen)
        named = isinstance(chosen, str)
        matches = [
            i for i, p in enumerate(parameters) if p is chosen or (named and chosen in (names[i], dotted.get(p)))
        ]
        if len(matches) != 1:
            name = repr(chosen) if named else "a Value"
            known = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
            raise ValueError(
                f"loss_surface: directions: expected one of the parameters {known}; got {name}, which is "
                f"{'none of them' if not matches else f'the name of {len(matches)} of them'}"
            )
        indices.append(matches[0])
    if indices[0] == indices[1]:
        raise ValueError(f"loss_surface: directions: expected two different parameters, got {names[indices[0]]} twice")
    # The origin is 0 in both parameters, so that 0 + a * 1 + b * 0 gives the parameter to the bit.
    origin = read_center(parameters)
    origin[indices] = 0.0
    along = np.zeros((2, len(parameters)))
    along[[0, 1], indices] = 1.0
    return Plane(origin, along, (names[indices[0]], names[indices[1]]))


def filter_normalized_plane(center: Vector, filters: Sequence[Sequence[int]], seed: int) -> Plane:
    """Return a plane through `center` along two random directions whose filters are as long as those of `center`.

    Li, Xu, Taylor, Studer & Goldstein, "Visualizing the loss landscape of neural nets", NeurIPS 2018, section 4:
    `d_f <- d_f / ||d_f|| * ||p_f||` for each filter `f` of a normally distributed direction `d`. A parameter that
    belongs to no filter is constant. Distances in such pictures can be compared between networks.

    Args:
        center: n numbers.
        filters: the indices of the parameters of each filter.
        seed: the seed for the directions.

    Raises:
        ValueError: if fewer than two parameters in filters are not 0, so that the directions have no length.
    """
    rng = np.random.default_rng(seed)
    directions = np.zeros((2, len(center)))
    for direction in directions:
        drawn = rng.standard_normal(len(center))
        for indices in map(list, filters):
            length = np.linalg.norm(drawn[indices])
            direction[indices] = drawn[indices] / length * np.linalg.norm(center[indices])
    if np.linalg.matrix_rank(directions) < 2:
        raise ValueError(
            "loss_surface: directions: expected at least two weights other than 0 to scale random directions, got "
            "fewer; name two parameters as directions instead"
        )
    return Plane(center, directions, ("random direction 1", "random direction 2"))


def principal_plane(trajectory: Trajectory, positions: Vector) -> Plane:
    """Return the plane through the end of a walk along the two directions in which it varies most.

    The directions are the principal components of the places, as in Li et al. 2018, section 7.2. They are orthonormal,
    and the largest entry of each is positive. The plane holds the shares of the walk's variance along them.

    Args:
        trajectory: the walk, for the message.
        positions: the places of the walk, an array of shape (places, n).

    Raises:
        ValueError: for a walk that does not move, or has places that are not finite.
    """
    if len(positions) == 0 or not (np.abs(positions) <= LARGEST).all():
        raise ValueError(
            f"loss_surface: trajectory: expected places, all with numbers up to {LARGEST:g}, got {trajectory!r} with "
            "none, or with larger or infinite ones"
        )
    centered = positions - positions.mean(axis=0)
    _, lengths, rows = np.linalg.svd(centered, full_matrices=False)
    # The computed variance of equal numbers is seldom 0, since their mean is rounded.
    if (positions == positions[0]).all() or lengths[0] == 0.0:
        raise ValueError(f"loss_surface: trajectory: expected a walk that moves, got {trajectory!r} at one place")
    directions = rows[:2] * np.where(rows[:2].max(axis=1) < -rows[:2].min(axis=1), -1.0, 1.0)[:, None]
    lengths /= lengths[0]  # no square overflows then
    shares = lengths[:2] ** 2 / np.sum(lengths**2)
    labels = tuple(f"principal direction {i} ({share:.1%} of the walk)" for i, share in enumerate(shares, start=1))
    return Plane(positions[-1], directions, (labels[0], labels[1]), (float(shares[0]), float(shares[1])))


def read_center(parameters: Sequence[Value]) -> Vector:
    """Return the numbers of the parameters.

    Raises:
        ValueError: if one of them is not finite.
    """
    center = read_data(parameters)
    if not np.isfinite(center).all():
        i = int(np.argmin(np.isfinite(center)))
        raise ValueError(f"loss_surface: parameters: expected finite numbers, got {center[i]} at index {i}")
    return center
