"""Walks over a surface, as lines: each step marked, start and end above all, and a legend where there is room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..optim.packing import Vector
from .style import outline, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_paths", "place_legend"]

#: More steps than this and their marks would hide the line.
_LARGE_MARKS = 60


def draw_paths(ax: Any, paths: Mapping[str, Vector]) -> None:
    """Draw walks, on flat Axes or three-dimensional ones.

    Args:
        ax: where to draw.
        paths: by name, the places of each: an array of shape (places, 2), or (places, 3).
    """
    for i, (name, places) in enumerate(paths.items()):
        look = style(i)
        many = len(places) > _LARGE_MARKS
        ax.plot(
            *places.T, color=look.color, linestyle=look.dashes, linewidth=1.4, marker=look.marker,
            markersize=2.0 if many else 4.2, label=name, zorder=4 + 0.1 * i, path_effects=outline(2.4 if many else 3.2),
        )  # fmt: skip
    # One entry each in the legend, however many walks there are.
    for i, (name, places) in enumerate(paths.items()):
        first, last = places[:1], places[-1:]
        ax.plot(
            *first.T, linestyle="none", marker="o", markersize=10, markerfacecolor="white", markeredgecolor="black",
            markeredgewidth=1.6, zorder=5, label="start" if i == 0 else f"_start of {name}",
        )  # fmt: skip
        ax.plot(
            *last.T, linestyle="none", marker="*", markersize=15, markerfacecolor=style(i).color,
            markeredgecolor="white", markeredgewidth=1.0, zorder=6, label="end" if i == 0 else f"_end of {name}",
        )  # fmt: skip


def place_legend(ax: Axes, extra: list[Any], paths: Mapping[str, Vector]) -> None:
    """Draw the legend in the corner with the fewest places of the walks; none if it has no entries.

    Args:
        ax: where to draw.
        extra: entries beside those of what was drawn with a label.
        paths: the places, arrays of shape (places, 2).
    """
    handles, _ = ax.get_legend_handles_labels()
    if not handles and not extra:
        return
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    corners = {"upper right": (1, 1), "upper left": (0, 1), "lower left": (0, 0), "lower right": (1, 0)}
    places = np.concatenate([*paths.values(), np.empty((0, 2))])
    scaled = (places - (left, bottom)) / (right - left, top - bottom)
    crowds = {
        name: int(np.sum((np.abs(scaled[:, 0] - h) < 0.45) & (np.abs(scaled[:, 1] - v) < 0.45)))
        for name, (h, v) in corners.items()
    }
    best: Any = min(crowds, key=lambda name: crowds[name])
    ax.legend(handles=[*handles, *extra], loc=best, fontsize="small", framealpha=0.9)
