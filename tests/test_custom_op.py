"""`custom_op`: custom operations have the same rights as those of the table."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from arrays import np
from hypothesis import given, strategies as st
from mpmath import mp, mpf

import microgrud as mg
from microgrud import Value, custom_op, gradient

# The bell curve exp(-x**2), of one operand, and x * exp(y), of two. All rules are at the top level of the module,
# so that graphs of these operations can be pickled.


def bell_value(x: float) -> float:
    return math.exp(-x * x)


def bell_slope(z: Any, x: Any) -> Any:
    return -2.0 * x * z


def scaled_value(x: float, y: float) -> float:
    return x * math.exp(y)


def scaled_slope_by_x(z: Any, x: Any, y: Any) -> Any:
    return mg.exp(y)


def scaled_slope_by_y(z: Any, x: Any, y: Any) -> Any:
    return z


bell = custom_op("bell", bell_value, bell_slope, definition=lambda mp, x: mp.exp(-x * x))
scaled_exp = custom_op("scaled_exp", scaled_value, [scaled_slope_by_x, scaled_slope_by_y], symbol="xe")
picklable_bell = custom_op("bell", bell_value, bell_slope)

numbers = st.floats(-3.0, 3.0)


# --- the same rights ---


def test_on_values_it_records_one_node_with_its_symbol() -> None:
    x = Value(0.5)
    node = bell(x)
    assert (node.data, node._op, node._prev) == (math.exp(-0.25), "bell", (x,))
    y = Value(2.0)
    assert scaled_exp(y, x)._op == "xe"
    assert scaled_exp(y, x)._prev == (y, x)
    assert scaled_exp(2.0, x)._prev == (x,)
    assert repr(bell) == "<operation bell>"


def test_on_floats_it_computes() -> None:
    assert bell(0.5) == math.exp(-0.25)
    assert bell(1) == math.exp(-1.0)
    assert type(bell(np.float64(0.5))) is float


def test_on_mpmath_numbers_it_follows_its_definition() -> None:
    with mp.workdps(50):
        assert bell(mpf("0.5")) == mp.exp(mpf("-0.25"))


def test_without_a_definition_a_generic_value_rule_serves_mpmath_too() -> None:
    cube = custom_op("cube", lambda x: x * x * x, lambda z, x: 3.0 * x * x)
    with mp.workdps(50):
        assert cube(mpf(1) / 3) == (mpf(1) / 3) ** 3


@given(numbers)
def test_it_can_be_differentiated_to_any_order(at: float) -> None:
    x = Value(at)
    z = bell(x)
    first = gradient(z, x)
    second = gradient(first, x)
    third = gradient(second, x)
    z.backward()
    e = math.exp(-at * at)
    assert x.grad == first.data == -2.0 * at * e
    assert second.data == pytest.approx((4.0 * at**2 - 2.0) * e, rel=1e-13, abs=1e-14)
    assert third.data == pytest.approx((12.0 * at - 8.0 * at**3) * e, rel=1e-13, abs=1e-13)


@given(numbers, numbers)
def test_two_operands_have_one_rule_each(a: float, b: float) -> None:
    x, y = Value(a), Value(b)
    scaled_exp(x, y).backward()
    assert (x.grad, y.grad) == (math.exp(b), a * math.exp(b))
    assert mg.hessian(scaled_exp, argnums=(0, 1))(a, b) == ((0.0, math.exp(b)), (math.exp(b), a * math.exp(b)))
    assert mg.jvp(scaled_exp, (a, b), (1.0, 0.0)) == (a * math.exp(b), math.exp(b))


def test_the_rule_of_a_constant_operand_is_not_called() -> None:
    def must_not_run(z: Any, x: Any, y: Any) -> Any:
        raise AssertionError("the rule of a constant operand was called")

    operation = custom_op("times", lambda x, y: x * y, [lambda z, x, y: y, must_not_run])
    x = Value(2.0)
    operation(x, 3.0).backward()
    assert x.grad == 3.0


def test_it_follows_no_grad_and_anomaly_detection() -> None:
    with mg.no_grad():
        assert bell(Value(0.5)).is_leaf
    square = custom_op("square it", lambda x: x * x, lambda z, x: 2.0 * x)
    with mg.detect_anomaly(), pytest.raises(mg.AnomalyError, match=r"square it\(big=1e\+200\) is inf"):
        square(Value(1e200, label="big"))


def test_numpy_functions_may_be_used_in_the_rules() -> None:
    sine = custom_op("sine", np.sin, lambda z, x: np.cos(x))
    x = Value(0.5)
    z = sine(x)
    z.backward()
    assert (type(z.data), type(x.grad)) == (float, float)
    assert x.grad == pytest.approx(math.cos(0.5), rel=1e-15, abs=0.0)
    assert gradient(gradient(z, x), x).data == pytest.approx(-math.sin(0.5), rel=1e-15, abs=0.0)


# --- results of value and rules ---


@pytest.mark.parametrize("result", [3, True, np.float32(3.0), np.int64(3)])
def test_a_value_that_is_one_real_number_becomes_a_float(result: Any) -> None:
    operation = custom_op("const", lambda x: result, lambda z, x: 0)
    x = Value(1.0)
    out = operation(x)
    assert type(out.data) is float
    assert out.data == float(result)
    out.backward()
    assert type(x.grad) is float


@pytest.mark.parametrize(
    ("result", "what"),
    [
        (None, "None; give a number"),
        ("3", "the string '3'"),
        (3j, r"the complex number 3j"),
        (np.ones(1), "an object of type ndarray"),
    ],
)
def test_a_value_or_a_slope_that_is_no_number_is_named(result: Any, what: str) -> None:
    bad_value = custom_op("bad", lambda x: result, lambda z, x: 1.0)
    with pytest.raises(TypeError, match=f"the value of bad: expected a real number, got {what}"):
        bad_value(Value(1.0))
    bad_slope = custom_op("bad", lambda x: x, lambda z, x: result)
    x = Value(1.0)
    x.grad = 5.0
    with pytest.raises(
        TypeError, match=f"the derivative of bad with respect to operand 1: expected a real number, got {what}"
    ):
        bad_slope(x).backward()
    assert x.grad == 5.0
    with pytest.raises(TypeError, match="the derivative of bad with respect to operand 1"):
        gradient(bad_slope(x), x)


def test_a_rule_that_returns_a_node_for_plain_numbers_is_refused() -> None:
    """A rule that closes over a parameter would hide the dependence on it; the parameter has to be an operand."""
    w = Value(3.0)
    operation = custom_op("times w", lambda x: 3.0 * x, lambda z, x: w)
    with pytest.raises(
        TypeError, match="the derivative of times w with respect to operand 1: expected a real number, got a Value"
    ):
        operation(Value(1.0)).backward()


# --- errors raised inside ---


def raising(error: BaseException) -> Callable[[float], float]:
    def value(x: float) -> float:
        raise error

    return value


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("x is out of bounds"), ValueError, r"^mine\(rate=2\.0\): x is out of bounds$"),
        (ZeroDivisionError("float division by zero"), ZeroDivisionError, r"^mine\(rate=2\.0\): division by zero"),
        (OverflowError("math range error"), OverflowError, r"^mine\(rate=2\.0\): the result is too large"),
        (FloatingPointError("invalid"), FloatingPointError, r"^invalid$"),
        (KeyError("missing"), KeyError, r"^'missing'$"),
    ],
)
def test_errors_in_the_value_rule_keep_their_type_and_name_the_operation(
    error: BaseException, kind: type[BaseException], message: str
) -> None:
    operation = custom_op("mine", raising(error), lambda z, x: 1.0)
    with pytest.raises(kind, match=message):
        operation(Value(2.0, label="rate"))


def test_an_error_in_a_rule_leaves_the_gradients_as_they_were() -> None:
    def rule(z: Any, x: Any) -> Any:
        raise KeyError("no such slope")

    operation = custom_op("mine", lambda x: x, rule)
    x = Value(2.0)
    x.grad = 7.0
    with pytest.raises(KeyError, match="no such slope"):
        (operation(x) + x).backward()
    assert x.grad == 7.0


# --- wrong arguments ---


def identity(z: Any, x: Any) -> Any:
    return 1.0


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("tanh", math.tanh, identity), ValueError, "custom_op: 'tanh' is an operation of microgrud; expected another"),
        (("f", math.sin, []), ValueError, "custom_op 'f': expected a derivative rule for each operand, got none"),
        (("f", 1.0, identity), TypeError, "custom_op 'f': expected a function as value, got float"),
        (("f", math.sin, None), TypeError, r"custom_op 'f': expected a function as partials\[0\], got NoneType"),
        (("f", math.sin, [identity, 2]), TypeError, r"custom_op 'f': expected a function as partials\[1\], got int"),
        (("f", math.sin, "ab"), TypeError, r"custom_op 'f': expected a function as partials\[0\], got str"),
        ((3, math.sin, identity), TypeError, "custom_op: expected a name, got 3"),
        (("", math.sin, identity), TypeError, "custom_op: expected a name, got ''"),
    ],
)
def test_wrong_arguments_are_refused(arguments: tuple[Any, ...], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        custom_op(*arguments)


@pytest.mark.parametrize("operands", [(), (1.0,), (Value(1.0), 2.0, 3.0)])
def test_the_number_of_operands_must_be_that_of_the_rules(operands: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match=rf"scaled_exp: expected 2 operand\(s\), got {len(operands)}"):
        scaled_exp(*operands)


def test_operands_must_be_numbers() -> None:
    with pytest.raises(TypeError, match="bell: expected a real number, got the string 'a'"):
        bell("a")
    with pytest.raises(TypeError, match="scaled_exp: expected a real number, got None; give a number"):
        scaled_exp(Value(1.0), None)


# --- copies and pickles ---


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"])
def test_copies_and_pickles_keep_graph_and_rules(duplicate: Callable[[Any], Any]) -> None:
    x = Value(0.5, label="x")
    inner = picklable_bell(x)
    x2, inner2, out2 = duplicate((x, inner, inner * scaled_exp(inner, x)))
    assert (out2._prev[0], inner2._prev, x2.label) == (inner2, (x2,), "x")
    out2.backward()
    (inner * scaled_exp(inner, x)).backward()
    assert x2.grad == x.grad != 0.0
    assert gradient(gradient(inner2, x2), x2).data == gradient(gradient(inner, x), x).data


def test_rules_that_are_no_module_level_functions_cannot_be_pickled_but_copied() -> None:
    operation = custom_op("local", lambda x: x, lambda z, x: 1.0)
    node = operation(Value(2.0))
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(node)
    assert copy.deepcopy(node)._op == "local"


# --- rules that take floats only, like SciPy's functions ---


def sine_value(x: float) -> float:
    return math.sin(x)


def cosine_of_floats(z: Any, x: Any) -> Any:
    return math.cos(x)


def arc_cosine_of_arrays(z: Any, x: Any) -> Any:
    return np.frompyfunc(math.cos, 1, 1)(x)


def product_value(x: float, y: float) -> float:
    return x * math.sin(y)


def product_by_x(z: Any, x: Any, y: Any) -> Any:
    return math.sin(y)


def product_by_y(z: Any, x: Any, y: Any) -> Any:
    return x * mg.cos(y)


float_sine = custom_op("float sine", sine_value, cosine_of_floats)
array_sine = custom_op("array sine", sine_value, arc_cosine_of_arrays)
half_float = custom_op("half float", product_value, [product_by_x, product_by_y])
FLOAT_ONLY = pytest.mark.parametrize("operation", [float_sine, array_sine])


@FLOAT_ONLY
def test_rules_of_floats_give_first_derivatives_wherever_rules_of_values_do(operation: Any) -> None:
    x = Value(0.5)
    (operation(x) * 3.0).backward()
    found = [
        x.grad,
        gradient(operation(x) * 3.0, x).data,
        mg.grad(lambda x: operation(x) * 3.0)(0.5),
        mg.jacobian(lambda x: operation(x) * 3.0)(0.5),
        mg.jvp(lambda x: operation(x) * 3.0, (0.5,), (1.0,))[1],
        mg.compile(lambda x: operation(x) * 3.0).value_and_grad(0.5)[1],
        mg.compile(mg.grad(lambda x: operation(x) * 3.0))(0.5),
    ]
    assert found == [3.0 * math.cos(0.5)] * len(found)


@FLOAT_ONLY
def test_replays_evaluate_rules_of_floats_again(operation: Any) -> None:
    slope = mg.compile(mg.grad(lambda x: operation(x * x)))
    for at in (0.5, 0.7, -1.3):
        assert slope(at) == pytest.approx(2.0 * at * math.cos(at * at), rel=1e-15)


@FLOAT_ONLY
@pytest.mark.parametrize(
    "differentiate",
    [
        lambda f: mg.hessian(f)(0.5),
        lambda f: mg.hvp(f, (0.5,), (1.0,)),
        lambda f: mg.grad(mg.grad(f))(0.5),
        lambda f: mg.jvp(mg.grad(f), (0.5,), (1.0,)),
        lambda f: mg.compile(mg.hessian(f))(0.5),
        lambda f: gradient(f(x := Value(0.5)), x).backward(),
    ],
)
def test_derivatives_of_higher_order_need_rules_that_take_values(operation: Any, differentiate: Any) -> None:
    with pytest.raises(
        TypeError, match="the derivative of (float|array) sine with respect to operand 1 cannot be differentiated"
    ):
        differentiate(lambda x: operation(x) * 3.0)


def test_a_rule_of_values_next_to_one_of_floats_is_differentiated_again() -> None:
    second = mg.hessian(half_float, argnums=1)(2.0, 0.5)
    assert second == pytest.approx(-2.0 * math.sin(0.5), rel=1e-15)
    with pytest.raises(
        TypeError, match=r"of half float with respect to operand 1 cannot .* A rule receives the result and the oper"
    ):
        mg.hessian(half_float, argnums=(0, 1))(2.0, 0.5)


def test_an_error_in_a_rule_of_floats_is_the_one_that_is_shown() -> None:
    operation = custom_op("mine", math.sin, lambda z, x: len(x))
    for slope in (mg.grad(operation), lambda at: gradient(operation(x := Value(at)), x)):
        with pytest.raises(TypeError, match=r"object of type 'float' has no len\(\)"):
            slope(0.5)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"])
def test_first_derivatives_by_rules_of_floats_are_copied_and_pickled(duplicate: Callable[[Any], Any]) -> None:
    x = Value(0.5)
    slope = duplicate(gradient(float_sine(x), x))
    assert slope.data == math.cos(0.5)
    with pytest.raises(
        TypeError, match="the derivative of float sine with respect to operand 1 cannot be differentiated again"
    ):
        slope.backward()


def slope_of_float_sine(x: Any) -> Any:
    return mg.grad(float_sine)(x)


def test_recordings_of_rules_of_floats_are_pickled() -> None:
    compiled = mg.compile(slope_of_float_sine)
    assert compiled(0.5) == math.cos(0.5)
    assert pickle.loads(pickle.dumps(compiled))(0.7) == math.cos(0.7)


def test_fit_trains_with_rules_of_floats() -> None:
    def trained(operation: Any, setting: Any) -> list[float]:
        weight = Value(0.3)

        class Model(mg.nn.Module):
            def __init__(self) -> None:
                self.weight = weight

            def __call__(self, x: Any) -> Any:
                return operation(self.weight * x[0])

        mg.train.fit(Model(), [[0.5], [1.0]], [0.4, 0.8], loss=mg.losses.squared_error, epochs=3, compile=setting)
        return [weight.data]

    expected = trained(mg.sin, False)
    for setting in (False, "auto", True):
        assert trained(float_sine, setting) == pytest.approx(expected, rel=1e-14)


def test_a_value_that_takes_no_mpmath_numbers_asks_for_a_definition() -> None:
    operation = custom_op("mine", lambda x: len([x]) * np.frompyfunc(math.sin, 1, 1)(x) + {}[[]], lambda z, x: 1.0)
    with pytest.raises(TypeError, match="mine: expected floats, got mpmath numbers, .* give .* a definition="):
        operation(mpf(1))


@pytest.mark.parametrize(
    "read", [lambda x: x.data, lambda x: getattr(x, "data", x), lambda x: float(repr(x)[11:].split(",")[0])]
)
def test_a_rule_that_reads_numbers_has_no_second_derivative(read: Any) -> None:
    def rule(z: Any, x: Any) -> Any:
        return math.cos(x if isinstance(x, float) else read(x))

    op = custom_op("s", math.sin, rule)
    assert mg.grad(op)(1.3) == mg.compile(mg.grad(op))(1.3) == math.cos(1.3)
    with pytest.raises(TypeError, match="cannot be differentiated again, because its rule takes only floats"):
        mg.grad(mg.grad(op))(1.3)


def test_a_rule_of_floats_may_fail_with_any_error_on_values() -> None:
    op = custom_op("cube", lambda x: x**3, lambda z, x: (3 if x.is_integer() else 3.0) * x * x)
    x = Value(1.3)
    assert gradient(op(x), x).data == mg.compile(mg.grad(op))(1.3) == 3 * 1.3 * 1.3


def test_a_constant_rule_has_a_second_derivative() -> None:
    double = custom_op("double", lambda x: 2 * x, lambda z, x: 2.0)
    assert mg.grad(mg.grad(double))(1.0) == 0.0
