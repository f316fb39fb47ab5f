"""The regressor."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin

from ..common.checks import one_of
from ..common.documents import ANYTHING, FLAG, SIZE, check_entry
from ..engine.vectors import Vector
from .losses import ERRORS, REGRESSION_LOSSES, loss_of_numbers
from .members import Rows, Task, Watch
from .scale import Scale
from .training import TrainableMLP


@dataclass(eq=False, repr=False, kw_only=True)
class MLPRegressor(RegressorMixin, TrainableMLP):  # type: ignore[misc]
    """A multilayer perceptron, or an ensemble of them, that predicts numbers; an estimator for scikit-learn.

    It takes finite numbers, as arrays or DataFrames; for missing cells, categories and dates, put a `TablePreparation`
    before it. Targets are standardised for the training, and predictions are in the units of the targets. With several
    columns of targets, a network has an output for each.

    Args:
        loss: `"squared_error"`, `"absolute_error"` or `"huber"`, of standardised targets.
        hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, max_iter: as for
            `MLPClassifier`.
        shuffle, random_state, tol, verbose, warm_start, early_stopping, validation_fraction: likewise.
        n_iter_no_change, scale_inputs, pieces, blend_linear, max_seconds, n_jobs: likewise.
        n_estimators: likewise; predictions are averaged.

    Attributes:
        target_scale_: the mean and the deviation of each target.
        networks_: the networks, a list of `MLP`, which predict standardised targets; other attributes are those of
            `MLPClassifier`, without `classes_` and `temperature_`. Losses are those of standardised targets.

    >>> import numpy as np
    >>> X = np.linspace(-3.0, 3.0, 500)[:, None]
    >>> model = MLPRegressor(random_state=0).fit(X, 1000.0 * np.sin(X[:, 0]))
    >>> model.predict([[0.0], [1.5]]).round(-2) + 0.0
    array([   0., 1000.])
    """

    _target_options: ClassVar[Mapping[str, Any]] = {"multi_output": True, "y_numeric": True}
    loss: Annotated[str, one_of(*REGRESSION_LOSSES)] = "squared_error"

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's description of what the estimator can do."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @property
    def _outputs(self) -> int:
        return len(self.target_scale_.mean)

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, callbacks: Watch | None = None) -> MLPRegressor:
        """Train on a table of numbers.

        Args:
            X: as for `MLPClassifier.fit`.
            y: a finite number for each row, or an array (rows, targets).
            sample_weight: as for `MLPClassifier.fit`.
            callbacks: likewise.

        Raises:
            TypeError, ValueError: for invalid data or parameters.
            TrainingDivergedError: if training diverges with a thousandth of the learning rate, too.
        """
        self._fit(self._prepared(X, y, sample_weight), callbacks)
        return self

    def _prepared(self, X: Any, y: Any, sample_weight: Any = None) -> Task:
        goes_on = self.warm_start and hasattr(self, "networks_")
        return self._task(*self._read(X, y, sample_weight, goes_on), goes_on)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for one epoch of all these rows, without validation; the first call makes the networks.

        Inputs and targets are scaled as in the first call, or as in the last `fit`. Rate and decay are those of that
        call too, unless they are given. The optimizer goes on where it was, with the same `solver`.

        Args:
            X: as for `MLPClassifier.fit`.
            y: as for `fit`.
            sample_weight: as for `MLPClassifier.partial_fit`.

        Raises:
            TypeError, ValueError: for invalid data or parameters.
        """
        goes_on = hasattr(self, "networks_")
        self._train_further(self._task(*self._read(X, y, sample_weight, goes_on, by_mean=False), goes_on))
        return self

    def _task(self, X: Vector, y: Vector, weights: Vector | None, used: Rows | slice, goes_on: bool) -> Task:
        columns = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        if not goes_on:
            self.target_scale_, self._flat = Scale.of(columns, weights), y.ndim == 1
        elif columns.shape[1] != self._outputs:
            raise ValueError(f"MLPRegressor: y: expected {self._outputs} columns as before, got {columns.shape[1]}")
        scaled = self.target_scale_.apply(columns)
        targets = scaled[:, 0] if self._outputs == 1 else scaled
        loss = functools.partial(loss_of_numbers, self._checked()["loss"])
        return Task(self._encoded(X), self._standard(X), targets, weights, self._outputs, used, False, loss)

    def predict(self, X: Any) -> Vector:
        """Return the predicted number for each row, or a row of them if `y` had columns.

        Args:
            X: an array or a DataFrame with the inputs of `fit`.

        Raises:
            NotFittedError: before `fit`.
            ValueError: for other inputs, or if an output of a network is not finite.
        """
        blended = self._blended(X)
        predicted = self.target_scale_.undo(blended)
        return predicted[:, 0] if self._flat else predicted

    def _predictions(self, outputs: Vector, temperature: float | None = None) -> Vector:
        return outputs

    def _losses(self, predictions: Vector, targets: Any) -> Vector:
        errors = np.abs(predictions - targets.reshape(predictions.shape))
        losses: Vector = ERRORS[self.loss](errors).sum(axis=1)
        return losses

    def _target_to_json(self) -> dict[str, Any]:
        return {"outputs": self._outputs, "flat": self._flat, "scale": self.target_scale_.to_json()}

    def _set_target_from_json(self, document: Any) -> None:
        check_entry("target", document, {"outputs": SIZE, "flat": FLAG, "scale": ANYTHING})
        self.target_scale_ = Scale.from_json("target.scale", document["scale"], document["outputs"])
        self._flat = document["flat"]
        if self._flat and self._outputs > 1:
            raise ValueError(f"target.flat: expected false with {self._outputs} outputs, got true")
