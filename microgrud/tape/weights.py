"""Weights of samples: the mean over a batch is sum(w_i f_i) / sum(w_i), and the sum is sum(w_i f_i).

The function that is recorded multiplies its result by a weight. For a mean, the reciprocal of the sum of the weights is
one more argument, the last, so that a mean is a sum of samples to all that differentiates recordings.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autodiff.tables import is_table, table_as_array
from ..autodiff.trees import check_unmasked, even_array, flatten
from ..engine import Value
from ..functions import sum as total
from .settings import Settings


class Weighted:
    """A function whose result is multiplied by a weight.

    Args:
        f: the function.
        name: the name of the argument that is the weight.
        position: its position.
    """

    def __init__(self, f: Callable[..., Any], name: str, position: int) -> None:
        functools.update_wrapper(self, f)
        self.f, self.name, self.position = f, name, position

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result for all arguments but the last one, times that and the weight."""
        *own, scale = args
        factor = (kwargs[self.name] if self.name in kwargs else own[self.position]) * scale
        numbers, structure = flatten(self.f(*own, **kwargs), "compile: the result of the function")
        return structure.rebuild([factor * x for x in numbers])

    def __deepcopy__(self, memo: dict[int, Any]) -> Weighted:
        f = copy.deepcopy(self.f, memo)
        return self if f is self.f else Weighted(f, self.name, self.position)


def weighted(f: Callable[..., Any], settings: Settings, names: Sequence[str]) -> Callable[..., Any]:
    """Return the function that is recorded, which is `f` itself without weights."""
    if not settings.weights:
        return f
    return Weighted(f, settings.weights, names.index(settings.weights) if settings.weights in names else -1)


def with_scale(
    settings: Settings, names: Sequence[str], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments with the weights as floats, and the scale of all weights as the last positional one.

    Raises:
        TypeError: if no weights are given, or they are no numbers.
        ValueError: if there is not one weight for each sample, or their sum is 0 and would be a divisor.
    """
    name = settings.weights
    position = names.index(name) if name in names else len(args)
    if name not in kwargs and position >= len(args):
        raise TypeError(f"compile: {name}: expected the weights of the samples, got none")
    given = kwargs[name] if name in kwargs else args[position]
    check_unmasked(given, f"compile: {name}")
    array = np.asarray((table_as_array if is_table(given) else even_array)(given, f"compile: {name}"))
    if array.dtype.kind not in "fiubO":
        raise TypeError(f"compile: {name}: expected numbers as weights, got an array of {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"compile: {name}: expected one weight for each sample, got an array of shape {array.shape}")
    array = array if array.dtype in (np.float64, object) else array.astype(np.float64)
    scale: Any = 1.0
    if settings.reduction == "mean":
        weight = total(array.tolist()) if array.dtype == object else float(array.sum())
        if (weight.data if isinstance(weight, Value) else weight) == 0.0:
            raise ValueError(f"compile: {name}: expected weights whose sum is not 0, got a sum of 0.0")
        scale = 1.0 / weight
    if name in kwargs:
        return (*args, scale), {**kwargs, name: array}
    return (*args[:position], array, *args[position + 1 :], scale), kwargs
