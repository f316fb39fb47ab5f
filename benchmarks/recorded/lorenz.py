"""Lorenz' equations, 1,000 steps of Runge and Kutta: the squared distance of the last state to an observation.

The gradient is with respect to the first state and the three parameters of the equations, as in fitting them to data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .workload import Step, Workload, flat

_STEPS, _H = 1000, 0.005
_OBSERVED = (-3.0, -4.0, 20.0)


def data(case: str) -> Any:
    """Return the first state and the parameters."""
    return np.array([1.0, 0.5, 20.0, 10.0, 28.0, 8.0 / 3.0])


def _slope(x: Any, y: Any, z: Any, s: Any, r: Any, b: Any) -> tuple[Any, Any, Any]:
    return s * (y - x), x * (r - z) - y, x * y - b * z


def _step(x: Any, y: Any, z: Any, *p: Any) -> tuple[Any, Any, Any]:
    """Compute one step, with numbers of any type."""
    a1, b1, c1 = _slope(x, y, z, *p)
    a2, b2, c2 = _slope(x + 0.5 * _H * a1, y + 0.5 * _H * b1, z + 0.5 * _H * c1, *p)
    a3, b3, c3 = _slope(x + 0.5 * _H * a2, y + 0.5 * _H * b2, z + 0.5 * _H * c2, *p)
    a4, b4, c4 = _slope(x + _H * a3, y + _H * b3, z + _H * c3, *p)
    h = _H / 6.0
    return (
        x + h * (a1 + 2.0 * (a2 + a3) + a4),
        y + h * (b1 + 2.0 * (b2 + b3) + b4),
        z + h * (c1 + 2.0 * (c2 + c3) + c4),
    )


def _distance(state: Any) -> Any:
    x, y, z = state
    return (x - _OBSERVED[0]) ** 2 + (y - _OBSERVED[1]) ** 2 + (z - _OBSERVED[2]) ** 2


def _misfit(given: Any, step: Callable[..., Any] = _step) -> Any:
    """Compute all steps in a loop, with numbers of any type."""
    state, parameters = tuple(given[:3]), tuple(given[3:])
    for _ in range(_STEPS):
        state = step(*state, *parameters)
    return _distance(state)


def by_numpy(data: Any) -> Step:
    """Write it by hand: carry the derivatives with respect to all six numbers along with the state."""
    s, r, b = data[3:].tolist()
    observed = np.array(_OBSERVED)

    def slope(y: Any) -> Any:
        """Return the time derivative of the state (column 0) and of its derivatives (the other six columns)."""
        (x, u, v), found = y[:, 0].tolist(), jacobian([*y[:, 0].tolist()]) @ y
        found[:, 0] = s * (u - x), x * (r - v) - u, x * u - b * v
        found[0, 4] += u - x
        found[1, 5] += x
        found[2, 6] -= v
        return found

    def jacobian(state: Any) -> Any:
        x, u, v = state
        return np.array(((-s, s, 0.0), (r - v, -1.0, -x), (u, x, -b)))

    def run() -> Any:
        y = np.zeros((3, 7))
        y[:, 0] = data[:3]
        y[(0, 1, 2), (1, 2, 3)] = 1.0
        for _ in range(_STEPS):
            k1 = slope(y)
            k2 = slope(y + (0.5 * _H) * k1)
            k3 = slope(y + (0.5 * _H) * k2)
            k4 = slope(y + _H * k3)
            y = y + (_H / 6.0) * (k1 + 2.0 * (k2 + k3) + k4)
        off = y[:, 0] - observed
        return off @ off, 2.0 * off @ y[:, 1:]

    return Step(run, flat)


def recorded(data: Any) -> Step:
    """Record the loop."""
    from microgrud import compile

    step, given = compile(_misfit), data.tolist()
    return Step(lambda: step.value_and_grad(given), flat)


def eagerly(data: Any) -> Step:
    """Differentiate the loop."""
    from microgrud import value_and_grad

    step, given = value_and_grad(_misfit), data.tolist()
    return Step(lambda: step(given), flat)


def _jax(forward: bool) -> Callable[[Any], Step]:
    """Write the loop as a scan, differentiated in reverse or in forward mode (which is faster for six numbers)."""

    def make(data: Any) -> Step:
        import jax
        import jax.numpy as jnp

        def misfit(given: Any) -> Any:
            parameters = tuple(given[3:])
            state, _ = jax.lax.scan(lambda y, _: (_step(*y, *parameters), None), tuple(given[:3]), None, _STEPS)
            return _distance(state)

        def twice(given: Any) -> tuple[Any, Any]:
            value = misfit(given)
            return value, value

        def carried(given: Any) -> tuple[Any, Any]:
            slope, value = jax.jacfwd(twice, has_aux=True)(given)
            return value, slope

        step, given = jax.jit(carried if forward else jax.value_and_grad(misfit)), jnp.asarray(data)
        return Step(lambda: jax.block_until_ready(step(given)), flat)

    return make


def _torch(compiled: bool) -> Callable[[Any], Step]:
    """Loop over vectors of three numbers; the compiled variant compiles the step, and calls it 1,000 times."""

    def make(data: Any) -> Step:
        import torch

        def slope(y: Any, p: Any) -> Any:
            x, u, v = y.unbind()
            return torch.stack((p[0] * (u - x), x * (p[1] - v) - u, x * u - p[2] * v))

        def one(y: Any, p: Any) -> Any:
            k1 = slope(y, p)
            k2 = slope(y + 0.5 * _H * k1, p)
            k3 = slope(y + 0.5 * _H * k2, p)
            k4 = slope(y + _H * k3, p)
            return y + _H / 6.0 * (k1 + 2.0 * (k2 + k3) + k4)

        step = torch.compile(one, dynamic=False) if compiled else one
        given, observed = torch.tensor(data, requires_grad=True), torch.tensor(_OBSERVED)

        def run() -> Any:
            y, p = given[:3], given[3:]
            for _ in range(_STEPS):
                y = step(y, p)
            value = torch.sum((y - observed) ** 2)
            return value.detach(), *torch.autograd.grad(value, given)

        return Step(run, flat)

    return make


def by_casadi(data: Any) -> Step:
    """Build a step from scalar expressions, repeat it with mapaccum, and differentiate in reverse mode."""
    import casadi

    from .symbolic import called

    y, p = casadi.SX.sym("y", 3), casadi.SX.sym("p", 3)
    step = casadi.Function("step", [y, p], [casadi.vertcat(*_step(*casadi.vertsplit(y), *casadi.vertsplit(p)))])
    given = casadi.MX.sym("given", 6)
    last = step.mapaccum("steps", _STEPS)(given[:3], casadi.repmat(given[3:], 1, _STEPS))[:, -1]
    value = casadi.sumsqr(last - casadi.DM(_OBSERVED))
    return called(casadi.Function("misfit", [given], [value, casadi.gradient(value, given)]), [data])


def by_casadi_unrolled(data: Any) -> Step:
    """Build all steps from scalar expressions."""
    import casadi

    from .symbolic import called

    given = casadi.SX.sym("given", 6)
    value = _misfit(casadi.vertsplit(given))
    return called(casadi.Function("misfit", [given], [value, casadi.gradient(value, given)]), [data])


def by_autograd(data: Any) -> Step:
    """Differentiate the loop over single numbers."""
    from autograd import value_and_grad

    step = value_and_grad(_misfit)
    return Step(lambda: step(data), flat)


LORENZ = Workload(
    title="Lorenz, 1,000 steps of RK4, gradient",
    cases=("6 derivatives",),
    data=data,
    programs={
        "microgrud": recorded,
        "microgrud eager": eagerly,
        "numpy": by_numpy,
        "casadi": by_casadi_unrolled,
        "casadi mapaccum": by_casadi,
        "jax jit": _jax(forward=False),
        "jax jit jacfwd": _jax(forward=True),
        "torch compile": _torch(compiled=True),
        "torch": _torch(compiled=False),
        "hips autograd": by_autograd,
    },
)
