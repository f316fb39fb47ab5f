"""Judge trained networks by their answers for rows that they have not seen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ..engine.vectors import Vector
from ..tables.table import Table
from . import evaluation
from .fitting import Data, Fitted, answers, uncalibrated
from .importance import Fold, importance
from .predicting import answer, kept_columns, prediction_columns
from .settings import RunSettings


class Judged:
    """The answers of trained networks for rows that they have not seen.

    Attributes:
        rows: the positions of the rows with an answer, in order; with repeated cross-validation, of the first.
        network: the answers of the networks for these rows.
        inputs: the prepared inputs of the held-out rows of each part.
    """

    def __init__(self, data: Data, parts: Sequence[Fitted], settings: RunSettings) -> None:
        self.data, self.settings, self.parts = data, settings, parts
        self.inputs = [
            part.pipeline["preparation"].transform_and_remark(data.cells.iloc[part.held_out])[0] for part in parts
        ]
        self._answers = [answers(data, part, inputs) for part, inputs in zip(parts, self.inputs)]
        self._first = slice(0, settings.cv or 1)
        rows = np.concatenate([part.held_out for part in parts[self._first]])
        order = np.argsort(rows, kind="stable")
        self.rows, self._order = rows[order], order
        self.network = self._in_order([found["network"] for found in self._answers[self._first]])

    def _in_order(self, parts: Sequence[Vector]) -> Vector:
        joined: Vector = np.concatenate(parts)[self._order]
        return joined

    def predictions(self, table: Table) -> pd.DataFrame:
        """Return the table of predictions: row, true, kept columns, predicted, probabilities."""
        cells = table.cells.loc[self.data.cells.index[self.rows]]
        frame = prediction_columns((cells.index + 1).tolist(), self.network, self.data.target)
        frame.insert(1, "true", self.data.values[self.rows].tolist())
        return kept_columns(frame, cells, self.settings.keep)

    def scores(self) -> dict[str, Any]:
        """Return the scores; see `microgrud.cli.evaluation.score`."""
        target, numbers, seed = self.data.target, self.data.numbers, self.settings.seed
        each = [
            evaluation.score(target.task, numbers[part.held_out], found, target.classes, seed, not self.settings.cv)
            for part, found in zip(self.parts, self._answers)
        ]
        scores = evaluation.over_folds(each, self.settings.cv, self.settings.repeats) if self.settings.cv else each[0]
        if target.task == "regression":
            return scores
        true = numbers[self.rows]
        scores |= evaluation.class_figures(true, self.network, target.classes)
        first = zip(self.parts[self._first], self.inputs)
        raw = self._in_order([answer(uncalibrated(part.network), inputs, target) for part, inputs in first])
        scores["calibration"] = {
            "temperatures": [float(part.network.temperature_) for part in self.parts],
            "before": evaluation.calibration(true, raw),
            "after": evaluation.calibration(true, self.network),
        }
        if len(target.classes) == 2:
            scores["threshold"] = self._threshold(true)
        return scores

    def _threshold(self, true: Vector) -> dict[str, Any]:
        """Return thresholds on the probability of the second class, chosen on validation rows, with their scores."""
        if self.settings.cv:
            chosen_on, known, probability = "held-out rows of all folds", true == 1, self.network[:, 1]
        else:
            (fitted,) = self.parts
            rows, probabilities = fitted.network.validated(fitted.inputs)
            chosen_on = "validation rows"
            if not len(rows):
                chosen_on, rows = "training rows", np.arange(len(fitted.rows))
                probabilities = fitted.network.predict_proba(fitted.inputs)
            column = fitted.network.classes_.tolist().index(self.data.target.classes[1])
            known, probability = self.data.numbers[fitted.rows][rows] == 1, probabilities[:, column]
        best = evaluation.best_thresholds(known, probability)
        of = {"0.5": 0.5, **best}
        held_out = {name: evaluation.threshold_scores(true == 1, self.network[:, 1], t) for name, t in of.items()}
        return {**best, "class": self.data.target.classes[1], "chosen_on": chosen_on, "held_out": held_out}

    def curves(self) -> dict[str, Vector]:
        """Return the curves of the second of two classes; see `microgrud.cli.evaluation.curves`."""
        if len(self.data.target.classes) != 2:
            return {}
        return evaluation.curves(self.data.numbers[self.rows] == 1, self.network[:, 1])

    def importance(self, columns: Sequence[str]) -> pd.DataFrame:
        """Return the importance of each column; see `microgrud.cli.importance`."""
        target, numbers = self.data.target, self.data.numbers
        made = [
            Fold(
                inputs,
                numbers[part.held_out],
                part.pipeline["preparation"].input_columns_,
                partial(answer, part.network, target=target),
            )
            for part, inputs in zip(self.parts[self._first], self.inputs)
        ]
        parameters = sum(len(model.parameters()) for model in self.parts[0].network.networks_)
        return importance(made, columns, target.task, parameters, self.settings.seed)
