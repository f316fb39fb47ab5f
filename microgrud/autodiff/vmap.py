"""`vmap`: a function of one sample as a function of a batch, along any axis of any argument."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..common.arrays import is_array
from ..common.words import name_of
from .containers import opened
from .tables import is_table, table_as_array
from .trees import Template, as_array, check_unmasked, flatten

#: An axis, None for no axis, or a structure of them.
Axes: TypeAlias = "int | Sequence[Any] | Mapping[str, Any] | None"


def vmap(f: Callable[..., Any], in_axes: Axes = 0, out_axes: int | Sequence[Any] = 0) -> Callable[..., Any]:
    """Make the function that computes `f` for each sample of a batch: vmap(f)(X)[i] = f(X[i]).

    A compiled function is replayed for all samples at once, outside of transforms and for arguments without Values;
    `vmap(compile(grad(loss)))` are gradients of samples in one replay. Any other function is called for each sample.
    Calls nest with each other, with transforms and with `compile`. As in JAX, tuples, dicts, and lists that hold
    arrays are structures, whose leaves have the axis. Other than in JAX, a list of numbers, or of even lists of
    numbers, is a vector or a matrix.

    Args:
        f: a function of numbers, arrays, and structures of them.
        in_axes: the axis of the samples in each argument: one for all arguments, or a tuple with one for each. None
            stands for an argument that all samples share. A list, tuple or dict has the axes of the items of an
            argument. Keyword arguments have samples first.
        out_axes: the axis of the samples in the results: one for all arrays, or a tuple for a result that is a tuple.

    Returns:
        A function of the same arguments. Each number or array of the result becomes an array with one more axis, and so
        does each list of numbers, or of even lists of numbers. If all batches are lists, these are lists instead.

    Raises:
        TypeError: (by the returned function) if an argument has no axis, or a result is not made of numbers.
        ValueError: (by the returned function) if batches differ in size, results differ in structure, there is no batch
            or no sample, or the axes do not fit.

    >>> from microgrud import grad
    >>> import numpy as np
    >>> vmap(lambda x, y: x * y)(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([3., 8.])
    >>> vmap(lambda x, y: x * y, in_axes=(0, None))([1.0, 2.0], 10.0)
    [10.0, 20.0]
    >>> loss = lambda w, x: (w[0] * x + w[1]) ** 2
    >>> vmap(grad(loss), in_axes=(None, 0))([2.0, 1.0], np.array([0.0, 1.0, 2.0]))
    array([[ 0.,  2.],
           [ 6.,  6.],
           [20., 10.]])
    """

    @functools.wraps(f)
    def f_of_batch(*args: Any, **kwargs: Any) -> Any:
        batches = _read(f, args, kwargs, in_axes)
        replayed = getattr(f, "_over_batches", None)
        found = None if replayed is None else replayed(batches)
        if found is None:
            flat = [
                flatten(_call(f, batches.tree.sample(i)), f"the result of {name_of(f)}") for i in range(batches.size)
            ]
            rows, structure = [numbers for numbers, _ in flat], flat[0][1]
            for i, (_, own) in enumerate(flat):
                if (own.shapes, own.paths) != (structure.shapes, structure.paths):
                    raise ValueError(
                        f"vmap: expected results of one structure, got {structure.rebuild(rows[0])!r} for sample 0 and "
                        f"{own.rebuild(rows[i])!r} for sample {i}"
                    )
            found = structure, functools.partial(_of_rows, rows)
        structure, block = found
        return _stacked(structure.template, structure.shapes, out_axes, batches.in_lists, block)

    return f_of_batch


def _call(f: Callable[..., Any], given: Any) -> Any:
    args, kwargs = given
    return f(*args, **kwargs)


# --- arguments --------------------------------------------------------------------------------------------------------


@dataclass
class Shared:
    """A part of the arguments that all samples share."""

    x: Any

    def sample(self, i: int) -> Any:
        """Return the part itself."""
        return self.x


@dataclass
class Batch:
    """An array or a list with samples first.

    Attributes:
        x: the array or list.
        where: the name of the argument, and the place in it.
    """

    x: Any
    where: str

    def sample(self, i: int) -> Any:
        """Return the item of a sample."""
        return self.x.item(i) if is_array(self.x) and self.x.ndim == 1 else self.x[i]


@dataclass
class Node:
    """A list, tuple or dict of parts.

    Attributes:
        kind: identifies what `make` makes.
        make: makes it from its items.
        parts: the parts.
    """

    kind: tuple[Any, ...]
    make: Callable[[list[Any]], Any]
    parts: list[Part]

    def sample(self, i: int) -> Any:
        """Return the same with the item of a sample in place of each batch."""
        return self.make([part.sample(i) for part in self.parts])


Part: TypeAlias = "Shared | Batch | Node"


@dataclass
class Batches:
    """The arguments of a call, with one number of samples.

    Attributes:
        tree: the positional arguments and the keyword arguments, as a tuple of a list and a dict.
        size: the number of samples.
        in_lists: whether all batches are lists.
    """

    tree: Part
    size: int
    in_lists: bool


def leaves_of(part: Part) -> Iterator[Shared | Batch]:
    """Yield the leaves in order."""
    if isinstance(part, Node):
        for own in part.parts:
            yield from leaves_of(own)
    else:
        yield part


def _read(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], in_axes: Axes) -> Batches:
    """Return the arguments of a call; raise an error if they are no batches of one size."""
    axes = list(in_axes) if isinstance(in_axes, (tuple, list)) else [in_axes] * len(args)
    if len(axes) != len(args):
        raise ValueError(f"vmap: in_axes: expected one for each of {len(args)} arguments, got {len(axes)}")
    try:
        names = [p.name for p in inspect.signature(f).parameters.values() if p.kind in (0, 1)]
    except (TypeError, ValueError):
        names = []
    names += [f"argument {k}" for k in range(len(names), len(args))]
    parts = [_part(x, axis, name) for x, axis, name in zip(args, axes, names)]
    keywords = [_part(x, 0, name) for name, x in kwargs.items()]
    named = Node(("kwargs", *kwargs), lambda items: dict(zip(kwargs, items)), keywords)
    tree = Node(("call",), tuple, [Node(("args",), list, parts), named])
    batches = [leaf for leaf in leaves_of(tree) if isinstance(leaf, Batch)]
    if not batches:
        raise ValueError(f"vmap: expected an axis of samples in an argument, got in_axes={in_axes!r} without one")
    first = batches[0]
    for other in batches:
        if len(other.x) != len(first.x):
            raise ValueError(
                f"vmap: expected batches of one size, got {len(first.x)} samples in {first.where} and "
                f"{len(other.x)} in {other.where}"
            )
    if not len(first.x):
        raise ValueError(f"vmap: {first.where}: expected at least one sample, got none")
    return Batches(tree, len(first.x), all(isinstance(own.x, list) for own in batches))


def _part(x: Any, axis: Any, where: str) -> Part:
    if axis is None:
        return Shared(x)
    found = opened(x)
    if isinstance(axis, (list, tuple, Mapping)):
        keys = [] if found is None else list(found[0])
        own = list(axis) if isinstance(axis, Mapping) else list(range(len(axis)))
        if found is None or set(own) != set(keys):
            raise ValueError(f"vmap: in_axes: expected the structure of {where}, got {axis!r}")
        return _node(x, found, [axis[key] for key in keys], where)
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise TypeError(f"vmap: in_axes: expected an integer or None for {where}, got {axis!r}")
    check_unmasked(x, f"vmap: {where}")
    if type(x) is list and (depth := _depth(x)):
        return Batch(_items(x, _axis(axis, depth, f"{where}: in_axes"), where), where)
    if found is not None:
        return _node(x, found, [axis] * len(found[0]), where)
    x = table_as_array(x, f"vmap: {where}") if is_table(x) else x
    if hasattr(type(x), "takes_truths"):  # an array of truths in a recording
        x = as_array(x.ravel().tolist(), x.shape)
    if not is_array(x) or not x.ndim:
        raise TypeError(
            f"vmap: {where}: expected an array or a list of samples, got {type(x).__name__}; write None in in_axes for "
            "what all samples share"
        )
    return Batch(moved_axis(x, _axis(axis, x.ndim, f"{where}: in_axes"), 0), where)


def _node(x: Any, found: Any, axes: Sequence[Any], where: str) -> Node:
    keys, items, make = found
    names = (str(len(keys)),) if isinstance(keys, range) else tuple(map(repr, keys))
    parts = [_part(item, axis, f"{where}[{key!r}]") for key, item, axis in zip(keys, items, axes)]
    return Node((type(x), *names), make, parts)


def _depth(x: Any) -> int:
    """Return how many axes nested lists of numbers have; 0 for a list that holds anything else."""
    if set(map(type, x)) <= {float}:
        return 1
    if all(type(item) is list for item in x):
        depths = set(map(_depth, x))
        return 0 if 0 in depths else min(depths) + 1
    return int(all(not is_array(item) and opened(item) is None and not is_table(item) for item in x))


def _items(x: list[Any], axis: int, where: str) -> list[Any]:
    """Return the items of a vector, or of a matrix in lists, along an axis."""
    if not axis:
        return x
    rows = [_items(row, axis - 1, where) for row in x]
    sizes = sorted(set(map(len, rows)))
    if len(sizes) > 1:
        raise ValueError(f"vmap: {where}: expected as many samples in all rows, got {sizes[0]} and {sizes[-1]}")
    return [list(items) for items in zip(*rows)]


def _axis(axis: int, axes: int, where: str) -> int:
    """Return an axis as an index from 0."""
    if not -axes <= axis < axes:
        raise ValueError(f"vmap: {where}: expected an axis from {-axes} to {axes - 1}, got {axis}")
    return axis % axes


def moved_axis(array: Any, source: int, target: int) -> Any:
    """Return an array with an axis at another place."""
    order = [k for k in range(array.ndim) if k != source]
    order.insert(target, source)
    return array.transpose(order)


# --- results ----------------------------------------------------------------------------------------------------------

#: Returns the numbers of all samples from one place to another, as an array of a shape with the axis of the samples
#: inserted, or as nested lists.
Block: TypeAlias = Callable[[int, int, "tuple[int, ...]", int, bool], Any]


def _stacked(
    template: Template,
    shapes: Sequence[tuple[int, ...] | None],
    axis: Any,
    in_lists: bool,
    block: Block,
    start: int = 0,
) -> Any:
    """Return the results of all samples in the structure of one result; its numbers begin at a place."""
    dimensions = _dimensions(template, iter(shapes))
    if template is None or dimensions is not None:
        shape = (shapes[0] or ()) if dimensions is None else dimensions
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise TypeError(f"vmap: out_axes: expected an integer for each array of the result, got {axis!r}")
        place = _axis(axis, len(shape) + 1, "out_axes")
        return block(start, start + math.prod(shape), shape, place, in_lists and dimensions is not None)
    make, parts = template
    results = []
    for part, own in zip(parts, _axes_of(axis, make, len(parts))):
        count = _count(part)
        results.append(_stacked(part, shapes[:count], own, in_lists, block, start))
        start += sum(math.prod(shape or ()) for shape in shapes[:count])
        shapes = shapes[count:]
    return make(results)


def _axes_of(axis: Any, make: Callable[[list[Any]], Any], count: int) -> list[Any]:
    """Return the axes for the items of a list, tuple or dict."""
    if not isinstance(axis, (list, tuple, Mapping)):
        return [axis] * count
    keys = list(make(list(range(count))) if isinstance(axis, Mapping) else range(count))
    if set(keys) != set(axis if isinstance(axis, Mapping) else range(len(axis))):
        raise ValueError(f"vmap: out_axes: expected the structure of the result, with {count} items, got {axis!r}")
    return [axis[key] for key in keys]


def _dimensions(template: Template, shapes: Iterator[tuple[int, ...] | None]) -> tuple[int, ...] | None:
    """Return the shape of a number, or of even lists of numbers; None for anything else."""
    if template is None:
        return None if next(shapes) is not None else ()
    make, parts = template
    own = [_dimensions(part, shapes) for part in parts]
    even = make is list and len(set(own)) == 1 and own[0] is not None
    return (len(own), *own[0]) if even else None  # type: ignore[misc]


def _count(template: Template) -> int:
    return 1 if template is None else sum(map(_count, template[1]))


def _of_rows(
    rows: Sequence[Sequence[Any]], start: int, end: int, shape: tuple[int, ...], axis: int, as_list: bool
) -> Any:
    """Do what a Block does for a list of the numbers of each sample."""
    if not as_list:
        return moved_axis(as_array([x for row in rows for x in row[start:end]], (len(rows), *shape)), 0, axis)
    return _with_axis([_nested(row[start:end], shape) for row in rows], axis)


def _nested(numbers: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """Arrange numbers in nested lists of a shape."""
    if not shape:
        return numbers[0]
    size = math.prod(shape[1:])
    return [_nested(numbers[k * size : (k + 1) * size], shape[1:]) for k in range(shape[0])]


def _with_axis(lists: list[Any], axis: int) -> list[Any]:
    """Return nested lists with their first axis as another one."""
    return [_with_axis(list(items), axis - 1) for items in zip(*lists)] if axis else lists
