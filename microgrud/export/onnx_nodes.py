"""Graphs whose inputs are columns of a table, which may have any name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import onnx_graph

#: The beginning of the names of all tensors but inputs and outputs.
PREFIX = "microgrud/"


class Graph(onnx_graph.Graph):
    """A graph whose tensors have names that begin with PREFIX.

    >>> import numpy as np
    >>> graph = Graph()
    >>> x = graph.input("x", np.float64, 2)
    >>> graph.output("y", graph.add("Mul", x, graph.constant(np.array(2.0))), np.float64, 2)
    >>> [node.op_type for node in graph.model({}).graph.node]
    ['Mul', 'Identity']
    """

    def __init__(self) -> None:
        super().__init__(PREFIX)

    def model(self, metadata: Mapping[str, str]) -> Any:
        """Return the checked ONNX model with these metadata."""
        return self.finish(metadata)
