"""Dates and times in texts: one form for a column, with the order of day and month that all its cells allow."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..engine.vectors import Vector

#: The numbers that a date gives.
PARTS = ("year", "month", "weekday", "hour", "days")
Moments = np.ndarray[Any, np.dtype[np.datetime64]]

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = rf"(?P<name>{'|'.join(_MONTHS)})[a-z]{{0,6}}\.?"
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}\.?,?\s+)?"
_CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d(?:[.,]\d{1,9})?))?\s*(?P<half>[ap]\.?m\.?)?"
    r"\s*(?:z|utc|gmt|[+-]\d\d:?(?:\d\d)?)?"
)
_TIME = rf"(?:(?:\s+|t|,\s*){_CLOCK})?"
_FORMS = [
    rf"(?P<y>\d{{4}})(?P<mark>[-/.])(?P<m>\d{{1,2}})(?:(?P=mark)(?P<d>\d{{1,2}}))?{_TIME}",
    rf"(?P<a>\d{{1,2}})\s?(?P<mark>[-/.])\s?(?P<b>\d{{1,2}})(?P=mark)\s?(?P<y>\d{{4}}|\d\d){_TIME}",
    rf"{_WEEKDAY}{_MONTH}\s*(?P<d>\d{{1,2}})?(?:st|nd|rd|th)?,?\s+(?P<y>\d{{4}}){_TIME}",
    rf"{_WEEKDAY}(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\.?[\s-]*{_MONTH},?[\s-]*(?P<y>\d{{4}}|\d\d){_TIME}",
    rf"{_MONTH}-(?P<y>\d{{4}}|\d\d)",
    rf"(?P<y>\d{{4}})[\s-]*{_MONTH}",
    r"(?P<y>(?:19|20)\d\d)(?P<m>[01]\d)(?P<d>[0-3]\d)(?:\.0)?",
    _CLOCK,
]
_PATTERNS = [re.compile(form, re.IGNORECASE) for form in _FORMS]


class Dates(NamedTuple):
    """The moments in different texts; NaT where a text has none.

    Args:
        by_day: the moments if the day precedes the month in texts such as 03/04/2019.
        by_month: the moments if the month precedes the day.
    """

    by_day: Moments
    by_month: Moments

    @property
    def ambiguous(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return which texts are two different dates."""
        both = ~np.isnat(self.by_day) & ~np.isnat(self.by_month)
        ambiguous: np.ndarray[Any, np.dtype[np.bool_]] = both & (self.by_day != self.by_month)
        return ambiguous

    def by(self, day_first: bool) -> Moments:
        """Return the moments by one of the readings."""
        return self.by_day if day_first else self.by_month


def read_dates(texts: Sequence[str]) -> Dates:
    """Read dates and times of day; an offset such as +02:00 is left out, so that hours are those of the local clock.

    >>> read_dates(["2019-12-31", "31.12.2019 18:30", "Jan 2, 2019", "x"]).by_day.astype("datetime64[m]").tolist()[1]
    datetime.datetime(2019, 12, 31, 18, 30)
    """
    fields = np.array([_fields(text) for text in texts], float).reshape(len(texts), 6)
    year, day, month, first, second, seconds = fields.T
    by_month = _moments(year, np.where(first > 0, second, day), np.where(first > 0, first, month), seconds)
    return Dates(_moments(year, np.where(first > 0, first, day), np.where(first > 0, second, month), seconds), by_month)


def _fields(text: str) -> tuple[float, ...]:
    """Return year, day and month, first and second of an undecided order, and the seconds of the day; 0 if not given.

    All are NaN if the text is no date.
    """
    match = next(filter(None, (pattern.fullmatch(text) for pattern in _PATTERNS)), None)
    if match is None:
        return (math.nan,) * 6
    got = {key: value for key, value in match.groupdict().items() if value}
    year = int(got.get("y", 1970))
    if year < 100:
        year += 2000 if year < 69 else 1900
    month = _MONTHS.index(got["name"].lower()) + 1 if "name" in got else int(got.get("m", "y" not in got))
    hour = int(got.get("hour", 0))
    if "half" in got:
        hour = hour % 12 + 12 * (got["half"][0] in "pP")
    seconds = 3600 * hour + 60 * int(got.get("minute", 0)) + float(got.get("second", "0").replace(",", "."))
    return year, int(got.get("d", 1)), month, int(got.get("a", 0)), int(got.get("b", 0)), seconds


