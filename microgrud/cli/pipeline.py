"""The training job: from a table and settings to a trained pipeline with its scores, without touching a file."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from ..engine.vectors import Vector
from ..tables.preparation import TablePreparation
from ..tables.problems import PreparationError
from ..tables.table import MISSING, Table, TableError, counted
from ..tables.target import Task, inspect_target
from ..train.batches import Samples
from .fitting import Data, Fitted, Rows, diverged, fit_network, fit_pipeline, folds, split
from .judging import Judged
from .printing import first_notes, listed
from .run import Run
from .scores import behind_baseline
from .searching import search
from .settings import RunSettings


def train_on_table(
    table: Table,
    settings: RunSettings,
    sources: Sequence[str] = (),
    progress: bool = False,
    say: Callable[[str], object] = lambda note: None,
) -> Run:
    """Train a network to predict a column of `table` from the others, and score it on rows held out.

    On one machine the same table and settings give the same network, to the bit.

    Args:
        table: the rows.
        settings: the user's choices.
        sources: the files that the table came from.
        progress: whether to show a progress bar.
        say: called with each note, before training and after it.

    Raises:
        TableError: if the table cannot be used as it is; the message has a line for each problem.
        SettingsError: if the settings do not fit the table, or training diverged with them.
    """
    notes, given = list(table.notes), settings
    data, positions = _data(table, settings, notes)
    train, test = (np.arange(len(data)), np.arange(0)) if settings.cv else split(data, settings)
    divisions = folds(data, settings) if settings.cv else []
    preparation = data.prepared(train)
    notes += preparation.notes_
    filled = [plan.name for plan in preparation.columns_ if plan.missing and plan.kind != "presence"]
    if filled:
        of = counted(len(filled), "column")
        notes.append(f"missing cells of {of} are filled (microgrud show says with what): {listed(filled)}")
    for note in first_notes(notes):
        say(note)
    reported = len(notes)
    started = time.perf_counter()
    inputs, values = preparation.transform(data.cells.iloc[train]), data.values[train]
    trainings = len(divisions) + 1 + settings.search
    if settings.search:
        settings, found = search(data, inputs, values, settings.for_one_of(trainings))
        settings = replace(settings, time=given.time)
        notes.append(found)
        if settings.cv and settings.parameters() != given.parameters():
            notes.append("The search saw all rows: scores of the cross-validation are slightly too good.")
    parts = _cross_validated(data, divisions, settings.for_one_of(trainings)) if settings.cv else []
    notes += [f"Fold {k}: {remark}" for k, (part, _, _) in enumerate(parts, 1) for remark in part.remarks]
    if parts and parts[-1][0].interrupted:
        fitted, train, _ = parts[-1]
        inputs, preparation = fitted.inputs, fitted.pipeline["preparation"]
        notes.append(f"The model is that of fold {len(parts)}, and has learned from {counted(len(train), 'row')} only.")
    else:
        one = settings.for_one_of(trainings)
        fitted = fit_network(data, preparation, inputs, values, one, progress, watched=True)
        notes += fitted.remarks
    seconds = time.perf_counter() - started
    notes += _interrupted(fitted)
    parts = parts or [(fitted, train, test)]
    judged = Judged(data, parts, settings)
    predictions = judged.predictions(table, positions, settings)
    network = fitted.pipeline["network"]
    run = Run(
        table_name=table.name,
        sources=tuple(sources),
        given=given,
        settings=_used(settings, data.target.task, network),
        pipeline=fitted.pipeline,
        target=data.target,
        predictions=predictions,
        scores=judged.scores(),
        curves=judged.curves(),
        importance=judged.importance(list(dict.fromkeys(preparation.input_columns_)), settings.seed),
        learned=_learned(data, network, inputs, train),
        held_out=preparation.transform(data.cells.iloc[judged.rows]) if settings.cv else judged.inputs[0],
        trajectory=fitted.trajectory,
        train_rows=len(train),
        seconds=seconds,
        notes=notes,
    )
    if not np.isfinite([value for value in run.scores.values() if isinstance(value, float)]).all():
        raise diverged(settings, "(its answers to held-out rows are not finite numbers)")
    notes += _remarks_on(run)
    for note in first_notes(notes[reported:]):
        say(note)
    return run


# --- before training --------------------------------------------------------------------------------------------------


def _data(table: Table, settings: RunSettings, notes: list[str]) -> tuple[Data, list[int]]:
    """Return the rows whose target is known, and their positions in the table; raise one error for all problems."""
    lines: list[str] = []
    options = settings.ignore, settings.categorical, settings.numerical
    try:
        keep = [name for name in settings.keep if name != "all"]
        table.require(settings.target, *itertools.chain(*options), *keep)
    except TableError as error:
        if settings.target not in table.columns:
            raise
        lines += str(error).splitlines()
        named = [tuple(name for name in names if name in table.columns) for names in options]
        settings = replace(settings, ignore=named[0], categorical=named[1], numerical=named[2])
    cells, positions = table.cells, np.arange(len(table))
    if settings.drop_missing:
        complete = ~cells.drop(columns=list(settings.ignore)).isin(MISSING).any(axis=1).to_numpy()
        if not complete.any():
            raise TableError(f"{table.name}: every row has a missing cell; leave out --drop-missing, which fills them")
        if not complete.all():
            notes.append(f"{(~complete).sum()} of {counted(len(cells), 'row')} have missing cells and were left out")
        cells, positions = cells[complete], positions[complete]
    others = cells.drop(columns=[settings.target])
    preparation = _preparation(table, settings)
    try:
        decided = preparation.decide(others)
    except TableError as error:
        lines += _lines_of(error, table, positions)
    try:
        target = inspect_target(
            cells[settings.target],
            settings.target,
            settings.task,
            settings.target in settings.categorical,
            decimal_mark=settings.decimal,
            delimiter=table.delimiter,
            others=others,
        )
    except TableError as error:
        lines = _lines_of(error, table, positions) + lines
    if lines:
        raise TableError("\n".join(lines))
    notes += target.notes
    values = target.values(cells[settings.target])
    known = ~pd.isna(values)
    return Data(others[known], values[known], target, preparation, decided), positions[known].tolist()


def _lines_of(error: TableError, table: Table, positions: Rows) -> list[str]:
    """Return the lines of an error about rows at these positions of a table, with their places in the file."""
    if isinstance(error, PreparationError):
        return error.sentences(lambda row: table.place(int(positions[row])))
    return str(error).splitlines()


def _preparation(table: Table, settings: RunSettings) -> TablePreparation:
    return TablePreparation(**settings.reading(), delimiter=table.delimiter)


# --- after training ---------------------------------------------------------------------------------------------------


def _cross_validated(
    data: Data, divisions: Sequence[tuple[Rows, Rows]], settings: RunSettings
) -> list[tuple[Fitted, Rows, Rows]]:
    """Train on each fold; Ctrl-C ends that after the fold that it interrupts."""
    parts = []
    for train, test in divisions:
        parts.append((fit_pipeline(data, train, settings), train, test))
        if parts[-1][0].interrupted:
            break
    return parts


def _learned(data: Data, network: Any, inputs: Vector, rows: Rows) -> Samples:
    """Return the samples as the network takes them: encoded inputs, and class indices or standardised numbers."""
    encoding = network.encoding_
    encoded = inputs if encoding is None else encoding.apply(inputs)
    if data.target.task == "regression":
        targets = network.target_scale_.apply(np.asarray(data.values[rows], dtype=float)[:, None])[:, 0].tolist()
    else:
        targets = np.searchsorted(network.classes_, data.values[rows]).tolist()
    return Samples(encoded.tolist(), targets)


def _used(settings: RunSettings, task: Task, network: Any) -> RunSettings:
    """Return the settings with the values that the network was trained with."""
    used = {**network.get_params(), **asdict(network.settings_)}
    found = {each.name: used[each.metadata["parameter"]] for each in fields(settings) if "parameter" in each.metadata}
    return replace(settings, **{**found, "task": task, "time": settings.time})


def _interrupted(fitted: Fitted) -> list[str]:
    if not fitted.interrupted:
        return []
    steps = sum(len(history) for history in fitted.pipeline["network"].histories_)
    return [f"Training was interrupted after {counted(steps, 'step')}; the results are those of these steps."]


def _remarks_on(run: Run) -> list[str]:
    notes = []
    behind = behind_baseline(run.scores)
    if behind:
        advice = f"The columns may say little about {run.target.name!r}; or try --search, or more rows."
        notes.append(f"On held-out rows the network is {behind}. {advice}")
    if run.behind_linear:
        simpler = "--hidden none trains a linear model, which is the simpler choice here."
        notes.append(f"On held-out rows the network is {run.behind_linear}. {simpler}")
    return notes
