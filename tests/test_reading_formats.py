"""Reading of files in any format: archives, workbooks, JSON and Parquet, and several files as one table."""

from __future__ import annotations

import gzip
import io
import json
import sys
import zipfile
from collections.abc import Sequence

import openpyxl
import pandas as pd
import pytest
from readings import Write, cells, places, rows

from microgrud.tables import TableError, contents, read_table
from microgrud.tables.writing import to_bytes

# --- archives, and files that name their types ------------------------------------------------------------------------

THINGS = pd.DataFrame({"size": [1.0, 2.5], "n": [2**60, 3], "colour": ["red", None], "on": [True, False]})


def zipped(files: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.gz", ".csv.zip", ".xlsx", ".parquet", ".json", ".jsonl"])
@pytest.mark.parametrize("name", ["stdin", "things.csv"])
def test_the_content_tells_the_format(write: Write, monkeypatch: pytest.MonkeyPatch, ending: str, name: str) -> None:
    content = to_bytes(THINGS, f"t{ending}")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    table = read_table("-" if name == "stdin" else write(content, name))
    assert table.name == name.removesuffix(".csv")
    assert rows(table) == [
        ["size", "n", "colour", "on"],
        ["1.0", "1152921504606846976", "red", "True"],
        ["2.5", "3", "", "False"],
    ]


def test_a_zip_archive_has_one_file_besides_hidden_ones(write: Write) -> None:
    table = "a,b\n1,2\n"
    assert len(read_table(write(zipped({"data/t": table, "__MACOSX/t": "x", "data/": "", ".x": ""})))) == 1
    assert len(read_table(write(gzip.compress(zipped({"t": gzip.compress(table.encode())}))))) == 1
    with pytest.raises(TableError, match="expected a zip archive of one file, got 2: 'a', 'b'; unpack it"):
        read_table(write(zipped({"a": table, "b": table})))
    with pytest.raises(TableError, match="expected a zip archive of one file, got 0: none"):
        read_table(write(zipped({})))


def test_an_archive_that_unpacks_to_too_much_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MOST_BYTES", 2**20)
    bomb = "a,b\n" + "1,2\n" * 2**18
    for packed in (gzip.compress(bomb.encode()), zipped({"t": bomb}), zipped({"xl/workbook.xml": bomb})):
        assert len(packed) < 20_000
        with pytest.raises(TableError, match="unpacks to more than 1 MB"):
            read_table(write(packed))


def book(*sheets: Sequence[Sequence[object]]) -> bytes:
    workbook, buffer = openpyxl.Workbook(), io.BytesIO()
    workbook.remove(workbook.active)
    for i, values in enumerate(sheets, 1):
        sheet = workbook.create_sheet(f"part {i}")
        for row in values:
            sheet.append(row)
    workbook.save(buffer)
    return buffer.getvalue()


def test_the_first_sheet_with_cells_is_read_with_a_note_on_the_others(write: Write) -> None:
    day = pd.Timestamp("2020-02-29 12:30").to_pydatetime()
    table = read_table(
        write(book([], [["The title"], [], ["x", "when", "z"], [1, day, None], [], [0.1, day, "#DIV/0!"]], [["a"]]))
    )
    assert rows(table) == [["x", "when", "z"], ["1", "2020-02-29T12:30:00", ""], ["0.1", "2020-02-29T12:30:00", ""]]
    assert places(table) == ["row 1 (line 4)", "row 2 (line 6)"]
    assert "only the sheet 'part 2' was read, not 'part 1', 'part 3'" in table.notes[0]
    assert "row 1 left out as a title above the table: 'The title'" in table.notes[1]
    assert "1 cell with an error of a formula" in table.notes[2]


def test_formulas_without_results_are_an_error_and_not_missing(write: Write) -> None:
    with pytest.raises(TableError, match="2 formulas without a stored result, the first in cell B2; open the workbook"):
        read_table(write(book([["a", "b"], [1, "=A2"], [2, "=A3"]])))


def test_an_empty_workbook_is_an_error(write: Write) -> None:
    with pytest.raises(TableError, match="the workbook is empty"):
        read_table(write(book([])))


def test_a_workbook_that_declares_endless_rows_is_read_up_to_the_limit_of_excel(write: Write) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book([["a", "b"], [1, 2]]))) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            content = old.read(name).replace(b'<row r="2"', b'<row r="99999999"').replace(b"A1:B2", b"A1:XFD99999999")
            new.writestr(name, content)
    with pytest.raises(TableError, match="has a header and no rows"):
        read_table(write(buffer.getvalue()))


