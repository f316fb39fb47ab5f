"""The training job: from a table and settings to a trained pipeline with its scores, without touching a file."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from ..tables.preparation import TablePreparation
from ..tables.problems import PreparationError
from ..tables.table import Table, TableError, counted, listed
from ..tables.target import Task, inspect_target
from ..train.batches import Rows, Samples
from .answering import Models
from .fitting import Data, Fitted, diverged, fit_network, folds, split
from .judging import Judged
from .predicting import complete_rows
from .printing import Notes
from .run import Run
from .scheduler import ClusterTable
from .scores import behind_baseline
from .searching import search
from .settings import RunSettings

#: With fewer held-out rows, one row changes the accuracy by more than 5%.
_FEW_ROWS = 20
#: The limit of time for trainings that begin after its end.
_LEAST_SECONDS = 1e-6


def train_on_table(
    table: Table,
    settings: RunSettings,
    sources: Sequence[str] = (),
    progress: bool = False,
    say: Callable[[str], object] = lambda note: None,
    started: float | None = None,
    trained: Callable[[], object] = lambda: None,
    cluster: ClusterTable | None = None,
) -> Run:
    """Train a network to predict a column of `table` from the others, and score it on rows held out.

    On one machine the same table and settings give the same network, to the bit.

    Args:
        table: the rows.
        settings: the user's choices.
        sources: the files that the table came from.
        progress: whether to show a progress bar.
        say: called with each note, before training and after it.
        started: the `time.perf_counter()` at which the limit of time began; by default that of this call.
        trained: called when the networks are trained, before they are scored.
        cluster: the table on a cluster of which `table` is a sample; its workers train on all rows.

    Raises:
        TableError: if the table cannot be used as it is; the message has a line for each problem.
        SettingsError: if the settings do not fit the table, or training diverged with them.
    """
    started = started or time.perf_counter()
    notes = Notes(say, table.notes)
    data = _data(table, settings, notes, 1.0 if cluster is None else len(table) / cluster.rows)
    training = _Training(data, settings, notes, started, progress, cluster)
    notes.tell()
    before, (used, fitted, parts) = time.perf_counter(), training.run()
    trained()
    seconds = time.perf_counter() - before
    answered = None if cluster is None else cluster.answered(Models.of(data, fitted), fitted, settings, notes)
    judged = Judged(data, parts, used, answered)
    run = Run(
        table_name=table.name,
        sources=tuple(sources),
        given=settings,
        settings=_used(used, data.target.task, fitted.network),
        pipeline=fitted.pipeline,
        target=data.target,
        predictions=judged.predictions(table),
        scores=judged.scores(),
        curves=judged.curves(),
        importance=judged.importance(list(dict.fromkeys(fitted.preparation.input_columns_))),
        learned=_learned(data, fitted),
        held_out=judged.prepared(fitted.preparation),
        trajectory=fitted.trajectory,
        train_rows=fitted.train_rows,
        seconds=seconds,
        notes=notes,
    )
    _check_finite(run, used)
    notes += _remarks_on(run)
    notes.tell()
    return run


# --- before training --------------------------------------------------------------------------------------------------


def _data(table: Table, settings: RunSettings, notes: list[str], share: float) -> Data:
    """Return the rows whose target is known, which are a share of all; raise one error for all problems."""
    lines: list[str] = []
    options = settings.ignore, settings.categorical, settings.numerical
    try:
        table.require(settings.target, *itertools.chain(*options), *(name for name in settings.keep if name != "all"))
    except TableError as error:
        if settings.target not in table.columns:
            raise
        lines += str(error).splitlines()
        named = [tuple(name for name in names if name in table.columns) for names in options]
        settings = replace(settings, ignore=named[0], categorical=named[1], numerical=named[2])
    if settings.drop_missing:
        table = complete_rows(table, set(table.columns) - set(settings.ignore), notes.append)
    cells, others = table.cells[settings.target], table.cells.drop(columns=[settings.target])
    preparation = TablePreparation(**settings.reading(), delimiter=table.delimiter)
    try:
        decided = preparation.decide(others, share)
    except TableError as error:
        lines += _lines_of(error, table)
    try:
        target = inspect_target(
            cells,
            settings.target,
            settings.task,
            settings.target in settings.categorical,
            decimal_mark=settings.decimal,
            delimiter=table.delimiter,
            others=others,
        )
    except TableError as error:
        lines = _lines_of(error, table) + lines
    if lines:
        raise TableError("\n".join(lines))
    notes += target.notes
    values = target.values(cells)
    known = ~pd.isna(values)
    return Data(others[known], values[known], target, preparation, decided)


def _lines_of(error: TableError, table: Table) -> list[str]:
    """Return the lines of an error about rows of a table, with their places in the file."""
    return error.sentences(table.place) if isinstance(error, PreparationError) else str(error).splitlines()


def _notes_on_columns(preparation: TablePreparation) -> list[str]:
    """Return the notes of a preparation, and one on the columns that it fills."""
    filled = [plan.name for plan in preparation.columns_ if plan.missing and plan.kind != "presence"]
    if not filled:
        return preparation.notes_
    of = f"missing cells of {counted(len(filled), 'column')} are filled"
    return [*preparation.notes_, f"{of} (microgrud show says with what): {listed(filled)}"]


# --- training ---------------------------------------------------------------------------------------------------------


class _Training:
    """The trainings of a run: a search, cross-validation, and the model, as the settings ask for them.

    Args:
        data: the table.
        settings: the user's choices.
        notes: the list to which notes on the columns, and then on the trainings, are added.
        started: the `time.perf_counter()` at which the limit of time began.
        progress: whether to show a progress bar.
        cluster: the table on a cluster of which `data` is a sample.
    """

    def __init__(
        self,
        data: Data,
        settings: RunSettings,
        notes: Notes,
        started: float,
        progress: bool,
        cluster: ClusterTable | None = None,
    ) -> None:
        self.data, self.settings, self.notes, self.started, self.progress = data, settings, notes, started, progress
        self.even_share, self.cluster = 0.0, cluster
        self.folds = folds(data, settings) if settings.cv else []
        everything = np.arange(len(data))
        if cluster is not None:
            self.division = cluster.split(data.cells.index.to_numpy(), settings)
        else:
            self.division = (everything, everything[:0]) if settings.cv else split(data, settings)
        self.preparation = data.prepared(self.division[0])
        notes += _notes_on_columns(self.preparation)

    def run(self) -> tuple[RunSettings, Fitted, list[Fitted]]:
        """Return the settings that were found, the model, and the networks to score."""
        settings = self._searched() if self.settings.search else self.settings
        # A training may take more than its share, which must not be at the expense of the others.
        self.even_share = self._share_of_time(len(self.folds) + 1) or 0.0
        parts = self._cross_validated(settings)
        if parts and parts[-1].interrupted:
            fitted, rows = parts[-1], counted(len(parts[-1].rows), "row")
            self.notes.append(f"The model is that of fold {len(parts)}, and has learned from {rows} only.")
        else:
            limit = self._share_of_time(1)
            sharded = None if self.cluster is None else self.cluster.sharded
            fitted = fit_network(
                self.data, self.preparation, self.division, settings, limit, self.progress, True, sharded
            )
            self.notes += fitted.remarks
            if self.cluster is not None and fitted.census is not None:
                self.notes += self.cluster.notes_on(fitted.census)
        if fitted.interrupted:
            steps = counted(sum(map(len, fitted.network.histories_)), "step")
            self.notes.append(f"Training was interrupted after {steps}; the results are those of these steps.")
        return settings, fitted, parts or [fitted]

    def _searched(self) -> RunSettings:
        """Return the settings that the search found."""
        rows = self.division[0]
        inputs, limit = self.preparation.transform(self.data.cells.iloc[rows]), self._share_of_time(len(self.folds) + 2)
        settings, found = search(self.data, inputs, self.data.values[rows], self.settings, limit)
        self.notes.append(found)
        if self.folds and settings.parameters() != self.settings.parameters():
            self.notes.append("The search saw all rows: scores of the cross-validation are slightly too good.")
        self.notes.tell()  # training may take long
        return settings

    def _cross_validated(self, settings: RunSettings) -> list[Fitted]:
        """Train on each fold; Ctrl-C ends that after the fold that it interrupts."""
        parts: list[Fitted] = []
        for number, (rows, held_out) in enumerate(self.folds, 1):
            limit = self._share_of_time(len(self.folds) + 2 - number)
            parts.append(fit_network(self.data, self.data.prepared(rows), (rows, held_out), settings, limit))
            self.notes += [f"Fold {number}: {remark}" for remark in parts[-1].remarks]
            if parts[-1].interrupted:
                break
        return parts

    def _share_of_time(self, trainings: int) -> float | None:
        """Return the seconds for one of the trainings that remain; None without a limit."""
        if self.settings.time is None:
            return None
        remaining = max(self.settings.time - (time.perf_counter() - self.started), _LEAST_SECONDS)
        return max(remaining / trainings, self.even_share)


# --- after training ---------------------------------------------------------------------------------------------------


def _learned(data: Data, fitted: Fitted) -> Samples:
    """Return the samples as the network takes them: encoded inputs, and class indices or standardised numbers."""
    network, values = fitted.network, data.values[fitted.rows]
    encoded = fitted.inputs if network.encoding_ is None else network.encoding_.apply(fitted.inputs)
    if data.target.task == "regression":
        targets = network.target_scale_.apply(np.asarray(values, dtype=float)[:, None])[:, 0].tolist()
    else:
        targets = np.searchsorted(network.classes_, values).tolist()
    return Samples(Rows(np.ascontiguousarray(encoded, dtype=np.float64)), targets)


def _used(settings: RunSettings, task: Task, network: Any) -> RunSettings:
    """Return the settings with the values that the network was trained with."""
    used = {**network.get_params(), **asdict(network.settings_)}
    found = {each.name: used[each.metadata["parameter"]] for each in fields(settings) if "parameter" in each.metadata}
    return replace(settings, **{**found, "task": task, "time": settings.time})


def _check_finite(run: Run, used: RunSettings) -> None:
    if not np.isfinite([value for value in run.scores.values() if isinstance(value, float)]).all():
        raise diverged(used, "(its answers to held-out rows are not finite numbers)")


def _remarks_on(run: Run) -> list[str]:
    notes, held_out = [], len(run.predictions)
    if not run.settings.cv and held_out < _FEW_ROWS:
        folds = min(5, (run.train_rows + held_out) // 2)
        notes.append(f"Only {held_out} rows are held out, whose scores say little: --cv {folds} scores every row.")
    behind = behind_baseline(run.scores)
    if behind:
        advice = f"The columns may say little about {run.target.name!r}; or try --search, or more rows."
        notes.append(f"On held-out rows the network is {behind}. {advice}")
    if run.behind_linear:
        simpler = "--hidden none trains a linear model, which is the simpler choice here."
        notes.append(f"On held-out rows the network is {run.behind_linear}. {simpler}")
    return notes
