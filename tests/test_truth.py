"""Comparisons inside a compiled function: operations, unless Python asks for the outcome."""

from __future__ import annotations

import copy
import json
import math
import pickle
import statistics
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from arrays import np
from hypothesis import given, strategies as st

import microgrud
from microgrud import CompileError, Value, compile, grad, hvp, jvp, no_grad, relu, take, where
from microgrud.nn import MLP

X = [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0]

ONE_RECORDING: dict[str, Callable[[Any], Any]] = {
    "where": lambda x: where(x < 0, -x, x * x),
    "product": lambda x: (x > 0) * x + 2 * (x < -1.0) * x + (x >= 1) * (x <= 2.0),
    "reflected": lambda x: (0 < x) * x - (1.0 >= x) / 2 + 3.0 ** (0.5 < x),  # noqa: SIM300
    "and": lambda x: where((x > -1.0) & (x < 1.0), x, x * x),
    "or, xor": lambda x: where((x < -1.0) | (x > 1.0), x, 1.0) + ((x < 0.5) ^ (x > -0.5)) * x,
    "with a bool": lambda x: where((x < 0) & True, x, 1.0) + (False | (x > 1)) * x,
    "equal": lambda x: (x == 0.5) * 3.0 + (x != -1.0) * x + ((x < 0) == (x > 1)) * x,
    "negated": lambda x: where((x > 0) == 0, x, 2.0) + (1 - (x > 1)) * x,
    "count": lambda x: sum(x > k for k in range(3)) * x / 3,
    "function": lambda x: microgrud.maximum(x > 0, x) + microgrud.sum([x < 0, x]) + relu(x > 1),
    "result": lambda x: x > 0.5,
    "results": lambda x: [x > 0.5, (x > 0) + (x > 1), x],
    "infinite bound": lambda x: (x < math.inf) * x + (x < 10**400) * x + (x > -(10**400)),
    "nan": lambda x: (x < math.nan) * x + (x != math.nan) * x,
}


@pytest.mark.parametrize("name", sorted(ONE_RECORDING))
def test_a_comparison_that_is_used_as_a_number_makes_no_branch(name: str) -> None:
    f = ONE_RECORDING[name]
    compiled = compile(f, batched="x")
    found = compiled.map(X)
    expected = np.array([f(x) for x in X], dtype=float)
    assert np.array(found) == pytest.approx(expected, rel=1e-14)
    assert compiled.stats["paths"] == 1


@pytest.mark.parametrize("name", sorted(set(ONE_RECORDING) - {"result", "results"}))
def test_its_derivatives_are_those_of_eager_evaluation(name: str) -> None:
    f = ONE_RECORDING[name]

    def second(x: Any) -> Any:
        return hvp(lambda x: f(x) * x * x, (x,), (1.0,)) + jvp(f, (x,), (2.0,))[1]

    first = compile(grad(f), batched="x")
    higher = compile(second, batched="x")
    assert first.map(X).tolist() == pytest.approx([grad(f)(x) for x in X], rel=1e-13)
    assert higher.map(X).tolist() == pytest.approx([second(x) for x in X], rel=1e-13)
    assert (first.stats["paths"], higher.stats["paths"]) == (1, 1)


