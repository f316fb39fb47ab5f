"""Fitting the Lotka-Volterra equations: 50 residuals after 500 steps of Runge and Kutta, Jacobian by 4 parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .workload import Step, Workload, flat

_BETWEEN, _H = 10, 0.02
_START = (1.0, 0.5)
_PARAMETERS = np.array([1.1, 0.4, 0.9, 0.3])


def data(case: str) -> Any:
    """Draw as many observations of the first species as the case has rows."""
    count = int(case.partition(" ")[0])
    return 1.0 + 0.5 * np.random.default_rng(0).random(count)


def _slope(x: Any, y: Any, a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any]:
    xy = x * y
    return a * x - b * xy, d * xy - c * y


def _step(x: Any, y: Any, *p: Any) -> tuple[Any, Any]:
    """Compute one step, with numbers of any type."""
    k1, l1 = _slope(x, y, *p)
    k2, l2 = _slope(x + 0.5 * _H * k1, y + 0.5 * _H * l1, *p)
    k3, l3 = _slope(x + 0.5 * _H * k2, y + 0.5 * _H * l2, *p)
    k4, l4 = _slope(x + _H * k3, y + _H * l3, *p)
    return x + _H / 6.0 * (k1 + 2.0 * (k2 + k3) + k4), y + _H / 6.0 * (l1 + 2.0 * (l2 + l3) + l4)


def _program(observed: Any) -> Callable[[Any], Any]:
    """Return the program on a list of parameters, numbers of any type."""
    observations = observed.tolist()

    def residuals(p: Any) -> Any:
        (x, y), found = _START, []
        for seen in observations:
            for _ in range(_BETWEEN):
                x, y = _step(x, y, *p)
            found.append(x - seen)
        return found

    return residuals


def by_numpy(observed: Any) -> Step:
    """Write it by hand: carry the derivatives with respect to the four parameters along with the state."""
    a, b, c, d = _PARAMETERS.tolist()

    def slope(s: Any) -> Any:
        """Return the time derivative of the state (column 0) and of its derivatives (the other columns)."""
        x, y = s[:, 0].tolist()
        found = np.array(((a - b * y, -b * x), (d * y, d * x - c))) @ s
        found[:, 0] = a * x - b * x * y, d * x * y - c * y
        found[0, 1] += x
        found[0, 2] -= x * y
        found[1, 3] -= y
        found[1, 4] += x * y
        return found

    def run() -> Any:
        state, rows = np.zeros((2, 5)), []
        state[:, 0] = _START
        for _ in observed:
            for _ in range(_BETWEEN):
                k1 = slope(state)
                k2 = slope(state + (0.5 * _H) * k1)
                k3 = slope(state + (0.5 * _H) * k2)
                k4 = slope(state + _H * k3)
                state = state + (_H / 6.0) * (k1 + 2.0 * (k2 + k3) + k4)
            rows.append(state[0, 1:])
        return rows

    return Step(run, flat)


def recorded(observed: Any) -> Step:
    """Record the residuals; the replay differentiates them."""
    from microgrud import compile

    function, p = compile(_program(observed)), _PARAMETERS.tolist()
    return Step(lambda: function.jacobian(p), flat)


def recorded_whole(observed: Any) -> Step:
    """Record the Jacobian, and replay it."""
    from microgrud import compile, jacobian

    step, p = compile(jacobian(_program(observed))), _PARAMETERS.tolist()
    return Step(lambda: step(p), flat)


def eagerly(observed: Any) -> Step:
    """Differentiate the residuals."""
    from microgrud import jacobian

    step, p = jacobian(_program(observed)), _PARAMETERS.tolist()
    return Step(lambda: step(p), flat)


def by_casadi(observed: Any) -> Step:
    """Build the Jacobian from scalar expressions."""
    import casadi

    from .symbolic import called

    p = casadi.SX.sym("p", 4)
    residuals = casadi.vertcat(*_program(observed)(casadi.vertsplit(p)))
    jacobian = casadi.densify(casadi.jacobian(residuals, p)).T  # CasADi stores columns, the base rows
    return called(casadi.Function("jacobian", [p], [jacobian]), [_PARAMETERS])


def by_jax(observed: Any) -> Step:
    """Write the loop as a scan, differentiated in forward mode."""
    import jax
    import jax.numpy as jnp

    seen = jnp.asarray(observed)

    def residuals(p: Any) -> Any:
        one = lambda s, _: (_step(*s, *p), None)  # noqa: E731

        def observation(s: Any, seen: Any) -> Any:
            s, _ = jax.lax.scan(one, s, None, _BETWEEN)
            return s, s[0] - seen

        return jax.lax.scan(observation, tuple(map(jnp.asarray, _START)), seen)[1]

    step, p = jax.jit(jax.jacfwd(residuals)), jnp.asarray(_PARAMETERS)
    return Step(lambda: jax.block_until_ready(step(p)), flat)


def by_torch(observed: Any) -> Step:
    """Differentiate the loop over single numbers in forward mode."""
    import torch

    program = _program(observed)
    step, p = torch.func.jacfwd(lambda p: torch.stack(program(p.unbind()))), torch.tensor(_PARAMETERS)
    return Step(lambda: step(p), flat)


RESIDUALS = Workload(
    title="residuals of an equation fitted to data, Jacobian",
    cases=("50 by 4",),
    data=data,
    programs={
        "microgrud": recorded,
        "microgrud compile(jacobian)": recorded_whole,
        "microgrud eager": eagerly,
        "numpy": by_numpy,
        "casadi": by_casadi,
        "jax jit jacfwd": by_jax,
        "torch.func": by_torch,
    },
)
