"""`vmap`: batches over any argument and axis, eager and compiled, nested with transforms, against loops."""

from __future__ import annotations

import itertools
import pickle
from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import microgrud as mg
from microgrud import Value, compile, grad, hessian, hvp, jacfwd, jacobian, jvp, value_and_grad, vmap
from microgrud.nn import MLP, Neuron

RNG = np.random.default_rng(0)
Point = namedtuple("Point", "x y")
#: A function as it is, and compiled.
MADE = pytest.mark.parametrize("made", [lambda f: f, compile], ids=["eager", "compiled"])


def numbers(x: Any) -> Any:
    """Return the numbers of an array that may hold Values."""
    flat = [y.data if isinstance(y, Value) else float(y) for y in np.ravel(np.asarray(x, dtype=object))]
    return np.array(flat).reshape(np.shape(x))


# --- axes ---


@MADE
@pytest.mark.parametrize(("axis", "other", "out"), list(itertools.product([0, 1, 2, -1, -3], [0, 1, -2], [0, 1, -1])))
def test_any_axis_of_arrays_may_be_the_one_of_samples(made: Any, axis: int, other: int, out: int) -> None:
    f = made(lambda a, b: np.sin(1.0) * a @ b + a[0, 0])
    a, b = np.moveaxis(RNG.normal(size=(5, 3, 4)), 0, axis), np.moveaxis(RNG.normal(size=(5, 4)), 0, other)
    expected = [np.sin(1.0) * x @ y + x[0, 0] for x, y in zip(np.moveaxis(a, axis, 0), np.moveaxis(b, other, 0))]
    for _ in range(2):
        found = vmap(f, in_axes=(axis, other), out_axes=out)(a, b)
        assert found.dtype == np.float64
        assert found == pytest.approx(np.moveaxis(np.array(expected), 0, out), rel=1e-14)


@MADE
def test_structures_have_the_axis_at_their_leaves_as_in_jax(made: Any) -> None:
    f = made(lambda p, point, c: {"r": p["w"][0] * point.x + p["b"], "s": (point.y * c, [c, p["b"]])})
    w, b, x, y = RNG.normal(size=(4, 2)), RNG.normal(size=4), RNG.normal(size=4), RNG.normal(size=4)
    for _ in range(2):
        found = vmap(f, in_axes=(0, 0, None))({"w": w, "b": b}, Point(x, y), 3.0)
        assert set(found) == {"r", "s"}
        assert found["r"] == pytest.approx(w[:, 0] * x + b)
        assert type(found["s"]) is tuple
        assert found["s"][0] == pytest.approx(3.0 * y)
        assert found["s"][1] == pytest.approx(np.column_stack([np.full(4, 3.0), b]))
        partly = vmap(f, in_axes=({"w": 1, "b": None}, Point(None, 0), None), out_axes={"r": 0, "s": (0, 1)})
        found = partly({"w": w.T, "b": 2.0}, Point(1.5, y), 3.0)
        assert found["r"] == pytest.approx(w[:, 0] * 1.5 + 2.0)
        assert found["s"][1].tolist() == [[3.0] * 4, [2.0] * 4]
        # A list with arrays is a structure, too.
        assert vmap(made(lambda own: own[0][1] * own[1]))([w, b]) == pytest.approx(w[:, 1] * b)


@dataclass
class Line:
    slope: Any
    offset: Any = None


@MADE
def test_dataclasses_none_and_models_are_structures_too(made: Any) -> None:
    x = np.array([1.0, 2.0, 3.0])
    f = made(lambda line, model: (Line(line.slope * model([2.0]), line.offset), None))
    model = Neuron(1, nonlin=False, init="zeros")
    model.set_vector([2.0, 1.0])
    for _ in range(2):
        found, nothing = vmap(f, in_axes=(0, None))(Line(x, x), model)
        assert (numbers(found.slope).tolist(), found.offset.tolist(), nothing) == ([5.0, 10.0, 15.0], x.tolist(), None)
        found, _ = vmap(f, in_axes=(0, None))(Line(x), model)
        assert (numbers(found.slope).tolist(), found.offset) == ([5.0, 10.0, 15.0], None)


@MADE
def test_lists_of_numbers_are_vectors_and_matrices(made: Any) -> None:
    f = made(lambda row, k: [row[0] * k, row[1]])
    rows = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    for _ in range(2):
        assert vmap(f)(rows, [1.0, 10.0, 100.0]) == [[1.0, 2.0], [30.0, 4.0], [500.0, 6.0]]
        assert vmap(f, in_axes=(0, None), out_axes=1)(rows, 2.0) == [[2.0, 6.0, 10.0], [2.0, 4.0, 6.0]]
        assert vmap(f, in_axes=(-1, None))([list(column) for column in zip(*rows)], 2.0) == [
            [2.0, 2.0],
            [6.0, 4.0],
            [10.0, 6.0],
        ]
        # With an array among the batches, results are arrays.
        assert vmap(f)(np.array(rows), [1.0, 1.0, 1.0]).tolist() == rows
    assert vmap(lambda x: x * x)([1.0, 2.0]) == [1.0, 4.0]
    assert vmap(lambda x, c: x * c)(np.array([1.0, 2.0]), c=np.array([3.0, 4.0])).tolist() == [3.0, 8.0]


