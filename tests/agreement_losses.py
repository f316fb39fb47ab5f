"""Rows of the matrix: losses with their options.

Points are at least 0.05 away from kinks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agreement_truth import Program

from microgrud import log_softmax, losses, sigmoid

_SCORES = (([0.3, -1.2, 2.0],), ([1.1, 0.4, -0.6],), ([-0.2, 1.7, 0.5],))
_PAIRS = (([0.3, -1.2], [0.9, 0.5]), ([1.1, 0.4], [-0.2, 0.6]), ([-0.2, 1.7], [0.4, 1.3]))
_WEIGHTS = [0.5, 2.0, 1.5]


def _row(name: str, f: Callable[..., Any], *points: tuple[Any, ...], **settings: Any) -> Program:
    """Make a row from a function that closes over nothing."""
    return Program(f"loss: {name}", lambda: f, points, **settings)


def _of_classes(name: str, f: Callable[..., Any]) -> Program:
    return _row(name, f, *[(*scores, t) for scores, t in zip(_SCORES, (2, 0, 1))])


LOSSES: list[Program] = [
    _row("sum of squares", lambda p, t: losses.squared_error(p, t, reduction="sum"), *_PAIRS),
    _row("each absolute error", lambda p, t: losses.absolute_error(p, t, reduction="none"), *_PAIRS),
    _row("huber", lambda p, t: losses.huber(p, t, 0.45), *_PAIRS),
    _row("smooth_l1", lambda p, t: losses.smooth_l1(p, t, 0.45), *_PAIRS),
    _row("gaussian_nll", lambda p, t: losses.gaussian_nll(p, t, [sigmoid(x) for x in t], full=True), *_PAIRS),
    _row("poisson_nll", lambda p, t: losses.poisson_nll(p, [x * x * 2.0 for x in t], full=True), *_PAIRS),
    _row("hinge, squared", lambda p: losses.hinge(p, [1, -1, 1], margin=0.9, squared=True), *_SCORES),
    _row("margin_ranking", lambda p, t: losses.margin_ranking(p, t, [1, -1], margin=0.2), *_PAIRS),
    _row(
        "binary_cross_entropy",
        lambda p, t: losses.binary_cross_entropy([sigmoid(x) for x in p], [sigmoid(x) for x in t], weight=[0.5, 2.0]),
        *_PAIRS,
    ),
    _row(
        "binary_cross_entropy_with_logits",
        lambda p, t: losses.binary_cross_entropy_with_logits(
            p, [sigmoid(x) for x in t], weight=[0.5, 2.0], pos_weight=3.0
        ),
        *_PAIRS,
    ),
    _of_classes(
        "cross_entropy of one sample",
        lambda x, t: losses.cross_entropy(x, t, weight=_WEIGHTS, label_smoothing=0.2, ignore_index=0, reduction="sum"),
    ),
    _of_classes("cross_entropy of two", lambda x, t: losses.cross_entropy([x, x[::-1]], [t, 1], weight=_WEIGHTS)),
    _of_classes("cross_entropy, ignored", lambda x, t: losses.cross_entropy([x, x[::-1]], [t, 1], ignore_index=2)),
    _of_classes(
        "negative_log_likelihood",
        lambda x, t: losses.negative_log_likelihood(
            log_softmax(x), t, weight=_WEIGHTS, ignore_index=-100, reduction="sum"
        ),
    ),
    _of_classes("multi_margin", lambda x, t: losses.multi_margin(x, t, p=2, margin=0.7, weight=_WEIGHTS)),
    _row(
        "kl_divergence",
        lambda p, t: losses.kl_divergence(
            [-sigmoid(x) for x in p], [sigmoid(t[0]) * 0.5, 1.0 - sigmoid(t[0]) * 0.5], reduction="none"
        ),
        *_PAIRS,
    ),
]
