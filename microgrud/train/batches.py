"""Training data: checked once, split once, and divided into batches."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.trees import check_unmasked
from ..common.numbers import as_float, is_real_scalar


class Samples(NamedTuple):
    """Rows of numbers, and the target that belongs to each."""

    rows: list[list[float]]
    targets: list[Any]

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.rows)

    def take(self, indices: Iterable[int]) -> Samples:
        """Return the samples with these indices, in this order."""
        chosen = list(indices)
        return Samples([self.rows[i] for i in chosen], [self.targets[i] for i in chosen])


def check_samples(where: str, rows: Any, targets: Any) -> Samples:
    """Return data as plain lists, or raise an error that says what is wrong with it.

    Args:
        where: the name of the caller, for the message.
        rows: n rows of d numbers each: lists, a NumPy array of shape (n, d), or a pandas table.
        targets: n targets: numbers, class indices, or sequences of numbers; those of one number count as that number.

    Raises:
        TypeError: if `rows` or `targets` is not a sequence, or a row holds something other than numbers.
        ValueError: if there are no rows, not as many rows as targets, rows of different lengths, or a number that is
            not finite.

    >>> check_samples("fit", [[1, 2], [3]], [0, 1])
    Traceback (most recent call last):
        ...
    ValueError: fit: expected rows of 2 numbers as in row 0, got 1 in row 1
    """
    ready = rows.tolist() if _is_ready(rows) else None
    rows, targets = ready if ready is not None else _as_list(f"{where}: X", rows), _as_list(f"{where}: y", targets)
    if not rows:
        raise ValueError(f"{where}: expected at least one row, got none")
    if len(rows) != len(targets):
        raise ValueError(f"{where}: expected as many rows as targets, got {len(rows)} rows and {len(targets)} targets")
    checked = rows if ready is not None else [_check_row(f"{where}: row {i}", row) for i, row in enumerate(rows)]
    for i, row in enumerate(checked):
        if len(row) != len(checked[0]):
            raise ValueError(
                f"{where}: expected rows of {len(checked[0])} numbers as in row 0, got {len(row)} in row {i}"
            )
    if all(isinstance(target, (list, tuple)) and len(target) == 1 for target in targets):
        targets = [target[0] for target in targets]  # a column of a table, of shape (n, 1)
    targets = copy.deepcopy(targets)  # the caller may change nested lists later; rows are copied as well
    for i, target in enumerate(targets):
        parts = [target] if is_real_scalar(target) else target
        for part in parts if isinstance(parts, (list, tuple)) else ():
            if is_real_scalar(part) and not math.isfinite(part):
                raise ValueError(f"{where}: target {i}: expected finite numbers, got {part}")
    return Samples(checked, targets)


def split(samples: Samples, fraction: float, rng: random.Random | None) -> tuple[Samples, Samples]:
    """Split off a fraction of the samples, at least one: chosen by `rng`, or the last ones if it is None.

    Raises:
        ValueError: if no samples are left to train on.
    """
    count = max(1, round(fraction * len(samples)))
    if count >= len(samples):
        raise ValueError(
            f"fit: validation: expected a fraction that leaves something to train on, got {fraction} of "
            f"{len(samples)} samples"
        )
    order = list(range(len(samples)))
    if rng is not None:
        rng.shuffle(order)
    return samples.take(sorted(order[:-count])), samples.take(sorted(order[-count:]))


def _is_ready(rows: Any) -> bool:
    """Return whether rows need no check number by number, which takes as long as an epoch of training."""
    is_table = type(rows) is np.ndarray and rows.ndim == 2 and rows.dtype == np.float64
    return is_table and bool(np.isfinite(rows).all())


def _as_list(where: str, data: Any) -> list[Any]:
    check_unmasked(data, where)
    for method in ("to_numpy", "tolist"):  # pandas, then NumPy
        if hasattr(data, method):
            data = getattr(data, method)()
    if isinstance(data, (str, bytes, dict)) or not isinstance(data, Sequence):
        raise TypeError(f"{where}: expected a sequence, got an object of type {type(data).__name__}")
    return [item.tolist() if hasattr(item, "tolist") else item for item in data]


def _check_row(where: str, row: Any) -> list[float]:
    if is_real_scalar(row):
        raise TypeError(f"{where}: expected a sequence of numbers, got {row!r}; write [[x] for x in X]")
    if isinstance(row, (str, bytes, dict)) or not isinstance(row, Sequence):
        raise TypeError(f"{where}: expected a sequence of numbers, got an object of type {type(row).__name__}")
    numbers = [as_float(number, where) for number in row]
    for j, number in enumerate(numbers):
        if not math.isfinite(number):
            raise ValueError(f"{where}: expected finite numbers, got {number} in column {j}")
    return numbers
