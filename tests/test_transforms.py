"""`grad`, `value_and_grad`, `jacobian`, `hessian`, `jvp` and `hvp`: all kinds of arguments, nesting, and errors."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from arrays import np
from hypothesis import given, strategies as st
from programs import ROUNDING, Program, programs

import microgrud as mg
from microgrud import Value, grad, hessian, hvp, jacobian, jvp, value_and_grad


class Line(NamedTuple):
    slope: Any
    offset: Any


def rosenbrock(x: Any, y: Any) -> Any:
    """The function of Rosenbrock (1960), a banana-shaped valley: (1 - x)**2 + 100 (y - x**2)**2."""
    return (1.0 - x) ** 2 + 100.0 * (y - x**2) ** 2


def rosenbrock_gradient(x: float, y: float) -> list[float]:
    return [-2.0 * (1.0 - x) - 400.0 * x * (y - x**2), 200.0 * (y - x**2)]


def rosenbrock_hessian(x: float, y: float) -> list[list[float]]:
    return [[2.0 - 400.0 * (y - 3.0 * x**2), -400.0 * x], [-400.0 * x, 200.0]]


def product(xs: Any) -> Any:
    return xs[0] * xs[1]


def assert_same_array(got: Any, expected: Any) -> None:
    """Compare arrays by kind, type of element, shape and numbers."""
    expected = np.asarray(expected, dtype=float)
    assert type(got) is np.ndarray
    assert got.dtype == np.float64
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-14, atol=0.0)


# --- grad and value_and_grad: the result has the structure of the argument ---


@pytest.mark.parametrize(
    ("f", "argument", "expected"),
    [
        pytest.param(lambda x: x**3, 2.0, 12.0, id="number"),
        pytest.param(lambda x: x**3, 2, 12.0, id="int"),
        pytest.param(lambda x: x**3, np.float64(2.0), 12.0, id="NumPy scalar"),
        pytest.param(product, [2.0, 3.0], [3.0, 2.0], id="list"),
        pytest.param(product, (2.0, 3.0), (3.0, 2.0), id="tuple"),
        pytest.param(lambda p: p.slope * 5.0 + p.offset, Line(2.0, 3.0), Line(5.0, 1.0), id="named tuple"),
        pytest.param(lambda p: p["w"] * p["b"], {"w": 2.0, "b": 3.0}, {"w": 3.0, "b": 2.0}, id="dict"),
        pytest.param(
            lambda p: p["layers"][0][0] * p["layers"][1][0] + p["bias"].offset,
            {"layers": [(2.0,), (3.0, 4.0)], "bias": Line(0.0, 1.0)},
            {"layers": [(3.0,), (2.0, 0.0)], "bias": Line(0.0, 1.0)},
            id="nested",
        ),
        pytest.param(lambda xs: 7.0, [], [], id="empty"),
        pytest.param(lambda x: 7, 2.0, 0.0, id="constant"),
    ],
)
def test_the_gradient_has_the_structure_of_the_argument(f: Any, argument: Any, expected: Any) -> None:
    result = grad(f)(argument)
    assert result == expected
    assert type(result) is type(expected)
    value, slope = value_and_grad(f)(argument)
    assert (value, slope) == (f(argument), expected)
    assert type(value) is float


@pytest.mark.parametrize(
    ("f", "argument", "expected"),
    [
        pytest.param(lambda x: np.sum(x * x), np.array([1.0, 2.0]), [2.0, 4.0], id="vector"),
        pytest.param(lambda x: np.sum(x * x), np.array([1, 2]), [2.0, 4.0], id="integers"),
        pytest.param(lambda x: np.sum(x * x), np.array([1.0, 2.0], dtype=np.float32), [2.0, 4.0], id="float32"),
        pytest.param(lambda x: np.sum(x @ x), np.array([[1.0, 2.0], [3.0, 4.0]]), [[7.0, 11.0], [9.0, 13.0]], id="@"),
        pytest.param(lambda x: np.sum(x * x), np.array([[1.0, 2.0]]).T, [[2.0], [4.0]], id="a transposed view"),
        pytest.param(lambda x: x * x, np.array(3.0), 6.0, id="no dimension"),
        pytest.param(lambda x: np.sum(x), np.zeros((0, 2)), np.zeros((0, 2)), id="no elements"),
        pytest.param(lambda x: np.sum(np.sin(x)), np.array([0.5, 1.0]), np.cos([0.5, 1.0]), id="np.sin"),
        pytest.param(
            lambda x: np.exp(x).sum() + x.max(), np.array([0.5, 1.0]), np.exp([0.5, 1.0]) + np.eye(2)[1], id="max"
        ),
        pytest.param(lambda x: mg.logsumexp(x), np.array([0.0, 0.0]), [0.5, 0.5], id="logsumexp"),
        pytest.param(
            lambda x: np.array(x[0] ** 2, dtype=object), np.array([3.0]), [6.0], id="array of no dimension out"
        ),
    ],
)
def test_arrays_in_arrays_out(f: Any, argument: Any, expected: Any) -> None:
    assert_same_array(grad(f)(argument), expected)


def test_arrays_inside_structures_stay_arrays() -> None:
    slope = grad(lambda p: np.sum(p["w"] @ p["x"]) + p["b"])(
        {"w": np.ones((2, 2)), "x": np.array([2.0, 3.0]), "b": 1.0}
    )
    assert_same_array(slope["w"], [[2.0, 3.0], [2.0, 3.0]])
    assert_same_array(slope["x"], [2.0, 2.0])
    assert slope["b"] == 1.0


def test_an_array_of_values_gives_an_array_of_values() -> None:
    x = np.array([Value(2.0), Value(3.0)])
    slope = grad(lambda x: x[0] ** 2 * x[1])(x)
    assert slope.dtype == object
    assert [s.data for s in slope] == [12.0, 4.0]
    assert [s.data for s in mg.gradient(slope[0], x.tolist())] == [6.0, 4.0]


@pytest.mark.parametrize(
    ("argnums", "expected"),
    [(0, 3.0), (1, 2.0), (-1, 2.0), (np.int64(1), 2.0), ((0, 1), (3.0, 2.0)), ((-1, 0), (2.0, 3.0)), ((1,), (2.0,))],
)
def test_argnums_choose_the_arguments(argnums: Any, expected: Any) -> None:
    assert grad(lambda x, y: x * y, argnums)(2.0, 3.0) == expected
    assert value_and_grad(lambda x, y: x * y, argnums=argnums)(2.0, 3.0) == (6.0, expected)


def test_no_position_gives_no_derivative() -> None:
    assert value_and_grad(lambda x: x, ())(2.0) == (2.0, ())


def test_other_arguments_and_keywords_are_passed_through_as_they_are() -> None:
    seen: list[Any] = []

    def f(x: Any, name: str, *, power: int = 2, **rest: Any) -> Any:
        seen.extend([name, power, rest])
        return x**power

    assert grad(f)(2.0, "a string", power=3, extra=None) == 12.0
    assert seen == ["a string", 3, {"extra": None}]


def test_the_result_keeps_name_and_docstring_of_the_function() -> None:
    assert [t(rosenbrock).__name__ for t in (grad, value_and_grad, jacobian, hessian)] == ["rosenbrock"] * 4
    assert grad(rosenbrock).__doc__ == rosenbrock.__doc__


def test_callables_without_a_name_are_taken() -> None:
    class Scale:
        def __call__(self, x: Any) -> Any:
            return 3.0 * x

    assert grad(functools.partial(rosenbrock, 1.0))(2.0) == 200.0
    assert grad(Scale())(2.0) == 3.0


# --- jacobian and hessian ---


def test_the_jacobian_of_lists_is_nested_output_first() -> None:
    assert jacobian(lambda x: [x[0] * x[1], x[0], 5.0])([2.0, 3.0]) == [[3.0, 2.0], [1.0, 0.0], [0.0, 0.0]]
    assert jacobian(lambda x: {"square": x * x, "pair": (x, 2 * x)})(3.0) == {"square": 6.0, "pair": (1.0, 2.0)}
    assert jacobian(lambda p: (p["a"] * p["b"],))({"a": 2.0, "b": 3.0}) == ({"a": 3.0, "b": 2.0},)
    assert jacobian(lambda x: x * x)(3.0) == 6.0


def test_the_jacobian_of_arrays_has_the_shape_of_the_output_and_of_the_argument() -> None:
    w, x = np.arange(6.0).reshape(2, 3), np.array([1.0, -1.0, 2.0])
    by_w, by_x = jacobian(lambda w, x: w @ x, argnums=(0, 1))(w, x)
    assert_same_array(by_x, w)
    assert_same_array(by_w, np.einsum("ij,k->ijk", np.eye(2), x))


@pytest.mark.parametrize(
    ("f", "argument", "expected"),
    [
        pytest.param(lambda x: np.array([x, x * x]), 3.0, [1.0, 6.0], id="array of a number"),
        pytest.param(lambda x: x[0] * x[1], np.array([2.0, 3.0]), [3.0, 2.0], id="number of an array"),
        pytest.param(lambda x: np.array([[x[0]], [5.0]]), np.array([2.0, 3.0]), [[[1.0, 0.0]], [[0.0, 0.0]]], id="2-d"),
        pytest.param(lambda x: x * x, np.array(3.0), 6.0, id="no dimension"),
        pytest.param(lambda x: x, np.zeros((0, 2)), np.zeros((0, 2, 0, 2)), id="no elements"),
        pytest.param(lambda x: np.ones(2), np.array([2.0]), np.zeros((2, 1)), id="constant array"),
    ],
)
def test_jacobians_between_numbers_and_arrays(f: Any, argument: Any, expected: Any) -> None:
    assert_same_array(jacobian(f)(argument), expected)


def test_the_jacobian_of_an_array_with_respect_to_a_structure_is_a_structure_of_arrays() -> None:
    result = jacobian(lambda p: np.array([p["a"] * 2.0, p["v"][1]]))({"a": 3.0, "v": np.array([1.0, 2.0])})
    assert_same_array(result["a"], [2.0, 0.0])
    assert_same_array(result["v"], [[0.0, 0.0], [0.0, 1.0]])


@pytest.mark.parametrize(("x", "y"), [(1.0, 1.0), (-1.2, 1.0), (0.3, -2.0)])
def test_rosenbrock_has_the_gradient_and_hessian_of_the_textbook(x: float, y: float) -> None:
    def on_pair(v: Any) -> Any:
        return rosenbrock(v[0], v[1])

    expected = pytest.approx(np.array(rosenbrock_hessian(x, y)), rel=1e-14, abs=0.0)
    assert grad(on_pair)([x, y]) == pytest.approx(rosenbrock_gradient(x, y), rel=1e-14, abs=0.0)
    assert np.array(hessian(on_pair)([x, y])) == expected
    assert np.array(hessian(rosenbrock, argnums=(0, 1))(x, y)) == expected
    by_array = hessian(on_pair)(np.array([x, y]))
    assert by_array.dtype == np.float64
    assert by_array == expected


def test_the_hessian_of_a_dict_is_a_dict_of_dicts() -> None:
    result = hessian(lambda p: p["a"] ** 2 * p["b"])({"a": 2.0, "b": 3.0})
    assert result == {"a": {"a": 6.0, "b": 4.0}, "b": {"a": 4.0, "b": 0.0}}


def test_the_hessian_of_a_quadratic_form_is_its_matrix() -> None:
    a = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 5.0]])
    assert_same_array(hessian(lambda x: 0.5 * (x @ a @ x))(np.array([0.3, -0.2, 0.9])), a)


# --- jvp and hvp ---


@pytest.mark.parametrize(
    ("f", "primals", "tangents", "expected"),
    [
        pytest.param(lambda x, y: x * y, (2.0, 3.0), (1.0, 10.0), (6.0, 23.0), id="two numbers"),
        pytest.param(lambda x: x * x, 3.0, 2.0, (9.0, 12.0), id="one number by itself"),
        pytest.param(product, [2.0, 3.0], [1.0, 10.0], (6.0, 23.0), id="one list by itself"),
        pytest.param(product, ((2.0, 3.0),), ((1.0, 10.0),), (6.0, 23.0), id="a tuple as the argument"),
        pytest.param(lambda x: [x, {"cube": x**3}], 2.0, 1.0, ([2.0, {"cube": 8.0}], [1.0, {"cube": 12.0}]), id="out"),
        pytest.param(lambda x: 5.0, 2.0, 1.0, (5.0, 0.0), id="constant"),
        pytest.param(lambda p: p["a"] * p["b"], {"a": 1.0, "b": 2.0}, {"b": 1.0, "a": 0.0}, (2.0, 1.0), id="by key"),
    ],
)
def test_jvp_gives_value_and_directional_derivative(f: Any, primals: Any, tangents: Any, expected: Any) -> None:
    assert jvp(f, primals, tangents) == expected


def test_jvp_of_arrays_gives_arrays() -> None:
    w = np.array([[1.0, 2.0], [3.0, 4.0]])
    value, slope = jvp(lambda x: w @ x, np.array([1.0, -1.0]), np.array([0.5, 2.0]))
    assert_same_array(value, [-1.0, -1.0])
    assert_same_array(slope, w @ [0.5, 2.0])


def test_jvp_with_respect_to_some_arguments() -> None:
    assert jvp(lambda x, y: x * y, (2.0, 3.0), 1.0, argnums=0) == (6.0, 3.0)
    assert jvp(lambda x, y: x * y, (2.0, 3.0), (1.0,), argnums=-1) == (6.0, 2.0)
    assert jvp(lambda x, y: x * y, (2.0, 3.0), (1.0, 10.0), argnums=(1, 0)) == (6.0, 32.0)


def test_a_tangent_that_is_a_value_stays_connected() -> None:
    v = Value(5.0)
    _, slope = jvp(lambda x: x**3, (2.0,), (v,))
    assert slope.data == 60.0
    assert mg.gradient(slope, v).data == 12.0


def test_hvp_in_the_structure_of_the_arguments() -> None:
    assert hvp(product, ([2.0, 3.0],), ([1.0, 10.0],)) == [10.0, 1.0]
    assert hvp(product, [2.0, 3.0], [1.0, 10.0]) == [10.0, 1.0]
    assert hvp(lambda x, y: x * y * y, (2.0, 3.0), (1.0, 10.0), argnums=(0, 1)) == (60.0, 46.0)
    assert hvp(lambda x, y: x * y * y, (2.0, 3.0), 1.0, argnums=1) == 4.0
    assert hvp(lambda p: p["a"] ** 2 * p["b"], {"a": 2.0, "b": 3.0}, {"b": 0.0, "a": 1.0}) == {"a": 6.0, "b": 4.0}
    assert_same_array(hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 10.0])), [6.0, 120.0])


directions = st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3)


@given(programs(), directions)
def test_jvp_is_the_jacobian_times_the_direction(program: Program, direction: list[float]) -> None:
    x, v = list(program.inputs), direction[: len(program.inputs)]
    matrix = np.array(jacobian(program.results)(x))
    values, slopes = jvp(program.results, x, v)
    assert values == program.results(program.inputs)
    np.testing.assert_allclose(slopes, matrix @ v, rtol=1e-9, atol=ROUNDING)


@given(programs(), directions)
def test_hvp_is_the_hessian_times_the_direction_and_the_hessian_is_symmetric(
    program: Program, direction: list[float]
) -> None:
    x, v = list(program.inputs), direction[: len(program.inputs)]
    matrix = np.array(hessian(program)(x))
    # Second derivatives of six steps may be large: rounding errors are relative to the largest.
    rounding = ROUNDING * (1.0 + np.abs(matrix).max())
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-9, atol=rounding)
    np.testing.assert_allclose(hvp(program, x, v), matrix @ v, rtol=1e-9, atol=rounding)


# --- nesting ---


def test_grad_nests_to_any_order() -> None:
    def f(x: Any) -> Any:
        return x**5

    derivative: Callable[..., Any] = f
    expected = [5.0 * 2.0**4, 20.0 * 2.0**3, 60.0 * 2.0**2, 120.0 * 2.0, 120.0, 0.0]
    for slope in expected:
        derivative = grad(derivative)
        assert derivative(2.0) == slope


def test_an_inner_derivative_closes_over_the_argument_of_an_outer_one() -> None:
    """Perturbation confusion: an inner derivative must not confuse the outer direction with its own."""
    assert grad(lambda x: x * grad(lambda y: x + y)(x))(2.0) == 1.0
    assert grad(lambda x: x * grad(lambda y: x * y)(x))(2.0) == 4.0
    assert grad(lambda x: grad(lambda y: x * x * y)(3.0))(2.0) == 4.0
    assert grad(lambda x: x * jvp(lambda y: x + y, x, 1.0)[1])(2.0) == 1.0
    assert jvp(lambda x: x * jvp(lambda y: x * y, x, 1.0)[1], 2.0, 1.0) == (4.0, 4.0)
    assert jvp(lambda x: x * jvp(lambda y: x + y, 1.0, 1.0)[1], 1.0, 1.0) == (1.0, 1.0)
    assert jvp(lambda x: jvp(lambda y: y * x, 3.0, x)[1], 2.0, 1.0) == (4.0, 4.0)


def test_three_levels_deep() -> None:
    def inner(x: Any, y: Any) -> Any:
        return grad(lambda z: x * y * z**2)(y)  # 2 x y^2

    assert grad(lambda x: grad(lambda y: inner(x, y))(x))(3.0) == 24.0  # d/dx 4 x^2


def test_forward_and_reverse_nest_in_either_order() -> None:
    def f(x: Any) -> Any:
        return mg.sin(x) * x**3

    second = hessian(f)(0.7)
    assert grad(lambda x: jvp(f, x, 1.0)[1])(0.7) == pytest.approx(second, rel=1e-14, abs=0.0)
    assert jvp(grad(f), 0.7, 1.0)[1] == pytest.approx(second, rel=1e-14, abs=0.0)
    assert jvp(lambda x: jvp(f, x, 1.0)[1], 0.7, 1.0)[1] == pytest.approx(second, rel=1e-14, abs=0.0)
    assert grad(grad(f))(0.7) == pytest.approx(second, rel=1e-14, abs=0.0)
    third = jacobian(hessian(f))(0.7)
    assert hvp(grad(f), 0.7, 1.0) == pytest.approx(third, rel=1e-14, abs=0.0)
    assert grad(lambda x: hvp(f, x, 1.0))(0.7) == pytest.approx(third, rel=1e-14, abs=0.0)


def test_the_jacobian_of_a_gradient_is_the_hessian() -> None:
    x = np.array([0.3, -1.1])

    def f(x: Any) -> Any:
        return mg.sin(x[0] * x[1]) + x[0] ** 3

    assert_same_array(jacobian(grad(f))(x), hessian(f)(x))
    assert_same_array(jacobian(lambda x: value_and_grad(f)(x)[0])(x), grad(f)(x))


def test_a_step_of_gradient_descent_can_be_differentiated_with_respect_to_its_rate() -> None:
    """x1 = x0 - rate * f'(x0), so d f(x1)/d rate = -f'(x1) f'(x0)."""

    def f(x: Any) -> Any:
        return (x - 3.0) ** 2

    slope = grad(lambda rate: f(1.0 - rate * grad(f)(1.0)))(0.1)
    x1 = 1.0 + 0.1 * 4.0
    assert slope == pytest.approx(-(2.0 * (x1 - 3.0)) * -4.0, rel=1e-14, abs=0.0)


