"""Replays: a whole call in C, from the arguments to the result, for arguments like those of an earlier call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine import native
from .executors import NativeExecutor, native_tape
from .signature import ArgumentPart

_GREATEST = 2**63 - 1


def replay_of(executor: Any, parts: Sequence[ArgumentPart], mean: bool, ignore: bool, threads: int) -> Any:
    """Return the replay of a program for arguments made of such parts; None if C cannot run it or read them."""
    if not isinstance(executor, NativeExecutor) or any(part.kind == "other" for part in parts):
        return None
    program = executor.program
    if any(len(part.shape) > native_tape.MOST_AXES for part in parts) or any(
        abs(number) > _GREATEST for number in program.static_integers.values()
    ):
        return None
    fixed, limits = program.static_integers, program.table_sizes
    rules = [(k in fixed, fixed.get(k, 0), limits.get(k, -1)) for k in range(len(program.integers))]
    return native_tape.Replay(
        executor.tapes,
        tuple(executor.leaves),
        _entries(parts),
        np.array(rules, dtype=np.int64),
        mean,
        ignore,
        threads,
        native.engine,
        np.ndarray,
        np.zeros,
    )


def tree_of(replays: Sequence[Any]) -> Any:
    """Return replays for one signature as one, in which each sample takes its own; None if they are too many."""
    return native_tape.Tree(tuple(replays)) if len(replays) <= native_tape.MOST_REPLAYS else None


def _entries(parts: Sequence[ArgumentPart]) -> list[tuple[int, int, int, tuple[int, ...]]]:
    """Return the parts as `Replay` expects them, a list of numbers alone as one part."""
    entries: list[tuple[int, int, int, tuple[int, ...]]] = []

    def add(k: int) -> int:
        """Add the part at a position with all that is in it, and return the position of the next."""
        part = parts[k]
        kind, first, end = part.kind, part.first, k + 1
        if kind in ("array", "batch"):
            kind += " of integers" if part.whole else " of numbers"
        elif kind in ("list", "tuple"):
            items = parts[end : end + part.size]
            if items and all(item.kind == items[0].kind and item.kind in ("number", "integer") for item in items):
                kind, first, end = f"{kind} of {items[0].kind}s", items[0].first, end + part.size
        entries.append((native_tape.ARGUMENT_KINDS.index(kind), part.size, first, part.shape))
        for _ in range(part.size if kind in ("list", "tuple") else 0):
            end = add(end)
        return end

    k = 0
    while k < len(parts):
        k = add(k)
    return entries
