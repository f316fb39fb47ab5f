"""Activations made of operations agree with their formulas, in the tails and at their kinks too."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import mpmath
import pytest

import microgrud as mg
from microgrud import Value, compile, grad
from microgrud.nn import MLP, get_activation

mp = mpmath.mp

#: Name -> the textbook formula, and the points where it has a kink in value or slope.
FORMULAS: dict[str, tuple[Callable[[Any], Any], tuple[float, ...]]] = {
    "softsign": (lambda x: x / (1 + abs(x)), (0.0,)),
    "mish": (lambda x: x * mp.tanh(mp.log1p(mp.exp(x))), ()),
    "selu": (lambda x: 1.0507009873554805 * (x if x > 0 else mp.mpf(1.6732632423543772) * mp.expm1(x)), (0.0,)),
    "celu": (lambda x: x if x > 0 else mp.expm1(x), (0.0,)),
    "relu6": (lambda x: min(max(x, 0), 6), (0.0, 6.0)),
    "hardtanh": (lambda x: min(max(x, -1), 1), (-1.0, 1.0)),
    "hardsigmoid": (lambda x: min(max(x + 3, 0), 6) / mp.mpf(6), (-3.0, 3.0)),
    "hardswish": (lambda x: x * min(max(x + 3, 0), 6) / mp.mpf(6), (-3.0, 3.0)),
}
RNG = random.Random(0)
POINTS = [RNG.uniform(-8.0, 8.0) for _ in range(40)] + [s * 10.0**k for k in range(-12, 3) for s in (0.7, -0.7)]


def derivatives(f: Callable[[Any], Any], x: float) -> tuple[float, float, float]:
    return f(x), grad(f)(x), grad(grad(f))(x)


@pytest.mark.parametrize("name", FORMULAS)
def test_value_and_two_derivatives_agree_with_the_formula(name: str) -> None:
    formula, kinks = FORMULAS[name]
    for x in POINTS:
        with mp.workdps(120):
            at, h = mp.mpf(x), mp.mpf(10) ** -30
            below, here, above = formula(at - h), formula(at), formula(at + h)
            slope, bend = float((above - below) / (2 * h)), float((above - 2 * here + below) / (h * h))
        assert all(abs(x - kink) > 1e-13 for kink in kinks)
        found = derivatives(getattr(mg, name), x)
        assert found[0] == pytest.approx(float(here), rel=1e-15, abs=0.0)
        # Both derivatives of mish and the slope of hardswish are differences near their roots.
        assert found[1] == pytest.approx(slope, rel=1e-13, abs=1e-15)
        assert found[2] == pytest.approx(bend, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("softsign", 0.0, (0.0, 1.0, 0.0)),
        ("softsign", -math.inf, (-1.0, 0.0, 0.0)),
        ("softsign", 1e200, (1.0, 0.0, 0.0)),
        ("softsign", -1e8, (-1e8 / 100000001.0, 100000001.0**-2.0, 2.0 * 100000001.0**-3.0)),
        ("mish", 1000.0, (1000.0, 1.0, 0.0)),
        ("mish", -1000.0, (0.0, 0.0, 0.0)),
        ("mish", -700.0, (-700.0 * math.exp(-700.0), -699.0 * math.exp(-700.0), -698.0 * math.exp(-700.0))),
        ("mish", math.inf, (math.inf, 1.0, 0.0)),
        ("mish", -math.inf, (0.0, 0.0, 0.0)),
        ("selu", 0.0, (0.0, 1.0507009873554805, 0.0)),
        ("selu", -1000.0, (-1.7580993408473768, 0.0, 0.0)),
        ("selu", 1e300, (1.0507009873554805e300, 1.0507009873554805, 0.0)),
        ("celu", 0.0, (0.0, 1.0, 0.0)),
        ("celu", -math.inf, (-1.0, 0.0, 0.0)),
        ("celu", 1e300, (1e300, 1.0, 0.0)),
        ("relu6", 0.0, (0.0, 0.0, 0.0)),
        ("relu6", 6.0, (6.0, 0.0, 0.0)),
        ("hardtanh", 1.0, (1.0, 0.0, 0.0)),
        ("hardsigmoid", -3.0, (0.0, 0.0, 0.0)),
        ("hardsigmoid", 3.0, (1.0, 0.0, 0.0)),
        ("hardsigmoid", math.nextafter(3.0, 0.0), (1.0, 1.0 / 6.0, 0.0)),
        ("hardswish", -3.0, (0.0, 0.0, 0.0)),
        ("hardswish", 3.0, (3.0, 1.0, 0.0)),
        ("hardswish", -math.inf, (0.0, 0.0, 0.0)),
        ("hardswish", math.inf, (math.inf, 1.0, 0.0)),
    ],
)
def test_kinks_and_tails_have_the_subgradient_of_least_norm_and_no_nan(
    name: str, x: float, expected: tuple[float, float, float]
) -> None:
    f = getattr(mg, name)
    assert derivatives(f, x) == pytest.approx(expected, rel=1e-13, abs=1e-300)
    recorded = compile(f)
    recorded.value_and_grad(0.25)  # the recording is made at another point
    found = (*recorded.value_and_grad(x), recorded.hvp((x,), (1.0,)))
    assert found == pytest.approx(expected, rel=1e-13, abs=1e-300)


@pytest.mark.parametrize("name", FORMULAS)
def test_nan_remains_nan_and_all_numbers_are_one_recording(name: str) -> None:
    f = getattr(mg, name)
    assert math.isnan(f(math.nan))
    recorded, points = compile(f, batched="x"), [*POINTS, 1000.0, -1000.0]
    assert recorded.map(points).tolist() == pytest.approx([f(x) for x in points], rel=1e-15, abs=0.0)
    assert (recorded.stats["paths"], recorded.stats["eager"]) == (1, 0)


def test_celu_and_hardtanh_take_their_constants() -> None:
    for alpha in (0.3, 2.5):
        for x in (-4.0, -0.1, 0.7):
            truth = x if x > 0.0 else alpha * math.expm1(x / alpha)
            assert mg.celu(x, alpha) == pytest.approx(truth, rel=1e-15)
            assert grad(lambda x, a=alpha: mg.celu(x, a))(x) == pytest.approx(min(1.0, math.exp(x / alpha)), rel=1e-14)
    assert [mg.hardtanh(x, -0.5, 2.0) for x in (-1.0, 0.0, 3.0)] == [-0.5, 0.0, 2.0]
    with pytest.raises(ValueError, match="celu: alpha: expected a finite number x > 0, got 0.0"):
        mg.celu(1.0, 0.0)
    with pytest.raises(ValueError, match="expected low <= high"):
        mg.hardtanh(0.0, 1.0, -1.0)


def test_prelu_has_a_slope_to_train() -> None:
    for x, by_x, by_slope in ((-2.0, 0.25, -2.0), (3.0, 1.0, 0.0), (0.0, 0.25, 0.0)):
        node, slope = Value(x), Value(0.25)
        mg.prelu(node, slope).backward()
        assert (node.grad, slope.grad) == (by_x, by_slope)


def test_glu_gates_the_first_half_by_the_second_and_softmin_prefers_the_least() -> None:
    xs = [0.5, -2.0, 1.5, -0.3]
    sigmoid = [1.0 / (1.0 + math.exp(-x)) for x in xs]
    assert mg.glu(xs) == pytest.approx([0.5 * sigmoid[2], -2.0 * sigmoid[3]], rel=1e-15)
    shares = [math.exp(-x) for x in xs]
    assert mg.softmin(xs) == pytest.approx([x / sum(shares) for x in shares], rel=1e-15)
    assert mg.softmin([1000.0, -1000.0]) == [0.0, 1.0]
    for call, message in ((lambda: mg.glu([1.0]), "glu: expected an even number of items, half of them gates, got 1"),
                          (lambda: mg.glu([]), "got 0"), (lambda: mg.softmin([]), "at least one")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("name", FORMULAS)
def test_networks_take_them_by_name_and_by_function(name: str) -> None:
    by_name, by_function = MLP(2, [3, 1], activation=name, rng=0), MLP(2, [3, 1], activation=getattr(mg, name), rng=0)
    assert repr(by_name) == repr(by_function)
    assert by_name([0.5, -1.0]).data == by_function([0.5, -1.0]).data
    assert get_activation(getattr(mg, name)).name == name
