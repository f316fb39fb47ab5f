"""The training of one network of an estimator, which may happen in another process."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.grad_mode import enable_grad
from ..engine.vectors import Vector, add_to_gradients, read_data, write_data
from ..nn import MLP
from ..optim import LBFGS, OPTIMIZERS
from ..optim.optimizer import Optimizer
from ..train import EarlyStopping, History, TrainingDivergedError, TrainingEvent, fit
from ..train.evaluation import Loss
from ..train.events import Callback
from .linear import LinearModel
from .networks import make_network
from .settings import SCHEDULES, Settings

#: Positions of rows.
Rows = npt.NDArray[np.intp]
#: Makes callbacks of `fit` for a network, before its first step.
Watch = Callable[[MLP], "Callback | Iterable[Callback]"]
#: The number of times that a diverged training starts again, and the factor of its learning rate each time.
_RETRIES, _LOWER = 3, 0.1


@dataclass(frozen=True)
class Task:
    """The data of an estimator, as its networks get them, and the loss of a sample.

    Attributes:
        inputs: an array with one row per sample.
        standard: likewise, the inputs of a linear model.
        targets: an array with the target of each sample: the index of its class, or one number per output.
        weights: the weight of each sample; None if all are equal.
        outputs: the number of outputs of the network.
        used: the positions of these samples among those that were given.
        has_classes: whether the targets are classes.
        loss: makes the loss of a sample, and its target for each sample, of targets and weights.
    """

    inputs: Vector
    standard: Vector
    targets: npt.NDArray[Any]
    weights: Vector | None
    outputs: int
    used: Rows | slice
    has_classes: bool
    loss: Callable[[npt.NDArray[Any], Vector | None], tuple[Loss, list[Any]]]

    def linear_models(self, rows: Rows) -> list[LinearModel]:
        """Fit linear models to some rows, one with whole tails, and one with tails drawn in."""
        classes = self.outputs if self.has_classes else None
        given = self.standard[rows], self.targets[rows], self._weights(rows), classes
        return [LinearModel.fitted(has_tails, *given) for has_tails in (True, False)]

    def data(self, rows: Rows) -> tuple[Loss, Vector, list[Any]]:
        """Return the loss, and the inputs and targets of some rows; their weights are scaled to a mean of 1."""
        loss, targets = self.loss(self.targets[rows], self._weights(rows))
        return loss, self.inputs[rows], targets

    def _weights(self, rows: Rows) -> Vector | None:
        return None if self.weights is None else self.weights[rows] / self.weights[rows].mean()


@dataclass(frozen=True)
class Trained:
    """The result of the training of one network.

    Attributes:
        parameters: the parameters as a vector.
        history: the history of `fit`.
        validation: the positions of the rows that were set aside for validation.
        linear: linear models of the same training rows, of which the estimator may choose one; none without a blend.
        cut: whether `max_seconds` ended the training.
        remarks: sentences for the user, on each start with a lower rate.
        optimizer: the state of the optimizer, if training may go on.
    """

    parameters: Vector
    history: History
    validation: Rows
    linear: list[LinearModel] = field(default_factory=list)
    cut: bool = False
    remarks: list[str] = field(default_factory=list)
    optimizer: dict[str, Any] | None = None


def make_optimizer(network: MLP, settings: Settings) -> Optimizer:
    """Make the optimizer of a network's parameters."""
    parameters, rate = network.parameters(), settings.learning_rate_init
    if settings.solver == "lbfgs":
        return PenalisedLBFGS(parameters, rate, settings.alpha)
    options = {"momentum": 0.9} if settings.solver == "sgd" else {}
    return OPTIMIZERS[settings.solver](parameters, lr=rate, weight_decay=settings.alpha, **options)


