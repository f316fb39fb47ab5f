"""What stands in a model file: the class of the model, the arguments it was made with, and its parameters.

    {
     "architecture": {"arguments": {"activation": "relu", ..., "nin": 2, "nouts": [16, 1]}, "class": "MLP"},
     "checksum": "...",
     "extra": {},
     "format": "microgrud model",
     "format_version": 1,
     "microgrud_version": "0.1.0",
     "state": {"layers.0.neurons.0.b": 0.0, ...}
    }

The arguments are null for a class of the user's own: such a file holds a state, which `load_state` reads.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..jsonfile import ModelFileError, read_json, write_json_atomically
from ..version import __version__

FORMAT = "microgrud model"
VERSION = 1


@dataclass(frozen=True)
class StoredModel:
    """The content of a model file, checked as far as that goes without making the model.

    Attributes:
        path: the file.
        class_name: the name of the model's class.
        arguments: what to make it with, or None for a class of the user's own.
        state: the number that each parameter holds, by name.
        extra: what was stored beside the model.
    """

    path: str
    class_name: str
    arguments: dict[str, Any] | None
    state: dict[str, float]
    extra: dict[str, Any]


def write_model(
    path: str | os.PathLike[str],
    class_name: str,
    arguments: Mapping[str, Any] | None,
    state: Mapping[str, float],
    extra: Mapping[str, Any],
) -> None:
    """Write a model file, atomically.

    Raises:
        ValueError: if a parameter is infinite or NaN; if `extra` holds such a number.
        TypeError: if `extra` holds what JSON cannot.
        OSError: if the file cannot be written.
    """
    for name, number in state.items():
        if not math.isfinite(number):
            raise ValueError(f"{class_name}: parameter {name} is {number}; a model file holds finite numbers alone")
    document = {
        "format": FORMAT,
        "format_version": VERSION,
        "microgrud_version": __version__,
        "architecture": {"class": class_name, "arguments": arguments},
        "state": dict(state),
        "extra": extra,
    }
    write_json_atomically(path, document)


def read_model(path: str | os.PathLike[str]) -> StoredModel:
    """Read and check a model file.

    Raises:
        ModelFileError: if it is not a whole model file that this version of microgrud understands.
        OSError: if it cannot be read.
    """
    document = read_json(path, FORMAT, VERSION)
    architecture = _entry(path, document, "architecture", dict)
    arguments = architecture.get("arguments")
    if arguments is not None and not isinstance(arguments, dict):
        raise ModelFileError(f"{path}: damaged: the arguments of the architecture are {arguments!r}")
    state = _entry(path, document, "state", dict)
    for name, number in state.items():
        if type(number) not in (float, int):
            raise ModelFileError(f"{path}: damaged: parameter {name} is {number!r} and not a number")
    class_name = _entry(path, architecture, "class", str)
    return StoredModel(os.fspath(path), class_name, arguments, state, _entry(path, document, "extra", dict))


def _entry(path: str | os.PathLike[str], document: Mapping[str, Any], key: str, kind: type) -> Any:
    entry = document.get(key)
    if not isinstance(entry, kind):
        raise ModelFileError(f"{path}: damaged: expected an entry {key!r} that is a {kind.__name__}")
    return entry


def parameter_count(arguments: Mapping[str, Any]) -> int:
    """Return how many parameters a module that is made with these arguments has.

    >>> parameter_count({"nin": 2, "nouts": [3, 1], "bias": True})
    13
    """
    sizes = [arguments["nin"], *arguments.get("nouts", [arguments.get("nout", 1)])]
    count: int = sum((m + arguments["bias"]) * n for m, n in itertools.pairwise(sizes))
    return count
