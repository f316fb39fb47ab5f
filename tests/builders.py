"""Compare the builders of programs: build everything that a test compiles in Python and in C."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from microgrud.engine import native
from microgrud.tape import building, program


def parts_of(found: tuple[Any, ...] | None) -> Any:
    """The result of `assemble` in a form that can be compared: objects by identity, numbers by their bits."""
    if found is None:
        return None
    outside, by_hand, others, leaves, nodes, instructions = found
    objects = [id(outside), id(by_hand), list(map(id, others)), list(map(id, leaves)), nodes]
    if instructions is None:
        return objects
    slots, of_inputs, of_leaves, of_ends, of_constants, constants, *steps = instructions
    ints = [building.as_ints(x).tolist() for x in (of_inputs, of_leaves, of_ends, of_constants, *steps)]
    return [*objects, slots, ints, building.as_doubles(constants).tobytes()]


@contextmanager
def compared() -> Iterator[Counter[str]]:
    """Build every program in C and in Python, and fail if they differ; yields the number of comparisons."""
    counts: Counter[str] = Counter()
    in_c = program.build_instructions

    def both(*args: Any) -> Any:
        found = in_c(*args)
        assert parts_of(found) == parts_of(building.assemble(*args)), "C and Python build different programs"
        counts["build"] += 1
        return found

    with pytest.MonkeyPatch.context() as patch:
        if native.engine is not None:
            patch.setattr(program, "build_instructions", both)
        yield counts
