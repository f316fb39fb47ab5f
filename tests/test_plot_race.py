"""Races: each optimizer walks as it would by itself, and all walks are in one picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from microgrud import Value, log
from microgrud.optim import LBFGS, SGD, Adam, Optimizer
from microgrud.plot import Race, quadratic, race, ravine, rosenbrock
from microgrud.plot.grid import around

RACERS: dict[str, Any] = {"gradient descent": lambda p: SGD(p, lr=0.002), "Adam": Adam, "L-BFGS": LBFGS}


def walk_of(make: Any, steps: int) -> list[list[float]]:
    x, y = Value(-1.2), Value(1.0)
    optimizer: Optimizer = make([x, y])

    def closure() -> Value:
        optimizer.zero_grad()
        loss: Value = rosenbrock(x, y)
        loss.backward()
        return loss

    places = [[x.data, y.data]]
    for _ in range(steps):
        optimizer.step(closure)
        places.append([x.data, y.data])
    return places


def test_each_walks_as_it_would_alone_from_the_same_start() -> None:
    result = race(rosenbrock, (-1.2, 1.0), RACERS, steps=8, points=5)
    assert list(result.trajectories) == list(RACERS)
    for name, trajectory in result.trajectories.items():
        assert trajectory.positions.tolist() == walk_of(RACERS[name], 8)
        assert trajectory.losses.tolist() == [rosenbrock(*place) for place in trajectory.positions.tolist()]
        assert np.isfinite(trajectory.gradient_norms).all()
    assert result.ended == {}


def test_all_walks_are_on_one_contour_with_the_losses_on_the_right() -> None:
    figure = Figure()
    axes = figure.subplots(1, 2)
    result = race(rosenbrock, (-1.2, 1.0), RACERS, steps=8, points=5)
    left, right = result.plot(axes)
    assert (left, right) == tuple(axes)
    for line, (name, trajectory) in zip(left.get_lines(), result.trajectories.items()):
        assert line.get_label() == name
        assert np.array(line.get_xydata()).tolist() == trajectory.positions.tolist()
    for line, (name, trajectory) in zip(right.get_lines(), result.trajectories.items()):
        assert line.get_label() == name
        assert np.array(line.get_ydata()).tolist() == trajectory.losses.tolist()
    assert right.get_xlabel() == "step"
    assert right.get_ylabel() == "loss (logarithmic scale)"
    assert right.get_yscale() == "log"


def test_without_axes_it_makes_two_that_a_notebook_shows_as_one_picture() -> None:
    result = race(ravine, (2.0, 1.0), {"Adam": Adam}, steps=2, points=5)
    axes: Any = result.plot()
    assert len(axes) == 2
    assert axes[0].figure is axes[1].figure
    assert axes._repr_png_() == result._repr_png_()
    assert result._repr_png_().startswith(b"\x89PNG")


def test_a_walk_that_runs_away_ends_there_and_does_not_set_the_extent() -> None:
    result = race(quadratic(10.0), (1.0, 1.0), {"wild": lambda p: SGD(p, lr=1e200), "Adam": Adam}, steps=20, points=5)
    assert "wild" in result.ended
    assert result.ended["wild"].startswith("step ")
    assert len(result.trajectories["wild"]) < 21
    assert len(result.trajectories["Adam"]) == 21
    assert np.abs(result.surface.x).max() < 5.0
    assert "wild (ended early)" in [line.get_label() for line in result.plot()[1].get_lines()]


def test_places_that_are_higher_than_the_start_do_not_set_the_extent_though_they_are_finite() -> None:
    racers = {"up": lambda p: SGD(p, lr=0.3), "down": lambda p: SGD(p, lr=0.05)}
    result = race(quadratic(10.0), (1.0, 1.0), racers, steps=5, points=5)
    assert np.abs(result.trajectories["up"].positions).max() == 32.0
    lower = np.concatenate([t.positions[t.losses <= 5.5] for t in result.trajectories.values()])
    across, up = map(tuple, around(lower))
    assert (result.surface.x[0], result.surface.x[-1]) == across
    assert (result.surface.y[0], result.surface.y[-1]) == up


def wild_one(rate: float) -> Any:
    return lambda p: SGD(p, lr=rate)


def test_a_loss_that_runs_away_leaves_the_picture_which_shows_the_others_and_says_so() -> None:
    racers = {"calm": wild_one(1e-3), "Adam": lambda p: Adam(p, lr=0.1), "wild": wild_one(1.0)}
    result = race(rosenbrock, (-1.2, 1.0), racers, steps=40, points=5)
    assert result.trajectories["wild"].losses.max() > 1e100
    right = result.plot()[1]
    low, high = right.get_ylim()
    start = rosenbrock(-1.2, 1.0)
    assert start < high <= 10.0 * start
    # The other walks take up most of the height below the start.
    assert 0.0 < start - low < 1.3 * (start - min(result.trajectories[name].losses.min() for name in ("calm", "Adam")))
    names = [text.get_text() for text in right.get_legend().get_texts()]  # type: ignore[union-attr]
    assert names == ["calm", "Adam", "wild (leaves the picture, ended early)"]
    (mark,) = [line for line in right.get_lines() if str(line.get_label()).startswith("_wild")]
    assert mark.get_ydata() == [high]
    assert 0.0 < mark.get_xdata()[0] < 1.0
    assert mark.get_color() == right.get_lines()[-2].get_color()


def test_on_a_logarithmic_scale_it_leaves_at_ten_times_the_start() -> None:
    result = race(quadratic(10.0), (1.0, 1.0), {"calm": wild_one(0.05), "wild": wild_one(0.3)}, steps=30, points=5)
    right = result.plot()[1]
    assert right.get_yscale() == "log"
    assert right.get_ylim()[1] == pytest.approx(55.0)
    (mark,) = [line for line in right.get_lines() if str(line.get_label()).startswith("_wild")]
    losses = result.trajectories["wild"].losses
    assert losses[1] < 55.0 < losses[2]
    assert 1.0 < mark.get_xdata()[0] < 2.0


def test_a_loss_that_climbs_a_little_stays_in_the_picture() -> None:
    result = race(quadratic(10.0), (1.0, 0.1), {"calm": wild_one(0.05), "up": wild_one(0.21)}, steps=3, points=5)
    assert len(result.plot()[1].get_lines()) == 2


def test_a_walk_ends_where_the_loss_is_infinite() -> None:
    result = race(lambda x, y: x * x + y * y, (1.0, 1.0), {"wild": lambda p: SGD(p, lr=1e200)}, steps=5, points=5)
    assert result.ended["wild"].startswith("step 1: the loss is inf")
    assert result.trajectories["wild"].losses.tolist() == [2.0, float("inf")]
    assert (
        repr(result)
        .splitlines()[1]
        .startswith("  wild: loss inf after 1 steps, ended early at step 1: the loss is inf")
    )
    result.plot()


def test_a_walk_that_leaves_the_domain_ends_there() -> None:
    def well(x: Value, y: Value) -> Any:
        return x - log(x) + y * y

    result = race(well, (3.0, 1.0), {"far": lambda p: SGD(p, lr=10.0)}, steps=5, points=5)
    assert result.ended["far"].startswith("step 1: log(")


def test_a_start_outside_the_domain_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"log\(x=-1.0\)"):
        race(lambda x, y: log(x) + y, (-1.0, 0.0), {"Adam": Adam})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": 1.0}, "race: loss: expected a function of two Values, got an object of type float"),
        ({"loss": lambda x, y: 1.0}, "race: loss: expected it to return a Value, got an object of type float"),
        ({"start": (1.0,)}, "race: start: expected a pair of numbers"),
        ({"optimizers": {}}, "optimizers: expected a dict such as .*, got an empty one"),
        ({"optimizers": [Adam]}, "optimizers: expected a dict such as .*, got a list"),
        (
            {"optimizers": {"Adam": Adam([Value(1.0)])}},
            "expected a class or a function .* write lambda parameters: Adam",
        ),
        ({"optimizers": {"adam": "adam"}}, "expected a class or a function that makes an optimizer"),
        ({"optimizers": {"odd": lambda p: p}}, "odd: expected a function that returns an Optimizer"),
        ({"optimizers": {"odd": lambda p: Adam(p[:1])}}, "odd: expected an optimizer of the parameters"),
        ({"steps": 0}, "steps: expected an integer of at least 1"),
    ],
)
def test_what_cannot_race_is_refused(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"loss": ravine, "start": (1.0, 1.0), "optimizers": {"Adam": Adam}, **change}
    with pytest.raises((TypeError, ValueError), match=message):
        race(**arguments)


def test_another_number_of_axes_is_refused() -> None:
    result = race(ravine, (2.0, 1.0), {"Adam": Adam}, steps=2, points=5)
    assert isinstance(result, Race)
    with pytest.raises(ValueError, match="axes: expected 2 Axes, got 1"):
        result.plot([Figure().add_subplot()])
    with pytest.raises(TypeError, match="expected matplotlib Axes"):
        result.plot([1, 2])  # type: ignore[list-item]
