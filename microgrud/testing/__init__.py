"""Checks of gradients: microgrud's own, hand-written ones, and those of other libraries.

* `check_gradients` checks that a gradient is the derivative of its function at a point.
* `given_gradients` makes a property test of it in one line.
* `reals`, `points`, `values`, `expressions`, `mlps`, `datasets` are strategies for Hypothesis.

Needs Hypothesis and mpmath, which the extra `testing` installs.
"""

from __future__ import annotations

from ..common.missing import absent, what_to_install

if absent("hypothesis", "mpmath"):
    raise ImportError(what_to_install("microgrud.testing needs", "hypothesis", "mpmath"))

from .check import check_gradients
from .expressions import MOVES, Expression, expressions
from .models import Dataset, datasets, mlps
from .numbers import points, reals, values
from .properties import given_gradients
from .report import GradientError, GradientReport

__all__ = [
    "MOVES",
    "Dataset",
    "Expression",
    "GradientError",
    "GradientReport",
    "check_gradients",
    "datasets",
    "expressions",
    "given_gradients",
    "mlps",
    "points",
    "reals",
    "values",
]
