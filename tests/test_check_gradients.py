"""check_gradients: right gradients pass, wrong ones fail with their place, and the others are undecided."""

from __future__ import annotations

import math
import random
import re
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from arrays import np
from mpmath import mp

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


# --- correct code passes where other checkers raise false alarms ---


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
        (mg.tanh, 20.0),
        (mg.sigmoid, 40.0),
        (lambda x: x * abs(x), 0.0),
        (lambda x: x**2, 0.0),
        (lambda x: x**3, 0.0),
        (lambda x: mg.sin(1e12 * x), 1.0),
        (lambda x: 1e300 + x, 1.0),
        (lambda x: 3.0, 1.0),
        (lambda x: mg.sin(x) ** 2 + mg.cos(x) ** 2, 0.7),  # the true derivative is 0, the computed one 1e-17
        (lambda x: (x - 0.1) * 10.0 - (x * 10.0 - 1.0), 0.3),
        (lambda x: mg.maximum(x, 1.0), 1.0),
        (lambda x: mg.where(x > 0, mg.sqrt(abs(x)), 0.0), -1.0),
        (lambda x: mg.sin(1e50 * x), 1.0),
        (lambda x: mg.sin(1e150 * x), 1.0),
        (lambda x: mg.sin(1e300 * x), 1.0),
        (lambda x: x**3 - x, 3.0**-0.5),  # a minimum: the computed derivative is 1e-16
        (lambda x: x * mg.log(x), math.exp(-1.0)),
        (lambda x: mg.softplus(x) - 0.3 * x, math.log(0.3 / 0.7)),
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
        (math.exp, math.exp, 709.5),
        (lambda x: math.sin(x) * 1.5e308, lambda x: 1.5e308 * math.cos(x), 0.0),
        (lambda x: 0.5 * math.fabs(x), lambda x: 0.5, 1.7e308),
        (math.asin, lambda x: 1 / math.sqrt((1 - x) * (1 + x)), 1 - 1e-15),
        (math.acosh, lambda x: 1 / math.sqrt((x - 1) * (x + 1)), 1 + 1e-15),
        (lambda x: math.fmod(x, 1.0), lambda x: 1.0, 1e15),
        (
            lambda x: x + math.sin(2 * math.pi * math.fmod(2**40 * x, 1)) / 2**40,
            lambda x: 1.0 + 2 * math.pi * math.cos(2 * math.pi * math.fmod(2**40 * x, 1)),
            1.3,
        ),
        (lambda x: x * x * (3 - 2 * x) if x < 1 else 1.0, lambda x: 6 * x * (1 - x) if x < 1 else 0.0, 1 - 1e-9),
        (lambda x: math.pow(x, 3) - x, lambda x: 3 * x * x - 1, 3.0**-0.5),
        (lambda x: float(str(x)) ** 2, lambda x: 2 * x, 3.0),  # a different function of mpmath numbers
        (lambda x: int(x * 2**40) / 2**40 * x, lambda x: 2 * x, 3.1),
        (lambda x: x**3 if not isinstance(x, float) else x * x, lambda x: 2 * x, 2.5),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_gradients_of_functions_of_floats_are_not_called_wrong(
    f: Callable[[float], float], grad: Callable[[float], float], x: float, strict: bool
) -> None:
    if strict and (x == 0.0 or f in (math.floor,)):
        pytest.skip("there is no derivative here")
    assert not check_gradients(f, x, grad=grad, strict=strict).failures


def test_the_sine_of_a_large_number_is_right_where_the_complex_step_backs_it() -> None:
    assert check_gradients(np.sin, 1e12, grad=np.cos)
    assert verdict(np.sin, 1e12, grad=lambda x: -np.cos(x)) == "undecided"


# --- wrong gradients are found ---


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


@pytest.mark.slow("8 s: two checks of a thousand derivatives each")
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
def test_the_message_describes_the_error(grad: Callable[[float], float], hint: str) -> None:
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
        r"to blame:\n  bump\(width=0.5\) has the local derivative .* with respect to its operand; it should be -0.7788",
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
def test_a_function_with_random_results_is_reported(grad: Any) -> None:
    rng = random.Random(0)
    fails("returns other bits when it is called again.*first .*then", lambda x: x * rng.random(), 1.0, grad=grad)


def test_a_gradient_with_random_results_is_reported() -> None:
    rng = random.Random(0)
    fails(
        "the gradient of <lambda> returns other bits", lambda x: x * x, 1.0, grad=lambda x: 2 * x + 1e-12 * rng.random()
    )


# --- kinks ---


@pytest.mark.parametrize("slope", [0.0, 0.25, 1.0])
def test_any_subgradient_is_right_at_a_kink(slope: float) -> None:
    assert verdict(mg.relu, 0.0, grad=lambda x: slope) in ("kink", "right")
    assert verdict(lambda x: max(x, 0.0), 0.0, grad=lambda x: slope, method="differences") == "kink"


