"""The program of a recording: its operations in order, over numbered slots, with what is superfluous left out.

Slots hold numbers: first constants, live leaves and arguments, then a slot for the result of each instruction. Equal
operations on equal operands are one; sums of products, however they were written, are one instruction `LINEAR`:

    out  =  plain_1 + plain_2 + ...  +  x_1 * y_1  +  x_2 * y_2  +  ...
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from ..engine import Value, native
from ..engine.by_hand import LocalGradients, describe
from ..engine.operation import Operation
from .building import ROLES, SLOT_OF_CONSTANT, SLOT_OF_LEAF, assemble
from .graph import KNOWN, LINEAR, Graph, Ints, as_doubles, as_ints
from .recorder import TAKE, CompileError

__all__ = ["COMPARISONS", "LINEAR", "SYMBOLS", "Instruction", "Instructions", "Program", "SlotGuard", "build"]

#: Comparisons by their symbols, in the order of Python's own numbers for them (Py_LT, ...), which the C code has too.
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
SYMBOLS = tuple(COMPARISONS)


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


class Instructions(Sequence[Instruction]):
    """The steps of a program as arrays; objects are made of them when they are asked for.

    Args:
        operations: by their codes.
        codes: the operation of each step.
        outs: the slot of the result of each.
        starts: where its operands begin, and at last how many there are.
        operands: of all steps, one after the other.
        plain: how many plain terms each has.
    """

    def __init__(
        self, operations: Sequence[Operation], codes: Ints, outs: Ints, starts: Ints, operands: Ints, plain: Ints
    ) -> None:
        self.operations = tuple(operations)
        self.codes, self.outs, self.starts, self.operands, self.plain = codes, outs, starts, operands, plain
        self._made: list[Instruction] | None = None

    @classmethod
    def of(cls, instructions: Iterable[Instruction]) -> Instructions:
        """Return instructions as arrays, if they are not so already."""
        if isinstance(instructions, Instructions):
            return instructions
        given = list(instructions)
        codes = {operation: k for k, operation in enumerate(KNOWN)}
        own = [codes.setdefault(instruction.operation, len(codes)) for instruction in given]
        starts = np.cumsum([0, *(len(instruction.operands) for instruction in given)])
        return cls(
            tuple(codes),
            as_ints(own),
            as_ints([instruction.out for instruction in given]),
            starts.astype(np.int32),
            as_ints([slot for instruction in given for slot in instruction.operands]),
            as_ints([instruction.plain for instruction in given]),
        )

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, k: int) -> Instruction: ...
    @overload
    def __getitem__(self, k: slice) -> list[Instruction]: ...
    def __getitem__(self, k: int | slice) -> Instruction | list[Instruction]:
        return self._all()[k]

    def __iter__(self) -> Iterator[Instruction]:
        return iter(self._all())

    def __reversed__(self) -> Iterator[Instruction]:
        return reversed(self._all())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._all() == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self)} instructions>"

    def _all(self) -> list[Instruction]:
        if self._made is None:  # the interpreter in NumPy goes through them at every call
            starts, operands = self.starts.tolist(), self.operands.tolist()
            self._made = [
                Instruction(self.operations[code], out, tuple(operands[start:end]), plain)
                for code, out, start, end, plain in zip(
                    self.codes.tolist(), self.outs.tolist(), starts, starts[1:], self.plain.tolist()
                )
            ]
        return self._made


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
    instructions: Sequence[Instruction] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    guards: list[SlotGuard] = field(default_factory=list)
    static_integers: dict[int, int] = field(default_factory=dict)
    table_sizes: dict[int, int] = field(default_factory=dict)
    slots: int = 0
    nodes: int = 0


def build(graph: Graph, made_inside: set[int]) -> Program:
    """Make the program of a recording.

    Args:
        graph: what a function did.
        made_inside: which of the leaves are constants, since the function made them itself.

    Raises:
        CompileError: for nodes that were built by hand.
    """
    by_hand = [operation.symbol for operation in graph.others if isinstance(operation, LocalGradients)]
    if graph.by_hand is not None:
        by_hand.append(graph.by_hand._op)
    if by_hand:
        raise CompileError(
            f"{describe(by_hand[0])} has a number that a recording cannot compute again; make the operation with "
            "custom_op"
        )
    recording = graph.recording
    places = {id(leaf): k for k, leaf in enumerate(graph.leaves)}
    leaf_slots = np.full(len(places), SLOT_OF_LEAF, dtype=np.int32)
    leaf_slots[list(made_inside)] = SLOT_OF_CONSTANT
    used = [id(x) for x in (*recording.numbers, *recording.integers) if id(x) in places]
    leaf_slots[[places[x] for x in used]] = range(len(used))
    slots = dict(zip(used, range(len(used))))
    count, of_leaves, of_ends, constant_slots, constants, *instructions = _assemble(
        graph.codes, graph.starts, graph.operands, graph.numbers, graph.data, leaf_slots, graph.ends, ROLES,
        len(recording.outputs), KNOWN.index(LINEAR),
    )  # fmt: skip
    live = np.flatnonzero(leaf_slots == SLOT_OF_LEAF)
    program = Program(
        constants=dict(zip(as_ints(constant_slots).tolist(), as_doubles(constants).tolist())),
        leaves=dict(zip(as_ints(of_leaves)[live].tolist(), map(graph.leaves.__getitem__, live.tolist()))),
        numbers=[slots.get(id(x)) for x in recording.numbers],
        integers=[slots.get(id(x)) for x in recording.integers],
        instructions=Instructions((*KNOWN, *graph.others), *map(as_ints, instructions)),
        slots=count,
        nodes=len(graph.codes),
    )
    ends = as_ints(of_ends).tolist()
    program.outputs = ends[: len(recording.outputs)]
    _add_guards(program, graph, ends[len(recording.outputs) :])
    _add_table_sizes(program)
    return program


def _add_guards(program: Program, graph: Graph, sides: Sequence[int]) -> None:
    """Add each look at numbers that are not constants, once, and the integers that were looked at."""
    for guard in graph.recording.guards:
        if isinstance(guard.x, int):
            program.static_integers[guard.x] = int(guard.y)
    seen: dict[SlotGuard, None] = {}
    for guard, x, y in zip(graph.looks, sides[::2], sides[1::2]):
        if not (x in program.constants and y in program.constants):
            seen[SlotGuard(x, guard.symbol, y, guard.outcome)] = None
    program.guards = list(seen)


def _add_table_sizes(program: Program) -> None:
    """Note how many items the smallest table has that is looked up in by each integer."""
    instructions, sizes = Instructions.of(program.instructions), program.table_sizes
    places = {slot: place for place, slot in enumerate(program.integers)}
    for k in np.flatnonzero(instructions.codes == KNOWN.index(TAKE)).tolist():
        start, end = instructions.starts[k : k + 2].tolist()
        place = places[int(instructions.operands[start])]
        sizes[place] = min(end - start - 1, sizes.get(place, end - start))


_assemble: Any = assemble if native.engine is None else native.engine.build
