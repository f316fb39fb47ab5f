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

from . import native
from .engine import Value, topological_order


def reaches_outside(outputs: list[Value], inputs: list[Value]) -> bool:
    """Tell whether outputs depend on a Value, other than through the inputs, that is held by more than their graph.

    Args:
        outputs: nodes, to which the caller holds no reference but this list.
        inputs: the nodes of the variables.

    >>> w = Value(3.0)
    >>> x = Value(2.0)
    >>> reaches_outside([w * x], [x]), reaches_outside([Value(3.0) * x], [x])
    (True, False)
    """
    order = topological_order(Value(0.0, outputs))[:-1]
    return bool(_held_outside(order, outputs, inputs))


def _held_in_python(order: list[Value], outputs: list[Value], inputs: list[Value]) -> bool:
    """Tell whether a node that depends on no input is held by more than its graph and these lists."""
    variable = {id(x) for x in inputs}
    uses = dict(Counter(map(id, outputs)))
    fixed: list[Value] = []
    for node in order:
        places = [id(x) for x in node._operands if isinstance(x, Value)]
        for place in places:
            uses[place] = uses.get(place, 0) + 1
        if not variable.isdisjoint(places):
            variable.add(id(node))
        elif id(node) not in variable:
            fixed.append(node)
    if not fixed:
        return False
    # A node that nobody else holds is counted with the others: its references are those of the lists and the loop.
    unheld = [Value(0.0)]
    order += unheld
    fixed += unheld
    del node
    uses[id(unheld.pop())] = 0
    held = [sys.getrefcount(x) - uses.get(id(x), 0) for x in fixed]
    return max(held) > held[-1]


_held_outside: Any = _held_in_python if native.engine is None else native.engine.held_outside
