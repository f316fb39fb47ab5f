"""Special functions, which take what those of `microgrud.functions` take; no names of Python are among them."""

from __future__ import annotations

from .common.arrays import is_array
from .common.checks import whole
from .engine import gamma as gammas, native, ops, special as entries
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


# --- the gamma function and its relatives ---


def gamma(x: Elementwise) -> Elementwise:
    """Compute the gamma function: (n - 1)! at an integer n > 0.

    d gamma(x)/dx = gamma(x) digamma(x).

    Raises:
        ValueError: for x = 0, -1, -2, ..., and minus infinity.
        OverflowError: for x above 171.62, and for x nearer to 0 than 5.56e-309.

    >>> gamma(5.0)
    24.0
    """
    return gammas.GAMMA(x)


def lgamma(x: Elementwise) -> Elementwise:
    """Compute log|gamma(x)|, with all digits around its roots 1 and 2.

    d lgamma(x)/dx = digamma(x).

    Raises:
        ValueError: for x = 0, -1, -2, ...
        OverflowError: for x above 2.556e305.

    >>> lgamma(0.5)
    0.5723649429247001
    """
    return gammas.LGAMMA(x)


def digamma(x: Elementwise) -> Elementwise:
    """Compute the derivative of lgamma, with all digits around its positive root 1.4616.

    d digamma(x)/dx = polygamma(1, x). Like 1/x it is infinite where it overflows; it is NaN at minus infinity.

    Raises:
        ValueError: for x = 0, -1, -2, ...

    >>> digamma(1.0)
    -0.5772156649015329
    """
    return gammas.DIGAMMA(x)


@binary
def beta(x: Number, y: Number) -> Number:
    """Compute gamma(x) gamma(y) / gamma(x + y) for x, y > 0.

    d beta(x, y)/dx = beta(x, y) (digamma(x) - digamma(x + y)), a difference that does not cancel; in y likewise.

    Raises:
        ValueError: for x <= 0 or y <= 0.
        OverflowError: where the result exceeds the range of a float.

    >>> beta(2.0, 3.0)
    0.08333333333333333
    """
    return gammas.BETA(x, y)


@binary
def betaln(x: Number, y: Number) -> Number:
    """Compute log(beta(x, y)) = lgamma(x) + lgamma(y) - lgamma(x + y) for x, y > 0, where large terms do not cancel.

    d betaln(x, y)/dx = digamma(x) - digamma(x + y), a difference that does not cancel; in y likewise.

    Raises:
        ValueError: for x <= 0 or y <= 0.

    >>> betaln(1e10, 0.5)
    -10.940560522033028
    """
    return gammas.BETALN(x, y)


# --- Bessel functions ---


def i0(x: Elementwise) -> Elementwise:
    """Compute the modified Bessel function of the first kind and order 0: the sum of (x/2)**(2k) / k!**2 over k.

    d i0(x)/dx = i1(x).

    Raises:
        OverflowError: for |x| above 713.98.

    >>> i0(1.0)
    1.2660658777520084
    """
    return gammas.I0(x)


def i1(x: Elementwise) -> Elementwise:
    """Compute the modified Bessel function of order 1: the sum of (x/2)**(2k + 1) / (k! (k + 1)!) over k.

    d i1(x)/dx = i0(x) - i1(x)/x, which is 1/2 at 0; computed as (i0(x) + I_2(x))/2, where nothing cancels.

    Raises:
        OverflowError: for |x| above 713.98.

    >>> i1(1.0)
    0.565159103992485
    """
    return gammas.I1(x)


native.accelerate(globals(), ops.TABLE)


def polygamma(n: int, x: Elementwise) -> Elementwise:
    """Compute the derivative of order n of digamma; polygamma(0, x) is digamma(x).

    d polygamma(n, x)/dx = polygamma(n + 1, x). Like 1/x it is infinite where it overflows.

    Args:
        n: the order, from 0 to 170, for which derivatives of up to order 170 - n exist.
        x: the number.

    Raises:
        TypeError: for an n that is not an integer.
        ValueError: for n < 0 or n > 170, and for x = 0, -1, -2, ...

    >>> polygamma(1, 1.0)
    1.6449340668482264
    """
    return gammas.POLYGAMMA(float(_ORDER("polygamma: n", n)), x)


_ORDER = whole(0)
