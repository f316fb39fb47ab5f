"""A compiled function is the function: the same numbers and the same derivatives, whatever branches it takes."""

from __future__ import annotations

import array
import collections
import contextlib
import copy
import dataclasses
import functools
import gc
import importlib.util
import itertools
import math
import os
import pickle
import random
import threading
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from builders import compared
from hypothesis import given, strategies as st
from truth import CONSTANTS, COUNTS

import microgrud
from microgrud import (
    CompileError,
    Value,
    compile,
    custom_op,
    exp,
    log,
    log_softmax,
    relu,
    softmax,
    sqrt,
    take,
    tanh,
    where,
)
from microgrud.losses import cross_entropy, squared_error
from microgrud.nn import MLP
from microgrud.tape import Compiled, executors
from microgrud.tape.native import native_tape
from microgrud.testing import expressions

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True, scope="module")
def built_in_c_and_in_python() -> Iterator[None]:
    """Build every program of these tests in C and in Python, and compare the two."""
    with compared():
        yield


def eager_gradient(f: Any, leaves: list[Value], *args: Any) -> tuple[float, list[float]]:
    """The result of the function and its derivatives, computed by the engine."""
    kept = [leaf.grad for leaf in leaves]
    for leaf in leaves:
        leaf.grad = 0.0
    result = f(*args)
    result.backward()
    found = [leaf.grad for leaf in leaves]
    for leaf, grad in zip(leaves, kept):
        leaf.grad = grad
    return result.data, found


def rosenbrock(x: Any) -> Any:
    return sum((1.0 - a) ** 2 + 100.0 * (b - a * a) ** 2 for a, b in itertools.pairwise(x))


# --- a call ---


def test_it_is_called_like_the_function_and_gives_floats() -> None:
    f = compile(lambda x, y: x * y + tanh(x))
    assert f(2.0, 3.0) == pytest.approx(6.0 + math.tanh(2.0))
    assert type(f(2.0, 3.0)) is float
    assert f(x=2.0, y=3.0) == f(2.0, 3.0)


def test_results_have_the_structure_that_the_function_returns() -> None:
    f = compile(lambda p: {"sum": p["a"] + p["b"][0], "both": [p["a"], p["b"][0] * 2.0]})
    assert f({"a": 1.0, "b": [3.0]}) == {"sum": 4.0, "both": [1.0, 6.0]}
    assert f({"a": 2.0, "b": [5.0]}) == {"sum": 7.0, "both": [2.0, 10.0]}


def test_it_records_once() -> None:
    calls = []

    @compile
    def f(x: Any) -> Any:
        calls.append("call")
        return x * x

    results = [f(float(k)) for k in range(5)]
    assert results == [0.0, 1.0, 4.0, 9.0, 16.0]
    assert len(calls) == 2  # twice, to see that it is the same
    assert f.stats["paths"] == 1


def test_gradients_are_those_of_the_transforms() -> None:
    f = compile(rosenbrock)
    for x in ([0.3, -0.5, 1.2], RNG.normal(size=6)):
        value, gradient = f.value_and_grad(x)
        expected, expected_gradient = microgrud.value_and_grad(rosenbrock)(x)
        assert value == pytest.approx(expected, rel=1e-14)
        assert np.asarray(gradient) == pytest.approx(np.asarray(expected_gradient), rel=1e-12)
        assert type(gradient) is type(expected_gradient)


def test_gradients_by_several_arguments() -> None:
    f = compile(lambda x, y: x * y)
    assert f.value_and_grad(2.0, 3.0, argnums=(0, 1)) == (6.0, (3.0, 2.0))
    assert f.value_and_grad(2.0, 3.0, argnums=1) == (6.0, 2.0)
    with pytest.raises(ValueError, match="expected an argument at position 2, got 2 arguments"):
        f.value_and_grad(2.0, 3.0, argnums=2)


def test_backward_adds_to_leaves_and_to_values_that_are_given() -> None:
    w, x = Value(3.0), Value(2.0)
    f = compile(lambda x: w * x * x)
    assert f.backward(x) == 12.0
    assert (w.grad, x.grad) == (4.0, 12.0)
    f.backward(x)
    assert (w.grad, x.grad) == (8.0, 24.0)
    f.backward(5.0)
    assert w.grad == 33.0


def test_leaves_are_read_anew_at_every_call() -> None:
    w = Value(3.0)
    f = compile(lambda x: w * x)
    assert f(2.0) == 6.0
    w.data = 5.0
    assert f(2.0) == 10.0


def test_leaves_that_the_function_makes_are_constants() -> None:
    def f(x: Any) -> Any:
        total = Value(0.5)
        return total + x * Value(2.0)

    compiled = compile(f)
    assert compiled.backward(3.0) == 6.5
    assert compiled(4.0) == 8.5


def test_second_derivatives_are_those_of_the_transforms() -> None:
    f = compile(rosenbrock)
    x, v = RNG.normal(size=4), RNG.normal(size=4)
    assert f.hvp(x, v) == pytest.approx(microgrud.hvp(rosenbrock, x, v), rel=1e-10)
    assert f.hessian(x) == pytest.approx(microgrud.hessian(rosenbrock)(x), rel=1e-10)
    g = compile(lambda x, y: x * x * tanh(y))
    expected = microgrud.hvp(lambda x, y: x * x * tanh(y), (0.5, 0.2), (1.0, 2.0), argnums=(0, 1))
    assert g.hvp((0.5, 0.2), (1.0, 2.0), argnums=(0, 1)) == pytest.approx(expected)


# --- a batch ---


def a_network() -> tuple[MLP, Any, Any]:
    model = MLP(2, [5, 3, 1], activation="tanh", rng=random.Random(1))
    X = RNG.normal(size=(150, 2))
    return model, X, np.sin(X[:, 0]) * X[:, 1]


@pytest.mark.parametrize("samples", [1, 2, 63, 64, 65, 150])
def test_a_batch_is_the_mean_over_its_samples(samples: int) -> None:
    model, X, y = a_network()
    parameters = model.parameters()
    f = compile(lambda x, t: squared_error(model(x), t), batched=("x", "t"))
    expected, gradient = eager_gradient(
        lambda: squared_error([model(row) for row in X[:samples]], y[:samples].tolist()), parameters
    )
    assert f.backward(X[:samples], y[:samples]) == pytest.approx(expected, rel=1e-13)
    assert [p.grad for p in parameters] == pytest.approx(gradient, rel=1e-11, abs=1e-14)
    each = f.map(X[:samples], y[:samples])
    assert each == pytest.approx(
        [squared_error(model(row), t).data for row, t in zip(X[:samples], y[:samples])], rel=1e-12, abs=1e-15
    )


def test_a_sample_has_the_same_bits_in_any_batch() -> None:
    model, X, y = a_network()
    f = compile(lambda x, t: exp(squared_error(model(x), t)), batched=("x", "t"))
    whole = f.map(X, y)
    assert f.map(X[40:110], y[40:110]).tolist() == whole[40:110].tolist()
    assert [f.map(X[k : k + 1], y[k : k + 1])[0] for k in range(0, 150, 7)] == whole[::7].tolist()


def test_threads_change_no_bit() -> None:
    model, _, _ = a_network()
    X = RNG.normal(size=(9_000, 2))
    y = X[:, 0] * X[:, 1]
    found = []
    for threads in (1, 2, 3):
        f = compile(lambda x, t: squared_error(model(x), t), batched=("x", "t"), threads=threads)
        model.zero_grad()
        value, (by_x, _) = f.value_and_grad(X, y, argnums=(0, 1))
        f.backward(X, y)
        found.append([value, [p.grad for p in model.parameters()], by_x.tolist(), f.map(X, y).tolist()])
    assert found[0] == found[1] == found[2]


def test_the_sum_over_samples_and_derivatives_by_the_batch() -> None:
    f = compile(lambda x, s: s * x[0] * x[1], batched="x", reduction="sum")
    X = RNG.normal(size=(70, 2))
    value, (by_x, by_s) = f.value_and_grad(X, 3.0, argnums=(0, 1))
    assert value == pytest.approx(3.0 * (X[:, 0] * X[:, 1]).sum())
    assert by_x == pytest.approx(3.0 * X[:, ::-1])
    assert by_s == pytest.approx((X[:, 0] * X[:, 1]).sum())


