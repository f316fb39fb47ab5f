"""Numbers in texts: decimal points or commas, thousands marks, currency signs and units.

The cells of a column decide together. `1.234` is 1.234 with a decimal point and 1234 with a decimal comma; `0.123`,
`12.5` and `1.234.567` have one reading only, and so tell how their column is written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from ..engine.vectors import Vector

Decimal = Literal[".", ","]
DECIMALS: tuple[Decimal, ...] = get_args(Decimal)

_CURRENCY = "$€£¥₹₽₩₺₫₱฿₴₦¢₪"
_CELL = re.compile(
    rf"""(?P<open>\()?\s*(?P<sign>[+-]?)\s*
    (?P<before>[A-Za-z]{{0,3}}[{_CURRENCY}]|(?:[A-Z]{{3}}|Rs|Fr|kr)(?=[\s.\d])\.?|)\s*
    (?P<inner>[+-]?)
    (?P<body>(?:\d(?:[\d.,' ]*\d)?[.,]?|[.,]\d+)(?:[eE][+-]?\d+)?)
    (?:(?<=[.,])-{{1,2}})?\s*
    (?P<after>(?:[%‰°{_CURRENCY}]|[^\W\d_])[^\s\d,;:()]{{0,11}}[23]?(?:\s?/\s?[^\W\d_]{{1,8}}[23]?|\s[^\W\d_]{{1,8}}[23]?)?|)\s*
    (?(open)\))""",
    re.VERBOSE,
)
_SAME = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2019": "'", "\u2212": "-", "\u2013": "-"})


def _form(decimal: str, group: str) -> re.Pattern[str]:
    point, comma = re.escape(decimal), re.escape(group)
    return re.compile(
        rf"(?:\d+(?:{point}\d*)?|{point}\d+|(?:[1-9]\d{{0,2}}(?:(?P<mark>[{comma}' ])\d{{3}})(?:(?P=mark)\d{{3}})*"
        rf"|[1-9]\d?(?:{comma}\d\d)+{comma}\d{{3}})(?:{point}\d*)?)(?:[eE][+-]?\d+)?"
    )


_FORMS: dict[str, re.Pattern[str]] = {".": _form(".", ","), ",": _form(",", ".")}
_DROPPED = {".": str.maketrans({",": "", "'": "", " ": ""}), ",": str.maketrans({".": "", "'": "", " ": "", ",": "."})}
_GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)

Unit = tuple[str, str]


class Numbers(NamedTuple):
    """The numbers in different texts, by either reading; NaN where a text has no such number.

    Args:
        point: the numbers with a decimal point.
        comma: the numbers with a decimal comma.
        unit: the sign or unit before and after the numbers, empty where there is none.
    """

    point: Vector
    comma: Vector
    unit: Unit

    def by(self, decimal: str) -> Vector:
        """Return the numbers by one of the readings."""
        return self.point if decimal == "." else self.comma


def read_numbers(texts: Sequence[str], counts: Sequence[int] | None = None, unit: Unit | None = None) -> Numbers:
    """Read the numbers in texts by both readings.

    Args:
        texts: the different texts.
        counts: the number of rows of each text, which decide on the unit.
        unit: the unit; otherwise the one of most rows. Texts with another unit are no numbers.

    >>> read_numbers(["$1,234.50", "($2)"]).point
    array([1234.5,   -2. ])
    >>> read_numbers(["1.234,5 kg", "2 g", "17 kg"])
    Numbers(point=array([nan, nan, 17.]), comma=array([1234.5,    nan,   17. ]), unit=('', 'kg'))
    """
    plain = _plain(texts) if unit in (None, ("", "")) else None
    if plain is not None:
        return Numbers(plain, _by_comma(texts, plain), ("", ""))
    cells = [_CELL.fullmatch(text.translate(_SAME)) for text in texts]
    units = [(match["before"], _singular(match["after"])) if match else None for match in cells]
    if unit is None:
        votes: dict[Unit, int] = {}
        for each, count in zip(units, counts if counts is not None else [1] * len(units)):
            if each is not None:
                votes[each] = votes.get(each, 0) + int(count)
        unit = max(votes, key=lambda each: (votes[each], each), default=("", ""))
    point, comma = np.full(len(texts), math.nan), np.full(len(texts), math.nan)
    for k, (match, each) in enumerate(zip(cells, units)):
        if match and each in (unit, ("", "")):
            sign = -1.0 if "-" in match["sign"] + match["inner"] or match["open"] else 1.0
            point[k] = sign * _value(match["body"], ".")
            comma[k] = sign * _value(match["body"], ",")
        elif _INFINITE.fullmatch(texts[k]):
            point[k] = comma[k] = -math.inf if texts[k][0] == "-" else math.inf
    return Numbers(point, comma, unit)


def _plain(texts: Sequence[str]) -> Vector | None:
    """Return texts as numbers if Python reads all of them, which is 20 times as fast as a pattern for each."""
    joined = " ".join(texts)
    if any(odd in joined for odd in "_nN\n"):  # float("1_0") is 10; inf and nan have a letter n
        return None
    try:
        return np.array(list(map(float, texts)))
    except ValueError:
        return None


def _by_comma(texts: Sequence[str], plain: Vector) -> Vector:
    """Return the other reading of texts that Python reads; NaN for all those with a point if it is NaN for one."""
    marked = np.array(["." in text or "e" in text for text in texts], bool)
    comma = plain.copy()
    pointed = [text for text, point in zip(texts, marked) if point]
    groups = all(map(_GROUPS.fullmatch, pointed))  # stops at the first other text
    comma[marked] = [float(text.replace(".", "")) for text in pointed] if groups else math.nan
    return comma


def _value(body: str, decimal: str) -> float:
    return float(body.translate(_DROPPED[decimal])) if _FORMS[decimal].fullmatch(body) else math.nan


def _singular(unit: str) -> str:
    """Return a unit so that `years`, `Year` and `yr.` with other endings of one word are one.

    >>> _singular("Years"), _singular("s"), _singular("kg.")
    ('year', 's', 'kg')
    """
    unit = unit.casefold().rstrip(".").replace("²", "2").replace("³", "3")
    return unit[:-1] if len(unit) > 2 and unit.endswith("s") else unit


def decimal_of(numbers: Numbers) -> Decimal | None:
    """Return the only decimal mark by which all the numbers can be read, or None if both will do.

    Where neither reads all of them, it is the one that reads more.
    """
    point, comma = (int(np.isnan(numbers.by(mark)).sum()) for mark in DECIMALS)
    return None if point == comma else "." if point < comma else ","


def is_ambiguous(numbers: Numbers) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which texts are two different numbers, one with a decimal point and one with a decimal comma."""
    both = np.isfinite(numbers.point) & np.isfinite(numbers.comma)
    return both & (numbers.point != numbers.comma)


def hint_of_whole_numbers(numbers: Numbers) -> Literal["decimals", "thousands"] | None:
    """Return what whole numbers without a mark tell about the marked ones in an ambiguous column.

    Next to 1500, the mark in 1.234 does not separate thousands; next to 950, it probably does.

    >>> hint_of_whole_numbers(read_numbers(["1.234", "1500"])), hint_of_whole_numbers(read_numbers(["1.234", "950"]))
    ('decimals', 'thousands')
    """
    whole = np.abs(numbers.point[(numbers.point == numbers.comma) & (numbers.point != 0)])
    if not len(whole):
        return None
    return "decimals" if (whole >= 1000).any() else "thousands"
