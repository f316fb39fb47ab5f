"""Random programs with right gradients: the derivative at hundreds of digits, rounded to floats.

A program is an expression over a few inputs. It is evaluated by one of several libraries (`math`, NumPy, microgrud),
so that the checker has to use each of its sources of the truth. Its gradient is computed by forward differentiation of
the same expression on mpmath numbers. Inputs are drawn from the whole range of floats, and mostly from its ends.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp

import microgrud as mg

#: Numbers of digits that must yield the same floats: the second suffices for sums of numbers of any size.
_DIGITS = (60, 700)
_LARGE = 1e5

#: A program: ("x", index), ("constant", number), or the name of an operation with its operands.
Tree = tuple[Any, ...]


@dataclass(frozen=True)
class Rule:
    """An operation in every library, and its partial derivatives on mpmath numbers, given the result."""

    arity: int
    of_math: Callable[..., Any]
    of_numpy: Callable[..., Any]
    of_microgrud: Callable[..., Any]
    of_mpmath: Callable[..., Any]
    partials: Callable[..., Sequence[Any]]


def _plain(f: Callable[..., Any], partials: Callable[..., Sequence[Any]]) -> Rule:
    return Rule(f.__code__.co_argcount, f, f, f, f, partials)


def _named(name: str, partial: Callable[..., Any], numpy: str = "", microgrud: str = "") -> Rule:
    return Rule(
        1,
        getattr(math, name),
        getattr(np, numpy or name),
        getattr(mg, microgrud or name),
        getattr(mp, name),
        lambda z, x: [partial(z, x)],
    )


def _power(exponent: float) -> Rule:
    def of_any(x: Any) -> Any:
        return x**exponent

    return Rule(1, lambda x: math.pow(x, exponent), of_any, of_any, of_any, lambda z, x: [exponent * z / x])


RULES: dict[str, Rule] = {
    "add": _plain(lambda x, y: x + y, lambda z, x, y: [1, 1]),
    "subtract": _plain(lambda x, y: x - y, lambda z, x, y: [1, -1]),
    "multiply": _plain(lambda x, y: x * y, lambda z, x, y: [y, x]),
    "divide": _plain(lambda x, y: x / y, lambda z, x, y: [1 / y, -x / y**2]),
    "square": _plain(lambda x: x * x, lambda z, x: [2 * x]),
    "cube": _plain(lambda x: x * x * x, lambda z, x: [3 * x**2]),
    "reciprocal": _plain(lambda x: 1.0 / x, lambda z, x: [-1 / x**2]),
    "absolute": Rule(1, abs, abs, abs, abs, lambda z, x: [mp.sign(x)]),
    "exp": _named("exp", lambda z, x: z),
    "expm1": _named("expm1", lambda z, x: z + 1),
    "log": _named("log", lambda z, x: 1 / x),
    "log1p": _named("log1p", lambda z, x: 1 / (1 + x)),
    "sqrt": _named("sqrt", lambda z, x: 1 / (2 * z)),
    "sin": _named("sin", lambda z, x: mp.cos(x)),
    "cos": _named("cos", lambda z, x: -mp.sin(x)),
    "tanh": _named("tanh", lambda z, x: 1 / mp.cosh(x) ** 2 if abs(x) < _LARGE else mp.zero),
    "sinh": _named("sinh", lambda z, x: mp.cosh(x)),
    "cosh": _named("cosh", lambda z, x: mp.sinh(x)),
    "atan": _named("atan", lambda z, x: 1 / (1 + x**2), numpy="arctan"),
    "asinh": _named("asinh", lambda z, x: 1 / mp.sqrt(1 + x**2), numpy="arcsinh"),
    "acosh": _named("acosh", lambda z, x: 1 / mp.sqrt(x**2 - 1), numpy="arccosh"),
    "asin": _named("asin", lambda z, x: 1 / mp.sqrt(1 - x**2), numpy="arcsin"),
    "atanh": _named("atanh", lambda z, x: 1 / (1 - x**2), numpy="arctanh"),
    "power": _power(1.5),
    "root": _power(0.25),
    "maximum": Rule(2, max, np.maximum, mg.maximum, mg.maximum, lambda z, x, y: [mp.mpf(x > y), mp.mpf(y > x)]),
    "hypot": Rule(2, math.hypot, np.hypot, mg.hypot, mp.hypot, lambda z, x, y: [x / z, y / z]),
}
CONSTANTS = (0.5, 2.0, -1.0, 3.0, 0.1, 1.0, 1e-3, 100.0)

#: The libraries that compute a program, and the methods to check it with. `values` checks microgrud's own gradient if
#: that is right; `array` takes one array, `sum` and `elementwise` apply a program of one input to each element of one.
METHODS = {
    "math": ("auto", "differences"),
    "numpy": ("auto", "complex step", "differences"),
    "microgrud": ("auto", "mpmath", "differences"),
    "values": ("auto", "mpmath", "graph", "differences"),
    "array": ("auto", "complex step", "differences"),
    "sum": ("auto", "complex step", "differences"),
    "elementwise": ("auto", "complex step", "differences"),
}
_MAPPED = ("sum", "elementwise")


@dataclass(frozen=True)
class RightGradient:
    """A program with its right gradient at one point, and the method to check it with."""

    tree: Tree
    library: str
    method: str
    point: tuple[float, ...]
    slopes: tuple[float, ...]

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The arguments to call the function with."""
        return (np.array(self.point),) if self.library in ("array", *_MAPPED) else self.point

    def function(self, *xs: Any) -> Any:
        """Compute the program."""
        if self.library == "sum":
            return np.sum(evaluate(self.tree, "of_numpy", xs) + 0.0 * xs[0])
        if self.library == "elementwise":
            return evaluate(self.tree, "of_numpy", xs) + 0.0 * xs[0]
        if self.library == "array":
            return evaluate(self.tree, "of_numpy", list(xs[0]))
        library = "microgrud" if self.library == "values" else self.library
        return evaluate(self.tree, f"of_{library}", xs)

    def gradient(self, change: Callable[[float], float] = float) -> Callable[..., Any] | None:
        """Return the gradient as a function, with each slope changed; None if microgrud's own is checked."""
        if self.library == "values":
            return None

        def grad(*xs: Any) -> Any:
            arrays = isinstance(self.arguments[0], np.ndarray)
            at = tuple(map(float, xs[0] if arrays else xs))
            found = self.slopes if at == self.point else exact(self.tree, self.library, at)[1]
            changed = [change(slope) for slope in found]
            if self.library == "elementwise":
                return np.diag(changed)
            return np.array(changed) if arrays else tuple(changed)

        return grad

    def __str__(self) -> str:
        return f"{shown(self.tree)} at {self.point} by {self.library}, {self.method}: {self.slopes}"


