"""The program of a recording: its operations in order over numbered slots, without duplicates and unused results.

Slots hold numbers: constants, leaves and arguments first, then the result of each instruction. Equal operations on
equal operands are one instruction, and so is a sum of products, however it was written: `LINEAR`, which computes

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
from ..engine.ops import DOT, LOG_SOFTMAX, SOFTMAX
from .building import ROLES, SLOT_OF_CONSTANT, SLOT_OF_LEAF, assemble
from .graph import KNOWN, LINEAR, Graph, Ints, as_doubles, as_ints
from .recorder import DETACH, TAKE, CompileError

#: Comparisons by their symbols, in the order of Python's own numbers for them (Py_LT, ...), which the C code has too.
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
SYMBOLS = tuple(COMPARISONS)
#: Merged sums leave unused slots behind. A program with more slots than this, for each number in it, is damaged, and
#: would waste memory.
_MOST_UNUSED = 64


@dataclass(frozen=True)
class Instruction:
    """One step: `out = operation(operands)`.

    Args:
        operation: an operation of the table, or `LINEAR`, whose operands are its plain terms, all x, and all y.
        out: the slot of the result.
        operands: the slots of the operands.
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
    """The instructions of a program as arrays; the objects are made at the first access to one.

    Args:
        operations: the operations by their codes.
        codes: the code of each instruction.
        outs: the slot of the result of each.
        starts: where the operands of each begin, and at last how many there are.
        operands: the operands of all instructions, one after another.
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
        """Return instructions as arrays; arrays are returned as they are."""
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
        if self._made is None:  # the executor in NumPy reads them at every call
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
    """A branch that was taken: the outcome of `slots[x] symbol slots[y]`."""

    x: int
    symbol: str
    y: int
    outcome: bool


@dataclass
class Program:
    """The computation of a trace.

    Attributes:
        constants: numbers by their slots.
        leaves: the Values that the function closes over, by their slots; every call reads their present numbers.
        numbers: the slot of each number of the arguments; None for one that is not used.
        integers: the slot of each integer of the arguments; None for one that indexes no table.
        instructions: the instructions, in order.
        outputs: the slots of the numbers that the function returned.
        guards: the branches that it took.
        static_integers: the integers that the recording holds for: numbers by their places among the arguments.
        table_sizes: by the place of an integer that is an index, the number of items of the smallest table.
        slots: how many slots there are.
        nodes: how many nodes the trace had.
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
    """Make the program of a graph.

    Args:
        graph: the graph of one call.
        made_inside: which of the leaves are constants, since the function makes them itself.

    Raises:
        CompileError: for nodes that were built manually.
    """
    by_hand = [operation.symbol for operation in graph.others if isinstance(operation, LocalGradients)]
    if graph.by_hand is not None:
        by_hand.append(graph.by_hand._op)
    if by_hand:
        raise CompileError(
            f"{describe(by_hand[0])} has a number that a recording cannot compute again; make the operation with "
            "custom_op"
        )
    trace = graph.trace
    places = {id(leaf): k for k, leaf in enumerate(graph.leaves)}
    leaf_slots = np.full(len(places), SLOT_OF_LEAF, dtype=np.int32)
    leaf_slots[list(made_inside)] = SLOT_OF_CONSTANT
    used = [id(x) for x in (*trace.numbers, *trace.integers) if id(x) in places]
    leaf_slots[[places[x] for x in used]] = range(len(used))
    slots = dict(zip(used, range(len(used))))
    count, of_leaves, of_ends, constant_slots, constants, *instructions = _assemble(
        graph.codes, graph.starts, graph.operands, graph.numbers, graph.data, leaf_slots, graph.ends, ROLES,
        len(trace.outputs), KNOWN.index(LINEAR),
    )  # fmt: skip
    live = np.flatnonzero(leaf_slots == SLOT_OF_LEAF)
    program = Program(
        constants=dict(zip(as_ints(constant_slots).tolist(), as_doubles(constants).tolist())),
        leaves=dict(zip(as_ints(of_leaves)[live].tolist(), map(graph.leaves.__getitem__, live.tolist()))),
        numbers=[slots.get(id(x)) for x in trace.numbers],
        integers=[slots.get(id(x)) for x in trace.integers],
        instructions=Instructions((*KNOWN, *graph.others), *map(as_ints, instructions)),
        slots=count,
        nodes=len(graph.codes),
    )
    ends = as_ints(of_ends).tolist()
    program.outputs = ends[: len(trace.outputs)]
    _add_guards(program, graph, ends[len(trace.outputs) :])
    program.table_sizes = table_sizes(program.instructions, program.integers)
    return program


