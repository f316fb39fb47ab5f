"""Calls of a compiled function inside a graph: as nodes, whose numbers and first derivatives come from replays.

Inside a transform, or with Values among the arguments, a compiled function is an operation like any other: one node
for each number of its result, whose operands are the Values among the arguments and the leaves that the function closes
over. Derivatives of the second order come from recordings of the first derivatives where they can, and all others from
the function's own graph, which is built when they are first needed. Where no recording can serve a call, the function
itself is called, and becomes part of the graph.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ..autodiff.gradients import gradient, numbers_of_gradient
from ..autodiff.trees import Structure, flatten
from ..common.forking import CachedAttribute
from ..common.numbers import Number
from ..engine import Value, tracing
from ..engine.copying import with_operands
from ..engine.grad_mode import enable_grad
from ..engine.operation import Operation
from ..engine.vectors import Vector
from ..functions import mean, sum as total
from .evaluation import Evaluation
from .recorder import ClosedOverResultError, CompileError
from .recordings import MOST_SIGNATURES, Recordings
from .signature import Arguments, read_arguments, without_values
from .states import Same


def result_as_nodes(recordings: Recordings, arguments: Arguments) -> Any:
    """Return the result of a call as nodes of the graph that holds its arguments and the leaves it closes over."""
    result = None if tracing.current() else _recorded_result(recordings, arguments)
    if result is None:
        numbers, structure = _mean_of_function(recordings, arguments)
        return structure.rebuild(numbers)
    call = _Call(recordings, arguments, [leaf for recording in result.served for leaf in recording.leaves])
    return result.structure.rebuild(call.nodes(_listed(arguments.numbers), recordings.totals(result)))


def rows_of_function(recordings: Recordings, arguments: Arguments) -> tuple[list[list[Any]], Structure]:
    """Return the numbers that the function itself computes for each sample (or the call), and their structure."""
    rows = []
    for i in range(arguments.samples or 1):
        numbers, integers = arguments.sample(i)
        args, kwargs = arguments.rebuild(_listed(numbers), integers)
        row, structure = flatten(recordings.function(*args, **kwargs), "compile: the result of the function")
        rows.append(row)
    return rows, structure


def _recorded_result(recordings: Recordings, arguments: Arguments) -> Evaluation | None:
    """Evaluate a call by recordings; return None if the function itself is needed."""
    try:
        result = recordings.evaluate(arguments, None)
    except ClosedOverResultError:
        return None
    return result if result.by_recordings else None


def _mean_of_function(recordings: Recordings, arguments: Arguments) -> tuple[list[Any], Structure]:
    """Return the result as the function itself computes it, flat: the mean (or sum) over the samples of a batch."""
    rows, structure = rows_of_function(recordings, arguments)
    if arguments.samples is None:
        return rows[0], structure
    reduce = mean if recordings.settings.reduction == "mean" else total
    return [reduce([row[k] for row in rows]) for k in range(structure.size)], structure


def _recordings_of_slopes(recordings: Recordings, k: int, places: Sequence[int], leaves: Sequence[Value]) -> Recordings:
    """Return the recordings of the derivatives of a number of the result.

    Args:
        recordings: those of the function.
        k: the position of the number in the flat result.
        places: the places of the numbers of the arguments to differentiate with respect to.
        leaves: the Values that the function closes over to differentiate with respect to.
    """
    f, known = recordings.function, recordings.slopes

    @functools.wraps(f)
    def slopes(*args: Any, **kwargs: Any) -> list[Any]:
        numbers = _listed(read_arguments([""] * len(args), args, kwargs, ()).numbers)
        outputs, _ = flatten(f(*args, **kwargs), "compile: the result of the function")
        inputs = [*(numbers[place] for place in places), *leaves]
        return gradient(outputs[k], inputs) if isinstance(outputs[k], Value) else [0.0] * len(inputs)

    key = k, tuple(places), tuple(map(Same, leaves))
    with recordings.lock:
        if key not in known:
            while len(known) >= MOST_SIGNATURES:
                del known[next(iter(known))]
            known[key] = Recordings(slopes, recordings.settings, recordings.names)
        return known[key]


@dataclass(frozen=True, eq=False)
class _Opaque(Operation):
    """The operation of a node that stands for a whole graph.

    Attributes:
        slopes: given the operands and positions among them, returns the derivatives with respect to the operands at
            these positions: floats where the operands are floats, else nodes.
        expand: builds the graph on these operands, and returns its root.
    """

    slopes: Callable[[Sequence[Number], Sequence[int]], list[Number]]
    expand: Callable[[Sequence[Number]], Value]

    def local_derivatives(self, out: Number, operands: Sequence[Number], wanted: Sequence[int]) -> list[Number]:
        """Return the derivatives with respect to the wanted operands: nodes where operands are nodes."""
        return self.slopes(operands, wanted)


class _Call:
    """One call of a compiled function on Values.

    Args:
        recordings: those of the function.
        arguments: the arguments of the call.
        leaves: the Values that the function closes over.
    """

    def __init__(self, recordings: Recordings, arguments: Arguments, leaves: Sequence[Value]) -> None:
        self.recordings, self.name = recordings, recordings.name
        # Copies of all numbers, as the caller may change its arrays before a derivative is computed.
        self.numbers = list(map(_copied, map(without_values, _listed(arguments.numbers))))
        integers = list(map(_copied, arguments.integers))
        self.arguments = replace(arguments, numbers=self.numbers, integers=integers)
        self.places = [(place, i) for place, i, _ in _values_in(_listed(arguments.numbers))]
        self.leaves = list({id(leaf): leaf for leaf in leaves}.values())
        self.results: Sequence[float] = ()
        #: The derivatives of a number of the graph, by its path: see `_node`.
        self.derivatives: dict[tuple[int, ...], list[Value]] = {}

    def nodes(self, numbers: Sequence[Any], results: Sequence[float]) -> list[Number]:
        """Return the numbers of the result as nodes, or as they are if the call depends on no Value."""
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
            path: the position of a number of the result, and the positions of operands that it was differentiated with
                respect to.
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
            _Opaque(name, name, None, lambda *xs: number, partials, None, (), slopes, expand), *operands
        )
        return node

    # --- derivatives ---

    def _first_slopes(self, k: int) -> list[float]:
        return self._slopes(self.recordings, k, len(self.results))[1]

    def _slopes(self, recordings: Recordings, k: int, count: int) -> tuple[float, list[float]]:
        """Return one of `count` numbers of a result, and its derivatives with respect to the operands."""
        result = recordings.evaluate(self.arguments, [float(j == k) for j in range(count)])
        of_leaves: dict[int, float] = {}
        for leaves, slopes in result.leaves:
            for leaf, number in zip(leaves, slopes.tolist()):
                of_leaves[id(leaf)] = of_leaves.get(id(leaf), 0.0) + number
        of_numbers = [result.gradients[place] for place, _ in self.places]
        own = [float(x if i is None else x[i]) for x, (_, i) in zip(of_numbers, self.places)]
        return recordings.totals(result)[k], own + [of_leaves.get(id(leaf), 0.0) for leaf in self.leaves]

    def _slopes_of_slope(self, path: list[int], number: float) -> list[float]:
        """Return the derivatives of a derivative: from recordings for the second order, from the graph for higher ones.

        A recording gives the mean over the samples, and so no derivative with respect to the number of one sample.
        """
        if len(path) > 2 or any(i is not None for _, i in self.places):
            return numbers_of_gradient(self._root(path), self.graph[1])
        places = [place for place, _ in self.places]
        recordings = _recordings_of_slopes(self.recordings, path[0], places, self.leaves)
        found, slopes = self._slopes(recordings, path[1], len(self.places) + len(self.leaves))
        _check_unchanged(found, number)
        return slopes

    # --- the graph that a node stands for ---

    @CachedAttribute
    def graph(self) -> tuple[list[Value], list[Value]]:
        """The result as the function itself computes it, and the operands: leaves in place of the arguments' Values.

        The Values themselves may depend on each other, or be one node twice. Leaves do not: a derivative with respect
        to an operand leaves the others as they are.
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
            found, _ = _mean_of_function(self.recordings, replace(self.arguments, numbers=numbers))
            made = [x if isinstance(x, Value) else Value(x) for x in found]
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
    """Raise if the function gives another number now than in the call that is being differentiated."""
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


def _listed(numbers: list[Any] | Vector) -> list[Any]:
    return numbers.tolist() if isinstance(numbers, np.ndarray) else numbers


def _copied(x: Any) -> Any:
    return np.array(x) if isinstance(x, np.ndarray) else x
