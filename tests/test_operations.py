"""Every operation of the table against the truth at 50 digits, to second order; the checker against wrong rules."""

from __future__ import annotations

import itertools
import math
import os
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from mpmath import mp
from programs import MPMATH_FLOORS
from truth import CONSTANTS, COUNTS

from microgrud import Value
from microgrud.engine import ops, topological_order
from microgrud.engine.operation import Operation
from microgrud.testing import MOVES, Expression, check_gradients, expressions
from microgrud.testing.multiprecision import exact, slope
from microgrud.testing.rounding import paths

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
EPS = 2.0**-52


def points_of(name: str, count: int) -> Iterator[list[float]]:
    """Yield points well inside the domain of an operation, of different sizes."""
    move, rng = MOVES[name], random.Random(name)
    while count:
        xs = [rng.choice((-1.0, 1.0)) * 10.0 ** rng.uniform(-1.5, 1.0) for _ in range(move.arity)]
        if move.accepts(*xs):
            count -= 1
            yield xs


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", MOVES)
def test_every_operation_is_right_to_second_order(name: str, order: int) -> None:
    for xs in points_of(name, 300 if NIGHTLY else 12):
        report = check_gradients(MOVES[name].function, *xs, order=order, rtol=1e-11)
        assert report.decided
        assert report.method == ("mpmath" if name != "floor_divide" or MPMATH_FLOORS else "graph in mpmath")


def points_of_entry(operation: Operation, count: int) -> Iterator[list[float]]:
    """Yield points in the domain of an entry of the table, even one without a public function."""
    rng = random.Random(operation.name)
    width = operation.arity or {"power_log": 4, "mills": 2, "sinc_derivative": 2}.get(operation.name, 5)
    intervals = operation.domain if operation.arity else operation.domain * width
    while count:
        xs = [rng.choice((-1.0, 1.0)) * 10.0 ** rng.uniform(-1.5, 1.0) for _ in range(width)]
        if operation.name == "clip":
            xs[1:] = sorted(xs[1:])
        if operation.name == "round_digits":  # an operand that is an integer
            xs[-1] = float(rng.randrange(1, 4))
        if operation.name in ("softmax", "log_softmax", "mills", "sinc_derivative"):
            xs[0] = float(rng.randrange(1, 4))
        if operation.name in ("polygamma", "polygamma_difference", "bessel_i"):
            xs[0] = float(rng.randrange(1, 4))
        if operation.name == "polygamma_difference":
            xs[1:] = map(abs, xs[1:])
        if operation.name == "power_over":
            xs[2] = float(rng.randrange(4))
        if operation.name == "power_log":
            xs[:3] = float(rng.randrange(4)), float(rng.randrange(4)), abs(xs[2])
        if operation.name == "radial":  # a whole number for the norm, and for each of two numbers
            xs[:3] = (float(rng.randrange(4)) for _ in range(3))
        if operation.name == "gaussian":  # the scale is a power of 2
            xs[1] = 2.0 ** rng.randrange(-2, 2)
        if not all(x in interval for x, interval in zip(xs, intervals)):
            continue
        try:
            operation.evaluate(xs)
        except (ValueError, ArithmeticError):
            continue
        count -= 1
        yield xs


@pytest.mark.parametrize("name", ops.TABLE)
def test_the_value_of_every_operation_is_that_of_its_textbook_formula(name: str) -> None:
    operation = ops.TABLE[name]
    assert operation.definition is not None
    for xs in points_of_entry(operation, 50):
        with exact.workdps(50):
            true = operation.definition(exact, *map(exact.mpf, xs))
            # Plain sums and products lose digits to cancellation; all others keep nearly every digit.
            size = max(abs(true), *map(abs, xs)) if name in ("sum", "mean", "dot") else abs(true)
            assert exact.isfinite(true)
            assert abs(operation.evaluate(xs) - true) <= 8.0 * EPS * size


# --- random graphs, with an error bound from the paths through each ---


def bounds(output: Value, leaves: Sequence[Value]) -> list[float]:
    """8 eps times the sum over all paths from a leaf to the output of the product of the absolute local derivatives."""
    return [8.0 * EPS * size for size in paths(output, leaves).sizes]


