"""Rows of the matrix: containers, functions inside functions, classes."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from agreement_programs import LEAVES, LIST, ONE, TWO, program

from microgrud import sin

# --- classes --------------------------------------------------------------------------------------------------------


class Affine:
    """A model with methods of every kind."""

    unit = 1.0

    def __init__(self, w: Any, b: Any) -> None:
        self.w, self.b = w, b

    def __call__(self, x: Any) -> Any:
        return self.w * x + self.b

    def slope(self, x: Any) -> Any:
        return self.w + self.unit * x

    @classmethod
    def shifted(cls, x: Any) -> Any:
        return x * x + cls.unit

    @staticmethod
    def curved(x: Any) -> Any:
        return x * sin(x)

    @property
    def squared(self) -> Any:
        return self.w * self.w


class Shifted(Affine):
    """A model that calls its base class."""

    def __call__(self, x: Any) -> Any:
        return super().__call__(x) * self.w + super().slope(x)


class Vector:
    """A class with operators and slots."""

    __slots__ = ("x", "y")

    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y = x, y

    def __add__(self, other: Vector) -> Vector:
        return Vector(self.x + other.x, self.y + other.y)

    def __matmul__(self, other: Vector) -> Any:
        return self.x * other.x + self.y * other.y


@dataclasses.dataclass
class Pair:
    """A dataclass with a method."""

    x: Any
    y: Any = 1.0

    def product(self) -> Any:
        return self.x * self.y


@dataclasses.dataclass(frozen=True)
class FrozenPair:
    """A frozen dataclass, with the equality that it generates."""

    x: Any
    y: Any


# --- containers -----------------------------------------------------------------------------------------------------


@program(
    ({"w": [0.5, -0.3], "b": (1.2, {"c": 0.4})},),
    ({"w": [1.5, 0.2], "b": (-0.4, {"c": 0.6})},),
    ({"w": [-0.6, 0.9], "b": (0.1, {"c": 1.4})},),
)
def nested_containers_in_and_out():
    def f(p):
        first, inner = p["b"]
        return {"sum": sum(p["w"]) * first, "rest": [inner["c"] ** 2, (first, p["w"][0] * inner["c"])]}

    return f


class Point(NamedTuple):
    """A named tuple, as a structure of arguments and results."""

    x: Any
    y: Any


@program((Point(0.5, 0.9),), (Point(-0.7, 0.4),), (Point(1.3, -1.1),))
def named_tuples():
    return lambda p: Point(p.x * p.y, sin(p.x) + p.y)


@program(*LIST)
def lists_out():
    return lambda xs: [xs[0] * xs[1], xs[2] ** 2, 1.5]


@program(*TWO)
def tuples_out():
    return lambda x, y: (x * y, (sin(x), y))


@program(*LIST)
def comprehensions():
    return lambda xs: sum({k: x * x for k, x in enumerate(xs)}.values()) + sum([x for x in xs if x > 0.15][::-1])


@program(*TWO)
def dict_and_set_by_identity():
    def f(x, y):
        names = {x: "first", y: "second"}
        own = {x, y}
        return x * y if names[y] == "second" and x in own and len(own) == 2 else x

    return f


@program(*LIST)
def unpacking():
    def f(xs):
        first, *rest = xs
        last, middle = rest[::-1]
        return first * last - middle**3

    return f


ARRAYS = ((np.array([0.5, -0.3, 1.2]),), (np.array([1.5, 0.2, -0.4]),), (np.array([-0.6, 0.9, 0.1]),))
MATRICES = tuple(
    (np.array([[a, -0.3], [1.2, a * a]]), np.array([0.5, b])) for a, b in ((0.5, 1.0), (-0.7, 0.4), (1.3, -1.1))
)


@program(*ARRAYS)
def arrays_in():
    return lambda v: np.sum(v * v) + v @ v[::-1] + sin(v[0])


@program(*ARRAYS, exact=False)
def functions_of_numpy():
    return lambda v: np.sum(np.tanh(v) * np.exp(v)) + np.dot(v, np.abs(v)) + np.maximum(v[0], v[1])


@program(*MATRICES)
def arrays_in_and_out():
    return lambda A, v: A @ v * 2.0 + v


@program(*ARRAYS)
def arrays_made_inside():
    def f(v):
        A = np.array([[v[0], v[1]], [v[2], 1.0]], dtype=object)
        return np.sum(A @ A) * A.T[0, 1]

    return f


@program(*ARRAYS)
def masks_of_arrays():
    return lambda v: np.sum(v[v > 0.15] ** 2) + v[0] * v.mean()


@program(*ARRAYS)
def items_of_an_array_assigned():
    def f(v):
        own = v.copy()
        own[1] = own[0] * own[2]
        return np.sum(own * own)

    return f


# --- functions inside functions -------------------------------------------------------------------------------------


@program(*TWO)
def recursion():
    def f(x, y):
        def power(base, n):
            return base if n == 1 else base * power(base, n - 1)

        return power(x, 3) + power(y, 2)

    return f


@program((5.3,), (0.4,), (11.0,))
def recursion_led_by_data():
    def f(x):
        return x * x if x < 1.0 else f(x / 2.0) + x

    return f


@program(*LIST)
def generators():
    def running(xs) -> Iterator[Any]:
        total = 0.0
        for x in xs:
            total = total + x
            yield total * x

    return lambda xs: sum(running(xs))


@program(*LIST)
def generator_expressions():
    return lambda xs: sum(x * y for x in xs for y in xs if x is not y)


@program(*LIST)
def itertools_and_reduce():
    def f(xs):
        pairs = itertools.combinations(xs, 2)
        steps = list(itertools.accumulate(xs, operator.mul))
        return functools.reduce(lambda a, b: a * 0.5 + b, steps) + sum(a * b for a, b in pairs)

    return f


@program(*LIST)
def map_and_zip():
    return lambda xs: sum(map(operator.mul, map(sin, xs), reversed(xs)))


@program(*TWO)
def functions_of_functions():
    def twice(g):
        return lambda x: g(g(x))

    return lambda x, y: twice(lambda u: sin(u) + y)(x)


@program(*ONE, leaves=(0.8,))
def cached_inside(w):
    def f(x):
        @functools.cache
        def term(n):
            return x * w if n == 0 else sin(term(n - 1))

        return term(2) + term(1)

    return f


@program(*TWO)
def nonlocal_names():
    def f(x, y):
        total = x

        def add(u):
            nonlocal total
            total = total * u + 1.0

        add(y)
        add(sin(x))
        return total

    return f


@program(*TWO)
def decorated_functions():
    def doubled(g):
        @functools.wraps(g)
        def wrapped(*args, **keywords):
            return 2.0 * g(*args, **keywords)

        return wrapped

    @doubled
    def f(x, y):
        return x * y if (product := x * y) > 0.0 else product * product

    return f


@program(*ONE, leaves=(0.8,))
def context_managers(w):
    @contextlib.contextmanager
    def scaled(x):
        yield x * w

    def f(x):
        with scaled(x) as y:
            return y * y + x

    return f


# --- methods and objects --------------------------------------------------------------------------------------------


@program(*ONE, leaves=LEAVES)
def closure_over_an_object(w, b):
    model = Affine(w, b)
    return lambda x: model(x) * model.slope(x)


@program(*ONE, leaves=LEAVES)
def callable_object(w, b):
    return Affine(w, b)


@program(*ONE, leaves=LEAVES)
def bound_method(w, b):
    return Affine(w, b).slope


@program(*ONE, leaves=LEAVES)
def inherited_method(w, b):
    return Shifted(w, b)


@program(*TWO)
def operators_of_a_class():
    return lambda x, y: ((Vector(x, y) + Vector(y, 1.0)) @ Vector(x, x)) * y


@program(*ONE)
def class_method():
    return Affine.shifted


@program(*ONE)
def static_method():
    return Affine.curved


@program(*ONE, leaves=LEAVES)
def properties(w, b):
    model = Affine(w, b)
    return lambda x: model.squared * x


@program(*TWO)
def object_made_inside():
    return lambda x, y: Affine(x, y)(x * y)


@program(*TWO)
def dataclass_made_inside():
    def f(x, y):
        pair = Pair(x, y)
        moved = dataclasses.replace(pair, y=pair.y * 2.0)
        moved.x = moved.x + 1.0
        return moved.product() * pair.x

    return f


@program(*TWO, leaves=(0.8,))
def dataclass_closed_over(w):
    pair = Pair(w)
    return lambda x, y: pair.product() * x * y * pair.x


@program(*TWO)
def frozen_dataclass_made_inside():
    def f(x, y):
        one, other = FrozenPair(x, y), FrozenPair(x, y)
        return x * y if one == other and one != FrozenPair(y, x) else x + y

    return f
