"""The loss over a plane through parameter space: `loss_surface` evaluates it, `LossSurface` holds and shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..engine import Value
from ..nn.module import Module
from ..operation import as_float
from ..optim.packing import Vector, read_data, read_gradients, write_data, write_gradients
from ..optim.settings import ANY, one_of, pair, real, whole
from ..recording import no_grad
from ..train.evaluation import number
from .axes import png
from .bar import with_progress
from .parameters import filters_of, named_parameters, parameters_of
from .planes import Plane, coordinate_plane, filter_normalized_plane, principal_plane, read_center
from .trajectory import Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LossSurface", "Trajectories", "loss_surface"]

#: One walk, several by name, or None.
Trajectories: TypeAlias = Trajectory | Mapping[str, Trajectory] | None
Extent: TypeAlias = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, eq=False, repr=False)
class LossSurface:
    """The loss at the points of a grid in a plane through parameter space.

    At the end of a notebook's cell it shows its contours. `surface.contour().figure.savefig("surface.png")` writes
    them to a file.

    Attributes:
        x: the coordinates along the first direction, nx numbers.
        y: those along the second, ny numbers.
        losses: the loss at each point, an array of shape (ny, nx): `losses[j, i]` is that at `plane.point(x[i], y[j])`.
            NaN where the loss raised an ArithmeticError or a ValueError.
        plane: the `Plane`: its origin, its two directions, their labels, and the shares of a walk's variance that they
            hold.
        parameters: the n Values that span the space.
        trajectories: the walks that are drawn over it, by name.
        failure: what the loss first raised at a point of the grid, None if it raised nothing.
    """

    x: Vector
    y: Vector
    losses: Vector
    plane: Plane
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
            ValueError: if it is a walk of other parameters.
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
        """Draw the surface from above, with the walks over it: each step marked, start and end above all.

        Where there is no finite loss the picture is hatched, and its legend says so.

        Args:
            ax: the Axes to draw on; those of a new Figure, which show themselves in a notebook, if None.
            trajectory: a walk, or several by name; those of the surface if None, and none for an empty dict.
            scale: of the levels: `"linear"`, `"log"`, or `"auto"` for what the range of losses asks for.
            levels: how many contours, at least 2, or the losses to draw them at, ascending.
            colorbar: whether to draw one, which takes its place from the Axes.

        Returns:
            The Axes, labelled.

        Raises:
            TypeError, ValueError: for invalid arguments.
            ImportError: without matplotlib.
        """
        from .contours import draw_contours

        return draw_contours(self, ax, self._paths(trajectory), scale, levels, colorbar)

    def surface(self, ax: Any = None, *, trajectory: Trajectories = None, scale: str = "auto") -> Axes:
        """Draw the surface as a landscape in three dimensions, with the walks on it.

        The walks are drawn at the height of the surface below (or above) them, and before everything else, so that no
        mountain hides them. Where there is no finite loss the surface has a hole, and the picture says so.

        Args:
            ax: three-dimensional Axes to draw on; those of a new Figure, which show themselves in a notebook, if None.
            trajectory: a walk, or several by name; those of the surface if None, and none for an empty dict.
            scale: of the heights: `"linear"`, `"log"`, or `"auto"` for what the range of losses asks for.

        Returns:
            The Axes, labelled.

        Raises:
            TypeError, ValueError: for invalid arguments.
            ImportError: without matplotlib.
        """
        from .relief import draw_relief

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

    The parameters, and their gradients, are put back as they were, to the bit, whatever happens on the way. Nothing is
    recorded for `backward()` meanwhile.

    Li, Xu, Taylor, Studer & Goldstein, "Visualizing the loss landscape of neural nets", NeurIPS 2018.

    Args:
        loss: called without arguments, it computes the loss from the parameters as they are: a Value or a number.
        parameters: a Module, or a list of Values.
        directions: what spans the plane.
            A pair of parameters, each a Value, its label, or its name in the Module: the axes are these parameters;
            the others stay as they are. The default for two parameters.
            `"principal"`: the two directions in which `trajectory` varies most, through its end. The default for more
            than two parameters with one trajectory.
            `"random"`: two random directions through where the parameters are, normalised by filter: in each neuron
            the direction of the weights is as long as the weights, and the bias stays. In units of those lengths. The
            default otherwise.
        trajectory: a walk of these parameters to draw over the surface, or several by name.
        extent: from where to where: `(low, high)` for both axes, or a pair of such pairs. By default the walks with a
            margin; without any, from -1 to 1, or around each of two parameters as far as its size, at least 1.
        points: of the grid, along both axes or each; at least 2.
        seed: where the drawing of random directions starts.
        progress: whether to show a progress bar; by default where it takes more than two seconds and somebody looks
            on.

    Raises:
        TypeError, ValueError: for invalid arguments. What the loss raises at every point of the grid, or other than
            an ArithmeticError or a ValueError, it raises here too.

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
    if not callable(loss):
        raise TypeError(
            f"{where}: loss: expected a function without arguments that computes the loss, got an object of type "
            f"{type(loss).__name__}; write lambda: ..."
        )
    found = parameters_of(where, parameters)
    walks = by_name(f"{where}: trajectory", trajectory)
    plane = _plane(parameters, found, directions, walks, whole(0)(f"{where}: seed", seed))
    if isinstance(points, (list, tuple)):
        columns, rows = pair(whole(2))(f"{where}: points", points)
    else:
        columns = rows = whole(2)(f"{where}: points", points)
    paths = [plane.project(positions_of(walk, found)) for walk in walks.values()]
    across, up = _extent(plane, read_data(found), paths) if extent is None else _checked_extent(extent)
    x, y = np.linspace(*across, columns), np.linspace(*up, rows)
    losses, failure = _evaluate(loss, found, plane, x, y, progress)
    return LossSurface(x, y, losses, plane, found, walks, failure)


def by_name(where: str, trajectory: Any) -> dict[str, Trajectory]:
    """Return walks by name: those given as such, or the one given as `"walk"`.

    Raises:
        TypeError: for anything else.
        ValueError: for a walk without places.
    """
    if trajectory is None:
        return {}
    walks = dict(trajectory) if isinstance(trajectory, Mapping) else {"walk": trajectory}
    for walk in walks.values():
        if not isinstance(walk, Trajectory):
            raise TypeError(f"{where}: expected a Trajectory or a dict of them, got a {type(walk).__name__}")
        if not len(walk):
            raise ValueError(f"{where}: expected a walk with at least one place, got {walk!r}; record one first")
    return {str(name): walk for name, walk in walks.items()}


def positions_of(trajectory: Trajectory, parameters: Sequence[Value]) -> Vector:
    """Return the places of a walk with the parameters in the order of these, which must be the same Values."""
    indices = {id(p): i for i, p in enumerate(trajectory.parameters)}
    if len(indices) != len(parameters) or any(id(p) not in indices for p in parameters):
        raise ValueError(
            f"trajectory: expected a walk of the same {len(parameters)} parameters as the surface's, got {trajectory!r}"
        )
    return trajectory.positions[:, [indices[id(p)] for p in parameters]]


# --- the plane ---


def _plane(source: Any, parameters: list[Value], directions: Any, walks: Mapping[str, Trajectory], seed: int) -> Plane:
    if directions is None:
        chosen = "principal" if len(walks) == 1 else "random"
        directions = tuple(parameters) if len(parameters) == 2 else chosen
    if isinstance(directions, (tuple, list)):
        return _chosen_plane(source, parameters, directions)
    if not isinstance(directions, str):
        raise TypeError(
            "loss_surface: directions: expected 'random', 'principal' or a pair of parameters, got an object of type "
            f"{type(directions).__name__}"
        )
    if one_of("random", "principal")("loss_surface: directions", directions) == "random":
        return filter_normalized_plane(read_center(parameters), filters_of(source, parameters), seed)
    if len(walks) != 1:
        raise ValueError(f"loss_surface: directions: expected one trajectory with 'principal', got {len(walks)}")
    (walk,) = walks.values()
    return principal_plane(walk, positions_of(walk, parameters))


def _chosen_plane(source: Any, parameters: list[Value], directions: Sequence[Any]) -> Plane:
    names = named_parameters(source, parameters)
    if len(directions) != 2:
        raise ValueError(f"loss_surface: directions: expected two parameters, got {len(directions)}")
    # By identity, or by label or name.
    dotted = dict(source.named_parameters()) if isinstance(source, Module) else {}
    indices = []
    for chosen in directions:
        if not isinstance(chosen, (Value, str)):
            raise TypeError(
                f"loss_surface: directions: expected Values, labels or names, got an object of type "
                f"{type(chosen).__name__}"
            )
        matches = [
            i
            for i, p in enumerate(parameters)
            if p is chosen or (isinstance(chosen, str) and (chosen in (names[i], p.label) or dotted.get(chosen) is p))
        ]
        if len(matches) != 1:
            what = repr(chosen) if isinstance(chosen, str) else "a Value"
            shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
            raise ValueError(
                f"loss_surface: directions: expected one of the parameters, {shown}; got {what}, which "
                f"{'none of them is' if not matches else f'{len(matches)} of them are called'}"
            )
        indices.append(matches[0])
    if indices[0] == indices[1]:
        raise ValueError(f"loss_surface: directions: expected two different parameters, got {names[indices[0]]} twice")
    return coordinate_plane(read_center(parameters), (indices[0], indices[1]), (names[indices[0]], names[indices[1]]))


# --- the grid ---


def _extent(plane: Plane, center: Vector, paths: Sequence[Vector]) -> Extent:
    """Return from where to where to go: over the walks with a margin, or else around where the parameters are."""
    if paths:
        return around(np.concatenate(paths))
    (here,) = plane.project(center[None, :])
    reach = np.maximum(np.abs(here), 1.0)
    return _as_extent(np.array([here - reach, here + reach]))


def around(places: Vector) -> Extent:
    """Return the box around the finite ones of some places in a plane, with a margin.

    Raises:
        ValueError: if none is finite.

    >>> around(np.array([[0.0, 0.0], [1.0, 2.0]]))
    ((-0.4, 1.4), (-0.4, 2.4))
    """
    finite = places[np.isfinite(places).all(axis=1)]
    if not len(finite):
        raise ValueError("trajectory: expected a walk with at least one finite place, got none")
    low, high = finite.min(axis=0), finite.max(axis=0)
    widest = float(np.max(high - low)) or 1.0
    margin = 0.2 * widest
    # A walk along one axis is in the middle of a picture that is not too narrow to be seen.
    narrow = np.maximum(0.3 * widest - (high - low), 0.0) / 2.0
    return _as_extent(np.array([low - margin - narrow, high + margin + narrow]))


def _as_extent(box: Vector) -> Extent:
    (left, bottom), (right, top) = box.tolist()
    return (left, right), (bottom, top)


def _checked_extent(extent: Any) -> Extent:
    where = "loss_surface: extent"
    nested = isinstance(extent, Iterable) and any(isinstance(side, Iterable) for side in extent)
    sides = pair(pair(real(ANY)))(where, extent) if nested else (pair(real(ANY))(where, extent),) * 2
    for low, high in sides:
        if not low < high:
            raise ValueError(f"{where}: expected (low, high) with low below high, got ({low:g}, {high:g})")
    return sides


def _evaluate(
    loss: Callable[[], Any], parameters: list[Value], plane: Plane, x: Vector, y: Vector, progress: bool | None
) -> tuple[Vector, str | None]:
    """Return the loss at each point of the grid, and what it first raised at one."""
    data, gradients = read_data(parameters), read_gradients(parameters)
    losses = np.full((len(y), len(x)), np.nan)
    failure: Exception | None = None
    failures = 0
    try:
        with no_grad():
            for j in with_progress("loss_surface", list(range(len(y))), progress, "row"):
                for i in range(len(x)):
                    write_data(parameters, plane.point(x[i], y[j]))
                    try:
                        losses[j, i] = as_float(number(loss()), "loss_surface: the loss that the function returned")
                    except (ArithmeticError, ValueError) as error:  # overflow, or outside the domain of the loss
                        failure, failures = failure or error, failures + 1
    finally:
        write_data(parameters, data)
        write_gradients(parameters, gradients)
    if failure is not None and failures == losses.size:
        raise failure  # a mistake in the loss, rather than places where it is undefined
    return losses, None if failure is None else f"{type(failure).__name__}: {failure}"
