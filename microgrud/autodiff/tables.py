"""Tables and columns of pandas, polars and PyArrow among the arguments, which become arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def is_table(x: Any) -> bool:
    """Return whether an object is a table or a column: it offers its content as an array, and is none itself.

    >>> import pandas as pd
    >>> is_table(pd.Series([1.0, 2.0])), is_table([1.0, 2.0])
    (True, False)
    """
    if isinstance(x, type) or hasattr(type(x), "takes_truths"):  # an array of a recording: any attribute would ask it
        return False
    return hasattr(x, "to_numpy") or hasattr(x, "__dataframe__")


def columns_of(x: Any) -> list[Any] | None:
    """Return the columns of a table of pandas, polars or PyArrow; None for a single column, and for anything else."""
    if hasattr(x, "iloc"):
        return [x.iloc[:, k] for k in range(x.shape[1])] if x.ndim == 2 else None
    if hasattr(x, "get_columns"):  # of polars, where `columns` are names
        return list(x.get_columns())
    return list(x.columns) if hasattr(x, "column_names") else None


def table_as_array(x: Any, where: str) -> np.ndarray:
    """Return a table or a column as an array; the objects of columns that may have missing values become numbers.

    A missing number is NaN, as these libraries have it.

    Args:
        x: a table or a column of pandas (nullable and Arrow columns included), polars or PyArrow.
        where: the name of the argument, for error messages.

    Raises:
        TypeError: for missing values that no number stands for, such as those of truth values.

    >>> import pandas as pd
    >>> table_as_array(pd.DataFrame({"a": pd.Series([1, 2], dtype="Int64"), "b": [1.5, 2.5]}), "x")
    array([[1. , 1.5],
           [2. , 2.5]])
    """
    import numpy as np

    # PyArrow's own to_numpy refuses truth values and missing numbers, unless it is told to copy.
    given = np.asarray(x) if type(x).__module__.partition(".")[0] == "pyarrow" else x.to_numpy()
    array: np.ndarray = given
    if array.dtype != object:
        return array
    items = array.ravel().tolist()
    if any(item is None or type(item).__name__ == "NAType" for item in items):
        raise TypeError(
            f"{where}: expected numbers, got a column with missing values; write .fillna(number) (in polars and "
            "PyArrow .fill_null(number)) to put a number in their place, or .dropna() (.drop_nulls()) to leave them out"
        )
    if all(isinstance(item, (bool, int, float)) for item in items):
        return np.array(items).reshape(array.shape)
    return array
