"""Structural sparsity: the inputs that each number of a program depends on, and what follows for its Jacobian."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..autodiff.trees import flatten
from ..engine.operation import Operation
from ..engine.ops import LESS
from .program import Instructions, Program
from .recorder import DETACH
from .signature import Arguments

#: The rules of operations without a derivative.
_FLAT = {*LESS.partials, *DETACH.partials}  # type: ignore[misc]


def places_of(arguments: Arguments, positions: Sequence[int]) -> list[list[int]]:
    """Return the places of the numbers of some arguments, argument by argument, among the numbers of all."""
    places, _ = arguments.rebuild(list(map(float, range(len(arguments.numbers)))), [0] * len(arguments.integers), None)
    return [[int(x) for x in flatten(places[k], "arguments")[0]] for k in positions]


def dependencies(program: Program, places: Sequence[int]) -> dict[int, int]:
    """Return, for each slot that depends on inputs, which: bit k is set for the input at places[k].

    >>> from microgrud.tape.program import Instruction
    >>> from microgrud.engine.ops import ADD, TANH
    >>> steps = [Instruction(TANH, 3, (1,)), Instruction(ADD, 4, (0, 3))]
    >>> dependencies(Program(numbers=[0, 1, 2], instructions=steps, outputs=[4], slots=5), [0, 1])
    {0: 1, 1: 2, 3: 2, 4: 3}
    """
    bits = {slot: 1 << k for k, place in enumerate(places) if (slot := program.numbers[place]) is not None}
    for out, operands in _steps(program):
        own = 0
        for slot in operands:
            own |= bits.get(slot, 0)
        if own:
            bits[out] = own
    return bits


@dataclass(frozen=True, eq=False)
class Pattern:
    """The derivatives of a Jacobian that are not always 0, row by row, and the sweeps that compute them.

    Derivatives that one sweep computes together do not meet: columns with no row in common in forward mode, and rows
    with no column in common in reverse mode. A tridiagonal Jacobian of any size takes three sweeps.

    Attributes:
        rows: the row of each derivative.
        columns: the column of each.
        by_rows: whether the sweeps are in reverse mode.
        sweeps: the sweep of each column, or row.
        count: how many sweeps there are.
        operands: how many operands the instructions have.
        sizes: how many columns each argument has.
    """

    rows: np.ndarray
    columns: np.ndarray
    by_rows: bool
    sweeps: np.ndarray
    count: int
    operands: int
    sizes: list[int]

    @property
    def directions(self) -> np.ndarray:
        """The directions of all sweeps: row k has a 1 for each column, or row, that sweep k computes."""
        made: np.ndarray = np.equal(self.sweeps, np.arange(self.count)[:, None]).astype(np.float64)
        return made


def pattern_of(program: Program, places: Sequence[Sequence[int]], in_reverse: bool = True) -> Pattern:
    """Return the pattern of the Jacobian of a program with respect to the numbers at places.

    Args:
        program: the program.
        places: the places of the inputs, argument by argument.
        in_reverse: whether sweeps may be in reverse mode.

    >>> from microgrud.tape.program import Instruction
    >>> from microgrud.engine.ops import MULTIPLY
    >>> steps = [Instruction(MULTIPLY, 3 + k, (k, k + 1)) for k in range(2)]
    >>> pattern = pattern_of(Program(numbers=[0, 1, 2], instructions=steps, outputs=[3, 4], slots=5), [[0, 1, 2]])
    >>> list(zip(pattern.rows.tolist(), pattern.columns.tolist())), pattern.directions.tolist()
    ([(0, 0), (0, 1), (1, 1), (1, 2)], [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    """
    sizes, m = list(map(len, places)), len(program.outputs)
    bits, n = dependencies(program, [place for own in places for place in own]), sum(sizes)
    width = (n + 7) // 8
    found = {
        own: np.flatnonzero(np.unpackbits(np.frombuffer(own.to_bytes(width, "little"), np.uint8), bitorder="little"))
        for own in {bits.get(slot, 0) for slot in program.outputs}
    }
    of_rows = [found[bits.get(slot, 0)] for slot in program.outputs]
    rows = np.repeat(np.arange(m), [len(own) for own in of_rows])
    columns = np.concatenate([*of_rows, np.zeros(0, dtype=np.int64)])
    forward = _sweeps(columns, rows, n, m)
    reverse = _sweeps(rows, columns, m, n) if in_reverse and m <= forward.max(initial=-1) else forward
    by_rows = reverse.max(initial=-1) < forward.max(initial=-1)
    sweeps = reverse if by_rows else forward
    operands = len(Instructions.of(program.instructions).operands)
    return Pattern(rows, columns, by_rows, sweeps, int(sweeps.max(initial=-1)) + 1, operands, sizes)


def _sweeps(lines: np.ndarray, others: np.ndarray, count: int, other_count: int) -> np.ndarray:
    """Return the sweep of each line: the first whose lines share no crossing line with it."""
    order = np.argsort(lines, kind="stable")
    crossing, ends = others[order].tolist(), np.searchsorted(lines[order], np.arange(count + 1)).tolist()
    taken, sweeps = [0] * other_count, []
    for start, end in itertools.pairwise(ends):
        used = 0
        for k in crossing[start:end]:
            used |= taken[k]
        own = ~used & (used + 1)  # the lowest bit that is not used
        for k in crossing[start:end]:
            taken[k] |= own
        sweeps.append(own.bit_length() - 1)
    return np.array(sweeps, dtype=np.int64)


def sweeps_are_few(programs: Sequence[Program], places: Sequence[Sequence[int]], by_rows: bool, most: int) -> bool:
    """Return whether all sweeps through programs pass at most so many operands, without those that are always 0.

    Args:
        programs: the programs.
        places: the places of the inputs.
        by_rows: whether the sweeps are those of the outputs, in reverse mode.
        most: the largest number of operands.
    """
    if (
        sum(len(Instructions.of(program.instructions).operands) for program in programs) > most
    ):  # most of them depend on an input
        return False
    if all(len(program.outputs) == 1 for program in programs) and by_rows:
        return True
    passed = 0
    for program in programs:
        inputs = dependencies(program, [place for own in places for place in own])
        if not by_rows:
            passed += sum(inputs.get(slot, 0).bit_count() for _, operands in _steps(program) for slot in operands)
            continue
        outputs: dict[int, int] = {}
        for k, slot in enumerate(program.outputs):
            outputs[slot] = outputs.get(slot, 0) | 1 << k
        for out, operands in reversed(list(_steps(program))):
            own = outputs.get(out, 0)
            for slot in operands:
                if slot in inputs:
                    outputs[slot] = outputs.get(slot, 0) | own
                    passed += own.bit_count()
    return passed <= most


def _steps(program: Program) -> Iterator[tuple[int, list[int]]]:
    """Yield the slot of the result of each instruction, and the slots of the operands that it has derivatives by."""
    steps = Instructions.of(program.instructions)
    starts, operands = steps.starts.tolist(), steps.operands.tolist()
    flat = {code: rules for code, rules in enumerate(map(_flat_operands, steps.operations)) if any(rules)}
    for code, out, start, end in zip(steps.codes.tolist(), steps.outs.tolist(), starts, starts[1:]):
        own = operands[start:end]
        yield out, [slot for slot, is_flat in zip(own, flat[code]) if not is_flat] if code in flat else own


def _flat_operands(operation: Operation) -> list[bool]:
    """Return, for each operand, whether no result has a derivative with respect to it, as in a comparison."""
    rules = operation.partials if isinstance(operation.partials, tuple) else ()
    return [rule in _FLAT for rule in rules]
