"""Models go to the MLPs of scikit-learn and come back with the same predictions; what it lacks is an error."""

from __future__ import annotations

import pickle
import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline

import microgrud.sklearn as ours
from microgrud import Value
from microgrud.export import from_sklearn, to_sklearn
from microgrud.nn import MLP, Dropout, LayerNorm, Linear, Module, Neuron, Sequential

ROWS = np.random.default_rng(0).normal(size=(20, 3))


def hexadecimal(model: Module) -> list[str]:
    return [x.hex() for x in model.get_vector().tolist()]


@pytest.fixture(autouse=True)
def no_warning_of_few_steps() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


# --- to scikit-learn --------------------------------------------------------------------------------------------------


def test_a_regression_is_predicted_the_same_by_scikit_learn() -> None:
    model = MLP(3, [4, 2], activation="tanh", rng=0)
    estimator = to_sklearn(model)

    assert isinstance(estimator, MLPRegressor)
    assert (estimator.n_features_in_, estimator.n_layers_, estimator.n_outputs_) == (3, 3, 2)
    assert estimator.out_activation_ == "identity"
    assert [w.shape for w in estimator.coefs_] == [(3, 4), (4, 2)]
    np.testing.assert_allclose(estimator.predict(ROWS), model.predict(ROWS), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("output", ["softmax", "log_softmax", "linear"])
def test_a_classifier_has_an_output_for_each_class(output: str) -> None:
    model = MLP(3, [4, 3], activation="sigmoid", output=output, rng=0)
    estimator = to_sklearn(model, classes=["b", "a", "c"])
    found = model.predict(ROWS)
    wanted = found if output == "softmax" else np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)

    assert estimator.classes_.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(estimator.predict_proba(ROWS), wanted[:, [1, 0, 2]], rtol=1e-12)
    assert estimator.predict(ROWS).tolist() == [["b", "a", "c"][k] for k in found.argmax(axis=1)]


@pytest.mark.parametrize("classes", [[0, 1], [1, 0], np.array([False, True])])
@pytest.mark.parametrize(
    ("nout", "output"), [(1, "sigmoid"), (1, "linear"), (2, "softmax"), (2, "log_softmax"), (2, "linear")]
)
def test_two_classes_have_one_output_in_scikit_learn(nout: int, output: str, classes: Any) -> None:
    model = MLP(3, [4, nout], activation="tanh", output=output, rng=1)
    estimator = to_sklearn(model, classes=classes)
    found = model.predict(ROWS)
    second = {
        "sigmoid": lambda: found,
        "softmax": lambda: found[:, 1],
        "log_softmax": lambda: np.exp(found[:, 1]),
        "linear": lambda: 1.0 / (1.0 + np.exp(-(found if nout == 1 else found[:, 1] - found[:, 0]))),
    }[output]()

    assert estimator.out_activation_ == "logistic"
    proba = estimator.predict_proba(ROWS)[:, list(estimator.classes_).index(classes[1])]
    np.testing.assert_allclose(proba, second, rtol=1e-12, atol=1e-15)
    assert estimator.predict(ROWS).tolist() == [list(classes)[int(p > 0.5)] for p in second]


@given(seed=st.integers(0, 2**32))
def test_random_networks_come_back_bit_for_bit(seed: int) -> None:
    rng = random.Random(seed)
    activation = rng.choice(["linear", "sigmoid", "tanh", "relu"])
    sizes = [rng.randint(1, 5) for _ in range(rng.randint(1, 4))]
    output = rng.choice(["linear", *(["sigmoid"] if sizes[-1] == 1 else ["softmax"] if sizes[-1] > 2 else [])])
    model = MLP(3, sizes, activation, output=output, rng=rng)
    for layer in model.layers:
        for neuron in layer.neurons:
            neuron.b.data = rng.gauss(0.0, 1.0)
    estimator = to_sklearn(model, None if output == "linear" else range(max(sizes[-1], 2)))
    back = from_sklearn(estimator)

    assert hexadecimal(back) == hexadecimal(model)
    assert [str(layer) for layer in back.layers] == [str(layer) for layer in model.layers]
    assert back.output == model.output
    found = estimator.predict(ROWS) if output == "linear" else estimator.predict_proba(ROWS)
    found = found[:, 1] if output == "sigmoid" else found
    np.testing.assert_allclose(found.reshape(20, -1), model.predict(ROWS).reshape(20, -1), rtol=1e-12, atol=1e-14)


def test_the_estimator_can_be_pickled_cloned_and_trained_further() -> None:
    X, y = load_iris(return_X_y=True)
    estimator = to_sklearn(MLP(4, [8, 3], "tanh", "softmax", rng=0), classes=[0, 1, 2], learning_rate_init=0.05)
    again = pickle.loads(pickle.dumps(estimator))
    assert again.predict_proba(X).tolist() == estimator.predict_proba(X).tolist()
    before = estimator.score(X, y)
    for _ in range(50):
        estimator.partial_fit(X, y)

    assert len(estimator.loss_curve_) == 50
    assert estimator.score(X, y) > max(before, 0.9)
    assert again.set_params(warm_start=True, max_iter=50).fit(X, y).score(X, y) > 0.9
    assert clone(again).get_params() == again.get_params()


