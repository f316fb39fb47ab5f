"""Rosenbrock's function in 1,000 dimensions: its gradient, and the product of its Hessian with a direction."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .workload import Step, Workload, flat


@dataclass(frozen=True)
class Data:
    """A point, a direction, and a flag for the product with the Hessian (instead of the gradient)."""

    point: Any
    direction: Any
    product: bool


def data(case: str) -> Data:
    """Draw a point and a direction."""
    rng = np.random.default_rng(0)
    return Data(rng.normal(size=1000), rng.normal(size=1000), case != "gradient")


def _scalar(x: Any) -> Any:
    """Sum over pairs of neighbours: the program on a sequence of numbers, which need not be an array."""
    total = 0.0
    for a, b in itertools.pairwise(x):
        total = total + 100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2
    return total


def _array(sum: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the function for arrays."""
    return lambda x: sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def by_numpy(data: Data) -> Step:
    """Write both by hand."""
    x, v = data.point, data.direction

    def gradient() -> Any:
        a = x[:-1]
        off, short = x[1:] - a * a, 1.0 - a
        slope = np.zeros_like(x)
        slope[1:] = 200.0 * off
        slope[:-1] -= 400.0 * a * off + 2.0 * short
        return 100.0 * (off @ off) + short @ short, slope

    def product() -> Any:
        a, b, u = x[:-1], x[1:], v[:-1]
        found = np.zeros_like(x)
        found[:-1] = (1200.0 * a * a - 400.0 * b + 2.0) * u - 400.0 * a * v[1:]
        found[1:] += 200.0 * v[1:] - 400.0 * a * u
        return (found,)

    return Step(product if data.product else gradient, flat)


def recorded(data: Data) -> Step:
    """Record the program on numbers."""
    from microgrud import compile

    function = compile(_scalar)
    if data.product:
        return Step(lambda: function.hvp(data.point, data.direction), flat)
    return Step(lambda: function.value_and_grad(data.point), flat)


def eagerly(data: Data) -> Step:
    """Differentiate the program on numbers."""
    from microgrud import hvp, value_and_grad

    if data.product:
        return Step(lambda: hvp(_scalar, data.point, data.direction), flat)
    step = value_and_grad(_scalar)
    return Step(lambda: step(data.point), flat)


def by_jax(data: Data) -> Step:
    """Differentiate the function of arrays; use forward over reverse mode for the product."""
    import jax
    import jax.numpy as jnp

    function = _array(jnp.sum)
    x, v = jnp.asarray(data.point), jnp.asarray(data.direction)
    if data.product:
        product = jax.jit(lambda x, v: jax.jvp(jax.grad(function), (x,), (v,))[1])
        return Step(lambda: jax.block_until_ready(product(x, v)), flat)
    step = jax.jit(jax.value_and_grad(function))
    return Step(lambda: jax.block_until_ready(step(x)), flat)


def by_torch(data: Data) -> Step:
    """Differentiate the function of tensors in reverse mode, once or twice."""
    import torch

    function = _array(torch.sum)
    x, v = torch.tensor(data.point, requires_grad=True), torch.tensor(data.direction)

    def gradient() -> Any:
        value = function(x)
        return value.detach(), *torch.autograd.grad(value, x)

    def product() -> Any:
        (slope,) = torch.autograd.grad(function(x), x, create_graph=True)
        return torch.autograd.grad(slope, x, v)

    return Step(product if data.product else gradient, flat)


def by_torch_compile(data: Data) -> Step:
    """Compile the derivatives of the function of tensors; use forward over reverse mode for the product."""
    import torch

    function = _array(torch.sum)
    x, v = torch.tensor(data.point), torch.tensor(data.direction)
    if data.product:
        product = torch.compile(lambda x, v: torch.func.jvp(torch.func.grad(function), (x,), (v,))[1], dynamic=False)
        return Step(lambda: product(x, v), flat)
    step = torch.compile(lambda x: torch.func.grad_and_value(function)(x), dynamic=False)
    return Step(lambda: step(x), lambda result: flat(*result[::-1]))


def by_casadi(data: Data) -> Step:
    """Differentiate scalar expressions."""
    import casadi

    from .symbolic import called

    x, v = casadi.SX.sym("x", 1000), casadi.SX.sym("v", 1000)
    value = _array(casadi.sum1)(x)
    slope = casadi.gradient(value, x)
    if data.product:
        product = casadi.jtimes(slope, x, v)
        return called(casadi.Function("product", [x, v], [casadi.densify(product)]), [data.point, data.direction])
    return called(casadi.Function("step", [x], [value, casadi.densify(slope)]), [data.point])


def by_autograd(data: Data) -> Step:
    """Differentiate the function in autograd.numpy."""
    import autograd.numpy as anp
    from autograd import hessian_vector_product, value_and_grad

    function = _array(anp.sum)
    if data.product:
        product = hessian_vector_product(function)
        return Step(lambda: product(data.point, data.direction), flat)
    step = value_and_grad(function)
    return Step(lambda: step(data.point), flat)


ROSENBROCK = Workload(
    title="Rosenbrock in 1,000 dimensions",
    cases=("gradient", "HVP"),
    data=data,
    programs={
        "microgrud": recorded,
        "microgrud eager": eagerly,
        "numpy": by_numpy,
        "casadi": by_casadi,
        "jax jit": by_jax,
        "torch compile": by_torch_compile,
        "torch": by_torch,
        "hips autograd": by_autograd,
    },
)
