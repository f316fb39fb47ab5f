"""Replays give what the evaluation of recordings gives, and leave all calls that they do not fit to it."""

from __future__ import annotations

import gc
import math
import pickle
import sys
import threading
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from inside import replays

import microgrud as mg
from microgrud import Value, compile, dot, exp, take, tanh
from microgrud.nn import MLP
from microgrud.tape import executors
from microgrud.tape.native import native_tape

needs_c = pytest.mark.skipif(native_tape is None, reason="the interpreter in NumPy has no replays")
ROWS = np.random.default_rng(0).normal(size=(150, 3))
TARGETS = np.random.default_rng(1).normal(size=150)


class Anew:
    """A function that is compiled afresh for each call, so that no call is a replay."""

    def __init__(self, f: Any, **options: Any) -> None:
        self.compiled = lambda: compile(f, **options)

    def __call__(self, *args: Any) -> Any:
        return self.compiled()(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.compiled(), name)


def both_ways(f: Any, *args: Any, **options: Any) -> tuple[Any, Any]:
    """Return a compiled function that has a replay for such arguments, and one that never makes any."""
    short = compile(f, **options)
    short(*args)
    assert len(replays(short)) == 1
    return short, Anew(f, **options)


@needs_c
def test_the_second_call_is_a_replay_and_gives_the_same() -> None:
    w, b = [Value(0.3), Value(-0.2), Value(0.1)], Value(0.05)

    def loss(x: Any, y: Any, scale: Any) -> Any:
        return (tanh(dot(w, x) + b) * scale - y) ** 2

    short, long = both_ways(loss, ROWS, TARGETS, 0.7, batched=("x", "y"))
    assert short(ROWS, TARGETS, 0.7) == pytest.approx(long(ROWS, TARGETS, 0.7), rel=1e-14)
    found = []
    for compiled in (short, long):
        for leaf in (*w, b):
            leaf.grad = 1.0
        value = compiled.backward(ROWS, TARGETS, 0.7)
        found.append([value, *(leaf.grad for leaf in (*w, b))])
    assert found[0] == pytest.approx(found[1], rel=1e-14)
    value, (by_x, by_scale) = short.value_and_grad(ROWS, TARGETS, 0.7, argnums=(0, 2))
    expected, (long_by_x, long_by_scale) = long.value_and_grad(ROWS, TARGETS, 0.7, argnums=(0, 2))
    assert value == pytest.approx(expected, rel=1e-14)
    assert by_x == pytest.approx(long_by_x, rel=1e-14)
    assert by_x.shape == ROWS.shape
    assert by_scale == pytest.approx(long_by_scale, rel=1e-14)
    assert len(replays(short)) == 1


@needs_c
@pytest.mark.parametrize(
    "argument",
    [
        0.5,
        [0.5, 0.25],
        (0.5, 0.25),
        [[0.5, 0.25], [1.5]],
        ([0.5], (0.25, 0.75)),
        np.array([0.5, 0.25]),
        np.array([[0.5], [0.25]]),
        [np.array([0.5, 0.25]), np.array([1.5, 2.0])],
        [],
    ],
)
def test_gradients_have_the_structure_of_the_argument(argument: Any) -> None:
    def numbers(x: Any) -> list[Any]:
        return [y for item in x for y in numbers(item)] if hasattr(x, "__len__") else [x]

    def f(x: Any) -> Any:
        return sum((exp(k * y) for k, y in enumerate(numbers(x), start=1)), Value(1.0))

    short, long = both_ways(f, argument)
    value, gradient = short.value_and_grad(argument)
    expected_value, expected = long.value_and_grad(argument)
    assert value == expected_value
    assert type(gradient) is type(expected)
    assert repr(gradient) == repr(expected)
    seeds = np.ones(len(numbers(argument)))
    if len(seeds):
        product = short.hvp((argument,), (argument,))
        assert repr(short.hvp((argument,), (argument,))) == repr(product) == repr(long.hvp((argument,), (argument,)))


