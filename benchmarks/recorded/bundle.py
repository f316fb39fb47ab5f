"""Bundle adjustment: residuals of observations of points by cameras, with the 2 by 15 derivatives of each observation.

A camera has a rotation, a centre, a focal length, a principal point and two coefficients of distortion (11 numbers).
The derivatives are with respect to these, the point (3 numbers) and the weight of the observation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .workload import Step, Workload


@dataclass(frozen=True)
class Data:
    """A row for each observation: camera, point and weight; and the place where the point was seen."""

    given: Any
    seen: Any


def data(case: str) -> Data:
    """Draw observations."""
    rng, count = np.random.default_rng(0), int(case.partition(" ")[0].replace(",", ""))
    typical = np.array([0.1, -0.2, 0.15, 0.3, 0.1, -4.0, 500.0, 320.0, 240.0, 0.02, -0.003, 0.0, 0.0, 0.0, 1.0])
    spread = np.array([0.05, 0.05, 0.05, 0.2, 0.2, 0.3, 20.0, 5.0, 5.0, 0.01, 0.001, 0.5, 0.5, 0.5, 0.2])
    return Data(typical + spread * rng.normal(size=(count, 15)), rng.normal(300.0, 50.0, size=(count, 2)))


def _residuals(sqrt: Any, sin: Any, cos: Any, pack: Callable[[Any], Any] = list) -> Callable[[Any, Any], Any]:
    """Return the residuals of an observation, for numbers; the rotation is by the formula of Rodrigues."""

    def residuals(given: Any, seen: Any) -> Any:
        r1, r2, r3, c1, c2, c3, focal, u0, v0, k1, k2, p1, p2, p3, weight = given
        x, y, z = p1 - c1, p2 - c2, p3 - c3
        angle = sqrt(r1 * r1 + r2 * r2 + r3 * r3)
        a, b, c = r1 / angle, r2 / angle, r3 / angle
        sine, cosine = sin(angle), cos(angle)
        along = (a * x + b * y + c * z) * (1.0 - cosine)
        x, y, z = (
            x * cosine + (b * z - c * y) * sine + a * along,
            y * cosine + (c * x - a * z) * sine + b * along,
            z * cosine + (a * y - b * x) * sine + c * along,
        )
        u, v = x / z, y / z
        square = u * u + v * v
        scale = focal * (1.0 + k1 * square + k2 * square * square)
        return pack([weight * (u * scale + u0 - seen[0]), weight * (v * scale + v0 - seen[1])])

    return residuals


def by_numpy(data: Data) -> Step:
    """Differentiate all observations at once by complex steps, one for each input."""
    residuals, columns = _residuals(np.sqrt, np.sin, np.cos), data.given.T.astype(complex)
    seen = data.seen.T

    def run() -> Any:
        found = np.empty((len(data.given), 2, len(columns)))
        for k in range(len(columns)):
            columns[k] += 1e-30j
            for i, values in enumerate(residuals(columns, seen)):
                found[:, i, k] = values.imag / 1e-30
            columns[k] = columns[k].real
        return found

    return Step(run, np.ravel)


def recorded(data: Data) -> Step:
    """Record the Jacobian of an observation, and map it over the observations."""
    from microgrud import compile, cos, jacobian, sin, sqrt

    step = compile(jacobian(_residuals(sqrt, sin, cos)), batched=("given", "seen"))
    return Step(lambda: step.map(data.given, data.seen), np.ravel)


def recorded_entries(data: Data) -> Step:
    """Record the residuals of an observation; the replay finds the entries that are not always 0, 28 of 30."""
    from microgrud import compile, cos, sin, sqrt

    function = compile(_residuals(sqrt, sin, cos), batched=("given", "seen"))

    def read(entries: Any) -> Any:
        rows, columns, numbers = entries
        blocks = np.zeros((2 * len(data.given), 15))
        blocks[rows, columns % 15] = numbers
        return np.ravel(blocks)

    return Step(lambda: function.jacobian_entries(data.given, data.seen), read)


def by_jax(data: Data) -> Step:
    """Map the Jacobian of an observation, in forward mode, and compile it."""
    import jax
    import jax.numpy as jnp

    residuals = _residuals(jnp.sqrt, jnp.sin, jnp.cos, jnp.stack)
    step, given, seen = jax.jit(jax.vmap(jax.jacfwd(residuals))), jnp.asarray(data.given), jnp.asarray(data.seen)
    return Step(lambda: jax.block_until_ready(step(given, seen)), lambda blocks: np.ravel(np.asarray(blocks)))


def by_torch(data: Data) -> Step:
    """Map the Jacobian of an observation in reverse mode, which is faster here than forward mode."""
    import torch

    residuals = _residuals(torch.sqrt, torch.sin, torch.cos, torch.stack)
    step = torch.func.vmap(torch.func.jacrev(lambda given, seen: residuals(given.unbind(), seen.unbind())))
    given, seen = torch.tensor(data.given), torch.tensor(data.seen)
    return Step(lambda: step(given, seen), lambda blocks: np.ravel(blocks.numpy()))


def by_casadi(data: Data) -> Step:
    """Build the Jacobian of an observation from scalar expressions, and map it."""
    import casadi

    from .symbolic import called

    given, seen = casadi.SX.sym("given", 15), casadi.SX.sym("seen", 2)
    both = casadi.vertcat(*_residuals(casadi.sqrt, casadi.sin, casadi.cos)(casadi.vertsplit(given), seen))
    blocks = casadi.vec(casadi.densify(casadi.jacobian(both, given)).T)
    one = casadi.Function("one", [given, seen], [blocks])
    return called(one.map(len(data.given), "serial"), [data.given, data.seen])


BUNDLE = Workload(
    title="bundle adjustment, 2 by 15 derivatives of each observation",
    cases=("10,000 observations",),
    data=data,
    programs={
        "microgrud": recorded,
        "microgrud sparse": recorded_entries,
        "numpy": by_numpy,
        "casadi": by_casadi,
        "jax jit jacfwd": by_jax,
        "torch.func": by_torch,
    },
)
