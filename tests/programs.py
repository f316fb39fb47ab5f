"""Random programs for the laws: expressions as functions of the list of their inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from mpmath import mp, mpf

from microgrud.testing import Expression, expressions
from microgrud.testing.expressions import Step

MOST_STEPS = 6
#: mpmath supports // from version 1.4 on.
MPMATH_FLOORS = hasattr(mpf, "__floordiv__")

# Six steps amplify an error of 1e-16 by at most 10**6, over a few dozen paths at the very most. A wrong rule is off by
# orders of magnitude more.
ROUNDING = 1e-7


class Program(Expression):
    """An expression as a function of the list of its inputs, with other ways to compute it."""

    def __call__(self, xs: Sequence[Any]) -> Any:  # type: ignore[override]
        return self.results(xs)[-1]

    def without_sharing(self, xs: Sequence[Any], position: int | None = None) -> Any:
        """Return the result, with every step computed again at each use."""
        position = len(xs) + len(self.steps) - 1 if position is None else position
        if position < len(xs):
            return xs[position]
        step = self.steps[position - len(xs)]
        return step.move.function(*[self.without_sharing(xs, i) for i in step.operands])

    def in_order(self, priorities: Sequence[int]) -> Program:
        """Return the program with its steps in another valid order, which has the same last step."""
        count = len(self.inputs)
        new_position = {i: i for i in range(count)}
        steps: list[Step] = []
        waiting = list(range(len(self.steps)))
        while waiting:
            ready = [k for k in waiting if all(i in new_position for i in self.steps[k].operands)]
            last = len(self.steps) - 1
            k = min(ready, key=lambda k: (k == last, priorities[k]))
            waiting.remove(k)
            steps.append(Step(self.steps[k].move, tuple(new_position[i] for i in self.steps[k].operands)))
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


@st.composite
def points(draw: st.DrawFn, least: int = 1, most: int = 3) -> tuple[float, ...]:
    """Draw the inputs of a program."""
    return tuple(draw(st.lists(st.floats(-3.0, 3.0), min_size=least, max_size=most)))


def programs(inputs: tuple[float, ...] | None = None) -> st.SearchStrategy[Program]:
    """Draw a program, with given inputs or with new ones."""
    drawn = expressions(max_nodes=MOST_STEPS, inputs=inputs)
    return drawn.map(lambda expression: Program(expression.inputs, expression.steps))


@st.composite
def pairs_of_programs(draw: st.DrawFn) -> tuple[Program, Program]:
    """Draw two programs with the same inputs."""
    first = draw(programs())
    return first, draw(programs(first.inputs))