def evaluate(tree: Tree, library: str, xs: Sequence[Any]) -> Any:
    """Compute a program by one of the libraries."""
    if tree[0] == "x":
        return xs[tree[1]]
    if tree[0] == "constant":
        return tree[1]
    return getattr(RULES[tree[0]], library)(*(evaluate(part, library, xs) for part in tree[1:]))


def shown(tree: Tree) -> str:
    """Write a program as nested calls."""
    if tree[0] == "x":
        return f"x{tree[1]}"
    if tree[0] == "constant":
        return repr(tree[1])
    return f"{tree[0]}({', '.join(map(shown, tree[1:]))})"


def exact(tree: Tree, library: str, point: Sequence[float]) -> tuple[list[float], tuple[float, ...]]:
    """Return the values and the slopes, rounded to floats.

    Raises:
        ArithmeticError, ValueError: if there are none, or the digits do not suffice.
    """
    points = [[x] for x in point] if library in _MAPPED else [list(point)]
    results = []
    for digits in _DIGITS:
        with mp.workdps(digits), np.errstate(all="ignore"):
            found = [_dual(tree, [mp.mpf(x) for x in xs], [np.float64(x) for x in xs]) for xs in points]
            values = [value for value, _, _ in found]
            results.append(
                (
                    [float(x) for x in ([mp.fsum(values)] if library == "sum" else values)],
                    tuple(float(slope) for _, slopes, _ in found for slope in slopes),
                )
            )
    if results[0] != results[1]:
        raise ValueError("digits do not suffice")
    return results[0]