@needs_c
@pytest.mark.parametrize(
    "other",
    [
        ([0.5, 0.25, 0.125],),
        ((0.5, 0.25),),
        (np.array([0.5, 0.25]),),
        (np.array([0.5, 0.25], dtype=np.float32),),
        (np.array([0.5, 0.0, 0.25])[::2],),
        ([np.float64(0.5), 0.25],),
        ([0.5, 1],),
    ],
)
def test_other_arguments_go_the_long_way(other: Any) -> None:
    compiled = compile(lambda x: x[0] * x[1])
    compiled([3.0, 4.0])
    assert compiled(*other) == 0.5 * float(other[0][1])


@needs_c
def test_a_sample_that_takes_another_branch_goes_the_long_way() -> None:
    w = Value(2.0)
    compiled = compile(lambda x: w * x if x > 0 else -x, batched="x")
    up, both = np.array([1.0, 2.0]), np.array([1.0, -2.0])
    assert [compiled(up), compiled(up), compiled(both), compiled(up)] == [3.0, 3.0, 2.0, 3.0]
    assert compiled.backward(both) == 2.0
    assert w.grad == 0.5
    assert compiled.stats["paths"] == 2


@needs_c
def test_a_number_that_is_not_finite_raises_as_before() -> None:
    w = Value(1.0)
    compiled = compile(lambda x: (w * x).log(), batched="x")
    compiled(np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="log"):
        compiled(np.array([1.0, -2.0]))
    with pytest.raises(ValueError, match="log"):
        compiled.backward(np.array([1.0, -2.0]))
    assert w.grad == 0.0
    w.data = -1.0
    with pytest.raises(ValueError, match="log"):
        compiled(np.array([1.0, 2.0]))


@needs_c
def test_integers_that_the_recording_is_not_for_go_the_long_way() -> None:
    compiled = compile(lambda n, k: sum(range(n)) + take([10.0, 20.0, Value(30.0)], k))
    assert [compiled(3, 0), compiled(3, 2), compiled(4, 1), compiled(3, 1)] == [13.0, 33.0, 26.0, 23.0]
    assert compiled.stats["paths"] == 2
    with pytest.raises(IndexError, match="index 3"):
        compiled(3, 3)


@needs_c
def test_batches_in_lists_are_replayed_apart_from_those_in_arrays() -> None:
    w = Value(2.0)
    compiled = compile(lambda x, y: sum(x + x) * w - y, batched=("x", "y"))  # twice as long, or twice as much
    rows, targets = [[1.0, 2.0], [3.0, 4.0]], [0.5, 1.5]
    for _ in range(3):
        assert compiled(rows, targets) == compiled.backward(rows, targets) == 19.0
        assert (
            compiled(np.array(rows), np.array(targets)) == compiled.backward(np.array(rows), np.array(targets)) == 19.0
        )
        assert compiled(rows, np.array(targets)) == 19.0
    assert len(replays(compiled)) == 1
    assert [len(replays(compiled, lists)) for lists in ((0,), (0, 1), (1,))] == [1, 1, 0]
    assert [w.grad, compiled.stats["signatures"]] == [60.0, 2]
    assert compiled([[1, 2], [3, 4]], targets) == 19.0  # integers are another recording
    with pytest.raises(ValueError, match="compile: x: expected rows of one shape, got 2 numbers as row 0 and 1"):
        compiled([[1.0, 2.0], [3.0]], targets)
    twin = pickle.loads(pickle.dumps(compiled))
    assert [twin(rows, targets) for _ in range(3)] == [19.0] * 3


@needs_c
def test_an_argument_given_twice_has_its_derivative_twice() -> None:
    compiled = compile(lambda x: x[0] * x[1], batched="x")
    rows = ROWS[:4, :2].copy()
    for _ in range(3):
        _, (one, other) = compiled.value_and_grad(rows, argnums=(0, 0))
        assert np.array_equal(one, other)
        assert np.array_equal(one, rows[:, ::-1] / 4)


