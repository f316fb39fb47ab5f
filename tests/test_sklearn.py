"""The estimators: scikit-learn's own checks, and what they promise beyond these."""

from __future__ import annotations

import copy
import json
import math
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_sample_weight_equivalence_on_dense_data, estimator_checks_generator

import microgrud
from microgrud.nn import MLP
from microgrud.nn.activations import ACTIVATIONS
from microgrud.optim import OPTIMIZERS
from microgrud.plot import Trajectory
from microgrud.sklearn import MLPClassifier, MLPRegressor
from microgrud.sklearn.calibration import temperature_of
from microgrud.sklearn.encoding import Encoding, drawn_in
from microgrud.sklearn.settings import SCHEDULES
from microgrud.train import TrainingDivergedError

IRIS, SPECIES = load_iris(return_X_y=True)
DIABETES, PROGRESS = load_diabetes(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
#: Small networks and few epochs: most laws hold however well a network has learned.
SMALL: dict[str, Any] = {"hidden_layer_sizes": (6,), "max_iter": 4, "random_state": 0}
#: Settings with which the order and the grouping of the rows do not matter.
WHOLE: dict[str, Any] = {"batch_size": None, "early_stopping": False, "alpha": 0.01}
WHOLE |= {"max_iter": 30, "random_state": 0}


def classifier(**parameters: Any) -> MLPClassifier:
    return MLPClassifier(**SMALL | parameters)


def regressor(**parameters: Any) -> MLPRegressor:
    return MLPRegressor(**SMALL | parameters)


def same(one: Any, other: Any, X: Any = IRIS) -> bool:
    """Return whether two estimators predict the same, to the bit."""
    method = "predict_proba" if hasattr(one, "predict_proba") else "predict"
    return bool((getattr(one, method)(X) == getattr(other, method)(X)).all())


# --- scikit-learn's checks ---

#: A weight of 2 is not a row given twice where that moves the borders of the mini-batches, and the validation share.
NOT_IN_BATCHES = "check_sample_weight_equivalence_on_dense_data"
CHECKS = [
    pytest.param(estimator, check, id=f"{type(estimator).__name__}-{check.func.__name__}")
    for model in (MLPClassifier((16,), max_iter=40), MLPRegressor((16,), max_iter=40))
    for estimator, check in estimator_checks_generator(model)
    if check.func.__name__ != NOT_IN_BATCHES  # passed with full batches below
]


@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_scikit_learns_checks_pass(estimator: Any, check: Callable[[Any], None]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's own, on checks that it skips
        check(estimator)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("solver", OPTIMIZERS)
def test_with_full_batches_a_weight_is_a_number_of_rows(kind: Any, solver: str) -> None:
    max_iter = 5 if solver == "lbfgs" else 30  # a line search amplifies rounding
    model = kind((8,), **WHOLE | {"solver": solver, "max_iter": max_iter})
    check_sample_weight_equivalence_on_dense_data(kind.__name__, model)


def test_an_estimator_from_json_has_no_validated_rows() -> None:
    with pytest.raises(ValueError, match="validated: expected an estimator after fit, got one from JSON"):
        MLPClassifier.from_json(classifier().fit(IRIS, NAMES).to_json()).validated(IRIS)


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


# --- weights ---


def test_equal_weights_are_no_weights_and_rows_of_weight_0_are_left_out_to_the_bit() -> None:
    used = np.arange(150) % 3 > 0
    for model, y in ((classifier(), NAMES), (regressor(), SPECIES)):
        plain = clone(model).fit(IRIS, y)
        assert same(plain, clone(model).fit(IRIS, y, np.full(150, 7.0)))
        assert not same(plain, clone(model).fit(IRIS, y, used))
        assert same(clone(model).fit(IRIS[used], y[used]), clone(model).fit(IRIS, y, 3.0 * used))


def test_class_weights_are_sample_weights() -> None:
    weights = {"setosa": 1.0, "versicolor": 4.0, "virginica": 0.5}
    by_class = classifier(class_weight=weights).fit(IRIS, NAMES)
    assert same(by_class, classifier().fit(IRIS, NAMES, [weights[name] for name in NAMES]))
    both = classifier(class_weight=weights).fit(IRIS, NAMES, np.linspace(0.1, 1.0, 150))
    assert same(both, classifier().fit(IRIS, NAMES, np.linspace(0.1, 1.0, 150) * [weights[name] for name in NAMES]))


def test_balanced_classes_are_those_of_as_many_rows_as_the_weights_say() -> None:
    weights = np.arange(150) % 4
    model = classifier(**WHOLE, class_weight="balanced", pieces=0)
    once, often = model.fit(IRIS, NAMES, weights), clone(model).fit(IRIS.repeat(weights, axis=0), NAMES.repeat(weights))
    np.testing.assert_allclose(once.predict_proba(IRIS), often.predict_proba(IRIS), atol=1e-9)


def test_more_networks_than_rows_are_validated_on_a_row_each() -> None:
    model = regressor(n_estimators=23, validation_fraction=0.01, max_iter=1, hidden_layer_sizes=(1,))
    rows, _ = model.fit(IRIS[:22], IRIS[:22, 0]).validated(IRIS[:22])
    assert len(rows) == 23
    assert set(rows) == set(range(22))


def test_weights_of_any_size_are_shares() -> None:
    weights = np.linspace(0.5, 1.0, 150)
    model = regressor().fit(IRIS, SPECIES, weights)
    assert all(same(model, regressor().fit(IRIS, SPECIES, weights * 2.0**k)) for k in (-1000, 1023))


@pytest.mark.parametrize(
    "model", [classifier(label_smoothing=0.1), *(regressor(loss=name) for name in ("absolute_error", "huber"))]
)
@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2.0, 150)])
def test_every_loss_is_recorded(model: Any, weights: Any) -> None:
    model = clone(model).set_params(hidden_layer_sizes=(32,), batch_size=64)  # enough work to gain from a recording
    assert model.fit(IRIS, SPECIES, weights).history_.engine == "tape"


