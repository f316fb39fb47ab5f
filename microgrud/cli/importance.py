"""Permutation importance: the worsening of a score when the cells of a column are shuffled among the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..engine.vectors import Vector

_REPEATS = 10
_MOST_ROWS = 2_000
_FEWEST_ROWS, _FEWEST_REPEATS = 200, 3
#: Maximum number of rows times parameters to evaluate for all shuffles: measured, 1 to 2 s.
_MOST_WORK = 1_000_000_000


class Fold(NamedTuple):
    """A trained network with rows that it has not seen.

    Attributes:
        inputs: the prepared inputs of the rows.
        true: their targets, class indices or numbers.
        sources: for each input the column of the table from which it comes.
        answer: the network: probabilities or numbers for rows of inputs.
    """

    inputs: Vector
    true: Vector
    sources: Sequence[str]
    answer: Callable[[Vector], Vector]


def importance(
    folds: Sequence[Fold], columns: Sequence[str], task: str, parameters: int, seed: int = 0
) -> pd.DataFrame:
    """Return the permutation importance of each column of a table (Breiman, Random Forests, 2001).

    It is the rise of the log loss, or for numbers the fall of R², when the cells of the column are shuffled among the
    rows. All inputs that come from the column are shuffled together, so that the preparation runs only once. Columns
    that say the same share their importance; a column that the network does not use has none.

    Args:
        folds: a trained network with held-out rows; with cross-validation one for each fold.
        columns: the columns that are used.
        task: `"classification"` or `"regression"`.
        parameters: the number of parameters of a network, which bounds the rows and shuffles in a large table.
        seed: the seed of the shuffles.

    Returns:
        One row per column, the most important first: `column`, `importance`, and `spread`, its standard deviation over
        shuffles and folds.
    """
    rng = np.random.default_rng(seed)
    work = max(1, parameters * len(columns) * len(folds))
    most_rows = int(np.clip(_MOST_WORK // (work * _REPEATS), _FEWEST_ROWS, _MOST_ROWS))
    falls: list[list[float]] = [[] for _ in columns]
    for inputs, true, sources, answer in folds:
        rows = np.sort(rng.permutation(len(true))[:most_rows])
        inputs, true = inputs[rows], true[rows]
        repeats = int(np.clip(_MOST_WORK // (work * len(rows)), _FEWEST_REPEATS, _REPEATS))
        usual = _error(task, true, answer(inputs))
        for column, fall in zip(columns, falls):
            own = np.array([source == column for source in sources])
            shuffled = np.tile(inputs, (repeats, 1))
            order = np.concatenate([rng.permutation(len(rows)) for _ in range(repeats)])
            shuffled[:, own] = inputs[np.ix_(order, own)]
            answers = answer(shuffled)
            fall += [_error(task, true, part) - usual for part in np.array_split(answers, repeats)]
    frame = pd.DataFrame(
        {
            "column": columns,
            "importance": [float(np.mean(fall)) for fall in falls],
            "spread": [float(np.std(fall, ddof=1)) for fall in falls],
        }
    )
    ordered: pd.DataFrame = frame.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    return ordered


def _error(task: str, true: Vector, answers: Vector) -> float:
    """Return the log loss, or the squared error as a share of the variance (1 - R²)."""
    if task == "regression":
        return float(np.mean((true - answers) ** 2) / (np.var(true) or 1.0))
    of_true = answers[np.arange(len(true)), true]
    return float(-np.log(np.clip(of_true, np.finfo(float).eps, 1.0)).mean())
