"""Modules as ONNX: those of `microgrud.nn` as operations on matrices, others by a recording of their `forward`."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import activations, functions
from ..engine import Value
from ..engine.grad_mode import without_graph
from ..nn import MLP, BatchNorm1d, Dropout, Embedding, LayerNorm, Module, Neuron, PReLU, Sequential
from ..nn.activations import Activation, get_activation
from ..nn.mode import mode
from ..nn.module import named_leaves
from ..nn.parts import Elementwise
from ..nn.sequential import KINDS
from .onnx_activations import Composer, add_activation
from .onnx_check import check_onnx
from .onnx_graph import Graph
from .onnx_recorded import Flow, add_recorded, number_of, record

#: Rows on which an exported model is compared with the module.
_ROWS = 40
#: The most of the user's rows.
_MOST = 500
#: Numbers at which activations bend.
_KINKS = (0.0, -0.0, 1.0, -1.0, 3.0, -3.0, 6.0, 0.5, 20.0, -40.0)


def module_to_onnx(model: Module, inputs: int | None = None, integers: Sequence[int] = (), rows: Any = None) -> Any:
    """Return a module as an ONNX model that has passed the comparison in onnxruntime; see `to_onnx`."""
    with mode(model, False):
        _check_parameters(model)
        embeds = _begins_with_embedding(model)
        if rows is not None:
            rows = np.asarray(rows)
            if rows.ndim != 2 - embeds or not len(rows):
                raise ValueError(
                    f"to_onnx: rows: expected samples, an array of {2 - embeds} dimensions, got the shape {rows.shape}"
                )
        width = 1 if embeds else inputs or width_of(model) or (None if rows is None else rows.shape[1])
        if width is None:
            raise ValueError(
                f"to_onnx: inputs: expected how many numbers a sample of {type(model).__name__} has, got None, and the "
                "module does not say it; write to_onnx(model, path, inputs=3)"
            )
        if not all(isinstance(k, int) and 0 <= k < width for k in integers):
            raise ValueError(f"to_onnx: integers: expected places from 0 to {width - 1}, got {list(integers)}")
        tried = _rows(model, width, embeds, integers) if rows is None else _samples(rows, integers)
        answered, expected = _answers(model, tried)
        graph = Graph()
        if embeds:
            flow = Flow(graph.input("input", np.int64), 1, is_number=True)
        else:
            flow = Flow(graph.input("input", np.float64, width), width, integers=tuple(integers))
        result = add_module(graph, model, flow)
        found = result.tensor
        if result.is_number:
            found = graph.add("Squeeze", found, graph.constant(np.array([1])))
        graph.output("output", found, np.float64, None if result.is_number else result.width)
        made = graph.finish({"model": type(model).__name__})
        given = np.array(answered, np.int64 if embeds else np.float64)
        check_onnx(made, {"input": given}, [np.array(expected, float)])
    return made


# --- the comparison ---


def _check_parameters(model: Module) -> None:
    for name, leaf in named_leaves(model):
        if not math.isfinite(leaf.data):
            raise ValueError(f"to_onnx: parameter {name}: expected a finite number, got {leaf.data}")


def _begins_with_embedding(model: Any) -> bool:
    while type(model) is Sequential:
        model = model.layers[0]
    return type(model) is Embedding


def width_of(model: Any) -> int | None:
    """Return how many numbers a sample of a module has, if it says so.

    >>> width_of(Sequential("tanh", MLP(3, [1])))
    3
    """
    if type(model) is MLP:
        return width_of(model.layers[0])
    if type(model) is Sequential:
        for layer in model.layers:
            if type(layer) not in (Elementwise, Dropout) and not (type(layer) is PReLU and len(layer.slopes) == 1):
                return width_of(layer)
        return None
    if type(model) is PReLU and len(model.slopes) > 1:
        return len(model.slopes)
    neurons = getattr(model, "neurons", [model])
    if KINDS.get(type(model).__name__) is type(model) and isinstance(neurons[0], Neuron):
        return len(neurons[0].w)
    return model.size if type(model) in (LayerNorm, BatchNorm1d) else None


def _rows(model: Any, width: int, embeds: bool, integers: Sequence[int]) -> list[Any]:
    rng = random.Random(0)
    if embeds:
        while type(model) is Sequential:
            model = model.layers[0]
        return [rng.randrange(len(model.weight)) for _ in range(_ROWS)]
    rows: list[list[Any]] = [[rng.gauss(0.0, 10.0 ** (k % 6 - 3)) for _ in range(width)] for k in range(_ROWS)]
    rows[1:8] = [[rng.choice(_KINKS) for _ in range(width)] for _ in range(7)]
    rows[0] = [0.0] * width
    for row in rows:
        for k in integers:
            row[k] = rng.randrange(9)
    return rows


def _samples(rows: Any, integers: Sequence[int]) -> list[Any]:
    """Return up to _MOST rows of the user's as samples."""
    if rows.ndim == 1:
        return [int(x) for x in rows[:_MOST]]
    return [[int(x) if k in integers else float(x) for k, x in enumerate(row)] for row in rows[:_MOST]]


