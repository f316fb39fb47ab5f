"""The backward pass as a sequence of steps, run by the engine itself, one node at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..engine import Value
from .graph import NOTHING, Graph, local_derivatives, times
from .style import short


@dataclass(frozen=True)
class Moment:
    """The numbers of a graph when the backward pass ran: a program may have set others by the time they are shown.

    Attributes:
        data: the number of each node.
        slopes: the local derivatives of each by its operands, as `local_derivatives` gives them.
    """

    data: Mapping[Value, float]
    slopes: Mapping[Value, list[float | None]]

    @classmethod
    def of(cls, graph: Graph) -> Moment:
        """Note the numbers that a graph has now."""
        return cls({x: x.data for x in graph.order}, {x: local_derivatives(x) for x in graph.order})


@dataclass(frozen=True, eq=False)
class Share:
    """What a node hands to one of its operands.

    Attributes:
        parent: the operand.
        slope: the local derivative of the node by it; None where it is not known. A node built by hand, which has a
            rule of its own, has one share for each parent, however often that is an operand.
        amount: the adjoint times the local derivative; of a node built by hand, by how much the total grew.
        before: the grad that the operand had.
        total: the grad of the operand so far, this share included.
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


def frames_of(root: Value, graph: Graph, moment: Moment) -> list[Frame]:
    """Run the backward pass node by node, and note what happens; every grad is as it was before when it is done.

    Args:
        root: the root.
        graph: what it depends on, with a name for every node.
        moment: its numbers.

    Returns:
        a frame for the start, one for each node that passes something on, in the order of the engine, and one for the
        end.
    """
    before = [(node, node.grad) for node in graph.order]
    try:
        return list(_run(root, graph, moment))
    finally:
        for node, grad in before:
            node.grad = grad


def _run(root: Value, graph: Graph, moment: Moment) -> Iterator[Frame]:
    name = graph.names
    reached = {root}
    for node in graph.order:
        node.grad = 0.0
    root.grad = 1.0
    yield Frame(
        None,
        1.0,
        (),
        {root: 1.0},
        f"The backward pass begins at {name[root]}: the derivative of a number by itself is 1. Every node will be "
        "visited after all that were computed from it, so that its grad is complete when it is passed on.",
    )
    for node in reversed(graph.order):
        if node.is_leaf:
            continue
        if node.grad == 0.0:
            words = f"The grad of {name[node]} is 0: it passes nothing on."
            yield Frame(node, 0.0, (), {x: x.grad for x in reached}, words)
            continue
        shares = _shares(node, moment.slopes[node])
        reached.update(share.parent for share in shares)
        yield Frame(node, node.grad, shares, {x: x.grad for x in reached}, _sentence(node, shares, name))
    yield Frame(None, 0.0, (), {x: x.grad for x in reached}, _end(root, graph, reached))


def _shares(node: Value, slopes: list[float | None]) -> tuple[Share, ...]:
    """Let the engine pass on what a node has, and tell what each of its operands got."""
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
    by_hand = dict.fromkeys(x for slope, x in parents if slope is None)  # all that can be told is what they have now
    return *shares, *(Share(x, None, x.grad - totals[x], totals[x], x.grad) for x in by_hand)


def names_of_all(graph: Graph) -> dict[Value, str]:
    """Name every node: by its label, or v1, v2, ... in the order in which they were computed, but for names taken.

    >>> from microgrud.draw.graph import read_graph
    >>> x = Value(2.0, label="v1")
    >>> list(names_of_all(read_graph(x * x * x)).values())
    ['v1', 'v2', 'v3']
    """
    taken = set(graph.names.values())
    free = (name for k in itertools.count(1) if (name := f"v{k}") not in taken)
    return graph.names | {node: next(free) for node in graph.order if node not in graph.names}


# --- in words ---


def _end(root: Value, graph: Graph, reached: set[Value]) -> str:
    """Say what the derivatives by the leaves are."""
    leaves = [x for x in graph.order if x.is_leaf]
    found = [x for x in leaves if x in reached]
    if not found:
        return f"Done. Nothing came to a leaf: the derivatives of {graph.names[root]} by them are 0."
    listed = ", ".join(f"{graph.names[x]}: {short(x.grad, 4)}" for x in found[:8])
    more = f" and {len(found) - 8} more" if len(found) > 8 else ""
    others = "; to the others, whose derivatives are 0, nothing came" if len(found) < len(leaves) else ""
    return f"Done. The derivatives of {graph.names[root]} by the leaves: {listed}{more}{others}."


def _sentence(node: Value, shares: tuple[Share, ...], name: Mapping[Value, str]) -> str:
    """Say what a node passes on, and to whom."""
    adjoint = short(node.grad, 4)
    words = [f"The grad of {name[node]} is complete: {adjoint}."]
    seen: set[Value] = set()
    for share in shares:
        parent, amount, total = name[share.parent], short(share.amount, 4), short(share.total, 4)
        before = short(share.before, 4)
        if share.slope is None:
            if share.before == 0.0:
                words.append(f"Its own rule adds {total} to {parent}.")
            else:  # the difference of two totals may be nan, or have lost its digits
                words.append(f"Its own rule takes the grad of {parent} from {before} to {total}.")
            continue
        if share.slope is NOTHING and not math.isfinite(node.grad):
            words.append(f"Through {node._op} nothing comes to {parent}: the result does not depend on it there.")
            continue
        slope = short(share.slope, 4)
        product = f"{adjoint} \u00d7 {slope} = {amount}"
        gets = f"Through {node._op} the local derivative by {parent} is {slope}: it gets {product}"
        if share.parent in seen:
            words.append(f"{gets} once more, which makes {total}: uses add up.")
        elif share.before != 0.0:
            words.append(f"{gets}, on top of the {before} it had: {total}. Gradients add up.")
        else:
            words.append(f"{gets}.")
        seen.add(share.parent)
    return " ".join(words)
