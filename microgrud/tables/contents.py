"""Bytes of a table: from a file or standard input, unpacked, with their format recognised by their content."""

from __future__ import annotations

import gzip
import io
import re
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Literal

from .table import TableError, listed, why_unreadable

Format = Literal["text", "xlsx", "parquet"]

#: The largest number of bytes that an archive may unpack to: a few kilobytes of zeros can unpack to a terabyte.
MOST_BYTES = 2**29
_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_PICKLE = "a pickle, which can run programs and is never opened; save the table as CSV or Parquet first"
_REFUSED = {
    b"\xd0\xcf\x11\xe0": "an Excel workbook of the format before 2007, or protected by a password; save it as .xlsx",
    b"%PDF-": "a PDF, not a table; save the table as CSV first",
    b"SQLite format 3\0": "a database; export the table as CSV first",
    b"\x89HDF": "an HDF5 file; save the table as CSV or Parquet first",
    b"ARROW1\0": "a Feather file; save the table as CSV or Parquet first",
    b"\x28\xb5\x2f\xfd": "packed with Zstandard; unpack it, or pack it with gzip",
    b"BZh91AY&SY": "packed with bzip2; unpack it, or pack it with gzip",
    b"\xfd7zXZ\0": "packed with xz; unpack it, or pack it with gzip",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it, or pack it with gzip",
    **dict.fromkeys([b"\x80\x03", b"\x80\x04", b"\x80\x05"], _PICKLE),
}
#: Endings of names that say nothing about the table.
_ENDINGS = ["csv", "tsv", "tab", "txt", "data", "xlsx", "xlsm", "parquet", "pq", "json", "jsonl", "ndjson", "gz", "zip"]


def read_bytes(path: str | Path) -> bytes:
    """Return the content of a file, or all of standard input for `-`.

    Raises:
        TableError: if there is no such file, or it cannot be read.
    """
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise TableError(why_unreadable(path, error, "table")) from None


def stem(path: str | Path) -> str:
    """Return the name of a table.

    >>> stem("data/titanic.csv.gz"), stem("-"), stem("v1.2")
    ('titanic', 'stdin', 'v1.2')
    """
    name = PurePath(path)
    while name.suffix.lower()[1:] in _ENDINGS and name.stem:
        name = name.with_suffix("")
    return "stdin" if str(path) == "-" else name.name


def unpacked(name: str, data: bytes) -> tuple[bytes, Format]:
    """Return the content of an archive of one file, and its format; other content stays as it is.

    Raises:
        TableError: if an archive is damaged, holds several files, or unpacks to more than `MOST_BYTES`; and if the
            content is no table.
    """
    for _ in range(3):  # a gzip archive in a zip archive, at most
        if data.startswith(_GZIP):
            data = _limited(name, "gzip", partial(gzip.open, io.BytesIO(data)))
        elif data.startswith(_ZIP):
            archive, member = _member(name, data)
            if member is None:
                return data, "xlsx"
            data = _limited(name, "zip", partial(archive.open, member))
        else:
            break
    if data[:4] == b"PAR1":
        return data, "parquet"
    for mark, found in _REFUSED.items():
        if data.startswith(mark):
            raise TableError(f"{name}: is {found}")
    return data, "text"


def _limited(name: str, kind: str, opened: Callable[[], Any]) -> bytes:
    try:
        with opened() as file:
            data: bytes = file.read(MOST_BYTES + 1)
    except Exception as error:  # of zlib, lzma, zipfile or the system, by how the archive is damaged
        locked = "password" in str(error)
        why = "is protected by a password; unpack it first" if locked else "is damaged; get or make it again"
        raise TableError(f"{name}: the {kind} archive {why}") from None
    if len(data) > MOST_BYTES:
        raise TableError(f"{name}: unpacks to more than {MOST_BYTES >> 20} MB; unpack it first if that is right")
    return data


def _member(name: str, data: bytes) -> tuple[zipfile.ZipFile, zipfile.ZipInfo | None]:
    """Return a zip archive, and its one file; None if the archive is an Excel workbook."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        files = [each for each in archive.infolist() if not each.is_dir()]
    except Exception:  # of zipfile or struct, by how the archive is damaged
        raise TableError(f"{name}: the zip archive or workbook is damaged; get or save it again") from None
    names = [each.filename for each in files]
    if "xl/workbook.xml" in names:
        if sum(each.file_size for each in files) > MOST_BYTES:
            raise TableError(f"{name}: unpacks to more than {MOST_BYTES >> 20} MB; save the table as CSV first")
        return archive, None
    if "xl/workbook.bin" in names or "content.xml" in names:
        raise TableError(f"{name}: is a workbook of another format; save it as .xlsx or as CSV")
    # macOS adds hidden files.
    files = [each for each in files if not re.search(r"^__MACOSX/|(^|/)\.[^/]*$", each.filename)]
    if len(files) != 1:
        found = listed(each.filename for each in files) or "none"
        raise TableError(f"{name}: expected a zip archive of one file, got {len(files)}: {found}; unpack it")
    return archive, files[0]
