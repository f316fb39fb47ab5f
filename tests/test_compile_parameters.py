"""Hessians, products, Jacobians and gradients of each sample by the parameters of a model, against formulas."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from scipy.optimize import least_squares, minimize, root

import microgrud as mg
from microgrud import CompileError, Value, compile, grad, hessian
from microgrud.losses import binary_cross_entropy_with_logits
from microgrud.nn import MLP, Neuron

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = (X @ [1.0, -2.0, 0.5] + RNG.normal(size=40) > 0.3).astype(float)


def logistic(reduction: str = "sum") -> tuple[Neuron, Any]:
    model = Neuron(3, nonlin=False, rng=1)
    loss = compile(lambda x, y: binary_cross_entropy_with_logits(model(x), y), batched=("x", "y"), reduction=reduction)
    return model, loss


def fisher(vector: Any) -> Any:
    """Return X' W X of the logistic regression: its Hessian, W = p (1 - p)."""
    design = np.column_stack([X, np.ones(len(X))])
    p = 1.0 / (1.0 + np.exp(-design @ vector))
    return design.T @ (design * (p * (1.0 - p))[:, None])


def differences(f: Any, x: Any, h: float = 1e-5) -> Any:
    """Return the Jacobian of a function of a vector by central differences."""
    return np.array([(f(x + h * e) - f(x - h * e)) / (2.0 * h) for e in np.eye(len(x))]).T


# --- second derivatives ---


def test_standard_errors_of_a_logistic_regression_are_those_of_the_formula() -> None:
    model, loss = logistic()
    found = minimize(
        loss.value_and_grad_flat,
        model.get_vector(),
        args=(X, Y),
        jac=True,
        hess=loss.hessian_flat,
        method="trust-exact",
        options={"gtol": 1e-10},
    )
    errors = np.sqrt(np.diag(np.linalg.inv(loss.hessian_flat(found.x, X, Y))))
    assert errors == pytest.approx(np.sqrt(np.diag(np.linalg.inv(fisher(found.x)))), rel=1e-12)


@pytest.mark.parametrize("kind", [list, np.array])
@pytest.mark.parametrize("errors", ["raise", "ignore"])
def test_the_hessian_of_a_batch_is_that_of_the_formula_at_any_vector(kind: Any, errors: str) -> None:
    model, loss = logistic("mean")
    loss.errors = errors
    before = [(p.data, p.grad) for p in model.parameters()]
    for seed in range(3):
        vector = np.random.default_rng(seed).normal(size=4)
        expected = fisher(vector) / len(X)
        x = X if kind is np.array else X.tolist()
        assert loss.hessian_flat(vector, x, kind(Y)) == pytest.approx(expected, rel=1e-12, abs=1e-15)
        direction = [1.0, 0.0, -2.0, 0.5]
        product = loss.hvp_flat(vector, direction, x, kind(Y))
        assert product == pytest.approx(expected @ direction, rel=1e-12, abs=1e-15)
    assert [(p.data, p.grad) for p in model.parameters()] == before


def test_laplace_evidence_of_a_network_has_the_determinant_of_differences() -> None:
    model = MLP(2, [3, 1], activation="tanh", rng=2)
    loss = compile(lambda x, y: 0.5 * (model(x) - y) ** 2, batched=("x", "y"), reduction="sum")
    x, y, vector = X[:, :2], X[:, 2], model.get_vector()
    prior = 0.7
    by_differences = differences(lambda v: loss.value_and_grad_flat(v, x, y)[1], vector)
    found, expected = (
        -loss(x, y)
        - 0.5 * prior * vector @ vector
        + 0.5 * len(vector) * math.log(prior)
        - 0.5 * np.linalg.slogdet(h + prior * np.eye(len(vector)))[1]
        for h in (loss.hessian_flat(vector, x, y), by_differences)
    )
    assert found == pytest.approx(expected, rel=1e-9)


def test_samples_on_several_paths_add_their_second_derivatives() -> None:
    a, b = Value(1.0), Value(2.0)
    f = compile(lambda x: a**3 * x if x > 0.0 else a * b * b * x, batched="x", reduction="sum")
    for _ in range(3):
        assert f.hessian_flat([2.0, 3.0], [1.0, -1.0, 2.0], parameters=[a, b]).tolist() == [[36.0, -6.0], [-6.0, -4.0]]


