"""A mixture of 10 Gaussians in 10 dimensions: the mean log-likelihood of 1,000 points, gradient by all parameters.

A component has a weight (its logit), a mean, and the inverse of a Cholesky factor: a lower triangular matrix whose
diagonal is the exponential of its parameters (660 parameters in all).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .workload import Step, Workload, flat


@dataclass(frozen=True)
class Data:
    """The points; logits, means, logarithms of the diagonals, and the numbers below them, row by row."""

    points: Any
    logits: Any
    means: Any
    diagonals: Any
    below: Any

    @property
    def parameters(self) -> tuple[Any, ...]:
        """All but the points."""
        return self.logits, self.means, self.diagonals, self.below


def data(case: str) -> Data:
    """Draw points and parameters; a case may name the dimensions and components after the points."""
    points, n, components = map(int, (case.replace(",", "").replace(" points", "") + " 10 10").split()[:3])
    rng = np.random.default_rng(0)
    shapes = (points, n), (components,), (components, n), (components, n), (components, n * (n - 1) // 2)
    return Data(*(rng.normal(0.0, scale, size=shape) for scale, shape in zip((1.0, 0.5, 0.5, 0.2, 0.2), shapes)))


def by_numpy(data: Data) -> Step:
    """Write both passes by hand, with all components at once."""
    x, (logits, means, diagonals, below) = data.points, data.parameters
    n, rows, columns = x.shape[1], *np.tril_indices(x.shape[1], -1)

    def run() -> Any:
        scale = np.zeros((len(logits), n, n))
        scale[:, rows, columns] = below
        scale[:, range(n), range(n)] = np.exp(diagonals)
        off = (x[None] - means[:, None]).transpose(0, 2, 1)  # component, dimension, point
        z = scale @ off
        scores = (logits + diagonals.sum(1))[:, None] - 0.5 * np.einsum("kdp,kdp->kp", z, z)
        largest = scores.max(0)
        e = np.exp(scores - largest)
        total = e.sum(0)
        shares = e / (total * len(x))
        value = (largest + np.log(total)).mean()
        softmax = np.exp(logits - logits.max())
        value -= logits.max() + np.log(softmax.sum())
        by_score = shares.sum(1)
        back = -shares[:, None] * z
        by_scale = back @ off.transpose(0, 2, 1)
        by_mean = -np.einsum("kde,kdp->ke", scale, back)
        by_diagonal = by_scale[:, range(n), range(n)] * scale[:, range(n), range(n)] + by_score[:, None]
        return value, by_score - softmax / softmax.sum(), by_mean, by_diagonal, by_scale[:, rows, columns]

    return Step(run, flat)


def recorded(data: Data) -> Step:
    """Record the logarithm of the likelihood of one point, written with numbers."""
    from microgrud import compile, dot, exp, logsumexp, sum

    def likelihood(logits: Any, means: Any, diagonals: Any, below: Any, x: Any) -> Any:
        scores = []
        for logit, mean, diagonal, lower in zip(logits, means, diagonals, below):
            off, square, start = [a - m for a, m in zip(x, mean)], 0.0, 0
            for i, d in enumerate(diagonal):
                z = dot(lower[start : start + i], off[:i]) + exp(d) * off[i] if i else exp(d) * off[0]
                square, start = square + z * z, start + i
            scores.append(logit + sum(diagonal) - 0.5 * square)
        return logsumexp(scores) - logsumexp(logits)

    function, arguments = compile(likelihood, batched="x"), (*data.parameters, data.points)
    return Step(lambda: function.value_and_grad(*arguments, argnums=(0, 1, 2, 3)), lambda r: flat(r[0], *r[1]))


def _array(xp: Any, logsumexp: Callable[[Any, int], Any], n: int, array: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return the function for arrays; a constant matrix puts the numbers below the diagonals in their places."""
    rows, columns = np.tril_indices(n, -1)
    places = np.zeros((len(rows), n * n))
    places[range(len(rows)), rows * n + columns] = 1.0
    placed, unit = array(places), array(np.eye(n))

    def likelihood(parameters: Any, x: Any) -> Any:
        logits, means, diagonals, below = parameters
        scale = xp.reshape(below @ placed, (-1, n, n)) + unit * xp.exp(diagonals)[:, None, :]
        z = xp.einsum("kde,kpe->kpd", scale, x[None] - means[:, None])
        scores = (logits + xp.sum(diagonals, 1))[:, None] - 0.5 * xp.sum(z * z, 2)
        return xp.mean(logsumexp(scores, 0)) - logsumexp(logits, 0)

    return likelihood


def by_jax(data: Data) -> Step:
    """Compile the function of arrays with its gradient."""
    import jax
    import jax.numpy as jnp

    step = jax.jit(jax.value_and_grad(_array(jnp, jax.nn.logsumexp, data.points.shape[1], jnp.asarray)))
    parameters, x = [jnp.asarray(p) for p in data.parameters], jnp.asarray(data.points)
    return Step(lambda: jax.block_until_ready(step(parameters, x)), flat)


def by_torch(data: Data) -> Step:
    """Differentiate the function of tensors."""
    import torch

    function = _array(torch, torch.logsumexp, data.points.shape[1], torch.tensor)
    parameters, x = [torch.tensor(p, requires_grad=True) for p in data.parameters], torch.tensor(data.points)

    def run() -> Any:
        value = function(parameters, x)
        return value.detach(), *torch.autograd.grad(value, parameters)

    return Step(run, flat)


def by_autograd(data: Data) -> Step:
    """Differentiate the function in autograd.numpy."""
    import autograd.numpy as anp
    from autograd import value_and_grad
    from autograd.scipy.special import logsumexp

    step = value_and_grad(_array(anp, logsumexp, data.points.shape[1], anp.array))
    parameters = list(data.parameters)
    return Step(lambda: step(parameters, data.points), flat)


MIXTURE = Workload(
    title="mixture of 10 Gaussians in 10 dimensions, gradient",
    cases=("1,000 points",),
    data=data,
    programs={
        "microgrud": recorded,
        "numpy": by_numpy,
        "jax jit": by_jax,
        "torch": by_torch,
        "hips autograd": by_autograd,
    },
)
