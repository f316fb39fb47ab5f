"""Kinds of columns: numbers, dates, categories, or nothing that a network can learn from; decided by all the cells."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from .column import Column
from .dates import Dates, decide_order, parts_of, read_dates
from .numbers import Numbers, decimal_of, hint_of_whole_numbers, is_ambiguous, read_numbers
from .plans import LARGEST, CategoryPlan, DatePlan, LeftOutPlan, NumberPlan, Plan, PresencePlan
from .problems import Problem
from .spelling import merged, spellings
from .table import and_more, counted

#: A column is one of numbers, or of dates, if at least this share of its cells is; the others count as missing.
MOST = 0.8
#: As many different numbers next to repeated texts are categories, such as 0, 1, 2 and 3+.
FEW_NUMBERS = 10
#: A cell this many times as far from the median as the next closer one is a misprint or a code for a missing value.
_GAP = 1e4
_IDENTIFIERS = {
    *("id", "ids", "key", "no", "nr", "num", "number", "index", "idx", "uuid", "guid", "unnamed", "serial"),
    *("identifier", "rowname", "rownames", "rowid", "row", "record"),
}
_TIMES = {"year", "years", "time", "t", "date", "day", "month", "week", "hour", "period", "quarter", "age"}


@dataclass(frozen=True)
class Rules:
    """The user's decisions, and those that follow from the size of the table."""

    categorical: Collection[str] = ()
    numerical: Collection[str] = ()
    ignore: Collection[str] = ()
    decimal: str | None = None
    delimiter: str | None = None
    day_first: bool | None = None
    rarest: int = 2


@dataclass
class Findings:
    """The plans for the columns, the notes on them, and the problems that prevent a plan."""

    plans: dict[str, Plan] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def decide_kinds(columns: Iterable[Column], rules: Rules) -> Findings:
    """Decide on the plan for each column."""
    found = Findings()
    looks = [_Look(column, rules) for column in columns]
    marks = {look.decimal for look in looks if look.kind == "number" and look.decimal}
    signatures: dict[tuple[str, bytes], str] = {}
    for look in looks:
        name = look.column.name
        plan = _plan(look, rules, marks, found)
        if plan is None:
            continue
        signature = look.signature()
        if not isinstance(plan, (LeftOutPlan, PresencePlan)):
            twin = signatures.setdefault((plan.kind, signature), name)
            if twin != name:
                plan = LeftOutPlan(name, f"left out: it says the same as {twin!r}", False)
        found.plans[name] = plan
        if isinstance(plan, LeftOutPlan) and name not in rules.ignore:
            found.notes.append(f"column {name!r} is {plan.said}")
    return found


class _Look:
    """A look at a column: which numbers or dates its cells hold."""

    def __init__(self, column: Column, rules: Rules) -> None:
        self.column = column
        self.decimal: str | None = None
        self.numbers: Numbers | None = None
        self.dates: Dates | None = None
        self.kind = "category"
        self.total = int(column.counts.sum())
        if column.name in rules.ignore or not self.total or column.name in rules.categorical:
            return
        if column.is_typed:
            if column.different.dtype.kind == "M":
                self.kind, self.dates = "date", Dates(column.different, column.different)
            else:
                self.kind, self.numbers = "number", Numbers(column.different, column.different, ("", ""))
            return
        self.numbers = read_numbers(column.texts, column.counts)
        self.decimal = decimal_of(self.numbers)
        if self._is_numeric(column.name in rules.numerical):
            self.kind = "number"
        elif self.share(np.isnan(self.numbers.point) & np.isnan(self.numbers.comma)) > 0.5:
            self.dates = read_dates(column.texts)
            if self.share(~np.isnat(self.dates.by_day) | ~np.isnat(self.dates.by_month)) >= MOST:
                self.kind = "date"

    def share(self, different: Any) -> float:
        """Return the share of rows, among those that have a cell, of the different cells that are marked."""
        return float(self.column.counts[different].sum() / self.total)

    def _is_numeric(self, forced: bool) -> bool:
        assert self.numbers is not None
        numbers = self.numbers.by(self.decimal or ".")
        known = ~np.isnan(numbers)
        if known.all() or forced:
            return True
        repeated = len(np.unique(numbers[known])) <= FEW_NUMBERS and self.column.counts[~known].max() > 1
        return self.share(known) >= MOST and not repeated

    def signature(self) -> bytes:
        """Return bytes that are the same for columns that say the same."""
        return self.column.rows.tobytes() + (self.column.different.tobytes() if self.column.is_typed else b"")


def _plan(look: _Look, rules: Rules, marks: set[str], found: Findings) -> Plan | None:
    column = look.column
    if column.name in rules.ignore:
        return LeftOutPlan(column.name, "left out, as asked", False)
    if not look.total:
        return LeftOutPlan(column.name, "left out: all its cells are missing", False)
    if look.kind == "number":
        return _number_plan(look, rules, marks, found)
    if look.kind == "date":
        return _date_plan(look, rules, found)
    return _category_plan(look, rules, found)


