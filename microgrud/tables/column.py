"""The cells of a column, whatever its type: numbers, moments or different texts, each with the rows that hold it."""

from __future__ import annotations

import datetime
import numbers
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from .table import MISSING


@dataclass(frozen=True)
class Column:
    """A column: for each row the position of its cell among the `different` ones, -1 where the cell is missing.

    Args:
        name: the name of the column.
        rows: for each row the position of its cell in `different`; -1 where it is missing.
        different: the different cells in order of appearance: texts, floats or datetime64.
    """

    name: str
    rows: np.ndarray[Any, np.dtype[np.intp]]
    different: np.ndarray[Any, Any]

    @classmethod
    def of(cls, series: pd.Series[Any], name: str) -> Column:
        """Return the cells of a column of a DataFrame; texts are stripped, and words such as NA are missing.

        >>> Column.of(pd.Series([" a", "NA", "a"]), "x")
        Column(name='x', rows=array([ 0, -1,  0]), different=array(['a'], dtype=object))
        """
        if isinstance(series.dtype, pd.CategoricalDtype):
            series = series.astype(object)
        if series.dtype == object:
            series = series.infer_objects()
        dtype = series.dtype
        if types.is_datetime64_any_dtype(dtype):
            return cls(name, *pd.factorize(_clock_time(series).to_numpy("datetime64[us]")))
        if types.is_timedelta64_dtype(dtype):
            return cls(name, *pd.factorize(series.dt.total_seconds().to_numpy(float)))
        if types.is_bool_dtype(dtype):
            series = series.astype(object)
        elif types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype):
            return cls(name, *pd.factorize(series.to_numpy(float, na_value=np.nan)))
        rows, different = pd.factorize(series.to_numpy(object, na_value=None))
        texts = [cell if type(cell) is str else _text(cell) for cell in different]
        clean = [None if (text := cell.strip()) in MISSING else text for cell in texts]
        if clean == list(different):
            return cls(name, rows, different)
        merged, different = pd.factorize(np.array(clean, object))
        return cls(name, np.append(merged, -1)[rows], different)

    @property
    def missing(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return for each row whether its cell is missing."""
        return self.rows < 0

    @cached_property
    def counts(self) -> np.ndarray[Any, np.dtype[np.intp]]:
        """Return the number of rows of each different cell."""
        return np.bincount(self.rows[self.rows >= 0], minlength=len(self.different))

    @property
    def is_typed(self) -> bool:
        """Return whether the cells are numbers or moments, and not texts."""
        return self.different.dtype != object

    @cached_property
    def texts(self) -> list[str]:
        """Return the different cells as texts."""
        if not self.is_typed:
            return list(self.different)
        return [_text(cell) for cell in self.different.tolist()]

    def by_row(self, values: np.ndarray[Any, Any], missing: Any) -> np.ndarray[Any, Any]:
        """Return the value of each row, given one for each different cell and one for missing cells."""
        result = np.append(values, np.array([missing], values.dtype))[self.rows]
        return result

    def first_row(self, position: int) -> int:
        """Return the first row that holds the different cell at `position`."""
        return int(np.argmax(self.rows == position))


def _clock_time(series: pd.Series[Any]) -> pd.Series[Any]:
    """Return moments without their time zone, as the clock there showed them."""
    if isinstance(series.dtype, pd.ArrowDtype):
        series = series.dt.tz_localize(None) if series.dtype.pyarrow_dtype.tz else series
        return series.astype("datetime64[us]")
    return series.dt.tz_localize(None)


def _text(cell: Any) -> str:
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return ""
    if isinstance(cell, (datetime.datetime, datetime.date, datetime.time)):
        return cell.isoformat()
    if isinstance(cell, numbers.Real) and not isinstance(cell, (bool, numbers.Rational)):
        return repr(float(cell))
    return str(cell)
