"""Arrays inside a compiled function while it is recorded: comparisons of whole arrays are operations, not branches.

NumPy turns the outcomes of `x < 0` into bools at once, and each of them would be a branch. A `RecordedArray` keeps
them, as an array of truths (see `microgrud.engine.truth`), with which `np.where` and logical functions calculate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..engine import Value
from ..engine.integers import IntegerArgument
from ..engine.truth import Truth
from .elements import (
    CHOICE,
    COMPARISONS,
    COPY,
    FLOAT,
    LOGICAL,
    LOGICAL_OPERATORS,
    SELECTIONS,
    RecordedTruth,
    is_boolean,
)

#: Functions that give of bools, int64 and float64 what operators of Python give.
_ARITHMETIC = {"add", "subtract", "multiply", "divide", "negative", "positive", "absolute", "matmul"}
_NUMBERS = (np.dtype(np.int64), np.dtype(np.float64))


class RecordedArray(np.ndarray):
    """An array of Values in a recording: an object array whose comparisons give `RecordedTruths`.

    In every other way it is an object array. NumPy's functions return such arrays for it; `np.array` and `np.asarray`
    make an ordinary object array of it, whose comparisons are branches.
    """

    __slots__ = ()  # no attributes that an ndarray has not
    takes_truths = True

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Apply a NumPy function to each element."""
        return _applied(ufunc, method, inputs, options)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Apply a function of NumPy; the arrays that it returns are such arrays too."""
        return as_recorded(super().__array_function__(func, types, args, kwargs))

    def __setitem__(self, key: Any, item: Any) -> None:
        """Assign elements; `x[x < 0] = 0.0` is a choice for each element, as `np.where` is."""
        if isinstance(key, RecordedTruths) and key.shape == self.shape and np.ndim(item) == 0:
            key, item = ..., np.asarray(CHOICE(key.elements, _elements_of(item), self.view(np.ndarray)))
        elif isinstance(item, np.floating):  # float32 calculates in another way than the elements of an array of floats
            item = float(item)
        super().__setitem__(key, item)


class RecordedTruths(NDArrayOperatorsMixin):
    """The outcomes of a comparison of arrays in a recording, in the place of an array of bools.

    Functions of NumPy that do not calculate with outcomes, and indices, ask for them: the recording then holds for
    these outcomes only.

    Args:
        elements: an object array of truths and bools.
    """

    __slots__ = ("elements",)
    takes_truths = True
    dtype: np.dtype[Any] = np.dtype(bool)

    def __init__(self, elements: np.ndarray) -> None:
        self.elements = elements
        for truth in elements.flat:
            if isinstance(truth, Truth):
                truth.count_as_used()

    shape = property(lambda self: self.elements.shape)
    ndim = property(lambda self: self.elements.ndim)
    size = property(lambda self: self.elements.size)
    T = property(lambda self: type(self)(self.elements.T))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Ask for the outcomes.

        NumPy's own array shares memory with this result. So neither of the two can be assigned to from here on: the
        error makes the recording one with plain bools.
        """
        outcomes: np.ndarray = np.fromiter(map(self.dtype.type, self.elements.flat), self.dtype, self.size)
        outcomes = outcomes.reshape(self.shape)
        if copy or (dtype is not None and np.dtype(dtype) != self.dtype):
            return outcomes.astype(dtype or self.dtype)
        _owner(self.elements).flags.writeable = outcomes.flags.writeable = False
        return outcomes

    def __getattr__(self, name: str) -> Any:
        """Ask for the outcomes, and return an attribute of their array."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(np.asarray(self), name)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Apply a NumPy function to each outcome."""
        return _applied(ufunc, method, inputs, options)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Apply a function of NumPy, as an operation if it calculates with outcomes."""
        own = _FUNCTIONS.get(func.__name__)
        if own is not None:
            found = own(*args, **kwargs)
            if found is not NotImplemented:
                return found
        return func(*_asked(args), **_asked(kwargs))

    def __len__(self) -> int:
        return len(self.elements)

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        found = self.elements[_asked(key)]
        if isinstance(found, np.ndarray):
            return type(self)(found)
        if isinstance(found, Truth):
            return found.copy(RecordedTruth if self.dtype == bool else Truth)
        return found if isinstance(found, IntegerArgument) else self.dtype.type(found)

    def __setitem__(self, key: Any, item: Any) -> None:
        if not isinstance(item, (RecordedTruths, Truth)):
            item = np.asarray(item).astype(self.dtype).astype(object)
        elif self.dtype == bool:
            item = _truths_of(item)
        self.assign(_asked(key), item)

    def replace(self, items: Any, options: dict[str, Any]) -> None:
        """Assign the result of a function of NumPy, unless its type is another one."""
        kind = getattr(items, "dtype", np.dtype(bool if is_boolean(items) else object))
        if options or not np.can_cast(kind, self.dtype, "same_kind"):
            raise TypeError(f"Cannot cast output from {kind} to {self.dtype}")
        self.assign(..., items if kind == self.dtype else items + 0)

    def assign(self, key: Any, item: Any) -> None:
        """Assign outcomes or integers, unless NumPy has an array of them."""
        if not _owner(self.elements).flags.writeable:
            raise ValueError("assignment destination is read-only")
        self.elements[key] = _elements_of(item)

    def __bool__(self) -> bool:
        return bool(self.elements.item() if self.size == 1 else self.elements)  # otherwise NumPy's error

    def any(self, axis: Any = None, **options: Any) -> Any:
        """Return whether any outcome is true."""
        return np.logical_or.reduce(_truths_of(self), axis=axis, **options)

    def all(self, axis: Any = None, **options: Any) -> Any:
        """Return whether all outcomes are true."""
        return np.logical_and.reduce(_truths_of(self), axis=axis, **options)

    def sum(self, axis: Any = None, **options: Any) -> Any:
        """Count the outcomes that are true; return the sum of integers."""
        return np.add.reduce(self, axis=axis, **options)

    def mean(self, axis: Any = None, **options: Any) -> Any:
        """Return the share of the outcomes that are true; return the mean of integers."""
        if options.keys() - {"keepdims"} or not self.size:
            return np.asarray(self).mean(axis, **options)
        counts = self.sum(axis, **options)
        return counts / (self.size / getattr(counts, "size", 1))

    def astype(self, dtype: Any, **options: Any) -> Any:
        """Return 1 for each outcome that is true, and 0 for the others; convert integers."""
        kind = np.dtype(dtype)
        if kind == np.bool_ and not options:
            return _truths_of(self).copy()
        if kind in _NUMBERS and not options:
            return as_recorded(np.asarray(FLOAT(self.elements) if kind == np.float64 else self.elements + 0))
        return np.asarray(self).astype(dtype, **options)

    def tolist(self) -> list[Any]:
        """Return the outcomes in a list, which does not ask for them."""
        return np.asarray(COPY(self.elements), dtype=object).tolist()  # type: ignore[no-any-return]

    def reshape(self, *shape: Any) -> Any:
        """Return the outcomes in another shape."""
        return type(self)(self.elements.reshape(*shape))

    def ravel(self) -> Any:
        """Return the outcomes with one axis."""
        return type(self)(self.elements.ravel())

    def copy(self) -> Any:
        """Return a copy, whose elements may be assigned without a change of this array."""
        return type(self)(self.elements.copy())

    __copy__ = copy

    def __repr__(self) -> str:
        return repr(np.asarray(self))

    def __str__(self) -> str:
        return str(np.asarray(self))


class RecordedIntegers(RecordedTruths):
    """Integers that depend on comparisons, such as counts and `np.where(x < 0, 1, 0)`."""

    dtype = np.dtype(np.int64)


class IntegerArguments(RecordedTruths):
    """An array of integer arguments: NumPy asks for all of them; `take` looks up by its elements without asking."""

    dtype = np.dtype(np.int64)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Ask for the integers, and apply a NumPy function to them."""
        return getattr(ufunc, method)(*_asked(inputs, IntegerArguments), **_asked(options, IntegerArguments))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Ask for the integers, and apply a function of NumPy to their array."""
        return func(*_asked(args, IntegerArguments), **_asked(kwargs, IntegerArguments))

    def astype(self, dtype: Any, **options: Any) -> Any:
        """Ask for the integers, and convert their array."""
        return np.asarray(self).astype(dtype, **options)


def as_integers(numbers: np.ndarray) -> Any:
    """Return an object array of integers as an array of int64, or of integer arguments in a recording."""
    if all(type(k) is int for k in numbers.flat):
        return np.array(numbers.tolist(), dtype=None if numbers.size else np.int64)
    numbers.flags.writeable = False
    return IntegerArguments(numbers)


def as_truths(numbers: np.ndarray) -> Any:
    """Return an array of bools, or of truths in a recording, that are true where a number is not 0."""
    found = np.not_equal(numbers, 0.0)
    if isinstance(found, RecordedTruths):
        found.elements.flags.writeable = False  # it is an argument: a change ends in a recording with plain bools
    return found


def as_recorded(x: Any) -> Any:
    """Return an object array as one of a recording, in a list or a tuple too, and anything else as it is."""
    if type(x) is np.ndarray and x.dtype == object:
        counts = all(isinstance(element, int) for element in x.flat)
        counts = counts and any(isinstance(element, Truth) for element in x.flat)
        if counts:
            return RecordedTruths(x) if all(map(is_boolean, x.flat)) else RecordedIntegers(x)
        return x.view(RecordedArray)
    return type(x)(map(as_recorded, x)) if type(x) in (list, tuple) else x


def _owner(elements: np.ndarray) -> np.ndarray:
    return elements if elements.base is None else elements.base


def _truths_of(x: Any) -> Any:
    return x if is_boolean(x) else np.not_equal(x, 0)


def _elements_of(x: Any) -> Any:
    """Return what NumPy applies a function to element by element, without asking x to apply it."""
    if isinstance(x, RecordedTruths):
        return x.elements
    if isinstance(x, RecordedArray):
        return x.view(np.ndarray)
    if isinstance(x, Truth):  # an element of RecordedTruths is one of an array of objects from here on
        x.count_as_used()
        return RecordedTruths(np.fromiter([x.copy()], object, 1).reshape(())).elements
    return np.fromiter([x], object, 1).reshape(()) if isinstance(x, Value) else x


def _asked(x: Any, kind: type = RecordedTruths) -> Any:
    """Return bools in the place of truths, and integers for theirs, in lists, tuples and dicts too."""
    if isinstance(x, kind):
        return np.asarray(x)
    if type(x) in (list, tuple):
        return type(x)(_asked(item, kind) for item in x)
    return {key: _asked(item, kind) for key, item in x.items()} if type(x) is dict else x


def _applied(ufunc: np.ufunc, method: str, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """Apply a NumPy function to recorded arrays and truths, among other operands."""
    name, outs = ufunc.__name__, options.pop("out", ())
    if any(isinstance(out, RecordedTruths) for out in outs):
        outs[0].replace(_applied(ufunc, method, inputs, options), options)
        return outs[0]
    if method == "at" and isinstance(inputs[0], RecordedTruths):
        raise TypeError(f"{name}.at of outcomes is not recorded")
    are_truths = all(map(is_boolean, inputs))
    logical = LOGICAL_OPERATORS if method == "__call__" else LOGICAL
    is_comparison = name in COMPARISONS and method in ("__call__", "outer")
    own = COMPARISONS[name] if is_comparison else (logical if are_truths else SELECTIONS).get(name)
    into_numbers = any(isinstance(out, np.ndarray) and out.dtype != object for out in outs)
    asks = are_truths and (name, method) != ("add", "reduce") and (own is None or into_numbers)
    asks = asks or not _is_alike(inputs, own is not None or name in _ARITHMETIC)
    operands = _asked(tuple(inputs)) if asks else map(_elements_of, inputs)
    options = _asked(options) | ({"out": tuple(map(_elements_of, outs))} if outs else {})
    with np.errstate(all=None if asks else "ignore"):  # operations on Values have errors of their own
        found = getattr(ufunc if own is None or into_numbers or asks else own, method)(*operands, **options)
    if outs:
        return outs[0] if len(outs) == 1 else outs
    if not (is_comparison or (are_truths and own is not None)) or asks:
        return as_recorded(found)
    if isinstance(found, np.ndarray):
        return RecordedTruths(found)
    return RecordedTruths(np.fromiter([found], object, 1))[0]


def _is_alike(inputs: Sequence[Any], is_arithmetic: bool) -> bool:
    """Return whether NumPy's results are those of Python for each element: they are for objects.

    They are not for small integers, which overflow, for float32, for powers of integers, and for the maximum of NaN.
    """
    if any(isinstance(x, Value) or getattr(x, "dtype", None) == np.object_ for x in inputs):
        return True
    return is_arithmetic and all(map(_is_ordinary, inputs))


def _is_ordinary(x: Any) -> bool:
    kind = getattr(x, "dtype", None)
    if kind == np.float64 or type(x) is float:
        return not np.isnan(x).any()
    return kind is None or kind == np.bool_ or kind == np.int64


def _where(condition: Any, *choices: Any) -> Any:
    if not isinstance(condition, RecordedTruths) or len(choices) != 2:
        return NotImplemented
    condition, (x, y) = _truths_of(condition), choices
    if not _is_alike(choices, True):
        return NotImplemented
    if is_boolean(x) and is_boolean(y):
        return (condition & x) | (~condition & y)
    return as_recorded(CHOICE(condition.elements, _elements_of(x), _elements_of(y)))


def _select(conditions: Sequence[Any], choices: Sequence[Any], default: Any = 0) -> Any:
    if len(conditions) != len(choices) or not all(map(is_boolean, conditions)):
        return NotImplemented
    cases = [*zip(conditions, choices)]
    return reduce(lambda others, case: np.where(case[0], case[1], others), reversed(cases), default)


def _counted(name: str) -> Callable[..., Any]:
    return lambda x, *args, **options: (
        getattr(x, name)(*args, **options) if isinstance(x, RecordedTruths) else NotImplemented
    )


#: Functions of NumPy that calculate with outcomes, by name; a result of NotImplemented means that they ask for them.
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "where": _where, "select": _select, "any": _counted("any"), "all": _counted("all"), "sum": _counted("sum"),
    "mean": _counted("mean"), "count_nonzero": lambda x, *args, **options: _truths_of(x).sum(*args, **options),
    "shape": lambda x: x.shape, "ndim": lambda x: x.ndim, "size": lambda x: x.size,
}  # fmt: skip
