"""The state of random numbers, as what JSON can hold: of a generator, and of the global ones a model may draw from.

`fit` shuffles with a generator of its own; a model with noise or dropout draws from `random` or `numpy.random`.
"""

from __future__ import annotations

import random
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
