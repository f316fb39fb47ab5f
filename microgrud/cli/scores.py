"""Scores on held-out rows, of a network, of a linear model, and of a baseline that uses no column.

scikit-learn computes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..engine.vectors import Vector

#: The printed name of each score, and whether higher is better.
LABELS = {
    "accuracy": ("accuracy", True),
    "macro_f1": ("macro F1", True),
    "log_loss": ("log loss", False),
    "r2": ("R²", True),
    "rmse": ("RMSE", False),
    "mae": ("MAE", False),
}

#: The baselines, by the score in which a useful model must be at least as good.
_BASELINES = {
    "accuracy": "always answering the most frequent class",
    "log_loss": "giving each class its share of the rows as probability",
    "r2": "always answering the mean",
}


def behind_baseline(scores: Mapping[str, Any]) -> str:
    """Name the scores in which a model is worse than the baseline; return an empty text if there are none.

    >>> behind_baseline({"r2": -3.0, "baseline": {"r2": -0.01}})
    'worse than always answering the mean (R² -3.000 against -0.01000)'
    >>> behind_baseline({"accuracy": 0.75, "log_loss": 0.5, "baseline": {"accuracy": 0.75, "log_loss": 0.56}})
    ''
    """
    worse = [
        f"worse than {baseline} {comparison}"
        for key, baseline in _BASELINES.items()
        if key in scores and (comparison := _worse(key, scores[key], scores["baseline"][key]))
    ]
    return ", and ".join(worse)


def behind_linear(scores: Mapping[str, Any]) -> str:
    """Say by how much a network is behind the linear model in the main score; return an empty text if it is not.

    >>> behind_linear({"r2": 0.25, "linear": {"r2": 0.5}})
    'behind a linear model (R² 0.2500 against 0.5000)'
    >>> behind_linear({"accuracy": 0.75, "linear": {"accuracy": 0.75}}), behind_linear({"r2": 0.25})
    ('', '')
    """
    key = "accuracy" if "accuracy" in scores else "r2"
    comparison = _worse(key, scores[key], scores["linear"][key]) if "linear" in scores else ""
    return f"behind a linear model {comparison}" if comparison else ""


def _worse(key: str, score: float, other: float) -> str:
    """Return both scores as text if the first one is worse in the printed digits; otherwise an empty text."""
    label, higher_is_better = LABELS[key]
    is_worse = score < other if higher_is_better else score > other
    if not is_worse or figures(score) == figures(other):
        return ""
    return f"({label} {figures(score)} against {figures(other)})"


def figures(value: str | float | int) -> str:
    """Return a number as text for readers: counts in full, others with four figures.

    >>> figures(12), figures(1.0), figures(0.96666667), figures(12345.678), figures(0.0000123), figures("red")
    ('12', '1.000', '0.9667', '12346', '1.230e-05', 'red')
    """
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if isinstance(value, int) or 1e3 <= abs(value) < 1e12 else f"{value:#.4g}"


def setting(value: str | float | int) -> str:
    """Return a setting as text: like `figures`, but without trailing zeros.

    >>> setting(0.01), setting(0.53571428), setting(60), setting("adamw")
    ('0.01', '0.5357', '60', 'adamw')
    """
    return f"{value:.4g}" if isinstance(value, float) else figures(value)


def score_classes(
    train: Sequence[int],
    true: Sequence[int],
    probabilities: Vector,
    classes: Sequence[str],
    linear: Vector | None = None,
) -> dict[str, Any]:
    """Score a classification.

    Args:
        train: the class indices of the training rows: the baseline predicts the most frequent one, and their shares.
        true: the class indices of the held-out rows.
        probabilities: the model's probabilities, one row per held-out row and one column per class.
        classes: the names.
        linear: the probabilities of the linear model, if there is one.

    Returns:
        Accuracy, macro F1 and log loss of the model, of the `linear` model and of the `baseline`; precision, recall, F1
        and the number of rows `per_class`; and the `confusion` matrix (rows true, columns predicted).
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    labels = list(range(len(classes)))
    predicted = probabilities.argmax(axis=1)
    shares = np.bincount(train, minlength=len(classes)) / len(train)  # 0 for a class that only held-out rows have
    prior = np.tile(shares, (len(true), 1))
    per_class = precision_recall_fscore_support(true, predicted, labels=labels, zero_division=0)
    return {
        **_class_scores(true, probabilities),
        **({} if linear is None else {"linear": _class_scores(true, linear)}),
        "baseline": _class_scores(true, prior),
        "per_class": [
            {"class": name, "precision": float(p), "recall": float(r), "f1": float(f), "rows": int(n)}
            for name, p, r, f, n in zip(classes, *per_class)
        ],
        "confusion": confusion_matrix(true, predicted, labels=labels).tolist(),
    }


def _class_scores(true: Sequence[int], probabilities: Vector) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    predicted = probabilities.argmax(axis=1)
    labels = list(range(probabilities.shape[1]))
    return {
        "accuracy": float(accuracy_score(true, predicted)),
        "macro_f1": float(f1_score(true, predicted, average="macro", zero_division=0)),
        "log_loss": float(log_loss(true, probabilities, labels=labels)),
    }


def score_numbers(
    train: Vector | Sequence[float],
    true: Vector | Sequence[float],
    predicted: Vector | Sequence[float],
    linear: Vector | Sequence[float] | None = None,
) -> dict[str, Any]:
    """Score a regression.

    Args:
        train: the target's values in the training rows: the baseline predicts their mean.
        true: the values in the held-out rows.
        predicted: the model's values for the held-out rows.
        linear: the predictions of the linear model, if there is one.

    Returns:
        R², RMSE and MAE of the model, of the `linear` model and of the `baseline`.
    """
    mean = float(np.mean(train))
    return {
        **_number_scores(true, predicted),
        **({} if linear is None else {"linear": _number_scores(true, linear)}),
        "baseline": _number_scores(true, [mean] * len(true)),
    }


def _number_scores(true: Vector | Sequence[float], predicted: Vector | Sequence[float]) -> dict[str, float]:
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    return {
        "r2": float(r2_score(true, predicted)),
        "rmse": float(mean_squared_error(true, predicted) ** 0.5),
        "mae": float(mean_absolute_error(true, predicted)),
    }
