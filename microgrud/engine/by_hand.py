"""Nodes built by hand: `Value(number, children, ...)`, with the local derivatives of the number if they were given.

The local derivatives are operands of the node, behind its children: so they are copied, pickled and reached with it,
and where they are Values, they can be differentiated again. Nothing else is known of such a node: its number was
computed elsewhere, and does not follow its operands.
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


def _number(*operands: Number) -> NoReturn:
    raise ValueError("expected an operation that is known; the number of a node built by hand was computed elsewhere")


def _given(out: Number, *operands: Number) -> list[Number]:
    """Return the derivatives that were given; a number among them is a node that cannot be differentiated again."""
    count = len(operands) // 2
    children, slopes = operands[:count], operands[count:]
    if hasattr(out, "_record"):  # a Value, whose class cannot be imported here: the engine imports this module
        slopes = tuple([slope if hasattr(slope, "_record") else _PLAIN(slope, *children) for slope in slopes])
    return [*slopes, *[None] * count]


def _plain(out: Number, slope: Number, *children: Number) -> NoReturn:
    raise TypeError(
        f"a node built by hand has the number {slope} among its local_grads, from which nobody can tell the derivative "
        "of that: for derivatives of higher order give Values, as in 2 * a for 2 * a.data (Value(1.0) for a constant), "
        "or make the operation with microgrud.custom_op"
    )


#: A local derivative that was given as a plain number, which may have been computed from the children.
_PLAIN = Operation("local_grad", "local_grad", None, lambda slope, *_: slope, _plain, None, (), total=True)


@dataclass(frozen=True, eq=False)
class LocalGradients(Operation):
    """The operation of nodes built by hand with local derivatives."""


@functools.lru_cache(maxsize=256)
def _local_gradients(op: str) -> LocalGradients:
    # The name is that of no operation of the table, by which pictures and pickles know these.
    return LocalGradients(f"by-hand {op}".strip(), op, None, _number, _given, None, ())


def keyword_children(given: Iterable[Node], children: Iterable[Node]) -> Iterable[Node]:
    """Return the children of a node by keyword, which must not have been given in their place as well."""
    if not isinstance(given, tuple) or given:
        raise TypeError("Value: expected either _children or children, got both")
    return children


def with_gradients(
    given: object, children: tuple[Any, ...], op: object, local_grads: object
) -> tuple[Operation | str, tuple[Any, ...]]:
    """Return operation and operands of a node with local derivatives.

    Args:
        given: the children as they were given.
        children: the node's.
        op: the third argument of `Value`: a name, or the local derivatives.
        local_grads: these by keyword, else None.

    Raises:
        TypeError: if the local derivatives are no sequence of numbers and Values, or were given twice.
        ValueError: if there is not one for each child.
    """
    by_place = not isinstance(op, str)
    if by_place and (local_grads is not None or not isinstance(op, Iterable)):
        got = f"an object of type {type(op).__name__}" if local_grads is None else "local_grads twice"
        raise TypeError(
            "Value: expected as third argument _op, a string, or local_grads, a number or a Value for each child; "
            f"got {got}"
        )
    name = "" if by_place else str(op)
    if not by_place and local_grads is None:  # a string of a type of its own
        return name, children
    for what, x in (("children", given), ("local_grads", op if by_place else local_grads)):
        if isinstance(x, (Set, Mapping)):
            raise TypeError(f"Value: {what}: expected a list or a tuple, whose order tells which is whose, got {x!r}")
    slopes = as_sequence(op if by_place else local_grads, "local_grads")
    if len(slopes) != len(children):
        raise ValueError(f"local_grads: expected one for each child, got {len(slopes)} for {len(children)} children")
    numbers = [x if hasattr(type(x), "_record") else as_float(x, f"local_grads[{i}]") for i, x in enumerate(slopes)]
    if not children or not is_recording():  # a leaf
        return name, ()
    return _local_gradients(name), (*children, *numbers)


def children(operation: Operation | str, operands: Sequence[T]) -> Sequence[T]:
    """Return the operands without the local derivatives that were given."""
    return operands[: len(operands) // 2] if isinstance(operation, LocalGradients) else operands


def describe(op: str) -> str:
    """Name a node built by hand, for an error message."""
    return f"a node built by hand ({op or 'without an _op'})"


def without_rule(node: Node) -> TypeError:
    """Return the error of a node that has a gradient to pass on, and nothing that says how."""
    return TypeError(
        f"{describe(node._op)} has children, and no rule by which to pass its gradient on to them: set its _backward, "
        "or give its local_grads, one for each child; to stop the gradient, set _backward = lambda: None"
    )
