"""The results of a compiled function for all samples of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff.trees import Structure, as_array
from ..engine.copying import _transforms
from ..engine.tracing import _tracers
from ..engine.vectors import Vector
from .differentiable import is_inside
from .nodes import rows_of_function
from .recordings import Recordings
from .results import with_samples_first


def mapped(recordings: Recordings, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the results of all samples, arranged as `Compiled.map` does."""
    inside = (_tracers or _transforms) and is_inside()
    found = None if inside or kwargs else recordings.replayed("map", args)
    if found is not None:
        return by_sample(found[0], found[1][0].structure)
    arguments = recordings.read(args, kwargs)
    if inside or arguments.has_values:
        rows, structure = rows_of_function(recordings, arguments)
        return with_samples_first(
            structure,
            lambda start, end, shape: as_array([x for row in rows for x in row[start:end]], (len(rows), *shape)),
        )
    result = recordings.evaluate(arguments, None)
    return by_sample(result.outputs, result.structure)


def by_sample(outputs: Vector, structure: Structure) -> Any:
    """Arrange the results of all samples, given as an array with a row for each output."""
    return with_samples_first(
        structure,
        lambda start, end, shape: np.ascontiguousarray(outputs[start:end].T).reshape(outputs.shape[1], *shape),
    )
