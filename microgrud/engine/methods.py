"""The operations of the table as methods, in the order of `microgrud.functions`, where each is documented.

A method carries NumPy's name as well where the two differ, since NumPy's functions look for the method of their own
name when they meet an object array: `np.arcsin(array_of_values)` calls `.arcsin()` on each element.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..common.numbers import Number
from . import ops
from .operation import Operation

if TYPE_CHECKING:
    from .value import Value


class OperationMethods:
    """Every operation with a fixed number of operands, as a method of its first operand."""

    __slots__ = ()

    if TYPE_CHECKING:

        @staticmethod
        def _record(operation: Operation, *operands: Number) -> Value: ...

    def exp(self) -> Value:
        """Return `microgrud.exp` of this node."""
        return self._record(ops.EXP, self)

    def expm1(self) -> Value:
        """Return `microgrud.expm1` of this node."""
        return self._record(ops.EXPM1, self)

    def log(self) -> Value:
        """Return `microgrud.log` of this node."""
        return self._record(ops.LOG, self)

    def log1p(self) -> Value:
        """Return `microgrud.log1p` of this node."""
        return self._record(ops.LOG1P, self)

    def log2(self) -> Value:
        """Return `microgrud.log2` of this node."""
        return self._record(ops.LOG2, self)

    def log10(self) -> Value:
        """Return `microgrud.log10` of this node."""
        return self._record(ops.LOG10, self)

    def sqrt(self) -> Value:
        """Return `microgrud.sqrt` of this node."""
        return self._record(ops.SQRT, self)

    def cbrt(self) -> Value:
        """Return `microgrud.cbrt` of this node."""
        return self._record(ops.CBRT, self)

    def square(self) -> Value:
        """Return `microgrud.square` of this node."""
        return self._record(ops.SQUARE, self)

    def reciprocal(self) -> Value:
        """Return `microgrud.reciprocal` of this node."""
        return self._record(ops.RECIPROCAL, self)

    def sin(self) -> Value:
        """Return `microgrud.sin` of this node."""
        return self._record(ops.SIN, self)

    def cos(self) -> Value:
        """Return `microgrud.cos` of this node."""
        return self._record(ops.COS, self)

    def tan(self) -> Value:
        """Return `microgrud.tan` of this node."""
        return self._record(ops.TAN, self)

    def asin(self) -> Value:
        """Return `microgrud.asin` of this node."""
        return self._record(ops.ASIN, self)

    def acos(self) -> Value:
        """Return `microgrud.acos` of this node."""
        return self._record(ops.ACOS, self)

    def atan(self) -> Value:
        """Return `microgrud.atan` of this node."""
        return self._record(ops.ATAN, self)

    def sinh(self) -> Value:
        """Return `microgrud.sinh` of this node."""
        return self._record(ops.SINH, self)

    def cosh(self) -> Value:
        """Return `microgrud.cosh` of this node."""
        return self._record(ops.COSH, self)

    def tanh(self) -> Value:
        """Return `microgrud.tanh` of this node."""
        return self._record(ops.TANH, self)

    def asinh(self) -> Value:
        """Return `microgrud.asinh` of this node."""
        return self._record(ops.ASINH, self)

    def acosh(self) -> Value:
        """Return `microgrud.acosh` of this node."""
        return self._record(ops.ACOSH, self)

    def atanh(self) -> Value:
        """Return `microgrud.atanh` of this node."""
        return self._record(ops.ATANH, self)

    def erf(self) -> Value:
        """Return `microgrud.erf` of this node."""
        return self._record(ops.ERF, self)

    def erfc(self) -> Value:
        """Return `microgrud.erfc` of this node."""
        return self._record(ops.ERFC, self)

    def sigmoid(self) -> Value:
        """Return `microgrud.sigmoid` of this node."""
        return self._record(ops.SIGMOID, self)

    def logsigmoid(self) -> Value:
        """Return `microgrud.logsigmoid` of this node."""
        return self._record(ops.LOGSIGMOID, self)

    def softplus(self) -> Value:
        """Return `microgrud.softplus` of this node."""
        return self._record(ops.SOFTPLUS, self)

    def relu(self) -> Value:
        """Return `microgrud.relu` of this node."""
        return self._record(ops.RELU, self)

    def gelu(self) -> Value:
        """Return `microgrud.gelu` of this node."""
        return self._record(ops.GELU, self)

    def silu(self) -> Value:
        """Return `microgrud.silu` of this node."""
        return self._record(ops.SILU, self)

    def sign(self) -> Value:
        """Return `microgrud.sign` of this node."""
        return self._record(ops.SIGN, self)

    def floor(self) -> Value:
        """Return `microgrud.floor` of this node."""
        return self._record(ops.FLOOR, self)

    def ceil(self) -> Value:
        """Return `microgrud.ceil` of this node."""
        return self._record(ops.CEIL, self)

    def trunc(self) -> Value:
        """Return `microgrud.trunc` of this node."""
        return self._record(ops.TRUNC, self)

    def abs(self) -> Value:
        """Return `microgrud.abs` of this node."""
        return self._record(ops.ABS, self)

    def leaky_relu(self, slope: Number = 0.01) -> Value:
        """Return `microgrud.leaky_relu` with this node as its first operand."""
        return self._record(ops.LEAKY_RELU, self, slope)

    def elu(self, alpha: Number = 1.0) -> Value:
        """Return `microgrud.elu` with this node as its first operand."""
        return self._record(ops.ELU, self, alpha)

    def atan2(self, x: Number) -> Value:
        """Return `microgrud.atan2` with this node as its first operand."""
        return self._record(ops.ATAN2, self, x)

    def hypot(self, y: Number) -> Value:
        """Return `microgrud.hypot` with this node as its first operand."""
        return self._record(ops.HYPOT, self, y)

    def minimum(self, y: Number) -> Value:
        """Return `microgrud.minimum` with this node as its first operand."""
        return self._record(ops.MINIMUM, self, y)

    def maximum(self, y: Number) -> Value:
        """Return `microgrud.maximum` with this node as its first operand."""
        return self._record(ops.MAXIMUM, self, y)

    def pow(self, y: Number) -> Value:
        """Return `microgrud.pow` with this node as its first operand."""
        return self._record(ops.POW, self, y)

    def clip(self, low: Number, high: Number) -> Value:
        """Return `microgrud.clip` with this node as its first operand."""
        return self._record(ops.CLIP, self, low, high)

    # --- names that NumPy's functions call on the elements of an object array ---

    arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
    arcsinh, arccosh, arctanh = asinh, acosh, atanh
    fabs = abs

    def conjugate(self) -> Value:
        """Return the node itself: it is real."""
        return self  # type: ignore[return-value]

    def rint(self) -> Value:
        """Return the nearest integer, as `round(node)` does."""
        return self._record(ops.ROUND, self)

    def exp2(self) -> Value:
        """Return 2 to the power of this node."""
        return self._record(ops.POW, 2.0, self)

    def degrees(self) -> Value:
        """Return this angle, taken to be in radians, in degrees."""
        return self._record(ops.MULTIPLY, self, 180.0 / math.pi)

    def radians(self) -> Value:
        """Return this angle, taken to be in degrees, in radians."""
        return self._record(ops.MULTIPLY, self, math.pi / 180.0)

    rad2deg, deg2rad = degrees, radians
