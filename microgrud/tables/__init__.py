"""Tables: from files to the inputs of a network, and back to files."""

from ..common import needs_numpy as needs_numpy
from .reading import read_table
from .table import Table, TableError
from .writing import write_table

__all__ = ["Table", "TableError", "read_table", "write_table"]
