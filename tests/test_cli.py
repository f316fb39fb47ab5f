"""The command line: training on tables of all kinds, and one line for each error in the input."""

from __future__ import annotations

import html
import io
import json
import os
import random
import re
import runpy
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from typed import LEARNED, QUICK, a_table, contents, details, fails, microgrud_cli, succeed, written
from typer.testing import CliRunner

import microgrud
from microgrud import cli
from microgrud.cli import commands, pipeline, scores, settings
from microgrud.cli.predicting import Predictor, layers
from microgrud.cli.runfolder import new_run_folder
from microgrud.nn import ACTIVATIONS
from microgrud.tables import read_table

for name in ("graphviz", "matplotlib", "tqdm"):
    pytest.importorskip(name)
pytestmark = pytest.mark.usefixtures("coarse_reports", "in_an_empty_folder")

#: Numbers that do not count the rows.
UNEVEN = [(7 * i) % 30 / 2 for i in range(30)]
RESULTS = {"model.json", "history.csv", "predictions.csv", "importance.csv", "report.html"}


# --- train ------------------------------------------------------------------------------------------------------------


def test_without_a_table_it_learns_iris_and_says_where_the_report_is() -> None:
    result = succeed("train", "--epochs", "12", "--lr", "0.05", "--hidden", "8")
    assert result.stdout.rstrip().endswith("Report: " + str(Path("runs/iris-1/report.html")))
    assert "iris: predicting species (classification, 3 classes), from 4 columns" in result.output
    assert re.search(r"8 networks, \d+ steps of the first one, [\d.]+ s\n", result.stdout)
    files = {path.name for path in Path("runs/iris-1").iterdir()}
    assert files >= RESULTS | {"loss.svg", "confusion.svg", "regions.svg", "surface.svg", "flow.svg", "network.svg"}
    assert details("runs/iris-1")["scores"]["accuracy"] >= 0.9


def test_each_run_gets_a_new_folder() -> None:
    for number in (1, 2):
        result = succeed("train", a_table(), "--target", "class", *QUICK)
        assert str(Path(f"runs/table-{number}/report.html")) in result.output


def test_two_runs_at_once_get_two_folders() -> None:
    made: list[str] = []
    together = threading.Barrier(8)

    def claim() -> None:
        together.wait()
        with new_run_folder(None, "table") as folder:
            (folder / "model.json").touch()
            made.append(folder.name)

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [f"table-{number}" for number in range(1, 9)]


def test_the_same_seed_gives_the_same_files_to_the_byte_and_another_another_model() -> None:
    run = ["train", a_table(), "--target", "class", *QUICK, "--estimators", "2"]
    for folder, seed in (("one", 0), ("two", 0), ("other", 8)):
        succeed(*run, "--seed", seed, "--out", folder)
    assert contents("one") == contents("two")
    assert contents("one")["model.json"] != contents("other")["model.json"]


def test_the_command_in_the_report_gives_the_same_model() -> None:
    written({"x y": [0.25 * i for i in range(30)], "code": [1, 2, 3] * 10, "z": [None, *range(29)], "y": range(30)})
    run = ["train", "table.csv", "--target", "y", "--categorical", "code", "--drop-missing", "--hidden", "3,2"]
    succeed(*run, "--epochs", 3, "--out", "one", "--optimizer", "sgd", "--no-pictures", "--lr", "0.01")
    report = Path("one/report.html").read_text(encoding="utf-8")
    found = re.search(r"^(?:<pre><code>)?microgrud (train .*?)(?:</code>|$)", report, re.MULTILINE)
    assert found
    succeed(*shlex.split(html.unescape(found[1])), "--out", "two", "--no-pictures")
    networks = [json.loads(Path(folder, "model.json").read_text())["network"]["networks"] for folder in ("one", "two")]
    assert networks[0] == networks[1]


def test_quiet_prints_where_the_report_is_and_nothing_else() -> None:
    result = succeed("train", a_table(), "--target", "class", *LEARNED, "--quiet", "--out", "new/folder")
    assert result.stdout == f"Report: {Path('new/folder/report.html')}\n"


