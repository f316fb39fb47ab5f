"""Build the instructions of a program from two recordings of one call, in Python; the C engine has a twin.

The two graphs are compared first: a leaf that both have is one that the function closes over; a leaf that it makes is
another object in each. The first pass then gives every node its slot: equal operations on equal operands share one, and
an operation on constants is a constant. The second pass, from the last step to the first, finds the slots whose exact
bits decide a branch. The third pass merges a sum into the sum that alone uses it.

The evaluation in NumPy could do without the last two. They are here because a program is also seen: `listing`, `draw`,
`stats` and pickles of a compiled function do not depend on the engine.
"""

from __future__ import annotations

import functools
import math
import operator
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ..engine import Value, native, ops, topological_order
from ..engine.operation import Operation
from .recorder import DETACH, TAKE

Ints: TypeAlias = npt.NDArray[np.int32]
Doubles: TypeAlias = npt.NDArray[np.float64]


def _by_executors(*numbers: float) -> Any:
    raise NotImplementedError("executors compute sums of products themselves")


#: A sum of plain terms and of products; see `Instruction`.
LINEAR = Operation("linear", "Σ", None, _by_executors, _by_executors, None, ())
#: Operations by their codes; the last is that of a sum of products.
KNOWN: tuple[Operation, ...] = (*ops.TABLE.values(), TAKE, DETACH, LINEAR)

_JUMPS = (
    ops.FLOOR, ops.CEIL, ops.ROUND, ops.TRUNC, ops.SIGN, ops.MODULO, ops.FLOOR_DIVIDE, ops.ROUND_DIGITS,
    ops.LESS, ops.AT_MOST, ops.EQUAL, ops.UNEQUAL,
)  # fmt: skip
_ROLES = {
    ops.IDENTITY: "identity",
    ops.MULTIPLY: "multiply",
    ops.ADD: "add",
    ops.SUM: "add",
    ops.DOT: "dot",
    ops.WHERE: "where",
    TAKE: "take",
    **dict.fromkeys(_JUMPS, "jump"),
}
#: The roles of operations by their codes; operations that are not `KNOWN` are ordinary.
ROLES = [_ROLES.get(operation, "ordinary") for operation in KNOWN]

#: In place of the code of an operation: a leaf, and a node that was built manually.
_LEAF, _BY_HAND = -1, -2

#: An operation in slots: its role and code, the slot of the result, and the slots of the operands.
_Step = tuple[str, int, int, tuple[int, ...]]


def as_ints(numbers: bytes | Sequence[Any] | Ints) -> Ints:
    """Return an array of the numbers, or of the bytes that C has written."""
    return np.frombuffer(numbers, np.int32) if isinstance(numbers, bytes) else np.array(numbers, dtype=np.int32)


def as_doubles(numbers: bytes | Sequence[float]) -> Doubles:
    """Return an array of the numbers, or of the bytes that C has written."""
    return np.frombuffer(numbers, np.float64) if isinstance(numbers, bytes) else np.array(numbers, dtype=np.float64)


def assemble(
    ends: tuple[Value | float, ...],
    inputs: tuple[Value, ...],
    ends_again: tuple[Value | float, ...],
    inputs_again: tuple[Value, ...],
    outputs: int,
) -> tuple[Any, ...] | None:
    """Build the instructions of a program.

    Args:
        ends: the outputs of the call, and then both sides of each comparison.
        inputs: a Value for each number and each integer of the arguments.
        ends_again: the ends of the second recording.
        inputs_again: its inputs.
        outputs: how many of the ends are outputs.

    Returns:
        None if the two recordings differ. Otherwise a node that is the result of an operation from before the
        recording, or None; a node that was built manually, or None; the operations that are not `KNOWN`; the leaves
        that the function closes over; the number of nodes; and, if there are no such nodes, a tuple: the number of
        slots; the slots of the inputs, -1 for one that is not used; those of the leaves; those of the ends; those of
        the constants, and the constants; and for the instructions their codes, the slots of their results, where the
        operands of each begin (and at last how many there are), the operands, and how many plain terms each has.
    """
    graph, again = _graph_of(ends, inputs), _graph_of(ends_again, inputs_again)
    if not _agree(graph, again):
        return None
    common = [x is y for x, y in zip(graph.order, again.order)]
    results = [x for x, code, both in zip(graph.order, graph.codes, common) if both and code != _LEAF]
    manual = [x for x, code in zip(graph.order, graph.codes) if code == _BY_HAND]
    leaves = [x for x, code, both in zip(graph.order, graph.codes, common) if both and code == _LEAF]
    program = None if results or manual else _instructions(graph, common, outputs)
    outside, by_hand = results[-1] if results else None, manual[0] if manual else None
    return outside, by_hand, graph.others, leaves, len(graph.order), program


