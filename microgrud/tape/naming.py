"""What the numbers of a call are called: `x[0]`, `p['w'][1]`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

__all__ = ["argument_names"]


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
    parts, keywords = signature
    places = len(parts) - len(keywords)
    positional = [names[k] if k < len(names) else f"argument {k}" for k in range(places)]
    numbers: list[str] = []
    integers: list[str] = []
    for name, part in zip([*positional, *keywords], parts):
        _add(part, name, numbers, integers)
    return numbers, integers


def _add(part: Any, name: str, numbers: list[str], integers: list[str]) -> None:
    kind: Any = part if isinstance(part, str) else part[0]
    if kind == "number":
        numbers.append(name)
    elif kind == "integer":
        integers.append(name)
    elif kind in ("array", "batch"):
        _, whole, shape, *_ = part
        places = itertools.product(*map(range, shape))
        (integers if whole else numbers).extend(f"{name}{_index(place)}" for place in places)
    elif kind == "dict":
        for key, item in part[1]:
            _add(item, f"{name}[{key!r}]", numbers, integers)
    elif isinstance(kind, type):  # of a sequence
        fields = getattr(kind, "_fields", None)
        for i, item in enumerate(part[1]):
            _add(item, f"{name}[{i}]" if fields is None else f"{name}.{fields[i]}", numbers, integers)
    elif kind != "static":
        raise ValueError(f"expected a signature, got {part!r}")


def _index(place: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, place))}]" if place else ""
