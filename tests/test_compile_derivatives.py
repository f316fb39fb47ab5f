"""Jacobians and Hessians of compiled functions: by all sweeps in one recording, by one sweep, and by products."""

from __future__ import annotations

import copy
import itertools
import pickle
from array import array
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from inside import derivatives_of, recordings, thresholds

import microgrud as mg
from microgrud import CompileError, Value, compile, grad, hessian, jacobian

RNG = np.random.default_rng(3)
#: The largest number of operands that all sweeps may pass in one recording: any, and none.
LIMITS = [10**9, 0]


def flat(x: Any) -> Any:
    """Return the numbers of a structure, and the structure as text."""
    if isinstance(x, dict):
        parts = {key: flat(item) for key, item in x.items()}
        return [y for numbers, _ in parts.values() for y in numbers], {key: kind for key, (_, kind) in parts.items()}
    if isinstance(x, (list, tuple)):
        found = [flat(item) for item in x]
        return [y for numbers, _ in found for y in numbers], (type(x).__name__, [kind for _, kind in found])
    if isinstance(x, np.ndarray):
        return x.ravel().tolist(), (x.dtype, x.shape)
    return [x], type(x)


def assert_same(found: Any, expected: Any) -> None:
    numbers, structure = flat(found)
    wanted, kind = flat(expected)
    assert structure == kind
    assert numbers == pytest.approx(wanted, rel=1e-11, abs=1e-13, nan_ok=True)


def narrow(x: Any) -> Any:
    return mg.tanh(x[0] * x[1]) + mg.exp(x[2])


def wide(x: Any) -> list[Any]:
    return [x[0] * x[1], mg.sin(x[0]), x[1] ** 3, 2.0 * x[0], 5.0, x[1] - x[0]]


CASES: list[tuple[Callable[..., Any], tuple[Any, ...], Any]] = [
    (lambda x: x**3, (2.0,), 0),
    (lambda x: [x, x * x], (2.0,), 0),
    (wide, ([0.5, -0.25],), 0),
    (wide, ((0.5, -0.25),), 0),
    (wide, (np.array([0.5, -0.25]),), 0),
    (lambda x: np.array(wide(x)).reshape(2, 3), (np.array([0.5, -0.25]),), 0),
    (lambda x: {"a": narrow(x), "b": [x[1] * x[2]]}, ([0.5, -0.25, 0.75],), 0),
    (lambda x: (narrow(x["w"]) * x["b"], x["b"]), ({"w": np.array([0.5, -0.25, 0.75]), "b": 2.0},), 0),
    (lambda x, y: [a * b for a in x for b in y], ([0.5, 2.0], [1.0, 3.0, 4.0]), (0, 1)),
    (lambda x, y: [a * b for a in x for b in y], ([0.5, 2.0], [1.0, 3.0, 4.0]), (1,)),
    (lambda x, y: [a * b for a in x for b in y], ([0.5, 2.0], [1.0, 3.0, 4.0]), -1),
    (lambda x, k: mg.take(x, k) * x[0], ([0.5, 2.0], 1), 0),
    (lambda x: [x[1] * x[0], 3.0, x[0]], ([1.0, 2.0, 3.0, 4.0, 5.0],), 0),
    (lambda x: [], ([1.0, 2.0],), 0),
    (lambda x, y: [y, y * y], ([], 2.0), 0),
]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("case", range(len(CASES)))
def test_jacobians_are_those_of_the_transform(case: int, limit: int) -> None:
    f, args, argnums = CASES[case]
    expected = jacobian(f, argnums)(*args)
    with thresholds(most_operands=limit):
        compiled = compile(f)
        for _ in range(3):
            assert_same(compiled.jacobian(*args, argnums=argnums), expected)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("case", range(len(CASES)))
def test_hessians_are_those_of_the_transform(case: int, limit: int) -> None:
    f, args, argnums = CASES[case]
    numbers = lambda *given: mg.sum([mg.sin(x) for x in flat(f(*given))[0]])  # noqa: E731
    expected = hessian(numbers, argnums)(*args)
    with thresholds(most_operands=limit):
        compiled = compile(numbers)
        for _ in range(3):
            assert_same(compiled.hessian(*args, argnums=argnums), expected)


@given(st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3), st.integers(1, 6), st.sampled_from(LIMITS))
def test_both_modes_give_the_jacobian_of_any_shape(x: list[float], outputs: int, limit: int) -> None:
    def f(x: Any) -> Any:
        found = [mg.sin(x[k % 3] * (k + 1.0)) * x[0] if x[1] > 0.0 else x[k % 3] ** 2 for k in range(outputs)]
        return [found[k] + found[k - 1] for k in range(outputs)]

    with thresholds(most_operands=limit):
        compiled = compile(f)
        for point in (x, x, [-y for y in x], x):
            assert_same(compiled.jacobian(point), jacobian(f)(point))


