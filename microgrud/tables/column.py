"""The cells of a column, whatever its type: numbers, moments or different texts, each with the rows that hold it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from ..engine.vectors import Vector
from .numbers import numbers_in_texts
from .spelling import spelled
from .table import MISSING, and_more
from .text import cell_text, padded


@dataclass(frozen=True)
class Column:
    """A column: for each row the position of its cell among the `different` ones, -1 where the cell is missing.

    Args:
        name: the name of the column.
        rows: for each row the position of its cell in `different`; -1 where it is missing.
        different: the different cells in order of appearance: texts, floats or datetime64.
        index: the labels of the rows.
    """

    name: str
    rows: np.ndarray[Any, np.dtype[np.intp]]
    different: np.ndarray[Any, Any]
    index: pd.Index[Any] = field(repr=False)
    _cache: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, series: pd.Series[Any], name: str) -> Column:
        """Return the cells of a column of a DataFrame; texts are stripped, and words such as NA are missing.

        >>> Column.of(pd.Series([" a", "NA", "a"]), "x")
        Column(name='x', rows=array([ 0, -1,  0]), different=array(['a'], dtype=object))
        """
        rows, different = _factorized(series)
        return cls(name, np.asarray(rows, np.intp), different, series.index)

    @property
    def missing(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return for each row whether its cell is missing."""
        return self.rows < 0

    @property
    def counts(self) -> np.ndarray[Any, np.dtype[np.intp]]:
        """Return the number of rows of each different cell."""
        return np.bincount(self.rows[self.rows >= 0], minlength=len(self.different))

    @property
    def is_typed(self) -> bool:
        """Return whether the cells are numbers or moments, and not texts."""
        return bool(self.different.dtype != object)

    @property
    def texts(self) -> list[str]:
        """Return the different cells as texts."""
        texts: list[str] = self._once("texts", self._texts)
        return texts

    def _texts(self) -> list[str]:
        cells = self.different.tolist()
        return [spelled(cell_text(cell)) for cell in cells] if self.is_typed else cells

    def numbers(self, decimal: str, unit: tuple[str, str]) -> Vector:
        """Return the number in each different text; NaN where there is none."""
        numbers: Vector = self._once((decimal, unit), lambda: numbers_in_texts(self.texts, decimal, unit))
        return numbers

    def _once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """Return a result that is computed once; functools' caches have a lock, which a fork may copy while held."""
        if key not in self._cache:
            self._cache[key] = compute()
        return self._cache[key]

    def by_row(self, values: np.ndarray[Any, Any], missing: Any) -> np.ndarray[Any, Any]:
        """Return the value of each row, given one for each different cell and one for missing cells."""
        result: np.ndarray[Any, Any] = np.append(values, np.array([missing], values.dtype))[self.rows]
        return result

    def rows_of(self, positions: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.intp]]:
        """Return the rows that hold one of the different cells at these positions."""
        chosen = np.zeros(len(self.different) + 1, bool)
        chosen[positions] = True
        return np.flatnonzero(chosen[self.rows])

    def row_number(self, row: int) -> int:
        """Return the number of a row from 0: its label in the index if that is a whole number, as in a Table."""
        label = self.index[row]
        return int(label) if isinstance(label, (int, np.integer)) else row

    def example(self, positions: np.ndarray[Any, Any]) -> str:
        """Return the first row with one of the cells at `positions`, the cell, and how many more there are."""
        rows = self.rows_of(positions)
        cell, more = self.texts[self.rows[rows[0]]], and_more(len(rows) - 1, "such cell")
        return f"column {self.name!r}, row {self.row_number(rows[0]) + 1}: {shortened(cell)}{more}"


def shortened(text: str) -> str:
    """Return a text in quotation marks, without its middle if it is long.

    >>> shortened("red"), shortened("a" * 100)
    ("'red'", "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...aaaaa'")
    """
    return repr(text if len(text) <= 40 else f"{text[:30]}...{text[-5:]}")


def _factorized(series: pd.Series[Any]) -> tuple[Any, Any]:
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    if series.dtype == object:
        kind = types.infer_dtype(series, skipna=True)
        if kind != "string":
            series = series.astype(float) if kind == "decimal" else series.infer_objects()
    dtype = series.dtype
    if types.is_datetime64_any_dtype(dtype):
        return pd.factorize(_clock_time(series).to_numpy("datetime64[us]"))
    if getattr(dtype, "kind", "") == "m":
        rows, durations = pd.factorize(series)
        return rows, np.array(list(map(cell_text, durations)), object)
    if types.is_integer_dtype(dtype) and ((series >= 2**53) | (series <= -(2**53))).any():
        series, dtype = series.astype(object), np.dtype(object)  # floats would make one of several
    if types.is_numeric_dtype(dtype) and not types.is_bool_dtype(dtype) and not types.is_complex_dtype(dtype):
        rows, different = pd.factorize(series.to_numpy(float, na_value=np.nan))
        if isinstance(dtype, np.dtype) and dtype.kind == "f" and dtype.itemsize < 8:
            different = np.array([float(str(x)) for x in different.astype(dtype)])  # 0.1, as in the file it came from
        return rows, different
    try:
        # Arrow, which holds the texts of pandas 3, finds different ones in a third of the time of Python's objects.
        is_text = isinstance(dtype, pd.StringDtype)
        rows, different = pd.factorize(series.array if is_text else np.asarray(series, object))
    except TypeError:  # for cells that cannot be hashed, such as lists
        rows, different = pd.factorize(np.array(list(map(cell_text, series)), object))
    different = np.asarray(different, object)
    cells = different.tolist()
    if set(map(type, cells)) <= {str} and MISSING.isdisjoint(cells) and list(map(str.strip, cells)) == cells:
        return rows, different
    texts = [cell if type(cell) is str else padded(cell, cell_text(cell)) for cell in different]
    clean = [None if (text := cell.strip()) in MISSING else text for cell in texts]
    merged, different = pd.factorize(np.array(clean, object))
    return np.append(merged, -1)[rows], different


def _clock_time(series: pd.Series[Any]) -> pd.Series[Any]:
    """Return moments without their time zone, as the clock there showed them."""
    if isinstance(series.dtype, pd.ArrowDtype) and not getattr(series.dtype.pyarrow_dtype, "tz", None):
        return series
    clock: pd.Series[Any] = series.dt.tz_localize(None)
    return clock
