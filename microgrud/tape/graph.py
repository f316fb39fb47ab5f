"""A recording as arrays: its nodes numbered in topological order, each after its operands.

The code of a node is -1 for a leaf, and else the place of its operation among those that are `KNOWN` and the `others`.
An operand is the number of a node, or -1 minus its place among `numbers`. Where the engine in C runs, it makes the
arrays: it knows what its nodes are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..engine import Value, native, topological_order
from ..engine.operation import Operation
from ..engine.ops import TABLE
from .recorder import DETACH, TAKE, Guard, Recording

__all__ = ["KNOWN", "LINEAR", "Doubles", "Graph", "Ints", "as_doubles", "as_ints", "flatten", "leaves_made_inside"]

Ints: TypeAlias = npt.NDArray[np.int32]
Doubles: TypeAlias = npt.NDArray[np.float64]


def _by_interpreters(*numbers: float) -> Any:
    raise NotImplementedError("the interpreters know what a sum of products is")


#: A sum of plain terms and of products; see `Instruction`.
LINEAR = Operation("linear", "Σ", None, _by_interpreters, _by_interpreters, None, ())
#: Operations by their codes.
KNOWN: tuple[Operation, ...] = (*TABLE.values(), TAKE, DETACH, LINEAR)
_LEAF, _BY_HAND = -1, -2


def as_ints(numbers: bytes | Sequence[Any]) -> Ints:
    """Return an array of the numbers, or of what C has written."""
    return np.frombuffer(numbers, np.int32) if isinstance(numbers, bytes) else np.array(numbers, dtype=np.int32)


def as_doubles(numbers: bytes | Sequence[float]) -> Doubles:
    """Return an array of the numbers, or of what C has written."""
    return np.frombuffer(numbers, np.float64) if isinstance(numbers, bytes) else np.array(numbers, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Graph:
    """What a recording depends on.

    Attributes:
        recording: the recording.
        looks: its looks at numbers that are not integers of the arguments.
        leaves: the nodes without operands.
        others: operations beside those that are known.
        by_hand: the first node that was built by hand, if there is one.
        codes: of all nodes.
        starts: where the operands of each node begin, and at last how many there are.
        operands: of all nodes, one after the other.
        numbers: the operands that are no nodes.
        data: the number of each node.
        leaf_places: which nodes the leaves are.
        ends: the outputs, and then both sides of each look, as operands.
        ids: the id of each node; a node that two recordings share has the same id in both.
    """

    recording: Recording
    looks: list[Guard]
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


def flatten(recording: Recording) -> Graph:
    """Return all nodes that the outputs and the guards depend on."""
    looks = [guard for guard in recording.guards if not isinstance(guard.x, int)]
    looked_at = [x for guard in looks for x in (guard.x, guard.y)]
    ends = tuple([x if isinstance(x, Value) else float(x) for x in (*recording.outputs, *looked_at)])
    leaves, others, by_hand, codes, starts, operands, numbers, data, leaf_places, places, ids = _flattened(ends, KNOWN)
    return Graph(
        recording, looks, leaves, others, by_hand, as_ints(codes), as_ints(starts), as_ints(operands),
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
    """Return a node that is the result of an operation and was there before the recording; None if there is none.

    Two recordings that do the same have such nodes in common, and no others but leaves.
    """
    common = np.flatnonzero((first.ids == second.ids) & (first.codes != _LEAF))
    if not len(common):
        return None
    wanted = int(first.ids[common[-1]])
    ends = [x for x in first.recording.outputs if isinstance(x, Value)]
    ends += [x for guard in first.looks for x in (guard.x, guard.y) if isinstance(x, Value)]
    return next(node for node in topological_order(Value(0.0, ends)) if id(node) == wanted)


def leaves_made_inside(first: Graph, second: Graph) -> set[int] | None:
    """Return which leaves the function makes itself; None if two recordings of one call differ.

    A leaf that the function closes over is the same object in both. One that it makes is another in each, with the same
    number.
    """
    same = (
        first.recording.structure.shapes == second.recording.structure.shapes
        and list(map(_told, first.recording.guards)) == list(map(_told, second.recording.guards))
        and all(
            np.array_equal(getattr(first, name), getattr(second, name))
            for name in ("codes", "starts", "operands", "leaf_places", "ends")
        )
        and np.array_equal(first.numbers, second.numbers, equal_nan=True)
        and len(first.others) == len(second.others)
        and all(map(lambda x, y: x is y, first.others, second.others))
    )
    if not same:
        return None
    given, given_again = _given(first.recording), _given(second.recording)
    x, y = first.data[first.leaf_places], second.data[second.leaf_places]
    alike = (x == y) | ((x != x) & (y != y))
    made = set()
    for k, (leaf, twin) in enumerate(zip(first.leaves, second.leaves)):
        if leaf is twin:
            continue
        if given.get(id(leaf)) != given_again.get(id(twin)):
            return None
        if id(leaf) not in given:
            if not alike[k]:
                return None
            made.add(k)
    return made


def _told(guard: Guard) -> tuple[Any, ...]:
    looked_at = (guard.x, guard.y) if isinstance(guard.x, int) else ()
    return guard.symbol, guard.outcome, *looked_at


def _given(recording: Recording) -> dict[int, int]:
    return {id(x): k for k, x in enumerate((*recording.numbers, *recording.integers))}


_flattened = _flatten_in_python if native.engine is None else native.engine.flatten
