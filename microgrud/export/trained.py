"""Trained models of tables, wherever they are: model files, pipelines and estimators."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ..sklearn.classifier import MLPClassifier
from ..sklearn.modelfile import read_pipeline
from ..sklearn.regressor import MLPRegressor
from ..tables.preparation import TablePreparation


class TrainedModel(NamedTuple):
    """A trained model of a table.

    Args:
        network: the fitted estimator.
        preparation: the fitted preparation of its inputs; None if it takes numbers.
        classes: the classes in the order of `microgrud predict`; None for that of the estimator.
        target: the name of the column to predict; empty if it is not known.
    """

    network: Any
    preparation: TablePreparation | None
    classes: Sequence[str] | None = None
    target: str = ""


def trained_model(where: str, model: Any) -> TrainedModel:
    """Return the trained model that a path, a pipeline or an estimator stands for.

    Args:
        where: the name of the function, for messages.
        model: the folder of a run or the model.json in it, a Pipeline, or an estimator.

    Raises:
        TypeError: if it is none of these.
        NotFittedError: before `fit`.
        ModelFileError: if the file is damaged, or of another kind.
        OSError: if it cannot be read.
    """
    if isinstance(model, (str, os.PathLike)):
        stored = read_pipeline(model)
        parts = stored.pipeline["network"], stored.pipeline["preparation"]
        return TrainedModel(*parts, stored.target.classes or None, stored.target.name)
    network, preparation = model, None
    if isinstance(model, Pipeline):
        steps = [step for _, step in model.steps]
        if len(steps) != 2 or not isinstance(steps[0], TablePreparation):
            kinds = ", ".join(type(step).__name__ for step in steps)
            raise TypeError(
                f"{where}: expected a Pipeline of a TablePreparation and an estimator of microgrud.sklearn, got the "
                f"steps {kinds}; export the estimator alone, whose input is a matrix of numbers"
            )
        preparation, network = steps
        check_is_fitted(preparation)
    if not isinstance(network, (MLPClassifier, MLPRegressor)):
        raise TypeError(
            f"{where}: expected a Module, an MLPClassifier or MLPRegressor of microgrud.sklearn, a Pipeline of a "
            f"TablePreparation and one of these, or the path of a model file, got {type(network).__name__}"
        )
    check_is_fitted(network)
    return TrainedModel(network, preparation)
