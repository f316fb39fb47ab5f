"""A call of a compiled function as nodes of a graph: its numbers come from a replay, and so do its first derivatives.

Inside a transform, or with Values among the arguments, a compiled function is an operation like any other: one node
for each number of its result, whose operands are the Values among the arguments and the leaves that the function closes
over. Derivatives of a higher order are those of the function's own graph, which is built when somebody asks for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ..autodiff.gradients import gradient, numbers_of_gradient
from ..common.forking import CachedAttribute
from ..common.numbers import Number
from ..engine import Value
from ..engine.copying import with_operands
from ..engine.grad_mode import enable_grad
from ..engine.operation import Operation
from .evaluation import Evaluation
from .recorder import CompileError

__all__ = ["Call", "Evaluate", "Opaque", "without_values"]

#: Computes the results of a call, and the derivatives of their sum, each times its seed.
Evaluate: TypeAlias = Callable[[list[float]], tuple[list[float], Evaluation]]


@dataclass(frozen=True, eq=False)
class Opaque(Operation):
    """The operation of a node that stands for a whole graph.

    Attributes:
        slopes: given the operands and positions among them, returns the derivatives with respect to those at the
            positions: floats where the operands are floats, else nodes.
        expand: builds the graph on these operands, and returns its root.
    """

    slopes: Callable[[Sequence[Number], Sequence[int]], list[Number]]
    expand: Callable[[Sequence[Number]], Value]

    def local_derivatives(self, out: Number, operands: Sequence[Number], wanted: Sequence[int]) -> list[Number]:
        """Return the derivatives with respect to the operands that are wanted: nodes where operands are nodes."""
        return self.slopes(operands, wanted)


class Call:
    """One call of a compiled function on Values.

    Args:
        name: the name of the function.
        numbers: the numbers of the arguments: floats, Values, or arrays with one of these for each sample.
        leaves: the Values that the function closes over.
        evaluate: given a seed for each number of the result, computes the call and its derivatives.
        evaluate_slopes: given the position of a number of the result, the places of numbers and leaves, returns what
            `evaluate` is for the derivatives of that number with respect to these.
        build: given the numbers of the arguments, evaluates the function itself, and returns the numbers of the result
            as nodes.
    """

    def __init__(
        self,
        name: str,
        numbers: Sequence[Any],
        leaves: Sequence[Value],
        evaluate: Evaluate,
        evaluate_slopes: Callable[[int, Sequence[int], Sequence[Value]], Evaluate],
        build: Callable[[Sequence[Any]], list[Number]],
    ) -> None:
        self.name, self.evaluate, self.evaluate_slopes, self.build = name, evaluate, evaluate_slopes, build
        self.numbers = [without_values(x) for x in numbers]
        self.places = [(place, i) for place, i, _ in _values_in(numbers)]
        self.leaves = list({id(leaf): leaf for leaf in leaves}.values())
        self.results: Sequence[float] = ()
        #: The derivatives of a number of the graph, by its path: see `_node`.
        self.derivatives: dict[tuple[int, ...], list[Value]] = {}

    def nodes(self, numbers: Sequence[Any], results: Sequence[float]) -> list[Number]:
        """Return the numbers of the result as nodes; as they are where the call depends on no Value."""
        operands = [*(x for _, _, x in _values_in(numbers)), *self.leaves]
        if not operands:
            return list(results)
        self.results = results
        return [self._node(self.name, x, partial(self._first_slopes, k), [k], operands) for k, x in enumerate(results)]

    def _node(
        self,
        name: str,
        number: float,
        numbers: Callable[[], list[float]],
        path: list[int],
        operands: Sequence[Number],
    ) -> Value:
        """Return a node with a number and its derivatives.

        Args:
            name: the name of the node.
            number: the number.
            numbers: computes the derivatives with respect to all operands.
            path: the number is the result at the first of these positions, differentiated with respect to the operands
                at the others.
            operands: the operands of the node.
        """

        def slopes(operands: Sequence[Number], wanted: Sequence[int]) -> list[Number]:
            found = numbers()
            if not any(isinstance(x, Value) for x in operands):
                return [found[k] for k in wanted]
            return [
                self._node(
                    f"d {name}", found[k], partial(self._slopes_of_slope, [*path, k], found[k]), [*path, k], operands
                )
                for k in wanted
            ]

        def partials(out: Number, *operands: Number) -> list[Number]:
            return slopes(operands, range(len(operands)))

        expand = partial(self._expanded, path)
        node: Value = Value._record(
            Opaque(name, name, None, lambda *xs: number, partials, None, (), slopes, expand), *operands
        )
        return node

    # --- derivatives ---

    def _first_slopes(self, k: int) -> list[float]:
        return self._slopes(self.evaluate, k, len(self.results))[1]

    def _slopes(self, evaluate: Evaluate, k: int, count: int) -> tuple[float, list[float]]:
        """Return one of `count` numbers, and its derivatives with respect to the operands."""
        numbers, result = evaluate([float(j == k) for j in range(count)])
        of_leaves: dict[int, float] = {}
        for leaves, slopes in result.leaves:
            for leaf, number in zip(leaves, slopes.tolist()):
                of_leaves[id(leaf)] = of_leaves.get(id(leaf), 0.0) + number
        of_numbers = [result.gradients[place] for place, _ in self.places]
        own = [float(x if i is None else x[i]) for x, (_, i) in zip(of_numbers, self.places)]
        return numbers[k], own + [of_leaves.get(id(leaf), 0.0) for leaf in self.leaves]

    def _slopes_of_slope(self, path: list[int], number: float) -> list[float]:
        """Return the derivatives of a derivative: by a replay for the second order, by the graph beyond that.

        A replay gives the mean over the samples, and so no derivative with respect to the number of one sample.
        """
        if len(path) > 2 or any(i is not None for _, i in self.places):
            return numbers_of_gradient(self._root(path), self.graph[1])
        evaluate = self.evaluate_slopes(path[0], [place for place, _ in self.places], self.leaves)
        found, slopes = self._slopes(evaluate, path[1], len(self.places) + len(self.leaves))
        _check_unchanged(found, number)
        return slopes

    # --- the graph that a node stands for ---

    @CachedAttribute
    def graph(self) -> tuple[list[Value], list[Value]]:
        """The result as the function itself computes it, and the operands: leaves in place of the arguments' Values.

        Leaves of their own, as operands may depend on each other, or be one node: a derivative with respect to an
        operand is one while the others stay.
        """
        numbers = [np.array(x, dtype=object) if isinstance(x, np.ndarray) else x for x in self.numbers]
        operands = []
        for place, i in self.places:
            operands.append(Value(numbers[place] if i is None else numbers[place][i]))
            if i is None:
                numbers[place] = operands[-1]
            else:
                numbers[place][i] = operands[-1]
        with enable_grad():
            made = [x if isinstance(x, Value) else Value(x) for x in self.build(numbers)]
        for x, number in zip(made, self.results):
            _check_unchanged(x.data, number)
        return made, operands + self.leaves

    def _root(self, path: Sequence[int]) -> Value:
        roots, operands = self.graph
        if len(path) == 1:
            return roots[path[0]]
        before = tuple(path[:-1])
        if before not in self.derivatives:
            with enable_grad():
                self.derivatives[before] = gradient(self._root(before), operands)
        return self.derivatives[before][path[-1]]

    def _expanded(self, path: Sequence[int], operands: Sequence[Number]) -> Value:
        """Return the graph of the number at a path on other operands, which have the same numbers."""
        root = self._root(path)
        return with_operands(root, self.graph[1], operands)


def _check_unchanged(now: float, then: float) -> None:
    """Raise if the function gives another number now than it gave in the call that is differentiated once more."""
    if not math.isclose(now, then, rel_tol=1e-6, abs_tol=1e-9) and (now == now or then == then):
        raise CompileError(
            f"a derivative of higher order of a compiled function: the call gave {then}, and the function gives {now} "
            "now: something that it closes over, or a Value that it was given, has changed since; differentiate before "
            "it changes, or call the function again"
        )


def _values_in(numbers: Sequence[Any]) -> Any:
    """Yield the place of each Value, its sample (None for a Value that all samples share), and the Value."""
    for place, x in enumerate(numbers):
        if isinstance(x, Value):
            yield place, None, x
        elif isinstance(x, np.ndarray) and x.dtype == object:
            yield from ((place, i, item) for i, item in enumerate(x) if isinstance(item, Value))


def without_values(x: Any) -> Any:
    """Return a number, or numbers of samples in an array of their own, with floats in the place of Values."""
    if isinstance(x, Value):
        return x._data
    if isinstance(x, np.ndarray):
        return np.array([without_values(item) for item in x]) if x.dtype == object else np.array(x)
    return x
