"""Second derivatives stay within 16 ulp of the truth, plus the effect of one ulp of each operand, in the whole domain.

Run `pytest tests/test_second_order_accuracy.py -s` to see the worst case of each.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from mpmath import mp, mpf
from test_accuracy import at_kink, operands_of, truth_operands
from truth import DIGITS, SECOND, TRUTH, Formula, error_beyond_operands, exact

from microgrud import Value, gradient
from microgrud.engine import ops

BOUND = 16.0
SAMPLES = 500
#: The ulp by which an operand may change, if not 1: near the inflection points of these, two terms cancel.
ULPS = {"sech_squared": 2.0, "silu": 2.0}


@pytest.mark.slow("5 s: hundreds of second derivatives at 60 digits for each function")
@pytest.mark.parametrize("name", sorted(TRUTH))
def test_second_derivatives_are_within_sixteen_ulp_and_an_ulp_of_the_operands(name: str) -> None:
    pairs: dict[tuple[int, int], tuple[float, list[float], float]] = {}
    count = len(TRUTH[name]) - 1
    formulas = SECOND.get(name, [lambda *xs: mpf(0)] * (count * (count + 1) // 2))
    for xs in itertools.islice(operands_of(name), SAMPLES):
        if at_kink(name, xs):
            continue
        nodes = [Value(x) for x in xs]
        firsts = gradient(ops.TABLE[name](*nodes), nodes[:count])
        seconds = [gradient(first, nodes[:count]) for first in firsts]
        ways = itertools.combinations_with_replacement(range(count), 2)
        for (i, j), formula in zip(ways, formulas, strict=True):
            for computed in {seconds[i][j].data, seconds[j][i].data}:
                if name == "atan2" and math.isnan(computed) and math.hypot(*xs) < 7.5e-155:
                    continue  # docs/conventions.md says so
                error = error_beyond_operands(computed, formula, truth_operands(name, xs), ULPS.get(name, 1.0))
                if error >= pairs.get((i, j), (0.0,))[0]:
                    pairs[i, j] = (error, xs, computed)
    advice = "take more digits for the truth (mp.workdps), or add the operation to ULPS if this is near a root"
    for (i, j), (error, xs, computed) in sorted(pairs.items()):
        case = f"{name:12} operands {i + 1} and {j + 1} worst {error:6.2f} ulp at {xs} ({computed!r})"
        print(case)
        assert error <= BOUND, f"{case}; correct the rule, {advice}"


@pytest.mark.parametrize("name", sorted(set(TRUTH) - set(SECOND)))
def test_an_operation_without_formulas_of_second_derivatives_has_none_but_zero(name: str) -> None:
    for xs in itertools.islice(operands_of(name), 20):
        nodes = [Value(x) for x in xs]
        firsts = gradient(ops.TABLE[name](*nodes), nodes)
        seconds = [second.data for first in firsts for second in gradient(first, nodes)]
        assert not any(seconds), f"{name}: add the second derivatives to SECOND in tests/truth.py"


def _share(xs: list[Any], i: int) -> Any:
    return mp.exp(xs[i]) / mp.fsum(map(mp.exp, xs))


def _of_log_share(i: int, j: int, xs: list[Any]) -> Any:
    """Return the derivative of the logarithm of a share: 1 - s with respect to its own number, and -s to another."""
    return mp.fsum(_share(xs, k) for k in range(len(xs)) if k != i) if i == j else -_share(xs, j)


def _of_logsumexp(i: int, j: int, xs: list[Any]) -> Any:
    return _share(xs, i) * _of_log_share(i, j, xs)


def _of_softmax(i: int, j: int, xs: list[Any]) -> Any:
    return _share(xs, 0) * (_of_log_share(0, i, xs) * _of_log_share(0, j, xs) - _of_logsumexp(i, j, xs))


def _of_norm(i: int, j: int, xs: list[Any]) -> Any:
    squares = [x * x for k, x in enumerate(xs) if k != i]
    return (mp.fsum(squares) if i == j else -xs[i] * xs[j]) / mp.norm(xs) ** 3


#: Second derivatives with respect to the numbers at two places of a sequence; of (log_)softmax for the first result.
OVER_SEQUENCES: dict[str, Callable[[int, int, list[Any]], Any]] = {
    "norm": _of_norm,
    "logsumexp": _of_logsumexp,
    "softmax": _of_softmax,
    "log_softmax": lambda i, j, xs: -_of_logsumexp(i, j, xs),
    # The second derivative of softmax is a difference of two terms: the error is relative to the larger one.
    "softmax, terms": lambda i, j, xs: (
        _share(xs, 0) * max(abs(_of_log_share(0, i, xs) * _of_log_share(0, j, xs)), abs(_of_logsumexp(i, j, xs)))
    ),
    "prod": lambda i, j, xs: mp.fprod(x for k, x in enumerate(xs) if k not in (i, j)) if i != j else mpf(0),
}


def formula_at(name: str, i: int, j: int) -> Formula:
    return lambda *xs: OVER_SEQUENCES[name](i, j, list(xs))


@pytest.mark.slow("4 s: hundreds of second derivatives at 60 digits for each function")
@pytest.mark.parametrize("name", [name for name in OVER_SEQUENCES if "," not in name])
def test_second_derivatives_over_sequences_are_within_the_same_bound(name: str) -> None:
    rng = random.Random(name)
    worst: tuple[float, list[float], float] = (0.0, [], 0.0)
    for _ in range(SAMPLES // 10):
        width = rng.uniform(0.5, 30.0) if name in ("norm", "prod") else rng.uniform(0.5, 8.0)
        xs = [rng.choice((-1.0, 1.0)) * math.exp(rng.uniform(-width, width)) for _ in range(rng.randint(2, 5))]
        xs = [x if abs(x) < 300.0 or name in ("norm", "prod") else 300.0 for x in xs]
        nodes = [Value(x) for x in xs]
        firsts = gradient(ops.TABLE[name](*[0.0] * name.endswith("softmax"), *nodes), nodes)
        for i, first in enumerate(firsts):
            for j, second in enumerate(gradient(first, nodes)):
                error = error_beyond_operands(second.data, formula_at(name, i, j), xs)
                if name == "softmax" and error > BOUND:
                    error *= abs(
                        float(exact(formula_at(name, i, j), *xs) / exact(formula_at("softmax, terms", i, j), *xs))
                    )
                worst = max(worst, (error, xs, second.data))
    print(f"{name:12} worst {worst[0]:6.2f} ulp at {worst[1]} ({worst[2]!r})")
    assert worst[0] <= BOUND


@pytest.mark.parametrize("size", [1.0, 10.0, 1e3, 1e5])
def test_a_norm_of_many_numbers_loses_the_digits_that_the_conventions_say(size: float) -> None:
    rng = random.Random(size)
    for _ in range(20):
        xs = [rng.uniform(0.5, 2.0) * rng.choice((-1.0, 1.0)) for _ in range(rng.randint(9, 16))]
        xs[0] *= size
        nodes = [Value(x) for x in xs]
        seconds = gradient(gradient(ops.NORM(*nodes), nodes)[0], nodes)
        with mp.workdps(DIGITS):
            bound = BOUND + 2.0 * (mp.norm(xs) / mp.norm(xs[1:])) ** 2
            for j, second in enumerate(seconds):
                assert error_beyond_operands(second.data, lambda *xs, j=j: _of_norm(0, j, list(xs)), xs) <= bound
