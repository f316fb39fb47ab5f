"""Numbers in words, for messages and reports."""

from __future__ import annotations

_PLURALS = {"leaf": "leaves"}


def counted(count: int, noun: str, separator: str = ",") -> str:
    """Return a count with its noun.

    Args:
        count: the count.
        noun: the noun in the singular.
        separator: the separator of thousands: a comma, or an empty text for none.

    >>> counted(1, "node"), counted(2000, "node"), counted(2000, "row", separator="")
    ('1 node', '2,000 nodes', '2000 rows')
    """
    return f"{count:{separator}} {noun if count == 1 else _PLURALS.get(noun, f'{noun}s')}"
