"""Preparation: from the cells of a table to the inputs of a network, by scikit-learn's transformers."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..engine.vectors import Vector
from .column import Column, shortened
from .figures import Figures, Read, learn
from .header import unique_names
from .kinds import Findings, decide_kinds
from .leaks import tells_target
from .marks import with_one_mark
from .plans import DatePlan, LeftOutPlan, NumberPlan, Plan
from .problems import PreparationError
from .rules import Rules
from .stored import check_preparation
from .table import TableError, and_more, closest, listed

_OPTIONS_OF_COLUMNS = ("ignore", "categorical", "numerical")


class TablePreparation(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn a DataFrame of any cells into numbers for an estimator; a transformer for scikit-learn.

    Numbers are scaled, durations in seconds too; each category becomes an input; dates become year, month, weekday,
    hour and days. Missing cells are filled (median, most frequent category) and marked by an input of their own.
    Constants, identifiers, free text and copies of other columns are left out. Cells may be text, as in
    `read_table(path).cells`, or have the types of pandas, as in `pandas.read_csv(path)`. Messages call an argument an
    option: `--ignore` on the command line is `ignore`, `--day-first` is `day_first=True`.

    Args:
        categorical: columns of numbers to treat as categories.
        ignore: columns to leave out.
        numerical: columns to treat as numbers, even if they look like identifiers.
        decimal: the decimal mark, `"."` or `","`, of columns that can be read either way.
        delimiter: the character between cells of the file; a comma is evidence for decimal points in such columns.
        day_first: whether the day precedes the month in columns that can be read either way.
        max_categories: the largest number of inputs for one column of categories; the rarest share the last one.
        min_frequency: categories of fewer rows share one input; by default 1% of the rows, at least 2 and at most 10.

    Attributes:
        columns_: for each column its `name`, its `kind`, and `said`, a phrase on its use.
        notes_: sentences on everything that was guessed, changed or left out.
        input_columns_: the column that each input comes from.

    >>> frame = pd.DataFrame({"age": ["31", "NA", "40", "35"], "colour": ["red", "Red", "red", "blue"]})
    >>> preparation = TablePreparation().fit(frame)
    >>> preparation.get_feature_names_out().tolist()
    ['age', 'colour = red', 'colour = (other)', 'age is missing']
    >>> preparation.transform(frame).round(2)[0].tolist()
    [-1.33, 1.0, 0.0, 0.0]
    """

    def __init__(
        self,
        *,
        categorical: Sequence[str] = (),
        ignore: Sequence[str] = (),
        numerical: Sequence[str] = (),
        decimal: str | None = None,
        delimiter: str | None = None,
        day_first: bool | None = None,
        max_categories: int = 50,
        min_frequency: int | None = None,
    ) -> None:
        self.categorical = categorical
        self.ignore = ignore
        self.numerical = numerical
        self.decimal = decimal
        self.delimiter = delimiter
        self.day_first = day_first
        self.max_categories = max_categories
        self.min_frequency = min_frequency

    def decide(self, X: Any, share: float = 1.0) -> Findings:
        """Decide on the kind of each column, and on how its cells are read.

        Args:
            X: a DataFrame with the columns to predict from, and all rows, among them those to hold out: a cell that
                tells whether 1.234 is a thousand or one may be in any of them.
            share: the share of all rows that X is, if it is a sample drawn at random: a counter of rows has gaps there.

        Raises:
            TableError: with a line for each ambiguous column, and for each option that names an unknown one.
        """
        columns = _columns(_frame(X))
        wrong = self._wrong_options([column.name for column in columns])
        ignore, categorical, numerical = (list(map(str, getattr(self, option))) for option in _OPTIONS_OF_COLUMNS)
        rarest = self._rarest(len(X))
        options = self.decimal, self.delimiter, self.day_first, rarest
        rules = Rules(categorical, numerical, ignore, *options, share=share)
        found = decide_kinds(columns, rules)
        if wrong or found.problems:
            raise PreparationError(found.problems, wrong)
        return found

    def fit(self, X: Any, y: Any = None, decided: Findings | None = None) -> TablePreparation:
        """Learn the figures of each column, such as its median, scale or categories.

        Args:
            X: a DataFrame with the columns to predict from.
            y: the target by row, to find columns that alone tell it, which are noted as possible leaks.
            decided: the result of `decide` for more rows of the same table; by default that for X.

        Raises:
            TableError: as `decide` does; or if no column can be used.
        """
        frame = _frame(X)
        found, columns = decided or self.decide(frame), _columns(frame)
        plans = [plan.for_cells(column).for_rows(column) for plan, column in zip(found.plans, columns)]
        if all(isinstance(plan, LeftOutPlan) for plan in plans):
            reasons = "; ".join(f"{plan.name!r} is {plan.said}" for plan in plans) or "the table has no other"
            advice = "add columns, or name numbers that look like an identifier and are none (option numerical)"
            raise TableError(f"no column is left to predict from ({reasons}); {advice}")
        changed = [new for old, new in zip(found.plans, plans) if new.kind != old.kind]
        notes = found.notes + [f"column {plan.name!r} is {plan.said}" for plan in changed]
        used = [pair for pair in zip(plans, columns) if not isinstance(pair[0], LeftOutPlan)]
        reads = [(plan, column, plan.read(column)) for plan, column in used]
        self._set(learn(plans, reads, self.max_categories, self._rarest(len(frame)), notes), notes)
        if y is not None:
            self.notes_ += _leaks(reads, np.asarray(y))
        self.n_features_in_ = frame.shape[1]
        if all(isinstance(name, str) for name in frame.columns):
            self.feature_names_in_ = np.array(frame.columns, object)
        return self

    def transform(self, X: Any) -> Vector:
        """Return the inputs for each row.

        No cell is an error: an unknown category counts as `(other)` if there are rare ones, and as none of the known
        ones if not; a cell that is no number or no date counts as missing. `remarks` names such cells, and a warning
        each column of numbers or dates without any that can be read.

        Raises:
            TableError: if columns are missing; it names all of them.
        """
        reads = self.read(X)
        for plan, column, reading in reads:
            if isinstance(plan, (NumberPlan, DatePlan)) and len(reading.odd) and reading.odd.all():
                example = f"e.g. {shortened(column.texts[0])}: {plan.odd}"
                warnings.warn(f"column {plan.name!r}: none of its cells can be read; {example}", stacklevel=3)
        return self._figures.transform(reads)

    def remarks(self, X: Any) -> list[str]:
        """Return notes on the cells of X that the model has to guess: unknown categories, and those it fills in.

        Raises:
            TableError: as `transform` does.
        """
        return _remarks(self.read(X), self._figures)

    def transform_and_remark(self, X: Any) -> tuple[Vector, list[str]]:
        """Return the result of `transform` and of `remarks`, in the time of one."""
        reads = self.read(X)
        return self._figures.transform(reads), _remarks(reads, self._figures)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray[Any, Any]:
        """Return a name for each input, such as `age`, `colour = red` or `age is missing`."""
        check_is_fitted(self, "columns_")
        labels = [(position, label) for position, (label, _) in enumerate(self._figures.inputs, 1)]
        return np.array(unique_names("", labels, []), object)

    @property
    def input_columns_(self) -> list[str]:
        """Return for each input the column that it comes from."""
        check_is_fitted(self, "columns_")
        return [name for _, name in self._figures.inputs]

    def to_json(self) -> dict[str, Any]:
        """Return the fitted preparation as JSON data, from which `from_json` rebuilds the same transformation."""
        check_is_fitted(self, "columns_")
        options = {key: list(value) if isinstance(value, tuple) else value for key, value in self.get_params().items()}
        return {"options": options, **self._figures.to_json(), "notes": list(self.notes_)}

    @classmethod
    def from_json(cls, document: dict[str, Any], where: str = "preparation") -> TablePreparation:
        """Rebuild exactly the transformation that `to_json` wrote, to the bit.

        Args:
            document: the JSON data.
            where: the name of the document, for messages.

        Raises:
            ValueError: if the document is damaged; it names the entry.
        """
        check_preparation(where, document)
        options: dict[str, Any] = {key: tuple(x) if type(x) is list else x for key, x in document["options"].items()}
        made = cls(**options)
        made._set(Figures.from_json(document), list(document["notes"]))
        made.n_features_in_ = len(made.columns_)
        return made

    def _set(self, figures: Figures, notes: list[str]) -> None:
        self._figures = figures
        self.columns_: list[Plan] = figures.plans
        self.notes_ = notes

    def _rarest(self, rows: int) -> int:
        return self.min_frequency or min(max(2, rows // 100), 10)

    def _wrong_options(self, names: list[str]) -> list[str]:
        wrong = [
            f"{option}: there is no column {name!r}{closest(str(name), names)}"
            for option in _OPTIONS_OF_COLUMNS
            for name in getattr(self, option)
            if str(name) not in names
        ]
        wrong += _doubles(names)
        if self.decimal not in (None, ".", ","):
            wrong.append(f"decimal: expected '.' or ',', got {self.decimal!r}")
        return wrong

    def read(self, X: Any) -> list[Read]:
        """Return for each column that is used its plan for these cells, the column, and what the plan reads there.

        Raises:
            TableError: as `transform` does.
        """
        check_is_fitted(self, "columns_")
        frame = _frame(X)
        places = {str(name): position for position, name in enumerate(frame.columns)}
        used = {plan.name: plan for plan in self.columns_ if not isinstance(plan, LeftOutPlan)}
        wrong = _doubles([str(name) for name in frame.columns if str(name) in used])
        if absent := [name for name in used if name not in places]:
            wrong.append(f"the model needs columns that the table lacks: {', '.join(map(repr, absent))}; add them")
        if wrong:
            raise TableError("\n".join(wrong))
        columns = [Column.of(frame.iloc[:, places[name]], name) for name in used]
        plans = [plan.for_cells(column) for plan, column in zip(used.values(), columns)]
        plans = with_one_mark(list(used.values()), plans, columns)
        return [(plan, column, plan.read(column)) for plan, column in zip(plans, columns)]


def _frame(X: Any) -> pd.DataFrame:
    frame: pd.DataFrame
    if isinstance(X, pd.DataFrame):
        frame = X
        return frame
    cells = np.asarray(X)
    if cells.ndim != 2:
        raise ValueError(f"expected a DataFrame, or an array with rows and columns, got one of shape {cells.shape}")
    frame = pd.DataFrame(cells, columns=[f"x{k}" for k in range(cells.shape[1])])
    return frame


def _doubles(names: Sequence[str]) -> list[str]:
    twice = [name for name, count in Counter(names).items() if count > 1]
    return [f"several columns are called {listed(twice)}; rename all but one of them"] * bool(twice)


def _columns(frame: pd.DataFrame) -> list[Column]:
    return [Column.of(frame.iloc[:, k], str(name)) for k, name in enumerate(frame.columns)]


def _leaks(reads: Sequence[Read], target: np.ndarray[Any, Any]) -> list[str]:
    notes = []
    for plan, column, reading in reads:
        is_number = reading.names is None
        inputs = list(reading.numbers.values()) if reading.names is None else [reading.names]
        inputs = inputs or [np.where(column.missing, np.nan, 1.0)]
        if any(tells_target(cells, target, is_number) for cells in inputs):
            advice = "leave it out (option ignore) if it is not known before the target is"
            notes.append(f"column {plan.name!r} alone tells the target, a possible leak: {advice}")
    return notes


def _remarks(reads: Sequence[Read], figures: Figures) -> list[str]:
    notes = []
    learned = {plan.name: plan for plan in figures.plans}
    for plan, column, reading in reads:
        notes += plan.guesses(column)
        if plan.written != learned[plan.name].written:
            notes.append(
                f"column {plan.name!r} was read with {plan.written}, as its cells are written; the model was trained "
                f"with {learned[plan.name].written}"  # by the cells of training, or by an option
            )
        odd = np.flatnonzero(reading.odd)
        if len(odd):
            notes.append(f"{column.example(odd)}: {plan.odd}")
        missing = np.flatnonzero(column.missing)
        if len(missing) and not plan.missing:
            row, more = column.row_number(int(missing[0])) + 1, and_more(len(missing) - 1, "such cell")
            notes.append(
                f"column {plan.name!r}, row {row}: the cell is missing{more}, unlike any in training; filled with "
                f"{figures.fills[plan.name]}"
            )
    return notes
