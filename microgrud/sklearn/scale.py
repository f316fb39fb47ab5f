"""Standardisation of columns by their weighted mean and deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.documents import ABOVE_0, NUMBER, check_entry, several
from ..engine.vectors import Vector

#: A deviation up to this part of the largest number of a column is the rounding of its mean.
_ROUNDING = 1e-14


@dataclass(frozen=True, eq=False)
class Scale:
    """The mean of each column and its standard deviation, 1 for a constant column.

    >>> scale = Scale.of(np.array([[1.0, 7.0], [3.0, 7.0]]), None)
    >>> scale.apply(np.array([[5.0, 8.0]]))
    array([[3., 1.]])
    """

    mean: Vector
    deviation: Vector

    @classmethod
    def of(cls, columns: Vector, weights: Vector | None) -> Scale:
        """Measure an array (rows, columns); rows have equal weights if None."""
        size = np.abs(columns).max(axis=0)
        # A power of 2: no square overflows or underflows, and nothing is rounded.
        unit = np.ldexp(1.0, np.frexp(size)[1] - 1)
        reduced = columns / unit
        mean = np.average(reduced, axis=0, weights=weights)
        deviation = np.sqrt(np.average((reduced - mean) ** 2, axis=0, weights=weights))
        is_constant = deviation <= _ROUNDING
        return cls(mean * unit, np.where(is_constant, 1.0, deviation * unit))

    def apply(self, columns: Vector) -> Vector:
        """Return the columns with mean 0 and deviation 1."""
        with np.errstate(over="ignore"):  # the network's answer to an infinity is refused
            scaled: Vector = (columns - self.mean) / self.deviation
        return scaled

    def undo(self, scaled: Vector) -> Vector:
        """Return the columns that `apply` has scaled."""
        columns: Vector = scaled * self.deviation + self.mean
        return columns

    def to_json(self) -> dict[str, list[float]]:
        """Return the numbers in a form that JSON can hold."""
        return {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}

    @classmethod
    def from_json(cls, where: str, document: Any, columns: int) -> Scale:
        """Restore what `to_json` returned.

        Raises:
            ValueError: if it is damaged, or not for so many columns.
        """
        check_entry(where, document, {"mean": several(columns, NUMBER), "deviation": several(columns, ABOVE_0)})
        return cls(np.array(document["mean"]), np.array(document["deviation"]))
