"""The choice of a plane through parameter space: the requested one, or the one that shows most of a walk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..common.checks import instance, one_of
from ..engine import Value
from ..nn.module import Module
from .parameters import filters_of, named_parameters
from .planes import Plane, coordinate_plane, filter_normalized_plane, principal_plane, read_center
from .trajectory import Trajectory
from .walks import positions_of


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
    names = named_parameters(source, parameters)
    if len(directions) != 2:
        raise ValueError(f"loss_surface: directions: expected two parameters, got {len(directions)}")
    dotted = dict(source.named_parameters()) if isinstance(source, Module) else {}
    indices = []
    for chosen in directions:
        instance((Value, str), "Values, labels or names")("loss_surface: directions", chosen)
        matches = [
            i
            for i, p in enumerate(parameters)
            if p is chosen or (isinstance(chosen, str) and (chosen in (names[i], p.label) or dotted.get(chosen) is p))
        ]
        if len(matches) != 1:
            name = repr(chosen) if isinstance(chosen, str) else "a Value"
            known = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
            raise ValueError(
                f"loss_surface: directions: expected one of the parameters {known}; got {name}, which is "
                f"{'none of them' if not matches else f'the name of {len(matches)} of them'}"
            )
        indices.append(matches[0])
    if indices[0] == indices[1]:
        raise ValueError(f"loss_surface: directions: expected two different parameters, got {names[indices[0]]} twice")
    return coordinate_plane(read_center(parameters), (indices[0], indices[1]), (names[indices[0]], names[indices[1]]))
