"""The strategies: their examples lie in the domain, include the hard places, and shrink to readable ones."""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Callable
from typing import Any

import mpmath
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings, strategies as st
from hypothesis.errors import NoSuchExample
from truth import PRIVATE

import microgrud
from microgrud import Value
from microgrud.common.numbers import Interval
from microgrud.engine import ops, topological_order
from microgrud.testing import (
    MOVES,
    Expression,
    check_gradients,
    datasets,
    expressions,
    given_gradients,
    mlps,
    points,
    reals,
    values,
)
from microgrud.testing.expressions import LARGEST, Step

DOMAINS = sorted({interval for operation in ops.TABLE.values() for interval in operation.domain}, key=repr)

# --- numbers ---


@pytest.mark.parametrize("domain", [*DOMAINS, (2.0, 3.0), (-1e-300, 1e-300), None], ids=repr)
@given(data=st.data())
def test_reals_are_finite_and_lie_in_their_domain(domain: Any, data: st.DataObject) -> None:
    x = data.draw(reals(domain))
    assert type(x) is float
    assert math.isfinite(x)
    assert x in (domain if isinstance(domain, Interval) else Interval(*(domain or ())))


@pytest.mark.parametrize(
    "is_hard",
    [
        lambda x: x == 0.0 and math.copysign(1.0, x) > 0,
        lambda x: x == 0.0 and math.copysign(1.0, x) < 0,
        lambda x: x == 1.0,
        lambda x: 0.0 < abs(x) < sys.float_info.min,
        lambda x: abs(x) > 1e300,
        lambda x: x == math.nextafter(2.5, math.inf),
        lambda x: x == math.nextafter(2.5, -math.inf),
    ],
)
def test_reals_come_from_the_hard_places_often(is_hard: Callable[[float], bool]) -> None:
    find(reals(near=[2.5]), is_hard, settings=settings(max_examples=2_000, database=None, derandomize=True))


@pytest.mark.slow("2 s: thousands of draws")
def test_the_ends_of_a_domain_are_drawn_unless_they_are_open() -> None:
    quick = settings(max_examples=2_000, database=None, derandomize=True)
    assert find(reals((0.25, 4.0)), lambda x: x == 4.0, settings=quick) == 4.0
    half_open = Interval(0.25, 4.0, low_open=True)
    find(reals(half_open), lambda x: x == math.nextafter(0.25, 1.0), settings=quick)
    with pytest.raises(NoSuchExample):
        find(reals(half_open), lambda x: x == 0.25, settings=quick)


def test_an_empty_domain_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a domain with numbers in it"):
        reals((2.0, 1.0))
    with pytest.raises(ValueError, match="expected a domain with numbers in it"):
        reals(Interval(1.0, 1.0, low_open=True))


@given(points(3, (0.0, 1.0)), values((1.0, 2.0)))
def test_points_and_values(point: list[float], value: Value) -> None:
    assert len(point) == 3
    assert all(x == 0.0 or 1e-3 <= x <= 1.0 for x in point)
    assert isinstance(value, Value)
    assert 1.0 <= value.data <= 2.0


# --- expressions ---


def test_every_operation_of_the_table_has_a_move() -> None:
    assert set(ops.TABLE) - set(MOVES) == PRIVATE


@given(expressions(max_nodes=200))
def test_expressions_are_well_behaved_at_their_inputs(expression: Expression) -> None:
    results = expression.results(expression.inputs)
    assert all(abs(x) <= LARGEST for x in results[len(expression.inputs) :])
    for step, result in zip(expression.steps, results[len(expression.inputs) :]):
        xs = [results[i] for i in step.operands]
        assert step.move.accepts(*xs)
        assert result == step.move.function(*xs)


@given(expressions(max_nodes=20))
def test_an_expression_computes_the_same_on_floats_values_and_mpmath_numbers(expression: Expression) -> None:
    on_floats = expression(*expression.inputs)
    on_values = expression(*map(Value, expression.inputs))
    assert float(getattr(on_values, "data", on_values)).hex() == float(on_floats).hex()
    with mpmath.workdps(50):
        exact = expression(*map(mpmath.mpf, expression.inputs))
    assert isinstance(exact, mpmath.mpf)


@given(expressions(max_nodes=30))
def test_the_repr_of_an_expression_is_a_program_that_computes_it(expression: Expression) -> None:
    scope: dict[str, Any] = {}
    exec(repr(expression), scope)
    assert scope["f"](*expression.inputs).hex() == expression(*expression.inputs).hex()


@pytest.mark.parametrize("name", MOVES)
def test_the_code_of_a_move_computes_its_function(name: str) -> None:
    move, rng, agreed = MOVES[name], random.Random(name), 0
    while agreed < 20:
        xs = tuple(rng.uniform(-3.0, 3.0) for _ in range(move.arity))
        if move.accepts(*xs):
            scope: dict[str, Any] = {}
            exec(repr(Expression(xs, (Step(move, tuple(range(move.arity))),))), scope)
            assert float(scope["f"](*xs)).hex() == float(move.function(*xs)).hex()
            agreed += 1


