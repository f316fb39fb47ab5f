"""The recordings of a function for one signature: one for each path through its branches."""

from __future__ import annotations

import gc
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..autodiff.trees import Structure
from ..common.forking import Lock, in_forked_child
from ..engine.copying import variables
from ..engine.vectors import Vector
from .absent import AbsentFunction, refuse_if_absent
from .executors import executor_for, in_ieee_arithmetic
from .numpy_executor import Executor
from .program import Program, build
from .recorder import ClosedOverResultError, CompileError, has_kept, record
from .settings import Settings
from .signature import Arguments
from .sparsity import Pattern

#: The number of recordings that are kept for one signature, for all integers together.
_MOST_RECORDINGS = 256


@dataclass(eq=False)
class Recording:
    """A function along one path through its branches: its program, and the structure of its result.

    Attributes:
        is_plain: whether every comparison is a guard.
        used: the time of the last use.
        executors: the executors of the program, by which of the numbers and integers vary in a batch.
        patterns: the patterns of its Jacobians, by the positions of the arguments.
    """

    program: Program
    structure: Structure
    is_plain: bool
    used: float = 0.0
    executors: dict[Any, Executor] = field(default_factory=dict)
    patterns: dict[tuple[int, ...], Pattern] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.leaves = list(self.program.leaves.values())
        self.outcomes = bytes(guard.outcome for guard in self.program.guards)

    def continues(self, other: Recording, number: int) -> bool:
        """Return whether this recording may share the guards of another before a number (from 1), and differ there.

        The number 0 stands for an integer that the other was not recorded for, which says nothing about branches. Those
        whose guards are all comparisons form a tree of decisions of their own.
        """
        if self.is_plain != other.is_plain:
            return True
        own, left = self.outcomes[:number], other.outcomes[:number]
        return not number or (len(own) == number and own[:-1] == left[:-1] and own != left)

    def executor(self, numbers: Sequence[Any] | Vector, integers: Sequence[Any], threads: int) -> Executor:
        """Return the executor of the program for such arguments; as many threads may work on a batch at once."""
        flags = bytes(len(numbers)) if isinstance(numbers, np.ndarray) else _which_vary(numbers)
        flags += _which_vary(integers)
        executors = self.executors  # another thread may replace it
        if flags not in executors:
            count = len(numbers)
            executors[flags] = executor_for(self.program, flags[:count], flags[count:], threads)
        return executors[flags]


