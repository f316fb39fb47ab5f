"""The state of random numbers, as what JSON can hold: of a generator, and of the global ones a model may draw from.

`fit` shuffles with a generator of its own; a model with noise or dropout draws from `random` or `numpy.random`.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def as_state(saved: Sequence[Any]) -> tuple[Any, ...]:
    """Return what `random.Random.setstate` takes from what JSON made of it, lists in the place of tuples.

    >>> generator = random.Random(0)
    >>> generator.setstate(as_state([3, list(generator.getstate()[1]), None]))
    """
    version, words, gauss = saved
    return version, tuple(words), gauss


def global_state() -> dict[str, Any]:
    """Return the states of the global generators of `random` and of NumPy."""
    state: Any = np.random.get_state(legacy=False)
    words = {"key": state["state"]["key"].tolist(), "pos": state["state"]["pos"]}
    return {"random": random.getstate(), "numpy": {**state, "state": words}}


def set_global_state(saved: Mapping[str, Any]) -> None:
    """Restore what `global_state` returned.

    Raises:
        ValueError, TypeError, KeyError: if it is damaged.

    >>> state = global_state()
    >>> first = random.random(), np.random.rand()
    >>> set_global_state(state)
    >>> (random.random(), np.random.rand()) == first
    True
    """
    words = saved["numpy"]["state"]
    np.random.set_state({**saved["numpy"], "state": {**words, "key": np.array(words["key"], dtype=np.uint32)}})
    random.setstate(as_state(saved["random"]))


class GlobalState:
    """A context manager that puts the global generators back to where they were at the first `save()` inside it.

    >>> with GlobalState() as state:
    ...     state.save()
    ...     first = random.random()
    >>> random.random() == first
    True
    """

    def __init__(self) -> None:
        self._saved: tuple[Any, Any] | None = None

    def save(self) -> None:
        """Keep the states, if that has not been done since the context was entered."""
        if self._saved is None:
            self._saved = random.getstate(), np.random.get_state()

    def save_and_seed(self, seed: str) -> None:
        """Keep the states likewise, and go on from others."""
        self.save()
        random.seed(seed)
        np.random.seed(zlib.crc32(seed.encode()))

    def __enter__(self) -> GlobalState:
        self._saved = None
        return self

    def __exit__(self, *error: object) -> None:
        if self._saved is not None:
            random.setstate(self._saved[0])
            np.random.set_state(self._saved[1])
