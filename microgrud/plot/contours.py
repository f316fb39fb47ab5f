"""A loss surface seen from above: contours, and the walks over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.checks import flag, whole
from ..common.numbers import as_float, as_sequence
from ..engine.vectors import Vector
from .axes import axes_for, need_matplotlib
from .paths import draw_paths, place_legend
from .scales import LARGEST, LOG_NOTE, Scale, chosen_scale, contour_levels, drawable, is_constant, three_digits
from .style import FAINT, hatch_ground, pale_greys, undefined_patch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .surface import LossSurface

__all__ = ["draw_contours"]


def draw_contours(
    surface: LossSurface,
    ax: Axes | None,
    paths: Mapping[str, Vector],
    scale: str,
    levels: int | Sequence[float],
    colorbar: bool,
) -> Axes:
    """Draw a surface and the walks over it; see `LossSurface.contour`."""
    where = "LossSurface.contour"
    need_matplotlib(where)
    from matplotlib.ticker import MaxNLocator

    losses = drawable(np.where(np.isfinite(surface.losses), surface.losses, np.nan))
    chosen = chosen_scale(where, scale, losses)
    given = _given(where, levels)
    if given is not None and given[0] <= 0.0:
        if scale == "log":
            raise ValueError(f"{where}: levels: expected numbers above 0 on a logarithmic scale, got {given[0]}")
        chosen = "linear"
    flag(f"{where}: colorbar", colorbar)
    ax = axes_for(where, ax, 6.4, 4.8)
    across, up = (surface.x[0], surface.x[-1]), (surface.y[0], surface.y[-1])
    if surface.undefined:
        hatch_ground(ax, across, up)
    if np.isfinite(losses).any():
        heights = contour_levels(losses, chosen, int(levels)) if given is None else given  # type: ignore[arg-type]
        _fill(ax, surface, losses, heights, chosen, colorbar)
    entries = draw_paths(ax, paths)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    # A walk that leaves the grid leaves the picture.
    ax.set(xlim=across, ylim=up)
    ax.set_xlabel(surface.plane.labels[0], parse_math=False)
    ax.set_ylabel(surface.plane.labels[1], parse_math=False)
    if surface.undefined:
        entries.append(undefined_patch("loss"))
    place_legend(ax, entries, list(paths.values()))
    return ax


def _given(where: str, levels: Any) -> Vector | None:
    """Return the levels that were given, checked; None for a number of levels."""
    if isinstance(levels, (int, np.integer)):
        whole(2)(f"{where}: levels", levels)
        return None
    given = np.array([as_float(x, f"{where}: levels") for x in as_sequence(levels, f"{where}: levels")])
    if len(given) < 2 or not ((np.abs(given) <= LARGEST).all() and (np.diff(given) > 0.0).all()):
        raise ValueError(f"{where}: levels: expected at least 2 finite numbers, ascending, got {given.tolist()}")
    return given


def _fill(ax: Axes, surface: LossSurface, losses: Vector, levels: Vector, scale: Scale, colorbar: bool) -> None:
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.ticker import FuncFormatter

    norm = (LogNorm if scale == "log" else Normalize)(levels[0], levels[-1])
    # What lies beyond the first and the last level belongs to the outermost colours.
    shown = np.ma.masked_invalid(np.clip(losses, levels[0], levels[-1]))
    filled = ax.contourf(surface.x, surface.y, shown, levels=levels, norm=norm, cmap=pale_greys(), zorder=0.5)
    # The lines of a constant loss would be those of its rounding.
    between = levels[:0] if is_constant(losses) else levels[(levels > shown.min()) & (levels < shown.max())]
    if len(between):
        ax.contour(
            surface.x, surface.y, shown, levels=between, colors=FAINT, linewidths=0.5, linestyles="solid", zorder=0.6
        )
    if colorbar:
        step = -(-len(levels) // 9)
        bar = ax.figure.colorbar(filled, ax=ax, ticks=levels[::step])
        if scale == "log":
            bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda x, _: three_digits(x)))
        bar.ax.minorticks_off()
        bar.set_label(f"loss{LOG_NOTE if scale == 'log' else ''}")
