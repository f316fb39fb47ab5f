"""User-defined modules and functions as ONNX: one call is recorded, and its operations become those of columns.

A recording holds for every row if nothing in it depends on the numbers of the row but by operations: `where`, `maximum`
and comparisons as numbers do, an `if` on an input does not and is an error. An operation that raises for some operands,
as `log` does for 0, makes the outputs of such a row NaN.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..common.arrays import is_array
from ..common.numbers import as_float, is_real_scalar
from ..engine import Value, topological_order, tracing
from ..engine.grad_mode import enable_grad
from ..engine.integers import IntegerArgument
from ..engine.ops import DOT, TABLE
from ..engine.truth import Truth, as_operand
from .onnx_graph import Graph
from .onnx_operations import Operand, Operations


class Flow(NamedTuple):
    """A tensor between two modules.

    Attributes:
        tensor: its name, of shape (rows, width).
        width: how many numbers there are in a row.
        is_number: whether a module is given the number itself instead of a list.
        integers: the places of whole numbers, which modules may look up.
    """

    tensor: str
    width: int
    is_number: bool = False
    integers: tuple[int, ...] = ()


def number_of(x: Any) -> float:
    """Return the number of a Value, or a number as a float."""
    return float(x.data) if isinstance(x, Value) else as_float(x, "to_onnx")


class Recording(NamedTuple):
    """A recorded call: what reported it, the inputs, and what was returned."""

    recorder: _Recorder
    inputs: list[Any]
    result: Any

    @property
    def is_elementwise(self) -> bool:
        """True if each operation has a fixed number of operands, so that it serves tensors of any shape."""
        nodes = topological_order(self.result) if isinstance(self.result, Value) else []
        return all(getattr(node._operation, "arity", 0) is not None for node in nodes if node._operands)


def record(function: Callable[..., Any], flow: Flow) -> Recording:
    """Record a call of a module or a function that is given a sample.

    Raises:
        ValueError: if its operations depend on the numbers in a way that a graph cannot; the message names it.
    """
    name = getattr(function, "label", None) or getattr(function, "__name__", type(function).__name__)
    recorder = _Recorder(f"to_onnx: {name}")
    rng = random.Random(0)
    inputs: list[Any] = [
        recorder.integer(k) if k in flow.integers else Value(rng.gauss(0.0, 1.0)) for k in range(flow.width)
    ]
    try:
        with tracing.reporting_to(recorder), enable_grad():
            result = function(inputs[0] if flow.is_number else list(inputs))
    except Exception:
        if recorder.refusal is not None:
            raise recorder.refusal from None
        raise
    recorder.finish()
    return Recording(recorder, inputs, result)


def add_recorded(graph: Graph, recording: Recording, flow: Flow) -> Flow:
    """Add the nodes of a recorded call; one that is elementwise may be given a tensor of several columns as one."""
    return _Writer(graph, recording.recorder, recording.inputs, flow).write(recording.result, recording.recorder.where)


class _Recorder(tracing.Tracer):
    """The tracer of one call; it refuses what a graph cannot hold."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.refusal: ValueError | None = None
        self.counts = [0, 0]
        self.looked_up: dict[int, tuple[Value, Sequence[Any], int]] = {}
        self.fallible: list[Value] = []  # results of operations that raise for some operands, used or not

    def finish(self) -> None:
        """Raise an error if the call did what a graph cannot, even if the function caught the error then."""
        if self.counts[1] and self.refusal is None:
            self._refuse("a comparison of which `is`, `match` or `type` looks at the outcome")
        if self.refusal is not None:
            raise self.refusal from None

    def _refuse(self, what: str) -> None:
        self.refusal = ValueError(
            f"{self.where}: expected the same operations for every row, got {what}; choose by where(condition, x, y), "
            "and compute with Values"
        )
        raise self.refusal

    def integer(self, place: int) -> IntegerArgument:
        return IntegerArgument(0, place, lambda place, _: self._refuse(f"a use of the integer in column {place}"))

    def taken(self, column: Sequence[Any], index: IntegerArgument) -> Value:
        """Return the number that `take` looks up in a table."""
        first = column[0]
        found = Value(first._data if isinstance(first, Value) else as_float(first, "take"))
        self.looked_up[id(found)] = found, column, index.place
        return found

    def on_comparison(self, x: Value, symbol: str, y: Any, outcome: bool) -> Truth:
        bound = y if isinstance(y, Value) else as_operand(y, symbol)
        return Truth(outcome, (x, symbol, bound), None, self.counts)

    def on_outcome(self, x: Value, symbol: str, y: Any, outcome: bool) -> None:
        self._refuse(f"a branch on a comparison (`{symbol}`) of its numbers")

    def on_read(self, x: Any, what: str) -> None:
        self._refuse(f"a use of the number itself, by {what}")

    def on_result(self, x: Value) -> None:
        self.fallible.append(x)

    def on_failure(self, operation: Any, xs: Sequence[float]) -> float:
        """Return a number to go on with: the graph does not depend on it, and has NaN for such a row."""
        return 1.0

    def on_detach(self, x: Value) -> Value:
        return x


