"""Small batches of compiled functions: equal instructions over neighbouring numbers run as one, and matrices sum their
adjoints sample by sample. Neither changes what a sample gives, or the gradient of the batch."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from microgrud import Value, atan2, compile, dot, log_softmax, mean, relu, sigmoid, softmax, sum, tanh, where
from microgrud.tape import executors
from microgrud.tape.native import native_tape

Row = list[Any]
WIDTH = 12


def residual(w: list[Row], x: Row) -> Any:
    """A matrix whose sums have a plain term, one of which is the sum before it."""
    inner = [tanh(a + dot(row, x)) for row, a in zip(w, x)]
    first = x[0] + dot(w[0], inner)
    sums = [first, first + dot(w[1], inner), *[a + dot(row, inner) for row, a in zip(w[2:], x)]]
    return sum([tanh(a) for a in sums])


def tied(w: list[Row], x: Row) -> Any:
    """Rows of a matrix that are not consecutive parameters, and some that share one."""
    columns = list(zip(*w))
    return sum([tanh(dot(row, x)) for row in [*columns, [w[0][0]] * WIDTH, list(reversed(w[1]))]])


def normalised(w: list[Row], x: Row) -> Any:
    """The same scale, a parameter or a result, again and again."""
    scale = (mean([a * a for a in x]) + 1e-5) ** -0.5
    return sum([a * scale * w[0][0] for a in x]) + sum([(a * a + 0.5) ** w[0][1] for a in x])


def overlapping(w: list[Row], x: Row) -> Any:
    """Operands that overlap by all numbers but one, in either order; sums over a chain."""
    steps = [a * b for a, b in zip(x, w[0])]
    neighbours = [(steps[k], steps[k + 1]) for k in range(WIDTH - 1)]
    shifted = [atan2(a, b) for a, b in neighbours] + [atan2(b, a) for a, b in neighbours]
    chain = [steps[0] * steps[1]]
    for _ in range(8):
        chain.append(chain[-1] * steps[2])
    return sum(shifted) + sum(chain) + sum([a - steps[3] for a in steps]) * sum([steps[3] / (3.0 + a) for a in steps])


def selected(w: list[Row], x: Row) -> Any:
    """Selections, and operands whose adjoints are not wanted."""
    sides = [where(a < b, sigmoid(a * c), relu(b - a)) for a, b, c in zip(x, w[0], w[1])]
    return sum([abs(a - 0.25) for a in sides]) + sum([a * 2.0 - 3.0 for a in x])


def attention(w: list[Row], x: Row) -> Any:
    """Softmax, and its logarithm, of which some results are not used."""
    shares = softmax([dot(row, x) for row in w])
    large = log_softmax([30.0 * a for a in x])
    return sum([a * b for a, b in zip(shares[2:], w[0])]) + large[0] - large[3] * shares[1]


PROGRAMS = [residual, tied, normalised, overlapping, selected, attention]


def numbers(seed: int, count: int) -> tuple[list[list[float]], np.ndarray]:
    rng = random.Random(seed)
    rows = [[rng.uniform(0.1, 1.0) for _ in range(WIDTH)] for _ in range(WIDTH)]
    return rows, np.array([[rng.gauss(0.0, 0.7) for _ in range(WIDTH)] for _ in range(count)])


def eager(f: Callable[..., Any], w: list[list[float]], x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the mean of the samples, and its derivatives with respect to w and x."""
    parameters, inputs = [[Value(a) for a in row] for row in w], [[Value(a) for a in row] for row in x.tolist()]
    result = mean([f(parameters, row) for row in inputs])
    result.backward()
    return (
        float(result.data),
        np.array([[a.grad for a in row] for row in parameters]),
        np.array([[a.grad for a in row] for row in inputs]),
    )


@pytest.mark.parametrize("count", [2, 8, 11, 33, 65, 130])
@pytest.mark.parametrize("f", PROGRAMS)
def test_a_batch_of_any_size_gives_the_gradient_of_the_eager_program(f: Callable[..., Any], count: int) -> None:
    w, x = numbers(count, count)
    value, (by_w, by_x) = compile(f, batched="x").value_and_grad(w, x, argnums=(0, 1))
    true, true_by_w, true_by_x = eager(f, w, x)
    assert value == pytest.approx(true, rel=1e-12, abs=1e-14)
    np.testing.assert_allclose(np.array(by_w), true_by_w, 1e-11, 1e-13)
    np.testing.assert_allclose(by_x, true_by_x, 1e-11, 1e-13)


@pytest.mark.parametrize("f", PROGRAMS)
def test_a_sample_has_the_same_bits_in_narrow_and_wide_blocks(f: Callable[..., Any]) -> None:
    w, x = numbers(1, 128)
    by_sample = compile(f, batched="x", reduction="sum")
    wide_values, wide = by_sample.map(w, x), by_sample.value_and_grad(w, x, argnums=1)[1]
    for count in (3, 8, 16, 40, 64):
        assert by_sample.map(w, x[:count]).tobytes() == wide_values[:count].tobytes()
        assert by_sample.value_and_grad(w, x[:count], argnums=1)[1].tobytes() == wide[:count].tobytes()


@pytest.mark.skipif("avx2" not in getattr(native_tape, "VARIANTS", []), reason="one set with fused multiply-adds")
@pytest.mark.parametrize("f", PROGRAMS)
def test_instruction_sets_give_the_same_bits(f: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    w, x = numbers(2, 21)
    native, results = native_tape, []
    for variant in ("avx2", native.VARIANTS[0]):
        made = SimpleNamespace(**{**vars(native), "Tapes": lambda *own, variant=variant: native.Tapes(*own, variant)})
        monkeypatch.setattr(executors, "native_tape", made)
        value, (by_w, by_x) = compile(f, batched="x").value_and_grad(w, x, argnums=(0, 1))
        results.append([value, np.array(by_w).tobytes(), by_x.tobytes()])
    assert results[0] == results[1]


def test_a_sample_that_is_not_finite_leaves_its_neighbours_alone() -> None:
    w, x = numbers(3, 6)
    function = compile(normalised, batched="x")
    before = function.map(w, x)
    x[4, 7] = np.inf
    after = function.map(w, x)
    assert np.delete(after, 4).tobytes() == np.delete(before, 4).tobytes()
    assert not np.isfinite(after[4])
