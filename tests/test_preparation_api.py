"""The preparation as a transformer of scikit-learn, and as JSON."""

from __future__ import annotations

import copy
import json
import re
import time
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline

from microgrud.tables import TableError, read_table, write_table
from microgrud.tables.preparation import TablePreparation
from microgrud.tables.problems import PreparationError
from microgrud.tables.text import as_text

RANDOM = np.random.default_rng(1)
FRAME = pd.DataFrame(
    {
        "size": RANDOM.normal(50, 9, 120).round(1),
        "colour": RANDOM.choice(["red", "blue", "green", None], 120),
        "when": pd.date_range("2024-01-01", periods=120, freq="31h"),
        7: RANDOM.integers(0, 9, 120),
    }
)
CLASSES = np.where(FRAME["size"] + RANDOM.normal(0, 3, 120) > 50, "big", "small")


def test_it_works_in_pipelines_searches_and_cross_validation():
    model = make_pipeline(TablePreparation(), LogisticRegression(max_iter=500))
    assert cross_val_score(model, FRAME, CLASSES, cv=3).mean() > 0.8
    grid = {"tablepreparation__max_categories": [2, 5, 50]}
    search = GridSearchCV(model, grid, cv=2).fit(FRAME, CLASSES)
    assert len(search.cv_results_["params"]) == 3
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.predict(FRAME.iloc[:5]).shape == (5,)
    ridge = make_pipeline(TablePreparation(), Ridge()).fit(FRAME, FRAME["size"] * 2)
    assert ridge.score(FRAME, FRAME["size"] * 2) > 0.9


def test_it_gives_data_frames_if_asked():
    preparation = TablePreparation().set_output(transform="pandas").fit(FRAME)
    inputs = preparation.transform(FRAME)
    assert list(inputs.columns) == list(preparation.get_feature_names_out())
    assert {"size", "colour = red", "colour is missing", "when: days", "7"} <= set(inputs.columns)
    assert np.array_equal(inputs.to_numpy(), TablePreparation().fit(FRAME).transform(FRAME))
    assert clone(preparation).get_params() == preparation.get_params()


def test_columns_are_found_by_name_in_any_order_and_others_are_ignored():
    preparation = TablePreparation().fit(FRAME)
    moved = FRAME.rename(columns=str)[["7", "when", "size", "colour"]].assign(more="text")
    assert np.array_equal(preparation.transform(moved), preparation.transform(FRAME))


def test_all_missing_columns_are_named():
    preparation = TablePreparation().fit(FRAME)
    with pytest.raises(TableError, match=r"^the model needs columns that the table lacks: 'size', '7'; add them$"):
        preparation.transform(FRAME[["colour", "when"]])
    twice = pd.concat([FRAME, FRAME[["colour"]]], axis=1)
    for use in (preparation.transform, TablePreparation().fit):
        with pytest.raises(TableError, match="several columns are called 'colour'"):
            use(twice)


def test_arrays_are_taken_too():
    numbers = RANDOM.normal(size=(30, 2))
    assert list(TablePreparation().fit(numbers).get_feature_names_out()) == ["x0", "x1"]
    with pytest.raises(ValueError, match="expected a DataFrame, or an array with rows and columns"):
        TablePreparation().fit(numbers[:, 0])


def test_cells_of_any_type_are_taken_by_the_text_that_a_file_would_give():
    cells = [["a"], ["b"], None, ["a"], ("a", "b"), 1, 2.0, "2", True, b"x"] * 3
    frame = pd.DataFrame({"x": pd.Series(cells, dtype=object)})
    preparation = TablePreparation().fit(frame)
    assert preparation.columns_[0].categories == ["1", "2", '["a", "b"]', '["a"]', '["b"]', "True", "x"]
    assert np.isfinite(preparation.transform(frame)).all()


def test_numbers_of_other_types_are_those_of_their_file():
    frame = pd.DataFrame({"code": [2**60, 2**60 + 1, 1] * 10, "small": np.array([0.1, 0.7, -3.3] * 10, np.float32)})
    preparation = TablePreparation(categorical=["code"]).fit(as_text(frame))
    assert preparation.columns_[0].categories == ["1", "1152921504606846976", "1152921504606846977"]
    np.testing.assert_array_equal(preparation.transform(frame), preparation.transform(as_text(frame)))
    assert preparation.remarks(frame) == []


