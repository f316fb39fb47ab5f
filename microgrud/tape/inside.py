"""Calls of a compiled function inside a graph: by its recordings where they can serve, else by the function itself."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autodiff.gradients import gradient
from ..autodiff.trees import Structure, flatten
from ..engine import Value, tracing
from ..functions import mean, sum as total
from .arguments import Arguments, read_arguments
from .copies import name_of
from .evaluation import Evaluation
from .nodes import Call, Evaluate, without_values
from .recorder import ClosedOverResultError

if TYPE_CHECKING:
    from .compiled import Compiled

__all__ = ["result_as_nodes", "rows_of_function", "slopes_function"]


def result_as_nodes(compiled: Compiled, arguments: Arguments) -> Any:
    """Return the result of a call as nodes of the graph that holds its arguments and the leaves it closes over."""
    result = None if tracing.current() else _recorded_result(compiled, arguments)
    if result is None:
        numbers, structure = _mean_of_function(compiled, arguments)
        return structure.rebuild(numbers)
    given, kept = arguments.numbers, _kept(arguments)
    call = Call(
        name_of(compiled.function),
        given,
        [leaf for path in result.served for leaf in path.leaves],
        _evaluate(compiled, kept),
        lambda k, places, leaves: _evaluate(compiled._slopes_of(k, places, leaves), kept),
        lambda numbers: _mean_of_function(compiled, dataclasses.replace(kept, numbers=list(numbers)))[0],
    )
    assert result.structure is not None  # there is at least one sample
    return result.structure.rebuild(call.nodes(given, compiled._totals(result)))


def rows_of_function(compiled: Compiled, arguments: Arguments) -> tuple[list[list[Any]], Structure]:
    """Return the numbers that the function itself computes for each sample (or the call), and their structure."""
    rows = []
    for i in range(arguments.samples or 1):
        args, kwargs = arguments.rebuild(*arguments.sample(i))
        row, structure = flatten(compiled.function(*args, **kwargs), "compile: the result of the function")
        rows.append(row)
    return rows, structure


def slopes_function(
    f: Callable[..., Any], k: int, places: Sequence[int], leaves: Sequence[Value]
) -> Callable[..., list[Any]]:
    """Make the function that computes the derivatives of a number of the result of `f`, inside a recording.

    Args:
        f: the function.
        k: the position of the number in the flat result.
        places: of numbers of the arguments.
        leaves: Values that the function closes over.
    """

    @functools.wraps(f)
    def slopes(*args: Any, **kwargs: Any) -> list[Any]:
        numbers = read_arguments([""] * len(args), args, kwargs, ()).numbers
        outputs, _ = flatten(f(*args, **kwargs), "compile: the result of the function")
        inputs = [*(numbers[place] for place in places), *leaves]
        return gradient(outputs[k], inputs) if isinstance(outputs[k], Value) else [0.0] * len(inputs)

    return slopes


def _kept(arguments: Arguments) -> Arguments:
    """Return arguments as numbers of their own, which nobody can change before a derivative is asked for."""
    integers = [np.array(x) if isinstance(x, np.ndarray) else x for x in arguments.integers]
    return dataclasses.replace(arguments, numbers=list(map(without_values, arguments.numbers)), integers=integers)


def _evaluate(compiled: Compiled, arguments: Arguments) -> Evaluate:
    def evaluate(seeds: Sequence[float]) -> tuple[list[float], Evaluation]:
        result = compiled._evaluate(arguments, [seed * compiled._weight(arguments) for seed in seeds])
        return compiled._totals(result), result

    return evaluate


def _recorded_result(compiled: Compiled, arguments: Arguments) -> Evaluation | None:
    """Evaluate a call by recordings; None where it takes the function itself, which is then part of the graph."""
    try:
        result = compiled._evaluate(arguments, None)
    except ClosedOverResultError:
        return None
    return result if result.by_recordings else None


def _mean_of_function(compiled: Compiled, arguments: Arguments) -> tuple[list[Any], Structure]:
    """Return the result as the function itself computes it, flat: the mean (or sum) over the samples of a batch."""
    rows, structure = rows_of_function(compiled, arguments)
    if arguments.samples is None:
        return rows[0], structure
    reduce = mean if compiled.reduction == "mean" else total
    return [reduce([row[k] for row in rows]) for k in range(structure.size)], structure
