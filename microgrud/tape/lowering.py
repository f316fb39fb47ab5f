"""From a program to the numbers that the interpreter in C reads: what is the same for all samples apart from the rest.

Slots are renumbered: those that are the same for all samples come first. What depends on such slots alone becomes a
program of its own, which runs once a call. A `LINEAR` that varies is split in three: its part that does not vary (one
slot more, the `base`), products of a number that varies with one that does not, and products of two that vary.
Neighbouring ones over the same numbers that vary become one `MATRIX`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..common.forking import CachedAttribute
from ..engine import native
from ..engine.operation import Operation
from ..engine.ops import LOG_SOFTMAX, SOFTMAX, TABLE, TANH
from .graph import Ints, as_ints
from .liveness import reuse
from .program import LINEAR, Instruction, Instructions, Program
from .recorder import DETACH, TAKE

__all__ = ["SYMBOLS", "Forward", "Lowered", "NotLoweredError", "lower"]

SYMBOLS = {"<": 0, "<=": 1, "==": 2, "!=": 3, ">": 4, ">=": 5}  # Python's own numbers for comparisons
#: So many sums at least, over so many terms, and one instruction for all of them pays.
_FEWEST_ROWS, _FEWEST_COLUMNS = 2, 2


_FEWEST_IN_A_ROW = 4
_SOFTMAXES = (SOFTMAX, LOG_SOFTMAX)
#: What the twin in C calls the kinds of instructions.
_KINDS = {LINEAR: 1, TAKE: 2, SOFTMAX: 3, LOG_SOFTMAX: 3, TANH: 4}


class NotLoweredError(Exception):
    """The program has an operation that the interpreter in C does not know."""


@dataclass
class Code:
    """Instructions, as numbers one after the other, and where each begins."""

    numbers: Any = field(default_factory=list)
    starts: Any = field(default_factory=list)

    def add(self, *numbers: int) -> None:
        """Add an instruction."""
        self.starts.append(len(self.numbers))
        self.numbers.extend(numbers)

    def arrays(self) -> tuple[Ints, Ints]:
        """Return both as arrays."""
        return np.asarray(self.numbers, dtype=np.int32), np.asarray(self.starts, dtype=np.int32)


@dataclass
class Forward:
    """The part of a lowered program that varies, for runs without a backward pass.

    Attributes:
        varying: how many slots vary.
        batch: the instructions.
        slots: for each slot of the lowered program its number here; -1 for one that others share.
        guards: those of the batch.
    """

    varying: int
    batch: Code
    slots: Ints
    guards: list[tuple[int, int, int, int]]


@dataclass
class Lowered:
    """A program in numbers.

    Attributes:
        uniform: how many slots are the same for all samples.
        varying: how many are not.
        slots: the new number of each old slot.
        constants: what is in slots that no one writes: numbers by new slots.
        alone: the instructions over slots that are the same for all samples.
        batch: the others.
        guards: those of the batch: rows of slot, comparison, slot, outcome.
        uniform_guards: those that are the same for all samples.
        inputs: the slots of arguments that vary, in order.
        outputs: of results, likewise.
        codes: the interpreter's numbers of instructions that are not operations.
    """

    uniform: int = 0
    varying: int = 0
    slots: Sequence[int] | Ints = field(default_factory=list)
    constants: dict[int, float] = field(default_factory=dict)
    alone: Code = field(default_factory=Code)
    batch: Code = field(default_factory=Code)
    guards: list[tuple[int, int, int, int]] = field(default_factory=list)
    uniform_guards: list[tuple[int, str, int, bool]] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)

    @CachedAttribute
    def forward(self) -> Forward:
        """The instructions of the batch for runs without a backward pass, made at the first of them."""
        varying = [slot - self.uniform for slot in self.inputs]
        pinned = np.zeros(self.varying, dtype=np.uint8)
        looked_at = [slot for x, _, y, _ in self.guards for slot in (x, y)]
        pinned[[slot - self.uniform for slot in (*self.outputs, *looked_at) if slot >= self.uniform]] = 1
        numbers, starts = self.batch.arrays()
        codes = tuple(self.codes[name] for name in ("linear", "matrix", "softmax", "log_softmax", "tanh"))
        again, count, given = reuse(numbers, starts, as_ints(varying), pinned, self.uniform, codes)
        slots = np.concatenate([np.arange(self.uniform, dtype=np.int32), as_ints(given)])
        slots[self.uniform :][slots[self.uniform :] >= 0] += np.int32(self.uniform)
        guards = [(int(slots[x]), symbol, int(slots[y]), outcome) for x, symbol, y, outcome in self.guards]
        return Forward(count, Code(as_ints(again), starts), slots, guards)


def lower(program: Program, varying_slots: set[int], codes: dict[str, int], special: dict[str, int]) -> Lowered:
    """Return a program in numbers.

    Args:
        program: the program.
        varying_slots: the slots of arguments that have a number for each sample.
        codes: the number of each operation of the table, by its name.
        special: the numbers of the other instructions: linear, matrix, take, detach, dot, softmax, log_softmax, tanh.

    Raises:
        NotLoweredError: for an operation that is not of the table.
    """
    native_codes = _native_codes(program, codes, special)
    lowered = _lowered(program, varying_slots, native_codes, special)
    for guard in program.guards:
        x, y = int(lowered.slots[guard.x]), int(lowered.slots[guard.y])
        if x >= lowered.uniform or y >= lowered.uniform:
            lowered.guards.append((x, SYMBOLS[guard.symbol], y, int(guard.outcome)))
        else:
            lowered.uniform_guards.append((x, guard.symbol, y, guard.outcome))
    lowered.inputs = [int(lowered.slots[slot]) for slot in sorted(varying_slots)]
    lowered.outputs = [int(lowered.slots[slot]) for slot in program.outputs]
    lowered.codes = special
    return lowered


def _native_codes(program: Program, codes: dict[str, int], special: dict[str, int]) -> dict[Operation, int]:
    """Return the interpreter's codes of the operations of a program."""
    instructions = Instructions.of(program.instructions)
    specials = {TAKE: "take", DETACH: "detach", LINEAR: "linear", SOFTMAX: "softmax", LOG_SOFTMAX: "log_softmax"}
    found: dict[Operation, int] = {}
    for k in np.flatnonzero(np.bincount(instructions.codes)).tolist():
        operation = instructions.operations[k]
        code = special[specials[operation]] if operation in specials else codes.get(operation.name)
        if code is None or (operation not in specials and TABLE.get(operation.name) is not operation):
            raise NotLoweredError(operation.name)
        found[operation] = code
    return found


