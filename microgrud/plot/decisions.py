"""The predictions of a network everywhere in the plane of two features, and its samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from ..common.checks import ANY, flag, instance, one_of, optional, real, whole
from ..common.numbers import as_float, as_sequence, is_real_scalar
from ..engine.grad_mode import without_graph
from ..engine.vectors import Vector
from ..interactive.regions import are_probabilities
from ..nn.mode import mode
from ..train.batches import Samples, check_samples
from ..train.evaluation import number
from .axes import Axes, axes_for
from .scales import LARGEST, drawable
from .style import HATCH, hatch_ground, outline, style, undefined_patch
from .walks import draw_legend_off_points

_MARGIN = 0.08
#: The largest lead for which contours can be drawn.
_LARGEST_LEAD = 1e100


def decision_regions(
    model: Callable[[Any], Any],
    X: Any,
    y: Any,
    ax: Axes | None = None,
    *,
    task: str | None = None,
    threshold: float | None = None,
    points: int = 120,
    batched: bool = False,
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
) -> Axes:
    """Draw the predictions of a model of two features everywhere, and the samples over them.

    In classification each class has a region with a colour and a hatch, and its samples have a marker; the model is
    undecided on the lines between regions. In regression the prediction is a heat map with contours, and each sample is
    filled with the colour of its target. Places without a finite prediction are hatched, and the legend says so. The
    legend is in a place without samples, or else next to the picture.

    Args:
        model: a function that returns the prediction for a row of two numbers. Several outputs are one for each class:
            logits, probabilities or log-probabilities. The largest output wins, and the first of equal ones. A single
            output stands for the second of two classes if it is above the threshold. A `Module` is in evaluation mode
            while it is called.
        X: n rows of 2 numbers each: lists, a NumPy array or a pandas table.
        y: n targets: class indices from 0, -1 and 1 for two classes and one output, or numbers in regression.
        ax: the Axes to draw on; those of a new Figure, which show themselves in a notebook, if None.
        task: `"classification"` or `"regression"`; by default classification for several outputs, and for one output
            if the targets are 0 and 1, or -1 and 1.
        threshold: the threshold of a single output in classification. For the targets -1 and 1 it is 0 by default. For
            0 and 1 it is 0.5 if the output is a probability (its activation is `"sigmoid"`; for a model that is not an
            MLP: all outputs are between 0 and 1), or else 0, for logits.
        points: the number of grid points along each side, at least 2; the model is called at each point of the grid.
        batched: whether the model takes all points at once, an array of shape (points, 2), and returns an array with a
            number or a row of outputs for each, as `predict` and `predict_proba` of scikit-learn do.
        feature_names: the names of the axes; the columns of a pandas table, or `x1` and `x2`, if None.
        class_names: the names of the classes, in ascending order of their targets.

    Returns:
        The Axes, labelled.

    Raises:
        TypeError, ValueError: for data with another number of columns than two, for targets that do not fit the
            outputs, and for invalid arguments.
        ImportError: without matplotlib.

    >>> from microgrud.nn import MLP
    >>> ax = decision_regions(MLP(2, [4, 1], rng=0), [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], points=5)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['0', '1']
    """
    where = "decision_regions"
    instance(Callable, "a function of a row")(f"{where}: model", model)
    samples = check_samples(where, X, y)
    rows = samples.rows.array
    if rows.shape[1] != 2:
        raise ValueError(f"{where}: X: expected rows of 2 numbers, which span a plane, got {rows.shape[1]}")
    if np.abs(rows).max() > LARGEST:
        raise ValueError(f"{where}: X: expected numbers up to {LARGEST:g}, got {np.abs(rows).max():g}")
    columns = getattr(X, "columns", ("x1", "x2"))
    names = _names(f"{where}: feature_names", columns if feature_names is None else feature_names, 2)
    across, up = (_grid(column, whole(2)(f"{where}: points", points)) for column in rows.T)
    places = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    outputs = _outputs(where, model, places, flag(f"{where}: batched", batched))
    shape = (len(up), len(across))
    chosen = _task(where, task, outputs.shape[1], samples.targets)
    own = ax is None
    cut = optional(real(ANY))(f"{where}: threshold", threshold)
    if chosen == "regression":
        targets = np.array([as_float(t, f"{where}: y") for t in samples.targets])
        if outputs.shape[1] != 1:
            raise ValueError(f"{where}: expected a model of one output in regression, got {outputs.shape[1]}")
        defined: Any = np.isfinite(outputs).reshape(shape)
    else:
        scores, classes = _scores(where, model, outputs, samples, cut)
        # An infinite score wins or loses. The winner is unknown if two scores are infinite, or one is NaN.
        leads = _leads(scores.reshape(*shape, len(classes)))
        defined = ~np.isnan(leads).any(axis=2)
        labels = _names(f"{where}: class_names", classes if class_names is None else class_names, len(classes))
    ax = axes_for(where, ax, 6.0 if chosen == "regression" else 5.6, 4.6)
    ax.set(xlim=(across[0], across[-1]), ylim=(up[0], up[-1]), autoscale_on=False)
    if not defined.all():
        hatch_ground(ax)
    if chosen == "regression":
        _draw_regression(ax, across, up, outputs.reshape(shape), rows, targets)
        entries, labels, title = [], [], None
    else:
        entries, title = _draw_classes(ax, across, up, leads, samples, classes, labels), "class"
    if not defined.all():
        entries.append(undefined_patch("prediction"))
        labels.append(entries[-1].get_label())
    draw_legend_off_points(ax, entries, labels, rows, title=title, widen=own)
    ax.set_xlabel(names[0], parse_math=False)
    ax.set_ylabel(names[1], parse_math=False)
    return ax


# --- evaluating the model ---


def _grid(column: Vector, points: int) -> Vector:
    low, high = float(column.min()), float(column.max())
    margin = _MARGIN * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, points)


def _outputs(where: str, model: Callable[[Any], Any], rows: Vector, batched: bool) -> Vector:
    """Return the model's outputs for each row, an array of shape (rows, outputs)."""
    if batched:
        outputs = np.asarray(model(rows), dtype=np.float64)
        if outputs.ndim not in (1, 2) or len(outputs) != len(rows) or not outputs.size:
            raise ValueError(
                f"{where}: model: expected a number or a row of outputs for each of {len(rows)} points, got an array "
                f"of shape {outputs.shape}"
            )
        return outputs.reshape(len(rows), -1)
    with mode(model, training=False):
        predictions = without_graph(lambda: [[number(x) for x in _several(where, model(row))] for row in rows.tolist()])
    numbers = [[as_float(x, f"{where}: an output of the model") for x in row] for row in predictions]
    if len({len(row) for row in numbers}) != 1 or not numbers[0]:
        raise ValueError(f"{where}: model: expected as many outputs for each row, at least one, got different numbers")
    return np.array(numbers)