def test_adjoints_of_inputs_that_nobody_wants_are_missed_by_nobody() -> None:
    network = MLP(3, [6, 4, 1], activation="tanh", rng=5)
    weights = [[Value(0.1 * (i - j)) for i in range(4)] for j in range(5)]

    def loss(x: Any, y: Any) -> Any:
        mixed = [dot(row, [*x, y]) for row in weights]  # a matrix of both inputs, which are used elsewhere too
        return (network(x) - y) ** 2 + mg.sum(mixed) * x[0] + dot(mixed, mixed)

    leaves = [*network.parameters(), *[w for row in weights for w in row]]
    compiled = compile(loss, batched=("x", "y"))
    of_both = of_leaves = ()
    for _ in range(2):  # the second time by a replay
        for leaf in leaves:
            leaf.grad = 0.0
        compiled.backward(ROWS, TARGETS)
        of_leaves = [leaf.grad for leaf in leaves]
        of_both = compiled.value_and_grad(ROWS, TARGETS, argnums=(0, 1))[1]
        assert np.array_equal(compiled.value_and_grad(ROWS, TARGETS)[1], of_both[0])
        assert np.array_equal(compiled.value_and_grad(ROWS, TARGETS, argnums=1)[1], of_both[1])
    rows, targets = [[Value(number) for number in row] for row in ROWS], [Value(number) for number in TARGETS]
    for leaf in leaves:
        leaf.grad = 0.0
    mg.mean([loss(x, y) for x, y in zip(rows, targets)]).backward()
    assert of_leaves == pytest.approx([leaf.grad for leaf in leaves], rel=1e-10, abs=1e-14)
    assert of_both[0] == pytest.approx(np.array([[x.grad for x in row] for row in rows]), rel=1e-10, abs=1e-14)
    assert of_both[1] == pytest.approx(np.array([y.grad for y in targets]), rel=1e-10, abs=1e-14)


@needs_c
def test_the_bits_of_a_batch_do_not_depend_on_the_threads() -> None:
    rows = np.random.default_rng(2).normal(size=(20_000, 2))
    found = []
    for threads in (1, 2, 5):
        w = Value(0.3)
        compiled = compile(lambda x, w=w: tanh(w * x[0]) * x[1], batched="x", threads=threads)
        values = [compiled.backward(rows) for _ in range(3)]
        _, by_rows = compiled.value_and_grad(rows)
        assert len(set(values[1:])) == 1
        found.append((values[1], w.grad, by_rows.tobytes()))
    assert found[0] == found[1] == found[2]


@needs_c
def test_several_threads_use_one_replay() -> None:
    w = Value(0.5)
    compiled = compile(lambda x: w * x[0] + x[1] * x[2], batched="x")
    expected = compiled(ROWS)
    w.grad = 0.0
    wrong: list[float] = []

    def work() -> None:
        for _ in range(200):
            value = compiled.backward(ROWS)
            if value != compiled(ROWS) or abs(value - expected) > 1e-12:
                wrong.append(value)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert w.grad == pytest.approx(800 * float(np.mean(ROWS[:, 0])), rel=1e-9)


@given(st.lists(st.floats(-2.0, 2.0), min_size=1, max_size=40))
def test_samples_are_regrouped_along_the_tree_of_branches(xs: list[float]) -> None:
    """A walk that stops at the first step below a barrier: as many paths as steps."""
    w = Value(0.9)

    def walk(x: Any) -> Any:
        for step in range(6):
            x = x * w - 0.25
            if x < -step * 0.2:
                return x * x
        return x

    compiled = compile(walk, batched="x")
    total = sum(walk(x).data for x in map(Value, xs)) / len(xs)
    eager = [walk(Value(x)) for x in xs]
    for root in eager:
        root.backward()
    expected, w.grad = w.grad / len(xs), 0.0
    for _ in range(2):
        assert compiled.backward(np.array(xs)) == pytest.approx(total, rel=1e-12, abs=1e-12)
    assert w.grad == pytest.approx(2 * expected, rel=1e-9, abs=1e-12)


