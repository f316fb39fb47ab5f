"""A finished training run: the pipeline, its course of training, its predictions, and a summary of the scores."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from ..engine.vectors import Vector
from ..nn import MLP
from ..plot import Trajectory
from ..tables.target import Target
from ..train.batches import Samples
from ..train.history import History
from .fitting import is_interrupted
from .scores import behind_baseline, behind_linear, figures
from .settings import RunSettings


@dataclass(frozen=True)
class Run:
    """A finished training run.

    Args:
        table_name: the name of the table.
        sources: the files that the user gave; none for iris.
        given: the settings as the user chose them.
        settings: the settings, with the values that were used for each None.
        pipeline: the steps `"preparation"` (a TablePreparation) and `"network"` (an MLPClassifier or MLPRegressor),
            trained on the training rows; with cross-validation on all rows.
        target: the column to predict.
        predictions: one row per held-out row: its number in the table, the true target, and the prediction. With
            cross-validation these are all rows, each predicted by a network that has not seen it.
        scores: the scores on these rows; `microgrud.cli.evaluation` describes the entries.
        curves: the points of the ROC curve and the precision-recall curve of the second of two classes, see
            `microgrud.cli.evaluation.curves`; empty for other targets.
        importance: one row per column of the table, the most important first: `column`, `importance` (the loss of score
            when the cells of the column are shuffled among the rows), and its `spread` over shuffles.
        learned: the inputs and the target of each training row, as the first network takes them: a class index, or a
            standardised number.
        held_out: the inputs for each row of `predictions`.
        trajectory: the path of the parameters of the first network.
        train_rows: the number of training rows.
        seconds: the duration of training.
        notes: remarks for the reader of the results, in the order in which they were made.
    """

    table_name: str
    sources: tuple[str, ...]
    given: RunSettings
    settings: RunSettings
    pipeline: Pipeline
    target: Target
    predictions: pd.DataFrame
    scores: dict[str, Any]
    curves: dict[str, Vector]
    importance: pd.DataFrame
    learned: Samples
    held_out: Vector
    trajectory: Trajectory | None
    train_rows: int
    seconds: float
    notes: list[str] = field(default_factory=list)

    @property
    def preparation(self) -> Any:
        """Return the first step of the pipeline, a TablePreparation: its `columns_`, `notes_` and `input_columns_`."""
        return self.pipeline["preparation"]

    @property
    def inputs(self) -> list[str]:
        """Return a name for each input of the network."""
        return [str(name) for name in self.preparation.get_feature_names_out()]

    @property
    def network(self) -> Any:
        """Return the last step of the pipeline, an MLPClassifier or MLPRegressor."""
        return self.pipeline["network"]

    @property
    def model(self) -> MLP:
        """Return the first network of the ensemble, of which the pictures are."""
        model: MLP = self.network.networks_[0]
        return model

    @property
    def history(self) -> History:
        """Return the course of the training of the first network."""
        first: History = self.network.histories_[0]
        return first

    @property
    def interrupted(self) -> bool:
        """Return whether Ctrl-C ended the training."""
        return is_interrupted(self.network)

    @property
    def held_out_loss(self) -> float:
        """Return the loss on held-out rows, in the units of the loss curve."""
        if self.target.task == "classification":
            return float(self.scores["log_loss"])
        error = float(self.scores["rmse"]) / float(np.std(self.predictions["true"]) or 1.0)
        return error * error  # `error**2` would raise if it is too large

    @property
    def details(self) -> dict[str, Any]:
        """Return the account of the run as JSON data: settings, rows, scores, importance of columns, and notes."""
        return {
            "settings": {key: list(x) if isinstance(x, tuple) else x for key, x in asdict(self.settings).items()},
            "trained": {
                "table": self.table_name,
                "rows": self.train_rows,
                "held_out_rows": len(self.predictions),
                "inputs": len(self.inputs),
                "steps": len(self.history),
                "interrupted": self.interrupted,
            },
            "scores": self.scores,
            "importance": self.importance.to_dict("records"),
            "notes": list(self.notes),
        }

    @property
    def title(self) -> str:
        """Return the title of the report."""
        return f"{self.table_name}: predicting {self.target.name}"

    @property
    def score_columns(self) -> dict[str, dict[str, Any]]:
        """Return the scores of the network, of the linear model if there is one, and of the baseline, by name.

        The entry `"spread"` of each holds the spread of each score.
        """
        baseline = "most frequent class" if self.target.task == "classification" else "mean"
        linear = {"linear model": self.scores["linear"]} if "linear" in self.scores else {}
        return {"network": self.scores, **linear, baseline: self.scores["baseline"]}

    @property
    def behind_linear(self) -> str:
        """Say by how much the network is behind a linear model; empty if it is not, or is linear itself."""
        return behind_linear(self.scores) if self.settings.hidden != () else ""

    @property
    def summary(self) -> str:
        """Return the result in a sentence or two."""
        rows, scores = len(self.predictions), self.scores
        linear = scores.get("linear")
        if self.target.task == "classification":
            right = int((self.predictions["true"] == self.predictions["predicted"]).sum())
            result = (
                f"The network is right on {right} of {rows} held-out rows, an accuracy of {scores['accuracy']:.1%} "
                f"(± {scores['spread']['accuracy']:.1%}). "
                f"Always answering the most frequent class would reach {scores['baseline']['accuracy']:.1%}"
                + (f", a linear model {linear['accuracy']:.1%}." if linear else ".")
            )
        else:
            spread = f" (± {scores['spread']['r2']:.1%})" if "r2" in scores["spread"] else ""
            explained = f"{scores['r2']:.1%}{spread}" if scores["r2"] > 0 else "none"
            result = (
                f"On {rows} held-out rows the network is off by {figures(scores['mae'])} on average, and explains "
                f"{explained} of the variance. Always answering the mean would be off by "
                f"{figures(scores['baseline']['mae'])}"
                + (f", a linear model by {figures(linear['mae'])}." if linear else ".")
            )
        behind = ", and ".join(filter(None, (behind_baseline(scores), self.behind_linear)))
        return f"{result} The network is {behind}." if behind else result
