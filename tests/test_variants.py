"""Variants of the interpreter in C, for AVX-512, AVX2 and every processor: the bits that `compile` promises."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from arrays import np

import microgrud
from microgrud import Value, compile
from microgrud.engine.ops import TABLE
from microgrud.losses import squared_error
from microgrud.nn import MLP
from microgrud.tape import executors
from microgrud.tape.native import native_tape

native = native_tape
pytestmark = pytest.mark.skipif(native is None, reason="the interpreter in NumPy has no variants")

VARIANTS: list[str] = getattr(native, "VARIANTS", [])
FUSED = [variant for variant in VARIANTS if variant != "baseline"]
UNARY = [name for name, operation in TABLE.items() if operation.arity == 1 and hasattr(Value, name)]
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    **{name: getattr(microgrud, name) for name in ("pow", "hypot", "atan2", "maximum", "minimum")},
}
Numbers = list[float]


@pytest.fixture
def in_variant(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], Numbers]], Numbers]:
    def run(variant: str, work: Callable[[], Numbers]) -> Numbers:
        made = SimpleNamespace(**{**vars(native), "Tapes": lambda *own: native.Tapes(*own, variant)})
        monkeypatch.setattr(executors, "native_tape", made)
        return work()

    return run


def of_operation(f: Callable[..., Any], arguments: int, low: float) -> Numbers:
    """Return values and derivatives of an operation, in a batch and in single calls."""
    rows = np.random.default_rng(1).uniform(low, low + 0.98, size=(150, arguments))
    own = lambda x: f(*x)  # noqa: E731
    batch, single = compile(own, batched="x"), compile(own)
    found = [*batch.map(rows), *batch.value_and_grad(rows)[1].ravel()]
    for row in rows[:20]:
        value, slopes = single.value_and_grad(row)
        found += [value, *slopes]
    return found


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_an_operation_has_the_same_bits_in_every_variant(name: str, in_variant: Any) -> None:
    low = 1.01 if name == "acosh" else 0.01
    f, arguments = (BINARY[name], 2) if name in BINARY else (getattr(microgrud, name, abs), 1)
    first, *others = [in_variant(variant, lambda: of_operation(f, arguments, low)) for variant in VARIANTS]
    assert all(np.array_equal(first, other, equal_nan=True) for other in others)


def of_network(sizes: list[int]) -> Numbers:
    """Return losses and gradients of a network, over a batch and of single samples."""
    model = MLP(5, sizes, rng=3)
    X = np.random.default_rng(0).normal(size=(150, 5))
    y = (X[:, 0] * X[:, 1]).tolist()
    batch = compile(lambda x, t: squared_error(model(list(x)), t), batched=("x", "t"))
    single = compile(lambda x, t: squared_error(model(list(x)), t))
    found = [batch.backward(X, y), *batch.map(X, y), *batch.value_and_grad(X, y)[1].ravel()]
    for row, target in zip(X[:8], y):
        value, slopes = single.value_and_grad(row, target)
        found += [single.backward(row, target), value, *slopes]
    return [*found, *(p.grad for p in model.parameters())]


@pytest.mark.parametrize("sizes", [[1], [3, 1], [16, 16, 1], [37, 1]])
def test_sums_of_products_have_the_same_bits_with_fused_multiply_adds_and_are_close_without(
    sizes: list[int], in_variant: Any
) -> None:
    found = {variant: in_variant(variant, lambda: of_network(sizes)) for variant in VARIANTS}
    assert all(found[variant] == found[FUSED[0]] for variant in FUSED)
    largest = max(map(abs, found["baseline"]))
    for variant in FUSED:
        assert found[variant] == pytest.approx(found["baseline"], rel=1e-12, abs=1e-14 * largest)
