"""`backprop_steps`: the backward pass as a player, for a notebook or for a page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from ..common.checks import NOT_NEGATIVE, instance, real
from ..common.forking import CachedAttribute
from ..common.pages import ShownAsPage
from ..engine import Value
from .drawing import check_settings
from .fitting import MAX_NODES
from .folded_frames import folded_frames
from .folding import view_of
from .frames import Frame, frames_of, names_of_all
from .player_page import Page
from .structure import Structure
from .updating import update_frame
from .value_graph import ValueGraph, read_graph

#: Maximum number of boxes of operations in a folded graph, so that all of them are in sight.
_MOST_PARTS = 8


class BackpropSteps(ShownAsPage, Sequence[Frame]):
    """The frames of a backward pass: a sequence, and in a notebook a player.

    The frames keep the numbers that the graph had when they were made.

    Attributes:
        root: the root.
        frames: the frames.
    """

    def __init__(
        self, root: Value, graph: ValueGraph, rankdir: str | None, digits: int, lr: float | None, fold: bool
    ) -> None:
        self.root = root
        self._graph, self._digits = graph, digits
        self._rankdir = rankdir or ("TB" if fold else "LR")
        if fold:
            structure = Structure(graph, graph.order)
            most = max(1, min(_MOST_PARTS, structure.natural()))
            self._view = view_of(graph, structure.groups(most, {}), None, len(graph.order))
            graph.names = names_of_all(graph)
            self.frames = folded_frames(root, graph, structure.parts(most))
        else:
            self._view = view_of(graph, {}, None, len(graph.order))
            graph.names = names_of_all(graph)
            self.frames = frames_of(root, graph)
        if lr is not None:
            self.frames.append(update_frame(graph, graph.parameters, lr, self.frames[-1]))

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
        return Page(self._graph, self.frames, self._digits).html(self._view, self._rankdir)

    def _title(self) -> str:
        return f"The backward pass from {self._graph.names.get(self.root, 'a root')}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


def backprop_steps(
    root: Value,
    *,
    parameters: Any = None,
    inputs: Any = None,
    lr: float | None = None,
    rankdir: str | None = None,
    digits: int = 4,
    max_nodes: int = MAX_NODES,
) -> BackpropSteps:
    """Run the backward pass from a root one node at a time, and show each step.

    The engine runs the pass, in its own order, starting from gradients of 0. Afterwards every grad has its former
    value.

    Args:
        root: the root.
        parameters: a Module or Values whose leaves are marked as parameters; see `draw`.
        inputs: Values that are marked as inputs.
        lr: a learning rate: the last step shows the update of the parameters, `data - lr * grad`, which changes no
            Value.
        rankdir: the direction in which the graph grows, by default "LR", or "TB" if it is folded; see `draw`.
        digits: the number of significant digits.
        max_nodes: the most nodes of a graph with a step for each operation. A larger graph is folded, as by `draw`, and
            has a step for each box.

    Returns:
        the frames: a sequence, which in a notebook is a player; `.save("steps.html")` writes a page, and
        `print(steps)` prints all sentences.

    Raises:
        TypeError: if the root is not a Value.
        ValueError: for invalid arguments, and if `.data` was set after the root was computed: the pass would begin at
            old numbers and go on with new ones.

    >>> x = Value(3.0, label="x")
    >>> steps = backprop_steps(x * x)
    >>> len(steps), steps[1].shares[1].total
    (3, 6.0)
    >>> x.grad
    0.0
    """
    instance(Value, "a Value")("root", root)
    check_settings(rankdir, digits, max_nodes)
    if lr is not None:
        lr = real(NOT_NEGATIVE)("lr", lr)
        if parameters is None:
            raise ValueError("lr: expected parameters as well; write backprop_steps(root, parameters=..., lr=...)")
    graph = read_graph(root, parameters, inputs)
    graph.check_numbers("backprop_steps")
    return BackpropSteps(root, graph, rankdir, digits, lr, len(graph.order) > max_nodes)
