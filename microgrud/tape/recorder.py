"""Record one call of a function: run it on Values, and note every operation, comparison and use of an integer."""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..autodiff.containers import opened
from ..autodiff.outside import keeps_results
from ..autodiff.trees import Structure, flatten
from ..common.numbers import Number
from ..engine import Value, ops, tracing
from ..engine.grad_mode import enable_grad
from ..engine.integers import IntegerArgument
from ..engine.operation import Operation
from ..engine.truth import Truth, as_operand
from ..engine.vectors import Vector, new_leaves
from .arrays import RecordedTruths, as_recorded
from .signature import Arguments

#: Computes the number to go on with where an operation on floats raises.
Substitute = Callable[[Operation, Sequence[float]], float]

#: Up to here every integer is a float. A larger one is out of the range of every table.
_WHOLE = 2**53

_ASSIGNED = (
    ".{attribute} of {x!r} is assigned inside a compiled function, which a replay would not do; assign before the call"
)
_CONVERTED = (
    "{what}() of {x!r} inside a compiled function: the number would be frozen into the recording; use microgrud's own "
    "functions, such as microgrud.exp or microgrud.trunc, or compute the number before the call"
)
#: Why an access to a number cannot be recorded, and what to write instead.
_ADVICE = {
    "no_grad": "no_grad inside a compiled function: numbers would lose their history; write x.detach()",
    "copy": "a copy of {x!r} inside a compiled function would be frozen into the recording; use +x",
    "data =": _ASSIGNED,
    "grad =": _ASSIGNED,
    "float": _CONVERTED,
    "int": _CONVERTED,
    "format": "{x!r} is written as text inside a compiled function, where it would be frozen into the recording; write "
    "it before or after the call",
    "data": ".{what} of {x!r} inside a compiled function: the number would be frozen into the recording; use the Value "
    "as it is, x.detach() for one without a gradient, or compute the number before the call",
}


class CompileError(RuntimeError):
    """A function cannot be recorded; the message says why, and what to write instead."""


class ClosedOverResultError(CompileError):
    """A function closes over the result of an operation, which may have been computed again by the next call."""


def _chosen(z: Number, index: Number, *items: Number) -> list[Number]:
    if isinstance(index, Value):  # in a recording: the next call may have another index
        return [None, *(ops.WHERE(index - float(k), 0.0, 1.0) for k in range(len(items)))]
    return [None, *(1.0 if k == index else None for k in range(len(items)))]


#: `take(items, index)`: the index is the first operand.
TAKE = Operation("take", "take", None, lambda index, *items: items[int(index)], _chosen, None, (), total=True)
#: `x.detach()`: the number, through which no gradient flows.
DETACH = Operation("detach", "detach", 1, lambda x: x, (lambda z, x: None,), None, (), total=True)


@dataclass(frozen=True, eq=False)
class Guard:
    """A comparison that the recording depends on: the outcome of `x symbol y`.

    Args:
        x: a Value; or the place of an integer among those of the arguments.
        symbol: the comparison.
        y: a Value, or a number.
        outcome: the outcome.
    """

    x: Any
    symbol: str
    y: Any
    outcome: bool


@dataclass(frozen=True, eq=False)
class Trace:
    """The record of one call of a function.

    Attributes:
        numbers: a Value for each number of the arguments.
        integers: a Value for each integer of the arguments; only those that `take` has looked up by are used.
        outputs: the numbers that the function returned, in a flat list: Values and floats.
        structure: the structure that held the outputs.
        guards: the comparisons that the function depends on, in order.
        is_plain: whether every comparison is a guard.
    """

    numbers: list[Value]
    integers: list[Value]
    outputs: list[Any]
    structure: Structure
    guards: list[Guard]
    is_plain: bool


