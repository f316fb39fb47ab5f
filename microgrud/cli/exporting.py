"""Models in the formats of other libraries: the checks of `microgrud export`, and the file that it writes."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..common.files import write_atomically
from ..common.jsonfile import ModelFileError
from ..export import to_onnx, to_safetensors, to_sklearn, torch_state_dict
from ..export.onnx_files import is_run
from ..nn import Module, load_model
from ..tables.table import closest, why_unreadable
from .output import check_place
from .predicting import Predictor
from .settings import SettingsError


def _torch(model: Any, path: Path) -> None:
    state = torch_state_dict(model)
    import torch

    with io.BytesIO() as file:
        torch.save(state, file)
        write_atomically(path, file.getvalue())


def _sklearn(model: Any, path: Path) -> None:
    write_atomically(path, pickle.dumps(to_sklearn(model)))


#: For each format the function that writes a file, and the suffix of its name.
_WRITERS: dict[str, tuple[Callable[[Any, Path], None], str]] = {
    "onnx": (to_onnx, ".onnx"),
    "torch": (_torch, ".pt"),
    "safetensors": (to_safetensors, ".safetensors"),
    "sklearn": (_sklearn, ".pickle"),
}
FORMATS = ", ".join(_WRITERS)


def export_model(model: Path, format: str, out: Path | None) -> Path:
    """Write a model in another format, and return the file.

    Args:
        model: the folder of a run, the model.json in it, or a model file that `microgrud.nn` has saved.
        format: the name of the format.
        out: the file to write; None for one next to the model.

    Raises:
        SettingsError: if there is no such format, or if it cannot carry the model.
        ModelFileError: if the model cannot be read.
        OSError: if the file cannot be written.
    """
    if format not in _WRITERS:
        raise SettingsError(f"--to: there is no format {format!r}{closest(format, _WRITERS)}")
    write, suffix = _WRITERS[format]
    source = _loaded(model)
    file = model / "model.json" if model.is_dir() else model
    out = out or file.with_suffix(suffix)
    check_place(out, [file], "export")
    if format != "onnx" and not isinstance(source, Module):
        raise SettingsError(
            f"--to {format}: expected the model file of a network, got a run, whose preparation of tables does not fit "
            "into this format; --to onnx writes both"
        )
    try:
        write(source, out)
    except (ImportError, TypeError, ValueError) as error:
        raise SettingsError(f"--to {format}: {error}") from None
    except OSError as error:
        raise OSError(f"--out: {out} cannot be written ({error.strerror or error}); choose another place") from None
    return out


def _loaded(model: Path) -> Module | Path:
    """Return the module in a model file, or the path of a run whose model file can be read."""
    try:
        if is_run(model):
            Predictor.load(model)
            return model
        return load_model(model)[0]
    except OSError as error:
        raise ModelFileError(why_unreadable(os.fspath(model), error, "model file")) from None
