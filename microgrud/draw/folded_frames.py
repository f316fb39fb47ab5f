"""The backward pass over a folded graph: one step for each box."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..common.words import counted
from ..engine import Value
from ..engine.vectors import restored
from .frames import Frame, first_frame, last_frame
from .structure import operations
from .style import spread
from .value_graph import ValueGraph


def folded_frames(root: Value, graph: ValueGraph, parts: Sequence[Sequence[Value]]) -> list[Frame]:
    """Run the backward pass part by part and record each step; afterwards every grad has its former value.

    The engine visits the nodes in another order, in which sums may differ in their last bits: a grad that is complete
    is the engine's own.

    Args:
        root: the root.
        graph: the graph of the root, with a name for every node.
        parts: the nodes that operations made, cut into parts, in topological order.
    """
    with restored(graph.order):
        _clear(root, graph)
        root.backward()
        exact = {x: x.grad for x in graph.order}
    with restored(graph.order):
        _clear(root, graph)
        return list(_run(root, graph, parts, exact))


def _clear(root: Value, graph: ValueGraph) -> None:
    for node in graph.order:
        node.grad = 0.0


def _run(
    root: Value, graph: ValueGraph, parts: Sequence[Sequence[Value]], exact: dict[Value, float]
) -> Iterator[Frame]:
    users = Counter(x for node in graph.order for x in node._operands if isinstance(x, Value))
    reached = {root}
    root.grad = 1.0
    yield first_frame(root, graph.names)
    for part in reversed(parts):
        complete = []
        for node in reversed(part):
            if node.grad != 0.0:
                reached.update(x for x in node._operands if isinstance(x, Value))
                node._backward()
            for x in node._operands:
                if isinstance(x, Value):
                    users[x] -= 1
                    if not users[x] and x in reached and x.is_leaf:
                        complete.append(x)
        grads = {x: x.grad if users[x] else exact[x] for x in reached}
        only = part[0] if len(part) == 1 else None
        sentence = _sentence(graph, part, complete, exact)
        yield Frame(only, 0.0 if only is None else exact[only], (), grads, sentence, nodes=tuple(part))
    yield last_frame(root, graph, {x: exact[x] for x in reached})


def _sentence(graph: ValueGraph, part: Sequence[Value], complete: Sequence[Value], exact: dict[Value, float]) -> str:
    """Return the sentence of a step: which operations pass their gradients on, and which leaves have theirs."""
    passing = [exact[x] for x in part if exact[x] != 0.0]
    if not passing:
        return f"The grads of {operations(part)} are 0: they pass nothing on."
    who = "The node passes its gradient" if len(part) == 1 else f"{len(part):,} nodes pass their gradients"
    words = f"{operations(part)}: {who} on, each times its local derivatives, the last node first."
    if not complete:
        return words
    have = "has its gradient" if len(complete) == 1 else "have their gradients"
    named = graph.names[complete[0]] if len(complete) == 1 else counted(len(complete), "leaf")
    return f"{words} {named} now {have}: {spread([exact[x] for x in complete], 4)}."
