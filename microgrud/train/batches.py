"""Training data: checked once, split once, and divided into batches."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.tables import columns_of, is_table, table_as_array
from ..autodiff.trees import check_unmasked
from ..common.arrays import is_array
from ..common.numbers import as_float, is_real_scalar

#: The types of integers, without bools.
_INTEGERS = {int, *(np.dtype(code).type for code in np.typecodes["AllInteger"])}


class Rows(Sequence[Any]):
    """The rows of an array of numbers, each handed out as a list or a number, as nested lists would have it.

    An array takes 8 bytes a number and is read as a whole; a list takes 32, and 0.2 s for a million numbers.

    Args:
        array: the numbers.
        integers: the columns whose numbers are handed out as integers.

    >>> rows = Rows(np.array([[1.0, 2.0], [3.0, 4.0]]), integers=[1])
    >>> rows[1], len(rows)
    ([3.0, 4], 2)
    """

    def __init__(self, array: np.ndarray[Any, Any], integers: Iterable[int] = ()) -> None:
        self.array, self.integers = array, tuple(integers)

    def __getitem__(self, index: Any) -> Any:
        row = self.array[index].tolist()
        for k in self.integers:
            row[k] = int(row[k])
        return row

    def __len__(self) -> int:
        return len(self.array)

    @property
    def width(self) -> int:
        """The number of columns."""
        return int(self.array.shape[1])

    def take(self, indices: list[int]) -> Rows:
        """Return some rows, in this order."""
        return Rows(self.array[indices], self.integers)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rows):
            return False
        return self.integers == other.integers and np.array_equal(self.array, other.array)

    __hash__ = None  # type: ignore[assignment]


class Samples(NamedTuple):
    """Rows of numbers, the target that belongs to each, and the weight of each, if they are weighted."""

    rows: Rows
    targets: Sequence[Any]
    weights: np.ndarray[Any, Any] | None = None

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.rows)

    def take(self, indices: Iterable[int]) -> Samples:
        """Return the samples with these indices, in this order."""
        chosen, targets = list(indices), self.targets
        some = Rows(targets.array[chosen]) if isinstance(targets, Rows) else [targets[i] for i in chosen]
        weights = None if self.weights is None else self.weights[chosen]
        return Samples(self.rows.take(chosen), some, weights)

    def with_integers(self, integers: Sequence[int]) -> Samples:
        """Return the same samples, in which only these columns are integers."""
        return Samples(Rows(self.rows.array, integers), self.targets, self.weights)

    def shares(self, indices: Sequence[int]) -> np.ndarray[Any, Any] | None:
        """Return the weights w of these samples as w / sum(w), or zeros for 0 / 0; None without weights."""
        if self.weights is None:
            return None
        chosen = self.weights[indices]
        return chosen / (chosen.sum() or 1.0)

    def total(self, indices: Sequence[int]) -> float:
        """Return the sum of the weights of these samples, or their number without weights."""
        return len(indices) if self.weights is None else math.fsum(self.weights[indices].tolist())


def check_samples(where: str, rows: Any, targets: Any, weights: Any = None) -> Samples:
    """Return a copy of data, or raise an error that says what is wrong with it.

    Columns of integers stay integers, if a float can hold each of them; bools become floats.

    Args:
        where: the name of the caller, for the message.
        rows: n rows of d numbers each: lists, a NumPy array of shape (n, d), or a table.
        targets: n targets: numbers, class indices, or sequences of numbers; those of one number count as that number.
        weights: n weights of at least 0, or None.

    Raises:
        TypeError: if `rows` or `targets` is not a sequence, or a row holds something other than numbers.
        ValueError: if there are no rows, not as many rows as targets, rows of different lengths, or a number that is
            not finite.

    >>> check_samples("fit", [[1, 2], [3]], [0, 1])
    Traceback (most recent call last):
        ...
    ValueError: fit: expected rows of 2 numbers as in row 0, got 1 in row 1
    """
    rows, targets = _read(f"{where}: X", rows), _read(f"{where}: y", targets)
    if not len(rows):
        raise ValueError(f"{where}: expected at least one row, got none")
    if len(rows) != len(targets):
        raise ValueError(f"{where}: expected as many rows as targets, got {len(rows)} rows and {len(targets)} targets")
    return Samples(
        _checked_rows(where, rows), _checked_targets(where, targets), _checked_weights(where, weights, len(rows))
    )


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


def _read(where: str, data: Any) -> Rows | list[Any]:
    """Return an array of numbers, or a table or column of numbers, as Rows; other data as a list."""
    check_unmasked(data, where)
    kinds: Sequence[str] = ()  # of the columns
    if getattr(data, "ndim", 0) == 2 and is_array(data):
        kinds = data.dtype.kind * data.shape[1]
    elif is_table(data):
        kinds = [table_as_array(column, where).dtype.kind for column in columns_of(data) or ()]
        data = table_as_array(data, where)
    if type(data) in (np.ndarray, np.memmap) and data.ndim and data.dtype.kind in "fiub" and data.dtype.itemsize <= 8:
        return Rows(data, [k for k, kind in enumerate(kinds) if kind in "iu"])
    if hasattr(data, "tolist"):
        data = data.tolist()
    if isinstance(data, (str, bytes, dict)) or not isinstance(data, Sequence):
        raise TypeError(f"{where}: expected a sequence, got an object of type {type(data).__name__}")
    return [item.tolist() if hasattr(item, "tolist") else item for item in data]


def _checked_rows(where: str, rows: Rows | list[Any]) -> Rows:
    """Return a copy of rows of finite numbers, all of the same length; a file of them in memory is not copied."""
    if isinstance(rows, Rows) and rows.array.ndim == 2:
        mapped = isinstance(rows.array, np.memmap)
        array: np.ndarray[Any, Any] = (np.asarray if mapped else np.array)(rows.array, dtype=np.float64, order="C")
        if _are_finite(array):
            return Rows(array, _exact(array, rows.integers))
        first = int(np.argmin(np.isfinite(array).all(axis=1)))
        _check_row(f"{where}: row {first}", array[first].tolist())
    checked = [_check_row(f"{where}: row {i}", row) for i, row in enumerate(rows)]
    for i, row in enumerate(checked):
        if len(row) != len(checked[0]):
            raise ValueError(
                f"{where}: expected rows of {len(checked[0])} numbers as in row 0, got {len(row)} in row {i}"
            )
    kinds = [{type(row[k]) for row in rows} for k in range(len(checked[0]))]
    array = np.array(checked)
    return Rows(array, _exact(array, [k for k, kind in enumerate(kinds) if kind <= _INTEGERS]))


def _exact(array: np.ndarray[Any, Any], integers: Iterable[int]) -> list[int]:
    """Return those columns of integers whose numbers are exact as floats."""
    return [k for k in integers if np.abs(array[:, k]).max() < 2.0**53]


def _checked_targets(where: str, targets: Rows | list[Any]) -> Sequence[Any]:
    """Return a copy of targets; a target of one number, from a column of a table, counts as that number."""
    if isinstance(targets, Rows):
        array = targets.array
        array = np.array(array[:, 0] if array.ndim > 1 and array.shape[1] == 1 else array, order="C")
        targets = Rows(array)
        if array.ndim > 2 or _are_finite(array):
            return targets
    else:
        if all(isinstance(target, (list, tuple)) and len(target) == 1 for target in targets):
            targets = [target[0] for target in targets]
        targets = copy.deepcopy(targets)  # the caller may change nested lists later
    for i, target in enumerate(targets):
        parts = [target] if is_real_scalar(target) else target
        for part in parts if isinstance(parts, (list, tuple)) else ():
            if is_real_scalar(part) and not math.isfinite(part):
                raise ValueError(f"{where}: target {i}: expected finite numbers, got {part}")
    return targets


def _checked_weights(where: str, weights: Any, count: int) -> np.ndarray[Any, Any] | None:
    """Return the weights of so many samples as a new array."""
    if weights is None:
        return None
    where = f"{where}: sample_weight"
    checked = np.array([as_float(weight, where) for weight in _read(where, weights)], dtype=np.float64)
    if len(checked) != count:
        raise ValueError(f"{where}: expected a weight for each of {count} rows, got {len(checked)}")
    wrong = np.flatnonzero(~((checked >= 0.0) & np.isfinite(checked)))
    if len(wrong):
        raise ValueError(f"{where}: expected finite weights of at least 0, got {checked[wrong[0]]} for row {wrong[0]}")
    if not math.isfinite(sum(checked.tolist())):
        raise ValueError(f"{where}: expected weights with a finite sum, got one beyond the range of a float")
    return checked


def _are_finite(array: np.ndarray[Any, Any]) -> bool:
    """Return whether all numbers are finite, without a truth value for each of many rows at a time."""
    return all(bool(np.isfinite(array[k : k + 1000]).all()) for k in range(0, len(array), 1000))


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
