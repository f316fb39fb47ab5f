"""A Value behaves like the float that it holds: arithmetic, comparisons, rounding and errors."""

from __future__ import annotations

import cmath
import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from arrays import np
from hypothesis import example, given, strategies as st

from microgrud import Value

ANY_FLOAT = st.floats()
BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.pow,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]
UNARY = [operator.neg, operator.pos, abs, bool]


def outcome(f: Callable[..., Any], *operands: Any) -> Any:
    """The result as bits, or the type of the exception; a Value never becomes complex."""
    if f is operator.pow and all(isinstance(x, float) for x in operands) and _is_complex_power(*operands):
        return ValueError
    try:
        result = f(*operands)
    except (ArithmeticError, ValueError) as error:
        return type(error)
    if isinstance(result, bool):
        return result
    return float.hex(result.data if isinstance(result, Value) else float(result))


def _is_complex_power(x: float, y: float) -> bool:
    return -math.inf < x < 0.0 and math.isfinite(y) and not y.is_integer()


@pytest.mark.parametrize("operation", BINARY, ids=lambda f: f.__name__)
@given(x=ANY_FLOAT, y=ANY_FLOAT)
@example(x=-8.0, y=1 / 3)
@example(x=0.0, y=-1.0)
@example(x=1e200, y=2.0)
@example(x=math.inf, y=math.inf)
def test_binary_operators_give_the_bits_or_the_error_of_floats(operation: Any, x: float, y: float) -> None:
    expected = outcome(operation, x, y)
    assert outcome(operation, Value(x), Value(y)) == expected
    assert outcome(operation, Value(x), y) == expected
    assert outcome(operation, x, Value(y)) == expected


@pytest.mark.parametrize("operation", UNARY, ids=lambda f: f.__name__)
@given(x=ANY_FLOAT)
def test_unary_operators_give_the_bits_of_floats(operation: Any, x: float) -> None:
    assert outcome(operation, Value(x)) == outcome(operation, x)


@given(x=ANY_FLOAT, y=ANY_FLOAT)
def test_divmod_is_the_pair_of_floor_quotient_and_remainder(x: float, y: float) -> None:
    try:
        expected = [float.hex(z) for z in divmod(x, y)]
    except ZeroDivisionError:
        with pytest.raises(ZeroDivisionError):
            divmod(Value(x), y)
        return
    assert [float.hex(z.data) for z in divmod(Value(x), Value(y))] == expected
    assert [float.hex(z.data) for z in divmod(x, Value(y))] == expected


@given(x=st.floats(allow_nan=False, allow_infinity=False), digits=st.integers(-3, 3))
def test_rounding_is_pythons(x: float, digits: int) -> None:
    assert round(Value(x)).data == float(round(x))
    assert round(Value(x), digits).data == round(x, digits)
    assert math.floor(Value(x)).data == math.floor(x)
    assert math.ceil(Value(x)).data == math.ceil(x)
    assert math.trunc(Value(x)).data == math.trunc(x)


@pytest.mark.parametrize(
    ("convert", "instead"),
    [
        (int, "use microgrud.trunc, floor or round for a Value, and int(value.data) for the plain number"),
        (float, "use .data for the plain number"),
        (complex, "use .data for the plain number"),
        (math.exp, "use microgrud's function of the same name, such as microgrud.exp"),
        (cmath.exp, "use microgrud's function of the same name, such as microgrud.exp"),
        (
            np.isnan,
            "numpy.isnan of a Value: .*use microgrud's function of that name if there is one; use .data",
        ),
        (np.logaddexp2.reduce, "numpy.logaddexp2 of a Value: .*use .data for the plain number"),
        (lambda x: np.asarray([x], dtype=float), "use .data for the plain number"),
        ("{:d}".format, "Unknown format code"),
        ("%.2f".__mod__, "use .data for the plain number"),
        (range, "cannot be interpreted as an integer"),
    ],
)
def test_no_conversion_drops_the_gradient_in_silence(convert: Callable[[Any], Any], instead: str) -> None:
    with pytest.raises((TypeError, ValueError), match=instead.replace("(value.data)", r"\(value\.data\)")):
        convert(Value(2.0))


