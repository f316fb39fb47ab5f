"""A plane through the inputs of a network, in which its predictions can be drawn."""

from __future__ import annotations

import numpy as np

from ..engine.vectors import Vector
from ..plot.planes import Plane
from .preprocessing import NumberColumn, Preprocessing


def plane_of(preprocessing: Preprocessing, rows: Vector) -> Plane | None:
    """Return the plane of two inputs, or of the two principal components of more inputs; None for a single input.

    Two columns of numbers are in the units of the table. With principal components, the plane has the share of the
    variance of the rows along each.

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
        return Plane(-means / scales, np.diag(1.0 / scales), (inputs[0], inputs[1]))
    from sklearn.decomposition import PCA

    pca = PCA(n_components=2, svd_solver="full").fit(rows)
    first, second = map(float, pca.explained_variance_ratio_)
    labels = (f"principal component 1 ({first:.0%} of the variance)", f"principal component 2 ({second:.0%})")
    return Plane(pca.mean_, pca.components_, labels, (first, second))
