"""`fit`: its loop against a handwritten one, and everything that may happen around it."""

from __future__ import annotations

import builtins
import gc
import math
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lines import ROWS, TARGETS, Line, at_step, mean_absolute_error, train

from microgrud import Value, mean
from microgrud.losses import cross_entropy, squared_error
from microgrud.nn import MLP, Dropout, Linear, Sequential
from microgrud.optim import SGD, Adam, ExponentialLR, OneCycleLR, ReduceLROnPlateau, StepLR
from microgrud.train import EarlyStopping, History, TrainingEvent, evaluate, fit, progress
from microgrud.train.batches import check_samples, split

# --- the loop ---


def test_fit_does_what_a_handwritten_loop_does() -> None:
    fitted, by_hand = Line(0.5, -0.5), Line(0.5, -0.5)
    history = train(fitted, optimizer=SGD(fitted.parameters(), lr=0.1, momentum=0.9), seed=7)

    rng = random.Random(7)
    optimizer = SGD(by_hand.parameters(), lr=0.1, momentum=0.9)
    losses, norms = [], []
    for _ in range(3):
        order = list(range(10))
        rng.shuffle(order)
        for batch in (order[:4], order[4:8], order[8:]):
            loss = mean([(by_hand(ROWS[i]) - TARGETS[i]) ** 2 for i in batch])
            optimizer.zero_grad()
            loss.backward()
            losses.append(loss.data)
            norms.append(math.hypot(*[p.grad for p in by_hand.parameters()]))
            optimizer.step()
    assert fitted.numbers == pytest.approx(by_hand.numbers, rel=1e-12, abs=0.0)
    assert history.loss == pytest.approx(losses, rel=1e-12, abs=0.0)
    assert history.gradient_norm == pytest.approx(norms, rel=1e-12, abs=0.0)
    assert history.learning_rate == [0.1] * 9
    assert history.epoch == [1, 1, 1, 2, 2, 2, 3, 3, 3]


@pytest.mark.parametrize(
    ("optimizer", "lr"),
    [("sgd", 0.3), ("adagrad", 0.5), ("RMSprop", 0.02), ("adam", 0.05), ("adamw", 0.05), ("lbfgs", None)],
)
def test_every_optimizer_learns_a_line_by_name(optimizer: str, lr: float | None) -> None:
    model = Line(0.0, 0.0)
    history = train(model, optimizer=optimizer, lr=lr, epochs=80 if lr else 3, batch_size=5 if lr else None)
    assert history.epochs[-1].loss < history.epochs[0].loss / 10
    assert model.numbers == pytest.approx([2.0, -1.0, 1.0], abs=0.25 if lr else 1e-6)


def test_a_network_learns_three_classes() -> None:
    rng = random.Random(0)
    centres = [(0.0, 1.0), (1.0, -1.0), (-1.0, -1.0)]
    y = [i % 3 for i in range(30)]
    X = [[c + rng.gauss(0, 0.2) for c in centres[k]] for k in y]

    def accuracy(predictions: list[list[float]], targets: list[int]) -> float:
        return sum(max(range(3), key=p.__getitem__) == t for p, t in zip(predictions, targets)) / len(targets)

    model = MLP(2, [6, 3], activation="tanh", rng=1)
    history = train(model, X, y, loss=cross_entropy, lr=0.05, epochs=15, metric=accuracy)
    assert history.epochs[-1].metric == 1.0
    assert evaluate(model, X, y, loss=cross_entropy, metric=accuracy)[1] == 1.0


def test_the_same_seed_gives_the_same_bits_and_another_one_others() -> None:
    runs = []
    for seed in (3, 3, 4):
        model = Line(0.0, 0.0)
        runs.append((train(model, seed=seed, validation=0.3), model.numbers))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_without_shuffling_the_batches_come_in_order() -> None:
    history = train(Line(0.0, 0.0), lr=0.0, epochs=2, shuffle=False)
    expected = [sum(t**2 for t in part) / len(part) for part in (TARGETS[:4], TARGETS[4:8], TARGETS[8:])]
    assert history.loss == pytest.approx(expected * 2)


