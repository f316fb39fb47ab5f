"""Losses: the distance of predictions from their targets, as one number to minimise.

A loss takes the prediction for one sample (a number, or a sequence of numbers) and its target, or a list of predictions
and the list of their targets. It returns the mean over samples and elements. On Values the result is a Value; plain
floats give a float, and mpmath numbers an mpmath number. No formula overflows or loses digits at the extremes: logits
of 1000 are as good as logits of 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from . import functions
from .common.checks import NOT_NEGATIVE, real
from .common.numbers import Number, as_float, as_sequence, describe_operands, is_real_scalar
from .engine import Value, ops, tracing
from .engine.integers import IntegerArgument, take

_FOR_TWO_CLASSES = "for two classes and one output, use binary_cross_entropy_with_logits"
# Tolerance for sums of soft targets other than 1 and for log-probabilities above 0: room for single precision.
_TOLERANCE = 1e-6

# --- regression ---


def squared_error(prediction: Any, target: Any) -> Number:
    """Compute the mean of (prediction - target)**2.

    Args:
        prediction: a number, or a sequence of numbers, nested or not.
        target: numbers in the same arrangement.

    Raises:
        ValueError: if the two differ in length or arrangement, or are empty.
        TypeError: for what is not a number.

    >>> squared_error([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    return _mean([functions.square(p - t) for p, t in _pairs(prediction, target, "squared_error")])


def absolute_error(prediction: Any, target: Any) -> Number:
    """Compute the mean of |prediction - target|; where the two are equal, the derivative is 0.

    Args:
        prediction: a number, or a sequence of numbers, nested or not.
        target: numbers in the same arrangement.

    Raises:
        ValueError: if the two differ in length or arrangement, or are empty.
        TypeError: for what is not a number.

    >>> absolute_error([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    return _mean([functions.abs(p - t) for p, t in _pairs(prediction, target, "absolute_error")])


def huber(prediction: Any, target: Any, delta: float = 1.0) -> Number:
    """Compute the mean Huber loss: r**2/2 for |r| <= delta, and delta*(|r| - delta/2) beyond, r = prediction - target.

    Source: Huber (1964), Robust estimation of a location parameter.

    Args:
        prediction: a number, or a sequence of numbers, nested or not.
        target: numbers in the same arrangement.
        delta: the residual at which the parabola turns into straight lines; above 0.

    Raises:
        ValueError: if the two differ in length or arrangement, or are empty; for delta <= 0.
        TypeError: for what is not a number.

    >>> huber([0.5, 3.0], [0.0, 0.0])
    1.3125
    """
    delta = as_float(delta, "huber: delta")
    if not 0.0 < delta < math.inf:
        raise ValueError(f"huber: expected delta > 0, got {delta}")
    return _mean([_huber(p - t, delta) for p, t in _pairs(prediction, target, "huber")])


def _huber(residual: Number, delta: float) -> Number:
    return ops.choose(
        (residual >= -delta) & (residual <= delta),
        lambda: 0.5 * functions.square(residual),
        lambda: delta * (functions.abs(residual) - 0.5 * delta),
    )


# --- two classes ---


def hinge(prediction: Any, target: Any) -> Number:
    """Compute the mean of max(0, 1 - target*prediction), the max-margin loss; its derivative is 0 at the kink.

    Source: Cortes and Vapnik (1995), Support-vector networks.

    Args:
        prediction: a score, or a sequence of scores, nested or not: positive for one class, negative for the other.
        target: -1 or 1 for each score.

    Raises:
        ValueError: for a target other than -1 and 1; if the two differ in length or arrangement, or are empty.
        TypeError: for what is not a number.

    >>> hinge([0.25, -3.0], [1, -1])
    0.375
    """
    terms = []
    for score, t in _pairs(prediction, target, "hinge"):
        if functions.abs(t) != 1.0:  # the absolute value makes both classes one branch of a recording
            raise ValueError(f"hinge: expected targets -1 or 1, got {describe_operands([t])}")
        terms.append(functions.relu(1.0 - score * t))
    return _mean(terms)


def binary_cross_entropy(prediction: Any, target: Any) -> Number:
    """Compute the mean of -(target*log(p) + (1 - target)*log(1 - p)) over probabilities p.

    Prefer `binary_cross_entropy_with_logits`: for a probability that was rounded to 0 or 1 the loss cannot be computed.

    Args:
        prediction: a probability, or a sequence of probabilities, nested or not.
        target: a number from 0 to 1 for each: how likely the event is, or whether it happened.

    Raises:
        ValueError: for a probability or target outside [0, 1], or a probability of 0 or 1 that the target contradicts
            (the loss is infinite); if the two differ in length or arrangement, or are empty.
        TypeError: for what is not a number.

    >>> binary_cross_entropy([0.5, 1.0], [1, 1])
    0.34657359027997264
    """
    where = "binary_cross_entropy"
    terms = []
    for p, t in _pairs(prediction, target, where):
        _check_probability(p, f"{where}: expected probabilities between 0 and 1")
        _check_probability(t, f"{where}: expected targets between 0 and 1")
        if (t > 0.0 and p <= 0.0) or (t < 1.0 and p >= 1.0):
            raise ValueError(
                f"{where}: the loss is infinite: probability {describe_operands([p])} for the target "
                f"{describe_operands([t])}; give the logits to binary_cross_entropy_with_logits instead"
            )
        if t >= 1.0:
            terms.append(functions.log(p))
        elif t <= 0.0:
            terms.append(functions.log1p(-p))
        else:
            terms.append(functions.dot([t, 1.0 - t], [functions.log(p), functions.log1p(-p)]))
    return 0.0 - _mean(terms)  # -_mean(terms) would show a perfect loss as -0.0


def binary_cross_entropy_with_logits(prediction: Any, target: Any) -> Number:
    """Compute the binary cross-entropy of p = sigmoid(logit) without computing p.

    It is the mean of target*softplus(-logit) + (1 - target)*softplus(logit); the derivative of a term with respect to
    the logit is sigmoid(logit) - target.

    Args:
        prediction: a logit, or a sequence of logits, nested or not.
        target: a number from 0 to 1 for each: how likely the event is, or whether it happened.

    Raises:
        ValueError: for a target outside [0, 1]; if the two differ in length or arrangement, or are empty.
        TypeError: for what is not a number.

    >>> binary_cross_entropy_with_logits([1000.0, -1000.0], [0, 0])
    500.0
    """
    where = "binary_cross_entropy_with_logits"
    terms = []
    for logit, t in _pairs(prediction, target, where):
        _check_probability(t, f"{where}: expected targets between 0 and 1")
        # Add positive terms: softplus(logit) - target*logit would cancel for large logits. One term is enough if the
        # target is 0 or 1, unless it is a Value, which has a derivative and should be one branch of a recording.
        if not isinstance(t, Value) and t >= 1.0:
            terms.append(functions.softplus(-logit))
        elif not isinstance(t, Value) and t <= 0.0:
            terms.append(functions.softplus(logit))
        else:
            terms.append(functions.dot([t, 1.0 - t], [functions.softplus(-logit), functions.softplus(logit)]))
    return _mean(terms)


# --- several classes ---


def cross_entropy(prediction: Any, target: Any) -> Number:
    """Compute the cross-entropy of softmax(logits): logsumexp(logits) - logits[target], the mean over samples.

    For soft targets t it is -t . log_softmax(logits). The derivative of a sample's loss with respect to each logit is
    its softmax minus its target. The graph has one node per sample; for soft targets, one for each class with a share
    above 0, and one for the product with t.

    Args:
        prediction: the logits of one sample, a sequence with one number per class; or a list of such sequences.
        target: the index of the right class, or a sequence with a probability for each class; a list of these for a
            list of samples.

    Raises:
        ValueError: for an index out of range, soft targets that are negative or do not sum to 1, or lengths that
            differ.
        TypeError: for what is not a number.

    >>> cross_entropy([0.0, 0.0], 1)
    0.6931471805599453
    >>> cross_entropy([[1000.0, 0.0], [0.0, 0.0]], [1, [0.5, 0.5]])
    500.34657359027995
    """
    where = "cross_entropy"
    return 0.0 - _mean([_log_likelihood(logits, t, where) for logits, t in _samples(prediction, target, where)])


def _log_likelihood(logits: Sequence[Number], target: Any, where: str) -> Number:
    if _is_number(target):
        # One node with all its digits: logsumexp(logits) - logits[target] cancels where the loss is small.
        return _at_class(lambda i: ops.LOG_SOFTMAX(float(i), *logits), len(logits), target, where)
    if isinstance(target, str):
        raise TypeError(f"{where}: expected a class index or soft targets, got {target!r}; number the classes from 0")
    soft = as_sequence(target, f"{where}: soft targets")
    weights = [t if isinstance(t, Value) else as_float(t, f"{where}: soft target") for t in soft]
    if len(weights) != len(logits):
        raise ValueError(f"{where}: expected {len(logits)} soft targets, one per logit, got {len(weights)}")
    for t in weights:
        _check_probability(t, f"{where}: expected soft targets between 0 and 1")
    total = functions.sum(weights)
    if not -_TOLERANCE <= total - 1.0 <= _TOLERANCE:
        raise ValueError(
            f"{where}: expected soft targets that sum to 1, got a sum of {describe_operands([total])}; a list of "
            "numbers is one sample, with a logit and a target for each class"
        )
    # All terms have one sign, so that nothing cancels. A plain share of 0 needs no node: it has no derivative.
    shares = [(t, i) for i, t in enumerate(weights) if isinstance(t, Value) or t > 0.0]
    return functions.dot([t for t, _ in shares], [ops.LOG_SOFTMAX(float(i), *logits) for _, i in shares])


def negative_log_likelihood(prediction: Any, target: Any) -> Number:
    """Compute the mean of -log_probabilities[target] over samples, for outputs of `log_softmax`.

    Args:
        prediction: the log-probabilities of one sample, one per class; or a list of such sequences.
        target: the index of the right class; a list of these for a list of samples.

    Raises:
        ValueError: for an index out of range, a log-probability above 0, or lengths that differ.
        TypeError: for what is not a number.

    >>> negative_log_likelihood([-0.5, -1.5], 1)
    1.5
    """
    where = "negative_log_likelihood"
    chosen = []
    for log_probabilities, t in _samples(prediction, target, where):
        for x in log_probabilities:
            if x > _TOLERANCE:
                raise ValueError(
                    f"{where}: expected log-probabilities, which are at most 0, got {describe_operands([x])}; "
                    "give logits to cross_entropy, or take log_softmax of them"
                )
        chosen.append(_at_class(log_probabilities.__getitem__, len(log_probabilities), t, where))
    return 0.0 - _mean(chosen)


# --- penalties ---


def l1_penalty(parameters: Iterable[Number], strength: float) -> Number:
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
    return strength * functions.sum([functions.abs(p) for p in as_sequence(parameters, "l1_penalty: parameters")])


def l2_penalty(parameters: Iterable[Number], strength: float) -> Number:
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
    return strength * functions.dot(ps, ps)


# --- checks ---


def _is_number(x: object) -> bool:
    return isinstance(x, Value) or is_real_scalar(x)


def _mean(terms: list[Number]) -> Number:
    return terms[0] if len(terms) == 1 else functions.mean(terms)


def _pairs(prediction: Any, target: Any, where: str) -> list[tuple[Number, Number]]:
    """Pair each predicted number with its target, from numbers or sequences in the same arrangement."""
    if _is_number(prediction) and _is_number(target):
        return [(prediction, target)]
    if _is_number(prediction) or _is_number(target):
        one, other = ("prediction", "target") if _is_number(prediction) else ("target", "prediction")
        many = as_sequence(target if one == "prediction" else prediction, f"{where}: {other}")
        raise ValueError(f"{where}: expected a {other} for each {one}, got one {one} and {len(many)} {other}s")
    predictions, targets = as_sequence(prediction, f"{where}: prediction"), as_sequence(target, f"{where}: target")
    _check_lengths(len(predictions), len(targets), where)
    return [pair for p, t in zip(predictions, targets) for pair in _pairs(p, t, where)]


def _samples(prediction: Any, target: Any, where: str) -> list[tuple[tuple[Number, ...], Any]]:
    """Pair the numbers predicted for each sample, one per class, with the target of the sample."""
    if _is_number(prediction):
        raise ValueError(f"{where}: expected a number for each class, got one number; {_FOR_TWO_CLASSES}")
    predictions = as_sequence(prediction, f"{where}: prediction")
    if predictions and _is_number(predictions[0]):
        if len(predictions) == 1:
            raise ValueError(f"{where}: expected a number for each of at least 2 classes, got one; {_FOR_TWO_CLASSES}")
        return [(predictions, target)]
    targets = as_sequence(target, f"{where}: target")
    _check_lengths(len(predictions), len(targets), where)
    samples = [(as_sequence(p, f"{where}: prediction"), t) for p, t in zip(predictions, targets)]
    for numbers, _ in samples:
        if len(numbers) < 2:
            raise ValueError(
                f"{where}: expected a number for each of at least 2 classes, got {len(numbers)}; {_FOR_TWO_CLASSES}"
            )
    return samples


def _check_lengths(predictions: int, targets: int, where: str) -> None:
    if predictions != targets:
        raise ValueError(f"{where}: expected as many targets as predictions, got {predictions} and {targets}")
    if not predictions:
        raise ValueError(f"{where}: expected at least one prediction, got an empty sequence")


def _check_probability(x: Number, expected: str) -> None:
    if not 0.0 <= x <= 1.0:
        raise ValueError(f"{expected}, got {describe_operands([x])}")


def _at_class(item: Callable[[int], Number], classes: int, target: Any, where: str) -> Number:
    """Return the item of a class; one recording serves all classes if the index is an argument of its function."""
    if tracing.current() is not None and isinstance(target, IntegerArgument):
        try:
            return take([item(i) for i in range(classes)], target)
        except IndexError:
            pass  # reported below
    number = as_float(target, f"{where}: class index")
    if not number.is_integer():
        raise ValueError(f"{where}: expected an integer as class index, got {target}")
    if not 0 <= number < classes:
        raise ValueError(f"{where}: expected a class index from 0 to {classes - 1}, got {target}")
    return item(int(number))