def test_several_results_of_a_batch() -> None:
    f = compile(lambda x: [x[0] + x[1], x[0] * x[1]], batched="x")
    X = RNG.normal(size=(5, 2))
    first, second = f.map(X).T
    assert first.tolist() == (X[:, 0] + X[:, 1]).tolist()
    assert second.tolist() == (X[:, 0] * X[:, 1]).tolist()
    assert f(X) == pytest.approx([first.mean(), second.mean()])
    with pytest.raises(TypeError, match="expected a function of one result to differentiate, got 2 results"):
        f.backward(X)


def test_batches_of_different_lengths_are_refused() -> None:
    f = compile(lambda x, y: x * y, batched=("x", "y"))
    with pytest.raises(ValueError, match="y: expected 3 samples as before, got 2"):
        f([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="batched: expected names of arguments .x, y., got 'z'"):
        compile(lambda x, y: x, batched="z")


@pytest.mark.parametrize("name", sorted(set(microgrud.engine.ops.TABLE) - {"round_digits", "where"}))
def test_every_operation_of_the_table(name: str) -> None:
    operation = microgrud.engine.ops.TABLE[name]
    count = COUNTS.get(name, operation.arity or 3)
    points = RNG.uniform(0.05, 0.95, size=(70, count))
    if name == "clip":
        points = np.sort(points, axis=1)[:, [1, 0, 2]]
    if name == "acosh":
        points = points + 1.0
    f: Any = lambda x: operation(*CONSTANTS.get(name, ()), *x)  # noqa: E731
    compiled = compile(lambda x: f(x) * 1.5, batched="x", reduction="sum")
    value, gradient = compiled.value_and_grad(points)
    inputs = [[Value(x) for x in row] for row in points]
    total = microgrud.sum([f(row) * 1.5 for row in inputs])
    total.backward()
    assert value == pytest.approx(total.data, rel=1e-13)
    assert gradient == pytest.approx(np.array([[x.grad for x in row] for row in inputs]), rel=1e-12, abs=1e-300)


NOT_FINITE = (0.0, -2.5, 0.5, math.inf, -math.inf, math.nan, 1e300)


@pytest.mark.parametrize(
    "operation", [op for op in microgrud.engine.ops.TABLE.values() if op.total and op.arity is not None], ids=str
)
def test_an_operation_that_never_raises_is_replayed_on_infinities(operation: Any) -> None:
    calls = 0

    def f(x: Any) -> Any:
        nonlocal calls
        calls += 1
        return operation(*x)

    rows = list(itertools.product(NOT_FINITE, repeat=operation.arity))
    if operation.name == "power_over":
        rows = [(x, y, n) for x, y, n in rows if n == 0.0]
    compiled, single = compile(f, batched="x"), compile(f)
    compiled.map([[0.5] * operation.arity] * len(rows))
    single([0.5] * operation.arity)
    before = calls
    found = [*compiled.map(rows), *map(single, map(list, rows))]
    assert calls == before
    assert found == pytest.approx([operation.evaluate(row) for row in rows] * 2, rel=1e-15, nan_ok=True)


@pytest.mark.parametrize("power", [microgrud.engine.ops.POW, lambda x, y: microgrud.engine.ops.POWER_OVER(x, y, 1.0)])
@pytest.mark.parametrize("x", [-math.inf, math.inf, math.nan, 3.0])
@pytest.mark.parametrize("y", [-math.inf, -2.5, -2.0, 0.0, 0.1, 0.5, 1.5, 2.0, 9.0, 9.5, math.inf, math.nan])
def test_slopes_of_powers_are_recorded_as_they_are_eager(power: Any, x: float, y: float) -> None:
    slopes, slope = microgrud.grad(lambda x: power(x[0], x[1])), microgrud.grad(lambda x: power(x, y))
    assert compile(slopes)([x, y]) == pytest.approx(slopes([x, y]), rel=1e-15, nan_ok=True)
    assert compile(slope)(x) == pytest.approx(slope(x), rel=1e-15, nan_ok=True)
    assert not (math.isinf(x) and math.isfinite(y) and math.isnan(slope(x)))


# --- branches ---


def branchy(x: Any) -> Any:
    if x > 1.0:
        return x * x
    return tanh(x) if x else Value(3.0)


def test_every_call_takes_its_own_branch() -> None:
    f = compile(branchy)
    for x in (2.0, 0.5, -3.0, 4.0, 0.0, 1.0, -0.0):
        value, gradient = f.value_and_grad(x)
        inner = Value(x)
        result = branchy(inner)
        result.backward()
        assert (value, gradient) == pytest.approx((result.data, inner.grad))
    assert f.stats["paths"] == 3


def test_samples_of_a_batch_take_theirs() -> None:
    def f(x: Any) -> Any:
        ordered = sorted(x)
        return max(x[0], x[1]) * ordered[0] + (ordered[2] if x[2] else 1.0)

    compiled = compile(f, batched="x", reduction="sum")
    X = RNG.normal(size=(200, 3))
    X[17, 2] = 0.0
    inputs = [[Value(x) for x in row] for row in X]
    total = microgrud.sum([f(row) for row in inputs])
    total.backward()
    value, gradient = compiled.value_and_grad(X)
    assert value == pytest.approx(total.data)
    assert gradient == pytest.approx(np.array([[x.grad for x in row] for row in inputs]))
    assert compiled.map(X).tolist() == [pytest.approx(f(row).data) for row in inputs]


def test_branches_on_parameters() -> None:
    w = Value(1.0)
    f = compile(lambda x: x * w if w > 0.0 else x - w, batched="x")
    assert f([1.0, 2.0]) == 1.5
    w.data = -2.0
    assert f([1.0, 2.0]) == 3.5


def test_further_branches_are_evaluated_eagerly_with_one_warning() -> None:
    f = compile(lambda x: next(x * k for k in range(10) if x < k), max_paths=3)
    assert [f(x) for x in (0.5, 1.5, 2.5)] == [0.5, 3.0, 7.5]
    with pytest.warns(
        RuntimeWarning, match="takes more than 3 paths through its branches; this call is evaluated eage"
    ):
        assert f(3.5) == 14.0
    assert f.value_and_grad(4.5) == (22.5, 5.0)
    assert f(1.25) == 2.5
    assert (f.stats["paths"], f.stats["eager"]) == (3, 2)


def test_samples_with_further_branches_have_their_numbers_and_are_counted() -> None:
    w = Value(2.0)
    f = compile(lambda x: next(w * x * k for k in range(20) if x < k), batched="x", max_paths=4, reduction="sum")
    X = np.arange(10) + 0.5
    with pytest.warns(RuntimeWarning, match="6 of the 10 samples of this call are evaluated eagerly"):
        value = f.backward(X)
    steps = np.arange(10) + 1.0
    assert (value, w.grad) == (pytest.approx(2.0 * X @ steps), pytest.approx(X @ steps))
    with pytest.warns(RuntimeWarning, match="6 of the 10 samples"):  # the gradient has recordings of its own
        assert f.hvp((X,), (np.ones(10),)).tolist() == [0.0] * 10
    assert f.map(X).tolist() == pytest.approx((2.0 * X * steps).tolist())


def test_further_branches_are_recorded_where_the_function_would_raise() -> None:
    f = compile(lambda x, k: microgrud.log(x) + k if x < k else microgrud.log(x), max_paths=1, errors="ignore")
    assert math.isnan(f(-1.0, 2.0))
    assert math.isnan(f(-1.0, -2.0))


# --- integers ---


def test_integers_are_part_of_the_recording() -> None:
    f = compile(lambda x, n: sum(x**k for k in range(n)) if n % 2 else x * n)
    for x, n in ((2.0, 3), (2.0, 5), (3.0, 3), (3.0, 4)):
        assert f(x, n) == (sum(x**k for k in range(n)) if n % 2 else x * n)
    assert f.stats["paths"] == 3


def test_what_is_taken_by_an_integer_is_one_recording() -> None:
    table = [[Value(10.0 * i + j) for j in range(2)] for i in range(4)]
    f = compile(lambda tokens: sum(a * b for a, b in take(table, tokens)))
    assert f.backward([1, 2]) == 10.0 * 11.0 + 20.0 * 21.0
    assert [[x.grad for x in row] for row in table] == [[0.0, 0.0], [11.0, 10.0], [21.0, 20.0], [0.0, 0.0]]
    assert f([3, 3]) == 2 * 30.0 * 31.0
    assert f.stats["paths"] == 1
    with pytest.raises(IndexError, match="take: index 4: expected an index from 0 to 3, one of the 4 items"):
        f([1, 4])


def test_a_batch_of_integers() -> None:
    table = [Value(1.0), Value(2.0), Value(4.0)]
    f = compile(lambda k, x: take(table, k) * x, batched=("k", "x"), reduction="sum")
    k, x = RNG.integers(0, 3, size=100), RNG.normal(size=100)
    assert f.backward(k, x) == pytest.approx((np.array([1.0, 2.0, 4.0])[k] * x).sum())
    assert [t.grad for t in table] == pytest.approx([x[k == i].sum() for i in range(3)])
    with pytest.raises(IndexError, match="take: index 7: expected an index from 0 to 2"):
        f([0, 1, 7], [1.0, 1.0, 1.0])


def test_class_indices_of_a_batch_are_branches() -> None:
    model = MLP(2, [4, 3], activation="tanh", rng=random.Random(1))
    X, y = RNG.normal(size=(60, 2)), RNG.integers(0, 3, size=60)
    f = compile(lambda x, t: cross_entropy(model(x), t), batched=("x", "t"))
    parameters = model.parameters()
    expected, gradient = eager_gradient(lambda: cross_entropy([model(row) for row in X], y.tolist()), parameters)
    assert f.backward(X, y) == pytest.approx(expected)
    assert [p.grad for p in parameters] == pytest.approx(gradient)


def test_take_outside_of_compile_is_a_lookup() -> None:
    w = Value(2.0)
    assert take([1.0, w], 1) is w
    assert take(np.array([[1.0, 2.0], [3.0, 4.0]]), [1, 0]) == [[3.0, 4.0], [1.0, 2.0]]
    for index, error in ((2, IndexError), (-1, IndexError), (0.5, TypeError)):
        with pytest.raises(error, match="take: index"):
            take([1.0, 2.0], index)


# --- numbers that are not finite ---


def test_errors_are_those_of_the_function_and_name_its_operands() -> None:
    f = compile(lambda x: log(x) + exp(x), batched="x")
    assert f([1.0, 2.0]) == pytest.approx((math.log(2.0) + math.e + math.exp(2.0)) / 2)
    with pytest.raises(ValueError, match=r"log\(-1.0\): expected x > 0, got -1.0"):
        f([1.0, -1.0])
    with pytest.raises(OverflowError, match=r"exp\(710.0\)"):
        f([1.0, 710.0])
    assert np.isnan(compile(lambda x: log(x) + 1.0, batched="x", errors="ignore").map([1.0, -1.0])).tolist() == [
        False,
        True,
    ]


def test_a_branch_that_does_not_matter_poisons_no_gradient() -> None:
    f = compile(lambda x: sqrt(x) * 0.0 + 2.0 * x, batched="x", reduction="sum")
    assert f.value_and_grad([0.0, 4.0])[1].tolist() == [2.0, 2.0]
    g = compile(lambda x: where(x > 0.0, sqrt(abs(x)), x), batched="x", reduction="sum")
    assert g.value_and_grad([-1.0, 4.0, 0.0])[1].tolist() == [1.0, 0.25, 1.0]


def test_an_infinite_slope_is_infinite() -> None:
    f = compile(lambda x: sqrt(x), batched="x", reduction="sum")
    assert f.value_and_grad([0.0, 4.0])[1].tolist() == [math.inf, 0.25]


# --- what cannot be recorded ---


def changes_its_argument(x: Any) -> Any:
    x.append(1.0)
    return x[0] * 2.0


@pytest.mark.parametrize(
    ("f", "argument", "message"),
    [
        (lambda x: x * x.data, 1.0, r"\.data of .* inside a compiled function: .* use the Value as it is"),
        (lambda x: x * x.item(), 1.0, r"\.data of"),
        (lambda x: x * random.random(), 1.0, "two recordings of one call differ: .* random numbers"),
        (changes_its_argument, [1.0], "the function changes its arguments"),
        (lambda x: Value(1.0, (x,), "odd") * x, 1.0, r"a node built by hand \(odd\)"),
    ],
)
def test_what_cannot_be_recorded_says_what_to_write(f: Any, argument: Any, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        compile(f)(argument)


def test_no_grad_inside_is_refused_and_detach_is_recorded() -> None:
    def without(x: Any) -> Any:
        with microgrud.no_grad():
            return x * x

    with pytest.raises(CompileError, match=r"no_grad inside a compiled function: .* write x.detach\(\)"):
        compile(without)(1.0)
    f = compile(lambda x: x * x.detach())
    assert f.value_and_grad(3.0) == (9.0, 3.0)
    assert f.value_and_grad(5.0) == (25.0, 5.0)


def test_a_failed_recording_leaves_nothing_behind() -> None:
    def f(x: Any) -> Any:
        raise KeyError("mine")

    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            compile(f)(1.0)
    assert Value(2.0).data == 2.0  # there is no watcher any more


def test_operations_of_ones_own_are_part_of_it() -> None:
    cube = custom_op("cube", lambda x: x * x * x, lambda z, x: 3.0 * x * x)
    f = compile(lambda x: cube(x) + x, batched="x", reduction="sum")
    value, gradient = f.value_and_grad([1.0, 2.0])
    assert value == 12.0
    assert gradient.tolist() == [4.0, 13.0]


def test_compiled_functions_inside_of_others_are_part_of_them() -> None:
    inner = compile(lambda x: x * x)
    outer = compile(lambda x: inner(x) + 1.0)
    assert outer.value_and_grad(3.0) == (10.0, 6.0)


def test_threads_share_a_compiled_function() -> None:
    f = compile(branchy)
    found: list[list[float]] = []

    def work(seed: int) -> None:
        xs = np.random.default_rng(seed).normal(size=50) * 2.0
        found.append([f(float(x)) - branchy(Value(float(x))).data for x in xs])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert np.abs(found).max() < 1e-12


def test_settings_that_are_changed_hold_for_the_recordings_too() -> None:
    f = compile(lambda x, y: x * x * y if x > 0.0 else log(y), batched="x", reduction="mean", threads=2)
    xs, x = np.array([1.0, 2.0, 3.0]), Value(2.0)
    for _ in range(2):  # the second call is a replay
        assert f(xs, 3.0) == 14.0
        assert f.hvp((xs, 3.0), np.ones(3)).tolist() == [2.0, 2.0, 2.0]
    assert f(xs, x).data == pytest.approx(28.0 / 3.0)
    f.reduction, f.threads, f.errors, f.max_paths = "sum", 1, "ignore", 2
    assert (f.reduction, f.threads, f.errors, f.max_paths) == ("sum", 1, "ignore", 2)
    assert f.stats["paths"] == 1
    for _ in range(2):
        assert f(xs, 3.0) == 42.0
        assert f.value_and_grad(xs, 3.0, argnums=1) == (42.0, 14.0)
        assert f.hvp((xs, 3.0), np.ones(3)).tolist() == [6.0, 6.0, 6.0]
    assert f(xs, x).data == 28.0
    assert math.isnan(f(np.array([-1.0]), -1.0))
    assert pickle.loads(pickle.dumps(f)).errors == "ignore"
    f.errors = "raise"
    with pytest.raises(ValueError, match="log"):
        f(np.array([-1.0]), -1.0)


def test_the_largest_number_of_paths_can_be_raised() -> None:
    f = compile(lambda x: x if x > 0.0 else -x, max_paths=1)
    assert f(1.0) == 1.0
    with pytest.warns(RuntimeWarning, match="raise max_paths") as warned:
        assert f(-1.0) == 1.0
    assert warned[0].filename == __file__
    assert f.stats["paths"] == 1
    f.max_paths = 2
    assert f(-1.0) == 1.0
    assert f.stats["paths"] == 2
    f.threads = None
    assert f.threads == (os.cpu_count() or 1)
    with pytest.raises(ValueError, match="compile: reduction: "):
        f.reduction = "median"
    with pytest.raises(ValueError, match="compile: max_paths: "):
        f.max_paths = 0


@pytest.mark.parametrize("way", ["value_and_grad", "map", "backward"])
def test_the_warning_of_too_many_paths_names_the_line_of_the_call(way: str) -> None:
    f = compile(lambda x: x if x > 0.0 else -x, max_paths=1, batched="x" if way == "map" else ())
    getattr(f, way)([1.0] if way == "map" else 1.0)
    with pytest.warns(RuntimeWarning, match="raise max_paths") as warned:
        getattr(f, way)([-1.0] if way == "map" else -1.0)
    assert warned[0].filename == __file__


def test_a_compiled_function_can_be_made_without_compile() -> None:
    f = Compiled(lambda x: x * x, ["x"], "sum", 1, "raise", 4)
    assert f([1.0, 2.0]) == 5.0


# --- the law ---


@given(expressions(max_nodes=8), st.integers(0, 2**32 - 1))
def test_compiled_and_eager_agree_at_every_point(expression: Any, seed: int) -> None:
    def f(x: Any) -> Any:
        result = expression(*x)
        return result * 0.5 if result > 0.25 else relu(result) - result

    points = np.array(expression.inputs) + np.random.default_rng(seed).normal(size=(6, len(expression.inputs))) * 0.3
    compiled = compile(f, batched="x", reduction="sum")
    alone = compile(f)
    for row in points:
        inputs = [Value(x) for x in row]
        try:
            result = f(inputs)
            result.backward()
        except (ValueError, ArithmeticError) as error:
            for call in (lambda row=row: alone(row), lambda row=row: compiled.map(row[None])):
                with pytest.raises(type(error)):
                    call()
            continue
        value, gradient = alone.value_and_grad(row)
        batch_value, batch_gradient = compiled.value_and_grad(row[None])
        expected = [x.grad for x in inputs]
        scale = max(1.0, abs(result.data))
        assert [value, batch_value] == pytest.approx([result.data] * 2, rel=1e-9, abs=1e-9 * scale, nan_ok=True)
        size = max([1.0, *map(abs, expected)])
        assert list(gradient) == pytest.approx(expected, rel=1e-7, abs=1e-7 * size, nan_ok=True)
        assert list(batch_gradient[0]) == pytest.approx(expected, rel=1e-7, abs=1e-7 * size, nan_ok=True)


def test_softmax_and_attention() -> None:
    def f(x: Any) -> Any:
        shares = softmax(x)
        return sum(s * v for s, v in zip(shares, x))

    compiled = compile(f, batched="x", reduction="sum")
    X = RNG.normal(size=(80, 5))
    inputs = [[Value(x) for x in row] for row in X]
    total = microgrud.sum([f(row) for row in inputs])
    total.backward()
    value, gradient = compiled.value_and_grad(X)
    assert value == pytest.approx(total.data)
    assert gradient == pytest.approx(np.array([[x.grad for x in row] for row in inputs]), rel=1e-10, abs=1e-13)


def test_slopes_have_their_digits_in_the_tails() -> None:
    points = [0.0, 1e-300, 1e-9, 0.3, -0.6, 1.0, 5.0, 20.0, -39.9, 40.1, 100.0, -300.0, 360.0, 1000.0]
    for name in ("tanh", "sigmoid"):
        operation = getattr(microgrud, name)
        f = compile(lambda x, operation=operation: operation(x), batched="x", reduction="sum")
        expected = [microgrud.grad(operation)(x) for x in points]
        assert f.value_and_grad(points)[1].tolist() == pytest.approx(expected, rel=1e-15, abs=0.0)


# --- what random programs have found ---


def test_the_adjoints_of_a_log_softmax_may_cancel() -> None:
    f = compile(lambda x: log_softmax(x)[0] - log_softmax(x)[1])
    assert f.value_and_grad([0.1, 0.2, 0.3])[1] == pytest.approx([1.0, -1.0, 0.0])
    g = compile(lambda x: log_softmax(x)[0] - log_softmax(x)[1], batched="x")
    assert g.value_and_grad([[0.1, 0.2, 0.3]])[1] == pytest.approx(np.array([[1.0, -1.0, 0.0]]))


def reciprocal_or_zero(x: Any) -> Any:
    try:
        return 1.0 / x
    except ZeroDivisionError:
        return 0.0


def test_an_error_that_the_function_catches_is_no_part_of_a_recording() -> None:
    f = compile(reciprocal_or_zero)
    assert [f(0.0), f(2.0), f(0.0)] == [0.0, 0.5, 0.0]
    assert compile(reciprocal_or_zero, batched="x").map([0.0, 2.0]).tolist() == [0.0, 0.5]


def test_ties_are_decided_as_the_function_decides_them() -> None:
    def f(x: Any, y: Any, z: Any) -> Any:
        s = x * y + (-x) * z
        return x * 100.0 if s > 0.0 or s < 0.0 else x

    compiled = compile(f, batched=("x", "y", "z"))
    compiled([1.1], [1.3], [1.7])
    compiled([1.1], [1.7], [1.3])
    assert compiled([1.1], [1.3], [1.3]) == 1.1
    xs = [0.1 * k + 0.01 for k in range(1, 40)]
    floors = compile(lambda x, y: microgrud.floor(x * y + (-x) * y), batched=("x", "y"))
    assert floors.map(xs, [1.3] * 39).tolist() == [0.0] * 39


def test_sums_overflow_where_the_function_does() -> None:
    def f(x: Any, y: Any, a: Any, b: Any) -> Any:
        return x * y + a + b

    assert compile(f)(-1.0, 1e308, 1e308, 1e308) == 1e308
    assert compile(f, batched=("x", "y", "a", "b"))([-1.0], [1e308], [1e308], [1e308]) == 1e308


def test_a_sum_of_negative_zeros_is_one() -> None:
    def f(x: Any, y: Any) -> Any:
        return microgrud.atan2(0.0, x * y + x * y * 2.0)

    assert compile(f)(-0.0, 1.0) == math.pi
    assert compile(f, batched=("x", "y"))([-0.0], [1.0]) == math.pi


def test_a_result_keeps_the_sign_of_its_zero() -> None:
    f = compile(lambda x: -x if x < 1.0 else 0.0 * x)
    batch = compile(lambda x: -x if x < 1.0 else -0.0 * x, batched="x")
    for _ in range(3):
        assert [math.copysign(1.0, y) for y in (f(0.0), f(-0.0), f(2.0), f(0.0))] == [-1.0, 1.0, 1.0, -1.0]
        assert [math.copysign(1.0, f.value_and_grad(x)[0]) for x in (0.0, -0.0)] == [-1.0, 1.0]
        assert [math.copysign(1.0, batch([0.0] * n)) for n in (1, 8, 11)] == [-1.0] * 3
        assert [math.copysign(1.0, batch(xs)) for xs in ([0.0, 2.0], [0.0, -0.0])] == [-1.0, 1.0]


def test_integers_are_not_differentiated_with_respect_to() -> None:
    f = compile(lambda x: x * x)
    for call in (lambda: f.value_and_grad(3), lambda: f.hvp(3, 1.0), lambda: f.hessian(3)):
        with pytest.raises(
            TypeError, match="expected floats to differentiate with respect to, got the integer 3 .*; write 3.0"
        ):
            call()


def test_a_range_as_a_batch_is_refused_where_it_is_differentiated() -> None:
    compiled = compile(lambda x: x * x, batched="x")
    assert compiled.map(range(1, 3)).tolist() == [1.0, 4.0]
    with pytest.raises(TypeError, match="got the integer 1 in argument 0"):
        compiled.value_and_grad(range(1, 3))


def test_large_integers_are_told_apart() -> None:
    f = compile(lambda x, n: x * (n % 10))
    assert [f(1.0, 2**53 + 1), f(1.0, 2**53), f(1.0, 10**400 + 3)] == [3.0, 2.0, 3.0]
    with pytest.raises(OverflowError, match="expected integers within the range of int64"):
        compile(lambda x, n: x * (n % 10), batched=("x", "n"))([1.0], np.array([2**64 - 1], dtype=np.uint64))


def test_integers_do_not_count_as_branches() -> None:
    f = compile(lambda x, n: x * n, max_paths=2)
    assert [f(1.0, n) for n in range(300)] == list(map(float, range(300)))
    assert f.stats["paths"] == 256


def test_functions_inside_keep_their_gradients_where_the_outer_one_is_evaluated_itself() -> None:
    w = Value(2.0)
    inner = compile(lambda x: w * x * x)
    outer = compile(lambda x, y: inner(x) + sqrt(y))
    assert outer.value_and_grad(3.0, 0.0, argnums=(0, 1)) == (18.0, (12.0, math.inf))
    outer.backward(3.0, 0.0)
    assert w.grad == 9.0


def test_backward_has_no_place_inside_of_others() -> None:
    inner = compile(lambda x: x * x)
    for call in (compile(inner.backward), microgrud.grad(inner.backward)):
        with pytest.raises(
            CompileError, match="inside a transform or another compiled function: call it as a function"
        ):
            call(1.0)


def test_backward_takes_leaves() -> None:
    with pytest.raises(ValueError, match=r"backward: expected leaves as arguments, got the result of an operation"):
        compile(lambda x: x * x).backward(Value(3.0) * 2.0)


def test_gradients_of_a_named_tuple_hold_arrays_of_floats() -> None:
    line = collections.namedtuple("line", "weights bias")
    compiled = compile(lambda x: (x.weights[0] + x.weights[1]) * x.bias)
    given = line(np.array([1.0, 2.0]), 3.0)
    for found in (compiled.value_and_grad(given), microgrud.value_and_grad(compiled.function)(given)):
        assert type(found[1]) is line
        assert found[1].weights.dtype == np.float64
        assert (found[1].weights.tolist(), found[1].bias) == ([3.0, 3.0], 3.0)


def test_structures_are_compared_with_their_keys() -> None:
    def f(x: Any) -> Any:
        return {"a": x, "b": -x} if x > 0.0 else {"b": -x, "a": x}

    with pytest.raises(CompileError, match=r"got \{'a': nan, 'b': nan\} and \{'b': nan, 'a': nan\}"):
        compile(f, batched="x").map([1.0, -2.0])


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x)), lambda x: Value(x.grad)]
)
def test_copies_of_numbers_are_refused(copied: Any) -> None:
    with pytest.raises(CompileError, match=r"would be frozen into the recording"):
        compile(lambda x: copied(x) * x)(2.0)


