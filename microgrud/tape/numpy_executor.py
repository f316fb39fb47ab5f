"""Run a program in NumPy, over all samples at once: the executor where the interpreter in C is missing.

A slot holds a float that is the same for all samples, or an array with one number per sample. Operations on arrays have
rules of their own here; an operation without one goes through the rules of `microgrud.engine.ops`, one sample after
another, as all operations on floats do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..engine import ops
from ..engine.operation import Operation
from ..engine.vectors import Vector
from .building import LINEAR, as_ints
from .native import native_tape
from .program import COMPARISONS, Program
from .recorder import DETACH, TAKE

#: The status of a sample. DONE; SUSPICIOUS: a number is not finite, where the eager function might have raised; LEFT:
#: the outputs are right, but the derivatives are missing; compute them again without the suspicious samples. A status
#: above 0 is the number of the first guard, counted from 1, that does not hold. The C interpreter defines the three
#: numbers; without it, they are arbitrary, as long as DONE is 0 and the others are negative.
DONE, SUSPICIOUS, LEFT = (0, -1, -2) if native_tape is None else native_tape.STATUSES


@dataclass
class Outcome:
    """The results of a program for some samples.

    Attributes:
        status: the status of each sample.
        outputs: an array of shape (outputs, samples).
        numbers: derivatives with respect to the numbers of the arguments: a float, or an array with one number a
            sample; a vector of all where the numbers were given as one; none without seeds.
        leaves: derivatives with respect to the leaves.
    """

    status: npt.NDArray[np.int32]
    outputs: Vector
    numbers: list[Any] | Vector = field(default_factory=list)
    leaves: Vector = field(default_factory=lambda: np.zeros(0))


class Executor(Protocol):
    """Runs one program; the arguments that vary by sample are the same in every call.

    Attributes:
        program: the program.
        replay: a whole call in C, from the arguments to the result, once there was a call that it fits; see replays.py.
    """

    program: Program
    replay: Any

    def run(
        self, numbers: Sequence[Any] | Vector, integers: Sequence[Any], samples: int | None, seeds: Any, ignore: bool
    ) -> Outcome:
        """Run the program.

        Args:
            numbers: those of the arguments: a float, or an array with one number per sample; or a vector of all.
            integers: those of the arguments: an int, or an array with one per sample.
            samples: how many there are; None for a call without a batch.
            seeds: an array of shape (outputs, samples), to run backward too; None to run forward alone.
            ignore: whether infinity and NaN are numbers like others, and no reason to be suspicious.
        """

    @property
    def working_bytes(self) -> int:
        """The size of the numbers of all slots, and of their adjoints, that are in memory at once."""


def within_tables(program: Program, integers: Sequence[Any], samples: int | None) -> tuple[Sequence[Any], Any]:
    """Return integers with indices that are out of the range of their table replaced, and which samples had such."""
    wrong: Any = False
    for place, count in program.table_sizes.items():
        given = integers[place]
        outside = (given < 0) | (given >= count)
        if np.any(outside):
            wrong = wrong | outside
            integers = [*integers[:place], np.clip(given, 0, count - 1), *integers[place + 1 :]]
            if samples is None:
                integers[place] = int(integers[place])
    return integers, wrong


def all_finite(x: Any) -> bool:
    """Return whether a number, or all numbers of an array, are finite."""
    return bool(np.isfinite(x).all()) if isinstance(x, np.ndarray) else math.isfinite(x)


class NumpyExecutor:
    """Runs a program in NumPy; see `Executor`."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.replay: Any = None

    @property
    def working_bytes(self) -> int:
        """The size of the numbers of all slots, and of their adjoints, for one sample."""
        return 2 * 8 * self.program.slots

    def run(
        self, numbers: Sequence[Any] | Vector, integers: Sequence[Any], samples: int | None, seeds: Any, ignore: bool
    ) -> Outcome:
        """Run the program; see `Executor`."""
        program = self.program
        integers, wrong = within_tables(program, integers, samples)
        count = 1 if samples is None else samples
        with np.errstate(all="ignore"):
            values, suspicious = _forward(program, numbers, integers, samples)
            status = _first_failed(program, values, count)
            status[(status == DONE) & np.broadcast_to(wrong if ignore else suspicious | wrong, count)] = SUSPICIOUS
            outputs = np.empty((len(program.outputs), count))
            for row, slot in zip(outputs, program.outputs):
                row[:] = values[slot]
            if seeds is None:
                return Outcome(status, outputs)
            if not status.any():
                adjoints = _backward(program, values, seeds)
                gradients = [0.0 if slot < 0 else adjoints[slot] for slot in as_ints(program.numbers).tolist()]
                leaves = np.array([float(adjoints[slot]) for slot in program.leaves])
                if ignore or all(map(all_finite, (*gradients, leaves))):
                    own = np.array(gradients) if isinstance(numbers, np.ndarray) else gradients
                    return Outcome(status, outputs, own, leaves)
        status[status == DONE] = LEFT
        return Outcome(status, outputs, leaves=np.zeros(len(program.leaves)))


