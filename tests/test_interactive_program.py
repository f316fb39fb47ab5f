"""Functions as programs: the recording gives the numbers of the engine, to the bit, or an error that says why not."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings

import microgrud as mg
from microgrud import Value, log, where
from microgrud.engine.ops import TABLE
from microgrud.interactive import ProgramError, program
from microgrud.interactive.program import REFUSED, known_operations
from microgrud.testing import MOVES, Expression, expressions


def by_backward(f: Any, point: list[float]) -> tuple[float, list[float]]:
    """Return the value and the gradient by `backward()`."""
    inputs = [Value(x) for x in point]
    result = f(*inputs)
    if not isinstance(result, Value):
        return float(result), [0.0] * len(inputs)
    result.backward()
    return result.data, [x.grad + 0.0 for x in inputs]


def test_javascript_has_each_operation_of_the_table_or_it_is_refused_by_name() -> None:
    assert known_operations() - {"detach"} | REFUSED == TABLE.keys()
    assert not known_operations() & REFUSED


@settings(max_examples=60)
@given(expressions(operations=[name for name in MOVES if name not in REFUSED], max_nodes=10))
def test_a_recording_gives_the_bits_of_backward_also_at_other_points(f: Expression) -> None:
    found = program(f, [f.inputs])
    for factor in (1.0, 1.01, -0.7):
        point = [factor * x for x in f.inputs]
        try:
            wanted = by_backward(f, point)
        except (ValueError, ArithmeticError):
            wanted = None
        try:
            got = found.evaluate(point)
        except (ValueError, ArithmeticError):
            got = None
        assert repr(got) == repr(wanted) or (got is None and factor != 1.0)


def test_one_recording_serves_where_and_two_serve_an_if() -> None:
    points = [[k / 4.0 - 2.0] for k in range(17)]

    def chosen(x: Any) -> Any:
        return where(x < 0.0, -x, x * x)

    def branching(x: Any) -> Any:
        return -x if x < 0.0 else x * x

    for f, paths in ((chosen, 1), (branching, 2)):
        found = program(f, points)
        assert len(found.paths) == paths
        for point in points:
            assert found.evaluate(point) == by_backward(f, point)


def test_an_operation_beyond_a_branch_is_not_computed_before_it() -> None:
    found = program(lambda x: log(x) if x > 0.0 else log(1.0 - x), [[-1.0], [1.0]])
    assert found.evaluate([2.0]) == (pytest.approx(0.6931471805599453), [0.5])
    assert found.evaluate([-1.0]) == (pytest.approx(0.6931471805599453), [-0.5])


def test_a_point_on_a_branch_that_was_not_recorded_has_no_value() -> None:
    found = program(lambda x: x if x > 0.0 else -x, [[1.0]])
    assert found.evaluate([-1.0]) is None


def test_an_error_of_the_function_is_one_of_the_program() -> None:
    found = program(lambda x: where(x > 0.0, 1.0, 2.0) + 0.0 * log(x), [[1.0]])
    with pytest.raises(ValueError, match="log"):
        found.evaluate([-1.0])

    def unused(x: Any) -> Any:
        log(x)
        return x * x

    with pytest.raises(ValueError, match="log"):
        program(unused, [[1.0]]).evaluate([-1.0])


def test_a_detached_number_has_no_gradient_but_follows_its_input() -> None:
    found = program(lambda x: x.detach() * x, [[1.0]])
    assert found.evaluate([3.0]) == (9.0, [3.0])


def test_numbers_that_a_function_closes_over_are_constants_of_which_no_gradient_changes() -> None:
    w = Value(2.0)
    w.grad = 7.0
    assert program(lambda x: w * x, [[1.0]]).evaluate([5.0]) == (10.0, [2.0])
    assert w.grad == 7.0


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda x: x.data * x, r"\.data of a Value inside a function .* compute with the Value itself"),
        (lambda x: x * float(x), "float of a Value inside a function"),
        (lambda x: f"{x}" and x, "format of a Value"),
        (lambda x: [x, x], "expected a function that returns one number, got an object of type list"),
        (lambda x: x * random.random(), "without random numbers or state; at"),
        (lambda x: mg.gamma(x), "exists in Python only"),
        (
            lambda x: mg.custom_op("twice", lambda z: z * z, lambda out, z: 2.0 * z)(x),
            "is not an operation of the engine",
        ),
        (lambda x: log(x - 10.0), r"the function has no value at any of 5 points: log\(-"),
        (lambda x: sum(1.0 for k in range(40) if x > k / 8.0) * x, "more than 32 ways"),
    ],
)
def test_what_cannot_be_a_program_is_an_error_that_says_why(f: Any, words: str) -> None:
    points = [[1.0 + k] for k in range(5)] if "32" not in words else [[k / 8.0 + 0.01] for k in range(50)]
    with pytest.raises(ProgramError, match=words):
        program(f, points)


def test_a_compiled_function_may_differ_from_its_program_in_last_digits() -> None:
    square = mg.compile(lambda x: x * x + 1.0)
    found = program(lambda x: square(x) * x, [[0.1 * k] for k in range(-9, 10)])
    for x in (0.3, 0.7, -5.0):
        value, (slope,) = found.evaluate([x])  # type: ignore[misc]
        assert (value, slope) == pytest.approx((x**3 + x, 3.0 * x * x + 1.0), rel=1e-14)


def test_a_function_that_catches_the_error_of_an_operation_is_refused() -> None:
    def guarded(x: Any) -> Any:
        try:
            return log(x)
        except ValueError:
            return x

    with pytest.raises(ProgramError, match="catches an error"):
        program(guarded, [[-1.0]])
