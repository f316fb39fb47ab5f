"""Build the instructions of a program from a graph in arrays, in Python; the C engine has a twin.

The first pass gives every node its slot: equal operations on equal operands share one, and an operation on constants is
a constant. The second pass, from the last step to the first, finds the slots whose exact bits decide a branch. The
third pass merges a sum into the sum that alone uses it.

The evaluation in NumPy could do without the last two. They are here because a program is also seen: `listing`, `draw`,
`stats` and pickles of a compiled function do not depend on the engine.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine import ops
from .graph import KNOWN, Doubles, Ints
from .recorder import TAKE

#: In place of the slot of an argument: the leaf is read at every call; the leaf is a constant.
SLOT_OF_LEAF, SLOT_OF_CONSTANT = -1, -2

# The role of an operation in a program. Keep in step with the enum in _native/src/builder/building.c.
_ORDINARY, _IDENTITY, _MULTIPLY, _ADD, _DOT, _JUMP, _WHERE, _TAKE = range(8)
_JUMPS = (ops.FLOOR, ops.CEIL, ops.ROUND, ops.TRUNC, ops.SIGN, ops.MODULO, ops.FLOOR_DIVIDE, ops.ROUND_DIGITS)
_ROLES = {
    ops.IDENTITY: _IDENTITY,
    ops.MULTIPLY: _MULTIPLY,
    ops.ADD: _ADD,
    ops.SUM: _ADD,
    ops.DOT: _DOT,
    ops.WHERE: _WHERE,
    TAKE: _TAKE,
    **dict.fromkeys(_JUMPS, _JUMP),
}
#: The roles by the codes of operations; operations that are not `KNOWN` are ordinary.
ROLES = np.array([_ROLES.get(operation, _ORDINARY) for operation in KNOWN], dtype=np.int8)

#: An operation in slots: its role and code, the slot of the result, and the slots of the operands.
_Step = tuple[int, int, int, tuple[int, ...]]


def assemble(
    codes: Ints,
    starts: Ints,
    operands: Ints,
    numbers: Doubles,
    data: Doubles,
    leaf_slots: Ints,
    ends: Ints,
    roles: Any,
    outputs: int,
    linear: int,
) -> tuple[Any, ...]:
    """Build the instructions of a program.

    Args:
        codes: the codes of a Graph.
        starts: its starts.
        operands: its operands.
        numbers: its numbers.
        data: its data.
        leaf_slots: for each leaf its slot, if it is an argument (arguments have the first slots); else SLOT_OF_LEAF or
            SLOT_OF_CONSTANT.
        ends: its ends.
        roles: the roles of operations by their codes.
        outputs: how many of the ends are outputs; the others are compared by guards.
        linear: the code of a sum of products.

    Returns:
        The number of slots; the slots of the leaves; the slots of the ends; the slots of the constants, and the
        constants; and for the instructions their codes, the slots of their results, where the operands of each begin
        (and at last how many there are), the operands, and how many plain terms each has.
    """
    steps, count, of_leaves, of_ends, constants = _numbered(
        codes.tolist(), starts.tolist(), operands.tolist(), numbers.tolist(), data.tolist(), leaf_slots.tolist(),
        ends.tolist(), roles.tolist(),
    )  # fmt: skip
    instructions = _fused(steps, of_ends, outputs, linear)
    begins = np.cumsum([0, *(len(own) for _, _, own, _ in instructions)]).tolist()
    return (
        count,
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
    codes: Any, starts: Any, operands: Any, numbers: Any, data: Any, leaf_slots: Any, ends: Any, roles: Any
) -> tuple[list[_Step], int, list[int], list[int], dict[int, float]]:
    """Return the steps, the number of slots, the slots of leaves and of ends, and the constants by their slots."""
    count: int = sum(slot >= 0 for slot in leaf_slots)
    of_nodes: list[int] = []
    of_leaves: list[int] = []
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
        return of_nodes[operand] if operand >= 0 else of_constant(numbers[-1 - operand])

    def of_operation(code: int, own: Sequence[int], number: float) -> int:
        role = roles[code] if code < len(roles) else _ORDINARY
        if role == _IDENTITY:
            return of_operand(own[0])
        slots = tuple(map(of_operand, own))
        if role != _TAKE and all(map(constants.__contains__, slots)):
            return of_constant(number)
        if (code, slots) not in known:
            known[code, slots] = new()
            steps.append((role, code, known[code, slots], slots))
        return known[code, slots]

    given = iter(leaf_slots)
    for k, code in enumerate(codes):
        if code < 0:
            slot = next(given)
            own = new() if slot == SLOT_OF_LEAF else of_constant(data[k]) if slot == SLOT_OF_CONSTANT else slot
            of_leaves.append(own)
        else:
            own = of_operation(code, operands[starts[k] : starts[k + 1]], data[k])
        of_nodes.append(own)
    of_ends = list(map(of_operand, ends))
    return steps, count, of_leaves, of_ends, constants


def _fused(
    steps: Sequence[_Step], ends: Sequence[int], outputs: int, linear: int
) -> list[tuple[int, int, Sequence[int], int]]:
    """Make one instruction of each sum of products, at the place of its last addition."""
    exact = _exact_slots(steps, ends[outputs:])
    uses = Counter([slot for _, _, _, operands in steps for slot in operands])
    uses.update([*ends, *ends])  # a result that is an end is not merged into another
    sums = {out: (role, own) for role, _, out, own in steps if role in (_MULTIPLY, _ADD, _DOT) and out not in exact}
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
        if out not in sums or role == _MULTIPLY or (len(operands) == 2 and merged.isdisjoint(operands)):
            instructions.append((code, out, operands, 0))
        else:
            plain, xs, ys = _terms(out, sums, merged)
            instructions.append((linear, out, (*plain, *xs, *ys), len(plain)))
    return instructions


def _exact_slots(steps: Sequence[_Step], compared: Sequence[int]) -> set[int]:
    """Return the slots that a guard or a jump depends on: a sum in another order might fall on the other side of it."""
    exact = set(compared)
    for role, _, out, operands in reversed(steps):
        if out in exact or role == _JUMP:
            exact.update(operands)
        elif role == _WHERE:
            exact.add(operands[0])
    return exact


def _plain_terms(role: int, operands: tuple[int, ...]) -> tuple[int, ...]:
    """Return the terms of an operation that are not products: all of a sum, the first of a dot product."""
    return operands if role == _ADD else operands[:1] if role == _DOT else ()


def _terms(
    root: int, sums: dict[int, tuple[int, tuple[int, ...]]], merged: set[int]
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
