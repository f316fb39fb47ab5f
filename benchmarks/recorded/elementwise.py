"""Elementwise code over an array of 40,000 numbers, and its sum, with the gradient; and the time to the first one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .workload import Step, Workload, flat

COUNT = 40_000


@dataclass(frozen=True)
class Data:
    """The numbers, the function, and a flag for the first call (instead of the following ones)."""

    numbers: Any
    name: str
    first: bool


def data(case: str) -> Data:
    """Draw the numbers."""
    name, _, what = case.partition(" ")
    return Data(np.random.default_rng(0).normal(size=COUNT), name, what == "first")


def function(name: str, xp: Any) -> Callable[[Any], Any]:
    """Return the function, written with the functions of NumPy or of a library with the same names."""
    return {
        "tanh": lambda x: xp.tanh(2.0 * x + 1.0).sum(),
        "gaussian": lambda x: xp.exp(-x * x).sum(),
        "huber": lambda x: xp.where(abs(x) > 1.0, abs(x) - 0.5, 0.5 * x * x).sum(),
    }[name]


def by_numpy(data: Data) -> Step:
    """Write the slopes by hand."""
    x = data.numbers

    def run() -> Any:
        if data.name == "tanh":
            z = np.tanh(2.0 * x + 1.0)
            return z.sum(), 2.0 * (1.0 - z * z)
        if data.name == "gaussian":
            z = np.exp(-x * x)
            return z.sum(), -2.0 * x * z
        return function("huber", np)(x), np.clip(x, -1.0, 1.0)

    return Step(run, flat)


def recorded(data: Data) -> Step:
    """Record the function of an array."""
    from microgrud import compile

    x = data.numbers
    if data.first:
        return Step(lambda: compile(function(data.name, np)).value_and_grad(x), flat)
    compiled = compile(function(data.name, np))
    return Step(lambda: compiled.value_and_grad(x), flat)


def by_jax(data: Data) -> Step:
    """Compile the same function of JAX's arrays."""
    import jax
    import jax.numpy as jnp

    x = jnp.asarray(data.numbers)
    step = jax.jit(jax.value_and_grad(function(data.name, jnp)))
    if not data.first:
        return Step(lambda: jax.block_until_ready(step(x)), flat)

    def anew() -> Any:
        return jax.block_until_ready(jax.jit(jax.value_and_grad(function(data.name, jnp)))(x))

    return Step(anew, flat)


def by_torch(data: Data) -> Step:
    """Differentiate the same function of a tensor."""
    import torch

    x, f = torch.tensor(data.numbers, requires_grad=True), function(data.name, torch)

    def run() -> Any:
        value = f(x)
        return value.detach(), *torch.autograd.grad(value, x)

    return Step(run, flat)


_FOLLOWING = ("tanh", "gaussian", "huber")

ELEMENTWISE = Workload(
    title="elementwise code over an array of 40,000 numbers, with its gradient",
    cases=(*_FOLLOWING, "huber first"),
    data=data,
    programs={"microgrud": recorded, "numpy": by_numpy, "jax jit": by_jax, "torch": by_torch},
    only={"torch": _FOLLOWING},
)
