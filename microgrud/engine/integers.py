"""Integer arguments of a compiled function while it is recorded, and `take`, which indexes a table by one."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, SupportsIndex, TypeVar, overload

from ..common.numbers import as_sequence, is_real_scalar
from . import tracing

T = TypeVar("T")


class IntegerArgument:
    """An integer argument, as a compiled function sees it while it is recorded.

    In arithmetic, comparisons, `range` and as an index it acts as its number. The recording then holds for that number
    only: another integer makes another recording. `take(table, index)` keeps one recording for all indices.

    Args:
        number: the integer.
        place: its index among the integers of the arguments.
        seen: a function that is called with the place and the number when the program uses the number.
    """

    __slots__ = ("_number", "_seen", "place")

    def __init__(self, number: int, place: int, seen: Callable[[int, int], None]) -> None:
        self._number = number
        self.place = place
        self._seen = seen

    def __index__(self) -> int:
        self._seen(self.place, self._number)
        return self._number

    def __int__(self) -> int:
        return operator.index(self)

    def __float__(self) -> float:
        return float(operator.index(self))

    def __bool__(self) -> bool:
        return bool(operator.index(self))

    def __hash__(self) -> int:
        return hash(operator.index(self))

    def __repr__(self) -> str:
        return repr(operator.index(self))

    def __format__(self, spec: str) -> str:
        return format(operator.index(self), spec)


def _plain(x: Any) -> Any:
    return operator.index(x) if isinstance(x, IntegerArgument) else x


def _operator_method(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, *others: Any) -> Any:
        return function(operator.index(self), *map(_plain, others))

    method.__name__ = name
    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift", "and", "or", "xor"):
    _function = getattr(operator, f"{_name}_" if _name in ("and", "or") else _name)
    setattr(IntegerArgument, f"__{_name}__", _operator_method(f"__{_name}__", _function))
    setattr(
        IntegerArgument,
        f"__r{_name}__",
        _operator_method(f"__r{_name}__", lambda x, y, function=_function: function(y, x)),
    )
for _name in ("eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert"):
    _function = getattr(operator, "inv" if _name == "invert" else _name)
    setattr(IntegerArgument, f"__{_name}__", _operator_method(f"__{_name}__", _function))
for _name, _function in (("divmod", divmod), ("round", round)):
    setattr(IntegerArgument, f"__{_name}__", _operator_method(f"__{_name}__", _function))
numbers.Integral.register(IntegerArgument)


@overload
def take(table: Sequence[T], index: SupportsIndex) -> T: ...
@overload
def take(table: Sequence[Any], index: Sequence[SupportsIndex]) -> list[Any]: ...
@overload
def take(table: Iterable[Any], index: SupportsIndex | Iterable[Any]) -> Any: ...
def take(table: Any, index: Any) -> Any:
    """Look up an item of a table: `table[index]`, with a single recording inside `compile`.

    A compiled function looks up an index that is an integer argument at every call, where `table[index]` would make a
    new recording for every integer. Elsewhere `take(table, index)` is `table[index]`.

    Args:
        table: a sequence of numbers, or of rows of numbers of one length; lists, tuples or arrays.
        index: an integer from 0 to `len(table) - 1`, or a sequence of them.

    Returns:
        The number, or the row as a list; a list of these for a sequence of indices.

    Raises:
        IndexError: for an index out of range.
        TypeError: if the index is not an integer.

    >>> take([10.0, 20.0, 30.0], 1)
    20.0
    >>> take([[1.0, 2.0], [3.0, 4.0]], [1, 0])
    [[3.0, 4.0], [1.0, 2.0]]
    """
    rows = as_sequence(table, "take: table")
    if hasattr(type(index), "_record"):
        raise TypeError(
            "take: index: expected an integer, got a Value; a batch of rows with floats among their numbers is one of "
            "floats: give the integers in an argument of their own"
        )
    if not isinstance(index, IntegerArgument) and not is_real_scalar(index):
        return [take(rows, i) for i in as_sequence(index, "take: index", "integers")]
    tracer = tracing.current()
    if isinstance(index, IntegerArgument) and tracer is not None:
        check_index(index._number, len(rows), f"take: index {index._number}")
        return _looked_up(tracer, rows, index)
    try:
        place = operator.index(index)
    except TypeError:
        raise TypeError(f"take: index: expected an integer, got {index!r}{_advice(index)}") from None
    check_index(place, len(rows), f"take: index {place}")
    return _as_list(rows[place])


def check_index(index: int, count: int, where: str) -> None:
    """Raise an IndexError for an index that is not from 0 to count - 1."""
    if not 0 <= index < count:
        raise IndexError(f"{where}: expected an index from 0 to {count - 1}, one of the {count} items of the table")


def _looked_up(tracer: Any, rows: Sequence[Any], index: IntegerArgument) -> Any:
    if not any(hasattr(row, "__len__") for row in rows):
        return tracer.taken(rows, index)
    columns = [_as_list(row) for row in rows]
    width = len(columns[0])
    for i, row in enumerate(columns):
        if len(row) != width:
            raise ValueError(
                f"take: table: expected rows of one length, got {width} numbers in row 0, {len(row)} in {i}"
            )
    return [tracer.taken([row[j] for row in columns], index) for j in range(width)]


def _as_list(row: Any) -> Any:
    return row if not hasattr(row, "__len__") else list(row)


def _advice(index: Any) -> str:
    """Return what to do about an index that an array has made a float, as one does whose other columns hold floats."""
    if not isinstance(index, float) or not index.is_integer():
        return ""
    return "; give a table with columns of floats as lists or as a DataFrame, in which this column holds integers"
