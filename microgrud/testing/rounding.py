"""The effect of rounding on a gradient: the sizes of the terms that are added up, and the jumps of the result.

If there is a graph, it is computed again with results rounded at random. Otherwise the gradient is evaluated at inputs
that differ by a few last digits.
"""

from __future__ import annotations

import itertools
import math
import operator
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..engine import Value, topological_order
from ..engine.by_hand import LocalGradients
from ..engine.operation import Operation

_EPS = 2.0**-52
#: The most that the products in one rule may lose by underflow.
_LEAST = 16.0 * math.ulp(0.0)
_REPLAYS = 12
_NEIGHBOURS = 7


@dataclass(frozen=True)
class Paths:
    """The sizes of the terms that are added up in a derivative, and their losses to underflow.

    The derivative is the sum, over all paths from a leaf to the output, of the product of the local derivatives.

    Attributes:
        sizes: for each leaf the same sum of absolute values. Rounding errors are small in proportion to this sum, but
            not always to the derivative.
        lost_in_reverse: for each leaf the most that reverse mode may lose to underflow. A product that underflows may
            lose the least float, which the local derivatives that follow may multiply by any number.
        lost_in_forward: the same for the derivative in a direction in forward mode.
    """

    sizes: list[float]
    lost_in_reverse: list[float]
    lost_in_forward: float


def paths(output: Value, leaves: Sequence[Value]) -> Paths:
    """Add up the sizes of the paths from some leaves to a node."""
    numbers = {node: node.data for node in topological_order(output)}
    sizes = _swept(output, numbers, lambda adjoint, local: adjoint * abs(local))
    losses = _swept(output, numbers, lambda adjoint, local: adjoint * abs(local) + 1.0)
    return Paths(
        [sizes.get(leaf, 0.0) for leaf in leaves],
        [_LEAST * losses.get(leaf, 0.0) for leaf in leaves],
        _LEAST * sum(size * len(node._operands) for node, size in sizes.items()),
    )


def noise(output: Value, leaves: Sequence[Value]) -> list[float]:
    """Estimate the rounding error in the gradient with respect to each leaf.

    The graph is computed again and differentiated, with each result and each share of an adjoint moved at random by one
    last digit up, down or not at all (stochastic arithmetic: Vignes 1993). The estimate is the greatest change of the
    gradient among a few such replays.
    """
    order = topological_order(output)
    rng = random.Random(0)

    def rounded_share(adjoint: float, local: float) -> float:
        return _rounded_at_random(adjoint * local, rng)

    exact = _swept(output, {node: node.data for node in order}, operator.mul)
    greatest = [0.0] * len(leaves)
    for _ in range(_REPLAYS):
        try:
            moved = _swept(output, _replayed(order, rng), rounded_share)
        except (ArithmeticError, ValueError):  # the replay leaves the domain of an operation
            continue
        changes = [abs(moved.get(leaf, 0.0) - exact.get(leaf, 0.0)) for leaf in leaves]
        greatest = [max(old, new) if new == new else old for old, new in zip(greatest, changes)]
    return greatest


def _rounded_at_random(x: float, rng: random.Random) -> float:
    return x * (1.0 + rng.choice((-_EPS, 0.0, _EPS)))


def _replayed(order: Sequence[Value], rng: random.Random) -> dict[Value, float]:
    """Compute a graph again, with the results of its operations rounded at random."""
    numbers: dict[Value, float] = {}
    for node in order:
        if isinstance(node._operation, Operation) and not isinstance(node._operation, LocalGradients):
            xs = [numbers[x] if isinstance(x, Value) else x for x in node._operands]
            result = node._operation.evaluate(xs)
            # A result that equals an operand was chosen, not rounded; the rule may compare the two.
            numbers[node] = result if result in xs else _rounded_at_random(result, rng)
        else:
            numbers[node] = node.data
    return numbers


