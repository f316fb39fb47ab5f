"""Predictions of the estimators: of networks, of encoded inputs, of linear models, and calibrated."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from estimators import IRIS, NAMES, SPECIES, classifier, regressor
from hypothesis import given, settings, strategies as st
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss

from microgrud.nn import MLP
from microgrud.nn.activations import ACTIVATIONS
from microgrud.sklearn import MLPRegressor
from microgrud.sklearn.calibration import temperature_of
from microgrud.sklearn.encoding import Encoding, drawn_in


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_predictions_are_those_of_the_network(activation: str) -> None:
    model = regressor(activation=activation, max_iter=1, learning_rate_init=1e-6, blend_linear=False).fit(IRIS, SPECIES)
    rows = model.encoding_.apply(IRIS[::10]).tolist()
    answers = np.array([[model.networks_[0](row).data] for row in rows])
    assert model.predict(IRIS[::10]) == pytest.approx(model.target_scale_.undo(answers)[:, 0], rel=1e-12)


def test_an_activation_of_the_user_predicts_as_the_network_does() -> None:
    def bent(x: Any) -> Any:
        return x * x if x > 0.0 else 0.1 * x

    model = regressor(activation=bent, max_iter=1, learning_rate_init=1e-6, blend_linear=False).fit(IRIS, SPECIES)
    answers = np.array([[model.networks_[0](row).data] for row in model.encoding_.apply(IRIS).tolist()])
    assert model.predict(IRIS) == pytest.approx(model.target_scale_.undo(answers)[:, 0], rel=1e-12)


@pytest.mark.parametrize("scaled", [True, False])
def test_a_prediction_does_not_depend_on_the_other_rows_to_the_bit(scaled: bool) -> None:
    X = np.random.default_rng(0).normal(size=(1_700, 7))
    for model in (classifier(n_estimators=2, scale_inputs=scaled), regressor(n_estimators=2, scale_inputs=scaled)):
        model.fit(X[:200], np.arange(200) % 3)
        model.network_share_ = 0.5
        predict = getattr(model, "predict_proba", model.predict)
        whole = predict(np.asfortranarray(X))
        for rows in (slice(5, 6), slice(3, 50), slice(0, 900, 7), slice(1_000, None)):
            np.testing.assert_array_equal(predict(X[rows]), whole[rows])


def test_an_ensemble_averages_its_networks() -> None:
    model = classifier(n_estimators=3, calibrate=False, blend_linear=False).fit(IRIS, NAMES)
    probabilities = []
    for network in model.networks_:
        logits = np.array([[z.data for z in network(row)] for row in model.encoding_.apply(IRIS).tolist()])
        probabilities.append(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    assert model.predict_proba(IRIS) == pytest.approx(np.mean(probabilities, axis=0), rel=1e-10)
    assert not np.allclose(probabilities[0], probabilities[1])
    assert len(model.coefs_) == len(model.history_) == 3
    assert model.predict_log_proba(IRIS) == pytest.approx(np.log(model.predict_proba(IRIS)))


def test_the_layers_are_readable_as_in_scikit_learn() -> None:
    model = classifier(hidden_layer_sizes=[5, 4], activation="tanh", pieces=0, blend_linear=False).fit(IRIS, NAMES)
    assert ([w.shape for w in model.coefs_], [b.shape for b in model.intercepts_]) == (
        [(4, 5), (5, 4), (4, 3)], [(5,), (4,), (3,)]
    )  # fmt: skip
    assert (model.n_layers_, model.n_outputs_, model.n_features_in_) == (4, 3, 4)
    assert isinstance(model.networks_[0], MLP)
    hidden = model.encoding_.apply(IRIS)
    for w, b in zip(model.coefs_[:-1], model.intercepts_[:-1]):
        hidden = np.tanh(hidden @ w + b)
    logits = (hidden @ model.coefs_[-1] + model.intercepts_[-1]) / model.temperature_
    assert model.predict_proba(IRIS) == pytest.approx(np.exp(logits) / np.exp(logits).sum(axis=1)[:, None], rel=1e-10)


def test_validated_rows_are_predicted_by_the_networks_that_were_not_trained_on_them() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 3)), rng.integers(2, size=90)
    single = classifier().fit(X, y)
    rows, predictions = single.validated(X)
    assert 0 < len(rows) < 90
    np.testing.assert_allclose(predictions, single.predict_proba(X[rows]), rtol=1e-12)
    several = classifier(n_estimators=3).fit(X, y)
    rows, predictions = several.validated(X)
    assert len(set(rows.tolist())) == len(rows) == len(predictions)
    assert not np.allclose(predictions, several.predict_proba(X[rows]))
    assert len(classifier(early_stopping=False).fit(X, y).validated(X)[0]) == 0
    used = np.arange(90) % 3 > 0
    rows, predictions = clone(single).fit(X, y, 1.0 * used).validated(X)
    assert used[rows].all()
    np.testing.assert_allclose(predictions, clone(single).fit(X[used], y[used]).predict_proba(X[rows]), rtol=1e-12)


def test_more_networks_than_rows_are_validated_on_a_row_each() -> None:
    model = regressor(n_estimators=23, validation_fraction=0.01, max_iter=1, hidden_layer_sizes=(1,))
    rows, _ = model.fit(IRIS[:22], IRIS[:22, 0]).validated(IRIS[:22])
    assert len(rows) == 23
    assert set(rows) == set(range(22))


def test_eight_networks_are_validated_on_all_rows_once() -> None:
    model = classifier(n_estimators=8, max_iter=1).fit(IRIS, NAMES)
    folds = [np.bincount(SPECIES[rows], minlength=3) for rows in model._validation]
    assert np.sum(folds, axis=0).tolist() == [50, 50, 50]
    assert {count for fold in folds for count in fold.tolist()} == {6, 7}


# --- inputs ---


def test_a_number_that_acts_by_steps_is_learned_from_its_pieces() -> None:
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (400, 1))
    y = np.sign(np.sin(9.0 * x[:, 0]))
    scores = [
        MLPRegressor((32,), pieces=pieces, random_state=0).fit(x[::2], y[::2]).score(x[1::2], y[1::2])
        for pieces in (0, 16)
    ]
    assert scores[0] < 0.5 < 0.8 < scores[1]


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=30), st.integers(0, 9))
def test_encoded_inputs_are_bounded_and_never_fall_where_the_number_rises(numbers: list[float], pieces: int) -> None:
    column = np.sort(np.array(numbers))[:, None]
    encoding = Encoding.of(column, None, pieces)
    encoded = encoding.apply(column)
    assert encoded.shape == (len(column), encoding.size)
    assert (np.abs(encoded) <= 3.0).all()
    assert (np.diff(encoded, axis=0) >= 0.0).all()


def test_a_row_of_weight_2_is_encoded_as_two_rows() -> None:
    columns, weights = IRIS[::3], np.arange(50) % 3 + 1.0
    twice = np.repeat(columns, weights.astype(int), axis=0)
    one, other = Encoding.of(columns, weights, 5), Encoding.of(twice, None, 5)
    assert one.apply(IRIS) == pytest.approx(other.apply(IRIS), abs=1e-9)


@pytest.mark.parametrize("unit", [2.0**-1000, 2.0**-30, 2.0**30, 2.0**1000])
def test_units_of_inputs_and_targets_do_not_matter(unit: float) -> None:
    model, other = regressor().fit(IRIS, SPECIES), regressor().fit(IRIS * unit, SPECIES * unit)
    assert (other.predict(IRIS * unit) == unit * model.predict(IRIS)).all()


def test_a_number_far_beyond_the_training_data_is_predicted_as_its_edge_is() -> None:
    model = regressor(n_estimators=2).fit(IRIS, SPECIES)
    rows = np.array([[1e8] * 4, [1e300] * 4, [-1e8] * 4, [-1e300] * 4])
    assert np.isfinite(model.predict(rows)).all()
    assert model.predict(rows)[::2] == pytest.approx(model.predict(rows)[1::2])


def test_without_scaling_a_number_for_which_the_network_fails_is_refused() -> None:
    model = regressor(activation="exp", scale_inputs=False, blend_linear=False).fit(IRIS, SPECIES)
    rows = np.tile(IRIS, (10, 1))
    rows[1207] *= 1e300
    with pytest.raises(ValueError, match="row 1207, for which an output of the network is not a finite number"):
        model.predict(rows)


# --- linear models ---


@pytest.mark.parametrize("sizes", [(8,), ()])
def test_a_linear_truth_is_left_to_the_linear_models(sizes: tuple[int, ...]) -> None:
    generator = np.random.default_rng(1)
    X = generator.normal(size=(120, 10))
    y = X @ np.arange(10.0) + generator.normal(size=120)
    model = regressor(hidden_layer_sizes=sizes, n_estimators=8, max_iter=5).fit(X, y)
    alone = regressor(hidden_layer_sizes=sizes, n_estimators=8, max_iter=5, blend_linear=False).fit(X, y)
    assert (model.network_share_, alone.network_share_) == (0.0, 1.0)
    assert model.score(X, y) > 0.98 > alone.score(X, y)


@pytest.mark.parametrize("bent", [False, True])
def test_the_linear_models_keep_the_tails_where_that_fits_the_validation_rows(bent: bool) -> None:
    X = np.random.default_rng(1).normal(size=(200, 3)) ** 3  # with long tails
    y = drawn_in(Encoding.of(X, None, 0).standard(X)) @ [1.0, 2.0, 3.0] if bent else X @ [1.0, 2.0, 3.0]
    model = regressor(n_estimators=8, max_iter=2, pieces=0).fit(X, y)
    assert {linear.has_tails for linear in model._linear} == {not bent}
    assert model.score(X, y) > 0.999
    assert (type(model).from_json(json.loads(json.dumps(model.to_json()))).predict(X) == model.predict(X)).all()


# --- calibration ---


def test_probabilities_are_calibrated_where_that_helps_other_rows() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    y = np.where(np.random.default_rng(0).random(len(y)) < 0.2, 1 - y, y)  # one label in five is wrong
    training = {"max_iter": 15, "learning_rate_init": 0.05, "alpha": 0.0, "validation_fraction": 0.5, "tol": 10.0}
    raw, calibrated = (classifier(**training, blend_linear=False, calibrate=c) for c in (False, True))
    raw.fit(X[::2], y[::2])
    calibrated.fit(X[::2], y[::2])
    assert raw.temperature_ == 1.0 < calibrated.temperature_
    assert (raw.predict(X) == calibrated.predict(X)).all()
    assert log_loss(y[1::2], calibrated.predict_proba(X[1::2])) < log_loss(y[1::2], raw.predict_proba(X[1::2]))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.2, 5.0))
def test_a_temperature_undoes_a_factor_of_the_logits(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(4000, 3)) * 2.0
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = (shares.cumsum(axis=1) < rng.random((4000, 1))).sum(axis=1)
    assert temperature_of(logits * factor, targets) == pytest.approx(factor, rel=0.15)


def test_temperatures_use_weights_and_need_rows() -> None:
    logits, targets = np.repeat([[4.0, 0.0]], 200, axis=0), np.repeat([0, 1], [100, 100])
    weights = np.repeat([3.0, 1.0], [100, 100])
    share = 0.75 * (1.0 - 1 / 202) + 0.5 / 202  # one row in 202 counts as unknown
    assert temperature_of(logits, targets, weights) == pytest.approx(4.0 / math.log(share / (1.0 - share)), rel=1e-4)
    assert temperature_of(logits[:40], targets[:40]) == 1.0


@pytest.mark.slow("4 s")
def test_where_all_validation_rows_are_right_the_temperature_does_not_make_sure_of_others() -> None:
    generator = np.random.default_rng(600)

    def make(rows: int) -> tuple[Any, Any]:
        X = generator.normal(size=(rows, 4))
        return X, (X[:, 0] + 0.15 * generator.normal(size=rows) * (generator.random(rows) < 0.15) > 0).astype(int)

    X, y = make(60)
    other, truth = make(4000)
    options = {"hidden_layer_sizes": (64, 32), "activation": "relu", "n_estimators": 8}
    losses = [
        log_loss(truth, classifier(**options, calibrate=calibrate).fit(X, y).predict_proba(other))
        for calibrate in (False, True)
    ]
    assert losses[1] < 1.2 * losses[0]


def test_a_constant_column_says_nothing_whatever_its_number() -> None:
    for constant in (0.0, 1.0, 7.0):
        columns = np.column_stack([IRIS, np.full(150, constant)])
        model = classifier().fit(columns, NAMES)
        assert (model.predict_proba(columns) == model.predict_proba(columns - [0, 0, 0, 0, 1])).all()


def test_a_refused_fit_with_a_warm_start_leaves_the_model_as_it_was() -> None:
    model = classifier(n_estimators=2, warm_start=True).fit(IRIS, NAMES)
    expected, validated = model.predict_proba(IRIS), model.validated(IRIS)[1]
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        model.set_params(hidden_layer_sizes=(3, 3)).fit(IRIS[30:], NAMES[30:], np.arange(120) % 2)
    assert (model.predict_proba(IRIS) == expected).all()
    assert (model.validated(IRIS)[1] == validated).all()


def test_partial_fit_follows_weights_that_are_equal_within_a_batch() -> None:
    model, other = classifier(solver="sgd"), classifier(solver="sgd")
    for _ in range(5):
        for k in (0, 1):
            rows = np.arange(50 * k, 50 * k + 50)
            model.partial_fit(IRIS[rows], SPECIES[rows], [0, 1])
            other.partial_fit(IRIS[rows], SPECIES[rows], [0, 1], sample_weight=np.full(50, [1.0, 5.0][k]))
    assert other.predict_proba(IRIS[:100])[:, 1].mean() > model.predict_proba(IRIS[:100])[:, 1].mean() + 0.02
