"""Tables: a CSV file as named columns of text, which can name the row and line of a cell in every message.

A table keeps the text of the file: `microgrud.cli.preprocessing` decides whether a column holds numbers or categories.
Python's csv module does the parsing.
"""

from __future__ import annotations

import csv
import difflib
import io
import itertools
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..common import words
from ..common.forking import Lock
from ..engine.vectors import Vector

#: Cells that mean a missing value: pandas's own list, and the question mark of the UCI tables.
MISSING = frozenset(
    [
        *["", "?", "<NA>", "NA", "N/A", "n/a", "#NA", "#N/A", "#N/A N/A", "NULL", "null", "None"],
        *["NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"],
    ]
)
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
#: The largest number of characters in a line that may be a header.
_LONGEST_HEADER = 2**17 - 1
_lock = Lock()
#: A count with its noun, without thousands separators.
counted = partial(words.counted, separator="")
_BINARY = {b"PK\x03\x04": "an Excel workbook or a zip archive", b"\x1f\x8b": "a gzip archive", b"%PDF": "a PDF"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")


class TableError(ValueError):
    """An unusable table; the message is one line, names column and row, and says what to do."""


@dataclass(frozen=True)
class Table:
    """Named columns of text, in the order of the file.

    Args:
        name: the name of the table, such as the file's name without its suffix.
        cells: one column of stripped text per column of the file; the index counts the data rows from 0.
        notes: remarks for the reader of the results, such as a guessed encoding.
        lines: the line of the file at which each data row starts, from 1; empty for a table that is not from a file.
        delimiter: the character between two cells of the file.
    """

    name: str
    cells: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    lines: Sequence[int] = field(default=(), repr=False)
    delimiter: str = ","

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def columns(self) -> list[str]:
        """Return the names of the columns, in order."""
        return [str(name) for name in self.cells.columns]

    def place(self, row: int) -> str:
        """Return the place in the file of the row at position `row`: the data row and the line, both from 1."""
        record = int(self.cells.index[row])
        return f"row {record + 1}" + (f" (line {self.lines[record]})" if self.lines else "")

    @property
    def row_numbers(self) -> list[int]:
        """Return the number of each row in the file, from 1; rows that were left out leave gaps."""
        return [int(position) + 1 for position in self.cells.index]

    def cell(self, column: str, row: int) -> str:
        """Return the text of one cell."""
        return str(self.cells[column].iloc[row])

    def refuse(self, column: str, odd: Any, expected: str, advice: str) -> None:
        """Raise a TableError that names the first cell of a column for which `odd` is true, if there is one."""
        rows = np.flatnonzero(odd)
        if len(rows):
            cell, more = repr(self.cell(column, rows[0])), and_more(len(rows) - 1, "such cell")
            place = self.place(rows[0])
            raise TableError(f"column {column!r}, {place}: expected {expected}, got {cell}{more}; {advice}")

    def without_columns(self, names: Sequence[str]) -> Table:
        """Return the table without the columns `names`; raise a TableError for an unknown name."""
        self.require(*names)
        return replace(self, cells=self.cells.drop(columns=list(names)))

    def without_missing(self, columns: Sequence[str]) -> Table:
        """Return the table without the rows in which a cell of `columns` is missing."""
        return replace(self, cells=self.cells[~self.cells[list(columns)].isin(MISSING).any(axis=1)])

    def require(self, *names: str) -> None:
        """Raise a TableError that suggests the closest name unless there are columns of these names."""
        for name in names:
            if name not in self.columns:
                raise TableError(f"{self.name}: there is no column {name!r}{closest(name, self.columns)}")

    def missing(self, columns: Sequence[str]) -> list[tuple[str, int]]:
        """Return the column and row of each missing cell in `columns`, row by row."""
        missing = self.cells[list(columns)].isin(MISSING).to_numpy()
        return [(columns[column], row) for row, column in np.argwhere(missing).tolist()]

    def numbers(self, column: str) -> Vector:
        """Return a column as floats: NaN for text, infinity for a cell that says so or overflows.

        A decimal comma is accepted in a file whose cells are not separated by commas.
        """
        return np.array([number(cell, self.delimiter != ",") for cell in self.cells[column]], dtype=float)


def number(cell: str, decimal_comma: bool = False) -> float:
    """Return the number in a cell: NaN for text, infinity for a cell that says so or overflows.

    >>> number("-2.5e1"), number("2,5"), number("2,5", decimal_comma=True), number("1_000"), number("-inf")
    (-25.0, nan, 2.5, nan, inf)
    """
    if _NUMBER.fullmatch(cell):
        return float(cell)
    if decimal_comma and _DECIMAL_COMMA.fullmatch(cell):
        return float(cell.replace(",", "."))
    if cell.lstrip("+-").lower() in {"inf", "infinity"}:
        return math.inf
    return math.nan


def closest(name: str, names: Iterable[str]) -> str:
    """Return a hint after an unknown name: the closest known one, or all of them.

    >>> closest("specis", ["species", "sepal length"])
    "; did you mean 'species'?"
    >>> closest("x", ["a", "b"])
    "; choose one of 'a', 'b'"
    >>> closest("tahn", ["tan", "tanh"])  # swapped letters are the most likely mistake
    "; did you mean 'tanh'?"
    """
    known = list(names)
    lowered = {other.lower(): other for other in known}
    matches = difflib.get_close_matches(name.lower(), lowered)
    if matches:
        match = min(matches, key=lambda other: sorted(other) != sorted(name.lower()))  # the first, if all differ
        return f"; did you mean {lowered[match]!r}?"
    shown = ", ".join(map(repr, known[:12])) + (", ..." if len(known) > 12 else "")
    return f"; choose one of {shown}"


def and_more(count: int, noun: str) -> str:
    """Return the number of further cases after the one that a message names; an empty text if there are none.

    >>> and_more(3, "missing cell"), and_more(0, "missing cell")
    (' (and 3 more missing cells)', '')
    """
    return f" (and {counted(count, f'more {noun}')})" if count else ""


def left_out(count: int, rows: int) -> str:
    """Return the note on rows that were left out for missing cells.

    >>> left_out(1, 30), left_out(2, 30)
    ('1 of 30 rows has missing cells and was left out.', '2 of 30 rows have missing cells and were left out.')
    """
    return f"{count} of {counted(rows, 'row')} " + (
        "has missing cells and was left out." if count == 1 else "have missing cells and were left out."
    )


def iris_table() -> Table:
    """Return scikit-learn's iris: 150 flowers, four measurements in cm, three species."""
    from sklearn.datasets import load_iris

    data = load_iris(as_frame=True)
    cells = data.data.astype(str)
    cells["species"] = [str(data.target_names[label]) for label in data.target]
    return Table("iris", cells)


def read_table(path: str | Path, delimiter: str | None = None) -> Table:
    """Read a CSV file into a Table of text.

    Unless it is given, the delimiter is the one of comma, semicolon, tab and bar that splits the header into most
    columns. The encoding is UTF-8 or, with its byte order mark, UTF-16; otherwise Windows-1252, with a note.

    Args:
        path: the file; its first line that is not blank holds the names of the columns.
        delimiter: the one character between cells, or `tab`.

    Raises:
        TableError: if there is no such file, or it does not hold a table.
    """
    if delimiter is not None:
        delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise TableError(f"--delimiter: expected one character, or tab, got {delimiter!r}")
    path = Path(path)
    notes: list[str] = []
    text = _text(path, notes)
    with _cells_of(len(text) + 2):
        if delimiter is None:
            header = next((line for line in io.StringIO(text, newline=None) if line.strip()), "")
            if len(header) > _LONGEST_HEADER:
                raise TableError(
                    f"{path}: the first line has {len(header)} characters; expected a header of column names"
                )
            delimiter = max(DELIMITERS, key=lambda mark: len(next(csv.reader([header], delimiter=mark))))
        (_, names), *records = _records(path, text, delimiter)
    _check_names(path, names)
    if not records:
        raise TableError(f"{path}: the table has a header and no rows; add the rows to learn from or to predict")
    cells = pd.DataFrame([record for _, record in records], columns=names)
    return Table(path.stem, cells, notes, [line for line, _ in records], delimiter)


def why_unreadable(path: str | Path, error: OSError, wanted: str) -> str:
    """Say in one line why a file cannot be read, and what to do.

    Args:
        path: the path that the user gave.
        error: the error of reading it.
        wanted: the kind of file that is needed, such as `"CSV file"`.
    """
    if os.path.isdir(path):  # on Windows the error is one of permission
        return f"{path}: is a directory; give the {wanted} in it"
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return f"{path}: there is no such file; give the path of a {wanted}"
    return f"{path}: cannot be read ({error.strerror}); check the path and its permissions"


def _text(path: Path, notes: list[str]) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TableError(why_unreadable(path, error, "CSV file")) from None
    for magic, what in _BINARY.items():
        if data.startswith(magic):
            raise TableError(f"{path}: is {what}, not a CSV file; save the table as CSV first")
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        notes.append(f"{path} is not UTF-8; it was read as Windows-1252 (Western European)")
        text = data.decode("cp1252", errors="replace")
    if "\0" in text:
        raise TableError(f"{path}: is not a text file (it has NUL bytes in it); save the table as CSV first")
    return text.lstrip("\ufeff")  # a file may begin with several byte order marks


@contextmanager
def _cells_of(size: int) -> Iterator[None]:
    """Let the csv module read cells of this many characters: its limit is one for all threads, and is never lowered."""
    with _lock:
        limit = csv.field_size_limit()
        csv.field_size_limit(max(limit, size))
        try:
            yield
        finally:
            csv.field_size_limit(limit)


def _records(path: Path, text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Return the header and the rows that are not blank, as stripped cells with the line at which each starts."""
    found, start = [], 1
    # The line at the end is a record of its own, unless it is inside a quotation.
    reader = csv.reader(io.StringIO(f"{text}\nx", newline=""), delimiter=delimiter)
    for record in reader:
        found.append((start, [cell.strip() for cell in record]))
        start = reader.line_num + 1
    last, _ = found.pop()
    found = list(itertools.dropwhile(lambda record: not any(record[1]), found))
    width = len(found[0][1]) if found else 0
    for line, cells in found:
        if len(cells) > width:
            mark = DELIMITERS.get(delimiter, repr(delimiter))
            raise TableError(
                f"{path}: line {line} has {len(cells)} cells and the header {width} (split at each {mark}); quote or "
                "correct it"
            )
        cells += [""] * (width - len(cells))
    if last < reader.line_num:
        raise TableError(f"{path}: the quotation mark opened in line {last} is never closed; close it or remove it")
    if not found:
        raise TableError(f"{path}: the file is empty; expected a header line with column names, and rows below it")
    return [(line, cells) for line, cells in found if any(cells)]


def _check_names(path: Path, names: list[str]) -> None:
    for position, name in enumerate(names):
        if not name:
            raise TableError(
                f"{path}: column {position + 1} of the header has no name; delete the column if it only counts the "
                "rows, or name it"
            )
        if name in names[:position]:
            where = f"columns {names.index(name) + 1} and {position + 1}"
            raise TableError(f"{path}: {where} are both called {name!r}; rename or delete one of them")
