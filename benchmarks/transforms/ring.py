"""A program of 40,000 scalar operations: 100 oscillators in a ring, each pulled by its left neighbour, in 100 steps.

Its derivatives are the gradient with respect to the first state, and the derivative in one direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..recorded.workload import Step, Workload, flat
from .baseline import backward
from .libraries import Library, by_libraries

_STEPS = 100


@dataclass(frozen=True)
class Data:
    """The first state, a direction, and a flag for the derivative in this direction (instead of the gradient)."""

    point: Any
    direction: Any
    forward: bool


def data(case: str) -> Data:
    """Draw a state and a direction; a case may name a smaller number of oscillators."""
    rng = np.random.default_rng(0)
    what, _, size = case.partition(", ")
    return Data(*rng.normal(size=(2, int(size or 100))), what != "gradient")


def _scalar(sin: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the program on a list of numbers."""

    def program(x: Any) -> Any:
        for _ in range(_STEPS):
            x = [b + 0.1 * sin(a - b) for a, b in zip([x[-1], *x[:-1]], x)]
        total = x[0] * x[0]
        for a in x[1:]:
            total = total + a * a
        return total

    return program


def _array(library: Library) -> Callable[[Any], Any]:
    """Return the program on an array."""
    xp = library.functions

    def step(x: Any) -> Any:
        return x + 0.1 * xp.sin(xp.roll(x, 1) - x)

    def program(x: Any) -> Any:
        if library.scan:
            x = library.scan(step, x, _STEPS)
        else:
            for _ in range(_STEPS):
                x = step(x)
        return xp.sum(x * x)

    return program


def by_backward(data: Data) -> Step:
    """Build the graph and walk it."""
    from microgrud import sin

    def read(result: Any) -> Any:
        value, gradient = result
        return flat(value, data.direction @ np.array(gradient) if data.forward else gradient)

    return backward(_scalar(sin), data.point, read)


def by_library(library: Library, data: Data) -> Step:
    """Differentiate the program."""
    program = _scalar(library.functions.sin) if library.scalars else _array(library)
    if data.forward:
        return library.step(library.jvp(program), data.point, data.direction)
    return library.step(library.value_and_grad(program), data.point)


def recorded(data: Data) -> Step:
    """Replay a recording of the program; its derivative in a direction is the recording of `jvp`."""
    from microgrud import compile, jvp, sin

    program, x, v = _scalar(sin), data.point.tolist(), data.direction.tolist()
    if data.forward:
        product = compile(lambda x, v: jvp(program, x, v))
        return Step(lambda: product(x, v), flat)
    function = compile(program)
    return Step(lambda: function.value_and_grad(x), flat)


RING = Workload(
    title="40,000 scalar operations of 100 inputs",
    cases=("gradient", "JVP"),
    data=data,
    programs={
        "microgrud backward": by_backward,
        "microgrud": recorded,
        **by_libraries(by_library),
    },
    base="microgrud backward",
    only={"jax jit scalars": ("gradient",)},  # it takes more than a minute to compile
)
