"""L-BFGS and its line search: the strong Wolfe conditions, the recursion, convergence, and errors."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from arrays import np
from hypothesis import assume, example, given, strategies as st

from microgrud import Value, dot, exp, log, no_grad, sum
from microgrud.optim.lbfgs import LBFGS, inverse_hessian_times
from microgrud.optim.linesearch import Point, cubic_minimum, strong_wolfe


def minimise(optimizer: LBFGS, loss_of: Callable[..., Value]) -> Callable[[], Value]:
    """Return the closure of a loss of the optimizer's parameters; it counts its calls."""

    def closure() -> Value:
        closure.calls += 1  # type: ignore[attr-defined]
        optimizer.zero_grad()
        loss = loss_of(*optimizer.parameters())
        loss.backward()
        return loss

    closure.calls = 0  # type: ignore[attr-defined]
    return closure


def rosenbrock(*xs: Value) -> Value:
    return sum([(1 - x) ** 2 + 100 * (y - x * x) ** 2 for x, y in pairwise(xs)])


# --- the line search ---


def line_of(f: Callable[[float], float], slope: Callable[[float], float]) -> Callable[[float], Point]:
    return lambda t: Point(t, f(t), slope(t))


def wall(t: float) -> float:
    return math.exp(400 * t) if t < 1.7 else math.inf


# The first two are from Moré & Thuente (1994): one flattens out, the other falls late.
LINES = {
    "quotient": line_of(lambda t: -t / (t * t + 2), lambda t: (t * t - 2) / (t * t + 2) ** 2),
    "fifth power": line_of(
        lambda t: (t + 0.004) ** 5 - 2 * (t + 0.004) ** 4,
        lambda t: 5 * (t + 0.004) ** 4 - 8 * (t + 0.004) ** 3,
    ),
    "wall": line_of(lambda t: wall(t) - 1000 * t, lambda t: 400 * wall(t) - 1000),
    "logarithm": line_of(lambda t: t - math.log(t + 0.1), lambda t: 1 - 1 / (t + 0.1)),
    "parabola": line_of(lambda t: (t - 3) ** 2, lambda t: 2 * (t - 3)),
    "oscillating": line_of(
        lambda t: (t - 1) ** 2 + 0.02 * math.sin(40 * t), lambda t: 2 * (t - 1) + 0.8 * math.cos(40 * t)
    ),
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("first", [1e-3, 1e-1, 1.0, 10.0, 1e3])
@pytest.mark.parametrize(("c1", "c2"), [(1e-4, 0.9), (1e-4, 0.1), (1e-4, 1e-5)])
def test_the_line_search_meets_both_conditions_from_any_first_step(
    name: str, first: float, c1: float, c2: float
) -> None:
    line = LINES[name]
    start = line(0.0)
    assert start.slope < 0
    found = strong_wolfe(line, start, first, c1, c2, max_evaluations=60)
    assert found is not None
    assert found.value <= start.value + c1 * found.step * start.slope
    assert abs(found.slope) <= c2 * abs(start.slope)


def test_the_line_search_comes_back_from_where_the_loss_is_not_finite() -> None:
    def line(t: float) -> Point:
        return Point(t, t - math.log(2 - t) * 0 - 2 * t + t * t, 2 * t - 1) if t < 2 else Point(t, math.inf, math.nan)

    found = strong_wolfe(line, line(0.0), step=1e6)
    assert found is not None
    assert 0 < found.step < 2


def test_the_line_search_gives_up_with_the_lowest_point_it_saw() -> None:
    line = LINES["parabola"]
    assert strong_wolfe(line, line(0.0), step=1e-3, max_evaluations=0) is None
    short = strong_wolfe(line, line(0.0), step=1e-3, c2=1e-3, max_evaluations=2)
    assert short is not None
    assert short.value < line(0.0).value
    line = LINES["logarithm"]
    cut = strong_wolfe(line, line(0.0), step=50.0, c2=1e-9, max_evaluations=4)  # while zooming
    assert cut is not None
    assert cut.value < line(0.0).value


def test_a_loss_that_falls_forever_is_followed_until_the_evaluations_run_out() -> None:
    found = strong_wolfe(lambda t: Point(t, -t, -1.0), Point(0.0, 0.0, -1.0), step=1.0, max_evaluations=10)
    assert found is not None
    assert found.step >= 2**9


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.1, 3), st.floats(-5, 5))
@example(0.0, 0.7, 1.0, -1.2)  # here the formula of the book divides 0 by 0
def test_the_cubic_through_two_points_of_a_cubic_finds_its_minimum(a: float, b: float, c: float, d: float) -> None:
    # f'(t) = c (t - a) (t - b) has its minimum at the larger root.
    assume(abs(a - b) > 0.1)
    low, high = sorted((a, b))

    def f(t: float) -> float:
        return c * (t**3 / 3 - (a + b) * t**2 / 2 + a * b * t)

    def slope(t: float) -> float:
        return c * (t - a) * (t - b)

    here, there = Point(d, f(d), slope(d)), Point(high + 0.5, f(high + 0.5), slope(high + 0.5))
    assume(abs(here.step - there.step) > 0.1)
    assert cubic_minimum(here, there) == pytest.approx(high, abs=1e-6)
    assert low < high


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (Point(1.0, 0.0, 1.0), Point(1.0, 0.0, 1.0)),  # one point
        (Point(0.0, 0.0, -1.0), Point(1.0, -1.0, -1.0)),  # a straight line
        (Point(0.0, 0.0, -1.0), Point(1.0, -0.6, -1.0)),  # falls throughout
        (Point(0.0, 0.0, -1.0), Point(1.0, math.inf, 1.0)),
    ],
)
def test_a_cubic_without_a_minimum_says_so(a: Point, b: Point) -> None:
    assert math.isnan(cubic_minimum(a, b))