class _Writer:
    """Writes the nodes of a recording: what depends on the row is a column (rows, 1), all else a float."""

    def __init__(self, graph: Graph, recorder: _Recorder, inputs: list[Any], flow: Flow) -> None:
        self.graph, self.recorder, self.flow = graph, recorder, flow
        self.ops = Operations(graph)
        self.written: dict[int, Operand] = {}
        self.columns = [
            flow.tensor if flow.width == 1 else graph.add("Gather", flow.tensor, graph.constant(np.array([k])), axis=1)
            for k in range(flow.width)
        ]
        self.written.update((id(x), column) for x, column in zip(inputs, self.columns) if isinstance(x, Value))
        self.inputs = inputs  # keeps the ids

    def write(self, result: Any, where: str) -> Flow:
        """Write everything that a result depends on, a number or a list of numbers; return where it flows on."""
        if is_array(result):
            result = result.tolist()
        is_number = not isinstance(result, (list, tuple))
        numbers = [result] if is_number else list(result)
        if not numbers or not all(isinstance(x, (Value, Truth)) or is_real_scalar(x) for x in numbers):
            raise ValueError(
                f"{where}: expected a number or a list of numbers as the output for one row, got "
                f"{type(next((x for x in numbers if not isinstance(x, Value)), result)).__name__}"
            )
        numbers = [x.node if isinstance(x, Truth) else x for x in numbers]
        nodes = self._ordered([x for x in [*numbers, *self.recorder.fallible] if isinstance(x, Value)])
        self.dots: dict[tuple[Any, ...], list[Value]] = {}
        for node in nodes:
            if node._operation is DOT:
                self.dots.setdefault(_inputs_of(node), []).append(node)
        for node in nodes:
            if id(node) not in self.written:
                self._write_node(node, where)
        columns = [self.ops.column(self._operand(x), self.columns[0]) for x in numbers]
        tensor = columns[0] if len(columns) == 1 else self.graph.add("Concat", *columns, axis=1)
        return Flow(self.ops.refused(tensor), len(numbers), is_number)

    def _ordered(self, roots: list[Value]) -> list[Value]:
        """Return what the roots depend on, each after its operands."""
        reached = {id(x): x for x in self.inputs if isinstance(x, Value)}
        found: list[Value] = []
        for root in roots:
            for node in topological_order(root, set(reached)):
                if id(node) not in reached:
                    reached[id(node)] = node
                    found.append(node)
        return found

    def _operand(self, x: Any) -> Operand:
        return self.written[id(x)] if isinstance(x, Value) else float(x)

    def _write_node(self, node: Value, where: str) -> None:
        if id(node) in self.recorder.looked_up:
            _, items, place = self.recorder.looked_up[id(node)]
            if any(isinstance(x, Value) and not x.is_leaf for x in items):
                raise ValueError(f"{where}: take: expected a table of parameters, got results of operations")
            table = self.graph.constant(np.array([[number_of(x)] for x in items]), "table")
            self.written[id(node)] = self.graph.lookup(table, self.columns[place], len(items))
            return
        operation, operands = node._operation, [self._operand(x) for x in node._operands]
        if all(isinstance(x, float) for x in operands):  # of parameters alone
            self.written[id(node)] = float(node._data)
            return
        name = operation if isinstance(operation, str) else operation.name
        if isinstance(operation, str) or TABLE.get(name) is not operation or not self.ops.has(name):
            raise ValueError(
                f"{where}: expected operations that can be made of those that onnxruntime has in double precision, got "
                f"{name or 'a node built by hand'}; write it with others"
            )
        if operation is DOT:
            group = self.dots[_inputs_of(node)]
            self._write_dots([node, *(x for x in group if x is not node and id(x) not in self.written)])
        else:
            self.written[id(node)] = self.ops.add(name, operands)

    def _write_dots(self, nodes: list[Value]) -> None:
        """Write the weighted sums of the same numbers as one product of matrices, if the weights are constant."""
        half = len(nodes[0]._operands) // 2
        xs = [self._operand(x) for x in nodes[0]._operands[1 + half :]]
        ready = [x for x in nodes if all(map(self._is_constant, x._operands[: 1 + half]))]
        if nodes[0] not in ready or not all(isinstance(x, str) for x in xs):
            self.written[id(nodes[0])] = self.ops.dot([self._operand(x) for x in nodes[0]._operands])
            return
        numbers = np.array([[self._constant(y) for y in x._operands[: 1 + half]] for x in ready])
        product = self.graph.add("MatMul", self.ops.joined(xs), self.graph.constant(numbers[:, 1:].T, "weight"))
        total = self.graph.add("Add", product, self.graph.constant(numbers[:, 0], "bias"))
        for k, node in enumerate(ready):
            self.written[id(node)] = self.ops.picked(total, k, len(ready))

    def _is_constant(self, x: Any) -> bool:
        if not isinstance(x, Value) or id(x) in self.written:
            return not isinstance(x, Value) or isinstance(self.written[id(x)], float)
        return x.is_leaf and id(x) not in self.recorder.looked_up

    def _constant(self, x: Any) -> float:
        return float(x._data) if isinstance(x, Value) else float(x)


def _inputs_of(node: Value) -> tuple[Any, ...]:
    """Return what tells the second factors of a dot product from those of others."""
    return tuple([id(x) if isinstance(x, Value) else repr(x) for x in node._operands[1 + len(node._operands) // 2 :]])
