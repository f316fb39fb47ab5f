"""Frames: structures of any objects with places for their Values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.arrays import is_array
from ..common.numbers import Number
from ..engine import Value
from .containers import opened
from .trees import as_array


@dataclass(frozen=True)
class Frame:
    """A structure without the Values in it.

    Attributes:
        make: makes the structure from its items.
        items: for each item, a frame if it holds Values, and otherwise the item itself.
    """

    make: Callable[[list[Any]], Any]
    items: tuple[Any, ...]

    def fill(self, numbers: Sequence[Number]) -> Any:
        """Return the structure with these numbers in the places of its Values."""
        return self.filled(iter(numbers))

    def filled(self, rest: Iterator[Number]) -> Any:
        """Return the same, with the next numbers."""
        return self.make([x.filled(rest) if isinstance(x, (Frame, _Gap)) else x for x in self.items])


@dataclass(frozen=True)
class _Gap:
    """The place of a Value, or of an array with Values: its shape, or None for a Value alone."""

    shape: tuple[int, ...] | None

    def filled(self, rest: Iterator[Number]) -> Any:
        if self.shape is None:
            return next(rest)
        return as_array([next(rest) for _ in range(math.prod(self.shape))], self.shape)


def framed(tree: Any) -> tuple[list[Number], Frame]:
    """Return the Values in the containers and arrays of a structure, in order, and the structure without them.

    The numbers that share an array with Values are among these. What holds no Values stays the same object.

    >>> values, frame = framed({"w": [Value(1.0), "text"], "n": 3})
    >>> values, frame.fill([2.0])
    ([Value(data=1.0, grad=0.0)], {'w': [2.0, 'text'], 'n': 3})
    """
    numbers: list[Number] = []
    return numbers, Frame(lambda items: items[0], (_part(tree, numbers),))


def _part(tree: Any, numbers: list[Number]) -> Any:
    """Return a frame of what holds Values, and anything else as it is; add the Values to the list."""
    if isinstance(tree, Value):
        numbers.append(tree)
        return _Gap(None)
    if is_array(tree) and tree.dtype == object:
        items = tree.ravel().tolist()
        if any(isinstance(x, Value) for x in items):
            numbers.extend(items)
            return _Gap(tree.shape)
    found = opened(tree)
    if found is None:
        return tree
    _, children, make = found
    parts = tuple([_part(child, numbers) for child in children])
    return Frame(make, parts) if any(isinstance(x, (Frame, _Gap)) for x in parts) else tree
