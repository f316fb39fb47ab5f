"""Axes that show their Figure at the end of a notebook's cell without pyplot.

This module needs matplotlib, so that `axes_for` imports it only when it makes Axes.
"""

from __future__ import annotations

from matplotlib.axes import Axes
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]

from .figure import png


class NotebookAxes(Axes):
    """Axes that a notebook shows as a picture."""

    def _repr_png_(self) -> bytes:
        return png(self.figure)


class NotebookAxes3D(Axes3D):  # type: ignore[misc]
    """Three-dimensional Axes that a notebook shows as a picture."""

    def _repr_png_(self) -> bytes:
        return png(self.figure)
