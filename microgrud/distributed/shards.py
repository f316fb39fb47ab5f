"""Training data in shards, each of which a worker loads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..common.numbers import as_sequence


class Shards:
    """Training data in parts, each loaded by the worker that holds it.

    Args:
        loaders: a function for each shard, without arguments. It is called on a worker, and again on another one if
            that is lost, and returns `(X, y)` or `(X, y, sample_weight)` as `fit` takes them. Rows are numbered
            through all shards, in their order.

    Raises:
        TypeError, ValueError: if there is no loader, or one is not a function.

    >>> from functools import partial
    >>> def rows(first):
    ...     return [[first + k] for k in range(3)], [2.0 * (first + k) for k in range(3)]
    >>> data = Shards([partial(rows, 0.0), partial(rows, 3.0)])
    >>> len(data.loaders(client=None))
    2
    """

    def __init__(self, loaders: Sequence[Callable[[], Any]]) -> None:
        self._loaders = list(as_sequence(loaders, "Shards: loaders", "functions"))
        if not self._loaders:
            raise ValueError("Shards: loaders: expected at least one function, got none")
        for k, loader in enumerate(self._loaders):
            if not callable(loader):
                raise TypeError(
                    f"Shards: loader {k}: expected a function, got an object of type {type(loader).__name__}"
                )

    def loaders(self, client: Any) -> list[Any]:
        """Return the loaders; other sources of shards ask the workers of a client for them."""
        return self._loaders


def parts_of_collections(X: Any, y: Any, weights: Any) -> list[Any]:
    """Return the partitions of Dask collections, with their targets and weights, as delayed pairs or triples.

    Raises:
        TypeError: if only some of them are Dask collections.
        ValueError: if they have different numbers of partitions, or columns are divided, too.
    """
    from dask.delayed import delayed

    given = [("X", X), ("y", y)] + ([] if weights is None else [("sample_weight", weights)])
    columns = []
    for name, collection in given:
        if not hasattr(collection, "to_delayed"):
            got = f"an object of type {type(collection).__name__}"
            raise TypeError(f"fit: {name}: expected a Dask collection, as the other arguments are, got {got}")
        found = collection.to_delayed(optimize_graph=False)  # which would join partitions, those of X unlike those of y
        parts = list(found.ravel()) if hasattr(found, "ravel") else list(found)
        if getattr(found, "ndim", 1) == 2 and found.shape[1] != 1:
            raise ValueError(
                f"fit: {name}: expected chunks that hold whole rows, got columns in {found.shape[1]} chunks; write "
                f"{name}.rechunk({{1: -1}})"
            )
        columns.append(parts)
        if len(parts) != len(columns[0]):
            raise ValueError(
                f"fit: {name}: expected {len(columns[0])} partitions as in X, got {len(parts)}; repartition them alike"
            )
    return [delayed(tuple, pure=False)(list(parts)) for parts in zip(*columns)]
