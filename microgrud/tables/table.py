"""Tables: named columns of text, which can name the row, line and file of a cell in every message.

A table keeps the text of its file; the preparation decides whether a column holds numbers or categories.
"""

from __future__ import annotations

import difflib
import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ..common import words

#: Cells that mean a missing value: pandas's own list, and the question mark of the UCI tables.
_WORDS = "? <NA> NA N/A n/a #NA #N/A NULL null None NaN nan -NaN -nan 1.#IND -1.#IND 1.#QNAN -1.#QNAN"
MISSING = frozenset(["", "#N/A N/A", *_WORDS.split()])
#: A count with its noun, without thousands separators.
counted = partial(words.counted, separator="")


class TableError(ValueError):
    """An unusable table: the message has a line for each thing that is wrong, which says where, and what to do."""


@dataclass(frozen=True)
class Table:
    """Named columns of text, in the order of the file.

    Args:
        name: the name of the table, such as the file's name without its suffix.
        cells: one column of stripped text per column of the file; the index counts the data rows from 0.
        notes: remarks for the reader of the results, such as a guessed encoding.
        lines: the line of the file at which each data row starts, from 1; empty if the rows are not lines of a file.
        delimiter: the character between two cells of the file.
        files: the name and the first row of each file; empty for a table that is from one file or none.

    >>> table = Table("sizes", pd.DataFrame({"size": ["1", "NA"]}), lines=[2, 4])
    >>> table.columns, table.place(1), len(table.without_missing(["size"]))
    (['size'], 'row 2 (line 4)', 1)
    """

    name: str
    cells: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    lines: Sequence[int] = field(default=(), repr=False)
    delimiter: str = ","
    files: Sequence[tuple[str, int]] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def columns(self) -> list[str]:
        """Return the names of the columns, in order."""
        return [str(name) for name in self.cells.columns]

    def place(self, row: int) -> str:
        """Return the place of the row at position `row`: the file, if there are several, the data row and the line."""
        record = int(self.cells.index[row])
        name, first = max((each for each in self.files if each[1] <= record), key=lambda each: each[1], default=("", 0))
        line = f" (line {self.lines[record]})" if self.lines else ""
        return f"{name}, " * bool(name) + f"row {record - first + 1}{line}"

    @property
    def row_numbers(self) -> list[int]:
        """Return the number of each row in the file, from 1; rows that were left out leave gaps."""
        return [int(position) + 1 for position in self.cells.index]

    def without_missing(self, columns: Sequence[str]) -> Table:
        """Return the table without the rows in which a cell of `columns` is missing."""
        return replace(self, cells=self.cells[~self.cells[list(columns)].isin(MISSING).any(axis=1)])

    def require(self, *names: str) -> None:
        """Raise a TableError that suggests the closest names unless there are columns of these names."""
        if unknown := [name for name in dict.fromkeys(names) if name not in self.columns]:
            hints = (f"{name!r}{closest(name, self.columns)}" for name in unknown)
            raise TableError("\n".join(f"{self.name}: there is no column {hint}" for hint in hints))


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
    if matches := difflib.get_close_matches(name.lower(), lowered):
        match = min(matches, key=lambda other: sorted(other) != sorted(name.lower()))  # the first, if all differ
        return f"; did you mean {lowered[match]!r}?"
    return f"; choose one of {listed(known)}"


def listed(items: Iterable[Any]) -> str:
    """Return the representations of items, the first ten of many.

    >>> listed(["a", "b"]), listed(range(12))
    ("'a', 'b'", '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...')
    """
    first = list(map(repr, itertools.islice(items, 11)))
    return ", ".join(first[:10]) + ", ..." * (len(first) > 10)


def and_more(count: int, noun: str) -> str:
    """Return the number of further cases after the one that a message names; an empty text if there are none.

    >>> and_more(3, "missing cell"), and_more(0, "missing cell")
    (' (and 3 more missing cells)', '')
    """
    return f" (and {counted(count, f'more {noun}')})" if count else ""


def iris_table() -> Table:
    """Return scikit-learn's iris: 150 flowers, four measurements in cm, three species."""
    from sklearn.datasets import load_iris

    data = load_iris(as_frame=True)
    cells = data.data.astype(str)
    cells["species"] = [str(data.target_names[label]) for label in data.target]
    return Table("iris", cells)


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
        if wanted == "table" and any(sign in str(path) for sign in "*?["):
            return f"{path}: there is no such file; write the pattern without quotes, for the shell to list the files"
        return f"{path}: there is no such file; give the path of a {wanted}"
    return f"{path}: cannot be read ({error.strerror}); check the path and its permissions"