def branching(x: Any, scale: Any, n: Any, k: Any) -> Any:
    """Seven paths and more: by comparisons, an integer whose number is used, and an index that is left open."""
    y = W[0] * x[0] + W[1] * x[1] * scale[0]
    if y > 0.3:
        return exp(-y) * take([W[0], x[1], 2.0], k)
    if x[1] < -0.5:
        return W[2] * scale[1]
    for _ in range(n):
        y = y * scale[1] + x[0]
    return max(y, -x[1], W[0])


W = [Value(0.7), Value(-0.4), Value(0.2)]


@needs_c
@pytest.mark.parametrize("count", [1, 7, 100, 5000])
def test_samples_of_many_ways_are_replayed_as_a_tree(count: int) -> None:
    rng = np.random.default_rng(count)
    x, n, k = rng.normal(size=(count, 2)), rng.integers(0, 3, size=count), rng.integers(0, 3, size=count)
    scale = [0.9, 0.6]
    options = {"batched": ("x", "n", "k")}
    short, long = compile(branching, **options), Anew(branching, **options)
    short(x, scale, n, k)
    assert len(replays(short)) == 1
    (paths,) = replays(short)
    assert len(paths) == short.stats["paths"] > (1 if count > 1 else 0)
    assert short(x, scale, n, k) == pytest.approx(long(x, scale, n, k), rel=1e-13)
    found = []
    for compiled in (short, long):
        for leaf in W:
            leaf.grad = 0.0
        value, (by_x, by_scale) = compiled.value_and_grad(x, scale, n, k, argnums=(0, 1))
        loss = compiled.backward(x, scale, n, k)
        found.append([value, *by_x.ravel(), *by_scale, loss, *(leaf.grad for leaf in W)])
    assert found[0] == pytest.approx(found[1], rel=1e-11, abs=1e-15)
    assert len(replays(short)) == 1


@needs_c
def test_an_index_that_is_out_of_range_is_an_error_of_a_tree_too() -> None:
    compiled = compile(lambda x, k: x * take([1.0, 2.0], k) if x > 0 else x, batched=("x", "k"))
    xs, ks = np.array([1.0, -1.0, 2.0]), np.array([0, 7, 1])  # without a lookup there is no table
    assert [compiled(xs, ks) for _ in range(3)] == [pytest.approx(4.0 / 3.0)] * 3
    assert len(replays(compiled)) == 1
    with pytest.raises(IndexError, match="index 2"):
        compiled(xs, np.array([0, 0, 2]))


@needs_c
def test_a_way_that_is_new_joins_the_tree() -> None:
    compiled = compile(lambda x: x * W[0] if x > 0 else (W[1] * x if x > -1 else W[2] * x * x), batched="x")
    for xs in ([1.0, -0.5], [1.0, -0.5, -2.0], [2.0, -3.0, 4.0], [-0.1, -0.2]):
        numbers = np.array(xs)
        expected = np.where(numbers > 0, 0.7 * numbers, np.where(numbers > -1, -0.4 * numbers, 0.2 * numbers**2)).mean()
        for _ in range(2):
            assert compiled(numbers) == pytest.approx(expected, rel=1e-12)
    assert [len(paths) for paths in replays(compiled)] == [3]