class PenalisedLBFGS(LBFGS):
    """L-BFGS on the loss plus the penalty `(weight_decay / 2) ||p||^2`, which the other optimizers have built in.

    The penalty and its gradient are added as numbers: as Values, they would cost a pass over all parameters.
    """

    def __init__(self, parameters: list[Any], lr: float, weight_decay: float) -> None:
        super().__init__(parameters, lr, max_iter=4)
        self._weight_decay = weight_decay

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make some iterations; see `LBFGS.step`."""
        return super().step(closure and (lambda: self._with_penalty(closure())))

    def _with_penalty(self, loss: Any) -> Any:
        parameters = self.parameters()
        data = read_data(parameters)
        add_to_gradients(parameters, self._weight_decay * data)
        return loss + 0.5 * self._weight_decay * float(data @ data)


def validation_rows(task: Task, settings: Settings, members: int, seed: int) -> list[Rows]:
    """Return for each network the positions of the rows on which it is validated; none without validation.

    The rows are divided into folds in which classes keep their shares, and each network has another fold, as in
    cross-validation: so several networks together are validated on all rows. When there are more networks than folds,
    the rows are divided anew.
    """
    rows = np.arange(len(task.inputs))
    if settings.validation_fraction is None:
        return [rows[:0]] * members
    count = min(len(rows), max(2, round(1.0 / settings.validation_fraction)))
    generator = np.random.default_rng(seed)
    found: list[Rows] = []
    while len(found) < members:
        if settings.shuffle:
            order = generator.permutation(rows)
            if task.has_classes:
                order = order[np.argsort(task.targets[order], kind="stable")]
            found += [np.sort(order[fold::count]) for fold in range(count)]
        else:
            found += np.array_split(rows, count)[::-1]
    return found[:members]


@enable_grad()
def train(
    task: Task, settings: Settings, seed: int, held_out: Rows, start: Vector | None = None, watch: Watch | None = None
) -> Trained:
    """Train one network. If training diverges, it starts again with a tenth of the rate, up to three times.

    Args:
        task: the data.
        settings: the settings of the run.
        seed: the seed of the initial weights and the order of the rows.
        held_out: the positions of the rows to validate on; training uses the others.
        start: the parameters to start from, in place of initial weights.
        watch: makes callbacks for the network.

    Raises:
        TrainingDivergedError: if it still diverges with a thousandth of the rate.
    """
    limit = TimeLimit(settings.max_seconds)
    return with_retries(settings, lambda used: _train(task, used, seed, held_out, start, watch, limit))


def with_retries(settings: Settings, attempt: Callable[[Settings], Trained]) -> Trained:
    """Return the result of `attempt`; if training diverges, call it again with a tenth of the rate, up to three times.

    Raises:
        TrainingDivergedError: if it still diverges with a thousandth of the rate.
    """
    remarks: list[str] = []
    while True:
        try:
            return replace(attempt(settings), remarks=remarks)
        except TrainingDivergedError as error:  # noqa: PERF203 - four times at most
            if len(remarks) == _RETRIES:
                raise
            rate = settings.learning_rate_init
            settings = replace(settings, learning_rate_init=rate * _LOWER)
            remarks.append(
                f"training diverged at {error.where} ({error.reason}), and started again with the learning rate "
                f"{settings.learning_rate_init:g} in place of {rate:g}"
            )


def _train(
    task: Task,
    settings: Settings,
    seed: int,
    held_out: Rows,
    start: Vector | None,
    watch: Watch | None,
    limit: TimeLimit,
) -> Trained:
    network = _started(task, settings, seed, start)
    learned = np.setdiff1d(np.arange(len(task.inputs)), held_out)
    optimizer = make_optimizer(network, settings)
    steps = settings.max_iter * math.ceil(len(learned) / settings.batch_size)
    stopping = EarlyStopping(settings.n_iter_no_change, settings.tol) if len(held_out) else None
    given = [] if watch is None else watch(network)
    loss, *data = task.data(learned)
    history = fit(
        network,
        *data,
        loss=loss,
        optimizer=optimizer,
        seed=seed,
        epochs=settings.max_iter,
        validation=task.data(held_out)[1:] if len(held_out) else None,
        schedule=SCHEDULES[settings.learning_rate](optimizer, settings.learning_rate_init, steps),
        early_stopping=stopping,
        callbacks=[*([given] if callable(given) else given), limit],
        **settings.fit_options,
    )
    parameters = network.parameters()
    if stopping is not None:  # `fit` does that too, but not after an interrupt or a limit of time
        stopping.restore(parameters)
    linear = task.linear_models(learned) if settings.blend_linear and len(held_out) else []
    return Trained(read_data(parameters), history, held_out, linear, limit.is_over)


@enable_grad()
def train_further(
    task: Task, settings: Settings, seed: int, start: Vector | None, state: Mapping[str, Any] | None
) -> Trained:
    """Train a network for one epoch over all rows, from the parameters and the state of the optimizer that it had."""
    network = _started(task, settings, seed, start)
    optimizer = make_optimizer(network, settings)
    if state is not None:
        group = optimizer.param_groups[0]
        given = {name: group[name] for name in optimizer.settings}
        optimizer.load_state_dict(state)
        group.update(given)  # in place of the settings of the last call
    loss, targets = task.loss(task.targets, task.weights)
    options = {"loss": loss, "optimizer": optimizer, "seed": seed, **settings.fit_options}
    history = fit(network, task.inputs, targets, epochs=1, **options)
    return Trained(read_data(network.parameters()), history, np.arange(0), optimizer=optimizer.state_dict())


def _started(task: Task, settings: Settings, seed: int, start: Vector | None) -> MLP:
    network = make_network(task.inputs.shape[1], task.outputs, settings, seed)
    if start is not None:
        write_data(network.parameters(), start)
    return network


class TimeLimit:
    """A callback that stops `fit` once some seconds have passed; never if None."""

    def __init__(self, seconds: float | None) -> None:
        self.end = math.inf if seconds is None else time.perf_counter() + seconds
        self.is_over = False

    def __call__(self, event: TrainingEvent) -> None:
        """Stop training if the time is over."""
        if time.perf_counter() >= self.end:
            self.is_over = True
            event.stop()
