"""Evaluating a compiled function: each sample by the recording of the way it takes, or by the function itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.gradients import gradient
from ..autodiff.trees import Structure, flatten
from ..engine import Value, topological_order
from ..engine.copying import carrying
from ..engine.grad_mode import enable_grad
from ..engine.vectors import Vector
from .arguments import Arguments
from .family import Family, Path, integers_fit
from .numpy_executor import DONE, LEFT, SUSPICIOUS, Executor, Outcome
from .recorder import CompileError

__all__ = ["Evaluation", "evaluate"]


@dataclass
class Evaluation:
    """What a call gave.

    Attributes:
        structure: what the outputs were in.
        outputs: an array of shape (outputs, samples); one sample without a batch.
        gradients: by the numbers of the arguments: a float, or for a batched one an array with one number a sample.
        leaves: derivatives by the Values that the function closes over: in parts, each a list of Values and a vector
            with one number for each; a Value may be in several.
        served: the recordings that served the samples, each with who ran it.
        by_recordings: whether they served all of them.
    """

    structure: Structure | None = None
    outputs: Vector = field(default_factory=lambda: np.empty((0, 0)))
    gradients: list[Any] = field(default_factory=list)
    leaves: list[tuple[list[Value], Vector]] = field(default_factory=list)
    served: dict[Path, Executor] = field(default_factory=dict)
    by_recordings: bool = True


def evaluate(family: Family, arguments: Arguments, seeds: Sequence[Any] | None, errors: str) -> Evaluation:
    """Compute the outputs, and with seeds the derivatives of their sum, each times its seed.

    Args:
        family: the recordings, to which new ones are added as they are needed.
        arguments: of the call.
        seeds: a number for each output, or an array with one number a sample for each; None for no derivatives.
        errors: `"raise"`: a sample whose numbers are not finite is evaluated by the function itself, which raises what
            it raises; `"ignore"`: it stays as it is.

    Raises:
        CompileError: if the function cannot be recorded. What the function raises, it raises here too.
    """
    run = _Run(family, arguments, seeds, errors)
    run.all_samples()
    return run.result


class _Group(NamedTuple):
    """Samples that have left recordings at the same branches, and the recordings that they may take.

    `seen` of the recordings that this call has made have been tried.
    """

    samples: Any
    candidates: list[Path]
    seen: int


class _Run:
    def __init__(self, family: Family, arguments: Arguments, seeds: Sequence[Any] | None, errors: str) -> None:
        self.family, self.arguments, self.seeds, self.errors = family, arguments, seeds, errors
        self.count = 1 if arguments.samples is None else arguments.samples
        self.numbers = list(map(_without_history, arguments.numbers))
        self.result = Evaluation()
        self.result.gradients = [np.zeros(self.count) if isinstance(x, np.ndarray) else 0.0 for x in self.numbers]

    def all_samples(self) -> None:
        """Go through the recordings, and record what none of them is right for.

        They are a tree: what a sample has in common with a recording that it leaves at a branch, it has in common with
        those that go on from there, and no others are tried.
        """
        added: list[Path] = []
        candidates = [path for path in list(self.family.paths) if self.may_serve(path)]
        longest_first = sorted(candidates, key=lambda path: -len(path.outcomes))  # it tells most of a sample
        groups = [_Group(np.arange(self.count), longest_first, 0)]
        while groups:
            group = groups.pop()
            candidates = group.candidates or added[group.seen :]
            rest, seen = candidates[1:], group.seen if group.candidates else len(added)
            if candidates:
                path, samples = candidates[0], group.samples
                others = self.by_path(path, samples)
            else:
                own, sample = self.recorded(group)
                others = [(0, group.samples)] if own is None else self.by_path(own, group.samples)
                if own is None or any((some == sample).any() for _, some in others):
                    # No path, or not even its own: a branch hangs on its last digit.
                    if own is not None:
                        self.family.forget(own)
                    self.by_function(sample)
                    others = [(number, some[some != sample]) for number, some in others]
                    groups += [_Group(some, [], len(added)) for _, some in others if len(some)]
                    continue
                path = own
                added.append(own)
                seen = len(added)
            groups += [_Group(some, [p for p in rest if p.goes_on_from(path, k)], seen) for k, some in others]

    def recorded(self, group: _Group) -> tuple[Path | None, int]:
        """Record the way of the first sample of a group.

        Returns:
            The recording, None if it cannot be replayed, and the sample.
        """
        sample = int(group.samples[0])
        return self.recording_of(sample), sample

    def recording_of(self, sample: int) -> Path | None:
        try:
            return self.family.add(self.arguments, *self.arguments.sample(sample))
        except (ArithmeticError, ValueError) as error:
            self.name_sample(error, sample)
            raise

    def name_sample(self, error: Exception, sample: int) -> None:
        """Say in the message of an error which sample of a batch it is of."""
        if self.arguments.samples is not None and error.args and isinstance(error.args[0], str):
            error.args = (f"{error.args[0]} (sample {sample} of the batch)", *error.args[1:])

    def may_serve(self, path: Path) -> bool:
        """Tell whether a recording is for the integers of the call, but for those of which there is one a sample."""
        given = self.arguments.integers
        return all(
            isinstance(given[place], np.ndarray) or given[place] == number
            for place, number in path.program.static_integers.items()
        )

    def by_path(self, path: Path, samples: Any) -> list[tuple[int, Any]]:
        """Evaluate those of the samples that take a path; return the others by the number of the guard they fail at."""
        batch = self.arguments.samples
        others: list[tuple[int, Any]] = []
        if path.program.static_integers:
            integers = self.some(self.arguments.integers, samples)
            fits = np.broadcast_to(
                integers_fit(path.program, integers, None if batch is None else len(samples)), len(samples)
            )
            if not fits.all():
                others, samples = [(0, samples[~fits])], samples[fits]
            if not len(samples):
                return others
        outcome = self.run_some(path, samples)
        if not outcome.status.any():
            self.take(path, outcome, samples, slice(None))
            return others
        status = outcome.status
        done, left = status == DONE, status == LEFT
        self.take(path, outcome, samples, done)
        if left.any():
            if left.all() and batch is not None and len(samples) > 1:
                # Their sum is not finite: half by half, to find out which are to blame.
                for half in np.array_split(samples, 2):
                    self.by_path(path, half)
            elif left.all():
                self.by_function(int(samples[0]))
            else:
                self.by_path(path, samples[left])
        for sample in samples[status == SUSPICIOUS]:
            self.by_function(int(sample))
        return others + [(int(k), samples[status == k]) for k in np.unique(status[status > 0])]

    def some(self, given: Sequence[Any], samples: Any) -> Sequence[Any]:
        """Return the numbers of some samples."""
        if len(samples) == self.count:
            return given
        return [x[samples] if isinstance(x, np.ndarray) else x for x in given]

    def run_some(self, path: Path, samples: Any) -> Outcome:
        numbers, integers = self.some(self.numbers, samples), self.some(self.arguments.integers, samples)
        seeds = None
        if self.seeds is not None:
            seeds = np.empty((len(path.program.outputs), len(samples)))
            for row, seed in zip(seeds, self.seeds):
                row[:] = seed[samples] if isinstance(seed, np.ndarray) else seed
        executor = path.executor(numbers, integers)
        count = None if self.arguments.samples is None else len(samples)
        return executor.run(numbers, integers, count, seeds, self.errors == "ignore")

    def take(self, path: Path, outcome: Outcome, samples: Any, done: Any) -> None:
        """Write the outputs and the derivatives of the samples down that are done."""
        program = path.program
        self.shaped(path.structure, len(program.outputs))
        own = samples[done]
        path.used = time.monotonic()
        if len(own):
            self.result.served[path] = path.executor(self.numbers, self.arguments.integers)
        self.result.outputs[:, own] = outcome.outputs[:, done]
        if self.seeds is None or not len(own):
            return
        for place, slopes in enumerate(outcome.numbers):
            if isinstance(self.result.gradients[place], np.ndarray):
                self.result.gradients[place][own] = slopes[done] if isinstance(slopes, np.ndarray) else slopes
            else:
                self.result.gradients[place] += float(np.sum(slopes)) if isinstance(slopes, np.ndarray) else slopes
        if len(outcome.leaves):
            self.result.leaves.append((path.leaves, outcome.leaves))

    def shaped(self, structure: Structure, outputs: int) -> None:
        """Make room for the outputs, or see to it that there are as many as before."""
        if self.result.structure is None:
            self.result.structure = structure
            self.result.outputs = np.full((outputs, self.count), np.nan)
        elif (self.result.structure.shapes, self.result.structure.paths) != (structure.shapes, structure.paths):
            raise CompileError(
                "the function returns another structure for some samples; let it return the same for all"
            )

    def by_function(self, sample: int) -> None:
        """Evaluate a sample by the function itself: with its errors, and its numbers where they are not finite."""
        self.result.by_recordings = False
        numbers, integers = self.arguments.sample(sample)
        inputs = [Value(x._data if isinstance(x, Value) else x) for x in numbers]
        args, kwargs = self.arguments.rebuild(inputs, integers)
        try:
            with carrying(inputs), enable_grad():
                result = self.family.f(*args, **kwargs)
        except (ArithmeticError, ValueError) as error:
            self.name_sample(error, sample)
            raise
        outputs, structure = flatten(result, "compile: the result of the function")
        self.shaped(structure, len(outputs))
        for row, x in zip(self.result.outputs, outputs):
            row[sample] = x._data if isinstance(x, Value) else x
        if self.seeds is None:
            return
        for seed, output in zip(self.seeds, outputs):
            if isinstance(output, Value):
                weight = float(seed[sample]) if isinstance(seed, np.ndarray) else float(seed)
                if weight != 0.0:  # a zero adjoint passes nothing on, not even through an infinite slope
                    self.add_gradients(sample, output, weight, inputs)

    def add_gradients(self, sample: int, output: Value, weight: float, inputs: Sequence[Value]) -> None:
        """Add the derivatives of one output of one sample, times its weight."""
        own = {id(x): place for place, x in enumerate(inputs)}
        leaves = [node for node in topological_order(output) if not node._operands]
        found = [x._data for x in gradient(output, leaves)]  # which touches no grad: other threads may add to them
        others = [(leaf, grad) for leaf, grad in zip(leaves, found) if id(leaf) not in own]
        self.result.leaves.append(([leaf for leaf, _ in others], weight * np.array([grad for _, grad in others])))
        for leaf, grad in zip(leaves, found):
            place = own.get(id(leaf))
            if place is None:
                continue
            if isinstance(self.result.gradients[place], np.ndarray):
                self.result.gradients[place][sample] += weight * grad
            else:
                self.result.gradients[place] += weight * grad


def _without_history(x: Any) -> Any:
    """Return the number of a Value, and an array of Values as an array of their numbers."""
    if isinstance(x, np.ndarray) and x.dtype == object:
        return np.array([_without_history(item) for item in x], dtype=np.float64)
    return x._data if isinstance(x, Value) else x
