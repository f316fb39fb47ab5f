"""Scaling of numbers to the size of 1, and robustly so: a long tail neither shrinks the others nor dominates them."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, RobustScaler, StandardScaler

from ..engine.vectors import Vector

Scaling = Literal["robust", "standard", "quantile"]
SCALINGS: tuple[Scaling, ...] = get_args(Scaling)
#: Number of quantiles for a mapping to the normal distribution.
_QUANTILES = 200


def smooth_clip(z: Vector) -> Vector:
    """Compute z / sqrt(1 + (z/3)^2): nearly z around 0, and never beyond -3 and 3.

    Source: D. Holzmueller, L. Grinsztajn, I. Steinwart, Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on
    Tabular Data (RealMLP), 2024, section 3.

    >>> smooth_clip(np.array([0.1, 4.0, -1e300])).round(3)
    array([ 0.1,  2.4, -3. ])
    """
    z = np.clip(z, -LARGEST, LARGEST)
    clipped: Vector = z / np.hypot(1.0, z / 3.0)
    return clipped


#: Beyond it, numbers in standard units are all the same.
LARGEST = 1e100


def learn_scale(scaling: str, numbers: Vector) -> list[dict[str, Any]]:
    """Return the figures of a scaler for each column of `numbers`, which vary and are not missing.

    The robust scale is the distance between the quartiles. If that is 0, since most numbers are the same, it is half
    the median distance of the others, so that zeros and ones are 2 apart.

    >>> learn_scale("standard", np.array([[1.0], [3.0]])), learn_scale("robust", np.array([[1.0], [3.0]]))
    ([{'center': 2.0, 'scale': 1.0}], [{'center': 2.0, 'scale': 1.0}])
    """
    if scaling == "quantile":
        count = min(_QUANTILES, len(numbers))
        fitted = QuantileTransformer(n_quantiles=count, output_distribution="normal", subsample=None).fit(numbers)
        return [{"quantiles": column.tolist()} for column in fitted.quantiles_.T]
    if scaling == "standard":
        fitted = StandardScaler().fit(numbers)
        centers, scales = fitted.mean_, fitted.scale_
    else:
        fitted = RobustScaler().fit(numbers)
        centers = fitted.center_
        quarter, three_quarters = np.percentile(numbers, [25, 75], axis=0)
        scales = three_quarters - quarter  # which RobustScaler takes for 0 below 2e-15
        for k in np.flatnonzero(scales == 0):
            distance = np.abs(numbers[:, k] - centers[k])
            scales[k] = np.median(distance[distance > 0]) / 2
    return [{"center": center, "scale": scale} for center, scale in zip(centers.tolist(), scales.tolist())]


def scaling_steps(scaling: str) -> list[tuple[str, Any]]:
    """Return the steps of a pipeline that scales numbers; `set_figures` corrects them once they are fitted."""
    if scaling == "quantile":
        return [("scale", QuantileTransformer(n_quantiles=2, output_distribution="normal", subsample=None))]
    if scaling == "standard":
        return [("scale", StandardScaler())]
    return [("scale", RobustScaler()), ("clip", FunctionTransformer(smooth_clip, feature_names_out="one-to-one"))]


def set_figures(scaler: Any, figures: list[dict[str, Any]]) -> None:
    """Give a fitted scaler other figures, by its documented attributes."""
    if isinstance(scaler, QuantileTransformer):
        scaler.quantiles_ = np.array([figure["quantiles"] for figure in figures]).T
        scaler.n_quantiles_ = len(scaler.quantiles_)
        scaler.references_ = np.linspace(0, 1, scaler.n_quantiles_, endpoint=True)
        return
    center = np.array([figure["center"] for figure in figures])
    scaler.scale_ = np.array([figure["scale"] for figure in figures])
    if isinstance(scaler, StandardScaler):
        scaler.mean_, scaler.var_ = center, scaler.scale_**2
    else:
        scaler.center_ = center
