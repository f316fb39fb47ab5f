"""Structures: None, dataclasses, dicts that keep their class, and columns and tables of other libraries."""

from __future__ import annotations

import copy
import functools
import pickle
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from arrays import np

from microgrud import (
    Value,
    compile,
    enable_grad,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jvp,
    no_grad,
    sin,
    value_and_grad,
    vjp,
)
from microgrud.losses import l2_penalty, squared_error
from microgrud.nn import MLP, Linear, Module, Sequential, functional_call
from microgrud.testing import check_gradients
from microgrud.train import fit


@dataclass(frozen=True)
class Line:
    slope: Any
    offset: Any = 0.0
    name: str | None = None

    def at(self, x: Any) -> Any:
        return self.slope * x + self.offset


@dataclass
class Box:
    """A class whose constructor refuses Values, and which caches what it computes."""

    sides: list[Any]
    made: int = field(default=1, repr=False)

    def __post_init__(self) -> None:
        if not all(type(side) is float for side in self.sides):
            raise TypeError("expected floats")

    @functools.cached_property
    def area(self) -> Any:
        return self.sides[0] * self.sides[1]


def error(line: Line) -> Any:
    return sin(line.at(2.0)) ** 2


WAYS = {"eager": lambda transform, f: transform(f), "compiled": lambda transform, f: compile(transform(f))}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_dataclass_is_a_structure(way: Any) -> None:
    line = Line(0.3, 0.1)
    slopes = way(grad, error)(line)
    assert isinstance(slopes, Line)
    assert slopes.name is None
    inner = float(2 * np.sin(0.7) * np.cos(0.7))
    assert (slopes.slope, slopes.offset) == pytest.approx((2 * inner, inner), rel=1e-14)
    second = way(hessian, error)(line)
    curvature = float(2 * np.cos(1.4))
    assert second.slope.slope == pytest.approx(4 * curvature, rel=1e-14)
    assert second.offset.slope == pytest.approx(2 * curvature, rel=1e-14)
    product = hvp(error, line, Line(1.0, 10.0))
    assert product.offset == pytest.approx(12 * curvature, rel=1e-14)


def test_a_compiled_function_takes_and_returns_dataclasses() -> None:
    shifted = compile(lambda line, by: Line(line.slope, line.offset + by, line.name))
    assert shifted(Line(1.0, 2.0), 3.0) == Line(1.0, 5.0)
    assert shifted(Line(2.0, 4.0), 3.0) == Line(2.0, 7.0)
    assert shifted.stats["signatures"] == 1
    assert pickle.loads(pickle.dumps(shifted))(Line(5.0, 0.0), 1.0) == Line(5.0, 1.0)
    assert compile(error).value_and_grad(Line(0.3, 0.1))[1] == grad(error)(Line(0.3, 0.1))
    assert compile(lambda line, x: line.at(x), batched="x")(Line(2.0, 1.0), np.array([1.0, 3.0])) == 5.0


def test_what_a_dataclass_has_cached_is_not_in_its_copies() -> None:
    box = Box([2.0, 3.0])
    assert box.area == 6.0
    assert grad(lambda b: b.area)(box).sides == [3.0, 2.0]
    area = compile(lambda b: b.area)
    assert [area(box), area(Box([4.0, 5.0]))] == [6.0, 20.0]
    box.sides[0] = 10.0
    assert area(box) == 30.0  # and not the 6.0 of the cache, which the user would see


def test_settings_without_numbers_keep_their_identity() -> None:
    plain = Line("a", "b")
    chosen = {id(plain): 2.0}
    assert compile(lambda x, line: x * chosen[id(line)])(3.0, plain) == 6.0


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_none_has_no_numbers(way: Any) -> None:
    def f(p: Any) -> Any:
        return p["w"] ** 2 if p["b"] is None else p["w"] * p["b"]

    assert way(grad, f)({"w": 3.0, "b": None}) == {"w": 6.0, "b": None}
    assert way(grad, f)({"w": 3.0, "b": 5.0}) == {"w": 5.0, "b": 3.0}
    assert way(jacobian, lambda x: [x * x, None])(3.0) == [6.0, None]
    assert jvp(lambda x: (x * x, None), 3.0, 1.0) == ((9.0, None), (6.0, None))
    compiled = compile(lambda x: {"y": x, "z": None})
    assert [compiled(1.0), compiled(2.0)] == [{"y": 1.0, "z": None}, {"y": 2.0, "z": None}]
    with pytest.raises(TypeError, match="expected a number, .* got NoneType"):
        compile(lambda x: None)(1.0)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_dicts_keep_their_class(way: Any) -> None:
    g = way(grad, lambda p: p["b"] ** 2 if isinstance(p, OrderedDict) else p["b"])
    slopes = g(OrderedDict(b=2.0, a=3.0))
    assert type(slopes) is OrderedDict
    assert list(slopes.items()) == [("b", 4.0), ("a", 0.0)]
    assert g({"b": 2.0, "a": 3.0}) == {"b": 1.0, "a": 0.0}  # of another class, so of another recording
    counts = way(grad, lambda c: c["x"] ** 2 + sum([c.get("y", 0.0)]))(defaultdict(float, x=2.0))
    assert type(counts) is defaultdict
    assert counts == {"x": 4.0}
    assert counts["absent"] == 0.0