def _swept(output: Value, numbers: dict[Value, float], share: Callable[[float, float], float]) -> dict[Any, float]:
    """Return the derivative of the output with respect to each node that it depends on, at these numbers.

    Args:
        output: the node to differentiate.
        numbers: the number of each node.
        share: computes the share of a parent from the adjoint of a node and a local derivative, usually their product.
    """
    adjoints: dict[Any, float] = {output: 1.0}
    for node in reversed(topological_order(output)):
        operation = node._operation
        if not isinstance(operation, Operation) or not adjoints.get(node):
            continue
        wanted = [i for i, x in enumerate(node._operands) if isinstance(x, Value)]
        xs = [numbers[x] if isinstance(x, Value) else x for x in node._operands]
        for i, local in zip(wanted, operation.local_derivatives(numbers[node], xs, wanted)):
            if local is not None:
                parent = node._operands[i]
                adjoints[parent] = adjoints.get(parent, 0.0) + share(adjoints[node], local)
    return adjoints


def moved_by_last_digits(point: Sequence[float]) -> Iterator[list[float]]:
    """Yield a few points around the given one, with each input replaced by the next float above or below."""
    rng = random.Random(0)
    for _ in range(4):
        yield [math.nextafter(x, rng.choice((-math.inf, math.inf))) for x in point]


def noise_nearby(claims: Callable[[Sequence[float]], list[list[float]]], point: Sequence[float]) -> list[list[float]]:
    """Estimate the rounding error in each derivative from third differences at points that hardly differ.

    Over a few last digits the derivative itself is a straight line; its jumps are rounding errors. If it is constant,
    as 1 - exp(-40) is, points further apart are compared. There a jump counts only if it is a last binary digit, since
    a function may change fast, or be rounded to decimals. The error in a derivative that never moves may be a last
    digit of a number of the size of 1.

    Args:
        claims: a function that returns the derivatives at a point, a row for each output.
        point: the point.
    """
    rng = random.Random(0)
    direction = [rng.uniform(0.5, 1.0) * rng.choice((-1.0, 1.0)) for _ in point]
    here = claims(point)
    found: dict[tuple[int, int], float] = {}
    places = [(o, e) for o, row in enumerate(here) for e in range(len(row))]
    spacing, is_nearest = 7.0 * _EPS, True
    while spacing < 1e-3 and len(found) < len(places):
        row = [[x * (1.0 + k * (spacing * d)) for x, d in zip(point, direction)] for k in range(_NEIGHBOURS)]
        try:
            near = [claims(at) for at in row]
        except (ArithmeticError, ValueError, TypeError):  # a point lies outside of the domain
            near = []
        for o, e in places if near else ():
            claimed = [rows[o][e] for rows in near]
            if (o, e) not in found and any(x != claimed[0] for x in claimed):
                found[o, e] = _jump(claimed, is_nearest)
        spacing, is_nearest = 16.0 * spacing, False
    return [
        [found.get((o, e), _EPS * max(abs(claimed), 1.0)) for e, claimed in enumerate(row)]
        for o, row in enumerate(here)
    ]


def _jump(claimed: Sequence[float], is_nearest: bool) -> float:
    """Return the size of the jumps in a row of numbers that differ; 0 if they do not come from rounding."""
    if not all(map(math.isfinite, claimed)):
        return 0.0
    steps = [abs(b - a) for a, b in itertools.pairwise(claimed) if a != b]
    return error_of(claimed) if is_nearest or _is_binary_digit(min(steps)) else 0.0


def error_of(numbers: Sequence[float]) -> float:
    """Estimate the error of numbers at even distances by the size of their third differences."""
    differences = list(numbers)
    for _ in range(3):
        differences = [b - a for a, b in itertools.pairwise(differences)]
    # The variance of a third difference is 1 + 9 + 9 + 1 = 20 times that of a number.
    return math.hypot(*differences) / math.sqrt(20.0 * len(differences))


def _is_binary_digit(x: float) -> bool:
    """Return whether a number is a small multiple of a power of two."""
    return (math.frexp(x)[0] * 256.0).is_integer()
