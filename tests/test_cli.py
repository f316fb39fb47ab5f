"""The command line, from a table to a report and to predictions; and one line for whatever is wrong with the input."""

from __future__ import annotations

import csv
import json
import os
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
from microgrud.cli import commands, pipeline
from microgrud.cli.predicting import Predictor
from microgrud.cli.tables import read_table
from microgrud.nn import MLP, load_model, save_model
from microgrud.train import fit

QUICK = ["--hidden", "4", "--epochs", "2"]
LEARNED = [*QUICK, "--epochs", "20", "--lr", "0.05"]
RUN_FILES = {"model.json", "history.csv", "predictions.csv", "loss.svg", "report.html"}


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
    """`table.csv` with a number, a colour and a class that follows from it in 30 rows, and `columns` on top."""
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
    """Leave out what takes most of the time of a short run, in tests of the model and its predictions."""
    blank = (b"<svg/>", b"<svg/>")
    monkeypatch.setattr("microgrud.cli.runfolder.draw_pictures", lambda run: {"loss": blank, "result": blank})


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)
        succeed("train", a_table(), "--target", "class", *QUICK, "--out", "run")
    return folder


@pytest.fixture
def trained(run_folder: Path) -> str:
    """A model file and, beside its folder, the table that it was trained on."""
    shutil.copytree(run_folder, "run")
    a_table()
    return "run/model.json"


# --- train ------------------------------------------------------------------------------------------------------------


def test_without_a_table_it_learns_iris_and_says_where_the_report_is() -> None:
    result = succeed("train", "--epochs", "12", "--lr", "0.05", "--hidden", "8")
    assert result.output.rstrip().endswith("Report: " + str(Path("runs/iris-1/report.html")))
    assert "iris: predicting species (classification, 3 classes), from 4 inputs" in result.output
    assert {path.name for path in Path("runs/iris-1").iterdir()} == RUN_FILES | {"confusion.svg"}
    scores = json.loads(Path("runs/iris-1/model.json").read_text())["extra"]["scores"]
    assert scores["accuracy"] >= 0.93


@pytest.mark.usefixtures("without_pictures")
def test_each_run_gets_a_folder_of_its_own() -> None:
    for number in (1, 2):
        result = succeed("train", a_table(), "--target", "class", *QUICK)
        assert str(Path(f"runs/table-{number}/report.html")) in result.output


def test_the_same_seed_gives_the_same_model_file_to_the_byte(run_folder: Path) -> None:
    table = a_table()
    for out, seed in (("two", 0), ("other", 8)):
        succeed("train", table, "--target", "class", *QUICK, "--seed", seed, "--out", out)
    one, two, other = contents(run_folder), contents(Path("two")), contents(Path("other"))
    assert one["model.json"] == two["model.json"] != other["model.json"]
    for name in RUN_FILES - {"report.html"}:  # which tells how long it took
        assert one[name] == two[name]


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
    settings = predictor.details["settings"]
    assert {name: settings[name] for name in ("optimizer", "batch_size", "test_size", "seed")} == {
        "optimizer": "adam", "batch_size": 8, "test_size": 0.5, "seed": 3,
    }  # fmt: skip


@pytest.mark.parametrize("optimizer", pipeline.OPTIMIZERS)
def test_every_optimizer_trains(optimizer: str) -> None:
    settings = pipeline.Settings("class", optimizer=optimizer, hidden=(4,), epochs=5)
    run = pipeline.train_on_table(read_table(a_table()), settings, progress=False)
    assert run.history.epochs[-1].loss < run.history.epochs[0].loss


@pytest.mark.parametrize("schedule", pipeline.SCHEDULES)
def test_every_schedule_trains(schedule: str) -> None:
    settings = pipeline.Settings("class", schedule=schedule, hidden=(4,), epochs=2)
    run = pipeline.train_on_table(read_table(a_table()), settings, progress=False)
    changes = schedule not in ("constant", "plateau")
    assert (len(set(run.history.learning_rate)) > 1) == changes


@pytest.mark.usefixtures("without_pictures")
def test_no_hidden_layer_makes_a_linear_model() -> None:
    succeed("train", a_table(), "--target", "size", "--hidden", "", "--epochs", 1, "--out", "run")
    assert [layer[0] for layer in Predictor.load("run/model.json").layers()] == ["output"]


@pytest.mark.usefixtures("without_pictures")
def test_a_number_as_target_is_a_regression_and_the_task_can_be_forced() -> None:
    table = a_table(grade=[1, 2, 3] * 10)
    assert "(regression, a number)" in succeed("train", table, "--target", "size", *QUICK).output
    assert "(classification, 3 classes)" in succeed("train", table, "--target", "grade", *QUICK).output
    forced = succeed("train", table, "--target", "grade", *QUICK, "--task", "regression", "--out", "forced")
    assert "(regression, a number)" in forced.output
    assert Path("forced/predictions.svg").exists()


