"""The evaluation of a model on data, without training it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from ..common.numbers import as_float
from ..engine import Value
from ..engine.grad_mode import without_graph
from ..nn.mode import mode
from ..nn.module import Module
from .batches import Samples, check_samples

#: `loss(prediction, target)` gives the loss of one sample.
Loss: TypeAlias = Callable[[Any, Any], Any]
#: `metric(predictions, targets)` gives a figure for several samples; predictions are numbers, or lists of them.
Metric: TypeAlias = Callable[[list[Any], list[Any]], float]


def evaluate(model: Any, X: Any, y: Any, *, loss: Loss, metric: Metric | None = None) -> tuple[float, float | None]:
    """Measure a model on data, without training it.

    Args:
        model: `model(row)` gives the prediction: a number, or a sequence of numbers. A `Module` is set to
            evaluation mode during the call.
        X: n rows of d numbers each: lists, a NumPy array or a pandas table.
        y: n targets: numbers, class indices, or sequences of numbers.
        loss: `loss(prediction, target)` gives the loss of one sample.
        metric: `metric(predictions, targets)` gives another figure, for all samples; predictions are numbers, or
            lists of them.

    Returns:
        The mean loss, and the metric (None without one, and where it is not a finite number).

    Raises:
        TypeError, ValueError: for invalid data.

    >>> from microgrud.losses import squared_error
    >>> evaluate(lambda row: 2 * row[0], [[1.0], [2.0]], [2.0, 5.0], loss=squared_error)
    (0.5, None)
    """
    samples = check_samples("evaluate", X, y)
    mean_loss, predictions = predict(model, samples, loss)
    return mean_loss, score(metric, predictions, samples.targets)


def predict(model: Any, samples: Samples, loss: Loss) -> tuple[float, list[Any]]:
    """Return the mean loss, and the predictions as plain numbers, in evaluation mode and without recording a graph."""

    def evaluated() -> tuple[list[Any], list[float]]:
        predictions, losses = [], []
        for row, target in zip(samples.rows, samples.targets):
            prediction = model(row)
            losses.append(number(loss(prediction, target)))
            predictions.append(_detached(prediction))
        return predictions, losses

    with mode(model, training=False):
        predictions, losses = without_graph(evaluated)
    shares = samples.shares(range(len(samples)))
    if shares is not None:
        return math.fsum(w * x for w, x in zip(shares.tolist(), losses)), predictions
    return math.fsum(losses) / len(losses), predictions


def score(metric: Metric | None, predictions: list[Any], targets: Sequence[Any]) -> float | None:
    """Return the metric over predictions that may be Values, or sequences of Values."""
    if metric is None:
        return None
    given = [copy.deepcopy(t) if isinstance(t, list) else t for t in targets]  # the metric may change them
    figure = as_float(number(metric([_detached(p) for p in predictions], given)), "metric: its result")
    return figure if math.isfinite(figure) else None


def has_plain_mode(model: Any, parts: Iterable[Any]) -> bool:
    """Return whether `mode` sets nothing but an attribute of a model and its parts, without any code of the user."""
    return getattr(getattr(model, "train", None), "__func__", None) is Module.train and all(
        type(getattr(kind, "training", True)) is bool and kind.__setattr__ is object.__setattr__
        for kind in set(map(type, parts))
        if issubclass(kind, Module)
    )


def number(x: Any) -> Any:
    """Return the number of a Value, and anything else unchanged."""
    return x.data if isinstance(x, Value) else x


def _detached(prediction: Any) -> Any:
    if type(prediction) is float:  # the most frequent case; the code below takes ten times as long
        return prediction
    if hasattr(prediction, "tolist"):
        prediction = prediction.tolist()
    if isinstance(prediction, Sequence) and not isinstance(prediction, str):  # whose items are texts again, without end
        return [_detached(x) for x in prediction]
    return number(prediction)
