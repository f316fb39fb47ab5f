"""JSON files with a format, a version and a checksum, written atomically; model files are of this kind.

A document is a dict that JSON can hold, with a `"format"` (the kind of file) and a `"format_version"`. Floats are
written so that they are read back bit for bit. The bytes of a file are a function of its document, so that equal
documents give equal files, and a reader notices any damage.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .files import write_atomically


class ModelFileError(ValueError):
    """A file that cannot be read: damaged, truncated, of another kind, or of a newer version."""


def checksum(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document without its entry `"checksum"`, in hexadecimal.

    Raises:
        TypeError, ValueError: if the document holds anything that JSON cannot.

    >>> checksum({"a": 1.0}) == checksum({"checksum": "of old", "a": 1.0})
    True
    """
    content = {key: value for key, value in document.items() if key != "checksum"}
    return hashlib.sha256(_encode(content)).hexdigest()


def write_json_atomically(path: str | os.PathLike[str], document: Mapping[str, Any]) -> None:
    """Write a document and its checksum to a file, as `microgrud.common.files.write_atomically` does.

    Args:
        path: the file to write.
        document: a dict with entries `"format"` (a string) and `"format_version"` (an integer). It may hold None, bool,
            int, finite float, string, list, tuple (which is read back as a list) and dict with string keys.

    Raises:
        TypeError: for anything else in the document; the message names the place.
        ValueError: for infinity and NaN, and for a document that is nested too deeply.
        OSError: if the file cannot be written.
    """
    _check_storable(document)
    write_atomically(path, _encode({**document, "checksum": checksum(document)}))


def read_json(path: str | os.PathLike[str], format: str, newest_version: int) -> dict[str, Any]:
    """Read a document that `write_json_atomically` wrote, and check that it is complete and of the right kind.

    Args:
        path: the file.
        format: the expected entry `"format"`.
        newest_version: the greatest `"format_version"` that the caller understands; the least is 1.

    Raises:
        ModelFileError: if the file is of another kind, newer, damaged or truncated; the message says which.
        OSError: if it cannot be read.
    """
    content = Path(path).read_bytes()
    document = _decode(content, path, format)
    if not isinstance(document, dict) or document.get("format") != format:
        found = document.get("format") if isinstance(document, dict) else None
        raise ModelFileError(f"{path}: not a {format} file" + (f", but a {found!r}" if isinstance(found, str) else ""))
    version = document.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelFileError(f"{path}: damaged: format_version {version!r} is not a version number")
    if version > newest_version:
        raise ModelFileError(
            f"{path}: written in version {version} of the {format} format by a newer microgrud; this one reads "
            f"versions up to {newest_version}; upgrade microgrud to read it"
        )
    if not _is_whole(document, content):
        raise ModelFileError(f"{path}: damaged or edited: its content does not agree with its checksum")
    return document


_ENCODER = json.JSONEncoder(indent=1, sort_keys=True, allow_nan=False)


def _encode(document: Mapping[str, Any]) -> bytes:
    return _ENCODER.encode(document).encode("ascii") + b"\n"


def _is_whole(document: Mapping[str, Any], content: bytes) -> bool:
    """Return whether the bytes of a file are those of which `checksum` was taken, and the line with the result.

    Bytes are compared, since some damage does not show in the parsed document: 1E-05 for 1e-05. Line ends may differ:
    Git changes them, which does no harm.
    """
    line = f'\n "checksum": {json.dumps(document.get("checksum"))},'.encode("ascii")
    rest = content.replace(b"\r\n", b"\n").replace(line, b"", 1)  # other keys follow, such as "format"
    return hashlib.sha256(rest).hexdigest() == document.get("checksum")


def _decode(content: bytes, path: str | os.PathLike[str], format: str) -> Any:
    if not content:
        raise ModelFileError(f"{path}: the file is empty")
    try:
        return json.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ModelFileError(f"{path}: not a {format} file, or damaged: {error}") from None
    except RecursionError:
        raise ModelFileError(f"{path}: not a {format} file, or damaged: nested too deeply") from None
    except ValueError as error:
        raise ModelFileError(f"{path}: not a {format} file, or damaged or truncated: {error}") from None


def _check_storable(document: Mapping[str, Any]) -> None:
    """Raise an error that names the place, unless JSON reads back exactly what is stored."""
    waiting: list[tuple[str, Any, int]] = [("", document, 0)]
    while waiting:
        where, item, depth = waiting.pop()
        kind = type(item)
        if depth > _DEEPEST:
            raise ValueError(f"{where[:80]}...: nested more than {_DEEPEST} levels deep; a file cannot hold that")
        if isinstance(item, float):
            if not math.isfinite(item):
                raise ValueError(f"{where}: expected a finite number, got {item}; a file cannot hold that")
        elif isinstance(item, Mapping) and (kind is dict or depth == 0):
            for key, value in item.items():
                if not isinstance(key, str):
                    raise TypeError(f"{where or 'the document'}: expected strings as keys, got {key!r}")
                waiting.append((f"{where}.{key}" if where else key, value, depth + 1))
        elif kind in (list, tuple):
            waiting.extend((f"{where}[{i}]", value, depth + 1) for i, value in enumerate(item))
        elif item is not None and kind not in (bool, int) and not isinstance(item, str):
            raise TypeError(
                f"{where}: expected None, a bool, number, string, list or dict, got an object of type {kind.__name__}; "
                "a file cannot hold that"
            )


# Python's default recursion limit allows documents of this depth to be encoded and parsed.
_DEEPEST = 100
