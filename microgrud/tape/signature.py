"""The arguments of a compiled function: taken apart into numbers, integers, and a signature.

Numbers vary from call to call, and so do the integers that `take` looks up by. Everything else, such as the nesting of
lists, the shapes of arrays and the state of other objects, is the signature: a call with another one is recorded again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.containers import is_dataclass, opened, place_of
from ..autodiff.tables import is_table, table_as_array
from ..autodiff.trees import check_unmasked, even_array, flatten, indexed
from ..common.numbers import as_float
from ..engine import Value
from ..engine.integers import IntegerArgument
from ..engine.tracing import given_array
from ..engine.vectors import Vector
from .arrays import RecordedTruths, as_integers, as_truths
from .states import state_of

_STATIC = (str, bytes, bool, type(None), type(...))


class ArgumentPart(NamedTuple):
    """A part of the arguments of a call, in the order in which they are read.

    Attributes:
        kind: one of the kinds that C can read (see `ARGUMENT_KINDS` in `_native/src/replay/replay.h`), such as
            `"number"`, `"list"`, whose items follow, or `"list of numbers"`; or `"other"`, for parts that only Python
            can read.
        size: how many items, or numbers (of a sample).
        first: the place of the first among the numbers, or integers, of all arguments.
        shape: the shape of an array, without the axis of the samples.
        keys: the keys of a dict, which are strings.
    """

    kind: str
    size: int = 1
    first: int = 0
    shape: tuple[int, ...] = ()
    keys: tuple[str, ...] = ()


@dataclass
class Arguments:
    """The arguments of a call, taken apart.

    Attributes:
        signature: what another call must have in common to use the same recording: structure, lengths, and everything
            that is neither a number nor an integer.
        samples: how many samples there are; None without a batched argument.
        numbers: one entry per number, in order: a float, a Value, or an array with one of them for each sample. A
            vector instead, if there are arrays of floats among the arguments, and neither Values nor batches.
        integers: one entry per integer, in order: an int, or an array with one entry per sample.
        rebuild: puts other numbers and integers in their places, and returns the positional arguments as a list and the
            keyword arguments as a dict. Its third argument makes the arrays that a function is given; with None the
            numbers stay as they are, also in the place of bools.
        parts: the parts of the arguments.
        listed: the positions of batches that are lists.
    """

    signature: Hashable
    samples: int | None
    numbers: list[Any] | Vector
    integers: list[Any]
    rebuild: Callable[..., tuple[list[Any], dict[str, Any]]]
    parts: list[ArgumentPart]
    listed: tuple[int, ...] = ()

    @property
    def has_values(self) -> bool:
        """Return whether there are Values among the numbers."""
        return isinstance(self.numbers, list) and any(
            isinstance(x, Value) or (isinstance(x, np.ndarray) and x.dtype == object) for x in self.numbers
        )

    def sample(self, i: int) -> tuple[list[Any] | Vector, list[int]]:
        """Return the numbers and the integers of a sample."""
        numbers = self.numbers
        if isinstance(numbers, list):
            numbers = [x[i] if isinstance(x, np.ndarray) else x for x in numbers]
        return numbers, [int(k[i]) if isinstance(k, np.ndarray) else k for k in self.integers]


def without_values(x: Any) -> Any:
    """Return the number of a Value, and an array of Values as an array of their numbers."""
    if isinstance(x, np.ndarray) and x.dtype == object:
        return np.array([without_values(item) for item in x], dtype=np.float64)
    return x._data if isinstance(x, Value) else x


@dataclass
class _Reader:
    """Reads arguments one after another, and collects their numbers, integers and parts."""

    samples: int | None = None
    integers: list[Any] = field(default_factory=list)
    parts: list[ArgumentPart] = field(default_factory=list)
    count: int = 0  # of the numbers
    pieces: list[list[Any] | Vector] = field(default_factory=list)  # the numbers, in order

    def add_numbers(self, items: Iterable[Any] | Vector, count: int) -> None:
        """Add numbers; a vector is kept as it is."""
        self.count += count
        if isinstance(items, np.ndarray) and items.ndim == 1:
            self.pieces.append(items)
            return
        last = self.pieces[-1] if self.pieces else None
        if not isinstance(last, list):
            self.pieces.append(last := [])
        last.extend(items)

    def numbers(self) -> list[Any] | Vector:
        """Return all numbers, as `Arguments` has them."""
        lists = [piece for piece in self.pieces if isinstance(piece, list)]
        if len(lists) < len(self.pieces) and all(isinstance(x, float) for piece in lists for x in piece):
            return np.concatenate(self.pieces)
        return [x for piece in self.pieces for x in (piece if isinstance(piece, list) else piece.tolist())]

    def number(self, x: Any) -> tuple[Hashable, Callable[..., Any]]:
        place = self.count
        self.parts.append(ArgumentPart("number" if isinstance(x, float) else "other", 1, place))
        self.add_numbers([x], 1)
        return "number", lambda numbers, integers, wrap: numbers[place]

    def integer(self, x: Any) -> tuple[Hashable, Callable[..., Any]]:
        place = len(self.integers)
        self.parts.append(ArgumentPart("integer", 1, place))
        self.integers.append(x)
        return "integer", lambda numbers, integers, wrap: integers[place]

    def read(self, x: Any, where: str) -> tuple[Hashable, Callable[..., Any]]:
        """Return the signature of an argument, and the function that rebuilds it."""
        if isinstance(x, (float, Value)):
            return self.number(x)
        if type(x) in _STATIC:
            self.parts.append(ArgumentPart("other"))
            return ("static", x), lambda numbers, integers, wrap: x
        if isinstance(x, (int, np.integer)):
            return self.integer(int(x))
        if isinstance(x, IntegerArgument):  # inside a recording: int(x) would be noted as a use of the number
            return self.integer(x)
        if isinstance(x, (np.ndarray, RecordedTruths)):
            check_unmasked(x, f"compile: {where}")
            return self.array(x, where)
        found = opened(x)
        if found is not None:
            return self.container(x, *found, where)
        if is_table(x):
            return self.array(table_as_array(x, f"compile: {where}"), where)
        try:
            number = as_float(x, where)
        except TypeError:
            self.parts.append(ArgumentPart("other"))
            return ("static", state_of(x)), lambda numbers, integers, wrap: x
        return self.number(number)

    def container(
        self, x: Any, keys: Sequence[Any], items: Iterable[Any], make: Callable[..., Any], where: str
    ) -> tuple[Hashable, Callable[..., Any]]:
        """Read what `opened` has returned for a container."""
        kind, start, before = type(x), len(self.parts), (self.count, len(self.integers))
        parts = [self.read(item, where + place_of(key)) for key, item in zip(keys, items)]
        name = kind.__name__ if kind in (list, tuple) else "other"
        inside = {part.kind for part in self.parts[start:]}
        if kind is dict and all(type(key) is str for key in keys):
            self.parts.insert(start, ArgumentPart("dict", len(keys), keys=tuple(keys)))
        elif inside == {"number"} or inside == {"integer"}:
            name = f"{name} of {inside.pop()}s" if name != "other" else name
            self.parts[start:] = [ArgumentPart(name, len(keys), self.parts[start].first)]
        else:
            self.parts.insert(start, ArgumentPart(name, len(keys)))
        own = [part[0] for part in parts]
        if is_dataclass(x) and before == (self.count, len(self.integers)):
            # Settings without numbers, which the function may know by their identity.
            return ("static", state_of(x)), lambda numbers, integers, wrap: x
        signature: tuple[Any, ...] = (kind, tuple(zip(keys, own) if is_dataclass(x) else own))
        if issubclass(kind, dict):
            signature = ("dict", tuple(zip(keys, own)), *[kind] * (kind is not dict))
        return signature, lambda numbers, integers, wrap: make([part[1](numbers, integers, wrap) for part in parts])

    def array(self, x: np.ndarray | RecordedTruths, where: str) -> tuple[Hashable, Callable[..., Any]]:
        """Read an array: one number, or one integer, for each element; a bool is the number 0 or 1."""
        whole, bools = x.dtype.kind in "iu", x.dtype == bool
        if x.dtype == np.float64:
            items: Any = x.ravel()
        else:
            items = (
                [k if isinstance(k, IntegerArgument) else int(k) for k in x.ravel().tolist()]
                if whole
                else (flatten(x, where)[0])
            )
        signature = ("array", whole, x.shape, *["bools"] * bools)
        return signature, self.elements("array", x, items, x.shape, whole, bools)

    def batch(self, x: Any, where: str) -> tuple[Hashable, Callable[..., Any]]:
        """Read an argument whose first axis is that of the samples, as arrays with one number per sample."""
        given_list = not hasattr(x, "dtype") and not is_table(x)
        check_unmasked(x, f"compile: {where}")
        array = (table_as_array if is_table(x) else even_array)(x, f"compile: {where}")
        if array.ndim and array.dtype == object:
            numbers, structure = flatten(array, f"compile: {where}")
            array = structure.rebuild(numbers)
        elif array.ndim == 0 or array.dtype.kind not in "fiub":
            raise TypeError(
                f"compile: {where}: expected an array of numbers whose first axis is that of the samples, "
                f"got {'a single number' if array.ndim == 0 else f'an array of {array.dtype}'}"
            )
        if self.samples not in (None, len(array)):
            raise ValueError(f"compile: {where}: expected {self.samples} samples as before, got {len(array)}")
        if not len(array):
            raise ValueError(f"compile: {where}: expected at least one sample, got none")
        if array.dtype.kind == "u" and array.max(initial=0) > np.iinfo(np.int64).max:
            raise OverflowError(f"compile: {where}: expected integers within the range of int64, got {array.max()}")
        self.samples = len(array)
        shape, whole = array.shape[1:], array.dtype.kind in "iu"
        kind: Any = np.int64 if whole else array.dtype if array.dtype == object else np.float64
        columns = np.ascontiguousarray(array.reshape(len(array), -1).T, dtype=kind)
        in_list = given_list or not shape
        bools = array.dtype == bool and not in_list
        rebuild = self.elements("batch", array if type(x) is list else x, columns, shape, whole, bools)
        if in_list:
            return ("batch", whole, shape, "list"), lambda numbers, integers, wrap: rebuild(
                numbers, integers, wrap
            ).tolist()
        return ("batch", whole, shape, *["bools"] * bools), rebuild

    def elements(
        self, kind: str, x: Any, items: Iterable[Any], shape: tuple[int, ...], whole: bool, bools: bool
    ) -> Callable[..., Any]:
        """Add the numbers (or integers) of an array or a batch; return the function that rebuilds the array."""
        count = math.prod(shape)
        first = len(self.integers) if whole else self.count
        if whole:
            self.integers.extend(items)
        else:
            self.add_numbers(items, count)
        readable = type(x) is np.ndarray and x.dtype in (np.float64, np.int64)
        kind = f"{kind} of {'integers' if whole else 'numbers'}" if readable else "other"
        self.parts.append(ArgumentPart(kind, count, first, shape))

        def rebuild(
            numbers: Sequence[Any] | Vector, integers: Sequence[Any], wrap: Callable[[np.ndarray], np.ndarray] | None
        ) -> Any:
            own: Any = integers if whole else numbers
            own = own if len(own) == count else own[first : first + count]
            array = (own if isinstance(own, np.ndarray) else np.fromiter(own, object, count)).reshape(shape)
            if wrap is None:
                return array
            return as_integers(array) if whole else as_truths(wrap(array)) if bools else wrap(array)

        return rebuild


def read_arguments(
    names: Sequence[str], args: Sequence[Any], kwargs: dict[str, Any], batched: Sequence[str]
) -> Arguments:
    """Take the arguments of a call apart.

    Args:
        names: the names of the positional arguments.
        args: the positional arguments.
        kwargs: the keyword arguments.
        batched: the names of arguments whose first axis is that of the samples.

    Raises:
        TypeError, ValueError: if arguments are not made of numbers, or batches differ in length.
    """
    reader = _Reader()
    parts = [
        (reader.batch if name in batched else reader.read)(x, name) for name, x in [*zip(names, args), *kwargs.items()]
    ]
    if batched and reader.samples is None:
        raise ValueError(f"compile: expected a batch as {' and '.join(batched)}, got none")
    if kwargs:  # replays know arguments by their positions alone
        reader.parts.append(ArgumentPart("other"))
    keys, positional = list(kwargs), len(args)  # a closure over the arguments would keep them alive with a derivative
    rebuilders = [part[1] for part in parts]

    def rebuild(
        numbers: Sequence[Any] | Vector,
        integers: Sequence[Any],
        wrap: Callable[[np.ndarray], np.ndarray] | None = given_array,
    ) -> tuple[list[Any], dict[str, Any]]:
        built = [part(numbers, integers, wrap) for part in rebuilders]
        return built[:positional], dict(zip(keys, built[positional:]))

    return Arguments(
        (tuple(part[0] for part in parts), tuple(keys)),
        reader.samples,
        reader.numbers(),
        reader.integers,
        rebuild,
        reader.parts,
        tuple([k for k, (name, x) in enumerate(zip(names, args)) if name in batched and type(x) is list]),
    )


# --- signatures -------------------------------------------------------------------------------------------------------


def argument_names(signature: Any, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return a name for each number, and for each integer, of arguments with a signature.

    Args:
        signature: the signature of Arguments.
        names: the names of the positional arguments.

    Raises:
        ValueError, TypeError: if it is not a signature.

    >>> from microgrud.tape.signature import read_arguments
    >>> arguments = read_arguments(["x", "k"], [[1.0, {"a": 2.0}], 3], {"scale": 0.5}, ())
    >>> argument_names(arguments.signature, ["x", "k"])
    (['x[0]', "x[1]['a']", 'scale'], ['k'])
    """
    numbers: list[str] = []
    integers: list[str] = []
    for name, whole, shape in _arrays(signature, names):
        (integers if whole else numbers).extend(indexed(name, shape))
    return numbers, integers


