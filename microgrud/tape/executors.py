"""Run a program by the interpreter in C; choose the executor of a program."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..common.forking import CachedAttribute
from ..engine import native
from ..engine.operation import Operation
from ..engine.vectors import Vector, read_data
from .graph import as_ints
from .lowering import NotLoweredError, lower
from .numpy_executor import DONE, LEFT, SUSPICIOUS, Executor, NumpyExecutor, Outcome, all_finite, within_tables
from .program import COMPARISONS, SYMBOLS, Instruction, Program

#: Minimum number of varying slots for which a forward-only run reuses slots; a block of that many takes 256 KB.
_FEWEST_TO_REUSE = 256

native_tape: Any = None
if native.engine is not None:
    try:
        native_tape = importlib.import_module("microgrud._native.tape")
    except ImportError:
        native_tape = None


def executor_for(program: Program, varying: Sequence[bool], varying_integers: Sequence[bool], threads: int) -> Executor:
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
        except NotLoweredError:
            pass
    return NumpyExecutor(program)


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
    """Runs a program by the interpreter in C; see `Executor`."""

    def __init__(
        self, program: Program, varying: Sequence[bool], varying_integers: Sequence[bool], threads: int
    ) -> None:
        self.program = program
        self.replay: Any = None
        self.threads = threads
        used = [
            (slot, kind, place, varies)
            for kind, slots, flags in (
                ("number", program.numbers, varying),
                ("integer", program.integers, varying_integers),
            )
            for place, (slot, varies) in enumerate(zip(slots, flags))
            if slot is not None
        ]
        self.lowered = lowered = lower(program, [slot for slot, _, _, varies in used if varies], native_tape)
        slots = lowered.slots
        #: The numbers and integers that vary, and those that do not with their slots.
        self.inputs = [(kind, place) for _, kind, place, varies in used if varies]
        self.fixed = [(int(slots[slot]), kind, place) for slot, kind, place, varies in used if not varies]
        self.leaves = list(program.leaves.values())
        self.leaf_slots = slots[list(program.leaves)]
        self.outputs = lowered.outputs
        self.output_varies = np.array([slot >= lowered.uniform for slot in self.outputs], dtype=bool)
        self.varying_outputs = [slot for slot in self.outputs if slot >= lowered.uniform]
        self.constants = np.zeros(lowered.uniform)
        self.constants[list(lowered.constants)] = list(lowered.constants.values())
        none, constants = as_ints([]), as_ints(list(lowered.constants))
        self.alone = native_tape.Tape(
            lowered.uniform, 0, lowered.alone.numbers, lowered.alone.starts, none, none, none, constants, None, False,
            not lowered.varying,
        )  # fmt: skip
        self.batch = native_tape.Tape(
            lowered.uniform, lowered.varying, lowered.batch.numbers, lowered.batch.starts, as_ints(lowered.inputs),
            as_ints(self.varying_outputs), as_ints(lowered.guards).ravel(), constants,
        )  # fmt: skip

    @property
    def working_bytes(self) -> int:
        """The size of the numbers of all slots, and of their adjoints, for a block of samples."""
        return 2 * 8 * int(self.lowered.uniform + native_tape.BLOCK * self.lowered.varying)

    @CachedAttribute
    def forward(self) -> Any:
        """The tape of runs without a backward pass: with fewer slots, where the slots of a block exceed the cache."""
        return self.batch if self.lowered.varying < _FEWEST_TO_REUSE else self.reusing_slots()

    def reusing_slots(self) -> Any:
        """Return the batch as a tape that runs forward alone, and gives slots to later results."""
        lowered, forward = self.lowered, self.lowered.forward
        inputs, outputs = forward.slots[lowered.inputs], forward.slots[self.varying_outputs]
        return native_tape.Tape(
            lowered.uniform, forward.varying, forward.batch.numbers, forward.batch.starts, inputs, outputs,
            forward.guards, as_ints([]), None, True,
        )  # fmt: skip

    def run(
        self, numbers: Sequence[Any], integers: Sequence[Any], samples: int | None, seeds: Any, ignore: bool
    ) -> Outcome:
        """Run the program; see `Executor`."""
        program, lowered = self.program, self.lowered
        integers, wrong = within_tables(program, integers, samples)
        if np.any(wrong):  # a run without a backward pass, whose results the other samples have
            outcome = self.run(numbers, integers, samples, None, ignore)
            done = outcome.status == DONE
            outcome.status[done] = DONE if seeds is None else LEFT
            outcome.status[done & np.broadcast_to(wrong, len(done))] = SUSPICIOUS
            return outcome
        count = 1 if samples is None else samples
        given = {"number": numbers, "integer": integers}
        uniform = self.constants.copy()
        if self.leaves:
            uniform[self.leaf_slots] = read_data(self.leaves)
        for slot, kind, place in self.fixed:
            uniform[slot] = given[kind][place]
        fine = self.alone.run_alone(uniform, None) or ignore
        failed = next(
            (
                number
                for number, (x, symbol, y, outcome) in zip(lowered.uniform_numbers, lowered.uniform_guards)
                if COMPARISONS[SYMBOLS[symbol]](uniform[x], uniform[y]) != outcome
            ),
            DONE,
        )
        status = np.full(count, failed or (DONE if fine else SUSPICIOUS), dtype=np.int32)
        outputs = np.full((len(self.outputs), count), np.nan)
        gradients = np.zeros(lowered.uniform) if seeds is not None else None
        input_gradients = None
        if not failed and fine and lowered.varying:
            inputs = np.empty((len(self.inputs), count))
            for row, (kind, place) in zip(inputs, self.inputs):
                row[:] = given[kind][place]
            varying = np.empty((len(self.varying_outputs), count))
            own_seeds = None
            if seeds is not None:
                input_gradients = np.zeros_like(inputs)
                own_seeds = np.ascontiguousarray(seeds[self.output_varies])
            (self.batch if seeds is not None else self.forward).run(
                count, inputs, uniform, own_seeds, varying, input_gradients, gradients, status, ignore, self.threads
            )
            numbers_of_guards = np.array([0, *lowered.batch_numbers], dtype=np.int32)
            status[:] = np.where(status > 0, numbers_of_guards[np.maximum(status, 0)], status)
            outputs[self.output_varies] = varying
        for row, slot in zip(outputs, self.outputs):
            if slot < lowered.uniform:
                row[:] = uniform[slot]
        if gradients is None:
            return Outcome(status, outputs)
        return self.backward(status, outputs, seeds, uniform, gradients, input_gradients, ignore)

    def backward(
        self,
        status: npt.NDArray[np.int32],
        outputs: Vector,
        seeds: Any,
        uniform: Vector,
        gradients: Vector,
        input_gradients: Vector | None,
        ignore: bool,
    ) -> Outcome:
        """Finish the backward pass with the slots that are the same for all samples."""
        done = status == DONE
        for seed, slot in zip(seeds, self.outputs):
            if slot < self.lowered.uniform:
                gradients[slot] += total_of(seed[done])
        self.alone.run_alone(uniform, gradients)
        numbers: list[Any] = [0.0] * len(self.program.numbers)
        for slot, kind, place in self.fixed:
            if kind == "number":
                numbers[place] = float(gradients[slot])
        for k, (kind, place) in enumerate(self.inputs):
            if kind == "number":
                numbers[place] = np.zeros(len(status)) if input_gradients is None else input_gradients[k]
        leaves = gradients[self.leaf_slots]
        if not ignore and not all(map(all_finite, (leaves, *numbers))):
            status[done] = LEFT
        return Outcome(status, outputs, numbers, leaves)
