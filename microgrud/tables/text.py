"""Text of typed cells: every table ends as text, whether its numbers come from Excel, Parquet, JSON or a DataFrame."""

from __future__ import annotations

import datetime
import json
import re
from typing import Any

import numpy as np
import pandas as pd

#: A number that is a thousand times as large where points separate thousands.
_GROUP = re.compile(r"(-?[1-9]\d{0,2}\.\d{3})(?=[eE]|$)")


def as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return each cell of a frame as stripped text.

    Numbers become the shortest text that reads back as the same number, so that 1.0 is "1.0" and the integer 1 is "1".
    Booleans become True and False, dates ISO 8601, durations `2 days 00:00:00`, bytes UTF-8, lists and dicts JSON; a
    missing value becomes "".

    >>> frame = pd.DataFrame({"x": [1e99, float("nan")], "n": [1, 2], "d": pd.to_datetime(["2020-02-29", None])})
    >>> as_text(frame).to_numpy().tolist()
    [['1e+99', '1', '2020-02-29'], ['', '2', '']]
    """
    columns = {position: _column(frame.iloc[:, position]) for position in range(frame.shape[1])}
    text: pd.DataFrame = pd.DataFrame(columns, frame.index).set_axis(frame.columns, axis=1)
    return text


def _column(column: pd.Series[Any]) -> pd.Series[Any]:
    kind: Any = column.dtype
    if isinstance(kind, np.dtype) and kind.kind in "biuf":
        # str() of a NumPy number is the shortest text for its own precision: "0.1" for the float32 too.
        numbers: Any = column.to_numpy() if kind.kind == "f" and kind.itemsize != 8 else column.tolist()
        text: pd.Series[Any] = pd.Series(list(map(str, numbers)), index=column.index, dtype=object)
        text = text.where(column.notna(), "").astype(str)
        return text
    dated = isinstance(kind, pd.DatetimeTZDtype) or (isinstance(kind, np.dtype) and kind.kind == "M")
    if dated and (column.dropna() == column.dropna().dt.normalize()).all():
        column = column.dt.date
    if isinstance(kind, pd.CategoricalDtype):
        column = column.astype(object)
    return column.astype(object).map(cell_text).astype(str)


def cell_text(cell: Any) -> str:
    """Return one cell as stripped text, by the rules of `as_text`.

    >>> [cell_text(cell) for cell in (None, True, 2**64, 1.0, " a ", [1, "b"])]
    ['', 'True', '18446744073709551616', '1.0', 'a', '[1, "b"]']
    """
    if isinstance(cell, str):  # JSON may hold half of a surrogate pair, which no encoding has
        return (cell if cell.isascii() else cell.encode("utf-8", "backslashreplace").decode()).strip()
    if isinstance(cell, (float, int)) and cell == cell:
        return str(cell)
    if isinstance(cell, np.ndarray):
        cell = cell.tolist()
    if isinstance(cell, (list, tuple, dict, set)):
        return json.dumps(list(cell) if isinstance(cell, set) else cell, ensure_ascii=False, default=cell_text)
    if cell is None or pd.isna(cell):
        return ""
    if isinstance(cell, (datetime.datetime, datetime.date, datetime.time)):
        return cell.isoformat()
    if isinstance(cell, (datetime.timedelta, np.timedelta64)):
        return str(pd.Timedelta(cell))
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace").strip()
    return str(bool(cell)) if isinstance(cell, np.bool_) else str(cell).strip()


def padded(cell: Any, text: str) -> str:
    """Return the text of a typed cell with a further 0 if its point could separate thousands, as in 1.125.

    >>> padded(1.125, "1.125"), padded(-2.125e-9, "-2.125e-09"), padded("1.125", "1.125"), padded(2.5, "2.5")
    ('1.1250', '-2.1250e-09', '1.125', '2.5')
    """
    match = None if isinstance(cell, (str, bytes)) else _GROUP.match(text)
    return f"{match[1]}0{text[match.end() :]}" if match else text
