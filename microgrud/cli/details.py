"""The account of a training that is stored with the model (`Run.details`), and its check when it is read."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

from ..common.documents import COUNT, FLAG, OBJECT, SIZE, TEXT, Form, Kind, check_entry
from ..tables.target import TASKS, Target
from .settings import RunSettings

_REAL = Kind("a number", lambda x: type(x) in (int, float))
_TASK = Kind(" or ".join(map(repr, TASKS)), lambda x: x in TASKS)
_SETTINGS: dict[str, Form] = {
    **{"target": TEXT, "task": _TASK, "hidden": [SIZE], "activation": TEXT, "optimizer": TEXT, "lr": _REAL},
    **{"schedule": TEXT, "weight_decay": _REAL, "epochs": SIZE, "batch_size": SIZE, "estimators": SIZE},
    **{"test_size": _REAL, "cv": COUNT, "repeats": SIZE, "search": FLAG, "seed": COUNT, "ignore": [TEXT]},
    **{
        "numerical": [TEXT],
        "day_first": FLAG,
        "month_first": FLAG,
        "categorical": [TEXT],
        "keep": [TEXT],
        "drop_missing": FLAG,
        "header": FLAG,
        "no_header": FLAG,
    },
    "time": Kind("a number or null", lambda x: x is None or _REAL.fits(x)),
    **dict.fromkeys(
        ("delimiter", "decimal", "encoding"), Kind("a string or null", lambda x: x is None or type(x) is str)
    ),
}
_TRAINED = {
    **{"table": TEXT, "rows": COUNT, "held_out_rows": COUNT, "steps": COUNT, "interrupted": FLAG, "inputs": COUNT},
}
_SPREAD = Kind("a number of 0 or more", lambda x: _REAL.fits(x) and 0 <= x < math.inf)
_IMPORTANCE = {"column": TEXT, "importance": _REAL, "spread": _SPREAD}
_OF_CLASSES = ("accuracy", "macro_f1", "log_loss", "roc_auc", "pr_auc")
_OF_NUMBERS = ("r2", "rmse", "mae")
_ANY = Kind("anything", lambda x: True)
_PER_CLASS = {"class": TEXT, "precision": _REAL, "recall": _REAL, "f1": _REAL, "rows": COUNT}
_GROUPS = [{"probability": _REAL, "share": _REAL, "rows": _REAL}]
_THRESHOLD = {"threshold": _REAL, "precision": _REAL, "recall": _REAL, "f1": _REAL, "youden": _REAL}


def check_details(details: dict[str, Any], target: Target) -> None:
    """Raise a ValueError that names the first entry that `Run.details` would not hold."""
    kinds: dict[str, Form] = {"settings": OBJECT, "trained": OBJECT, "scores": OBJECT, "importance": [_IMPORTANCE]}
    check_entry("details", details, {**kinds, "notes": [TEXT]})
    settings = {each.name: _SETTINGS[each.name] for each in fields(RunSettings)}
    check_entry("details.settings", details["settings"], settings)
    check_entry("details.trained", details["trained"], _TRAINED)
    scores = details["scores"]
    known = _OF_CLASSES if target.task == "classification" else _OF_NUMBERS
    figures: dict[str, Form] = {key: _REAL for key in known if key in scores}
    check_entry("details.scores", {key: None for key in scores if key in known[:2]}, dict.fromkeys(known[:2], _ANY))
    figures["spread"] = {key: _SPREAD for key in known if key in scores}
    held_out: dict[str, Form] = {"kind": _word("held out"), "rows": COUNT, "resamples": COUNT}
    in_folds: dict[str, Form] = {"kind": _word("folds"), "folds": COUNT, "repeats": COUNT, "networks": COUNT}
    of_folds = type(scores.get("method")) is dict and "folds" in scores["method"]
    form: dict[str, Form] = {**figures, "method": in_folds if of_folds else held_out}
    for name in ("linear", "baseline"):
        part = scores.get(name)
        if part is not None or name == "baseline":
            present = [key for key in known if type(part) is dict and key in part]
            spreads: dict[str, Form] = dict.fromkeys(("spread", "difference"), dict.fromkeys(present, _SPREAD))
            form[name] = {**dict.fromkeys(present, _REAL), **spreads}
    if target.task == "classification":
        form |= {"per_class": [_PER_CLASS], "confusion": [[COUNT]]}
        form["calibration"] = {"temperatures": [_REAL], "before": _GROUPS, "after": _GROUPS}
        if "threshold" in scores:
            thresholds: dict[str, Form] = {"f1": _REAL, "youden": _REAL, "class": TEXT, "chosen_on": TEXT}
            form["threshold"] = {**thresholds, "held_out": dict.fromkeys(("0.5", "f1", "youden"), _THRESHOLD)}
    check_entry("details.scores", scores, form)


def _word(word: str) -> Kind:
    return Kind(repr(word), lambda x: x == word)
