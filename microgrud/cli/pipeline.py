"""The training job: from a table and settings to a trained network with its scores, without touching a file."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import losses
from ..engine import Value
from ..engine.vectors import Vector
from ..nn import MLP
from ..nn.activations import ACTIVATIONS
from ..optim import LBFGS, OPTIMIZERS, schedules
from ..optim.optimizer import Optimizer
from ..optim.schedules import Schedule
from ..plot import Trajectory
from ..train import TrainingDivergedError, fit
from ..train.evaluation import Loss
from ..train.history import History
from .linear import linear_predictions
from .predicting import Predictor
from .preprocessing import TASKS, Preprocessing, Target, Task, class_names, inspect_target, refuse_missing
from .scores import behind_baseline, behind_linear, figures, score_classes, score_numbers
from .tables import Table, closest, counted, left_out

if TYPE_CHECKING:
    import pandas as pd

#: The default learning rate of each optimizer, which suits standardised inputs and batches of 16.
LEARNING_RATES = {"adam": 0.01, "adamw": 0.01, "adagrad": 0.05, "rmsprop": 0.005, "sgd": 0.05, "lbfgs": 1.0}
SCHEDULES = ("constant", "cosine", "exponential", "one-cycle", "plateau", "step", "warmup")

#: The default number of epochs. A small table gets more, for at least LEAST_STEPS steps; a large one gets fewer, for at
#: most MOST_WORK samples times parameters. Measured, a parameter costs 1 to 2 us a sample, forward and backward: so
#: training takes a minute or two at most.
DEFAULT_EPOCHS = 60
LEAST_STEPS = 480
MOST_WORK = 50_000_000
MOST_PARAMETERS = 100_000

#: Maximum number of positions, and of numbers in all, that are kept of the path of the parameters.
_MOST_PLACES = 200
_MOST_NUMBERS = 2_000_000

#: Epochs, and iterations per epoch, of L-BFGS: each iteration uses all rows; more would only overfit a small table.
LBFGS_EPOCHS = 5
LBFGS_ITERATIONS = 4

#: The default weight decay times the number of training rows: with more rows, a Gaussian prior on the weights counts
#: for less. AdamW's decay is not scaled with the gradient, so that its unit differs from that of the L2 penalty of the
#: other optimizers. A standardised number, which may be mostly noise, needs a larger penalty than classes. Measured
#: with layers of 16 and 8 on scikit-learn's tables and on synthetic ones of 60 to 600 rows, seeds 0 to 9: on diabetes,
#: where layers of 16 and 16 and a decay of 75 lost to a linear model, these defaults do not lose, and where there is
#: more to learn than a line they cost hardly any accuracy.
_ADAMW_TIMES_ROWS = 90.0
_PENALTY_TIMES_ROWS = {"regression": 7.0, "classification": 1.0}

_HE_ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu", "softplus")


class SettingsError(ValueError):
    """An invalid setting; the message is one line and says what was expected."""


@dataclass(frozen=True)
class Settings:
    """The settings of a training run.

    Args:
        target: the column to predict.
        task: `"classification"`, `"regression"`, or None to decide by the target.
        hidden: the number of neurons in each hidden layer; without any, the model is linear.
        activation: the activation of the hidden layers.
        optimizer: a name in `OPTIMIZERS`.
        lr: the learning rate; None for the one that suits the optimizer.
        schedule: the schedule of the rate, a name in `SCHEDULES`.
        weight_decay: how strongly weights are pulled to zero; None for a strength that falls with the number of rows.
        epochs: the number of passes over the training rows; None for a number that suits the table.
        batch_size: rows per step; None for 16, or with L-BFGS all of them.
        test_size: the share of rows to hold out.
        seed: the seed of the split, the initial weights and the shuffling.
        ignore: columns to leave out.
        categorical: columns of numbers to treat as categories.
        drop_missing: whether to leave out rows with missing cells, which are an error otherwise.
        delimiter: the character between cells; None if it was detected from the header.

    Raises:
        SettingsError: for invalid settings.
    """

    target: str
    task: Task | None = None
    hidden: tuple[int, ...] = (16, 8)
    activation: str = "tanh"
    optimizer: str = "adamw"
    lr: float | None = None
    schedule: str = "cosine"
    weight_decay: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    test_size: float = 0.2
    seed: int = 0
    ignore: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    drop_missing: bool = False
    delimiter: str | None = None

    def __post_init__(self) -> None:
        for option, name, known in (
            ("--activation", self.activation, tuple(ACTIVATIONS)),
            ("--optimizer", self.optimizer, tuple(OPTIMIZERS)),
            ("--schedule", self.schedule, SCHEDULES),
            ("--task", self.task, (None, *TASKS)),
        ):
            if name not in known:
                raise SettingsError(f"{option}: there is no {name!r}{closest(str(name), filter(None, known))}")
        sizes, lr, decay = ",".join(map(str, self.hidden)), self.lr, self.weight_decay
        for option, ok, wanted, value in (
            ("--hidden", all(size >= 1 for size in self.hidden), "sizes of at least 1, such as 16,8, or none", sizes),
            ("--lr", lr is None or 0 < lr < math.inf, "a number above 0", lr),
            ("--weight-decay", decay is None or 0 <= decay < math.inf, "a number of at least 0", decay),
            ("--epochs", self.epochs is None or self.epochs >= 1, "at least 1", self.epochs),
            ("--batch-size", self.batch_size is None or self.batch_size >= 1, "at least 1", self.batch_size),
            ("--test-size", 0 < self.test_size < 1, "a share between 0 and 1, such as 0.2", self.test_size),
            ("--seed", 0 <= self.seed < 2**32, f"a whole number from 0 to {2**32 - 1}", self.seed),
        ):
            if not ok:
                raise SettingsError(f"{option}: expected {wanted}, got {value}")
        if self.target in self.ignore:
            raise SettingsError(f"--ignore: {self.target!r} is the target, which cannot be left out")

    def steps_per_epoch(self, rows: int) -> int:
        """Return the number of batches for `rows` training rows."""
        return math.ceil(rows / (self.batch_size or rows))

    def steps(self, rows: int) -> int:
        """Return the number of steps in a whole run with `rows` training rows."""
        return (self.epochs or 1) * self.steps_per_epoch(rows)


@dataclass(frozen=True)
class Run:
    """A finished training run.

    Args:
        table_name: the name of the table.
        source: the file that the user gave, None for iris.
        settings: the settings, with a value for each None.
        predictor: the network with its preprocessing, settings and scores.
        history: the course of the training.
        predictions: one row per held-out row: its number in the table, the true target, and the prediction.
        inputs: the inputs of the network for each training row.
        targets: the target for each training row: an index of a class, or a standardised number.
        held_out: the inputs for each held-out row.
        trajectory: the path of the parameters.
        seconds: the duration of training.
        notes: remarks for the reader of the results.
    """

    table_name: str
    source: str | None
    settings: Settings
    predictor: Predictor
    history: History
    predictions: pd.DataFrame
    inputs: list[list[float]]
    targets: list[Any]
    held_out: list[list[float]]
    trajectory: Trajectory
    seconds: float
    notes: list[str]

    @property
    def scores(self) -> dict[str, Any]:
        """Return the scores on held-out rows."""
        scores: dict[str, Any] = self.predictor.details["scores"]
        return scores

    @property
    def target(self) -> Target:
        """Return the target column."""
        return self.predictor.preprocessing.target

    @property
    def train_rows(self) -> int:
        """Return the number of training rows."""
        return len(self.inputs)

    @property
    def steps_per_epoch(self) -> int:
        """Return the number of batches in an epoch."""
        return self.settings.steps_per_epoch(self.train_rows)

    @property
    def held_out_loss(self) -> float:
        """Return the loss on held-out rows, in the units of the loss curve."""
        if self.target.task == "classification":
            return float(self.scores["log_loss"])
        error = float(self.scores["rmse"]) / self.target.scale
        return error * error  # `error**2` would raise if it is too large

    @property
    def title(self) -> str:
        """Return the title of the report."""
        return f"{self.table_name}: predicting {self.target.name}"

    @property
    def score_columns(self) -> dict[str, dict[str, Any]]:
        """Return the scores of the network, of the linear model if there is one, and of the baseline, by name."""
        baseline = "most frequent class" if self.target.task == "classification" else "mean"
        linear = {"linear model": self.scores["linear"]} if "linear" in self.scores else {}
        return {"network": self.scores, **linear, baseline: self.scores["baseline"]}

    @property
    def behind_linear(self) -> str:
        """Say by how much the network is behind a linear model; empty if it is not, or is linear itself."""
        return behind_linear(self.scores) if self.settings.hidden else ""

    @property
    def summary(self) -> str:
        """Return the result in a sentence or two."""
        rows, scores = len(self.predictions), self.scores
        if self.target.task == "classification":
            right = round(scores["accuracy"] * rows)
            result = (
                f"The network is right on {right} of {rows} held-out rows, an accuracy of {scores['accuracy']:.1%}. "
                f"Always answering the most frequent class would reach {scores['baseline']['accuracy']:.1%}"
                + (f", a linear model {scores['linear']['accuracy']:.1%}." if "linear" in scores else ".")
            )
        else:
            explained = f"{scores['r2']:.1%}" if scores["r2"] > 0 else "none"
            result = (
                f"On {rows} held-out rows the network is off by {figures(scores['mae'])} on average, and explains "
                f"{explained} of the variance. Always answering the mean would be off by "
                f"{figures(scores['baseline']['mae'])}"
                + (f", a linear model by {figures(scores['linear']['mae'])}." if "linear" in scores else ".")
            )
        behind = ", and ".join(filter(None, (behind_baseline(scores), self.behind_linear)))
        return f"{result} The network is {behind}." if behind else result


def train_on_table(
    table: Table,
    settings: Settings,
    source: str | None = None,
    progress: bool = True,
    say: Callable[[str], object] | None = None,
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
    target = inspect_target(table, settings.target, settings.task, settings.target in settings.categorical)
    if settings.task is None and settings.target not in settings.categorical and _could_be_a_quantity(table, target):
        notes.append(
            f"The {len(target.classes)} different whole numbers in {target.name!r} were taken as classes; with "
            "--task regression they are a quantity."
        )
    train, test = _split(table, target, settings)
    preprocessing = Preprocessing.fit(table, target, settings.categorical, train)
    inputs, targets = preprocessing.features(table), preprocessing.targets(table)
    features = inputs.tolist()
    learned, held_out = [features[i] for i in train], [features[i] for i in test]
    model = _network(preprocessing, settings)
    settings = _with_defaults(settings, target, len(train), len(model.parameters()), notes)
    say = say or (lambda note: None)
    for note in notes:
        say(note)
    started = time.perf_counter()
    known = [targets[i] for i in train]
    parameters = model.parameters()
    places = min(_MOST_PLACES, max(1, _MOST_NUMBERS // len(parameters)))
    trajectory = Trajectory(parameters, every=math.ceil(settings.steps(len(train)) / places))
    try:
        history = _fit(model, learned, known, settings, trajectory, progress)
    except TrainingDivergedError as error:
        raise _diverged(settings, f"at {error.where} ({error.reason})") from None
    seconds = time.perf_counter() - started
    reported = len(notes)
    if history.interrupted:
        done = counted(len(history), "step")
        notes.append(f"Training was interrupted after {done}; the results are those of these steps.")
    trained = {"table": table.name, "rows": len(train), "steps": len(history), "interrupted": history.interrupted}
    predictor = Predictor(model, preprocessing, {"settings": asdict(settings), "trained": trained})
    predictions = predictor.predict_features(held_out)
    if not np.isfinite(predictions.select_dtypes("number").to_numpy()).all():
        raise _diverged(settings, "(its answers to held-out rows are not finite numbers)")
    linear = linear_predictions(preprocessing.target, inputs[train], known, inputs[test])
    with np.errstate(over="ignore"):  # squares may overflow; the next condition finds that
        predictor.details["scores"] = _scores(table, preprocessing.target, targets, train, test, predictions, linear)
    numbers = table.row_numbers
    predictions.insert(0, "row", [numbers[i] for i in test])
    predictions.insert(1, "true", _true_targets(table, target, test))
    run = Run(
        table.name, source, settings, predictor, history, predictions, learned, known, held_out, trajectory, seconds,
        notes,
    )  # fmt: skip
    if not all(map(math.isfinite, (run.held_out_loss, *(run.scores[key] for key in run.scores["baseline"])))):
        raise _diverged(settings, "(the squares of its errors on held-out rows are not finite numbers)")
    behind = behind_baseline(run.scores)
    if behind:
        notes.append(f"On held-out rows the network is {behind}. {_advice(run, known)}")
    if run.behind_linear:
        simpler = "--hidden none trains a linear model, which is the simpler choice here."
        notes.append(f"On held-out rows the network is {run.behind_linear}. {simpler}")
    for note in notes[reported:]:
        say(note)
    return run


def _diverged(settings: Settings, how: str) -> SettingsError:
    decay = settings.weight_decay or 0.0
    strong = f", or a --weight-decay below {decay:g}" if decay > 1 else ""  # no default is above 1
    return SettingsError(
        f"--lr: training diverged {how}, and nothing was written; choose a rate below {settings.lr:g}{strong}"
    )


def _advice(run: Run, known: Sequence[float]) -> str:
    """Return advice, from the loss at the end of training and the loss of a constant prediction on the same rows."""
    if run.target.task == "regression":
        constant = 1.0  # the variance of a standardised target
    else:
        shares = [known.count(label) / len(known) for label in set(known)]
        constant = -sum(share * math.log(share) for share in shares)
    if run.history.epochs and run.history.epochs[-1].loss < constant:
        closely = "--optimizer adamw, since L-BFGS fits them closely, " if run.settings.optimizer == "lbfgs" else ""
        return (
            f"It does better on the rows that it was trained on: try {closely}a smaller --hidden, fewer --epochs, or "
            f"more rows; or the columns say little about {run.target.name!r}."
        )
    return "It has not learned the rows that it was trained on either: try a lower --lr, or more --epochs."


def _complete(table: Table, settings: Settings, notes: list[str]) -> Table:
    """Return the table without the columns to ignore, and without missing cells."""
    table.require(settings.target, *settings.categorical)
    table = table.without_columns(settings.ignore)
    if not settings.drop_missing:
        refuse_missing(
            table,
            table.columns,
            "fill it in, or leave out such rows with --drop-missing, or such columns with --ignore",
        )
        return table
    complete = table.without_missing(table.columns)
    if len(complete) < len(table):
        notes.append(left_out(len(table) - len(complete), len(table)))
    return complete


def _could_be_a_quantity(table: Table, target: Target) -> bool:
    """Return whether the classes are numbers, and more than two."""
    return len(target.classes) > 2 and not np.isnan(table.numbers(target.name)).any()


def _split(table: Table, target: Target, settings: Settings) -> tuple[list[int], list[int]]:
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


def _network(preprocessing: Preprocessing, settings: Settings) -> MLP:
    sizes = [len(preprocessing.inputs), *settings.hidden, max(1, len(preprocessing.target.classes))]
    parameters = sum((before + 1) * after for before, after in itertools.pairwise(sizes))
    if parameters > MOST_PARAMETERS:
        raise SettingsError(
            f"--hidden: a network of {parameters} parameters would take too long here; "
            f"choose sizes for at most {MOST_PARAMETERS}"
        )
    init = "he_uniform" if settings.activation in _HE_ACTIVATIONS else "glorot_uniform"
    return MLP(sizes[0], sizes[1:], settings.activation, init=init, rng=settings.seed)


def _with_defaults(settings: Settings, target: Target, rows: int, parameters: int, notes: list[str]) -> Settings:
    """Return the settings with every None replaced by a value that suits the table."""
    whole = settings.optimizer == "lbfgs"
    batch_size = min(settings.batch_size or (rows if whole else 16), rows)
    epochs = settings.epochs
    if epochs is None:
        wanted = LBFGS_EPOCHS if whole else max(DEFAULT_EPOCHS, math.ceil(LEAST_STEPS / math.ceil(rows / batch_size)))
        passes = LBFGS_ITERATIONS + 2 if whole else 1
        epochs = min(wanted, max(1, MOST_WORK // (rows * parameters * passes)))
        if epochs < wanted:
            notes.append(f"The table is large: {epochs} epochs rather than {wanted}; --epochs chooses another number.")
    decay = settings.weight_decay
    if decay is None:
        adamw = settings.optimizer == "adamw"
        decay = min(1.0, (_ADAMW_TIMES_ROWS if adamw else _PENALTY_TIMES_ROWS[target.task]) / rows)
    lr = settings.lr or LEARNING_RATES[settings.optimizer]
    return replace(settings, task=target.task, lr=lr, epochs=epochs, batch_size=batch_size, weight_decay=decay)


def _fit(
    model: MLP,
    features: list[list[float]],
    targets: Sequence[float],
    settings: Settings,
    trajectory: Trajectory,
    progress: bool,
) -> History:
    parameters, lr, decay = model.parameters(), settings.lr or 0.0, settings.weight_decay or 0.0
    optimizer: Optimizer
    if settings.optimizer == "lbfgs":
        optimizer = PenalisedLBFGS(parameters, lr, decay)
    else:
        options = {"momentum": 0.9} if settings.optimizer == "sgd" else {}
        optimizer = OPTIMIZERS[settings.optimizer](parameters, lr=lr, weight_decay=decay, **options)
    return fit(
        model,
        features,
        targets,
        loss=sample_loss(settings),
        metric=None if settings.task == "regression" else _accuracy,
        optimizer=optimizer,
        schedule=_schedule(settings, optimizer, len(features)),
        epochs=settings.epochs or 1,
        batch_size=settings.batch_size,
        seed=settings.seed,
        callbacks=trajectory,
        progress=progress,
    )


def sample_loss(settings: Settings) -> Loss:
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


def _accuracy(predictions: list[Any], targets: list[Any]) -> float:
    right = [max(range(len(p)), key=p.__getitem__) == target for p, target in zip(predictions, targets)]
    return right.count(True) / len(right)


def _schedule(settings: Settings, optimizer: Optimizer, rows: int) -> Schedule | None:
    """Return the schedule for the whole run; None for a constant rate."""
    rate, steps = settings.lr or 0.0, settings.steps(rows)
    makers: dict[str, Callable[[], Schedule]] = {
        "cosine": lambda: schedules.CosineAnnealingLR(optimizer, steps, interval="step"),
        "exponential": lambda: schedules.ExponentialLR(optimizer, 0.01 ** (1 / steps), interval="step"),
        "one-cycle": lambda: schedules.OneCycleLR(optimizer, rate, steps),
        "plateau": lambda: schedules.ReduceLROnPlateau(optimizer, patience=5),
        "step": lambda: schedules.StepLR(optimizer, max(1, steps // 3), interval="step"),
        "warmup": lambda: schedules.LinearWarmup(optimizer, max(1, steps // 10)),
    }
    return None if settings.schedule == "constant" else makers[settings.schedule]()


def _true_targets(table: Table, target: Target, rows: list[int]) -> list[Any]:
    column = class_names(table, target.name) if target.classes else table.numbers(target.name).tolist()
    return [column[i] for i in rows]


def _scores(
    table: Table,
    target: Target,
    targets: Sequence[Any],
    train: list[int],
    test: list[int],
    predictions: pd.DataFrame,
    linear: Vector | None,
) -> dict[str, Any]:
    if target.task == "regression":
        known, true = _true_targets(table, target, train), _true_targets(table, target, test)
        return score_numbers(known, true, predictions["predicted"].tolist(), linear)
    known, true = [targets[i] for i in train], [targets[i] for i in test]
    probabilities = predictions[[f"probability {name}" for name in target.classes]].to_numpy()
    return score_classes(known, true, probabilities, target.classes, linear)
