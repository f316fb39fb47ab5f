"""The part that the two estimators share: their parameters and their predictions."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from ..common import checks
from ..common.checks import Count, Flag, NotNegative, OpenFraction, optional, real, whole
from ..engine.vectors import Vector, read_data
from .linear import BLOCK, LinearModel
from .networks import LayerArrays, arrays_of, outputs_of, restored_network
from .settings import ActivationLike, ScheduleName, Seconds, Seed, Sizes, Solver, Verbose, checks_of, or_auto
from .stored import estimator_from_json, estimator_to_json

Self = TypeVar("Self", bound="BaseMLP")

#: Number of rows that are predicted at once: their encoded inputs stay in a cache of the processor.
_ROWS_AT_ONCE = 4 * BLOCK


def _jobs(where: str, setting: Any) -> int:
    if type(setting) is bool or not isinstance(setting, (int, np.integer)) or setting == 0:
        raise ValueError(f"{where}: expected None or a whole number other than 0, got {setting!r}")
    return int(setting)


@dataclass(eq=False, repr=False, kw_only=True)
class BaseMLP(BaseEstimator):  # type: ignore[misc]
    """The base class of the estimators. `MLPClassifier` describes the parameters, which are the fields.

    As scikit-learn expects it, the constructor keeps parameters unchanged and unchecked.
    """

    hidden_layer_sizes: Sizes = field(default=(64, 32), kw_only=False)
    activation: ActivationLike = field(default="relu", kw_only=False)
    solver: Solver = "adamw"
    alpha: Annotated[float | str, or_auto(real(checks.NOT_NEGATIVE))] = "auto"
    batch_size: Annotated[int | str | None, or_auto(optional(whole(1)))] = "auto"
    learning_rate: ScheduleName = "cosine"
    learning_rate_init: Annotated[float | None, optional(real(checks.POSITIVE))] = None
    max_iter: Annotated[int | str, or_auto(whole(1))] = "auto"
    shuffle: Flag = True
    random_state: Seed = None
    tol: NotNegative = 0.0
    verbose: Verbose = False
    warm_start: Flag = False
    early_stopping: Flag = True
    validation_fraction: OpenFraction = 0.125
    n_iter_no_change: Count = 15
    scale_inputs: Flag = True
    pieces: Annotated[int | str, or_auto(whole(0))] = "auto"
    blend_linear: Flag = True
    n_estimators: Count = 1
    max_seconds: Seconds = None
    n_jobs: Annotated[int | None, optional(_jobs)] = None

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether there are trained networks."""
        return hasattr(self, "networks_")

    def _checked(self) -> dict[str, Any]:
        """Return the parameters as plain Python; raise for the first that is invalid."""
        kind: Any = type(self)
        return {name: check(f"{kind.__name__}: {name}", getattr(self, name)) for name, check in checks_of(kind).items()}

    def _columns(self, X: Any) -> Vector:
        check_is_fitted(self)
        columns: Vector = validate_data(self, X, dtype=np.float64, reset=False)
        return columns

    def _encoded(self, X: Vector) -> Vector:
        return X if self.encoding_ is None else self.encoding_.apply(X)

    def _standard(self, X: Vector) -> Vector:
        return X if self.encoding_ is None else self.encoding_.standard(X)

    # --- the networks ---

    @property
    def _outputs(self) -> int:
        raise NotImplementedError

    def _predictions(self, outputs: Vector, temperature: float | None = None) -> Vector:
        """Return predictions in the units of the loss for outputs of a model: numbers, or probabilities."""
        raise NotImplementedError

    @property
    def _network_inputs(self) -> Any:
        return self.n_features_in_ if self.encoding_ is None else self.encoding_.size

    def _set_networks(self, parameters: list[Vector]) -> None:
        shape = self._network_inputs, self._outputs, self.settings_
        self.networks_ = [restored_network(*shape, vector) for vector in parameters]

    def _present(self) -> list[Vector]:
        """Return the parameters of each present network."""
        return [read_data(network.parameters()) for network in getattr(self, "networks_", [])]

    @property
    def n_outputs_(self) -> int:
        """The number of outputs of a network, one for each class or for each predicted number."""
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
        return self._of_layers("weights")

    @property
    def intercepts_(self) -> list[Any]:
        """The biases of each layer, as arrays; a list of such lists for several networks."""
        return self._of_layers("biases")

    def _of_layers(self, name: str) -> list[Any]:
        check_is_fitted(self)
        found = [[getattr(layer, name) for layer in arrays_of(network)] for network in self.networks_]
        return found[0] if len(found) == 1 else found

    # --- predicting ---

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
        return estimator_to_json(self)

    @classmethod
    def from_json(cls: type[Self], document: Any) -> Self:
        """Make the trained estimator of which `to_json` returned a description.

        Raises:
            ValueError: if the description is damaged, or that of another estimator; the message names the entry.
        """
        made: Self = estimator_from_json(cls, document)
        return made
