"""What a recording takes, against the number of operations: Lorenz' equations over so many steps, straight-line.

Timed is everything until the first value and gradient are there, as multiples of the program on plain floats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .lorenz import _distance, _step, data as lorenz_data
from .workload import Step, Workload, flat

#: Operations in a step, and steps from one beginning: over a long time the last digit decides.
_OPERATIONS, _LEG = 68, 500


@dataclass(frozen=True)
class Data:
    """The arguments, and how many steps there are."""

    given: list[float]
    steps: int


def data(case: str) -> Data:
    """Return the arguments, and so many steps that there are about as many operations."""
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
    """Do the operations, and record nothing."""
    program = _program(data.steps)
    return Step(lambda: program(data.given), flat)


def by_microgrud(data: Data) -> Step:
    """Record, compile and differentiate."""
    from microgrud import compile

    program = _program(data.steps)
    return Step(lambda: compile(program).value_and_grad(data.given), lambda result: flat(result[0]))


def by_casadi(data: Data) -> Step:
    """Build the expressions, differentiate them, make a function of them and call it."""
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
    only={"jax jit": ("1,000",)},  # ten times as many take it minutes
)
