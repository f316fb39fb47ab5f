"""`descent`: gradient descent as motion, on the graph of a function of one number or on the map of one of two."""

from __future__ import annotations

import html
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from ..common.arrays import unpacked
from ..common.checks import NOT_NEGATIVE, instance, real, whole
from ..common.numbers import Real, as_float, as_sequence, is_real_scalar
from .charts import DRAWN, LARGEST, SERIES, Axis, axes, extent, line, marks, picture, pixel, places, short
from .heatmap import grid, heat_map
from .page import Widget
from .program import Program, name_of, names_of
from .walks import Walk, point_in_words, walk

_WIDTH, _HEIGHT = 400, 310
_LEFT, _RIGHT, _TOP, _BOTTOM = 60.0, 388.0, 29.0, 266.0
_POINTS = 241
#: The most walks that a picture shows: one for each mark.
_MOST_WALKS = SERIES
_MOST_STEPS = 1000
Point = tuple[float, ...]


class Descent(Widget):
    """Walks of gradient descent from one or several starts, with one or several learning rates.

    Attributes:
        f: the function.
        walks: the walks: those from all starts with the first rate, then those with the next.
        momentum: the momentum.
        steps: the number of steps.
    """

    _scripts: ClassVar[tuple[str, ...]] = ("live.js", "descent.js")

    def __init__(
        self,
        f: Callable[..., Any],
        starts: Sequence[Point],
        rates: Sequence[float],
        momentum: float,
        steps: int,
        limits: Sequence[tuple[float, float] | None],
    ) -> None:
        self.f, self.momentum, self.steps = f, momentum, steps
        self._starts, self._rates, self._dimensions = list(starts), list(rates), len(starts[0])
        self._program = Program(f, self._dimensions)
        self.walks = [walk(self._program, start, lr, momentum, steps) for lr in rates for start in starts]
        for found in self.walks:
            if not found.losses:
                raise _no_beginning(self._program, found)
        self._names = names_of(f, self._dimensions)
        around = _surroundings(self.walks)
        ends = [own or found for own, found in zip(limits, around)]
        self._x = Axis(*ends[0], _LEFT, _RIGHT)
        self._saved = 70.0 if len(rates) > 1 else 0.0  # the picture of the losses is lower where there are many others
        self._background = self._on_map(ends[1]) if self._dimensions == 2 else self._on_graph()
        self._program.cover([p for found in self.walks for p in (*found.positions, found.beyond or found.start)])
        self._loss_scales = self._scales_of_losses()

    def _on_graph(self) -> str:
        """Make the scale of the values, and return the graph of the function."""
        x = self._x
        curve = [(a, self._program.value([a])) for a in _between(x.low, x.high, _POINTS)]
        seen = [loss for found in self.walks for p, loss in zip(found.positions, found.losses) if self._shows(p)]
        self._heights = [height for _, height in curve] + seen
        self._program.cover([[a] for a, _ in curve])
        self._y = Axis(*extent(self._heights), _BOTTOM, _TOP)
        return f'<path class="curve" d="{line(places(curve, x, self._y))}"/>'

    def _on_map(self, limits: tuple[float, float]) -> str:
        """Make the scale of the second number, and return the map of the function."""
        self._y = Axis(*limits, _BOTTOM, _TOP)
        points = grid(self._x, self._y)
        self._heights = [self._program.value(point) for point in points]
        self._program.cover(points)
        return heat_map(self._heights, self._x, self._y)

    def _scales_of_losses(self) -> tuple[Axis, Axis]:
        """Return the scales of the losses by step: logarithmic if all losses are positive and vary a lot."""
        losses = [max(min(loss, LARGEST), -LARGEST) for found in self.walks for loss in found.losses]
        finite = [h for h in self._heights if math.isfinite(h)] or [0.0]
        low, high = max(-LARGEST, min(*losses, *finite)), min(LARGEST, max(found.losses[0] for found in self.walks))
        log = ((low > 0.0 and high > 30.0 * low) or low == 0.0) and high > 1.0 / LARGEST
        if log:
            low = max(low, 1e-8 * high)
            low, high = 10.0 ** math.floor(math.log10(low)), max(3.0 * high, min(1.5 * max(losses), 100.0 * high))
        else:
            room = high - low or max(1.0, abs(high))
            low, high = low - 0.06 * room, high + 0.25 * room
        return (
            Axis(0.0, 1.03 * self.steps, _LEFT, _RIGHT),
            Axis(low, high, _BOTTOM - self._saved, _TOP, log=log),
        )

    def _shows(self, point: Point) -> bool:
        """Return whether a point is within the picture."""
        scales = (self._x, self._y) if self._dimensions == 2 else (self._x,)
        return all(scale.low <= x <= scale.high for scale, x in zip(scales, point))

    def _name_of(self, found: Walk) -> str:
        names = []
        if len(self._rates) > 1 or len(self._starts) == 1:
            names.append(f"rate {short(found.lr, 4)}")
        if len(self._starts) > 1:
            names.append(f"from {point_in_words(found.start)}")
        return ", ".join(names)

    def _title(self) -> str:
        return "Gradient descent, step by step"

    def _sentence(self, found: Walk) -> str:
        step = self.steps
        inside = step < len(found.positions) and self._shows(found.positions[step])
        return found.words(step, self._name_of(found), inside)

    def _words(self) -> list[str]:
        return [self._sentence(found) for found in self.walks]

    def _trail(self, found: Walk) -> list[tuple[float, float]]:
        """Return the points of a walk in its picture."""
        if self._dimensions == 2:
            return [(x, y) for x, y in found.positions]
        return [(x, loss) for (x,), loss in zip(found.positions, found.losses)]

    def _body(self) -> str:
        pictures = [self._panel(k, rate) for k, rate in enumerate(self._rates)]
        words = "".join(f"<li>{_key(k)}<span>{html.escape(said)}</span></li>" for k, said in enumerate(self._words()))
        count = len(self._rates)
        says = ["rate"] if count == 1 else [f"rate {k + 1} of {count}" for k in range(count)]
        rates = "".join(
            f"<label><span>{_key(k) if len(self.walks) == count > 1 else ''}rate</span>"
            f'<input type="range" data-of="rate{k}" aria-label="{says[k]}" min="0" step="1"><output></output></label>\n'
            for k in range(count)
        )
        note = "Dark is low; a line joins points of equal height." if self._dimensions == 2 else ""
        return (
            '<div class="controls" hidden>\n<button type="button" data-of="play">play</button>\n'
            f'<label><span>step</span><input type="range" data-of="step" min="0" max="{self.steps}" step="1">'
            f"<output></output></label>\n{rates}"
            '<label><span>momentum</span><input type="range" data-of="momentum" min="0" step="1">'
            "<output></output></label>\n</div>\n"
            f'<div class="pictures">{"".join(pictures)}{self._losses()}</div>\n<p class="note">{note}</p>\n'
            f'<ul class="words" aria-live="polite">{words}</ul>'
        )

    def _panel(self, k: int, rate: float) -> str:
        """Return the picture of the walks with one rate."""
        own = self._own(k)
        names = (self._names[0], f"{name_of(self.f)}({self._names[0]})") if self._dimensions == 1 else self._names
        inside = self._background + "".join(self._moving(i, self._trail(self.walks[i]), self._x, self._y) for i in own)
        inside = f'<g class="map">{inside}</g>' if self._dimensions == 2 else inside
        kind = "Map" if self._dimensions == 2 else "Graph"
        says = f"{kind} of {name_of(self.f)} with the walks at one rate, whose ends are in the text below"
        caption = f'rate <span data-of="caption{k}">{short(rate, 4)}</span>'
        plot = picture(_WIDTH, _HEIGHT, axes(self._x, self._y, inside, (names[0], names[1])), says, alone=False)
        return f"<figure><figcaption>{caption}</figcaption>{plot}</figure>"

    def _own(self, k: int) -> range:
        return range(k * len(self._starts), (k + 1) * len(self._starts))

    def _moving(self, i: int, points: Sequence[tuple[float, float]], x: Axis, y: Axis, halo: bool = True) -> str:
        """Return the parts of a picture that follow a walk."""
        found = [(x(a), y(b)) for a, b in points]
        outline, ball = line(found, whole=True), f"{pixel(found[-1][0])} {pixel(found[-1][1])}"
        dots = "".join(f"M{pixel(a)} {pixel(b)}h0" for a, b in found)
        under = f'<path class="halo" data-line="{i}" d="{outline}"/>' if halo and self._dimensions == 2 else ""
        return (
            f'{under}<g class="c{i}"><path class="line" data-line="{i}" d="{outline}"/>'
            f'<path class="dots" data-dots="{i}" d="{dots}"/>'
            f'<path class="ball f{i}" data-ball="{i}" transform="translate({ball})" d="{_mark(i)}"/></g>'
        )

    def _losses(self) -> str:
        """Return the picture of the losses by step."""
        x, y = self._loss_scales
        curves = [[(float(k), loss) for k, loss in enumerate(found.losses)] for found in self.walks]
        inside = "".join(self._moving(i, curve, x, y, halo=False) for i, curve in enumerate(curves))
        says = "The loss of each walk by step"
        height = _HEIGHT - int(self._saved)
        plot = picture(_WIDTH, height, axes(x, y, inside, ("step", "loss")), says, alone=False)
        return f'<figure class="losses"><figcaption>the loss at each step</figcaption>{plot}</figure>'

    def _settings(self) -> Mapping[str, Any]:
        return {
            "paths": self._program.data(),
            "starts": self._starts,
            "rates": [_choices(rate) for rate in self._rates],
            "chosen": [_choices(rate).index(rate) for rate in self._rates],
            "momenta": _momenta(self.momentum),
            "momentum": _momenta(self.momentum).index(self.momentum),
            "steps": self.steps,
            "scales": [self._x.data(), self._y.data()],
            "losses": [scale.data() for scale in self._loss_scales],
        }