# --- nested ---


@MADE
def test_calls_nest(made: Any) -> None:
    x, y = RNG.normal(size=3), RNG.normal(size=4)
    outer = vmap(vmap(made(lambda a, b: mg.tanh(a * b)), in_axes=(None, 0)), in_axes=(0, None))
    assert outer(x, y) == pytest.approx(np.tanh(np.outer(x, y)), rel=1e-14)
    assert np.array(outer(x.tolist(), y.tolist())) == pytest.approx(np.tanh(np.outer(x, y)), rel=1e-14)


@MADE
def test_gradients_of_samples_are_the_map_of_a_gradient(made: Any) -> None:
    loss = lambda w, x, y: (mg.tanh(mg.dot(w, x)) - y) ** 2  # noqa: E731
    w, x, y = RNG.normal(size=2), RNG.normal(size=(6, 2)), RNG.normal(size=6)
    t = np.tanh(x @ w)
    expected = (2.0 * (t - y) * (1.0 - t * t))[:, None] * x
    for _ in range(2):
        assert vmap(jacfwd(made(loss)), (None, 0, 0))(w, x, y) == pytest.approx(expected, rel=1e-12)
        assert vmap(grad(made(loss)), (None, 0, 0))(w, x, y) == pytest.approx(expected, rel=1e-12)
        assert vmap(made(grad(loss)), (None, 0, 0))(w, x, y) == pytest.approx(expected, rel=1e-12)
        values, slopes = vmap(made(value_and_grad(loss)), (None, 0, 0))(w, x, y)
        assert values == pytest.approx((t - y) ** 2, rel=1e-12)
        assert slopes == pytest.approx(expected, rel=1e-12)
        total = grad(lambda w: mg.sum(vmap(made(loss), (None, 0, 0))(w, x, y)))(w)
        assert total == pytest.approx(expected.sum(axis=0), rel=1e-12)


@MADE
def test_derivatives_of_every_order_go_through(made: Any) -> None:
    f = made(lambda x: x**3)
    mapped, x = vmap(f), np.array([1.0, 2.0, -1.5])
    assert jacobian(mapped)(x) == pytest.approx(np.diag(3.0 * x**2))
    assert jvp(mapped, x, np.array([1.0, 10.0, 100.0]))[1] == pytest.approx(3.0 * x**2 * [1.0, 10.0, 100.0])
    assert hessian(lambda x: mg.sum(mapped(x)))(x) == pytest.approx(np.diag(6.0 * x))
    assert hvp(lambda x: mg.sum(mapped(x)), x, np.ones(3)) == pytest.approx(6.0 * x)
    assert vmap(hessian(f))(x) == pytest.approx(6.0 * x)
    assert vmap(grad(grad(grad(f))))(x) == pytest.approx(np.full(3, 6.0))
    assert grad(lambda a: mg.sum(vmap(grad(lambda v: made(lambda v: a * a * v * v)(v)))(x)))(3.0) == pytest.approx(
        12.0 * x.sum()
    )


def test_a_recording_may_contain_a_map() -> None:
    inner = compile(lambda a, b: a * b + b)
    for own in (inner, lambda a, b: a * b + b):
        f = compile(lambda x, c: mg.sum(vmap(own, in_axes=(0, None))(x, c)))  # noqa: B023
        for k in (1.0, 2.0):
            x = k * RNG.normal(size=4)
            assert f(x, k) == pytest.approx((x * k + k).sum())
            assert f.value_and_grad(x, k)[1] == pytest.approx(np.full(4, k))


def test_values_are_results_where_the_function_reaches_one() -> None:
    w = Value(3.0)
    found = vmap(lambda x: w * x)(np.array([1.0, 2.0]))
    assert found.dtype == object
    mg.sum(found).backward()
    assert w.grad == 3.0
    mg.sum(vmap(lambda x: w * x)([1.0, 2.0])).backward()
    assert w.grad == 6.0
    # A compiled function returns floats for floats, and Values for Values.
    f = compile(lambda x: w * x)
    assert vmap(f)([1.0, 2.0]) == [3.0, 6.0]
    w.data = 4.0
    assert vmap(f)(np.array([1.0, 2.0])).tolist() == [4.0, 8.0]
    x = [Value(1.0), Value(2.0)]
    mg.sum(vmap(f)(x)).backward()
    assert ([v.grad for v in x], w.grad) == ([4.0, 4.0], 9.0)


