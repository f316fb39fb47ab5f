"""The definitions of the user's own operations: errors inside them are shown, and so is what is another function."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from ..common.numbers import describe_operands
from ..engine import Value, topological_order
from ..engine.operation import Operation
from ..engine.ops import TABLE
from .multiprecision import digits_of, exact, is_exact


def roughness(f: Callable[[Sequence[float]], Sequence[float]], point: Sequence[float]) -> list[float]:
    """Return the fourth differences of a function over neighbours: of a smooth one, little but its lost digits.

    For each component: the greatest |f(x - 2h) - 4 f(x - h) + 6 f(x) - 4 f(x + h) + f(x + 2h)|, with h = x / 100,
    x / 37 and x / 13; nothing where the function cannot be evaluated.

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
    """Evaluate the definition of each operation of `custom_op` in the graphs of some nodes, where the graph does.

    Raises:
        ValueError: if a definition raises, gives no real number, or another one than the value of its operation.
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
                f"{where}, raises {type(error).__name__}: {error}; it receives mpmath's context, and for each operand "
                "a number of mpmath that cannot be rounded to a float"
            ) from error
        if not is_exact(found) and not isinstance(found, (int, float)):
            raise ValueError(f"{where}, gives {found!r}; expected a real number of mpmath")
        lost = 1e-12 * max(1.0, *map(abs, numbers))  # the two may be different formulas, and lose different digits
        apart = abs(found - node.data) - 1e-6 * max(abs(found), abs(node.data)) - lost
        if apart <= 0.0:
            continue
        # Digits that the value has lost come and go from one point to the next; another function does not.
        rough = roughness(partial(_apart, operation), numbers)
        if rough and not apart <= 10.0 * rough[0]:
            raise ValueError(
                f"{where}, gives {exact.nstr(exact.convert(found), 17)}, and its value {node.data!r}; expected one and "
                "the same function"
            )


def _apart(operation: Operation, numbers: Sequence[float]) -> list[float]:
    """Return the definition less the value."""
    assert operation.definition is not None
    with digits_of(50):
        difference = operation.definition(exact, *map(exact.mpf, numbers)) - exact.mpf(operation.value(*numbers))
        return [float(exact.nstr(difference, 20))]