def test_epoch_figures_are_means_over_samples_not_batches() -> None:
    history = train(Line(0.0, 0.0), lr=0.0, epochs=1, metric=mean_absolute_error)
    assert history.epochs[0].loss == pytest.approx(sum(t**2 for t in TARGETS) / 10)
    assert history.epochs[0].metric == pytest.approx(sum(abs(t) for t in TARGETS) / 10)
    assert history.epochs[0].step == len(history) == 3


def test_no_epochs_change_nothing() -> None:
    model = Line(1.0, 2.0)
    assert train(model, epochs=0) == History()
    assert model.numbers == [1.0, 2.0, 0.0]


def test_arrays_and_tables_do_as_well_as_lists() -> None:
    results = []
    for X, y in (
        (ROWS, TARGETS),
        (np.array(ROWS), np.array(TARGETS)),
        (pd.DataFrame(ROWS), pd.Series(TARGETS)),
        ([np.array(row) for row in ROWS], tuple(TARGETS)),
    ):
        model = Line(0.0, 0.0)
        train(model, X, y)
        results.append(model.numbers)
    assert results == [results[0]] * 4


def test_parameters_outside_the_optimizer_do_not_change() -> None:
    model = Line(0.0, 0.0, b=5.0)
    train(model, optimizer=SGD(model.w, lr=0.1))
    assert model.b.data == 5.0
    assert model.w[0].data != 0.0


def test_gradients_are_clipped_and_the_history_has_the_norm_before() -> None:
    model = Line(0.0, 0.0)
    history = train(model, optimizer=SGD(model.parameters(), lr=1.0), clip_norm=0.01, epochs=1, batch_size=None)
    assert history.gradient_norm[0] > 1.0
    assert math.hypot(*model.numbers) == pytest.approx(0.01)


def test_modules_train_in_training_mode_and_are_measured_in_evaluation_mode() -> None:
    seen = set()

    class Watched(MLP):
        def __call__(self, x: Any) -> Any:
            seen.add((self.training, len(x)))
            return super().__call__(x)

    model = Watched(2, [1]).eval()
    train(model, validation=(ROWS, TARGETS))
    assert seen == {(True, 2), (False, 2)}
    assert not model.training


def test_a_part_in_evaluation_mode_is_in_it_again_after_an_evaluation_or_a_run() -> None:
    model = Sequential(Linear(1, 2, rng=0), Dropout(0.5, rng=0), Linear(2, 1, rng=1))
    part = next(module for module in model.children() if isinstance(module, Dropout))
    part.eval()
    evaluate(model, [[1.0]], [1.0], loss=squared_error)
    assert (model.training, part.training) == (True, False)
    fit(model, [[1.0]], [1.0], loss=squared_error, lr=0.1, epochs=1, progress=False)
    assert (model.training, part.training) == (True, False)


# --- validation and metrics ---


def test_validation_data_are_measured_after_each_epoch_and_not_trained_on() -> None:
    model = Line(0.0, 0.0)
    history = train(model, validation=([[1.0, 1.0]], [0.0]), metric=mean_absolute_error)
    assert len(history.epochs) == 3
    prediction = model([1.0, 1.0]).data
    assert history.epochs[-1].validation_loss == pytest.approx(prediction**2)
    assert history.epochs[-1].validation_metric == pytest.approx(abs(prediction))


def test_a_fraction_is_set_aside_by_the_seed() -> None:
    samples = check_samples("here", ROWS, TARGETS)

    def rows_of_parts(seed: int) -> list[list[list[float]]]:
        return [list(part.rows) for part in split(samples, 0.3, random.Random(seed))]

    kept, held_out = rows_of_parts(0)
    assert sorted(kept + held_out) == sorted(ROWS)
    assert (len(kept), len(held_out)) == (7, 3)
    assert rows_of_parts(0) == [kept, held_out]
    assert rows_of_parts(1) != [kept, held_out]
    assert len(train(Line(0.0, 0.0), validation=0.3, batch_size=1)) == 21


