"""Loggers: each figure of a run reaches TensorBoard, MLflow or a CSV file once, under its name and step."""

from __future__ import annotations

import copy
import csv
import os
import pickle
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from microgrud import Value
from microgrud.losses import squared_error
from microgrud.train import CSVLogger, History, MLflowLogger, TensorBoardLogger, fit

ROWS = [[0.1 * k] for k in range(10)]
TARGETS = [0.5 * row[0] - 0.2 for row in ROWS]


class Line:
    def __init__(self) -> None:
        self.w = Value(1.0)

    def parameters(self) -> list[Value]:
        return [self.w]

    def __call__(self, row: Any) -> Any:
        return self.w * row[0]


class Writer:
    """A writer with the signature of SummaryWriter.add_scalar."""

    def __init__(self) -> None:
        self.scalars: list[tuple[str, float, int]] = []

    def add_scalar(self, tag: str, scalar_value: float, global_step: int | None = None, walltime: Any = None) -> None:
        assert global_step is not None
        self.scalars.append((tag, scalar_value, global_step))


def train(callbacks: Any, **options: Any) -> History:
    given: dict[str, Any] = {"loss": squared_error, "epochs": 3, "batch_size": 4, "lr": 0.1, "progress": False}
    return fit(Line(), ROWS, TARGETS, callbacks=callbacks, **{**given, **options})


def _first_error(predictions: Any, targets: Any) -> float:
    return float(abs(predictions[0] - targets[0]))


def test_each_figure_reaches_tensorboard_and_mlflow_at_its_step() -> None:
    writer, logged = Writer(), list[tuple[str, float, int]]()

    def log_metrics(metrics: dict[str, float], step: int | None = None) -> None:
        assert step is not None
        logged.extend((name, figure, step) for name, figure in metrics.items())

    loggers = [TensorBoardLogger(writer), MLflowLogger(log_metrics)]
    history = train(loggers, validation=0.2, metric=_first_error)
    assert len(history) == 6
    names = ("loss", "metric", "learning_rate", "gradient_norm")
    expected = [(name, getattr(history, name)[i], i + 1) for i in range(6) for name in names]
    for end in history.epochs:
        expected += [(f"epoch_{name}", getattr(end, name), end.step) for name in ("loss", "metric")]
        expected += [(name, getattr(end, name), end.step) for name in ("validation_loss", "validation_metric")]
    assert sorted(writer.scalars) == sorted(logged) == sorted(expected)


def test_without_steps_only_the_epochs_are_logged_and_figures_without_a_number_never() -> None:
    writer = Writer()
    history = train(TensorBoardLogger(writer, steps=False))
    assert writer.scalars == [("epoch_loss", record.loss, record.step) for record in history.epochs]


def test_the_file_is_that_of_the_history_after_each_event(tmp_path: Path) -> None:
    logger, seen = CSVLogger(tmp_path / "log.csv"), 0

    def compare(event: Any) -> None:
        nonlocal seen
        seen += 1
        event.history.save(tmp_path / "history.csv")
        assert (tmp_path / "log.csv").read_bytes() == (tmp_path / "history.csv").read_bytes()

    history = train([logger, compare], validation=0.2, metric=_first_error)
    assert seen == len(history) + len(history.epochs)
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == history.loss
    of_epochs = [float(row["validation_loss"]) for row in rows if row["validation_loss"]]
    assert of_epochs == [record.validation_loss for record in history.epochs]


@pytest.mark.parametrize("stop_at", range(1, 7))
def test_a_resumed_run_continues_the_file(stop_at: int, tmp_path: Path) -> None:
    log, path = tmp_path / "log.csv", tmp_path / "run"
    history = train((), validation=0.2, batch_size=4)

    def stop(event: Any) -> None:
        if event.kind == "step" and event.step == stop_at:
            event.stop()

    train([CSVLogger(log), stop], validation=0.2, checkpoint=path)
    with open(log, "a") as file:  # rows after the last checkpoint, and one that a kill has cut off
        file.write("99,9,0.5,,0.1,1.0,,,,\n100,9,0.")
    train([CSVLogger(log)], validation=0.2, checkpoint=path, resume=True)
    history.save(tmp_path / "history.csv")
    assert log.read_bytes() == (tmp_path / "history.csv").read_bytes()


def test_a_logger_serves_several_runs_and_a_file_that_is_moved_away_begins_anew(tmp_path: Path) -> None:
    logger = CSVLogger(os.fspath(tmp_path / "log.csv"))
    logger = pickle.loads(pickle.dumps(copy.deepcopy(logger)))
    train(logger, epochs=1)

    def move(event: Any) -> None:
        if event.step == 2 and event.kind == "step":
            os.rename(tmp_path / "log.csv", tmp_path / "rotated.csv")

    history = train([logger, move])
    history.save(tmp_path / "history.csv")
    assert (tmp_path / "log.csv").read_bytes() == (tmp_path / "history.csv").read_bytes()
    assert len(pd.read_csv(tmp_path / "rotated.csv")) == 2


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="TensorBoardLogger: writer: expected an object with add_scalar"):
        TensorBoardLogger(tmp_path)
    with pytest.raises(TypeError, match="MLflowLogger: log_metrics: expected a function, got an object of type str"):
        MLflowLogger("mlflow")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="CSVLogger: path: expected the path of a file, got an object of type int"):
        CSVLogger(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="TensorBoardLogger: steps"):
        TensorBoardLogger(Writer(), steps=2)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="missing"):
        train(CSVLogger(tmp_path / "missing" / "log.csv"))
