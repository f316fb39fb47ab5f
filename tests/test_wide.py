"""Elementwise code over an array, in one call of a recording: loops over vectors, with the derivatives of each kind."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import microgrud
from microgrud import Value, compile, value_and_grad
from microgrud.engine.ops import TABLE
from microgrud.tape import executors
from microgrud.tape.native import native_tape

POINTS = np.array([0.0, -0.0, 0.25, 0.5, 0.75, 1.0, -0.5, 2.0, 3.5, -1.0])
PERMUTED = np.random.default_rng(2).permutation(70)
WEIGHTS = np.random.default_rng(3).normal(size=70)

LINEAR: dict[str, Callable[[Any], Any]] = {
    "with constants": lambda x: 2.0 * x + 1.0,
    "with an element": lambda x: x[0] * x + x[3],
    "with arrays of constants": lambda x: WEIGHTS[: len(x)] * x + WEIGHTS[-len(x) :],
    "reversed": lambda x: x * x[::-1] + x,
    "scattered": lambda x: x[PERMUTED % len(x)] * x[PERMUTED[::-1] % len(x)] + x[0] * WEIGHTS + x[PERMUTED % 5],
    "with equal runs": lambda x: x[np.arange(70) // 40] * x[np.arange(70) % len(x)] + x[np.arange(70) // 64],
    "of three products": lambda x: x * x[0] + x * x[::-1] + 3.0 * x + 0.5,
    "chosen": lambda x: np.where(x[::-1] < 0.5, x, x * x),
}


def total(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def weighted(x: Any) -> Any:
        z = np.asarray(f(x))
        return microgrud.dot(z, WEIGHTS[: z.size]) + 0.0 * z[0]

    return weighted


def rows_of(name: str) -> tuple[Callable[[Any], Any], np.ndarray]:
    """Return an operation applied to each row, and rows within its domain, with its kinks and ties."""
    arity = TABLE[name].arity or 1
    f = getattr(microgrud, name, getattr(Value, name, None)) or TABLE[name]
    low = {
        "acosh": 1.0,
        "log": 0.1,
        "log1p": 0.1,
        "log2": 0.1,
        "log10": 0.1,
        "sqrt": 0.1,
        "cbrt": 0.1,
        "reciprocal": 0.1,
    }.get(name)
    points = POINTS if low is None else np.abs(POINTS) + low + 0.01
    points = points / 4.0 if name in ("asin", "acos", "atanh", "erfinv") else points
    points = 0.5 + points / 8.0 if name in ("logit", "ndtri") else points
    columns = [points[np.arange(70) % 10]]
    columns += [np.abs(points[(np.arange(70) // 10 + k) % 10]) + 0.5 * k for k in range(arity - 1)]
    rows = np.stack(columns, axis=1)
    if name in (
        "pow",
        "divide",
        "divide_ieee",
        "atan2",
        "xlogy",
        "entr",
        "beta",
        "betaln",
        "digamma",
        "gamma",
        "lgamma",
    ):
        rows = np.abs(rows) + 0.25
    return lambda x: np.array([f(*row) for row in x.reshape(-1, arity)], dtype=object), rows.ravel()


SKIPPED = {"round_digits", "floor_divide", "modulo", "fmod", "power_over"}
SKIPPED |= {"polygamma", "polygamma_difference", "bessel_i"}  # whose order is a constant
ELEMENTWISE = sorted(name for name, own in TABLE.items() if own.arity in (1, 2, 3) and name not in SKIPPED)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivatives_of_an_operation_on_each_row_are_those_of_eager_evaluation(name: str) -> None:
    f, x = rows_of(name)
    compiled = compile(total(f))
    value, slopes = compiled.value_and_grad(x)
    expected, expected_slopes = value_and_grad(total(f))(x)
    assert value == pytest.approx(expected, rel=1e-13, abs=1e-14)
    assert slopes == pytest.approx(expected_slopes, rel=1e-13, abs=1e-14)


@pytest.mark.parametrize("count", [7, 64, 70])
@pytest.mark.parametrize("name", sorted(LINEAR))
def test_sums_of_products_of_arrays_have_the_derivatives_of_eager_evaluation(name: str, count: int) -> None:
    f, x = total(LINEAR[name]), np.random.default_rng(count).normal(size=count)
    compiled = compile(f)
    for point in (x, x[::-1].copy()):
        value, slopes = compiled.value_and_grad(point)
        expected, expected_slopes = value_and_grad(f)(point)
        assert value == pytest.approx(expected, rel=1e-13, abs=1e-14)
        assert slopes == pytest.approx(expected_slopes, rel=1e-13, abs=1e-14)


@pytest.mark.parametrize("name", [*sorted(LINEAR), *ELEMENTWISE])
def test_all_variants_give_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if native_tape is None:
        pytest.skip("the interpreter in NumPy has no variants")
    f, x = (LINEAR[name], POINTS[np.arange(70) % 9]) if name in LINEAR else rows_of(name)
    found = []
    for variant in native_tape.VARIANTS:
        made = SimpleNamespace(**{**vars(native_tape), "Tapes": lambda *own, v=variant: native_tape.Tapes(*own, v)})
        monkeypatch.setattr(executors, "native_tape", made)
        value, slopes = compile(lambda x: f(x).sum()).value_and_grad(x)
        found.append([value, *slopes])
    assert all(np.array_equal(found[0], other, equal_nan=True) for other in found)


@pytest.mark.parametrize("count", [*range(1, 18), 33])
def test_dot_products_of_one_call_have_the_same_bits_with_avx_512_and_avx2(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused = [variant for variant in getattr(native_tape, "VARIANTS", []) if variant != "baseline"]
    if len(fused) < 2:
        pytest.skip("one instruction set with fused multiply-adds")
    one = lambda x: microgrud.tanh(microgrud.dot(x[:count], x[count:], x[0]))  # noqa: E731
    many = lambda x: sum(one(np.roll(x, k)) for k in range(6))  # noqa: E731
    for f in (one, many):
        for seed in range(12):
            x, found = np.random.default_rng(seed).normal(size=2 * count), []
            for variant in fused:
                made = SimpleNamespace(**vars(native_tape))
                made.Tapes = lambda *own, v=variant: native_tape.Tapes(*own, v)
                monkeypatch.setattr(executors, "native_tape", made)
                value, slopes = compile(f).value_and_grad(x)
                found.append([value, *slopes])
            assert found[0] == found[1]