def test_several_targets_are_weighted_together() -> None:
    targets = np.column_stack([SPECIES, IRIS[:, 0]])
    weights = np.linspace(0.5, 2.0, 150)
    model = regressor(hidden_layer_sizes=(32,), batch_size=64).fit(IRIS, targets, weights)
    assert model.history_.engine == "tape"
    assert model.predict(IRIS).shape == (150, 2)
    assert not same(model, clone(model).fit(IRIS, targets))


@pytest.mark.parametrize(
    ("weights", "message"),
    [(np.zeros(150), "weight above 0|non-zero"), (np.full(150, -1.0), "Negative"), ([1.0], "shape")],
)
def test_weights_that_cannot_be_used_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier().fit(IRIS, NAMES, weights)


def test_smoothed_targets_lower_the_confidence() -> None:
    plain = {"max_iter": 60, "learning_rate_init": 0.02, "calibrate": False, "blend_linear": False}
    sure, less = (classifier(**plain, label_smoothing=s).fit(IRIS, NAMES) for s in (0.0, 0.2))
    assert less.predict_proba(IRIS).max(axis=1).mean() < 0.85 < 0.9 < sure.predict_proba(IRIS).max(axis=1).mean()


# --- the same model again ---


@pytest.mark.parametrize("model", [classifier(n_estimators=3), regressor(n_estimators=3)])
def test_the_same_seed_gives_the_same_model_with_any_number_of_processes(model: Any) -> None:
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[union-attr]
    one, two = (clone(model).set_params(n_jobs=jobs).fit(IRIS, SPECIES) for jobs in (None, 2))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # type: ignore[union-attr]
    assert same(one, two)
    assert [h.to_dict() for h in one.history_] == [h.to_dict() for h in two.history_]
    assert not same(one, clone(model).set_params(random_state=1).fit(IRIS, SPECIES))


