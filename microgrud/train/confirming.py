"""The check of a recording against the model itself, for `fit(compile=True)`, where the user vouches for the model."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from ..autodiff.gradients import numbers_of_gradient
from ..autodiff.trees import flatten
from ..engine import Value
from ..functions import mean
from ..tape.recorder import CompileError
from .evaluation import number
from .recorded import Measured, RecordedLoss


def confirm(
    recorded: RecordedLoss, indices: Sequence[int], found: Measured, parameters: Sequence[Value] | None, whole: bool
) -> None:
    """Compare the loss of a batch, and its gradient, with those of the model; raise if they differ.

    Args:
        recorded: the loss that `fit` replays.
        indices: the indices of the samples in the batch.
        found: the replayed loss of the batch.
        parameters: the leaves whose derivatives are compared too; None if there is no gradient.
        whole: whether to evaluate the whole batch with the model; otherwise one sample of it.

    Raises:
        CompileError: if they differ by more than rounding.
    """
    if not whole:
        indices = [random.Random(repr(found.loss)).choice(list(indices))]  # leaves the user's generators alone
        found = recorded(indices, parameters is not None)
    recorded.random.save_and_seed(repr(found.loss))
    results = [recorded.by_model(recorded.samples.rows[i], recorded.samples.targets[i]) for i in indices]
    expected = mean([loss for loss, _ in results])
    _compare("the loss", found.loss, expected.data, 1e-3 * recorded.scale)
    for replayed, (_, prediction) in zip(found.predictions, results):
        answers = _numbers(prediction)
        size = max(map(abs, answers), default=0.0)
        for output, answer in zip(_numbers(replayed), answers):
            _compare("a prediction", output, answer, size)
    if parameters is None:
        return
    slopes: dict[Value, float] = {}
    for leaves, numbers in found.gradient:
        for leaf, slope in zip(leaves, numbers.tolist()):
            slopes[leaf] = slopes.get(leaf, 0.0) + slope
    by_model = numbers_of_gradient(expected, parameters)
    size = max(map(abs, by_model), default=0.0) + 1e-6 * recorded.scale
    for leaf, slope in zip(parameters, by_model):
        _compare(f"the derivative with respect to {leaf.label or leaf!r}", slopes.get(leaf, 0.0), slope, size)


def _numbers(prediction: Any) -> list[float]:
    return list(map(number, flatten(prediction, "prediction")[0]))


def _compare(what: str, replayed: float, expected: float, size: float) -> None:
    """Raise if two numbers differ by more than a millionth of the greater one, or of the size of such numbers."""
    if not math.isclose(replayed, expected, rel_tol=1e-6, abs_tol=1e-6 * size):
        raise CompileError(
            f"{what} is {expected:g} from the model and {replayed:g} from its recording: something that they depend on "
            "has changed, or is drawn at random"
        )
