"""Operations over sequences in a recorded batch: the numbers of the eager program, whatever stands beside a sample."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from truth import any_size, ordinary_size

from microgrud import Value, compile, logsumexp, max, mean, min, sum

OPERATIONS = {"sum": sum, "mean": mean, "max": max, "min": min, "logsumexp": logsumexp}
#: Sequences whose sums cancel or are ties of rounding, and those with equal extremes or exponentials that vanish.
HARD = [
    [1e16, 1.0, 1e-16, -1e16, -1.0],
    [1.0, 2.0**-53, 2.0**-106, 0.0, 0.0],
    [1.0, 2.0**-53, -(2.0**-106), 0.0, 0.0],
    [3.0, 3.0, 1.0, 3.0, 1.0],
    [1e300, 1e-300, -1e300, 5e-324, 1e-300],
    [-1000.0, -1000.0, -1001.0, -1e308, -2000.0],
    [700.0, 709.0, -745.0, 0.0, 708.9999],
]
OUT_OF_RANGE = [
    [1.7e308, 1.7e308, -1.7e308, -1.7e308, 1.0],
    [1.0, -math.inf, 0.5, 0.25, -1.0],
]


def samples(count: int) -> np.ndarray:
    """Draw sequences of five numbers; the hard ones are spread over the rows."""
    rng = random.Random(count)
    rows = [[rng.choice((ordinary_size, any_size))(rng) / 8.0 for _ in range(5)] for _ in range(count)]
    for hard in HARD:
        rows[rng.randrange(count)] = hard
    return np.array(rows)


def eager(operation: Callable[..., Any], row: list[float], weight: float) -> tuple[float, list[float], float]:
    """Return the value, the slopes with respect to the row, and the slope with respect to the shared operand."""
    leaves, shared = [Value(x) for x in row], Value(weight)
    result = operation([*leaves, shared])
    result.backward()
    return result.data, [x.grad for x in leaves], shared.grad


def recorded(operation: Callable[..., Any]) -> Any:
    return compile(lambda xs, w: operation([*xs, w]), batched="xs")


@pytest.mark.parametrize("count", [8, 13, 128, 300])
@pytest.mark.parametrize("name", OPERATIONS)
def test_values_and_slopes_are_those_of_the_eager_program(name: str, count: int) -> None:
    rows, weight, function = samples(count), -1.5, recorded(OPERATIONS[name])
    values = function.map(rows, weight)
    _, (by_rows, by_weight) = function.value_and_grad(rows, weight, argnums=(0, 1))
    truths = [eager(OPERATIONS[name], row, weight) for row in rows.tolist()]
    for row, value, (true, _, _) in zip(rows.tolist(), values.tolist(), truths):
        size = math.fsum(map(abs, [*row, weight])) if name in ("sum", "mean") else abs(true)
        assert value == pytest.approx(true, rel=0.0, abs=0.0 if name in ("max", "min") else 1e-15 * size)
    np.testing.assert_allclose(by_rows, np.array([slopes for _, slopes, _ in truths]) / count, 1e-15, 5e-324)
    assert by_weight == pytest.approx(math.fsum(slope for _, _, slope in truths) / count, rel=1e-13, abs=1e-300)


@pytest.mark.parametrize("row", OUT_OF_RANGE)
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_sample_out_of_range_is_eager_and_leaves_the_others_alone(name: str, row: list[float]) -> None:
    rows, function = samples(40), recorded(OPERATIONS[name])
    before = function.map(rows, 0.25).tolist()
    after = function.map(np.vstack([rows[:20], row, rows[20:]]), 0.25).tolist()
    assert after[:20] + after[21:] == before
    assert after[20] == eager(OPERATIONS[name], row, 0.25)[0]


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_sample_has_the_same_bits_alone_and_in_any_batch(name: str) -> None:
    rows, function = samples(150), recorded(OPERATIONS[name])
    whole = function.map(rows, 0.5)
    parts = [function.map(rows[k : k + 11], 0.5) for k in range(0, 150, 11)]
    assert whole.tobytes() == functools.reduce(lambda one, other: np.concatenate([one, other]), parts).tobytes()