def test_no_update_of_another_thread_is_lost() -> None:
    """Also where some samples are evaluated by the function itself, as those with an infinite slope are."""
    w = Value(0.0)
    compiled = compile(lambda x: w * x + (abs(x) ** 0.5 if x <= 0 else 0.0 * x), batched="x")
    few, rounds = np.array([1.0, 0.0, 3.0]), 60

    def work() -> None:
        for k in range(rounds):
            compiled.backward(few if k % 2 else few[:1])

    threads = [threading.Thread(target=work) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert w.grad == pytest.approx(4 * rounds * (1.0 + 4.0 / 3.0) / 2)


@needs_c
def test_a_long_program_runs_forward_in_the_slots_that_are_still_needed() -> None:
    w = Value(0.999)

    def f(x: Any, y: Any) -> Any:
        for _ in range(300):
            x, y = tanh(x * y) + w * x, y + 0.5 * x
        return x if x > y else y

    short, long = both_ways(f, ROWS[:, 0].copy(), ROWS[:, 1].copy(), batched=("x", "y"))
    x, y = ROWS[:, 0].copy(), ROWS[:, 1].copy()
    loss = short.backward(x, y)
    assert short(x, y) == loss == pytest.approx(long(x, y), rel=1e-13)
    for path in replays(short)[0]:
        (executor,) = path.executors.values()
        assert executor.tapes.reused > 0  # type: ignore[attr-defined]


def test_each_sample_tries_no_more_recordings_than_branches_that_it_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(x: Any) -> Any:
        for step in range(30):
            x = x * 1.0
            if x < step:
                return x * step
        return x

    compiled = compile(walk, batched="x")
    xs = np.arange(30.0) - 0.5
    compiled(xs)
    tried: list[int] = []
    kind: Any = executors.NativeExecutor if native_tape is not None else executors.NumpyExecutor
    run = kind.run

    def counted(self: Any, numbers: Any, *others: Any) -> Any:
        tried.append(len(numbers[0]))
        return run(self, numbers, *others)

    monkeypatch.setattr(kind, "run", counted)
    assert compiled(xs) == pytest.approx(np.mean([x * np.floor(x + 1) for x in xs]))
    assert sum(tried) <= 60  # the longest, and the one that continues from the branch at which a sample leaves it


def layout(array: np.ndarray) -> Any:
    return array.shape, array.strides, array.dtype, array.flags.owndata, array.flags.writeable


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 2)])
@pytest.mark.parametrize("make", [np.ascontiguousarray, np.asfortranarray, np.ndarray.tolist])
def test_the_first_gradient_of_a_batch_has_the_layout_of_later_ones(count: int, shape: Any, make: Any) -> None:
    def f(x: Any, w: Any) -> Any:
        total = mg.sum(list(np.ravel(np.array(x, dtype=object)))) * w[0]
        return mg.log(total) if total > 1.0 else total * w[1] * total

    compiled = compile(f, batched="x")
    numbers = np.linspace(-1.0, 2.0, num=count * math.prod(shape)).reshape(count, *shape)
    x, w = make(numbers), np.array([1.0, 2.0])
    gradients = [compiled.value_and_grad(x, w, argnums=(0, 1))[1] for _ in range(3)]
    products = [compiled.hvp((numbers, w), (numbers, w), argnums=(0, 1)) for _ in range(3)]
    for first, *others in (gradients, products):
        assert [layout(own) for own in first] == [layout(np.zeros((count, *shape))), layout(np.zeros(2))]
        for other in others:
            assert [layout(own) for own in other] == [layout(own) for own in first]
            for own, later in zip(first, other):
                np.testing.assert_allclose(later, own, rtol=1e-14)


@pytest.mark.parametrize("method", ["__call__", "backward"])
def test_recordings_of_calls_with_keywords_serve_no_others(method: str) -> None:
    compiled = compile(lambda a, b: a - 2.0 * b)
    for _ in range(2):
        assert getattr(compiled, method)(b=2.0, a=1.0) == -3.0
    assert getattr(compiled, method)(1.0, 2.0) == -3.0
    one = compile(lambda x, *, scale=1.0: x * scale)
    assert getattr(one, method)(3.0, scale=2.0) == 6.0
    with pytest.raises(TypeError, match="positional argument"):
        getattr(one, method)(3.0, 2.0)


