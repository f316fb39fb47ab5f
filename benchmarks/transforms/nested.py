"""`x = x - 0.01 * grad(inner)(x)` n times inside `grad`, by n: time has to grow as n does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..recorded.workload import Step, Workload, flat
from .libraries import Library, by_libraries

_START = 1.0


def _inner(x: Any) -> Any:
    return x * x * x * (1.0 / 3.0)  # descent on it slows down, so that derivatives do not underflow


def _program(grad: Callable[..., Any], steps: int) -> Callable[[Any], Any]:
    def program(x: Any) -> Any:
        for _ in range(steps):
            x = x - 0.01 * grad(_inner)(x)
        return x

    return program


def data(case: str) -> int:
    """Return the number of steps."""
    return int(case.replace(",", ""))


def on_floats(steps: int) -> Step:
    """Write it by hand: carry the derivative along."""

    def run() -> Any:
        x, slope = _START, 1.0
        for _ in range(steps):
            x, slope = x - 0.01 * (x * x), slope * (1.0 - 0.02 * x)
        return x, slope

    return Step(run, flat)


def by_library(library: Library, steps: int) -> Step:
    """Nest `grad`; a compiled loop is a scan."""
    scan, grad = library.scan, library.grad
    program = _program(grad, steps)
    if scan:
        program = lambda x: scan(lambda x: x - 0.01 * grad(_inner)(x), x, steps)  # noqa: E731
    return library.step(library.value_and_grad(program), np.array(_START))


def recording(steps: int) -> Step:
    """Record the loop anew each time, and replay it once."""
    from microgrud import compile, grad

    program = _program(grad, steps)
    return Step(lambda: compile(program).value_and_grad(_START), flat)


NESTED = Workload(
    title="descent inside grad, x = x - 0.01 * grad(inner)(x), n times",
    cases=("100", "1,000", "10,000"),
    data=data,
    programs={
        "floats": on_floats,
        "microgrud recording": recording,
        **by_libraries(by_library, "microgrud eager", "jax", "jax jit", "torch.func", "hips autograd"),
    },
    base="floats",
    only={"jax": ("100", "1,000")},  # 10,000 take more than a minute
    growth="time",
)
