"""Parquet files in parts of some rows, which any process with access to the files can read on its own.

A file is named by a path or by a URL that fsspec opens, such as `s3://bucket/sales.parquet`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .header import unique_names
from .table import TableError
from .typed import frame_of_arrow, nested_columns, parquet_names, unreadable_parquet

#: The largest number of rows of a part.
MOST_ROWS = 100_000


@dataclass(frozen=True)
class FileRows:
    """The columns of a Parquet file, the number of rows in each of its row groups, and its columns of lists."""

    url: str
    columns: list[str]
    groups: list[int]
    nested: Sequence[str] = ()


@dataclass(frozen=True)
class Part:
    """Consecutive rows of a row group.

    Args:
        url: the file.
        number: the number of the part among those of all files, from 0.
        group: the number of the row group in the file.
        group_rows: the number of rows of the row group.
        start: the first row, within the row group.
        rows: the number of rows.
        first: the number of the first row among those of all files.
    """

    url: str
    number: int
    group: int
    group_rows: int
    start: int
    rows: int
    first: int

    def read(self) -> pd.DataFrame:
        """Return the typed cells of the rows; the index counts the rows of all files from 0.

        Raises:
            TableError: if the file cannot be read, or is no longer what it was.
        """
        import fsspec
        from pyarrow import parquet

        with fsspec.open(self.url, "rb") as stream:
            try:
                table = parquet.ParquetFile(stream).read_row_group(self.group)
                if table.num_rows != self.group_rows:
                    raise ValueError(f"row group {self.group} had {self.group_rows} rows, now it has {table.num_rows}")
                frame = frame_of_arrow(table.slice(self.start, self.rows))
            except Exception as error:  # of pyarrow or pandas, by how the file is damaged
                raise unreadable_parquet(self.url, error) from None
        frame.columns = pd.Index(_names(self.url, frame.columns), dtype=object)
        frame.index = pd.RangeIndex(self.first, self.first + self.rows)
        return frame


def _names(url: str, names: Any) -> list[str]:
    return unique_names(url, list(enumerate(parquet_names(names), 1)), [])


def find_files(pattern: str) -> list[str]:
    """Return the files that a path, a URL or a pattern such as `data/*.parquet` names, in order.

    Raises:
        TableError: if there is none, or if they cannot be listed.
    """
    import fsspec

    advice = "give paths, patterns or URLs that all workers can open"
    try:
        system, path = fsspec.core.url_to_fs(pattern)
        found = sorted(system.glob(path)) if any(sign in path for sign in "*?[") else [path] * system.exists(path)
        folders = [each for each in found if system.isdir(each)]
        files = [system.unstrip_protocol(each) if "://" in pattern else each for each in found if each not in folders]
    except Exception as error:  # of any file system, and of imports for those that are not installed
        why = " ".join(str(error).split())[:200]
        raise TableError(f"{pattern}: a worker cannot open it ({type(error).__name__}: {why}); {advice}") from None
    if files:
        return files
    if folders:
        raise TableError(f"{pattern}: is a directory; write {pattern.rstrip('/')}/*.parquet for the files in it")
    raise TableError(f"{pattern}: a worker finds no such file; {advice}")


def survey(url: str) -> FileRows:
    """Return the columns and the row groups of a file.

    Raises:
        TableError: if it is not a Parquet file, cannot be read, or is not there.
    """
    import fsspec
    from pyarrow import parquet

    try:
        with fsspec.open(url, "rb") as stream:
            if stream.read(4) != b"PAR1":
                advice = "convert it, such as by pandas.read_csv(...).to_parquet(...), or leave out --scheduler"
                raise TableError(f"{url}: is not a Parquet file, which --scheduler takes; {advice}")
            try:
                file = parquet.ParquetFile(stream)
                names, nested = _names(url, file.schema_arrow.names), nested_columns(file.schema_arrow)
            except Exception as error:  # of pyarrow, by how the file is damaged
                raise unreadable_parquet(url, error) from None
            groups = [file.metadata.row_group(k).num_rows for k in range(file.metadata.num_row_groups)]
    except OSError as error:
        raise TableError(f"{url}: a worker cannot open it ({' '.join(str(error).split())[:200]})") from None
    return FileRows(url, names, groups, nested)


def divided(files: Sequence[FileRows], most: int = MOST_ROWS) -> list[Part]:
    """Return the parts of files: each row group, or equal parts of one of more than `most` rows.

    >>> [(part.first, part.group, part.start, part.rows) for part in divided([FileRows("a", [], [4, 0, 5])], most=4)]
    [(0, 0, 0, 4), (4, 2, 0, 3), (7, 2, 3, 2)]
    """
    parts: list[Part] = []
    end = 0
    for file in files:
        for group, rows in enumerate(file.groups):
            size = math.ceil(rows / math.ceil(rows / most)) if rows else 1
            for start in range(0, rows, size):
                length = min(size, rows - start)
                parts.append(Part(file.url, len(parts), group, rows, start, length, end))
                end += length
    return parts


def rows_of(part: Part, numbers: Any) -> npt.NDArray[np.intp]:
    """Return the positions in a part of those of the sorted row numbers that are in it."""
    low, high = np.searchsorted(numbers, [part.first, part.first + part.rows])
    positions: npt.NDArray[np.intp] = np.asarray(numbers[low:high] - part.first, np.intp)
    return positions
