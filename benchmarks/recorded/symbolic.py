"""Calls of CasADi's functions without copies into its own matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .workload import Step, flat


def called(function: Any, arguments: Sequence[Any]) -> Step:
    """Return a step that calls a function of CasADi, which reads and writes NumPy's arrays in place.

    Args:
        function: a `casadi.Function` whose results are the value and the gradient, all dense.
        arguments: arrays in the order of the function's arguments, with its columns as rows.
    """
    buffer, trigger = function.buffer()
    kept = [np.ascontiguousarray(x, dtype=np.float64) for x in arguments]
    results = [np.zeros(function.numel_out(i)) for i in range(function.n_out())]
    for i, x in enumerate(kept):
        if x.size != function.nnz_in(i):
            raise ValueError(f"argument {i}: expected {function.nnz_in(i)} numbers, got {x.size}")
        buffer.set_arg(i, memoryview(x))
    for i, result in enumerate(results):
        if result.size != function.nnz_out(i):
            raise ValueError(f"result {i}: expected {result.size} numbers, got {function.nnz_out(i)}")
        buffer.set_res(i, memoryview(result))
    alive = (function, buffer, kept)
    return Step(trigger, lambda _: (alive, flat(*results))[1])
