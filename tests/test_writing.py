"""Writing of tables: what is written reads back as the same cells, and no spreadsheet runs any of them."""

from __future__ import annotations

import csv
import io
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from microgrud.tables import TableError, read_table, workbooks, write_table
from microgrud.tables.text import as_text
from microgrud.tables.writing import to_bytes, to_csv

ENDINGS = [".csv", ".tsv", ".txt", "", ".xlsx", ".parquet", ".json", ".jsonl", ".csv.gz", ".tsv.zip", ".JSON.GZ"]

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6) | st.sampled_from(
    [
        "=1+1",
        "-2",
        "-x",
        "'=y",
        "''",
        "+1,5%",
        "@a",
        "007",
        "1e5",
        "inf",
        "nan",
        "_x0041_",
        "a\r\nb",
        '"',
        "#",
        "true",
        "1.0",
        "5",
    ]
)
numbers = st.floats() | st.sampled_from([1e99, 0.1 + 0.2, 5e-324, -0.0])
frames = st.lists(st.tuples(words, numbers, st.integers(-(2**63), 2**63 - 1), words), min_size=1, max_size=6).map(
    lambda rows: pd.DataFrame(rows, columns=["@text", "x", "n", "self"]).astype({"@text": object})
)


@pytest.mark.parametrize("ending", ENDINGS)
@settings(deadline=None, max_examples=12)
@given(frame=frames)
def test_what_is_written_reads_back_as_the_same_cells(
    tmp_path_factory: pytest.TempPathFactory, ending: str, frame: pd.DataFrame
) -> None:
    path = tmp_path_factory.mktemp("written") / f"t{ending}"
    write_table(frame, path)
    table = read_table(path, header=True)
    assert table.columns == list(frame.columns)
    assert table.cells.to_numpy().tolist() == as_text(frame).to_numpy().tolist()


RUN = ["=1+1", "+A1", "-A1", "@SUM(1)", "\t=1", "\r=1", '=HYPERLINK("x")', "'=1", "-1+2", "+1 cmd"]
KEPT = ["-1", "+2.5", "-1,5", "-3e-5", "-40%", "it's", "'quoted'", "a=b", "", "-"]


def test_cells_and_names_that_a_spreadsheet_would_run_are_escaped_in_text_files() -> None:
    for delimiter in ",\t":
        text = to_csv(pd.DataFrame({"=name": RUN + KEPT, "x": -1.5}), delimiter)
        header, *lines = csv.reader(io.StringIO(text), delimiter=delimiter)
        assert header == ["'=name", "x"]
        assert [line[0] for line in lines] == ["'" + cell.strip() for cell in RUN] + KEPT
        assert {line[1] for line in lines} == {"-1.5"}


def test_text_that_looks_like_a_formula_is_text_in_a_workbook() -> None:
    book = openpyxl.load_workbook(io.BytesIO(to_bytes(pd.DataFrame({"=name": RUN}), "t.xlsx")))
    kinds = {cell.data_type for row in book.active.iter_rows() for cell in row}
    assert kinds == {"s"}


def test_a_workbook_has_numbers_where_text_is_numbers_alone() -> None:
    frame = pd.DataFrame(
        {"n": ["1", "2"], "x": ["1.5", ""], "id": ["007", "8"], "long": [2**60, 1], "b": [True, False]}
    )
    (_, *rows) = openpyxl.load_workbook(io.BytesIO(to_bytes(frame, "t.xlsx"))).active.values
    assert rows == [(1, 1.5, "007", str(2**60), True), (2, None, "8", 1, False)]


def test_json_has_numbers_and_null_and_every_character() -> None:
    frame = pd.DataFrame({"n": ["1", ""], "x": [np.inf, 1e99], "ü": ["é", None]})
    assert to_bytes(frame, "t.jsonl").decode() == (
        '{"n": 1, "x": "inf", "ü": "é"}\n{"n": null, "x": 1e+99, "ü": null}\n'
    )


def test_numbers_keep_their_type_in_parquet() -> None:
    frame = pd.DataFrame({"n": ["1", ""], "x": [0.5, np.nan], "t": ["a", ""]})
    found = pd.read_parquet(io.BytesIO(to_bytes(frame, "t.parquet")))
    assert [str(found[name].dtype) for name in ("n", "x")] == ["Int64", "float64"]
    assert found["t"].isna().tolist() == [False, True]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    write_table(pd.DataFrame({"a": [1]}), path)

    def fails(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="No space left"):
        write_table(pd.DataFrame({"a": [2]}), path)
    assert (path.read_text(), os.listdir(tmp_path)) == ("a\n1\n", ["t.csv"])


def test_what_a_format_cannot_hold_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"a": ["x" * 2**15]})
    with pytest.raises(TableError, match="t.xlsx: Excel takes 32767 characters in a cell at most, got 32768"):
        write_table(frame, tmp_path / "t.xlsx")
    monkeypatch.setattr(workbooks, "MOST_ROWS", 1)
    with pytest.raises(TableError, match="t.xlsx: Excel takes 1 rows"):
        write_table(frame, tmp_path / "t.xlsx")
    with pytest.raises(TableError, match=r"expected a name that ends in .csv, .tsv, .xlsx, .parquet, .jsonl, .json"):
        write_table(frame, tmp_path / "t.doc")
    with pytest.raises(TableError, match="expected different names of columns, got 'a' twice"):
        write_table(pd.concat([frame, frame], axis=1), tmp_path / "t.csv")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TableError, match="Parquet needs pyarrow, .* not installed: pip install pyarrow"):
        write_table(frame, tmp_path / "t.parquet")
    assert os.listdir(tmp_path) == []


def test_typed_cells_become_the_shortest_text() -> None:
    frame = pd.DataFrame(
        {
            "float32": np.array([0.1, np.nan], dtype=np.float32),
            "category": pd.Categorical(["a", None]),
            "moment": pd.to_datetime(["2020-02-29 12:30", None]).tz_localize("UTC"),
            "day": pd.to_datetime(["2020-02-29", None]),
            "duration": pd.to_timedelta(["90s", None]),
            "nullable": pd.array([2**62 + 1, None], dtype="Int64"),
            "object": [b"bytes", {"a": [1]}],
        }
    )
    assert as_text(frame).to_numpy().tolist() == [
        ["0.1", "a", "2020-02-29T12:30:00+00:00", "2020-02-29", "0 days 00:01:30", "4611686018427387905", "bytes"],
        ["", "", "", "", "", "", '{"a": [1]}'],
    ]