# --- the recursion ---


@given(st.integers(1, 5), st.integers(1, 8), st.integers(0, 10_000))
def test_the_recursion_is_the_bfgs_update_of_the_inverse_hessian(size: int, pairs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    hessian = np.eye(size) + (lambda a: a @ a.T)(rng.normal(size=(size, size)))
    steps = [rng.normal(size=size) for _ in range(pairs)]
    changes = [hessian @ s for s in steps]
    # Nocedal & Wright, equation 6.17, with the whole matrix.
    s, y = steps[-1], changes[-1]
    inverse = np.eye(size) * (s @ y) / (y @ y)
    for s, y in zip(steps, changes):
        rho = 1 / (y @ s)
        left = np.eye(size) - rho * np.outer(s, y)
        inverse = left @ inverse @ left.T + rho * np.outer(s, s)
    vector = rng.normal(size=size)
    np.testing.assert_allclose(inverse_hessian_times(vector, steps, changes), inverse @ vector, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("settings", "end"),
    [
        # Computed with PyTorch 2.13 in double precision, tolerances 0.
        ({"lr": 0.1, "max_iter": 4}, (1.261774996523321, -1.333610469892424)),
        ({"lr": 0.5, "max_iter": 7, "history_size": 2}, (2.3420019835438435, 2.0570364005299275)),
    ],
)
def test_without_a_line_search_the_steps_are_those_of_pytorch(
    settings: dict[str, Any], end: tuple[float, float]
) -> None:
    x, y = Value(1.5), Value(-2.0)
    optimizer = LBFGS([x, y], tolerance_grad=0, tolerance_change=0, line_search_fn=None, **settings)
    optimizer.step(minimise(optimizer, lambda x, y: (x - 3) ** 2 + 2 * (y - x) ** 2 + exp(0.3 * y)))
    assert (x.data, y.data) == pytest.approx(end, rel=1e-12, abs=0.0)


# --- convergence ---


# PyTorch 2.13 stops after 43, 26, 40 and 106 evaluations with its strong Wolfe search, with 5 to 7 digits right.
@pytest.mark.parametrize(
    ("start", "most"), [((-1.2, 1.0), 50), ((0.0, 0.0), 30), ((3.0, -4.0), 50), ((-30.0, 50.0), 120)]
)
def test_rosenbrock_is_solved_to_eight_digits(start: tuple[float, float], most: int) -> None:
    optimizer = LBFGS([Value(x) for x in start], max_iter=100)
    closure = minimise(optimizer, rosenbrock)
    optimizer.step(closure)
    assert [x.data for x in optimizer.parameters()] == pytest.approx([1.0, 1.0], abs=1e-8)
    assert closure.calls <= most  # type: ignore[attr-defined]
    assert optimizer.state[0]["evaluations"] == closure.calls  # type: ignore[attr-defined]


def test_rosenbrock_of_ten_variables_is_solved_in_several_steps() -> None:
    optimizer = LBFGS([Value(-1.2 if i % 2 else 1.0) for i in range(10)], history_size=10)
    closure = minimise(optimizer, rosenbrock)
    for _ in range(10):
        optimizer.step(closure)
    assert rosenbrock(*optimizer.parameters()).data < 1e-14


@given(st.integers(0, 10_000))
def test_a_quadratic_bowl_of_n_variables_takes_about_n_iterations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(4, 4))
    hessian, target = a @ a.T + np.eye(4), rng.normal(size=4)

    def loss_of(*xs: Value) -> Value:
        away = [x - t for x, t in zip(xs, target)]
        return sum([p * dot(row, away) for row, p in zip(hessian, away)])

    optimizer = LBFGS([Value(x) for x in rng.normal(size=4)], max_iter=40)
    optimizer.step(minimise(optimizer, loss_of))
    assert [x.data for x in optimizer.parameters()] == pytest.approx(target.tolist(), abs=1e-5)
    assert optimizer.state[0]["step"] <= 40


