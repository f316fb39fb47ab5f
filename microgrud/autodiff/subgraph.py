"""The chain rule on the part of a graph between inputs and outputs, without a change of any node's `grad`.

`pull_back` goes from an output to the inputs (reverse mode), `push_forward` from the inputs to the outputs (forward
mode). Both yield floats, or nodes that can be differentiated again. In reverse mode the *adjoint* of a node is the
derivative of the output with respect to it; in forward mode its *tangent* is its derivative in the given direction. A
*slope* is a local derivative.

Twins in C take the place of the class and the function in the last lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..common.numbers import Number
from ..engine import Value, native, ops, topological_order, tracing
from ..engine.slopes import slopes_of
from .outside import held_outside


class Subgraph:
    """The nodes that outputs depend on and that depend on inputs.

    Args:
        outputs: nodes; for `outside` this list must be the caller's only reference to them.
        inputs: nodes.
        ends_at_inputs: True if no input depends on another one. Then the walk ends there: it takes time linear in the
            operands between outputs and inputs, however long the history of the inputs is.
        generation: a number from `next_generation()`, called before the inputs were made: nodes that are older than
            that depend on none of them. The walk in C ends there, too.

    Attributes:
        outside: a Value that outputs depend on, not through the inputs, and that more than their graph refers to; None
            if there is none. See `outside.py`.

    >>> x, y = Value(2.0), Value(3.0)
    >>> graph = Subgraph([x * y, x * x], [x, y], True)
    >>> graph.pull_back(0, True), graph.pull_back(1, True), graph.push_forward([1.0, 10.0], True)
    ([3.0, 2.0], [4.0, 0.0], [23.0, 4.0])
    """

    outside: Value | None

    def __init__(self, outputs: list[Value], inputs: list[Value], ends_at_inputs: bool, generation: int = 0) -> None:
        ends = {id(x) for x in inputs} if ends_at_inputs else set()
        order = topological_order(Value(0.0, outputs), ends)[:-1]
        self._outputs, self._inputs, self._depending = outputs, inputs, set(inputs)
        self._order = list(filter(self._depends, order))
        self.outside = next(iter(held_outside(order, outputs, 1, inputs, False)), None)

    def pull_back(self, output: int, as_numbers: bool) -> list[Number]:
        """Return the derivative of the output at an index with respect to each input.

        Args:
            output: the index of the output.
            as_numbers: True for floats; False for floats and nodes, which can be differentiated again.
        """
        contributions: dict[Value, list[Number]] = {self._outputs[output]: [1.0]}
        adjoints: dict[Value, Number] = {}
        for node in reversed(self._order):
            if node in contributions:
                adjoint = adjoints[node] = _add_up(contributions.pop(node))
                if not _is_constant(adjoint, 0.0):
                    for k, slope in self._slopes(node, self._depending, as_numbers):
                        own = _chain_to(node, k, adjoint, slope)
                        contributions.setdefault(node._operands[k], []).append(own)  # type: ignore[arg-type]
        for node, terms in contributions.items():
            adjoints[node] = _add_up(terms)
        return [adjoints.get(x, 0.0) for x in self._inputs]

    def push_forward(self, tangents: Sequence[Number], as_numbers: bool) -> list[Number]:
        """Return the tangent of each output, from one for each input; an input with the plain number 0 is constant.

        Args:
            tangents: a number or a Value for each input.
            as_numbers: as in `pull_back`; then all tangents are floats.
        """
        known: dict[Value, Number] = dict(zip(self._inputs, tangents))
        moving = {node for node, tangent in known.items() if not _is_constant(tangent, 0.0)}
        for node in self._order:
            if node in known:
                continue
            push = None if isinstance(node._operation, str) or node._closure is not None else node._operation.push
            if push is not None:
                moved = [known[x] if isinstance(x, Value) and x in moving else 0.0 for x in node._operands]
                if any(isinstance(x, Value) and x in moving for x in node._operands):
                    known[node] = push(node, moved, as_numbers)
                    moving.add(node)
                continue
            # The slope is passed in the place of the adjoint, so that a slope of 0 stops an infinite tangent. In
            # reverse mode the zero adjoint that it makes does the same. A tangent that has become 0 stops nothing.
            slopes = self._slopes(node, moving, as_numbers)
            terms = [chain(slope, known[node._operands[k]]) for k, slope in slopes]  # type: ignore[index]
            if terms:
                known[node] = _add_up(terms)
                moving.add(node)
        return [known.get(output, 0.0) for output in self._outputs]

    def _depends(self, node: Value) -> bool:
        """Return whether a node depends on an input, through operands of which that is known, and note it."""
        depends = any(isinstance(x, Value) and x in self._depending for x in node._operands)
        if depends:
            self._depending.add(node)
        return depends

    def _slopes(self, node: Value, among: set[Value], as_numbers: bool) -> list[tuple[int, Number]]:
        """Pair the index of each operand that is among these nodes with its slope."""
        parents = node._operands
        wanted = [i for i, x in enumerate(parents) if isinstance(x, Value) and x in among]
        slopes = slopes_of(node, wanted, as_numbers) if wanted else []
        return [(i, slope) for i, slope in zip(wanted, slopes) if slope is not None]


def _chain_to(node: Value, k: int, adjoint: Number, slope: Number) -> Number:
    """Multiply the adjoint of a node by the slope of its operand at an index."""
    if k == 0 and node._operation in (ops.POW, ops.POWER_OVER) and isinstance(slope, Value):
        _, y, n = (*node._operands, 0.0)[:3]
        if isinstance(y, Value):
            return ops.chained_to_base(adjoint, slope, y, n)
    return chain(adjoint, slope)


def chain(adjoint: Number, slope: Number) -> Number:
    """Multiply an adjoint by a slope; an adjoint of 0 passes nothing on, whatever the slope is."""
    if _is_constant(adjoint, 0.0) or _is_constant(slope, 1.0):
        return adjoint
    if _is_constant(adjoint, 1.0):
        return slope
    if tracing.current():  # the adjoint may be 0 in one replay and not in another
        return ops.chained(adjoint, slope)
    if adjoint == 0.0 and not math.isfinite(slope._data if isinstance(slope, Value) else slope):
        return ops.CHAIN(adjoint, slope)
    return adjoint * slope


def _add_up(terms: list[Number]) -> Number:
    total = terms[0]
    for term in terms[1:]:
        total = term if _is_constant(total, 0.0) else total if _is_constant(term, 0.0) else total + term
    return total


def _is_constant(x: Number, number: float) -> bool:
    return not isinstance(x, Value) and float(x) == number


def next_generation() -> int:
    """Begin a generation of nodes, none of which an older node depends on, and return its number."""
    return 0


if native.engine is not None:
    next_generation = native.engine.next_generation
    Subgraph = native.engine.Subgraph  # type: ignore[misc]
