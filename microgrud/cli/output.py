"""The check of the file for predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..tables.writing import to_bytes

#: The files in each run folder whose names end as those of tables do.
_RUN_FILES = ("model.json", "history.csv", "predictions.csv", "importance.csv")


def check_output(path: Path, inputs: Sequence[Path]) -> None:
    """Check that predictions can be written to `path` without harm.

    They may replace earlier predictions, but none of the `inputs` that they are made from, and no file that a run has
    written in its folder.

    Raises:
        TableError: if the name ends as that of no table does, or the format needs a package that is missing.
        OSError: if the place cannot be written to, or holds a file that must stay.
    """
    if not path.parent.is_dir() or (path.exists() and not path.is_file()):
        raise FileNotFoundError(f"--out: {path} cannot be written: expected a file in a folder that exists")
    to_bytes(pd.DataFrame({"row": [1]}), path)
    own = [path.parent / name for name in _RUN_FILES]
    of_a_run = own if all(file.exists() for file in own) else []
    for file in (*inputs, *of_a_run):
        if path.exists() and file.exists() and path.samefile(file):
            what = "belongs to the run in its folder" if file in of_a_run else "is an input of this prediction"
            raise FileExistsError(f"--out: {path} {what} and would be overwritten; choose another name")
