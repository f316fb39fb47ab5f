"""Possible leaks: columns that alone tell the target, such as one that was derived from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

#: A leak leaves at most this share of the errors of a constant prediction, or of the variance of the ranks.
_LEFT = 0.01
#: A category in fewer rows on average may tell the target by chance.
_GROUP = 5
_FEWEST_ROWS = 30
_MOST_CLASSES = 50
#: More different whole numbers than this are a quantity.
_MAX_INTEGER_CLASSES = 10


def tells_target(cells: np.ndarray[Any, Any], target: np.ndarray[Any, Any], is_number: bool) -> bool:
    """Return whether a column alone tells the target in nearly all rows.

    A number tells numbers by ranks (|Spearman's correlation| >= 0.995), and classes by one threshold for each change of
    class; a category by the usual target of its rows.

    Args:
        cells: the numbers or names of the column; NaN or None where missing.
        target: classes, or numbers.
        is_number: whether `cells` are numbers.

    >>> target = np.array(["a", "b"] * 50)
    >>> tells_target(np.where(target == "a", 0.0, 1e99), target, True)
    True
    >>> tells_target(np.arange(100.0), target, True), tells_target(np.array(["u", "v"] * 50), target, False)
    (False, True)
    """
    quantity = target.dtype.kind == "f" or (target.dtype.kind in "iu" and len(np.unique(target)) > _MAX_INTEGER_CLASSES)
    known = ~pd.isna(target)
    cells, target = cells[known], target[known] if quantity else target[known].astype(str)
    if len(target) < _FEWEST_ROWS:
        return False
    if not is_number:
        return _groups_tell(pd.factorize(cells, use_na_sentinel=False)[0], target, quantity)
    present = np.isfinite(cells)
    tells_by_gaps = _groups_tell(present.astype(int), target, quantity)
    if present.mean() < 0.5 or tells_by_gaps:
        return tells_by_gaps
    numbers, target = cells[present], target[present]
    if quantity:
        ranks = [pd.Series(values).rank().to_numpy() for values in (numbers, target)]
        return bool(min(map(np.ptp, ranks)) > 0 and abs(np.corrcoef(*ranks)[0, 1]) >= 1 - _LEFT / 2)
    classes, counts = np.unique(target, return_counts=True)
    constant = len(target) - int(counts.max())
    if constant < _GROUP or len(classes) > _MOST_CLASSES:
        return False
    codes = np.searchsorted(classes, target)
    changes = np.count_nonzero(np.diff(codes[np.lexsort((codes, numbers))]))
    if changes >= len(classes) + 2 * _LEFT * constant:  # a tree would leave more errors, in 50 times the time
        return False
    places = pd.Series(numbers).rank(method="dense").to_numpy()[:, None]  # the tree takes no number above 1e38
    tree = DecisionTreeClassifier(max_leaf_nodes=len(classes), random_state=0).fit(places, target)
    return bool((tree.predict(places) != target).sum() <= _LEFT * constant)


def _groups_tell(groups: np.ndarray[Any, Any], target: np.ndarray[Any, Any], quantity: bool) -> bool:
    """Return whether the usual target of each group tells nearly all targets."""
    number = int(groups.max()) + 1
    if number < 2 or len(groups) < _GROUP * number:
        return False
    if quantity:
        ranks = pd.Series(target).rank()
        return bool((ranks - ranks.groupby(groups).transform("mean")).var() <= _LEFT * ranks.var())
    rows = pd.DataFrame({"group": groups, "target": target}).value_counts()
    constant = len(target) - int(rows.groupby(level="target").sum().max())
    return constant >= _GROUP and len(target) - int(rows.groupby(level="group").max().sum()) <= _LEFT * constant
