"""A trace as arrays: its nodes numbered in topological order, each after its operands.

The code of a leaf is -1, and that of another node the place of its operation among the `KNOWN` ones and the `others`.
An operand is the number of a node, or -1 minus its place among `numbers`. Where the C engine runs, it makes the
arrays, as it can read its nodes fastest.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..engine import Value, native, topological_order
from ..engine.operation import Operation
from ..engine.ops import TABLE
from .recorder import DETACH, TAKE, Guard, Trace

Ints: TypeAlias = npt.NDArray[np.int32]
Doubles: TypeAlias = npt.NDArray[np.float64]


def _by_executors(*numbers: float) -> Any:
    raise NotImplementedError("executors compute sums of products themselves")


#: A sum of plain terms and of products; see `Instruction`.
LINEAR = Operation("linear", "Σ", None, _by_executors, _by_executors, None, ())
#: Operations by their codes.
KNOWN: tuple[Operation, ...] = (*TABLE.values(), TAKE, DETACH, LINEAR)
_LEAF, _BY_HAND = -1, -2


def as_ints(numbers: bytes | Sequence[Any]) -> Ints:
    """Return an array of the numbers, or of the bytes that C has written."""
    return np.frombuffer(numbers, np.int32) if isinstance(numbers, bytes) else np.array(numbers, dtype=np.int32)


def as_doubles(numbers: bytes | Sequence[float]) -> Doubles:
    """Return an array of the numbers, or of the bytes that C has written."""
    return np.frombuffer(numbers, np.float64) if isinstance(numbers, bytes) else np.array(numbers, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Graph:
    """All nodes that a trace depends on.

    Attributes:
        trace: the trace.
        comparisons: its guards but for those on integers of the arguments.
        leaves: the nodes without operands.
        others: the operations that are not `KNOWN`.
        by_hand: the first node that was built manually, if there is one.
        codes: the codes of all nodes.
        starts: where the operands of each node begin, and at last how many operands there are.
        operands: the operands of all nodes, one after another.
        numbers: the operands that are plain numbers.
        data: the number of each node.
        leaf_places: the places of the leaves among the nodes.
        ends: the outputs, and then both sides of each comparison, as operands.
        ids: the id of each node; a node that two traces share has the same id in both.
    """

    trace: Trace
    comparisons: list[Guard]
    leaves: list[Value]
    others: list[Operation]
    by_hand: Value | None
    codes: Ints
    starts: Ints
    operands: Ints
    numbers: Doubles
    data: Doubles
    leaf_places: Ints
    ends: Ints
    ids: npt.NDArray[np.uintp]


def flatten(trace: Trace) -> Graph:
    """Return all nodes that the outputs and the guards of a trace depend on."""
    comparisons = [guard for guard in trace.guards if not isinstance(guard.x, int)]
    compared = [x for guard in comparisons for x in (guard.x, guard.y)]
    ends = tuple([x if isinstance(x, Value) else float(x) for x in (*trace.outputs, *compared)])
    leaves, others, by_hand, codes, starts, operands, numbers, data, leaf_places, places, ids = _flattened(ends, KNOWN)
    return Graph(
        trace, comparisons, leaves, others, by_hand, as_ints(codes), as_ints(starts), as_ints(operands),
        as_doubles(numbers), as_doubles(data), as_ints(leaf_places), as_ints(places), np.frombuffer(ids, np.uintp),
    )  # fmt: skip


def _flatten_in_python(ends: tuple[Any, ...], known: tuple[Operation, ...]) -> tuple[Any, ...]:
    """Return the fields of a Graph from `leaves` on."""
    order = topological_order(Value(0.0, [x for x in ends if isinstance(x, Value)]))[:-1]
    places: dict[Value, int] = {}
    code_of = {operation: k for k, operation in enumerate(known)}
    leaves: list[Value] = []
    leaf_places: list[int] = []
    by_hand: Value | None = None
    codes: list[int] = []
    starts = [0]
    operands: list[int] = []
    numbers: list[float] = []

    def place(x: Any) -> int:
        if isinstance(x, Value):
            return places[x]
        numbers.append(x)
        return -len(numbers)

    for k, node in enumerate(order):
        own, operation = node._operands, node._operation
        if not own:
            leaves.append(node)
            leaf_places.append(k)
            codes.append(_LEAF)
        elif isinstance(operation, str) or node._closure is not None:
            by_hand = node if by_hand is None else by_hand
            codes.append(_BY_HAND)
        else:
            codes.append(code_of.setdefault(operation, len(code_of)))
        operands.extend(map(place, own))
        starts.append(len(operands))
        places[node] = k
    data = [node._data for node in order]
    others = list(code_of)[len(known) :]
    ids = np.array([id(node) for node in order], dtype=np.uintp).tobytes()
    return leaves, others, by_hand, codes, starts, operands, numbers, data, leaf_places, [place(x) for x in ends], ids


def result_from_outside(first: Graph, second: Graph) -> Value | None:
    """Return a node that is the result of an operation from before the recording; None if there is none.

    Two traces of one call have such nodes in common, and leaves, and no others.
    """
    common = np.flatnonzero((first.ids == second.ids) & (first.codes != _LEAF))
    if not len(common):
        return None
    wanted = int(first.ids[common[-1]])
    ends = [x for x in first.trace.outputs if isinstance(x, Value)]
    ends += [x for guard in first.comparisons for x in (guard.x, guard.y) if isinstance(x, Value)]
    return next(node for node in topological_order(Value(0.0, ends)) if id(node) == wanted)


def leaves_made_inside(first: Graph, second: Graph) -> set[int] | None:
    """Return which leaves the function makes itself; None if two traces of one call differ.

    A leaf that the function closes over is the same object in both traces. A leaf that it makes is a new object in
    each, with the same number.
    """
    equal = (
        first.trace.structure.shapes == second.trace.structure.shapes
        and list(map(_outcome_of, first.trace.guards)) == list(map(_outcome_of, second.trace.guards))
        and all(
            np.array_equal(getattr(first, name), getattr(second, name))
            for name in ("codes", "starts", "operands", "leaf_places", "ends")
        )
        and np.array_equal(first.numbers, second.numbers, equal_nan=True)
        and len(first.others) == len(second.others)
        and all(map(operator.is_, first.others, second.others))
    )
    if not equal:
        return None
    inputs, inputs_again = _input_places(first.trace), _input_places(second.trace)
    x, y = first.data[first.leaf_places], second.data[second.leaf_places]
    same_number = (x == y) | ((x != x) & (y != y))
    made = set()
    for k, (leaf, twin) in enumerate(zip(first.leaves, second.leaves)):
        if leaf is twin:
            continue
        if inputs.get(id(leaf)) != inputs_again.get(id(twin)):
            return None
        if id(leaf) not in inputs:
            if not same_number[k]:
                return None
            made.add(k)
    return made


def _outcome_of(guard: Guard) -> tuple[Any, ...]:
    return guard.symbol, guard.outcome, *((guard.x, guard.y) if isinstance(guard.x, int) else ())


def _input_places(trace: Trace) -> dict[int, int]:
    return {id(x): k for k, x in enumerate((*trace.numbers, *trace.integers))}


_flattened = _flatten_in_python if native.engine is None else native.engine.flatten