@pytest.mark.parametrize("slope", [-0.01, 1.01, math.inf])
def test_a_slope_that_is_no_subgradient_is_wrong(slope: float) -> None:
    fails("it is not between 0 and 1, as the subgradients at this kink are", mg.relu, 0.0, grad=lambda x: slope)


def test_strict_refuses_kinks_and_leaves_smooth_places_alone() -> None:
    fails("0.0 from below, 1.0 from above.*there is no derivative here", mg.relu, 0.0, strict=True)
    assert check_gradients(mg.relu, 1e-9, strict=True)
    assert check_gradients(lambda x: x * abs(x), 0.0, strict=True)


def test_an_infinite_slope_must_be_claimed_as_such() -> None:
    assert verdict(mg.sqrt, 0.0) == "right"
    fails("claimed  1e\\+300", mg.sqrt, 0.0, grad=lambda x: 1e300)


# --- undecided derivatives ---


@pytest.mark.parametrize(
    ("f", "grad", "x"),
    [
        (lambda x: 1e10 + math.sin(x), math.cos, 1.0),  # ten digits of the function are those of 1e10
        (lambda x: math.sin(1e14 * x), lambda x: 1e14 * math.cos(1e14 * x), 1.0),
        (lambda x: float(math.floor(x)), lambda x: 0.0, 2.0),
    ],
)
def test_slopes_that_differences_cannot_find_are_undecided(
    f: Callable[[float], float], grad: Callable[[float], float], x: float
) -> None:
    report = check_gradients(f, x, grad=grad, method="differences")
    assert not report.decided
    assert not report.failures
    assert "the others are undecided here" in str(report)


def test_slopes_without_a_limit_are_undecided() -> None:
    assert verdict(lambda x: x * mg.log(x), 1e-300) == "right"
    assert verdict(lambda x: mg.sqrt(-x * x), 0.0) == "undecided"  # defined at this one point


# --- the sources of the truth ---


def test_the_best_truth_is_taken() -> None:
    def of_values(x: Any) -> Any:
        return x.tanh() * 2.0  # a method: floats and mpmath numbers have none

    assert check_gradients(mg.tanh, 0.5).method == "mpmath"
    assert check_gradients(of_values, 0.5).method == "graph in mpmath"
    assert check_gradients(lambda x: np.exp(x), 0.5, grad=np.exp).method == "complex step"
    assert check_gradients(math.exp, 0.5, grad=math.exp).method == "differences"


@pytest.mark.parametrize("method", ["mpmath", "graph", "complex step", "differences"])
def test_a_method_can_be_chosen(method: str) -> None:
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


def test_any_structure_of_arguments_works() -> None:
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


def test_several_arguments_and_results_are_distinguished() -> None:
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


def test_a_node_built_by_hand_is_checked() -> None:
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
    assert not check_gradients(f, 0.0, order=2).failures


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
        (
            lambda: check_gradients(math.exp, 1.0, grad=abs, method="graph"),
            ValueError,
            "'graph' is not available for exp",
        ),
        (
            lambda: check_gradients(mg.tanh, 1.0, argnums=1),
            ValueError,
            "expected an argument at position 1, got 1 arguments",
        ),
        (lambda: check_gradients(mg.tanh, 1.0, grad=lambda x: [x, x]), ValueError, "grad: expected 1 number, got 2"),
        (
            lambda: check_gradients(mg.tanh, 1.0, grad=abs, parameters=[Value(1.0)]),
            ValueError,
            "parameters: expected none",
        ),
        (lambda: check_gradients(mg.tanh, np.float32([1.0])), TypeError, "expected double precision, got float32"),
        (lambda: check_gradients(mg.tanh, 1.0, 2.0), TypeError, r"tanh\(x.*\) .*cannot be called with 2 arguments"),
        (
            lambda: check_gradients(lambda x, y: x, [1.0, 2.0]),
            TypeError,
            "missing a required argument: 'y'. Pass each arg",
        ),
        (lambda: check_gradients(mg.tanh, 1.0, rtol=-1.0), ValueError, "rtol: expected a number of at least 0"),
        (lambda: check_gradients(mg.tanh, 1.0, atol="a"), ValueError, "atol: expected a number of at least 0"),
        (lambda: check_gradients(mg.tanh, 1.0, grad=1.0), TypeError, "grad: expected a function, got .* float"),
        (lambda: check_gradients(mg.tanh, 1.0, argnums="x"), TypeError, "expected argnums to be an integer"),
        (lambda: check_gradients(mg.tanh, 1.0, argnums=(0, 0)), ValueError, "expected distinct positions in argnums"),
        (lambda: check_gradients(math.exp, 1.0), TypeError, "exp fails on Values .* pass the gradient .* as grad="),
        (lambda: check_gradients(math.exp, 1.0, grad=abs, method="mpmath"), ValueError, "does not take mpmath numbers"),
        (
            lambda: check_gradients(mg.atan2, 1.0, 2.0, grad=lambda y, x: y),
            ValueError,
            r"expected 2 numbers, got 1; there are 2 arguments \(1 \+ 1 numbers\): return a tuple",
        ),
    ],
)
def test_invalid_calls_are_refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_an_error_of_the_function_is_raised() -> None:
    with pytest.raises(ZeroDivisionError, match="divide"):
        check_gradients(lambda x: 1 / x, 0.0)


