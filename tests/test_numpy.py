"""NumPy's functions on object arrays of Values, and NumPy scalars and arrays as operands of a Value."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import pytest

import microgrud as mg
from microgrud import Value

UFUNCS = [
    np.exp, np.exp2, np.expm1, np.log, np.log2, np.log10, np.log1p, np.sqrt, np.cbrt, np.square, np.reciprocal,
    np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan, np.sinh, np.cosh, np.tanh, np.arcsinh, np.arctanh,
    np.abs, np.fabs, np.negative, np.positive, np.floor, np.ceil, np.trunc, np.rint, np.sign, np.conjugate,
    np.degrees, np.radians, np.rad2deg, np.deg2rad,
]  # fmt: skip
BINARY_UFUNCS = [np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum, np.minimum, np.fmax, np.fmin]
BINARY_UFUNCS += [np.arctan2, np.hypot, np.fmod, np.floor_divide, np.remainder]


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
    if ufunc in (np.arctan2, np.hypot, np.fmod):  # NumPy calls the method of the left operand; a float has none
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


# --- functions of microgrud over arrays ---

#: Functions of one number and of two, with the operands for which NumPy's function of that name is the truth.
OVER_ARRAYS = [mg.exp, mg.tanh, mg.exp2, mg.sinc, mg.degrees, mg.floor, mg.sign]
OVER_TWO = [mg.logaddexp, mg.copysign, mg.fmod, mg.remainder, mg.maximum, mg.pow, mg.hypot]


@pytest.mark.parametrize("f", OVER_ARRAYS, ids=lambda f: f.__name__)
def test_functions_of_one_number_map_over_arrays(f: Any) -> None:
    x = np.array([[0.25, 0.5], [1.0, 3.5]])
    expected = getattr(np, f.__name__)(x)
    for array in (x, np.asfortranarray(x), x.astype(np.float32), x[:, ::-1][:, ::-1], x[None]):
        found = f(array)
        assert (type(found), found.dtype, found.shape) == (np.ndarray, np.float64, array.shape)
        assert np.ravel(found) == pytest.approx(np.ravel(expected), rel=1e-15)
    nodes = np.vectorize(Value, otypes=[object])(x)
    found = f(nodes)
    assert found.shape == x.shape
    assert all(isinstance(node, Value) for node in found.flat)
    assert data(found) == list(np.ravel(f(x)))


@pytest.mark.parametrize("f", OVER_TWO, ids=lambda f: f.__name__)
def test_functions_of_two_numbers_broadcast_arrays_numbers_and_values(f: Any) -> None:
    x, y = np.array([[0.25, 0.5, 4.0]]), np.array([[2.0], [0.5]])
    numpys = getattr(np, "power" if f is mg.pow else f.__name__)
    for a, b in ((x, y), (x, 2.0), (3.0, y), (x, x)):
        assert f(a, b) == pytest.approx(numpys(a, b), rel=1e-15)
        as_values = [np.vectorize(Value, otypes=[object])(c) if np.ndim(c) else Value(c) for c in (a, b)]
        for pair in ((as_values[0], b), (a, as_values[1]), as_values):
            found = f(*pair)
            assert (found.dtype, found.shape) == (object, np.broadcast(a, b).shape)
            assert data(found) == list(np.ravel(f(a, b)))


def test_gradients_flow_through_functions_over_arrays_in_every_mode() -> None:
    def f(x: Any) -> Any:
        return mg.sum(mg.exp(x) * mg.logaddexp(x, 1.0)) + mg.maximum(x, mg.ndtr(x)).sum()

    x = np.array([0.5, -1.0, 2.0])
    value, slopes = mg.value_and_grad(f)(x)
    assert value == pytest.approx(f(x), rel=1e-15)
    larger = x > [mg.ndtr(a) for a in x]
    phi = np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
    expected = np.exp(x) * (np.logaddexp(x, 1.0) + 1 / (1 + np.exp(1.0 - x))) + np.where(larger, 1.0, phi)
    assert slopes == pytest.approx(expected, rel=1e-14)
    compiled = mg.compile(f)
    for point in (x, x[::-1].copy(), np.array([0.1, 0.2, 0.3])):
        assert compiled(point) == pytest.approx(f(point), rel=1e-14)
        assert compiled.value_and_grad(point)[1] == pytest.approx(mg.grad(f)(point), rel=1e-14)
        assert mg.hessian(compiled)(point) == pytest.approx(mg.hessian(f)(point), rel=1e-13)
    assert compiled.stats["paths"] == 1


def test_functions_over_arrays_raise_for_the_elements_that_they_refuse() -> None:
    with pytest.raises(ValueError, match=r"^log\(-1.0\): expected x > 0"):
        mg.log(np.array([1.0, -1.0]))
    with pytest.raises(TypeError, match="^exp: expected a real number, got the string '1'"):
        mg.exp(np.array(["1"]))
    with pytest.raises(TypeError, match="^sum: expected a real number, got an object of type ndarray"):
        mg.sum(np.ones((2, 2)))
    with pytest.raises(ValueError, match="broadcast"):
        mg.maximum(np.ones(2), np.ones(3))
    assert mg.exp(np.array([])).dtype == float
    assert type(mg.exp(np.array(0.0))) is float


def test_what_numpy_lacks_for_values_is_written_as_the_guide_says() -> None:
    x = values([0.5, math.nan, math.inf])
    for ufunc in (np.isnan, np.isfinite):
        with pytest.raises(TypeError, match="not supported"):
            ufunc(x)
    assert (x != x).tolist() == [False, True, False]
    with np.errstate(invalid="ignore"):  # NumPy warns of a comparison with NaN
        assert (abs(x) < math.inf).tolist() == [True, False, False]
