"""`Value`, the operations that it records, and the backward pass.

Read `value.py` first: it is the whole idea. Then read `operation.py` (an operation has a rule for its value and one for
each local derivative), `ops.py` (the table of all operations) and `kernels.py` (the longer value rules). `special.py`
adds special functions to the table, with value rules in `normal.py`. `operators.py` and `methods.py` let a Value behave
like a number.

Read the rest in any order: `grad_mode.py` switches recording off and on, `tracing.py` reports to `compile` what a
program compares and reads, `anomaly.py` finds the first operation that makes a NaN, `copying.py` copies and pickles
graphs, `by_hand.py` makes nodes without an operation, `seeding.py` starts a reverse pass from several nodes,
`integers.py` has `take`, and the integer arguments of compiled functions, `vectors.py` copies the numbers of many
Values to and from a vector, `node.py` is the protocol of a Value for files that cannot import it, and `native.py` loads
the C engine.
"""

from .native import backend
from .value import Value, topological_order

__all__ = ["Value", "backend", "topological_order"]
