"""The Jacobian of two layers of tanh, 30 outputs by 30 inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..recorded.workload import Step, Workload, flat
from .libraries import LIBRARIES, Library, by_libraries


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


def by_library(library: Library, data: Data) -> Step:
    """Differentiate the function in reverse mode."""
    xp = library.functions
    if library.scalars:
        function = data.scalar(xp.tanh)
    else:
        first, second = map(library.array, (data.first, data.second))
        function = lambda x: xp.tanh(second @ xp.tanh(first @ x))  # noqa: E731
    return library.step(library.jacobian(function), data.point)


LAYERS = Workload(
    title="Jacobian of two layers of tanh",
    cases=("30 by 30",),
    data=data,
    programs={
        "microgrud backward": by_backward,
        "microgrud": recorded,
        "microgrud compile(jacobian)": recorded_whole,
        **by_libraries(by_library, *(name for name in LIBRARIES if name != "jax jit scalars")),  # a minute to compile
    },
    base="microgrud backward",
)
