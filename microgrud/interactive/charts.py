"""Charts as SVG, written by hand: scales, ticks and axes, in colours that follow the page's light or dark theme.

No NumPy and no matplotlib: the charts are drawn where Python runs in a browser, too. A chart has no ids, so that it can
stand twice on a page, and asks for no other file.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..common.numbers import Interval
from ..common.pages import COLOURS, theme

#: The size of a chart in its own pixels; on a page of 390 pixels its letters are 12 to 13 pixels high.
WIDTH, HEIGHT, LETTER = 420, 310, 8.0
#: The width of a letter of long numbers.
_WIDEST = 9.0
#: The largest number that is drawn: sums and differences of drawn numbers must not overflow.
LARGEST = 1e250
DRAWN = Interval(-LARGEST, LARGEST)
#: The farthest that a place is from the origin of a picture, in pixels: beyond, it is out of sight anyway.
_FAR = 1900.0
#: A logarithmic axis shows more from this ratio of the largest to the smallest number on.
_WIDE = 10.0

#: The number of colours and dashes for curves and classes.
SERIES = 6
DASHES = ("", "7 4", "2 3", "9 3 2 3", "14 4", "4 2 1 2 1 2")


def _rule(selector: str, *settings: tuple[str, str]) -> str:
    """Return a rule with colours: first the light one, for programs that know no variables."""
    text = "".join(f"{key}:{COLOURS[name][0]};{key}:var(--mg-{name});" for key, name in settings)
    return f".microgrud {selector}{{{text}}}\n"


#: The style of all charts; those of sections around charts have their colours from it, too.
STYLE = (
    theme(".microgrud", COLOURS)
    + ".microgrud{font:15px system-ui,sans-serif}\n"
    + _rule("text", ("fill", "ink"))
    + _rule(".paper", ("fill", "paper"))
    + _rule(".grid", ("stroke", "grid"))
    + _rule(".ink", ("stroke", "ink"))
    + _rule(".dot", ("fill", "ink"), ("stroke", "paper"))
    + "".join(_rule(f".c{k}", ("stroke", f"c{k}")) + _rule(f".f{k}", ("fill", f"c{k}"), ("stroke", "paper"))
              for k in range(SERIES))
)  # fmt: skip


def short(number: float, digits: int = 6) -> str:
    """Write a number with so many significant digits, and a minus sign as wide as a plus; zeros have none.

    >>> short(-0.01234), short(1234567.0, 3), short(1e-5), short(-0.0)
    ('\u22120.01234', '1.23e+06', '1e\u221205', '0')
    """
    return f"{number + 0.0:.{digits}g}".replace("-", "\u2212")


def pixel(number: float) -> str:
    """Write a place in pixels to a tenth.

    >>> pixel(12.04), pixel(12.06)
    ('12', '12.1')
    """
    return f"{number:.1f}".removesuffix(".0")


def escaped(text: str) -> str:
    r"""Return text for SVG or HTML; characters that XML forbids, among others, become a question mark in a diamond.

    >>> escaped("a < b"), escaped("\x1b")
    ('a &lt; b', '\ufffd')
    """
    return html.escape("".join(letter if letter.isprintable() else "\ufffd" for letter in text))


@dataclass(frozen=True)
class Axis:
    """A scale from numbers to pixels.

    Attributes:
        low: the number at the start.
        high: the number at the end, above `low`.
        start: the place of `low` in pixels.
        end: the place of `high` in pixels.
        log: whether the scale is logarithmic; numbers that are not positive are then drawn below its start.
        whole: whether only whole numbers are written at the axis.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    whole: bool = False

    def __call__(self, number: float) -> float:
        """Return the place of a number, at most 1,900 pixels from the origin."""
        low, high, x = self.low, self.high, max(min(number, LARGEST), -LARGEST)
        if self.log:
            low, high, x = math.log10(low), math.log10(high), math.log10(max(x, 1e-320))
        return max(-_FAR, min(_FAR, self.start + (self.end - self.start) * ((x - low) / (high - low))))

    def ticks(self) -> list[tuple[float, str]]:
        """Return the places of some round numbers, and the numbers in words.

        >>> [words for _, words in Axis(0.0, 1.0, 0.0, 300.0).ticks()]
        ['0', '0.2', '0.4', '0.6', '0.8', '1']
        >>> [words for _, words in Axis(0.02, 300.0, 0.0, 300.0, log=True).ticks()]
        ['0.1', '1', '10', '100']
        """
        numbers = _powers(self.low, self.high) if self.log else _round_numbers(self.low, self.high, self.whole)
        digits = 6
        if not self.log and len(numbers) > 1:  # as many as tell neighbours apart
            largest, step = max(map(abs, numbers)), numbers[-1] - numbers[-2]
            apart = min(17, 1 + round(math.log10(largest)) - math.floor(math.log10(step) + 1e-9))
            digits = apart if largest >= 1e5 else max(digits, apart)
        return [(self(number), short(number, digits)) for number in numbers]

    def moved(self, start: float, end: float) -> Axis:
        """Return the same scale at other places."""
        return Axis(self.low, self.high, start, end, self.log, self.whole)

    def data(self) -> list[float]:
        """Return the numbers that a script needs to map as this scale does."""
        return [self.low, self.high, self.start, self.end, float(self.log)]


