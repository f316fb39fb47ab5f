"""Rows of the matrix: every kind of Python code that a function may contain.

To add one, write a function of the leaves that returns the program's function, with `@program` and three points above.
Points are at least 0.05 away from jumps and kinks of a program, except in rows that say otherwise.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from agreement_truth import Program, Refusal, in_recordings

import microgrud
from microgrud import (
    CompileError,
    abs,
    clip,
    elu,
    exp,
    leaky_relu,
    log,
    maximum,
    minimum,
    relu,
    sin,
    sqrt,
    tanh,
    where,
)  # fmt: skip

PROGRAMS: list[Program] = []

Make = Callable[..., Callable[..., Any]]


def program(*points: tuple[Any, ...], leaves: tuple[float, ...] = (), **settings: Any) -> Callable[[Make], Make]:
    """Add a row: a decorator of a function that makes the program's function from its leaves."""

    def register(make: Make) -> Make:
        PROGRAMS.append(Program(make.__name__.replace("_", " "), make, points, leaves, **settings))
        return make

    return register


ONE = ((0.5,), (-0.7,), (1.3,))
TWO = ((0.5, 0.9), (-0.7, 0.4), (1.3, -1.1))
LIST = (([0.5, -0.3, 1.2],), ([1.5, 0.2, -0.4],), ([-0.6, 0.9, 0.1],))
LEAVES = (0.8, -0.3)

# --- closures -------------------------------------------------------------------------------------------------------


@program(*ONE, leaves=LEAVES)
def closure_over_leaves(w, b):
    return lambda x: tanh(w * x + b) * w


@program(*ONE, leaves=(3.0,))
def slope_that_depends_on_a_leaf(w):
    return lambda t: w * t * t


@program(*LIST, leaves=LEAVES)
def closure_over_a_list_of_leaves(w, b):
    parameters = [w, b, w]
    return lambda xs: sum(p * sin(x) for p, x in zip(parameters, xs))


@program(
    *ONE,
    leaves=LEAVES,
    without=("*updated between calls",),  # the node's number does not change
    refused=in_recordings("compute it inside", "a node closed over may be computed anew before the next call"),
)
def closure_over_a_node(w, b):
    def f(x):
        return x * node + node * node

    node = w * 3.0 + b
    return f


@program(*ONE, leaves=LEAVES)
def closure_over_an_array_of_leaves(w, b):
    weights = np.array([w, b], dtype=object)
    return lambda x: (weights * x) @ weights + np.sum(weights)


@program(*ONE)
def closure_over_numbers(scale=2.5):
    shift = [0.1, 0.2]
    return lambda x: scale * x + shift[1] * exp(x)


@program(*ONE, leaves=LEAVES)
def closure_that_counts_calls(w, b):
    calls = [0]

    def f(x):
        calls[0] += 1
        return w * x + b * sin(x)

    return f


@program(*TWO, leaves=(0.8,))
def default_that_is_a_leaf(w):
    def f(x, y, k=w):
        return k * x + tanh(y * k)

    return f


@program(*ONE, leaves=(0.8,))
def one_leaf_twice(w):
    return lambda x: w * x + w * w


@program(*ONE, leaves=(0.8, 0.3))
def result_is_linear(w, b):
    return lambda x: w * x + b


@program(*ONE, leaves=(0.8,))
def result_depends_on_leaves_alone(w):
    return lambda x: w * w


# --- parameters -----------------------------------------------------------------------------------------------------


@program(*TWO)
def default_arguments():
    def f(x, y, k=2.0, m=0.5):
        return k * x * y + m * sin(x)

    return f


@program(*TWO, keywords={"k": 1.5, "n": 2})
def keyword_arguments():
    def f(x, y, n=1, k=0.5):
        return k * x**n + y

    return f


@program(*TWO, keywords={"k": 1.5})
def keyword_only_arguments():
    def f(x, y, *, k):
        return k * x * sin(y)

    return f


@program(*TWO, keywords={"mode": "slow", "flag": True})
def keywords_that_are_no_numbers():
    def f(x, y, mode="fast", flag=False):
        return x * y if mode == "slow" and flag else x + y

    return f


@program(*TWO)
def positional_only_arguments():
    def f(x, y, /):
        return x * sin(y)

    return f


@program(*TWO)
def starred_arguments():
    return lambda *xs: xs[0] * sin(xs[1]) + len(xs)


@program(*TWO)
def arguments_that_are_not_used():
    return lambda x, y: sin(y)


@program(*ONE)
def a_constant():
    return lambda x: 3.0


@program(*ONE)
def its_argument():
    return lambda x: x


@program(*ONE, leaves=(0.8,))
def its_leaf(w):
    return lambda x: w


