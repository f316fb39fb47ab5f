"""Run a program by the interpreter in C; choose the executor of a program."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine import native
from ..engine.operation import Operation
from ..engine.vectors import Vector, read_data
from .building import KNOWN, Ints, as_doubles, as_ints
from .native import native_tape
from .numpy_executor import DONE, LEFT, SUSPICIOUS, Executor, NumpyExecutor, Outcome, all_finite, within_tables
from .program import Instruction, Instructions, Program

#: Minimum number of varying slots for which a forward-only run reuses slots; a block of that many takes 256 KB.
_FEWEST_TO_REUSE = 256


def executor_for(program: Program, varying: Sequence[int], varying_integers: Sequence[int], threads: int) -> Executor:
    """Return an executor of a program: in C if it can be, else in NumPy.

    Args:
        program: the program.
        varying: for each number of the arguments, whether there is one for each sample.
        varying_integers: likewise for the integers.
        threads: how many may work on a batch at once.
    """
    if native_tape is not None:
        try:
            return NativeExecutor(program, varying, varying_integers, threads)
        except NotImplementedError:  # for an operation that is not of the table
            pass
    return NumpyExecutor(program)


@functools.cache
def _native_codes() -> Ints:
    """Return the interpreter's codes of the `KNOWN` operations; -1 for one that it does not run."""
    return as_ints([native_tape.OPERATION_CODES.get(operation.name, -1) for operation in KNOWN])


def in_ieee_arithmetic(operation: Operation, xs: Sequence[float]) -> float:
    """Return the value of one operation as a program computes it: infinity or NaN where the operation itself raises."""
    program = Program(
        numbers=list(range(len(xs))),
        instructions=[Instruction(operation, len(xs), tuple(range(len(xs))))],
        outputs=[len(xs)],
        slots=len(xs) + 1,
    )
    return float(executor_for(program, [False] * len(xs), [], 1).run(xs, [], None, None, True).outputs[0, 0])


def total_of(numbers: Vector) -> float:
    """Return the sum of numbers, one per sample: the same bits as a replay gives, where there are replays."""
    if native_tape is not None:
        return float(native_tape.total(np.ascontiguousarray(numbers)))
    return float(np.sum(numbers, initial=-0.0))  # an initial 0.0 would turn a single -0.0 into 0.0


class NativeExecutor:
    """Runs a program by the interpreter in C; see `Executor`.

    Attributes:
        tapes: the program in C.
        places: the place of each number and then of each integer of the arguments: the row among those that vary, or
            the slot; -1 for one that is not used.
        varies: for each of them, whether it varies.
    """

    def __init__(self, program: Program, varying: Sequence[int], varying_integers: Sequence[int], threads: int) -> None:
        self.program, self.threads = program, threads
        self.replay: Any = None
        self.varies = bytes(varying) + bytes(varying_integers)
        steps = Instructions.of(program.instructions)
        symbols: tuple[str, ...] = native.engine.COMPARISONS  # type: ignore[union-attr]
        guards = [(own.x, symbols.index(own.symbol), own.y, int(own.outcome)) for own in program.guards]
        self.tapes = native_tape.Tapes(
            steps.codes, steps.outs, steps.starts, steps.operands, steps.plain, _native_codes(), program.slots,
            as_ints(list(program.constants)), as_doubles(list(program.constants.values())),
            as_ints(list(program.leaves)),
            np.concatenate([as_ints(program.numbers), as_ints(program.integers)]),
            len(program.numbers), self.varies, as_ints(program.outputs), as_ints(guards), _FEWEST_TO_REUSE,
        )  # fmt: skip
        self.leaves = list(program.leaves.values())
        self.constants, self.leaf_slots = as_doubles(self.tapes.constants), as_ints(self.tapes.leaf_slots)
        self.places = as_ints(self.tapes.argument_slots)

    @property
    def working_bytes(self) -> int:
        """The size of the numbers of all slots, and of their adjoints, for a block of samples."""
        return 2 * 8 * int(len(self.constants) + native_tape.BLOCK * self.tapes.varying)

    def run(
        self, numbers: Sequence[Any] | Vector, integers: Sequence[Any], samples: int | None, seeds: Any, ignore: bool
    ) -> Outcome:
        """Run the program; see `Executor`."""
        integers, wrong = within_tables(self.program, integers, samples)
        if np.any(wrong):  # a run without a backward pass, whose results the other samples have
            outcome = self.run(numbers, integers, samples, None, ignore)
            done = outcome.status == DONE
            outcome.status[done] = DONE if seeds is None else LEFT
            outcome.status[done & np.broadcast_to(wrong, len(done))] = SUSPICIOUS
            return outcome
        count = 1 if samples is None else samples
        uniform, inputs = self.constants.copy(), np.empty((self.tapes.inputs, count))
        if self.leaves:
            uniform[self.leaf_slots] = read_data(self.leaves)
        places, rest = self.places, 0
        if isinstance(numbers, np.ndarray):  # in one step
            rest, used = len(numbers), places[: len(numbers)] >= 0
            uniform[places[:rest][used]] = numbers[used]
        given = integers if rest else (*numbers, *integers)
        for place, varies, x in zip(places[rest:].tolist(), self.varies[rest:], given):
            if place >= 0:
                (inputs if varies else uniform)[place] = x
        status, outputs = np.empty(count, dtype=np.int32), np.full((len(self.program.outputs), count), np.nan)
        of_uniform, of_inputs = np.zeros_like(uniform), np.zeros_like(inputs)
        seeds = None if seeds is None else np.ascontiguousarray(seeds)
        self.tapes.run(uniform, inputs, seeds, outputs, of_uniform, of_inputs, status, self.threads, ignore)
        if seeds is None:
            return Outcome(status, outputs)
        leaves, places = of_uniform[self.leaf_slots], places[: len(numbers)]
        slopes: Any
        if isinstance(numbers, np.ndarray):
            slopes = np.where(places < 0, 0.0, of_uniform[places])
            fixed = [slopes]
        else:
            slopes = [
                0.0 if place < 0 else of_inputs[place] if varies else float(of_uniform[place])
                for place, varies in zip(places.tolist(), self.varies)
            ]
            fixed = [slope for slope, varies in zip(slopes, self.varies) if not varies]
        if not ignore and not all(map(all_finite, (leaves, of_inputs, *fixed))):
            status[status == DONE] = LEFT
        return Outcome(status, outputs, slopes, leaves)
