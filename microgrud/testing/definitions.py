"""Checks of the definitions of custom operations: they must not raise, and must be the same function as the value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from ..common.numbers import describe_operands
from ..engine import Value, topological_order
from ..engine.operation import Operation
from ..engine.ops import TABLE
from .multiprecision import digits_of, exact, is_exact


def roughness(f: Callable[[Sequence[float]], Sequence[float]], point: Sequence[float]) -> list[float]:
    """Return the fourth differences of a function around a point, which for smooth functions show the lost digits.

    For each component: the greatest |f(x - 2h) - 4 f(x - h) + 6 f(x) - 4 f(x + h) + f(x + 2h)|, with h = x / 100,
    x / 37 and x / 13; an empty list if the function cannot be evaluated there.

    >>> roughness(lambda xs: [xs[0] ** 3], [1.0])[0] < 1e-14
    True
    """
    found: list[list[float]] = []
    for parts in (100, 37, 13):
        try:
            columns = list(zip(*(f([x * (1.0 + k / parts) for x in point]) for k in range(-2, 3))))
        except (ArithmeticError, ValueError, TypeError):
            return []
        found.append([abs(a - 4.0 * b + 6.0 * c - 4.0 * d + e) for a, b, c, d, e in columns])
    return [max(column) for column in zip(*found)]


def check_definitions(outputs: Iterable[Value]) -> None:
    """Evaluate the definitions of all operations of `custom_op` in the graphs of some nodes, at the graphs' operands.

    Raises:
        ValueError: if a definition raises, returns no real number, or another number than the value of its operation.
    """
    for node in dict.fromkeys(node for output in outputs for node in topological_order(output)):
        operation = node._operation
        if not isinstance(operation, Operation) or operation.definition is None or operation.name in TABLE:
            continue
        numbers = [x.data if isinstance(x, Value) else float(x) for x in node._operands]
        if not all(map(math.isfinite, [node.data, *numbers])):
            continue
        where = f"custom_op {operation.name!r}: its definition, called as definition(mp, {describe_operands(numbers)})"
        try:
            with digits_of(50):
                found = operation.definition(exact, *map(exact.mpf, numbers))
        except Exception as error:
            raise ValueError(
                f"{where}, raises {type(error).__name__}: {error}; its arguments are mpmath's context and a number of "
                "mpmath for each operand, and these numbers cannot be rounded to floats"
            ) from error
        if not is_exact(found) and not isinstance(found, (int, float)):
            raise ValueError(f"{where}, returns {found!r}; expected a real number of mpmath")
        if is_another_function([found], [node.data], partial(_difference, operation), numbers):
            raise ValueError(
                f"{where}, returns {exact.nstr(exact.convert(found), 17)}, and the operation's value is {node.data!r}; "
                "expected the same function"
            )


def is_another_function(
    found: Sequence[Any],
    expected: Sequence[float],
    difference: Callable[[Sequence[float]], Sequence[float]],
    point: Sequence[float],
) -> bool:
    """Return whether two functions with these results at a point differ by more than the digits that they lose there.

    Args:
        found: the results of one function.
        expected: those of the other.
        difference: the difference of the two functions.
        point: the point.
    """
    lost = 1e-12 * max(1.0, *map(abs, point))  # different formulas lose different digits
    apart = [
        0.0 if x == y or x != x or y != y else abs(x - y) - 1e-6 * max(abs(x), abs(y)) - lost
        for x, y in zip(found, expected)
    ]
    if max(apart, default=0.0) <= 0.0:
        return False
    # Lost digits differ from point to point, while the difference of two functions is smooth.
    rough = roughness(difference, point)
    return bool(rough) and not all(x <= 10.0 * y for x, y in zip(apart, rough))


def _difference(operation: Operation, numbers: Sequence[float]) -> list[float]:
    """Return the difference of the definition and the value."""
    assert operation.definition is not None
    with digits_of(50):
        difference = operation.definition(exact, *map(exact.mpf, numbers)) - exact.mpf(operation.value(*numbers))
        return [float(exact.nstr(difference, 20))]
