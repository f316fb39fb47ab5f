"""The commands predict and show, and `microgrud.sklearn.load`: a stored pipeline predicts what the trained one did."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from typed import QUICK, a_table, contents, fails, succeed, written

import microgrud.sklearn
from microgrud.nn import MLP, save_model
from microgrud.sklearn.modelfile import read_pipeline
from microgrud.tables import read_table

for name in ("graphviz", "matplotlib", "tqdm"):
    pytest.importorskip(name)
pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)
        succeed("train", a_table(), "--target", "class", *QUICK, "--out", "run")
    return folder


@pytest.fixture
def trained(run_folder: Path) -> str:
    """A run folder; the table that it was trained on is next to it."""
    shutil.copytree(run_folder, "run")
    a_table()
    return "run"


def predicted(*words: object) -> pd.DataFrame:
    """Return predictions as they are printed, as text."""
    return pd.read_csv(io.StringIO(succeed("predict", *words).stdout), dtype=str)


# --- predict ----------------------------------------------------------------------------------------------------------


def test_predictions_go_to_stdout_as_csv_and_notes_elsewhere(trained: str) -> None:
    result = succeed("predict", trained, "table.csv")
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert list(rows[0]) == ["row", "predicted", "probability a", "probability b"]
    assert [int(row["row"]) for row in rows] == list(range(1, 31))
    assert succeed("predict", trained, "table.csv", "--out", "-").stdout == result.stdout
    assert not Path("-").exists()
    written({"size": [1], "colour": ["red"], "odd": [2]}, "other.csv")
    assert "note: columns that the model has not seen: 'odd'" in succeed("predict", trained, "other.csv").stderr


def test_the_folder_and_the_file_in_it_are_the_same_model(trained: str) -> None:
    assert succeed("predict", "run", "table.csv").stdout == succeed("predict", "run/model.json", "table.csv").stdout
    assert succeed("show", "run").stdout == succeed("show", "run/model.json").stdout


@pytest.mark.parametrize("target", ["class", "size"])
def test_held_out_rows_are_predicted_again_to_the_bit_and_load_predicts_the_same(target: str) -> None:
    sizes = [(7 * i) % 30 / 3 for i in range(30)]
    table = a_table(size=[None, *sizes[1:]], when=pd.date_range("2024-01-01", periods=30, freq="17h").astype(str))
    succeed("train", table, "--target", target, *QUICK, "--estimators", "2", "--out", "run")
    again = predicted("run", table)
    held_out = pd.read_csv("run/predictions.csv", dtype=str).drop(columns="true")
    rows = again[again["row"].isin(held_out["row"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(rows, held_out, check_exact=True)
    pipeline = microgrud.sklearn.load("run")
    for frame in (read_table(table).cells, pd.read_csv(table)):
        found = pipeline.predict(frame.drop(columns=target))
        assert [str(x) for x in found.tolist()] == again["predicted"].tolist()
    if target == "class":
        probabilities = pipeline.predict_proba(pd.read_csv(table))
        assert np.array_equal(probabilities, again.filter(like="probability").to_numpy(float))


def test_a_loaded_pipeline_is_one_of_scikit_learn() -> None:
    iris = load_iris(as_frame=True).frame
    succeed("train", *QUICK, "--epochs", "20", "--lr", "0.03", "--out", "run")
    stored = read_pipeline("run")
    assert (stored.target.name, stored.pipeline.classes_.tolist()) == ("species", ["setosa", "versicolor", "virginica"])
    names = np.array(stored.pipeline.classes_)[iris["target"]]
    assert microgrud.sklearn.load("run/model.json").score(iris.drop(columns="target"), names) > 0.8


def test_columns_are_kept_on_request(trained: str) -> None:
    whole, kept = predicted(trained, "table.csv"), predicted(trained, "table.csv", "--keep", "colour")
    assert list(kept) == ["row", "colour", "predicted", "probability a", "probability b"]
    assert list(kept["colour"]) == ["red", "blue", "green"] * 10
    pd.testing.assert_frame_equal(kept.drop(columns="colour"), whole, check_exact=True)
    everything = predicted(trained, "table.csv", "--keep", "all")
    assert list(everything)[:4] == ["row", "size", "colour", "class"]
    fails(["predict", trained, "table.csv", "--keep", "colr"], "there is no column 'colr'; did you mean 'colour'?")
    frame = pd.read_csv("table.csv").assign(row=7.5, **{"row (table)": 8.5})
    frame.to_csv("named.csv", index=False)
    named = predicted(trained, "named.csv", "--keep", "row", "--keep", "row (table)")
    assert list(named)[:3] == ["row", "row (table)", "row (table) (table)"]
    assert list(named.iloc[0])[:3] == ["1", "7.5", "8.5"]


def test_json_holds_predictions_and_the_scores_of_rows_with_a_known_target(trained: str) -> None:
    whole = predicted(trained, "table.csv").astype({"row": int})
    frame = pd.read_csv("table.csv")
    frame.loc[[3, 4], "class"] = None, "unheard of"
    frame.to_csv("other.csv", index=False)
    document = json.loads(succeed("predict", trained, "other.csv", "--threshold", "0.3", "--json").stdout)
    assert [row["row"] for row in document["predictions"]] == list(range(1, 31))
    assert (document["scored_rows"], document["unknown_targets"]) == (28, 1)
    probability = whole["probability b"].astype(float)
    assert [row["predicted"] == "b" for row in document["predictions"]] == (probability >= 0.3).tolist()
    recall = (probability >= 0.3)[frame["class"] == "b"].mean()
    assert document["scores"]["threshold"]["recall"] == pytest.approx(recall)
    frame.drop(columns="class").to_csv("other.csv", index=False)
    document = json.loads(succeed("predict", trained, "other.csv", "--json", "--out", "some.jsonl").stdout)
    assert document == {"file": "some.jsonl"}
    assert len(pd.read_json("some.jsonl", lines=True)) == 30


@pytest.mark.parametrize("threshold", ["0", "0.62", "0.95", "1"])
def test_scores_at_a_threshold_are_those_of_the_printed_predictions(threshold: str, trained: str) -> None:
    usual = json.loads(succeed("predict", trained, "table.csv", "--json").stdout)["scores"]
    document = json.loads(succeed("predict", trained, "table.csv", "--threshold", threshold, "--json").stdout)
    scores, true = document["scores"], pd.read_csv("table.csv")["class"].tolist()
    pairs = list(zip(true, (row["predicted"] for row in document["predictions"])))
    assert scores["accuracy"] == pytest.approx(np.mean([one == other for one, other in pairs]))
    assert scores["confusion"] == [[pairs.count((one, other)) for other in "ab"] for one in "ab"]
    assert scores["per_class"][1]["recall"] == pytest.approx(scores["threshold"]["recall"])
    assert scores["macro_f1"] == pytest.approx(np.mean([each["f1"] for each in scores["per_class"]]))
    assert scores["spread"].keys() == usual["spread"].keys()
    assert [scores[key] for key in ("log_loss", "roc_auc", "pr_auc")] == [
        usual[key] for key in ("log_loss", "roc_auc", "pr_auc")
    ]


def test_rows_of_unknown_classes_are_counted_and_noted(trained: str) -> None:
    rows = written({"size": [1, 2, 3, 4], "colour": ["red"] * 4, "class": ["a", "unheard of", None, "x"]}, "rows.csv")
    result = succeed("predict", trained, rows, "--json")
    assert "note: the scores leave out 2 rows whose 'class' is not a class that the model knows\n" in result.stderr
    document = json.loads(result.stdout)
    assert (document["scored_rows"], document["unknown_targets"]) == (1, 2)
    assert "leave out" not in succeed("predict", trained, "table.csv", "--json").stderr


def test_columns_that_are_kept_are_not_noted_as_unseen(trained: str) -> None:
    frame = pd.read_csv("table.csv").assign(id=7, other=8)
    frame.to_csv("more.csv", index=False)
    unseen = "note: columns that the model has not seen: "
    assert f"{unseen}'id', 'other'\n" in succeed("predict", trained, "more.csv").stderr
    assert f"{unseen}'other'\n" in succeed("predict", trained, "more.csv", "--keep", "id").stderr
    assert unseen not in succeed("predict", trained, "more.csv", "--keep", "all").stderr


def test_json_holds_the_scores_of_predicted_numbers() -> None:
    table = a_table()
    succeed("train", table, "--target", "size", *QUICK, "--out", "run")
    document = json.loads(succeed("predict", "run", table, "--json").stdout)
    errors = [row["predicted"] - true for row, true in zip(document["predictions"], pd.read_csv(table)["size"])]
    assert document["scores"]["mae"] == pytest.approx(np.mean(np.abs(errors)))
    expected = "--threshold: expected a model of 2 classes, got one of numbers; leave the option out"
    fails(["predict", "run", table, "--threshold", "f1"], expected)
    for cell, unknown in ((None, 0), ("x", 30)):
        written({"size": [cell] * 30, "colour": ["red"] * 30, "class": ["a"] * 30}, "other.csv")
        document = json.loads(succeed("predict", "run", "other.csv", "--json").stdout)
        assert (document["scored_rows"], document["unknown_targets"]) == (0, unknown)


def test_no_row_fails_the_whole_and_notes_say_which_cells_were_guessed(trained: str) -> None:
    cells = {"id": range(5), "size": ["1", "big", "", "1e99", "inf"], "colour": ["red", "pink", "", "blue", "RED"]}
    result = succeed("predict", trained, written(cells, "rows.csv"))
    rows = pd.read_csv(io.StringIO(result.stdout))
    assert len(rows) == 5
    assert np.isfinite(rows.filter(like="probability").to_numpy()).all()
    assert "column 'size', row 2: 'big' (and 2 more such cells): not a number, or one far beyond" in result.stderr
    assert "column 'size', row 3: the cell is missing" in result.stderr
    assert "column 'colour', row 2: 'pink': a rare or new category" in result.stderr


def test_an_unseen_category_changes_only_its_own_row(trained: str) -> None:
    frame = pd.read_csv("table.csv")
    frame.loc[3, "colour"] = "pink"
    frame.to_csv("other.csv", index=False)
    before, after = predicted(trained, "table.csv"), predicted(trained, "other.csv")
    assert list(before.index[(before != after).any(axis=1)]) == [3]


def test_rows_with_missing_cells_can_be_left_out_of_predictions_that_say_which_rows_they_are_of(trained: str) -> None:
    gaps = {"size": [None, *[0.5 * i for i in range(1, 30)]], "other": [None] * 30}
    table = a_table(**gaps, colour=["red", "blue", None] * 10)
    result = succeed("predict", trained, table, "--drop-missing", "--out", "some.csv")
    assert "note: 11 of 30 rows have missing cells and were left out" in result.stderr
    assert result.stdout == "19 predictions: some.csv\n"
    some = pd.read_csv("some.csv", dtype=str)
    assert list(some["row"]) == [str(row) for row in range(2, 31) if row % 3]
    whole = predicted(trained, table)
    pd.testing.assert_frame_equal(some, whole[whole["row"].isin(some["row"])].reset_index(drop=True), check_exact=True)
    empty = written({"size": [None, 1], "colour": ["red", None]}, "empty.csv")
    fails(
        ["predict", trained, empty, "--drop-missing"], "empty: every row has a missing cell; leave out --drop-missing"
    )


def test_neither_the_order_of_columns_nor_other_columns_nor_dialects_matter(trained: str) -> None:
    whole = succeed("predict", trained, "table.csv").stdout
    frame = pd.read_csv("table.csv")
    frame.assign(extra="?")[["extra", "colour", "size"]].to_csv("other.csv", index=False, sep=";")
    assert succeed("predict", trained, "other.csv").stdout == whole
    assert succeed("predict", trained, "-", stdin=Path("other.csv").read_bytes()).stdout == whole


def test_cells_that_a_spreadsheet_would_run_are_escaped() -> None:
    names = ["=1+1", "@SUM(A1)", "plain"] * 10
    succeed("train", a_table(**{"class": names}), "--target", "class", *QUICK, "--out", "run")
    output = succeed("predict", "run", "table.csv").stdout
    assert "'=1+1" in output
    assert not any(cell.startswith(("=", "@")) for line in csv.reader(output.splitlines()) for cell in line)


def test_predictions_replace_earlier_ones_but_no_file_of_a_run_and_no_input(trained: str) -> None:
    shutil.copy("run/model.json", "model.json")
    for out in ("predictions.csv", "run/mine.csv"):
        Path(out).write_text("earlier")
        assert succeed("predict", "model.json", "table.csv", "--out", out).stdout == f"30 predictions: {Path(out)}\n"
        assert len(pd.read_csv(out)) == 30
    before = contents("run")
    fails(["predict", "model.json", "table.csv", "--out", "run/predictions.csv"], "belongs to the run in its folder")
    fails(["predict", "model.json", "table.csv", "--out", "table.csv"], "is an input of this prediction")
    fails(["predict", "run", "table.csv", "--out", "run/model.json"], "belongs to the run in its folder")
    assert contents("run") == before


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_predictions_go_where_a_link_points(trained: str) -> None:
    Path("link.csv").symlink_to("real.csv")
    succeed("predict", trained, "table.csv", "--out", "link.csv")
    assert Path("link.csv").is_symlink()
    assert len(pd.read_csv("real.csv")) == 30


def test_a_place_that_cannot_be_written_to_is_one_line(trained: str) -> None:
    fails(["predict", trained, "table.csv", "--out", "run"], "--out: run cannot be written")
    fails(["predict", trained, "table.csv", "--out", "no/such.csv"], "--out: no/such.csv cannot be written")
    fails(["predict", trained, "no_table", "--out", "file.docx"], "file.docx: expected a name that ends in .csv")


def test_columns_that_are_missing_are_all_named(trained: str) -> None:
    fails(
        ["predict", trained, written({"other": [1]}, "rows.csv")],
        "the model needs columns that the table lacks: 'size', 'colour'",
    )


def test_columns_in_another_letter_case_are_suggested(trained: str) -> None:
    pd.read_csv("table.csv").rename(columns=str.upper).to_csv("rows.csv", index=False)
    hints = [f"rows: there is no column {name!r}; did you mean {name.upper()!r}?" for name in ("size", "colour")]
    fails(["predict", trained, "rows.csv"], *hints)


def test_a_threshold_is_for_two_classes() -> None:
    succeed("train", a_table(), "--target", "colour", *QUICK, "--out", "three")
    fails(
        ["predict", "three", "table.csv", "--threshold", "0.5"],
        "--threshold: expected a model of 2 classes, got 3 classes; leave",
    )


# --- show -------------------------------------------------------------------------------------------------------------


def test_show_tells_the_architecture_the_columns_the_training_and_the_notes() -> None:
    options = ["--hidden", "4,3", "--epochs", 2, "--no-pictures", "--out", "run"]
    result = succeed("train", a_table(key=range(100, 130)), "--target", "class", *options)
    output = succeed("show", "run").output
    for expected in (
        "hidden 1 ",
        "hidden 2       4        3       ReLU          15",
        "output       3        2     Linear           8",
        "column colour: ",
        "column size: ",
        "predicts class: one of a, b",
        "trained on 24 rows of table: ",
        "optimizer adamw; lr ",
        "on held-out rows: accuracy ",
        "columns that matter ",
    ):
        assert expected in output
    notes = [line.removeprefix("note: ") for line in result.stderr.splitlines()]
    assert any("'key'" in note for note in notes)
    assert output.splitlines()[-len(notes) :] == notes
    document = json.loads(succeed("show", "run", "--json").stdout)
    assert document["notes"] == notes


def test_names_and_classes_of_several_lines_are_shown_in_one() -> None:
    written({"a\nb": [f"x\ny {i % 2}" for i in range(30)], "z\n": [f"c\nd {i % 2}" for i in range(30)]})
    succeed("train", "table.csv", "--target", "z", *QUICK, "--out", "run")
    lines = succeed("show", "run").output.splitlines()
    assert any(line.startswith("column a b: ") for line in lines)
    assert "predicts z: one of c d 0, c d 1" in lines


def test_the_command_in_the_report_predicts_and_leaves_the_files_of_the_run_alone(trained: str) -> None:
    before = contents("run")
    report = Path("run/report.html").read_text(encoding="utf-8")
    commands = [line for line in report.replace("<pre><code>", "\n").splitlines() if line.startswith("microgrud ")]
    os.chdir("run")
    for line in commands[:2]:
        succeed(*shlex.split(line.partition("</code>")[0].replace("TABLE.csv", "../table.csv"))[1:])
    after = contents(".")
    assert {name: after[name] for name in before} == before
    assert len(set(after) - set(before)) == 1


# --- model files ------------------------------------------------------------------------------------------------------


def test_a_model_file_that_cannot_be_used_is_one_line(trained: str) -> None:
    Path("damaged.json").write_text(Path("run/model.json").read_text().replace("0.", "1.", 1))
    save_model("other.json", MLP(2, [1], rng=0))
    Path("empty.json").touch()
    for command in (["show"], ["predict"]):
        rest: list[object] = ["table.csv"] if command == ["predict"] else []
        fails([*command, "damaged.json", *rest], "damaged.json: damaged")
        fails([*command, "empty.json", *rest], "empty.json: the file is empty")
        fails([*command, "table.csv", *rest], "table.csv: is not a model file; expected the folder of a run")
        for path in ("nothing.json", "table.csv/model.json", "nothing/at/all"):
            fails([*command, path, *rest], f"{Path(path)}: there is no such file; give the path of a model.json")
        fails([*command, "other.json", *rest], "other.json: not a microgrud trained pipeline file")


def test_a_model_file_that_may_not_be_read_is_one_line(trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("microgrud.cli.predicting.read_pipeline", forbidden)
    message = f"{Path('run/model.json')}: cannot be read (Permission denied); check the path and its permissions"
    fails(["show", trained], message)


def test_a_model_of_a_file_without_a_header_predicts_for_one_row() -> None:
    Path("t.csv").write_text("".join(f"{i % 7}.5,{i % 5}.25,{i % 2}\n" for i in range(40)))
    succeed("train", "t.csv", "--target", "column 3", *QUICK, "--out", "run")
    Path("one.csv").write_text("3.5,2.25\n")
    result = succeed("predict", "run", "one.csv")
    assert len(result.stdout.splitlines()) == 2
    assert "note" not in result.stderr
