"""Walks over a surface as lines with a mark at each step, at the start and at the end, and legends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..engine.vectors import Vector
from .axes import Axes
from .scales import drawable
from .style import outline, style

#: Maximum number of steps drawn with large marks; the marks of more steps would hide the line.
_LARGE_MARKS = 60
_START: dict[str, Any] = {
    "linestyle": "none", "marker": "o", "markersize": 10, "markerfacecolor": "white", "markeredgecolor": "black",
    "markeredgewidth": 1.6,
}  # fmt: skip
_END: dict[str, Any] = {
    "linestyle": "none", "marker": "*", "markersize": 15, "markerfacecolor": "black", "markeredgecolor": "white",
    "markeredgewidth": 1.0,
}  # fmt: skip
#: The distance that a legend keeps from points, in inches: more than the radius of a marker.
_ROOM = 0.06


def draw_walks(ax: Any, paths: Mapping[str, Vector]) -> list[Any]:
    """Draw walks, on flat Axes or three-dimensional ones.

    Args:
        ax: the Axes to draw on.
        paths: the places of each walk by its name: an array of shape (places, 2), or (places, 3).

    Returns:
        The entries for a legend: one for each walk, one for all starts, one for all ends.
    """
    from matplotlib.lines import Line2D

    entries: list[Any] = []
    paths = {name: drawable(places) for name, places in paths.items()}
    for i, (name, places) in enumerate(paths.items()):
        look = style(i)
        many = len(places) > _LARGE_MARKS
        entries += ax.plot(
            *places.T, color=look.color, linestyle=look.dashes, linewidth=1.4, marker=look.marker,
            markersize=2.0 if many else 4.2, label=name, zorder=4 + 0.1 * i, path_effects=outline(2.4 if many else 3.2),
        )  # fmt: skip
    for i, (name, places) in enumerate(paths.items()):
        ax.plot(*places[:1].T, **_START, zorder=5, label=f"_start of {name}")
        ax.plot(*places[-1:].T, **{**_END, "markerfacecolor": style(i).color}, zorder=6, label=f"_end of {name}")
    if paths:
        end = _END if len(paths) > 1 else {**_END, "markerfacecolor": style(0).color}
        entries += [Line2D([], [], **_START, label="start"), Line2D([], [], **end, label="end")]
    return entries


def mark_every(count: int) -> int:
    """Return the step between the marked points of a curve of `count` points that has about twelve marks.

    >>> mark_every(100), mark_every(5)
    (8, 1)
    """
    return max(1, count // 12)


def draw_legend(ax: Any, entries: list[Any], labels: Sequence[str] = (), loc: str = "best", **options: Any) -> Any:
    """Draw a legend that shows its labels literally, since users chose them, and return it; without entries draw none.

    matplotlib would read text between dollar signs as a formula, and omit labels that begin with an underscore.

    Args:
        ax: the Axes to draw on, flat or three-dimensional ones.
        entries: the artists, or tuples of them.
        labels: the label of each entry; by default those of the artists.
        loc: the place; by default the one where the legend hides the least of lines, points and texts.
        **options: more arguments of `Axes.legend`.
    """
    if not entries:
        return None
    labels = labels or [entry.get_label() for entry in entries]
    legend = ax.legend(entries, ["label"] * len(entries), loc=loc, fontsize="small", framealpha=0.9, **options)
    for text, label in zip(legend.get_texts(), labels):
        text.set_parse_math(False)
        text.set_text(label)
    return legend


def draw_legend_off_points(
    ax: Axes, entries: list[Any], labels: list[str], points: Vector, *, title: str | None, widen: bool
) -> None:
    """Draw a legend where it hides none of the points, or to the right of the Axes if there is no such place.

    A Figure without a layout engine might cut off a legend to the right, so there the legend goes where it hides the
    fewest points.

    Args:
        ax: the Axes to draw on, with its limits set.
        entries: the artists, or tuples of them; without any there is no legend.
        labels: the label of each entry, shown literally.
        points: an array of shape (points, 2).
        title: the title of the legend.
        widen: whether to widen the Figure for a legend to the right of the Axes.
    """
    if not entries:
        return
    figure: Any = ax.figure.figure  # the whole Figure, also for Axes in a subfigure
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)  # gives the Axes the size that they will be drawn with
    box = draw_legend(ax, entries, labels, title=title).get_window_extent()
    if layout is not None and box.padded(_ROOM * figure.dpi).count_contains(ax.transData.transform(points)):
        if widen:
            figure.set_figwidth(figure.get_figwidth() + box.width / figure.dpi)
        draw_legend(ax, entries, labels, "upper left", title=title, bbox_to_anchor=(1.02, 1.0), borderaxespad=0.0)