COLUMNS = {
    "Series": pd.Series([1.0, 2.0]),
    "nullable": pd.Series([1, 2], dtype="Int64"),
    "nullable floats": pd.Series([1.0, 2.0], dtype="Float64"),
    "Arrow": pd.Series([1.0, 2.0], dtype="double[pyarrow]"),
    "Arrow integers": pd.Series([1, 2], dtype="int64[pyarrow]"),
    "sparse": pd.Series(pd.arrays.SparseArray([1.0, 2.0])),
    "PyArrow": pa.array([1.0, 2.0]),
    "PyArrow, chunks": pa.chunked_array([[1.0], [2.0]]),
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_a_column_is_an_array(column: Any) -> None:
    def f(x: Any) -> Any:
        return (x * x * x).sum()

    for compute in (grad(f), compile(grad(f))):
        assert compute(column).tolist() == [3.0, 12.0]
    assert value_and_grad(compile(f))(column)[0] == 9.0
    assert compile(f)(column) == 9.0
    assert compile(lambda x, w: w * x, batched="x").value_and_grad(column, 2.0, argnums=1) == (3.0, 1.5)


TABLES = {
    "frame": pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}),
    "mixed": pd.DataFrame({"a": pd.Series([1, 2], dtype="Int64"), "b": pd.Series([3.0, 4.0], dtype="double[pyarrow]")}),
    "PyArrow": pa.table({"a": [1.0, 2.0], "b": [3, 4]}),
}


def test_gradients_of_columns_can_be_checked() -> None:
    def f(x: Any, line: Any) -> Any:
        return line.at(x[0] * x[1])

    report = check_gradients(f, COLUMNS["nullable floats"], Line(2.0))
    assert [verdict.inputs for verdict in report.verdicts] == [("x[0]",), ("x[1]",), ("line.slope",), ("line.offset",)]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_is_an_array_of_rows(table: Any) -> None:
    assert grad(lambda t: (t[:, 0] * t[:, 1]).sum())(table).tolist() == [[3.0, 1.0], [4.0, 2.0]]
    assert compile(lambda row: row[0] * row[1], batched="row")(table) == 5.5


def test_missing_numbers_are_nan_and_missing_truth_values_an_error() -> None:
    gaps = pd.Series([1.0, None], dtype="Float64")
    assert np.isnan(grad(lambda x: x[0] * x[1])(gaps)).tolist() == [True, False]
    assert np.isnan(compile(lambda x: x[0] * x[1])(pa.array([1.0, None])))
    for wrong in (pd.Series([True, None], dtype="boolean"), pa.array([True, None])):
        with pytest.raises(TypeError, match=r"argument 0 of <lambda>: expected numbers, got a column with missing"):
            grad(lambda x: x[0])(wrong)


def test_values_in_structures_stay_connected() -> None:
    w = Value(3.0)
    slopes = grad(error)(Line(w, 0.1))
    slopes.slope.backward()
    assert w.grad == pytest.approx(hessian(error)(Line(3.0, 0.1)).slope.slope, rel=1e-14)


# --- a module as an argument -----------------------------------------------------------------------------------------


def loss(model: MLP, x: Any) -> Any:
    return squared_error(model(x), 0.25)


def by_hand(x: list[float]) -> dict[str, float]:
    model = MLP(2, [2, 1], activation="tanh", rng=0)
    with enable_grad():
        loss(model, x).backward()
    return {name: p.grad for name, p in model.named_parameters()}


def test_the_derivatives_with_respect_to_a_module_have_the_names_of_its_parameters() -> None:
    model, x = MLP(2, [2, 1], activation="tanh", rng=0), [0.5, -1.0]
    with no_grad():
        assert grad(loss)(model, x) == by_hand(x)
        value, (slopes, of_x) = value_and_grad(loss, argnums=(0, 1))(model, x)
        assert (value, slopes) == (loss(model, x).data, by_hand(x))
        assert of_x == grad(loss, argnums=1)(model, x)
        direction = dict.fromkeys(slopes, 0.5)
        assert jvp(loss, (model, x), (direction, [0.0, 0.0]))[1] == pytest.approx(0.5 * sum(slopes.values()), rel=1e-14)
        assert vjp(loss, model, x)[1](1.0)[0] == slopes
        second = hessian(loss)(model, x)
        assert list(second) == list(second["layers.0.neurons.0.b"]) == list(slopes)
        product = hvp(loss, (model, x), direction)
        assert product["layers.0.neurons.0.b"] == pytest.approx(
            0.5 * sum(second["layers.0.neurons.0.b"].values()), rel=1e-12
        )
        assert jacfwd(loss)(model, x) == pytest.approx(slopes, rel=1e-14)
    assert all(p.grad == 0.0 for p in model.parameters())