def _lower_in_c(
    program: Program, varying_slots: set[int], native_codes: dict[Operation, int], special: dict[str, int]
) -> Lowered:
    """Return a program in numbers, its guards apart."""
    instructions = Instructions.of(program.instructions)
    operations = instructions.operations
    varies = np.zeros(program.slots, dtype=np.uint8)
    varies[list(varying_slots)] = 1
    uniform, varying, slots, *numbers = native.engine.lower(  # type: ignore[union-attr]
        instructions.codes,
        instructions.outs,
        instructions.starts,
        instructions.operands,
        instructions.plain,
        varies,
        as_ints([index for index, _ in _softmax_results(program)]),
        as_ints([native_codes.get(operation, -1) for operation in operations]),
        np.array([_KINDS.get(operation, 0) for operation in operations], dtype=np.int8),
        (
            *(special[name] for name in ("linear", "matrix", "dot", "tanh")),
            _FEWEST_ROWS,
            _FEWEST_COLUMNS,
            _FEWEST_IN_A_ROW,
        ),
    )
    alone, alone_starts, batch, batch_starts = map(as_ints, numbers)
    lowered = Lowered(uniform, varying, as_ints(slots))
    lowered.alone, lowered.batch = Code(alone, alone_starts), Code(batch, batch_starts)
    lowered.constants[uniform - 1] = -0.0
    owners = as_ints(slots)[list(program.constants)].tolist()
    lowered.constants.update(zip(owners, program.constants.values()))
    return lowered


def _lower_in_python(
    program: Program, varying_slots: set[int], native_codes: dict[Operation, int], special: dict[str, int]
) -> Lowered:
    """Return a program in numbers, its guards apart."""
    return _Lowering(program, varying_slots, native_codes, special).lowered


