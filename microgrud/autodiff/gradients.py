"""The chain rule on a recorded graph, with results that are themselves nodes: derivatives of any order.

`Value.backward` computes numbers. Two functions here apply the same rules to nodes: `gradient` from the output to the
inputs (reverse mode), `pushforward` from the inputs to the outputs (forward mode). Their results can be differentiated
again; `numbers_of_gradient` computes floats, if nothing has to be. None of them changes a node's `grad`.

In reverse mode the *adjoint* of a node is the derivative of the output with respect to it; in forward mode its
*tangent* is its derivative in the given direction. A *slope* is a local derivative.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import overload

from ..common.numbers import Number
from ..engine import Value, by_hand, ops, topological_order, tracing


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
    adjoints = _pull_back(output, wanted, as_numbers=False)
    results = [as_value(adjoints.get(node, 0.0)) for node in wanted]
    return results[0] if isinstance(inputs, Value) else results


def numbers_of_gradient(output: Value, inputs: Sequence[Value]) -> list[float]:
    """Compute the partial derivatives of a node as floats, without a graph for them.

    >>> x, y = Value(2.0), Value(3.0)
    >>> numbers_of_gradient(x * y, [x, y])
    [3.0, 2.0]
    """
    adjoints = _pull_back(output, inputs, as_numbers=True)
    return [float(adjoints.get(node, 0.0)) for node in inputs]


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
    known: dict[Value, Number] = dict(tangents)
    moving = {node for node, tangent in known.items() if not _is_constant(tangent, 0.0)}
    for output in outputs:
        for node in topological_order(output):
            if node in known:
                continue
            # The slope is passed in the place of the adjoint, so that a slope of 0 stops an infinite tangent. In
            # reverse mode the zero adjoint that it makes does the same. A tangent that has become 0 stops nothing.
            terms = [chain(slope, known[x]) for x, slope in _slopes(node, moving, as_numbers)]
            if terms:
                known[node] = _add_up(terms)
                moving.add(node)
    return [known.get(output, 0.0) for output in outputs]


def chain(adjoint: Number, slope: Number) -> Number:
    """Multiply an adjoint by a slope; an adjoint of 0 passes nothing on, whatever the slope is."""
    if _is_constant(adjoint, 0.0) or _is_constant(slope, 1.0):
        return adjoint
    if _is_constant(adjoint, 1.0):
        return slope
    if tracing.current():  # the adjoint may be 0 in one replay and not in another
        return ops.CHAIN(adjoint, slope)
    if adjoint == 0.0 and not math.isfinite(slope._data if isinstance(slope, Value) else slope):
        return ops.CHAIN(adjoint, slope)
    return adjoint * slope


def _pull_back(output: Value, wanted: Sequence[Value], as_numbers: bool) -> dict[Value, Number]:
    """Return the adjoint of every node on a path from a wanted node to the output."""
    order = topological_order(output)
    on_path = set(wanted)
    for node in order:
        if any(isinstance(x, Value) and x in on_path for x in node._operands):
            on_path.add(node)
    contributions: dict[Value, list[Number]] = {output: [1.0]}
    adjoints: dict[Value, Number] = {}
    for node in reversed(order):
        if node not in on_path:
            continue
        adjoint = adjoints[node] = _add_up(contributions.pop(node, [0.0]))
        if not _is_constant(adjoint, 0.0):
            for parent, slope in _slopes(node, on_path, as_numbers):
                contributions.setdefault(parent, []).append(chain(adjoint, slope))
    return adjoints


def _slopes(node: Value, among: Container[Value], as_numbers: bool) -> list[tuple[Value, Number]]:
    """Pair each parent that is among these nodes, once per use, with the slope of that use: a node, or a float."""
    parents = node._operands
    wanted = [i for i, x in enumerate(parents) if isinstance(x, Value) and x in among]
    if not wanted:
        return []
    operation = node._operation
    if node._closure is not None:
        raise TypeError(
            f"{by_hand.describe(node._op)} has a _backward, which yields numbers to backward() alone: give local_grads "
            "instead, make the operation with microgrud.custom_op, or stop the gradient by .detach()"
        )
    if isinstance(operation, str):
        raise by_hand.without_rule(node)
    operands = [x._data if isinstance(x, Value) else x for x in parents] if as_numbers else parents
    slopes = operation.local_derivatives(node._data if as_numbers else node, operands, wanted)
    return [(parents[i], slope) for i, slope in zip(wanted, slopes) if slope is not None]  # type: ignore[misc]


def _add_up(terms: list[Number]) -> Number:
    total = terms[0]
    for term in terms[1:]:
        total = term if _is_constant(total, 0.0) else total if _is_constant(term, 0.0) else total + term
    return total


def _is_constant(x: Number, number: float) -> bool:
    return not isinstance(x, Value) and float(x) == number


def as_value(x: Number) -> Value:
    """Return a Value as it is, and a number as a leaf."""
    return x if isinstance(x, Value) else Value(x)
