"""Every row of the table in docs/conventions.md, executed."""

from __future__ import annotations

import builtins
import math
import re
from pathlib import Path
from typing import Any

import pytest
from arrays import np
from public_names import public_names

import microgrud
from microgrud import Value, abs, gradient
from microgrud.autodiff.gradients import pushforward

PAGE = Path(__file__).parent.parent / "docs" / "conventions.md"
ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \| `([^`]+)` \|(?: `([^`]+)`)? \|$", re.MULTILINE)
ROWS = ROW.findall(PAGE.read_text(encoding="utf-8"))
FUNCTIONS = {name: getattr(microgrud, name) for name in public_names(microgrud)} | {"round": round}


def numbers(text: str) -> list[float]:
    return list(eval(f"[{text}]", {"nan": math.nan, "inf": math.inf}))


def same(computed: float, expected: float) -> bool:
    if math.isnan(expected):
        return math.isnan(computed)
    return computed == expected or builtins.abs(computed - expected) <= 4 * math.ulp(expected)


def test_the_page_has_a_row_for_each_convention() -> None:
    assert len(ROWS) == sum(line.startswith("| `") for line in PAGE.read_text(encoding="utf-8").splitlines())
    assert len(ROWS) > 60


@pytest.mark.parametrize(("expression", "at", "value", "slopes"), ROWS, ids=[f"{row[0]} at {row[1]}" for row in ROWS])
def test_value_and_gradient_are_those_of_the_table(expression: str, at: str, value: str, slopes: str) -> None:
    point = eval(f"dict({at})", {"nan": math.nan, "inf": math.inf})
    variables = {name: Value(number) for name, number in sorted(point.items())}
    if value.endswith("Error"):
        with pytest.raises(getattr(builtins, value)):
            eval(expression, FUNCTIONS, variables)
        return
    result = eval(expression, FUNCTIONS, variables)
    as_nodes = gradient(result, variables.values())
    forward = [pushforward([result], {x: float(x is y) for x in variables.values()})[0] for y in variables.values()]
    result.backward()
    assert same(result.data, numbers(value)[0])
    for variable, node, tangent, slope in zip(variables.values(), as_nodes, forward, numbers(slopes), strict=True):
        assert same(variable.grad, slope), "by backward()"
        assert same(node.data, slope), "by gradient()"
        assert same(tangent.data if isinstance(tangent, Value) else tangent, slope), "by pushforward()"


def derivatives(f: Any, point: list[float], order: int) -> list[float]:
    """Return all derivatives of an order that nested transforms give: by grad, and then by hvp along each input."""
    if order == 1:
        return microgrud.grad(f)(point)
    units = [[float(i == j) for j in range(len(point))] for i in range(len(point))]
    if order == 2:
        return [x for unit in units for x in microgrud.hvp(f, (point,), (unit,))]
    return [x for i in range(len(units)) for x in microgrud.grad(lambda v: derivatives(f, v, 2)[i])(point)]  # noqa: B023


def same_or_nan(computed: float, expected: float) -> bool:
    return same(computed, expected) or builtins.abs(computed - expected) <= 1e-13 * (1.0 + builtins.abs(expected))


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(("expression", "at"), [row[:2] for row in ROWS], ids=[f"{row[0]} at {row[1]}" for row in ROWS])
def test_a_recording_from_another_point_gives_the_derivatives_of_eager_evaluation(
    expression: str, at: str, order: int
) -> None:
    point = eval(f"dict({at})", {"nan": math.nan, "inf": math.inf})
    names, here = sorted(point), [float(point[name]) for name in sorted(point)]

    def f(xs: Any) -> Any:
        return eval(expression, FUNCTIONS, dict(zip(names, xs)))

    try:
        expected = derivatives(f, here, order)
    except (ValueError, ArithmeticError):
        return
    for shift in (0.375, -0.375, 0.0):
        compiled = microgrud.compile(lambda xs: derivatives(f, xs, order))
        there = [x + shift for x in here]
        try:
            found = compiled(there)
            assert all(map(same_or_nan, found, derivatives(f, there, order)))
        except (ValueError, ArithmeticError):
            continue
        for _ in range(2):  # the second time by the recording of this point, if it has another one
            assert all(map(same_or_nan, compiled(here), expected)), (shift, compiled(here), expected)


KINKED = [
    "relu(x)", "abs(x)", "leaky_relu(x, 0.1)", "elu(x, 1.5)", "clip(x, -0.5, y * y)", "maximum(x, y)", "minimum(x, y)",
    "max([x, y, x * y])", "min([x, y, x * y])", "where(x < y, x * x, y)", "(x > 0) * x + (x == y) * y", "norm([x, y])",
    "hypot(x, y)", "x / (y + 7.0)", "silu(x)", "gelu(x)", "asin(x / 8.0)", "norm([x, y] * 5)",
]  # fmt: skip


@pytest.mark.parametrize("expression", KINKED)
def test_kinks_and_choices_are_one_recording_of_any_order(expression: str) -> None:
    def f(xs: Any) -> Any:
        x, y = xs
        return eval(expression, FUNCTIONS, {"x": x, "y": y}) * (x + y * y)

    places = [-2.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0]
    for order in (1, 2, 3):
        compiled = microgrud.compile(lambda x, y: derivatives(f, [x, y], order), batched=("x", "y"))  # noqa: B023
        points = [[x, y] for x in places for y in places]
        for own, point in zip(np.array(compiled.map(*np.array(points).T)), points):
            assert all(map(same_or_nan, own, derivatives(f, point, order))), (point, own, derivatives(f, point, order))
        assert compiled.stats["paths"] == 1


BEHIND_GATES = [
    "sqrt(relu(x))", "sqrt(maximum(x, 0.0))", "sqrt(max([0.0, x, -1.0]))", "cbrt(clip(x, 0.0, 2.0))",
    "sqrt(where(x > 0.0, x, 0.0))", "relu(x) ** 0.5 * x", "sqrt(-minimum(-x, 0.0))", "cbrt(leaky_relu(x, 0.0)) * x",
    "sqrt(relu(x)) * relu(-x) + x", "sqrt(where((x > 0.0) & (x < 2.0), x, 0.0))", "sqrt(abs(x) + x)",
    "norm([relu(x), 0.0])",
]  # fmt: skip


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("expression", BEHIND_GATES)
def test_no_infinite_adjoint_reaches_an_operand_that_a_recording_did_not_choose(expression: str, order: int) -> None:
    def f(xs: Any) -> Any:
        return eval(expression, FUNCTIONS, {"x": xs[0]})

    compiled = microgrud.compile(lambda xs: derivatives(f, xs, order))
    for x in (1.0, -1.0, 0.0, 0.5, -3.0):
        found, expected = compiled([x]), derivatives(f, [x], order)
        assert all(map(same_or_nan, found, expected)), (x, found, expected)
    batched = microgrud.compile(lambda x: derivatives(f, [x], order), batched="x")
    expected = [derivatives(f, [x], order) for x in (-1.0, 0.0, 1.0, 3.0)]
    assert np.array(batched.map([-1.0, 0.0, 1.0, 3.0])).ravel().tolist() == pytest.approx(
        np.ravel(expected).tolist(), rel=1e-12, nan_ok=True
    )


def test_errors_name_the_operation_and_its_operands() -> None:
    for expression in (lambda x: x.log(), lambda x: 1 / (x + 1.0), lambda x: (-800.0 * x).exp()):
        with pytest.raises((ValueError, ZeroDivisionError, OverflowError), match=r"^(log|divide|exp)\(.*\d.*\): "):
            expression(Value(-1.0, label="x"))


def test_a_zero_adjoint_passes_nothing_on_from_a_branch_that_was_not_taken() -> None:
    x = Value(0.0)
    microgrud.where(x > 0, x.sqrt(), 3.0 * x).backward()
    assert x.grad == 3.0


def test_only_the_partial_derivative_that_does_not_exist_is_nan() -> None:
    base, exponent = Value(-2.0), Value(3.0)
    (base**exponent).backward()
    assert base.grad == 12.0
    assert math.isnan(exponent.grad)


def test_second_derivative_of_x_times_abs_x_at_zero_is_zero() -> None:
    x = Value(0.0)
    assert gradient(gradient(x * abs(x), x), x).data == 0.0


def test_infinite_slopes_keep_their_sign_to_second_order() -> None:
    x = Value(0.0)
    slope = gradient(x.sqrt(), x)
    assert slope.data == math.inf
    assert gradient(slope, x).data == -math.inf


def test_forward_mode_differs_where_reverse_mode_knows_a_difference_that_is_zero() -> None:
    x = Value(0.0)
    root = x.sqrt()
    (tangent,) = pushforward([root - root], {x: 1.0})
    assert gradient(root - root, x).data == 0.0
    assert math.isnan(tangent.data)


def test_a_direction_that_never_meets_an_infinite_slope_is_finite() -> None:
    product = microgrud.hvp(lambda v: (v[0] * v[1]).sqrt() + v[2] ** 2 * v[1], ([0.0, 1.0, 3.0],), ([0.0, 0.0, 1.0],))
    assert product == [0.0, 6.0, 2.0]


def test_second_derivatives_that_are_nan_as_the_page_says() -> None:
    x, y = Value(0.0), Value(5e-324)
    slope = gradient(x / y, y)
    assert slope.data == 0.0
    assert math.isnan(gradient(slope, y).data)
    x, y = Value(1e-200), Value(2e-200)
    assert math.isnan(gradient(gradient(microgrud.atan2(y, x), y), x).data)
