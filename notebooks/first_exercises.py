"""The tests that an answer to an exercise of notebook 1 has to pass; `checks.check` runs them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from microgrud import Value

from hints import (
    NotYetError,
    anything,
    close,
    compare,
    exercise,
    fresh,
    number,
    result,
    run,
    shown,
)


class _Watched:
    """A function that remembers the places at which it was called."""

    def __init__(self, f: Callable[[float], float]) -> None:
        self.f = f
        self.places: list[float] = []

    def __call__(self, x: Any) -> Any:
        self.places.append(x.data if isinstance(x, Value) else x)
        return self.f(x)

    def nudge(self) -> float:
        return max(self.places) - min(self.places)

    def change(self) -> float:
        return self.f(max(self.places)) - self.f(min(self.places))

    def without_parentheses(self) -> float:
        return self.f(max(self.places)) - self.f(min(self.places)) / self.nudge()


@exercise(1)
def _slope(answer: Any) -> None:
    a, b, place = fresh(0.2, 0.9), fresh(0.2, 0.9), fresh(1.0, 3.0)
    _slope_at(answer, "x * x", lambda x: x * x, 2.0, 4.0)
    _slope_at(answer, "x * x", lambda x: x * x, -1.0, -2.0)
    _slope_at(answer, "sin(x)", math.sin, 0.5, math.cos(0.5))
    _slope_at(answer, "7", lambda x: 7.0, 3.0, 0.0)
    drawn = f"{a} * x * x - {b} * x"
    _slope_at(answer, drawn, lambda x: a * x * x - b * x, place, 2.0 * a * place - b)


def _slope_at(
    answer: Any, name: str, function: Callable[[float], float], x: float, truth: float
) -> None:
    """Check the slope at a place; hints name what was done with the heights that the answer asked for."""
    f = _Watched(function)

    def near(got: float, *wrong: float) -> bool:
        return any(abs(got - w) <= 1e-3 * abs(w) for w in wrong)

    compare(
        (answer, f, x),
        f"f(x) = {name} and x = {x:g}; the slope there is",
        truth,
        (
            lambda got: near(got, *map(function, {x, *f.places})),
            "You returned a height. How fast does it change?",
        ),
        (lambda got: not f.places, "You never called f: f(x) is the height at x."),
        (
            lambda got: len(f.places) == 1,
            "You asked for one height. How does it change if x is nudged?",
        ),
        (
            lambda got: f.nudge() < 1e-12,
            "The nudge is so small that rounding hides the change: try a larger one.",
        ),
        (
            lambda got: near(-got, f.change() / f.nudge()),
            "The size is right: which height did you subtract from which?",
        ),
        (
            lambda got: near(got, f.change() / f.nudge()),
            "The quotient is right, but the nudge is large: try a smaller one.",
        ),
        (
            lambda got: near(got, f.change(), -f.change()),
            "You returned the change itself. How many times the nudge is it?",
        ),
        (
            lambda got: near(
                1.0, got * f.change() / f.nudge(), -got * f.change() / f.nudge()
            ),
            "You divided the nudge by the change: it is the other way round.",
        ),
        (
            lambda got: near(got, f.without_parentheses()),
            "Python divides before it subtracts: put the change into parentheses.",
        ),
        (
            lambda got: near(got, f.change() / x),
            "You divided the change by x. By how much was x nudged?",
        ),
        (
            lambda got: near(got, 2.0 * truth, 0.5 * truth),
            "You are off by a factor of 2: how far apart are the places of your two heights?",
        ),
        (anything, "Try one nudge on paper: two heights, and the distance between them."),
        tolerance=1e-3,
    )


@exercise(2)
def _chain_rule(answer: Any) -> None:
    for x in (1.0, -2.0, 0.5, fresh(1.1, 2.9)):
        u = 3.0 * x + 1.0
        compare(
            (answer, x),
            f"x = {x:g}; a nudge gives the slope",
            6.0 * u,
            (2.0 * u, "You have the step from u to u * u. What happens from x to u?"),
            (3.0, "You have the step from x to u. What happens from u to u * u?"),
            (2.0 * u + 3.0, "Both factors are there. Are they added along a path?"),
            (u * u, "You returned the height. How fast does it change?"),
            (3.0 * u, "The product has two edges from u, and each contributes u."),
            (6.0 * x, "The slope of u * u is taken at u, not at x."),
            (18.0 * x, "What has become of the 1 in u?"),
            (anything, "Write down both local derivatives first."),
            tolerance=1e-3,
        )


@exercise(3)
def _order(answer: Any) -> None:
    users = {"x": ["s"], "s": ["square", "cube"], "square": ["cube", "result"]}
    users |= {"cube": ["result"], "result": []}
    try:
        order = result("your function", answer)
    except NotYetError as reason:
        if not isinstance(reason.__cause__, NameError):
            raise
        raise NotYetError(f"{reason}. Write the names in quotes.") from reason
    if not isinstance(order, (list, tuple)) or sorted(map(str, order)) != sorted(users):
        raise NotYetError(
            f"your function returned {order!r}; expected a list of the five names "
            f"{', '.join(users)}, each once."
        )
    for k, name in enumerate(order):
        for user in users[name]:
            if user not in order[:k]:
                raise NotYetError(
                    f"{name} passes its gradient on before {user} does. But {user} was computed "
                    f"from {name}, so the gradient of {name} still lacks a share."
                )


@exercise(4)
def _paths(answer: Any) -> None:
    for x in (3.0, -2.0, fresh(1.1, 2.9)):
        got = result(f"your function, for x = {x:g},", answer, x)
        if not isinstance(got, (list, tuple)):
            raise NotYetError(f"your function returned {shown(got)}; expected a list.")
        shares = sorted(
            number("an entry of your list", lambda share=share: share) for share in got
        )
        truth = sorted([x, x, x, x, 4.0 * x])
        if len(shares) != len(truth):
            raise NotYetError(
                f"you list {len(shares)} paths: draw the graph, and follow every edge from x."
            )
        if not close(sum(shares), sum(truth)):
            raise NotYetError(
                f"for x = {x:g} your shares add up to {shown(sum(shares))}; the gradient is "
                f"{shown(sum(truth))}."
            )
        if not all(map(close, shares, truth)):
            raise NotYetError(
                f"for x = {x:g} the sum {shown(sum(truth))} is right, but not each share: "
                "multiply the local derivatives along each path separately."
            )


@exercise(5)
def _value(answer: Any) -> None:
    if not isinstance(answer, type):
        raise NotYetError(
            f"expected your class, got {shown(answer)}: write check(Number, 5)."
        )
    _forward(answer)
    slope = 1.0 - math.tanh(0.4) ** 2
    cases: dict[str, tuple[Callable[..., Any], str, list[float]]] = {
        "a + b": (
            lambda a, b, c: a + b,
            "Does a sum pass a change on as it is?",
            [1.0, 1.0],
        ),
        "a * b": (
            lambda a, b, c: a * b,
            "What is a nudge of a multiplied by?",
            [-0.3, 2.0],
        ),
        "c.tanh()": (
            lambda a, b, c: c.tanh(),
            "The local derivative is 1 - t * t for the result t.",
            [0.0, 0.0, 1.0 - math.tanh(0.2) ** 2],
        ),
        "(a * b + c).tanh()": (
            lambda a, b, c: (a * b + c).tanh(),
            "Each node multiplies its own gradient by the local derivative.",
            [-0.3 * slope, 2.0 * slope, slope],
        ),
    }
    for name, (build, why, grads) in cases.items():
        leaves = answer(2.0), answer(-0.3), answer(0.2)
        root = run(name, build, *leaves)
        run(f"backward() of {name}", lambda root=root: root.backward())
        if root.grad == 0.0:
            raise NotYetError(
                f"after backward() of {name} the grad of {name} itself is 0. "
                "How fast does a number change with itself?"
            )
        if not any(leaf.grad for leaf in leaves):
            raise NotYetError(
                f"after backward() of {name} every other grad is still 0. "
                "Which nodes give their operands shares, and in which order?"
            )
        for letter, leaf, grad in zip("abc", leaves, grads):
            _grad(f"{name} with a = 2, b = -0.3, c = 0.2", letter, leaf, grad, why)
    _shared(answer)


def _forward(answer: type) -> None:
    """Check the numbers that the class computes, before any gradient."""
    made = run("Number(2.0)", answer, 2.0)
    for name, truth in (("data", 2.0), ("grad", 0.0)):
        if getattr(made, name, None) != truth:
            raise NotYetError(f"Number(2.0) has no {name} that is {truth}.")
    cases: dict[str, tuple[Callable[[Any, Any], Any], float]] = {
        "a + b": (lambda a, b: a + b, -1.0),
        "a * b": (lambda a, b: a * b, -6.0),
        "a.tanh()": (lambda a, b: a.tanh(), math.tanh(2.0)),
    }
    for name, (operation, truth) in cases.items():
        case = f"{name}, for a = Number(2.0) and b = Number(-3.0),"
        got = result(case, operation, answer(2.0), answer(-3.0))
        if not isinstance(got, answer):
            raise NotYetError(f"{case} is a {type(got).__name__}; expected a Number.")
        if not close(got.data, truth):
            raise NotYetError(
                f"{case} has the data {shown(got.data)}; expected {truth:.6g}."
            )


def _shared(answer: type) -> None:
    """Check gradients of numbers that are used more than once."""
    x = answer(3.0)
    run("backward() of x * x", lambda: (x * x).backward())
    _grad("x * x", "x", x, 6.0, "Is the first share still there when the second arrives?")
    orders: dict[str, Callable[[Any], Any]] = {
        "s * s + s": lambda s: s * s + s,
        "s + s * s": lambda s: s + s * s,
    }
    for name, build in orders.items():
        x = answer(3.0)
        build(x + x).backward()
        why = "Is the gradient of s complete when s passes it on?"
        _grad(f"{name} with s = x + x", "x", x, 26.0, why)
    x = doubled = answer(1.0)
    for _ in range(10):
        doubled = doubled + doubled
    doubled.backward()
    why = "Does each node pass its gradient on exactly once?"
    _grad("x, doubled ten times,", "x", x, 1024.0, why)


def _grad(name: str, leaf: str, node: Any, truth: float, why: str) -> None:
    """Check the gradient of a leaf after a backward pass."""
    if not close(node.grad, truth):
        raise NotYetError(
            f"after backward() of {name} the grad of {leaf} is {shown(node.grad)}; "
            f"expected {shown(truth)}. {why}"
        )


@exercise(6)
def _one_step(answer: Any) -> None:
    w, b = Value(3.0), Value(1.0)
    calls = 0

    def loss() -> Value:
        nonlocal calls
        calls += 1
        return (w * 2.0 + b - 5.0) ** 2

    run("your function", answer, loss, [w, b], 0.05)
    said = f"the first step led from w = 3, b = 1 to w = {shown(w)}, b = {shown(b)}"
    slopes = "the gradient is 8 along w and 4 along b."
    if calls and close(w.data, 3.0) and close(b.data, 1.0) and not (w.grad or b.grad):
        raise NotYetError(
            "the parameters have not changed, and their gradients are 0. What has to stand between "
            "loss() and the update, and is anything cleared too late?"
        )
    for wrong, text in (
        ((3.0, 1.0), "the parameters have not changed: set `.data` of each parameter."),
        ((3.4, 1.2), f"{said}: that is uphill; {slopes}"),
        ((-5.0, -3.0), f"{said}: those are whole gradients. How large should a step be?"),
        ((2.6, 1.0), f"{said}: only w has moved."),
    ):
        if close(w.data, wrong[0]) and close(b.data, wrong[1]):
            raise NotYetError(text)
    if not (close(w.data, 2.6) and close(b.data, 0.8)):
        raise NotYetError(f"{said}; {slopes}")
    run("your function", answer, loss, [w, b], 0.025)
    if close(w.data, 2.4) and close(b.data, 0.7):
        raise NotYetError(
            "the first step is right, the second takes the rate 0.05 again; it was called with 0.025."
        )
    if not (close(w.data, 2.5) and close(b.data, 0.75)):
        raise NotYetError(
            f"the first step is right, the second leads to w = {shown(w)}; expected 2.5. "
            "What is in `.grad` before the second backward pass?"
        )
