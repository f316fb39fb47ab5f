"""Preprocessing: from the text of a table to the inputs of a network, and back to the user's units.

Numbers are standardised (mean 0, standard deviation 1 over the training rows), categories become one 0/1 input each,
and a regression's target is standardised too. scikit-learn's StandardScaler finds the figures; they are kept as plain
JSON in the model file, from which `Preprocessing.from_json` rebuilds the same transformation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from ..engine.vectors import Vector
from ..tables.table import Table, TableError, and_more, counted, number
from .scores import figures

Task = Literal["classification", "regression"]
TASKS: tuple[Task, ...] = get_args(Task)

#: A numeric target counts as classes when it holds at most this many different integers.
MOST_INTEGER_CLASSES = 10
#: Text with more different values than this is a name or an identifier, and not a category.
MOST_CATEGORIES = 50
FEWEST_ROWS = 10
#: The square of a larger number may overflow, and with it a standard deviation.
_LARGEST = 1e100
#: A number with a sign before it or a unit after it, such as $462,956 or 142.0 m2, but nothing like a name.
_WITH_UNIT = re.compile(
    r"[^\w\s.,+-]{0,3}\s?(?P<number>-?([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.[0-9]+)?)"
    r"(\s?([%°€£¥$]|[^\W\d_])[^\d\s.,:-]{0,7}[23]?){0,2}"
)


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers; the input of the network is (x - mean) / scale."""

    name: str
    mean: float
    scale: float

    @property
    def inputs(self) -> list[str]:
        """Return the name of the one input."""
        return [self.name]

    def encode(self, table: Table) -> Vector:
        """Return the input for each row; raise a TableError for a cell that is not finite, or is far too large."""
        numbers = table.numbers(self.name)
        table.refuse(self.name, np.isnan(numbers), "a number", "correct it")
        table.refuse(self.name, np.isinf(numbers), "a finite number", "correct it")
        with np.errstate(over="ignore"):
            standardised: Vector = (numbers - self.mean) / self.scale
        usual = f"mean {figures(self.mean)}, standard deviation {figures(self.scale)}"
        far = ~np.isfinite(standardised)
        table.refuse(self.name, far, f"a number closer to those of the training rows ({usual})", "correct it")
        return standardised[:, None]


@dataclass(frozen=True)
class CategoryColumn:
    """A column of text; each category is an input of the network, 1 for the category of the row and 0 for others."""

    name: str
    categories: list[str]

    @property
    def inputs(self) -> list[str]:
        """Return a name for each input, such as `colour = red`."""
        return [f"{self.name} = {category}" for category in self.categories]

    def encode(self, table: Table) -> Vector:
        """Return the inputs for each row; raise a TableError for a category that training has not seen."""
        names = class_names(table, self.name)
        known = ", ".join(map(repr, self.categories[:8])) + (", ..." if len(self.categories) > 8 else "")
        advice = f"change it to one of {known}, or delete the row"
        unseen = [name not in self.categories for name in names]
        table.refuse(self.name, unseen, "a category that the model has seen", advice)
        return np.array([[float(name == category) for category in self.categories] for name in names])