def _several(where: str, prediction: Any) -> Sequence[Any]:
    if is_real_scalar(number(prediction)):
        return [prediction]
    return as_sequence(prediction, f"{where}: the prediction of the model")


def _task(
    where: str, task: str | None, outputs: int, targets: Sequence[Any]
) -> Literal["classification", "regression"]:
    if task is not None:
        return one_of("classification", "regression")(f"{where}: task", task)  # type: ignore[no-any-return]
    plain = all(is_real_scalar(t) for t in targets)
    found = {float(t) for t in targets} if plain else set()
    two = found <= {0.0, 1.0} or found <= {-1.0, 1.0}
    return "classification" if outputs > 1 or (plain and two) else "regression"


def _scores(
    where: str, model: Any, outputs: Vector, samples: Samples, threshold: float | None
) -> tuple[Vector, list[int]]:
    """Return a score for each class at each place, the largest of which wins, and the classes among the targets."""
    found = sorted({_class(where, target) for target in samples.targets})
    count = outputs.shape[1]
    if count > 1:
        if threshold is not None:
            raise ValueError(f"{where}: threshold: expected None for a model of {count} outputs, got {threshold}")
        if found[0] < 0 or found[-1] >= count:
            raise ValueError(f"{where}: y: expected class indices from 0 to {count - 1}, got {found[0]} to {found[-1]}")
        return outputs, list(range(count))
    if not (set(found) <= {0, 1} or set(found) <= {-1, 1}):
        raise ValueError(
            f"{where}: y: expected the classes 0 and 1, or -1 and 1, for a model of one output, got "
            f"{', '.join(map(str, found[:5]))}; a model of {len(found)} classes has {len(found)} outputs"
        )
    classes = [-1, 1] if -1 in found else [0, 1]
    if threshold is None:
        threshold = 0.5 if -1 not in found and are_probabilities(model, outputs.ravel().tolist()) else 0.0
    return np.hstack([np.full_like(outputs, threshold), outputs]), classes