def axis_of(numbers: Iterable[float], *, log: bool = False, margin: float = 0.06) -> Axis:
    """Return a scale that shows all finite numbers, with a margin on both sides, from 0 to 1 if there is none.

    >>> axis_of([0.0, 10.0], margin=0.1)
    Axis(low=-1.0, high=11.0, start=0.0, end=1.0, log=False, whole=False)
    """
    smallest = 1.0 / LARGEST if log else -LARGEST
    finite = [max(min(x, LARGEST), smallest) for x in numbers if math.isfinite(x) and (x > 0.0 or not log)]
    low, high = (min(finite), max(finite)) if finite else (0.1, 1.0) if log else (0.0, 1.0)
    if log:
        factor = high**margin / low**margin if high > 1.001 * low else 2.0
        return Axis(low / factor, high * factor, 0.0, 1.0, log=True)
    extra = margin * (high - low) if high - low > 1e-9 * max(abs(low), abs(high)) else 0.1 * abs(low) or 1.0
    return Axis(low - extra, high + extra, 0.0, 1.0)


def extent(numbers: Iterable[float], margin: float = 0.06) -> tuple[float, float]:
    """Return limits around the finite numbers among some, which cut off poles.

    >>> extent([0.0, 1.0, float("nan")], 0.5)
    (-0.5, 1.5)
    """
    found = sorted(max(min(x, LARGEST), -LARGEST) for x in numbers if math.isfinite(x)) or [0.0]
    last = len(found) - 1
    low, high = found[0], found[last]
    inner = found[last // 10], found[last - last // 10]
    if high - low > 100.0 * (inner[1] - inner[0]) > 0.0:
        low, high = max(low, 2.0 * inner[0] - inner[1]), min(high, 2.0 * inner[1] - inner[0])
    room = margin * (high - low) or max(1.0, abs(high))
    return low - room, high + room


def asks_for_log(numbers: Iterable[float]) -> bool:
    """Return whether a logarithmic axis shows the numbers better: all are positive, and their range is wide.

    >>> asks_for_log([1.0, 9.0]), asks_for_log([0.01, 10.0]), asks_for_log([0.0, 10.0])
    (False, True, False)
    """
    finite = [x for x in numbers if math.isfinite(x)]
    return bool(finite) and min(finite) > 0.0 and max(finite) > _WIDE * min(finite)


def _round_numbers(low: float, high: float, whole: bool) -> list[float]:
    """Return round numbers from low to high, three to seven of them."""
    rough = max((high - low) / 7.0, 1.0 if whole else 5e-324)
    power = math.floor(math.log10(rough))
    factor = next(factor for factor in (1, 2, 5, 10) if float(f"{factor}e{power}") >= 0.999 * rough)
    step = float(f"{factor}e{power}")
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    # One rounding for each number: 3 * 0.1 would be written 0.30000000000000004. Two may round to one.
    return [*dict.fromkeys(float(f"{k * factor}e{power}") for k in range(first, last + 1))]


def _powers(low: float, high: float) -> list[float]:
    """Return powers of ten from low to high, at most six; round numbers between them if there are less than two."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first < 1:
        found = [factor * 10.0**k for k in (first - 1, first) for factor in (1, 2, 3, 5) if low <= factor * 10.0**k]
        return [float(f"{x:.12g}") for x in found if x <= high]
    every = -(-(last - first + 1) // 6)
    return [float(f"1e{k}") for k in range(first, last + 1) if (k - first) % every == 0]


# --- marks ---


def line(places: Iterable[tuple[float, float] | None], *, whole: bool = False) -> str:
    """Return the path through places, with a gap at each None.

    Places on a straight line between others are left out, unless the path is to be `whole`, as a script draws it.

    >>> line([(0, 0), (1, 1), (2, 2), None, (3, 0), (4, 4)])
    'M0 0L2 2M3 0L4 4'
    """
    runs: list[list[tuple[float, float]]] = [[]]
    for place in places:
        if place is None:
            runs.append([])
            continue
        run = runs[-1]
        if not whole and len(run) >= 2 and _straight(run[-2], run[-1], place):
            run.pop()
        run.append(place)
    return "".join("M" + "L".join(f"{pixel(x)} {pixel(y)}" for x, y in run) for run in runs if run)


def _straight(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Return whether the middle one of three places lies between the others, to a hundredth of a pixel."""
    length = math.dist(a, c)
    off = (c[0] - a[0]) * (b[1] - a[1]) - (c[1] - a[1]) * (b[0] - a[0])
    inside = (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1])
    return abs(off) <= 0.01 * length and inside >= 0.0


