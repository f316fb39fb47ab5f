"""Anomaly detection: stop at the first operation that turns finite numbers into infinity or NaN."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ..common.numbers import describe_operands
from .by_hand import children
from .node import Node

_detecting: ContextVar[bool] = ContextVar("microgrud_detecting", default=False)


class AnomalyError(ArithmeticError):
    """An operation, forward or backward, turned finite numbers into infinity or NaN under `detect_anomaly()`."""


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Raise `AnomalyError` at the first operation that turns finite operands into infinity or NaN.

    The error names the operation, forward or backward, its operands with their labels, and a path to a leaf. Only
    computations inside the `with` block are checked, in the present thread or asynchronous task.

    >>> from microgrud import Value
    >>> x = Value(1e200, label="x")
    >>> with detect_anomaly():
    ...     y = x * x
    Traceback (most recent call last):
        ...
    microgrud.engine.anomaly.AnomalyError: multiply(x=1e+200, x=1e+200) is inf; path to a leaf: * <- x
    """
    token = _detecting.set(True)
    try:
        yield
    finally:
        _detecting.reset(token)


def is_detecting() -> bool:
    """Return whether the current context is inside `detect_anomaly()`."""
    return _detecting.get()


def check_forward(node: Node) -> None:
    """Raise inside `detect_anomaly()`, for a node that is not finite, if its operands are."""
    if not _detecting.get():
        return
    numbers = [x if isinstance(x, float) else x._data for x in node._operands]
    if all(map(math.isfinite, numbers)):
        raise AnomalyError(f"{_call(node)} is {node._data}; path to a leaf: {path_to_leaf(node)}")


def pass_on_checked(node: Node, pass_on: Callable[[], None]) -> None:
    """Let a node pass its gradient on; raise if that turns a parent's gradient from finite to not finite.

    A node whose own gradient or operands are not finite is not the first one: it is not checked.
    """
    xs = [x if isinstance(x, float) else x._data for x in node._operands]
    before = [0.0 if isinstance(x, float) else x._grad for x in node._operands]
    adjoint = node._grad
    pass_on()
    if not all(map(math.isfinite, [adjoint, *children(node._operation, xs)])):
        return
    for i, (parent, grad) in enumerate(zip(node._operands, before)):
        if not isinstance(parent, float) and math.isfinite(grad) and not math.isfinite(parent._grad):
            raise AnomalyError(
                f"backward of {_call(node)} makes the gradient of operand {i + 1} {parent._grad}: "
                f"adjoint {adjoint}{_slope(node, xs, i)}; path to a leaf: {path_to_leaf(node, i)}"
            )


def _slope(node: Node, xs: list[float], i: int) -> str:
    """Describe the local derivative; a node built by hand has none on record."""
    if isinstance(node._operation, str):
        return ""
    return f", local derivative {node._operation.local_derivatives(node._data, xs, [i])[0]}"


def _call(node: Node) -> str:
    operation = node._operation
    name = operation if isinstance(operation, str) else operation.name
    return f"{name}({describe_operands(children(operation, node._operands))})"


def path_to_leaf(node: Node, operand: int | None = None, most: int = 12) -> str:
    """Describe a path from a node down to a leaf, along first parents: `log <- * <- x`; long paths are cut short.

    Args:
        node: the start of the path.
        operand: the index of the operand to follow first; the first parent if None.
        most: the maximum number of nodes to show.
    """
    names = []
    while node._operands:
        names.append(f"{node._op} {node.label}".strip())
        node = node._prev[0] if operand is None else node._operands[operand]
        operand = None
    names.append(str(node.label or f"a leaf holding {node._data}"))
    if len(names) > most:
        names[most - 1 : -1] = [f"({len(names) - most} more)"]
    return " <- ".join(names)
