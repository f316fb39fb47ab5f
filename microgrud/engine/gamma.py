"""Entries of the operation table for the gamma and beta functions and Bessel's I; `ops.py` explains how to read them.

`methods.py` imports this module, so that the table is complete before anything reads it.
"""

from __future__ import annotations

from ..common.numbers import Number
from . import bessel, gamma_kernels as kernels
from .operation import Operation
from .ops import CHAIN, POSITIVE, REALS, define, nothing

_TINY = 2.0**-960  # see ops.py
_SHIFT = 30


def _gamma_slope(z: Number, x: Number) -> Number:
    """gamma(x) * digamma(x), also where gamma(x) has lost digits to underflow, but its slope near a pole has not.

    There x < -160, and gamma(x) = gamma(x + 30) / (x * (x + 1) * ... * (x + 29)).
    """
    if (z < _TINY) & (z > -_TINY):
        slope = DIGAMMA(x) * GAMMA(x + float(_SHIFT))
        for k in range(_SHIFT):
            slope = slope / (x + float(k))
        return slope
    return z * DIGAMMA(x)


def _lgamma(mp: Number, x: Number) -> Number:
    if x <= 0 and mp.isint(x):
        raise ValueError(f"{kernels.POLE}, got {x}")
    return mp.re(mp.loggamma(x))


def _polygamma(mp: Number, n: Number, x: Number) -> Number:
    order = int(n)
    if x > 0 or mp.isinf(x) or mp.isint(x):
        return mp.psi(order, x)
    right = x - mp.floor(x)  # mp.psi adds a term for each pole above x
    return mp.psi(order, right) - (-1) ** order * (mp.psi(order, 1 - right) - mp.psi(order, 1 - x))


def _betaln(mp: Number, x: Number, y: Number) -> Number:
    with mp.extradps(int(abs(mp.mag(x)) + abs(mp.mag(y))) // 3 + 10):  # the difference cancels where sizes differ
        return mp.loggamma(x) + (mp.loggamma(y) - mp.loggamma(x + y))


def _polygamma_difference(mp: Number, n: Number, x: Number, y: Number) -> Number:
    with mp.extradps(int(abs(mp.mag(x)) + abs(mp.mag(y))) // 3 + 10):
        return mp.psi(int(n), x) - mp.psi(int(n), x + y)


# The derivative of order n of digamma; n is a constant from 0 to 170.
POLYGAMMA: Operation = define(
    "polygamma",
    kernels.polygamma,
    nothing,
    lambda z, n, x: POLYGAMMA(n + 1.0, x),
    definition=_polygamma,
)
DIGAMMA: Operation = define("digamma", kernels.digamma, lambda z, x: POLYGAMMA(1.0, x))
LGAMMA = define("lgamma", kernels.lgamma, lambda z, x: DIGAMMA(x), definition=_lgamma)
GAMMA: Operation = define("gamma", kernels.gamma, _gamma_slope)
# polygamma(n, x) - polygamma(n, x + y) without cancellation, for x, y > 0; n is a constant.
POLYGAMMA_DIFFERENCE: Operation = define(
    "polygamma_difference",
    kernels.polygamma_difference,
    nothing,
    lambda z, n, x, y: POLYGAMMA_DIFFERENCE(n + 1.0, x, y),
    lambda z, n, x, y: -POLYGAMMA(n + 1.0, x + y),
    definition=_polygamma_difference,
    domain=(REALS, POSITIVE, POSITIVE),
)
BETALN = define(
    "betaln",
    kernels.betaln,
    lambda z, x, y: POLYGAMMA_DIFFERENCE(0.0, x, y),
    lambda z, x, y: POLYGAMMA_DIFFERENCE(0.0, y, x),
    definition=_betaln,
    domain=POSITIVE,
)
BETA = define(
    "beta",
    kernels.beta,
    lambda z, x, y: CHAIN(z, POLYGAMMA_DIFFERENCE(0.0, x, y)),
    lambda z, x, y: CHAIN(z, POLYGAMMA_DIFFERENCE(0.0, y, x)),
    definition=lambda mp, x, y: mp.exp(_betaln(mp, x, y)),
    domain=POSITIVE,
)
# Bessel's I of order n, which is a constant. I_n' = (I_(n-1) + I_(n+1)) / 2 cancels nowhere, and has no quotient at 0.
BESSEL_I: Operation = define(
    "bessel_i",
    bessel.bessel_i,
    nothing,
    lambda z, n, x: 0.5 * BESSEL_I(n - 1.0, x) + 0.5 * BESSEL_I(n + 1.0, x) if n > 0.0 else BESSEL_I(1.0, x),
    definition=lambda mp, n, x: mp.besseli(int(n), x),
)
I0: Operation = define(
    "i0", lambda x: bessel.bessel_i(0.0, x), lambda z, x: I1(x), definition=lambda mp, x: mp.besseli(0, x)
)
I1: Operation = define(
    "i1",
    lambda x: bessel.bessel_i(1.0, x),
    lambda z, x: 0.5 * I0(x) + 0.5 * BESSEL_I(2.0, x),
    definition=lambda mp, x: mp.besseli(1, x),
)