@dataclass(frozen=True)
class Target:
    """The column to predict: its `classes` in classification, its `mean` and `scale` in regression."""

    name: str
    task: Task
    classes: list[str]
    mean: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Preprocessing:
    """The conversion of rows of a table to inputs, and of outputs to predictions."""

    columns: list[NumberColumn | CategoryColumn]
    target: Target

    @classmethod
    def fit(cls, table: Table, target: Target, categorical: Sequence[str], train: Sequence[int]) -> Preprocessing:
        """Determine the kind of each column, and its figures.

        Args:
            table: the rows, without missing cells.
            target: the result of `inspect_target`.
            categorical: columns of numbers to be treated as categories.
            train: the positions of the training rows, which determine means and standard deviations. The categories are
                those of the whole table, so that a rare one does not depend on the split.

        Raises:
            TableError: if a column is constant, mixed, infinite, or text with too many categories.
        """
        columns: list[NumberColumn | CategoryColumn] = []
        for name in table.columns:
            if name == target.name:
                continue
            _refuse_constant(table, name)
            if name in categorical or not _is_numeric(table, name):
                _refuse_too_many_categories(table, name)
                columns.append(CategoryColumn(name, sorted(set(class_names(table, name)))))
            else:
                columns.append(NumberColumn(name, *_mean_and_scale(table, name, train)))
        if not columns:
            raise TableError(f"{table.name}: there is no column besides the target {target.name!r} to predict it from")
        if target.task == "regression":
            target = Target(target.name, target.task, [], *_mean_and_scale(table, target.name, train))
        return cls(columns, target)

    @property
    def inputs(self) -> list[str]:
        """Return a name for each of the network's inputs, such as `age` or `colour = red`."""
        return [label for column in self.columns for label in column.inputs]

    def column_of(self, position: int) -> str:
        """Return the name of the column from which the network's input at `position` comes."""
        return [column.name for column in self.columns for _ in column.inputs][position]

    def features(self, table: Table) -> Vector:
        """Return the inputs of the network, one row per row of the table; other columns are ignored.

        Raises:
            TableError: if a column is missing, or holds a cell that the training table could not have held.
        """
        refuse_missing(table, self.require_columns(table), "fill it in, or leave out such rows with --drop-missing")
        # Unseen categories are reported before unusable numbers.
        categories_first = sorted(self.columns, key=lambda column: isinstance(column, NumberColumn))
        encoded = {column.name: column.encode(table) for column in categories_first}
        return np.hstack([encoded[column.name] for column in self.columns])

    def require_columns(self, table: Table) -> list[str]:
        """Return the names of the columns; raise a TableError unless all of them are in the table."""
        needed = [column.name for column in self.columns]
        absent = [name for name in needed if name not in table.columns]
        if absent:
            names = ", ".join(map(repr, absent))
            raise TableError(f"{table.name}: the model needs the columns {names}, which the table lacks; add them")
        return needed

    def targets(self, table: Table) -> list[Any]:
        """Return class indices in classification, standardised numbers in regression."""
        target = self.target
        if target.task == "classification":
            index = {name: position for position, name in enumerate(target.classes)}
            return [index[name] for name in class_names(table, target.name)]
        return [(float(y) - target.mean) / target.scale for y in table.numbers(target.name)]

    def to_json(self) -> dict[str, Any]:
        """Return the preprocessing as JSON data: only texts, numbers, lists and dicts."""
        return {"columns": [asdict(column) for column in self.columns], "target": asdict(self.target)}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Preprocessing:
        """Rebuild exactly what `to_json` wrote."""
        columns = [
            CategoryColumn(**entry) if "categories" in entry else NumberColumn(**entry) for entry in document["columns"]
        ]
        return cls(columns, Target(**document["target"]))


def inspect_target(table: Table, name: str, task: Task | None = None, categorical: bool = False) -> Target:
    """Decide between classification and regression, and name the classes.

    Text holds classes, and so do at most `MOST_INTEGER_CLASSES` different integers. Other numbers are a quantity.

    Args:
        table: the rows, without missing cells.
        name: the column to predict.
        task: the user's decision, if there is one.
        categorical: whether the user has declared the column categorical.

    Raises:
        TableError: if the column is constant, mixed or infinite, or does not fit `task`.
    """
    table.require(name)
    if len(table) < FEWEST_ROWS:
        raise TableError(
            f"{table.name}: the table has {counted(len(table), 'row')}, fewer than {FEWEST_ROWS}; add rows"
        )
    if categorical:
        task = task or "classification"
    numeric = task != "classification" and _is_numeric(table, name)
    if task == "regression" and not numeric:
        hint = _as_a_number(table, name) or "choose another target, or leave out --task"
        raise TableError(
            f"column {name!r} holds text such as {table.cell(name, 0)!r}: a regression's target is a number; {hint}"
        )
    if task is None:
        values = table.numbers(name)
        few = numeric and bool((values % 1 == 0).all()) and len(np.unique(values)) <= MOST_INTEGER_CLASSES
        task = "regression" if numeric and not few else "classification"
    if task == "regression":
        _refuse_constant(table, name)
        return Target(name, task, [])
    return Target(name, task, _classes(table, name))