def _no_beginning(program: Program, found: Walk) -> ValueError:
    """Return the error of a walk that has no start."""
    what, cause = "gradient" if found.end == "steep" else "value", None
    try:
        program.value_and_gradient(found.start)
    except (ValueError, ArithmeticError) as error:
        cause = error
    reason = f": {cause}" if cause else ""
    refusal = ValueError(f"descent: start: expected a point where f has a finite {what}, got {found.start}{reason}")
    refusal.__cause__ = cause
    return refusal


def _key(k: int) -> str:
    """Return the marker of a walk, to be set before its words."""
    return f'<svg class="key" viewBox="-9 -9 18 18" aria-hidden="true"><path class="f{k}" d="{_mark(k)}"/></svg>'


def _mark(k: int) -> str:
    return marks(k, [(0.0, 0.0)], 6.0)


def _between(low: float, high: float, count: int) -> list[float]:
    return [low + (high - low) * k / (count - 1) for k in range(count)]


def _surroundings(walks: Sequence[Walk]) -> list[tuple[float, float]]:
    """Return limits of each number around the walks that go down, and around the starts."""
    points = [found.start for found in walks]
    good = [found for found in walks if not found.end and found.losses[-1] <= found.losses[0]]
    for found in good:
        points += found.positions
    ends = [found.positions[-1] for found in good] or points
    # The room beyond the end of a walk, as a part of the picture: with one start, a walk may cross the valley.
    room = (1.0 if len(walks[0].start) == 1 else 0.6) if len({found.start for found in walks}) == 1 else 0.2
    lows, highs = list(map(min, zip(*points))), list(map(max, zip(*points)))
    widest = max(b - a for a, b in zip(lows, highs)) or max(1.0, *map(abs, lows))
    limits = []
    for k, (low, high) in enumerate(zip(lows, highs)):
        size = max(high - low, 0.4 * widest)
        places = [end[k] for end in ends]
        low, high = (
            min(low - 0.15 * size, min(places) - room * size),
            max(high + 0.15 * size, max(places) + room * size),
        )
        limits.append((low, high))
    return limits


