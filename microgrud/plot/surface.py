"""The loss over a plane through parameter space: `loss_surface` evaluates it, `LossSurface` holds and shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.checks import flag, instance, optional, pair, whole
from ..engine import Value
from ..engine.vectors import Vector, read_data
from ..nn.module import Module
from .axes import Axes, png
from .contours import draw_contours
from .grid import GridLosses, checked_extent, default_extent, evaluate
from .parameters import parameters_of
from .planes import chosen_plane
from .relief import draw_relief
from .trajectory import Trajectories, Trajectory, by_name, positions_of


@dataclass(frozen=True, eq=False, repr=False)
class LossSurface(GridLosses):
    """The loss at the points of a grid in a plane through parameter space.

    At the end of a notebook's cell it shows its contours. `surface.contour().figure.savefig("surface.png")` writes
    them to a file.

    Attributes:
        x: the coordinates along the first direction, nx numbers.
        y: the coordinates along the second direction, ny numbers.
        losses: the loss at each point, an array of shape (ny, nx): `losses[j, i]` is the loss at
            `plane.point(x[i], y[j])`. NaN where the loss raised an ArithmeticError or a ValueError.
        plane: the `Plane`: its origin, its two directions, their labels, and the shares of a walk's variance that lie
            along them.
        parameters: the n Values that span the space.
        trajectories: the walks to draw over the surface, by name.
        failure: the first error that the loss raised at a point of the grid, None if it raised none.
    """

    parameters: list[Value]
    trajectories: dict[str, Trajectory]
    failure: str | None = None

    @property
    def undefined(self) -> int:
        """The number of points without a finite loss."""
        return int(np.sum(~np.isfinite(self.losses)))

    def path(self, trajectory: Trajectory) -> Vector:
        """Return a walk in the coordinates of the plane: for each place, the point of the plane nearest to it.

        Returns:
            An array of shape (places, 2).

        Raises:
            TypeError, ValueError: if the argument is not a walk, or is a walk of other parameters.
        """
        return self.plane.project(positions_of(trajectory, self.parameters))

    def contour(
        self,
        ax: Axes | None = None,
        *,
        trajectory: Trajectories = None,
        scale: str = "auto",
        levels: int | Sequence[float] = 16,
        colorbar: bool = True,
    ) -> Axes:
        """Draw the surface from above, with the walks over it and marks at each step, at the start and at the end.

        The lower the loss, the darker the ground, as in all pictures of losses. Points without a finite loss are
        hatched, and the legend says so.

        Args:
            ax: the Axes to draw on; those of a new Figure, which show themselves in a notebook, if None.
            trajectory: a walk, or several by name; those of the surface if None, and none for an empty dict.
            scale: the scale of the levels: `"linear"`, `"log"`, or `"auto"` to choose by the range of losses.
            levels: the number of contours, at least 2, or the losses to draw them at, ascending.
            colorbar: whether to draw a colour bar, which takes some room from the Axes.

        Returns:
            The Axes, labelled.

        Raises:
            TypeError, ValueError: for invalid arguments.
            ImportError: without matplotlib.
        """
        return draw_contours(self, ax, self._paths(trajectory), scale, levels, colorbar)

    def surface(self, ax: Any = None, *, trajectory: Trajectories = None, scale: str = "auto") -> Axes:
        """Draw the surface as a landscape in three dimensions, with the walks on it.

        The walks are drawn at the height of the surface, and in front of everything else, so that no mountain hides
        them. The lower the loss, the darker the surface; it has a hole where no loss is finite, and the legend says so.

        Args:
            ax: three-dimensional Axes to draw on; those of a new Figure, which show themselves in a notebook, if None.
            trajectory: a walk, or several by name; those of the surface if None, and none for an empty dict.
            scale: the scale of the heights: `"linear"`, `"log"`, or `"auto"` to choose by the range of losses.

        Returns:
            The Axes, labelled.

        Raises:
            TypeError, ValueError: for invalid arguments.
            ImportError: without matplotlib.
        """
        if self.undefined == self.losses.size:
            raise ValueError(
                f"LossSurface.surface: expected a finite loss somewhere on the grid, got none ({self.failure})"
            )
        return draw_relief(self, ax, self._paths(trajectory), scale)

    def _paths(self, trajectory: Trajectories) -> dict[str, Vector]:
        walks = self.trajectories if trajectory is None else by_name("LossSurface: trajectory", trajectory)
        return {name: self.path(walk) for name, walk in walks.items()}

    def _repr_png_(self) -> bytes:
        return png(self.contour().figure)

    def __repr__(self) -> str:
        finite = self.losses[np.isfinite(self.losses)]
        span = f"losses from {finite.min():.4g} to {finite.max():.4g}" if len(finite) else "no finite loss"
        missing = f", {self.undefined} without a finite loss" if self.undefined else ""
        first, second = self.plane.labels
        return f"LossSurface({len(self.x)} x {len(self.y)} points over {first} and {second}, {span}{missing})"


def loss_surface(
    loss: Callable[[], Any],
    parameters: Module | Iterable[Value],
    *,
    directions: str | tuple[Any, Any] | None = None,
    trajectory: Trajectories = None,
    extent: Any = None,
    points: int | tuple[int, int] = 51,
    seed: int = 0,
    progress: bool | None = None,
) -> LossSurface:
    """Evaluate a loss over a plane through parameter space.

    Parameters and gradients are restored to the bit, even after an error. Nothing is recorded for `backward()`.

    Li, Xu, Taylor, Studer & Goldstein, "Visualizing the loss landscape of neural nets", NeurIPS 2018.

    Args:
        loss: a function without arguments that computes the loss from the present parameters: a Value or a number.
        parameters: a Module, or a list of Values.
        directions: the two directions that span the plane.
            A pair of parameters, each a Value, its label, or its name in the Module: these parameters are the axes, the
            others keep their values. The default for two parameters.
            `"principal"`: the two directions in which `trajectory` varies most, through its end. The default for more
            than two parameters with one trajectory.
            `"random"`: two random directions through the present parameters, normalised by filter: in each neuron the
            direction of the weights is as long as the weights, and the bias is constant. The coordinates are in units
            of those lengths. The default otherwise.
        trajectory: a walk of these parameters to draw over the surface, or several by name.
        extent: the range of the coordinates: `(low, high)` for both axes, or a pair of such pairs. By default the walks
            with a margin; without walks, from -1 to 1, or around each of two parameters as far as its size, at least 1.
        points: the number of grid points along both axes, or a pair of numbers; at least 2.
        seed: the seed for random directions.
        progress: whether to show a progress bar; by default after two seconds in a terminal or a notebook.

    Raises:
        TypeError, ValueError: for invalid arguments.
        Exception: any error of the loss that is neither an ArithmeticError nor a ValueError, and any error that it
            raises at every point of the grid.

    >>> from microgrud.plot import himmelblau
    >>> x, y = Value(0.0, label="x"), Value(0.0, label="y")
    >>> surface = loss_surface(lambda: himmelblau(x, y), [x, y], extent=(-5, 5), points=11)
    >>> float(surface.losses[7, 8])                                  # at x = 3, y = 2
    0.0
    >>> ax = surface.contour()
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('x', 'y')
    """
    where = "loss_surface"
    instance(Callable, "a function without arguments such as lambda: ...")(f"{where}: loss", loss)
    found = parameters_of(f"{where}: parameters", parameters)
    progress = optional(flag)(f"{where}: progress", progress)
    walks = by_name(f"{where}: trajectory", trajectory)
    plane = chosen_plane(parameters, found, directions, walks, whole(0)(f"{where}: seed", seed))
    if isinstance(points, (list, tuple, np.ndarray)) and np.ndim(points):
        columns, rows = pair(whole(2))(f"{where}: points", points)
    else:
        columns = rows = whole(2)(f"{where}: points", points)
    paths = [plane.project(positions_of(walk, found)) for walk in walks.values()]
    box = default_extent(plane, read_data(found), paths) if extent is None else checked_extent(extent)
    (left, right), (bottom, top) = box
    x, y = np.linspace(left, right, columns), np.linspace(bottom, top, rows)
    losses, failure = evaluate(loss, found, plane, x, y, progress)
    return LossSurface(x, y, losses, plane, found, walks, failure)
