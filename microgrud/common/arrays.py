"""Recognition of NumPy arrays without importing NumPy: an array can exist only once NumPy has been imported."""

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
    """Return whether an object is a NumPy array.

    >>> is_array([1.0])
    False
    """
    # While another thread imports NumPy, the module is there without its types.
    return isinstance(x, getattr(sys.modules.get("numpy"), "ndarray", ()))


class MissingNumPy:
    """A stand-in for the module `numpy` if it is not installed: each use raises an error that says what to install."""

    def __getattr__(self, name: str) -> Any:
        raise ImportError(NUMPY_IS_MISSING)
