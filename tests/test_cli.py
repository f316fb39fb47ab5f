"""The command line, from a table to a report and to predictions; and one line for each error in the input."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from typer.testing import CliRunner

import microgrud
from microgrud import cli
from microgrud.cli import commands, pipeline, scores, settings
from microgrud.cli.predicting import Predictor
from microgrud.nn import MLP, load_model, save_model
from microgrud.tables import read_table
from microgrud.train import fit

for name in ("graphviz", "matplotlib", "tqdm"):
    pytest.importorskip(name)
pytestmark = pytest.mark.usefixtures("coarse_reports")

QUICK = ["--hidden", "4", "--epochs", "2"]
LEARNED = [*QUICK, "--epochs", "20", "--lr", "0.05"]
RUN_FILES = {
    *("model.json", "history.csv", "predictions.csv", "report.html"),
    *("loss.svg", "regions.svg", "surface.svg", "flow.svg", "network.svg"),
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def microgrud_cli(*words: object) -> Any:
    return CliRunner().invoke(commands.app, [str(word) for word in words])


def succeed(*words: object) -> Any:
    result = microgrud_cli(*words)
    assert result.exit_code == 0, result.output
    return result


def a_table(**columns: Any) -> Path:
    """Write `table.csv`: 30 rows with a number, a colour, a class that depends on them, and `columns`."""
    data: dict[str, Any] = {
        "size": [0.5 * i for i in range(30)],
        "colour": ["red", "blue", "green"] * 10,
        "class": ["a", "b", "b"] * 10,
    }
    return written({**data, **columns})


def written(columns: dict[str, Any], name: str = "table.csv") -> Path:
    pd.DataFrame(columns).to_csv(name, index=False)
    return Path(name)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the pictures, which take most of the time of a short run, in tests of model and predictions."""
    monkeypatch.setattr("microgrud.cli.runfolder.draw_pictures", lambda run: {})


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)
        succeed("train", a_table(), "--target", "class", *QUICK, "--out", "run")
    return folder


@pytest.fixture
def trained(run_folder: Path) -> str:
    """A model file; the table that it was trained on is next to its folder."""
    shutil.copytree(run_folder, "run")
    a_table()
    return "run/model.json"


# --- train ------------------------------------------------------------------------------------------------------------


def test_without_a_table_it_learns_iris_and_says_where_the_report_is() -> None:
    result = succeed("train", "--epochs", "12", "--lr", "0.05", "--hidden", "8")
    assert result.output.rstrip().endswith("Report: " + str(Path("runs/iris-1/report.html")))
    assert "iris: predicting species (classification, 3 classes), from 4 columns" in result.output
    assert re.search(r"steps in [\d.]+ s, replayed from a recording\n", result.output)
    assert {path.name for path in Path("runs/iris-1").iterdir()} == RUN_FILES | {"confusion.svg"}
    assert json.loads(Path("runs/iris-1/model.json").read_text())["extra"]["scores"]["accuracy"] >= 0.93


@pytest.mark.usefixtures("without_pictures")
def test_each_run_gets_a_new_folder() -> None:
    for number in (1, 2):
        result = succeed("train", a_table(), "--target", "class", *QUICK)
        assert str(Path(f"runs/table-{number}/report.html")) in result.output


def test_the_same_seed_gives_the_same_files_to_the_byte(run_folder: Path) -> None:
    succeed("train", a_table(), "--target", "class", *QUICK, "--seed", 0, "--out", "two")
    assert contents(run_folder) == contents(Path("two"))


@pytest.mark.usefixtures("without_pictures")
def test_another_seed_gives_another_model(run_folder: Path) -> None:
    succeed("train", a_table(), "--target", "class", *QUICK, "--seed", 8, "--out", "other")
    assert contents(run_folder)["model.json"] != contents(Path("other"))["model.json"]


@pytest.mark.usefixtures("without_pictures")
def test_the_command_in_the_report_gives_the_same_model() -> None:
    written({"x y": [0.25 * i for i in range(30)], "code": [1, 2, 3] * 10, "z": [None, *range(29)], "y": range(30)})
    run = ["train", "table.csv", "--target", "y", "--categorical", "code", "--drop-missing", "--hidden", "3,2"]
    succeed(*run, "--epochs", 3, "--out", "one", "--optimizer", "sgd")
    report = Path("one/report.html").read_text(encoding="utf-8")
    command = report.split("<pre><code>")[2].split("</code>")[0].replace("&#x27;", "'")
    succeed(*shlex.split(command)[1:], "--out", "two")
    assert load_model("one/model.json")[0].state_dict() == load_model("two/model.json")[0].state_dict()


@pytest.mark.usefixtures("without_pictures")
def test_quiet_prints_where_the_report_is_and_nothing_else() -> None:
    result = succeed("train", a_table(), "--target", "class", *LEARNED, "--quiet", "--out", "new/folder")
    assert result.output == f"Report: {Path('new/folder/report.html')}\n"


