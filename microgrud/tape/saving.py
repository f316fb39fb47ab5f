"""Pickles and copies of the recordings of a compiled function.

A pickle holds the recordings, with the leaves that they read, but not the function, since code does not travel. Leaves
go through the memo of the pickler: a model that is pickled along shares its parameters with the unpickled recordings.

A copy keeps the function, as a copy of a function does. Where there is none, since it came out of a pickle, a deep copy
of the recordings reads copies of the leaves.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autodiff.trees import flatten
from ..common.forking import Lock
from .absent import NOT_FINITE, PART_OF_ANOTHER, AbsentFunction
from .branches import Branches, Recording
from .packing import pack_program, unpack_program
from .recordings import Recordings
from .settings import CHECKS, Settings
from .signature import argument_counts, argument_shapes

_VERSION = 4


def pack_recordings(recordings: Recordings, attributes: dict[str, Any], gradients: dict[Any, Any]) -> dict[str, Any]:
    """Return the state that a pickle of a compiled function holds.

    Args:
        recordings: the recordings.
        attributes: the attributes of the compiled function.
        gradients: the compiled derivatives of the function, by name and positions of arguments.

    Raises:
        pickle.PicklingError: for a custom operation that another process could not find.
    """
    with recordings.lock:
        found = [(signature, list(branches.recordings)) for signature, branches in recordings.branches.items()]
    state = {
        "version": _VERSION,
        "name": recordings.name,
        "attributes": {
            name: attributes[name]
            for name in ("__module__", "__qualname__", "__doc__")
            if isinstance(attributes.get(name), str)
        },
        "settings": tuple(recordings.settings),
        "names": list(recordings.names),
        "families": [(signature, [_packed(recording) for recording in own]) for signature, own in found],
        "gradients": list(gradients.items()),
    }
    return {**state, "checksum": _checksum(state)}


def _checksum(state: dict[str, Any]) -> str:
    """Return the SHA-256 of everything in a state that computes, in hexadecimal.

    Without it a quarter of the pickles with one bit flipped were accepted, some with another constant or slot. Leaves
    are left out, since their numbers may change in another thread while a pickle is written.
    """
    digest = hashlib.sha256(repr((state["name"], state["settings"], state["names"])).encode())
    digest.update(repr([argnums for argnums, _ in state["gradients"]]).encode())
    for signature, own in state["families"]:
        digest.update(repr(argument_shapes(signature)).encode())
        for (*parts, operations, steps, outputs, guards, integers), leaves, template, is_plain in own:
            named = [x if isinstance(x, (str, tuple)) else x.name for x in operations]
            shapes = flatten(template, "the result")[1].shapes
            digest.update(
                repr((parts, named, steps, outputs, guards, integers, len(leaves), shapes, is_plain)).encode()
            )
    return digest.hexdigest()


def unpack_recordings(state: Any, gradient_type: type) -> tuple[Recordings, dict[str, str], dict[Any, Any]]:
    """Return the recordings, attributes and gradients that `pack_recordings` was given.

    Args:
        state: the state.
        gradient_type: the type of compiled gradients.

    Raises:
        pickle.UnpicklingError: if the pickle is damaged, or of another version of microgrud.
    """
    if not isinstance(state, dict) or state.get("version") != _VERSION:
        got = state.get("version") if isinstance(state, dict) else f"an object of type {type(state).__name__}"
        raise pickle.UnpicklingError(
            f"a compiled function: expected a pickle of version {_VERSION}, got {got}; compile the function again"
        )
    try:
        if state["checksum"] != _checksum(state):
            raise ValueError("its content does not agree with its checksum")
        name = str(state["name"])
        batched, *others, weights = state["settings"]
        checked = [check(name, x) for (name, check), x in zip(CHECKS.items(), others, strict=True)]
        settings = Settings(tuple(map(str, batched)), *checked)._replace(weights=str(weights))
        recordings = Recordings(AbsentFunction(name, PART_OF_ANOTHER), settings, list(map(str, state["names"])))
        for signature, packed in state["families"]:
            counts = argument_counts(signature)
            own = [_unpacked(recording, counts) for recording in packed]
            recordings.branches[signature] = Branches(AbsentFunction(name, NOT_FINITE), settings, own)
        attributes = {"__name__": name, **{key: str(x) for key, x in state["attributes"].items()}}
        gradients = dict(state["gradients"])
        for gradient in gradients.values():
            if not isinstance(gradient, gradient_type):
                raise TypeError(f"expected compiled gradients, got an object of type {type(gradient).__name__}")
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise pickle.UnpicklingError(f"a damaged pickle of a compiled function: {error!r}") from None
    return recordings, attributes, gradients


def _packed(recording: Recording) -> tuple[Any, ...]:
    structure = recording.structure
    template = structure.assemble([0.0 if shape is None else np.zeros(shape) for shape in structure.shapes])
    return pack_program(recording.program), recording.leaves, template, recording.is_plain


def _unpacked(packed: Any, counts: Sequence[int]) -> Recording:
    program, leaves, template, is_plain = packed
    recording = Recording(unpack_program(program, leaves), flatten(template, "the result")[1], bool(is_plain))
    own = [len(recording.program.numbers), len(recording.program.integers), len(recording.program.outputs)]
    if own != [*counts, recording.structure.size]:
        raise ValueError(f"expected numbers, integers and results {[*counts, recording.structure.size]}, got {own}")
    return recording


def copy_without_leaves(recordings: Recordings) -> Recordings:
    """Return the recordings that there are by now as another object, which reads the same leaves."""
    made = Recordings(recordings.function, recordings.settings, recordings.names)
    with recordings.lock:
        for signature, own in recordings.branches.items():
            made.branches[signature] = dataclasses.replace(own, recordings=list(own.recordings), lock=Lock())
    return made


def copy_with_leaves(recordings: Recordings, memo: dict[int, Any]) -> Recordings:
    """Return the recordings that there are by now as another object, which reads deep copies of the leaves."""
    made = Recordings(recordings.function, recordings.settings, recordings.names)
    for signature, own in copy_without_leaves(recordings).branches.items():
        copies = []
        for recording in own.recordings:
            leaves = [copy.deepcopy(leaf, memo) for leaf in recording.leaves]
            program = unpack_program(pack_program(recording.program), leaves)
            copies.append(Recording(program, recording.structure, recording.is_plain))
        made.branches[copy.deepcopy(signature, memo)] = dataclasses.replace(own, recordings=copies, lock=Lock())
    return made
