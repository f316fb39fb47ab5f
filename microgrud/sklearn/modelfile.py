"""Model files of `microgrud train`: JSON from which a trained pipeline is rebuilt; nothing is ever unpickled."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sklearn.pipeline import Pipeline

from ..common.documents import NAMES, NUMBER, OBJECT, TEXT, Form, Kind, check_entry
from ..common.jsonfile import ModelFileError, read_json, write_json_atomically
from ..tables.preparation import TablePreparation
from ..tables.target import TASKS, Target
from .classifier import MLPClassifier
from .regressor import MLPRegressor

_FORMAT, _VERSION = "microgrud trained pipeline", 1
_TARGET: dict[str, Form] = {
    **{"name": TEXT, "task": Kind(" or ".join(map(repr, TASKS)), lambda x: x in TASKS), "classes": NAMES},
    **{"decimal": TEXT, "unit": [TEXT], "low": NUMBER, "high": NUMBER},
}
_ENTRIES = ("preparation", "network", "target", "details")


@dataclass(frozen=True)
class StoredPipeline:
    """The content of a model file.

    Attributes:
        pipeline: the steps `"preparation"` and `"network"`, as they were trained.
        target: the column that it predicts.
        details: the settings, the scores and the notes of the training, as JSON data.
    """

    pipeline: Pipeline
    target: Target
    details: dict[str, Any]


def load(path: str | os.PathLike[str]) -> Pipeline:
    """Load the pipeline that `microgrud train` has trained: it predicts from a DataFrame with the table's columns.

    `load("runs/titanic-1").predict(pandas.read_csv("passengers.csv"))` returns an array with a class for each row, as a
    string, or a number in regression. Columns that the model does not take are ignored.

    Args:
        path: the folder of a run, or the model.json in it.

    Returns:
        A Pipeline of the steps `"preparation"` (a TablePreparation) and `"network"` (an MLPClassifier or MLPRegressor).
        Its predictions are those of `microgrud predict`, to the bit.

    Raises:
        ModelFileError: if the file is of another kind, damaged, or newer.
        OSError: if it cannot be read.
    """
    return read_pipeline(path).pipeline


def save_pipeline(path: str | os.PathLike[str], pipeline: Pipeline, target: Target, details: Mapping[str, Any]) -> None:
    """Write a trained pipeline to a model file, atomically; equal pipelines give equal bytes.

    Raises:
        OSError: if the file cannot be written.
    """
    document = {
        "format": _FORMAT,
        "format_version": _VERSION,
        "preparation": pipeline["preparation"].to_json(),
        "network": pipeline["network"].to_json(),
        "target": target.to_json(),
        "details": dict(details),
    }
    write_json_atomically(path, document)


def read_pipeline(path: str | os.PathLike[str]) -> StoredPipeline:
    """Read a model file that `save_pipeline` has written; see `load`."""
    path = Path(path)
    if path.is_dir():
        path = path / "model.json"
    document = read_json(path, _FORMAT, _VERSION)
    try:
        check_entry("", {name: document.get(name) for name in _ENTRIES}, dict.fromkeys(_ENTRIES, OBJECT))
        check_entry("target", document["target"], _TARGET)
        target = Target.from_json(document["target"])
        kind = MLPClassifier if target.task == "classification" else MLPRegressor
        preparation, network = TablePreparation.from_json(document["preparation"]), kind.from_json(document["network"])
        _check_fit(target, preparation, network)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: damaged: {' '.join(str(error).split())}") from None
    return StoredPipeline(Pipeline([("preparation", preparation), ("network", network)]), target, document["details"])


def _check_fit(target: Target, preparation: TablePreparation, network: Any) -> None:
    """Raise a ValueError unless the parts belong together."""
    if len(preparation.input_columns_) != network.n_features_in_:
        raise ValueError(
            f"preparation: expected the {network.n_features_in_} inputs of the network, got "
            f"{len(preparation.input_columns_)}"
        )
    if hasattr(network, "feature_names_in_"):
        raise ValueError("network.feature_names: expected null, since the network takes prepared inputs")
    unknown = set(getattr(network, "classes_", [])) - set(target.classes)
    if unknown or (target.task == "regression") != (not target.classes):
        raise ValueError(f"target.classes: expected the classes of the network, got {target.classes}")
