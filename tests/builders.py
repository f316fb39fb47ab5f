"""Compare the builders of programs: build everything that a test compiles in Python and in C."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from microgrud.engine import native
from microgrud.tape import building, graph, program


def fields_of_graph(found: Any) -> list[Any]:
    """The fields of a graph in a form that can be compared: objects by identity, numbers by their bits."""
    leaves, others, by_hand, codes, starts, operands, numbers, data, leaf_places, ends, ids = found
    return [
        *map(id, leaves),
        *map(id, others),
        id(by_hand),
        ids,
        *[graph.as_ints(x).tolist() for x in (codes, starts, operands, leaf_places, ends)],
        *[graph.as_doubles(x).tobytes() for x in (numbers, data)],
    ]


def parts_of_program(found: Any) -> list[Any]:
    """The result of `assemble` in a form that can be compared."""
    count, of_leaves, of_ends, constant_slots, constants, *instructions = found
    return [
        count,
        *[graph.as_ints(x).tolist() for x in (of_leaves, of_ends, constant_slots, *instructions)],
        graph.as_doubles(constants).tobytes(),
    ]


@contextmanager
def compared() -> Iterator[Counter[str]]:
    """Build every program in C and in Python, and fail if they differ; yields the numbers of comparisons."""
    counts: Counter[str] = Counter()

    def both(name: str, one: Callable[..., Any], other: Callable[..., Any], parts: Callable[[Any], Any]) -> Any:
        def checked(*args: Any) -> Any:
            found = one(*args)
            assert parts(found) == parts(other(*args)), f"{name} in C and in Python differ"
            counts[name] += 1
            return found

        return checked

    with pytest.MonkeyPatch.context() as patch:
        if native.engine is not None:
            engine = native.engine
            flattened = both("flatten", engine.flatten, graph._flatten_in_python, fields_of_graph)
            assembled = both("build", engine.build, building.assemble, parts_of_program)
            patch.setattr(graph, "_flattened", flattened)
            patch.setattr(program, "_assemble", assembled)
        yield counts
