"""Special functions, which take what those of `microgrud.functions` take; no names of Python are among them."""

from __future__ import annotations

from .common.arrays import is_array
from .engine import native, ops, special as entries
from .engine.operation import over_arrays
from .typing import Elementwise, Number, NumberOrArray, binary

# --- angles ---


def degrees(x: Elementwise) -> Elementwise:
    """Convert an angle from radians to degrees: x 180/pi.

    d degrees(x)/dx = 180/pi.

    >>> degrees(1.0)
    57.29577951308232
    """
    return entries.DEGREES(x)


def radians(x: Elementwise) -> Elementwise:
    """Convert an angle from degrees to radians: x pi/180.

    d radians(x)/dx = pi/180.

    >>> radians(180.0)
    3.141592653589793
    """
    return entries.RADIANS(x)


# --- signs and remainders ---


@binary
def copysign(x: Number, y: Number) -> Number:
    """Compute |x| with the sign of y, which -0.0 has too.

    d copysign(x, y)/dx = sign(x) copysign(1, y), 0 at x = 0 (the subgradient of least norm); d copysign(x, y)/dy = 0.

    >>> copysign(3.0, -0.0)
    -3.0
    """
    return entries.COPYSIGN(x, y)


@binary
def fmod(x: Number, y: Number) -> Number:
    """Compute x - y trunc(x/y), the remainder with the sign of x, as `math.fmod` and C do.

    d fmod(x, y)/dx = 1, d fmod(x, y)/dy = -trunc(x/y).

    Raises:
        ValueError: for y = 0 and for an infinite x.

    >>> fmod(-7.0, 3.0)
    -1.0
    """
    return entries.FMOD(x, y)


@binary
def remainder(x: Number, y: Number) -> Number:
    """Compute x - y floor(x/y), the remainder with the sign of y, as `x % y` and NumPy, PyTorch and JAX do.

    Python's `math.remainder` is another function: it subtracts the nearest multiple of y.

    d remainder(x, y)/dx = 1, d remainder(x, y)/dy = -floor(x/y).

    Raises:
        ZeroDivisionError: for y = 0.

    >>> remainder(-7.0, 3.0)
    2.0
    """
    return ops.MODULO(x, y)


# --- exponentials and logarithms ---


def exp2(x: Elementwise) -> Elementwise:
    """Compute 2**x.

    d exp2(x)/dx = 2**x log 2.

    Raises:
        OverflowError: for x >= 1024.

    >>> exp2(0.5)
    1.4142135623730951
    """
    return ops.POW(2.0, x)


@binary
def logaddexp(x: NumberOrArray, y: NumberOrArray) -> NumberOrArray:
    """Compute log(exp(x) + exp(y)) without overflow, as `logsumexp([x, y])` does.

    d logaddexp(x, y)/dx = sigmoid(x - y), d logaddexp(x, y)/dy = sigmoid(y - x).

    >>> logaddexp(1000.0, 1000.0)
    1000.6931471805599
    """
    if is_array(x) or is_array(y):
        return over_arrays(ops.LOGSUMEXP, (x, y))  # type: ignore[no-any-return]
    return ops.LOGSUMEXP(x, y)


def logit(x: Elementwise) -> Elementwise:
    """Compute log(x/(1 - x)), the inverse of `sigmoid`.

    d logit(x)/dx = 1/(x (1 - x)).

    Raises:
        ValueError: for x outside the open interval (0, 1).

    >>> logit(0.75)
    1.0986122886681098
    """
    return entries.LOGIT(x)


@binary
def xlogy(x: Number, y: Number) -> Number:
    """Compute x log(y), which is 0 for x = 0 and any number y.

    d xlogy(x, y)/dx = log(y), d xlogy(x, y)/dy = x/y. At x = y = 0, the first is minus infinity, the second 0.

    Raises:
        ValueError: for y <= 0 where x is not 0.

    >>> xlogy(0.0, 0.0)
    0.0
    """
    return entries.XLOGY(x, y)


@binary
def xlog1py(x: Number, y: Number) -> Number:
    """Compute x log(1 + y) without the loss of digits near y = 0; 0 for x = 0 and any number y.

    d xlog1py(x, y)/dx = log(1 + y), d xlog1py(x, y)/dy = x/(1 + y). At x = 0, y = -1, the first is minus infinity, the
    second 0.

    Raises:
        ValueError: for y <= -1 where x is not 0.

    >>> xlog1py(2.0, 1e-20)
    2e-20
    """
    return entries.XLOG1PY(x, y)


def entr(x: Elementwise) -> Elementwise:
    """Compute -x log(x), a term of an entropy; 0 at 0.

    d entr(x)/dx = -1 - log(x), infinite at 0.

    Raises:
        ValueError: for x < 0, where SciPy and PyTorch return minus infinity.

    >>> entr(0.5)
    0.34657359027997264
    """
    return entries.ENTR(x)


# --- normal distribution ---


def ndtr(x: Elementwise) -> Elementwise:
    """Compute Phi(x), the probability that a standard normal variable is less than x; accurate in the lower tail.

    d ndtr(x)/dx = exp(-x**2/2)/sqrt(2 pi).

    >>> ndtr(-10.0)
    7.619853024160525e-24
    """
    return entries.NDTR(x)


def log_ndtr(x: Elementwise) -> Elementwise:
    """Compute log(ndtr(x)), without underflow, and accurate where ndtr(x) is nearly 1.

    d log_ndtr(x)/dx = exp(-x**2/2)/sqrt(2 pi)/ndtr(x), which approaches -x in the lower tail.

    >>> log_ndtr(-100.0)
    -5005.524208694205
    """
    return entries.LOG_NDTR(x)


def ndtri(p: Elementwise) -> Elementwise:
    """Compute the standard normal quantile, the x with ndtr(x) = p.

    d ndtri(p)/dp = sqrt(2 pi) exp(x**2/2).

    Raises:
        ValueError: for p outside the open interval (0, 1).

    >>> ndtri(0.75)
    0.6744897501960818
    """
    return entries.NDTRI(p)


def erfinv(y: Elementwise) -> Elementwise:
    """Compute the inverse error function, the x with erf(x) = y.

    d erfinv(y)/dy = sqrt(pi)/2 exp(x**2).

    Raises:
        ValueError: for y outside the open interval (-1, 1).

    >>> erfinv(0.5)
    0.4769362762044699
    """
    return entries.ERFINV(y)


# --- sinc ---


def sinc(x: Elementwise) -> Elementwise:
    """Compute sin(pi x)/(pi x), the normalized sinc of NumPy, PyTorch and JAX; 1 at 0 and 0 at all other integers.

    d sinc(x)/dx = (cos(pi x) - sinc(x))/x, 0 at 0.

    >>> sinc(0.5)
    0.6366197723675814
    """
    return entries.SINC(x)


native.accelerate(globals(), ops.TABLE)
