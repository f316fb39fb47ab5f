"""Derivatives of nodes with respect to nodes: numbers, or nodes that can be differentiated again.

`Value.backward` computes numbers, and stores them in the nodes. The functions here apply the same rules and store
nothing: `gradient` from the output to the inputs (reverse mode), `pushforward` from the inputs to the outputs (forward
mode). `subgraph.py` has the chain rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import overload

from ..common.numbers import Number
from ..engine import Value
from .subgraph import Subgraph


@overload
def gradient(output: Value, inputs: Value) -> Value: ...
@overload
def gradient(output: Value, inputs: Iterable[Value]) -> list[Value]: ...
def gradient(output: Value, inputs: Value | Iterable[Value]) -> Value | list[Value]:
    """Compute the partial derivatives of a node with respect to others, as Values that can be differentiated again.

    For each input x: d output / dx = the sum, over all paths from x to the output, of the product of the local
    derivatives along the path.

    Args:
        output: the node to differentiate.
        inputs: one node, or several; leaves or nodes in between.

    Returns:
        A Value for one input, a list of Values for several; 0 for an input that the output does not depend on.

    Raises:
        TypeError: if an argument is not a Value, or a node in between was built by hand without local gradients: a
            `_backward` yields numbers only.

    >>> x = Value(2.0)
    >>> first = gradient(x**3, x)
    >>> first.data, gradient(first, x).data, gradient(gradient(first, x), x).data
    (12.0, 12.0, 6.0)
    """
    wanted = [inputs] if isinstance(inputs, Value) else list(inputs)
    for i, node in enumerate([output, *wanted]):
        if not isinstance(node, Value):
            where = "output" if i == 0 else f"inputs[{i - 1}]"
            raise TypeError(f"gradient: expected a Value for {where}, got {type(node).__name__}")
    # One of several inputs may depend on another one; then the walk has to go on beyond it.
    results = list(map(as_value, Subgraph([output], wanted, len(wanted) == 1).pull_back(0, False)))
    return results[0] if isinstance(inputs, Value) else results


def numbers_of_gradient(output: Value, inputs: Sequence[Value]) -> list[float]:
    """Compute the partial derivatives of a node as floats, without a graph for them.

    >>> x, y = Value(2.0), Value(3.0)
    >>> numbers_of_gradient(x * y, [x, y])
    [3.0, 2.0]
    """
    return Subgraph([output], list(inputs), False).pull_back(0, True)


def pushforward(outputs: Sequence[Value], tangents: Mapping[Value, Number], as_numbers: bool = False) -> list[Number]:
    """Compute the directional derivatives of nodes from those of the nodes they depend on (forward mode).

    d output = the sum, over the given nodes x, of (d output / dx) * tangent of x.

    Args:
        outputs: the nodes to differentiate.
        tangents: a number or a Value for each node that varies. All others are constant, and so is a node with the
            plain number 0.
        as_numbers: True to compute with floats only, without a graph of the tangents, which are then floats too.

    Returns:
        A tangent for each output: a float, or a Value if it depends on one.

    >>> x, y = Value(2.0), Value(3.0)
    >>> pushforward([x * y], {x: 1.0, y: 10.0})
    [Value(data=23.0, grad=0.0)]
    """
    return Subgraph(list(outputs), list(tangents), True).push_forward(list(tangents.values()), as_numbers)


def as_value(x: Number) -> Value:
    """Return a Value as it is, and a number as a leaf."""
    return x if isinstance(x, Value) else Value(x)