ASKED: dict[str, Callable[[Any], Any]] = {
    "if": lambda x: x if x > 0 else -x,
    "and": lambda x: x if x > 0 and x < 1 else -x,
    "not": lambda x: x if not x > 0 else -x,
    "chained": lambda x: x if 0 < x < 1 else -x,
    "index": lambda x: [x, -x][x > 0],
    "count as index": lambda x: [x, -x, 2.0 * x, x * x][(x > 0) + (x > 1) * 2],
    "negative count": lambda x: [x, -x, 2.0 * x, x * x][(x < 2) - 3 * (x > 0) - (x < -1)] * x,
    "large count": lambda x: x * hash((x > 0) * 1000 + (x > 1) * 37 - 7),
    "range": lambda x: sum(x for _ in range(x > 0)) + x,
    "key": lambda x: {False: x, True: -x}[x > 0],
    "set": lambda x: x * len({x > 0, True}),
    "text": lambda x: x if f"{x > 0}" == "True" and str(x > 0) == repr(x > 0) == "True" else -x,
    "int": lambda x: x * int(x > 0) + float(x > 1) + math.copysign(1.0, -(x > 0)),
    "integer operators": lambda x: (
        x * ((x > 0) << 2) + ((x > 0) + 5) // 2 + ((x > 0) | 6) % 4 + ~((x > 0) + 0) + abs(x > 0)
    ),
    "powers of integers": lambda x: x * (2 ** ((x > 0) + 1)) + divmod(5, (x > 0) + 1)[1] + round(x > 0),
    "json": lambda x: x * len(json.dumps(bool(x > 0))),
    "copies": lambda x: x * copy.copy(x > 0) + copy.deepcopy([x > 1])[0] * x,
    "any": lambda x: x if any([x > 1, x < -1]) else -x,
    "sorted": lambda x: sorted([x, 0.25, -0.25])[1] * x,
    "numpy": lambda x: x * float(np.float64(2.0) * (x > 0)) + x * np.array([x > 0, True], dtype=float).sum(),
    "numpy where": lambda x: x * float(np.where(x > 0, 2.0, 3.0)) + x * int(np.logical_not(x > 1)),
    "bools of numpy": lambda x: (
        x * ((x > 0) + np.bool_(True)) + ((x > 0) & np.bool_(True)) * x + (np.bool_(False) | (x > 1))
    ),
    "integers of numpy": lambda x: (
        [x, -x, 2.0 * x, x * x][(x > 0) * np.int64(2) + (x > 1)] + ((x > 0) * np.int8(100)) * x
    ),
    "fraction": lambda x: x * float(Fraction((x > 0) + 1, 3)) + (x > 1),
    "statistics": lambda x: x * float(statistics.mean([(x > 0) + 0, (x > 1) + 0])),
    "is": lambda x: x if (x > 0) is True else -x,
    "type": lambda x: x if type(x > 0) is bool else -x,
    "string": lambda x: x * len("ab" * (x > 0)),
    "value": lambda x: Value(x > 0) * x,
    "take": lambda x: take([1.0, 2.0], x > 0) * x,
}


@pytest.mark.parametrize("name", sorted(ASKED))
def test_an_outcome_that_python_asks_for_is_that_of_eager_evaluation(name: str) -> None:
    f = ASKED[name]
    compiled = compile(f, batched="x")
    expected = [(Value(0.0) + f(Value(x))).data for x in X]
    assert compiled.map(X).tolist() == expected
    assert [compile(f)(x) for x in X] == expected
    assert 1 <= compiled.stats["paths"] <= 4
    assert pickle.loads(pickle.dumps(compiled)).map(X).tolist() == expected  # every path is found again


def test_a_match_statement_sees_the_outcomes() -> None:
    def f(x: Any) -> Any:
        match (x > 0, x > 1):
            case (True, True):
                return x * x
            case (True, False):
                return -x
            case _:
                return 3.0 * x

    compiled = compile(f, batched="x")
    assert compiled.map(X).tolist() == [f(x) for x in X]
    assert compiled.stats["paths"] == 3


def test_it_is_an_instance_of_bool_and_a_count_one_of_int() -> None:
    def f(x: Any) -> Any:
        is_positive = x > 0
        assert isinstance(is_positive, bool)
        assert isinstance(is_positive + 1, int)
        assert not isinstance(is_positive + 1, bool)
        assert not isinstance(is_positive, Value)
        return is_positive * x

    compiled = compile(f, batched="x")
    assert compiled.map(X).tolist() == [f(x) for x in X]
    assert compiled.stats["paths"] == 1


def test_an_object_array_of_the_user_asks_each_element() -> None:
    compiled = compile(lambda v: np.sum(np.where(np.array([v[0], v[1]]) > 0, v, -2.0 * v)))
    assert [compiled(np.array(v)) for v in ([1.0, -1.0], [2.0, 3.0], [-1.0, -1.0])] == [3.0, 5.0, 4.0]
    assert compiled.stats["paths"] == 3


def test_a_comparison_that_is_kept_is_an_error() -> None:
    kept: list[Any] = []
    with pytest.raises(CompileError, match="keeps a number that it computed"):
        compile(lambda x: (kept.append(x * 2.0 > 0), x * x)[1] * kept[-1])(1.0)


def test_a_bad_operand_is_an_error_as_it_is_eagerly() -> None:
    for f in (lambda x: (x > 0) + "a", lambda x: (x > 0) * None, lambda x: (x > 0) & 2.5, lambda x: (x > 0) < "a"):
        with pytest.raises(TypeError):
            f(1.0)
        with pytest.raises(TypeError):
            compile(f)(1.0)
    with pytest.raises(ZeroDivisionError):
        compile(lambda x: x / (x > 0))(-1.0)


def test_a_pickled_recording_serves_both_outcomes() -> None:
    f = compile(lambda x: where((x < 0) & (x > -1.5), -x, x * x) + microgrud.max([x, 0.0, 1.0]), batched="x")
    f.value_and_grad(X[:1])
    again = pickle.loads(pickle.dumps(f))
    assert again.map(X).tolist() == f.map(X).tolist()
    assert again.stats["paths"] == 1


