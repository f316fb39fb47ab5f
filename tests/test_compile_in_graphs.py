"""A compiled function is an operation: inside transforms, graphs and other compiled functions, to any order."""

from __future__ import annotations

import copy
import gc
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

import microgrud as mg
from microgrud import CompileError, Value, compile, grad, hessian, hvp, jacobian, jvp, no_grad, value_and_grad
from microgrud.losses import squared_error
from microgrud.nn import MLP


def cubic(x: Any) -> Any:
    return x * x * x if x > 0.0 else mg.exp(x) - 1.0


def quadratic(w: Any, x: Any, y: Any) -> Any:
    return (w[0] * x[0] + w[1] * x[1] * x[1] - y) ** 2


W, X, Y = [0.5, -0.25], np.arange(6.0).reshape(3, 2), np.array([1.0, 2.0, 3.0])


def mean_of(w: Any, X: Any, Y: Any) -> Any:
    return mg.mean([quadratic(w, x, y) for x, y in zip(X, Y)])


def close(expected: Any) -> Any:
    return pytest.approx(expected, rel=1e-12)


# --- transforms of a compiled function ---


@pytest.mark.parametrize("x", [2.0, -0.5])
@pytest.mark.parametrize(
    "way",
    [
        lambda f, x: grad(f)(x),
        lambda f, x: grad(grad(f))(x),
        lambda f, x: grad(grad(grad(f)))(x),
        lambda f, x: value_and_grad(f)(x),
        lambda f, x: jacobian(lambda t: [f(t), t * f(t)])(x),
        lambda f, x: hessian(f)(x),
        lambda f, x: hvp(f, x, 2.0),
        lambda f, x: jvp(f, x, 2.0),
        lambda f, x: jvp(grad(f), x, 2.0),
        lambda f, x: grad(lambda t: f(f(t) * 0.5))(x),
        lambda f, x: grad(lambda t: t * grad(f)(t))(x),
    ],
)
def test_transforms_of_a_compiled_function_are_those_of_the_function(way: Callable[..., Any], x: float) -> None:
    compiled = compile(cubic)
    for _ in range(2):
        assert way(compiled, x) == close(way(cubic, x))


@pytest.mark.parametrize("argnums", [0, 1, 2])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_transforms_of_a_batch(argnums: int, reduction: str) -> None:
    loss = compile(quadratic, batched=("x", "y"), reduction=reduction)
    factor = 1.0 if reduction == "mean" else len(Y)

    def expected(w: Any, X: Any, Y: Any) -> Any:
        return factor * mean_of(w, X, Y)

    for _ in range(2):
        np.testing.assert_allclose(grad(loss, argnums)(W, X, Y), grad(expected, argnums)(W, X, Y), rtol=1e-12)
        np.testing.assert_allclose(hessian(loss, argnums)(W, X, Y), hessian(expected, argnums)(W, X, Y), rtol=1e-12)
    direction = [1.0, 2.0] if argnums == 0 else np.ones_like((W, X, Y)[argnums])
    for transform in (jvp, hvp):
        got, want = (transform(f, (W, X, Y), (direction,), argnums=(argnums,)) for f in (loss, expected))
        np.testing.assert_allclose(got[-1], want[-1], rtol=1e-12)


def test_batches_in_lists_and_of_values() -> None:
    loss = compile(quadratic, batched=("x", "y"))
    lists = X.tolist(), Y.tolist()
    assert grad(loss)(W, *lists) == close(grad(loss)(W, X, Y))
    values = [[Value(x) for x in row] for row in X.tolist()]
    loss(W, values, Y).backward()
    np.testing.assert_allclose([[x.grad for x in row] for row in values], grad(mean_of, 1)(W, X, Y), rtol=1e-12)


def test_scipy_takes_the_gradient_of_a_compiled_loss() -> None:
    loss = compile(quadratic, batched=("x", "y"))
    found = minimize(loss, np.zeros(2), args=(X, Y), jac=grad(loss), hess=hessian(loss), method="trust-exact")
    assert grad(mean_of)(found.x.tolist(), X, Y) == pytest.approx([0.0, 0.0], abs=1e-6)
    assert type(grad(loss)(W, X, Y)[0]) is float


