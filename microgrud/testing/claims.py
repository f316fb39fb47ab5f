"""Claims: the derivatives under test, computed by microgrud or by a user-defined function."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

from ..autodiff.gradients import gradient, pushforward
from ..autodiff.trees import Structure
from ..common.numbers import Number
from ..engine import Value, topological_order
from ..engine.grad_mode import enable_grad, without_graph
from ..engine.vectors import restored
from .arrangement import arranged
from .blame import blame
from .rounding import noise, noise_nearby, paths
from .subject import Subject, flatten_result

#: The derivatives of each output, in the order of `itertools.product` over the inputs.
Rows = list[list[float]]


class OwnClaim:
    """The derivatives that microgrud computes for a function of Values.

    Args:
        subject: the function under test.
        order: the number of differentiations.
    """

    def __init__(self, subject: Subject, order: int) -> None:
        self.subject, self.order = subject, order

    def values(self, numbers: Sequence[float]) -> list[float]:
        """Return the numbers of the result.

        Raises:
            TypeError: if the function does not take Values.
        """
        try:
            outputs, _ = without_graph(lambda: self.subject(self.subject.leaves(numbers)))
        except (TypeError, AttributeError) as error:
            raise TypeError(
                f"check_gradients: {self.subject.name} fails on Values ({error}); for a function of floats, arrays or "
                "tensors, pass the gradient under test as grad="
            ) from error
        return [x.data if isinstance(x, Value) else float(x) for x in outputs]

    def values_of_floats(self, numbers: Sequence[float]) -> list[float] | None:
        """Return the numbers of the result for floats instead of Values; None if the function takes no floats."""
        try:
            outputs, _ = without_graph(lambda: self.subject(list(numbers)))
            return [x.data if isinstance(x, Value) else float(x) for x in outputs]
        except Exception:  # a function of Values may do anything with floats
            return None

    def output_structure(self, numbers: Sequence[float]) -> Structure:
        """Return the structure of the result."""
        return without_graph(lambda: self.subject(self.subject.leaves(numbers)))[1]

    def record(self, numbers: Sequence[float]) -> tuple[list[Value], list[Value]]:
        """Return leaves with these numbers, and the nodes of the result."""
        leaves = self.subject.leaves(numbers)
        with enable_grad():
            outputs, _ = self.subject(leaves)
        return leaves, [x if isinstance(x, Value) else Value(x) for x in outputs]

    def differentiated(self, numbers: Sequence[float], order: int) -> tuple[list[Value], list[list[Value]]]:
        """Return leaves with these numbers, and the derivatives of some order as nodes, one row for each output."""
        leaves, outputs = self.record(numbers)
        rows = [[output] for output in outputs]
        with enable_grad():
            for _ in range(order):
                rows = [[slope for node in row for slope in gradient(node, leaves)] for row in rows]
        # Each step appends its index as the last one, so that the first index varies slowest, as it should.
        return leaves, rows

    def rows(self, numbers: Sequence[float]) -> Rows:
        """Return the derivatives of each output, computed by `backward()`, or for higher orders by `gradient`."""
        if self.order > 1:
            return [[slope.data for slope in row] for row in self.differentiated(numbers, self.order)[1]]
        leaves, outputs = self.record(numbers)
        return [_by_backward(output, leaves) for output in outputs]

    def disagreement(self, numbers: Sequence[float]) -> str | None:
        """Describe where forward mode, `gradient` and `backward()` differ by more than rounding; None if they agree."""
        if self.order > 1:
            return None
        leaves, outputs = self.record(numbers)
        if any(node._closure is not None for output in outputs for node in topological_order(output)):
            return None  # a node built by hand has a rule for `backward()` only
        rng = random.Random(0)
        direction = [rng.uniform(0.5, 1.0) * rng.choice((-1.0, 1.0)) for _ in leaves]
        forward = pushforward(outputs, dict(zip(leaves, direction)))
        for output, along in zip(outputs, forward):
            by_gradient = [slope.data for slope in gradient(output, leaves)]
            by_backward = _by_backward(output, leaves)
            known = paths(output, leaves)
            moved = along.data if isinstance(along, Value) else float(along)
            if not all(map(math.isfinite, [moved, *by_gradient, *by_backward, *known.sizes])):
                continue
            errors = [1e-9 * size + lost for size, lost in zip(known.sizes, known.lost_in_reverse)]
            summed = sum(slope * d for slope, d in zip(by_gradient, direction))
            if math.isfinite(summed) and abs(moved - summed) > sum(errors) + known.lost_in_forward:
                return f"jvp returns {moved!r} in the direction {direction}, but the gradient gives {summed!r}"
            if any(abs(a - b) > 2.0 * error for a, b, error in zip(by_gradient, by_backward, errors)):
                return f"gradient() returns {by_gradient}, but backward() {by_backward}"
        return None

    def noise(self, numbers: Sequence[float]) -> Rows:
        """Return the largest rounding error to expect in each derivative."""
        leaves, rows = self.differentiated(numbers, self.order - 1)
        return [[size for node in row for size in noise(node, leaves)] for row in rows]

    def blame(self, numbers: Sequence[float], rtol: float) -> list[str]:
        """Return a line for each operation whose local derivative is off."""
        _, rows = self.differentiated(numbers, self.order - 1)
        return blame([node for row in rows for node in row], rtol)


def _by_backward(output: Value, leaves: Sequence[Value]) -> list[float]:
    """Return the gradients that `backward()` computes for the leaves, and restore all gradients."""
    with restored(topological_order(output)):
        for leaf in leaves:
            leaf.grad = 0.0
        output.backward()
        return [leaf.grad for leaf in leaves]


class GivenClaim:
    """The derivatives that a user-defined function computes.

    Args:
        subject: the function under test.
        grad: a function of the same arguments that returns the derivatives in the structure of the argument; if the
            result has several numbers, one such structure in the place of each.
    """

    def __init__(self, subject: Subject, grad: Callable[..., Any]) -> None:
        self.subject, self.grad = subject, grad

    def values(self, numbers: Sequence[float]) -> list[float]:
        """Return the numbers of the result."""
        outputs, _ = self.subject(list(numbers))
        return [x if type(x) is float else _real(x, self.subject.name) for x in outputs]

    def output_structure(self, numbers: Sequence[float]) -> Structure:
        """Return the structure of the result."""
        return self.subject(list(numbers))[1]

    def rows(self, numbers: Sequence[float]) -> Rows:
        """Return the derivatives of each output.

        Raises:
            ValueError: if there are too few or too many, or they have other places or another shape.
        """
        structure_of_outputs = self.output_structure(numbers)
        claimed, structure = flatten_result(self.grad(*self.subject.arguments(numbers)), "the result of grad")
        slopes = [_real(x, "grad") for x in claimed]
        return arranged(slopes, structure, structure_of_outputs, self.subject.structures)

    def disagreement(self, numbers: Sequence[float]) -> None:
        """Return None, since there is only one gradient."""

    def noise(self, numbers: Sequence[float]) -> Rows:
        """Estimate the rounding error in each derivative from points nearby."""
        return noise_nearby(self.rows, numbers)

    def blame(self, numbers: Sequence[float], rtol: float) -> None:
        """Return None, since there is no graph to search."""


def _real(x: Number, name: str) -> float:
    if isinstance(x, Value):
        return x.data
    if isinstance(x, complex):
        raise ValueError(f"check_gradients: expected real numbers from {name}, got {x}")
    return float(x)
