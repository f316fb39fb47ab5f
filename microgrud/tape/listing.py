"""The recordings of a compiled function as text: inputs, parameters, and what is computed from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..common.checks import whole
from .copies import name_of
from .formulas import Formulas, counted, shortened
from .program import Instruction, Program, SlotGuard

if TYPE_CHECKING:
    from .compiled import Compiled

__all__ = ["chosen", "listing"]

#: Of recordings that are listed, where no one asks for a certain one.
_MOST_RECORDINGS = 8


def listing(compiled: Compiled, path: int | None, limit: int | None, model: Any, names: Any) -> str:
    """Return the text; see `Compiled.listing`."""
    least = None if limit is None else whole(2)("listing: limit", limit)
    recordings = chosen(compiled, path, model, names)
    name = name_of(compiled.function)
    if not recordings:
        return f"{name}: nothing is recorded yet; call it once"
    batched = f", for each sample of {' and '.join(compiled.batched)}" if compiled.batched else ""
    lines: list[str] = []
    for number, formulas in list(recordings.items())[:_MOST_RECORDINGS]:
        program = formulas.program
        lines += [
            f"{name}, recording {number} of {len(compiled._recordings())}: "
            f"{counted(program.nodes, 'node')} in {counted(len(program.instructions), 'instruction')}{batched}",
            *(f"  {line}" for line in _lines(formulas, least)),
        ]
    if len(recordings) > _MOST_RECORDINGS:
        lines.append(f"{len(recordings) - _MOST_RECORDINGS} more recordings: listing(path=...) shows any one of them")
    return "\n".join(lines)


def chosen(compiled: Compiled, path: int | None, model: Any = None, names: Any = None) -> dict[int, Formulas]:
    """Return recordings by their numbers, from 1: all of them, or the one that is asked for.

    Raises:
        TypeError, ValueError: if there is none of this number.
    """
    recordings = compiled._recordings()
    numbers = range(1, len(recordings) + 1)
    if path is not None:
        number = whole(1)("path", path)
        if number > len(recordings):
            raise ValueError(f"path: expected the number of one of {len(recordings)} recordings, got {number}")
        numbers = range(number, number + 1)
    signed = [(number, *recordings[number - 1]) for number in numbers]
    return {number: Formulas.of(own, signature, compiled._names, model, names) for number, signature, own in signed}


def _lines(formulas: Formulas, limit: int | None) -> Iterator[str]:
    program = formulas.program
    if formulas.inputs:
        yield f"inputs      {', '.join(shortened([formulas.operand(slot) for slot in formulas.inputs]))}"
    if program.leaves:
        named = [f"{formulas.operand(slot)} = {program.leaves[slot].data:.6g}" for slot in formulas.leaves]
        yield f"parameters  {', '.join(shortened(named, 6))}"
    if program.constants:
        yield f"constants   {', '.join(shortened([formulas.operand(slot) for slot in program.constants]))}"
    for line in _without_middle([*(f"requires {test}" for test in formulas.fixed()), *_steps(program)], limit):
        if isinstance(line, Instruction):
            yield f"{formulas.operand(line.out)} = {formulas.formula(line)}"
        elif isinstance(line, SlotGuard):
            yield f"requires {formulas.guard(line)}"
        else:
            yield line
    yield f"returns {', '.join(shortened(formulas.outputs()))}"


def _steps(program: Program) -> list[Instruction | SlotGuard]:
    """Return the instructions, and behind them the branches that hang on what they give."""
    place = {instruction.out: k for k, instruction in enumerate(program.instructions, 1)}
    tests: dict[int, list[SlotGuard]] = {}
    for guard in program.guards:
        tests.setdefault(max(place.get(guard.x, 0), place.get(guard.y, 0)), []).append(guard)
    steps: list[Instruction | SlotGuard] = [*tests.pop(0, [])]
    for k, instruction in enumerate(program.instructions, 1):
        steps.append(instruction)
        steps += tests.get(k, [])
    return steps


def _without_middle(lines: Sequence[Any], limit: int | None) -> Sequence[Any]:
    if limit is None or len(lines) <= limit:
        return lines
    first = (limit + 1) // 2
    last = limit - first
    left_out = f"... {len(lines) - limit:,} more lines ..."
    return [*lines[:first], left_out, *lines[len(lines) - last :]]
