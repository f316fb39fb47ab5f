"""Pictures as SVG, in pure Python: scales, axes with ticks, curves and markers, in classes that `live.css` colours."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: The farthest that a point is drawn from the origin of a picture, in pixels: beyond, it is out of sight anyway.
_FAR = 4000.0
#: The shapes of markers around (0, 0), which tell walks apart without colours.
MARKERS = (
    "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0z",
    "M-5.5-5.5h11v11h-11z",
    "M0-7 7 5.5H-7z",
    "M0-7.5 7.5 0 0 7.5-7.5 0z",
    "M-7-5.5H7L0 7z",
    "M-2.2-6.5h4.4v4.3h4.3v4.4h-4.3v4.3h-4.4v-4.3h-4.3v-4.4h4.3z",
)


def short(x: float, digits: int = 6) -> str:
    """Write a number with so many significant digits, and a minus sign as wide as a plus.

    >>> short(-0.5), short(1234567.0), short(2.0)
    ('\u22120.5', '1.23457e+06', '2')
    """
    return f"{x:.{digits}g}".replace("-", "\u2212")


@dataclass(frozen=True)
class Scale:
    """A mapping from numbers to pixels.

    Args:
        low, high: the numbers at the ends.
        start, end: their pixels.
        log: True for a logarithmic scale, of positive numbers.

    >>> Scale(0.0, 10.0, 100.0, 200.0)(5.0), Scale(1.0, 100.0, 0.0, 80.0, log=True)(10.0)
    (150.0, 40.0)
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, x: float) -> float:
        """Return the pixel of a number, at most 4,000 from the origin."""
        low, high = self.low, self.high
        if self.log:
            low, high, x = math.log10(low), math.log10(high), math.log10(max(x, 1e-300))
        return max(-_FAR, min(_FAR, self.start + (self.end - self.start) * ((x - low) / (high - low))))

    def ticks(self) -> list[float]:
        """Return round numbers within the scale: about five, or powers of ten.

        >>> Scale(0.0, 10.0, 0.0, 1.0).ticks(), Scale(0.5, 200.0, 0.0, 1.0, log=True).ticks()
        ([0.0, 2.0, 4.0, 6.0, 8.0, 10.0], [1.0, 10.0, 100.0])
        """
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            return [float(f"1e{k}") for k in range(first, last + 1, max(1, (last - first + 4) // 5))]
        size = (self.high - self.low) / 5.0
        step = math.floor(math.log10(size))
        factor = next(m for m in (1, 2, 5, 10) if m * 10.0**step >= size * 0.75)
        width = float(f"{factor}e{step}")
        return [k * width + 0.0 for k in range(math.ceil(self.low / width - 1e-9), int(self.high // width) + 1)]

    def data(self) -> list[float]:
        """Return the numbers that the page needs to map as this scale does."""
        return [self.low, self.high, self.start, self.end, float(self.log)]


def extent(numbers: Iterable[float], margin: float = 0.06) -> tuple[float, float]:
    """Return limits around the finite numbers among some, which cut off poles.

    >>> extent([0.0, 1.0, float("nan")], 0.5)
    (-0.5, 1.5)
    """
    found = sorted(x for x in numbers if math.isfinite(x)) or [0.0]
    last = len(found) - 1
    low, high = found[0], found[last]
    inner = found[last // 10], found[last - last // 10]
    if high - low > 100.0 * (inner[1] - inner[0]) > 0.0:
        low, high = max(low, 2.0 * inner[0] - inner[1]), min(high, 2.0 * inner[1] - inner[0])
    room = margin * (high - low) or max(1.0, abs(high))
    return low - room, high + room


def lines(points: Iterable[tuple[float, float]], x: Scale, y: Scale) -> str:
    """Return the outline of a curve through points, with a gap where a number is not finite.

    >>> lines([(0.0, 0.0), (1.0, 2.0)], Scale(0, 1, 0, 10), Scale(0, 2, 10, 0))
    'M0.0 10.0L10.0 0.0'
    """
    parts: list[str] = []
    pen = "M"
    for a, b in points:
        if math.isfinite(a) and math.isfinite(b):
            parts.append(f"{pen}{x(a):.1f} {y(b):.1f}")
            pen = "L"
        else:
            pen = "M"
    return "".join(parts)


def dots(points: Iterable[tuple[float, float]], x: Scale, y: Scale) -> str:
    """Return the outline of round dots, which are lines of no length with round ends."""
    return "".join(f"M{x(a):.1f} {y(b):.1f}h0" for a, b in points)


def axes(x: Scale, y: Scale, names: Sequence[str] = ("", "")) -> str:
    """Return a frame with ticks, numbers, and the names of both axes."""
    left, right, bottom, top = x.start, x.end, y.start, y.end
    parts = [f'<rect class="frame" x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"/>']
    for tick in x.ticks():
        place = f"{x(tick):.1f}"
        parts.append(f'<path class="grid" d="M{place} {bottom}V{top}"/>')
        parts.append(f'<text x="{place}" y="{bottom + 17}" text-anchor="middle">{short(tick, 4)}</text>')
    for tick in y.ticks():
        place = f"{y(tick):.1f}"
        parts.append(f'<path class="grid" d="M{left} {place}H{right}"/>')
        parts.append(f'<text x="{left - 6}" y="{place}" dy="0.35em" text-anchor="end">{short(tick, 4)}</text>')
    middle, first, second = 0.5 * (left + right), html.escape(names[0]), html.escape(names[1])
    parts.append(f'<text class="name" x="{middle:.1f}" y="{bottom + 35}" text-anchor="middle">{first}</text>')
    parts.append(f'<text class="name" x="{left - 6}" y="{top - 12}" text-anchor="middle">{second}</text>')
    return "".join(parts)


def clipped(inside: str, x: Scale, y: Scale) -> str:
    """Return a drawing cut off at the frame of the axes."""
    box = f"{x.start} {y.end} {x.end - x.start} {y.start - y.end}"
    left, top, width, height = box.split()
    size = f'x="{left}" y="{top}" width="{width}" height="{height}"'
    return f'<svg {size} viewBox="{box}" overflow="hidden">{inside}</svg>'


def picture(width: int, height: int, inside: str, says: str) -> str:
    """Return an SVG element that a screen reader reads as one picture with a description."""
    return (
        f'<svg class="plot" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{html.escape(says)}">{inside}</svg>'
    )
