"""Axes that show their Figure at the end of a notebook's cell, though no pyplot knows of it.

Imported where Axes are made, and not before: this needs matplotlib.
"""

from __future__ import annotations

from matplotlib.axes import Axes
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]

from .axes import png

__all__ = ["NotebookAxes", "NotebookAxes3D"]


class NotebookAxes(Axes):
    """Axes with a picture."""

    def _repr_png_(self) -> bytes:
        return png(self.figure)


class NotebookAxes3D(Axes3D):  # type: ignore[misc]
    """Three-dimensional Axes with a picture."""

    def _repr_png_(self) -> bytes:
        return png(self.figure)
