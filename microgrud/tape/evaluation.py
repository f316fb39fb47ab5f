"""Evaluate a call: each sample by the recording of its path through the branches, or by the function itself."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.gradients import numbers_of_gradient
from ..autodiff.trees import Structure, flatten
from ..engine import Value, topological_order
from ..engine.copying import differentiating
from ..engine.grad_mode import enable_grad
from ..engine.vectors import Vector, new_leaves
from ..functions import dot
from .branches import Branches, Recording, integers_fit
from .numpy_executor import DONE, LEFT, SUSPICIOUS, Executor, Outcome
from .recorder import CompileError
from .signature import Arguments, without_values

#: The structure of a result before that of the first sample is known.
_UNKNOWN = Structure((), (), None)


@dataclass
class Evaluation:
    """The result of a call.

    Attributes:
        structure: the structure that held the outputs.
        outputs: an array of shape (outputs, samples); one sample without a batch.
        gradients: derivatives with respect to the numbers of the arguments: a float, or for a batched one an array with
            one number per sample; a vector where the numbers of the arguments are one; empty if they are not needed.
        leaves: derivatives with respect to the Values that the function closes over: in parts, each with the Values
            and a vector with one number for each; a Value may be in several.
        data: the numbers of the Values of the only part, if they were read into a vector.
        served: the recordings that served the samples, each with its executor.
        by_recordings: whether they served all samples.
        recorded: the samples that were recorded, or could not be.
    """

    structure: Structure = _UNKNOWN
    outputs: Vector = field(default_factory=lambda: np.empty((0, 0)))
    gradients: list[Any] | Vector = field(default_factory=list)
    leaves: list[tuple[Sequence[Value], Vector]] = field(default_factory=list)
    data: Vector | None = None
    served: dict[Recording, Executor] = field(default_factory=dict)
    by_recordings: bool = True
    recorded: list[int] = field(default_factory=list)


def evaluate(
    branches: Branches, arguments: Arguments, seeds: Sequence[Any] | None, most: int = -1, of_arguments: bool = True
) -> Evaluation:
    """Compute the outputs, and with seeds the derivatives of their sum, each times its seed.

    Args:
        branches: the recordings, to which new ones are added as they are needed.
        arguments: the arguments of the call.
        seeds: a number for each output, or an array with one number per sample for each; None for no derivatives.
        most: the maximum number of samples to record; -1 for no limit.
        of_arguments: whether derivatives with respect to the arguments are needed, and not only those of the leaves.

    Raises:
        CompileError: if the function cannot be recorded. Its own errors are raised too.
    """
    run = _Run(branches, arguments, seeds, most)
    if seeds is not None and of_arguments:
        run.result.gradients = (
            np.zeros(len(run.numbers))
            if isinstance(run.numbers, np.ndarray)
            else [np.zeros(run.count) if isinstance(x, np.ndarray) else 0.0 for x in run.numbers]
        )
    run.all_samples()
    return run.result


def too_many_paths(most: int) -> CompileError:
    """Return the error for a batch that needs too many recordings."""
    return CompileError(
        f"expected at most {most} different paths or integer arguments in one batch, got more; write the branch as an "
        "operation: where(), relu(), maximum(), clip(), or look up with microgrud.take(table, k)"
    )


class _Group(NamedTuple):
    """Samples that have left recordings at the same branches.

    Attributes:
        samples: their numbers.
        candidates: the recordings that may serve them.
        seen: how many of the recordings that this call has made have been tried.
    """

    samples: Any
    candidates: list[Recording]
    seen: int


class _Run:
    """One call in progress."""

    def __init__(self, branches: Branches, arguments: Arguments, seeds: Sequence[Any] | None, most: int) -> None:
        self.branches, self.arguments, self.seeds, self.most = branches, arguments, seeds, most
        self.settings = branches.settings
        self.count = 1 if arguments.samples is None else arguments.samples
        given = arguments.numbers
        self.numbers = given if isinstance(given, np.ndarray) else list(map(without_values, given))
        self.result = Evaluation()
        self.known: list[Recording] = []
        self.without_room = 0

    def all_samples(self) -> None:
        """Try the recordings, and record the samples that none of them serves.

        The recordings form a tree. A sample that leaves a recording at a branch shares all guards before it with the
        recordings that continue there, and only these are tried next.
        """
        added: list[Recording] = []
        self.known = list(self.branches.recordings)
        candidates = [recording for recording in self.known if self.may_serve(recording)]
        # The recording with most guards is the most selective: it is tried first.
        longest_first = sorted(candidates, key=lambda recording: -len(recording.outcomes))
        groups = [_Group(np.arange(self.count), longest_first, 0)]
        while groups:
            group = groups.pop()
            candidates = group.candidates or added[group.seen :]
            rest, seen = candidates[1:], group.seen if group.candidates else len(added)
            if candidates:
                recording = candidates[0]
                others = self.by_recording(recording, group.samples)
            else:
                sample = int(group.samples[0])
                own = self.record(sample)
                others = [(0, group.samples)] if own is None else self.by_recording(own, group.samples)
                if own is None or any((some == sample).any() for _, some in others):
                    # There is no recording, or it does not even serve its own sample: a guard depends on the last bit.
                    if own is not None:
                        self.branches.forget(own)
                    self.by_function(sample)
                    others = [(number, some[some != sample]) for number, some in others]
                    groups += [_Group(some, [], len(added)) for _, some in others if len(some)]
                    continue
                recording = own
                added.append(own)
                seen = len(added)
            groups += [_Group(some, [own for own in rest if own.continues(recording, k)], seen) for k, some in others]
        if self.without_room:
            self.branches.warn(self.without_room, self.arguments.samples)

    def record(self, sample: int) -> Recording | None:
        """Record the path of a sample; return None if it cannot be replayed, or if there are too many paths."""
        numbers, integers = self.arguments.sample(sample)
        # A recording that another thread has made in the meantime may be of the same path.
        if not self.branches.has_room(integers) and set(self.branches.recordings) <= set(self.known):
            self.without_room += 1
            return None
        if len(self.result.recorded) == self.most:
            raise too_many_paths(self.most)
        self.result.recorded.append(sample)
        try:
            own = self.branches.record(self.arguments, numbers, integers)
            self.known += [] if own is None else [own]
            return own
        except (ArithmeticError, ValueError) as error:
            self.name_sample(error, sample)
            raise

    def name_sample(self, error: Exception, sample: int) -> None:
        """Add to the message of an error which sample of the batch it belongs to."""
        if self.arguments.samples is not None and error.args and isinstance(error.args[0], str):
            error.args = (f"{error.args[0]} (sample {sample} of the batch)", *error.args[1:])

    def may_serve(self, recording: Recording) -> bool:
        """Return whether a recording is for the integers of the call; integers that vary by sample are not compared."""
        given = self.arguments.integers
        return all(
            isinstance(given[place], np.ndarray) or given[place] == number
            for place, number in recording.program.static_integers.items()
        )

    def by_recording(self, recording: Recording, samples: Any) -> list[tuple[int, Any]]:
        """Evaluate the samples that a recording serves; return the others by the number of the guard they fail at."""
        batch = self.arguments.samples
        others: list[tuple[int, Any]] = []
        if recording.program.static_integers:
            integers = self.some(self.arguments.integers, samples)
            fits = np.broadcast_to(
                integers_fit(recording.program, integers, None if batch is None else len(samples)), len(samples)
            )
            if not fits.all():
                others, samples = [(0, samples[~fits])], samples[fits]
            if not len(samples):
                return others
        outcome = self.run_some(recording, samples)
        if not outcome.status.any():
            self.take(recording, outcome, samples, slice(None))
            return others
        status = outcome.status
        done, left = status == DONE, status == LEFT
        self.take(recording, outcome, samples, done)
        if left.any():
            if left.all() and batch is not None and len(samples) > 1:
                # Their sum is not finite: halve the batch to find the samples that are the reason.
                for half in np.array_split(samples, 2):
                    self.by_recording(recording, half)
            elif left.all():
                self.by_function(int(samples[0]))
            else:
                self.by_recording(recording, samples[left])
        for sample in samples[status == SUSPICIOUS]:
            self.by_function(int(sample))
        return others + [(int(k), samples[status == k]) for k in np.unique(status[status > 0])]

    def some(self, given: Sequence[Any] | Vector, samples: Any) -> Any:
        """Return the numbers of some samples."""
        if len(samples) == self.count:
            return given
        return [x[samples] if isinstance(x, np.ndarray) else x for x in given]

    def run_some(self, recording: Recording, samples: Any) -> Outcome:
        """Run the program of a recording for some samples."""
        numbers, integers = self.some(self.numbers, samples), self.some(self.arguments.integers, samples)
        seeds = None
        if self.seeds is not None:
            seeds = np.empty((len(recording.program.outputs), len(samples)))
            for row, seed in zip(seeds, self.seeds):
                row[:] = seed[samples] if isinstance(seed, np.ndarray) else seed
        executor = recording.executor(numbers, integers, self.settings.threads)
        count = None if self.arguments.samples is None else len(samples)
        return executor.run(numbers, integers, count, seeds, self.settings.errors == "ignore")

    def take(self, recording: Recording, outcome: Outcome, samples: Any, done: Any) -> None:
        """Copy the outputs and the derivatives of the samples that are done."""
        own = samples[done]
        recording.used = time.monotonic()
        if not len(own):
            return
        self.check_structure(recording.structure, len(recording.program.outputs))
        executor = recording.executor(self.numbers, self.arguments.integers, self.settings.threads)
        self.result.served[recording] = executor
        self.result.outputs[:, own] = outcome.outputs[:, done]
        if self.seeds is None:
            return
        gradients = self.result.gradients
        if isinstance(gradients, np.ndarray):
            gradients += outcome.numbers
        else:
            for place, slopes in enumerate(outcome.numbers if gradients else ()):
                if isinstance(gradients[place], np.ndarray):
                    gradients[place][own] = slopes[done] if isinstance(slopes, np.ndarray) else slopes
                else:
                    gradients[place] += float(np.sum(slopes)) if isinstance(slopes, np.ndarray) else slopes
        if len(outcome.leaves):
            self.result.leaves.append((recording.leaves, outcome.leaves))

    def check_structure(self, structure: Structure, outputs: int) -> None:
        """Raise unless a result has the structure of those before; the first makes room for the outputs."""
        if self.result.structure is _UNKNOWN:
            self.result.structure = structure
            self.result.outputs = np.full((outputs, self.count), np.nan)
        elif (self.result.structure.shapes, self.result.structure.paths) != (structure.shapes, structure.paths):
            before, now = (own.rebuild([math.nan] * own.size) for own in (self.result.structure, structure))
            raise CompileError(
                f"expected results of one structure from all samples of a batch, got {before!r} and {now!r} with "
                "numbers in place of nan; return one structure on every path, with 0.0 for what is missing, or compile "
                "the function without batched= and call it for each sample"
            )

    def by_function(self, sample: int) -> None:
        """Evaluate a sample by the function itself, for its errors and for numbers that are not finite."""
        self.result.by_recordings = False
        self.branches.eager += 1
        numbers, integers = self.arguments.sample(sample)
        inputs = new_leaves(numbers)
        args, kwargs = self.arguments.rebuild(inputs, integers)
        try:
            with differentiating(inputs), enable_grad():
                result = self.branches.f(*args, **kwargs)
        except (ArithmeticError, ValueError) as error:
            self.name_sample(error, sample)
            raise
        outputs, structure = flatten(result, "compile: the result of the function")
        self.check_structure(structure, len(outputs))
        for row, x in zip(self.result.outputs, outputs):
            row[sample] = x._data if isinstance(x, Value) else x
        if self.seeds is None:
            return
        weights = [float(seed[sample]) if isinstance(seed, np.ndarray) else float(seed) for seed in self.seeds]
        # A zero adjoint passes nothing on, not even through an infinite slope.
        weighted = [(weight, x) for weight, x in zip(weights, outputs) if isinstance(x, Value) and weight != 0.0]
        if weighted:
            with enable_grad():
                total = dot(*zip(*weighted))  # type: ignore[call-overload]
            self.add_gradients(sample, total, inputs)

    def add_gradients(self, sample: int, output: Value, inputs: Sequence[Value]) -> None:
        """Add the derivatives of the weighted sum of the outputs of one sample.

        It takes one sweep, as in a replay: adjoints are added up before they meet an infinite slope.
        """
        own = {id(x): place for place, x in enumerate(inputs)}
        leaves = [node for node in topological_order(output) if not node._operands]
        # This changes no `grad`, to which other threads may add.
        found = numbers_of_gradient(output, leaves)
        others = [(leaf, grad) for leaf, grad in zip(leaves, found) if id(leaf) not in own]
        self.result.leaves.append(([leaf for leaf, _ in others], np.array([grad for _, grad in others])))
        for leaf, grad in zip(leaves, found):
            place = own.get(id(leaf))
            if place is None or not len(self.result.gradients):
                continue
            if isinstance(self.result.gradients[place], np.ndarray):
                self.result.gradients[place][sample] += grad
            else:
                self.result.gradients[place] += grad