@needs_c
def test_a_large_batch_leaves_no_room_of_its_size_behind() -> None:
    compiled = compile(lambda x: x * x, batched="x")
    xs = np.ones(1_000_000)
    compiled(xs[:10])
    tracemalloc.start()
    try:
        for _ in range(2):
            assert compiled(xs) == 1.0
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most > 12_000_000  # the outputs and the status of each sample
    assert kept < 1_000_000


@needs_c
@pytest.mark.parametrize("samples", [1, 8])
def test_a_leaf_that_leads_back_to_the_function_is_collected(samples: int) -> None:
    class Parameter(Value):
        pass

    def parameter() -> weakref.ref[Any]:
        w: Any = Parameter(1.5)
        w.loss = compile(lambda x: w * x if x > 0.0 else w - x, batched="x")
        for _ in range(2):
            w.loss.backward(np.arange(samples) - 2.0)
        assert len(replays(w.loss)) == 1
        w.mark = threading.Event()
        return weakref.ref(w.mark)

    mark = parameter()
    gc.collect()
    assert mark() is None


def test_positions_are_whatever_stands_for_integers() -> None:
    compiled = compile(lambda x, y: x * x * y)
    for _ in range(2):
        assert compiled.value_and_grad(2.0, 3.0, argnums=np.int64(1)) == (12.0, 4.0)
        assert compiled.value_and_grad(2.0, 3.0, argnums=[1, -2]) == (12.0, (4.0, 12.0))
        assert compiled.hvp((2.0, 3.0), (1.0, 0.0), argnums=[0, np.int64(1)]) == (6.0, 4.0)
        for argnums in ("x", 1.0, (0, None)):
            with pytest.raises(TypeError, match="expected argnums to be an integer or a tuple of integers"):
                compiled.value_and_grad(2.0, 3.0, argnums=argnums)


def test_hvp_takes_further_arguments_as_scipy_passes_them() -> None:
    compiled = compile(lambda x, y=5.0: x * x * y)
    for _ in range(2):
        assert compiled.hvp(2.0, 1.0, 3.0) == 6.0
        assert compiled.hvp(2.0, 1.0, 0.0) == 0.0
        assert compiled.hvp(2.0, 1.0) == 10.0
        assert compiled.hvp(2.0, 1.0, 3.0, argnums=1) == 0.0
        assert compiled.hvp((2.0, 3.0), 1.0, 1) == 0.0
        with pytest.raises(TypeError, match=r"expected argnums to be an integer or a tuple of integers, got 3\.0"):
            compiled.hvp((2.0, 3.0), 1.0, 3.0)
        with pytest.raises(TypeError, match=r"expected the positions `argnums` after the tangents, got \(3\.0, 1\)"):
            compiled.hvp((2.0, 3.0), 1.0, 3.0, 1)


# --- dicts, and directions in the structure of the arguments ---


def layered(p: Any, y: Any = 1.0) -> Any:
    return exp(p["w"][0] * p["in"]["b"] * 0.1) * p["w"][1] + p["in"]["b"] ** 3 * y


