"""The operators: a Value behaves like the float that it holds, in arithmetic, comparisons, rounding and formatting."""

from __future__ import annotations

import operator
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from ..common.display import ShownInNotebooks
from ..common.numbers import is_real_scalar
from . import ops, tracing
from .node import Operand, RecordedT_co as T, RecordsOperations
from .truth import plain

_PLAIN_NUMBER = "use .data for the plain number, and call grad and the like inside `with no_grad():` to get floats"


class Operators(ShownInNotebooks):
    """The behaviour of a node under `+`, `<`, `==`, `round()`, `bool()`, `format()` and the like.

    A conversion to a plain number raises an error that says what to write instead: `math.exp(value)` would silently
    drop the gradient.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        _data: float

    def __add__(self: RecordsOperations[T], other: Operand) -> T:
        return self._record(ops.ADD, self, other) if _is_number(other) else NotImplemented

    def __radd__(self: RecordsOperations[T], other: Operand) -> T:
        return self._record(ops.ADD, other, self) if _is_number(other) else NotImplemented

    def __sub__(self: RecordsOperations[T], other: Operand) -> T:
        return self._record(ops.SUBTRACT, self, other) if _is_number(other) else NotImplemented

    def __rsub__(self: RecordsOperations[T], other: Operand) -> T:
        return self._record(ops.SUBTRACT, other, self) if _is_number(other) else NotImplemented

    def __mul__(self: RecordsOperations[T], other: Operand) -> T:
        return self._record(ops.MULTIPLY, self, other) if _is_number(other) else NotImplemented

    def __rmul__(self: RecordsOperations[T], other: Operand) -> T:
        return self._record(ops.MULTIPLY, other, self) if _is_number(other) else NotImplemented

    def __truediv__(self: RecordsOperations[T], other: Operand) -> T:
        return self._record(ops.DIVIDE, self, other) if _is_number(other) else NotImplemented

    def __rtruediv__(self: RecordsOperations[T], other: Operand) -> T:
        return self._record(ops.DIVIDE, other, self) if _is_number(other) else NotImplemented

    def __floordiv__(self: RecordsOperations[T], other: Operand) -> T:
        return self._record(ops.FLOOR_DIVIDE, self, other) if _is_number(other) else NotImplemented

    def __rfloordiv__(self: RecordsOperations[T], other: Operand) -> T:
        return self._record(ops.FLOOR_DIVIDE, other, self) if _is_number(other) else NotImplemented

    def __mod__(self: RecordsOperations[T], other: Operand) -> T:
        return self._record(ops.MODULO, self, other) if _is_number(other) else NotImplemented

    def __rmod__(self: RecordsOperations[T], other: Operand) -> T:
        return self._record(ops.MODULO, other, self) if _is_number(other) else NotImplemented

    def __pow__(self: RecordsOperations[T], exponent: Operand, modulus: None = None) -> T:
        if modulus is not None or not _is_number(exponent):
            return NotImplemented
        return self._record(ops.POW, self, exponent)

    def __rpow__(self: RecordsOperations[T], base: Operand, modulus: None = None) -> T:
        if modulus is not None or not _is_number(base):
            return NotImplemented
        return self._record(ops.POW, base, self)

    def __divmod__(self: RecordsOperations[T], other: Operand) -> tuple[T, T]:
        x: Any = self
        return x // other, x % other

    def __rdivmod__(self: RecordsOperations[T], other: Operand) -> tuple[T, T]:
        x: Any = self
        return other // x, other % x

    def __neg__(self: RecordsOperations[T]) -> T:
        return self._record(ops.NEGATE, self)

    def __pos__(self: RecordsOperations[T]) -> T:
        return self._record(ops.IDENTITY, self)

    def __abs__(self: RecordsOperations[T]) -> T:
        return self._record(ops.ABS, self)

    def __round__(self: RecordsOperations[T], ndigits: int | None = None) -> T:
        if ndigits is None:
            return self._record(ops.ROUND, self)
        return self._record(ops.ROUND_DIGITS, self, operator.index(ndigits))

    def __floor__(self: RecordsOperations[T]) -> T:
        return self._record(ops.FLOOR, self)

    def __ceil__(self: RecordsOperations[T]) -> T:
        return self._record(ops.CEIL, self)

    def __trunc__(self: RecordsOperations[T]) -> T:
        return self._record(ops.TRUNC, self)

    # Comparisons compare numbers; the hash is that of the object, so that sets and dicts tell nodes apart.

    def __eq__(self, other: object) -> bool:
        if not _is_number(other):
            return NotImplemented
        return self._reported("==", other, self._data == _number_of(other))

    def __ne__(self, other: object) -> bool:
        if not _is_number(other):
            return NotImplemented
        return self._reported("!=", other, self._data != _number_of(other))

    __hash__ = object.__hash__

    def __lt__(self, other: Operand) -> bool:
        return self._reported("<", other, self._data < _number_of(other))

    def __le__(self, other: Operand) -> bool:
        return self._reported("<=", other, self._data <= _number_of(other))

    def __gt__(self, other: Operand) -> bool:
        return self._reported(">", other, self._data > _number_of(other))

    def __ge__(self, other: Operand) -> bool:
        return self._reported(">=", other, self._data >= _number_of(other))

    def __bool__(self) -> bool:
        return bool(self._reported("!=", 0.0, self._data != 0.0))

    def _reported(self, symbol: str, other: object, outcome: bool) -> bool:
        """Report a comparison to the active tracer; return its outcome, or a `Truth` while it is recorded."""
        if tracing._tracers:
            return tracing.report_comparison(self, symbol, other, outcome)  # type: ignore[arg-type,no-any-return]
        return outcome

    # --- conversions to plain numbers, which would lose the gradient ---

    if not TYPE_CHECKING:  # type checkers refuse float(node) and math.exp(node)

        def __float__(self) -> NoReturn:
            if tracing._tracers:
                tracing.report_read(self, "float")
            raise TypeError(
                f"expected a plain number, got a {type(self).__name__}: a float has no gradient; instead of a function "
                f"of math or cmath use microgrud's function of the same name, such as microgrud.exp; {_PLAIN_NUMBER}"
            )

        __complex__ = __float__

        def __int__(self) -> NoReturn:
            if tracing._tracers:
                tracing.report_read(self, "int")
            raise TypeError(
                f"int: expected a plain number, got a {type(self).__name__}: an integer has no gradient; use "
                "microgrud.trunc, floor or round for a Value, and int(value.data) for the plain number"
            )

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Apply a NumPy function to the Value as to an element of an object array: call the method of the same name."""
        import numpy as np  # loaded already, since NumPy makes this call

        elements = [np.asarray(x, dtype=object) if isinstance(x, Operators) else x for x in inputs]
        try:
            return getattr(ufunc, method)(*elements, **options)
        except TypeError as error:
            raise TypeError(
                f"numpy.{ufunc.__name__} of a {type(self).__name__}: {error}; use microgrud's function of that name if "
                f"there is one; {_PLAIN_NUMBER}"
            ) from None

    def __format__(self, spec: str) -> str:
        if tracing._tracers:
            tracing.report_raw_read(self, "format", sys._getframe(1))  # type: ignore[arg-type]
        return format(self._data, spec) if spec else repr(self)


def _is_number(operand: object) -> bool:
    """Return whether an operator takes the operand; if not (an array, say), Python tries its reflected method."""
    return isinstance(operand, (Operators, float, int)) or is_real_scalar(operand)


def _number_of(x: Any) -> Any:
    """Return the plain number of a Value or a truth, and anything else as it is."""
    return x._data if isinstance(x, Operators) else plain(x)