@pytest.mark.slow("6 s of shrinking")
def test_expressions_share_nodes_and_reach_any_requested_size() -> None:
    quick = settings(max_examples=500, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    without_shrinking = settings(quick, phases=[Phase.generate])
    find(expressions(max_nodes=200), lambda e: graph_size(e) >= 150, settings=without_shrinking)

    def shares(expression: Expression) -> bool:
        used = [i for step in expression.steps for i in set(step.operands) if i >= len(expression.inputs)]
        return any(used.count(i) > 1 for i in used)

    assert len(find(expressions(), shares, settings=quick).steps) <= 3


def graph_size(expression: Expression) -> int:
    """Return the number of nodes that the result depends on."""
    output = expression(*map(Value, expression.inputs))
    return len(topological_order(output)) if isinstance(output, Value) else 0


@pytest.mark.slow("5 s of shrinking")
def test_a_failing_expression_shrinks_to_a_few_readable_lines() -> None:
    def has_tanh_of_a_sum(e: Expression) -> bool:
        sums = {len(e.inputs) + k for k, step in enumerate(e.steps) if step.move.name == "add"}
        return any(step.move.name == "tanh" and step.operands[0] in sums for step in e.steps)

    found = find(
        expressions(max_nodes=20),
        has_tanh_of_a_sum,
        settings=settings(max_examples=5_000, database=None, derandomize=True),
    )
    assert repr(found).splitlines()[-2:] == ["    a = x0 + x0", "    return tanh(a)"]


@given(expressions(operations=["sin", "add"], n_inputs=2, max_nodes=5))
def test_operations_and_inputs_can_be_chosen(expression: Expression) -> None:
    assert {step.move.name for step in expression.steps} <= {"sin", "add"}
    assert len(expression.inputs) == 2


@given(expressions(smooth=True, max_nodes=40))
def test_smooth_expressions_have_no_kinks(expression: Expression) -> None:
    assert all(step.move.smooth for step in expression.steps)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"operations": ["sine"]}, "expected names among add, multiply, .*, got 'sine'"),
        ({"operations": ["relu"], "smooth": True}, "expected at least one that is smooth"),
    ],
)
def test_unknown_operations_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find(expressions(**options), lambda e: True)


# --- networks and data ---


@given(mlps(n_inputs=2, n_outputs=1), datasets(n_features=2))
@settings(max_examples=20)
def test_networks_and_data_go_together(model: Any, data: Any) -> None:
    assert len(data.rows) == len(data.targets) >= 1

    def loss() -> Any:
        return microgrud.losses.squared_error([model(row) for row in data.rows], data.targets)

    assert check_gradients(loss, parameters=model.parameters())


@given(mlps(), datasets(n_features=3, classes=4, max_rows=2))
def test_networks_and_data_have_the_requested_sizes(model: Any, data: Any) -> None:
    assert 1 <= len(model.layers) <= 3
    assert all(len(row) == 3 for row in data.rows)
    assert all(target in range(4) for target in data.targets)


# --- a property test in one line ---

test_softplus = given_gradients(microgrud.softplus, (-700.0, 700.0))
test_a_hand_written_gradient = given_gradients(math.atan, (-1e3, 1e3), grad=lambda x: 1 / (1 + x * x))
test_two_arguments = given_gradients(lambda x, y: microgrud.tanh(x) * y, (-5.0, 5.0), st.integers(-3, 3).map(float))


def test_a_wrong_gradient_fails_at_the_simplest_point() -> None:
    wrong = given_gradients(
        lambda x: x**3,
        (-10.0, 10.0),
        grad=lambda x: 3 * x**2 if x < 2 else 0.0,
        settings=settings(max_examples=1_000, database=None, derandomize=True),
    )
    with pytest.raises(microgrud.testing.GradientError, match="at x = 2.0\n"):
        wrong()


def test_points_where_the_function_is_not_defined_are_skipped() -> None:
    given_gradients(microgrud.log, (-1.0, 1.0))()


def test_errors_of_the_gradient_are_not_skipped() -> None:
    def grad(x: float) -> float:
        return 2 * x if x < 2 else math.log(-x)

    with pytest.raises(ValueError, match="math domain error|expected a positive input"):
        given_gradients(lambda x: x * x, (-5.0, 5.0), grad=grad)()


def test_a_function_that_is_defined_nowhere_is_an_error_that_says_why() -> None:
    with pytest.raises(ValueError, match=r"is defined at no point that was tried, such as .*: bad shape"):
        given_gradients(raises_bad_shape, (0.0, 1.0), grad=abs)()


def raises_bad_shape(x: float) -> float:
    raise ValueError("bad shape")


def test_there_is_no_deadline_unless_one_is_set() -> None:
    slow = given_gradients(lambda x: time.sleep(0.3) or x, (0.0, 1.0), settings=settings(max_examples=1, deadline=None))
    slow()
    assert given_gradients(abs, (0.0, 1.0))._hypothesis_internal_use_settings.deadline is None  # type: ignore


def test_an_invalid_call_is_not_skipped() -> None:
    with pytest.raises(ValueError, match="method"):
        given_gradients(microgrud.tanh, None, method="guess")
    with pytest.raises(TypeError, match="gradient"):
        given_gradients(microgrud.tanh, None, gradient=abs)
    with pytest.raises(TypeError, match="expected an Interval, a pair of numbers or None as the domain, got -5.0"):
        given_gradients(microgrud.tanh, -5.0, 5.0)
    with pytest.raises(ValueError, match="expected a domain"):
        given_gradients(microgrud.tanh)


def test_profiles_are_there_for_pytest_to_load() -> None:
    assert settings.get_profile("microgrud-ci").derandomize
    assert settings.get_profile("microgrud-nightly").max_examples == 5_000
