"""Losses for predictions of one of two classes, and of the order of two things."""

from __future__ import annotations

from typing import Any

from .. import functions
from ..common.checks import ANY, real
from ..common.numbers import describe_operands
from ..engine import Value
from ..typing import Number, loss
from .pairing import check_probability, flat, paired
from .reduction import Reduction, negated, reduced

_finite = real(ANY)


@loss
def hinge(
    prediction: Any, target: Any, *, margin: float = 1.0, squared: bool = False, reduction: Reduction = "mean"
) -> Any:
    """Compute the mean of max(0, margin - target*prediction), the max-margin loss; its derivative is 0 at the kink.

    Source: Cortes and Vapnik (1995), Support-vector networks.

    Args:
        prediction: a score, or a sequence of scores, nested or not: positive for one class, negative for the other.
        target: -1 or 1 for each score.
        margin: the score from which on there is no loss.
        squared: whether to square each term.
        reduction: "mean", "sum", or "none" for a loss for each score.

    Raises:
        ValueError: for a target other than -1 and 1; if the two differ in length or arrangement, or are empty.
        TypeError: for what is not a number.

    >>> hinge([0.25, -3.0], [1, -1])
    0.375
    >>> hinge([0.25, -3.0], [1, -1], margin=2.0, squared=True)
    1.53125
    """
    margin = _finite("hinge: margin", margin)
    terms = []
    pairs = paired("hinge", prediction, target)
    for score, t in flat(pairs):
        _check_sign(t, "hinge")
        term = functions.relu(margin - score * t)
        terms.append(functions.square(term) if squared else term)
    return reduced(terms, pairs, reduction, "hinge")


@loss
def margin_ranking(first: Any, second: Any, target: Any, *, margin: float = 0.0, reduction: Reduction = "mean") -> Any:
    """Compute the mean of max(0, margin - target*(first - second)); its derivative is 0 at the kink.

    Source: Herbrich, Graepel and Obermayer (2000), Large margin rank boundaries for ordinal regression.

    Args:
        first: a score, or a sequence of scores, nested or not.
        second: scores in the same arrangement.
        target: 1 where the first score should be the greater one, -1 where it should be the smaller one.
        margin: the difference of scores from which on there is no loss.
        reduction: "mean", "sum", or "none" for a loss for each pair of scores.

    Raises:
        ValueError: for a target other than -1 and 1; if lengths or arrangements differ, or are empty.
        TypeError: for what is not a number.

    >>> margin_ranking([2.0, 1.0], [1.0, 3.0], [1, 1], margin=0.5)
    1.25
    """
    where = "margin_ranking"
    margin = _finite("margin_ranking: margin", margin)
    terms = []
    pairs = paired(where, first, target, {"second": second})
    for x, t, y in flat(pairs):
        _check_sign(t, where)
        terms.append(functions.relu(margin - t * (x - y)))
    return reduced(terms, pairs, reduction, where)


def _check_sign(target: Number, where: str) -> None:
    if functions.abs(target) != 1.0:  # the absolute value makes both classes one branch of a recording
        raise ValueError(f"{where}: expected targets -1 or 1, got {describe_operands([target])}")


