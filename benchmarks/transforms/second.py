"""Second derivatives of Rosenbrock's function: the Hessian, and its product with a direction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..recorded.rosenbrock import _array, _scalar
from ..recorded.workload import Step, Workload, flat
from .baseline import backward


@dataclass(frozen=True)
class Data:
    """A point, a direction, and a flag for the product (instead of the Hessian)."""

    point: Any
    direction: Any
    product: bool

    def answer(self) -> Any:
        """Return the Hessian, or its product, from the formula."""
        a, b = self.point[:-1], self.point[1:]
        found = np.diag(np.append(1200.0 * a * a - 400.0 * b + 2.0, 0.0)) + np.diag(np.append(0.0, 200.0 + 0.0 * a))
        found -= np.diag(400.0 * a, 1) + np.diag(400.0 * a, -1)
        return flat(found @ self.direction if self.product else found)


def data(case: str) -> Data:
    """Draw a point and a direction."""
    rng = np.random.default_rng(0)
    what, n = case.split(", ", 1)
    size = int(n.replace(",", ""))
    return Data(rng.normal(size=size), rng.normal(size=size), what == "HVP")


def by_backward(data: Data) -> Step:
    """Build the graph of the function and walk it once, which yields the gradient; the answer is from the formula."""
    return backward(_scalar, data.point, lambda result: data.answer())


def eagerly(data: Data) -> Step:
    """Differentiate the program on a list of numbers."""
    from microgrud import hessian, hvp

    x, v = data.point.tolist(), data.direction.tolist()
    step = hessian(_scalar)
    return Step((lambda: hvp(_scalar, x, v)) if data.product else (lambda: step(x)), flat)


def recorded(data: Data) -> Step:
    """Replay a recording."""
    from microgrud import compile

    function, x, v = compile(_scalar), data.point.tolist(), data.direction.tolist()
    return Step((lambda: function.hvp(x, v)) if data.product else (lambda: function.hessian(x)), flat)


def recorded_whole(data: Data) -> Step:
    """Record the Hessian or the product, and replay it."""
    from microgrud import compile, hessian, hvp

    x, v = data.point.tolist(), data.direction.tolist()
    whole, product = compile(hessian(_scalar)), compile(lambda x, v: hvp(_scalar, x, v))
    return Step((lambda: product(x, v)) if data.product else (lambda: whole(x)), flat)


def _jax(compiled: bool, scalars: bool) -> Callable[[Data], Step]:
    def make(data: Data) -> Step:
        import jax
        import jax.numpy as jnp

        function = _scalar if scalars else _array(jnp.sum)
        x, v = ([jnp.asarray(a) for a in own] if scalars else jnp.asarray(own) for own in (data.point, data.direction))
        step = jax.hessian(function)
        if data.product:
            step = lambda x, v: jax.jvp(jax.grad(function), (x,), (v,))[1]  # noqa: E731
        step, arguments = jax.jit(step) if compiled else step, (x, v) if data.product else (x,)
        return Step(lambda: jax.block_until_ready(step(*arguments)), flat)

    return make


def _torch(scalars: bool) -> Callable[[Data], Step]:
    def make(data: Data) -> Step:
        import torch

        function = _scalar if scalars else _array(torch.sum)
        x, v = (list(torch.tensor(own)) if scalars else torch.tensor(own) for own in (data.point, data.direction))
        step = torch.func.hessian(function)
        if data.product:
            return Step(lambda: torch.func.jvp(torch.func.grad(function), (x,), (v,))[1], flat)
        return Step(lambda: step(x), flat)

    return make


def _autograd(scalars: bool) -> Callable[[Data], Step]:
    def make(data: Data) -> Step:
        import autograd.numpy as anp
        from autograd import hessian, hessian_vector_product

        function = _scalar if scalars else _array(anp.sum)
        whole, product = hessian(function), hessian_vector_product(function)
        if data.product:
            return Step(lambda: product(data.point, data.direction), flat)
        return Step(lambda: whole(data.point), flat)

    return make


SECOND = Workload(
    title="second derivatives of Rosenbrock's function",
    cases=("Hessian, 50", "HVP, 50", "HVP, 1,000"),
    data=data,
    programs={
        "microgrud backward": by_backward,
        "microgrud eager": eagerly,
        "microgrud": recorded,
        "microgrud compile(hessian)": recorded_whole,
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
    only={"jax jit scalars": ("HVP, 50", "HVP, 1,000")},  # the Hessian takes more than a minute to compile
)
