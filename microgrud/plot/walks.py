"""Walks over a surface as lines with a mark at each step, at the start and at the end, and legends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

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
#: The places for a legend, in order of preference, and the part of the Axes that it covers there.
_PLACES = {
    "upper right": (0.7, 1.0, 0.6, 1.0),
    "upper left": (0.0, 0.3, 0.6, 1.0),
    "lower left": (0.0, 0.3, 0.0, 0.4),
    "lower right": (0.7, 1.0, 0.0, 0.4),
    "center right": (0.7, 1.0, 0.3, 0.7),
    "center left": (0.0, 0.3, 0.3, 0.7),
}


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


def mark_every(count: int, marks: int = 12) -> int:
    """Return the step between the marked points of a curve of `count` points that has about `marks` marks.

    >>> mark_every(100), mark_every(5)
    (8, 1)
    """
    return max(1, count // marks)


def place_legend(ax: Axes, entries: list[Any], curves: Sequence[Vector]) -> None:
    """Draw the legend where it hides the least of the curves; without entries draw none.

    Args:
        ax: the Axes to draw on, with its limits set.
        entries: the artists with labels.
        curves: the points of the lines that it should not hide, arrays of shape (points, 2).
    """
    if not entries:
        return
    ax.get_xlim(), ax.get_ylim()  # matplotlib sets automatic limits when they are read
    crowds = dict.fromkeys(_PLACES, 0)
    for curve in curves:
        with np.errstate(all="ignore"):  # numbers up to 0 have no place on a logarithmic axis
            points = ax.transAxes.inverted().transform(ax.transData.transform(curve))
            # Four points to a segment stand for the line between its points.
            steps = np.diff(points, axis=0)
            between = np.concatenate([points, *(points[:-1] + t * steps for t in (0.25, 0.5, 0.75))])
        for name, (left, right, low, high) in _PLACES.items():
            x, y = between.T
            crowds[name] += int(
                np.sum((x >= left - 0.01) & (x <= right + 0.01) & (y >= low - 0.01) & (y <= high + 0.01))
            )
    best: Any = min(crowds, key=lambda name: crowds[name])
    legend_as_written(ax, entries, [entry.get_label() for entry in entries], loc=best)


def legend_as_written(ax: Any, entries: list[Any], labels: Sequence[str], **place: Any) -> Any:
    """Draw a legend that shows its labels literally, since users chose them, and return it.

    matplotlib would read text between dollar signs as a formula, and omit labels that begin with an underscore.
    """
    legend = ax.legend(entries, ["label"] * len(entries), fontsize="small", framealpha=0.9, **place)
    for text, label in zip(legend.get_texts(), labels):
        text.set_parse_math(False)
        text.set_text(label)
    return legend


def legend_off_points(
    ax: Axes, entries: list[Any], labels: list[str], points: Vector, *, title: str | None, widen: bool
) -> None:
    """Draw a legend in a corner where it hides none of the points, or to the right of the Axes if there is none.

    In a Figure without a layout engine, which might cut it off there, it is in the corner where it hides the fewest.

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

    def drawn(**place: Any) -> Any:
        return legend_as_written(ax, entries, labels, title=title, **place)

    if layout is not None:
        layout.execute(figure)  # gives the Axes the size that they will be drawn with
    own, whole = drawn(loc="upper right").get_window_extent(), ax.get_window_extent()
    width, height = own.width / whole.width + 0.04, own.height / whole.height + 0.04  # with the gap to the edge
    x, y = ax.transAxes.inverted().transform(ax.transData.transform(points)).T
    hidden = {
        f"{row} {column}": int(np.sum(in_row & in_column))
        for row, in_row in (("upper", y > 1.0 - height), ("lower", y < height))
        for column, in_column in (("right", x > 1.0 - width), ("left", x < width))
    }
    best = min(hidden, key=lambda place: hidden[place])
    if hidden[best] and layout is not None:
        if widen:
            figure.set_figwidth(figure.get_figwidth() + own.width / figure.dpi)
        drawn(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0.0)
    else:
        drawn(loc=best)
