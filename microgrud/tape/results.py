"""The structure of results: how C makes it, and one layout for the results of many samples."""

from __future__ import annotations

import itertools
import math
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..autodiff.containers import opened
from ..autodiff.trees import Structure, Template
from ..engine.vectors import Vector
from .native import native_tape

#: Plans are read by recursion in C. No replay is made for a deeper one.
_DEEPEST = 100
#: The code of the functions that make a dict, and of those that make a named tuple, unless its class has its own.
_DICT = opened({})[2].__code__  # type: ignore[index]
_NAMED = namedtuple("_NAMED", ())._make.__func__.__code__  # type: ignore[attr-defined]

_Shapes: TypeAlias = "Iterator[tuple[int, ...] | None]"


def plan_of(structure: Structure) -> Any:
    """Return the plan by which C makes a result; see `_native/src/replay/results.h`.

    Raises:
        RecursionError: if the structure is nested too deeply.
    """
    return _plan(structure.template, iter(structure.shapes), _DEEPEST)


def _plan(template: Template, shapes: _Shapes, levels: int) -> Any:
    if not levels:
        raise RecursionError
    kind: Any = native_tape.RESULT_KINDS.index
    if template is None:
        shape = next(shapes)
        return None if shape is None else (kind("array"), shape)
    make, parts = template
    plans = [_plan(part, shapes, levels - 1) for part in parts]
    if make is list or make is tuple:
        return kind("list" if make is list else "tuple"), tuple(plans)
    code = getattr(getattr(make, "__func__", make), "__code__", None)
    if code is _DICT:
        return kind("dict"), make(plans)
    if code is _NAMED:
        return kind("named tuple"), tuple(plans), make.__self__  # type: ignore[attr-defined]
    return kind("other"), tuple(plans), make


def with_samples_first(structure: Structure, part: Callable[[int, int, tuple[int, ...]], Any]) -> Any:
    """Arrange the numbers of the results of all samples.

    A list, a tuple or an array is one array, whose first axis is that of the samples, if all its items have one shape.
    Dicts and named tuples keep their fields, each with samples first; so do sequences of items that differ.

    Args:
        structure: the structure of the result of one sample.
        part: returns the numbers from one place to another in the results of all samples, as an array with a shape
            after the axis of the samples.

    >>> from microgrud.autodiff.trees import flatten
    >>> _, structure = flatten({"a": [1.0, 2.0], "b": (3.0, [4.0])}, "the result")
    >>> with_samples_first(structure, lambda start, end, shape: f"{start} to {end} as (samples, *{shape})")
    {'a': '0 to 2 as (samples, *(2,))', 'b': ('2 to 3 as (samples, *())', '3 to 4 as (samples, *(1,))')}
    """
    return _arranged(_measured(structure.template, iter(structure.shapes)), 0, part)


def matrix_in(outputs: Structure, inputs: Structure, matrix: Vector) -> Any:
    """Arrange derivatives, given as an array with a row for each output, as `Structure.jacobian` does.

    >>> from microgrud.autodiff.trees import flatten
    >>> _, structure = flatten({"a": 1.0, "b": [2.0]}, "the result")
    >>> matrix_in(structure, structure, np.array([[1.0, 2.0], [3.0, 4.0]]))
    {'a': {'a': 1.0, 'b': [2.0]}, 'b': [{'a': 3.0, 'b': [4.0]}]}
    """
    if inputs.template is not None and not any(inputs.template[1]) and set(inputs.shapes) <= {None}:
        of_number: Any = inputs.template[0]  # 10 times as fast for a list of numbers
    else:
        of_number = inputs.rebuild
    ends = list(itertools.accumulate([_count(shape) for shape in inputs.shapes], initial=0))
    blocks, start = [], 0
    for shape in outputs.shapes:
        own, start = matrix[start : start + _count(shape)], start + _count(shape)
        blocks.append(
            of_number(own[0].tolist())
            if shape is None
            else inputs.assemble(
                np.ascontiguousarray(own[:, first:end]).reshape(shape + (leaf_shape or ()))
                for first, end, leaf_shape in zip(ends, ends[1:], inputs.shapes)
            )
        )
    return outputs.assemble(blocks)


def _count(shape: tuple[int, ...] | None) -> int:
    return math.prod(shape or ())


class _Part(NamedTuple):
    """A part of a structure.

    Attributes:
        shape: the shape of the array that its numbers make; None if they make none.
        size: how many numbers it has.
        make: makes it from its items, which follow.
    """

    shape: tuple[int, ...] | None
    size: int
    make: Callable[[list[Any]], Any] = list
    items: Sequence[_Part] = ()


def _measured(template: Template, shapes: _Shapes) -> _Part:
    if template is None:
        shape = next(shapes) or ()
        return _Part(shape, math.prod(shape))
    make, parts = template
    items = [_measured(part, shapes) for part in parts]
    first = items[0].shape if items else ()
    even = isinstance(make, type) and all(item.shape == first for item in items)  # a class of sequences
    return _Part((len(items), *first) if even and first is not None else None, sum(x.size for x in items), make, items)


def _arranged(own: _Part, start: int, part: Callable[[int, int, tuple[int, ...]], Any]) -> Any:
    if own.shape is not None:
        return part(start, start + own.size, own.shape)
    starts = itertools.accumulate([item.size for item in own.items], initial=start)
    return own.make([_arranged(item, first, part) for item, first in zip(own.items, starts)])
