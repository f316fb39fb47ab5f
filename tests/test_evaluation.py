"""Scores with their spread, thresholds, calibration, and the importance of columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from sklearn import metrics

from microgrud.cli import evaluation
from microgrud.cli.importance import Fold, importance

rows_of_classes = st.integers(2, 4).flatmap(
    lambda classes: st.lists(
        st.tuples(
            st.integers(0, classes - 1),  # the true class
            st.lists(st.integers(1, 5), min_size=classes, max_size=classes),  # probabilities, with many ties
            st.integers(0, 3),  # how many times a resample has the row
        ),
        min_size=2,
        max_size=12,
    )
)


@given(rows_of_classes)
def test_weighted_scores_of_classes_are_those_of_scikit_learn(rows: list[tuple[int, list[int], int]]) -> None:
    true, weights = np.array([row[0] for row in rows]), np.array([float(row[2]) for row in rows])
    probabilities = np.array([np.array(row[1]) / sum(row[1]) for row in rows])
    assume(weights.sum() > 0)
    classes, predicted = range(probabilities.shape[1]), probabilities.argmax(axis=1)
    found = {k: v[0] for k, v in evaluation.weighted_class_scores(true, probabilities, weights[None]).items()}
    kept = weights > 0
    options: dict[str, Any] = {"sample_weight": weights}
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(true, predicted, **options))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(true, probabilities, labels=list(classes), **options))
    f1 = metrics.f1_score(true[kept], predicted[kept], average="macro", sample_weight=weights[kept], zero_division=0)
    assert found["macro_f1"] == pytest.approx(f1)
    asked = [c for c in (classes if len(classes) > 2 else [1]) if 0 < (true[kept] == c).sum() < kept.sum()]
    for name, area in (("roc_auc", metrics.roc_auc_score), ("pr_auc", metrics.average_precision_score)):
        areas = [area(true == c, probabilities[:, c], **options) for c in asked]
        assert found[name] == pytest.approx(np.mean(areas) if areas else np.nan, nan_ok=True)


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 3)), min_size=2), st.integers(-5, 150))
def test_weighted_scores_of_numbers_are_those_of_scikit_learn(rows: list[tuple[int, int, int]], power: int) -> None:
    table = np.array(rows, dtype=float)
    true, predicted, weights = table[:, 0], table[:, 1], table[:, 2]
    assume(np.ptp(true[weights > 0]) > 0 if (weights > 0).any() else False)
    unit = 10.0**power
    found = evaluation.weighted_number_scores(unit * true, unit * predicted, weights[None])
    assert found["r2"][0] == pytest.approx(metrics.r2_score(true, predicted, sample_weight=weights))
    assert found["mae"][0] / unit == pytest.approx(metrics.mean_absolute_error(true, predicted, sample_weight=weights))
    mse = metrics.mean_squared_error(true, predicted, sample_weight=weights)
    assert found["rmse"][0] / unit == pytest.approx(mse**0.5)


def test_the_spread_of_an_accuracy_is_that_of_a_share() -> None:
    rng = np.random.default_rng(0)
    for rows in (400, 20_000):  # of many rows, a part is resampled
        true = rng.integers(2, size=rows)
        right = np.where(rng.random(rows) < 0.8, true, 1 - true)
        found = evaluation.score("classification", true, {"network": np.eye(2)[right]}, "ab")
        assert found["spread"]["accuracy"] == pytest.approx((0.8 * 0.2 / rows) ** 0.5, rel=0.2)
        assert found["method"] == {"kind": "held out", "rows": rows, "resamples": evaluation.RESAMPLES}


def test_the_spread_of_a_score_covers_other_samples() -> None:
    rng = np.random.default_rng(1)
    found, spreads = [], []
    for _ in range(100):
        true = rng.normal(size=100)
        scores = evaluation.score("regression", true, {"network": true + rng.normal(size=100)})
        found.append(scores["mae"])
        spreads.append(scores["spread"]["mae"])
    assert np.mean(spreads) == pytest.approx(np.std(found), rel=0.2)


def test_a_score_that_is_not_defined_has_no_entry() -> None:
    one_class = evaluation.score("classification", np.zeros(5, dtype=int), {"network": np.full((5, 2), 0.5)}, "ab")
    assert "roc_auc" not in one_class
    assert one_class["accuracy"] == 1.0
    constant = evaluation.score("regression", np.ones(5), {"network": np.arange(5.0)})
    assert constant["r2"] == 0.0


def test_scores_over_folds_are_their_mean_and_standard_deviation() -> None:
    folds = [{"r2": x, "method": {}, "baseline": {"r2": 0.0}} for x in (0.5, 0.7, 0.9)]
    found = evaluation.over_folds(folds, 3, 1)
    assert found["r2"] == pytest.approx(0.7)
    assert found["spread"]["r2"] == pytest.approx(0.2)
    assert found["baseline"] == {"r2": 0.0, "spread": {"r2": 0.0}, "difference": {"r2": pytest.approx(0.2)}}
    assert found["method"] == {"kind": "folds", "folds": 3, "repeats": 1, "networks": 3}


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9)), min_size=2, max_size=12))
def test_no_threshold_is_better_than_the_best_one(rows: list[tuple[bool, int]]) -> None:
    positive, probability = np.array([row[0] for row in rows]), np.array([row[1] / 10 for row in rows])
    assume(0 < positive.sum() < len(rows))
    best = evaluation.best_thresholds(positive, probability)
    for name in ("f1", "youden"):
        of_best = evaluation.threshold_scores(positive, probability, best[name])[name]
        others = [evaluation.threshold_scores(positive, probability, t)[name] for t in np.linspace(0, 1, 41)]
        assert of_best >= max(others) - 1e-12


def test_probabilities_that_hold_are_calibrated() -> None:
    rng = np.random.default_rng(0)
    stated = rng.random(50_000)
    true = (rng.random(50_000) < stated).astype(int)
    honest = evaluation.calibration(true, np.column_stack([1 - stated, stated]))
    assert evaluation.calibration_error(honest) < 0.01
    assert sum(group["rows"] for group in honest) == 50_000
    bold = np.where(stated > 0.5, 0.99, 0.01)
    assert evaluation.calibration_error(evaluation.calibration(true, np.column_stack([1 - bold, bold]))) > 0.2


def test_the_area_below_a_curve_is_the_score_and_one_class_alone_has_none() -> None:
    positive, probability = np.array([False, True, True]), np.array([0.1, 0.8, 0.4])
    found = evaluation.curves(positive, probability)
    area = metrics.auc(found["false_positive_rate"], found["true_positive_rate"])
    assert area == metrics.roc_auc_score(positive, probability)
    assert evaluation.curves(positive[1:], probability[1:]) == {}


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_importance_of_a_column_is_that_of_all_its_inputs(task: str) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(500, 4))
    total = inputs[:, 1] + 2 * inputs[:, 2]

    def answer(rows: Any) -> Any:
        size = rows[:, 1] + 2 * rows[:, 2]
        return size if task == "regression" else 1 / (1 + np.exp(np.outer(size, [1.0, -1.0])))

    true = total if task == "regression" else (total > 0).astype(int)
    fold = Fold(inputs, true, ["noise", "used", "used", "idle"], answer)
    found = importance([fold], ["noise", "used", "idle"], task, parameters=10)
    assert found["column"][0] == "used"
    of = found.set_index("column")
    assert of.loc["noise", "importance"] == of.loc["idle", "importance"] == 0.0
    if task == "regression":  # of shuffled rows, the squared error is twice the variance
        assert of.loc["used", "importance"] == pytest.approx(2.0, abs=4 * of.loc["used", "spread"])
    assert of.loc["used", "importance"] > 10 * of.loc["used", "spread"] > 0
