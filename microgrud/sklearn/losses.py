"""Losses of one sample with its weight, and the targets that they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import functions, losses
from ..common.numbers import Number
from ..engine.vectors import Vector
from ..nn.module import Module
from ..train.evaluation import Loss


class WeightedCrossEntropy(Module):
    """The cross-entropy for a target that holds, for each class, its share times the weight of the sample.

    It is sum(t) * logsumexp(z) - t . z, whose derivative with respect to the logits is sum(t) * softmax(z) - t. It is a
    Module because `fit` records those of this package, and functions of its lower floors alone.

    >>> WeightedCrossEntropy()([0.0, 0.0], [2.0, 0.0])
    1.3862943611198906
    """

    def __call__(self, logits: Sequence[Number], target: Sequence[float]) -> Number:
        """Compute the loss of one sample."""
        return functions.sum(target) * functions.logsumexp(logits) - functions.dot(target, logits)


class WeightedError(Module):
    """An error of numbers times the weight of the sample, which is the last number of the target.

    >>> WeightedError(losses.squared_error)(1.0, [3.0, 0.5])
    2.0
    """

    def __init__(self, error: Loss) -> None:
        self.error = error

    def __call__(self, prediction: Any, target: Sequence[float]) -> Any:
        """Compute the loss of one sample."""
        return target[-1] * self.error(prediction, target[0] if len(target) == 2 else target[:-1])


#: The losses of a regressor, by name.
REGRESSION_LOSSES: dict[str, Loss] = {
    "squared_error": losses.squared_error,
    "absolute_error": losses.absolute_error,
    "huber": losses.huber,
}

#: The same losses of arrays of absolute errors.
ERRORS: dict[str, Callable[[Vector], Vector]] = {
    "squared_error": np.square,
    "absolute_error": np.abs,
    "huber": lambda errors: np.where(errors <= 1.0, 0.5 * errors**2, errors - 0.5),
}


def loss_of_numbers(name: str, targets: Vector, weights: Vector | None) -> tuple[Loss, list[Any]]:
    """Return a loss of a regressor, and its target for each sample.

    Args:
        name: one of `REGRESSION_LOSSES`.
        targets: one number per sample, or an array with one row per sample.
        weights: one per sample, or None.
    """
    error = REGRESSION_LOSSES[name]
    if weights is None:
        return error, targets.tolist()
    return WeightedError(error), np.column_stack([targets, weights]).tolist()


def loss_of_classes(
    outputs: int, smoothing: float, targets: npt.NDArray[np.intp], weights: Vector | None
) -> tuple[Loss, list[Any]]:
    """Return the cross-entropy, and its target for each sample.

    Args:
        outputs: the number of classes.
        smoothing: the share of each target that is spread over all classes (Szegedy et al., "Rethinking the Inception
            architecture", 2015).
        targets: the index of the class of each sample.
        weights: one per sample, or None.
    """
    if weights is None and not smoothing:
        return losses.cross_entropy, targets.tolist()
    shares = np.eye(outputs)[targets] * (1.0 - smoothing) + smoothing / outputs
    return WeightedCrossEntropy(), (shares if weights is None else shares * weights[:, None]).tolist()
