"""Comparison of pictures with reference pictures.

The pictures are compared by areas, lines and markers, without text, whose shapes depend on fonts and on the version of
FreeType. There is no reference in three dimensions, since versions of matplotlib have different margins there. Between
matplotlib 3.6 and 3.11 the same picture differs by a root mean square below 1 of 255, and the smallest of the faults
planted below makes a difference of 7: TOLERANCE lies between the two.

`python tests/test_plot_images.py` draws the references again; check them before you commit them.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from microgrud import Value, log
from microgrud.nn import MLP
from microgrud.optim import SGD
from microgrud.plot import (
    LossSurface,
    Trajectory,
    decision_regions,
    gradient_flow,
    himmelblau,
    learning_curve,
    learning_rate_range,
    loss_surface,
    parameter_histograms,
    race,
    ravine,
)
from microgrud.train import EpochRecord, History

IMAGES = Path(__file__).parent / "images"
TOLERANCE = 3.0
WALK = [[-1.0, -0.5], [-2.5, 0.3], [-2.8, -1.0], [-3.2, -2.0], [-3.6, -3.0], [-3.78, -3.28]]


def valleys() -> LossSurface:
    x, y = Value(0.0), Value(0.0)
    trajectory = Trajectory([x, y])
    for x.data, y.data in WALK:
        trajectory.record(himmelblau(x, y))
    return loss_surface(lambda: himmelblau(x, y), [x, y], extent=(-5, 5), points=31, trajectory=trajectory)


def half_plane() -> LossSurface:
    x, y = Value(1.0), Value(1.0)
    return loss_surface(lambda: log(x) ** 2 + y * y + 0.01, [x, y], extent=(-1, 2), points=31)


def network() -> MLP:
    model = MLP(2, [6, 3], activation="tanh", rng=random.Random(4))
    for output in model([0.5, -0.5]):
        output.backward()
    return model


def regions(ax: Any) -> Any:
    rows = np.random.default_rng(0).uniform(-2, 2, (30, 2))
    classes = [int(np.argmax([v.data for v in network()(row)])) for row in rows.tolist()]
    return decision_regions(network(), rows, classes, ax, points=41)


def training() -> History:
    made = History()
    for i in range(24):
        made.add_step(epoch=1 + i // 4, loss=2.0 * 0.8**i, metric=None, learning_rate=0.1, gradient_norm=1.0)
    for i in range(6):
        step, mean = 4 * i + 4, 1.5 * 0.42**i
        made.epochs.append(EpochRecord(i + 1, step, mean, None, 0.1, validation_loss=1.2 * mean + 0.05))
    made.best_epoch = 5
    return made


def contest(ax: Any) -> Any:
    racers = {"SGD": lambda p: SGD(p, lr=0.03), "momentum": lambda p: SGD(p, lr=0.02, momentum=0.8)}
    result = race(ravine, (2.0, 1.0), racers, steps=15, points=21)
    panels = ax.figure.add_axes((0, 0, 0.5, 1)), ax.figure.add_axes((0.5, 0, 0.5, 1))
    ax.remove()
    result.plot(panels)


def sweep(ax: Any) -> Any:
    x, y = Value(2.0), Value(1.0)
    result = learning_rate_range(lambda: ravine(x, y), SGD([x, y]), lowest=1e-5, highest=1.0, steps=60)
    return result.plot(ax)


PICTURES: dict[str, Callable[[Any], Any]] = {
    "contour": lambda ax: valleys().contour(ax, colorbar=False),
    "undefined": lambda ax: half_plane().contour(ax, colorbar=False),
    "regions": regions,
    "flow": lambda ax: gradient_flow(network(), ax),
    "histogram": lambda ax: parameter_histograms(MLP(2, [7], rng=random.Random(4)), [ax], bins=8),
    "curve": lambda ax: learning_curve(training(), ax),
    "rates": sweep,
    "race": contest,
}


def drawn(name: str, change: Callable[[Any], Any] | None = None) -> Any:
    """Return a picture without its text as an array of pixels."""
    figure = Figure(figsize=(3.2, 2.4), dpi=80)
    ax: Any = figure.add_axes((0, 0, 1, 1))
    PICTURES[name](ax)
    for ax in figure.axes:
        ax.set_axis_off()
        ax.set_title("")
        for text in (*ax.texts, *ax.child_axes):
            text.set_visible(False)
        if ax.get_legend() is not None:
            ax.get_legend().remove()
    if change is not None:
        change(figure.axes[-1])
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80)
    return pixels(file)


def pixels(file: Any) -> Any:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"), dtype=float)


def difference(one: Any, other: Any) -> float:
    assert one.shape == other.shape
    return float(np.sqrt(np.mean((one - other) ** 2)))


@pytest.mark.parametrize("name", list(PICTURES))
def test_a_picture_is_that_of_the_reference(name: str) -> None:
    assert difference(drawn(name), pixels(IMAGES / f"{name}.png")) < TOLERANCE


def without_the_walk(ax: Any) -> None:
    for line in ax.get_lines():
        line.remove()


def with_another_end(ax: Any) -> None:
    line, _, end = ax.get_lines()
    line.set_data(np.array(WALK[:-3]).T)
    end.set_data(np.array(WALK[-3:-2]).T)


def without_its_hatches(ax: Any) -> None:
    ax.patches[0].remove()


def without_samples(ax: Any) -> None:
    for collection in ax.collections:
        if collection.get_label() in ("0", "1", "2"):
            collection.set_visible(False)


def with_a_shorter_bar(ax: Any) -> None:
    bar = ax.containers[0].patches[0]
    bar.set_height(0.8 * bar.get_height())


def without_a_range(ax: Any) -> None:
    ax.patches[-1].remove()


def without_validation(ax: Any) -> None:
    next(line for line in ax.get_lines() if line.get_label() == "validation").remove()


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("contour", without_the_walk),
        ("contour", with_another_end),
        ("undefined", without_its_hatches),
        ("regions", without_samples),
        ("flow", with_a_shorter_bar),
        ("histogram", with_a_shorter_bar),
        ("curve", without_validation),
        ("rates", without_a_range),
        ("race", without_the_walk),
    ],
)
def test_the_comparison_finds_a_planted_fault(name: str, fault: Callable[[Any], None]) -> None:
    assert difference(drawn(name, fault), pixels(IMAGES / f"{name}.png")) > 2.0 * TOLERANCE


if __name__ == "__main__":
    for name in PICTURES:
        Image.fromarray(drawn(name).astype(np.uint8)).save(IMAGES / f"{name}.png", optimize=True)
