"""Nested structures of numbers: `flatten` makes a flat list of them, and `Structure` rebuilds them from such a list."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..common.arrays import MissingNumPy, is_array
from ..common.numbers import Number, as_float, is_real_scalar
from ..engine import Value

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Structure:
    """A nested structure without its numbers; its leaves are single numbers and arrays.

    Attributes:
        shapes: for each leaf in order, the shape of an array, or None for a single number.
        paths: for each leaf in order, its place: `"['w'][1]"`.
        assemble: a function of one object per leaf (a number, an array, or anything else) that puts each in the place
            of its leaf.
    """

    shapes: tuple[tuple[int, ...] | None, ...]
    paths: tuple[str, ...]
    assemble: Callable[[Sequence[Any]], Any]

    def rebuild(self, numbers: Sequence[Number]) -> Any:
        """Make the same structure with other numbers; leaves that were arrays become arrays."""
        leaves = [
            own[0] if shape is None else as_array(own, shape) for own, shape in zip(self.split(numbers), self.shapes)
        ]
        return self.assemble(leaves)

    def split(self, numbers: Sequence[Any]) -> list[Sequence[Any]]:
        """Cut a sequence with one item per number into one part per leaf."""
        parts = []
        start = 0
        for shape in self.shapes:
            end = start + (1 if shape is None else math.prod(shape))
            parts.append(numbers[start:end])
            start = end
        return parts

    def rebuild_rows(self, rows: Sequence[Sequence[Number]], shape: tuple[int, ...] | None) -> Any:
        """Make one structure from several rows of numbers: each leaf becomes an array of `shape` + its own shape.

        None instead of a shape stands for a single row, and keeps the leaves as they are.
        """
        if shape is None:
            return self.rebuild(rows[0])
        columns = range(self.size)
        return self.assemble(
            [
                as_array([row[i] for row in rows for i in own], shape + (leaf_shape or ()))
                for own, leaf_shape in zip(self.split(columns), self.shapes)
            ]
        )

    @property
    def size(self) -> int:
        """The number of numbers in the structure."""
        return sum(1 if shape is None else math.prod(shape) for shape in self.shapes)


def even_array(x: Any, where: str) -> np.ndarray:
    """Convert a nested list to an array; if its rows differ in shape, the ValueError names the row.

    >>> even_array([[1.0, 2.0], [3.0]], "x")
    Traceback (most recent call last):
        ...
    ValueError: x: expected rows of one shape, got 2 numbers as row 0 and 1 number as row 1
    """
    np = _numpy()
    try:
        return np.asarray(x)  # type: ignore[no-any-return]
    except ValueError:
        raise _uneven(x, where) from None


def _uneven(x: Any, where: str) -> ValueError:
    """Return the error for a nested list with uneven rows; it names the first row that differs from row 0."""
    np = _numpy()
    expected: tuple[int, ...] = ()
    for i, row in enumerate(x):
        try:
            shape = np.shape(row)
        except ValueError:
            return _uneven(row, f"{where}[{i}]")
        expected = expected if i else shape
        if shape != expected:
            both = f"{_of_shape(expected)} as row 0 and {_of_shape(shape)} as row {i}"
            return ValueError(f"{where}: expected rows of one shape, got {both}")
    return ValueError(f"{where}: expected rows of numbers, got something else")


def _of_shape(shape: tuple[int, ...]) -> str:
    if len(shape) == 1:
        return f"{shape[0]} number{'s' * (shape[0] != 1)}"
    return f"an array of shape {shape}" if shape else "a number alone"


def check_unmasked(x: object, where: str) -> None:
    """Raise a TypeError for a masked array, or a list of them: its mask would be lost.

    >>> import numpy as np
    >>> check_unmasked(np.ma.masked_array([1.0, 2.0], mask=[False, True]), "x")
    Traceback (most recent call last):
        ...
    TypeError: x: expected an array without a mask, got a masked array; write .filled(number) to put a number in the \
