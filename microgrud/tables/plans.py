"""Plans: for each column of a table, its kind and the figures by which its cells become inputs.

A plan is what training decided about a column, and all that prediction needs: it is stored as JSON.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from ..engine.vectors import Vector
from .column import Column
from .dates import Moments, order_by_cells, parts_of, read_dates
from .numbers import NEVER_BARE, numbers_in_texts
from .spelling import Names

Flags = np.ndarray[Any, np.dtype[np.bool_]]
BY_PRESENCE = "used only for whether its cells are missing"
_ALIKE = "all its cells in the rows to learn from are alike"
#: The square of a larger number may overflow, and with it a standard deviation.
LARGEST = 1e100
#: A cell this many times as far from the median as the next closer one is a misprint or a code for a missing value.
GAP = 1e4
OTHER_MARK = {".": ",", ",": "."}


class Reading(NamedTuple):
    """The inputs that a plan makes of a column.

    Args:
        numbers: numbers by row for each input; NaN where missing.
        names: the category by row, None where missing; or None for a column without categories.
        odd: which different cells are not of the kind of the column.
    """

    numbers: dict[str, Vector]
    names: np.ndarray[Any, Any] | None
    odd: Flags


@dataclass(frozen=True)
class Plan:
    """The plan for one column; subclasses are its kinds.

    Args:
        name: the column.
        said: a sentence about what is done with it.
        missing: whether an input tells where the cell is missing.
    """

    name: str
    said: str
    missing: bool
    kind: ClassVar[str]
    #: The words for a cell that is not of this kind.
    odd: ClassVar[str] = ""

    @property
    def written(self) -> str:
        """Return words on how the cells are written, where that can differ from table to table."""
        return ""

    def read(self, column: Column) -> Reading:
        """Return the inputs for the rows of a column."""
        return Reading({}, None, np.zeros(len(column.different), bool))

    def for_cells(self, column: Column) -> Plan:
        """Return the plan with the decimal mark, or the order of day and month, in which the cells are written."""
        return self

    def guesses(self, column: Column) -> list[str]:
        """Return remarks on cells that can be read in two ways, of which neither the cells nor training tell one."""
        return []

    def for_rows(self, column: Column) -> Plan:
        """Return the plan for the rows to learn from, given one for all rows: their cells may be more alike."""
        reading = self.read(column)
        gaps = column.by_row(reading.odd & (reading.names is None), True)
        missing = bool(gaps.any())
        if self._varying(reading):
            return replace(self, missing=missing)
        if missing and not gaps.all():
            said = self.said if isinstance(self, PresencePlan) else f"{BY_PRESENCE}: {_ALIKE}"
            return PresencePlan(self.name, said, True)
        return LeftOutPlan(self.name, f"left out: {_ALIKE}", False)

    def _varying(self, reading: Reading) -> list[str]:
        """Return the labels of the inputs that vary; that of a column of categories is its name."""
        named = {} if reading.names is None else {self.name: reading.names}
        inputs = {**reading.numbers, **named}
        return [label for label, values in inputs.items() if pd.Series(values).nunique() > 1]

    @property
    def number_labels(self) -> list[str]:
        """Return the names of the inputs that are numbers."""
        return []

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON data."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class NumberPlan(Plan):
    """A column of numbers from `low` to `high`: other numbers count as missing, being misprints."""

    decimal: str
    unit: list[str]
    low: float
    high: float
    kind = "number"
    odd = "not a number, or one far beyond those seen in training, counted as missing"

    @property
    def written(self) -> str:
        """Return words for the decimal mark."""
        return f"a decimal {'point' if self.decimal == '.' else 'comma'}"

    def for_cells(self, column: Column) -> NumberPlan:
        """Return the plan with the other decimal mark if that reads more cells, and all that this one reads."""
        return replace(self, decimal=decimal_for(column, self.decimal, self.unit))

    @property
    def number_labels(self) -> list[str]:
        """Return the name of the column."""
        return [self.name]

    @property
    def _is_of_0_and_1(self) -> bool:
        """Return whether the range is that of 0 and 1: no number of training is more than 1 from a median of 0 or 1."""
        return (self.low, self.high) in ((-GAP, GAP), (1 - GAP, 1 + GAP))

    def read(self, column: Column) -> Reading:
        """Return the numbers; True and False are 1 and 0 if all cells are such words, and training had only 0 and 1."""
        numbers = numbers_in(column, self.decimal, self.unit)
        if self._is_of_0_and_1 and not column.is_typed and {*map(str.casefold, column.texts)} <= {"true", "false"}:
            numbers = np.array([text.casefold() == "true" for text in column.texts], float)
        odd = ~((numbers >= self.low) & (numbers <= self.high))
        return Reading({self.name: column.by_row(np.where(odd, math.nan, numbers), math.nan)}, None, odd)


@dataclass(frozen=True)
class DatePlan(Plan):
    """A column of dates or times, as numbers: those of year, month, weekday, hour and day that vary.

    `day_first` is None if nothing told the order of day and month, such as where all dates are ISO 8601 or typed.
    """

    day_first: bool | None
    first: str
    parts: list[str]
    kind = "date"
    odd = "not a date, counted as missing"

    @property
    def written(self) -> str:
        """Return words for the order of day and month, if training told it."""
        return "" if self.day_first is None else f"the {'day' if self.day_first else 'month'} first"

    def for_cells(self, column: Column) -> DatePlan:
        """Return the plan with the other order of day and month if that reads more cells, and all that this reads."""
        if self.day_first is None:
            return self
        lost, lost_by_other = (np.isnat(moments_in(column, order)) for order in (self.day_first, not self.day_first))
        reads_more = (lost & ~lost_by_other).any() and not (lost_by_other & ~lost).any()
        return replace(self, day_first=not self.day_first) if reads_more else self

    def guesses(self, column: Column) -> list[str]:
        """Return a remark if dates may begin with the day or the month."""
        if self.day_first is not None or column.is_typed:
            return []
        dates = read_dates(column.texts)
        ambiguous = np.flatnonzero(dates.ambiguous)
        if not len(ambiguous) or order_by_cells(column.texts, dates) is not None:
            return []
        advice = "write it as YYYY-MM-DD, or train with the option day-first or month-first"
        return [f"{column.example(ambiguous)}: read with the month first; training did not tell the order: {advice}"]

    def for_rows(self, column: Column) -> Plan:
        """Return the plan with the parts that vary in the rows to learn from."""
        plan, parts = super().for_rows(column), self._varying(self.read(column))
        return replace(plan, parts=parts) if isinstance(plan, DatePlan) else plan

    @property
    def number_labels(self) -> list[str]:
        """Return the name of each part."""
        return [f"{self.name}: {part}" for part in self.parts]

    def read(self, column: Column) -> Reading:
        """Return the parts of the dates."""
        moments = moments_in(column, self.day_first)
        parts = parts_of(moments, np.datetime64(self.first, "D"))
        inputs = {part: column.by_row(parts[part], math.nan) for part in self.parts}
        return Reading(inputs, None, np.isnat(moments))


@dataclass(frozen=True)
class CategoryPlan(Plan):
    """A column of categories: one input for each, and one for all `others` if training had rare ones."""

    categories: list[str]
    others: bool
    kind = "category"

    @property
    def odd(self) -> str:  # type: ignore[override]
        """Return the words for a category without an input of its own."""
        return f"a rare or new category, counted as {'(other)' if self.others else 'none of those seen in training'}"

    @property
    def category_labels(self) -> list[str]:
        """Return a name for each input, such as `colour = red`."""
        return [f"{self.name} = {name}" for name in self.categories + ["(other)"] * self.others]

    def read(self, column: Column) -> Reading:
        """Return the names of the categories."""
        known = Names(self.categories)
        names = np.array([known.find(text) or OTHER for text in column.texts], object)
        return Reading({}, column.by_row(names, None), np.equal(names, OTHER).astype(bool))


@dataclass(frozen=True)
class PresencePlan(Plan):
    """A column that tells by its missing cells alone."""

    kind = "presence"


@dataclass(frozen=True)
class LeftOutPlan(Plan):
    """A column that is not used."""

    kind = "left out"

    def for_rows(self, column: Column) -> Plan:
        """Return the plan."""
        return self


#: Stands for all categories without an input of their own; no cell is this text, since cells are stripped.
OTHER = " other"
PLANS: dict[str, type[Plan]] = {
    plan.kind: plan for plan in (NumberPlan, DatePlan, CategoryPlan, PresencePlan, LeftOutPlan)
}


def numbers_in(column: Column, decimal: str, unit: Sequence[str]) -> Vector:
    """Return the number in each different cell; NaN if there is none, or it is too large to be computed with."""
    if column.different.dtype == float and unit[1] not in NEVER_BARE:
        numbers: Vector = column.different
    elif column.is_typed:
        return np.full(len(column.different), math.nan)
    else:
        numbers = column.numbers(decimal, (unit[0], unit[1]))
    return np.where(np.abs(numbers) <= LARGEST, numbers, math.nan)


def decimal_for(column: Column, decimal: str, unit: Sequence[str]) -> str:
    """Return the other decimal mark if that reads more of the cells, and all that `decimal` reads, or else `decimal`.

    >>> decimal_for(Column.of(pd.Series(["inf", "1.234"]), "x"), ".", ["", ""])
    '.'
    """
    if column.is_typed:
        return decimal
    other, pair = OTHER_MARK[decimal], (unit[0], unit[1])
    lost = np.isnan(column.numbers(decimal, pair))
    if np.isnan(numbers_in_texts([column.texts[cell] for cell in np.flatnonzero(lost)], other, pair)).all():
        return decimal
    return decimal if (np.isnan(column.numbers(other, pair)) & ~lost).any() else other


def moments_in(column: Column, day_first: bool | None) -> Moments:
    """Return the moment in each different cell; NaT if there is none.

    With `day_first` None, the cells decide, and if they do not, the month precedes the day.
    """
    if column.different.dtype.kind == "M":
        return column.different
    if column.is_typed and column.different.dtype != float:
        return np.full(len(column.different), np.datetime64("NaT", "us"))
    dates = read_dates(column.texts)
    return dates.by(bool(order_by_cells(column.texts, dates) if day_first is None else day_first))
