"""Tables: from files to the inputs of a network, and back to files.

* `read_table`: a file of any common format as a `Table` of text, with notes on everything that was guessed.
* `TablePreparation`: a transformer for scikit-learn that turns a DataFrame of any cells into inputs.
* `write_table`: a DataFrame to a file, in the format of its suffix.
* `TableError`: an unusable table, with a line for each thing that is wrong.
"""

from __future__ import annotations

from ..common import needs_numpy as needs_numpy
from ..common.missing import what_to_install

try:
    import pandas as pandas
    import sklearn as sklearn
except ImportError as error:
    raise ImportError(what_to_install("microgrud.tables needs", "pandas", "scikit-learn")) from error

from .preparation import TablePreparation
from .reading import read_table
from .table import Table, TableError
from .writing import write_table

__all__ = ["Table", "TableError", "TablePreparation", "read_table", "write_table"]
