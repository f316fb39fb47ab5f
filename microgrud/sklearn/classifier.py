"""The classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets

from ..common.checks import flag, real
from ..common.numbers import Interval
from ..engine.vectors import Vector
from .base import BaseMLP, mean_weights
from .calibration import temperature_of
from .members import Task, Watch
from .settings import CHECKS


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    """DOC"""

    _takes_numbers = False
    _checks = {
        **CHECKS,
        "label_smoothing": real(Interval(0.0, 1.0, high_open=True)),
        "calibrate": flag,
        "class_weight": lambda where, setting: setting,
    }

    def __init__(
        self,
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
        class_weight: Any = None,
        label_smoothing: float = 0.0,
        calibrate: bool = True,
        n_estimators: int = 1,
        max_seconds: float | None = None,
        n_jobs: int | None = None,
    ) -> None:
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
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.calibrate = calibrate
        self.n_estimators = n_estimators
        self.max_seconds = max_seconds
        self.n_jobs = n_jobs

    @property
    def _n_outputs(self) -> int:
        return len(self.classes_)

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, callbacks: Watch | None = None) -> MLPClassifier:
        """Train."""
        again = self.warm_start and hasattr(self, "networks_")
        X, y, weights = self._rows(X, y, sample_weight, reset=not again)
        check_classification_targets(y)
        classes, targets = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"MLPClassifier: y: expected at least 2 classes, got one class: {classes.tolist()[0]!r}")
        if again and not np.array_equal(classes, self.classes_):
            raise ValueError(f"warm_start: y: expected the classes {self.classes_}, got {classes}")
        self.classes_ = classes
        task = self._task(X, y, targets, weights)
        self._train(task, callbacks)
        self.temperature_ = 1.0
        if self.calibrate and all(len(rows) for rows in self._validation):
            outputs = [self._outputs(i, X[rows]) for i, rows in enumerate(self._validation)]
            held_out = np.concatenate(self._validation)
            held_out_weights = None if task.weights is None else task.weights[held_out]
            self.temperature_ = temperature_of(np.concatenate(outputs), targets[held_out], held_out_weights)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> MLPClassifier:
        """Train for one epoch."""
        first = not hasattr(self, "networks_")
        X, y, weights = self._rows(X, y, sample_weight, reset=first)
        check_classification_targets(y)
        if first:
            if classes is None:
                raise ValueError("MLPClassifier.partial_fit: classes: expected all classes in the first call, got None")
            self.classes_ = np.unique(classes)
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"MLPClassifier.partial_fit: classes: expected {self.classes_} as before, got {classes}")
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"MLPClassifier.partial_fit: y: expected classes {self.classes_}, got {unknown} as well")
        self._train_further(self._task(X, y, np.searchsorted(self.classes_, y), weights))
        self.temperature_ = 1.0
        return self

    def _task(self, X: Vector, y: Any, targets: npt.NDArray[np.intp], weights: Vector | None) -> Task:
        if self.class_weight is not None:
            weights = compute_sample_weight(self.class_weight, y) * (1.0 if weights is None else weights)
        return Task(X, targets, mean_weights(weights), self._n_outputs, self._checked()["label_smoothing"])

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each row."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> Vector:
        """Return the probability of each class."""
        inputs = self._inputs(X)
        found = [_softmax(self._outputs(i, inputs) / self.temperature_) for i in range(len(self.networks_))]
        mean: Vector = np.mean(found, axis=0)
        return mean

    def predict_log_proba(self, X: Any) -> Vector:
        """Return the logarithms of the probabilities."""
        with np.errstate(divide="ignore"):
            logarithms: Vector = np.log(self.predict_proba(X))
        return logarithms


def _softmax(logits: Vector) -> Vector:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Vector = powers / powers.sum(axis=1, keepdims=True)
    return shares
