"""Text of bytes in an unknown encoding."""

from __future__ import annotations

import codecs
import re

from .table import TableError, counted

_MARKS = {  # UTF-32 first: the mark of UTF-16 is the beginning of its own
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
#: Bytes that are not UTF-8, as the error handler "surrogateescape" returns them.
_STRAY = re.compile("[\udc80-\udcff]")
_AS_WINDOWS = {0xDC00 + byte: bytes([byte]).decode("cp1252", "replace") for byte in range(0x80, 0x100)}
_NAMED = "; if names look wrong, name the encoding (option encoding), such as cp1251"


def decoded(name: str, data: bytes, encoding: str | None, notes: list[str]) -> str:
    """Return the text of a file.

    The encoding is that of the byte order mark; without one it is UTF-8, or UTF-16 if one of the first two bytes is 0.
    Bytes that are not UTF-8 are read as Windows-1252, with a note: all of them if most characters beyond ASCII are such
    bytes, as in a file from an older Excel, or those alone, as in a file that was joined from two.

    Args:
        name: the name of the file, for messages.
        data: its bytes.
        encoding: the encoding that the user has named.
        notes: the list to which remarks are added.

    Raises:
        TableError: if the bytes are no text, or not in the given encoding.

    >>> notes = []
    >>> decoded("a.csv", "größe".encode("cp1252"), None, notes), notes[0][:35]
    ('größe', 'a.csv: 2 bytes are not UTF-8; the f')
    """
    if encoding is None:
        encoding = next((known for mark, known in _MARKS.items() if data.startswith(mark)), None)
        if encoding is None and b"\0" in data[:2]:
            encoding = "utf-16-be" if data[0] == 0 else "utf-16-le"
            notes.append(f"{name}: the file was read as UTF-16, because every second byte is 0")
        if encoding is None:
            return _checked(name, _utf8_or_windows(name, data, notes))
    try:
        text = data.decode(encoding)
    except LookupError:
        raise TableError(f"encoding: expected a name such as utf-8 or cp1252, got {encoding!r}") from None
    except ValueError as error:
        where = f" (byte {error.start + 1})" if isinstance(error, UnicodeDecodeError) else ""
        raise TableError(f"{name}: is not in the encoding {encoding}{where}; save the table as UTF-8") from None
    return _checked(name, text)


def _utf8_or_windows(name: str, data: bytes, notes: list[str]) -> str:
    text = data.decode("utf-8", "surrogateescape")
    if text.isascii() or not (stray := len(_STRAY.findall(text))):
        return text
    beyond_ascii = sum(map(len, re.findall("[^\0-\x7f]+", text)))
    found = f"{name}: {counted(stray, 'byte')} {'is' if stray == 1 else 'are'} not UTF-8; "
    if 2 * stray > beyond_ascii:
        notes.append(f"{found}the file was read as Windows-1252 (Western European){_NAMED}")
        return data.decode("cp1252", "replace")
    notes.append(f"{found}{'it was' if stray == 1 else 'they were'} read as Windows-1252 (Western European){_NAMED}")
    return text.translate(_AS_WINDOWS)


def _checked(name: str, text: str) -> str:
    if "\0" in text:
        raise TableError(f"{name}: is not a text file (it has NUL bytes in it); save the table as CSV first")
    return text.lstrip("\ufeff")  # a file may begin with several byte order marks
