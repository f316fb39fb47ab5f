"""The engine: `Value`, the operations that it records, and the backward pass.

Read `value.py` first: it is the whole idea. An operation has a rule for its value and one for each local derivative
(`operation.py`); `ops.py` is the table of all of them, `kernels.py` their longer value rules. `operators.py` and
`methods.py` let a Value behave like a number. `grad_mode.py` switches recording off and on, `tracing.py` reports to
`compile` what a program reads, `anomaly.py` finds the first NaN, `copying.py` copies and pickles graphs, `by_hand.py`
makes nodes without an operation, `vectors.py` moves the numbers of many Values at once, and `native.py` loads the
twins in C.
"""

from .native import backend
from .value import Value, topological_order

__all__ = ["Value", "backend", "topological_order"]
