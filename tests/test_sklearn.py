"""Training of the estimators: weights, seeds, schedules, warm starts, interrupts, and what is refused."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pytest
from estimators import IRIS, NAMES, SPECIES, WHOLE, classifier, regressor, same
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import NotFittedError

import microgrud
from microgrud.nn import MLP
from microgrud.plot import Trajectory
from microgrud.sklearn import MLPRegressor, training
from microgrud.sklearn.settings import SCHEDULES
from microgrud.train import TrainingDivergedError

DIABETES, PROGRESS = load_diabetes(return_X_y=True)


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


@pytest.mark.slow("4 s: two processes, each of which imports everything")
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


@pytest.mark.slow("2 s: another process, which imports everything")
def test_the_engine_in_python_trains_the_same_network() -> None:
    program = (
        "import json; from microgrud.sklearn import MLPRegressor; from sklearn.datasets import load_iris;"
        "X, y = load_iris(return_X_y=True); model = MLPRegressor((6,), max_iter=2, random_state=0).fit(X[::5], y[::5]);"
        "print(json.dumps(model.predict(X).tolist()))"
    )
    engine = {**os.environ, "MICROGRUD_BACKEND": "python"}
    python = subprocess.run([sys.executable, "-c", program], env=engine, capture_output=True, check=True).stdout
    here = regressor(max_iter=2).fit(IRIS[::5], SPECIES[::5]).predict(IRIS)
    assert json.loads(python) == pytest.approx(here.tolist(), rel=1e-9)


# --- epochs ---


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


def test_a_partial_fit_with_another_solver_says_how_to_go_on() -> None:
    model = classifier().partial_fit(IRIS, NAMES, np.unique(NAMES)).set_params(solver="sgd")
    with pytest.raises(ValueError, match=r"expected 'adamw' as before, got 'sgd'; .* with warm_start=True"):
        model.partial_fit(IRIS, NAMES)
    weights = [w.copy() for w in model.coefs_]
    model.set_params(warm_start=True, learning_rate_init=1e-12).fit(IRIS, NAMES).partial_fit(IRIS, NAMES)
    assert all(np.allclose(new, old, atol=1e-9) for new, old in zip(model.coefs_, weights))


def test_partial_fits_learn() -> None:
    model = classifier(batch_size=15, learning_rate_init=0.05)
    for _ in range(10):
        for rows in (slice(0, None, 2), slice(1, None, 2)):
            model.partial_fit(IRIS[rows], NAMES[rows], classes=np.unique(NAMES))
    assert model.score(IRIS, NAMES) > 0.9
    with pytest.raises(ValueError, match="got \\['rose'\\] among them"):
        model.partial_fit(IRIS, np.full(150, "rose"))
    with pytest.raises(ValueError, match="expected all classes in the first call"):
        classifier().partial_fit(IRIS, NAMES)


# --- interrupts ---


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


def test_ctrl_c_keeps_each_network_that_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    train, finished = training._numbered, threading.Semaphore(0)

    def train_until_interrupted(number: int, *given: Any) -> Any:
        if number == 1:  # the second network, which is at work until the two after it are finished
            for _ in range(2):
                finished.acquire()
            time.sleep(2.0)  # for the last of them to arrive
            signal.raise_signal(signal.SIGINT)
        trained = train(number, *given)
        finished.release()
        return trained

    # A linear model ignores warnings of scikit-learn while it learns, in one thread at the cost of the others.
    options = {"n_estimators": 4, "blend_linear": False}
    whole = classifier(**options).fit(IRIS, NAMES)
    monkeypatch.setattr(training, "_numbered", train_until_interrupted)
    with (
        joblib.parallel_config("threading"),
        pytest.warns(UserWarning, match="3 of 4 networks are finished"),
    ):
        model = classifier(**options, n_jobs=2).fit(IRIS, NAMES)
    kept = [w[0].tolist() for w in whole.coefs_]
    assert [w[0].tolist() for w in model.coefs_] == [kept[0], *kept[2:]]


def test_after_a_training_that_fails_there_is_no_model_of_another_table() -> None:
    model = classifier().fit(IRIS, NAMES)
    with pytest.raises(ValueError, match="at least 2 classes"):
        model.fit(IRIS[:, :2], np.full(150, "one"))
    with pytest.raises(NotFittedError):
        model.predict(IRIS)


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


# --- targets ---


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
    assert classifier().fit(constant, NAMES).score(constant, NAMES) > 0.9
    assert regressor().fit(IRIS, np.full(150, 7.0)).predict(IRIS) == pytest.approx(7.0)
    rare = np.where(np.arange(150) == 7, "once", NAMES)
    assert classifier().fit(IRIS, rare).predict_proba(IRIS).shape == (150, 4)
