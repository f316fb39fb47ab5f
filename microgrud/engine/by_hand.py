"""Nodes built by hand: `Value(number, children, ...)`, with local gradients or without.

"By hand" means that the caller computes the number, and perhaps its local derivatives, and no operation of the table
does. The node cannot compute its number again when its children change.

Local gradients are stored as operands of the node, after its children. So they are copied and pickled with the node,
and if they are Values, they can be differentiated again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from ..common.numbers import Number, as_float, as_sequence
from .grad_mode import is_recording
from .node import Node
from .operation import Operation

T = TypeVar("T")


def _refuse_value(*operands: Number) -> NoReturn:
    raise ValueError("expected an operation of microgrud; the number of a node built by hand was computed elsewhere")


def _stored_slopes(out: Number, *operands: Number) -> list[Number]:
    """Return the local gradients; on Values a plain number among them becomes a node without a derivative."""
    count = len(operands) // 2
    children, slopes = operands[:count], operands[count:]
    if hasattr(out, "_record"):  # a Value, whose class this file cannot import: `value.py` imports this file
        slopes = tuple([slope if hasattr(slope, "_record") else _PLAIN_SLOPE(slope, *children) for slope in slopes])
    return [*slopes, *[None] * count]


def _no_derivative(out: Number, slope: Number, *children: Number) -> NoReturn:
    raise TypeError(
        f"a node built by hand has the number {slope} among its local_grads, whose own derivative is not known: for "
        "derivatives of higher order give Values, such as 2 * a instead of 2 * a.data (Value(1.0) for a constant), or "
        "make the operation with microgrud.custom_op"
    )


#: A local gradient that is a plain number. It may have been computed from the children, which are operands therefore.
_PLAIN_SLOPE = Operation(
    "local_grad", "local_grad", None, lambda slope, *_: slope, _no_derivative, None, (), total=True
)


@dataclass(frozen=True, eq=False)
class LocalGradients(Operation):
    """The operation of nodes built by hand with local gradients."""


@functools.lru_cache(maxsize=256)
def _local_gradients(op: str) -> LocalGradients:
    # No operation of the table has such a name: pictures and pickles recognise those by name.
    return LocalGradients(f"by-hand {op}".strip(), op, None, _refuse_value, _stored_slopes, None, ())


def keyword_children(given: Iterable[Node], children: Iterable[Node]) -> Iterable[Node]:
    """Return the children given by keyword; raise if the positional argument was given too."""
    if not isinstance(given, tuple) or given:
        raise TypeError("Value: expected either _children or children, got both")
    return children


def with_gradients(
    given: object, children: tuple[Any, ...], op: object, local_grads: object
) -> tuple[Operation | str, tuple[Any, ...]]:
    """Return the operation and the operands of a node with local gradients.

    Args:
        given: the children as the caller passed them.
        children: the same as a tuple.
        op: the third argument of `Value`: a name, or the local gradients.
        local_grads: the local gradients by keyword, or None.

    Raises:
        TypeError: if the local gradients are not a sequence of numbers and Values, or were given twice.
        ValueError: if their number differs from the number of children.
    """
    by_place = not isinstance(op, str)
    if by_place and (local_grads is not None or not isinstance(op, Iterable)):
        got = f"an object of type {type(op).__name__}" if local_grads is None else "local_grads twice"
        raise TypeError(
            "Value: expected as third argument _op, a string, or local_grads, a number or a Value for each child; "
            f"got {got}"
        )
    name = "" if by_place else str(op)
    if not by_place and local_grads is None:  # an instance of a subclass of str
        return name, children
    for what, x in (("children", given), ("local_grads", op if by_place else local_grads)):
        if isinstance(x, (Set, Mapping)):
            raise TypeError(f"Value: {what}: expected a list or a tuple, since the order counts, got {x!r}")
    slopes = as_sequence(op if by_place else local_grads, "local_grads")
    if len(slopes) != len(children):
        raise ValueError(f"local_grads: expected one for each child, got {len(slopes)} for {len(children)} children")
    numbers = [x if hasattr(type(x), "_record") else as_float(x, f"local_grads[{i}]") for i, x in enumerate(slopes)]
    if not children or not is_recording():  # a leaf
        return name, ()
    return _local_gradients(name), (*children, *numbers)


def children(operation: Operation | str, operands: Sequence[T]) -> Sequence[T]:
    """Return the operands without the local gradients."""
    return operands[: len(operands) // 2] if isinstance(operation, LocalGradients) else operands


def describe(op: str) -> str:
    """Name a node built by hand, for an error message."""
    return f"a node built by hand ({op or 'without an _op'})"


def without_rule(node: Node) -> TypeError:
    """Return the error for a node that has a gradient to pass on, but no rule to do so."""
    return TypeError(
        f"{describe(node._op)} has children, but no rule to pass its gradient on to them: set its _backward, "
        "or give its local_grads, one for each child; to stop the gradient, set _backward = lambda: None"
    )
