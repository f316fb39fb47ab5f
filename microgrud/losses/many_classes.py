"""Losses for predictions of one of several classes, and of their probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import functions
from ..common.checks import ANY, real, whole
from ..common.numbers import Interval, as_float, as_sequence, describe_operands
from ..engine import Value, ops, tracing
from ..engine.integers import IntegerArgument, take
from ..typing import Number, loss
from .pairing import as_number, check_lengths, check_probability, is_number
from .reduction import Reduction, check_reduction, negated, reduced

_FOR_TWO_CLASSES = "for two classes and one output, use binary_cross_entropy_with_logits"
# Tolerance for sums of soft targets other than 1 and for log-probabilities above 0: room for single precision.
_TOLERANCE = 1e-6
_share, _finite = real(Interval(0.0, 1.0)), real(ANY)


@loss
def cross_entropy(
    prediction: Any,
    target: Any,
    *,
    weight: Sequence[Number] | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> Any:
    """Compute the cross-entropy of softmax(logits): logsumexp(logits) - logits[target], the mean over samples.

    For soft targets t it is -t . log_softmax(logits). The derivative of a sample's loss with respect to each logit is
    its softmax minus its target. The graph has one node per sample; for soft targets, one for each class with a share
    above 0, and one for the product with t.

    With class weights w, the loss of a sample is w[target] times as large, and the mean is
    sum(w[target] * loss) / sum(w[target]): over one sample, the weight would cancel. For soft targets, each class has
    its weight, -(w t) . log_softmax(logits), and the sample counts as 1 in the mean.

    Args:
        prediction: the logits of one sample, a sequence with one number per class; or a list of such sequences.
        target: the index of the right class, or a sequence with a probability for each class; a list of these for a
            list of samples.
        weight: a weight for each class.
        ignore_index: a target that marks samples to leave out: they have the loss 0 and do not count in the mean.
        label_smoothing: a share e of the target, from 0 to 1, to spread evenly over the n classes:
            t becomes (1 - e)*t + e/n.
        reduction: "mean", "sum", or "none" for a loss for each sample.

    Raises:
        ValueError: for an index out of range, soft targets that are negative or do not sum to 1, or lengths that
            differ; for the mean over one sample with class weights, or over no sample that counts.
        TypeError: for what is not a number.

    >>> cross_entropy([0.0, 0.0], 1)
    0.6931471805599453
    >>> cross_entropy([[1000.0, 0.0], [0.0, 0.0]], [1, [0.5, 0.5]])
    500.34657359027995
    >>> cross_entropy([[0.0, 0.0], [0.0, 0.0]], [0, 1], weight=[3.0, 1.0], reduction="none")
    [2.0794415416798357, 0.6931471805599453]
    """
    where = "cross_entropy"
    smoothing = _share("cross_entropy: label_smoothing", label_smoothing)

    def likelihood(logits: Sequence[Number], target: Any, weights: Sequence[Number] | None) -> Any:
        return _smoothed(logits, target, weights, smoothing, where)

    return _over_samples(prediction, target, likelihood, weight, ignore_index, reduction, where)


def _smoothed(
    logits: Sequence[Number], target: Any, weights: Sequence[Number] | None, smoothing: float, where: str
) -> Any:
    """Return the log-likelihood of a target, with weights for the classes; all its terms have one sign."""
    n = len(logits)
    if not is_number(target):
        return _soft_log_likelihood(logits, target, weights, smoothing, where)
    # One node with all its digits: logsumexp(logits) - logits[target] cancels where the loss is small.
    hard = _at_class(lambda i: ops.LOG_SOFTMAX(float(i), *logits), n, target, where)
    if weights is not None:
        hard = _at_class(weights.__getitem__, n, target, where) * hard
    if smoothing == 0.0:
        return hard
    shares = [smoothing / n * (1.0 if weights is None else weights[i]) for i in range(n)]
    return (1.0 - smoothing) * hard + functions.dot(shares, functions.log_softmax(logits))


def _soft_log_likelihood(
    logits: Sequence[Number], target: Any, weights: Sequence[Number] | None, smoothing: float, where: str
) -> Number:
    soft = _probabilities(target, len(logits), where)
    if smoothing:
        soft = [(1.0 - smoothing) * t + smoothing / len(logits) for t in soft]
    # All terms have one sign, so that nothing cancels. A plain share of 0 needs no node: it has no derivative.
    shares = [(t, i) for i, t in enumerate(soft) if isinstance(t, Value) or t > 0.0]
    factors = [t if weights is None else weights[i] * t for t, i in shares]
    return functions.dot(factors, [ops.LOG_SOFTMAX(float(i), *logits) for _, i in shares])


@loss
def negative_log_likelihood(
    prediction: Any,
    target: Any,
    *,
    weight: Sequence[Number] | None = None,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """Compute the mean of -log_probabilities[target] over samples, for outputs of `log_softmax`.

    With class weights w it is sum(w[target] * loss) / sum(w[target]), as that of `cross_entropy`.

    Args:
        prediction: the log-probabilities of one sample, one per class; or a list of such sequences.
        target: the index of the right class; a list of these for a list of samples.
        weight: a weight for each class.
        ignore_index: a target that marks samples to leave out: they have the loss 0 and do not count in the mean.
        reduction: "mean", "sum", or "none" for a loss for each sample.

    Raises:
        ValueError: for an index out of range, a log-probability above 0, or lengths that differ; for the mean over one
            sample with class weights, or over no sample that counts.
        TypeError: for what is not a number.

    >>> negative_log_likelihood([-0.5, -1.5], 1)
    1.5
    """
    where = "negative_log_likelihood"

    def likelihood(log_probabilities: Sequence[Number], target: Any, weights: Sequence[Number] | None) -> Any:
        _check_log_probabilities(log_probabilities, where)
        n = len(log_probabilities)
        chosen = _at_class(log_probabilities.__getitem__, n, target, where)
        return chosen if weights is None else _at_class(weights.__getitem__, n, target, where) * chosen

    return _over_samples(prediction, target, likelihood, weight, ignore_index, reduction, where)


@loss
def kl_divergence(prediction: Any, target: Any, *, log_target: bool = False, reduction: Reduction = "mean") -> Any:
    """Compute the Kullback-Leibler divergence of log-probabilities from targets: t . (log(t) - prediction).

    It is a sum over the classes and a mean over samples, PyTorch's reduction "batchmean". (Its "mean" also divides by
    the number of classes, which is not the divergence.)

    Source: Kullback and Leibler (1951), On information and sufficiency.

    Args:
        prediction: the log-probabilities of one sample, one per class; or a list of such sequences.
        target: a probability for each class; a list of such sequences for a list of samples.
        log_target: whether targets are logarithms of probabilities.
        reduction: "mean", "sum", or "none" for a divergence for each sample.

    Raises:
        ValueError: for probabilities that are negative or do not sum to 1, a log-probability above 0, or lengths that
            differ.
        TypeError: for what is not a number.

    >>> kl_divergence([-0.6931471805599453, -0.6931471805599453], [1.0, 0.0])
    0.6931471805599453
    """
    where = "kl_divergence"
    terms = []
    samples, pairs = _samples(prediction, target, where)
    for log_probabilities, t in samples:
        _check_log_probabilities(log_probabilities, where)
        if log_target:
            logs = as_sequence(t, f"{where}: target")
            check_lengths(len(log_probabilities), len(logs), where)
            _check_log_probabilities(logs, where)
            terms.append(functions.dot(map(functions.exp, logs), [a - b for a, b in zip(logs, log_probabilities)]))
            continue
        shares = [
            (p, x)
            for p, x in zip(_probabilities(t, len(log_probabilities), where), log_probabilities)
            if isinstance(p, Value) or p > 0.0
        ]
        # This is p*log(p), which has the value 0 and the slope -inf at p = 0.
        terms.append(functions.sum([ops.POWER_LOG(1.0, 0.0, p, 1.0) - p * x for p, x in shares]))
    return reduced(terms, pairs, reduction, where)


@loss
def multi_margin(
    prediction: Any,
    target: Any,
    *,
    p: int = 1,
    margin: float = 1.0,
    weight: Sequence[Number] | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """Compute the multi-class margin loss: the sum over i != target of max(0, margin - x[target] + x[i])**p / n.

    n is the number of classes, x are the scores. The mean is over samples, with class weights w of w[target] * loss; it
    divides by the number of samples.

    Source: Crammer and Singer (2001), On the algorithmic implementation of multiclass kernel-based vector machines.

    Args:
        prediction: the scores of one sample, one per class; or a list of such sequences.
        target: the index of the right class; a list of these for a list of samples.
        p: 1 or 2.
        margin: the difference of scores from which on there is no loss.
        weight: a weight for each class.
        reduction: "mean", "sum", or "none" for a loss for each sample.

    Raises:
        ValueError: for an index out of range, another p, or lengths that differ.
        TypeError: for what is not a number.

    >>> multi_margin([1.0, 2.0, 0.5], 1)
    0.0
    >>> multi_margin([1.0, 2.0, 0.5], 0)
    0.8333333333333334
    """
    where = "multi_margin"
    margin = _finite("multi_margin: margin", margin)
    if p not in (1, 2):
        raise ValueError(f"{where}: p: expected 1 or 2, got {p!r}")
    terms = []
    samples, pairs = _samples(prediction, target, where)
    weights = None if weight is None else _weights(weight, samples, where)
    for scores, t in samples:
        n = len(scores)
        right = _at_class(scores.__getitem__, n, t, where)
        excess = [functions.relu(margin - (right - score)) for score in scores]
        others = _at_class(lambda i: [float(i != j) for j in range(n)], n, t, where)  # noqa: B023 - called here
        loss = functions.dot(others, excess if p == 1 else map(functions.square, excess)) / n
        terms.append(loss if weights is None else _at_class(weights.__getitem__, n, t, where) * loss)
    return reduced(terms, pairs, reduction, where)


# --- samples, their targets and weights ---


def _over_samples(
    prediction: Any,
    target: Any,
    likelihood: Callable[[Sequence[Number], Any, Sequence[Number] | None], Number],
    weight: Sequence[Number] | None,
    ignore_index: int | None,
    reduction: str,
    where: str,
) -> Any:
    """Return the negative log-likelihood of samples: the mean by their weights, the sum, or each of them."""
    check_reduction(reduction, where)
    samples, pairs = _samples(prediction, target, where)
    if weight is None and ignore_index is None:
        return negated(reduced([likelihood(x, t, None) for x, t in samples], pairs, reduction, where))
    weights = None if weight is None else _weights(weight, samples, where)
    terms: list[Number] = []
    counts: list[Number] = []
    for x, t in samples:
        kept = 1.0 if ignore_index is None or not is_number(t) else _kept(t, len(x), ignore_index, where)
        plain = not isinstance(kept, Value)
        if plain and kept == 0.0:
            terms.append(functions.where(False, functions.sum(x), 0.0))  # a Value, but not NaN, if there are Values
            counts.append(0.0)
            continue
        term, count = likelihood(x, t, weights), 1.0
        if weights is not None and is_number(t):
            if reduction == "mean" and type(pairs) is tuple:
                raise ValueError(
                    f"{where}: expected reduction='sum' for one sample with class weights, got 'mean', which divides "
                    "by the weight of the sample: it would cancel"
                )
            count = _at_class(weights.__getitem__, len(x), t, where)
        terms.append(term if plain else kept * term)
        counts.append(count if plain else kept * count)
    if reduction != "mean":
        return negated(reduced(terms, pairs, reduction, where))
    total = functions.sum(counts)
    if total == 0.0:
        raise ValueError(
            f"{where}: expected a sample that counts, got targets that are all ignored or have the weight 0; leave "
            "them out, or write reduction='sum'"
        )
    return negated(functions.sum(terms) / total)


def _kept(target: Any, classes: int, ignore_index: int, where: str) -> Number:
    """Return 0 for a target to ignore, else 1; inside a recording of all classes, it is looked up."""
    ignored = whole(-(2**63))(f"{where}: ignore_index", ignore_index)
    if _is_recorded(target):
        try:
            kept = take([float(i != ignored) for i in range(classes)], target)
            return kept if 0 <= ignored < classes else 1.0
        except IndexError:
            pass  # the recording holds for this index only
    return float(as_float(target, f"{where}: class index") != ignored)


def _weights(weight: Any, samples: list[tuple[tuple[Number, ...], Any]], where: str) -> tuple[Number, ...]:
    if isinstance(weight, Mapping):
        raise TypeError(f"{where}: weight: expected a list with a weight for each class, got a {type(weight).__name__}")
    weights = as_sequence(weight, f"{where}: weight")
    for x, _ in samples:
        if len(weights) != len(x):
            raise ValueError(f"{where}: weight: expected {len(x)} numbers, one per class, got {len(weights)}")
    return tuple(as_number(w, f"{where}: weight") for w in weights)


def _samples(prediction: Any, target: Any, where: str) -> tuple[list[tuple[tuple[Number, ...], Any]], Any]:
    """Pair the numbers predicted for each sample, one per class, with the target of the sample.

    Returns:
        The list of pairs, and the same in the arrangement of the losses: one tuple for one sample.
    """
    if is_number(prediction):
        raise ValueError(f"{where}: expected a number for each class, got one number; {_FOR_TWO_CLASSES}")
    predictions = as_sequence(prediction, f"{where}: prediction")
    if predictions and is_number(predictions[0]):
        if len(predictions) == 1:
            raise ValueError(f"{where}: expected a number for each of at least 2 classes, got one; {_FOR_TWO_CLASSES}")
        return [(predictions, target)], (predictions, target)
    targets = as_sequence(target, f"{where}: target")
    check_lengths(len(predictions), len(targets), where)
    samples = [(as_sequence(p, f"{where}: prediction"), t) for p, t in zip(predictions, targets)]
    for numbers, _ in samples:
        if len(numbers) < 2:
            raise ValueError(
                f"{where}: expected a number for each of at least 2 classes, got {len(numbers)}; {_FOR_TWO_CLASSES}"
            )
    return samples, samples


def _probabilities(target: Any, classes: int, where: str) -> list[Number]:
    """Return the soft targets of a sample, checked."""
    if isinstance(target, str):
        raise TypeError(f"{where}: expected a class index or soft targets, got {target!r}; number the classes from 0")
    soft = as_sequence(target, f"{where}: soft targets")
    weights = [as_number(t, f"{where}: soft target") for t in soft]
    if len(weights) != classes:
        raise ValueError(f"{where}: expected {classes} soft targets, one per logit, got {len(weights)}")
    for t in weights:
        check_probability(t, f"{where}: expected soft targets between 0 and 1")
    total = functions.sum(weights)
    if not -_TOLERANCE <= total - 1.0 <= _TOLERANCE:
        raise ValueError(
            f"{where}: expected soft targets that sum to 1, got a sum of {describe_operands([total])}; a list of "
            "numbers is one sample, with a logit and a target for each class"
        )
    return weights


def _check_log_probabilities(log_probabilities: Sequence[Number], where: str) -> None:
    for x in log_probabilities:
        if x > _TOLERANCE:
            raise ValueError(
                f"{where}: expected log-probabilities, which are at most 0, got {describe_operands([x])}; "
                "give logits to cross_entropy, or take log_softmax of them"
            )


def _is_recorded(target: Any) -> bool:
    return tracing.current() is not None and isinstance(target, IntegerArgument)


def _at_class(item: Callable[[int], Any], classes: int, target: Any, where: str) -> Any:
    """Return the item of a class; one recording serves all classes if the index is an argument of its function."""
    if _is_recorded(target):
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
