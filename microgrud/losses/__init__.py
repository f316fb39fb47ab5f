"""Losses: the distance of predictions from their targets, as one number to minimise.

A loss takes the prediction for one sample (a number, or a sequence of numbers) and its target, or a list of predictions
and the list of their targets. It returns the mean over samples and elements; `reduction="sum"` returns the sum, and
`reduction="none"` one loss for each element or sample. On Values the result is a Value; plain floats give a float, and
mpmath numbers an mpmath number. No formula overflows or loses digits at the extremes: logits of 1000 are as good as
logits of 1.

`fit` takes a function of one prediction and one target: fix the options of a loss with `functools.partial`. It takes
the mean over the samples itself (see docs/recording.md, "Options of a loss").
"""

from __future__ import annotations

from .many_classes import cross_entropy, kl_divergence, multi_margin, negative_log_likelihood
from .penalties import l1_penalty, l2_penalty
from .regression import absolute_error, gaussian_nll, huber, poisson_nll, smooth_l1, squared_error
from .two_classes import binary_cross_entropy, binary_cross_entropy_with_logits, hinge, margin_ranking

__all__ = [
    "absolute_error",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "gaussian_nll",
    "hinge",
    "huber",
    "kl_divergence",
    "l1_penalty",
    "l2_penalty",
    "margin_ranking",
    "multi_margin",
    "negative_log_likelihood",
    "poisson_nll",
    "smooth_l1",
    "squared_error",
]
