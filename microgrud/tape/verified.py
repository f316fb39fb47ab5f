"""A function of one sample that is recorded and verified: each recording is compared with a call on plain numbers.

`compile` trusts its caller that a function of Values gives what it gives for plain numbers. `fit` cannot trust the
model and the loss of its caller so, and goes back to them if a recording turns out to be wrong.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..engine import Value
from ..engine.vectors import read_data
from .branches import Branches, Recording
from .evaluation import Evaluation, evaluate, too_many_paths
from .recorder import CompileError
from .replays import replay_of
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
        samples: an array of all samples for each argument, by the name of the argument: floats or 64-bit integers,
            which the function gets as numbers or in lists.
        most_paths: the maximum number of recordings that a batch may add, and that its gradient may consist of.
        parameters: an order for leaves: a replay with a gradient reads and differentiates all of these, if it can.
        drawn: the numbers of the first call in a further argument, the last, such as random numbers: each batch gives
            them anew.
        threads: the number of threads of a replay; None for as many as there are processors.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        samples: dict[str, np.ndarray],
        most_paths: int,
        parameters: Sequence[Value] = (),
        drawn: Sequence[float] = (),
        threads: int | None = None,
    ) -> None:
        self.most_paths, self.parameters = most_paths, tuple(parameters)
        self._places: tuple[Recording, np.ndarray] | None = None  # of the leaves among the parameters
        self.branches = Branches(f, Settings(threads=threads or os.cpu_count() or 1, max_paths=_NO_LIMIT))
        self._batches = list(samples.values())
        self._drawn = np.array([drawn], dtype=np.float64) if len(drawn) else None
        first = [batch[:1].tolist() for batch in self._batches]  # has the structure of all of them
        first += [] if self._drawn is None else [self._drawn.tolist()]
        names = [*samples, "drawn"][: len(first)]
        self.arguments = read_arguments(names, first, {}, names)

    def use(self, samples: dict[str, np.ndarray]) -> None:
        """Take other samples for the arguments from now on, in arrays like those before."""
        self._batches = list(samples.values())

    def first_sample(self) -> list[Any]:
        """Return the arguments of the first sample as a recording is given them: in lists, with floats and integers."""
        numbers, integers = self.arguments.sample(0)
        return self.arguments.rebuild([float(x) for x in numbers], integers)[0]

    def record_first(self, verify: Callable[[int, float], None]) -> None:
        """Record the first sample, and verify the recording as for a call.

        Raises:
            CompileError: if it cannot be recorded. The errors of the function are raised too.
        """
        self([0], False, verify, self._drawn)
        if not self.branches.recordings:
            raise CompileError("the model or the loss catches the error that an operation raises")

    @property
    def static_integers(self) -> list[int]:
        """The places of those integers of the first sample for which alone its recording is valid."""
        return list(self.branches.recordings[0].program.static_integers)

    def __call__(
        self,
        indices: Sequence[int],
        gradient: bool,
        verify: Callable[[int, float], None],
        drawn: np.ndarray | None = None,
        weights: np.ndarray | None = None,
    ) -> Evaluation:
        """Evaluate samples, and the gradient of the mean of the first number of their results.

        Args:
            indices: the indices of the samples.
            gradient: whether to compute the gradient.
            verify: given the place in the batch of a sample that was recorded, and the first number of its result,
                raises a CompileError if the function gives another one for plain numbers.
            drawn: the numbers in the further argument, a row for each sample; None without that argument.
            weights: the gradient is that of the sum of the first numbers, each times its weight; None for their mean.

        Raises:
            CompileError: if a sample cannot be recorded, or a recording is wrong. The errors of the function are raised
                too.
        """
        batches = [batch[indices] for batch in self._batches] + ([] if drawn is None else [drawn])
        replayed = self._replayed(batches) if gradient and weights is None else None
        if replayed is not None:
            return replayed
        columns: dict[bool, list[Any]] = {False: [], True: []}  # of integers?
        for batch in batches:
            table = batch.reshape(len(batch), math.prod(batch.shape[1:]))
            columns[batch.dtype == np.int64] += list(np.ascontiguousarray(table.T))
        arguments = replace(self.arguments, samples=len(indices), numbers=columns[False], integers=columns[True])
        seeds = None
        if gradient:
            own: Any = 1.0 / len(indices) if weights is None else weights
            seeds = [own] + [0.0] * (self.branches.recordings[0].structure.size - 1)
        result = evaluate(self.branches, arguments, seeds, self.most_paths, of_arguments=False)
        # Recordings with a part in the gradient: a resumed run, whose recordings are new, counts the same.
        if len(result.leaves) > self.most_paths:
            raise too_many_paths(self.most_paths)
        for sample in result.recorded:
            verify(sample, float(result.outputs[0, sample]))
        if len(self.branches.recordings) > _MOST_RECORDINGS:
            last_used = sorted(self.branches.recordings, key=lambda recording: recording.used)
            self.branches.recordings = last_used[-_MOST_RECORDINGS:]
        return result

    def _replayed(self, batches: Sequence[np.ndarray]) -> Evaluation | None:
        """Evaluate samples, with the gradient, by a replay of the only recording; None if that does not serve them.

        A replay of several recordings may add their parts of the gradient in another order in a resumed run.
        """
        if len(self.branches.recordings) != 1:
            return None
        recording = self.branches.recordings[0]
        executor = next(iter(recording.executors.values()))
        if executor.replay is None:
            executor.replay = replay_of(executor, self.arguments.parts, recording.structure, self.branches.settings)
        if executor.replay is None:
            return None
        places = self._places_of(recording)
        leaves, data = (recording.leaves, None) if places is None else (self.parameters, read_data(self.parameters))
        outputs, slopes = np.empty((recording.structure.size, len(batches[0]))), np.zeros(len(leaves))
        if executor.replay.flat(tuple(batches), data, slopes, outputs, None, None, places) is NotImplemented:
            return None
        recording.used = time.monotonic()
        return Evaluation(recording.structure, outputs, leaves=[(leaves, slopes)], data=data)

    def _places_of(self, recording: Recording) -> np.ndarray | None:
        """Return the places of the leaves of a recording among the parameters; None if others are among them."""
        if self._places is None or self._places[0] is not recording:
            index = {id(parameter): k for k, parameter in enumerate(self.parameters)}
            found = [index.get(id(leaf), -1) for leaf in recording.leaves]
            self._places = recording, np.array(found, dtype=np.int64)
        places = self._places[1]
        return None if places.min(initial=0) < 0 else places
