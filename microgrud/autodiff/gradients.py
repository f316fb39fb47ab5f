"""Derivatives of nodes with respect to nodes: numbers, or nodes that can be differentiated again.

`Value.backward` computes numbers, and stores them in the nodes; `backward` starts such a pass from several nodes. The
other functions here apply the same rules and store nothing: `gradient` from outputs to inputs (reverse mode),
`pushforward` from the inputs to the outputs (forward mode). `subgraph.py` has the chain rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, overload

from ..common.numbers import as_float, is_real_scalar
from ..engine import Value
from ..engine.grad_mode import NoGraphError, is_recording
from ..engine.seeding import seeded
from ..typing import Number
from .subgraph import Subgraph


@overload
def gradient(
    output: Value | Sequence[Value], inputs: Value, seeds: Number | Sequence[Number] | None = None
) -> Value: ...
@overload
def gradient(
    output: Value | Sequence[Value], inputs: Iterable[Value], seeds: Number | Sequence[Number] | None = None
) -> list[Value]: ...
def gradient(
    output: Value | Sequence[Value],
    inputs: Value | Iterable[Value],
    seeds: Number | Sequence[Number] | None = None,
) -> Value | list[Value]:
    """Compute the partial derivatives of a node with respect to others, as Values that can be differentiated again.

    For each input x: d output / dx = the sum, over all paths from x to the output, of the product of the local
    derivatives along the path. For several outputs: the sum of seed * d output / dx over the outputs, in one pass.

    Args:
        output: the node to differentiate, or several.
        inputs: one node, or several; leaves or nodes in between.
        seeds: a number or a Value for each output (one, not in a list, for a single output); 1 by default.

    Returns:
        A Value for one input, a list of Values for several; 0 for an input that the output does not depend on.

    Raises:
        TypeError: if an argument is not a Value, or a node in between was built by hand without local gradients: a
            `_backward` yields numbers only.
        ValueError: if there are more or fewer seeds than outputs.
        RuntimeError: inside `no_grad()`, for the result of an operation there.

    >>> x = Value(2.0)
    >>> first = gradient(x**3, x)
    >>> first.data, gradient(first, x).data, gradient(gradient(first, x), x).data
    (12.0, 12.0, 6.0)
    >>> gradient([x**3, 5.0 * x], x, [1.0, 10.0]).data
    62.0
    """
    wanted = [inputs] if isinstance(inputs, Value) or not isinstance(inputs, Iterable) else list(inputs)
    outputs = [output] if isinstance(output, Value) or not isinstance(output, Sequence) else list(output)
    for i, node in enumerate([*outputs, *wanted]):
        if not isinstance(node, Value):
            place = "output" if len(outputs) == 1 else f"output[{i}]"
            where = place if i < len(outputs) else f"inputs[{i - len(outputs)}]"
            raise TypeError(f"gradient: expected a Value for {where}, got {type(node).__name__}")
    if not is_recording() and any(node.is_leaf and all(node is not x for x in wanted) for node in outputs):
        raise NoGraphError(
            "gradient: expected an output with a graph, got the result of operations inside no_grad(), which record "
            "none, or a leaf; compute it outside of no_grad(), or inside enable_grad()"
        )
    if seeds is not None or len(outputs) != 1:
        outputs = [seeded(Value, outputs, _seeds(seeds, len(outputs), "gradient"))]
    # One of several inputs may depend on another one; then the walk has to go on beyond it.
    results = list(map(as_value, Subgraph(outputs, wanted, len(wanted) == 1).pull_back(0, False)))
    return results[0] if isinstance(inputs, Value) else results


def backward(outputs: Value | Sequence[Value], seeds: float | Sequence[float] | None = None) -> None:
    """Add seed * d output / d leaf, summed over the outputs, to the `grad` of every leaf, in one pass.

    One pass over the union of the graphs: a node that several outputs share passes its gradient on once. The nodes in
    between replace their `grad` by the derivative of the sum of seed * output.

    Args:
        outputs: one node, or several.
        seeds: a number for each output (one, not in a list, for a single output); 1 by default.

    Raises:
        TypeError: if an output is not a Value, or a seed is not a number.
        ValueError: if there are more or fewer seeds than outputs.

    Source: `torch.autograd.backward`.

    >>> x = Value(3.0)
    >>> backward([x * x, 5.0 * x], [1.0, 10.0])
    >>> x.grad
    56.0
    """
    nodes = [outputs] if isinstance(outputs, Value) or not isinstance(outputs, Sequence) else list(outputs)
    for i, node in enumerate(nodes):
        if not isinstance(node, Value):
            raise TypeError(f"backward: expected a Value for outputs[{i}], got {type(node).__name__}")
    given = _seeds(seeds, len(nodes), "backward")
    seeded(Value, nodes, [as_float(x, f"backward: seeds[{i}]") for i, x in enumerate(given)]).backward()


def _seeds(seeds: Any, count: int, name: str) -> list[Number]:
    """Return a seed for each output."""
    if seeds is None:
        return [1.0] * count
    given = [seeds] if isinstance(seeds, Value) or is_real_scalar(seeds) else list(seeds)
    if len(given) != count:
        raise ValueError(f"{name}: expected a seed for each output, got {len(given)} for {count} outputs")
    return [x if isinstance(x, Value) else as_float(x, f"{name}: seeds[{i}]") for i, x in enumerate(given)]


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