def test_json_keeps_digits_and_makes_columns_of_nested_objects(write: Write) -> None:
    records = [{"a": 2**53 + 1, "b": {"c": 1e99, "d": {"e": "x"}}}, {"b": {"c": None}, "f": [1, "two"], "a": True}]
    for text in (json.dumps(records), json.dumps(records, indent=1), "\n".join(map(json.dumps, records))):
        table = read_table(write(text))
        assert rows(table) == [
            ["a", "b.c", "b.d.e", "f"],
            ["9007199254740993", "1e+99", "x", ""],
            ["True", "", "", '[1, "two"]'],
        ]
        assert ["'b.c'" in table.notes[0], "lists were read as text, in 'f'" in table.notes[1]] == [True, True]


def test_brackets_do_not_make_json(write: Write) -> None:
    assert rows(read_table(write("[a],b\n1,2\n"))) == [["[a]", "b"], ["1", "2"]]


def test_json_that_is_too_deep_or_long_for_python_is_an_error(write: Write) -> None:
    for text in ("[" * 100_000, '{"a": ' + "9" * 5000 + "}\n" * 2, '{"a": ' * 100_000):
        with pytest.raises(TableError):
            read_table(write(text))


def test_half_a_character_in_json_stays_as_it_was_written(write: Write) -> None:
    assert rows(read_table(write(r'[{"a\ud83d": "x\ud83d", "b": "\ud83d\ude00"}]'))) == [
        [r"a\ud83d", "b"],
        [r"x\ud83d", "\N{GRINNING FACE}"],
    ]


def test_parquet_keeps_integers_beside_missing_ones_and_an_index_is_a_column(write: Write) -> None:
    frame = pd.DataFrame({"n": pd.array([2**60 + 1, None], dtype="Int64")}, index=["r1", "r2"])
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    table = read_table(write(buffer.getvalue()))
    assert rows(table) == [["n", "unnamed 2"], ["1152921504606846977", "r1"], ["", "r2"]]


def test_lists_in_parquet_are_text_with_a_note(write: Write) -> None:
    buffer = io.BytesIO()
    pd.DataFrame({"a": [[1, 2], [3]], "b": [{"c": 1}, None]}).to_parquet(buffer)
    table = read_table(write(buffer.getvalue()))
    assert cells(table) == [["[1, 2]", '{"c": 1}'], ["[3]", ""]]
    assert "read as JSON text, in 'a', 'b'" in table.notes[0]


def test_parquet_without_pyarrow_is_one_line_that_says_what_to_install(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TableError, match="Parquet needs pyarrow, .* not installed: pip install pyarrow"):
        read_table(write(b"PAR1...."))


# --- several files ----------------------------------------------------------------------------------------------------


def test_files_with_the_same_columns_in_any_order_are_one_table(write: Write) -> None:
    first, second = write("a,b\n1,2\n\n3,4\n", "one.csv"), write("b;a\n6;5\n", "two.csv")
    table = read_table([first, second])
    assert (table.name, table.row_numbers) == ("one", [1, 2, 3])
    assert rows(table) == [["a", "b"], ["1", "2"], ["3", "4"], ["5", "6"]]
    assert places(table) == [f"{first}, row 1 (line 2)", f"{first}, row 2 (line 4)", f"{second}, row 1 (line 2)"]


def test_files_with_different_columns_are_an_error_for_each(write: Write) -> None:
    paths = [write(text, f"{i}.csv") for i, text in enumerate(["a,b\n1,2\n", "b,c\n1,2\n", "a,b\n1,2\n", "a\n1\n"])]
    with pytest.raises(TableError) as caught:
        read_table(paths)
    assert str(caught.value).split("\n") == [
        f"{paths[1]}: expected the columns of {paths[0]}; lacks 'a' and also has 'c'; make the columns the same",
        f"{paths[3]}: expected the columns of {paths[0]}; lacks 'b'; make the columns the same",
    ]


def test_the_problems_of_all_files_are_said_at_once(write: Write) -> None:
    with pytest.raises(TableError) as caught:
        read_table([write("a,b\n1,2\n"), write("", "empty.csv"), "nothing.csv", write("a,c\n1,2\n", "other.csv")])
    assert [line.partition(": ")[2][:20] for line in str(caught.value).split("\n")] == [
        "the file is empty; e",
        "there is no such fil",
        "expected the columns",
    ]
    with pytest.raises(TableError, match="expected at least one file"):
        read_table([])


def test_rows_without_lines_are_named_by_their_file(write: Write) -> None:
    table = read_table([write('[{"a": 1}]', "a.json"), write("a\n2\n", "b.csv")])
    assert list(table.lines) == []
    assert table.place(1).endswith("b.csv, row 1")
