"""What there is to draw of a recording: boxes for arguments, parameters and instructions, folded where there are many.

An instruction is one box, a sum of products too, with its formula. Where all boxes are more than there may be,
parameters go into the boxes that use them; then instructions of one kind at one level become one box, and the arguments
another; and then what lies in the middle is one box that says how much it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..engine.ops import LOG_SOFTMAX, SOFTMAX
from ..tape.listing import Formulas
from ..tape.program import LINEAR, Instruction
from ..tape.recorder import TAKE
from ..tape.recordings import counted
from .graph import Kind
from .style import short

#: Ways to fold, each with fewer boxes than the one before.
WAYS = ("nothing", "parameters", "layers")
#: A parameter that no one uses but instructions with more of them than this is in their boxes.
_MOST_PARAMETERS = 8
#: Of more branches than this, the others are counted.
_MOST_TESTS = 12
#: How long a formula may be; a longer one says what it is of.
_LONGEST = 40


@dataclass(eq=False)
class ProgramBox:
    """A box of the picture.

    Attributes:
        kind: what it stands for.
        title: what it is called.
        lines: what else it says.
        level: how many instructions lie at most between it and the arguments.
        slots: those that it stands for.
        uses: from which boxes it takes how many numbers.
        instruction: the one whose formula it shows.
    """

    kind: Kind
    title: str
    lines: list[str]
    level: int
    slots: list[int]
    uses: dict[ProgramBox, int] = field(default_factory=dict)
    instruction: Instruction | None = None


@dataclass
class ProgramView:
    """What is drawn of a recording.

    Attributes:
        boxes: in the order of their levels.
        tests: branches, each with the boxes that it looks at.
    """

    boxes: list[ProgramBox]
    tests: list[tuple[str, list[ProgramBox]]]


def program_view(formulas: Formulas, fold: str | None, max_nodes: int, digits: int) -> ProgramView:
    """Choose the boxes, so that there are no more than `max_nodes`, but for one for what is left out.

    Args:
        formulas: the recording.
        fold: one of the ways; None for the first that fits.
        max_nodes: how many boxes there may be.
        digits: of the numbers of parameters.
    """
    view = _chosen_view(formulas, fold, max_nodes, digits)
    for box in view.boxes:
        if box.instruction is not None:
            box.lines.insert(0, formula_of(formulas, box.instruction))
    return view


def _chosen_view(formulas: Formulas, fold: str | None, max_nodes: int, digits: int) -> ProgramView:
    ways = WAYS if fold is None else (fold,)
    if fold is None and len(formulas.program.instructions) > max_nodes:
        ways = WAYS[-1:]
    for way in ways:
        view = _with_fewer_tests(_Folding(formulas, way, digits, all_leaves=fold is not None).view, _MOST_TESTS)
        if len(view.boxes) + len(view.tests) <= max_nodes:
            return view
    if len(view.boxes) > max_nodes:
        view = _without_middle(view, max_nodes)
    return _with_fewer_tests(view, max(1, min(_MOST_TESTS, max_nodes // 2)))


class _Folding:
    def __init__(self, formulas: Formulas, way: str, digits: int, all_leaves: bool) -> None:
        self.formulas, self.way, self.digits = formulas, way, digits
        self.outputs = set(formulas.program.outputs)
        self.of: dict[int, ProgramBox] = {}  # by slot
        self.levels: dict[int, int] = {}
        self.view = ProgramView([], [])
        self.add_inputs()
        if way == "nothing":
            drawn = set(formulas.leaves) if all_leaves else self.leaves_of_their_own()
            for slot in formulas.leaves:
                if slot in drawn:
                    self.add(self.leaf(slot))
        for instruction, slots in self.groups():
            self.add(self.steps(instruction, slots))
        self.add_returns()
        self.join()
        self.view.boxes.sort(key=lambda box: box.level)
        self.add_tests()

    def add(self, box: ProgramBox) -> None:
        self.view.boxes.append(box)
        self.of.update(dict.fromkeys(box.slots, box))

    def add_inputs(self) -> None:
        slots = self.formulas.inputs
        if self.way == "layers" and len(slots) > 1:
            names = [self.formulas.operand(slot) for slot in slots]
            lines = [", ".join(names)] if len(", ".join(names)) <= _LONGEST else [f"{names[0]} to {names[-1]}"]
            self.add(ProgramBox(Kind.INPUT, f"{len(slots):,} inputs", lines, 0, list(slots)))
            return
        for slot in slots:
            self.add(ProgramBox(Kind.INPUT, self.formulas.operand(slot), [], 0, [slot]))

    def leaves_of_their_own(self) -> set[int]:
        """Return the leaves that an instruction with few of them uses, or a branch, or that are returned."""
        program = self.formulas.program
        drawn = {*program.outputs, *(slot for guard in program.guards for slot in (guard.x, guard.y))}
        for instruction in program.instructions:
            own = program.leaves.keys() & set(instruction.operands)
            if len(own) <= _MOST_PARAMETERS:
                drawn |= own
        return drawn

    def leaf(self, slot: int) -> ProgramBox:
        number = short(self.formulas.program.leaves[slot].data, self.digits)
        return ProgramBox(Kind.PARAMETER, self.formulas.operand(slot), [number], 0, [slot])

    def groups(self) -> Iterable[tuple[Instruction, list[int]]]:
        """Return the instructions that have a box, the first of those in it, and the slots of their results."""
        found: dict[Any, tuple[Instruction, list[int]]] = {}
        for instruction in self.formulas.program.instructions:
            level = 1 + max((self.levels.get(slot, 0) for slot in instruction.operands), default=0)
            self.levels[instruction.out] = level
            alike = (level, instruction.operation, instruction.out in self.outputs)
            key = alike if self.way == "layers" else instruction.out
            found.setdefault(key, (instruction, []))[1].append(instruction.out)
        return found.values()

    def steps(self, instruction: Instruction, slots: list[int]) -> ProgramBox:
        names = [self.formulas.operand(slot) for slot in slots]
        kind = Kind.ROOT if instruction.out in self.outputs else Kind.RESULT
        level = self.levels[instruction.out]
        if len(slots) == 1:
            return ProgramBox(kind, names[0], [], level, slots, instruction=instruction)
        what = "sums of products" if instruction.operation is LINEAR else instruction.operation.name
        return ProgramBox(kind, f"{names[0]} to {names[-1]}", [f"{len(slots):,} {what}"], level, slots)

    def add_returns(self) -> None:
        """Add a box for what the function returns as it is, without an instruction: an argument, a number."""
        computed = {instruction.out for instruction in self.formulas.program.instructions}
        others = [slot for slot in dict.fromkeys(self.formulas.program.outputs) if slot not in computed]
        deepest = max(self.levels.values(), default=0)
        for slot in others:
            box = ProgramBox(Kind.ROOT, "returned", [self.formulas.operand(slot)], deepest + 1, [])
            if slot in self.of:
                box.uses[self.of[slot]] = 1
            self.view.boxes.append(box)

    def join(self) -> None:
        """Note what each box takes its numbers from, and how many parameters without a box."""
        unseen: dict[ProgramBox, set[int]] = {}
        leaves = self.formulas.program.leaves
        for instruction in self.formulas.program.instructions:
            box = self.of[instruction.out]
            for slot in instruction.operands:
                maker = self.of.get(slot)
                if maker is not None and maker is not box:
                    box.uses[maker] = box.uses.get(maker, 0) + 1
                elif slot in leaves:
                    unseen.setdefault(box, set()).add(slot)
        for box, slots in unseen.items():
            box.lines.append(counted(len(slots), "parameter"))

    def add_tests(self) -> None:
        """Add the branches; where boxes stand for many, one for all that look at the same ones."""
        found: dict[Any, list[str]] = {}
        for k, guard in enumerate(self.formulas.program.guards):
            looked_at = tuple(dict.fromkeys(self.of[slot] for slot in (guard.x, guard.y) if slot in self.of))
            found.setdefault(looked_at if self.way == "layers" else (*looked_at, k), []).append(
                self.formulas.guard(guard)
            )
        for key, texts in found.items():
            boxes = [x for x in key if isinstance(x, ProgramBox)]
            self.view.tests.append((texts[0] if len(texts) == 1 else counted(len(texts), "condition"), boxes))


def formula_of(formulas: Formulas, instruction: Instruction) -> str:
    """Return the formula of an instruction, or of a long one what it is of."""
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
    """Put the boxes in the middle into one."""
    first = (most + 1) // 2
    last = len(view.boxes) - (most - first)
    middle = view.boxes[first:last]
    instructions = sum(len(box.slots) for box in middle if box.kind in (Kind.RESULT, Kind.ROOT))
    others = Counter(box.kind.value for box in middle if box.kind in (Kind.INPUT, Kind.PARAMETER))
    lines = [counted(instructions, "instruction"), *(counted(count, kind) for kind, count in others.items())]
    rest = ProgramBox(Kind.LEAF, "not drawn", lines, middle[0].level, [])
    hidden = set(middle)

    for box in view.boxes:
        uses, box.uses = box.uses, {}
        for maker, count in uses.items():
            own, tail = (rest if x in hidden else x for x in (box, maker))
            if own is not tail:
                own.uses[tail] = own.uses.get(tail, 0) + count
    shown = [(text, looked_at) for text, looked_at in view.tests if hidden.isdisjoint(looked_at)]
    if len(shown) < len(view.tests):
        rest.lines.append(counted(len(view.tests) - len(shown), "condition"))
    return ProgramView([*view.boxes[:first], rest, *view.boxes[last:]], shown)


def _with_fewer_tests(view: ProgramView, most: int) -> ProgramView:
    """Count the branches that are too many to be drawn."""
    if len(view.tests) <= most:
        return view
    left_out: tuple[str, list[ProgramBox]] = (f"{len(view.tests) - most + 1:,} more conditions", [])
    return ProgramView(view.boxes, [*view.tests[: most - 1], left_out])


def heading(name: str, number: int, count: int, formulas: Formulas) -> list[str]:
    """Return what stands below a recording."""
    program = formulas.program
    which = f"{name}, recording {number} of {count}" if count > 1 else name
    figures = f"{counted(program.nodes, 'node')} in {counted(len(program.instructions), 'instruction')}"
    return [f"{which}: {figures}", *(f"requires {test}" for test in _few(formulas.fixed()))]


def _few(texts: Sequence[str], most: int = 4) -> list[str]:
    return list(texts) if len(texts) <= most else [*texts[: most - 1], f"and {len(texts) - most + 1} more integers"]