def places(points: Iterable[tuple[float, float]], across: Axis, up: Axis) -> list[tuple[float, float] | None]:
    """Return the places of points, None where a number is not finite."""
    return [(across(x), up(y)) if math.isfinite(x) and math.isfinite(y) else None for x, y in points]


def marks(shape: int, places: Iterable[tuple[float, float]], size: float = 5.0) -> str:
    """Return the path of a mark at each place: a circle, square, triangle, diamond, cross or a triangle upside down."""
    r, d = size, 1.25 * size
    s, e, f = (f"{factor * r:g}" for factor in (0.9, 0.4, 0.85))
    forms = (
        f"m-{r:g} 0a{r:g} {r:g} 0 1 0 {2 * r:g} 0a{r:g} {r:g} 0 1 0 -{2 * r:g} 0z",
        f"m-{s} -{s}h{1.8 * r:g}v{1.8 * r:g}h-{1.8 * r:g}z",
        f"m0 -{d:g}l{d:g} {2 * r:g}h-{2 * d:g}z",
        f"m0 -{d:g}l{d:g} {d:g}l-{d:g} {d:g}l-{d:g} -{d:g}z",
        f"m-{e} -{d:g}h{0.8 * r:g}v{f}h{f}v{0.8 * r:g}h-{f}v{f}h-{0.8 * r:g}v-{f}h-{f}v-{0.8 * r:g}h{f}z",
        f"m0 {d:g}l{d:g} -{2 * r:g}h-{2 * d:g}z",
    )
    return "".join(f"M{pixel(x)} {pixel(y)}{forms[shape % len(forms)]}" for x, y in places)


# --- the frame ---


@dataclass(frozen=True)
class Legend:
    """An entry below a chart: a mark in SVG, drawn around (0, 0), from -8 to 10, and its words."""

    mark: str
    words: str


def chart(
    across: Axis,
    up: Axis,
    inside: str,
    *,
    labels: tuple[str, str],
    says: str,
    title: str | None = None,
    over: str = "",
    legend: Sequence[Legend] = (),
) -> str:
    """Return a chart: its axes and what is drawn between them.

    Args:
        across: the horizontal axis, in the pixels of `frame`.
        up: the vertical one.
        inside: SVG between the axes, cut at them.
        labels: the words below the horizontal axis and above the vertical one.
        says: the chart in words, for those who do not see it.
        title: a line above the chart; None for none.
        over: SVG over the axes, cut nowhere.
        legend: the entries below the chart.
    """
    line_above = "" if title is None else f'<text x="4" y="18" font-weight="600">{escaped(title)}</text>'
    rows, height = _legend_rows(legend, up.start + 62)
    return picture(WIDTH, height, line_above + axes(across, up, inside, labels) + over + rows, says)


def picture(width: float, height: float, body: str, says: str, *, alone: bool = True) -> str:
    """Return a drawing with the style of all charts, which a screen reader reads as one picture with a description.

    One that does not stand alone has no style: its page has it already.
    """
    style, kind = (f"<style>\n{STYLE}</style>", ' xmlns="http://www.w3.org/2000/svg"') if alone else ("", "")
    return (
        f'<svg{kind} class="microgrud plot" role="img" aria-label="{escaped(says)}" '
        f'viewBox="0 0 {pixel(width)} {pixel(height)}" width="{pixel(width)}" height="{pixel(height)}" '
        f'style="max-width:100%;height:auto">{style}<rect class="paper" width="100%" height="100%"/>'
        f"{body}</svg>"
    )


