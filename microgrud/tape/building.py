"""From a recording in arrays to the instructions of its program, in three passes.

The first gives every node its slot: equal operations on equal operands share one, and what is made of constants alone
is a constant. The second, from the last step to the first, finds the slots whose bits a branch hangs on. The third
draws sums into sums. The engine in C has a twin of `assemble`, which gives the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..engine import ops
from .graph import KNOWN, Doubles, Ints
from .recorder import TAKE

__all__ = ["ROLES", "SLOT_OF_CONSTANT", "SLOT_OF_LEAF", "assemble"]

#: In place of the slot of an argument: the leaf is read anew at every call; it is a constant.
SLOT_OF_LEAF, SLOT_OF_CONSTANT = -1, -2

# What an operation is to those who build a program of it.
_ORDINARY, _IDENTITY, _MULTIPLY, _ADD, _DOT, _JUMP, _WHERE, _TAKE = range(8)
_ROLES = {
    ops.IDENTITY: _IDENTITY,
    ops.MULTIPLY: _MULTIPLY,
    ops.ADD: _ADD,
    ops.SUM: _ADD,
    ops.DOT: _DOT,
    ops.FLOOR: _JUMP,
    ops.CEIL: _JUMP,
    ops.ROUND: _JUMP,
    ops.TRUNC: _JUMP,
    ops.SIGN: _JUMP,
    ops.MODULO: _JUMP,
    ops.FLOOR_DIVIDE: _JUMP,
    ops.ROUND_DIGITS: _JUMP,
    ops.WHERE: _WHERE,
    TAKE: _TAKE,
}
#: By the codes of operations; others are ordinary.
ROLES = np.array([_ROLES.get(operation, _ORDINARY) for operation in KNOWN], dtype=np.int8)


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
        codes: those of a Graph; and so are the next four.
        starts: likewise.
        operands: likewise.
        numbers: likewise.
        data: likewise.
        leaf_slots: for each leaf the slot, if it is an argument; these are the first. Else one of the two above.
        ends: likewise of a Graph.
        roles: of the operations that have one, by their codes.
        outputs: how many of the ends are outputs; the others are looked at by guards.
        linear: the code of a sum of products.

    Returns:
        How many slots there are; those of the leaves; of the ends; those of constants, and the constants; and for the
        instructions their codes, the slots of their results, where the operands of each begin and at last how many
        there are, the operands, and how many plain terms each has.
    """
    slots = _Slots(
        codes.tolist(), starts.tolist(), operands.tolist(), numbers.tolist(), data.tolist(), leaf_slots.tolist(),
        ends.tolist(), roles.tolist(),
    )  # fmt: skip
    instructions = _fused(slots, outputs, linear)
    places = [place for _, _, own, _ in instructions for place in own]
    begins = [0]
    for _, _, own, _ in instructions:
        begins.append(begins[-1] + len(own))
    return (
        slots.count,
        slots.of_leaves,
        slots.of_ends,
        list(slots.constants.values()),
        slots.numbers,
        [code for code, _, _, _ in instructions],
        [out for _, out, _, _ in instructions],
        begins,
        places,
        [plain for _, _, _, plain in instructions],
    )


class _Slots:
    """The first pass: slots, and the steps that compute what is in them."""

    def __init__(
        self,
        codes: Sequence[int],
        starts: Sequence[int],
        operands: Sequence[int],
        given_numbers: Sequence[float],
        data: Sequence[float],
        leaf_slots: Sequence[int],
        ends: Sequence[int],
        roles: Sequence[int],
    ) -> None:
        self.count = sum(slot >= 0 for slot in leaf_slots)
        self.given_numbers, self.roles = given_numbers, roles
        self.of_nodes: list[int] = []
        self.of_leaves: list[int] = []
        self.constants: dict[Any, int] = {}  # their slots
        self.constant_slots: set[int] = set()
        self.numbers: list[float] = []  # in the order of the constants
        self.known: dict[tuple[int, tuple[int, ...]], int] = {}  # operations that were seen before
        self.steps: list[tuple[int, int, tuple[int, ...]]] = []  # code, slot, slots of operands
        leaves = iter(leaf_slots)
        for k, code in enumerate(codes):
            if code < 0:
                self.of_leaves.append(self.of_leaf(next(leaves), data[k]))
                self.of_nodes.append(self.of_leaves[-1])
            else:
                self.of_nodes.append(self.of_operation(code, operands[starts[k] : starts[k + 1]], data[k]))
        self.of_ends = [self.of_operand(x) for x in ends]

    def new(self) -> int:
        self.count += 1
        return self.count - 1

    def role(self, code: int) -> int:
        return self.roles[code] if code < len(self.roles) else _ORDINARY

    def of_constant(self, x: float) -> int:
        """Return the slot of a constant: one for each number, where 0.0 and -0.0 are two, and all NaN are one."""
        key = (x, math.copysign(1.0, x)) if x == x else "nan"
        if key not in self.constants:
            self.constants[key] = self.new()
            self.constant_slots.add(self.constants[key])
            self.numbers.append(x)
        return self.constants[key]

    def of_operand(self, operand: int) -> int:
        return self.of_nodes[operand] if operand >= 0 else self.of_constant(self.given_numbers[-1 - operand])

    def of_leaf(self, given: int, data: float) -> int:
        if given == SLOT_OF_LEAF:
            return self.new()
        return self.of_constant(data) if given == SLOT_OF_CONSTANT else given

    def of_operation(self, code: int, operands: Sequence[int], data: float) -> int:
        if self.role(code) == _IDENTITY:
            return self.of_operand(operands[0])
        places = tuple(map(self.of_operand, operands))
        if self.role(code) != _TAKE and all(map(self.constant_slots.__contains__, places)):
            return self.of_constant(data)
        key = (code, places)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self.new()
            self.steps.append((code, found, places))
        return found


