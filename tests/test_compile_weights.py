"""Weights of samples in compiled functions: sums of w_i f_i / sum(w_i) and all derivatives, against the formula."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import microgrud as mg
from microgrud import Value, compile, grad, hessian, hvp, jacobian, value_and_grad
from microgrud.nn import Neuron

X, Y = np.array([0.5, -1.0, 2.0, 1.5]), np.array([1.0, 0.0, 3.0, -2.0])
W = np.array([3.0, 0.0, 0.5, 2.0])
KINDS = [
    pytest.param(np.array, id="arrays"),
    pytest.param(list, id="lists"),
]


def residual(a: Any, x: Any, y: Any, w: Any = None) -> Any:
    return mg.tanh(a * x) * a - y * x * a * a


def by_formula(a: Any, x: Any, y: Any, w: Any, reduction: str) -> Any:
    """Return the weighted mean (or sum) of samples as a program of Values."""
    terms = [wi * residual(a, xi, yi) for xi, yi, wi in zip(list(x), list(y), list(w))]
    return mg.sum(terms) / mg.sum(list(w)) if reduction == "mean" else mg.sum(terms)


def close(found: Any, expected: Any) -> None:
    assert np.asarray(found, dtype=float) == pytest.approx(np.asarray(expected, dtype=float), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("errors", ["raise", "ignore"])
def test_values_and_derivatives_are_those_of_the_formula(kind: Any, reduction: str, errors: str) -> None:
    f = compile(residual, batched=("x", "y", "w"), weights="w", reduction=reduction, errors=errors)
    formula = lambda *args: by_formula(*args, reduction)  # noqa: E731
    args = (0.75, kind(X), kind(Y), kind(W))
    for _ in range(3):
        close(f(*args), formula(*args))
        close(f(*args[:3], w=kind(W)), formula(*args))
        a = Value(0.75)
        close(f.backward(a, *args[1:]), formula(*args))
        close(a.grad, grad(formula)(*args))
        value, (by_a, by_x) = f.value_and_grad(*args, argnums=(0, 1))
        close(value, formula(*args))
        close(by_a, grad(formula)(*args))
        close(by_x, grad(formula, 1)(*args))
        close(f.hessian(*args), hessian(formula)(*args))
        close(f.hvp(args, 2.0), hvp(formula, args, 2.0))
        close(f.hvp(args, X, 1), hvp(formula, args, kind(X), 1))
        close(f.jacobian(*args), grad(formula)(*args))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weights_are_differentiated_too(reduction: str) -> None:
    f = compile(residual, batched=("x", "y", "w"), weights="w", reduction=reduction)
    formula = lambda *args: by_formula(*args, reduction)  # noqa: E731
    args, shift = (0.75, X, Y, W), Value(0.0)
    for _ in range(2):
        close(f.value_and_grad(*args, argnums=3)[1], grad(formula, 3)(*args))
        by_a, by_w = f.value_and_grad(*args, argnums=(0, 3))[1]
        close(by_a, grad(formula)(*args))
        close(by_w, grad(formula, 3)(*args))
        close(f.hessian(*args, argnums=3), hessian(formula, 3)(*args))
        close(f.hvp(args, Y, argnums=3), hvp(formula, args, Y, argnums=3))
        close(jacobian(grad(f), 3)(*args), jacobian(grad(formula), 3)(*args))
        # A function of leaves has derivatives in floats, too.
        g = compile(
            lambda a, x, y, w: residual(a + shift, x, y), batched=("x", "y", "w"), weights="w", reduction=reduction
        )
        for found in (g.value_and_grad(*args, argnums=3)[1], g.hessian(*args, argnums=3), g.hvp(args, Y, argnums=3)):
            assert found.dtype == np.float64
        assert type(g.jvp(args, Y, argnums=3)[1]) is float
        close(g.hessian(*args, argnums=3), hessian(formula, 3)(*args))
        w = [Value(x) for x in W]
        f(0.75, X, Y, w).backward()
        close([x.grad for x in w], grad(formula, 3)(*args))


def test_transforms_and_other_recordings_see_the_weighted_mean() -> None:
    f = compile(residual, batched=("x", "y", "w"), weights="w")
    formula = lambda a, x, y, w: by_formula(a, x, y, w, "mean")  # noqa: E731
    args = (0.75, X, Y, W)
    for derivative in (grad, value_and_grad, hessian):
        close(derivative(f)(*args), derivative(formula)(*args))
    close(grad(lambda a: grad(f)(a, X, Y, W) ** 2)(0.75), grad(lambda a: grad(formula)(a, X, Y, W) ** 2)(0.75))
    outer = compile(lambda a: f(a, X, Y, W) ** 2)
    for _ in range(2):
        close(outer.value_and_grad(0.75)[1], grad(lambda a: formula(a, X, Y, W) ** 2)(0.75))


def test_parameters_of_a_model_get_the_gradient_of_the_weighted_mean() -> None:
    model = Neuron(1, nonlin=False, init="zeros")
    loss = compile(lambda x, y, w: (model([x]) - y) ** 2, batched=("x", "y", "w"), weights="w")
    # Weighted least squares: (A' W A) beta = A' W y.
    design = np.column_stack([X, np.ones(4)])
    normal = design.T @ (W[:, None] * design)
    vector = np.array([0.5, -1.0])
    for _ in range(2):
        value, gradient = loss.value_and_grad_flat(vector, X, Y, W)
        errors = design @ vector - Y
        close(value, (W * errors**2).sum() / W.sum())
        close(gradient, 2.0 * design.T @ (W * errors) / W.sum())
        close(loss.hessian_flat(vector, X, Y, W), 2.0 * normal / W.sum())
        close(loss.hvp_flat(vector, [1.0, 2.0], X, Y, W), 2.0 * normal @ [1.0, 2.0] / W.sum())
        close(loss.backward(X, Y, W), (W * Y**2).sum() / W.sum())
    close([p.grad for p in model.parameters()], 2 * -2.0 * design.T @ (W * Y) / W.sum())


def test_results_of_single_samples_have_no_weights() -> None:
    a = Value(2.0)
    f = compile(lambda x, w: a * a * x, batched=("x", "w"), weights="w")
    for _ in range(2):
        assert f([1.0, 2.0], [3.0, 1.0]) == 5.0
        assert f.map([1.0, 2.0], [3.0, 1.0]).tolist() == [4.0, 8.0]
        assert f.per_sample_gradients([1.0, 2.0], [3.0, 1.0], parameters=[a]).tolist() == [[4.0], [8.0]]
        assert f.per_sample_gradients([1.0, 2.0], [3.0, 1.0], argnums=0).tolist() == [4.0, 4.0]
        assert f.jacobian_flat([2.0], [1.0, 2.0], [3.0, 1.0], parameters=[a]).tolist() == [[4.0], [8.0]]
        assert f.jacobian_entries([1.0, 2.0], [3.0, 1.0])[2].tolist() == [4.0, 4.0]


def test_a_function_may_use_its_weights_which_it_sees_as_they_are() -> None:
    f = compile(lambda x, w: x * w, batched=("x", "w"), weights="w")
    assert f([1.0, 2.0], [3, 1]) == (9.0 + 2.0) / 4.0
    assert f.value_and_grad([1.0, 2.0], [3.0, 1.0], argnums=1)[1].tolist() == pytest.approx([13 / 16, 5 / 16])


def test_whole_numbers_and_bools_are_weights_without_recordings_of_their_own() -> None:
    f = compile(lambda x, w: x * x, batched=("x", "w"), weights="w", reduction="mean")
    for weights in ([1, 2, 3], np.array([3, 2, 1]), np.array([True, False, True]), [1.0, 0.5, 0.25]):
        expected = np.average([1.0, 4.0, 9.0], weights=np.array(weights, dtype=float))
        assert f([1.0, 2.0, 3.0], weights) == pytest.approx(expected)
    assert f.stats["paths"] == 1


def test_samples_on_several_paths_and_not_finite_ones_keep_their_weights() -> None:
    f = compile(lambda x, w: mg.sqrt(x) if x > 0.0 else -x, batched=("x", "w"), weights="w")
    x = np.array([4.0, -3.0, 0.0, 9.0])
    for w in ([1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 0.0]):
        for _ in range(2):
            assert f(x, w) == pytest.approx(np.average([2.0, 3.0, 0.0, 3.0], weights=w))
    roots = compile(lambda x, w: mg.sqrt(x), batched=("x", "w"), weights="w")
    # A weight of 0 passes nothing on, not even to the infinite slope of the root at 0.
    assert roots.value_and_grad([0.0, 4.0], [0.0, 1.0])[1].tolist() == [0.0, 0.25]


def test_copies_pickles_methods_and_settings_keep_the_weights() -> None:
    f = compile(lambda x, w: x * x, batched=("x", "w"), weights="w")
    args = ([1.0, 2.0], [3.0, 1.0])
    assert (f(*args), f.weights) == (1.75, "w")
    for twin in (copy.copy(f), copy.deepcopy(f), pickle.loads(pickle.dumps(f))):
        assert (twin(*args), twin.weights) == (1.75, "w")
    f.reduction = "sum"
    assert f(*args) == 7.0

    class Scaled:
        def __init__(self) -> None:
            self.scale = Value(2.0)

        @compile(batched=("x", "w"), weights="w")
        def loss(self, x: Any, w: Any) -> Any:
            return self.scale * x

    one = Scaled()
    assert one.loss(*args) == 2.5
    other = copy.deepcopy(one)
    other.scale.data = 4.0
    assert (one.loss(*args), other.loss(*args)) == (2.5, 5.0)
    assert one.loss.value_and_grad_flat([3.0], *args, parameters=[one.scale])[1].tolist() == [1.25]


def test_mistakes_are_errors_that_say_what_to_write() -> None:
    with pytest.raises(ValueError, match=r"weights: expected the name of a batched argument \(x\), got 'w'"):
        compile(lambda x, w: x, batched="x", weights="w")
    f = compile(lambda x, w: x, batched=("x", "w"), weights="w")
    with pytest.raises(ValueError, match="w: expected weights whose sum is not 0, got a sum of 0.0"):
        f([1.0, 2.0], [1.0, -1.0])
    with pytest.raises(TypeError, match="w: expected the weights of the samples, got none"):
        f([1.0, 2.0])
    with pytest.raises(ValueError, match=r"w: expected one weight for each sample, got an array of shape \(2, 1\)"):
        f([1.0, 2.0], [[1.0], [1.0]])
    with pytest.raises(TypeError, match="w: expected numbers as weights, got an array of <U1"):
        f([1.0, 2.0], ["a", "b"])
    with pytest.raises(ValueError, match="w: expected 2 samples as before, got 3"):
        f([1.0, 2.0], [1.0, 1.0, 1.0])
    with pytest.raises(TypeError, match=r"expected numbers as weights, got Values; call it as a function"):
        f.backward([1.0, 2.0], [Value(1.0), Value(2.0)])


def test_settings_reach_the_recordings_of_single_samples() -> None:
    f = compile(lambda x, w: mg.log(x), batched=("x", "w"), weights="w")
    with pytest.raises(ValueError, match="log"):
        f.per_sample_gradients([-1.0, 2.0], [1.0, 1.0], argnums=0)
    f.errors = "ignore"
    assert f.per_sample_gradients([-1.0, 2.0], [1.0, 1.0], argnums=0).tolist() == [-1.0, 0.5]
    by_batch = f.jacobian(np.array([1.0, 2.0]), np.array([3.0, 1.0]), argnums=0)
    assert by_batch.tolist() == [0.75, 0.125]


def test_weights_may_be_given_by_keyword_alone() -> None:
    def loss(x: float, *, w: float) -> Any:
        return x * x

    f = compile(loss, batched=("x", "w"), weights="w")
    for _ in range(2):
        assert f([1.0, 2.0], w=[3.0, 1.0]) == 1.75
        assert f.value_and_grad([1.0, 2.0], w=[3.0, 1.0])[1].tolist() == [1.5, 1.0]
        assert f.map([1.0, 2.0], w=[3.0, 1.0]).tolist() == [1.0, 4.0]
    with pytest.raises(TypeError, match="w: expected the weights of the samples, got none"):
        f([1.0, 2.0])


def test_a_listing_names_the_scale() -> None:
    f = compile(lambda x, w: x * x, batched=("x", "w"), weights="w")
    f([1.0, 2.0], [1.0, 1.0])
    assert "inputs      x, w, argument 2" in f.listing()