def axes(across: Axis, up: Axis, inside: str, labels: tuple[str, str]) -> str:
    """Return two axes with numbers, what is drawn between them, cut at them, and the words at the axes."""
    left, right, top, bottom = across.start, across.end, up.end, up.start
    parts = []
    for place, words in up.ticks():
        parts.append(f'<path class="grid" d="M{pixel(left)} {pixel(place)}H{pixel(right)}"/>')
        squeezed = f' textLength="{pixel(left - 8)}" lengthAdjust="spacingAndGlyphs"'
        fit = squeezed if len(words) * _WIDEST > left - 8 else ""
        parts.append(f'<text x="{pixel(left - 6)}" y="{pixel(place + 5)}" text-anchor="end"{fit}>{words}</text>')
    end = -math.inf
    for place, words in across.ticks():
        parts.append(f'<path class="ink" d="M{pixel(place)} {pixel(bottom)}v5"/>')
        if place - 0.5 * _WIDEST * len(words) > end:  # others would overlap
            end = place + 0.5 * _WIDEST * len(words)
            parts.append(f'<text x="{pixel(place)}" y="{pixel(bottom + 20)}" text-anchor="middle">{words}</text>')
    middle = pixel((left + right) / 2)
    parts.append(f'<text x="{middle}" y="{pixel(bottom + 39)}" text-anchor="middle">{escaped(labels[0])}</text>')
    parts.append(f'<text x="4" y="{pixel(top - 9)}">{escaped(labels[1])}</text>')
    parts.append(cut(across, up, inside))
    parts.append(f'<path class="ink" fill="none" d="M{pixel(left)} {pixel(top)}V{pixel(bottom)}H{pixel(right)}"/>')
    return "".join(parts)


def cut(across: Axis, up: Axis, inside: str) -> str:
    """Return a drawing that ends at the ends of two axes."""
    left, top, width, height = map(pixel, (across.start, up.end, across.end - across.start, up.start - up.end))
    box = f'x="{left}" y="{top}" width="{width}" height="{height}" viewBox="{left} {top} {width} {height}"'
    return f"<svg {box}>{inside}</svg>"


def frame(up: Axis, *, right: float = 14.0, title: bool = False) -> tuple[float, float, float, float]:
    """Return the left, right, top and bottom end of the axes of a chart, with room for the numbers on the left."""
    top = 54.0 if title else 30.0
    widest = max((len(words) for _, words in up.moved(0.0, 200.0).ticks()), default=1)
    return 14.0 + LETTER * max(widest, 2), WIDTH - right, top, top + HEIGHT - 80.0


@dataclass(frozen=True)
class End:
    """The end of a curve: its place, its name, and the attributes of its line in SVG."""

    place: tuple[float, float]
    name: str
    look: str


def names_at_ends(ends: Iterable[End], right: float, up: Axis) -> str:
    """Return the names of curves to the right of their ends, moved apart where they would overlap.

    Args:
        ends: the ends of the curves.
        right: the right end of the horizontal axis.
        up: the vertical axis, which the names do not leave.
    """
    parts, rows = [], sorted(ends, key=lambda end: end.place[1])
    starts = [max(up.end, min(up.start, end.place[1])) for end in rows]
    heights = starts.copy()
    for _ in range(50):  # neighbours push each other apart, and the axes hold them
        for k in range(1, len(heights)):
            missing = 18.0 - (heights[k] - heights[k - 1])
            if missing > 0.0:
                heights[k - 1], heights[k] = heights[k - 1] - missing / 2, heights[k] + missing / 2
        heights = [max(up.end + 6, min(up.start - 4, height)) for height in heights]
    for end, start, height in zip(rows, starts, heights):
        # From a curve that ends earlier, the line to its name would look like a part of it.
        begin = f"M{pixel(right)} {pixel(start)}L" if end.place[0] > right - 1 else "M"
        parts.append(
            f'<path {end.look} d="{begin}{pixel(right + 8)} {pixel(height)}h24"/>'
            f'<text x="{pixel(right + 38)}" y="{pixel(height + 5)}">{escaped(end.name)}</text>'
        )
    return "".join(parts)


def _legend_rows(legend: Sequence[Legend], top: float) -> tuple[str, float]:
    """Return the entries of a legend in rows, and the height of the chart below the last one."""
    x, y, parts = 18.0, top, []
    for entry in legend:
        width = 36.0 + LETTER * len(entry.words)
        if x > 18.0 and x + width > WIDTH:
            x, y = 18.0, y + 22.0
        parts.append(f'<g transform="translate({pixel(x)} {pixel(y)})">{entry.mark}')
        parts.append(f'<text x="16" y="5">{escaped(entry.words)}</text></g>')
        x += width
    return "".join(parts), y + 16.0 if legend else top - 12.0
