"""Recognition of NumPy arrays without importing NumPy: an array can exist only once NumPy has been imported."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

from .missing import what_to_install

if TYPE_CHECKING:
    import numpy as np


def is_array(x: object) -> TypeGuard[np.ndarray]:
    """Return whether an object is a NumPy array.

    >>> is_array([1.0])
    False
    """
    # While another thread imports NumPy, the module is there without its types.
    return isinstance(x, getattr(sys.modules.get("numpy"), "ndarray", ()))


def load_numpy() -> Any:
    """Return the module `numpy`.

    Raises:
        ImportError: if it is not installed; it says what to install.
    """
    try:
        import numpy
    except ImportError as error:
        raise ImportError(what_to_install("arrays, compile, fit, plots and tables need", "numpy")) from error
    return numpy


def unpacked(x: Any) -> Any:
    """Return the number in an array without dimensions, as `np.where` returns it; anything else as it is.

    >>> unpacked(1.5)
    1.5
    """
    return x.item() if getattr(x, "shape", None) == () and hasattr(x, "item") else x
