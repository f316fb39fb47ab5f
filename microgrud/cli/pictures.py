"""The pictures of a training run, each with a description for those who do not see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from threadpoolctl import threadpool_limits

from ..common.words import counted, shortened
from ..engine.vectors import Vector
from ..plot import decision_regions, learning_curve
from ..plot.axes import Axes
from ..plot.planes import Plane
from ..plot.style import STYLES
from . import charts
from .charts import Picture, drawn
from .evaluation import calibration_error
from .run import Run
from .scores import figures
from .walk import flow_picture, surface_picture

#: Maximum number of held-out rows to draw: more would hide the regions below them.
_MOST_MARKERS = 300
#: Number of points along each side of the grid on which the network is evaluated.
_REGION_POINTS = 100
#: Maximum number of classes with regions: as many hatches are different.
_MOST_WITH_REGIONS = len(STYLES)


def draw_pictures(run: Run) -> dict[str, Picture]:
    """Return the pictures of `run` by their names, without those that it has no data for.

    The names are `"loss"`; `"confusion"` or `"predictions"`; `"roc"` and `"precision_recall"`, with two classes;
    `"reliability"`, with classes; `"regions"`, with two inputs or more; `"surface"`, `"flow"` and `"network"`. In the
    place of a picture that cannot be drawn, whatever the reason, is a sentence.
    """
    makers: dict[str, tuple[str, Callable[[Run], Picture | None]]] = {
        **{"loss": ("loss curve", _loss), "regions": ("regions of predictions", _regions)},
        **{"surface": ("loss surface", surface_picture), "flow": ("gradients", flow_picture)},
        "network": ("network", _network),
    }
    if run.target.task == "regression":
        makers["predictions"] = ("predictions", _predictions)
    else:
        makers |= {"confusion": ("confusion matrix", _confusion), "reliability": ("reliability", _reliability)}
    if run.curves:
        makers |= {"roc": ("ROC curve", _roc), "precision_recall": ("precision-recall curve", _precision_recall)}
    pictures = {}
    for name, (title, make) in makers.items():
        try:
            with threadpool_limits(1, user_api="blas"):  # threads that wait for each other took 1.5 s for a small SVD
                picture = make(run)
        except Exception as error:  # of matplotlib, of Graphviz, or of a package that is missing: the run is not lost
            picture = Picture((), "", f"There is no picture of the {title} here: {error}")
        if picture is not None:
            pictures[name] = picture
    return pictures


def _loss(run: Run) -> Picture:
    history = run.history
    caption = (
        "The loss, which training lowers: of the batch of each step, and its mean over each epoch (one pass over the "
        "training rows). The horizontal line is the loss on held-out rows at the end. If it lies far above the curve, "
        "the network overfits: it has memorised the training rows."
    )
    if history.best_epoch is not None:
        caption += (
            " The network is that of the marked epoch, which has the lowest loss on validation rows: a part of the "
            "training rows, on which no step is taken."
        )
    first, last = figures(history.loss[0]), figures(history.loss[-1])
    alt = f"Loss curve: the loss went from {first} in the first step to {last} in the last."
    return Picture(drawn(lambda: loss_chart(run)), alt, caption)


def loss_chart(run: Run) -> Axes:
    """Draw the loss curve of `run`, and the loss on held-out rows."""
    axes = charts.figure(height=4.2)
    axes.axhline(run.held_out_loss, color=charts.LIGHT.ink, linestyle="-.", linewidth=1, label="held-out rows")
    learning_curve(run.history, axes)
    charts.label_decades(axes)
    return axes


def _confusion(run: Run) -> Picture:
    rows = len(run.predictions)
    right = int(np.trace(run.scores["confusion"]))
    return Picture(
        drawn(lambda: confusion_chart(run)),
        f"Confusion matrix: {right} of {rows} held-out rows lie on the diagonal.",
        "Rows are true classes, columns predicted ones: correct predictions are on the diagonal, and each number "
        "off it counts mistakes of one kind.",
    )


def confusion_chart(run: Run) -> Axes:
    """Draw the confusion matrix."""
    size = min(9.0, 3.2 + 0.4 * len(run.target.classes))
    return charts.confusion_matrix(run.scores["confusion"], run.target.classes, charts.figure(size + 0.6, size))


def _predictions(run: Run) -> Picture:
    return Picture(
        drawn(lambda: predictions_chart(run)),
        f"Predicted against true: {len(run.predictions)} held-out rows, R² {figures(run.scores['r2'])}.",
        "Each point is a held-out row; the closer to the line, the better.",
    )


def predictions_chart(run: Run) -> Axes:
    """Draw predicted against true numbers."""
    true, predicted = run.predictions["true"].tolist(), run.predictions["predicted"].tolist()
    return charts.predicted_against_true(true, predicted, run.target.name, _square())


# --- probabilities ---


def _marks(run: Run, x: Callable[[Mapping[str, float]], float], y: str) -> dict[str, tuple[float, float]]:
    """Return the points of the thresholds on a curve, by their names."""
    names = {"0.5": "at 0.5", "f1": "at {:.2f} (best F1)"}
    found = run.scores["threshold"]["held_out"]
    return {name.format(found[key]["threshold"]): (x(found[key]), found[key][y]) for key, name in names.items()}


def _roc(run: Run) -> Picture:
    area, name = run.scores["roc_auc"], run.target.classes[1]
    return Picture(
        drawn(lambda: roc_chart(run)),
        f"ROC curve: the area below it is {figures(area)}.",
        f"Each point is a threshold on the probability of {name}: its height is the share of the rows of {name} that "
        f"are found, and its distance from the left the share of other rows that are predicted to be {name}. The area "
        f"is the probability that a row of {name} has a higher probability than another row: 1 is perfect, 0.5 is "
        "guessing.",
    )


def roc_chart(run: Run) -> Axes:
    """Draw the ROC curve of the second of two classes."""
    marks = _marks(run, lambda at: at["recall"] - at["youden"], "recall")
    points = run.curves["false_positive_rate"], run.curves["true_positive_rate"]
    return charts.roc_curve(*points, run.scores["roc_auc"], marks, _square())


def _precision_recall(run: Run) -> Picture:
    area, name = run.scores["pr_auc"], run.target.classes[1]
    return Picture(
        drawn(lambda: precision_recall_chart(run)),
        f"Precision-recall curve: the area below it is {figures(area)}.",
        f"Each point is a threshold on the probability of {name}: recall is the share of the rows of {name} that are "
        f"found, and precision the share of right rows among those that are predicted to be {name}. The curve says "
        f"more than the ROC curve if {name} is rare.",
    )


def precision_recall_chart(run: Run) -> Axes:
    """Draw the precision-recall curve of the second of two classes."""
    name = run.target.classes[1]
    share = float((run.predictions["true"] == name).mean())
    marks = _marks(run, lambda at: at["recall"], "precision")
    points = run.curves["recall"], run.curves["precision"]
    return charts.precision_recall_curve(*points, run.scores["pr_auc"], share, marks, _square())


def _reliability(run: Run) -> Picture:
    groups = run.scores["calibration"]
    two = len(run.target.classes) == 2
    share = f"that are {run.target.classes[1]}" if two else "whose predicted class is right"
    after, before = (figures(calibration_error(groups[name])) for name in ("after", "before"))
    distances = f"Their mean distance from it is {after}."
    if groups["before"] != groups["after"]:
        distances = (
            "Calibration divides the logits by a temperature fitted to validation rows: their mean distance from the "
            f"line was {before} before it, and is {after} after it."
        )
    return Picture(
        drawn(lambda: reliability_chart(run)),
        f"Reliability of probabilities: their mean distance from the shares is {after}.",
        f"Each point is a group of held-out rows of similar probability, and the share of them {share}. Where "
        f"probabilities can be taken at their word, the points lie on the line, apart from chance. {distances}",
    )


def reliability_chart(run: Run) -> Axes:
    """Draw the shares of classes against their probabilities, before and after calibration."""
    groups = run.scores["calibration"]
    names = {"calibrated": groups["after"], "before calibration": groups["before"]}
    return charts.reliability({"network": groups["after"]} if groups["after"] == groups["before"] else names, _square())


def _square() -> Axes:
    return charts.figure(charts.WIDTH, charts.WIDTH)


# --- the predictions in a plane ---


def _regions(run: Run) -> Picture | None:
    plane = plane_of(run.inputs, run.held_out)
    if plane is None or len(run.target.classes) > _MOST_WITH_REGIONS:
        return None
    what, marked = ("class", "class") if run.target.classes else ("number", "number, with the same colours")
    title = (
        " and ".join(plane.labels)
        if plane.variance is None
        else "the first two principal components of the prepared inputs"
    )
    caption = (
        f"The {what} that the network predicts at each point of the plane of {title}. Markers are "
        f"held-out rows, coloured by their true {marked}."
    )
    if plane.variance is not None:
        caption += (
            f" The plane goes through their mean in {len(plane.origin)} dimensions and holds {sum(plane.variance):.0%} "
            "of their variance: the prediction for a row outside of it may differ from that at its marker."
        )
    return Picture(
        drawn(lambda: regions_chart(run, plane)),
        f"Decision regions: the predictions of the network in the plane of {title}, with the held-out rows.",
        caption,
    )


def regions_chart(run: Run, plane: Plane) -> Axes:
    """Draw the predictions of the network in a plane of its inputs, and held-out rows."""
    classes = run.target.classes
    true = run.predictions["true"].tolist()[:_MOST_MARKERS]
    answers = run.network.predict_proba if classes else run.network.predict
    axes = decision_regions(
        lambda places: answers(plane.origin + places @ plane.directions),
        plane.project(run.held_out[:_MOST_MARKERS]),
        [classes.index(name) for name in true] if classes else true,
        charts.figure(height=4.2),
        task=run.target.task,
        points=_REGION_POINTS,
        batched=True,
        feature_names=[shortened(label, 40) for label in plane.labels],
        class_names=[shortened(name, 20) for name in classes] or None,
    )
    axes.set_title("Predictions of the network")
    return axes


def plane_of(inputs: list[str], rows: Vector) -> Plane | None:
    """Return the plane of two inputs, or of the two principal components of more inputs; None for a single input.

    With principal components, the plane has the share of the variance of the rows along each.

    Args:
        inputs: the names of the inputs.
        rows: the inputs of some rows, an array of shape (rows, n).
    """
    if len(inputs) < 2:
        return None
    if len(inputs) == 2:
        return Plane(np.zeros(2), np.eye(2), (f"{inputs[0]} (prepared)", f"{inputs[1]} (prepared)"))
    from sklearn.decomposition import PCA

    pca = PCA(n_components=2, svd_solver="full").fit(rows)
    first, second = map(float, pca.explained_variance_ratio_)
    labels = (f"principal component 1 ({first:.0%} of variance)", f"principal component 2 ({second:.0%})")
    return Plane(pca.mean_, pca.components_, labels, (first, second))


# --- the network itself ---


def _network(run: Run) -> Picture:
    from ..draw import draw

    outputs = run.target.classes or [run.target.name]
    drawing = draw(run.model, inputs=network_inputs(run), outputs=outputs)
    drawing.attr(bgcolor="white")  # on dark pages too, where faint lines would be the brightest
    sizes = [len(run.model.layers[0].neurons[0].w), *(len(layer.neurons) for layer in run.model.layers)]
    pieces = (
        " A number is an input as a whole and in pieces, each of which grows from -1 to 1 between two quantiles."
        if sizes[0] > len(run.inputs)
        else ""
    )
    first = "The first of the trained networks" if len(run.network.networks_) > 1 else "The trained network"
    return Picture(
        (drawing.pipe("svg"),),
        f"The network: {counted(sizes[0], 'input')}, and layers of {', '.join(map(str, sizes[1:]))} neurons.",
        f"{first}. Each line is a weight: thicker lines are larger weights, dashed orange lines negative ones. Each "
        "circle is a neuron, with its activation: it sums its inputs times their weights, and bends the sum by the "
        "activation. In the file network.svg, hovering over a line or a circle shows its numbers." + pieces,
    )


def network_inputs(run: Run) -> list[str]:
    """Return a name for each input of the networks: the prepared columns, and the pieces of those that are numbers."""
    encoding = run.network.encoding_
    if encoding is None:
        return run.inputs
    edges = zip(run.inputs, encoding.edges)
    return [*run.inputs, *(f"{name}, piece {k}" for name, of_name in edges for k in range(1, len(of_name)))]