def test_json_is_the_only_output_and_holds_scores_settings_and_importance() -> None:
    result = succeed("train", a_table(), "--target", "class", *QUICK, "--json", "--out", "run")
    document = json.loads(result.stdout)
    assert document["folder"] == "run"
    assert (document["target"], document["task"], document["classes"]) == ("class", "classification", ["a", "b"])
    assert document["scores"] == details()["scores"]
    assert {row["column"] for row in document["importance"]} == {"size", "colour"}
    assert document["settings"]["hidden"] == [4]
    assert json.loads(succeed("show", "run", "--json").stdout).items() <= document.items()


def test_the_network_and_its_training_are_what_the_options_say() -> None:
    options = "--hidden 5,3 --activation relu --optimizer adam --lr 0.02 --schedule constant --epochs 3 --batch-size 8"
    options += " --estimators 2 --weight-decay 0.25 --test-size 0.5 --seed 3 --no-pictures --out run"
    succeed("train", a_table(), "--target", "class", *options.split())
    predictor = Predictor.load("run")
    networks = predictor.pipeline["network"].networks_
    assert len(networks) == 2
    inputs = predictor.pipeline["network"].encoding_.size
    assert [layer[1:4] for layer in layers(networks[1])] == [(inputs, 5, "ReLU"), (5, 3, "ReLU"), (3, 2, "Linear")]
    history = pd.read_csv("run/history.csv")
    assert (history["learning_rate"] == 0.02).all()
    assert len(pd.read_csv("run/predictions.csv")) == 15
    stored = predictor.details["settings"]
    assert {name: stored[name] for name in ("optimizer", "batch_size", "estimators", "weight_decay", "epochs")} == {
        "optimizer": "adam", "batch_size": 8, "estimators": 2, "weight_decay": 0.25, "epochs": 3,
    }  # fmt: skip


@pytest.mark.parametrize("hidden", ["none", "0", ""])
def test_no_hidden_layer_makes_a_linear_model(hidden: str) -> None:
    succeed("train", a_table(), "--target", "size", *QUICK, "--hidden", hidden, "--out", "run")
    assert [layer[0] for layer in layers(Predictor.load("run").pipeline["network"].networks_[0])] == ["output"]
    assert "behind a linear model" not in succeed("show", "run").output


def test_whole_numbers_that_are_taken_as_classes_are_noted_and_can_be_a_quantity() -> None:
    table = a_table(rooms=[1, 2, 6] * 10, flag=[0, 1] * 15)
    result = succeed("train", table, "--target", "rooms", *QUICK, "--out", "run")
    note = "3 different whole numbers in 'rooms' were taken as classes"
    assert note in result.stderr
    assert note in Path("run/report.html").read_text(encoding="utf-8").replace("&#x27;", "'")
    assert note in succeed("show", "run").stdout
    for options in (["rooms", "--task", "classification"], ["rooms", "--categorical", "rooms"], ["flag"], ["class"]):
        assert "were taken as classes" not in succeed("train", table, "--target", *options, *QUICK).stderr
    forced = succeed("train", table, "--target", "rooms", *QUICK, "--task", "regression", "--out", "forced")
    assert "(regression, a number)" in forced.stdout
    assert pd.read_csv("forced/predictions.csv").columns.tolist() == ["row", "true", "predicted"]


def test_columns_can_be_ignored_kept_and_rows_with_missing_cells_left_out() -> None:
    table = a_table(size=[None, *UNEVEN[1:]], name=[f"name {i}" for i in range(30)])
    options = ["--drop-missing", "--ignore", "colour", "--keep", "name", "--out", "run"]
    result = succeed("train", table, "--target", "class", *QUICK, *options)
    assert "1 of 30 rows have missing cells and were left out" in result.stderr
    assert "column colour: left out, as asked" in succeed("show", "run").stdout
    assert "colour" not in {entry["column"] for entry in details()["importance"]}
    rows, cells = pd.read_csv("run/predictions.csv"), pd.read_csv(table)
    assert 1 not in set(rows["row"])
    for column, kept in (("class", "true"), ("name", "name")):
        assert list(rows[kept]) == [cells[column][row - 1] for row in rows["row"]]