def test_the_mode_goes_by_the_shape() -> None:
    for f, by in ((wide, "columns"), (lambda x: [narrow(x), x[0] * x[1] * x[2]], "rows")):
        with thresholds(most_operands=10**9):
            compiled = compile(f)
            compiled.jacobian([0.5, -0.25, 0.75])
            assert derivatives_of(compiled) == [f"jacobian by {by}"]
        with thresholds(most_operands=0):
            compiled = compile(f)
            compiled.jacobian([0.5, -0.25, 0.75])
            assert derivatives_of(compiled) == [f"{by[:-1]} of jacobian"]


def test_derivatives_that_are_always_0_are_no_work() -> None:
    def sparse(x: Any) -> Any:
        return mg.sum([mg.sin(a * b) for a, b in itertools.pairwise(x)])

    def dense(x: Any) -> Any:
        return mg.exp(mg.sum([mg.sin(a * a) for a in x]))

    x = RNG.normal(size=30).tolist()
    with thresholds(most_operands=2_000):
        for f, way in ((sparse, "hessian by rows"), (dense, "hessian, one of columns")):
            compiled = compile(f)
            assert_same(compiled.hessian(x), hessian(f)(x))
            assert derivatives_of(compiled) == ["gradient", way]
            several = compile(lambda x, f=f: [f(x[k : k + 3]) for k in range(28)])
            assert_same(several.jacobian(x), jacobian(several.function)(x))
            assert derivatives_of(several) == ["jacobian by rows"]


@pytest.mark.parametrize("limit", LIMITS)
def test_an_infinite_slope_stays_by_itself(limit: int) -> None:
    f = lambda x: [mg.sqrt(x[0]), x[1] ** 2, x[0] * x[1]]  # noqa: E731
    with thresholds(most_operands=limit):
        for compiled in (compile(f), compile(f, errors="ignore")):
            for point in ([4.0, 3.0], [4.0, 3.0], [0.0, 3.0], [0.0, 3.0], [4.0, 3.0]):
                assert_same(compiled.jacobian(point), jacobian(f)(point))
        with pytest.raises(ValueError, match="sqrt"):
            compile(f).jacobian([-1.0, 3.0])


@pytest.mark.parametrize("limit", LIMITS)
def test_a_batch_has_the_derivatives_of_its_mean(limit: int) -> None:
    f = lambda w, x, y: [mg.tanh(w[0] * x[0] + w[1] * x[1]) * y, w[0] * w[1] ** 2 * y, w[1]]  # noqa: E731
    rows, targets, w = RNG.normal(size=(20, 2)), RNG.normal(size=20), [0.5, -0.25]
    with thresholds(most_operands=limit):
        for reduction in ("mean", "sum"):
            compiled = compile(f, batched=("x", "y"), reduction=reduction)
            scalar = compile(lambda w, x, y: f(w, x, y)[0], batched=("x", "y"), reduction=reduction)
            total = np.mean if reduction == "mean" else np.sum
            samples = list(zip(rows.tolist(), targets.tolist()))
            for _ in range(3):
                found = np.array(compiled.jacobian(w, rows, targets))
                assert found == pytest.approx(total([jacobian(f)(w, *own) for own in samples], axis=0), rel=1e-12)
                found = np.array(scalar.hessian(w, rows, targets))
                expected = total([hessian(lambda *args: f(*args)[0])(w, *own) for own in samples], axis=0)
                assert found == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="x: expected an argument that is the same for all samples, got a batch"):
        scalar.hessian(w, rows, targets, argnums=1)
    for method in (compiled.jacobian, scalar.hessian):
        with pytest.raises(ValueError, match="expected an argument at position 3, got 3 arguments"):
            method(w, rows, targets, argnums=3)


@pytest.mark.parametrize("limit", LIMITS)
def test_leaves_are_read_anew(limit: int) -> None:
    w = Value(2.0)
    f = compile(lambda x: [w * x[0] * x[1], w * w * x[1], x[0]])
    with thresholds(most_operands=limit):
        assert f.jacobian([3.0, 5.0]) == [[10.0, 6.0], [0.0, 4.0], [1.0, 0.0]]
        w.data = 10.0
        assert f.jacobian([3.0, 5.0]) == [[50.0, 30.0], [0.0, 100.0], [1.0, 0.0]]
    assert w.grad == 0.0