def test_no_function_takes_a_value_for_a_plain_number() -> None:
    x, y = Value(2.0), Value(1.0)
    with pytest.raises(TypeError, match="data: expected a real number, got a Value"):
        Value(x)
    with pytest.raises(TypeError, match="data: expected a real number, got a Value"):
        y.data = x
    assert np.array([x, 1.0]).dtype == object


@pytest.mark.parametrize("step", [round, math.floor, math.ceil, math.trunc])
@pytest.mark.parametrize("x", [math.inf, math.nan])
def test_rounding_infinity_or_nan_is_the_error_of_floats(step: Any, x: float) -> None:
    with pytest.raises((OverflowError, ValueError)) as expected:
        step(x)
    with pytest.raises(expected.type):
        step(Value(x))


@given(x=st.floats(-1e6, 1e6), n=st.integers(-(2**70), 2**70))
def test_integers_mix_as_with_floats(x: float, n: int) -> None:
    assert (Value(x) + n).data == x + n
    assert (n - Value(x)).data == n - x
    assert (Value(x) < n) == (x < n)


def test_integers_beyond_the_range_of_floats_are_the_error_of_floats() -> None:
    with pytest.raises(OverflowError):
        Value(1.0) + 10**400
    assert Value(1.0) < 10**400


def test_fractions_and_booleans_mix_on_both_sides() -> None:
    assert (Fraction(1, 2) + Value(1.0)).data == 1.5
    assert (Value(1.0) / Fraction(1, 2)).data == 2.0
    assert (True + Value(1.0)).data == 2.0
    assert Value(0.5) <= Fraction(1, 2)


@pytest.mark.parametrize("other", ["1", None, [1.0], 1j, object()])
@pytest.mark.parametrize("operation", [operator.add, operator.mul, operator.pow, operator.mod])
def test_operators_refuse_what_is_not_a_real_number(operation: Any, other: Any) -> None:
    with pytest.raises(TypeError):
        operation(Value(1.0), other)
    if not isinstance(other, str) or operation is not operator.mod:
        with pytest.raises(TypeError):
            operation(other, Value(1.0))


@pytest.mark.filterwarnings("ignore:The delegation of int:DeprecationWarning")  # up to Python 3.13
@pytest.mark.parametrize("convert", [float, int, complex, math.exp, operator.index])
def test_nothing_silently_drops_the_gradient(convert: Any) -> None:
    with pytest.raises(TypeError):
        convert(Value(1.0))


def test_power_with_a_modulus_is_refused() -> None:
    with pytest.raises(TypeError):
        pow(Value(2.0), 2, 3)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        pow(2, Value(2.0), 3)  # type: ignore[call-overload]


def test_augmented_assignment_makes_a_new_node() -> None:
    x = Value(1.0)
    y = x
    y += 2.0
    assert (x.data, y.data) == (1.0, 3.0)


def test_derivatives_of_the_remaining_operators() -> None:
    x, y = Value(7.5), Value(2.0)
    (x % y).backward()
    assert (x.grad, y.grad) == (1.0, -3.0)
    x, y = Value(7.5), Value(2.0)
    (x // y + round(x) + round(x, 1)).backward()
    assert (x.grad, y.grad) == (0.0, 0.0)
    x = Value(2.0)
    (+x - (-x)).backward()
    assert x.grad == 2.0


def test_sorting_and_max_use_the_numbers() -> None:
    values = [Value(3.0), Value(1.0), Value(2.0)]
    assert [v.data for v in sorted(values)] == [1.0, 2.0, 3.0]
    assert max(values) is values[0]