class _Recorder(tracing.Tracer):
    """The tracer of one call (see `microgrud.engine.tracing`).

    Args:
        integers: the integers of the arguments.
        instead: computes the number to go on with where an operation raises; None to let it raise.
        counts: of truths, and of those that have not been used (see `Truth`); None to make a guard of every comparison.
    """

    def __init__(self, integers: Sequence[int], instead: Substitute | None, counts: list[int] | None) -> None:
        self.integers = [Value(float(min(max(k, -_WHOLE), _WHOLE))) for k in integers]
        self.guards: list[Guard] = []
        self.instead = instead
        self.counts = counts
        self.failures = 0
        self.refusal: CompileError | None = None
        self.fallible: list[Value] = []  # results of operations that raise for some operands

    def on_comparison(self, x: Value, symbol: str, y: Any, outcome: bool) -> Truth | bool:
        try:
            bound = y if type(y) is float or isinstance(y, Value) else as_operand(y, symbol)
        except OverflowError:  # an integer beyond all floats compares as infinity does
            bound = math.inf if y > 0 else -math.inf
        if self.counts is not None:
            return Truth(outcome, (x, symbol, bound), None, self.counts)
        self.on_outcome(x, symbol, bound, outcome)
        return outcome

    def on_outcome(self, x: Value, symbol: str, y: Value | float, outcome: bool) -> None:
        self.guards.append(Guard(x, symbol, y, outcome))

    def on_read(self, x: Value | None, what: str) -> None:
        advice = _ADVICE.get(what, _ADVICE["data"])
        self.refusal = CompileError(advice.format(x=x, what=what, attribute=what.removesuffix(" =")))
        raise self.refusal  # and again at the end, as the function may catch it

    def on_result(self, x: Value) -> None:
        self.fallible.append(x)

    def on_failure(self, operation: Operation, xs: Sequence[float]) -> float | None:
        if self.instead is not None:
            return self.instead(operation, xs)
        self.failures += 1
        return None

    def keep_unused(self) -> None:
        """Add a guard for each unused result of an operation that raises for some operands.

        The program may catch the error of such an operation, and branch on it. The guard keeps the operation among the
        instructions, and where its number is not finite the function itself is evaluated.
        """
        # More than the list refers to a result that is used: another node, the outputs, a guard. A new Value shows how
        # many references an unused result has.
        self.fallible.append(Value(0.0))
        references = list(map(sys.getrefcount, self.fallible))
        unused = [x for x, count in zip(self.fallible, references) if count == references[-1]]
        self.guards += [Guard(x, "==", x, x._data == x._data) for x in unused[:-1]]

    def on_detach(self, x: Value) -> Value:
        return Value._record(DETACH, x)

    def on_array(self, array: Any) -> Any:
        return array if self.counts is None else as_recorded(array)

    def seen(self, place: int, number: int) -> None:
        self.guards.append(Guard(place, "==", number, True))

    def taken(self, items: Sequence[Number], index: IntegerArgument) -> Value:
        return Value._record(TAKE, self.integers[index.place], *items)


def record(
    f: Callable[..., Any],
    arguments: Arguments,
    numbers: Sequence[Any] | Vector,
    integers: Sequence[int],
    instead: Substitute | None = None,
) -> Trace | None:
    """Call a function with Values in the place of numbers, and return the trace of the call.

    The result is None if the function caught the error of an operation, since no recording knows which numbers raise
    one. With `instead` no operation raises, and the call goes on with the number that `instead` returns. A comparison
    is a guard if the function asks for its outcome. Every comparison is one if there is any that the function does not
    use at all: `is True`, `type` or `match` may have looked at that one, and they need true bools. So may code that
    has raised an error.

    Raises:
        CompileError: if the function does something that cannot be recorded. Its own errors are raised too.
    """
    counts = [0, 0]
    try:
        trace = _record(f, arguments, numbers, integers, instead, counts)
        if not counts[1]:
            return trace
    except Exception:
        if not counts[0]:
            raise
    return _record(f, arguments, numbers, integers, instead, None)


def _record(
    f: Callable[..., Any],
    arguments: Arguments,
    numbers: Sequence[Any] | Vector,
    integers: Sequence[int],
    instead: Substitute | None,
    counts: list[int] | None,
) -> Trace | None:
    recorder = _Recorder(integers, instead, counts)
    inputs = new_leaves(numbers)
    wrapped = [IntegerArgument(k, place, recorder.seen) for place, k in enumerate(integers)]
    with tracing.reporting_to(recorder), enable_grad():
        args, kwargs = arguments.rebuild(inputs, wrapped)
        result = f(*args, **kwargs)
    if recorder.refusal is not None:
        raise recorder.refusal
    if recorder.failures:
        return None
    again = arguments.rebuild(inputs, wrapped, recorder.on_array)
    if not _is_identical(args, again[0]) or not _is_identical(kwargs, again[1]):
        raise CompileError("the function changes its arguments, which a replay cannot do; let it make a copy")
    outputs, structure = flatten(result, "compile: the result of the function")
    recorder.keep_unused()
    return Trace(inputs, recorder.integers, outputs, structure, recorder.guards, counts is None)


def has_kept(trace: Trace) -> bool:
    """Return whether the function has kept a number that it computed, which a replay would not do.

    Reference counts show it. A reference cycle, such as an inner function that calls itself, also holds numbers until
    it is collected.
    """
    inputs = trace.numbers + trace.integers
    ends = inputs + [x for x in trace.outputs if isinstance(x, Value)]
    ends += [x for guard in trace.guards for x in (guard.x, guard.y) if isinstance(x, Value)]
    if not keeps_results(ends, inputs):
        return False
    gc.collect()
    return keeps_results(ends, inputs)


def _is_identical(one: Any, other: Any) -> bool:
    """Return whether two nested structures hold the same objects."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, RecordedTruths):  # which cannot be changed
        return True
    if hasattr(one, "ravel"):
        # The bytes of an array of objects are their addresses.
        return one.dtype == other.dtype and one.shape == other.shape and bool(one.tobytes() == other.tobytes())
    a, b = opened(one), opened(other)
    return a is not None and b is not None and list(a[0]) == list(b[0]) and all(map(_is_identical, a[1], b[1]))
