"""Tables of text, which name the places of their rows."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from readings import Write
from sklearn.datasets import load_iris

from microgrud.tables import Table, TableError, read_table
from microgrud.tables.table import iris_table

ROWS = [f"{i},{'red' if i % 2 else 'blue'},{i % 3}" for i in range(12)]


def lines(*rows: str, header: str = "size,colour,class") -> str:
    return "\n".join([header, *ROWS, *rows]) + "\n"


# --- tables -----------------------------------------------------------------------------------------------------------


def test_places_stay_those_of_the_file_when_rows_are_dropped(write: Write) -> None:
    table = read_table(write("a,b\n1,\n2,3\n4,5\n")).without_missing(["a", "b"])
    assert [table.place(i) for i in range(len(table))] == ["row 2 (line 3)", "row 3 (line 4)"]
    assert table.row_numbers == [2, 3]


def test_a_table_that_is_not_from_a_file_has_rows_and_no_lines() -> None:
    assert iris_table().place(4) == "row 5"


def test_iris_is_scikit_learns() -> None:
    table, data = iris_table(), load_iris()
    assert np.array_equal(table.cells.iloc[:, :4].to_numpy(float), data.data)
    assert list(table.cells["species"]) == [data.target_names[i] for i in data.target]


@pytest.mark.parametrize("missing", ["", "NA", "NaN", "null", "?", "None"])
def test_rows_with_missing_cells_can_be_left_out(write: Write, missing: str) -> None:
    table = read_table(write(f"a,b\n1,x\n2,{missing}\n{missing},z\n"))
    assert table.without_missing(["a", "b"]).row_numbers == [1]
    assert table.without_missing(["a"]).row_numbers == [1, 2]


def test_an_unknown_column_is_answered_with_the_closest_one(write: Write) -> None:
    table = read_table(write(lines()))
    with pytest.raises(TableError, match=r"no column 'Color'; did you mean 'colour'\?"):
        table.require("Color")
    with pytest.raises(TableError, match=r"no column 'csas'; did you mean 'class'\?"):
        table.require("csas")
    with pytest.raises(TableError, match="no column 'zzz'; choose one of 'size', 'colour', 'class'"):
        table.require("zzz")


@given(st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.text(min_size=1)), min_size=1))
def test_numbers_and_texts_survive_a_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, str]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("number", "text"), *((repr(x), "t" + text.replace("\0", "")) for x, text in rows)])
    table = read_table(path)
    assert [float(cell) for cell in table.cells["number"]] == [x for x, _ in rows]
    assert list(table.cells["text"]) == [("t" + text.replace("\0", "")).strip() for _, text in rows]


def test_all_unknown_columns_are_named_with_the_closest_known_one():
    with pytest.raises(TableError) as caught:
        Table("t", pd.DataFrame({"size": ["1"], "colour": ["red"]})).require("sise", "colour", "color")
    assert str(caught.value).split("\n") == [
        "t: there is no column 'sise'; did you mean 'size'?",
        "t: there is no column 'color'; did you mean 'colour'?",
    ]
