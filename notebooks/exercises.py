"""The tests that an answer to an exercise of notebooks 1 to 3 has to pass; `checks.check` runs them."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from typing import Any

from microgrud import Value

from hints import (
    NotYetError,
    anything,
    close,
    compare,
    exercise,
    number,
    result,
    run,
    shown,
)

# --- notebook 1 ---


@exercise(1)
def _slope(answer: Any) -> None:
    functions: dict[str, Callable[[float], float]] = {
        "x * x": lambda x: x * x,
        "sin(x)": math.sin,
        "7": lambda x: 7.0,
    }
    places = ("x * x", 2.0, 4.0), ("x * x", -1.0, -2.0), ("sin(x)", 0.5, math.cos(0.5))
    for name, x, truth in (*places, ("7", 3.0, 0.0)):
        f = functions[name]
        compare(
            (answer, f, x),
            f"f(x) = {name} and x = {x:g}; the slope there is",
            truth,
            (-truth, "The size is right: which height did you subtract from which?"),
            (f(x), "You returned the height f(x). How fast does it change?"),
            (lambda got: abs(got) < 0.01, "How large is the change, measured in nudges?"),
            (
                lambda got, truth=truth: abs(got - truth) < 0.12 * max(1.0, truth),
                "That is near: try a smaller nudge.",
            ),
            (
                anything,
                "Try one nudge on paper: two heights, and the distance between them.",
            ),
            tolerance=1e-3,
        )


@exercise(2)
def _chain_rule(answer: Any) -> None:
    for x in (1.0, -2.0, 0.5):
        u = 3.0 * x + 1.0
        compare(
            (answer, x),
            f"x = {x:g}; a nudge gives the slope",
            6.0 * u,
            (2.0 * u, "You have the step from u to u * u. What happens from x to u?"),
            (3.0, "You have the step from x to u. What happens from u to u * u?"),
            (2.0 * u + 3.0, "Both factors are there. Are they added along a path?"),
            (u * u, "You returned the height. How fast does it change?"),
            (anything, "Write down both local derivatives first."),
            tolerance=1e-3,
        )


@exercise(3)
def _order(answer: Any) -> None:
    users = {"x": ["s"], "s": ["square", "cube"], "square": ["cube", "result"]}
    users |= {"cube": ["result"], "result": []}
    order = result("your function", answer)
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
    for x in (3.0, -2.0):
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

    def loss() -> Value:
        return (w * 2.0 + b - 5.0) ** 2

    run("your function", answer, loss, [w, b], 0.05)
    said = f"the first step led from w = 3, b = 1 to w = {shown(w)}, b = {shown(b)}"
    slopes = "the gradient is 8 along w and 4 along b."
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


# --- notebook 2 ---


@exercise(7)
def _mean_squared_error(answer: Any) -> None:
    cases = ([1.0, 2.0, 6.0], [2.0, 2.0, 3.0]), ([1.0, -1.0], [0.0, 0.0]), ([0.5], [2.5])
    for predictions, targets in cases:
        errors = [p - t for p, t in zip(predictions, targets)]
        n, truth = len(errors), sum(e * e for e in errors) / len(errors)
        case = f"the predictions {shown(predictions)} and the targets {shown(targets)}"
        compare(
            (answer, predictions, targets),
            f"{case}; the errors are {shown(errors)}, the mean of their squares",
            truth,
            (truth * n, "You have the sum of the squares."),
            (sum(errors) / n, "You have the mean of the errors themselves."),
            (sum(map(abs, errors)) / n, "You have the mean of their sizes."),
            ((sum(errors) / n) ** 2, "Square each error, not their mean."),
            (math.sqrt(truth), "You took a square root."),
        )


def _slope_of_square(x: float) -> float:
    return 2.0 * x


def _end(x: float, rate: float, steps: int, momentum: float = 0.0) -> float:
    """Return where a walk on x * x ends."""
    velocity = 0.0
    for _ in range(steps):
        velocity = momentum * velocity + _slope_of_square(x)
        x -= rate * velocity
    return x


@exercise(8)
def _walk(answer: Any) -> None:
    for start, rate, steps in ((4.0, 0.25, 3), (-1.0, 0.1, 20), (2.0, 0.5, 0)):
        case = f"slope(x) = 2 * x, start {start:g}, rate {rate:g}, steps {steps}"
        compare(
            (answer, _slope_of_square, start, rate, steps),
            f"{case}; the walk ends at",
            _end(start, rate, steps),
            (_end(start, -rate, steps), "Yours climbs."),
            (start - steps * rate * 2.0 * start, "Does the slope stay that of the start?"),
            (_end(start, rate, 1), "Yours takes one step."),
            (_end(start, rate, steps - 1), "Yours is a step short."),
            (_end(start, rate, steps + 1), "Yours takes a step too many."),
            (anything, f"The first step leads to {shown(_end(start, rate, 1))}."),
        )
    flat = number(
        "your function, for a slope of 0 everywhere,", answer, lambda x: 0.0, 4.0, 0.25, 3
    )
    if not close(flat, 4.0):
        raise NotYetError(
            f"where the slope is 0 everywhere, your walk leads from 4 to {shown(flat)}: call slope(x)."
        )


@exercise(9)
def _best_rate(answer: Any) -> None:
    for curvature in (4.0, 2.0, 50.0):
        rate = number(f"your function, for the curvature {curvature:g},", answer, curvature)
        end = 1.0 - rate * curvature
        if abs(end) > 1e-9:
            raise NotYetError(
                f"your rate for the curvature {curvature:g} is {shown(rate)}. From x = 1, where "
                f"the slope is {curvature:g}, one step leads to {shown(end)}; the bottom is at 0."
            )


@exercise(10)
def _momentum(answer: Any) -> None:
    for momentum, steps in ((0.5, 1), (0.5, 2), (0.9, 10), (0.0, 3)):
        case = f"slope(x) = 2 * x, start 4, rate 0.1, momentum {momentum:g}, steps {steps}"
        args = (_slope_of_square, 4.0, 0.1, momentum, steps)
        compare(
            (answer, *args),
            f"{case}; the walk ends at",
            _end(4.0, 0.1, steps, momentum),
            (_end(4.0, 0.1, steps), "Yours is the walk without momentum."),
            (
                lambda got, steps=steps: steps == 1,
                "The first step has none before it, so it is a plain one.",
            ),
            (
                anything,
                "How much of the velocity is kept, and how much of the slope is added?",
            ),
        )


# --- notebook 3 ---


@exercise(11)
def _parameters(answer: Any) -> None:
    for inputs, sizes in ((2, [3]), (2, [4, 4, 1]), (30, [16, 16, 3])):
        case = f"{inputs} inputs and layers of {sizes}"
        pairs = list(zip([inputs, *sizes], sizes))
        compare(
            (answer, inputs, sizes),
            f"{case}; the number is",
            sum((n + 1) * m for n, m in pairs),
            (sum(n * m for n, m in pairs), "These are the weights alone."),
            (sum((inputs + 1) * m for m in sizes), "What feeds the second layer?"),
            (anything, "How many parameters has one neuron of the first layer?"),
        )


@exercise(12)
def _batches(answer: Any) -> None:
    for count, size in ((10, 5), (7, 3), (2, 4)):
        samples, case = list(range(count)), f"for {count} samples and the size {size}"
        got = result(f"your function, {case},", answer, samples, size, random.Random(0))
        if samples != list(range(count)):
            raise NotYetError("your function changes the caller's list: shuffle a copy.")
        if not isinstance(got, list) or not all(isinstance(batch, list) for batch in got):
            raise NotYetError(
                f"your function returned {got!r} {case}; expected a list of lists."
            )
        flat, sizes = [sample for batch in got for sample in batch], [*map(len, got)]
        missing = sorted({*samples} - {*flat})
        if missing:
            raise NotYetError(
                f"{case} no batch has the samples {missing}: all have their turn."
            )
        if len(flat) > count:
            raise NotYetError(
                f"{case} the batches hold {len(flat)} samples: some come twice."
            )
        if sizes[:-1] != [size] * (len(sizes) - 1) or not 0 < sizes[-1] <= size:
            raise NotYetError(f"{case} your batches have {sizes} samples.")
        if count == 10 and flat == samples:
            raise NotYetError(f"{case} the order is the given one: shuffle by rng.")
    _shuffled(answer)


def _shuffled(answer: Any) -> None:
    """Check that the order comes from the generator, that any sample may be in any batch, and that equal ones stay."""
    samples = [0.5, 0.5, *range(2, 20)]

    def batches(seed: int) -> list[list[float]]:
        case = f"your function, for 20 samples, the size 5 and random.Random({seed}),"
        found: list[list[float]] = result(
            case, answer, list(samples), 5, random.Random(seed)
        )
        return found

    first, again, other = batches(1), batches(1), batches(2)
    if sorted(itertools.chain(*first)) != samples:
        raise NotYetError(
            "of two equal samples, your batches lack one, or have it more often."
        )
    if first != again or first == other:
        raise NotYetError(
            "the order has to come from rng: the same for equal generators, and another for others."
        )
    cuts = [sorted(samples[k : k + 5]) for k in range(0, 20, 5)]
    if sorted(map(sorted, first)) == cuts and sorted(map(sorted, other)) == cuts:
        raise NotYetError(
            "each batch holds neighbours of the given order: shuffle first, and cut then."
        )


@exercise(13)
def _early_stopping(answer: Any) -> None:
    losses = [5.0, 4.0, 3.0, 3.5, 3.6, 1.0, 2.0, 2.1, 2.2, 0.5]
    for values, patience, truth in (
        (losses, 2, 2),
        (losses, 3, 5),
        (losses, 5, 9),
        ([2.0, 1.0], 3, 1),
        ([3.0, 4.0, 3.5, 3.2, 1.0], 2, 0),
        ([3.0, 3.0, 3.0, 1.0], 2, 0),
    ):
        case = f"the losses {shown(values)} and the patience {patience}"
        compare(
            (answer, values, patience),
            f"{case}; expected",
            truth,
            (values[truth], "Return the number of the epoch, not its loss."),
            (
                truth + patience,
                "Training stops there. Which epoch had the best parameters?",
            ),
            (values.index(min(values)), "Training stops before it sees the later losses."),
            (anything, "Go through the losses one by one, and remember the lowest so far."),
        )
