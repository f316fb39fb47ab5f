"""The public functions: each is in the table, is a method too, and takes floats and mpmath numbers."""

from __future__ import annotations

import inspect
import math
from types import ModuleType
from typing import Any

import mpmath
import pytest
from arrays import np
from public_names import public_names
from truth import CONSTANTS, PRIVATE

import microgrud
from microgrud import Value, functions, special
from microgrud.engine import ops
from microgrud.engine.methods import OperationMethods


def public(module: ModuleType) -> list[str]:
    """The names of the functions that a module defines."""
    return [
        name
        for name, f in vars(module).items()
        if inspect.isfunction(inspect.unwrap(f)) and f.__module__ == module.__name__ and name[0] != "_"
    ]


SPECIAL = public(special)
PUBLIC = [*public(functions), *SPECIAL]
#: Entries of the table; some special functions consist of several.
OF_NUMBERS = [
    name for name in PUBLIC if name in ops.TABLE and ops.TABLE[name].arity is not None and name not in CONSTANTS
]


def operands(name: str) -> list[float]:
    """A point inside the domain of an operation."""
    if name == "acosh":
        return [1.5]
    return [0.5, 0.25, 0.75][: ops.TABLE[name].arity]


def test_every_operation_without_an_operator_is_a_public_function() -> None:
    operators = "add subtract multiply divide floor_divide modulo negate identity round".split()
    assert {*PUBLIC} - ({*SPECIAL} - {*ops.TABLE}) == {*ops.TABLE} - {*operators} - PRIVATE
    assert len(PUBLIC) == len({*PUBLIC})
    assert set(PUBLIC) <= set(public_names(microgrud))


def test_each_method_has_its_own_name_in_a_traceback() -> None:
    names = {name: f.__code__.co_name for name, f in vars(OperationMethods).items() if name in OF_NUMBERS}
    assert len(names) > 40
    assert list(names.values()) == list(names)


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_function_method_and_table_agree(name: str) -> None:
    function, operation, xs = getattr(microgrud, name), ops.TABLE[name], operands(name)
    nodes = [Value(x) for x in xs]
    result = function(*nodes)
    assert result.data == operation.evaluate(xs)
    assert result._prev == tuple(nodes)
    assert result._op == operation.symbol
    if name != "where" and (name not in SPECIAL or isinstance(getattr(np, name, None), np.ufunc)):
        assert getattr(nodes[0], name)(*nodes[1:]).data == result.data


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_functions_compute_on_floats_and_mpmath_numbers(name: str) -> None:
    function, xs = getattr(microgrud, name), operands(name)
    on_floats = function(*xs)
    assert type(on_floats) is float
    with mpmath.workdps(50):
        exact = function(*[mpmath.mpf(x) for x in xs])
        assert isinstance(exact, mpmath.mpf)
        assert float(exact) == pytest.approx(on_floats, rel=1e-15, abs=1e-300)


@pytest.mark.parametrize("name", sorted(ops.TABLE))
def test_every_operation_of_the_table_is_complete(name: str) -> None:
    operation = ops.TABLE[name]
    assert operation.name == name
    assert operation.symbol
    assert operation.definition is not None
    if operation.arity is not None:
        assert not callable(operation.partials)
        assert len(operation.partials) == len(operation.domain) == operation.arity


def test_numpy_scalars_and_integers_are_numbers_and_give_floats() -> None:
    for result in (microgrud.relu(np.float64(2.0)), microgrud.square(3), microgrud.abs(True), microgrud.max([1, 2])):
        assert type(result) is float


