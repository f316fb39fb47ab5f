"""Checks of a stored preparation: every entry has the expected kind, or an error names the entry."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..common.documents import ABOVE_0, COUNT, FLAG, NAMES, NUMBER, OBJECT, SIZE, TEXT, Form, Kind, check_entry, or_null
from .dates import PARTS
from .numbers import DECIMALS
from .plans import OTHER

_SOME_NAMES = Kind("a list of at least one string, all different", lambda x: NAMES.fits(x) and len(x) >= 1)
_PARTS = Kind(f"a list of some of {', '.join(PARTS)}", lambda x: _SOME_NAMES.fits(x) and set(x) <= set(PARTS))
_DECIMAL = Kind(" or ".join(map(repr, DECIMALS)), lambda x: x in DECIMALS)
_DAY = Kind("a day as YYYY-MM-DD", lambda x: type(x) is str and _is_day(x))
_PAIR = Kind(
    "a list of two strings", lambda x: type(x) is list and len(x) == 2 and all(type(each) is str for each in x)
)


def _is_day(text: str) -> bool:
    try:
        return text == str(np.datetime64(text, "D"))
    except ValueError:
        return False


_PLAN: dict[str, Form] = {"kind": TEXT, "name": TEXT, "said": TEXT, "missing": FLAG}
_PLANS: dict[str, dict[str, Form]] = {
    "number": {**_PLAN, "decimal": _DECIMAL, "unit": _PAIR, "low": NUMBER, "high": NUMBER},
    "date": {**_PLAN, "day_first": or_null(FLAG), "first": _DAY, "parts": _PARTS},
    "category": {**_PLAN, "categories": NAMES, "others": FLAG},
    "presence": _PLAN,
    "left out": _PLAN,
}
_KIND = Kind(" or ".join(map(repr, _PLANS)), lambda x: x in list(_PLANS))
_COLUMNS = Kind("a list of strings or numbers", lambda x: type(x) is list)
_OPTIONS: dict[str, Form] = {
    **{"categorical": _COLUMNS, "ignore": _COLUMNS, "numerical": _COLUMNS, "decimal": or_null(_DECIMAL)},
    **{"delimiter": or_null(TEXT), "day_first": or_null(FLAG)},
    **{"max_categories": SIZE, "min_frequency": or_null(COUNT)},
}
_FIGURES: dict[str, Form] = {"median": NUMBER, "mean": NUMBER, "scale": ABOVE_0}


def check_preparation(where: str, document: Any) -> None:
    """Raise a ValueError that names the first entry that `TablePreparation.to_json` would not write.

    >>> check_preparation("preparation", {"options": {}})
    Traceback (most recent call last):
        ...
    ValueError: preparation: expected a dict with the keys 'options', 'columns', 'numbers', 'most_frequent', 'notes', \
got 'options'
    """
    form: dict[str, Form] = {"options": _OPTIONS, "columns": [OBJECT], "numbers": [OBJECT], "most_frequent": [TEXT]}
    check_entry(where, document, {**form, "notes": [TEXT]})
    plans = document["columns"]
    for k, plan in enumerate(plans):
        check_entry(f"{where}.columns[{k}].kind", plan.get("kind"), _KIND)
        check_entry(f"{where}.columns[{k}]", plan, _PLANS[plan["kind"]])
    check_entry(f"the names of {where}.columns", [plan["name"] for plan in plans], NAMES)
    for k, figure in enumerate(document["numbers"]):
        check_entry(f"{where}.numbers[{k}]", figure, _FIGURES)
    needed = sum(len(plan.get("parts", [None])) for plan in plans if plan["kind"] in ("number", "date"))
    _check_count(f"{where}.numbers", len(document["numbers"]), needed)
    encoded = [plan for plan in plans if plan["kind"] == "category"]
    _check_count(f"{where}.most_frequent", len(document["most_frequent"]), len(encoded))
    for k, (plan, fill) in enumerate(zip(encoded, document["most_frequent"])):
        if fill not in (plan["categories"] or [OTHER] * plan["others"]) or OTHER in plan["categories"]:
            raise ValueError(f"{where}.most_frequent[{k}]: expected a category of {plan['name']!r}, got {fill!r}")


def _check_count(where: str, count: int, expected: int) -> None:
    if count != expected:
        raise ValueError(f"{where}: expected {expected} entries, as many as the columns need, got {count}")
