"""Runs of `fit` with each optimizer and schedule: cut anywhere and resumed, they end with the bits of a whole run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from microgrud import Value
from microgrud.common.jsonfile import ModelFileError
from microgrud.losses import squared_error
from microgrud.nn import MLP
from microgrud.optim import (
    OPTIMIZERS,
    SGD,
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    Optimizer,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
)
from microgrud.plot import learning_rate_range, race
from microgrud.train import History, TrainingEvent, fit

ROWS = [[i / 10, (i % 3) / 3] for i in range(10)]
TARGETS = [2 * a * b + 1 for a, b in ROWS]
STEPS = 9  # of three epochs

#: Settings other than the defaults, of each optimizer that has state between steps.
CHANGED: dict[str, dict[str, Any]] = {
    "adadelta": {"rho": 0.8, "weight_decay": 0.1},
    "adamax": {"betas": (0.8, 0.95)},
    "nadam": {"momentum_decay": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True},
    "radam": {"betas": (0.8, 0.7)},
    "rprop": {"etas": (0.3, 1.5)},
    "lion": {"weight_decay": 0.3},
    "sgd": {"momentum": 0.9, "maximize": True, "lr": 1e-3},
}


def factor(t: int) -> float:
    return 1.0 / (1.0 + t)


class Fading:
    """A function with state."""

    def __init__(self) -> None:
        self.last = 1.0

    def __call__(self, t: int) -> float:
        self.last *= 0.9
        return self.last


SCHEDULES: dict[str, Callable[[Optimizer], Any]] = {
    "none": lambda o: None,
    "multi-step": lambda o: MultiStepLR(o, [1, 2], 0.5),
    "lambda": lambda o: LambdaLR(o, [factor, lambda t: 0.5**t]),
    "lambda with state": lambda o: LambdaLR(o, Fading(), "step"),
    "linear": lambda o: LinearLR(o, 1.0, 0.1, 4, "step"),
    "polynomial": lambda o: PolynomialLR(o, 9, 2.0, "step"),
    "restarts": lambda o: CosineAnnealingWarmRestarts(o, 2, 2, interval="step"),
    "cycles": lambda o: CyclicLR(o, [1e-3, 2e-3], 0.05, 2, 1, "triangular2"),
    "three phases": lambda o: OneCycleLR(o, 0.05, STEPS, three_phase=True),
    "sequence": lambda o: SequentialLR(
        o, [LinearLR(o, 0.5, 1, 2), CosineAnnealingLR(o, 3), ReduceLROnPlateau(o, patience=0)], [2, 5], "step"
    ),
    "chain": lambda o: ChainedScheduler([ExponentialLR(o, 0.9), LinearLR(o), ConstantLR(o, 0.5, 2)], interval="step"),
}


def run(name: str, schedule: str, seed: int = 0, **others: Any) -> tuple[dict[str, Any], History]:
    model = MLP(2, [3, 1], activation="tanh", rng=seed)
    parameters = model.parameters()
    optimizer = OPTIMIZERS[name]([{"params": parameters[:4]}, {"params": parameters[4:]}], **CHANGED[name])
    made = SCHEDULES[schedule](optimizer)
    history = fit(
        model, ROWS, TARGETS, loss=squared_error, optimizer=optimizer, schedule=made, epochs=3, batch_size=4,
        progress=False, **others,
    )  # fmt: skip
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict()}, history


def stop_at(step: int) -> Callable[[TrainingEvent], None]:
    def callback(event: TrainingEvent) -> None:
        if event.kind == "step" and event.step == step:
            event.stop()

    return callback


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(CHANGED)), st.sampled_from(sorted(SCHEDULES)),
    st.lists(st.integers(1, STEPS - 1), max_size=3, unique=True), st.sampled_from([False, "auto"]),
)  # fmt: skip
def test_a_run_cut_anywhere_ends_with_the_bits_of_a_whole_one(
    name: str, schedule: str, cuts: list[int], compiled: Any
) -> None:
    whole, expected = run(name, schedule, compile=compiled)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.json"
        for i, cut in enumerate(sorted(cuts)):
            run(name, schedule, i, checkpoint=path, resume=True, callbacks=stop_at(cut), compile=compiled)
        end, history = run(name, schedule, len(cuts), checkpoint=path, resume=True, compile=compiled)
    assert end == whole
    assert history == expected


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_sets_the_rates_of_fit(schedule: str) -> None:
    _, history = run("radam", schedule)
    rates = [history.learning_rate[3 * i] for i in range(3)]
    if schedule == "none":
        assert rates == [1e-3] * 3
    else:
        assert len(set(history.learning_rate)) > 1


@pytest.mark.parametrize("name", CHANGED)
def test_fit_takes_the_name_of_an_optimizer_and_comes_down(name: str) -> None:
    model = MLP(2, [3, 1], activation="tanh", rng=0)
    rates = {"adadelta": 20.0, "sgd": 0.05, "lion": 0.01}
    history = fit(
        model, ROWS, TARGETS, loss=squared_error, optimizer=name, lr=rates.get(name, 0.05), epochs=60, batch_size=None,
        progress=False,
    )  # fmt: skip
    assert history.epochs[-1].loss < 0.3 * history.epochs[0].loss


@pytest.mark.parametrize("name", CHANGED)
def test_a_sweep_of_rates_restores_the_optimizer_and_a_race_runs_it(name: str) -> None:
    x, y = Value(1.5), Value(-2.0)
    settings = {key: setting for key, setting in CHANGED[name].items() if key != "maximize"}
    optimizer = OPTIMIZERS[name]([x, y], **settings)

    def loss() -> Value:
        return x * x + 2.0 * y * y

    def step() -> tuple[float, float]:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        return x.data, y.data

    step()
    before = x.data, y.data, optimizer.state_dict()
    learning_rate_range(loss, optimizer, steps=10, progress=False)
    assert (x.data, y.data, optimizer.state_dict()) == before
    here = x.data, y.data
    after = step()
    fresh = lambda parameters: OPTIMIZERS[name](parameters, **settings)  # noqa: E731
    walk = race(lambda x, y: x * x + 2.0 * y * y, (1.5, -2.0), {name: fresh}, steps=2, points=5).trajectories[name]
    assert [tuple(place) for place in walk.positions[1:].tolist()] == [here, after]


def test_fit_climbs_with_maximize() -> None:
    model = MLP(2, [1], activation="tanh", rng=0)
    optimizer = SGD(model.parameters(), lr=0.01, maximize=True)

    def likelihood(prediction: Value, target: float) -> Value:
        return -((prediction - target) ** 2)

    history = fit(model, ROWS, TARGETS, loss=likelihood, optimizer=optimizer, epochs=5, progress=False)
    losses = [epoch.loss for epoch in history.epochs]
    assert losses == sorted(losses)
    assert losses[-1] > losses[0]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (lambda o: MultiStepLR(o, [1]), lambda o: MultiStepLR(o, [2]), "milestones"),
        (lambda o: LambdaLR(o, factor), lambda o: LambdaLR(o, abs), "lr_lambda"),
        (lambda o: LambdaLR(o, lambda t: 0.5**t), lambda o: LambdaLR(o, lambda t: 0.25**t), "lr_lambda"),
        (
            lambda o: ChainedScheduler([ConstantLR(o, 0.5)]),
            lambda o: ChainedScheduler([ConstantLR(o, 0.25)]),
            r"schedulers\[0\].factor",
        ),
        (
            lambda o: SequentialLR(o, [LinearLR(o), ConstantLR(o)], [3]),
            lambda o: SequentialLR(o, [LinearLR(o), ConstantLR(o)], [4]),
            "milestones",
        ),
    ],
)
def test_a_run_does_not_resume_with_other_settings(before: Any, after: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"

    def once(schedule: Any, **others: Any) -> None:
        fit(
            MLP(2, [1], rng=0), ROWS, TARGETS, loss=squared_error, schedule=schedule, progress=False, checkpoint=path,
            **others,
        )  # fmt: skip

    once(before, epochs=1)
    with pytest.raises(ModelFileError, match=message):
        once(after, epochs=2, resume=True)