@given(st.floats(-3, 3), st.floats(-3, 3), st.integers(1, 12))
def test_every_iteration_meets_the_strong_wolfe_conditions(a: float, b: float, iterations: int) -> None:
    optimizer = LBFGS([Value(a), Value(b)], max_iter=1)
    closure = minimise(optimizer, rosenbrock)
    for _ in range(iterations):
        before = np.array([x.data for x in optimizer.parameters()])
        low = closure().data
        gradient = np.array([x.grad for x in optimizer.parameters()])
        if np.max(np.abs(gradient)) < 1e-4:
            return
        optimizer.step(closure)
        moved = np.array([x.data for x in optimizer.parameters()]) - before
        value = closure().data
        slope = gradient @ moved
        assert slope < 0
        assert value <= low + 1e-4 * slope * (1 - 1e-9)
        assert abs(np.array([x.grad for x in optimizer.parameters()]) @ moved) <= 0.9 * abs(slope) * (1 + 1e-9)


def test_steps_that_leave_the_domain_are_shortened() -> None:
    # -log(x) + x has its minimum at 1; the first trial step from 1e-3 goes far below 0 or far beyond.
    optimizer = LBFGS([Value(50.0)], lr=1000.0, max_iter=50)
    optimizer.step(minimise(optimizer, lambda x: x - log(x)))
    assert optimizer.parameters()[0].data == pytest.approx(1.0, abs=1e-6)
    overflowing = LBFGS([Value(1.0)], lr=1e6, max_iter=50)
    overflowing.step(minimise(overflowing, lambda x: exp(-x) + exp(x)))
    assert overflowing.parameters()[0].data == pytest.approx(0.0, abs=1e-6)


def test_it_stops_where_the_gradient_is_small_without_moving() -> None:
    optimizer = LBFGS([Value(1.0), Value(1.0)])
    closure = minimise(optimizer, rosenbrock)
    loss = optimizer.step(closure)
    assert (loss.data, closure.calls, optimizer.state[0]["step"]) == (0.0, 1, 0)  # type: ignore[attr-defined]


def test_it_stops_where_rounding_hides_any_fall() -> None:
    optimizer = LBFGS([Value(0.0)], tolerance_grad=0.0, tolerance_change=0.0, max_iter=50)
    optimizer.step(minimise(optimizer, lambda x: (x - 1e-9) ** 2 + 1.0))
    assert abs(optimizer.parameters()[0].data) < 1e-6


def test_curvature_that_points_uphill_is_forgotten() -> None:
    optimizer = LBFGS([Value(-1.2), Value(1.0)], max_iter=5)
    state = optimizer.state_dict()
    state["groups"][0]["state"].update(steps=[[1.0, 0.0]], changes=[[-1.0, 0.0]])
    optimizer.load_state_dict(state)
    optimizer.step(minimise(optimizer, rosenbrock))
    assert rosenbrock(*optimizer.parameters()).data < rosenbrock(Value(-1.2), Value(1.0)).data
    assert all(np.dot(s, y) > 0 for s, y in zip(optimizer.state[0]["steps"], optimizer.state[0]["changes"]))


def test_negative_curvature_is_not_remembered() -> None:
    optimizer = LBFGS([Value(1.0)], max_iter=2, max_eval=9, line_search_fn=None)
    optimizer.step(minimise(optimizer, lambda x: -(x**2)))
    assert optimizer.state[0]["step"] == 2
    assert optimizer.state[0]["steps"] == []


def test_max_eval_bounds_the_iterations() -> None:
    optimizer = LBFGS([Value(-1.2), Value(1.0)], max_iter=50, max_eval=5)
    closure = minimise(optimizer, rosenbrock)
    optimizer.step(closure)
    assert 5 <= closure.calls < 20  # type: ignore[attr-defined]


