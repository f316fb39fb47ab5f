"""Encoding of inputs for a network: standardised, with their tails drawn in, and each number in linear pieces."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.documents import ANYTHING, NOT_NEGATIVE, NUMBER, Kind, check_entry, several
from ..engine.vectors import Vector
from .scale import Scale

#: The fewest and the most pieces of a number, and the largest number of encoded inputs in all. With pieces, the mean
#: R squared of three large tables of the benchmark rises from 0.500 to 0.534 (8 pieces) and 0.538 (16 pieces).
_FEWEST_PIECES, _MOST_PIECES, _MOST_INPUTS = 4, 16, 256
#: A number farther from the mean than this many times the farthest one in training counts as being there.
_REACH = 2.0
#: The edges of a column in a description.
_EDGES = Kind(
    "an empty list, or one of at least 3 numbers in increasing order",
    lambda x: type(x) is list and all(map(NUMBER.fits, x)) and len(x) not in (1, 2) and x == sorted(set(x)),
)


@dataclass(frozen=True, eq=False)
class Encoding:
    """The conversion of columns to the inputs of a network.

    A standardised number z becomes z / sqrt(1 + (z/3)^2), which is nearly z around 0 and never beyond 3 (Holzmüller,
    Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees on tabular data", 2024). For
    each piece between two neighbouring edges a and b, one more input goes from -1 at a to 1 at b and is level outside:
    a linear function of these is any continuous function that is linear between the edges (Gorishniy, Rubachev and
    Babenko, "On embeddings for numerical features in tabular deep learning", 2022). Edges are quantiles. Columns that
    hold 0 and 1 stay as they are, but for the tails; constant ones are 0.

    Args:
        scale: the mean and the deviation of each column.
        reach: for each column, the standardised number beyond which, on either side of 0, all count as the same.
        edges: the edges of each column in standard units; none for a column without pieces.

    >>> encoding = Encoding.of(np.array([[1.0], [2.0], [3.0], [6.0]]), None, pieces=2)
    >>> encoding.apply(np.array([[1.0], [2.0], [100.0]])).round(2)
    array([[-1.01, -1.  , -1.  ],
           [-0.53,  1.  , -1.  ],
           [ 2.19,  1.  ,  1.  ]])
    """

    scale: Scale
    reach: Vector
    edges: list[Vector]

    @classmethod
    def of(cls, columns: Vector, weights: Vector | None, pieces: int | str) -> Encoding:
        """Measure an array (rows, columns).

        Args:
            columns: the rows.
            weights: one per row; all are equal if None.
            pieces: the number of pieces of each number, 0 for none, or `"auto"`: the more, the more rows there are.
        """
        scale, rows = Scale.of(columns, weights), len(columns)
        flags = ((columns == 0.0) | (columns == 1.0)).all(axis=0) & (columns != columns[0]).any(axis=0)
        scale = Scale(np.where(flags, 0.0, scale.mean), np.where(flags, 1.0, scale.deviation))
        numbers = columns.shape[1] - int(flags.sum())
        if pieces == "auto":
            wanted = min(_MOST_PIECES, max(_FEWEST_PIECES, round(math.sqrt(rows) / 6)))
            pieces = min(wanted, _MOST_INPUTS // max(1, numbers) - 1)
        count = int(pieces)
        standard = scale.apply(columns)
        found = [_quantiles(column, weights, count) if count >= 2 else column[:0] for column in standard.T]
        reach = _REACH * np.abs(standard).max(axis=0)
        return cls(scale, reach, [edges if len(edges) > 2 else edges[:0] for edges in found])

    @property
    def size(self) -> int:
        """The number of encoded inputs."""
        return len(self.edges) + sum(max(0, len(edges) - 1) for edges in self.edges)

    @property
    def pieces(self) -> tuple[Any, Vector, Vector]:
        """For each piece: its column, its lower edge, and its width."""
        pieces = [max(0, len(edges) - 1) for edges in self.edges]
        lower = [edges[:-1] for edges in self.edges]
        widths = [np.diff(edges) for edges in self.edges]
        return np.repeat(np.arange(len(pieces)), pieces), np.concatenate(lower), np.concatenate(widths)

    def standard(self, columns: Vector) -> Vector:
        """Return the columns in standard units, within their reach."""
        standard: Vector = np.clip(self.scale.apply(columns), -self.reach, self.reach)
        return standard

    def apply(self, columns: Vector) -> Vector:
        """Return the encoded inputs: first one for each column, then the pieces of the first column, and so on."""
        standard = self.standard(columns)
        parts = [drawn_in(standard)]
        sources, starts, widths = self.pieces
        with np.errstate(over="ignore"):  # far outside of a narrow piece, which clip corrects
            shares = (standard[:, sources] - starts) / widths
        parts.append(2.0 * np.clip(shares, 0.0, 1.0, out=shares) - 1.0)
        encoded: Vector = np.hstack(parts)
        return encoded

    def to_json(self) -> dict[str, Any]:
        """Return the numbers in a form that JSON can hold."""
        edges = [edges.tolist() for edges in self.edges]
        return {"scale": self.scale.to_json(), "reach": self.reach.tolist(), "edges": edges}

    @classmethod
    def from_json(cls, where: str, document: Any, columns: int) -> Encoding:
        """Restore what `to_json` returned.

        Raises:
            ValueError: if it is damaged, or not for so many columns.
        """
        form = {"scale": ANYTHING, "reach": several(columns, NOT_NEGATIVE), "edges": several(columns, _EDGES)}
        check_entry(where, document, form)
        scale = Scale.from_json(f"{where}.scale", document["scale"], columns)
        return cls(scale, np.array(document["reach"]), [np.array(edges) for edges in document["edges"]])


def drawn_in(standard: Vector) -> Vector:
    """Return standardised numbers with their tails drawn in to 3."""
    bounded: Vector = standard / np.hypot(1.0, standard / 3.0)
    return bounded


def _quantiles(column: Vector, weights: Vector | None, pieces: int) -> Vector:
    """Return the different ones of the quantiles that cut a column into pieces of equal weight, with both ends.

    Each is a number of the column, such that a row of weight 2 is the same as two rows.
    """
    order = np.argsort(column)
    heights = np.cumsum(np.ones(len(column)) if weights is None else weights[order])
    levels = heights[-1] * np.arange(pieces + 1) / pieces
    places = np.minimum(np.searchsorted(heights, levels * (1.0 - 1e-12)), len(column) - 1)
    chosen: Vector = np.unique(column[order][places])
    return chosen