def test_a_table_is_that_of_the_branch() -> None:
    def f(x: Any, k: Any) -> Any:
        return take([1.0, 2.0, 3.0], k) * x if x > 0.0 else take([1.0, 2.0, 3.0, 4.0, 5.0], k) * (-x)

    alone, batch = compile(f), compile(f, batched=("x", "k"), reduction="sum")
    assert [alone(1.0, 1), alone(-1.0, 4), alone(1.0, 2)] == [2.0, 5.0, 3.0]
    value, gradient = batch.value_and_grad([1.0, -1.0, 2.0], [1, 4, 2])
    assert value == 13.0
    assert gradient.tolist() == [2.0, -5.0, 3.0]


def test_what_is_not_finite_may_be_ignored_with_its_gradients() -> None:
    f = compile(lambda x: log(x) * 2.0, batched="x", errors="ignore", reduction="sum")
    f([1.0, 2.0])
    value, gradient = f.value_and_grad([1.0, 0.0, 2.0])
    assert value == -math.inf
    assert gradient.tolist() == [2.0, math.inf, 1.0]


@pytest.mark.parametrize("name", ["sum", "mean", "logsumexp", "softmax", "max", "min", "prod"])
@pytest.mark.parametrize(
    "numbers",
    [
        [math.inf, 1.0],
        [1.0, -math.inf],
        [math.inf, math.inf],
        [-math.inf, -math.inf],
        [math.inf, 1.0, 2.0],
        [math.inf, -math.inf, 1.0],
        [math.nan, 1.0],
        [1.7e308, 1.7e308],
    ],
    ids=str,
)
def test_what_is_ignored_is_as_the_function_has_it(name: str, numbers: list[float]) -> None:
    def f(x: Any) -> Any:
        result = getattr(microgrud, name)(x)
        return result[-1] if name == "softmax" else result

    value, gradient = microgrud.value_and_grad(f)(numbers)
    alone = compile(f, errors="ignore")
    batch = compile(f, errors="ignore", batched="x", reduction="sum")
    other = [0.5] * len(numbers)
    for _ in range(2):
        alone(other)
        assert alone.value_and_grad(numbers) == (
            pytest.approx(value, nan_ok=True),
            pytest.approx(gradient, nan_ok=True),
        )
        assert batch.map([other, numbers])[1] == pytest.approx(value, nan_ok=True)
        assert batch.value_and_grad([other, numbers])[1][1] == pytest.approx(np.array(gradient), nan_ok=True)


