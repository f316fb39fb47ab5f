"""What pickles and copies of a compiled function keep.

A pickle holds the recordings, with the leaves that they read, and not the function: code does not travel. Leaves go
through the memo of the pickler: a model that is pickled along shares its parameters with what comes back.

A deep copy keeps the function, as that of a function does. Where a deep copy of the function is another one (a method
of an object, a `functools.partial`, a Module), the copy is a compiled function of that one, and records it anew; where
there is no function, since it came out of a pickle, its leaves are copied with it.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autodiff.trees import Structure, flatten
from ..common.checks import one_of, whole
from ..common.forking import Lock
from .absent import NOT_FINITE, PART_OF_ANOTHER, AbsentFunction
from .family import Family, Path
from .naming import argument_counts, argument_shapes
from .pickling import pack_program, unpack_program

if TYPE_CHECKING:
    from .compiled import Compiled

__all__ = ["copied", "deep_copied", "name_of", "packed", "renew", "unpack_into"]

_VERSION = 2


def name_of(function: Any) -> str:
    """Return what a function is called in messages."""
    name: str = getattr(function, "__name__", type(function).__name__)
    return name


# --- pickles ----------------------------------------------------------------------------------------------------------


def packed(compiled: Compiled) -> dict[str, Any]:
    """Return what a pickle holds of a compiled function.

    Raises:
        pickle.PicklingError: for an operation of one's own that another process could not find.
    """
    with compiled._lock:
        families = [(signature, list(family.paths)) for signature, family in compiled._families.items()]
        gradients = dict(compiled._gradients)
    state = {
        "version": _VERSION,
        "name": name_of(compiled.function),
        "attributes": {
            name: getattr(compiled, name)
            for name in ("__module__", "__qualname__", "__doc__")
            if isinstance(vars(compiled).get(name), str)
        },
        "settings": (compiled.batched, compiled.reduction, compiled.threads, compiled.errors, compiled.max_paths),
        "names": list(compiled._names),
        "families": [(signature, [_packed_path(path) for path in paths]) for signature, paths in families],
        "gradients": list(gradients.items()),
    }
    return {**state, "checksum": _checksum(state)}


def _checksum(state: dict[str, Any]) -> str:
    """Return the SHA-256 of all that a state computes with, in hexadecimal.

    Without it a quarter of the pickles with one bit flipped were accepted, some with another constant or slot. Leaves
    are not covered: their numbers may change in another thread while a pickle is written.
    """
    digest = hashlib.sha256(repr((state["name"], state["settings"], state["names"])).encode())
    digest.update(repr([argnums for argnums, _ in state["gradients"]]).encode())
    for signature, paths in state["families"]:
        digest.update(repr(argument_shapes(signature)).encode())
        for (*parts, operations, steps, outputs, guards, integers), leaves, template in paths:
            named = [x if isinstance(x, (str, tuple)) else x.name for x in operations]
            shapes = flatten(template, "the result")[1].shapes
            digest.update(repr((parts, named, steps, outputs, guards, integers, len(leaves), shapes)).encode())
    return digest.hexdigest()


def unpack_into(compiled: Compiled, state: Any) -> None:
    """Make a new object the compiled function that a pickle holds.

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
        batched, reduction, threads, errors, max_paths = state["settings"]
        compiled.function = AbsentFunction(name, PART_OF_ANOTHER)
        vars(compiled).update({"__name__": name, **{key: str(x) for key, x in state["attributes"].items()}})
        compiled.batched = tuple(map(str, batched))
        compiled.reduction = one_of("mean", "sum")("reduction", reduction)
        compiled.threads = whole(1)("threads", threads)
        compiled.errors = one_of("raise", "ignore")("errors", errors)
        compiled.max_paths = whole(1)("max_paths", max_paths)
        compiled._names = list(map(str, state["names"]))
        compiled._batched_places = tuple([k for k, name in enumerate(compiled._names) if name in compiled.batched])
        renew(compiled)
        for signature, paths in state["families"]:
            family = compiled._families[signature] = _family(compiled, name)
            counts = argument_counts(signature)
            family.paths += [_unpacked_path(path, compiled.threads, counts) for path in paths]
        for argnums, gradient in state["gradients"]:
            if not isinstance(gradient, type(compiled)):
                raise TypeError(f"expected compiled gradients, got an object of type {type(gradient).__name__}")
            compiled._gradients[argnums] = gradient
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise pickle.UnpicklingError(f"a damaged pickle of a compiled function: {error!r}") from None


