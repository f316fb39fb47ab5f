"""Executors: run a program in C, or in NumPy where that was not built. Same interface, same results to rounding."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..common.forking import CachedAttribute
from ..engine import native
from ..engine.operation import Operation
from ..engine.vectors import Vector, read_data
from .graph import as_ints
from .interpreter import COMPARISONS, as_vector, backward, first_failed, forward
from .lowering import SYMBOLS, NotLoweredError, lower
from .program import Instruction, Program

__all__ = [
    "DONE",
    "LEFT",
    "SUSPICIOUS",
    "Executor",
    "Native",
    "Outcome",
    "executor_for",
    "in_ieee_arithmetic",
    "total_of",
]

#: What became of a sample: it is done; the eager program may have raised; its derivatives are still to be had, in a
#: batch without such others. A number above 0 is that of the first guard, counted from 1, that does not hold.
DONE, SUSPICIOUS, LEFT = 0, -1, -2

#: Slots that vary, of which a block takes 256 KB.
_FEWEST_TO_REUSE = 256

native_tape: Any = None
if native.engine is not None:
    try:
        native_tape = importlib.import_module("microgrud._native.tape")
    except ImportError:
        native_tape = None


@dataclass
class Outcome:
    """What a program gave for some samples.

    Attributes:
        status: what became of each sample.
        outputs: an array of shape (outputs, samples).
        numbers: derivatives by the numbers of the arguments: a float, or an array with one number a sample; None
            without seeds.
        leaves: derivatives by the leaves.
    """

    status: npt.NDArray[np.int32]
    outputs: Vector
    numbers: list[Any]
    leaves: Vector


class Executor(Protocol):
    """Runs one program, for arguments of which the same ones have a number for each sample.

    Attributes:
        replay: the whole way of a call in C, once there was one that it served; see replays.py.
    """

    replay: Any

    def run(
        self, numbers: Sequence[Any], integers: Sequence[Any], samples: int | None, seeds: Any, ignore: bool
    ) -> Outcome:
        """Run it; with seeds, an array of shape (outputs, samples), backward too; `ignore` takes NaN as a number."""


def executor_for(program: Program, varying: Sequence[bool], varying_integers: Sequence[bool], threads: int) -> Executor:
    """Return who runs a program.

    Args:
        program: the program.
        varying: for each number of the arguments, whether there is one for each sample.
        varying_integers: likewise.
        threads: how many may work on a batch at once.
    """
    if native_tape is not None:
        try:
            return Native(program, varying, varying_integers, threads)
        except NotLoweredError:
            pass
    return _Numpy(program)


def in_ieee_arithmetic(operation: Operation, xs: Sequence[float]) -> float:
    """Return the value of one operation as a program computes it: infinity or NaN where the operation itself raises."""
    program = Program(
        numbers=list(range(len(xs))),
        instructions=[Instruction(operation, len(xs), tuple(range(len(xs))))],
        outputs=[len(xs)],
        slots=len(xs) + 1,
    )
    return float(executor_for(program, [False] * len(xs), [], 1).run(xs, [], None, None, True).outputs[0, 0])


def _within_tables(program: Program, integers: Sequence[Any], samples: int | None) -> tuple[Sequence[Any], Any]:
    """Return integers that are indices of the tables they look up in, and which samples had others in their place."""
    wrong: Any = False
    for place, count in program.table_sizes.items():
        given = integers[place]
        outside = (given < 0) | (given >= count)
        if np.any(outside):
            wrong = wrong | outside
            integers = [*integers[:place], np.clip(given, 0, count - 1), *integers[place + 1 :]]
            if samples is None:
                integers[place] = int(integers[place])
    return integers, wrong


def total_of(numbers: Vector) -> float:
    """Return the sum of numbers, one a sample: to the same bits as a replay, where there are any."""
    if native_tape is not None:
        return float(native_tape.total(np.ascontiguousarray(numbers)))
    return float(np.sum(numbers, initial=-0.0))  # which begins with 0.0, and makes that of a single -0.0


def _is_finite(x: Any) -> bool:
    """Tell whether a number, or all numbers of an array, are finite."""
    return bool(np.isfinite(x).all()) if isinstance(x, np.ndarray) else math.isfinite(x)


class _Numpy:
    """The interpreter in NumPy."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.replay: Any = None

    def run(
        self, numbers: Sequence[Any], integers: Sequence[Any], samples: int | None, seeds: Any, ignore: bool
    ) -> Outcome:
        program = self.program
        integers, wrong = _within_tables(program, integers, samples)
        count = 1 if samples is None else samples
        state = forward(program, numbers, integers, samples)
        status = first_failed(program, state, count)
        status[(status == DONE) & np.broadcast_to(wrong if ignore else state.suspicious | wrong, count)] = SUSPICIOUS
        outputs = np.array([as_vector(state.values[slot], count) for slot in program.outputs]).reshape(-1, count)
        none: list[Any] = []
        if seeds is None:
            return Outcome(status, outputs, none, np.zeros(0))
        fine = bool((status == DONE).all())
        if fine:
            spread = [
                seed if samples is not None and isinstance(state.values[slot], np.ndarray) else float(np.sum(seed))
                for seed, slot in zip(seeds, program.outputs)
            ]
            adjoints = backward(program, state, spread)
            gradients = [0.0 if slot is None else adjoints[slot] for slot in program.numbers]
            leaves = np.array([float(adjoints[slot]) for slot in program.leaves])
            fine = ignore or all(map(_is_finite, (*gradients, leaves)))
            if fine:
                return Outcome(status, outputs, gradients, leaves)
        status[status == DONE] = LEFT
        return Outcome(status, outputs, none, np.zeros(len(program.leaves)))


