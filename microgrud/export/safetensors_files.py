"""Models as safetensors files, which hold a tensor for all weights of a layer, and no code.

The metadata are strings: `format`, `format_version`, `microgrud_version`, `architecture` (JSON, as in a model file, see
`microgrud.nn.modelformat`) and `checksum`, the SHA-256 of the other metadata and of the tensors.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..common.files import naming, write_atomically
from ..common.missing import what_to_install
from ..nn import ModelFileError, Module
from ..nn.modelformat import FORMAT, VERSION, checked_parameter_count
from ..nn.module import arguments_of, shortened
from ..nn.sequential import KINDS
from ..version import __version__
from .steps import Block, blocks_below, conflicts

if TYPE_CHECKING:
    import numpy as np

    Arrays = dict[str, np.ndarray[Any, np.dtype[np.float64]]]

#: Types of numbers that are numbers of double precision, too.
_EXACT = ("F64", "F32", "F16")


def to_safetensors(model: Module, path: str | os.PathLike[str]) -> None:
    """Write a model to a safetensors file, atomically: at every moment the old file or the new one is there.

    The file holds a tensor for all weights of a layer, such as `layers.0.weight` of shape (outputs, inputs), and those
    of biases, normalizations, running statistics and embeddings, all in double precision; and the architecture. A
    parameter that a user-defined module holds itself is a tensor of shape (). The file does not say which modules are
    frozen or in training mode.
    Equal models give equal bytes.

    Args:
        model: a Module.
        path: the file to write.

    Raises:
        ImportError: without safetensors or NumPy.
        TypeError: if the model is no Module.
        ValueError: if an activation is a user-defined function, or layers were changed so that a file cannot say how to
            make them.
        OSError: if the file cannot be written. On any error the old file stays unchanged.

    >>> import tempfile
    >>> from microgrud.nn import MLP
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     to_safetensors(MLP(2, [1], rng=0), path)
    ...     from_safetensors(path)
    MLP of [Layer of [LinearNeuron(2)]]
    """
    safetensors, np = _imported("to_safetensors")
    if not isinstance(model, Module):
        raise TypeError(f"to_safetensors: expected a Module, got an object of type {type(model).__name__}")
    architecture = json.dumps({"class": type(model).__name__, "arguments": arguments_of(model)}, sort_keys=True)
    blocks = blocks_below(model, "to_safetensors")
    arrays = {name: np.array([x.data for x in values]).reshape(shape) for name, (values, shape) in blocks.items()}
    metadata = {"format": FORMAT, "format_version": str(VERSION), "microgrud_version": __version__}
    metadata["architecture"] = architecture
    metadata["checksum"] = _checksum(metadata, arrays)
    write_atomically(path, _ordered(safetensors.numpy.save(arrays, metadata)))


def from_safetensors(path: str | os.PathLike[str], model: Module | None = None) -> Module:
    """Return the model that a safetensors file holds, or fill a given one; nothing is unpickled.

    Numbers in single or half precision come in exactly, as 0.10000000149011612 for 0.1 in F32.

    Args:
        path: the file.
        model: the Module to fill and to return; needed for a file that `to_safetensors` has not written, and for one of
            a user-defined class. Its tensors have the names and shapes with which `to_safetensors` would write them.

    Raises:
        ImportError: without safetensors or NumPy.
        ModelFileError: if the file is damaged, truncated, newer, or foreign; if it holds another model than the given
            one, or numbers of another type. Then no parameter is changed.
        TypeError: if the model is no Module.
        OSError: if the file cannot be read.
    """
    safetensors, np = _imported("from_safetensors")
    if model is not None and not isinstance(model, Module):
        raise TypeError(f"from_safetensors: model: expected a Module, got an object of type {type(model).__name__}")
    try:
        with naming(path), open(path, "rb"), safetensors.safe_open(os.fspath(path), framework="numpy") as file:
            headers = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no dict
            shapes = {name: tuple(header.get_shape()) for name, header in headers.items()}
            metadata = file.metadata() or {}
            made = _model_for(path, metadata, shapes, model)
            blocks = blocks_below(made, "from_safetensors")
            _check_names(path, blocks, shapes)
            for name, header in headers.items():
                if header.get_dtype() not in _EXACT:
                    raise ModelFileError(
                        f"{path}: {name}: expected numbers of the type {', '.join(_EXACT)}, got {header.get_dtype()}; "
                        "convert them to one of these"
                    )
            arrays = {name: file.get_tensor(name).astype(np.float64) for name in blocks}
    except safetensors.SafetensorError as error:
        raise ModelFileError(f"{path}: not a safetensors file, or damaged or truncated: {error}") from None
    if _is_ours(metadata) and metadata.get("checksum") != _checksum(metadata, arrays):
        raise ModelFileError(f"{path}: damaged or edited: its content does not agree with its checksum")
    numbers = {name: array.ravel().tolist() for name, array in arrays.items()}
    if wrong := conflicts(blocks, numbers):
        raise ModelFileError(f"{path}: {'; '.join(wrong)}")
    for name, block in blocks.items():
        for value, number in zip(block.values, numbers[name]):
            value.data = number
    return made


def _imported(caller: str) -> tuple[Any, Any]:
    """Return safetensors and NumPy; raise an ImportError that says what to install."""
    try:
        import numpy as np
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(what_to_install(f"{caller} needs", "safetensors", "numpy"), name=error.name) from error
    return safetensors, np


def _checksum(metadata: Mapping[str, str], arrays: Arrays) -> str:
    others = {key: text for key, text in metadata.items() if key != "checksum"}
    digest = hashlib.sha256(json.dumps(others, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"\n{name} {array.shape}\n".encode() + array.astype("<f8").tobytes())
    return digest.hexdigest()


def _ordered(content: bytes) -> bytes:
    """Return a file with its header sorted: the library writes the metadata in a random order."""
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def _is_ours(metadata: Mapping[str, str]) -> bool:
    return metadata.get("format") == FORMAT


def _model_for(
    path: str | os.PathLike[str],
    metadata: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
    model: Module | None,
) -> Module:
    """Return the model to fill: the given one, or one that the architecture describes."""
    if not _is_ours(metadata):
        if model is None:
            raise ModelFileError(
                f"{path}: expected a file that to_safetensors has written, got one that does not describe its model; "
                "make the model, and write from_safetensors(path, model) to fill it"
            )
        return model
    if metadata.get("format_version") != str(VERSION):
        raise ModelFileError(
            f"{path}: expected version {VERSION} of the format, got {metadata.get('format_version')!r}; upgrade "
            "microgrud to read a newer one"
        )
    try:
        architecture = json.loads(metadata["architecture"])
        name, arguments = architecture["class"], architecture["arguments"]
        if arguments is not None:
            count = checked_parameter_count("architecture", architecture)
            held = sum(map(math.prod, shapes.values()))
            if count != held:  # before a model of that size is made
                raise ValueError(f"architecture: it has {count} parameters, and the tensors have {held}")
        if model is None and arguments is not None:
            made: Module = KINDS[name]._make(arguments)
            return made
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: damaged: {error}") from None
    if model is None:
        raise ModelFileError(
            f"{path}: holds only the parameters of a {name}, a class of its author's own, not how to make one; make "
            "one, and write from_safetensors(path, model) to fill it"
        )
    own = architecture if arguments is None else {"class": type(model).__name__, "arguments": arguments_of(model)}
    if own["arguments"] is not None and own != architecture:
        raise ModelFileError(f"{path}: expected {json.dumps(own)}, as the given model, got {json.dumps(architecture)}")
    return model


def _check_names(
    path: str | os.PathLike[str], blocks: Mapping[str, Block], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise a ModelFileError unless a file has the tensors of the model, with their shapes."""
    problems = {
        "missing": [name for name in blocks if name not in shapes],
        "unexpected": [name for name in shapes if name not in blocks],
        "misshapen": [
            f"{name} (expected {block.shape}, got {shapes[name]})"
            for name, block in blocks.items()
            if name in shapes and shapes[name] != block.shape
        ],
    }
    if any(problems.values()):
        listed = "; ".join(f"{kind}: {shortened(names)}" for kind, names in problems.items() if names)
        raise ModelFileError(f"{path}: {listed}")
