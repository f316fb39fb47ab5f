"""A race of optimizers on one surface: the same start, the same number of steps, and all walks in one picture."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, overload

import numpy as np

from ..common.checks import ANY, instance, pair, real, whole
from ..engine import Value
from ..engine.vectors import Vector
from ..optim.optimizer import Optimizer
from .animation import Panel, write_film
from .axes import Axes, png, several_axes
from .grid import around
from .race_player import RacePlayer
from .scales import LOG_NOTE, asks_for_log, drawable, log_floor
from .style import style
from .surface import LossSurface, loss_surface
from .trajectory import Trajectory
from .walks import draw_legend, mark_every

#: The picture ends at the start plus this many times its size, that is at ten times the start.
_DECADE = 9.0
#: A function from parameters to an optimizer: a class such as `Adam`, or `lambda parameters: SGD(parameters, lr=0.1)`.
Factory: TypeAlias = Callable[[list[Value]], Optimizer]


@dataclass(frozen=True, eq=False, repr=False)
class Race:
    """The result of a race of optimizers; at the end of a notebook's cell it shows itself.

    `plot()` draws it, and `animate()` plays it.

    Attributes:
        surface: the `LossSurface` around the start and the walks.
        trajectories: the walk of each optimizer, by name: a place for the start and each step, with loss and gradient.
        ended: the reasons of walks that ended early, by name; optimizers that took all their steps are not in it.
    """

    surface: LossSurface
    trajectories: dict[str, Trajectory]
    ended: dict[str, str]

    def plot(self, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
        """Draw the walks over the contours of the surface on the left, and the loss at each step on the right.

        A loss that climbs far above the start leaves the picture. A triangle at the upper edge marks the place, and the
        legend says so.

        Args:
            axes: two Axes to draw on; those of a new Figure, which show themselves in a notebook, if None.

        Returns:
            The two Axes, labelled.

        Raises:
            TypeError, ValueError: for anything but two Axes.
            ImportError: without matplotlib.
        """
        left, right = drawn = several_axes("Race.plot", axes, 1, 2, 2, (10.5, 4.6))
        self.surface.contour(left, colorbar=False)
        self._plot_losses(right)
        return drawn  # type: ignore[no-any-return]

    @overload
    def animate(self, path: None = None) -> RacePlayer: ...
    @overload
    def animate(
        self, path: str | os.PathLike[str], *, fps: float = ..., dpi: int = ..., most_frames: int = ...
    ) -> Path: ...
    def animate(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        fps: float | None = None,
        dpi: int | None = None,
        most_frames: int | None = None,
    ) -> RacePlayer | Path:
        """Show the race step by step: the walks over the contours, darker where they are lower, and the losses.

        A walk that ended early waits at its last place. Without a path the result is a player, which a notebook shows,
        and whose `.save("race.html")` writes a page, of 60 kB for 5 walks of 40 steps. It needs no matplotlib. With a
        path, the pictures of `plot` become a film. Equal races give equal bytes with the same version of matplotlib,
        and the file is written whole or not at all.

        Args:
            path: the file of a film: `.gif`, or `.html` for a page of images with buttons, about a megabyte for each 10
                frames. Missing folders are created.
            fps: the number of frames of a film in a second, above 0; 10 by default.
            dpi: the number of pixels to an inch of a film, which is 10.5 by 4.6 inches; 80 by default.
            most_frames: the most frames of a film, at least 2, 150 by default; in a longer race each frame stands for
                several steps.

        Returns:
            The player, or the path. In a notebook, `IPython.display.Image(filename)` shows a GIF.

        Raises:
            TypeError, ValueError: for another kind of file, for invalid arguments, and for a setting of films without
                a path.
            OSError: if the file cannot be written.
            ImportError: without matplotlib, for a film.
        """
        options = {"fps": fps, "dpi": dpi, "most_frames": most_frames}
        given = {name: option for name, option in options.items() if option is not None}
        if path is None:
            for name, option in given.items():
                raise TypeError(
                    f"Race.animate: {name}: expected a file for a film with this setting, such as "
                    f'animate("race.gif", {name}={option!r}), got no path; the player without a path has no {name}'
                )
            losses = np.concatenate([walk.losses for walk in self.trajectories.values()])
            scale = _scale_and_limits(float(losses[0]), drawable(losses))
            return RacePlayer(self.surface, self.trajectories, scale)
        left, right = several_axes("Race.animate", None, 1, 2, 2, (10.5, 4.6))

        def panels() -> list[Panel]:
            self.surface.contour(left, trajectory={}, colorbar=False)
            self._plot_losses(right)
            for line in right.get_lines():  # only their scale and their legend stay
                line.set_visible(False)
            walks = self.trajectories.items()
            losses = {name: np.column_stack([np.arange(len(walk)), drawable(walk.losses)]) for name, walk in walks}
            places = {name: drawable(self.surface.path(walk)) for name, walk in walks}
            return [Panel(left, places, has_legend=False), Panel(right, losses, has_legend=False)]

        return write_film("Race.animate", path, panels, **{"fps": 10.0, "dpi": 80, "most_frames": 150, **given})

    def _plot_losses(self, ax: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        everything = drawable(np.concatenate([trajectory.losses for trajectory in self.trajectories.values()]))
        log, low, high = _scale_and_limits(float(everything[0]), everything)
        if log:
            ax.set_yscale("log", nonpositive="mask")
        lines = []
        for i, (name, trajectory) in enumerate(self.trajectories.items()):
            losses = drawable(trajectory.losses)
            look = style(i)
            above = np.flatnonzero((losses > high) & math.isfinite(high))
            notes = ["leaves the picture"] * bool(len(above)) + ["ended early"] * (name in self.ended)
            lines += ax.plot(
                losses, color=look.color, linestyle=look.dashes, marker=look.marker, markersize=4.5,
                markevery=mark_every(len(trajectory)), label=f"{name} ({', '.join(notes)})" if notes else name,
            )  # fmt: skip
            if len(above):
                ax.plot(
                    [_crossing(losses, int(above[0]), high, log)], [high], linestyle="none", marker="^", markersize=11,
                    color=look.color, markeredgecolor="white", clip_on=False, zorder=5, label=f"_{name} leaves here",
                )  # fmt: skip
        if math.isfinite(high):
            ax.set_ylim(low, high)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.set(xlabel="step", ylabel=f"loss{LOG_NOTE if log else ''}")
        ax.grid(alpha=0.4, linewidth=0.6)
        draw_legend(ax, lines)

    def _repr_png_(self) -> bytes:
        return png(self.plot()[0].figure)

    def __repr__(self) -> str:
        lines = []
        for name, trajectory in self.trajectories.items():
            ended = f", ended early at {self.ended[name]}" if name in self.ended else ""
            lines.append(f"  {name}: loss {trajectory.losses[-1]:.4g} after {len(trajectory) - 1} steps{ended}")
        return "\n".join(["Race(", *lines, ")"])


def race(
    loss: Callable[[Any, Any], Any],
    start: Any,
    optimizers: Mapping[str, Factory],
    *,
    steps: int = 100,
    extent: Any = None,
    points: int | tuple[int, int] = 101,
) -> Race:
    """Let several optimizers walk down one surface of two numbers from the same start.

    A walk ends early where the loss or its gradient is no longer finite, or the loss raises an ArithmeticError or a
    ValueError.

    Args:
        loss: a function of two Values, such as `rosenbrock`.
        start: the pair (x, y) where all walks begin.
        optimizers: for each name a function from the list of parameters to an optimizer: a class such as `Adam` for its
            defaults, or a function such as `lambda parameters: SGD(parameters, lr=0.01)`.
        steps: the number of steps of each walk, at least 1. One step of L-BFGS makes up to `max_iter` iterations.
        extent: the range of the surface: `(low, high)` for both axes, or a pair of such pairs. By default the box
            around the start and all places that are not higher.
        points: the number of grid points along both axes, or a pair of numbers.

    Returns:
        A `Race`: its `plot()` draws it, and its `animate()` plays it.

    Raises:
        TypeError, ValueError: for invalid arguments.

    >>> from microgrud.optim import LBFGS, SGD
    >>> from microgrud.plot import ravine
    >>> result = race(ravine, (2.0, 1.0), {"SGD": lambda p: SGD(p, lr=0.03), "L-BFGS": LBFGS}, steps=5, points=21)
    >>> [len(trajectory) for trajectory in result.trajectories.values()]
    [6, 6]
    >>> float(result.trajectories["L-BFGS"].losses[-1]) < 1e-12 < float(result.trajectories["SGD"].losses[-1])
    True
    """
    where = "race"
    instance(Callable, "a function of two Values")(f"{where}: loss", loss)
    begin: tuple[float, float] = pair(real(ANY))(f"{where}: start", start)
    _check_optimizers(optimizers)
    steps = whole(1)(f"{where}: steps", steps)
    x, y = Value(begin[0], label="x"), Value(begin[1], label="y")
    trajectories: dict[str, Trajectory] = {}
    ended: dict[str, str] = {}
    for name, factory in optimizers.items():
        x.data, y.data = begin
        trajectories[str(name)], reason = _run(loss, [x, y], _made(str(name), factory, [x, y]), steps)
        if reason is not None:
            ended[str(name)] = reason
    x.data, y.data = begin
    if extent is None:
        extent = _around_low_places(trajectories)
    surface = loss_surface(
        lambda: loss(x, y), [x, y], trajectory=trajectories, extent=extent, points=points, progress=False
    )
    return Race(surface, trajectories, ended)


def _check_optimizers(optimizers: Any) -> None:
    if not isinstance(optimizers, Mapping) or not optimizers:
        raise TypeError(
            'race: optimizers: expected a dict such as {"Adam": Adam}, got '
            f"{'an empty one' if isinstance(optimizers, Mapping) else 'a ' + type(optimizers).__name__}"
        )


def _made(name: str, factory: Any, parameters: list[Value]) -> Optimizer:
    if isinstance(factory, Optimizer) or not callable(factory):
        kind = type(factory).__name__
        raise TypeError(
            f"race: optimizers: {name}: expected a class or a function that makes an optimizer, got an object of type "
            f"{kind}; write lambda parameters: {kind if isinstance(factory, Optimizer) else 'SGD'}(parameters, lr=...)"
        )
    expected = instance(Optimizer, "a function that returns an Optimizer")
    made: Optimizer = expected(f"race: optimizers: {name}", factory(parameters))
    if made.parameters() != parameters:
        raise ValueError(f"race: optimizers: {name}: expected an optimizer of the parameters that it is given")
    return made


def _run(
    loss: Callable[[Any, Any], Any], parameters: list[Value], optimizer: Optimizer, steps: int
) -> tuple[Trajectory, str | None]:
    """Return the walk of an optimizer, and the reason if it ended early."""
    trajectory = Trajectory(optimizer)

    def closure() -> Value:
        optimizer.zero_grad()
        height: Value = instance(Value, "it to return a Value")("race: loss", loss(*parameters))
        height.backward()
        return height

    for step in range(steps + 1):
        try:
            height = closure()
        except (ArithmeticError, ValueError) as error:
            if step == 0:
                raise  # the walk cannot begin: the start, or the loss, is wrong
            return trajectory, f"step {step}: {error}"
        trajectory.record(height)
        norm = trajectory.gradient_norms[-1]
        if not (math.isfinite(height.data) and math.isfinite(norm)):
            return trajectory, f"step {step}: the loss is {height.data}, the gradient's norm {norm}"
        if step < steps:
            optimizer.step(closure if optimizer.needs_closure else None)
    return trajectory, None


def _around_low_places(trajectories: Mapping[str, Trajectory]) -> Any:
    """Return the box around the places that are not higher than the start, whatever places a diverging walk visits."""
    return around(np.concatenate([walk.positions[walk.losses <= walk.losses[0]] for walk in trajectories.values()]))


def _scale_and_limits(start: float, losses: Vector) -> tuple[bool, float, float]:
    """Return whether a logarithmic scale shows the losses better, and the limits of the scale.

    A walk that diverges must not flatten the others: if one climbs above ten times the start, the picture ends there,
    or on a linear scale at twice the start.

    >>> _scale_and_limits(4.0, np.array([4.0, 3.0, 4.0, 9.0]))
    (False, -inf, inf)
    >>> _scale_and_limits(4.0, np.array([4.0, 0.25, 4.0, 1e9]))
    (True, 0.125, 40.0)
    """
    lowest = float(np.nanmin(losses))
    reach = max(abs(start), start - lowest)
    bounds = start + _DECADE * reach
    within = losses[losses <= bounds]
    log = asks_for_log(within)
    if len(within) == np.sum(~np.isnan(losses)) or not start < bounds < math.inf:
        return log, -math.inf, math.inf
    if log:
        return log, 0.5 * log_floor(within), bounds
    return log, lowest - 0.1 * reach, start + reach


def _crossing(losses: Vector, above: int, high: float, log: bool) -> float:
    """Return the place between two steps where the line to the first loss above `high` leaves the picture."""
    before, after = float(losses[above - 1]), float(losses[above])
    if log and before > 0.0:
        before, after, high = math.log(before), math.log(after), math.log(high)
    return above - 1 + (high - before) / (after - before)
