"""Recording: one call of a function with Values, watched, and what it did."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .. import ops, watching
from ..engine import Value
from ..operation import Number, Operation
from ..recording import enable_grad
from ..trees import Structure, flatten
from .arguments import Arguments
from .integers import IntegerArgument

__all__ = ["DETACH", "TAKE", "ClosedOverResultError", "CompileError", "Guard", "Recording", "record"]


#: Up to here every integer is a float. What is larger is the index of nothing.
_WHOLE = 2**53


class CompileError(RuntimeError):
    """A function cannot be recorded; the message says why, and what to write instead."""


class ClosedOverResultError(CompileError):
    """A function closes over the result of an operation, which the program may have computed anew by the next call."""


def _chosen(z: Number, index: Number, *items: Number) -> list[Number]:
    if isinstance(index, Value):  # in a recording, where the index may be another one at the next call
        return [None, *(ops.WHERE(index - float(k), 0.0, 1.0) for k in range(len(items)))]
    return [None, *(1.0 if k == index else None for k in range(len(items)))]


#: `take(items, index)`: the index is the first operand.
TAKE = Operation("take", "take", None, lambda index, *items: items[int(index)], _chosen, None, ())
#: `x.detach()`: the number, through which no gradient flows.
DETACH = Operation("detach", "detach", 1, lambda x: x, (lambda z, x: None,), None, ())


@dataclass(frozen=True)
class Guard:
    """A look at numbers that the recording depends on: `x symbol y` was answered with `outcome`.

    Args:
        x: a Value; or the place of an integer among those of the arguments.
        symbol: a comparison.
        y: a Value, or a number.
        outcome: the answer.
    """

    x: Any
    symbol: str
    y: Any
    outcome: bool


@dataclass(frozen=True)
class Recording:
    """What a function did in one call.

    Attributes:
        numbers: a Value for each number of the arguments.
        integers: a Value for each integer of the arguments, of which those are used that `take` has looked up by.
        outputs: what the function returned, flat: Values and floats.
        structure: what the outputs were in.
        guards: its looks at numbers, in order.
    """

    numbers: list[Value]
    integers: list[Value]
    outputs: list[Any]
    structure: Structure
    guards: list[Guard]


class _Recorder:
    """The watcher of one call."""

    def __init__(self, integers: Sequence[int]) -> None:
        self.integers = [Value(float(min(max(k, -_WHOLE), _WHOLE))) for k in integers]
        self.guards: list[Guard] = []
        self.failures = 0

    def compared(self, x: Value, symbol: str, y: Any, outcome: bool) -> None:
        try:
            bound = y if isinstance(y, Value) else float(y)
        except OverflowError:  # of an integer beyond all floats, which compares as infinity does
            bound = math.inf if y > 0 else -math.inf
        self.guards.append(Guard(x, symbol, bound, outcome))

    def looked_at(self, x: Value | None, what: str) -> None:
        if what == "no_grad":
            raise CompileError("no_grad inside a compiled function: numbers would lose their history; write x.detach()")
        if what == "copy":
            raise CompileError(f"a copy of {x!r} inside a compiled function would be frozen into the recording; use +x")
        if what in ("data =", "grad ="):
            raise CompileError(
                f".{what[:4]} of {x!r} is assigned inside a compiled function, which a replay would not do; assign "
                "before the call"
            )
        if what == "format":
            raise CompileError(
                f"{x!r} is written as text inside a compiled function, where it would be frozen into the recording; "
                "write it before or after the call"
            )
        raise CompileError(
            f".{what} of {x!r} inside a compiled function: the number would be frozen into the recording; use the "
            "Value as it is, x.detach() for one without a gradient, or compute the number before the call"
        )

    def failed(self) -> None:
        self.failures += 1

    def detached(self, x: Value) -> Value:
        return Value._record(DETACH, x)

    def seen(self, place: int, number: int) -> None:
        self.guards.append(Guard(place, "==", number, True))

    def taken(self, items: Sequence[Number], index: IntegerArgument) -> Value:
        return Value._record(TAKE, self.integers[index.place], *items)


def record(
    f: Callable[..., Any], arguments: Arguments, numbers: Sequence[Any], integers: Sequence[int]
) -> Recording | None:
    """Call a function with Values in the place of numbers, and return what it did.

    None if it caught the error of an operation: which numbers give one is known to no recording.

    Raises:
        CompileError: if it does what cannot be recorded. What the function raises, it raises here too.
    """
    recorder = _Recorder(integers)
    inputs = [Value(x._data if isinstance(x, Value) else x) for x in numbers]
    wrapped = [IntegerArgument(k, place, recorder.seen) for place, k in enumerate(integers)]
    args, kwargs = arguments.rebuild(inputs, wrapped)
    token = watching._watcher.set(recorder)
    watching._watched.append(recorder)
    try:
        with enable_grad():
            result = f(*args, **kwargs)
    finally:
        watching._watched.remove(recorder)
        watching._watcher.reset(token)
    if recorder.failures:
        return None
    _check_unchanged(args, kwargs, arguments, inputs, wrapped)
    outputs, structure = flatten(result, "compile: the result of the function")
    return Recording(inputs, recorder.integers, outputs, structure, recorder.guards)


def _check_unchanged(args: Any, kwargs: Any, arguments: Arguments, inputs: Any, wrapped: Any) -> None:
    """Raise if the function has changed a list, a dict or an array that it was given."""
    again = arguments.rebuild(inputs, wrapped)
    if not _same(args, again[0]) or not _same(kwargs, again[1]):
        raise CompileError("the function changes its arguments, which a replay cannot do; let it make a copy")


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if hasattr(one, "ravel"):
        return one.shape == other.shape and all(_same(a, b) for a, b in zip(one.ravel(), other.ravel()))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other))
    return False
