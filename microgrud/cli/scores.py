"""Scores as text: their names, their figures with the spread, and comparisons with simpler models."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

#: The printed name of each score, and whether higher is better.
LABELS = {
    "accuracy": ("accuracy", True),
    "macro_f1": ("macro F1", True),
    "log_loss": ("log loss", False),
    "roc_auc": ("ROC AUC", True),
    "pr_auc": ("PR AUC", True),
    "r2": ("R²", True),
    "rmse": ("RMSE", False),
    "mae": ("MAE", False),
}

#: The baselines, by the score in which a useful model must be at least as good.
_BASELINES = {
    "accuracy": "always answering the most frequent class",
    "log_loss": "giving each class its share of the rows as probability",
    "r2": "always answering the mean",
}


def behind_baseline(scores: Mapping[str, Any]) -> str:
    """Name the scores in which a model is worse than the baseline; return an empty text if there are none.

    >>> behind_baseline({"r2": -3.0, "baseline": {"r2": -0.01}})
    'worse than always answering the mean (R² -3.000 against -0.01000)'
    >>> behind_baseline({"accuracy": 0.75, "log_loss": 0.5, "baseline": {"accuracy": 0.75, "log_loss": 0.56}})
    ''
    """
    worse = [
        f"worse than {baseline} {comparison}"
        for key, baseline in _BASELINES.items()
        if key in scores and (comparison := _worse(key, scores[key], scores["baseline"][key]))
    ]
    return ", and ".join(worse)


def behind_linear(scores: Mapping[str, Any]) -> str:
    """Say by how much a network is behind the linear model in the main score; return an empty text if it is not.

    It is behind if the difference is larger than its spread.

    >>> behind_linear({"r2": 0.25, "linear": {"r2": 0.5}})
    'behind a linear model (R² 0.2500 against 0.5000)'
    >>> behind_linear({"r2": 0.25, "linear": {"r2": 0.5, "difference": {"r2": 0.3}}})
    ''
    >>> behind_linear({"accuracy": 0.75, "linear": {"accuracy": 0.75}}), behind_linear({"r2": 0.25})
    ('', '')
    """
    key = "accuracy" if "accuracy" in scores else "r2"
    linear = scores.get("linear", scores)
    if abs(scores[key] - linear[key]) <= linear.get("difference", {}).get(key, 0.0):
        return ""
    comparison = _worse(key, scores[key], linear[key])
    return f"behind a linear model {comparison}" if comparison else ""


def _worse(key: str, score: float, other: float) -> str:
    """Return both scores as text if the first one is worse in the printed digits; otherwise an empty text."""
    label, higher_is_better = LABELS[key]
    is_worse = score < other if higher_is_better else score > other
    if not is_worse or figures(score) == figures(other):
        return ""
    return f"({label} {figures(score)} against {figures(other)})"


def figures(value: str | float | int) -> str:
    """Return a number as text for readers: counts in full, others with four figures.

    >>> figures(12), figures(1.0), figures(0.96666667), figures(12345.678), figures(0.0000123), figures("red")
    ('12', '1.000', '0.9667', '12346', '1.230e-05', 'red')
    """
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if isinstance(value, int) or 1e3 <= abs(value) < 1e12 else f"{value:#.4g}"


def setting(value: str | float | int) -> str:
    """Return a setting as text: like `figures`, but without trailing zeros.

    >>> setting(0.01), setting(0.53571428), setting(60), setting("adamw")
    ('0.01', '0.5357', '60', 'adamw')
    """
    return f"{value:.4g}" if isinstance(value, float) else figures(value)


def with_spread(scores: Mapping[str, Any], key: str) -> str:
    """Return a score with its spread, if that shows in its four figures, in the digits that the spread leaves.

    >>> with_spread({"r2": 0.81234, "spread": {"r2": 0.0312}}, "r2"), with_spread({"r2": 0.81234, "spread": {}}, "r2")
    ('0.812 ± 0.031', '0.8123')
    """
    spread = scores.get("spread", {}).get(key, 0.0)
    decimals = max(0, 1 - math.floor(math.log10(spread))) if spread > 0 else 0
    if spread <= abs(scores[key]) / 1000 or decimals > 12:
        return figures(scores[key])
    return f"{scores[key]:.{decimals}f} ± {spread:.{decimals}f}"


def spread_meaning(method: Mapping[str, Any]) -> str:
    """Return the meaning of the numbers after ±, from the entry `"method"` of the scores.

    >>> spread_meaning({"kind": "held out", "resamples": 300})
    '± is the standard deviation over 300 resamples of the held-out rows'
    >>> spread_meaning({"kind": "folds", "folds": 5, "repeats": 3, "networks": 15})
    '± is the standard deviation over 15 networks (5 folds, 3 times), each scored on rows that it has not seen'
    """
    if method["kind"] == "held out":
        return f"± is the standard deviation over {method['resamples']} resamples of the held-out rows"
    folds, repeats, networks = method["folds"], method["repeats"], method["networks"]
    times = f", {repeats} times" if repeats > 1 else ""
    return (
        f"± is the standard deviation over {networks} networks ({folds} folds{times}), each scored on rows that it has "
        "not seen"
    )