def test_it_trains_in_a_thread_and_inside_no_grad() -> None:
    plain, found = classifier().fit(IRIS, NAMES), []
    thread = threading.Thread(target=lambda: found.append(classifier().fit(IRIS, NAMES)))
    thread.start()
    thread.join()
    with microgrud.no_grad():
        found.append(classifier().fit(IRIS, NAMES))
        assert all(same(plain, model) for model in found)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_predict_the_same_and_train_on_alike(copied: Callable[[Any], Any]) -> None:
    for model in (classifier(), regressor()):
        classes = {} if isinstance(model, MLPRegressor) else {"classes": [0, 1, 2]}
        model.partial_fit(IRIS, SPECIES, **classes)
        twin = copied(model)
        assert same(model, twin)
        model.partial_fit(IRIS, SPECIES)
        assert not same(model, twin)
        assert same(model, twin.partial_fit(IRIS, SPECIES))


def test_a_pickle_holds_parameters_and_no_recordings() -> None:
    model = classifier(hidden_layer_sizes=(50, 50), max_iter=1).fit(IRIS, NAMES)
    model.predict(IRIS)
    assert len(pickle.dumps(model)) < 8 * sum(w.size for w in [*model.coefs_, *model.intercepts_]) + 4_000


# --- JSON ---

