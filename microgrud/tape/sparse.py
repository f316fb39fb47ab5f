"""Sparse Jacobians of a compiled function: the derivatives that are not always 0, with their rows and columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff.calls import positions_of
from ..common.missing import what_to_install
from ..engine.vectors import Vector
from .derivatives import outputs_of, swept
from .recordings import Recordings
from .sparsity import Pattern, pattern_of, places_of


def entries(compiled: Any, args: tuple[Any, ...], argnums: Any) -> tuple[np.ndarray, np.ndarray, Vector, Any]:
    """Return rows, columns and derivatives, row by row, and the shape; see `Compiled.jacobian_entries`."""
    positions, single = positions_of(argnums, len(args), "jacobian")
    which = positions[0] if single else positions
    recordings = compiled._recordings
    patterns, sizes, m, samples = _measured(recordings, args, positions)
    values = None
    if patterns and not recordings.settings.batched:
        rows, columns = patterns[0].rows, patterns[0].columns
        values = swept(compiled, args, which, "jacobian", patterns[0])
    if values is None:
        rows, columns, values = _by_blocks(compiled, args, which, patterns, (m, sum(sizes)))
    # The columns of a batch: the numbers of the first sample, then those of the second one.
    starts, steps, end = [], [], 0
    for position, size in zip(positions, sizes):
        step = size * recordings.is_batch(position)
        starts.append(np.arange(end, end + size))
        steps.append(np.full(size, step))
        end += size * (samples if step else 1)
    sample = np.arange(samples)[:, None]
    all_rows = sample * m + rows
    all_columns = sample * np.concatenate(steps)[columns] + np.concatenate(starts)[columns]
    return all_rows.ravel(), all_columns.ravel(), np.ascontiguousarray(np.transpose(values)).ravel(), (samples * m, end)


def _measured(
    recordings: Recordings, args: tuple[Any, ...], positions: tuple[int, ...]
) -> tuple[list[Pattern], list[int], int, int]:
    """Return what the Jacobian of a call is made of.

    Returns:
        The patterns of the recordings that serve the call, none if the function itself has to; how many numbers a
        sample has in each of the arguments; the numbers of a result; and the samples.
    """
    found = recordings.replayed("map", args)
    if found is not None and all(positions in own.patterns for own in found[1]):
        patterns = [own.patterns[positions] for own in found[1]]
        return patterns, patterns[0].sizes, *found[0].shape
    arguments = recordings.read(args, {})
    if arguments.has_values:
        raise refused("Values")
    recordings.refuse_other_than_floats(args, positions)
    places = places_of(arguments, positions)
    result = recordings.evaluate(arguments, None)
    for own in result.served:
        if positions not in own.patterns:
            own.patterns[positions] = pattern_of(own.program, places)
    patterns = [own.patterns[positions] for own in result.served] if result.by_recordings else []
    return patterns, list(map(len, places)), *result.outputs.shape


def csr_of(rows: np.ndarray, columns: np.ndarray, values: Vector, shape: Any) -> Any:
    """Return entries, row by row, as a CSR matrix of SciPy."""
    try:
        from scipy.sparse import csr_matrix
    except ImportError as error:
        raise ImportError(what_to_install("jacobian: sparse=True needs", "scipy")) from error
    ends = np.searchsorted(rows, np.arange(shape[0] + 1))
    return csr_matrix((values, columns, ends), shape=shape)


def _by_blocks(
    compiled: Any, args: tuple[Any, ...], which: Any, patterns: list[Pattern], shape: tuple[int, int]
) -> Any:
    """Return the entries of each sample, by a replay of all sweeps; without patterns, all entries."""
    mask = np.full(shape, not patterns)
    for pattern in patterns:
        mask[pattern.rows, pattern.columns] = True
    rows, columns = np.nonzero(mask)
    by = "columns" if 0 < shape[1] < shape[0] else "rows"
    blocks = outputs_of(compiled.derived(f"block by {by}", which)._recordings, args)
    return rows, columns, blocks[rows * shape[1] + columns]


def refused(what: str) -> TypeError:
    """Return the error for a sparse Jacobian as part of a graph."""
    return TypeError(f"jacobian_entries: expected plain numbers outside of any transform, got {what}; use .jacobian()")
