"""Parquet files in parts: the parts are the rows of the files, in order, and each problem names its file."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from microgrud.tables import TableError, TablePreparation, read_table
from microgrud.tables.rowgroups import FileRows, divided, find_files, rows_of, survey
from microgrud.tables.target import inspect_target
from microgrud.tables.typed import named_text

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")


def a_frame(rows: int = 60, seed: int = 0) -> pd.DataFrame:
    """Return a column of every type that people keep in Parquet files."""
    rng = np.random.default_rng(seed)
    names = rng.choice(["red", "Green", "blue "], rows).astype(object)
    names[rng.random(rows) < 0.1] = None
    return pd.DataFrame(
        {
            "real": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows)),
            "short": rng.normal(size=rows).astype(np.float32),
            "whole": rng.integers(-5, 5, rows) * 1001,
            "gaps": pd.array(np.where(rng.random(rows) < 0.3, None, rng.integers(0, 9, rows)), dtype="Int64"),
            "flag": rng.random(rows) < 0.5,
            "name": names,
            "kind": pd.Categorical(rng.choice(["a", "b"], rows)),
            "day": pd.date_range("2024-02-27", periods=rows, freq="D"),
            "moment": pd.date_range("2024-02-27", periods=rows, freq="91min", tz="Europe/Berlin"),
            "took": pd.to_timedelta(rng.integers(1, 99_999, rows), unit="s"),
            "code": rng.choice([1.125, 2.0, 3.5], rows),
            "written": rng.choice(["1,5", "2,25", "-7,125"], rows),
            "y": rng.choice([1, 2, 3], rows),
        }
    )


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Return two files, of row groups of 25, 25 and 10 rows, and of 9 and 1 rows."""
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    a_frame(60).to_parquet(paths[0], row_group_size=25)
    a_frame(10, seed=1).to_parquet(paths[1], row_group_size=9)
    return list(map(str, paths))


@pytest.mark.parametrize("most", [4, 10, 1000])
def test_parts_are_the_rows_of_read_table_in_order(files: list[str], most: int) -> None:
    parts = divided([survey(file) for file in files], most)
    assert max(part.rows for part in parts) <= most
    frame = pd.concat([part.read() for part in parts])
    assert frame.index.tolist() == list(range(70))
    assert frame.columns.tolist() == read_table(files).columns
    a, b = (read_table(file).cells for file in files)
    assert named_text("a", frame[:60], list(frame.columns), []).equals(a)
    assert named_text("b", frame[60:], list(frame.columns), []).equals(b)


def test_typed_cells_are_prepared_as_the_text_of_a_file_is(files: list[str]) -> None:
    cells = read_table(files).cells
    others = cells.drop(columns="y")
    preparation = TablePreparation(categorical=("code",), min_frequency=2).fit(others)
    assert {plan.kind for plan in preparation.columns_} >= {"number", "category", "date"}
    parts = divided([survey(file) for file in files], 10)
    typed = np.concatenate([preparation.transform(part.read()) for part in parts])
    assert np.array_equal(typed, preparation.transform(others))
    target = inspect_target(cells["y"], "y")
    values = [target.values(part.read()["y"]) for part in parts]
    assert target.classes == ["1", "2", "3"]
    assert np.array_equal(np.concatenate(values), target.values(cells["y"]))


def test_chosen_rows_keep_their_numbers(files: list[str]) -> None:
    numbers = np.array([0, 24, 25, 59, 60, 69])
    parts = divided([survey(file) for file in files])
    chosen = pd.concat([part.read().iloc[rows_of(part, numbers)] for part in parts])
    assert chosen.index.tolist() == numbers.tolist()
    assert chosen["name"].fillna("").str.strip().tolist() == read_table(files).cells["name"].iloc[numbers].tolist()


@given(st.lists(st.lists(st.integers(0, 50), max_size=4), min_size=1, max_size=3), st.integers(1, 20))
def test_parts_cover_each_row_once(groups: list[list[int]], most: int) -> None:
    parts = divided([FileRows(str(k), [], sizes) for k, sizes in enumerate(groups)], most)
    ends = [0, *itertools.accumulate(part.rows for part in parts)]
    assert [part.first for part in parts] == ends[:-1]
    assert ends[-1] == sum(map(sum, groups))
    assert [part.number for part in parts] == list(range(len(parts)))
    assert all(1 <= part.rows <= most for part in parts)


def test_a_pattern_finds_files_in_order(files: list[str], tmp_path: Path) -> None:
    assert find_files(str(tmp_path / "*.parquet")) == files
    assert find_files(files[1]) == files[1:]
    assert find_files(f"file://{tmp_path}/*.parquet") == [f"file://{file}" for file in files]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nothing*.parquet", "nothing*.parquet: a worker finds no such file; give paths, patterns or URLs that all"),
        (".", r": is a directory; write "),
        ("nowhere://bucket/*.parquet", "cannot open it (ValueError: Protocol not known: nowhere)"),
    ],
)
def test_what_is_no_file_is_named(given: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TableError) as caught:
        find_files(given if "://" in given else str(tmp_path / given))
    assert message in str(caught.value)


def test_other_files_and_damaged_ones_are_named(write: Callable[..., Path], files: list[str], tmp_path: Path) -> None:
    text, damaged = str(write("x,y\n1,2\n")), str(write(b"PAR1 and more", "damaged.parquet"))
    for path, message in ((text, "is not a Parquet file"), (damaged, "cannot be read"), ("nowhere", "cannot open it")):
        with pytest.raises(TableError, match=f"{path}: .*{message}"):
            survey(path)
    part = divided([survey(files[0])])[1]
    a_frame(60).to_parquet(files[0], row_group_size=30)
    with pytest.raises(TableError, match="row group 1 had 25 rows, now it has 30"):
        part.read()
