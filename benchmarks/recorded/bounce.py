"""A ball that bounces, in 1,000 simulations of 100 steps: mean height at the end, gradient by drag and restitution.

The ball turns round where it is below the floor: `where(y < 0.0, ...)` in each step, with numbers or with arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .workload import Step, Workload, flat

_STEPS, _H, _GRAVITY = 100, 0.02, 9.81
_PARAMETERS = (0.1, 0.8)


def data(case: str) -> Any:
    """Draw a first height for each simulation."""
    return 0.5 + np.random.default_rng(0).random(int(case.partition(" ")[0].replace(",", "")))


def _loop(step: Callable[[Any], Any], state: Any) -> Any:
    for _ in range(_STEPS):
        state = step(state)
    return state


def _program(where: Callable[..., Any], loop: Callable[..., Any] = _loop) -> Callable[..., Any]:
    """Return the height at the end, for numbers or arrays; `loop` repeats a step."""

    def height(drag: Any, restitution: Any, y: Any) -> Any:
        def step(state: Any) -> Any:
            y, v = state
            v = v - _H * (_GRAVITY + drag * v)
            y = y + _H * v
            below = y < 0.0
            return where(below, -y, y), where(below, -restitution * v, v)

        return loop(step, (y, 0.0 * y))[0]

    return height


def by_numpy(heights: Any) -> Step:
    """Write it by hand: carry the derivatives along."""
    drag, restitution = _PARAMETERS

    def run() -> Any:
        y, v = heights, np.zeros_like(heights)
        dy, dv = np.zeros((2, len(y))), np.zeros((2, len(y)))  # by drag, by restitution
        for _ in range(_STEPS):
            dv = dv * (1.0 - _H * drag)
            dv[0] -= _H * v
            v = v - _H * (_GRAVITY + drag * v)
            y, dy = y + _H * v, dy + _H * dv
            below = y < 0.0
            dv = np.where(below, -restitution * dv, dv)
            dv[1] -= np.where(below, v, 0.0)
            v, y = np.where(below, -restitution * v, v), np.abs(y)
            dy = np.where(below, -dy, dy)
        return y.mean(), dy.mean(1)

    return Step(run, flat)


def recorded(heights: Any) -> Step:
    """Record one simulation."""
    from microgrud import compile, where

    function = compile(_program(where), batched="y")
    return Step(lambda: function.value_and_grad(*_PARAMETERS, heights, argnums=(0, 1)), lambda r: flat(r[0], r[1]))


def by_jax(heights: Any) -> Step:
    """Write the loop as a scan, and compile the function of arrays with its gradient."""
    import jax
    import jax.numpy as jnp

    def scan(step: Any, state: Any) -> Any:
        return jax.lax.scan(lambda s, _: (step(s), None), state, None, _STEPS)[0]

    program, y = _program(jnp.where, scan), jnp.asarray(heights)
    step = jax.jit(jax.value_and_grad(lambda p: jnp.mean(program(*p, y))))
    return Step(lambda: jax.block_until_ready(step(_PARAMETERS)), lambda result: flat(result[0], result[1]))


def by_torch(heights: Any) -> Step:
    """Differentiate the function of tensors."""
    import torch

    program, y = _program(torch.where), torch.tensor(heights)
    parameters = [torch.tensor(p, requires_grad=True) for p in _PARAMETERS]

    def run() -> Any:
        value = torch.mean(program(*parameters, y))
        return value.detach(), torch.autograd.grad(value, parameters)

    return Step(run, flat)


BOUNCE = Workload(
    title="bouncing ball with `where`, gradient",
    cases=("1,000 simulations",),
    data=data,
    programs={"microgrud": recorded, "numpy": by_numpy, "jax jit": by_jax, "torch": by_torch},
)
