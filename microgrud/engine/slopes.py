"""The slopes of one node: its local derivatives with respect to its parents, as floats or as nodes."""

from __future__ import annotations

from collections.abc import Sequence

from ..common.numbers import Number
from . import by_hand
from .node import Node


def slopes_of(node: Node, wanted: Sequence[int], as_numbers: bool) -> list[Number]:
    """Return the slope of each use of a parent whose index is in `wanted`; None where nothing depends on it.

    Args:
        node: a node with operands.
        wanted: indices of operands that are nodes, in order.
        as_numbers: True for floats; False for what the rules make of nodes, floats and nodes.

    Raises:
        TypeError: if the node was built by hand without local gradients.
    """
    operation, parents = node._operation, node._operands
    if node._closure is not None:
        raise TypeError(
            f"{by_hand.describe(node._op)} has a _backward, which yields numbers to backward() alone: give local_grads "
            "instead, make the operation with microgrud.custom_op, or stop the gradient by .detach()"
        )
    if isinstance(operation, str):
        raise by_hand.without_rule(node)
    out: Number = node
    if as_numbers:
        out, parents = node._data, tuple([x if isinstance(x, float) else x._data for x in parents])
    slopes: list[Number] = operation.local_derivatives(out, parents, wanted)
    return [None if x is None else float(x) for x in slopes] if as_numbers else slopes
