"""Derivatives of orders 1 to 6 of every operation, at ordinary points and at exact zeros, with every way of nesting.

The truth is mpmath's derivative of the textbook formula, at 50 digits.
"""

from __future__ import annotations

import functools
import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from cells import Cell, every_cell
from mpmath import mp, mpf
from truth import TRUTH, Formula

import microgrud as mg
from microgrud import Value, gradient
from microgrud.engine import ops

ORDERS = range(1, 7)
DIGITS = 50


def _softmax(i: Any, *xs: Any) -> Any:
    return mp.exp(xs[int(i)]) / mp.fsum(map(mp.exp, xs))


def _radial(n: Any, *operands: Any) -> Any:
    half = len(operands) // 2
    xs = operands[half:]
    return mp.fprod(x**e for x, e in zip(xs, operands)) / mp.sqrt(mp.fsum(x * x for x in xs)) ** n


#: Formulas of operations that truth.py lacks, and of those that have to be smooth around the point.
FORMULAS: dict[str, Formula] = {
    "atan2": lambda y, x: mp.atan(y / x) if abs(x) > abs(y) else -mp.atan(x / y),  # and a constant
    "chain": lambda x, y: x * y,
    "divide_ieee": lambda x, y: x / y,
    "gaussian": lambda x, scale: mp.exp(-scale * x * x),
    "power_over": lambda x, y, n: x ** (y - n),
    "power_log": lambda k, n, x, y: x ** (y - n) * mp.log(x) ** k,
    "radial": _radial,
    "round_digits": lambda x, digits: mpf(0),
    "mills": lambda k, x: 1 + x * mp.ncdf(x) / mp.npdf(x),  # for k = 1
    "sinc_derivative": lambda k, x: mp.diff(TRUTH["sinc"][0], x, int(k)),
    "polygamma": lambda n, x: mp.psi(int(n), x),
    "polygamma_difference": lambda n, x, y: mp.digamma(x) - mp.digamma(x + y),
    "bessel_i": lambda n, x: mp.besseli(int(n), x),
    "beta": mp.beta,
    "betaln": lambda x, y: mp.loggamma(x) + mp.loggamma(y) - mp.loggamma(x + y),
    "sum": lambda *xs: mp.fsum(xs),
    "mean": lambda *xs: mp.fsum(xs) / len(xs),
    "prod": lambda *xs: mp.fprod(xs),
    "dot": lambda bias, *xs: bias + mp.fdot(xs[: len(xs) // 2], xs[len(xs) // 2 :]),
    "norm": lambda *xs: mp.sqrt(mp.fsum(x * x for x in xs)),
    "max": lambda *xs: max(xs),
    "min": lambda *xs: min(xs),
    "logsumexp": lambda *xs: mp.log(mp.fsum(map(mp.exp, xs))),
    "softmax": _softmax,
    "log_softmax": lambda i, *xs: mp.log(_softmax(i, *xs)),
}
#: Operands that are constants: these replace the drawn ones.
CONSTANTS: dict[str, dict[int, float]] = {
    "gaussian": {1: 0.5},
    "power_over": {2: 2.0},
    "power_log": {0: 2.0, 1: 1.0},
    "radial": {0: 3.0, 1: 1.0, 2: 0.0},
    "round_digits": {1: 2.0},
    "mills": {0: 1.0},
    "sinc_derivative": {0: 1.0},
    "polygamma": {0: 1.0},
    "polygamma_difference": {0: 0.0, 2: 0.75},
    "bessel_i": {0: 2.0},
    "softmax": {0: 1.0},
    "log_softmax": {0: 1.0},
    "where": {0: 1.0},
    "gate": {0: 1.0},
}
WIDTHS = {"power_log": 4, "mills": 2, "sinc_derivative": 2, "radial": 5, "prod": 3, "dot": 5}
ZERO_RESULTS = {
    "log": (1.0,),
    "log2": (1.0,),
    "log10": (1.0,),
    "subtract": (0.7, 0.7),
    "modulo": (1.4, 0.7),
    "sum": (0.7, -0.7, 0.0),
    "dot": (-0.5, 0.5, 2.0, 1.0, 0.0),
}


def has_derivatives(name: str, xs: Sequence[float]) -> bool:
    """Return whether all derivatives are finite at a point; those at other points are in the table of conventions."""
    if name in ("relu", "leaky_relu", "elu", "abs", "cbrt", "sqrt", "floor", "ceil", "trunc", "sign", "entr"):
        return xs[0] != 0.0
    if name in ("maximum", "minimum", "max", "min", "less", "at_most", "equal", "unequal", "same"):
        return xs[0] != xs[1]
    if name in ("hypot", "norm", "atan2", "radial"):
        return any(xs[1 + len(xs) // 2 :] if name == "radial" else xs)
    if name in ("pow", "power_over", "power_log"):  # at a base of 0: test_powers_at_zero below
        return xs[2 if name == "power_log" else 0] > 0.0
    if name == "clip":
        return xs[0] not in xs[1:]
    if name == "copysign":
        return all(xs)
    return not (name in ("modulo", "floor_divide", "fmod") and xs[0] % xs[1] == 0.0)


def points_of(name: str) -> Iterator[tuple[float, ...]]:
    """Yield ordinary points, and those at which an operand, or the result, is exactly 0."""
    operation, rng = ops.TABLE[name], random.Random(name)
    width = operation.arity or WIDTHS.get(name, 3)
    constants = CONSTANTS.get(name, {})
    ordinary: list[list[float]] = []
    while len(ordinary) < 2:
        xs = [rng.choice((-1.0, 1.0)) * rng.uniform(0.3, 2.0) for _ in range(width)]
        xs = [constants.get(i, x) for i, x in enumerate(xs)]
        if name == "clip":
            xs[1:] = sorted(xs[1:])
        if is_in_domain(name, xs):
            ordinary.append(xs)
    candidates = [*ordinary, *([list(ZERO_RESULTS[name])] if name in ZERO_RESULTS else [])]
    for k, zero in itertools.product([i for i in range(width) if i not in constants], (0.0, -0.0)):
        candidates.append([*ordinary[0][:k], zero, *ordinary[0][k + 1 :]])
    yield from (tuple(xs) for xs in candidates if is_in_domain(name, xs))


def is_in_domain(name: str, xs: Sequence[float]) -> bool:
    try:
        ops.TABLE[name].evaluate(xs)
    except (ValueError, ArithmeticError):
        return False
    divisor_is_zero = name == "divide_ieee" and xs[1] == 0.0
    return not divisor_is_zero and has_derivatives(name, xs)


def formula_of(name: str) -> Formula:
    return FORMULAS[name] if name in FORMULAS else TRUTH[name][0]


@functools.cache
def true_derivative(name: str, point: tuple[float, ...], positions: tuple[int, ...]) -> Any:
    """Differentiate the formula at a point with respect to the operands at these positions."""
    variables = sorted(set(positions))

    def f(*moving: Any) -> Any:
        xs = list(map(mpf, point))
        for i, x in zip(variables, moving):
            xs[i] = x
        return formula_of(name)(*xs)

    with mp.workdps(DIGITS):
        slope = mp.diff(f, tuple(mpf(point[i]) for i in variables), tuple(positions.count(i) for i in variables))
        return slope if abs(slope) > mpf(10) ** (10 - DIGITS) else mpf(0)


def assert_close(computed: float, true: Any, order: int) -> None:
    tolerance = (1e-13 if order <= 2 else 1e-10) * abs(true)
    assert abs(mpf(computed) - true) <= tolerance, f"{computed!r}, but the truth is {mp.nstr(true, 17)}"


@pytest.mark.slow("6 s: orders to 6; those to 3 are not slow, in test_gradient.py")
@pytest.mark.parametrize("name", ops.TABLE)
def test_all_partial_derivatives_by_gradient_again_and_again(name: str) -> None:
    points = list(points_of(name))
    assert points
    with every_cell() as cell:
        for point in points:
            with cell(point):
                check_all_partial_derivatives(name, point, cell)


def check_all_partial_derivatives(name: str, point: tuple[float, ...], cell: Cell) -> None:
    constants = CONSTANTS.get(name, {})
    xs = [x if i in constants else Value(x) for i, x in enumerate(point)]
    variables = [i for i in range(len(xs)) if i not in constants]
    level: dict[tuple[int, ...], Value] = {(): ops.TABLE[name](*xs)}
    for order in ORDERS:
        below, level = level, {}
        for positions, node in below.items():
            later = [i for i in variables if not positions or i >= positions[-1]]
            if len(variables) > 2 and order > 3:  # the others have too many
                later = later[:1]
            for i in later:
                level[(*positions, i)] = gradient(node, xs[i])
        for positions, node in level.items():
            with cell(point, positions):
                assert_close(node.data, true_derivative(name, point, positions), order)


def along_a_line(name: str, point: tuple[float, ...]) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return an operation, and its formula, as functions of the distance from a point in a direction."""
    constants = CONSTANTS.get(name, {})
    direction = [0.0 if i in constants else (1.0, -0.5, 0.75, 0.25, -1.25)[i] for i in range(len(point))]

    def moved(t: Any, number: Callable[[float], Any]) -> list[Any]:
        return [number(x) if not v else number(x) + v * t for x, v in zip(point, direction)]

    return (lambda t: ops.TABLE[name](*moved(t, float))), (lambda t: formula_of(name)(*moved(t, mpf)))


def nested_grad(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return mg.grad(f)


def nested_jvp(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda t: mg.jvp(f, (t,), (1.0,))[1]


@pytest.mark.slow("8 s: orders to 6; those to 3 are not slow, in test_gradient.py")
@pytest.mark.parametrize("way", [nested_grad, nested_jvp])
@pytest.mark.parametrize("name", ops.TABLE)
def test_derivatives_along_a_line_by_nested_transforms(name: str, way: Any) -> None:
    with every_cell() as cell:
        for point in points_of(name):
            f, formula = along_a_line(name, point)
            for order in ORDERS:
                f = way(f)
                with cell(point, order):
                    with mp.workdps(DIGITS):
                        true = mp.diff(formula, mpf(0), order)
                    assert_close(f(0.0), true if abs(true) > mpf(10) ** (10 - DIGITS) else mpf(0), order)


def by_gradient(f: Callable[[Any], Any], at: float, order: int) -> float:
    x = Value(at)
    node = f(x)
    for _ in range(order):
        node = gradient(node, x)
    return float(node.data)


def by_transforms(transform: Callable[..., Any]) -> Callable[[Callable[[Any], Any], float, int], float]:
    def derivative(f: Callable[[Any], Any], at: float, order: int) -> float:
        for _ in range(order):
            f = transform(f)
        return float(f(at))

    return derivative


@functools.cache  # one recording for both zeros
def compiled_derivative(f: Callable[[Any], Any], order: int) -> Callable[[float], Any]:
    return mg.compile(functools.reduce(lambda g, _: mg.grad(g), range(order), f))


def by_compile(f: Callable[[Any], Any], at: float, order: int) -> float:
    compiled = compiled_derivative(f, order)
    first = compiled(at)
    assert compiled(at) == first
    return float(first)


WAYS = {
    "gradient": by_gradient,
    "grad": by_transforms(nested_grad),
    "jvp": by_transforms(nested_jvp),
    "compile": by_compile,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_powers_at_zero(way: str, zero: float) -> None:
    if way == "compile":
        pytest.importorskip("numpy")
    with every_cell() as cell:
        for exponent, order in itertools.product(range(9), ORDERS):
            with cell(exponent, order):
                true = math.factorial(exponent) if exponent == order else 0
                assert WAYS[way](lambda x, e=exponent: x**e, zero, order) == true


@pytest.mark.slow("12 s on the Python engine; powers at zero, in the same ways, are not slow")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("f", "formula"),
    [
        (lambda x: x / (1.0 + x), lambda x: x / (1 + x)),
        (lambda x: x**2 / (2.0 - x), lambda x: x**2 / (2 - x)),
        (lambda x: mg.sin(x) / (1.0 + x), lambda x: mp.sin(x) / (1 + x)),
        (lambda x: mg.atan2(x, 1.0 + x), lambda x: mp.atan2(x, 1 + x)),
        (lambda x: mg.atan2(1.0 + x, x), lambda x: mp.pi / 2 - mp.atan(x / (1 + x))),
        (lambda x: mg.hypot(x, 1.0 + x), lambda x: mp.sqrt(x**2 + (1 + x) ** 2)),
        (lambda x: mg.norm([x, 2.0 * x, 1.0 - x]), lambda x: mp.sqrt(5 * x**2 + (1 - x) ** 2)),
        (lambda x: mg.norm([x, *[1.0 + x] * 9]), lambda x: mp.sqrt(x**2 + 9 * (1 + x) ** 2)),
        (lambda x: (1.0 + x) ** (2.0 + x), lambda x: (1 + x) ** (2 + x)),
        (lambda x: mg.asinh(x) * mg.atan(x), lambda x: mp.asinh(x) * mp.atan(x)),
        (lambda x: (x * mg.exp(x)) ** 3, lambda x: (x * mp.exp(x)) ** 3),
        (lambda x: mg.gelu(x) * mg.silu(x), lambda x: x * mp.ncdf(x) * x / (1 + mp.exp(-x))),
    ],
)
def test_compositions_at_zero(way: str, f: Callable[[Any], Any], formula: Formula) -> None:
    with every_cell() as cell:
        for order, zero in itertools.product(ORDERS, (0.0, -0.0)):
            with cell(order, zero):
                with mp.workdps(DIGITS):
                    true = mp.diff(formula, 0, order)
                assert WAYS[way](f, zero, order) == pytest.approx(float(true), rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("positions", [*{*itertools.permutations((0, 0, 0, 1)), *itertools.permutations((0, 0, 1))}])
def test_a_power_at_zero_with_a_variable_exponent(positions: tuple[int, ...]) -> None:
    """At x = 0, n = 3, d³xⁿ/dx²dn is 0 and d⁴xⁿ/dx³dn minus infinity, in any order of differentiation."""
    xs = [Value(0.0), Value(3.0)]
    node = xs[0] ** xs[1]
    for i in positions:
        node = gradient(node, xs[i])
    assert node.data == (-math.inf if len(positions) == 4 else 0.0)


def test_derivatives_with_respect_to_the_exponent_of_a_negative_base_are_nan_to_every_order() -> None:
    base, exponent = Value(-2.0), Value(2.0)
    first = gradient(base**exponent, exponent)
    assert all(math.isnan(node.data) for node in (first, gradient(first, exponent), gradient(first, base)))


@pytest.mark.parametrize("x", [1.0, 1e6, 1e8, 1e150])
def test_the_second_derivative_of_hypot_is_right_however_far_out(x: float) -> None:
    with mp.workdps(DIGITS):
        true = float(1 / mp.hypot(1, mpf(x)) ** 3)
    for f in (lambda t: mg.hypot(1.0, t), lambda t: mg.norm([1.0, t])):
        assert abs(mg.grad(mg.grad(f))(x) - true) <= 16.0 * math.ulp(true)


@pytest.mark.parametrize("x", [1e-19, 1e-21, 1e-100, 1e-160, 1e-300])
def test_the_derivatives_of_logit_near_zero_overflow_to_infinities(x: float) -> None:
    second, third = -1.0 / x / x, 2.0 / x / x / x
    for way in (mg.hessian(mg.logit), mg.jacfwd(mg.jacfwd(mg.logit)), mg.compile(mg.logit).hessian):
        assert way(x) == pytest.approx(second, rel=1e-14)
    for slope in (mg.grad(mg.hessian(mg.logit)), mg.compile(mg.grad(mg.hessian(mg.logit)))):
        assert slope(x) == pytest.approx(third, rel=1e-14)