def argument_counts(signature: Any) -> tuple[int, int]:
    """Return how many numbers, and how many integers, arguments with a signature hold.

    Raises:
        ValueError, TypeError: if it is not a signature.
    """
    counts = [0, 0]
    for whole, shape in argument_shapes(signature):
        counts[whole] += math.prod(shape)
    return counts[0], counts[1]


def argument_shapes(signature: Any) -> list[tuple[bool, tuple[int, ...]]]:
    """Return, for each array and number of arguments with a signature, whether it is of integers, and its shape.

    Raises:
        ValueError, TypeError: if it is not a signature.
    """
    return [(bool(whole), shape) for _, whole, shape in _arrays(signature, ())]


def _arrays(signature: Any, names: Sequence[str]) -> Iterator[tuple[str, bool, tuple[int, ...]]]:
    """Yield name, whether of integers, and shape of each array of a signature; a single number has the shape ()."""
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
    elif hasattr(kind, "__dataclass_fields__"):
        for key, item in part[1]:
            yield from _arrays_in(item, f"{name}.{key}")
    elif isinstance(kind, type):  # of a sequence
        fields = getattr(kind, "_fields", None)
        for i, item in enumerate(part[1]):
            yield from _arrays_in(item, f"{name}[{i}]" if fields is None else f"{name}.{fields[i]}")
    elif kind != "static":
        raise ValueError(f"expected a signature, got {part!r}")
