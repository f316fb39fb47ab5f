"""Estimators for scikit-learn: networks for tables, in pipelines, cross-validations and searches like any other.

* `MLPClassifier` predicts classes, `MLPRegressor` predicts numbers. Both take numbers without missing values, and scale
  them themselves.
* `TablePreparation` makes such numbers of a DataFrame with missing cells, categories and dates. Put it before an
  estimator in a Pipeline, and each fold of a cross-validation is prepared by its own training rows.
* `load` returns the pipeline of these two steps that `microgrud train` has trained.

>>> import pandas as pd
>>> from sklearn.model_selection import cross_val_score
>>> from sklearn.pipeline import make_pipeline
>>> ages, cities = [20, None, 40, 50, 60] * 20, ["Rome", "Oslo", "rome", None] * 25
>>> frame = pd.DataFrame({"age": ages, "city": cities})
>>> answers = [city in ("Rome", "rome") for city in cities]
>>> model = make_pipeline(TablePreparation(), MLPClassifier(random_state=0))
>>> print(f"{cross_val_score(model, frame, answers, cv=3).mean():.1f}")
1.0
"""

from __future__ import annotations

from ..common import needs_numpy as needs_numpy
from ..common.missing import what_to_install

try:
    import sklearn as sklearn
except ImportError as error:
    raise ImportError(what_to_install("microgrud.sklearn needs", "scikit-learn")) from error

from ..tables import TablePreparation
from .classifier import MLPClassifier
from .modelfile import load
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "TablePreparation", "load"]
