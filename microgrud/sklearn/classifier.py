"""The classifier."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets

from ..common.checks import NOT_NEGATIVE, Flag, Fraction, one_of, real
from ..common.documents import ABOVE_0, ANYTHING, check_entry
from ..engine.vectors import Vector
from .calibration import temperature_of
from .losses import loss_of_classes
from .members import Rows, Task, Trained, Watch
from .stored import labels_from_json, labels_to_json
from .training import TrainableMLP


def _class_weight(where: str, setting: Any) -> Any:
    if isinstance(setting, dict):
        return {label: real(NOT_NEGATIVE)(f"{where}[{label!r}]", weight) for label, weight in setting.items()}
    return one_of(None, "balanced")(where, setting)


@dataclass(eq=False, repr=False, kw_only=True)
class MLPClassifier(ClassifierMixin, TrainableMLP):  # type: ignore[misc]
    """A multilayer perceptron, or an ensemble of them, that predicts classes; an estimator for scikit-learn.

    It takes finite numbers, as arrays or DataFrames; for missing cells, categories and dates, put a `TablePreparation`
    before it. Each network has an output for each class and minimises the cross-entropy. If training diverges, it
    starts again with a tenth of the learning rate, and warns. Ctrl-C ends `fit` after the present step and keeps what
    is learned.

    Args:
        hidden_layer_sizes: the number of neurons in each hidden layer; `()` for a linear model.
        activation: the activation of the hidden layers: a name in `microgrud.nn.ACTIVATIONS`, or a function.
        solver: the optimizer: `"adamw"`, `"adam"`, `"sgd"` (with a momentum of 0.9), `"rmsprop"`, `"adagrad"`, or
            `"lbfgs"`, best with all rows in one batch.
        alpha: the strength of the weight decay, with adamw, or of the penalty `(alpha / 2) ||p||^2` otherwise;
            `"auto"`: smaller for more rows.
        batch_size: the number of rows per step; all of them if None. `"auto"` suits the number of rows.
        learning_rate: the schedule of the rate: `"constant"`, `"cosine"`, `"exponential"`, `"one-cycle"`, `"plateau"`,
            `"step"` or `"warmup"`.
        learning_rate_init: the highest rate; one that suits the solver if None.
        max_iter: the largest number of epochs; `"auto"`: larger for fewer rows.
        shuffle: whether to visit the rows in another order in each epoch, and to choose the validation share at random.
        random_state: the seed of everything that is random. The same integer gives the same networks, to the bit on
            one machine, and leaves the global generators alone; None draws the seeds from NumPy's global generator.
        tol: the smallest decrease of the validation loss that counts as one.
        verbose: whether to show a progress bar.
        warm_start: whether `fit` continues with the present networks.
        early_stopping: whether to set rows aside, to stop when the loss on them no longer falls, and to keep the
            parameters of the best epoch. With fewer than 20 rows none are set aside.
        validation_fraction: the share of the rows to set aside, rounded to 1/2, 1/3, 1/4, ...
        n_iter_no_change: the number of epochs to wait for a lower loss.
        scale_inputs: whether to encode each input by `microgrud.sklearn.encoding.Encoding`: standardised, with tails
            drawn in, and in pieces.
        pieces: the number of linear pieces into which each number is cut at its quantiles, so that a network learns
            steps and bends of single numbers as easily as slopes; 0 for none, `"auto"`: from 4 to 16, more for more
            rows. Gorishniy et al., "On embeddings for numerical features in tabular deep learning", 2022.
        blend_linear: whether to blend the networks with linear models of the same training rows (LogisticRegression,
            Ridge), by the share that is best on the validation rows: some tables hold no more than linear effects.
        class_weight: a weight for each class, as a dict, or `"balanced"`; see scikit-learn.
        label_smoothing: the share of each target that is spread over all classes.
        calibrate: whether to divide the outputs by a temperature, found on the validation shares, where that lowers
            the log loss of other rows. Guo et al., "On calibration of modern neural networks", 2017.
        n_estimators: the number of networks, each with its own initial weights; their probabilities are averaged. Each
            is validated on another fold of the rows, so that 8 networks are validated on all rows.
        max_seconds: a limit for the time of `fit`. If it ends the training, there is a warning, `time_limited_` is
            True, and the same seed may give another model next time.
        n_jobs: the number of networks to train at once, in processes; -1 for one per processor. The result does not
            depend on it, to the bit.

    Attributes:
        networks_: the networks, a list of `MLP`; their inputs are encoded by `encoding_`.
        coefs_, intercepts_: the weights and biases of each layer, as arrays; a list of such lists for several networks.
        history_: the `History` of the training; a list of them for several networks.
        histories_: such a list in any case.
        loss_curve_: the mean training loss of each epoch, without the penalty; the mean over several networks.
        validation_loss_curve_: the loss on the rows set aside after each epoch; None without such rows.
        loss_: the last training loss.
        best_loss_: the lowest validation loss; the lowest training loss without validation.
        n_iter_: the number of epochs, the largest of several networks.
        settings_: the settings of the training, with a number in place of each `"auto"`.
        encoding_: the encoding of the inputs; None without `scale_inputs`.
        network_share_: the share of the networks in the predictions; that of the linear models is the rest.
        classes_: the class labels.
        temperature_: the number by which outputs are divided before they become probabilities.
        n_features_in_, feature_names_in_, n_layers_, n_outputs_: as in scikit-learn.
        time_limited_: True if `max_seconds` ended the training.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(random_state=0).fit(X[::2], y[::2])
    >>> model.score(X[1::2], y[1::2]) > 0.9
    True
    """

    class_weight: Annotated[Any, _class_weight] = None
    label_smoothing: Fraction = 0.0
    calibrate: Flag = True

    @property
    def _outputs(self) -> int:
        return len(self.classes_)

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, callbacks: Watch | None = None) -> MLPClassifier:
        """Train on a table of numbers.

        Args:
            X: an array or a DataFrame (rows, inputs) of finite numbers.
            y: the class of each row: strings, numbers or truth values.
            sample_weight: a weight of 0 or more for each row. With all rows in one batch and no validation share, a
                whole number is the same as so many rows; a row of weight 0 is left out in any case.
            callbacks: a function that takes the first network, before its first step, and returns a callback of
                `microgrud.train.fit`, or several: `lambda network: Trajectory(network)` records its walk down the loss
                surface. There are none in other processes.

        Raises:
            TypeError, ValueError: for invalid data or parameters.
            TrainingDivergedError: if training diverges with a thousandth of the learning rate, too.
        """
        self._fit(self._prepared(X, y, sample_weight), callbacks)
        return self

    def _prepared(self, X: Any, y: Any, sample_weight: Any = None) -> Task:
        goes_on = self.warm_start and hasattr(self, "networks_")
        X, y, weights, used = self._read(X, y, sample_weight, goes_on)
        classes, targets = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"MLPClassifier: y: expected at least 2 classes, got one class: {classes.tolist()[0]!r}")
        if goes_on and classes.tolist() != self.classes_.tolist():
            raise ValueError(f"MLPClassifier: warm_start: y: expected the classes {self.classes_}, got {classes}")
        self.classes_: npt.NDArray[Any] = classes
        return self._task(X, targets, weights, used)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> MLPClassifier:
        """Train for one epoch of all these rows, without validation; the first call makes the networks.

        Inputs are scaled as in the first call, or as in the last `fit`. Rate and decay are those of that call too,
        unless they are given. The optimizer goes on where it was, with the same `solver`.

        Args:
            X: as for `fit`.
            y: likewise; not all classes need to occur.
            classes: all the classes; in the first call.
            sample_weight: a weight of 0 or more for each row; with a weight of 2, its gradient counts twice.

        Raises:
            TypeError, ValueError: for invalid data or parameters.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"MLPClassifier.partial_fit: class_weight: expected a dict or None, got {self.class_weight!r}, which "
                "needs all rows"
            )
        goes_on = hasattr(self, "networks_")
        X, y, weights, used = self._read(X, y, sample_weight, goes_on, by_mean=False)
        where = "MLPClassifier.partial_fit"
        if not goes_on:
            if classes is None:
                raise ValueError(f"{where}: classes: expected all classes in the first call, got None")
            self.classes_ = np.unique(classes)
            if len(self.classes_) < 2:
                raise ValueError(f"{where}: classes: expected at least 2 classes, got {self.classes_}")
        elif classes is not None and np.unique(classes).tolist() != self.classes_.tolist():
            raise ValueError(f"{where}: classes: expected {self.classes_} as before, got {np.unique(classes)}")
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"{where}: y: expected the classes {self.classes_}, got {unknown} among them")
        self._train_further(self._task(X, np.searchsorted(self.classes_, y), weights, used))
        self.temperature_ = 1.0
        return self

    def _with_class_weights(self, y: Any, weights: Vector | None) -> Vector | None:
        kinds = {type(label).__name__: row for row, label in reversed(list(enumerate(y.tolist())))}
        if len(kinds) > 1:
            places = " and ".join(f"{kind} (row {row})" for kind, row in sorted(kinds.items()))
            raise ValueError(f"MLPClassifier: y: expected labels of one type, and none missing, got {places}")
        check_classification_targets(y)
        if self.class_weight is None:
            return weights
        given = self._checked()["class_weight"]
        if given == "balanced" and weights is not None:  # by sums of weights, as by so many rows
            indices = np.unique(y, return_inverse=True)[1]
            sums = np.bincount(indices, weights)[indices]
            return weights / np.where(sums > 0.0, sums, 1.0)
        of_classes: Vector = compute_sample_weight(given, y)
        return of_classes if weights is None else of_classes * weights

    def _train(self, task: Task, watch: Watch | None) -> list[Trained]:
        trained = super()._train(task, watch)
        self.temperature_ = 1.0  # that of the networks before stays if this training is refused
        return trained

    def _task(self, X: Vector, targets: npt.NDArray[np.intp], weights: Vector | None, used: Rows | slice) -> Task:
        loss = functools.partial(loss_of_classes, self._outputs, self._checked()["label_smoothing"])
        return Task(self._encoded(X), self._standard(X), targets, weights, self._outputs, used, True, loss)

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each row.

        Args:
            X: an array or a DataFrame with the inputs of `fit`.

        Raises:
            NotFittedError: before `fit`.
            ValueError: for other inputs, or if an output of a network is not finite.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> Vector:
        """Return the probability of each class, in the order of `classes_`, for each row; see `predict`."""
        return self._blended(X)

    def _calibrate(self, outputs: Vector, targets: Any, weights: Vector | None) -> None:
        if self.calibrate:
            self.temperature_ = temperature_of(outputs, targets, weights)

    def _predictions(self, outputs: Vector, temperature: float | None = None) -> Vector:
        probabilities: Vector = softmax(outputs / (self.temperature_ if temperature is None else temperature), axis=1)
        return probabilities

    def _losses(self, predictions: Vector, targets: Any) -> Vector:
        of_true_class = predictions[np.arange(len(targets)), targets]
        losses: Vector = -np.log(np.maximum(of_true_class, np.finfo(float).tiny))
        return losses

    def predict_log_proba(self, X: Any) -> Vector:
        """Return the logarithms of the probabilities, -inf for a probability of 0; see `predict`."""
        with np.errstate(divide="ignore"):
            logarithms: Vector = np.log(self.predict_proba(X))
        return logarithms

    def _target_to_json(self) -> dict[str, Any]:
        return {**labels_to_json(self.classes_), "temperature": self.temperature_}

    def _set_target_from_json(self, document: Any) -> None:
        check_entry("target", document, {"classes": ANYTHING, "dtype": ANYTHING, "temperature": ABOVE_0})
        self.classes_ = labels_from_json("target", document["classes"], document["dtype"])
        self.temperature_ = document["temperature"]
