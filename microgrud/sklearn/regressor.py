"""The regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from ..common.checks import one_of
from ..engine.vectors import Vector
from .base import BaseMLP, mean_weights
from .losses import REGRESSION_LOSSES
from .members import Task, Watch
from .settings import CHECKS


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """DOC"""

    _takes_numbers = True
    _checks = {**CHECKS, "loss": one_of(*REGRESSION_LOSSES)}

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (64, 32),
        activation: Any = "silu",
        *,
        solver: str = "adamw",
        alpha: Any = "auto",
        batch_size: Any = "auto",
        learning_rate: str = "cosine",
        learning_rate_init: float | None = None,
        max_iter: Any = "auto",
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 0.0,
        verbose: bool = False,
        warm_start: bool = False,
        early_stopping: bool = True,
        validation_fraction: float = 0.15,
        n_iter_no_change: int = 20,
        n_estimators: int = 1,
        max_seconds: float | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.n_estimators = n_estimators
        self.max_seconds = max_seconds
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's description of what the estimator can do."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @property
    def _n_outputs(self) -> int:
        return len(self.y_mean_)

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, callbacks: Watch | None = None) -> MLPRegressor:
        """Train."""
        again = self.warm_start and hasattr(self, "networks_")
        X, y, weights = self._rows(X, y, sample_weight, reset=not again)
        if not again:
            self._set_scale(y, weights)
        self._train(self._task(X, y, weights), callbacks)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for one epoch."""
        first = not hasattr(self, "networks_")
        X, y, weights = self._rows(X, y, sample_weight, reset=first)
        if first:
            self._set_scale(y, weights)
        self._train_further(self._task(X, y, weights))
        return self

    def _set_scale(self, y: Vector, weights: Vector | None) -> None:
        columns = y.reshape(len(y), -1)
        mean = np.average(columns, axis=0, weights=weights)
        deviation = np.sqrt(np.average((columns - mean) ** 2, axis=0, weights=weights))
        if not np.isfinite(deviation).all():
            raise ValueError("MLPRegressor: y: expected numbers whose squares are finite, got larger ones")
        self.y_mean_, self.y_scale_ = mean, np.where(deviation > 0.0, deviation, 1.0)
        self._flat = y.ndim == 1

    def _task(self, X: Vector, y: Vector, weights: Vector | None) -> Task:
        columns = y.reshape(len(y), -1)
        if columns.shape[1] != self._n_outputs:
            raise ValueError(f"MLPRegressor: y: expected {self._n_outputs} columns as before, got {columns.shape[1]}")
        scaled = (columns - self.y_mean_) / self.y_scale_
        targets = scaled[:, 0] if self._n_outputs == 1 else scaled
        return Task(X, targets, mean_weights(weights), self._n_outputs, self._checked()["loss"])

    def predict(self, X: Any) -> Vector:
        """Return the predicted number of each row, or a row of numbers."""
        inputs = self._inputs(X)
        found = np.mean([self._outputs(i, inputs) for i in range(len(self.networks_))], axis=0)
        predicted: Vector = found * self.y_scale_ + self.y_mean_
        return predicted[:, 0] if self._flat else predicted
