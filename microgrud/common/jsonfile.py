"""JSON files that are whole or not there, with a format, a version and a checksum.

The format of model files. A document is a dict that JSON can hold, with a `"format"` (what kind of file it is) and a
`"format_version"`; floats are written so that they come back bit for bit. The bytes of a file are a function of its
document, so that equal documents give equal files, and a reader can tell any damage.
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
    """A file that is not what it should be: damaged, truncated, of another kind, or of a newer version."""


def checksum(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document without its entry `"checksum"`, in hexadecimal.

    Raises:
        TypeError, ValueError: if the document holds what JSON cannot.

    >>> checksum({"a": 1.0}) == checksum({"checksum": "of old", "a": 1.0})
    True
    """
    content = {key: value for key, value in document.items() if key != "checksum"}
    return hashlib.sha256(_encode(content)).hexdigest()


def write_json_atomically(path: str | os.PathLike[str], document: Mapping[str, Any]) -> None:
    """Write a document and its checksum to a file, as `microgrud.common.files.write_atomically` does.

    Args:
        path: where to write.
        document: a dict with entries `"format"` (a string) and `"format_version"` (an integer), of what JSON can
            hold: None, bool, int, finite float, string, list, tuple (comes back as a list) and dict with string keys.

    Raises:
        TypeError: for anything else in the document; the message says where.
        ValueError: for infinity and NaN, and for what is nested too deeply.
        OSError: if the file cannot be written.
    """
    _check_storable(document)
    write_atomically(path, _encode({**document, "checksum": checksum(document)}))


def read_json(path: str | os.PathLike[str], format: str, newest_version: int) -> dict[str, Any]:
    """Read a document that `write_json_atomically` wrote, and check that it is whole and of the right kind.

    Args:
        path: the file.
        format: what its entry `"format"` must be.
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
    # Byte for byte, since some damage would not show in the parsed document: 1E-05 for 1e-05. Git may change the ends
    # of lines, and does no harm by it.
    try:
        whole = _is_encoding(document, content.replace(b"\r\n", b"\n"))
        whole = whole and document.get("checksum") == checksum(document)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: damaged: {error}") from None
    if not whole:
        raise ModelFileError(f"{path}: damaged or edited: its content does not agree with its checksum")
    return document


_ENCODER = json.JSONEncoder(indent=1, sort_keys=True, allow_nan=False)


def _encode(document: Mapping[str, Any]) -> bytes:
    return _ENCODER.encode(document).encode("ascii") + b"\n"


def _is_encoding(document: Mapping[str, Any], content: bytes) -> bool:
    """Return whether a document is encoded as `content`, in no more memory than that takes.

    The encoding of a hostile file may be a thousand times as long, for the indentation of what is nested.
    """
    end = 0
    for piece in _ENCODER.iterencode(document):
        part = piece.encode("ascii")
        if not content.startswith(part, end):
            return False
        end += len(part)
    return content[end:] == b"\n"


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
    """Raise unless JSON gives back what is stored, saying where it would not."""
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


# A document that nests this deep can be encoded and parsed within Python's default limit on recursion.
_DEEPEST = 100