@loss
def binary_cross_entropy(prediction: Any, target: Any, *, weight: Any = None, reduction: Reduction = "mean") -> Any:
    """Compute the mean of -(target*log(p) + (1 - target)*log(1 - p)) over probabilities p.

    Prefer `binary_cross_entropy_with_logits`: for a probability that was rounded to 0 or 1 the loss cannot be computed.

    Args:
        prediction: a probability, or a sequence of probabilities, nested or not.
        target: a number from 0 to 1 for each: how likely the event is, or whether it happened.
        weight: a factor of the losses: one number, or numbers in the arrangement of the predictions, or of the
            innermost sequences (one per output). The mean divides by the number of predictions, not by the weights.
        reduction: "mean", "sum", or "none" for a loss for each prediction.

    Raises:
        ValueError: for a probability or target outside [0, 1], or a probability of 0 or 1 that the target contradicts
            (the loss is infinite); if lengths or arrangements differ, or are empty.
        TypeError: for what is not a number.

    >>> binary_cross_entropy([0.5, 1.0], [1, 1])
    0.34657359027997264
    """
    where = "binary_cross_entropy"
    terms = []
    pairs = paired(where, prediction, target, _given(weight=weight))
    for p, t, *weights in flat(pairs):
        check_probability(p, f"{where}: expected probabilities between 0 and 1")
        check_probability(t, f"{where}: expected targets between 0 and 1")
        if (t > 0.0 and p <= 0.0) or (t < 1.0 and p >= 1.0):
            raise ValueError(
                f"{where}: the loss is infinite: probability {describe_operands([p])} for the target "
                f"{describe_operands([t])}; give the logits to binary_cross_entropy_with_logits instead"
            )
        if t >= 1.0:
            term = functions.log(p)
        elif t <= 0.0:
            term = functions.log1p(-p)
        else:
            term = functions.dot([t, 1.0 - t], [functions.log(p), functions.log1p(-p)])
        terms.append(weights[0] * term if weights else term)
    return negated(reduced(terms, pairs, reduction, where))


@loss
def binary_cross_entropy_with_logits(
    prediction: Any, target: Any, *, weight: Any = None, pos_weight: Any = None, reduction: Reduction = "mean"
) -> Any:
    """Compute the binary cross-entropy of p = sigmoid(logit) without computing p.

    It is the mean of target*softplus(-logit) + (1 - target)*softplus(logit); the derivative of a term with respect to
    the logit is sigmoid(logit) - target. `pos_weight` is a factor of the first term, `weight` of both.

    Args:
        prediction: a logit, or a sequence of logits, nested or not.
        target: a number from 0 to 1 for each: how likely the event is, or whether it happened.
        weight: a factor of the losses: one number, or numbers in the arrangement of the predictions, or of the
            innermost sequences (one per output). The mean divides by the number of predictions, not by the weights.
        pos_weight: a factor of the losses of positive targets, in the same way: above 1 it is for recall, below 1 for
            precision. The ratio of negative to positive samples balances the two classes.
        reduction: "mean", "sum", or "none" for a loss for each logit.

    Raises:
        ValueError: for a target outside [0, 1]; if lengths or arrangements differ, or are empty.
        TypeError: for what is not a number.

    >>> binary_cross_entropy_with_logits([1000.0, -1000.0], [0, 0])
    500.0
    >>> binary_cross_entropy_with_logits([0.0, 0.0], [1, 0], pos_weight=3.0, reduction="none")
    [2.0794415416798357, 0.6931471805599453]
    """
    where = "binary_cross_entropy_with_logits"
    terms = []
    pairs = paired(where, prediction, target, _given(pos_weight=pos_weight, weight=weight))
    for logit, t, *weights in flat(pairs):
        check_probability(t, f"{where}: expected targets between 0 and 1")
        # Add positive terms: softplus(logit) - target*logit would cancel for large logits. One term is enough if the
        # target is 0 or 1, unless it is a Value, which has a derivative and should be one branch of a recording.
        positive = t if pos_weight is None else t * weights[0]
        if not isinstance(t, Value) and t >= 1.0:
            term = functions.softplus(-logit) if pos_weight is None else positive * functions.softplus(-logit)
        elif not isinstance(t, Value) and t <= 0.0:
            term = functions.softplus(logit)
        else:
            term = functions.dot([positive, 1.0 - t], [functions.softplus(-logit), functions.softplus(logit)])
        terms.append(term if weight is None else weights[-1] * term)
    return reduced(terms, pairs, reduction, where)


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that are not None."""
    return {name: option for name, option in options.items() if option is not None}