def test_a_penalty_on_the_gradient_of_a_module_trains_it() -> None:
    model, x = MLP(2, [2, 1], activation="tanh", rng=0), [0.5, -1.0]

    def penalty(model: MLP) -> Any:
        return sum(slope**2 for slope in grad(loss)(model, x).values())

    penalty(model).backward()
    with no_grad():
        second, slopes = hessian(loss)(model, x), grad(loss)(model, x)
    for name, p in model.named_parameters():
        assert p.grad == pytest.approx(2.0 * sum(second[name][other] * slopes[other] for other in slopes), rel=1e-12)


def test_a_recording_of_derivatives_reads_the_parameters_of_a_module_at_each_call() -> None:
    model, x = MLP(2, [2, 1], activation="tanh", rng=0), [0.5, -1.0]
    compiled = compile(lambda x: grad(loss)(model, x))
    assert compiled(x) == pytest.approx(by_hand(x), rel=1e-14)
    model.layers[0].neurons[0].b.data = 0.75
    with no_grad():
        assert compiled(x) == pytest.approx(grad(loss)(model, x), rel=1e-14)
    assert compiled.stats["paths"] == 1


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_model_predicts_the_rows_of_any_table(table: Any) -> None:
    model = MLP(2, [2, 1], activation="tanh", rng=0)
    expected = [model([1.0, 3.0]).data, model([2.0, 4.0]).data]
    assert [y.data for y in model(table)] == expected
    assert model.predict(table).tolist() == pytest.approx(expected, rel=1e-14)


def penalised(model: MLP, x: Any) -> Any:
    return loss(model, x) + l2_penalty(model.parameters(), 0.5)


def test_the_parameters_of_a_module_that_is_an_argument_are_those_that_vary() -> None:
    model, x = MLP(2, [2, 1], activation="tanh", rng=0), [0.5, -1.0]
    with enable_grad():
        penalised(model, x).backward()
    expected = {name: p.grad for name, p in model.named_parameters()}
    with no_grad():
        assert grad(penalised)(model, x) == pytest.approx(expected, rel=1e-13)
        assert grad(compile(penalised))(model, x) == pytest.approx(expected, rel=1e-13)
        assert compile(lambda x: grad(penalised)(model, x))(x) == pytest.approx(expected, rel=1e-13)
        names = list(expected)
        second, plain = hessian(penalised)(model, x), hessian(loss)(model, x)
        assert list(second) == names
        assert [second[n][n] - plain[n][n] for n in names] == pytest.approx([1.0] * len(names), rel=1e-9)
        assert jacobian(lambda m: [p * p for p in m.parameters()])(model)[0] == {
            name: (2.0 * p.data if name == names[0] else 0.0) for name, p in model.named_parameters()
        }
        assert jacobian(lambda m: grad(penalised)(m, x))(model).keys() == second.keys()


@pytest.mark.parametrize("connected", [True, False])
def test_steps_may_make_a_new_module_each(connected: bool) -> None:
    model, x = MLP(2, [2, 1], activation="tanh", rng=0), [0.5, -1.0]
    by_hand, losses = copy.deepcopy(model), []
    for _ in range(3):
        with enable_grad() if connected else no_grad():
            value, slopes = value_and_grad(penalised)(model, x)
            model = model.with_parameters({name: p - 0.1 * slopes[name] for name, p in model.named_parameters()})
        losses.append(float(value.data) if connected else value)
    for step in range(3):
        by_hand.zero_grad()
        value = penalised(by_hand, x)
        value.backward()
        assert losses[step] == pytest.approx(value.data, rel=1e-14)
        by_hand.set_vector(by_hand.get_vector() - 0.1 * by_hand.get_gradient_vector())
    for kept in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert kept.state_dict() == pytest.approx(by_hand.state_dict(), rel=1e-14)
        assert kept.get_vector() == pytest.approx(by_hand.get_vector(), rel=1e-14)


