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
from .libraries import Library, by_libraries

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

    def array(self, library: Library) -> Callable[[Any], Any]:
        """Return the loss after training, for arrays."""
        xp, grad = library.functions, library.grad
        inner, outer, start = map(library.array, (self.inner, self.outer, np.array(_START)))

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
    return backward(lambda leaves: program(leaves[0]), np.array([_RATE]), flat)


def by_library(library: Library, data: Data) -> Step:
    """Nest `grad`."""
    program = data.scalar(library.functions.tanh, library.grad) if library.scalars else data.array(library)
    return library.step(library.value_and_grad(program), np.array(_RATE))


def recorded(data: Data) -> Step:
    """Record the loop with its inner gradients."""
    from microgrud import compile, grad, tanh

    step = compile(data.scalar(tanh, grad))
    return Step(lambda: step.value_and_grad(_RATE), flat)


TRAINING = Workload(
    title="training loop, derivative by its learning rate",
    cases=("100 steps",),
    data=data,
    programs={
        "microgrud backward": by_backward,
        "microgrud": recorded,
        **by_libraries(by_library),
    },
    base="microgrud backward",
)