@pytest.mark.usefixtures("without_pictures")
def test_the_network_and_its_training_are_what_the_options_say() -> None:
    options = "--hidden 5,3 --activation relu --optimizer adam --lr 0.02 --schedule constant --epochs 3 --batch-size 8"
    succeed(
        "train", a_table(), "--target", "class", *options.split(), "--test-size", "0.5", "--seed", "3", "--out", "run"
    )
    predictor = Predictor.load("run/model.json")
    assert [layer[1:4] for layer in predictor.layers()] == [(4, 5, "ReLU"), (5, 3, "ReLU"), (3, 2, "Linear")]
    history = pd.read_csv("run/history.csv")
    assert len(history) == 3 * 2
    assert (history["learning_rate"] == 0.02).all()
    stored = predictor.details["settings"]
    assert {name: stored[name] for name in ("optimizer", "batch_size", "test_size", "seed")} == {
        "optimizer": "adam", "batch_size": 8, "test_size": 0.5, "seed": 3,
    }  # fmt: skip


@pytest.mark.parametrize("optimizer", settings.OPTIMIZERS)
def test_every_optimizer_trains(optimizer: str) -> None:
    chosen = settings.RunSettings("class", optimizer=optimizer, hidden=(4,), epochs=5)
    run = pipeline.train_on_table(read_table(a_table()), chosen, progress=False)
    assert run.history.epochs[-1].loss < run.history.epochs[0].loss


