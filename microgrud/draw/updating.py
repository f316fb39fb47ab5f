"""The step of gradient descent that follows a backward pass, as the last step of the player."""

from __future__ import annotations

from collections.abc import Iterable

from ..engine import Value
from .frames import Frame
from .style import short
from .value_graph import ValueGraph

#: Maximum number of parameters whose update is written out: those with the steepest slopes.
_MOST_WRITTEN = 4


def update_frame(graph: ValueGraph, parameters: Iterable[Value], lr: float, last: Frame) -> Frame:
    """Return the frame of an update: each parameter goes down its gradient, `data - lr * grad`, as by `SGD`.

    Args:
        graph: the graph, with a name for every node.
        parameters: the parameters; those with no grad keep their numbers.
        lr: the learning rate.
        last: the frame with all gradients.
    """
    grads = {p: last.grads[p] for p in parameters if p in last.grads}
    data = {p: graph.data[p] - lr * grad for p, grad in grads.items()}
    if not grads:
        return Frame(None, 0.0, (), last.grads, "The update changes nothing: no parameter received a gradient.", data)
    rate = short(lr, 4)
    steepest = sorted(grads, key=lambda p: -abs(grads[p])) if len(grads) > _MOST_WRITTEN else grads
    words = [
        f"{graph.names[p]} = {short(graph.data[p], 4)} \u2212 {rate} \u00d7 {_bracketed(grads[p])} = "
        f"{short(data[p], 4)}"
        for p in list(steepest)[:_MOST_WRITTEN]
    ]
    more = f", and {len(data) - _MOST_WRITTEN:,} more" if len(data) > _MOST_WRITTEN else ""
    drop = lr * sum(grad * grad for grad in grads.values())
    sentence = (
        f"The update: each parameter goes down its gradient, old value \u2212 rate \u00d7 grad = new value. "
        f"{'; '.join(words)}{more}. If the slopes stayed as they are, {graph.names[graph.roots[0]]} would fall by rate "
        f"\u00d7 the sum of the squared gradients, {short(drop, 4)}; the other numbers are those before the update."
    )
    return Frame(None, 0.0, (), last.grads, sentence, data)


def _bracketed(number: float) -> str:
    text = short(number, 4)
    return f"({text})" if text.startswith("\u2212") else text
