"""Arrays inside a compiled function: comparisons of whole arrays are operations, unless Python or NumPy asks."""

from __future__ import annotations

import copy
import functools
import math
import operator
import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

import microgrud
from microgrud import CompileError, Value, compile, grad, hessian, hvp, take, value_and_grad, where
from microgrud.nn import MLP

SAMPLES = np.random.default_rng(0).normal(size=(12, 4)) * 1.5
TIED = np.array([[0.0, 0.0, -0.5, 1.0], [0.5, 0.5, 0.5, 0.5], [-0.0, 0.0, 1.0, 1.0], [-1.0, -1.0, 1.0, -1.0]])


def assigned(x: Any, key: Callable[[Any], Any], item: Any) -> Any:
    y = x.copy()
    y[key(y)] = item
    return y


def added_in_place(x: Any) -> Any:
    y = x.copy()
    y += x < 0
    y *= x > -1
    np.multiply(y, 2.0, out=y)
    return y


def with_a_changed_mask(x: Any) -> Any:
    mask = x < 0
    mask[0] = True
    mask[1:3] &= x[1:3] > -1
    other = mask.copy()
    other[...] = False
    return np.where(mask, x, x * x) + other * x


ONE_RECORDING: dict[str, Callable[[Any], Any]] = {
    "where": lambda x: np.where(x < 0, -x, x * x),
    "conditions": lambda x: np.where((x < 0) & (x > -1) | (x == 1.0), -x, x * x),
    "negation": lambda x: np.where(~(x < 0) | np.logical_not(x != 0.5), -x, x * x),
    "logical functions": lambda x: np.where(np.logical_and(x < 0, x > -1) ^ np.logical_or(x > 1, x < -1), x, 1.0),
    "sum of truths": lambda x: ((x < 0) + (x < 1)) * x + ((x < 0) * (x > -1)) * x * x,
    "equal truths": lambda x: ((x < 0) == (x > -1)) * x + ((x < 0) != (x < 1)) * x * x,
    "products": lambda x: (x > 0) * x + x * (x > 0.5) + 2.0 * (x <= -1) * x - (x > 1) / 2,
    "truth of a number": lambda x: (x[0] < 0) * x + x * x * (x[1] < 0),
    "with bools": lambda x: np.where((x < 0) & np.array([True, False, True, True]), x, 1.0) + (x < 0) * True * x,
    "choice of bools": lambda x: np.where(np.where(x < 0, True, x > 1), x, 0.0),
    "choice of integers": lambda x: np.where(x < 0, 1, 3) * x + np.where(x < 1, x > 0, 2) * x,
    "select": lambda x: np.select([x < -1, x < 0, x < 1], [x, 2 * x, 3 * x], 4.0),
    "extremes": lambda x: x.max() * x + np.min(x) + np.maximum(x, 0.0) * 2 + np.minimum(x, x[::-1]) + np.fmax(x, 1),
    "extremes by axis": lambda x: x.reshape(2, 2).max(axis=0) * x.reshape(2, 2) + x.reshape(2, 2).min(),
    "clip": lambda x: np.clip(x, -0.5, 0.5) + x.clip(-1.0, x[::-1]) + np.clip(x, None, 0.1),
    "sign, abs": lambda x: np.sign(x) * x * x + np.abs(x),
    "any, all": lambda x: where(np.any(x > 1), x[0], x[1]) * x + where((x > -1).all(), x[2], x[3]) * x,
    "counts": lambda x: (x > 0).sum() * x + np.count_nonzero(x > 1) + (x > 0).mean() * x + np.mean(x < 0),
    "counts by axis": lambda x: (x.reshape(2, 2) > 0).sum(axis=1) * x[:2] + (x.reshape(2, 2) > 0).mean(axis=0),
    "integers": lambda x: (np.where(x < 0, 1, 3) + (x > 1)) * x + (np.where(x < 0, 2, 0) > 1) * x * x,
    "integers as conditions": lambda x: np.where(np.where(x < 0, 1, 0), x, 2 * x) + np.where(x < 0, 2, 0).any() * x,
    "integers converted": lambda x: np.where(x < 0, 2, 3).astype(float) * x + np.where(x < 0, 2, 0).astype(bool) * x,
    "shape of a mask": lambda x: x * (np.shape(x < 0)[0] + np.ndim(x < 0) + np.size(np.where(x < 0, 1, 0))),
    "integers counted": lambda x: (
        np.count_nonzero(np.where(x < 0, 2, 0)) * x + np.where(x < 0, 2, 3).sum() * x + np.where(x < 1, 2, 3).mean() * x
    ),
    "converted": lambda x: (x < 0).astype(float) @ x + (x > 1).astype(int) * x + (x > 0).astype(bool) * x,
    "assigned": lambda x: assigned(x, lambda y: y < 0, 0.0) * x,
    "assigned a number": lambda x: assigned(x, lambda y: y > y[0], x[0] * 2) * x,
    "in place": added_in_place,
    "changed mask": with_a_changed_mask,
    "shapes": lambda x: np.where((x < 0).reshape(2, 2).T.ravel(), x, x * x)[: len(x < 0)],
    "joined": lambda x: np.where(np.concatenate([x, 2 * x]) < 0, 1.0, 2.0) * np.hstack([x, x]),
    "elements": lambda x: sum(t * v for t, v in zip(x < 0, x)) + (x < 0)[1] * x,
    "nested": lambda x: grad(lambda y: np.where(y < 0, y**3, y * y).sum())(x) * x,
    "functions": lambda x: np.where(x < 0, np.exp(x), np.tanh(x) + microgrud.logsumexp(x)) @ x,
    "unused": lambda x: (x < 0, x * x)[1],
}


