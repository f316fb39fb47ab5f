"""The pictures of a training run, each with a description for those who do not see it."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable

import numpy as np

from ..engine.vectors import Vector
from ..plot import decision_regions
from ..plot.axes import Axes
from ..plot.planes import Plane
from . import charts
from .charts import Picture, themed_files
from .preprocessing import NumberColumn, Preprocessing
from .run import Run
from .scores import figures
from .walk import flow_picture, surface_picture

#: Maximum number of held-out rows to draw: more would hide the regions below them.
_MOST_MARKERS = 600
#: Number of points along each side of the grid on which the network is evaluated.
_REGION_POINTS = 100


def draw_pictures(run: Run) -> dict[str, Picture]:
    """Return the pictures of `run` by their names, without those that it has no data for.

    The names are `"loss"`; `"confusion"` or `"predictions"`; `"regions"`, with two inputs or more; `"surface"` and
    `"flow"`, unless the network is too large for them; `"network"`.
    """
    result = "predictions" if run.target.task == "regression" else "confusion"
    pictures = {
        "loss": _loss(run),
        result: _result(run),
        "regions": _regions(run),
        "surface": surface_picture(run),
        "flow": flow_picture(run),
        "network": _network(run),
    }
    return {name: picture for name, picture in pictures.items() if picture is not None}


def _loss(run: Run) -> Picture:
    loss = run.history.loss
    return Picture(
        themed_files(lambda theme: loss_chart(run, theme)),
        f"Loss curve: the loss went from {figures(loss[0])} in the first step to {figures(loss[-1])} in the last.",
        "The loss of each step, and its mean over each epoch.",
    )


def loss_chart(run: Run, theme: charts.Theme = charts.LIGHT) -> Axes:
    """Draw the loss curve of `run`."""
    axes, steps_per_epoch = charts.figure(5.4, 4.0), run.settings.steps_per_epoch(run.train_rows)
    return charts.loss_curve(run.history.loss, steps_per_epoch, axes, run.held_out_loss, theme)


def _result(run: Run) -> Picture:
    rows = len(run.predictions)
    if run.target.task == "classification":
        right = round(run.scores["accuracy"] * rows)
        alt = f"Confusion matrix: {right} of {rows} held-out rows lie on the diagonal."
        caption = "Rows are true classes, columns predicted ones; correct predictions are on the diagonal."
    else:
        alt = f"Predicted against true: {rows} held-out rows, R² {figures(run.scores['r2'])}."
        caption = "Each point is a held-out row; the closer to the line, the better."
    return Picture(themed_files(lambda theme: result_chart(run, theme)), alt, caption)


def result_chart(run: Run, theme: charts.Theme = charts.LIGHT) -> Axes:
    """Draw the confusion matrix or, in regression, predicted against true."""
    target = run.target
    if target.task == "regression":
        true, predicted = run.predictions["true"].tolist(), run.predictions["predicted"].tolist()
        return charts.predicted_against_true(true, predicted, target.name, charts.figure(4.8, 4.8), theme)
    size = min(9.0, 3.4 + 0.45 * len(target.classes))
    axes = charts.figure(size, size)
    return charts.confusion_matrix(run.scores["confusion"], target.classes, axes, theme)


# --- the predictions in a plane ---


def _regions(run: Run) -> Picture | None:
    plane = plane_of(run.predictor.preprocessing, np.array(run.learned.rows))
    if plane is None:
        return None
    what, marked = ("class", "class") if run.target.classes else ("number", "number, with the same colours")
    title = " and ".join(plane.labels) if plane.variance is None else "the first two principal components of the inputs"
    caption = (
        f"The {what} that the network predicts at each point of the plane of {title}. Markers are held-out rows, "
        f"coloured by their true {marked}."
    )
    if plane.variance is not None:
        caption += (
            f" The plane goes through the mean of the {len(plane.origin)} inputs and holds {sum(plane.variance):.0%} "
            "of their variance: the prediction for a row outside of it may differ from that at its marker."
        )
    answer = functools.cache(lambda *place: run.predictor.answer(plane.point(*place).tolist()))  # once for both themes
    return Picture(
        themed_files(lambda theme: regions_chart(run, plane, answer)),
        f"Decision regions: the predictions of the network in the plane of {title}, with the held-out rows.",
        caption,
    )


def regions_chart(run: Run, plane: Plane, answer: Callable[..., list[float]]) -> Axes:
    """Draw the predictions of the network in a plane of its inputs, and held-out rows.

    Args:
        run: the run.
        plane: the plane.
        answer: `answer(a, b)` gives the output of the network there: a logit for each class, or the number.
    """
    classes = run.target.classes
    shown = slice(_MOST_MARKERS)
    true = run.predictions["true"].tolist()[shown]
    axes = decision_regions(
        lambda place: answer(*place),
        plane.project(np.array(run.held_out[shown])),
        [classes.index(name) for name in true] if classes else true,
        charts.figure(5.4, 4.6),
        task=run.target.task,
        points=_REGION_POINTS,
        feature_names=plane.labels,
        class_names=classes or None,
    )
    axes.set_title("Predictions of the network, and held-out rows")
    return axes


def plane_of(preprocessing: Preprocessing, rows: Vector) -> Plane | None:
    """Return the plane of two inputs, or of the two principal components of more inputs; None for a single input.

    Two columns of numbers are in the units of the table. With principal components, the plane has the share of the
    variance of the rows along each.

    Args:
        preprocessing: converts columns to inputs.
        rows: the inputs of the training rows, an array of shape (rows, n).
    """
    inputs = preprocessing.inputs
    if len(inputs) < 2:
        return None
    if len(inputs) == 2:
        means, scales = np.zeros(2), np.ones(2)
        for i, column in enumerate(preprocessing.columns):
            if isinstance(column, NumberColumn):
                means[i], scales[i] = column.mean, column.scale
        return Plane(-means / scales, np.diag(1.0 / scales), (inputs[0], inputs[1]))
    from sklearn.decomposition import PCA

    pca = PCA(n_components=2, svd_solver="full").fit(rows)
    first, second = map(float, pca.explained_variance_ratio_)
    labels = (f"principal component 1 ({first:.0%} of the variance)", f"principal component 2 ({second:.0%})")
    return Plane(pca.mean_, pca.components_, labels, (first, second))


# --- the network itself ---


def _network(run: Run) -> Picture:
    predictor = run.predictor
    sizes = [len(predictor.preprocessing.inputs), *(layer[2] for layer in predictor.layers())]
    outputs = run.target.classes or [run.target.name]
    try:
        from ..draw import draw

        drawing = draw(predictor.model, inputs=predictor.preprocessing.inputs, outputs=outputs)
        drawing.attr(bgcolor="white")  # on dark pages too, where faint lines would be the brightest
        files = (drawing.pipe("svg"),)
    # A run is not lost because a program for drawing is missing.
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        return Picture((), "", f"There is no picture of the network here: {error}")
    return Picture(
        files,
        f"The network: {sizes[0]} inputs, and layers of {', '.join(map(str, sizes[1:]))} neurons.",
        "The trained network. Each line is a weight: thicker lines are larger weights, dashed orange lines negative "
        "ones. Each circle is a neuron, with its activation.",
    )