@program(*TWO)
def partial():
    return functools.partial(lambda k, x, y: k * x + y * y, 2.5)


@program(*TWO, leaves=(0.8,))
def partial_of_a_leaf(w):
    def f(x, y, k):
        return k * x + y * y * k

    return functools.partial(f, k=w)


@program(*ONE)
def lambdas_with_defaults():
    terms = [lambda x, k=k: x**k / (k + 1.0) for k in range(1, 4)]
    return lambda x: sum(term(x) for term in terms)


# --- branches and loops ---------------------------------------------------------------------------------------------


@program(*ONE)
def early_return():
    def f(x):
        if x < 0.0:
            return x * x
        return exp(x) - 1.0

    return f


@program(*TWO)
def elif_chain():
    def f(x, y):
        if x > 1.0:
            return x * y
        elif y > 0.7:  # noqa: RET505 - a chain of elif is what is tested
            return x - y * y
        elif x * y < -5.0:
            return y
        else:
            return sin(x) * 2.0

    return f


@program(*TWO, leaves=(0.8,))
def branch_on_a_leaf(w):
    return lambda x, y: x * w if y < w else y * w * w


@program((5.3, 0.9), (0.4, 0.5), (11.0, 1.1))
def while_loop_led_by_data():
    def f(x, y):
        while x > 1.0:
            x = x * 0.5
            y = y * y + x
        return y * x

    return f


@program((0.9,), (2.2,), (3.7,))
def newton_until_it_converges():
    def f(a):
        x = a
        while abs(x * x - a) > 1e-13:
            x = 0.5 * (x + a / x)
        return 0.5 * (x + a / x)

    return f


@program(*LIST)
def for_loop_with_break():
    def f(xs):
        total = 0.0
        for i, x in enumerate(xs):
            if x < -0.35:
                break
            if x < 0.15:
                continue
            total = total * x + (i + 1) * x
        else:
            total = total + 1.0
        return total + xs[0]

    return f


@program(*TWO)
def conditional_expressions():
    return lambda x, y: (x if x > y else y) * (1.0 if x + y > 0 else -2.0) + (x and y)


@program(*TWO)
def chained_comparisons():
    return lambda x, y: x * y if 0.0 < x < 1.0 else x - y if not x <= y else y * y


@program(*TWO)
def match_statement():
    def f(x, y):
        match (x > 0.0, y > 0.0):
            case (True, True):
                return x * y
            case (True, False):
                return x * exp(y)
            case _:
                return y - x * x

    return f


# --- comparisons as numbers -----------------------------------------------------------------------------------------


@program(*TWO)
def comparison_times_a_number():
    return lambda x, y: (x > 0.0) * x * y - 2 * (y <= x) + x**2 * (1.5 - (x != y))


@program(*TWO)
def comparisons_combined():
    return lambda x, y: where((x > 0.0) & (y < 0.5), x * y, y - x) + where((x < y) | (y < -1.0), x * x, 0.0)


@program(*TWO)
def comparisons_compared():
    return lambda x, y: x * ((x > 0.0) == (y > 0.0)) + y * y * ((x < 0.0) ^ (y < 0.5)) + ((x < y) < 0.5) * x


@program(*LIST)
def count_as_a_number():
    return lambda xs: sum(x > 0.0 for x in xs) / len(xs) * xs[0] ** 2 + (xs[1] > 0) + xs[2]


@program(*LIST)
def count_as_an_index():
    return lambda xs: xs[sum(x > 0.0 for x in xs) - 1] * xs[0] * [1.0, 2.0, 3.0][-(xs[1] < 0.0)] + xs[int(xs[2] > 0)]


@program(*LIST)
def count_in_a_range():
    return lambda xs: sum(xs[0] * k for k in range(1 + (xs[1] < 0.0) + (xs[2] < 0.0))) + xs[1] * xs[2]


@program(*TWO)
def comparison_as_a_key():
    return lambda x, y: {True: x * y, False: x - y * y}[x > 0.0] + {0: 1.0, 1: x}[(y > 0.0) + (x > 1.0) * 0]


@program(*TWO)
def comparison_as_text():
    return lambda x, y: x * y if f"{x > 0.0} {y > 0.0!r}" == "True True" else x - y * y


@program(*TWO)
def comparison_by_identity():
    return lambda x, y: x * y if (x > 0.0) is True else x - y * y


@program(*TWO)
def comparison_by_type():
    return lambda x, y: x * y * (2.0 if isinstance(x > 0.0, bool) and type(y < x) is bool else 3.0) + (x < y)


