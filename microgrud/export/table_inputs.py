"""Tables as the inputs of exported models: their cells are read here, by the rules of prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..tables.plans import DatePlan, NumberPlan, Plan, moments_in
from ..tables.preparation import TablePreparation
from ..tables.table import Table
from .trained import trained_model

#: The input of a model that takes numbers.
MATRIX = "X"
#: A missing date, as NumPy stores it.
NO_DATE = np.iinfo(np.int64).min
#: The type of an input, and what it takes, by the kind of its column; for the documentation in the file.
KINDS: dict[str, type] = {"number": np.float64, "date": np.int64, "category": np.str_, "presence": np.str_}
TAKES = {
    "number": "double, NaN where missing",
    "date": "int64, microseconds since 1970-01-01T00:00 of the clock of the table, -2**63 where missing",
    "category": "string, empty where missing",
    "presence": "string, empty where missing",
}


def used_plans(preparation: TablePreparation) -> list[Plan]:
    """Return the plans of the columns that the network takes."""
    return [plan for plan in preparation.columns_ if plan.kind in TAKES]


def column_inputs(preparation: TablePreparation, cells: pd.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
    """Return the inputs of the graph for the cells of a table, which are read as in prediction.

    Raises:
        TableError: if columns are missing.
    """
    inputs: dict[str, np.ndarray[Any, Any]] = {}
    for plan, column, reading in preparation.read(cells):
        if isinstance(plan, NumberPlan):
            values = reading.numbers[plan.name]
        elif isinstance(plan, DatePlan):
            moments = moments_in(column, plan.day_first).astype("datetime64[us]").astype(np.int64)
            values = column.by_row(moments, NO_DATE)
        else:
            values = column.by_row(np.array(column.texts, object), "")
            if reading.names is not None:  # a category in the spelling of training, whatever its spelling here
                values = np.where(column.missing | column.by_row(reading.odd, True), values, reading.names)
        inputs[plan.name] = values.reshape(-1, 1)
    return inputs


def inputs_for(model: Any, table: pd.DataFrame | Table) -> dict[str, np.ndarray[Any, Any]]:
    """Return the inputs of an exported model for the rows of a table; see `microgrud.export.onnx_inputs`."""
    trained = trained_model("onnx_inputs", model)
    if trained.preparation is None:
        raise TypeError(
            f"onnx_inputs: expected a model with a TablePreparation, got an estimator; its input {MATRIX!r} is the "
            "matrix of numbers that its predict takes"
        )
    return column_inputs(trained.preparation, table.cells if isinstance(table, Table) else table)
