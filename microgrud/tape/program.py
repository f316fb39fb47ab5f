"""The program of a recording: its operations in order, over numbered slots, with what is superfluous left out.

Slots hold numbers: first constants, live leaves and arguments, then a slot for the result of each instruction. Equal
operations on equal operands are one; sums of products, however they were written, are one instruction `LINEAR`:

    out  =  plain_1 + plain_2 + ...  +  x_1 * y_1  +  x_2 * y_2  +  ...
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import ops
from ..engine import Value, topological_order
from ..operation import Operation
from .recorder import TAKE, CompileError, Guard, Recording

__all__ = ["LINEAR", "Instruction", "Program", "SlotGuard", "build"]


def _by_interpreters(*numbers: float) -> Any:
    raise NotImplementedError("the interpreters know what a sum of products is")


_JUMPS = frozenset(
    [ops.FLOOR, ops.CEIL, ops.ROUND, ops.TRUNC, ops.SIGN, ops.MODULO, ops.FLOOR_DIVIDE, ops.ROUND_DIGITS]
)

#: A sum of plain terms and of products; see `Instruction`.
LINEAR = Operation("linear", "Σ", None, _by_interpreters, _by_interpreters, None, ())


@dataclass(frozen=True)
class Instruction:
    """One step: `out = operation(operands)`.

    Args:
        operation: of the table, or `LINEAR`, whose operands are its plain terms, all x, and all y.
        out: the slot of the result.
        operands: slots.
        plain: how many plain terms a `LINEAR` has.
    """

    operation: Operation
    out: int
    operands: tuple[int, ...]
    plain: int = 0

    @property
    def pairs(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the slots of the two factors of each product of a `LINEAR`."""
        half = (len(self.operands) + self.plain) // 2
        return self.operands[self.plain : half], self.operands[half:]


@dataclass(frozen=True)
class SlotGuard:
    """A branch that was taken: `slots[x] symbol slots[y]` was `outcome`."""

    x: int
    symbol: str
    y: int
    outcome: bool


@dataclass
class Program:
    """What a recording computes.

    Attributes:
        constants: numbers by their slots.
        leaves: the Values that the function closes over, by their slots, read anew at every call.
        numbers: the slot of each number of the arguments; None for one that is not used.
        integers: the slot of each integer of the arguments; None for one that is not looked up by.
        instructions: the steps.
        outputs: the slots of what the function returned.
        guards: the branches that it took.
        static_integers: the integers that it looked at: their places and numbers.
        table_sizes: by the place of an integer that is looked up by, how many items the smallest table has.
        slots: how many there are.
        nodes: how many nodes the recording had.
    """

    constants: dict[int, float] = field(default_factory=dict)
    leaves: dict[int, Value] = field(default_factory=dict)
    numbers: list[int | None] = field(default_factory=list)
    integers: list[int | None] = field(default_factory=list)
    instructions: list[Instruction] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    guards: list[SlotGuard] = field(default_factory=list)
    static_integers: dict[int, int] = field(default_factory=dict)
    table_sizes: dict[int, int] = field(default_factory=dict)
    slots: int = 0
    nodes: int = 0


def build(recording: Recording, made_inside: set[int]) -> Program:
    """Make the program of a recording.

    Args:
        recording: what a function did.
        made_inside: the ids of leaves that are constants, since the function made them itself.

    Raises:
        CompileError: for nodes that were built by hand.
    """
    return _Builder(recording, made_inside).program