@pytest.mark.parametrize("wrong", ["1", None, 1j, np.array(["1"]), [1.0]])
def test_functions_refuse_what_is_not_one_number(wrong: object) -> None:
    with pytest.raises(TypeError, match="^exp: expected a real number, got "):
        microgrud.exp(wrong)
    with pytest.raises(TypeError, match="^maximum: expected a real number, got "):
        microgrud.maximum(Value(1.0), wrong)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: microgrud.log(-1.0), r"log\(-1.0\): expected x > 0, got -1.0"),
        (lambda: microgrud.asin(Value(2.0, label="angle")), r"asin\(angle=2.0\): expected -1 <= x <= 1, got 2.0"),
        (lambda: microgrud.atanh(1.0), r"atanh\(1.0\): expected -1 < x < 1, got 1.0"),
        (lambda: microgrud.acosh(0.5), r"acosh\(0.5\): expected x >= 1, got 0.5"),
        (lambda: microgrud.exp(1000.0), r"exp\(1000.0\): the result is too large for a float"),
        (lambda: microgrud.reciprocal(0.0), r"reciprocal\(0.0\): division by zero"),
        (lambda: microgrud.pow(-8.0, 1 / 3), r"pow\(-8.0, 0.333.*\): expected an integer exponent"),
        (lambda: microgrud.clip(1.0, 2.0, 0.0), r"clip\(1.0, 2.0, 0.0\): expected low <= high"),
        (lambda: microgrud.clip(1.0, math.inf, 0.0), r"clip\(1.0, inf, 0.0\): expected low <= high"),
        (lambda: microgrud.sin(math.inf), r"sin\(inf\): expected a finite x, got inf"),
        (lambda: microgrud.floor(math.inf), r"floor\(inf\): expected a finite x, got inf"),
        (lambda: microgrud.trunc(Value(math.nan)), r"trunc\(nan\): expected a finite x, got nan"),
        (
            lambda: Value(1.0) + 10**400,
            r"add: expected a number within the range of a float, got one above 1.798e",
        ),
        (lambda: microgrud.exp(-(10**400)), r"exp: expected a number within the range of a float"),
    ],
)
def test_domain_errors_name_the_operation_the_operands_and_the_domain(call: object, message: str) -> None:
    with pytest.raises((ValueError, ArithmeticError), match=f"^{message}"):
        call()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda mpf: microgrud.log(mpf(-1)), ValueError, "log.*expected x > 0, got -1.0"),
        (lambda mpf: microgrud.log(mpf(0)), ValueError, "log.*expected x > 0, got 0.0"),
        (lambda mpf: microgrud.sqrt(mpf(-1)), ValueError, "sqrt.*expected x >= 0"),
        (lambda mpf: microgrud.asin(mpf(2)), ValueError, "asin.*expected -1 <= x <= 1"),
        (lambda mpf: microgrud.acosh(mpf("0.5")), ValueError, "acosh.*expected x >= 1"),
        (lambda mpf: microgrud.atanh(mpf(1)), ValueError, "atanh.*expected -1 < x < 1"),
        (lambda mpf: microgrud.pow(mpf(-2), 0.5), ValueError, "pow.*expected operands with a real result"),
        (lambda mpf: microgrud.reciprocal(mpf(0)), ZeroDivisionError, "reciprocal.*division by zero"),
        (lambda mpf: microgrud.clip(mpf(1), 2, 1), ValueError, "clip.*expected low <= high"),
    ],
)
def test_mpmath_numbers_have_the_domain_and_the_errors_of_floats(
    call: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(mpmath.mpf)


@pytest.mark.parametrize(
    ("name", "xs"),
    [
        ("maximum", [1.0, math.nan]),
        ("minimum", [math.nan, 1.0]),
        ("relu", [math.nan]),
        ("max", [[1.0, math.nan]]),
        ("min", [[math.nan, 1.0, 2.0]]),
    ],
)
def test_nan_wins_among_mpmath_numbers_as_among_floats(name: str, xs: list[Any]) -> None:
    function = getattr(microgrud, name)
    assert math.isnan(function(*xs))
    assert mpmath.isnan(function(*[[*map(mpmath.mpf, x)] if isinstance(x, list) else mpmath.mpf(x) for x in xs]))


def test_mpmath_numbers_keep_their_precision_through_sequences() -> None:
    with mpmath.workdps(50):
        third = mpmath.mpf(1) / 3
        assert microgrud.dot([third, third], [third, 1.0], bias=third) == third * third + third + third
        assert abs(microgrud.logsumexp([third, third]) - third - mpmath.log(2)) < mpmath.mpf(10) ** -48
        assert sum(microgrud.softmax([third, 2 * third])) - 1 < mpmath.mpf(10) ** -48
