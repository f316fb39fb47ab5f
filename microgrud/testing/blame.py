"""The search for the operation to blame: compare the local derivatives in a graph with textbook formulas."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from ..common.numbers import describe_operands
from ..engine import Value, topological_order
from ..engine.operation import Operation
from . import differences, multiprecision
from .multiprecision import exact
from .slopes import UNDERFLOW, Slope

#: Maximum number of nodes searched: at about 1 ms per derivative more would take too long.
_MOST_NODES = 2_000
_MOST_NAMED = 3


def blame(outputs: Iterable[Value], rtol: float) -> list[str]:
    """Name the operations in the graphs of some nodes whose local derivatives are off by more than `rtol`.

    Returns:
        A line for each, the worst first: the operation with its operands, its derivative, and the true one.
    """
    nodes = list(dict.fromkeys(node for output in outputs for node in topological_order(output) if node._operands))
    found = [fault for node in nodes[:_MOST_NODES] for fault in _faults(node, rtol)]
    found.sort(key=lambda fault: -fault[0])
    return [line for _, line in dict.fromkeys(found)][:_MOST_NAMED]


def _faults(node: Value, rtol: float) -> Iterator[tuple[float, str]]:
    operation = node._operation
    if isinstance(operation, str):
        return
    xs = [x.data if isinstance(x, Value) else float(x) for x in node._operands]
    wanted = [i for i, x in enumerate(node._operands) if isinstance(x, Value)]
    for i, found in zip(wanted, operation.local_derivatives(node.data, xs, wanted)):
        claimed = 0.0 if found is None else found
        slope = _true_slope(operation, xs, i)
        if not slope.sides or not math.isfinite(slope.error):
            continue
        scale = max(abs(float(side)) for side in slope.sides)
        tolerance = rtol * scale + 10.0 * slope.error + UNDERFLOW
        if math.isnan(claimed) or not slope.admits(claimed, tolerance):
            off = abs(claimed - float(slope.value)) / scale if scale and math.isfinite(claimed) else math.inf
            operand = "its operand" if len(xs) == 1 else f"operand {i + 1}"
            call = f"{operation.name}({describe_operands(node._operands)})"
            true = float(slope.value)
            yield off, f"{call} has the local derivative {claimed!r} with respect to {operand}; it should be {true!r}"


def _true_slope(operation: Operation, xs: Sequence[float], index: int) -> Slope:
    definition = operation.definition
    if definition is None:
        return differences.slope(lambda numbers: operation.value(*numbers), xs, index)
    return multiprecision.slope(lambda numbers: definition(exact, *numbers), xs, [index])
