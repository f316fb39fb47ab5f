"""Recording: one call of a function with Values, watched, and what it did."""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from ..autodiff.outside import keeps_results
from ..autodiff.trees import Structure, flatten
from ..common.numbers import Number
from ..engine import Value, ops, tracing
from ..engine.grad_mode import enable_grad
from ..engine.operation import Operation
from .arguments import Arguments
from .integers import IntegerArgument

__all__ = ["DETACH", "TAKE", "ClosedOverResultError", "CompileError", "Guard", "Recording", "has_kept", "record"]


#: The number of an operation on floats where it raises.
Substitute = Callable[[Operation, Sequence[float]], float]

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
TAKE = Operation("take", "take", None, lambda index, *items: items[int(index)], _chosen, None, (), total=True)
#: `x.detach()`: the number, through which no gradient flows.
DETACH = Operation("detach", "detach", 1, lambda x: x, (lambda z, x: None,), None, (), total=True)


@dataclass(frozen=True, eq=False)
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


@dataclass(frozen=True, eq=False)
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
    """The watcher of one call.

    Args:
        integers: those of the arguments.
        instead: computes the number to go on with where an operation raises; None to let it raise.
    """

    def __init__(self, integers: Sequence[int], instead: Substitute | None) -> None:
        self.integers = [Value(float(min(max(k, -_WHOLE), _WHOLE))) for k in integers]
        self.guards: list[Guard] = []
        self.instead = instead
        self.failures = 0
        self.refusal: CompileError | None = None
        self.fallible: list[Value] = []  # results of operations that raise for some operands

    def compared(self, x: Value, symbol: str, y: Any, outcome: bool) -> None:
        try:
            bound = y if isinstance(y, Value) else float(y)
        except OverflowError:  # of an integer beyond all floats, which compares as infinity does
            bound = math.inf if y > 0 else -math.inf
        self.guards.append(Guard(x, symbol, bound, outcome))

    def looked_at(self, x: Value | None, what: str) -> None:
        try:
            self.refuse(x, what)
        except CompileError as error:
            self.refusal = error  # which the function may catch
            raise

    def refuse(self, x: Value | None, what: str) -> NoReturn:
        """Raise a CompileError that says why a look at a number cannot be recorded, and what to write instead."""
        if what == "no_grad":
            raise CompileError("no_grad inside a compiled function: numbers would lose their history; write x.detach()")
        if what == "copy":
            raise CompileError(f"a copy of {x!r} inside a compiled function would be frozen into the recording; use +x")
        if what in ("data =", "grad ="):
            raise CompileError(
                f".{what[:4]} of {x!r} is assigned inside a compiled function, which a replay would not do; assign "
                "before the call"
            )
        if what in ("float", "int"):
            raise CompileError(
                f"{what}() of {x!r} inside a compiled function: the number would be frozen into the recording; use "
                "microgrud's own functions, such as microgrud.exp or microgrud.trunc, or compute the number before the "
                "call"
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

    def made(self, x: Value) -> None:
        self.fallible.append(x)

    def failed(self, operation: Operation, xs: Sequence[float]) -> float | None:
        if self.instead is not None:
            return self.instead(operation, xs)
        self.failures += 1
        return None

    def keep_unused(self) -> None:
        """Make each result that nobody uses, of an operation that raises for some operands, a guard of the recording.

        The program may have caught its error, and gone another way. A guard keeps it among the instructions, and where
        its number is not finite the function itself is evaluated.
        """
        # A result that is used is held by more than the list: by another node, the outputs, a guard. One that nobody
        # uses is counted with the others.
        self.fallible.append(Value(0.0))
        references = [sys.getrefcount(x) for x in self.fallible]
        unused = [x for x, count in zip(self.fallible, references) if count == references[-1]]
        self.guards += [Guard(x, "==", x, x._data == x._data) for x in unused[:-1]]

    def detached(self, x: Value) -> Value:
        return Value._record(DETACH, x)

    def seen(self, place: int, number: int) -> None:
        self.guards.append(Guard(place, "==", number, True))

    def taken(self, items: Sequence[Number], index: IntegerArgument) -> Value:
        return Value._record(TAKE, self.integers[index.place], *items)


def record(
    f: Callable[..., Any],
    arguments: Arguments,
    numbers: Sequence[Any],
    integers: Sequence[int],
    instead: Substitute | None = None,
) -> Recording | None:
    """Call a function with Values in the place of numbers, and return what it did.

    None if it caught the error of an operation: which numbers give one is known to no recording. With `instead` no
    operation raises, and the call goes on with the number that it returns.

    Raises:
        CompileError: if it does what cannot be recorded. What the function raises, it raises here too.
    """
    recorder = _Recorder(integers, instead)
    inputs = [Value(x._data if isinstance(x, Value) else x) for x in numbers]
    wrapped = [IntegerArgument(k, place, recorder.seen) for place, k in enumerate(integers)]
    args, kwargs = arguments.rebuild(inputs, wrapped)
    token = tracing._watcher.set(recorder)
    tracing._watched.append(recorder)
    try:
        with enable_grad():
            result = f(*args, **kwargs)
    finally:
        tracing._watched.remove(recorder)
        tracing._watcher.reset(token)
    if recorder.refusal is not None:
        raise recorder.refusal
    if recorder.failures:
        return None
    _check_unchanged(args, kwargs, arguments, inputs, wrapped)
    outputs, structure = flatten(result, "compile: the result of the function")
    recorder.keep_unused()
    return Recording(inputs, recorder.integers, outputs, structure, recorder.guards)


def has_kept(recording: Recording) -> bool:
    """Tell whether the function has kept a number that it computed, which a replay would not do.

    Reference counts show it. A reference cycle, such as an inner function that calls itself, holds numbers too until it
    is collected.
    """
    inputs = recording.numbers + recording.integers
    ends = [x for x in (*inputs, *recording.outputs) if isinstance(x, Value)]
    ends += [x for guard in recording.guards for x in (guard.x, guard.y) if isinstance(x, Value)]
    if not keeps_results(ends, inputs):
        return False
    gc.collect()
    return keeps_results(ends, inputs)


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