class Native:
    """The interpreter in C."""

    def __init__(
        self, program: Program, varying: Sequence[bool], varying_integers: Sequence[bool], threads: int
    ) -> None:
        self.program = program
        self.replay: Any = None
        self.threads = threads
        inputs = [
            (slot, kind, place)
            for kind, slots, flags in (
                ("number", program.numbers, varying),
                ("integer", program.integers, varying_integers),
            )
            for place, (slot, varies) in enumerate(zip(slots, flags))
            if slot is not None and varies
        ]
        special = {
            "linear": native_tape.CODE_LINEAR,
            "matrix": native_tape.CODE_MATRIX,
            "take": native_tape.CODE_TAKE,
            "detach": native_tape.CODE_DETACH,
            "dot": native_tape.CODE_DOT,
            "softmax": native_tape.CODE_SOFTMAX,
            "log_softmax": native_tape.CODE_LOG_SOFTMAX,
            "tanh": native_tape.CODE_TANH,
        }
        self.lowered = lowered = lower(program, {slot for slot, _, _ in inputs}, native_tape.OPERATION_CODES, special)
        slots = lowered.slots
        self.inputs = [(kind, place) for _, kind, place in inputs]
        varies = set(self.inputs)
        self.fixed = [
            (slots[slot], kind, place)
            for kind, given in (("number", program.numbers), ("integer", program.integers))
            for place, slot in enumerate(given)
            if slot is not None and (kind, place) not in varies
        ]
        self.input_slots = [int(slots[slot]) for slot, _, _ in inputs]
        self.leaves = list(program.leaves.values())
        self.leaf_slots = np.array([slots[slot] for slot in program.leaves], dtype=np.int64)
        self.outputs = [slots[slot] for slot in program.outputs]
        self.output_varies = np.array([slot >= lowered.uniform for slot in self.outputs], dtype=bool)
        self.varying_outputs = [slot for slot in self.outputs if slot >= lowered.uniform]
        self.constants = np.zeros(lowered.uniform)
        for slot, constant in lowered.constants.items():
            self.constants[slot] = constant
        empty = np.zeros(0, dtype=np.int32)
        constants = np.array(list(lowered.constants), dtype=np.int32)
        self.alone = native_tape.Tape(
            lowered.uniform,
            0,
            *lowered.alone.arrays(),
            empty,
            empty,
            empty,
            constants,
            None,
            False,
            not lowered.varying,
        )
        self.batch = native_tape.Tape(
            lowered.uniform,
            lowered.varying,
            *lowered.batch.arrays(),
            np.array(self.input_slots, dtype=np.int32),
            np.array(self.varying_outputs, dtype=np.int32),
            np.array(lowered.guards, dtype=np.int32).ravel(),
            constants,
        )
        guards = [
            (slots[guard.x], SYMBOLS[guard.symbol], slots[guard.y], int(guard.outcome)) for guard in program.guards
        ]
        alone = [max(x, y) < lowered.uniform for x, _, y, _ in guards]
        self.uniform_guards = np.array([guard for guard, own in zip(guards, alone) if own], dtype=np.int32).ravel()
        #: The numbers of the guards, counted from 1, among all of them.
        self.alone_numbers = [k + 1 for k, own in enumerate(alone) if own]
        self.batch_numbers = np.array([0, *(k + 1 for k, own in enumerate(alone) if not own)], dtype=np.int32)

    @CachedAttribute
    def forward(self) -> Any:
        """The batch for runs without a backward pass: with fewer slots, where all of them are more than the cache."""
        lowered = self.lowered
        if lowered.varying < _FEWEST_TO_REUSE:
            return self.batch
        forward = lowered.forward
        places = [
            as_ints([int(forward.slots[slot]) for slot in own]) for own in (self.input_slots, self.varying_outputs)
        ]
        guards = as_ints([number for guard in forward.guards for number in guard])
        return native_tape.Tape(
            lowered.uniform, forward.varying, *forward.batch.arrays(), *places, guards, as_ints([]), None, True
        )

    def run(
        self, numbers: Sequence[Any], integers: Sequence[Any], samples: int | None, seeds: Any, ignore: bool
    ) -> Outcome:
        """Run it; see `Executor`."""
        program, lowered = self.program, self.lowered
        integers, wrong = _within_tables(program, integers, samples)
        if np.any(wrong):  # the others have their turn without them
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
                for number, (x, symbol, y, outcome) in zip(self.alone_numbers, lowered.uniform_guards)
                if COMPARISONS[symbol](uniform[x], uniform[y]) != outcome
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
                own_seeds = np.ascontiguousarray(
                    [seed for seed, slot in zip(seeds, self.outputs) if slot >= lowered.uniform], dtype=np.float64
                ).reshape(-1, count)
            (self.batch if seeds is not None else self.forward).run(
                count, inputs, uniform, own_seeds, varying, input_gradients, gradients, status, ignore, self.threads
            )
            status[:] = np.where(status > 0, self.batch_numbers[np.maximum(status, 0)], status)
            outputs[self.output_varies] = varying
        for row, slot in zip(outputs, self.outputs):
            if slot < lowered.uniform:
                row[:] = uniform[slot]
        nothing: list[Any] = []
        if gradients is None:
            return Outcome(status, outputs, nothing, np.zeros(0))
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
        """Finish the backward pass with what is the same for all samples."""
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
        if not ignore and not (np.isfinite(leaves).all() and all(map(_is_finite, numbers))):
            status[done] = LEFT
        return Outcome(status, outputs, numbers, leaves)