def _add_guards(program: Program, graph: Graph, sides: Sequence[int]) -> None:
    """Add each comparison of numbers that are not all constants, once, and the integers that were used."""
    for guard in graph.trace.guards:
        if isinstance(guard.x, int):
            program.static_integers[guard.x] = int(guard.y)
    seen: dict[SlotGuard, None] = {}
    for guard, x, y in zip(graph.comparisons, sides[::2], sides[1::2]):
        if not (x in program.constants and y in program.constants):
            seen[SlotGuard(x, guard.symbol, y, guard.outcome)] = None
    program.guards = list(seen)


def table_sizes(instructions: Sequence[Instruction], integers: Sequence[int | None]) -> dict[int, int]:
    """Return, by the place of an integer that is an index, the number of items of the smallest table."""
    steps, sizes = Instructions.of(instructions), dict[int, int]()
    places = {slot: place for place, slot in enumerate(integers) if slot is not None}
    for k in np.flatnonzero(steps.codes == KNOWN.index(TAKE)).tolist():
        start, end = steps.starts[k : k + 2].tolist()
        place = places.get(int(steps.operands[start]))
        if place is not None:  # None only in a damaged pickle
            sizes[place] = min(end - start - 1, sizes.get(place, end - start))
    return sizes


_assemble: Any = assemble if native.engine is None else native.engine.build


# --- checks of programs that come out of pickles ----------------------------------------------------------------------


def check_program(program: Program) -> None:
    """Raise a ValueError unless every slot is written to once, before it is read, and operations fit their operands.

    The interpreter in C checks no bounds while it runs, so no unpickled program may reach it unchecked.

    >>> check_program(Program(outputs=[0], slots=1))
    Traceback (most recent call last):
        ...
    ValueError: outputs: expected a slot that has been written to, got 0
    """
    written: set[int] = set()

    def write(slots: Iterable[int | None], what: str) -> None:
        for slot in slots:
            if slot is not None and (not 0 <= slot < program.slots or slot in written):
                raise ValueError(f"{what}: expected a slot of its own, from 0 to {program.slots - 1}, got {slot}")
            if slot is not None:
                written.add(slot)

    def read(slots: Iterable[int], what: str) -> None:
        for slot in slots:
            if slot not in written:
                raise ValueError(f"{what}: expected a slot that has been written to, got {slot}")

    for leaf in program.leaves.values():
        if not isinstance(leaf, Value) or not leaf.is_leaf:
            raise ValueError(f"leaves: expected leaf Values, got {leaf!r}")
    write(program.constants, "constants")
    write(program.leaves, "leaves")
    write(program.numbers, "numbers")
    integers = {slot for slot in program.integers if slot is not None}
    write(program.integers, "integers")
    for k, instruction in enumerate(program.instructions):
        where = f"instruction {k}"
        operands = instruction.operands
        read(operands, where)
        is_index = instruction.operation is TAKE
        if any(slot in integers for slot in operands[1 if is_index else 0 :]):
            raise ValueError(f"{where}: expected an integer of the arguments as the index of a table alone")
        if is_index and (not operands or operands[0] not in integers):
            raise ValueError(f"{where}: expected an integer of the arguments as the index of a table")
        if instruction.operation in (SOFTMAX, LOG_SOFTMAX):
            _check_index(program, instruction, where)
        _check_count(instruction, where)
        write([instruction.out], where)
    most = _MOST_UNUSED * (len(written) + sum(len(x.operands) for x in program.instructions) + 1)
    if program.slots > most:
        raise ValueError(f"expected no more than {most} slots for so many numbers, got {program.slots}")
    read(program.outputs, "outputs")
    read((slot for guard in program.guards for slot in (guard.x, guard.y)), "guards")


def _check_count(instruction: Instruction, where: str) -> None:
    """Raise if an operation has more or fewer operands than it takes."""
    operation, count, plain = instruction.operation, len(instruction.operands), instruction.plain
    if operation is LINEAR:
        fits = 0 <= plain <= count and (count - plain) % 2 == 0
    elif operation is DETACH:
        fits = count == 1
    elif operation is TAKE:
        fits = count >= 2
    elif operation is DOT:
        fits = count % 2 == 1
    else:
        fits = count == operation.arity if operation.arity is not None else count >= 1
    if not fits or (plain and operation is not LINEAR):
        raise ValueError(f"{where}: expected as many operands as {operation.name} takes, got {count}")


def _check_index(program: Program, instruction: Instruction, where: str) -> None:
    """Raise unless the first operand of a softmax is the index of one of its results."""
    index = program.constants.get(instruction.operands[0]) if instruction.operands else None
    if index is None or index not in range(len(instruction.operands) - 1):
        raise ValueError(f"{where}: expected the index of a result of {instruction.operation.name}, got {index}")