# --- as a node ---


def test_with_values_among_the_arguments_it_is_one_node() -> None:
    w, x = Value(3.0), Value(2.0)
    f = compile(lambda x, y: w * x * x * y)
    node = f(x, 5.0)
    assert isinstance(node, Value)
    assert node._prev == (x, w)
    (2.0 * node).backward()
    assert (node.data, x.grad, w.grad) == (60.0, 120.0, 40.0)
    assert mg.gradient(mg.gradient(node, x), w).data == 20.0
    assert mg.gradient(mg.gradient(mg.gradient(node, x), w), x).data == 10.0
    assert f(2.0, 5.0) == 60.0
    with no_grad():
        assert f(x, 5.0).is_leaf


def test_several_results_are_several_nodes() -> None:
    x = Value(2.0)
    square, (cube,) = compile(lambda x: (x * x, [x * x * x]))(x)
    (square + 10.0 * cube).backward()
    assert x.grad == 4.0 + 120.0


def test_what_it_closes_over_is_connected_inside_a_transform() -> None:
    w = Value(3.0)
    f = compile(lambda x: w * x * x)
    loss = grad(f)(2.0) ** 2
    loss.backward()
    assert (loss.data, w.grad) == (144.0, 96.0)
    w.data = 1.0
    assert grad(f)(2.0) == 4.0
    w.grad = 0.0
    grad(lambda t: f(2.0) * t)(1.0).backward()  # floats in
    assert w.grad == 4.0


def test_its_own_methods_are_transforms_inside_of_others() -> None:
    f = compile(lambda x: x**4)
    assert grad(lambda x: f.value_and_grad(x)[1])(2.0) == close(48.0)
    assert grad(lambda x: f.hessian(x))(2.0) == close(48.0)
    assert grad(lambda x: f.hvp(x, 1.0))(2.0) == close(48.0)
    assert compile(lambda x: f.value_and_grad(x)[1] + f.hvp(x, 1.0)).value_and_grad(2.0) == close((80.0, 96.0))
    batched = compile(lambda x, y: x**4 * y, batched="y")
    assert grad(lambda x: sum(batched.map(x, [1.0, 2.0]).tolist()))(2.0) == close(96.0)
    assert compile(lambda x: batched(x, [1.0, 3.0])).value_and_grad(2.0) == close((32.0, 64.0))
    value, slope = f.value_and_grad(Value(2.0))
    assert (value.data, slope.data) == close((16.0, 32.0))


def test_one_that_is_made_inside_a_differentiated_function() -> None:
    def f(u: Any) -> Any:
        return compile(lambda x: u * u * x)(2.0)

    assert grad(f)(3.0) == 12.0
    assert grad(lambda u: f(u * 2.0))(3.0) == 48.0
    assert hessian(f)(3.0) == 4.0
    assert compile(f).value_and_grad(3.0) == (18.0, 12.0)


def test_an_inner_training_step_is_differentiated_by_its_learning_rate() -> None:
    loss = compile(lambda w: (w - 1.0) ** 2)

    def after(rate: Any) -> Any:
        w: Any = 3.0
        for _ in range(3):
            w = w - rate * grad(loss)(w)
        return loss(w)

    def expected(rate: float) -> float:  # w - 1 shrinks by 1 - 2 rate
        return 4.0 * 6.0 * (1.0 - 2.0 * rate) ** 5 * -2.0

    assert grad(after)(0.1) == close(expected(0.1))


def test_a_model_is_trained_through_a_compiled_loss() -> None:
    model = MLP(2, [3, 1], activation="tanh")
    loss = compile(lambda x, y: squared_error(model(x), y), batched=("x", "y"))
    inputs, targets = [[0.0, 1.0], [1.0, -1.0]], [0.5, -0.5]
    loss.backward(inputs, targets)
    expected = [p.grad for p in model.parameters()]
    model.zero_grad()
    scale = Value(1.0)
    loss([[scale * x for x in row] for row in inputs], targets).backward()
    assert [p.grad for p in model.parameters()] == close(expected)
    assert scale.grad != 0.0


