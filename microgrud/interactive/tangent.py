"""`tangent`: the graph of a function of one number, its slope at a point, and the nudge that becomes the slope."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ..common.checks import NOT_NEGATIVE, instance, real
from ..common.numbers import Real, as_float
from .charts import DRAWN, LARGEST, Axis, axes, extent, line, marks, picture, pixel, places, short
from .page import Widget
from .program import Program, name_of, names_of

_WIDTH, _HEIGHT = 440, 330
_POINTS = 241
_POSITIONS = 400
_BALLS = {"point": ("f0", marks(0, [(0, 0)], 6.0)), "nudged": ("f1", marks(1, [(0, 0)], 6.0))}


class Tangent(Widget):
    """A point on the graph of a function, with its tangent, and the secant through a second point nearby.

    In a page the point can be dragged, and the nudge shrunk until the secant is the tangent.

    Attributes:
        f: the function.
        at: the point.
        nudge: the distance of the second point.
        value: the value at the point.
        slope: the slope of the tangent: the derivative at the point.
        secant: the slope of the secant: the change of the value, divided by the nudge.
    """

    _scripts: ClassVar[tuple[str, ...]] = ("live.js", "tangent.js")

    def __init__(self, f: Callable[..., Any], at: float, nudge: float, low: float, high: float, lr: float) -> None:
        self.f, self.at, self.nudge, self.low, self.high, self.lr = f, at, nudge, low, high, lr
        self._program = Program(f, 1)
        self.value, (self.slope,) = self._program.value_and_gradient([at])
        if not math.isfinite(self.value):
            raise ValueError(
                f"tangent: at: expected a point where f has a finite value, got {at}, and the value {self.value}"
            )
        self._nudged = self._program.value([at + nudge])
        self.secant = (self._nudged - self.value) / nudge
        grid = [low + (high - low) * k / (_POINTS - 1) for k in range(_POINTS)]
        beyond = [[x + k * nudge] for x in (low, high) for k in (0.25, 0.5, 0.75, 1.0)]
        self._program.cover([[at], *([x] for x in grid), *beyond])
        self._curve = [(x, self._program.value([x])) for x in grid]
        self._name = names_of(f, 1)[0]
        self._of = name_of(f)
        bottom, top = extent(y for _, y in self._curve)
        self._x = Axis(low, high, 60.0, _WIDTH - 12.0)
        self._y = Axis(bottom, top, _HEIGHT - 44.0, 29.0)

    def _title(self) -> str:
        return "The slope of a function, and the nudge that becomes it"

    def _words(self) -> list[str]:
        x, f, nudge, change = self._name, self._of, short(self.nudge), short(self._nudged - self.value)
        first = (
            f"At {x} = {short(self.at)}, {f}({x}) = {short(self.value)}. The tangent has the slope {short(self.slope)}."
        )
        if not math.isfinite(self._nudged):
            return [first, f"Nudged by {nudge}, {f} has no value."]
        slope = f"{change} / {nudge} = {short(self.secant)} is the slope of the secant."
        return [first, f"Nudged by {nudge}, {f} changes by {change}: {slope}"]

    def _line(self, x: float, y: float, slope: float) -> str:
        """Return the outline of a straight line through a point, across the picture."""
        if not math.isfinite(y) or not math.isfinite(slope):
            return ""
        low, high = 2.0 * self._y.low - self._y.high, 2.0 * self._y.high - self._y.low
        ends = []
        for end in (self.low, self.high):  # a steep line ends above or below the picture, before `Axis` would bend it
            height = y + slope * (end - x)
            kept = max(low, min(high, height))
            ends.append((end if kept == height else x + (kept - y) / slope, kept))
        return line(places(ends, self._x, self._y), whole=True)

    def _picture(self) -> str:
        x, y = self._x, self._y
        inside = (
            f'<path class="curve" d="{line(places(self._curve, x, y))}"/>'
            f'<path class="line c1 dashed" data-of="secant" d="{self._line(self.at, self.value, self.secant)}"/>'
            f'<path class="line c0" data-of="tangent" d="{self._line(self.at, self.value, self.slope)}"/>'
            f"{self._ball('nudged', self.at + self.nudge, self._nudged)}{self._ball('point', self.at, self.value)}"
        )
        says = f"Graph of {self._of} with its tangent and a secant, whose numbers are in the text below"
        names = self._name, f"{self._of}({self._name})"
        return picture(_WIDTH, _HEIGHT, axes(x, y, inside, names), says, alone=False)

    def _ball(self, name: str, x: float, y: float) -> str:
        colour, shape = _BALLS[name]
        hidden = "" if math.isfinite(y) else ' display="none"'
        place = f"{pixel(self._x(x))} {pixel(self._y(y if math.isfinite(y) else 0.0))}"
        return f'<path class="ball {colour}" data-of="{name}"{hidden} transform="translate({place})" d="{shape}"/>'

    def _body(self) -> str:
        x = html.escape(self._name)
        words = "".join(
            f'<p><svg class="key" viewBox="-9 -9 18 18" aria-hidden="true"><path class="{colour}" d="{shape}"/></svg>'
            f"<span>{html.escape(sentence)}</span></p>"
            for (colour, shape), sentence in zip(_BALLS.values(), self._words())
        )
        return (
            f'<div class="pictures"><figure>{self._picture()}</figure></div>\n'
            '<div class="controls" hidden>\n'
            f'<label><span>{x}</span><input type="range" data-of="x" min="0" max="{_POSITIONS}" step="1">'
            "<output></output></label>\n"
            '<label><span>nudge</span><input type="range" data-of="nudge" min="0" step="1"><output></output></label>\n'
            f'<button type="button">step downhill: {x} &minus; {short(self.lr)} &times; slope</button>\n</div>\n'
            f'<div class="words" aria-live="polite">{words}</div>'
        )

    def _settings(self) -> Mapping[str, Any]:
        return {
            "paths": self._program.data(),
            "at": self.at,
            "nudges": smaller(self.nudge),
            "lr": self.lr,
            "name": self._name,
            "of": self._of,
            "positions": _POSITIONS,
            "scales": [self._x.data(), self._y.data()],
        }


def smaller(nudge: float) -> list[float]:
    """Return round numbers from a millionth of a nudge up to it, which is the last.

    >>> smaller(1.0)[:3], smaller(1.0)[-4:]
    ([1e-06, 2e-06, 3e-06], [0.3, 0.5, 0.7, 1.0])
    """
    top = math.floor(math.log10(abs(nudge)))
    sizes = [float(f"{m}e{e}") for e in range(top - 6, top + 1) for m in (1, 2, 3, 5, 7)]
    within = [size for size in sizes if 0.99e-6 * abs(nudge) < size < abs(nudge)]
    return [math.copysign(size, nudge) for size in (*within, abs(nudge))]


def tangent(
    f: Callable[..., Any],
    at: Real = 1.0,
    nudge: Real = 1.0,
    low: Real | None = None,
    high: Real | None = None,
    *,
    lr: Real = 0.1,
) -> Tangent:
    """Draw a function of one number with its tangent at a point, and the secant through a second point nearby.

    In a notebook or page, the point moves by dragging or with a slider, and another slider shrinks the nudge: the
    secant turns into the tangent, and its slope into the derivative. A button takes one step downhill.

    Args:
        f: a function of one number that returns one number.
        at: the point.
        nudge: the distance to the second point; not 0.
        low: the left end of the picture; three nudges to the left of the point by default.
        high: the right end; three nudges to the right of the point by default.
        lr: the learning rate of a step downhill, which subtracts this times the slope.

    Returns:
        the picture: in a notebook it is shown with its controls, `.save("slope.html")` writes a page, and `print` gives
        the numbers in words.

    Raises:
        ValueError: for limits that do not hold the point, a nudge of 0, or where f has no finite value at the point.
        ProgramError: if the function cannot become a program for the page.

    >>> print(tangent(lambda x: x**2, at=1.0, nudge=0.5))
    At x = 1, f(x) = 1. The tangent has the slope 2.
    Nudged by 0.5, f changes by 1.25: 1.25 / 0.5 = 2.5 is the slope of the secant.
    """
    instance(Callable, "a function")("f", f)
    point, distance = real(DRAWN)("tangent: at", at), real(DRAWN)("tangent: nudge", nudge)
    if distance == 0.0:
        raise ValueError(f"tangent: nudge: expected a number other than 0, got {distance}")
    if point + distance == point:
        raise ValueError(f"tangent: nudge: expected a number that changes at when added, got {distance} for at {point}")
    left = point - 3.0 * abs(distance) if low is None else as_float(low, "tangent: low")
    right = point + 3.0 * abs(distance) if high is None else as_float(high, "tangent: high")
    if max(abs(left), abs(right)) > 4.0 * LARGEST:
        raise ValueError(
            f"tangent: expected limits of at most {4.0 * LARGEST:g} in size, got low {left} and high {right}"
        )
    if not left <= point <= right or left == right:
        raise ValueError(f"tangent: expected low <= at <= high, got low {left}, at {point} and high {right}")
    return Tangent(f, point, distance, left, right, real(NOT_NEGATIVE)("tangent: lr", lr))
