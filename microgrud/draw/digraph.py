"""The picture of a graph: boxes for values, circles for operations, and on each edge the local derivative."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from ..common.words import counted
from ..engine import Value
from .folding import Box, Group, View
from .rendering import Drawing, keep_in_order
from .style import (
    BOX_STYLES,
    FAINT,
    PORTS,
    caption,
    escaped,
    grads_of,
    literal,
    plain,
    short,
    spread,
    strongest,
    table,
    tint,
)
from .value_graph import Kind, is_dot, shown_operands, summarise

#: Maximum number of operations named in the box for the nodes that are not drawn.
_MOST_OPERATIONS = 6
_DASHED = {"style": "dashed", "color": FAINT}
_OUTDATED = (
    ".data was set after this graph was computed.",
    "Results and grads belong to the numbers before;",
    "? is a local derivative, which would not.",
)


class GraphWriter:
    """Writes a view of a graph into a drawing."""

    def __init__(
        self, view: View, drawing: Drawing, digits: int, rankdir: str, expand_dot: bool = False, slopes: bool = True
    ) -> None:
        self.view, self.drawing, self.digits, self.slopes = view, drawing, digits, slopes
        self.expand_dot = expand_dot
        self.ports_into_groups = dict(zip(("tailport", "headport"), PORTS[rankdir]))
        self.ids: dict[Box, str] = {}
        #: The id of the box for the nodes that lie too deep, if there are any.
        self.too_deep_id = "beyond" if view.too_deep else ""
        self.used_outside = _used_outside(view)
        #: The grads that a backward pass has computed; the others are drawn as dashes.
        self.grads: Mapping[Value, float] = view.graph.grads
        shown = [*view.drawn, *(node for group in view.groups for node in group.nodes)]
        finite = (abs(self.grads[x]) for x in shown if x in self.grads and math.isfinite(self.grads[x]))
        self.largest = max(finite, default=0.0)
        self.data = view.graph.data
        #: The operations that already have an edge from the nodes that lie too deep: each gets at most one.
        self.joined_to_too_deep: set[str] = set()
        #: True if elements get classes for a script: `box-v3` for the box of a node, `turn-v3` for everything that is
        #: highlighted when the backward pass visits the node.
        self.marked = False
        #: The least width of a number's cell, in points.
        self.width = 0
        #: The nodes of each row of numbers in the box of a group.
        self.rows_of: dict[Group, list[Sequence[Value]]] = {}
        #: The number of the state that opens a group, as a class for a script: `open-3`.
        self.opens: Mapping[Group, int] = {}
        #: Lines of text below the picture.
        self.lines: list[str] = []

    def write(self) -> None:
        """Write boxes, operations and edges into the drawing."""
        view = self.view
        for node in view.drawn:
            self.ids[node] = f"v{len(self.ids)}"
            self._value(node)
        for group in view.groups:
            self.ids[group] = f"g{len(self.ids)}"
            self._group(group)
        self._keep_in_order(view.groups)
        if self.too_deep_id:
            self._draw_too_deep()
        for node in view.drawn:
            if node in view.cut:
                self.drawing.edge(self.too_deep_id, self.ids[node], **_DASHED)
            elif node in view.group_of:  # a root: the box of the neuron or layer that made it shows its operation
                maker = self.ids[view.group_of[node]]
                self.drawing.edge(maker, self.ids[node], **self._turn(maker))
            elif not node.is_leaf:
                self._operation(node)
        for group in view.groups:
            self._edges_into(group)
        if view.left_out:
            left_out = f"not drawn: {counted(view.left_out, 'node')}"
            self.lines = [*summarise(view.graph.order).lines(), left_out, *self.lines]
        if view.graph.outdated:
            self.lines = [*self.lines, *_OUTDATED]
        if self.lines:
            self.drawing.attr(**caption(self.lines))

    # --- values ---

    def _value(self, node: Value) -> None:
        graph, kind = self.view.graph, self.view.graph.kinds[node]
        name = graph.names.get(node, "")
        rows = [_title(escaped(name), kind)] if name or kind in (Kind.ROOT, Kind.INPUT, Kind.PARAMETER) else []
        if node in self.view.cut:
            text = f"{escaped(node._op)}(\u2026), inputs not drawn"
            rows.append(f'<TR><TD COLSPAN="2"><FONT COLOR="{FAINT}">{text}</FONT></TD></TR>')
        rows.append(_row("data", short(self.data[node], self.digits), width=self.width))
        grad = self.grads.get(node)
        text, colour = ("\u2013", "#ffffff") if grad is None else (short(grad, self.digits), tint(grad, self.largest))
        rows.append(_row("grad", text, colour, self.width))
        attributes = dict(BOX_STYLES[kind].attributes)
        attributes.setdefault("style", "filled")
        if self.marked:
            attributes["class"] = f"box-{self.ids[node]} turn-{self.ids[node]}"
        if node in self.view.cut:
            attributes["style"] += ",dashed"
        tooltip = f"{name or kind.value}: data={self.data[node]!r}"
        if not self.marked:
            tooltip += f", grad={self.grads.get(node, 0.0)!r}"
        self.drawing.node(self.ids[node], table(rows), fillcolor="#ffffff", tooltip=literal(tooltip), **attributes)

    # --- operations ---

    def _draw_too_deep(self) -> None:
        """Draw one box for all nodes that lie too deep, with counts of what it holds."""
        counts = summarise(self.view.too_deep)
        kinds = Counter(self.view.graph.kinds[node] for node in self.view.too_deep)
        rows = [f'<TR><TD COLSPAN="2"><FONT COLOR="{FAINT}">not drawn</FONT></TD></TR>']
        figures = [("nodes", counts.nodes), ("depth", counts.depth)]
        figures += [(plural, kinds[kind]) for kind, plural in _LEAVES.items() if kinds[kind]]
        operations = list(counts.operations.items())
        figures += [(symbol or "by hand", count) for symbol, count in operations[:_MOST_OPERATIONS]]
        others = sum(count for _, count in operations[_MOST_OPERATIONS:])
        figures += [("other operations", others)] if others else []
        rows += [_row(escaped(name), f"{count:,}") for name, count in figures]
        look = {"shape": "box3d", "style": "filled,dashed", "fillcolor": "#ffffff", "color": FAINT, "margin": "0.1"}
        self.drawing.node(self.too_deep_id, table(rows), tooltip=f"{counted(counts.nodes, 'node')} not drawn", **look)

    def _operation(self, node: Value) -> None:
        """Draw the circle of the operation that made a node, and the edges into and out of it."""
        id = f"{self.ids[node]}o"
        if self.expand_dot and is_dot(node):
            self._dot(node, id)
        else:
            self._circle(id, node._op or "by hand", node)
            shown, slopes = shown_operands(node), self.view.graph.slopes(node)
            joined: set[Group] = set()
            for k in shown:
                operand = node._operands[k]
                box = self.view.box_of(operand) if isinstance(operand, Value) else None
                if not isinstance(box, Group) or box.made_by_model:
                    self._edge(node, k, id, slopes[k])
                elif box not in joined:
                    joined.add(box)
                    self._edge(node, k, id, None, labelled=False)
            hidden = self._hidden(node, shown, id)
            if hidden:
                self._rest(id, f"{hidden:,} more operands")
        self.drawing.edge(id, self.ids[node], **self._turn(self.ids[node]))

    def _turn(self, id: str) -> dict[str, str]:
        """Return the class of what is highlighted when a box is visited, given by its id."""
        return {"class": f"turn-{id}"} if self.marked else {}

    def _circle(self, id: str, symbol: str, node: Value) -> None:
        size = {"margin": "0.03", "width": "0.35", "height": "0.35"}
        shape = "circle" if len(symbol) <= 2 else "ellipse"
        attributes = {"style": "filled", "fillcolor": "#f3f3f3", **size, **self._turn(self.ids[node])}
        self.drawing.node(id, plain(symbol), shape=shape, **attributes)

    def _dot(self, node: Value, id: str) -> None:
        """Draw a sum of products in parts: a circle for each product, and one for the sum."""
        bias, *factors = node._operands
        width, shown = len(factors) // 2, shown_operands(node)
        self._circle(id, "+", node)
        if isinstance(bias, Value) or bias != 0.0:
            self._edge(node, 0, id, 1.0)
        others = (*factors[width:], *factors[:width])  # the slope of a product is the other factor
        slopes: list[float | None] = [self.data[x] if isinstance(x, Value) else x for x in others]
        if node in self.view.graph.outdated:
            slopes = [None] * len(others)
        pairs = [k - 1 for k in shown if 0 < k <= width]
        for k in pairs:
            product = f"{id}p{k}"
            self._circle(product, "*", node)
            self._edge(node, 1 + k, product, slopes[k])
            self._edge(node, 1 + width + k, product, slopes[width + k])
            self.drawing.edge(product, id, **self._slope(1.0), **self._turn(self.ids[node]))
        if len(pairs) < width:
            self._rest(id, f"{width - len(pairs):,} more products")
            self._hidden(node, shown, f"{id}rest")

    def _rest(self, id: str, text: str) -> None:
        """Draw a text that counts operands in the place of those that are left out."""
        self.drawing.node(f"{id}rest", text, shape="plaintext", fontcolor=FAINT)
        self.drawing.edge(f"{id}rest", id, **_DASHED)

    def _hidden(self, node: Value, shown: Collection[int], id: str) -> int:
        """Draw an edge from each group that holds hidden operands only, and count the hidden operands in no group."""
        operands = node._operands
        joined = {self.view.box_of(x) for k in shown if isinstance(x := operands[k], Value)}
        hidden = 0
        for k in sorted({*range(len(operands))}.difference(shown)):
            operand = operands[k]
            box = self.view.box_of(operand) if isinstance(operand, Value) else None
            if box is None or box is operand:
                hidden += 1
            elif box not in joined:
                joined.add(box)
                self._edge(node, k, id, None, labelled=False)
        return hidden

    def _edge(self, node: Value, k: int, id: str, slope: float | None, labelled: bool = True) -> None:
        """Draw an edge from the operand k of a node to the circle with this id."""
        operand = node._operands[k]
        if isinstance(operand, Value):
            tail = self.ids.get(self.view.box_of(operand))
            if tail is not None:
                self.drawing.edge(tail, id, **(self._slope(slope) if labelled else {}), **self._turn(self.ids[node]))
            elif id not in self.joined_to_too_deep:
                self.joined_to_too_deep.add(id)
                self.drawing.edge(self.too_deep_id, id, **_DASHED)
            return
        constant, text, tooltip = f"{id}c{k}", short(operand, self.digits), f"constant {operand!r}"
        size = {"margin": "0.02", "width": "0.1", "height": "0.2"}
        self.drawing.node(constant, text, shape="plaintext", fontcolor=FAINT, tooltip=tooltip, **size)
        self.drawing.edge(constant, id, **_DASHED)

    def _slope(self, slope: float | None) -> dict[str, str]:
        if not self.slopes:
            return {}
        text = "?" if slope is None else short(slope, self.digits)
        tooltip = f"local derivative {slope!r}"
        return {"label": f" {text} ", "tooltip": tooltip, "labeltooltip": tooltip}

    # --- groups ---

    def _group(self, group: Group) -> None:
        made = [x for x in group.nodes if not x.is_leaf]
        outputs = [x for x in made if x in self.used_outside] or group.nodes[-1:]
        colour = BOX_STYLES[Kind.PARAMETER if group.made_by_model else Kind.RESULT].title
        rows = [f'<TR><TD COLSPAN="4" BGCOLOR="{colour}"><B>{escaped(group.title)}</B></TD></TR>']
        rows += [f'<TR><TD COLSPAN="4">{escaped(line)}</TD></TR>' for line in group.lines]
        if group.made_by_model:
            rows += self._ranges("out" if len(outputs) == 1 else "outputs", outputs)
        else:
            leaves = [x for x in group.nodes if x.is_leaf]
            for name, nodes in (("out" if len(outputs) == 1 else "outputs", outputs), (_count(leaves), leaves)):
                if nodes and (made or nodes is leaves):
                    self.rows_of.setdefault(group, []).append(nodes)
                    rows.append("".join(self._ranges(name, nodes)).replace("</TR><TR>", ""))
        look = {"shape": "box3d", "style": "filled", "fillcolor": "#ffffff"}
        if group in self.opens:
            look["class"] = f"open-{self.opens[group]}"
        if self.marked:
            look["class"] = f"turn-{self.ids[group]} rows-{len(self.rows_of[group])}"
        tooltip = literal(f"{group.title}: {counted(len(group.nodes), 'node')}")
        self.drawing.node(self.ids[group], table(rows), tooltip=tooltip, **look)

    def _ranges(self, name: str, nodes: Sequence[Value]) -> list[str]:
        """Return a row with the range of the data of nodes, and one with that of their grads."""
        data = [self.data[x] for x in nodes]
        grads = grads_of(nodes, self.grads)
        text = spread(grads, self.digits) if grads else "\u2013"
        width = 2 * self.width + 12 if self.width else 0
        return [
            _row(name, spread(data, self.digits), width=width),
            _row("grad" if len(data) == 1 else "grads", text, tint(strongest(grads), self.largest), width),
        ]

    def _keep_in_order(self, groups: Sequence[Group]) -> None:
        """Put the neurons of a layer into one rank in their order, and likewise the leaves that they use.

        Without this, Graphviz chooses the order in which the fewest edges cross. Edges between layers are straight,
        since bent ones overlap and run around the first and the last neuron. Ranks are further apart for wider layers,
        and edges lie below the boxes that they cross.
        """
        columns: list[list[str]] = []
        placed: set[Value] = set()
        widest = 0
        for _, layer in itertools.groupby(sorted(groups, key=lambda group: group.place), lambda group: group.place[0]):
            neurons = list(layer)
            inside = set(neurons[0].nodes)
            operands = dict.fromkeys(x for node in neurons[0].nodes for x in node._operands if isinstance(x, Value))
            leaves = [x for x in operands if x.is_leaf and x in self.ids and x not in inside and x not in placed]
            placed.update(leaves)
            columns += [[self.ids[x] for x in leaves], [self.ids[neuron] for neuron in neurons]]
            widest = max(widest, len(neurons))
        for column in columns:
            keep_in_order(self.drawing, column)
        if widest > 1:
            self.drawing.attr(splines="line", outputorder="edgesfirst", ranksep=f"{min(0.3 + 0.05 * widest, 0.8):.2f}")

    def _edges_into(self, group: Group) -> None:
        """Draw one edge from each box to a group, however many nodes of the group use the box."""
        id = self.ids[group]
        same_layer = {self.ids[other] for other in self.view.groups if other.place[0] == group.place[0]}
        tails: Counter[str] = Counter()
        for x, count in self.view.inputs_of(group).items():
            tails[self.ids.get(self.view.box_of(x), self.too_deep_id)] += count
        for tail, count in tails.items():
            times = "once" if count == 1 else f"{count} times"
            # A layer whose outputs are fed back into it keeps the order of its neurons.
            placing = {"constraint": "false"} if tail in same_layer else self.ports_into_groups
            look = _DASHED if tail == self.too_deep_id else {}
            self.drawing.edge(tail, id, tooltip=f"used {times}", **placing, **look, **self._turn(id))
        hidden = self.view.count_hidden(group)
        if hidden:
            self._rest(id, f"{hidden:,} more operands")


def _count(leaves: Sequence[Value]) -> str:
    return counted(len(leaves), "leaf")


#: The words for leaves in the box that counts them.
_LEAVES = {Kind.PARAMETER: "parameters", Kind.INPUT: "inputs", Kind.LEAF: "leaves"}


def _used_outside(view: View) -> set[Value]:
    """Return the roots, and the nodes that a node in another group, or in no group, uses."""
    used = set(view.graph.roots)
    for node in view.graph.order:
        group = view.group_of.get(node)
        used.update(x for x in node._operands if isinstance(x, Value) and view.group_of.get(x) is not group)
    return used


def _title(name: str, kind: Kind) -> str:
    word = "" if kind in (Kind.RESULT, Kind.LEAF) and name else kind.value
    parts = [f"<B>{name}</B>"] if name else []
    parts += [f'<FONT POINT-SIZE="10" COLOR="{FAINT}">{word}</FONT>'] if word else []
    return f'<TR><TD COLSPAN="2" BGCOLOR="{BOX_STYLES[kind].title}">{" ".join(parts)}</TD></TR>'


def _row(name: str, text: str, colour: str = "", width: int = 0) -> str:
    # Cells of a fixed width are those that a script recolours: they need a background even while it is white.
    background = f' BGCOLOR="{colour}"' if colour and (width or colour != "#ffffff") else ""
    least = f' WIDTH="{width}"' if width else ""
    return (
        f'<TR><TD ALIGN="LEFT"><FONT POINT-SIZE="10" COLOR="{FAINT}">{name}</FONT></TD>'
        f'<TD ALIGN="RIGHT"{least}{background}>{escaped(text)}</TD></TR>'
    )