# --- floats for floats, and Values for Values ---


def test_results_are_plain_floats() -> None:
    assert type(grad(lambda x: x * x)(2.0)) is float
    assert [type(x) for x in jvp(lambda x: x * x, 2.0, 1.0)] == [float, float]
    assert type(hvp(lambda x: x * x, 2.0, 1.0)) is float


def test_a_value_passed_in_stays_connected() -> None:
    x = Value(2.0)
    value, slope = value_and_grad(lambda x: x**3)(x)
    assert (value.data, slope.data) == (8.0, 12.0)
    assert mg.gradient(slope, x).data == 12.0
    assert mg.gradient(value, x).data == 12.0
    slope.backward()
    assert x.grad == 12.0


def test_transforms_record_also_inside_a_no_grad_block() -> None:
    with mg.no_grad():
        assert grad(lambda x: x**3)(2.0) == 12.0
        assert grad(grad(lambda x: x**3))(2.0) == 12.0
        assert hessian(product)([2.0, 3.0]) == [[0.0, 1.0], [1.0, 0.0]]
        assert hvp(lambda x: x**3, 2.0, 1.0) == 12.0
        assert jvp(grad(lambda x: x**3), 2.0, 1.0) == (12.0, 12.0)
        assert jvp(lambda x: x**3, 2.0, 1.0) == (8.0, 12.0)
        outside = Value(2.0) * 3.0
    assert outside.is_leaf


