"""Draw docs/descent.svg: gradient descent on one loss surface, with four learning rates.

Run with `python docs/descent.py`; it needs no other package. The picture is 520 pixels wide, so that it can be read on
a page of 390 pixels.
"""

from __future__ import annotations

import math
from pathlib import Path

from microgrud import Value
from microgrud.common.pages import LIGHT
from microgrud.interactive.charts import (
    DASHES,
    Axis,
    End,
    axes,
    cut,
    line,
    marks,
    names_at_ends,
    picture,
    pixel,
    short,
)
from microgrud.optim import SGD

RATES = {0.01: "too small", 0.15: "good", 0.19: "nearly too large", 0.21: "too large"}
STEPS = 40
START = (-4.0, 1.5)
STEEPNESS = 10.0
LEVELS = (1.0, 4.0, 9.0, 16.0, 25.0)
WIDTH, HEIGHT = 520, 720


def loss(w: Value, b: Value) -> Value:
    """Compute a loss of two parameters: a bowl that is ten times as steep in the direction of b as in that of w."""
    return 0.5 * (w**2 + STEEPNESS * b**2)


def walk(rate: float) -> tuple[list[tuple[float, float]], list[float]]:
    """Descend from START by gradient descent, and return the places and the loss at each of them.

    >>> places, losses = walk(0.15)
    >>> len(places), losses[0], losses[-1] < 1e-4
    (41, 19.25, True)
    """
    w, b = Value(START[0]), Value(START[1])
    optimizer = SGD([w, b], lr=rate)
    places, losses = [], []
    for _ in range(STEPS + 1):
        height = loss(w, b)
        places.append((w.data, b.data))
        losses.append(height.data)
        optimizer.zero_grad()
        height.backward()
        optimizer.step()
    return places, losses


def panel(k: int, rate: float, left: float, top: float) -> str:
    """Return the surface from above, with losses on its contours, and one walk on it, which may leave the picture.

    The lower, the darker, in the dark theme too: a map has a light ground.
    """
    places, losses = walk(rate)
    across, up = Axis(-5.6, 5.6, left, left + 246), Axis(-2.5, 2.5, top + 180, top + 46)
    frame = f"M{pixel(left)} {pixel(top + 46)}h246v134h-246z"
    ground = [f'<path class="paper" d="{frame}"/>']
    for level in reversed(LEVELS):
        wide, high = math.sqrt(2.0 * level), math.sqrt(2.0 * level / STEEPNESS)
        size = f'rx="{pixel(across(wide) - across(0.0))}" ry="{pixel(up(0.0) - up(high))}"'
        middle = f'cx="{pixel(across(0.0))}" cy="{pixel(up(0.0))}"'
        ground.append(f'<ellipse class="c5 f5" fill-opacity="0.12" stroke-opacity="0.5" {middle} {size}/>')
    for level in (1.0, 9.0):
        place = pixel(across(math.sqrt(2.0 * level)) - 3)
        ground.append(f'<text x="{place}" y="{pixel(up(0.0) + 5)}" text-anchor="end">{level:g}</text>')
    pixels = [(across(w), up(b)) for w, b in places]
    last = [] if abs(places[-1][1]) > up.high else pixels[-1:]
    body = "".join(ground) + (
        f'<path class="c{k}" fill="none" stroke-width="1.6" stroke-dasharray="{DASHES[k]}" d="{line(pixels)}"/>'
        f'<path class="f{k}" d="{marks(k, pixels[1:], 2.6)}"/><path class="dot" d="{marks(0, pixels[:1], 6)}"/>'
        f'<path class="f{k}" d="{marks(k, last, 7)}"/>'
    )
    return (
        f'<text x="{pixel(left)}" y="{pixel(top + 16)}" font-weight="600">rate {rate:g}: {RATES[rate]}</text>'
        f'<text x="{pixel(left)}" y="{pixel(top + 36)}">loss {short(losses[0], 3)} to {short(losses[-1], 3)}</text>'
        f'<g style="{LIGHT}">{cut(across, up, body)}</g><path class="grid" fill="none" d="{frame}"/>'
    )


def curves(top: float) -> str:
    """Return the loss at each step of the four walks."""
    across, up = Axis(0.0, STEPS, 70, 350, whole=True), Axis(5e-6, 5e5, HEIGHT - 52, top, log=True)
    body, ends = [], []
    for k, rate in enumerate(RATES):
        _, losses = walk(rate)
        places = [(across(step), up(height)) for step, height in enumerate(losses)]
        look = f'class="c{k}" fill="none" stroke-width="2.2" stroke-dasharray="{DASHES[k]}"'
        body.append(f'<path {look} d="{line(places)}"/>')
        ends.append(End(places[-1], f"rate {rate:g}", look))
    return axes(across, up, "".join(body), ("step", "loss (logarithmic scale)")) + names_at_ends(ends, across.end, up)


def draw(path: Path) -> None:
    """Draw each walk over the surface, and below them their losses: the same bytes every time."""
    panels = [panel(k, rate, 6 + 262 * (k % 2), 202 * (k // 2)) for k, rate in enumerate(RATES)]
    says = "Gradient descent on a bowl with four learning rates, and the loss at each step"
    path.write_text(picture(WIDTH, HEIGHT, "".join(panels) + curves(446), says), encoding="utf-8")


if __name__ == "__main__":
    draw(Path(__file__).with_suffix(".svg"))