@program(*TWO)
def comparison_kept_and_asked_later():
    def f(x, y):
        flags = [x > 0.0, y > x]
        total = x * flags[0] + y * y * flags[1]
        return total * x if all(flags) else total * y if any(flags) else total

    return f


@program(*TWO, without=("*mpmath*",))
def comparison_in_numpy():
    return lambda x, y: x * float(np.float64(2.0) * (x > 0.0)) + y * float(np.where(y > 0.0, 1.0, -1.0)) * x


@program(*TWO)
def comparison_in_functions():
    return lambda x, y: maximum(x > 0.0, 0.5) * x + microgrud.sum([x < y, x * x, y < 0.0]) * y


@program(*TWO, exact=False)
def comparison_of_slopes():
    def f(x, y):
        slope = microgrud.grad(lambda t: abs(t) * y + maximum(t, y) ** 2)(x)
        return where(slope > 0.0, slope * x, y * y) + (slope < 1.5 * y) * x

    return f


@program(*LIST)
def kinks_of_kinks():
    return lambda xs: relu(maximum(xs[0], xs[1]) * abs(xs[2])) + microgrud.max(xs) * microgrud.min(xs) * abs(xs[1])


@program(*LIST)
def distance_to_the_nearest():
    return lambda xs: microgrud.min([microgrud.sum([(x - c) ** 2 for x in xs]) for c in (-1.0, 0.0, 1.0)])


@program(*TWO)
def kinks_with_parameters():
    return lambda x, y: clip(x * y, -0.4, y * y) + leaky_relu(x, 0.2) * elu(y, 1.5) * x + elu(x * y) + minimum(x, y) * y


# --- sorting and choosing -------------------------------------------------------------------------------------------


@program(*LIST)
def sorted_list():
    return lambda xs: sum((i + 1.0) * x for i, x in enumerate(sorted(xs)))


@program(*LIST)
def sort_with_key():
    def f(xs):
        own = list(xs)
        own.sort(key=lambda x: -x * x)
        return own[0] * own[1] + 2.0 * own[2]

    return f


@program(*LIST)
def sorted_in_reverse_with_indices():
    def f(xs):
        order = sorted(range(len(xs)), key=lambda i: xs[i], reverse=True)
        return sum(xs[i] * float(place) for place, i in enumerate(order)) * xs[order[0]]

    return f


@program(*LIST)
def min_and_max_with_key():
    return lambda xs: min(xs, key=lambda x: abs(x - 0.3)) * max(xs) + max(xs, key=abs) * min(*xs)


@program(*LIST)
def any_and_all():
    return lambda xs: xs[0] * xs[1] if any(x < -0.35 for x in xs) else xs[2] if all(x > 0.0 for x in xs) else sum(xs)


@program(*LIST)
def median_by_bisect():
    def f(xs):
        import bisect

        own: list[Any] = []
        for x in xs:
            bisect.insort(own, x)
        return own[1] * own[1] + own[0]

    return f


#: A recording does not know which numbers raise: then the function itself is called, which a pickle does not contain.
PICKLED = {
    "compile, pickled": Refusal(
        CompileError, "compile (it|the function) again", "a pickle holds recordings, and no function"
    )
}

#: With errors="ignore" the logarithm of a negative number is NaN, so that there is no error to catch.
IGNORED = ("compile, errors ignored",)


# --- errors ---------------------------------------------------------------------------------------------------------


@program(*ONE, refused=PICKLED, without=IGNORED)
def try_and_except():
    def f(x):
        try:
            return log(x) * x
        except ValueError:
            return x * x * x

    return f


@program(*ONE, refused=PICKLED, without=IGNORED)
def try_whose_result_is_not_used():
    def f(x):
        try:
            log(x)
        except ValueError:
            return x * x
        return 2.0 * x

    return f


@program(*ONE, refused=PICKLED, without=IGNORED)
def try_whose_derivative_needs_no_result():
    def f(x):
        try:
            return log(x) * 0.5
        except ValueError:
            return x * x

    return f


@program((0.5, 2.0), (0.7, 0.3), (-1.2, 0.5), refused=PICKLED, without=IGNORED)
def try_with_else_and_finally():
    def f(x, y):
        total = x
        try:
            root = sqrt(x)
        except ValueError:
            total = total * y
        else:
            total = total + root * y
        finally:
            total = total * 2.0
        return total

    return f


def _itself(x: Any) -> Any:
    return x


@program((0.5,), (0.0,), (-1.0,), instead=lambda at: lambda: abs if at else _itself, refused=PICKLED, without=IGNORED)
def division_by_zero_caught():
    def f(x):
        try:
            return 1.0 / abs(x) * x * x
        except ZeroDivisionError:
            return x

    return f