def test_one_step_is_that_of_scikit_learn_itself() -> None:
    X, y = load_diabetes(return_X_y=True)
    settings: dict[str, Any] = {"random_state": 3, "solver": "sgd", "shuffle": False, "momentum": 0.0}
    straight = MLPRegressor(hidden_layer_sizes=(4,), activation="tanh", **settings)
    straight.partial_fit(X, y)
    carried = to_sklearn(from_sklearn(straight), **settings)
    assert carried.predict(X).tolist() == straight.predict(X).tolist()

    np.testing.assert_allclose(carried.partial_fit(X, y).predict(X), straight.partial_fit(X, y).predict(X), rtol=1e-12)


def test_missing_biases_become_zeros_and_a_sequential_of_layers_will_do() -> None:
    model = Sequential(Linear(3, 4, bias=False, rng=0), "relu", Linear(4, 2, rng=1), Neuron(2, nonlin=False, rng=2))
    with pytest.raises(ValueError, match="for all hidden layers, as in scikit-learn, got linear, relu"):
        to_sklearn(model)
    model = Sequential(Linear(3, 4, bias=False, rng=0), "relu", Neuron(4, nonlin=False, rng=2))
    estimator = to_sklearn(model)

    assert estimator.intercepts_[0].tolist() == [0.0] * 4
    np.testing.assert_allclose(estimator.predict(ROWS), model.predict(ROWS), rtol=1e-12)


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_regressor_of_this_package_is_carried_with_the_scale_of_its_targets(outputs: int) -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    targets = y if outputs == 1 else np.stack([y, 3.0 * y + 1.0], axis=1)
    options: dict[str, Any] = {"scale_inputs": False, "blend_linear": False, "max_iter": 5, "random_state": 0}
    trained = ours.MLPRegressor((8,), **options).fit(X, targets)
    estimator = to_sklearn(trained)

    np.testing.assert_allclose(estimator.predict(X), trained.predict(X), rtol=1e-11)
    assert list(estimator.feature_names_in_) == list(X.columns)
    assert estimator.partial_fit(X, targets).n_iter_ == 1


@pytest.mark.parametrize("count", [2, 3])
def test_a_classifier_of_this_package_is_carried_with_its_temperature(count: int) -> None:
    X, y = load_iris(return_X_y=True)
    X, y = X[y < count], np.array(["setosa", "versicolor", "virginica"])[y[y < count]]
    options: dict[str, Any] = {"scale_inputs": False, "blend_linear": False, "max_iter": 5, "random_state": 0}
    trained = ours.MLPClassifier((8,), activation="tanh", **options).fit(X, y)
    trained.temperature_ = 1.7
    estimator = to_sklearn(trained)

    np.testing.assert_allclose(estimator.predict_proba(X), trained.predict_proba(X), rtol=1e-11, atol=1e-15)
    assert estimator.predict(X).tolist() == trained.predict(X).tolist()


def test_an_estimator_with_more_than_a_network_is_refused() -> None:
    X, y = load_diabetes(return_X_y=True)
    plain: dict[str, Any] = {"scale_inputs": False, "blend_linear": False, "max_iter": 2, "random_state": 0}
    for changed, message in (
        ({"scale_inputs": True, "pieces": 0}, "expected scale_inputs=False, got an encoding of the inputs"),
        ({"n_estimators": 2}, "expected n_estimators=1, got 2; an MLP of scikit-learn is one network"),
        ({"activation": "gelu"}, "activation: expected one of linear, sigmoid, tanh, relu for all .*got gelu"),
        ({"activation": lambda x: x * x}, "activation: .*got Custom"),
    ):
        trained = ours.MLPRegressor((4,), **{**plain, **changed}).fit(X, y)
        with pytest.raises(ValueError, match=message):
            to_sklearn(trained)
    blended = ours.MLPRegressor((4,), **{**plain, "blend_linear": True}).fit(X, y)
    assert blended.network_share_ < 1.0
    with pytest.raises(ValueError, match="expected blend_linear=False, got a share of .* of linear models"):
        to_sklearn(blended)
    with pytest.raises(NotFittedError):
        to_sklearn(ours.MLPRegressor())
    with pytest.raises(ValueError, match="classes: expected None for an estimator"):
        to_sklearn(blended, classes=[0, 1])


class Own(Module):
    def forward(self, x: Any) -> Value:
        return Value(1.0)