@pytest.mark.usefixtures("without_pictures")
def test_rows_with_missing_cells_and_columns_can_be_left_out() -> None:
    table = a_table(size=[None, *range(29)], name=[f"name {i}" for i in range(30)])
    result = succeed("train", table, "--target", "class", *QUICK, "--drop-missing", "--ignore", "name", "--out", "run")
    assert "1 of 30 rows have missing cells and were left out" in result.output
    assert "1 of 30 rows have missing cells" in Path("run/report.html").read_text(encoding="utf-8")
    rows = pd.read_csv("run/predictions.csv")
    classes = pd.read_csv(table)["class"]
    assert 1 not in set(rows["row"])
    assert list(rows["true"]) == [classes[row - 1] for row in rows["row"]]


@pytest.mark.usefixtures("without_pictures")
def test_few_rows_get_more_epochs_and_many_get_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    succeed("train", a_table(), "--target", "class", "--hidden", "", "--out", "small")
    assert len(pd.read_csv("small/history.csv")) == pipeline.LEAST_STEPS
    monkeypatch.setattr(pipeline, "MOST_WORK", 1000)
    result = succeed("train", a_table(), "--target", "class", "--hidden", "2", "--out", "large")
    assert "The table is large: 2 epochs rather than 240; --epochs chooses another number." in result.output


@pytest.mark.usefixtures("without_pictures")
def test_an_interrupted_run_is_kept_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(event: Any) -> None:
        if event.kind == "step" and event.step == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(pipeline, "fit", lambda *args, **options: fit(*args, **options, callbacks=[interrupt]))
    result = microgrud_cli("train", a_table(), "--target", "class", "--epochs", 50, "--out", "run")
    assert result.exit_code == 130
    assert "Training was interrupted after 3 steps" in result.output
    assert "Training was interrupted after 3 steps" in Path("run/report.html").read_text(encoding="utf-8")
    assert len(pd.read_csv("run/history.csv")) == 3
    assert "3 steps, interrupted" in succeed("show", "run/model.json").output
    succeed("predict", "run/model.json", "table.csv")


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
    pd.testing.assert_frame_equal(held_out.drop(columns=["row", "true"]), again, check_exact=True)
    assert Predictor.load("run/model.json").details["scores"][score] >= least
    if score == "accuracy":
        assert (held_out["true"] == held_out["predicted"]).mean() >= least
        probabilities = predicted.filter(like="probability ")
        assert np.allclose(probabilities.sum(axis=1), 1.0)
        assert list(predicted["predicted"]) == [c.removeprefix("probability ") for c in probabilities.idxmax(axis=1)]


def test_predictions_go_to_stdout_as_csv_and_notes_elsewhere(trained: str) -> None:
    result = succeed("predict", trained, "table.csv")
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert list(rows[0]) == ["predicted", "probability a", "probability b"]
    assert len(rows) == 30
    assert "columns that the model does not use: 'class'" in result.stderr


def test_a_guessed_encoding_is_noted(trained: str) -> None:
    Path("latin.csv").write_bytes("size,colour,größe\n1,red,2\n".encode("latin-1"))
    assert "latin.csv is not UTF-8" in succeed("predict", trained, "latin.csv").stderr


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


