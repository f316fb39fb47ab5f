"""The matrix of agreement: programs, the truth about each, and the one tolerance of every comparison.

A program is a function, made again for each cell from the leaves that it closes over, and points at which to call it.
The truth comes from central differences with mpmath, with as many digits as needed. If a program cannot run on mpmath
numbers, it comes from the engine's own backward pass, which is compared with differences of floats.
"""

from __future__ import annotations

import copy
import fnmatch
import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from mpmath import mp, mpf

import microgrud
from microgrud import CompileError, Value

#: The largest difference between two ways of computing a number, relative to the largest number compared with it, or 1.
TOLERANCE = 1e-9

#: Patterns of the names of ways that record.
RECORDING = ("*compile*", "NumPy*", "grad of .value_and_grad")

Numbers = list[float]
Function = Callable[..., Any]


@dataclass(frozen=True)
class Refusal:
    """A documented error instead of a number.

    Attributes:
        error: its type.
        match: a regular expression for the part of the message that says what to write.
        reason: one line for the summary.
        always: True if the error has to be raised; False if the right number is allowed too.
    """

    error: type[Exception] | tuple[type[Exception], ...]
    match: str
    reason: str
    always: bool = True


def in_recordings(match: str, reason: str) -> dict[str, Refusal]:
    """Return the errors of ways that record, if no recording can represent a function; right numbers are allowed."""
    return dict.fromkeys(RECORDING, Refusal(CompileError, match, reason, always=False))


