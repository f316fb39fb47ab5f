"""Who runs a program: the interpreter in C where it was built, or the one in NumPy; both take and give the same."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .. import native
from ..optim.packing import Vector, read_data
from .interpreter import COMPARISONS, as_vector, backward, forward, guards_hold
from .lowering import NotLoweredError, lower
from .program import Program

__all__ = ["DONE", "LEFT", "OTHER_BRANCH", "SUSPICIOUS", "Executor", "Outcome", "executor_for"]

#: What became of a sample: it is done; it takes another branch; the eager program may have raised; its derivatives are
#: still to be had, in a batch without such others.
DONE, OTHER_BRANCH, SUSPICIOUS, LEFT = range(4)

#: Samples to a chunk, of which a thread takes one after the other.
_CHUNK = 4096

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

    status: npt.NDArray[np.uint8]
    outputs: Vector
    numbers: list[Any]
    leaves: Vector


class Executor(Protocol):
    """Runs one program, for arguments of which the same ones have a number for each sample."""

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
            return _Native(program, varying, varying_integers, threads)
        except NotLoweredError:
            pass
    return _Numpy(program)


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


class _Numpy:
    """The interpreter in NumPy."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def run(
        self, numbers: Sequence[Any], integers: Sequence[Any], samples: int | None, seeds: Any, ignore: bool
    ) -> Outcome:
        program = self.program
        integers, wrong = _within_tables(program, integers, samples)
        count = 1 if samples is None else samples
        state = forward(program, numbers, integers, samples)
        status = np.where(np.broadcast_to(guards_hold(program, state), count), DONE, OTHER_BRANCH).astype(np.uint8)
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
            fine = ignore or all(np.all(np.isfinite(x)) for x in (*gradients, leaves))
            if fine:
                return Outcome(status, outputs, gradients, leaves)
        status[status == DONE] = LEFT
        return Outcome(status, outputs, none, np.zeros(len(program.leaves)))


class _Native:
    """The interpreter in C."""

    def __init__(
        self, program: Program, varying: Sequence[bool], varying_integers: Sequence[bool], threads: int
    ) -> None:
        self.program = program
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
        self.fixed = [
            (slots[slot], kind, place)
            for kind, given in (("number", program.numbers), ("integer", program.integers))
            for place, slot in enumerate(given)
            if slot is not None and (kind, place) not in self.inputs
        ]
        self.leaves = list(program.leaves.values())
        self.leaf_slots = np.array([slots[slot] for slot in program.leaves], dtype=np.int64)
        self.outputs = [slots[slot] for slot in program.outputs]
        self.output_varies = np.array([slot >= lowered.uniform for slot in self.outputs], dtype=bool)
        self.varying_outputs = [slot for slot in self.outputs if slot >= lowered.uniform]
        self.constants = np.zeros(lowered.uniform)
        for slot, constant in lowered.constants.items():
            self.constants[slot] = constant
        empty = np.zeros(0, dtype=np.int32)
        self.alone = native_tape.Tape(lowered.uniform, 0, *lowered.alone.arrays(), empty, empty, empty)
        self.batch = native_tape.Tape(
            lowered.uniform,
            lowered.varying,
            *lowered.batch.arrays(),
            np.array([slots[slot] for slot, _, _ in inputs], dtype=np.int32),
            np.array(self.varying_outputs, dtype=np.int32),
            np.array(lowered.guards, dtype=np.int32).ravel(),
        )

    def run(
        self, numbers: Sequence[Any], integers: Sequence[Any], samples: int | None, seeds: Any, ignore: bool
    ) -> Outcome:
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
        branch = all(
            COMPARISONS[symbol](uniform[x], uniform[y]) == outcome for x, symbol, y, outcome in lowered.uniform_guards
        )
        status = np.full(count, OTHER_BRANCH if not branch else DONE if fine else SUSPICIOUS, dtype=np.uint8)
        outputs = np.full((len(self.outputs), count), np.nan)
        gradients = np.zeros(lowered.uniform) if seeds is not None else None
        input_gradients = None
        if branch and fine and lowered.varying:
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
            self.run_batch(inputs, uniform, own_seeds, varying, input_gradients, gradients, status, ignore)
            outputs[self.output_varies] = varying
        for row, slot in zip(outputs, self.outputs):
            if slot < lowered.uniform:
                row[:] = uniform[slot]
        nothing: list[Any] = []
        if gradients is None:
            return Outcome(status, outputs, nothing, np.zeros(0))
        return self.backward(status, outputs, seeds, uniform, gradients, input_gradients, ignore)

    def run_batch(
        self,
        inputs: Vector,
        uniform: Vector,
        seeds: Vector | None,
        outputs: Vector,
        input_gradients: Vector | None,
        gradients: Vector | None,
        status: npt.NDArray[np.uint8],
        ignore: bool,
    ) -> None:
        """Run the batch in chunks, several at once; their sums are added in order, whoever is done first."""
        count = len(status)
        if count <= _CHUNK:
            self.batch.run(count, inputs, uniform, seeds, outputs, input_gradients, gradients, status, ignore)
            return

        def run_chunk(start: int) -> Vector | None:
            own = slice(start, start + _CHUNK)
            part, own_seeds = inputs[:, own].copy(), None if seeds is None else seeds[:, own].copy()
            found, slopes = np.empty((len(outputs), part.shape[1])), None if seeds is None else np.empty_like(part)
            total = None if gradients is None else np.zeros_like(gradients)
            self.batch.run(part.shape[1], part, uniform, own_seeds, found, slopes, total, status[own], ignore)
            outputs[:, own] = found
            if input_gradients is not None:
                input_gradients[:, own] = slopes
            return total

        starts = range(0, count, _CHUNK)
        threads = min(self.threads, len(starts))
        if threads == 1:
            totals: Iterable[Vector | None] = map(run_chunk, starts)
            self.add_up(totals, gradients)
        else:
            with ThreadPoolExecutor(threads) as pool:
                self.add_up(pool.map(run_chunk, starts), gradients)

    @staticmethod
    def add_up(totals: Iterable[Vector | None], gradients: Vector | None) -> None:
        for total in totals:
            if gradients is not None and total is not None:
                gradients += total

    def backward(
        self,
        status: npt.NDArray[np.uint8],
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
                gradients[slot] += float(np.sum(seed[done]))
        self.alone.run_alone(uniform, gradients)
        numbers: list[Any] = [0.0] * len(self.program.numbers)
        for slot, kind, place in self.fixed:
            if kind == "number":
                numbers[place] = float(gradients[slot])
        for k, (kind, place) in enumerate(self.inputs):
            if kind == "number":
                numbers[place] = np.zeros(len(status)) if input_gradients is None else input_gradients[k]
        leaves = gradients[self.leaf_slots]
        if not ignore and not (np.isfinite(leaves).all() and all(np.all(np.isfinite(x)) for x in numbers)):
            status[done] = LEFT
        return Outcome(status, outputs, numbers, leaves)
