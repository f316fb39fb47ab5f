"""The global generators of random numbers: their states, saved and restored."""

from __future__ import annotations

import random
import zlib
from typing import Any

import numpy as np


class GlobalState:
    """A context manager that restores the global generators to their states at the first `save()` inside it.

    >>> with GlobalState() as state:
    ...     state.save()
    ...     first = random.random()
    >>> random.random() == first
    True
    """

    def __init__(self) -> None:
        self._saved: tuple[Any, Any] | None = None

    def save(self) -> None:
        """Save the states, unless they have been saved since the context was entered."""
        if self._saved is None:
            self._saved = random.getstate(), np.random.get_state()

    def save_and_seed(self, seed: str) -> None:
        """Save the states in the same way, and seed the generators."""
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
