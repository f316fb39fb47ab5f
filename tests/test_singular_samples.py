"""Infinite slopes, infinite numbers and NaN: recordings give what eager evaluation gives, sample by sample."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import microgrud as mg
from microgrud import CompileError, Value, compile, grad, gradient, jacobian, sqrt, value_and_grad

INFINITE = math.inf
POSITIVE = st.floats(1e-300, 1e300)


def slope_by_base(x: Any, y: Any) -> Any:
    """A function with an infinite slope where x**y is 1."""
    return sqrt(x**y - 1.0)


def of_every_kind(f: Callable[..., Any], x: float, y: float) -> dict[str, float]:
    """Return the derivative of f with respect to its first argument in every reverse mode."""
    a, b = Value(x), Value(y)
    f(a, b).backward()
    both = {"batched": ("x", "y")}
    batch = [x] * 3, [y] * 3
    closed = Value(x)
    compile(lambda y: f(closed, y)).backward(y)
    return {
        "backward": a.grad,
        "gradient": gradient(f(a, b), a).data,
        "grad": grad(f)(x, y),
        "grad in grad": value_and_grad(lambda x: grad(f)(x, Value(y)))(x)[0],
        "compiled": compile(f).value_and_grad(x, y)[1],
        "compiled, of a leaf": closed.grad,
        "compiled, ignoring errors": compile(f, errors="ignore").value_and_grad(x, y)[1],
        "compiled grad": compile(grad(f))(x, y),
        "grad of compiled": grad(compile(f))(x, y),
        "batch": compile(lambda x, y: f(x, y), reduction="sum", **both).value_and_grad(*batch)[1][2],
        "batch, ignoring errors": compile(
            lambda x, y: f(x, y), reduction="sum", errors="ignore", **both
        ).value_and_grad(*batch)[1][2],
        "batch of compiled grads": compile(lambda x, y: grad(f)(x, y), **both).map(*batch)[1],
    }


@settings(max_examples=30)
@given(st.one_of(POSITIVE, st.sampled_from([0.0, 5e-324, INFINITE, -2.0])))
def test_a_power_with_exponent_0_passes_not_even_infinity_to_its_base(x: float) -> None:
    """x**0 is 1 for all x, so the partial derivative of sqrt(x**0 - 1) is 0."""
    assert of_every_kind(slope_by_base, x, 0.0) == dict.fromkeys(of_every_kind(slope_by_base, 2.0, 0.0), 0.0)


def test_the_recording_of_a_power_with_another_exponent_serves_the_exponent_0() -> None:
    f = compile(grad(slope_by_base))
    assert f(2.0, 1.0) == 0.5
    assert f(2.0, 0.0) == 0.0
    assert f.stats["eager"] == f.stats["paths"] - 1 == 0


def test_the_mixed_derivative_of_a_power_with_exponent_0_remains() -> None:
    """d/dy d/dx x**y = x**(y - 1) (1 + y log x), which is 1 / x at y = 0."""
    for made in (lambda f: f, compile):
        mixed = made(grad(lambda y, x: grad(lambda x: x**y)(x)))
        assert [mixed(y, 4.0) for y in (2.0, 0.0)] == pytest.approx([4.0 * (1.0 + 2.0 * math.log(4.0)), 0.25])


def test_derivatives_of_x_to_the_x_at_0_agree() -> None:
    """x**x (log(x)**2 + ...) + x**(x - 1) is infinite, and its derivative minus infinity."""
    second = grad(grad(lambda x: x**x))
    third = grad(second)
    for f, expected in ((second, INFINITE), (third, -INFINITE)):
        assert [f(0.0), compile(f)(0.0), compile(f, batched="x").map([0.0, 1.0])[0]] == [expected] * 3


#: Numbers at which the derivatives of `programs` are not finite, or overflow on the way.
SPECIAL = [0.0, -0.0, 1.0, INFINITE, -INFINITE, math.nan, 1e200, -1e200, 1e-320, 0.5]
PROGRAMS: list[Callable[..., Any]] = [
    lambda x: sqrt(mg.abs(x[0])) + x[0] * x[1],
    lambda x: sqrt(x[0] * x[0] + x[1] * x[1]) * x[1],
    lambda x: mg.norm(x) + mg.sum(x) * mg.cbrt(x[0]),
    lambda x: mg.logsumexp(x) * mg.relu(x[0]),
    lambda x: mg.maximum(x[0], x[1]) ** 3 - mg.hypot(x[0], x[1]),
    lambda x: mg.tanh(x[0]) * mg.where(x[1] > 0.0, x[1] * x[1], x[0]),
    lambda x: mg.softmax([x[0], x[1], 0.0])[0] * x[1],
]


def same(found: Any, expected: Any) -> bool:
    return bool(np.allclose(found, expected, rtol=1e-9, atol=1e-300, equal_nan=True))


def outcome(f: Callable[..., Any], *args: Any) -> Any:
    try:
        return f(*args)
    except (ArithmeticError, ValueError) as error:
        return type(error)


@pytest.mark.parametrize("program", range(len(PROGRAMS)))
@settings(max_examples=10)
@given(st.lists(st.tuples(st.sampled_from(SPECIAL), st.sampled_from(SPECIAL)), min_size=1, max_size=6))
def test_the_hessian_products_of_a_batch_are_those_of_reverse_mode(program: int, rows: list[Any]) -> None:
    f, direction = PROGRAMS[program], [1.0, -0.5]
    compiled, batched = compile(f), compile(f, batched="x", reduction="sum")

    def along(x: Any) -> Any:
        return mg.dot(grad(f)(x), direction)

    expected = [outcome(grad(along), list(row)) for row in rows]
    kept = [(row, product) for row, product in zip(rows, expected) if isinstance(product, list)]
    for row, product in zip(rows, expected):
        found = outcome(lambda row=row: compiled.hvp((list(row),), (direction,)))
        assert found is product if isinstance(product, type) else same(found, product), (row, found, product)
    if kept:
        products = batched.hvp((np.array([row for row, _ in kept]),), (np.array([direction] * len(kept)),))
        assert same(products, [product for _, product in kept])


def test_adjoints_of_several_results_are_added_before_they_meet_an_infinite_slope() -> None:
    """The derivative of r - r is 0, and that of the second derivatives of one root is infinite, not NaN."""
    f = compile(lambda x: sqrt(x[0] + x[1]))
    assert f.hvp(([1.0, -1.0],), ([1.0, -0.5],)) == [-INFINITE, -INFINITE]
    assert f.hvp(([1.0, -1.0],), ([1.0, -1.0],)) == [0.0, 0.0]


def test_a_quotient_by_a_leaf_that_is_0_raises_nowhere_with_errors_ignored() -> None:
    """The floor keeps the program out of the interpreter in C."""
    w = Value(0.0)
    f = compile(lambda x: x / w + x // 1.0, batched="x", errors="ignore", reduction="sum")
    value, slopes = f.value_and_grad([1.0, 2.0])
    assert [value, *slopes] == [INFINITE] * 3
    f.backward([1.0, 2.0])
    assert w.grad == -INFINITE


def test_the_second_derivative_of_a_compiled_function_whose_recorded_gradient_is_nan_is_eager() -> None:
    """The slope 0 of abs meets the NaN in the recording of the gradient, and not in eager evaluation."""

    def f(x: Any) -> Any:
        return 2.0 * x[0] + mg.jvp(lambda t: mg.abs(t) * x[2], (x[1],), (x[0],))[1]

    at = [-1.0, 0.0, math.nan]
    second = [grad(lambda x, g=g: grad(g)(x)[0])(at) for g in (f, compile(f))]
    assert second[0] == second[1] == [0.0] * 3


def test_the_sign_of_nan_in_an_array_is_nan() -> None:
    f = compile(lambda x: np.sign(x) * 1.0)
    for x in ([1.0, -1.0], [math.nan, 0.0], [0.0, math.nan]):
        assert same(f(np.array(x)), np.sign(x))


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_nan_wins_among_recorded_arrays_as_among_arrays_of_floats(name: str) -> None:
    extreme = getattr(np, name)
    rows = np.array([[0.5, 1.0, -2.0], [math.nan, 1.0, 0.0], [0.5, math.nan, 2.0], [1.0, 1.0, math.nan]])
    for f in (extreme.reduce, lambda x: extreme(x, 0.5), lambda x: extreme(0.5, x), lambda x: extreme(x, x[::-1])):
        assert same(compile(lambda x, f=f: f(x) * 1.0, batched="x").map(rows), [f(row) for row in rows])


def test_a_norm_of_zeros_in_a_batch_passes_what_it_does_alone() -> None:
    f = lambda x: sqrt(mg.norm([x, 2.0 * x]))  # noqa: E731
    assert math.isnan(grad(f)(0.0))
    assert np.isnan(compile(f, batched="x").value_and_grad([0.0, 1.0])[1]).tolist() == [True, False]


def of_varying_structure(x: Any) -> Any:
    return 2.0 * x if x > 0.0 else [x, {"negative": sqrt(-x)}] if x < 0.0 else (x,)


@pytest.mark.parametrize("order", [[1.0, -4.0, 0.0], [-4.0, 0.0, 1.0], [0.0, 1.0, -4.0]])
def test_a_call_returns_the_structure_of_its_path(order: list[float]) -> None:
    f = compile(of_varying_structure)
    expected = {1.0: 2.0, -4.0: [-4.0, {"negative": 2.0}], 0.0: (0.0,)}
    for x in order * 3:
        assert f(x) == expected[x]
    assert jacobian(f)(-4.0) == f.jacobian(-4.0) == [1.0, {"negative": -0.25}]
    assert f.value_and_grad(1.0) == (2.0, 2.0)
    with pytest.raises(CompileError, match=r"got nan and \[nan, \{'negative': nan\}\] .* return one structure"):
        compile(of_varying_structure, batched="x").map([1.0, -4.0])
