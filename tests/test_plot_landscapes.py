"""The landscapes: their minima, and equal numbers for Values, floats and arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from microgrud import Value, gradient, hessian
from microgrud.plot import beale, himmelblau, quadratic, ravine, rosenbrock, saddle

LANDSCAPES = [beale, himmelblau, quadratic(7.0), ravine, rosenbrock, saddle]
MINIMA = [
    (rosenbrock, 1.0, 1.0, 0.0),
    (himmelblau, 3.0, 2.0, 0.0),
    (himmelblau, -2.805118, 3.131313, 1e-9),
    (himmelblau, -3.779310, -3.283186, 1e-9),
    (himmelblau, 3.584428, -1.848127, 1e-9),
    (beale, 3.0, 0.5, 0.0),
    (ravine, 0.0, 0.0, 0.0),
    (quadratic(3.0), 0.0, 0.0, 0.0),
]
coordinates = st.floats(-5.0, 5.0)


@pytest.mark.parametrize("landscape", LANDSCAPES)
@given(x=coordinates, y=coordinates)
def test_values_floats_and_arrays_give_the_same_numbers(landscape: Callable[..., Any], x: float, y: float) -> None:
    height = landscape(x, y)
    assert type(height) is float
    assert landscape(Value(x), Value(y)).data == pytest.approx(height, rel=1e-13, abs=1e-13)
    assert landscape(np.array([x]), np.array([y])) == pytest.approx([height], rel=1e-13, abs=1e-13)


@pytest.mark.parametrize(("landscape", "x", "y", "height"), MINIMA)
def test_minima_are_where_the_documentation_says(
    landscape: Callable[..., Any], x: float, y: float, height: float
) -> None:
    assert 0.0 <= landscape(x, y) <= height
    a, b = Value(x), Value(y)
    assert [g.data for g in gradient(landscape(a, b), [a, b])] == pytest.approx([0.0, 0.0], abs=1e-3)
    curvatures = np.linalg.eigvalsh(np.array(hessian(landscape, argnums=(0, 1))(x, y), dtype=float))
    assert (curvatures > 0.0).all()


def test_the_hill_of_himmelblau_stands_where_the_documentation_says() -> None:
    x, y = Value(-0.270845), Value(-0.923039)
    height = himmelblau(x, y)
    assert height.data == pytest.approx(181.617, abs=1e-3)
    assert [g.data for g in gradient(height, [x, y])] == pytest.approx([0.0, 0.0], abs=1e-3)


def test_a_quadratic_has_the_condition_number_it_was_made_with() -> None:
    curvatures = np.linalg.eigvalsh(np.array(hessian(quadratic(40.0), argnums=(0, 1))(1.0, 2.0), dtype=float))
    assert curvatures.max() / curvatures.min() == pytest.approx(40.0)
    assert quadratic(40.0).__name__ == "quadratic_40"


@pytest.mark.parametrize("wrong", [0.5, float("inf"), float("nan")])
def test_a_condition_number_below_1_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"quadratic: condition_number: expected a finite number 1 <= x|x >= 1"):
        quadratic(wrong)
