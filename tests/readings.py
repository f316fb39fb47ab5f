"""The content of tables that were read, for comparison with what was written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from microgrud.tables import Table

#: The fixture that writes a file: content, and name; it returns the path.
Write = Callable[..., Path]


def cells(table: Table) -> list[list[str]]:
    return [[str(x) for x in row] for row in table.cells.to_numpy()]


def rows(table: Table) -> list[list[str]]:
    return [table.columns, *cells(table)]


def places(table: Table) -> list[str]:
    return [table.place(i) for i in range(len(table))]
