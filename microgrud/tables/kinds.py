"""Kinds of columns: numbers, dates, categories, or nothing that a network can learn from; decided by all the cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .column import Column, shortened
from .dates import decide_order, parts_of
from .evidence import Evidence
from .numbers import Numbers, is_duration
from .plans import BY_PRESENCE, GAP, LARGEST, CategoryPlan, DatePlan, LeftOutPlan, NumberPlan, Plan, PresencePlan
from .problems import Problem
from .rules import MIN_SHARE, OR_IGNORE, Rules, mixed_marks, settle_decimal
from .spelling import grouped, in_order, notes_on_spelling
from .table import counted

#: A column of texts is left out as free text unless this share of its cells have a text that is not rare.
_COMMON = 0.1
#: Last words of names of identifiers: an order number, but not the number of orders.
_IDENTIFIERS = {
    *("id", "ids", "key", "no", "nr", "num", "number", "index", "idx", "uuid", "guid", "serial", "identifier"),
    *("rowname", "rownames", "rowid", "row", "record"),
}
#: Words in names of columns whose numbers may be codes.
_CODES = {"zip", "zipcode", "postal", "postcode", "plz", "code"}
_TIMES = {"year", "years", "time", "t", "date", "day", "month", "week", "hour", "period", "quarter", "age"}


@dataclass
class Findings:
    """The plans for the columns, the notes on them, and the problems that prevent a plan."""

    plans: list[Plan] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def decide_kinds(columns: Iterable[Column], rules: Rules) -> Findings:
    """Decide on the plan for each column."""
    found = Findings()
    by_column = [Evidence(column, rules) for column in columns]
    rules = replace(rules, marks=decimal_marks(by_column))
    first: dict[tuple[str, bytes], str] = {}
    for evidence in by_column:
        plan = _plan(evidence, rules, found.notes)
        if isinstance(plan, Problem):
            found.problems.append(plan)
            continue
        if not isinstance(plan, (LeftOutPlan, PresencePlan)):
            twin = first.setdefault((plan.kind, evidence.signature), plan.name)
            if twin != plan.name:
                plan = LeftOutPlan(plan.name, f"left out: it carries the same information as {twin!r}", False)
        found.plans.append(plan)
        if isinstance(plan, (LeftOutPlan, PresencePlan)) and plan.name not in rules.ignore:
            found.notes.append(f"column {plan.name!r} is {plan.said}")
    return found


def decimal_marks(evidence: Iterable[Evidence]) -> frozenset[str]:
    """Return the decimal marks of the columns that can be read one way only."""
    return frozenset(each.decimal for each in evidence if each.kind == "number" and each.decimal)


def _plan(evidence: Evidence, rules: Rules, notes: list[str]) -> Plan | Problem:
    column = evidence.column
    if column.name in rules.ignore:
        return LeftOutPlan(column.name, "left out, as asked", False)
    if not evidence.total:
        return LeftOutPlan(column.name, "left out: all its cells are missing", False)
    by_kind = {"number": _number_plan, "date": _date_plan, "category": _category_plan}
    return by_kind[evidence.kind](evidence, rules, notes)


def _number_plan(evidence: Evidence, rules: Rules, notes: list[str]) -> Plan | Problem:
    column, numbers = evidence.column, evidence.numbers
    decimal = settle_decimal(column, numbers, rules, notes)
    if isinstance(decimal, Problem):
        return decimal
    values = numbers.by(decimal)
    low, high = credible_range(values, column.counts)
    odd = ~((values >= low) & (values <= high))
    notes.extend(notes_on_odd(column, numbers, decimal, odd))
    missing = bool(column.missing.any() or odd.any())
    distinct = np.unique(values[~odd])
    if not len(distinct):
        return LeftOutPlan(column.name, "left out: it has no usable number", False)
    if len(distinct) == 1:
        return _by_presence(column, f"all its cells are {distinct[0]:g}", missing)
    why = _why_identifier(column.name, distinct, int(column.counts[~odd].sum()), rules.share)
    if why and column.name not in rules.numerical:
        return LeftOutPlan(column.name, f"left out: {why}", False)
    notes += note_on_durations(column)
    if _CODES & {*words_of(column.name)} and column.name not in rules.numerical:
        notes.append(f"column {column.name!r} is one of numbers; if they are codes, say so (option categorical)")
    said = f"numbers{_written(numbers, decimal)}"
    return NumberPlan(column.name, said, missing, decimal, list(numbers.unit), low, high)


def _written(numbers: Numbers, decimal: str) -> str:
    """Return words on how numbers are written, if not as Python writes them."""
    unit = [f"the unit {part!r}" for part in numbers.unit if part]
    comma = ["a decimal comma"] if decimal == "," and (numbers.point != numbers.comma).any() else []
    return f" with {' and '.join(comma + unit)}" if comma or unit else ""


def note_on_durations(column: Column) -> list[str]:
    """Return a note if there are durations in a column of numbers, where they count in seconds."""
    first = None if column.is_typed else next(filter(is_duration, column.texts), None)
    return [f"column {column.name!r}: durations such as {first!r} were read as numbers of seconds"] * bool(first)


def notes_on_odd(column: Column, numbers: Numbers, decimal: str, odd: Any) -> Iterator[str]:
    """Yield notes on the cells of a column of numbers that count as missing: texts, and incredible numbers."""
    values = numbers.by(decimal)
    texts = np.flatnonzero(odd & np.isnan(values))
    far = np.flatnonzero(odd & ~np.isnan(values))
    for positions, what in ((texts, "not a number"), (far, "too far from all others to be a measurement")):
        if len(positions):
            yield f"{column.example(positions)}: {what}, counted as missing"


def credible_range(values: Any, counts: Any) -> tuple[float, float]:
    """Return the lowest and the highest credible number.

    Beyond a gap that no long tail has, at most 5 % of the cells (or 3) are misprints such as 1e99, or codes for missing
    values. A number that prediction meets may be as far again.

    >>> credible_range(np.array([1.0, 2.0, 3.0, 1e99]), np.array([1, 1, 1, 1]))
    (-9998.0, 10002.0)
    """
    usable = np.abs(values) <= LARGEST
    values, counts = values[usable], counts[usable]
    if not len(values):
        return -LARGEST, LARGEST
    order = np.argsort(values)
    half = np.searchsorted(counts[order].cumsum(), counts.sum() / 2)
    median = float(values[order][half])
    order = np.argsort(np.abs(values - median))
    far, rows = np.abs(values - median)[order], counts[order]
    beyond = rows[::-1].cumsum()[::-1]  # the rows at least as far away as each number
    gaps = (far[1:] > GAP * far[:-1]) & (far[:-1] > 0) & (beyond[1:] <= max(3, 0.05 * rows.sum()))
    reach = GAP * float(far[int(np.argmax(gaps))] if gaps.any() else far[-1])
    return (max(median - reach, -LARGEST), min(median + reach, LARGEST)) if reach else (-LARGEST, LARGEST)


def _why_identifier(name: str, distinct: Any, rows: int, share: float) -> str | None:
    """Return why a column is an identifier, or None: different whole numbers that count rows, or are named like it.

    The order of the rows does not count, since the rows for training are drawn by chance. Neither do gaps that there
    are because the rows are no more than a share of all.
    """
    if len(distinct) < rows or rows < 3 or not (distinct == np.floor(distinct)).all():
        return None
    words = words_of(name)
    if words and (words[-1] in _IDENTIFIERS or words[0] in ("id", "unnamed")):
        return "an identifier, by its name and its different whole numbers"
    low, high = float(distinct[0]), float(distinct[-1])
    from_start = -1 <= low <= 5 and rows >= 15  # of fewer rows, numbers may differ by chance
    elsewhere = rows >= 20 and not (low >= 1500 and high <= 2200)  # which may be years
    if (from_start or elsewhere) and high - low < 2 * rows / share and not _TIMES & {*words}:
        return f"an identifier: it counts the rows, from {low:g} to {high:g}"
    return None


def words_of(name: str) -> list[str]:
    """Return the words in a name.

    >>> words_of("PassengerId"), words_of("Unnamed: 0"), words_of("customer_ID")
    (['passenger', 'id'], ['unnamed', '0'], ['customer', 'id'])
    """
    return re.findall(r"[^\W_]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())


def _date_plan(evidence: Evidence, rules: Rules, notes: list[str]) -> Plan | Problem:
    column, dates = evidence.column, evidence.dates
    assert dates is not None
    day_first = decide_order(dates)
    if day_first is None:
        day_first = rules.day_first
    undecided = np.flatnonzero(dates.ambiguous)
    if day_first is None and len(undecided) and all("." in column.texts[cell] for cell in undecided):
        notes.append(f"{column.example(undecided[:1])} was read with the day first, as dates with points are written")
        day_first = True
    if day_first is None and len(undecided):
        cells = undecided[:2].tolist()
        shown = " and ".join(shortened(column.texts[cell]) for cell in cells)
        advice = f"say which (option day-first or month-first){OR_IGNORE}"
        return Problem.of(column, cells, f"{shown} may begin with the day or the month", advice)
    moments = dates.by(bool(day_first))
    odd = np.isnat(moments)
    if odd.any():
        notes.append(f"{column.example(np.flatnonzero(odd))}: not a date, counted as missing")
    missing = bool(column.missing.any() or odd.any())
    first = moments[~odd].min().astype("datetime64[D]")
    parts = [name for name, values in parts_of(moments[~odd], first).items() if len(np.unique(values)) > 1]
    if not parts:
        return _by_presence(column, f"all its cells are {moments[~odd][0]}", missing)
    return DatePlan(column.name, f"dates, as {', '.join(parts)}", missing, day_first, str(first), parts)


def _category_plan(evidence: Evidence, rules: Rules, notes: list[str]) -> Plan | Problem:
    column = evidence.column
    forced = column.name in rules.categorical
    mixed = mixed_marks(column, evidence.numbers)
    if mixed and not forced:
        return mixed
    names, sums = grouped(column.texts, column.counts.tolist())
    notes += notes_on_spelling(column.name, names)
    missing = bool(column.missing.any())
    if len(sums) == 1:
        return _by_presence(column, f"all its cells are {shortened(next(iter(sums)))}", missing)
    in_common = sum(count for count in sums.values() if count >= rules.rarest)
    if in_common < _COMMON * evidence.total:
        different = f"{counted(len(sums), 'different text')} in {counted(evidence.total, 'row')}"
        return _by_presence(column, f"{different} are free text or an identifier", missing)
    # An ordinal such as 11th is no number.
    if not forced and 1 - MIN_SHARE < evidence.share < 1 and not evidence.numbers.unit[1].isalpha():
        share = f"{evidence.share:.0%} of the cells are numbers, the others texts: all are categories"
        notes.append(f"column {column.name!r}: {share}")
    return CategoryPlan(column.name, "categories", missing, in_order(sums), False)


def _by_presence(column: Column, why: str, missing: bool) -> Plan:
    if missing:
        return PresencePlan(column.name, f"{BY_PRESENCE}: {why}", True)
    return LeftOutPlan(column.name, f"left out: {why}", False)
