"""Compare `microgrud predict` with a scikit-learn pipeline on 100,000 rows: `python -m benchmarks.tables.predicting`.

Both read a CSV file of 20 columns of numbers, categories, missing cells and dates in a process of their own, and write
another one with a probability for each class.
"""

from __future__ import annotations

import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from typing import Annotated

import joblib
import numpy as np
import pandas as pd
import typer
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

#: The rival's program: its arguments are the pipeline, the table, and the file to write.
_SCRIPT = """
import sys
import joblib
import pandas as pd
pipeline, table = joblib.load(sys.argv[1]), pd.read_csv(sys.argv[2])
probabilities = pipeline.predict_proba(table)
predictions = pd.DataFrame(probabilities, columns=[f"probability {name}" for name in pipeline.classes_])
predictions.insert(0, "predicted", pipeline.classes_[probabilities.argmax(axis=1)])
predictions.to_csv(sys.argv[3], index=False)
"""


def make_table(rows: int, seed: int) -> pd.DataFrame:
    """Make a table of 14 columns of numbers, 5 of categories and 1 of dates; two numbers have missing cells."""
    rng = np.random.default_rng(seed)
    columns: dict[str, object] = {f"number{k}": rng.normal(k, 1 + k, rows).round(3) for k in range(14)}
    for k in (12, 13):
        columns[f"number{k}"] = np.where(rng.random(rows) < 0.1, np.nan, columns[f"number{k}"])  # type: ignore[call-overload]
    for k in range(5):
        columns[f"category{k}"] = np.array([f"kind {i}" for i in range(3 + 2 * k)])[rng.integers(0, 3 + 2 * k, rows)]
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1500, rows), unit="D")
    columns["day"] = days.strftime("%Y-%m-%d")
    table = pd.DataFrame(columns)
    score = table["number0"] + table["number1"] / 2 + 2 * (table["category0"] == "kind 1") + rng.normal(0, 1, rows)
    table["outcome"] = np.array(["low", "middle", "high"])[np.digitize(score, [0.0, 2.0])]
    return table


def make_pipeline_of_scikit_learn() -> object:
    """Make a pipeline with standard preparation and a network with default options."""
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    categories = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    return make_pipeline(
        ColumnTransformer(
            [
                ("numbers", numbers, make_column_selector(dtype_include="number")),
                ("categories", categories, make_column_selector(pattern="category")),
            ]
        ),
        MLPClassifier(random_state=0),
    )


def seconds(command: list[str]) -> tuple[float, float]:
    """Run a command; return the seconds that have passed, and those of the processors."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    passed, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return passed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(
    rows: Annotated[int, typer.Option(help="Rows to predict.")] = 100_000,
    repetitions: Annotated[int, typer.Option(help="Runs of each; the fastest counts.")] = 3,
) -> None:
    """Train both on 2,000 rows, then time their predictions alternately."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        training, table = make_table(2_000, seed=0), folder / "table.csv"
        training.to_csv(folder / "training.csv", index=False)
        make_table(rows, seed=1).drop(columns="outcome").to_csv(table, index=False)
        pipeline = make_pipeline_of_scikit_learn()
        pipeline.fit(training.drop(columns="outcome"), training["outcome"])  # type: ignore[attr-defined]
        joblib.dump(pipeline, folder / "pipeline")
        ours = [sys.executable, "-m", "microgrud"]
        options = ["--target", "outcome", "--no-pictures", "--quiet", "--out", str(folder / "run")]
        subprocess.run([*ours, "train", str(folder / "training.csv"), *options], check=True, capture_output=True)
        commands = {
            "scikit-learn": [sys.executable, "-c", _SCRIPT, str(folder / "pipeline"), str(table)],
            "microgrud": [*ours, "predict", str(folder / "run"), str(table), "--out"],
        }
        found: dict[str, list[tuple[float, float]]] = {tool: [] for tool in commands}
        for k in range(repetitions):
            for tool, command in commands.items():
                out = str(folder / f"{tool}-{k}.csv")
                found[tool].append(seconds([*command, out]))
                assert len(pd.read_csv(out)) == rows, tool
        best = {tool: [min(each) for each in zip(*times)] for tool, times in found.items()}
        for tool, (passed, used) in best.items():
            print(f"{tool:14} {passed:6.2f} s, {used:6.2f} s of the processors")
        ratios = [a / b for a, b in zip(best["microgrud"], best["scikit-learn"])]
        print(f"microgrud takes {ratios[0]:.2f} of the time, and {ratios[1]:.2f} of that of the processors")


if __name__ == "__main__":
    typer.run(main)
