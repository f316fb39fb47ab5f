"""The gamma and beta functions and Bessel's I against mpmath, where tests of all operations do not measure them."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from mpmath import mp, mpf
from scipy import special
from truth import error_beyond_operands, ulp_error

import microgrud as mg
from microgrud import Value
from microgrud.engine import ops

INF, NAN = math.inf, math.nan
SIZES = [(1e-300, 1e-3), (1e-3, 1.0), (1.0, 10.0), (10.0, 100.0), (100.0, 1e5), (1e5, 1e12), (1e12, 1e250)]


def log_uniform(rng: random.Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def pairs(count: int) -> list[tuple[float, float]]:
    """Pairs of positive numbers of all sizes."""
    rng = random.Random(5)
    return [
        (log_uniform(rng, *a), log_uniform(rng, *b)) for a, b in itertools.product(SIZES, SIZES) for _ in range(count)
    ]


def digits(x: float, y: float) -> Any:
    """Let mpmath compute with the digits that cancel in log_beta, and fifty others."""
    return mp.workdps(50 + int(abs(math.log10(x)) + abs(math.log10(y))))


def log_beta(x: Any, y: Any) -> Any:
    return mp.loggamma(x) + mp.loggamma(y) - mp.loggamma(x + y)


def gradient_of(f: Callable[..., Any], *xs: float) -> list[float]:
    leaves = list(map(Value, xs))
    f(*leaves).backward()
    return [leaf.grad for leaf in leaves]


@pytest.mark.parametrize("n", [1, 2, 3, 6, 20, 170])
def test_polygamma_is_accurate_at_any_order(n: int) -> None:
    rng, worst = random.Random(n), 0.0
    for low, high in [(1e-30, 1e-3), (1e-3, 3.0), (3.0, 10.0), (10.0, 30.0), (30.0, 1e3)]:
        for x in [log_uniform(rng, low, high) for _ in range(12)]:
            with mp.workdps(50):
                worst = max(worst, ulp_error(mg.polygamma(n, x), mp.psi(n, mpf(x))))
    print(f"polygamma({n}, x): {worst:.2f} ulp")
    assert worst <= (4.0 if n <= 3 else 16.0)


def test_polygamma_below_zero_has_the_error_of_one_ulp_of_its_operand() -> None:
    rng = random.Random(3)
    for n, x in itertools.product((1, 2, 3, 4), [rng.uniform(-12.0, 0.0) for _ in range(30)]):
        assert error_beyond_operands(mg.polygamma(n, x), lambda t, n=n: mp.psi(n, t), [x]) <= 4.0
        assert mg.polygamma(n, x) == pytest.approx(float(mp.psi(n, x)), rel=1e-12)


def test_lgamma_between_its_roots_below_zero_is_more_accurate_than_that_of_scipy() -> None:
    """Between -3 and -2 lgamma is small, and its terms are not: 10 ulp, where SciPy has 21."""
    points = [-2.0 - k / 400.0 for k in range(1, 400)]

    def worst(f: Callable[[float], Any]) -> float:
        return max(error_beyond_operands(float(f(x)), lambda t: mp.re(mp.loggamma(t)), [x]) for x in points)

    assert worst(mg.lgamma) <= 10.0 < worst(special.gammaln)


def test_the_beta_function_is_accurate_for_operands_of_all_sizes() -> None:
    worst = 0.0
    for x, y in pairs(3):
        with digits(x, y):
            true = mp.exp(log_beta(mpf(x), mpf(y)))
        if 1e-300 < true < 1e300:
            worst = max(worst, ulp_error(mg.beta(x, y), true))
    print(f"beta: {worst:.2f} ulp")
    assert worst <= 8.0
    assert mg.beta(1e5, 20.0) == mg.beta(20.0, 1e5)


def test_betaln_loses_no_digits_however_different_its_operands_are() -> None:
    """Around the curve where it is 0 it has the error of an ulp of 1."""
    worst = 0.0
    for x, y in pairs(3):
        with digits(x, y):
            true = log_beta(mpf(x), mpf(y))
        error = abs(mpf(mg.betaln(x, y)) - true) / mpf(math.ulp(max(abs(float(true)), 1.0 if min(x, y) < 1.0 else 0.0)))
        worst = max(worst, float(error))
    print(f"betaln: {worst:.2f} ulp")
    assert worst <= 6.0


def test_the_slopes_of_betaln_are_differences_of_digamma_that_do_not_cancel() -> None:
    worst = 0.0
    for x, y in pairs(1):
        with digits(x, y):
            true = [mp.digamma(mpf(a)) - mp.digamma(mpf(x) + mpf(y)) for a in (x, y)]
        worst = max(worst, *map(ulp_error, gradient_of(mg.betaln, x, y), true))
    print(f"slopes of betaln: {worst:.2f} ulp")
    assert worst <= 4.0


def test_the_hessian_of_betaln_is_accurate_where_one_operand_is_large() -> None:
    hessian = mg.hessian(lambda xs: mg.betaln(*xs))([1e9, 0.5])
    with mp.workdps(60):
        x, y = mpf(1e9), mpf(0.5)
        mixed = -mp.psi(1, x + y)
        true = [[mp.psi(1, x) + mixed, mixed], [mixed, mp.psi(1, y) + mixed]]
    for row, expected in zip(hessian, true):
        assert row == pytest.approx(list(map(float, expected)), rel=1e-15)


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_bessel_functions_are_accurate_at_any_order_and_size(n: int) -> None:
    bessel = ops.TABLE["bessel_i"]
    for x in (0.0, 5e-324, 1e-200, 1e-8, 0.3, -5.0, 19.9, 20.1, 70.0, -120.0, 699.9, 712.0):
        with mp.workdps(50):
            assert ulp_error(bessel.evaluate([float(n), x]), mp.besseli(n, mpf(x))) <= 4.0


@pytest.mark.parametrize("function", ["i0", "i1"])
def test_bessel_functions_have_all_derivatives_at_zero(function: str) -> None:
    f, order = getattr(mg, function), int(function[1])
    for k in range(7):
        true = 0.0 if (k - order) % 2 or k < order else math.comb(k, (k - order) // 2) / 2.0**k
        assert f(0.0) == pytest.approx(true, rel=1e-15)
        f = mg.grad(f)


def test_gamma_of_integers_is_exact() -> None:
    assert [mg.gamma(float(n)) for n in range(1, 24)] == [float(math.factorial(n - 1)) for n in range(1, 24)]


@pytest.mark.parametrize("x", [-170.5, -175.0 + 2.0**-45, -179.0 - 2.0**-45, -184.0 - 2.0**-45, -190.0 + 2.0**-45])
def test_the_slope_of_gamma_keeps_its_digits_where_gamma_underflows(x: float) -> None:
    with mp.workdps(60):
        t = mpf(x)
        true = [mp.gamma(t) * mp.digamma(t), mp.gamma(t) * (mp.digamma(t) ** 2 + mp.psi(1, t))]
    assert mg.grad(mg.gamma)(x) == pytest.approx(float(true[0]), rel=1e-13, abs=2e-323)
    if mg.gamma(x):
        assert mg.grad(mg.grad(mg.gamma))(x) == pytest.approx(float(true[1]), rel=1e-9, abs=2e-323)


def test_the_slope_of_gamma_is_right_up_to_overflow() -> None:
    with mp.workdps(50):
        true = mp.gamma(mpf(171.0)) * mp.digamma(mpf(171.0))
    assert ulp_error(mg.grad(mg.gamma)(171.0), true) <= 4.0
    with pytest.raises(OverflowError, match=r"^gamma\(171.7\): the result is too large"):
        mg.gamma(171.7)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: mg.gamma(x * 0.0), ValueError, r"^gamma\(0.0\): expected x other than 0, -1, -2, ..., got 0.0"),
        (lambda x: mg.digamma(x - 3.5), ValueError, r"^digamma\(-3.0\): expected x other than 0, -1, -2, ..., got -3"),
        (lambda x: mg.polygamma(2, x * 0.0), ValueError, r"^polygamma\(2.0, 0.0\): expected x other than 0"),
        (lambda x: mg.polygamma(171, x), ValueError, r"^polygamma\(171.0, 0.5\): expected a whole order from 0 to 170"),
        (lambda x: mg.polygamma(-1, x), ValueError, r"^polygamma: n: expected an integer of at least 0, got -1"),
        (lambda x: mg.polygamma(1.0, x), TypeError, r"^polygamma: n: expected an integer, got 1.0"),  # type: ignore[arg-type]
        (lambda x: mg.beta(x, 0.0), ValueError, r"^beta\(0.5, 0.0\): expected operand 2 > 0, got 0.0"),
        (lambda x: mg.betaln(-x, x), ValueError, r"^betaln\(-0.5, 0.5\): expected operand 1 > 0, got -0.5"),
        (lambda x: mg.beta(x * 1e-320, x), OverflowError, r"^beta\(.*: the result is too large for a float"),
        (lambda x: mg.lgamma(x * 1e308), OverflowError, r"^lgamma\(5e\+307\): the result is too large for a float"),
        (lambda x: mg.i0(x * 2000.0), OverflowError, r"^i0\(1000.0\): the result is too large for a float"),
        (lambda x: mg.i1(x * -1428.0), OverflowError, r"^i1\(-714.0\): the result is too large for a float"),
    ],
)
def test_poles_and_wrong_orders_are_errors_in_all_ways(call: Any, error: type[Exception], message: str) -> None:
    for run in (call, lambda x: call(Value(x)), mg.grad(call), mg.compile(call), mg.compile(mg.grad(call))):
        with pytest.raises(error, match=message):
            run(0.5)


def test_infinities_and_nan_have_the_limits() -> None:
    cases = [
        (mg.lgamma, (INF,), INF), (mg.lgamma, (-INF,), INF), (mg.digamma, (INF,), INF), (mg.digamma, (-INF,), NAN),
        (mg.gamma, (INF,), INF), (mg.beta, (INF, 2.0), 0.0), (mg.betaln, (2.0, INF), -INF), (mg.i0, (-INF,), INF),
        (mg.i1, (-INF,), -INF), (mg.lgamma, (NAN,), NAN), (mg.beta, (NAN, 1.0), NAN), (mg.betaln, (1.0, NAN), NAN),
        (mg.i1, (NAN,), NAN), (mg.gamma, (NAN,), NAN), (mg.digamma, (1e-310,), -INF), (mg.digamma, (-1e-310,), INF),
        (lambda x: mg.polygamma(1, x), (INF,), 0.0), (lambda x: mg.polygamma(2, x), (-INF,), NAN),
        (lambda x: mg.polygamma(3, x), (1e308,), 0.0),
    ]  # fmt: skip
    for f, xs, expected in cases:
        for found in (f(*xs), f(*map(Value, xs)).data, mg.compile(f)(*xs)):
            assert found == expected or (math.isnan(found) and math.isnan(expected)), (f, xs)


def test_an_integer_argument_is_the_order_of_polygamma_in_a_recording() -> None:
    f = mg.compile(lambda n, x: mg.polygamma(n, x) * x)
    assert [f(n, 2.5) for n in (0, 1, 2, 1)] == [mg.polygamma(n, 2.5) * 2.5 for n in (0, 1, 2, 1)]


def test_a_loss_of_lgamma_and_digamma_is_replayed_in_blocks() -> None:
    f = mg.compile(lambda x: mg.lgamma(x) + mg.digamma(x) * mg.gamma(x) + mg.polygamma(2, x), batched="x")
    rows = [0.1, 0.7, 1.0, 1.5, 2.3, 9.5, 11.0, 30.0, -2.5]
    found = f.map(rows)
    expected = [mg.lgamma(x) + mg.digamma(x) * mg.gamma(x) + mg.polygamma(2, x) for x in rows]
    assert found.tolist() == pytest.approx(expected, rel=1e-15)
    if mg.backend == "c":
        assert f.stats["block_size"] > 0
