"""The HTML of the player: one picture, and for each step the numbers that it changes."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..common.pages import section
from ..engine import Value
from .digraph import GraphWriter
from .fitting import new_drawing
from .folding import View
from .frames import Frame
from .framing import STYLE
from .moving import moving_picture
from .rendering import fitting
from .style import ACTIVE, grads_of, in_words, short, spread, strongest, tint
from .value_graph import ValueGraph


@dataclass
class Page:
    """The page of a backward pass.

    Attributes:
        graph: the graph, with a name for every node.
        frames: the frames.
        digits: the number of significant digits.
        cells: the nodes whose numbers each cell shows, by the name of the cell for the script: the number of a node, or
            a row in the box of a group.
        turns: what is highlighted at the turn of a node.
    """

    graph: ValueGraph
    frames: Sequence[Frame]
    digits: int
    cells: dict[int | str, Sequence[Value]] = field(default_factory=dict)
    turns: dict[Value, int | str] = field(default_factory=dict)

    def html(self, view: View, rankdir: str) -> str:
        """Return the player."""
        grads = [grad for frame in self.frames for grad in frame.grads.values()]
        # The largest finite grad of all steps has the full tint, so that colours mean the same in each step.
        largest = max((abs(grad) for grad in grads if math.isfinite(grad)), default=0.0)
        picture = self._picture(view, rankdir, largest, grads)
        return section(
            __package__,
            "player.html",
            "microgrud-backprop",
            active=ACTIVE,
            style=STYLE,
            last=len(self.frames) - 1,
            sentence=html.escape(self.frames[-1].sentence),
            picture=picture,
            steps="\n".join(self._steps(largest)),
        )

    def _picture(self, view: View, rankdir: str, largest: float, grads: Sequence[float]) -> str:
        """Draw the numbers after the pass, and find the cells."""
        drawing = new_drawing("svg", rankdir)
        picture = GraphWriter(view, drawing, self.digits, rankdir)
        picture.grads, picture.largest = self.frames[-1].grads, largest
        updated = self.frames[-1].data.values()
        widest = max(len(short(x, self.digits)) for x in (*grads, *self.graph.data.values(), *updated))
        picture.marked, picture.width = True, 4 + 6 * widest
        picture.write()
        self.turns = {x: int(picture.ids[x].lstrip("v")) for x in view.drawn}
        self.cells = {number: [x] for x, number in self.turns.items()}
        for group, rows in picture.rows_of.items():
            name = picture.ids[group]
            self.cells |= {f"{name}-{k}": nodes for k, nodes in enumerate(rows)}
            self.turns |= {x: name for x in group.nodes if x not in self.turns}
        own = {number: x for x, number in self.turns.items() if isinstance(number, int) and x in picture.grads}
        exact = {number: repr(picture.grads[x]) for number, x in own.items()}
        return fitting(moving_picture(drawing.pipe("svg", encoding="utf-8"), exact))

    def _steps(self, largest: float) -> Iterator[str]:
        """Yield the HTML of each step: its sentence, its node, the cell to scroll to, and the numbers that change."""
        before: dict[int | str, str] = {}
        root = self.turns[self.graph.roots[0]]
        for k, frame in enumerate(self.frames):
            changed = []
            for name, nodes in self.cells.items():
                grads = grads_of(nodes, frame.grads)
                exact = spread_exactly(grads) if grads else ""
                if exact != before.get(name, ""):
                    changed.append((name, spread(grads, self.digits), tint(strongest(grads), largest), exact))
                    before[name] = exact
            turn, focus = self._place(frame)
            words = html.escape(frame.sentence)
            updates = f" data-updates='{_json(self._updates(frame))}'" if frame.data else ""
            # The first step scrolls to the root, later ones to their own node.
            place = f'data-turn="{turn}" data-focus="{focus if k else root}"'
            yield f"<li {place} data-grads='{_json(changed)}'{updates}>{words}</li>"

    def _place(self, frame: Frame) -> tuple[int | str, int | str]:
        """Return what is highlighted in a step, and the cell to scroll to."""
        # The root comes last; a box that made it is highlighted, and the root by itself if it is a step alone.
        node = frame.nodes[0] if frame.node is None and frame.nodes else frame.node
        turn = "" if node is None else self.turns.get(node, "")
        return turn, f"{turn}-0" if isinstance(turn, str) and turn else turn

    def _updates(self, frame: Frame) -> list[Any]:
        """Return the new numbers of an update: the name of the cell, its text, and the tooltip."""
        listed = []
        for name, nodes in self.cells.items():
            if any(x in frame.data for x in nodes):
                numbers = [frame.data.get(x, self.graph.data[x]) for x in nodes]
                old = spread_exactly([self.graph.data[x] for x in nodes])
                title = self.graph.names[nodes[0]] if len(nodes) == 1 else f"{len(nodes):,} nodes"
                listed.append(
                    (name, spread(numbers, self.digits), f"{title}: data={spread_exactly(numbers)}, was {old}")
                )
        return listed


def spread_exactly(numbers: Sequence[float]) -> str:
    """Write the range of numbers with all their digits."""
    return in_words(numbers, repr)


def _json(listed: Sequence[Any]) -> str:
    """Return a list for an attribute in single quotes: numbers, names and colours contain none, titles may."""
    text = json.dumps(sorted(listed, key=lambda each: str(each[0])), ensure_ascii=False, separators=(",", ":"))
    return html.escape(text, quote=False).replace("'", "&#x27;")
