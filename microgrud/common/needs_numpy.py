"""A test import of NumPy, which each package that needs arrays imports first: the error says what to install."""

from __future__ import annotations

from .arrays import NUMPY_IS_MISSING

try:
    import numpy as numpy
except ImportError as error:
    raise ImportError(NUMPY_IS_MISSING) from error