@pytest.mark.parametrize("samples", [6, 200, 9_000])
def test_samples_of_another_branch_are_no_part_of_what_is_ignored(samples: int) -> None:
    w = Value(2.0)
    x = np.resize([1.0, 2.0, -1.0, 0.0, -3.0, 1.0], samples)
    f = compile(lambda x, s: log(x) * s * w if x > 0.0 else x * s * w, batched="x", reduction="sum", errors="ignore")
    logs = np.where(x > 0.0, np.log(np.maximum(x, 1.0)), x).sum()
    for _ in range(3):
        w.grad = 0.0
        value, by_s = f.value_and_grad(x, 3.0, argnums=1)
        assert (value, by_s) == (pytest.approx(6.0 * logs), pytest.approx(2.0 * logs))
        assert f.backward(x, 3.0) == pytest.approx(6.0 * logs)
        assert w.grad == pytest.approx(3.0 * logs)


def test_branches_are_those_of_the_function_where_infinities_are_ignored() -> None:
    f = compile(lambda x: 1.0 if microgrud.sum([x * 1e200 * 1e200, 1.0]) > 2.0 else 0.0, errors="ignore")
    assert [f(-1.0), f(1.0), f(-1.0), f(1.0)] == [0.0, 1.0, 0.0, 1.0]


