"""`backprop_steps`: the backward pass as a player, for a notebook or for a page of its own."""

from __future__ import annotations

import html
import json
import math
import os
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, overload

from ..common.checks import instance
from ..common.files import write_atomically
from ..common.forking import CachedAttribute
from ..engine import Value
from .digraph import GraphWriter
from .drawing import check_settings
from .fitting import new_drawing
from .folding import view
from .frames import Frame, frames_of, names_of_all
from .moving import moving_picture
from .rendering import fitting, page
from .style import ACTIVE, short, tint
from .value_graph import ValueGraph, local_derivatives, read_graph


class BackpropSteps(Sequence[Frame]):
    """The frames of a backward pass: a sequence, and in a notebook a player.

    The frames keep the numbers that the graph had when they were made.

    Attributes:
        root: the root.
        frames: the frames.
    """

    def __init__(self, root: Value, graph: ValueGraph, rankdir: str, digits: int) -> None:
        self.root = root
        self._graph, self._rankdir, self._digits = graph, rankdir, digits
        self._data = {x: x.data for x in graph.order}
        self._slopes = {x: local_derivatives(x) for x in graph.order}
        self.frames = frames_of(root, graph, self._slopes)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | Sequence[Frame]:
        return self.frames[index]

    def __len__(self) -> int:
        return len(self.frames)

    def __str__(self) -> str:
        return "\n".join(f"{k}. {frame.sentence}" for k, frame in enumerate(self.frames))

    def html(self) -> str:
        """Return the player as self-contained HTML, controlled by buttons, a slider, the arrow keys and space.

        Without scripts it shows the last picture, which has all gradients, and all sentences.
        """
        return self._html

    @CachedAttribute
    def _html(self) -> str:
        grads = [grad for frame in self.frames for grad in frame.grads.values()]
        # The largest finite grad of all steps has the full tint, so that colours mean the same in each step.
        largest = max((abs(grad) for grad in grads if math.isfinite(grad)), default=0.0)
        widest = max(len(short(x, self._digits)) for x in (*grads, *self._data.values()))
        picture, numbers = self._picture(largest, widest)
        template = Template(resources.files(__package__).joinpath("player.html").read_text(encoding="utf-8"))
        return template.substitute(
            active=ACTIVE,
            last=len(self.frames) - 1,
            sentence=html.escape(self.frames[-1].sentence),
            picture=picture,
            steps="\n".join(self._steps(numbers, largest)),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the player as a page of its own.

        Args:
            path: the file to write; its name ends in .html or .htm.

        Raises:
            ValueError: for another extension, since a browser would not show the page.
            OSError: if the file cannot be written.
        """
        if Path(path).suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"path: expected a name that ends in .html or .htm, got {os.fspath(path)!r}")
        title = f"The backward pass from {self._graph.names.get(self.root, 'a root')}"
        write_atomically(path, page(title, self.html()).encode())

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _picture(self, largest: float, widest: int) -> tuple[str, dict[Value, int]]:
        """Draw the last step; return the picture, and the number that identifies each node for the script.

        Args:
            largest: the grad with the full tint.
            widest: the number of characters in the widest number.
        """
        drawing = new_drawing("svg", self._rankdir)
        graph = self._graph
        picture = GraphWriter(view(graph, None, None, None, len(graph.order)), drawing, self._digits, self._rankdir)
        picture.data, picture.slopes_of = self._data, self._slopes.__getitem__
        picture.grads, picture.largest = self.frames[-1].grads, largest
        picture.marked, picture.width = True, 4 + 6 * widest
        picture.write()
        numbers = {node: int(picture.ids[node].lstrip("v")) for node in picture.view.drawn}
        exact = {numbers[node]: repr(grad) for node, grad in picture.grads.items() if node in numbers}
        return fitting(moving_picture(drawing.pipe("svg", encoding="utf-8"), exact)), numbers

    def _steps(self, numbers: dict[Value, int], largest: float) -> Iterator[str]:
        """Yield the HTML of each step: its sentence, its node, the node to scroll to, and the grads that it changes."""
        before: dict[Value, str] = {}
        focus = str(numbers[self.root])  # the first step scrolls to the root, later ones to their own node
        for frame in self.frames:
            now = {node: repr(grad) for node, grad in frame.grads.items()}
            changed = [
                (numbers[node], short(frame.grads[node], self._digits), tint(frame.grads[node], largest), exact)
                for node, exact in now.items()
                if node in numbers and before.get(node) != exact
            ]
            before = now
            turn = "" if frame.node is None else numbers.get(frame.node, "")
            # Numbers and colours contain no quote or bracket that could end the attribute.
            grads = json.dumps(sorted(changed), ensure_ascii=False, separators=(",", ":"))
            words = html.escape(frame.sentence)
            yield f'<li data-turn="{turn}" data-focus="{focus or turn}" data-grads=\'{grads}\'>{words}</li>'
            focus = ""


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

    The engine runs the pass, in its own order, starting from gradients of 0. Afterwards every grad has its former
    value.

    Args:
        root: the root.
        parameters: a Module or Values whose leaves are marked as parameters; see `draw`.
        inputs: Values that are marked as inputs.
        rankdir: the direction in which the graph grows; see `draw`.
        digits: the number of significant digits.
        max_nodes: the most nodes that the graph may have.

    Returns:
        the frames: a sequence, which in a notebook is a player; `.save("steps.html")` writes a page, and
        `print(steps)` prints all sentences.

    Raises:
        TypeError: if the root is not a Value.
        ValueError: for a graph with more than `max_nodes` nodes, and for invalid arguments.

    >>> x = Value(3.0, label="x")
    >>> steps = backprop_steps(x * x)
    >>> len(steps), steps[1].shares[1].total
    (3, 6.0)
    >>> x.grad
    0.0
    """
    instance(Value, "a Value")("root", root)
    check_settings(rankdir, digits, max_nodes)
    graph = read_graph(root, parameters, inputs)
    if len(graph.order) > max_nodes:
        raise ValueError(
            f"backprop_steps: expected a graph of at most {max_nodes} nodes, got {len(graph.order):,}, and each "
            "operation would be a step; pass an inner node as root, or raise max_nodes"
        )
    graph.names = names_of_all(graph)
    return BackpropSteps(root, graph, rankdir, digits)
