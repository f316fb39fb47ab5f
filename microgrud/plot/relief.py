"""A loss surface as a landscape in three dimensions, and the walks on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..engine.vectors import Vector
from .axes import Axes, axes_for
from .grid import GridLosses
from .scales import LOG_NOTE, Scale, chosen_scale, finite_or_nan, log_floor, three_digits
from .style import undefined_patch
from .walks import draw_legend, draw_walks


def draw_relief(grid: GridLosses, ax: Any, paths: Mapping[str, Vector], scale: str) -> Axes:
    """Draw a surface and the walks on it; see `LossSurface.surface`."""
    where = "LossSurface.surface"
    losses = finite_or_nan(grid.losses)
    chosen = chosen_scale(where, scale, losses)
    axes: Any = axes_for(where, ax, 6.4, 5.4, "3d")
    from matplotlib.ticker import MaxNLocator

    # mplot3d has no logarithmic axis: the heights are logarithms, and the tick labels show the losses.
    heights = np.log10(np.maximum(losses, log_floor(losses))) if chosen == "log" else losses
    axes.computed_zorder = False  # otherwise the surface would hide parts of the walks that lie on it
    axes.plot_surface(  # with a hole where a height is NaN
        *np.meshgrid(grid.x, grid.y), heights, rstride=1, cstride=1,
        cmap="viridis", vmin=float(np.nanmin(heights)), vmax=float(np.nanmax(heights)), linewidth=0,
        antialiased=False, zorder=1,
    )  # fmt: skip
    lifted = {
        name: np.column_stack([places, height_at(grid.x, grid.y, heights, places)]) for name, places in paths.items()
    }
    entries = draw_walks(axes, lifted)
    # A long label is broken into two lines, since the edges of the box are short.
    across, up = (label.replace(" (", "\n(", 1) for label in grid.plane.labels)
    axes.set_xlabel(across, labelpad=14 if "\n" in across else 8, parse_math=False)
    axes.set_ylabel(up, labelpad=18 if "\n" in up else 8, parse_math=False)
    axes.set_xlim(grid.x[0], grid.x[-1])
    axes.set_ylim(grid.y[0], grid.y[-1])
    axes.xaxis.set_major_locator(MaxNLocator(5, prune="upper"))  # the corner of the two axes has room for one label
    axes.yaxis.set_major_locator(MaxNLocator(5))
    _label_heights(axes, chosen)
    if np.isnan(losses).any():
        entries.append(undefined_patch("loss"))
    draw_legend(axes, entries, loc="upper left")
    return axes  # type: ignore[no-any-return]


def height_at(x: Vector, y: Vector, heights: Vector, places: Vector) -> Vector:
    """Return the height of the surface at some places, by bilinear interpolation between the points of the grid.

    Args:
        x: the grid's horizontal coordinates, nx numbers, ascending.
        y: the grid's vertical coordinates, ny numbers, ascending.
        heights: an array of shape (ny, nx).
        places: an array of shape (m, 2).

    Returns:
        m heights; NaN outside of the grid, and next to a point without a height.

    >>> corner = np.array([[0.0, 1.0], [2.0, 3.0]])
    >>> height_at(np.array([0.0, 1.0]), np.array([0.0, 1.0]), corner, np.array([[0.5, 0.5], [1.0, 1.0], [2.0, 0.0]]))
    array([1.5, 3. , nan])
    """
    i = np.clip(np.searchsorted(x, places[:, 0], side="right") - 1, 0, len(x) - 2)
    j = np.clip(np.searchsorted(y, places[:, 1], side="right") - 1, 0, len(y) - 2)
    with np.errstate(all="ignore"):  # places far outside of the grid overflow; their heights are not used
        u = (places[:, 0] - x[i]) / (x[i + 1] - x[i])
        v = (places[:, 1] - y[j]) / (y[j + 1] - y[j])
        inside = (u >= 0.0) & (u <= 1.0) & (v >= 0.0) & (v <= 1.0)
        below = (1 - u) * heights[j, i] + u * heights[j, i + 1]
        above = (1 - u) * heights[j + 1, i] + u * heights[j + 1, i + 1]
        return np.where(inside, (1 - v) * below + v * above, np.nan)


def _power_of_ten(height: float, _: Any) -> str:
    with np.errstate(over="ignore"):  # ticks beyond the end of the axis overflow
        return three_digits(np.power(10.0, height))


def _label_heights(axes: Any, scale: Scale) -> None:
    from matplotlib.ticker import FixedLocator, MaxNLocator

    if scale == "log":
        low, high = axes.get_zlim()
        powers, factors = range(math.floor(low), math.ceil(high)), (1.0, 2.0, 5.0)
        ticks = [k + math.log10(factor) for k in powers for factor in factors] if high - low <= 2.0 else []
        ticks = [tick for tick in ticks if low <= tick <= high]
        wide = MaxNLocator(6, integer=high - low > 2.0)
        axes.zaxis.set_major_locator(FixedLocator(ticks) if len(ticks) > 2 else wide)
        axes.zaxis.set_major_formatter(_power_of_ten)
    # The labels are centred next to the axis, and long ones would run into it: a letter is about 6 points wide.
    longest = max(map(len, axes.zaxis.get_major_formatter().format_ticks(axes.get_zticks())))
    room = 3.0 * max(0, longest - 4)
    axes.tick_params(axis="z", pad=4.0 + room)
    axes.set_zlabel(f"loss{LOG_NOTE if scale == 'log' else ''}", labelpad=10.0 + 1.5 * room)