def test_a_jacobian_is_differentiable() -> None:
    f = compile(lambda x: [x**3, x**2])
    assert f.jacobian(Value(2.0))[0].data == 12.0
    assert grad(lambda x: f.jacobian(x)[0])(2.0) == 12.0
    x = Value(2.0)
    f.jacobian(x)[0].backward()
    assert x.grad == 12.0
    assert compile(lambda x: f.jacobian(x)[1]).value_and_grad(3.0) == (6.0, 2.0)
    assert compile(lambda x, y: x**2 * y).hessian(Value(2.0), 3.0).data == 6.0


def test_integers_are_refused() -> None:
    for method in (compile(narrow).jacobian, compile(narrow).hessian):
        for _ in range(2):
            with pytest.raises(TypeError, match="expected floats to differentiate with respect to, got the integer 2"):
                method([1.0, 2, 3.0])
    with pytest.raises(TypeError, match="expected a function whose result is one number"):
        compile(wide).hessian([1.0, 2.0])


def test_bools_are_refused() -> None:
    f = compile(narrow)
    xs = [1.0, True, 3.0]
    for call in (f.value_and_grad, f.jacobian, f.hessian, f.jacobian_entries, lambda xs: f.hvp(xs, xs)):
        for _ in range(2):
            with pytest.raises(TypeError, match="with respect to, got the bool True in argument 0: .* write 1.0"):
                call(xs)


@pytest.mark.parametrize(
    "x", ["abc", [1.0, "abc"], {"w": 1.0, "name": "abc"}, (1.0, b"b"), [1.0, {"a": ...}], [1j]], ids=str
)
def test_what_is_no_number_is_refused_as_by_the_function(x: Any) -> None:
    def f(x: Any) -> Any:
        return x["w"] ** 2 if isinstance(x, dict) else 2.0

    with pytest.raises(TypeError) as expected:
        mg.value_and_grad(f)(x)
    compiled = compile(f)
    compiled(x)
    for _ in range(2):
        with pytest.raises(TypeError) as found:
            compiled.value_and_grad(x)
        assert str(found.value) == str(expected.value)
        for call in (compiled.jacobian, compiled.hessian, lambda x: compiled.hvp((x,), (x,))):
            with pytest.raises(TypeError, match="expected a number, a NumPy array"):
                call(x)
    batched = compile(lambda w, x: w * x * x, batched="x")
    for rows in (array("d", [1.0, 2.0]), deque([1.0, 2.0]), (1.0, 2.0), np.float32([1.0, 2.0])):
        assert batched.value_and_grad(2.0, rows, argnums=1)[1].tolist() == [2.0, 4.0]
    held = compile(lambda w, x: w * f(x))
    assert held.value_and_grad(2.0, x)[1] == f(x)  # not differentiated with respect to it


@pytest.mark.parametrize("limit", LIMITS)
def test_matrices_come_back_from_a_pickle(limit: int) -> None:
    x = [0.5, -0.25, 0.75]
    with thresholds(most_operands=limit):
        compiled = compile(narrow)
        expected = compiled.jacobian(x), compiled.hessian(x)
        twin = pickle.loads(pickle.dumps(compiled))
        for _ in range(2):
            assert (twin.jacobian(x), twin.hessian(x)) == expected
    compiled = compile(narrow)
    compiled.hvp(x, x)
    compiled(x)
    twin = pickle.loads(pickle.dumps(compiled))  # has the gradient, from which both follow
    assert_same(twin.hessian(x), expected[1])
    assert_same(twin.jacobian(x), expected[0])
    with pytest.raises(CompileError, match="no recording for arguments of this structure"):
        twin.jacobian(np.array(x))


class Scaled(mg.nn.Module):
    def __init__(self, scale: float) -> None:
        self.scale = Value(scale)

    @compile
    def products(self, x: Any) -> Any:
        return [self.scale * x[0] * x[1], x[1] ** 2, x[0]]


def test_methods_copies_and_threads_have_matrices_of_their_own() -> None:
    small, large = Scaled(2.0), Scaled(5.0)
    for _ in range(3):
        assert small.products.jacobian([1.0, 3.0])[0] == [6.0, 2.0]
        assert large.products.jacobian([1.0, 3.0])[0] == [15.0, 5.0]
    other = copy.deepcopy(small)
    other.scale.data = 7.0
    assert other.products.jacobian([1.0, 3.0])[0] == [21.0, 7.0]
    assert small.products.jacobian([1.0, 3.0])[0] == [6.0, 2.0]
    compiled = compile(wide)
    expected = compiled.jacobian([0.5, -0.25])
    with mg.no_grad():
        assert copy.copy(compiled).jacobian([0.5, -0.25]) == expected
    with ThreadPoolExecutor(4) as pool:
        assert all(found == expected for found in pool.map(lambda _: compiled.jacobian([0.5, -0.25]), range(100)))


