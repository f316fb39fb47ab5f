"""Random programs that mix kinds of Python code: data-dependent branches and loops, sorting, errors, containers, ...

A program is drawn statement by statement. Each statement is first run on floats at three points. It is dropped if, at
one of them, it leaves the domain of an operation, comes too close to a jump or a kink (0.05 unless its kind says
otherwise), or gives a number of size above 10. A failing test prints the source of the program, which can be pasted
and run.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from agreement_programs import IGNORED, PICKLED
from agreement_truth import Program, Refusal

import microgrud
from microgrud.testing import MOVES
from microgrud.testing.expressions import LARGEST, Move

#: The imports of a program.
HEADER = """import dataclasses
import functools
import itertools
import operator

import numpy as np

import microgrud as mg


@dataclasses.dataclass
class Pair:
    x: object
    y: object

    def product(self):
        return self.x * self.y
"""

_MARGIN = 0.05
_MOVES = [move for name, move in MOVES.items() if name != "round"]  # the builtin does not take mpmath numbers

#: The source lines of a statement, and the source of conditions that must hold at every point.
Snippet = tuple[list[str], list[str]]


@dataclasses.dataclass
class _Draft:
    """A partly drawn program: its lines, the names of its numbers, and their values at each point."""

    rng: random.Random
    lines: list[str]
    names: list[str]
    scopes: list[dict[str, Any]]
    count: int = 0

    def new(self) -> str:
        """Return a name that is not in use."""
        self.count += 1
        return f"v{self.count}"

    def pick(self) -> str:
        """Return the name of a number, usually a recent one."""
        return self.rng.choice(self.names[-3:] if self.rng.random() < 0.6 else self.names)

    def several(self, count: int) -> list[str]:
        """Return `count` different names of numbers, or all names if there are fewer."""
        return self.rng.sample(self.names, min(count, len(self.names)))

    def operation(self) -> str:
        """Return an operation on numbers that is well inside its domain at every point."""
        while True:
            move = self.rng.choice(_MOVES)
            operands = [self.pick() for _ in range(move.arity)]
            if all(_fits(move, [scope[name] for name in operands]) for scope in self.scopes):
                return code_of(move).format(*operands)

    def add(self, kind: Callable[[_Draft, str], Snippet]) -> bool:
        """Add a statement that computes a new number, unless it is unsuitable at some point."""
        name = self.new()
        lines, conditions = kind(self, name)
        source, scopes = "\n".join(lines), [dict(scope) for scope in self.scopes]
        for scope in scopes:
            try:
                exec(source, scope)
                good = all(eval(condition, scope) for condition in conditions)
            except (ArithmeticError, ValueError):
                return False
            number = scope[name]
            if not good or not isinstance(number, float) or not abs(number) <= LARGEST:
                return False
        self.lines += lines
        self.names.append(name)
        self.scopes = scopes
        return True


def _fits(move: Move, numbers: Sequence[float]) -> bool:
    return move.accepts(*numbers) and abs(move.function(*numbers)) <= LARGEST


@functools.cache
def code_of(move: Move) -> str:
    """Return the source of an operation, with `mg.` before each function of microgrud."""
    return re.sub(r"\b([a-z_]\w*)\(", lambda m: f"mg.{m[0]}" if hasattr(microgrud, m[1]) else m[0], move.code)


def apart(*expressions: str) -> list[str]:
    """Return the conditions under which every two of these numbers differ by at least the margin."""
    return [f"abs({a} - {b}) >= {_MARGIN}" for a, b in itertools.combinations(expressions, 2)]


# --- kinds of statements --------------------------------------------------------------------------------------------


def _plain(draft: _Draft, name: str) -> Snippet:
    return [f"{name} = {draft.operation()}"], []


def _branch(draft: _Draft, name: str) -> Snippet:
    a, b = draft.pick(), draft.pick()
    threshold = f"{draft.rng.uniform(-1.0, 1.0):.2f}"
    lines = [
        f"if {a} {draft.rng.choice('<>')} {threshold}:",
        f"    {name} = {draft.operation()}",
        f"elif {a} >= {b}:" if a != b else f"elif {a} < 5.0:",
        f"    {name} = {draft.operation()}",
        "else:",
        f"    {name} = {draft.operation()}",
    ]
    return lines, apart(a, threshold) + (apart(a, b) if a != b else apart(a, "5.0"))


def _conditional(draft: _Draft, name: str) -> Snippet:
    a, b, c = draft.pick(), draft.pick(), draft.pick()
    return [f"{name} = {a} if -0.5 < {b} <= 1.2 else {c} * 0.5"], apart(b, "-0.5") + apart(b, "1.2")


def _while(draft: _Draft, name: str) -> Snippet:
    a, b = draft.pick(), draft.pick()
    lines = [
        f"{name}, size = {b} * 1.0, {a}",
        "while mg.abs(size) > 0.6:",
        "    size = size * 0.5",
        f"    {name} = {name} * 0.7 + size",
    ]
    return lines, [f"all(abs(abs({a}) * 0.5**k - 0.6) >= 0.02 for k in range(8))"]


def _for(draft: _Draft, name: str) -> Snippet:
    own = draft.several(3)
    lines = [
        f"{name} = 0.0",
        f"for i, u in enumerate([{', '.join(own)}]):",
        "    if u < -0.4:",
        f"        {draft.rng.choice(('continue', 'break'))}",
        f"    {name} = {name} * 0.5 + mg.tanh(u) * (i + 1)",
    ]
    return lines, [condition for u in own for condition in apart(u, "-0.4")]


def _sorted(draft: _Draft, name: str) -> Snippet:
    own = draft.several(3)
    given = f"[{', '.join(own)}]"
    written = draft.rng.choice(
        (
            [f"order = sorted({given})"],
            [f"order = sorted({given}, key=lambda u: -u)"],
            [f"order = {given}", "order.sort(reverse=True)"],
        )
    )
    return [*written, f"{name} = order[0] - order[-1] * 0.5 + order[len(order) // 2] * 0.25"], apart(*own)


def _choice(draft: _Draft, name: str) -> Snippet:
    own = draft.several(3)
    chosen = draft.rng.choice(("min", "max"))
    conditions = apart(*own) + apart(*[f"abs({u} - 0.3)" for u in own])
    given = f"[{', '.join(own)}]"
    return [f"{name} = {chosen}({given}, key=lambda u: mg.abs(u - 0.3)) + 0.5 * {chosen}({given})"], conditions


def _comparisons(draft: _Draft, name: str) -> Snippet:
    a, b, c = draft.pick(), draft.pick(), draft.pick()
    written = draft.rng.choice(
        (
            f"({a} < {b}) * {c} + ({b} >= {c}) * 0.5 - ({a} != {c}) * {a}",
            f"mg.where(({a} < {b}) & ({c} > 0.1) | ({a} > {c}), {a}, {b} * {c})",
            f"sum(u > 0.1 for u in [{a}, {b}, {c}]) * {a} * 0.3",
            f"[{a}, {b}, {c}][1 * ({a} < {b}) + 1 * ({b} < {c})] * (1.5 - ({a} < 0.1))",
            f"mg.max([{a}, {b}, {c}]) * 0.5 - mg.min([{a}, {b}]) * mg.abs({c} - 0.1)",
            f"mg.clip({a}, 0.1, 0.9) + mg.maximum({b}, {c}) * mg.relu({a} - 0.1) - mg.leaky_relu({c} - 0.1, 0.2)",
        )
    )
    return [f"{name} = {written}"], apart(*dict.fromkeys((a, b, c)), "0.1") + apart(a, "0.9")


def _caught(draft: _Draft, name: str) -> Snippet:
    a, b = draft.pick(), draft.pick()
    f = draft.rng.choice(("log", "sqrt"))
    return [
        "try:",
        f"    {name} = mg.{f}({a}) * 0.5",
        "except ValueError:",
        f"    {name} = {b} - {a}",
    ], [f"abs({a}) >= 0.1"]


def _caught_without_use(draft: _Draft, name: str) -> Snippet:
    a = draft.pick()
    return [
        "try:",
        f"    mg.log({a})",
        f"    {name} = {draft.operation()}",
        "except ValueError:",
        f"    {name} = {draft.operation()}",
    ], [f"abs({a}) >= 0.1"]


def _containers(draft: _Draft, name: str) -> Snippet:
    a, b, c = draft.pick(), draft.pick(), draft.pick()
    return [
        f"box = {{'u': {a}, 'v': [{b}, ({c}, {a})]}}",
        f"{name} = box['u'] * box['v'][0] * 0.3 - box['v'][1][0] + sum(u for u in box['v'][1])",
    ], []


def _helper(draft: _Draft, name: str) -> Snippet:
    a, b = draft.pick(), draft.pick()
    return [
        f"def h(u, k={draft.pick()}, *, s=0.5):",
        "    if u < 0.2:",
        f"        return u * s + {b}",
        "    return mg.sin(u) * s + k",
        f"{name} = h({a}, s=0.7) - h({b})",
    ], apart(a, "0.2") + apart(b, "0.2")


def _recursion(draft: _Draft, name: str) -> Snippet:
    a = draft.pick()
    return [
        "def r(u, depth=0):",
        "    return u * 1.5 if mg.abs(u) < 0.7 or depth == 6 else r(u * 0.6, depth + 1) + 0.1 * u",
        f"{name} = r({a})",
    ], [f"all(abs(abs({a}) * 0.6**k - 0.7) >= 0.02 for k in range(8))"]


def _generator(draft: _Draft, name: str) -> Snippet:
    own = draft.several(3)
    return [
        "def g(us):",
        "    total = 0.0",
        "    for u in us:",
        "        total = total * 0.5 + u",
        "        yield total",
        f"{name} = sum(g([{', '.join(own)}])) * 0.5",
    ], []


def _functional(draft: _Draft, name: str) -> Snippet:
    given = f"[{', '.join(draft.several(3))}]"
    written = draft.rng.choice(
        (
            f"functools.reduce(lambda p, q: p * 0.5 + q, {given})",
            f"list(itertools.accumulate({given}, operator.sub))[-1]",
            f"sum(p * q for p, q in itertools.combinations({given}, 2)) * 0.2",
            f"sum(map(operator.mul, {given}, reversed({given}))) * 0.2",
            f"functools.partial(lambda k, u: mg.sin(u) * k, {draft.pick()})({draft.pick()})",
        )
    )
    return [f"{name} = {written} + 0.0"], []


def _equality(draft: _Draft, name: str) -> Snippet:
    a, b, c = draft.pick(), draft.pick(), draft.pick()
    number = f"{draft.rng.uniform(-2.0, 2.0):.1f}"
    condition, conditions = draft.rng.choice(
        (
            (f"{a} * 1.0 == {a}", []),
            (f"+{a} != {a}", []),
            (f"{a} == {number}", apart(a, number)),
            (f"{a} in ({number}, 7.0)", apart(a, number)),
            (f"{a} != {b}", apart(a, b) if a != b else []),
            (f"{a} + 0.0 in [{b}, {a}]", apart(a, b) if a != b else []),
        )
    )
    return [f"{name} = {b} - 0.5 * {c} if {condition} else {c} * 0.7 + {a}"], conditions


def _arrays(draft: _Draft, name: str) -> Snippet:
    own = draft.several(3)
    return [
        f"array = np.array([{', '.join(own)}], dtype=object)",
        f"{name} = (array @ array[::-1]) * 0.1 + np.sum(np.where(array > 0.1, array, array * 0.5)) * 1.0",
    ], [condition for u in own for condition in apart(u, "0.1")]


def _dataclass(draft: _Draft, name: str) -> Snippet:
    a, b = draft.pick(), draft.pick()
    return [
        f"pair = dataclasses.replace(Pair({a}, {b}), x={draft.pick()})",
        f"pair.y = pair.y + {a}",
        f"{name} = pair.product() * 0.3",
    ], []


KINDS: list[Callable[[_Draft, str], Snippet]] = [
    _plain, _plain, _plain, _branch, _conditional, _while, _for, _sorted, _choice, _comparisons, _caught,
    _caught_without_use, _containers, _helper, _recursion, _generator, _functional, _equality, _arrays, _dataclass,
]  # fmt: skip


# --- programs -------------------------------------------------------------------------------------------------------

#: Signatures of programs: parameters, expressions that read the numbers in them, and a function that draws arguments.
_SIGNATURES: list[tuple[str, list[str], Callable[[Callable[[], float]], tuple[Any, ...]]]] = [
    ("x", ["x"], lambda number: (number(),)),
    ("x, y", ["x", "y"], lambda number: (number(), number())),
    ("x, y, k=0.5", ["x", "y", "k"], lambda number: (number(), number())),
    ("xs", ["xs[0]", "xs[1]", "xs[2]"], lambda number: ([number(), number(), number()],)),
    ("v", ["v[0]", "v[1]"], lambda number: (np.array([number(), number()]),)),
    ("p, x", ["p['u']", "p['v'][1]", "x"], lambda number: ({"u": number(), "v": (0.5, number())}, number())),
]


def mixed_program(seed: object, most: int = 6) -> Program:
    """Draw a program of at most `most` random statements, and three points for it."""
    rng = random.Random(f"mixed {seed}")
    signature, inputs, arguments = rng.choice(_SIGNATURES)

    def number() -> float:
        return round(rng.uniform(-2.0, 2.0), 3)

    leaves = tuple(number() for _ in range(rng.randint(0, 2)))
    points = tuple(arguments(number) for _ in range(3))
    outer = [f"w{i}" for i in range(len(leaves))]
    names = [f"a{i}" for i in range(len(inputs))]
    head = [f"{name} = {written}" for name, written in zip(names, inputs)]
    scopes = [_scope(signature, head, point, dict(zip(outer, leaves))) for point in points]
    draft = _Draft(rng, [], [*outer, *names], scopes)
    for _ in range(rng.randint(1, most)):
        draft.add(rng.choice(KINDS))
    body = [*head, *draft.lines, *_returned(draft, [*outer, *names])]
    source = "\n".join(
        [f"def make({', '.join(outer)}):", f"    def f({signature}):", *_indented(body, 8), "    return f"]
    )
    scope = _library()
    exec(source, scope)
    called = "".join(f"# at {point!r}\n" for point in points)
    text = f"{HEADER}\n\n{source}\n\n\n# leaves {leaves!r}\n{called}"
    name = f"mixed program {seed}"
    without = IGNORED if "except" in source else ()
    refused = _refused(source)
    return Program(name, scope["make"], points, leaves, {}, refused, without, exact=False, source=text)


def _refused(source: str) -> dict[str, Refusal]:
    """Return the documented errors of a program: those of `PICKLED` if it catches errors, otherwise none."""
    if "except" not in source:
        return {}
    # If nothing raises at any point, the recordings suffice: the error is allowed, and not required.
    return {way: dataclasses.replace(refusal, always=False) for way, refusal in PICKLED.items()}


@functools.lru_cache(maxsize=1)
def _header() -> dict[str, Any]:
    scope: dict[str, Any] = {"__name__": __name__}
    exec(HEADER, scope)
    return scope


def _library() -> dict[str, Any]:
    return dict(_header())


def _scope(signature: str, head: Sequence[str], point: tuple[Any, ...], leaves: dict[str, float]) -> dict[str, Any]:
    """Return the names of a program and their numbers at a point, before its first statement."""
    scope = {**_library(), **leaves}
    exec(f"def arguments({signature}): return dict(locals())", scope)
    scope.update(scope.pop("arguments")(*point))
    exec("\n".join(f"{line} * 1.0" for line in head), scope)
    return scope


def _indented(lines: Sequence[str], by: int) -> list[str]:
    return [" " * by + line for line in lines]


def _returned(draft: _Draft, inputs: Sequence[str]) -> list[str]:
    """Return the last statements, which use the last two results and all inputs."""
    terms = [*draft.names[-2:], *[f"{0.25 * (i + 1)} * {name}" for i, name in enumerate(inputs)]]
    lines = [f"return {' + '.join(terms)}"]
    last = draft.names[-1]
    if draft.rng.random() < 0.3 and all(abs(scope[last] - 0.4) >= _MARGIN for scope in draft.scopes):
        lines = [f"if {last} > 0.4:", f"    return {last} * {inputs[0]} + {inputs[-1]}", *lines]
    return lines


def expression_program(expression: Any) -> Program:
    """Make a row of the matrix from an expression of the strategy `expressions`, at its inputs and points near them."""
    parameters = ", ".join(f"x{i}" for i in range(len(expression.inputs)))
    f = eval(f"lambda {parameters}: expression({parameters})", {"expression": expression})
    points = tuple(_nearby(expression, shift) for shift in (0.0, 1e-4, -1e-4))
    return Program("an expression", lambda: f, points, exact=False, source=expression.code())


def _nearby(expression: Any, shift: float) -> tuple[float, ...]:
    """Return the inputs of an expression, shifted a little; unshifted if it is not well-behaved at the new point."""
    inputs = tuple(x + shift * (1.0 + i) for i, x in enumerate(expression.inputs))
    try:
        results = expression.results(inputs)
    except (ArithmeticError, ValueError):
        return expression.inputs
    good = all(s.move.accepts(*[results[i] for i in s.operands]) for s in expression.steps)
    return inputs if good and all(math.isfinite(x) for x in results) else expression.inputs
