"""Rules for the kinds of columns: the user's decisions, and what the table as a whole tells."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from .column import Column, shortened
from .numbers import Numbers, decimal_of, hint_of_whole_numbers, is_ambiguous
from .problems import Problem

#: A column is one of numbers, or of dates, if at least this share of its cells is; the others count as missing.
MIN_SHARE = 0.8
OR_IGNORE = ", or leave the column out (option ignore)"


@dataclass(frozen=True)
class Rules:
    """The user's decisions, and what the table tells where the cells of a column allow two readings.

    Args:
        categorical: columns of numbers to be taken as categories.
        numerical: columns to be taken as numbers.
        ignore: columns to leave out.
        decimal: the user's decimal mark.
        delimiter: the delimiter of the file; a comma speaks for decimal points.
        day_first: the user's order of day and month.
        rarest: the smallest number of rows of a category of its own.
        marks: the decimal marks of the columns that can be read one way only.
        share: the share of the rows of a table that there are, if they are a sample of it.
    """

    categorical: Collection[str] = ()
    numerical: Collection[str] = ()
    ignore: Collection[str] = ()
    decimal: str | None = None
    delimiter: str | None = None
    day_first: bool | None = None
    rarest: int = 2
    marks: frozenset[str] = frozenset()
    share: float = 1.0

    @property
    def mark(self) -> str | None:
        """Return the decimal mark of the user, or else of all other columns that tell one; None if they differ."""
        return self.decimal or (next(iter(self.marks)) if len(self.marks) == 1 else None)


def settle_decimal(
    column: Column, numbers: Numbers, rules: Rules, notes: list[str], is_target: bool = False
) -> str | Problem:
    """Return the decimal mark of a column, or the problem, which shows two cells, if nothing tells it.

    Args:
        column: the column.
        numbers: its numbers by either reading.
        rules: the user's decisions, and the marks of other columns.
        notes: gets a note if something other than the cells tells the mark.
        is_target: whether it is the column to predict, which cannot be left out.
    """
    by_cells = decimal_of(numbers)
    if by_cells is not None:
        return by_cells
    ambiguous = np.flatnonzero(is_ambiguous(numbers))
    if not len(ambiguous) or rules.decimal:
        return rules.mark or "."
    decimal, why = _by_evidence(column, numbers, rules)
    text = column.texts[ambiguous[0]]
    if decimal is not None:
        read = numbers.by(decimal)[ambiguous[0]]
        notes.append(f"column {column.name!r}: {text!r} was read as {read:g}, because {why}")
        return decimal
    shown = " and ".join(shortened(column.texts[position]) for position in ambiguous[:2])
    small, large = sorted((numbers.point[ambiguous[0]], numbers.comma[ambiguous[0]]), key=abs)
    found = f"{shown} can be read in two ways, the first as {small:g} or {large:g}"
    advice = "say which is the decimal mark (option decimal: '.' or ',')" + OR_IGNORE * (not is_target)
    return Problem.of(column, ambiguous[:2].tolist(), found, advice)


def mixed_marks(column: Column, numbers: Numbers, is_target: bool = False) -> Problem | None:
    """Return the problem of a column of numbers some of which have a decimal point, and others a decimal comma."""
    point, comma = np.isfinite(numbers.point), np.isfinite(numbers.comma)
    by_point, by_comma = np.flatnonzero(point & ~comma)[:1], np.flatnonzero(comma & ~point)[:1]
    share = column.counts[point | comma].sum() / max(1, column.counts.sum())
    if share < MIN_SHARE or not (len(by_point) and len(by_comma)):
        return None
    cells = [int(by_point[0]), int(by_comma[0])]
    with_point, with_comma = (shortened(column.texts[cell]) for cell in cells)
    found = f"{with_point} is a number only with a decimal point, {with_comma} only with a decimal comma"
    return Problem.of(column, cells, found, "write all of them with the same mark" + OR_IGNORE * (not is_target))


def _by_evidence(column: Column, numbers: Numbers, rules: Rules) -> tuple[str | None, str]:
    """Return the decimal mark of an ambiguous column, and what tells it."""
    if rules.marks:
        return rules.mark, f"other columns have a decimal {'point' if rules.mark == '.' else 'comma'}"
    ambiguous = is_ambiguous(numbers)
    pointed = bool((np.abs(numbers.point) < np.abs(numbers.comma))[ambiguous].any())
    hint = hint_of_whole_numbers(column.texts, numbers)
    by_cells = None if hint is None else "." if (hint == "decimals") == pointed else ","
    if rules.delimiter == ",":
        return (None if by_cells == "," else "."), "the cells of the file are separated by commas"
    shown = "separates thousands" if hint == "thousands" else "begins the decimals"
    return by_cells, f"the whole numbers among the cells show that the mark {shown}"
