"""Pictures for light and dark pages, and charts: confusion matrix, predicted against true, and curves for two classes.

Each chart takes and returns matplotlib Axes and touches no global state: `figure` makes a Figure of its own, without
pyplot, and `drawn` turns it into bytes. A chart is drawn once, in the colours of a light page; those of a dark page
replace them in the file.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, TypeAlias

import numpy as np

from ..common.words import shortened, width_of
from ..engine.vectors import Vector
from ..plot.axes import Axes, new_figure
from ..plot.scales import three_digits

Numbers: TypeAlias = Sequence[float] | Vector
#: Maximum number of classes for which the numbers of a confusion matrix fit into its cells.
_MOST_NUMBERED_CLASSES = 20
#: The width of a chart in inches: on a phone, 350 pixels wide, its letters are still 9 to 11 pixels high.
WIDTH = 4.8


@dataclass(frozen=True)
class Theme:
    """The colours of the page, text, axes, first curve and second curve, and the darkest colour of a heat map."""

    page: str
    ink: str
    faint: str
    first: str
    second: str
    deep: str


#: No colour is used for anything else in a picture, so that it can be replaced in the file: `page` is not quite white.
LIGHT = Theme(page="#fefefe", ink="#1f2328", faint="#d0d7de", first="#0b62c4", second="#c2410c", deep="#0b4a94")
DARK = Theme(page="#161b22", ink="#e6edf3", faint="#3d444d", first="#6cb6ff", second="#ffa657", deep="#9ecbff")
_DARK_FOR = {light.encode(): dark.encode() for light, dark in zip(astuple(LIGHT), astuple(DARK))}


@dataclass(frozen=True)
class Picture:
    """A picture in a report, or the reason why there is none.

    Args:
        files: SVG files: one for light pages and one for dark ones, or one for both; none if it cannot be drawn.
        alt: a description for those who do not see it.
        caption: the text below it, or in its place.
    """

    files: tuple[bytes, ...]
    alt: str
    caption: str


def figure(width: float = WIDTH, height: float = 3.8) -> Axes:
    """Return the Axes of a new Figure of `width` by `height` inches, which belongs to no window and no pyplot."""
    return new_figure("the report", width, height).add_subplot()


def drawn(draw: Callable[[], Axes]) -> tuple[bytes, bytes]:
    """Return the SVG files, for light pages and for dark ones, of what `draw` draws: the same bytes every time."""
    import matplotlib
    from cycler import cycler
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    settings: dict[Any, Any] = {
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), LIGHT.ink),
        **dict.fromkeys(("figure.facecolor", "axes.facecolor", "legend.facecolor"), LIGHT.page),
        **dict.fromkeys(("axes.edgecolor", "legend.edgecolor", "grid.color"), LIGHT.faint),
        "axes.prop_cycle": cycler(color=[LIGHT.first, LIGHT.first, LIGHT.second]),
        **{"axes.axisbelow": True, "axes.titlesize": "medium", "legend.fontsize": "small"},
        **{"font.size": 11.0, "grid.linewidth": 0.6},
        # Text stays text in an SVG, so that the reader's fonts supply missing glyphs, such as Chinese ones.
        **{"svg.hashsalt": "microgrud", "svg.fonttype": "none"},
    }
    buffer = io.BytesIO()
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        picture: Any = draw().figure
        canvas: Any = FigureCanvasSVG(picture)
        canvas.print_svg(buffer, metadata={"Date": None})  # `savefig` would draw everything twice
    light = buffer.getvalue()
    return light, re.sub(rb"(?<=: )#\w{6}\b", lambda color: _DARK_FOR.get(color[0], color[0]), light)


def label_decades(axes: Axes) -> None:
    """Label a logarithmic axis with plain numbers: 0.01 is easier to read than a power of ten, and as a text faster."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    if axes.get_yscale() == "log":
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 100 * low else (1.0,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda x, _: three_digits(x)))
        axes.yaxis.set_minor_locator(NullLocator())


