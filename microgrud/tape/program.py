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

from ..engine import Value
from ..engine.by_hand import LocalGradients, describe
from ..engine.operation import Operation
from ..engine.ops import DOT, LOG_SOFTMAX, SOFTMAX
from .building import KNOWN, LINEAR, Ints, as_doubles, as_ints, build_instructions
from .recorder import DETACH, TAKE, ClosedOverResultError, CompileError, Guard, Trace

#: Comparisons by their symbols, in the order in which pickles number them.
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
        numbers: the slot of each number of the arguments; -1 for one that is not used.
        integers: the slot of each integer of the arguments; -1 for one that indexes no table.
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
    numbers: Sequence[int] | Ints = field(default_factory=list)
    integers: Sequence[int] | Ints = field(default_factory=list)
    instructions: Sequence[Instruction] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    guards: list[SlotGuard] = field(default_factory=list)
    static_integers: dict[int, int] = field(default_factory=dict)
    table_sizes: dict[int, int] = field(default_factory=dict)
    slots: int = 0
    nodes: int = 0


def build(first: Trace, second: Trace) -> Program:
    """Make the program of a call that was recorded twice.

    Raises:
        CompileError: if the two recordings differ, if the function closes over the result of an operation, and for
            nodes that were built manually.
    """
    ends, comparisons = _ends_of(first)
    inputs, inputs_again = (*first.numbers, *first.integers), (*second.numbers, *second.integers)
    found = None
    if first.structure.shapes == second.structure.shapes and _outcomes_of(first) == _outcomes_of(second):
        found = build_instructions(ends, inputs, _ends_of(second)[0], inputs_again, len(first.outputs))
    if found is None:
        raise CompileError(
            "two recordings of one call differ: the function draws random numbers, or changes what it reads; draw "
            "before the call and pass the random numbers as an argument"
        )
    outside, by_hand, others, leaves, nodes, instructions = found
    if outside is not None:
        raise ClosedOverResultError(
            f"the function closes over {f'{outside.label}, ' if outside.label else ''}the result of an operation "
            f"({outside._op!r}, with the number {outside._data}), which may have been computed again by the next call; "
            "compute it inside the function, pass it as an argument, or write .detach() where it was computed, to use "
            "its present number"
        )
    manual = [operation.symbol for operation in others if isinstance(operation, LocalGradients)]
    if manual or by_hand is not None:
        raise CompileError(
            f"{describe(manual[0] if manual else by_hand._op)} has a number that a recording cannot compute again; "
            "make the operation with custom_op"
        )
    slots, of_inputs, of_leaves, of_ends, of_constants, constants, *steps = instructions
    given = as_ints(of_inputs)
    sides = as_ints(of_ends).tolist()
    program = Program(
        constants=dict(zip(as_ints(of_constants).tolist(), as_doubles(constants).tolist())),
        leaves=dict(zip(as_ints(of_leaves).tolist(), leaves)),
        numbers=given[: len(first.numbers)],
        integers=given[len(first.numbers) :],
        instructions=Instructions((*KNOWN, *others), *map(as_ints, steps)),
        outputs=sides[: len(first.outputs)],
        slots=slots,
        nodes=nodes,
    )
    _add_guards(program, first, comparisons, sides[len(first.outputs) :])
    program.table_sizes = table_sizes(program.instructions, program.integers)
    return program


def _ends_of(trace: Trace) -> tuple[tuple[Value | float, ...], list[Guard]]:
    """Return the outputs and then both sides of each comparison, and the comparisons: the guards but for integers."""
    comparisons = [guard for guard in trace.guards if not isinstance(guard.x, int)]
    compared = [x for guard in comparisons for x in (guard.x, guard.y)]
    return tuple([x if isinstance(x, Value) else float(x) for x in (*trace.outputs, *compared)]), comparisons


def _outcomes_of(trace: Trace) -> list[tuple[Any, ...]]:
    return [
        (guard.symbol, guard.outcome, *((guard.x, guard.y) if isinstance(guard.x, int) else ()))
        for guard in trace.guards
    ]


def _add_guards(program: Program, trace: Trace, comparisons: Sequence[Guard], sides: Sequence[int]) -> None:
    """Add each comparison of numbers that are not all constants, once, and the integers that were used."""
    for guard in trace.guards:
        if isinstance(guard.x, int):
            program.static_integers[guard.x] = int(guard.y)
    seen: dict[SlotGuard, None] = {}
    for guard, x, y in zip(comparisons, sides[::2], sides[1::2]):
        if not (x in program.constants and y in program.constants):
            seen[SlotGuard(x, guard.symbol, y, guard.outcome)] = None
    program.guards = list(seen)


def table_sizes(instructions: Sequence[Instruction], integers: Sequence[int] | Ints) -> dict[int, int]:
    """Return, by the place of an integer that is an index, the number of items of the smallest table."""
    steps, sizes = Instructions.of(instructions), dict[int, int]()
    places = {slot: place for place, slot in enumerate(as_ints(integers).tolist()) if slot >= 0}
    for k in np.flatnonzero(steps.codes == KNOWN.index(TAKE)).tolist():
        start, end = steps.starts[k : k + 2].tolist()
        place = places.get(int(steps.operands[start]))
        if place is not None:  # None only in a damaged pickle
            sizes[place] = min(end - start - 1, sizes.get(place, end - start))
    return sizes


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

    def write(slots: Iterable[int], what: str) -> None:
        for slot in slots:
            if not 0 <= slot < program.slots or slot in written:
                raise ValueError(f"{what}: expected a slot of its own, from 0 to {program.slots - 1}, got {slot}")
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
    write([slot for slot in as_ints(program.numbers).tolist() if slot != -1], "numbers")
    integers = {slot for slot in as_ints(program.integers).tolist() if slot != -1}
    write([slot for slot in as_ints(program.integers).tolist() if slot != -1], "integers")
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
