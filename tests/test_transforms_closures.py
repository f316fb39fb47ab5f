"""Transforms of functions that reach Values from outside: results stay connected with them, and their type shows it."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from arrays import np
from scipy.optimize import check_grad, minimize

import microgrud as mg
from microgrud import Value, grad, hessian, hvp, jacobian, jvp, no_grad, value_and_grad
from microgrud.losses import squared_error
from microgrud.nn import MLP


def first(tree: Any) -> Any:
    """The first number of nested lists."""
    while isinstance(tree, list):
        tree = tree[0]
    return tree


#: Ways to compute the derivative of w t**2 (4 w) or its second derivative (2 w) at t = 2.
WAYS: dict[str, tuple[Callable[[Any], Any], float]] = {
    "grad": (lambda f: grad(f)(2.0), 4.0),
    "value_and_grad": (lambda f: value_and_grad(f)(2.0)[1], 4.0),
    "jacobian": (lambda f: jacobian(lambda t: [f(t)])(2.0)[0], 4.0),
    "jvp": (lambda f: jvp(f, 2.0, 1.0)[1], 4.0),
    "hessian": (lambda f: first(hessian(lambda t: f(t[0]))([2.0])), 2.0),
    "hvp": (lambda f: hvp(f, 2.0, 1.0), 2.0),
    "grad of grad": (lambda f: grad(grad(f))(2.0), 2.0),
    "jvp of grad": (lambda f: jvp(grad(f), 2.0, 1.0)[1], 2.0),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_loss_made_of_derivatives_has_the_gradient_of_its_parameters(way: str) -> None:
    derivative, factor = WAYS[way]
    w = Value(3.0)
    loss = derivative(lambda t: w * t * t) ** 2 + 0.0 * w
    assert loss.data == (factor * 3.0) ** 2
    loss.backward()
    assert w.grad == 2.0 * factor**2 * 3.0
    assert mg.gradient(mg.gradient(loss, w), w).data == 2.0 * factor**2


@pytest.mark.parametrize("way", WAYS)
def test_a_value_that_a_function_makes_for_itself_is_a_constant(way: str) -> None:
    derivative, factor = WAYS[way]
    number = derivative(lambda t: sum([Value(3.0) * t * t], Value(0.0)))
    assert type(number) is float
    assert number == 3.0 * factor


@pytest.mark.parametrize("way", WAYS)
def test_inside_no_grad_results_are_floats(way: str) -> None:
    derivative, factor = WAYS[way]
    w = Value(3.0)
    with no_grad():
        number = derivative(lambda t: w * t * t)
    assert type(number) is float
    assert number == 3.0 * factor


def test_the_value_is_connected_too() -> None:
    w = Value(3.0)
    value, _ = value_and_grad(lambda t: w * t)(2.0)
    assert isinstance(value, Value)
    value.backward()
    assert w.grad == 2.0
    (value,), (slope,) = jvp(lambda t: [w], 2.0, 1.0)
    assert value is not w
    assert value._prev == (w,)
    assert (type(slope), slope.data) == (Value, 0.0)


def test_the_type_follows_from_what_goes_in_and_never_from_the_numbers() -> None:
    w = Value(3.0)
    for f in (lambda t: w * t * t, lambda t: w * t, lambda t: w + 0.0 * t, lambda t: w):
        for x in (2.0, 0.0):
            assert isinstance(grad(f)(x), Value)
            assert isinstance(hessian(f)(Value(x)), Value)
    for f in (lambda t: 3.0 * t * t, lambda t: 3.0 * t, lambda t: 3.0, lambda t: Value(3.0)):
        for x in (2.0, 0.0):
            assert type(grad(f)(x)) is type(hessian(f)(x)) is float
            assert isinstance(grad(f)(Value(x)), Value)
            assert isinstance(hessian(f)(Value(x)), Value)
            assert isinstance(hvp(f, x, Value(1.0)), Value)


@pytest.mark.parametrize(
    "hold",
    [
        lambda w: [w],
        lambda w: {"w": w},
        lambda w: deque([w]),
        lambda w: np.array([w, w]),
        lambda w: w + 1.0,
        lambda w: dataclasses.make_dataclass("Holder", ["w"])(w),
    ],
)
def test_a_value_is_from_outside_however_it_is_held(hold: Callable[[Value], Any]) -> None:
    held = hold(Value(3.0))

    def read(holder: Any) -> Value:
        if isinstance(holder, Value):
            return holder
        return holder.w if hasattr(holder, "w") else holder["w"] if isinstance(holder, dict) else holder[0]

    slope = grad(lambda t: read(held) * t * t)(2.0)
    number = read(held)
    slope.backward()
    assert number.grad == 4.0


def test_a_node_that_is_no_leaf_gets_its_gradient_and_passes_it_on() -> None:
    a = Value(2.0)
    b = a * 3.0
    loss = grad(lambda t: b * t * t)(2.0) ** 2
    loss.backward()
    assert (b.grad, a.grad) == (2.0 * 24.0 * 4.0, 2.0 * 24.0 * 4.0 * 3.0)
    assert mg.gradient(loss, b).data == b.grad


def test_parameters_that_are_made_at_the_first_call_are_from_outside() -> None:
    made: list[Value] = []

    def lazy(t: Any) -> Any:
        if not made:
            made.append(Value(3.0))
        return made[0] * t * t

    grad(lazy)(2.0).backward()
    assert made[0].grad == 4.0


def test_other_arguments_and_tangents_are_from_outside() -> None:
    w, v = Value(3.0), Value(0.5)
    grad(lambda t, w: w * t * t)(2.0, w).backward()
    grad(lambda t, w: w * t * t)(2.0, w=w).backward()
    assert w.grad == 8.0
    jvp(lambda t: t**3, 2.0, v)[1].backward()
    hvp(lambda t: t**3, 2.0, v).backward()
    assert v.grad == 24.0


def test_the_grad_of_parameters_is_left_alone() -> None:
    w = Value(3.0)
    w.grad = 7.0
    value_and_grad(lambda x: w * x * x)(2.0)
    hvp(lambda x: w * x * x, 2.0, 1.0)
    assert w.grad == 7.0


def test_a_physics_informed_loss_finds_the_slope_of_the_differential_equation() -> None:
    """u' = 3 u, u(0) = 1 with u(t) = exp(w t): the loss depends only on the derivative with respect to t."""
    w = Value(0.5)
    for _ in range(60):
        u = value_and_grad(lambda t: mg.exp(w * t))
        loss = Value(0.0)
        for t in (0.1, 0.2, 0.3):
            value, slope = u(t)
            loss += (slope - 3.0 * value) ** 2
        w.grad = 0.0
        loss.backward()
        w.data -= 0.05 * w.grad
    assert w.data == pytest.approx(3.0, abs=1e-6)