def test_rows_are_numbered_as_in_the_whole_table():
    cells = pd.DataFrame({"x": [str(k * k) for k in range(40)] + ["huge"], "y": RANDOM.normal(size=41).round(3)})
    _, part = train_test_split(cells, test_size=0.9, random_state=0, stratify=None)
    part = pd.concat([part.drop(index=40, errors="ignore"), cells.loc[[40]]])
    assert TablePreparation().fit(part).notes_ == ["column 'x', row 41: 'huge': not a number, counted as missing"]
    ambiguous = pd.DataFrame({"x": ["1", "1.234", "5.678"] * 9}).iloc[2:]
    with pytest.raises(PreparationError, match=r"^column 'x', row 3 and row 5: '5.678' and '1.234' can be") as caught:
        TablePreparation().fit(ambiguous)
    assert caught.value.problems[0].rows == (0, 2)


def test_names_of_inputs_differ_even_if_columns_are_named_like_inputs():
    frame = pd.DataFrame({"a": ["x", "", "y"] * 5, "a = x": [1.5, 2, 4] * 5, "a is missing": [1, 2, 3] * 5})
    names = list(TablePreparation().fit(frame).get_feature_names_out())
    assert len(set(names)) == len(names)
    assert "a = x (2)" in names


DOCUMENT = TablePreparation(decimal=",").fit(FRAME).to_json()


@pytest.mark.parametrize(
    ("path", "entry", "message"),
    [
        (["columns", 0, "kind"], "numbr", "columns[0].kind: expected 'number' or 'date' or"),
        (["columns", 0, "low"], 1, "columns[0].low: expected a number with a decimal point"),
        (["columns", 0, "decimal"], ";", "columns[0].decimal: expected '.' or ','"),
        (["columns", 0, "unit"], ["kg"], "columns[0].unit: expected a list of two strings"),
        (["columns", 1, "categories"], ["a", "a"], "columns[1].categories: expected a list of different strings"),
        (["columns", 1, "name"], "size", "the names of preparation.columns: expected a list of different strings"),
        (["columns", 2, "first"], "yesterday", "columns[2].first: expected a day as YYYY-MM-DD"),
        (["columns", 2, "first"], "2024-13-77", "columns[2].first: expected a day as YYYY-MM-DD"),
        (["columns", 2, "parts"], ["century"], "columns[2].parts: expected a list of some of year, month"),
        (["columns", 2, "parts"], ["year"], "preparation.numbers: expected 3 entries, as many as the columns need"),
        (["numbers", 0, "scale"], 0.0, "numbers[0].scale: expected a number above 0"),
        (["numbers", 0, "median"], float("nan"), "numbers[0].median: expected a number with"),
        (["most_frequent"], ["violet"], "most_frequent[0]: expected a category of 'colour', got 'violet'"),
        (["most_frequent"], [], "preparation.most_frequent: expected 1 entries"),
        (["options"], {}, "preparation.options: expected a dict with the keys"),
        (["notes"], "none", "preparation.notes: expected a list"),
        (["columns"], [None], "preparation.columns[0]: expected a dict"),
    ],
)  # fmt: skip
def test_a_damaged_document_is_an_error_that_names_the_entry(path, entry, message):
    document = copy.deepcopy(DOCUMENT)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = entry
    with pytest.raises(ValueError, match=f"^[^\n]*{re.escape(message)}[^\n]*$"):
        TablePreparation.from_json(document)


@pytest.mark.parametrize("categories", [[], [" other"]])
def test_a_document_without_a_category_for_missing_cells_is_damaged(categories):
    document = copy.deepcopy(DOCUMENT)
    document["columns"][1]["categories"], document["most_frequent"] = categories, [" other"]
    with pytest.raises(ValueError, match=r"most_frequent\[0\]: expected a category of 'colour', got ' other'"):
        TablePreparation.from_json(document)


def test_a_preparation_is_restored_from_text():
    preparation = TablePreparation().fit(FRAME)
    restored = TablePreparation.from_json(json.loads(json.dumps(preparation.to_json(), allow_nan=False)))
    assert np.array_equal(restored.transform(FRAME), preparation.transform(FRAME))
    assert restored.columns_ == preparation.columns_
    assert restored.notes_ == preparation.notes_


def test_many_different_texts_take_no_quadratic_time():
    cells = pd.DataFrame({"x": [f"some text {k}" for k in range(30_000)], "y": np.arange(30_000) % 7})
    started = time.perf_counter()
    TablePreparation().fit(cells).transform(cells)
    assert time.perf_counter() - started < 60  # a third of a second on an idle machine; quadratic time is minutes


