"""The part that the two estimators share: parameters, training of one network or several, and their outputs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..engine.vectors import Vector, read_data
from ..nn import MLP
from ..tape import compile
from ..train import History
from .members import Task, Trained, Watch, restored_network, train, train_further
from .settings import CHECKS, Settings, settings_for

#: Number of rows that are predicted at once, which bounds the memory.
_ROWS_AT_ONCE = 16_384


class BaseMLP(BaseEstimator):  # type: ignore[misc]
    """The base class of the estimators; see `MLPClassifier` and `MLPRegressor`."""

    _checks = CHECKS
    history_: Any

    # --- training ---

    def _checked(self) -> dict[str, Any]:
        """Return the parameters as plain Python; raise for the first that is invalid."""
        kind = type(self).__name__
        return {name: check(f"{kind}: {name}", getattr(self, name)) for name, check in self._checks.items()}

    def _rows(self, X: Any, y: Any, sample_weight: Any, reset: bool) -> tuple[Vector, Any, Vector | None]:
        """Return inputs, targets and weights, without the rows of weight 0; None for equal weights."""
        options: dict[str, Any] = {"multi_output": True, "y_numeric": True} if self._takes_numbers else {}
        X, y = validate_data(self, X, y, dtype=np.float64, reset=reset, **options)
        if sample_weight is None:
            return X, y, None
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        used = weights > 0.0
        if not used.any():
            raise ValueError("sample_weight: expected a weight above 0, got none")
        return X[used], y[used], weights[used]

    def _train(self, task: Task, watch: Watch | None) -> None:
        """Train the networks, and set the attributes that tell of it."""
        checked = self._checked()
        settings = settings_for(checked, len(task.inputs))
        members = checked["n_estimators"]
        if watch is not None and members > 1:
            raise ValueError(f"{type(self).__name__}: callbacks: expected none with n_estimators={members}")
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=members).tolist()
        starts = self._starts(members) if self.warm_start else [None] * members
        jobs = min(members, effective_n_jobs(self.n_jobs))
        settings = settings.with_share_of_seconds(1.0 / math.ceil(members / jobs))
        run = Parallel(n_jobs=jobs) if jobs > 1 else list
        call: Callable[..., Any] = delayed(train) if jobs > 1 else train
        self._keep(settings, run(call(task, settings, *each, watch) for each in zip(seeds, starts)))

    def _train_further(self, task: Task) -> None:
        """Train the networks for one more epoch, or make them first."""
        checked = self._checked()
        settings = settings_for(checked, len(task.inputs))
        members = checked["n_estimators"]
        starts = self._starts(members)
        if not hasattr(self, "_seeds"):
            self._seeds = check_random_state(self.random_state).randint(2**31 - 1, size=members).tolist()
            self._epoch = 0
        states = getattr(self, "_optimizers", None) or [None] * members
        self._epoch += 1
        trained = [
            train_further(task, settings, seed + self._epoch - 1, *each)
            for seed, *each in zip(self._seeds, starts, states)
        ]
        self._keep(settings, trained)
        self._optimizers = [each.optimizer for each in trained]

    def _starts(self, members: int) -> list[Vector | None]:
        """Return the present parameters of each network, None for those that there are none of yet."""
        known = [read_data(network.parameters()) for network in getattr(self, "networks_", [])]
        return [*known, *[None] * members][:members]

    def _keep(self, settings: Settings, trained: list[Trained]) -> None:
        self._settings = settings
        self._set_networks([each.parameters for each in trained])
        self._validation = [each.validation for each in trained]
        histories = [each.history for each in trained]
        self.history_ = histories[0] if len(histories) == 1 else histories
        self.time_limited_ = any(each.cut for each in trained)
        if self.time_limited_:
            done = ", ".join(str(len(history.epochs)) for history in histories)
            warnings.warn(
                f"max_seconds={self.max_seconds} ended the training after {done} of {settings.max_iter} epochs; the "
                "same seed may give another model next time",
                stacklevel=4,
            )
        self._set_curves(histories)

    def _set_curves(self, histories: list[History]) -> None:
        self.loss_curve_ = _mean_curve([[epoch.loss for epoch in history.epochs] for history in histories])
        self.validation_loss_curve_ = None
        if all(history.epochs and history.epochs[0].validation_loss is not None for history in histories):
            self.validation_loss_curve_ = _mean_curve(
                [[epoch.validation_loss for epoch in history.epochs] for history in histories]
            )
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else math.nan
        self.best_loss_ = min(self.validation_loss_curve_ or self.loss_curve_, default=math.nan)
        self.n_iter_ = len(self.loss_curve_)

    def _set_networks(self, parameters: list[Vector]) -> None:
        shape = self.n_features_in_, self._n_outputs, self._settings
        self.networks_ = [restored_network(*shape, vector) for vector in parameters]
        self._compiled: list[Any] = []

    # --- the network ---

    @property
    def n_layers_(self) -> int:
        """The number of layers, with that of the inputs."""
        return len(self._settings.hidden_layer_sizes) + 2

    @property
    def n_outputs_(self) -> int:
        """The number of outputs of a network: that of the classes, or of the predicted numbers."""
        check_is_fitted(self)
        return self._n_outputs

    @property
    def coefs_(self) -> list[Any]:
        """The weights of each layer, an array (inputs, neurons) each; a list of such lists for several networks."""
        check_is_fitted(self)
        found = [[np.array([[w.data for w in n.w] for n in each.neurons]).T for each in m.layers] for m in self.networks_]
        return found[0] if len(found) == 1 else found

    @property
    def intercepts_(self) -> list[Any]:
        """The biases of each layer; a list of such lists for several networks."""
        check_is_fitted(self)
        found = [[np.array([n.b.data for n in each.neurons]) for each in m.layers] for m in self.networks_]
        return found[0] if len(found) == 1 else found

    # --- predicting ---

    def _inputs(self, X: Any) -> Vector:
        check_is_fitted(self)
        inputs: Vector = validate_data(self, X, dtype=np.float64, reset=False)
        return inputs

    def _outputs(self, member: int, inputs: Vector) -> Vector:
        """Return the outputs of a network, an array (rows, outputs)."""
        if not self._compiled:
            self._compiled.extend(_compiled(network) for network in self.networks_)
        parts = np.array_split(inputs, math.ceil(len(inputs) / _ROWS_AT_ONCE))
        outputs = [np.array(self._compiled[member].map(part)).reshape(self._n_outputs, -1) for part in parts]
        found: Vector = np.concatenate(outputs, axis=1).T
        finite = np.isfinite(found).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"X: expected numbers like those in training, got row {int(finite.argmin())}, for which the output of "
                "the network is not a finite number"
            )
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Return the state that a pickle holds: the networks' parameters as arrays, and no recordings."""
        state: dict[str, Any] = dict(super().__getstate__())
        if "networks_" in state:
            del state["_compiled"]
            state["networks_"] = [read_data(network.parameters()) for network in self.networks_]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the networks from their parameters."""
        super().__setstate__(state)
        if "networks_" in state:
            self._set_networks(state["networks_"])


def _compiled(network: MLP) -> Any:
    def outputs(row: Any) -> Any:
        return network(row)

    return compile(outputs, batched="row", errors="ignore", threads=1)


def _mean_curve(curves: list[list[Any]]) -> list[float]:
    """Return the mean of several curves, epoch by epoch; those that are over count with their last number."""
    longest = max(map(len, curves))
    if len(curves) == 1 or not min(map(len, curves)):
        return curves[0]
    padded = [curve + curve[-1:] * (longest - len(curve)) for curve in curves]
    means: list[float] = np.mean(padded, axis=0).tolist()
    return means


def mean_weights(weights: Vector | None) -> Vector | None:
    """Return the weights, or None if all are equal."""
    return None if weights is None or weights.min() == weights.max() else weights

