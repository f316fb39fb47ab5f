"""Small estimators, and the tables that they learn in a moment."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_iris

from microgrud.sklearn import MLPClassifier, MLPRegressor

IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
#: Small networks and few epochs: most laws hold however well a network has learned.
SMALL: dict[str, Any] = {"hidden_layer_sizes": (6,), "max_iter": 4, "random_state": 0}
#: Settings with which the order and the grouping of the rows do not matter.
WHOLE: dict[str, Any] = {"batch_size": None, "early_stopping": False, "alpha": 0.01, "max_iter": 10, "random_state": 0}


def classifier(**parameters: Any) -> MLPClassifier:
    return MLPClassifier(**SMALL | parameters)


def regressor(**parameters: Any) -> MLPRegressor:
    return MLPRegressor(**SMALL | parameters)


def same(one: Any, other: Any, X: Any = IRIS) -> bool:
    """Return whether two estimators predict the same, to the bit."""
    method = "predict_proba" if hasattr(one, "predict_proba") else "predict"
    return bool((getattr(one, method)(X) == getattr(other, method)(X)).all())
