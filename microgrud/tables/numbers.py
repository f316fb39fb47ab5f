"""Numbers in texts: decimal points or commas, thousands marks, currency signs and units.

The cells of a column decide together. `1.234` is 1.234 with a decimal point and 1234 with a decimal comma; `0.123`,
`12.5` and `1.234.567` have one reading only, and so tell how their column is written.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from ..engine.vectors import Vector

Decimal = Literal[".", ","]
DECIMALS: tuple[Decimal, ...] = get_args(Decimal)

_CURRENCY = "$€£¥₹₽₩₺₫₱฿₴₦¢₪"
#: Codes that may precede a number without a space; other three letters may not, such as those of VVS1.
_CODES = "USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|Rs|Fr|kr"
_CELL = re.compile(
    rf"""(?P<open>\()?\s*(?P<sign>[+-]?)\s*
    (?P<before>[A-Za-z]{{0,3}}[{_CURRENCY}]|(?:[A-Z]{{3}}(?=[\s.])|(?:{_CODES})(?=[\s.\d]))\.?|)\s*
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
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
#: A duration as pandas writes it: -1 days +23:59:30.5, or 2 days in a column of whole days.
_DURATION = re.compile(r"(-?\d+) days?(?: \+?(\d\d):(\d\d):(\d\d(?:\.\d+)?))?")
#: Units in which durations count, in seconds.
_TIMES = {
    **dict.fromkeys(["s", "sec", "second"], 1),
    **dict.fromkeys(["min", "minute"], 60),
    **dict.fromkeys(["h", "hr", "hour"], 3600),
    "day": 86400,
}
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)

#: Letters for thousands, millions and billions, and the name of the unit of numbers with several of them.
_FACTORS = {"": 1.0, "k": 1e3, "m": 1e6, "mn": 1e6, "mio": 1e6, "b": 1e9, "bn": 1e9, "mrd": 1e9}
SIZES = "k, m, bn"
#: Units without which a number in the same column may mean another size: 0.5 next to 50 %.
NEVER_BARE = {"%", "\u2030", *_FACTORS} - {""}
#: Longer texts are no numbers, and are not searched for one.
_LONGEST = 60

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


def read_numbers(texts: Sequence[str], counts: Sequence[int]) -> Numbers:
    """Read the numbers in texts by both readings; a text whose unit is not that of most rows is no number.

    Args:
        texts: the different texts.
        counts: the number of rows of each text, which decide on the unit.

    >>> read_numbers(["1.234,5 kg", "2 g", "17 kg"], [1, 1, 1])
    Numbers(point=array([nan, nan, 17.]), comma=array([1234.5,    nan,   17. ]), unit=('', 'kg'))
    """
    plain = _plain(texts)
    if plain is not None:
        comma = [_whole(text) if "." in text else number for text, number in zip(texts, plain.tolist())]
        return Numbers(plain, np.array(comma, float), ("", ""))
    votes: Counter[Unit] = Counter()
    for text, count in zip(texts, counts):
        if match := _match(text):
            votes[_unit(match)] += count
    unit = max(votes, key=lambda each: (votes[each], each), default=("", ""))
    if set(votes) <= {("", "day")} and any(map(is_duration, texts)):
        unit = ("", "s")
    if _are_sizes(votes):
        unit = (max(votes)[0], SIZES)
    return Numbers(numbers_in_texts(texts, ".", unit), numbers_in_texts(texts, ",", unit), unit)


def numbers_in_texts(texts: Sequence[str], decimal: str, unit: Unit) -> Vector:
    """Return the number in each text, by one reading; NaN where there is none.

    >>> numbers_in_texts(["$1,234.50", "($2)", "2", "2 kg"], ".", ("$", ""))
    array([1234.5,   -2. ,    2. ,    nan])
    """
    plain = _plain(texts) if decimal == "." and unit[1] not in NEVER_BARE else None
    return np.array([_number(text, decimal, unit) for text in texts], float) if plain is None else plain


def _plain(texts: Sequence[str]) -> Vector | None:
    """Return texts as numbers if Python reads all of them, which is 20 times as fast as a pattern for each."""
    joined = " ".join(texts)
    if any(odd in joined for odd in "_nN"):  # float("1_0") is 10; inf and nan have a letter n
        return None
    try:
        return np.array(list(map(float, texts)), float)
    except ValueError:
        return None


