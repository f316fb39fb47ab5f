"""Values and derivatives stay within 4 ulp of the 50-digit truth over the whole domain of each operation.

Run `pytest tests/test_accuracy.py -s` to see the worst case of each.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest
from truth import (
    MEASURED_IN_TEST_GAMMA,
    OSCILLATING,
    OSCILLATING_BELOW_ZERO,
    PRIVATE,
    TRUTH,
    error_beyond_operands,
    exact,
    sample,
    ulp_error,
)

from microgrud.engine import ops

BOUND = 4.0
SAMPLES = 1000


def operands_of(name: str) -> Iterator[list[float]]:
    """Yield operands in the domain of an operation at which its value exists."""
    rng = random.Random(name)
    operation = ops.TABLE[name]
    found = 0
    while found < SAMPLES:
        xs = sample(name, operation.arity or 1, rng)
        if name == "gaussian":
            xs = [xs[0], 1.0]
        if not all(map(math.isfinite, xs)) or _out_of_reach(name, xs):
            continue
        try:
            operation.evaluate(xs)
        except (ValueError, ArithmeticError):
            continue
        found += 1
        yield xs


def truth_operands(name: str, xs: list[float]) -> list[float]:
    return xs[:1] if name == "gaussian" else xs


def test_every_operation_is_measured() -> None:
    assert set(TRUTH) <= set(ops.TABLE)
    measured = {ops.TABLE[name].symbol for name in TRUTH}
    for name in set(ops.TABLE) - set(TRUTH) - MEASURED_IN_TEST_GAMMA:  # sequences: test_sequences.py
        operation = ops.TABLE[name]
        assert operation.arity is None or (name in PRIVATE and operation.symbol in measured), (
            name
        )  # a form of a measured one


@pytest.mark.parametrize("name", sorted(TRUTH))
def test_value_and_derivatives_are_within_four_ulp_of_the_truth(name: str) -> None:
    operation = ops.TABLE[name]
    value, *derivatives = TRUTH[name]
    worst = {-1: (0.0, [0.0], 0.0)}
    for xs in operands_of(name):
        out = operation.evaluate(xs)
        quantities = [(-1, out, value)]
        slopes = operation.local_derivatives(out, xs, range(len(derivatives)))
        quantities += [(i, 0.0 if slope is None else slope, derivatives[i]) for i, slope in enumerate(slopes)]
        for i, computed, formula in quantities:
            if at_kink(name, xs) and i >= 0:
                continue
            operands = truth_operands(name, xs)
            if (i >= 0 and name in OSCILLATING) or (xs[0] < 0.0 and name in OSCILLATING_BELOW_ZERO):
                error = error_beyond_operands(computed, formula, operands)
            else:
                error = ulp_error(computed, exact(formula, *operands))
            if error >= worst.get(i, (0.0,))[0]:
                worst[i] = (error, xs, computed)
    advice = "take more digits for the truth (mp.workdps), or add the operation to OSCILLATING if this is near a root"
    for i, (error, xs, computed) in sorted(worst.items()):
        what = "value" if i < 0 else f"derivative with respect to operand {i + 1}"
        case = f"{name:12} {what:24} worst {error:6.2f} ulp at {xs} ({computed!r})"
        print(case)
        assert error <= BOUND, f"{case}; correct the rule, {advice}"


def at_kink(name: str, xs: list[float]) -> bool:
    """True if the derivative does not exist there: such points are in the table of conventions."""
    if name in ("minimum", "maximum"):
        return xs[0] == xs[1]
    if name == "clip":
        return xs[0] in xs[1:]
    if name in ("asin", "acos", "acosh"):
        return abs(xs[0]) == 1.0
    return name in ("abs", "relu", "leaky_relu", "elu", "sqrt", "cbrt", "hypot", "pow", "entr") and xs[0] == 0.0


def _out_of_reach(name: str, xs: list[float]) -> bool:
    """True if mpmath has no truth: it lacks a signed zero, and the error function of arguments beyond its series.

    Or if there are roots at both sides of a maximum, where lgamma has the error of 1: test_gamma.py.
    """
    if name == "lgamma":
        return -3.0 < xs[0] < -2.0
    if name in ("atan2", "copysign"):
        return 0.0 in xs
    if name in ("xlogy", "xlog1py") and xs[0] == 0.0:
        return xs[1] <= (0.0 if name == "xlogy" else -1.0)  # a term of 0 at a singular point
    return name in ("erf", "erfc", "gelu", "gelu_slope", "ndtr", "log_ndtr") and abs(xs[0]) > 1e4
