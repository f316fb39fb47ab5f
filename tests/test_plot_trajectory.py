"""Trajectories: they hold the places of a walk to the bit."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from microgrud import Value
from microgrud.engine.vectors import read_data
from microgrud.losses import squared_error
from microgrud.nn import MLP, Module
from microgrud.optim import LBFGS, SGD, Adam, StepLR, gradient_norm
from microgrud.plot import Trajectory, loss_surface, rosenbrock
from microgrud.train import fit

X = [[0.1 * i, -0.3 * i] for i in range(6)]
Y = [0.2 * i * i for i in range(6)]


def network() -> MLP:
    return MLP(2, [3, 1], activation="tanh", rng=random.Random(3))


def same(one: Any, other: Any) -> bool:
    return bool(np.array_equal(one, other, equal_nan=True))


def test_a_walk_recorded_by_hand_is_the_walk() -> None:
    x, y = Value(-1.2), Value(1.0)
    optimizer = Adam([x, y], lr=0.1)
    schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    trajectory = Trajectory(optimizer)
    places, losses, norms, rates = [], [], [], []
    for _ in range(5):
        loss = rosenbrock(x, y)
        optimizer.zero_grad()
        loss.backward()
        trajectory.record(loss)
        places.append([x.data, y.data])
        losses.append(loss.data)
        norms.append(gradient_norm([x, y]))
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert len(trajectory) == 5
    assert trajectory.positions.tolist() == places
    assert trajectory.losses.tolist() == losses
    assert trajectory.gradient_norms.tolist() == norms
    assert trajectory.learning_rates.tolist() == rates
    assert len(set(rates)) == 3


def test_a_walk_of_fit_is_that_of_a_hand_loop_with_its_start_and_its_end() -> None:
    model, by_hand = network(), network()
    trajectory = Trajectory(model)
    history = fit(model, X, Y, loss=squared_error, optimizer=SGD(model.parameters(), lr=0.05), epochs=3,
                  batch_size=2, shuffle=False, callbacks=trajectory, validation=(X, Y))  # fmt: skip
    optimizer = SGD(by_hand.parameters(), lr=0.05)
    expected = Trajectory(optimizer)
    for _ in range(3):
        for start in (0, 2, 4):
            batch = slice(start, start + 2)
            loss = squared_error([by_hand(row) for row in X[batch]], Y[batch])
            optimizer.zero_grad()
            loss.backward()
            expected.record(loss)
            optimizer.step()
    assert len(trajectory) == 10
    assert same(trajectory.positions[:-1], expected.positions)
    assert same(trajectory.positions[-1], read_data(model.parameters()))
    assert same(trajectory.losses[:-1], expected.losses)
    assert same(trajectory.gradient_norms[:-1], expected.gradient_norms)
    assert same(trajectory.learning_rates[:-1], expected.learning_rates)
    assert trajectory.losses[:-1].tolist() == history.loss
    for figures in (trajectory.losses, trajectory.gradient_norms, trajectory.learning_rates):
        assert np.isnan(figures[-1])
        assert np.isfinite(figures[:-1]).all()


def test_a_thinned_walk_keeps_every_nth_place_and_the_end() -> None:
    settings: dict[str, Any] = {"loss": squared_error, "epochs": 4, "batch_size": 2, "seed": 1}
    model, again = network(), network()
    whole, thinned = Trajectory(model), Trajectory(again, every=5)
    fit(model, X, Y, callbacks=whole, **settings)
    fit(again, X, Y, callbacks=thinned, **settings)
    kept = [0, 5, 10, 12]  # of 12 steps
    assert len(thinned) == 4
    assert same(thinned.positions, whole.positions[kept])
    assert same(thinned.losses, whole.losses[kept])
    assert same(thinned.gradient_norms, whole.gradient_norms[kept])
    assert same(thinned.learning_rates, whole.learning_rates[kept])


@pytest.mark.parametrize("every", [0, -1, 1.5, "epoch"])
def test_every_is_a_whole_number_of_at_least_one(every: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="Trajectory: every: expected"):
        Trajectory([Value(1.0)], every=every)


def test_two_calls_of_fit_make_one_walk_without_a_gap() -> None:
    model = network()
    trajectory = Trajectory(model.parameters())
    for _ in range(2):
        fit(model, X, Y, loss=squared_error, optimizer="lbfgs", epochs=2, batch_size=None, callbacks=[trajectory])
    assert len(trajectory) == 5
    assert np.isnan(trajectory.losses).tolist() == [False] * 4 + [True]
    assert (np.diff(trajectory.losses[:-1]) <= 0.0).all()


def test_a_resumed_run_is_recorded_from_where_it_was_seen(tmp_path: Any) -> None:
    file = tmp_path / "run.json"
    settings: dict[str, Any] = {"loss": squared_error, "batch_size": None, "checkpoint": file}
    fit(network(), X, Y, epochs=2, **settings)
    model = network()
    trajectory = Trajectory(model)
    history = fit(model, X, Y, epochs=5, resume=True, callbacks=trajectory, **settings)
    # The trajectory cannot know the place where the third step began.
    assert trajectory.losses[:-1].tolist() == history.loss[3:]
    assert same(trajectory.positions[-1], read_data(model.parameters()))


def test_the_learning_rate_is_unknown_without_an_optimizer_unless_it_is_given() -> None:
    x = Value(2.0)
    trajectory = Trajectory([x])
    trajectory.record(4)
    trajectory.record(x * x, learning_rate=0.5)
    assert same(trajectory.learning_rates, [np.nan, 0.5])
    assert trajectory.losses.tolist() == [4.0, 4.0]


def test_recorded_places_are_copies() -> None:
    x = Value(2.0)
    trajectory = Trajectory([x])
    trajectory.record(1.0)
    x.data = 7.0
    trajectory.positions[0, 0] = 9.0
    assert trajectory.positions.tolist() == [[2.0]]


def test_an_empty_trajectory_has_no_places() -> None:
    trajectory = Trajectory([Value(1.0), Value(2.0)])
    assert trajectory.positions.shape == (0, 2)
    assert len(trajectory.losses) == 0
    assert repr(trajectory) == "Trajectory(0 places of 2 parameters)"


@pytest.mark.parametrize("source", [Value(1.0), 3.0, [], "weights"])
def test_what_cannot_walk_is_refused(source: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="Trajectory: expected"):
        Trajectory(source)


def test_modules_and_optimizers_are_taken_for_their_parameters() -> None:
    class Line(Module):
        def __init__(self) -> None:
            self.slope, self.offset = Value(2.0), Value(1.0)

    line = Line()
    assert Trajectory(line).parameters == [line.slope, line.offset]
    assert Trajectory(LBFGS([line.offset])).parameters == [line.offset]


@pytest.mark.parametrize("loss", [None, "low", [1.0]])
def test_a_loss_must_be_a_number(loss: Any) -> None:
    with pytest.raises(TypeError, match="Trajectory.record: loss: expected a real number"):
        Trajectory([Value(1.0)]).record(loss)


def test_a_walk_can_be_that_of_a_copy_of_the_model() -> None:
    model, twin = network(), network()
    trajectory = Trajectory(model)
    fit(model, X, Y, loss=squared_error, optimizer=SGD(model.parameters(), lr=0.05), epochs=2, callbacks=trajectory)
    moved = trajectory.of(twin)
    assert moved.parameters == twin.parameters()
    assert same(moved.positions, trajectory.positions)
    assert trajectory.parameters == model.parameters()
    surface = loss_surface(lambda: mean_loss(twin), twin, trajectory=moved, points=3)
    assert surface.plane.origin.tolist() == trajectory.positions[-1].tolist()
    with pytest.raises(ValueError, match=r"Trajectory.of: expected 13 parameters, got 1"):
        trajectory.of([Value(1.0)])


def mean_loss(model: MLP) -> float:
    return sum(squared_error(model(x), y).data for x, y in zip(X, Y)) / len(X)  # type: ignore[arg-type]
