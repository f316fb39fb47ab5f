"""The operation table: one entry per operation, with its value rule and its derivative rules.

Read an entry as mathematics: `TANH` says how to compute tanh(x), and that its derivative is sech(x)**2. In a
derivative rule `z` is the result and `x`, `y` are the operands. Rules are written with operations of this table,
`+ - * /` and comparisons, so that they work on floats and on Values. Two laws keep them right:

* a rule branches, never with `abs` or `max`: a kink in a rule would be a wrong second derivative. It does so with
  `choose` and `given`, which are operations in a recording, so that any order of derivative is one recording; an `if`
  is a guard there, for cases that hardly occur;
* a division that may meet a zero is `DIVIDE_IEEE`, which gives the limit (infinity) or NaN where Python raises.

A rule that yields None says that the result does not depend on that operand at this point. Then nothing is passed on,
not even an infinite adjoint, whose product with a computed 0 would be NaN. (The adjoint of a node is the derivative of
the root with respect to it.)
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from ..common.numbers import Interval, Number
from . import kernels, tracing
from .operation import Operation

REALS = Interval()
POSITIVE = Interval(0.0, math.inf, low_open=True)
NONNEGATIVE = Interval(0.0, math.inf)
ABOVE_MINUS_ONE = Interval(-1.0, math.inf, low_open=True)
AT_LEAST_ONE = Interval(1.0, math.inf)
UNIT = Interval(-1.0, 1.0)
OPEN_UNIT = Interval(-1.0, 1.0, low_open=True, high_open=True)

# A result below _TINY is close to subnormal and may have lost digits that a computation scaled by _SCALE keeps.
_TINY = 2.0**-960
_HUGE = 2.0**960
_SCALE = 2.0**600
# A number whose square is below this may soon lose digits to underflow.
_SMALL_SQUARE = 2.0**-800

# The longest norm whose derivatives are written with RADIAL, so that second derivatives keep every digit. The time of
# all second derivatives then grows with the cube of the length.
_MOST_RADIAL = 8

TABLE: dict[str, Operation] = {}


def define(
    name: str,
    value: Callable[..., float],
    *partials: Callable[..., Any],
    definition: Callable[..., Number] | None = None,
    generic: bool = False,
    symbol: str = "",
    domain: Interval | tuple[Interval, ...] = REALS,
    total: bool = False,
    over_sequence: bool = False,
) -> Operation:
    """Add an operation to the table.

    It has one derivative rule per operand; over a sequence, a single rule returns the derivatives with respect to all
    operands. With `generic` the value rule takes mpmath numbers too, and is the definition. Without both, mpmath has a
    function of this name.
    """
    intervals = domain if isinstance(domain, tuple) else (domain,) * len(partials)
    arity, rules = (None, partials[0]) if over_sequence else (len(partials), partials)

    def by_value_rule(mp: Number, *xs: Number) -> Number:
        return mp.convert(value(*xs))

    def by_mpmath(mp: Number, *xs: Number) -> Number:
        return getattr(mp, name)(*xs)

    definition = definition or (by_value_rule if generic else by_mpmath)
    TABLE[name] = Operation(name, symbol or name, arity, value, rules, definition, intervals, total=total)
    return TABLE[name]


#: Add an operation over a sequence. All of them are total: their value rules never raise.
define_over_sequence = functools.partial(define, over_sequence=True, total=True)


def _is_recorded(*operands: Number) -> bool:
    return tracing.current() is not None and any(hasattr(x, "_record") for x in operands)


def choose(condition: Any, x: Any, y: Any) -> Number:
    """Return x where a condition holds, else y: numbers, or functions that compute them when they are needed."""
    if hasattr(condition, "condition"):  # a Truth: both are recorded, and must have no errors where they are not chosen
        return WHERE(condition.condition, x() if callable(x) else x, y() if callable(y) else y)
    chosen = x if condition else y
    return chosen() if callable(chosen) else chosen


def given(condition: Any, slope: Number) -> Number:
    """Return a local derivative where a condition holds, and otherwise None: the result does not depend on the operand.

    In a recording it is a GATE, which `chained` recognizes.
    """
    if hasattr(condition, "condition"):
        return GATE(condition.condition, slope)
    return slope if condition else None


def chained(adjoint: Number, slope: Number) -> Number:
    """Multiply an adjoint by a local derivative in a recording; a closed GATE passes nothing on, not even infinity."""
    if getattr(slope, "_operation", None) is not GATE:
        return CHAIN(adjoint, slope)
    condition, factor = slope._operands
    return GATE(condition, adjoint if type(factor) is float and factor == 1.0 else chained(adjoint, factor))


def chained_to_base(adjoint: Number, slope: Number, y: Number, n: Number) -> Number:
    """Multiply an adjoint by the derivative of x**(y - n) with respect to x.

    Where y = n the power does not depend on x, and nothing is passed on, not even infinity. But y varies, so the
    derivative of this 0 with respect to y remains: the slope, a product with y - n, takes the place of the adjoint.
    """
    return choose(y == n, CHAIN(slope, adjoint), chained(adjoint, slope))


def nothing(z: Number, *_: Number) -> None:
    """Return None, as the rule of an operand to which nothing is passed on."""


def _one(z: Number, *_: Number) -> float:
    return 1.0


# --- arithmetic ---------------------------------------------------------------------------------------------------


def _quotient_by_divisor(z: Number, x: Number, y: Number) -> Number:
    """d(x/y)/dy = -(x/y)/y; where x/y has lost digits to underflow, it is computed again at a larger scale.

    An exact 0 has lost none, and would overflow if each further derivative scaled it again. For |y| >= 1 the result is
    smaller still, and the lost digits do not matter. Squares are compared so that a recording holds for both signs, and
    `&` makes one condition of two, so that it holds for an exact 0 too.
    """
    raised = z * 2.0**500
    if (raised * raised < 2.0**-920) & (z != 0.0) and y * y < 1.0:  # that is, |z| < 2**-960
        return -(x * _SCALE / y / y) / _SCALE
    return -z / y


def _times_power(factor: Number, x: Number, y: Number, n: float, k: float) -> Number:
    """factor * x**(y - n) * log(x)**k, correct even where the power alone under- or overflows; 0 for a factor of 0."""
    if not hasattr(y, "_record") and not k and y - n in (0.0, 1.0):  # such as those of x**2: this avoids pow, 20 ns
        return factor * x if y > n else factor
    power = POWER_LOG(k, n, x, y) if k else POWER_OVER(x, y, n)
    if not hasattr(factor, "_record") and 0.25 <= abs(factor) <= 8.0:  # the product is out of range as the power is
        return factor * power
    # Within this range the power of the next derivative does not overflow unless its product with a small factor does.
    # The square has no sign, so that a recording holds for both signs.
    in_range = _SMALL_SQUARE <= power * power <= 1.0 / _SMALL_SQUARE
    if in_range or x == 0.0 or not power <= math.inf or factor == 0.0:  # `not power <= inf` is true only for NaN
        return CHAIN(factor, power)
    size, sign = (x, 1.0) if x > 0.0 else (-x, POWER_OVER(-1.0, y, n))
    if sign != sign:  # y is fractional, which only a base of -inf allows: its power is 0 or infinity, both positive
        sign = 1.0
    root = POWER_OVER(size, 0.5 * y, 0.5 * n)
    return sign * factor * root * (POWER_LOG(k, 0.5 * n, size, 0.5 * y) if k else root)


def _power_by_base(z: Number, x: Number, y: Number, n: float = 0.0) -> Number:
    """d x**(y - n)/dx = (y - n) * x**(y - (n + 1))."""
    if not hasattr(y, "_record") and y == n:
        return None  # x**0 is 1, whatever x is
    return _times_power(y - n, x, y, n + 1.0, 0.0)


def _power_log_partials(z: Number, k: float, n: float, x: Number, y: Number) -> list[Number]:
    """The derivatives of x**(y - n) * log(x)**k."""
    power = POWER_LOG(k - 1.0, n + 1.0, x, y) if k > 1.0 else POWER_OVER(x, y, n + 1.0)
    by_base = _times_power(y - n, x, y, n + 1.0, k) + k * power
    return [None, None, by_base, POWER_LOG(k + 1.0, n, x, y)]


def _modulo(mp: Number, x: Number, y: Number) -> Number:
    return x - y * mp.floor(x / y)


def _divide_ieee_definition(mp: Number, x: Number, y: Number) -> Number:
    return x / y if y != 0 else (mp.sign(x) * mp.inf if x != 0 else mp.nan)


DIVIDE_IEEE: Operation = define(
    "divide_ieee",
    kernels.divide,
    lambda z, x, y: DIVIDE_IEEE(1.0, y),
    lambda z, x, y: -DIVIDE_IEEE(z, y),
    symbol="/",
    definition=_divide_ieee_definition,
    total=True,
)
# x**(y - n) * log(x)**k, and its limit at 0. The operands are k, n, x, y; k and n are constants.
POWER_LOG: Operation = define_over_sequence(
    "power_log",
    kernels.power_log,
    _power_log_partials,
    definition=lambda mp, k, n, x, y: x ** (y - n) * mp.log(x) ** k,
)
# x**y / x**n = x**(y - n) by the rules of IEEE 754: the powers in the derivatives of x**y. n is a constant.
POWER_OVER: Operation = define(
    "power_over",
    kernels.power_over,
    _power_by_base,
    lambda z, x, y, n: POWER_LOG(1.0, n, x, y),
    nothing,
    symbol="**",
    definition=lambda mp, x, y, n: mp.inf if x == 0 and y < n else x ** (y - n),
    domain=(NONNEGATIVE, REALS, REALS),
    total=True,
)
# The product of an adjoint and a local derivative: 0 if the adjoint is 0, even if the local derivative is not finite.
CHAIN: Operation = define(
    "chain",
    kernels.multiply_zero_wins,
    lambda z, adjoint, slope: slope,
    lambda z, adjoint, slope: adjoint,
    symbol="*",
    definition=lambda mp, adjoint, slope: adjoint * slope if adjoint != 0 else mp.zero,
    total=True,
)
ADD = define("add", operator.add, _one, _one, symbol="+", generic=True, total=True)
SUBTRACT = define("subtract", operator.sub, _one, lambda z, x, y: -1.0, symbol="-", generic=True, total=True)
MULTIPLY = define("multiply", operator.mul, lambda z, x, y: y, lambda z, x, y: x, symbol="*", generic=True, total=True)
DIVIDE = define("divide", operator.truediv, lambda z, x, y: 1.0 / y, _quotient_by_divisor, symbol="/", generic=True)
POW = define(
    "pow",
    kernels.power,
    _power_by_base,
    lambda z, x, y: POWER_LOG(1.0, 0.0, x, y),
    symbol="**",
    definition=lambda mp, x, y: x**y,
)
FLOOR_DIVIDE: Operation = define(
    "floor_divide", operator.floordiv, nothing, nothing, symbol="//", definition=lambda mp, x, y: mp.floor(x / y)
)
MODULO = define(
    "modulo",
    operator.mod,
    _one,
    lambda z, x, y: -FLOOR_DIVIDE(x, y),
    symbol="%",
    definition=_modulo,
)
NEGATE = define("negate", operator.neg, lambda z, x: -1.0, symbol="-", generic=True, total=True)
IDENTITY = define("identity", operator.pos, _one, symbol="=", definition=lambda mp, x: x, total=True)
SQUARE = define("square", lambda x: x * x, lambda z, x: 2.0 * x, generic=True, total=True)
RECIPROCAL = define("reciprocal", lambda x: 1.0 / x, lambda z, x: -z * z, generic=True)
SQRT: Operation = define(
    "sqrt",
    math.sqrt,
    lambda z, x: DIVIDE_IEEE(0.5, z + 0.0),  # the root of -0.0 is -0.0, but its slope is +inf too
    domain=NONNEGATIVE,
)
CBRT = define(
    "cbrt",
    kernels.cbrt,
    lambda z, x: DIVIDE_IEEE(1.0 / 3.0, z * z),
    definition=lambda mp, x: mp.sign(x) * mp.cbrt(abs(x)),
    total=True,
)


# --- steps and kinks ----------------------------------------------------------------------------------------------


def _sign(x: Number) -> Number:
    return (x > 0.0) - (x < 0.0) if x == x else math.nan


def _least_slope(slope: Number) -> Number:
    """Return the number of least magnitude between `slope` and 1, the subgradient at a kink between these slopes."""
    return choose(slope <= 0.0, 0.0, choose(slope < 1.0, slope, 1.0))


def _slope_at_kink(x: Number, left: Number, slope: Number) -> Number:
    """Return the slope `left` below 0 and 1 above; at 0, where they are `slope` and 1, the subgradient."""
    return choose(x == 0.0, _least_slope(slope), choose(x < 0.0, left, 1.0))


def _elu_slope(z: Number, x: Number, alpha: Number) -> Number:
    below = choose(x < 0.0, x, 0.0)
    root = EXP(0.5 * below)  # where exp(x) is subnormal, two factors of exp(x/2) keep the digits
    return _slope_at_kink(x, choose(below < -700.0, alpha * root * root, alpha * EXP(below)), alpha)


def _has_won(x: Number, z: Number) -> Any:
    """Tell whether an operand equals the extreme z, where NaN equals NaN."""
    if _is_recorded(x, z):
        return SAME(x, z) != 0.0
    return x == z or (x != x and z != z)


def _share(z: Number, x: Number, other: Number) -> Number:
    """Return the share of the adjoint for one of two operands: all or nothing, half on a tie; NaN wins."""
    return given(_has_won(x, z), choose(_has_won(other, z), 0.5, 1.0))


def _clip(x: Number, low: Number, high: Number) -> Number:
    if low > high:
        raise ValueError(f"expected low <= high, got low {low} and high {high}")
    return low if x < low else high if x > high else x


# Comparisons and choices of recorded numbers. A closed GATE is 0, and passes nothing on.
LESS = define("less", lambda x, y: float(x < y), nothing, nothing, symbol="<", generic=True, total=True)
AT_MOST = define("at_most", lambda x, y: float(x <= y), nothing, nothing, symbol="<=", generic=True, total=True)
EQUAL = define("equal", lambda x, y: float(x == y), nothing, nothing, symbol="==", generic=True, total=True)
UNEQUAL = define("unequal", lambda x, y: float(x != y), nothing, nothing, symbol="!=", generic=True, total=True)
SAME = define("same", lambda x, y: float(_has_won(x, y)), nothing, nothing, generic=True, total=True)
GATE: Operation = define(
    "gate",
    lambda condition, x: x if condition else 0.0,
    nothing,
    lambda z, condition, x: given(condition != 0.0, 1.0),
    generic=True,
    total=True,
)
ABS = define("abs", abs, lambda z, x: SIGN(x) if _is_recorded(x) else float(_sign(x)), generic=True, total=True)
SIGN: Operation = define("sign", lambda x: float(_sign(x)), nothing, total=True)
FLOOR = define("floor", lambda x: float(math.floor(x)), nothing)
CEIL = define("ceil", lambda x: float(math.ceil(x)), nothing)
TRUNC = define(
    "trunc",
    lambda x: float(math.trunc(x)),
    nothing,
    definition=lambda mp, x: mp.floor(x) if x >= 0 else mp.ceil(x),
)
ROUND = define("round", lambda x: float(round(x)), nothing, definition=lambda mp, x: mp.nint(x))
ROUND_DIGITS = define(
    "round_digits",
    lambda x, digits: float(round(x, int(digits))),
    nothing,
    nothing,
    symbol="round",
    definition=lambda mp, x, digits: mp.nint(x * mp.mpf(10) ** digits) / mp.mpf(10) ** digits,
)
RELU = define(
    "relu",
    lambda x: 0.0 if x <= 0.0 else x,
    lambda z, x: given(z != 0.0, 1.0),
    symbol="ReLU",
    generic=True,
    total=True,
)
LEAKY_RELU = define(
    "leaky_relu",
    lambda x, slope: slope * x if x < 0.0 else x,
    lambda z, x, slope: _slope_at_kink(x, slope, slope),
    lambda z, x, slope: given(x < 0.0, x),
    generic=True,
    total=True,
)
ELU = define(
    "elu",
    lambda x, alpha: alpha * math.expm1(x) if x < 0.0 else x,
    _elu_slope,
    lambda z, x, alpha: given(x < 0.0, EXPM1(choose(x < 0.0, x, 0.0))),
    definition=lambda mp, x, alpha: alpha * mp.expm1(x) if x < 0 else x,
    total=True,
)
MAXIMUM = define(
    "maximum",
    lambda x, y: x if x >= y or x != x else y,
    lambda z, x, y: _share(z, x, y),
    lambda z, x, y: _share(z, y, x),
    generic=True,
    total=True,
)
MINIMUM = define(
    "minimum",
    lambda x, y: x if x <= y or x != x else y,
    lambda z, x, y: _share(z, x, y),
    lambda z, x, y: _share(z, y, x),
    generic=True,
    total=True,
)
CLIP = define(
    "clip",
    _clip,
    lambda z, x, low, high: given(((x <= low) | (x >= high)) == 0, 1.0),
    lambda z, x, low, high: given(x < low, 1.0),
    lambda z, x, low, high: given(x > high, 1.0),
    generic=True,
)
WHERE: Operation = define(
    "where",
    lambda condition, x, y: x if condition else y,
    nothing,
    lambda z, condition, x, y: given(condition != 0.0, 1.0),
    lambda z, condition, x, y: given(condition == 0.0, 1.0),
    generic=True,
    total=True,
)


# --- exponentials and logarithms ----------------------------------------------------------------------------------

EXP: Operation = define("exp", math.exp, lambda z, x: z)
EXPM1: Operation = define("expm1", math.expm1, lambda z, x: EXP(x))
LOG: Operation = define("log", math.log, lambda z, x: 1.0 / x, domain=POSITIVE)
LOG1P = define("log1p", math.log1p, lambda z, x: 1.0 / (1.0 + x), domain=ABOVE_MINUS_ONE)
LOG2 = define(
    "log2",
    math.log2,
    lambda z, x: 1.4426950408889634 / x,  # 1 / log(2)
    definition=lambda mp, x: mp.log(x) / mp.log(2),
    domain=POSITIVE,
)
LOG10 = define(
    "log10",
    math.log10,
    lambda z, x: 0.4342944819032518 / x,  # 1 / log(10)
    domain=POSITIVE,
)


# --- trigonometry -------------------------------------------------------------------------------------------------


def _one_minus_square(x: Number) -> Number:
    """1 - x**2: in factors near 1, where the difference cancels; expanded near 0, where its derivative would cancel."""
    return choose((x >= -0.5) & (x <= 0.5), lambda: 1.0 - x * x, lambda: (1.0 - x) * (1.0 + x))


SIN: Operation = define("sin", math.sin, lambda z, x: COS(x))
COS: Operation = define("cos", math.cos, lambda z, x: -SIN(x))
TAN = define("tan", math.tan, lambda z, x: 1.0 + z * z)
ASIN = define("asin", math.asin, lambda z, x: DIVIDE_IEEE(1.0, SQRT(_one_minus_square(x))), domain=UNIT)
ACOS = define("acos", math.acos, lambda z, x: DIVIDE_IEEE(-1.0, SQRT(_one_minus_square(x))), domain=UNIT)
ATAN = define("atan", math.atan, lambda z, x: RADIAL(2.0, 0.0, 0.0, 1.0, x), total=True)  # 1 / (1 + x**2)
ATAN2 = define(
    "atan2",
    math.atan2,
    lambda z, y, x: RADIAL(2.0, 0.0, 1.0, y, x),
    lambda z, y, x: -RADIAL(2.0, 1.0, 0.0, y, x),
    total=True,
)
HYPOT: Operation = define(
    "hypot",
    math.hypot,
    lambda z, x, y: choose(z == 0.0, 0.0, lambda: RADIAL(1.0, 1.0, 0.0, x, y)),
    lambda z, x, y: choose(z == 0.0, 0.0, lambda: RADIAL(1.0, 0.0, 1.0, x, y)),
    total=True,
)
SINH: Operation = define("sinh", math.sinh, lambda z, x: COSH(x))
COSH: Operation = define("cosh", math.cosh, lambda z, x: SINH(x))
SECH_SQUARED: Operation = define(
    "sech_squared",
    kernels.sech_squared,
    lambda z, x: -2.0 * z * TANH(x),
    definition=lambda mp, x: mp.sech(x) ** 2,
    total=True,
)
TANH: Operation = define("tanh", math.tanh, lambda z, x: SECH_SQUARED(x), total=True)
ASINH = define("asinh", math.asinh, lambda z, x: RADIAL(1.0, 0.0, 0.0, 1.0, x), total=True)  # 1 / sqrt(1 + x**2)
ACOSH = define(
    "acosh",
    math.acosh,
    lambda z, x: DIVIDE_IEEE(1.0, SQRT(x - 1.0) * SQRT(x + 1.0)),
    domain=AT_LEAST_ONE,
)
ATANH = define("atanh", math.atanh, lambda z, x: 1.0 / _one_minus_square(x), domain=OPEN_UNIT)


# --- error functions and activations ------------------------------------------------------------------------------

_SQRT_TWO = 1.4142135623730951, -9.667293313452913e-17  # as an unevaluated sum
_SILU_ROOT = -1.2784645427610737, -1.0946994183093437e-16  # where silu' is 0, as an unevaluated sum


def _silu_slope(z: Number, x: Number) -> Number:
    """sigmoid(x) * (1 + x * sigmoid(-x)).

    For negative x this is e * (1 + x + e) / (1 + e)**2 with e = exp(x). Its second factor cancels around its root r.
    With d = x - r that factor equals d + exp(r) * expm1(d), two terms of one sign, which keep their digits everywhere.
    """
    if (x > 700.0) | (x < -700.0):
        if (x > 760.0) | (x < -760.0):  # equal to the limits in every digit, also at infinity
            return 1.0 if x > 0.0 else 0.0
        if x > 700.0:  # exp(-x) is subnormal: two factors of exp(-x/2) keep the digits of this rule's own derivative
            return 1.0 + (x - 1.0) * EXP(-0.5 * x) * EXP(-0.5 * x)
        return EXP(0.5 * x) * _silu_factor(x) * EXP(0.5 * x)  # exp(x) is subnormal: likewise

    def of_negative() -> Number:
        below = choose(x >= -0.5, -0.5, x)
        e = EXP(below)
        return e * _silu_factor(below) / ((1.0 + e) * (1.0 + e))

    return choose(x >= -0.5, lambda: SIGMOID(x) * (1.0 + x * SIGMOID(-x)), of_negative)


def _silu_factor(x: Number) -> Number:
    offset = (x - _SILU_ROOT[0]) - _SILU_ROOT[1]
    return offset + 0.2784645427610738 * EXPM1(offset)  # exp(r) = -(1 + r)


def _gelu_curvature(z: Number, x: Number) -> Number:
    """(2 - x**2) times the normal density, with 2 - x**2 in factors that keep their digits around +-sqrt(2).

    Near 0 it is not factored, so that its own derivative keeps its digits.
    """
    left, right = (_SQRT_TWO[0] - x) + _SQRT_TWO[1], (_SQRT_TWO[0] + x) + _SQRT_TWO[1]
    if (x < -37.0) | (x > 37.0):  # the density is subnormal: its square root as two factors keeps the digits
        root = GAUSSIAN(x, 0.25)
        return left * (kernels.ONE_OVER_SQRT_TWO_PI * root) * (right * root)
    factor = choose((x >= -0.5) & (x <= 0.5), lambda: 2.0 - x * x, lambda: left * right)
    return factor * (kernels.ONE_OVER_SQRT_TWO_PI * GAUSSIAN(x, 0.5))


def _gaussian_slope(z: Number, x: Number, scale: Number) -> Number:
    if z < _TINY:
        root = GAUSSIAN(x, 0.5 * scale)
        return (x * root) * (-2.0 * scale * root)
    return -2.0 * scale * x * z


GAUSSIAN: Operation = define(
    "gaussian",
    kernels.gaussian,
    _gaussian_slope,
    lambda z, x, scale: -(x * x * z),
    definition=lambda mp, x, scale: mp.exp(-scale * x * x),
)
GELU_SLOPE: Operation = define(
    "gelu_slope", kernels.gelu_slope, _gelu_curvature, definition=lambda mp, x: mp.ncdf(x) + x * mp.npdf(x), total=True
)
ERF = define("erf", math.erf, lambda z, x: kernels.TWO_OVER_SQRT_PI * GAUSSIAN(x, 1.0), total=True)
ERFC = define("erfc", math.erfc, lambda z, x: -kernels.TWO_OVER_SQRT_PI * GAUSSIAN(x, 1.0), total=True)
SIGMOID: Operation = define(
    "sigmoid",
    kernels.sigmoid,
    lambda z, x: 0.25 * SECH_SQUARED(0.5 * x),
    definition=lambda mp, x: 1 / (1 + mp.exp(-x)),
    total=True,
)
LOGSIGMOID = define(
    "logsigmoid",
    lambda x: -kernels.softplus(-x),
    lambda z, x: SIGMOID(-x),
    definition=lambda mp, x: -mp.log1p(mp.exp(-x)),
    total=True,
)
SOFTPLUS = define(
    "softplus", kernels.softplus, lambda z, x: SIGMOID(x), definition=lambda mp, x: mp.log1p(mp.exp(x)), total=True
)
GELU = define("gelu", kernels.gelu, lambda z, x: GELU_SLOPE(x), definition=lambda mp, x: x * mp.ncdf(x), total=True)
SILU = define("silu", kernels.silu, _silu_slope, definition=lambda mp, x: x / (1 + mp.exp(-x)), total=True)


# --- operations over a sequence -----------------------------------------------------------------------------------


def _shares_of_extreme(z: Number, *xs: Number) -> list[Number]:
    """Return 1/k for each of the k operands that equal the result (or are NaN, if it is), and None for the others."""
    won = [_has_won(x, z) for x in xs]
    share = 1.0 / sum([getattr(own, "condition", own) for own in won])
    return [given(own, share) for own in won]


def _extreme(mp: Number, choose: Callable[[Sequence[Number]], Number], xs: Sequence[Number]) -> Number:
    return mp.nan if any(x != x for x in xs) else choose(xs)


def _products_of_others(z: Number, *xs: Number) -> list[Number]:
    """For each operand the product of all others: those before it times those after it."""
    before: list[Number] = [1.0]
    for x in xs[:-1]:
        before.append(before[-1] * x)
    after: Number = 1.0
    result = []
    for x, product in zip(reversed(xs), reversed(before)):
        result.append(product * after)
        after = x * after
    return result[::-1]


def _with_powers(exponents: Sequence[float], *changes: tuple[int, float]) -> list[float]:
    result = list(exponents)
    for i, change in changes:
        result[i] += change
    return result


def _radial_slope(n: float, exponents: Sequence[float], xs: Sequence[Number], i: int) -> Number:
    """The derivative of x1**e1 * x2**e2 * ... / r**n with respect to xi.

    It is ((ei - n) * xi**2 + ei * (the other squares)) / (xi * r**2) times the function itself: a sum of quotients of
    the same kind. Those with a factor of 0 are left out, so that nothing cancels that does not cancel mathematically.
    """
    e = exponents[i]
    terms: list[Number] = []
    if e != n:
        terms.append((e - n) * RADIAL(n + 2.0, *_with_powers(exponents, (i, 1.0)), *xs))
    if e != 0.0:
        others = (j for j in range(len(xs)) if j != i)
        terms.extend(e * RADIAL(n + 2.0, *_with_powers(exponents, (i, -1.0), (j, 2.0)), *xs) for j in others)
    return functools.reduce(operator.add, terms) if terms else 0.0


def _radial_partials(z: Number, n: float, *operands: Number) -> list[Number]:
    half = len(operands) // 2
    exponents, xs = operands[:half], operands[half:]
    return [None] * (1 + half) + [_radial_slope(n, exponents, xs, i) for i in range(half)]


def _radial_definition(mp: Number, n: Number, *operands: Number) -> Number:
    half = len(operands) // 2
    return mp.fprod(x**e for e, x in zip(operands[:half], operands[half:])) / mp.norm(operands[half:]) ** n


def _norm_partials(z: Number, *xs: Number) -> list[Number]:
    """x / z for each x; 0 at the origin, the subgradient of least norm."""
    at_origin = z == 0.0
    if len(xs) <= _MOST_RADIAL:
        exponents = [[float(i == j) for j in range(len(xs))] for i in range(len(xs))]
        return [choose(at_origin, 0.0, lambda own=own: RADIAL(1.0, *own, *xs)) for own in exponents]
    if ((z < _TINY) & (z != 0.0)) | (z > _HUGE):  # too small for a quotient with all digits, or overflowed
        scale = _SCALE if z < _TINY else 1.0 / _SCALE
        xs = tuple(x * scale for x in xs)
        z = NORM(*xs)
    divisor = choose(at_origin, 1.0, z)
    return [choose(at_origin, 0.0, lambda x=x: x / divisor) for x in xs]


def _dot_partials(z: Number, bias: Number, *operands: Number) -> list[Number]:
    half = len(operands) // 2
    return [1.0, *operands[half:], *operands[:half]]


def _softmax(xs: Sequence[Number]) -> list[Number]:
    """The softmax of all operands; on floats the exponentials are computed only once."""
    if all(type(x) is float for x in xs):
        return list(kernels.softmax(xs))
    return [SOFTMAX(float(i), *xs) for i in range(len(xs))]


def _softmax_partials(z: Number, i: Number, *xs: Number) -> list[Number]:
    """s_i * (1 - s_i) with respect to x_i, and -s_i * s_j with respect to x_j."""
    return [0.0, *(z * slope for slope in _log_softmax_partials(LOG_SOFTMAX(i, *xs), i, *xs)[1:])]


def _log_softmax_partials(z: Number, i: Number, *xs: Number) -> list[Number]:
    """1 - s_i with respect to x_i, and -s_j with respect to x_j.

    The first is computed as -expm1(log(s_i)): 1 - s_i would cancel where s_i is near 1, and so would a sum of the other
    s_j in its own derivatives.
    """
    slopes = [-share for share in _softmax(xs)]
    slopes[int(i)] = -EXPM1(z)
    return [0.0, *slopes]


def _softmax_definition(mp: Number, i: Number, *xs: Number) -> Number:
    return mp.exp(xs[int(i)]) / mp.fsum(mp.exp(x) for x in xs)


SUM: Operation = define_over_sequence(
    "sum",
    lambda *xs: kernels.total(xs),
    lambda z, *xs: [1.0] * len(xs),
    definition=lambda mp, *xs: mp.fsum(xs),
)
MEAN = define_over_sequence(
    "mean",
    lambda *xs: kernels.mean(xs),
    lambda z, *xs: [1.0 / len(xs)] * len(xs),
    definition=lambda mp, *xs: mp.fsum(xs) / len(xs),
)
PROD = define_over_sequence(
    "prod",
    lambda *xs: math.prod(xs, start=1.0),
    _products_of_others,
    definition=lambda mp, *xs: mp.fprod(xs),
)
DOT = define_over_sequence(
    "dot",
    kernels.dot,
    _dot_partials,
    definition=lambda mp, bias, *xs: bias + mp.fdot(xs[: len(xs) // 2], xs[len(xs) // 2 :]),
)
# x1**e1 * x2**e2 * ... / r**n, where r is the norm of all x. The operands are n, then all e, then all x; n and all e
# are constants. The derivatives of lengths and angles are of this kind, and so are their own derivatives.
RADIAL: Operation = define_over_sequence("radial", kernels.radial, _radial_partials, definition=_radial_definition)
NORM: Operation = define_over_sequence("norm", math.hypot, _norm_partials, definition=lambda mp, *xs: mp.norm(xs))
MAX = define_over_sequence(
    "max",
    lambda *xs: kernels.largest(xs),
    _shares_of_extreme,
    definition=lambda mp, *xs: _extreme(mp, max, xs),
)
MIN = define_over_sequence(
    "min",
    lambda *xs: kernels.smallest(xs),
    _shares_of_extreme,
    definition=lambda mp, *xs: _extreme(mp, min, xs),
)
LOGSUMEXP = define_over_sequence(
    "logsumexp",
    lambda *xs: kernels.logsumexp(xs),
    lambda z, *xs: _softmax(xs),
    definition=lambda mp, *xs: mp.log(mp.fsum(mp.exp(x) for x in xs)),
)
SOFTMAX: Operation = define_over_sequence(
    "softmax", lambda i, *xs: kernels.softmax(xs)[int(i)], _softmax_partials, definition=_softmax_definition
)
LOG_SOFTMAX: Operation = define_over_sequence(
    "log_softmax",
    lambda i, *xs: kernels.log_softmax(int(i), xs),
    _log_softmax_partials,
    definition=lambda mp, i, *xs: mp.log(_softmax_definition(mp, i, *xs)),
)