def test_branches_that_hang_on_the_last_digit_leave_no_recordings_behind() -> None:
    f = compile(
        lambda x: x * 2.0 if 0.0 <= microgrud.exp(x) - microgrud.exp(x * 1.0) <= 0.0 else x, batched="x", max_paths=4
    )
    for k in range(20):
        assert f([0.1 * k]) in (0.1 * k, 0.2 * k)


def test_constants_may_be_nan() -> None:
    assert compile(lambda x: where(x > 0.0, x, float("nan")))(1.0) == 1.0
    assert math.isnan(compile(lambda x: x * Value(math.nan))(1.0))


def test_methods_are_compiled_for_each_instance() -> None:
    class Model:
        def __init__(self, w: float) -> None:
            self.w = Value(w)

        @compile
        def loss(self, x: Any) -> Any:
            return self.w * x * x

    one, two = Model(2.0), Model(5.0)
    assert [one.loss(3.0), two.loss(3.0), one.loss(1.0)] == [18.0, 45.0, 2.0]
    two.loss.backward(1.0)
    assert (one.w.grad, two.w.grad) == (0.0, 1.0)
    assert one.loss == one.loss != two.loss


def test_a_batch_has_a_sample_at_least() -> None:
    for empty in ([], np.zeros((0, 2))):
        with pytest.raises(ValueError, match="x: expected at least one sample, got none"):
            compile(lambda x: x, batched="x")(empty)