def _leads(scores: Vector) -> Vector:
    """Return the difference of the score of each class to the best other score; NaN where that is not a number.

    The first of equal classes has a lead too small to move the border, which is drawn where a lead is 0.
    """
    leads = np.empty_like(scores)
    with np.errstate(invalid="ignore", over="ignore"):  # the difference of two infinite scores is NaN
        for k in range(scores.shape[2]):
            leads[:, :, k] = scores[:, :, k] - np.delete(scores, k, axis=2).max(axis=2)
    leads = np.clip(leads, -_LARGEST_LEAD, _LARGEST_LEAD)
    tied = leads == 0.0
    smallest = float(np.min(np.abs(leads), where=np.abs(leads) > 0.0, initial=1.0))
    little = 1e-6 * smallest or smallest
    first = np.argmax(leads >= 0.0, axis=2)[:, :, None] == np.arange(scores.shape[2])
    return np.where(tied, np.where(first, little, -little), leads)


def _class(where: str, target: Any) -> int:
    index = as_float(target, f"{where}: y: class")
    if not index.is_integer():
        raise ValueError(f"{where}: y: expected integers as classes, got {target}; pass task='regression' for numbers")
    return int(index)


def _names(where: str, given: Any, count: int) -> list[str]:
    found = [str(name) for name in as_sequence(given, where, "names")]
    if len(found) != count:
        raise ValueError(f"{where}: expected {count} of them, got {len(found)}")
    return found


# --- drawing ---


def _draw_classes(
    ax: Axes, across: Vector, up: Vector, leads: Vector, samples: Samples, classes: list[int], labels: list[str]
) -> list[Any]:
    """Draw regions and samples; return an entry for the legend for each class."""
    import matplotlib
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    rows = samples.rows.array
    targets = np.array([int(t) for t in samples.targets])
    many = len(rows) > 400
    entries: list[Any] = []
    for k, (label, target) in enumerate(zip(labels, classes)):
        look = style(k)
        lead = leads[:, :, k]
        if np.isfinite(lead).any() and np.nanmax(lead) > 0.0:
            high = float(np.nanmax(lead))
            # Before matplotlib 3.11 only this setting changes the colour of hatches in contours.
            with matplotlib.rc_context({"hatch.color": HATCH}):
                ax.contourf(
                    across, up, lead, levels=[0.0, 2.0 * high], colors=[look.tint], hatches=[look.hatch or None],
                    zorder=0.5,
                )  # fmt: skip
            if float(np.nanmin(lead)) < 0.0:
                ax.contour(across, up, lead, levels=[0.0], colors="black", linewidths=1.0, zorder=1)
        own = rows[targets == target]
        ax.scatter(
            own[:, 0], own[:, 1], s=14 if many else 38, marker=look.marker, color=look.color, edgecolors="black",
            linewidths=0.6, zorder=3, label=label,
        )  # fmt: skip
        patch = Patch(facecolor=look.tint, edgecolor=HATCH, hatch=look.hatch, linewidth=0.5)
        mark = Line2D([], [], linestyle="none", marker=look.marker, color=look.color, markeredgecolor="black")
        entries.append((patch, mark))
    return entries


def _draw_regression(
    ax: Axes, across: Vector, up: Vector, predictions: Vector, points: Vector, targets: Vector
) -> None:
    from matplotlib.colors import Normalize

    predictions, targets = drawable(predictions), drawable(targets)
    everything = np.concatenate([predictions[np.isfinite(predictions)], targets])
    low, high = float(everything.min()), float(everything.max())
    norm = Normalize(low, high if high > low else low + 1.0)
    # An image in SVG and PDF files as well, since two triangles for each place would take seconds and megabytes.
    heat = ax.pcolormesh(
        across, up, np.ma.masked_invalid(predictions), norm=norm, cmap="cividis", shading="gouraud", zorder=0.5,
        rasterized=True,
    )  # fmt: skip
    finite = predictions[np.isfinite(predictions)]
    if len(finite) and finite.max() > finite.min():
        ax.contour(across, up, predictions, levels=8, colors="white", linewidths=0.6, linestyles="solid", zorder=1)
    ax.scatter(
        points[:, 0], points[:, 1], c=targets, norm=norm, cmap="cividis", s=38, edgecolors="white", linewidths=1.2,
        zorder=3, label="sample", path_effects=outline(2.6, "black"),
    )  # fmt: skip
    bar = ax.figure.colorbar(heat, ax=ax)
    bar.set_label("prediction; in the circles: target")
