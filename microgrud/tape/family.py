"""The recordings of a function for arguments of one structure: one for each way through its branches."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..autodiff.trees import Structure
from ..common.forking import Lock, in_forked_child
from ..engine.copying import variables
from .absent import AbsentFunction, refuse_if_absent
from .arguments import Arguments
from .executors import executor_for, in_ieee_arithmetic
from .graph import flatten, leaves_made_inside, result_from_outside
from .numpy_executor import Executor
from .program import Program, build
from .recorder import ClosedOverResultError, CompileError, has_kept, record

__all__ = ["Family", "Path"]


#: Recordings that are kept for arguments of one structure, whatever integers they are for.
_MOST_PATHS = 256


@dataclass(eq=False)
class Path:
    """One way through the branches of a function: its program, and what its result looks like."""

    program: Program
    structure: Structure
    used: float = 0.0  # when, last
    threads: int = 1
    executors: dict[Any, Executor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.leaves = list(self.program.leaves.values())
        self.outcomes = bytes(guard.outcome for guard in self.program.guards)

    def goes_on_from(self, other: Path, number: int) -> bool:
        """Tell whether a sample may take this path that leaves another at a guard, given by its number from 1.

        The number 0 stands for an integer that the other was not recorded for, which says nothing of branches.
        """
        own, left = self.outcomes[:number], other.outcomes[:number]
        return not number or (len(own) == number and own[:-1] == left[:-1] and own != left)

    def executor(self, numbers: Sequence[Any], integers: Sequence[Any]) -> Executor:
        """Return who runs the program for such arguments."""
        flags = tuple(isinstance(x, np.ndarray) for x in (*numbers, *integers))
        if flags not in self.executors:
            count = len(numbers)
            self.executors[flags] = executor_for(self.program, flags[:count], flags[count:], self.threads)
        return self.executors[flags]


@dataclass(eq=False)
class Family:
    """All recordings for arguments of one structure.

    Args:
        f: the function.
        max_paths: how many there may be.
        threads: how many may work on a batch at once.
        lenient: whether operations are recorded in IEEE arithmetic, in which none raises.
    """

    f: Callable[..., Any]
    max_paths: int
    threads: int = 1
    lenient: bool = False
    paths: list[Path] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def add(self, arguments: Arguments, numbers: Sequence[Any], integers: Sequence[int]) -> Path | None:
        """Record the way that a sample takes; None if it is one that cannot be replayed.

        Raises:
            CompileError: if it cannot be recorded, is not the same when it is recorded again, or is one too many.
        """
        if isinstance(self.f, AbsentFunction):
            refuse_if_absent(self.f, self.missing(integers))
        with self.lock:
            with _collector_paused():
                instead = in_ieee_arithmetic if self.lenient else None
                first = record(self.f, arguments, numbers, integers, instead)
                second = record(self.f, arguments, numbers, integers, instead)
                if first is None or second is None:
                    return None
                kept = has_kept(second)  # one that keeps the first alone has something else in the second
                graph, again = flatten(first), flatten(second)
                made_inside = leaves_made_inside(graph, again)
                if made_inside is None:
                    raise CompileError(
                        "two recordings of one call differ: the function draws random numbers, or changes what it "
                        "reads; draw before the call and pass what was drawn as an argument"
                    )
                outside = result_from_outside(graph, again)
                if outside is not None:
                    raise ClosedOverResultError(
                        f"the function closes over {f'{outside.label}, ' if outside.label else ''}the result of an "
                        f"operation ({outside._op!r}, with the number {outside._data}), which may have been computed "
                        "anew by the next call; compute it inside the function, pass it as an argument, or write "
                        ".detach() where it was computed for its number as it is now"
                    )
                program = build(graph, made_inside)
                changing = {id(x) for x in variables()}
                if any(id(leaf) in changing for leaf in program.leaves.values()):
                    raise ClosedOverResultError("the function closes over the variable of a derivative in progress")
                if kept:
                    raise CompileError(
                        "the function keeps a number that it computed (in an attribute, a list or a cache), which a "
                        "replay would not do; return the number, and keep it outside the function"
                    )
            known = self.known(program)
            if known is not None:
                return known
            self.make_room(program.static_integers)
            path = Path(program, first.structure, threads=self.threads)
            self.paths.append(path)
            return path

    def known(self, program: Program) -> Path | None:
        """Return the recording of the same way, if another thread has made one in the meantime.

        The way is known by what was looked at: operations between the same looks are the same.
        """
        for path in self.paths:
            own = path.program
            if own.static_integers == program.static_integers and list(own.guards) == list(program.guards):
                return path
        return None

    def missing(self, integers: Sequence[int]) -> str:
        """Say what there is no recording for, where none of them is right for a sample."""
        if not integers or any(integers_fit(path.program, integers, None) for path in self.paths):
            return "for the way that these arguments take through its branches"
        return f"for the integers {', '.join(map(str, integers[:8]))}{', ...' if len(integers) > 8 else ''}"

    def forget(self, path: Path) -> None:
        """Drop a recording that was right for no sample, if it is still there."""
        with self.lock:
            if path in self.paths and not path.used:
                self.paths.remove(path)

    def make_room(self, static_integers: dict[int, int]) -> None:
        """See to it that there is room for one more, with these integers; the least recently used makes it.

        Raises:
            CompileError: if there are too many ways through branches, other than by integers.
        """
        alike = sum(path.program.static_integers == static_integers for path in self.paths)
        if alike >= self.max_paths:
            raise CompileError(
                f"expected at most {self.max_paths} ways through the branches of the function, and this would be one "
                "more; raise max_paths, or write the branch as an operation: where(), relu(), maximum(), clip()"
            )
        if len(self.paths) >= max(_MOST_PATHS, self.max_paths):
            self.paths.remove(min(self.paths, key=lambda path: path.used))


#: The threads that have paused the collector.
_pausing: list[int] = []


@in_forked_child
def _resume_collector() -> None:
    others = [thread for thread in _pausing if thread != threading.get_ident()]
    if others:  # which are not there to let it run again
        gc.enable()
    for thread in others:
        _pausing.remove(thread)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the collector from going through a growing program again and again: a third of the time of a large one."""
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


def integers_fit(program: Program, integers: Sequence[Any], samples: int | None) -> Any:
    """Tell, for each sample or for the call, whether the integers are those that the program was recorded with."""
    fits: Any = True if samples is None else np.ones(samples, dtype=bool)
    for place, number in program.static_integers.items():
        fits = fits & (integers[place] == number)
    return fits
