"""Losses for predictions of numbers, and of the parameters of the distribution of a number."""

from __future__ import annotations

import math
from typing import Any

from .. import functions
from ..common.checks import NOT_NEGATIVE, POSITIVE, real
from ..common.numbers import as_float, describe_operands
from ..engine import ops
from ..typing import Number, loss
from .pairing import flat, paired
from .reduction import Reduction, reduced

_not_negative, _positive = real(NOT_NEGATIVE), real(POSITIVE)


@loss
def squared_error(prediction: Any, target: Any, *, reduction: Reduction = "mean") -> Any:
    """Compute the mean of (prediction - target)**2.

    Args:
        prediction: a number, or a sequence of numbers, nested or not.
        target: numbers in the same arrangement.
        reduction: "mean", "sum", or "none" for a loss for each prediction.

    Raises:
        ValueError: if the two differ in length or arrangement, or are empty.
        TypeError: for what is not a number.

    >>> squared_error([1.0, 2.0], [1.0, 4.0])
    2.0
    >>> squared_error([1.0, 2.0], [1.0, 4.0], reduction="none")
    [0.0, 4.0]
    """
    where = "squared_error"
    pairs = paired(where, prediction, target)
    return reduced([functions.square(p - t) for p, t in flat(pairs)], pairs, reduction, where)


