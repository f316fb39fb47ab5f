"""What a workload is: cases, the numbers of a case, and for each rival a way to do the step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Step:
    """A step that is ready to be done, with the numbers where the rival wants them.

    Attributes:
        run: does it once; what a rival computes lazily is there when this returns.
        read: makes an array of what `run` returned: the value, and after it the gradient. It is not measured.
        times: does it so many times, where a call from Python would count; None for a loop over `run`.
    """

    run: Callable[[], Any]
    read: Callable[[Any], Any]
    times: Callable[[int], Any] | None = None


@dataclass(frozen=True)
class Workload:
    """One thing to compute, in the ways of the rivals.

    Attributes:
        title: what it is, in a few words.
        cases: its sizes or kinds.
        data: makes the numbers of a case: the same for all rivals, in NumPy's arrays and Python's numbers.
        programs: by rival, what makes the step of such numbers. Imports of the rival stand in it.
        base: the rival that all others are multiples of, measured anew beside each.
        only: by rival, the cases that it is measured for, where these are not all.
        tolerance: how far results may be from those of the base, relative to them.
    """

    title: str
    cases: Sequence[str]
    data: Callable[[str], Any]
    programs: dict[str, Callable[[Any], Step]]
    base: str = "numpy"
    only: dict[str, Sequence[str]] | None = None
    tolerance: float = 1e-8

    def cases_of(self, rival: str) -> list[str]:
        """Return the cases that a rival is measured for."""
        if rival not in self.programs:
            return []
        return [case for case in self.cases if self.only is None or case in self.only.get(rival, self.cases)]


def flat(value: Any, *gradients: Any) -> Any:
    """Return the value and the gradients as one array."""
    return np.concatenate([np.ravel(np.asarray(x, dtype=np.float64)) for x in (value, *gradients)])
