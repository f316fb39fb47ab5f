"""Which slots are still needed: a run without a backward pass gives those that are not to later results.

The numbers of a block then stay in the cache, however long the program is. Arguments, results and what guards look at
keep their slots to the end. A result gets its slot before those of its operands are free, so that no instruction writes
where it reads. The engine in C has a twin of `reuse_in_python`, which gives the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..engine import native

__all__ = ["reuse"]


def reuse_in_python(
    numbers: Any, starts: Any, inputs: Any, pinned: Any, uniform: int, codes: tuple[int, ...]
) -> tuple[Any, int, Any]:
    """Let later results have the slots of earlier ones that nobody reads any more.

    Args:
        numbers: the instructions over slots that vary.
        starts: where each begins.
        inputs: the slots of arguments, numbered among those that vary, as all are here.
        pinned: for each slot, whether it keeps what is in it to the end.
        uniform: how many slots are the same for all samples.
        codes: of instructions: linear, matrix, softmax, log_softmax, tanh.

    Returns:
        The instructions, how many slots vary in them, and the new slot of each that is kept, -1 for the others.
    """
    found = list(map(int, numbers))
    kept = list(map(bool, pinned))
    ends = [*map(int, starts[1:]), len(found)]
    references = [_references(found, int(start), end, uniform, codes) for start, end in zip(starts, ends)]
    last = {slot: k for k, (_, reads, _) in enumerate(references) for _, slot, _ in reads}
    given: dict[int, int] = {}
    for slot in map(int, inputs):
        given[slot], kept[slot] = len(given), True
    count, scratch = len(given), -1
    idle: list[int] = []
    for k, (outs, reads, of_slope) in enumerate(references):
        for _, slot in outs:
            if idle:
                given[slot] = idle.pop()
            else:
                given[slot], count = count, count + 1
        if of_slope >= 0:
            if scratch < 0:
                scratch, count = count, count + 1
            found[of_slope] = uniform + scratch
        for place, slot, first in reads:
            found[place] = given[slot] + first
            if last.get(slot) == k:
                del last[slot]  # it may be there twice
                if not kept[slot]:
                    idle.append(given[slot])
        for place, slot in outs:
            found[place] = given[slot] + uniform
            if slot not in last and not kept[slot]:
                idle.append(given[slot])
    return found, count, [given[slot] if keeps else -1 for slot, keeps in enumerate(kept)]


def _references(
    numbers: Sequence[int], start: int, end: int, uniform: int, codes: tuple[int, ...]
) -> tuple[list[tuple[int, int]], list[tuple[int, int, int]], int]:
    """Return where an instruction names its results, its operands that vary, and a slot for the backward pass alone.

    Results as places and slots, operands as places, slots and what slot is numbered 0 there.
    """
    linear, matrix, softmax, log_softmax, tanh = codes
    code, outs, own, scratch = numbers[start], range(start + 1, start + 2), range(0), -1
    reads = [range(start + 3, end)]
    if code == linear:
        plain, weighted, _ = numbers[start + 3 : start + 6]
        own_start = start + 6 + plain
        reads = [range(start + 6, own_start), range(own_start + 2 * weighted, end)]
        own = range(own_start, own_start + weighted)
    elif code == matrix:
        rows, columns = numbers[start + 1 : start + 3]
        outs, reads = range(start + 3, start + 3 + rows), []
        own = range(start + 3 + 2 * rows, start + 3 + 2 * rows + columns)
    elif code in (softmax, log_softmax):
        count = numbers[start + 1]
        outs, reads = range(start + 2, start + 2 + count), [range(start + 2 + count, end)]
    elif code == tanh:
        reads, scratch = [range(start + 3, start + 4)], start + 4
    results = [(place, numbers[place] - uniform) for place in outs if numbers[place] >= 0]
    operands = [
        (place, numbers[place] - uniform, uniform) for part in reads for place in part if numbers[place] >= uniform
    ]
    return results, [*operands, *((place, numbers[place], 0) for place in own)], scratch


reuse: Any = reuse_in_python if native.engine is None else native.engine.reuse
