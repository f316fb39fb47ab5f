"""A program for people: names for its slots, and each instruction as a formula."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..engine import Value, ops
from .family import Path
from .naming import argument_names
from .program import LINEAR, Instruction, Program, SlotGuard
from .recorder import TAKE

__all__ = ["Formulas", "counted", "shortened", "sum_of"]

#: What stands between two operands; what binds as tightly as a product has no space around it.
_INFIX = {"+": " + ", "-": " - ", "*": "*", "/": " / ", "//": " // ", "%": " % ", "**": "**"}
#: Of a longer list, the first and the last are written.
_MOST = 8


def counted(count: int, what: str) -> str:
    """Return a number with a noun.

    >>> counted(1, "node"), counted(2000, "node")
    ('1 node', '2,000 nodes')
    """
    return f"{count:,} {what}{'s' * (count != 1)}"


def shortened(texts: Sequence[str], most: int = _MOST) -> list[str]:
    """Return texts, or of very many the first, how many are left out, and the last.

    >>> shortened(["a", "b", "c", "d", "e"], 4)
    ['a', 'b', '(2 more)', 'e']
    """
    if len(texts) <= most:
        return list(texts)
    first = (most - 1) * 2 // 3
    last = most - 1 - first
    return [*texts[:first], f"({len(texts) - first - last:,} more)", *texts[len(texts) - last :]]


def sum_of(terms: Sequence[str]) -> str:
    """Write a sum, in which a term that begins with a minus sign is taken away.

    >>> sum_of(["b", "w*x", "-2.0*y"])
    'b + w*x - 2.0*y'
    """
    text = terms[0] if terms else "0.0"
    for term in terms[1:]:
        text += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
    return text


@dataclass
class Formulas:
    """A recording with a name for each slot.

    Attributes:
        path: the recording.
        names: by slot: of an argument, of a parameter, a number, or `v7` for what the seventh instruction gives.
        inputs: the slots of the numbers and the integers of the arguments that are used.
        leaves: the slots of the Values that it reads, in the order in which it uses them.
        integers: what all integers of the arguments are called.
    """

    path: Path
    names: dict[int, str] = field(default_factory=dict)
    inputs: list[int] = field(default_factory=list)
    leaves: list[int] = field(default_factory=list)
    integers: list[str] = field(default_factory=list)

    @property
    def program(self) -> Program:
        """Return what is written."""
        return self.path.program

    def operand(self, slot: int, tight: bool = False) -> str:
        """Return the name of a slot; of a number below 0 in brackets, where an operation binds more tightly."""
        name = self.names[slot]
        return f"({name})" if tight and slot in self.program.constants and name.startswith("-") else name

    def terms(self, instruction: Instruction) -> list[str]:
        """Return the terms of a sum of products; products with a number begin with it."""
        terms = [self.operand(slot) for slot in instruction.operands[: instruction.plain]]
        for pair in zip(*instruction.pairs):
            x, y = sorted(pair, key=lambda slot: slot not in self.program.constants)
            terms.append(f"{self.operand(x)}*{self.operand(y, tight=True)}")
        return terms

    def formula(self, instruction: Instruction) -> str:
        """Return what an instruction computes: `b + w*x`, `tanh(v1)`."""
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
        """Return names in brackets."""
        return f"[{', '.join(shortened([self.operand(slot) for slot in slots]))}]"

    def guard(self, guard: SlotGuard) -> str:
        """Return what a branch takes: `x > 0.0`, or `not x > 0.0`, which holds for NaN too."""
        test = f"{self.operand(guard.x)} {guard.symbol} {self.operand(guard.y)}"
        return test if guard.outcome else f"not {test}"

    def fixed(self) -> list[str]:
        """Return what integers have to be."""
        return [f"{self.integers[place]} == {number}" for place, number in self.program.static_integers.items()]

    def outputs(self) -> list[str]:
        """Return what the function returns, each part with its place."""
        structure = self.path.structure
        texts = []
        parts = structure.split([self.operand(slot) for slot in self.program.outputs])
        for place, shape, names in zip(structure.paths, structure.shapes, parts):
            text = names[0] if shape is None else f"array([{', '.join(shortened(names))}])"
            texts.append(f"{place} = {text}" if place else text)
        return texts

    @staticmethod
    def of(path: Path, signature: Hashable, arguments: Sequence[str], model: Any = None, names: Any = None) -> Formulas:
        """Give names to the slots of a recording.

        Args:
            path: the recording.
            signature: of its arguments.
            arguments: what the positional arguments are called.
            model: a Module whose parameters have the names that it gives them.
            names: more names for Values: a mapping. A label goes before all others.

        Raises:
            TypeError: for a model without parameters, or names that are no mapping.
        """
        program = path.program
        number_names, integer_names = argument_names(signature, arguments)
        formulas = Formulas(path, integers=integer_names)
        for slots, own in ((program.numbers, number_names), (program.integers, integer_names)):
            for slot, name in zip(slots, own):
                if slot is not None:
                    formulas.names[slot] = name
                    formulas.inputs.append(slot)
        for slot, number in program.constants.items():
            formulas.names[slot] = repr(number)
        results = [instruction.out for instruction in program.instructions]
        letter = _free_letter(set(formulas.names.values()))
        formulas.names.update({slot: f"{letter}{k}" for k, slot in enumerate(results, 1)})
        taken = dict.fromkeys(formulas.names.values(), 1)
        known = _known_names(model, names)
        formulas.leaves = _by_first_use(program)
        for k, slot in enumerate(formulas.leaves, 1):
            leaf = program.leaves[slot]
            name = _one_of_its_own(" ".join(str(leaf.label or known.get(leaf, f"p{k}")).split()), taken)
            formulas.names[slot] = name
        return formulas


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
    known = {} if model is None else {parameter: name for name, parameter in model.named_parameters()}
    return {**known, **(names or {})}


def _free_letter(names: set[str]) -> str:
    """Return a letter for results, which with a number behind it is no argument's name."""
    free = (x for x in "vtzus" if not any(name[0] == x and name[1:].isdigit() for name in names))
    return next(free, "_")


def _one_of_its_own(name: str, taken: dict[str, int]) -> str:
    """Return a name that nothing else has: that of two Values with one label, the second has a number.

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
