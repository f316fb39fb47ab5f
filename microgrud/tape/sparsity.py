"""Structural sparsity: the inputs that each number of a program depends on, as bits of an integer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..autodiff.trees import flatten
from .program import Instructions, Program
from .signature import Arguments


def places_of(arguments: Arguments, positions: Sequence[int]) -> list[int]:
    """Return the places of the numbers of some arguments among the numbers of all."""
    places, _ = arguments.rebuild(list(map(float, range(len(arguments.numbers)))), [0] * len(arguments.integers))
    return [int(x) for k in positions for x in flatten(places[k], "arguments")[0]]


def dependencies(program: Program, places: Sequence[int]) -> dict[int, int]:
    """Return, for each slot that depends on inputs, which: bit k is set for the input at places[k].

    >>> from microgrud.tape.program import Instruction
    >>> from microgrud.engine.ops import ADD, TANH
    >>> steps = [Instruction(TANH, 3, (1,)), Instruction(ADD, 4, (0, 3))]
    >>> dependencies(Program(numbers=[0, 1, 2], instructions=steps, outputs=[4], slots=5), [0, 1])
    {0: 1, 1: 2, 3: 2, 4: 3}
    """
    bits = {slot: 1 << k for k, place in enumerate(places) if (slot := program.numbers[place]) is not None}
    for out, operands in _steps(program):
        own = 0
        for slot in operands:
            own |= bits.get(slot, 0)
        if own:
            bits[out] = own
    return bits


def sweeps_are_few(programs: Sequence[Program], places: Sequence[int], by_rows: bool, most: int) -> bool:
    """Return whether all sweeps through programs pass at most so many operands, without those that are always 0.

    Args:
        programs: the programs.
        places: the places of the inputs.
        by_rows: whether the sweeps are those of the outputs, in reverse mode.
        most: the largest number of operands.
    """
    passed = sum(len(Instructions.of(program.instructions).operands) for program in programs)
    if passed > most:  # most of them depend on an input
        return False
    passed = 0
    for program in programs:
        inputs = dependencies(program, places)
        if not by_rows:
            passed += sum(inputs.get(slot, 0).bit_count() for _, operands in _steps(program) for slot in operands)
            continue
        outputs: dict[int, int] = {}
        for k, slot in enumerate(program.outputs):
            outputs[slot] = outputs.get(slot, 0) | 1 << k
        for out, operands in reversed(list(_steps(program))):
            own = outputs.get(out, 0)
            for slot in operands:
                if slot in inputs:
                    outputs[slot] = outputs.get(slot, 0) | own
                    passed += own.bit_count()
    return passed <= most


def _steps(program: Program) -> Iterator[tuple[int, list[int]]]:
    """Yield the slot of the result, and the slots of the operands, of each instruction."""
    steps = Instructions.of(program.instructions)
    starts, operands = steps.starts.tolist(), steps.operands.tolist()
    for out, start, end in zip(steps.outs.tolist(), starts, starts[1:]):
        yield out, operands[start:end]
