"""Training on the workers of a Dask cluster: `fit(..., client=client)` with a client of `dask.distributed`.

The workers hold the data in shards. A step sends the vector of the parameters to them, and adds up their losses and
gradients in a tree; so it is the step of one process on the same batch, to rounding, and has the same bits for any
number of workers. `fit` takes arrays, tables, Dask collections, and:

* `Shards`: parts of your own, each from a function that a worker calls.
"""

from __future__ import annotations

from .checking import ClusterError
from .shards import Shards

__all__ = ["ClusterError", "Shards"]
