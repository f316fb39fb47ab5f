"""The picture of a graph: boxes for values, circles for operations, and on each edge the local derivative."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Collection, Sequence

from ..engine import Value
from .folding import Group, View
from .graph import Kind, local_derivatives, shown_operands, summarise
from .rendering import Drawing
from .style import ACTIVE, FAINT, INK, LOOKS, escaped, literal, short, tint

_FONT = "Helvetica"
#: On which sides edges leave a box and come to one, by where the graph grows to.
_PORTS = {"LR": ("e", "w"), "RL": ("w", "e"), "TB": ("s", "n"), "BT": ("n", "s")}


class Picture:
    """Writes a view of a graph into a drawing."""

    def __init__(
        self,
        view: View,
        drawing: Drawing,
        digits: int,
        expand: Collection[str] = (),
        slopes: bool = True,
        rankdir: str = "LR",
    ) -> None:
        self.view, self.drawing, self.digits, self.slopes = view, drawing, digits, slopes
        self.expand = frozenset(expand)
        #: Of the edges into groups.
        self.into_groups = dict(zip(("tailport", "headport"), _PORTS[rankdir]))
        self.ids: dict[Value | Group, str] = {}
        shown = [*view.drawn, *view.group_of]
        #: The grads that are known; one that is not is drawn as a dash.
        self.grads = {x: x.grad for x in shown if view.graph.shows_grad(x)}
        self.largest = max((abs(g) for g in self.grads.values() if math.isfinite(g)), default=0.0)
        #: The node whose turn it is in the backward pass, and the least width of a number's cell, in points.
        self.active: Value | None = None
        self.width = 0
        #: The node that a page scrolls to: its class in SVG is "looked-at".
        self.looked_at: Value | None = None

    def write(self) -> None:
        """Write all of it."""
        view = self.view
        for node in view.drawn:
            self.ids[node] = f"v{len(self.ids)}"
            self._value(node)
        for group in view.groups:
            self.ids[group] = f"g{len(self.ids)}"
            self._group(group)
        self._keep_in_order(view.groups)
        for node in view.drawn:
            if not node.is_leaf and node not in view.cut:
                self._operation(node)
        for group in view.groups:
            self._edges_into(group)
        if view.left_out:
            lines = [*summarise(view.graph.order).lines(), f"not drawn: {view.left_out:,} nodes"]
            label = "".join(f'{escaped_line}<BR ALIGN="LEFT"/>' for escaped_line in map(_plain, lines))
            self.drawing.attr(label=f"<{label}>", labeljust="l", fontname=_FONT, fontsize="11", fontcolor=INK)

    # --- values ---

    def _value(self, node: Value) -> None:
        graph, kind = self.view.graph, self.view.graph.kinds[node]
        name = graph.names.get(node, "")
        rows = [_title(escaped(name), kind)] if name or kind in (Kind.ROOT, Kind.INPUT, Kind.PARAMETER) else []
        if node in self.view.cut:
            rows.append(
                f'<TR><TD COLSPAN="2"><FONT COLOR="{FAINT}">{escaped(node._op)} of what is not drawn</FONT></TD></TR>'
            )
        rows += [_row("data", short(node.data, self.digits), width=self.width), self._grad_row(node)]
        attributes = dict(LOOKS[kind].attributes)
        attributes.setdefault("style", "filled")
        if node is self.active:
            attributes |= {"penwidth": "3.5", "color": ACTIVE}
        if node is self.looked_at:
            attributes["class"] = "looked-at"
        if node in self.view.cut:
            attributes["style"] += ",dashed"
        tooltip = f"{name or kind.value}: data={node.data!r}, grad={node.grad!r}"
        self.drawing.node(self.ids[node], _table(rows), fillcolor="#ffffff", tooltip=literal(tooltip), **attributes)

    def _grad_row(self, node: Value) -> str:
        grad = self.grads.get(node)
        if grad is None:
            return _row("grad", "\u2013", width=self.width)
        return _row("grad", short(grad, self.digits), tint(grad, self.largest), self.width)

    def _constant(self, id: str, number: float) -> None:
        size = {"margin": "0.02", "width": "0.1", "height": "0.2"}
        text, tooltip = short(number, self.digits), f"constant {number!r}"
        self.drawing.node(id, text, shape="plaintext", fontcolor=FAINT, tooltip=tooltip, **size)

    # --- operations ---

    def _operation(self, node: Value) -> None:
        """Draw the circle of the operation that made a node, and the edges into and out of it."""
        id = f"{self.ids[node]}o"
        if node._op in self.expand and getattr(node._operation, "name", "") == "dot":
            self._dot(node, id)
        else:
            self._circle(id, node._op or "by hand", node)
            self._operands(node, id)
        self.drawing.edge(id, self.ids[node], **self._emphasis(node))

    def _emphasis(self, node: Value) -> dict[str, str]:
        return {"penwidth": "2.5", "color": ACTIVE} if node is self.active else {}

    def _circle(self, id: str, symbol: str, node: Value) -> None:
        size = {"margin": "0.03", "width": "0.35", "height": "0.35"}
        shape = "circle" if len(symbol) <= 2 else "ellipse"
        attributes = {"style": "filled", "fillcolor": "#f3f3f3", **size, **self._emphasis(node)}
        self.drawing.node(id, literal(symbol), shape=shape, **attributes)

    def _operands(self, node: Value, id: str) -> None:
        operands, slopes, shown = node._operands, local_derivatives(node), shown_operands(node)
        for k in shown:
            self._edge(operands[k], id, k, slopes[k], node)
        if len(shown) < len(operands):
            rest = f"{id}rest"
            self.drawing.node(rest, f"{len(operands) - len(shown):,} more operands", shape="plaintext", fontcolor=FAINT)
            self.drawing.edge(rest, id, style="dashed", color=FAINT)

    def _dot(self, node: Value, id: str) -> None:
        """Draw a sum of products as what it is: a circle for each product, and one for the sum."""
        bias, *factors = node._operands
        width = len(factors) // 2
        self._circle(id, "+", node)
        if isinstance(bias, Value) or bias != 0.0:
            self._edge(bias, id, 0, 1.0, node)
        numbers = [x.data if isinstance(x, Value) else x for x in factors]
        for k in range(width):
            product = f"{id}p{k}"
            self._circle(product, "*", node)
            self._edge(factors[k], product, 1 + k, numbers[width + k], node)
            self._edge(factors[width + k], product, 1 + width + k, numbers[k], node)
            self.drawing.edge(product, id, **self._slope(1.0), **self._emphasis(node))

    def _edge(self, operand: Value | float, id: str, k: int, slope: float | None, node: Value) -> None:
        if isinstance(operand, Value):
            tail = self.view.group_of.get(operand, operand)
            if tail in self.ids:
                self.drawing.edge(self.ids[tail], id, **self._slope(slope), **self._emphasis(node))
            return
        constant = f"{id}c{k}"
        self._constant(constant, operand)
        self.drawing.edge(constant, id, color=FAINT, style="dashed")

    def _slope(self, slope: float | None) -> dict[str, str]:
        if not self.slopes:
            return {}
        text = "?" if slope is None else short(slope, self.digits)
        return {
            "label": f" {text} ",
            "tooltip": f"local derivative {slope!r}",
            "labeltooltip": f"local derivative {slope!r}",
        }

    # --- groups ---

    def _group(self, group: Group) -> None:
        rows = [f'<TR><TD COLSPAN="2" BGCOLOR="{LOOKS[Kind.PARAMETER].title}"><B>{escaped(group.title)}</B></TD></TR>']
        rows += [f'<TR><TD COLSPAN="2">{escaped(line)}</TD></TR>' for line in group.lines]
        outputs = self._outputs(group)
        data = [x.data for x in outputs]
        rows.append(_row("out" if len(data) == 1 else "outputs", _range(data, self.digits)))
        grads = [self.grads[x] for x in outputs if x in self.grads]
        strongest = max(grads, key=abs, default=0.0)
        text = _range(grads, self.digits) if grads else "\u2013"
        rows.append(_row("grad" if len(data) == 1 else "grads", text, tint(strongest, self.largest)))
        self.drawing.node(
            self.ids[group],
            _table(rows),
            shape="box3d",
            style="filled",
            fillcolor="#ffffff",
            tooltip=literal(f"{group.title}: {len(group.nodes)} nodes"),
        )

    def _keep_in_order(self, groups: Sequence[Group]) -> None:
        """Put the neurons of a layer, and what they were given, side by side, the first one first.

        Graphviz alone takes the order in which the fewest edges cross. Edges from all neurons to all of the next layer
        are straight: bent, they lie over each other, and go around the first and the last; they have the more room the
        more there are, and lie under the boxes that they cross.
        """
        columns: list[list[str]] = []
        placed: set[Value] = set()
        widest = 0
        for _, layer in itertools.groupby(sorted(groups, key=lambda group: group.place), lambda group: group.place[0]):
            neurons = list(layer)
            inside = set(neurons[0].nodes)
            operands = dict.fromkeys(x for node in neurons[0].nodes for x in node._operands if isinstance(x, Value))
            given = [x for x in operands if x.is_leaf and x in self.ids and x not in inside and x not in placed]
            placed.update(given)
            columns += [[self.ids[x] for x in given], [self.ids[neuron] for neuron in neurons]]
            widest = max(widest, len(neurons))
        for column in columns:
            if len(column) > 1:
                with self.drawing.subgraph() as rank:
                    rank.attr(rank="same")
                    for first, second in itertools.pairwise(column):
                        rank.edge(first, second, style="invis")
        if widest > 1:
            self.drawing.attr(splines="line", outputorder="edgesfirst", ranksep=f"{min(0.3 + 0.05 * widest, 0.8):.2f}")

    def _outputs(self, group: Group) -> list[Value]:
        """Return the nodes of a group that something outside of it was computed from, or that are roots."""
        inside = set(group.nodes)
        used = {
            x for node in self.view.graph.order if node not in inside for x in node._operands if isinstance(x, Value)
        }
        found = [x for x in group.nodes if not x.is_leaf and (x in used or x in self.view.graph.roots)]
        return found or group.nodes[-1:]

    def _edges_into(self, group: Group) -> None:
        """Draw one edge from each box to a group, however many nodes in it use what the box stands for."""
        inside = set(group.nodes)
        beside = {self.ids[other] for other in self.view.groups if other.place[0] == group.place[0]}
        tails: Counter[str] = Counter()
        for node in group.nodes:
            for operand in node._operands:
                if isinstance(operand, Value) and operand not in inside:
                    tail = self.view.group_of.get(operand, operand)
                    if tail in self.ids:
                        tails[self.ids[tail]] += 1
        for id, count in tails.items():
            times = "once" if count == 1 else f"{count} times"
            # A layer that is fed with what it gave before keeps its order all the same.
            placing = {"constraint": "false"} if id in beside else self.into_groups
            self.drawing.edge(id, self.ids[group], tooltip=f"used {times}", **placing)


def _table(rows: list[str]) -> str:
    body = "".join(rows)
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3">{body}</TABLE>>'


def _title(name: str, kind: Kind) -> str:
    word = "" if kind in (Kind.RESULT, Kind.LEAF) and name else kind.value
    parts = [f"<B>{name}</B>"] if name else []
    parts += [f'<FONT POINT-SIZE="10" COLOR="{FAINT}">{word}</FONT>'] if word else []
    return f'<TR><TD COLSPAN="2" BGCOLOR="{LOOKS[kind].title}">{" ".join(parts)}</TD></TR>'


def _row(name: str, text: str, colour: str = "", width: int = 0) -> str:
    background = f' BGCOLOR="{colour}"' if colour and colour != "#ffffff" else ""
    least = f' WIDTH="{width}"' if width else ""
    return (
        f'<TR><TD ALIGN="LEFT"><FONT POINT-SIZE="10" COLOR="{FAINT}">{name}</FONT></TD>'
        f'<TD ALIGN="RIGHT"{least}{background}>{escaped(text)}</TD></TR>'
    )


def _range(numbers: list[float], digits: int) -> str:
    low, high = short(min(numbers), digits), short(max(numbers), digits)
    return low if low == high else f"{low} to {high}"


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
