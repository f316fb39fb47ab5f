"""The pictures of the course of training: the loss surface with the walk over it, and the gradients of each layer."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping

import numpy as np

from .. import losses
from ..common.words import counted
from ..engine.vectors import Vector, read_gradients, restored, write_data, write_gradients
from ..functions import mean
from ..plot import LossSurface, Trajectory, gradient_flow, loss_surface
from ..plot.axes import Axes
from ..tape import compile
from ..train.batches import Samples
from ..train.evaluation import Loss
from . import charts
from .charts import Picture, drawn
from .run import Run
from .scores import figures

#: Maximum of samples times parameters times points of a surface: measured, 0.1 to 0.2 s, without C 3 s.
_MOST_WORK = 100_000_000
#: Minimum and maximum number of points along each side of the grid.
_FEWEST_POINTS, _MOST_POINTS = 21, 41
#: Minimum number of rows to sample if the table is too large to use all.
_FEWEST_ROWS = 50
#: Maximum number of parameters: with more, a surface takes seconds.
_MOST_PARAMETERS = 20_000


# --- the surface ---


def surface_picture(run: Run) -> Picture | None:
    """Return the picture of the loss over a plane in parameter space, with the walk of training, if that is known."""
    if run.trajectory is None:
        return None
    parameters = len(run.model.parameters())
    if parameters > _MOST_PARAMETERS:
        return Picture(
            (), "", f"There is no loss surface here: with {parameters:,} parameters it would take long to evaluate."
        )
    surface = surface_of(run, run.trajectory.of(run.model))
    finite = surface.losses[np.isfinite(surface.losses)]
    return Picture(
        drawn(lambda: surface_chart(surface)),
        f"Loss surface: contours of losses from {figures(float(finite.min()))} to {figures(float(finite.max()))}, and "
        "the walk of the parameters over it, from the initial weights to the last step.",
        _surface_caption(run, surface),
    )


def surface_chart(surface: LossSurface) -> Axes:
    """Draw the contours of a surface and the walk over it."""
    axes = surface.contour(charts.figure())
    axes.set_title("Loss surface, and the walk over it" if surface.trajectories else "Loss surface")
    return axes


def surface_of(run: Run, trajectory: Trajectory) -> LossSurface:
    """Evaluate the training loss over the plane along which the parameters moved most."""
    model = run.model
    samples, loss = measured_samples(run), _sample_loss(run)
    mean_loss = compile(lambda row, target: loss(model(row), target), batched=("row", "target"))
    rows, targets = samples.rows.array, np.array(samples.targets)
    work = len(samples) * len(trajectory.parameters)
    positions = trajectory.positions
    moved = len(positions) > 1 and bool(np.ptp(positions, axis=0).any())
    return loss_surface(
        lambda: mean_loss(rows, targets),
        model,
        directions=None if moved else "random",
        trajectory=trajectory if moved else None,
        points=min(_MOST_POINTS, max(_FEWEST_POINTS, math.isqrt(_MOST_WORK // work))),
        seed=run.settings.seed,
        progress=False,
    )


def _sample_loss(run: Run) -> Loss:
    return losses.squared_error if run.target.task == "regression" else losses.cross_entropy


def measured_samples(run: Run) -> Samples:
    """Return the training samples on which the loss is measured: all, or a sample if all would take too long."""
    rows, parameters = len(run.learned), len(run.model.parameters())
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
        every = surface.trajectories["walk"].every
        sentences.append(f"Marks show every {'' if every == 1 else f'{_ordinal(every)} '}step.")
    if run.history.best_epoch is not None:
        sentences.append(f"The trained network is the one at the end of epoch {run.history.best_epoch}.")
    return " ".join(sentences)


def _measured_rows(run: Run) -> str:
    measured = len(measured_samples(run))
    everything = counted(len(run.learned), "training row")
    return f"the {everything}" if measured == len(run.learned) else f"{measured} of the {everything}"


def _ordinal(number: int) -> str:
    teens = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


# --- the gradients ---


def flow_picture(run: Run) -> Picture | None:
    """Return the picture of the gradients of each layer before training and after; None if all are 0, or unknown."""
    positions: Iterable[Vector] = [] if run.trajectory is None else run.trajectory.positions[[0, -1]]
    gradients = {
        title: gradient
        for title, place in zip(("Before the first step", "After the last step"), positions)
        if (gradient := _gradient_at(run, place)).any()
    }
    if not gradients:
        return None
    return Picture(
        drawn(lambda: flow_chart(run, gradients)),
        "Gradient flow: the mean and the largest gradient of each layer, before the first step and after the last.",
        f"The gradients of the mean loss of {_measured_rows(run)}, layer by layer. Before the first step they should "
        "reach all layers; after the last step they are small if training has converged.",
    )


def flow_chart(run: Run, gradients: Mapping[str, Vector]) -> Axes:
    """Draw gradients layer by layer, in one panel per title, all on one scale."""
    parameters = run.model.parameters()
    figure = charts.figure(charts.WIDTH, 0.4 + 2.7 * len(gradients)).figure
    figure.clear()
    panels = figure.subplots(len(gradients), sharex=True, squeeze=False)[:, 0]
    with restored(parameters):
        for ax, (title, gradient) in zip(panels, gradients.items()):
            write_gradients(parameters, gradient)
            gradient_flow(run.model, ax)
            ax.set_title(f"{title}:\n{ax.get_title()}")
    low, high = zip(*(ax.get_ylim() for ax in panels))
    for ax in panels:
        ax.set_ylim(min(low), 5.0 * max(high))  # room for the legend
        charts.label_decades(ax)
    for ax in panels[:-1]:
        ax.set_xlabel("")
    first: Axes = panels[0]
    return first


def _gradient_at(run: Run, place: Vector) -> Vector:
    """Return the gradient of the training loss at `place` in parameter space."""
    samples, loss, parameters = measured_samples(run), _sample_loss(run), run.model.parameters()
    with restored(parameters, data=True):
        write_data(parameters, place)
        run.model.zero_grad()
        mean([loss(run.model(row), target) for row, target in zip(samples.rows, samples.targets)]).backward()
        return read_gradients(parameters)
