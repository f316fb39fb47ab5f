"""Programs as tuples of bytes, for pickles, and back again.

Packing reads the public parts of a program only, and not how it keeps them. The bytes are the same on every machine and
for either executor. An unpacked program is checked, since the interpreter in C trusts the program that it runs.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..engine import Value
from ..engine.operation import Operation
from ..engine.ops import TABLE
from .building import LINEAR, as_ints
from .program import SYMBOLS, Instruction, Program, SlotGuard, check_program, table_sizes
from .recorder import DETACH, TAKE

#: The operations that only the tape has.
_OF_THE_TAPE = {operation.name: operation for operation in (LINEAR, TAKE, DETACH)}
#: The widths of packed integers, by the letter that comes first.
_WIDTHS = {"b": "<i1", "h": "<i2", "i": "<i4", "q": "<i8"}


def pack_program(program: Program) -> tuple[Any, ...]:
    """Return a program without its leaves: numbers as bytes, operations by name.

    Raises:
        pickle.PicklingError: for a custom operation that another process could not find.

    >>> from microgrud.tape import compile
    >>> f = compile(lambda x: x * x + 1.0)
    >>> f(3.0)
    10.0
    >>> ((_, recording),) = f._recordings.all()
    >>> packed = pack_program(recording.program)
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
        tuple(map(pack_integers, (program.numbers, program.integers))),
        tuple(_packed_operation(operation) for operation in operations),
        tuple(map(pack_integers, (kinds, outs, counts, plains, operands))),
        pack_integers(program.outputs),
        pack_integers(number for guard in guards for number in guard),
        tuple(program.static_integers.items()),
    )


def unpack_program(packed: Any, leaves: Sequence[Value]) -> Program:
    """Return the program that `pack_program` was given, with these leaves.

    Raises:
        pickle.UnpicklingError: if the pickle is damaged, or an operation is not found.
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
    numbers, integers = (as_ints(unpack_integers(places)) for places in arguments)
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
        table_sizes=table_sizes(instructions, integers),
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


# --- operations -------------------------------------------------------------------------------------------------------


def _packed_operation(operation: Operation) -> Any:
    """Return the name of an operation of microgrud; module and name of a custom one, or else the operation itself."""
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
            "operation at the top level of a module, or make its value and its rules from functions defined there"
        ) from None
    return operation


def _place_of(operation: Operation) -> tuple[str, str] | None:
    """Return module and name of an operation at the top level of the module of one of its functions, if it is there."""
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


# --- numbers ----------------------------------------------------------------------------------------------------------


def pack_integers(numbers: Iterable[int]) -> bytes:
    r"""Write integers with as many bytes each as the largest needs, after a letter for that width.

    >>> pack_integers([1, -2, 3]), len(pack_integers([1, 1000]))
    (b'b\x01\xfe\x03', 5)
    """
    array = np.fromiter(numbers, dtype=np.int64)
    low, high = (int(array.min()), int(array.max())) if len(array) else (0, 0)
    fitting = (x for x, width in _WIDTHS.items() if np.iinfo(width).min <= low and high <= np.iinfo(width).max)
    letter = next(fitting)
    return letter.encode() + array.astype(_WIDTHS[letter]).tobytes()


def unpack_integers(packed: Any) -> list[int]:
    """Return the integers that `pack_integers` wrote.

    Raises:
        ValueError: if they are damaged.

    >>> unpack_integers(pack_integers([1, -2, 300]))
    [1, -2, 300]
    """
    width = _WIDTHS.get(chr(packed[0])) if isinstance(packed, bytes) and packed else None
    if width is None:
        raise ValueError(f"expected integers in bytes, got {_described(packed)}")
    return _read(packed[1:], width)


def pack_floats(numbers: Iterable[float]) -> bytes:
    """Write floats, bit for bit."""
    return np.fromiter(numbers, dtype="<f8").tobytes()


def unpack_floats(packed: Any) -> list[float]:
    """Return the floats that `pack_floats` wrote.

    Raises:
        ValueError: if they are damaged.

    >>> unpack_floats(pack_floats([0.1, -0.0]))
    [0.1, -0.0]
    """
    if not isinstance(packed, bytes):
        raise ValueError(f"expected floats in bytes, got {_described(packed)}")
    return _read(packed, "<f8")


def _read(packed: bytes, width: str) -> list[Any]:
    size = np.dtype(width).itemsize
    if len(packed) % size:
        raise ValueError(f"expected numbers of {size} bytes, got {len(packed)} bytes")
    numbers: list[Any] = np.frombuffer(packed, dtype=width).tolist()
    return numbers


def _described(x: Any) -> str:
    return f"{x[:8]!r}" if isinstance(x, bytes) else f"an object of type {type(x).__name__}"
