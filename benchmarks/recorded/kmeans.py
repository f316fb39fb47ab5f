"""k-means: the mean squared distance of 1,000 points in 16 dimensions to the nearest of 100 centres.

Its derivatives with respect to the centres are the gradient, and the product of the Hessian with a direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .workload import Step, Workload, flat

_DIMENSIONS = 16


@dataclass(frozen=True)
class Data:
    """Points, centres, a direction for the centres, and a flag for the product (instead of the gradient)."""

    points: Any
    centres: Any
    direction: Any
    product: bool


def data(case: str) -> Data:
    """Draw points and centres; a case may name smaller numbers of both."""
    what, _, sizes = case.partition(", ")
    points, centres = map(int, (sizes or "1000 100").split())
    rng = np.random.default_rng(0)
    shapes = (points, _DIMENSIONS), (centres, _DIMENSIONS), (centres, _DIMENSIONS)
    return Data(*(rng.normal(size=shape) for shape in shapes), what == "HVP")


def by_numpy(data: Data) -> Step:
    """Write both by hand."""
    points, centres, v, n = data.points, data.centres, data.direction, len(data.points)

    def nearest() -> Any:
        squares = np.einsum("kd,kd->k", centres, centres) - 2.0 * (points @ centres.T)
        return np.argmin(squares, axis=1)

    def gradient() -> Any:
        k = nearest()
        off = centres[k] - points
        slope = np.zeros_like(centres)
        np.add.at(slope, k, off)
        return np.einsum("nd,nd->", off, off) / n, slope * (2.0 / n)

    def product() -> Any:
        return (np.bincount(nearest(), minlength=len(centres))[:, None] * v * (2.0 / n),)

    return Step(product if data.product else gradient, flat)


def recorded(data: Data) -> Step:
    """Record the distance of a point to the nearest centre."""
    from microgrud import compile, min

    def distance(centres: Any, point: Any) -> Any:
        return min([sum((c - x) ** 2 for c, x in zip(centre, point)) for centre in centres])

    function, v = compile(distance, batched="point"), data.direction
    if data.product:
        return Step(lambda: function.hvp((data.centres, data.points), v), flat)
    return Step(lambda: function.value_and_grad(data.centres, data.points), flat)


def _array(xp: Any, mean: Any = None, least: Any = None) -> Callable[[Any, Any], Any]:
    """Return the function for arrays."""
    least = least or (lambda squares: xp.min(squares, axis=1))

    def distance(centres: Any, points: Any) -> Any:
        return xp.mean(least(xp.sum((points[:, None, :] - centres[None, :, :]) ** 2, 2)))

    return distance


def by_jax(data: Data) -> Step:
    """Compile the derivatives of the function of arrays; use forward over reverse mode for the product."""
    import jax
    import jax.numpy as jnp

    function = _array(jnp)
    centres, points, v = map(jnp.asarray, (data.centres, data.points, data.direction))
    if data.product:
        product = jax.jit(lambda c, p, v: jax.jvp(lambda c: jax.grad(function)(c, p), (c,), (v,))[1])
        return Step(lambda: jax.block_until_ready(product(centres, points, v)), flat)
    step = jax.jit(jax.value_and_grad(function))
    return Step(lambda: jax.block_until_ready(step(centres, points)), flat)


def by_torch(data: Data) -> Step:
    """Differentiate the function of tensors."""
    import torch

    function = _array(torch, least=lambda squares: torch.min(squares, 1).values)
    centres, points, v = map(torch.tensor, (data.centres, data.points, data.direction))
    slope = torch.func.grad_and_value(function)
    if data.product:
        gradient = torch.func.grad(function)
        return Step(lambda: torch.func.jvp(lambda c: gradient(c, points), (centres,), (v,))[1], flat)
    return Step(lambda: slope(centres, points), lambda result: flat(*result[::-1]))


def by_autograd(data: Data) -> Step:
    """Differentiate the function in autograd.numpy."""
    import autograd.numpy as anp
    from autograd import hessian_vector_product, value_and_grad

    function = _array(anp)
    step, product = value_and_grad(function), hessian_vector_product(function)
    if data.product:
        return Step(lambda: product(data.centres, data.points, data.direction), flat)
    return Step(lambda: step(data.centres, data.points), flat)


KMEANS = Workload(
    title="k-means, 100 centres, 1,000 points, 16 dimensions",
    cases=("gradient", "HVP"),
    data=data,
    programs={
        "microgrud": recorded,
        "numpy": by_numpy,
        "jax jit": by_jax,
        "torch": by_torch,
        "hips autograd": by_autograd,
    },
)
