"""The check of the file for predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

#: The files in a run folder: always the first four, and those of the report and the pictures.
_RUN_FILES = (
    *("model.json", "history.csv", "predictions.csv", "importance.csv", "report.html"),
    *("loss.svg", "confusion.svg", "predictions.svg", "regions.svg", "surface.svg", "flow.svg", "network.svg"),
)


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
