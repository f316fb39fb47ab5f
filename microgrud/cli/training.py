"""The command `train`: train, write the run folder, and print the results."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import typer

from ..tables.table import Table, counted
from ..train.interrupts import Interrupts
from .describing import document, important
from .evaluation import calibration_error
from .pipeline import train_on_table
from .printing import encodable, fail, note, one_line, os_message, print_json
from .run import Run
from .runfolder import new_run_folder, write_report, write_results
from .scheduler import ClusterTable
from .scores import LABELS, spread_meaning, with_spread
from .settings import RunSettings

#: Maximum number of classes whose scores are printed.
_MOST_CLASSES = 10


def train_and_write(
    data: Table,
    settings: RunSettings,
    sources: Sequence[str],
    out: Path | None,
    pictures: bool = True,
    as_json: bool = False,
    quiet: bool = False,
    started: float | None = None,
    cluster: ClusterTable | None = None,
) -> None:
    """Train on a table, and write and print the results.

    Ctrl-C ends the training, and keeps the networks so far; after it, the scores are finished and the model is written.

    Args:
        data: the table.
        settings: the user's choices.
        sources: the files of the table.
        out: the folder for the results; see `new_run_folder`.
        pictures: whether to draw pictures.
        as_json: whether to print one JSON document.
        quiet: whether to print the path of the report only.
        started: see `train_on_table`.
        cluster: likewise.

    Raises:
        typer.Exit: with 130 after Ctrl-C in training.
        SystemExit: with 130 after Ctrl-C elsewhere; with 1 if the report cannot be written.
    """
    with new_run_folder(out, data.name) as folder:
        model, interrupts = folder / "model.json", Interrupts()
        try:
            with ExitStack() as after_training:
                progress = not quiet and not as_json and sys.stderr.isatty()
                hold_interrupts = partial(after_training.enter_context, interrupts)
                run = train_on_table(data, settings, sources, progress, note, started, hold_interrupts, cluster)
                write_results(run, folder)
            if as_json:
                print_json({"folder": str(folder), **document(run.target, run.details), "seconds": run.seconds})
            elif not quiet:
                print(encodable(_result(run)))
            if interrupts.requested:
                raise KeyboardInterrupt
            _write_report(run, folder, pictures)
        except KeyboardInterrupt:
            kept = f"the model is there: {model}, but its report is missing" if model.exists() else "nothing was kept"
            fail(f"interrupted; {kept}", 130)
    if not as_json:
        print(f"Report: {folder / 'report.html'}")
    if run.interrupted:
        raise typer.Exit(130)


def _write_report(run: Run, folder: Path, pictures: bool) -> None:
    try:
        write_report(run, folder, pictures)
    except Exception as error:  # after a long training, a picture is no reason to lose the model, nor to hide it
        reason = os_message(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        fail(f"the report could not be written ({one_line(reason)}); the model is there: {folder / 'model.json'}", 1)


def _result(run: Run) -> str:
    """Return the results as text: a description of the run, the scores, and the important columns."""
    keys = [key for key in LABELS if key in run.scores]
    columns, inputs = len(set(run.preparation.input_columns_)), len(run.inputs)
    how = f"{len(run.target.classes)} classes" if run.target.classes else "a number"
    networks, rows = len(run.network.networks_), counted(run.train_rows, "row")
    held_out = f"{len(run.predictions)} held out"
    if run.settings.cv:
        held_out = f"the scores are those of networks trained on {run.settings.cv - 1} of {run.settings.cv} folds"
    lines = [
        f"\n{run.title} ({run.target.task}, {how}), from {counted(columns, 'column')}"
        + (f" ({counted(inputs, 'input')})" if inputs != columns else ""),
        f"trained on {rows}, {held_out}",
        f"{counted(networks, 'network')}, {counted(len(run.history), 'step')}"
        + (" of the first one" if networks > 1 else "")
        + f", {run.seconds:.1f} s",
        "",
        pd.DataFrame(
            {
                name: [with_spread(scores, key) if key in scores else "" for key in keys]
                for name, scores in run.score_columns.items()
            },
            index=[LABELS[key][0] for key in keys],
            columns=pd.Index(run.score_columns, name="held-out rows"),
        ).to_string(),
        f"({spread_meaning(run.scores['method'])})",
    ]
    if "per_class" in run.scores and len(run.target.classes) <= _MOST_CLASSES:
        frame = pd.DataFrame(run.scores["per_class"]).set_index("class").rename_axis(None)
        lines.append("\n" + frame.to_string(float_format="{:.3f}".format))
    if "calibration" in run.scores:
        lines.append("\n" + _calibration(run.scores["calibration"]))
    if "threshold" in run.scores:
        lines.append("\n" + _thresholds(run.scores["threshold"]))
    lines.append("\n" + important(run.details["importance"], run.target.task))
    return "\n".join(lines) + "\n"


def _calibration(found: dict[str, Any]) -> str:
    """Say how far probabilities are from shares of rows."""
    before, after = (calibration_error(found[name]) for name in ("before", "after"))
    text = f"probabilities are off by {after:.1%} on average"
    if found["before"] == found["after"]:
        return text
    return f"{text} ({before:.1%} before the temperature {np.mean(found['temperatures']):.2f})"


def _thresholds(found: dict[str, Any]) -> str:
    """Return the scores at each threshold on the probability of the second class."""
    names = {"0.5": "0.5", "f1": "best F1", "youden": "best J"}
    frame = pd.DataFrame([found["held_out"][key] for key in names], index=list(names.values()))
    text: str = frame.rename(columns={"f1": "F1", "youden": "J"}).to_string(float_format="{:.3f}".format)
    return f"thresholds for {found['class']}, chosen on {found['chosen_on']}\n{text}"
