"""`fit` with Dropout, BatchNorm1d and frozen modules: recordings, checkpoints, generators of random numbers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inside import thresholds

import microgrud
from microgrud import CompileError
from microgrud.losses import cross_entropy, squared_error
from microgrud.nn import BatchNorm1d, Dropout, LayerNorm, Linear, Module, PReLU, Sequential
from microgrud.train import History, fit

RNG = random.Random(5)
ROWS = [[RNG.uniform(-1.0, 1.0) for _ in range(3)] for _ in range(23)]
TARGETS = [x * y - z for x, y, z in ROWS]


@pytest.fixture(autouse=True)
def recording() -> Iterator[None]:
    """Record models however small they are."""
    with thresholds(least_work=0, least_samples=0):
        yield


def network(*parts: Any) -> Sequential:
    """Return a network with a Dropout of a generator of its own, and one of the global generator."""
    random.seed(3)
    dropout = Dropout(0.3, rng=7)
    return Sequential(
        Linear(3, 8, rng=1), "tanh", dropout, Linear(8, 6, rng=2), *parts, PReLU(), Dropout(0.5), Linear(6, 1, rng=3)
    )


def train(model: Any, compile: Any = "auto", y: Any = TARGETS, **settings: Any) -> History:
    given: dict[str, Any] = {"loss": squared_error, "optimizer": "adam", "lr": 0.01, "epochs": 4, "batch_size": 6}
    return fit(model, ROWS, y, progress=False, compile=compile, **{**given, **settings})


def generators(model: Sequential) -> list[Any]:
    return [random.getstate(), *(x.rng.getstate() for x in model.layers if isinstance(x, Dropout) and x.rng)]


@pytest.mark.parametrize("compile", ["auto", True])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_recorded_masks_are_those_of_the_eager_run(compile: Any, optimizer: str) -> None:
    settings: dict[str, Any] = {
        "optimizer": optimizer,
        "lr": None,
        "validation": 0.2,
        "metric": _mean_error,
        "epochs": 4 if optimizer == "adam" else 1,
    }
    eager, recorded = network(LayerNorm(6)), network(LayerNorm(6))
    expected = train(eager, False, **settings)
    states = generators(eager)
    recorded = network(LayerNorm(6))
    history = train(recorded, compile, **settings)

    assert (history.engine, history.eager_because) == ("tape", None)
    assert history.loss == pytest.approx(expected.loss, rel=1e-8)
    assert history.metric == pytest.approx(expected.metric, rel=1e-8)
    assert [e.validation_loss for e in history.epochs] == pytest.approx([e.validation_loss for e in expected.epochs])
    np.testing.assert_allclose(recorded.get_vector(), eager.get_vector(), rtol=1e-7)
    assert generators(recorded) == states


def _mean_error(predictions: Any, targets: Any) -> float:
    return sum(abs(p - t) for p, t in zip(predictions, targets)) / len(targets)


def test_class_indices_and_masks_are_recorded_together() -> None:
    labels = [k % 3 for k in range(len(ROWS))]

    def model() -> Sequential:
        return Sequential(Linear(3, 5, rng=1), Dropout(0.4, rng=2), "relu", Linear(5, 3, rng=3))

    eager, recorded = model(), model()
    expected = train(eager, False, labels, loss=cross_entropy)
    history = train(recorded, "auto", labels, loss=cross_entropy)
    assert history.engine == "tape"
    assert history.loss == pytest.approx(expected.loss, rel=1e-9)
    np.testing.assert_allclose(recorded.get_vector(), eager.get_vector(), rtol=1e-8)


class Counting(random.Random):
    """A generator whose numbers cannot be computed in another way."""

    calls = 0

    def random(self) -> float:
        self.calls += 1
        return super().random()


def test_generators_may_be_shared_and_of_other_classes() -> None:
    def model(rng: random.Random) -> Sequential:
        return Sequential(Dropout(0.3, rng=rng), Linear(3, 5, rng=1), Dropout(0.6, rng=rng), Linear(5, 1, rng=3))

    for kind in (random.Random, Counting):
        eager, recorded = kind(5), kind(5)
        expected, history = train(model(eager), False), train(model(recorded), "auto")
        assert history.engine == "tape"
        assert history.loss == pytest.approx(expected.loss, rel=1e-9)
        assert recorded.getstate() == eager.getstate()
        assert recorded.gauss(0.0, 1.0) == eager.gauss(0.0, 1.0)


def test_masks_differ_from_step_to_step_and_from_sample_to_sample() -> None:
    model = Sequential(Dropout(0.5, rng=1), Linear(3, 1, init="zeros"))
    seen: list[Any] = []
    fit(
        model, [[1.0, 1.0, 1.0]] * 8, [1.0] * 8, loss=squared_error, optimizer="sgd", lr=0.01, epochs=20,
        batch_size=None, progress=False, metric=lambda predictions, _: seen.append(tuple(predictions)) or 0.0,
    )  # fmt: skip
    assert len(set(seen)) > 15
    assert all(len(set(step)) > 1 for step in seen[5:])


@pytest.mark.parametrize("compile", [False, "auto", True])
@pytest.mark.parametrize("part", [lambda: LayerNorm(6), lambda: BatchNorm1d(6), lambda: Linear(6, 6, rng=4).freeze()])
def test_a_resumed_run_is_that_of_a_run_that_was_never_stopped(
    compile: Any, part: Callable[[], Any], tmp_path: Path
) -> None:
    if compile is True and isinstance(part(), BatchNorm1d):
        return
    path = tmp_path / "run.json"
    whole, stopped, resumed = network(part()), network(part()), network(part())
    random.seed(3)
    expected = train(whole, compile, validation=0.2)
    states = generators(whole)
    random.seed(3)
    train(stopped, compile, validation=0.2, epochs=2, checkpoint=path)
    random.seed(99)
    history = train(resumed, compile, validation=0.2, checkpoint=path, resume=True)

    assert history.loss == expected.loss
    assert history.engine == expected.engine
    assert resumed.state_dict() == whole.state_dict()
    assert generators(resumed) == states


class Branching(Module):
    """A network that draws a second mask, for some of the samples only."""

    def __init__(self) -> None:
        self.first, self.second, self.out = Dropout(0.5, rng=1), Dropout(0.5, rng=2), Linear(3, 1, rng=3)

    def forward(self, row: Any) -> Any:
        xs = self.first(row)
        if row[0] > 0.0:
            xs = self.second(xs)
        return self.out(xs)


class SometimesDropout(Branching):
    """A network that draws no mask for the first sample."""

    def forward(self, row: Any) -> Any:
        return self.out(self.second(row) if row[0] > ROWS[0][0] else row)


@pytest.mark.parametrize("make", [Branching, SometimesDropout])
def test_a_branch_with_other_masks_is_evaluated_by_the_model_as_if_never_recorded(make: Callable[[], Any]) -> None:
    eager, tried = make(), make()
    expected = train(eager, False, shuffle=False)
    history = train(tried, "auto", shuffle=False)
    assert history.engine == "eager"
    assert "Dropout masks than the first one" in str(history.eager_because)
    assert history.loss == expected.loss
    assert tried.get_vector().tolist() == eager.get_vector().tolist()


def test_a_probability_that_a_callback_changes_holds_from_the_next_step_on() -> None:
    runs = []
    for compile in (False, "auto"):
        model = network()

        def soften(event: Any, model: Sequential = model) -> None:
            model.layers[2].p = 0.0 if event.epoch > 1 else 0.3  # type: ignore[union-attr]

        runs.append(train(model, compile, callbacks=soften, batch_size=None))
    assert runs[0].loss == pytest.approx(runs[1].loss, rel=1e-9)


def test_batch_norm_trains_on_the_statistics_of_each_batch_and_validates_on_the_running_ones() -> None:
    model = Sequential(Linear(3, 4, rng=1), BatchNorm1d(4), "tanh", Linear(4, 1, rng=2))
    by_hand = Sequential(Linear(3, 4, rng=1), BatchNorm1d(4), "tanh", Linear(4, 1, rng=2))
    history = train(model, optimizer="sgd", lr=0.1, epochs=3, batch_size=None, validation=(ROWS, TARGETS))
    for epoch in history.epochs:
        by_hand.zero_grad()
        predictions = by_hand(ROWS)
        loss = microgrud.mean([squared_error(p, t) for p, t in zip(predictions, TARGETS)])
        loss.backward()
        for p in by_hand.parameters():
            p.data -= 0.1 * p.grad
        by_hand.eval()
        held_out = microgrud.mean([squared_error(by_hand(row), t) for row, t in zip(ROWS, TARGETS)])
        by_hand.train()
        assert epoch.loss == pytest.approx(loss.data, rel=1e-12)
        assert epoch.validation_loss == pytest.approx(held_out.data, rel=1e-12)
    assert history.engine == "eager"
    assert "statistics of the whole batch, as BatchNorm1d does" in str(history.eager_because)
    assert model.state_dict() == pytest.approx(by_hand.state_dict(), rel=1e-12)


def test_batch_norm_says_what_to_do_about_a_last_batch_of_one_row_and_about_compile() -> None:
    with pytest.raises(ValueError, match="got one row; call .*choose a batch_size that leaves no batch of one row"):
        train(Sequential(BatchNorm1d(3), Linear(3, 1)), batch_size=22)
    with pytest.raises(CompileError, match="statistics of the whole batch"):
        train(Sequential(BatchNorm1d(3), Linear(3, 1)), compile=True)

    class Wrong(Module):
        def __init__(self) -> None:
            self.norm, self.out = BatchNorm1d(3), Linear(3, 1)

        def forward(self, rows: Any) -> Any:
            return self.out(self.norm(rows)[0])

    with pytest.raises(TypeError, match="fit: model: expected a list of 6 predictions, one for each row of the batch"):
        train(Wrong())


def test_batch_norm_in_evaluation_mode_during_training_is_recorded() -> None:
    class Fixed(Sequential):
        def train(self, mode: bool = True) -> Any:
            super().train(mode)
            self.layers[0].eval()  # type: ignore[union-attr]
            return self

    def model() -> Fixed:
        made = Fixed(BatchNorm1d(3), Linear(3, 1, rng=1))
        made.layers[0](ROWS)
        return made

    eager, recorded = model(), model()
    expected, history = train(eager, False), train(recorded, True)
    assert history.engine == "tape"
    assert history.loss == pytest.approx(expected.loss, rel=1e-10)


@pytest.mark.parametrize("compile", [False, "auto", True])
def test_fit_leaves_frozen_parameters_as_they_are_and_warns_of_nothing(
    compile: Any, recwarn: pytest.WarningsRecorder
) -> None:
    model = network()
    model.layers[0].freeze()  # type: ignore[union-attr]
    before, others = model.layers[0].state_dict(), model.get_vector().tolist()  # type: ignore[union-attr]
    history = train(model, compile)
    assert model.layers[0].state_dict() == before  # type: ignore[union-attr]
    assert all(p != q for p, q in zip(model.get_vector().tolist(), others))
    assert history.engine == ("eager" if compile is False else "tape")
    assert not recwarn.list


def test_a_checkpoint_of_a_frozen_model_is_not_that_of_another(tmp_path: Path) -> None:
    train(network().freeze().unfreeze(), checkpoint=tmp_path / "run.json")
    model = network()
    model.layers[0].freeze()  # type: ignore[union-attr]
    with pytest.raises(microgrud.nn.ModelFileError, match="cannot resume from this checkpoint"):
        train(model, checkpoint=tmp_path / "run.json", resume=True)


class WithPredict(Module):
    """A module with a method of the name of one of Module."""

    def __init__(self) -> None:
        self.out = Linear(3, 1, rng=1)

    def predict(self, X: Any) -> Any:
        return self.out(X)

    def forward(self, row: Any) -> Any:
        return self.predict(row) * 2.0


class UsingPredict(WithPredict):
    """A module that uses predictions as constants, which no recording can hold."""

    def predict(self, X: Any) -> Any:
        return self.out(X) * super().predict(X).data + float(self.out.predict([X])[0])


def test_a_module_may_have_a_predict_of_its_own_and_one_that_uses_predictions_is_evaluated_eagerly() -> None:
    assert train(WithPredict()).engine == "tape"
    assert train(UsingPredict()).engine == "eager"


def test_a_prediction_between_two_runs_does_not_keep_a_checkpoint_from_resuming(tmp_path: Path) -> None:
    model, other = network(), network()
    model.predict(ROWS)
    train(model, epochs=2, checkpoint=tmp_path / "run.json")
    other.freeze().unfreeze()
    train(other, epochs=3, checkpoint=tmp_path / "run.json", resume=True)
    assert other.predict(ROWS)[0] == pytest.approx(other.eval()(ROWS[0]).data)
