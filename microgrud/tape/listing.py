"""The recordings of a compiled function as text: inputs, parameters, and each instruction as a formula."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from ..common.checks import whole
from ..common.words import counted
from ..engine import Value, ops
from ..nn.module import Module, named_leaves
from .branches import Recording
from .building import LINEAR, as_ints
from .program import Instruction, Program, SlotGuard
from .recorder import TAKE
from .recordings import Recordings
from .signature import argument_names

#: Recordings that are listed, unless one of them is asked for.
_MOST_RECORDINGS = 8
#: The text between two operands; operators that bind as tightly as a product have no space around them.
_INFIX = {"+": " + ", "-": " - ", "*": "*", "/": " / ", "//": " // ", "%": " % ", "**": "**"}
_INFIX |= {symbol: f" {symbol} " for symbol in ("<", "<=", "==", "!=")}
#: Longer lists are shortened to their first and last items.
_MOST = 8


def shortened(texts: Sequence[str], most: int = _MOST) -> list[str]:
    """Return texts; if there are more than `most`, the first ones, how many are left out, and the last ones.

    >>> shortened(["a", "b", "c", "d", "e"], 4)
    ['a', 'b', '(2 more)', 'e']
    """
    if len(texts) <= most:
        return list(texts)
    first = (most - 1) * 2 // 3
    last = most - 1 - first
    return [*texts[:first], f"({len(texts) - first - last:,} more)", *texts[len(texts) - last :]]


def sum_of(terms: Sequence[str]) -> str:
    """Return the text of a sum; a term that begins with a minus sign is subtracted.

    >>> sum_of(["b", "w*x", "-2.0*y"])
    'b + w*x - 2.0*y'
    """
    text = terms[0] if terms else "0.0"
    for term in terms[1:]:
        text += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
    return text


class Formulas:
    """A recording with a name for each slot.

    Args:
        recording: the recording.
        signature: the signature of its arguments.
        arguments: the names of the positional arguments.
        model: a Module that names its parameters.
        names: more names for Values: a mapping. A label goes before all others.

    Attributes:
        program: the program of the recording.
        names: names by slots: of an argument or a parameter, a number, or `v7` for the result of the 7th instruction.
        inputs: the slots of the numbers and the integers of the arguments that are used.
        leaves: the slots of the Values that it reads, in the order in which it uses them.
        integers: the names of all integers of the arguments.

    Raises:
        TypeError: if the model has no parameters, or names is not a mapping.
    """

    def __init__(
        self, recording: Recording, signature: Hashable, arguments: Sequence[str], model: Any = None, names: Any = None
    ) -> None:
        self.recording, self.program = recording, recording.program
        program = self.program
        numbers, self.integers = argument_names(signature, arguments)
        slots = [*as_ints(program.numbers).tolist(), *as_ints(program.integers).tolist()]
        self.names = {slot: name for slot, name in zip(slots, [*numbers, *self.integers]) if slot >= 0}
        self.inputs = list(self.names)
        self.names |= {slot: repr(number) for slot, number in program.constants.items()}
        letter = _free_letter(set(self.names.values()))
        self.names |= {instruction.out: f"{letter}{k}" for k, instruction in enumerate(program.instructions, 1)}
        taken = dict.fromkeys(self.names.values(), 1)
        known = _known_names(model, names)
        self.leaves = _by_first_use(program)
        for k, slot in enumerate(self.leaves, 1):
            leaf = program.leaves[slot]
            name = " ".join(str(leaf.label or known.get(leaf, f"p{k}")).split())
            self.names[slot] = _one_of_its_own(name, taken)

    def operand(self, slot: int, tight: bool = False) -> str:
        """Return the name of a slot; a negative number in brackets, where the operation binds more tightly."""
        name = self.names[slot]
        return f"({name})" if tight and slot in self.program.constants and name.startswith("-") else name

    def terms(self, instruction: Instruction) -> list[str]:
        """Return the terms of a sum of products; a product with a number begins with the number."""
        terms = [self.operand(slot) for slot in instruction.operands[: instruction.plain]]
        for pair in zip(*instruction.pairs):
            x, y = sorted(pair, key=lambda slot: slot not in self.program.constants)
            terms.append(f"{self.operand(x)}*{self.operand(y, tight=True)}")
        return terms

    def formula(self, instruction: Instruction) -> str:
        """Return the formula of an instruction: `b + w*x`, `tanh(v1)`."""
        operation, operands = instruction.operation, instruction.operands
        if operation is LINEAR:
            return sum_of(shortened(self.terms(instruction)))
        if operation is ops.DOT:
            return sum_of(shortened(self.terms(Instruction(LINEAR, instruction.out, operands, 1))))
        if operation is TAKE:
            return f"take({self.listed(operands[1:])}, {self.operand(operands[0])})"
        if operation in (ops.SOFTMAX, ops.LOG_SOFTMAX):
            return f"{operation.name}({self.listed(operands[1:])})[{int(self.program.constants[operands[0]])}]"
        if len(operands) == 2 and operation.symbol in _INFIX:
            tight = operation.symbol != "+"
            return _INFIX[operation.symbol].join(self.operand(slot, tight) for slot in operands)
        if operation is ops.NEGATE:
            return f"-{self.operand(operands[0], tight=True)}"
        if operation.arity is None:
            return f"{operation.name}({self.listed(operands)})"
        return f"{operation.name}({', '.join(map(self.operand, operands))})"

    def listed(self, slots: Sequence[int]) -> str:
        """Return the names of slots in brackets."""
        return f"[{', '.join(shortened([self.operand(slot) for slot in slots]))}]"

    def guard(self, guard: SlotGuard) -> str:
        """Return the condition of a branch: `x > 0.0`, or `not x > 0.0`, which holds for NaN too."""
        test = f"{self.operand(guard.x)} {guard.symbol} {self.operand(guard.y)}"
        return test if guard.outcome else f"not {test}"

    def fixed(self) -> list[str]:
        """Return the conditions on integers."""
        return [f"{self.integers[place]} == {number}" for place, number in self.program.static_integers.items()]

    def outputs(self) -> list[str]:
        """Return the results of the function, each with its place in the structure."""
        structure = self.recording.structure
        texts = []
        parts = structure.split([self.operand(slot) for slot in self.program.outputs])
        for place, shape, names in zip(structure.paths, structure.shapes, parts):
            text = names[0] if shape is None else f"array([{', '.join(shortened(names))}])"
            texts.append(f"{place} = {text}" if place else text)
        return texts


def _by_first_use(program: Program) -> list[int]:
    """Return the slots of the leaves, in the order in which they are used."""
    used = (slot for instruction in program.instructions for slot in _in_order(instruction))
    return list(dict.fromkeys([*(slot for slot in used if slot in program.leaves), *program.leaves]))


def _in_order(instruction: Instruction) -> Iterator[int]:
    yield from instruction.operands[: instruction.plain]
    if instruction.operation is LINEAR:
        yield from itertools.chain.from_iterable(zip(*instruction.pairs))
    else:
        yield from instruction.operands[instruction.plain :]


def _known_names(model: Any, names: Any) -> dict[Value, str]:
    if model is not None and not hasattr(model, "named_parameters"):
        raise TypeError(f"model: expected a Module, got {type(model).__name__}")
    if names is not None and not isinstance(names, Mapping):
        raise TypeError(f"names: expected a mapping from Values to names, got {type(names).__name__}")
    named = [] if model is None else named_leaves(model) if isinstance(model, Module) else model.named_parameters()
    known = {parameter: name for name, parameter in named}
    return {**known, **(names or {})}


def _free_letter(names: set[str]) -> str:
    """Return a letter for results that, with a number after it, is not the name of an argument."""
    free = (x for x in "vtzus" if not any(name[0] == x and name[1:].isdigit() for name in names))
    return next(free, "_")


def _one_of_its_own(name: str, taken: dict[str, int]) -> str:
    """Return a name that nothing else has: of two Values with one label, the second gets a number.

    >>> taken: dict[str, int] = {}
    >>> [_one_of_its_own("w", taken) for _ in range(3)]
    ['w', 'w#2', 'w#3']
    """
    own = name
    while own in taken:
        taken[name] += 1
        own = f"{name}#{taken[name]}"
    taken[own] = 1
    return own


def listing(recordings: Recordings, path: int | None, limit: int | None, model: Any, names: Any) -> str:
    """Return the text; see `Compiled.listing`."""
    least = None if limit is None else whole(2)("listing: limit", limit)
    shown = chosen(recordings, path, model, names)
    name, batch = recordings.name, recordings.settings.batched
    if not shown:
        return f"{name}: nothing is recorded yet; call it once"
    batched = f", for each sample of {' and '.join(batch)}" if batch else ""
    lines: list[str] = []
    for number, formulas in list(shown.items())[:_MOST_RECORDINGS]:
        program = formulas.program
        lines += [
            f"{name}, recording {number} of {len(recordings.all())}: "
            f"{counted(program.nodes, 'node')} in {counted(len(program.instructions), 'instruction')}{batched}",
            *(f"  {line}" for line in _lines(formulas, least)),
        ]
    if len(shown) > _MOST_RECORDINGS:
        lines.append(f"{len(shown) - _MOST_RECORDINGS} more recordings: listing(path=...) shows any one of them")
    return "\n".join(lines)


def chosen(recordings: Recordings, path: int | None, model: Any = None, names: Any = None) -> dict[int, Formulas]:
    """Return recordings by their numbers, from 1: all of them, or the one with the number `path`.

    Raises:
        TypeError, ValueError: if there is none with this number.
    """
    found = dict(enumerate(recordings.all(), 1))
    if path is not None:
        number = whole(1)("path", path)
        if number not in found:
            raise ValueError(f"path: expected the number of one of {len(found)} recordings, got {number}")
        found = {number: found[number]}
    return {k: Formulas(own, signature, recordings.names, model, names) for k, (signature, own) in found.items()}


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
    """Return the instructions, each followed by the branches that depend on its result."""
    place = {instruction.out: k for k, instruction in enumerate(program.instructions, 1)}
    steps: list[tuple[int, Instruction | SlotGuard]] = [*enumerate(program.instructions, 1)]
    steps += [(max(place.get(guard.x, 0), place.get(guard.y, 0)), guard) for guard in program.guards]
    return [step for _, step in sorted(steps, key=lambda step: step[0])]


def _without_middle(lines: Sequence[Any], limit: int | None) -> Sequence[Any]:
    if limit is None or len(lines) <= limit:
        return lines
    first = (limit + 1) // 2
    last = limit - first
    left_out = f"... {len(lines) - limit:,} more lines ..."
    return [*lines[:first], left_out, *lines[len(lines) - last :]]
