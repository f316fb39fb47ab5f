"""A builder of ONNX graphs in double precision; the file needs the packages onnx and numpy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from ..version import __version__

#: The versions of ONNX's operators and of its files, which onnxruntime reads from 1.17 on.
OPSET, IR = 20, 9
_KINDS: dict[type, int] = {np.float64: TensorProto.DOUBLE, np.int64: TensorProto.INT64, np.str_: TensorProto.STRING}


class Graph:
    """A graph to which nodes are added; tensors are known by their names, such as `layers.0/MatMul`.

    Args:
        prefix: the beginning of the names of all tensors but inputs and outputs.

    >>> graph = Graph()
    >>> x = graph.input("x", np.float64, 2)
    >>> with graph.part("half"):
    ...     graph.output("y", graph.add("Mul", x, graph.constant(0.5)), np.float64, 2)
    >>> [node.output[0] for node in graph.finish().graph.node]
    ['half/Mul', 'y']
    """

    def __init__(self, prefix: str = "") -> None:
        self._nodes: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._constants: list[Any] = []
        self._scalars: dict[str, str] = {}
        self._near_one: dict[str, str] = {}  # the doubles of constants that onnxruntime takes for 1
        self._taken: Counter[str] = Counter()
        self._where = prefix

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Begin the names of the nodes that are added in the block by that of a part of the model."""
        before = self._where
        self._where = f"{before}{name}/" if name else before
        try:
            yield
        finally:
            self._where = before

    def _name(self, name: str) -> str:
        full = f"{self._where}{name}"
        self._taken[full] += 1
        return full if self._taken[full] == 1 else self._name(f"{name}_{self._taken[full]}")

    def kind(self, dtype: type) -> int:
        """Return ONNX's number of a type, for Cast."""
        return _KINDS[dtype]

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node, and return the name of its output.

        onnxruntime leaves products with a constant out if the constant is 1 in single precision. So a factor of
        1.00000001 is given as 0.5 and its double.
        """
        if operator in ("Mul", "Div") and inputs[-1] in self._near_one:
            half, factor = self.constant(0.5), self._near_one[inputs[-1]]
            if operator == "Mul":
                return self.add("Mul", self.add("Mul", inputs[0], half), factor, **attributes)
            return self.add("Mul", self.add("Div", inputs[0], factor), self.constant(2.0))
        if operator == "Mul" and inputs[0] in self._near_one:
            return self.add("Mul", *reversed(inputs))
        name = self._name(operator)
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, value: Any, name: str = "constant") -> str:
        """Add an array of doubles, whole numbers or texts, and return its name; one for all equal scalars."""
        array = np.asarray(value)
        key = f"{array.dtype}{array[()]!r}" if array.ndim == 0 else ""
        if key not in self._scalars:
            made = self._name(name)
            if array.size == 1 and array.dtype == np.float64 and 0.0 < abs(array.item() - 1.0) < 1e-7:
                self._near_one[made] = self.constant(2.0 * array)
            self._constants.append(
                numpy_helper.from_array(array.astype(object) if array.dtype.kind == "U" else array, made)
            )
            if not key:
                return made
            self._scalars[key] = made
        return self._scalars[key]

    def lookup(self, table: str, index: str, count: int) -> str:
        """Add the rows of a table (count, numbers) at whole numbers; NaN unless they are from 0 to count - 1.

        Args:
            table: the name of the table.
            index: the name of a tensor of integers (rows,), or of doubles (rows, 1).
            count: the number of rows of the table.
        """
        doubles = index if not self._is_integer(index) else self.add("Cast", index, to=TensorProto.DOUBLE)
        flat = self.add("Reshape", doubles, self.constant(np.array([-1]), "shape"))
        zero, last = self.constant(0.0), self.constant(count - 1.0)
        whole = self.add("Min", self.add("Max", self.add("Floor", flat), zero), last)
        known = self.add("Equal", whole, flat)
        found = self.add("Gather", table, self.add("Cast", self.add("Where", known, whole, zero), to=TensorProto.INT64))
        rows = self.add("Reshape", known, self.constant(np.array([-1, 1]), "shape"))
        return self.add("Where", rows, found, self.constant(np.nan))

    def _is_integer(self, name: str) -> bool:
        kinds = {each.name: each.type.tensor_type.elem_type for each in self._inputs}
        return kinds.get(name) == TensorProto.INT64

    def input(self, name: str, dtype: type, columns: int | None = None) -> str:
        """Add an input (rows, columns), or (rows,) without `columns`, and return its name."""
        self._taken[name] += 1
        self._inputs.append(helper.make_tensor_value_info(name, _KINDS[dtype], _shape(columns)))
        return name

    def output(self, name: str, tensor: str, dtype: type, columns: int | None = None) -> None:
        """Make a tensor (rows, columns), or (rows,) without `columns`, an output of this name."""
        self._taken[name] += 1
        self._nodes.append(helper.make_node("Identity", [tensor], [name], name=name))
        self._outputs.append(helper.make_tensor_value_info(name, _KINDS[dtype], _shape(columns)))

    def finish(self, metadata: Mapping[str, str] | None = None) -> Any:
        """Return the ONNX model with these metadata, checked by onnx, the shapes of all tensors included."""
        graph = helper.make_graph(self._nodes, "microgrud", self._inputs, self._outputs, self._constants)
        made = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR,
            producer_name="microgrud",
            producer_version=__version__,
        )
        if metadata:
            helper.set_model_props(made, dict(metadata))
        checker.check_model(made, full_check=True)
        return made


def _shape(columns: int | None) -> list[str | int]:
    return ["rows"] if columns is None else ["rows", columns]
