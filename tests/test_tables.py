"""Tables: reading them, and converting them to numbers and back."""

from __future__ import annotations

import csv
import json
import sys
import threading
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


def cells(table: Table) -> list[list[str]]:
    return [[str(x) for x in row] for row in table.cells.to_numpy()]


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_table_keeps_the_names_and_the_stripped_text_of_its_cells(write: Write) -> None:
    table = read_table(write('size , colour\n 1, light red \n2.50,"a, b"\n', "things.csv"))
    assert (table.name, table.columns, len(table)) == ("things", ["size", "colour"], 2)
    assert cells(table) == [["1", "light red"], ["2.50", "a, b"]]
    assert table.numbers("size").tolist() == [1.0, 2.5]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_tells_the_delimiter(write: Write, delimiter: str) -> None:
    text = "\n".join(["a b,c d", "1,2"]).replace(",", delimiter)
    assert read_table(write(text)).columns == ["a b", "c d"]


def test_the_delimiter_can_be_given(write: Write) -> None:
    assert read_table(write("a:b\n1:2\n"), delimiter=":").columns == ["a", "b"]


def test_several_byte_order_marks_are_no_part_of_a_name(write: Write) -> None:
    assert list(read_table(write(b"\xef\xbb\xbf" * 2 + b"a,b\n1,2\n")).columns) == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_is_read_in_its_encodings(write: Write, encoding: str) -> None:
    table = read_table(write("größe,ζ\n1,ü\n".encode(encoding)))
    assert (table.columns, cells(table), table.notes) == (["größe", "ζ"], [["1", "ü"]], [])


def test_text_that_is_not_unicode_is_read_as_windows_1252_with_a_note(write: Write) -> None:
    table = read_table(write("größe,b\n1,é\n".encode("cp1252")))
    assert cells(table) == [["1", "é"]]
    assert "Windows-1252" in table.notes[0]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_read(write: Write, newline: str) -> None:
    assert cells(read_table(write(newline.join(["a,b", "1,2", "3,4"])))) == [["1", "2"], ["3", "4"]]


def test_a_long_cell_is_read_and_counts_its_lines(write: Write) -> None:
    limit = csv.field_size_limit()
    table = read_table(write('a,b\n"' + "x\n" * 100_000 + '",2\n3,4\n'))
    assert [len(cell) for cell in table.cells["a"]] == [199_999, 1]
    assert (table.place(1), csv.field_size_limit()) == ("row 2 (line 100003)", limit)


def test_threads_that_read_tables_leave_each_other_and_the_csv_module_alone(write: Write, tmp_path: Path) -> None:
    limit, interval = csv.field_size_limit(), sys.getswitchinterval()
    long = write("a,b\n" + "x" * 200_000 + ",2\n")
    short = tmp_path / "short.csv"
    short.write_text("a,b\n" + "1,2\n" * 2_000)
    done: list[int] = []

    def read(path: Path) -> None:
        done.append(sum(len(read_table(path)) for _ in range(20)))

    def parse() -> None:
        done.append(sum(len(next(csv.reader(["y" * 100_000]))) for _ in range(1_000)))

    threads = [threading.Thread(target=read, args=(path,)) for path in (long, short)] + [threading.Thread(target=parse)]
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert sorted(done) == [20, 1_000, 40_000]
    assert csv.field_size_limit() == limit


def test_a_decimal_comma_is_read_where_commas_do_not_separate_cells(write: Write) -> None:
    assert read_table(write("a;b\n1,5;2\n-2,25e1;3\n")).numbers("a").tolist() == [1.5, -22.5]


def test_numbers_are_exact_and_text_is_nan(write: Write) -> None:
    table = read_table(write("x\n0.1\n1e-320\n+.5\n1_000\n0x10\nInfinity\n1e400\nnan\n"))
    numbers = table.numbers("x")
    assert numbers[:3].tolist() == [0.1, 1e-320, 0.5]
    assert np.isnan(numbers[[3, 4, 7]]).all()
    assert np.isinf(numbers[5:7]).all()


def test_places_count_rows_and_lines_past_blank_lines_and_line_breaks_in_cells(write: Write) -> None:
    table = read_table(write('\n  \na,b\n1,2\n\n"x\ny",3\n,\n4,5\n'))
    assert [table.place(i) for i in range(len(table))] == ["row 1 (line 4)", "row 2 (line 6)", "row 3 (line 9)"]


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


BROKEN = {
    "empty": ("", "the file is empty"),
    "blank": ("\n \n", "the file is empty"),
    "delimiters only": (";;\n;", "the file is empty"),
    "header only": ("a,b\n", "the table has a header and no rows"),
    "too many cells": (lines("1,2,3,4"), "line 14 has 4 cells and the header 3 (split at each comma)"),
    "too many cells below a line break": (lines('"a\nb",2,3', "1,2,3,4"), "line 16 has 4 cells"),
    "too many cells below blank lines": ("\n\n" + lines("1,2,3,4"), "line 16 has 4 cells"),
    "an open quotation mark": (lines('"1,red,0'), "the quotation mark opened in line 14 is never closed"),
    "a name twice": ("a,b,a\n1,2,3\n", "columns 1 and 3 are both called 'a'"),
    "no name": ("a,,b\n1,2,3\n", "column 2 of the header has no name; delete the column if it only counts the rows"),
    "Excel": (b"PK\x03\x04...", "is an Excel workbook or a zip archive"),
    "gzip": (b"\x1f\x8b...", "is a gzip archive"),
    "binary": (b"a,b\n\0,1\n", "is not a text file"),
    "one endless line": ("a" * 200_000, "the first line has 200000 characters"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_file_that_is_not_a_table_is_one_line_that_says_why(write: Write, what: str) -> None:
    text, message = BROKEN[what]
    path = write(text)
    with pytest.raises(TableError) as caught:
        read_table(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_paths_that_hold_no_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="there is no such file"):
        read_table(tmp_path / "nothing.csv")
    with pytest.raises(TableError, match="is a directory"):
        read_table(tmp_path)
    with pytest.raises(TableError, match="cannot be read"):
        read_table(tmp_path / ("x" * 300))


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
