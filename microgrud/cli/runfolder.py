"""Run folders: everything about a training run in one folder, which is there whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ..nn.modelfile import save_model
from .report import draw_pictures, report_page

if TYPE_CHECKING:
    import pandas as pd

    from .pipeline import Run

__all__ = ["check_free", "next_free", "write_atomically", "write_run"]


def check_free(folder: Path) -> None:
    """Raise a FileExistsError unless a run can be written to `folder`: it is not there yet, or empty."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        raise FileExistsError(f"--out: {folder} is there already; choose another folder, or delete this one")
    for parent in folder.parents:
        if parent.exists():
            if not parent.is_dir() or not os.access(parent, os.W_OK):
                raise FileExistsError(f"--out: {parent} is not a folder that can be written to; choose another place")
            return


def next_free(parent: Path, name: str) -> Path:
    """Return the first of `parent/name-1`, `parent/name-2`, ... that is not there yet."""
    number = 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"


def write_run(run: Run, folder: Path) -> None:
    """Write model, history, predictions, pictures and report into a new folder beside `folder`, and rename it.

    Raises:
        OSError: if it cannot be written, or something came to be at `folder` meanwhile; nothing is left behind.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    partial.mkdir()
    try:
        save_model(partial / "model.json", run.predictor.model, run.predictor.extra())
        run.history.save(partial / "history.csv")
        run.predictions.to_csv(partial / "predictions.csv", index=False, lineterminator="\n")
        result = "predictions" if run.target.task == "regression" else "confusion"
        pictures = draw_pictures(run)
        (partial / "loss.svg").write_bytes(pictures["loss"][0])
        (partial / f"{result}.svg").write_bytes(pictures["result"][0])
        (partial / "report.html").write_text(report_page(run, pictures), encoding="utf-8")
        if folder.is_dir():
            folder.rmdir()  # an empty one; Windows does not rename over it
        os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_atomically(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, so that at every moment the old file or the new one is there."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        frame.to_csv(partial, index=False, lineterminator="\n")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