def test_numbers_in_place_of_parameters_can_be_trained_but_not_asked_for() -> None:
    model = MLP(2, [2, 1], activation="tanh", rng=0)
    moved = model.with_parameters({name: x + 1.0 for name, x in model.state_dict().items()})
    assert moved.get_vector() == pytest.approx(model.get_vector() + 1.0)
    assert fit(moved, [[0.0, 1.0]] * 4, [1.0] * 4, loss=squared_error, epochs=3, progress=False).loss[-1] < 1e9

    class Penalised(Module):
        def __init__(self) -> None:
            self.w = Value(2.0)

        def forward(self, x: Any) -> Any:
            return self.w * x + l2_penalty(self.parameters(), 1.0)

    assert functional_call(Penalised(), {"w": Value(3.0)}, 1.0).data == 12.0
    assert grad(lambda p: functional_call(Penalised(), p, 1.0))({"w": 3.0}) == {"w": 7.0}
    with pytest.raises(ValueError, match="functional_call was given numbers"):
        functional_call(Penalised(), {"w": 3.0}, 1.0)


def numbers(tree: dict[str, Any]) -> dict[str, Any]:
    return {name: numbers(x) if isinstance(x, dict) else float(x.data) for name, x in tree.items()}


def test_derivatives_of_higher_order_with_respect_to_a_module_have_all_parameters() -> None:
    model, x = MLP(2, [2, 1], activation="tanh", rng=0), [0.5, -1.0]
    with no_grad():
        expected = hessian(loss)(model, x)
    assert numbers(hessian(loss)(model, x)) == expected
    penalty = grad(lambda model: sum(slope**2 for slope in grad(loss)(model, x).values()))(model)
    slopes = by_hand(x)
    for name, found in numbers(penalty).items():
        assert found == pytest.approx(2.0 * sum(expected[name][other] * slopes[other] for other in slopes), rel=1e-12)


@pytest.mark.parametrize("held", [lambda m: m, lambda m: Sequential(m, Linear(1, 1).freeze()), copy.deepcopy])
def test_a_function_of_a_module_may_ask_it_for_its_parameters(held: Any) -> None:
    model = MLP(2, [2, 1], rng=0)
    slopes = grad(lambda m: sum(p * p for p in held(m).parameters()) + 0.0 * m([0.5, -1.0]))(model)
    assert numbers(slopes) == {name: 2.0 * p.data for name, p in model.named_parameters()}


class Shared(Module):
    """A module whose class holds its parameter and another module."""

    w = Value(2.0)
    inner = Linear(1, 1, rng=0)

    def forward(self, x: Any) -> Any:
        return self.w * self.inner([x]) ** 2


def test_parameters_that_a_class_holds_have_derivatives() -> None:
    model = Shared()
    inner, names = Shared.inner([3.0]).data, [name for name, _ in model.named_parameters()]
    first, second = numbers(grad(Shared.forward)(model, 3.0)), numbers(hessian(Shared.forward)(model, 3.0))
    assert list(first) == list(second) == names
    assert first["w"] == pytest.approx(inner**2, rel=1e-14)
    assert first[names[-1]] == second["w"][names[-1]] * 2.0 == pytest.approx(4.0 * inner, rel=1e-14)
    assert [name for name, _ in model.named_parameters()] == names
    assert vars(model).keys() <= {"training"}


class Closed(Module):
    """A module with a function that closes over it."""

    def __init__(self) -> None:
        self.inner = Linear(1, 1, rng=0)
        self.function = lambda x: self.inner(x)

    def forward(self, x: Any) -> Any:
        return self.function(x)


def test_a_module_that_its_copy_does_not_reach_is_refused() -> None:
    model, x = Closed(), [2.0]
    for transform in (grad, jacobian, hessian):
        with pytest.raises(ValueError, match=r"closes over the module: call methods of the module instead"):
            transform(lambda m: m(x) ** 2)(model)
    anchor = MLP(1, [1], rng=0)
    with no_grad():
        slopes = grad(lambda m: sum((p - q.detach()) ** 2 for p, q in zip(m.parameters(), anchor.parameters())))(anchor)
    assert set(slopes.values()) == {0.0}


class Keeping(Module):
    """A module that keeps a result of its parameter."""

    def __init__(self) -> None:
        self.w = Value(2.0)
        self.tripled = [self.w * 3.0]

    def forward(self, x: Any) -> Any:
        return self.tripled[0] * x


def test_a_module_that_keeps_a_result_of_its_parameters_is_refused() -> None:
    model = Keeping()
    for transform in (grad, hessian, lambda f: lambda m: functional_call(m, {"w": 1.0}, 1.0)):
        for mode in (enable_grad(), no_grad()):
            with mode, pytest.raises(ValueError, match=r"keeps a result of an operation, Keeping\.tripled\.0: compute"):
                transform(lambda m: m(1.0) ** 2)(model)