# --- what is wrong with the input -------------------------------------------------------------------------------------


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
    "infinite": ({"size": [*range(29), "inf"]}, "column 'size', row 30 (line 31): 'inf' is not a finite number"),
    "mixed": (
        {"size": [*range(29), "x"]},
        "column 'size', row 30 (line 31): 'x' is text where other rows hold numbers",
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
    "a name twice": ("class,class\n1,2\n", "columns 1 and 2 are both called 'class'"),
    "a long row": ("size,class\n1,a,2\n", "line 2 has 3 cells and the header 2"),
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
    "--hidden 16,x": "--hidden: expected whole numbers such as 16,16, got '16,x'",
    "--hidden 16,-1": "--hidden: expected sizes of at least 1, such as 16,16, got 16,-1",
    "--hidden 5000,5000": "--hidden: a network of",
    "--activation sigmiod": "--activation: there is no 'sigmiod'; did you mean 'sigmoid'?",
    "--optimizer newton": "--optimizer: there is no 'newton'; choose one of 'sgd'",
    "--schedule cosin": "--schedule: there is no 'cosin'; did you mean 'cosine'?",
    "--task regresion": "--task: there is no 'regresion'; did you mean 'regression'?",
    "--task regression": "column 'class' holds text such as 'a': a regression's target is a number",
    "--lr -1": "--lr: expected a number above 0, got -1.0",
    "--lr nan": "--lr: expected a number above 0, got nan",
    "--weight-decay -0.1": "--weight-decay: expected a number of at least 0, got -0.1",
    "--optimizer lbfgs --weight-decay 0.1": "--weight-decay: L-BFGS has none",
    "--epochs 0": "--epochs: expected at least 1, got 0",
    "--epochs many": "'--epochs'",
    "--batch-size 0": "--batch-size: expected at least 1, got 0",
    "--test-size 2": "--test-size: expected a share between 0 and 1, such as 0.2, got 2.0",
    "--test-size 0.01": "--test-size: 0.01 of 30 rows leaves 29 to train on and 1 held out",
    "--seed -1": "--seed: expected a whole number from 0",
    "--ignore class": "--ignore: 'class' is the target",
    "--ignore colr": "there is no column 'colr'; did you mean 'colour'?",
    "--categorical colr": "there is no column 'colr'; did you mean 'colour'?",
    "--ignore size --ignore colour": "there is no column beside the target 'class'",
    "--delimiter ab": "--delimiter: expected one character, or tab, got 'ab'",
    "--out table.csv": "--out: table.csv is there already; choose another folder, or delete this one",
    "--out table.csv/run": "--out: table.csv is not a folder that can be written to",
    "--colour blue": "--colour",
    "--lr 1e300": "diverged",
}


@pytest.mark.parametrize("options", BAD_OPTIONS)
def test_a_bad_option_is_one_line(options: str) -> None:
    fails(["train", a_table(), "--target", "class", *options.split()], BAD_OPTIONS[options])


def test_a_table_needs_a_target() -> None:
    fails(["train", a_table()], "--target: say which column of table.csv to predict")


@pytest.mark.usefixtures("without_pictures")
def test_a_folder_with_something_in_it_is_not_written_to() -> None:
    Path("run").mkdir()
    succeed("train", a_table(), "--target", "class", *QUICK, "--out", "run")
    before = contents(Path("run"))
    fails(["train", "table.csv", "--target", "class", *QUICK, "--out", "run"], "--out: run is there already")
    assert contents(Path("run")) == before


def test_nothing_is_left_behind_when_the_report_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*args: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("microgrud.cli.runfolder.report_page", no_room)
    fails(["train", a_table(), "--target", "class", *LEARNED, "--out", "run"], "No space left on device")


BAD_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "columns missing": (
        {"other": [1]},
        "the model needs the columns 'size', 'colour', which the table lacks; add them",
    ),
    "unseen category": (
        {"size": [1, 2], "colour": ["red", "pink"]},
        "column 'colour', row 2 (line 3): 'pink' is a category that the model has not seen",
    ),
    "text for a number": (
        {"size": ["big"], "colour": ["red"]},
        "column 'size', row 1 (line 2): expected a number, got 'big'",
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
        fails([*command, "table.csv", *rest], "table.csv")
        fails([*command, "nothing.json", *rest], "nothing.json")
        fails([*command, "other.json", *rest], "other.json: holds a network without a table's preprocessing")
        fails([*command, "run", *rest], "run")


# --- the way in -------------------------------------------------------------------------------------------------------


def test_the_version_is_that_of_the_package() -> None:
    assert succeed("--version").output == f"microgrud {microgrud.__version__}\n"


def test_help_names_the_commands_and_a_wrong_one_is_one_line() -> None:
    output = succeed("--help").output
    assert all(command in output for command in ("train", "predict", "show"))
    assert "--hidden" in succeed("train", "--help").output
    fails(["trian"], "trian")


def test_it_runs_as_a_module_in_a_process_of_its_own(tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(Path(microgrud.__file__).parents[1])}
        command = [sys.executable, "-m", "microgrud", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)

    a_table()
    trained = run("train", "table.csv", "--target", "class", *LEARNED)
    assert (trained.returncode, trained.stderr) == (0, "")
    assert f"Report: {Path('runs/table-1/report.html')}\n" in trained.stdout
    failed = run("train", "table.csv", "--target", "clas")
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
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    table = a_table()
    monkeypatch.setattr(commands, "read_table", interrupted)
    result = microgrud_cli("train", table, "--target", "class")
    assert result.exit_code == 130
    assert os.listdir() == ["table.csv"]


def test_a_mistake_in_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(commands, "read_table", mistaken)
    assert isinstance(microgrud_cli("train", "x", "--target", "y").exception, ZeroDivisionError)


def test_a_table_is_named_after_its_file() -> None:
    assert read_table(a_table()).name == "table"
