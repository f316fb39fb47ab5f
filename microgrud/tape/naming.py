"""What the numbers of a call are called: `x[0]`, `p['w'][1]`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["argument_counts", "argument_names", "argument_shapes"]


def argument_names(signature: Any, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return a name for each number, and for each integer, of arguments with a signature.

    Args:
        signature: that of `read_arguments`.
        names: what the positional arguments are called.

    Raises:
        ValueError, TypeError: for what is no signature.

    >>> from microgrud.tape.arguments import read_arguments
    >>> arguments = read_arguments(["x", "k"], [[1.0, {"a": 2.0}], 3], {"scale": 0.5}, ())
    >>> argument_names(arguments.signature, ["x", "k"])
    (['x[0]', "x[1]['a']", 'scale'], ['k'])
    """
    numbers: list[str] = []
    integers: list[str] = []
    for name, whole, shape in _arrays(signature, names):
        places = itertools.product(*map(range, shape))
        (integers if whole else numbers).extend(f"{name}{_index(place)}" for place in places)
    return numbers, integers


def argument_counts(signature: Any) -> tuple[int, int]:
    """Return how many numbers, and how many integers, arguments with a signature hold.

    Raises:
        ValueError, TypeError: for what is no signature.
    """
    counts = [0, 0]
    for whole, shape in argument_shapes(signature):
        counts[whole] += math.prod(shape)
    return counts[0], counts[1]


def argument_shapes(signature: Any) -> list[tuple[bool, tuple[int, ...]]]:
    """Return, for each array and number of arguments with a signature, whether it is of integers, and its shape.

    Raises:
        ValueError, TypeError: for what is no signature.
    """
    return [(bool(whole), shape) for _, whole, shape in _arrays(signature, ())]


def _arrays(signature: Any, names: Sequence[str]) -> Iterator[tuple[str, bool, tuple[int, ...]]]:
    """Go through the arrays of a signature, a single number being one too: name, whether of integers, and shape."""
    parts, keywords = signature
    places = len(parts) - len(keywords)
    positional = [names[k] if k < len(names) else f"argument {k}" for k in range(places)]
    for name, part in zip([*positional, *keywords], parts):
        yield from _arrays_in(part, name)


def _arrays_in(part: Any, name: str) -> Iterator[tuple[str, bool, tuple[int, ...]]]:
    kind: Any = part if isinstance(part, str) else part[0]
    if kind in ("number", "integer"):
        yield name, kind == "integer", ()
    elif kind in ("array", "batch"):
        yield name, part[1], part[2]
    elif kind == "dict":
        for key, item in part[1]:
            yield from _arrays_in(item, f"{name}[{key!r}]")
    elif isinstance(kind, type):  # of a sequence
        fields = getattr(kind, "_fields", None)
        for i, item in enumerate(part[1]):
            yield from _arrays_in(item, f"{name}[{i}]" if fields is None else f"{name}.{fields[i]}")
    elif kind != "static":
        raise ValueError(f"expected a signature, got {part!r}")


def _index(place: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, place))}]" if place else ""
