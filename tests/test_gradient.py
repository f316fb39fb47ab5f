"""`gradient` and `pushforward`: derivatives that are nodes, to any order, of every operation of the table."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from cells import every_cell
from hypothesis import given, strategies as st
from mpmath import mp, mpf
from programs import ROUNDING, Program, programs

import microgrud as mg
from microgrud import Value, gradient
from microgrud.autodiff.gradients import pushforward
from microgrud.engine import ops
from microgrud.engine.operation import Operation

# Points inside the domain, on every branch of every rule, away from kinks. The operands in brackets are not
# differentiated: they select (the condition of where, the index of softmax, the number of digits).
POINTS: dict[str, list[tuple[Any, ...]]] = {
    "divide_ieee": [(0.7, -1.3)],
    "power_over": [(0.7, -1.3, [1.0]), (2.5, 2.2, [2.0]), (2.5, 1e-3, [1.0])],
    "power_log": [([1.0], [0.0], 0.7, -1.3), ([2.0], [1.0], 2.5, 2.2)],
    "radial": [([2.0], [1.0], [0.0], 0.7, -1.3), ([1.0], [0.0], [0.0], 0.7, -1.3), ([3.0], [1.0], [2.0], 0.7, -1.3)],
    "chain": [(0.7, -1.3)],
    "add": [(0.7, -1.3)],
    "subtract": [(0.7, -1.3)],
    "multiply": [(0.7, -1.3)],
    "divide": [(0.7, -1.3), (1e-295, -1.3), (0.0, 0.3)],
    "pow": [(0.7, -1.3), (2.5, 2.2), (1.3, 3.0), (0.01, 149.5)],
    "floor_divide": [(7.3, 2.0), (-7.3, 2.0)],
    "modulo": [(7.3, 2.0), (-7.3, 2.0)],
    "asin": [(1e-9,), (0.4,), (-0.8,)],
    "acos": [(1e-9,), (0.4,), (-0.8,)],
    "atan": [(1e-9,), (0.4,), (-3.3,)],
    "acosh": [(1.7,), (30.0,)],
    "atanh": [(1e-9,), (0.4,), (-0.8,)],
    "atan2": [(0.7, -1.3), (-0.4, -2.0)],
    "hypot": [(0.7, -1.3), (-4.0, 0.5)],
    "gaussian": [(0.7, 0.5), (-2.0, 1.0), (26.5, 1.0)],
    "tanh": [(1e-9,), (0.4,), (-2.0,), (15.0,)],
    "sigmoid": [(1e-9,), (0.4,), (-20.0,), (20.0,)],
    "logsigmoid": [(0.4,), (-20.0,), (20.0,)],
    "softplus": [(0.4,), (-20.0,), (20.0,)],
    "silu": [(0.4,), (-1.3,), (-20.0,), (-703.0,), (20.0,)],
    "gelu": [(0.4,), (-1.3,), (4.0,)],
    "gelu_slope": [(0.4,), (-1.3,), (4.0,), (37.3,)],
    "elu": [(0.4, 1.3), (-0.8, 1.3), (-703.0, 1.3)],
    "leaky_relu": [(0.4, 0.1), (-0.8, 0.1)],
    "abs": [(0.4,), (-0.8,)],
    "relu": [(0.4,), (-0.8,)],
    "cbrt": [(0.4,), (-0.8,)],
    "log1p": [(0.4,), (-0.8,)],
    "minimum": [(0.7, -1.3), (-1.3, 0.7)],
    "maximum": [(0.7, -1.3), (-1.3, 0.7)],
    "clip": [(0.7, -1.3, 1.1), (-2.0, -1.3, 1.1), (2.0, -1.3, 1.1)],
    "where": [([1.0], 0.7, -1.3), ([0.0], 0.7, -1.3)],
    **{name: [(0.7, -1.3), (-1.3, 0.7)] for name in ("less", "at_most", "equal", "unequal", "same")},
    "gate": [([1.0], 0.7), ([0.0], 0.7)],
    "round_digits": [(0.7321, [2.0])],
    "copysign": [(0.7, -1.3), (-1.3, 0.7)],
    "fmod": [(7.3, 2.0), (-7.3, 2.0), (7.3, -2.0)],
    "logit": [(1e-9,), (0.4,), (0.8,)],
    "xlogy": [(0.7, 1.3), (0.0, 0.4), (-2.0, 1e-9)],
    "xlog1py": [(0.7, 1.3), (0.0, -0.4), (-2.0, 1e-9)],
    "entr": [(1e-9,), (0.4,), (1.7,)],
    "ndtr": [(0.4,), (-1.7,), (-33.0,), (8.0,)],
    "log_ndtr": [(0.4,), (-1.7,), (-33.0,), (8.0,)],
    "ndtri": [(1e-9,), (0.1,), (0.4,), (0.8,), (0.95,)],
    "erfinv": [(1e-9,), (0.4,), (-0.8,), (0.95,)],
    "mills": [([0.0], 0.4), ([2.0], -1.7), ([1.0], -33.0)],
    "sinc": [(1e-9,), (0.4,), (-1.7,), (4.0,)],
    "sinc_derivative": [([1.0], 1e-9), ([2.0], 0.4), ([3.0], -1.7)],
    "polygamma": [([1.0], 0.7), ([2.0], -1.3)],
    "polygamma_difference": [([1.0], 0.7, 1.3)],
    "bessel_i": [([2.0], 0.7), ([3.0], -41.3)],
    "beta": [(0.7, 1.3), (12.5, 0.4)],
    "betaln": [(0.7, 1.3), (12.5, 0.4)],
    "lgamma": [(0.7,), (1.0,), (11.5,), (-1.3,)],
    "digamma": [(0.7,), (11.5,), (-1.3,)],
    "gamma": [(0.7,), (11.5,), (-1.3,)],
    "sum": [(0.7, -1.3, 2.1)],
    "mean": [(0.7, -1.3, 2.1)],
    "prod": [(0.7, -1.3, 2.1, 0.6)],
    "dot": [(0.3, 0.7, -1.3, 2.1, 0.6)],
    "norm": [(0.7, -1.3, 2.1)],
    "max": [(0.7, -1.3, 2.1)],
    "min": [(0.7, -1.3, 2.1)],
    "logsumexp": [(0.7, -1.3, 2.1), (0.5,)],
    "softmax": [([0.0], 0.7, -1.3, 2.1), ([2.0], 0.7, -1.3, 2.1)],
    "log_softmax": [([0.0], 0.7, -1.3, 2.1), ([2.0], 0.7, -1.3, 2.1)],
}
ANYWHERE = [(0.4,), (1.7,)]  # the points of operations that are not in the table above


@pytest.mark.parametrize("name", ops.TABLE)
def test_derivatives_of_each_operation_are_those_of_its_definition(name: str) -> None:
    """All partial derivatives of orders 1 to 3, mixed ones in every order of differentiation, at 60 digits."""
    with every_cell() as cell:
        for point in POINTS.get(name, ANYWHERE):
            variables = [i for i, x in enumerate(point) if not isinstance(x, list)]
            for positions in (p for order in (1, 2, 3) for p in itertools.product(variables, repeat=order)):
                with cell(point, positions):
                    check_derivative(ops.TABLE[name], point, positions)


def check_derivative(operation: Operation, point: tuple[Any, ...], positions: tuple[int, ...]) -> None:
    """Compare the derivative with respect to the operands at these positions, one after the other, with the truth."""
    xs = [x[0] if isinstance(x, list) else Value(x) for x in point]
    tolerance = 1e-15 * abs(float(operation(*plain(point))))
    node = operation(*xs)
    for i in positions:
        node = gradient(node, xs[i])
    true = true_derivative(operation, point, positions)
    assert node.data == pytest.approx(true, rel=1e-12, abs=tolerance)


def plain(point: tuple[Any, ...]) -> list[float]:
    return [x[0] if isinstance(x, list) else x for x in point]


def true_derivative(operation: Operation, point: tuple[Any, ...], positions: tuple[int, ...]) -> float:
    """Differentiate the definition by finite differences at 60 digits and more; about forty digits are right."""
    assert operation.definition is not None
    numbers = plain(point)
    variables = sorted(set(positions))

    def f(*moving: Any) -> Any:
        xs = [mpf(x) for x in numbers]
        for i, x in zip(variables, moving):
            xs[i] = x
        return operation.definition(mp, *xs)  # type: ignore[misc]

    with mp.workdps(60):
        place = [mpf(numbers[i]) for i in variables]
        slope = mp.diff(f, tuple(place), tuple(positions.count(i) for i in variables))
        noise = mpf(10) ** -30 * abs(f(*place))
        return float(slope) if abs(slope) > noise else 0.0


@pytest.mark.parametrize("scale", [2.0**-990, 2.0**1010])
@pytest.mark.parametrize("length", [lambda x, y: mg.hypot(x, y), lambda x, y: mg.norm([x, y])])
def test_second_derivatives_of_a_length_scale_with_the_operands(length: Any, scale: float) -> None:
    """d2 |v| / dx dy = -x y / |v|**3, even if squares under- or overflow; a power of 2 scales exactly."""
    x, y = Value(3.0 * scale), Value(4.0 * scale)
    slope = gradient(length(x, y), x)
    assert slope.data == 0.6
    assert gradient(slope, y).data * scale == pytest.approx(-12.0 / 125.0, rel=1e-14, abs=0.0)


# --- outputs and inputs ---


def test_one_input_gives_a_value_and_several_give_a_list() -> None:
    x, y = Value(2.0), Value(3.0)
    z = x * y
    assert gradient(z, x).data == 3.0
    assert [slope.data for slope in gradient(z, [x, y])] == [3.0, 2.0]
    assert [slope.data for slope in gradient(z, (node for node in (y, x, y)))] == [2.0, 3.0, 2.0]
    assert gradient(z, []) == []


def test_nodes_in_between_are_inputs_like_any_other() -> None:
    x = Value(2.0)
    square = x * x
    cube = square * x
    by_square, by_x, by_itself = gradient(cube, [square, x, cube])
    assert (by_square.data, by_x.data, by_itself.data) == (2.0, 12.0, 1.0)
    # d cube / d square = x, which does not depend on the square.
    assert gradient(by_square, square).data == 0.0
    assert gradient(by_square, x).data == 1.0


def test_an_input_that_the_output_does_not_depend_on_has_derivative_zero() -> None:
    x, stranger = Value(2.0), Value(3.0)
    later = x * 2.0
    slopes = gradient(x * x, [stranger, later, x.detach()])
    assert [slope.data for slope in slopes] == [0.0, 0.0, 0.0]
    assert all(slope.is_leaf for slope in slopes)


def test_the_derivative_of_a_linear_function_is_a_constant_leaf() -> None:
    x = Value(2.0)
    slope = gradient(3.0 * x + 1.0, x)
    assert (slope.data, slope.is_leaf) == (3.0, True)
    assert gradient(slope, x).data == 0.0


def test_gradient_touches_no_grad() -> None:
    x = Value(2.0)
    square = x * x
    output = square.exp()
    output.backward()
    before = [node.grad for node in (x, square, output)]
    gradient(gradient(output, x), [x, square])
    pushforward([output], {x: 1.0})
    assert [node.grad for node in (x, square, output)] == before


def test_backward_through_a_gradient_gives_the_second_derivative() -> None:
    x = Value(2.0)
    gradient(x**3, x).backward()
    assert x.grad == 12.0


def test_under_no_grad_the_results_are_constants() -> None:
    x = Value(2.0)
    cube = x**3
    with mg.no_grad():
        slope = gradient(cube, x)
        (direction,) = pushforward([cube], {x: 1.0})
    assert (slope.data, slope.is_leaf) == (12.0, True)
    assert (direction.data, direction.is_leaf) == (12.0, True)


def test_arguments_that_are_no_values_are_named() -> None:
    x = Value(2.0)
    with pytest.raises(TypeError, match=r"gradient: expected a Value for output, got float"):
        gradient(2.0, x)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"gradient: expected a Value for inputs\[0\], got float"):
        gradient(Value(1.0), 2.0)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"gradient: expected a Value for inputs\[1\], got float"):
        gradient(x * x, [x, 1.0])  # type: ignore[list-item]


def node_built_by_hand(x: Value) -> Value:
    out = Value(math.tanh(x.data), (x,), "my tanh")

    def backward() -> None:
        x.grad += (1.0 - out.data**2) * out.grad

    out._backward = backward
    return out


def test_a_node_built_by_hand_yields_numbers_only_and_says_so() -> None:
    x = Value(0.5)
    out = node_built_by_hand(x) * 2.0
    with pytest.raises(TypeError, match=r"built by hand \(my tanh\) .* local_grads .* microgrud\.custom_op"):
        gradient(out, x)
    with pytest.raises(TypeError, match=r"built by hand \(my tanh\)"):
        pushforward([out], {x: 1.0})
    with pytest.raises(TypeError, match=r"built by hand \(without an _op\)"):
        gradient(Value(1.0, (x,)), x)
    out.backward()
    assert x.grad == pytest.approx(2.0 / math.cosh(0.5) ** 2)


def test_a_node_built_by_hand_off_the_path_does_no_harm() -> None:
    x, y = Value(0.5), Value(2.0)
    assert gradient(node_built_by_hand(x) * y, y).data == math.tanh(0.5)
    assert gradient(y * y + 0.0 * node_built_by_hand(x).detach(), [y, x])[0].data == 4.0


# --- a zero adjoint passes nothing on, even in graphs of derivatives ---


def test_the_infinite_slope_of_a_branch_not_taken_never_shows() -> None:
    x = Value(0.0)
    safe_root = mg.where(x > 0, mg.sqrt(x), 0.0)
    first = gradient(safe_root, x)
    assert (first.data, gradient(first, x).data) == (0.0, 0.0)


@pytest.mark.parametrize("at", [0.0, -1.0])
def test_the_branch_not_taken_adds_nothing_to_any_derivative(at: float) -> None:
    x = Value(at)
    safe_root = mg.where(x > 0, mg.sqrt(mg.maximum(x, 0.0)), 0.0)
    first = gradient(safe_root, x)
    second = gradient(first, x)
    assert (first.data, second.data) == (0.0, 0.0)


def test_an_adjoint_that_is_zero_by_chance_stops_an_infinite_slope() -> None:
    """At x = 0, x * sqrt(z) is 0 for every z, and its derivative with respect to z is 0 too, even at z = 0."""
    x, z = Value(0.0), Value(0.0)
    by_x, by_z = gradient(x * mg.sqrt(z), [x, z])
    assert (by_x.data, by_z.data) == (0.0, 0.0)
    # The mixed derivative is infinite, in either order.
    assert gradient(by_x, z).data == math.inf
    assert gradient(by_z, x).data == math.inf
    assert gradient(by_z, z).data == 0.0


def test_a_plain_zero_for_a_tangent_is_as_if_the_input_were_absent() -> None:
    x, z = Value(0.0), Value(0.0)
    assert pushforward([x * mg.sqrt(z)], {x: 1.0, z: 0.0})[0].data == 0.0
    assert pushforward([mg.sqrt(z)], {z: 0.0}) == [0.0]
    assert pushforward([mg.sqrt(2.0 * z)], {z: 0.0}) == [0.0]
    v = Value(0.0)  # a variable, and not a plain number
    (slope,) = pushforward([mg.sqrt(z)], {z: v})
    assert math.isnan(slope.data)
    assert gradient(slope, v).data == math.inf


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (lambda x: mg.cbrt(x**3), math.nan),
        (lambda x: mg.acos(1.0 + 0.0 * x), math.nan),
        (lambda x: mg.sqrt(abs(x)), math.nan),
        (lambda x: 0.0 * mg.sqrt(x), 0.0),
        (lambda x: 0.0 * mg.cbrt(x**3), 0.0),
        (lambda x: mg.where(x > 0, mg.sqrt(x), 3.0 * x), 3.0),
        (lambda x: mg.sqrt(mg.relu(x - 1.0)), 0.0),
        (lambda x: mg.sqrt(x), math.inf),
    ],
)
def test_forward_and_reverse_mode_agree_where_a_slope_is_infinite(f: Any, slope: float) -> None:
    x = Value(0.0)
    y = f(x)
    forward = number(pushforward([y], {x: 1.0})[0])
    y.backward()
    for computed in (forward, gradient(y, x).data, x.grad, mg.grad(f)(0.0), mg.jvp(f, (0.0,), (1.0,))[1]):
        assert computed == slope or (math.isnan(computed) and math.isnan(slope))


def test_a_zero_adjoint_that_is_a_difference_stops_in_reverse_mode_alone() -> None:
    x = Value(0.0)
    root = mg.sqrt(x)
    difference = root - root
    assert gradient(difference, x).data == 0.0
    assert math.isnan(number(pushforward([difference], {x: 1.0})[0]))


def test_derivatives_of_a_kink_are_those_of_the_chosen_piece() -> None:
    x = Value(0.0)
    first = gradient(x * abs(x), x)
    assert (first.data, gradient(first, x).data) == (0.0, 0.0)
    assert gradient(gradient(mg.relu(x) ** 2, x), x).data == 0.0


# --- forward and reverse mode are each other's transpose ---


@given(programs(), st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3))
def test_pushforward_is_the_transpose_of_the_pull_back(program: Program, direction: list[float]) -> None:
    """For every output y and direction v: (J v) . e_y = v . (J^T e_y)."""
    xs = [Value(x) for x in program.inputs]
    outputs = program.results(xs)
    tangents = pushforward(outputs, dict(zip(xs, direction)))
    for output, tangent in zip(outputs, tangents):
        pulled = sum(v * slope.data for v, slope in zip(direction, gradient(output, xs)))
        assert number(tangent) == pytest.approx(pulled, rel=1e-9, abs=ROUNDING)


def number(x: Any) -> float:
    return x.data if isinstance(x, Value) else x


def test_tangents_of_nodes_in_between_override_what_would_flow_there() -> None:
    x = Value(2.0)
    square = x * x
    (tangent,) = pushforward([square * x], {square: 1.0})
    assert tangent.data == 2.0
    (tangent,) = pushforward([square * x], {x: 1.0, square: 0.0})
    assert tangent.data == 4.0


def test_outputs_that_the_tangents_do_not_reach_stay_still() -> None:
    x, y = Value(2.0), Value(3.0)
    assert pushforward([y * y, Value(1.0)], {x: 1.0}) == [0.0, 0.0]
    assert pushforward([x], {x: 5.0}) == [5.0]
    assert pushforward([], {x: 5.0}) == []


@given(programs())
def test_forward_over_reverse_gives_the_second_derivatives_of_reverse_over_reverse(program: Program) -> None:
    xs = [Value(x) for x in program.inputs]
    slopes = gradient(program(xs), xs)
    for i, x in enumerate(xs):
        forward = pushforward(slopes, {x: 1.0})
        reverse = gradient(slopes[i], xs)
        for j, tangent in enumerate(forward):
            size = 1.0 + max(abs(slope.data) for slope in reverse)
            assert number(tangent) == pytest.approx(reverse[j].data, rel=1e-6, abs=ROUNDING * size)
