"""The states of the global generators of `random` and of NumPy, put back after a check that draws from them."""

from __future__ import annotations

import random
import zlib
from typing import Any

import numpy as np

__all__ = ["GlobalState"]


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