def _classes(table: Table, name: str) -> list[str]:
    names = class_names(table, name)
    counts = {text: names.count(text) for text in dict.fromkeys(names)}
    if len(counts) == 1:
        raise TableError(f"column {name!r} has one class only ({names[0]!r}); add rows of another class")
    rare, count = min(counts.items(), key=lambda item: item[1])
    hint = _as_a_number(table, name)
    if hint and (len(counts) > MOST_CATEGORIES or count < 2):
        raise TableError(
            f"column {name!r} holds text, {len(counts)} different ones in {len(names)} rows, such as "
            f"{table.cell(name, 0)!r}; {hint}"
        )
    if len(counts) > MOST_CATEGORIES:
        raise TableError(
            f"column {name!r} has {len(counts)} classes in {len(names)} rows, more than {MOST_CATEGORIES}; "
            "choose another target, or --task regression if it is a quantity"
        )
    if count < 2:
        place = table.place(names.index(rare))
        raise TableError(
            f"column {name!r}, {place}: {rare!r} is the only row of its class; add rows of it, or delete this one"
        )
    return sorted(counts, key=_sort_key)


def refuse_missing(table: Table, columns: Sequence[str], advice: str) -> None:
    """Raise a TableError that names the first missing cell in `columns` and gives `advice`, if there is one."""
    gaps = table.missing(columns)
    if gaps:
        column, row = gaps[0]
        more = and_more(len(gaps) - 1, "missing cell")
        raise TableError(f"column {column!r}, {table.place(row)}: the cell is missing{more}; {advice}")


def class_names(table: Table, column: str) -> list[str]:
    """Return a column as names; a number has one spelling, so that 1, 1.0 and 01 are one class."""
    return [
        text if not np.isfinite(x) else str(int(x)) if abs(x) < 1e15 and x == int(x) else repr(x)
        for text, x in zip(table.cells[column], table.numbers(column).tolist())
    ]


def _sort_key(name: str) -> tuple[float, str]:
    """Return a sort key: numbers by size, before texts in alphabetical order."""
    size = number(name)
    return (math.inf if math.isnan(size) else size), name


def _is_numeric(table: Table, name: str) -> bool:
    """Return whether a column holds numbers; raise a TableError that names the row if it is mixed or infinite."""
    numbers = table.numbers(name)
    text = np.isnan(numbers)
    if text.all():
        return False
    advice = f"correct the cell, or pass --categorical {name!r} if the column holds categories"
    if text.mean() <= 0.5:
        table.refuse(name, text, "a number, as in other rows", advice)
    else:
        table.refuse(name, ~text, "text, as in other rows", advice)
    table.refuse(name, np.isinf(numbers), "a finite number", "correct the cell, or delete the row")
    return True


def _mean_and_scale(table: Table, name: str, train: Sequence[int]) -> tuple[float, float]:
    from sklearn.preprocessing import StandardScaler

    numbers = table.numbers(name)
    sizes = np.abs(numbers)
    too_large = (sizes > _LARGEST) & (sizes == sizes.max())
    table.refuse(name, too_large, f"a number from -{_LARGEST:g} to {_LARGEST:g}", "give the column in a larger unit")
    scaler = StandardScaler().fit(numbers[np.asarray(train), None])
    return float(scaler.mean_[0]), float(scaler.scale_[0])


def _refuse_constant(table: Table, name: str) -> None:
    if len(set(class_names(table, name))) == 1:
        raise TableError(
            f"column {name!r} is constant: every row is {table.cell(name, 0)!r}; "
            f"it says nothing, leave it out with --ignore {name!r}"
        )


def _refuse_too_many_categories(table: Table, name: str) -> None:
    count, rows = int(table.cells[name].nunique()), len(table)
    hint = _as_a_number(table, name)
    hint = f"{hint}, or " if hint else ""
    if count > MOST_CATEGORIES or count > max(FEWEST_ROWS, rows // 3) or count == rows:
        raise TableError(
            f"column {name!r} has {count} different texts in {rows} rows, such as {table.cell(name, 0)!r}: "
            f"too many for categories; {hint}leave it out with --ignore {name!r}"
        )


def _as_a_number(table: Table, name: str) -> str:
    """Return advice for a text column in which most cells are a number with a unit; otherwise an empty text."""
    found = [match for match in map(_WITH_UNIT.fullmatch, table.cells[name]) if match]
    if len(found) < 0.5 * len(table) or not np.isnan(table.numbers(name)).all():
        return ""
    return f"make numbers of the cells, such as {found[0]['number'].replace(',', '')} of {found[0][0]!r}"