@pytest.mark.parametrize("schedule", settings.SCHEDULES)
def test_every_schedule_trains(schedule: str) -> None:
    chosen = settings.RunSettings("class", schedule=schedule, hidden=(4,), epochs=2)
    run = pipeline.train_on_table(read_table(a_table()), chosen, progress=False)
    changes = schedule not in ("constant", "plateau")
    assert (len(set(run.history.learning_rate)) > 1) == changes


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize("hidden", ["none", "0", ""])
def test_no_hidden_layer_makes_a_linear_model(hidden: str) -> None:
    succeed("train", a_table(), "--target", "size", "--hidden", hidden, "--epochs", 1, "--out", "run")
    assert [layer[0] for layer in Predictor.load("run/model.json").layers()] == ["output"]
    assert "--hidden none" in Path("run/report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("without_pictures")
def test_inputs_are_counted_where_they_are_not_the_columns() -> None:
    result = succeed("train", a_table(), "--target", "class", *QUICK)
    assert "(classification, 2 classes), from 2 columns (4 inputs)\n" in result.stdout
    result = succeed("train", a_table(), "--target", "class", *QUICK, "--ignore", "colour")
    assert "(classification, 2 classes), from 1 column\n" in result.stdout


@pytest.mark.usefixtures("without_pictures")
def test_whole_numbers_that_are_taken_as_classes_are_noted_and_can_be_a_quantity() -> None:
    table, note = a_table(rooms=[1, 2, 6] * 10, flag=[0, 1] * 15), "The 3 different whole numbers in 'rooms' were taken"
    result = succeed("train", table, "--target", "rooms", *QUICK, "--out", "run")
    assert f"note: {note} as classes; with --task regression they are a quantity.\n" in result.stderr
    assert "were taken as classes" in Path("run/report.html").read_text(encoding="utf-8")
    for options in (["rooms", "--task", "classification"], ["rooms", "--categorical", "rooms"], ["flag"], ["class"]):
        assert "were taken as classes" not in succeed("train", table, "--target", *options, *QUICK).stderr


@pytest.mark.usefixtures("without_pictures")
def test_a_figure_is_written_in_one_way_everywhere() -> None:
    table = a_table(size=[100_000.25 * i for i in range(30)])
    output = succeed("train", table, "--target", "size", *QUICK, "--out", "run").stdout
    run = Predictor.load("run/model.json").details
    error = scores.figures(run["scores"]["mae"])
    assert error.isdigit()
    assert f" {error} " in output
    assert f"off by {error} on average" in Path("run/report.html").read_text(encoding="utf-8")
    shown = succeed("show", "run/model.json").output
    assert f"MAE {error}" in shown
    assert f"weight decay {scores.setting(run['settings']['weight_decay'])}; " in shown


@pytest.mark.usefixtures("without_pictures")
def test_a_number_as_target_is_a_regression_and_the_task_can_be_forced() -> None:
    table = a_table(grade=[1, 2, 3] * 10)
    assert "(regression, a number)" in succeed("train", table, "--target", "size", *QUICK).output
    assert "(classification, 3 classes)" in succeed("train", table, "--target", "grade", *QUICK).output
    forced = succeed("train", table, "--target", "grade", *QUICK, "--task", "regression", "--out", "forced")
    assert "(regression, a number)" in forced.output
    assert pd.read_csv("forced/predictions.csv").columns.tolist() == ["row", "true", "predicted"]


@pytest.mark.usefixtures("without_pictures")
def test_rows_with_missing_cells_and_columns_can_be_left_out() -> None:
    table = a_table(size=[None, *range(29)], name=[f"name {i}" for i in range(30)])
    result = succeed("train", table, "--target", "class", *QUICK, "--drop-missing", "--ignore", "name", "--out", "run")
    assert "1 of 30 rows has missing cells and was left out" in result.output
    assert "1 of 30 rows has missing cells" in Path("run/report.html").read_text(encoding="utf-8")
    rows = pd.read_csv("run/predictions.csv")
    classes = pd.read_csv(table)["class"]
    assert 1 not in set(rows["row"])
    assert list(rows["true"]) == [classes[row - 1] for row in rows["row"]]


@pytest.mark.usefixtures("without_pictures")
def test_few_rows_get_more_epochs_and_many_get_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    succeed("train", a_table(), "--target", "class", "--hidden", "", "--out", "small")
    assert len(pd.read_csv("small/history.csv")) == settings.LEAST_STEPS
    monkeypatch.setattr(settings, "MOST_WORK", 1000)
    result = succeed("train", a_table(), "--target", "class", "--hidden", "2", "--out", "large")
    assert "The table is large: 2 epochs rather than 240; --epochs chooses another number." in result.output


@pytest.mark.usefixtures("without_pictures")
def test_an_interrupted_run_is_kept_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(event: Any) -> None:
        if event.kind == "step" and event.step == 3:
            signal.raise_signal(signal.SIGINT)

    def interrupted(*args: Any, callbacks: Any, **options: Any) -> Any:
        return fit(*args, **options, callbacks=[callbacks, interrupt])

    monkeypatch.setattr(pipeline, "fit", interrupted)
    result = microgrud_cli("train", a_table(), "--target", "class", "--epochs", 50, "--out", "run")
    assert result.exit_code == 130
    assert "Training was interrupted after 3 steps" in result.output
    assert "Training was interrupted after 3 steps" in Path("run/report.html").read_text(encoding="utf-8")
    assert len(pd.read_csv("run/history.csv")) == 3
    assert "3 steps, interrupted" in succeed("show", "run/model.json").output
    succeed("predict", "run/model.json", "table.csv")


@pytest.mark.usefixtures("without_pictures")
def test_a_network_that_is_worse_than_the_baseline_says_so_everywhere() -> None:
    wild = ["--optimizer", "adam", "--lr", "100", "--schedule", "constant"]
    result = succeed("train", a_table(), "--target", "size", *QUICK, *wild, "--out", "run")
    behind = "worse than always answering the mean (R² -"
    assert result.stderr.startswith(f"note: On held-out rows the network is {behind}")
    assert "It has not learned the rows that it was trained on either: try a lower --lr" in result.stderr
    report = Path("run/report.html").read_text(encoding="utf-8")
    assert f'<p class="note">On held-out rows the network is {behind}' in report
    assert "explains none of the variance. Always answering the mean would be off by" in report
    assert f"The network is {behind}" in report
    assert behind in succeed("show", "run/model.json").output.splitlines()[-1]


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize("rare", ["b", "c"])
def test_a_class_that_only_held_out_rows_have_is_scored(rare: str) -> None:
    table = a_table(**{"class": ["a", "a", rare, *["a"] * 20, rare, *["a"] * 6]})
    succeed("train", table, "--target", "class", *QUICK, "--test-size", "0.9", "--out", "run")
    run = Predictor.load("run/model.json").details["scores"]
    assert run["baseline"]["accuracy"] == pytest.approx(25 / 27)
    assert "linear" not in run  # the training rows are all of one class


@pytest.mark.usefixtures("without_pictures")
def test_the_scores_of_a_linear_model_are_shown_everywhere() -> None:
    result = succeed("train", a_table(), "--target", "size", *QUICK, "--out", "run")
    run = json.loads(Path("run/model.json").read_text())["extra"]["scores"]
    header, *rows = [line.split() for line in result.stdout.splitlines()[4:8]]
    assert header == ["held-out", "rows", "network", "linear", "model", "mean"]
    keys = ("r2", "rmse", "mae")
    assert rows == [
        [scores.LABELS[key][0], *(scores.figures(one[key]) for one in (run, run["linear"], run["baseline"]))]
        for key in keys
    ]
    assert scores.behind_linear(run) in succeed("show", "run/model.json").output.splitlines()[-1]


@pytest.mark.usefixtures("without_pictures")
def test_l_bfgs_learns_a_noisy_table_as_well_as_a_linear_model_and_in_few_passes() -> None:
    passes: list[int] = []

    class Counted(pipeline.PenalisedLBFGS):
        def step(self, closure: Any = None) -> Any:
            def counted() -> Any:
                passes.append(1)
                return closure()

            return super().step(counted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "PenalisedLBFGS", Counted)
        succeed("train", table_of("diabetes"), "--target", "target", "--optimizer", "lbfgs", "--out", "run")
    assert len(passes) <= 40
    assert Predictor.load("run/model.json").details["scores"]["r2"] >= 0.3


# --- round trips ------------------------------------------------------------------------------------------------------


def table_of(name: str) -> Path:
    data = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = data.frame.copy()
    if "target_names" in data:
        frame["target"] = [data.target_names[i] for i in frame["target"]]
    frame.to_csv(f"{name}.csv", index=False)
    return Path(f"{name}.csv")


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize(
    ("name", "epochs", "score", "least"),
    [
        ("iris", 40, "accuracy", 0.93),
        ("wine", 12, "accuracy", 0.9),
        ("breast_cancer", 5, "accuracy", 0.9),
        ("diabetes", 8, "r2", 0.2),
    ],
)
def test_real_tables_are_learned_and_predicted_as_on_the_held_out_rows(
    name: str, epochs: int, score: str, least: float
) -> None:
    table = table_of(name)
    succeed("train", table, "--target", "target", "--hidden", "8", "--epochs", epochs, "--out", "run")
    succeed("predict", "run/model.json", table, "--out", "predictions.csv")
    held_out, predicted = pd.read_csv("run/predictions.csv"), pd.read_csv("predictions.csv")
    assert len(predicted) == len(pd.read_csv(table))
    again = predicted.loc[held_out["row"] - 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(held_out.drop(columns="true"), again, check_exact=True)
    assert Predictor.load("run/model.json").details["scores"][score] >= least
    if score == "accuracy":
        assert (held_out["true"] == held_out["predicted"]).mean() >= least
        probabilities = predicted.filter(like="probability ")
        assert np.allclose(probabilities.sum(axis=1), 1.0)
        assert list(predicted["predicted"]) == [c.removeprefix("probability ") for c in probabilities.idxmax(axis=1)]


def test_predictions_go_to_stdout_as_csv_and_notes_elsewhere(trained: str) -> None:
    result = succeed("predict", trained, "table.csv")
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert list(rows[0]) == ["row", "predicted", "probability a", "probability b"]
    assert [int(row["row"]) for row in rows] == list(range(1, 31))
    assert len(rows) == 30
    assert "columns that the model does not use: 'class'" in result.stderr


def test_rows_with_missing_cells_can_be_left_out_of_predictions_that_say_which_rows_they_are_of(trained: str) -> None:
    whole = pd.read_csv(io.StringIO(succeed("predict", trained, "table.csv").stdout))
    gaps = {"size": [None, *[0.5 * i for i in range(1, 30)]], "other": [None] * 30}
    table = written({**pd.read_csv("table.csv").to_dict("list"), **gaps, "colour": ["red", "blue", None] * 10})
    message = "column 'size', row 1 (line 2): the cell is missing (and 10 more missing cells); fill it in, or leave out"
    fails(["predict", trained, table], message)
    result = succeed("predict", trained, table, "--drop-missing", "--out", "some.csv")
    assert "note: 11 of 30 rows have missing cells and were left out.\n" in result.stderr
    assert result.stdout == "19 predictions: some.csv\n"
    some = pd.read_csv("some.csv")
    assert list(some["row"]) == [row for row in range(2, 31) if row % 3]
    pd.testing.assert_frame_equal(some, whole[whole["row"].isin(some["row"])].reset_index(drop=True), check_exact=True)


def test_at_least_one_complete_row_is_needed(trained: str) -> None:
    table = written({"size": [None, 1], "colour": ["red", None]})
    message = "table: every row has a missing cell; fill in those of at least one row"
    fails(["predict", trained, table, "--drop-missing"], message)


@pytest.mark.usefixtures("without_pictures")
def test_nothing_is_noted_of_rows_where_no_cell_is_missing(trained: str) -> None:
    assert "left out" not in succeed("predict", trained, "table.csv", "--drop-missing").stderr
    succeed("train", "table.csv", "--target", "class", *LEARNED, "--drop-missing", "--out", "other")
    assert "left out" not in Path("other/report.html").read_text(encoding="utf-8")


def test_a_guessed_encoding_is_noted(trained: str) -> None:
    Path("latin.csv").write_bytes("size,colour,größe\n1,red,2\n".encode("latin-1"))
    assert "latin.csv: 2 bytes are not UTF-8; the file" in succeed("predict", trained, "latin.csv").stderr


def test_neither_the_order_of_columns_nor_other_columns_matter(trained: str) -> None:
    whole = succeed("predict", trained, "table.csv").stdout
    frame = pd.read_csv("table.csv")
    frame.assign(extra="?")[["extra", "colour", "size"]].to_csv("other.csv", index=False, sep=";")
    assert succeed("predict", trained, "other.csv").stdout == whole


@pytest.mark.usefixtures("without_pictures")
def test_show_tells_the_architecture_the_columns_and_the_training() -> None:
    succeed("train", a_table(), "--target", "class", "--hidden", "4,3", "--epochs", 2, "--out", "run")
    output = succeed("show", "run/model.json").output
    for expected in (
        "hidden 1       4        4       Tanh          20",
        "hidden 2       4        3       Tanh          15",
        "output       3        2     Linear           8",
        "43 parameters",
        "takes colour: one of blue, green, red",
        "takes size: a number, about ",
        "predicts class: one of a, b",
        "trained on 24 rows of table: 4 steps",
        "optimizer adamw; lr 0.01; schedule cosine",
        "on held-out rows: accuracy ",
    ):
        assert expected in output
    succeed("train", "table.csv", "--target", "size", *QUICK, "--out", "numbers")
    assert "predicts size: a number, about " in succeed("show", "numbers/model.json").output


@pytest.mark.usefixtures("without_pictures")
def test_names_and_categories_of_several_lines_are_shown_in_one() -> None:
    written({"a\nb": [f"x\ny {i % 2}" for i in range(30)], "z\n": [f"c\nd {i % 2}" for i in range(30)]})
    succeed("train", "table.csv", "--target", "z", *LEARNED, "--out", "run")
    lines = succeed("show", "run/model.json").output.splitlines()
    assert "takes a b: one of x y 0, x y 1" in lines
    assert "predicts z: one of c d 0, c d 1" in lines


def test_the_command_in_the_report_predicts_and_leaves_the_files_of_the_run_alone(trained: str) -> None:
    before = contents(Path("run"))
    report = Path("run/report.html").read_text(encoding="utf-8")
    predicting, showing = report.split("<pre><code>")[1].split("</code>")[0].splitlines()
    os.chdir("run")
    for line in (predicting.replace("TABLE.csv", "../table.csv"), showing):
        succeed(*shlex.split(line)[1:])
    after = contents(Path())
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"new_predictions.csv"}


def test_predictions_replace_earlier_ones(trained: str) -> None:
    shutil.copy(trained, "model.json")
    for out in ("predictions.csv", "run/mine.csv"):
        Path(out).write_text("earlier")
        assert succeed("predict", "model.json", "table.csv", "--out", out).stdout == f"30 predictions: {Path(out)}\n"
        assert len(pd.read_csv(out)) == 30


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_predictions_go_where_a_link_points(trained: str) -> None:
    Path("link.csv").symlink_to("real.csv")
    succeed("predict", trained, "table.csv", "--out", "link.csv")
    assert Path("link.csv").is_symlink()
    assert len(pd.read_csv("real.csv")) == 30


# --- errors in the input ----------------------------------------------------------------------------------------------


def fails(words: list[object], *messages: str) -> None:
    before = set(os.listdir())
    result = microgrud_cli(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    for message in messages:
        assert message in result.stderr
    assert set(os.listdir()) == before


BAD_TABLES: dict[str, tuple[dict[str, Any], str]] = {
    "missing cells": ({"size": [None, *range(29)]}, "column 'size', row 1 (line 2): the cell is missing; fill it in"),
    "infinite": ({"size": [*range(29), "inf"]}, "column 'size', row 30 (line 31): expected a finite number, got 'inf'"),
    "mixed": (
        {"size": [*range(29), "x"]},
        "column 'size', row 30 (line 31): expected a number, as in other rows, got 'x'",
    ),
    "constant": ({"size": [3] * 30}, "column 'size' is constant: every row is '3'"),
    "names": ({"colour": [f"name {i}" for i in range(30)]}, "column 'colour' has 30 different texts in 30 rows"),
    "one class": ({"class": ["a"] * 30}, "column 'class' has one class only ('a')"),
    "rare class": ({"class": ["a"] * 29 + ["b"]}, "column 'class', row 30 (line 31): 'b' is the only row of its class"),
    "many classes": ({"class": [f"c{i // 2}" for i in range(30)]}, "--test-size: 0.2 of 30 rows leaves 24 to train on"),
}


@pytest.mark.parametrize("what", BAD_TABLES)
def test_a_table_that_cannot_be_learned_from_is_one_line(what: str) -> None:
    columns, message = BAD_TABLES[what]
    fails(["train", a_table(**columns), "--target", "class"], message)


BAD_FILES: dict[str, tuple[str, str]] = {
    "empty": ("", "the file is empty"),
    "header only": ("size,class\n", "has a header and no rows"),
    "few rows": ("size,class\n1,a\n2,b\n", "has 2 rows, fewer than 10"),
    "a long row": ("size,class\n1,a,2\n2,b\n", "line 2 has 3 cells and the header 2"),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_file_that_is_no_table_is_one_line(what: str) -> None:
    text, message = BAD_FILES[what]
    Path("table.csv").write_text(text)
    fails(["train", "table.csv", "--target", "class"], message)


def test_a_table_that_is_not_there_is_one_line() -> None:
    fails(["train", "nothing.csv", "--target", "y"], "nothing.csv: there is no such file")
    fails(["train", ".", "--target", "y"], "is a directory")


BAD_OPTIONS = {
    "--target clas": "there is no column 'clas'; did you mean 'class'?",
    "--target zzz": "there is no column 'zzz'; choose one of 'size', 'colour', 'class'",
    "--hidden 16,x": "--hidden: expected whole numbers such as 16,8, or none for no hidden layer, got '16,x'",
    "--hidden 16,-1": "--hidden: expected sizes of at least 1, such as 16,8, or none, got 16,-1",
    "--hidden 5000,5000": "--hidden: a network of",
    "--activation sigmiod": "--activation: there is no 'sigmiod'; did you mean 'sigmoid'?",
    "--activation tahn": "--activation: there is no 'tahn'; did you mean 'tanh'?",
    "--optimizer newton": "--optimizer: there is no 'newton'; choose one of 'sgd'",
    "--schedule cosin": "--schedule: there is no 'cosin'; did you mean 'cosine'?",
    "--task regresion": "--task: there is no 'regresion'; did you mean 'regression'?",
    "--task regression": "column 'class' holds text such as 'a': a regression's target is a number",
    "--lr -1": "--lr: expected a number above 0, got -1.0",
    "--lr 0,1": "--lr: expected a number such as 0.01, got '0,1'",
    "--lr nan": "--lr: expected a number above 0, got nan",
    "--weight-decay -0.1": "--weight-decay: expected a number of at least 0, got -0.1",
    "--epochs 0": "--epochs: expected at least 1, got 0",
    "--epochs many": "--epochs: expected a whole number such as 16, got 'many'",
    "--epochs 1.5": "--epochs: expected a whole number such as 16, got '1.5'",
    "--batch-size x": "--batch-size: expected a whole number such as 16, got 'x'",
    "--weight-decay x": "--weight-decay: expected a number such as 0.01, got 'x'",
    "--test-size 20%": "--test-size: expected a number such as 0.01, got '20%'",
    "--seed x": "--seed: expected a whole number such as 16, got 'x'",
    "--batch-size 0": "--batch-size: expected at least 1, got 0",
    "--test-size 2": "--test-size: expected a share between 0 and 1, such as 0.2, got 2.0",
    "--test-size 0.01": "--test-size: 0.01 of 30 rows leaves 29 to train on and 1 held out",
    "--seed -1": "--seed: expected a whole number from 0",
    "--ignore class": "--ignore: 'class' is the target",
    "--ignore colr": "there is no column 'colr'; did you mean 'colour'?",
    "--categorical colr": "there is no column 'colr'; did you mean 'colour'?",
    "--ignore size --ignore colour": "there is no column besides the target 'class'",
    "--delimiter ab": "--delimiter: expected one character, or tab, got 'ab'",
    "--out table.csv": "--out: table.csv already exists; choose another folder, or delete this one",
    "--out table.csv/run": "--out: table.csv is not a writable folder",
    "--colour blue": "--colour",
    "--lr 1e300": "choose a rate below 1e+300",
}


@pytest.mark.parametrize("options", BAD_OPTIONS)
def test_a_bad_option_is_one_line(options: str) -> None:
    fails(["train", a_table(), "--target", "class", *options.split()], BAD_OPTIONS[options])


DIVERGING = {
    "--lr 1e200 --optimizer sgd": "at epoch 1, batch 2 of 2 (the loss is ",
    "--weight-decay 1e200": "at epoch 1, batch 2 of 2 (",
    "--lr 1e80 --batch-size 99 --epochs 1 --activation relu": "(the squares of its errors on held-out rows are not",
    "--lr 1e200 --batch-size 99 --epochs 1 --activation relu": "(its answers to held-out rows are not finite numbers)",
}


@pytest.mark.parametrize("options", DIVERGING)
def test_training_that_diverges_is_one_line_in_the_terms_of_the_command_line(options: str) -> None:
    words = ["train", a_table(), "--target", "size", "--schedule", "constant", *QUICK, *options.split()]
    fails(
        words, "error: --lr: training diverged ", DIVERGING[options], ", and nothing was written; choose a rate below"
    )
    decay = ", or a --weight-decay below 1e+200\n" in microgrud_cli(*words).stderr
    assert decay == ("--weight-decay" in options)


def test_iris_lacks_the_columns_of_a_table_that_was_not_given() -> None:
    message = (
        "error: TABLE: no file was given, and the default table, iris, has no column 'price'; choose one of 'sepal"
    )
    fails(["train", "--target", "price"], message, "or give a file, as in microgrud train TABLE.csv --target 'price'")


def test_the_target_is_an_option() -> None:
    fails(["train", a_table(), "class"], "error: TABLE: expected one file, got 'class' too", "--target 'class'\n")


def test_a_table_needs_a_target() -> None:
    fails(["train", a_table()], "--target: say which column of table.csv to predict")


@pytest.mark.usefixtures("without_pictures")
def test_a_folder_with_something_in_it_is_not_written_to() -> None:
    Path("run").mkdir()
    succeed("train", a_table(), "--target", "class", *QUICK, "--out", "run")
    before = contents(Path("run"))
    fails(["train", "table.csv", "--target", "class", *QUICK, "--out", "run"], "--out: run already exists")
    assert contents(Path("run")) == before


def test_the_folder_one_is_in_is_not_replaced() -> None:
    table = a_table().resolve()
    Path("here").mkdir()
    os.chdir("here")
    for out in (".", "../here"):
        fails(["train", table, "--target", "class", "--out", out], f"--out: {Path(out)} is the current folder")


@pytest.mark.usefixtures("without_pictures")
def test_nothing_is_left_behind_when_the_report_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*args: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("microgrud.cli.runfolder.report_page", no_room)
    message = "error: --out: run cannot be written (No space left on device); choose another place\n"
    fails(["train", a_table(), "--target", "class", *LEARNED, "--out", "run"], message)


BAD_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "columns missing": (
        {"other": [1]},
        "the model needs the columns 'size', 'colour', which the table lacks; add them",
    ),
    "unseen category": (
        {"size": [1, 2], "colour": ["red", "pink"]},
        "column 'colour', row 2 (line 3): expected a category that the model has seen, got 'pink'",
    ),
    "text for a number": (
        {"size": ["big"], "colour": ["red"]},
        "column 'size', row 1 (line 2): expected a number, got 'big'",
    ),
    "text for a number, and an unseen category": (
        {"size": ["big", 2], "colour": ["red", "pink"]},
        "column 'colour', row 2 (line 3): expected a category that the model has seen, got 'pink'",
    ),
    "missing cells": ({"size": [1, None], "colour": ["red"] * 2}, "column 'size', row 2 (line 3): the cell is missing"),
}


@pytest.mark.parametrize("what", BAD_ROWS)
def test_a_table_that_cannot_be_predicted_is_one_line(trained: str, what: str) -> None:
    columns, message = BAD_ROWS[what]
    table = written(columns, "rows.csv")
    Path("old.csv").write_text("old")
    fails(["predict", trained, table], message)
    fails(["predict", trained, table, "--out", "old.csv"], message)
    assert Path("old.csv").read_text() == "old"


def test_predictions_replace_neither_their_inputs_nor_the_files_of_a_run(trained: str) -> None:
    shutil.copy(trained, "model.json")
    before, files = contents(Path("run")), (Path("model.json").read_bytes(), Path("table.csv").read_bytes())
    assert set(before) == RUN_FILES | {"confusion.svg"}
    for name in before:
        message = f"--out: {Path('run', name)} belongs to the run in its folder and would be overwritten"
        fails(["predict", "model.json", "table.csv", "--out", f"run/{name}"], message)
    for name in ("table.csv", "model.json", "run/../table.csv"):
        message = f"--out: {Path(name)} is an input of this prediction and would be overwritten; choose another name"
        fails(["predict", "model.json", "table.csv", "--out", name], message)
    assert contents(Path("run")) == before
    assert (Path("model.json").read_bytes(), Path("table.csv").read_bytes()) == files


def test_earlier_predictions_stay_where_new_ones_cannot_be_written(
    trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*args: object) -> None:
        raise OSError(28, "No space left on device")

    written({"size": [1.0], "colour": ["red"]}, "rows.csv")
    Path("old.csv").write_text("old")
    monkeypatch.setattr("os.replace", no_room)
    message = "error: --out: old.csv cannot be written (No space left on device); choose another place\n"
    fails(["predict", trained, "rows.csv", "--out", "old.csv"], message)
    assert Path("old.csv").read_text() == "old"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such files there")
def test_only_files_are_replaced(trained: str) -> None:
    os.mkfifo("pipe")
    fails(["predict", trained, "table.csv", "--out", "pipe"], "--out: pipe cannot be written: expected a file")
    assert not Path("pipe").is_file()


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize("activation", ["tanh", "square", "sinh"])
def test_a_number_too_large_for_the_network_is_one_line(activation: str) -> None:
    table = a_table(size=[0.001 * i for i in range(30)])
    options = [*QUICK, "--lr", "1e-3", "--activation", activation]
    succeed("train", table, "--target", "class", *options, "--out", "run")
    # The first overflows while it is standardised, the second in the network, except for one that saturates.
    numbers = ["1.7e308"] if activation == "tanh" else ["1.7e308", "1e300"]
    for number in numbers:
        rows = written({"size": ["0.5", number], "colour": ["red"] * 2}, "rows.csv")
        wrong = (
            "expected a number closer to those of the training rows (mean" if number == "1.7e308" else "with '1e300' "
        )
        fails(["predict", "run/model.json", rows], f"column 'size', row 2 (line 3): {wrong}", "correct")


@pytest.mark.usefixtures("without_pictures")
def test_a_narrow_stdout_is_no_place_for_predictions(trained: str) -> None:
    written({"size": range(30), "class": ["é", "o"] * 15})
    succeed("train", "table.csv", "--target", "class", *QUICK, "--out", "accents")
    result = CliRunner(charset="ascii").invoke(commands.app, ["predict", "accents/model.json", "table.csv"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith("error: --out: stdout is in ascii, which has no '\\xe9'; give a file to write\n")


def test_a_place_that_cannot_be_written_to_is_one_line(trained: str) -> None:
    fails(["predict", trained, "table.csv", "--out", "run"], "--out: run cannot be written")
    fails(["predict", trained, "table.csv", "--out", "no/such.csv"], "--out: no/such.csv cannot be written")


def test_a_model_file_that_cannot_be_used_is_one_line(trained: str) -> None:
    Path("damaged.json").write_text(Path(trained).read_text().replace("0.", "1.", 1))
    save_model("other.json", MLP(2, [1], rng=0))
    Path("empty.json").touch()
    for command in (["show"], ["predict"]):
        rest = ["table.csv"] if command == ["predict"] else []
        fails([*command, "damaged.json", *rest], "damaged.json")
        fails([*command, "empty.json", *rest], "empty.json")
        message = (
            "error: table.csv: is not a model file; expected the model.json of a run, which comes before the table\n"
        )
        fails([*command, "table.csv", *rest], message)
        for path in ("nothing.json", "table.csv/model.json"):
            message = f"error: {Path(path)}: there is no such file; give the path of a model.json\n"
            fails([*command, path, *rest], message)
        fails([*command, "other.json", *rest], "other.json: holds a network without a table's preprocessing")
        fails([*command, "run", *rest], "error: run: is a directory; give the model.json in it\n")


def test_a_model_file_that_may_not_be_read_is_one_line(trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("microgrud.cli.predicting.load_model", forbidden)
    message = f"error: {Path(trained)}: cannot be read (Permission denied); check the path and its permissions\n"
    fails(["show", trained], message)


# --- the entry point --------------------------------------------------------------------------------------------------


def test_the_version_is_that_of_the_package() -> None:
    assert succeed("--version").output == f"microgrud {microgrud.__version__}\n"


def test_help_names_the_commands_and_a_wrong_one_is_one_line() -> None:
    output = succeed("--help").output
    assert all(command in output for command in ("train", "predict", "show"))
    training = succeed("train", "--help").output
    assert "none for a linear model" in " ".join(training.split())
    assert "[default: 60, or what suits the table]" in " ".join(training.split())
    assert training.index("--seed") < training.index("--out") < training.index("--ignore")
    assert succeed().output == output
    assert "/ rows" not in training  # the default weight decay depends on the optimizer
    fails(["trian"], "trian")


def run_as_module(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(microgrud.__file__).parents[1])}
    command = [sys.executable, "-m", "microgrud", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.slow("6 s: a report at its full resolution")
def test_it_trains_in_another_process() -> None:
    a_table()
    trained = run_as_module("train", "table.csv", "--target", "class", *LEARNED)
    assert (trained.returncode, trained.stderr) == (0, "")
    assert f"Report: {Path('runs/table-1/report.html')}\n" in trained.stdout


def test_it_runs_as_a_module_in_another_process() -> None:
    a_table()
    failed = run_as_module("train", "table.csv", "--target", "clas")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr == "error: table: there is no column 'clas'; did you mean 'class'?\n"


def test_main_runs_the_words_of_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["microgrud", "--version"])
    for start in (cli.main, lambda: runpy.run_module("microgrud", run_name="__main__")):
        with pytest.raises(SystemExit) as exit:
            start()
        assert exit.value.code == 0
        assert capsys.readouterr().out == f"microgrud {microgrud.__version__}\n"


def test_a_narrow_stdout_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    stdout = io.TextIOWrapper(written, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(commands, "app", lambda **options: print("R²"))
    cli.main()
    stdout.flush()
    assert written.getvalue().split() == [b"R\\xb2"]


def test_a_missing_extra_is_one_line_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in ("typer", "sklearn") else object())
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert exit.value.code == 2
    expected = "error: the command line needs typer, scikit-learn; run: pip install 'microgrud[train]'\n"
    assert capsys.readouterr().err == expected


def test_ctrl_c_while_the_command_line_loads_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(**options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "app", interrupted)
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert exit.value.code == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_ctrl_c_outside_training_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    table = a_table()
    monkeypatch.setattr(commands, "read_table", interrupted)
    result = microgrud_cli("train", table, "--target", "class")
    assert result.exit_code == 130
    assert os.listdir() == ["table.csv"]


def test_a_mistake_in_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*args: object, **options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(commands, "read_table", mistaken)
    assert isinstance(microgrud_cli("train", "x", "--target", "y").exception, ZeroDivisionError)


def test_a_table_is_named_after_its_file() -> None:
    assert read_table(a_table()).name == "table"
