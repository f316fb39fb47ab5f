"""Masked arrays and columns with missing values are refused by name: no function here handles masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import microgrud
from microgrud import compile, grad, hessian, hvp, jacobian, jvp, value_and_grad
from microgrud.losses import squared_error
from microgrud.nn import Neuron
from microgrud.train import fit

PLAIN = np.array([1.0, 2.0])
MASKED = np.ma.masked_array([1.0, 2.0], mask=[False, True])
WORDS = r"expected an array without a mask, got a masked array; write \.filled\(number\).*\.compressed\(\)"


def product(x: Any) -> Any:
    return x[0] * x[1] * x[0]


@pytest.fixture(params=["first", "replay"])
def compiled(request: pytest.FixtureRequest) -> Any:
    """A compiled function, called before or not."""
    f = compile(product)
    for _ in range(3 if request.param == "replay" else 0):
        f(PLAIN), f([1.0, 2.0]), f.value_and_grad(PLAIN), f.hvp(PLAIN, PLAIN)
    return f


@pytest.fixture(params=["first", "replay"])
def batched(request: pytest.FixtureRequest) -> Any:
    f = compile(product, batched="x")
    for _ in range(3 if request.param == "replay" else 0):
        f(np.array([PLAIN, PLAIN])), f([PLAIN, PLAIN]), f.value_and_grad(np.array([PLAIN])), f.map([PLAIN])
    return f


MANY = np.ma.masked_array([[1.0, 2.0], [3.0, 4.0]], mask=[[False, True], [False, False]])
CALLS: list[Callable[[Any, Any], Any]] = [
    lambda f, x: f(x),
    lambda f, x: f(x=x),
    lambda f, x: f.value_and_grad(x),
    lambda f, x: f.backward(x),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("masked", [MASKED, np.ma.masked_array(PLAIN), list(MASKED), np.ma.masked_array([1, 2])])
def test_compiled_functions_refuse_masks(compiled: Any, call: Callable[[Any, Any], Any], masked: Any) -> None:
    with pytest.raises(TypeError, match=rf"^compile: x(\[1\])?: {WORDS}"):
        call(compiled, masked)


@pytest.mark.parametrize("call", [*CALLS, lambda f, x: f.map(x)])
@pytest.mark.parametrize("masked", [MANY, list(MANY), [PLAIN, MASKED]])
def test_batches_refuse_masks(batched: Any, call: Callable[[Any, Any], Any], masked: Any) -> None:
    with pytest.raises(TypeError, match=rf"^compile: x(\[\d\])?: {WORDS}"):
        call(batched, masked)


def test_directions_refuse_masks(compiled: Any, batched: Any) -> None:
    for f, x, masked in ((compiled, PLAIN, MASKED), (batched, MANY.filled(0.0), MANY)):
        with pytest.raises(TypeError, match=f"^tangents: {WORDS}"):
            f.hvp(x, masked)


@pytest.mark.parametrize("transform", [grad, value_and_grad, jacobian, hessian])
def test_transforms_refuse_masks(transform: Any) -> None:
    with pytest.raises(TypeError, match=f"^argument 0 of product: {WORDS}"):
        transform(product)(MASKED)
    with pytest.raises(TypeError, match=rf"^argument 0 of <lambda>\['a'\]: {WORDS}"):
        transform(lambda x: product(x["a"]))({"a": MASKED})


def test_directions_of_transforms_and_results_refuse_masks() -> None:
    with pytest.raises(TypeError, match=rf"^tangents\[0\]: {WORDS}"):
        jvp(product, (PLAIN,), (MASKED,))
    with pytest.raises(TypeError, match=rf"^tangents\[0\]: {WORDS}"):
        hvp(product, PLAIN, MASKED)
    with pytest.raises(TypeError, match=WORDS):
        compile(lambda x: np.ma.masked_array([x[0], x[1]]))(PLAIN)


def test_fit_refuses_masks() -> None:
    with pytest.raises(TypeError, match=f"^fit: X: {WORDS}"):
        fit(Neuron(2), MANY, PLAIN, loss=squared_error)
    with pytest.raises(TypeError, match=f"^fit: y: {WORDS}"):
        fit(Neuron(2), MANY.filled(0.0), MASKED, loss=squared_error)


def test_the_advice_of_the_message_works() -> None:
    assert list(grad(product)(MASKED.filled(3.0))) == [6.0, 1.0]
    assert compile(lambda x: microgrud.sum(list(x)))(MASKED.compressed()) == 1.0


@pytest.mark.parametrize("batch", [(), "x"])
def test_columns_with_missing_values_are_refused_and_without_they_are_numbers(batch: Any) -> None:
    f = compile(lambda x: x * x if batch else x[0] * x[1], batched=batch, reduction="sum" if batch else "mean")
    objects = pd.Series([1.5, None], dtype=object)
    nullable = pd.Series([True, None], dtype="boolean")
    for column in (objects, nullable):
        with pytest.raises(TypeError, match=r"^compile: x: expected numbers, got a column with missing values; write"):
            f(column)
    assert f(pd.Series([1.5, 2.0], dtype=object)) == (6.25 if batch else 3.0)
    assert f(pd.Series([1.5, 2.0], dtype="Float64")) == (6.25 if batch else 3.0)


def test_a_table_with_nullable_columns_is_one_of_numbers() -> None:
    table = pd.DataFrame({"a": pd.Series([1, 2], dtype="Int64"), "b": pd.Series([1.5, 2.0], dtype="Float64")})
    assert compile(lambda x: x[0] * x[1], batched="x", reduction="sum")(table) == 5.5