def _whole(text: str) -> float:
    """Return the whole number in a text such as -1.234, whose point separates thousands; NaN if it cannot be one."""
    return float(text.replace(".", "")) if len(text) < 9 and _THOUSANDS.fullmatch(text) else math.nan


def _number(text: str, decimal: str, unit: Unit) -> float:
    if unit[1] in _TIMES and not unit[0] and (duration := _DURATION.fullmatch(text)):
        seconds = sum(size * float(part) for size, part in zip((86400, 3600, 60, 1), duration.groups("0")))
        return seconds / _TIMES[unit[1]]
    match = _match(text)
    if match is None:
        return math.copysign(math.inf, -(text[0] == "-")) if _INFINITE.fullmatch(text) else math.nan
    before, after = _unit(match)
    known = after in _FACTORS if unit[1] == SIZES else after == unit[1] or not (after or unit[1] in NEVER_BARE)
    if before not in (unit[0], "") or not known or not _FORMS[decimal].fullmatch(match["body"]):
        return math.nan
    size = float(match["body"].translate(_DROPPED[decimal])) * (_FACTORS[after] if unit[1] == SIZES else 1.0)
    return -size if match["open"] or "-" in match["sign"] + match["inner"] else size


def _match(text: str) -> re.Match[str] | None:
    match = _CELL.fullmatch(text.translate(_SAME)) if len(text) <= _LONGEST else None
    return None if match and match["sign"] and match["inner"] else match


def _are_sizes(votes: Counter[Unit]) -> bool:
    """Return whether all numbers are written such as 950, 1.2k and $3M, and not in one unit."""
    before, after = ({unit[side] for unit in votes} for side in (0, 1))
    several = len(after) > 1 and after <= _FACTORS.keys() and len(before - {""}) <= 1
    return several and (after != {"", "m"} or before != {""})  # which may be metres


def _unit(match: re.Match[str]) -> Unit:
    return match["before"], _singular(match["after"])


def _singular(unit: str) -> str:
    """Return a unit in small letters, without a final point or plural s: `Years` and `year` are one unit.

    >>> _singular("Years"), _singular("s"), _singular("kg.")
    ('year', 's', 'kg')
    """
    unit = unit.casefold().rstrip(".").replace("²", "2").replace("³", "3")
    return unit[:-1] if len(unit) > 2 and unit.endswith("s") else unit


def is_duration(text: str) -> bool:
    """Return whether a text is a duration with hours, minutes and seconds as pandas writes it.

    >>> is_duration("-1 days +23:59:30.5"), is_duration("2 days")
    (True, False)
    """
    return ":" in text and bool(_DURATION.fullmatch(text))


def decimal_of(numbers: Numbers) -> Decimal | None:
    """Return the only decimal mark by which all the numbers can be read, or None if both will do.

    Where neither reads all of them, it is the one that reads more.
    """
    point, comma = (int(np.isnan(numbers.by(mark)).sum()) for mark in DECIMALS)
    return None if point == comma else "." if point < comma else ","


def is_ambiguous(numbers: Numbers) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which texts are two different numbers, one with a decimal point and one with a decimal comma."""
    both = np.isfinite(numbers.point) & np.isfinite(numbers.comma)
    ambiguous: np.ndarray[Any, np.dtype[np.bool_]] = both & (numbers.point != numbers.comma)
    return ambiguous


def hint_of_whole_numbers(texts: Sequence[str], numbers: Numbers) -> Literal["decimals", "thousands"] | None:
    """Return what the cells of an ambiguous column tell about their mark, if there are whole numbers without one.

    Next to 1500, the mark in 1.234 does not separate thousands. Next to 950, the mark in 1.200 does: with decimals,
    either 950 would be written 950.000, or 1.200 would be written 1.2.

    >>> for texts in (["1.234", "1500"], ["1.200", "950"], ["1.234", "2"], ["1.200", "1.234"]):
    ...     print(hint_of_whole_numbers(texts, read_numbers(texts, [1, 1])))
    decimals
    thousands
    None
    None
    """
    ambiguous = is_ambiguous(numbers)
    whole = np.abs(numbers.point[(numbers.point == numbers.comma) & (numbers.point != 0)])
    padded = any(re.sub(r"\D", "", text)[-1] == "0" for text, two_ways in zip(texts, ambiguous) if two_ways)
    if not len(whole) or (whole >= 1000).any() == padded:
        return None
    return "thousands" if padded else "decimals"