def test_without_shuffling_the_last_rows_are_set_aside() -> None:
    kept, held_out = split(check_samples("here", ROWS, TARGETS), 0.25, None)
    assert (list(kept.rows), list(held_out.rows)) == (ROWS[:8], ROWS[8:])


def test_a_metric_that_is_not_defined_is_none() -> None:
    def correlation(predictions: list[float], targets: list[float]) -> float:
        return math.nan if len(targets) < 4 else 0.5

    history = train(Line(0.0, 0.0), metric=correlation, epochs=1)
    assert history.metric == [0.5, 0.5, None]
    assert history.epochs[0].metric == 0.5


def test_evaluate_builds_no_graph_and_takes_models_of_plain_numbers() -> None:
    assert evaluate(lambda row: row[0], [[1.0], [3.0]], [0.0, 0.0], loss=squared_error) == (5.0, None)


def test_predictions_may_be_texts() -> None:
    def loss(prediction: str, target: int) -> float:
        return float(prediction != ["left", "right"][target])

    def rights(predictions: list[str], targets: list[int]) -> float:
        return sum(prediction == "right" for prediction in predictions)

    data: Any = [[-1.0], [2.0], [3.0]], [0, 1, 0]
    found = evaluate(lambda row: "right" if row[0] > 0.0 else "left", *data, loss=loss, metric=rights)
    assert found == (pytest.approx(1 / 3), 2.0)


def test_metrics_see_plain_lists_for_several_outputs() -> None:
    def second(predictions: list[list[float]], targets: list[Any]) -> float:
        return predictions[0][1]

    outputs = evaluate(lambda row: np.array([row[0], 7.0]), [[1.0]], [[1.0, 7.0]], loss=lambda p, t: 0.0, metric=second)
    assert outputs == (0.0, 7.0)


# --- schedules ---


def test_a_schedule_of_epochs_moves_once_an_epoch() -> None:
    history = train(Line(0.0, 0.0), lr=0.8, schedule=lambda o: StepLR(o, 1, 0.5))
    assert history.learning_rate == [0.8] * 3 + [0.4] * 3 + [0.2] * 3


def test_a_schedule_of_steps_moves_at_every_step() -> None:
    model = Line(0.0, 0.0)
    optimizer = SGD(model.parameters(), lr=0.1)
    history = train(model, optimizer=optimizer, schedule=OneCycleLR(optimizer, 0.2, 9))
    again = OneCycleLR(SGD([Value(0.0)], lr=0.1), 0.2, 9)
    rates = []
    for _ in range(9):
        rates += again.rates
        again.step()
    assert history.learning_rate == rates


def test_a_plateau_watches_the_validation_loss() -> None:
    model = Line(0.0, 0.0)
    # The loss on the held-out sample is lowest at the start.
    held_out = ([[1.0, 0.0]], [0.0])
    history = train(model, lr=0.1, validation=held_out, schedule=lambda o: ReduceLROnPlateau(o, factor=0.5, patience=0))
    assert history.learning_rate[0] == 0.1
    assert history.learning_rate[-1] == 0.05


# --- early stopping ---


def worse_from(epoch: int) -> Callable[[Any, Any], Value]:
    """Make a loss whose value on the one validation sample is lowest at an epoch; on the others it is about 0."""
    seen = []

    def loss(prediction: Value, target: float) -> Value:
        if target == "validation":
            seen.append(0)
            return Value(abs(len(seen) - epoch) + 1.0)
        return (prediction - target) ** 2

    return loss


