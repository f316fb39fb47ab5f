"""Preparation: from the cells of a table to the inputs of a network, by scikit-learn's transformers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.validation import check_is_fitted

from ..engine.vectors import Vector
from .column import Column
from .kinds import Rules, decide_kinds
from .plans import OTHER, PLANS, CategoryPlan, LeftOutPlan, Plan
from .problems import PreparationError
from .scaling import learn_scale, scaling_steps, set_figures
from .table import TableError, and_more, closest


class TablePreparation(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn a DataFrame of any cells into the float inputs of a network, and say by column how.

    Numbers are scaled; categories become an input each; dates become year, month, weekday, hour and day. Missing cells
    are filled (median, most frequent category) and marked by an input of their own. Columns that say nothing
    (constants, identifiers, free text) are left out with a note.

    Args:
        categorical: columns of numbers to be taken as categories.
        ignore: columns to leave out.
        numerical: columns to be taken as numbers, even if they look like identifiers.
        decimal: `"."` or `","`, for columns that can be read either way.
        delimiter: the delimiter of the file, which hints at the decimal mark.
        day_first: the order of day and month, for columns that can be read either way.
        scaling: `"robust"`, `"standard"` or `"quantile"`.
        max_categories: the largest number of inputs for one column of categories; the rarest share the last one.
        min_frequency: categories of fewer rows share one input.

    >>> frame = pd.DataFrame({"age": ["31", "NA", "40", "35"], "colour": ["red", "Red", "red", "blue"]})
    >>> preparation = TablePreparation().fit(frame)
    >>> preparation.get_feature_names_out().tolist()
    ['age', 'colour = red', 'colour = (other)', 'age is missing']
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
        scaling: str = "robust",
        max_categories: int = 50,
        min_frequency: int | None = None,
    ) -> None:
        self.categorical = categorical
        self.ignore = ignore
        self.numerical = numerical
        self.decimal = decimal
        self.delimiter = delimiter
        self.day_first = day_first
        self.scaling = scaling
        self.max_categories = max_categories
        self.min_frequency = min_frequency

    def fit(self, X: Any, y: Any = None) -> TablePreparation:
        """Learn the kind of each column, and its figures, from the rows of a DataFrame.

        Raises:
            TableError: if a column is ambiguous, an option names an unknown column, or no column can be used.
        """
        frame = _frame(X)
        columns = [Column.of(frame.iloc[:, k], str(name)) for k, name in enumerate(frame.columns)]
        self._check_options([column.name for column in columns])
        rarest = self.min_frequency or min(max(2, len(frame) // 100), 10)
        found = decide_kinds(
            columns,
            Rules(self.categorical, self.numerical, self.ignore, self.decimal, self.delimiter, self.day_first, rarest),
        )
        if found.problems:
            raise PreparationError(found.problems)
        self.columns_: list[Plan] = list(found.plans.values())
        self.notes_ = found.notes
        if all(isinstance(plan, LeftOutPlan) for plan in self.columns_):
            reasons = "; ".join(f"{plan.name!r} is {plan.said}" for plan in self.columns_)
            raise TableError(f"no column is left to predict from: {reasons or 'the table has none'}")
        self._learn_figures(columns, rarest)
        self._assemble()
        self.n_features_in_ = frame.shape[1]
        if all(isinstance(name, str) for name in frame.columns):
            self.feature_names_in_ = np.array(frame.columns, object)
        return self

    def transform(self, X: Any) -> Vector:
        """Return the inputs for each row; cells without meaning to the model count as missing, or as `other`."""
        check_is_fitted(self, "columns_")
        prepared = self._cells_by_input(self._columns_of(X))
        result: Vector = np.asarray(self._transformer.transform(_numbered(prepared)), dtype=float)
        return result

    def remarks(self, X: Any) -> list[str]:
        """Return notes on the cells of X that are not of the kind of their column, and on those filled in."""
        check_is_fitted(self, "columns_")
        notes = []
        for plan, column in self._columns_of(X):
            odd = plan.read(column).odd
            rows = np.flatnonzero(odd[column.rows] & (column.rows >= 0)) if len(odd) else []
            if len(rows):
                cell = column.texts[column.rows[rows[0]]]
                notes.append(
                    f"column {plan.name!r}, row {rows[0] + 1}: {cell!r} is {plan.odd}{and_more(len(rows) - 1, 'such cell')}"
                )
        return notes

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray[Any, Any]:
        """Return a name for each input, such as `age`, `colour = red` or `age is missing`."""
        check_is_fitted(self, "columns_")
        return np.array([label for label, _ in self._inputs], object)

    @property
    def input_columns_(self) -> list[str]:
        """Return for each input the column that it comes from."""
        return [name for _, name in self._inputs]

    def to_json(self) -> dict[str, Any]:
        """Return the fitted preparation as JSON data, from which `from_json` rebuilds the same transformation."""
        check_is_fitted(self, "columns_")
        return {
            "scaling": self.scaling,
            "columns": [plan.to_json() for plan in self.columns_],
            "numbers": self._numbers,
            "categories": self._categories,
            "notes": self.notes_,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> TablePreparation:
        """Rebuild exactly the transformation that `to_json` wrote."""
        made = cls(scaling=document["scaling"])
        made.columns_ = [
            PLANS[entry["kind"]](**{k: v for k, v in entry.items() if k != "kind"}) for entry in document["columns"]
        ]
        made._numbers, made._categories, made.notes_ = document["numbers"], document["categories"], document["notes"]
        made._assemble()
        made.n_features_in_ = len(made.columns_)
        return made

    def _check_options(self, names: list[str]) -> None:
        wrong = []
        for option in ("ignore", "categorical", "numerical"):
            for name in getattr(self, option):
                if name not in names:
                    wrong.append(f"--{option}: there is no column {name!r}{closest(name, names)}")
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            wrong.append(f"several columns are called {', '.join(map(repr, twice))}; rename all but one")
        if wrong:
            raise TableError("\n".join(wrong))

    def _columns_of(self, X: Any) -> list[tuple[Plan, Column]]:
        frame = _frame(X)
        names = {str(name): k for k, name in enumerate(frame.columns)}
        used = [plan for plan in self.columns_ if not isinstance(plan, LeftOutPlan)]
        absent = [plan.name for plan in used if plan.name not in names]
        if absent:
            raise TableError(
                f"the model needs the columns {', '.join(map(repr, absent))}, which the table lacks; add them"
            )
        return [(plan, Column.of(frame.iloc[:, names[plan.name]], plan.name)) for plan in used]

    def _cells_by_input(self, columns: Iterable[tuple[Plan, Column]]) -> pd.DataFrame:
        """Return a column of floats or of names for each input or one-hot encoded column, then the indicators."""
        numbers: dict[str, Vector] = {}
        names: dict[str, Any] = {}
        missing: dict[str, Vector] = {}
        for plan, column in columns:
            reading = plan.read(column)
            numbers |= {f"n {label}": values for label, values in reading.numbers.items()}
            if reading.names is not None:
                names[f"c {plan.name}"] = reading.names
            if plan.missing:
                odd = np.append(reading.odd if not isinstance(plan, CategoryPlan) else np.zeros_like(reading.odd), True)
                missing[f"m {plan.name}"] = odd[column.rows].astype(float)
        rows = {label: pd.Series(values, dtype=object) for label, values in names.items()}
        return pd.DataFrame({**numbers, **rows, **missing})

    def _learn_figures(self, columns: list[Column], rarest: int) -> None:
        """Find medians, scales and categories with scikit-learn."""
        used = [(plan, column) for plan, column in zip(self.columns_, columns) if not isinstance(plan, LeftOutPlan)]
        cells = self._cells_by_input(used)
        numbers = cells[[label for label in cells if label.startswith("n ")]].to_numpy(float)
        self._numbers: list[dict[str, Any]] = []
        if numbers.shape[1]:
            imputer = SimpleImputer(strategy="median").fit(numbers)
            scales = learn_scale(self.scaling, imputer.transform(numbers))
            fills = imputer.statistics_.tolist()
            self._numbers = [{"median": fill, **scale} for fill, scale in zip(fills, scales)]
        self._categories: list[dict[str, Any]] = []
        for k, (plan, column) in enumerate(zip(self.columns_, columns)):
            if isinstance(plan, CategoryPlan):
                names = cells[f"c {plan.name}"]
                texts = names.to_numpy(object)[:, None]
                imputer = SimpleImputer(strategy="most_frequent", missing_values=None).fit(texts)
                encoder = OneHotEncoder(
                    max_categories=self.max_categories, min_frequency=rarest, handle_unknown="infrequent_if_exist"
                ).fit(imputer.transform(texts))
                rare = encoder.infrequent_categories_[0]
                rare = [] if rare is None else rare.tolist()
                kept = [name for name in encoder.categories_[0].tolist() if name not in rare]
                self._categories.append({"fill": str(imputer.statistics_[0])})
                self.columns_[k] = CategoryPlan(plan.name, plan.said, plan.missing, kept, bool(rare))

    def _assemble(self) -> None:
        """Build the transformer from the figures alone, so that a stored preparation is the same to the bit."""
        plans = [plan for plan in self.columns_ if not isinstance(plan, LeftOutPlan)]
        categories = [plan for plan in plans if isinstance(plan, CategoryPlan)]
        stand_in = 1 + 2 * max((len(plan.categories) for plan in categories), default=1)
        cells: dict[str, Any] = {}
        for k, figure in enumerate(self._numbers):
            cells[f"n {k}"] = np.full(stand_in, figure["median"])
        for plan, figure in zip(categories, self._categories):
            names = plan.categories * 2 + [OTHER] * plan.others
            names += [figure["fill"]] * (stand_in - len(names) + 1)
            cells[f"c {plan.name}"] = pd.Series(names[:stand_in], dtype=object)
        marked = [plan.name for plan in plans if plan.missing]
        cells |= {f"m {name}": np.zeros(stand_in) for name in marked}
        frame = _numbered(pd.DataFrame(cells))
        count, last = len(self._numbers), len(self._numbers) + len(categories)
        number_steps = Pipeline([("fill", SimpleImputer(strategy="median")), *scaling_steps(self.scaling)])
        fill = SimpleImputer(strategy="most_frequent", missing_values=None)
        encode = OneHotEncoder(min_frequency=2, handle_unknown="infrequent_if_exist", sparse_output=False)
        self._transformer = ColumnTransformer(
            [
                ("numbers", number_steps, list(range(count))),
                ("categories", Pipeline([("fill", fill), ("encode", encode)]), list(range(count, last))),
                ("missing", "passthrough", list(range(last, last + len(marked)))),
            ]
        ).set_output(transform="default")
        self._transformer.fit(frame)
        if count:
            set_figures(self._transformer.named_transformers_["numbers"].named_steps["scale"], self._numbers)
        self._inputs = [(label, plan.name) for plan in plans for label in _number_labels(plan)]
        for plan in categories:
            self._inputs += [(f"{plan.name} = {name}", plan.name) for name in plan.categories]
            self._inputs += [(f"{plan.name} = (other)", plan.name)] * plan.others
        self._inputs += [(f"{name} is missing", name) for name in marked]


def _numbered(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_axis(map(str, range(frame.shape[1])), axis=1)


def _number_labels(plan: Plan) -> list[str]:
    if plan.kind == "date":
        return [f"{plan.name}: {part}" for part in plan.parts]  # type: ignore[attr-defined]
    return [plan.name] * (plan.kind == "number")


def _frame(X: Any) -> pd.DataFrame:
    if isinstance(X, pd.DataFrame):
        return X
    return pd.DataFrame(np.asarray(X)).rename(columns=lambda k: f"x{k}")
