"""Checkpoints: a run in two parts ends with the same bits as an uninterrupted one; damaged files change nothing."""

from __future__ import annotations

import json
import random
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from microgrud import Value
from microgrud.common.jsonfile import ModelFileError, write_json_atomically
from microgrud.losses import absolute_error, squared_error
from microgrud.nn import MLP, save_model
from microgrud.optim import (
    LBFGS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    CosineAnnealingLR,
    LinearWarmup,
    OneCycleLR,
    Optimizer,
    ReduceLROnPlateau,
    RMSprop,
    StepLR,
)
from microgrud.train import EarlyStopping, History, TrainingEvent, fit
from microgrud.train.checkpoint import FORMAT, VERSION
from microgrud.train.journal import Journal, read_journal

ROWS = [[i / 10, (i % 3) / 3] for i in range(10)]
TARGETS = [2 * a * b + 1 for a, b in ROWS]
EPOCHS = 4

Make = Callable[[list[Value]], Optimizer]

OPTIMIZERS: dict[str, Make] = {
    "SGD": lambda p: SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "Adagrad": lambda p: Adagrad(p, lr=0.1),
    "RMSprop": lambda p: RMSprop(p, centered=True, momentum=0.5),
    "Adam": lambda p: Adam(p, lr=0.05, amsgrad=True),
    "AdamW": lambda p: AdamW([{"params": p[:2], "lr": 0.1}, {"params": p[2:]}]),
    "LBFGS": lambda p: LBFGS(p, max_iter=2),
}
SCHEDULES: dict[str, Callable[[Optimizer], Any]] = {
    "none": lambda o: None,
    "step": lambda o: StepLR(o, 1, 0.5),
    "one cycle": lambda o: OneCycleLR(o, 0.2, EPOCHS * 3),
    "plateau": lambda o: ReduceLROnPlateau(o, factor=0.5, patience=0, threshold=0.5),
    "warm-up, then cosine": lambda o: LinearWarmup(o, 3, 0.1, after=CosineAnnealingLR(o, 10, interval="step")),
}


def accuracy(predictions: list[float], targets: list[float]) -> float:
    return sum(abs(p - t) < 0.5 for p, t in zip(predictions, targets)) / len(targets)


def train(
    model: MLP, make: Make = OPTIMIZERS["Adam"], schedule: str = "none", epochs: int = EPOCHS, **others: Any
) -> History:
    optimizer = make(model.parameters())
    chosen = {"loss": squared_error, "batch_size": 4, "progress": False, "metric": accuracy, **others}
    return fit(
        model, ROWS, TARGETS, optimizer=optimizer, schedule=SCHEDULES[schedule](optimizer), epochs=epochs, **chosen
    )


def network(seed: int = 0) -> MLP:
    return MLP(2, [3, 1], activation="tanh", rng=seed)


def stop_at(step: int) -> Callable[[TrainingEvent], None]:
    def callback(event: TrainingEvent) -> None:
        if event.kind == "step" and event.step == step:
            event.stop()

    return callback


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("cut", [2, 3, 7])
def test_a_run_in_two_parts_ends_with_the_bits_of_a_whole_one(
    name: str, schedule: str, cut: int, tmp_path: Path
) -> None:
    path = tmp_path / "run.json"
    whole = network()
    expected = train(whole, OPTIMIZERS[name], schedule, validation=0.2, early_stopping=3)

    first = train(
        network(), OPTIMIZERS[name], schedule, validation=0.2, early_stopping=3, checkpoint=path, callbacks=stop_at(cut)
    )
    assert (len(first), first.stopped_by) == (cut, "callback")
    resumed = network(seed=1)  # its initial state does not matter
    history = train(resumed, OPTIMIZERS[name], schedule, validation=0.2, early_stopping=3, checkpoint=path, resume=True)
    assert resumed.state_dict() == whole.state_dict()
    assert history == expected