def _dual(tree: Tree, xs: Sequence[Any], floats: Sequence[Any]) -> tuple[Any, list[Any], Any]:
    """Return the value of a program with its derivatives at the working precision, and the value in floats.

    Raises:
        ValueError: if floats compute something else.
    """
    if tree[0] == "x":
        return xs[tree[1]], [mp.mpf(i == tree[1]) for i in range(len(xs))], floats[tree[1]]
    if tree[0] == "constant":
        return mp.mpf(tree[1]), [mp.zero] * len(xs), np.float64(tree[1])
    parts = [_dual(part, xs, floats) for part in tree[1:]]
    rule, numbers = RULES[tree[0]], [part[0] for part in parts]
    if (tree[0] == "absolute" and numbers[0] == 0) or (tree[0] == "maximum" and numbers[0] == numbers[1]):
        raise ValueError("a kink")
    if tree[0] in ("exp", "expm1", "sinh", "cosh") and abs(numbers[0]) > _LARGE:
        raise ValueError("its digits would take hours")
    result, in_floats = rule.of_mpmath(*numbers), rule.of_numpy(*(part[2] for part in parts))
    if not isinstance(result, mp.mpf) or not mp.isfinite(result) or abs(mp.mag(result)) > 10**4:
        raise ValueError("complex, infinite or too large")
    if not _is_same(float(in_floats), float(result)):
        raise ValueError("floats compute something else")
    partials = rule.partials(result, *numbers)
    slopes = [mp.fsum(p * part[1][i] for p, part in zip(partials, parts)) for i in range(len(xs))]
    return result, slopes, in_floats


def random_input(rng: random.Random) -> float:
    """Draw a number: of ordinary size, of any, subnormal, nearly overflowing, 0, or a small distance from 1."""
    sign = rng.choice((-1.0, 1.0))
    kind = rng.randrange(8)
    if kind < 2:
        return sign * rng.uniform(0.0, 5.0)
    if kind == 2:
        return sign * 10.0 ** rng.uniform(-323.0, 308.2)
    if kind == 3:
        return sign * 10.0 ** rng.uniform(-170.0, -90.0)
    if kind == 4:
        return sign * 10.0 ** rng.choice((rng.uniform(-323.3, -300.0), rng.uniform(300.0, 308.25)))
    if kind == 5:
        return sign * 10.0 ** rng.uniform(-20.0, 20.0)
    if kind == 6:
        return sign * rng.choice(
            (0.0, 1.0, 2.0**-1074, 2.0**-1022, 1e-160, 1e-300, 1e154, 1e300, 1.7e308, 709.0, 745.0)
        )
    return sign * (1.0 + 10.0 ** rng.uniform(-16.0, -1.0))


def random_tree(rng: random.Random, inputs: int, size: int) -> Tree:
    """Draw a program of `size` operations."""
    if size <= 0:
        if rng.random() < 0.2:
            return ("constant", rng.choice(CONSTANTS))
        return ("x", rng.randrange(inputs))
    name = rng.choice(tuple(RULES))
    if RULES[name].arity == 1:
        return (name, random_tree(rng, inputs, size - 1))
    left = rng.randrange(size)
    return (name, random_tree(rng, inputs, left), random_tree(rng, inputs, size - 1 - left))


def right_gradients(seed: int) -> Iterator[RightGradient]:
    """Yield right gradients without end, of programs that floats compute correctly at the point.

    Each intermediate result is right to one in a million, or underflows. A program such as cos(x**2) at 1e37 is left
    out, since its result in floats has nothing to do with the true one.
    """
    rng = random.Random(seed)
    while True:
        library = rng.choice(tuple(METHODS))
        inputs = 1 if library in _MAPPED else rng.choice((1, 1, 2, 3))
        tree = random_tree(rng, inputs, rng.randrange(1, 6))
        for _ in range(4):
            point = tuple(random_input(rng) for _ in range(3 if library in _MAPPED else inputs))
            try:
                candidate = RightGradient(tree, library, rng.choice(METHODS[library]), point, ())
                with np.errstate(all="ignore"):
                    found = np.ravel(candidate.function(*candidate.arguments)).tolist()
                values, slopes = exact(tree, library, point)
            except (ArithmeticError, ValueError, TypeError):  # a TypeError comes from complex numbers
                continue
            if all(map(_is_same, found, values)) and (library != "values" or _own_is_right(tree, point, slopes)):
                yield RightGradient(tree, library, candidate.method, point, slopes)
                break


def _is_same(found: float, value: float) -> bool:
    """Return whether floats compute a number correctly."""
    return isinstance(found, float) and math.isfinite(found) and abs(found - value) <= 1e-6 * abs(value) + 1e-100


def _own_is_right(tree: Tree, point: Sequence[float], slopes: Sequence[float]) -> bool:
    leaves = [mg.Value(x) for x in point]
    output = evaluate(tree, "of_microgrud", leaves)
    own = mg.gradient(output, leaves) if isinstance(output, mg.Value) else []
    return bool(own) and all(x.data == y or math.isclose(x.data, y, rel_tol=1e-9) for x, y in zip(own, slopes))
