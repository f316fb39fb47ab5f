"""The linear model that a network is compared with: scikit-learn's, on the same inputs and the same rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from ..engine.vectors import Vector
from .preprocessing import Target


def linear_predictions(target: Target, inputs: Vector, known: Sequence[float], held_out: Vector) -> Vector | None:
    """Fit a linear model, and predict held-out rows.

    Args:
        target: the target; LinearRegression predicts a number, LogisticRegression a class.
        inputs: the inputs of the network, one row per training row.
        known: the targets of the training rows, as the network got them.
        held_out: the inputs of the rows to predict.

    Returns:
        A number per row in the units of the table, or a row of probabilities, one per class. None if the training rows
        are all of one class, or if a prediction is not finite.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LinearRegression, LogisticRegression

    answers: Vector
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)  # more iterations would not improve it
        if target.task == "regression":
            answers = LinearRegression().fit(inputs, known).predict(held_out) * target.scale + target.mean
        elif len(set(known)) == 1:
            return None
        else:
            model = LogisticRegression(max_iter=1000).fit(inputs, known)
            answers = np.zeros((len(held_out), len(target.classes)))
            answers[:, model.classes_] = model.predict_proba(held_out)  # a rare class may not be in the training rows
        return answers if np.isfinite(answers).all() and np.isfinite(answers**2).all() else None
