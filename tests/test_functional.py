"""`has_aux`, `vjp`, `jacfwd`, `jacrev`, `stop_gradient` and seeds: the formulas of JAX and PyTorch, nested."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from arrays import np

import microgrud as mg
from microgrud import (
    Value,
    backward,
    grad,
    gradient,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    no_grad,
    sin,
    stop_gradient,
    value_and_grad,
    vjp,
)

# --- seeds ---


def test_backward_with_a_seed_multiplies_every_derivative() -> None:
    x = Value(2.0)
    y = x * x
    y.backward(3.0)
    assert (x.grad, y.grad) == (12.0, 3.0)
    y.backward(seed=-1)
    assert (x.grad, y.grad) == (8.0, -1.0)  # the leaf accumulates
    with no_grad():
        y.backward(0.5)
    assert x.grad == 10.0
    x.backward(5.0)
    assert x.grad == 15.0


def test_backward_from_several_outputs_is_the_sum_in_one_pass() -> None:
    calls = []
    counted = mg.custom_op("counted", lambda x: 2.0 * x, lambda z, x: calls.append(x) or 2.0)
    x = Value(3.0)
    shared = counted(x)
    outputs = [shared * shared, sin(shared), shared]
    backward(outputs, [1.0, 10.0, 100.0])
    assert x.grad == 2.0 * (2.0 * 6.0 + 10.0 * math.cos(6.0) + 100.0)
    assert calls == [3.0]
    assert [y.grad for y in outputs[:2]] == [1.0, 10.0]
    backward(outputs, [0.0, 0.0, 1.0])
    assert outputs[0].grad == 0.0


def test_a_seed_of_zero_passes_nothing_on_through_an_infinite_slope() -> None:
    x = Value(0.0)
    backward([mg.sqrt(x), 2.0 * x], [0.0, 1.0])
    assert x.grad == 2.0
    assert gradient([mg.sqrt(x), 2.0 * x], x, [0.0, 1.0]).data == 2.0


def test_a_leaf_keeps_its_gradient_if_a_seeded_pass_raises() -> None:
    def broken(z: Any, x: Any) -> float:
        raise RuntimeError("broken")

    x = Value(1.0)
    x.grad = 7.0
    y = mg.custom_op("broken", lambda x: x, broken)(x)
    with pytest.raises(RuntimeError, match="broken"):
        backward([x * 2.0, y], [1.0, 1.0])
    assert x.grad == 7.0


def test_gradient_of_several_outputs_can_be_differentiated_again() -> None:
    x, v = Value(2.0), Value(5.0)
    first = gradient([x**3, x * v], x, [v, 1.0])
    assert first.data == 5.0 * 12.0 + 5.0
    assert gradient(first, [x, v])[0].data == 5.0 * 12.0
    assert gradient(first, [x, v])[1].data == 12.0 + 1.0
    assert [x.data for x in gradient([x, v], [x, v])] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x.backward("a"), TypeError, "backward: seed: expected a real number"),
        (lambda x: x.backward(x), TypeError, "backward: seed: expected a real number"),
        (lambda x: backward([x, 1.0]), TypeError, r"expected a Value for outputs\[1\], got float"),
        (lambda x: backward(1.0), TypeError, r"expected a Value for outputs\[0\], got float"),
        (lambda x: backward([x, x], [1.0]), ValueError, "expected a seed for each output, got 1 for 2 outputs"),
        (lambda x: backward(x, x), TypeError, r"backward: seeds\[0\]: expected a real number"),
        (lambda x: backward([x], [x]), TypeError, r"backward: seeds\[0\]: expected a real number"),
        (lambda x: gradient([x, 2.0], x), TypeError, r"expected a Value for output\[1\], got float"),
    ],
)
def test_wrong_seeds_and_outputs_are_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(Value(1.0))


# --- has_aux ---


def test_aux_is_handed_out_as_numbers_with_everything_else_in_it() -> None:
    def f(x: Any) -> Any:
        return x**3, {
            "square": x * x,
            "text": "m",
            "row": np.array([x, 1.0], dtype=object),
            "none": None,
            "n": 3,
            "texts": texts,
        }

    texts = np.array(["a", None], dtype=object)

    slope, aux = grad(f, has_aux=True)(2.0)
    assert slope == 12.0
    assert (aux["square"], aux["text"], aux["none"], aux["n"]) == (4.0, "m", None, 3)
    assert (type(aux["square"]), type(aux["n"]), aux["row"].dtype) == (float, int, np.float64)
    assert aux["texts"] is texts
    (value, again), slope = value_and_grad(f, has_aux=True)(2.0)
    assert (value, again["square"], slope) == (8.0, 4.0, 12.0)
    second, aux = hessian(f, has_aux=True)(2.0)
    assert (second, aux["square"], type(aux["square"])) == (12.0, 4.0, float)
    for transform in (jacobian, jacrev, jacfwd):
        rows, aux = transform(lambda x: ([x, x * x], x), has_aux=True)(3.0)
        assert (rows, aux) == ([1.0, 6.0], 3.0)


def test_aux_is_connected_where_the_results_are() -> None:
    w = Value(3.0)
    slope, aux = grad(lambda x: (w * x * x, [w * x]), has_aux=True)(2.0)
    aux[0].backward()
    assert (slope.data, aux[0].data, w.grad) == (12.0, 6.0, 2.0)
    with no_grad():
        assert grad(lambda x: (w * x * x, [w * x]), has_aux=True)(2.0) == (12.0, [6.0])
    # A Value that only aux reaches connects the results, too; one that the function made itself does not.
    assert isinstance(grad(lambda x: (x * x, w), has_aux=True)(2.0)[0], Value)
    assert grad(lambda x: (x * x, Value(1.0) + 1.0), has_aux=True)(2.0) == (4.0, 2.0)


def test_aux_of_an_inner_transform_is_differentiated_by_the_outer_one() -> None:
    def f(x: Any) -> Any:
        slope, aux = grad(lambda t: (t**3, t * t), has_aux=True)(x)
        return slope * aux  # 3 x**4

    assert grad(f)(2.0) == 12.0 * 8.0
    assert mg.compile(f)(2.0) == 48.0
    assert mg.compile(f).value_and_grad(2.0) == (48.0, 96.0)


def test_aux_without_values_stays_the_same_object() -> None:
    aux: dict[str, Any] = {"rows": [1, (2.0, "text")], "none": None}
    assert grad(lambda x: (x * x, aux), has_aux=True)(1.0)[1] is aux
    assert grad(lambda x: (x * x, {"a": x, "b": aux}), has_aux=True)(1.0)[1]["b"] is aux


@pytest.mark.parametrize("result", [lambda x: x, lambda x: (x, x, x), lambda x: None])
def test_without_a_pair_has_aux_is_an_error(result: Any) -> None:
    with pytest.raises(TypeError, match=r"expected a function that returns a pair \(result, aux\), got"):
        grad(result, has_aux=True)(1.0)


# --- vjp ---


def test_vjp_is_a_row_times_the_jacobian_as_often_as_it_is_called() -> None:
    def f(p: Any, x: Any) -> Any:
        return {"a": p["w"] * x[0] + p["b"], "rest": [sin(x[1]) * p["w"], x[0] * x[1]]}

    value, pull = vjp(f, {"w": 2.0, "b": 0.5}, np.array([3.0, 0.25]))
    assert value == {"a": 6.5, "rest": [2.0 * math.sin(0.25), 0.75]}
    for a, s, t in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.5, -2.0, 3.0)):
        p, x = pull({"rest": [s, t], "a": a})
        assert p == {"w": a * 3.0 + s * math.sin(0.25), "b": a}
        assert x.tolist() == pytest.approx([2.0 * a + 0.25 * t, s * 2.0 * math.cos(0.25) + 3.0 * t], rel=1e-15)


def test_vjp_of_one_argument_returns_a_tuple_and_aux_comes_third() -> None:
    value, pull, aux = vjp(lambda x: (x * x, [x, "s"]), 3.0, has_aux=True)
    assert (value, pull(1.0), aux) == (9.0, (6.0,), [3.0, "s"])
    assert vjp(lambda x: x, 3.0)[1](4.0) == (4.0,)
    assert vjp(lambda x: 7.0, 3.0)[1](4.0) == (0.0,)


def test_vjp_nests_with_every_transform() -> None:
    def f(x: Any) -> Any:
        return [sin(x), x**3]

    def by_vjp(x: Any) -> Any:
        return vjp(f, x)[1]([x, 2.0])[0]  # x cos x + 6 x**2

    x = 0.7
    slope = math.cos(x) - x * math.sin(x) + 12.0 * x
    second = -2.0 * math.sin(x) - x * math.cos(x) + 12.0
    assert by_vjp(x) == pytest.approx(x * math.cos(x) + 6.0 * x * x, rel=1e-15)
    assert grad(by_vjp)(x) == pytest.approx(slope, rel=1e-15)
    assert jvp(by_vjp, x, 1.0)[1] == pytest.approx(slope, rel=1e-15)
    assert jacfwd(by_vjp)(x) == pytest.approx(slope, rel=1e-15)
    assert hessian(by_vjp)(x) == pytest.approx(second, rel=1e-14)
    assert hvp(by_vjp, x, 1.0) == pytest.approx(second, rel=1e-14)
    assert vjp(by_vjp, x)[1](1.0) == pytest.approx((slope,), rel=1e-15)
    assert vjp(grad(lambda t: t**3), 2.0)[1](1.0) == (12.0,)
    compiled = mg.compile(by_vjp)
    assert compiled(x) == pytest.approx(by_vjp(x), rel=1e-15)
    assert compiled(-x) == pytest.approx(by_vjp(-x), rel=1e-15)
    assert compiled.value_and_grad(x)[1] == pytest.approx(slope, rel=1e-15)
    assert vjp(mg.compile(f), x)[1]([x, 2.0])[0] == pytest.approx(by_vjp(x), rel=1e-15)
    assert grad(lambda t: vjp(mg.compile(f), t)[1]([t, 2.0])[0])(x) == pytest.approx(slope, rel=1e-15)


def test_a_pull_can_be_called_in_a_later_transform() -> None:
    _, pull = vjp(lambda x: [x**3, sin(x)], 2.0)
    assert grad(lambda v: pull([v * v, 1.0])[0])(3.0) == 2.0 * 3.0 * 12.0
    v = Value(3.0)
    (slope,) = pull([v, 0.0])
    slope.backward()
    assert (slope.data, v.grad) == (36.0, 12.0)
    with no_grad():
        assert pull([v, 0.0]) == (36.0,)


def test_vjp_is_connected_with_closed_over_values() -> None:
    w = Value(3.0)
    value, pull = vjp(lambda x: w * x * x, 2.0)
    (slope,) = pull(1.0)
    slope.backward()
    assert (value.data, slope.data, w.grad) == (12.0, 12.0, 4.0)
    with no_grad():
        value, pull = vjp(lambda x: w * x * x, 2.0)
        assert (value, pull(1.0)) == (12.0, (12.0,))


def test_wrong_cotangents_are_named() -> None:
    _, pull = vjp(lambda x: [x, x], 2.0)
    with pytest.raises(ValueError, match=r"cotangents: expected the structure of the result, with \[0\]: number"):
        pull(1.0)
    with pytest.raises(TypeError, match="cotangents: expected a number"):
        pull("a")
    with pytest.raises(TypeError, match="vjp: expected at least one primal after the function, got none"):
        vjp(lambda: 1.0)


# --- jacfwd and jacrev ---


@pytest.mark.parametrize("transform", [jacfwd, jacrev])
def test_jacobians_of_both_modes_have_the_structure_of_jacobian(transform: Callable[..., Any]) -> None:
    def f(x: Any, p: Any, scale: float = 1.0) -> Any:
        return {"a": scale * x[0] * p["w"], "b": np.array([x[1], x[0] * x[1]], dtype=object)}

    at = np.array([2.0, 3.0]), {"w": 5.0}
    for argnums in (0, 1, (0, 1), (1, 0), -1):
        want, got = jacobian(f, argnums)(*at, scale=2.0), transform(f, argnums)(*at, scale=2.0)
        assert str(got) == str(want)
    assert transform(lambda x: [1.0, x])(2.0) == [0.0, 1.0]
    assert transform(lambda x: [sum(x)])([]) == [[]]


def test_jacobians_of_both_modes_nest_in_any_order() -> None:
    def f(x: Any) -> Any:
        return x[0] ** 2 * x[1] + sin(x[1])

    want = [[6.0, 4.0], [4.0, -math.sin(3.0)]]
    for outer in (jacfwd, jacrev, jacobian):
        for inner in (jacfwd, jacrev, grad):
            assert outer(inner(f))([2.0, 3.0]) == want
            assert mg.compile(outer(inner(f)))([2.0, 3.0]) == want
            assert outer(mg.compile(inner(f)))([2.0, 3.0]) == want
    third = jacfwd(jacrev(jacfwd(f)))([2.0, 3.0])
    assert third == [[[0.0, 2.0], [2.0, 0.0]], [[2.0, 0.0], [0.0, -math.cos(3.0)]]]


def test_jacfwd_is_connected_with_closed_over_values() -> None:
    w = Value(3.0)
    rows = jacfwd(lambda x: [w * x[0] * x[1], x[0]])([2.0, 5.0])
    rows[0][0].backward()
    assert (rows[0][0].data, w.grad) == (15.0, 5.0)


# --- stop_gradient ---


def test_stop_gradient_returns_floats_for_floats() -> None:
    assert stop_gradient(2.0) == 2.0
    assert type(stop_gradient(2.0)) is float
    assert stop_gradient(3) == 3
    assert stop_gradient({"a": [1.0, (2.0, None)]}) == {"a": [1.0, (2.0, None)]}
    x = np.array([1.0, 2.0])
    assert stop_gradient(x) is x
    with pytest.raises(TypeError, match=r"stop_gradient: x\['a'\]: expected a number, an array, or a list"):
        stop_gradient({"a": object()})


def test_stop_gradient_has_no_derivative_in_any_mode_and_order() -> None:
    def f(x: Any) -> Any:
        return x * stop_gradient(x * x)

    x = 3.0
    assert f(x) == 27.0
    assert [grad(f)(x), jvp(f, x, 1.0)[1], jacfwd(f)(x), vjp(f, x)[1](1.0)[0]] == [9.0] * 4
    assert [hessian(f)(x), hvp(f, x, 1.0), jacfwd(jacrev(f))(x), grad(grad(grad(f)))(x)] == [0.0] * 4
    assert mg.compile(f)(x) == 27.0
    assert mg.compile(f).value_and_grad(x) == (27.0, 9.0)
    assert mg.compile(f).hessian(x) == 0.0
    assert grad(mg.compile(f))(x) == 9.0
    assert hessian(mg.compile(f))(x) == 0.0
    batch = mg.compile(f, batched="x")
    assert batch.value_and_grad(np.array([1.0, 3.0]))[1].tolist() == [0.5, 4.5]


def test_stop_gradient_takes_structures_of_values() -> None:
    x, y = Value(2.0), Value(3.0)
    stopped = stop_gradient({"a": x, "rest": [np.array([y, 1.0], dtype=object), 4.0]})
    assert stopped["a"].is_leaf
    assert stopped["a"] is not x
    (stopped["a"] * x + stopped["rest"][0][0] * y).backward()
    assert (x.grad, y.grad) == (2.0, 3.0)
    f = mg.compile(lambda v: mg.dot(list(stop_gradient(v)), list(np.exp(v))))
    assert f.value_and_grad(np.array([0.0, 1.0]))[1].tolist() == pytest.approx([0.0, math.e], rel=1e-15)