def renew(compiled: Compiled) -> None:
    """Give a compiled function what no two of them share, without any recording."""
    compiled._families = OrderedDict()
    compiled._replays = []
    compiled._replays_of_lists = {}
    compiled._lock = Lock()
    compiled._gradients = {}
    compiled._slopes = {}
    compiled._methods = {}
    compiled._bound = None


def _family(compiled: Compiled, name: str) -> Family:
    return Family(
        AbsentFunction(name, NOT_FINITE), compiled.max_paths, compiled.threads, lenient=compiled.errors == "ignore"
    )


def _packed_path(path: Path) -> tuple[Any, ...]:
    structure = path.structure
    template = structure.assemble([0.0 if shape is None else np.zeros(shape) for shape in structure.shapes])
    return pack_program(path.program), path.leaves, template


def _unpacked_path(packed_path: Any, threads: int, counts: Sequence[int]) -> Path:
    program, leaves, template = packed_path
    path = Path(unpack_program(program, leaves), flatten(template, "the result")[1], threads=threads)
    own = [len(path.program.numbers), len(path.program.integers), len(path.program.outputs)]
    if own != [*counts, path.structure.size]:
        raise ValueError(f"expected numbers, integers and results {[*counts, path.structure.size]}, got {own}")
    return path


# --- copies -----------------------------------------------------------------------------------------------------------


def copied(compiled: Compiled) -> Compiled:
    """Return another compiled function of the same function, with the recordings that there are by now."""
    return _twin(compiled, compiled.function)


def deep_copied(compiled: Compiled, memo: dict[int, Any]) -> Compiled:
    """Return a compiled function of a deep copy of the function; see the top of this file."""
    if compiled._bound is not None:  # a method of an instance
        owner, instance = compiled._bound[0], compiled._bound[1]()
        bound: Compiled = owner.__get__(copy.deepcopy(instance, memo))
        return bound
    if isinstance(compiled.function, AbsentFunction):
        return _copied_with_leaves(compiled, memo)
    function = copy.deepcopy(compiled.function, memo)
    if id(compiled) in memo:  # the function leads back here
        known: Compiled = memo[id(compiled)]
        return known
    return _twin(compiled, function)


def _twin(compiled: Compiled, function: Any) -> Compiled:
    twin = type(compiled).__new__(type(compiled))
    vars(twin).update(vars(compiled))
    renew(twin)
    twin.function = function
    if "__wrapped__" in vars(twin):
        vars(twin)["__wrapped__"] = function
    if function is not compiled.function:
        return twin
    twin._bound = compiled._bound
    if hasattr(compiled, "instance"):
        twin.instance = compiled.instance  # type: ignore[attr-defined]
    with compiled._lock:
        for signature, family in compiled._families.items():
            twin._families[signature] = dataclasses.replace(family, paths=list(family.paths), lock=Lock())
        gradients = dict(compiled._gradients)
    twin._gradients = {argnums: copied(gradient) for argnums, gradient in gradients.items()}
    return twin


def _copied_with_leaves(compiled: Compiled, memo: dict[int, Any]) -> Compiled:
    twin = _twin(compiled, compiled.function)
    memo[id(compiled)] = twin
    families: OrderedDict[Hashable, Family] = OrderedDict()
    for signature, family in twin._families.items():
        paths = [_path_with_leaves(path, memo) for path in family.paths]
        families[copy.deepcopy(signature, memo)] = dataclasses.replace(family, paths=paths, lock=Lock())
    twin._families = families
    twin._gradients = {argnums: copy.deepcopy(x, memo) for argnums, x in compiled._gradients.items()}
    return twin


def _path_with_leaves(path: Path, memo: dict[int, Any]) -> Path:
    program = unpack_program(pack_program(path.program), [copy.deepcopy(leaf, memo) for leaf in path.leaves])
    structure: Structure = path.structure
    return Path(program, structure, threads=path.threads)