def _forward(
    program: Program, numbers: Sequence[Any] | Vector, integers: Sequence[Any], samples: int | None
) -> tuple[list[Any], Any]:
    """Return the value of every slot, and for each sample (or the call) whether the eager program may have raised."""
    values: list[Any] = [None] * program.slots
    for slot, constant in program.constants.items():
        values[slot] = constant
    for slot, leaf in program.leaves.items():
        values[slot] = leaf._data
    for slots, given in ((program.numbers, numbers), (program.integers, integers)):
        for own, x in zip(as_ints(slots).tolist(), given.tolist() if isinstance(given, np.ndarray) else given):
            if own >= 0:
                values[own] = x
    suspicious: Any = False if samples is None else np.zeros(samples, dtype=bool)
    for instruction in program.instructions:
        operation, xs = instruction.operation, [values[slot] for slot in instruction.operands]
        if operation is LINEAR:
            z = _linear(xs, instruction.plain)
        elif operation is TAKE:
            z = _taken(xs[0], xs[1:])
        else:
            z = _value(operation, xs)
        if not operation.total:  # nor is LINEAR: in another order it may not have overflowed
            suspicious = suspicious | ~np.isfinite(z)
        values[instruction.out] = z
    return values, suspicious


def _first_failed(program: Program, values: Sequence[Any], samples: int) -> npt.NDArray[np.int32]:
    """Return for each sample the number of the first guard, counted from 1, that does not hold; 0 if all of them do."""
    failed = np.zeros(samples, dtype=np.int32)
    for number, guard in enumerate(program.guards, start=1):
        outcome = COMPARISONS[guard.symbol](values[guard.x], values[guard.y])
        failed[(failed == 0) & (outcome != guard.outcome)] = number
    return failed


def _backward(program: Program, values: Sequence[Any], seeds: Sequence[Any]) -> list[Any]:
    """Return the adjoint of every slot; a slot that is the same for all samples has the sum over them."""
    adjoints: list[Any] = [0.0] * program.slots

    def give(slot: int, share: Any) -> None:
        if isinstance(share, np.ndarray) and not isinstance(values[slot], np.ndarray):
            share = float(np.sum(share))
        adjoints[slot] = adjoints[slot] + share

    for slot, seed in zip(program.outputs, seeds):
        give(slot, seed)
    for instruction in reversed(program.instructions):
        operation, operands, adjoint = instruction.operation, instruction.operands, adjoints[instruction.out]
        if not np.any(adjoint):
            continue  # a zero adjoint passes nothing on
        xs = [values[slot] for slot in operands]
        if operation is LINEAR:
            for slot in operands[: instruction.plain]:
                give(slot, adjoint)
            for x, y in zip(*instruction.pairs):
                give(x, _product(adjoint, values[y]))
                give(y, _product(adjoint, values[x]))
        elif operation is TAKE:
            for k, slot in enumerate(operands[1:]):
                give(slot, np.where(xs[0] == k, adjoint, 0.0))
        else:
            for slot, slope in zip(operands, _slopes(operation, values[instruction.out], xs)):
                if slope is not None and slot not in program.constants:
                    give(slot, _product(adjoint, slope))
    return adjoints


def _linear(xs: Sequence[Any], plain: int) -> Any:
    half = (len(xs) + plain) // 2
    total: Any = xs[0] if plain else -0.0
    for x in xs[1:plain]:
        total = total + x
    for x, y in zip(xs[plain:half], xs[half:]):
        total = total + x * y
    return total


def _taken(index: Any, items: Sequence[Any]) -> Any:
    if not isinstance(index, np.ndarray):
        return items[int(index)]
    if not any(isinstance(x, np.ndarray) for x in items):
        return np.array(items)[index.astype(int)]
    rows = np.array([np.broadcast_to(x, len(index)) for x in items])
    return rows[index.astype(int), np.arange(len(index))]


def _product(adjoint: Any, slope: Any) -> Any:
    """Multiply an adjoint by a local derivative; an adjoint of 0 passes nothing on, nor does a masked derivative."""
    product = adjoint * slope
    if isinstance(product, np.ma.MaskedArray):
        product = product.filled(0.0)
    if not np.all(np.isfinite(product)):
        product = np.where(np.equal(adjoint, 0.0), 0.0, product)
    return product


# --- operations -------------------------------------------------------------------------------------------------------


