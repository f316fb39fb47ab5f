"""The pictures of the course of training: the loss surface with the walk over it, and the gradients of each layer."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Mapping

import numpy as np

from ..engine.vectors import Vector, read_gradients, write_data, write_gradients
from ..functions import mean
from ..plot import LossSurface, gradient_flow, loss_surface
from ..plot.axes import Axes
from ..tables.table import counted
from ..train.batches import Samples
from ..train.objective import MeanLoss
from . import charts
from .charts import Picture, themed_files
from .pipeline import sample_loss
from .run import Run
from .scores import figures

#: Maximum of samples times parameters times points of a surface: measured, 1 to 2 s, without C half a minute.
_MOST_WORK = 25_000_000
#: Minimum and maximum number of points along each side of the grid.
_FEWEST_POINTS, _MOST_POINTS = 21, 41
#: Minimum number of rows to sample if the table is too large to use all.
_FEWEST_ROWS = 50
#: Maximum number of parameters: with more, a surface takes minutes rather than seconds.
_MOST_PARAMETERS = 5_000


# --- the surface ---


def surface_picture(run: Run) -> Picture:
    """Return the picture of the loss over a plane through parameter space, with the walk of training."""
    parameters = len(run.trajectory.parameters)
    if parameters > _MOST_PARAMETERS:
        return Picture(
            (), "", f"There is no loss surface here: with {parameters} parameters it would take minutes to evaluate."
        )
    surface = surface_of(run)
    finite = surface.losses[np.isfinite(surface.losses)]
    return Picture(
        themed_files(lambda theme: surface_chart(surface)),
        f"Loss surface: contours of losses from {figures(float(finite.min()))} to {figures(float(finite.max()))}, and "
        "the walk of the parameters over it, from the initial weights to the trained ones.",
        _surface_caption(run, surface),
    )


def surface_chart(surface: LossSurface) -> Axes:
    """Draw the contours of a surface and the walk over it."""
    axes = surface.contour(charts.figure(5.4, 4.2))
    axes.set_title("Loss surface, and the walk over it" if surface.trajectories else "Loss surface")
    return axes


def surface_of(run: Run) -> LossSurface:
    """Evaluate the training loss over the plane along which the parameters moved most."""
    model, trajectory = run.predictor.model, run.trajectory
    samples, loss = measured_samples(run), sample_loss(run.settings)
    work = len(samples) * len(trajectory.parameters)
    positions = trajectory.positions
    moved = len(positions) > 1 and bool(np.ptp(positions, axis=0).any())
    return loss_surface(
        MeanLoss(model, samples, loss),
        model,
        directions=None if moved else "random",
        trajectory=trajectory if moved else None,
        points=min(_MOST_POINTS, max(_FEWEST_POINTS, math.isqrt(_MOST_WORK // work))),
        seed=run.settings.seed,
        progress=False,
    )


def measured_samples(run: Run) -> Samples:
    """Return the training samples on which the loss is measured: all, or a sample if all would take too long."""
    rows, parameters = run.train_rows, len(run.trajectory.parameters)
    most = max(_FEWEST_ROWS, _MOST_WORK // (_FEWEST_POINTS**2 * parameters))
    return run.learned if rows <= most else run.learned.take(random.Random(run.settings.seed).sample(range(rows), most))


def _surface_caption(run: Run, surface: LossSurface) -> str:
    penalty = ", without the penalty on weights" if run.settings.weight_decay else ""
    sentences = [f"The landscape that training walked down: the mean loss of {_measured_rows(run)}{penalty}."]
    if surface.plane.variance is not None:
        share = sum(surface.plane.variance)
        sentences.append(
            f"The plane spans the two directions in the {len(surface.parameters)}-dimensional parameter space along "
            f"which training moved most, with {share:.0%} of the variance; in all other directions the parameters keep "
            "their final values."
        )
    elif surface.trajectories:
        sentences.append("The network has only these two parameters.")
    if surface.trajectories:
        every = run.trajectory.every
        sentences.append(f"Marks show every {'' if every == 1 else f'{_ordinal(every)} '}step.")
    return " ".join(sentences)


def _measured_rows(run: Run) -> str:
    measured = len(measured_samples(run))
    everything = counted(run.train_rows, "training row")
    return f"the {everything}" if measured == run.train_rows else f"{measured} of the {everything}"


def _ordinal(number: int) -> str:
    teens = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


# --- the gradients ---


def flow_picture(run: Run) -> Picture | None:
    """Return the picture of the gradients of each layer before training and after; None if all of them are 0."""
    gradients = {
        title: gradient
        for title, place in (("Before the first step", 0), ("After the last step", -1))
        if (gradient := _gradient_at(run, run.trajectory.positions[place])).any()
    }
    if not gradients:
        return None
    return Picture(
        themed_files(lambda theme: flow_chart(run, gradients)),
        "Gradient flow: the mean and the largest gradient of each layer, before the first step and after the last.",
        f"The gradients of the mean loss of {_measured_rows(run)}, layer by layer. Before the first step they should "
        "reach all layers; after the last step they are small if training has converged.",
    )


def flow_chart(run: Run, gradients: Mapping[str, Vector]) -> Axes:
    """Draw gradients layer by layer, in one panel per title, all on one scale."""
    model = copy.deepcopy(run.predictor.model)
    figure = charts.figure(4.6 * len(gradients), 4.0).figure
    figure.clear()
    panels = [figure.add_subplot(1, len(gradients), i + 1) for i in range(len(gradients))]
    for ax, (title, gradient) in zip(panels, gradients.items()):
        write_gradients(model.parameters(), gradient)
        gradient_flow(model, ax)
        ax.set_title(f"{title}:\n{ax.get_title()}", fontsize="medium")
    low, high = zip(*(ax.get_ylim() for ax in panels))
    for ax in panels:
        ax.set_ylim(min(low), max(high))
    for ax in panels[1:]:
        ax.set_ylabel("")
    return panels[0]


def _gradient_at(run: Run, place: Vector) -> Vector:
    """Return the gradient of the training loss at `place` in parameter space."""
    samples, loss, model = measured_samples(run), sample_loss(run.settings), copy.deepcopy(run.predictor.model)
    write_data(model.parameters(), place)
    model.zero_grad()
    mean([loss(model(row), target) for row, target in zip(samples.rows, samples.targets)]).backward()
    return read_gradients(model.parameters())
