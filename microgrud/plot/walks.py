"""Walks as an argument: one, several by name, or none; and the places of a walk in the order of given parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ..common.checks import instance
from ..engine import Value
from ..engine.vectors import Vector
from .trajectory import Trajectory

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