def test_at_singular_points_a_zero_direction_touches_nothing() -> None:
    f = compile(lambda v: mg.sqrt(v[0] * v[1]) + v[2] ** 2 * v[1])
    v, direction = [0.0, 1.0, 3.0], [0.0, 0.0, 1.0]
    assert f.hvp(v, direction) == hvp(f, v, direction) == hvp(f.function, v, direction) == [0.0, 6.0, 2.0]
    assert f.hessian(v)[2] == [0.0, 6.0, 2.0]


# --- operands that depend on each other ---


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("f", "use"),
    [
        (lambda x, y: x * y, lambda c, x: c(x, x * x)),
        (lambda x, y: x * x * y, lambda c, x: c(x, x)),
        (lambda x, y: mg.sin(x * y) + x, lambda c, x: c(c(x, x), x)),
        (lambda x, y: x * y * y, lambda c, x: c(c(c(x, 2.0), x), x * x)),
    ],
)
def test_derivatives_are_those_of_the_function_though_operands_depend_on_each_other(
    f: Any, use: Any, order: int
) -> None:
    compiled = compile(f)

    def derivative(g: Any) -> Any:
        for _ in range(order):
            g = grad(g)
        return g

    assert derivative(lambda x: use(compiled, x))(0.7) == close(derivative(lambda x: use(f, x))(0.7))
    rounds = compile(lambda x: use(compiled, x))
    assert derivative(rounds)(0.7) == close(derivative(lambda x: use(f, x))(0.7))


def test_a_leaf_may_be_an_argument_and_closed_over() -> None:
    w = Value(1.5)
    f = compile(lambda y: w * y * y * w * w)  # w**5 at y = w
    out = f(w)
    for expected in (5 * 1.5**4, 20 * 1.5**3, 60 * 1.5**2, 120 * 1.5):
        (out,) = mg.gradient(out, [w])
        assert out.data == close(expected)


def test_samples_of_a_batch_may_depend_on_each_other() -> None:
    cube = compile(lambda p: p * p * p, batched="p")

    def expected(v: Any) -> Any:
        return (v**3 + (v * v) ** 3 + v**3) / 3.0

    for way in (hessian, lambda f: grad(grad(grad(f)))):
        assert way(lambda v: cube([v, v * v, v]))(1.5) == close(way(expected)(1.5))
    x = Value(2.0)
    (slope,) = mg.gradient(cube([x, x * x, x]), [x])
    slope.backward()
    assert x.grad == close(hessian(expected)(2.0))


def test_a_value_that_the_function_makes_for_a_call_is_a_constant() -> None:
    product = compile(lambda x, y: x * x * y)
    slope = grad(lambda x: product(x, Value(0.5)))(1.0)
    assert slope == 1.0
    assert type(slope) is float


# --- changes after a call ---


def test_an_array_may_be_changed_after_a_call() -> None:
    w = Value(2.0)
    f = compile(lambda w, x: w * x * x, batched="x")
    for shape in ((3,), (3, 1)):
        X = np.array([1.0, 2.0, 3.0]).reshape(shape)
        out = compile(lambda w, x: w * x[0] * x[0], batched="x")(w, X) if len(shape) > 1 else f(w, X)
        X[:] = 10.0
        w.grad = 0.0
        out.backward()
        assert w.grad == close(14.0 / 3.0)


def test_a_second_derivative_of_a_function_that_has_changed_is_refused() -> None:
    numbers, x = [3.0], Value(2.0)
    f = compile(lambda x: numbers[0] * x * x)
    (slope,) = mg.gradient(f(x), [x])
    assert slope.data == 12.0
    numbers[0] = 50.0
    for ask in (slope.backward, lambda: copy.deepcopy(slope)):
        with pytest.raises(CompileError, match="something that it closes over, or a Value that it was given"):
            ask()


def test_a_result_is_never_the_parameter_itself() -> None:
    w = Value(3.0)
    slope = grad(lambda x: w * x)(2.0)
    slope.data = 0.0
    assert w.data == 3.0


def test_a_variable_of_a_derivative_in_the_place_of_a_parameter() -> None:
    class Model:
        k: Any = None

    model = Model()
    f = compile(lambda x: model.k * x * x)

    def moved(t: Any) -> Any:
        model.k = t
        return f(3.0)

    for _ in range(3):
        assert grad(moved)(2.0) == 9.0
        assert hessian(lambda t: moved(t * t))(5.0) == 18.0