def _choices(rate: float) -> list[float]:
    """Return round rates from a hundredth of a rate to a hundred times it, with the rate itself among them."""
    middle = math.floor(math.log10(rate)) if rate > 0.0 else -1
    found = {
        float(f"{m}e{e - 1}") for e in range(middle - 2, middle + 3) for m in (10, 12, 15, 20, 25, 30, 40, 50, 60, 80)
    }
    return sorted({choice for choice in found if math.isfinite(choice)} | {rate})


def _momenta(momentum: float) -> list[float]:
    return sorted({float(f"0.{k:02}") for k in range(0, 100, 5)} | {0.98, 0.99, momentum})


def _starts(f: Callable[..., Any], start: Any) -> list[Point]:
    """Return the starts as points: a number or a tuple is one point, a list several of them."""
    found = start if isinstance(start, list) else [start]
    where, kinds = "descent: start", "one or two numbers"
    points = [(p,) if is_real_scalar(p) else as_sequence(p, where, kinds) for p in map(unpacked, found)]
    points = [tuple([real(DRAWN)(where, unpacked(x)) for x in p]) for p in points]
    sizes = {len(p) for p in points}
    if sizes not in ({1}, {2}):
        raise ValueError(
            f"descent: start: expected a number, a pair of numbers such as (1.0, 2.0), or a list of starts, got {start}"
        )
    try:
        inspect.signature(f).bind(*points[0])
    except ValueError:  # a function in C that does not know
        return points
    except TypeError:
        raise TypeError(
            f"descent: expected f to take the {len(points[0])} number(s) of a start, got {start} and "
            f"f{inspect.signature(f)}; a tuple is one start, and a list is several"
        ) from None
    return points


