"""Checks of gradients: microgrud's own, hand-written ones, and those of other libraries.

* `check_gradients` checks that a gradient is the derivative of its function at a point.
* `given_gradients` makes a property test of it in one line.
* `reals`, `points`, `values`, `expressions`, `mlps`, `datasets` are strategies for Hypothesis.

Needs the extra `testing`: pip install 'microgrud[testing]'
"""

from __future__ import annotations

from importlib.util import find_spec

from ..common import needs_numpy as needs_numpy

_missing = [name for name in ("hypothesis", "mpmath") if find_spec(name) is None]
if _missing:
    raise ImportError(
        f"microgrud.testing needs {' and '.join(_missing)}; install with: pip install 'microgrud[testing]'"
    )

from .check import check_gradients  # noqa: E402
from .expressions import MOVES, Expression, expressions  # noqa: E402
from .models import Dataset, datasets, mlps  # noqa: E402
from .numbers import points, reals, values  # noqa: E402
from .properties import given_gradients  # noqa: E402
from .report import GradientError, GradientReport  # noqa: E402

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
