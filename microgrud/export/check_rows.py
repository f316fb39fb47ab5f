"""Rows that try a trained model, made of what the model itself has learned, since its training table is not at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..engine.vectors import Vector
from ..tables.numbers import SIZES
from ..tables.plans import CategoryPlan, DatePlan, NumberPlan, Plan
from ..tables.preparation import TablePreparation
from .table_inputs import used_plans

#: Words that are no number, no date, and no category of a table that anyone has.
_UNKNOWN = "(unknown to microgrud)"
#: The days around the first one of training that dates are drawn from, among them leap days and other centuries.
_DAYS = (-400_000, 400_000)


def rows_of_columns(preparation: TablePreparation, rows: int, seed: int = 0) -> pd.DataFrame:
    """Return a table of texts: cells as in training, others, far ones, missing ones, and such as cannot be read.

    >>> frame = pd.DataFrame({"size": ["1.5", "2", "3"] * 5, "colour": ["red", "blue", "red"] * 5})
    >>> rows_of_columns(TablePreparation().fit(frame), 4).shape
    (4, 2)
    """
    rng = np.random.default_rng(seed)
    figures = iter(preparation.to_json()["numbers"])
    columns: dict[str, Any] = {}
    for plan in used_plans(preparation):
        cells = np.array(_cells(plan, [next(figures) for _ in plan.number_labels], rng, rows), object)
        cells[rng.random(rows) < 0.1] = ""
        columns[plan.name] = cells
    made: pd.DataFrame = pd.DataFrame(columns, dtype=object)
    return made


def rows_of_numbers(model: Any, rows: int, seed: int = 0) -> Vector:
    """Return an array (rows, inputs) of numbers: as in training, at the edges of pieces, far outside."""
    rng = np.random.default_rng(seed)
    standard: Vector = rng.normal(size=(rows, model.n_features_in_))
    encoding = model.encoding_
    if encoding is None:
        return standard
    standard *= np.where(rng.random(standard.shape) < 0.05, 1e3, 2.0)
    for column, edges in enumerate(encoding.edges):
        if len(edges):
            at = rng.random(rows) < 0.3
            standard[at, column] = rng.choice(edges, int(at.sum()))
    undone: Vector = encoding.scale.undo(standard)
    return undone


def _cells(plan: Plan, figures: Sequence[dict[str, float]], rng: Any, rows: int) -> list[str]:
    if isinstance(plan, NumberPlan):
        figure = figures[0]
        near = figure["mean"] + 2.0 * figure["scale"] * rng.normal(size=rows)
        ends = [figure["median"], plan.low, plan.high, 2.0 * plan.low - 1.0, 2.0 * plan.high + 1.0, 0.0, 1.0]
        values = np.where(rng.random(rows) < 0.8, near, rng.choice(ends, rows))
        before, after = plan.unit[0], "" if plan.unit[1] == SIZES else plan.unit[1]
        cells = [f"{before}{x!r}{after}".replace(".", plan.decimal) for x in values.tolist()]
    elif isinstance(plan, DatePlan):
        days = np.datetime64(plan.first, "D") + rng.integers(*_DAYS, rows)
        moments = days.astype("datetime64[us]") + rng.integers(0, 86_400_000_000, rows)
        cells = np.where(rng.random(rows) < 0.2, days.astype(str), moments.astype(str)).tolist()
    elif isinstance(plan, CategoryPlan):
        names = [*plan.categories, _UNKNOWN]
        spellings = [str, str.upper, str.lower, lambda text: f"  {text}\t"]
        cells = [spellings[rng.integers(len(spellings))](names[rng.integers(len(names))]) for _ in range(rows)]
    else:
        cells = [_UNKNOWN] * rows
    return [_UNKNOWN if odd else cell for odd, cell in zip(rng.random(rows) < 0.05, cells)]