# --- mistakes found in reviews ---


@pytest.mark.parametrize("x", [1e-20, 1e-300, 0.0])
@pytest.mark.parametrize("claimed", [5.0, 1e250])
def test_a_tiny_input_that_does_not_matter_has_no_slope(claimed: float, x: float) -> None:
    fails("claimed", lambda x, y: y, x, 1.0, grad=lambda x, y: (claimed, 1.0))


@pytest.mark.parametrize("f", [lambda x: x * x.data, lambda x: x * math.exp(x.data)])
def test_a_graph_that_does_not_hold_the_whole_function_is_found(f: Callable[[Value], Any]) -> None:
    error = fails("wrong in 1 of 1", f, 3.0)
    assert error.report is not None
    assert error.report.method == "differences"


def test_keys_of_dicts_may_come_in_another_order() -> None:
    def f(p: Any) -> Any:
        return p["w"] * p["b"] ** 2

    def grad(p: Any) -> Any:
        return {"b": 2 * p["w"] * p["b"], "w": p["b"] ** 2}

    assert check_gradients(f, {"w": 2.0, "b": 3.0}, grad=grad)
    fails("wrong in 2 of 2", f, {"w": 2.0, "b": 3.0}, grad=lambda p: {"b": grad(p)["w"], "w": grad(p)["b"]})
    with pytest.raises(ValueError, match=r"expected the keys of the argument, got \['W'\] in place of \['w'\]"):
        check_gradients(f, {"w": 2.0, "b": 3.0}, grad=lambda p: {"W": 9.0, "b": 12.0})


def test_shapes_are_compared() -> None:
    matrix = np.arange(6.0).reshape(2, 3)
    assert check_gradients(lambda x: (x * x).sum(), matrix, grad=lambda x: 2.0 * x)
    with pytest.raises(ValueError, match=r"expected the shape \(2, 3\), got \(3, 2\)"):
        check_gradients(lambda x: (x * x).sum(), matrix, grad=lambda x: 2.0 * x.T)


def test_arrays_of_integers_have_no_derivatives() -> None:
    report = check_gradients(
        lambda x, i: x[i].sum(), np.array([1.0, 2.0]), np.array([1, 1]), grad=lambda x, i: np.array([0.0, 2.0])
    )
    assert report.decided
    assert [verdict.inputs for verdict in report.verdicts] == [("x[0]",), ("x[1]",)]


@pytest.mark.parametrize("factor", [1.0 + 9e-4, 1.5])
def test_errors_that_change_fast_are_not_taken_for_rounding(factor: float) -> None:
    def f(x: float) -> float:
        return math.sin(x) + 1e-4 * math.sin(1e4 * x)

    def grad(x: float) -> float:
        return math.cos(x) + math.cos(1e4 * x)

    assert check_gradients(f, 2.0, grad=grad)
    fails("is wrong in 1 of 1", f, 2.0, grad=lambda x: grad(x) * factor)
    fails("is wrong in 1 of 1", math.exp, 1.0, grad=lambda x: round(math.exp(x), 3))


def test_a_jump_has_no_derivative() -> None:
    def huber_without_its_half(r: Any) -> Any:
        return 0.5 * r * r if abs(r) < 1 else abs(r)

    assert verdict(huber_without_its_half, 1.0) == "undecided"
    fails("there is no derivative at a jump", huber_without_its_half, 1.0, strict=True)
    assert verdict(mg.floor, 2.0) == "undecided"
    assert verdict(mg.floor, 2.5) == "right"


def test_a_strict_kink_is_not_blamed_on_rounding() -> None:
    error = fails("there is no derivative here", mg.relu, 0.0, strict=True)
    assert "loses digits" not in str(error)
    assert "off by" not in str(error)


def test_an_undecided_report_is_false() -> None:
    report = check_gradients(lambda x: math.nan, 1.0, grad=lambda x: 5.0)
    assert not report
    assert not report.failures
    assert "the function is not a number here" in repr(report)


def test_warnings_of_numpy_near_a_pole_are_silenced() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_gradients(np.log, 0.5, grad=lambda x: 1 / x)
        assert check_gradients(np.exp, 700.0, grad=np.exp)


def test_a_second_derivative_that_floats_lose_is_not_called_wrong() -> None:
    assert check_gradients(lambda x: mg.log(1.0 + mg.exp(x)), 40.0, order=2)  # claimed 0, true 4e-18


def test_threads_leave_the_precision_of_mpmath_as_it_was() -> None:
    before = mp.prec
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda x: bool(check_gradients(mg.tanh, x)), [0.1 * k for k in range(40)]))
    assert mp.prec == before
