"""Notes and errors about the rows of a table, as lines for the user."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..tables.problems import PreparationError
from ..tables.table import Table, TableError

#: Maximum number of notes on columns that are printed before training; the report has all.
_SHOWN_NOTES = 8


def lines_of(error: TableError, table: Table, positions: Sequence[int] | npt.NDArray[np.intp]) -> list[str]:
    """Return the lines of an error about rows at these positions of a table, with their places in the file."""
    if isinstance(error, PreparationError):
        return error.sentences(lambda row: table.place(int(positions[row])))
    return str(error).splitlines()


def shortened(notes: Sequence[str], ending: str = "more notes are in the report, and in microgrud show") -> list[str]:
    """Return the first notes, and the number of the others."""
    if len(notes) <= _SHOWN_NOTES + 1:
        return list(notes)
    return [*notes[:_SHOWN_NOTES], f"{len(notes) - _SHOWN_NOTES} {ending}"]


def listed(names: Sequence[str]) -> str:
    """Return the first dozen names in quotes.

    >>> listed(["a", "b"])
    "'a', 'b'"
    """
    return ", ".join(map(repr, names[:12])) + (", ..." if len(names) > 12 else "")
