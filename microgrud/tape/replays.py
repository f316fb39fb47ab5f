"""Replays: a whole call in C, from the arguments to the result, for arguments like those of an earlier call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autodiff.trees import Structure
from ..engine import native
from .executors import NativeExecutor
from .native import native_tape
from .results import plan_of
from .settings import Settings
from .signature import ArgumentPart

_GREATEST = 2**63 - 1


def replay_of(executor: Any, parts: Sequence[ArgumentPart], structure: Structure, settings: Settings) -> Any:
    """Return the replay of a program for arguments made of such parts; None if C cannot run it or read them.

    Args:
        executor: the executor of the program.
        parts: the parts of the arguments.
        structure: the structure of the result.
        settings: the settings of `compile`.
    """
    if not isinstance(executor, NativeExecutor) or any(part.kind == "other" for part in parts):
        return None
    program = executor.program
    if any(len(part.shape) > native_tape.MOST_AXES for part in parts) or any(
        abs(number) > _GREATEST for number in program.static_integers.values()
    ):
        return None
    try:
        result = plan_of(structure)
    except RecursionError:
        return None
    fixed, limits = program.static_integers, program.table_sizes
    rules = [(k in fixed, fixed.get(k, 0), limits.get(k, -1)) for k in range(len(program.integers))]
    return native_tape.Replay(
        executor.tapes,
        tuple(executor.leaves),
        [(native_tape.ARGUMENT_KINDS.index(part.kind), *part[1:]) for part in parts],
        np.array(rules, dtype=np.int64).tobytes(),
        result,
        settings.divides,
        settings.errors == "ignore",
        settings.threads,
        native.engine.Value,  # type: ignore[union-attr]
        native.engine.NUMBER_OFFSETS,  # type: ignore[union-attr]
        np.ndarray,
        np.zeros,
    )


def tree_of(replays: Sequence[Any]) -> Any:
    """Combine the replays of one signature into a tree; return None if there are too many.

    The tree runs each sample by the replay whose branches it takes.
    """
    return native_tape.Tree(tuple(replays)) if len(replays) <= native_tape.MOST_REPLAYS else None
