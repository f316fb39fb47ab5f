"""`x = x - 0.01 * grad(inner)(x)` n times inside `grad`, by n: time has to grow as n does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..recorded.workload import Step, Workload, flat

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

    return Step(run, lambda result: flat(*result))


def eagerly(steps: int) -> Step:
    """Nest `grad`."""
    from microgrud import grad, value_and_grad

    step = value_and_grad(_program(grad, steps))
    return Step(lambda: step(_START), lambda result: flat(*result))


def recording(steps: int) -> Step:
    """Record the loop anew each time, and replay it once."""
    from microgrud import compile, grad

    program = _program(grad, steps)
    return Step(lambda: compile(program).value_and_grad(_START), lambda result: flat(*result))


def by_jax(steps: int) -> Step:
    """Nest `grad` without compiling."""
    import jax

    step = jax.value_and_grad(_program(jax.grad, steps))
    return Step(lambda: jax.block_until_ready(step(_START)), lambda result: flat(*result))


def by_jax_jit(steps: int) -> Step:
    """Write the loop as a scan, and compile it once."""
    import jax

    def program(x: Any) -> Any:
        return jax.lax.scan(lambda x, _: (x - 0.01 * jax.grad(_inner)(x), None), x, None, steps)[0]

    step = jax.jit(jax.value_and_grad(program))
    return Step(lambda: jax.block_until_ready(step(_START)), lambda result: flat(*result))


def by_torch(steps: int) -> Step:
    """Nest `torch.func.grad`."""
    import torch

    step, start = torch.func.grad_and_value(_program(torch.func.grad, steps)), torch.tensor(_START)
    return Step(lambda: step(start), lambda result: flat(*result[::-1]))


def by_autograd(steps: int) -> Step:
    """Nest `grad`."""
    from autograd import grad, value_and_grad

    step = value_and_grad(_program(grad, steps))
    return Step(lambda: step(_START), lambda result: flat(*result))


NESTED = Workload(
    title="descent inside grad, x = x - 0.01 * grad(inner)(x), n times",
    cases=("100", "1,000", "10,000"),
    data=data,
    programs={
        "floats": on_floats,
        "microgrud eager": eagerly,
        "microgrud recording": recording,
        "jax": by_jax,
        "jax jit": by_jax_jit,
        "torch.func": by_torch,
        "hips autograd": by_autograd,
    },
    base="floats",
    only={"jax": ("100", "1,000")},  # 10,000 take more than a minute
    growth="time",
)
