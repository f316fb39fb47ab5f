"""Animations of a walk: a GIF, or a page that plays it."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from ..common.checks import instance, real, whole
from ..common.files import naming, write_atomically
from ..common.numbers import Interval
from ..engine.vectors import Vector
from .axes import axes_for
from .scales import drawable
from .style import outline, style
from .surface import LossSurface
from .trajectory import Trajectories, by_name
from .walks import draw_legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Texts in place of the button icons, which matplotlib's page would fetch from the network.
_BUTTONS = {
    "fa-minus": "&minus;",
    "fa-fast-backward": "|&#x25C0;",
    "fa-step-backward": "&lsaquo;",
    "fa-play fa-flip-horizontal": "&#x25C0;",
    "fa-pause": "||",
    "fa-play": "&#x25B6;",
    "fa-step-forward": "&rsaquo;",
    "fa-fast-forward": "&#x25B6;|",
    "fa-plus": "+",
}


def animate(
    surface: LossSurface,
    trajectory: Trajectories,
    path: str | os.PathLike[str],
    *,
    fps: float = 10.0,
    dpi: int = 80,
    most_frames: int = 150,
) -> Path:
    """Write an animation of a walk, or of several at once, over the contours of a surface.

    Equal walks give equal bytes with the same version of matplotlib. The file is written whole or not at all.

    Args:
        surface: the surface below the walks.
        trajectory: the walk, or several by name; those of the surface if None.
        path: the file to write: `.gif`, or `.html` for a page with a player that needs no network. Missing folders are
            created.
        fps: the number of frames in a second, above 0.
        dpi: the number of pixels to an inch of the Figure.
        most_frames: the most frames, at least 2; in a longer walk each frame stands for several steps.

    Returns:
        The path. In a notebook, `IPython.display.Image(filename)` or `IPython.display.HTML(path.read_text())` shows it.

    Raises:
        TypeError, ValueError: for another kind of file, and for invalid arguments.
        OSError: if the file cannot be written.
        ImportError: without matplotlib.

    >>> from microgrud import Value
    >>> from microgrud.optim import SGD
    >>> from microgrud.plot import loss_surface, ravine, Trajectory
    >>> x, y = Value(2.0, label="x"), Value(1.0, label="y")
    >>> trajectory = Trajectory([x, y])
    >>> for x.data in (2.0, 1.0, 0.0):
    ...     trajectory.record(ravine(x, y))
    >>> surface = loss_surface(lambda: ravine(x, y), [x, y], trajectory=trajectory, points=5)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     animate(surface, trajectory, Path(folder) / "walk.gif").read_bytes()[:6]
    b'GIF89a'
    """
    where = "animate"
    ax = axes_for(where, None, 6.4, 4.8)
    instance(LossSurface, "a LossSurface")(f"{where}: surface", surface)
    walks = surface.trajectories if trajectory is None else by_name(f"{where}: trajectory", trajectory)
    if not walks:
        raise ValueError(f"{where}: trajectory: expected at least one walk, got none")

    def panels() -> list[Panel]:
        paths = {name: drawable(surface.path(walk)) for name, walk in walks.items()}
        return [Panel(surface.contour(ax, trajectory={}), paths)]

    return write_film(where, path, panels, fps, dpi, most_frames)


class Panel(NamedTuple):
    """A part of each frame.

    Attributes:
        below: the Axes of what is the same in all frames.
        paths: the places of each walk by its name: an array of shape (places, 2).
        has_legend: whether the walks have a legend; otherwise that of the Axes below names them.
    """

    below: Any
    paths: Mapping[str, Vector]
    has_legend: bool = True


def write_film(
    where: str, path: Any, panels: Callable[[], Sequence[Panel]], fps: Any, dpi: Any, most_frames: Any
) -> Path:
    """Write an animation of the panels of one Figure; the first one gets the count of the steps.

    Args:
        where: the caller's name, for messages.
        path: as in `animate`.
        panels: a function that draws what is the same in all frames; it is called once the file can be written.
        fps: as in `animate`.
        dpi: as in `animate`.
        most_frames: as in `animate`.
    """
    target = Path(instance((str, os.PathLike), "the name of a file")(f"{where}: path", path))
    if target.suffix.lower() not in (".gif", ".html"):
        raise ValueError(f"{where}: path: expected a file name that ends in .gif or .html, got {os.fspath(path)!r}")
    fps = real(Interval(0.0, 1000.0, low_open=True))(f"{where}: fps", fps)
    dpi, most_frames = whole(1)(f"{where}: dpi", dpi), whole(2)(f"{where}: most_frames", most_frames)
    target.parent.mkdir(parents=True, exist_ok=True)  # fails before the frames are drawn, which takes long
    drawn = panels()
    steps = _steps(max(len(places) for panel in drawn for places in panel.paths.values()), most_frames)
    write_atomically(target, _film(_frames(drawn, steps, dpi), target.suffix.lower(), fps, dpi))
    return target


def _steps(places: int, most_frames: int) -> list[int]:
    """Return the last step that each frame shows: evenly spaced, with the first and the last step of the walk."""
    spaced = np.linspace(0, places - 1, min(places, most_frames)).round()
    return sorted({int(step) for step in spaced})


def _frames(panels: Sequence[Panel], steps: list[int], dpi: int) -> Iterator[Figure]:
    """Yield the Figure of each frame, always the same one: an image of the Axes below, and the walks up to a step.

    What is the same in all frames, which takes longest, is drawn once.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    below = panels[0].below.figure
    below.set_dpi(dpi)
    panels[0].below.set_title(" ")  # room for the count
    canvas: Any = FigureCanvasAgg(below)
    canvas.draw()
    figure = Figure(figsize=below.get_size_inches(), dpi=dpi)
    figure.figimage(np.array(canvas.buffer_rgba()), resize=False, zorder=-1)
    moving = [_moving(figure, panel) for panel in panels]
    for step in steps:
        for panel, (_, lines, heads) in zip(panels, moving):
            for places, line, head in zip(panel.paths.values(), lines, heads):
                line.set_data(*places[: step + 1].T)
                head.set_data(*places[min(step, len(places) - 1)][:, None])
        moving[0][0].set_title(f"step {step}", fontsize="medium")
        yield figure


