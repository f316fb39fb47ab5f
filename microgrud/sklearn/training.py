"""The training that the two estimators share: of one network or several, and of the linear models that help them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, validate_data
from threadpoolctl import threadpool_limits

from ..engine.vectors import Vector
from .base import BaseMLP
from .encoding import Encoding
from .linear import LinearModel, best_share
from .members import Rows, Task, Trained, Watch, train, train_further, validation_rows
from .networks import arrays_of
from .settings import Settings, settings_for


class TrainableMLP(BaseMLP):
    """The training of the estimators; a subclass adds the kind of the targets."""

    _linear: list[LinearModel]
    #: For each network after `partial_fit`: the seed and the state of the optimizer for its next call.
    _further: list[tuple[int, Any]]
    #: Options of scikit-learn's check of the targets.
    _target_options: ClassVar[Mapping[str, Any]] = {}

    def _read(
        self, X: Any, y: Any, sample_weight: Any, goes_on: bool, by_mean: bool = True
    ) -> tuple[Vector, Any, Vector | None, Rows | slice]:
        """Return inputs, targets and weights, without the rows of weight 0, and the positions of the others.

        Args:
            X: the argument of `fit`.
            y: likewise.
            sample_weight: likewise.
            goes_on: whether training continues with the present networks.
            by_mean: whether a weight counts in comparison with the mean; otherwise 1 is an ordinary weight.
        """
        if not goes_on:
            self.__dict__.pop("networks_", None)  # if this training fails, none is left with the attributes of another
        X, y = validate_data(self, X, y, dtype=np.float64, reset=not goes_on, **self._target_options)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        weights = self._with_class_weights(y, weights)
        rows = slice(None) if weights is None or weights.all() else np.flatnonzero(weights)
        if weights is not None:
            used = weights > 0.0
            if not used.any():
                raise ValueError(f"{type(self).__name__}: sample_weight: expected a weight above 0, got only zeros")
            X, y, weights = X[used], y[used], weights[used] / (weights.max() if by_mean else 1.0)
            if (weights == 1.0).all():
                weights = None
        if not goes_on:
            checked = self._checked()
            self.encoding_ = Encoding.of(X, weights, checked["pieces"]) if checked["scale_inputs"] else None
        return X, y, weights, rows

    def _with_class_weights(self, y: Any, weights: Vector | None) -> Vector | None:
        return weights

    def _prepared(self, X: Any, y: Any, sample_weight: Any = None) -> Task:
        """Return the data of `fit` as its networks get them, and set the attributes that describe the data."""
        raise NotImplementedError

    def _losses(self, predictions: Vector, targets: Any) -> Vector:
        """Return the loss of each row."""
        raise NotImplementedError

    def _calibrate(self, outputs: Vector, targets: Any, weights: Vector | None) -> None:
        """Calibrate the predictions by the outputs of the networks for rows that they were not trained on."""

    # --- all epochs ---

    def _fit(self, task: Task, watch: Watch | None) -> None:
        """Train the networks, and choose linear models and their share by the loss on the validation rows.

        Args:
            task: the data.
            watch: makes callbacks for the first network.
        """
        self._finish(task, self._train(task, watch))

    def _finish(self, task: Task, trained: list[Trained]) -> None:
        """Calibrate trained networks, and blend them with linear models, by their validation rows among the data."""
        self._used_rows = task.used
        held_out = np.concatenate(self._validation)
        if not len(held_out):
            return
        targets, weights = task.targets[held_out], None if task.weights is None else task.weights[held_out]
        with threadpool_limits(1, user_api="blas"):
            pairs = zip(self.networks_, self._validation)
            outputs = np.concatenate([self._answers(arrays_of(network), task.inputs[rows]) for network, rows in pairs])
        self._calibrate(outputs, targets, weights)

        def loss(predictions: Vector) -> float:
            return float(np.average(self._losses(predictions, targets), weights=weights))

        networks, lowest = self._predictions(outputs), math.inf
        for models in zip(*(each.linear for each in trained)):
            inputs = models[0].inputs(task.standard)
            linear = np.concatenate([model.outputs(inputs[rows]) for model, rows in zip(models, self._validation)])
            share, found = best_share(networks, self._predictions(linear, 1.0), loss)
            if found < lowest:
                lowest, self.network_share_, self._linear = found, share, list(models)

    def _train(self, task: Task, watch: Watch | None) -> list[Trained]:
        """Train the networks, and set the attributes that describe the training."""
        checked = self._checked()
        settings = settings_for(checked, len(task.inputs))
        members = checked["n_estimators"]
        seeds = self._seeds(members)
        starts = [*(self._starts(settings) if self.warm_start else []), *[None] * members]
        jobs = min(members, effective_n_jobs(self.n_jobs))
        first, *others = zip(seeds, validation_rows(task, settings, members, seeds[0]), starts)
        rounds = 1 + math.ceil((members - 1) / jobs)
        share = replace(settings, max_seconds=settings.max_seconds and settings.max_seconds / rounds)
        done = {0: train(task, share, *first, watch)}
        calls = (
            delayed(_numbered)(k, task, share, *each)
            for k, each in enumerate(others, 1)
            if not any(network.history.interrupted for network in list(done.values()))
        )
        one_by_one = get_active_backend()[0].supports_return_generator  # the networks that Ctrl-C keeps
        order = "generator_unordered" if one_by_one else "list"
        try:
            done.update(Parallel(n_jobs=jobs, return_as=order)(calls))
        except KeyboardInterrupt:  # in this process, while others train; `fit` handles it where a network is trained
            done[0].remarks.append(f"training was interrupted; {len(done)} of {members} networks are finished and kept")
        trained = [done[k] for k in sorted(done)]
        # If Ctrl-C or the limit of time came before the end of its first epoch, a network has hardly begun.
        trained = [each for each in trained if each.history.epochs] or trained[:1]
        self._keep(settings, trained)
        self._warn(settings, trained)
        return trained

    def _warn(self, settings: Settings, trained: list[Trained]) -> None:
        """Warn of starts with lower rates, and of a limit of time that ended the training."""
        remarks = [remark for each in trained for remark in each.remarks]
        if self.time_limited_:
            epochs = ", ".join(str(len(each.history.epochs)) for each in trained)
            remarks.append(
                f"max_seconds={self.max_seconds} ended the training after {epochs} of at most {settings.max_iter} "
                "epochs; the same seed may give another model next time"
            )
        for remark in remarks:
            warnings.warn(f"{type(self).__name__}: {remark}", stacklevel=5)

    # --- one epoch ---

    def _train_further(self, task: Task) -> None:
        """Train the networks, new or present ones, for one more epoch."""
        checked = self._checked()
        settings = settings_for(checked, len(task.inputs))
        present = self._starts(settings)
        if present and self._further and settings.solver != self.settings_.solver:
            raise ValueError(
                f"{type(self).__name__}.partial_fit: solver: expected {self.settings_.solver!r} as before, got "
                f"{settings.solver!r}; to change it, call fit with warm_start=True, which goes on with the networks"
            )
        if present and settings.solver == self.settings_.solver:
            # An "auto" setting depends on the number of rows, which may be smaller than in the first call.
            automatic = {"learning_rate_init": None, "alpha": "auto"}
            kept = {name: getattr(self.settings_, name) for name, auto in automatic.items() if checked[name] == auto}
            settings = replace(settings, **kept)
        members = len(present) or checked["n_estimators"]
        further = (present and self._further) or [(seed, None) for seed in self._seeds(members)]
        trained = [
            train_further(task, settings, seed, start, state)
            for (seed, state), start in zip(further, [*present, *[None] * members])
        ]
        self._keep(settings, trained)
        self._used_rows = task.used
        self._further = [(seed + 1, each.optimizer) for (seed, _), each in zip(further, trained)]

    # --- the networks ---

    def _seeds(self, members: int) -> list[int]:
        seeds: list[int] = check_random_state(self.random_state).randint(2**31 - 1, size=members).tolist()
        return seeds

    def _starts(self, settings: Settings) -> list[Vector]:
        """Return the parameters of each present network, with which training goes on."""
        sizes, present = settings.hidden_layer_sizes, self._present()
        if present and sizes != self.settings_.hidden_layer_sizes:
            raise ValueError(
                f"{type(self).__name__}: hidden_layer_sizes: expected {self.settings_.hidden_layer_sizes}, with which "
                f"the networks were made, got {sizes}; train new ones with fit and warm_start=False"
            )
        return present

    def _keep(self, settings: Settings, trained: list[Trained]) -> None:
        """Set the attributes that describe a training, without linear models."""
        self.settings_ = settings
        self._set_networks([each.parameters for each in trained])
        self._validation = [each.validation for each in trained]
        self._linear, self.network_share_, self._further = [], 1.0, []
        self.time_limited_ = any(each.cut for each in trained)
        self.histories_ = histories = [each.history for each in trained]
        self.history_ = histories[0] if len(histories) == 1 else histories
        self.loss_curve_ = _mean_curve([[epoch.loss for epoch in history.epochs] for history in histories])
        curves = [[epoch.validation_loss for epoch in history.epochs] for history in histories]
        is_validated = all(curve and curve[0] is not None for curve in curves)
        self.validation_loss_curve_ = _mean_curve(curves) if is_validated else None
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else math.nan
        self.best_loss_ = min(self.validation_loss_curve_ or self.loss_curve_, default=math.nan)
        self.n_iter_ = max(len(history.epochs) for history in histories)


def _numbered(k: int, *given: Any) -> tuple[int, Trained]:
    """Train a network, and return its number as well: other processes finish them in any order."""
    return k, train(*given)


def _mean_curve(curves: list[list[Any]]) -> list[float]:
    """Return the mean of several curves, epoch by epoch; a curve that is over counts with its last number."""
    lengths = list(map(len, curves))
    if len(curves) == 1 or not min(lengths):
        return curves[0]
    padded = [curve + curve[-1:] * (max(lengths) - len(curve)) for curve in curves]
    means: list[float] = np.mean(padded, axis=0).tolist()
    return means