def exact_adjoints(output: Value, leaves: Sequence[Value], order: Sequence[Value]) -> list[Any]:
    """The derivatives with respect to the leaves in mpmath, given the numbers of the nodes."""
    with exact.workdps(60):
        adjoints: dict[Value, Any] = {output: exact.mpf(1)}
        for node in reversed(order):
            operation = node._operation
            adjoint = adjoints.get(node, 0)
            if not adjoint or not isinstance(operation, Operation):
                continue
            xs = [x.data if isinstance(x, Value) else x for x in node._operands]
            definition = operation.definition
            assert definition is not None
            for i, parent in enumerate(node._operands):
                if isinstance(parent, Value):
                    local = slope(lambda numbers, d=definition: d(exact, *numbers), xs, [i]).value
                    adjoints[parent] = adjoints.get(parent, 0) + adjoint * exact.convert(local)
        return [mp.mpf(0) + mp.make_mpf(exact.convert(adjoints.get(leaf, 0))._mpf_) for leaf in leaves]


@settings(max_examples=20_000 if NIGHTLY else 100)
@given(expressions(max_nodes=200))
def test_gradients_of_random_graphs_are_within_the_bound_of_their_paths(
    engine: type[Value], program: Expression
) -> None:
    leaves = [engine(x) for x in program.inputs]
    output = program(*leaves)
    if not isinstance(output, Value):  # the result of a program that does not use its inputs is a plain number
        return
    order = topological_order(output)
    output.backward()
    with mp.workdps(60):
        for leaf, true, bound in zip(leaves, exact_adjoints(output, leaves, order), bounds(output, leaves)):
            assert abs(mp.mpf(leaf.grad) - true) <= bound


@settings(max_examples=5_000 if NIGHTLY else 50)
@given(expressions(max_nodes=6, smooth=True))
def test_random_programs_are_right_to_second_order(program: Expression) -> None:
    check_gradients(program, *program.inputs, order=2, rtol=1e-6)


# --- cases that mutation testing found untested ---


@pytest.mark.parametrize(("slope", "least"), [(-0.5, 0.0), (0.0, 0.0), (0.25, 0.25), (1.0, 1.0), (3.0, 1.0)])
def test_the_slope_of_leaky_relu_and_elu_at_their_kink_is_the_least_between_the_two(slope: float, least: float) -> None:
    for operation in (ops.LEAKY_RELU, ops.ELU):
        x = Value(0.0)
        operation(x, slope).backward()
        assert x.grad == least


@pytest.mark.parametrize(("x", "y", "slope"), [(-1e-110, 3.0, 3e-220), (1e-110, 3.0, 3e-220), (-1e-170, 2.0, -2e-170)])
def test_the_slope_of_a_power_that_underflowed_keeps_its_sign_and_its_digits(x: float, y: float, slope: float) -> None:
    base = Value(x)
    (base**y).backward()
    assert base.grad == pytest.approx(slope, rel=1e-14, abs=0.0)


@pytest.mark.parametrize(("y", "power"), [(0.5, 0.0), (2.0, 0.0), (0.0, 1.0), (-0.5, "inf")])
def test_the_formula_of_the_power_knows_zero(y: float, power: float | str) -> None:
    assert ops.POWER_OVER.definition is not None
    for n in (0.0, 1.0):
        assert ops.POWER_OVER.definition(exact, exact.mpf(0), exact.mpf(y + n), n) == exact.mpf(power)


@pytest.mark.parametrize(("x", "y"), [(1.0, 0.0), (-1.0, 0.0), (0.0, 0.0), (2.0, -4.0)])
def test_the_formula_of_the_quotient_knows_zero(x: float, y: float) -> None:
    assert ops.DIVIDE_IEEE.definition is not None
    true, found = ops.DIVIDE_IEEE.definition(exact, exact.mpf(x), exact.mpf(y)), ops.DIVIDE_IEEE.evaluate([x, y])
    assert true == found or (found != found and true != true)


@pytest.mark.parametrize("operation", [ops.MAXIMUM, ops.MINIMUM])
def test_two_nan_operands_share_evenly(operation: Operation) -> None:
    x, y = Value(math.nan), Value(math.nan)
    operation(x, y).backward()
    assert (x.grad, y.grad) == (0.5, 0.5)


HARD = (0.0, -0.0, -1.0, 0.5, 1.0, -2.5, math.inf, -math.inf, math.nan, 1000.0, 1e300, -1e308, 5e-324)


@pytest.mark.parametrize("operation", ops.TABLE.values(), ids=str)
def test_a_total_operation_raises_for_no_operands_and_another_one_for_some(operation: Operation) -> None:
    def raises(xs: tuple[float, ...]) -> bool:
        try:
            operation.value(*xs)
        except (ValueError, ArithmeticError):
            return True
        return False

    constants = CONSTANTS.get(operation.name, ())
    rows = itertools.product(HARD, repeat=min(3, COUNTS.get(operation.name, operation.arity or 3)))
    assert any(raises(constants + xs) for xs in rows) is not operation.total
