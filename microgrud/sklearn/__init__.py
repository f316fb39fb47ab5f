"""Estimators for scikit-learn: networks that train on tables of numbers, in pipelines and searches like any other.

* `MLPClassifier`, `MLPRegressor`: multilayer perceptrons, one or an ensemble.
* `load`: the pipeline that `microgrud train` has trained.
"""

from __future__ import annotations

from ..common import needs_numpy as needs_numpy

try:
    import sklearn as sklearn
except ImportError as error:
    raise ImportError(
        "microgrud.sklearn needs scikit-learn; install it with: pip install 'microgrud[train]'"
    ) from error

from .classifier import MLPClassifier
from .modelfile import load
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "load"]
