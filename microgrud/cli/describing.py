"""Descriptions of a model and of what matters to it, as text for stdout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from ..tables.table import counted
from ..tables.target import Target
from .predicting import Predictor, layers, size_of
from .printing import one_line
from .scores import LABELS, behind_baseline, behind_linear, setting, spread_meaning, with_spread

#: Number of rows of the table of important columns on stdout.
_SHOWN = 10


def document(target: Target, details: dict[str, Any]) -> dict[str, Any]:
    """Return the account of a training for scripts."""
    return {"target": target.name, "task": target.task, "classes": list(target.classes), **details}


def important(importance: Sequence[dict[str, Any]], task: str) -> str:
    """Return the first rows of the table of importance as text."""
    what = "rise of the log loss" if task == "classification" else "fall of R²"
    shown = importance[:_SHOWN]
    names = [one_line(str(row["column"])) for row in shown]
    width = max(map(len, names), default=0)
    lines = [
        f"{name:<{width}}  {with_spread({'x': row['importance'], 'spread': {'x': row['spread']}}, 'x')}"
        for name, row in zip(names, shown)
    ]
    more = len(importance) - len(shown)
    ending = [f"and {counted(more, 'more column')}, in importance.csv"] if more else []
    return "\n".join([f"columns that matter ({what} when the column is shuffled)", *lines, *ending])


def description(predictor: Predictor) -> Iterator[str]:
    """Yield the lines of the description of a model."""
    target, details = predictor.target, predictor.details
    network = predictor.pipeline["network"]
    header = ["layer", "inputs", "neurons", "activation", "parameters"]
    yield pd.DataFrame(layers(network.networks_[0]), columns=header).to_string(index=False)
    yield f"{size_of(network)}\n"
    for column in predictor.preparation.columns_:
        yield one_line(f"column {column.name}: {column.said}")
    values = f"one of {', '.join(target.classes)}" if target.classes else "a number"
    yield one_line(f"predicts {target.name}: {values}")
    trained, settings, scores = details["trained"], details["settings"], details["scores"]
    state = ", interrupted" if trained["interrupted"] else ""
    rows, steps = counted(trained["rows"], "row"), counted(trained["steps"], "step")
    yield ""
    yield one_line(f"trained on {rows} of {trained['table']}: {steps}{state}")
    shown = ("optimizer", "lr", "schedule", "weight_decay", "epochs", "batch_size", "seed")
    yield "; ".join(f"{name.replace('_', ' ')} {setting(settings[name])}" for name in shown)
    behind = ", and ".join(filter(None, (behind_baseline(scores), settings["hidden"] and behind_linear(scores))))
    shown_scores = ", ".join(f"{LABELS[key][0]} {with_spread(scores, key)}" for key in LABELS if key in scores)
    yield one_line(f"on held-out rows: {shown_scores}" + (f"; {behind}" if behind else ""))
    yield f"({spread_meaning(scores['method'])})"
    yield "\n" + important(details["importance"], target.task)
    if details["notes"]:
        yield "\nnotes"
        yield from map(one_line, details["notes"])