def test_missing_cells_are_filled_and_rows_without_a_target_left_out() -> None:
    table = a_table(
        size=[None, *UNEVEN[1:]], colour=["red", None, "blue"] * 10, **{"class": [None, *["a", "b"] * 14, "a"]}
    )
    result = succeed("train", table, "--target", "class", *QUICK, "--out", "run")
    assert "column 'class': 1 row without a target" in result.stderr
    assert "missing cells of 1 column are filled" in result.stderr
    assert len(pd.read_csv("run/predictions.csv")) + details()["trained"]["rows"] == 29
    assert len(pd.read_csv(io.StringIO(succeed("predict", "run", table).stdout))) == 30


def test_few_held_out_rows_are_noted() -> None:
    words = ["--target", "class", *QUICK, "--out"]
    note = "Only 6 rows are held out, whose scores say little: --cv 5 scores every row."
    assert f"note: {note}\n" in succeed("train", a_table(), *words, "few").stderr
    assert note in details("few")["notes"]
    assert "rows are held out" not in succeed("train", a_table(), *words, "folds", "--cv", 5).stderr
    assert "rows are held out" not in succeed("train", a_table(), *words, "enough", "--test-size", 0.65).stderr


def test_a_network_that_is_worse_than_the_baseline_says_so_everywhere() -> None:
    noise = random.Random(1)
    table = a_table(noise=[noise.gauss(0.0, 1.0) for _ in range(30)])
    result = succeed("train", table, "--target", "noise", *QUICK, "--out", "run")
    behind = "worse than always answering the mean (R² -"
    assert behind in result.stderr
    assert behind in Path("run/report.html").read_text(encoding="utf-8")
    assert behind in succeed("show", "run").output


def test_rows_of_one_class_are_not_enough_to_train_on() -> None:
    table = a_table(**{"class": ["a"] * 29 + ["b"]})
    succeed("train", table, "--target", "class", *QUICK)
    result = microgrud_cli("train", table, "--target", "class", *QUICK, "--cv", 3, "--out", "run")
    assert (result.exit_code, Path("run").exists()) == (2, False)
    assert "error: --cv: some rows to train on are all of the class 'a'; leave it out, or add rows of others\n" in (
        result.stderr
    )


@pytest.mark.parametrize("rare", ["b", "c"])
def test_a_class_of_few_rows_is_learned(rare: str) -> None:
    table = a_table(**{"class": ["a", "a", rare, *["a"] * 20, "b", *["a"] * 6]})
    succeed("train", table, "--target", "class", *QUICK, "--out", "run")
    assert {entry["class"] for entry in details()["scores"]["per_class"]} == {"a", "b", rare}


def test_the_scores_of_a_linear_model_and_the_baseline_are_shown_with_their_spread() -> None:
    result = succeed("train", a_table(), "--target", "size", *QUICK, "--out", "run")
    run = details()["scores"]
    shown = {line.split("  ")[0].strip(): line for line in result.stdout.splitlines()}
    for key in ("r2", "rmse", "mae"):
        cells = [scores.with_spread(one, key) for one in (run, run["linear"], run["baseline"])]
        assert re.split(r" {2,}", shown[scores.LABELS[key][0]]) == [scores.LABELS[key][0], *cells]
    assert "± is the standard deviation over 200 resamples of the held-out rows" in result.stdout


# --- scores -----------------------------------------------------------------------------------------------------------

TARGETS = {
    "two classes": ("class", {"class": ["a", "b"] * 15}),
    "many classes": ("class", {"class": ["a", "b", "c", "d", "e"] * 6}),
    "a number": ("size", {}),
}


@pytest.mark.parametrize("what", TARGETS)
def test_with_folds_each_row_is_predicted_once_and_the_model_is_trained_on_all(what: str) -> None:
    target, columns = TARGETS[what]
    options = ["--cv", "2", "--repeats", "2", "--out", "run"]
    result = succeed("train", a_table(**columns), "--target", target, *QUICK, *options)
    rows = pd.read_csv("run/predictions.csv")
    assert list(rows["row"]) == list(range(1, 31))
    found = details()
    assert found["trained"]["rows"] == 30
    assert found["scores"]["method"] == {"kind": "folds", "folds": 2, "repeats": 2, "networks": 4}
    assert max(found["scores"]["spread"].values()) > 0
    assert "± is the standard deviation over 4 networks (2 folds, 2 times)" in result.stdout
    succeed("show", "run")