def _number_plan(look: _Look, rules: Rules, marks: set[str], found: Findings) -> Plan | None:
    column, numbers = look.column, look.numbers
    assert numbers is not None
    decimal = settle_decimal(column, numbers, rules, marks, found.notes, found.problems)
    if decimal is None:
        return None
    values = numbers.by(decimal)
    usable = np.abs(values) <= LARGEST
    low, high = limits_of(values[usable], column.counts[usable])
    usable &= (values >= low) & (values <= high)
    odd = np.flatnonzero(~usable)
    if len(odd):
        found.notes.append(_note_on_odd(column, odd, "no usable numbers" if len(odd) > 1 else "no usable number"))
    missing = bool(column.missing.any() or len(odd))
    distinct = np.unique(values[usable])
    if not len(distinct):
        return LeftOutPlan(column.name, "left out: it has no usable number", False)
    if len(distinct) == 1:
        return _constant(column, f"{distinct[0]:g}", missing)
    if column.name not in rules.numerical:
        why = _why_identifier(column.name, distinct, int(column.counts[usable].sum()))
        if why:
            return LeftOutPlan(column.name, f"left out: {why}", False)
    said = "numbers" + (f" in {' '.join(filter(None, numbers.unit))}" if any(numbers.unit) else "")
    return NumberPlan(column.name, said, missing, decimal, list(numbers.unit), low, high)


def settle_decimal(
    column: Column, numbers: Numbers, rules: Rules, marks: set[str], notes: list[str], problems: list[Problem]
) -> str | None:
    """Return the decimal mark of a column; None, with a problem that shows two cells, if nothing tells it.

    Args:
        column: the column.
        numbers: its numbers by either reading.
        rules: the user's decisions.
        marks: the decimal marks of other columns that can be read one way only.
        notes: gets a note if the mark follows from something other than the cells.
        problems: gets the problem.
    """
    decimal = decimal_of(numbers)
    if decimal is not None:
        return decimal
    ambiguous = np.flatnonzero(is_ambiguous(numbers))
    if not len(ambiguous):
        return rules.decimal or (next(iter(marks)) if len(marks) == 1 else ".")
    rows = [column.first_row(k) for k in ambiguous[:2]]
    cells = " and ".join(repr(column.texts[column.rows[row]]) for row in rows)
    decimal = _decide_decimal(numbers, rules, marks)
    if decimal is None:
        text = f"{cells} can be read with a decimal mark or with a mark of thousands"
        advice = f"say which by --decimal . or --decimal , or leave the column out by --ignore {column.name!r}"
        problems.append(Problem(column.name, tuple(rows), text, advice))
    else:
        read = numbers.by(decimal)[ambiguous[0]]
        notes.append(f"column {column.name!r}: {column.texts[ambiguous[0]]!r} was read as {read:g}")
    return decimal


def look_at_marks(frame: pd.DataFrame) -> set[str]:
    """Return the decimal marks of the columns that can be read one way only."""
    looks = (_Look(Column.of(frame.iloc[:, k], str(name)), Rules()) for k, name in enumerate(frame.columns))
    return {look.decimal for look in looks if look.kind == "number" and look.decimal}


def _decide_decimal(numbers: Numbers, rules: Rules, marks: set[str]) -> str | None:
    """Return the decimal mark of an ambiguous column, if the user, other columns or the file tell it."""
    if rules.decimal:
        return rules.decimal
    if len(marks) == 1:
        return next(iter(marks))
    if marks:
        return None
    ambiguous = is_ambiguous(numbers)
    pointed = bool((numbers.point[ambiguous] < numbers.comma[ambiguous]).any())  # the mark in the cells is a point
    hint = hint_of_whole_numbers(numbers)
    by_cells = None if hint is None else "." if (hint == "decimals") == pointed else ","
    if rules.delimiter == ",":  # a comma between cells speaks for decimal points
        return "." if by_cells in (None, ".") else None
    return by_cells if hint == "decimals" else None


def limits_of(numbers: Any, counts: Any) -> tuple[float, float]:
    """Return the limits of credible numbers: beyond a gap that no long tail has, for at most 5 % of the rows."""
    if not len(numbers):
        return -LARGEST, LARGEST
    order = np.argsort(numbers)
    sorted_, weights = numbers[order], counts[order].cumsum()
    median = float(sorted_[np.searchsorted(weights, weights[-1] / 2)])
    distance = np.abs(numbers - median)
    order = np.argsort(distance)
    far, rows = distance[order], counts[order]
    beyond = rows[::-1].cumsum()[::-1]  # rows at least as far away as each number
    gaps = (far[1:] > _GAP * far[:-1]) & (far[:-1] > 0) & (beyond[1:] <= max(3, 0.05 * rows.sum()))
    largest = float(far[int(np.argmax(gaps))] if gaps.any() else far[-1])
    reach = _GAP * largest if largest else LARGEST
    return max(median - reach, -LARGEST), min(median + reach, LARGEST)


