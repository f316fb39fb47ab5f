"""Record one call of a function of a few numbers, with its gradient, as a straight-line program.

The recorder follows the function as `compile` does, and needs no NumPy: comparisons that choose between numbers are
operations, and those whose outcome Python asks for, as an `if` does, are *guards*, which tell at which other numbers
the program holds.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..autodiff.gradients import gradient
from ..common.arrays import unpacked
from ..common.numbers import as_float, is_real_scalar
from ..engine import Value, topological_order, tracing
from ..engine.grad_mode import enable_grad
from ..engine.operation import Operation
from ..engine.ops import TABLE
from ..engine.truth import Truth, as_operand

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip

#: `x.detach()`: the number, through which no gradient flows.
DETACH = Operation("detach", "detach", 1, lambda x: x, (lambda z, x: None,), None, (), total=True)

_FROZEN = (
    "{what} of a Value inside a function that becomes a program: its number would stay in the program, whatever the "
    "inputs are; compute with the Value itself, or with x.detach() for a number without a gradient"
)


class ProgramError(RuntimeError):
    """A function cannot become a program; the message says why, and what to write instead."""


@dataclass(frozen=True)
class Instruction:
    """One step of a program: an operation, or a guard.

    Attributes:
        name: the name of the operation, as in the table of the engine; for a guard the symbol of the comparison.
        operands: the slots of the operands.
        outcome: the outcome on which a guard insists; None for an operation, which fills the next slot.
    """

    name: str
    operands: tuple[int, ...]
    outcome: bool | None = None


@dataclass(frozen=True)
class Path:
    """A straight-line program: the value of a function and its gradient, along one way through its branches.

    Slots hold numbers: first the inputs, then the constants, then the results of the operations in order.

    Attributes:
        inputs: the number of inputs.
        constants: the constants.
        forward: the instructions for the value.
        backward: the instructions for the gradient, which follow those for the value.
        value: the slot of the value.
        gradient: the slot of each partial derivative.
        failure: for a way that ends in an error of the function itself, `"overflow"` or `"undefined"`, and its text.
    """

    inputs: int
    constants: tuple[float, ...]
    forward: tuple[Instruction, ...]
    backward: tuple[Instruction, ...]
    value: int
    gradient: tuple[int, ...]
    failure: tuple[str, str] | None = None

    def evaluate(self, point: Sequence[float]) -> tuple[float, list[float]] | None:
        """Return the value and the gradient at a point; None where a guard does not hold.

        Raises:
            ValueError, ArithmeticError: as the operations and the function do.
        """
        slots = [*point, *self.constants]
        for step in (*self.forward, *self.backward):
            xs = [slots[k] for k in step.operands]
            if step.outcome is None:
                slots.append(OPERATIONS[step.name].evaluate(xs))
            elif COMPARISONS[step.name](*xs) != step.outcome:
                return None
        if self.failure is not None:
            raise (OverflowError if self.failure[0] == "overflow" else ValueError)(self.failure[1])
        return slots[self.value], [slots[k] + 0.0 for k in self.gradient]


#: The operations that a program may consist of, by name.
OPERATIONS = {**TABLE, DETACH.name: DETACH}


class _Recorder(tracing.Tracer):
    """The tracer of one call (see `microgrud.engine.tracing`).

    Args:
        counts: of truths, and of those that have not been used (see `Truth`); None to make each comparison a guard.
    """

    def __init__(self, counts: list[int] | None) -> None:
        self.counts = counts
        self.guards: list[tuple[Value, str, Value | float, bool]] = []
        self.fallible: list[Value] = []  # results of operations that raise for some operands
        self.failures = 0
        self.refusal: ProgramError | None = None

    def on_comparison(self, x: Value, symbol: str, y: Any, outcome: bool) -> Truth | bool:
        try:
            bound = y if isinstance(y, Value) else as_operand(y, symbol)
        except OverflowError:  # an integer beyond all floats compares as infinity does
            bound = math.inf if y > 0 else -math.inf
        if self.counts is not None:
            return Truth(outcome, (x, symbol, bound), None, self.counts)
        self.on_outcome(x, symbol, bound, outcome)
        return outcome

    def on_outcome(self, x: Value, symbol: str, y: Value | float, outcome: bool) -> None:
        self.guards.append((x, symbol, y, outcome))

    def on_read(self, x: Value | None, what: str) -> None:
        self.refusal = ProgramError(_FROZEN.format(what=what if what in ("float", "int", "no_grad") else f".{what}"))
        raise self.refusal  # and again at the end, as the function may catch it

    def on_result(self, x: Value) -> None:
        self.fallible.append(x)

    def on_failure(self, operation: Operation, xs: Sequence[float]) -> float | None:
        self.failures += 1
        return None

    def on_detach(self, x: Value) -> Value:
        return Value._record(DETACH, x)


def record(f: Callable[..., Any], point: Sequence[float]) -> Path:
    """Call a function with Values at a point, and return the program of this call.

    Raises:
        ProgramError: if a program could give other numbers than the function. Its own errors are raised too.

    >>> path = record(lambda x: x * x, [3.0])
    >>> path.forward
    (Instruction(name='multiply', operands=(0, 0), outcome=None),)
    >>> path.evaluate([5.0])
    (25.0, [10.0])
    """
    counts = [0, 0]
    try:
        path = _record(f, point, counts)
        if not counts[1]:
            return path
    except Exception:
        if not counts[0]:
            raise
    # `is`, `match` or `type` may have looked at the outcome of a comparison unnoticed: they need true bools.
    return _record(f, point, None)


def _record(f: Callable[..., Any], point: Sequence[float], counts: list[int] | None) -> Path:
    recorder = _Recorder(counts)
    inputs = [Value(x) for x in point]
    with tracing.reporting_to(recorder), enable_grad():
        try:
            result = f(*inputs)
        except (ValueError, ArithmeticError) as error:
            if recorder.failures or not recorder.guards or recorder.refusal is not None:
                raise
            return _failing(inputs, recorder, error)
        if recorder.refusal is not None:
            raise recorder.refusal
        if recorder.failures:
            raise ProgramError("the function catches an error of an operation; choose by where(condition, x, y)")
        if isinstance(result, Truth):
            raise ProgramError("expected a function that returns one number, got an object of type Truth")
        found = number_of(result)
        root = found if isinstance(found, Value) else Value(found)
        guards, needed = len(recorder.guards), [*recorder.fallible, root]
        partials = gradient(root, inputs)
    writer = _Writer(inputs)
    writer.write(recorder.guards[:guards], needed)
    forward = len(writer.code)
    writer.write(recorder.guards[guards:], partials)
    return writer.path(forward, root, partials)


def _failing(inputs: list[Value], recorder: _Recorder, error: Exception) -> Path:
    """Return the program of a call that raised an error of its own, where all its guards hold."""
    writer = _Writer(inputs)
    writer.write(recorder.guards, recorder.fallible)
    found = writer.path(len(writer.code), inputs[0], [])
    kind = "overflow" if isinstance(error, OverflowError) else "undefined"
    return replace(found, failure=(kind, str(error) or type(error).__name__))


def number_of(result: Any) -> Value | float:
    """Return what a function returned: a Value, or one real number as a float.

    Raises:
        ProgramError: for anything else.
    """
    result = unpacked(result)
    if isinstance(result, Value):
        return result
    if not is_real_scalar(result):
        raise ProgramError(
            f"expected a function that returns one number, got an object of type {type(result).__name__}"
        )
    return as_float(result, "the result of the function")


class _Writer:
    """Writes the nodes of a recording as instructions."""

    def __init__(self, inputs: list[Value]) -> None:
        self.inputs = inputs
        self.constants: dict[str, int] = {}  # the place of each, by its text
        self.code: list[tuple[str, tuple[Any, ...], bool | None]] = []
        self.written: dict[Value, tuple[str, int]] = {x: ("input", k) for k, x in enumerate(inputs)}
        self.ids = set(map(id, inputs))
        self.results = 0

    def write(self, guards: Sequence[tuple[Any, str, Any, bool]], roots: Sequence[Value]) -> None:
        """Write guards in their order, each after what it compares, and then everything that the roots depend on.

        An operation beyond a guard may raise where the guard does not hold: hence the order.
        """
        for x, symbol, y, outcome in guards:
            self._write_nodes([z for z in (x, y) if isinstance(z, Value)])
            self.code.append((symbol, (self._operand(x), self._operand(y)), outcome))
        self._write_nodes(roots)

    def _write_nodes(self, roots: Sequence[Value]) -> None:
        for root in roots:
            for node in topological_order(root, self.ids):
                if node not in self.written:
                    self._write_node(node)

    def _write_node(self, node: Value) -> None:
        operation = node._operation
        self.ids.add(id(node))
        if not node._operands:
            self.written[node] = self._operand(node._data)
            return
        if isinstance(operation, str) or OPERATIONS.get(operation.name) is not operation or node._closure is not None:
            name = operation if isinstance(operation, str) else operation.name
            raise ProgramError(
                f"{name or 'a node built by hand'} is not an operation of the engine, and a program has no others; "
                "write the function with microgrud's own functions"
            )
        self.code.append((operation.name, tuple([self._operand(x) for x in node._operands]), None))
        self.written[node] = "result", self.results
        self.results += 1

    def _operand(self, x: Value | float) -> tuple[str, int]:
        if isinstance(x, Value):
            return self.written[x]
        return "constant", self.constants.setdefault(repr(float(x)), len(self.constants))

    def path(self, forward: int, root: Value, partials: Sequence[Value]) -> Path:
        """Return the program, whose first instructions are those for the value."""
        first = {"input": 0, "constant": len(self.inputs), "result": len(self.inputs) + len(self.constants)}

        def slot(place: tuple[str, int]) -> int:
            return first[place[0]] + place[1]

        code = [Instruction(name, tuple(map(slot, places)), outcome) for name, places, outcome in self.code]
        value, *gradients = [slot(self.written[x]) for x in (root, *partials)]
        constants = tuple(map(float, self.constants))
        return Path(len(self.inputs), constants, tuple(code[:forward]), tuple(code[forward:]), value, tuple(gradients))
