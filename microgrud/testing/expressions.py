"""A strategy for random programs: expression graphs with shared nodes, well inside the domain of each operation.

An expression is a list of steps, each an operation on inputs or on results of earlier steps. It runs on floats, on
Values and on mpmath numbers, has inputs at which it is well-behaved, and shrinks to fewer and simpler steps. Its repr
is a Python program.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from .. import functions, special
from ..engine.ops import TABLE
from .numbers import points

#: The largest size of numbers, and roughly of slopes; it bounds the rounding errors in a gradient.
LARGEST = 10.0

Test = Callable[..., bool]


def _anywhere(*xs: float) -> bool:
    return True


@dataclass(frozen=True)
class Move:
    """An operation that a step of an expression may take.

    Attributes:
        name: its name.
        function: the function of floats, Values or mpmath numbers.
        code: its Python code, with `"{}"` in the place of each operand.
        arity: the number of operands.
        accepts: a function that returns whether floats are well inside its domain.
        smooth: whether it has derivatives of every order wherever it accepts its operands.
    """

    name: str
    function: Callable[..., Any]
    code: str
    arity: int
    accepts: Test = _anywhere
    smooth: bool = True


def _between(low: float, high: float) -> Test:
    return lambda *xs: all(low <= x <= high for x in xs)


def _away_from_zero(*xs: float) -> bool:
    return all(abs(x) >= 0.05 for x in xs)


def _apart(*xs: float) -> bool:
    return all(abs(x - y) >= 0.05 for i, x in enumerate(xs) for y in xs[:i])


def _between_integers(x: float) -> bool:
    return 0.05 <= x % 1.0 <= 0.95


def _quotient_between_integers(x: float, y: float) -> bool:
    return abs(y) >= 1.0 and _between_integers(x / y)


def _round(x: Any) -> Any:
    # round() returns integers for floats, and does not support the numbers of mpmath.
    return (x.context.nint(x) if hasattr(x, "context") else round(x)) + 0.0


def _has(name: str) -> bool:
    return hasattr(functions, name) or hasattr(special, name)


def _clip(x: Any) -> Any:
    return functions.clip(x, -1.0, 1.0)


def _where(c: Any, x: Any, y: Any) -> Any:
    return functions.where(c > 0, x, y)


def _unary(*names: str, accepts: Test = _anywhere, smooth: bool = True) -> list[Move]:
    found = [(name, getattr(functions, name, None) or getattr(special, name)) for name in names]
    return [Move(name, function, f"{name}({{}})", 1, accepts, smooth) for name, function in found]


def _over(name: str, accepts: Test = _anywhere, smooth: bool = True) -> Move:
    function = getattr(functions, name)
    return Move(name, lambda *xs: function(xs), f"{name}([{{}}, {{}}, {{}}])", 3, accepts, smooth)


_SMOOTH = (
    Move("add", operator.add, "{} + {}", 2),
    Move("multiply", operator.mul, "{} * {}", 2),
    Move("subtract", operator.sub, "{} - {}", 2),
    Move("negate", operator.neg, "-{}", 1),
    Move("identity", operator.pos, "+{}", 1),
    Move("divide", operator.truediv, "{} / {}", 2, lambda x, y: abs(y) >= 1.0),
    Move("add a constant", lambda x: x + 0.5, "{} + 0.5", 1),
    Move("subtract from a constant", lambda x: 2.0 - x, "2.0 - {}", 1),
    Move("cube", lambda x: x**3, "{}**3", 1, _between(-1.8, 1.8)),
    Move("power of 2", lambda x: 2.0**x, "2.0**{}", 1, _between(-10.0, 3.3)),
    Move("pow", functions.pow, "pow({}, {})", 2, lambda x, y: 0.7 <= x <= 3.0 and abs(y) <= 2.0),
    *_unary("square", accepts=_between(-3.1, 3.1)),
    *_unary("reciprocal", accepts=lambda x: abs(x) >= 0.4),
    *_unary("sqrt", accepts=lambda x: x >= 0.01),
    *_unary("cbrt", accepts=_away_from_zero),
    *_unary("exp", "expm1", accepts=_between(-10.0, 2.3)),
    *_unary("log", accepts=lambda x: x >= 0.1),
    *_unary("log1p", accepts=lambda x: x >= -0.9),
    *_unary("log2", accepts=lambda x: x >= 0.2),
    *_unary("log10", accepts=lambda x: x >= 0.1),
    *_unary("entr", accepts=lambda x: x >= 0.1),
    *_unary("log_ndtr", accepts=_between(-5.0, 5.0)),
    *_unary("tan", accepts=_between(-1.2, 1.2)),
    *_unary("sinh", "cosh", accepts=_between(-2.9, 2.9)),
    *_unary("atanh", accepts=_between(-0.9, 0.9)),
    *_unary("gamma", accepts=_between(0.3, 3.5)),
    *_unary("lgamma", "digamma", accepts=lambda x: x >= 0.3),
    *_unary("i0", "i1", accepts=_between(-3.0, 3.0)),
    Move("polygamma", lambda x: special.polygamma(1, x), "polygamma(1, {})", 1, lambda x: x >= 0.5),
    Move("betaln", special.betaln, "betaln({}, {})", 2, lambda x, y: x >= 0.3 and y >= 0.3),
    Move("beta", special.beta, "beta({}, {})", 2, lambda x, y: 0.5 <= x <= 3.0 and 0.5 <= y <= 3.0),
    Move("atan2", functions.atan2, "atan2({}, {})", 2, lambda y, x: abs(y) >= 0.2),
    Move("xlogy", special.xlogy, "xlogy({}, {})", 2, lambda x, y: y >= 0.1),
    Move("xlog1py", special.xlog1py, "xlog1py({}, {})", 2, lambda x, y: y >= -0.9),
    Move("hypot", functions.hypot, "hypot({}, {})", 2, lambda x, y: abs(x) + abs(y) >= 0.2),
    _over("sum"),
    _over("mean"),
    _over("prod", _between(-3.1, 3.1)),
    _over("norm", lambda *xs: sum(map(abs, xs)) >= 0.2),
    _over("logsumexp"),
    Move("softmax", lambda *xs: functions.softmax(xs)[0], "softmax([{}, {}, {}])[0]", 3),
    Move("log_softmax", lambda *xs: functions.log_softmax(xs)[1], "log_softmax([{}, {}, {}])[1]", 3),
    Move("dot", lambda x, y, z: functions.dot([x, y], [y, z], x), "dot([{0}, {1}], [{1}, {2}], bias={0})", 3),
)
_KINKED = (
    *_unary("abs", "relu", "leaky_relu", "elu", "sign", accepts=_away_from_zero, smooth=False),
    *_unary("floor", "ceil", "trunc", accepts=_between_integers, smooth=False),
    Move("round", _round, "round({}) + 0.0", 1, lambda x: _between_integers(x + 0.5), smooth=False),
    Move("maximum", functions.maximum, "maximum({}, {})", 2, _apart, smooth=False),
    Move("minimum", functions.minimum, "minimum({}, {})", 2, _apart, smooth=False),
    _over("max", _apart, smooth=False),
    _over("min", _apart, smooth=False),
    Move("clip", _clip, "clip({}, -1.0, 1.0)", 1, lambda x: _apart(abs(x), 1.0), smooth=False),
    Move("where", _where, "where({} > 0, {}, {})", 3, lambda c, x, y: _away_from_zero(c), smooth=False),
    Move("floor_divide", operator.floordiv, "{} // {}", 2, _quotient_between_integers, smooth=False),
    Move("fmod", special.fmod, "fmod({}, {})", 2, _quotient_between_integers, smooth=False),
    Move("copysign", special.copysign, "copysign({}, {})", 2, lambda x, y: abs(x) >= 0.05 <= abs(y), smooth=False),
    Move("modulo", operator.mod, "{} % {}", 2, _quotient_between_integers, smooth=False),
)


def _others() -> Iterator[Move]:
    """Yield moves for the other functions of one number: smooth wherever they are defined."""
    known = {move.name for move in (*_SMOOTH, *_KINKED)}
    for name, operation in TABLE.items():
        if operation.arity == 1 and _has(name) and name not in known:
            yield from _unary(name, accepts=lambda x, i=operation.domain[0]: x - 0.05 in i and x + 0.05 in i)


#: Every operation, by name, in the order in which a failing example shrinks: simpler ones first.
MOVES: dict[str, Move] = {move.name: move for move in (*_SMOOTH, *_others(), *_KINKED)}


@dataclass(frozen=True)
class Step:
    """One operation, and the positions of its operands among the inputs and the results of earlier steps."""

    move: Move
    operands: tuple[int, ...]


@dataclass(frozen=True, repr=False)
class Expression:
    """A program: a function of as many numbers as it has inputs that returns the result of its last step.

    Attributes:
        inputs: the numbers at which it is well-behaved.
        steps: the steps.

    >>> import math
    >>> add, tanh = MOVES["add"], MOVES["tanh"]
    >>> expression = Expression((0.5, 2.0), (Step(tanh, (0,)), Step(add, (2, 1))))
    >>> expression
    from microgrud import tanh
    <BLANKLINE>
    <BLANKLINE>
    def f(x0, x1):  # at 0.5, 2.0
        a = tanh(x0)
        return a + x1
    >>> expression(0.5, 2.0) == math.tanh(0.5) + 2.0
    True
    """

    inputs: tuple[float, ...]
    steps: tuple[Step, ...]

    def __call__(self, *numbers: Any) -> Any:
        """Return the result of the last step (the last input, if there is none)."""
        return self.results(numbers)[-1]

    def results(self, numbers: Sequence[Any]) -> list[Any]:
        """Return the inputs and the results of all steps."""
        known = list(numbers)
        for step in self.steps:
            known.append(step.move.function(*[known[i] for i in step.operands]))
        return known

    def code(self) -> str:
        """Return the program as Python code."""
        count = len(self.inputs)
        names = [f"x{i}" for i in range(count)] + [_letters(i) for i in range(len(self.steps))]
        used = sorted({step.move.name for step in self.steps if _has(step.move.name)})
        lines = [f"from microgrud import {', '.join(used)}", "", ""] if used else []
        lines.append(f"def f({', '.join(names[:count])}):  # at {', '.join(map(repr, self.inputs))}")
        for k, step in enumerate(self.steps):
            right = step.move.code.format(*[names[i] for i in step.operands])
            last = k == len(self.steps) - 1
            lines.append(f"    return {right}" if last else f"    {names[count + k]} = {right}")
        if not self.steps:
            lines.append(f"    return {names[-1]}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.code()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show the program in the messages of Hypothesis, which would otherwise print the fields of the dataclass."""
        printer.text("\n" + self.code() + "\n")


