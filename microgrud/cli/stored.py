"""The entries that `microgrud train` stores in a model file in addition to the network, and their check."""

from __future__ import annotations

from typing import Any

from ..common.documents import COUNT, FLAG, NUMBER, OBJECT, SIZE, TEXT, Form, Kind, check_entry
from ..nn import MLP
from .preprocessing import TASKS

_REAL = Kind("a number", lambda x: type(x) in (int, float))
_SCALE = Kind("a number above 0 with a decimal point or an exponent", lambda x: NUMBER.fits(x) and x > 0)
_TASK = Kind(" or ".join(map(repr, TASKS)), lambda x: x in TASKS)
_NAMES = Kind(
    "a list of different strings",
    lambda x: type(x) is list and all(type(name) is str for name in x) and len(set(x)) == len(x),
)
_SOME_NAMES = Kind("a list of at least one string, all different", lambda x: _NAMES.fits(x) and len(x) >= 1)
_NUMBERS = {"name": TEXT, "mean": NUMBER, "scale": _SCALE}
_CATEGORIES = {"name": TEXT, "categories": _SOME_NAMES}
_TARGET = {"name": TEXT, "task": _TASK, "classes": _NAMES, "mean": NUMBER, "scale": _SCALE}
_SETTINGS = {
    **{"target": TEXT, "task": _TASK, "hidden": [SIZE], "activation": TEXT, "optimizer": TEXT, "lr": _REAL},
    **{"schedule": TEXT, "weight_decay": _REAL, "epochs": SIZE, "batch_size": SIZE, "test_size": _REAL, "seed": COUNT},
    **{"ignore": [TEXT], "categorical": [TEXT], "drop_missing": FLAG},
    "delimiter": Kind("a string or null", lambda x: x is None or type(x) is str),
}
_TRAINED = {"table": TEXT, "rows": COUNT, "steps": COUNT, "interrupted": FLAG}
_OF_CLASSES = {"accuracy": _REAL, "macro_f1": _REAL, "log_loss": _REAL}
_OF_NUMBERS = {"r2": _REAL, "rmse": _REAL, "mae": _REAL}
_PER_CLASS = {"class": TEXT, "precision": _REAL, "recall": _REAL, "f1": _REAL, "rows": COUNT}


def check_stored(extra: dict[str, Any], model: MLP) -> None:
    """Raise a ValueError that names the first entry that `microgrud train` would not store for this network."""
    check_entry("extra", extra, dict.fromkeys(("preprocessing", "settings", "trained", "scores"), OBJECT))
    preprocessing, scores = extra["preprocessing"], extra["scores"]
    check_entry("extra.preprocessing", preprocessing, {"columns": [OBJECT], "target": _TARGET})
    columns, target = preprocessing["columns"], preprocessing["target"]
    for k, column in enumerate(columns):
        form: Form = _CATEGORIES if "categories" in column else _NUMBERS
        check_entry(f"extra.preprocessing.columns[{k}]", column, form)
    names = [column["name"] for column in columns] + [target["name"]]
    check_entry("the names of the columns in extra.preprocessing", names, _NAMES)
    inputs = sum(len(column.get("categories", [None])) for column in columns)
    _check_size("columns of extra.preprocessing", inputs, "inputs", len(model.layers[0].neurons[0].w))
    outputs = len(target["classes"]) if target["task"] == "classification" else 1
    _check_size("target of extra.preprocessing", outputs, "outputs", len(model.layers[-1].neurons))
    check_entry("extra.settings", extra["settings"], _SETTINGS)
    check_entry("extra.trained", extra["trained"], _TRAINED)
    figures = _OF_CLASSES if target["task"] == "classification" else _OF_NUMBERS
    others = dict.fromkeys(("baseline", *(["linear"] if "linear" in scores else [])), figures)
    classes: dict[str, Form] = {"per_class": [_PER_CLASS], "confusion": [[COUNT]]} if figures is _OF_CLASSES else {}
    check_entry("extra.scores", scores, {**figures, **others, **classes})


def _check_size(where: str, size: int, what: str, expected: int) -> None:
    if size != expected:
        raise ValueError(f"{where}: expected the {expected} {what} of the network, got {size}")
