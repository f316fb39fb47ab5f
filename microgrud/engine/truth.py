"""Comparisons inside a compiled function while it is recorded: operations, unless Python asks for the outcome."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Callable
from typing import Any

from ..common.numbers import Number, as_float, is_real_scalar
from . import ops, tracing

#: The operation of each comparison, and whether its operands are exchanged.
_OPERATIONS = {
    "<": (ops.LESS, False), "<=": (ops.AT_MOST, False), "==": (ops.EQUAL, False),
    "!=": (ops.UNEQUAL, False), ">": (ops.LESS, True), ">=": (ops.AT_MOST, True),
}  # fmt: skip

#: Up to here every integer is a float.
_WHOLE = 2**53


class Truth:
    """The outcome of a comparison, as a compiled function sees it while it is recorded.

    In arithmetic, combined with others by `&`, `|` and `^`, and as the condition of `where` it is an operation whose
    result is 1.0 or 0.0, and one recording serves both outcomes. Where Python needs the outcome itself (`if`, `and`,
    `not`, an index, a hash, text), it acts as a bool, and the recording then holds for this outcome only. Sums,
    differences and products of truths and integers are integers of the same kind, such as a count.

    Args:
        number: the outcome, or the integer.
        comparison: what was compared, as x, symbol, y; None if there is a node instead.
        node: the Value of the number.
        counts: how many outcomes there are, and how many of them have not been used: `is True`, `type` and `match` look
            at one unnoticed, and what they find is wrong.
    """

    __slots__ = ("_comparison", "_counts", "_is_used", "_node", "number")

    def __init__(self, number: int, comparison: tuple[Any, str, Any] | None, node: Any, counts: list[int]) -> None:
        self.number = number
        self._comparison = comparison
        self._node = node
        self._counts = counts
        self._is_used = type(number) is not bool
        counts[0] += 1
        counts[1] += not self._is_used

    def count_as_used(self) -> None:
        """Note that the program uses the truth, or that nothing can look at it unnoticed."""
        if not self._is_used:
            self._is_used = True
            self._counts[1] -= 1

    def copy(self, kind: Any = None) -> Truth:
        """Return the same truth, as one (of a subclass) that has not been used yet."""
        made: Truth = (kind or Truth)(self.number, self._comparison, self._node, self._counts)
        return made

    @property
    def node(self) -> Any:
        """The Value of the number, whose operation is recorded at the first access."""
        self.count_as_used()
        if self._node is None:
            x, symbol, y = self._comparison  # type: ignore[misc]
            operation, exchanged = _OPERATIONS[symbol]
            self._node = type(x)._record(operation, y, x) if exchanged else type(x)._record(operation, x, y)
        return self._node

    @property
    def condition(self) -> Any:
        """A Value that is not 0 where this is true: for `x != 0` it is x."""
        if self._comparison is not None:
            x, symbol, y = self._comparison
            self.count_as_used()
            if symbol == "!=" and type(y) is float and y == 0.0:
                return x
        return self.node

    @staticmethod
    def _record(operation: Any, *operands: Number) -> Any:
        return operation(*[x.node if isinstance(x, Truth) else x for x in operands])

    # --- the outcome itself ---

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """The type of the outcome, for `isinstance`."""
        return type(self.number)

    def __bool__(self) -> bool:
        self.count_as_used()
        outcome = bool(self.number)
        x, symbol, y = self._comparison or (self.node, "!=", 0.0)
        tracing.report_outcome(x, symbol, y, outcome)
        return outcome

    def _asked(self) -> int:
        """Return the outcome, a bool, or the integer, on which the program depends from here on."""
        return bool(self) if type(self.number) is bool else self._searched()

    def _searched(self) -> int:
        """Find the integer by bisection: recordings are a tree of decisions, each of which has two outcomes."""

        def is_below(bound: int) -> bool:
            tracing.report_outcome(self.node, "<", float(bound), self.number < bound)
            return self.number < bound

        low, high = (-1, 0) if is_below(0) else (0, 1)
        while high == 0 and is_below(low):
            low *= 2
        while low == 0 and not is_below(high):
            high *= 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if is_below(middle) else (middle, high)
        return low

    def __index__(self) -> int:
        """Return the integer; an index that is a bool means another thing for NumPy, which cannot be told from here."""
        if type(self.number) is bool:
            self._counts[1] += 1
        return int(self._asked())

    def __float__(self) -> float:
        return float(self._asked())

    def __hash__(self) -> int:
        return hash(self._asked())

    def __repr__(self) -> str:
        return repr(self._asked())

    def __str__(self) -> str:
        return str(self._asked())

    def __format__(self, spec: str) -> str:
        return format(self._asked(), spec)

    def __round__(self, *digits: int) -> int:
        return round(self._asked(), *digits)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self.number), (self._asked(),)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """Return an array of the outcome, which an array of several is made of."""
        import numpy as np

        return np.array(self._asked(), dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Apply a NumPy function to the outcome; an array of a recording does it without asking for the outcome."""
        if any(hasattr(type(x), "takes_truths") for x in inputs):
            return NotImplemented
        return getattr(ufunc, method)(*map(_outcome_of, inputs), **options)


