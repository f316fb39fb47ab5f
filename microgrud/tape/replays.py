"""Replays: for arguments that are alike, the whole way of a call in C, from the arguments to the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine import native
from .arguments import Part
from .executors import NativeExecutor, native_tape
from .graph import as_ints

__all__ = ["replay_of", "tree_of"]

#: As in replay_layout.h.
_KINDS = ("number", "integer", "list", "tuple")
_OF_ITEMS = {("list", "number"): 4, ("tuple", "number"): 5, ("list", "integer"): 6, ("tuple", "integer"): 7}
_ARRAYS = {("array", False): 8, ("array", True): 9, ("batch", False): 10, ("batch", True): 11}
_MOST_AXES = 8
_MOST_TOGETHER = 256
_GREATEST = 2**63 - 1


def replay_of(executor: Any, parts: Sequence[Part], mean: bool, ignore: bool, threads: int) -> Any:
    """Return the replay of a program for arguments made of such parts; None if they, or the interpreter, are others."""
    if not isinstance(executor, NativeExecutor) or any(part.kind == "other" for part in parts):
        return None
    program, lowered = executor.program, executor.lowered
    if any(len(part.shape) > _MOST_AXES for part in parts) or any(
        abs(number) > _GREATEST for number in program.static_integers.values()
    ):
        return None
    entries, arguments = _entries(parts)
    slots = lowered.slots
    rows = {given: row for row, given in enumerate(executor.inputs)}

    def place(kind: str, number: int, slot: int | None) -> int:
        return -1 if slot is None else rows.get((kind, number), int(slots[slot]))

    fixed, limits = program.static_integers, program.table_sizes
    return native_tape.Replay(
        executor.alone,
        executor.batch,
        executor.forward,
        executor.constants,
        tuple(executor.leaves),
        executor.leaf_slots,
        entries,
        arguments,
        as_ints([place("number", k, slot) for k, slot in enumerate(program.numbers)]),
        np.array(
            [
                (place("integer", k, slot), k in fixed, fixed.get(k, 0), limits.get(k, -1))
                for k, slot in enumerate(program.integers)
            ],
            dtype=np.int64,
        ),
        as_ints(executor.outputs),
        as_ints(lowered.uniform_guards).ravel(),
        as_ints([*lowered.uniform_numbers, *lowered.batch_numbers]),
        bytes(guard.outcome for guard in program.guards),
        mean,
        ignore,
        threads,
        native.engine,
        np.ndarray,
        np.zeros,
    )


def tree_of(replays: Sequence[Any]) -> Any:
    """Return replays for arguments of one structure as one, of which each sample takes its own; None for too many."""
    return native_tape.Tree(tuple(replays)) if len(replays) <= _MOST_TOGETHER else None


def _entries(parts: Sequence[Part]) -> tuple[list[tuple[int, int, int, tuple[int, ...]]], int]:
    """Return the parts as `Replay` wants them, with lists of nothing but numbers as one, and how many arguments."""
    entries: list[tuple[int, int, int, tuple[int, ...]]] = []

    def add(k: int) -> int:
        part = parts[k]
        if part.kind in ("array", "batch"):
            entries.append((_ARRAYS[part.kind, part.whole], part.size, part.first, part.shape))
            return k + 1
        items = parts[k + 1 : k + 1 + part.size]
        kinds = {item.kind for item in items}
        if part.kind in ("list", "tuple") and len(kinds) == 1 and kinds <= {"number", "integer"}:
            entries.append((_OF_ITEMS[part.kind, kinds.pop()], part.size, items[0].first, ()))
            return k + 1 + part.size
        entries.append((_KINDS.index(part.kind), part.size, part.first, ()))
        k += 1
        for _ in range(part.size if part.kind in ("list", "tuple") else 0):
            k = add(k)
        return k

    k = arguments = 0
    while k < len(parts):
        k = add(k)
        arguments += 1
    return entries, arguments
