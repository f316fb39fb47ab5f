"""Time from a program to its first gradient, by the number of operations: Lorenz' equations, with unrolled steps.

The time includes everything until the first value and gradient, as a multiple of the program on plain floats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .lorenz import _distance, _step, data as lorenz_data
from .workload import Step, Workload, flat

#: Operations per step, and steps between restarts: over a longer time, rounding decides the result.
_OPERATIONS, _LEG = 68, 500


@dataclass(frozen=True)
class Data:
    """The arguments and the number of steps."""

    given: list[float]
    steps: int


def data(case: str) -> Data:
    """Return the arguments and the number of steps that makes approximately the given number of operations."""
    return Data(lorenz_data("").tolist(), round(int(case.replace(",", "")) / _OPERATIONS))


def _program(steps: int) -> Callable[[Any], Any]:
    def program(given: Any) -> Any:
        total, state = 0.0, tuple(given[:3])
        for k in range(steps):
            if k and k % _LEG == 0:
                total = total + _distance(state)
                state = (given[0] + 0.001 * (k // _LEG), given[1], given[2])
            state = _step(*state, *given[3:])
        return total + _distance(state)

    return program


def on_floats(data: Data) -> Step:
    """Compute the operations without recording."""
    program = _program(data.steps)
    return Step(lambda: program(data.given), flat)


def by_microgrud(data: Data) -> Step:
    """Record, compile and differentiate."""
    from microgrud import compile

    program = _program(data.steps)
    return Step(lambda: compile(program).value_and_grad(data.given), lambda result: flat(result[0]))


def by_casadi(data: Data) -> Step:
    """Build the expressions, differentiate them, compile them to a function and call it."""
    import casadi

    program = _program(data.steps)

    def run() -> Any:
        given = casadi.SX.sym("given", 6)
        value = program(casadi.vertsplit(given))
        function = casadi.Function("program", [given], [value, casadi.gradient(value, given)])
        return function(data.given)

    return Step(run, lambda result: flat(result[0]))


def by_jax(data: Data) -> Step:
    """Trace, compile and differentiate."""
    import jax
    import jax.numpy as jnp

    given = jnp.asarray(data.given)

    def run() -> Any:
        program = _program(data.steps)
        return jax.block_until_ready(jax.jit(jax.value_and_grad(program))(given))

    return Step(run, lambda result: flat(result[0]))


RECORDING = Workload(
    title="from a program to its first gradient",
    cases=("1,000", "10,000", "100,000", "1,000,000"),
    data=data,
    programs={"microgrud": by_microgrud, "floats": on_floats, "casadi": by_casadi, "jax jit": by_jax},
    base="floats",
    growth="recording time",
    only={"jax jit": ("1,000",)},  # ten times as many operations take minutes
)