def test_early_stopping_waits_and_restores_the_best() -> None:
    model, seen = Line(0.0, 0.0), []

    def remember(event: TrainingEvent) -> None:
        if event.kind == "epoch":
            seen.append(model.numbers)

    history = train(
        model,
        loss=worse_from(3),
        validation=([[0.0, 0.0]], ["validation"]),
        early_stopping=2,
        epochs=50,
        callbacks=remember,
    )
    assert [record.validation_loss for record in history.epochs] == [3.0, 2.0, 1.0, 2.0, 3.0]
    assert (history.stopped_by, history.best_epoch) == ("early stopping", 3)
    assert model.numbers == seen[2]
    assert not history.interrupted


def test_early_stopping_may_leave_the_last_parameters() -> None:
    model = Line(0.0, 0.0)
    stopping = EarlyStopping(patience=1, restore_best=False)
    history = train(model, loss=worse_from(1), validation=([[0.0, 0.0]], ["validation"]), early_stopping=stopping)
    assert len(history.epochs) == 2
    best = stopping.best_parameters
    assert best is not None
    assert model.numbers != best.tolist()


def test_early_stopping_that_was_used_before_is_reset() -> None:
    stopping = EarlyStopping(patience=1)
    stopping.update(1, -100.0, np.zeros(3))
    history = train(Line(0.0, 0.0), early_stopping=stopping, lr=0.01)
    assert len(history.epochs) == 3


def test_the_best_of_a_run_that_ends_by_itself_is_kept_too() -> None:
    model = Line(0.0, 0.0)
    stopping = EarlyStopping(patience=10)
    history = train(model, loss=worse_from(2), validation=([[0.0, 0.0]], ["validation"]), early_stopping=stopping)
    assert (history.stopped_by, history.best_epoch) == (None, 2)
    assert stopping.best_parameters is not None
    assert model.numbers == stopping.best_parameters.tolist()


def test_a_loss_has_to_be_better_by_min_delta() -> None:
    stopping = EarlyStopping(patience=2, min_delta=0.1)
    for epoch, loss in enumerate([1.0, 0.95, 0.91], start=1):
        stopping.update(epoch, loss, np.zeros(1))
    assert stopping.should_stop
    assert stopping.best == 1.0


# --- callbacks ---


def test_callbacks_get_each_step_and_epoch_in_order() -> None:
    events: list[TrainingEvent] = []
    model = Line(0.0, 0.0)
    history = train(model, callbacks=[events.append], epochs=2, validation=0.2, metric=mean_absolute_error)
    assert [event.kind for event in events] == ["step", "step", "epoch"] * 2
    assert [(e.epoch, e.batch, e.batches, e.step) for e in events[:3]] == [(1, 1, 2, 1), (1, 2, 2, 2), (1, 2, 2, 2)]
    assert [e.loss for e in events if e.kind == "step"] == history.loss
    assert events[2].validation_loss == history.epochs[0].validation_loss
    assert events[2].metric == history.epochs[0].metric
    assert (events[0].validation_loss, events[0].validation_metric) == (None, None)
    assert events[0].model is model
    assert events[0].history is history


def test_a_callback_may_stop_after_a_step_or_an_epoch() -> None:
    history = train(Line(0.0, 0.0), callbacks=at_step(2, TrainingEvent.stop))
    assert (len(history), history.stopped_by) == (2, "callback")

    def after_first_epoch(event: TrainingEvent) -> None:
        if event.kind == "epoch":
            event.stop()

    history = train(Line(0.0, 0.0), callbacks=after_first_epoch)
    assert (len(history), len(history.epochs), history.stopped_by) == (3, 1, "callback")


def test_asking_to_stop_at_the_end_changes_nothing() -> None:
    history = train(Line(0.0, 0.0), epochs=1, callbacks=lambda event: event.kind == "epoch" and event.stop())
    assert (len(history.epochs), history.stopped_by) == (1, None)


# --- the progress bar ---


