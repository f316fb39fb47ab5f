"""A finished training run: the network, its course of training, its predictions, and a summary of the scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..plot import Trajectory
from ..train.batches import Samples
from ..train.history import History
from .predicting import Predictor
from .preprocessing import Target
from .scores import behind_baseline, behind_linear, figures
from .settings import RunSettings


@dataclass(frozen=True)
class Run:
    """A finished training run.

    Args:
        table_name: the name of the table.
        source: the file that the user gave, None for iris.
        settings: the settings, with a value for each None.
        predictor: the network with its preprocessing, settings and scores.
        history: the course of the training.
        predictions: one row per held-out row: its number in the table, the true target, and the prediction.
        learned: the inputs of the network and the target of each training row: a class index, or a standardised number.
        held_out: the inputs for each held-out row.
        trajectory: the path of the parameters.
        seconds: the duration of training.
        notes: remarks for the reader of the results.
    """

    table_name: str
    source: str | None
    settings: RunSettings
    predictor: Predictor
    history: History
    predictions: pd.DataFrame
    learned: Samples
    held_out: list[list[float]]
    trajectory: Trajectory
    seconds: float
    notes: list[str]

    @property
    def scores(self) -> dict[str, Any]:
        """Return the scores on held-out rows."""
        scores: dict[str, Any] = self.predictor.details["scores"]
        return scores

    @property
    def target(self) -> Target:
        """Return the target column."""
        return self.predictor.preprocessing.target

    @property
    def train_rows(self) -> int:
        """Return the number of training rows."""
        return len(self.learned)

    @property
    def held_out_loss(self) -> float:
        """Return the loss on held-out rows, in the units of the loss curve."""
        if self.target.task == "classification":
            return float(self.scores["log_loss"])
        error = float(self.scores["rmse"]) / self.target.scale
        return error * error  # `error**2` would raise if it is too large

    @property
    def title(self) -> str:
        """Return the title of the report."""
        return f"{self.table_name}: predicting {self.target.name}"

    @property
    def score_columns(self) -> dict[str, dict[str, Any]]:
        """Return the scores of the network, of the linear model if there is one, and of the baseline, by name."""
        baseline = "most frequent class" if self.target.task == "classification" else "mean"
        linear = {"linear model": self.scores["linear"]} if "linear" in self.scores else {}
        return {"network": self.scores, **linear, baseline: self.scores["baseline"]}

    @property
    def behind_linear(self) -> str:
        """Say by how much the network is behind a linear model; empty if it is not, or is linear itself."""
        return behind_linear(self.scores) if self.settings.hidden else ""

    @property
    def summary(self) -> str:
        """Return the result in a sentence or two."""
        rows, scores = len(self.predictions), self.scores
        if self.target.task == "classification":
            right = round(scores["accuracy"] * rows)
            result = (
                f"The network is right on {right} of {rows} held-out rows, an accuracy of {scores['accuracy']:.1%}. "
                f"Always answering the most frequent class would reach {scores['baseline']['accuracy']:.1%}"
                + (f", a linear model {scores['linear']['accuracy']:.1%}." if "linear" in scores else ".")
            )
        else:
            explained = f"{scores['r2']:.1%}" if scores["r2"] > 0 else "none"
            result = (
                f"On {rows} held-out rows the network is off by {figures(scores['mae'])} on average, and explains "
                f"{explained} of the variance. Always answering the mean would be off by "
                f"{figures(scores['baseline']['mae'])}"
                + (f", a linear model by {figures(scores['linear']['mae'])}." if "linear" in scores else ".")
            )
        behind = ", and ".join(filter(None, (behind_baseline(scores), self.behind_linear)))
        return f"{result} The network is {behind}." if behind else result