def test_scores_of_folds_are_means_over_networks_that_have_not_seen_the_rows() -> None:
    succeed("train", a_table(), "--target", "class", *LEARNED, "--cv", "3", "--out", "run")
    rows = pd.read_csv("run/predictions.csv")
    right = (rows["true"] == rows["predicted"]).mean()  # of folds of the same size
    assert details()["scores"]["accuracy"] == pytest.approx(right)
    again = pd.read_csv(io.StringIO(succeed("predict", "run", "table.csv").stdout))
    assert not np.allclose(rows["probability a"], again["probability a"])


def test_two_classes_get_thresholds_that_predict_takes() -> None:
    table = a_table(**{"class": ["a", "b", "b"] * 10})
    result = succeed("train", table, "--target", "class", *LEARNED, "--out", "run")
    found = details()["scores"]["threshold"]
    assert found["class"] == "b"
    assert f"thresholds for b, chosen on {found['chosen_on']}" in result.stdout
    for name, level in (("f1", found["f1"]), ("0.9", 0.9)):
        rows = pd.read_csv(io.StringIO(succeed("predict", "run", table, "--threshold", name).stdout))
        assert list(rows["predicted"]) == ["b" if p >= level else "a" for p in rows["probability b"]]
    fails(
        ["predict", "run", table, "--threshold", "2"], "--threshold: expected a probability from 0 to 1, f1 or youden"
    )


@pytest.mark.parametrize("bent", [False, True])  # a linear truth is left to linear models, which have no temperature
def test_calibration_is_measured_before_and_after_the_temperature(bent: bool) -> None:
    numbers = [7 * i % 101 for i in range(300)]
    classes = ["ab"[x % 50 > 25 if bent else x > 50] for x in numbers]
    options = ["--estimators", 2, "--epochs", 10, "--lr", 0.05 if bent else 0.0001, "--out", "run"]
    result = succeed("train", written({"x": numbers, "class": classes}), "--target", "class", *QUICK, *options)
    found = details()["scores"]["calibration"]
    assert sum(group["rows"] for group in found["before"]) == sum(group["rows"] for group in found["after"]) == 60
    assert found["temperatures"] != [1.0]
    assert (found["before"] != found["after"]) == ("% before the temperature " in result.stdout) == bent


def test_the_column_that_decides_is_the_most_important_one() -> None:
    rng = np.random.default_rng(0)
    columns = {"noise": rng.normal(size=300), "size": rng.normal(size=300), "kind": rng.choice(["x", "y"], 300)}
    columns["price"] = columns["size"] * 3 + rng.normal(size=300) / 10
    result = succeed("train", written(columns), "--target", "price", *QUICK, "--epochs", "20", "--out", "run")
    importance = pd.read_csv("run/importance.csv")
    assert importance["column"][0] == "size"
    assert importance["importance"][0] > 10 * importance["importance"][1:].abs().max()
    assert "columns that matter (fall of R² when the column is shuffled)\nsize " in result.stdout


# --- tables of all kinds ----------------------------------------------------------------------------------------------


def test_stdin_and_several_files_are_tables() -> None:
    whole = a_table().read_bytes()
    succeed("train", "-", "--target", "class", *QUICK, stdin=whole)
    assert Path("runs/stdin-1/model.json").exists()
    lines = whole.splitlines(keepends=True)
    Path("a.csv").write_bytes(b"".join(lines[:16]))
    Path("b.csv").write_bytes(lines[0] + b"".join(lines[16:]))
    succeed("train", "a.csv", "b.csv", "--target", "class", *QUICK, "--out", "both")
    succeed("train", "a.csv", "-", "--target", "class", *QUICK, "--out", "piped", stdin=Path("b.csv").read_bytes())
    assert contents("piped")["predictions.csv"] == contents("both")["predictions.csv"]
    succeed("train", "table.csv", "--target", "class", *QUICK, "--out", "one")
    assert contents("both")["predictions.csv"] == contents("one")["predictions.csv"]