class _Graph(NamedTuple):
    """All nodes that the ends of a recording depend on, in topological order.

    An operand is the place of a node, or -1 minus its place among `numbers`.
    """

    order: list[Value]
    codes: list[int]
    operands: list[tuple[int, ...]]
    ends: list[int]
    inputs: list[int]
    numbers: list[float]
    others: list[Operation]


def _graph_of(ends: tuple[Any, ...], inputs: tuple[Value, ...]) -> _Graph:
    order = topological_order(Value(0.0, [x for x in ends if isinstance(x, Value)]))[:-1]
    places = {node: k for k, node in enumerate(order)}
    code_of = {operation: k for k, operation in enumerate(KNOWN)}
    numbers: list[float] = []

    def place(x: Any) -> int:
        if isinstance(x, Value):
            return places[x]
        numbers.append(x)
        return -len(numbers)

    def code(node: Value) -> int:
        if not node._operands:
            return _LEAF
        if isinstance(node._operation, str) or node._closure is not None:
            return _BY_HAND
        return code_of.setdefault(node._operation, len(code_of))

    codes = list(map(code, order))
    operands = [tuple(map(place, node._operands)) for node in order]
    of_inputs = [places.get(x, -1) for x in inputs]
    return _Graph(order, codes, operands, list(map(place, ends)), of_inputs, numbers, list(code_of)[len(KNOWN) :])


def _agree(graph: _Graph, again: _Graph) -> bool:
    """Return whether two graphs have the same structure, and the same numbers in their leaves."""

    def numbers(own: _Graph) -> list[float]:
        return own.numbers + [node._data for node, code in zip(own.order, own.codes) if code == _LEAF]

    return (
        graph[1:5] == again[1:5]
        and np.array_equal(numbers(graph), numbers(again), equal_nan=True)
        and len(graph.others) == len(again.others)
        and all(map(operator.is_, graph.others, again.others))
    )


def _instructions(graph: _Graph, closed_over: Sequence[bool], outputs: int) -> tuple[Any, ...]:
    steps, count, of_inputs, of_leaves, of_ends, constants = _numbered(graph, closed_over)
    instructions = _fused(steps, of_ends, outputs)
    begins = np.cumsum([0, *(len(own) for _, _, own, _ in instructions)]).tolist()
    return (
        count,
        of_inputs,
        of_leaves,
        of_ends,
        list(constants),
        list(constants.values()),
        [code for code, _, _, _ in instructions],
        [out for _, out, _, _ in instructions],
        begins,
        [slot for _, _, own, _ in instructions for slot in own],
        [plain for _, _, _, plain in instructions],
    )


