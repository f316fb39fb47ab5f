"""`backprop_steps`: the backward pass as a player for a notebook or a page of its own."""

from __future__ import annotations

import functools
import hashlib
import html
import os
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, overload

from ..engine import Value
from ..files import write_atomically
from .digraph import Picture
from .drawing import check_settings, new_drawing
from .folding import view
from .frames import Frame, Names, frames_of
from .graph import Graph, read_graph
from .rendering import fitting
from .style import short


class BackpropSteps(Sequence[Frame]):
    """The frames of a backward pass: a sequence, and in a notebook a player.

    Attributes:
        root: the root.
        frames: the frames.
    """

    def __init__(self, root: Value, graph: Graph, frames: list[Frame], rankdir: str, digits: int) -> None:
        self.root, self.frames = root, frames
        self._graph, self._rankdir, self._digits = graph, rankdir, digits

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | Sequence[Frame]:
        return self.frames[index]

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    def __str__(self) -> str:
        return "\n".join(f"{k}. {frame.sentence}" for k, frame in enumerate(self.frames))

    def html(self) -> str:
        """Return the player as HTML that needs nothing from elsewhere: buttons, a slider, the arrow keys, space.

        Without scripts it shows the first picture and all sentences.
        """
        return self._html

    @functools.cached_property
    def _html(self) -> str:
        pictures = [self._picture(frame) for frame in self.frames]
        id = "backprop-" + hashlib.sha256("".join(pictures).encode()).hexdigest()[:12]
        frames = "\n".join(
            f'<div class="frame"{" hidden" if k else ""}>{_with_ids_of_its_own(picture, f"{id}-{k}-")}</div>'
            for k, picture in enumerate(pictures)
        )
        sentences = [html.escape(frame.sentence) for frame in self.frames]
        template = Template(resources.files(__package__).joinpath("player.html").read_text(encoding="utf-8"))
        return template.substitute(
            id=id,
            last=len(self.frames) - 1,
            first=sentences[0],
            frames=frames,
            sentences="".join(f"<li>{sentence}</li>" for sentence in sentences),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the player as a page of its own.

        Args:
            path: where to write; the name ends in .html or .htm.

        Raises:
            ValueError: for another ending, under which no browser would show the page.
            OSError: if it cannot be written.
        """
        if Path(path).suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"path: expected a name that ends in .html or .htm, got {os.fspath(path)!r}")
        title = html.escape(f"The backward pass from {self._graph.names.get(self.root, 'a root')}")
        page = (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<title>{title}</title>\n<link rel="icon" href="data:,"></head>\n<body>\n{self.html()}</body></html>\n'
        )
        write_atomically(path, page.encode())

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _picture(self, frame: Frame) -> str:
        drawing = new_drawing("svg", self._rankdir)
        picture = Picture(view(self._graph, None, None, None, len(self._graph.order)), drawing, self._digits)
        picture.grads, picture.active, picture.width = frame.grads, frame.node, self._width
        picture.largest = self._largest
        picture.looked_at = self.root if frame is self.frames[0] else frame.node
        picture.write()
        svg: str = drawing.pipe("svg", encoding="utf-8")
        return fitting(svg[svg.index("<svg") :])

    @functools.cached_property
    def _largest(self) -> float:
        return max(abs(grad) for frame in self.frames for grad in frame.grads.values())

    @functools.cached_property
    def _width(self) -> int:
        """The width of the widest number, so that the picture stands still from frame to frame."""
        numbers = [grad for frame in self.frames for grad in frame.grads.values()]
        numbers += [node.data for node in self._graph.order]
        return 4 + max(len(short(x, self._digits)) for x in numbers) * 6


def backprop_steps(
    root: Value,
    *,
    parameters: Any = None,
    inputs: Any = None,
    rankdir: str = "LR",
    digits: int = 4,
    max_nodes: int = 60,
) -> BackpropSteps:
    """Run the backward pass from a root one node at a time, and show each step.

    The engine runs it, in its own order, from gradients of 0; when it is done every grad is as it was before.

    Args:
        root: the root.
        parameters: a Module or Values whose leaves are marked as parameters; see `draw`.
        inputs: Values that are marked as inputs.
        rankdir: where the graph grows to; see `draw`.
        digits: how many digits numbers have.
        max_nodes: how large a graph may be.

    Returns:
        the frames: a sequence, which in a notebook is a player; `.save("steps.html")` writes a page, and
        `print(steps)` all sentences.

    Raises:
        TypeError: for what is no Value: steps are those of one root.
        ValueError: for a graph that is too large for anyone to follow, or for arguments other than these.

    >>> x = Value(3.0, label="x")
    >>> steps = backprop_steps(x * x)
    >>> len(steps), steps[1].shares[1].total
    (3, 6.0)
    >>> x.grad
    0.0
    """
    if not isinstance(root, Value):
        raise TypeError(f"root: expected a Value, got {type(root).__name__}")
    check_settings(rankdir, digits=digits, max_nodes=max_nodes)
    graph = read_graph(root, parameters, inputs)
    if len(graph.order) > max_nodes:
        raise ValueError(
            f"backprop_steps: a graph of {len(graph.order):,} nodes has as many steps; take a part of it, or set "
            f"max_nodes (now {max_nodes}) if you mean it"
        )
    graph.names = Names(graph).names
    return BackpropSteps(root, graph, frames_of(root, graph), rankdir, digits)


def _with_ids_of_its_own(svg: str, prefix: str) -> str:
    """Make the ids in a picture different from those in the others on the page."""
    return re.sub(r'\bid="([^"]+)"', lambda match: f'id="{prefix}{match.group(1)}"', svg)
