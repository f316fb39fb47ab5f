"""The report: everything about a run on one self-contained page, whose figures are those of the model."""

from __future__ import annotations

import base64
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from microgrud.cli import charts, markup
from microgrud.cli.markup import Bar
from microgrud.cli.pictures import draw_pictures
from microgrud.cli.pipeline import train_on_table
from microgrud.cli.report import command, report_page
from microgrud.cli.run import Run
from microgrud.cli.scores import LABELS, figures, spread_meaning, with_spread
from microgrud.cli.settings import RunSettings
from microgrud.tables import Table
from microgrud.tables.table import iris_table

pytestmark = pytest.mark.usefixtures("coarse_reports")

HOSTILE = "<script>alert('1')</script> & \"quoted\" $price"
#: Numbers that count nothing.
UNEVEN = [(7 * i) % 60 / 4 for i in range(60)]


def a_table(**columns: Any) -> Table:
    cells = {name: [str(x) for x in values] for name, values in columns.items()}
    return Table("<b>things</b>", pd.DataFrame(cells))


@pytest.fixture(scope="module")
def iris() -> Run:
    return train_on_table(iris_table(), RunSettings("species", hidden=(6,), epochs=4, estimators=2))


@pytest.fixture(scope="module")
def numbers() -> Run:
    table = a_table(x=UNEVEN, price=[2 * a + 0.01 * (i % 3) for i, a in enumerate(UNEVEN)])
    return train_on_table(table, RunSettings("price", hidden=(4,), epochs=5, estimators=2))


@pytest.fixture(scope="module")
def hostile() -> Run:
    """Train on two classes whose names, and those of columns and categories, are markup."""
    kinds = [f"{HOSTILE} {i % 15}" for i in range(60)]
    table = a_table(
        **{HOSTILE: UNEVEN, "kind": kinds, "same": ["1"] * 60, "y": [f"{HOSTILE} {i % 7 % 2}" for i in range(60)]}
    )
    settings = RunSettings("y", hidden=(2,), epochs=1, estimators=2)
    run = train_on_table(table, settings, sources=[f"{HOSTILE}.csv"])
    return replace(run, notes=[HOSTILE, *run.notes])


_drawn: dict[str, dict[str, charts.Picture]] = {}


def pictures_of(run: Run) -> dict[str, charts.Picture]:
    """Return the pictures of the run with this title, drawn once."""
    if run.title not in _drawn:
        _drawn[run.title] = draw_pictures(run)
    return _drawn[run.title]


def page_of(run: Run) -> str:
    return report_page(run, pictures_of(run))


