"""Gradient clipping: keep one steep place on the loss surface from throwing the parameters far away."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ..common.checks import NOT_NEGATIVE, real
from ..common.numbers import Interval, as_float
from ..engine import Value
from ..engine.vectors import check_parameters, clipped, euclidean_norm, read_gradients, write_gradients


def gradient_norm(parameters: Sequence[Value]) -> float:
    """Compute the Euclidean norm of the parameters' gradients, taken together as one vector.

    No square overflows or underflows on the way.

    >>> x, y = Value(0.0), Value(0.0)
    >>> x.grad, y.grad = 3.0, -4.0
    >>> gradient_norm([x, y])
    5.0
    """
    return euclidean_norm(read_gradients(parameters))


def clip_grad_norm(parameters: Iterable[Value], max_norm: float) -> float:
    """Scale the gradients down to a norm of at most `max_norm`: `g <- g * max_norm / ||g||` where `||g|| > max_norm`.

    All gradients together are one vector, whose direction is kept. Pascanu, Mikolov & Bengio, "On the difficulty of
    training recurrent neural networks", ICML 2013, algorithm 1.

    Args:
        parameters: distinct leaves whose `grad` to scale.
        max_norm: the largest norm to allow; with `math.inf` the norm is only measured.

    Returns:
        The norm before clipping.

    Raises:
        ArithmeticError: if the norm is not finite, which no scaling can repair; the gradients are left as they are.
        ValueError: for a negative or NaN `max_norm`, or an invalid list of parameters.

    >>> x, y = Value(1.0), Value(2.0)
    >>> (3 * x + 4 * y).backward()
    >>> clip_grad_norm([x, y], max_norm=1.0)
    5.0
    >>> x.grad, y.grad
    (0.6000000000000001, 0.8)
    """
    found = check_parameters("clip_grad_norm", parameters)
    limit = as_float(max_norm, "clip_grad_norm: max_norm")
    if limit not in Interval(0.0, math.inf):
        raise ValueError(f"clip_grad_norm: max_norm: expected a number x >= 0, got {limit}")
    gradients = read_gradients(found)
    norm = euclidean_norm(gradients)
    if not math.isfinite(norm):
        i = next((i for i, gradient in enumerate(gradients) if not math.isfinite(gradient)), 0)
        raise ArithmeticError(
            f"clip_grad_norm: expected a finite gradient norm, got {norm}: the gradient of parameter {i}"
            f"{f' ({found[i].label})' if found[i].label else ''} is {found[i].grad}; the gradients are left as they are"
        )
    if norm > limit:
        write_gradients(found, gradients * (limit / norm))
    return norm


def scale_gradients(parameters: Sequence[Value], factor: float) -> None:
    """Multiply the parameters' gradients by a factor."""
    write_gradients(parameters, read_gradients(parameters) * factor)


def clip_grad_value(parameters: Iterable[Value], max_value: float) -> None:
    """Clip each gradient to the interval from `-max_value` to `max_value`; a NaN stays NaN.

    Args:
        parameters: distinct leaves whose `grad` to clip.
        max_value: the largest absolute value to allow.

    Raises:
        ValueError: for a negative or non-finite `max_value`, or an invalid list of parameters.

    >>> x, y = Value(1.0), Value(2.0)
    >>> (0.3 * x - 4 * y).backward()
    >>> clip_grad_value([x, y], max_value=1.0)
    >>> x.grad, y.grad
    (0.3, -1.0)
    """
    found = check_parameters("clip_grad_value", parameters)
    limit = real(NOT_NEGATIVE)("clip_grad_value: max_value", max_value)
    write_gradients(found, clipped(read_gradients(found), limit))