def test_a_cell_that_is_held_out_may_tell_the_marks_and_the_orders_of_its_column() -> None:
    frame = pd.DataFrame(
        {"price": ["1.234", "5.678", "2.345", "0,5"], "day": ["3/4/2019", "5/6/2019", "7/8/2020", "13/4/2019"]}
    )
    with pytest.raises(TableError, match="can be read in two ways"):
        TablePreparation(delimiter=";").fit(frame[:3])
    preparation = TablePreparation(delimiter=";")
    preparation.fit(frame[:3], decided=preparation.decide(frame))
    price, day = preparation.columns_
    assert (price.decimal, day.day_first) == (",", True)  # type: ignore[attr-defined]


def test_columns_that_do_not_vary_in_the_rows_to_learn_from_are_left_out_with_a_note() -> None:
    frame = pd.DataFrame({"a": ["1", "1", "1", "2"], "b": ["x", "", "x", "y"], "c": ["1", "2", "3", "4.5"]})
    preparation = TablePreparation()
    preparation.fit(frame[:3], decided=preparation.decide(frame))
    assert [plan.kind for plan in preparation.columns_] == ["left out", "presence", "number"]
    assert sum("in the rows to learn from are alike" in note for note in preparation.notes_) == 2
    assert preparation.transform(frame).shape == (4, 2)


def test_cells_that_are_written_as_those_of_training_were_not_are_read_as_they_are_with_a_note() -> None:
    prices, days = ["0.5", "1234.25", "-3.75"], ["2/13/2019", "3/4/2019", "12/31/2020"]
    preparation = TablePreparation().fit(pd.DataFrame({"price": prices, "day": days}))
    other = pd.DataFrame({"price": ["0,5", "1.234,25", "-3,75"], "day": ["13/2/2019", "4/3/2019", "31/12/2020"]})
    expected = preparation.transform(pd.DataFrame({"price": prices, "day": days}))
    inputs, notes = preparation.transform_and_remark(other)
    assert (inputs == expected).all()
    assert [note.split(";")[0] for note in notes] == [
        "column 'price' was read with a decimal comma, as its cells are written",
        "column 'day' was read with the day first, as its cells are written",
    ]


def test_cells_of_two_styles_are_read_as_those_of_training_and_others_are_missing() -> None:
    preparation = TablePreparation().fit(
        pd.DataFrame({"price": ["0.5", "", "2.25"], "day": ["2/13/2019", "", "3/4/2019"]})
    )
    mixed = pd.DataFrame({"price": ["2.25", "0,5", "1,5"], "day": ["2/13/2019", "13/2/2019", "14/2/2019"]})
    missing = mixed.assign(price=["2.25", "", ""], day=["2/13/2019", "", ""])
    assert np.array_equal(preparation.transform(mixed), preparation.transform(missing))


@pytest.mark.parametrize("ending", [".parquet", ".xlsx", ".jsonl"])
def test_floats_of_typed_files_are_not_read_as_thousands(tmp_path: Path, ending: str) -> None:
    cells = ["1,5", "1.125,75", "2", "-3,5"]
    preparation = TablePreparation().fit(pd.DataFrame({"a": cells}))
    numbers = pd.DataFrame({"a": [1.125, 12.125, -100.125]})
    write_table(numbers, tmp_path / f"p{ending}")
    inputs, notes = preparation.transform_and_remark(read_table(tmp_path / f"p{ending}").cells)
    assert np.array_equal(inputs, preparation.transform(numbers))
    assert [note.split(",")[0] for note in notes] == ["column 'a' was read with a decimal point"]


def test_floats_beside_texts_with_decimal_commas_are_an_error_and_not_thousands(tmp_path: Path) -> None:
    mixed = pd.DataFrame({"a": ["1,5", 1.125, "2,5", 2.125]}, dtype=object)
    book = openpyxl.Workbook()
    for row in (["a"], ["1,5"], [1.125], ["2,5"], [2.125]):
        book.active.append(row)
    book.save(tmp_path / "p.xlsx")
    lines = [json.dumps({"a": cell}) for cell in mixed["a"]]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    for cells in (mixed, read_table(tmp_path / "p.xlsx").cells, read_table(tmp_path / "p.jsonl").cells):
        with pytest.raises(TableError, match=r"'1.1250' is a number only with a decimal point, '1,5' only with"):
            TablePreparation().fit(cells)


def test_floats_of_typed_files_are_the_categories_of_texts(tmp_path: Path) -> None:
    texts = pd.DataFrame({"a": ["1.125", "2.5", "1.125", "2.5"]})
    preparation = TablePreparation(categorical=["a"]).fit(texts)
    texts.astype(float).to_parquet(tmp_path / "p.parquet")
    assert np.array_equal(preparation.transform(read_table(tmp_path / "p.parquet").cells), preparation.transform(texts))


