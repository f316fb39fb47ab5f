"""A function of two numbers with 1,000 results: the results themselves, or their sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .workload import Step, Workload, flat

_POINT = (0.75, -0.25)


def data(case: str) -> tuple[int, bool]:
    """Return the number of results, and whether to add them up."""
    return int(case.partition(" ")[0].replace(",", "")), case.endswith("their sum")


def _program(given: tuple[int, bool]) -> Callable[[Any, Any], Any]:
    count, added = given

    def several(x: Any, y: Any) -> Any:
        found = [x * (k + 1.0) + y for k in range(count)]
        return sum(found) if added else found

    return several


def by_numpy(given: tuple[int, bool]) -> Step:
    """Compute them as an array, and return a list of numbers."""
    factors = np.arange(1.0, given[0] + 1.0)

    def run() -> Any:
        found = factors * _POINT[0] + _POINT[1]
        return found.sum() if given[1] else found.tolist()

    return Step(run, flat)


def recorded(given: tuple[int, bool]) -> Step:
    """Replay the function; its result is a list of floats."""
    from microgrud import compile

    function = compile(_program(given))
    return Step(lambda: function(*_POINT), flat)


def by_jax(given: tuple[int, bool]) -> Step:
    """Compile the function of arrays; the result is an array."""
    import jax
    import jax.numpy as jnp

    def function(x: Any, y: Any) -> Any:
        found = jnp.arange(1.0, given[0] + 1.0) * x + y
        return found.sum() if given[1] else found

    step = jax.jit(function)
    return Step(lambda: jax.block_until_ready(step(*_POINT)), flat)


def by_jax_scalars(given: tuple[int, bool]) -> Step:
    """Compile the same program; the result is a list of JAX's numbers."""
    import jax

    step = jax.jit(_program(given))
    return Step(lambda: jax.block_until_ready(step(*_POINT)), flat)


OUTPUTS = Workload(
    title="results handed out",
    cases=("1,000 results", "1,000, their sum"),
    data=data,
    programs={"microgrud": recorded, "numpy": by_numpy, "jax jit": by_jax, "jax jit scalars": by_jax_scalars},
)
