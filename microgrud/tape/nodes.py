"""A call of a compiled function as nodes of a graph: its numbers come from a replay, and so do its first derivatives.

Inside a transform, or with Values among the arguments, a compiled function is an operation like any other: one node
for each number of its result, whose operands are the Values among the arguments and the leaves that the function closes
over. Derivatives of a higher order are those of the function's own graph, which is built when somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeAlias

import numpy as np

from ..engine import Value
from ..gradients import gradient, numbers_of_gradient
from ..operation import Number, Operation
from ..recording import enable_grad
from .evaluation import Evaluation

__all__ = ["Call", "Opaque"]


#: Computes a call, and the derivatives of the sum of its results, each times its seed.
Evaluate: TypeAlias = Callable[[list[float]], Evaluation]


@dataclass(frozen=True, eq=False)
class Opaque(Operation):
    """The operation of a node that stands for a whole graph.

    Attributes:
        slopes: given positions of operands, returns the derivatives with respect to these, as floats or as nodes.
        expand: builds the graph, on the very operands of the node, and returns its root.
    """

    slopes: Callable[[Sequence[int], bool], list[Number]]
    expand: Callable[[], Value]

    def local_derivatives(self, out: Number, operands: Sequence[Number], wanted: Sequence[int]) -> list[Number]:
        """Return the derivatives with respect to the operands that are wanted: nodes where operands are nodes."""
        return self.slopes(wanted, any(isinstance(x, Value) for x in operands))


class Call:
    """One call of a compiled function on Values.

    Args:
        name: the name of the function.
        numbers: those of the arguments: a float, a Value, or an array with one of them for each sample.
        leaves: the Values that the function closes over.
        evaluate: given a seed for each number of the result, computes the call and its derivatives.
        evaluate_slopes: given the position of a number of the result, the places of numbers and leaves, returns what
            `evaluate` is for the derivatives of that number with respect to these.
        build: evaluates the function itself on the numbers, and returns the numbers of the result as nodes.
    """

    def __init__(
        self,
        name: str,
        numbers: Sequence[Any],
        leaves: Sequence[Value],
        evaluate: Evaluate,
        evaluate_slopes: Callable[[int, Sequence[int], Sequence[Value]], Evaluate],
        build: Callable[[], list[Number]],
    ) -> None:
        self.name, self.evaluate, self.evaluate_slopes, self.build = name, evaluate, evaluate_slopes, build
        self.places = list(_values_in(numbers))
        self.leaves = list({id(leaf): leaf for leaf in leaves}.values())
        self.operands = [x for _, _, x in self.places] + self.leaves
        #: The derivatives of a number of the graph, by its path: see `_node`.
        self.derivatives: dict[tuple[int, ...], list[Value]] = {}

    def nodes(self, results: Sequence[float]) -> list[Number]:
        """Return the numbers of the result as nodes; as they are where the call depends on no Value."""
        if not self.operands:
            return list(results)
        count = len(results)
        return [
            self._node(self.name, x, partial(self._slopes, self.evaluate, k, count), [k]) for k, x in enumerate(results)
        ]

    @cached_property
    def graph(self) -> list[Value]:
        """The result as the function itself computes it."""
        with enable_grad():
            return [x if isinstance(x, Value) else Value(x) for x in self.build()]

    def _node(self, name: str, number: float, numbers: Callable[[], list[float]], path: list[int]) -> Value:
        """Return a node with a number and its derivatives.

        Args:
            name: what the node is called.
            number: the number.
            numbers: computes the derivatives with respect to all operands.
            path: the number is the result at the first of these positions, differentiated with respect to the operands
                at the others.
        """

        def slopes(wanted: Sequence[int], as_nodes: bool) -> list[Number]:
            found = numbers()
            if not as_nodes:
                return [found[k] for k in wanted]
            return [
                self._node(f"d {name}", found[k], partial(self._slopes_of_slope, [*path, k]), [*path, k])
                for k in wanted
            ]

        def partials(out: Number, *operands: Number) -> list[Number]:
            return operation.local_derivatives(out, operands, range(len(operands)))

        def expand() -> Value:
            return self._expanded(path)

        operation = Opaque(name, name, None, lambda *xs: number, partials, None, (), slopes, expand)
        node: Value = Value._record(operation, *self.operands)
        return node

    def _slopes(self, evaluate: Evaluate, k: int, count: int) -> list[float]:
        """Return the derivatives of one of `count` numbers with respect to the operands."""
        result = evaluate([float(j == k) for j in range(count)])
        of_leaves: dict[int, float] = {}
        for leaves, numbers in result.leaves:
            for leaf, number in zip(leaves, numbers.tolist()):
                of_leaves[id(leaf)] = of_leaves.get(id(leaf), 0.0) + number
        of_numbers = [result.gradients[place] for place, _, _ in self.places]
        own = [float(x if i is None else x[i]) for x, (_, i, _) in zip(of_numbers, self.places)]
        return own + [of_leaves.get(id(leaf), 0.0) for leaf in self.leaves]

    def _slopes_of_slope(self, path: list[int]) -> list[float]:
        """Return the derivatives of a derivative: by a replay for the second order, by the graph beyond that.

        A replay gives the mean over the samples, and so no derivative with respect to the number of one sample.
        """
        if len(path) > 2 or any(i is not None for _, i, _ in self.places):
            return numbers_of_gradient(self._expanded(path), self.operands)
        evaluate = self.evaluate_slopes(path[0], [place for place, _, _ in self.places], self.leaves)
        return self._slopes(evaluate, path[1], len(self.operands))

    def _expanded(self, path: list[int]) -> Value:
        if len(path) == 1:
            return self.graph[path[0]]
        before = tuple(path[:-1])
        if before not in self.derivatives:
            with enable_grad():
                self.derivatives[before] = gradient(self._expanded(path[:-1]), self.operands)
        return self.derivatives[before][path[-1]]


def _values_in(numbers: Sequence[Any]) -> Any:
    """Yield the place of each Value, its sample (None for a Value that all samples share), and the Value."""
    for place, x in enumerate(numbers):
        if isinstance(x, Value):
            yield place, None, x
        elif isinstance(x, np.ndarray) and x.dtype == object:
            yield from ((place, i, item) for i, item in enumerate(x) if isinstance(item, Value))