def _sech_squared(x: Vector) -> Vector:
    # 4 e^(-2|x|) / (1 + e^(-2|x|))^2: 1 - tanh(x)**2 would lose its digits in the tails.
    e = np.exp(-2.0 * np.abs(x))
    return 4.0 * e / ((1.0 + e) * (1.0 + e))


def _sigmoid(x: Vector) -> Vector:
    e = np.exp(-np.abs(x))
    return np.where(x < 0.0, e, 1.0) / (1.0 + e)


def _sigmoid_slope(z: Vector, x: Vector) -> Vector:
    e = np.exp(-np.abs(x))
    return e / ((1.0 + e) * (1.0 + e))


#: Operations whose value and derivative rules are plain arithmetic, which arrays do as floats do.
_ARITHMETIC = (ops.ADD, ops.SUBTRACT, ops.MULTIPLY, ops.NEGATE, ops.SQUARE, ops.RECIPROCAL, DETACH)
#: Values and local derivatives on arrays.
_RULES: dict[Operation, tuple[Callable[..., Any], Any]] = {
    **{operation: (operation.value, operation.partials) for operation in _ARITHMETIC},
    ops.DIVIDE: (np.divide, (lambda z, x, y: np.divide(1.0, y), lambda z, x, y: -np.divide(z, y))),
    ops.EXP: (np.exp, ops.EXP.partials),
    ops.LOG: (np.log, ops.LOG.partials),
    ops.SQRT: (np.sqrt, (lambda z, x: 0.5 / (z + 0.0),)),
    ops.SIN: (np.sin, (lambda z, x: np.cos(x),)),
    ops.COS: (np.cos, (lambda z, x: -np.sin(x),)),
    ops.TANH: (np.tanh, (lambda z, x: _sech_squared(x),)),
    ops.SIGMOID: (_sigmoid, (_sigmoid_slope,)),
    ops.RELU: (lambda x: np.where(x <= 0.0, 0.0, x), (lambda z, x: np.ma.array(np.ones(len(x)), mask=x <= 0.0),)),
    ops.ABS: (np.abs, (lambda z, x: np.sign(x),)),
}
#: NumPy's names of functions, where they differ; an operation without a function in NumPy is NaN where Python raises.
_NUMPY_NAMES = {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atanh": "arctanh",
    "clip": "", "modulo": "remainder", "pow": "float_power", "round": "rint",
}  # fmt: skip


def _value(operation: Operation, xs: Sequence[Any]) -> Any:
    """Return the value of an operation on floats and arrays.

    Where the eager operation would raise, the value is that of IEEE arithmetic, or NaN.
    """
    if not any(isinstance(x, np.ndarray) for x in xs):
        return _value_of_sample(operation, list(map(float, xs)))
    if operation in _RULES:
        return _RULES[operation][0](*xs)
    return np.array([_value_of_sample(operation, row) for row in _rows(*xs)])


def _slopes(operation: Operation, z: Any, xs: Sequence[Any]) -> Sequence[Any]:
    """Return the local derivative with respect to each operand: None where the result does not depend on it.

    In an array those are masked.
    """
    if not any(isinstance(x, np.ndarray) for x in xs):
        return _slopes_of_sample(operation, z, xs)
    if operation in _RULES:
        return [rule(z, *xs) for rule in _RULES[operation][1]]
    slopes = [_slopes_of_sample(operation, row[0], row[1:]) for row in _rows(z, *xs)]
    numbers = [[0.0 if slope is None else slope for slope in row] for row in slopes]
    return list(np.ma.array(numbers, mask=[[slope is None for slope in row] for row in slopes]).T)


def _rows(*columns: Any) -> zip[tuple[float, ...]]:
    return zip(*(column.tolist() for column in np.broadcast_arrays(*columns)))


def _value_of_sample(operation: Operation, xs: Sequence[float]) -> float:
    try:
        return float(operation.value(*xs))
    except IndexError:
        return np.nan
    except (ValueError, ArithmeticError):
        function = _NUMPY_NAMES.get(operation.name, operation.name)
        compute = _RULES[operation][0] if operation in _RULES else getattr(np, function, None)
        return float(compute(*map(np.float64, xs))) if compute is not None and operation.arity else np.nan


def _slopes_of_sample(operation: Operation, z: float, xs: Sequence[float]) -> Sequence[float | None]:
    wanted = range(len(xs))
    try:
        return operation.local_derivatives(z, xs, wanted)
    except (ValueError, ArithmeticError):
        pass
    try:  # NumPy's floats divide by zero
        slopes = operation.local_derivatives(np.float64(z), list(map(np.float64, xs)), wanted)
        return [None if slope is None else float(slope) for slope in slopes]
    except (ValueError, ArithmeticError):
        return [np.nan] * len(wanted)
