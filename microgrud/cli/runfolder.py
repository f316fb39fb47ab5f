"""Run folders: everything about a training run in one folder, which is written completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..common.files import write_atomically, write_folder_atomically
from ..nn.modelfile import save_model
from .pictures import draw_pictures
from .report import report_page
from .run import Run

#: The files in a run folder: always the first four, and those of the pictures that the run has data for.
_RUN_FILES = (
    *("model.json", "history.csv", "predictions.csv", "report.html"),
    *("loss.svg", "confusion.svg", "predictions.svg", "regions.svg", "surface.svg", "flow.svg", "network.svg"),
)


def check_free(folder: Path) -> None:
    """Raise a FileExistsError unless a run can be written to `folder`: it must be new or empty."""
    if folder.resolve() == Path.cwd():
        raise FileExistsError(f"--out: {folder} is the current folder; choose a new one")
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        raise FileExistsError(f"--out: {folder} already exists; choose another folder, or delete this one")
    for parent in folder.parents:
        if parent.exists():
            if not parent.is_dir() or not os.access(parent, os.W_OK):
                raise FileExistsError(f"--out: {parent} is not a writable folder; choose another place")
            return


def check_output(path: Path, inputs: Sequence[Path]) -> None:
    """Raise an OSError unless predictions can be written to `path` without harm.

    They may replace earlier predictions, but none of the `inputs` that they are made from, and no file that a run has
    written in its folder.
    """
    if not path.parent.is_dir() or (path.exists() and not path.is_file()):
        raise FileNotFoundError(f"--out: {path} cannot be written: expected a file in a folder that exists")
    own = [path.parent / name for name in _RUN_FILES]
    of_a_run = own if all(file.exists() for file in own[:4]) else []
    for file in (*inputs, *of_a_run):
        if path.exists() and file.exists() and path.samefile(file):
            what = "belongs to the run in its folder" if file in of_a_run else "is an input of this prediction"
            raise FileExistsError(f"--out: {path} {what} and would be overwritten; choose another name")


def next_free(parent: Path, name: str) -> Path:
    """Return the first of `parent/name-1`, `parent/name-2`, ... that does not exist."""
    number = 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"


def write_run(run: Run, folder: Path) -> None:
    """Write model, history, predictions, pictures and report to a temporary folder, and rename it to `folder`.

    Raises:
        OSError: if it cannot be written, or `folder` has been created meanwhile; nothing is left behind.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with write_folder_atomically(folder) as partial:
            save_model(partial / "model.json", run.predictor.model, run.predictor.extra())
            run.history.save(partial / "history.csv")
            run.predictions.to_csv(partial / "predictions.csv", index=False, lineterminator="\n")
            pictures = draw_pictures(run)
            for name, picture in pictures.items():
                for svg in picture.files[:1]:  # the one for light pages
                    (partial / f"{name}.svg").write_bytes(svg)
            (partial / "report.html").write_text(report_page(run, pictures), encoding="utf-8")
    except OSError as error:
        raise _not_written(folder, error) from error


def write_predictions(predictions: pd.DataFrame, path: Path) -> None:
    """Write predictions as a CSV file, completely or not at all.

    Raises:
        OSError: if it cannot be written; an old file stays unchanged.
    """
    try:
        write_atomically(path, predictions.to_csv(index=False, lineterminator="\n").encode())
    except OSError as error:
        raise _not_written(path, error) from error


def _not_written(path: Path, error: OSError) -> OSError:
    return OSError(f"--out: {path} cannot be written ({error.strerror or error}); choose another place")