def _moments(year: Vector, day: Vector, month: Vector, seconds: Vector) -> Moments:
    """Return moments, NaT for a day that is in no calendar."""
    known = np.isfinite(year) & (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(known, (year - 1970) * 12 + month - 1, 0).astype("int64").astype("datetime64[M]")
    days = months.astype("datetime64[D]") + np.where(known, day - 1, 0).astype("int64")
    known &= (days.astype("datetime64[M]") == months) & (seconds < 86400)
    micros = np.where(known, np.round(seconds * 1e6), 0).astype("int64")
    moments: Moments = np.where(known, days.astype("datetime64[us]") + micros, np.datetime64("NaT", "us"))
    return moments


def decide_order(dates: Dates) -> bool | None:
    """Return whether the day precedes the month in all texts; None if both orders fit.

    Where neither order fits all texts, it is the one that fits more. If one order has all dates on the first day of a
    month, and the other in January, it is the former: a month's figures are dated on its first day.

    >>> decide_order(read_dates(["3/4/2019", "13/4/2019"])), decide_order(read_dates(["3/4/2019", "4/3/2019"]))
    (True, None)
    """
    lost_by_day, lost_by_month = (int(np.isnat(moments).sum()) for moments in dates)
    if lost_by_day != lost_by_month:
        return lost_by_day < lost_by_month
    both = ~np.isnat(dates.by_day) & ~np.isnat(dates.by_month)
    by_day, by_month = dates.by_day[both], dates.by_month[both]
    if (by_day == by_month).all():
        return None
    if (by_day == by_day.astype("datetime64[M]")).all():
        return True
    if (by_month == by_month.astype("datetime64[M]")).all():
        return False
    return None


def order_by_cells(texts: list[str], dates: Dates) -> bool | None:
    """Return whether the day precedes the month, by the cells to predict from alone; None if nothing tells.

    They may be a single row, so that days that are all the first of a month tell nothing; points between the parts do.

    >>> [order_by_cells(texts, read_dates(texts)) for texts in (["1/4/2019", "13/4/2019"], ["1.4.2019"], ["1/4/2019"])]
    [True, True, None]
    """
    lost_by_day, lost_by_month = (int(np.isnat(moments).sum()) for moments in dates)
    if lost_by_day != lost_by_month:
        return lost_by_day < lost_by_month
    ambiguous = np.flatnonzero(dates.ambiguous)
    return True if len(ambiguous) and all("." in texts[cell] for cell in ambiguous) else None


def parts_of(moments: Moments, first: np.datetime64) -> dict[str, Vector]:
    """Return the numbers that a network can learn from: year, month, weekday (Monday is 0), hour, days since `first`.

    >>> parts_of(np.array(["2019-12-31T18:30"], "datetime64[us]"), np.datetime64("2019-12-01"))
    {'year': array([2019.]), 'month': array([12.]), 'weekday': array([1.]), 'hour': array([18.5]), 'days': array([30.])}
    """
    missing = np.isnat(moments)
    days = moments.astype("datetime64[D]")
    months = days.astype("datetime64[M]").astype("int64")
    numbers = days.astype("int64")
    hours = (moments - days).astype("int64") / 3.6e9
    since = numbers - first.astype("datetime64[D]").astype("int64")
    parts = (months // 12 + 1970, months % 12 + 1, (numbers + 3) % 7, hours, since)
    return {name: np.where(missing, math.nan, part) for name, part in zip(PARTS, parts)}
