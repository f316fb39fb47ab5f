"""Right gradients at the limits of floats are not called wrong, and wrong ones still are; see accusations_report.py."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from accusations_report import is_ordinary, report_of
from hypothesis import HealthCheck, settings, strategies as st
from right_gradients import METHODS, RightGradient, right_gradients

import microgrud as mg
from microgrud import Value, custom_op
from microgrud.testing import GradientError, check_gradients, claims, given_gradients, reals


@functools.cache
def cases() -> list[RightGradient]:
    return list(itertools.islice(right_gradients(2024), 250))


@pytest.mark.slow("4 s: 250 random programs at many digits")
def test_no_right_gradient_of_a_random_program_is_accused() -> None:
    accused = [str(case) for case in cases() if (report := report_of(case)) is not None and report.failures]
    assert accused == []
    expected = {(library, method) for library, methods in METHODS.items() for method in methods}
    assert {(case.library, case.method) for case in cases()} == expected


@pytest.mark.slow("2 s: 250 random programs at many digits")
@pytest.mark.parametrize("change", [lambda slope: 2.0 * slope, lambda slope: -slope, lambda slope: slope * 1.001])
def test_most_wrong_gradients_of_random_programs_are_caught(change: Callable[[float], float]) -> None:
    ordinary = [case for case in cases() if is_ordinary(case) and case.library != "values"]
    reports = [report for case in ordinary if (report := report_of(case, change)) is not None]
    assert len(reports) > 30
    assert sum(bool(report.failures) for report in reports) >= 0.9 * len(reports)
    assert all(report.failures or report.undecided for report in reports)


# --- right gradients that were once called wrong ---


def times_sine(x: Any) -> Any:
    return np.sin(x) * x


def slope_of_times_sine(x: Any) -> Any:
    return np.cos(x) * x + np.sin(x)


test_the_slope_of_x_sin_x_is_right_everywhere = given_gradients(times_sine, (-5.0, 5.0), grad=slope_of_times_sine)


@pytest.mark.parametrize("method", ["auto", "complex step", "differences"])
@pytest.mark.parametrize(
    ("f", "grad", "point"),
    [
        (times_sine, slope_of_times_sine, (1e-160,)),
        (times_sine, slope_of_times_sine, (-1e-200,)),
        (np.cos, lambda x: -np.sin(x), (1e-160,)),
        (np.cosh, np.sinh, (3e-135,)),
        (lambda x: np.sqrt(np.cosh(np.expm1(x))), lambda x: 0.5 * x, (-1e-160,)),
        (lambda x: x * x * 1e200, lambda x: 2e200 * x, (1e-160,)),
        (lambda x, y: np.arctan(y / x), lambda x, y: (-5.213384367129745e-303, 0.0), (-4.7, 1.9e302)),
        (lambda x, y: np.sin(x + y), lambda x, y: (np.cos(x + y), np.cos(x + y)), (-0.78, -633034400571236.0)),
        (lambda x, y: (x + y) - y + 0 * x, lambda x, y: (1.0, 0.0), (1.0, 1e16)),
        (lambda x: (x + 100.0) - 100.0, lambda x: 1.0, (1e-13,)),
        (lambda x: np.arcsin(np.cos(np.exp(x * x * x))), lambda x: -5.4076390941807106e-08, (-2.70637264229821,)),
        (lambda x: np.arcsinh(np.arctanh(x - 1.0)), lambda x: 496137093.214217, (8.406577178095137e-11,)),
        (lambda x: -1e-121 / np.arccosh(x) ** 1.5, lambda x: 5.776578e-98, (1.0000000000000167,)),
        (lambda x: np.exp(x) / (x * x * x), lambda x: -np.inf, (-1.1193522516783452e-96,)),
        (lambda x: np.log1p(np.sin(x + x)) ** 0.75, lambda x: -0.1609694998116721, (1.6874597917719214e306,)),
        (lambda x: (np.log(x) ** 2) ** 0.25, lambda x: 3900623.4893900016, (1.0000000000000164,)),
        (lambda x: np.sin(x) / x, lambda x: -1.1994020935218184e-188, (-7.875054331919487e187,)),
        (lambda x: np.maximum(x, (x * x * x) ** 0.25), lambda x: 3.72437765557373e75, (1.6444860881665448e-303,)),
        (lambda x: x * np.arctanh(np.tanh(x + x)), lambda x: 4.0 * x, (4.649351943641047,)),
        (lambda x: x * (x - np.sqrt(x * x + 1e-6)), lambda x: -2.213822195648768e-14, (2.2435326543318417,)),
        (lambda x: np.log(x), lambda x: 1.0 / x, (5e-324,)),
        (lambda x: np.exp(x), np.exp, (-745.0,)),
    ],
)
def test_terms_that_floats_lose_refute_nothing(
    f: Callable[..., Any], grad: Callable[..., Any], point: tuple[float, ...], method: str
) -> None:
    assert not check_gradients(f, *point, grad=grad, method=method).failures


def test_a_kink_within_a_few_floats_is_not_averaged_with_the_slope_beyond() -> None:
    def f(x: float) -> float:
        return 10.0 * max(1.0 / float(x), float(x))

    assert not check_gradients(f, 1.0000000000000062, grad=lambda x: 10.0, method="differences").failures
    with pytest.raises(GradientError):
        check_gradients(f, 1.5, grad=lambda x: 0.0, method="differences")


@pytest.mark.parametrize("method", ["auto", "complex step", "differences"])
def test_a_slope_is_known_only_up_to_its_change_by_a_last_digit_of_the_input(method: str) -> None:
    def f(x: Any) -> Any:
        return np.sum(np.cos(np.cos(x**3)) - x)

    x = -2346.8916588179736
    with mpmath.workdps(50):
        cube = mpmath.mpf(x) ** 3
        slope = float(mpmath.sin(mpmath.cos(cube)) * mpmath.sin(cube) * 3 * mpmath.mpf(x) ** 2 - 1)
    assert not check_gradients(f, np.array([x]), grad=lambda x: np.array([slope]), method=method).failures
    if method != "differences":
        with pytest.raises(GradientError):
            check_gradients(f, np.array([x]), grad=lambda x: np.array([slope * 10.0]), method=method)


@pytest.mark.parametrize(
    "f", [lambda x: mg.cosh(x) * 1e-140 * 1e140, lambda x: (mg.cosh(x * 1e140) - 1.0) * 1e100 * 1e-240]
)
def test_an_underflow_in_one_mode_is_no_disagreement(f: Callable[[Any], Any]) -> None:
    assert not check_gradients(f, 4.06e-190).failures


@pytest.mark.parametrize(
    ("f", "point"),
    [
        (lambda x, y: x / mg.sin(x + y), (5e-324, -2.49373162e-316)),
        (lambda x, y: (x - mg.maximum(x, y)) / y, (-0.45, 2.2250738585072014e-308)),
    ],
)
def test_slopes_at_the_end_of_the_range_are_added_up_without_an_error(
    f: Callable[..., Any], point: tuple[float, ...]
) -> None:
    assert not check_gradients(f, *point).failures


def test_modes_that_disagree_beyond_underflow_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "pushforward", lambda outputs, tangents: [2e-300 for _ in outputs])
    with pytest.raises(GradientError, match="forward and reverse mode of <lambda> disagree"):
        check_gradients(lambda x: x * 1e-300, 1.0)


def test_a_kink_that_noise_hides_on_one_side_is_not_averaged() -> None:
    def f(x: Any) -> Any:
        return 330.0 + np.abs(np.log(x))

    x = 1.000000000001364
    assert not check_gradients(f, x, grad=lambda x: 1.0 / x, method="differences").failures


def test_a_kink_that_noise_hides_on_both_sides_is_not_averaged() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.sinh(np.maximum(np.maximum(x, np.arctan(x)) ** 2, x)))

    x = np.array([3.524022959256672, -1.3392738367909813, 1.0000000000000067])
    slopes = np.array([871822.4245216717, -0.9294711254501368, 3.0861612696305394])
    assert not check_gradients(f, x, grad=lambda x: slopes).failures


def test_rounding_that_goes_along_with_the_input_is_no_slope() -> None:
    def f(x: Any) -> Any:
        return np.arccosh(x[1] * np.abs(x[0] * x[0]) ** 0.25)

    with mpmath.workdps(50):
        a, b = -1.0000004162482716, 1.0000000000050997
        root = mpmath.sqrt(-mpmath.mpf(a))
        outer = 1 / mpmath.sqrt((b * root) ** 2 - 1)
        slopes = np.array([float(-outer * b / (2 * root)), float(outer * root)])
    assert not check_gradients(f, np.array([a, b]), grad=lambda x: slopes).failures


@pytest.mark.parametrize("large", [3.917484041587219e300, 1e120])
def test_digits_suffice_for_large_inputs_other_than_the_differentiated_one(large: float) -> None:
    with mpmath.workdps(700):
        slope = float(mpmath.sin(mpmath.mpf(1e-9) - mpmath.mpf(large)))
    f, point = (lambda x, y: mg.cos(x - y) - x), (1e-9, large)
    assert check_gradients(f, *point, grad=lambda x, y: (-slope - 1.0, slope), method="mpmath")
    with pytest.raises(GradientError, match="mpmath, 50 digits"):
        check_gradients(f, *point, grad=lambda x, y: (-1.0, slope), method="mpmath")


def test_a_limit_of_0_that_seemed_to_grow_is_0() -> None:
    def f(x: Any, y: Any) -> Any:
        return mg.maximum(y, x**1.5) ** 0.25

    x = 2.5348337940613337e-130
    slope = 0.375 * x ** (0.375 - 1.0)
    assert check_gradients(f, x, 0.0)
    assert check_gradients(f, x, 0.0, grad=lambda x, y: (slope, 0.0))
    with pytest.raises(GradientError, match="wrong in 1 of 2"):
        check_gradients(f, x, 0.0, grad=lambda x, y: (slope, 1.0))


# --- wrong gradients stay caught ---


@pytest.mark.parametrize("method", ["auto", "complex step", "differences"])
@pytest.mark.parametrize("factor", [1.0 + 1e-6, 0.5, 0.0, -1.0])
@pytest.mark.parametrize("x", [1e-5, 0.3, -4.0, 1e3])
def test_wrong_slopes_of_ordinary_numbers_are_caught(x: float, factor: float, method: str) -> None:
    with pytest.raises(GradientError, match="is wrong in 1 of 1"):
        check_gradients(times_sine, x, grad=lambda x: slope_of_times_sine(x) * factor, method=method)


@pytest.mark.parametrize(
    ("f", "grad", "point"),
    [
        (lambda x, y: np.tanh(x) * y, lambda x, y: (y / np.cosh(x) ** 2 * 1.001, np.tanh(x)), (0.5, 1e6)),
        (lambda x, y: np.tanh(x) * y, lambda x, y: (y / np.cosh(x) ** 2, 0.0), (0.5, 1e-6)),
        (lambda x: np.maximum(x, 0.0), lambda x: 1.0, (-3.0,)),
        (lambda x: np.floor(x), lambda x: 1.0, (0.3,)),
        (lambda x: np.log(x), lambda x: 2.0 / x, (1e-50,)),
        (lambda x: np.exp(x), lambda x: 2.0 * np.exp(x), (600.0,)),
        (lambda x: x * x, lambda x: 2.001 * x, (1e100,)),
    ],
)
def test_wrong_slopes_of_larger_and_smaller_numbers_are_caught(
    f: Callable[..., Any], grad: Callable[..., Any], point: tuple[float, ...]
) -> None:
    with pytest.raises(GradientError):
        check_gradients(f, *point, grad=grad)


def test_a_planted_error_in_a_property_is_found_and_shrunk_to_a_whole_report_in_few_calls() -> None:
    calls = 0

    def squares(x: Any) -> Any:
        nonlocal calls
        calls += 1
        return np.sum(np.sin(x) * x)

    points = st.lists(reals((-5.0, 5.0), moderate=True), min_size=6, max_size=6).map(np.array)
    chosen = settings(derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    property_test = given_gradients(squares, points, grad=lambda x: np.cos(x) * x, settings=chosen)
    with pytest.raises(GradientError, match=r"is wrong in 1 of 6 entries\n  at x\[0\] = 0.0, x\[1\] = 0.0"):
        property_test()
    assert calls < 16_000  # 86,587 with Hypothesis' explain phase and all entries of every point


# --- functions that compute something else from Values than from floats ---


@pytest.mark.parametrize("method", ["auto", "mpmath", "graph", "differences"])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: x**3 if isinstance(x, Value) else x * x,
        lambda x: x.tanh() if isinstance(x, Value) else math.tanh(float(x)) * 1.0001,
        lambda x: [x, x] if isinstance(x, Value) else x,
    ],
)
@pytest.mark.parametrize("x", [1.0, 2.0])
def test_a_function_that_computes_something_else_from_floats_is_reported(
    f: Callable[[Any], Any], x: float, method: str
) -> None:
    with pytest.raises(
        GradientError, match=r"(?s)computes something else from Values than from floats\n  at x = .*of floats"
    ):
        check_gradients(f, x, method=method)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.tanh(),
        lambda x: mg.tanh(x) if isinstance(x, Value) else math.tanh(float(x)) * (1.0 + 1e-15),
        lambda x: mg.log(x) if isinstance(x, Value) else [][0],
    ],
)
def test_functions_of_values_alone_and_other_formulas_for_floats_are_checked(f: Callable[[Any], Any]) -> None:
    assert check_gradients(f, 0.5)


# --- definitions of custom operations ---


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (lambda mp, x: mp.nosuch(x), "raises AttributeError: .*nosuch"),
        (lambda mp, x: int("a"), "raises ValueError: invalid literal"),
        (lambda mp, x: 1 / mp.mpf(0), "raises ZeroDivisionError"),
        (lambda x: x, "raises TypeError: .*takes 1 positional argument"),
        (lambda mp, x: math.sin(x), "raises TypeError: .*rounded to a float"),
        (lambda mp, x: mp.sin(x) * 1j, "returns mpc.*; expected a real number of mpmath"),
        (lambda mp, x: mp.cos(x), "returns 0.877.*, and the operation's value is 0.479.*; expected the same function"),
    ],
)
@pytest.mark.parametrize("order", [1, 2])
def test_mistakes_in_a_definition_are_shown(definition: Callable[..., Any], message: str, order: int) -> None:
    operation = custom_op("mine", math.sin, lambda z, x: mg.cos(x), definition=definition)
    for f in (operation, lambda x: operation(x) * 2.0):
        with pytest.raises(ValueError, match=rf"custom_op 'mine': its definition, called as .*\(mp, 0.5\), {message}"):
            check_gradients(f, 0.5, order=order)


@pytest.mark.parametrize(
    "definition",
    [
        lambda mp, x: mpmath.sin(x),
        lambda mp, x: mpmath.diff(lambda t: -mpmath.cos(t), x),
        lambda mp, x: mp.sin(x) * mpmath.cos(0) + x - mpmath.mpf(1) * x,
    ],
)
@pytest.mark.parametrize("order", [1, 2])
def test_plain_calls_of_mpmath_work_inside_a_definition(definition: Callable[..., Any], order: int) -> None:
    operation = custom_op("mine", math.sin, lambda z, x: mg.cos(x), definition=definition)
    report = check_gradients(lambda x: operation(x) * 2.0, 0.5, order=order)
    assert report
    assert "mpmath" in report.method
    wrong = custom_op("mine", math.sin, lambda z, x: mg.cos(x) * (1.0 + 1e-6), definition=definition)
    with pytest.raises(GradientError, match="1.000001 times the truth"):
        check_gradients(wrong, 0.5, order=order)


def test_rules_of_floats_are_checked_to_the_first_order() -> None:
    operation = custom_op("mine", math.sin, lambda z, x: math.cos(x))
    assert check_gradients(lambda x: operation(x) * 2.0, 0.5)
    with pytest.raises(
        TypeError, match="the derivative of mine with respect to operand 1 cannot be differentiated again"
    ):
        check_gradients(operation, 0.5, order=2)
    slightly = custom_op("mine", math.sin, lambda z, x: math.cos(x) * (1.0 + 1e-6))
    with pytest.raises(GradientError, match="1.000001 times the truth"):
        check_gradients(slightly, 0.5)


def test_str_of_a_case_can_be_read() -> None:
    case = RightGradient(("multiply", ("x", 0), ("constant", 2.0)), "math", "auto", (1.0,), (2.0,))
    assert str(case) == "multiply(x0, 2.0) at (1.0,) by math, auto: (2.0,)"


def test_formulas_that_lose_different_digits_are_the_same_function() -> None:
    def versine(x: Any) -> Any:
        return 2e20 * mg.sin(x / 2) ** 2 if isinstance(x, Value) else 1e20 * (1.0 - math.cos(x))

    lost = mg.custom_op(
        "versine",
        lambda x: 1e20 * (1.0 - math.cos(x)),
        lambda z, x: 1e20 * mg.sin(x),
        definition=lambda mp, x: 1e20 * (1 - mp.cos(x)),
    )
    for f in (versine, lost):
        check_gradients(f, 1e-7)
    wrong = mg.custom_op("wrong", math.sin, lambda z, x: mg.cos(x), definition=lambda mp, x: mp.cos(x))
    with pytest.raises(ValueError, match="expected the same function"):
        check_gradients(wrong, 0.5)
    with pytest.raises(GradientError, match="of floats"):
        check_gradients(lambda x: mg.sin(x) if isinstance(x, Value) else mg.cos(x), 0.5)
