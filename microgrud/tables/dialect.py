"""Dialects of delimited text: the character between cells, found from many lines, and the records that it yields."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from .table import TableError

#: Delimiters that are looked for, the least frequent in text first, with their names for messages.
DELIMITERS = {"\t": "tab", ";": "semicolon", "|": "vertical bar", ",": "comma", " ": "run of blanks"}
#: The largest number of characters of a cell for the csv module, whose default is 2**17; one limit for all threads.
_LONGEST = 2**31 - 1
#: The number of characters from which the dialect is found.
_SAMPLE = 2**16
#: Cells of one kind of content: nothing, a number, a date or an amount, or words without any delimiter between them.
_PLAIN = re.compile(r"[^\t;|,]*|[^\w\t;|]*\d[\d.,']*[^\w\t;|]*|[^\t;|,]+(, [^\t;|,]+)+")
_WORD = re.compile(r'"(?:[^"]|"")*"|[^ \t]+')


@dataclass(frozen=True)
class Dialect:
    """The characters of a delimited text that have a meaning.

    Args:
        delimiter: the character between cells; a blank stands for any run of blanks and tabs.
        quote: the quotation mark around cells that contain a delimiter.
        escape: the character before a quotation mark inside a quoted cell; otherwise the mark is doubled.
    """

    delimiter: str
    quote: str = '"'
    escape: str | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `csv.reader` and `pandas.read_csv`."""
        return {"delimiter": self.delimiter, "quotechar": self.quote, "escapechar": self.escape}

    @property
    def name(self) -> str:
        """Return the name of the delimiter, for messages."""
        return DELIMITERS.get(self.delimiter, repr(self.delimiter))


class Record(NamedTuple):
    """The stripped cells of one row of a delimited text, and its first and last line, from 1."""

    cells: list[str]
    line: int
    end: int


def given_delimiter(delimiter: str) -> str:
    r"""Return the delimiter that a user has given: one character, or `tab`.

    Raises:
        TableError: if it is neither, or a character with another meaning.

    >>> given_delimiter("tab"), given_delimiter(":")
    ('\t', ':')
    """
    delimiter = {"tab": "\t", "\\t": "\t", "space": " "}.get(delimiter, delimiter)
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise TableError(f"delimiter: expected one character, or tab, got {delimiter!r}")
    return delimiter


def find_dialect(text: str, delimiter: str | None = None) -> Dialect:
    r"""Return the dialect that splits most lines of a sample of the text into the same number of cells, at least two.

    Among equals, cells that contain no other delimiter decide, then the order of `DELIMITERS`. A blank is taken only if
    nothing else splits the lines. The idea of scoring the pattern of row lengths and the kinds of cells is that of van
    den Burg, Nazabal and Sutton, "Wrangling messy CSV files by detecting row and type patterns" (2019).

    >>> find_dialect("x;y\n1,5;2,5\n3,0;4\n").delimiter
    ';'
    """
    sample = text if len(text) <= _SAMPLE else text[:_SAMPLE].rpartition("\n")[0] or text[:_SAMPLE]
    quoting = _quoting(sample)
    if delimiter:
        return Dialect(delimiter, *quoting)
    scores = {mark: _score(sample, Dialect(mark, *quoting)) for mark in DELIMITERS if mark != " "}
    best = max(scores, key=lambda mark: scores[mark])
    if scores[best][0] == 0:
        best = " " if _score(tabbed(sample), Dialect("\t", *quoting))[0] > 0.9 else ","
    return Dialect(best, *quoting)


def _quoting(sample: str) -> tuple[str, str | None]:
    r"""Return the quotation mark, and the character that escapes it.

    >>> _quoting("a,b\n1,'x, y'\n"), _quoting('a,b\n1,"x \\"y\\" z"\n'), _quoting('a,b\n"it''s",2\n')
    (("'", None), ('"', '\\'), ('"', None))
    """
    if '"' not in sample:
        edges = re.findall(r"(?:^|[\t;|,])'[^'\r\n]*'(?=[\t;|,\r\n]|$)", sample, re.MULTILINE)
        return ("'" if 2 * len(edges) == sample.count("'") > 0 else '"'), None
    escaped = re.search(r'\\"[^\t;|,\r\n"]', sample) and '""' not in sample.replace('\\"', "")
    return '"', "\\" if escaped else None


def _score(sample: str, dialect: Dialect) -> tuple[float, float]:
    """Return the share of rows of the most frequent length, 0 if that is one cell, and the share of plain cells."""
    rows = [record.cells for record in records(sample, dialect) if any(record.cells) and record.cells[0][:1] != "#"]
    (width, count), *_ = Counter(map(len, rows)).most_common(1) or [(1, 0)]
    cells = [cell for row in rows[:200] for cell in row[:50]]
    plain = sum(_PLAIN.fullmatch(cell[:100]) is not None for cell in cells) / max(len(cells), 1)
    return (count / len(rows) if width > 1 else 0.0), plain


def records(text: str, dialect: Dialect) -> list[Record]:
    """Return the records of a text, blank ones too.

    A quotation that is never closed swallows the rest of the text; `misquoted` finds it.
    """
    csv.field_size_limit(_LONGEST)
    found, start = [], 1
    reader = csv.reader(io.StringIO(text, newline=""), **dialect.arguments)
    for cells in reader:
        found.append(Record([cell.strip() for cell in cells], start, reader.line_num))
        start = reader.line_num + 1
    return found


def misquoted(text: str, found: list[Record], dialect: Dialect, every: bool = False) -> list[int]:
    r"""Return the first lines of the records with a quotation that is never closed, or closed within another cell.

    Unless `every` is true, only records of several lines, and the last one, are examined: those may swallow others.

    >>> text = 'a,b\n1,"x\n2,"y"\n'
    >>> misquoted(text, records(text, Dialect(",")), Dialect(","))
    [2]
    """
    suspects = [record for record in found if every or record.line < record.end or record is found[-1]]
    lines = list(io.StringIO(text, newline=""))
    wrong = []
    for record in suspects:
        part = [*lines[record.line - 1 : record.end], "\n", "x"]  # two records, unless a quotation swallows them
        try:
            whole = len(list(csv.reader(part, strict=True, **dialect.arguments))) == 3
        except csv.Error:
            whole = False
        wrong += [record.line] * (not whole)
    return wrong


def tabbed(text: str) -> str:
    r"""Return a text with a tab for each run of blanks and tabs between cells.

    >>> tabbed('  a   b \n 1 "x y"')
    'a\tb\n1\t"x y"'
    """
    return "\n".join("\t".join(_WORD.findall(line)) for line in re.split(r"\r\n|\r|\n", text))
