"""Log-sum-exp of many numbers with its gradient, the softmax; and the time from the function to its first gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .workload import Step, Workload, flat


@dataclass(frozen=True)
class Data:
    """The numbers, and a flag for the first call (instead of the following ones)."""

    numbers: Any
    first: bool


def data(case: str) -> Data:
    """Draw the numbers."""
    count, _, what = case.partition(" ")
    return Data(np.random.default_rng(0).normal(size=int(count.replace(",", ""))), what == "first")


def by_numpy(data: Data) -> Step:
    """Write it by hand."""
    x = data.numbers

    def run() -> Any:
        largest = x.max()
        e = np.exp(x - largest)
        total = e.sum()
        return largest + np.log(total), e / total

    return Step(run, flat)


def recorded(data: Data) -> Step:
    """Record the function of an array."""
    from microgrud import compile, logsumexp

    x = data.numbers
    if data.first:
        return Step(lambda: compile(lambda x: logsumexp(x)).value_and_grad(x), flat)
    function = compile(lambda x: logsumexp(x))
    return Step(lambda: function.value_and_grad(x), flat)


def by_jax(data: Data) -> Step:
    """Compile JAX's own function."""
    import jax
    import jax.numpy as jnp

    x, step = jnp.asarray(data.numbers), jax.jit(jax.value_and_grad(jax.nn.logsumexp))
    if not data.first:
        return Step(lambda: jax.block_until_ready(step(x)), flat)

    def anew() -> Any:
        return jax.block_until_ready(jax.jit(jax.value_and_grad(lambda x: jax.nn.logsumexp(x)))(x))

    return Step(anew, flat)


def by_torch(data: Data) -> Step:
    """Differentiate PyTorch's own function."""
    import torch

    x = torch.tensor(data.numbers, requires_grad=True)

    def run() -> Any:
        value = torch.logsumexp(x, 0)
        return value.detach(), *torch.autograd.grad(value, x)

    return Step(run, flat)


_FOLLOWING = ("40,000", "640,000")

LOGSUMEXP = Workload(
    title="log-sum-exp and its gradient, by the count of numbers",
    cases=(*_FOLLOWING, "640,000 first"),
    data=data,
    programs={"microgrud": recorded, "numpy": by_numpy, "jax jit": by_jax, "torch": by_torch},
    only={"torch": _FOLLOWING},
)