# --- replays ---


def test_a_compiled_function_is_replayed_for_all_samples_at_once() -> None:
    calls = []

    @compile
    def f(x: Any, p: Any) -> Any:
        calls.append(1)
        return p["a"] * x if x > 0.0 else p["b"] * x

    x = RNG.normal(size=200)
    for a in (1.0, 2.0, 3.0):
        found = vmap(f, in_axes=(0, None))(x, {"a": a, "b": 0.5})
        assert found.tolist() == np.where(x > 0.0, a * x, 0.5 * x).tolist()
    assert len(calls) == 4  # two paths, each recorded twice
    twin = pickle.loads(pickle.dumps(f))
    assert vmap(twin, in_axes=(0, None))(x, {"a": 1.0, "b": 1.0}).tolist() == x.tolist()
    f.errors = "ignore"
    assert vmap(f, in_axes=(0, None))(np.array([-np.inf, np.inf]), {"a": 1.0, "b": 0.0})[1] == np.inf


def test_a_function_with_a_batch_of_its_own_gives_a_mean_for_each_sample() -> None:
    loss = compile(lambda w, x: (w * x) ** 2, batched="x")
    x = np.array([1.0, 2.0])
    assert vmap(loss, in_axes=(0, None))(np.array([1.0, 2.0]), x).tolist() == [2.5, 10.0]


def test_an_ensemble_of_models_is_a_list_of_samples() -> None:
    models = [MLP(2, [3, 1], rng=seed) for seed in range(3)]
    x = [0.5, -1.0]
    found = vmap(lambda model, x: model(x), in_axes=(0, None))(models, x)
    assert numbers(found).tolist() == [model(x).data for model in models]
    rows = RNG.normal(size=(4, 2))
    assert numbers(vmap(models[0])(rows)).tolist() == [models[0](row).data for row in rows]


# --- errors ---


@MADE
def test_mistakes_are_errors_that_name_the_argument(made: Any) -> None:
    f = made(lambda x, y: x * y)
    three, four = np.ones(3), np.ones(4)
    for given, axes, kind, message in (
        ((three, four), 0, ValueError, "batches of one size, got 3 samples in x and 4 in y"),
        (({"a": three, "b": four}, 1.0), (0, None), ValueError, r"got 3 samples in x\['a'\] and 4 in x\['b'\]"),
        ((three, 1.0), 0, TypeError, "y: expected an array or a list of samples, got float; write None in in_axes"),
        ((three, three), (0, 1), ValueError, "y: in_axes: expected an axis from -1 to 0, got 1"),
        ((three, three), (0,), ValueError, "in_axes: expected one for each of 2 arguments, got 1"),
        ((three, three), None, ValueError, "expected an axis of samples in an argument, got in_axes=None without"),
        ((three, three), (0, "a"), TypeError, "in_axes: expected an integer or None for y, got 'a'"),
        ((three, three), (0, {"a": 0}), ValueError, "in_axes: expected the structure of y, got {'a': 0}"),
        ((three[:0], three[:0]), 0, ValueError, "x: expected at least one sample, got none"),
        (([[1.0], [2.0, 3.0]], 1.0), (1, None), ValueError, "x: expected as many samples in all rows, got 1 and 2"),
    ):
        with pytest.raises(kind, match=message):
            vmap(f, in_axes=axes)(*given)
    with pytest.raises(ValueError, match="out_axes: expected an axis from -1 to 0, got 1"):
        vmap(f, out_axes=1)(three, three)
    with pytest.raises(TypeError, match="out_axes: expected an integer for each array of the result, got None"):
        vmap(f, out_axes=None)(three, three)
    with pytest.raises(ValueError, match="out_axes: expected the structure of the result, with 2 items, got"):
        vmap(made(lambda x: (x, x)), out_axes=(0, 0, 0))(three)


def test_results_of_several_structures_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"one structure, got \[1.0\] for sample 0 and \[2.0, 2.0\] for sample 1"):
        vmap(lambda x: [x] * int(x))(np.array([1.0, 2.0]))
    with pytest.raises(TypeError, match="the result of <lambda>: expected a number"):
        vmap(lambda x: "a")(np.array([1.0, 2.0]))


def test_columns_are_batches() -> None:
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    for column in (pd.Series([0, 1], dtype="Int64"), pd.Series([False, True]), pa.array([False, True])):
        assert vmap(lambda x: 2.0 * x)(column).tolist() == [0.0, 2.0]
    with pytest.raises(TypeError, match=r"vmap: x: expected numbers, got a column with missing values"):
        vmap(lambda x: x)(pd.Series([True, None], dtype="boolean"))
