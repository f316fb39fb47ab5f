"""Penalties on parameters, to add to a loss."""

from __future__ import annotations

from collections.abc import Iterable

from .. import functions
from ..common.checks import NOT_NEGATIVE, real
from ..common.numbers import as_sequence
from ..typing import AnyNumber


def l1_penalty(parameters: Iterable[AnyNumber], strength: float) -> AnyNumber:
    """Compute strength * (|p1| + |p2| + ...), which pulls parameters to exactly 0.

    Source: Tibshirani (1996), Regression shrinkage and selection via the lasso.

    Args:
        parameters: the parameters, e.g. `model.parameters()`.
        strength: at least 0.

    Raises:
        ValueError: for a strength that is negative or not finite.
        TypeError: for what is not a number.

    >>> l1_penalty([1.0, -2.0], 0.5)
    1.5
    """
    strength = real(NOT_NEGATIVE)("l1_penalty: strength", strength)
    penalty: AnyNumber = strength * functions.sum(
        [functions.abs(p) for p in as_sequence(parameters, "l1_penalty: parameters")]
    )
    return penalty


def l2_penalty(parameters: Iterable[AnyNumber], strength: float) -> AnyNumber:
    """Compute strength * (p1**2 + p2**2 + ...), which keeps parameters small; there is no factor 1/2.

    Source: Hoerl and Kennard (1970), Ridge regression.

    Args:
        parameters: the parameters, e.g. `model.parameters()`.
        strength: at least 0.

    Raises:
        ValueError: for a strength that is negative or not finite.
        TypeError: for what is not a number.

    >>> l2_penalty([1.0, -2.0], 0.5)
    2.5
    """
    strength = real(NOT_NEGATIVE)("l2_penalty: strength", strength)
    ps = as_sequence(parameters, "l2_penalty: parameters")
    penalty: AnyNumber = strength * functions.dot(ps, ps)
    return penalty