_Joined: TypeAlias = "list[int] | tuple[_Joined, _Joined]"


@dataclass
class _Form:
    """A sum: slots of plain terms, and of the two factors of products.

    Each is a list, or a pair of what it was joined of: so that a long sum which grows at either end is not copied.
    """

    plain: _Joined
    xs: _Joined
    ys: _Joined
    has_drawn: bool = False  # others into it

    def join(self, other: _Form) -> None:
        """Add the terms of another at the end."""
        self.plain, self.xs, self.ys = (self.plain, other.plain), (self.xs, other.xs), (self.ys, other.ys)


def _in_order(joined: _Joined) -> list[int]:
    found: list[int] = []
    waiting = [joined]
    while waiting:
        part = waiting.pop()
        if isinstance(part, tuple):
            waiting.extend(reversed(part))
        else:
            found.extend(part)
    return found


def _fused(slots: _Slots, outputs: int, linear: int) -> list[tuple[int, int, Sequence[int], int]]:
    """Make one instruction of each sum of products, in the place of its last addition."""
    exact = _exact_slots(slots, outputs)
    uses = [0] * slots.count
    for _, _, operands in slots.steps:
        for slot in operands:
            uses[slot] += 1
    for slot in slots.of_ends:
        uses[slot] += 2  # a result that is asked for stays one
    forms: dict[int, _Form] = {}
    written: dict[int, tuple[int, tuple[int, ...]]] = {}
    for code, out, operands in slots.steps:
        form = None if out in exact else _form(slots.role(code), operands, forms, uses, written)
        if form is not None:
            forms[out] = form
        written[out] = code, operands
    instructions: list[tuple[int, int, Sequence[int], int]] = []
    for out, (code, operands) in written.items():
        form = forms.get(out)
        if form is None or _stays(slots.role(code), operands, form):
            instructions.append((code, out, operands, 0))
        else:
            plain = _in_order(form.plain)
            instructions.append((linear, out, (*plain, *_in_order(form.xs), *_in_order(form.ys)), len(plain)))
    return instructions


def _exact_slots(slots: _Slots, outputs: int) -> set[int]:
    """Return the slots that a branch or a jump hangs on: in another order, a sum might fall on the other side of it."""
    exact = set(slots.of_ends[outputs:])
    for code, out, operands in reversed(slots.steps):
        if out in exact or slots.role(code) == _JUMP:
            exact.update(operands)
        elif slots.role(code) == _WHERE:
            exact.add(operands[0])
    return exact


def _form(
    role: int,
    operands: tuple[int, ...],
    forms: dict[int, _Form],
    uses: list[int],
    written: dict[int, tuple[int, tuple[int, ...]]],
) -> _Form | None:
    """Return an operation as a sum of plain terms and products, into which operands used only here are drawn."""
    if role == _MULTIPLY:
        return _Form([], [operands[0]], [operands[1]])
    if role not in (_ADD, _DOT):
        return None
    plain = operands[:1] if role == _DOT else operands
    half = (len(operands) - len(plain)) // 2
    form = _Form([], [], [])
    own: list[int] = []  # terms that are not drawn in, since the last that was
    for slot in plain:
        if uses[slot] == 1 and slot in forms:
            form.join(_Form(own, [], []))
            form.join(forms.pop(slot))
            del written[slot]
            form.has_drawn, own = True, []
        else:
            own.append(slot)
    form.join(_Form(own, list(operands[len(plain) : len(plain) + half]), list(operands[len(plain) + half :])))
    return form


def _stays(role: int, operands: tuple[int, ...], form: _Form) -> bool:
    """Tell whether an operation is written as it is: a product, and a sum of two numbers that has drawn in neither."""
    return role == _MULTIPLY or (len(operands) == 2 and not form.has_drawn)
