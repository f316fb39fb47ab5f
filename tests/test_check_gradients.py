"""check_gradients: what is right passes, what is wrong fails and says where, what cannot be told is said so."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import microgrud as mg
from microgrud import Value
from microgrud.losses import squared_error
from microgrud.nn import MLP
from microgrud.testing import GradientError, check_gradients

SLIGHTLY = 1.0 + 1e-6


def fails(message: str, f: Callable[..., Any], *point: Any, **options: Any) -> GradientError:
    """Demand that the check fails with a message (a regular expression over lines), and return the error."""
    with pytest.raises(GradientError, match=re.compile(message, re.DOTALL)) as caught:
        check_gradients(f, *point, **options)
    return caught.value


def verdict(f: Callable[..., Any], *point: Any, **options: Any) -> str:
    (only,) = check_gradients(f, *point, **options).verdicts
    return only.kind


# --- correct code is left alone where other checkers cry wolf ---


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (mg.log, 1e-5),
        (mg.sin, 1e12),
        (mg.relu, 0.0),
        (mg.relu, 1e-9),
        (mg.relu, -1e-9),
        (lambda x: 1 / x, 0.01),
        (mg.exp, 700.0),
        (lambda x: x**0.3, 1e-8),
        (lambda x: x**-2.5, 1e-3),
        (mg.sqrt, 0.0),
        (mg.cbrt, 0.0),
        (mg.asin, 1.0),
        (mg.acosh, 1.0),
        (mg.abs, 0.0),
        (mg.floor, 2.0),
        (mg.tanh, 20.0),
        (mg.sigmoid, 40.0),
        (lambda x: x * abs(x), 0.0),
        (lambda x: x**2, 0.0),
        (lambda x: x**3, 0.0),
        (lambda x: mg.sin(1e12 * x), 1.0),
        (lambda x: 1e300 + x, 1.0),
        (lambda x: 3.0, 1.0),
        (lambda x: mg.sin(x) ** 2 + mg.cos(x) ** 2, 0.7),  # the true derivative is 0, what is computed 1e-17
        (lambda x: (x - 0.1) * 10.0 - (x * 10.0 - 1.0), 0.3),
        (lambda x: mg.maximum(x, 1.0), 1.0),
        (lambda x: mg.where(x > 0, mg.sqrt(abs(x)), 0.0), -1.0),
    ],
)
def test_own_gradients_are_right(f: Callable[[Any], Any], x: float) -> None:
    report = check_gradients(f, x)
    assert report
    assert report.decided


@pytest.mark.parametrize(
    ("f", "grad", "x"),
    [
        (math.log, lambda x: 1 / x, 1e-5),
        (math.sin, math.cos, 1e12),
        (lambda x: max(x, 0.0), lambda x: float(x > 0), 0.0),
        (lambda x: max(x, 0.0), lambda x: float(x > 0), 1e-9),
        (lambda x: max(x - 1.0, 0.0), lambda x: float(x > 1), 1.0 + 1e-9),
        (lambda x: math.exp(-math.log(x)), lambda x: -1 / x**2, 0.01),
        (math.exp, math.exp, 700.0),
        (lambda x: math.pow(x, 0.3), lambda x: 0.3 * math.pow(x, -0.7), 1e-8),
        (math.log, lambda x: 1 / x, 1e-300),
        (math.sqrt, lambda x: math.inf if x == 0 else 0.5 / math.sqrt(x), 0.0),
        (math.floor, lambda x: 0.0, 2.0),
        (lambda x: math.fabs(x) * x, lambda x: 2 * math.fabs(x), 0.0),
    ],
)
def test_gradients_of_functions_that_know_floats_alone_are_not_called_wrong(
    f: Callable[[float], float], grad: Callable[[float], float], x: float
) -> None:
    assert check_gradients(f, x, grad=grad)


# --- what is wrong is found ---


@pytest.mark.parametrize("x", [0.3, 1.0, 20.0, -7.0])
@pytest.mark.parametrize("f", [mg.tanh, mg.exp, mg.sin, mg.softplus, lambda x: x**3])
def test_an_error_of_one_in_a_million_is_found_at_50_digits(f: Callable[[Any], Any], x: float) -> None:
    fails("1.000001 times the truth", f, x, grad=lambda y: mg.grad(f)(y) * SLIGHTLY)


@pytest.mark.parametrize(
    ("f", "grad", "x"),
    [
        (math.sin, math.cos, 1.0),
        (math.exp, math.exp, 700.0),
        (math.log, lambda x: 1 / x, 1e-5),
        (lambda x: math.pow(max(x, 0.0), 2), lambda x: 2 * max(x, 0.0), 1e-9),
        (math.atan, lambda x: 1 / (1 + x * x), 3.0),
    ],
)
def test_an_error_of_one_in_a_million_is_found_by_differences(
    f: Callable[[float], float], grad: Callable[[float], float], x: float
) -> None:
    error = fails("times the truth", f, x, grad=lambda y: grad(y) * SLIGHTLY)
    assert error.report is not None
    assert error.report.method == "differences"


def test_an_error_of_one_in_a_million_in_one_entry_of_a_thousand_is_found() -> None:
    point = np.linspace(-0.5, 0.5, 1000)

    def grad(x: Any) -> Any:
        slopes = 2.0 * x
        slopes[777] *= SLIGHTLY
        return slopes

    assert check_gradients(lambda x: np.dot(x, x), point, grad=lambda x: 2.0 * x).decided
    error = fails(r"wrong in 1 of 1000 entries.*d f / d x\[777\]\n", lambda x: np.dot(x, x), point, grad=grad)
    assert error.report is not None
    assert [v.inputs for v in error.report.failures] == [("x[777]",)]


def test_a_slope_that_belongs_to_another_input_is_recognised() -> None:
    fails("it is the one that d f / d y should be", lambda x, y: x**2 * y, 3.0, 5.0, grad=lambda x, y: (x**2, x**2))


@pytest.mark.parametrize(
    ("grad", "hint"),
    [
        (lambda x: -2.0 * x, "it has the wrong sign"),
        (lambda x: x, "it is half the truth"),
        (lambda x: 4.0 * x, "it is twice the truth"),
        (lambda x: 0.0, "it is missing: 0 is claimed"),
        (lambda x: math.nan, "it is not a number"),
        (lambda x: math.inf, "claimed  inf"),
    ],
)
def test_the_message_says_what_an_error_looks_like(grad: Callable[[float], float], hint: str) -> None:
    fails(hint, lambda x: x * x, 3.0, grad=grad)


def test_the_message_shows_entry_point_claim_truth_error_and_method() -> None:
    error = fails(
        "",
        lambda w, x: mg.dot(w["a"], x),
        {"a": [1.0, 2.0]},
        [3.0, 4.0],
        grad=lambda w, x: ({"a": list(x)}, [w["a"][0], 2.5]),
    )
    assert str(error) == (
        "the gradient of <lambda> is wrong in 1 of 4 entries\n"
        "  at w['a'][0] = 1.0, w['a'][1] = 2.0, x[0] = 3.0, x[1] = 4.0\n"
        "\n"
        "  d f / d x[1]\n"
        "    claimed  2.5\n"
        "    true     2.0  (mpmath, 50 digits)\n"
        "    off by   0.25 of the truth, 1.13e+15 units in the last place\n"
        "    it is 1.25 times the truth"
    )


def test_a_formula_that_loses_its_digits_is_found_though_every_rule_is_right() -> None:
    def naive(x: Any) -> Any:
        return (1.0 - mg.cos(x)) / x**2

    fails("the formula that loses digits", naive, 1e-8)
    assert check_gradients(naive, 1.0)


def test_a_gradient_that_is_rounded_is_not_called_wrong_until_hardly_a_digit_is_left() -> None:
    def softplus(x: float) -> float:
        return math.log1p(math.exp(-x))

    def naive(x: float) -> float:
        return 1.0 / (1.0 + math.exp(-x)) - 1.0

    assert verdict(softplus, 25.0, grad=naive) == "right"  # off by 1e-6, at random
    fails("", softplus, 37.0, grad=naive)  # 0 is claimed


def test_a_rule_that_is_wrong_in_a_custom_operation_is_blamed() -> None:
    bump = mg.custom_op("bump", lambda x: math.exp(-x * x), lambda z, x: -2.0 * x * z * SLIGHTLY)
    fails(
        r"to blame:\n  bump\(width=0.5\) has the local derivative .* by its operand; it should be -0.77880",
        lambda x: bump(named(x, "width")) * 2.0,
        0.5,
    )


def named(x: Any, label: str) -> Any:
    if isinstance(x, Value):
        x.label = label
    return x


def test_the_operation_whose_second_derivative_is_off_is_blamed() -> None:
    twice = mg.custom_op("quartic", lambda x: x**4, lambda z, x: cube(x), definition=lambda mp, x: x**4)
    cube = mg.custom_op("cube", lambda x: 4 * x**3, lambda z, x: 11.0 * x * x, definition=lambda mp, x: 4 * x**3)
    assert check_gradients(twice, 2.0)
    fails(r"derivative of order 2 .*d2 f / d x d x|to blame:\n  cube\(2.0\)", twice, 2.0, order=2)


def test_forward_and_reverse_mode_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    from microgrud.testing import claims

    real = claims.pushforward
    monkeypatch.setattr(claims, "pushforward", lambda *args: [2.0 * x for x in real(*args)])
    fails("forward and reverse mode of tanh disagree", mg.tanh, 0.5)


@pytest.mark.parametrize("grad", [None, lambda x: 1.0])
def test_a_function_that_is_none_is_reported_as_such(grad: Any) -> None:
    rng = random.Random(0)
    fails("gives other bits when it is called again.*first .*then", lambda x: x * rng.random(), 1.0, grad=grad)


def test_a_gradient_that_is_no_function_is_reported_as_such() -> None:
    rng = random.Random(0)
    fails(
        "the gradient of <lambda> gives other bits", lambda x: x * x, 1.0, grad=lambda x: 2 * x + 1e-12 * rng.random()
    )


# --- kinks ---


@pytest.mark.parametrize("slope", [0.0, 0.25, 1.0])
def test_any_subgradient_is_right_at_a_kink(slope: float) -> None:
    assert verdict(mg.relu, 0.0, grad=lambda x: slope) in ("kink", "right")
    assert verdict(lambda x: max(x, 0.0), 0.0, grad=lambda x: slope, method="differences") == "kink"


@pytest.mark.parametrize("slope", [-0.01, 1.01, math.inf])
def test_what_is_no_subgradient_is_wrong(slope: float) -> None:
    fails("it is no subgradient: at this kink they lie between 0 and 1", mg.relu, 0.0, grad=lambda x: slope)


def test_strict_refuses_kinks_and_leaves_smooth_places_alone() -> None:
    fails("0.0 from below, 1.0 from above.*there is no derivative here", mg.relu, 0.0, strict=True)
    assert check_gradients(mg.relu, 1e-9, strict=True)
    assert check_gradients(lambda x: x * abs(x), 0.0, strict=True)


def test_an_infinite_slope_must_be_claimed_as_such() -> None:
    assert verdict(mg.sqrt, 0.0) == "right"
    fails("claimed  1e\\+300", mg.sqrt, 0.0, grad=lambda x: 1e300)


# --- what cannot be told ---


@pytest.mark.parametrize(
    ("f", "grad", "x"),
    [
        (lambda x: 1e10 + math.sin(x), math.cos, 1.0),  # ten digits of the function are those of 1e10
        (lambda x: math.sin(1e14 * x), lambda x: 1e14 * math.cos(1e14 * x), 1.0),
        (lambda x: float(math.floor(x)), lambda x: 0.0, 2.0),
    ],
)
def test_what_differences_cannot_tell_is_neither_right_nor_wrong(
    f: Callable[[float], float], grad: Callable[[float], float], x: float
) -> None:
    report = check_gradients(f, x, grad=grad, method="differences")
    assert not report.decided
    assert not report.failures
    assert "cannot be told here" in str(report)


def test_where_there_is_no_limit_nothing_is_said() -> None:
    assert verdict(lambda x: x * mg.log(x), 1e-300) == "right"
    assert verdict(lambda x: mg.sqrt(-x * x), 0.0) == "undecided"  # defined at this one point


# --- the ways to the truth ---


def test_the_best_truth_is_taken() -> None:
    def of_values(x: Any) -> Any:
        return x.tanh() * 2.0  # a method: floats and mpmath numbers have none

    assert check_gradients(mg.tanh, 0.5).method == "mpmath"
    assert check_gradients(of_values, 0.5).method == "graph in mpmath"
    assert check_gradients(lambda x: np.exp(x), 0.5, grad=np.exp).method == "complex step"
    assert check_gradients(math.exp, 0.5, grad=math.exp).method == "differences"


@pytest.mark.parametrize("method", ["mpmath", "graph", "complex step", "differences"])
def test_a_way_can_be_asked_for(method: str) -> None:
    def f(x: Any) -> Any:
        return np.sin(x) * x if isinstance(x, (float, complex)) else mg.sin(x) * x

    own = method == "graph"
    grad = None if own else lambda x: math.cos(x) * x + math.sin(x)
    assert method in check_gradients(f, 0.5, grad=grad, method=method).method
    with pytest.raises(GradientError):
        check_gradients(f, 0.5, grad=lambda x: math.cos(x) * x, method="differences" if own else method)


def test_a_function_that_rounds_to_floats_inside_does_not_pass_for_one_of_many_digits() -> None:
    def f(x: Any) -> Any:
        return x * math.sin(x)  # math.sin takes an mpmath number, and would return a float

    right, forgotten = (lambda x: math.sin(x) + x * math.cos(x)), math.sin
    assert check_gradients(f, 0.5, grad=right).method == "differences"
    fails("", f, 0.5, grad=forgotten)


def test_a_complex_step_that_is_spoiled_is_not_believed() -> None:
    def f(x: Any) -> Any:
        return np.abs(x) ** 2 + 0 * x  # abs makes it a real number: the complex step finds 0

    assert check_gradients(f, 1.5, grad=lambda x: 2 * x)
    fails("", f, 1.5, grad=lambda x: 0.0)


# --- arguments and results ---


class Line(NamedTuple):
    slope: float
    offset: float


def test_any_structure_of_arguments_will_do() -> None:
    def f(line: Any, x: Any, scale: Any) -> Any:
        return mg.tanh(line.slope * x["at"][0] + line.offset) * scale[0, 1]

    report = check_gradients(f, Line(2.0, 1.0), {"at": (0.5,)}, np.array([[1.0, 3.0]]))
    names = ["line[0]", "line[1]", "x['at'][0]", "scale[0, 0]", "scale[0, 1]"]
    assert [v.inputs[0] for v in report.verdicts] == names


def test_argnums_choose_arguments() -> None:
    def grad(x: float, y: float) -> float:
        return y

    assert len(check_gradients(lambda x, y: x * y, 2.0, 3.0, argnums=0, grad=grad).verdicts) == 1
    fails("d f / d y", lambda x, y: x * y, 2.0, 3.0, argnums=-1, grad=grad)


@pytest.mark.parametrize(
    ("f", "jacobian"),
    [
        (lambda x: x**2, lambda x: np.diag(2 * x)),
        (lambda x: [x[0] * x[1], x[0]], lambda x: [[x[1], x[0]], [1.0, 0.0]]),
        (lambda x: {"a": x[0] * x[1], "b": x}, lambda x: {"a": np.array([x[1], x[0]]), "b": np.eye(2)}),
    ],
)
def test_functions_of_several_results_have_a_jacobian(f: Any, jacobian: Any) -> None:
    point = np.array([2.0, 3.0])
    assert check_gradients(f, point, grad=jacobian)
    assert check_gradients(f, point)

    def wrong(x: Any) -> Any:
        rows = jacobian(x)
        (rows if isinstance(rows, np.ndarray) else rows[1] if isinstance(rows, list) else rows["b"])[1] += 0.5
        return rows

    fails(r"d f.*\[1\] / d x\[", f, point, grad=wrong)


def test_several_arguments_and_results_are_told_apart() -> None:
    def f(a: Any, b: Any) -> Any:
        return np.array([a[0] * b, a[1] * b, a[0] + a[1]])

    def jacobian(a: Any, b: Any) -> Any:
        return np.array([[b, 0.0], [0.0, b], [1.0, 1.0]]), np.array([a[0], a[1], 0.0])

    assert check_gradients(f, np.array([1.0, 2.0]), 3.0, grad=jacobian)
    fails(
        r"d f\[1\] / d b",
        f,
        np.array([1.0, 2.0]),
        3.0,
        grad=lambda a, b: (jacobian(a, b)[0], np.array([a[0], 9.0, 0.0])),
    )


def test_parameters_of_a_model_are_checked_where_they_are() -> None:
    model = MLP(2, [3, 1], activation="tanh", rng=0)
    rows, targets = [[0.5, -1.0], [1.5, 0.25]], [1.0, -1.0]
    before = model.state_dict()
    model.parameters()[0].grad = 7.0

    def loss() -> Any:
        return squared_error([model(row) for row in rows], targets)

    report = check_gradients(loss, parameters=model.parameters())
    assert (len(report.verdicts), report.method) == (13, "graph in mpmath")
    assert check_gradients(loss, parameters=model.parameters(), method="differences")
    assert check_gradients(lambda x: model(x), [0.5, 2.0], parameters=model.parameters())
    assert model.state_dict() == before
    assert [p.grad for p in model.parameters()] == [7.0, *[0.0] * 12]


def test_a_node_built_by_hand_is_checked_too() -> None:
    def by_hand(x: Value, slope: float) -> Value:
        out = Value(math.tanh(x.data), (x,), "tanh")

        def pass_on() -> None:
            x.grad += out.grad * slope

        out._backward = pass_on
        return out

    slope = 1.0 - math.tanh(0.5) ** 2
    assert check_gradients(lambda x: by_hand(x, slope) * 3.0, 0.5).method == "differences"
    fails("wrong", lambda x: by_hand(x, slope * SLIGHTLY) * 3.0, 0.5)


# --- higher order ---


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(
    ("f", "point"),
    [
        (lambda x: mg.tanh(x[0]) * x[1] ** 2, [0.3, 0.5]),
        (lambda x: mg.logsumexp([x[0], x[1], 1.0]), [0.3, 0.5]),
        (lambda x: mg.norm(x), [3.0, 4.0]),
        (lambda x: x[0] ** x[1], [1.5, 2.5]),
        (lambda x: mg.relu(x[0] * x[1]), [1.5, 2.5]),
    ],
)
def test_gradients_of_gradients_are_right(f: Callable[[Any], Any], point: list[float], order: int) -> None:
    report = check_gradients(f, point, order=order)
    assert report.order == order
    assert len(report.verdicts) == len(point) ** order
    assert report.decided


@pytest.mark.parametrize("f", [mg.relu, mg.abs, lambda x: x * abs(x), mg.floor])
def test_gradients_of_gradients_have_kinks_too(f: Callable[[Any], Any]) -> None:
    assert check_gradients(f, 0.0, order=2)


# --- used as an assertion ---


def test_the_report_is_an_assertion() -> None:
    assert check_gradients(mg.tanh, 0.5)
    assert issubclass(GradientError, AssertionError)
    assert str(check_gradients(mg.tanh, 0.5)) == "the gradient of tanh is right in 1 of 1 entries (mpmath)"


def test_tolerances_are_the_users() -> None:
    def off(x: float) -> float:
        return 2.0 * x + 1e-3

    assert check_gradients(lambda x: x * x, 1.0, grad=off, rtol=1e-3)
    assert check_gradients(lambda x: x * x, 1.0, grad=off, atol=2e-3)
    fails("", lambda x: x * x, 1.0, grad=off, rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: check_gradients(3, 1.0), TypeError, "expected a function, got an object of type int"),
        (lambda: check_gradients(mg.tanh), ValueError, "expected a point"),
        (lambda: check_gradients(mg.tanh, []), ValueError, "expected at least one number"),
        (lambda: check_gradients(mg.tanh, "a"), TypeError, "argument 0: expected a number"),
        (lambda: check_gradients(mg.tanh, 1.0, order=0), ValueError, "order: expected an integer of at least 1, got 0"),
        (lambda: check_gradients(mg.tanh, 1.0, grad=abs, order=2), ValueError, "order: expected 1 with grad"),
        (lambda: check_gradients(mg.tanh, 1.0, method="guess"), ValueError, "method: expected one of auto, mpmath"),
        (lambda: check_gradients(math.exp, 1.0, grad=abs, method="graph"), ValueError, "'graph' is not to be had"),
        (lambda: check_gradients(mg.tanh, 1.0, argnums=1), ValueError, "argnums: expected positions of 1 arguments"),
        (lambda: check_gradients(mg.tanh, 1.0, grad=lambda x: [x, x]), ValueError, "expected 1 numbers for each"),
        (
            lambda: check_gradients(mg.tanh, 1.0, grad=abs, parameters=[Value(1.0)]),
            ValueError,
            "parameters: expected none",
        ),
        (lambda: check_gradients(mg.tanh, np.float32([1.0])), TypeError, "expected double precision, got float32"),
    ],
)
def test_calls_that_make_no_sense_are_refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_an_error_of_the_function_is_the_users_to_see() -> None:
    with pytest.raises(ZeroDivisionError, match="divide"):
        check_gradients(lambda x: 1 / x, 0.0)
