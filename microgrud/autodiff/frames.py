"""Frames: structures of any objects with places for their Values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.arrays import is_array
from ..common.numbers import Number
from ..engine import Value
from .trees import Template, as_array, filled, template_of


@dataclass(frozen=True)
class Frame:
    """Lists, tuples and dicts of any objects, without the Values in them.

    Attributes:
        template: the lists, tuples and dicts without their leaves.
        leaves: for each leaf in order, the object; or, for Values, a `_Gap`.
    """

    template: Template
    leaves: tuple[Any, ...]

    def fill(self, numbers: Sequence[Number]) -> Any:
        """Return the structure with these numbers in the places of its Values."""
        rest = iter(numbers)
        return filled(self.template, iter([x.fill(rest) if isinstance(x, _Gap) else x for x in self.leaves]))


@dataclass(frozen=True)
class _Gap:
    """The place of a Value, or of an array with Values: its shape, or None for a Value alone."""

    shape: tuple[int, ...] | None

    def fill(self, numbers: Iterator[Number]) -> Any:
        if self.shape is None:
            return next(numbers)
        size = 1
        for length in self.shape:
            size *= length
        return as_array([next(numbers) for _ in range(size)], self.shape)


def framed(tree: Any) -> tuple[list[Number], Frame]:
    """Return the Values in lists, tuples, dicts and arrays, in order, and the rest of the structure.

    The numbers that share an array with Values are among these.

    >>> values, frame = framed({"w": [Value(1.0), "text"], "n": 3})
    >>> values, frame.fill([2.0])
    ([Value(data=1.0, grad=0.0)], {'w': [2.0, 'text'], 'n': 3})
    """
    numbers: list[Number] = []
    leaves: list[Any] = []

    def visit(leaf: Any, place: str) -> None:
        if isinstance(leaf, Value):
            numbers.append(leaf)
            leaf = _Gap(None)
        elif is_array(leaf) and leaf.dtype == object:
            items = leaf.ravel().tolist()
            if any(isinstance(x, Value) for x in items):
                numbers.extend(items)
                leaf = _Gap(leaf.shape)
        leaves.append(leaf)

    template = template_of(tree, visit)
    return numbers, Frame(template, tuple(leaves))
