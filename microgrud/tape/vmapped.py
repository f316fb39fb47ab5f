"""`vmap` of a compiled function: one replay for all samples."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..autodiff.trees import Structure
from ..autodiff.vmap import Batch, Batches, Block, Node, Part, Shared, leaves_of, moved_axis
from ..common.words import name_of
from ..engine.vectors import Vector


def key_of(part: Part) -> Any:
    """Return a key that is equal for arguments of one structure, with batches and shared parts at the same places."""
    if isinstance(part, Node):
        return (*part.kind, *map(key_of, part.parts))
    return isinstance(part, Batch)


def names_of(batches: Batches) -> list[str]:
    """Return a name for each leaf of the arguments."""
    return [f"{'batch' if isinstance(leaf, Batch) else 'shared'}_{k}" for k, leaf in enumerate(leaves_of(batches.tree))]


def function_of_leaves(f: Callable[..., Any], batches: Batches) -> Callable[..., Any]:
    """Return a function of the leaves of the arguments of another function."""
    tree = _without_leaves(batches.tree)

    def f_of_leaves(*leaves: Any) -> Any:
        args, kwargs = _rebuilt(tree, iter(leaves))
        return f(*args, **kwargs)

    kind = inspect.Parameter.POSITIONAL_ONLY
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in names_of(batches)])
    f_of_leaves.__signature__ = signature  # type: ignore[attr-defined]
    f_of_leaves.__name__ = name_of(f)
    return f_of_leaves


def _without_leaves(part: Part) -> Any:
    return (part.make, list(map(_without_leaves, part.parts))) if isinstance(part, Node) else None


def _rebuilt(tree: Any, leaves: Iterator[Any]) -> Any:
    if tree is None:
        return next(leaves)
    make, parts = tree
    return make([_rebuilt(part, leaves) for part in parts])


def replayed(recordings: Any, batches: Batches) -> tuple[Structure, Block] | None:
    """Return the structure of a result, and a function that arranges those of all samples; None if there are Values."""
    args = tuple([_contiguous(leaf) for leaf in leaves_of(batches.tree)])
    found = recordings.replayed("map", args)
    if found is not None:
        return found[1][0].structure, _block(found[0])
    arguments = recordings.read(args, {})
    if arguments.has_values:
        return None
    result = recordings.evaluate(arguments, None)
    return result.structure, _block(result.outputs)


def _contiguous(leaf: Shared | Batch) -> Any:
    """Return a batch in the order of its samples, which C reads without a copy of each number."""
    return np.ascontiguousarray(leaf.x) if isinstance(leaf, Batch) and isinstance(leaf.x, np.ndarray) else leaf.x


def _block(outputs: Vector) -> Block:
    def block(start: int, end: int, shape: tuple[int, ...], axis: int, as_list: bool) -> Any:
        array = outputs[start:end].reshape(*shape, outputs.shape[1])
        found = np.ascontiguousarray(moved_axis(array, len(shape), axis))
        return found.tolist() if as_list else found

    return block