def test_an_infinite_slope_reaches_only_the_second_derivatives_that_have_one() -> None:
    a, b = Value(1.0), Value(2.0)
    f = compile(lambda x: mg.where(x > 0.0, a * a * x, b * mg.sqrt(a - 1.0)), batched="x")
    assert f.hessian_flat([1.0, 2.0], [1.0, 2.0], parameters=[a, b]).tolist() == [[3.0, 0.0], [0.0, 0.0]]
    # A linear function has a gradient of constants.
    line = compile(lambda x: a * x + b, batched="x")
    assert line.hessian_flat([1.0, 2.0], [1.0, 2.0], parameters=[a, b]).tolist() == [[0.0, 0.0], [0.0, 0.0]]


# --- first derivatives of each sample ---


@pytest.mark.parametrize("kind", [list, np.array])
def test_gradients_of_samples_are_those_of_a_loop(kind: Any) -> None:
    model = MLP(3, [4, 1], activation="tanh", rng=3)

    def error(x: Any, y: Any) -> Any:
        return (model(x) - y) ** 2

    loss = compile(error, batched=("x", "y"))
    x, y = X.tolist(), Y.tolist()
    for _ in range(2):
        for p in model.parameters():
            p.data += 0.25
        expected = [[g.data for g in mg.gradient(error(a, b), model.parameters())] for a, b in zip(x, y)]
        found = loss.per_sample_gradients(kind(x), kind(y))
        assert found == pytest.approx(np.array(expected), rel=1e-13, abs=1e-15)
        of_inputs, of_targets = loss.per_sample_gradients(kind(x), kind(y), argnums=(0, 1))
        assert of_inputs == pytest.approx(np.array([grad(error)(a, b) for a, b in zip(x, y)]), rel=1e-13, abs=1e-15)
        assert of_targets == pytest.approx(np.array([grad(error, 1)(a, b) for a, b in zip(x, y)]), rel=1e-13)
    assert found.mean(axis=0) == pytest.approx(loss.value_and_grad_flat(model.get_vector(), x, y)[1], rel=1e-12)


def test_gradients_of_samples_by_a_shared_argument_keep_its_structure() -> None:
    f = compile(lambda w, x: w["a"] * w["a"] * x + mg.dot(w["b"], w["b"]), batched="x")
    found = f.per_sample_gradients({"a": 2.0, "b": np.array([1.0, 3.0])}, [1.0, 2.0, 3.0], argnums=0)
    assert found["a"].tolist() == [4.0, 8.0, 12.0]
    assert found["b"].tolist() == [[2.0, 6.0]] * 3


def test_gradients_of_samples_can_be_differentiated() -> None:
    w = Value(3.0)
    f = compile(lambda x: w**3 * x * x, batched="x")
    total = mg.sum(f.per_sample_gradients([Value(1.0), Value(2.0)], parameters=[w]).ravel().tolist())
    total.backward()
    assert w.grad == 90.0  # 6 w (1 + 4)
    penalty = lambda v: mg.sum(f.per_sample_gradients([v, 2.0], argnums=0).tolist())  # noqa: E731
    assert grad(penalty)(1.0) == 2.0 * 27.0
    assert hessian(penalty)(1.0) == 0.0


def test_gradients_of_samples_need_no_graph_around_them() -> None:
    w = Value(3.0)
    f = compile(lambda x: w * w * x, batched="x")
    with mg.no_grad():
        assert f.per_sample_gradients([1.0, 2.0], parameters=[w]).tolist() == [[6.0], [12.0]]
        found = f.per_sample_gradients([Value(1.0), Value(2.0)], parameters=[w])
    assert found.tolist() == [[6.0], [12.0]]
    f.errors = "ignore"
    assert f.per_sample_gradients([np.inf, 2.0], parameters=[w]).tolist() == [[np.inf], [12.0]]


def test_a_parameter_that_is_not_used_has_derivatives_of_zero() -> None:
    a, unused = Value(3.0), Value(1.0)
    f = compile(lambda x: a**3 * x, batched="x")
    for _ in range(2):
        assert f.hessian_flat([2.0, 5.0], [1.0, 3.0], parameters=[a, unused]).tolist() == [[24.0, 0.0], [0.0, 0.0]]
        assert f.jacobian_flat([2.0, 5.0], [1.0, 3.0], parameters=[unused, a]).tolist() == [[0.0, 75.0], [0.0, 225.0]]
        assert f.per_sample_gradients([1.0], parameters=[unused, a]).tolist() == [[0.0, 27.0]]