def _limits(low: Any, high: Any, count: int) -> list[tuple[float, float] | None]:
    """Return the limits of each number; None where they follow from the walks."""
    if (low is None) != (high is None):
        raise ValueError("descent: expected both low and high, or neither")
    if low is None:
        return [None] * count
    pairs = []
    for name, given in (("low", low), ("high", high)):
        found = [given] * count if is_real_scalar(given) else list(given)
        if len(found) != count:
            raise ValueError(f"descent: {name}: expected a number, or {count}, got {given}")
        pairs.append([as_float(x, f"descent: {name}") for x in found])
    for a, b in zip(*pairs):
        if not -LARGEST <= a < b <= LARGEST:
            raise ValueError(f"descent: expected low < high, got low {a} and high {b}")
    return list(zip(*pairs))


def descent(
    f: Callable[..., Any],
    start: Any,
    lr: Real | Sequence[Real] = 0.1,
    momentum: Real = 0.0,
    steps: int = 60,
    low: Any = None,
    high: Any = None,
) -> Descent:
    """Show gradient descent as motion: a ball on the graph of a function of one number, or on the map of one of two.

    The walks are those of `microgrud.optim.SGD`. In a notebook or page they can be played and scrubbed, and sliders
    for the learning rate and the momentum compute them anew. On a map, the lower is the darker.

    Args:
        f: a function of one number, or of two, that returns one number: the loss.
        start: where the walk starts: a number, or a tuple of two. A list gives several walks on one picture.
        lr: the learning rate; a list gives a picture for each, side by side.
        momentum: the part of the last step that is added to the next, 0 or more.
        steps: the number of steps, from 1 to 1,000.
        low: where the picture begins: a number, or a tuple of two. It follows from the walks by default.
        high: where it ends.

    Returns:
        the pictures: in a notebook they are shown with their controls, `.save("descent.html")` writes a page, and
        `print` gives the ends of the walks in words.

    Raises:
        TypeError, ValueError: for invalid arguments, or where f has no value at a start.
        ProgramError: if the function cannot become a program for the page.

    >>> print(descent(lambda x: x**2, start=1.0, lr=[0.25, 1.5], steps=2))
    rate 0.25: step 2, at 0.25, loss 0.0625, down from 1.
    rate 1.5: step 2, at 4, loss 16, outside of the picture, up from 1. The walk diverges.
    """
    instance(Callable, "a function")("f", f)
    starts = _starts(f, start)
    rates = [real(NOT_NEGATIVE)("descent: lr", x) for x in (lr if isinstance(lr, (list, tuple)) else [lr])]
    if not 1 <= len(starts) * len(rates) <= _MOST_WALKS:
        raise ValueError(
            f"descent: expected 1 to {_MOST_WALKS} walks, got {len(starts)} start(s) with {len(rates)} rate(s) each"
        )
    kept = real(NOT_NEGATIVE)("descent: momentum", momentum)
    count = whole(1)("descent: steps", steps)
    if count > _MOST_STEPS:
        raise ValueError(f"descent: steps: expected at most {_MOST_STEPS:,}, got {steps:,}")
    return Descent(f, starts, rates, kept, count, _limits(low, high, len(starts[0])))
