"""Axes to draw on: the caller's, or those of new Figures, which belong to no window and no pyplot."""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..common.missing import what_to_install

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure
else:
    Axes = Any  # matplotlib is imported when something is drawn


class Panels(tuple[Any, ...]):
    """Several Axes of one Figure; a notebook shows the Figure."""

    __slots__ = ()

    def _repr_png_(self) -> bytes:
        return png(self[0].figure)


def new_figure(where: str, width: float, height: float) -> Figure:
    """Return a new Figure that belongs to no window and no pyplot.

    Raises:
        ImportError: without matplotlib; it says what to install.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(what_to_install(f"{where} needs", "matplotlib")) from error

    return Figure(figsize=(width, height), layout="constrained")


def png(figure: Any) -> bytes:
    """Return a Figure as the bytes of a PNG file, the same bytes every time."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def axes_for(where: str, ax: Any, width: float = 6.0, height: float = 4.2, projection: str | None = None) -> Axes:
    """Return the given Axes after a check, or the Axes of a new Figure if None.

    The new Figure belongs to no window and no pyplot. Its Axes show themselves at the end of a notebook's cell, and
    `ax.figure.savefig("picture.png")` writes them to a file.

    Args:
        where: the caller's name, for the message.
        ax: the Axes to draw on, or None.
        width: the width of the new Figure, in inches.
        height: its height, in inches.
        projection: "3d" for three-dimensional Axes.

    Raises:
        TypeError: for anything else, such as a Figure.
        ImportError: without matplotlib.
    """
    if ax is None:
        ax = new_figure(where, width, height).add_subplot(projection=projection)
        ax._repr_png_ = partial(png, ax.figure)
        if projection == "3d":
            ax.set_box_aspect(None, zoom=0.88)  # leaves room for long labels
    elif projection == "3d" and not hasattr(_checked(where, ax), "get_zlim"):
        raise TypeError(
            f"{where}: ax: expected three-dimensional Axes, got flat ones; make them with "
            'figure.add_subplot(projection="3d")'
        )
    return _checked(where, ax)


def _checked(where: str, ax: Any) -> Axes:
    if not hasattr(ax, "get_xlim") or not hasattr(ax, "figure"):
        raise TypeError(f"{where}: ax: expected matplotlib Axes or None, got an object of type {type(ax).__name__}")
    return ax  # type: ignore[no-any-return]


def several_axes(where: str, axes: Any, rows: int, columns: int, count: int, size: tuple[float, float]) -> Any:
    """Return `count` Axes: the given ones after a check, or `Panels` of a new Figure of `rows` by `columns`.

    Args:
        where: the caller's name, for the message.
        axes: a sequence or an array of Axes, or None.
        rows: the number of rows in the new Figure.
        columns: the number of columns.
        count: the number of Axes, at most `rows * columns`.
        size: width and height of the new Figure, in inches.

    Raises:
        TypeError: for anything else.
        ValueError: for another number of Axes.
        ImportError: without matplotlib.
    """
    if axes is None:
        figure = new_figure(where, *size)
        return Panels(figure.add_subplot(rows, columns, i + 1) for i in range(count))
    given = tuple(getattr(axes, "flat", axes if isinstance(axes, Iterable) else (axes,)))
    if len(given) != count:
        raise ValueError(f"{where}: axes: expected {count} Axes, got {len(given)}")
    return tuple(_checked(where, ax) for ax in given)
