"""The report: everything about a run on one self-contained page, whose figures are those of the model."""

from __future__ import annotations

import base64
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from microgrud.cli import charts
from microgrud.cli.pictures import draw_pictures, loss_chart, result_chart
from microgrud.cli.pipeline import linear_predictions, train_on_table
from microgrud.cli.predicting import Predictor
from microgrud.cli.preprocessing import Target
from microgrud.cli.report import command, report_page
from microgrud.cli.run import Run
from microgrud.cli.runfolder import write_run
from microgrud.cli.scores import LABELS, behind_baseline, behind_linear, figures, score_classes, score_numbers
from microgrud.cli.settings import RunSettings
from microgrud.tables import Table, read_table
from microgrud.tables.table import iris_table

pytestmark = pytest.mark.usefixtures("coarse_reports")

HOSTILE = "<script>alert('1')</script> & \"quoted\" $price"


def a_table(**columns: Any) -> Table:
    cells = {name: [str(x) for x in values] for name, values in columns.items()}
    return Table("<b>things</b>", pd.DataFrame(cells))


@pytest.fixture(scope="module")
def iris() -> Run:
    return train_on_table(iris_table(), RunSettings("species", hidden=(6,), epochs=4), progress=False)


@pytest.fixture(scope="module")
def numbers() -> Run:
    x = [0.1 * i for i in range(40)]
    table = a_table(x=x, price=[2 * a + 0.01 * (i % 3) for i, a in enumerate(x)])
    return train_on_table(table, RunSettings("price", hidden=(4,), epochs=5), progress=False)


@pytest.fixture(scope="module")
def hostile() -> Run:
    kinds = [f"{HOSTILE} {i % 15}" for i in range(60)]
    table = a_table(**{HOSTILE: range(60), "kind": kinds, "y": [f"{HOSTILE} {i % 7 % 3}" for i in range(60)]})
    settings = RunSettings("y", hidden=(2,), epochs=1)
    run = train_on_table(table, settings, source=f"{HOSTILE}.csv", progress=False)
    return replace(run, notes=[HOSTILE])


_drawn: dict[str, dict[str, charts.Picture]] = {}


def pictures_of(run: Run) -> dict[str, charts.Picture]:
    """Return the pictures of the run with this title, drawn once."""
    if run.title not in _drawn:
        _drawn[run.title] = draw_pictures(run)
    return _drawn[run.title]


def page_of(run: Run) -> str:
    return report_page(run, pictures_of(run))


