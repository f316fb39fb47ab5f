"""Parquet and JSON: tables whose cells have types, as text."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from ..common.missing import what_to_install
from .delimited import MOST_COLUMNS, named_lines
from .header import unique_names
from .table import TableError, listed
from .text import as_text, cell_text, padded

#: The largest number of cells of a Parquet file: a few bytes can stand for a billion equal cells.
_MOST_CELLS = 10**8
_RECORD = """{"size": 1, "colour": "red"}, as pandas does with orient="records\""""
NO_PYARROW = what_to_install("Parquet needs", "pyarrow")


def read_parquet(name: str, data: bytes, notes: list[str]) -> pd.DataFrame:
    """Return the cells of a Parquet file as text; integers keep all their digits, where some are missing too.

    Raises:
        TableError: if pyarrow is missing, or if the file is damaged, too large or without rows.
    """
    try:
        from pyarrow import parquet
    except ImportError:
        raise TableError(f"{name}: {NO_PYARROW}") from None
    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        rows, columns = file.metadata.num_rows, file.metadata.num_columns
        if rows * columns > _MOST_CELLS:
            raise ValueError(f"{rows} rows of {columns} columns; expected at most {_MOST_CELLS} cells")
        table = file.read()
        frame, nested = frame_of_arrow(table), nested_columns(table.schema)
    except Exception as error:  # of pyarrow or pandas, by how the file is damaged
        raise unreadable_parquet(name, error) from None
    notes += note_on_nested(name, nested)
    return named_text(name, frame, parquet_names(frame.columns), notes)


def unreadable_parquet(name: str, error: Exception) -> TableError:
    """Return the error for a Parquet file that pyarrow or pandas cannot read."""
    why = " ".join(str(error).split())[:100]
    return TableError(f"{name}: the Parquet file cannot be read ({why}); write it again")


def frame_of_arrow(table: Any) -> pd.DataFrame:
    """Return the cells of an Arrow table; integers keep all their digits, where some are missing too."""
    table = table.replace_schema_metadata()  # pandas keeps its index there
    frame: pd.DataFrame = table.to_pandas(integer_object_nulls=True, ignore_metadata=True)
    return frame


def parquet_names(names: Iterable[Any]) -> list[str]:
    """Return the names of the columns of a Parquet file, empty for the index of pandas."""
    return ["" if str(each).startswith("__index_level_") else str(each).strip() for each in names]


def nested_columns(schema: Any) -> list[str]:
    """Return the names of the columns of lists and records of an Arrow schema."""
    return [field.name for field in schema if field.type.num_fields]


def note_on_nested(name: str, nested: Sequence[str]) -> list[str]:
    """Return a note on columns of lists and records, if there are any."""
    return [f"{name}: lists and records were read as JSON text, in {listed(nested)}"] * bool(nested)


def read_json(name: str, text: str, notes: list[str]) -> tuple[pd.DataFrame, Sequence[int]] | None:
    """Return the cells of JSON lines or of a JSON array of records as text, and the lines of the rows.

    The entries of a nested object become columns such as `address.city`, and lists stay JSON text, both with a note.

    Returns:
        None if the text is not JSON, but may be of another format.

    Raises:
        TableError: if the text is JSON without records, or JSON lines with lines that are not: with all of them.
    """
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    parsed = _parsed(text)
    if isinstance(parsed, dict) and (len(lines) > 1 or any(isinstance(x, (list, dict)) for x in parsed.values())):
        raise TableError(f"{name}: expected JSON lines, or an array of records, got one object; save rows as {_RECORD}")
    if isinstance(parsed, list):
        if not (parsed and all(isinstance(record, dict) for record in parsed)):
            raise TableError(f"{name}: expected a JSON array of records such as {_RECORD}")
        return _frame_of_records(name, parsed, notes), []
    records = [_parsed(line) for _, line in lines]
    wrong = [number for (number, _), record in zip(lines, records) if not isinstance(record, dict)]
    if len(wrong) > 0.5 * len(lines) and not text.lstrip().startswith('{"'):
        return None
    if wrong:
        raise TableError(
            f"{name}: expected a JSON object in each line, got none in {named_lines(wrong)}; mend the file"
        )
    return _frame_of_records(name, records, notes), [number for number, _ in lines]


def _parsed(text: str) -> Any:
    """Return the value of a JSON text; None if it is none, or too deep or long."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _frame_of_records(name: str, records: list[dict[str, Any]], notes: list[str]) -> pd.DataFrame:
    flat = [dict(_entries(record)) for record in records]
    if nested := {column for record in flat for column in record if column.count("\0")}:
        notes.append(f"{name}: nested objects became columns, such as {min(nested).replace(chr(0), '.')!r}")
    columns = list(dict.fromkeys(column for record in flat for column in record))
    if len(columns) > MOST_COLUMNS or len(columns) * len(flat) > _MOST_CELLS:
        raise TableError(f"{name}: has {len(flat)} records of {len(columns)} names; expected the same names in each")
    if lists := sorted({column for record in flat for column, value in record.items() if isinstance(value, list)}):
        notes.append(f"{name}: lists were read as text, in {listed(column.replace(chr(0), '.') for column in lists)}")
    cells = [pd.Series([record.get(column) for record in flat], dtype=object) for column in columns]
    names = [cell_text(column.replace("\0", ".")) for column in columns]
    return named_text(name, pd.DataFrame(dict(enumerate(cells))), names, notes)


def _entries(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    r"""Yield the entries of a record and of the objects in it, whose names are joined by NUL.

    >>> list(_entries({"a": 1, "b": {"c": 2}}))
    [('a', 1), ('b\x00c', 2)]
    """
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _entries(value, f"{prefix}{key}\0")
        else:
            yield prefix + key, value


def named_text(name: str, frame: pd.DataFrame, names: Sequence[str], notes: list[str]) -> pd.DataFrame:
    """Return the frame as text with unique names."""
    if not len(frame) or not len(frame.columns):
        raise TableError(f"{name}: the table has no rows; add the rows to learn from or to predict")
    text = as_text(frame)
    columns = {k: list(map(padded, frame.iloc[:, k], text.iloc[:, k])) for k in range(frame.shape[1])}
    cells: pd.DataFrame = pd.DataFrame(columns, dtype=str)
    cells.columns = pd.Index(unique_names(name, list(enumerate(names, 1)), notes), dtype=object)
    return cells
