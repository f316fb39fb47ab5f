"""The models that are scored, and their answers for rows that none of them has seen."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression, Ridge

from ..engine.vectors import Vector
from ..tables.target import Target
from .fitting import Data, Fitted
from .predicting import answer, class_probabilities


@dataclass(frozen=True, eq=False)
class Models:
    """The network, a linear model and the baseline, which have learned from the same rows.

    Args:
        target: the column to predict.
        network: the estimator of the networks.
        linear: scikit-learn's LogisticRegression or Ridge.
        baseline: the share of each class among the training rows, or the mean of their numbers.
    """

    target: Target
    network: Any
    linear: Any
    baseline: Any

    @classmethod
    def of(cls, data: Data, fitted: Fitted) -> Models:
        """Return the network that was trained, and fit the other models to the same inputs."""
        target, numbers, values = data.target, data.numbers[fitted.rows], data.values[fitted.rows]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", UserWarning)  # on many classes, and on iterations: more improve nothing
            if target.task == "regression":
                return cls(target, fitted.network, Ridge().fit(fitted.inputs, values), numbers.mean())
            linear = LogisticRegression(max_iter=1000).fit(fitted.inputs, values)
        shares = np.bincount(numbers, minlength=len(target.classes)) / len(numbers)
        return cls(target, fitted.network, linear, shares)

    def answers(self, inputs: Vector) -> dict[str, Vector]:
        """Return the answers of each model for prepared inputs; of the linear one only if they are finite."""
        found = {"network": answer(self.network, inputs, self.target)}
        with np.errstate(all="ignore"):
            linear = self._linear(inputs)
            if np.isfinite(linear).all() and np.isfinite(linear**2).all():
                found["linear"] = linear
        return {**found, "baseline": np.array(np.broadcast_to(self.baseline, found["network"].shape))}

    def _linear(self, inputs: Vector) -> Vector:
        if not len(inputs):
            return np.zeros((0, *np.shape(self.baseline)))
        if self.target.task == "classification":
            return class_probabilities(self.linear, inputs, self.target)
        numbers: Vector = self.linear.predict(inputs)
        return numbers

    def uncalibrated(self, inputs: Vector) -> Vector:
        """Return the answers of the classifier with the temperature 1."""
        raw = copy.copy(self.network)
        raw.temperature_ = 1.0
        return answer(raw, inputs, self.target)


@dataclass(frozen=True, eq=False)
class Answered:
    """The answers of models for held-out rows that the workers of a cluster have read.

    Args:
        rows: the numbers of the rows, from 0.
        true: the index of the class of each row, or its number.
        answers: the answers of each model; see `Models.answers`.
        uncalibrated: the answers of the network before calibration; those of the network in regression.
        cells: the columns to keep, as text.
        inputs: the prepared inputs of the first rows.
    """

    rows: npt.NDArray[np.intp]
    true: Vector
    answers: dict[str, Vector]
    uncalibrated: Vector
    cells: pd.DataFrame
    inputs: Vector

    @classmethod
    def joined(cls, parts: list[Answered], inputs: int) -> Answered:
        """Return the answers of several parts, in order, with the inputs of so many rows."""
        names = set.intersection(*(set(part.answers) for part in parts))
        return cls(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.true for part in parts]),
            {
                name: np.concatenate([part.answers[name] for part in parts])
                for name in parts[0].answers
                if name in names
            },
            np.concatenate([part.uncalibrated for part in parts]),
            pd.concat([part.cells for part in parts]),
            np.concatenate([part.inputs for part in parts])[:inputs],
        )
