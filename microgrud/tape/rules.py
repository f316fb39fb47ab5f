"""The operations on arrays, one element a sample: values and local derivatives, as NumPy computes them.

What has no rule here goes through the rules of `microgrud.engine.ops`, one element after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..engine import ops
from ..engine.operation import Operation
from ..engine.vectors import Vector

__all__ = ["slopes_of", "value_of"]


def _sech_squared(x: Vector) -> Vector:
    # 4 e^(-2|x|) / (1 + e^(-2|x|))^2: 1 - tanh(x)**2 would lose its digits in the tails.
    e = np.exp(-2.0 * np.abs(x))
    return 4.0 * e / ((1.0 + e) * (1.0 + e))


def _sigmoid(x: Vector) -> Vector:
    e = np.exp(-np.abs(x))
    return np.where(x < 0.0, e, 1.0) / (1.0 + e)


def _sigmoid_slope(z: Vector, x: Vector) -> Vector:
    e = np.exp(-np.abs(x))
    return e / ((1.0 + e) * (1.0 + e))


def _quotient_by_divisor(z: Vector, x: Vector, y: Vector) -> Vector:
    return -z / y


def _one(z: Vector, *_: Vector) -> float:
    return 1.0


_RULES: dict[Operation, tuple[Callable[..., Any], tuple[Callable[..., Any], ...]]] = {
    ops.ADD: (np.add, (_one, _one)),
    ops.SUBTRACT: (np.subtract, (_one, lambda z, x, y: -1.0)),
    ops.MULTIPLY: (np.multiply, (lambda z, x, y: y, lambda z, x, y: x)),
    ops.DIVIDE: (np.divide, (lambda z, x, y: 1.0 / y, _quotient_by_divisor)),
    ops.NEGATE: (np.negative, (lambda z, x: -1.0,)),
    ops.SQUARE: (np.square, (lambda z, x: 2.0 * x,)),
    ops.RECIPROCAL: (np.reciprocal, (lambda z, x: -z * z,)),
    ops.EXP: (np.exp, (lambda z, x: z,)),
    ops.LOG: (np.log, (lambda z, x: 1.0 / x,)),
    ops.SQRT: (np.sqrt, (lambda z, x: 0.5 / (z + 0.0),)),
    ops.SIN: (np.sin, (lambda z, x: np.cos(x),)),
    ops.COS: (np.cos, (lambda z, x: -np.sin(x),)),
    ops.TANH: (np.tanh, (lambda z, x: _sech_squared(x),)),
    ops.SIGMOID: (_sigmoid, (_sigmoid_slope,)),
    ops.RELU: (lambda x: np.where(x <= 0.0, 0.0, x), (lambda z, x: np.where(x <= 0.0, 0.0, 1.0),)),
    ops.ABS: (np.abs, (lambda z, x: np.sign(x),)),
}


#: NumPy's names of functions, where they are others; what has no function there is NaN where Python raises.
_NUMPY_NAMES = {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atanh": "arctanh",
    "clip": "", "modulo": "remainder", "pow": "float_power", "round": "rint",
}  # fmt: skip


def value_of(operation: Operation, xs: Sequence[Any], samples: int | None) -> Any:
    """Return the value of an operation: a float, or with arrays among the operands an array of `samples` numbers.

    Where the eager operation would raise, it is what IEEE arithmetic has, or NaN.
    """
    if samples is None:
        return _value(operation, [float(x) for x in xs])
    rule = _RULES.get(operation)
    if rule is not None:
        return rule[0](*xs)
    rows = np.broadcast_arrays(*xs)
    return np.array([_value(operation, row) for row in zip(*(column.tolist() for column in rows))])


def slopes_of(operation: Operation, z: Any, xs: Sequence[Any], wanted: Sequence[int], samples: int | None) -> list[Any]:
    """Return the local derivative by each operand in `wanted`: None where the result does not depend on it."""
    if samples is None:
        return _slopes(operation, z, xs, wanted)
    rule = _RULES.get(operation)
    if rule is not None:
        return [rule[1][k](z, *xs) for k in wanted]
    rows = np.broadcast_arrays(z, *xs)
    slopes = [
        [0.0 if slope is None else slope for slope in _slopes(operation, row[0], row[1:], wanted)]
        for row in zip(*(column.tolist() for column in rows))
    ]
    return list(np.array(slopes).reshape(samples, len(wanted)).T)


def _value(operation: Operation, xs: Sequence[float]) -> float:
    try:
        return float(operation.value(*xs))
    except IndexError:
        return np.nan
    except (ValueError, ArithmeticError):
        rule = _RULES.get(operation)
        function = _NUMPY_NAMES.get(operation.name, operation.name)
        compute = rule[0] if rule is not None else getattr(np, function, None)
        with np.errstate(all="ignore"):
            return float(compute(*map(np.float64, xs))) if compute is not None and operation.arity else np.nan


def _slopes(operation: Operation, z: float, xs: Sequence[float], wanted: Sequence[int]) -> list[float | None]:
    try:
        return operation.local_derivatives(z, xs, wanted)
    except (ValueError, ArithmeticError):
        pass
    try:
        with np.errstate(all="ignore"):  # NumPy's floats divide by zero
            slopes = operation.local_derivatives(np.float64(z), list(map(np.float64, xs)), wanted)
        return [None if slope is None else float(slope) for slope in slopes]
    except (ValueError, ArithmeticError):
        return [np.nan] * len(wanted)