def as_operand(x: Any, where: str) -> Any:
    """Return the Value of a truth; convert any other number to a float, as `as_float` does."""
    return x.node if isinstance(x, Truth) else as_float(x, where)


def plain(x: Any) -> Any:
    """Return the number of a truth, without asking for it, and anything else as it is."""
    return x.number if isinstance(x, Truth) else x


def _outcome_of(x: Any) -> Any:
    return x._asked() if isinstance(x, Truth) else x


def _is_truth(x: object) -> bool:
    return type(plain(x)) is bool


def _method(name: str, f: Any, operation: Any = None, joins: Any = None, asks: bool = True) -> Callable[..., Any]:
    """Make an operator.

    Args:
        name: its name.
        f: the function of numbers.
        operation: the same on Values, if the result is a truth or an integer for which the outcome need not be known.
        joins: whether an integer is of a kind for which it is; all are by default.
        asks: whether it needs the outcome for any other integer.
    """

    def method(self: Truth, other: Any) -> Any:
        if getattr(getattr(other, "dtype", None), "kind", "") == "b":  # for NumPy 1 + 1 is 1
            if hasattr(type(other), "takes_truths"):
                return NotImplemented
            return f(self._asked(), other)
        if isinstance(other, numbers.Integral):
            if operation is not None and (joins is None or (joins(self) and joins(other))):
                node = operation(self.node, as_operand(other, name))
                number = f(self.number, plain(other))
                if not (-_WHOLE < number < _WHOLE and -_WHOLE < plain(other) < _WHOLE):
                    raise OverflowError(f"{name}: an integer beyond 2**53 is not recorded")
                is_bool = type(number) is bool
                return (type(self) if is_bool else Truth)(number if is_bool else int(number), None, node, self._counts)
            if asks:
                return f(self._asked(), _outcome_of(other))
            return f(self.node, as_operand(other, name))
        return f(self.node, other) if hasattr(type(other), "_record") or is_real_scalar(other) else NotImplemented

    method.__name__ = name
    return method


def _exchanged(f: Callable[..., Any] | None) -> Any:
    return None if f is None else lambda x, y: f(y, x)


for _name, _operation, _joins, _asks in (
    ("add", ops.ADD, None, False),
    ("sub", ops.SUBTRACT, None, False),
    ("mul", ops.MULTIPLY, None, False),
    ("and", ops.MULTIPLY, _is_truth, True),
    ("or", ops.MAXIMUM, _is_truth, True),
    ("xor", ops.UNEQUAL, _is_truth, True),
    ("truediv", None, None, False),
    *((_other, None, None, True) for _other in ("floordiv", "mod", "pow", "lshift", "rshift")),
):
    _f = getattr(operator, f"{_name}_" if _name in ("and", "or") else _name)
    setattr(Truth, f"__{_name}__", _method(f"__{_name}__", _f, _operation, _joins, _asks))
    setattr(
        Truth,
        f"__r{_name}__",
        _method(f"__r{_name}__", _exchanged(_f), _exchanged(_operation), _joins, _asks),
    )
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Truth, f"__{_name}__", _method(f"__{_name}__", getattr(operator, _name), asks=False))
for _name in ("neg", "pos", "abs", "invert"):
    _f = getattr(operator, _name)
    setattr(Truth, f"__{_name}__", lambda self, f=_f: f(self._asked()))
for _name, _f in (("divmod", divmod), ("rdivmod", _exchanged(divmod))):
    setattr(Truth, f"__{_name}__", _method(f"__{_name}__", _f))
numbers.Integral.register(Truth)
