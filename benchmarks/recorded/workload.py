"""Definition of a workload: its cases, the numbers of each case, and a program of the step for each rival."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Step:
    """A step that is ready to run, with the numbers stored as the rival prefers.

    Attributes:
        run: runs the step once, and returns after all lazy computations have finished.
        read: converts the result of `run` into an array of the value and the gradient. It is not measured.
        times: runs the step a given number of times if calls from Python would distort the time; None for a loop over
            `run`.
        seconds: runs the step a given number of times within something that is not measured, and returns the time of
            one by the given clock; None for all other steps.
    """

    run: Callable[[], Any]
    read: Callable[[Any], Any]
    times: Callable[[int], Any] | None = None
    seconds: Callable[[int, Callable[[], float]], float] | None = None


@dataclass(frozen=True)
class Workload:
    """One computation, with a program for each rival.

    Attributes:
        title: a description in a few words.
        cases: sizes or variants.
        data: makes the numbers of a case for all rivals, as NumPy's arrays and Python's numbers.
        programs: by rival, a function that imports the rival and makes a step from these numbers.
        base: the rival to which all others are compared; each measurement times it again.
        only: by rival, the measured cases, if these are not all.
        tolerance: the relative difference allowed between results and those of the base.
        growth: what grows with the cases ("time", "recording time") if they are sizes and the base grows in proportion.
    """

    title: str
    cases: Sequence[str]
    data: Callable[[str], Any]
    programs: dict[str, Callable[[Any], Step]]
    base: str = "numpy"
    only: dict[str, Sequence[str]] | None = None
    tolerance: float = 1e-9
    growth: str = ""

    def cases_of(self, rival: str) -> list[str]:
        """Return the cases for which a rival is measured."""
        if rival not in self.programs:
            return []
        return [case for case in self.cases if self.only is None or case in self.only.get(rival, self.cases)]


def flat(*results: Any) -> Any:
    """Return numbers, arrays, and lists or tuples of any depth, as one array."""
    parts = (flat(*x) if isinstance(x, list | tuple) else np.ravel(np.asarray(x, dtype=np.float64)) for x in results)
    return np.concatenate(list(parts))
