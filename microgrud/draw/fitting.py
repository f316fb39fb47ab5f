"""Choose how much of a graph to draw, so that the picture fits on a screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from ..common.words import counted
from ..nn.module import Module
from .digraph import GraphWriter
from .folding import Group, View, groups_of, view_of
from .metrics import Size, size_of
from .rendering import Drawing
from .structure import Structure
from .style import FONT
from .unfolding import unfolding
from .value_graph import ValueGraph

#: Maximum number of boxes by default.
MAX_NODES = 60
#: The largest width and height of a picture, in points: 900 pixels.
MAX_SIZE = 675.0
#: The same for a graph that is drawn whole, in the direction in which it grows: a picture of a few more operations is
#: better than one in which they are folded, and a page shows it at three quarters of its size.
_MAX_WHOLE_SIZE = 900.0
#: Maximum number of parts into which operations are folded, unless `max_nodes` is given.
_MOST_PARTS = 14
RANKSEP, _CLOSE = 0.35, 0.2


@dataclass(frozen=True)
class DrawingSettings:
    """The settings with which graphs are written: see `draw`."""

    format: str
    rankdir: str | None
    digits: int
    expand_dot: bool = False
    slopes: bool = True
    ranksep: float = RANKSEP

    def drawing(self, view: View, lines: list[str] | None = None, opens: Mapping[Group, int] | None = None) -> Drawing:
        """Return the drawing of a view, with lines of text below it, and the numbers of states that groups open."""
        rankdir = self.rankdir or "LR"
        drawing = new_drawing(self.format, rankdir, self.ranksep)
        writer = GraphWriter(view, drawing, self.digits, rankdir, self.expand_dot, self.slopes)
        writer.lines, writer.opens = lines or [], opens or {}
        writer.write()
        return drawing

    def folded(self, graph: ValueGraph, view: View, model: Module | None, lines: list[str] | None = None) -> Drawing:
        """Return the drawing of a view whose groups open by a click, where scripts run."""
        drawing = self.drawing(view, lines)
        if view.groups:
            drawing.opened_by(partial(unfolding, graph, view.group_of, model, self.drawing, lines or []))
        return drawing

    def size(self, drawing: Drawing) -> Size:
        """Return the estimated size of a drawing."""
        return size_of(drawing.body, self.rankdir or "LR", self.ranksep)


def fitting_drawing(
    graph: ValueGraph, model: Module | None, fold: str | None, max_nodes: int | None, settings: DrawingSettings
) -> Drawing:
    """Draw a graph as finely as fits: see `draw`.

    Args:
        graph: the graph.
        model: the module whose neurons and layers may be folded.
        fold: "operations", or None for the first of nothing, neurons, layers and operations that fits.
        max_nodes: the most boxes; None for the limits of a screen.
        settings: the settings.
    """
    if fold is None:
        for unit in [None, "neurons", "layers"] if model is not None else [None]:
            drawing = _drawing_within_limits(graph, model, unit, max_nodes, settings)
            if drawing is not None:
                return drawing
    outside = groups_of(graph, model, "layers") if model is not None else {}
    structure = Structure(graph, (node for node in graph.order if node not in outside))
    below = replace(settings, rankdir=settings.rankdir or "TB", ranksep=_CLOSE)
    parts = max_nodes or max(1, min(_MOST_PARTS, structure.natural()))
    while True:
        chosen = view_of(graph, structure.groups(parts, outside), None, max_nodes or MAX_NODES)
        boxes = len(chosen.drawn) + len(chosen.groups)
        lines = list(_folded(graph, "operations", boxes, parts < len(structure.classes)))
        drawing = below.folded(graph, chosen, model, lines)
        size = below.size(drawing)
        if parts == 1 or (max(size) <= MAX_SIZE if max_nodes is None else chosen.count_boxes() <= max_nodes):
            return drawing
        parts = max(1, min(parts - 1, int(parts * MAX_SIZE / max(size)) if max_nodes is None else parts))


def _drawing_within_limits(
    graph: ValueGraph, model: Module | None, unit: str | None, max_nodes: int | None, settings: DrawingSettings
) -> Drawing | None:
    """Return the drawing of a graph with neurons or layers folded, or None if it is too large."""
    group_of = groups_of(graph, model, unit) if model is not None and unit is not None else {}
    if View(graph, [], group_of=group_of).count_boxes() > (max_nodes or MAX_NODES):
        return None
    chosen = view_of(graph, group_of, None, max_nodes or MAX_NODES)
    lines = list(_folded(graph, unit, len(chosen.drawn) + len(chosen.groups), False)) if unit else []
    most = MAX_SIZE if unit else _MAX_WHOLE_SIZE
    for rankdir, ranksep, along in (("LR", RANKSEP, MAX_SIZE), ("LR", _CLOSE, most), ("TB", _CLOSE, most)):
        tried = replace(settings, rankdir=settings.rankdir or rankdir, ranksep=ranksep)
        drawing = tried.folded(graph, chosen, model, lines)
        size = tried.size(drawing)
        horizontal = tried.rankdir in ("LR", "RL")
        length, breadth = (size.width, size.height) if horizontal else (size.height, size.width)
        if max_nodes is not None or (length <= along and breadth <= MAX_SIZE):
            return drawing
    return None


def _folded(graph: ValueGraph, unit: str, boxes: int, finer: bool) -> Iterator[str]:
    """Yield lines that say what was folded, and how to draw more of it."""
    count = len(graph.order)
    yield f"{unit} folded: {counted(count, 'node')} in {counted(boxes, 'box')}"
    more = f"; more boxes: max_nodes={2 * boxes}" if finer else ""
    yield f'each node: fold="nothing", max_nodes={count}{more}'


def new_drawing(format: str, rankdir: str, ranksep: float = RANKSEP) -> Drawing:
    """Return an empty drawing with the fonts and distances that all pictures share."""
    drawing = Drawing("graph", format=format)
    drawing.attr(rankdir=rankdir, ranksep=f"{ranksep}", nodesep="0.18", bgcolor="transparent")
    drawing.attr("node", fontname=FONT, fontsize="11", margin="0.04")
    drawing.attr("edge", fontname=FONT, fontsize="10", arrowsize="0.6", penwidth="0.8")
    return drawing
