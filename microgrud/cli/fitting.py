"""Train a pipeline on some rows of a table, and let it and two simpler models answer for other rows."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline

from ..engine.vectors import Vector
from ..nn import MLP
from ..plot import Trajectory
from ..sklearn import MLPClassifier, MLPRegressor
from ..sklearn.settings import settings_for
from ..sklearn.sharded import Sample, ShardedFit, settings_of
from ..sklearn.shards import Census
from ..tables.kinds import Findings
from ..tables.preparation import TablePreparation
from ..tables.table import counted
from ..tables.target import Target
from ..train import TrainingDivergedError
from .settings import RunSettings, SettingsError

Rows = npt.NDArray[np.intp]
#: Maximum number of positions, and of numbers in all, that are kept of the path of the parameters.
_MOST_PLACES = 200
_MOST_NUMBERS = 2_000_000
#: From so many rows and seconds on, networks are trained by several processes, which take two seconds to start.
_ROWS_FOR_PROCESSES, _SECONDS_FOR_PROCESSES = 2_000, 20.0


@dataclass(frozen=True)
class Data:
    """The rows whose target is known.

    Attributes:
        cells: their cells without the target.
        values: the target, class names or numbers.
        target: the column to predict.
        preparation: an unfitted preparation, with the options that were chosen.
        decided: the kinds of the columns, by all rows of the table.
    """

    cells: pd.DataFrame
    values: Vector
    target: Target
    preparation: TablePreparation
    decided: Findings

    def prepared(self, rows: Rows) -> TablePreparation:
        """Return a preparation that has learned from some rows; the kinds of the columns are those of all rows."""
        preparation: TablePreparation = clone(self.preparation)
        return preparation.fit(self.cells.iloc[rows], self.values[rows], self.decided)

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def numbers(self) -> Vector:
        """Return the index of the class of each row, or its number."""
        if self.target.task == "regression":
            return self.values
        index = {name: k for k, name in enumerate(self.target.classes)}
        return np.array([index[name] for name in self.values.tolist()], dtype=np.intp)


@dataclass(frozen=True)
class Fitted:
    """A pipeline trained on some rows.

    Attributes:
        pipeline: the steps `"preparation"` and `"network"`.
        rows: the positions of the training rows.
        held_out: the positions of rows that it has not seen.
        inputs: the prepared inputs of the training rows.
        trajectory: the path of the parameters of the first network.
        remarks: sentences on what happened in training.
        census: the numbers of rows of a table on a cluster, of which `rows` and `held_out` are a sample.
    """

    pipeline: Pipeline
    rows: Rows
    held_out: Rows
    inputs: Vector
    trajectory: Trajectory | None
    remarks: list[str]
    census: Census | None = None

    @property
    def train_rows(self) -> int:
        """Return the number of training rows, also those of which this process has no more than a sample."""
        return len(self.rows) if self.census is None else self.census.training

    @property
    def preparation(self) -> Any:
        """Return the first step of the pipeline."""
        return self.pipeline["preparation"]

    @property
    def network(self) -> Any:
        """Return the last step of the pipeline."""
        return self.pipeline["network"]

    @property
    def interrupted(self) -> bool:
        """Return whether Ctrl-C ended the training."""
        return is_interrupted(self.network)


def is_interrupted(network: Any) -> bool:
    """Return whether Ctrl-C ended the training of an estimator."""
    # While other processes train, it ends none of the networks that are kept: some others are lacking.
    lacks_some = len(network.networks_) < network.n_estimators and not network.time_limited_
    return lacks_some or any(history.interrupted for history in network.histories_)


def new_network(data: Data, settings: RunSettings, **changes: Any) -> Any:
    """Return an untrained estimator with the parameters that were chosen, and with `changes` of them."""
    kind = MLPClassifier if data.target.task == "classification" else MLPRegressor
    long = settings.time is None or settings.time >= _SECONDS_FOR_PROCESSES
    jobs = -1 if long and len(data) >= _ROWS_FOR_PROCESSES else None
    return kind(**{**settings.parameters(), "n_jobs": jobs, **changes})


def fit_network(
    data: Data,
    preparation: TablePreparation,
    division: tuple[Rows, Rows],
    settings: RunSettings,
    seconds: float | None = None,
    progress: bool = False,
    watched: bool = False,
    sharded: ShardedFit | None = None,
) -> Fitted:
    """Train on some rows.

    Args:
        data: the table.
        preparation: a preparation that has learned from the training rows.
        division: the positions of the training rows, and of rows that the network is not to see.
        settings: the settings that were chosen.
        seconds: the limit of time.
        progress: whether to show a progress bar.
        watched: whether to record the path of the parameters.
        sharded: the training on the rows that the workers of a cluster read, of which `data` is a sample.

    Raises:
        SettingsError: if training diverges, or if all rows are of one class.
    """
    rows, held_out = division
    inputs, values = preparation.transform(data.cells.iloc[rows]), data.values[rows]
    if data.target.task == "classification" and len(set(values)) == 1:
        option, advice = ("--cv", "leave it out") if settings.cv else ("--test-size", "choose a smaller share")
        raise SettingsError(
            f"{option}: some rows to train on are all of the class {values[0]!r}; {advice}, or add rows of others"
        )
    network = new_network(data, settings, verbose=progress, max_seconds=seconds)
    trajectories: list[Trajectory] = []
    census = None

    def watch(model: MLP) -> Trajectory:
        learned = len(inputs) if sharded is None else sharded.learned
        used = (settings_for if sharded is None else settings_of)(network._checked(), learned)
        steps = used.max_iter * math.ceil(learned / used.batch_size)
        places = min(_MOST_PLACES, max(1, _MOST_NUMBERS // len(model.parameters())))
        trajectories[:] = [Trajectory(model.parameters(), every=math.ceil(steps / places))]
        return trajectories[0]

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            if sharded is None:
                network.fit(inputs, values, callbacks=watch if watched else None)
            else:
                sample = Sample(inputs, values, data.cells.index[rows].to_numpy())
                census = sharded.fit(network, preparation, data.target, sample, watch)
        except TrainingDivergedError as error:
            raise diverged(settings, f"at {error.where} ({error.reason})") from None
    remarks = _remarks(network, [str(warning.message) for warning in caught])
    network.set_params(verbose=False, max_seconds=settings.time)
    pipeline = Pipeline([("preparation", preparation), ("network", network)])
    trajectory = trajectories[0] if trajectories else None
    return Fitted(pipeline, rows, held_out, inputs, trajectory, remarks, census)


def _remarks(network: Any, texts: list[str]) -> list[str]:
    """Return the warnings of an estimator, and a remark if it had no time, in the words of the command line."""
    origin = f"{type(network).__name__}: "
    remarks = [_sentence(text.removeprefix(origin)) for text in texts if text.startswith(origin)]
    if network.time_limited_ and not any(history.epochs for history in network.histories_):
        share = 1.0 - network.network_share_
        state = f"the share of linear models in the predictions is {share:.0%}" if share else "the network knows little"
        remarks.append(f"No epoch ended within the limit of time: {state}; choose a longer --time.")
    return remarks


def diverged(settings: RunSettings, how: str) -> SettingsError:
    """Return the error for a training whose numbers are no longer finite."""
    rate = f"below {settings.lr:g}" if settings.lr else "such as 0.0001"
    decay = settings.weight_decay or 0.0
    strong = f", or a --weight-decay below {decay:g}" if decay > 1 else ""
    return SettingsError(f"--lr: training diverged {how}, and nothing was written; choose a rate {rate}{strong}")


def _sentence(text: str) -> str:
    """Return a warning of the estimator in the words of the command line."""
    text = re.sub(r"max_seconds=\S+", "--time", text)
    return text[:1].upper() + text[1:]


# --- rows to train on and rows to hold out ---


def split(data: Data, settings: RunSettings) -> tuple[Rows, Rows]:
    """Return the positions of the training rows and the held-out rows; each class has the same share in both.

    A class of one row is trained on.

    Raises:
        SettingsError: if a part would have fewer than two rows.
    """
    rows = np.arange(len(data))
    held_out = math.ceil(len(rows) * settings.test_size)
    if held_out < 2 or len(rows) - held_out < 2:
        raise SettingsError(
            f"--test-size: {settings.test_size} of {counted(len(rows), 'row')} leaves {len(rows) - held_out} to train "
            f"on and {held_out} held out; expected at least 2 of each; choose another share, or add rows"
        )
    labels, single = None, rows[:0]
    if data.target.task == "classification":
        numbers = data.numbers
        counts = np.bincount(numbers)[numbers]
        rows, single = rows[counts > 1], rows[counts == 1]
        several, held_out = np.unique(numbers[rows]), min(held_out, len(rows) - 2)
        if len(several) <= min(held_out, len(rows) - held_out):
            labels = numbers[rows]
    train, test = train_test_split(rows, test_size=held_out, random_state=settings.seed, stratify=labels)
    return np.concatenate([train, single]), np.sort(test)


def folds(data: Data, settings: RunSettings) -> list[tuple[Rows, Rows]]:
    """Return the positions of training rows and held-out rows for each fold of each cross-validation.

    Raises:
        SettingsError: if a fold would have fewer than two rows.
    """
    if len(data) < 2 * settings.cv:
        raise SettingsError(
            f"--cv: expected at most {len(data) // 2} folds for {counted(len(data), 'row')}, got {settings.cv}"
        )
    options = {"n_splits": settings.cv, "n_repeats": settings.repeats, "random_state": settings.seed}
    if data.target.task == "regression":
        return list(RepeatedKFold(**options).split(data.values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # some classes may have fewer rows than there are folds
        return list(RepeatedStratifiedKFold(**options).split(data.values, data.numbers))
