"""Rows of the matrix: every operation of the table that has a public function or an operator."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
from agreement_truth import Program

import microgrud as mg
from microgrud.testing import MOVES
from microgrud.testing.expressions import Move

_PARAMETERS: dict[int, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    1: lambda f: lambda x: f(x),
    2: lambda f: lambda x, y: f(x, y),
    3: lambda f: lambda x, y, z: f(x, y, z),
}


def _points(move: Move) -> tuple[tuple[float, ...], ...]:
    """Draw three points well inside the domain of an operation."""
    rng = random.Random(f"agreement {move.name}")
    drawn = iter(lambda: tuple(rng.uniform(-2.5, 2.5) for _ in range(move.arity)), None)
    accepted = (xs for xs in drawn if move.accepts(*xs))
    return tuple(next(accepted) for _ in range(3))


def _of_move(move: Move) -> Program:
    return Program(f"operation: {move.name}", lambda: _PARAMETERS[move.arity](move.function), _points(move))


def _row(name: str, f: Callable[..., Any], *points: tuple[Any, ...], **settings: Any) -> Program:
    """Make a row from a function that closes over nothing."""
    return Program(f"operation: {name}", lambda: f, points, **settings)


def _bump(x: float) -> float:
    return math.exp(-x * x)


bump = mg.custom_op("bump", _bump, lambda z, x: -2.0 * x * z, definition=lambda mp, x: mp.exp(-x * x))
product = mg.custom_op(
    "product",
    lambda x, y: x * y,
    [lambda z, x, y: y, lambda z, x, y: x],
    definition=lambda mp, x, y: x * y,
)

rows_by_vjp = mg.custom_op(
    "rows",
    lambda p, x: {"sums": [p[0] * x + p[1], p[0] * p[1]], "cube": x * x * x},
    vjp=lambda z, v, p, x: (
        [v["sums"][0] * x + v["sums"][1] * p[1], v["sums"][0] + v["sums"][1] * p[0]],
        v["sums"][0] * p[0] + 3.0 * v["cube"] * x * x,
    ),
)
rows_by_jvp = mg.custom_op(
    "rows",
    rows_by_vjp.value,
    jvp=lambda z, t, p, x: {
        "sums": [p[0] * t[1] + t[0][0] * x + t[0][1], p[0] * t[0][1] + t[0][0] * p[1]],
        "cube": 3.0 * x * x * t[1],
    },
)
rows_by_both = mg.custom_op("rows", rows_by_vjp.value, vjp=rows_by_vjp.vjp, jvp=rows_by_jvp.jvp)


def _of_rows(operation: Callable[..., Any]) -> Callable[..., Any]:
    def f(x: Any, y: Any) -> Any:
        found = operation([x, y * y], y)
        return found["sums"][0] * found["sums"][1] + found["cube"] * x

    return f


def _augmented(x: Any, y: Any) -> Any:
    total = x
    total += y
    total *= x
    total -= 0.5
    total /= y
    return total


_LISTS = (([0.3, -1.2, 2.0, 0.8],), ([1.1, 0.4, -0.6, 0.9],), ([-0.2, 1.7, 0.5, -1.4],))
_POSITIVE = (([0.3, 1.2, 2.0],), ([1.1, 0.4, 0.6],), ([0.2, 1.7, 0.5],))

_OVER_LISTS: dict[str, Callable[[Any], Any]] = {
    "sum": mg.sum,
    "mean": mg.mean,
    "prod": mg.prod,
    "norm": mg.norm,
    "max": mg.max,
    "min": mg.min,
    "logsumexp": mg.logsumexp,
    "softmax": mg.softmax,
    "log_softmax": mg.log_softmax,
    "glu": mg.glu,
    "softmin": mg.softmin,
}

_ACTIVATIONS = (mg.softsign, mg.mish, mg.selu, mg.celu, mg.relu6, mg.hardtanh, mg.hardsigmoid, mg.hardswish)

OPERATIONS: list[Program] = [
    *map(_of_move, MOVES.values()),
    *[_row(f.__name__, lambda x, f=f: f(x) * 2.0, (0.5,), (-0.7,), (3.4,)) for f in _ACTIVATIONS],
    _row("prelu", lambda x, a: mg.prelu(x, a), (0.5, 0.2), (-0.5, 0.3), (-1.0, 0.1)),
    *[_row(f"{name} of a list", lambda xs, f=f: f(xs), *_LISTS) for name, f in _OVER_LISTS.items()],
    _row("dot of lists", lambda xs, ys, b: mg.dot(xs, ys, b), *[(*a, *b, 0.5) for a, b in zip(_LISTS, _LISTS[::-1])]),
    _row("take", lambda xs, i: mg.take(xs, i) * 3.0, *[(*xs, i) for xs, i in zip(_LISTS, (1, 3, 0))]),
    _row(
        "take of rows",
        lambda xs, i: mg.sum(mg.take([xs, [x * x for x in xs]], i)),
        *[(*xs, i) for xs, i in zip(_LISTS, (1, 0, 1))],
    ),
    _row("an item by an integer", lambda xs, i: xs[i] * xs[0], *[(*xs, i) for xs, i in zip(_LISTS, (1, 3, 2))]),
    _row("where of a comparison", lambda x, y: mg.where(x > y, mg.exp(x), y * y), (0.5, 0.2), (-0.5, 0.8), (1.0, 0.3)),
    _row("clip between numbers", lambda x, a, b: mg.clip(x, a, b), (0.5, 0.0, 1.0), (-0.5, 0.0, 1.0), (3.0, 0.5, 2.0)),
    _row("leaky_relu with slope", lambda x, a: mg.leaky_relu(x, a), (0.5, 0.2), (-0.5, 0.3), (-1.0, 0.1)),
    _row("elu with alpha", lambda x, a: mg.elu(x, a), (0.5, 0.2), (-0.5, 0.3), (-1.0, 1.5)),
    _row("exp2 and logaddexp", lambda x, y: mg.logaddexp(x, mg.exp2(y)), (0.5, 0.2), (-0.5, 1.8), (1.0, -0.3)),
    _row("remainder", lambda x, y: x * mg.remainder(x, y), (7.3, 2.0), (-7.3, 2.0), (7.3, -2.0), exact=False),
    _row(
        "functions over an array",
        lambda x: mg.sum(mg.exp(x) * mg.logaddexp(x, 0.5)) + mg.maximum(x, 0.2)[0],
        *[(np.array(xs),) for (xs,) in _LISTS],
    ),
    _row("power of an integer", lambda x, k: x**k, (0.5, 3), (-0.5, 2), (1.5, -1)),
    _row("power of a half", lambda x: x**0.5, (0.5,), (2.0,), (1.5,)),
    _row("number to a power", lambda x: 3 ** (x * 0.5), (0.5,), (-2.0,), (1.5,)),
    _row("numbers on the left", lambda x: (2 - x) / (3 + x) + 1 / x + 7 * x, (0.5,), (2.0,), (1.5,)),
    _row("remainders on the left", lambda x: 7.3 % x + 7.3 // x, (1.6,), (2.2,), (-1.7,), exact=False),
    _row("builtins", lambda x: abs(x) + sum([x, x * x]) + (+x) + (-x) * 0.5, (0.5,), (-2.0,), (1.5,)),
    _row("powers at 0", lambda x: x**2 + x**3 + x**1 + 3.0 * x**0, (0.0,), (0.5,), (-0.5,)),
    _row("a product with 0", lambda x, y: mg.prod([x, y, 2.0]), (0.0, 0.7), (0.5, 0.0), (1.0, 2.0)),
    _row("a quotient whose numerator is 0", lambda x, y: x / (1.0 + y), (0.0, 0.7), (0.5, 0.0), (0.0, 0.0)),
    _row("augmented assignments", _augmented, (0.5, 1.5), (2.0, 0.7), (1.5, -1.0)),
    _row("methods", lambda x: x.exp() * x.tanh() + x.relu(), (0.5,), (-0.6,), (1.5,), exact=False),
    _row("round to digits", lambda x: x * round(x, 1), (0.52,), (-0.57,), (1.51,), exact=False),
    _row("norm of positive numbers", lambda xs: mg.norm(xs) * mg.log(xs[0]), *_POSITIVE),
    _row("custom_op", lambda x: bump(x) * 2.0, (0.5,), (-0.6,), (1.5,)),
    _row("custom_op of two", lambda x, y: product(x, bump(y)) + product(y, y), (0.5, 0.2), (-0.6, 1.0), (1.5, -0.4)),
    _row("custom_op with vjp", _of_rows(rows_by_vjp), (0.5, 0.2), (-0.6, 1.0), (1.5, -0.4)),
    _row("custom_op with jvp", _of_rows(rows_by_jvp), (0.5, 0.2), (-0.6, 1.0), (1.5, -0.4)),
    _row("custom_op with both", _of_rows(rows_by_both), (0.5, 0.2), (-0.6, 1.0), (1.5, -0.4)),
]
