"""A race as a player for notebooks and pages: its walks over the surface, and their losses, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from ..common.pages import LIGHT
from ..common.words import shortened
from ..engine.vectors import Vector
from ..interactive.charts import (
    DASHES,
    LETTER,
    SERIES,
    WIDTH,
    Axis,
    End,
    axes,
    axis_of,
    frame,
    line,
    marks,
    names_at_ends,
    picture,
    pixel,
    short,
)
from ..interactive.heatmap import contour, png
from ..interactive.picture import Picture
from .scales import LOG_NOTE, asks_for_log, drawable, log_floor
from .surface import LossSurface
from .trajectory import Trajectory

#: Shades of grey in the image of the surface, and the greatest opacity, of 255, which the lowest places have.
_SHADES, _OPAQUE = 32, 150
_LEVELS = 8
#: A walk in pixels.
Run: TypeAlias = "list[tuple[float, float]]"
#: The most grid points along a side at which contours are followed; their pieces would make the picture large.
_MOST_POINTS = 51
_NAME = 16
_GAP = 40.0


class RacePlayer(Picture):
    """The walks of a race over the contours of the surface, and below them the loss at each step.

    A notebook shows a player; `.save("race.html")` writes a page, and `print` says the losses at each step. A walk that
    ended early waits at its last place.

    Args:
        surface: the surface below the walks.
        walks: the walks by name.
        scale: of the losses: whether it is logarithmic, and its limits, which may be infinite.
    """

    _label = "A race of optimizers"

    def __init__(self, surface: LossSurface, walks: Mapping[str, Trajectory], scale: tuple[bool, float, float]) -> None:
        self._surface = surface
        self._places = {name: drawable(surface.path(walk)) for name, walk in walks.items()}
        self._losses = {name: drawable(walk.losses) for name, walk in walks.items()}  # infinite or NaN at an early end
        log, low, high = scale
        everything = np.concatenate(list(self._losses.values()))
        everything = everything[np.isfinite(everything)]
        heights = axis_of(np.maximum(everything, log_floor(everything)) if log else everything, log=log)
        self._up = Axis(low, high, 0.0, 1.0, log=log) if np.isfinite(high) else heights
        left, right, top, bottom = frame(Axis(float(surface.y[0]), float(surface.y[-1]), 0.0, 1.0))
        self._ground = (Axis(float(surface.x[0]), float(surface.x[-1]), left, right),
                        Axis(float(surface.y[0]), float(surface.y[-1]), bottom, top))  # fmt: skip
        widest = max(len(shortened(name, _NAME)) for name in walks)
        left, right, top, bottom = frame(self._up, right=48.0 + 1.3 * LETTER * widest)
        down = self._ground[1].start + _GAP + 20.0
        last = max(len(self) - 1, 1)
        self._chart = (Axis(0.0, float(last), left, right, whole=True), self._up.moved(bottom + down, top + down))

    def __len__(self) -> int:
        """Return the number of steps of the longest walk, with its start."""
        return max(map(len, self._places.values()))

    def _words(self, state: int) -> str:
        losses = (f"{name} {short(self._at(losses, state), 3)}" for name, losses in self._losses.items())
        return f"step {state} of {len(self) - 1}, loss: {', '.join(losses)}"

    @staticmethod
    def _at(losses: Vector, step: int) -> float:
        return float(losses[min(step, len(losses) - 1)])

    def _pixels(self) -> tuple[list[Run], list[Run]]:
        """Return the places of each walk over the surface, and those of its losses in the chart."""
        (across, up), (steps, heights) = self._ground, self._chart
        places = [[(across(float(x)), up(float(y))) for x, y in run] for run in self._places.values()]
        # An infinite loss, or NaN, is drawn as one beyond the upper end.
        losses = [np.where(np.isnan(run), np.inf, run) for run in self._losses.values()]
        return places, [[(steps(k), heights(float(loss))) for k, loss in enumerate(run)] for run in losses]

    def _frames(self, shown: list[int]) -> list[list[str]]:
        places, losses = self._pixels()
        frames = []
        for before, step in pairwise([-1, *shown]):
            slots = []
            for run in places + losses:
                piece = "".join(f"L{pixel(u)} {pixel(v)}" for u, v in run[before + 1 : step + 1])
                x, y = run[min(step, len(run) - 1)]
                slots += ["M" + piece[1:] if before < 0 else piece, f"translate({pixel(x)} {pixel(y)})"]
            frames.append(slots)
        return frames

    def _svg(self, state: int, titled: bool) -> str:
        (across, up), (steps, heights) = self._ground, self._chart
        places, losses = self._pixels()
        names = [shortened(name, _NAME) for name in self._places]
        ends = [End(run[-1], name, _style(k)) for k, (name, run) in enumerate(zip(names, losses))]
        loss = f"loss{LOG_NOTE if self._up.log else ''}"
        # The elements that move are in the order of `_frames`.
        ground = f'<g style="{LIGHT}">{"".join(self._relief())}{_moving(places, state)}</g>'
        body = axes(across, up, ground, self._surface.plane.labels)
        body += axes(steps, heights, _moving(losses, state), ("step", loss)) + names_at_ends(ends, steps.end, heights)
        if titled:
            body += f'<text x="{across.end}" y="18" text-anchor="end">step {state} of {len(self) - 1}</text>'
        return picture(WIDTH, heights.start + _GAP + 10.0, body, f"{self._label}: {self._words(state)}")

    def _relief(self) -> Iterator[str]:
        """Yield the surface: paper, an image, the lower the darker, and contours."""
        surface, (across, up) = self._surface, self._ground
        yield f'<path class="paper" d="M{across.start} {up.start}H{across.end}V{up.end}H{across.start}z"/>'
        losses = np.where(np.isfinite(surface.losses), drawable(surface.losses), np.nan)
        if np.isnan(losses).all():
            return
        log = asks_for_log(losses)
        heights = np.log(np.maximum(losses, log_floor(losses))) if log else losses
        low, high = float(np.nanmin(heights)), float(np.nanmax(heights))
        shares = (heights - low) / ((high - low) or 1.0)
        shades = np.round(np.nan_to_num(1.0 - shares) * (_SHADES - 1)) / (_SHADES - 1) * _OPAQUE
        greys = [[bytes([128, 128, 128, int(shade)]) for shade in row] for row in shades[::-1]]
        rows, columns = losses.shape
        width, height = (across.end - across.start) / (columns - 1), (up.start - up.end) / (rows - 1)
        yield (
            f'<image href="{png(greys)}" preserveAspectRatio="none" '
            f'x="{across.start - width / 2:.2f}" y="{up.end - height / 2:.2f}" width="{columns * width:.2f}" '
            f'height="{rows * height:.2f}"/>'
        )
        every = max(1, -(-max(rows, columns) // _MOST_POINTS))
        some = shares[::every, ::every]
        pieces = "".join(
            line([(across.start + u * every * width, up.start - v * every * height) for u, v in piece])
            for level in np.linspace(0.0, 1.0, _LEVELS + 2)[1:-1]
            for piece in contour(some.tolist(), float(level))
        )
        yield f'<path class="ink" fill="none" opacity="0.35" d="{pieces}"/>'


def _style(k: int) -> str:
    return f'class="c{k % SERIES}" fill="none" stroke-width="2.2" stroke-dasharray="{DASHES[k % SERIES]}"'


def _moving(runs: list[Run], state: int) -> str:
    """Return for each walk its line up to a step, and the mark at its end."""
    parts = []
    for k, run in enumerate(runs):
        x, y = run[min(state, len(run) - 1)]
        parts.append(
            f'<path {_style(k)} data-slot="d" data-grows="" d="{line(run[: state + 1])}"/><path class="f{k % SERIES}" '
            f'data-slot="transform" d="{marks(k, [(0.0, 0.0)])}" transform="translate({pixel(x)} {pixel(y)})"/>'
        )
    return "".join(parts)
