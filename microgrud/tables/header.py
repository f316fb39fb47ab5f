"""Headers: whether the first row of a file holds the names of the columns, and names where it holds none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

import pandas as pd

from .column import shortened
from .delimited import EMPTY
from .table import MISSING, TableError

#: Number of rows that are compared with the first one.
_COMPARED = 200
#: A number or an amount.
_QUANTITY = re.compile(r"[^\w\s]{0,3}\s?\d[\d.,' ]*([eE][+-]?\d+)?\s?[^\w\s]{0,3}")
_DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}.*|\d{4}-\d\d|\d{1,2}:\d\d.*")
_YEARS = range(1800, 2101)


def with_header(
    name: str,
    cells: pd.DataFrame,
    lines: Sequence[int],
    header: bool | None,
    notes: list[str],
    known: Collection[str] = (),
) -> tuple[pd.DataFrame, Sequence[int]]:
    """Return the rows below the header as named columns, and their lines.

    Rows and unnamed columns without any content are left out. A column without a name gets `unnamed 3`, by its position
    (`column 3` in a file without a header), and a name that occurs twice a number: both with a note.

    Args:
        name: the name of the file, for messages.
        cells: its rows of text, the header among them.
        lines: the line of each row.
        header: whether the first row is the header; None to find out, with a note if it is not, or if that is unclear.
        notes: the list to which remarks are added.
        known: the names of columns that a model was trained on, among which the header is looked for.

    Raises:
        TableError: if there are no rows.
    """
    cells = cells.apply(lambda column: column.str.strip())
    blank = (cells == "").all(axis=1)
    if blank.any():
        lines = [line for line, empty in zip(lines, blank) if not empty]
        cells = cells[~blank].reset_index(drop=True)
    if not len(cells):
        raise TableError(f"{name}: {EMPTY}")
    if header is None and known:
        header = _by_names([str(cell) for cell in cells.iloc[0]], known)
    if header is None:
        header = _has_header(name, cells, notes)
    first = list(cells.iloc[0])
    if header:
        cells, lines = cells.iloc[1:].reset_index(drop=True), lines[1:]
    if not len(cells):
        raise TableError(f"{name}: the table has a header and no rows; add the rows to learn from or to predict")
    names = first if header else [f"column {position}" for position in range(1, len(first) + 1)]
    kept = [i for i, each in enumerate(names) if each or (cells.iloc[:, i] != "").any()]
    cells = cells.iloc[:, kept]
    cells.columns = pd.Index(unique_names(name, [(i + 1, names[i]) for i in kept], notes), dtype=object)
    return cells, lines


def unique_names(name: str, numbered: Sequence[tuple[int, str]], notes: list[str]) -> list[str]:
    """Return names for columns of which the positions and names are given, as `with_header` does.

    >>> notes = []
    >>> unique_names("a.csv", [(1, "x"), (2, ""), (3, "x")], notes), len(notes)
    (['x', 'unnamed 2', 'x (2)'], 2)
    """
    given, found = Counter(text for _, text in numbered), dict[str, int]()
    for position, text in numbered:
        wanted, count = text or f"unnamed {position}", 1
        new = wanted
        while new in found or (new != text and new in given):
            count += 1
            new = f"{wanted} ({count})"
        found[new] = position
        if not text:
            notes.append(f"{name}: column {position} has no name in the header; it was named {new!r}")
        elif new != text:
            notes.append(f"{name}: column {position} has the same name as column {found[text]}; it was named {new!r}")
    return list(found)


def _by_names(first: Sequence[str], known: Collection[str]) -> bool | None:
    """Return whether the first row holds known names of columns; None if that is not known.

    >>> _by_names(["2019", "x"], ["2019", "2020"]), _by_names(["5", "6"], ["column 1", "column 2"])
    (True, False)
    """
    if not {*known}.isdisjoint(first):
        return True
    return False if all(re.fullmatch(r"column \d+", each) for each in known) else None


def _has_header(name: str, cells: pd.DataFrame, notes: list[str]) -> bool:
    """Return whether the first row is a header; a note says so if it is not, or if that is doubtful.

    A row of data has numbers where the rows below it have numbers; a header has words there. In a table without
    numbers, a row of data repeats cells of the rows below it. Names that are numbers count as words if they are years,
    or the positions of the columns.
    """
    first = [str(cell) for cell in cells.iloc[0]]
    body = cells.iloc[1 : _COMPARED + 1]
    if not len(body):
        return True
    columns = [[str(cell) for cell in cells if cell not in MISSING] for cells in body.to_numpy(object).T]
    kinds = [_main_kind(column) for column in columns]
    like_data = [i for i, kind in enumerate(kinds) if kind and _kind(first[i]) == kind]
    words = [i for i, kind in enumerate(kinds) if kind and first[i] not in MISSING and _kind(first[i]) != kind]
    others = [i for i, kind in enumerate(kinds) if not kind and first[i] not in MISSING]
    repeated = sum(first[i] in columns[i] for i in others)
    repeats = not any(kinds) and repeated > 0.5 * len(others)
    indexed = first[0] == "" and len(set(columns[0])) == len(body)  # names of rows, without a name of their own
    years = _are_names([first[i] for i in like_data], [columns[i] for i in like_data], len(first))
    shown = ", ".join(map(shortened, first[:4])) + ", ..." * (len(first) > 4)
    taken = f"{name}: the first row ({shown}) was taken as"
    if (repeats or len(like_data) > len(words)) and not ((indexed or years) and repeated == 0):
        named = "the columns were named 'column 1', 'column 2', ..."
        notes.append(f"{taken} data, and {named}; if it is the header, say so (option header)")
        return False
    if like_data:
        notes.append(f"{taken} the header; if it holds data, say so (option no-header)")
    return True


def _kind(cell: str) -> str:
    """Return the kind of a cell: "date" for a date or a time, "number" for a number or an amount, otherwise ""."""
    if _DATE.fullmatch(cell[:100]):
        return "date"
    return "number" if _QUANTITY.fullmatch(cell[:100]) else ""


def _main_kind(cells: Sequence[str]) -> str:
    """Return the kind of four fifths of the cells, "" if there is none."""
    kind, count = Counter(map(_kind, cells)).most_common(1)[0] if cells else ("", 0)
    return kind if count > 0.8 * len(cells) else ""


def _are_names(texts: Sequence[str], columns: Sequence[Sequence[str]], width: int) -> bool:
    """Return whether numbers in the first row are names: rising years, or the positions of all columns but one.

    >>> _are_names(["2019", "2020"], [["5.1"], ["4"]], 3), _are_names(["1950"], [["1961", "1974"]], 2)
    (True, False)
    >>> _are_names(["0", "1", "2"], [["5"], ["4"], ["7"]], 3), _are_names(["1", "2"], [["5"], ["4"]], 3)
    (True, False)
    """
    if not texts or not all(text.isdecimal() for text in texts):
        return False
    numbers = [int(text) for text in texts]
    if numbers[0] in (0, 1) and len(numbers) >= max(3, width - 1):
        return numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    years = all(number in _YEARS for number in numbers) and numbers == sorted(set(numbers))
    below = [cell for column in columns for cell in column]
    return years and sum(cell.isdecimal() and int(cell) in _YEARS for cell in below) < 0.5 * len(below)
