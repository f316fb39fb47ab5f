"""Gradient clipping: the direction is kept, the bounds hold, and errors."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given, strategies as st

from microgrud import Value
from microgrud.nn import Layer
from microgrud.optim.clipping import clip_grad_norm, clip_grad_value, gradient_norm

finite = st.floats(-1e300, 1e300)


def with_gradients(gradients: list[float]) -> list[Value]:
    parameters = [Value(0.0) for _ in gradients]
    for p, g in zip(parameters, gradients):
        p.grad = g
    return parameters


@given(st.lists(finite, min_size=1, max_size=8), st.floats(1e-3, 1e3))
def test_clipping_by_norm_keeps_the_direction_and_bounds_the_length(gradients: list[float], max_norm: float) -> None:
    parameters = with_gradients(gradients)
    norm = clip_grad_norm(parameters, max_norm)
    assert norm == pytest.approx(math.hypot(*gradients), rel=1e-12, abs=0.0)
    after = [p.grad for p in parameters]
    if norm <= max_norm:
        assert after == gradients
    else:
        assert gradient_norm(parameters) == pytest.approx(max_norm, rel=1e-9)
        assert after == pytest.approx([g * (max_norm / norm) for g in gradients], rel=1e-9)


@given(st.lists(st.floats(), min_size=4, max_size=12), st.integers(1, 100), st.integers(0, 2**32))
def test_the_norm_of_many_gradients_has_the_bits_of_hypot(some: list[float], copies: int, seed: int) -> None:
    rng = random.Random(seed)
    gradients = [x * rng.choice([1.0, rng.random()]) for x in some * copies]
    assert repr(gradient_norm(with_gradients(gradients))) == repr(math.hypot(*gradients))


def test_an_infinite_bound_measures_the_norm_alone() -> None:
    parameters = with_gradients([3.0, 4.0])
    assert clip_grad_norm(parameters, math.inf) == 5.0
    assert [p.grad for p in parameters] == [3.0, 4.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_is_an_error_that_names_it(bad: float) -> None:
    parameters = with_gradients([1.0, bad])
    parameters[1].label = "w"
    with pytest.raises(ArithmeticError, match=rf"the gradient of parameter 1 \(w\) is {bad}"):
        clip_grad_norm(parameters, 0.5)
    assert parameters[0].grad == 1.0


@given(st.lists(finite, min_size=1, max_size=8), st.floats(0.0, 1e3))
def test_clipping_by_value_bounds_each_gradient(gradients: list[float], bound: float) -> None:
    parameters = with_gradients(gradients)
    clip_grad_value(parameters, bound)
    assert [p.grad for p in parameters] == [max(-bound, min(bound, g)) for g in gradients]


@given(st.lists(st.floats(), min_size=1, max_size=8), st.floats(0.0, 1e3))
def test_clipping_by_value_keeps_nan_and_the_signs_of_zeros(gradients: list[float], bound: float) -> None:
    parameters = with_gradients(gradients)
    clip_grad_value(parameters, bound)
    assert repr([p.grad for p in parameters]) == repr([min(max(g, -bound), bound) for g in gradients])


@pytest.mark.parametrize("clip", [clip_grad_norm, clip_grad_value])
def test_lists_that_are_no_distinct_leaves_are_refused_and_not_marked_by_that(clip: Any) -> None:
    layer = Layer(2, 2)
    leaves = layer.parameters()
    for wrong in ([*leaves, leaves[0]], [*leaves, leaves[0] * 1.0], [*leaves, 1.0]):
        with pytest.raises((TypeError, ValueError), match="at index 6"):
            clip(wrong, 1.0)
        clip(leaves, 1.0)
        assert layer.parameters() == leaves
        assert set(layer.parameters()) == set(leaves)


def test_invalid_bounds_are_refused() -> None:
    parameters = with_gradients([1.0])
    for bound in (-1.0, math.nan):
        with pytest.raises(ValueError, match="max_norm: expected a number x >= 0"):
            clip_grad_norm(parameters, bound)
    with pytest.raises(ValueError, match="max_value: expected a finite number x >= 0"):
        clip_grad_value(parameters, math.inf)
    with pytest.raises(ValueError, match="clip_grad_value: expected at least one parameter"):
        clip_grad_value([], 1.0)
