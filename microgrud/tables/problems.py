"""Problems with cells: all that is wrong with a table, said at once, with column and row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from .table import TableError


def _row(position: int) -> str:
    return f"row {position + 1}"


class Problem(NamedTuple):
    """A reason why a column cannot be used: the positions of up to a few rows that show it, and what to do."""

    column: str
    rows: tuple[int, ...]
    text: str
    advice: str

    def sentence(self, place: Callable[[int], str] = _row) -> str:
        """Return the problem in one line; `place` names a row by its position, as `Table.place` does."""
        rows = "".join(f", {place(row)}" for row in self.rows[:1])
        also = f" (and {place(self.rows[1])})" if len(self.rows) > 1 else ""
        return f"column {self.column!r}{rows}{also}: {self.text}; {self.advice}"


class PreparationError(TableError):
    """A table that cannot be prepared; `problems` holds every reason, the message has a line for each.

    >>> PreparationError([Problem("price", (2,), "expected a number, got 'x'", "correct it")])
    PreparationError("column 'price', row 3: expected a number, got 'x'; correct it")
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(problem.sentence() for problem in self.problems))

    def sentences(self, place: Callable[[int], str]) -> list[str]:
        """Return a line for each problem, with rows named by `place`, such as `Table.place`."""
        return [problem.sentence(place) for problem in self.problems]

    def __reduce__(self) -> tuple[type[PreparationError], tuple[list[Problem]]]:
        return type(self), (self.problems,)