LABELS = {
    "strings": NAMES,
    "objects": NAMES.astype(object),
    "integers": SPECIES,
    "small integers": SPECIES.astype(np.int8),
    "floats": SPECIES * 1.0,
    "truth values": SPECIES == 1,
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_a_classifier_is_rebuilt_from_json_with_labels_of_their_type(labels: Any) -> None:
    weight = dict.fromkeys(np.unique(labels).tolist(), 2.0)
    model = classifier(n_estimators=2, class_weight=weight).fit(IRIS, labels)
    text = json.dumps(model.to_json(), allow_nan=False)
    twin = MLPClassifier.from_json(json.loads(text))
    assert same(model, twin)
    assert twin.predict(IRIS).dtype == model.predict(IRIS).dtype
    assert {type(label) for label in twin.predict(IRIS).tolist()} == {type(labels.tolist()[0])}
    assert twin.get_params() == model.get_params()
    assert (twin.loss_curve_, twin.n_iter_, twin.settings_) == (model.loss_curve_, model.n_iter_, model.settings_)
    assert json.dumps(twin.to_json()) == text


def test_a_regressor_is_rebuilt_from_json_with_the_names_of_its_inputs() -> None:
    frame = pd.DataFrame(IRIS, columns=list("abcd"))
    for y in (SPECIES, np.column_stack([SPECIES, IRIS[:, 0]])):
        model = regressor(scale_inputs=False).fit(frame, y)
        twin = MLPRegressor.from_json(json.loads(json.dumps(model.to_json())))
        assert same(model, twin, frame)
        assert twin.feature_names_in_.tolist() == list("abcd")
        with pytest.raises(ValueError, match="feature names"):
            twin.predict(frame.rename(columns={"a": "z"}))
        assert same(model.partial_fit(frame, y), twin.partial_fit(frame, y), frame)
        assert same(model, MLPRegressor.from_json(model.to_json()), frame)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to each entry of a document."""
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [found for key, each in items for found in [(*path, key), *places(each, (*path, key))]]


DOCUMENTS = [
    classifier(hidden_layer_sizes=(2,), max_iter=2, class_weight={0: 1.0, 1: 2.0}).fit(IRIS, SPECIES % 2).to_json(),
    regressor(hidden_layer_sizes=(), max_iter=2).fit(pd.DataFrame(IRIS, columns=list("abcd")), SPECIES).to_json(),
]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_document_is_an_error_that_names_an_entry(data: st.DataObject) -> None:
    document = copy.deepcopy(data.draw(st.sampled_from(DOCUMENTS)))
    *path, key = data.draw(st.sampled_from(places(document)))
    inner = document
    for step in path:
        inner = inner[step]
    damage = data.draw(st.sampled_from([None, "x", -1, 0, 1.5, math.inf, [], {}, [None], {"x": 1}, "remove"]))
    if damage == "remove":
        del inner[key]
    else:
        inner[key] = damage
    kind = MLPClassifier if document.get("estimator") == "MLPClassifier" else MLPRegressor
    refusal = ""
    try:
        made = kind.from_json(document)
    except ValueError as error:
        refusal = str(error)
    if refusal:
        assert any(str(step) in refusal for step in (*path, key))
    else:
        assert len(made.predict(pd.DataFrame(IRIS, columns=made.to_json()["feature_names"]))) == 150


@pytest.mark.parametrize(
    ("parameters", "named"), [({"activation": lambda x: x * x}, "activation"), ({"random_state": np.random}, "random_")]
)
def test_what_json_cannot_hold_is_named(parameters: dict[str, Any], named: str) -> None:
    with pytest.raises(TypeError, match=named):
        classifier(**parameters).fit(IRIS, NAMES).to_json()


def test_a_blend_without_its_linear_models_is_refused() -> None:
    document = classifier(n_estimators=2).fit(IRIS, NAMES).to_json()
    for linear in ([], document["linear"][:1]):
        with pytest.raises(ValueError, match="linear: expected a model for each of the networks"):
            MLPClassifier.from_json({**document, "linear": linear, "network_share": 0.5})


def test_only_a_trained_estimator_has_a_description() -> None:
    with pytest.raises(NotFittedError):
        classifier().to_json()
    with pytest.raises(ValueError, match="expected 'MLPRegressor', got 'MLPClassifier'"):
        MLPRegressor.from_json(DOCUMENTS[0])


# --- in scikit-learn's tools ---


def test_pipelines_and_searches_in_processes_work() -> None:
    pipeline = make_pipeline(StandardScaler(), classifier(max_iter=30))
    search = GridSearchCV(pipeline, {"mlpclassifier__hidden_layer_sizes": [(2,), (8,)]}, n_jobs=2, cv=3)
    assert search.fit(IRIS, NAMES).score(IRIS, NAMES) > 0.9
    assert cross_val_score(pipeline, IRIS, NAMES, cv=3).mean() > 0.9


# --- predictions ---


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


def test_many_rows_are_predicted_in_parts_as_few_are() -> None:
    model = classifier().fit(IRIS, NAMES)
    whole = np.tile(model.predict_proba(IRIS), (300, 1))
    assert model.predict_proba(np.tile(IRIS, (300, 1))) == pytest.approx(whole, rel=1e-12)  # up to BLAS


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


def test_a_linear_truth_is_left_to_the_linear_models() -> None:
    generator = np.random.default_rng(1)
    X = generator.normal(size=(120, 10))
    y = X @ np.arange(10.0) + generator.normal(size=120)
    model = regressor(n_estimators=8, max_iter=5).fit(X, y)
    alone = regressor(n_estimators=8, max_iter=5, blend_linear=False).fit(X, y)
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


def test_eight_networks_are_validated_on_all_rows_once() -> None:
    model = classifier(n_estimators=8, max_iter=1).fit(IRIS, NAMES)
    folds = [np.bincount(SPECIES[rows], minlength=3) for rows in model._validation]
    assert np.sum(folds, axis=0).tolist() == [50, 50, 50]
    assert {count for fold in folds for count in fold.tolist()} == {6, 7}


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


# --- training ---


def test_training_ends_with_the_parameters_of_the_best_epoch() -> None:
    model = regressor(max_iter=200, n_iter_no_change=5, learning_rate_init=0.05, blend_linear=False).fit(
        DIABETES, PROGRESS
    )
    assert model.history_.stopped_by == "early stopping"
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_loss_curve_) < 200
    assert model.best_loss_ == min(model.validation_loss_curve_) < model.validation_loss_curve_[-1]
    held_out = model._validation[0]
    residuals = (PROGRESS - model.predict(DIABETES))[held_out] / model.target_scale_.deviation
    assert np.mean(residuals**2) == pytest.approx(model.best_loss_)


def test_few_rows_are_all_trained_on() -> None:
    assert classifier().fit(IRIS[::8], NAMES[::8]).validation_loss_curve_ is None
    assert classifier(early_stopping=False).fit(IRIS, NAMES).validation_loss_curve_ is None
    assert len(classifier().fit(IRIS[::7], NAMES[::7]).validation_loss_curve_) == 4


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_learns(schedule: str) -> None:
    assert classifier(learning_rate=schedule, max_iter=40).fit(IRIS, NAMES).score(IRIS, NAMES) > 0.9


def test_networks_of_other_sizes_cannot_go_on() -> None:
    model = classifier(warm_start=True).fit(IRIS, NAMES).set_params(hidden_layer_sizes=(7,))
    for go_on in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=r"hidden_layer_sizes: expected \(6,\), with which .* got \(7,\); train"):
            go_on(IRIS, NAMES)


def test_a_warm_start_goes_on_from_the_present_networks() -> None:
    model = MLPRegressor((6,), **WHOLE, warm_start=True).fit(IRIS, SPECIES)
    residuals = (SPECIES - model.predict(IRIS)) / model.target_scale_.deviation
    assert model.fit(IRIS, SPECIES).history_.loss[0] == pytest.approx(np.mean(residuals**2))
    assert model.set_params(n_estimators=3).fit(IRIS, SPECIES).history_[0].loss[0] < residuals.var()
    assert len(model.networks_) == 3
    with pytest.raises(ValueError, match="expected the classes"):
        classifier(warm_start=True).fit(IRIS, NAMES).fit(IRIS, SPECIES)


def test_a_partial_fit_uses_the_rate_that_is_given_and_else_that_of_the_first_call() -> None:
    model = classifier(learning_rate_init=None).partial_fit(IRIS, NAMES, np.unique(NAMES))
    first = model.settings_
    rest = model.partial_fit(IRIS[::50], NAMES[::50]).settings_
    assert (rest.learning_rate_init, rest.alpha) == (first.learning_rate_init, first.alpha)
    before = model.predict_proba(IRIS)
    model.set_params(learning_rate_init=1e-12).partial_fit(IRIS, NAMES)
    np.testing.assert_allclose(model.predict_proba(IRIS), before, atol=1e-9)


def test_partial_fits_learn() -> None:
    model = classifier(batch_size=15, learning_rate_init=0.02)
    for _ in range(30):
        for rows in (slice(0, None, 2), slice(1, None, 2)):
            model.partial_fit(IRIS[rows], NAMES[rows], classes=np.unique(NAMES))
    assert model.score(IRIS, NAMES) > 0.9
    with pytest.raises(ValueError, match="got \\['rose'\\] among them"):
        model.partial_fit(IRIS, np.full(150, "rose"))
    with pytest.raises(ValueError, match="expected all classes in the first call"):
        classifier().partial_fit(IRIS, NAMES)


def test_a_limit_of_time_is_reported_when_it_cuts() -> None:
    with pytest.warns(UserWarning, match=r"max_seconds=1e-09 ended the training after 0 of at most 4 epochs"):
        model = classifier(max_seconds=1e-9, n_estimators=2).fit(IRIS, NAMES)
    assert model.time_limited_
    assert (len(model.networks_), len(model.history_)) == (1, 1)  # one step of the first network
    assert same(classifier(max_seconds=1e6).fit(IRIS, NAMES), classifier().fit(IRIS, NAMES))


def test_a_training_that_diverges_starts_again_with_a_lower_rate() -> None:
    wild: dict[str, Any] = {"activation": "square", "solver": "sgd", "pieces": 0}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = regressor(**wild, learning_rate_init=30.0).fit(IRIS, SPECIES)
    assert re.match(
        "MLPRegressor: training diverged at epoch 1.*learning rate 3 in place of 30", str(caught[0].message)
    )
    assert {warning.filename for warning in caught} == {__file__}
    rate = 30.0
    for _ in caught:
        rate *= 0.1
    assert same(model, regressor(**wild, learning_rate_init=rate).fit(IRIS, SPECIES))
    with pytest.raises(TrainingDivergedError):
        regressor(**wild, learning_rate_init=1e6).fit(IRIS, SPECIES)


def test_ctrl_c_keeps_what_is_learned() -> None:
    def interrupt(event: Any) -> None:
        if event.step == 3:
            signal.raise_signal(signal.SIGINT)

    model = classifier().fit(IRIS, NAMES, callbacks=lambda network: interrupt)
    assert model.history_.interrupted
    assert len(model.history_) == 3
    assert model.predict(IRIS).shape == (150,)


def test_ctrl_c_ends_the_training_of_an_ensemble_and_keeps_its_trained_networks() -> None:
    def interrupt_later(network: MLP) -> Callable[[Any], None]:
        return lambda event: signal.raise_signal(signal.SIGINT) if event.kind == "epoch" and event.epoch == 2 else None

    model = classifier(n_estimators=3).fit(IRIS, NAMES, callbacks=interrupt_later)
    assert len(model.networks_) == 1
    assert model.history_.interrupted
    assert model.history_.best_epoch in (1, 2)


def test_after_a_training_that_fails_there_is_no_model_of_another_table() -> None:
    model = classifier().fit(IRIS, NAMES)
    with pytest.raises(ValueError, match="at least 2 classes"):
        model.fit(IRIS[:, :2], np.full(150, "one"))
    with pytest.raises(NotFittedError):
        model.predict(IRIS)


def test_the_engine_in_python_trains_the_same_network() -> None:
    program = (
        "import json, sys; from microgrud.sklearn import MLPRegressor; from sklearn.datasets import load_iris;"
        "X, y = load_iris(return_X_y=True); model = MLPRegressor((6,), max_iter=2, random_state=0).fit(X[::5], y[::5]);"
        "print(json.dumps(model.predict(X).tolist()))"
    )
    python, default = (
        json.loads(subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, check=True).stdout)
        for env in ({**os.environ, "MICROGRUD_BACKEND": "python"}, dict(os.environ))
    )
    assert python == pytest.approx(default, rel=1e-9)


def test_a_trajectory_records_the_walk_of_a_network() -> None:
    walks = []

    def watch(network: MLP) -> Trajectory:
        walks.append(Trajectory(network))
        return walks[-1]

    model = classifier(early_stopping=False).fit(IRIS, NAMES, callbacks=watch)
    walk = walks[0].positions
    assert len(walk) == len(model.history_) + 1
    assert walk[-1].tolist() == [p.data for p in model.networks_[0].parameters()]
    walks.clear()
    first = classifier(early_stopping=False, n_estimators=2).fit(IRIS, NAMES, callbacks=watch)
    assert len(walks) == 1
    assert walks[0].positions[-1].tolist() == [p.data for p in first.networks_[0].parameters()]
    both = classifier(early_stopping=False, n_estimators=2, n_jobs=2).fit(IRIS, NAMES, callbacks=watch)
    assert walks[1].positions[-1].tolist() == walks[0].positions[-1].tolist()
    assert same(first, both)


# --- calibration ---


def test_probabilities_are_calibrated_where_that_helps_other_rows() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    y = np.where(np.random.default_rng(0).random(len(y)) < 0.2, 1 - y, y)  # one label in five is wrong
    raw, calibrated = (
        MLPClassifier((32,), alpha=0.0, tol=10.0, n_iter_no_change=200, calibrate=c, random_state=0, max_iter=40)
        for c in (False, True)
    )
    raw.fit(X[::2], y[::2])
    calibrated.fit(X[::2], y[::2])
    assert raw.temperature_ == 1.0
    assert (raw.predict(X) == calibrated.predict(X)).all()
    assert log_loss(y[1::2], calibrated.predict_proba(X[1::2])) <= log_loss(y[1::2], raw.predict_proba(X[1::2]))


@settings(max_examples=25, deadline=None)
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
    assert temperature_of(logits, targets, weights) == pytest.approx(4.0 / math.log(3.0), rel=1e-3)
    assert temperature_of(logits[:40], targets[:40]) == 1.0


# --- what is refused ---


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes: expected an integer of at least 1"),
        ({"activation": "rely"}, "activation: expected one of"),
        ({"solver": "adamm"}, "solver: expected one of"),
        ({"alpha": -1.0}, "alpha: expected a finite number x >= 0"),
        ({"alpha": "much"}, "alpha: expected"),
        ({"batch_size": 0}, "batch_size: expected an integer of at least 1"),
        ({"learning_rate": "fast"}, "learning_rate: expected one of"),
        ({"max_iter": 0}, "max_iter: expected an integer of at least 1"),
        ({"validation_fraction": 1.0}, "validation_fraction: expected"),
        ({"class_weight": "even"}, "class_weight: expected one of"),
        ({"class_weight": {"setosa": -1.0}}, "class_weight\\['setosa'\\]: expected"),
        ({"label_smoothing": 1.0}, "label_smoothing: expected"),
        ({"n_estimators": 0}, "n_estimators: expected"),
        ({"max_seconds": 0.0}, "max_seconds: expected"),
        ({"n_jobs": 0}, "n_jobs: expected"),
    ],
)
def test_an_invalid_parameter_is_named_by_fit(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"MLPClassifier: {message}"):
        classifier(**parameters).fit(IRIS, NAMES)


def test_a_missing_label_is_named() -> None:
    labels = NAMES.astype(object)
    labels[7] = None
    with pytest.raises(ValueError, match=re.escape("and none missing, got NoneType (row 7) and str (row 0)")):
        classifier().fit(IRIS, labels)


def test_one_class_is_refused_and_extreme_tables_are_learned() -> None:
    with pytest.raises(ValueError, match="expected at least 2 classes, got one class: 'setosa'"):
        classifier().fit(IRIS[:50], NAMES[:50])
    two = classifier(max_iter=300).fit(IRIS[[0, 100]], NAMES[[0, 100]])
    assert two.score(IRIS[[0, 100]], NAMES[[0, 100]]) == 1.0
    constant = np.column_stack([IRIS, np.full(150, 0.1), np.full(150, 1e300)])
    assert same(
        classifier(max_iter=5).fit(constant, NAMES), classifier(max_iter=5).fit(constant * 1.0, NAMES), constant
    )
    assert regressor().fit(IRIS, np.full(150, 7.0)).predict(IRIS) == pytest.approx(7.0, abs=2.0)
    rare = np.where(np.arange(150) == 7, "once", NAMES)
    assert classifier().fit(IRIS, rare).predict_proba(IRIS).shape == (150, 4)


def test_without_scikit_learn_an_error_says_what_to_install() -> None:
    program = "import sys; sys.modules['sklearn'] = None; import microgrud.sklearn"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "ImportError: microgrud.sklearn needs scikit-learn; install it with: pip install" in done.stderr


def test_validated_rows_are_predicted_by_the_networks_that_were_not_trained_on_them() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 3)), rng.integers(2, size=90)
    single = MLPClassifier(max_iter=3, random_state=0).fit(X, y)
    rows, predictions = single.validated(X)
    assert 0 < len(rows) < 90
    np.testing.assert_allclose(predictions, single.predict_proba(X[rows]), rtol=1e-12)
    several = MLPClassifier(max_iter=3, n_estimators=3, random_state=0).fit(X, y)
    rows, predictions = several.validated(X)
    assert len(set(rows.tolist())) == len(rows) == len(predictions)
    assert not np.allclose(predictions, several.predict_proba(X[rows]))
    assert len(MLPClassifier(max_iter=3, early_stopping=False).fit(X, y).validated(X)[0]) == 0
    used = np.arange(90) % 3 > 0
    rows, predictions = clone(single).fit(X, y, 1.0 * used).validated(X)
    assert used[rows].all()
    np.testing.assert_allclose(predictions, clone(single).fit(X[used], y[used]).predict_proba(X[rows]), rtol=1e-12)
