"""Samples as the arguments of a recording, in which columns of integers are integers or floats.

A recording holds for all floats in a column, and for all integers by which the model only looks up, as `take` does. If
it computes with an integer, or branches by it, the recording holds for that integer alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..autodiff.trees import template_of
from ..tape.recorder import CompileError
from .batches import Rows


class Inputs:
    """The rows and targets of samples as arrays of floats and of 64-bit integers.

    Args:
        rows: the rows.
        integers: the columns that are integers in the recording.
        targets: the targets, floats or 64-bit integers.

    Attributes:
        arrays: the arrays by name: one of floats, one of integers, if there are such columns, and the targets.
    """

    def __init__(self, rows: Rows, integers: Sequence[int], targets: np.ndarray[Any, Any]) -> None:
        table, self.integers = rows.array, list(integers)
        floats = [k for k in range(table.shape[1]) if k not in self.integers]
        self._places = np.argsort([*floats, *self.integers]).tolist()  # of the columns among both arrays
        self.arrays = {"floats": table if not self.integers else np.ascontiguousarray(table[:, floats])}
        if self.integers:
            self.arrays["integers"] = np.ascontiguousarray(table[:, self.integers], dtype=np.int64)
            if not floats:
                del self.arrays["floats"]
        self._parts = len(self.arrays)
        self.arrays["target"] = targets

    def sample(self, given: Sequence[Any]) -> tuple[Any, ...]:
        """Return the row, the target, and what follows, from the arguments of the recorded function."""
        numbers = [x for part in given[: self._parts] for x in part]
        return [numbers[k] for k in self._places], *given[self._parts :]

    def like(self, rows: Rows, targets: np.ndarray[Any, Any]) -> Inputs:
        """Return other samples as arrays of the same types; raise a CompileError if that is not possible."""
        before = self.arrays["target"]
        converted = targets.astype(before.dtype, order="C")
        if before.shape[1:] != targets.shape[1:] or not (converted == targets).all():
            raise CompileError("the targets of a batch have another shape or type than those of the first one")
        return Inputs(rows, self.integers, converted)

    def baked(self, places: Iterable[int]) -> tuple[list[int], int]:
        """Return the columns that are constants of a recording, and the number of recordings that all samples need.

        Args:
            places: the places, among all integers of a sample, of those that the recording holds for.
        """
        chosen = sorted(places)
        if not chosen:
            return [], 1
        whole = [array.reshape(len(array), -1) for array in self.arrays.values() if array.dtype == np.int64]
        columns = [self.integers[place] for place in chosen if place < len(self.integers)]
        return columns, len(np.unique(np.concatenate(whole, axis=1)[:, chosen], axis=0))


def targets_as_array(targets: Sequence[Any]) -> Any:
    """Return targets as an array of floats, integers or truth values.

    Raises:
        CompileError: if the targets are anything else.
    """
    try:
        array = targets.array if isinstance(targets, Rows) else np.array(targets)
    except ValueError:  # the lengths differ
        array = np.array(None)
    if array.dtype.kind not in "fiub":
        raise CompileError("the targets are not numbers, or lists of the same number of numbers")
    if array.dtype.kind in "iu" and (np.abs(array.astype(np.float64)) > 2**53).any():
        raise CompileError("the targets are integers beyond 2**53, which a float cannot hold")
    nestings = [] if isinstance(targets, Rows) else list(map(template_of, targets))
    if any(nesting != nestings[0] for nesting in nestings):
        raise CompileError("some targets are lists and others tuples")
    return array