def test_the_jacobian_has_a_row_for_each_result_of_each_sample() -> None:
    a, b = Value(1.0), Value(2.0)
    f = compile(lambda x: [mg.sin(a * x), b * x * x], batched="x")
    for vector in ([1.0, 2.0], [0.5, -1.0]):
        x = np.array([0.5, 2.0])
        expected = [row for t in x for row in ([t * math.cos(vector[0] * t), 0.0], [0.0, t * t])]
        assert f.jacobian_flat(vector, x, parameters=[a, b]) == pytest.approx(np.array(expected), rel=1e-15)
    assert (a.data, b.data) == (1.0, 2.0)
    single = compile(lambda x: {"p": a * b, "q": [x * b, 1.0]})
    assert single.jacobian_flat([2.0, 3.0], 5.0, parameters=[a, b]).tolist() == [[3.0, 2.0], [0.0, 5.0], [0.0, 0.0]]


# --- SciPy ---


def test_least_squares_and_root_of_scipy_take_the_jacobian() -> None:
    a, b = Value(1.0), Value(0.5)
    t = np.linspace(0.0, 3.0, 12)
    residual = compile(lambda t, y: a * mg.exp(-b * t) - y, batched=("t", "y"))
    y = 2.5 * np.exp(-1.25 * t)

    def residuals(vector: Any) -> Any:
        a.data, b.data = vector
        return residual.map(t, y)

    fitted = least_squares(
        residuals, [1.0, 0.5], jac=lambda v: residual.jacobian_flat(v, t, y, parameters=[a, b]), xtol=1e-15
    )
    assert fitted.x == pytest.approx([2.5, 1.25], rel=1e-12)
    # The equations of a circle and a line, as a function of a vector: no parameters needed.
    f = compile(lambda v: [v[0] * v[0] + v[1] * v[1] - 4.0, v[0] - v[1]])
    found = root(lambda v: f(v), [1.0, 2.0], jac=lambda v: np.array([list(row) for row in f.jacobian(v)]))
    assert found.x == pytest.approx([math.sqrt(2.0)] * 2, rel=1e-12)


def test_a_newton_method_of_scipy_takes_the_product() -> None:
    model, loss = logistic("mean")
    arguments = (X, Y)
    found = minimize(
        lambda v: loss.value_and_grad_flat(v, *arguments),
        model.get_vector(),
        jac=True,
        hessp=lambda v, p: loss.hvp_flat(v, p, *arguments),
        method="trust-ncg",
        options={"gtol": 1e-9},
    )
    assert np.abs(loss.value_and_grad_flat(found.x, X, Y)[1]).max() < 1e-9


# --- copies and errors ---


def test_settings_and_copies_are_followed() -> None:
    a = Value(2.0)
    f = compile(lambda x: a**3 * x, batched="x")
    assert f.hessian_flat([2.0], [1.0, 3.0], parameters=[a]).tolist() == [[24.0]]
    twin = copy.copy(f)
    f.reduction = "sum"
    assert f.hessian_flat([2.0], [1.0, 3.0], parameters=[a]).tolist() == [[48.0]]
    assert twin.hessian_flat([2.0], [1.0, 3.0], parameters=[a]).tolist() == [[24.0]]
    assert twin([1.0, 3.0]) == 16.0
    other, again = pickle.loads(pickle.dumps((a, twin)))
    assert again.value_and_grad_flat([2.0], [1.0, 3.0], parameters=[other])[1].tolist() == [24.0]
    with pytest.raises(CompileError, match="derivatives with respect to parameters; call it so"):
        again.hessian_flat([2.0], [1.0, 3.0], parameters=[other])


def test_mistakes_are_errors_that_say_what_to_write() -> None:
    model, loss = logistic()
    two = compile(lambda x: [model(x), 1.0], batched="x")
    with pytest.raises(TypeError, match="expected a function whose result is one number, got list"):
        two.hessian_flat(model.get_vector(), X)
    with pytest.raises(TypeError, match="expected a function whose result is one number, got list"):
        two.per_sample_gradients(X)
    with pytest.raises(ValueError, match="hvp_flat: direction: expected 4 numbers, one for each parameter, got 2"):
        loss.hvp_flat(model.get_vector(), [1.0, 2.0], X, Y)
    with pytest.raises(ValueError, match="expected argnums or parameters, got both"):
        loss.per_sample_gradients(X, Y, argnums=0, parameters=model)
    with pytest.raises(TypeError, match="jacobian_flat: expected a function that uses one Module, got none"):
        compile(lambda x: x).jacobian_flat([1.0], 1.0)
    with pytest.raises(CompileError, match=r"\.hessian_flat of .* inside a transform"):
        grad(lambda v: loss.hessian_flat([v] * 4, X, Y)[0][0])(1.0)
    with pytest.raises(TypeError, match="expected floats to differentiate with respect to, got the integer 1"):
        loss.per_sample_gradients(X, [1] * len(X), argnums=1)