def test_second_derivatives_of_a_batch_are_of_its_mean() -> None:
    f = compile(lambda w, x: (w * x) * (w * x), batched="x")
    assert f.hvp((1.0, np.array([1.0, 2.0, 3.0])), 1.0) == pytest.approx(28.0 / 3.0)


def test_derivatives_that_do_not_depend_on_the_arguments_are_recorded() -> None:
    w = Value(3.0)
    for f in (lambda x: w * x[0] + x[1] * x[1], lambda x: microgrud.dot(x, [1.0, 2.0]), lambda x: x[0] * x[0]):
        for point in ([1.0, 2.0], np.array([1.0, 2.0])):
            compiled = compile(f)
            assert np.array_equal(compiled.hessian(point), microgrud.hessian(f)(point))
            assert np.array_equal(compiled.hvp(point, point), microgrud.hvp(f, point, point))
    slope = compile(microgrud.grad(lambda x: w * x))
    assert slope(1.0) == 3.0
    w.data = 5.0
    assert slope(1.0) == 5.0
    assert compile(lambda x: microgrud.jvp(lambda y: w + y, x, 2.0))(1.0) == (6.0, 2.0)
    batch = compile(lambda x: microgrud.dot(x, [1.0, 2.0]), batched="x")
    assert batch.hvp(np.ones((3, 2)), np.ones((3, 2))).tolist() == [[0.0, 0.0]] * 3


def test_derivatives_inside_of_a_recording_go_by_the_index_of_the_call() -> None:
    def f(x: Any, k: Any) -> Any:
        row = take([[x[0], 2.0], [x[2], x[1] * x[0]], [3.0, x[0]]], k)
        return tanh(take(x, k) * x[0]) + row[0] * row[1] * x[2]

    x, v = [0.5, -0.25, 0.75], [1.0, 2.0, -1.0]
    slope, compiled = compile(microgrud.grad(f)), compile(f)
    batch = compile(f, batched=("x", "k"), reduction="sum")
    for k in (1, 0, 2, 1):
        assert slope(x, k) == pytest.approx(microgrud.grad(f)(x, k), rel=1e-14)
        assert compiled.hvp((x, k), v) == pytest.approx(microgrud.hvp(f, (x, k), v), rel=1e-14)
        assert np.array(compiled.hessian(x, k)) == pytest.approx(np.array(microgrud.hessian(f)(x, k)), rel=1e-14)
    assert slope.stats["paths"] == 1
    products = batch.hvp((np.array([x] * 3), np.arange(3)), np.array([v] * 3))
    assert products == pytest.approx(np.array([microgrud.hvp(f, (x, k), v) for k in range(3)]), rel=1e-14)


def test_hessians_have_the_structure_of_those_of_the_transforms() -> None:
    def f(p: Any) -> Any:
        return p["w"][0] ** 2 * p["w"][1] * p["b"]

    point = {"w": np.array([1.0, 2.0]), "b": 3.0}
    found, expected = compile(f).hessian(point), microgrud.hessian(f)(point)
    assert found.keys() == expected.keys()
    for one in "wb":
        assert found[one].keys() == expected[one].keys()
        for other in "wb":
            assert np.array_equal(found[one][other], expected[one][other])
    assert compile(lambda x: x[0] ** 2 * x[1]).hessian([2.0, 3.0]) == [[6.0, 4.0], [4.0, 0.0]]
    assert compile(lambda x: x**3).hessian(2.0) == 12.0


# --- the interpreters ---


def test_the_interpreter_goes_with_the_engine_where_it_was_built() -> None:
    built = importlib.util.find_spec("microgrud._native.tape") is not None
    assert (native_tape is not None) == (built and microgrud.backend == "c")
    f = compile(lambda x: x * x)
    assert f(3.0) == 9.0
    assert (f.stats["block_size"] > 0) == (native_tape is not None)


@pytest.mark.skipif(native_tape is None, reason="the interpreter in NumPy has no variants")
@pytest.mark.parametrize("variant", getattr(native_tape, "VARIANTS", []))
def test_all_instruction_sets_agree_with_the_engine(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    native = native_tape
    made = SimpleNamespace(**{**vars(native), "Tapes": lambda *own: native.Tapes(*own, variant)})
    monkeypatch.setattr(executors, "native_tape", made)
    model, X, y = a_network()

    def f(x: Any, t: Any) -> Any:
        return squared_error(model(x), t) + softmax(x)[0] * exp(x[0]) - microgrud.sin(x[1]) * log(x[0] * x[0] + 1.0)

    parameters = model.parameters()
    mean = lambda: microgrud.mean([f(list(map(Value, row)), t) for row, t in zip(X, y)])  # noqa: E731
    expected, gradient = eager_gradient(mean, parameters)
    assert compile(f, batched=("x", "t")).backward(X, y) == pytest.approx(expected, rel=1e-13)
    assert [p.grad for p in parameters] == pytest.approx(gradient, rel=1e-11, abs=1e-14)


@pytest.mark.parametrize("other", [1.0, 1, True, Value(1.0), np.float64(1.0)])
def test_equality_decides_as_it_does_eagerly(other: Any) -> None:
    w = Value(2.0)
    for f in (
        lambda x: w * x if x == other else w,
        lambda x: w * x if x != other else 3.0 * w,
        lambda x: w * x if other == x else 5.0 * w,
        lambda x: w * x if x in (0.0, other) else 7.0 * w,
        lambda x: sum((w * x for y in [x, w] if y == other), 11.0 * w),
    ):
        compiled = compile(f)
        for number in (1.0, 3.0, 1.0, 2.0):
            assert compiled(number) == f(Value(number)).data
            assert compiled.value_and_grad(number) == value_and_grad_of(f, number)


def value_and_grad_of(f: Callable[..., Value], number: float) -> tuple[float, float]:
    """The value and the derivative by a backward pass."""
    x = Value(number)
    y = f(x)
    y.backward()
    return y.data, x.grad


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[0] * x[0] + 3.0 * x[1],
        lambda x: x[0] * x[0] + x[1],
        lambda x: x[0] * x[0],
        lambda x: x[0] * x[1],
        lambda x: 2.0 * x[0] - x[1],
    ],
    ids=["linear", "a sum", "of one of them", "bilinear", "all linear"],
)
def test_second_derivatives_where_a_first_one_is_constant(f: Any) -> None:
    x, direction = [2.0, 5.0], [1.0, 10.0]
    compiled = compile(f)
    for _ in range(2):
        assert compiled.hvp((x,), (direction,)) == microgrud.hvp(f, (x,), (direction,))
        assert compiled.hessian(x) == microgrud.hessian(f)(x)


def test_a_slope_that_is_a_parameter_is_read_anew() -> None:
    w = Value(2.0)
    compiled = compile(lambda x: microgrud.grad(lambda y: w * y)(x) * x)
    assert compiled(3.0) == 6.0
    w.data = 5.0
    assert compiled(3.0) == 15.0
    assert compiled.backward(3.0) == 15.0
    assert w.grad == 3.0


def test_a_result_of_negative_zero_is_one() -> None:
    compiled = compile(lambda x: x * -1.0)
    for _ in range(2):
        assert math.copysign(1.0, compiled(0.0)) == -1.0
        assert math.copysign(1.0, compiled.backward(0.0)) == -1.0
        assert math.copysign(1.0, compiled.value_and_grad(0.0)[0]) == -1.0


def test_recordings_for_other_integers_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = compile(lambda x, k: x * k if x > 0.0 else x)
    for k in range(100):
        assert compiled(2.0, k) == 2.0 * k
    tried: list[Any] = []
    kind: Any = executors.NativeExecutor if native_tape is not None else executors.NumpyExecutor
    monkeypatch.setattr(kind, "run", lambda self, *args, run=kind.run: tried.append(self) or run(self, *args))
    compiled.max_paths = compiled.max_paths  # assigning a setting discards the replays
    assert compiled(2.0, 7) == 14.0
    assert len(tried) == 1


