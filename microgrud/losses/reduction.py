"""Reductions: the mean or the sum of the losses of samples and elements, or each of them."""

from __future__ import annotations

from typing import Any, Literal

from .. import functions
from ..common.numbers import Number
from .pairing import arranged

Reduction = Literal["mean", "sum", "none"]


def check_reduction(reduction: str, where: str) -> None:
    """Raise a ValueError for an unknown reduction."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{where}: reduction: expected 'mean', 'sum' or 'none', got {reduction!r}")


def reduced(terms: list[Number], pairs: Any, reduction: str, where: str) -> Any:
    """Return the mean or the sum of some terms, or the terms in the arrangement of `paired`."""
    check_reduction(reduction, where)
    if reduction == "none":
        return arranged(pairs, iter(terms).__next__)
    if len(terms) == 1:
        return terms[0]
    return functions.mean(terms) if reduction == "mean" else functions.sum(terms)


def negated(losses: Any) -> Any:
    """Return the negative of a number, or of each number of a list; unlike -0.0, that of 0.0 is 0.0."""
    return [negated(each) for each in losses] if isinstance(losses, list) else 0.0 - losses
