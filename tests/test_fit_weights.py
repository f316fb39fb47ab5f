"""`fit` with sample weights: the loss of a batch is sum(w loss) / sum(w), with and without recordings."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from inside import thresholds

from microgrud import Value
from microgrud.losses import squared_error
from microgrud.nn import MLP, BatchNorm1d, Dropout, Linear, Module, Sequential
from microgrud.train import fit

RNG = random.Random(4)
ROWS = [[RNG.uniform(-1.0, 1.0), RNG.uniform(-1.0, 1.0)] for _ in range(30)]
TARGETS = [x * y - 0.5 * y for x, y in ROWS]
WEIGHTS = [RNG.choice([0.0, 0.5, 1.0, 2.75]) for _ in ROWS]


@pytest.fixture(autouse=True)
def recording() -> Iterator[None]:
    """Record models however small they are."""
    with thresholds(least_work=0, least_samples=0):
        yield


class Line(Module):
    def __init__(self) -> None:
        self.a, self.b = Value(0.5), Value(-0.25)

    def forward(self, row: Any) -> Any:
        return self.a * row[0] + self.b


def train(model: Any, X: Any = ROWS, y: Any = TARGETS, sample_weight: Any = WEIGHTS, **options: Any) -> Any:
    defaults = {"loss": squared_error, "epochs": 3, "batch_size": 7, "lr": 0.05, "progress": False}
    return fit(model, X, y, sample_weight=sample_weight, **{**defaults, **options})


@pytest.mark.parametrize("compile", ["auto", True, False])
def test_a_step_descends_along_the_weighted_mean_by_hand(compile: Any) -> None:
    x, y, w = [1.0, 2.0, -1.5, 4.0], [0.3, 0.1, 2.0, 100.0], [1.0, 2.5, 0.25, 0.0]
    model = Line()
    settings = {"batch_size": 2, "epochs": 1, "optimizer": "sgd", "lr": 0.1, "shuffle": False, "compile": compile}
    history = train(model, [[each] for each in x], y, w, **settings)

    a, b, losses = 0.5, -0.25, []
    for batch in ((0, 1), (2, 3)):
        total = sum(w[i] for i in batch)
        errors = {i: a * x[i] + b - y[i] for i in batch}
        losses.append(sum(w[i] * errors[i] ** 2 for i in batch) / total)
        slopes = [
            sum(2.0 * w[i] * errors[i] * factor(i) for i in batch) / total for factor in (x.__getitem__, lambda _: 1.0)
        ]
        a, b = a - 0.1 * slopes[0], b - 0.1 * slopes[1]
    assert history.loss == pytest.approx(losses, rel=1e-14)
    assert [model.a.data, model.b.data] == pytest.approx([a, b], rel=1e-14)
    assert history.epochs[0].loss == pytest.approx((3.5 * losses[0] + 0.25 * losses[1]) / 3.75, rel=1e-14)
    assert history.engine == ("eager" if compile is False else "tape")


@given(st.lists(st.integers(0, 4), min_size=6, max_size=6).filter(any), st.booleans(), st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_weights_that_are_integers_are_repeated_rows(counts: Any, recorded: bool, seed: int) -> None:
    weighted, repeated = (MLP(2, [3, 1], activation="tanh", rng=seed) for _ in range(2))
    one = {"epochs": 1, "batch_size": None, "optimizer": "sgd", "compile": recorded}
    first = train(weighted, ROWS[:6], TARGETS[:6], counts, **one)
    times = [i for i, count in enumerate(counts) for _ in range(count)]
    second = train(repeated, [ROWS[i] for i in times], [TARGETS[i] for i in times], None, **one)
    assert first.loss == pytest.approx(second.loss, rel=1e-12, abs=1e-15)
    np.testing.assert_allclose(weighted.get_vector(), repeated.get_vector(), rtol=1e-12, atol=1e-14)


def _networks(kind: str) -> Any:
    parts = {"dropout": [Dropout(0.3, rng=7)], "batch norm": [BatchNorm1d(4)], "plain": []}[kind]
    return Sequential(Linear(2, 4, rng=1), *parts, "tanh", Linear(4, 1, rng=2))


def _mean_error(predictions: Any, targets: Any) -> float:
    return sum(abs(p - t) for p, t in zip(predictions, targets)) / len(targets)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("kind", ["plain", "dropout", "batch norm"])
def test_recordings_give_what_the_model_gives(kind: str, optimizer: str) -> None:
    epochs = 2 if optimizer == "adam" else 1
    options = {"validation": 0.3, "metric": _mean_error, "optimizer": optimizer, "lr": None, "epochs": epochs}
    models = [_networks(kind), _networks(kind)]
    eager, recorded = (train(model, compile=compile, **options) for model, compile in zip(models, [False, "auto"]))
    assert recorded.engine == ("eager" if kind == "batch norm" else "tape")
    assert recorded.loss == pytest.approx(eager.loss, rel=1e-7)
    assert recorded.metric == pytest.approx(eager.metric, rel=1e-7)
    assert [e.validation_loss for e in recorded.epochs] == pytest.approx([e.validation_loss for e in eager.epochs])


def test_equal_weights_of_any_size_change_nothing() -> None:
    figures = [train(_networks("plain"), sample_weight=w).loss for w in (None, [1.0] * 30, [1e300] * 30, [5e-324] * 30)]
    for losses in figures[1:]:
        assert losses == pytest.approx(figures[0], rel=1e-12)


@pytest.mark.parametrize("compile", [True, False])
def test_a_batch_of_zeros_has_the_loss_0_and_no_gradient(compile: Any) -> None:
    model = Line()
    settings = {"batch_size": 2, "epochs": 1, "optimizer": "sgd", "shuffle": False, "compile": compile}
    history = train(model, [[1.0], [2.0], [3.0], [4.0]], [1.0, 2.0, 3.0, 5.0], [0.0, 0.0, 0.0, 3.0], **settings)
    assert (history.loss[0], history.gradient_norm[0]) == (0.0, 0.0)
    assert history.loss[1] == history.epochs[0].loss == pytest.approx((0.5 * 4.0 - 0.25 - 5.0) ** 2)


def test_rows_of_weight_0_pass_nothing_on_through_an_infinite_slope() -> None:
    class Root(Module):
        def __init__(self) -> None:
            self.w = Value(0.0)

        def forward(self, row: Any) -> Any:
            return (self.w * row[0] + row[1]).sqrt()

    for compile in (True, False):
        model = Root()
        train(
            model, [[1.0, 0.0], [1.0, 1.0]], [0.0, 0.0], [0.0, 2.0], epochs=1, optimizer="sgd", lr=0.1, compile=compile
        )
        assert model.w.data == pytest.approx(-0.1)  # the gradient of (w + 1) alone


def test_validation_data_have_weights_of_their_own() -> None:
    rows, targets, weights = [[0.2], [1.0]], [1.0, 0.0], [3.0, 1.0]
    for compile in ("auto", False):
        data = [[row[0]] for row in ROWS]
        model = Line()
        history = train(model, data, validation=(rows, targets, weights), compile=compile)
        errors = [model.a.data * x + model.b.data - t for (x,), t in zip(rows, targets)]
        assert history.epochs[-1].validation_loss == pytest.approx((3.0 * errors[0] ** 2 + errors[1] ** 2) / 4.0)
        model = Line()
        history = train(model, data, validation=(rows, targets), compile=compile)
        errors = [model.a.data * x + model.b.data - t for (x,), t in zip(rows, targets)]
        assert history.epochs[-1].validation_loss == pytest.approx((errors[0] ** 2 + errors[1] ** 2) / 2.0)


def test_a_fraction_for_validation_takes_its_weights_along() -> None:
    model = Line()
    history = train(model, [[row[0]] for row in ROWS], validation=0.2, shuffle=False, epochs=1)
    rest = range(24, 30)
    errors = [(model.a.data * ROWS[i][0] + model.b.data - TARGETS[i]) ** 2 for i in rest]
    expected = sum(WEIGHTS[i] * e for i, e in zip(rest, errors)) / sum(WEIGHTS[i] for i in rest)
    assert history.epochs[-1].validation_loss == pytest.approx(expected)


@pytest.mark.parametrize("compile", ["auto", False])
def test_a_resumed_run_has_the_same_bits_and_the_same_weights(compile: Any, tmp_path: Path) -> None:
    def stop(event: Any) -> None:
        if event.step == 7:
            event.stop()

    expected = train(straight := _networks("dropout"), compile=compile)
    given: dict[str, Any] = {"compile": compile, "checkpoint": tmp_path / "run"}
    train(_networks("dropout"), callbacks=stop, **given)
    with pytest.raises(ValueError, match="it belongs to a run with data"):
        train(_networks("dropout"), sample_weight=[*WEIGHTS[1:], 9.0], resume=True, **given)
    with pytest.raises(ValueError, match="it belongs to a run with data"):
        train(_networks("dropout"), sample_weight=None, resume=True, **given)
    history = train(resumed := _networks("dropout"), sample_weight=pd.Series(WEIGHTS), resume=True, **given)
    assert (history.loss, history.epochs) == (expected.loss, expected.epochs)
    assert resumed.get_vector().tolist() == straight.get_vector().tolist()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0] * 29, "sample_weight: expected a weight for each of 30 rows, got 29"),
        ([1.0] * 29 + [-1.0], "sample_weight: expected finite weights of at least 0, got -1.0 for row 29"),
        ([1.0, math.nan] + [1.0] * 28, "sample_weight: expected finite weights of at least 0, got nan for row 1"),
        ([math.inf] * 30, "sample_weight: expected finite weights of at least 0, got inf for row 0"),
        ([1e308] * 30, "sample_weight: expected weights with a finite sum"),
        ([0.0] * 30, "sample_weight: expected a weight above 0, got only zeros"),
        ([[1.0]] * 30, "sample_weight: expected a real number"),
        ("abc", "sample_weight: expected a sequence"),
        (2.0, "sample_weight: expected a sequence"),
        (np.ma.masked_array([1.0] * 30, mask=[True] * 30), "sample_weight"),
    ],
)
def test_wrong_weights_are_refused(weights: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"fit: {message}"):
        train(Line(), sample_weight=weights)


def test_weights_of_which_none_is_left_are_refused() -> None:
    with pytest.raises(ValueError, match="fit: validation: sample_weight: expected a weight above 0"):
        train(Line(), sample_weight=[1.0] * 20 + [0.0] * 10, validation=0.2, shuffle=False)