class Page(HTMLParser):
    """The elements of a page, checked to be nested properly, and its text."""

    VOID = ("meta", "img", "br", "link", "source", "hr")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(
    scope="module", params=["iris", pytest.param("numbers", marks=pytest.mark.slow("2 s: one more report")), "hostile"]
)
def run(request: pytest.FixtureRequest) -> Run:
    found: Run = request.getfixturevalue(request.param)
    return found


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_but_itself(run: Run) -> None:
    html = page_of(run)
    page = Page(html)
    for tag, attributes in page.elements:
        assert tag not in ("script", "link", "iframe", "object", "base")
        for name in ("src", "href", "srcset", "data", "action"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert "url(" not in html
    assert "@import" not in html


def test_the_pictures_are_inlined_for_light_and_dark_pages_and_described(run: Run) -> None:
    images = Page(page_of(run)).all("img")
    pictures = list(pictures_of(run))
    assert len(pictures) == (6 if len(run.predictor.preprocessing.inputs) > 1 else 5)
    assert [image["class"] for image in images].count("both") == 1  # the network
    assert [image["class"] for image in images if image["class"] != "both"] == ["light", "dark"] * (len(pictures) - 1)
    for image in images:
        kind, data = str(image["src"]).split(",")
        assert kind == "data:image/svg+xml;base64"
        assert ElementTree.fromstring(base64.b64decode(data)).tag.endswith("svg")
        assert len(str(image["alt"])) > 20
    assert images[0]["src"] != images[1]["src"]


def test_the_page_can_be_read_aloud(run: Run) -> None:
    page = Page(page_of(run))
    tags = [tag for tag, _ in page.elements]
    assert page.all("html") == [{"lang": "en"}]
    assert (tags.count("h1"), tags.count("main"), tags.count("title")) == (1, 1, 1)
    assert tags.count("h2") == 8
    assert tags.count("caption") == tags.count("table")
    assert {attributes["scope"] for attributes in page.all("th")} == {"col", "row"}


def test_texts_of_the_table_are_shown_literally_and_are_never_markup(hostile: Run) -> None:
    html = page_of(hostile)
    assert "<script" not in html
    assert "<b>things" not in html
    page = Page(html)
    assert f"<b>things</b>: predicting {hostile.target.name}" in page.text
    assert HOSTILE in page.text
    assert f"{HOSTILE} 2" in page.text


def test_the_page_fits_light_dark_and_printed_pages(iris: Run) -> None:
    html = page_of(iris)
    assert '<meta name="color-scheme" content="light dark">' in html
    assert "@media (prefers-color-scheme: dark)" in html
    assert "@media print" in html


# --- the figures ------------------------------------------------------------------------------------------------------


class Cells(HTMLParser):
    """A parser of the tables of a page: rows of texts, by their captions."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.place = ""
        self.caption = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.place = tag
        if tag == "caption":
            self.caption = ""
        elif tag == "tr":
            self.tables.setdefault(self.caption, []).append([])
        elif tag in ("th", "td"):
            self.tables[self.caption][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.place = ""

    def handle_data(self, data: str) -> None:
        if self.place == "caption":
            self.caption += data
        elif self.place in ("th", "td"):
            self.tables[self.caption][-1][-1] += data


def cells(run: Run, caption: str) -> list[list[str]]:
    (found,) = [rows for name, rows in Cells(page_of(run)).tables.items() if caption in name]
    return found


def test_the_scores_are_those_in_the_model_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microgrud.cli.runfolder.draw_pictures", pictures_of)
    write_run(run, tmp_path / "run")
    scores = json.loads((tmp_path / "run" / "model.json").read_text())["extra"]["scores"]
    header, *rows = cells(run, "that training did not see")
    baseline = "mean" if run.target.task == "regression" else "most frequent class"
    assert header == ["score", "network", "linear model", baseline, "better"]
    assert {row[0]: row[1:4] for row in rows} == {
        LABELS[key][0]: [figures(scores[key]), figures(scores["linear"][key]), figures(scores["baseline"][key])]
        for key in scores["baseline"]
    }


def test_the_classes_are_those_in_the_model_file(iris: Run) -> None:
    header, *rows = cells(iris, "Class by class")
    assert header == ["class", "precision", "recall", "F1", "rows"]
    expected = [[figures(x) for x in entry.values()] for entry in iris.scores["per_class"]]
    assert rows == expected
    assert [row[0] for row in rows] == ["setosa", "versicolor", "virginica"]


def test_the_summary_counts_what_the_predictions_say(iris: Run, numbers: Run) -> None:
    right = (iris.predictions["true"] == iris.predictions["predicted"]).sum()
    assert f"The network is right on {right} of 30 held-out rows" in Page(page_of(iris)).text
    error = (numbers.predictions["true"] - numbers.predictions["predicted"]).abs().mean()
    assert f"On 8 held-out rows the network is off by {figures(error)} on average" in Page(page_of(numbers)).text


def test_advice_differs_for_an_overfitted_network_and_one_that_learned_nothing() -> None:
    coins = np.random.default_rng(1).integers(0, 2, 40)
    table = a_table(x=np.random.default_rng(2).normal(size=40), y=["heads" if coin else "tails" for coin in coins])
    said: list[str] = []
    settings = RunSettings("y", hidden=(12,), epochs=60, lr=0.1, weight_decay=0.0, seed=1)
    learned = train_on_table(table, settings, progress=False, say=said.append)
    assert learned.notes == said
    assert "It does better on the rows that it was trained on: try a smaller --hidden" in said[0]
    nothing = train_on_table(table, replace(settings, lr=1e4, epochs=1), progress=False)
    assert "It has not learned the rows that it was trained on either: try a lower --lr" in nothing.notes[0]


def test_the_wrong_predictions_are_listed_the_worst_first(iris: Run, hostile: Run, numbers: Run) -> None:
    frame = iris.predictions
    wrong = frame[frame["true"] != frame["predicted"]]
    assert len(wrong) > 0
    _, *rows = cells(iris, "were predicted incorrectly")
    assert sorted(int(row[0]) for row in rows) == sorted(wrong["row"])[: len(rows)]
    assert [float(row[4]) for row in rows] == sorted(float(row[4]) for row in rows)
    _, *rows = cells(numbers, "with the largest errors")
    errors = [abs(float(row[3])) for row in rows]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] == pytest.approx(
        (numbers.predictions["true"] - numbers.predictions["predicted"]).abs().max(), rel=1e-3
    )


def test_a_run_without_mistakes_says_so(iris: Run) -> None:
    perfect = replace(iris, predictions=iris.predictions.assign(predicted=iris.predictions["true"]))
    assert "None: every held-out row was predicted correctly." in page_of(perfect)


def test_many_mistakes_are_cut_to_the_worst(iris: Run) -> None:
    classes = iris.target.classes
    turned = [classes[(classes.index(name) + 1) % 3] for name in iris.predictions["true"]]
    frame = iris.predictions.assign(predicted=turned)
    rows = cells(replace(iris, predictions=frame), "30 of 30 held-out rows were predicted incorrectly; the 15 with")
    assert len(rows) == 1 + 15


def test_the_columns_the_layers_and_the_settings_are_listed(hostile: Run) -> None:
    _, *columns = cells(hostile, "rows to train on and 12 held out")
    assert [row[0] for row in columns] == [HOSTILE, "kind", "y"]
    assert columns[1][1] == "category, 15 of them"
    assert columns[1][2].endswith(" and 3 more")
    _, *layers = cells(hostile, "parameters in all")
    assert layers == [["hidden 1", "16", "2", "Tanh", "34"], ["output", "2", "3", "Linear", "9"]]
    _, *settings = cells(hostile, "3 steps")
    assert dict(settings)["optimizer"] == "adamw"
    assert dict(settings)["learning rate"] == "0.01"


def test_the_command_names_what_the_user_chose() -> None:
    table = a_table(x=range(30), code=[1, 2, 3] * 10, y=[0.5 * i for i in range(30)], z=range(30))
    settings = RunSettings(
        "y", hidden=(2,), epochs=1, optimizer="lbfgs", ignore=("z",), categorical=("code",), drop_missing=True,
        delimiter=":",
    )  # fmt: skip
    words = command(train_on_table(table, settings, source="my table.csv", progress=False))
    assert words[:5] == ["microgrud", "train", "my table.csv", "--target", "y"]
    assert words[-7:] == ["--ignore", "z", "--categorical", "code", "--drop-missing", "--delimiter", ":"]
    assert words[words.index("--weight-decay") + 1] == str(7 / 24)


# --- pictures and scores ----------------------------------------------------------------------------------------------


def test_the_pictures_show_the_run(iris: Run, numbers: Run) -> None:
    assert list(loss_chart(iris).get_lines()[0].get_ydata()) == iris.history.loss
    assert [int(text.get_text()) for text in result_chart(iris).texts] == np.ravel(iris.scores["confusion"]).tolist()
    (points,) = result_chart(numbers).collections
    assert np.array_equal(np.asarray(points.get_offsets()), numbers.predictions[["true", "predicted"]].to_numpy())
    held_out = loss_chart(numbers, charts.DARK).get_lines()[2].get_ydata()[0]
    scale = numbers.target.scale
    errors = (numbers.predictions["true"] - numbers.predictions["predicted"]) / scale
    assert held_out == pytest.approx((errors**2).mean())


def test_a_run_folder_holds_what_can_be_read_again(numbers: Run, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    write_run(numbers, folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "flow.svg", "history.csv", "loss.svg", "model.json", "network.svg", "predictions.csv", "predictions.svg",
        "report.html", "surface.svg",
    ]  # fmt: skip
    assert [path.name for path in folder.parent.iterdir()] == ["run"]
    predictions, history = read_table(folder / "predictions.csv"), read_table(folder / "history.csv")
    assert predictions.columns == ["row", "true", "predicted"]
    for name in predictions.columns:
        assert predictions.numbers(name).tolist() == numbers.predictions[name].tolist()
    assert history.numbers("loss").tolist() == numbers.history.loss
    assert Predictor.load(folder / "model.json").preprocessing == numbers.predictor.preprocessing


@pytest.mark.parametrize(
    ("scores", "baseline", "behind"),
    [
        ({"r2": 0.1, "mae": 9.0}, {"r2": -0.1, "mae": 8.0}, ""),
        ({"r2": -0.1}, {"r2": -0.1}, ""),
        ({"r2": -0.2}, {"r2": -0.1}, "worse than always answering the mean (R² -0.2000 against -0.1000)"),
        ({"accuracy": 0.5, "log_loss": 0.7}, {"accuracy": 0.5, "log_loss": 0.7}, ""),
        (
            {"accuracy": 0.4, "log_loss": 0.6},
            {"accuracy": 0.5, "log_loss": 0.7},
            "worse than always answering the most frequent class (accuracy 0.4000 against 0.5000)",
        ),
        (
            {"accuracy": 0.4, "log_loss": 0.8},
            {"accuracy": 0.5, "log_loss": 0.7},
            "worse than always answering the most frequent class (accuracy 0.4000 against 0.5000), and worse than "
            "giving each class its share of the rows as probability (log loss 0.8000 against 0.7000)",
        ),
    ],
)
def test_falling_behind_the_baseline_is_said_of_the_scores_that_matter(
    scores: dict[str, float], baseline: dict[str, float], behind: str
) -> None:
    assert behind_baseline({**scores, "baseline": baseline}) == behind


@pytest.mark.parametrize(
    ("scores", "linear", "behind"),
    [
        ({"r2": 0.2}, {"r2": 0.2}, ""),
        ({"r2": 0.2}, {"r2": 0.20000001}, ""),
        ({"r2": 0.1, "mae": 1.0}, {"r2": 0.2, "mae": 2.0}, "behind a linear model (R² 0.1000 against 0.2000)"),
        ({"accuracy": 0.5, "log_loss": 9.0}, {"accuracy": 0.5, "log_loss": 0.1}, ""),
        ({"accuracy": 0.4}, {"accuracy": 0.5}, "behind a linear model (accuracy 0.4000 against 0.5000)"),
    ],
)
def test_falling_behind_a_linear_model_is_said_of_the_score_that_matters_most(
    scores: dict[str, float], linear: dict[str, float], behind: str
) -> None:
    assert behind_linear({**scores, "linear": linear}) == behind
    assert behind_linear(scores) == ""  # a run without a linear model


def test_a_linear_model_is_scikit_learns_on_the_inputs_of_the_network(iris: Run, numbers: Run) -> None:
    from sklearn.linear_model import LinearRegression, LogisticRegression

    held_out = [row - 1 for row in numbers.predictions["row"]]
    x, price = np.array([[0.1 * i] for i in range(40)]), np.array([0.2 * i + 0.01 * (i % 3) for i in range(40)])
    known = np.setdiff1d(range(40), held_out)
    assert numbers.scores["linear"]["r2"] == pytest.approx(
        LinearRegression().fit(x[known], price[known]).score(x[held_out], price[held_out])
    )
    table, preprocessing = iris_table(), iris.predictor.preprocessing
    features, species = preprocessing.features(table), np.array(preprocessing.targets(table))
    held_out = [row - 1 for row in iris.predictions["row"]]
    known = np.setdiff1d(range(150), held_out)
    expected = LogisticRegression(max_iter=1000).fit(features[known], species[known])
    assert iris.scores["linear"]["accuracy"] == expected.score(features[held_out], species[held_out])


def test_there_is_no_linear_model_of_one_class_nor_one_whose_answers_are_not_finite() -> None:
    two = Target("y", "classification", ["a", "b"])
    three = Target("y", "classification", ["a", "b", "c"])
    rows = np.array([[-1.0], [-0.5], [0.5], [1.0]])
    assert linear_predictions(two, rows, [1, 1, 1, 1], rows) is None
    answers = linear_predictions(three, rows, [0, 0, 2, 2], rows)
    assert answers is not None
    assert (answers[:, 1] == 0.0).all()  # no training row is of this class
    assert list(answers.argmax(axis=1)) == [0, 0, 2, 2]
    number = Target("y", "regression", [], mean=0.0, scale=1e10)
    assert linear_predictions(number, rows, [-1.0, -0.5, 0.5, 1.0], np.array([[1e300]])) is None


def test_a_network_behind_a_linear_model_says_so_and_names_the_simpler_choice() -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    table = a_table(a=x[:, 0], b=x[:, 1], y=x @ [1.0, -2.0])
    settings = RunSettings("y", hidden=(2,), epochs=30)
    run = train_on_table(table, settings, progress=False)
    behind = f"behind a linear model (R² {figures(run.scores['r2'])} against 1.000)"
    assert run.notes[-1] == (
        f"On held-out rows the network is {behind}. --hidden none trains a linear model, which is the simpler choice "
        "here."
    )
    assert f"The network is {behind}." in run.summary
    assert f", a linear model by {figures(run.scores['linear']['mae'])}." in run.summary
    linear = train_on_table(table, replace(settings, hidden=()), progress=False)
    assert linear.scores["r2"] < 1.0
    assert "linear model (" not in linear.summary
    assert not any("--hidden none" in note for note in linear.notes)


def test_l_bfgs_has_the_penalty_of_the_others_and_is_named_where_it_learned_by_heart() -> None:
    rng = np.random.default_rng(3)
    table = a_table(**{name: rng.normal(size=40) for name in "abcd"}, y=rng.normal(size=40))
    settings = RunSettings("y", hidden=(8,), optimizer="lbfgs", epochs=20, weight_decay=0.0)
    by_heart = train_on_table(table, settings, progress=False)
    assert "try --optimizer adamw, since L-BFGS fits them closely, a smaller --hidden" in by_heart.notes[0]
    drawn = train_on_table(table, replace(settings, weight_decay=1e3), progress=False)
    weights = [abs(p.data) for p in drawn.predictor.model.parameters()]
    assert max(weights) < 1e-3 < max(abs(p.data) for p in by_heart.predictor.model.parameters())
    assert drawn.history.epochs[-1].loss == pytest.approx(1.0, abs=1e-3)  # without the penalty


def test_class_scores_against_manual_results() -> None:
    # Two of three rows are right; the training rows are 3/4 of class a.
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75], [0.75, 0.25]])
    scores = score_classes([0, 0, 0, 1], [0, 1, 1], probabilities, ["a", "b"])
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert scores["log_loss"] == pytest.approx(-np.log([0.5, 0.75, 0.25]).mean())
    assert scores["confusion"] == [[1, 0], [1, 1]]
    assert scores["per_class"][1] == {
        "class": "b", "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "rows": 2,
    }  # fmt: skip
    assert scores["baseline"]["accuracy"] == pytest.approx(1 / 3)
    assert scores["baseline"]["macro_f1"] == pytest.approx(0.25)
    assert scores["baseline"]["log_loss"] == pytest.approx(-np.log([0.75, 0.25, 0.25]).mean())


def test_number_scores_against_manual_results() -> None:
    scores = score_numbers([1.0, 3.0], [1.0, 2.0, 6.0], [2.0, 2.0, 4.0], linear=[1.0, 2.0, 4.0])
    assert scores["linear"] == {
        "r2": pytest.approx(1 - 4 / 14), "rmse": pytest.approx((4 / 3) ** 0.5), "mae": pytest.approx(2 / 3),
    }  # fmt: skip
    assert scores["mae"] == pytest.approx(1.0)
    assert scores["rmse"] == pytest.approx((5 / 3) ** 0.5)
    assert scores["r2"] == pytest.approx(1 - 5 / 14)
    assert scores["baseline"] == {
        "r2": pytest.approx(1 - 17 / 14), "rmse": pytest.approx((17 / 3) ** 0.5), "mae": pytest.approx(5 / 3),
    }  # fmt: skip
