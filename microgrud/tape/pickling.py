"""A program as a tuple of bytes, which pickles hold, and back again.

Neither knows how a program keeps its parts: both go by what it shows. The bytes are independent of the machine. What
comes back is checked (see `checking`), since the interpreter in C could not be trusted with anything else.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Sequence
from typing import Any

from ..engine import Value
from ..engine.operation import Operation
from ..engine.ops import TABLE
from .checking import check_program
from .packing import pack_floats, pack_integers, unpack_floats, unpack_integers
from .program import LINEAR, SYMBOLS, Instruction, Program, SlotGuard
from .recorder import DETACH, TAKE

__all__ = ["pack_program", "unpack_program"]

#: The operations that are known to the tape alone.
_OF_THE_TAPE = {operation.name: operation for operation in (LINEAR, TAKE, DETACH)}


def pack_program(program: Program) -> tuple[Any, ...]:
    """Return all of a program but its leaves: numbers as bytes, operations by name.

    Raises:
        pickle.PicklingError: for an operation of one's own that another process could not find.

    >>> from microgrud.tape import compile
    >>> f = compile(lambda x: x * x + 1.0)
    >>> f(3.0)
    10.0
    >>> ((_, path),) = f._recordings()
    >>> packed = pack_program(path.program)
    >>> pack_program(unpack_program(packed, [])) == packed
    True
    """
    operations: dict[Operation, int] = {}
    kinds, outs, counts, plains = [], [], [], []
    operands: list[int] = []
    for instruction in program.instructions:
        kinds.append(operations.setdefault(instruction.operation, len(operations)))
        outs.append(instruction.out)
        counts.append(len(instruction.operands))
        plains.append(instruction.plain)
        operands += instruction.operands
    guards = [(g.x, SYMBOLS.index(g.symbol), g.y, int(g.outcome)) for g in program.guards]
    return (
        (program.slots, program.nodes),
        (pack_integers(program.constants), pack_floats(program.constants.values())),
        pack_integers(program.leaves),
        tuple(pack_integers(-1 if slot is None else slot for slot in x) for x in (program.numbers, program.integers)),
        tuple(_packed_operation(operation) for operation in operations),
        tuple(map(pack_integers, (kinds, outs, counts, plains, operands))),
        pack_integers(program.outputs),
        pack_integers(number for guard in guards for number in guard),
        tuple(program.static_integers.items()),
    )


def unpack_program(packed: Any, leaves: Sequence[Value]) -> Program:
    """Return the program that `pack_program` was given, with these leaves.

    Raises:
        pickle.UnpicklingError: if it is damaged, or an operation is not found.
    """
    try:
        program = _unpacked(packed, leaves)
        check_program(program)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise pickle.UnpicklingError(
            f"a damaged pickle of a compiled function, or one of another version of microgrud: {error}"
        ) from None
    return program


def _unpacked(packed: Any, leaves: Sequence[Value]) -> Program:
    sizes, constants, leaf_slots, arguments, operations, steps, outputs, guards, static_integers = packed
    slots, nodes = sizes
    numbers, integers = ([None if k == -1 else k for k in unpack_integers(places)] for places in arguments)
    constant_slots, constant_numbers = unpack_integers(constants[0]), unpack_floats(constants[1])
    own = unpack_integers(leaf_slots)
    if len(own) != len(leaves) or len(constant_slots) != len(constant_numbers):
        raise ValueError(
            f"expected a slot for each of {len(leaves)} leaves and {len(constant_numbers)} constants, got {len(own)} "
            f"and {len(constant_slots)}"
        )
    found = [_unpacked_operation(operation) for operation in operations]
    instructions = _instructions(found, *map(unpack_integers, steps))
    tests = unpack_integers(guards)
    if len(tests) % 4:
        raise ValueError(f"expected four numbers for each guard, got {len(tests)} in all")
    return Program(
        constants=dict(zip(constant_slots, constant_numbers)),
        leaves=dict(zip(own, leaves)),
        numbers=numbers,
        integers=integers,
        instructions=instructions,
        outputs=unpack_integers(outputs),
        guards=[
            SlotGuard(x, SYMBOLS[_whole(symbol, len(SYMBOLS))], y, bool(outcome))
            for x, symbol, y, outcome in zip(*(tests[k::4] for k in range(4)))
        ],
        static_integers={_whole(place, len(integers)): int(number) for place, number in static_integers},
        table_sizes=_table_sizes(instructions, integers),
        slots=_whole(slots),
        nodes=_whole(nodes),
    )


def _whole(number: Any, below: int = 2**31) -> int:
    """Return an integer of 0 or more, below a bound."""
    if not isinstance(number, int) or not 0 <= number < below:
        raise ValueError(f"expected an integer from 0 to {below - 1}, got {number!r}")
    return number


def _instructions(
    operations: Sequence[Operation],
    kinds: Sequence[int],
    outs: Sequence[int],
    counts: Sequence[int],
    plains: Sequence[int],
    operands: Sequence[int],
) -> list[Instruction]:
    if not len(kinds) == len(outs) == len(counts) == len(plains):
        raise ValueError(f"expected as many results as instructions, got {len(outs)} for {len(kinds)}")
    if min(counts, default=0) < 0 or sum(counts) != len(operands):
        raise ValueError(f"expected as many operands as the instructions have, got {len(operands)}")
    instructions = []
    start = 0
    for kind, out, count, plain in zip(kinds, outs, counts, plains):
        own = tuple(operands[start : start + count])
        instructions.append(Instruction(operations[_whole(kind, len(operations))], out, own, plain))
        start += count
    return instructions


def _table_sizes(instructions: Sequence[Instruction], integers: Sequence[int | None]) -> dict[int, int]:
    """Return, by the place of an integer that is looked up by, how many items the smallest table has."""
    places = {slot: place for place, slot in enumerate(integers) if slot is not None}
    sizes: dict[int, int] = {}
    for instruction in instructions:
        if instruction.operation is TAKE and instruction.operands and instruction.operands[0] in places:
            place, count = places[instruction.operands[0]], len(instruction.operands) - 1
            sizes[place] = min(count, sizes.get(place, count))
    return sizes


# --- operations -------------------------------------------------------------------------------------------------------


def _packed_operation(operation: Operation) -> Any:
    """Return a name for an operation of microgrud's; for one of the user's own where it stands, or all of it."""
    if TABLE.get(operation.name) is operation or _OF_THE_TAPE.get(operation.name) is operation:
        return operation.name
    place = _place_of(operation)
    if place is not None:
        return place
    try:
        pickle.dumps(operation)
    except Exception as error:
        raise pickle.PicklingError(
            f"a compiled function with the operation {operation.name!r}, which cannot be pickled ({error}); make the "
            "operation at the top level of a module, or its value and its rules of functions that stand there"
        ) from None
    return operation


def _place_of(operation: Operation) -> tuple[str, str] | None:
    """Return the module at whose top level an operation stands, and its name there, if its functions lead there."""
    rules = operation.partials if isinstance(operation.partials, tuple) else (operation.partials,)
    for function in (operation.value, *(getattr(rule, "rule", rule) for rule in rules)):
        module = sys.modules.get(getattr(function, "__module__", None) or "")
        for name, x in list(vars(module).items()) if module is not None else ():
            if x is operation:
                return function.__module__, name
    return None


def _unpacked_operation(packed: Any) -> Operation:
    if isinstance(packed, str):
        operation = _OF_THE_TAPE.get(packed, TABLE.get(packed))
        if operation is None:
            raise ValueError(f"expected the name of an operation, got {packed!r}")
        return operation
    if isinstance(packed, Operation):
        return packed
    module, name = packed
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise pickle.UnpicklingError(
            f"a compiled function with the operation {name} of the module {module}, which is not found here ({error})"
        ) from None
    if not isinstance(found, Operation):
        raise ValueError(f"expected {module}.{name} to be an operation, got an object of type {type(found).__name__}")
    return found
