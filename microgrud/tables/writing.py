"""Writing of tables: one file in the format that its name asks for, which reads back as the same cells."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from ..common.files import write_atomically
from .escaping import escaped
from .table import TableError, listed
from .text import as_text, padded
from .typed import NO_PYARROW
from .workbooks import workbook


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    r"""Write a frame to a file, without its index, in the format of the name: at every moment the file is complete.

    The names end in .csv, .tsv, .xlsx, .parquet, .jsonl or .json, with .gz or .zip after it where that packs the file;
    names without an ending, and .txt, stand for CSV. Numbers keep all digits, missing values are empty cells (null in
    JSON). Text cells that a spreadsheet would run are escaped in CSV and TSV, and are text in a workbook.

    Args:
        frame: numbers, text and other cells; a text column that holds numbers only, in their shortest spelling, is
            written as numbers where the format tells them from text.
        path: the file.

    Raises:
        TableError: if the name has another ending, if pyarrow is missing, or if the format cannot hold the table.
        OSError: if the file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_table(pd.DataFrame({"size": [0.1, None], "on": [True, False]}), f"{folder}/sizes.tsv")
    ...     Path(folder, "sizes.tsv").read_text()
    'size\ton\n0.1\tTrue\n\tFalse\n'
    """
    write_atomically(path, to_bytes(frame, path))


def to_bytes(frame: pd.DataFrame, path: str | Path) -> bytes:
    r"""Return the content of the file that `write_table` writes; it raises the same TableError.

    >>> to_bytes(pd.DataFrame({"name": ["=1+1", None], "x": [-1.0, 1e99]}), "a.csv").decode()
    "name,x\n'=1+1,-1.0\n,1e+99\n"
    """
    name = PurePath(path)
    packing, inner = (name.suffix.lower(), name.stem) if name.suffix.lower() in (".gz", ".zip") else ("", name.name)
    ending = PurePath(inner).suffix.lower()
    if ending not in _FORMATS:
        endings = ", ".join(each for each in _FORMATS if each not in ("", ".txt"))
        raise TableError(f"{path}: expected a name that ends in {endings}, or one of them and .gz or .zip")
    if frame.columns.has_duplicates:
        twice = listed(frame.columns[frame.columns.duplicated()].unique())
        raise TableError(f"{path}: expected different names of columns, got {twice} twice")
    try:
        content = _FORMATS[ending](frame.rename(columns=str))
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    if packing == ".gz":
        return gzip.compress(content, 6, mtime=0)
    if packing == ".zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(inner), content, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()
    return content


def to_csv(frame: pd.DataFrame, delimiter: str = ",") -> str:
    r"""Return a frame as the text of a CSV file, with escapes of the cells that a spreadsheet would run.

    >>> to_csv(pd.DataFrame({"@x": ["a, b", "-2"]}))
    '\'@x\n"a, b"\n-2\n'
    """
    frame = frame.rename(columns=str)
    texts = {name for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name].dtype)}
    for name in texts:
        frame[name] = as_text(frame[[name]])[name].map(escaped)
    first = [frame.columns[0], *frame.iloc[:, 0]] if texts & set(frame.columns[:1]) else list(frame.columns[:1])
    # A # or sep= at the start of a line has a meaning, and Python up to 3.12 leaves a carriage return without quotes.
    quoted = any(str(cell).startswith(("#", "sep=")) for cell in first)
    quoted = quoted or any(frame[name].str.contains("\r", regex=False).any() for name in texts)
    text: str = frame.rename(columns=escaped).to_csv(
        index=False, sep=delimiter, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC if quoted else csv.QUOTE_MINIMAL
    )
    return text


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    try:
        _with_numbers(frame).to_parquet(buffer, engine="pyarrow", index=False)
    except ImportError:
        raise TableError(NO_PYARROW) from None
    return buffer.getvalue()


def _records(frame: pd.DataFrame) -> list[str]:
    """Return each row as a JSON object; an infinity, which JSON does not have, is the text inf."""
    frame = _with_numbers(frame)
    columns = [
        [None if pd.isna(cell) else str(cell) if cell in _INFINITE else cell for cell in frame[name].astype(object)]
        for name in frame.columns
    ]
    return [json.dumps(dict(zip(frame.columns, row)), ensure_ascii=False) for row in zip(*columns)]


_INFINITE = (float("inf"), -float("inf"))


def _with_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of numbers and texts; text that is numbers in their shortest spelling becomes numbers."""
    texts = [name for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name].dtype)]
    found: pd.DataFrame = frame.copy()
    for name in texts:
        found[name] = _numbers(as_text(frame[[name]])[name])
    return found


def _numbers(text: pd.Series[Any]) -> Any:
    """Return a text column as numbers if that loses nothing, otherwise as it is, with None for an empty cell.

    >>> _numbers(pd.Series(["1.5", ""])).tolist(), _numbers(pd.Series(["007"])).tolist()
    ([1.5, nan], ['007'])
    """
    filled = text[text != ""]
    for kind, dtype in ((int, "Int64"), (float, "float64")):
        try:
            numbers = [kind(cell) for cell in filled]
            same = (cell in (str(x), padded(x, str(x))) and math.isfinite(x) for x, cell in zip(numbers, filled))
            if numbers and all(same):
                return pd.Series(numbers, index=filled.index, dtype=dtype).reindex(text.index)
        except (ValueError, OverflowError, TypeError):  # text, or an integer beyond 64 bits  # noqa: PERF203
            continue
    return text.astype(object).where(text != "", None)


_FORMATS: dict[str, Callable[[pd.DataFrame], bytes]] = {
    **dict.fromkeys([".csv", ".txt", ""], lambda frame: to_csv(frame).encode()),
    ".tsv": lambda frame: to_csv(frame, "\t").encode(),
    ".xlsx": lambda frame: workbook(_with_numbers(frame)),
    ".parquet": _parquet,
    ".jsonl": lambda frame: "".join(f"{record}\n" for record in _records(frame)).encode(),
    ".json": lambda frame: ("[" + ",\n".join(_records(frame)) + "]\n").encode(),
}
