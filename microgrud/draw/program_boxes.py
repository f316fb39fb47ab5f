"""Boxes for a recording: its arguments, parameters and instructions, folded if there are many.

Each instruction, also a sum of products, is one box with its formula. If there are too many boxes, parameters move into
the boxes that use them. If there are still too many, the instructions of one kind at one level become one box, and so
do the arguments. Finally, one box that counts them stands for the boxes in the middle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..common.words import counted
from ..engine.ops import LOG_SOFTMAX, SOFTMAX
from ..tape.building import LINEAR
from ..tape.listing import Formulas
from ..tape.program import Instruction
from ..tape.recorder import TAKE
from .style import short
from .value_graph import Kind

#: The degrees of folding, each with fewer boxes than the one before.
FOLDS = ("nothing", "parameters", "layers")
#: Parameters have boxes of their own if an instruction with at most this many of them uses them.
_MOST_PARAMETERS = 8
#: Maximum number of branches drawn; the others are counted.
_MOST_GUARDS = 12
#: The longest formula that is written out; a longer one is described by its operands.
_LONGEST = 40


@dataclass(eq=False)
class ProgramBox:
    """A box of the picture.

    Attributes:
        kind: the kind of the values that it stands for.
        title: the name of the first value, or of all of them.
        lines: the lines of text below the title.
        level: the largest number of instructions between it and the arguments.
        slots: the slots of the values that it stands for.
        uses: the boxes whose values it uses, and the number of uses.
        instruction: the instruction whose formula it shows.
    """

    kind: Kind
    title: str
    lines: list[str]
    level: int
    slots: list[int]
    uses: Counter[ProgramBox] = field(default_factory=Counter)
    instruction: Instruction | None = None


@dataclass
class ProgramView:
    """The boxes and branches that are drawn of a recording.

    Attributes:
        boxes: the boxes in the order of their levels.
        guards: the branches, each with the boxes of the values that it compares.
    """

    boxes: list[ProgramBox]
    guards: list[tuple[str, list[ProgramBox]]]


def program_view(
    formulas: Formulas, folds: Sequence[str], max_nodes: int, digits: int, all_leaves: bool = False
) -> ProgramView:
    """Choose the boxes: at most `max_nodes`, and one for those that are left out.

    Args:
        formulas: the recording.
        folds: some of `FOLDS`, of which the first that fits is taken.
        max_nodes: the most boxes.
        digits: the number of significant digits of parameters.
        all_leaves: whether each leaf has a box of its own if nothing is folded.
    """
    if len(folds) > 1 and len(formulas.program.instructions) > max_nodes:
        folds = folds[-1:]
    for chosen in folds:
        view = _with_fewer_guards(_Folding(formulas, chosen, digits, all_leaves).view, _MOST_GUARDS)
        if len(view.boxes) + len(view.guards) <= max_nodes:
            return view
    if len(view.boxes) > max_nodes:
        view = _without_middle(view, max_nodes)
    return _with_fewer_guards(view, max(1, min(_MOST_GUARDS, max_nodes // 2)))


class _Folding:
    def __init__(self, formulas: Formulas, fold: str, digits: int, all_leaves: bool) -> None:
        self.formulas, self.fold = formulas, fold
        self.outputs = set(formulas.program.outputs)
        self.box_of: dict[int, ProgramBox] = {}  # by slot
        self.levels: dict[int, int] = {}
        self.view = ProgramView([], [])
        self.add_inputs()
        if fold == "nothing":
            drawn = set(formulas.leaves) if all_leaves else self.leaves_of_their_own()
            for slot in formulas.leaves:
                if slot in drawn:
                    number = short(formulas.program.leaves[slot].data, digits)
                    self.add(ProgramBox(Kind.PARAMETER, formulas.operand(slot), [number], 0, [slot]))
        for instruction, slots in self.groups():
            self.add(self.instructions(instruction, slots))
        self.add_returns()
        self.join()
        self.view.boxes.sort(key=lambda box: box.level)
        self.add_guards()

    def add(self, box: ProgramBox) -> None:
        self.view.boxes.append(box)
        self.box_of.update(dict.fromkeys(box.slots, box))

    def add_inputs(self) -> None:
        slots = list(self.formulas.inputs)
        names = [self.formulas.operand(slot) for slot in slots]
        if self.fold == "layers" and len(slots) > 1:
            text = ", ".join(names)
            line = text if len(text) <= _LONGEST else f"{names[0]} to {names[-1]}"
            self.add(ProgramBox(Kind.INPUT, f"{len(slots):,} inputs", [line], 0, slots))
        else:
            for slot, name in zip(slots, names):
                self.add(ProgramBox(Kind.INPUT, name, [], 0, [slot]))

    def leaves_of_their_own(self) -> set[int]:
        """Return the leaves that an instruction with few leaves or a branch uses, or that are returned."""
        program = self.formulas.program
        drawn = {*program.outputs, *(slot for guard in program.guards for slot in (guard.x, guard.y))}
        for instruction in program.instructions:
            own = program.leaves.keys() & set(instruction.operands)
            if len(own) <= _MOST_PARAMETERS:
                drawn |= own
        return drawn

    def groups(self) -> Iterable[tuple[Instruction, list[int]]]:
        """Return for each box of instructions the first of them, and the slots of the results of all."""
        found: dict[Any, tuple[Instruction, list[int]]] = {}
        for instruction in self.formulas.program.instructions:
            level = 1 + max((self.levels.get(slot, 0) for slot in instruction.operands), default=0)
            self.levels[instruction.out] = level
            kind = (level, instruction.operation, instruction.out in self.outputs)
            key = kind if self.fold == "layers" else instruction.out
            found.setdefault(key, (instruction, []))[1].append(instruction.out)
        return found.values()

    def instructions(self, instruction: Instruction, slots: list[int]) -> ProgramBox:
        names = [self.formulas.operand(slot) for slot in slots]
        kind = Kind.ROOT if instruction.out in self.outputs else Kind.RESULT
        level = self.levels[instruction.out]
        if len(slots) == 1:
            return ProgramBox(kind, names[0], [], level, slots, instruction=instruction)
        operation = "sums of products" if instruction.operation is LINEAR else instruction.operation.name
        return ProgramBox(kind, f"{names[0]} to {names[-1]}", [f"{len(slots):,} {operation}"], level, slots)

    def add_returns(self) -> None:
        """Add a box for each returned value that no instruction computes: an argument or a number."""
        deepest = max(self.levels.values(), default=0)
        for slot in sorted(self.outputs - self.levels.keys(), key=self.formulas.program.outputs.index):
            box = ProgramBox(Kind.ROOT, "returned", [self.formulas.operand(slot)], deepest + 1, [])
            if slot in self.box_of:
                box.uses[self.box_of[slot]] = 1
            self.view.boxes.append(box)

    def join(self) -> None:
        """Count for each box the uses of other boxes, and the parameters that have no box."""
        unseen: dict[ProgramBox, set[int]] = {}
        leaves = self.formulas.program.leaves
        for instruction in self.formulas.program.instructions:
            box = self.box_of[instruction.out]
            for slot in instruction.operands:
                maker = self.box_of.get(slot)
                if maker is not None and maker is not box:
                    box.uses[maker] += 1
                elif slot in leaves:
                    unseen.setdefault(box, set()).add(slot)
        for box, slots in unseen.items():
            box.lines.append(counted(len(slots), "parameter"))

    def add_guards(self) -> None:
        """Add the branches; if layers are folded, one for all branches that compare the same boxes."""
        found: dict[Any, list[str]] = {}
        for k, guard in enumerate(self.formulas.program.guards):
            boxes = tuple(dict.fromkeys(self.box_of[slot] for slot in (guard.x, guard.y) if slot in self.box_of))
            found.setdefault((boxes, None if self.fold == "layers" else k), []).append(self.formulas.guard(guard))
        for (boxes, _), texts in found.items():
            self.view.guards.append((texts[0] if len(texts) == 1 else counted(len(texts), "condition"), list(boxes)))


def formula_of(formulas: Formulas, instruction: Instruction) -> str:
    """Return the formula of an instruction, or a description of its operands if the formula is long."""
    text = formulas.formula(instruction)
    if len(text) <= _LONGEST:
        return text
    if instruction.operation is not LINEAR:
        index = instruction.operation in (TAKE, SOFTMAX, LOG_SOFTMAX)
        return f"{instruction.operation.name} of {len(instruction.operands) - index:,}"
    products = len(instruction.pairs[0])
    parts = [counted(instruction.plain, "term")] if instruction.plain else []
    parts += [counted(products, "product")] if products else []
    return f"sum of {' and '.join(parts)}"


def _without_middle(view: ProgramView, most: int) -> ProgramView:
    """Replace the boxes in the middle by one that counts them."""
    first = (most + 1) // 2
    last = len(view.boxes) - (most - first)
    middle = view.boxes[first:last]
    instructions = sum(len(box.slots) for box in middle if box.kind in (Kind.RESULT, Kind.ROOT))
    others = Counter(box.kind.value for box in middle if box.kind in (Kind.INPUT, Kind.PARAMETER))
    lines = [counted(instructions, "instruction"), *(counted(count, kind) for kind, count in others.items())]
    rest = ProgramBox(Kind.LEAF, "not drawn", lines, middle[0].level, [])
    hidden = set(middle)
    for box in view.boxes:
        uses, box.uses = box.uses, Counter()
        for maker, count in uses.items():
            own, tail = (rest if x in hidden else x for x in (box, maker))
            if own is not tail:
                own.uses[tail] += count
    shown = [(text, boxes) for text, boxes in view.guards if hidden.isdisjoint(boxes)]
    if len(shown) < len(view.guards):
        rest.lines.append(counted(len(view.guards) - len(shown), "condition"))
    return ProgramView([*view.boxes[:first], rest, *view.boxes[last:]], shown)


def _with_fewer_guards(view: ProgramView, most: int) -> ProgramView:
    """Return a view with at most `most` branches, the last of which counts those left out."""
    if len(view.guards) <= most:
        return view
    left_out: tuple[str, list[ProgramBox]] = (f"{len(view.guards) - most + 1:,} more conditions", [])
    return ProgramView(view.boxes, [*view.guards[: most - 1], left_out])


def heading_lines(name: str, number: int, count: int, formulas: Formulas) -> list[str]:
    """Return the lines below the picture of a recording."""
    program = formulas.program
    recording = f"{name}, recording {number} of {count}" if count > 1 else name
    figures = f"{counted(program.nodes, 'node')} in {counted(len(program.instructions), 'instruction')}"
    fixed = [f"requires {condition}" for condition in formulas.fixed()]
    if len(fixed) > 4:
        fixed[3:] = [f"and {len(fixed) - 3} more integers"]
    return [f"{recording}: {figures}", *fixed]
