"""Results of compiled functions: of any structure, from replays too, and in one layout for many samples."""

from __future__ import annotations

import pickle
from collections import namedtuple
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, strategies as st

import microgrud as mg
from microgrud import Value, compile, grad
from microgrud.autodiff.trees import flatten

X = np.random.default_rng(0).normal(size=(70, 3))


class Pair(NamedTuple):
    first: Any
    second: Any


class Reversed(namedtuple("Reversed", "a b")):
    """A named tuple that is made in its own manner."""

    @classmethod
    def _make(cls, items: Any) -> Any:
        return super()._make(list(items)[::-1])


class Stack(list):  # type: ignore[type-arg]
    """A list that is another class."""


leaves = st.one_of(st.just("number"), st.lists(st.integers(0, 3), max_size=2).map(tuple))
structures = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(lambda items: ("tuple", items)),
        st.lists(inner, max_size=4).map(lambda items: ("stack", items)),
        st.dictionaries(st.one_of(st.text(max_size=3), st.integers()), inner, max_size=4),
        st.tuples(inner, inner).map(lambda items: Pair(*items)),
        st.tuples(inner, inner).map(lambda items: Reversed(*items)),
    ),
    max_leaves=12,
)


def filled(shape: Any, number: Any) -> Any:
    """Return a structure as drawn, with number(k) as the k-th number."""
    places = iter(range(10_000))

    def made(x: Any) -> Any:
        if x == "number":
            return number(next(places))
        if isinstance(x, (Pair, Reversed)):
            return type(x)(*map(made, x))
        if isinstance(x, dict):
            return {key: made(item) for key, item in x.items()}
        if isinstance(x, list):
            return [made(item) for item in x]
        if x and x[0] in ("tuple", "stack"):
            return {"tuple": tuple, "stack": Stack}[x[0]](map(made, x[1]))
        array = np.empty(x, dtype=object)
        for place in np.ndindex(*x):
            array[place] = number(next(places))
        return array

    return made(shape)


def shown(x: Any) -> Any:
    """Return a structure as nested tuples with the classes, for comparison."""
    if isinstance(x, dict):
        return "dict", [(key, shown(item)) for key, item in x.items()]
    if isinstance(x, (list, tuple)):
        return type(x), [shown(item) for item in x]
    if isinstance(x, np.ndarray):
        return x.shape, [float(item) for item in x.ravel()]
    return type(x), x


@given(structures, st.sampled_from([None, "mean", "sum"]))
def test_results_of_any_structure_are_those_of_the_function(shape: Any, reduction: str | None) -> None:
    def f(x: Any) -> Any:
        return filled(shape, lambda k: x * float(k) if k % 3 else float(k))

    compiled = compile(f, batched=() if reduction is None else "x", reduction=reduction or "mean")
    weight = 3.0 if reduction == "sum" else 1.0
    numbers, structure = flatten(
        filled(shape, lambda k: weight * (1.5 * float(k) if k % 3 else float(k))), "the result"
    )
    argument = 1.5 if reduction is None else np.full(3, 1.5)
    for _ in range(3):
        assert shown(compiled(argument)) == shown(structure.rebuild(numbers))


def test_results_keep_their_classes_in_replays() -> None:
    f = compile(lambda x: {"b": Pair(x, [2.0 * x]), 7: (Stack([x, x]), Reversed(x, 3.0 * x)), "a": np.array([x, -x])})
    for _ in range(3):
        found = f(2.0)
        assert list(found) == ["b", 7, "a"]
        assert found["b"] == Pair(2.0, [4.0])
        assert type(found["b"]) is Pair
        assert type(found[7][0]) is Stack
        assert found[7] == ([2.0, 2.0], Reversed(6.0, 2.0))  # as rebuilding it with numbers gives in any transform
        assert found["a"].dtype == np.float64
        assert found["a"].tolist() == [2.0, -2.0]
    found["a"][0] = 9.0  # results are the caller's own
    assert f(2.0)["a"].tolist() == [2.0, -2.0]
    hash(found["b"][0])


def test_one_number_keeps_its_structure_in_every_method() -> None:
    w = Value(3.0)
    f = compile(lambda x: [w * x])
    for _ in range(3):
        assert f(2.0) == [6.0]
        assert f.backward(2.0) == [6.0]
        assert f.value_and_grad(2.0) == ([6.0], 3.0)
    assert w.grad == 6.0


def test_a_result_that_is_nested_deeply_is_returned() -> None:
    def nested(x: Any) -> Any:
        for _ in range(150):
            x = [x]
        return x

    f = compile(nested)
    expected = repr(nested(2.0))
    assert [repr(f(2.0)) for _ in range(3)] == [expected] * 3


