"""The baseline of the suite: microgrud builds the graph of the program, and `backward()` walks it once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..recorded.workload import Step


def backward(function: Callable[[Any], Any], point: Any, read: Callable[[Any], Any]) -> Step:
    """Return the step that evaluates a function at a list of new leaves and runs `backward()`.

    Args:
        function: the program, with one number as its result.
        point: an array of the inputs.
        read: makes the expected answer of the rivals from the value and the gradient.
    """
    from microgrud import Value

    numbers = point.tolist()

    def run() -> Any:
        leaves = [Value(x) for x in numbers]
        value = function(leaves)
        value.backward()
        return value.data, [leaf.grad for leaf in leaves]

    return Step(run, read)
