"""The target: the column to predict, as classes or as numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from .column import Column
from .kinds import Rules, limits_of, look_at_marks, settle_decimal
from .numbers import Numbers, decimal_of, read_numbers
from .plans import LARGEST, numbers_in
from .problems import PreparationError, Problem
from .spelling import Names, merged, spelled, spellings
from .table import TableError, and_more, counted

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

        >>> inspect_target(pd.Series(["yes", "No", "no", "Yes", "no"] * 2), "left").values(pd.Series(["NO", "NA"]))
        array(['no', None], dtype=object)
        """
        column = Column.of(cells, self.name)
        if self.task == "regression":
            numbers = numbers_in(column, self.decimal, self.unit)
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
    decimal: str | None = None,
    delimiter: str | None = None,
    others: pd.DataFrame | None = None,
) -> Target:
    """Decide between classification and regression by the cells, and name the classes.

    Text and truth values are classes, and so are at most `MOST_INTEGER_CLASSES` different whole numbers. Other numbers
    are a quantity.

    Args:
        cells: the column; rows without a target are left out of training.
        name: its name.
        task: the user's decision, if there is one.
        categorical: whether the user has declared the column categorical.
        decimal: the decimal mark, if the cells can be read either way.
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
        raise TableError(
            f"column {name!r}: {counted(rows, 'row')} with a target are fewer than {FEWEST_ROWS}; add rows"
        )
    notes: list[str] = []
    numbers = _numbers_of(column)
    mark = decimal_of(numbers)
    share = column.counts[np.isfinite(numbers.by(mark or "."))].sum() / rows
    numeric = task != "classification" and not categorical and share > (0.5 if task else 0.8)
    if (task == "regression" and not numeric) or column.different.dtype.kind == "M":
        raise PreparationError(
            [
                Problem(
                    name,
                    (column.first_row(0),),
                    f"expected numbers in the target of a regression, got {column.texts[0]!r}",
                    "choose another target, or leave out --task",
                )
            ]
        )
    if numeric:
        rules = Rules(decimal=decimal, delimiter=delimiter)
        marks = look_at_marks(others) if others is not None and mark is None else set()
        problems: list[Problem] = []
        settled = settle_decimal(column, numbers, rules, marks, notes, problems)
        if settled is None:
            raise PreparationError(problems)
        values = numbers.by(settled)
        usable = np.abs(values) <= LARGEST
        low, high = limits_of(values[usable], column.counts[usable])
        usable &= (values >= low) & (values <= high)
        few = len(np.unique(values[usable])) <= MOST_INTEGER_CLASSES and bool((values[usable] % 1 == 0).all())
        if task == "regression" or not few:
            return _quantity(
                column, Target(name, "regression", [], settled, list(numbers.unit), low, high, notes), usable
            )
    return _classes(column, name, task, numeric, notes)


def _numbers_of(column: Column) -> Numbers:
    if column.different.dtype == float:
        return Numbers(column.different, column.different, ("", ""))
    return read_numbers(column.texts, column.counts)


def _quantity(column: Column, target: Target, usable: np.ndarray[Any, Any]) -> Target:
    odd = np.flatnonzero(~usable)
    if len(odd):
        first, more = column.first_row(odd[0]), int(column.counts[odd].sum()) - 1
        target.notes.append(
            f"column {target.name!r}, row {first + 1}: {column.texts[odd[0]]!r} is no usable number"
            f"{and_more(more, 'such cell')}; the row is left out of training"
        )
    _note_missing(column, target.notes)
    if len(np.unique(target.values(pd.Series(column.texts)))) - bool(len(odd)) < 2:
        cell = column.texts[int(np.argmax(usable))]
        raise PreparationError([Problem(target.name, (), f"every target is {cell!r}", "choose a target that varies")])
    return target


def _classes(column: Column, name: str, task: Task | None, numeric: bool, notes: list[str]) -> Target:
    rows = int(column.counts.sum())
    texts = column.texts
    if (
        len(texts) > max(MOST_CLASSES, 4 * FEWEST_ROWS)
        and len({spelled(text).casefold() for text in texts}) > MOST_CLASSES
    ):
        raise PreparationError([_too_many(column, name, len(texts), rows)])
    counts = dict(zip(texts, column.counts.tolist()))
    names = spellings(counts)
    sums: dict[str, int] = {}
    for text, each in names.items():
        sums[each] = sums.get(each, 0) + counts[text]
    if len(sums) == 1:
        raise PreparationError(
            [Problem(name, (), f"has one class only ({next(iter(sums))!r})", "add rows of another class")]
        )
    if len(sums) > max(FEWEST_ROWS, rows / 2):
        raise PreparationError([_too_many(column, name, len(sums), rows)])
    same = merged(names)
    if same:
        notes.append(f"column {name!r}: took {same[0]}{and_more(len(same) - 1, 'such spelling')}")
    if numeric and task is None and len(sums) > 2:
        notes.append(
            f"the {len(sums)} different whole numbers in {name!r} were taken as classes; with --task regression they are "
            "a quantity"
        )
    single = sorted(each for each, count in sums.items() if count == 1)
    if single:
        notes.append(
            f"column {name!r}: {single[0]!r} is the class of one row only{and_more(len(single) - 1, 'such class')}"
        )
    _note_missing(column, notes)
    return Target(name, "classification", sorted(sums, key=_sort_key), notes=notes)


def _too_many(column: Column, name: str, count: int, rows: int) -> Problem:
    return Problem(
        name,
        (column.first_row(0),),
        f"{count} different texts in {counted(rows, 'row')}, such as {column.texts[0]!r}, are too many for classes",
        "choose another target, or --task regression if it is a quantity",
    )


def _note_missing(column: Column, notes: list[str]) -> None:
    missing = int(column.missing.sum())
    if missing:
        verb = "has" if missing == 1 else "have"
        notes.append(f"{counted(missing, 'row')} {verb} no {column.name!r}, and no part in training")


def _sort_key(name: str) -> tuple[float, str]:
    """Return a sort key: numbers by size, before texts in alphabetical order."""
    try:
        return (float(name), name)
    except ValueError:
        return (math.inf, name)