def leaves_made_inside(recording: Recording, again: Recording) -> set[int] | None:
    """Return the ids of the leaves that the function makes itself; None if two recordings of one call differ.

    A leaf that the function closes over is the same object in both. One that it makes is another in each, with the same
    number.
    """
    order, order_again = _order(recording), _order(again)
    same_shape = len(order) == len(order_again) and recording.structure.shapes == again.structure.shapes
    if not same_shape or [_told(g) for g in recording.guards] != [_told(g) for g in again.guards]:
        return None
    places = {id(node): k for k, node in enumerate(order)}
    places_again = {id(node): k for k, node in enumerate(order_again)}
    inputs = [*recording.numbers, *recording.integers]
    inputs_again = [*again.numbers, *again.integers]
    given = {id(x): k for k, x in enumerate(inputs)}
    given_again = {id(x): k for k, x in enumerate(inputs_again)}
    made = set()

    def alike(x: Any, y: Any) -> bool:
        if isinstance(x, Value) and isinstance(y, Value):
            return places[id(x)] == places_again[id(y)]
        return not isinstance(x, Value) and not isinstance(y, Value) and (x == y or (x != x and y != y))

    for node, twin in zip(order, order_again):
        operands, operands_again = node._operands, twin._operands
        if not operands and not operands_again:
            if given.get(id(node)) != given_again.get(id(twin)):
                return None
            if node is not twin and id(node) not in given:
                if not alike(node._data, twin._data):
                    return None
                made.add(id(node))
        elif (
            node._operation is not twin._operation
            or len(operands) != len(operands_again)
            or not all(map(alike, operands, operands_again))
        ):
            return None
    ends = zip(
        (*recording.outputs, *(x for guard in recording.guards for x in (guard.x, guard.y))),
        (*again.outputs, *(x for guard in again.guards for x in (guard.x, guard.y))),
    )
    return made if all(alike(x, y) for x, y in ends) else None


def _told(guard: Guard) -> tuple[str, bool]:
    return guard.symbol, guard.outcome


def _order(recording: Recording) -> list[Value]:
    """Return all nodes that the outputs and the guards depend on, each after its operands."""
    looked_at = [x for guard in recording.guards for x in (guard.x, guard.y)]
    roots = [x for x in (*recording.outputs, *looked_at) if isinstance(x, Value)]
    return topological_order(Value(0.0, roots))[:-1]


class _Builder:
    def __init__(self, recording: Recording, made_inside: set[int]) -> None:
        self.program = program = Program()
        self.slots: dict[int, int] = {}  # of nodes, by their ids
        self.constants: dict[tuple[float, float], int] = {}
        self.known: dict[Any, int] = {}  # operations that were seen before
        self.steps: list[tuple[Operation, int, tuple[int, ...]]] = []
        order = _order(recording)
        program.nodes = len(order)
        self.integer_places = {id(x): place for place, x in enumerate(recording.integers)}
        program.numbers = self._inputs(recording.numbers, order)
        program.integers = self._inputs(recording.integers, order)
        for node in order:
            if id(node) not in self.slots:
                self._add(node, made_inside)
        program.outputs = [self._slot(x) for x in recording.outputs]
        self._guards(recording.guards)
        program.instructions = _fused(self.steps, program)

    def _new_slot(self) -> int:
        self.program.slots += 1
        return self.program.slots - 1

    def _inputs(self, inputs: Sequence[Value], order: Sequence[Value]) -> list[int | None]:
        used = {id(node) for node in order}
        places: list[int | None] = []
        for x in inputs:
            if id(x) in used:
                self.slots[id(x)] = self._new_slot()
            places.append(self.slots.get(id(x)))
        return places

    def _constant(self, x: float) -> int:
        key = (x, math.copysign(1.0, x))
        if key not in self.constants:
            self.constants[key] = self._new_slot()
            self.program.constants[self.constants[key]] = x
        return self.constants[key]

    def _slot(self, x: Any) -> int:
        return self.slots[id(x)] if isinstance(x, Value) else self._constant(float(x))

    def _add(self, node: Value, made_inside: set[int]) -> None:
        operands = node._operands
        if not operands:
            if id(node) in made_inside:
                self.slots[id(node)] = self._constant(node._data)
            else:
                self.slots[id(node)] = self._new_slot()
                self.program.leaves[self.slots[id(node)]] = node
            return
        operation = node._operation
        if isinstance(operation, str) or node._closure is not None:
            raise CompileError(
                f"a node built by hand ({node._op or 'without an _op'}) has a _backward that a recording cannot know; "
                "make the operation with custom_op"
            )
        if operation is ops.IDENTITY:
            self.slots[id(node)] = self._slot(operands[0])
            return
        places = tuple([self._slot(x) for x in operands])
        key = (operation, places)
        found = self.known.get(key)
        if found is None:
            constants = self.program.constants
            if operation is not TAKE and all(map(constants.__contains__, places)):
                found = self._constant(node._data)
            else:
                found = self._new_slot()
                if operation is TAKE:
                    sizes, place = self.program.table_sizes, self.integer_places[id(operands[0])]
                    sizes[place] = min(len(places) - 1, sizes.get(place, len(places)))
                self.steps.append((operation, found, places))
            self.known[key] = found
        self.slots[id(node)] = found

    def _guards(self, guards: Sequence[Guard]) -> None:
        program = self.program
        for guard in guards:
            if isinstance(guard.x, int):
                program.static_integers[guard.x] = int(guard.y)
        seen: dict[SlotGuard, None] = {}
        for guard in guards:
            if isinstance(guard.x, int):
                continue
            x, y = self._slot(guard.x), self._slot(guard.y)
            if not (x in program.constants and y in program.constants):
                seen[SlotGuard(x, guard.symbol, y, guard.outcome)] = None
        program.guards = list(seen)


