"""The Jacobian of two layers of tanh, 30 outputs by 30 inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..recorded.workload import Step, Workload, flat


@dataclass(frozen=True)
class Data:
    """The weights of both layers, and a point."""

    first: Any
    second: Any
    point: Any

    def scalar(self, tanh: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return the function of a list of numbers."""
        layers = [self.first.tolist(), self.second.tolist()]

        def function(x: Any) -> Any:
            for rows in layers:
                x = [tanh(sum(w * a for w, a in zip(row, x))) for row in rows]
            return x

        return function


def data(case: str) -> Data:
    """Draw weights and a point."""
    rng = np.random.default_rng(0)
    n = int(case.partition(" ")[0])
    return Data(*rng.normal(0.0, n**-0.5, size=(2, n, n)), rng.normal(size=n))


def _array(xp: Any, first: Any, second: Any) -> Callable[[Any], Any]:
    """Return the function of an array."""
    return lambda x: xp.tanh(second @ xp.tanh(first @ x))


def by_backward(data: Data) -> Step:
    """Build the graph once, and walk it from each output."""
    from microgrud import Value, tanh

    function, point = data.scalar(tanh), data.point.tolist()

    def run() -> Any:
        leaves, rows = [Value(x) for x in point], []
        for output in function(leaves):
            for leaf in leaves:
                leaf.grad = 0.0
            output.backward()
            rows.append([leaf.grad for leaf in leaves])
        return rows

    return Step(run, flat)


def eagerly(data: Data) -> Step:
    """Differentiate the function of a list of numbers."""
    from microgrud import jacobian, tanh

    step, x = jacobian(data.scalar(tanh)), data.point.tolist()
    return Step(lambda: step(x), flat)


def recorded(data: Data) -> Step:
    """Replay a recording of the function, once for each row or column."""
    from microgrud import compile, tanh

    function, x = compile(data.scalar(tanh)), data.point.tolist()
    return Step(lambda: function.jacobian(x), flat)


def recorded_whole(data: Data) -> Step:
    """Record the Jacobian, and replay it."""
    from microgrud import compile, jacobian, tanh

    step, x = compile(jacobian(data.scalar(tanh))), data.point.tolist()
    return Step(lambda: step(x), flat)


def _jax(compiled: bool, scalars: bool) -> Callable[[Data], Step]:
    def make(data: Data) -> Step:
        import jax
        import jax.numpy as jnp

        if scalars:
            function, x = data.scalar(jnp.tanh), [jnp.asarray(a) for a in data.point]
        else:
            function, x = _array(jnp, *map(jnp.asarray, (data.first, data.second))), jnp.asarray(data.point)
        step = jax.jacrev(function)
        step = jax.jit(step) if compiled else step
        return Step(lambda: jax.block_until_ready(step(x)), flat)

    return make


def _torch(scalars: bool) -> Callable[[Data], Step]:
    def make(data: Data) -> Step:
        import torch

        first, second, point = map(torch.tensor, (data.first, data.second, data.point))
        function = _array(torch, first, second)
        if scalars:
            function, point = data.scalar(torch.tanh), list(point)
        step = torch.func.jacrev(function)
        return Step(lambda: step(point), flat)

    return make


def by_autograd(data: Data) -> Step:
    """Differentiate the function in autograd.numpy."""
    import autograd.numpy as anp
    from autograd import jacobian

    step = jacobian(_array(anp, data.first, data.second))
    return Step(lambda: step(data.point), flat)


def by_autograd_scalars(data: Data) -> Step:
    """Differentiate the function of a list of numbers in autograd.numpy, whose outputs make an array."""
    import autograd.numpy as anp
    from autograd import jacobian

    function = data.scalar(anp.tanh)
    step = jacobian(lambda x: anp.array(function(x)))
    return Step(lambda: step(data.point), flat)


LAYERS = Workload(
    title="Jacobian of two layers of tanh",
    cases=("30 by 30",),
    data=data,
    programs={
        "microgrud backward": by_backward,
        "microgrud eager": eagerly,
        "microgrud": recorded,
        "microgrud compile(jacobian)": recorded_whole,
        "jax scalars": _jax(compiled=False, scalars=True),
        "jax": _jax(compiled=False, scalars=False),
        "jax jit": _jax(compiled=True, scalars=False),  # scalars take more than a minute to compile
        "torch.func scalars": _torch(scalars=True),
        "torch.func": _torch(scalars=False),
        "hips autograd scalars": by_autograd_scalars,
        "hips autograd": by_autograd,
    },
    base="microgrud backward",
)