def test_the_bar_shows_loss_metric_and_validation(capsys: pytest.CaptureFixture[str]) -> None:
    train(Line(0.0, 0.0), progress=True, validation=0.2, metric=mean_absolute_error)
    shown = capsys.readouterr().err
    assert "6/6" in shown
    for name in ("loss=", "metric=", "validation=", "epoch=3"):
        assert name in shown


def test_no_bar_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    train(Line(0.0, 0.0))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("terminal", "installed", "shown"), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_by_default_the_bar_is_shown_in_a_terminal_if_tqdm_is_installed(
    terminal: bool, installed: bool, shown: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)  # it marks tests of notebooks
    monkeypatch.setattr(progress, "find_spec", lambda name: object() if installed else None)
    gc.collect()  # bars of other tests write their last line when they are collected
    capsys.readouterr()
    train(Line(0.0, 0.0), progress=None)
    assert ("9/9" in capsys.readouterr().err) == shown


def test_without_tqdm_only_the_bar_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def fake_import(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "tqdm":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fake_import)
    model = Line(0.0, 0.0)
    with pytest.raises(ImportError, match="pip install tqdm; or leave progress out"):
        train(model, progress=True)
    assert model.numbers == [0.0, 0.0, 0.0]
    assert len(train(model)) == 9


def test_targets_may_be_a_column() -> None:
    alone = Line(0.5, -0.5)
    expected = fit(alone, ROWS, TARGETS, loss=squared_error)
    for y in (np.array(TARGETS).reshape(-1, 1), pd.DataFrame({"y": TARGETS})):
        column = Line(0.5, -0.5)
        assert fit(column, ROWS, y, loss=squared_error) == expected
        assert column.numbers == alone.numbers


# --- errors ---


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"X": [], "y": []}, ValueError, "expected at least one row, got none"),
        ({"y": TARGETS[:9]}, ValueError, "got 10 rows and 9 targets"),
        ({"X": [*ROWS[:9], [1.0]]}, ValueError, "expected rows of 2 numbers as in row 0, got 1 in row 9"),
        ({"X": [*ROWS[:9], [1.0, math.nan]]}, ValueError, "row 9: expected finite numbers, got nan in column 1"),
        ({"X": [*ROWS[:9], [1.0, "x"]]}, TypeError, "row 9: expected a real number, got the string 'x'"),
        ({"X": [*ROWS[:9], "ab"]}, TypeError, "row 9: expected a sequence of numbers, got an object of type str"),
        ({"X": TARGETS}, TypeError, r"row 0: .*write \[\[x\] for x in X\]"),
        ({"X": iter(ROWS)}, TypeError, "X: expected a sequence"),
        ({"y": 3.0}, TypeError, "y: expected a sequence"),
        ({"y": [*TARGETS[:9], math.inf]}, ValueError, "target 9: expected finite numbers, got inf"),
        ({"y": [[0.0]] * 9 + [[math.nan]]}, ValueError, "target 9: expected finite numbers, got nan"),
        ({"loss": None}, TypeError, "loss: expected a function, got an object of type NoneType"),
        ({"loss": lambda p, t: p.data}, TypeError, "loss: expected a Value that depends on the parameters"),
        ({"metric": "accuracy"}, TypeError, "metric: expected a function, got an object of type str"),
        ({"callbacks": [3]}, TypeError, "callbacks: expected a function, got an object of type int"),
        ({"epochs": -1}, ValueError, "epochs: expected an integer of at least 0, got -1"),
        ({"epochs": 1.5}, TypeError, "epochs: expected an integer, got 1.5"),
        ({"batch_size": 0}, ValueError, "batch_size: expected an integer of at least 1, got 0"),
        ({"shuffle": "yes"}, TypeError, "shuffle: expected True or False"),
        ({"seed": -1}, ValueError, "seed"),
        ({"clip_norm": 0.0}, ValueError, "clip_norm: expected a finite number x > 0"),
        ({"clip_norm": 1.0, "optimizer": "lbfgs"}, ValueError, "clip_norm: expected None with LBFGS"),
        ({"optimizer": "adamm"}, ValueError, "expected an Optimizer or one of 'sgd', .*, got 'adamm'"),
        ({"optimizer": 3}, ValueError, "expected an Optimizer or one of"),
        ({"optimizer": Adam([Value(1.0)])}, ValueError, "expected one for the model's parameters"),
        ({"lr": -1.0}, ValueError, "Adam: lr: expected a finite number x >= 0"),
        (
            {"schedule": 0.5},
            TypeError,
            "expected a Schedule, or a function that makes one, got an object of type",
        ),
        ({"schedule": lambda o: None}, TypeError, "got an object of type NoneType"),
        ({"schedule": ExponentialLR(Adam([Value(1.0)]), 0.5)}, ValueError, "expected a schedule of the same optimizer"),
        ({"early_stopping": 0}, ValueError, "EarlyStopping: patience"),
        ({"validation": 1.0}, ValueError, "validation: expected a finite number 0 < x < 1"),
        ({"validation": 0.96}, ValueError, "leaves something to train on"),
        ({"validation": [ROWS, TARGETS]}, TypeError, r"expected a pair \(X, y\) or a fraction, got a list"),
        ({"validation": (ROWS, [])}, ValueError, "fit: validation: expected as many rows as targets"),
        ({"validation": ([[1.0]], [1.0])}, ValueError, "validation: expected rows of 2 numbers .*, got 1"),
        ({"checkpoint_every": 0}, ValueError, "checkpoint_every"),
        ({"resume": True}, ValueError, "resume: expected a checkpoint"),
        ({"checkpoint": "no/such/folder/run.json"}, FileNotFoundError, "a folder that exists"),
    ],
)
def test_invalid_arguments_are_refused_before_anything_is_done(
    settings: dict[str, Any], kind: type[Exception], message: str
) -> None:
    model = Line(0.5, 0.25)
    with pytest.raises(kind, match=message):
        train(model, **settings)
    assert model.numbers == [0.5, 0.25, 0.0]