def test_other_formats_are_read_and_written() -> None:
    frame = pd.read_csv(a_table(size=[x + 0.25 for x in UNEVEN]))
    frame.to_excel("other.xlsx", index=False)
    frame.to_parquet("other.parquet", index=False)
    frame.to_json("other.jsonl", orient="records", lines=True)
    frame.to_csv("other.tsv.gz", index=False, sep="\t")
    succeed("train", "table.csv", "--target", "class", *QUICK, "--out", "run")
    succeed("predict", "run", "table.csv", "--keep", "all", "--out", "predicted.csv")
    succeed("train", "other.xlsx", "--target", "class", *QUICK, "--out", "other")
    assert contents("other")["predictions.csv"] == contents("run")["predictions.csv"]
    for ending in ("xlsx", "parquet", "jsonl", "tsv.gz"):
        succeed("predict", "run", f"other.{ending}", "--keep", "all", "--out", f"predicted.{ending}")
        again = read_table(f"predicted.{ending}").cells
        pd.testing.assert_frame_equal(again, read_table("predicted.csv").cells)


def test_a_german_price_list_is_read_right() -> None:
    rows = [f"{i};1.{i:03},50 €;{'rot' if i % 2 else 'blau'}" for i in range(100, 140)]
    Path("preise.csv").write_text("Nr;Preis;Farbe\n" + "\n".join(rows) + "\n", encoding="utf-8")
    succeed("train", "preise.csv", "--target", "Preis", *QUICK, "--out", "run")
    assert pd.read_csv("run/predictions.csv")["true"].between(1100, 1140).all()


def test_dates_and_an_unnamed_index_column_are_used_and_said() -> None:
    dates = pd.date_range("2024-01-01", periods=60, freq="9h").strftime("%Y-%m-%d %H:%M")
    frame = pd.DataFrame({"when": dates, "sold": [float(i % 7) + 0.5 * (i % 3) for i in range(60)]})
    frame.to_csv("table.csv")
    succeed("train", "table.csv", "--target", "sold", *QUICK, "--out", "run")
    assert any("when" in name for name in Predictor.load("run").preparation.get_feature_names_out())
    assert "when" in succeed("show", "run").stdout


@pytest.mark.parametrize(
    ("name", "score", "least"),
    [
        ("wine", "accuracy", 0.9),
        pytest.param("breast_cancer", "accuracy", 0.9, marks=pytest.mark.slow("0.7 s: one more table")),
        pytest.param("diabetes", "r2", 0.2, marks=pytest.mark.slow("0.5 s: one more table")),
    ],
)
def test_real_tables_are_learned(name: str, score: str, least: float) -> None:
    getattr(datasets, f"load_{name}")(as_frame=True).frame.to_csv("table.csv", index=False)
    options = ["--hidden", 8, "--epochs", 30, "--estimators", 2, "--no-pictures", "--out", "run"]
    succeed("train", "table.csv", "--target", "target", *options)
    assert details()["scores"][score] >= least


# --- errors in the input ----------------------------------------------------------------------------------------------