@needs_c
def test_dicts_are_replayed_by_their_keys_in_their_order() -> None:
    short, long = both_ways(layered, {"w": [0.5, 2.0], "in": {"b": -1.0}}, 3.0)
    for p in ({"w": [0.5, 2.0], "in": {"b": -1.0}}, {"w": [1.5, -2.0], "in": {"b": 0.25}}):
        assert short(p, 3.0) == long(p, 3.0)
        assert short.value_and_grad(p, 3.0) == long.value_and_grad(p, 3.0)
        assert list(short.value_and_grad(p, 3.0)[1]) == ["w", "in"]
        assert short.hvp((p, 3.0), p) == long.hvp((p, 3.0), p)
        assert short.hessian(p, 3.0) == long.hessian(p, 3.0)
    assert len(replays(short)) == 1
    (replay, _), *_ = short._recordings.replays[()]
    wrong: list[Any] = [
        {"in": {"b": -1.0}, "w": [0.5, 2.0]},
        {"w": [0.5, 2.0]},
        {"w": [0.5, 2.0], "in": {"b": -1.0}, "more": 1.0},
        {"w": [0.5, 2.0], "in": {"c": -1.0}},
        {"w": [0.5, 2.0], "in": [-1.0]},
        {"w": [0.5, 2.0], 1: {"b": -1.0}},
        [[0.5, 2.0], {"b": -1.0}],
        type("Mapping", (dict,), {})({"w": [0.5, 2.0], "in": {"b": -1.0}}),
    ]
    for p in wrong:
        assert replay.values((p, 3.0)) is NotImplemented
    for p in (wrong[0], wrong[7]):
        for _ in range(2):
            assert short(p, 3.0) == long(p, 3.0)
            assert short.value_and_grad(p, 3.0) == long.value_and_grad(p, 3.0)


def test_dicts_with_keys_that_are_no_strings_and_with_batches() -> None:
    def loss(p: Any, x: Any) -> Any:
        return (p[0] * x + p[1.5]) ** 2

    short = compile(loss, batched="x")
    x = np.array([1.0, 2.0, 3.0])
    for _ in range(3):
        for p in ({0: 2.0, 1.5: 1.0}, {0: -2.0, 1.5: 0.5}):
            assert short.value_and_grad(p, x) == Anew(loss, batched="x").value_and_grad(p, x)
    named = compile(lambda p, x: loss({0: p["a"], 1.5: p["b"]}, x), batched="x")
    for _ in range(3):
        value, slopes = named.value_and_grad({"a": 2.0, "b": 1.0}, x)
        assert (value, list(slopes.items())) == (83.0 / 3.0, [("a", pytest.approx(68.0 / 3.0)), ("b", 10.0)])
        assert named.hvp(({"a": 2.0, "b": 1.0}, x), {"a": 1.0, "b": 0.0}) == pytest.approx({"a": 28.0 / 3.0, "b": 4.0})


numbers = st.floats(-3.0, 3.0)
trees = st.recursive(
    numbers | st.lists(numbers, min_size=1, max_size=3).map(np.array),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.lists(inner, min_size=1, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from("abc"), inner, min_size=1)
    ),
    max_leaves=6,
)


@given(trees, st.data())
def test_any_structure_is_replayed_with_all_derivatives(tree: Any, data: Any) -> None:
    flat, structure = mg.autodiff.trees.flatten(tree, "tree")

    def f(tree: Any) -> Any:
        xs = mg.autodiff.trees.flatten(tree, "tree")[0]
        return mg.sum([x * xs[k - 1] ** 2 * (k + 1.0) for k, x in enumerate(xs)])

    other = structure.rebuild(data.draw(st.lists(numbers, min_size=len(flat), max_size=len(flat))))
    short = compile(f)
    for _ in range(2):
        found = [short(tree), short.value_and_grad(tree)[1], short.hvp((tree,), (other,)), short.hessian(tree)]
        expected = [f(tree), mg.grad(f)(tree), mg.hvp(f, (tree,), (other,)), mg.hessian(f)(tree)]
        for own, wanted in zip(found, expected):
            (own, shape), (wanted, kind) = (mg.autodiff.trees.flatten(x, "x") for x in (own, wanted))
            assert (shape.shapes, shape.paths) == (kind.shapes, kind.paths)
            assert own == pytest.approx(wanted, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("primals", "tangents", "argnums"),
    [
        (([1.0, 2.0], 3.0), ([1.0], [2.0, 3.0]), (0, 1)),
        (([1.0, 2.0], 3.0), ([1.0, 2.0, 3.0],), 0),
        (([1.0, 2.0], 3.0), (1.0, 2.0), (0, 1)),
        (([1.0, 2.0], 3.0), ([1.0, 2.0], 3.0, 4.0), (0, 1)),
        (([1.0, 2.0], 3.0), ([1.0, "2"],), 0),
        (([1.0, 2.0], 3.0), (np.ones(3),), 0),
        (([1.0, 2.0], 3.0), (np.ma.masked_array([1.0, 2.0], [True, False]),), 0),
        (([1, 2.0], 3.0), ([1.0, 2.0],), 0),
    ],
)
def test_directions_that_do_not_fit_are_refused_by_replays_too(primals: Any, tangents: Any, argnums: Any) -> None:
    f = compile(lambda v, y: v[0] ** 2 * v[1] * y**3)
    good = ([1.0, 2.0], 3.0) if isinstance(argnums, tuple) else [1.0, 2.0]
    for _ in range(2):
        f.hvp(([1.0, 2.0], 3.0), good, argnums=argnums)
        with pytest.raises((TypeError, ValueError), match="tangents|to differentiate with respect to"):
            f.hvp(primals, tangents, argnums=argnums)


