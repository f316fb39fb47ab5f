"""Elements of arrays of a recording: outcomes in the place of NumPy's bools, and functions that calculate with them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine import Value, ops
from ..engine.truth import Truth


def is_boolean(x: Any) -> bool:
    """Return whether x is a bool, an array of bools, or stands for one."""
    if isinstance(x, Truth):
        return type(x.number) is bool
    return isinstance(x, bool) or getattr(x, "dtype", None) == np.bool_


class RecordedTruth(Truth):
    """An outcome in an array of them, which acts as a bool of NumPy does: the sum of two is a truth."""

    __slots__ = ()

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """The type of the outcome, for `isinstance`."""
        return np.bool_

    def _asked(self) -> Any:
        return np.bool_(bool(self))

    def __index__(self) -> int:
        raise TypeError("a bool of NumPy is no index")

    def __add__(self, other: Any) -> Any:
        return self | other if is_boolean(other) else super().__add__(other)  # type: ignore[misc]

    def __mul__(self, other: Any) -> Any:
        return self & other if is_boolean(other) else super().__mul__(other)  # type: ignore[misc]

    def __sub__(self, other: Any) -> Any:
        return self._asked() - np.bool_(other) if is_boolean(other) else super().__sub__(other)  # type: ignore[misc]

    def __rsub__(self, other: Any) -> Any:
        return np.bool_(other) - self._asked() if is_boolean(other) else super().__rsub__(other)  # type: ignore[misc]

    def __invert__(self) -> Any:
        return self ^ True  # type: ignore[operator]

    __radd__, __rmul__ = __add__, __mul__


_TRUTHS = (Truth, RecordedTruth)


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
    if type(truth) not in _TRUTHS:
        return x if truth else y
    if isinstance(x, int) and isinstance(y, int):
        return truth * (x - y) + y
    return Value._record(ops.WHERE, truth.node, _operand(x), _operand(y))


def _operand(x: Any) -> Any:
    return x.node if type(x) in _TRUTHS else x


def _ufunc(f: Callable[..., Any], operands: int = 2, **identity: Any) -> np.ufunc:
    return np.frompyfunc(f, operands, 1, **identity)  # type: ignore[no-any-return]


COMPARISONS = {
    "less": _ufunc(operator.lt), "less_equal": _ufunc(operator.le), "equal": _ufunc(operator.eq),
    "not_equal": _ufunc(operator.ne), "greater": _ufunc(operator.gt), "greater_equal": _ufunc(operator.ge),
}  # fmt: skip
#: Functions that NumPy computes from comparisons of objects, with the same choices at ties. (The identity None allows
#: any order in a reduction.)
SELECTIONS = {
    "maximum": _ufunc(_larger, identity=None), "fmax": _ufunc(lambda x, y: _choice(x >= y, x, y), identity=None),
    "minimum": _ufunc(_smaller, identity=None), "fmin": _ufunc(lambda x, y: _choice(x <= y, x, y), identity=None),
    "clip": _ufunc(lambda x, low, high: _smaller(_larger(x, low), high), 3),
    "sign": _ufunc(lambda x: (x > 0) + 0 - (x < 0) if x == x else math.nan, 1),
}  # fmt: skip
_AND = _ufunc(operator.and_, identity=True)
_OR = _ufunc(operator.or_, identity=False)
_NOT = _ufunc(lambda truth: truth == 0, 1)
#: Functions of truths whose results are truths.
LOGICAL = {
    "logical_and": _AND, "bitwise_and": _AND, "logical_or": _OR, "bitwise_or": _OR,
    "logical_xor": _ufunc(operator.xor), "bitwise_xor": _ufunc(operator.xor), "logical_not": _NOT, "invert": _NOT,
}  # fmt: skip
#: For NumPy the sum of two truths is a truth; `sum` counts them.
LOGICAL_OPERATORS = {**LOGICAL, "add": _OR, "multiply": _AND, "maximum": _OR, "minimum": _AND}
CHOICE = _ufunc(_choice, 3)
COPY = _ufunc(lambda element: element.copy() if isinstance(element, Truth) else element, 1)
FLOAT = _ufunc(lambda number: number.node if isinstance(number, Truth) else float(number), 1)