BAD_OPTIONS = {
    "--target clas": "there is no column 'clas'; did you mean 'class'?",
    "--target zzz": "there is no column 'zzz'; choose one of 'size', 'colour', 'class'",
    "--hidden 16,x": "--hidden: expected whole numbers such as 16,8, or none for no hidden layer, got '16,x'",
    "--hidden 16,-1": "--hidden: expected sizes of at least 1, such as 16,8, or none, got 16,-1",
    "--activation sigmiod": "--activation: there is no 'sigmiod'; did you mean 'sigmoid'?",
    "--activation tahn": "--activation: there is no 'tahn'; did you mean 'tanh'?",
    "--optimizer newton": "--optimizer: there is no 'newton'; choose one of 'sgd'",
    "--schedule cosin": "--schedule: there is no 'cosin'; did you mean 'cosine'?",
    "--task regresion": "--task: there is no 'regresion'; did you mean 'regression'?",
    "--task regression": "column 'class', row 1 (line 2): a regression needs numbers, got 'a'",
    "--lr -1": "--lr: expected a number above 0, got -1.0",
    "--lr 0,1": "--lr: expected a number such as 0.01, got '0,1'",
    "--lr nan": "--lr: expected a number above 0, got nan",
    "--weight-decay -0.1": "--weight-decay: expected a number of at least 0, got -0.1",
    "--epochs 0": "--epochs: expected at least 1, got 0",
    "--epochs 1.5": "--epochs: expected a whole number such as 16, got '1.5'",
    "--batch-size 0": "--batch-size: expected at least 1, got 0",
    "--estimators 0": "--estimators: expected a whole number from 1 to 100, got 0",
    "--time 0": "--time: expected a number of seconds above 0, got 0.0",
    "--test-size 20%": "--test-size: expected a number such as 0.01, got '20%'",
    "--test-size 2": "--test-size: expected a share between 0 and 1, such as 0.2, got 2.0",
    "--test-size 0.01": "--test-size: 0.01 of 30 rows leaves 29 to train on and 1 held out",
    "--cv 1": "--cv: expected a number of folds from 2 to 100, such as 5, got 1",
    "--cv 16": "--cv: expected at most 15 folds for 30 rows, got 16",
    "--repeats 3": "--repeats: repeats a cross-validation; give its number of folds too, as in --cv 5",
    "--seed -1": "--seed: expected a whole number from 0",
    "--ignore class": "--ignore: 'class' is the target",
    "--ignore colr": "there is no column 'colr'; did you mean 'colour'?",
    "--categorical colr": "there is no column 'colr'; did you mean 'colour'?",
    "--keep colr": "there is no column 'colr'; did you mean 'colour'?",
    "--ignore size --ignore colour": "no column is left to predict from",
    "--delimiter ab": "delimiter: expected one character, or tab, got 'ab'",
    "--encoding klingon": "encoding: expected a name such as utf-8 or cp1252, got 'klingon'",
    "--header --no-header": "--no-header: contradicts --header; leave one of them out",
    "--decimal x": "--decimal: there is no 'x'",
    "--day-first --month-first": "--month-first: contradicts --day-first; leave one of them out",
    "--out table.csv": "--out: table.csv already exists; choose another folder, or delete this one",
    "--out table.csv/run": "--out: table.csv is not a folder",
    "--out -": "--out: expected a folder for the results, got -",
    "--colour blue": "--colour",
}


@pytest.mark.parametrize("options", BAD_OPTIONS)
def test_a_bad_option_is_one_line(options: str) -> None:
    fails(["train", a_table(), "--target", "class", *options.split()], BAD_OPTIONS[options])


def test_all_bad_options_are_said_at_once() -> None:
    options = ["--lr", "x", "--epochs", "0", "--optimizer", "newton"]
    fails(["train", a_table(), "--target", "class", *options], "--lr: ", "--epochs: ", "--optimizer: ")
    unknown = ["--ignore", "siz", "--keep", "colr"]
    fails(["train", a_table(), "--target", "clas", *unknown], "column 'clas'", "column 'siz'", "column 'colr'")


def test_ambiguous_columns_a_bad_target_and_unknown_names_are_said_at_once_with_row_and_line() -> None:
    prices = ["1,234", "2,345"] * 15
    pd.DataFrame({"one": prices, "two": prices, "class": ["a"] * 30}).to_csv("table.tsv", index=False, sep="\t")
    fails(
        ["train", "table.tsv", "--target", "class", "--ignore", "tow"],
        "column 'class': every target is 'a'; add rows of another class",
        "there is no column 'tow'; did you mean 'two'?",
        "column 'one', row 1 (line 2)",
        "column 'two', row 1 (line 2)",
    )


@pytest.mark.parametrize("word", ["--lr 1e300", "--lr 1e200 --optimizer sgd", "--weight-decay 1e200"])
def test_training_that_diverges_is_one_line(word: str) -> None:
    words = ["train", a_table(), "--target", "size", "--schedule", "constant", *QUICK, *word.split()]
    fails(words, "--lr: training diverged at epoch 1, ")


def test_iris_lacks_the_columns_of_a_table_that_was_not_given() -> None:
    fails(["train", "--target", "price"], "iris, has no column 'price'; choose one of 'sepal")


def test_the_target_is_an_option() -> None:
    fails(["train", a_table(), "class"], "TABLE: there is no file 'class'; the column to predict is given by name")
    fails(["train", a_table()], "--target: say which column of table.csv to predict: one of 'size', 'colour', 'class'")


def test_a_table_that_is_not_there_is_one_line() -> None:
    fails(["train", "nothing.csv", "--target", "y"], "nothing.csv: there is no such file")
    fails(["train", ".", "--target", "y"], "is a directory")


