"""The check of the file for predictions, or for an exported model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from ..tables.writing import to_bytes

#: The files in each run folder whose names end as those of tables do.
_RUN_FILES = ("model.json", "history.csv", "predictions.csv", "importance.csv")


def check_output(path: Path, inputs: Sequence[Path]) -> None:
    """Check that predictions can be written to `path` without harm, as `check_place` does.

    Raises:
        TableError: if the name ends as that of no table does, or the format needs a package that is missing.
        OSError: as `check_place` does.
    """
    check_place(path, inputs, "prediction", lambda: to_bytes(pd.DataFrame({"row": [1]}), path))


def check_place(path: Path, inputs: Sequence[Path], what: str, check: Callable[[], object] = lambda: None) -> None:
    """Check that a file can be written to `path` without harm.

    It may replace an earlier one, but none of the `inputs` that it is made from, and no file that a run has written in
    its folder.

    Args:
        path: the file.
        inputs: the files that must stay.
        what: the word for the content of the file.
        check: further checks, after that of the folder.

    Raises:
        OSError: if the place cannot be written to, or holds a file that must stay.
    """
    if not path.parent.is_dir() or (path.exists() and not path.is_file()):
        raise FileNotFoundError(f"--out: {path} cannot be written: expected a file in a folder that exists")
    check()
    own = [path.parent / name for name in _RUN_FILES]
    of_a_run = own if all(file.exists() for file in own) else []
    for file in (*inputs, *of_a_run):
        if path.exists() and file.exists() and path.samefile(file):
            why = "belongs to the run in its folder" if file in of_a_run else f"is an input of this {what}"
            raise FileExistsError(f"--out: {path} {why} and would be overwritten; choose another name")
