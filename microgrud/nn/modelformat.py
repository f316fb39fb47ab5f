"""The format of model files: the class of the model, the arguments of its constructor, and its parameters.

    {
     "architecture": {"arguments": {"activation": "relu", ..., "nin": 2, "nouts": [16, 1]}, "class": "MLP"},
     "checksum": "...",
     "extra": {},
     "format": "microgrud model",
     "format_version": 1,
     "microgrud_version": "0.1.0",
     "state": {"layers.0.neurons.0.b": 0.0, ...}
    }

The arguments are null for a user-defined class: such a file holds a state, which `load_state` reads.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..common.documents import ANYTHING, FLAG, NUMBER, OBJECT, SIZE, TEXT, Form, Kind, check_entry
from ..common.jsonfile import ModelFileError, read_json, write_json_atomically
from ..version import __version__

FORMAT = "microgrud model"
VERSION = 1


@dataclass(frozen=True)
class StoredModel:
    """The content of a model file, checked as far as possible without making the model.

    Attributes:
        path: the file.
        class_name: the name of the model's class.
        arguments: the arguments of its constructor, or None for a user-defined class.
        state: the number that each parameter holds, by name.
        extra: the additional content.
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
        TypeError: if `extra` holds something that JSON cannot.
        OSError: if the file cannot be written.
    """
    for name, number in state.items():
        if not math.isfinite(number):
            raise ValueError(f"{class_name}: parameter {name} is {number}; a model file holds finite numbers only")
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
    """Read a model file and check each of its entries before any of them is used.

    Raises:
        ModelFileError: if it is not a complete model file that this version of microgrud understands.
        OSError: if it cannot be read.
    """
    document = read_json(path, FORMAT, VERSION)
    try:
        check_entry("", document, _DOCUMENT)
        architecture, state = document["architecture"], document["state"]
        name, arguments = architecture["class"], architecture["arguments"]
        for parameter, number in state.items():
            check_entry(f"state.{parameter}", number, NUMBER)
        if arguments is not None:
            count = checked_parameter_count("architecture", architecture)
            if count != len(state):
                raise ValueError(f"architecture: it has {count} parameters, and state has {len(state)}")
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: damaged: {error}") from None
    return StoredModel(os.fspath(path), name, arguments, state, document["extra"])


#: The arguments of the classes that a file can hold, by name.
ARGUMENTS: dict[str, dict[str, Form]] = {
    "Neuron": {"nin": SIZE, "nonlin": FLAG, "bias": FLAG, "activation": TEXT},
    "Layer": {"nin": SIZE, "nout": SIZE, "nonlin": FLAG, "bias": FLAG, "activation": TEXT},
    "MLP": {"nin": SIZE, "nouts": [SIZE], "activation": TEXT, "output": TEXT, "bias": FLAG},
    "Linear": {"nin": SIZE, "nout": SIZE, "bias": FLAG},
    "Elementwise": {"activation": TEXT},
    "PReLU": {"count": SIZE},
    "Dropout": {"p": NUMBER},
    "LayerNorm": {"size": SIZE, "eps": NUMBER, "elementwise_affine": FLAG},
    "BatchNorm1d": {"size": SIZE, "eps": NUMBER, "momentum": NUMBER, "affine": FLAG},
    "Embedding": {"count": SIZE, "size": SIZE},
    "Sequential": {"layers": [ANYTHING]},  # each the name of a function, or a dict as `architecture`
}
_CLASS = Kind(f"one of {', '.join(ARGUMENTS)}", lambda x: type(x) is str and x in ARGUMENTS)
_ARGUMENTS_OR_NONE = Kind("a dict or null", lambda x: x is None or type(x) is dict)
_DOCUMENT: Form = {
    "architecture": {"class": TEXT, "arguments": _ARGUMENTS_OR_NONE},
    "checksum": TEXT,
    "extra": OBJECT,
    "format": TEXT,
    "format_version": SIZE,
    "microgrud_version": TEXT,
    "state": OBJECT,
}


def checked_parameter_count(where: str, architecture: Any) -> int:
    """Return how many numbers the state of a module has; raise a ValueError unless its entries are as they should be.

    The count is compared with the numbers that the file holds before a module of that size is made.
    """
    check_entry(where, architecture, {"class": _CLASS, "arguments": OBJECT})
    name, arguments = architecture["class"], architecture["arguments"]
    check_entry(f"{where}.arguments", arguments, ARGUMENTS[name])
    if name != "Sequential":
        return parameter_count(name, arguments)
    layers = enumerate(arguments["layers"])
    return sum(checked_parameter_count(f"{where}.arguments.layers[{k}]", x) for k, x in layers if type(x) is not str)


def parameter_count(name: str, arguments: Mapping[str, Any]) -> int:
    """Return the number of Values in the state of a module of a class with these arguments.

    >>> parameter_count("MLP", {"nin": 2, "nouts": [3, 1], "bias": True})
    13
    """
    if "nin" in arguments:  # at least one for each neuron
        sizes = [arguments["nin"], *arguments.get("nouts", [arguments.get("nout", 1)])]
        return sum((m + arguments["bias"]) * n for m, n in itertools.pairwise(sizes))
    size, count = arguments.get("size", 0), arguments.get("count", 1)
    vectors = {
        "PReLU": count,
        "LayerNorm": 2 * size * arguments.get("elementwise_affine", False),
        "BatchNorm1d": 2 * size * (1 + arguments.get("affine", False)),
        "Embedding": count * size,
    }
    return int(vectors.get(name, 0))
