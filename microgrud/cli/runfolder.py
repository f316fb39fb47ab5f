"""Run folders: everything about a training run in one folder, the model before all that may fail."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..common.files import write_atomically
from ..sklearn.modelfile import save_pipeline
from ..tables.writing import write_table
from .pictures import draw_pictures
from .report import report_page
from .run import Run


@contextmanager
def new_run_folder(out: Path | None, name: str) -> Iterator[Path]:
    """Make a folder for a run; remove it afterwards if nothing was written to it.

    The system makes a folder for one process only, so that two runs never get the same one.

    Args:
        out: the folder, new or empty; None for the first of `runs/NAME-1`, `runs/NAME-2`, ... that can be made.
        name: the name of the table.

    Raises:
        OSError: if the folder cannot be made, or has something in it.
    """
    parent = Path("runs") if out is None else out.parent
    made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = _numbered(parent, name) if out is None else _new_or_empty(out)
    except FileExistsError as error:
        raise error if error.errno is None else FileExistsError(f"--out: {error.filename} is not a folder") from None
    except OSError as error:
        raise _not_written(out or parent, error) from None
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            for empty in (folder, *made):
                empty.rmdir()


def _numbered(parent: Path, name: str) -> Path:
    for number in itertools.count(1):
        folder = parent / f"{name[:100]}-{number}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            break
    return folder


def _new_or_empty(folder: Path) -> Path:
    if folder == Path("-"):
        raise FileExistsError("--out: expected a folder for the results, got -; leave it out for one in runs")
    if folder.resolve() == Path.cwd():
        raise FileExistsError(f"--out: {folder} is the current folder; choose a new one")
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir() or any(folder.iterdir()):
            message = f"--out: {folder} already exists; choose another folder, or delete this one"
            raise FileExistsError(message) from None
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    return folder


def write_results(run: Run, folder: Path) -> None:
    """Write the model, the predictions, the history and the importance of the columns.

    Raises:
        OSError: if they cannot be written.
    """
    try:
        save_pipeline(folder / "model.json", run.pipeline, run.target, run.details)
        write_table(run.predictions, folder / "predictions.csv")
        run.history.save(folder / "history.csv")
        write_table(run.importance, folder / "importance.csv")
    except OSError as error:
        raise _not_written(folder, error) from error


def write_report(run: Run, folder: Path, pictures: bool = True) -> None:
    """Draw the pictures and write the report."""
    drawn = draw_pictures(run) if pictures else {}
    for name, picture in drawn.items():
        for svg in picture.files[:1]:  # the one for light pages
            write_atomically(folder / f"{name}.svg", svg)
    write_atomically(folder / "report.html", report_page(run, drawn).encode())


def _not_written(path: Path, error: OSError) -> OSError:
    return OSError(f"--out: {path} cannot be written ({error.strerror or error}); choose another place")
