"""A training loop of 100 steps of gradient descent, differentiated with respect to its learning rate.

A neuron of tanh with two inputs learns from ten points; the result is its loss on ten others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..recorded.workload import Step, Workload, flat
from .baseline import backward

_START = (0.1, -0.2, 0.05)
_RATE = 0.2


@dataclass(frozen=True)
class Data:
    """The points to learn from, those to measure on (two inputs and a target in each row), and the number of steps."""

    inner: Any
    outer: Any
    steps: int

    def scalar(self, tanh: Callable[[Any], Any], grad: Callable[..., Any]) -> Callable[[Any], Any]:
        """Return the loss after training, for numbers."""
        inner, outer = self.inner.tolist(), self.outer.tolist()

        def loss(w: Any, points: Any) -> Any:
            return sum((tanh(w[0] * x + w[1] * y + w[2]) - t) ** 2 for x, y, t in points) * (1.0 / len(points))

        def trained(rate: Any) -> Any:
            w = list(_START)
            for _ in range(self.steps):
                w = [a - rate * slope for a, slope in zip(w, grad(loss)(w, inner))]
            return loss(w, outer)

        return trained

    def array(self, xp: Any, array: Callable[[Any], Any], grad: Callable[..., Any]) -> Callable[[Any], Any]:
        """Return the loss after training, for arrays."""
        inner, outer, start = array(self.inner), array(self.outer), array(np.array(_START))

        def loss(w: Any, points: Any) -> Any:
            return xp.mean((xp.tanh(points[:, :2] @ w[:2] + w[2]) - points[:, 2]) ** 2)

        def trained(rate: Any) -> Any:
            w = start
            for _ in range(self.steps):
                w = w - rate * grad(loss)(w, inner)
            return loss(w, outer)

        return trained


def data(case: str) -> Data:
    """Draw the points."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20, 3))
    points[:, 2] = np.tanh(points[:, 0] - 0.5 * points[:, 1])
    return Data(points[:10], points[10:], int(case.partition(" ")[0]))


def by_backward(data: Data) -> Step:
    """Write the gradient of the inner loss by hand; build the graph of the whole loop and walk it."""
    from microgrud import tanh

    def by_hand(loss: Any) -> Callable[[Any, Any], Any]:
        def gradient(w: Any, points: Any) -> Any:
            found = [0.0, 0.0, 0.0]
            for x, y, t in points:
                h = tanh(w[0] * x + w[1] * y + w[2])
                slope = (h - t) * (1.0 - h * h)
                found = [found[0] + slope * x, found[1] + slope * y, found[2] + slope]
            return [total * (2.0 / len(points)) for total in found]

        return gradient

    program = data.scalar(tanh, by_hand)
    return backward(lambda leaves: program(leaves[0]), np.array([_RATE]), lambda result: flat(*result))


def eagerly(data: Data) -> Step:
    """Nest `grad`."""
    from microgrud import grad, tanh, value_and_grad

    step = value_and_grad(data.scalar(tanh, grad))
    return Step(lambda: step(_RATE), lambda result: flat(*result))


def recorded(data: Data) -> Step:
    """Record the loop with its inner gradients."""
    from microgrud import compile, grad, tanh

    step = compile(data.scalar(tanh, grad))
    return Step(lambda: step.value_and_grad(_RATE), lambda result: flat(*result))


def _jax(compiled: bool, scalars: bool) -> Callable[[Data], Step]:
    def make(data: Data) -> Step:
        import jax
        import jax.numpy as jnp

        program = data.scalar(jnp.tanh, jax.grad) if scalars else data.array(jnp, jnp.asarray, jax.grad)
        step, rate = jax.value_and_grad(program), jnp.asarray(_RATE)
        step = jax.jit(step) if compiled else step
        return Step(lambda: jax.block_until_ready(step(rate)), lambda result: flat(*result))

    return make


def _torch(scalars: bool) -> Callable[[Data], Step]:
    def make(data: Data) -> Step:
        import torch

        def grad(loss: Any) -> Any:
            if not scalars:
                return torch.func.grad(loss)
            return lambda w, points: torch.func.grad(loss)([torch.as_tensor(a) for a in w], points)

        program = data.scalar(torch.tanh, grad) if scalars else data.array(torch, torch.tensor, grad)
        step, rate = torch.func.grad_and_value(program), torch.tensor(_RATE)
        return Step(lambda: step(rate), lambda result: flat(*result[::-1]))

    return make


def _autograd(scalars: bool) -> Callable[[Data], Step]:
    def make(data: Data) -> Step:
        import autograd.numpy as anp
        from autograd import grad, value_and_grad

        program = data.scalar(anp.tanh, grad) if scalars else data.array(anp, anp.array, grad)
        step = value_and_grad(program)
        return Step(lambda: step(_RATE), lambda result: flat(*result))

    return make


TRAINING = Workload(
    title="training loop, derivative by its learning rate",
    cases=("100 steps",),
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
)