def test_calls_leave_nothing_to_the_collector() -> None:
    c, x = compile(lambda x: x * x), Value(2.0)
    c(x).backward()
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(100):
            c(x).backward()
        assert len(gc.get_objects()) - before < 100
    finally:
        gc.enable()


# --- results that a function closes over ---


def test_the_result_of_an_operation_that_it_closes_over_is_refused_or_read_as_the_program_reads_it() -> None:
    a = Value(2.0)
    b = a * 3.0
    f = compile(lambda x: x * b)
    for call in (lambda: f(1.0), lambda: f.backward(1.0), lambda: f.value_and_grad(1.0)):
        with pytest.raises(CompileError, match=r"closes over the result of an operation \('\*', with the number 6.0\)"):
            call()
    b.label = "twice"
    with pytest.raises(CompileError, match="closes over twice, the result"):
        f(1.0)
    x = Value(1.0)
    a.data = 5.0  # b stays 6, as the program reads it
    f(x).backward()
    assert (x.grad, a.grad) == (6.0, 3.0)
    slope = grad(f)(1.0)
    slope.backward()
    assert (slope.data, a.grad) == (6.0, 6.0)
    c = b.detach()
    assert compile(lambda x: x * c)(2.0) == 12.0


def test_a_node_that_is_kept_from_call_to_call_is_no_constant() -> None:
    kept: list[Value] = []

    def f(x: Any) -> Any:
        if not kept:
            kept.append(x * 2.0)
        return kept[0] * x

    with pytest.raises(CompileError):
        compile(f)(3.0)


# --- copies of nodes ---


def test_copies_and_pickles_of_its_nodes_are_ordinary_graphs() -> None:
    w, x = Value(3.0), Value(2.0)
    node = compile(lambda x: w * x**3)(x) + 1.0
    twin, own_w, own_x = copy.deepcopy((node, w, x))
    mg.gradient(twin, own_x).backward()
    assert (own_x.grad, own_w.grad) == close((36.0, 12.0))
    assert (x.grad, w.grad) == (0.0, 0.0)
    twin, own_x = pickle.loads(pickle.dumps((node, x)))
    twin.backward()
    assert own_x.grad == close(36.0)
    copy.copy(node).backward()
    assert x.grad == close(36.0)


def test_infinite_slopes_are_those_of_the_function() -> None:
    x = Value(0.0)
    compile(mg.sqrt)(x).backward()
    assert x.grad == math.inf
    with pytest.raises(ValueError, match="sqrt"):
        compile(mg.sqrt)(Value(-1.0))


# --- replays of a call and of its derivatives ---


def rational(x: Any, y: Any = 0.5, k: int = 2) -> Any:
    return W_SCALE * x**k / (1.0 + y * y) + (x if x > 0.0 else x * y)


W_SCALE = Value(1.5)


def total_of_powers(tree: Any) -> Any:
    """Return a number that depends on all numbers of a nested list, or an array."""
    items = [tree] if isinstance(tree, (float, Value)) else list(tree)
    parts = [x if isinstance(x, (float, Value)) else total_of_powers(x) for x in items]
    result: Any = W_SCALE
    for k, x in enumerate(parts):
        result = result * x + x**3 * (k + 1.0)
    return result


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(
    "x",
    [
        0.5,
        [0.5],
        [0.5, -1.0, 2.0],
        (0.5, [-1.0, (2.0, 3.0)]),
        [0.5, np.array([[1.0, -2.0], [0.25, 3.0]])],
        np.array([0.5, -1.0]),
        np.array([[0.5, -1.0], [2.0, 0.25]]),
        np.array([]),
        [np.float64(0.5), 2.0],
        {"a": 0.5, "b": [1.0, -2.0]},
    ],
    ids=str,
)
def test_derivatives_of_any_arguments_are_those_of_the_function(x: Any, order: int) -> None:
    f = (lambda tree: total_of_powers(list(tree.values()))) if isinstance(x, dict) else total_of_powers
    numbers, structure = mg.autodiff.trees.flatten(x, "x")

    def along(g: Any) -> Any:
        """Return g along a line through x, in a direction with the numbers 1, 2, ..."""
        return lambda t: g(structure.rebuild([number + t * (k + 1.0) for k, number in enumerate(numbers)])) ** 2

    def derivative(g: Any) -> Any:
        for _ in range(order):
            g = grad(g)
        return g

    compiled, expected = compile(f), derivative(along(f))(0.25)
    for _ in range(3):
        found = derivative(along(compiled))(0.25)
        assert type(found) is type(expected)
        assert found.data == close(expected.data)


