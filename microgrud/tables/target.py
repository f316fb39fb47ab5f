"""The target: the column to predict, as classes or as numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from .column import Column, shortened
from .evidence import Evidence, numbers_by_both
from .kinds import credible_range, decimal_marks, note_on_durations, notes_on_odd
from .numbers import Numbers, decimal_of, is_ambiguous
from .plans import LARGEST, decimal_for, numbers_in
from .problems import PreparationError, Problem
from .rules import MIN_SHARE, Rules, mixed_marks, settle_decimal
from .spelling import Names, grouped, in_order, notes_on_spelling, spelled
from .table import and_more, counted

Task = Literal["classification", "regression"]
TASKS: tuple[Task, ...] = get_args(Task)

#: A numeric target counts as classes when it holds at most this many different integers.
MOST_INTEGER_CLASSES = 10
#: More different texts than this, or than every other row has, are names or free text, and not classes.
MOST_CLASSES = 200
FEWEST_ROWS = 10


@dataclass(frozen=True)
class Target:
    """The column to predict.

    Args:
        name: the column.
        task: `"classification"` or `"regression"`.
        classes: the names of the classes, in order; none in regression.
        decimal: the decimal mark of the numbers.
        unit: the signs or words before and after the numbers.
        low: the lowest credible number.
        high: the highest.
        notes: sentences on what was guessed, changed or left out; not stored.
    """

    name: str
    task: Task
    classes: list[str]
    decimal: str = "."
    unit: list[str] = field(default_factory=lambda: ["", ""])
    low: float = -LARGEST
    high: float = LARGEST
    notes: list[str] = field(default_factory=list, compare=False)

    def values(self, cells: pd.Series[Any]) -> np.ndarray[Any, Any]:
        """Return the class of each row (None where it is missing), or its number (NaN where it is missing).

        Numbers are read with the other decimal mark if that reads more cells, and all that the mark of training reads.

        >>> inspect_target(pd.Series(["yes", "No", "no", "Yes", "no"] * 2), "left").values(pd.Series(["NO", "NA"]))
        array(['no', None], dtype=object)
        """
        column = Column.of(cells, self.name)
        if self.task == "regression":
            numbers = numbers_in(column, decimal_for(column, self.decimal, self.unit), self.unit)
            usable = (numbers >= self.low) & (numbers <= self.high)
            return column.by_row(np.where(usable, numbers, math.nan), math.nan)
        names = Names(self.classes)
        classes = [names.find(text) or spelled(text) for text in column.texts]
        return column.by_row(np.array(classes, object), None)

    def to_json(self) -> dict[str, Any]:
        """Return the target as JSON data."""
        return {key: value for key, value in asdict(self).items() if key != "notes"}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Target:
        """Rebuild what `to_json` wrote."""
        return cls(**document)


def inspect_target(
    cells: pd.Series[Any],
    name: str,
    task: Task | None = None,
    categorical: bool = False,
    *,
    decimal_mark: str | None = None,
    delimiter: str | None = None,
    others: pd.DataFrame | None = None,
) -> Target:
    """Decide between classification and regression by the cells, and name the classes.

    Text and truth values are classes, and so are at most `MOST_INTEGER_CLASSES` different whole numbers without a unit
    that occur in three rows each on average. Other numbers are a quantity.

    Args:
        cells: the column; rows without a target are left out of training.
        name: its name.
        task: the user's decision, if there is one.
        categorical: whether the user has declared the column categorical.
        decimal_mark: the user's decimal mark, if the cells can be read either way.
        delimiter: the delimiter of the file, which hints at the decimal mark.
        others: the other columns, which may tell the decimal mark.

    Raises:
        TableError: if the column is constant, does not fit `task`, or holds too many different texts.

    >>> inspect_target(pd.Series([3.5, 4.5] * 5), "price").task
    'regression'
    """
    column = Column.of(cells, name)
    rows = int(column.counts.sum())
    if rows < FEWEST_ROWS:
        raise _error(column, [], f"{counted(rows, 'row')} with a target, fewer than {FEWEST_ROWS}", "add rows")
    notes: list[str] = []
    if column.missing.any():
        missing = counted(int(column.missing.sum()), "row")
        notes.append(f"column {name!r}: {missing} without a target, left out of training")
    if task == "classification" or categorical:
        return _classes(column, notes, declared=True)
    numbers = numbers_by_both(column)
    if not _is_numeric(column, numbers, task):
        return _classes(column, notes)
    marks: frozenset[str] = frozenset()
    if others is not None and is_ambiguous(numbers).any():
        columns = (Column.of(others.iloc[:, k], str(label)) for k, label in enumerate(others.columns))
        marks = decimal_marks(Evidence(each, Rules()) for each in columns)
    return _quantity(column, numbers, task, Rules(decimal=decimal_mark, delimiter=delimiter, marks=marks), notes)


def _is_numeric(column: Column, numbers: Numbers, task: Task | None) -> bool:
    """Return whether enough cells are numbers; raise an error if they are not, and cannot be classes either."""
    share = column.counts[np.isfinite(numbers.by(decimal_of(numbers) or "."))].sum() / column.counts.sum()
    if share < MIN_SHARE and (mixed := mixed_marks(column, numbers, is_target=True)):
        raise PreparationError([mixed])
    if share >= (0.5 if task else MIN_SHARE):
        return True
    if task or column.different.dtype.kind == "M":
        hint = "choose another target" + (", or leave out --task" if task else "")
        raise _error(column, [0], f"a regression needs numbers, got {shortened(column.texts[0])}", hint)
    return False


def _quantity(column: Column, numbers: Numbers, task: Task | None, rules: Rules, notes: list[str]) -> Target:
    """Return a target of numbers: a quantity, unless they are few whole numbers, which are classes."""
    why: list[str] = []
    decimal = settle_decimal(column, numbers, rules, why, is_target=True)
    if isinstance(decimal, Problem):
        raise PreparationError([decimal])
    values = numbers.by(decimal)
    low, high = credible_range(values, column.counts)
    usable = (values >= low) & (values <= high)
    distinct = np.unique(values[usable])
    few = len(distinct) <= min(MOST_INTEGER_CLASSES, column.counts.sum() // 3) and bool((distinct % 1 == 0).all())
    if task is None and few and not any(numbers.unit):
        if len(distinct) > 2:
            whole = f"the {len(distinct)} different whole numbers in {column.name!r}"
            notes.append(f"{whole} were taken as classes; with --task regression they are a quantity")
        return _classes(column, notes)
    if len(distinct) < 2:
        raise _error(column, [], f"every target is {shortened(column.texts[0])}", "choose a target that varies")
    notes += note_on_durations(column) + why
    notes += [f"{note} and left out of training" for note in notes_on_odd(column, numbers, decimal, ~usable)]
    return Target(column.name, "regression", [], decimal, list(numbers.unit), low, high, notes)


def _classes(column: Column, notes: list[str], declared: bool = False) -> Target:
    name, rows = column.name, int(column.counts.sum())
    different = {spelled(text).casefold() for text in column.texts}
    if len(different) > min(MOST_CLASSES, max(FEWEST_ROWS, rows // 2)):
        what = f"{len(different)} different texts in {counted(rows, 'row')}, such as {shortened(column.texts[0])}"
        hint = "choose another target" + ", or --task regression if it is a quantity" * declared
        raise _error(column, [], f"{what}, are too many for classes", hint)
    names, sums = grouped(column.texts, column.counts.tolist())
    if len(sums) < 2:
        raise _error(column, [], f"every target is {shortened(column.texts[0])}", "add rows of another class")
    notes += notes_on_spelling(name, names)
    if single := sorted(each for each, count in sums.items() if count == 1):
        more = and_more(len(single) - 1, "such class")
        notes.append(f"column {name!r}: only one row has the class {shortened(single[0])}{more}")
    return Target(name, "classification", in_order(sums), notes=notes)


def _error(column: Column, cells: Sequence[int], text: str, advice: str) -> PreparationError:
    return PreparationError([Problem.of(column, cells, text, advice)])