def test_a_listing_shows_comparisons_as_formulas() -> None:
    f = compile(lambda x, y: where(x < y, x, y))
    f(1.0, 2.0)
    assert "  v1 = x < y" in f.listing().splitlines()


def test_a_bouncing_ball_is_one_recording_whatever_the_samples_do() -> None:
    def height(h: Any, speed: Any) -> Any:
        for _ in range(60):
            speed = speed - 0.1 * 9.81
            h = h + 0.1 * speed
            is_below = h < 0
            h, speed = where(is_below, -h, h), where(is_below, -0.9 * speed, speed)
        return h

    heights = np.linspace(0.5, 3.0, 100)
    f = compile(height, batched=("h", "speed"))
    assert f.map(heights, 0.0 * heights).tolist() == pytest.approx([height(h, 0.0) for h in heights.tolist()])
    assert f.stats["paths"] == 1


def test_the_hessian_product_of_a_distance_to_the_nearest_of_many_is_one_recording() -> None:
    rng = np.random.default_rng(5)
    centres, points, direction = rng.normal(size=(12, 3)), rng.normal(size=(40, 3)), rng.normal(size=(12, 3))

    def loss(centres: Any, x: Any) -> Any:
        return microgrud.min([microgrud.sum([(a - b) ** 2 for a, b in zip(row, x)]) for row in centres])

    f = compile(loss, batched="x", max_paths=1)
    found = f.hvp((centres, points), (direction,))
    nearest = ((points[:, None, :] - centres[None]) ** 2).sum(-1).argmin(1)
    counts = np.bincount(nearest, minlength=12) / len(points)
    assert found == pytest.approx(2.0 * counts[:, None] * direction)


def test_a_network_with_kinks_has_one_recording_of_its_hessian_product() -> None:
    model = MLP(2, [6, 6, 1], activation="relu", rng=3)
    rows = np.random.default_rng(1).normal(size=(50, 2))
    f = compile(lambda x: model(x) ** 2, batched="x", max_paths=1)
    products = f.hvp((rows,), (np.ones_like(rows),))
    with no_grad():
        eager = [hvp(lambda x: model(x) ** 2, (row,), (np.ones(2),)) for row in rows[:5]]
    assert products[:5] * len(rows) == pytest.approx(np.array(eager), rel=1e-10)


@given(st.lists(st.floats(-3.0, 3.0) | st.sampled_from([0.0, 1.0, -1.0]), min_size=3, max_size=3), st.data())
def test_a_recording_of_kinks_holds_at_every_point(point: list[float], data: st.DataObject) -> None:
    def f(xs: Any) -> Any:
        a, b, c = xs
        least, most = microgrud.min([a, b, c]), microgrud.max([a * b, c, b])
        return least * most + abs(a - b) * relu(c) + microgrud.clip(a * c, -1.0, 1.0) * where(b < c, a * a, c)

    def second(xs: Any) -> list[Any]:
        return [*grad(f)(xs), *hvp(f, (xs,), ([1.0, -2.0, 0.5],))]

    compiled = compile(second)
    compiled([0.3, -0.7, 1.2])
    assert compiled(point) == pytest.approx(second(point), rel=1e-12, abs=1e-12)
    assert compiled.stats["paths"] == 1


@pytest.mark.parametrize("rule", [lambda z, x: x > 0, lambda z, x: (x > 0) * 1.0, lambda z, x: where(x > 0, 1.0, 0.0)])
def test_a_rule_of_a_custom_operation_may_compare(rule: Callable[..., Any]) -> None:
    positive = microgrud.custom_op("positive", lambda x: max(x, 0.0), rule)

    def f(x: Any) -> Any:
        return grad(lambda t: positive(t) * t)(x) + hvp(lambda t: positive(t) * t, (x,), (1.0,))

    compiled = compile(f, batched="x")
    assert compiled.map(X).tolist() == [f(x) for x in X]
    assert compiled.stats["paths"] <= 2


def test_comparisons_that_some_paths_do_not_use_leave_one_tree_of_paths() -> None:
    calls: list[int] = []

    def f(x: Any, y: Any) -> Any:
        calls.append(1)
        first, second = x > 0, y > 0
        if second and x * y < 1.0:
            return x * y if first else x - y
        return y * y

    compiled = compile(f)
    points = [(x, y) for x in (-1.0, 0.5, 2.0) for y in (-1.0, 0.5, 2.0)]
    expected = [f(*point) for point in points]
    for _ in range(2):
        assert [compiled(*point) for point in points] == expected
    calls.clear()
    assert [compiled(*point) for point in points] == expected
    assert not calls  # no path is recorded again
    again = pickle.loads(pickle.dumps(compiled))
    assert [again(*point) for point in points] == expected
