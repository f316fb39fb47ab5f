"""Subclasses of list, tuple and named tuples whose constructors convert or compare the items that they get."""

from __future__ import annotations

import pickle
from collections import namedtuple
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from arrays import np
from lines import ROWS, Line, train

from microgrud import CompileError, Value, compile, grad, jacobian, jvp, value_and_grad
from microgrud.testing import check_gradients


class Floats(list):  # type: ignore[type-arg]
    """A list that converts its items."""

    def __init__(self, items: Iterable[Any]) -> None:
        super().__init__(x if isinstance(x, Value) else float(x) for x in items)


class Ranged(tuple):  # type: ignore[type-arg]
    """A tuple that compares its items."""

    largest: Any

    def __new__(cls, items: Iterable[Any]) -> Ranged:
        made = super().__new__(cls, items)
        made.largest = max(made)
        return made


class Segment(namedtuple("Segment", "low high")):
    """A named tuple that compares its items, and converts them."""

    __slots__ = ()

    def __new__(cls, low: Any, high: Any) -> Segment:
        assert abs(low) < 1e6 > abs(high)
        return super().__new__(cls, *(x if isinstance(x, Value) else float(x) for x in (low, high)))

    @classmethod
    def _make(cls, items: Iterable[Any]) -> Segment:
        return cls(*items)


class Limits(namedtuple("Limits", "low high")):
    """A named tuple of another class."""

    __slots__ = ()


MAKERS: list[Callable[[list[Any]], Any]] = [Floats, Ranged, Segment._make]
with_each_class = pytest.mark.parametrize("make", MAKERS, ids=["list", "tuple", "named tuple"])


def product(v: Any) -> Any:
    return v[0] * v[1]


def check(found: Any, make: Callable[[list[Any]], Any], numbers: list[float]) -> None:
    assert type(found) is type(make([0.0, 0.0]))
    assert list(found) == numbers


@with_each_class
def test_derivatives_with_respect_to_it_come_in_it(make: Any) -> None:
    point = make([1.0, 2.0])
    check(grad(product)(point), make, [2.0, 1.0])
    value, slopes = value_and_grad(product)(point)
    assert value == 2.0
    check(slopes, make, [2.0, 1.0])
    (row,) = jacobian(lambda v: [product(v)])(point)
    check(row, make, [2.0, 1.0])
    check(grad(lambda d: product(d["v"]))({"v": point})["v"], make, [2.0, 1.0])
    for slopes in grad(lambda v, w: product(v) + product(w), argnums=(0, 1))(point, point):
        check(slopes, make, [2.0, 1.0])


@with_each_class
def test_derivatives_of_a_result_come_in_it(make: Any) -> None:
    check(jacobian(lambda x: make([x, x * x]))(3.0), make, [1.0, 6.0])
    value, slope = jvp(lambda x: make([x, x * x]), (3.0,), (1.0,))
    check(value, make, [3.0, 9.0])
    check(slope, make, [1.0, 6.0])


@with_each_class
def test_a_compiled_function_takes_and_returns_it(make: Any) -> None:
    f = compile(lambda v: make([v[0] + v[1], v[0] * v[1]]))
    for numbers in ([1.0, 2.0], [3.0, 4.0], [3.0, 4.0]):
        check(f(make(numbers)), make, [numbers[0] + numbers[1], product(numbers)])
    check(compile(grad(product))(make([1.0, 2.0])), make, [2.0, 1.0])
    check(compile(product).value_and_grad(make([1.0, 2.0]))[1], make, [2.0, 1.0])
    assert compile(product).hvp((make([1.0, 2.0]),), (make([1.0, 0.0]),)) == make([0.0, 1.0])


def ascending(x: Any) -> Floats:
    return Floats([x, x * x])


def segment(x: Any) -> Segment:
    return Segment(x, x * x)


@pytest.mark.parametrize(("f", "make"), [(ascending, Floats), (segment, Segment._make)])
def test_a_pickled_compiled_function_returns_it(f: Any, make: Any) -> None:
    compiled = compile(f)
    check(compiled(3.0), make, [3.0, 9.0])
    again = pickle.loads(pickle.dumps(compiled))
    check(again(2.0), make, [2.0, 4.0])


@with_each_class
def test_check_gradients_takes_it(make: Any) -> None:
    assert check_gradients(product, make([1.0, 2.0]))
    assert check_gradients(lambda v: make([v[0], product(v)]), make([1.0, 2.0]))
    assert check_gradients(lambda x: make([x, x * x]), 3.0)


def distance(p: Value, target: Any) -> Value:
    return (p - target[0]) ** 2 + (p - target[1]) ** 2


@pytest.mark.parametrize("make", [*MAKERS, lambda items: (np.array(items[:1]), np.array(items[1:]))])
def test_fit_takes_targets_of_it(make: Any) -> None:
    kind = type(make([0.0, 1.0]))

    def loss(p: Value, target: Any) -> Value:
        assert type(target) is kind
        return distance(p, target) if kind is not tuple else distance(p, [target[0][0], target[1][0]])

    histories = []
    for way in (True, False):
        model = Line(0.1, 0.2)
        history = train(model, y=[make([k / 10, k / 5]) for k in range(len(ROWS))], loss=loss, compile=way)
        assert history.engine == ("tape" if way else "eager")
        histories.append((history.loss, model.numbers))
    assert histories[0][0] == pytest.approx(histories[1][0], rel=1e-9)
    assert histories[0][1] == pytest.approx(histories[1][1], rel=1e-9)


@pytest.mark.parametrize("other", [list, tuple, Floats, Ranged, Limits._make])
def test_targets_of_different_classes_are_not_recorded(other: Any) -> None:
    targets = [Segment(k / 10, k / 5) for k in range(len(ROWS))]
    with pytest.raises(CompileError, match="some targets are lists and others tuples"):
        train(Line(0.1, 0.2), y=[*targets[:-1], other([0.1, 0.2])], loss=distance, compile=True)
