"""Evidence for the kind of a column: the numbers or dates that its cells hold."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from .column import Column
from .dates import Dates, read_dates
from .numbers import Numbers, decimal_of, read_numbers
from .rules import MIN_SHARE, Rules

#: Up to this many different numbers next to repeated texts are categories, such as 0, 1, 2 and 3+.
FEW_NUMBERS = 10


class Evidence:
    """The numbers or dates in the cells of a column.

    Args:
        column: the column.
        rules: the user's decisions.
    """

    def __init__(self, column: Column, rules: Rules) -> None:
        self.column = column
        self.numbers = numbers_by_both(column)
        self.decimal = decimal_of(self.numbers)
        self.dates: Dates | None = None
        self.total = int(column.counts.sum())
        values = self.numbers.by(self.decimal or ".")
        self.known = np.isfinite(values)
        self.share = self.share_of(self.known)
        self.kind = "category"
        if not self.total or column.name in rules.categorical:
            return
        numeric = column.name in rules.numerical or self._is_numeric(values)
        compact = numeric and bool(((values >= 19000101) & (values <= 21001231))[self.known].all())
        if column.different.dtype.kind == "M":
            self.kind, self.dates = "date", Dates(column.different, column.different)
        elif column.name not in rules.numerical and (compact or (self.share < 1 - MIN_SHARE and not column.is_typed)):
            self.dates = read_dates(column.texts)
            dated = ~np.isnat(self.dates.by_day) | ~np.isnat(self.dates.by_month)
            self.kind = "date" if self.share_of(dated) >= (1 if compact else MIN_SHARE) else self.kind
        if numeric and self.kind != "date":
            self.kind = "number"

    def share_of(self, different: Any) -> float:
        """Return the share of rows, among those that have a cell, with the different cells that are marked."""
        return float(self.column.counts[different].sum() / max(1, self.total))

    def _is_numeric(self, values: Any) -> bool:
        if self.known.all() or (self.column.is_typed and self.column.different.dtype == float):
            return True
        few = len(np.unique(values[self.known])) <= FEW_NUMBERS and self.column.counts[~self.known].max() > 1
        return self.share >= MIN_SHARE and not few

    @property
    def signature(self) -> bytes:
        """Return bytes that are the same for columns that say the same: equal numbers, or texts one to one."""
        rows: np.ndarray[Any, Any] = self.column.rows
        if self.kind == "number":
            rows = self.column.by_row(self.numbers.by(self.decimal or "."), np.nan)
        elif self.dates is not None and self.kind == "date":
            rows = self.column.by_row(self.dates.by_day, np.datetime64("NaT", "us"))
        return hashlib.blake2b(rows.tobytes()).digest()


def numbers_by_both(column: Column) -> Numbers:
    """Return the numbers in the different cells of a column, by either reading."""
    if column.different.dtype == float:
        return Numbers(column.different, column.different, ("", ""))
    if column.is_typed:
        none = np.full(len(column.different), np.nan)
        return Numbers(none, none, ("", ""))
    return read_numbers(column.texts, column.counts.tolist())
