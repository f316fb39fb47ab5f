"""Second derivatives stay within 16 ulp of the truth, and what one ulp of each operand changes, over the whole domain.

Run `pytest tests/test_second_order_accuracy.py -s` to see the worst case of each.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from mpmath import mp, mpf
from test_accuracy import at_kink, operands_of, truth_operands
from truth import DIGITS, SECOND, TRUTH, Formula, exact

from microgrud import Value, gradient, ops

BOUND = 16.0
SAMPLES = 500
LARGEST = mpf(1.7976931348623e308)  # and a little


def error_in_ulp(computed: float, formula: Formula, xs: list[float]) -> float:
    """Return the error less what a change of each operand by one ulp makes, in units of the truth's last place."""
    true = exact(formula, *xs)
    with mp.workdps(DIGITS):
        nearest = float(true)
        allowed = sum((abs(_change(formula, xs, k)) for k in range(len(xs))), mpf(0))
        if math.isinf(nearest) or not math.isfinite(computed):
            return 0.0 if abs(true) + allowed >= LARGEST and not abs(computed) < LARGEST else math.inf
        return float(max(abs(mpf(computed) - true) - allowed, mpf(0)) / mpf(math.ulp(nearest)))


def _change(formula: Formula, xs: list[float], k: int) -> Any:
    """Return by how much the truth changes with operand k, an ulp of it: the derivative times the ulp."""
    part = mpf(2) ** -20
    moved = list(map(mpf, xs))
    moved[k] += part * mpf(math.ulp(xs[k]))
    return (formula(*moved) - formula(*map(mpf, xs))) / part


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
                error = error_in_ulp(computed, formula, truth_operands(name, xs))
                if error >= pairs.get((i, j), (0.0,))[0]:
                    pairs[i, j] = (error, xs, computed)
    for (i, j), (error, xs, computed) in sorted(pairs.items()):
        print(f"{name:12} by operands {i + 1} and {j + 1} worst {error:6.2f} ulp at {xs} ({computed!r})")
    assert max(error for error, *_ in pairs.values()) <= BOUND
