"""The pairs of predicted numbers and targets, from numbers and sequences in the same arrangement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..common.numbers import Number, as_float, as_sequence, describe_operands, is_real_scalar
from ..engine import Value


def is_number(x: object) -> bool:
    """Return whether something is one number: a Value or a plain number."""
    return isinstance(x, Value) or is_real_scalar(x)


def as_number(x: Any, where: str) -> Number:
    """Return a Value or an mpmath number as it is, and another number as a float."""
    return x if isinstance(x, Value) or hasattr(x, "_mpf_") else as_float(x, where)


def paired(where: str, prediction: Any, target: Any, options: Mapping[str, Any] | None = None) -> Any:
    """Pair each predicted number with its target and its options, such as its weight.

    Args:
        where: the name of the loss, for messages.
        prediction: a number, or a sequence of numbers, nested or not.
        target: numbers in the same arrangement.
        options: by name: one number for all pairs, or numbers in the arrangement of the predictions or of their
            innermost sequences, as NumPy broadcasts.

    Returns:
        A tuple (prediction, target, *options) for numbers, and a list of these, nested as the predictions are.
    """
    if is_number(prediction) and is_number(target):
        if not options:
            return prediction, target
        for name, option in options.items():
            if not is_number(option):
                raise ValueError(f"{where}: expected one {name} for one prediction, got a {type(option).__name__}")
        return (prediction, target, *options.values())
    if is_number(prediction) or is_number(target):
        one, other = ("prediction", "target") if is_number(prediction) else ("target", "prediction")
        many = as_sequence(target if one == "prediction" else prediction, f"{where}: {other}")
        raise ValueError(f"{where}: expected a {other} for each {one}, got one {one} and {len(many)} {other}s")
    predictions, targets = as_sequence(prediction, f"{where}: prediction"), as_sequence(target, f"{where}: target")
    check_lengths(len(predictions), len(targets), where)
    if not options:
        return [paired(where, p, t) for p, t in zip(predictions, targets)]
    rows = [_spread(option, predictions, f"{where}: {name}") for name, option in options.items()]
    return [paired(where, p, t, dict(zip(options, each))) for p, t, *each in zip(predictions, targets, *rows)]


def flat(pairs: Any) -> list[Any]:
    """Return all tuples of `paired` in one list."""
    if type(pairs) is tuple:
        return [pairs]
    found = []
    for each in pairs:
        if type(each) is tuple:
            found.append(each)
        else:
            found += flat(each)
    return found


def arranged(pairs: Any, term: Callable[[], Number]) -> Any:
    """Return the results of calls of a function in the arrangement of `paired`."""
    return term() if type(pairs) is tuple else [arranged(each, term) for each in pairs]


def _spread(option: Any, predictions: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    """Return an option for each prediction of a sequence."""
    if _depth(option) <= _depth(predictions[0]):
        return (option,) * len(predictions)
    each = as_sequence(option, where)
    if len(each) != len(predictions):
        raise ValueError(f"{where}: expected {len(predictions)} numbers, one per prediction, got {len(each)}")
    return each


def _depth(x: Any) -> int:
    depth = 0
    while not is_number(x) and hasattr(x, "__len__") and len(x) and not isinstance(x, (str, Mapping)):
        x, depth = next(iter(x)), depth + 1
    return depth


def check_lengths(predictions: int, targets: int, where: str) -> None:
    """Raise a ValueError unless there are predictions, and as many targets."""
    if predictions != targets:
        raise ValueError(f"{where}: expected as many targets as predictions, got {predictions} and {targets}")
    if not predictions:
        raise ValueError(f"{where}: expected at least one prediction, got an empty sequence")


def check_probability(x: Number, expected: str) -> None:
    """Raise a ValueError unless a number is from 0 to 1."""
    if not 0.0 <= x <= 1.0:
        raise ValueError(f"{expected}, got {describe_operands([x])}")