@pytest.mark.parametrize("rest", [(), ([1.0, 2.0],)], ids=["call", "batch"])
def test_a_direction_has_the_keys_and_the_shape_of_the_argument(rest: tuple[Any, ...]) -> None:
    def f(d: Any, w: Any, x: Any = 1.0) -> Any:
        return d["a"] ** 3 * d["b"] * x + d["b"] ** 2 * d["a"] * x + (w**3).sum()

    compiled, w = compile(f, batched="x" if rest else ()), np.array([[0.0, 1.0], [2.0, 3.0]])
    primals = ({"a": 2.0, "b": 3.0}, w, *rest)
    for _ in range(3):
        assert compiled.hvp(primals, ({"b": 10.0, "a": 1.0},)) == compiled.hvp(primals, ({"a": 1.0, "b": 10.0},))
        assert compiled.hvp(primals, (w,), argnums=1).ravel().tolist() == [0.0, 6.0, 24.0, 54.0]
        for tangents, argnums in ((({"a": 1.0, "c": 10.0},), 0), (([1.0, 2.0, 3.0, 4.0],), 1), (([1.0, 2.0],), 0)):
            with pytest.raises(ValueError, match="tangents: expected the structure of the argument"):
                compiled.hvp(primals, tangents, argnums=argnums)


def test_positions_may_be_a_list_or_count_from_the_end() -> None:
    f = compile(lambda x, y: [x * y, x + y * y])
    for _ in range(3):
        assert f.jacobian(1.0, 2.0, argnums=[0, 1]) == f.jacobian(1.0, 2.0, argnums=(0, 1)) == [(2.0, 1.0), (1.0, 4.0)]
        assert f.jacobian(1.0, 2.0, argnums=-1) == [1.0, 4.0]


@pytest.mark.parametrize("direction", [[1.0, 0.5], (1.0, 0.5), np.array([1.0, 0.5]), [1, 0.5], [np.float32(1.0), 0.5]])
@pytest.mark.parametrize("make", [list, tuple, np.array])
def test_directions_may_be_other_sequences_than_the_argument(make: Any, direction: Any) -> None:
    f = compile(lambda v: v[0] ** 3 * v[1] ** 2)
    for _ in range(3):
        assert list(f.hvp((make([1.0, 2.0]),), (direction,))) == [30.0, 13.0]
    x = Value(1.0)
    along = np.array([x, 0.5], dtype=object) if make is np.array else make([x, 0.5])
    product = f.hvp((make([1.0, 2.0]),), (along,))
    assert [type(own) for own in product] == [Value, Value]
    product[1].backward()
    assert x.grad == 12.0