def confusion_matrix(counts: Sequence[Sequence[int]], classes: Sequence[str], axes: Axes) -> Axes:
    """Draw how often each true class (row) was predicted as each class (column), coloured by the share of its row.

    Args:
        counts: `counts[i][j]` rows of class i were predicted to be of class j.
        classes: the names, in the order of the counts.
        axes: the axes to draw on, which are returned.
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    matrix = np.asarray(counts, dtype=float)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    filled = np.argwhere(matrix)
    cells = [Rectangle((column - 0.5, row - 0.5), 1, 1) for row, column in filled]
    # One colour with the shares as opacity, where a colour map would have colours that no other theme can replace.
    axes.add_collection(PatchCollection(cells, facecolor=LIGHT.deep, alpha=shares[tuple(filled.T)], linewidths=0))
    if len(classes) <= _MOST_NUMBERED_CLASSES:
        for (row, column), count in np.ndenumerate(matrix):
            color = LIGHT.page if shares[row, column] > 0.6 else LIGHT.ink
            axes.text(column, row, f"{count:.0f}", ha="center", va="center", color=color, parse_math=False)
    names = [shortened(name, 18) for name in classes]
    wide = len(names) * max(map(width_of, names)) > 36
    slant: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if wide else {}
    axes.set_xticks(range(len(names)), names, parse_math=False, **slant)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    edges = np.arange(len(names) + 1) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", linewidth=1)
    axes.tick_params(which="minor", length=0)
    axes.set(xlim=edges[[0, -1]], ylim=edges[[-1, 0]], aspect="equal", xlabel="predicted", ylabel="true")
    axes.set_title("Confusion matrix, held-out rows")
    return axes


def predicted_against_true(true: Numbers, predicted: Numbers, name: str, axes: Axes) -> Axes:
    """Draw each held-out row as a point; with a perfect model all of them lie on the diagonal.

    Args:
        true: the numbers in the table.
        predicted: the model's predictions.
        name: the name of the predicted column.
        axes: the axes to draw on, which are returned.
    """
    low, high = min(*true, *predicted), max(*true, *predicted)
    margin = 0.04 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=LIGHT.second, linestyle="--", linewidth=1.5, label="predicted = true")
    many = len(true) > 2_000
    axes.scatter(
        true, predicted, s=8 if many else 22, color=LIGHT.first, alpha=0.3 if many else 0.65, linewidths=0,
        rasterized=many, label="held-out row",
    )  # fmt: skip
    axes.set_xlabel(f"true {shortened(name, 34)}", parse_math=False)
    axes.set_ylabel(f"predicted {shortened(name, 30)}", parse_math=False)
    return _finished(axes, "upper left", "Predicted against true, held-out rows", xlim=limits, ylim=limits)


def _finished(axes: Axes, legend: Any, title: str, **settings: Any) -> Axes:
    axes.set(title=title, aspect="equal", **settings)
    axes.grid()
    axes.legend(loc=legend)
    return axes


# --- two classes ---


def roc_curve(
    alarms: Numbers, hits: Numbers, area: float, marks: Mapping[str, tuple[float, float]], axes: Axes
) -> Axes:
    """Draw the true positive rate of a class against its false positive rate, for all thresholds.

    Args:
        alarms: the false positive rates.
        hits: the true positive rate at each of them.
        area: the area below the curve.
        marks: points to mark, such as a threshold, by their names.
        axes: the axes to draw on, which are returned.
    """
    axes.plot([0, 1], [0, 1], color=LIGHT.second, linestyle="--", linewidth=1.5, label="guessing (area 0.5)")
    axes.plot(alarms, hits, color=LIGHT.first, linewidth=2, label=f"network (area {area:.3f})")
    _mark(marks, axes)
    return _finished(axes, "lower right", "ROC curve", xlabel="false positive rate", ylabel="true positive rate")


def precision_recall_curve(
    recall: Numbers, precision: Numbers, area: float, share: float, marks: Mapping[str, tuple[float, float]], axes: Axes
) -> Axes:
    """Draw the precision of a class against its recall, for all thresholds.

    Args:
        recall: the shares of the rows of the class that are found.
        precision: the precision at each of them.
        area: the area below the curve.
        share: the share of the rows that are of the class, which is the precision of guessing.
        marks: points to mark, such as a threshold, by their names.
        axes: the axes to draw on, which are returned.
    """
    axes.axhline(share, color=LIGHT.second, linestyle="--", linewidth=1.5, label=f"guessing (area {share:.3f})")
    axes.step(recall, precision, where="post", color=LIGHT.first, linewidth=2, label=f"network (area {area:.3f})")
    _mark(marks, axes)
    labels = {"xlabel": "recall", "ylabel": "precision"}
    return _finished(axes, "lower left", "Precision and recall", ylim=(-0.05, 1.05), **labels)


def _mark(marks: Mapping[str, tuple[float, float]], axes: Axes) -> None:
    for marker, (label, place) in zip("osD", marks.items()):
        axes.plot(*place, marker, color=LIGHT.ink, markersize=7, label=label)


def reliability(groups: Mapping[str, Sequence[Mapping[str, float]]], axes: Axes) -> Axes:
    """Draw, for groups of rows of similar probability, the share that is of the class against the probability.

    Source: DeGroot & Fienberg, "The comparison and evaluation of forecasters", The Statistician 32, 1983.

    Args:
        groups: by the name of a curve its groups, each with a mean `probability` and a `share`.
        axes: the axes to draw on, which are returned.
    """
    axes.plot([0, 1], [0, 1], color=LIGHT.ink, linestyle="--", linewidth=1, label="probability = share")
    for (label, curve), color, marker in zip(groups.items(), (LIGHT.first, LIGHT.second), "os"):
        places = [[group["probability"] for group in curve], [group["share"] for group in curve]]
        axes.plot(*places, color=color, marker=marker, linewidth=1.5, label=label)
    labels = {"xlabel": "predicted probability", "ylabel": "share of the rows"}
    limits = dict.fromkeys(("xlim", "ylim"), (-0.03, 1.03))
    return _finished(axes, "upper left", "Reliability of probabilities", **labels, **limits)
