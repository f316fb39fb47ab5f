"""NumPy's functions on object arrays of Values, and NumPy scalars and arrays as operands of a Value."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import pytest

from microgrud import Value

UFUNCS = [
    np.exp, np.exp2, np.expm1, np.log, np.log2, np.log10, np.log1p, np.sqrt, np.cbrt, np.square, np.reciprocal,
    np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan, np.sinh, np.cosh, np.tanh, np.arcsinh, np.arctanh,
    np.abs, np.fabs, np.negative, np.positive, np.floor, np.ceil, np.trunc, np.rint, np.sign, np.conjugate,
    np.degrees, np.radians, np.rad2deg, np.deg2rad,
]  # fmt: skip
BINARY_UFUNCS = [np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum, np.minimum, np.fmax, np.fmin]
BINARY_UFUNCS += [np.arctan2, np.hypot, np.floor_divide, np.remainder]


def values(numbers: Any) -> Any:
    return np.array([Value(x) for x in numbers], dtype=object)


def data(array: Any) -> list[float]:
    return [x.data if isinstance(x, Value) else float(x) for x in np.ravel(array)]


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda f: f.__name__)
def test_ufuncs_of_one_operand_work_on_object_arrays(ufunc: Any) -> None:
    numbers = [0.25, 0.5, 0.75]
    assert data(ufunc(values(numbers))) == pytest.approx(list(ufunc(np.array(numbers))), rel=1e-15, abs=0.0)


def test_arccosh_works_on_object_arrays() -> None:
    assert data(np.arccosh(values([2.0]))) == [math.acosh(2.0)]


@pytest.mark.parametrize("ufunc", BINARY_UFUNCS, ids=lambda f: f.__name__)
def test_ufuncs_of_two_operands_work_on_object_arrays_and_numbers(ufunc: Any) -> None:
    x, y = [0.25, 0.5, 4.0], [2.0, 0.5, 3.0]
    expected = pytest.approx(list(ufunc(np.array(x), np.array(y))), rel=1e-15, abs=0.0)
    assert data(ufunc(values(x), values(y))) == expected
    assert data(ufunc(values(x), np.array(y))) == expected
    if ufunc in (np.arctan2, np.hypot):  # NumPy calls the method of the left operand; a float has none
        with pytest.raises((AttributeError, TypeError)):
            ufunc(np.array(x), values(y))
    else:
        assert data(ufunc(np.array(x), values(y))) == expected


def test_gradients_flow_through_matmul_sum_and_mean() -> None:
    weights = np.array([[Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)]])
    x = np.array([10.0, 20.0])
    loss = np.sum(np.tanh(weights @ x * 0.01)) + np.mean(weights)
    loss.backward()
    slopes = 1 - np.tanh(np.array([0.5, 1.1])) ** 2
    expected = slopes[:, None] * x * 0.01 + 0.25
    assert data([w.grad for w in weights.ravel()]) == pytest.approx(expected.ravel().tolist())


def test_dot_clip_and_prod_work_on_object_arrays() -> None:
    a, b = values([1.0, 2.0]), values([3.0, 4.0])
    assert np.dot(a, b).data == 11.0
    assert np.prod(a).data == 2.0
    assert data(np.clip(values([-2.0, 0.5, 9.0]), 0.0, 1.0)) == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, np.uint8, np.bool_])
@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow])
def test_a_numpy_scalar_on_either_side_gives_a_value(kind: Any, operation: Any) -> None:
    x = Value(2.0)
    left, right = operation(kind(1), x), operation(x, kind(1))
    assert isinstance(left, Value)
    assert isinstance(right, Value)
    assert left.data == operation(1.0, 2.0)
    assert right.data == operation(2.0, 1.0)


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge])
def test_comparison_with_a_numpy_scalar_gives_a_boolean(compare: Any) -> None:
    assert bool(compare(np.float64(1.0), Value(2.0))) == compare(1.0, 2.0)
    assert bool(compare(Value(2.0), np.float64(1.0))) == compare(2.0, 1.0)


def test_a_float_array_on_either_side_works_element_by_element() -> None:
    array = np.array([[1.0, 2.0], [3.0, 4.0]])
    x = Value(2.0)
    for result, expected in (
        (array * x, array * 2),
        (x * array, 2 * array),
        (x - array, 2 - array),
        (array / x, array / 2),
    ):
        assert result.dtype == object
        assert result.shape == (2, 2)
        assert data(result) == expected.ravel().tolist()
    (x * array).sum().backward()
    assert x.grad == 10.0


def test_an_array_of_values_is_never_turned_into_floats_silently() -> None:
    assert np.array([Value(1.0), 2.0]).dtype == object
    with pytest.raises(TypeError):
        np.array([Value(1.0)], dtype=float)


def test_aliases_are_the_methods_under_numpys_names() -> None:
    x = Value(0.5)
    assert (x.arcsin().data, x.arctan2(2.0).data, x.arctanh().data) == (
        math.asin(0.5), math.atan2(0.5, 2.0), math.atanh(0.5),
    )  # fmt: skip
