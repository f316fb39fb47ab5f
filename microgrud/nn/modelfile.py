"""Model files: JSON that holds a network, exact to the last bit; reading one never unpickles anything.

`microgrud.nn.modelformat` shows the format; `microgrud.common.jsonfile` writes a file completely or not at all, and
detects any damage.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..common.jsonfile import ModelFileError as ModelFileError
from .layers import MLP as MLP, Neuron as Neuron
from .modelformat import read_model
from .module import Module, build_module, save_module
from .sequential import KINDS


def save_model(path: str | os.PathLike[str], model: Module, extra: Mapping[str, Any] | None = None) -> None:
    """Write a model to a file, atomically: at every moment the old file or the new one is there.

    Args:
        path: the file to write; a symbolic link is followed, and the permissions of a replaced file are kept.
        model: a module of this package, such as an MLP or a Sequential of such modules; of another class, or with
            such a part, the file holds only the state.
        extra: additional content of the file, such as the preprocessing: a dict of None, bools, finite numbers,
            strings, and lists and dicts of these. (Tuples come back as lists.)

    Raises:
        ValueError: if a number is infinite or NaN, or an activation is a user-defined function.
        TypeError: if `extra` holds something that JSON cannot.
        OSError: if the file cannot be written. On any error the old file stays unchanged.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.json")
    ...     save_model(path, MLP(2, [1], rng=0), extra={"classes": ["no", "yes"]})
    ...     load_model(path)
    (MLP of [Layer of [LinearNeuron(2)]], {'classes': ['no', 'yes']})
    """
    save_module(path, model, {} if extra is None else extra)


def load_model(path: str | os.PathLike[str]) -> tuple[Module, dict[str, Any]]:
    """Make the MLP, Sequential, ... that a model file holds, and return it with the `extra` content.

    No random numbers are drawn.

    Raises:
        ModelFileError: if the file is damaged, truncated, of another kind or newer; or holds the state of another
            class, which `load_state` reads.
        OSError: if it cannot be read.
    """
    stored = read_model(path)
    return build_module(stored, tuple(KINDS.values())), stored.extra


def load_state(path: str | os.PathLike[str]) -> dict[str, float]:
    """Return the number that each parameter holds in a model file, by name: for `model.load_state_dict`.

    Raises:
        ModelFileError: if the file is damaged, truncated, of another kind or newer.
        OSError: if it cannot be read.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.json")
    ...     save_model(path, Neuron(1, init="zeros"))
    ...     load_state(path)
    {'b': 0.0, 'w.0': 0.0}
    """
    return read_model(path).state
