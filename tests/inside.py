"""Private names of microgrud that tests need: its thresholds, and the recordings of a compiled function."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

#: The thresholds of each module: smaller examples do not reach the code that pays only for large ones.
MODULES = {
    "microgrud.cli.fitting": ("_MOST_PLACES",),
    "microgrud.cli.pictures": ("_REGION_POINTS",),
    "microgrud.cli.walk": ("_FEWEST_POINTS", "_FEWEST_ROWS", "_MOST_PARAMETERS", "_MOST_POINTS", "_MOST_WORK"),
    "microgrud.tape.derivatives": ("_MOST_FOR_BATCH", "_MOST_OPERANDS"),
    "microgrud.tape.executors": ("_FEWEST_TO_REUSE",),
    "microgrud.tape.verified": ("_MOST_RECORDINGS",),
    "microgrud.train.checkpoint": ("_PAUSE", "_SLACK"),
    "microgrud.train.objective": ("_LEAST_REPLAYS", "_LEAST_SAMPLES", "_LEAST_WORK", "_SLOW_SECONDS"),
}
PLACES = {name.strip("_").lower(): f"{module}.{name}" for module, names in MODULES.items() for name in names}


@contextmanager
def thresholds(**changed: float) -> Iterator[None]:
    """Change thresholds, such as `least_work=0`, in a `with` statement or, as a decorator, during a function."""
    with pytest.MonkeyPatch.context() as patch:
        for name, number in changed.items():
            patch.setattr(PLACES[name], number)
        yield


def recordings(compiled: Any) -> list[Any]:
    """Return the recordings of a compiled function."""
    return [recording for _, recording in compiled._recordings.all()]


def replays(compiled: Any, lists: tuple[int, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the recordings of each replay of a compiled function, for batches in lists at these positions."""
    return [own for _, own in compiled._recordings.replays.get(lists, [])]


def derivatives_of(compiled: Any) -> list[str]:
    """Return what the compiled functions that a compiled function keeps for its derivatives compute."""
    return [name for name, _ in compiled._gradients]
