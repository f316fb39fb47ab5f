"""Values from outside: whether a computation depends on a Value that somebody else holds.

A derivative has to stay connected with every Value of which somebody may ask for the gradient later on: a parameter
that the function closes over, a Value among its arguments, a variable of a transform around it. A Value that the
function made for itself, such as the `Value(0.0)` that a sum begins with, dies with the graph, and nobody can ask.
Reference counts tell the two apart: only the graph refers to the latter. (A Value in a reference cycle counts as held
until the collector has found the cycle.)
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from ..engine import Value, native, topological_order


def reached_outside(outputs: list[Value], inputs: list[Value]) -> Value | None:
    """Return a Value that outputs depend on, other than through the inputs, and that is held by more than their graph.

    Args:
        outputs: nodes, to which the caller holds no reference but this list.
        inputs: the nodes of the variables.

    >>> w = Value(3.0)
    >>> x = Value(2.0)
    >>> reached_outside([w * x], [x]) is w, reached_outside([Value(3.0) * x], [x])
    (True, None)
    """
    order = topological_order(Value(0.0, outputs))
    found: Value | None = _held_outside(order, outputs, 1, inputs, False)
    return found


def keeps_results(ends: list[Value], inputs: list[Value]) -> bool:
    """Return whether a node that depends on an input is held by more than its graph: a function has kept it.

    Args:
        ends: the inputs and results, once for each reference that the caller holds beside this list.
        inputs: the nodes of the variables.

    >>> x, kept = [Value(2.0)], []
    >>> keeps_results([*x, x[0] * 3.0], list(x))
    False
    >>> kept.append(x[0] * 2.0)
    >>> keeps_results([*x, x[0] * 3.0], list(x))
    True
    """
    order = topological_order(Value(0.0, ends))
    return _held_outside(order, ends, 2, inputs, True) is not None


def _held_in_python(
    order: list[Value], holding: list[Value], weight: int, inputs: list[Value], dependent: bool
) -> Value | None:
    """Return the first node that is held by more than its graph and the lists given.

    Args:
        order: the nodes, in topological order; a list that nobody needs any more.
        holding: nodes to which references are known beside those of operands.
        weight: how many references each item of `holding` stands for, that of this list included.
        inputs: the nodes of the variables.
        dependent: whether nodes that depend on an input are meant, or those that do not.
    """
    variable = {id(x) for x in inputs}
    uses = {place: weight * count for place, count in Counter(map(id, holding)).items()}
    for node in inputs:
        uses[id(node)] = uses.get(id(node), 0) + 1
    meant: list[Value] = []
    for node in order:
        places = [id(x) for x in node._operands if isinstance(x, Value)]
        for place in places:
            uses[place] = uses.get(place, 0) + 1
        if not variable.isdisjoint(places):
            variable.add(id(node))
        if (id(node) in variable) == dependent:
            meant.append(node)
    if not meant:
        return None
    # A node that nobody else holds is counted with the others: its references are those of the lists and the loop.
    unheld = [Value(0.0)]
    order += unheld
    meant += unheld
    del node
    uses[id(unheld.pop())] = 0
    held = [sys.getrefcount(x) - uses.get(id(x), 0) for x in meant]
    return next((x for x, count in zip(meant, held) if count > held[-1]), None)


_held_outside: Any = _held_in_python if native.engine is None else native.engine.held_outside