@dataclass(frozen=True)
class Program:
    """A row of the matrix.

    Attributes:
        name: the name of the row.
        make: a function of the leaves that returns the function that closes over them.
        points: three tuples of positional arguments, which are the samples of a batch too.
        leaves: the numbers of the leaves.
        keywords: further arguments, which are the same at every call.
        refused: the documented errors, by patterns of names of ways.
        without: patterns of names of ways that do not apply to this program.
        exact: True if it runs on mpmath numbers.
        instead: a function of the arguments of a point that returns the maker of a function equal to the program there,
            for differences that must not cross the jump at the point.
    """

    name: str
    make: Callable[..., Function]
    points: tuple[tuple[Any, ...], ...]
    leaves: tuple[float, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    exact: bool = True
    instead: Callable[..., Callable[..., Function]] | None = None
    source: str = ""

    def refusal(self, way: str) -> Refusal | None:
        """Return the documented error of a way, if there is one."""
        return next((r for pattern, r in self.refused.items() if fnmatch.fnmatchcase(way, pattern)), None)

    @cached_property
    def argnums(self) -> tuple[int, ...]:
        """The positions of the arguments that hold floats, which can be differentiated."""
        return tuple(i for i, x in enumerate(self.points[0]) if numbers_of(x))

    @cached_property
    def result(self) -> Any:
        """The result at the first point: on floats, or on Values if the function calls their methods."""
        f, args = self.make(*self.leaves), copy.deepcopy(self.points[0])
        try:
            return f(*args, **self.keywords)
        except AttributeError:
            return f(*mapped(Value, args), **self.keywords)

    @property
    def is_scalar(self) -> bool:
        """True if the result is one number, and not a structure."""
        return not isinstance(self.result, (list, tuple, dict, np.ndarray))

    @cached_property
    def truths(self) -> dict[Any, Truth]:
        """The truths that cells of this row have needed so far, by arguments."""
        return {}

    def scalar(self, f: Function) -> Function:
        """Make a function whose result is one number: `f` itself, or a weighted sum of its results."""
        if self.is_scalar:
            return f

        @functools.wraps(f)
        def weighted(*args: Any, **kwargs: Any) -> Any:
            return weighted_sum(numbers_of(f(*args, **kwargs)))

        return weighted


# --- structures of numbers ------------------------------------------------------------------------------------------


def is_number(x: Any) -> bool:
    """Return whether `x` is a number that may vary: a float, a Value or a number of mpmath, but no integer."""
    return isinstance(x, (float, Value)) or hasattr(x, "_mpf_")


def mapped(f: Callable[[Any], Any], tree: Any) -> Any:
    """Replace every number x of a structure by f(x)."""
    if is_number(tree):
        return f(tree)
    if isinstance(tree, np.ndarray) and tree.dtype.kind in "fO":
        array = np.empty(tree.shape, dtype=object)
        array.flat[:] = [f(x) for x in tree.ravel().tolist()]
        return array
    if isinstance(tree, dict):
        return {key: mapped(f, x) for key, x in tree.items()}
    if isinstance(tree, (list, tuple)):
        items = [mapped(f, x) for x in tree]
        return tree._make(items) if hasattr(tree, "_make") else type(tree)(items)
    return tree


def numbers_of(tree: Any) -> list[Any]:
    """Return the numbers of a structure, in order."""
    found: list[Any] = []
    mapped(found.append, tree)
    return found


def replaced(tree: Any, numbers: Sequence[Any]) -> Any:
    """Put other numbers into a structure, in order."""
    rest = iter(numbers)
    return mapped(lambda _: next(rest), tree)


def data(numbers: Sequence[Any]) -> Numbers:
    """Return the numbers of Values and others as floats."""
    return [float(x.data if isinstance(x, Value) else x) for x in numbers]


def weights(count: int) -> Numbers:
    """Return the fixed weights of sums: 1, -0.5, 0.75, ... for the first few, none of them 0."""
    return [(-1.0) ** i * (0.5 + 0.5 / (1 + i // 2)) * (1.0 if i % 2 == 0 else 0.5) for i in range(count)]


def weighted_sum(numbers: Sequence[Any], by: Sequence[float] | None = None) -> Any:
    """Return the weighted sum of numbers: a float, Value or mpmath number."""
    return sum((w * x for w, x in zip(by or weights(len(numbers)), numbers)), start=0.0)


# --- the truth ------------------------------------------------------------------------------------------------------


class Truth:
    """The numbers of a program at a point, and its derivatives with respect to its inputs: arguments, then leaves.

    Attributes:
        values: the numbers of the result.
        value: the number of the program's scalar.
    """

    def __init__(self, program: Program, args: tuple[Any, ...], leaves: Sequence[float]) -> None:
        self.program, self.args, self.leaves = program, args, tuple(leaves)
        self.inputs = [*numbers_of(args), *leaves]
        self.count = len(self.inputs) - len(self.leaves)

    def padded(self, direction: Sequence[float]) -> Numbers:
        """Extend a direction of the arguments to one of all inputs, in which the leaves are constant."""
        return [*direction, *[0.0] * (len(self.inputs) - len(direction))]

    def along(self, *directions: Sequence[float]) -> Numbers:
        """Return the derivatives with respect to all inputs of the scalar's derivative in some directions."""
        return [self.scalar_slope(*map(self.padded, directions), unit) for unit in np.eye(len(self.inputs)).tolist()]

    @cached_property
    def values(self) -> Numbers:
        return self._slopes()

    @cached_property
    def jacobian(self) -> list[Numbers]:
        """The derivatives with respect to all inputs, one row for each number of the result."""
        columns = [self._slopes(unit) for unit in np.eye(len(self.inputs)).tolist()]
        return [list(row) for row in zip(*columns)] if columns else [[] for _ in self.values]

    @cached_property
    def value(self) -> float:
        return self.values[0] if self.program.is_scalar else weighted_sum(self.values)

    @cached_property
    def gradient(self) -> Numbers:
        """The derivatives of the scalar with respect to all inputs."""
        rows = self.jacobian
        return rows[0] if self.program.is_scalar else [weighted_sum(column) for column in zip(*rows)]

    @cached_property
    def hessian(self) -> list[Numbers]:
        """The second derivatives of the scalar with respect to the numbers of the arguments."""
        return [self.along(unit)[: self.count] for unit in np.eye(self.count).tolist()]

    def scalar_slope(self, *directions: Sequence[float]) -> float:
        """Return the derivative of the scalar in several directions."""
        key = tuple(tuple(d) for d in directions)
        if key not in self._known:
            found = self._slopes(*directions)
            self._known[key] = found[0] if self.program.is_scalar else weighted_sum(found)
        return self._known[key]

    @cached_property
    def _known(self) -> dict[Any, float]:
        return {}

    def _slopes(self, *directions: Sequence[float]) -> Numbers:
        """Return the derivative of every number of the result in several directions, one after the other.

        With steps of 1e-20 the differences have an error of 1e-40; each order needs 20 digits more.
        """
        with mp.workdps(40 + 25 * len(directions)):
            return [float(x) for x in self._differences([mpf(x) for x in self.inputs], directions)]

    def _differences(self, inputs: list[Any], directions: Sequence[Sequence[float]]) -> list[Any]:
        if not directions:
            make = self.program.instead(*self.args) if self.program.instead else self.program.make
            args = replaced(copy.deepcopy(self.args), inputs[: self.count])
            return numbers_of(make(*inputs[self.count :])(*args, **self.program.keywords))
        step = mpf(10) ** -20
        right, left = (
            self._differences([x + sign * step * d for x, d in zip(inputs, directions[0])], directions[1:])
            for sign in (1, -1)
        )
        return [(a - b) / (2 * step) for a, b in zip(right, left)]


class EagerTruth(Truth):
    """The engine's own derivatives, for programs that do not run on mpmath numbers, and for speed."""

    @microgrud.enable_grad()  # the calling way may be inside no_grad
    def _slopes(self, *directions: Sequence[float]) -> Numbers:
        leaves = [Value(x) for x in self.leaves]
        inputs = [Value(x) for x in self.inputs[: self.count]]
        args = replaced(copy.deepcopy(self.args), inputs)
        found = numbers_of(self.program.make(*leaves)(*args, **self.program.keywords))
        for direction in directions:
            slopes = [microgrud.gradient(as_value(x), [*inputs, *leaves]) for x in found]
            found = [weighted_sum(row, list(direction)) for row in slopes]
        return data(found)

    @cached_property
    def jacobian(self) -> list[Numbers]:
        """The derivatives with respect to all inputs, one backward pass for each number of the result."""
        return [self._backward(i) for i in range(len(self.values))]

    @microgrud.enable_grad()
    def _backward(self, output: int) -> Numbers:
        inputs, leaves = [Value(x) for x in self.inputs[: self.count]], [Value(x) for x in self.leaves]
        args = replaced(copy.deepcopy(self.args), inputs)
        found = numbers_of(self.program.make(*leaves)(*args, **self.program.keywords))
        as_value(found[output]).backward()
        return [x.grad for x in [*inputs, *leaves]]


def as_value(x: Any) -> Value:
    """Return a number as a node; a constant becomes a leaf."""
    return x if isinstance(x, Value) else Value(float(x))


def slopes_by_differences(truth: Truth) -> list[Numbers]:
    """Return the Jacobian by central differences of floats, accurate to about 1e-6: a loose check of an eager truth."""
    program, h = truth.program, 1e-5

    def values(inputs: Sequence[float]) -> Numbers:
        args = replaced(copy.deepcopy(truth.args), inputs[: truth.count])
        # On Values, since `detach` and the like need them.
        made = program.make(*[Value(x) for x in inputs[truth.count :]])
        return data(numbers_of(made(*mapped(Value, args), **program.keywords)))

    columns = []
    for i in range(len(truth.inputs)):
        moved = [[x + s * h * (k == i) for k, x in enumerate(truth.inputs)] for s in (1.0, -1.0)]
        columns.append([(a - b) / (2 * h) for a, b in zip(values(moved[0]), values(moved[1]))])
    return [list(row) for row in zip(*columns)]


# --- a cell ---------------------------------------------------------------------------------------------------------

#: A label, the numbers found, and the right numbers.
Finding = tuple[str, Sequence[Any], Sequence[float]]


class Case:
    """A program as input of a way: functions, arguments and leaves of its own."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def truth(self, k: int = 0, moved: bool = False) -> Truth:
        """Return the truth at a point, with the leaves as they are or as `move` leaves them."""
        return self.truth_at(self.program.points[k], moved)

    def truth_at(self, args: tuple[Any, ...], moved: bool = False) -> Truth:
        """Return the truth for some arguments."""
        key = (repr(args), moved)
        known = self.program.truths
        if key not in known:
            leaves = [x + 0.01 * moved for x in self.program.leaves]
            kind = Truth if self.program.exact else EagerTruth
            known[key] = kind(self.program, args, leaves)
        return known[key]

    def made(self) -> tuple[Function, list[Value]]:
        """Return the function, and the leaves that it closes over."""
        leaves = [Value(x) for x in self.program.leaves]
        return self.program.make(*leaves), leaves

    def scalar(self) -> tuple[Function, list[Value]]:
        """Return the function with one number as its result, and the leaves."""
        f, leaves = self.made()
        return self.program.scalar(f), leaves

    @staticmethod
    def move(leaves: Sequence[Value]) -> None:
        """Update the leaves, as a step of training does."""
        for leaf in leaves:
            leaf.data += 0.01

    def args(self, k: int = 0) -> tuple[Any, ...]:
        """Return new arguments."""
        return copy.deepcopy(self.program.points[k])

    def values(self, k: int = 0) -> tuple[tuple[Any, ...], list[Value]]:
        """Return arguments with Values in place of numbers, and these Values."""
        args = mapped(Value, self.args(k))
        return args, numbers_of(args)

    def tangents(self, direction: Sequence[float], k: int = 0) -> tuple[Any, ...]:
        """Return a direction in the structure of the arguments that can be differentiated."""
        moved = replaced(self.args(k), direction)
        return tuple(_floats(moved[i]) for i in self.program.argnums)


def _floats(tree: Any) -> Any:
    return tree.astype(float) if isinstance(tree, np.ndarray) else tree


def difference(found: Sequence[Any], expected: Sequence[float]) -> str:
    """Compare numbers with the truth; return the difference in words, or an empty string."""
    numbers = data(found)
    if len(numbers) != len(expected):
        return f"expected {len(expected)} numbers, got {len(numbers)}: {numbers}"
    largest = max([1.0, *[abs(x) for x in expected if math.isfinite(x)]])
    for a, b in zip(numbers, expected):
        if not (a == b or abs(a - b) <= TOLERANCE * largest or (a != a and b != b)):
            return f"got {numbers}, where {list(expected)} is right"
    return ""


def disagreement(run: Callable[[Case], Iterator[Finding]], case: Case) -> str:
    """Return the first wrong finding of a way in words, or an empty string."""
    for label, found, expected in run(case):
        said = difference(found, expected)
        if said:
            return f"{label}: {said}"
    return ""


def outcome(name: str, run: Callable[[Case], Iterator[Finding]], case: Case) -> str:
    """Return the error of a cell in words; an empty string for right numbers, or for the documented exception."""
    refusal = case.program.refusal(name)
    if refusal is None:
        return disagreement(run, case)
    try:
        said = disagreement(run, case)
    except refusal.error as error:
        return "" if re.search(refusal.match, str(error)) else f"the message does not say {refusal.match!r}: {error}"
    return said or (f"{refusal.error} was expected: {refusal.reason}" if refusal.always else "")
