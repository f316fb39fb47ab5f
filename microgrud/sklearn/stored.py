"""The description of a trained estimator as plain JSON data: its parameters, settings, labels and networks."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from ..common.checks import Check, declared
from ..common.documents import ANYTHING, FLAG, NUMBER, OBJECT, SIZE, TEXT, Form, Kind, check_entry, or_null, several
from ..train import History
from .encoding import Encoding
from .linear import LinearModel
from .members import Trained
from .settings import Settings, checks_of

_NOTHING = Kind("null", lambda x: x is None)
_NO_STEPS = Kind("an empty list", lambda x: type(x) is list and not x)
_LABEL = Kind("a string, a number or a truth value", lambda x: type(x) in (str, int, bool) or NUMBER.fits(x))
_DTYPE = Kind("the type of an array of labels", lambda x: bool(re.fullmatch(r"[<>|=][UOiufb]\d*", str(x))))
_CLASS_WEIGHT = Kind("a pair of a label and a weight", lambda x: type(x) is list and len(x) == 2 and _LABEL.fits(x[0]))
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
_ESTIMATOR: Form = {
    "estimator": TEXT,
    "parameters": OBJECT,
    "settings": OBJECT,
    "inputs": SIZE,
    "feature_names": ANYTHING,
    "encoding": or_null(OBJECT),
    "target": OBJECT,
    "networks": [ANYTHING],
    "linear": [OBJECT],
    "network_share": Kind("a number from 0.0 to 1.0", lambda x: NUMBER.fits(x) and 0.0 <= x <= 1.0),
    "histories": [_HISTORY],
    "time_limited": FLAG,
}


def estimator_to_json(model: Any) -> dict[str, Any]:
    """Return a trained estimator as plain JSON data; see `MLPClassifier.to_json`."""
    names = getattr(model, "feature_names_in_", None)
    return {
        "estimator": type(model).__name__,
        "parameters": {name: _as_json(name, x) for name, x in model.get_params(deep=False).items()},
        "settings": {**asdict(model.settings_), "hidden_layer_sizes": list(model.settings_.hidden_layer_sizes)},
        "inputs": model.n_features_in_,
        "feature_names": None if names is None else names.tolist(),
        "encoding": None if model.encoding_ is None else model.encoding_.to_json(),
        "target": model._target_to_json(),
        "networks": [vector.tolist() for vector in model._present()],
        "linear": [linear.to_json() for linear in model._linear],
        "network_share": model.network_share_,
        "histories": [history.to_dict(steps=len(history)) for history in model.histories_],
        "time_limited": model.time_limited_,
    }


def estimator_from_json(kind: Any, document: Any) -> Any:
    """Make the trained estimator of a class from what `estimator_to_json` returned; see `MLPClassifier.from_json`."""
    check_entry("", document, _ESTIMATOR)
    if document["estimator"] != kind.__name__:
        raise ValueError(f"estimator: expected {kind.__name__!r}, got {document['estimator']!r}")
    model = kind(**_parameters_from_json(document["parameters"], checks_of(kind)))
    settings = Settings(**_checked("settings", document["settings"], declared(Settings)))
    model.n_features_in_ = inputs = document["inputs"]
    if document["feature_names"] is not None:
        check_entry("feature_names", document["feature_names"], several(inputs, TEXT))
        model.feature_names_in_ = np.array(document["feature_names"], dtype=object)
    encoding = document["encoding"]
    model.encoding_ = None if encoding is None else Encoding.from_json("encoding", encoding, inputs)
    model._set_target_from_json(document["target"])
    sizes = [model._network_inputs, *settings.hidden_layer_sizes, model._outputs]
    model._keep(settings, _members_from_json(document["networks"], document["histories"], sizes))
    model._linear = [
        LinearModel.from_json(f"linear[{i}]", each, inputs, model._outputs) for i, each in enumerate(document["linear"])
    ]
    model.network_share_, model.time_limited_ = document["network_share"], document["time_limited"]
    if len(model._linear) not in (0, len(model.networks_)) or (not model._linear and model.network_share_ < 1.0):
        raise ValueError(f"linear: expected a model for each of the networks, got {len(model._linear)}")
    return model


def _parameters_from_json(document: Mapping[str, Any], checks: Mapping[str, Check]) -> dict[str, Any]:
    """Return the parameters as they were given, but for lists of sizes, which become tuples."""
    parameters = dict(document)
    if type(parameters.get("hidden_layer_sizes")) is list:
        parameters["hidden_layer_sizes"] = tuple(parameters["hidden_layer_sizes"])
    if type(parameters.get("class_weight")) is list:
        check_entry("parameters.class_weight", parameters["class_weight"], [_CLASS_WEIGHT])
        parameters["class_weight"] = dict(parameters["class_weight"])
    _checked("parameters", parameters, checks)
    return parameters


def _checked(where: str, document: Mapping[str, Any], checks: Mapping[str, Check]) -> dict[str, Any]:
    """Return the entries as their checks do; raise a ValueError if one is missing, unknown or invalid."""
    check_entry(where, document, dict.fromkeys(checks, ANYTHING))
    try:
        return {name: check(f"{where}.{name}", document[name]) for name, check in checks.items()}
    except TypeError as error:
        raise ValueError(str(error)) from None


def _members_from_json(networks: list[list[float]], histories: list[Any], sizes: list[int]) -> list[Trained]:
    """Return the parameters and the history of each network; raise a ValueError unless they are complete."""
    count = sum((before + 1) * after for before, after in itertools.pairwise(sizes))
    check_entry("histories", histories, several(max(1, len(networks)), ANYTHING))
    check_entry("networks", networks, several(len(histories), several(count, NUMBER)))
    for i, history in enumerate(histories):
        if len({record["validation_loss"] is None for record in history["epochs"]}) > 1:
            raise ValueError(f"histories[{i}].epochs: expected a validation_loss in every epoch or in none")
    nothing = np.arange(0)
    return [Trained(np.array(x), History.from_dict(history), nothing) for x, history in zip(networks, histories)]


def _as_json(name: str, parameter: Any) -> Any:
    """Return a parameter in a form that JSON can hold: a dict of class weights as a list of pairs.

    Raises:
        TypeError: if JSON cannot hold it.
    """
    if isinstance(parameter, np.generic):
        parameter = parameter.item()
    if isinstance(parameter, (list, tuple)):
        return [_as_json(name, each) for each in parameter]
    if isinstance(parameter, dict):
        return [[_as_json(name, key), _as_json(name, each)] for key, each in parameter.items()]
    if parameter is not None and type(parameter) not in (str, int, float, bool):
        kind = type(parameter).__name__
        raise TypeError(f"to_json: {name}: expected a name, a number or None, which JSON can hold, got a {kind}")
    return parameter


def labels_to_json(labels: npt.NDArray[Any]) -> dict[str, Any]:
    """Return class labels and the type of their array.

    Raises:
        TypeError: unless they are strings, numbers or truth values.
    """
    listed = labels.tolist()
    if not all(map(_LABEL.fits, listed)):
        raise TypeError(f"to_json: classes: expected strings, numbers or truth values, got {listed!r:.80}")
    return {"classes": listed, "dtype": labels.dtype.str}


def labels_from_json(where: str, classes: Any, dtype: Any) -> npt.NDArray[Any]:
    """Return the labels from the two entries that `labels_to_json` gave.

    Raises:
        ValueError: if they are damaged.
    """
    check_entry(f"{where}.dtype", dtype, _DTYPE)
    check_entry(f"{where}.classes", classes, [_LABEL])
    try:
        labels = np.array(classes, dtype=dtype)
    except (TypeError, ValueError, OverflowError):
        labels = np.array([])
    if repr(labels.tolist()) != repr(classes) or len(labels) < 2 or len(set(classes)) < len(classes):
        raise ValueError(f"{where}.classes: expected at least 2 different labels that the type {dtype!r} holds")
    return labels
