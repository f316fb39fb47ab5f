"""Tables of text, and converting them to numbers and back."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from sklearn.datasets import load_iris
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from microgrud.cli.preprocessing import CategoryColumn, NumberColumn, Preprocessing, class_names, inspect_target
from microgrud.tables import Table, TableError, read_table
from microgrud.tables.table import iris_table

Write = Callable[..., Path]

ROWS = [f"{i},{'red' if i % 2 else 'blue'},{i % 3}" for i in range(12)]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def lines(*rows: str, header: str = "size,colour,class") -> str:
    return "\n".join([header, *ROWS, *rows]) + "\n"


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_decimal_comma_is_read_where_commas_do_not_separate_cells(write: Write) -> None:
    assert read_table(write("a;b\n1,5;2\n-2,25e1;3\n")).numbers("a").tolist() == [1.5, -22.5]


def test_numbers_are_exact_and_text_is_nan(write: Write) -> None:
    table = read_table(write("x\n0.1\n1e-320\n+.5\n1_000\n0x10\nInfinity\n1e400\nnan\n"))
    numbers = table.numbers("x")
    assert numbers[:3].tolist() == [0.1, 1e-320, 0.5]
    assert np.isnan(numbers[[3, 4, 7]]).all()
    assert np.isinf(numbers[5:7]).all()


def test_places_stay_those_of_the_file_when_rows_are_dropped(write: Write) -> None:
    table = read_table(write("a,b\n1,\n2,3\n4,5\n")).without_missing(["a", "b"])
    assert [table.place(i) for i in range(len(table))] == ["row 2 (line 3)", "row 3 (line 4)"]
    assert table.row_numbers == [2, 3]


def test_a_table_that_is_not_from_a_file_has_rows_and_no_lines() -> None:
    assert iris_table().place(4) == "row 5"


def test_iris_is_scikit_learns() -> None:
    table, data = iris_table(), load_iris()
    assert np.array_equal(np.column_stack([table.numbers(name) for name in table.columns[:4]]), data.data)
    assert class_names(table, "species") == [data.target_names[i] for i in data.target]


@pytest.mark.parametrize("missing", ["", "NA", "NaN", "null", "?", "None"])
def test_missing_cells_are_found_row_by_row(write: Write, missing: str) -> None:
    table = read_table(write(f"a,b\n1,x\n2,{missing}\n{missing},z\n"))
    assert table.missing(["a", "b"]) == [("b", 1), ("a", 2)]
    assert table.missing(["a"]) == [("a", 2)]
    assert len(table.without_missing(["a"])) == 2


def test_an_unknown_column_is_answered_with_the_closest_one(write: Write) -> None:
    table = read_table(write(lines()))
    with pytest.raises(TableError, match=r"no column 'Color'; did you mean 'colour'\?"):
        table.require("Color")
    with pytest.raises(TableError, match=r"no column 'csas'; did you mean 'class'\?"):
        table.require("csas")
    with pytest.raises(TableError, match="no column 'zzz'; choose one of 'size', 'colour', 'class'"):
        table.without_columns(["zzz"])


@given(st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.text(min_size=1)), min_size=1))
def test_numbers_and_texts_survive_a_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, str]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("number", "text"), *((repr(x), "t" + text.replace("\0", "")) for x, text in rows)])
    table = read_table(path)
    assert table.numbers("number").tolist() == [x for x, _ in rows]
    assert list(table.cells["text"]) == [("t" + text.replace("\0", "")).strip() for _, text in rows]


# --- the kind of the target -------------------------------------------------------------------------------------------


def a_table(columns: dict[str, Sequence[object]]) -> Table:
    import pandas as pd

    return Table("things", pd.DataFrame({name: [str(x) for x in values] for name, values in columns.items()}))


def test_text_and_few_integers_are_classes_and_other_numbers_are_a_quantity() -> None:
    table = a_table(
        {
            "colour": ["red", "blue"] * 10,
            "yes": ["True", "False"] * 10,
            "grade": [1, 2, 10, 1] * 5,
            "half": [0.5, 1] * 10,
            "year": range(2000, 2020),
        }
    )
    found = {name: inspect_target(table, name) for name in table.columns}
    assert {name: target.task for name, target in found.items()} == {
        "colour": "classification",
        "yes": "classification",
        "grade": "classification",
        "half": "regression",
        "year": "regression",
    }
    assert found["colour"].classes == ["blue", "red"]
    assert found["grade"].classes == ["1", "2", "10"]


def test_the_user_decides_about_the_task() -> None:
    table = a_table({"grade": [1, 2, 3, 1] * 5, "half": [0.5, 1] * 10})
    assert inspect_target(table, "grade", "regression").classes == []
    assert inspect_target(table, "half", "classification").classes == ["0.5", "1"]
    assert inspect_target(table, "half", categorical=True).task == "classification"


def test_classes_are_in_the_order_of_their_numbers_and_then_of_the_alphabet() -> None:
    names = ["b", "inf", "10", "1_000", "2", "-inf", "1e1x", "-3.5"]
    table = Table("things", pd.DataFrame({"name": names * 2}))
    expected = ["-3.5", "2", "10", "-inf", "1_000", "1e1x", "b", "inf"]
    assert inspect_target(table, "name", "classification").classes == expected


def test_spellings_of_one_number_are_one_class() -> None:
    table = a_table({"grade": ["1", "1.0", "01", "2", "2.", "+2"] * 2})
    assert inspect_target(table, "grade").classes == ["1", "2"]


UNFIT_TARGETS = {
    "one class": (["a"] * 12, None, "has one class only ('a')"),
    "a class of one row": (["a"] * 11 + ["b"], None, "row 12: 'b' is the only row of its class"),
    "names": ([f"name {i % 60}" for i in range(120)], None, "60 classes in 120 rows, more than 50"),
    "a constant": ([1.5] * 12, None, "is constant: every row is '1.5'"),
    "text for a regression": (["a", "b"] * 6, "regression", "holds text such as 'a'"),
    "amounts": (
        [f"${i},000" for i in range(1, 121)],
        None,
        "holds text, 120 different ones in 120 rows, such as '$1,000'; make numbers of the cells, such as 1000 of '$1,",
    ),
    "a few amounts": (["1 k", "1 k", "1.5 k", "2 k"] * 3 + ["3 k"], None, "such as '1 k'; make numbers of the cells"),
    "amounts for a regression": (["-3 °C", "4 °C"] * 6, "regression", "such as -3 of '-3 °C'"),
    "mixed": ([0.5, 1, "a"] * 4, None, "row 3: expected a number, as in other rows, got 'a'"),
    "mostly text": (["a", "b", 1] * 4, None, "row 3: expected text, as in other rows, got '1'"),
    "infinite": ([0.5] * 11 + ["inf"], None, "row 12: expected a finite number, got 'inf'"),
    "few rows": ([0.5] * 9, None, "has 9 rows, fewer than 10"),
    "one row": ([0.5], None, "has 1 row, fewer than 10"),
}


@pytest.mark.parametrize("what", UNFIT_TARGETS)
def test_a_column_that_cannot_be_a_target_is_an_error(what: str) -> None:
    values, task, message = UNFIT_TARGETS[what]
    with pytest.raises(TableError) as caught:
        inspect_target(a_table({"y": values}), "y", task)  # type: ignore[arg-type]
    assert message in str(caught.value)


# --- preprocessing ----------------------------------------------------------------------------------------------------


@pytest.fixture
def things(write: Write) -> Table:
    return read_table(write(lines()))


def fitted(table: Table, target: str = "class", categorical: Sequence[str] = ()) -> Preprocessing:
    return Preprocessing.fit(table, inspect_target(table, target), categorical, range(0, len(table), 2))


def test_numbers_are_standardised_over_the_training_rows_as_scikit_learn_does(things: Table) -> None:
    preprocessing = fitted(things)
    sizes = things.numbers("size")[:, None]
    expected = StandardScaler().fit(sizes[::2]).transform(sizes)
    assert np.array_equal(preprocessing.features(things)[:, :1], expected)


def test_categories_become_one_input_each_as_scikit_learn_does(things: Table) -> None:
    preprocessing = fitted(things)
    expected = OneHotEncoder(sparse_output=False).fit_transform(things.cells[["colour"]].to_numpy(dtype=object))
    assert preprocessing.inputs == ["size", "colour = blue", "colour = red"]
    assert np.array_equal(preprocessing.features(things)[:, 1:], expected)


def test_numbers_can_be_categories_and_each_has_one_spelling(things: Table) -> None:
    preprocessing = fitted(things, "size", categorical=["class"])
    assert preprocessing.columns[1] == CategoryColumn("class", ["0", "1", "2"])
    other = a_table({"colour": ["red"], "class": ["2.0"]})
    assert preprocessing.features(other).tolist() == [[0.0, 1.0, 0.0, 0.0, 1.0]]


def test_a_regressions_target_is_standardised_and_a_class_is_an_index(things: Table) -> None:
    regression = fitted(things, "size")
    restored = np.array(regression.targets(things)) * regression.target.scale + regression.target.mean
    assert restored == pytest.approx(things.numbers("size"))
    assert fitted(things).targets(things) == [i % 3 for i in range(12)]


def test_preprocessing_is_rebuilt_from_json_to_the_bit(things: Table) -> None:
    for target in things.columns:
        preprocessing = fitted(things, target)
        rebuilt = Preprocessing.from_json(json.loads(json.dumps(preprocessing.to_json())))
        assert rebuilt == preprocessing
        assert np.array_equal(rebuilt.features(things), preprocessing.features(things))
        assert rebuilt.targets(things) == preprocessing.targets(things)


def test_the_order_of_columns_and_extra_columns_do_not_matter(things: Table) -> None:
    other = a_table({"extra": ["?"] * 12, **{name: list(things.cells[name]) for name in ("colour", "size")}})
    assert np.array_equal(fitted(things).features(other), fitted(things).features(things))


UNFIT_COLUMNS = {
    "constant": ([7] * 12, "column 'x' is constant: every row is '7'"),
    "constant in several spellings": (["7", "7.0"] * 6, "column 'x' is constant"),
    "identifiers": ([f"name {i}" for i in range(12)], "column 'x' has 12 different texts in 12 rows"),
    "areas": (
        [f"{100 + i}.5 m2" for i in range(12)],
        "column 'x' has 12 different texts in 12 rows, such as '100.5 m2': too many for categories; make numbers of "
        "the cells, such as 100.5 of '100.5 m2', or leave it out with --ignore 'x'",
    ),
    "dates": ([f"2020-01-{i + 10}" for i in range(12)], "too many for categories; leave it out with --ignore 'x'"),
    "mixed": (
        [1, 2, "three"] * 4,
        "column 'x', row 3: expected a number, as in other rows, got 'three' (and 3 more such cells); correct the cell",
    ),
    "infinite": ([1] * 11 + ["-inf"], "column 'x', row 12: expected a finite number, got '-inf'"),
    "the largest of several": ([1] * 10 + ["1e200", "-1e201"], "column 'x', row 12: expected a number from -1e+100"),
    "too large": ([1] * 11 + ["1e200"], "column 'x', row 12: expected a number from -1e+100 to 1e+100, got '1e200'"),
}


@pytest.mark.parametrize("what", UNFIT_COLUMNS)
def test_a_column_that_cannot_be_learned_from_is_an_error(what: str) -> None:
    values, message = UNFIT_COLUMNS[what]
    with pytest.raises(TableError) as caught:
        fitted(a_table({"x": values, "class": [0, 1] * 6}))
    assert message in str(caught.value)


def test_a_table_of_nothing_but_the_target_is_an_error() -> None:
    with pytest.raises(TableError, match="no column besides the target 'class'"):
        fitted(a_table({"class": [0, 1] * 6}))


UNFIT_ROWS = {
    "columns missing": ({"size": [1]}, "the model needs the columns 'colour', which the table lacks"),
    "an unseen category": (
        {"size": [1, 2], "colour": ["red", "pink"]},
        "row 2: expected a category that the model has seen, got 'pink'; change it to one of 'blue', 'red'",
    ),
    "text for a number": (
        {"size": [1, "big"], "colour": ["red"] * 2},
        "column 'size', row 2: expected a number, got 'big'; correct it",
    ),
    "several texts for numbers": (
        {"size": ["big", 1, "small"], "colour": ["red"] * 3},
        "column 'size', row 1: expected a number, got 'big' (and 1 more such cell); correct it",
    ),
    "an infinite number": (
        {"size": ["inf"], "colour": ["red"]},
        "column 'size', row 1: expected a finite number, got 'inf'",
    ),
    "several unseen categories": (
        {"size": [1, 2, 3], "colour": ["pink", "red", "grey"]},
        "row 1: expected a category that the model has seen, got 'pink' (and 1 more such cell); change it",
    ),
    "a missing cell": ({"size": [1], "colour": [""]}, "column 'colour', row 1: the cell is missing; fill it in"),
    "missing cells": (
        {"size": ["", "", 1, "?"], "colour": ["red", "", "red", "red"]},
        "column 'size', row 1: the cell is missing (and 3 more missing cells); fill it in, or leave out such rows",
    ),
}


@pytest.mark.parametrize("what", UNFIT_ROWS)
def test_rows_that_the_model_cannot_take_are_an_error(things: Table, what: str) -> None:
    columns, message = UNFIT_ROWS[what]
    with pytest.raises(TableError) as caught:
        fitted(things).features(a_table(columns))
    assert message in str(caught.value)


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.sampled_from("abc")), min_size=10, max_size=30).filter(
        lambda rows: all(len({row[i] for row in rows}) > 1 for i in (0, 1))
    )
)
def test_inputs_have_mean_0_and_categories_add_up_to_1(rows: list[tuple[float, str]]) -> None:
    table = a_table({"x": [x for x, _ in rows], "c": [c for _, c in rows], "y": range(len(rows))})
    preprocessing = Preprocessing.fit(table, inspect_target(table, "y", "regression"), [], range(len(rows)))
    features = preprocessing.features(table)
    number = preprocessing.columns[0]
    assert isinstance(number, NumberColumn)
    assert abs(features[:, 0].mean()) <= 1e-9 * max(1.0, abs(number.mean) / number.scale)
    assert (features[:, 1:].sum(axis=1) == 1.0).all()
