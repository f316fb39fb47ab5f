"""Register the checks of exercises, ask an answer for a result, and say in words what is wrong with it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from microgrud import Value


class NotYetError(Exception):
    """An answer lacks something; the message says it in words for its author."""


#: By the number of an exercise, a function that raises a NotYetError for a wrong answer.
EXERCISES: dict[int, Callable[[Any], None]] = {}


def exercise(k: int) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register the check of an exercise."""

    def register(function: Callable[[Any], None]) -> Callable[[Any], None]:
        EXERCISES[k] = function
        return function

    return register


def shown(x: Any) -> str:
    """Return a number with the digits that matter, and other objects as Python shows them."""
    if isinstance(x, (list, tuple)):
        return f"[{', '.join(map(shown, x))}]"
    x = x.data if isinstance(x, Value) else x
    return f"{x:.6g}" if isinstance(x, float) else repr(x)


def run(call: str, function: Callable[..., Any], *args: Any) -> Any:
    """Return the result of a call; an exception is what the answer lacks."""
    try:
        return function(*args)
    except Exception as error:
        raise NotYetError(f"{call} raised {type(error).__name__}: {error}") from error


def result(call: str, function: Callable[..., Any], *args: Any) -> Any:
    """Return the result of a call that has to return something."""
    got = run(call, function, *args)
    if got is None or got is ...:
        raise NotYetError(
            f"{call} returned nothing. Write your lines in place of `...`, and return the result."
        )
    return got


def number(call: str, function: Callable[..., Any], *args: Any) -> float:
    """Return the number that a call returns."""
    got = result(call, function, *args)
    found = got.data if isinstance(got, Value) else got
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise NotYetError(f"{call} returned {got!r}; expected a number.")
    return float(found)


def anything(got: float) -> bool:
    return True


def fresh(low: float, high: float) -> float:
    """Draw a number anew in each check, so that no answer can know it by heart."""
    return round(random.Random().uniform(low, high), 2)


def close(a: float, b: float, tolerance: float = 1e-9) -> bool:
    return abs(a - b) <= tolerance * max(1.0, abs(b))


def compare(
    call: tuple[Any, ...],
    case: str,
    truth: float,
    *mistakes: tuple[float | Callable[[float], bool], str],
    tolerance: float = 1e-9,
) -> None:
    """Raise a hint if a function returns a wrong number.

    Args:
        call: the function and its arguments.
        case: these arguments in words, and the name of the expected number.
        truth: that number.
        mistakes: wrong numbers (or functions that recognise them), and what to say about each; the
            first that fits is taken.
        tolerance: the largest relative error, or absolute error of numbers below 1.
    """
    got = number(f"your function, for {case.partition(';')[0]},", *call)
    if close(got, truth, tolerance):
        return
    fits = (w(got) if callable(w) else close(got, w, tolerance) for w, _ in mistakes)
    text = next((text for fit, (_, text) in zip(fits, mistakes) if fit), "")
    said = f"your function returned {shown(got)} for {case} {shown(truth)}."
    raise NotYetError(f"{said} {text}".rstrip())
