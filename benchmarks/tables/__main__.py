"""Compare the command line with scikit-learn on the tables of one half: `python -m benchmarks.tables`."""

from __future__ import annotations

import json
import pathlib
import time
import warnings
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split

from .rivals import ESTIMATORS, RefusedError, predict_by_command, predict_by_sklearn
from .sources import TABLES, Source

OURS = "microgrud"
RIVALS = (OURS, *ESTIMATORS)


def measure(source: Source, rival: str, seed: int) -> dict[str, Any]:
    """Train a rival on three quarters of the rows whose target is known (and on those without), and score the rest.

    The score is the share of right classes, or R squared.
    """
    frame = source.load().reset_index(drop=True)
    known = frame[frame[source.target].notna()]
    labels = known[source.target] if source.task == "classification" else None
    _, held_out = train_test_split(known.index, test_size=0.25, random_state=seed, stratify=labels)
    test, train = frame.loc[held_out], frame.drop(index=held_out)
    started = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if rival == OURS:
                predictions = predict_by_command(source, train, test, seed)
            else:
                predictions = predict_by_sklearn(rival, source, train, test, seed)
    except RefusedError as refusal:
        return {"refusal": str(refusal)}
    truth = test[source.target]
    if source.task == "regression":
        score = r2_score(truth.astype(float), predictions)
    else:
        score = accuracy_score([_label(x) for x in truth], [_label(x) for x in predictions])
    return {"score": float(score), "seconds": time.perf_counter() - started}


def _label(x: object) -> str:
    """Return a class as text; a number has one spelling."""
    try:
        return repr(float(x))  # type: ignore[arg-type]
    except ValueError:
        return str(x)


def row(name: str, found: dict[str, list[dict[str, Any]]]) -> str:
    """Return a row of the Markdown table: mean scores over the seeds with their spread, and seconds."""
    cells = [name]
    for rival in RIVALS:
        results = found[rival]
        if any("refusal" in result for result in results):
            cells.append("refused")
            continue
        scores = [result["score"] for result in results]
        seconds = np.mean([result["seconds"] for result in results])
        cells.append(f"{np.mean(scores):.3f} ± {np.std(scores, ddof=len(scores) > 1):.3f} ({seconds:.1f} s)")
    return "| " + " | ".join(cells) + " |"


def ranks(results: dict[str, dict[str, list[dict[str, Any]]]]) -> pd.Series:
    """Return the mean rank of each rival over the tables; a refusal is last."""
    means = {
        name: {rival: np.mean([run.get("score", -np.inf) for run in runs]) for rival, runs in found.items()}
        for name, found in results.items()
    }
    mean: pd.Series = pd.DataFrame(means).T.rank(axis=1, ascending=False).mean()
    return mean


def behind_linear(results: dict[str, dict[str, list[dict[str, Any]]]]) -> list[str]:
    """Name the tables on which microgrud is behind the linear model by more than two standard errors.

    The standard error is that of the mean difference between the two scores of a split.
    """
    lines = []
    for name, found in results.items():
        if any("refusal" in run for run in found[OURS]):
            continue
        differences = np.subtract(*([run["score"] for run in found[rival]] for rival in (OURS, "linear")))
        error = np.std(differences, ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else np.nan
        if np.mean(differences) < -2.0 * error:
            lines.append(f"{name}: {np.mean(differences):.4f}, standard error {error:.4f}")
    return lines


def gap(results: dict[str, dict[str, list[dict[str, Any]]]], rival: str = "boosting") -> float:
    """Return the mean over the tables of the difference by which a rival is ahead of microgrud, 0 where it is not."""
    means = [
        [np.mean([run["score"] for run in found[each]]) for each in (rival, OURS)]
        for found in results.values()
        if not any("refusal" in run for run in found[OURS])
    ]
    return float(np.mean([max(0.0, theirs - ours) for theirs, ours in means]))


def main(
    half: Annotated[str, typer.Option(help="Half of the tables: tuning or final.")] = "tuning",
    seeds: Annotated[int, typer.Option(min=1, help="Number of splits of each table.")] = 3,
    only: Annotated[str, typer.Option(help="Tables to measure, separated by commas.")] = "",
    save: Annotated[pathlib.Path | None, typer.Option(help="JSON file for the results.")] = None,
) -> None:
    """Print a Markdown table of scores, the refusals, and the mean ranks."""
    if half not in ("tuning", "final"):
        raise typer.BadParameter(f"--half: expected tuning or final, got {half}")
    chosen = [t for t in TABLES if t.half == half and (not only or t.name in only.split(","))]
    print("| table | " + " | ".join(RIVALS) + " |\n|" + " --- |" * (len(RIVALS) + 1))
    results: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for source in chosen:
        results[source.name] = {rival: [measure(source, rival, seed) for seed in range(seeds)] for rival in RIVALS}
        print(row(source.name, results[source.name]), flush=True)
    for name, found in results.items():
        for refusal in {run["refusal"] for run in found[OURS] if "refusal" in run}:
            print(f"{name}: {refusal}")
    for line in behind_linear(results):
        print(f"behind the linear model by more than two standard errors: {line}")
    print(f"mean gap to boosting, where microgrud is behind: {gap(results):.4f}")
    print("mean rank: " + ", ".join(f"{rival} {rank:.2f}" for rival, rank in ranks(results).items()))
    if save is not None:
        save.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
