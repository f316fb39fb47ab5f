"""The description of a trained estimator as plain JSON data: its parameters, settings, labels and networks."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..common.checks import Check
from ..common.documents import ANYTHING, COUNT, FLAG, NUMBER, OBJECT, SIZE, TEXT, Form, Kind, check_entry, or_null
from ..engine.vectors import Vector
from ..nn.activations import ACTIVATIONS
from ..train import History
from .settings import Settings

#: The types of class labels that a description can hold, by the kind of their arrays.
_LABELS: dict[str, type] = {"U": str, "i": int, "u": int, "f": float, "b": bool}


_NOTHING = Kind("null", lambda x: x is None)
_NO_STEPS = Kind("an empty list", lambda x: type(x) is list and not x)
FORM: Form = {
    "estimator": TEXT,
    "parameters": OBJECT,
    "settings": OBJECT,
    "inputs": SIZE,
    "feature_names": or_null(Kind("a list", lambda x: type(x) is list)),
    "encoding": or_null(OBJECT),
    "target": OBJECT,
    "networks": Kind("a list of at least one network", lambda x: type(x) is list and len(x) > 0),
    "linear": [OBJECT],
    "network_share": Kind("a number from 0.0 to 1.0", lambda x: NUMBER.fits(x) and 0.0 <= x <= 1.0),
    "histories": [ANYTHING],
    "time_limited": FLAG,
}
_EPOCH: dict[str, Form] = {
    "epoch": SIZE,
    "step": SIZE,
    "loss": NUMBER,
    "metric": _NOTHING,
    "learning_rate": NUMBER,
    "validation_loss": or_null(NUMBER),
    "validation_metric": _NOTHING,
}
_HISTORY: dict[str, Form] = {
    **dict.fromkeys(("epoch", "loss", "metric", "learning_rate", "gradient_norm"), _NO_STEPS),
    "epochs": [_EPOCH],
    "stopped_by": or_null(TEXT),
    "best_epoch": or_null(SIZE),
    "engine": or_null(TEXT),
    "eager_because": or_null(TEXT),
}
_SETTINGS: dict[str, Form] = {
    "hidden_layer_sizes": [SIZE],
    "activation": Kind("the name of an activation", lambda x: type(x) is str and x in ACTIVATIONS),
    "solver": TEXT,
    "alpha": NUMBER,
    "batch_size": SIZE,
    "learning_rate": TEXT,
    "learning_rate_init": NUMBER,
    "max_iter": SIZE,
    "shuffle": FLAG,
    "tol": NUMBER,
    "verbose": FLAG,
    "validation_fraction": or_null(NUMBER),
    "n_iter_no_change": COUNT,
    "max_seconds": or_null(NUMBER),
    "blend_linear": FLAG,
}


def as_json(name: str, parameter: Any) -> Any:
    """Return a parameter in a form that JSON can hold: a dict of class weights as a list of pairs.

    Raises:
        TypeError: if JSON cannot hold it.
    """
    if isinstance(parameter, np.generic):
        parameter = parameter.item()
    if isinstance(parameter, (list, tuple)):
        return [as_json(name, each) for each in parameter]
    if isinstance(parameter, dict):
        return [[as_json(name, key), as_json(name, each)] for key, each in parameter.items()]
    if parameter is not None and type(parameter) not in (str, int, float, bool):
        kind = type(parameter).__name__
        raise TypeError(f"to_json: {name}: expected a name, a number or None, which JSON can hold, got a {kind}")
    return parameter


def parameters_from_json(document: Mapping[str, Any], checks: Mapping[str, Check]) -> dict[str, Any]:
    """Return the parameters of an estimator from the form that `as_json` gave them.

    Raises:
        ValueError: if one is missing, unknown or invalid.
    """
    check_entry("parameters", document, dict.fromkeys(checks, ANYTHING))
    parameters = dict(document)
    if type(parameters["hidden_layer_sizes"]) is list:
        parameters["hidden_layer_sizes"] = tuple(parameters["hidden_layer_sizes"])
    try:
        if type(parameters.get("class_weight")) is list:
            parameters["class_weight"] = dict(parameters["class_weight"])
        for name, check in checks.items():
            check(f"parameters.{name}", parameters[name])
    except TypeError as error:
        raise ValueError(str(error)) from None
    return parameters


def settings_from_json(document: Mapping[str, Any]) -> Settings:
    """Return the settings of a training from the form that `as_json` gave them.

    Raises:
        ValueError: if they are damaged.
    """
    check_entry("settings", document, _SETTINGS)
    return Settings(**{**document, "hidden_layer_sizes": tuple(document["hidden_layer_sizes"])})


def vectors_from_json(networks: list[Any], inputs: int, outputs: int, settings: Settings) -> list[Vector]:
    """Return the parameters of each network; raise a ValueError unless there are as many as it has."""
    sizes = [inputs, *settings.hidden_layer_sizes, outputs]
    count = sum((before + 1) * after for before, after in itertools.pairwise(sizes))
    for i, numbers in enumerate(networks):
        check_entry(f"networks[{i}]", numbers, [NUMBER])
        if len(numbers) != count:
            raise ValueError(f"networks[{i}]: expected {count} parameters for layers of {sizes}, got {len(numbers)}")
    return [np.array(numbers) for numbers in networks]


def histories_from_json(documents: list[Any], networks: int) -> list[History]:
    """Return the history of each network, epoch by epoch; raise a ValueError if one is missing or damaged."""
    if len(documents) != networks:
        raise ValueError(f"histories: expected one for each of {networks} networks, got {len(documents)}")
    for i, document in enumerate(documents):
        check_entry(f"histories[{i}]", document, _HISTORY)
        if len({record["validation_loss"] is None for record in document["epochs"]}) > 1:
            raise ValueError(f"histories[{i}].epochs: expected a validation_loss in every epoch or in none")
    return [History.from_dict(document) for document in documents]


def labels_to_json(labels: npt.NDArray[Any]) -> dict[str, Any]:
    """Return class labels and the type of their array.

    Raises:
        TypeError: unless they are strings, numbers or truth values.
    """
    listed = labels.tolist()
    if not all(type(label) in _LABELS.values() for label in listed):
        raise TypeError(f"to_json: classes: expected strings, numbers or truth values, got {listed!r:.80}")
    return {"classes": listed, "dtype": labels.dtype.str}


def labels_from_json(where: str, classes: Any, dtype: Any) -> npt.NDArray[Any]:
    """Return the labels from the two entries that `labels_to_json` gave.

    Raises:
        ValueError: if they are damaged.
    """
    check_entry(f"{where}.dtype", dtype, TEXT)
    kind = dtype[1:2]
    types = set(_LABELS.values()) if kind == "O" else {_LABELS.get(kind)}
    label = Kind("a label of the type that dtype says", lambda x: type(x) in types)
    check_entry(f"{where}.classes", classes, [label])
    try:
        labels = np.array(classes, dtype=dtype)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{where}.dtype: expected the type of an array of these classes, got {dtype!r}") from None
    if labels.tolist() != classes or len(labels) < 2 or len(set(classes)) < len(classes):
        raise ValueError(f"{where}.classes: expected at least 2 different labels that the type {dtype!r} holds")
    return labels
