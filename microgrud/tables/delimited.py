"""Delimited text: CSV and TSV in any dialect, as rows of cells with their lines."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from .dialect import Dialect, Record, find_dialect, misquoted, records, tabbed
from .escaping import unescaped
from .table import TableError, counted, listed

#: The largest number of columns: a line of 10 MB of commas is no table.
MOST_COLUMNS = 2**17
EMPTY = "the file is empty; expected a header line with column names, and rows below it"
_END = re.compile(r"(\r\n|\r|\n)")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Rows:
    """The rows of a file, with its header if it has one.

    Args:
        cells: one row per row of the file, with columns named by their positions.
        lines: the line of each row, from 1.
        delimiter: the character between cells.
    """

    cells: pd.DataFrame
    lines: Sequence[int]
    delimiter: str = ","


def read_delimited(name: str, text: str, delimiter: str | None, notes: list[str]) -> Rows:
    """Return the rows of a delimited text.

    Comments (lines that begin with # and have another number of cells), titles above the table and footers below it
    are left out, with a note.

    Args:
        name: the name of the file, for messages.
        text: its content.
        delimiter: the character between cells, if the user has given it.
        notes: the list to which remarks are added.

    Raises:
        TableError: if a row has more cells than the first one, or a quotation is never closed: with all such lines.
    """
    if not re.search(r"[^\s;,|\"']", text):
        raise TableError(f"{name}: {EMPTY}")
    if '"' not in text or "\n" not in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text, delimiter = _without_delimiter_line(text, delimiter)
    dialect = find_dialect(text, delimiter)
    if dialect.delimiter == " ":
        notes.append(f"{name}: cells are separated by spaces")
        text, dialect = tabbed(text), Dialect("\t", dialect.quote, dialect.escape)
    text = _without_remarks(name, text, dialect, notes)
    rows = _regular(text, dialect) or _irregular(name, text, dialect, notes)
    _note_quotations(name, text, dialect, notes)
    return Rows(unescaped(name, rows.cells, notes), rows.lines, dialect.delimiter) if "'" in text else rows


def _note_quotations(name: str, text: str, dialect: Dialect, notes: list[str]) -> None:
    """Note the lines with text between the end of a quotation and the next cell: `"5"8,1` is read as 58 and 1."""
    mark, delimiter = dialect.quote, re.escape(dialect.delimiter)
    # A mark that neither begins nor ends a cell; the pattern begins with the mark, for which Python searches fast.
    if not re.search(rf"{mark}(?<=[^{delimiter}{mark}\r\n]{mark})(?=[^{delimiter}{mark}\r\n])", text):
        return
    found = [record for record in records(text, dialect) if record.cells]
    if wrong := misquoted(text, found, dialect, every=True):
        where = f"a quotation mark within a cell in {named_lines(wrong)}"
        notes.append(f"{name}: {where} was taken as the end of a quotation; double it")


def _without_delimiter_line(text: str, delimiter: str | None) -> tuple[str, str | None]:
    r"""Return the text with a blank line in place of a first line such as `sep=;`, and the delimiter that it names.

    >>> _without_delimiter_line("sep=;\na;b\n", None)
    ('\na;b\n', ';')
    """
    named = re.match(r'\s*"?sep=([^\s"]|\t)"?[^\S\r\n]*(\r\n|\r|\n)', text, re.IGNORECASE)
    if named is None or delimiter not in (None, named[1]):
        return text, delimiter
    return "\n" * len(_END.findall(named[0])) + text[named.end() :], named[1]


def _without_remarks(name: str, text: str, dialect: Dialect, notes: list[str]) -> str:
    """Return the text with blank lines in place of comments and of titles above the table."""
    begun = records(text[: 2**16], dialect)
    whole = begun[:-1] if len(text) > 2**16 else begun  # without a record that goes on
    sample = [record for record in whole if any(record.cells)]
    widths = Counter(len(record.cells) for record in sample if record.cells[0][:1] != "#")
    width = max(widths, key=lambda each: (widths[each], each), default=0)
    has_comments = text.startswith("#") or "\n#" in text or "\r#" in text
    found = records(text, dialect) if has_comments else sample
    comments = [r for r in found if r.cells and r.cells[0][:1] == "#" and (len(r.cells) != width or width == 1)]
    commented, titles = {comment.line for comment in comments}, list[Record]()
    for record in sample:
        if record.line not in commented:
            filled = sum(map(bool, record.cells))
            if width == 1 or filled > 1 or len(record.cells) == width < 3:
                break
            titles.append(record)
    titles = titles if len(titles) < len(sample) / 2 else []
    _note_left_out(name, "comment", comments, notes)
    _note_left_out(name, "title", titles, notes)
    if not (comments or titles):
        return text
    parts = _END.split(text)
    for record in comments + titles:
        for line in range(record.line, record.end + 1):
            parts[2 * line - 2] = ""
    return "".join(parts)


def _note_left_out(name: str, noun: str, left_out: Sequence[Record], notes: list[str]) -> None:
    if left_out:
        first = repr(next(filter(None, left_out[0].cells))[:60]) + ", ..." * (len(left_out) > 1)
        where = named_lines([record.line for record in left_out])
        notes.append(f"{name}: {counted(len(left_out), noun)} left out, {where}: {first}")


def named_lines(lines: Sequence[int]) -> str:
    """Return the names of lines, the first ten of many.

    >>> named_lines([3]), named_lines([3, 5])
    ('line 3', 'lines 3, 5')
    """
    return f"line{'s' * (len(lines) > 1)} {listed(lines)}"


def _regular(text: str, dialect: Dialect) -> Rows | None:
    """Return the rows of a text all of whose rows are one line and of one length, None for another text.

    pandas reads 100,000 rows of 20 columns in 0.35 s; the csv module takes 1.2 s with the making of a frame.
    """
    head = [record for record in records(text[: 2**16], dialect) if record.cells][:-1] or records(text, dialect)
    widths = {len(record.cells) for record in head}
    if len(widths) != 1 or not 0 < (width := widths.pop()) <= MOST_COLUMNS:
        return None
    try:
        cells = pd.read_csv(
            io.StringIO(text),
            header=None,
            names=list(range(width)),
            dtype=str,
            keep_default_na=False,
            **dialect.arguments,
        )
    except ValueError:  # a row is longer, or a quotation is never closed
        return None
    is_full = text.count(dialect.delimiter) == (width - 1) * len(cells)
    if dialect.quote in text:  # and perhaps delimiters in cells
        is_full = bool((cells.iloc[:, -1] != "").all())
    if not is_full:  # a row may be shorter
        return None
    ends = text.count("\n") + (not text.endswith("\n"))
    if ends == len(cells) and "\r" not in text.replace("\r\n", ""):
        return Rows(cells, range(1, ends + 1), dialect.delimiter)
    lines = [number for number, line in enumerate(_END.split(text)[::2], 1) if line.strip()]
    return Rows(cells, lines, dialect.delimiter) if len(lines) == len(cells) else None


def _irregular(name: str, text: str, dialect: Dialect, notes: list[str]) -> Rows:
    """Return the rows of a text with rows of several lines or of different lengths."""
    found = [record for record in records(text, dialect) if any(record.cells)]
    if not found:
        raise TableError(f"{name}: {EMPTY}")
    width = len(found[0].cells)
    if width > MOST_COLUMNS:
        raise TableError(f"{name}: the first line has {width} cells; expected a header of column names")
    problems = []
    if wrong := misquoted(text, found, dialect):
        where = f"the quotation mark opened in {named_lines(wrong)}"
        problems.append(f"{name}: {where} is never closed, or closed within a cell; close it or remove it")
    found = _without_footers(name, found, notes)
    for record in found:  # cells of trailing delimiters
        while len(record.cells) > width and not record.cells[-1]:
            record.cells.pop()
    long = [record for record in found if len(record.cells) > width]
    if _is_without_index_name(found):
        notes.append(f"{name}: the header has one name fewer than the rows have cells; the first column has no name")
        found[0].cells.insert(0, "")
        width += 1
    elif long:
        got = " or ".join(map(str, sorted({len(record.cells) for record in long})[:3]))
        where = f"{got} in {named_lines([record.line for record in long])}, split at each {dialect.name}"
        problems.append(f"{name}: expected {width} cells, as in the header, got {where}; quote or correct the cells")
    if problems:
        raise TableError("\n".join(problems))
    named = max((position for position, cell in enumerate(found[0].cells, 1) if cell), default=0)
    if short := [record.line for record in found if len(record.cells) < named]:
        notes.append(f"{name}: fewer cells than in the header in {named_lines(short)}; the rest was read as missing")
    filled = [record.cells + [""] * (width - len(record.cells)) for record in found]
    return Rows(pd.DataFrame(filled, dtype=str), [record.line for record in found], dialect.delimiter)


def _without_footers(name: str, found: list[Record], notes: list[str]) -> list[Record]:
    """Return the records without those at the end that are a line of text without any delimiter."""
    last, width = len(found), len(found[0].cells)
    while last > 2 and len(found[last - 1].cells) == 1 < width and not _NUMBER.fullmatch(found[last - 1].cells[0]):
        last -= 1
    _note_left_out(name, "footer", found[last:], notes)
    return found[:last]


def _is_without_index_name(found: list[Record]) -> bool:
    """Return whether R has written the names of the rows, and no name for them in the header.

    Numbers have to rise in ten rows: a cell more in each row may also be half a number with a decimal comma.
    """
    width, rows = len(found[0].cells), found[1:]
    if not rows or any(len(record.cells) != width + 1 for record in rows):
        return False
    first = [record.cells[0] for record in rows]
    if not any(map(_NUMBER.fullmatch, first)):
        return len(set(first)) == len(first)
    return len(first) >= 10 and all(c.isdecimal() for c in first) and all(a < b for a, b in pairwise(map(int, first)))
