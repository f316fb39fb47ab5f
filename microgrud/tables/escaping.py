"""Escapes of cells that a spreadsheet would run: an apostrophe marks them as text in CSV and TSV files.

The rule is that of the OWASP page "CSV Injection": a cell is dangerous if it begins with =, +, -, @, a tab or a
carriage return. Numbers such as -2.5 are not text and stay as they are.
"""

from __future__ import annotations

import re

import pandas as pd

from .table import counted

#: A cell that a spreadsheet would run, or that would be taken for an escaped one.
_RUN = re.compile(r"'+[=+\-@\t\r]|(?![+-][\d.,]*([eE][+-]?\d+)?%?$)[=+\-@\t\r]")
_ESCAPED = r"'+[=+\-@\t\r]"


def escaped(cell: str) -> str:
    """Return a cell with an apostrophe before it if a spreadsheet would run it.

    >>> [escaped(cell) for cell in ("=1+1", "-2.5", "-1,5%", "-cmd", "'=x", "it's")]
    ["'=1+1", '-2.5', '-1,5%', "'-cmd", "''=x", "it's"]
    """
    return f"'{cell}" if _RUN.match(cell) else cell


def unescaped(name: str, cells: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Return stripped cells without the apostrophes of `escaped`; the number of such cells is noted."""
    count = 0
    for column in cells.columns:
        marked = cells[column].str.match(_ESCAPED)
        if marked.any():
            count += int(marked.sum())
            cells[column] = cells[column].where(~marked, cells[column].str[1:].str.strip())
    if count:
        notes.append(f"{name}: the apostrophe before =, +, - or @, a spreadsheet's mark of text, was removed from "
                     f"{counted(count, 'cell')}")  # fmt: skip
    return cells
