"""The picture of a compiled function: the instructions of each recording, and the branches that it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..common.words import counted
from ..tape.compiled import Compiled
from ..tape.listing import Formulas, chosen
from .fitting import MAX_NODES, MAX_SIZE, RANKSEP, new_drawing
from .metrics import size_of
from .program_boxes import FOLDS, ProgramBox, ProgramView, formula_of, heading_lines, program_view
from .rendering import Drawing
from .style import ACTIVE, BOX_STYLES, FAINT, caption, escaped, literal, plain, table
from .value_graph import Kind

#: Maximum number of recordings drawn, unless `path` selects one.
_MOST_RECORDINGS = 4
#: The numbers of boxes that are tried if the picture of the coarsest folding is too large.
_FEWER = (30, 16, 10, 6)

_GUARD = {"shape": "hexagon", "style": "filled", "fillcolor": "#ffffff", "color": ACTIVE, "penwidth": "1.2"}
_DASHED = {"style": "dashed", "color": ACTIVE, "arrowhead": "none"}


def draw_compiled(
    compiled: Compiled[..., Any],
    format: str,
    digits: int,
    path: int | None,
    fold: str | None,
    max_nodes: int | None,
    model: Any,
    names: Any,
    rankdir: str | None = None,
) -> Drawing:
    """Draw the recordings of a compiled function, each as a graph of its own.

    Args:
        compiled: the function.
        format: the format of the drawing.
        digits: the number of significant digits.
        path: the number of one recording, from 1; None for all of them, or the first four.
        fold: "nothing", "layers", or None for the first that fits.
        max_nodes: the most boxes of all recordings together; None for as many as fit on a screen, if nothing else is
            asked for.
        model: a Module whose parameters are named.
        names: more names.
        rankdir: the direction in which the drawing grows; None for "LR", or "TB" if that fits.

    Raises:
        ValueError: if there is no recording, or none with the number `path`.
    """
    recordings = chosen(compiled._recordings, path, model, names)
    if not recordings:
        raise ValueError(f"draw: {compiled._recordings.name}: nothing is recorded yet; call it once")
    if fold is not None or max_nodes is not None:
        folds = FOLDS if fold is None else (fold,)
        views = _views(recordings, folds, max_nodes or MAX_NODES, digits, fold is not None)
        return _drawing(compiled, recordings, views, format, rankdir or "LR")
    largest = max(len(formulas.program.instructions) for formulas in recordings.values())
    attempts = [(name, MAX_NODES) for name in FOLDS if name == FOLDS[-1] or largest <= MAX_NODES]
    for name, most in [*attempts, *((FOLDS[-1], most) for most in _FEWER)]:
        views = _views(recordings, (name,), most, digits)
        for direction in [rankdir] if rankdir else ["LR", "TB"]:
            drawing = _drawing(compiled, recordings, views, format, direction, _hint(recordings, views))
            if max(size_of(drawing.body, direction, RANKSEP)) <= MAX_SIZE:
                return drawing
    return drawing


def _views(
    recordings: Mapping[int, Formulas], folds: Sequence[str], most: int, digits: int, all_leaves: bool = False
) -> dict[int, ProgramView]:
    """Return the boxes of each recording to draw."""
    shown = list(recordings.items())[:_MOST_RECORDINGS]
    share = max(1, most // len(shown))
    return {number: program_view(formulas, folds, share, digits, all_leaves) for number, formulas in shown}


def _hint(recordings: Mapping[int, Formulas], views: Mapping[int, ProgramView]) -> list[str]:
    """Return a line that says how to draw each instruction, if not all are drawn."""
    programs = [recordings[number].program for number in views]
    drawn = [box for view in views.values() for box in view.boxes if box.instruction is not None]
    if len(drawn) == sum(len(program.instructions) for program in programs):
        return []
    counts = [len(p.instructions) + len(p.leaves) + len(p.guards) for p in programs]
    inputs = max(len(recordings[number].inputs) for number in views)
    return [f'folded; each instruction: fold="nothing", max_nodes={len(counts) * (max(counts) + inputs)}']


def _drawing(
    compiled: Compiled[..., Any],
    recordings: Mapping[int, Formulas],
    views: Mapping[int, ProgramView],
    format: str,
    rankdir: str,
    lines: Sequence[str] = (),
) -> Drawing:
    """Write the recordings into a drawing, with lines of text below them."""
    drawing = new_drawing(format, rankdir)
    count = len(compiled._recordings.all())
    # In a graph that grows to the side, Graphviz places the first cluster at the bottom.
    for number in list(views)[:: -1 if rankdir in ("LR", "RL") else 1]:
        formulas = recordings[number]
        heading = heading_lines(compiled._recordings.name, number, count, formulas)
        if len(views) == 1:
            drawing.attr(**caption([*heading, *lines]))
            _write(drawing, formulas, views[number], f"r{number}")
            continue
        with drawing.subgraph(name=f"cluster_{number}") as cluster:
            cluster.attr(**caption(heading), color=FAINT, style="rounded", penwidth="0.8", margin="10")
            _write(cluster, formulas, views[number], f"r{number}")
    if len(views) > 1 and lines:
        drawing.attr(**caption(lines))
    if len(recordings) > len(views):
        text = f"{counted(len(recordings) - len(views), 'more recording')}; choose one with path=..."
        drawing.node("more", text, shape="plaintext", fontcolor=FAINT)
    return drawing


def _write(drawing: Any, formulas: Formulas, view: ProgramView, prefix: str) -> None:
    ids = {box: f"{prefix}b{k}" for k, box in enumerate(view.boxes)}
    for box, id in ids.items():
        own = [] if box.instruction is None else [formula_of(formulas, box.instruction)]
        _box(drawing, box, id, [*own, *box.lines])
    for box, id in ids.items():
        for maker, count in box.uses.items():
            times = "once" if count == 1 else f"{count:,} times"
            drawing.edge(ids[maker], id, tooltip=f"used {times}")
    for k, (text, operands) in enumerate(view.guards):
        id = f"{prefix}t{k}"
        drawing.node(id, plain(f"requires {text}"), tooltip=literal(f"requires {text}"), **_GUARD)
        for box in operands:
            drawing.edge(ids[box], id, **_DASHED)


def _box(drawing: Any, box: ProgramBox, id: str, lines: list[str]) -> None:
    attributes = dict(BOX_STYLES[box.kind].attributes)
    if box.kind is Kind.LEAF:  # the box that counts the instructions that are not drawn
        attributes = {"shape": "box3d", "style": "filled,dashed", "color": FAINT}
    attributes.setdefault("style", "filled")
    attributes |= {"width": "0.3", "height": "0.3"}  # no wider than the title
    title = f"<B>{escaped(box.title)}</B>"
    rows = [f'<TR><TD BGCOLOR="{BOX_STYLES[box.kind].title}">{title}</TD></TR>']
    rows += [f"<TR><TD>{escaped(line)}</TD></TR>" for line in lines]
    tooltip = literal(f"{box.title}: {', '.join(lines) or box.kind.value}")
    drawing.node(id, table(rows), fillcolor="#ffffff", tooltip=tooltip, **attributes)
