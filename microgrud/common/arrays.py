"""Arrays of NumPy: recognised without importing it, since nobody can have made one before somebody imported it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    import numpy as np

NUMPY_IS_MISSING = (
    "arrays, compile, fit, L-BFGS, testing, draw and plot need NumPy, which is not installed; install it with: "
    "pip install numpy"
)


def is_array(x: object) -> TypeGuard[np.ndarray]:
    """Return whether an object is an array of NumPy.

    >>> is_array([1.0])
    False
    """
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(x, numpy.ndarray)


class MissingNumPy:
    """The module `numpy` where it is not installed: each use of it says what to do."""

    def __getattr__(self, name: str) -> Any:
        raise ImportError(NUMPY_IS_MISSING)