def test_the_sample_that_raises_is_named() -> None:
    compiled = compile(lambda x: microgrud.sqrt(x), batched="x")
    for xs, sample in (([4.0, 1.0, -3.0], 2), ([-1.0, 4.0], 0), ([1.0, 2.0, 3.0, -1.0], 3)):
        with pytest.raises(ValueError, match=rf"sqrt\(-.*sample {sample} of the batch"):
            compiled(np.array(xs))
    with pytest.raises(ValueError, match=r"sqrt\(-3.0\): expected .*got -3.0$"):
        compile(microgrud.sqrt)(-3.0)


@pytest.mark.parametrize("first", [[-1.0, -2.0, 0.0], [0.25, -1.0], [1.0, 4.0]])
def test_where_errors_are_ignored_a_row_has_one_answer_whatever_was_called_before(first: list[float]) -> None:
    """A branch that no finite row has taken can be recorded, since no operation raises."""

    def f(x: Any) -> Any:
        return microgrud.log(x) if x < 0.5 else 1.0 / (x - 1.0)

    compiled = compile(f, batched="x", errors="ignore")
    compiled.map(np.array(first))
    rows = [-1.0, 0.0, 0.25, 1.0, 2.0, math.nan]
    expected = [math.nan, -math.inf, math.log(0.25), math.inf, 1.0, math.nan]
    for _ in range(2):
        assert compiled.map(np.array(rows)) == pytest.approx(expected, nan_ok=True)
    single = compile(f, errors="ignore")
    assert [single(row) for row in rows] == pytest.approx(expected, nan_ok=True)


def test_where_errors_are_ignored_branches_see_the_numbers_of_ieee_arithmetic() -> None:
    f = compile(lambda x: 1.0 if 1.0 / x > 10.0 else 2.0, errors="ignore")
    assert [f(0.0), f(-0.0), f(1.0), f(0.0)] == [1.0, 2.0, 2.0, 1.0]


def test_an_error_that_the_function_raises_itself_is_raised_where_errors_are_ignored() -> None:
    def f(x: Any) -> Any:
        if x < 0.0:
            raise ValueError("negative")
        return x

    compiled = compile(f, batched="x", errors="ignore")
    for rows in ([-1.0, 1.0], [1.0, 2.0], [1.0, -1.0]):
        if min(rows) < 0.0:
            with pytest.raises(ValueError, match="negative"):
                compiled.map(np.array(rows))
        else:
            assert compiled.map(np.array(rows)).tolist() == rows


# --- functions that keep, or look at, what a replay would not ---


class Keeper:
    """An object whose methods keep a number that they compute, each in a different place."""

    def __init__(self) -> None:
        self.cache: dict[int, Any] = {}
        self.last: Any = None

    def in_a_dict(self, x: Any) -> Any:
        self.cache[0] = x
        return 2.0 * x

    def in_an_attribute(self, x: Any) -> Any:
        self.last = 3.0 * x
        return 2.0 * x

    def and_reads_it(self, x: Any) -> Any:
        return self.cache.setdefault(0, x) * x

    def in_a_branch(self, x: Any) -> Any:
        if x > 0.0:
            self.last = x * x
        return 2.0 * x

    in_a_cache = staticmethod(functools.lru_cache(lambda x: 2.0 * x))


@pytest.mark.parametrize("name", [name for name in vars(Keeper) if name.startswith(("in_", "and_"))])
def test_a_function_that_keeps_a_number_is_refused(name: str) -> None:
    for around in (lambda method: method, lambda method: lambda x: method(x) + 0.0):
        f = around(getattr(Keeper(), name))
        with pytest.raises(CompileError, match="keeps a number that it computed|two recordings of one call differ"):
            compile(f)(2.0)


def test_a_function_that_lets_go_of_its_numbers_is_recorded() -> None:
    def recursive(x: Any) -> Any:
        def power(n: int) -> Any:
            return x * power(n - 1) if n else 1.0

        return power(3)

    def generated(x: Any) -> Any:
        numbers = (x * k for k in range(10))
        return next(numbers) + next(numbers)

    def carried_by_an_error(x: Any) -> Any:
        try:
            raise KeyError(x)
        except KeyError as error:
            return 2.0 * error.args[0]

    for f in (recursive, generated, carried_by_an_error, lambda x: (lambda y: x * y)(x), lambda x: sorted([x, -x])[0]):
        for x in (2.0, 3.0):
            assert compile(f)(x) == f(x)


@pytest.mark.parametrize(
    "f", [lambda x: x * x._data, lambda x: x * (x + 1.0)._data, lambda x: x if x._data > 0 else -x]
)
def test_the_raw_number_is_refused_as_data_is(f: Any) -> None:
    with pytest.raises(CompileError, match=r"\._data of Value.* inside a compiled function"):
        compile(f)(2.0)


def swallowed_data(x: Any) -> Any:
    try:
        y = math.sqrt(x.data)
    except Exception:
        y = 0.0
    return x + y


def swallowed_float(x: Any) -> Any:
    try:
        y = math.sqrt(x)
    except Exception:
        y = 0.0
    return x + y


def swallowed_int(x: Any) -> Any:
    with contextlib.suppress(TypeError, RuntimeError):
        return x * int(x)
    return x


@pytest.mark.parametrize("f", [swallowed_data, swallowed_float, swallowed_int])
def test_a_refusal_that_the_function_catches_is_raised_all_the_same(f: Any) -> None:
    with pytest.raises(CompileError, match="inside a compiled function: the number would be frozen"):
        compile(f)(4.0)


def test_writing_the_raw_number_is_refused_too() -> None:
    def f(x: Any) -> Any:
        x._data = 7.0
        return 2.0 * x

    with pytest.raises(CompileError, match="_data"):
        compile(f)(4.0)


# --- objects among the arguments ---


class Mangled:
    __slots__ = ("__scale",)

    def __init__(self, scale: float) -> None:
        self.change(scale)

    def change(self, scale: float) -> None:
        self.__scale = scale

    def get(self) -> float:
        return self.__scale


@pytest.mark.parametrize(
    ("make", "read", "change"),
    [
        (lambda: collections.deque([2.0]), lambda d: d[0], lambda d: d.__setitem__(0, 3.0)),
        (lambda: array.array("d", [2.0]), lambda d: d[0], lambda d: d.__setitem__(0, 3.0)),
        (lambda: bytearray([2]), lambda d: d[0], lambda d: d.__setitem__(0, 3)),
        (lambda: Mangled(2.0), lambda d: d.get(), lambda d: d.change(3.0)),
        (
            lambda: type("Own", (), {"scale": 2.0})(),
            lambda d: d.scale,
            lambda d: setattr(type(d), "scale", 3.0),
        ),
        (lambda: type("Own", (), {"scale": 2.0}), lambda d: d.scale, lambda d: setattr(d, "scale", 3.0)),
        (lambda: collections.UserDict(a=2.0), lambda d: d["a"], lambda d: d.__setitem__("a", 3.0)),
    ],
)
def test_an_object_of_any_kind_is_read_as_it_is(make: Any, read: Any, change: Any) -> None:
    thing = make()
    compiled = compile(lambda x, thing: x * read(thing))
    assert compiled(1.5, thing) == 3.0
    change(thing)
    assert compiled(1.5, thing) == 4.5


class Settings:
    def __init__(self, scale: float, parameter: Value | None = None) -> None:
        self.scale, self.parameter, self.parts = scale, parameter, [1.0, {"a": 2.0}]


class Slotted:
    __slots__ = ("scale",)

    def __init__(self, scale: float) -> None:
        self.scale = scale


@dataclasses.dataclass(frozen=True)
class Frozen:
    scale: float


def test_an_object_among_the_arguments_is_read_as_it_is_at_each_call() -> None:
    settings, w, other = Settings(2.0), Value(3.0), Value(10.0)

    def f(settings: Any, x: Any) -> Any:
        own = settings.scale * x + settings.parts[0] * settings.parts[1]["a"]
        return own if settings.parameter is None else own + settings.parameter * x

    compiled = compile(f)

    def check() -> None:
        assert compiled(settings, 1.5) == Value(0.0) + f(settings, 1.5)
        assert compiled.value_and_grad(settings, 1.5, argnums=1) == value_and_grad_of(lambda x: f(settings, x), 1.5)

    changes: list[Callable[[], Any]] = [
        lambda: None,
        lambda: setattr(settings, "scale", 5.0),
        lambda: settings.parts.__setitem__(0, 7.0),
        lambda: settings.parts[1].update(a=-1.0),
        lambda: setattr(settings, "parameter", w),
        lambda: setattr(w, "data", 4.0),
        lambda: setattr(settings, "parameter", other),
        lambda: setattr(settings, "myself", settings),
        lambda: setattr(settings, "scale", 2.0),
    ]
    for change in changes:
        change()
        check()


