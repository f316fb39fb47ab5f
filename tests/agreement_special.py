"""Rows of the matrix: equality of numbers, copies, detached numbers, and errors.

Equality is tested at points where it holds, at which the program jumps. Each of these programs has two names for each
argument, one for comparisons and one for computations, so that the truth can keep the first one constant.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
from agreement_objects import Affine, FrozenPair, Pair
from agreement_programs import LIST, ONE, TWO
from agreement_truth import Program, Refusal, in_recordings
from mpmath import mpf

import microgrud
from microgrud import CompileError, Value, exp, no_grad, sin

SPECIAL: list[Program] = []


def row(*points: tuple[Any, ...], **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add a program that closes over nothing: a decorator."""

    def register(f: Callable[..., Any]) -> Callable[..., Any]:
        SPECIAL.append(Program(f.__name__.replace("_", " "), lambda: f, points, **settings))
        return f

    return register


# --- equality -------------------------------------------------------------------------------------------------------


def compared(*points: tuple[Any, ...]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add a program with each argument twice: first all to compare, then all to compute with."""

    def register(body: Callable[..., Any]) -> Callable[..., Any]:
        both: dict[int, Callable[..., Any]] = {1: lambda x: body(x, x), 2: lambda x, y: body(x, y, x, y)}
        f = both[len(points[0])]

        def instead(*held: Any) -> Callable[[], Callable[..., Any]]:
            return lambda: lambda *args: body(*held, *args)

        SPECIAL.append(Program(f"equality: {body.__name__.replace('_', ' ')}", lambda: f, points, instead=instead))
        return body

    return register


EQUAL = ((0.5, 1.0), (-0.7, 0.4), (1.3, 1.0))
ZEROS = ((np.array([0.5, 0.0, 1.2]),), (np.array([0.0, 0.2, -0.4]),), (np.array([-0.6, 0.9, 0.1]),))
LISTS = (([0.5, 0.0, 1.2],), ([0.0, 0.2, -0.4],), ([-0.6, 0.9, 0.0],))


@compared(*EQUAL)
def with_an_integer(a, b, x, y):
    return x * x * y if b == 1 else x + y * y


@compared(*EQUAL)
def inequality_with_a_number(a, b, x, y):
    return x * x * y if b != 1.0 else x + y * y


@compared(*EQUAL)
def with_a_numpy_number(a, b, x, y):
    return x * x * y if b == np.float64(1.0) else x + y * y


@compared((0.5, 0.5), (-0.7, 0.4), (1.3, 1.3))
def of_two_arguments(a, b, x, y):
    return x * y if a == b else x - y * y


@compared((0.5, 0.5), (-0.7, 0.4), (1.3, 1.3))
def of_two_results(a, b, x, y):
    return sin(x) * y if a * 2.0 + 1.0 != b * 2.0 + 1.0 else x - y * y


@compared((0.0,), (0.5,), (1.0,))
def in_a_tuple_of_numbers(a, x):
    return x * x + 3.0 * x if a in (0.0, 1.0) else sin(x)


@compared(*LISTS)
def zero_in_a_list(cs, xs):
    return xs[0] * xs[1] + xs[2] if 0.0 in cs else xs[0] * xs[2]


@compared(*LISTS)
def index_and_count(cs, xs):
    place = cs.index(0.0)
    return xs[place] * 3.0 + xs[place - 1] * xs[0] + cs.count(0.0) * xs[1]


@compared(*LISTS)
def index_of_the_largest(cs, xs):
    place = cs.index(max(cs))
    return xs[place] * xs[0] + xs[place - 2]


@compared((0.5, 0.5), (-0.7, 0.4), (1.3, 1.3))
def in_a_list_of_others(a, b, x, y):
    return x * y if a in [b * 1.0, 7.0] else x - y * y


@compared(*LISTS)
def removed_from_a_list(cs, xs):
    own, kept = list(cs), list(range(3))
    place = own.index(0)
    own.remove(0.0)
    del kept[place]
    return xs[kept[0]] * xs[kept[1]] + len(own) * xs[place]


@compared((0.0,), (0.5,), (-0.5,))
def guard_against_zero(a, x):
    return sin(x) / x if a != 0 else 1.0 + x


@compared(*EQUAL)
def with_none_and_text(a, b, x, y):
    return x * y if a != None and b != "1.0" and not b == "x" else x + y  # noqa: E711, SIM201


@compared(*ZEROS)
def where_an_element_is_zero(cs, v):
    return np.sum(np.where(cs == 0, 1.0, v * v)) + np.sum(v * 0.5)


@compared(*ZEROS)
def count_of_elements_that_are_zero(cs, v):
    return np.sum(v * v) * (1.0 + np.count_nonzero(cs == 0.0)) + v[0]


@compared((0.5, 0.5), (-0.7, 0.4), (1.3, 1.3))
def of_lists_and_dataclasses(a, b, x, y):
    if [a, b] == [b, a] and FrozenPair(a, b) == FrozenPair(b, a) and Pair(a, b) == Pair(b, a):
        return x * y
    return x + y * y


@compared((2.0,), (0.5,), (3.0,))
def match_on_a_number(a, x):
    match a:
        case 2.0:
            return x * x
        case 3.0:
            return x * x * x
        case _:
            return sin(x)


@row(*TWO)
def identity(x, y):
    return x * y if x is x and x is not y else x + y


@row(*TWO, instead=lambda *at: lambda: lambda x, y: x * y)
def found_by_identity(x, y):
    seen = {x: 1.0}
    return x * y if x in seen and x + 0.0 not in seen else x + y


# --- detached numbers -----------------------------------------------------------------------------------------------


def detached(x: Any) -> Any:
    """Detach a number: a Value by `detach`; an mpmath number by rounding, which hides the steps of differences."""
    return x.detach() if isinstance(x, Value) else mpf(float(x)) if hasattr(x, "_mpf_") else x


def data_of(x: Any) -> Any:
    return x.data if isinstance(x, Value) else detached(x)


def hidden_data_of(x: Any) -> Any:
    return x._data if isinstance(x, Value) else detached(x)


@row(*TWO)
def detach(x, y):
    return x * detached(x) + detached(y * 2.0) * y * y


@row(*TWO)
def stop_gradient(x, y):
    def stopped(t: Any) -> Any:
        return detached(t) if hasattr(t, "_mpf_") else microgrud.stop_gradient({"t": [t]})["t"][0]

    return x * stopped(x) + stopped(y * 2.0) * y * y


@row(*TWO, refused=in_recordings(r"\.detach\(\)", "a number read by .data would be frozen"))
def reading_data(x, y):
    return x * data_of(x) + y


@row(*TWO, refused=in_recordings(r"detach|\.data", "a number read by ._data would be frozen"))
def reading_hidden_data(x, y):
    return x * hidden_data_of(x) + y


def _with_product_held(x: float, y: float) -> Callable[[], Callable[..., Any]]:
    return lambda: lambda u, v: x * y * u + v


@row(*TWO, instead=_with_product_held, refused=in_recordings(r"\.detach\(\)", "no_grad would drop the history"))
def no_grad_inside(x, y):
    with no_grad():
        held = x * y
    return held * x + y


@row(*TWO, refused=in_recordings("before or after the call", "text would be frozen"))
def text(x, y):
    return x * len(f"{x:.1f}") + y * 2.0 if f"{x}" else y


# --- copies ---------------------------------------------------------------------------------------------------------

#: A copy of a leaf is a new leaf unless a transform or a recording is in progress.
OUTSIDE = ("backward", "backward, detect_anomaly", "backward of a checkpointed function", "gradient")
COPIED = in_recordings(r"\+x", "a copy would be frozen")


@row(*TWO, without=OUTSIDE, refused=COPIED)
def shallow_copy(x, y):
    return copy.copy(x) * y + copy.copy(x * y)


@row(*TWO, without=OUTSIDE, refused=COPIED)
def deep_copy(x, y):
    return copy.deepcopy(x) * y + copy.deepcopy([x * y, y])[0] * x


@row(*TWO, without=OUTSIDE, refused=COPIED)
def deep_copy_of_an_object(x, y):
    model = copy.deepcopy(Affine(x, y))
    return model(2.0) * x


@row(*TWO, without=OUTSIDE, refused=COPIED)
def dataclass_as_dict(x, y):
    fields = dataclasses.asdict(Pair(x * 1.0, y))
    return fields["x"] * fields["y"] + x


@row(*LIST)
def copies_of_lists(xs):
    own = copy.copy(xs)
    own.append(own[0] * own[1])
    return own[-1] * xs[2] + tuple(xs)[-2]


# --- errors ---------------------------------------------------------------------------------------------------------

_NO_FLOAT = {"*": Refusal((TypeError, CompileError), r"microgrud\.\w+|\.data", "a plain number is asked for")}


@row(*ONE, refused=_NO_FLOAT, exact=False)
def math_exp(x):
    return math.exp(x) * x


@row(*ONE, refused=_NO_FLOAT, exact=False)
def float_of_it(x):
    return float(x) * x


@row(*ONE, refused=_NO_FLOAT, exact=False)
def int_of_it(x):
    return int(x) * x


@row(*ONE, refused=_NO_FLOAT, exact=False)
def numpy_isnan(x):
    return x if np.isnan(x) else x * x


class Remembering:
    """A callable object that writes to its attribute, and reads it in the same call."""

    def __init__(self) -> None:
        self.cache: dict[int, Any] = {}

    def __call__(self, x: Any) -> Any:
        self.cache[0] = x * x
        return self.cache[0] + x


SPECIAL.append(
    Program(
        "object that writes to itself",
        Remembering,
        ONE,
        refused={
            **in_recordings("self|object|write|attribute", "a replay would not write"),
            "*checkpointed*": Refusal(
                RuntimeError, "keeps an argument, or a Value", "what it keeps would be cut off", always=False
            ),
        },
    )
)


@row(
    (0.5, Affine(2.0, 0.3)),
    (-0.7, Affine(1.0, 0.5)),
    (1.3, Affine(-1.0, 0.2)),
)
def objects_among_the_arguments(x, model):
    return model(x) * exp(x)


@row(*ONE)
def numbers_drawn_from_a_new_generator(x):
    return x * random.Random(0).random()


@row((0.5, "square"), (-0.7, "cube"), (1.3, "square"))
def text_among_the_arguments(x, kind):
    return x * x if kind == "square" else x * x * x


@row((0.5, None, True), (-0.7, None, True), (1.3, None, False))
def none_and_bools_among_the_arguments(x, y, flag):
    return x * x if flag and y is None else x * x * x
