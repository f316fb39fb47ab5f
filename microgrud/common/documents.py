"""Checks of documents read from files: every entry has the expected kind, or an error names the entry."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias


class Kind(NamedTuple):
    """A kind of entry: its description for messages, and its test."""

    words: str
    fits: Callable[[Any], bool]


#: A kind; a list of one form, for lists of any length; or a dict of forms, for dicts with exactly these keys.
Form: TypeAlias = "Kind | list[Any] | dict[str, Any]"

FLAG = Kind("true or false", lambda x: type(x) is bool)
TEXT = Kind("a string", lambda x: type(x) is str)
COUNT = Kind("a whole number of 0 or more", lambda x: type(x) is int and x >= 0)
SIZE = Kind("a whole number of 1 or more", lambda x: type(x) is int and x >= 1)
NUMBER = Kind("a number with a decimal point or an exponent", lambda x: type(x) is float and math.isfinite(x))
NOT_NEGATIVE = Kind("a number of 0 or more with a decimal point or an exponent", lambda x: NUMBER.fits(x) and x >= 0.0)
ABOVE_0 = Kind("a number above 0 with a decimal point or an exponent", lambda x: NUMBER.fits(x) and x > 0.0)
OBJECT = Kind("a dict", lambda x: type(x) is dict)
ANYTHING = Kind("anything", lambda x: True)
NAMES = Kind(
    "a list of different strings",
    lambda x: type(x) is list and all(type(name) is str for name in x) and len(set(x)) == len(x),
)


def or_null(kind: Kind) -> Kind:
    """Return a kind that allows null too."""
    return Kind(f"{kind.words}, or null", lambda x: x is None or kind.fits(x))


def several(count: int, kind: Kind) -> Kind:
    """Return the kind of lists of so many entries of a kind."""
    words = f"a list of {count} entries, each {kind.words}"
    return Kind(words, lambda x: type(x) is list and len(x) == count and all(map(kind.fits, x)))


def check_entry(where: str, entry: Any, form: Form) -> None:
    """Raise a ValueError that names the entry unless it has the form.

    >>> check_entry("architecture", {"nin": 2, "bias": -4}, {"nin": SIZE, "bias": FLAG})
    Traceback (most recent call last):
        ...
    ValueError: architecture.bias: expected true or false, got -4
    """
    if isinstance(form, Kind):
        if not form.fits(entry):
            raise ValueError(f"{where}: expected {form.words}, got {reprlib.repr(entry)}")
    elif isinstance(form, list):
        if type(entry) is not list:
            raise ValueError(f"{where}: expected a list, got {reprlib.repr(entry)}")
        part = form[0]
        if isinstance(part, Kind) and all(map(part.fits, entry)):
            return  # the numbers of a network, without the name of each
        for k, item in enumerate(entry):
            check_entry(f"{where}[{k}]", item, part)
    else:
        if type(entry) is not dict or entry.keys() != form.keys():
            got = sorted(map(reprlib.repr, entry)) if type(entry) is dict else reprlib.repr(entry)
            listed = ", ".join(map(repr, form))
            raise ValueError(f"{where or 'the file'}: expected a dict with the keys {listed}, got {_shortened(got)}")
        for key, part in form.items():
            check_entry(f"{where}.{key}" if where else key, entry[key], part)


def _shortened(got: str | list[str]) -> str:
    return got if isinstance(got, str) else f"{', '.join(got[:12]) or 'none'}{', ...' if len(got) > 12 else ''}"