def test_the_loss_may_be_a_plain_number_if_the_gradients_are_set() -> None:
    x = Value(4.0)

    def closure() -> float:
        x.grad = 2 * x.data
        return x.data**2

    LBFGS([x]).step(closure)
    assert x.data == pytest.approx(0.0, abs=1e-7)


# --- errors and state ---


def test_without_a_closure_there_is_nothing_to_search() -> None:
    with pytest.raises(TypeError, match=r"LBFGS.step: expected a closure"):
        LBFGS([Value(1.0)]).step()


def test_a_second_group_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one parameter group"):
        LBFGS([{"params": [Value(1.0)]}, {"params": [Value(2.0)]}])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 0.0}, "lr: expected a finite number x > 0"),
        ({"max_iter": 0}, "max_iter: expected an integer of at least 1"),
        ({"max_eval": 0}, "max_eval"),
        ({"tolerance_grad": -1}, "tolerance_grad"),
        ({"tolerance_change": math.nan}, "tolerance_change"),
        ({"history_size": True}, "history_size"),
        ({"line_search_fn": "armijo"}, "line_search_fn: expected one of 'strong_wolfe', None, got 'armijo'"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LBFGS([Value(1.0)], **settings)


def test_a_count_that_is_no_integer_is_refused() -> None:
    with pytest.raises(TypeError, match="max_iter: expected an integer, got 2.5"):
        LBFGS([Value(1.0)], max_iter=2.5)  # type: ignore[arg-type]


def test_a_start_where_the_loss_is_not_finite_is_an_error() -> None:
    x = Value(1.0)
    optimizer = LBFGS([x])
    with pytest.raises(ArithmeticError, match="expected a finite loss and gradient to start from, got loss inf"):
        optimizer.step(minimise(optimizer, lambda x: x * math.inf))
    assert x.data == 1.0


def test_an_error_leaves_the_parameters_of_the_last_complete_iteration() -> None:
    optimizer = LBFGS([Value(-1.2), Value(1.0)])
    closure = minimise(optimizer, rosenbrock)

    def fragile() -> Value:
        loss = closure()
        if closure.calls == 5:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return loss

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(fragile)
    assert closure.calls == 5  # type: ignore[attr-defined]
    with no_grad():
        assert rosenbrock(*optimizer.parameters()).data < rosenbrock(Value(-1.2), Value(1.0)).data


def test_without_a_line_search_a_step_into_nowhere_is_not_taken() -> None:
    x = Value(1.0)
    optimizer = LBFGS([x], lr=1e6, line_search_fn=None)
    optimizer.step(minimise(optimizer, lambda x: x - 2 * log(x)))
    assert math.isfinite(x.data)


def test_a_restored_optimizer_continues_to_the_same_bits() -> None:
    first = LBFGS([Value(-1.2), Value(1.0)], max_iter=4)
    first.step(minimise(first, rosenbrock))
    saved = json.loads(json.dumps(first.state_dict()))

    second = LBFGS([Value(x.data) for x in first.parameters()])
    second.load_state_dict(saved)
    assert second.state_dict() == first.state_dict()
    first.step(minimise(first, rosenbrock))
    second.step(minimise(second, rosenbrock))
    assert [x.data for x in second.parameters()] == [x.data for x in first.parameters()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state["steps"].pop(), "as many steps as changes"),
        (lambda state: state.pop("evaluations"), "expected step, evaluations"),
        (lambda state: state.update(evaluations=-1), "evaluations: expected an integer of at least 0"),
        (lambda state: state["changes"][0].pop(), "changes: expected a list of 2 numbers"),
        (lambda state: state.update(steps=3), "damaged"),
        (lambda state: state.update(momentum=[1.0, 2.0]), "expected a state of"),
    ],
)
def test_a_damaged_state_is_refused(change: Callable[[dict[str, Any]], Any], message: str) -> None:
    optimizer = LBFGS([Value(-1.2), Value(1.0)], max_iter=4)
    optimizer.step(minimise(optimizer, rosenbrock))
    before = optimizer.state_dict()
    damaged = json.loads(json.dumps(before))
    change(damaged["groups"][0]["state"])
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(damaged)
    assert optimizer.state_dict() == before


def test_parameters_removed_behind_its_back_are_missed() -> None:
    optimizer = LBFGS([Value(-1.2), Value(1.0)], max_iter=2)
    optimizer.step(minimise(optimizer, rosenbrock))
    del optimizer.param_groups[0]["params"][0]
    with pytest.raises(ValueError, match="LBFGS: parameter group 0 has 1 parameters, and had 2"):
        optimizer.step(lambda: 0.0)
