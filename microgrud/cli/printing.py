"""Lines on stdout and stderr: errors, notes and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

#: Maximum number of notes on columns that are printed before training; the report has all.
_SHOWN_NOTES = 8


def fail(message: str, code: int = 2) -> NoReturn:
    """Print each line of a message as an error, and exit."""
    for line in message.splitlines():
        print(one_line(f"error: {line}"), file=sys.stderr)
    sys.exit(code)


def os_message(error: OSError) -> str:
    """Return the system's message without the number of the error; an error in printing has no file name."""
    return f"{error.filename or 'stdout'}: {error.strerror}" if error.strerror else str(error)


def note(text: str) -> None:
    """Print a note on stderr."""
    print(one_line(f"note: {text}"), file=sys.stderr)


def print_json(document: Any) -> None:
    """Print JSON data on stdout."""
    print(json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False))


def one_line(text: str) -> str:
    """Return the text with spaces for line breaks, and escapes for characters that stdout cannot encode."""
    return encodable(" ".join(text.split()))


def encodable(text: str) -> str:
    """Return the text with escapes for characters that stdout cannot encode."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


class Notes(list[str]):
    """Notes in the order in which they are made, of which `tell` passes on the new ones."""

    def __init__(self, say: Callable[[str], object], notes: Iterable[str] = ()) -> None:
        super().__init__(notes)
        self._say, self._told = say, 0

    def tell(self, ending: str = "more notes are in the report, and in microgrud show") -> None:
        """Say the first new notes, and the number of the others."""
        new, self._told = self[self._told :], len(self)
        shown = new if len(new) <= _SHOWN_NOTES + 1 else [*new[:_SHOWN_NOTES], f"{len(new) - _SHOWN_NOTES} {ending}"]
        for note in shown:
            self._say(note)
