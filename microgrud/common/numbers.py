"""Plain real numbers: the conversion to floats, the intervals they lie in, and their texts in error messages."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

from .arrays import is_array

if TYPE_CHECKING:
    from decimal import Decimal
    from fractions import Fraction

    import numpy as np

#: An operand inside the package: a Value, a float, or an mpmath number, which has no type. (`microgrud.typing` has the
#: type of a number for public functions.)
Number = Any
#: A plain number that `as_float` converts.
Real = Union[float, "np.floating[Any]", "np.integer[Any]", "np.bool_", "Fraction", "Decimal"]


@dataclass(frozen=True)
class Interval:
    """The real numbers from `low` to `high`; a bound belongs to the interval unless it is open.

    >>> Interval(0.0, math.inf, low_open=True)
    x > 0
    >>> 0.5 in Interval(-1.0, 1.0)
    True
    """

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, x: float) -> bool:
        above = x > self.low if self.low_open else x >= self.low
        below = x < self.high if self.high_open else x <= self.high
        return above and below

    def describe(self, name: str = "x") -> str:
        """Write the interval as an inequality, e.g. `-1 <= x <= 1`."""
        low = f"{self.low:g} {'<' if self.low_open else '<='} {name}"
        high = f"{'<' if self.high_open else '<='} {self.high:g}"
        if math.isinf(self.low) and math.isinf(self.high):
            return f"any real {name}"
        if math.isinf(self.high):
            return f"{name} {'>' if self.low_open else '>='} {self.low:g}"
        if math.isinf(self.low):
            return f"{name} {high}"
        return f"{low} {high}"

    def __repr__(self) -> str:
        return self.describe()


def describe_operands(operands: Sequence[Number]) -> str:
    """Write operands for an error message: `x=0.5` for a node with a label, else `0.5`; long lists are cut short.

    >>> describe_operands([1.0, 2.0])
    '1.0, 2.0'
    """
    texts = []
    for operand in operands[:6]:
        label = getattr(operand, "label", "")
        number = repr(getattr(operand, "_data", operand))
        texts.append(f"{label}={number}" if label else number)
    if len(operands) > 6:
        texts.append(f"... {len(operands)} in all")
    return ", ".join(texts)


def is_real_scalar(x: object) -> bool:
    """Return whether `x` is one real number: it has `__float__` or `__index__`, and is neither an array nor complex."""
    kind = type(x)
    if kind is float or kind is int:
        return True
    convertible = hasattr(kind, "__float__") or hasattr(kind, "__index__")
    # NumPy's complex scalars have __float__, which would drop the imaginary part; arrays have __len__.
    complex_like = isinstance(x, complex) or getattr(getattr(x, "dtype", None), "kind", "") == "c"
    # A Value has __float__ only to raise an error that says what to write instead.
    return convertible and not complex_like and not hasattr(kind, "__len__") and not hasattr(kind, "_data")


def as_float(x: object, where: str) -> float:
    """Convert one real number to a float, or raise an error that says what is wrong and what to do.

    Args:
        x: anything with `__float__` or `__index__`: int, bool, NumPy scalars, Fraction, Decimal.
        where: the name of the argument or operation, for the message.

    Raises:
        TypeError: for strings, None, complex numbers, arrays and Values.
        OverflowError: for an integer or a fraction beyond the range of a float.

    >>> as_float(True, "data")
    1.0
    """
    if type(x) is float:
        return x
    if not is_real_scalar(x):
        raise TypeError(f"{where}: expected a real number, got {_described(x)}")
    try:
        return float(x)  # type: ignore[arg-type]
    except OverflowError:
        raise OverflowError(
            f"{where}: expected a number within the range of a float, got one above {sys.float_info.max:.4g} in size; "
            "scale it down"
        ) from None


def as_sequence(xs: object, where: str, of: str = "numbers") -> tuple[Any, ...]:
    """Return the items of a list, a tuple, an array or any other iterable as a tuple.

    Args:
        xs: the sequence.
        where: the name of the argument or operation, for the message.
        of: the plural noun for its items, for the message.

    Raises:
        TypeError: for a string, and for an object that is not iterable.

    >>> as_sequence([1.0, 2.0], "sum")
    (1.0, 2.0)
    """
    if isinstance(xs, (str, bytes)):
        raise TypeError(f"{where}: expected a sequence of {of}, got {xs!r}")
    try:
        return tuple(xs)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{where}: expected a sequence of {of}, got an object of type {type(xs).__name__}") from None


def _described(x: object) -> str:
    kind = type(x).__name__
    if hasattr(type(x), "_record"):
        return f"a {kind}; use it as it is, or its .data for the plain number"
    if x is None:
        return "None; give a number, or check that the function that computed it returns it"
    if isinstance(x, str):
        return f"the string {x!r}; convert it with float()"
    if isinstance(x, complex) or getattr(getattr(x, "dtype", None), "kind", "") == "c":
        return f"the complex number {x}; use its real and imaginary parts"
    if is_array(x) or hasattr(type(x), "takes_truths"):
        return "an object of type ndarray; apply the operation to each of its elements, as NumPy's functions do"
    if hasattr(type(x), "__len__"):
        return f"an object of type {kind}; apply the operation to each of its elements"
    return f"an object of type {kind}"
