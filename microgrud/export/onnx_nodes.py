"""A builder of ONNX graphs in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from ..nn.activations import Activation

#: The version of ONNX's operators, the first with RegexFullMatch, and of its files.
_OPSET, _IR = 20, 9
#: The beginning of the names of all tensors but inputs and outputs.
PREFIX = "microgrud/"
_KINDS: dict[type, int] = {np.float64: TensorProto.DOUBLE, np.int64: TensorProto.INT64, np.str_: TensorProto.STRING}


class Graph:
    """A graph to which nodes are added; tensors are known by their names.

    >>> graph = Graph()
    >>> x = graph.input("x", np.float64, 2)
    >>> graph.output("y", graph.add("Mul", x, graph.constant(np.array(2.0))), np.float64, 2)
    >>> [node.op_type for node in graph.model({}).graph.node]
    ['Mul', 'Identity']
    """

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._constants: list[Any] = []

    def _name(self) -> str:
        return f"{PREFIX}{len(self._nodes) + len(self._constants)}"

    def kind(self, dtype: type) -> int:
        """Return ONNX's number of a type, for Cast."""
        return _KINDS[dtype]

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node, and return the name of its output."""
        name = self._name()
        self._nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, value: Any) -> str:
        """Add an array of doubles, whole numbers or texts, and return its name."""
        array = np.asarray(value)
        name = self._name()
        self._constants.append(
            numpy_helper.from_array(array.astype(object) if array.dtype.kind == "U" else array, name)
        )
        return name

    def input(self, name: str, dtype: type, columns: int) -> str:
        """Add an input (rows, columns), and return its name."""
        self._inputs.append(helper.make_tensor_value_info(name, _KINDS[dtype], ["rows", columns]))
        return name

    def output(self, name: str, tensor: str, dtype: type, columns: int | None = None) -> None:
        """Make a tensor (rows, columns), or (rows,) without `columns`, an output of this name."""
        self._nodes.append(helper.make_node("Identity", [tensor], [name]))
        shape: list[str | int | None] = ["rows"] if columns is None else ["rows", columns]
        self._outputs.append(helper.make_tensor_value_info(name, _KINDS[dtype], shape))

    def model(self, metadata: dict[str, str]) -> Any:
        """Return the checked ONNX model with these metadata."""
        graph = helper.make_graph(self._nodes, "microgrud", self._inputs, self._outputs, self._constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
        helper.set_model_props(made, metadata)
        checker.check_model(made, full_check=True)
        return made


_ONE_NODE = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "linear": "Identity"}


def add_activation(graph: Graph, activation: Activation, x: str) -> str:
    """Add the nodes of an activation of each number."""
    if activation.name in _ONE_NODE:
        return graph.add(_ONE_NODE[activation.name], x)
    raise ValueError(f"to_onnx: activation: expected one that ONNX has, got {activation.label!r}")