@settings(max_examples=25)
@given(st.lists(st.integers(1, 11), max_size=4, unique=True), st.integers(0, 100), st.booleans())
def test_a_run_may_be_cut_anywhere_and_often(cuts: list[int], seed: int, shuffle: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.json"
        whole = network()
        expected = train(whole, seed=seed, shuffle=shuffle)
        starts = iter([network(), *map(network, range(1, 5))])  # only the first one matters
        for cut in sorted(cuts):
            train(next(starts), seed=seed, shuffle=shuffle, checkpoint=path, resume=True, callbacks=stop_at(cut))
        last = next(starts)
        history = train(last, seed=seed, shuffle=shuffle, checkpoint=path, resume=True)
    assert last.state_dict() == whole.state_dict()
    assert history == expected


class Noisy(MLP):
    """A network that draws random numbers during training."""

    def __call__(self, x: Any) -> Any:
        if self.training:
            x = [x_i + 0.1 * random.random() + 0.1 * np.random.standard_normal() for x_i in x]
        return super().__call__(x)


def test_a_model_that_draws_random_numbers_resumes_with_those_it_would_have_drawn(tmp_path: Path) -> None:
    path = tmp_path / "run.json"

    def noisy_run(**others: Any) -> tuple[Any, History]:
        model = Noisy(2, [3, 1], activation="tanh", rng=0)
        random.seed(1)
        np.random.seed(1)
        return model, train(model, **others)

    whole, expected = noisy_run()
    noisy_run(checkpoint=path, callbacks=stop_at(4))
    random.random()
    np.random.rand()
    resumed, history = noisy_run(checkpoint=path, resume=True)
    assert resumed.state_dict() == whole.state_dict()
    assert history == expected


def test_more_epochs_continue_where_a_finished_run_ended(tmp_path: Path) -> None:
    whole, model = network(), network()
    expected = train(whole, epochs=6)
    train(model, epochs=2, checkpoint=tmp_path / "run.json")
    again = network(5)
    assert train(again, epochs=6, checkpoint=tmp_path / "run.json", resume=True) == expected
    assert again.state_dict() == whole.state_dict()
    assert train(again, epochs=6, checkpoint=tmp_path / "run.json", resume=True) == expected  # nothing left to do


def test_a_run_that_early_stopping_ended_stays_ended(tmp_path: Path) -> None:
    path = tmp_path / "run.json"

    def run(model: MLP, **others: Any) -> History:
        stopping = EarlyStopping(patience=1, min_delta=1e9)
        return train(model, early_stopping=stopping, validation=0.2, checkpoint=path, **others)

    first, second = network(), network(3)
    history = run(first)
    assert (len(history.epochs), history.stopped_by) == (2, "early stopping")
    assert run(second, resume=True, epochs=50) == history
    assert second.state_dict() == first.state_dict()  # the best ones, not the last


def test_the_checkpoint_is_written_every_so_many_epochs_and_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    written: list[int] = []

    def watch(event: TrainingEvent) -> None:
        if event.kind == "step" and path.exists():
            written.append(read_journal(path, FORMAT, VERSION)[1][-1]["epoch"])

    train(network(), epochs=5, batch_size=None, checkpoint=path, checkpoint_every=2, callbacks=watch)
    assert written[0] == 2
    assert set(written) <= {2, 4}  # a save that follows too closely may be left out
    assert read_journal(path, FORMAT, VERSION)[1][-1]["epoch"] == 5


def test_an_interrupted_run_writes_a_checkpoint_and_resumes(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    whole, model = network(), network()
    expected = train(whole)

    def press(event: TrainingEvent) -> None:
        if event.step == 5:
            signal.raise_signal(signal.SIGINT)

    assert train(model, checkpoint=path, callbacks=press).interrupted
    history = train(network(), checkpoint=path, resume=True)
    assert history == expected
    assert not history.interrupted


def test_without_a_checkpoint_to_resume_from_the_run_begins(tmp_path: Path) -> None:
    first, second = network(), network()
    train(first)
    train(second, checkpoint=tmp_path / "run.json", resume=True)
    assert second.state_dict() == first.state_dict()


def test_a_model_that_is_no_module_can_be_checkpointed_too(tmp_path: Path) -> None:
    class Scale:
        def __init__(self) -> None:
            self.a = Value(0.0)

        def parameters(self) -> list[Value]:
            return [self.a]

        def __call__(self, row: list[float]) -> Value:
            return self.a * row[0]

    def run(model: Scale, epochs: int) -> History:
        return fit(
            model,
            ROWS,
            TARGETS,
            loss=squared_error,
            epochs=epochs,
            progress=False,
            checkpoint=tmp_path / "run.json",
            resume=True,
        )

    run(Scale(), 2)
    assert len(run(Scale(), 3).epochs) == 3


# --- invalid files ---


def finished(path: Path) -> None:
    train(network(), schedule="step", epochs=2, early_stopping=9, checkpoint=path)


def change_file(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> None:
    """Rewrite a checkpoint with another header or state, and correct checksums."""
    header, records = read_journal(path, FORMAT, VERSION)
    change(header, records[-1])
    journal = Journal(path, header)
    journal.rewrite(records[0])
    for record in records[1:]:
        journal.append(record)


def refuses(path: Path, message: str, **others: Any) -> None:
    """Check that resuming from the path raises, and leaves model, optimizer and schedule unchanged."""
    model = network(8)
    optimizer = OPTIMIZERS["Adam"](model.parameters())
    schedule = SCHEDULES["step"](optimizer)
    stopping = EarlyStopping(9)

    def state() -> tuple[Any, ...]:
        parts = (model, optimizer, schedule, stopping)
        return (*[part.state_dict() for part in parts], random.getstate(), repr(np.random.get_state()))

    before = state()
    arguments = {
        "loss": squared_error,
        "optimizer": optimizer,
        "schedule": schedule,
        "early_stopping": stopping,
        "metric": accuracy,
        "batch_size": 4,
        "epochs": EPOCHS,
        "progress": False,
        "checkpoint": path,
        "resume": True,
        **others,
    }
    with pytest.raises(ModelFileError, match=message):
        fit(model, **{"X": ROWS, "y": TARGETS, **arguments})
    assert state() == before


def test_an_empty_or_foreign_file_and_one_without_a_record_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    finished(path)
    content = path.read_bytes()
    path.write_bytes(content.splitlines(keepends=True)[0])
    refuses(path, "line 2, the first record, is missing or torn")
    path.write_bytes(content[:100])
    refuses(path, "not a microgrud checkpoint file")
    path.write_bytes(b"")
    refuses(path, "the file is empty")
    save_model(path, network())
    refuses(path, "not a microgrud checkpoint file, but a 'microgrud model'")
    write_json_atomically(path, {"format": "microgrud checkpoint", "format_version": 1, "state": {}})
    refuses(path, "expected version 2 of the microgrud checkpoint format, got version 1")
    Journal(path, {"format": "microgrud checkpoint", "format_version": 3}).rewrite({})
    refuses(path, "expected version 2 of the microgrud checkpoint format, got version 3")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, r: h.pop("run"), "run"),
        (lambda h, r: h.pop("first"), "first"),
        (lambda h, r: r.pop("state"), "state"),
        (lambda h, r: h["first"].pop("model"), "model"),
        (lambda h, r: r.update(parameters="AAAAAAAA8D8="), "parameters: expected 13 numbers, got 1"),
        (lambda h, r: r.update(parameters="?"), "cannot resume"),
        (lambda h, r: r.update(epoch=-1), "epoch: expected an integer of at least 0"),
        (lambda h, r: r.update(epoch=1), "expected 1 epochs and 0 batches"),
        (lambda h, r: r.update(batch="0"), "batch"),
        (lambda h, r: r.update(means=[0.0]), "means"),
        (lambda h, r: r.update(shuffling=[3, "AAAAAA==", None]), "cannot resume"),
        (lambda h, r: r.update(shuffling=None), "cannot resume"),
        (lambda h, r: h["first"]["random"].update(data=[3, "", None]), "cannot resume"),
        (lambda h, r: h["first"]["numpy.random"].update(data={}), "cannot resume"),
        (lambda h, r: h["run"].update(schedule=None), "a run with schedule None"),
        (
            lambda h, r: r["state"].update({"early stopping": {"is": ["list"], "items": []}}),
            "early stopping of type list",
        ),
        (lambda h, r: r["history"]["loss"].pop(), "the same number of figures"),
        (lambda h, r: r["history"]["loss"].__setitem__(0, "a"), "expected numbers"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(
    change: Callable[[dict[str, Any], dict[str, Any]], Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.json"
    finished(path)
    change_file(path, change)
    refuses(path, message)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"batch_size": 5}, "a run with batch_size 4, and this one has 5"),
        ({"seed": 1}, "a run with seed 0, and this one has 1"),
        ({"shuffle": False}, "shuffle True"),
        ({"clip_norm": 1.0}, "a run with clip_norm None, and this one has 1.0"),
        ({"loss": absolute_error}, "a run with loss 'squared_error', and this one has 'absolute_error'"),
        ({"optimizer": "sgd", "schedule": None}, "a run with optimizer 'Adam', and this one has 'SGD'"),
        ({"optimizer": "adam", "lr": 0.25, "schedule": None}, "lr of the optimizer 0.05, and this one has 0.25"),
        ({"X": ROWS[:9], "y": TARGETS[:9]}, "a run with samples 10, and this one has 9"),
        ({"y": TARGETS[::-1]}, "a run with data"),
        ({"validation": (ROWS, TARGETS)}, "validation samples 0"),
        ({"schedule": None}, "a run with schedule 'StepLR', and this one has None"),
        ({"schedule": lambda o: StepLR(o, 1, 0.25)}, "a run with schedule.gamma 0.5, and this one has 0.25"),
        ({"early_stopping": None}, "a run with early stopping 'EarlyStopping', and this one has None"),
        ({"early_stopping": 8}, "a run with early stopping.patience 9, and this one has 8"),
        ({"metric": None}, "a run with metric 'accuracy', and this one has None"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(others: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    finished(path)
    refuses(path, message, **others)


def test_a_model_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    finished(path)
    model = MLP(2, [4, 1], activation="tanh", rng=0)
    before = model.state_dict()
    with pytest.raises(ModelFileError, match="a run with parameters"):
        train(model, schedule="step", early_stopping=9, checkpoint=path, resume=True)
    assert model.state_dict() == before


def test_a_run_that_diverges_after_resuming_restores_at_least_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    first = network()
    train(first, epochs=1, checkpoint=path)
    resumed = network(4)

    def infinite(prediction: Value, target: float) -> Value:
        return prediction * float("inf")

    infinite.__qualname__ = squared_error.__qualname__  # as if the loss of the same name had diverged
    with pytest.raises(ArithmeticError, match="epoch 2, batch 1 of 3"):
        train(resumed, checkpoint=path, resume=True, loss=infinite)
    assert resumed.state_dict() == first.state_dict()


def test_a_checkpoint_is_lines_of_readable_json(tmp_path: Path) -> None:
    finished(tmp_path / "run.json")
    header, *records = map(json.loads, (tmp_path / "run.json").read_text(encoding="utf-8").splitlines())
    assert (header["format"], header["format_version"]) == ("microgrud checkpoint", 2)
    assert header["first"]["model.layers[0].neurons[0].activation"]["items"]["name"] == "tanh"
    assert [record["epoch"] for record in records][-1] == 2