def _moving(figure: Any, panel: Panel) -> tuple[Any, list[Any], list[Any]]:
    """Add the walks of a panel to a Figure; return their Axes, and for each walk its line and its head."""
    below = panel.below
    limits = {"xlim": below.get_xlim(), "ylim": below.get_ylim(), "yscale": below.get_yscale()}
    ax: Any = figure.add_axes(below.get_position(), **limits)
    ax.set_axis_off()
    lines: list[Any] = []
    heads: list[Any] = []
    for i, (name, places) in enumerate(panel.paths.items()):
        look = style(i)
        lines += ax.plot(
            *places.T, color=look.color, linestyle=look.dashes, linewidth=1.4, marker=look.marker, markersize=3.0,
            label=name, zorder=4, path_effects=outline(3.0),
        )  # fmt: skip
        heads += ax.plot(
            [], [], linestyle="none", marker=look.marker, markersize=10, markerfacecolor=look.color,
            markeredgecolor="white", zorder=5,
        )  # fmt: skip
    if panel.has_legend:
        legend = draw_legend(ax, lines)
        figure.draw_without_rendering()
        legend.set_loc(tuple(ax.transAxes.inverted().transform(legend.get_window_extent().min)))  # in all frames
    return ax, lines, heads


def _film(frames: Iterator[Figure], suffix: str, fps: float, dpi: int) -> bytes:
    """Return the frames as the bytes of a GIF file or of a page."""
    from matplotlib.animation import HTMLWriter, PillowWriter

    figure, speed = next(frames), cast(int, fps)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"film{suffix}"
        # Without a limit, since matplotlib drops the frames beyond its limit and shows a shorter walk.
        writer: Any = PillowWriter(speed) if suffix == ".gif" else HTMLWriter(speed, embed_frames=True, embed_limit=1e9)
        with naming(file), writer.saving(figure, file, dpi):
            writer.grab_frame()
            for _ in frames:
                writer.grab_frame()
        return file.read_bytes() if suffix == ".gif" else _self_contained(file.read_text(encoding="utf-8")).encode()


def _self_contained(page: str) -> str:
    """Return the page with buttons that need no font from the network, and with ids that are the same in every run."""
    page = re.sub(r'<link rel="stylesheet"\s+href="[^"]*font-awesome[^"]*">\s*', "", page)
    for name, text in _BUTTONS.items():
        page = page.replace(f'<i class="fa {name}"></i>', text)
    drawn = re.search(r'id="_anim_img([0-9a-f]{32})"', page)
    if drawn is not None:
        fixed = page.replace(drawn[1], "")
        page = page.replace(drawn[1], hashlib.sha256(fixed.encode("utf-8")).hexdigest()[:32])
    return f'<!DOCTYPE html>\n<meta charset="utf-8">\n<title>A walk over a loss surface</title>\n{page}'
