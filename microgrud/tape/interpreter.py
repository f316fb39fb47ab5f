"""The interpreter in NumPy: a program forward and backward, over all samples at once."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.vectors import Vector
from .program import LINEAR, Program
from .recorder import DETACH, TAKE
from .rules import slopes_of, value_of

__all__ = ["COMPARISONS", "Forward", "as_vector", "backward", "first_failed", "forward"]

COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass
class Forward:
    """The state after a forward pass.

    Attributes:
        values: of each slot: a float that is the same for all samples, or an array with one number a sample.
        samples: how many there are; None for a call without a batch.
        suspicious: for each sample (or for the call), whether the eager program may have raised.
    """

    values: list[Any]
    samples: int | None
    suspicious: Any


def forward(program: Program, numbers: Sequence[Any], integers: Sequence[Any], samples: int | None) -> Forward:
    """Compute the value of every slot.

    Args:
        program: what to compute.
        numbers: of the arguments: a float, or an array with one number a sample.
        integers: likewise.
        samples: how many there are; None for a call without a batch.
    """
    values: list[Any] = [None] * program.slots
    for slot, constant in program.constants.items():
        values[slot] = constant
    for slot, leaf in program.leaves.items():
        values[slot] = leaf._data
    for places, given in ((program.numbers, numbers), (program.integers, integers)):
        for place, x in zip(places, given):
            if place is not None:
                values[place] = x
    suspicious: Any = False if samples is None else np.zeros(samples, dtype=bool)
    with np.errstate(all="ignore"):
        for instruction in program.instructions:
            xs = [values[slot] for slot in instruction.operands]
            varies = any(isinstance(x, np.ndarray) for x in xs)
            if instruction.operation is LINEAR:
                z = _linear(xs, instruction.plain)
                suspicious = suspicious | ~np.isfinite(z)  # in another order it may not have overflowed
            elif instruction.operation is TAKE:
                z = _taken(xs[0], xs[1:], samples)
            elif instruction.operation is DETACH:
                z = xs[0]
            else:
                z = value_of(instruction.operation, xs, samples if varies else None)
                if not instruction.operation.total:
                    suspicious = suspicious | ~np.isfinite(z)
            values[instruction.out] = z
    return Forward(values, samples, suspicious)


def first_failed(program: Program, state: Forward, samples: int) -> npt.NDArray[np.int32]:
    """Return for each sample the number of the first guard, counted from 1, that does not hold; 0 if all of them do."""
    failed = np.zeros(samples, dtype=np.int32)
    for number, guard in enumerate(program.guards, start=1):
        outcome = COMPARISONS[guard.symbol](state.values[guard.x], state.values[guard.y])
        failed[(failed == 0) & (outcome != guard.outcome)] = number
    return failed


def backward(program: Program, state: Forward, seeds: Sequence[Any]) -> list[Any]:
    """Compute the adjoint of every slot: a float for what is the same for all samples, added up over them.

    Args:
        program: what was computed.
        state: the forward pass.
        seeds: the adjoint of each output: a float, or an array with one number a sample.
    """
    adjoints: list[Any] = [0.0] * program.slots
    for slot, seed in zip(program.outputs, seeds):
        _give(adjoints, state, slot, seed)
    with np.errstate(all="ignore"):
        for instruction in reversed(program.instructions):
            adjoint = adjoints[instruction.out]
            if instruction.operation is DETACH or not np.any(adjoint):
                continue  # a zero adjoint passes nothing on
            xs = [state.values[slot] for slot in instruction.operands]
            if instruction.operation is LINEAR:
                first, second = instruction.pairs
                for slot in instruction.operands[: instruction.plain]:
                    _give(adjoints, state, slot, adjoint)
                for x, y in zip(first, second):
                    _give(adjoints, state, x, _product(adjoint, state.values[y]))
                    _give(adjoints, state, y, _product(adjoint, state.values[x]))
                continue
            if instruction.operation is TAKE:
                for k, slot in enumerate(instruction.operands[1:]):
                    _give(adjoints, state, slot, np.where(xs[0] == k, adjoint, 0.0))
                continue
            varies = any(isinstance(x, np.ndarray) for x in xs)
            wanted = range(len(xs))
            z = state.values[instruction.out]
            slopes = slopes_of(instruction.operation, z, xs, wanted, state.samples if varies else None)
            for slot, slope in zip(instruction.operands, slopes):
                if slope is not None and slot not in program.constants:
                    _give(adjoints, state, slot, _product(adjoint, slope))
    return adjoints


def _linear(xs: Sequence[Any], plain: int) -> Any:
    half = (len(xs) + plain) // 2
    total: Any = xs[0] if plain else -0.0
    for x in xs[1:plain]:
        total = total + x
    for x, y in zip(xs[plain:half], xs[half:]):
        total = total + x * y
    return total


def _taken(index: Any, items: Sequence[Any], samples: int | None) -> Any:
    if samples is None or not isinstance(index, np.ndarray):
        return items[int(index)]
    if not any(isinstance(x, np.ndarray) for x in items):
        return np.array(items)[index.astype(int)]
    rows = np.array([np.broadcast_to(x, samples) for x in items])
    return rows[index.astype(int), np.arange(samples)]


def _product(adjoint: Any, slope: Any) -> Any:
    """Multiply an adjoint by a local derivative; an adjoint of 0 passes nothing on, whatever that is."""
    product = adjoint * slope
    if not np.all(np.isfinite(product)):
        product = np.where(np.equal(adjoint, 0.0), 0.0, product)
    return product


def _give(adjoints: list[Any], state: Forward, slot: int, share: Any) -> None:
    """Add to the adjoint of a slot; one that is the same for all samples gets the sum over them."""
    if state.samples is not None and not isinstance(state.values[slot], np.ndarray):
        share = float(np.sum(share)) if np.ndim(share) else share
    adjoints[slot] = adjoints[slot] + share


def as_vector(x: Any, samples: int) -> Vector:
    """Return the numbers of a slot, one a sample."""
    return np.array(np.broadcast_to(x, samples), dtype=np.float64)
