"""Scores on held-out rows, each with its spread over bootstrap resamples of the rows.

A bootstrap resample of n rows is n draws with replacement, so that it counts each row a number of times: scores of
resamples are weighted scores, here computed for all resamples at once (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..engine.vectors import Vector

Flags: TypeAlias = npt.NDArray[np.bool_]
#: Number of bootstrap resamples.
RESAMPLES = 200
#: Maximum number of rows times classes of a resample, which bounds the time: scoring takes at most 0.2 s. Of more
#: rows, a part is resampled, and the spread is that of the part divided by sqrt(rows / part).
_MOST_CELLS = 4_000
#: Number of groups of rows of similar probability in the figures on calibration.
_BINS = 10


def predicted_classes(probabilities: Vector, threshold: float | None = None) -> npt.NDArray[np.intp]:
    """Return the index of the more probable class of each row, or of the second class of two from the threshold on.

    >>> predicted_classes(np.array([[0.6, 0.4], [0.3, 0.7]])), predicted_classes(np.array([[0.6, 0.4]]), 0.4)
    (array([0, 1]), array([1]))
    """
    found: npt.NDArray[np.intp]
    found = probabilities.argmax(axis=1) if threshold is None else (probabilities[:, 1] >= threshold).astype(np.intp)
    return found


def weighted_class_scores(
    true: Vector, probabilities: Vector, weights: Vector, threshold: float | None = None
) -> dict[str, Vector]:
    """Return accuracy, macro F1, log loss, ROC AUC and PR AUC (average precision) for each row of weights.

    The areas are those of the second class of two; of more classes, they are the means of each class against the rest.
    They are NaN if the weighted rows are all of one class.

    Args:
        true: the class index of each of n rows.
        probabilities: the probability of each of k classes, of shape (n, k).
        weights: the weight of each row in each of r evaluations, of shape (r, n).
        threshold: see `predicted_classes`.
    """
    rows, classes = probabilities.shape
    total = weights.sum(axis=1)
    predicted = predicted_classes(probabilities, threshold)
    of_true = np.clip(probabilities[np.arange(rows), true], np.finfo(float).eps, 1.0)
    labels = np.arange(classes)
    is_true, is_predicted = true[:, None] == labels, predicted[:, None] == labels
    hits, counted = weights @ (is_true & is_predicted), weights @ is_true + weights @ is_predicted
    with np.errstate(divide="ignore", invalid="ignore"):
        f1 = 2 * hits / counted
    areas = [_areas(is_true[:, k], probabilities[:, k], weights) for k in (labels if classes > 2 else labels[1:])]
    roc, precision_recall = (_mean(np.stack(area)) for area in zip(*areas)) if areas else (total * np.nan,) * 2
    return {
        "accuracy": weights @ (true == predicted) / total,
        "macro_f1": _mean(f1.T),
        "log_loss": weights @ -np.log(of_true) / total,
        "roc_auc": roc,
        "pr_auc": precision_recall,
    }


def _mean(values: Vector) -> Vector:
    """Return the means along the first axis without NaN; NaN where there is nothing else."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        mean: Vector = np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0)
    return mean


