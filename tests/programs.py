"""Random programs: a few steps, each an operation on inputs or on results of earlier steps, so that nodes are shared.

The same program runs on floats, on Values and on mpmath numbers. Each step stays where its operation is smooth and its
slopes are at most about 10, and every number stays within 10: what rounding does to a gradient is then bounded (see
`ROUNDING`), and a truth found by differences is sharp.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from mpmath import mp, mpf

import microgrud as mg

MOST_STEPS = 6

# Six steps amplify an error of 1e-16 by at most 10**6, over a few dozen paths at the very most. A wrong rule is off by
# orders of magnitude more.
ROUNDING = 1e-7


@dataclass(frozen=True)
class Step:
    """One operation, and the positions of its operands among the inputs and the results of earlier steps."""

    name: str
    operands: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """Inputs at which the program is well-behaved, and its steps; the result is that of the last step."""

    inputs: tuple[float, ...]
    steps: tuple[Step, ...]

    def run(self, xs: Sequence[Any]) -> list[Any]:
        """Return the inputs and the results of all steps."""
        numbers = list(xs)
        for step in self.steps:
            function, _ = FUNCTIONS[step.name]
            numbers.append(function(*[numbers[i] for i in step.operands]))
        return numbers

    def __call__(self, xs: Sequence[Any]) -> Any:
        return self.run(xs)[-1]

    def without_sharing(self, xs: Sequence[Any], position: int | None = None) -> Any:
        """Return the result, with every step computed anew wherever it is used."""
        position = len(xs) + len(self.steps) - 1 if position is None else position
        if position < len(xs):
            return xs[position]
        step = self.steps[position - len(xs)]
        function, _ = FUNCTIONS[step.name]
        return function(*[self.without_sharing(xs, i) for i in step.operands])

    def in_order(self, priorities: Sequence[int]) -> Program:
        """Return the program with its steps in another order that computes operands first; its last step stays last."""
        count = len(self.inputs)
        new_position = {i: i for i in range(count)}
        steps: list[Step] = []
        waiting = list(range(len(self.steps)))
        while waiting:
            ready = [k for k in waiting if all(i in new_position for i in self.steps[k].operands)]
            last = len(self.steps) - 1
            k = min(ready, key=lambda k: (k == last, priorities[k]))
            waiting.remove(k)
            steps.append(Step(self.steps[k].name, tuple(new_position[i] for i in self.steps[k].operands)))
            new_position[count + k] = count + len(steps) - 1
        return Program(self.inputs, tuple(steps))


def true_gradient(program: Program) -> list[Any]:
    """Differentiate by central differences with 60 digits: a step of 1e-20 leaves an error of about 1e-40."""
    with mp.workdps(60):
        h = mpf(10) ** -20
        slopes = []
        for i in range(len(program.inputs)):
            ends = []
            for sign in (1, -1):
                xs = [mpf(x) for x in program.inputs]
                xs[i] += sign * h
                ends.append(program(xs))
            slopes.append((ends[0] - ends[1]) / (2 * h))
        return slopes


Function = Callable[..., Any]
Test = Callable[..., bool]


def _between(low: float, high: float) -> Test:
    return lambda *xs: all(low <= x <= high for x in xs)


def _away_from(place: float, distance: float) -> Test:
    return lambda x: abs(x - place) >= distance


def _between_integers(x: Any) -> bool:
    return bool(0.05 <= x % 1.0 <= 0.95)


def _round(x: Any) -> Any:
    if isinstance(x, mpf):
        return mp.nint(x)
    return float(round(x)) if isinstance(x, float) else round(x)


_anywhere = _between(-10.0, 10.0)

# name: (the function, where its operands may lie)
FUNCTIONS: dict[str, tuple[Function, Test]] = {
    "negate": (operator.neg, _anywhere),
    "abs": (abs, _away_from(0.0, 0.05)),
    "square": (mg.square, _between(-3.1, 3.1)),
    "reciprocal": (mg.reciprocal, _away_from(0.0, 0.4)),
    "sqrt": (mg.sqrt, _between(0.01, 10.0)),
    "cbrt": (mg.cbrt, _away_from(0.0, 0.05)),
    "exp": (mg.exp, _between(-10.0, 2.3)),
    "expm1": (mg.expm1, _between(-10.0, 2.3)),
    "log": (mg.log, _between(0.1, 10.0)),
    "log1p": (mg.log1p, _between(-0.9, 10.0)),
    "log2": (mg.log2, _between(0.2, 10.0)),
    "log10": (mg.log10, _between(0.1, 10.0)),
    "sin": (mg.sin, _anywhere),
    "cos": (mg.cos, _anywhere),
    "tan": (mg.tan, _between(-1.2, 1.2)),
    "asin": (mg.asin, _between(-0.95, 0.95)),
    "acos": (mg.acos, _between(-0.95, 0.95)),
    "atan": (mg.atan, _anywhere),
    "sinh": (mg.sinh, _between(-2.9, 2.9)),
    "cosh": (mg.cosh, _between(-2.9, 2.9)),
    "tanh": (mg.tanh, _anywhere),
    "asinh": (mg.asinh, _anywhere),
    "acosh": (mg.acosh, _between(1.05, 10.0)),
    "atanh": (mg.atanh, _between(-0.9, 0.9)),
    "erf": (mg.erf, _anywhere),
    "erfc": (mg.erfc, _anywhere),
    "sigmoid": (mg.sigmoid, _anywhere),
    "logsigmoid": (mg.logsigmoid, _anywhere),
    "softplus": (mg.softplus, _anywhere),
    "relu": (mg.relu, _away_from(0.0, 0.05)),
    "leaky_relu": (mg.leaky_relu, _away_from(0.0, 0.05)),
    "elu": (mg.elu, _away_from(0.0, 0.05)),
    "gelu": (mg.gelu, _anywhere),
    "silu": (mg.silu, _anywhere),
    "identity": (operator.pos, _anywhere),
    "sign": (mg.sign, _away_from(0.0, 0.05)),
    "floor": (mg.floor, _between_integers),
    "ceil": (mg.ceil, _between_integers),
    "trunc": (mg.trunc, _between_integers),
    "round": (_round, lambda x: _between_integers(x + 0.5)),
    "clip": (lambda x: mg.clip(x, -1.0, 1.0), lambda x: abs(abs(x) - 1.0) >= 0.05),
    "add 0.5": (lambda x: x + 0.5, _anywhere),
    "2 - x": (lambda x: 2.0 - x, _anywhere),
    "x ** 3": (lambda x: x**3, _between(-1.8, 1.8)),
    "2 ** x": (lambda x: 2.0**x, _between(-10.0, 3.3)),
    "add": (operator.add, _anywhere),
    "subtract": (operator.sub, _anywhere),
    "multiply": (operator.mul, _anywhere),
    "divide": (operator.truediv, lambda x, y: abs(y) >= 1.0),
    "floor_divide": (operator.floordiv, lambda x, y: abs(y) >= 1.0 and _between_integers(x / y)),
    "modulo": (operator.mod, lambda x, y: abs(y) >= 1.0 and _between_integers(x / y)),
    "pow": (operator.pow, lambda x, y: 0.7 <= x <= 3.0 and abs(y) <= 2.0),
    "atan2": (mg.atan2, lambda y, x: abs(y) >= 0.2),
    "hypot": (mg.hypot, lambda x, y: abs(x) + abs(y) >= 0.2),
    "maximum": (mg.maximum, lambda x, y: abs(x - y) >= 0.05),
    "minimum": (mg.minimum, lambda x, y: abs(x - y) >= 0.05),
    "where": (lambda c, x, y: mg.where(c > 0, x, y), lambda c, x, y: abs(c) >= 0.05),
    "sum": (lambda *xs: mg.sum(xs), lambda x, y, z: True),
    "mean": (lambda *xs: mg.mean(xs), lambda x, y, z: True),
    "prod": (lambda *xs: mg.prod(xs), lambda x, y, z: _between(-3.1, 3.1)(x, y, z)),
    "max": (lambda *xs: mg.max(xs), lambda x, y, z: min(abs(x - y), abs(y - z), abs(x - z)) >= 0.05),
    "min": (lambda *xs: mg.min(xs), lambda x, y, z: min(abs(x - y), abs(y - z), abs(x - z)) >= 0.05),
    "norm": (lambda *xs: mg.norm(xs), lambda x, y, z: abs(x) + abs(y) + abs(z) >= 0.2),
    "logsumexp": (lambda *xs: mg.logsumexp(xs), lambda x, y, z: True),
    "softmax": (lambda *xs: mg.softmax(xs)[0], lambda x, y, z: True),
    "log_softmax": (lambda *xs: mg.log_softmax(xs)[1], lambda x, y, z: True),
    "dot": (lambda x, y, z: mg.dot([x, y], [y, z], bias=x), lambda x, y, z: True),
}


def _names_of_arity(arity: int) -> list[str]:
    names = list(FUNCTIONS)
    first, second = names.index("add"), names.index("where")
    return [names[:first], names[first:second], names[second:]][arity - 1]


NAMES = {arity: _names_of_arity(arity) for arity in (1, 2, 3)}


@st.composite
def points(draw: st.DrawFn, least: int = 1, most: int = 3) -> tuple[float, ...]:
    """Draw the inputs of a program."""
    return tuple(draw(st.lists(st.floats(-3.0, 3.0), min_size=least, max_size=most)))


@st.composite
def programs(draw: st.DrawFn, inputs: st.SearchStrategy[tuple[float, ...]] | None = None) -> Program:
    """Draw a program that is well-behaved at its inputs."""
    xs = draw(points() if inputs is None else inputs)
    numbers, steps = list(xs), list[Step]()
    for _ in range(draw(st.integers(1, MOST_STEPS))):
        arity = draw(st.integers(1, 3))
        # Counted from the last result, so that a simple example is a chain.
        back = draw(st.lists(st.integers(1, len(numbers)), min_size=arity, max_size=arity))
        operands = tuple(len(numbers) - i for i in back)
        # Hypothesis likes small integers; the remainder of a large one spreads the names evenly.
        first = draw(st.integers(0, 2**24)) % len(NAMES[arity])
        turned = NAMES[arity][first:] + NAMES[arity][:first]
        # Of each arity one always fits: sin; add or subtract; mean.
        name = next(name for name in turned if fits(name, [numbers[i] for i in operands]))
        steps.append(Step(name, operands))
        numbers.append(FUNCTIONS[name][0](*[numbers[i] for i in operands]))
    return Program(tuple(xs), tuple(steps))


@st.composite
def pairs_of_programs(draw: st.DrawFn) -> tuple[Program, Program]:
    """Draw two programs with the same inputs."""
    first = draw(programs())
    return first, draw(programs(st.just(first.inputs)))


def fits(name: str, operands: Sequence[float]) -> bool:
    """Tell whether a function of the list is well-behaved at these operands."""
    function, accepts = FUNCTIONS[name]
    return accepts(*operands) and abs(function(*operands)) <= 10.0