def test_meta_learning_differentiates_an_inner_step_with_respect_to_rate_and_start() -> None:
    rate, start = Value(0.1), Value(2.0)
    moved = start - rate * grad(lambda w: (w - 1.0) ** 2)(start)
    loss = (moved - 1.0) ** 2
    loss.backward()
    assert loss.data == pytest.approx(0.64)
    assert rate.grad == pytest.approx(2.0 * 0.8 * -2.0)
    assert start.grad == pytest.approx(2.0 * 0.8 * (1.0 - 0.2))


def test_the_saliency_of_a_model_is_connected_with_its_parameters() -> None:
    model = MLP(2, [4, 1], activation="tanh")
    saliency = grad(model)(np.array([0.5, -1.0]))
    assert saliency.dtype == object
    (saliency[0] ** 2 + saliency[1] ** 2).backward()
    assert any(p.grad != 0.0 for p in model.parameters())
    with no_grad():
        numbers = grad(model)(np.array([0.5, -1.0]))
    assert numbers.dtype == np.float64
    assert numbers.tolist() == [x.data for x in saliency]


def test_scipy_minimises_a_loss_that_closes_over_a_model() -> None:
    model = MLP(1, [3, 1], activation="tanh")

    def loss(x: Any) -> Any:
        return squared_error(model([x[0]]), 0.25) + (x[1] - 1.0) ** 2

    def number(x: Any) -> float:
        return loss(x).data

    with pytest.raises(TypeError, match=r"inside `with no_grad\(\):`"):
        minimize(number, np.zeros(2), jac=grad(loss))
    with no_grad():
        assert check_grad(lambda x: loss(list(map(Value, x))).data, grad(loss), np.array([0.3, 0.2])) < 1e-6
        found = minimize(lambda x: loss(list(map(Value, x))).data, np.zeros(2), jac=grad(loss))
    assert found.x[1] == pytest.approx(1.0, abs=1e-4)
    assert minimize(lambda x: (x[0] - 1.0) ** 2, np.zeros(1), jac=grad(lambda x: (x[0] - 1.0) ** 2)).x == pytest.approx(
        1.0
    )


# --- copies inside a transform ---


@dataclasses.dataclass
class Point:
    x: Any
    y: Any


@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        lambda x: copy.deepcopy([x, x])[1],
        lambda x: dataclasses.asdict(Point(x, 1.0))["x"],
        lambda x: dataclasses.replace(Point(x, 1.0), y=2.0).x,
        lambda x: copy.deepcopy({"a": (x * 1.0, x)})["a"][0],
        lambda x: copy.copy(x + 0.0),
    ],
)
def test_a_copy_of_the_variable_passes_its_gradient_on(copied: Callable[[Any], Any]) -> None:
    assert grad(lambda x: copied(x) * x)(3.0) == 6.0
    assert jvp(lambda x: copied(x) * x, 3.0, 1.0) == (9.0, 6.0)
    assert hessian(lambda x: copied(x) * x)(3.0) == 2.0
    assert grad(lambda x: grad(lambda y: copied(x) * y * y)(2.0))(3.0) == 4.0


def test_a_deep_copy_keeps_shared_nodes_shared() -> None:
    def f(x: Any) -> Any:
        y = x * x
        left, right = copy.deepcopy((y, y))
        assert left is right
        return left * right

    assert grad(f)(2.0) == 32.0


def test_a_copy_of_a_constant_is_a_new_leaf() -> None:
    w = Value(3.0)
    slope = grad(lambda x: copy.deepcopy(w) * x * x)(2.0)
    assert slope == 12.0
    assert type(slope) is float


def test_a_pickle_of_the_variable_is_refused() -> None:
    with pytest.raises(TypeError, match=r"cannot be pickled without losing its gradient; use it as it is, or"):
        grad(lambda x: pickle.loads(pickle.dumps(x * 2.0)))(3.0)
    w = Value(3.0)
    assert grad(lambda x: pickle.loads(pickle.dumps(w)) * x)(3.0) == 3.0
    assert pickle.loads(pickle.dumps(w)).data == 3.0


def test_results_of_nested_transforms_are_copied_and_pickled_with_their_graph() -> None:
    w = Value(3.0)
    second = hessian(lambda t: w * t**3 + w)(2.0)
    for twin, own in (copy.deepcopy((second, w)), pickle.loads(pickle.dumps((second, w)))):
        twin.backward()
        assert (twin.data, own.grad) == (36.0, 12.0)
