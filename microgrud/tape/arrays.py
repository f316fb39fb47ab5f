"""Arrays inside a compiled function while it is recorded: comparisons of whole arrays are operations, not branches.

NumPy turns the outcomes of `x < 0` into bools at once, and each of them would be a branch. A `RecordedArray` keeps
them, as an array of truths (see `microgrud.engine.truth`), with which `np.where` and logical functions calculate.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..engine import Value, ops
from ..engine.truth import Truth


def _larger(x: Any, y: Any) -> Any:
    return _choice(x < y, y, x) if _is_number(y) else _choice((x >= y) | _is_nan(x), x, y)


def _smaller(x: Any, y: Any) -> Any:
    return _choice(x > y, y, x) if _is_number(y) else _choice((x <= y) | _is_nan(x), x, y)


def _is_number(x: Any) -> bool:
    """Return whether a float is known not to be NaN, which wins in an array of floats, and so in a recorded one."""
    return type(x) is float and x == x


def _is_nan(x: Any) -> Any:
    return False if _is_number(x) else x != x


def _choice(truth: Any, x: Any, y: Any) -> Any:
    """Return x where the truth holds, and y where it does not; integers remain integers."""
    if type(truth) is not Truth:
        return x if truth else y
    if isinstance(x, int) and isinstance(y, int):
        return truth * (x - y) + y  # type: ignore[operator]
    return Value._record(ops.WHERE, truth.node, _operand(x), _operand(y))


def _operand(x: Any) -> Any:
    return x.node if type(x) is Truth else x


def _ufunc(f: Callable[..., Any], operands: int = 2, **identity: Any) -> np.ufunc:
    return np.frompyfunc(f, operands, 1, **identity)  # type: ignore[no-any-return]


_COMPARISONS = {
    "less": _ufunc(operator.lt), "less_equal": _ufunc(operator.le), "equal": _ufunc(operator.eq),
    "not_equal": _ufunc(operator.ne), "greater": _ufunc(operator.gt), "greater_equal": _ufunc(operator.ge),
}  # fmt: skip
#: Functions that NumPy computes from comparisons of objects, with the same choices at ties. (The identity None allows
#: any order in a reduction.)
_SELECTIONS = {
    "maximum": _ufunc(_larger, identity=None), "fmax": _ufunc(lambda x, y: _choice(x >= y, x, y), identity=None),
    "minimum": _ufunc(_smaller, identity=None), "fmin": _ufunc(lambda x, y: _choice(x <= y, x, y), identity=None),
    "clip": _ufunc(lambda x, low, high: _smaller(_larger(x, low), high), 3),
    "sign": _ufunc(lambda x: (x > 0) + 0 - (x < 0) if x == x else math.nan, 1),
}  # fmt: skip
_AND = _ufunc(operator.and_, identity=True)
_OR = _ufunc(operator.or_, identity=False)
_NOT = _ufunc(lambda truth: truth == 0, 1)
#: Functions of truths whose results are truths.
_LOGICAL = {
    "logical_and": _AND, "bitwise_and": _AND, "logical_or": _OR, "bitwise_or": _OR,
    "logical_xor": _ufunc(operator.xor), "bitwise_xor": _ufunc(operator.xor), "logical_not": _NOT, "invert": _NOT,
}  # fmt: skip
#: For NumPy the sum of two truths is a truth; `sum` counts them.
_LOGICAL_OPERATORS = {**_LOGICAL, "add": _OR, "multiply": _AND, "maximum": _OR, "minimum": _AND}
_CHOICE = _ufunc(_choice, 3)
_FLOAT = _ufunc(lambda number: number.node if isinstance(number, Truth) else float(number), 1)


class RecordedArray(np.ndarray):
    """An array of Values in a recording: an object array whose comparisons give `RecordedTruths`.

    In every other way it is an object array. NumPy's functions return such arrays for it; `np.array` and `np.asarray`
    make an ordinary object array of it, whose comparisons are branches.
    """

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
            key, item = ..., np.asarray(_CHOICE(key.elements, _elements_of(item), self.view(np.ndarray)))
        super().__setitem__(key, item)


class RecordedTruths(NDArrayOperatorsMixin):
    """The outcomes of a comparison of arrays in a recording, in the place of an array of bools.

    Functions of NumPy that do not calculate with outcomes, and indices, ask for them: the recording then holds for
    these outcomes only.

    Args:
        elements: an object array of truths and bools.
    """

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
        """Ask for the outcomes."""
        outcomes: np.ndarray = np.fromiter(map(self.dtype.type, self.elements.flat), self.dtype, self.size)
        outcomes = outcomes.reshape(self.shape)
        return outcomes if dtype is None else outcomes.astype(dtype)

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
        return found.copy() if isinstance(found, Truth) else found

    def __setitem__(self, key: Any, item: Any) -> None:
        if not isinstance(item, (RecordedTruths, Truth)):
            item = np.asarray(item).astype(self.dtype).astype(object)
        self.elements[_asked(key)] = _elements_of(item if self.dtype != bool else _truths_of(item))

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
        counts = self.sum(axis, **options)
        return counts / (self.size / getattr(counts, "size", 1))

    def astype(self, dtype: Any, **options: Any) -> Any:
        """Return 1 for each outcome that is true, and 0 for the others; convert integers."""
        kind = np.dtype(dtype).kind
        if kind == "b":
            return _truths_of(self).copy()
        if kind in "iuf":
            return as_recorded(np.asarray(_FLOAT(self.elements) if kind == "f" else self.elements + 0))
        return np.asarray(self).astype(dtype, **options)

    def tolist(self) -> list[Any]:
        """Return the outcomes in a list, which does not ask for them."""
        return [x.tolist() if isinstance(x, RecordedTruths) else x for x in self]

    def reshape(self, *shape: Any) -> Any:
        """Return the outcomes in another shape."""
        return type(self)(self.elements.reshape(*shape))

    def ravel(self) -> Any:
        """Return the outcomes with one axis."""
        return type(self)(self.elements.ravel())

    def copy(self) -> Any:
        """Return a copy, whose elements may be assigned without a change of this array."""
        return type(self)(self.elements.copy())


class RecordedIntegers(RecordedTruths):
    """Integers that depend on comparisons, such as counts and `np.where(x < 0, 1, 0)`."""

    dtype = np.dtype(np.int64)


def as_recorded(x: Any) -> Any:
    """Return an object array as one of a recording, in a list or a tuple too, and anything else as it is."""
    if type(x) is np.ndarray and x.dtype == object:
        counts = all(isinstance(element, int) for element in x.flat)
        counts = counts and any(isinstance(element, Truth) for element in x.flat)
        return RecordedIntegers(x) if counts else x.view(RecordedArray)
    return type(x)(map(as_recorded, x)) if type(x) in (list, tuple) else x


def _is_boolean(x: Any) -> bool:
    if isinstance(x, Truth):
        return type(x.number) is bool
    return isinstance(x, (bool, np.bool_)) or (isinstance(x, (np.ndarray, RecordedTruths)) and x.dtype == bool)


def _truths_of(x: Any) -> Any:
    return x if _is_boolean(x) else np.not_equal(x, 0)


def _elements_of(x: Any) -> Any:
    """Return what NumPy applies a function to element by element, without asking x to apply it."""
    if isinstance(x, RecordedTruths):
        return x.elements
    if isinstance(x, RecordedArray):
        return x.view(np.ndarray)
    return np.asarray(x, dtype=object) if isinstance(x, (Value, Truth)) else x


def _asked(x: Any) -> Any:
    """Return bools in the place of truths, in lists, tuples and dicts too."""
    if isinstance(x, RecordedTruths):
        return np.asarray(x)
    if type(x) in (list, tuple):
        return type(x)(map(_asked, x))
    return {key: _asked(item) for key, item in x.items()} if type(x) is dict else x


def _applied(ufunc: np.ufunc, method: str, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """Apply a NumPy function to recorded arrays and truths, among other operands."""
    name = ufunc.__name__
    are_truths = all(map(_is_boolean, inputs))
    logical = _LOGICAL_OPERATORS if method == "__call__" else _LOGICAL
    own = _COMPARISONS.get(name) or (logical if are_truths else _SELECTIONS).get(name)
    gives_truths = name in _COMPARISONS or (are_truths and own is not None)
    outs = options.pop("out", ())
    into_bools = any(isinstance(out, np.ndarray) and out.dtype == bool for out in outs)
    asks = are_truths and (name, method) != ("add", "reduce") and (own is None or into_bools)
    operands = _asked(tuple(inputs)) if asks else map(_elements_of, inputs)
    options = _asked(options) | ({"out": tuple(map(_elements_of, outs))} if outs else {})
    found = getattr(ufunc if own is None or into_bools else own, method)(*operands, **options)
    if outs:
        return outs[0] if len(outs) == 1 else outs
    return RecordedTruths(found) if gives_truths and isinstance(found, np.ndarray) else as_recorded(found)


def _where(condition: Any, *choices: Any) -> Any:
    if not isinstance(condition, RecordedTruths) or len(choices) != 2:
        return NotImplemented
    condition, (x, y) = _truths_of(condition), choices
    if _is_boolean(x) and _is_boolean(y):
        return (condition & x) | (~condition & y)
    return as_recorded(_CHOICE(condition.elements, _elements_of(x), _elements_of(y)))


def _select(conditions: Sequence[Any], choices: Sequence[Any], default: Any = 0) -> Any:
    if len(conditions) != len(choices):
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
