"""The training of an estimator on the workers of a cluster, each of which reads and prepares rows of its own.

The preparation, the encoding and the scale of the target come from a sample of the rows, and so do the validation loss,
the temperature and the share of linear models: no process holds the whole table. The networks are trained on all rows
but those that validate them, by the rule that divides the rows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ..distributed import Shards
from ..engine.grad_mode import enable_grad
from ..engine.vectors import Vector, read_data
from ..nn import MLP
from ..tables.preparation import TablePreparation
from ..tables.rowgroups import Part
from ..tables.target import Target
from ..train import EarlyStopping, fit
from .members import Task, TimeLimit, Trained, Watch, make_optimizer, with_retries
from .networks import make_network
from .settings import SCHEDULES, Settings, settings_for
from .shards import Census, Division, Flags, Loader, Recipe

#: Steps of an epoch for which a batch is made large enough: each costs a message to the workers and one back.
_STEPS = 250


@dataclass(frozen=True)
class Sample:
    """The rows from which an estimator learns all but the parameters of its networks.

    Args:
        inputs: their prepared inputs.
        values: their targets, class names or numbers.
        rows: their numbers among those of all files.
    """

    inputs: Vector
    values: Any
    rows: Any


@dataclass(frozen=True, eq=False)
class ShardedFit:
    """The training of an estimator on all rows of the parts of a table.

    Args:
        client: the client of the cluster.
        parts: the parts of the table.
        division: the rule that divides the rows.
        complete: columns without which a row is left out.
    """

    client: Any
    parts: Sequence[Part]
    division: Division
    complete: tuple[str, ...] = ()

    @property
    def learned(self) -> int:
        """Return about how many rows are trained on, before they are counted."""
        return max(1, round((1.0 - self.division.test_size) * sum(part.rows for part in self.parts)))

    def fit(
        self, network: Any, preparation: TablePreparation, target: Target, sample: Sample, watch: Watch | None = None
    ) -> Census:
        """Train an estimator, as its own `fit` does on one machine, and return the numbers of rows.

        The networks are trained one after another, each by all workers.

        Args:
            network: an untrained MLPClassifier or MLPRegressor.
            preparation: the fitted preparation of its inputs.
            target: the column to predict.
            sample: training rows.
            watch: makes callbacks for the first network.

        Raises:
            TrainingDivergedError: if training diverges with a thousandth of the learning rate, too.
        """
        task = network._prepared(sample.inputs, sample.values)
        recipe = Recipe(
            preparation.to_json(),
            target,
            self.division,
            self.complete,
            network.encoding_,
            network.classes_.tolist() if task.has_classes else None,
            None if task.has_classes else network.target_scale_,
        )
        checked = network._checked()
        members = checked["n_estimators"]
        counts = self.client.gather(self.client.map(recipe.census, self.parts, members=members, pure=False))
        census = Census.total(counts)
        settings = settings_of(checked, census.training)
        limit = math.inf if settings.max_seconds is None else time.perf_counter() + settings.max_seconds
        trained: list[Trained] = []
        for member, seed in enumerate(network._seeds(members)):
            share = None if limit == math.inf else max(0.0, limit - time.perf_counter()) / (members - member)
            flags = self.division.validates(sample.rows, member)
            counted = [each.training - each.validation[member] for each in counts]
            parts = [part for part, count in zip(self.parts, counted) if count]
            shards = Shards([Loader(recipe, part, member) for part in parts])
            one = _MemberTraining(self.client, task, shards, sum(counted), flags, seed, TimeLimit(share))
            trained.append(with_retries(settings, partial(one.run, watch=None if member else watch)))
            if trained[-1].history.interrupted:
                break
        trained = [each for each in trained if each.history.epochs] or trained[:1]
        _keep(network, settings, trained, task)
        return census


def _keep(network: Any, settings: Settings, trained: list[Trained], task: Task) -> None:
    network._keep(settings, trained)
    if task.has_classes:
        network.temperature_ = 1.0
    network._warn(settings, trained)
    network._finish(task, trained)


def settings_of(checked: dict[str, Any], rows: int) -> Settings:
    """Return the settings of a run with so many training rows: those of one machine, but with larger batches.

    By default an epoch has at most 250 steps: a step on a cluster takes milliseconds more, whatever its batch.
    """
    own = settings_for(checked, rows)
    if checked["batch_size"] != "auto" or math.ceil(rows / own.batch_size) <= _STEPS:
        return own
    larger = settings_for({**checked, "batch_size": math.ceil(rows / _STEPS)}, rows)
    return replace(larger, learning_rate_init=own.learning_rate_init)


@dataclass(frozen=True, eq=False)
class _MemberTraining:
    """The training of one network on so many rows of shards; `validates` tells which rows of the sample validate it."""

    client: Any
    task: Task
    shards: Shards
    learned: int
    validates: Flags
    seed: int
    limit: TimeLimit

    @enable_grad()
    def run(self, settings: Settings, watch: Watch | None) -> Trained:
        """Train the network with these settings."""
        network: MLP = make_network(self.task.inputs.shape[1], self.task.outputs, settings, self.seed)
        optimizer = make_optimizer(network, settings)
        steps = settings.max_iter * math.ceil(self.learned / settings.batch_size)
        held_out, rest = np.flatnonzero(self.validates), np.flatnonzero(~self.validates)
        stopping = EarlyStopping(settings.n_iter_no_change, settings.tol) if len(held_out) else None
        given = [] if watch is None else watch(network)
        loss, inputs, targets = self.task.data(held_out)
        history = fit(
            network,
            self.shards,
            loss=loss,
            optimizer=optimizer,
            seed=self.seed,
            epochs=settings.max_iter,
            validation=(inputs, targets) if len(held_out) else None,
            schedule=SCHEDULES[settings.learning_rate](optimizer, settings.learning_rate_init, steps),
            early_stopping=stopping,
            callbacks=[*([given] if callable(given) else given), self.limit],
            client=self.client,
            **settings.fit_options,
        )
        parameters = network.parameters()
        if stopping is not None:
            stopping.restore(parameters)
        linear = self.task.linear_models(rest) if settings.blend_linear and len(held_out) else []
        return Trained(read_data(parameters), history, held_out, linear, self.limit.is_over)
