"""An elementary function of 100,000 samples: the sum of its values, and its slope at each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .workload import Step, Workload, flat

_SAMPLES = 100_000
#: The value and the slope of each function, in NumPy.
_BY_HAND = {
    "tanh": lambda x: (y := np.tanh(x), 1.0 - y * y),
    "sigmoid": lambda x: (y := 1.0 / (1.0 + np.exp(-x)), y * (1.0 - y)),
    "exp": lambda x: (y := np.exp(x), y),
    "log": lambda x: (np.log(x), 1.0 / x),
    "sin": lambda x: (np.sin(x), np.cos(x)),
}


@dataclass(frozen=True)
class Data:
    """The name of the function, and the samples."""

    name: str
    samples: Any


def data(case: str) -> Data:
    """Draw the samples; a case may name a smaller number of them."""
    name, _, count = case.partition(", ")
    return Data(name, np.random.default_rng(0).uniform(0.5, 3.0, size=int(count or _SAMPLES)))


def by_numpy(data: Data) -> Step:
    """Compute value and slope by hand."""
    function, x = _BY_HAND[data.name], data.samples

    def run() -> Any:
        values, slopes = function(x)
        return values.sum(), slopes

    return Step(run, flat)


def recorded(data: Data) -> Step:
    """Record the function of one number."""
    import microgrud

    function = getattr(microgrud, data.name)
    step, x = microgrud.compile(lambda x: function(x), batched="x", reduction="sum", threads=1), data.samples
    return Step(lambda: step.value_and_grad(x), flat)


def by_jax(data: Data) -> Step:
    """Compile the function of an array."""
    import jax
    import jax.numpy as jnp

    function = jax.nn.sigmoid if data.name == "sigmoid" else getattr(jnp, data.name)
    step, x = jax.jit(jax.value_and_grad(lambda x: jnp.sum(function(x)))), jnp.asarray(data.samples)
    return Step(lambda: jax.block_until_ready(step(x)), flat)


def by_torch(data: Data) -> Step:
    """Differentiate the function of a tensor."""
    import torch

    function, x = getattr(torch, data.name), torch.tensor(data.samples, requires_grad=True)

    def run() -> Any:
        value = torch.sum(function(x))
        return value.detach(), *torch.autograd.grad(value, x)

    return Step(run, flat)


ELEMENTARY = Workload(
    title="elementary functions of 100,000 numbers, with their slopes",
    cases=tuple(_BY_HAND),
    data=data,
    programs={"microgrud": recorded, "numpy": by_numpy, "jax jit": by_jax, "torch": by_torch},
)