place of masked elements, or .compressed() to leave them out
    """
    kinds = set(map(type, x)) if isinstance(x, (list, tuple)) else {type(x)}
    # NumPy imports numpy.ma only where it is used; no other class has both attributes.
    if any(hasattr(kind, "filled") and hasattr(kind, "compressed") for kind in kinds):
        raise TypeError(
            f"{where}: expected an array without a mask, got a masked array; write .filled(number) to put a number in "
            "the place of masked elements, or .compressed() to leave them out"
        )


def flatten(tree: Any, where: str, exact: bool = False) -> tuple[list[Number], Structure]:
    """Split a nested structure into its numbers, in order, and the structure without them.

    Args:
        tree: a number, a Value, a NumPy array, or a list, tuple, named tuple or dict of structures.
        where: the name of the argument, for error messages.
        exact: True to keep complex and mpmath numbers as they are, instead of refusing or rounding them.

    Returns:
        The numbers (floats or Values), and the structure that other numbers can be put into.

    Raises:
        TypeError: for masked arrays and anything else, naming the place: `x['w'][1]: expected ...`.

    >>> numbers, structure = flatten({"w": [1, 2], "b": 3}, "x")
    >>> numbers, structure.rebuild([10.0, 20.0, 30.0])
    ([1.0, 2.0, 3.0], {'w': [10.0, 20.0], 'b': 30.0})
    """
    if isinstance(tree, Value):
        return [tree], Structure((None,), ("",), lambda leaves: leaves[0])
    if is_array(tree):
        check_unmasked(tree, where)
        # A 0-d array can be an element of an object array.
        numbers = [x.item() if is_array(x) and x.ndim == 0 else x for x in tree.ravel().tolist()]
        elements = [_number(x, where, exact) for x in numbers]
        return elements, Structure((tree.shape,), ("",), lambda leaves: leaves[0])
    if is_real_scalar(tree) or (exact and isinstance(tree, complex)):
        return [_number(tree, where, exact)], Structure((None,), ("",), lambda leaves: leaves[0])
    if isinstance(tree, dict):
        keys = list(tree)
        items = [(f"[{key!r}]", f"{where}[{key!r}]", tree[key]) for key in keys]
        return flatten_parts(items, lambda parts: dict(zip(keys, parts)), exact)
    if isinstance(tree, (list, tuple)):
        # The class of a named tuple takes its items as separate arguments.
        kind: Any = type(tree)
        make = kind._make if hasattr(kind, "_make") else kind
        return flatten_parts([(f"[{i}]", f"{where}[{i}]", x) for i, x in enumerate(tree)], make, exact)
    raise TypeError(
        f"{where}: expected a number, a NumPy array, or a list, tuple or dict of them, got {type(tree).__name__}"
    )


def as_array(numbers: Sequence[Number], shape: tuple[int, ...]) -> Any:
    """Make an array of floats or complex numbers, or an object array if there are Values or mpmath numbers.

    >>> as_array([1.0, 2.0], (2, 1))
    array([[1.],
           [2.]])
    """
    kinds = set(map(type, numbers))
    kind: type = float if kinds <= {float} else complex if kinds <= {float, complex} else object
    array: Any = _numpy().empty(len(numbers), dtype=kind)
    array[:] = numbers
    return array.reshape(shape)


def _numpy() -> Any:
    try:
        import numpy
    except ImportError:
        return MissingNumPy()
    return numpy


def _number(x: Any, where: str, exact: bool) -> Number:
    if isinstance(x, Value) or (exact and (isinstance(x, complex) or hasattr(x, "context"))):
        return x
    return as_float(x, where)


def flatten_parts(
    items: Sequence[tuple[str, str, Any]], combine: Callable[[list[Any]], Any], exact: bool = False
) -> tuple[list[Number], Structure]:
    """Split several structures as `flatten` does.

    Args:
        items: the place of each part in the whole, its name for error messages, and the part.
        combine: makes the whole from its parts.
        exact: as for `flatten`.
    """
    numbers: list[Number] = []
    parts: list[Structure] = []
    paths: list[str] = []
    for place, where, tree in items:
        own, structure = flatten(tree, where, exact)
        numbers.extend(own)
        parts.append(structure)
        paths.extend(place + path for path in structure.paths)

    def assemble(leaves: Sequence[Any]) -> Any:
        built, start = [], 0
        for structure in parts:
            end = start + len(structure.shapes)
            built.append(structure.assemble(leaves[start:end]))
            start = end
        return combine(built)

    return numbers, Structure(tuple(shape for part in parts for shape in part.shapes), tuple(paths), assemble)