def test_settings_hold_for_matrices() -> None:
    f = compile(lambda x: [1.0 / x[0], x[1]])
    assert f.jacobian([2.0, 1.0]) == [[-0.25, 0.0], [0.0, 1.0]]
    with pytest.raises(ZeroDivisionError):
        f.jacobian([0.0, 1.0])
    f.errors = "ignore"
    assert f.jacobian([0.0, 1.0]) == [[-np.inf, 0.0], [0.0, 1.0]]


# --- Hessian products of a batch ---

POINTS = RNG.normal(size=(7, 2))


def nearest(centres: Any, point: Any) -> Any:
    return mg.min([mg.sum([(c - x) ** 2 * (1.0 + c) for c, x in zip(centre, point)]) for centre in centres])


def branching(p: Any, point: Any) -> Any:
    return p["w"][0] ** 3 * point[0] if point[1] > 0.0 else mg.exp(p["w"][1] * p["b"]) * point[1]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(
    ("f", "x", "v"),
    [
        (nearest, RNG.normal(size=(3, 2)), RNG.normal(size=(3, 2))),
        (nearest, RNG.normal(size=(3, 2)).tolist(), RNG.normal(size=(3, 2)).tolist()),
        (nearest, RNG.normal(size=(3, 2)), RNG.normal(size=(3, 2)).tolist()),
        (branching, {"w": [0.5, -1.0], "b": 2.0}, {"w": [1.0, 0.5], "b": -1.0}),
        (branching, {"w": (0.5, -1.0), "b": 2.0}, {"w": (0.0, 0.0), "b": 0.0}),
        (lambda x, point: x * point[0] + point[1], 2.0, 1.0),
    ],
)
def test_products_of_a_batch_are_those_of_its_samples(f: Any, x: Any, v: Any, reduction: str) -> None:
    compiled = compile(f, batched="point", reduction=reduction)
    weight = 1.0 / len(POINTS) if reduction == "mean" else 1.0
    along = np.array(v) if isinstance(x, np.ndarray) else v
    expected = sum(weight * np.array(flat(mg.hvp(f, (x, row), (along,)))[0]) for row in POINTS.tolist())
    for points in (POINTS, POINTS, POINTS.tolist(), POINTS.tolist()):
        found = compiled.hvp((x, points), (v,))
        assert flat(found)[0] == pytest.approx(expected, rel=1e-12, abs=1e-14)
        assert flat(found)[1] == flat(mg.hvp(f, (x, POINTS[0].tolist()), (along,)))[1]
    assert derivatives_of(compiled) == ["product"]
    twin = pickle.loads(pickle.dumps(compiled))
    assert flat(twin.hvp((x, POINTS), (along,)))[0] == pytest.approx(expected, rel=1e-12, abs=1e-14)


def test_products_of_a_batch_by_several_arguments_and_at_singular_points() -> None:
    f = compile(lambda directions, y, point, k: mg.sqrt(directions * point) * y**k, batched=("point", "k"))
    points, k = np.array([1.0, 4.0]), np.array([2, 3])
    for _ in range(3):
        by_both = f.hvp((4.0, 3.0, points, k), (1.0, 2.0), argnums=(0, 1))
        samples = [mg.hvp(f.function, (4.0, 3.0, x, n), (1.0, 2.0), argnums=(0, 1)) for x, n in ((1.0, 2), (4.0, 3))]
        assert by_both == pytest.approx(np.mean(samples, axis=0))
        assert f.hvp((0.0, 3.0, points, k), 1.0, argnums=1) == 0.0  # not NaN, though sqrt has an infinite slope there
        assert f.hvp((0.0, 3.0, points, k), (0.0, 1.0), argnums=(0, 1))[1] == 0.0
    assert derivatives_of(f)[0] == "product"
    with pytest.raises(TypeError, match="to differentiate with respect to, got the integer 3"):
        f.hvp((4.0, 3, points, k), 1.0, argnums=1)
    with pytest.raises(ValueError, match="sample 1 of the batch"):
        f.hvp((4.0, 3.0, np.array([1.0, -1.0]), k), 1.0)


def test_the_jacobian_of_one_long_result_takes_one_sweep() -> None:
    def chain(xs: Any) -> Any:
        total = xs[0]
        for x in xs[1:]:
            total = total * 0.5 + x * x
        return total

    x = np.random.default_rng(0).normal(size=30_000).tolist()  # 120,000 operands, too many to record all sweeps
    compiled = compile(chain)
    for _ in range(2):
        assert compiled.jacobian(x) == compiled.value_and_grad(x)[1]
    assert not recordings(compiled)[0].patterns