@pytest.mark.parametrize("cell", ["inf", "1e200"])
def test_a_number_too_large_does_not_change_the_decimal_mark(cell: str) -> None:
    preparation = TablePreparation().fit(pd.DataFrame({"a": ["1.5", "2.25", "-3.5"]}))
    odd, missing = (pd.DataFrame({"a": [each, "1.234"]}) for each in (cell, ""))
    assert np.array_equal(preparation.transform(odd), preparation.transform(missing))


@pytest.mark.parametrize("integer", [4111111111111111, 2**53, -(10**15)])
def test_integers_of_many_digits_are_one_category_typed_or_as_text(integer: int) -> None:
    codes = pd.DataFrame({"card": [integer, 7, integer, 7]})
    preparation = TablePreparation(categorical=["card"]).fit(codes)
    assert str(integer) in preparation.columns_[0].categories
    assert np.array_equal(preparation.transform(as_text(codes)), preparation.transform(codes))
    assert not preparation.remarks(as_text(codes))


def test_columns_that_both_marks_read_follow_those_that_one_reads_with_a_note() -> None:
    points = pd.DataFrame({"a": ["1.5", "12.5", "3"], "b": ["1234", "950", "2"], "n": ["3", "7", "9"]})
    preparation = TablePreparation().fit(points)
    commas = pd.DataFrame({"a": ["12,5", "2"], "b": ["1.234", "2"], "n": ["4", "5"]})
    inputs, notes = preparation.transform_and_remark(commas)
    assert np.array_equal(inputs, preparation.transform(commas.assign(a=["12.5", "2"], b=["1234", "2"])))
    assert [note.split(",")[0] for note in notes] == [
        "column 'a' was read with a decimal comma",
        "column 'b' was read with a decimal comma",
    ]


@pytest.mark.parametrize(
    ("trained", "cells"),
    [
        pytest.param({"a": ["1.5", "2"], "b": ["1.5", "7"]}, {"b": ["1.234", "2.5"]}, id="another column contradicts"),
        pytest.param({"a": ["1.5", "2"], "b": ["1,5", "7"]}, {"b": ["1,234", "2"]}, id="training had both marks"),
    ],
)
def test_columns_that_both_marks_read_are_as_in_training_where_marks_differ(trained, cells) -> None:
    preparation = TablePreparation().fit(pd.DataFrame(trained))
    frame = pd.DataFrame({"a": ["12,5", "7,5"], **cells})
    alone = frame.assign(a=["12.5", "7.5"])
    assert np.array_equal(preparation.transform(frame), preparation.transform(alone))


@pytest.mark.parametrize("cells", [[0, 1, 1, 0, 0], [1, 1, 0, 1, 1], ["0", "1", "1", "", "0"]])
@pytest.mark.parametrize("words", [[True, False], ["true", "false"], ["TRUE", "FALSE"]])
def test_truth_values_are_0_and_1_where_training_had_these_numbers(cells, words) -> None:
    preparation = TablePreparation().fit(pd.DataFrame({"x": cells}))
    truth, numbers = pd.DataFrame({"x": words}), pd.DataFrame({"x": [1, 0]})
    for frame in (truth, truth.convert_dtypes(), as_text(truth)):
        inputs, notes = preparation.transform_and_remark(frame)
        assert np.array_equal(inputs, preparation.transform(numbers))
        assert not notes


def test_truth_values_are_no_numbers_where_training_had_others() -> None:
    preparation = TablePreparation().fit(pd.DataFrame({"x": [0, 1, 40]}))
    assert "'True' (and 1 more such cell): not a number" in preparation.remarks(pd.DataFrame({"x": [True, False]}))[0]


def test_a_warning_names_a_column_none_of_whose_cells_can_be_read() -> None:
    frame = pd.DataFrame({"rate": ["10%", "12.5%", "3%"], "day": ["2020-02-29", "2020-03-02", "2021-01-01"]})
    preparation = TablePreparation().fit(frame)
    with pytest.warns(UserWarning, match="none of its cells") as caught:
        preparation.transform(pd.DataFrame({"rate": [10.5, None, 3.0], "day": ["soon", "2020-02-29", ""]}))
    assert [str(warning.message) for warning in caught] == [
        "column 'rate': none of its cells can be read; e.g. '10.5': not a number, or one far beyond those seen in "
        "training, counted as missing"
    ]
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=r"^column 'day': none of its cells can be read; e.g. 'soon': not a date, "):
        preparation.transform(frame.assign(day="soon"))
    preparation.transform(frame.assign(rate=None))
    assert preparation.transform_and_remark(frame.assign(day="soon"))[1]
