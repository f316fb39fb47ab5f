"""The operations over sequences: each result is one node with as many parents as there are numbers.

Like all functions of `microgrud.functions`, they take Values, floats and mpmath numbers.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..common.numbers import Number, as_sequence
from ..engine import native, ops


def _at_least_one(xs: Iterable[Number], name: str) -> tuple[Number, ...]:
    """Return the numbers as a tuple; raise if there are none."""
    numbers = as_sequence(xs, name)
    if not numbers:
        raise ValueError(f"{name}: expected at least one number, got an empty sequence")
    return numbers


def sum(xs: Iterable[Number]) -> Number:
    """Compute the sum x1 + x2 + ... as one node, correctly rounded in any order; 0.0 for an empty sequence.

    The derivative with respect to each number is 1.

    Source: Shewchuk (1997), Adaptive precision floating-point arithmetic, through `math.fsum`.

    >>> sum([0.1] * 10)
    1.0
    """
    numbers = as_sequence(xs, "sum")
    return ops.SUM(*numbers) if numbers else 0.0


def mean(xs: Iterable[Number]) -> Number:
    """Compute the mean (x1 + ... + xn)/n as one node.

    The derivative with respect to each number is 1/n.

    Raises:
        ValueError: for an empty sequence.

    >>> mean([1.0, 2.0, 6.0])
    3.0
    """
    return ops.MEAN(*_at_least_one(xs, "mean"))


def prod(xs: Iterable[Number]) -> Number:
    """Compute the product x1 * x2 * ... as one node; 1.0 for an empty sequence.

    The derivative with respect to each number is the product of the others, right even if some are 0.

    >>> prod([2.0, 3.0, 4.0])
    24.0
    """
    numbers = as_sequence(xs, "prod")
    return ops.PROD(*numbers) if numbers else 1.0


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
    return ops.DOT(bias, *xs, *ys)


def norm(xs: Iterable[Number]) -> Number:
    """Compute the Euclidean norm sqrt(x1**2 + x2**2 + ...) as one node, without intermediate overflow.

    The derivative with respect to xi is xi/norm; 0 for a norm of 0 (the subgradient of least norm).

    Raises:
        ValueError: for an empty sequence.

    >>> norm([3.0, 4.0])
    5.0
    """
    return ops.NORM(*_at_least_one(xs, "norm"))


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


def logsumexp(xs: Iterable[Number]) -> Number:
    """Compute log(exp(x1) + exp(x2) + ...) as one node, without overflow.

    The derivatives are softmax(xs).

    Raises:
        ValueError: for an empty sequence.

    >>> logsumexp([1000.0, 1000.0])
    1000.6931471805599
    """
    return ops.LOGSUMEXP(*_at_least_one(xs, "logsumexp"))


def softmax(xs: Iterable[Number]) -> list[Number]:
    """Compute exp(xi)/(exp(x1) + exp(x2) + ...) for each i, without overflow: n nodes with n parents each.

    d si/dxj = si * ((i == j) - sj).

    Raises:
        ValueError: for an empty sequence.

    >>> softmax([1000.0, 1000.0])
    [0.5, 0.5]
    """
    numbers = _at_least_one(xs, "softmax")
    return [ops.SOFTMAX(float(i), *numbers) for i in range(len(numbers))]


def log_softmax(xs: Iterable[Number]) -> list[Number]:
    """Compute xi - logsumexp(xs) for each i, without cancellation: n nodes with n parents each.

    d log(si)/dxj = (i == j) - sj, with s = softmax(xs).

    Raises:
        ValueError: for an empty sequence.

    >>> log_softmax([0.0, 1000.0])
    [-1000.0, 0.0]
    """
    numbers = _at_least_one(xs, "log_softmax")
    return [ops.LOG_SOFTMAX(float(i), *numbers) for i in range(len(numbers))]


native.accelerate(globals(), ops.TABLE)
