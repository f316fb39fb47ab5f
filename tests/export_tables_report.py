"""Compare exported runs with `microgrud predict`: `python tests/export_tables_report.py [--rows 10000] [--seed 0]`.

For each of five real tables of `benchmarks/tables/sources.py`, the command line trains a small model and exports it as
ONNX; tables whose package is not installed are left out, and named. Rows are drawn from the table, and every tenth cell
is changed: missing, unknown, in another spelling, no number, or a number far away. `microgrud predict` and onnxruntime
predict from the same file. The command prints the largest difference of probabilities, or of numbers in units of the
largest of them, and ends with 1 if it exceeds 1e-12, or if a class differs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import onnxruntime
import pandas as pd
from typer.testing import CliRunner

from benchmarks.tables.sources import TABLES
from microgrud.cli import commands
from microgrud.export import onnx_inputs
from microgrud.sklearn import load
from microgrud.tables import read_table

#: Two classes, with dates and missing cells; five, with dates; ten, of 64 numbers; four, with categories and missing
#: cells; numbers, with missing cells; numbers, with categories.
NAMES = ("penguins_raw", "seattle-weather", "digits", "Chile", "airquality", "Salaries")
QUICK = ["--hidden", "16,8", "--estimators", "3", "--no-pictures"]


class Outcome(NamedTuple):
    """The answers of an exported model.

    Args:
        difference: the largest difference of probabilities, or of numbers in units of the largest number.
        share: that of the networks, next to linear models.
        classes_agree: whether all classes are those of `microgrud predict`; None in regression.
        seconds: the time of onnxruntime for all rows.
        size: that of the file in bytes.
    """

    difference: float
    share: float
    classes_agree: bool | None
    seconds: float
    size: int


def changed(frame: pd.DataFrame, target: str, rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return so many rows of a table as texts, without the target, in which every tenth cell is changed."""
    drawn = frame.drop(columns=[target]).iloc[rng.integers(len(frame), size=rows)]
    columns = {}
    for name, column in drawn.items():
        texts = ["" if pd.isna(cell) else str(cell) for cell in column]
        for row in np.flatnonzero(rng.random(rows) < 0.1):
            text = texts[row]
            others = [
                "",
                "NA",
                "unheard of",
                text.upper(),
                f" {text.lower()} ",
                "-1e9",
                "1e60",
                "7",
                "0",
                "1.0",
                "true",
            ]
            texts[row] = others[rng.integers(len(others))]
        columns[name] = texts
    return pd.DataFrame(columns, dtype=object)


def command(*words: object) -> None:
    """Run a command of `microgrud`, which must succeed."""
    result = CliRunner().invoke(commands.app, list(map(str, words)))
    if result.exit_code:
        raise RuntimeError(f"microgrud {' '.join(map(str, words))}: {result.output} {result.exception!r}")


def compared(frame: pd.DataFrame, target: str, rows: int, seed: int, folder: Path, epochs: int = 60) -> Outcome:
    """Train on a table in a folder, export the run, and compare the answers to changed rows."""
    run, table, new = folder / "run", folder / "table.csv", folder / "new.csv"
    frame.to_csv(table, index=False)
    command("train", table, "--target", target, *QUICK, "--epochs", epochs, "--out", run, "--seed", seed)
    command("export", run, "--to", "onnx", "--out", folder / "model.onnx")
    changed(frame, target, rows, np.random.default_rng(seed)).to_csv(new, index=False)
    command("predict", run, new, "--out", folder / "predicted.csv")
    predicted = pd.read_csv(folder / "predicted.csv", dtype={"predicted": str}, keep_default_na=False)
    cells = read_table([new]).cells
    inputs = onnx_inputs(run, cells)
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    started = time.perf_counter()
    answers = session.run(None, inputs)
    seconds = time.perf_counter() - started
    raw = {name: cells[[name]].to_numpy(object) for name, values in inputs.items() if values.dtype == object}
    again = session.run(None, {**inputs, **raw})  # categories as they are spelled in the file
    size = (folder / "model.onnx").stat().st_size
    names = [name for name in predicted.columns if name.startswith("probability ")]
    wanted = predicted[names].to_numpy(float) if names else predicted[["predicted"]].to_numpy(float)
    unit = 1.0 if names else np.abs(wanted).max()
    difference = max(float(np.abs(found[-1] - wanted).max()) / unit for found in (answers, again))
    agree = all((found[0] == predicted["predicted"].to_numpy(object)).all() for found in (answers, again))
    share = load(run)["network"].network_share_
    return Outcome(difference, share, agree if names else None, seconds, size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sources: dict[str, Any] = {source.name: source for source in TABLES}
    failed = False
    for name in NAMES:
        try:
            frame = sources[name].load()
        except ModuleNotFoundError as error:
            print(f"{name:16} left out: pip install {error.name}")
            continue
        frame = frame.dropna(subset=[sources[name].target])
        with tempfile.TemporaryDirectory() as folder:
            found = compared(frame, sources[name].target, arguments.rows, arguments.seed, Path(folder))
        failed |= not found.difference <= 1e-12 or found.classes_agree is False
        agree = {None: "numbers", True: "all classes agree", False: "CLASSES DIFFER"}[found.classes_agree]
        shape = f"{frame.shape[0]} x {frame.shape[1]}"
        print(
            f"{name:16} {shape:>10}: share of networks {found.share}, largest difference "
            f"{found.difference:.1e}, {agree}; "
            f"{found.seconds / arguments.rows * 1e6:.1f} us a row, {found.size / 1000:.0f} kB",
            flush=True,
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