def test_a_rate_in_addition_to_an_optimizer_is_refused() -> None:
    model = Line(0.0, 0.0)
    with pytest.raises(ValueError, match="lr: expected None with an optimizer that has its own"):
        train(model, optimizer=SGD(model.parameters()), lr=0.1)


@pytest.mark.parametrize("model", [3, lambda row: row])
def test_a_model_needs_parameters(model: Any) -> None:
    with pytest.raises(TypeError, match="model: expected a function with parameters"):
        train(model)


def test_early_stopping_continues_from_its_state() -> None:
    one, other = EarlyStopping(2, restore_best=True), EarlyStopping(2, restore_best=True)
    for epoch, loss in enumerate([3.0, 1.0, 2.0], start=1):
        one.update(epoch, loss, np.array([loss, 0.5]))
    other.load_state_dict(one.state_dict(), size=2)
    assert other.state_dict() == one.state_dict()
    assert not one.should_stop
    for each in (one, other):
        each.update(4, 2.0, np.array([2.0, 0.5]))
    assert one.should_stop
    assert other.should_stop


@pytest.mark.parametrize(
    "change", [{"best": "low"}, {"best_epoch": 0}, {"bad_epochs": -1}, {"parameters": [1.0]}, {"parameters": 3}]
)
def test_a_damaged_state_of_early_stopping_is_refused(change: dict[str, Any]) -> None:
    stopping = EarlyStopping(2)
    state = {"best": 1.0, "best_epoch": 2, "bad_epochs": 1, "parameters": [1.0, 2.0]}
    with pytest.raises((ValueError, TypeError)):
        stopping.load_state_dict({**state, **change}, size=2)
    with pytest.raises(ValueError, match="got a damaged one"):
        stopping.load_state_dict({})
    assert stopping.best is None
