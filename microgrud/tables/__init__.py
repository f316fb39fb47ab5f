"""Tables: from files to the inputs of a network, and back to files.

* `read_table`: a file of any common format as a `Table` of text, with notes on everything that was guessed.
* `TablePreparation`: a transformer for scikit-learn that turns a DataFrame of any cells into inputs.
* `write_table`: a DataFrame to a file, in the format of its suffix.
* `TableError`: an unusable table, with a line for each thing that is wrong.
"""

from __future__ import annotations

from ..common import needs_numpy as needs_numpy

try:
    import pandas as pandas
    import sklearn as sklearn
except ImportError as error:
    raise ImportError(
        "microgrud.tables needs pandas and scikit-learn; install them with: pip install 'microgrud[train]'"
    ) from error

from .preparation import TablePreparation
from .reading import read_table
from .table import Table, TableError
from .writing import write_table

__all__ = ["Table", "TableError", "TablePreparation", "read_table", "write_table"]