def test_no_grad_inside_the_function_stops_the_gradient() -> None:
    def f(x: Any) -> Any:
        with mg.no_grad():
            frozen = x * x
        return frozen * x

    assert grad(f)(2.0) == 4.0
    assert grad(lambda x: x.detach() * x)(2.0) == 2.0


def test_an_error_inside_the_function_leaves_no_trace() -> None:
    def fails(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        grad(fails)(2.0)
    with pytest.raises(ValueError, match="log"):
        grad(mg.log)(-1.0)
    assert type(grad(lambda x: x * x)(2.0)) is float


# --- errors ---


@pytest.mark.parametrize("result", [None, [1.0], "1", {"loss": 1.0}, np.ones(2), np.ones(1), 1j])
def test_the_function_of_grad_must_give_one_number(result: Any) -> None:
    def f(x: Any) -> Any:
        return result

    for transform in (grad(f), value_and_grad(f), hessian(f), lambda x: hvp(f, x, 1.0)):
        expected = f"f: expected a function whose result is one number, got {type(result).__name__}; reduce it"
        with pytest.raises(TypeError, match=expected):
            transform(2.0)


def test_the_function_of_a_jacobian_must_give_numbers() -> None:
    with pytest.raises(TypeError, match=r"the result of <lambda>\['loss'\]: expected a number, .* got set"):
        jacobian(lambda x: {"loss": set()})(2.0)
    with pytest.raises(TypeError, match="the result of <lambda>: expected a number, .* got NoneType"):
        jacobian(lambda x: None)(2.0)
    with pytest.raises(TypeError, match=r"the result of <lambda>\[1\]: expected a number, .* got str"):
        jvp(lambda x: [x, "b"], 2.0, 1.0)


@pytest.mark.parametrize(
    ("argument", "place", "what"),
    [
        ("a string", "", "str"),
        (None, "", "NoneType"),
        ({"w": [1.0, b"b"]}, "['w'][1]", "bytes"),
        ((1.0, {2.0}), "[1]", "set"),
        ([1j], "[0]", "complex"),
    ],
)
def test_an_argument_that_is_not_made_of_numbers_is_named_with_its_place(argument: Any, place: str, what: str) -> None:
    with pytest.raises(TypeError) as error:
        grad(lambda x: x)(argument)
    message = str(error.value)
    assert message.startswith(f"argument 0 of <lambda>{place}: expected a number")
    assert message.endswith(f"got {what}")


def test_array_elements_must_be_real_numbers() -> None:
    with pytest.raises(TypeError, match=r"argument 1 of f: expected a real number, got the string 'b'"):
        grad(named_f, argnums=1)(1.0, np.array(["b"]))
    with pytest.raises(TypeError, match=r"argument 0 of f: expected a real number, got the complex number"):
        grad(named_f)(np.array([1j]), 1.0)


def named_f(x: Any, y: Any) -> Any:
    return x * y


named_f.__name__ = "f"


@pytest.mark.parametrize("transform", [grad, value_and_grad, jacobian, hessian])
def test_positions_must_exist_be_integers_and_differ(transform: Any) -> None:
    with pytest.raises(ValueError, match="f: expected an argument at position 2, got 2 arguments"):
        transform(named_f, argnums=2)(1.0, 2.0)
    with pytest.raises(ValueError, match="f: expected an argument at position -3, got 2 arguments"):
        transform(named_f, argnums=(0, -3))(1.0, 2.0)
    with pytest.raises(ValueError, match="f: expected an argument at position 0, got 0 arguments"):
        transform(named_f)(x=1.0, y=2.0)
    with pytest.raises(ValueError, match=r"f: expected distinct positions in argnums, got \(1, -1\)"):
        transform(named_f, argnums=(1, -1))(1.0, 2.0)
    for wrong in (1.5, (0.5,), "0", None):
        with pytest.raises(TypeError, match="f: expected argnums to be an integer or a tuple of integers, got"):
            transform(named_f, argnums=wrong)(1.0, 2.0)


@pytest.mark.parametrize(
    ("primals", "tangents", "complaint"),
    [
        (
            (2.0, 3.0),
            (1.0,),
            "tangents: expected 2, one for each argument to differentiate with respect to, got 1; argnums",
        ),
        (
            (2.0, 3.0),
            1.0,
            "tangents: expected 2, one for each argument to differentiate with respect to, got 1; argnums",
        ),
        (([2.0, 3.0],), ([1.0],), r"tangents: expected the structure of the arguments"),
        (([2.0, 3.0],), (np.ones(2),), r"tangents: expected the structure of the arguments"),
        ((np.ones((2, 1)),), (np.ones((1, 2)),), r"tangents: expected the structure .*\(2, 1\).*got.*\(1, 2\)"),
        (({"a": 1.0, "b": 2.0},), ({"a": 1.0, "c": 2.0},), r"tangents: .*'b'.*got.*'c'"),
        (({"a": 1.0, "b": 2.0},), ([1.0, 2.0],), r"tangents: expected the structure of the arguments"),
        ((2.0,), ([],), r"tangents: expected the structure of the arguments, .*got"),
    ],
)
def test_tangents_must_fit_the_primals(primals: Any, tangents: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        jvp(lambda *xs: 1.0, primals, tangents)
    with pytest.raises(ValueError, match=complaint):
        hvp(lambda *xs: 1.0, primals, tangents, argnums=tuple(range(len(primals))))


def test_tangents_must_be_numbers() -> None:
    with pytest.raises(TypeError, match=r"tangents\[0\]\[1\]: expected a number, .* got str"):
        jvp(product, [1.0, 2.0], [1.0, "1"])
    with pytest.raises(ValueError, match=r"with \[0\]\[0\]: number, \[0\]\[1\]: number; got \[0\]\[0\]: number"):
        jvp(product, [1.0, 2.0], [1.0, None])


def test_results_at_singular_points_follow_the_conventions() -> None:
    assert grad(mg.sqrt)(0.0) == math.inf
    assert grad(lambda x: mg.where(x > 0, mg.sqrt(x), 0.0))(0.0) == 0.0


def test_forward_mode_stops_an_infinite_tangent_where_reverse_mode_does() -> None:
    """x * sqrt(x) at 0: the root has an infinite slope, but its factor is 0."""
    assert grad(lambda x: x * mg.sqrt(x))(0.0) == 0.0
    assert jvp(lambda x: x * mg.sqrt(x), 0.0, 1.0) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("f", "point"),
    [
        (lambda x: mg.acos(mg.clip(x, -1.0, 1.0)), 1.5),
        (lambda x: mg.sqrt(mg.relu(x)), -1.0),
        (lambda x: mg.maximum(x, 0.0) ** 0.5, -2.0),
        (lambda x: mg.sqrt(mg.minimum(0.0, x)), 5.0),
        (lambda x: mg.sqrt(mg.where(True, 0.0, x)), 4.0),
        (lambda x: mg.sqrt(mg.max([x, 0.0, -1.0])), -2.0),
        (lambda x: mg.sqrt(mg.sum([mg.relu(x - 1.0) ** 2, mg.relu(x - 2.0) ** 2])), 0.5),
        (lambda x: mg.sqrt(mg.floor(x)), 0.5),
        (lambda x: mg.sqrt(x**0 - 1.0), 3.0),
    ],
)
def test_an_infinite_adjoint_stops_where_the_result_does_not_depend_on_the_operand(f: Any, point: float) -> None:
    assert grad(f)(point) == 0.0
    assert jvp(f, point, 1.0)[1] == 0.0
    x = Value(point)
    f(x).backward()
    assert x.grad == 0.0


# --- the choice of arguments: cases that mutation testing found untested ---


def test_hvp_differentiates_with_respect_to_the_first_argument_by_default() -> None:
    assert hvp(lambda x, y: x**3 * y, (2.0, 5.0), 1.0) == 60.0


def test_positions_may_be_counted_from_the_end_down_to_the_first() -> None:
    assert grad(lambda x, y, z: x * y + z, argnums=-3)(2.0, 3.0, 4.0) == 3.0
    assert grad(lambda x, y, z: x * y + z, argnums=(-2, -1))(2.0, 3.0, 4.0) == (2.0, 1.0)


@pytest.mark.parametrize("position", [2, 3, -3, -4])
def test_positions_beyond_the_arguments_are_refused(position: int) -> None:
    with pytest.raises(ValueError, match=f"expected an argument at position {position}, got 2 arguments"):
        grad(lambda x, y: x * y, argnums=position)(2.0, 3.0)


@pytest.mark.parametrize("tangents", [(), (1.0, 2.0, 3.0)])
def test_as_many_tangents_as_arguments_are_expected(tangents: tuple[float, ...]) -> None:
    with pytest.raises(
        ValueError, match=f"expected 2, one for each argument to differentiate with respect to, got {len(tangents)}"
    ):
        jvp(lambda x, y: x * y, (2.0, 3.0), tangents)


def test_an_inner_derivative_that_does_not_depend_on_the_outer_argument_is_a_float() -> None:
    seen = []

    def f(x: Value) -> Value:
        seen.append(grad(lambda y: y * y)(3.0))
        return x * seen[-1]

    assert grad(f)(2.0) == 6.0
    assert type(seen[0]) is float


def test_an_array_of_one_dimension_and_one_number_is_no_scalar() -> None:
    with pytest.raises(TypeError, match="expected a function whose result is one number"):
        grad(lambda x: np.array([x], dtype=object))(2.0)