@pytest.mark.parametrize("name", sorted(ONE_RECORDING))
def test_comparisons_of_whole_arrays_make_no_branch(name: str) -> None:
    f = ONE_RECORDING[name]

    def total(x: Any) -> Any:
        return np.sum(f(x) * 1.0)

    values, slopes = compile(f, batched="x"), compile(grad(total), batched="x")
    second = compile(hessian(total))
    for samples in (SAMPLES, TIED):
        expected = np.array([np.asarray(f(x), dtype=float) for x in samples])
        assert values.map(samples) == pytest.approx(expected, rel=1e-13, abs=1e-13)
        expected = np.array([grad(total)(x) for x in samples])
        assert slopes.map(samples) == pytest.approx(expected, rel=1e-13, abs=1e-13)
        for x in samples[:2]:
            assert second(x) == pytest.approx(hessian(total)(x), rel=1e-12, abs=1e-12)
    assert (values.stats["paths"], slopes.stats["paths"], second.stats["paths"]) == (1, 1, 1)


ASKED: dict[str, Callable[[Any], Any]] = {
    "selected": lambda x: x[x < 0].sum() + x[0],
    "selected and assigned": lambda x: assigned(x, lambda y: y < 0, x[:1]),
    "into an array of floats": lambda x: assigned(np.zeros(4), lambda y: x < 0, 1.0) * x,
    "if any": lambda x: x if (x < 0).any() else -x,
    "if one": lambda x: x if x[:1] > 0 else -x,
    "list": lambda x: [v if t else -v for t, v in zip((x < 0).tolist(), x)],
    "position": lambda x: x[np.argmax(x)] * x + x[int((x > 0).argmax())],
    "places": lambda x: x[np.where(x < x.mean())[0][0] if x.min() < x.mean() else 0] * x,
    "sorted": lambda x: np.sort(x) * x,
    "integers as indices": lambda x: x[(x < 0).astype(int)] * np.array([2.0, 3.0])[np.where(x < 0, 1, 0)],
    "integers in numpy": lambda x: np.choose((x < 0) * 1, [x, 2 * x]) + np.bincount(np.where(x < 0, 1, 0)).max() * x,
    "integer operators": lambda x: (np.where(x < 0, 5, 2) // 2) * x + (-np.where(x < 0, 1, 0)) * x,
    "array of the user": lambda x: np.where(np.array([x[0], x[1]]) < 0, x[:2], 1.0),
    "outcomes": lambda x: np.array(x < 0, dtype=float) * x + np.float64(np.sum((x > 1).astype("U5") == "True")),
    "running count": lambda x: np.cumsum(x < 0) * x,
    "subtraction": lambda x: np.logical_xor.accumulate(x < 0) * x + np.invert(x < 0, out=np.empty(4, bool)) * x,
}


@pytest.mark.parametrize("name", sorted(ASKED))
def test_outcomes_that_are_asked_for_are_those_of_eager_evaluation(name: str) -> None:
    f = ASKED[name]
    compiled = compile(f, batched="x")
    for samples in (SAMPLES, TIED):
        expected = np.array([np.asarray(f(x), dtype=float) for x in samples])
        assert np.array(compiled.map(samples)) == pytest.approx(expected, rel=1e-14)
        assert np.array([compile(f)(x) for x in samples]) == pytest.approx(expected, rel=1e-14)
    assert 1 < compiled.stats["paths"] <= 16


@given(
    arrays(float, 4, elements=st.sampled_from([-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0])), st.sampled_from(list(SAMPLES))
)
def test_a_recording_holds_at_every_point(point: np.ndarray, recorded_at: np.ndarray) -> None:
    def f(x: Any) -> Any:
        inside = (x >= -1.0) & (x < x.max())
        y = np.where(inside, np.clip(x, -0.5, 0.5) ** 2, np.minimum(x, x[::-1]) * x)
        y[y > 4.0] = 4.0
        return np.sign(x) @ y + (inside.sum() > 1) * y.max()

    compiled = compile(value_and_grad(f))
    compiled(recorded_at)
    value, slope = compiled(point)
    expected, expected_slope = value_and_grad(f)(point)
    assert value == pytest.approx(expected, rel=1e-14)
    assert slope == pytest.approx(expected_slope, rel=1e-14)
    assert compiled.stats["paths"] == 1


def test_a_condition_that_raises_in_numpy_raises_here() -> None:
    for f, message in (
        (lambda x: (x < 0) - (x > 1), "boolean subtract"),
        (lambda x: 1.0 if x < 0 else 2.0, "ambiguous"),
        (lambda x: np.select([x < 0], [x, x]), "same length"),
        (lambda x: np.select([np.where(x < 0, 1, 0)], [x]), "boolean"),
        (lambda x: (x < 0)[0] - (x < 0)[1], "boolean subtract"),
        (lambda x: -(x < 0)[0], "boolean negative"),
        (lambda x: operator.iadd(x < 0, 1), "Cannot cast"),
        (lambda x: operator.itruediv(np.where(x < 0, 1, 2), 2), "Cannot cast"),
        (lambda x: np.add(x, 1.0, out=np.where(x < 0, 1, 2)), "Cannot cast"),
        (lambda x: np.where(x < 0, 1, 2) ** -1, "negative integer powers"),
        (lambda x: np.where(x < 0, x, np.ones(3)), "broadcast"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            f(SAMPLES[0])
        with pytest.raises((TypeError, ValueError), match=message):
            compile(f)(SAMPLES[0])


def changed(array: Any, *changes: Callable[[Any], Any]) -> Any:
    for change in changes:
        change(array)
    return array


def put(key: Any, item: Any) -> Callable[[Any], Any]:
    return lambda array: array.__setitem__(key, item)


def seen_and_changed(mask: Any, seen: Callable[[Any], Any]) -> Any:
    view = seen(mask)
    mask[0] = True
    return np.array(list(view)).ravel()


LIKE_NUMPY: dict[str, Callable[[Any], Any]] = {
    "text of a mask": lambda x: x * len(f"{x < 0}") + x * str(x < 0).count("True") + x * repr(x < 0).count("True"),
    "text of an outcome": lambda x: x * len(f"{(x < 0)[0]} {(x < 0).any()!r} {(x < 0).sum()}"),
    "text of integers": lambda x: x * str(np.where(x < 0, 1, 2)).count("2") + len(str(np.where(x < 0, 1.0, 2.0))),
    "sum of outcomes": lambda x: ((x < 0)[0] + (x < 0)[1] + (x < 0).any()) * x + functools.reduce(operator.add, x > 0),
    "sum of outcomes and integers": lambda x: (1 + (x < 0)[0] + (x > 0)[0]) * x + (1 - (x < 0)[1]) * x * x,
    "outcome and mask": lambda x: ((x < 0)[0] & (x > 0)) * x + ((x[1] < 0) + (x > 0)) * x * x,
    "no outcome": lambda x: np.where(~(x < 0).any(), x, 2 * x) + np.where(~(x < 0)[0], x * x, x),
    "no outcome of the user": lambda x: np.where(~np.array([x[0] < 0, x[1] < 0]), x[:2], x[2:]),
    "outcomes of the user": lambda x: (np.array([x[0] < 0, x[1] < 0]) + np.array([x[0] < 1, x[1] < 1])) * x[:2],
    "outcomes in a new array": lambda x: np.array([*(x < 0), (x > 0).any()]).sum() * x + np.sum([*(x < 0)]),
    "outcome assigned": lambda x: changed(x < 0, lambda m: put(0, m[1] ^ False)(m)).sum() * x,
    "outcomes of an outcome and a mask": lambda x: ((x < 1)[0] & (x < 0)).sum() * x + ((x > 0)[1] | (x < 0)).sum() * x,
    "type of an outcome": lambda x: x * isinstance((x < 0)[0], np.bool_) + x * isinstance((x < 0)[0], bool) * 2,
    "identity": lambda x: x * (2 if (x < 0).any() is np.True_ else 1) * (3 if (x < 0).tolist()[0] is True else 1),
    "copy": lambda x: changed(copy.copy(x < 0), put(0, True)) * x + changed(copy.deepcopy(x < 0), put(1, True)) * x,
    "copy of a mask that changes": lambda x: [copy.copy(m := x < 0), changed(m, put(0, True))][0] * x,
    "view that changes": lambda x: seen_and_changed(x < 0, np.asarray) * x,
    "part that changes": lambda x: seen_and_changed((x < 0).reshape(2, 2), lambda mask: mask[0])[:2] * x[:2],
    "transposed view that changes": lambda x: seen_and_changed((x < 0).reshape(2, 2), np.transpose) * x,
    "raveled view that changes": lambda x: seen_and_changed((x < 0).reshape(2, 2), np.ravel) * x,
    "mask changed by NumPy": lambda x: changed(x < 0, lambda m: np.copyto(m, x > 1), lambda m: m.sort()) * x,
    "changed by a method": lambda x: changed(x < 0, lambda m: m.put([0], True)) * x,
    "changed at places": lambda x: changed(x < 0, lambda m: np.add.at(m, [0, 0], True)) * x,
    "set to a number": lambda x: changed(x < 0, put(0, 0.3), put(1, 0)).sum() * x,
    "set to a float32": lambda x: changed((x < 0).astype(float), put(0, np.float32(0.1)))[0] * 3.0 * x,
    "small integers": lambda x: np.where(x < 0, 300, -1).astype(np.uint8) * x,
    "sums of small integers": lambda x: ((x < 0) * np.int8(100) + np.int8(50)) * x,
    "float32": lambda x: np.where(x < 0, np.float32(0.1), 0.2) * x + np.where(x < 0, 16777217, 1).astype(np.float32),
    "large integers": lambda x: (np.where(x < 0, 2**53 + 1, 1) == 2**53) * x + (np.where(x < 0, 2**62, 1) * 4 > 0) * x,
    "maximum of NaN": lambda x: np.nan_to_num(np.where(x < 0, np.nan, 1.0).max(), nan=3.0) * x,
    "bool as an index": lambda x: np.array([1.0, 2.0, 3.0])[x[0] < 0].sum() * x + np.ones(3)[(x < 0)[1]].sum(),
    "bool as a key": lambda x: changed(x * 1.0, put(x[0] < 0, 2.0), put((x < 0)[1], 3.0)) * x,
    "where": lambda x: (x < 0).sum(where=x > -1) * x + (x < 0).mean(where=x != 1.0) * x,
    "out": lambda x: np.less(x, 0, out=np.zeros(4)) * x + np.add(x < 0, x > 0, out=np.zeros(4)) * x,
    "mean into an array": lambda x: changed(np.zeros(()), lambda total: (x < 0).mean(out=total)) * x,
    "comparison into integers": lambda x: np.less(x, 0, out=np.where(x < 0, 3, 4)) * x,
    "places in a function": lambda x: changed(x * 1.0, lambda y: np.add.at(y, x < 0, 1.0)),
    "division by zero": lambda x: np.nan_to_num(1 / np.where(x < 0, 0, 1), posinf=5.0) * x,
    "no elements": lambda x: np.nan_to_num((x < 0)[:0].mean()) + x * np.any((x < 0)[:0]) + np.all((x < 0)[:0]),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:Mean of empty slice", "ignore:invalid value")
@pytest.mark.parametrize("name", sorted(LIKE_NUMPY))
def test_outcomes_act_as_those_of_numpy(name: str) -> None:
    f = LIKE_NUMPY[name]
    slope = grad(lambda x: np.sum(f(x) * 1.0))
    compiled, slopes = compile(f), compile(slope)
    for x in [*SAMPLES[:4], *TIED]:
        assert np.asarray(compiled(x), dtype=float) == pytest.approx(np.asarray(f(x), dtype=float), rel=1e-13)
        assert slopes(x) == pytest.approx(slope(x), rel=1e-13)


def test_outcomes_are_no_integers_as_indices() -> None:
    def f(x: Any) -> Any:
        return changed(np.ones(4), put(np.logical_and(x < -9.0, x), 2.0)) * x

    assert compile(f)(SAMPLES[0]).tolist() == f(SAMPLES[0]).tolist()


def test_the_sign_of_nan_is_nan() -> None:
    compiled = compile(np.sign, errors="ignore")
    compiled(SAMPLES[0])
    assert compiled(np.array([math.nan, -2.0, 0.0, 3.0])).tolist() == pytest.approx([math.nan, -1, 0, 1], nan_ok=True)


def test_no_recorded_array_leaves_the_function() -> None:
    kept: list[Any] = []
    compiled = compile(lambda x: [np.where(x < 0, x, 0.0), x < 0])
    chosen, outcomes = compiled(SAMPLES[0])
    assert type(chosen) is type(outcomes) is np.ndarray
    assert chosen.dtype == outcomes.dtype == float
    with pytest.raises(CompileError, match="keeps a number"):
        compile(lambda x: (kept.append(x < 0), x.sum())[1])(SAMPLES[0])


def test_a_pickled_recording_of_a_mask_serves_other_numbers() -> None:
    compiled = compile(loss_outside, batched="x")
    compiled.map(SAMPLES[:1])
    copy = pickle.loads(pickle.dumps(compiled))
    assert copy.map(SAMPLES).tolist() == [loss_outside(x) for x in SAMPLES]
    assert copy.stats["paths"] == 1


def loss_outside(x: Any) -> Any:
    return np.where(np.abs(x) > 1.0, np.abs(x) - 0.5, 0.5 * x * x).sum()


def test_values_as_arguments_and_closures() -> None:
    w = np.array([Value(0.5), Value(-0.25), Value(1.0), Value(0.125)])
    compiled = compile(lambda x: np.where(x * w < 0, x, w).sum())
    for x in SAMPLES[:5]:
        leaves = np.array([Value(v) for v in x])
        (compiled(leaves) * 1.0).backward()
        slopes = [leaf.grad for leaf in leaves]
        assert slopes == grad(lambda x: np.where(x * w < 0, x, w).sum())(x).tolist()
    assert compiled.stats["paths"] == 1


def test_a_network_of_arrays_takes_a_recorded_array() -> None:
    model = MLP(4, [3, 1], rng=random.Random(0))
    compiled = compile(lambda x: model(x) * (x > 0).sum(), batched="x")
    assert compiled.map(SAMPLES).tolist() == pytest.approx([float((model(x) * (x > 0).sum()).data) for x in SAMPLES])


def test_the_hessian_product_of_a_huber_loss_is_one_recording() -> None:
    product = compile(lambda x, v: hvp(loss_outside, (x,), (v,)))
    for x in SAMPLES:
        assert product(x, np.ones(4)).tolist() == np.where(np.abs(x) > 1.0, 0.0, 1.0).tolist()
    assert product.stats["paths"] == 1


BOOLS: dict[str, Callable[[Any, Any], Any]] = {
    "where": lambda m, x: np.where(m, x, x * x).sum(),
    "negation": lambda m, x: (~m * x).sum(),
    "sum of truths": lambda m, x: ((m + m) * x).sum(),
    "with a comparison": lambda m, x: ((m & (x < 0)) * x).sum(),
    "counts": lambda m, x: m.sum() * x[0] + m.mean() * x[1],
    "assigned": lambda m, x: (assigned(x, lambda y: m, 0.0) * x).sum(),
    "converted": lambda m, x: m.astype(float) @ x + m @ x,
    "dtype": lambda m, x: x.sum() * (2.0 if m.dtype == bool else 3.0),
    "compiled": lambda m, x: chosen(m, x) * 2.0,
}
chosen = compile(lambda m, x: np.where(m, x, x * x).sum())


@pytest.mark.parametrize("name", sorted(BOOLS))
def test_an_array_of_bools_is_one_in_a_recording(name: str) -> None:
    f, masks = BOOLS[name], SAMPLES > 0.3
    single, batch, slopes = compile(f), compile(f, batched=("m", "x")), compile(grad(f, 1))
    expected = [float(f(m, x)) for m, x in zip(masks, SAMPLES)]
    assert batch.map(masks, SAMPLES) == pytest.approx(expected, rel=1e-13)
    of_samples = [grad(f, 1)(m, x) / len(SAMPLES) for m, x in zip(masks, SAMPLES)]
    assert batch.value_and_grad(masks, SAMPLES, argnums=1)[1] == pytest.approx(np.array(of_samples), rel=1e-13)
    for m, x, value in zip(masks, SAMPLES, expected):
        slope = grad(f, 1)(m, x)
        assert single(m, x) == pytest.approx(value, rel=1e-13)
        assert single.value_and_grad(m, x, argnums=1)[1] == pytest.approx(slope, rel=1e-13)
        assert slopes(m, x) == pytest.approx(slope, rel=1e-13)
        assert single.hvp((m, x), (x,), 1) == pytest.approx(hvp(f, (m, x), (x,), 1), rel=1e-13)
    assert [compiled.stats["paths"] for compiled in (single, batch, slopes)] == [1, 1, 1]


def test_an_array_of_bools_may_be_asked_but_not_changed() -> None:
    f = compile(lambda m, x: x[m].sum() + x[0] if m.any() else -x.sum())
    for m in (np.array([True, False]), np.array([False, False]), np.array([True, True])):
        assert f(m, np.array([1.0, 2.0])) == (1.0 + m @ np.array([1.0, 2.0]) if m.any() else -3.0)
    with pytest.raises(CompileError, match="changes its arguments"):
        compile(lambda m, x: (m.__setitem__(0, True), (m * x).sum())[1])(np.array([False, False]), np.array([1.0, 2.0]))
    with pytest.raises(TypeError, match="bool"):
        f.value_and_grad(np.array([True, False]), np.array([1.0, 2.0]))


INTEGERS: dict[str, tuple[Callable[[Any, Any], Any], int]] = {  # and how many recordings two arrays take
    "index": (lambda k, x: x[k].sum(), 2),
    "index of a constant": (lambda k, x: np.array([5.0, 6.0, 7.0, 8.0])[k] @ x[:2], 2),
    "rows of a table": (lambda k, x: np.eye(4)[k].sum(axis=0) @ x, 2),
    "arithmetic": (lambda k, x: ((k + 1) * x[:2] - x[k - 1] * k).sum(), 2),
    "comparison": (lambda k, x: np.where((k == 2) & (x[:2] < 5.0), x[:2], 0.0).sum(), 2),
    "loop": (lambda k, x: sum(x[i] for i in k), 2),
    "take": (lambda k, x: take(x, k[0]) + take(list(x), k[1:][0]), 1),
    "compiled": (lambda k, x: looked_up(k, x) * 2.0, 1),
    "dtype": (lambda k, x: x[0] * (2.0 if k.dtype == np.int64 and k.shape == (2,) else 3.0), 1),
}
looked_up = compile(lambda k, x: take(x, k[0]) * take(x, k[1]))


@pytest.mark.parametrize("name", sorted(INTEGERS))
def test_an_array_of_integers_is_one_in_a_recording(name: str) -> None:
    (f, paths), both, x = INTEGERS[name], np.array([[0, 2], [2, 3]]), SAMPLES[0]
    single, batch = compile(f), compile(f, batched="k")
    expected = [float(f(k, x)) for k in both]
    assert [single(k, x) for k in both] == pytest.approx(expected, rel=1e-14)
    assert batch.map(both, x) == pytest.approx(expected, rel=1e-14)
    for k in both:
        assert single.value_and_grad(k, x, argnums=1)[1] == pytest.approx(grad(f, 1)(k, x), rel=1e-13)
    assert (single.stats["paths"], batch.stats["paths"]) == (paths, paths)
