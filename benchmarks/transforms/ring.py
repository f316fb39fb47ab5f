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


def _array(xp: Any, repeated: Callable[[Any, Any], Any] | None = None) -> Callable[[Any], Any]:
    """Return the program on an array; `repeated` repeats a step in place of Python's loop."""

    def step(x: Any) -> Any:
        return x + 0.1 * xp.sin(xp.roll(x, 1) - x)

    def loop(x: Any) -> Any:
        for _ in range(_STEPS):
            x = step(x)
        return x

    def program(x: Any) -> Any:
        x = repeated(step, x) if repeated else loop(x)
        return xp.sum(x * x)

    return program


def by_backward(data: Data) -> Step:
    """Build the graph and walk it."""
    from microgrud import sin

    def read(result: Any) -> Any:
        value, gradient = result
        return flat(value, data.direction @ np.array(gradient) if data.forward else gradient)

    return backward(_scalar(sin), data.point, read)


def eagerly(data: Data) -> Step:
    """Differentiate the program on a list of numbers."""
    from microgrud import jvp, sin, value_and_grad

    function, x, v = _scalar(sin), data.point.tolist(), data.direction.tolist()
    step = value_and_grad(function)
    return Step((lambda: jvp(function, x, v)) if data.forward else (lambda: step(x)), lambda result: flat(*result))


def recorded(data: Data) -> Step:
    """Replay a recording of the program; its derivative in a direction is the recording of `jvp`."""
    from microgrud import compile, jvp, sin

    program, x, v = _scalar(sin), data.point.tolist(), data.direction.tolist()
    if data.forward:
        product = compile(lambda x, v: jvp(program, x, v))
        return Step(lambda: product(x, v), lambda result: flat(*result))
    function = compile(program)
    return Step(lambda: function.value_and_grad(x), lambda result: flat(*result))


def _jax(compiled: bool, scalars: bool) -> Callable[[Data], Step]:
    """Return the program, with a scan in place of the loop where arrays are compiled."""

    def make(data: Data) -> Step:
        import jax
        import jax.numpy as jnp

        def scan(step: Any, x: Any) -> Any:
            return jax.lax.scan(lambda x, _: (step(x), None), x, None, _STEPS)[0]

        function = _scalar(jnp.sin) if scalars else _array(jnp, scan if compiled else None)
        x, v = ([jnp.asarray(a) for a in own] if scalars else jnp.asarray(own) for own in (data.point, data.direction))
        step = (lambda x, v: jax.jvp(function, (x,), (v,))) if data.forward else jax.value_and_grad(function)
        arguments = (x, v) if data.forward else (x,)
        step = jax.jit(step) if compiled else step
        return Step(lambda: jax.block_until_ready(step(*arguments)), _read(scalars and not data.forward))

    return make


def _torch(scalars: bool) -> Callable[[Data], Step]:
    def make(data: Data) -> Step:
        import torch

        function = _scalar(torch.sin) if scalars else _array(torch)
        x, v = (list(torch.tensor(own)) if scalars else torch.tensor(own) for own in (data.point, data.direction))
        if data.forward:
            return Step(lambda: torch.func.jvp(function, (x,), (v,)), lambda result: flat(*result))
        step = torch.func.grad_and_value(function)
        read = _read(scalars)
        return Step(lambda: step(x), lambda result: read(result[::-1]))

    return make


def _autograd(scalars: bool) -> Callable[[Data], Step]:
    def make(data: Data) -> Step:
        import autograd.numpy as anp
        from autograd import make_jvp, value_and_grad

        function = _scalar(anp.sin) if scalars else _array(anp)
        x, v = (own.tolist() if scalars else own for own in (data.point, data.direction))
        if data.forward:
            product = make_jvp(function)
            return Step(lambda: product(x)(v), lambda result: flat(*result))
        step = value_and_grad(function)
        return Step(lambda: step(x), _read(scalars))

    return make


def _read(a_list: bool) -> Callable[[Any], Any]:
    """Return the function that arranges a value and a gradient, which may be a list of numbers."""
    return lambda result: flat(result[0], *(result[1] if a_list else result[1:]))


RING = Workload(
    title="40,000 scalar operations of 100 inputs",
    cases=("gradient", "JVP"),
    data=data,
    programs={
        "microgrud backward": by_backward,
        "microgrud eager": eagerly,
        "microgrud": recorded,
        "jax scalars": _jax(compiled=False, scalars=True),
        "jax": _jax(compiled=False, scalars=False),
        "jax jit scalars": _jax(compiled=True, scalars=True),
        "jax jit": _jax(compiled=True, scalars=False),
        "torch.func scalars": _torch(scalars=True),
        "torch.func": _torch(scalars=False),
        "hips autograd scalars": _autograd(scalars=True),
        "hips autograd": _autograd(scalars=False),
    },
    base="microgrud backward",
    only={"jax jit scalars": ("gradient",)},  # it takes more than a minute to compile
)
