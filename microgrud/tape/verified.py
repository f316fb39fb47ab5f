"""A function of one sample that is recorded and verified: each recording is compared with a call on plain numbers.

`compile` trusts its caller that a function of Values gives what it gives for plain numbers. `fit` cannot trust the
model and the loss of its caller so, and goes back to them if a recording turns out to be wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..autodiff.trees import map_leaves
from ..engine import Value, tracing
from ..engine.integers import IntegerArgument
from .branches import Branches
from .evaluation import Evaluation, evaluate
from .recorder import CompileError
from .settings import Settings
from .signature import read_arguments

#: Maximum number of recordings to keep for later batches.
_MOST_RECORDINGS = 128
#: Maximum number of paths for the same integers: unlimited here, since there is a limit per batch.
_NO_LIMIT = 2**62


class VerifiedRecordings:
    """The recordings of a function of one sample, for batches of samples.

    Args:
        f: the function; the first number of its result is verified.
        samples: a list of all samples for each argument, by the name of the argument.
        most_paths: the maximum number of recordings that a batch may add, and that its gradient may consist of.
        verify: given the arguments of a recorded call with plain numbers, and the first number of its result, raises a
            CompileError if the function gives another number for them.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        samples: dict[str, list[Any]],
        most_paths: int,
        verify: Callable[[Sequence[Any], float], None],
    ) -> None:
        self.f, self.most_paths, self.verify = f, most_paths, verify
        self.arguments = read_arguments(list(samples), list(samples.values()), {}, list(samples))
        self.branches = Branches(self._call, Settings(threads=os.cpu_count() or 1, max_paths=_NO_LIMIT))
        self._numbers, self._integers = np.array(self.arguments.numbers), np.array(self.arguments.integers)
        self._recorded: list[tuple[list[Any], float]] = []  # calls that were recorded for the present batch

    def first_sample(self) -> list[Any]:
        """Return the arguments of the first sample as a recording is given them: in lists, with floats and integers."""
        numbers, integers = self.arguments.sample(0)
        return self.arguments.rebuild([float(x) for x in numbers], integers)[0]

    def record_first(self) -> float:
        """Record the first sample, and return the first number of its result, for the caller to verify.

        Raises:
            CompileError: if it cannot be recorded. The errors of the function are raised too.
        """
        self._recorded = []
        if self.branches.record(self.arguments, *self.arguments.sample(0)) is None:
            raise CompileError("it catches the error of an operation")
        return self._recorded[0][1]

    @property
    def holds_for_integers(self) -> bool:
        """True if the recording of the first sample is valid only for that sample's integers."""
        return bool(self.branches.recordings[0].program.static_integers)

    def __call__(self, indices: Sequence[int], gradient: bool) -> Evaluation:
        """Evaluate samples, and the gradient of the mean of the first number of their results.

        Args:
            indices: the indices of the samples.
            gradient: whether to compute the gradient.

        Raises:
            CompileError: if a sample cannot be recorded, or a recording is wrong. The errors of the function are raised
                too.
        """
        self._recorded = []
        numbers, integers = (list(x[:, indices]) if len(x) else [] for x in (self._numbers, self._integers))
        arguments = replace(self.arguments, samples=len(indices), numbers=numbers, integers=integers)
        seeds = None
        if gradient:
            seeds = [1.0 / len(indices)] + [0.0] * (self.branches.recordings[0].structure.size - 1)
        result = evaluate(self.branches, arguments, seeds)
        # Recordings with a part in the gradient: a resumed run, whose recordings are new, counts the same.
        if len(result.leaves) > self.most_paths:
            raise self._too_many_paths()
        for args, number in self._recorded[::2]:
            self.verify(args, number)
        if len(self.branches.recordings) > _MOST_RECORDINGS:
            last_used = sorted(self.branches.recordings, key=lambda recording: recording.used)
            self.branches.recordings = last_used[-_MOST_RECORDINGS:]
        return result

    def _call(self, *args: Any) -> Any:
        """Call the function, and note the arguments and the result if the call is being recorded."""
        recording = tracing.current() is not None
        if recording and len(self._recorded) >= 2 * self.most_paths:  # each is recorded twice
            raise self._too_many_paths()
        result = self.f(*args)
        if recording:
            self._recorded.append((map_leaves(_plain_number, list(args)), result[0]._data))
        return result

    def _too_many_paths(self) -> CompileError:
        return CompileError(f"a batch takes more than {self.most_paths} paths through its branches, or integers")


def _plain_number(x: Any, _: str) -> Any:
    """Return a number of a sample that is being recorded as a plain number."""
    if isinstance(x, IntegerArgument):
        return x._number  # reading its index would tie the recording to this integer
    return x._data if isinstance(x, Value) else x