def _areas(is_positive: Flags, score: Vector, weights: Vector) -> tuple[Vector, Vector]:
    """Return the area under the ROC curve and the average precision, for each row of weights."""
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])  # rows of equal scores are one group
    weights, is_positive = weights[:, order], is_positive[order]
    positive = np.add.reduceat(weights * is_positive, starts, axis=1)
    negative = np.add.reduceat(weights * ~is_positive, starts, axis=1)
    positives, negatives = positive.sum(axis=1), negative.sum(axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    hits, alarms = (np.cumsum(part[:, ::-1], axis=1)[:, ::-1] for part in (positive, negative))
    with np.errstate(divide="ignore", invalid="ignore"):
        roc = (positive * below).sum(axis=1) / (positives * negatives)
        precision = np.where(positive > 0, hits / (hits + alarms), 0.0)
        average_precision = (positive * precision).sum(axis=1) / positives
    return roc, np.where(negatives > 0, average_precision, np.nan)


def weighted_number_scores(true: Vector, predicted: Vector, weights: Vector) -> dict[str, Vector]:
    """Return R², RMSE and MAE for each row of weights; R² is NaN if all weighted rows have the same true value."""
    total = weights.sum(axis=1)
    # Relative to the largest, so that squares of large numbers do not overflow.
    unit = float(max(np.abs(true).max(), np.abs(predicted).max())) or 1.0
    y, error = true / unit, (true - predicted) / unit
    squares = weights @ error**2
    mean = weights @ y / total
    variation = (weights * (y - mean[:, None]) ** 2).sum(axis=1)
    constant = np.array([np.ptp(y[row > 0]) == 0 for row in weights])
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(constant, np.nan, 1 - squares / variation)
    return {"r2": r2, "rmse": np.sqrt(squares / total) * unit, "mae": weights @ np.abs(error) / total * unit}


def score(
    task: str,
    true: npt.NDArray[Any],
    predictions: Mapping[str, Vector],
    classes: Sequence[str] = (),
    seed: int = 0,
    spread: bool = True,
    threshold: float | None = None,
) -> dict[str, Any]:
    """Score the predictions of several models for the same rows.

    Args:
        task: `"classification"` or `"regression"`.
        true: the class index of each row, or its number.
        predictions: for each model by name, the probabilities of the classes or the predicted numbers. `"network"` is
            the model; the scores of the others are entries of their own.
        classes: the names of the classes.
        seed: the seed of the resamples, which are the same for all models.
        spread: whether to estimate the spread of each score.
        threshold: see `predicted_classes`; log loss and areas do not depend on it.

    Returns:
        The scores of the network by name, and their standard deviation over resamples in `"spread"`. An undefined score
        has no entry. An entry for each other model is of the same kind; its `"difference"` has the standard deviation
        of the difference to the network, whose resamples are the same. `"method"` says how it was measured. For
        classes, there are precision, recall, F1 and number of rows `"per_class"`, and the `"confusion"` matrix (rows
        true, columns predicted).
    """
    by_class = partial(weighted_class_scores, threshold=threshold)
    function = by_class if task == "classification" else weighted_number_scores
    rng = np.random.default_rng(seed)
    rows, part = len(true), min(len(true), max(500, _MOST_CELLS // max(1, len(classes))))
    chosen = rng.choice(rows, part, replace=False) if part < rows else np.arange(rows)
    draws = rng.integers(part, size=(RESAMPLES, part)) + part * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(draws.ravel(), minlength=RESAMPLES * part).reshape(RESAMPLES, part).astype(float)

    resampled = {
        name: function(true[chosen], predicted[chosen], counts) if spread else {}
        for name, predicted in predictions.items()
    }

    def scores_of(name: str, predicted: Vector) -> dict[str, Any]:
        values = {key: float(x[0]) for key, x in function(true, predicted, np.ones((1, rows))).items()}
        if task == "regression" and np.ptp(true) == 0:
            values["r2"] = float((true == predicted).all())  # like scikit-learn's, where R² is not defined
        found: dict[str, Any] = {key: value for key, value in values.items() if np.isfinite(value)}
        if spread:
            own, ours = resampled[name], resampled["network"]
            keys = list(found)
            found["spread"] = {key: _deviation(own[key]) * (part / rows) ** 0.5 for key in keys}
            found["difference"] = {key: _deviation(ours[key] - own[key]) * (part / rows) ** 0.5 for key in keys}
        return found

    scores = {name: scores_of(name, predicted) for name, predicted in predictions.items()}
    network = scores.pop("network")
    network.pop("difference", None)
    scores = {**network, **scores}
    scores["method"] = {"kind": "held out", "rows": rows, "resamples": RESAMPLES}
    return scores | (
        class_figures(true, predictions["network"], classes, threshold) if task == "classification" else {}
    )


def _deviation(values: Vector) -> float:
    known = values[np.isfinite(values)]
    return float(known.std(ddof=1)) if len(known) > 1 else 0.0


def over_folds(results: Sequence[Mapping[str, Any]], folds: int, repeats: int) -> dict[str, Any]:
    """Return the means of scores over folds, and their standard deviations as `"spread"`; see `score`.

    Args:
        results: the result of `score` for each network.
        folds: the number of folds.
        repeats: the number of times that all rows were divided into folds.
    """

    def over(part: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        keys = dict.fromkeys(key for each in part for key, value in each.items() if isinstance(value, float))
        values = {key: np.array([each.get(key, np.nan) for each in part]) for key in keys}
        ours = {key: np.array([each.get(key, np.nan) for each in results]) for key in keys}
        means: dict[str, Any] = {key: float(np.nanmean(column)) for key, column in values.items()}
        spreads = {key: _deviation(column) for key, column in values.items()}
        differences = {key: _deviation(ours[key] - column) for key, column in values.items()}
        return {**means, "spread": spreads} | ({"difference": differences} if part is not results else {})

    others = [key for key in ("linear", "baseline") if all(key in each for each in results)]
    method = {"kind": "folds", "folds": folds, "repeats": repeats, "networks": len(results)}
    return {**over(results), **{key: over([each[key] for each in results]) for key in others}, "method": method}


def class_figures(
    true: Vector, probabilities: Vector, classes: Sequence[str], threshold: float | None = None
) -> dict[str, Any]:
    """Return precision, recall, F1 and number of rows of each class, and the confusion matrix."""
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    predicted, labels = predicted_classes(probabilities, threshold), list(range(len(classes)))
    per_class = precision_recall_fscore_support(true, predicted, labels=labels, zero_division=0)
    return {
        "per_class": [
            {"class": name, "precision": float(p), "recall": float(r), "f1": float(f), "rows": int(n)}
            for name, p, r, f, n in zip(classes, *per_class)
        ],
        "confusion": confusion_matrix(true, predicted, labels=labels).tolist(),
    }


def curves(is_positive: Flags, probability: Vector) -> dict[str, Vector]:
    """Return the points of the ROC curve and of the precision-recall curve of a class.

    Returns:
        `false_positive_rate` with `true_positive_rate`, and `recall` with `precision`; an empty dict if the class has
        all rows or none.
    """
    from sklearn.metrics import precision_recall_curve, roc_curve

    if is_positive.all() or not is_positive.any():
        return {}
    alarms, hits, _ = roc_curve(is_positive, probability)
    precision, recall, _ = precision_recall_curve(is_positive, probability, drop_intermediate=True)
    return {"false_positive_rate": alarms, "true_positive_rate": hits, "recall": recall, "precision": precision}


def calibration(true: Vector, probabilities: Vector) -> list[dict[str, float]]:
    """Compare probabilities with shares, in at most 10 groups of rows of similar probability and equal size.

    Returns:
        For each group the mean `probability` of the second class of two (of more: of the predicted class), the `share`
        of the rows that are of it, and the number of `rows`.
    """
    two = probabilities.shape[1] == 2
    stated = probabilities[:, 1] if two else probabilities.max(axis=1)
    happened = true == (1 if two else probabilities.argmax(axis=1))
    groups = np.array_split(np.argsort(stated, kind="stable"), min(_BINS, len(true)))
    return [
        {"probability": float(stated[rows].mean()), "share": float(happened[rows].mean()), "rows": float(len(rows))}
        for rows in groups
    ]


def calibration_error(groups: Sequence[Mapping[str, float]]) -> float:
    """Return the mean distance between probability and share over the rows (the expected calibration error)."""
    rows = sum(group["rows"] for group in groups)
    return sum(group["rows"] * abs(group["probability"] - group["share"]) for group in groups) / rows


def best_thresholds(is_positive: Flags, probability: Vector) -> dict[str, float]:
    """Return the thresholds on the probability of a class with the best F1 and the best J of Youden.

    A row is of the class from the threshold on. J is the true positive rate less the false positive rate (Youden, Index
    for rating diagnostic tests, 1950). A threshold lies in the middle between two probabilities.

    >>> best_thresholds(np.array([False, False, True, True]), np.array([0.1, 0.2, 0.4, 0.9]))["f1"]
    0.30000000000000004
    """
    order = np.argsort(-probability, kind="stable")
    ordered, hits = probability[order], np.cumsum(is_positive[order])
    ends = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
    taken, hits = ends + 1, hits[ends]
    positives, negatives = is_positive.sum(), (~is_positive).sum()
    f1 = 2 * hits / (taken + positives)
    j = hits / max(1, positives) - (taken - hits) / max(1, negatives)
    levels = ordered[ends]
    middles = np.append((levels[:-1] + levels[1:]) / 2, levels[-1] / 2)
    return {"f1": float(middles[f1.argmax()]), "youden": float(middles[j.argmax()])}


def threshold_scores(is_positive: Flags, probability: Vector, threshold: float) -> dict[str, float]:
    """Return threshold, precision, recall, F1 and J of Youden of a class from a threshold on its probability.

    >>> threshold_scores(np.array([False, True, True]), np.array([0.1, 0.2, 0.9]), 0.5)["recall"]
    0.5
    """
    taken = probability >= threshold
    hits, positives = int((taken & is_positive).sum()), int(is_positive.sum())
    alarms = int(taken.sum()) - hits
    recall = hits / max(1, positives)
    return {
        "threshold": float(threshold),
        "precision": hits / max(1, hits + alarms),
        "recall": recall,
        "f1": 2 * hits / max(1, hits + alarms + positives),
        "youden": recall - alarms / max(1, len(taken) - positives),
    }