@dataclass(eq=False)
class Branches:
    """All recordings of a function for one signature.

    Args:
        f: the function.
        settings: the settings of `compile`.

    Attributes:
        eager: the number of samples that were evaluated by the function itself.
        warned_at: the largest number of paths of which there was a warning; 0 for none.
    """

    f: Callable[..., Any]
    settings: Settings
    recordings: list[Recording] = field(default_factory=list)
    eager: int = 0
    warned_at: int = 0
    lock: Lock = field(default_factory=Lock)

    def record(
        self, arguments: Arguments, numbers: Sequence[Any] | Vector, integers: Sequence[int]
    ) -> Recording | None:
        """Record the path that a sample takes; return None if it cannot be replayed.

        Raises:
            CompileError: if the function cannot be recorded, or gives different traces for one call.
        """
        if isinstance(self.f, AbsentFunction):
            refuse_if_absent(self.f, self._missing(integers))
        with self.lock:
            with _collector_paused():
                instead = in_ieee_arithmetic if self.settings.errors == "ignore" else None
                first = record(self.f, arguments, numbers, integers, instead)
                second = record(self.f, arguments, numbers, integers, instead)
                if first is None or second is None:
                    return None
                # Checking the second is enough: if only the first call stores a number, the two recordings differ.
                kept = has_kept(second)
                program = build(first, second)
                changing = {id(x) for x in variables()}
                if any(id(leaf) in changing for leaf in program.leaves.values()):
                    raise ClosedOverResultError("the function closes over the variable of a derivative in progress")
                if kept:
                    raise CompileError(
                        "the function keeps a number that it computed (in an attribute, a list or a cache), which a "
                        "replay would not do; return the number, and keep it outside the function"
                    )
            known = self._known(program)
            if known is not None:
                return known
            if len(self.recordings) >= max(_MOST_RECORDINGS, self.settings.max_paths):
                self.recordings.remove(min(self.recordings, key=lambda own: own.used))
            recording = Recording(program, first.structure, first.is_plain)
            self.recordings.append(recording)
            return recording

    def _known(self, program: Program) -> Recording | None:
        """Return the recording of the same path, if another thread has made one in the meantime.

        The guards identify the path: the operations between the same outcomes are the same.
        """
        for recording in self.recordings:
            own = recording.program
            if own.static_integers == program.static_integers and list(own.guards) == list(program.guards):
                return recording
        return None

    def _missing(self, integers: Sequence[int]) -> str:
        """Describe, for an error message, the path or the integers that no recording serves."""
        if not integers or any(integers_fit(own.program, integers, None) for own in self.recordings):
            return "for the path that these arguments take through its branches"
        return f"for the integers {', '.join(map(str, integers[:8]))}{', ...' if len(integers) > 8 else ''}"

    def forget(self, recording: Recording) -> None:
        """Drop a recording that was right for no sample, if it is still there."""
        with self.lock:
            if recording in self.recordings and not recording.used:
                self.recordings.remove(recording)

    def has_room(self, integers: Sequence[int]) -> bool:
        """Return whether one more path through the branches may be recorded for these integers.

        There is always room if the function cannot be called instead: it would raise errors that a recording ignores.
        """
        if self.settings.errors == "ignore" or isinstance(self.f, AbsentFunction):
            return True
        recordings = list(self.recordings)
        if integers:
            recordings = [own for own in recordings if integers_fit(own.program, integers, None)]
        return len(recordings) < self.settings.max_paths

    def warn(self, eager: int, samples: int | None) -> None:
        """Warn, once, that samples of a call were evaluated by the function for want of room for their paths."""
        most = self.settings.max_paths
        if self.warned_at == most:
            return
        self.warned_at = most
        which = "this call is" if samples is None else f"{eager:,} of the {samples:,} samples of this call are"
        warnings.warn(
            f"compile: {getattr(self.f, '__name__', type(self.f).__name__)} takes more than {most} paths through its "
            f"branches; {which} evaluated eagerly, as will be all further paths (stats['eager'] counts them), which "
            "is slow; raise max_paths, or write the branch as an operation: where(), relu(), maximum(), and np.where() "
            "of an array",
            RuntimeWarning,
            stacklevel=_level_of_caller(),
        )


def _level_of_caller() -> int:
    """Return the level of the frame that has called the package, as `warnings.warn` counts from the function here."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "microgrud":
        frame, level = frame.f_back, level + 1
    return level


#: The threads that have paused the collector.
_pausing: list[int] = []


@in_forked_child
def _resume_collector() -> None:
    others = [thread for thread in _pausing if thread != threading.get_ident()]
    if others:  # these threads do not exist in the child, and cannot resume it
        gc.enable()
    for thread in others:
        _pausing.remove(thread)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the garbage collector, which would scan a growing program repeatedly: it takes a third of the time."""
    enabled, thread = gc.isenabled(), threading.get_ident()
    if enabled:
        _pausing.append(thread)
        gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
            _pausing.remove(thread)


def _which_vary(given: Sequence[Any]) -> bytes:
    """Return for each number, or integer, whether it is an array with one for each sample."""
    return bytes([isinstance(x, np.ndarray) for x in given])


def integers_fit(program: Program, integers: Sequence[Any], samples: int | None) -> Any:
    """Return, for each sample or for the call, whether the integers are those that the program was recorded with."""
    fits: Any = True if samples is None else np.ones(samples, dtype=bool)
    for place, number in program.static_integers.items():
        fits = fits & (integers[place] == number)
    return fits
