"""Numbers, names and texts in words, for messages and reports."""

from __future__ import annotations

import itertools
import unicodedata
from typing import Any

_PLURALS = {"leaf": "leaves", "box": "boxes"}


def counted(count: int, noun: str, separator: str = ",") -> str:
    """Return a count with its noun.

    Args:
        count: the count.
        noun: the noun in the singular.
        separator: the separator of thousands: a comma, or an empty text for none.

    >>> counted(1, "node"), counted(2000, "node"), counted(2000, "row", separator=""), counted(2, "class")
    ('1 node', '2,000 nodes', '2000 rows', '2 classes')
    """
    plural = _PLURALS.get(noun, noun + ("es" if noun.endswith("s") else "s"))
    return f"{count:{separator}} {noun if count == 1 else plural}"


def name_of(f: Any) -> str:
    """Return the name of a function, or that of its class if it has none.

    >>> name_of(len), name_of(3.0)
    ('len', 'float')
    """
    name: str = getattr(f, "__name__", type(f).__name__)
    return name


def width_of(text: str) -> int:
    """Return the width of a text on one line, in narrow letters; wide letters such as Chinese ones are two of them.

    >>> width_of("abc"), width_of("中国")
    (3, 4)
    """
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def shortened(text: str, most: int) -> str:
    """Return a text on one line, cut to a width of at most `most`.

    >>> shortened("petal  width", 20), shortened("petal width", 8), shortened("中华人民共和国", 8)
    ('petal width', 'petal w…', '中华人…')
    """
    line = " ".join(text.split())
    if width_of(line) <= most:
        return line
    widths = itertools.accumulate(map(width_of, line))
    return "".join(letter for letter, width in zip(line, widths) if width < most) + "…"