class _Lowering:
    def __init__(
        self, program: Program, varying_slots: set[int], codes: dict[Operation, int], special: dict[str, int]
    ) -> None:
        self.program, self.codes, self.special = program, codes, special
        self.varies = [False] * program.slots
        for slot in varying_slots:
            self.varies[slot] = True
        for instruction in program.instructions:
            self.varies[instruction.out] = any(map(self.varies.__getitem__, instruction.operands))
        self.softmaxes = _together(program)
        self.lowered = lowered = Lowered()
        #: A base for each sum that varies, from the end of the slots that do not.
        uniform = self.varies.count(False)
        bases = [i for i in program.instructions if i.operation is LINEAR and self.varies[i.out]]
        self.next_base = uniform
        lowered.uniform = uniform + len(bases) + 1
        self.zero = lowered.uniform - 1
        lowered.constants[self.zero] = -0.0  # which changes no sum that it is added to
        lowered.varying = program.slots - uniform
        counts, slots = [0, lowered.uniform], []
        for varies in self.varies:
            slots.append(counts[varies])
            counts[varies] += 1
        lowered.slots = slots
        for slot, constant in program.constants.items():
            lowered.constants[lowered.slots[slot]] = constant
        # Sums over the same numbers wait to become one matrix, and what comes after them waits behind them: as they do
        # not depend on it, they may go before it.
        self.rows: list[tuple[int, int, list[int], list[int]]] = []
        self.waiting: list[list[int]] = []
        for instruction in program.instructions:
            if self.varies[instruction.out]:
                self.add_varying(instruction)
            else:
                self.add_uniform(instruction)
        self.flush()

    def softmax(self, key: tuple[Operation, tuple[int, ...]]) -> list[int]:
        """Return the instruction for all results over the same numbers."""
        operation, xs = key
        outs = [-1] * len(xs)
        for index, out in self.softmaxes.pop(key):
            outs[index] = self.lowered.slots[out]
        return [self.special[operation.name], len(xs), *outs, *(self.lowered.slots[x] for x in xs)]

    def add_uniform(self, instruction: Instruction) -> None:
        if instruction.operation in _SOFTMAXES:
            key = (instruction.operation, instruction.operands[1:])
            if key in self.softmaxes:
                self.lowered.alone.add(*self.softmax(key))
            return
        slots = [self.lowered.slots[slot] for slot in instruction.operands]
        out = self.lowered.slots[instruction.out]
        if instruction.operation is LINEAR:
            self.add_sum(out, slots[: instruction.plain], *self.halves(slots[instruction.plain :]))
        else:
            self.lowered.alone.add(*self.simple(instruction.operation, out, slots))

    def simple(self, operation: Operation, out: int, slots: Sequence[int]) -> list[int]:
        return [self.codes[operation], out, len(slots) - (operation is TAKE), *slots]

    def emit(self, numbers: list[int]) -> None:
        if self.rows:
            self.waiting.append(numbers)
        else:
            self.lowered.batch.add(*numbers)

    @staticmethod
    def halves(slots: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
        return slots[: len(slots) // 2], slots[len(slots) // 2 :]

    def add_sum(self, out: int, plain: Sequence[int], xs: Sequence[int], ys: Sequence[int]) -> None:
        alone = self.lowered.alone
        # Neighbouring slots are read eight at a time, where others are looked up one by one.
        if len(xs) >= _FEWEST_IN_A_ROW and len(plain) < 2 and _in_a_row(xs) and _in_a_row(ys) and _apart(xs, ys):
            alone.add(self.special["dot"], out, plain[0] if plain else self.zero, len(xs), xs[0], ys[0])
        else:
            alone.add(self.special["linear"], out, len(plain), len(xs), *plain, *xs, *ys)

    def add_varying(self, instruction: Instruction) -> None:
        lowered = self.lowered
        out = lowered.slots[instruction.out]
        if instruction.operation in _SOFTMAXES:
            key = (instruction.operation, instruction.operands[1:])
            if key in self.softmaxes:
                self.emit(self.softmax(key))
            return
        if instruction.operation is TANH:  # with a slot more, for its slope
            slot = lowered.uniform + lowered.varying
            lowered.varying += 1
            self.emit([self.special["tanh"], out, 1, lowered.slots[instruction.operands[0]], slot])
            return
        if instruction.operation is not LINEAR:
            slots = [lowered.slots[slot] for slot in instruction.operands]
            self.emit(self.simple(instruction.operation, out, slots))
            return
        terms: list[int] = []
        fixed: list[int] = []
        for slot in instruction.operands[: instruction.plain]:
            (terms if self.varies[slot] else fixed).append(lowered.slots[slot])
        xs: list[int] = []
        ys: list[int] = []
        weighted: list[int] = []
        weights: list[int] = []
        fixed_pairs: list[tuple[int, int]] = []
        for x, y in zip(*instruction.pairs):
            if self.varies[x] and self.varies[y]:
                xs.append(lowered.slots[x])
                ys.append(lowered.slots[y])
            elif self.varies[x] or self.varies[y]:
                weighted.append(lowered.slots[x if self.varies[x] else y])
                weights.append(lowered.slots[y if self.varies[x] else x])
            else:
                fixed_pairs.append((lowered.slots[x], lowered.slots[y]))
        base = self.base_of(fixed, fixed_pairs)
        if not terms and not xs and len(weighted) >= _FEWEST_COLUMNS and len(set(weighted)) == len(weighted):
            if self.rows and self.rows[0][2] != weighted:
                self.flush()
            self.rows.append((out, base, weighted, weights))
        else:
            self.emit(self.linear(out, base, terms, weighted, weights, xs, ys))

    def base_of(self, plain: list[int], pairs: list[tuple[int, int]]) -> int:
        """Return the slot of the part of a sum that is the same for all samples."""
        if not plain and not pairs:
            return self.zero
        if len(plain) == 1 and not pairs:
            return plain[0]
        base = self.next_base
        self.next_base += 1
        self.add_sum(base, plain, [x for x, _ in pairs], [y for _, y in pairs])
        return base

    def linear(
        self,
        out: int,
        base: int,
        terms: list[int],
        weighted: list[int],
        weights: list[int],
        xs: list[int],
        ys: list[int],
    ) -> list[int]:
        own = [slot - self.lowered.uniform for slot in weighted]
        head = [self.special["linear"], out, base, len(terms), len(weighted), len(xs)]
        return [*head, *terms, *own, *weights, *xs, *ys]

    def flush(self) -> None:
        """Write the sums that wait, and what waits behind them."""
        rows, code = self.rows, self.lowered.batch
        if len(rows) < _FEWEST_ROWS:
            for out, base, weighted, weights in rows:
                code.add(*self.linear(out, base, [], weighted, weights, [], []))
        else:
            own = [slot - self.lowered.uniform for slot in rows[0][2]]
            code.add(
                self.special["matrix"], len(rows), len(own), *(row[0] for row in rows), *(row[1] for row in rows), *own,
                *(weight for row in rows for weight in row[3]),
            )  # fmt: skip
        for numbers in self.waiting:
            code.add(*numbers)
        self.rows, self.waiting = [], []


def _together(program: Program) -> dict[tuple[Operation, tuple[int, ...]], list[tuple[int, int]]]:
    """Return the results of each softmax over the same numbers: pairs of an index and a slot."""
    found: dict[tuple[Operation, tuple[int, ...]], list[tuple[int, int]]] = {}
    for index, k in _softmax_results(program):
        instruction = program.instructions[k]
        found.setdefault((instruction.operation, instruction.operands[1:]), []).append((index, instruction.out))
    return found


def _softmax_results(program: Program) -> list[tuple[int, int]]:
    """Return which of its numbers each result of a softmax is, and which instruction."""
    instructions = Instructions.of(program.instructions)
    codes = [k for k, operation in enumerate(instructions.operations) if operation in _SOFTMAXES]
    places = np.flatnonzero(np.isin(instructions.codes, codes))
    slots = instructions.operands[instructions.starts[places]].tolist()
    if not all(map(program.constants.__contains__, slots)):
        raise NotLoweredError("softmax at an index that is no constant")
    return [(int(program.constants[slot]), k) for slot, k in zip(slots, places.tolist())]


def _in_a_row(slots: Sequence[int]) -> bool:
    return all(b - a == 1 for a, b in itertools.pairwise(slots))


def _apart(one: Sequence[int], other: Sequence[int]) -> bool:
    return abs(one[0] - other[0]) >= len(one)


_lowered = _lower_in_python if native.engine is None else _lower_in_c
