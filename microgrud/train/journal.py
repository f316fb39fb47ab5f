"""Journals: files that grow by one checksummed line of JSON at a time, and stay readable if cut off anywhere.

The first line is a header with the format and its version, each further line a record. A line starts with the SHA-256
of everything up to the end of the line, except the checksum itself, so that a lost, changed or foreign line is noticed.
Header and first record are written atomically; later records are appended. If the process is killed meanwhile, the last
line is torn, and a reader drops it: the record before it is complete. Unlike model files, journals may hold infinity
and NaN.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from ..common.files import check_replaceable, write_atomically
from ..common.jsonfile import ModelFileError

_START = b'{"checksum": "'
_HEX = 64


def check_target(path: str | os.PathLike[str], size: int) -> None:
    """Raise unless a file of `size` bytes can be written at this path; an existing file is not touched.

    Raises:
        OSError: for a folder, device or FIFO, and in a folder that is missing, read-only or full; it names the file.

    >>> check_target(os.devnull, 100)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    OSError: [Errno 22] expected the name of a file to write, got a pipe or a device of that name; ...: '/dev/null'
    """
    check_replaceable(path)
    name, folder = os.fspath(path), os.path.dirname(os.path.realpath(path))
    try:  # in the same folder: on most systems this file has no name, so that a kill leaves nothing behind
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\n" * size)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise type(error)(error.errno, f"cannot write {size} bytes here: {error.strerror}", name) from error


class Journal:
    """The writer of a journal.

    Args:
        path: the file.
        header: its first line, with `"format"` and `"format_version"`.

    Attributes:
        size: the bytes of the file, 0 before the first record.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     journal = Journal(Path(folder) / "a.journal", {"format": "diary", "format_version": 1})
    ...     journal.rewrite({"day": 1})
    ...     journal.append({"day": 2}), journal.append({"day": 3})
    ...     read_journal(journal.path, "diary", 1)[1]
    (True, True)
    [{'day': 1}, {'day': 2}, {'day': 3}]
    """

    def __init__(self, path: str | os.PathLike[str], header: Mapping[str, Any]) -> None:
        self.path, self.header = path, json.dumps(header)
        self.size = 0
        self._written: tuple[int, ...] | None = None  # identifies the file as this writer left it
        self._digest = hashlib.sha256()

    def rewrite(self, record: Mapping[str, Any]) -> None:
        """Replace the file by a new one, with the header and one record, atomically.

        Raises:
            OSError: if the file cannot be written; the old one is unchanged.
        """
        digest = hashlib.sha256()
        content = _line(self.header, digest) + _line(json.dumps(record), digest)
        self._written = None
        write_atomically(self.path, content)
        self._digest, self.size, self._written = digest, len(content), _identity(os.stat(self.path))

    def append(self, record: Mapping[str, Any]) -> bool:
        """Append a record, flushed to the disk; if another writer has changed the file, do nothing and return False.

        Raises:
            OSError: if the file cannot be written; the records before are complete.
        """
        try:
            file = open(self.path, "r+b", buffering=0)  # noqa: SIM115
        except FileNotFoundError:
            return False
        with file:
            if _identity(os.fstat(file.fileno())) != self._written:
                return False
            self._written = None
            digest = self._digest.copy()
            line = _line(json.dumps(record), digest)
            try:
                file.seek(self.size)
                rest = memoryview(line)
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except BaseException:
                with contextlib.suppress(OSError):
                    file.truncate(self.size)
                raise
            self._digest, self.size = digest, self.size + len(line)
            self._written = _identity(os.fstat(file.fileno()))
        return True


def read_journal(
    path: str | os.PathLike[str], format: str, version: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the header and the records of a journal; a torn last line is dropped, unless it is the first record.

    Args:
        path: the file.
        format: the required `"format"` of the header.
        version: the required `"format_version"`.

    Raises:
        ModelFileError: if the file is of another kind or version, or damaged; it names the line.
        OSError: if it cannot be read.
    """
    content = Path(path).read_bytes().replace(b"\r\n", b"\n")
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    digest = hashlib.sha256()
    parsed = (_parsed(line, digest) for line in lines)
    documents: list[dict[str, Any]] = list(takewhile(lambda x: x is not None, parsed))
    if not content:
        raise ModelFileError(f"{path}: the file is empty")
    header = documents[0] if documents else _any_json(lines[0]) or _any_json(content)
    found = header.get("format") if isinstance(header, dict) else None
    if found != format:
        but = f", but a {found!r}" if isinstance(found, str) else ", or damaged or truncated"
        raise ModelFileError(f"{path}: not a {format} file{but}; to start over, delete it or leave resume out")
    written = header.get("format_version")
    if written != version:
        raise ModelFileError(
            f"{path}: expected version {version} of the {format} format, got version {written!r}; read it with the "
            "microgrud that wrote it, or start over"
        )
    if not documents:
        raise ModelFileError(f"{path}: damaged: line 1 does not agree with its checksum")
    if len(documents) == 1:
        raise ModelFileError(f"{path}: damaged: line 2, the first record, is missing or torn")
    torn = not content.endswith(b"\n")
    if len(documents) < len(lines) - torn:
        raise ModelFileError(
            f"{path}: damaged: line {len(documents) + 1} of {len(lines)} does not agree with its checksum; the records "
            "before it are whole: to use the last of them, delete that line and all that follow"
        )
    return documents[0], documents[1:]


def _line(text: str, digest: Any) -> bytes:
    body = text.encode("ascii")
    digest.update(body)
    return b'%s%s", %s\n' % (_START, digest.hexdigest().encode(), body[1:])


def _parsed(line: bytes, digest: Any) -> Any:
    """Return the document in a line, without its checksum; None if the checksum is wrong."""
    body = b"{" + line[len(_START) + _HEX + 3 :]
    digest.update(body)
    if line[: len(_START) + _HEX + 3] != b'%s%s", ' % (_START, digest.hexdigest().encode()):
        return None
    document = _any_json(body)
    return document if isinstance(document, dict) else None


def _any_json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """Return numbers that change when another process writes or replaces a file."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
