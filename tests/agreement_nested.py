"""Rows of the matrix: programs that differentiate, or call compiled functions.

mpmath numbers cannot pass through these, so that each one comes with the same function derived on paper.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from agreement_programs import LEAVES, ONE, TWO
from agreement_truth import Program

import microgrud
from microgrud import cos, exp, grad, hessian, hvp, jacfwd, jacobian, jacrev, jvp, sin, value_and_grad, vjp

NESTED: list[Program] = []

Make = Callable[..., Callable[..., Any]]


def same_as(
    by_hand: Make, *points: tuple[Any, ...], leaves: tuple[float, ...] = (), **settings: Any
) -> Callable[[Make], Make]:
    """Add a row: a decorator of a maker, with the maker of the same function derived on paper."""

    def register(make: Make) -> Make:
        name = f"inside: {make.__name__.replace('_', ' ')}"
        NESTED.append(Program(name, make, points, leaves, instead=lambda *at: by_hand, **settings))
        return make

    return register


# --- transforms -----------------------------------------------------------------------------------------------------


@same_as(lambda: lambda x: x * (3.0 * x * x + cos(x)), *ONE)
def gradient():
    return lambda x: x * grad(lambda t: t**3 + sin(t))(x)


@same_as(lambda w: lambda x: 2.0 * w * x * x + w, *ONE, leaves=(0.8,))
def gradient_of_a_closure(w):
    return lambda x: grad(lambda t: w * t * t * x + w * t)(x)


@same_as(lambda w: lambda x: (2.0 * w * x) ** 2, *ONE, leaves=(0.8,))
def square_of_a_force(w):
    force = grad(lambda t: w * t * t)
    return lambda x: force(x) ** 2


@same_as(lambda: lambda x, y: y * y * sin(x) + 2.0 * y * cos(x), *TWO)
def value_and_gradient():
    def f(x, y):
        value, slope = value_and_grad(lambda t: sin(t) * y)(x)
        return value * y + 2.0 * slope

    return f


@same_as(lambda w: lambda x: 6.0 * w * x + w * w, *ONE, leaves=(0.8,))
def second_derivative(w):
    return lambda x: hessian(lambda t: w * t**3)(x) + w * w


@same_as(lambda w, b: lambda x, y: w * x * y + w * y + 2.0 * b * x, *TWO, leaves=LEAVES)
def derivative_in_a_direction(w, b):
    def f(x, y):
        value, slope = jvp(lambda s, t: w * s * t, (x, y), (1.0, 0.0))
        return value + slope + 2.0 * b * x

    return f


@same_as(lambda: lambda x, y: 2.0 * y + 6.0 * x, *TWO)
def hessian_vector_product():
    return lambda x, y: hvp(lambda t: t[0] ** 2 * t[1], ([x, y],), ([1.0, 3.0],))[0]


@same_as(lambda: lambda x, y: x * y + exp(x), *TWO)
def rows_of_a_jacobian():
    def f(x, y):
        J = jacobian(lambda v: np.array([v[0] * v[0] * v[1] * 0.5, exp(v[0])], dtype=object))(np.array([x, y]))
        return J[0, 0] + J[1, 0]

    return f


@same_as(lambda w, rate: lambda x: (w - rate * 2.0 * x * (w * x - 1.0)) * x, *ONE, leaves=(0.8, 0.1))
def step_of_training(w, rate):
    return lambda x: (w - rate * grad(lambda v: (v * x - 1.0) ** 2)(w)) * x


@same_as(lambda w: lambda x, y: x * x * y * (y + 2.0 * w + 1.0) + 6.0 * w * x, *TWO, leaves=(0.8,))
def product_with_a_cotangent(w):
    def f(x, y):
        _, pull = vjp(lambda s, t: [s * t, w * s * s], x, y)
        by_x, by_y = pull([x * y, y])
        (again, _) = pull([0.0, 3.0])
        return by_x * x + again + by_y

    return f


@same_as(lambda w: lambda x, y: 2.0 * w * y + 2.0 * x + y, *TWO, leaves=(0.8,))
def jacobians_of_both_modes(w):
    def f(x, y):
        H = jacfwd(jacrev(lambda v: v[0] ** 2 * v[1] * w + v[0] * v[1] ** 2))([x, y])
        return H[0][0] + H[1][1] + y * jacrev(jacfwd(lambda t: 0.5 * t * t))(x)

    return f


@same_as(lambda: lambda x, y: 2.0 * x * y * x + sin(x * y), *TWO)
def gradient_with_aux():
    def f(x, y):
        slope, aux = grad(lambda t: (t * t * y, {"bend": sin(t * y)}), has_aux=True)(x)
        return slope * x + aux["bend"]

    return f


# --- compiled functions ---------------------------------------------------------------------------------------------


@same_as(lambda: lambda x, y: (sin(x) + x * y) * y, *TWO)
def compiled_function():
    inner = microgrud.compile(lambda x, y: sin(x) + x * y)
    return lambda x, y: inner(x, y) * y


@same_as(lambda: lambda x: x * x if x < 0.0 else exp(x) * x, *ONE)
def compiled_function_with_branches():
    inner = microgrud.compile(lambda x: x if x < 0.0 else exp(x))
    return lambda x: inner(x) * x


@same_as(lambda w: lambda x: sin(w * x) * x, *ONE, leaves=(0.8,))
def compiled_closure(w):
    inner = microgrud.compile(lambda x: sin(w * x))
    return lambda x: inner(x) * x


@same_as(lambda w: lambda x: w * x * x * x, *ONE, leaves=(0.8,))
def compiled_at_every_call(w):
    return lambda x: microgrud.compile(lambda t: t * t * w)(x) * x


@same_as(lambda w: lambda x: w * cos(w * x) * x, *ONE, leaves=(0.8,))
def gradient_of_a_compiled_function(w):
    inner = microgrud.compile(lambda t: sin(w * t))
    return lambda x: grad(inner)(x) * x


@same_as(lambda: lambda x: 2.0 * x * x, *ONE)
def its_own_value_and_grad():
    inner = microgrud.compile(lambda t: t * t)
    return lambda x: inner.value_and_grad(x)[1] * x


@same_as(lambda: lambda x: (x * x + 1.0 + 2.5 * x) / 3.0, *ONE)
def compiled_function_of_structures():
    inner = microgrud.compile(lambda p: {"a": p["x"] * p["x"] + 1.0, "b": [p["x"] * 2.5]})

    def f(x):
        found = inner({"x": x})
        return (found["a"] + found["b"][0]) / 3.0

    return f


class Recorded:
    """A model with a compiled method."""

    def __init__(self, w: Any) -> None:
        self.w = w

    @microgrud.compile
    def __call__(self, x: Any) -> Any:
        return self.w * x * x

    @microgrud.compile
    def method(self, x: Any) -> Any:
        return sin(self.w * x)


@same_as(lambda w: lambda x: sin(w * x), *ONE, leaves=(0.8,))
def compiled_method(w):
    return Recorded(w).method


@same_as(lambda w: lambda x: w * x * x + sin(w * x), *ONE, leaves=(0.8,))
def methods_of_an_object(w):
    model = Recorded(w)
    return lambda x: model(x) + model.method(x)


@same_as(lambda w: lambda x: x**3 + w * sin(x * x) * x * x, *ONE, leaves=(0.8,))
def operands_that_depend_on_each_other(w):
    product = microgrud.compile(lambda s, t: s * t)
    sine = microgrud.compile(lambda s, t: w * sin(s) * t)
    return lambda x: product(x, x * x) + sine(x * x, x * x)


@same_as(lambda w: lambda x: x * x * w + w**4, *ONE, leaves=(0.8,))
def a_leaf_given_and_closed_over(w):
    inner = microgrud.compile(lambda s, t: s * s * t + w * w * t * t)
    return lambda x: inner(x, w)


@same_as(lambda: lambda x: (x**2 + sin(x) ** 2 + (x * x) ** 2) / 3.0, *ONE)
def samples_that_depend_on_each_other():
    square = microgrud.compile(lambda t: t * t, batched="t")
    return lambda x: square([x, sin(x), x * x])


@same_as(lambda w: lambda x: w * x * x + x, *ONE, leaves=(0.8,))
def calls_of_calls(w):
    inner = microgrud.compile(lambda t: w * t)
    outer = microgrud.compile(lambda t: inner(t) * t)
    return lambda x: outer(x) + x
