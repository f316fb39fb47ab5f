"""The part that the two estimators share: parameters, training of one network or several, and their outputs."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from ..common.checks import Check
from ..common.documents import TEXT, check_entry
from ..engine.vectors import Vector, read_data
from ..train import History
from .encoding import Encoding
from .linear import BLOCK, LinearModel, best_share
from .members import Task, Trained, Watch, train, train_further, validation_rows
from .networks import LayerArrays, arrays_of, outputs_of, restored_network
from .settings import CHECKS, Settings, automatic, settings_for
from .stored import FORM, as_json, histories_from_json, parameters_from_json, settings_from_json, vectors_from_json

Self = TypeVar("Self", bound="BaseMLP")

#: Number of rows that are predicted at once: their encoded inputs stay in a cache of the processor.
_ROWS_AT_ONCE = 4 * BLOCK


class BaseMLP(BaseEstimator):  # type: ignore[misc]
    """The base class of the estimators; see `MLPClassifier` and `MLPRegressor`."""

    #: The checks of the parameters.
    _checks: ClassVar[Mapping[str, Check]] = CHECKS
    #: Options of scikit-learn's check of the targets.
    _target_options: ClassVar[Mapping[str, Any]] = {}

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether there are trained networks."""
        return hasattr(self, "networks_")

    def _keep_parameters(self, given: dict[str, Any]) -> None:
        """Set an attribute for each parameter of the constructor, as scikit-learn expects it: unchanged, unchecked."""
        for name in self._checks:
            setattr(self, name, given[name])

    def _checked(self) -> dict[str, Any]:
        """Return the parameters as plain Python; raise for the first that is invalid."""
        kind = type(self).__name__
        return {name: check(f"{kind}: {name}", getattr(self, name)) for name, check in self._checks.items()}

    # --- training ---

    def _read(self, X: Any, y: Any, sample_weight: Any, goes_on: bool) -> tuple[Vector, Any, Vector | None]:
        """Return inputs, targets and weights, without the rows of weight 0.

        Args:
            X: the argument of `fit`.
            y: likewise.
            sample_weight: likewise.
            goes_on: whether the training continues that of networks that are there.
        """
        if not goes_on:
            self.__dict__.pop("networks_", None)  # if this training fails, none is left with the attributes of another
        X, y = validate_data(self, X, y, dtype=np.float64, reset=not goes_on, **self._target_options)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        weights = self._with_class_weights(y, weights)
        self._used_rows = slice(None) if weights is None or weights.all() else np.flatnonzero(weights)
        if weights is not None:
            used = weights > 0.0
            if not used.any():
                raise ValueError(f"{type(self).__name__}: sample_weight: expected a weight above 0, got only zeros")
            X, y, weights = X[used], y[used], weights[used] / weights.max()
            if weights.min() == 1.0:
                weights = None
        if not goes_on:
            checked = self._checked()
            self.encoding_ = Encoding.of(X, weights, checked["pieces"]) if checked["scale_inputs"] else None
        return X, y, weights

    def _with_class_weights(self, y: Any, weights: Vector | None) -> Vector | None:
        return weights

    def _encoded(self, X: Vector) -> Vector:
        return X if self.encoding_ is None else self.encoding_.apply(X)

    def _standard(self, X: Vector) -> Vector:
        return X if self.encoding_ is None else self.encoding_.standard(X)

    def _train(self, task: Task, watch: Watch | None) -> list[list[LinearModel]]:
        """Train the networks, set the attributes that describe the training, and return linear models for each."""
        checked = self._checked()
        settings = settings_for(checked, len(task.inputs))
        members = checked["n_estimators"]
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=members).tolist()
        starts = self._starts(settings) if self.warm_start else []
        starts = [*starts, *[None] * members][:members]
        jobs = min(members, effective_n_jobs(self.n_jobs))
        first, *others = zip(seeds, validation_rows(task, settings, members, seeds[0]), starts)
        share = settings.with_share_of_seconds(1.0 / (1 + math.ceil((members - 1) / jobs)))
        trained = [train(task, share, *first, watch)]
        try:
            if jobs > 1 and not trained[0].history.interrupted:
                trained += Parallel(n_jobs=jobs)(delayed(train)(task, share, *each) for each in others)
            else:
                for each in others:
                    if trained[-1].history.interrupted:
                        break
                    trained.append(train(task, share, *each))
        except KeyboardInterrupt:  # in other processes, whose networks are lost
            trained[0].remarks.append("training was interrupted; only the first network is kept")
        # If Ctrl-C or the limit of time came before the end of its first epoch, a network has hardly begun.
        trained = [each for each in trained if each.history.epochs] or trained[:1]
        self._further: dict[str, Any] | None = None
        self._keep(settings, trained)
        self._warn(trained)
        return [each.linear for each in trained]

    def _warn(self, trained: list[Trained]) -> None:
        remarks = [remark for each in trained for remark in each.remarks]
        if self.time_limited_:
            done = ", ".join(str(len(each.history.epochs)) for each in trained)
            remarks.append(
                f"max_seconds={self.max_seconds} ended the training after {done} of at most {self.settings_.max_iter} "
                "epochs; the same seed may give another model next time"
            )
        for remark in remarks:
            warnings.warn(f"{type(self).__name__}: {remark}", stacklevel=4)

    def _train_further(self, task: Task) -> None:
        """Train the networks, new or present ones, for one more epoch."""
        checked = self._checked()
        settings = settings_for(checked, len(task.inputs))
        present = self._starts(settings)
        if present and settings.solver == self.settings_.solver:
            # "auto" depends on the number of rows, which may be smaller than in the first call.
            settings = replace(settings, **{name: getattr(self.settings_, name) for name in automatic(checked)})
        further = getattr(self, "_further", None)
        if further is None:
            members = len(present) or checked["n_estimators"]
            seeds = check_random_state(self.random_state).randint(2**31 - 1, size=members).tolist()
            further = {"seeds": seeds, "states": [None] * members, "epochs": 0}
        trained = [
            train_further(task, settings, seed + further["epochs"], start, state)
            for seed, start, state in zip(further["seeds"], present or further["states"], further["states"])
        ]
        states = [each.optimizer for each in trained]
        self._further = {"seeds": further["seeds"], "states": states, "epochs": further["epochs"] + 1}
        self._keep(settings, trained)

    def _starts(self, settings: Settings) -> list[Any]:
        """Return the parameters of each present network, with which training goes on."""
        sizes, present = settings.hidden_layer_sizes, self._present()
        if present and sizes != self.settings_.hidden_layer_sizes:
            raise ValueError(
                f"{type(self).__name__}: hidden_layer_sizes: expected {self.settings_.hidden_layer_sizes}, with which "
                f"the networks were made, got {sizes}; train new ones with fit and warm_start=False"
            )
        return present

    def _present(self) -> list[Any]:
        """Return the parameters of each present network."""
        return [read_data(network.parameters()) for network in getattr(self, "networks_", [])]

    def _keep(self, settings: Settings, trained: list[Trained]) -> None:
        self.settings_ = settings
        self._set_networks([each.parameters for each in trained])
        self._validation = [each.validation for each in trained]
        self._linear: list[LinearModel] = []
        self.network_share_ = 1.0
        self.time_limited_ = any(each.cut for each in trained)
        self._set_history([each.history for each in trained])

    def _blend(self, task: Task, linear: list[list[LinearModel]]) -> None:
        """Choose linear models, and the share of the networks in the predictions, by the loss on the validation rows.

        Args:
            task: the data.
            linear: the models to choose from, for each network.
        """
        if not all(linear):
            return
        held_out = np.concatenate(self._validation)
        networks = np.concatenate(self._answers_in_validation(task.inputs))
        weights = None if task.weights is None else task.weights[held_out]

        def loss(predictions: Vector) -> float:
            return float(np.average(self._losses(predictions, task.targets[held_out]), weights=weights))

        lowest = math.inf
        for models in zip(*linear):
            inputs = models[0].inputs(task.standard)
            outputs = [model.outputs(inputs[rows]) for model, rows in zip(models, self._validation)]
            answers = self._predictions(np.concatenate(outputs), 1.0)
            share, found = best_share(self._predictions(networks), answers, loss)
            if found < lowest:
                lowest, self.network_share_, self._linear = found, share, list(models)

    def _set_history(self, histories: list[History]) -> None:
        self.histories_ = histories
        self.history_ = histories[0] if len(histories) == 1 else histories
        self.loss_curve_ = _mean_curve([[epoch.loss for epoch in history.epochs] for history in histories])
        self.validation_loss_curve_ = None
        if all(history.epochs and history.epochs[0].validation_loss is not None for history in histories):
            curves = [[epoch.validation_loss for epoch in history.epochs] for history in histories]
            self.validation_loss_curve_ = _mean_curve(curves)
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else math.nan
        self.best_loss_ = min(self.validation_loss_curve_ or self.loss_curve_, default=math.nan)
        self.n_iter_ = max(len(history.epochs) for history in histories)

    def _set_networks(self, parameters: list[Vector]) -> None:
        shape = self._network_inputs, self._outputs, self.settings_
        self.networks_ = [restored_network(*shape, vector) for vector in parameters]

    # --- the networks ---

    @property
    def _outputs(self) -> int:
        raise NotImplementedError

    @property
    def _network_inputs(self) -> int:
        return self.n_features_in_ if self.encoding_ is None else self.encoding_.size

    def _predictions(self, outputs: Vector, temperature: float | None = None) -> Vector:
        """Return predictions in the units of the loss for outputs of a model: numbers, or probabilities."""
        raise NotImplementedError

    def _losses(self, predictions: Vector, targets: Any) -> Vector:
        """Return the loss of each row."""
        raise NotImplementedError

    def _blended(self, X: Any) -> Vector:
        """Return the mean prediction of the networks and the linear models, by their shares."""
        columns, networks = self._columns(X), list(map(arrays_of, self.networks_))
        found: Vector = np.empty((len(columns), self._outputs))

        def predict(first_row: int) -> None:
            rows = columns[first_row : first_row + _ROWS_AT_ONCE]
            # With whole blocks of rows, the last bit of a prediction does not depend on the other rows.
            block = np.ascontiguousarray(np.pad(rows, ((0, -len(rows) % BLOCK), (0, 0)), "edge"))
            answers = self._blended_rows(networks, self._linear, block, first_row)
            found[first_row : first_row + len(rows)] = answers[: len(rows)]

        # On a busy machine, the threads of BLAS wait for each other at every small product: 9 s instead of 1.4. So each
        # thread here has rows of its own.
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as threads:
            list(threads.map(predict, range(0, len(columns), _ROWS_AT_ONCE)))
        return found

    def _blended_rows(
        self, networks: list[list[LayerArrays]], models: list[LinearModel], columns: Vector, first_row: int = 0
    ) -> Vector:
        share = self.network_share_
        found: Vector = np.zeros((len(columns), self._outputs))
        if share > 0.0:
            inputs = self._encoded(columns)
            answers = [self._predictions(self._answers(network, inputs, first_row)) for network in networks]
            found += share * np.mean(answers, axis=0)
        if share < 1.0:
            inputs = models[0].inputs(self._standard(columns))
            linear = [self._predictions(model.outputs(inputs), 1.0) for model in models]
            found += (1.0 - share) * np.mean(linear, axis=0)
        return found

    def validated(self, X: Any) -> tuple[Any, Vector]:
        """Return the rows on which networks were validated, and their predictions for them, right after `fit`.

        No row is predicted by a network that was trained on it: thresholds can be chosen by these predictions.

        Args:
            X: the inputs of `fit`.

        Returns:
            The positions of the rows, none without a validation share; and an array (rows, outputs) of probabilities or
            of standardised numbers.

        Raises:
            NotFittedError: before `fit`.
            ValueError: after `from_json`, since JSON does not hold the positions.
        """
        columns = self._columns(X)
        if not hasattr(self, "_used_rows"):
            raise ValueError(f"{type(self).__name__}.validated: expected an estimator after fit, got one from JSON")
        used = columns[self._used_rows]
        found = [
            self._blended_rows([arrays_of(network)], self._linear[i : i + 1], used[rows])
            for i, (network, rows) in enumerate(zip(self.networks_, self._validation))
        ]
        positions = np.arange(len(X))[self._used_rows]
        return positions[np.concatenate(self._validation)], np.concatenate(found)

    @property
    def n_outputs_(self) -> int:
        """The number of outputs of a network: one for each class, or for each predicted number."""
        check_is_fitted(self)
        return self._outputs

    @property
    def n_layers_(self) -> int:
        """The number of layers, with that of the inputs."""
        check_is_fitted(self)
        return len(self.settings_.hidden_layer_sizes) + 2

    @property
    def coefs_(self) -> list[Any]:
        """The weights of each layer, as arrays (inputs, neurons); a list of such lists for several networks."""
        check_is_fitted(self)
        found = [[layer.weights for layer in arrays_of(network)] for network in self.networks_]
        return found[0] if len(found) == 1 else found

    @property
    def intercepts_(self) -> list[Any]:
        """The biases of each layer, as arrays; a list of such lists for several networks."""
        check_is_fitted(self)
        found = [[layer.biases for layer in arrays_of(network)] for network in self.networks_]
        return found[0] if len(found) == 1 else found

    # --- predicting ---

    def _columns(self, X: Any) -> Vector:
        check_is_fitted(self)
        columns: Vector = validate_data(self, X, dtype=np.float64, reset=False)
        return columns

    def _answers(self, layers: list[LayerArrays], inputs: Vector, first_row: int = 0) -> Vector:
        """Return the outputs of a network for encoded inputs: an array (rows, outputs).

        Raises:
            ValueError: if one is not a finite number.
        """
        found = outputs_of(layers, inputs)
        finite = np.isfinite(found).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"{type(self).__name__}: X: expected numbers like those in training, got row "
                f"{first_row + int(finite.argmin())}, for which an output of the network is not a finite number"
            )
        return found

    def _answers_in_validation(self, inputs: Vector) -> list[Vector]:
        """Return for each network its outputs for its validation rows, given the encoded inputs of `fit`."""
        networks = map(arrays_of, self.networks_)
        with threadpool_limits(1, user_api="blas"):
            return [self._answers(network, inputs[rows]) for network, rows in zip(networks, self._validation)]

    # --- pickles and JSON ---

    def __getstate__(self) -> dict[str, Any]:
        """Return the state that a pickle holds: the networks' parameters as arrays."""
        state: dict[str, Any] = dict(super().__getstate__())
        if "networks_" in state:
            state["networks_"] = self._present()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the networks from their parameters."""
        super().__setstate__(state)
        if "networks_" in state:
            self._set_networks(state["networks_"])

    def to_json(self) -> dict[str, Any]:
        """Return the trained estimator as plain JSON data, from which `from_json` makes one that predicts the same.

        It holds no step of the history, only its epochs.

        Raises:
            NotFittedError: before `fit`.
            TypeError: if JSON cannot hold a parameter, such as a function of your own as activation.
        """
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        return {
            "estimator": type(self).__name__,
            "parameters": {name: as_json(name, x) for name, x in self.get_params(deep=False).items()},
            "settings": {name: as_json(name, x) for name, x in asdict(self.settings_).items()},
            "inputs": self.n_features_in_,
            "feature_names": None if names is None else names.tolist(),
            "encoding": None if self.encoding_ is None else self.encoding_.to_json(),
            "target": self._target_to_json(),
            "networks": [vector.tolist() for vector in self._present()],
            "linear": [model.to_json() for model in self._linear],
            "network_share": self.network_share_,
            "histories": [history.to_dict(steps=len(history)) for history in self.histories_],
            "time_limited": self.time_limited_,
        }

    @classmethod
    def from_json(cls: type[Self], document: Any) -> Self:
        """Make the trained estimator of which `to_json` returned a description.

        Raises:
            ValueError: if the description is damaged, or that of another estimator; the message names the entry.
        """
        check_entry("", document, FORM)
        if document["estimator"] != cls.__name__:
            raise ValueError(f"estimator: expected {cls.__name__!r}, got {document['estimator']!r}")
        made = cls(**parameters_from_json(document["parameters"], cls._checks))
        made.settings_ = settings_from_json(document["settings"])
        made.n_features_in_ = document["inputs"]
        if document["feature_names"] is not None:
            check_entry("feature_names", document["feature_names"], [TEXT])
            if len(document["feature_names"]) != made.n_features_in_:
                raise ValueError(f"feature_names: expected {made.n_features_in_} names, one for each of the inputs")
            made.feature_names_in_ = np.array(document["feature_names"], dtype=object)
        encoding, count = document["encoding"], made.n_features_in_
        made.encoding_ = None if encoding is None else Encoding.from_json("encoding", encoding, count)
        made._set_target_from_json(document["target"])
        shape = made._network_inputs, made._outputs, made.settings_
        made._linear = [
            LinearModel.from_json(f"linear[{i}]", each, count, made._outputs)
            for i, each in enumerate(document["linear"])
        ]
        made.network_share_ = document["network_share"]
        if len(made._linear) not in (0, len(document["networks"])) or (not made._linear and made.network_share_ < 1.0):
            raise ValueError(f"linear: expected a model for each of the networks, got {len(made._linear)}")
        made._set_networks(vectors_from_json(document["networks"], *shape))
        made._set_history(histories_from_json(document["histories"], len(made.networks_)))
        made.time_limited_, made._further = document["time_limited"], None
        return made


def _mean_curve(curves: list[list[Any]]) -> list[float]:
    """Return the mean of several curves, epoch by epoch; a curve that is over counts with its last number."""
    lengths = list(map(len, curves))
    if len(curves) == 1 or not min(lengths):
        return curves[0]
    padded = [curve + curve[-1:] * (max(lengths) - len(curve)) for curve in curves]
    means: list[float] = np.mean(padded, axis=0).tolist()
    return means
