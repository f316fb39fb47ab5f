"""The training job: from a table and settings to a trained network with its scores, without touching a file."""

from __future__ import annotations

import itertools
import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from .. import losses
from ..engine import Value
from ..engine.vectors import Vector
from ..nn import MLP
from ..optim import LBFGS, OPTIMIZERS
from ..optim.optimizer import Optimizer
from ..plot import Trajectory
from ..tables.table import Table, counted, left_out
from ..train import TrainingDivergedError, fit
from ..train.batches import Samples
from ..train.evaluation import Loss
from ..train.history import History
from .predicting import Predictor
from .preprocessing import Preprocessing, Target, class_names, inspect_target, refuse_missing
from .run import Run
from .scores import behind_baseline, score_classes, score_numbers
from .settings import LBFGS_ITERATIONS, SCHEDULES, RunSettings, SettingsError, with_defaults

#: Maximum number of positions, and of numbers in all, that are kept of the path of the parameters.
_MOST_PLACES = 200
_MOST_NUMBERS = 2_000_000

MOST_PARAMETERS = 100_000
_HE_ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu", "softplus")


def train_on_table(
    table: Table,
    settings: RunSettings,
    source: str | None = None,
    progress: bool = True,
    say: Callable[[str], object] = lambda note: None,
) -> Run:
    """Train a network to predict a column of `table` from the others, and score it on rows held out.

    On one machine the same table and settings give the same network, to the bit.

    Args:
        table: the rows.
        settings: the user's choices.
        source: the file that the table came from.
        progress: whether to show a progress bar.
        say: called with each note, before training and after it.

    Raises:
        TableError: if the table cannot be used as it is.
        SettingsError: if the settings do not fit the table, or training diverged with them.
    """
    notes = list(table.notes)
    table = _complete(table, settings, notes)
    categorical = settings.target in settings.categorical
    target = inspect_target(table, settings.target, settings.task, categorical)
    undecided = settings.task is None and not categorical and len(target.classes) > 2
    if undecided and not np.isnan(table.numbers(target.name)).any():
        notes.append(
            f"The {len(target.classes)} different whole numbers in {target.name!r} were taken as classes; with "
            "--task regression they are a quantity."
        )
    train, test = _split(table, target, settings)
    preprocessing = Preprocessing.fit(table, target, settings.categorical, train)
    inputs, targets = preprocessing.features(table), preprocessing.targets(table)
    learned, held_out = (Samples(inputs[rows].tolist(), [targets[i] for i in rows]) for rows in (train, test))
    model = _network(preprocessing, settings)
    parameters = model.parameters()
    settings = with_defaults(settings, target.task, len(train), len(parameters), notes)
    for note in notes:
        say(note)
    started = time.perf_counter()
    places = min(_MOST_PLACES, max(1, _MOST_NUMBERS // len(parameters)))
    trajectory = Trajectory(parameters, every=math.ceil(settings.steps(len(train)) / places))
    try:
        history = _fit(model, learned, settings, trajectory, progress)
    except TrainingDivergedError as error:
        raise _diverged(settings, f"at {error.where} ({error.reason})") from None
    seconds = time.perf_counter() - started
    reported = len(notes)
    if history.interrupted:
        done = counted(len(history), "step")
        notes.append(f"Training was interrupted after {done}; the results are those of these steps.")
    trained = {"table": table.name, "rows": len(train), "steps": len(history), "interrupted": history.interrupted}
    predictor = Predictor(model, preprocessing, {"settings": asdict(settings), "trained": trained})
    predictions = predictor.predict_features(held_out.rows)
    if not np.isfinite(predictions.select_dtypes("number").to_numpy()).all():
        raise _diverged(settings, "(its answers to held-out rows are not finite numbers)")
    linear = linear_predictions(preprocessing.target, inputs[train], learned.targets, inputs[test])
    with np.errstate(over="ignore"):  # squares may overflow; the next condition finds that
        if target.classes:
            probabilities = predictions.drop(columns="predicted").to_numpy()
            scores = score_classes(learned.targets, held_out.targets, probabilities, target.classes, linear)
            true = [target.classes[index] for index in held_out.targets]
        else:
            numbers = table.numbers(target.name)
            scores = score_numbers(numbers[train], numbers[test], predictions["predicted"].to_numpy(), linear)
            true = numbers[test].tolist()
    predictor.details["scores"] = scores
    row_numbers = table.row_numbers
    predictions.insert(0, "row", [row_numbers[i] for i in test])
    predictions.insert(1, "true", true)
    run = Run(
        table.name, source, settings, predictor, history, predictions, learned, held_out.rows, trajectory, seconds,
        notes,
    )  # fmt: skip
    if not all(map(math.isfinite, (run.held_out_loss, *(run.scores[key] for key in run.scores["baseline"])))):
        raise _diverged(settings, "(the squares of its errors on held-out rows are not finite numbers)")
    behind = behind_baseline(run.scores)
    if behind:
        notes.append(f"On held-out rows the network is {behind}. {_advice(run)}")
    if run.behind_linear:
        simpler = "--hidden none trains a linear model, which is the simpler choice here."
        notes.append(f"On held-out rows the network is {run.behind_linear}. {simpler}")
    for note in notes[reported:]:
        say(note)
    return run


def _diverged(settings: RunSettings, how: str) -> SettingsError:
    decay = settings.weight_decay or 0.0
    strong = f", or a --weight-decay below {decay:g}" if decay > 1 else ""  # no default is above 1
    return SettingsError(
        f"--lr: training diverged {how}, and nothing was written; choose a rate below {settings.lr:g}{strong}"
    )


def _advice(run: Run) -> str:
    """Return advice, from the loss at the end of training and the loss of a constant prediction on the same rows."""
    if run.target.task == "regression":
        constant = 1.0  # the variance of a standardised target
    else:
        shares = [run.learned.targets.count(label) / run.train_rows for label in set(run.learned.targets)]
        constant = -sum(share * math.log(share) for share in shares)
    if run.history.epochs and run.history.epochs[-1].loss < constant:
        closely = "--optimizer adamw, since L-BFGS fits them closely, " if run.settings.optimizer == "lbfgs" else ""
        return (
            f"It does better on the rows that it was trained on: try {closely}a smaller --hidden, fewer --epochs, or "
            f"more rows; or the columns say little about {run.target.name!r}."
        )
    return "It has not learned the rows that it was trained on either: try a lower --lr, or more --epochs."


def _complete(table: Table, settings: RunSettings, notes: list[str]) -> Table:
    """Return the table without the columns to ignore, and without missing cells."""
    table.require(settings.target, *settings.categorical)
    table = table.without_columns(settings.ignore)
    if not settings.drop_missing:
        advice = "fill it in, or leave out such rows with --drop-missing, or such columns with --ignore"
        refuse_missing(table, table.columns, advice)
        return table
    complete = table.without_missing(table.columns)
    if len(complete) < len(table):
        notes.append(left_out(len(table) - len(complete), len(table)))
    return complete


def _split(table: Table, target: Target, settings: RunSettings) -> tuple[list[int], list[int]]:
    """Return the positions of the training rows and the held-out rows; each class has the same share in both."""
    from sklearn.model_selection import train_test_split

    rows, parts = len(table), max(2, len(target.classes))
    held_out = math.ceil(rows * settings.test_size)
    if held_out < parts or rows - held_out < parts:
        raise SettingsError(
            f"--test-size: {settings.test_size} of {rows} rows leaves {rows - held_out} to train on and {held_out} "
            f"held out; expected at least {parts} of each; choose another share, or add rows"
        )
    labels = class_names(table, target.name) if target.task == "classification" else None
    train, test = train_test_split(range(rows), test_size=held_out, random_state=settings.seed, stratify=labels)
    return list(train), sorted(test)


def _network(preprocessing: Preprocessing, settings: RunSettings) -> MLP:
    sizes = [len(preprocessing.inputs), *settings.hidden, max(1, len(preprocessing.target.classes))]
    parameters = sum((before + 1) * after for before, after in itertools.pairwise(sizes))
    if parameters > MOST_PARAMETERS:
        raise SettingsError(
            f"--hidden: a network of {parameters} parameters would take too long here; "
            f"choose sizes for at most {MOST_PARAMETERS}"
        )
    init = "he_uniform" if settings.activation in _HE_ACTIVATIONS else "glorot_uniform"
    return MLP(sizes[0], sizes[1:], settings.activation, init=init, rng=settings.seed)


def _fit(model: MLP, samples: Samples, settings: RunSettings, trajectory: Trajectory, progress: bool) -> History:
    parameters, lr, decay = model.parameters(), settings.lr or 0.0, settings.weight_decay or 0.0
    optimizer: Optimizer
    if settings.optimizer == "lbfgs":
        optimizer = PenalisedLBFGS(parameters, lr, decay)
    else:
        options = {"momentum": 0.9} if settings.optimizer == "sgd" else {}
        optimizer = OPTIMIZERS[settings.optimizer](parameters, lr=lr, weight_decay=decay, **options)
    return fit(
        model,
        samples.rows,
        samples.targets,
        loss=sample_loss(settings),
        metric=None if settings.task == "regression" else _accuracy,
        optimizer=optimizer,
        schedule=SCHEDULES[settings.schedule](optimizer, lr, settings.steps(len(samples))),
        epochs=settings.epochs or 1,
        batch_size=settings.batch_size,
        seed=settings.seed,
        callbacks=trajectory,
        progress=progress,
    )


def sample_loss(settings: RunSettings) -> Loss:
    """Return the loss of a sample, whose mean training lowers."""
    return losses.squared_error if settings.task == "regression" else losses.cross_entropy


class PenalisedLBFGS(LBFGS):
    """L-BFGS on the loss plus the penalty `(weight_decay / 2) ||p||^2`, which the other optimizers have built in.

    The penalty and its gradient are added as numbers: as Values, they would cost a pass over all parameters.
    """

    def __init__(self, parameters: list[Value], lr: float, weight_decay: float) -> None:
        super().__init__(parameters, lr, max_iter=LBFGS_ITERATIONS)
        self._weight_decay = weight_decay

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make some iterations; see `LBFGS.step`."""
        return super().step(closure and (lambda: self._with_penalty(closure())))

    def _with_penalty(self, loss: Any) -> Any:
        parameters = self.parameters()
        for p in parameters:
            p.grad += self._weight_decay * p.data
        return loss + 0.5 * self._weight_decay * math.fsum(p.data * p.data for p in parameters)


def linear_predictions(target: Target, inputs: Vector, known: Sequence[float], held_out: Vector) -> Vector | None:
    """Fit the linear model that a network is compared with, scikit-learn's, and predict held-out rows.

    Args:
        target: the target; LinearRegression predicts a number, LogisticRegression a class.
        inputs: the inputs of the network, one row per training row.
        known: the targets of the training rows, as the network got them.
        held_out: the inputs of the rows to predict.

    Returns:
        A number per row in the units of the table, or a row of probabilities, one per class. None if the training rows
        are all of one class, or if a prediction is not finite.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LinearRegression, LogisticRegression

    answers: Vector
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)  # more iterations would not improve it
        if target.task == "regression":
            answers = LinearRegression().fit(inputs, known).predict(held_out) * target.scale + target.mean
        elif len(set(known)) == 1:
            return None
        else:
            model = LogisticRegression(max_iter=1000).fit(inputs, known)
            answers = np.zeros((len(held_out), len(target.classes)))
            answers[:, model.classes_] = model.predict_proba(held_out)  # a rare class may not be in the training rows
        return answers if np.isfinite(answers).all() and np.isfinite(answers**2).all() else None


def _accuracy(predictions: list[Any], targets: list[Any]) -> float:
    right = [max(range(len(p)), key=p.__getitem__) == target for p, target in zip(predictions, targets)]
    return right.count(True) / len(right)