@pytest.mark.parametrize(
    ("make", "classes", "message"),
    [
        (lambda: MLP(2, [3, 1], activation="gelu"), None, "activation: expected one of linear, sigmoid, .*got gelu"),
        (lambda: MLP(2, [3, 1], activation=lambda x: x), None, "got Custom, a function of your own"),
        (
            lambda: MLP(2, [3, 1], output="sigmoid"),
            None,
            "output: expected linear for an MLPRegressor, got sigmoid; for",
        ),
        (lambda: MLP(2, [3, 1], output="tanh"), [0, 1], "expected sigmoid or linear for a classifier with 1 outputs"),
        (
            lambda: MLP(2, [3, 3], output="sigmoid"),
            [0, 1, 2],
            "expected softmax or log_softmax or linear .* got sigmoid",
        ),
        (lambda: MLP(2, [3, 3]), [0, 1], "classes: expected 3 different labels of one type, .*got"),
        (lambda: MLP(2, [3, 1]), [0, 0], "classes: expected 2 different labels"),
        (lambda: MLP(2, [3, 1]), [0, "a"], "classes: expected 2 different labels of one type"),
        (
            lambda: Sequential(Linear(2, 2), Dropout(0.5), Linear(2, 1)),
            None,
            r"layers\.1: expected layers .*got Dropout",
        ),
        (lambda: Sequential(LayerNorm(2), Linear(2, 1)), None, r"layers\.0: expected layers .*got LayerNorm"),
        (lambda: Sequential(Linear(2, 2), "relu", "tanh"), None, r"layers\.2: expected layers .*got Elementwise"),
        (lambda: Sequential(Linear(2, 2), Own()), None, "got a Own, whose forward is a program"),
        (lambda: Ridge(), None, "expected a Module of microgrud.nn, got an object of type Ridge"),
    ],
)
def test_what_scikit_learn_has_not_is_named(make: Callable[[], Any], classes: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"to_sklearn: .*{message}"):
        to_sklearn(make(), classes)


def test_settings_are_those_of_the_estimator() -> None:
    defaults = MLPRegressor(hidden_layer_sizes=(), alpha=0.5).get_params()
    assert to_sklearn(Linear(2, 1), alpha=0.5).get_params() == defaults
    assert to_sklearn(Linear(2, 1), random_state=7).random_state == 7
    with pytest.raises(ValueError, match="Invalid parameter 'alfa'"):
        to_sklearn(Linear(2, 1), alfa=0.5)
    with pytest.raises(ValueError, match="activation: expected no such argument, since the model determines it"):
        to_sklearn(Linear(2, 1), activation="relu")


def test_no_random_numbers_are_drawn() -> None:
    before, before_numpy = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    from_sklearn(to_sklearn(MLP(2, [3, 1], rng=0)))

    assert random.getstate() == before
    assert np.random.get_state()[1].tolist() == before_numpy  # type: ignore[index]


# --- from scikit-learn ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("count", [2, 3])
def test_a_classifier_comes_in_with_its_probabilities(activation: str, count: int) -> None:
    X, y = load_iris(return_X_y=True)
    X, y = X[y < count], y[y < count]
    estimator = MLPClassifier((5, 4), activation=activation, max_iter=20, random_state=0).fit(X, y)
    wanted = estimator.predict_proba(X)

    np.testing.assert_allclose(
        from_sklearn(estimator).predict(X), wanted if count == 3 else wanted[:, 1], rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_regressor_comes_in_with_its_numbers(dtype: Any) -> None:
    X, y = load_diabetes(return_X_y=True)
    estimator = MLPRegressor(hidden_layer_sizes=(5,), max_iter=20, random_state=0).fit(X.astype(dtype), y.astype(dtype))
    model = from_sklearn(estimator)

    assert model.layers[0].neurons[0].w[3].data == float(estimator.coefs_[0][3, 0])
    np.testing.assert_allclose(model.predict(X), estimator.predict(X), rtol=1e-12)


def test_several_labels_of_a_row_have_a_probability_each() -> None:
    X, y = load_iris(return_X_y=True)
    labels = np.stack([y > 0, y > 1], axis=1).astype(int)
    estimator = MLPClassifier((5,), max_iter=20, random_state=0).fit(X, labels)

    np.testing.assert_allclose(from_sklearn(estimator).predict(X), estimator.predict_proba(X), rtol=1e-12)


def test_other_estimators_are_refused() -> None:
    X, y = load_iris(return_X_y=True)
    for other, kind, message in (
        (Ridge(), TypeError, "got a Ridge"),
        (make_pipeline(MLPRegressor()), TypeError, "got a Pipeline; for a Pipeline, give its last step"),
        (MLPRegressor(), NotFittedError, "not fitted"),
        (ours.MLPRegressor(max_iter=1).fit(X, y), TypeError, "of sklearn.neural_network, got a MLPRegressor"),
    ):
        with pytest.raises(kind, match=message):
            from_sklearn(other)
