"""Checks of settings: each returns the setting as plain Python, or raises an error that says what is wrong."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, TypeAlias, get_origin, get_type_hints

from .numbers import Interval, as_float

#: A check takes the name of a setting, for the message, and the setting; it returns the setting as plain Python.
Check: TypeAlias = Callable[[str, Any], Any]

ANY = Interval(-math.inf, math.inf, low_open=True, high_open=True)
POSITIVE = Interval(0.0, math.inf, low_open=True, high_open=True)
NOT_NEGATIVE = Interval(0.0, math.inf, high_open=True)
FRACTION = Interval(0.0, 1.0, high_open=True)


def real(interval: Interval) -> Check:
    """Make the check for a finite number in an interval.

    >>> real(NOT_NEGATIVE)("SGD: lr", -1)
    Traceback (most recent call last):
        ...
    ValueError: SGD: lr: expected a finite number x >= 0, got -1.0
    """

    def check(where: str, setting: Any) -> float:
        number = as_float(setting, where)
        if not math.isfinite(number) or number not in interval:
            what = interval.describe()
            expected = "a finite number" + ("" if what.startswith("any") else f" {what}")
            raise ValueError(f"{where}: expected {expected}, got {number}")
        return number

    return check


def whole(least: int) -> Check:
    """Make the check for an integer of at least `least`."""

    def check(where: str, setting: Any) -> int:
        try:
            number = operator.index(setting)
        except TypeError:
            raise TypeError(f"{where}: expected an integer, got {setting!r}") from None
        if isinstance(setting, bool) or number < least:
            raise ValueError(f"{where}: expected an integer of at least {least}, got {setting!r}")
        return number

    return check


def optional(check: Check) -> Check:
    """Make the check that accepts None as well."""
    return lambda where, setting: None if setting is None else check(where, setting)


def flag(where: str, setting: Any) -> bool:
    """Check for True or False."""
    if type(setting).__name__ not in ("bool", "bool_"):
        raise TypeError(f"{where}: expected True or False, got {setting!r}")
    return bool(setting)


def one_of(*choices: Any) -> Check:
    """Make the check for one of a few choices."""

    def check(where: str, setting: Any) -> Any:
        for choice in choices:
            if setting is choice or (isinstance(setting, str) and setting == choice):
                return choice
        raise ValueError(f"{where}: expected one of {', '.join(map(repr, choices))}, got {setting!r}")

    return check


def instance(kind: Any, expected: str) -> Check:
    """Make the check for an object of a class, or of one of several in a tuple; the message calls it `expected`.

    >>> instance(float, "a float")("scale: by", "2")
    Traceback (most recent call last):
        ...
    TypeError: scale: by: expected a float, got an object of type str
    """

    def check(where: str, setting: Any) -> Any:
        if not isinstance(setting, kind):
            raise TypeError(f"{where}: expected {expected}, got an object of type {type(setting).__name__}")
        return setting

    return check


def pair(check_each: Check) -> Check:
    """Make the check for two settings in a tuple or a list."""

    def check(where: str, setting: Any) -> tuple[Any, Any]:
        if isinstance(setting, (str, bytes)) or not isinstance(setting, Iterable):
            raise TypeError(f"{where}: expected a pair of numbers, got {setting!r}")
        both = tuple(setting)
        if len(both) != 2:
            raise ValueError(f"{where}: expected a pair of numbers, got {setting!r}")
        return check_each(f"{where}[0]", both[0]), check_each(f"{where}[1]", both[1])

    return check


def numbers(size: int) -> Check:
    """Make the check for a list of `size` numbers."""

    def check(where: str, setting: Any) -> list[float]:
        if not isinstance(setting, (list, tuple)) or len(setting) != size:
            raise ValueError(f"{where}: expected a list of {size} numbers, got {brief(setting)}")
        for number in setting:
            if type(number) not in (float, int):
                raise ValueError(f"{where}: expected numbers, got {brief(number)} among them")
        return [float(number) for number in setting]

    return check


#: Annotations that carry the check of a setting; a type checker sees the plain type.
Finite: TypeAlias = Annotated[float, real(ANY)]
Positive: TypeAlias = Annotated[float, real(POSITIVE)]
NotNegative: TypeAlias = Annotated[float, real(NOT_NEGATIVE)]
Fraction: TypeAlias = Annotated[float, real(FRACTION)]
Fractions: TypeAlias = Annotated[tuple[float, float], pair(real(FRACTION))]
OpenFraction: TypeAlias = Annotated[float, real(Interval(0.0, 1.0, low_open=True, high_open=True))]
Part: TypeAlias = Annotated[float, real(Interval(0.0, 1.0))]
NonzeroPart: TypeAlias = Annotated[float, real(Interval(0.0, 1.0, low_open=True))]
Count: TypeAlias = Annotated[int, whole(1)]
CountFromZero: TypeAlias = Annotated[int, whole(0)]
Flag: TypeAlias = Annotated[bool, flag]


def declared(function: Callable[..., Any]) -> Mapping[str, Check]:
    """Return the checks with which a function annotates its parameters, or a class its fields, by their names.

    >>> def scale(x, by: Positive = 2.0): ...
    >>> list(declared(scale))
    ['by']
    """
    if isinstance(function, type):
        annotations = get_type_hints(function, include_extras=True)
    else:  # get_type_hints of Python 3.10 wraps a parameter whose default is None in Optional, which hides the check
        annotations = inspect.get_annotations(function, eval_str=True)
    return {name: x.__metadata__[0] for name, x in annotations.items() if get_origin(x) is Annotated}


def checked(settings: Mapping[str, Any], checks: Mapping[str, Check], where: str) -> dict[str, Any]:
    """Return the settings as plain Python, in the order of their checks.

    Raises:
        TypeError: for a setting without a check.
        TypeError, ValueError: as the checks do.
    """
    for name in settings:
        if name not in checks:
            raise TypeError(f"{where}: expected settings among {list(checks)}, got {name!r}")
    return {name: check(f"{where}: {name}", settings[name]) for name, check in checks.items()}


def brief(setting: object) -> str:
    """Return the repr of a setting for a message, shortened if it is long."""
    text = repr(setting)
    return text if len(text) <= 80 else f"{text[:77]}..."
