"""The picture of a compiled function: the instructions of each recording, and the branches that it took."""

from __future__ import annotations

from typing import Any

from ..common.words import counted
from ..tape.compiled import Compiled
from ..tape.listing import Formulas, chosen
from .program_boxes import ProgramBox, ProgramView, formula_of, heading_lines, program_view
from .rendering import Drawing
from .style import ACTIVE, BOX_STYLES, FAINT, caption, escaped, literal, plain, table
from .value_graph import Kind

#: Maximum number of recordings drawn, unless `path` selects one.
_MOST_RECORDINGS = 4

_GUARD = {"shape": "hexagon", "style": "filled", "fillcolor": "#ffffff", "color": ACTIVE, "penwidth": "1.2"}
_DASHED = {"style": "dashed", "color": ACTIVE, "arrowhead": "none"}


def draw_compiled(
    compiled: Compiled[..., Any],
    drawing: Drawing,
    digits: int,
    path: int | None,
    fold: str | None,
    max_nodes: int,
    model: Any,
    names: Any,
    rankdir: str = "LR",
) -> None:
    """Draw the recordings of a compiled function, each as a graph of its own.

    Args:
        compiled: the function.
        drawing: the drawing to add them to.
        digits: the number of significant digits.
        path: the number of one recording, from 1; None for all of them, or the first four.
        fold: "nothing", "layers", or None for the first that fits.
        max_nodes: the most boxes of all recordings together.
        model: a Module whose parameters are named.
        names: more names.
        rankdir: the direction in which the drawing grows.

    Raises:
        ValueError: if there is no recording, or none with the number `path`.
    """
    recordings = chosen(compiled._recordings, path, model, names)
    count = len(compiled._recordings.all())
    if not recordings:
        raise ValueError(f"draw: {compiled._recordings.name}: nothing is recorded yet; call it once")
    shown = list(recordings.items())[:_MOST_RECORDINGS]
    most = max(1, max_nodes // len(shown))
    # In a graph that grows to the side, Graphviz places the first cluster at the bottom.
    upwards = rankdir in ("LR", "RL")
    for number, formulas in reversed(shown) if upwards else shown:
        view = program_view(formulas, fold, most, digits)
        heading = caption(heading_lines(compiled._recordings.name, number, count, formulas))
        if len(shown) == 1:
            drawing.attr(**heading)
            _write(drawing, formulas, view, f"r{number}")
            continue
        with drawing.subgraph(name=f"cluster_{number}") as cluster:
            cluster.attr(**heading, color=FAINT, style="rounded", penwidth="0.8", margin="10")
            _write(cluster, formulas, view, f"r{number}")
    if len(recordings) > len(shown):
        text = f"{counted(len(recordings) - len(shown), 'more recording')}; choose one with path=..."
        drawing.node("more", text, shape="plaintext", fontcolor=FAINT)


def _write(drawing: Any, formulas: Formulas, view: ProgramView, prefix: str) -> None:
    ids = {box: f"{prefix}b{k}" for k, box in enumerate(view.boxes)}
    for box, id in ids.items():
        if box.instruction is not None:
            box.lines.insert(0, formula_of(formulas, box.instruction))
        _box(drawing, box, id)
    for box, id in ids.items():
        for maker, count in box.uses.items():
            times = "once" if count == 1 else f"{count:,} times"
            drawing.edge(ids[maker], id, tooltip=f"used {times}")
    for k, (text, operands) in enumerate(view.guards):
        id = f"{prefix}t{k}"
        drawing.node(id, plain(f"requires {text}"), tooltip=literal(f"requires {text}"), **_GUARD)
        for box in operands:
            drawing.edge(ids[box], id, **_DASHED)


def _box(drawing: Any, box: ProgramBox, id: str) -> None:
    attributes = dict(BOX_STYLES[box.kind].attributes)
    if box.kind is Kind.LEAF:  # the box that counts the instructions that are not drawn
        attributes = {"shape": "box3d", "style": "filled,dashed", "color": FAINT}
    attributes.setdefault("style", "filled")
    attributes |= {"width": "0.3", "height": "0.3"}  # no wider than the title
    title = f"<B>{escaped(box.title)}</B>"
    rows = [f'<TR><TD BGCOLOR="{BOX_STYLES[box.kind].title}">{title}</TD></TR>']
    rows += [f"<TR><TD>{escaped(line)}</TD></TR>" for line in box.lines]
    tooltip = literal(f"{box.title}: {', '.join(box.lines) or box.kind.value}")
    drawing.node(id, table(rows), fillcolor="#ffffff", tooltip=tooltip, **attributes)
