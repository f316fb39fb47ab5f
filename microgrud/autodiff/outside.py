"""Values from outside: does a computation depend on a Value that something other than its graph refers to?

A derivative has to stay connected with every Value whose gradient may be needed later: a parameter that the function
closes over, a Value among its arguments, a variable of a transform around it. A Value that the function makes for
itself, such as the `Value(0.0)` that a sum begins with, dies with the graph, and nothing can read its gradient.
Reference counts distinguish the two: only the graph refers to a Value of the second kind. (A Value in a reference cycle
counts as held until the garbage collector has found the cycle.)
"""

from __future__ import annotations

import sys
from collections import Counter

from ..engine import Value, native, topological_order


def keeps_results(ends: list[Value], inputs: list[Value]) -> bool:
    """Return whether more than its graph refers to a node that depends on an input: a function has kept it.

    Args:
        ends: the inputs and results, once for each reference that the caller holds in addition to this list.
        inputs: the nodes of the variables.

    >>> x, kept = [Value(2.0)], []
    >>> keeps_results([*x, x[0] * 3.0], list(x))
    False
    >>> kept.append(x[0] * 2.0)
    >>> keeps_results([*x, x[0] * 3.0], list(x))
    True
    """
    order = topological_order(Value(0.0, tuple(ends)))  # a tuple is read in C
    return bool(held_outside(order, ends, 2, inputs, True))


def held_outside(
    order: list[Value], holding: list[Value], weight: int, inputs: list[Value], dependent: bool
) -> list[Value]:
    """Return the nodes that more than their graph and the given lists refer to, in order.

    Args:
        order: the nodes, in topological order; the list is changed.
        holding: nodes with known references in addition to those of operands.
        weight: the number of references that each item of `holding` stands for, including that of this list.
        inputs: the nodes of the variables.
        dependent: True to search the nodes that depend on an input, False to search the others.
    """
    variable = {id(x) for x in inputs}
    uses = {place: weight * count for place, count in Counter(map(id, holding)).items()}
    for node in inputs:
        uses[id(node)] = uses.get(id(node), 0) + 1
    searched: list[Value] = []
    for node in order:
        places = [id(x) for x in node._operands if isinstance(x, Value)]
        for place in places:
            uses[place] = uses.get(place, 0) + 1
        if not variable.isdisjoint(places):
            variable.add(id(node))
        if (id(node) in variable) == dependent:
            searched.append(node)
    if not searched:
        return []
    # A node without other references is counted too: it shows how many references the lists and the loop hold.
    unheld = [Value(0.0)]
    order += unheld
    searched += unheld
    del node
    uses[id(unheld.pop())] = 0
    held = [sys.getrefcount(x) - uses.get(id(x), 0) for x in searched]
    return [x for x, count in zip(searched, held) if count > held[-1]]


if native.engine is not None:
    held_outside = native.engine.held_outside
