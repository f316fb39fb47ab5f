"""The operations of the table as methods, in the order of `microgrud.functions`, where each is documented.

Where NumPy has another name for a function, the method has that name too: on an object array NumPy's functions call the
method of their own name, so that `np.arcsin(array_of_values)` calls `.arcsin()` on each element.
"""

from __future__ import annotations

from collections.abc import Callable

from . import gamma, ops, special  # noqa: F401 (gamma.py completes the table)
from .node import Operand, RecordedT_co as T, RecordsOperations
from .operation import Operation


def _unary(operation: Operation) -> Callable[[RecordsOperations[T]], T]:
    """Return the method of an operation on one number."""

    def method(self: RecordsOperations[T]) -> T:
        return self._record(operation, self)

    method.__name__ = operation.name
    method.__code__ = method.__code__.replace(co_name=operation.name)  # the name in tracebacks and profiles
    method.__qualname__ = f"OperationMethods.{operation.name}"
    method.__doc__ = f"Return `microgrud.{operation.name}` of this node."
    return method


class OperationMethods:
    """Every operation with a fixed number of operands, as a method of its first operand."""

    __slots__ = ()

    exp = _unary(ops.EXP)
    expm1 = _unary(ops.EXPM1)
    log = _unary(ops.LOG)
    log1p = _unary(ops.LOG1P)
    log2 = _unary(ops.LOG2)
    log10 = _unary(ops.LOG10)
    sqrt = _unary(ops.SQRT)
    cbrt = _unary(ops.CBRT)
    square = _unary(ops.SQUARE)
    reciprocal = _unary(ops.RECIPROCAL)
    sin = _unary(ops.SIN)
    cos = _unary(ops.COS)
    tan = _unary(ops.TAN)
    asin = _unary(ops.ASIN)
    acos = _unary(ops.ACOS)
    atan = _unary(ops.ATAN)
    sinh = _unary(ops.SINH)
    cosh = _unary(ops.COSH)
    tanh = _unary(ops.TANH)
    asinh = _unary(ops.ASINH)
    acosh = _unary(ops.ACOSH)
    atanh = _unary(ops.ATANH)
    erf = _unary(ops.ERF)
    erfc = _unary(ops.ERFC)
    sigmoid = _unary(ops.SIGMOID)
    logsigmoid = _unary(ops.LOGSIGMOID)
    softplus = _unary(ops.SOFTPLUS)
    relu = _unary(ops.RELU)
    gelu = _unary(ops.GELU)
    silu = _unary(ops.SILU)
    sign = _unary(ops.SIGN)
    floor = _unary(ops.FLOOR)
    ceil = _unary(ops.CEIL)
    trunc = _unary(ops.TRUNC)
    abs = _unary(ops.ABS)
    degrees = _unary(special.DEGREES)
    radians = _unary(special.RADIANS)

    def leaky_relu(self: RecordsOperations[T], slope: Operand = 0.01) -> T:
        """Return `microgrud.leaky_relu` with this node as its first operand."""
        return self._record(ops.LEAKY_RELU, self, slope)

    def elu(self: RecordsOperations[T], alpha: Operand = 1.0) -> T:
        """Return `microgrud.elu` with this node as its first operand."""
        return self._record(ops.ELU, self, alpha)

    def atan2(self: RecordsOperations[T], x: Operand) -> T:
        """Return `microgrud.atan2` with this node as its first operand."""
        return self._record(ops.ATAN2, self, x)

    def hypot(self: RecordsOperations[T], y: Operand) -> T:
        """Return `microgrud.hypot` with this node as its first operand."""
        return self._record(ops.HYPOT, self, y)

    def minimum(self: RecordsOperations[T], y: Operand) -> T:
        """Return `microgrud.minimum` with this node as its first operand."""
        return self._record(ops.MINIMUM, self, y)

    def maximum(self: RecordsOperations[T], y: Operand) -> T:
        """Return `microgrud.maximum` with this node as its first operand."""
        return self._record(ops.MAXIMUM, self, y)

    def pow(self: RecordsOperations[T], y: Operand) -> T:
        """Return `microgrud.pow` with this node as its first operand."""
        return self._record(ops.POW, self, y)

    def clip(self: RecordsOperations[T], low: Operand, high: Operand) -> T:
        """Return `microgrud.clip` with this node as its first operand."""
        return self._record(ops.CLIP, self, low, high)

    def copysign(self: RecordsOperations[T], y: Operand) -> T:
        """Return `microgrud.copysign` with this node as its first operand."""
        return self._record(special.COPYSIGN, self, y)

    def fmod(self: RecordsOperations[T], y: Operand) -> T:
        """Return `microgrud.fmod` with this node as its first operand."""
        return self._record(special.FMOD, self, y)

    def remainder(self: RecordsOperations[T], y: Operand) -> T:
        """Return `microgrud.remainder` with this node as its first operand."""
        return self._record(ops.MODULO, self, y)

    def logaddexp(self: RecordsOperations[T], y: Operand) -> T:
        """Return `microgrud.logaddexp` with this node as its first operand."""
        return self._record(ops.LOGSUMEXP, self, y)

    # --- names that NumPy's functions call on the elements of an object array ---

    arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
    arcsinh, arccosh, arctanh = asinh, acosh, atanh
    fabs = abs
    rad2deg, deg2rad = degrees, radians

    def conjugate(self: T) -> T:
        """Return the node itself: it is real."""
        return self

    def rint(self: RecordsOperations[T]) -> T:
        """Return the nearest integer, as `round(node)` does."""
        return self._record(ops.ROUND, self)

    def exp2(self: RecordsOperations[T]) -> T:
        """Return 2 to the power of this node."""
        return self._record(ops.POW, 2.0, self)