def _numbered(
    graph: _Graph, closed_over: Sequence[bool]
) -> tuple[list[_Step], int, list[int], list[int], list[int], dict[int, float]]:
    """Return the steps, the number of slots, the slots of inputs, leaves and ends, and the constants by their slots."""
    count = 0
    constants: dict[int, float] = {}
    known: dict[Any, int] = {}  # slots of constants by their bits, and of operations by their code and operands
    steps: list[_Step] = []

    def new() -> int:
        nonlocal count
        count += 1
        return count - 1

    def of_constant(x: float) -> int:
        """Return the slot of a constant: one for each number; 0.0 and -0.0 have two, and all NaN have one."""
        key = (x, math.copysign(1.0, x)) if x == x else "nan"
        if key not in known:
            known[key] = new()
            constants[known[key]] = x
        return known[key]

    def of_operand(operand: int) -> int:
        return of_nodes[operand] if operand >= 0 else of_constant(graph.numbers[-1 - operand])

    def of_operation(code: int, own: Sequence[int], number: float) -> int:
        role = ROLES[code] if code < len(ROLES) else "ordinary"
        if role == "identity":
            return of_operand(own[0])
        slots = tuple(map(of_operand, own))
        if role != "take" and all(map(constants.__contains__, slots)):
            return of_constant(number)
        if (code, slots) not in known:
            known[code, slots] = new()
            steps.append((role, code, known[code, slots], slots))
        return known[code, slots]

    of_nodes: dict[int, int] = {}
    of_inputs = [new() if node >= 0 else -1 for node in graph.inputs]
    of_nodes.update(zip(graph.inputs, of_inputs))
    for k, (node, code, operands) in enumerate(zip(graph.order, graph.codes, graph.operands)):
        if k in of_nodes:
            continue
        if code != _LEAF:
            of_nodes[k] = of_operation(code, operands, node._data)
        else:
            of_nodes[k] = new() if closed_over[k] else of_constant(node._data)
    of_leaves = [of_nodes[k] for k, code in enumerate(graph.codes) if code == _LEAF and closed_over[k]]
    of_ends = list(map(of_operand, graph.ends))
    return steps, count, of_inputs, of_leaves, of_ends, constants


def _fused(steps: Sequence[_Step], ends: Sequence[int], outputs: int) -> list[tuple[int, int, Sequence[int], int]]:
    """Make one instruction of each sum of products, at the place of its last addition."""
    exact = _exact_slots(steps, ends[outputs:])
    uses = Counter([slot for _, _, _, operands in steps for slot in operands])
    uses.update([*ends, *ends])  # a result that is an end is not merged into another
    sums = {out: (role, own) for role, _, out, own in steps if role in ("multiply", "add", "dot") and out not in exact}
    merged = {
        slot
        for role, operands in sums.values()
        for slot in _plain_terms(role, operands)
        if uses[slot] == 1 and slot in sums
    }
    instructions: list[tuple[int, int, Sequence[int], int]] = []
    for role, code, out, operands in steps:
        if out in merged:
            continue
        if out not in sums or role == "multiply" or (len(operands) == 2 and merged.isdisjoint(operands)):
            instructions.append((code, out, operands, 0))
        else:
            plain, xs, ys = _terms(out, sums, merged)
            instructions.append((len(KNOWN) - 1, out, (*plain, *xs, *ys), len(plain)))
    return instructions


def _exact_slots(steps: Sequence[_Step], compared: Sequence[int]) -> set[int]:
    """Return the slots that a guard or a jump depends on: a sum in another order might fall on the other side of it."""
    exact = set(compared)
    for role, _, out, operands in reversed(steps):
        if out in exact or role == "jump":
            exact.update(operands)
        elif role == "where":
            exact.add(operands[0])
    return exact


def _plain_terms(role: str, operands: tuple[int, ...]) -> tuple[int, ...]:
    """Return the terms of an operation that are not products: all of a sum, the first of a dot product."""
    return operands if role == "add" else operands[:1] if role == "dot" else ()


def _terms(
    root: int, sums: dict[int, tuple[str, tuple[int, ...]]], merged: set[int]
) -> tuple[list[int], list[int], list[int]]:
    """Return the plain terms of a sum and the factors of its products, those of the sums merged into it included."""
    plain: list[int] = []
    xs: list[int] = []
    ys: list[int] = []
    waiting: list[Any] = [root]
    while waiting:
        part = waiting.pop()
        if isinstance(part, tuple):  # the factors of products
            half = len(part) // 2
            xs += part[:half]
            ys += part[half:]
        elif part == root or part in merged:
            role, operands = sums[part]
            own = _plain_terms(role, operands)
            waiting += [operands[len(own) :], *reversed(own)]
        else:
            plain.append(part)
    return plain, xs, ys


#: Does what `assemble` does, in C if it can.
build_instructions: Any = assemble
if native.engine is not None:
    _roles = bytes(map(native.engine.ROLES.index, ROLES))
    build_instructions = functools.partial(native.engine.build, KNOWN, _roles)