class Page(HTMLParser):
    """The elements of a page, checked to be nested properly, its text, and its tables, as rows of texts by caption."""

    VOID = ("meta", "img", "br", "link", "source", "hr")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = self.caption = ""
        self.tables: dict[str, list[list[str]]] = {}
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "caption":
            self.caption = ""
        elif tag == "tr":
            self.tables.setdefault(self.caption, []).append([])
        elif tag in ("th", "td"):
            self.tables[self.caption][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        place = self.open[-1] if self.open else "style"
        self.text += data * (place != "style")
        if place == "caption":
            self.caption += data
        elif place in ("th", "td"):
            self.tables[self.caption][-1][-1] += data

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
            assert (attributes.get(name) or "data:").startswith(("data:", "#"))
    assert "url(" not in html
    assert "@import" not in html


def test_the_pictures_are_inlined_for_light_and_dark_pages_and_described(run: Run) -> None:
    images = Page(page_of(run)).all("img")
    pictures = list(pictures_of(run))
    result = ["predictions"] if run.target.task == "regression" else ["confusion", "reliability"]
    two = ["roc", "precision_recall"] if len(run.target.classes) == 2 else []
    regions = ["regions"] if len(run.inputs) > 1 else []
    assert sorted(pictures) == sorted(["loss", "surface", "flow", "network", *result, *two, *regions])
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
    assert tags.count("h2") == 9 + (len(run.target.classes) == 2)
    assert tags.count("dt") == tags.count("dd") > 3
    assert tags.count("caption") == tags.count("table")
    assert {attributes["scope"] for attributes in page.all("th")} == {"col", "row"}


def test_texts_of_the_table_are_shown_literally_and_are_never_markup(hostile: Run) -> None:
    html = page_of(hostile)
    assert "<script" not in html
    assert "<b>things" not in html
    page = Page(html)
    assert f"<b>things</b>: predicting {hostile.target.name}" in page.text
    assert HOSTILE in page.text
    assert f"{HOSTILE} 1" in page.text


def test_the_page_fits_light_dark_and_printed_pages(iris: Run) -> None:
    html = page_of(iris)
    assert '<meta name="color-scheme" content="light dark">' in html
    assert "@media (prefers-color-scheme: dark)" in html
    assert "@media print" in html


# --- the figures ------------------------------------------------------------------------------------------------------


def cells(run: Run, caption: str) -> list[list[str]]:
    (found,) = [rows for name, rows in Page(page_of(run)).tables.items() if caption in name]
    return found


def test_the_scores_are_those_of_the_run_with_their_spread_and_their_meaning(run: Run) -> None:
    header, *rows = cells(run, "which training did not see")
    baseline = "mean" if run.target.task == "regression" else "most frequent class"
    assert header == ["score", "network", "linear model", baseline]
    others = run.scores, run.scores["linear"], run.scores["baseline"]
    assert {row[0]: row[1:] for row in rows} == {
        LABELS[key][0]: [with_spread(scores, key).replace("± ", "±\u00a0") for scores in others]
        for key in run.scores["baseline"]
        if key in LABELS
    }
    assert sum("±" in cell for row in rows for cell in row) >= 4
    page = Page(page_of(run))
    assert spread_meaning(run.scores["method"]) in page.text
    for row in rows:
        assert f"{row[0]}the " in page.text  # a term, which a style sheet separates from its meaning


def test_the_classes_are_those_of_the_scores(iris: Run) -> None:
    header, *rows = cells(iris, "Class by class")
    assert header == ["class", "precision", "recall", "F1", "rows"]
    assert rows == [[figures(x) for x in entry.values()] for entry in iris.scores["per_class"]]
    assert [row[0] for row in rows] == ["setosa", "versicolor", "virginica"]


def test_the_columns_stand_by_their_importance_each_with_its_spread(run: Run) -> None:
    header, *rows = cells(run, "All columns in use")
    assert header == ["column", "", "importance"]
    assert [row[0] for row in rows] == run.importance["column"].tolist()
    assert all("±" in row[2] or float(row[2]) == 0.0 for row in rows)
    found = [float(row[2].split()[0]) for row in rows]
    assert found == pytest.approx(run.importance["importance"].tolist(), rel=0.1, abs=0.05)
    assert page_of(run).count('<td class="bar">') == len(rows)


def test_of_many_columns_the_most_important_are_shown(iris: Run) -> None:
    many = pd.DataFrame({"column": [f"c{i}" for i in range(60)], "importance": np.arange(60.0)[::-1], "spread": 1.0})
    _, *rows = cells(replace(iris, importance=many), "The first 25 of 60 columns")
    assert [row[0] for row in rows] == [f"c{i}" for i in range(25)]


def test_a_bar_stays_inside_its_cell() -> None:
    assert str(Bar(0.5, 0.25)) == '<span style="width:50.0%"></span><i style="left:25.0%;width:50.0%"></i>'
    assert str(Bar(-0.5, 0.25)) == '<span style="width:0.0%"></span><i style="left:0.0%;width:0.0%"></i>'
    assert str(Bar(1.0, 0.5)) == '<span style="width:100.0%"></span><i style="left:50.0%;width:50.0%"></i>'


def test_thresholds_of_two_classes_stand_with_their_scores(hostile: Run) -> None:
    found = hostile.scores["threshold"]
    header, *rows = cells(hostile, f"Thresholds chosen on {found['chosen_on']}")
    assert header == ["threshold", "probability", "precision", "recall", "F1"]
    keys = ("threshold", "precision", "recall", "f1")
    assert [row[1:] for row in rows] == [[figures(entry[key]) for key in keys] for entry in found["held_out"].values()]


def test_the_summary_counts_what_the_predictions_say(iris: Run, numbers: Run) -> None:
    right = (iris.predictions["true"] == iris.predictions["predicted"]).sum()
    assert f"The network is right on {right} of 30 held-out rows" in Page(page_of(iris)).text
    error = (numbers.predictions["true"] - numbers.predictions["predicted"]).abs().mean()
    assert f"On 12 held-out rows the network is off by {figures(error)} on average" in Page(page_of(numbers)).text


def test_notes_stand_on_top_and_columns_that_were_left_out_in_the_table_of_the_data(hostile: Run) -> None:
    parser = Page(page_of(hostile))
    assert parser.all("a") == [{"href": "#data"}]
    assert {"id": "data"} in parser.all("section")
    assert parser.text.count("1 column left out: see the data") == 1
    _, *rows = cells(hostile, "rows to train on, 12 held out")
    assert [row[:2] for row in rows] == [
        [HOSTILE, "number"],
        ["kind", "category"],
        ["same", "left out"],
        ["y", "target"],
    ]
    assert rows[2][2] == hostile.preparation.columns_[2].said
    assert f"{HOSTILE} 3" in rows[1][2]
    assert rows[1][2].endswith(" more")
    assert rows[3][2] == f"classes: {HOSTILE} 0, {HOSTILE} 1"


def test_without_pictures_the_page_has_everything_else(iris: Run) -> None:
    page = Page(report_page(iris, {}))
    assert page.all("img") == page.all("figure") == []
    headings = [tag for tag, _ in page.elements].count("h2")
    assert headings == 9 - 2
    assert len(page.all("table")) == len(Page(page_of(iris)).all("table"))


@pytest.mark.slow("3 s: another process")
def test_without_pictures_matplotlib_is_not_imported() -> None:
    program = (
        "import sys\n"
        "from microgrud.cli.pipeline import train_on_table\n"
        "from microgrud.cli.report import report_page\n"
        "from microgrud.cli.runfolder import write_report\n"
        "from microgrud.cli.settings import RunSettings\n"
        "from microgrud.tables.table import iris_table\n"
        "report_page(train_on_table(iris_table(), RunSettings('species', hidden=(2,), epochs=1)), {})\n"
        "assert 'matplotlib' not in sys.modules and 'graphviz' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_same_run_gives_the_same_page(iris: Run) -> None:
    again = train_on_table(iris_table(), RunSettings("species", hidden=(6,), epochs=4, estimators=2))
    assert report_page(again, {}) == report_page(iris, {})
    assert draw_pictures(again) == pictures_of(iris)


def test_the_wrong_predictions_are_listed_the_worst_first(iris: Run, hostile: Run, numbers: Run) -> None:
    frame = iris.predictions
    wrong = frame[frame["true"] != frame["predicted"]]
    assert len(wrong) > 0
    _, *rows = cells(iris, "were predicted incorrectly")
    of_true = [frame.at[i, f"probability {true}"] for i, true in wrong["true"].items()]
    worst = wrong.iloc[np.argsort(of_true, kind="stable")]
    assert [int(row[0]) for row in rows] == worst["row"].tolist()[:15]
    assert [float(row[4]) for row in rows] == pytest.approx(sorted(of_true)[:15], rel=1e-3)
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


def test_the_layers_and_the_settings_are_listed(hostile: Run, iris: Run) -> None:
    _, *layers = cells(hostile, "parameters, in each of 2 networks whose answers are averaged")
    inputs = len(hostile.model.layers[0].neurons[0].w)
    activation = hostile.model.layers[0].neurons[0].activation.label
    assert layers == [
        ["hidden 1", str(inputs), "2", activation, str(2 * inputs + 2)],
        ["output", "2", "2", "Linear", "6"],
    ]
    for run, share in ((run, run.network.network_share_) for run in (iris, hostile)):
        blend = f"; blended with 2 linear models, whose share is {1 - share:.0%}"
        assert (blend in page_of(run)) == (share < 1.0)
    steps = len(iris.history)
    _, *settings = cells(iris, f"{steps} steps in 4 epochs")
    listed = dict(settings)
    assert (listed["optimizer"], listed["most epochs"], listed["seed"]) == ("adamw", "4", "0")
    assert listed["epoch with the lowest validation loss"] == str(iris.history.best_epoch)
    assert "folds" not in listed


def test_the_command_names_what_the_user_chose_and_no_defaults() -> None:
    table = a_table(x=UNEVEN, code=[1, 2, 3] * 20, y=[0.5 * i for i in UNEVEN], z=UNEVEN)
    settings = RunSettings(
        "y", hidden=(2,), epochs=1, optimizer="lbfgs", ignore=("z",), categorical=("code",), drop_missing=True,
        delimiter=":",
    )  # fmt: skip
    assert command(train_on_table(table, settings, sources=["my table.csv"])) == [
        *("microgrud", "train", "my table.csv", "--target", "y", "--ignore", "z", "--categorical", "code"),
        *("--drop-missing", "--delimiter", ":", "--hidden", "2", "--optimizer", "lbfgs", "--epochs", "1"),
    ]


# --- the parts of a page ----------------------------------------------------------------------------------------------


def test_numbers_stand_on_the_right_and_long_texts_are_broken_into_lines() -> None:
    html = markup.table("caption", ["name", "a", "b"], [["x" * 30, "0.5 ± 0.1", 2], ["y", "", 3.0]])
    kinds = {name: attributes.get("class") for name, attributes in zip("abcdefghi", Page(html).all("td"))}
    assert kinds == dict.fromkeys("abcd", "number")
    assert [attributes.get("class") for attributes in Page(html).all("th")] == [None, "number", "number", "long", None]


def test_a_table_of_many_rows_scrolls_inside_the_page() -> None:
    for rows, kind in ((40, "scroll"), (41, "scroll tall")):
        assert Page(markup.table("caption", ["name"], [["x"]] * rows)).all("div") == [{"class": kind}]


@pytest.mark.parametrize(("inches", "wide"), [(4.8, False), (9.0, True)])
def test_a_picture_shrinks_until_its_letters_would_be_too_small(inches: float, wide: bool) -> None:
    picture = charts.Picture(charts.drawn(lambda: charts.figure(inches)), "alt", "caption")
    page = Page(markup.side_by_side(picture))
    least = {str(image["style"]) for image in page.all("img")}
    assert least == {f"min-width:{0.72 * 96 * inches:.0f}px"}
    assert page.all("figure") == [{"class": "wide"} if wide else {}]
    assert 0.72 * 96 * charts.WIDTH <= 390 - 2 * 16  # a phone's width without the margins of the page
