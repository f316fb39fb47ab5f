"""Fitted estimators as parts of an ONNX graph: encoded inputs, averaged networks, the linear blend, the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..sklearn.classifier import MLPClassifier
from ..sklearn.encoding import Encoding
from ..sklearn.networks import arrays_of
from .onnx_activations import add_activation
from .onnx_graph import Graph

#: The outputs, by the names that the converters of scikit-learn's models give them.
LABEL, PROBABILITY, NUMBER = "output_label", "output_probability", "variable"


def add_estimator(graph: Graph, model: Any, columns: str, classes: Sequence[str] | None = None) -> None:
    """Add the nodes of a fitted MLPClassifier or MLPRegressor, and the outputs of the graph.

    A classifier has the outputs LABEL, an array (rows,), and PROBABILITY (rows, classes); a regressor has NUMBER
    (rows, numbers).

    Args:
        graph: gets the nodes.
        model: the estimator.
        columns: the tensor (rows, inputs) of finite doubles.
        classes: names of classes in the order of the probabilities, among them all of the model's, for which the
            probability of another is 0; those of the model if None.
    """
    found = _Parts(graph, model, columns).blended()
    if not isinstance(model, MLPClassifier):
        scale = model.target_scale_
        scaled = graph.add("Mul", found, graph.constant(scale.deviation))
        graph.output(NUMBER, graph.add("Add", scaled, graph.constant(scale.mean)), np.float64, len(scale.mean))
        return
    labels = model.classes_ if classes is None else np.array(classes)
    if classes is not None:
        known = [list(classes).index(str(label)) for label in model.classes_]
        if known != list(range(len(classes))):  # a rare class may not be in the training rows
            order = [known.index(k) if k in known else len(known) for k in range(len(classes))]
            zero = graph.add(
                "Mul", graph.add("Gather", found, graph.constant(np.array([0])), axis=1), graph.constant(0.0)
            )
            found = graph.add(
                "Gather", graph.add("Concat", found, zero, axis=1), graph.constant(np.array(order)), axis=1
            )
    best = graph.add("ArgMax", found, axis=1, keepdims=0)
    named = labels.astype(np.int64) if labels.dtype.kind in "iu" else labels.astype(str)
    kind = np.int64 if labels.dtype.kind in "iu" else np.str_
    graph.output(LABEL, graph.add("Gather", graph.constant(named), best), kind)
    graph.output(PROBABILITY, found, np.float64, len(labels))


class _Parts:
    """The parts of an estimator: its networks, one above the other in one tensor, and its linear models.

    Args:
        graph: gets the nodes.
        model: the estimator.
        columns: the tensor of its inputs.
    """

    def __init__(self, graph: Graph, model: Any, columns: str) -> None:
        self.graph, self.model = graph, model
        encoding = model.encoding_
        self.standard = columns if encoding is None else self._standard(encoding, columns)
        self._drawn: str | None = None

    def blended(self) -> str:
        """Return the tensor (rows, outputs) of the mean answers of networks and linear models, by their shares."""
        share = self.model.network_share_
        parts = []
        if share > 0.0:
            with self.graph.part("networks"):
                parts.append(self._times(self._networks(), share))
        if share < 1.0:
            with self.graph.part("linear"):
                parts.append(self._times(self._linear(), 1.0 - share))
        return parts[0] if len(parts) == 1 else self.graph.add("Add", *parts)

    def _networks(self) -> str:
        networks, encoding = list(map(arrays_of, self.model.networks_)), self.model.encoding_
        rows = self.standard if encoding is None else self._encoded(encoding)
        for layers in zip(*networks):  # tensors (networks, rows, neurons)
            weights = np.stack([layer.weights for layer in layers])
            biases = np.stack([layer.biases[None] for layer in layers])
            rows = self._affine(rows, weights, biases)
            rows = add_activation(self.graph, layers[0].activation, rows)
        return self._answers(rows, getattr(self.model, "temperature_", 1.0))

    def _linear(self) -> str:
        models = self.model._linear
        rows = self.standard if models[0].has_tails else self._drawn_in()
        weights, biases = np.stack([each.weights for each in models]), np.stack([each.biases[None] for each in models])
        return self._answers(self._affine(rows, weights, biases), 1.0)

    def _affine(self, rows: str, weights: Any, biases: Any) -> str:
        product = self.graph.add("MatMul", rows, self.graph.constant(weights))
        return self.graph.add("Add", product, self.graph.constant(biases))

    def _answers(self, outputs: str, temperature: float) -> str:
        """Return the mean over the first axis of probabilities, or of numbers in regression."""
        if isinstance(self.model, MLPClassifier):
            if temperature != 1.0:
                outputs = self.graph.add("Div", outputs, self.graph.constant(np.array(temperature)))
            outputs = self.graph.add("Softmax", outputs, axis=-1)
        return self.graph.add("ReduceMean", outputs, self.graph.constant(np.array([0])), keepdims=0)

    def _times(self, tensor: str, factor: float) -> str:
        return tensor if factor == 1.0 else self.graph.add("Mul", tensor, self.graph.constant(np.array(factor)))

    # --- the encoding ---

    def _standard(self, encoding: Encoding, columns: str) -> str:
        graph, scale = self.graph, encoding.scale
        centred = graph.add("Sub", columns, graph.constant(scale.mean))
        standard = graph.add("Div", centred, graph.constant(scale.deviation))
        high = graph.add("Min", standard, graph.constant(encoding.reach))
        return graph.add("Max", high, graph.constant(-encoding.reach))

    def _drawn_in(self) -> str:
        """Return the standardised columns with their tails drawn in; one tensor for both kinds of models."""
        if self._drawn is None:
            graph = self.graph
            third = graph.add("Div", self.standard, graph.constant(np.array(3.0)))
            square = graph.add("Add", graph.add("Mul", third, third), graph.constant(np.array(1.0)))
            self._drawn = graph.add("Div", self.standard, graph.add("Sqrt", square))
        return self._drawn

    def _encoded(self, encoding: Encoding) -> str:
        graph, (sources, starts, widths) = self.graph, encoding.pieces
        if not len(sources):
            return self._drawn_in()
        above = graph.add(
            "Sub", graph.add("Gather", self.standard, graph.constant(sources), axis=1), graph.constant(starts)
        )
        shares = graph.add("Div", above, graph.constant(widths))
        inside = graph.add(
            "Max", graph.add("Min", shares, graph.constant(np.array(1.0))), graph.constant(np.array(0.0))
        )
        doubled = graph.add("Mul", inside, graph.constant(np.array(2.0)))
        pieces = graph.add("Sub", doubled, graph.constant(np.array(1.0)))
        return graph.add("Concat", self._drawn_in(), pieces, axis=1)