def _answers(model: Module, rows: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return those rows for which the module has an answer, and the answers, as floats."""
    answered: list[Any] = []
    expected: list[Any] = []
    failure: Exception | None = None
    for row in rows:
        # As Values, since a negative float to a fractional power is a complex number, and not an error.
        sample = [x if isinstance(x, int) else Value(x) for x in row] if isinstance(row, list) else row
        try:
            result = without_graph(lambda sample=sample: model(sample))  # type: ignore[misc]
        except (ArithmeticError, ValueError, IndexError) as error:
            failure = error
            continue
        answered.append(row)
        expected.append(_floats(result))
    if failure is not None and not answered:
        raise ValueError(
            f"to_onnx: rows: expected samples for which the model has an answer, got errors for all: {failure}; give "
            "rows= of your table, instead of random numbers around 0"
        ) from failure
    return answered, expected


def _floats(result: Any) -> Any:
    found = result.tolist() if isinstance(result, np.ndarray) else result
    if isinstance(found, (list, tuple)):
        if not found or any(isinstance(x, (list, tuple)) for x in found):
            raise TypeError("to_onnx: expected a model whose output is a number or a list of numbers, got nested lists")
        return [float(number_of(x)) for x in found]
    return float(number_of(found))


# --- modules ---


def add_module(graph: Graph, module: Any, flow: Flow) -> Flow:
    """Add the nodes of a module in evaluation mode, or of a function of the outputs of a Sequential.

    Raises:
        ValueError: for what ONNX cannot hold; the message names the module.
    """
    adder = _ADDERS.get(type(module))
    own = KINDS.get(type(module).__name__) is type(module) and not {"forward", "_output", "_outputs"} & {*vars(module)}
    if adder is not None and own and not any(type(x) is not Neuron for x in getattr(module, "neurons", ())):
        return adder(graph, module, flow)
    for function, add in _OVER_OUTPUTS.items():
        if module is function:
            return Flow(add(graph, flow), flow.width // 2 if function is activations.glu else flow.width)
    return add_recorded(graph, record(module, flow), flow)


def _neurons(graph: Graph, module: Any, flow: Flow) -> Flow:
    neurons: list[Neuron] = getattr(module, "neurons", [module])
    weights = np.array([[number_of(x) for x in neuron.w] for neuron in neurons]).T
    tensor = graph.add("MatMul", flow.tensor, graph.constant(weights, "weight"))
    biases = np.array([0.0 if neuron.b is None else number_of(neuron.b) for neuron in neurons])
    if any(neuron.b is not None for neuron in neurons):
        tensor = graph.add("Add", tensor, graph.constant(biases, "bias"))
    kinds = [get_activation(neuron.activation if neuron.nonlin else "linear") for neuron in neurons]
    groups = {kind: [k for k, own in enumerate(kinds) if own is kind] for kind in kinds}
    if len(groups) == 1:
        tensor = _activated(graph, kinds[0], tensor, len(neurons))
    else:  # neurons that were given activations of their own
        parts = [
            _activated(graph, kind, graph.add("Gather", tensor, graph.constant(np.array(places)), axis=1), len(places))
            for kind, places in groups.items()
        ]
        order = np.argsort([k for places in groups.values() for k in places])
        tensor = graph.add("Gather", graph.add("Concat", *parts, axis=1), graph.constant(order), axis=1)
    return Flow(tensor, len(neurons), is_number=len(neurons) == 1)


def _activated(graph: Graph, activation: Activation, tensor: str, width: int) -> str:
    if activation.name is not None:
        return add_activation(graph, activation, tensor)
    recording = record(activation, Flow(tensor, 1, is_number=True))
    if recording.is_elementwise or width == 1:
        return add_recorded(graph, recording, Flow(tensor, 1, is_number=True)).tensor
    columns = [graph.add("Gather", tensor, graph.constant(np.array([k])), axis=1) for k in range(width)]
    results = [add_recorded(graph, recording, Flow(column, 1, is_number=True)).tensor for column in columns]
    return graph.add("Concat", *results, axis=1)


def _mlp(graph: Graph, module: MLP, flow: Flow) -> Flow:
    flow = _chain(graph, module.layers, flow)
    if module.output is not None:
        add = _OVER_OUTPUTS[functions.softmax if module.output == "softmax" else functions.log_softmax]
        with graph.part("output"):
            flow = Flow(add(graph, flow), flow.width)
    return flow


def _chain(graph: Graph, layers: Sequence[Any], flow: Flow) -> Flow:
    for k, layer in enumerate(layers):
        with graph.part(f"layers.{k}"):
            flow = add_module(graph, layer, flow)
    return flow


def _elementwise(graph: Graph, module: Elementwise, flow: Flow) -> Flow:
    return flow._replace(tensor=_activated(graph, module.activation, flow.tensor, flow.width), integers=())


def _prelu(graph: Graph, module: PReLU, flow: Flow) -> Flow:
    slopes = graph.constant(np.array([number_of(x) for x in module.slopes]), "slopes")
    return flow._replace(tensor=Composer(graph).leaky_relu(flow.tensor, slopes), integers=())


def _layer_norm(graph: Graph, module: LayerNorm, flow: Flow) -> Flow:
    ops, size, axis = Composer(graph), float(module.size), graph.constant(np.array([1]), "axis")
    deviations = ops.op("Sub", flow.tensor, ops.mean(flow.tensor, module.size))
    squares = graph.add("ReduceSum", ops.op("Mul", deviations, deviations), axis)
    root = ops.op("Sqrt", ops.op("Add", ops.op("Div", squares, size), module.eps))
    return _affine(graph, module, ops.op("Mul", deviations, ops.op("Div", 1.0, root)), flow.width)


def _batch_norm(graph: Graph, module: BatchNorm1d, flow: Flow) -> Flow:
    means, variances = ([number_of(x) for x in each.values] for each in (module.running_mean, module.running_var))
    scales = [1.0 / functions.sqrt(variance + module.eps) for variance in variances]
    centred = graph.add("Sub", flow.tensor, graph.constant(np.array(means), "running_mean"))
    scaled = graph.add("Mul", centred, graph.constant(np.array(scales), "scale"))
    return _affine(graph, module, scaled, flow.width)


def _affine(graph: Graph, module: Any, tensor: str, width: int) -> Flow:
    if module.weight is None or module.bias is None:
        return Flow(tensor, width)
    weight, bias = (np.array([number_of(x) for x in each]) for each in (module.weight, module.bias))
    scaled = graph.add("Mul", tensor, graph.constant(weight, "weight"))
    return Flow(graph.add("Add", scaled, graph.constant(bias, "bias")), width)


def _embedding(graph: Graph, module: Embedding, flow: Flow) -> Flow:
    if not flow.is_number or flow.tensor != "input":
        raise ValueError("to_onnx: expected an Embedding as the first layer, given one integer; got one further on")
    table = np.array([[number_of(x) for x in row] for row in module.weight])
    return Flow(graph.lookup(graph.constant(table, "weight"), flow.tensor, len(table)), table.shape[1])


def _glu(graph: Graph, flow: Flow) -> str:
    places = np.split(np.arange(flow.width), 2)
    values, gates = (graph.add("Gather", flow.tensor, graph.constant(own), axis=1) for own in places)
    return graph.add("Mul", values, Composer(graph).sigmoid(gates))


_ADDERS: dict[type, Callable[[Graph, Any, Flow], Flow]] = {
    **{KINDS[name]: _neurons for name in ("Neuron", "Layer", "Linear")},
    MLP: _mlp,
    Sequential: lambda graph, module, flow: _chain(graph, module.layers, flow),
    Elementwise: _elementwise,
    PReLU: _prelu,
    Dropout: lambda graph, module, flow: flow,
    LayerNorm: _layer_norm,
    BatchNorm1d: _batch_norm,
    Embedding: _embedding,
}
_OVER_OUTPUTS: dict[Callable[..., Any], Callable[[Graph, Flow], str]] = {
    functions.softmax: lambda graph, flow: graph.add("Softmax", flow.tensor, axis=-1),
    functions.log_softmax: lambda graph, flow: Composer(graph).log_softmax(flow.tensor),
    activations.softmin: lambda graph, flow: graph.add("Softmax", graph.add("Neg", flow.tensor), axis=-1),
    activations.glu: _glu,
}