def _fused(steps: Sequence[tuple[Operation, int, tuple[int, ...]]], program: Program) -> list[Instruction]:
    """Make one instruction of each sum of products, in the place of its last addition."""
    exact = _exact_slots(steps, program)
    uses = [0] * program.slots
    for _, _, operands in steps:
        for slot in operands:
            uses[slot] += 1
    for slot in (*program.outputs, *(slot for guard in program.guards for slot in (guard.x, guard.y))):
        uses[slot] += 2  # a result that is asked for stays one
    forms: dict[int, tuple[list[int], list[int], list[int]]] = {}  # plain terms, and the factors of products
    written: dict[int, Instruction] = {}
    for operation, out, operands in steps:
        form = None if out in exact else _form(operation, operands, forms, uses, written)
        if form is not None:
            forms[out] = form
        written[out] = Instruction(operation, out, operands)
    return [
        instruction if _stays(instruction, forms) else _as_linear(instruction.out, forms)
        for instruction in written.values()
    ]


def _exact_slots(steps: Sequence[tuple[Operation, int, tuple[int, ...]]], program: Program) -> set[int]:
    """Return the slots that a branch or a jump hangs on: in another order, a sum might fall on the other side of it."""
    exact = {slot for guard in program.guards for slot in (guard.x, guard.y)}
    for operation, out, operands in reversed(steps):
        if out in exact or operation in _JUMPS:
            exact.update(operands)
        elif operation is ops.WHERE:
            exact.add(operands[0])
    return exact


def _form(
    operation: Operation,
    operands: tuple[int, ...],
    forms: dict[int, tuple[list[int], list[int], list[int]]],
    uses: list[int],
    written: dict[int, Instruction],
) -> tuple[list[int], list[int], list[int]] | None:
    """Return an operation as a sum of plain terms and products, into which operands used only here are drawn."""
    if operation is ops.MULTIPLY:
        return [], [operands[0]], [operands[1]]
    if operation is ops.DOT:
        half = (len(operands) + 1) // 2
        plain, xs, ys = operands[:1], list(operands[1:half]), list(operands[half:])
    elif operation in (ops.ADD, ops.SUM):
        plain, xs, ys = operands, [], []
    else:
        return None
    form: tuple[list[int], list[int], list[int]] = ([], [], [])
    for slot in plain:
        if uses[slot] == 1 and slot in forms:
            parts = forms.pop(slot)
            del written[slot]
            if not any(form):
                form = parts  # the first takes all that the others are added to: no term is copied twice
                continue
        else:
            parts = ([slot], [], [])
        for own, part in zip(form, parts):
            own.extend(part)
    form[1].extend(xs)
    form[2].extend(ys)
    return form


def _stays(instruction: Instruction, forms: dict[int, tuple[list[int], list[int], list[int]]]) -> bool:
    form = forms.get(instruction.out)
    return form is None or instruction.operation is ops.MULTIPLY or (not form[1] and len(form[0]) == 2)


def _as_linear(out: int, forms: dict[int, tuple[list[int], list[int], list[int]]]) -> Instruction:
    plain, xs, ys = forms[out]
    return Instruction(LINEAR, out, (*plain, *xs, *ys), len(plain))
