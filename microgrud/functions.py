"""The operations as functions: they record on Values, compute on floats, and are exact on mpmath numbers.

Every function of one number takes a `Value`, a real number or an mpmath number, and returns a Value, a float or an
mpmath number. Plain numbers next to a Value are constants. Errors are those of Python's `math`, with a message that
names the operation and its operands: ValueError outside the domain, ZeroDivisionError, OverflowError.
`docs/conventions.md` lists the gradients at kinks and singular points.

Functions of one to three numbers also map over NumPy arrays, of floats or of Values, as NumPy's functions do:
`exp(array)`. NumPy's own functions do so on object arrays of Values, except those that it has only for floats: write
`microgrud.logaddexp(x, y)` and `microgrud.copysign(x, y)` in the place of NumPy's, `x != x` for `np.isnan(x)`, and
`abs(x) < math.inf` for `np.isfinite(x)`.

Call `abs`, `max`, `min`, `pow` and `sum` as `microgrud.sum(...)`: imported by name, they would hide Python's. (`from
microgrud import *` leaves them out.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, overload

from .common.numbers import Real, as_sequence
from .engine import Value, native, ops
from .typing import AnyNumber, Elementwise, Number, NumberOrArray, binary, reduction

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    from .typing import Floats

# --- exponentials, logarithms, roots ---


def exp(x: Elementwise) -> Elementwise:
    """Compute the exponential e**x.

    d exp(x)/dx = exp(x).

    Raises:
        OverflowError: for x above 709.78.

    >>> exp(1.0)
    2.718281828459045
    """
    return ops.EXP(x)


def expm1(x: Elementwise) -> Elementwise:
    """Compute e**x - 1 without the loss of digits near 0.

    d expm1(x)/dx = exp(x).

    Raises:
        OverflowError: for x above 709.78.

    >>> expm1(1e-10)
    1.00000000005e-10
    """
    return ops.EXPM1(x)


def log(x: Elementwise) -> Elementwise:
    """Compute the natural logarithm.

    d log(x)/dx = 1/x.

    Raises:
        ValueError: for x <= 0.

    >>> log(10.0)
    2.302585092994046
    """
    return ops.LOG(x)


def log1p(x: Elementwise) -> Elementwise:
    """Compute log(1 + x) without the loss of digits near 0.

    d log1p(x)/dx = 1/(1 + x).

    Raises:
        ValueError: for x <= -1.

    >>> log1p(1e-10)
    9.999999999500001e-11
    """
    return ops.LOG1P(x)


def log2(x: Elementwise) -> Elementwise:
    """Compute the logarithm to base 2.

    d log2(x)/dx = 1/(x log 2).

    Raises:
        ValueError: for x <= 0.

    >>> log2(8.0)
    3.0
    """
    return ops.LOG2(x)


def log10(x: Elementwise) -> Elementwise:
    """Compute the logarithm to base 10.

    d log10(x)/dx = 1/(x log 10).

    Raises:
        ValueError: for x <= 0.

    >>> log10(1000.0)
    3.0
    """
    return ops.LOG10(x)


def sqrt(x: Elementwise) -> Elementwise:
    """Compute the square root.

    d sqrt(x)/dx = 1/(2 sqrt(x)), infinite at 0.

    Raises:
        ValueError: for x < 0.

    >>> sqrt(2.0)
    1.4142135623730951
    """
    return ops.SQRT(x)


def cbrt(x: Elementwise) -> Elementwise:
    """Compute the real cube root, of negative numbers too.

    d cbrt(x)/dx = 1/(3 cbrt(x)**2), infinite at 0.

    >>> cbrt(-27.0)
    -3.0
    """
    return ops.CBRT(x)


def square(x: Elementwise) -> Elementwise:
    """Compute x * x.

    d square(x)/dx = 2x.

    >>> square(3.0)
    9.0
    """
    return ops.SQUARE(x)


def reciprocal(x: Elementwise) -> Elementwise:
    """Compute 1/x.

    d reciprocal(x)/dx = -1/x**2.

    Raises:
        ZeroDivisionError: for x = 0.

    >>> reciprocal(4.0)
    0.25
    """
    return ops.RECIPROCAL(x)


@binary
def pow(x: Number, y: Number) -> Number:
    """Compute x to the power y.

    d pow(x, y)/dx = y x**(y-1), d pow(x, y)/dy = x**y log(x); the second is NaN for x < 0.

    Raises:
        ValueError: for a negative x with a fractional y (the result is never complex).
        ZeroDivisionError: for x = 0 with y < 0.
        OverflowError: where the result exceeds the range of a float.

    >>> pow(2.0, 10.0)
    1024.0
    """
    return ops.POW(x, y)


# --- trigonometric and hyperbolic functions; angles in radians ---


def sin(x: Elementwise) -> Elementwise:
    """Compute the sine.

    d sin(x)/dx = cos(x).

    Raises:
        ValueError: for an infinite x.

    >>> sin(1.0)
    0.8414709848078965
    """
    return ops.SIN(x)


def cos(x: Elementwise) -> Elementwise:
    """Compute the cosine.

    d cos(x)/dx = -sin(x).

    Raises:
        ValueError: for an infinite x.

    >>> cos(1.0)
    0.5403023058681398
    """
    return ops.COS(x)


def tan(x: Elementwise) -> Elementwise:
    """Compute the tangent.

    d tan(x)/dx = 1 + tan(x)**2.

    Raises:
        ValueError: for an infinite x.

    >>> tan(1.0)
    1.5574077246549023
    """
    return ops.TAN(x)


def asin(x: Elementwise) -> Elementwise:
    """Compute the inverse sine, between -pi/2 and pi/2.

    d asin(x)/dx = 1/sqrt((1-x)(1+x)), infinite at -1 and 1.

    Raises:
        ValueError: for x outside [-1, 1].

    >>> asin(1.0)
    1.5707963267948966
    """
    return ops.ASIN(x)


def acos(x: Elementwise) -> Elementwise:
    """Compute the inverse cosine, between 0 and pi.

    d acos(x)/dx = -1/sqrt((1-x)(1+x)), minus infinity at -1 and 1.

    Raises:
        ValueError: for x outside [-1, 1].

    >>> acos(1.0)
    0.0
    """
    return ops.ACOS(x)


def atan(x: Elementwise) -> Elementwise:
    """Compute the inverse tangent, between -pi/2 and pi/2.

    d atan(x)/dx = 1/(1 + x**2).

    >>> atan(1.0)
    0.7853981633974483
    """
    return ops.ATAN(x)


@overload
def atan2(y: npt.NDArray[Any], x: NumberOrArray) -> npt.NDArray[Any]: ...
@overload
def atan2(y: NumberOrArray, x: npt.NDArray[Any]) -> npt.NDArray[Any]: ...
@overload
def atan2(y: Value, x: Number) -> Value: ...
@overload
def atan2(y: float, x: Value) -> Value: ...
@overload
def atan2(y: float, x: float) -> float: ...
def atan2(y: NumberOrArray, x: NumberOrArray) -> NumberOrArray:
    """Compute the angle of the point (x, y), between -pi and pi.

    With r**2 = x**2 + y**2: d atan2/dy = x/r**2, d atan2/dx = -y/r**2; both NaN at the origin.

    >>> atan2(1.0, -1.0)
    2.356194490192345
    """
    return ops.ATAN2(y, x)


@binary
def hypot(x: Number, y: Number) -> Number:
    """Compute sqrt(x**2 + y**2) without intermediate overflow or underflow.

    d hypot/dx = x/hypot, d hypot/dy = y/hypot; 0 at the origin (the subgradient of least norm).

    >>> hypot(3.0, 4.0)
    5.0
    """
    return ops.HYPOT(x, y)


def sinh(x: Elementwise) -> Elementwise:
    """Compute the hyperbolic sine.

    d sinh(x)/dx = cosh(x).

    Raises:
        OverflowError: for |x| above 710.47.

    >>> sinh(1.0)
    1.1752011936438014
    """
    return ops.SINH(x)


def cosh(x: Elementwise) -> Elementwise:
    """Compute the hyperbolic cosine.

    d cosh(x)/dx = sinh(x).

    Raises:
        OverflowError: for |x| above 710.47.

    >>> cosh(1.0)
    1.5430806348152437
    """
    return ops.COSH(x)


def tanh(x: Elementwise) -> Elementwise:
    """Compute the hyperbolic tangent.

    d tanh(x)/dx = 1/cosh(x)**2, accurate in the tails: 1.6993417021166356e-17 at x = 20.

    >>> tanh(0.5)
    0.46211715726000974
    """
    return ops.TANH(x)


def asinh(x: Elementwise) -> Elementwise:
    """Compute the inverse hyperbolic sine.

    d asinh(x)/dx = 1/sqrt(1 + x**2).

    >>> asinh(1.0)
    0.881373587019543
    """
    return ops.ASINH(x)


def acosh(x: Elementwise) -> Elementwise:
    """Compute the inverse hyperbolic cosine.

    d acosh(x)/dx = 1/sqrt((x-1)(x+1)), infinite at 1.

    Raises:
        ValueError: for x < 1.

    >>> acosh(2.0)
    1.3169578969248166
    """
    return ops.ACOSH(x)


def atanh(x: Elementwise) -> Elementwise:
    """Compute the inverse hyperbolic tangent.

    d atanh(x)/dx = 1/((1-x)(1+x)).

    Raises:
        ValueError: for x outside the open interval (-1, 1).

    >>> atanh(0.5)
    0.5493061443340548
    """
    return ops.ATANH(x)


# --- error functions and activations ---


def erf(x: Elementwise) -> Elementwise:
    """Compute the error function, 2/sqrt(pi) times the integral of exp(-t**2) from 0 to x.

    d erf(x)/dx = 2/sqrt(pi) exp(-x**2).

    >>> erf(0.5)
    0.5204998778130465
    """
    return ops.ERF(x)


def erfc(x: Elementwise) -> Elementwise:
    """Compute 1 - erf(x) without the loss of digits for large x.

    d erfc(x)/dx = -2/sqrt(pi) exp(-x**2).

    >>> erfc(5.0)
    1.5374597944280351e-12
    """
    return ops.ERFC(x)


def sigmoid(x: Elementwise) -> Elementwise:
    """Compute the logistic function 1/(1 + exp(-x)).

    d sigmoid(x)/dx = sigmoid(x) sigmoid(-x).

    >>> sigmoid(1.0)
    0.7310585786300049
    """
    return ops.SIGMOID(x)


def logsigmoid(x: Elementwise) -> Elementwise:
    """Compute log(sigmoid(x)) = -log(1 + exp(-x)) without overflow.

    d logsigmoid(x)/dx = sigmoid(-x).

    >>> logsigmoid(-1000.0)
    -1000.0
    """
    return ops.LOGSIGMOID(x)


def softplus(x: Elementwise) -> Elementwise:
    """Compute log(1 + exp(x)) without overflow.

    d softplus(x)/dx = sigmoid(x).

    >>> softplus(1000.0)
    1000.0
    """
    return ops.SOFTPLUS(x)


def relu(x: Elementwise) -> Elementwise:
    """Compute the rectified linear unit max(x, 0).

    The derivative is 1 for x > 0 and 0 for x <= 0.

    Source: Nair and Hinton (2010), Rectified linear units improve restricted Boltzmann machines.

    >>> relu(-2.0)
    0.0
    """
    return ops.RELU(x)


@overload
def leaky_relu(x: npt.NDArray[Any], slope: Number = 0.01) -> npt.NDArray[Any]: ...
@overload
def leaky_relu(x: Value, slope: Number = 0.01) -> Value: ...
@overload
def leaky_relu(x: float, slope: Value) -> Value: ...
@overload
def leaky_relu(x: float, slope: float = 0.01) -> float: ...
def leaky_relu(x: NumberOrArray, slope: NumberOrArray = 0.01) -> NumberOrArray:
    """Compute x for x >= 0, and slope * x below.

    The derivative is 1 for x > 0 and `slope` for x < 0; at 0, the number of least magnitude between the two.

    Source: Maas, Hannun and Ng (2013), Rectifier nonlinearities improve neural network acoustic models.

    >>> leaky_relu(-2.0)
    -0.02
    """
    return ops.LEAKY_RELU(x, slope)


@overload
def elu(x: npt.NDArray[Any], alpha: Number = 1.0) -> npt.NDArray[Any]: ...
@overload
def elu(x: Value, alpha: Number = 1.0) -> Value: ...
@overload
def elu(x: float, alpha: Value) -> Value: ...
@overload
def elu(x: float, alpha: float = 1.0) -> float: ...
def elu(x: NumberOrArray, alpha: NumberOrArray = 1.0) -> NumberOrArray:
    """Compute the exponential linear unit: x for x >= 0, and alpha * (exp(x) - 1) below.

    The derivative is 1 for x > 0 and alpha exp(x) for x < 0; at 0, the number of least magnitude between 1 and alpha.

    Source: Clevert, Unterthiner and Hochreiter (2015), arXiv:1511.07289.

    >>> elu(-1.0)
    -0.6321205588285577
    """
    return ops.ELU(x, alpha)


def gelu(x: Elementwise) -> Elementwise:
    """Compute the Gaussian error linear unit x * Phi(x), exactly and not by the tanh approximation.

    Phi is the standard normal distribution function and phi its density: d gelu(x)/dx = Phi(x) + x phi(x).

    Source: Hendrycks and Gimpel (2016), arXiv:1606.08415.

    >>> gelu(1.0)
    0.841344746068543
    """
    return ops.GELU(x)


def silu(x: Elementwise) -> Elementwise:
    """Compute the sigmoid linear unit (swish) x * sigmoid(x).

    d silu(x)/dx = sigmoid(x) (1 + x sigmoid(-x)).

    Source: Elfwing, Uchibe and Doya (2017), arXiv:1702.03118.

    >>> silu(1.0)
    0.7310585786300049
    """
    return ops.SILU(x)


# --- steps and kinks ---


def sign(x: Elementwise) -> Elementwise:
    """Compute the sign of x: -1, 0 or 1.

    The derivative is 0 everywhere.

    >>> sign(-3.0)
    -1.0
    """
    return ops.SIGN(x)


def floor(x: Elementwise) -> Elementwise:
    """Compute the greatest integer not above x.

    The derivative is 0 everywhere.

    Raises:
        OverflowError, ValueError: for infinity and NaN, as `math.floor`.

    >>> floor(-1.5)
    -2.0
    """
    return ops.FLOOR(x)


def ceil(x: Elementwise) -> Elementwise:
    """Compute the least integer not below x.

    The derivative is 0 everywhere.

    Raises:
        OverflowError, ValueError: for infinity and NaN, as `math.ceil`.

    >>> ceil(1.2)
    2.0
    """
    return ops.CEIL(x)


def trunc(x: Elementwise) -> Elementwise:
    """Compute the integer part of x.

    The derivative is 0 everywhere.

    Raises:
        OverflowError, ValueError: for infinity and NaN, as `math.trunc`.

    >>> trunc(-1.5)
    -1.0
    """
    return ops.TRUNC(x)


def abs(x: Elementwise) -> Elementwise:
    """Compute the absolute value.

    The derivative is the sign of x, and 0 at 0.

    >>> abs(-3.0)
    3.0
    """
    return ops.ABS(x)


@binary
def minimum(x: Number, y: Number) -> Number:
    """Compute the lesser of two numbers.

    The derivative is 1 with respect to the lesser and 0 with respect to the other; on a tie both are 0.5. NaN counts as
    the lesser.

    >>> minimum(1.0, 2.0)
    1.0
    """
    return ops.MINIMUM(x, y)


@binary
def maximum(x: Number, y: Number) -> Number:
    """Compute the greater of two numbers.

    The derivative is 1 with respect to the greater and 0 with respect to the other; on a tie both are 0.5. NaN counts
    as the greater.

    >>> maximum(1.0, 2.0)
    2.0
    """
    return ops.MAXIMUM(x, y)


@overload
def clip(x: npt.NDArray[Any], low: NumberOrArray, high: NumberOrArray) -> npt.NDArray[Any]: ...
@overload
def clip(x: Value, low: Number, high: Number) -> Value: ...
@overload
def clip(x: float, low: float, high: float) -> float: ...
@overload
def clip(x: Number, low: Number, high: Number) -> Number: ...
def clip(x: NumberOrArray, low: NumberOrArray, high: NumberOrArray) -> NumberOrArray:
    """Limit x to the interval from low to high.

    The derivative with respect to x is 1 inside, and 0 outside and at both bounds.

    Raises:
        ValueError: for low > high.

    >>> clip(5.0, -1.0, 1.0)
    1.0
    """
    return ops.CLIP(x, low, high)  # type: ignore[arg-type]


@overload
def where(condition: npt.NDArray[Any], x: NumberOrArray, y: NumberOrArray) -> npt.NDArray[Any]: ...
@overload
def where(condition: Number | Real, x: Value, y: Number) -> Value: ...
@overload
def where(condition: Number | Real, x: float, y: Value) -> Value: ...
@overload
def where(condition: Number | Real, x: float, y: float) -> float: ...
def where(condition: NumberOrArray | Real, x: NumberOrArray, y: NumberOrArray) -> NumberOrArray:
    """Choose x where the condition holds, and y where it does not.

    The derivative is 1 with respect to the chosen operand, and 0 with respect to the other. Both operands are computed
    before the choice, so that an error in either is raised.

    >>> where(2.0 > 1.0, 10.0, 20.0)
    10.0
    """
    return ops.WHERE(condition, x, y)  # type: ignore[arg-type]


# --- over sequences: each result is one node with as many parents as there are numbers ---


def _at_least_one(xs: Iterable[Number], name: str) -> tuple[Number, ...]:
    """Return the numbers as a tuple; raise if there are none."""
    numbers = as_sequence(xs, name)
    if not numbers:
        raise ValueError(f"{name}: expected at least one number, got an empty sequence")
    return numbers


@reduction
def sum(xs: Iterable[Number]) -> Number:
    """Compute the sum x1 + x2 + ... as one node, correctly rounded in any order; 0.0 for an empty sequence.

    The derivative with respect to each number is 1.

    Source: Shewchuk (1997), Adaptive precision floating-point arithmetic, through `math.fsum`.

    >>> sum([0.1] * 10)
    1.0
    """
    numbers = as_sequence(xs, "sum")
    return ops.SUM(*numbers) if numbers else 0.0


@reduction
def mean(xs: Iterable[Number]) -> Number:
    """Compute the mean (x1 + ... + xn)/n as one node.

    The derivative with respect to each number is 1/n.

    Raises:
        ValueError: for an empty sequence.

    >>> mean([1.0, 2.0, 6.0])
    3.0
    """
    return ops.MEAN(*_at_least_one(xs, "mean"))


@reduction
def prod(xs: Iterable[Number]) -> Number:
    """Compute the product x1 * x2 * ... as one node; 1.0 for an empty sequence.

    The derivative with respect to each number is the product of the others, right even if some are 0.

    >>> prod([2.0, 3.0, 4.0])
    24.0
    """
    numbers = as_sequence(xs, "prod")
    return ops.PROD(*numbers) if numbers else 1.0


@overload
def dot(xs: Floats, ys: Floats | Iterable[float], bias: float = 0.0) -> float: ...
@overload
def dot(xs: Iterable[float], ys: Floats, bias: float = 0.0) -> float: ...
@overload
def dot(xs: Iterable[Value], ys: Iterable[Number], bias: Number = 0.0) -> Value: ...
@overload
def dot(xs: Iterable[float], ys: Iterable[Value], bias: Number = 0.0) -> Value: ...
@overload
def dot(xs: Iterable[float], ys: Iterable[float], bias: Value) -> Value: ...
@overload
def dot(xs: Iterable[float], ys: Iterable[float], bias: float = 0.0) -> float: ...
@overload
def dot(xs: Iterable[Number], ys: Iterable[Number], bias: Number = 0.0) -> Number: ...
def dot(xs: Iterable[Number], ys: Iterable[Number], bias: Number = 0.0) -> Number:
    """Compute bias + x1*y1 + x2*y2 + ... as one node, added from left to right.

    The derivative with respect to xi is yi, with respect to yi it is xi, and with respect to the bias it is 1.

    Raises:
        ValueError: if the two sequences differ in length.

    >>> dot([1.0, 2.0], [3.0, 4.0], bias=0.5)
    11.5
    """
    xs, ys = as_sequence(xs, "dot"), as_sequence(ys, "dot")
    if len(xs) != len(ys):
        raise ValueError(f"dot: expected two sequences of one length, got {len(xs)} and {len(ys)} numbers")
    result: Number = ops.DOT(bias, *xs, *ys)
    return result


@reduction
def norm(xs: Iterable[Number]) -> Number:
    """Compute the Euclidean norm sqrt(x1**2 + x2**2 + ...) as one node, without intermediate overflow.

    The derivative with respect to xi is xi/norm; 0 for a norm of 0 (the subgradient of least norm).

    Raises:
        ValueError: for an empty sequence.

    >>> norm([3.0, 4.0])
    5.0
    """
    return ops.NORM(*_at_least_one(xs, "norm"))


@reduction
def max(xs: Iterable[Number]) -> Number:
    """Compute the greatest of the numbers as one node.

    The derivative is 1/k with respect to each of the k numbers that equal it, and 0 for the others. NaN wins over
    numbers.

    Raises:
        ValueError: for an empty sequence.

    >>> max([1.0, 3.0, 2.0])
    3.0
    """
    return ops.MAX(*_at_least_one(xs, "max"))


@reduction
def min(xs: Iterable[Number]) -> Number:
    """Compute the least of the numbers as one node.

    The derivative is 1/k with respect to each of the k numbers that equal it, and 0 for the others. NaN wins over
    numbers.

    Raises:
        ValueError: for an empty sequence.

    >>> min([1.0, 3.0, 2.0])
    1.0
    """
    return ops.MIN(*_at_least_one(xs, "min"))


@reduction
def logsumexp(xs: Iterable[Number]) -> Number:
    """Compute log(exp(x1) + exp(x2) + ...) as one node, without overflow.

    The derivatives are softmax(xs).

    Raises:
        ValueError: for an empty sequence.

    >>> logsumexp([1000.0, 1000.0])
    1000.6931471805599
    """
    return ops.LOGSUMEXP(*_at_least_one(xs, "logsumexp"))


def softmax(xs: Iterable[AnyNumber]) -> list[AnyNumber]:
    """Compute exp(xi)/(exp(x1) + exp(x2) + ...) for each i, without overflow: n nodes with n parents each.

    d si/dxj = si * ((i == j) - sj).

    Raises:
        ValueError: for an empty sequence.

    >>> softmax([1000.0, 1000.0])
    [0.5, 0.5]
    """
    numbers = _at_least_one(xs, "softmax")
    return [ops.SOFTMAX(float(i), *numbers) for i in range(len(numbers))]  # type: ignore[misc, arg-type]


def log_softmax(xs: Iterable[AnyNumber]) -> list[AnyNumber]:
    """Compute xi - logsumexp(xs) for each i, without cancellation: n nodes with n parents each.

    d log(si)/dxj = (i == j) - sj, with s = softmax(xs).

    Raises:
        ValueError: for an empty sequence.

    >>> log_softmax([0.0, 1000.0])
    [-1000.0, 0.0]
    """
    numbers = _at_least_one(xs, "log_softmax")
    return [ops.LOG_SOFTMAX(float(i), *numbers) for i in range(len(numbers))]  # type: ignore[misc, arg-type]


native.accelerate(globals(), ops.TABLE)
