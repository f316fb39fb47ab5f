"""Nested structures of numbers: `flatten` makes a flat list of them, and `Structure` rebuilds them from such a list."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ..common.arrays import is_array, load_numpy
from ..common.numbers import Number, is_real_scalar
from ..engine import Value
from ..engine.tracing import given_array
from ..engine.truth import as_operand
from .containers import opened, place_of
from .tables import is_table, table_as_array

if TYPE_CHECKING:
    import numpy as np


#: Containers (see containers.py) without their leaves: for each, a function that makes it from its items, and the
#: templates of the items; None for a leaf. Only `filled` calls the function, since a subclass may convert or compare
#: its items.
Template: TypeAlias = "tuple[Callable[[list[Any]], Any], list[Template]] | None"


@dataclass(frozen=True)
class Structure:
    """A nested structure without its numbers; its leaves are single numbers and arrays.

    Attributes:
        shapes: for each leaf in order, the shape of an array, or None for a single number.
        paths: for each leaf in order, its place: `"['w'][1]"`.
        template: the containers without the leaves.
    """

    shapes: tuple[tuple[int, ...] | None, ...]
    paths: tuple[str, ...]
    template: Template

    def assemble(self, leaves: Iterable[Any]) -> Any:
        """Put one object per leaf (a number, an array, or anything else) in the place of each leaf."""
        return filled(self.template, iter(leaves))

    def rebuild(self, numbers: Sequence[Number]) -> Any:
        """Make the same structure with other numbers; leaves that were arrays become arrays."""
        if self.shapes == (None,):  # 0.2 us instead of 0.6
            return filled(self.template, iter(numbers))
        parts = zip(self.split(numbers), self.shapes)
        return filled(self.template, iter([x[0] if shape is None else as_array(x, shape) for x, shape in parts]))

    def split(self, numbers: Sequence[Any]) -> list[Sequence[Any]]:
        """Cut a sequence with one item per number into one part per leaf."""
        parts = []
        start = 0
        for shape in self.shapes:
            end = start + (1 if shape is None else math.prod(shape))
            parts.append(numbers[start:end])
            start = end
        return parts

    def jacobian(self, rows: Sequence[Sequence[Number]], inputs: Structure) -> Any:
        """Arrange derivatives of the numbers of this structure with respect to those of another.

        Args:
            rows: the derivatives of each number of this structure.
            inputs: the structure of the numbers to differentiate with respect to.

        Returns:
            This structure with `inputs` in place of each leaf; an array in it has the shape of the leaf + its own one.
        """
        places = inputs.split(range(inputs.size))
        blocks = [
            inputs.rebuild(own[0])
            if shape is None
            else inputs.assemble(
                as_array([row[i] for row in own for i in columns], shape + (leaf_shape or ()))
                for columns, leaf_shape in zip(places, inputs.shapes)
            )
            for own, shape in zip(self.split(rows), self.shapes)
        ]
        return self.assemble(blocks)

    @property
    def size(self) -> int:
        """The number of numbers in the structure."""
        return sum(1 if shape is None else math.prod(shape) for shape in self.shapes)


#: The structure of a number alone.
_SINGLE = Structure((None,), ("",), None)
_SINGLE_ARGUMENT = Structure((None,), ("[0]",), None)


def template_of(tree: Any, visit: Callable[[Any, str], object] = lambda leaf, place: None, where: str = "") -> Template:
    """Return the template of containers; call `visit(leaf, place)` for each leaf, in order."""
    found = opened(tree)
    if found is None:
        visit(tree, where)
        return None
    keys, items, make = found
    return make, [template_of(item, visit, where + place_of(key)) for key, item in zip(keys, items)]


def filled(template: Template, leaves: Iterator[Any]) -> Any:
    """Return the containers of a template with these leaves."""
    if template is None:
        return next(leaves)
    make, parts = template
    return make([filled(part, leaves) for part in parts])


def map_leaves(f: Callable[[Any, str], Any], tree: Any, where: str = "") -> Any:
    """Return the same containers with `f(leaf, place)` in place of each leaf.

    >>> map_leaves(lambda x, place: f"{place} = {x}", {"w": [1.0, 2.0]}, "x")
    {'w': ["x['w'][0] = 1.0", "x['w'][1] = 2.0"]}
    """
    leaves: list[Any] = []
    template = template_of(tree, lambda leaf, place: leaves.append(f(leaf, place)), where)
    return filled(template, iter(leaves))


def leaves_of(tree: Any) -> list[Any]:
    """Return the leaves in containers, in order."""
    found: list[Any] = []
    template_of(tree, lambda leaf, _: found.append(leaf))
    return found


def indexed(name: str, shape: tuple[int, ...]) -> list[str]:
    """Return a name for each element of an array: `x[0, 1]`; of an array without axes, the name alone."""
    places = itertools.product(*map(range, shape))
    return [f"{name}[{', '.join(map(str, place))}]" if place else name for place in places]


def even_array(x: Any, where: str) -> np.ndarray:
    """Convert a nested list to an array; if its rows differ in shape, the ValueError names the row.

    >>> even_array([[1.0, 2.0], [3.0]], "x")
    Traceback (most recent call last):
        ...
    ValueError: x: expected rows of one shape, got 2 numbers as row 0 and 1 number as row 1
    """
    np = load_numpy()
    try:
        return np.asarray(x)  # type: ignore[no-any-return]
    except ValueError:
        raise _uneven(x, where) from None


def _uneven(x: Any, where: str) -> ValueError:
    """Return the error for a nested list with uneven rows; it names the first row that differs from row 0."""
    np = load_numpy()
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
        tree: a number, a Value, an array, a table or column of pandas, polars or PyArrow (as an array), or a list,
            tuple, named tuple, dict or dataclass of structures, in which None has no numbers.
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
    if isinstance(tree, Value) or type(tree) is float:  # 0.2 us instead of 2
        return [tree], _SINGLE
    if tree is None:  # most likely a function that returns nothing
        raise _not_numbers(tree, where)
    numbers: list[Number] = []
    shapes: list[tuple[int, ...] | None] = []
    paths: list[str] = []

    def add(leaf: Any, path: str) -> None:
        shape = None
        if type(leaf) is float or isinstance(leaf, Value):
            numbers.append(leaf)
        elif (
            (is_own := is_array(leaf) or hasattr(type(leaf), "takes_truths"))  # which an array of a recording has
            or (not is_real_scalar(leaf) and is_table(leaf))
        ):
            leaf = leaf if is_own else table_as_array(leaf, where + path)
            check_unmasked(leaf, where + path)
            shape = leaf.shape
            # A 0-d array can be an element of an object array.
            items = [x.item() if is_array(x) and x.ndim == 0 else x for x in leaf.ravel().tolist()]
            numbers.extend([_number(x, where + path, exact) for x in items])
        elif is_real_scalar(leaf) or (exact and isinstance(leaf, complex)):
            numbers.append(_number(leaf, where + path, exact))
        else:
            raise _not_numbers(leaf, where + path)
        shapes.append(shape)
        paths.append(path)

    template = template_of(tree, add)
    return numbers, Structure(tuple(shapes), tuple(paths), template)


def _not_numbers(x: Any, where: str) -> TypeError:
    return TypeError(
        f"{where}: expected a number, a NumPy array, or a list, tuple or dict of them, got {type(x).__name__}"
    )


def numbers_in(tree: Any, where: str) -> list[Number]:
    """Return the numbers of a structure as `flatten` does, in a tenth of the time for lists of floats.

    >>> numbers_in([[1.0, 2.0], [3.0, 4.0]], "x")
    [1.0, 2.0, 3.0, 4.0]
    """
    if type(tree) not in (list, tuple):
        return flatten(tree, where)[0]
    if set(map(type, tree)) <= {float}:
        return list(tree)
    return [x for i, item in enumerate(tree) for x in numbers_in(item, f"{where}[{i}]")]


def joined(structures: Sequence[Structure], single: bool = False) -> Structure:
    """Return the structure of a tuple of structures; if `single`, the only one, with paths as if in a tuple."""
    if single and structures[0] is _SINGLE:  # 0.1 us instead of 1.5
        return _SINGLE_ARGUMENT
    return Structure(
        tuple(shape for part in structures for shape in part.shapes),
        tuple(f"[{i}]{path}" for i, part in enumerate(structures) for path in part.paths),
        structures[0].template if single else (tuple, [part.template for part in structures]),
    )


def as_array(numbers: Sequence[Number], shape: tuple[int, ...]) -> Any:
    """Make an array of floats or complex numbers, or an object array if there are Values or mpmath numbers.

    >>> as_array([1.0, 2.0], (2, 1))
    array([[1.],
           [2.]])
    """
    kinds = set(map(type, numbers))
    kind: type = float if kinds <= {float} else complex if kinds <= {float, complex} else object
    array: Any = load_numpy().empty(len(numbers), dtype=kind)
    array[:] = numbers
    array = array.reshape(shape)
    return given_array(array) if kind is object else array


def _number(x: Any, where: str, exact: bool) -> Number:
    if isinstance(x, Value) or (exact and (isinstance(x, complex) or hasattr(x, "context"))):
        return x
    return as_operand(x, where)
