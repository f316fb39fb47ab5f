"""A plane through the inputs of a network, in which its predictions can be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..engine.vectors import Vector
from .preprocessing import NumberColumn, Preprocessing


@dataclass(frozen=True, eq=False)
class InputPlane:
    """The inputs `origin + a * directions[0] + b * directions[1]` of a network of n inputs.

    Args:
        title: the names of what spans it.
        names: the names of its two axes.
        origin: n numbers.
        directions: an array of shape (2, n), whose rows are orthogonal.
        share: the share of the variance of the training rows that lies in it.
    """

    title: str
    names: tuple[str, str]
    origin: Vector
    directions: Vector
    share: float = 1.0

    def inputs_at(self, place: Sequence[float]) -> list[float]:
        """Return the n inputs at a place (a, b)."""
        inputs: list[float] = (self.origin + np.asarray(place) @ self.directions).tolist()
        return inputs

    def places_of(self, rows: Vector) -> Vector:
        """Return the nearest place in the plane to each row of inputs, an array of shape (rows, 2)."""
        places: Vector = (rows - self.origin) @ self.directions.T / np.sum(self.directions**2, axis=1)
        return places


def plane_of(preprocessing: Preprocessing, rows: Vector) -> InputPlane | None:
    """Return the plane of two inputs, or of the two principal components of more inputs; None for a single input.

    Two columns of numbers are in the units of the table.

    Args:
        preprocessing: converts columns to inputs.
        rows: the inputs of the training rows, an array of shape (rows, n).
    """
    inputs = preprocessing.inputs
    if len(inputs) < 2:
        return None
    if len(inputs) == 2:
        means, scales = np.zeros(2), np.ones(2)
        for i, column in enumerate(preprocessing.columns):
            if isinstance(column, NumberColumn):
                means[i], scales[i] = column.mean, column.scale
        return InputPlane(
            f"{inputs[0]} and {inputs[1]}", (inputs[0], inputs[1]), -means / scales, np.diag(1.0 / scales)
        )
    from sklearn.decomposition import PCA

    components = PCA(n_components=2, svd_solver="full").fit(rows)
    shares = components.explained_variance_ratio_
    return InputPlane(
        "the first two principal components of the inputs",
        (f"principal component 1 ({shares[0]:.0%} of the variance)", f"principal component 2 ({shares[1]:.0%})"),
        components.mean_,
        components.components_,
        float(shares.sum()),
    )
