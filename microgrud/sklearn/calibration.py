"""Calibration of probabilities by a temperature."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from ..engine.vectors import Vector

#: The least number of rows from which a temperature is found.
_LEAST_ROWS = 50


def temperature_of(logits: Vector, targets: npt.NDArray[np.intp], weights: Vector | None = None) -> float:
    """Return the temperature T for which softmax(logits / T) has the least log loss; 1 unless that helps other rows.

    T is found on each half of the rows, and used only if it lowers the log loss of the other half, in sum (Guo et al.,
    "On calibration of modern neural networks", 2017). Of n rows, the classes of 1 in n + 2 count as unknown: otherwise,
    where all rows are right, the best T is 0 (Platt, "Probabilistic outputs for support vector machines", 1999).

    Args:
        logits: an array (rows, classes), of rows that the network was not trained on.
        targets: the index of the class of each row.
        weights: the weight of each row; all are equal if None.

    >>> sure = np.repeat([[4.0, 0.0]], 200, axis=0)
    >>> round(temperature_of(sure, np.repeat([0, 1], [150, 50])), 2)  # right in 3 of 4 cases: 4 / T is about log(3)
    3.66
    """
    if len(logits) < _LEAST_ROWS:
        return 1.0
    weights = np.ones(len(logits)) if weights is None else weights
    unknown = 1.0 / (len(logits) + 2)
    right = logits[np.arange(len(logits)), targets]
    expected = (1.0 - unknown) * right + unknown * logits.mean(axis=1)

    def loss(temperature: float, rows: slice) -> float:
        losses = logsumexp(logits[rows] / temperature, axis=1) - expected[rows] / temperature
        return float(losses @ weights[rows])

    def best(rows: slice) -> float:
        found = minimize_scalar(lambda x: loss(np.exp(x), rows), bounds=(np.log(0.05), np.log(20.0)), method="bounded")
        return float(np.exp(found.x))

    one, other = slice(0, None, 2), slice(1, None, 2)
    with_it = loss(best(one), other) + loss(best(other), one)
    return best(slice(None)) if with_it < loss(1.0, slice(None)) else 1.0
