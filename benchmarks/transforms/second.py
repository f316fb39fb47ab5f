"""Second derivatives of Rosenbrock's function: the Hessian, and its product with a direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..recorded.rosenbrock import _array, _scalar
from ..recorded.workload import Step, Workload, flat
from .baseline import backward
from .libraries import Library, by_libraries


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


def by_library(library: Library, data: Data) -> Step:
    """Differentiate the function."""
    function = _scalar if library.scalars else _array(library.functions.sum)
    if data.product:
        return library.step(library.hvp(function), data.point, data.direction)
    return library.step(library.hessian(function), data.point)


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


SECOND = Workload(
    title="second derivatives of Rosenbrock's function",
    cases=("Hessian, 50", "HVP, 50", "HVP, 1,000"),
    data=data,
    programs={
        "microgrud backward": by_backward,
        "microgrud": recorded,
        "microgrud compile(hessian)": recorded_whole,
        **by_libraries(by_library),
    },
    base="microgrud backward",
    only={"jax jit scalars": ("HVP, 50", "HVP, 1,000")},  # the Hessian takes more than a minute to compile
)
