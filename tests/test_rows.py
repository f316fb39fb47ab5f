"""Recorded operations over whole arrays: read in place, as accurate as the engine, the same bits everywhere."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from arrays import np
from hypothesis import given, settings, strategies as st

import microgrud as mg
from microgrud import compile, value_and_grad
from microgrud.losses import cross_entropy
from microgrud.tape import executors
from microgrud.tape.native import native_tape

#: Ten lengths and four scales, at ten functions: 100 examples of each took the Python engine 20 s.
few = settings(max_examples=5_000 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 30)

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sum": mg.sum,
    "mean": mg.mean,
    "max": mg.max,
    "min": mg.min,
    "norm": mg.norm,
    "logsumexp": mg.logsumexp,
    "softmax": lambda xs: mg.softmax(list(xs))[1],
    "all of softmax": lambda xs: mg.dot(mg.softmax(list(xs)), [k / len(xs) for k in range(len(xs))]),
    "cross_entropy": lambda xs: cross_entropy(list(xs), 2),
    "mean of squares": lambda xs: mg.mean((xs - 0.5) ** 2),
    "a number used twice": lambda xs: mg.logsumexp(xs) * mg.sum(xs) + xs[3] * mg.norm(xs),
}
every_function = pytest.mark.parametrize("name", FUNCTIONS)

#: From the shortest row on, around the length of a vector and of a piece of a row.
lengths = st.sampled_from([15, 16, 17, 23, 24, 31, 33, 127, 128, 129])
scales = st.sampled_from([1e-3, 1.0, 30.0, 700.0])


def numbers(count: int, scale: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=count) * scale


def assert_close(xs: np.ndarray, found: tuple[Any, Any], expected: tuple[Any, Any], ulp: float) -> None:
    value, gradient = expected
    slopes = np.array(gradient, dtype=np.float64)
    terms = float(abs(slopes * xs).sum())  # short sums round each of their terms, and these may cancel
    assert abs(found[0] - value) <= ulp * math.ulp(value) + 4.0 * math.ulp(terms)
    assert (abs(found[1] - slopes) <= ulp * np.spacing(abs(slopes)) + 16.0 * math.ulp(max(abs(slopes)))).all()


@every_function
@few
@given(lengths, scales, st.integers(0, 1000))
def test_values_and_gradients_are_those_of_the_engine(name: str, count: int, scale: float, seed: int) -> None:
    f, xs = FUNCTIONS[name], numbers(count, scale, seed)
    compiled, expected = compile(f), value_and_grad(f)(xs)
    ulp = 64.0 + 8.0 * scale + 4.0 * count  # softmax loses the digits of x less the greatest number
    assert_close(xs, compiled.value_and_grad(xs), expected, ulp)
    assert_close(xs, compiled.value_and_grad(xs), expected, ulp)  # a replay
    assert compiled(xs) == compiled.value_and_grad(xs)[0]


@pytest.mark.skipif(native_tape is None, reason="the interpreter in NumPy has no variants")
@pytest.mark.parametrize("variant", getattr(native_tape, "VARIANTS", []))
@pytest.mark.parametrize("name", ["sum", "mean", "max", "norm", "logsumexp", "softmax", "cross_entropy"])
def test_all_instruction_sets_give_the_same_bits(name: str, variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    native: Any = native_tape
    given = [numbers(count, scale, 7) for count in (16, 29, 300) for scale in (1.0, 30.0)]
    results = []
    for tapes in (native.Tapes, lambda *own: native.Tapes(*own, variant)):
        monkeypatch.setattr(executors, "native_tape", SimpleNamespace(**{**vars(native), "Tapes": tapes}))
        results.append([compile(FUNCTIONS[name]).value_and_grad(xs) for xs in given])
        results[-1].append(compile(FUNCTIONS[name], batched="xs").value_and_grad(numbers(600, 3.0, 8).reshape(30, 20)))
    for (value, gradient), (own, own_gradient) in zip(*results):
        assert own == value
        assert own_gradient.tolist() == gradient.tolist()


@pytest.mark.parametrize("name", ["max", "min"])
def test_equal_numbers_share_the_gradient(name: str) -> None:
    xs = np.full(40, 2.0)
    xs[7] = 1.0 if name == "max" else 3.0
    value, gradient = compile(FUNCTIONS[name]).value_and_grad(xs)
    assert value == 2.0
    assert gradient.tolist() == [0.0 if k == 7 else 1.0 / 39.0 for k in range(40)]


def test_zeros_have_a_norm_and_a_gradient_of_zero() -> None:
    value, gradient = compile(mg.norm).value_and_grad(np.zeros(30))
    assert value == 0.0
    assert gradient.tolist() == [0.0] * 30


@pytest.mark.parametrize("count", [3, 12, 60])
@pytest.mark.parametrize("scale", [1e-320, 1e-307, 1e-200, 1e200, 1e307])
@pytest.mark.parametrize("errors", ["raise", "ignore"])
def test_a_norm_keeps_its_digits_at_the_ends_of_the_range(count: int, scale: float, errors: Any) -> None:
    xs = np.linspace(0.5, 1.0, count) * scale
    compiled = compile(mg.norm, errors=errors)
    for _ in range(2):
        assert_close(xs, compiled.value_and_grad(xs), value_and_grad(mg.norm)(xs), 4.0)


@pytest.mark.parametrize("count", [3, 60])
def test_a_batch_of_norms_is_that_of_the_engine(count: int) -> None:
    rows = np.random.default_rng(3).normal(size=(20, count)) * np.logspace(-310, 300, 20)[:, None]
    norms = compile(mg.norm, batched="xs", errors="raise")
    assert norms.map(rows) == pytest.approx([mg.norm(row) for row in rows], rel=1e-15, abs=0.0)


@pytest.mark.parametrize("name", ["mean", "max", "min", "norm", "logsumexp"])
@pytest.mark.parametrize("samples", [1, 130])
@few
@given(st.integers(4, 20), scales, st.integers(0, 1000))
def test_batches_give_what_the_engine_gives_for_each_sample(
    name: str, samples: int, count: int, scale: float, seed: int
) -> None:
    f, xs = FUNCTIONS[name], numbers(samples * count, scale, seed).reshape(samples, count)
    compiled = compile(f, batched="xs", reduction="sum")
    values, gradients = zip(*(value_and_grad(f)(row) for row in xs[:12]))
    for _ in range(2):
        for k, (value, gradient) in enumerate(zip(compiled.map(xs), compiled.value_and_grad(xs)[1][:12])):
            if k < 12:
                assert_close(xs[k], (value, gradient), (values[k], gradients[k]), 64.0 + 8.0 * scale)


def test_a_sequence_may_mix_numbers_that_vary_with_others() -> None:
    w = [mg.Value(0.1 * k) for k in range(6)]
    rows = numbers(40, 2.0, 3).reshape(20, 2)
    for f in (mg.logsumexp, mg.mean, mg.max, mg.norm):
        each = lambda xs: f([*w, *xs, 0.25])  # noqa: B023, E731
        for x in w:
            x.grad = 0.0
        compile(each, batched="xs").backward(rows)
        found = [x.grad for x in w]
        for x in w:
            x.grad = 0.0
        mg.mean([each([mg.Value(x) for x in row]) for row in rows.tolist()]).backward()
        assert found == pytest.approx([x.grad for x in w], rel=1e-13, abs=1e-16)


@pytest.mark.parametrize("name", ["mean", "max", "min", "norm", "logsumexp"])
@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan, 1.7e308])
def test_samples_that_are_not_finite_do_not_touch_the_others(name: str, odd: float) -> None:
    rows = np.ones((30, 5))
    rows[4, 1:3] = odd
    compiled = compile(FUNCTIONS[name], batched="xs", errors="ignore")
    found = compiled.map(rows)
    assert found[[k for k in range(30) if k != 4]].tolist() == [found[0]] * 29
    try:
        assert found[4] == pytest.approx(FUNCTIONS[name](rows[4].tolist()), rel=1e-15, abs=0.0, nan_ok=True)
    except (OverflowError, ValueError):
        assert not math.isfinite(found[4])
    assert np.isfinite(compiled.value_and_grad(rows)[1][[0, 29]]).all()


@pytest.mark.parametrize("errors", ["raise", "ignore"])
@pytest.mark.parametrize("name", ["sum", "mean", "logsumexp", "max", "norm"])
@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan, 1.7e308])
def test_numbers_that_are_not_finite_give_what_the_engine_gives(name: str, odd: float, errors: Any) -> None:
    xs = np.ones(33)
    xs[5:8] = odd, odd, 1.0
    compiled = compile(FUNCTIONS[name], errors=errors)
    compiled(np.ones(33))
    try:
        expected = FUNCTIONS[name](xs.tolist())
    except (OverflowError, ValueError) as error:
        if errors == "raise":
            with pytest.raises(type(error)):
                compiled(xs)
        else:
            assert not math.isfinite(compiled(xs))
        return
    assert compiled(xs) == pytest.approx(expected, rel=1e-15, abs=0.0, nan_ok=True)


def test_partial_sums_that_overflow_do_not_matter() -> None:
    xs = np.ones(40)
    xs[3:6] = 1.7e308, 1.7e308, -1.7e308
    assert compile(mg.mean)(xs) == pytest.approx(1.7e308 / 40.0, rel=1e-15)


def test_a_result_that_does_not_matter_passes_nothing_on() -> None:
    f = compile(lambda xs, w: w * mg.logsumexp(xs) + mg.where(w > 0.0, mg.norm(xs), 0.0))
    assert f.value_and_grad(np.linspace(0.0, 1.0, 50), 0.0)[1].tolist() == [0.0] * 50


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "norm"])
@pytest.mark.parametrize("errors", ["raise", "ignore"])
def test_an_infinite_adjoint_gives_what_the_engine_gives(name: str, errors: Any) -> None:
    f = lambda xs: FUNCTIONS[name](xs) * 1e200 * 1e200  # noqa: E731
    xs = np.linspace(1e-250, 2e-250, 40)
    value, gradient = value_and_grad(f)(xs)
    compiled = compile(f, errors=errors)
    for _ in range(3):
        found = compiled.value_and_grad(xs)
        assert found[0] == pytest.approx(value, rel=1e-14)
        assert found[1].tolist() == [float(x) for x in gradient]
    assert math.inf in found[1]


@pytest.mark.parametrize("name", ["sum", "mean", "max", "norm", "logsumexp", "softmax", "cross_entropy"])
def test_a_slope_that_is_not_finite_is_never_passed_over(name: str) -> None:
    f = lambda xs, w: mg.sqrt(w) * FUNCTIONS[name](xs) + mg.sqrt(FUNCTIONS[name](xs) * 0.0)  # noqa: E731
    xs = np.linspace(0.1, 1.0, 40)
    compiled = compile(f, errors="raise")
    compiled.value_and_grad(xs, 4.0)
    expected = np.array(mg.value_and_grad(f)(xs, 4.0)[1], dtype=float)
    assert compiled.value_and_grad(xs, 4.0)[1].tolist() == pytest.approx(expected.tolist(), rel=1e-12, nan_ok=True)


def test_gradients_with_respect_to_several_arrays_come_in_their_shapes() -> None:
    f = lambda a, k, b: mg.logsumexp(a.ravel()) + 2.0 * mg.sum(b.ravel()) * k  # noqa: E731
    a, b = numbers(40, 1.0, 1).reshape(8, 5), numbers(16, 1.0, 2).reshape(4, 4)
    compiled = compile(f)
    for _ in range(3):
        _, (of_a, of_k, of_b) = compiled.value_and_grad(a, 0.5, b, argnums=(0, 1, 2))
        assert of_a == pytest.approx(np.exp(a) / np.exp(a).sum(), rel=1e-14)
        assert of_k == pytest.approx(2.0 * b.sum(), rel=1e-14)
        assert of_b.tolist() == [[1.0] * 4] * 4


def test_gradients_of_separate_calls_are_separate_arrays() -> None:
    compiled = compile(mg.norm)
    xs = np.ones(64)
    first = [compiled.value_and_grad(xs)[1] for _ in range(3)]
    compiled.value_and_grad(-xs)
    assert all((gradient == 0.125).all() for gradient in first)


def test_higher_derivatives_agree_with_the_engine() -> None:
    f, xs, direction = mg.logsumexp, numbers(24, 1.0, 5), numbers(24, 1.0, 6)
    expected = mg.hvp(f, xs, direction)
    assert compile(f).hvp(xs, direction) == pytest.approx(np.array(expected, dtype=float), rel=1e-12, abs=1e-15)


def test_arrays_numbers_lists_and_integers_may_be_mixed() -> None:
    f = lambda a, k, rest, n: mg.logsumexp(a) * k + mg.dot(rest["w"], rest["v"]) * n  # noqa: E731
    a, rest = numbers(40, 1.0, 1), {"w": [1.0, 2.0], "v": numbers(2, 1.0, 2)}
    compiled, ways = compile(f), (lambda c: c.value_and_grad(a, 0.5, rest, 3, argnums=(0, 1, 2)))
    expected = mg.value_and_grad(f, argnums=(0, 1, 2))(a, 0.5, rest, 3)
    for found in (ways(compiled), ways(compiled)):
        value, (of_a, of_k, of_rest) = found
        assert (type(value), type(of_k), type(of_rest["w"][0])) == (float, float, float)
        assert (of_a.dtype, of_rest["v"].dtype) == (np.float64, np.float64)
        assert value == pytest.approx(expected[0], rel=1e-14)
        assert of_a == pytest.approx(np.array(expected[1][0], dtype=float), rel=1e-13)
        assert of_k == pytest.approx(expected[1][1], rel=1e-14)
        assert of_rest["w"] == pytest.approx(expected[1][2]["w"], rel=1e-14)
        assert of_rest["v"] == pytest.approx(np.array(expected[1][2]["v"], dtype=float), rel=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, bool, object])
def test_arrays_of_other_numbers_are_read_as_before(dtype: Any) -> None:
    xs = (numbers(20, 3.0, 4) > 0.0 if dtype is bool else numbers(20, 3.0, 4).astype(dtype)).copy()
    compiled = compile(lambda xs, w: w * mg.sum(list(xs)))
    for _ in range(2):
        assert compiled(xs, 2.0) == pytest.approx(2.0 * float(mg.sum(xs.tolist())), rel=1e-14)


def test_a_function_that_changes_an_array_of_its_arguments_is_refused() -> None:
    def f(xs: Any) -> Any:
        xs[3] = xs[3] * 2.0
        return mg.sum(xs)

    with pytest.raises(mg.tape.CompileError, match="changes its arguments"):
        compile(f)(np.ones(20))


def test_the_array_of_a_call_is_neither_changed_nor_kept() -> None:
    xs = numbers(50, 1.0, 8)
    before, compiled = xs.copy(), compile(mg.logsumexp)
    first = compiled.value_and_grad(xs)
    assert xs.tolist() == before.tolist()
    xs += 1.0
    assert compiled.value_and_grad(xs)[0] == pytest.approx(first[0] + 1.0, rel=1e-14)
    assert compiled.value_and_grad(before)[0] == first[0]


def test_an_array_in_a_graph_is_differentiated_through_the_call() -> None:
    xs, compiled = numbers(20, 1.0, 9), compile(lambda xs, w: w * mg.logsumexp(xs))
    w = mg.Value(1.5)
    y = compiled(xs, w)
    y.backward()
    assert w.grad == pytest.approx(float(mg.logsumexp(xs)), rel=1e-14)
    assert mg.grad(lambda w: compiled(xs, w) ** 2)(1.5) == pytest.approx(3.0 * float(mg.logsumexp(xs)) ** 2, rel=1e-13)


@pytest.mark.parametrize("count", [3, 17])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_the_adjoint_at_a_share_near_1_keeps_its_digits(name: str, count: int) -> None:
    """1 less the share would be 0 where the margin of a class is 40 or more."""
    weights = np.random.default_rng(0).normal(size=count)
    for used in ([0], [0, 2], range(count)):

        def f(x: Any, used: Any = used) -> Any:
            y = getattr(mg, name)(x)
            return mg.sum([weights[k] * y[k] for k in used])

        points = np.random.default_rng(1).normal(size=(12, count))
        points[:, 0] += np.linspace(0.0, 200.0, 12)
        of_list, of_array, of_batch = compile(f), compile(f), compile(f, batched="x", reduction="sum")
        for _ in range(2):  # recorded, then replayed
            found = of_batch.value_and_grad(points)[1]
            for point, of_sample in zip(points, found):
                expected = value_and_grad(f)(point)[1]
                for own in (of_list.value_and_grad(list(point))[1], of_array.value_and_grad(point)[1], of_sample):
                    np.testing.assert_allclose(np.array(own, dtype=float), expected, rtol=1e-11)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "norm", "logsumexp"])
def test_functions_take_arrays_of_values_as_they_take_lists(name: str) -> None:
    f, values = FUNCTIONS[name], [mg.Value(x) for x in numbers(12, 1.0, 3)]
    array = np.array(values, dtype=object)
    for own, items in ((array, values), (array[::2], values[::2]), (array[::-1], values[::-1])):
        assert f(own).data == f(items).data
        assert f(own)._prev == f(items)._prev
    assert mg.dot(array, array[::-1], 0.5).data == mg.dot(values, values[::-1], 0.5).data
    with pytest.raises(TypeError):
        f(array.reshape(3, 4))
    with pytest.raises(TypeError):
        f(np.empty(3, dtype=object))
    with pytest.raises(TypeError):
        mg.dot(array[:3], np.empty(3, dtype=object))
    if name == "sum":
        assert f(array[:0]) == 0.0
    with pytest.raises(TypeError):
        f(np.ma.masked_array(array, mask=[True] + 11 * [False]))
