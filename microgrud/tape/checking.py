"""Whether a program hangs together, so that an interpreter that looks at no bounds can be given it."""

from __future__ import annotations

from collections.abc import Iterable

from ..engine import Value
from ..engine.ops import DOT, LOG_SOFTMAX, SOFTMAX
from .program import LINEAR, Instruction, Program
from .recorder import DETACH, TAKE

__all__ = ["check_program"]

_SOFTMAXES = (SOFTMAX, LOG_SOFTMAX)
#: Sums that became parts of others leave slots behind that no one uses; more of them than this, for each number that
#: there is, are none of a program's, and memory would be asked for in vain.
_MOST_UNUSED = 64


def check_program(program: Program) -> None:
    """Raise a ValueError unless every slot is written to once, before it is read, and operations fit their operands.

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
        if instruction.operation in _SOFTMAXES:
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
    """Raise unless the first operand of a softmax says which of the results is meant."""
    index = program.constants.get(instruction.operands[0]) if instruction.operands else None
    if index is None or index not in range(len(instruction.operands) - 1):
        raise ValueError(f"{where}: expected the index of a result of {instruction.operation.name}, got {index}")
