"""Reading of tables: files of any format that people keep tables in, or standard input, as one Table of text."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import pandas as pd

from .contents import read_bytes, stem, unpacked
from .decoding import decoded
from .delimited import read_delimited
from .dialect import given_delimiter
from .header import with_header
from .table import Table, TableError, listed
from .typed import read_json, read_parquet
from .workbooks import read_workbook


def read_table(
    path: str | Path | Iterable[str | Path],
    *,
    delimiter: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    known: Collection[str] = (),
) -> Table:
    r"""Read one or more files as a table of text.

    The format is found in the content: CSV and TSV in any dialect and encoding, JSON lines or an array of records,
    Excel (.xlsx) and Parquet, each as it is or packed with gzip or zip. Everything that is guessed or left out is in
    the notes of the table.

    Args:
        path: the file, `-` for standard input; or several files with the same columns, in any order.
        delimiter: the one character between cells, or `tab`.
        header: whether the first row holds the names of the columns. By default this is found out; columns without
            names are named `column 1`, `column 2`, and so on.
        encoding: the encoding of the text, such as cp1251.
        known: names of columns to expect: a first row with one of them is the header, and there is none if all of them
            are names such as `column 1`.

    Raises:
        TableError: if a file does not exist or does not hold a table, or if the columns of the files differ; with all
            problems of all files.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "prices.csv")
    ...     _ = path.write_text("city;price\nKöln;1,50\n", encoding="cp1252")
    ...     table = read_table(path)
    >>> table.columns, table.cells["city"][0], table.delimiter, len(table.notes)
    (['city', 'price'], 'Köln', ';', 1)
    """
    if delimiter is not None:
        delimiter = given_delimiter(delimiter)
    paths = [path] if isinstance(path, (str, Path)) else list(path)
    if not paths:
        raise TableError("expected at least one file, got none")
    tables: list[tuple[str, Table]] = []
    problems: list[str] = []
    for each in map(str, paths):
        try:
            tables.append((each, _read(each, delimiter, header, encoding, known)))
        except TableError as error:  # noqa: PERF203
            problems.append(str(error))
    problems += differences([(name, table.columns) for name, table in tables])
    if problems:
        raise TableError("\n".join(problems))
    return _joined(tables) if len(tables) > 1 else tables[0][1]


def _read(
    path: str | Path, delimiter: str | None, header: bool | None, encoding: str | None, known: Collection[str]
) -> Table:
    name, notes = str(path) if str(path) != "-" else "stdin", list[str]()
    data, form = unpacked(name, read_bytes(path))
    if form == "parquet":
        return Table(stem(path), read_parquet(name, data, notes), notes)
    if form == "xlsx":
        rows = read_workbook(name, data, notes)
    else:
        text = decoded(name, data, encoding, notes)
        start = text[:1000].lstrip()[:10].lower()
        if start.startswith(("<!doctype", "<html", "<?xml", "<svg")):
            raise TableError(f"{name}: is a page of HTML or XML; download the table itself, or save it as CSV")
        if start.startswith(("{", "[")) and (found := read_json(name, text, notes)):
            return Table(stem(path), found[0], notes, found[1])
        rows = read_delimited(name, text, delimiter, notes)
    cells, numbers = with_header(name, rows.cells, rows.lines, header, notes, known)
    return Table(stem(path), cells, notes, numbers, rows.delimiter)


def differences(named: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Return a line for each table whose columns are not those of the first, given its path and its columns.

    >>> differences([("a.csv", ["x", "y"]), ("b.csv", ["y", "z"])])
    ["b.csv: expected the columns of a.csv; lacks 'x' and also has 'z'; make the columns the same"]
    """
    problems = []
    for path, columns in named[1:]:
        first, expected = named[0]
        lacking = [name for name in expected if name not in columns]
        extra = [name for name in columns if name not in expected]
        found = [f"lacks {listed(lacking)}"] * bool(lacking) + [f"also has {listed(extra)}"] * bool(extra)
        if found:
            expectation = f"{path}: expected the columns of {first}"
            problems.append(f"{expectation}; {' and '.join(found)}; make the columns the same")
    return problems


def _joined(named: Sequence[tuple[str, Table]]) -> Table:
    """Return the rows of several tables as one, with the columns in the order of the first."""
    paths, tables = zip(*named)
    has_lines = all(table.lines for table in tables)
    return Table(
        tables[0].name,
        pd.concat([table.cells[tables[0].columns] for table in tables], ignore_index=True),
        notes=[note for table in tables for note in table.notes],
        lines=[line for table in tables for line in table.lines] if has_lines else [],
        delimiter=";" if any(table.delimiter != "," for table in tables) else ",",
        files=list(zip(paths, itertools.accumulate(map(len, tables), initial=0))),
    )