def test_objects_in_one_state_share_a_recording() -> None:
    compiled = compile(lambda settings, x: settings.scale * x)
    for made in (Frozen, Slotted, Settings):
        assert [compiled(made(scale), 3.0) for scale in (2.0, 5.0, 2.0, 5.0)] == [6.0, 15.0, 6.0, 15.0]
    assert compiled.stats["signatures"] == 5  # the field of Frozen, a dataclass, is a number of the recording


def test_a_model_among_the_arguments() -> None:
    model = MLP(2, [3, 1], activation="tanh")
    compiled = compile(lambda model, x: model(x))
    for _ in range(2):
        assert compiled(model, [0.5, -1.0]) == pytest.approx(model([0.5, -1.0]).data, rel=1e-14)
        compiled.backward(model, [0.5, -1.0])
        assert any(p.grad for p in model.parameters())
        model.parameters()[0].data += 1.0
    twin = pickle.loads(pickle.dumps((model, compiled)))
    assert twin[1](twin[0], [0.5, -1.0]) == compiled(model, [0.5, -1.0])


# --- errors that decide a branch ---


def caught_and_unused(x: Any) -> Any:
    try:
        microgrud.log(x)
    except ValueError:
        return -x
    return 2.0 * x


def caught_in_a_helper(x: Any) -> Any:
    def is_defined(y: Any) -> bool:
        try:
            1.0 / (y - 1.0) + microgrud.sqrt(y)
        except (ValueError, ZeroDivisionError):
            return False
        return True

    return x * x if is_defined(x) else x + 3.0


def suppressed(x: Any) -> Any:
    total = x + 0.0
    with contextlib.suppress(OverflowError):
        microgrud.exp(x * 400.0)
        total = total + 1.0
    return total


@pytest.mark.parametrize("f", [caught_and_unused, caught_in_a_helper, suppressed])
@pytest.mark.parametrize("order", [[2.0, -1.0, 0.0, 1.0, 3.0, 2.0], [-1.0, 2.0, 1.0, 0.0, -3.0], [1.0, 0.0]])
def test_an_error_that_is_caught_decides_a_branch_though_its_result_is_not_used(f: Any, order: list[float]) -> None:
    single, batched = compile(f), compile(f, batched="x")
    expected = [f(x) for x in order]
    assert [single(x) for x in order] == expected
    assert [single.value_and_grad(x) for x in order] == [value_and_grad_of(f, x) for x in order]
    assert batched.map(np.array(order)).tolist() == expected


def test_operations_whose_results_nobody_uses_raise_their_errors() -> None:
    f = compile(lambda x: (microgrud.log(x), x)[1])
    assert f(2.0) == 2.0
    with pytest.raises(ValueError, match="log"):
        f(-1.0)
    assert f(3.0) == 3.0
    assert compile(lambda xs: microgrud.softmax(xs)[0])([1.0, 2.0]) == pytest.approx(1.0 / (1.0 + math.e))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_second_derivatives_by_a_batch_are_those_of_each_sample(reduction: str) -> None:
    def f(w: Any, x: Any) -> Any:
        return w * x[0] ** 3 * x[1]

    compiled = compile(f, batched="x", reduction=reduction)
    rows, directions = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[1.0, 0.0], [10.0, 100.0]])
    weight = 0.5 if reduction == "mean" else 1.0
    expected = [
        np.multiply(weight, microgrud.hvp(f, (2.0, row), (own,), argnums=(1,))[0])
        for row, own in zip(rows.tolist(), directions.tolist())
    ]
    for _ in range(2):
        assert compiled.hvp((2.0, rows), directions, argnums=1) == pytest.approx(np.array(expected))
        assert compiled.hvp((2.0, rows), 1.0) == 0.0
    with pytest.raises(ValueError, match=r"expected an array of shape \(2, 2\), as the argument has, got \(2,\)"):
        compiled.hvp((2.0, rows), np.array([1.0, 1.0]), argnums=1)
    with pytest.raises(ValueError, match="hessian: x: expected an argument that is the same for all samples"):
        compile(lambda x: x**3, batched="x").hessian(np.array([1.0, 2.0]))


def test_what_is_written_to_a_value_inside_is_an_error() -> None:
    w = Value(2.0)

    def sets_data(x: Any) -> Any:
        w.data = 3.0
        return w * x

    def sets_grad(x: Any) -> Any:
        w.grad = 0.0
        return w * x

    for f, message in ((sets_data, ".data of"), (sets_grad, ".grad of"), (lambda x: x * float(f"{x:.1f}"), "as text")):
        with pytest.raises(CompileError, match=message):
            compile(f)(1.0)
    assert w.data == 2.0


def test_methods_are_told_apart_by_identity_and_keep_their_instance() -> None:
    @dataclasses.dataclass
    class Line:
        name: str
        w: Value = dataclasses.field(compare=False)

        @compile
        def at(self, x: Any) -> Any:
            return self.w * x

    one, other = Line("a", Value(2.0)), Line("a", Value(5.0))
    assert one == other
    assert (one.at(1.0), other.at(1.0)) == (2.0, 5.0)
    released = weakref.ref(w := Value(3.0))
    assert Line("b", w).at(2.0) == 6.0
    del w
    kept = Line("c", Value(4.0)).at
    gc.collect()
    assert (kept(1.0), kept.backward(2.0), kept.stats["paths"]) == (4.0, 8.0, 1)
    assert released() is None  # the recordings of a method are freed with its instance

    class Slots:
        __slots__ = ("w",)

        @compile
        def at(self, x: Any) -> Any:
            return x

    with pytest.raises(TypeError, match="add '__weakref__' to its __slots__"):
        Slots().at(1.0)


@pytest.mark.parametrize(
    "write",
    [str, repr, "{}".format, "{:.3f}".format, "{!r}".format, lambda x: "%s" % x, lambda x: f"{[x]}", print],  # noqa: UP031
)
def test_a_number_is_not_written_as_text_inside_a_compiled_function(write: Any) -> None:
    f = compile(lambda x: x * (2.0 if write(x) == "1.0" else 3.0))
    with pytest.raises(CompileError, match="is written as text inside a compiled function"):
        f(1.0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1.0, 2.0], [3.0]], "x: expected rows of one shape, got 2 numbers as row 0 and 1 number as row 1"),
        ([[1.0, 2.0], [3.0, 4.0], []], "x: expected rows of one shape, got 2 numbers as row 0 and 0 numbers as row 2"),
        (((1.0, 2.0), [3.0]), "x: expected rows of one shape, got 2 numbers as row 0 and 1 number as row 1"),
        ([1.0, [2.0]], "x: expected rows of one shape, got a number alone as row 0 and 1 number as row 1"),
        ([[Value(1.0), 2.0], 3.0], "x: expected rows of one shape, got 2 numbers as row 0 and a number alone as row 1"),
        ([[[1.0], [2.0]], [[3.0], []]], r"x\[1\]: expected rows of one shape, got 1 number as row 0 and 0 numbers as"),
        (
            [np.zeros((2, 1)), np.zeros((1, 1))],
            r"x: expected rows of one shape, got an array of shape \(2, 1\)",
        ),
    ],
)
def test_ragged_lists_are_an_error_that_names_the_row(rows: Any, message: str) -> None:
    f = compile(lambda x: microgrud.sum(np.ravel(x)), batched="x")
    for _ in range(2):
        for call in (f, f.map, f.backward, f.value_and_grad):
            with pytest.raises(ValueError, match=f"^compile: {message}"):
                call(rows)
        f([[1.0, 2.0], [3.0, 4.0]])  # the next call is a replay