@loss
def absolute_error(prediction: Any, target: Any, *, reduction: Reduction = "mean") -> Any:
    """Compute the mean of |prediction - target|; where the two are equal, the derivative is 0.

    Args:
        prediction: a number, or a sequence of numbers, nested or not.
        target: numbers in the same arrangement.
        reduction: "mean", "sum", or "none" for a loss for each prediction.

    Raises:
        ValueError: if the two differ in length or arrangement, or are empty.
        TypeError: for what is not a number.

    >>> absolute_error([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    where = "absolute_error"
    pairs = paired(where, prediction, target)
    return reduced([functions.abs(p - t) for p, t in flat(pairs)], pairs, reduction, where)


@loss
def huber(prediction: Any, target: Any, delta: float = 1.0, *, reduction: Reduction = "mean") -> Any:
    """Compute the mean Huber loss: r**2/2 for |r| <= delta, and delta*(|r| - delta/2) beyond, r = prediction - target.

    Source: Huber (1964), Robust estimation of a location parameter.

    Args:
        prediction: a number, or a sequence of numbers, nested or not.
        target: numbers in the same arrangement.
        delta: the residual at which the parabola turns into straight lines; above 0.
        reduction: "mean", "sum", or "none" for a loss for each prediction.

    Raises:
        ValueError: if the two differ in length or arrangement, or are empty; for delta <= 0.
        TypeError: for what is not a number.

    >>> huber([0.5, 3.0], [0.0, 0.0])
    1.3125
    """
    where = "huber"
    delta = as_float(delta, "huber: delta")
    if not 0.0 < delta < math.inf:
        raise ValueError(f"huber: expected delta > 0, got {delta}")
    pairs = paired(where, prediction, target)
    return reduced([_huber(p - t, delta) for p, t in flat(pairs)], pairs, reduction, where)


def _huber(residual: Number, delta: float) -> Any:
    return ops.choose(
        (residual >= -delta) & (residual <= delta),
        lambda: 0.5 * functions.square(residual),
        lambda: delta * (functions.abs(residual) - 0.5 * delta),
    )


@loss
def smooth_l1(prediction: Any, target: Any, beta: float = 1.0, *, reduction: Reduction = "mean") -> Any:
    """Compute the mean of r**2/(2*beta) for |r| < beta, and |r| - beta/2 beyond, r = prediction - target.

    It is the Huber loss divided by its delta. For beta = 0 it is the absolute error.

    Source: Girshick (2015), Fast R-CNN, arXiv:1504.08083.

    Args:
        prediction: a number, or a sequence of numbers, nested or not.
        target: numbers in the same arrangement.
        beta: the residual at which the parabola turns into straight lines; at least 0.
        reduction: "mean", "sum", or "none" for a loss for each prediction.

    Raises:
        ValueError: if the two differ in length or arrangement, or are empty; for beta < 0.
        TypeError: for what is not a number.

    >>> smooth_l1([0.5, 3.0], [0.0, 0.0], beta=2.0)
    1.03125
    """
    where = "smooth_l1"
    beta = _not_negative("smooth_l1: beta", beta)
    pairs = paired(where, prediction, target)
    return reduced([_smooth_l1(p - t, beta) for p, t in flat(pairs)], pairs, reduction, where)


def _smooth_l1(residual: Number, beta: float) -> Any:
    if beta == 0.0:
        return functions.abs(residual)
    return ops.choose(
        (residual > -beta) & (residual < beta),
        lambda: 0.5 * residual * (residual / beta),  # the square alone may underflow
        lambda: functions.abs(residual) - 0.5 * beta,
    )


@loss
def gaussian_nll(
    prediction: Any,
    target: Any,
    variance: Any,
    *,
    full: bool = False,
    eps: float = 1e-6,
    reduction: Reduction = "mean",
) -> Any:
    """Compute the mean negative log-likelihood of targets of normal distributions: (log(v) + (p - t)**2/v)/2.

    v is the variance, but at least eps. Where eps replaces it, the loss does not depend on the variance, and its
    derivative is 0. (PyTorch returns the derivative at v = eps there, which is not the slope of its value.)

    Source: Nix and Weigend (1994), Estimating the mean and variance of the target probability distribution.

    Args:
        prediction: the mean of a distribution, or a sequence of means, nested or not.
        target: numbers in the same arrangement.
        variance: one number for all, or numbers in the same arrangement, or in that of the innermost sequences. For a
            network that predicts it, `exp` or `softplus` makes a variance of an output.
        full: whether to add the constant log(2*pi)/2.
        eps: the least variance; above 0.
        reduction: "mean", "sum", or "none" for a loss for each prediction.

    Raises:
        ValueError: for a negative variance; if lengths or arrangements differ, or are empty; for eps <= 0.
        TypeError: for what is not a number.

    >>> gaussian_nll([1.0, 2.0], [1.0, 4.0], [1.0, 4.0])
    0.5965735902799727
    """
    where = "gaussian_nll"
    eps = _positive("gaussian_nll: eps", eps)
    terms = []
    pairs = paired(where, prediction, target, {"variance": variance})
    for p, t, v in flat(pairs):
        if not v >= 0.0:
            raise ValueError(
                f"{where}: expected variances of at least 0, got {describe_operands([v])}; take exp or softplus of it"
            )
        v = ops.choose(v > eps, v, eps)
        terms.append(0.5 * (functions.log(v) + functions.square(p - t) / v) + (_HALF_LOG_2_PI if full else 0.0))
    return reduced(terms, pairs, reduction, where)


@loss
def poisson_nll(
    prediction: Any,
    target: Any,
    *,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: Reduction = "mean",
) -> Any:
    """Compute the mean negative log-likelihood of counts of Poisson distributions: exp(p) - t*p.

    p is the logarithm of the rate. With log_input=False it is the rate, and the loss is p - t*log(p + eps). The term
    log(t!) is left out; full=True adds t*log(t) - t + log(2*pi*t)/2 for t > 1, which approximates it (Stirling).

    Args:
        prediction: the log-rate of a distribution, or a sequence of log-rates, nested or not; rates for
            log_input=False.
        target: counts, at least 0, in the same arrangement.
        log_input: whether predictions are logarithms of rates.
        full: whether to add the approximation of log(t!).
        eps: a number that keeps log(p + eps) finite; above 0.
        reduction: "mean", "sum", or "none" for a loss for each prediction.

    Raises:
        ValueError: for a negative target or rate; if lengths or arrangements differ, or are empty; for eps <= 0.
        OverflowError: for a log-rate above 709.78.
        TypeError: for what is not a number.

    >>> poisson_nll([0.0, 0.0], [2, 3])
    1.0
    """
    where = "poisson_nll"
    eps = _positive("poisson_nll: eps", eps)
    terms = []
    pairs = paired(where, prediction, target)
    for p, t in flat(pairs):
        if not t >= 0.0:
            raise ValueError(f"{where}: expected counts of at least 0 as targets, got {describe_operands([t])}")
        if not (log_input or p >= 0.0):
            raise ValueError(
                f"{where}: expected rates of at least 0, got {describe_operands([p])}; log_input=True takes log-rates"
            )
        loss = functions.exp(p) - t * p if log_input else p - t * functions.log(p + eps)
        terms.append(loss + _log_factorial(t) if full else loss)
    return reduced(terms, pairs, reduction, where)


def _log_factorial(t: Number) -> Any:
    safe = ops.choose(t > 1.0, t, 1.0)  # a recording computes both alternatives
    return ops.choose(t > 1.0, lambda: safe * functions.log(safe) - safe + 0.5 * functions.log(_TWO_PI * safe), 0.0)


_TWO_PI = 2.0 * math.pi
_HALF_LOG_2_PI = 0.5 * math.log(_TWO_PI)
