"""The first import of each package that computes with arrays: without NumPy it raises, and says what to install."""

from __future__ import annotations

from .arrays import NUMPY_IS_MISSING

try:
    import numpy as numpy
except ImportError as error:
    raise ImportError(NUMPY_IS_MISSING) from error