@pytest.mark.parametrize("given", [(Value(-1.0), Value(2.0), 3), (Value(0.5), 1.0, 2), (0.5, Value(-2.0), 1)], ids=str)
def test_some_arguments_are_values_others_numbers_and_integers(given: tuple[Any, ...]) -> None:
    def numbers(f: Any) -> Any:
        own = [Value(x.data) if isinstance(x, Value) else x for x in given]
        W_SCALE.grad = 0.0
        result = Value(2.0) * f(*own)
        result.backward()
        slopes = [x.grad for x in own if isinstance(x, Value)]
        return [result.data, W_SCALE.grad, *slopes]

    compiled = compile(rational)
    for _ in range(3):
        assert numbers(compiled) == close(numbers(rational))


def test_lists_and_arrays_may_be_changed_after_a_call() -> None:
    f = compile(lambda v, a, batch: v[0] * v[1] * a[0] * batch, batched="batch")
    w, v, a, batch = Value(2.0), [None, 3.0], np.array([5.0]), np.array([7.0])
    v[0] = w
    for _ in range(3):
        w.grad = 0.0
        out = f(v, a, batch)
        v[1], a[0], batch[0] = 100.0, 100.0, 100.0
        out.backward()
        assert w.grad == 105.0
        v[1], a[0], batch[0] = 3.0, 5.0, 7.0


def test_a_leaf_that_changes_between_a_call_and_its_derivative_is_read_anew() -> None:
    w = Value(2.0)
    for f in (lambda x: x * w if w > 0.0 else x * w * w, compile(lambda x: x * w if w > 0.0 else x * w * w)):
        slopes = []
        for changed in (2.0, 3.0):
            x = Value(5.0)
            w.data = 2.0
            out = f(x)
            w.data = changed
            out.backward()
            slopes.append(x.grad)
        assert slopes == [2.0, 3.0]


def test_a_batch_whose_samples_take_several_paths_with_parameters() -> None:
    scale, shift = Value(1.5), Value(-0.5)

    def f(w: Any, x: Any) -> Any:
        return scale * w * x * x if x > 0.0 else shift * w * w * x + w

    batch = np.array([1.0, -2.0, 3.0, -0.5])
    compiled = compile(f, batched="x")
    for order in (1, 2):
        for _ in range(3):
            found = []
            for g in (lambda w: compiled(w, batch), lambda w: mg.mean([f(w, x) for x in batch.tolist()])):
                w = Value(0.75)
                out: Any = g(w)
                for _ in range(order - 1):
                    (out,) = mg.gradient(out, [w])
                scale.grad = shift.grad = 0.0
                out.backward()
                found.append((out.data, w.grad, scale.grad, shift.grad))
            assert found[0] == close(found[1])


@pytest.mark.parametrize("x", [math.inf, -math.inf, math.nan, 0.0, -0.0, 1e200, 5e-324])
@pytest.mark.parametrize("f", [lambda x: x * abs(x), lambda x: mg.sqrt(x * x), mg.tanh, lambda x: x * 0.0 + 1.0])
def test_extreme_numbers_inside_transforms(f: Any, x: float) -> None:
    compiled = compile(f)

    def outcome(g: Any, order: int) -> Any:
        try:
            for _ in range(order):
                g = grad(g)
            return math.copysign(1.0, g(x)), g(x)
        except (ArithmeticError, ValueError) as error:
            return type(error)

    for order in (1, 2):
        for _ in range(3):
            assert outcome(compiled, order) == pytest.approx(outcome(f, order), nan_ok=True, rel=1e-12)
