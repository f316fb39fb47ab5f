"""Figures that belong to no window and no pyplot, and their pictures."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(where: str, width: float, height: float) -> Figure:
    """Return a new Figure that belongs to no window and no pyplot.

    Raises:
        ImportError: without matplotlib.
    """
    need_matplotlib(where)
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def need_matplotlib(where: str) -> None:
    """Raise an ImportError that says what to install if matplotlib is missing.

    Args:
        where: the caller's name, for the message.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{where} needs matplotlib; install it with: pip install 'microgrud[plot]'") from error


def png(figure: Any) -> bytes:
    """Return a Figure as the bytes of a PNG file, the same bytes every time."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()
