"""A folded picture whose boxes open in place by a click: HTML with several pictures, of which a script shows one.

Each picture is laid out in advance, so a saved page needs neither Python nor the network. A state has one box of
another state opened, and all others folded as they were.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from ..common.pages import section
from ..engine import Value
from ..nn.module import Module
from .folding import Group, View, groups_of, view_of
from .framing import STYLE
from .moving import stripped
from .rendering import Drawing, fitting
from .structure import Structure, operations
from .style import ACTIVE
from .value_graph import ValueGraph

#: Maximum number of states, and of nodes in the graphs of all states together: each takes a layout.
_MOST_STATES, _MOST_NODES = 20, 200_000
#: Maximum size of all pictures, in characters; compressed, as a notebook stores them, they are a tenth of it.
_LARGEST = 500_000
#: Maximum number of boxes in a picture, and of parts into which a box opens.
_MOST_BOXES, _MOST_PARTS = 80, 8
#: A box of at most this many nodes opens into all of them, a larger one into the first ones and the rest,
#: which stays closed.
_MOST_WHOLE, _FIRST = 8, 3
#: A layer of at most this many neurons opens into them.
_MOST_NEURONS = 16


@dataclass
class _State:
    """A picture: the group of each node, the state that it was opened from, and the name of the opened box."""

    group_of: dict[Value, Group]
    parent: int
    name: str


#: A function that draws a view, with lines of text below it; the numbers are those of the states that groups open.
Writer = Callable[[View, "list[str]", "dict[Group, int]"], Drawing]


def unfolding(
    graph: ValueGraph, group_of: dict[Value, Group], model: Module | None, write: Writer, lines: list[str]
) -> str:
    """Return HTML in which a click on a folded box opens it.

    Args:
        graph: the graph.
        group_of: the groups of the first picture.
        model: the module whose layers open into neurons.
        write: the function that draws a state.
        lines: lines of text below the first picture.
    """
    opens: dict[Group, int] = {}
    states = [_State(group_of, 0, "all folded")]
    views = []
    most = max(1, min(_MOST_STATES, _MOST_NODES // len(graph.order)))
    for number, state in enumerate(states):  # the list grows in the loop
        views.append(view_of(graph, state.group_of, None, _MOST_BOXES))
        for group in views[-1].groups:
            if group not in opens and len(states) < most and not group.rest:
                opens[group] = len(states)
                states.append(_State(_opened(graph, state.group_of, group, model), number, group.title))
    pictures: list[dict[str, str | int]] = []
    for state, view in zip(states, views):
        svg = fitting(stripped(write(view, [] if pictures else lines, opens).pipe("svg", encoding="utf-8")))
        pictures.append({"name": state.name, "parent": state.parent, "svg": svg})
        if sum(len(str(each["svg"])) for each in pictures) > _LARGEST:
            break
    packed = base64.b64encode(zlib.compress(json.dumps(pictures).encode(), 9)).decode()
    slots = {"picture": pictures[0]["svg"], "packed": packed, "active": ACTIVE, "style": STYLE}
    return section(__package__, "unfolding.html", "microgrud-graph", **slots)


def _opened(graph: ValueGraph, group_of: dict[Value, Group], group: Group, model: Module | None) -> dict[Value, Group]:
    """Return the groups after one of them has been opened: into neurons, into parts, or into nodes."""
    rest = {node: other for node, other in group_of.items() if other is not group}
    if model is not None and group.made_by_model:
        neurons = groups_of(graph, model, "neurons")
        inside = {node: neurons[node] for node in group.nodes}
        if 1 < len(set(inside.values())) <= _MOST_NEURONS:
            return rest | inside
    made = [node for node in group.nodes if not node.is_leaf]
    structure = Structure(graph, made)
    if len(structure.classes) > 1 and len(made) > _FIRST:
        return structure.groups(min(len(structure.classes), _MOST_PARTS), rest)
    nodes = made or group.nodes
    if len(nodes) > _MOST_WHOLE:
        place = (1 + max((each.place[0] for each in rest.values()), default=-1), 0)
        title = f"{len(nodes) - _FIRST:,} more {'leaves' if not made else operations(nodes[_FIRST:]).partition(' ')[2]}"
        others = Group(title, [], place, nodes[_FIRST:], made_by_model=False, rest=True)
        rest |= dict.fromkeys(others.nodes, others)
    return Structure(graph, []).groups(1, rest) if made else rest
