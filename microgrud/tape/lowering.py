"""Translate a program to the numbers that the interpreter in C reads.

Slots are renumbered: slots that are the same for all samples come first. The instructions over such slots alone become
a program of their own, which runs once per call. A `LINEAR` that varies is split in three: its part that does not vary
(one more slot, the `base`), products of a number that varies with one that does not, and products of two numbers that
vary. Neighbouring ones over the same numbers that vary become one `MATRIX`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..common.forking import CachedAttribute
from ..engine import native
from ..engine.ops import LOG_SOFTMAX, SOFTMAX, TABLE
from .graph import LINEAR, Ints, as_ints
from .program import SYMBOLS, Instructions, Program
from .recorder import DETACH, TAKE

#: The codes of the operations that are not of the table, or that have an instruction of their own.
_SPECIAL = {TAKE: "TAKE", DETACH: "DETACH", LINEAR: "LINEAR", SOFTMAX: "SOFTMAX", LOG_SOFTMAX: "LOG_SOFTMAX"}


class NotLoweredError(Exception):
    """The program has an operation that the interpreter in C does not know."""


@dataclass(frozen=True)
class Code:
    """Instructions as numbers one after the other, and where each begins."""

    numbers: Ints
    starts: Ints


@dataclass(frozen=True)
class Forward:
    """The part of a lowered program that varies, for runs without a backward pass.

    Attributes:
        varying: how many slots vary.
        batch: the instructions.
        slots: for each slot of the lowered program its number here; -1 for one that others share.
        guards: those of the batch, in these slots.
    """

    varying: int
    batch: Code
    slots: Ints
    guards: Ints


@dataclass
class Lowered:
    """A program in numbers.

    Attributes:
        uniform: how many slots are the same for all samples.
        varying: how many are not.
        slots: the new number of each old slot.
        constants: the numbers in slots that no instruction writes to, by new slots.
        alone: the instructions over slots that are the same for all samples.
        batch: the others.
        inputs: the slots of arguments that vary, in order.
        outputs: the slots of results.
        guards: those of the batch: rows of slot, comparison, slot, outcome.
        uniform_guards: those over slots that are the same for all samples, likewise.
        batch_numbers: the numbers of the guards of the batch among all guards, counted from 1.
        uniform_numbers: those of the others.
    """

    uniform: int
    varying: int
    slots: Ints
    constants: dict[int, float]
    alone: Code
    batch: Code
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    guards: list[tuple[int, int, int, int]] = field(default_factory=list)
    uniform_guards: list[tuple[int, int, int, int]] = field(default_factory=list)
    batch_numbers: list[int] = field(default_factory=list)
    uniform_numbers: list[int] = field(default_factory=list)

    @CachedAttribute
    def forward(self) -> Forward:
        """The instructions of the batch for runs without a backward pass, made at the first of them.

        A slot that is not needed any more is given to a later result, so that the numbers of a block stay in the cache,
        however long the program is. Arguments, results and what guards compare keep their slots to the end.
        """
        pinned = np.zeros(self.varying, dtype=np.uint8)
        compared = [slot for x, _, y, _ in self.guards for slot in (x, y)]
        pinned[[slot - self.uniform for slot in (*self.outputs, *compared) if slot >= self.uniform]] = 1
        inputs = as_ints([slot - self.uniform for slot in self.inputs])
        numbers, count, reused = native.engine.reuse(  # type: ignore[union-attr]
            self.batch.numbers, self.batch.starts, inputs, pinned, self.uniform
        )
        slots = np.concatenate([np.arange(self.uniform, dtype=np.int32), as_ints(reused)])
        slots[self.uniform :][slots[self.uniform :] >= 0] += np.int32(self.uniform)
        guards = [(int(slots[x]), symbol, int(slots[y]), outcome) for x, symbol, y, outcome in self.guards]
        return Forward(count, Code(as_ints(numbers), self.batch.starts), slots, as_ints(guards).ravel())


def lower(program: Program, varying_slots: Sequence[int], tape: Any) -> Lowered:
    """Return a program in numbers.

    Args:
        program: the program.
        varying_slots: the slots of arguments that have a number for each sample.
        tape: the extension module of the interpreter, for its codes of operations.

    Raises:
        NotLoweredError: for an operation that is not of the table.
    """
    instructions = Instructions.of(program.instructions)
    varies = np.zeros(program.slots, dtype=np.uint8)
    varies[list(varying_slots)] = 1
    uniform, varying, new_slots, *numbers = native.engine.lower(  # type: ignore[union-attr]
        instructions.codes,
        instructions.outs,
        instructions.starts,
        instructions.operands,
        instructions.plain,
        varies,
        _softmax_indices(program, instructions),
        _native_codes(instructions, tape),
    )
    slots = as_ints(new_slots)
    alone, alone_starts, batch, batch_starts = map(as_ints, numbers)
    lowered = Lowered(
        uniform,
        varying,
        slots,
        {uniform - 1: -0.0, **dict(zip(slots[list(program.constants)].tolist(), program.constants.values()))},
        Code(alone, alone_starts),
        Code(batch, batch_starts),
        inputs=slots[list(varying_slots)].tolist(),
        outputs=slots[program.outputs].tolist(),
    )
    for number, guard in enumerate(program.guards, start=1):
        x, y = int(slots[guard.x]), int(slots[guard.y])
        is_uniform = max(x, y) < uniform
        guards, places = (
            (lowered.uniform_guards, lowered.uniform_numbers) if is_uniform else (lowered.guards, lowered.batch_numbers)
        )
        guards.append((x, SYMBOLS.index(guard.symbol), y, int(guard.outcome)))
        places.append(number)
    return lowered


def _native_codes(instructions: Instructions, tape: Any) -> Ints:
    """Return the interpreter's code of each operation; -1 for operations that no instruction has.

    Raises:
        NotLoweredError: for an operation that is not of the table.
    """
    found = np.full(len(instructions.operations), -1, dtype=np.int32)
    for k in map(int, np.flatnonzero(np.bincount(instructions.codes))):
        operation = instructions.operations[k]
        special = _SPECIAL.get(operation)
        if special is not None:
            found[k] = getattr(tape, f"CODE_{special}")
        elif TABLE.get(operation.name) is operation and operation.name in tape.OPERATION_CODES:
            found[k] = tape.OPERATION_CODES[operation.name]
        else:
            raise NotLoweredError(operation.name)
    return found


def _softmax_indices(program: Program, instructions: Instructions) -> Ints:
    """Return, for each result of a softmax in order, the index of its number among those of the softmax."""
    codes = [k for k, operation in enumerate(instructions.operations) if operation in (SOFTMAX, LOG_SOFTMAX)]
    places = np.flatnonzero(np.isin(instructions.codes, codes))
    slots = instructions.operands[instructions.starts[places]].tolist()
    if not all(map(program.constants.__contains__, slots)):
        raise NotLoweredError("softmax at an index that is not a constant")
    return as_ints([int(program.constants[slot]) for slot in slots])