def test_results_come_back_from_a_pickle() -> None:
    f = compile(lambda x: {"a": [x, (x, 2.0 * x)], "p": Pair(x, np.array([x]))}, batched="x")
    f(X[:, 0])
    twin = pickle.loads(pickle.dumps(f))
    assert repr(twin(X[:, 0])) == repr(twin(X[:, 0])) == repr(f(X[:, 0]))
    assert repr(twin.map(X[:, 0])) == repr(f.map(X[:, 0]))


# --- one layout for many samples ---

SEQUENCES = [
    lambda *numbers: list(numbers),
    lambda *numbers: tuple(numbers),
    lambda *numbers: Stack(numbers),
    lambda *numbers: np.array(numbers),
]


@pytest.mark.parametrize("sequence", SEQUENCES)
@pytest.mark.parametrize("samples", [1, 2, 70])
def test_map_gives_samples_by_outputs_whatever_the_sequence(sequence: Any, samples: int) -> None:
    f = compile(lambda x: sequence(x[0] * x[1], x[2] if x[0] > 0.0 else -x[2], 4.0), batched="x")
    x = X[:samples]
    expected = np.array([x[:, 0] * x[:, 1], np.where(x[:, 0] > 0.0, x[:, 2], -x[:, 2]), np.full(samples, 4.0)]).T
    for _ in range(3):
        found = f.map(x)
        assert found.shape == (samples, 3)
        assert found.tolist() == expected.tolist()
    assert f.map(x.tolist()).tolist() == f.map(x.tolist()).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("result", "shapes"),
    [
        (lambda x: x, ()),
        (lambda x: [x], (1,)),
        (lambda x: [], (0,)),
        (lambda x: np.array(x), ()),
        (lambda x: [[x, x], (x, x), np.array([x, x])], (3, 2)),
        (lambda x: [np.array([[x], [x]])] * 4, (4, 2, 1)),
        (lambda x: (x, [x, x]), [(), (2,)]),
        (lambda x: [[x], [x, x]], [(1,), (2,)]),
        (lambda x: {"a": x, "b": [x, x]}, {"a": (), "b": (2,)}),
        (lambda x: Pair(x, (x, x)), Pair((), (2,))),
        (lambda x: [Pair(x, x), Pair(x, x)], [Pair((), ())] * 2),
        (lambda x: ({"a": x}, x), [{"a": ()}, ()]),
    ],
)
def test_sequences_of_one_shape_are_arrays_and_fields_are_kept(result: Any, shapes: Any) -> None:
    def shapes_of(x: Any) -> Any:
        if isinstance(x, np.ndarray):
            assert x.shape[0] == 5
            return x.shape[1:]
        if isinstance(x, dict):
            return {key: shapes_of(item) for key, item in x.items()}
        return Pair(*map(shapes_of, x)) if isinstance(x, Pair) else [shapes_of(item) for item in x]

    f = compile(result, batched="x")
    x = np.arange(5.0)
    on_values = f.map([Value(k) for k in x])  # the function itself
    for _ in range(3):
        assert shapes_of(f.map(x)) == shapes
        assert type(f.map(x)) is type(on_values)
    assert shapes_of(on_values) == shapes


def test_map_is_differentiable_in_the_same_layout() -> None:
    f = compile(lambda x, w: [w * x, (w * x) ** 2], batched="x")
    x = [1.0, 2.0, 3.0]
    assert f.map(x, 2.0).tolist() == [[2.0, 4.0], [4.0, 16.0], [6.0, 36.0]]
    assert grad(lambda w: f.map(x, w)[2, 1])(2.0) == pytest.approx(36.0)
    w = Value(2.0)
    mg.sum(f.map(x, w)[:, 0].tolist()).backward()
    assert w.grad == 6.0


def test_map_takes_every_branch_and_evaluates_what_is_not_finite() -> None:
    f = compile(lambda x: (mg.log(x) if x > 0.5 else 1.0 / x, x), batched="x")
    x = np.array([1.0, -1.0, 2.0, 0.25])
    expected = [[0.0, 1.0], [-1.0, -1.0], [pytest.approx(np.log(2.0)), 2.0], [4.0, 0.25]]
    for _ in range(3):
        assert f.map(x).tolist() == expected
    with pytest.raises(ZeroDivisionError, match=r"sample 1 of the batch"):
        f.map(np.array([1.0, 0.0]))
    assert f.map(x).tolist() == expected
