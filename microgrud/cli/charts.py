"""Pictures for light and dark pages, and three charts: loss curve, confusion matrix, predicted against true.

Each takes and returns matplotlib Axes and touches no global state: `figure` makes a Figure of its own, without
pyplot, and `render` turns it into bytes. A `Theme` colours a picture for a light or for a dark page.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..plot.axes import Axes, new_figure
from ..plot.curves import logarithmic_loss

#: Maximum number of classes for which the numbers of a confusion matrix fit into its cells.
_MOST_NUMBERED_CLASSES = 20


@dataclass(frozen=True)
class Theme:
    """The colours of the page, text, axes, first curve and second curve, and the darkest colour of a heat map."""

    page: str
    ink: str
    faint: str
    first: str
    second: str
    deep: str

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Draw and render pictures in these colours, which replace those of matplotlib's global settings."""
        import matplotlib

        colors: dict[Any, Any] = {
            **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), self.ink),
            **dict.fromkeys(("figure.facecolor", "axes.facecolor", "legend.facecolor"), self.page),
            **dict.fromkeys(("axes.edgecolor", "legend.edgecolor"), self.faint),
        }
        with matplotlib.rc_context({**colors, "axes.axisbelow": True}):
            yield


LIGHT = Theme(page="#ffffff", ink="#1f2328", faint="#d0d7de", first="#0b62c4", second="#c2410c", deep="#0b4a94")
DARK = Theme(page="#161b22", ink="#e6edf3", faint="#3d444d", first="#6cb6ff", second="#ffa657", deep="#9ecbff")


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


def themed_files(draw: Callable[[Theme], Axes]) -> tuple[bytes, ...]:
    """Return the SVG files that `draw(theme)` draws, for light pages and for dark ones."""
    files = []
    for theme in (LIGHT, DARK):
        with theme.applied():
            files.append(render(draw(theme)))
    return tuple(files)


def figure(width: float = 6.4, height: float = 4.0) -> Axes:
    """Return the Axes of a new Figure of `width` by `height` inches, which belongs to no window and no pyplot."""
    return new_figure("the report", width, height).add_subplot()


def render(axes: Axes) -> bytes:
    """Return the picture that contains `axes` as the bytes of an SVG file, the same bytes every time."""
    import matplotlib

    buffer = io.BytesIO()
    figure: Any = axes.figure
    # Text stays text in an SVG, so that the reader's fonts supply missing glyphs, such as Chinese ones.
    with matplotlib.rc_context({"svg.hashsalt": "microgrud", "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure.savefig(buffer, format="svg", dpi=160, metadata={"Date": None}, bbox_inches="tight", pad_inches=0.06)
    return buffer.getvalue()


def loss_curve(
    losses: Sequence[float],
    steps_per_epoch: int,
    axes: Axes,
    held_out: float | None = None,
    theme: Theme = LIGHT,
) -> Axes:
    """Draw the loss of every step and its mean over each epoch, against epochs, on a logarithmic scale.

    Args:
        losses: the loss of each step, in order.
        steps_per_epoch: the number of steps in an epoch.
        axes: the axes to draw on.
        held_out: the loss of the finished model on held-out rows, drawn as a level line.
        theme: the colours.

    Returns:
        `axes`.
    """
    from matplotlib.ticker import MaxNLocator

    values = np.asarray(losses, dtype=float)
    epochs = np.arange(1, len(values) + 1) / steps_per_epoch
    axes.plot(epochs, values, color=theme.first, alpha=0.35, linewidth=0.8, label="each step")
    parts = [slice(start, start + steps_per_epoch) for start in range(0, len(values), steps_per_epoch)]
    means, ends = [values[part].mean() for part in parts], [epochs[part][-1] for part in parts]
    axes.plot(ends, means, color=theme.first, linewidth=2, marker="o" if len(means) == 1 else None, label="epoch mean")
    if held_out is not None:
        axes.axhline(held_out, color=theme.second, linestyle="--", linewidth=1.5, label="held-out rows, at the end")
    if len(values) and (values > 0).all() and values.max() > 10 * values.min():
        logarithmic_loss(axes, values, means)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel="loss", title="Loss while training")
    axes.grid(color=theme.faint, linewidth=0.6)
    axes.legend()
    return axes


def confusion_matrix(counts: Sequence[Sequence[int]], classes: Sequence[str], axes: Axes, theme: Theme = LIGHT) -> Axes:
    """Draw how often each true class (row) was predicted as each class (column), coloured by the share of its row.

    Args:
        counts: `counts[i][j]` rows of class i were predicted to be of class j.
        classes: the names, in the order of the counts.
        axes: the axes to draw on.
        theme: the colours.

    Returns:
        `axes`.
    """
    from matplotlib.colors import LinearSegmentedColormap

    matrix = np.asarray(counts, dtype=float)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    heat = LinearSegmentedColormap.from_list("share", [theme.page, theme.deep])
    axes.imshow(shares, cmap=heat, vmin=0, vmax=1)
    if len(classes) <= _MOST_NUMBERED_CLASSES:
        for (row, column), count in np.ndenumerate(matrix):
            color = theme.page if shares[row, column] > 0.5 else theme.ink
            axes.text(column, row, f"{count:.0f}", ha="center", va="center", color=color, parse_math=False)
    names = [name if len(name) <= 18 else name[:17] + "…" for name in classes]
    wide = len(names) * max(map(len, names)) > 36
    slant: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if wide else {}
    axes.set_xticks(range(len(names)), names, parse_math=False, **slant)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=theme.faint, linewidth=1)
    axes.tick_params(which="minor", length=0)
    axes.set(xlabel="predicted", ylabel="true", title="Confusion matrix, held-out rows")
    return axes


def predicted_against_true(
    true: Sequence[float], predicted: Sequence[float], name: str, axes: Axes, theme: Theme = LIGHT
) -> Axes:
    """Draw each held-out row as a point; with a perfect model all of them lie on the diagonal.

    Args:
        true: the numbers in the table.
        predicted: the model's predictions.
        name: the name of the predicted column.
        axes: the axes to draw on.
        theme: the colours.

    Returns:
        `axes`.
    """
    low, high = min(*true, *predicted), max(*true, *predicted)
    margin = 0.04 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=theme.second, linestyle="--", linewidth=1.5, label="predicted = true")
    many = len(true) > 2_000
    axes.scatter(
        true, predicted, s=8 if many else 22, color=theme.first, alpha=0.3 if many else 0.65, linewidths=0,
        rasterized=many, label="held-out row",
    )  # fmt: skip
    axes.set(xlim=limits, ylim=limits, aspect="equal", title="Predicted against true, held-out rows")
    axes.set_xlabel(f"true {name}", parse_math=False)
    axes.set_ylabel(f"predicted {name}", parse_math=False)
    axes.grid(color=theme.faint, linewidth=0.6)
    axes.legend(loc="upper left")
    return axes
