"""`regions`: the class that a model gives to every place in the plane of two inputs, and the points of the data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from ..common.arrays import unpacked
from ..common.checks import ANY, optional, real, whole
from ..common.numbers import as_float, as_sequence
from ..common.pages import COLOURS
from ..common.words import counted
from ..nn.layers import MLP
from .charts import SERIES, Axis, Legend, axis_of, chart, frame, line, marks, pixel, short
from .heatmap import contour, png
from .states import Model, Models, States, outputs, outputs_between

#: The steps of opacity of the image, and the greatest opacity, of 255.
_SHADES, _OPAQUE = 16, 150
#: The least lead that is one; places with equal scores, whose lead is 0, belong to the first class.
_LEAST = 5e-324
#: Every so many grid points, a sign in a region shows its class: none for the first class.
_SIGN_EVERY = 3
_SIGNS = ("", "m-3 0h6m-3-3v6", "m-2.5-2.5l5 5m0-5l-5 5", "m-3 0h6", "m0-3v6", "m-2.5 2.5l5-5")


class Regions(States):
    """The decision regions of a model of two inputs.

    Attributes:
        points: the points, pairs of numbers.
        labels: the class of each point.
        classes: the classes, in ascending order.
    """

    _label = "Decision regions"

    def __init__(
        self, models: Models, points: Any, labels: Any, names: tuple[str, str], resolution: int,
        threshold: float | None,
    ) -> None:  # fmt: skip
        self.points = [_pair(point) for point in as_sequence(points, "regions: points", "pairs of numbers")]
        self.labels = [_class(label) for label in as_sequence(labels, "regions: labels", "classes")]
        if not self.points or len(self.points) != len(self.labels):
            raise ValueError(
                f"regions: expected as many labels as points, at least one, got {counted(len(self.points), 'point')} "
                f"and {counted(len(self.labels), 'label')}"
            )
        self._axis_names, self._threshold = names, threshold
        across, up = (axis_of(column, margin=0.08) for column in zip(*self.points))
        shares = [k / (resolution - 1) for k in range(resolution)]
        self._across = [across.low + share * (across.high - across.low) for share in shares]
        self._up = [up.low + share * (up.high - up.low) for share in shares]
        self.classes: list[int] = []
        self._probable = True  # until a state shows that its outputs are no probabilities
        super().__init__("regions", models)

    def accuracy(self, state: int = -1) -> float:
        """Return the share of the points that lie in the region of their class.

        Args:
            state: the index of the state; the last one by default.
        """
        return self._right(state) / len(self.points)

    def _evaluate(self, model: Model) -> tuple[list[list[float]], list[list[list[float]]]]:
        at_points = [outputs("regions", model(list(point))) for point in self.points]
        count = len(at_points[0])
        grid = [[outputs_between("regions", model, [x, y], count) for x in self._across] for y in self._up]
        counts = {len(found) for row in (at_points, *grid) for found in row}
        counts |= {len(state[0][0]) for state in self._states[:1]}
        if len(counts) != 1 or 0 in counts:
            raise ValueError("regions: expected as many outputs at each place, at least one, got different numbers")
        self.classes = self.classes or self._classes(counts.pop())
        everything = [x for row in (at_points, *grid) for found in row for x in found]
        self._probable = self._probable and -1 not in self.classes and are_probabilities(model, everything)
        return at_points, grid

    def _classes(self, count: int) -> list[int]:
        """Return the classes of a model with so many outputs."""
        found = sorted(set(self.labels))
        if count == 1:
            if not (set(found) <= {0, 1} or set(found) <= {-1, 1}):
                raise ValueError(
                    "regions: labels: expected the classes 0 and 1, or -1 and 1, for a model of one output, got "
                    f"{', '.join(map(str, found[:5]))}; a model of {len(found)} classes has {len(found)} outputs"
                )
            return [-1, 1] if -1 in found else [0, 1]
        if self._threshold is not None:
            raise ValueError(f"regions: threshold: expected None for a model of {count} outputs, got {self._threshold}")
        if found[0] < 0 or found[-1] >= count or count > SERIES:
            most = min(count, SERIES) - 1
            raise ValueError(f"regions: labels: expected classes from 0 to {most}, got {found[0]} to {found[-1]}"
                             f", and {count} outputs")  # fmt: skip
        return list(range(count))

    # --- scores ---

    def _decide(self, found: list[float]) -> tuple[int, float] | None:
        """Return the class that wins and its lead over the next; None if a score is not a number."""
        cut = self._threshold if self._threshold is not None else 0.5 if self._probable else 0.0
        scores = [cut, found[0]] if len(found) == 1 else found
        best = max(range(len(scores)), key=scores.__getitem__)  # the first of equal ones, as in decision_regions
        lead = scores[best] - max(x for k, x in enumerate(scores) if k != best)
        return None if math.isnan(lead) or any(map(math.isnan, scores)) else (best, lead)

    def _right(self, state: int) -> int:
        at_points, _ = self._states[state]
        decisions = [self._decide(found) for found in at_points]
        return sum(
            decision is not None and self.classes[decision[0]] == label
            for decision, label in zip(decisions, self.labels)
        )

    def _words(self, state: int) -> str:
        right, count = self._right(state), len(self.points)
        undecided = sum(self._decide(found) is None for row in self._states[state][1] for found in row)
        words = f"{self._step(state)}{right} of {counted(count, 'point')} in the region of their class"
        return words + (f"; {undecided} of {len(self._up) ** 2:,} places without a finite output" if undecided else "")

    # --- drawing ---

    def _axes(self, titled: bool) -> tuple[Axis, Axis]:
        up = Axis(self._up[0], self._up[-1], 0.0, 1.0)
        left, right, top, bottom = frame(up, title=titled)
        return Axis(self._across[0], self._across[-1], left, right), up.moved(bottom, top)

    def _parts(self, state: int, titled: bool) -> tuple[str, str, str]:
        """Return the image of a state, the path of the borders, and that of the signs of the classes."""
        across, up = self._axes(titled)
        decisions = [[self._decide(found) for found in row] for row in self._states[state][1]]
        rows = [[_colour(decision, self._probable) for decision in row] for row in reversed(decisions)]
        borders = "".join(
            line([(across(self._at(self._across, x)), up(self._at(self._up, y))) for x, y in piece])
            for leads in self._leads(decisions)
            for piece in contour(leads, _LEAST)
        )
        places = range(_SIGN_EVERY // 2, len(self._up), _SIGN_EVERY)
        signs = [(i, j, _SIGNS[d[0]]) for j in places for i in places if (d := decisions[j][i]) and _SIGNS[d[0]]]
        return (
            png(rows),
            borders,
            "".join(f"M{pixel(across(self._across[i]))} {pixel(up(self._up[j]))}{sign}" for i, j, sign in signs),
        )

    @staticmethod
    def _at(grid: list[float], place: float) -> float:
        """Return the number at a place between grid points."""
        return grid[0] + (grid[-1] - grid[0]) * place / (len(grid) - 1)

    def _leads(self, decisions: list[list[tuple[int, float] | None]]) -> Iterator[list[list[float]]]:
        """Yield for each class its lead on the grid, negative where another wins; for two classes only one of them."""
        for k in range(1 if len(self.classes) == 2 else 0, len(self.classes)):
            yield [[math.nan if d is None else d[1] if d[0] == k else -d[1] for d in row] for row in decisions]

    def _frame(self, state: int) -> list[str]:
        return list(self._parts(state, False))

    def _svg(self, state: int, titled: bool) -> str:
        across, up = self._axes(titled)
        image, borders, signs = self._parts(state, titled)
        # The middle of a pixel of the image is a grid point, so that the image is half a pixel wider on each side.
        cells = len(self._up) - 1
        width, height = (across.end - across.start) / cells, (up.start - up.end) / cells
        inside = [
            f'<image data-slot="href" href="{image}" preserveAspectRatio="none" x="{across.start - width / 2:.2f}" '
            f'y="{up.end - height / 2:.2f}" width="{(cells + 1) * width:.2f}" height="{(cells + 1) * height:.2f}"/>',
            f'<path class="ink" data-slot="d" fill="none" stroke-width="2" d="{borders}"/>',
            f'<path class="ink" data-slot="d" fill="none" opacity="0.45" d="{signs}"/>',
        ]
        legend = []
        for k, name in enumerate(self.classes):
            own = [(across(x), up(y)) for (x, y), label in zip(self.points, self.labels) if label == name]
            inside.append(f'<path class="f{k}" stroke-width="1.2" d="{marks(k, own)}"/>')
            sign = f'<path class="ink" fill="none" d="M-8 0{_SIGNS[k]}"/>' if _SIGNS[k] else ""
            legend.append(Legend(f'{sign}<path class="f{k}" d="{marks(k, [(5, 0)])}"/>', f"class {short(name)}"))
        words = self._words(state)
        return chart(
            across, up, "".join(inside), labels=self._axis_names, says=f"{self._label}: {words}",
            title=words if titled else None, legend=legend,
        )  # fmt: skip


def regions(
    model: Models,
    points: Iterable[Any],
    labels: Iterable[Any],
    *,
    xlabel: str = "x1",
    ylabel: str = "x2",
    resolution: int = 25,
    threshold: float | None = None,
) -> Regions:
    """Draw the decision regions of a model of two inputs: the class that it gives to every place, and the points.

    The colour is the stronger, the further the output is from the border. Signs in the regions and the shapes of the
    points make the same distinctions as the colours. A picture of one model has one state, its present one; `record()`
    adds the state after a step of training, or pass the picture to `fit` as a callback. With several states, a notebook
    shows a player.

    Args:
        model: a function that returns the output for a row of two numbers, such as a network; or a list of such models,
            one for each state, or a dict of them by name. Several outputs are one for each class, and the largest wins.
            A single output stands for the second of two classes if it is above the threshold.
        points: n pairs of numbers.
        labels: n classes. For one output these are 0 and 1, or -1 and 1 if one of them is -1; for several outputs, at
            most 6, they count from 0.
        xlabel: the words below the horizontal axis.
        ylabel: the words above the vertical one.
        resolution: the number of grid points along each side, at least 2; the model is called at each point.
        threshold: the threshold of a single output. For the classes -1 and 1 it is 0 by default. For 0 and 1 it is 0.5
            if the outputs are probabilities, or else 0, for logits: an `MLP` gives probabilities if its last layer is a
            sigmoid, and another model if all its outputs are between 0 and 1.

    Returns:
        the picture; `.save("regions.html")` writes it, and `print` counts the points in the right region of each state.

    Raises:
        TypeError, ValueError: for anything else, and for a list of functions that all read the same variables.

    >>> print(regions(lambda row: row[0] - row[1], [(0.0, 1.0), (1.0, 0.0), (2.0, 2.5)], [0, 1, 1]))
    2 of 3 points in the region of their class
    """
    resolution = whole(2)("regions: resolution", resolution)
    threshold = optional(real(ANY))("regions: threshold", threshold)
    return Regions(model, points, labels, (str(xlabel), str(ylabel)), resolution, threshold)


def _pair(point: Any) -> tuple[float, float]:
    numbers = tuple(real(ANY)("regions: points", unpacked(x)) for x in as_sequence(point, "regions: points"))
    if len(numbers) != 2:
        raise ValueError(f"regions: points: expected pairs of numbers, got one of {counted(len(numbers), 'number')}")
    return numbers


def _class(label: Any) -> int:
    if isinstance(label, str):
        raise TypeError(
            f"regions: labels: expected whole numbers as classes, got {label!r}; give the index of each name in a "
            "list, as names.index(label) does"
        )
    number = as_float(unpacked(label), "regions: labels")
    if not number.is_integer():
        raise ValueError(f"regions: labels: expected whole numbers as classes, got {number:g}")
    return int(number)


def are_probabilities(model: Model, numbers: list[float]) -> bool:
    """Return whether the outputs of a model are probabilities: those of a sigmoid, or all of them between 0 and 1."""
    last = model.layers[-1].neurons[0] if isinstance(model, MLP) and len(model.layers[-1].neurons) == 1 else None
    if last is not None:
        return last.nonlin and last.activation.name == "sigmoid"
    return all(0.0 <= x <= 1.0 for x in numbers if math.isfinite(x))


def _colour(decision: tuple[int, float] | None, probability: bool) -> bytes:
    """Return red, green, blue and opacity: of a class, the stronger, the surer it is.

    For a logit, tanh(lead/2) is the probability of the class less that of the other.
    """
    if decision is None:
        return bytes(4)
    sure = min(1.0, 2.0 * decision[1]) if probability else math.tanh(0.5 * decision[1])
    shade = round(sure * (_SHADES - 1)) / (_SHADES - 1)
    return bytes.fromhex(COLOURS[f"c{decision[0]}"][0][1:]) + bytes([round(_OPAQUE * (0.15 + 0.85 * shade))])
