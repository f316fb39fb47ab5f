"""Calls of a compiled function inside a graph: as nodes, whose numbers and first derivatives come from replays.

Inside a transform, or with Values among the arguments, a compiled function is an operation like any other: one node
for each number of its result, whose operands are the Values among the arguments and the leaves that the function closes
over. Derivatives of the second order come from recordings of the first derivatives where they can, and all others from
the function's own graph, which is built when they are first needed. Where no recording can serve a call, the function
itself is called, and becomes part of the graph.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Sequence
from dataclasses import replace
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
from .branches import Recording
from .recorder import ClosedOverResultError, CompileError
from .recordings import Recordings
from .signature import Arguments, read_arguments, without_values
from .states import Same


class Given:
    """The arguments of a call, and the Values among them.

    Args:
        recordings: the recordings of the function.
        args: the positional arguments.
        kwargs: the keyword arguments.

    Attributes:
        plain: the positional arguments as a replay may read them, with numbers in place of Values: copies, except for
            batches, as the caller may change its lists and arrays before a derivative is computed. None if they hold
            anything else than numbers, or there are keyword arguments.
        values: the Values, in order.
        places: for each, its place among the numbers of all arguments, and its sample (None outside of batches).
    """

    def __init__(self, recordings: Recordings, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.recordings, self.args, self.kwargs = recordings, args, kwargs
        self.values: list[Value] = []
        self.places: list[tuple[int, int | None]] = []
        self._count = 0  # of the numbers so far
        self.plain: tuple[Any, ...] | None = None
        if not kwargs and not tracing.current():
            with contextlib.suppress(_OtherThanNumbersError):
                self.plain = tuple(
                    [self._batch(x) if recordings.is_batch(k) else self._part(x) for k, x in enumerate(args)]
                )
        if self.plain is None:
            found = list(_values_in(_listed(self.arguments.numbers)))
            self.values, self.places = [x for _, _, x in found], [(place, i) for place, i, _ in found]

    @CachedAttribute
    def arguments(self) -> Arguments:
        """The arguments, taken apart."""
        return self.recordings.read(self.args, self.kwargs)

    def _part(self, x: Any) -> Any:
        if isinstance(x, float):
            self._count += 1
            return x
        if isinstance(x, Value):
            self.values.append(x)
            self.places.append((self._count, None))
            self._count += 1
            return x._data
        kind = type(x)
        if kind is list or kind is tuple:
            if set(map(type, x)) <= {float}:
                self._count += len(x)
                return kind(x)
            return kind([self._part(item) for item in x])
        if kind is dict:
            return {key: self._part(item) for key, item in x.items()}
        if kind is np.ndarray and x.dtype == object:
            items = x.ravel().tolist()
            if all(isinstance(item, (float, Value)) for item in items):
                return np.array([self._part(item) for item in items], dtype=np.float64).reshape(x.shape)
        elif kind is np.ndarray and x.dtype in (np.float64, np.int64):
            self._count += x.size if x.dtype == np.float64 else 0
            return x.copy()
        elif kind is int:
            return x
        raise _OtherThanNumbersError

    def _batch(self, x: Any) -> Any:
        if type(x) is not np.ndarray or x.dtype not in (np.float64, np.int64) or not x.ndim:
            raise _OtherThanNumbersError
        self._count += math.prod(x.shape[1:]) if x.dtype == np.float64 else 0
        return x


class _OtherThanNumbersError(Exception):
    """Arguments hold something that a replay cannot read."""


def result_as_nodes(given: Given) -> Any:
    """Return the result of a call as nodes of the graph that holds its arguments and the leaves it closes over."""
    recordings = given.recordings
    if not tracing.current():
        call = _Call(given)
        found = call.evaluated()
        if found is not None:
            return call.nodes(given.values, *found)
    numbers, structure = _mean_of_function(recordings, given.arguments)
    return structure.rebuild(numbers)


def rows_of_function(recordings: Recordings, arguments: Arguments) -> tuple[list[list[Any]], Structure]:
    """Return the numbers that the function itself computes for each sample (or the call), and their structure."""
    rows = []
    for i in range(arguments.samples or 1):
        numbers, integers = arguments.sample(i)
        args, kwargs = arguments.rebuild(_listed(numbers), integers)
        row, structure = flatten(recordings.function(*args, **kwargs), "compile: the result of the function")
        rows.append(row)
    return rows, structure


def _mean_of_function(recordings: Recordings, arguments: Arguments) -> tuple[list[Any], Structure]:
    """Return the result as the function itself computes it, flat: the mean (or sum) over the samples of a batch."""
    rows, structure = rows_of_function(recordings, arguments)
    if arguments.samples is None:
        return rows[0], structure
    reduce = mean if recordings.settings.divides else total
    return [reduce([row[k] for row in rows]) for k in range(structure.size)], structure


def _recordings_of_slopes(recordings: Recordings, k: int, places: Sequence[int], leaves: Sequence[Value]) -> Recordings:
    """Return the recordings of the derivatives of a number of the result.

    Args:
        recordings: those of the function.
        k: the position of the number in the flat result.
        places: the places of the numbers of the arguments to differentiate with respect to.
        leaves: the Values that the function closes over to differentiate with respect to.
    """
    f = recordings.function

    @functools.wraps(f)
    def slopes(*args: Any, **kwargs: Any) -> list[Any]:
        numbers = _listed(read_arguments([""] * len(args), args, kwargs, ()).numbers)
        outputs, _ = flatten(f(*args, **kwargs), "compile: the result of the function")
        inputs = [*(numbers[place] for place in places), *leaves]
        return gradient(outputs[k], inputs) if isinstance(outputs[k], Value) else [0.0] * len(inputs)

    return recordings.of_slopes((k, tuple(places), tuple(map(Same, leaves))), lambda: slopes)


class _Opaque(Operation):
    """The operation of a node that stands for a whole graph: for a number of the result of a call, or a derivative.

    Args:
        call: the call.
        name: the name of the node.
        number: its number.
        path: the position of a number of the result, and the positions of operands that it was differentiated with
            respect to.
    """

    call: _Call
    number: float
    path: tuple[int, ...]
    arity, definition, domain = None, None, ()

    def __init__(self, call: _Call, name: str, number: float, path: tuple[int, ...]) -> None:
        # The fields of a frozen dataclass: its own constructor takes 1 us more.
        vars(self).update(name=name, symbol=name, call=call, number=number, path=path)

    def value(self, *xs: float) -> float:
        """Return the number of the node, whose operands have the numbers of the call."""
        return self.number

    def partials(self, out: Number, *operands: Number) -> list[Number]:
        """Return the derivatives with respect to all operands."""
        return self.local_derivatives(out, operands, range(len(operands)))

    def local_derivatives(self, out: Number, operands: Sequence[Number], wanted: Sequence[int]) -> list[Number]:
        """Return the derivatives with respect to the wanted operands: nodes where operands are nodes."""
        call, path = self.call, self.path
        found = call.slopes_at(path, self.number)
        if not any(isinstance(x, Value) for x in operands):
            return [found[k] for k in wanted]
        return [call.node(f"d {self.name}", found[k], (*path, k), operands) for k in wanted]

    def expand(self, operands: Sequence[Number]) -> Value:
        """Build the graph on these operands, which have the same numbers, and return its root."""
        return self.call.expanded(self.path, operands)


class _Call:
    """One call of a compiled function on Values.

    Args:
        given: the arguments. Their Values are not kept: a reference to a Value counts as one from outside.
    """

    def __init__(self, given: Given) -> None:
        self.recordings, self.name, self.plain = given.recordings, given.recordings.name, given.plain
        self.places = given.places
        if self.plain is not None and self.recordings.settings.batched:
            self.plain = tuple([x.copy() if self.recordings.is_batch(k) else x for k, x in enumerate(self.plain)])
        if self.plain is None:
            arguments, numbers = given.arguments, _listed(given.arguments.numbers)
            numbers = list(map(_copied, map(without_values, numbers)))
            vars(self)["arguments"] = replace(
                arguments, numbers=numbers, integers=list(map(_copied, arguments.integers))
            )
        self.leaves: list[Value] = []
        self.results: Sequence[float] = ()
        #: The number of the result that was differentiated last, and its derivatives: a Hessian needs them often.
        self.last: tuple[int, list[float]] = -1, []
        #: The recordings of the derivatives of each number of the result.
        self.slopes_of: dict[int, Recordings] = {}
        #: The derivatives of a number of the graph, by its path: see `_Opaque`.
        self.derivatives: dict[tuple[int, ...], list[Value]] = {}

    @CachedAttribute
    def arguments(self) -> Arguments:
        """The arguments without Values, taken apart."""
        return self.recordings.read(self.plain or (), {})

    def evaluated(self) -> tuple[Sequence[Any], Structure] | None:
        """Evaluate the call by recordings; return None if the function itself is needed."""
        found = None if self.plain is None else self.recordings.replayed("values", self.plain)
        if found is not None:
            self.leaves = _leaves_of(found[1])
            return flatten(found[0], "the result")
        try:
            result = self.recordings.evaluate(self.arguments, None)
        except ClosedOverResultError:
            return None
        if not result.by_recordings:
            return None
        self.leaves = _leaves_of(list(result.served))
        return self.recordings.totals(result), result.structure

    def nodes(self, values: list[Value], results: Sequence[float], structure: Structure) -> Any:
        """Return the result with nodes as numbers, or with these numbers if the call depends on no Value."""
        operands = [*values, *self.leaves]
        if not operands:
            return structure.rebuild(results)
        self.results = results
        return structure.rebuild([self.node(self.name, x, (k,), operands) for k, x in enumerate(results)])

    def node(self, name: str, number: float, path: tuple[int, ...], operands: Sequence[Number]) -> Value:
        """Return a node with a number; see `_Opaque`."""
        node: Value = Value._record(_Opaque(self, name, number, path), *operands)
        return node

    # --- derivatives ---

    def slopes_at(self, path: tuple[int, ...], number: float) -> list[float]:
        """Return the derivatives of the number at a path: from recordings, or from the graph above the second order.

        A recording gives the mean over the samples, and so no second derivative with respect to the number of one
        sample. One whose first derivative is NaN may be so where eager evaluation meets no NaN.
        """
        k, *rest = path
        if not rest:
            if self.last[0] == k:
                return self.last[1]
            slopes = self._slopes(self.recordings, k, len(self.results))[1]
            if not self.leaves:  # whose numbers may change
                self.last = k, slopes
            return slopes
        if len(rest) == 1 and all(i is None for _, i in self.places):
            if k not in self.slopes_of:
                places = [place for place, _ in self.places]
                self.slopes_of[k] = _recordings_of_slopes(self.recordings, k, places, self.leaves)
            found, slopes = self._slopes(self.slopes_of[k], rest[0], len(self.places) + len(self.leaves))
            if found == found:
                _check_unchanged(found, number)
                return slopes
        return numbers_of_gradient(self._root(path), self.graph[1])

    def _slopes(self, recordings: Recordings, k: int, count: int) -> tuple[float, list[float]]:
        """Return one of `count` numbers of a result, and its derivatives with respect to the operands."""
        if self.plain is not None:
            seeds = None
            if count > 1:
                seeds = np.zeros(count)
                seeds[k] = 1.0
            found = recordings.replayed(partial(self._replayed, seeds), self.plain)
            if found is not None:
                slopes: tuple[float, list[float]] = found[0]
                return slopes
        result = recordings.evaluate(self.arguments, [float(j == k) for j in range(count)])
        of_numbers = [result.gradients[place] for place, _ in self.places]
        own = [float(x if i is None else x[i]) for x, (_, i) in zip(of_numbers, self.places)]
        return recordings.totals(result)[k], own + self._of_leaves(result.leaves)

    def _replayed(self, seeds: Vector | None, replay: Any, recordings: Sequence[Recording], args: Any) -> Any:
        """Do what `_slopes` does by a replay; return NotImplemented if it does not fit."""
        leaves = recordings[0].leaves if len(recordings) == 1 else [leaf for own in recordings for leaf in own.leaves]
        of_leaves = np.empty(len(leaves)) if leaves else None
        of_numbers = np.empty(len(recordings[0].program.numbers))
        number = replay.flat(args, None, of_leaves, None, seeds, of_numbers)
        if number is NotImplemented:
            return number
        own = (
            of_numbers.tolist() if len(of_numbers) == len(self.places) else [of_numbers.item(k) for k, _ in self.places]
        )
        if of_leaves is None:
            return number, own + [0.0] * len(self.leaves)
        if leaves is self.leaves:
            return number, own + of_leaves.tolist()
        return number, own + self._of_leaves([(leaves, of_leaves)])

    def _of_leaves(self, parts: list[tuple[Sequence[Value], Vector]]) -> list[float]:
        """Return the derivatives with respect to the leaves that are operands, given in parts."""
        found: dict[int, float] = {}
        for leaves, slopes in parts:
            for leaf, number in zip(leaves, slopes.tolist()):
                found[id(leaf)] = found.get(id(leaf), 0.0) + number
        return [found.get(id(leaf), 0.0) for leaf in self.leaves]

    # --- the graph that a node stands for ---

    @CachedAttribute
    def graph(self) -> tuple[list[Value], list[Value]]:
        """The result as the function itself computes it, and the operands: leaves in place of the arguments' Values.

        The Values themselves may depend on each other, or be one node twice. Leaves do not: a derivative with respect
        to an operand leaves the others as they are.
        """
        given = _listed(self.arguments.numbers)
        numbers: list[Any] = [np.array(x, dtype=object) if isinstance(x, np.ndarray) else x for x in given]
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

    def expanded(self, path: Sequence[int], operands: Sequence[Number]) -> Value:
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


def _leaves_of(recordings: Sequence[Recording]) -> list[Value]:
    """Return the Values that recordings read, each once."""
    if len(recordings) == 1:
        return recordings[0].leaves
    return list({id(leaf): leaf for own in recordings for leaf in own.leaves}.values())


def _listed(numbers: list[Any] | Vector) -> list[Any]:
    return numbers.tolist() if isinstance(numbers, np.ndarray) else numbers


def _copied(x: Any) -> Any:
    return np.array(x) if isinstance(x, np.ndarray) else x
