"""Problems with cells: all that is wrong with a table, said at once, with column and row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .column import Column
from .table import TableError


class Problem(NamedTuple):
    """A reason why a column cannot be used, and what to do.

    Args:
        column: the name of the column.
        rows: the positions of the rows that show the problem: none, one or two.
        text: the problem.
        advice: the remedy.
        places: the names of these rows in the column; a table, which knows their lines, gives better ones.
    """

    column: str
    rows: tuple[int, ...]
    text: str
    advice: str
    places: tuple[str, ...] = ()

    @classmethod
    def of(cls, column: Column, cells: Sequence[int], text: str, advice: str) -> Problem:
        """Return the problem that some of the different cells of a column show, with the first row of each."""
        rows = tuple(int(column.rows_of(np.array([cell]))[0]) for cell in cells)
        return cls(column.name, rows, text, advice, tuple(f"row {column.row_number(row) + 1}" for row in rows))

    def sentence(self, place: Callable[[int], str] | None = None) -> str:
        """Return the problem in one line; `place` names a row by its position."""
        places = list(self.places) if place is None else list(map(place, self.rows))
        where = ", ".join([f"column {self.column!r}", " and ".join(places)] if places else [f"column {self.column!r}"])
        return f"{where}: {self.text}; {self.advice}"


class PreparationError(TableError):
    """A table that cannot be prepared: the message has a line for each reason.

    Args:
        problems: the problems with columns.
        lines: other reasons, such as options that name unknown columns.

    >>> PreparationError([Problem("price", (2,), "expected a number, got 'x'", "correct it", ("row 3",))])
    PreparationError("column 'price', row 3: expected a number, got 'x'; correct it")
    """

    def __init__(self, problems: Iterable[Problem], lines: Sequence[str] = ()) -> None:
        self.problems, self._lines = list(problems), list(lines)
        super().__init__("\n".join([*self._lines, *(problem.sentence() for problem in self.problems)]))

    def sentences(self, place: Callable[[int], str]) -> list[str]:
        """Return a line for each reason; `place` names a row by its position in the cells that were prepared."""
        return [*self._lines, *(problem.sentence(place) for problem in self.problems)]

    def __reduce__(self) -> tuple[type[PreparationError], tuple[list[Problem], list[str]]]:
        return type(self), (self.problems, self._lines)
