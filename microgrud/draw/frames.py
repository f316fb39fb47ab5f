"""The backward pass as a sequence of steps, run by the engine itself, one node at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..engine import Value
from ..engine.vectors import restored
from .style import short
from .value_graph import NOTHING, ValueGraph, times


@dataclass(frozen=True, eq=False)
class Share:
    """The part of a gradient that a node passes to one of its operands.

    Attributes:
        parent: the operand.
        slope: the local derivative of the node with respect to the operand; None if it is unknown, since the node was
            built by hand with a rule of its own. Such a node has one share for each parent, however often the parent is
            an operand.
        amount: the adjoint times the local derivative; if the derivative is unknown, the growth of the total.
        before: the grad of the operand before this share.
        total: the grad of the operand after this share.
    """

    parent: Value
    slope: float | None
    amount: float
    before: float
    total: float


@dataclass(frozen=True, eq=False)
class Frame:
    """One step of the backward pass.

    Attributes:
        node: the node that passes its gradient on; None in the first frame, before the pass, and in the last ones.
        adjoint: the complete grad of the node: the derivative of the root with respect to it.
        shares: the shares that it passes to its operands, in order.
        grads: the grads after the step, of every node that has received a share so far.
        sentence: a description of the step.
        data: the new numbers of parameters, in an update.
        nodes: the nodes that pass their gradients on in this step, one after the other, if a box stands for them.
    """

    node: Value | None
    adjoint: float
    shares: tuple[Share, ...]
    grads: dict[Value, float]
    sentence: str
    data: dict[Value, float] = field(default_factory=dict)
    nodes: tuple[Value, ...] = ()


def frames_of(root: Value, graph: ValueGraph) -> list[Frame]:
    """Run the backward pass node by node and record each step; afterwards every grad has its former value.

    Args:
        root: the root.
        graph: the graph of the root, with a name for every node.

    Returns:
        a frame for the start, one for each operation, in the order of the engine, and one for the end.
    """
    with restored(graph.order):
        return list(_run(root, graph))


def _run(root: Value, graph: ValueGraph) -> Iterator[Frame]:
    name = graph.names
    reached = {root}
    for node in graph.order:
        node.grad = 0.0
    root.grad = 1.0
    yield first_frame(root, name)
    for node in reversed(graph.order):
        if not node.is_leaf:
            shares = () if node.grad == 0.0 else _shares(node, graph.slopes(node))
            reached.update(share.parent for share in shares)
            yield Frame(node, node.grad, shares, {x: x.grad for x in reached}, _sentence(node, shares, name))
    yield last_frame(root, graph, {x: x.grad for x in reached})


def _shares(node: Value, slopes: list[float | None]) -> tuple[Share, ...]:
    """Let the engine run the backward rule of a node, and return the share that each operand received."""
    parents = [(slopes[k], x) for k, x in enumerate(node._operands) if isinstance(x, Value)]
    totals = {x: x.grad for _, x in parents}
    adjoint = node.grad
    node._backward()
    shares = []
    for slope, x in parents:
        before = totals[x]
        if slope is not None:
            amount = times(adjoint, slope)
            totals[x] += amount
            shares.append(Share(x, slope, amount, before, totals[x]))
    unknown = dict.fromkeys(x for slope, x in parents if slope is None)  # only the growth of their grads is known
    return *shares, *(Share(x, None, x.grad - totals[x], totals[x], x.grad) for x in unknown)


def names_of_all(graph: ValueGraph) -> dict[Value, str]:
    """Name every node: by its label, or else v1, v2, ... in topological order, without the names in use.

    >>> from microgrud.draw.value_graph import read_graph
    >>> x = Value(2.0, label="v1")
    >>> list(names_of_all(read_graph(x * x * x)).values())
    ['v1', 'v2', 'v3']
    """
    taken = set(graph.names.values())
    free = (name for k in itertools.count(1) if (name := f"v{k}") not in taken)
    return graph.names | {node: next(free) for node in graph.order if node not in graph.names}


# --- in words ---


def first_frame(root: Value, name: Mapping[Value, str]) -> Frame:
    """Return the frame before the pass."""
    words = (
        f"The backward pass begins at {name[root]}: the derivative of a number with respect to itself is 1. Every node "
        "is visited after all nodes that were computed from it, so its grad is complete when it is passed on."
    )
    return Frame(None, 1.0, (), {root: 1.0}, words)


def last_frame(root: Value, graph: ValueGraph, grads: dict[Value, float]) -> Frame:
    """Return the frame after the pass: its sentence has the derivatives with respect to the leaves."""
    leaves = [x for x in graph.order if x.is_leaf]
    found = [x for x in leaves if x in grads]
    if not found:
        words = f"Done. No leaf received anything: the derivatives of {graph.names[root]} with respect to them are 0."
        return Frame(None, 0.0, (), grads, words)
    listed = ", ".join(f"{graph.names[x]}: {short(grads[x], 4)}" for x in found[:8])
    more = f" and {len(found) - 8} more" if len(found) > 8 else ""
    others = "; the other leaves received nothing, so their derivatives are 0" if len(found) < len(leaves) else ""
    words = f"Done. The derivatives of {graph.names[root]} with respect to the leaves: {listed}{more}{others}."
    return Frame(None, 0.0, (), grads, words)


def _sentence(node: Value, shares: tuple[Share, ...], name: Mapping[Value, str]) -> str:
    """Return the sentence of a step: what the node passes on, and to which operands."""
    if node.grad == 0.0:
        return f"The grad of {name[node]} is 0: it passes nothing on."
    adjoint = short(node.grad, 4)
    words = [f"The grad of {name[node]} is complete: {adjoint}."]
    seen: set[Value] = set()
    for share in shares:
        parent = name[share.parent]
        amount, before, total = (short(x, 4) for x in (share.amount, share.before, share.total))
        if share.slope is None:
            if share.before == 0.0:
                words.append(f"Its own rule adds {total} to {parent}.")
            else:  # the difference of the two totals may be nan or inexact
                words.append(f"Its own rule changes the grad of {parent} from {before} to {total}.")
            continue
        if share.slope is NOTHING and not math.isfinite(node.grad):
            words.append(f"{parent} gets nothing through {node._op}: the result does not depend on it here.")
            continue
        slope = short(share.slope, 4)
        product = f"{adjoint} \u00d7 {slope} = {amount}"
        gets = f"The local derivative of {node._op} with respect to {parent} is {slope}: {parent} gets {product}"
        if share.parent in seen:
            words.append(f"{gets} once more, in total {total}: the shares of all uses add up.")
        elif share.before != 0.0:
            words.append(f"{gets}, in addition to its {before}: {total}. Gradients add up.")
        else:
            words.append(f"{gets}.")
        seen.add(share.parent)
    return " ".join(words)
