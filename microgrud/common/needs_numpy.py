"""A test import of NumPy, which each package that needs arrays imports first: the error says what to install."""

from .arrays import load_numpy

load_numpy()