def _letters(i: int) -> str:
    """Return a, b, ..., z, aa, ab, ...; keywords of Python get an underscore."""
    name = ""
    i += 1
    while i > 0:
        i, rest = divmod(i - 1, 26)
        name = chr(97 + rest) + name
    return f"{name}_" if name in ("as", "if", "in", "is", "or") else name


@st.composite
def expressions(
    draw: st.DrawFn,
    operations: Iterable[str] | None = None,
    max_nodes: int = 8,
    n_inputs: int | None = None,
    smooth: bool = False,
    inputs: Sequence[float] | None = None,
) -> Expression:
    """Draw an expression that is well-behaved at its inputs, with shared nodes, and operands well inside their domains.

    Args:
        draw: given by Hypothesis.
        operations: the names of the operations to use, from `MOVES`; all by default. If none of them fits at some
            point, the expression ends there.
        max_nodes: the largest number of steps.
        n_inputs: the number of inputs; 1 to 3 by default.
        smooth: whether to use only operations that have derivatives of every order.
        inputs: the numbers at which the expression is well-behaved; drawn between -3 and 3 by default.

    Raises:
        ValueError: for an unknown name, and if no operation is left.

    >>> from hypothesis import given
    >>> from microgrud.testing import check_gradients
    >>> @given(expressions(max_nodes=5))
    ... def test_gradients_of_any_program(program):
    ...     check_gradients(program, *program.inputs)
    >>> test_gradients_of_any_program()
    """
    moves = _chosen(operations, smooth)
    if inputs is None:
        inputs = draw(points(draw(st.integers(1, 3)) if n_inputs is None else n_inputs, (-3.0, 3.0)))
    count, numbers, steps = len(inputs), list(inputs), list[Step]()
    choice = st.tuples(st.integers(0, len(moves) - 1), _FIRST, _OTHER, _OTHER)
    few = st.lists(choice, min_size=1, max_size=max_nodes)
    many = st.lists(choice, min_size=max(1, max_nodes // 2), max_size=max_nodes)
    for start, *backs in draw(few | many):
        operands = [_position(back, len(numbers), count) for back in backs]
        step = _fitting_step(moves[start:] + moves[:start], numbers, operands)
        if step is None:
            break
        steps.append(step)
        numbers.append(step.move.function(*[numbers[i] for i in step.operands]))
    return Expression(tuple(inputs), tuple(steps))


def _chosen(operations: Iterable[str] | None, smooth: bool) -> list[Move]:
    names = list(MOVES) if operations is None else list(operations)
    for name in names:
        if name not in MOVES:
            raise ValueError(f"expressions: operations: expected names among {', '.join(MOVES)}, got {name!r}")
    moves = [MOVES[name] for name in names if MOVES[name].smooth or not smooth]
    if not moves:
        raise ValueError("expressions: operations: expected at least one that is smooth, got none")
    return moves


#: The distances of operands from the last result. The first operand is mostly a recent result, so that results are
#: used; the distance 5 stands for an input.
_FIRST = st.sampled_from((1, 1, 1, 2, 3))
_OTHER = st.integers(1, 5)


def _position(back: int, known: int, inputs: int) -> int:
    """Return the position of an operand: counted from the last result, so that a simple program is a chain."""
    return known - back if back < 5 and back <= known else known % inputs


def _fitting_step(moves: Sequence[Move], numbers: Sequence[float], operands: Sequence[int]) -> Step | None:
    """Return a step of the first move that accepts the operands (as many of them as it takes)."""
    for move in moves:
        xs = [numbers[i] for i in operands[: move.arity]]
        if move.accepts(*xs) and abs(move.function(*xs)) <= LARGEST:
            return Step(move, tuple(operands[: move.arity]))
    return None
