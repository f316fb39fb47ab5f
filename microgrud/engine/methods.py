"""The operations of the table as methods, in the order of `microgrud.functions`, where each is documented.

Where NumPy has another name for a function, the method has that name too: on an object array NumPy's functions call the
method of their own name, so that `np.arcsin(array_of_values)` calls `.arcsin()` on each element.
"""

from __future__ import annotations

import math

from ..common.numbers import Number
from . import ops
from .node import RecordedT_co as T, RecordsOperations


class OperationMethods:
    """Every operation with a fixed number of operands, as a method of its first operand."""

    __slots__ = ()

    def exp(self: RecordsOperations[T]) -> T:
        """Return `microgrud.exp` of this node."""
        return self._record(ops.EXP, self)

    def expm1(self: RecordsOperations[T]) -> T:
        """Return `microgrud.expm1` of this node."""
        return self._record(ops.EXPM1, self)

    def log(self: RecordsOperations[T]) -> T:
        """Return `microgrud.log` of this node."""
        return self._record(ops.LOG, self)

    def log1p(self: RecordsOperations[T]) -> T:
        """Return `microgrud.log1p` of this node."""
        return self._record(ops.LOG1P, self)

    def log2(self: RecordsOperations[T]) -> T:
        """Return `microgrud.log2` of this node."""
        return self._record(ops.LOG2, self)

    def log10(self: RecordsOperations[T]) -> T:
        """Return `microgrud.log10` of this node."""
        return self._record(ops.LOG10, self)

    def sqrt(self: RecordsOperations[T]) -> T:
        """Return `microgrud.sqrt` of this node."""
        return self._record(ops.SQRT, self)

    def cbrt(self: RecordsOperations[T]) -> T:
        """Return `microgrud.cbrt` of this node."""
        return self._record(ops.CBRT, self)

    def square(self: RecordsOperations[T]) -> T:
        """Return `microgrud.square` of this node."""
        return self._record(ops.SQUARE, self)

    def reciprocal(self: RecordsOperations[T]) -> T:
        """Return `microgrud.reciprocal` of this node."""
        return self._record(ops.RECIPROCAL, self)

    def sin(self: RecordsOperations[T]) -> T:
        """Return `microgrud.sin` of this node."""
        return self._record(ops.SIN, self)

    def cos(self: RecordsOperations[T]) -> T:
        """Return `microgrud.cos` of this node."""
        return self._record(ops.COS, self)

    def tan(self: RecordsOperations[T]) -> T:
        """Return `microgrud.tan` of this node."""
        return self._record(ops.TAN, self)

    def asin(self: RecordsOperations[T]) -> T:
        """Return `microgrud.asin` of this node."""
        return self._record(ops.ASIN, self)

    def acos(self: RecordsOperations[T]) -> T:
        """Return `microgrud.acos` of this node."""
        return self._record(ops.ACOS, self)

    def atan(self: RecordsOperations[T]) -> T:
        """Return `microgrud.atan` of this node."""
        return self._record(ops.ATAN, self)

    def sinh(self: RecordsOperations[T]) -> T:
        """Return `microgrud.sinh` of this node."""
        return self._record(ops.SINH, self)

    def cosh(self: RecordsOperations[T]) -> T:
        """Return `microgrud.cosh` of this node."""
        return self._record(ops.COSH, self)

    def tanh(self: RecordsOperations[T]) -> T:
        """Return `microgrud.tanh` of this node."""
        return self._record(ops.TANH, self)

    def asinh(self: RecordsOperations[T]) -> T:
        """Return `microgrud.asinh` of this node."""
        return self._record(ops.ASINH, self)

    def acosh(self: RecordsOperations[T]) -> T:
        """Return `microgrud.acosh` of this node."""
        return self._record(ops.ACOSH, self)

    def atanh(self: RecordsOperations[T]) -> T:
        """Return `microgrud.atanh` of this node."""
        return self._record(ops.ATANH, self)

    def erf(self: RecordsOperations[T]) -> T:
        """Return `microgrud.erf` of this node."""
        return self._record(ops.ERF, self)

    def erfc(self: RecordsOperations[T]) -> T:
        """Return `microgrud.erfc` of this node."""
        return self._record(ops.ERFC, self)

    def sigmoid(self: RecordsOperations[T]) -> T:
        """Return `microgrud.sigmoid` of this node."""
        return self._record(ops.SIGMOID, self)

    def logsigmoid(self: RecordsOperations[T]) -> T:
        """Return `microgrud.logsigmoid` of this node."""
        return self._record(ops.LOGSIGMOID, self)

    def softplus(self: RecordsOperations[T]) -> T:
        """Return `microgrud.softplus` of this node."""
        return self._record(ops.SOFTPLUS, self)

    def relu(self: RecordsOperations[T]) -> T:
        """Return `microgrud.relu` of this node."""
        return self._record(ops.RELU, self)

    def gelu(self: RecordsOperations[T]) -> T:
        """Return `microgrud.gelu` of this node."""
        return self._record(ops.GELU, self)

    def silu(self: RecordsOperations[T]) -> T:
        """Return `microgrud.silu` of this node."""
        return self._record(ops.SILU, self)

    def sign(self: RecordsOperations[T]) -> T:
        """Return `microgrud.sign` of this node."""
        return self._record(ops.SIGN, self)

    def floor(self: RecordsOperations[T]) -> T:
        """Return `microgrud.floor` of this node."""
        return self._record(ops.FLOOR, self)

    def ceil(self: RecordsOperations[T]) -> T:
        """Return `microgrud.ceil` of this node."""
        return self._record(ops.CEIL, self)

    def trunc(self: RecordsOperations[T]) -> T:
        """Return `microgrud.trunc` of this node."""
        return self._record(ops.TRUNC, self)

    def abs(self: RecordsOperations[T]) -> T:
        """Return `microgrud.abs` of this node."""
        return self._record(ops.ABS, self)

    def leaky_relu(self: RecordsOperations[T], slope: Number = 0.01) -> T:
        """Return `microgrud.leaky_relu` with this node as its first operand."""
        return self._record(ops.LEAKY_RELU, self, slope)

    def elu(self: RecordsOperations[T], alpha: Number = 1.0) -> T:
        """Return `microgrud.elu` with this node as its first operand."""
        return self._record(ops.ELU, self, alpha)

    def atan2(self: RecordsOperations[T], x: Number) -> T:
        """Return `microgrud.atan2` with this node as its first operand."""
        return self._record(ops.ATAN2, self, x)

    def hypot(self: RecordsOperations[T], y: Number) -> T:
        """Return `microgrud.hypot` with this node as its first operand."""
        return self._record(ops.HYPOT, self, y)

    def minimum(self: RecordsOperations[T], y: Number) -> T:
        """Return `microgrud.minimum` with this node as its first operand."""
        return self._record(ops.MINIMUM, self, y)

    def maximum(self: RecordsOperations[T], y: Number) -> T:
        """Return `microgrud.maximum` with this node as its first operand."""
        return self._record(ops.MAXIMUM, self, y)

    def pow(self: RecordsOperations[T], y: Number) -> T:
        """Return `microgrud.pow` with this node as its first operand."""
        return self._record(ops.POW, self, y)

    def clip(self: RecordsOperations[T], low: Number, high: Number) -> T:
        """Return `microgrud.clip` with this node as its first operand."""
        return self._record(ops.CLIP, self, low, high)

    # --- names that NumPy's functions call on the elements of an object array ---

    arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
    arcsinh, arccosh, arctanh = asinh, acosh, atanh
    fabs = abs

    def conjugate(self: T) -> T:
        """Return the node itself: it is real."""
        return self

    def rint(self: RecordsOperations[T]) -> T:
        """Return the nearest integer, as `round(node)` does."""
        return self._record(ops.ROUND, self)

    def exp2(self: RecordsOperations[T]) -> T:
        """Return 2 to the power of this node."""
        return self._record(ops.POW, 2.0, self)

    def degrees(self: RecordsOperations[T]) -> T:
        """Convert this angle from radians to degrees."""
        return self._record(ops.MULTIPLY, self, 180.0 / math.pi)

    def radians(self: RecordsOperations[T]) -> T:
        """Convert this angle from degrees to radians."""
        return self._record(ops.MULTIPLY, self, math.pi / 180.0)

    rad2deg, deg2rad = degrees, radians
