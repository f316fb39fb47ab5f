"""Tables: from files to the inputs of a network, and back to files."""

from ..common import needs_numpy as needs_numpy
from .reading import read_table
from .table import Problem, Table, TableError

__all__ = ["Problem", "Table", "TableError", "read_table"]
