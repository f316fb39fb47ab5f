"""Judge trained networks by their answers for rows that they have not seen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ..engine.vectors import Vector
from ..tables.preparation import TablePreparation
from ..tables.table import Table
from . import evaluation
from .answering import Answered, Models
from .fitting import Data, Fitted
from .importance import Fold, importance
from .predicting import answer, kept_columns, prediction_columns
from .settings import RunSettings


class Judged:
    """The answers of trained networks for rows that they have not seen.

    Args:
        data: the table.
        parts: the trained networks.
        settings: the settings that were used.
        answered: the answers for rows that the workers of a cluster have read, in place of those of `data`.

    Attributes:
        rows: the positions of the rows with an answer, in order; with repeated cross-validation, of the first. On a
            cluster, their numbers.
        true: the class index of each of these rows, or its number.
        network: the answers of the networks for these rows.
        inputs: the prepared inputs of the held-out rows of each part.
    """

    def __init__(
        self, data: Data, parts: Sequence[Fitted], settings: RunSettings, answered: Answered | None = None
    ) -> None:
        self.data, self.settings, self.parts, self.answered = data, settings, parts, answered
        self.inputs = [
            part.pipeline["preparation"].transform_and_remark(data.cells.iloc[part.held_out])[0] for part in parts
        ]
        self._first = slice(0, settings.cv or 1)
        if answered is not None:
            self.rows, self._true, self._answers = answered.rows, [answered.true], [answered.answers]
            self._raw, self._order = [answered.uncalibrated], np.arange(len(answered.rows))
        else:
            models = [Models.of(data, part) for part in parts]
            self._answers = [each.answers(inputs) for each, inputs in zip(models, self.inputs)]
            self._true = [data.numbers[part.held_out] for part in parts]
            raw = models[self._first] if data.target.task == "classification" else []
            self._raw = [each.uncalibrated(inputs) for each, inputs in zip(raw, self.inputs)]
            rows = np.concatenate([part.held_out for part in parts[self._first]])
            self._order = np.argsort(rows, kind="stable")
            self.rows = rows[self._order]
        self.true = self._in_order(self._true[self._first])
        self.network = self._in_order([found["network"] for found in self._answers[self._first]])

    def _in_order(self, parts: Sequence[Vector]) -> Vector:
        joined: Vector = np.concatenate(parts)[self._order]
        return joined

    def predictions(self, table: Table) -> pd.DataFrame:
        """Return the table of predictions: row, true, kept columns, predicted, probabilities."""
        if self.answered is not None:
            cells, numbers = self.answered.cells, (self.rows + 1).tolist()
        else:
            cells = table.cells.loc[self.data.cells.index[self.rows]]
            numbers = (cells.index + 1).tolist()
        target = self.data.target
        frame = prediction_columns(numbers, self.network, target)
        true = self.true if target.task == "regression" else np.array(target.classes, object)[self.true]
        frame.insert(1, "true", true.tolist())
        return kept_columns(frame, cells, self.settings.keep)

    def prepared(self, preparation: TablePreparation) -> Vector:
        """Return the prepared inputs of the rows; on a cluster, of the first ones."""
        if self.answered is not None:
            return self.answered.inputs
        return preparation.transform_and_remark(self.data.cells.iloc[self.rows])[0]

    def scores(self) -> dict[str, Any]:
        """Return the scores; see `microgrud.cli.evaluation.score`."""
        target, seed = self.data.target, self.settings.seed
        each = [
            evaluation.score(target.task, true, found, target.classes, seed, not self.settings.cv)
            for true, found in zip(self._true, self._answers)
        ]
        scores = evaluation.over_folds(each, self.settings.cv, self.settings.repeats) if self.settings.cv else each[0]
        if target.task == "regression":
            return scores
        true, raw = self.true, self._in_order(self._raw)
        scores |= evaluation.class_figures(true, self.network, target.classes)
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
        return evaluation.curves(self.true == 1, self.network[:, 1])

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