def test_a_folder_with_something_in_it_is_not_written_to() -> None:
    Path("run").mkdir()
    succeed("train", a_table(), "--target", "class", *QUICK, "--out", "run")
    before = contents("run")
    fails(["train", "table.csv", "--target", "class", *QUICK, "--out", "run"], "--out: run already exists")
    assert contents("run") == before


def test_the_folder_one_is_in_is_not_written_to() -> None:
    table = a_table().resolve()
    Path("here").mkdir()
    os.chdir("here")
    for out in (".", "../here"):
        fails(["train", table, "--target", "class", "--out", out], f"--out: {Path(out)} is the current folder")


def test_a_place_that_cannot_be_written_to_is_found_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    trained: list[object] = []
    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr("microgrud.cli.training.train_on_table", lambda *args, **options: trained.append(args))
    fails(["train", a_table(), "--target", "class", "--out", "run"], "--out: run cannot be written (Permission denied)")
    assert trained == []


@pytest.mark.parametrize(
    ("where", "error"), [("report_page", OSError(28, "No space left")), ("draw_pictures", ZeroDivisionError("by zero"))]
)
def test_the_model_is_kept_when_the_report_cannot_be_written(
    where: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> str:
        raise error

    monkeypatch.setattr(f"microgrud.cli.runfolder.{where}", fail)
    drawn = ["--pictures"] if where == "draw_pictures" else []
    result = microgrud_cli("train", a_table(), "--target", "class", *LEARNED, *drawn, "--out", "run")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("error: the report could not be written (")
    assert "the model is there: " in result.stderr
    assert len(pd.read_csv(io.StringIO(succeed("predict", "run", "table.csv").stdout))) == 30


def test_nothing_is_left_behind_when_training_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    fails(["train", a_table(**{"class": ["a"] * 30}), "--target", "class"], "every target is 'a'")
    assert os.listdir() == ["table.csv"]


# --- the entry point --------------------------------------------------------------------------------------------------


def test_the_version_is_that_of_the_package() -> None:
    assert succeed("--version").output == f"microgrud {microgrud.__version__}\n"


def test_help_names_the_commands_and_a_wrong_one_is_one_line() -> None:
    output = succeed("--help").output
    assert all(command in output for command in ("train", "predict", "show"))
    training = succeed("train", "--help").output
    assert "none for a linear model" in " ".join(training.split())
    order = [training.index(option) for option in ("--target", "--ignore", "--seed", "--hidden", "--out")]
    assert order == sorted(order)
    assert all(f"--{word}" in training for word in ("cv", "repeats", "search", "no-pictures", "json", "no-header"))
    assert succeed().output == output
    fails(["trian"], "trian")


def test_every_activation_is_one_of_those_that_the_option_takes() -> None:
    for activation in ACTIVATIONS:
        assert settings.RunSettings("class", activation=activation).parameters()["activation"] == activation


def run_as_module(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(microgrud.__file__).parents[1])}
    command = [sys.executable, "-m", "microgrud", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.slow("2 s: another process")
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
    what = "typer and scikit-learn, which are not installed: pip install typer scikit-learn"
    expected = f"error: the command line needs {what}\n"
    assert capsys.readouterr().err == expected


def test_a_mistake_in_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*args: object, **options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(commands, "read_table", mistaken)
    assert isinstance(microgrud_cli("train", "x", "--target", "y").exception, ZeroDivisionError)


def test_a_narrow_stdout_is_no_place_for_predictions() -> None:
    a_table(**{"class": ["é", "o"] * 15})
    succeed("train", "table.csv", "--target", "class", *QUICK, "--out", "accents")
    result = CliRunner(charset="ascii").invoke(commands.app, ["predict", "accents/model.json", "table.csv"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith("error: --out: stdout is in ascii, which has no '\\xe9'; give a file to write\n")


def test_a_pipeline_of_the_command_line_is_that_of_the_settings() -> None:
    run = pipeline.train_on_table(read_table(a_table()), settings.RunSettings("class", hidden=(3,), epochs=2))
    assert list(run.pipeline.named_steps) == ["preparation", "network"]
    assert (run.pipeline.predict(pd.read_csv("table.csv")[["size", "colour"]]) != "").all()