def _why_identifier(name: str, distinct: Any, rows: int) -> str | None:
    """Return why different whole numbers are an identifier, or None: a counter of rows, or unique and named like one."""
    if len(distinct) < rows or rows < 3 or not (distinct == np.floor(distinct)).all():
        return None
    words = words_of(name)
    if words & _IDENTIFIERS:
        return "an identifier, by its name and its different whole numbers"
    low, high = float(distinct[0]), float(distinct[-1])
    counter = high - low < 2 * rows and rows >= 20 and not (low >= 1500 and high <= 2200)
    if (counter or (0 <= low <= 3 and high < 2 * rows + 3)) and not words & _TIMES and rows >= 10:
        return f"an identifier: it counts the rows, from {low:g} to {high:g}"
    return None


def words_of(name: str) -> set[str]:
    """Return the words in a name.

    >>> sorted(words_of("PassengerId")), sorted(words_of("Unnamed: 0")), sorted(words_of("customerID"))
    (['id', 'passenger'], ['0', 'unnamed'], ['customer', 'id'])
    """
    return set(re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower().replace("_", " ").replace(":", " ").split())


def _date_plan(look: _Look, rules: Rules, found: Findings) -> Plan | None:
    column, dates = look.column, look.dates
    assert dates is not None
    day_first = decide_order(dates)
    if day_first is None:
        day_first = rules.day_first
    if day_first is None:
        rows = tuple(int(column.first_row(k)) for k in np.flatnonzero(dates.by_day != dates.by_month)[:2])
        shown = " and ".join(repr(column.texts[column.rows[row]]) for row in rows)
        found.problems.append(
            Problem(
                column.name,
                rows,
                f"{shown} may begin with the day or with the month",
                f"say which by --day-first or --month-first, or leave the column out by --ignore {column.name!r}",
            )
        )
        return None
    moments = dates.by(day_first)
    odd = np.flatnonzero(np.isnat(moments))
    if len(odd):
        found.notes.append(_note_on_odd(column, odd, "no dates" if len(odd) > 1 else "no date"))
    missing = bool(column.missing.any() or len(odd))
    known = moments[~np.isnat(moments)]
    first = known.min().astype("datetime64[D]")
    parts = [name for name, values in parts_of(known, first).items() if len(np.unique(values)) > 1]
    if not parts:
        return _constant(column, str(known[0]), missing)
    said = f"dates, as {', '.join(parts)}"
    return DatePlan(column.name, said, missing, day_first, str(first), parts)


def _category_plan(look: _Look, rules: Rules, found: Findings) -> Plan:
    column = look.column
    texts, counts = column.texts, column.counts.tolist()
    by_text: dict[str, int] = {}
    for text, count in zip(texts, counts):
        by_text[text] = by_text.get(text, 0) + count
    names = spellings(by_text)
    sums: dict[str, int] = {}
    for text, name in names.items():
        sums[name] = sums.get(name, 0) + by_text[text]
    same = merged(names)
    if same:
        found.notes.append(f"column {column.name!r}: took {same[0]}{and_more(len(same) - 1, 'such spelling')}")
    missing = bool(column.missing.any())
    if len(sums) == 1:
        return _constant(column, repr(next(iter(sums))), missing)
    frequent = sorted(name for name, count in sums.items() if count >= rules.rarest)
    if not frequent:
        why = f"{counted(len(sums), 'different text')} in {counted(look.total, 'row')}, a free text or an identifier"
        return _by_presence(column, why, missing)
    return CategoryPlan(column.name, "categories", missing, frequent, len(frequent) < len(sums))


def _constant(column: Column, cell: str, missing: bool) -> Plan:
    return _by_presence(column, f"all its cells are {cell}", missing)


def _by_presence(column: Column, why: str, missing: bool) -> Plan:
    if missing:
        return PresencePlan(column.name, f"used only by which cells are missing: {why}", True)
    return LeftOutPlan(column.name, f"left out: {why}", False)


def _note_on_odd(column: Column, odd: Sequence[int], what: str) -> str:
    rows = int(column.counts[odd].sum())
    first = column.first_row(odd[0])
    verb = "is" if len(odd) == 1 else "are"
    return (
        f"column {column.name!r}, row {first + 1}: {column.texts[odd[0]]!r}"
        f"{and_more(rows - 1, 'such cell')} {verb} {what}, and counted as missing"
    )
