"""Axes to draw on: those given, or ones of our own that show themselves in a notebook."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Panels", "axes_3d_for", "axes_for", "need_matplotlib", "new_figure", "png", "several_axes"]


class Panels(tuple[Any, ...]):
    """Several Axes of one figure, which a notebook shows as that picture."""

    __slots__ = ()

    def _repr_png_(self) -> bytes:
        return png(self[0].figure)


def axes_for(where: str, ax: Axes | None, width: float = 6.0, height: float = 4.2) -> Axes:
    """Return the Axes given, checked; those of a new Figure if None.

    The new Figure belongs to no window and no pyplot. Its Axes show themselves at the end of a notebook's cell, and
    `ax.figure.savefig("picture.png")` writes them to a file.

    Args:
        where: who asks, for the message.
        ax: the Axes to draw on, or None.
        width: of the new Figure, in inches.
        height: likewise.

    Raises:
        TypeError: for anything else, such as a Figure.
        ImportError: without matplotlib.
    """
    if ax is None:
        figure = new_figure(where, width, height)
        from .notebook import NotebookAxes

        return figure.add_subplot(axes_class=NotebookAxes)
    return _checked(where, ax)


def axes_3d_for(where: str, ax: Any) -> Any:
    """Return the three-dimensional Axes given, checked; those of a new Figure if None."""
    if ax is None:
        figure = new_figure(where, 6.4, 5.4)
        from .notebook import NotebookAxes3D

        axes: Any = figure.add_subplot(axes_class=NotebookAxes3D)
        axes.set_box_aspect(None, zoom=0.88)  # or else long labels are cut
        return axes
    if not hasattr(_checked(where, ax), "get_zlim"):
        raise TypeError(
            f"{where}: ax: expected three-dimensional Axes, got flat ones; make them with "
            'figure.add_subplot(projection="3d")'
        )
    return ax


def several_axes(where: str, axes: Any, rows: int, columns: int, count: int, size: tuple[float, float]) -> Any:
    """Return `count` Axes: those given, checked, or those of a new Figure of `rows` by `columns` as `Panels`.

    Args:
        where: who asks, for the message.
        axes: a sequence or an array of Axes, or None.
        rows: of the new Figure.
        columns: likewise.
        count: how many Axes are wanted, at most `rows * columns`.
        size: width and height of the new Figure, in inches.

    Raises:
        TypeError: for anything else.
        ValueError: for another number of Axes.
        ImportError: without matplotlib.
    """
    if axes is None:
        figure = new_figure(where, *size)
        return Panels(figure.add_subplot(rows, columns, i + 1) for i in range(count))
    if hasattr(axes, "flat"):
        axes = list(axes.flat)
    given = tuple(axes) if isinstance(axes, Iterable) else (axes,)
    if len(given) != count:
        raise ValueError(f"{where}: axes: expected {count} Axes, got {len(given)}")
    return tuple(_checked(where, ax) for ax in given)


def new_figure(where: str, width: float, height: float) -> Figure:
    """Return a new Figure that belongs to no window and no pyplot.

    Raises:
        ImportError: without matplotlib.
    """
    need_matplotlib(where)
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def need_matplotlib(where: str) -> None:
    """Raise an ImportError that says what to install, if matplotlib is missing.

    Args:
        where: who asks, for the message.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{where} needs matplotlib; install it with: pip install 'microgrud[plot]'") from error


def png(figure: Any) -> bytes:
    """Return a Figure as the bytes of a PNG file, the same ones every time."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _checked(where: str, ax: Any) -> Axes:
    if not hasattr(ax, "get_xlim") or not hasattr(ax, "figure"):
        raise TypeError(f"{where}: ax: expected matplotlib Axes or None, got an object of type {type(ax).__name__}")
    return ax  # type: ignore[no-any-return]
