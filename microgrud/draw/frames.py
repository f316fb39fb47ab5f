"""The backward pass as a sequence of steps, run by the engine itself, one node at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..engine import Value
from .graph import Graph, local_derivatives, read_graph
from .style import short


@dataclass(frozen=True)
class Share:
    """What a node hands to one of its operands.

    Attributes:
        parent: the operand.
        slope: the local derivative of the node by it; None where it is not known (a node built by hand).
        amount: the adjoint times the local derivative.
        total: the grad of the operand so far, this share included.
    """

    parent: Value
    slope: float | None
    amount: float
    total: float


@dataclass(frozen=True)
class Frame:
    """One step of the backward pass.

    Attributes:
        node: the node whose turn it is; None in the first frame, before anything has happened, and in the last.
        adjoint: its grad, which is complete by now: the derivative of the root by it.
        shares: what it hands to its operands, in order.
        grads: the grad of every node that has received anything so far, after the step.
        sentence: what happens, in words.
    """

    node: Value | None
    adjoint: float
    shares: tuple[Share, ...]
    grads: dict[Value, float]
    sentence: str


def frames_of(root: Value, graph: Graph | None = None) -> list[Frame]:
    """Run the backward pass node by node, and note what happens; every grad is as it was before when it is done.

    Args:
        root: the root.
        graph: as read before, with the names of the nodes; read anew by default.

    Returns:
        a frame for the start, one for each node that passes something on, in the order of the engine, and one for the
        end.
    """
    graph = read_graph(root) if graph is None else graph
    before = [(node, node.grad) for node in graph.order]
    try:
        return list(_run(root, graph))
    finally:
        for node, grad in before:
            node.grad = grad


def _run(root: Value, graph: Graph) -> Iterator[Frame]:
    name = Names(graph)
    reached = {root}
    for node in graph.order:
        node.grad = 0.0
    root.grad = 1.0
    yield Frame(
        None,
        1.0,
        (),
        {root: 1.0},
        f"The backward pass begins at {name(root)}: the derivative of a number by itself is 1. Every node will be "
        "visited after all that were computed from it, so that its grad is complete when it is passed on.",
    )
    for node in reversed(graph.order):
        if node.is_leaf:
            continue
        if node.grad == 0.0:
            words = f"The grad of {name(node)} is 0: it passes nothing on."
            yield Frame(node, 0.0, (), {x: x.grad for x in reached}, words)
            continue
        shares = _shares(node)
        reached.update(share.parent for share in shares)
        yield Frame(node, node.grad, shares, {x: x.grad for x in reached}, _sentence(node, shares, name))
    leaves = [x for x in graph.order if x.is_leaf and x in reached]
    listed = ", ".join(f"{name(x)}: {short(x.grad, 4)}" for x in leaves[:8])
    more = f" and {len(leaves) - 8} more" if len(leaves) > 8 else ""
    words = f"Done. The derivatives of {name(root)} by the leaves: {listed}{more}."
    yield Frame(None, 0.0, (), {x: x.grad for x in reached}, words)


def _shares(node: Value) -> tuple[Share, ...]:
    """Let the engine pass on what a node has, and tell what each of its operands got."""
    parents = [(k, x) for k, x in enumerate(node._operands) if isinstance(x, Value)]
    totals = {x: x.grad for _, x in parents}
    slopes, adjoint = local_derivatives(node), node.grad
    node._backward()
    shares = []
    for k, x in parents:
        slope = slopes[k]
        if slope is None:  # by hand: all that can be told is how much there is more
            amount = x.grad - totals[x]
            totals[x] = x.grad
        else:
            amount = adjoint * slope
            totals[x] += amount
        shares.append(Share(x, slope, amount, totals[x]))
    return tuple(shares)


class Names:
    """What nodes are called in a sentence: by their label, or v1, v2, ... in the order in which they were computed."""

    def __init__(self, graph: Graph) -> None:
        unnamed = (node for node in graph.order if node not in graph.names)
        self.names = graph.names | {node: f"v{k}" for k, node in enumerate(unnamed, 1)}

    def __call__(self, node: Value) -> str:
        """Return the name of a node."""
        return self.names[node]


def _sentence(node: Value, shares: tuple[Share, ...], name: Names) -> str:
    """Say what a node passes on, and to whom."""
    adjoint = short(node.grad, 4)
    words = [f"The grad of {name(node)} is complete: {adjoint}."]
    seen: set[Value] = set()
    for share in shares:
        parent, amount, total = name(share.parent), short(share.amount, 4), short(share.total, 4)
        if share.slope is None:
            words.append(f"Its own rule adds {amount} to {parent}.")
            continue
        slope, so_far = short(share.slope, 4), share.total - share.amount
        product = f"{adjoint} \u00d7 {slope} = {amount}"
        gets = f"Through {node._op} the local derivative by {parent} is {slope}: it gets {product}"
        if share.parent in seen:
            words.append(f"{gets} once more, which makes {total}: uses add up.")
        elif so_far != 0.0:
            words.append(f"{gets}, on top of the {short(so_far, 4)} it had: {total}. Gradients add up.")
        else:
            words.append(f"{gets}.")
        seen.add(share.parent)
    return " ".join(words)
