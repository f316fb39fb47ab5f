"""A loss surface from above: contours, and the walks over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..common.checks import flag, whole
from ..common.numbers import as_float, as_sequence
from ..engine.vectors import Vector
from .axes import Axes, axes_for
from .grid import GridLosses
from .scales import LARGEST, LOG_NOTE, Scale, chosen_scale, contour_levels, finite_or_nan, is_constant, three_digits
from .style import FAINT, hatch_ground, pale_greys, undefined_patch
from .walks import draw_legend, draw_walks


def draw_contours(
    grid: GridLosses, ax: Axes | None, paths: Mapping[str, Vector], scale: str, levels: Any, colorbar: bool
) -> Axes:
    """Draw a surface and the walks over it; see `LossSurface.contour`."""
    where = "LossSurface.contour"
    losses = finite_or_nan(grid.losses)
    chosen = chosen_scale(where, scale, losses)
    explicit = _explicit_levels(where, levels)
    if explicit is not None and explicit[0] <= 0.0:
        if scale == "log":
            raise ValueError(f"{where}: levels: expected numbers above 0 on a logarithmic scale, got {explicit[0]}")
        chosen = "linear"
    flag(f"{where}: colorbar", colorbar)
    ax = axes_for(where, ax, 6.4, 4.8)
    from matplotlib.ticker import MaxNLocator

    undefined = np.isnan(losses).any()
    if undefined:
        hatch_ground(ax)
    if np.isfinite(losses).any():
        heights = contour_levels(losses, chosen, int(levels)) if explicit is None else explicit
        _fill(ax, grid, losses, heights, chosen, colorbar)
    entries = draw_walks(ax, paths)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    # The grid sets the limits: a walk that leaves it leaves the picture.
    ax.set(xlim=(grid.x[0], grid.x[-1]), ylim=(grid.y[0], grid.y[-1]))
    ax.set_xlabel(grid.plane.labels[0], parse_math=False)
    ax.set_ylabel(grid.plane.labels[1], parse_math=False)
    if undefined:
        entries.append(undefined_patch("loss"))
    draw_legend(ax, entries)
    return ax


def _explicit_levels(where: str, levels: Any) -> Vector | None:
    """Return the given levels after a check; None if their number is given."""
    if isinstance(levels, (int, np.integer)):
        whole(2)(f"{where}: levels", levels)
        return None
    explicit = np.array([as_float(x, f"{where}: levels") for x in as_sequence(levels, f"{where}: levels")])
    if len(explicit) < 2 or not ((np.abs(explicit) <= LARGEST).all() and (np.diff(explicit) > 0.0).all()):
        raise ValueError(f"{where}: levels: expected at least 2 finite numbers, ascending, got {explicit.tolist()}")
    return explicit


def _fill(ax: Axes, grid: GridLosses, losses: Vector, levels: Vector, scale: Scale, colorbar: bool) -> None:
    from matplotlib.colors import LogNorm, Normalize

    norm = (LogNorm if scale == "log" else Normalize)(levels[0], levels[-1])
    # Losses beyond the first and the last level have the outermost colours.
    shown = np.ma.masked_invalid(np.clip(losses, levels[0], levels[-1]))
    filled = ax.contourf(grid.x, grid.y, shown, levels=levels, norm=norm, cmap=pale_greys(), zorder=0.5)
    # A constant loss has no lines: they would show its rounding errors.
    between = levels[:0] if is_constant(losses) else levels[(levels > shown.min()) & (levels < shown.max())]
    if len(between):
        ax.contour(grid.x, grid.y, shown, levels=between, colors=FAINT, linewidths=0.5, linestyles="solid", zorder=0.6)
    if colorbar:
        step = -(-len(levels) // 9)
        bar = ax.figure.colorbar(filled, ax=ax, ticks=levels[::step])
        if scale == "log":
            bar.ax.yaxis.set_major_formatter(lambda x, _: three_digits(x))
        bar.ax.minorticks_off()
        bar.set_label(f"loss{LOG_NOTE if scale == 'log' else ''}")
